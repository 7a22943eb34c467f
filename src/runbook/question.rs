//! What a run waits for, worked out from its state alone.

use super::io::SampleOf;
use super::plan::{AnswerKind, Choice, Condition, Item, ManualMode, Step, StepKind};
use super::record::{Event, Found};
use super::state::{ItemAnswer, OpStage, Operation, Phase, Question, RunState, StepPhase, StepState};
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Outcome, Stamp, StepId};
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
        if !self.preconditions_met && self.phase == Phase::Running {
            return Some(Question::Preconditions { bad: self.bad_preconditions() });
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
            StepKind::Approve(_) | StepKind::Poll(_) => Some(Question::Agree { step: step.id.clone() }),
            StepKind::Manual(_) => {
                let open = open_items(step, state);
                (!open.is_empty()).then(|| Question::Items { step: step.id.clone(), open })
            }
            StepKind::Check(_) | StepKind::Wait { .. } => None,
        }
    }

    /// What a sample asks, where it is no guard's.
    #[must_use]
    pub fn condition(&self, what: &SampleOf) -> Option<&Condition> {
        match what {
            SampleOf::Guard { .. } => None,
            SampleOf::Precondition { index } => self.runbook.preconditions.get(*index),
            SampleOf::Condition { step, index } => match &self.plan_step(step)?.kind {
                StepKind::Check(check) => check.conditions.get(*index),
                _ => None,
            },
            SampleOf::Item { step, item } => match &self.plan_step(step)?.kind {
                StepKind::Manual(manual) => manual.items.get(*item)?.evidence.as_deref(),
                _ => None,
            },
        }
    }

    /// Every condition that matters now: of the current step, and the preconditions until the first act.
    #[must_use]
    pub fn conditions_now(&self) -> Vec<&Condition> {
        let mut all: Vec<&Condition> = match self.current().map(|(step, _)| &step.kind) {
            Some(StepKind::Check(check)) => check.conditions.iter().collect(),
            Some(StepKind::Manual(manual)) => manual.items.iter().filter_map(|item| item.evidence.as_deref()).collect(),
            _ => Vec::new(),
        };
        if self.phase == Phase::Running && (!self.preconditions_met || self.intents.is_empty()) {
            all.extend(&self.runbook.preconditions);
        }
        all
    }

    /// Preconditions that are not good, with what they read; all of them before they were looked at.
    #[must_use]
    pub fn bad_preconditions(&self) -> Vec<String> {
        let asked = self.runbook.preconditions.iter();
        asked
            .filter_map(|condition| match self.preconditions.get(&condition.id) {
                Some((Outcome::Pass, _)) => None,
                Some((_, shown)) => Some(format!("{} {shown}", condition.id)),
                None => Some(format!("{} was not looked at yet", condition.id)),
            })
            .collect()
    }

    /// The answer to an item of the open checklist, as an entry; an error when it is none. Counts from everybody.
    pub fn answer(&self, id: &StepId, item: usize, text: &str, who: &str) -> Result<Event, String> {
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
        if let Some(role) = owner(step, asked)
            && !self.may_answer(step, asked, who)
        {
            let members = self.runbook.roles.get(role).map(|role| role.members.join(", ")).filter(|names| !names.is_empty());
            let who_may = members.unwrap_or_else(|| "nobody is known to be".to_owned());
            return Err(format!("item {} is for {role} to answer ({who_may}), and {who} is not {role}", item + 1));
        }
        let answer = clean_bounded(text.trim(), 200);
        let ok = asked.answer.judge(&answer)?;
        Ok(Event::ItemAnswered { step: id.clone(), item, answer, ok })
    }

    /// Whether an item is this person's to answer: by their role, because it is anybody's, or because they decide for all.
    #[must_use]
    pub fn may_answer(&self, step: &Step, item: &Item, who: &str) -> bool {
        owner(step, item).is_none_or(|role| self.runbook.is_in(who, role) || self.decides(who))
    }

    /// Whether somebody may end this wait early: by their role, or because they drive where the file names none.
    #[must_use]
    pub(super) fn may_shorten(&self, id: &StepId, who: &str) -> bool {
        let Some((Step { kind: StepKind::Wait { shorten: Some(shorten), .. }, .. }, _)) = self.step_and_state(id) else { return false };
        match &shorten.role {
            Some(role) => self.runbook.is_in(who, role),
            None => self.driver.id == who,
        }
    }

    /// Ending the current wait early, as an entry; an error when it cannot be.
    pub fn shorten(&self, who: &str, reason: &str, stamp: &Stamp, boot_id: &str) -> Result<Event, String> {
        let (step, state) = self.current().ok_or("no step is active")?;
        let StepKind::Wait { duration, shorten } = &step.kind else { return Err(format!("step {} is no wait", step.id)) };
        let Some(shorten) = shorten else { return Err(format!("the runbook does not let anybody shorten {}", step.id)) };
        if state.phase != StepPhase::Active {
            return Err(format!("step {} is not open", step.id));
        }
        if !self.may_shorten(&step.id, who) {
            let role = shorten.role.as_deref().unwrap_or("the driver");
            return Err(format!("shortening {} is for {role} to decide, and {who} is not {role}", step.id));
        }
        let reason = clean_bounded(reason.trim(), 300);
        if reason.is_empty() {
            return Err("shortening a wait needs a reason".into());
        }
        let left = self.bake_left(stamp, boot_id).unwrap_or(*duration);
        let counted = duration.saturating_sub(left);
        if counted < shorten.min {
            return Err(format!("{} counted {} so far; not before {}", step.id, span(counted), span(shorten.min)));
        }
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Ok(Event::WaitShortened { step: step.id.clone(), reason, left_ms })
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

/// The role that answers an item; anybody when absent.
#[must_use]
pub fn owner<'a>(step: &'a Step, item: &'a Item) -> Option<&'a str> {
    item.role.as_deref().or(step.role.as_deref())
}

/// Places of the items that are not answered so that the step may pass.
pub(super) fn open_items(step: &Step, state: &StepState) -> Vec<usize> {
    let StepKind::Manual(manual) = &step.kind else { return Vec::new() };
    manual.items.iter().enumerate().filter(|(i, item)| !is_met(item, *i, state)).map(|(i, _)| i).collect()
}

/// Whether an item lets the step pass: it was answered where somebody is asked, and what the program sees for itself is good.
#[must_use]
pub fn is_met(item: &Item, place: usize, state: &StepState) -> bool {
    let answered = item.answer == AnswerKind::Seen || state.answers.get(&place).is_some_and(ItemAnswer::stands);
    let seen = item.evidence.is_none() || state.seen.get(&place).is_some_and(|(outcome, _)| *outcome == Outcome::Pass);
    answered && seen
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
    use super::AnswerKind;

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
        assert_eq!(AnswerKind::Text { equals: Some("OPS-1".into()), pattern: None }.judge("OPS-2"), Ok(false));
        assert_eq!(AnswerKind::Done.judge("no"), Ok(false));
        assert!(AnswerKind::Done.judge("").is_err());
    }
}
