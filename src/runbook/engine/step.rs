//! Moving from step to step, forward and on the way back; bakes and timeouts.

use super::journal::What;
use super::watch::Checked;
use super::{BAKE_CHECKPOINT, Engine, StepClock, Turn, VERIFY_TIMEOUT, words};
use crate::domain::Confirm;
use crate::runbook::io::Purpose;
use crate::runbook::plan::{Step, StepKind};
use crate::runbook::question::open_items;
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, Operation, Phase, StepPhase, StepState};
use std::time::Duration;

/// Which list of steps is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Forward,
    Back,
    End,
}

impl Engine {
    /// The next thing that follows from the state and has to be recorded.
    pub(super) fn next_decision(&mut self, turn: &mut Turn) -> Option<(Vec<Event>, What)> {
        let ended = self.state.phase.is_final();
        if self.state.epoch < self.epoch && !ended {
            let mut events = vec![Event::LeaseAcquired { epoch: self.epoch, taken_from: None }];
            if self.resuming {
                events.push(Event::RunResumed { epoch: self.epoch });
            }
            return Some((events, What::Due));
        }
        if self.leaving {
            return (!self.in_flight()).then(|| (vec![Event::LeaseReleased {}], What::Due));
        }
        if ended {
            return self.inbox_decision(turn);
        }
        if let Some(event) = self.void_orphan() {
            return Some((vec![event], What::Due));
        }
        if let Some(decided) = self.inbox_decision(turn) {
            return Some(decided);
        }
        if let Some(reason) = self.aborting.clone()
            && !self.in_flight()
            && !self.state.unclear().is_some_and(Operation::may_arrive)
            && self.fencing.is_none()
        {
            return Some((vec![Event::RunAborted { reason }], What::Due));
        }
        if let Some(decided) = self.fence_decision() {
            return Some(decided);
        }
        if self.aborting.is_some() {
            return None;
        }
        if let Some(event) = self.broken_agreement(turn) {
            return Some((vec![event], What::Due));
        }
        self.countdown_decision(turn)
            .or_else(|| self.talk_decision(turn))
            .or_else(|| self.verify_decision(turn))
            .or_else(|| self.progress(turn).map(|events| (events, What::Due)))
    }

    /// Steps on, where nothing stands in the way.
    fn progress(&mut self, turn: &mut Turn) -> Option<Vec<Event>> {
        if let Some(event) = self.bake_change(turn) {
            return Some(vec![event]);
        }
        // While a back-out is talked about nothing moves forward: its plan rests on how far the run has come.
        let turning = self.running() && self.talk.as_ref().is_some_and(|t| t.purpose == Purpose::BackOut);
        // A step forward that is unclear does not keep the way back from beginning; its act closes that step off first.
        let unclear = self.state.unclear().is_some_and(|op| self.running() || self.state.runbook.position(&op.step).is_none());
        if self.held() || turning || self.in_flight() || unclear || self.fencing.is_some() {
            return None;
        }
        match self.state.phase {
            Phase::Running if self.state.runbook.steps.is_empty() => None,
            Phase::Running if !self.state.preconditions_met => self.preconditions_decision().map(|event| vec![event]),
            Phase::Running if !all_ended(&self.state.steps) => self.step_on(turn, Part::Forward),
            Phase::RollingBack if !all_ended(&self.state.rollback) => self.step_on(turn, Part::Back),
            Phase::Running | Phase::RollingBack if !all_ended(&self.state.finally) => self.step_on(turn, Part::End),
            Phase::Running => Some(vec![Event::RunCompleted {}]),
            Phase::RollingBack => Some(self.rolled_back()),
            Phase::Completed | Phase::RolledBack | Phase::RollbackStuck | Phase::Aborted => None,
        }
    }

    fn rolled_back(&self) -> Vec<Event> {
        let steps = self.state.rollback_plan.iter().zip(&self.state.rollback);
        let given_up = steps
            .into_iter()
            .find(|(step, state)| matches!(step.kind, StepKind::Do(_)) && state.phase == StepPhase::Skipped && state.attempts > 0);
        if let Some((step, state)) = given_up {
            let reason = format!("the way back was not finished: {} was skipped: {}", step.id, state.why);
            return vec![Event::RunAborted { reason: crate::domain::text::clean_bounded(&reason, 300) }];
        }
        let undone = self.state.in_force.iter().rev().map(|step| Event::StepUndone { step: step.clone() });
        undone.chain([Event::RunRolledBack {}]).collect()
    }

    fn step_on(&mut self, turn: &mut Turn, part: Part) -> Option<Vec<Event>> {
        let (plan, states) = match part {
            Part::Forward => (&self.state.runbook.steps, &self.state.steps),
            Part::Back => (&self.state.rollback_plan, &self.state.rollback),
            Part::End => (&self.state.runbook.finally, &self.state.finally),
        };
        let place = states.iter().position(|s| !ended(s))?;
        let (step, state) = (plan.get(place)?.clone(), states.get(place)?.clone());
        match state.phase {
            StepPhase::Pending if state.attempts == 0 && !step.when.as_ref().is_none_or(|w| self.state.holds(w)) => {
                Some(vec![Event::StepSkipped { step: step.id, why: "its condition does not hold".into() }])
            }
            StepPhase::Pending => Some(vec![Event::StepEntered { step: step.id, attempt: state.attempts + 1 }]),
            StepPhase::Active => self.work_on(turn, &step, &state, part),
            StepPhase::Failed | StepPhase::Inconclusive => self.try_again(turn, &step, &state),
            _ => None,
        }
    }

