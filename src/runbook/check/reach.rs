//! Steps and guards that could never come to anything.

use crate::domain::StepId;
use crate::runbook::parse::draft::{Draft, StepDraft, WhenDraft};
use crate::runbook::parse::report::Report;
use crate::runbook::plan::When;

/// With more names than this a condition is taken as possible: trying all cases would take too long.
const MOST_NAMES: usize = 8;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    for (place, step) in draft.steps.iter().enumerate() {
        reachable(step, &ids(&draft.steps[..place]), report);
    }
    let back = draft.rollback.as_ref().map_or(&[][..], |r| &r.steps);
    for (place, step) in back.iter().enumerate() {
        let before: Vec<&StepId> = ids(&draft.steps).into_iter().chain(ids(&back[..place])).collect();
        reachable(step, &before, report);
    }
    for (place, step) in draft.finally.iter().enumerate() {
        let before: Vec<&StepId> = ids(&draft.steps).into_iter().chain(ids(back)).chain(ids(&draft.finally[..place])).collect();
        reachable(step, &before, report);
    }
    for guard in &draft.guards {
        let (Some(from), Some(until)) = (&guard.from, &guard.until) else { continue };
        let position = |id: &StepId| draft.steps.iter().position(|s| s.id.as_ref().is_some_and(|own| own.value == *id));
        if let (Some(first), Some(last)) = (position(&from.value), position(&until.value))
            && last < first
        {
            let why = format!("`{}` comes before `{}`, so this guard would never watch", until.value, from.value);
            report.error("empty-window", until.span, why, "exchange `from` and `until`");
        }
    }
}

fn ids(steps: &[StepDraft]) -> Vec<&StepId> {
    steps.iter().filter_map(|step| step.id.as_ref().map(|id| &id.value)).collect()
}

fn reachable(step: &StepDraft, before: &[&StepId], report: &mut Report) {
    let Some(when) = step.when.value() else { return };
    if possible(&when.value, before) {
        return;
    }
    let why = format!("`when` can never hold when `{}` is reached: it speaks of steps that come later, or contradicts itself", step.name());
    report.error("unreachable-step", when.span, why, "name steps that come before this one");
}

/// Whether some outcome of the steps before lets the condition hold. Of steps that are still to come nothing is done or reached.
fn possible(draft: &WhenDraft, before: &[&StepId]) -> bool {
    // What is given for a parameter is only known when the run is started.
    if asks_for_parameter(&draft.when) {
        return true;
    }
    let mut names: Vec<&StepId> = draft.names.iter().map(|at| &at.value).filter(|name| before.contains(name)).collect();
    names.sort();
    names.dedup();
    if names.len() > MOST_NAMES {
        return true;
    }
    // Each step was passed over, reached without passing, or passed.
    (0..3_u32.pow(names.len() as u32)).any(|case| holds(&draft.when, &names, case))
}

fn asks_for_parameter(when: &When) -> bool {
    match when {
        When::Given { .. } => true,
        When::Done(_) | When::Reached(_) => false,
        When::And(parts) | When::Or(parts) => parts.iter().any(asks_for_parameter),
        When::Not(inner) => asks_for_parameter(inner),
    }
}

fn holds(when: &When, names: &[&StepId], case: u32) -> bool {
    let state = |id: &StepId| names.iter().position(|name| *name == id).map_or(0, |i| case / 3_u32.pow(i as u32) % 3);
    match when {
        When::Done(id) => state(id) == 2,
        When::Reached(id) => state(id) >= 1,
        When::And(parts) => parts.iter().all(|part| holds(part, names, case)),
        When::Or(parts) => parts.iter().any(|part| holds(part, names, case)),
        When::Not(inner) => !holds(inner, names, case),
        When::Given { .. } => true,
    }
}
