//! Steps name services that the runbook releases.

use crate::runbook::parse::draft::{Draft, KindDraft};
use crate::runbook::parse::report::Report;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    let Some(target) = &draft.target else { return };
    for step in draft.all_steps() {
        let Some(on) = &step.on else { continue };
        let known = on.value == target.service || target.with.iter().any(|key| key.service == on.value);
        if !known {
            let why = format!("`{}` is on `{}`, which this runbook does not release", step.name(), on.value);
            report.error("unknown-target", on.span, why, "list the service under `with` of `target`");
        }
        let sees = matches!(
            step.kind.as_ref().map(|kind| &kind.value),
            Some(KindDraft::Do(_) | KindDraft::Check { .. } | KindDraft::Manual { .. } | KindDraft::Later) | None
        );
        if !sees {
            let why = format!("`on` is for a step that acts or looks, and `{}` does neither", step.name());
            report.error("misplaced-key", on.span, why, "remove `on`");
        }
    }
}