    fn work_on(&mut self, turn: &mut Turn, step: &Step, state: &StepState, part: Part) -> Option<Vec<Event>> {
        let passed = |why: String| Some(vec![Event::StepPassed { step: step.id.clone(), why }]);
        match &step.kind {
            StepKind::Manual(_) if self.expired_item(turn.at.wall).is_some() => self.expired_item(turn.at.wall).map(|event| vec![event]),
            StepKind::Manual(manual) if open_items(step, state).is_empty() => {
                passed(format!("complete, {} of {}", manual.items.len(), manual.items.len()))
            }
            StepKind::Manual(_) | StepKind::Gate => None,
            StepKind::Approve(_) | StepKind::Poll(_) => self.agreed_on(turn, step),
            StepKind::Check(check) => match self.checked(step, check) {
                Checked::Passed(why) => passed(crate::domain::text::clean_bounded(&why, 300)),
                Checked::Failed(why) => Some(self.failure_of(&step.id, &why, false)).filter(|events| !events.is_empty()),
                Checked::Open if self.time_is_up(turn) => {
                    let (why, inconclusive) = self.timed_out(step, check);
                    let mut events = self.failure_of(&step.id, &why, true);
                    if let Some(Event::StepFailed { inconclusive: told, .. }) = events.first_mut() {
                        *told = inconclusive;
                    }
                    Some(events).filter(|events| !events.is_empty())
                }
                Checked::Open => None,
            },
            StepKind::Wait { duration, .. } => {
                if let Some((reason, by)) = &state.shortened {
                    return passed(crate::domain::text::clean_bounded(&format!("shortened by {}: {reason}", by.id), 300));
                }
                let counting = state.bake.as_ref().is_some_and(|b| b.counting_since.is_some());
                let over = self.state.bake_left(&turn.at, &self.boot_id).is_some_and(|left| left.is_zero());
                if counting && over { passed(format!("baked {}", crate::domain::text::span(*duration))) } else { None }
            }
            StepKind::Do(action) => {
                let free = part == Part::Back || (part == Part::End && step.confirm == Confirm::None);
                if free && self.time_is_up(turn) {
                    let why = self.clock.trouble.clone().unwrap_or_else(|| "it could not be sent in time".into());
                    self.withdraw(turn, &why);
                    return Some(self.failure_of(&step.id, &why, true)).filter(|events| !events.is_empty());
                }
                if free && self.may_act_by_itself(turn, step, part) {
                    let purpose = if part == Part::Back { Purpose::BackOut } else { Purpose::Forward };
                    self.start_talk(purpose, step.id.clone(), action.clone(), Confirm::None, "");
                    self.ask_for_plan(turn);
                }
                None
            }
        }
    }

    /// A failed step is tried again by itself, or left out, where the file says so. What may still be on its way is never tried again.
    fn try_again(&mut self, turn: &Turn, step: &Step, state: &StepState) -> Option<Vec<Event>> {
        let unsettled = self.state.operation.as_ref().is_some_and(|op| op.step == step.id && op.is_open());
        if unsettled || self.talk.is_some() {
            return None;
        }
        match step.on_failure.retry.filter(|retry| state.retries < retry.times) {
            Some(_) => {
                let due = self.retry_step.as_ref().is_some_and(|(id, at)| *id == step.id && turn.at.boot >= *at);
                let nth = state.retries + 1;
                due.then(|| {
                    vec![
                        Event::StepRetried { step: step.id.clone(), nth },
                        Event::StepEntered { step: step.id.clone(), attempt: state.attempts + 1 },
                    ]
                })
            }
            None if step.on_failure.goes_on => {
                let why = crate::domain::text::clean_bounded(&format!("failed, and the runbook goes on: {}", state.why), 300);
                Some(vec![Event::StepSkipped { step: step.id.clone(), why }])
            }
            None => None,
        }
    }

    /// Starts the pause before a failed step is tried again.
    pub(super) fn keep_retry(&mut self, turn: &Turn) {
        let failed = self.state.current().filter(|(_, state)| matches!(state.phase, StepPhase::Failed | StepPhase::Inconclusive));
        let pause = failed.and_then(|(step, state)| {
            let retry = step.on_failure.retry.filter(|retry| state.retries < retry.times)?;
            Some((step.id.clone(), retry.backoff))
        });
        match pause {
            None => self.retry_step = None,
            Some((step, _)) if self.retry_step.as_ref().is_some_and(|(id, _)| *id == step) => {}
            Some((step, backoff)) => self.retry_step = Some((step, turn.at.boot + backoff)),
        }
    }

