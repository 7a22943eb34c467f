//! People read checklists of a few items, and stop reading the tenth prompt.

use crate::domain::Confirm;
use crate::runbook::parse::draft::{Draft, Given, KindDraft, StepDraft};
use crate::runbook::parse::report::Report;
use crate::runbook::plan::AnswerKind;

/// More items than this are refused.
const MOST_ITEMS: usize = 9;
/// More items than this are too many to keep in mind.
const GOOD_ITEMS: usize = 7;
/// More typed confirmations than this are typed without reading.
const GOOD_CONFIRMATIONS: usize = 5;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    for step in draft.all_steps() {
        if let Some(kind) = &step.kind
            && let KindDraft::Manual { items, .. } = &kind.value
        {
            let (count, name) = (items.len(), step.name());
            if count > MOST_ITEMS {
                let why = format!("`{name}` has {count} items; nobody works through more than {MOST_ITEMS} with care");
                report.error("too-many-items", kind.span, why, "split it into several steps");
            } else if count > GOOD_ITEMS {
                let why = format!("`{name}` has {count} items; more than {GOOD_ITEMS} are skimmed");
                report.warning("many-items", kind.span, why, "split it, or let a check look for itself");
            }
            for item in items {
                if item.value.item.answer == AnswerKind::Done && asks_to_look(&item.value.item.challenge) {
                    let why = "whoever looks can also say what they saw; `done` is answered without looking";
                    report.warning("ask-for-a-value", item.span, why, "ask for the value: type number, choice or text");
                }
            }
        }
    }
    confirmations(&draft.steps, report);
    for pair in draft.steps.windows(2) {
        if let [first, second] = pair
            && is_gate(first)
            && is_gate(second)
        {
            let why = format!("`{}` asks again right after `{}`", second.name(), first.name());
            report.warning("gates-in-a-row", second.place(), why, "remove one of the two gates");
        }
    }
}

fn confirmations(steps: &[StepDraft], report: &mut Report) {
    let typed = |step: &&StepDraft| {
        let confirm = match &step.confirm {
            Given::Is(confirm) => confirm.value,
            Given::Absent => Confirm::Consequence,
            Given::Broken => Confirm::None,
        };
        step.action().is_some() && confirm >= Confirm::Consequence
    };
    if let Some(step) = steps.iter().filter(typed).nth(GOOD_CONFIRMATIONS) {
        let count = steps.iter().filter(typed).count();
        let why = format!("this run asks for {count} typed confirmations; after {GOOD_CONFIRMATIONS} they are typed without reading");
        report.warning("many-confirmations", step.place(), why, "take fewer, larger steps");
    }
}

fn is_gate(step: &StepDraft) -> bool {
    matches!(step.kind.as_ref().map(|k| &k.value), Some(KindDraft::Gate | KindDraft::Approve(_) | KindDraft::Poll(_)))
}

fn asks_to_look(challenge: &str) -> bool {
    let lower = challenge.trim_start().to_ascii_lowercase();
    ["check that", "check if", "check whether", "verify that", "make sure", "ensure that", "confirm that"]
        .iter()
        .any(|start| lower.starts_with(start))
}
