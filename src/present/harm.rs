//! What the release costs, and how its last act landed.

use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::counts;
use crate::app::landing;
use crate::domain::text::span;
use crate::domain::{Action, Percent};
use crate::judge::{Excess, Landing, forecast};
use std::time::Duration;

/// `harm  +37 errors (12..62) of 500   landed in 14 s`; nothing before the release reaches anybody.
pub(super) fn line(sight: &Sight<'_>, cells: usize) -> Option<Line> {
    shows(sight).then_some(())?;
    let mut line = Line::of(" harm  ");
    match counts::harm(sight.model, sight.now.wall) {
        Ok(excess) => {
            let budget = counts::budget(sight.model);
            let role = match budget {
                Some(budget) if excess.low > f64::from(budget) => Role::Bad,
                Some(budget) if excess.count > f64::from(budget) * 0.9 => Role::Watch,
                _ => Role::Primary,
            };
            let of = budget.map_or_else(String::new, |budget| format!(" of {budget}"));
            line = line.word(role, format!("{}{of}", words(excess)));
        }
        Err(why) => line = line.text(format!("not known: {why}")),
    }
    let Some((role, text)) = landed(sight) else { return Some(line) };
    // What is as it should be may be left out; what is not pushes nothing else away.
    let fits = line.width() + text.len() + 3 <= cells;
    Some(if fits || role != Role::Primary { line.text("   ").word(role, text) } else { line })
}

/// Whether there is anything to tell: before the release reaches anybody there is not.
pub(super) fn shows(sight: &Sight<'_>) -> bool {
    sight.run().is_some_and(|r| r.state.exposed_at.is_some())
}

/// `+37 errors (12..62)`.
pub(super) fn words(excess: Excess) -> String {
    let shown = landing::record(excess);
    format!("{:+} errors ({}..{})", shown.count, shown.low, shown.high)
}

/// How the last act landed, or what it waits for.
fn landed(sight: &Sight<'_>) -> Option<(Role, String)> {
    if let Some(followed) = landing::followed(sight.model) {
        return Some(match landing::look(sight.model, &followed, sight.now) {
            Landing::Following { what } => (Role::Primary, format!("landing: {what}")),
            Landing::Missing { why, known } => (if known { Role::Bad } else { Role::Watch }, format!("NOT LANDED: {why}")),
            Landing::Landed { .. } => (Role::Ok, "landed".into()),
        });
    }
    let took = sight.run()?.state.landing.as_ref()?.took?;
    Some((Role::Primary, format!("landed in {}", seconds(took))))
}

/// `14 s`, or as everywhere.
pub(super) fn seconds(took: Duration) -> String {
    let rounded = took + Duration::from_millis(500);
    if rounded.as_secs() < 100 { format!("{} s", rounded.as_secs()) } else { span(rounded) }
}

/// What going on costs, if the canary stays as it was: for the prompt.
pub(super) fn ahead(sight: &Sight<'_>, action: &Action) -> Option<String> {
    let model = sight.model;
    model.spec.harm.errors.as_ref()?;
    sight.run()?.state.exposed_at?;
    let excess = match counts::harm(model, sight.now.wall) {
        Ok(excess) => excess,
        Err(why) => return Some(format!("not known: {why}")),
    };
    let so_far = format!("{} so far", words(excess));
    let weight = action.weight().filter(|w| *w > Percent::ZERO);
    let next = weight
        .zip(model.observed.rps)
        .zip(model.counts.total.and_then(|t| t.canary))
        .and_then(|((weight, rps), canary)| forecast(excess, canary, rps, f64::from(weight.get()) / 100.0).map(|next| (weight, next)));
    let Some((weight, next)) = next else { return Some(format!("{so_far}; what comes next is not known")) };
    let budget = counts::budget(model).map_or_else(String::new, |budget| {
        let left = f64::from(budget) - excess.count;
        if left <= 0.0 {
            format!("; the budget of {budget} is spent")
        } else if next.count > 0.0 {
            format!("; {left:.0} left of {budget}, {}", minutes(left / next.count))
        } else {
            format!("; {left:.0} left of {budget}")
        }
    });
    Some(format!("{so_far}; at {weight}% about {:+.0}/min ({:.0}..{:.0}){budget}", next.count, next.low, next.high))
}

fn minutes(minutes: f64) -> String {
    if minutes > 24.0 * 60.0 { "more than a day".into() } else { format!("{} at that rate", span(Duration::from_secs_f64(minutes * 60.0))) }
}
