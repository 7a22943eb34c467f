//! What is wrong with a runbook whose parts are all well-formed.

mod names;
mod people;
pub(crate) mod queries;
mod reach;
mod targets;
mod times;
mod traffic;

use super::load::Context;
use super::parse::draft::Draft;
use super::parse::report::Report;

/// All checks of the runbook as a whole.
pub(crate) fn all(draft: &Draft, context: &Context, report: &mut Report) {
    names::check(draft, report);
    reach::check(draft, report);
    targets::check(draft, report);
    traffic::check(draft, context, report);
    times::check(draft, context, report);
    people::check(draft, report);
}
