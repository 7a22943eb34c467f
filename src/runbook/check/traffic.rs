//! Traffic rises step by step, with a look in between and a way back.

use crate::domain::{Action, Percent};
use crate::runbook::load::Context;
use crate::runbook::parse::draft::{Draft, KindDraft, StepDraft};
use crate::runbook::parse::report::Report;

pub(super) fn check(draft: &Draft, context: &Context, report: &mut Report) {
    rises(draft, report);
    way_back(draft, report);
    for step in &draft.finally {
        // Announcing and tidying up is for the end; what changes traffic needs a step with its own look and way back.
        if let Some(action) = step.action() {
            let why = format!("`{}` changes the platform after the end, where nothing looks any more", step.name());
            report.error("acts-at-the-end", action.span, why, "make it the last of `steps`, with a check after it");
        }
    }
    for step in draft.steps.iter().filter(|step| step.undo.is_absent()) {
        if let Some(action) = step.action() {
            undo(step, &action.value, draft, context, report);
        }
    }
}

fn rises(draft: &Draft, report: &mut Report) {
    let (mut last, mut looked): (Option<Percent>, bool) = (None, true);
    for step in &draft.steps {
        match step.kind.as_ref().map(|k| &k.value) {
            Some(KindDraft::Do(Some(action))) => {
                let Action::SetWeight { canary } = action.value else {
                    if action.value.raises_traffic() {
                        (last, looked) = (last.or(Some(Percent::ZERO)), false);
                    }
                    continue;
                };
                if let Some(before) = last {
                    if canary <= before {
                        let why = format!("the canary already has {before} % here; forward steps only raise it");
                        report.error("weight-must-rise", action.span, why, "raise it, or move the way down into `rollback`");
                    } else if !looked {
                        let why = format!("traffic rises from {before} % to {canary} % without a look at the canary in between");
                        report.error("rise-without-check", action.span, why, "put a `check` step before this one");
                    }
                }
                looked = looked && canary == Percent::ZERO;
                last = Some(canary);
            }
            // What cannot be read may be the look that is missed.
            Some(KindDraft::Check { .. } | KindDraft::Later) | None => looked = true,
            _ => {}
        }
    }
}

fn way_back(draft: &Draft, report: &mut Report) {
    if draft.rollback.is_some() {
        return;
    }
    if let Some(step) = draft.steps.iter().find(|step| step.action().is_some()) {
        let why = format!("`{}` changes traffic, and the file has no `rollback`", step.name());
        report.error("rollback-missing", draft.steps_at, why, "add `rollback:` with `confirm: consequence` and the steps of the way back");
    }
}

fn undo(step: &StepDraft, action: &Action, draft: &Draft, context: &Context, report: &mut Report) {
    // A way back without steps of its own is made of the undo actions.
    let needed = draft.rollback.as_ref().is_some_and(|way_back| way_back.steps.is_empty() && !way_back.broken);
    if context.protected || needed {
        let what = match action {
            Action::SetWeight { canary } => format!("sets the canary to {canary} %"),
            other => format!("does `{}`", other.kind().word()),
        };
        let why = format!("`{}` {what} and does not say what takes that back", step.name());
        let help = "write `undo: { set_weight: { canary: 0 } }`, `undo: none` where nothing is needed, or `irreversible: true`";
        report.error("undo-missing", step.place(), why, help);
    }
}
