//! What a run waits for, worked out from its state alone.

use super::plan::{Choice, ManualMode, Step, StepKind};
use super::record::{Event, Found};
use super::state::{OpStage, Operation, Phase, Question, RunState, StepPhase, StepState};
use crate::domain::text::clean_bounded;
use crate::domain::{Stamp, StepId};
use std::time::Duration;

impl RunState {
    /// The operation of which it is not known whether it was applied.
    #[must_use]
    pub fn unclear(&self) -> Option<&Operation> {
        [&self.doubtful, &self.operation].into_iter().flatten().find(|op| op.in_doubt())
    }

    /// What the run waits for from a person; `None` while it works or when it ended.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        if self.phase.is_final() {
            return None;
        }
        if let Some(op) = self.unclear() {
            // An intent without an answer is on its way, as far as the record knows.
            return matches!(op.stage, OpStage::Unknown { .. }).then(|| unclear(op));
        }
        let (step, state) = self.current()?;
        if matches!(state.phase, StepPhase::Failed | StepPhase::Inconclusive) {
            return Some(Question::Failed { step: step.id.clone(), why: state.why.clone(), offer: self.offer(step) });
        }
        match &step.kind {
            StepKind::Do(action) => {
                let waits = self.operation.as_ref().is_none_or(|op| {
                    op.step != step.id || matches!(op.stage, OpStage::Planned | OpStage::Void | OpStage::NotApplied { .. })
                });
                let asks = waits && (self.phase == Phase::Running || !self.way_back_is_free());
                asks.then(|| Question::Act { step: step.id.clone(), action: action.clone() })
            }
            StepKind::Gate => Some(Question::Gate { step: step.id.clone() }),
            StepKind::Manual(_) => {
                let open = open_items(step, state);
                (!open.is_empty()).then(|| Question::Items { step: step.id.clone(), open })
            }
            StepKind::Check(_) | StepKind::Wait { .. } => None,
        }
    }

    /// The answer to an item of the open checklist, as an entry; an error when it is none. Counts from everybody.
    pub fn answer(&self, id: &StepId, item: usize, text: &str) -> Result<Event, String> {
        let (step, state) = self.current().ok_or("no step is active")?;
        let StepKind::Manual(manual) = &step.kind else { return Err(format!("step {} has no items", step.id)) };
        if step.id != *id || state.phase != StepPhase::Active {
            return Err(format!("step {id} is not open"));
        }
        let asked = manual.items.get(item).ok_or_else(|| format!("step {id} has no item {}", item + 1))?;
        let first_open = open_items(step, state).first().copied();
        if manual.mode == ManualMode::ReadDo && first_open.is_some_and(|open| item > open) {
            return Err(format!("one at a time: item {} comes first", first_open.unwrap_or_default() + 1));
        }
        let answer = clean_bounded(text.trim(), 200);
        let ok = asked.answer.judge(&answer)?;
        Ok(Event::ItemAnswered { step: id.clone(), item, answer, ok })
    }

    /// What may be chosen when this step failed. A step of the way back can always be tried again.
    pub(super) fn offer(&self, step: &Step) -> Vec<Choice> {
        if self.phase == Phase::Running {
            let mut offer = step.on_failure.offer.clone();
            if !offer.contains(&Choice::BackOut) {
                offer.push(Choice::BackOut);
            }
            offer
        } else {
            vec![Choice::Retry, Choice::Skip, Choice::Abort]
        }
    }

    /// What is left of the bake of the active step. Counts down only while the run's driver is known to count on this boot; otherwise
    /// time after the driver's last entry does not count.
    #[must_use]
    pub fn bake_left(&self, stamp: &Stamp, boot_id: &str) -> Option<Duration> {
        let (_, state) = self.current()?;
        let bake = state.bake.as_ref()?;
        let Some((since, boot)) = bake.counting_since else { return Some(bake.left) };
        let counted =
            if bake.boot_id == boot_id { stamp.boot.saturating_sub(boot) } else { (self.driver_at - since).to_std().unwrap_or_default() };
        Some(bake.left.saturating_sub(counted))
    }
}

/// Places of the items that are not answered so that the step may pass.
pub(super) fn open_items(step: &Step, state: &StepState) -> Vec<usize> {
    let StepKind::Manual(manual) = &step.kind else { return Vec::new() };
    (0..manual.items.len()).filter(|i| state.answers.get(i).is_none_or(|a| !a.ok)).collect()
}

/// Whether what is on the platform can be taken as the result.
pub(super) fn may_adopt(found: Option<Found>) -> bool {
    matches!(found, Some(Found::AppliedThenChanged | Found::DoneByOther | Found::Drifted))
}

/// Whether the operation can be planned anew (behind a fence where its write may still arrive).
pub(super) fn may_redo(found: Option<Found>) -> bool {
    may_adopt(found) || found == Some(Found::NotYet)
}

fn unclear(op: &Operation) -> Question {
    let found = op.found();
    let why = match (&op.seen, &op.stage) {
        (Some(seen), _) => seen.clone(),
        (None, OpStage::Unknown { failure: Some(failure), .. }) => failure.to_string(),
        _ => "it is not known whether it was applied".to_owned(),
    };
    Question::Unclear { op: op.op.clone(), found, why, redo: may_redo(found), adopt: may_adopt(found) }
}

#[cfg(test)]
mod tests {
    use crate::runbook::plan::AnswerKind;

    #[test]
    fn a_wrong_answer_stays_open_and_a_senseless_one_is_refused() {
        let number = AnswerKind::Number { min: Some(20.0), max: None };
        assert_eq!(number.judge("20"), Ok(true));
        assert_eq!(number.judge("19.9"), Ok(false));
        assert!(number.judge("plenty").is_err());
        assert!(number.judge("NaN").is_err());
        let choice = AnswerKind::Choice { of: vec!["on".into(), "off".into()], expect: Some("off".into()) };
        assert_eq!(choice.judge("off"), Ok(true));
        assert_eq!(choice.judge("on"), Ok(false));
        assert!(choice.judge("maybe").is_err());
        assert_eq!(AnswerKind::Text { equals: Some("OPS-1".into()) }.judge("OPS-2"), Ok(false));
        assert_eq!(AnswerKind::Done.judge("no"), Ok(false));
        assert!(AnswerKind::Done.judge("").is_err());
    }
}
