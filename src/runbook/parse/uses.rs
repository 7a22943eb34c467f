//! Steps that are the same as another one.

use super::Walk;
use super::draft::{KindDraft, StepDraft};
use super::node::At;
use crate::runbook::template::nearest;

impl Walk<'_> {
    /// Puts what they name in the place of steps that use another step of the same file.
    pub(super) fn repeat(&mut self, steps: &mut [StepDraft]) {
        for place in 0..steps.len() {
            let Some(At { value: KindDraft::Uses(name), .. }) = &steps[place].kind else { continue };
            let name = name.clone();
            match self.used(&name, steps) {
                Some(used) => take_over(&mut steps[place], &used),
                None => steps[place].kind = Some(At::new(KindDraft::Later, name.span)),
            }
        }
    }

    fn used(&mut self, name: &At<String>, steps: &[StepDraft]) -> Option<StepDraft> {
        let ids = || steps.iter().filter_map(|step| step.id.as_ref().map(|id| id.value.as_str()));
        let Some(step) = steps.iter().find(|step| step.id.as_ref().is_some_and(|id| id.value.as_str() == name.value)) else {
            let help = match nearest(&name.value, ids()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write the id of a step under `steps`".to_owned(),
            };
            self.report.error("missing-step", name.span, format!("there is no step `{}`", name.value), help);
            return None;
        };
        match step.kind.as_ref().map(|kind| &kind.value) {
            Some(KindDraft::Check { .. } | KindDraft::Manual { .. } | KindDraft::Wait(..)) => Some(step.clone()),
            // What is wrong with it is reported there.
            Some(KindDraft::Later) | None => None,
            Some(_) => {
                let why = format!("`{}` is no check, checklist or wait; an act or a decision is never repeated by name", name.value);
                self.report.error("uses-target", name.span, why, "write the step out, with an id of its own");
                None
            }
        }
    }
}

/// What the step itself says counts; the rest is as in the one it uses.
fn take_over(step: &mut StepDraft, used: &StepDraft) {
    step.kind.clone_from(&used.kind);
    if step.timeout.is_absent() {
        step.timeout.clone_from(&used.timeout);
    }
    if step.on_failure.is_absent() {
        step.on_failure.clone_from(&used.on_failure);
    }
    if step.evidence.is_empty() {
        step.evidence.clone_from(&used.evidence);
    }
    step.on = step.on.take().or_else(|| used.on.clone());
    step.role = step.role.take().or_else(|| used.role.clone());
}