    /// Whether the way back takes its next act without asking: the one confirmation for all of it was given.
    fn may_act_by_itself(&self, turn: &Turn, step: &Step, part: Part) -> bool {
        let spent = self
            .state
            .operation
            .as_ref()
            .is_none_or(|op| op.step != step.id || matches!(op.stage, OpStage::Void | OpStage::NotApplied { .. }));
        (part == Part::End || self.state.way_back_is_free()) && self.talk.is_none() && spent && turn.at.boot >= self.retry_back.0
    }

    /// A bake starts or stops to count, or is journaled while it counts.
    fn bake_change(&self, turn: &Turn) -> Option<Event> {
        let (step, state) = self.state.current()?;
        let bake = state.bake.as_ref().filter(|_| state.phase == StepPhase::Active)?;
        let left = self.state.bake_left(&turn.at, &self.boot_id)?;
        let (id, left_ms) = (step.id.clone(), words::millis(left));
        let stop = self.bake_stop();
        match (bake.counting_since, stop) {
            (Some(_), Some(why)) => Some(Event::WaitStopped { step: id, left_ms, why }),
            (None, None) => Some(Event::WaitCounting { step: id, left_ms }),
            (Some((_, since)), None) if !left.is_zero() && turn.at.boot.saturating_sub(since) >= BAKE_CHECKPOINT => {
                Some(Event::WaitCounting { step: id, left_ms })
            }
            _ => None,
        }
    }

    /// Why a bake does not count.
    fn bake_stop(&self) -> Option<String> {
        if self.held() {
            return Some("held".into());
        }
        if self.state.unclear().is_some() {
            return Some("an operation is unclear".into());
        }
        (!self.data.0).then(|| crate::domain::text::clean_bounded(&self.data.1, 120))
    }

    /// The machine slept: what a bake counted meanwhile does not count.
    pub(super) fn asleep_at(&mut self, turn: &Turn) {
        let awake = crate::domain::Stamp { boot: self.last_boot.min(turn.at.boot), ..turn.at };
        let Some((step, state)) = self.state.current() else { return };
        if state.bake.as_ref().is_none_or(|b| b.counting_since.is_none()) {
            return;
        }
        if let Some(left) = self.state.bake_left(&awake, &self.boot_id) {
            let step = step.id.clone();
            self.fact(Event::WaitStopped { step, left_ms: words::millis(left), why: "asleep".into() });
        }
    }

    pub(super) fn bake_deadline(&self) -> Option<Duration> {
        let (step, state) = self.state.current()?;
        let StepKind::Wait { .. } = step.kind else { return None };
        let bake = state.bake.as_ref().filter(|_| state.phase == StepPhase::Active)?;
        let (_, since) = bake.counting_since?;
        Some(since + bake.left.min(BAKE_CHECKPOINT))
    }

    /// Counts the time of the active step while nothing holds it up.
    pub(super) fn keep_step_clock(&mut self, turn: &Turn) {
        let active = self.state.current().filter(|(_, s)| s.phase == StepPhase::Active).map(|(s, st)| (s.id.clone(), st.attempts));
        if self.clock.step != active {
            self.clock = StepClock { step: active.clone(), ..StepClock::default() };
        }
        let counts = active.is_some() && !self.held() && !self.in_flight() && self.state.unclear().is_none();
        match (self.clock.since, counts) {
            (None, true) => self.clock.since = Some(turn.at.boot),
            (Some(since), false) => {
                self.clock.ran += turn.at.boot.saturating_sub(since);
                self.clock.since = None;
            }
            _ => {}
        }
    }

    /// The time that the active step has in all, where it has one. An act forward waits for its person as long as it takes.
    fn time_limit(&self) -> Option<Duration> {
        let (step, _) = self.state.current()?;
        let at_the_end = step.confirm == Confirm::None && self.state.is_at_the_end(&step.id);
        match step.kind {
            StepKind::Check(_) => step.timeout,
            StepKind::Do(_) if at_the_end => Some(step.timeout.unwrap_or(VERIFY_TIMEOUT)),
            StepKind::Do(_) if !self.running() && self.state.way_back_is_free() => Some(step.timeout.unwrap_or(VERIFY_TIMEOUT)),
            _ => None,
        }
    }

    fn time_is_up(&self, turn: &Turn) -> bool {
        let ran = self.clock.ran + self.clock.since.map_or(Duration::ZERO, |since| turn.at.boot.saturating_sub(since));
        self.time_limit().is_some_and(|limit| ran >= limit)
    }

    pub(super) fn step_deadline(&self) -> Option<Duration> {
        let since = self.clock.since?;
        self.time_limit().map(|limit| since + limit.saturating_sub(self.clock.ran))
    }
}

fn all_ended(steps: &[StepState]) -> bool {
    steps.iter().all(ended)
}

fn ended(state: &StepState) -> bool {
    matches!(state.phase, StepPhase::Passed | StepPhase::Skipped | StepPhase::Undone)
}
