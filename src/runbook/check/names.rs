//! Ids are unique, and names name something.

use crate::runbook::parse::draft::{Draft, KindDraft, StepDraft};
use crate::runbook::parse::node::{At, Span};
use crate::runbook::parse::report::Report;
use crate::runbook::template::nearest;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    let back = draft.rollback.as_ref().map_or(&[][..], |r| &r.steps);
    let steps = draft.all_steps().filter_map(|step| step.id.as_ref().map(|id| (id.value.as_str(), id.span)));
    unique(steps, "a step", report);
    unique(draft.guards.iter().filter_map(id), "a guard", report);
    let preconditions = draft.preconditions.iter().filter_map(|c| c.id.as_ref().map(|id| (id.value.as_str(), id.span)));
    unique(preconditions, "a precondition", report);
    for step in draft.all_steps() {
        let evidence = step.evidence.iter().map(|piece| (piece.id.as_str(), step.place()));
        unique(evidence, "a piece of evidence of this step", report);
        if let Some(KindDraft::Check { conditions, .. }) = step.kind.as_ref().map(|k| &k.value) {
            let ids = conditions.iter().filter_map(|c| c.id.as_ref().map(|id| (id.value.as_str(), id.span)));
            unique(ids, "a condition of this step", report);
        }
    }
    for guard in &draft.guards {
        for name in guard.from.iter().chain(&guard.until) {
            known(&At::new(name.value.as_str(), name.span), &draft.steps, &[], report);
        }
    }
    if let Some(t0) = draft.clock.as_ref().and_then(|clock| clock.t0.as_ref()) {
        known(&At::new(t0.value.as_str(), t0.span), &draft.steps, &[], report);
    }
    for role in draft.named_roles.iter().filter(|role| !draft.roles.contains_key(&role.value)) {
        let help = match nearest(&role.value, draft.roles.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("describe it under `roles`: {}: {{ match: {{ groups: [...] }} }}", role.value),
        };
        report.error("missing-role", role.span, format!("there is no role `{}`", role.value), help);
    }
    let end = draft.finally.iter().map(|s| (s, &draft.finally[..]));
    for (step, others) in draft.steps.iter().map(|s| (s, &[][..])).chain(back.iter().map(|s| (s, back))).chain(end) {
        for name in step.when.value().iter().flat_map(|when| &when.value.names) {
            known(&At::new(name.value.as_str(), name.span), &draft.steps, others, report);
        }
    }
}

fn id(guard: &crate::runbook::parse::draft::GuardDraft) -> Option<(&str, Span)> {
    guard.id.as_ref().map(|id| (id.value.as_str(), id.span))
}

fn unique<'d>(ids: impl Iterator<Item = (&'d str, Span)>, what: &str, report: &mut Report) {
    let mut seen: Vec<(&str, Span)> = Vec::new();
    for (id, span) in ids {
        match seen.iter().find(|(other, _)| *other == id) {
            Some((_, first)) => {
                let why = format!("`{id}` is already the id of {what} in line {}; the journal could not tell them apart", first.line);
                report.error("duplicate-id", span, why, "choose another id");
            }
            None => seen.push((id, span)),
        }
    }
}

fn known(name: &At<&str>, steps: &[StepDraft], others: &[StepDraft], report: &mut Report) {
    // A step whose id is wrong is reported there; it may be the one that is meant.
    let all = || steps.iter().chain(others);
    if all().any(|step| step.id.as_ref().is_none_or(|id| id.value.as_str() == name.value)) {
        return;
    }
    let help = match nearest(name.value, all().filter_map(|step| step.id.as_ref().map(|id| id.value.as_str()))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write the id of a step under `steps`".to_owned(),
    };
    report.error("missing-step", name.span, format!("there is no step `{}`", name.value), help);
}
