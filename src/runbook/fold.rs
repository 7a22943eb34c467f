//! Folding the journal: the only way the state of a run comes about.

use super::gate::{Agreed, Cast, Terms};
use super::pin::{from_journal, to_journal};
use super::plan::{Runbook, StepKind};
use super::record::{Event, Found, SendOutcome, TargetRecord};
use super::state::{
    Bake, FoldError, GuardState, Hold, ItemAnswer, LandingState, OpStage, Operation, Phase, RunState, StepPhase, StepState,
};
use crate::domain::canonical::{self, CanonicalError};
use crate::domain::record::{Draft, Entry};
use crate::domain::{Failure, Outcome, Percent, StepId};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// SHA-256 of the canonical form of a resolved runbook: what a run pins.
pub fn runbook_hash(runbook: &Runbook) -> Result<String, CanonicalError> {
    canonical::hash(&to_journal(runbook))
}

/// The first entry of a run: `run.started`, which pins the resolved runbook.
///
/// * `auto_back_out`: the operator confirmed at the start that a guard may back out by itself.
/// * `configured`: the canary's share as configured now, when it is known.
/// * `restarts`: restarts of all instances so far, to tell new ones from old ones.
#[must_use]
pub fn start_draft(runbook: &Runbook, hash: &str, auto_back_out: bool, configured: Option<Percent>, restarts: u32) -> Draft {
    let target = TargetRecord {
        platform: runbook.target.platform.clone(),
        service: runbook.target.service.clone(),
        environment: runbook.target.environment.clone(),
    };
    let started = Event::RunStarted {
        runbook: to_journal(runbook),
        hash: hash.to_owned(),
        target,
        auto_back_out,
        configured,
        restarts,
        signature: None,
    };
    started.draft()
}

impl RunState {
    /// The state after the first entry, which must be `run.started`.
    pub fn begin(entry: &Entry) -> Result<Self, FoldError> {
        let Event::RunStarted { runbook, hash, target, auto_back_out, configured, restarts, .. } = Event::of(entry).map_err(FoldError)?
        else {
            return Err(FoldError(format!("run {} does not begin with run.started", entry.run)));
        };
        if entry.seq != 1 {
            return Err(FoldError(format!("entry {} of {} stands where 1 should", entry.seq, entry.run)));
        }
        let runbook = from_journal(&runbook).map_err(|e| FoldError(format!("the runbook of {}: {e}", entry.run)))?;
        let mut state = Self {
            run: entry.run.clone(),
            hash,
            target,
            head: entry.seq,
            head_hash: entry.hash.clone(),
            epoch: entry.epoch,
            driver: entry.actor.clone(),
            released: false,
            phase: Phase::Running,
            end_reason: None,
            hold: None,
            steps: vec![StepState::default(); runbook.steps.len()],
            rollback: Vec::new(),
            rollback_plan: Vec::new(),
            finally: vec![StepState::default(); runbook.finally.len()],
            preconditions: BTreeMap::new(),
            preconditions_met: runbook.preconditions.is_empty(),
            window_overridden: None,
            agreed: None,
            tripped_seq: 0,
            guards: vec![GuardState::default(); runbook.guards.len()],
            operation: None,
            in_force: Vec::new(),
            intended: None,
            intended_on: BTreeMap::new(),
            shifted_at: None,
            landed: None,
            exposed_at: None,
            landing: None,
            harm_spent: 0,
            auto_back_out,
            restarts_at_start: restarts,
            configured_at_start: configured,
            started: entry.time.store,
            rollback_began: None,
            ended: None,
            driver_at: entry.time.store,
            doubtful: None,
            fence: None,
            fence_owed: false,
            intended_before: None,
            intents: BTreeMap::new(),
            incident: None,
            runbook: Arc::new(runbook),
        };
        state.lay_out_way_back();
        Ok(state)
    }

    /// The state after all these entries, from the first one on.
    pub fn of(entries: &[Entry]) -> Result<Self, FoldError> {
        let (first, rest) = entries.split_first().ok_or_else(|| FoldError("it has no entries".into()))?;
        let mut state = Self::begin(first)?;
        for entry in rest {
            state.fold(entry)?;
        }
        Ok(state)
    }

    /// The state after one more entry. On an error the state is as before.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), FoldError> {
        self.follow(entry, Event::of(entry).map_err(FoldError)?)
    }

    /// As [`RunState::fold`], of an entry that was read already.
    pub(super) fn follow(&mut self, entry: &Entry, event: Event) -> Result<(), FoldError> {
        if entry.run != self.run {
            return Err(FoldError(format!("entry {} belongs to {} and not to {}", entry.seq, entry.run, self.run)));
        }
        if entry.seq != self.head + 1 || entry.prev != self.head_hash {
            return Err(FoldError(format!("entry {} of {} does not follow entry {}", entry.seq, entry.run, self.head)));
        }
        // Only steps and acts change what there is to take back.
        let moves = matches!(
            event,
            Event::StepEntered { .. }
                | Event::StepPassed { .. }
                | Event::StepFailed { .. }
                | Event::StepSkipped { .. }
                | Event::StepUndone { .. }
                | Event::ActionIntent { .. }
                | Event::ActionOutcome { .. }
                | Event::ActionReconciled { .. }
                | Event::ActionAdopted { .. }
        );
        match event {
            Event::RunStarted { .. } => return Err(FoldError(format!("entry {} starts {} once more", entry.seq, entry.run))),
            Event::StepEntered { .. }
            | Event::StepPassed { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepUndone { .. }
            | Event::ItemAnswered { .. }
            | Event::CheckSample { .. }
            | Event::WaitCounting { .. }
            | Event::WaitStopped { .. }
            | Event::ItemExpired { .. }
            | Event::ItemSeen { .. }
            | Event::WaitShortened { .. }
            | Event::StepRetried { .. }
            | Event::GateOpened { .. }
            | Event::GateVoted { .. }
            | Event::GateSignature { .. }
            | Event::GateReopened { .. } => self.fold_step(event, entry)?,
            Event::RunRecycled { to, .. } => self.recycle(&to)?,
            Event::ActionPlanned { .. }
            | Event::ActionConfirmed { .. }
            | Event::ActionReplanned { .. }
            | Event::ActionIntent { .. }
            | Event::ActionOutcome { .. }
            | Event::ActionReconciled { .. }
            | Event::ActionVerified { .. }
            | Event::ActionAdopted { .. } => self.fold_action(event, entry),
            Event::GuardBreached { .. } | Event::GuardCleared { .. } | Event::GuardTripped { .. } | Event::CountdownCancelled { .. } => {
                self.fold_guard(event, entry);
            }
            Event::IncidentDeclared { .. }
            | Event::IncidentSeverity { .. }
            | Event::IncidentUpdate { .. }
            | Event::IncidentEscalated { .. }
            | Event::IncidentResolved { .. } => super::incident::fold(&mut self.incident, event, entry),
            other => self.fold_run(other, entry),
        }
        self.head = entry.seq;
        self.head_hash.clone_from(&entry.hash);
        if entry.actor == self.driver {
            self.driver_at = entry.time.store;
        }
        if moves && self.phase == Phase::Running {
            self.lay_out_way_back();
        }
        Ok(())
    }

    fn fold_run(&mut self, event: Event, entry: &Entry) {
        match event {
            Event::RunCompleted {} => self.finish(Phase::Completed, None, entry),
            Event::RunRolledBack {} => self.finish(Phase::RolledBack, None, entry),
            Event::RunAborted { reason } => self.finish(Phase::Aborted, Some(reason), entry),
            Event::RunRollbackStuck { why } => {
                self.phase = Phase::RollbackStuck;
                self.end_reason = Some(why);
            }
            Event::LeaseAcquired { epoch, taken_from } => {
                self.stop_counting("the driver changed");
                self.fence_owed |= taken_from.is_some();
                self.epoch = epoch;
                self.driver = entry.actor.clone();
                self.released = false;
            }
            Event::LeaseReleased {} => {
                self.stop_counting("the driver left");
                self.released = true;
            }
            // Going back is never stopped by a hold; it is in the record all the same.
            Event::HoldBegan { reason, guard } if self.phase == Phase::Running => {
                let first = self.hold.is_none() || (guard.is_some() && self.hold.as_ref().is_some_and(|h| h.guard.is_none()));
                if first {
                    self.hold = Some(Hold { reason, guard, by: entry.actor.clone(), since: entry.time.store });
                }
            }
            Event::HoldEnded {} => self.hold = None,
            Event::RollbackBegan { why, automatic } => self.turn_back(why, automatic, entry.time.store),
            Event::TrafficObserved { agreed, shown } => self.landed = Some((agreed, shown)),
            Event::LandingProved { ref op, took_ms, .. } => {
                let text = super::story::landing(&event).unwrap_or_default();
                self.landing = Some(LandingState { op: op.clone(), took: Some(Duration::from_millis(took_ms)), text });
            }
            Event::LandingMissing { ref op, .. } => {
                let text = super::story::landing(&event).unwrap_or_default();
                self.landing = Some(LandingState { op: op.clone(), took: None, text });
            }
            Event::HarmExceeded { .. } => self.harm_spent += 1,
            Event::PreconditionFound { precondition, outcome, shown, .. } => {
                self.preconditions.insert(precondition, (outcome, shown));
            }
            Event::PreconditionsMet { .. } => self.preconditions_met = true,
            Event::WindowOverridden { reason } => {
                self.window_overridden = Some((reason, entry.actor.clone(), entry.time.store));
            }
            _ => {}
        }
    }

    fn finish(&mut self, phase: Phase, reason: Option<String>, entry: &Entry) {
        self.phase = phase;
        self.end_reason = reason;
        self.ended = Some(entry.time.store);
        self.hold = None;
    }

    fn turn_back(&mut self, why: String, automatic: bool, at: DateTime<Utc>) {
        self.stop_counting("backing out");
        self.phase = Phase::RollingBack;
        self.end_reason = None;
        self.hold = None;
        self.landed = None;
        self.rollback_began = Some((at, why, automatic));
        self.agreed = None;
        for guard in &mut self.guards {
            guard.countdown = None;
        }
        // What is said and done at the end is said and done after the way back.
        for step in &mut self.finally {
            *step = StepState { attempts: step.attempts, ..StepState::default() };
        }
        for step in &mut self.rollback {
            if matches!(step.phase, StepPhase::Active | StepPhase::Failed | StepPhase::Inconclusive) {
                step.phase = StepPhase::Pending;
            }
        }
        // What was accepted is in force and the way back takes it back; only what may still arrive stays in doubt.
        if self.doubtful.as_ref().is_some_and(|op| !op.may_arrive()) {
            self.doubtful = None;
        }
    }

    /// Freezes a counting bake at what is certain: time after the driver's last entry does not count.
    fn stop_counting(&mut self, why: &str) {
        let last = self.driver_at;
        for bake in self.steps.iter_mut().chain(&mut self.rollback).filter_map(|s| s.bake.as_mut()) {
            if let Some((since, _)) = bake.counting_since.take() {
                bake.left = bake.left.saturating_sub((last - since).to_std().unwrap_or_default());
                bake.stopped = Some(why.to_owned());
            }
        }
    }

    /// State of a step, forward or of the way back.
    fn step_mut(&mut self, id: &StepId) -> Result<&mut StepState, FoldError> {
        if let Some(i) = self.runbook.position(id) {
            return Ok(&mut self.steps[i]);
        }
        if let Some(i) = self.rollback_plan.iter().position(|s| s.id == *id) {
            return Ok(&mut self.rollback[i]);
        }
        let place = self.runbook.finally.iter().position(|s| s.id == *id);
        place.map(|i| &mut self.finally[i]).ok_or_else(|| FoldError(format!("{} has no step {id}", self.run)))
    }

    fn fold_step(&mut self, event: Event, entry: &Entry) -> Result<(), FoldError> {
        let at = entry.time.store;
        match event {
            Event::StepEntered { step, attempt } => self.enter(&step, attempt, at)?,
            Event::StepPassed { step, why } => {
                self.end_step(&step, StepPhase::Passed, why, at)?;
                self.pass_action(&step);
            }
            Event::StepFailed { step, why, inconclusive } => {
                self.end_step(&step, if inconclusive { StepPhase::Inconclusive } else { StepPhase::Failed }, why, at)?;
            }
            Event::StepSkipped { step, why } => self.end_step(&step, StepPhase::Skipped, why, at)?,
            Event::StepUndone { step } => {
                self.step_mut(&step)?.phase = StepPhase::Undone;
                self.in_force.retain(|s| *s != step);
            }
            Event::ItemAnswered { step, item, answer, ok } => {
                let rules = self.decides(&entry.actor.id);
                let new = ItemAnswer { answer, ok, by: entry.actor.clone(), at, expired: false, disputed: None };
                let answers = &mut self.step_mut(&step)?.answers;
                let settled = settle(answers.remove(&item), new, rules);
                answers.insert(item, settled);
            }
            Event::CheckSample { step, condition, outcome, shown, .. } => {
                self.step_mut(&step)?.conditions.insert(condition, (outcome, shown));
            }
            Event::WaitCounting { step, left_ms } => {
                let boot = Duration::from_millis(entry.time.boot);
                let boot_id = entry.time.boot_id.clone();
                let left = Duration::from_millis(left_ms);
                self.step_mut(&step)?.bake = Some(Bake { left, counting_since: Some((at, boot)), boot_id, stopped: None });
            }
            Event::WaitStopped { step, left_ms, why } => {
                let boot_id = entry.time.boot_id.clone();
                let left = Duration::from_millis(left_ms);
                self.step_mut(&step)?.bake = Some(Bake { left, counting_since: None, boot_id, stopped: Some(why) });
            }
            Event::ItemExpired { step, item } => {
                if let Some(answer) = self.step_mut(&step)?.answers.get_mut(&item) {
                    answer.expired = true;
                }
            }
            Event::ItemSeen { step, item, outcome, shown, .. } => {
                let known = self.step_mut(&step)?;
                let before = known.seen.insert(item, (outcome, shown)).map(|(outcome, _)| outcome);
                if outcome == Outcome::Pass {
                    known.was_good.remove(&item);
                } else if before == Some(Outcome::Pass) {
                    known.was_good.insert(item, at);
                }
            }
            Event::WaitShortened { step, reason, .. } if self.may_shorten(&step, &entry.actor.id) => {
                self.step_mut(&step)?.shortened = Some((reason, entry.actor.clone()));
            }
            Event::StepRetried { step, nth } => self.step_mut(&step)?.retries = nth,
            other => self.fold_gate(other, entry)?,
        }
        Ok(())
    }

    fn fold_gate(&mut self, event: Event, entry: &Entry) -> Result<(), FoldError> {
        let at = entry.time.store;
        match event {
            Event::GateOpened { step, act, plan_hash, shown } => {
                self.step_mut(&step)?.terms = Some(Terms { act, plan_hash, shown, since: at });
            }
            Event::GateVoted { step, role, vote, reason, plan_hash, signature: _ } => {
                let (seq, by) = (entry.seq, entry.actor.clone());
                let cast = Cast { seq, role, vote, reason, plan_hash, by, at, key: None, bad_signature: None };
                self.step_mut(&step)?.votes.push(cast);
            }
            Event::GateSignature { step, vote, key, why } => {
                if let Some(cast) = self.step_mut(&step)?.votes.iter_mut().find(|cast| cast.seq == vote) {
                    cast.key = key;
                    cast.bad_signature = why;
                }
            }
            Event::GateReopened { step, .. } => {
                let gate = self.step_mut(&step)?;
                gate.phase = StepPhase::Active;
                gate.ended = None;
                gate.terms = None;
                self.agreed = None;
                // What comes after it waits for it again.
                let place = self.runbook.position(&step);
                for later in self.steps.iter_mut().skip(place.map_or(usize::MAX, |place| place + 1)) {
                    if matches!(later.phase, StepPhase::Active | StepPhase::Failed | StepPhase::Inconclusive) {
                        later.phase = StepPhase::Pending;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Back to an earlier step: it and all after it are to be done again.
    fn recycle(&mut self, to: &StepId) -> Result<(), FoldError> {
        let place = self.runbook.position(to).ok_or_else(|| FoldError(format!("{} has no step {to}", self.run)))?;
        for state in self.steps.iter_mut().skip(place) {
            let attempts = state.attempts;
            *state = StepState { attempts, ..StepState::default() };
        }
        self.agreed = None;
        if let Some(op) = self.operation.as_mut().filter(|op| !op.is_open()) {
            op.stage = OpStage::Void;
        }
        Ok(())
    }

    fn enter(&mut self, id: &StepId, attempt: u32, at: DateTime<Utc>) -> Result<(), FoldError> {
        let planned = self.plan_step(id);
        let wait = planned.and_then(|s| if let StepKind::Wait { duration, .. } = s.kind { Some(duration) } else { None });
        let step = self.step_mut(id)?;
        step.phase = StepPhase::Active;
        step.attempts = attempt;
        step.entered.get_or_insert(at);
        step.ended = None;
        step.why.clear();
        step.conditions.clear();
        step.seen.clear();
        step.was_good.clear();
        step.terms = None;
        step.shortened = None;
        step.bake = wait.map(|left| Bake { left, counting_since: None, boot_id: String::new(), stopped: Some("not begun".into()) });
        if self.phase == Phase::RollbackStuck {
            self.phase = Phase::RollingBack;
            self.end_reason = None;
        }
        // Doing a step again is a new operation, planned and confirmed anew.
        let over = |op: &&mut Operation| matches!(op.stage, OpStage::Accepted | OpStage::Verified | OpStage::NotApplied { .. });
        if let Some(op) = self.operation.as_mut().filter(|op| op.step == *id).filter(over) {
            op.stage = OpStage::Void;
        }
        Ok(())
    }

    fn end_step(&mut self, id: &StepId, phase: StepPhase, why: String, at: DateTime<Utc>) -> Result<(), FoldError> {
        let step = self.step_mut(id)?;
        step.phase = phase;
        step.why = why;
        step.ended = Some(at);
        if let Some(bake) = step.bake.as_mut() {
            bake.counting_since = None;
        }
        let terms = step.terms.clone().filter(|_| phase == StepPhase::Passed);
        if let Some((act, plan_hash)) = terms.and_then(|terms| Some((terms.act?, terms.plan_hash))) {
            self.agreed = Some(Agreed { gate: id.clone(), act, plan_hash });
        }
        if self.phase == Phase::RollbackStuck && matches!(phase, StepPhase::Passed | StepPhase::Skipped) {
            self.phase = Phase::RollingBack;
            self.end_reason = None;
        }
        Ok(())
    }

    /// A step that acts passed: its effect is in force, whoever brought it about.
    fn pass_action(&mut self, id: &StepId) {
        let Some(StepKind::Do(action)) = self.plan_step(id).map(|s| s.kind.clone()) else { return };
        self.agreed = self.agreed.take().filter(|agreed| agreed.act != *id);
        self.put_in_force(id);
        let adopted = self.operation.as_ref().is_some_and(|op| op.step == *id && op.stage == OpStage::Verified);
        if !adopted {
            self.intend(id, action.weight());
        }
        self.doubtful = self.doubtful.take().filter(|op| op.step != *id);
        if let Some(op) = self.operation.as_mut().filter(|op| op.step == *id && op.stage != OpStage::Verified) {
            op.stage = OpStage::Void;
        }
    }

    /// Puts a forward step among those that may be in force; tells whether it was not there.
    fn put_in_force(&mut self, id: &StepId) -> bool {
        let new = self.runbook.position(id).is_some() && !self.in_force.contains(id);
        if new {
            self.in_force.push(id.clone());
        }
        new
    }

    fn fold_guard(&mut self, event: Event, entry: &Entry) {
        let (id, at) = (
            match &event {
                Event::GuardBreached { guard, .. }
                | Event::GuardCleared { guard }
                | Event::GuardTripped { guard, .. }
                | Event::CountdownCancelled { guard } => guard.clone(),
                _ => return,
            },
            entry.time.store,
        );
        let Some(place) = self.runbook.guards.iter().position(|g| g.id == id) else { return };
        let guard = &mut self.guards[place];
        match event {
            Event::GuardBreached { .. } => guard.breached = true,
            Event::GuardCleared { .. } => {
                guard.breached = false;
                guard.standing = false;
            }
            Event::GuardTripped { why, countdown, .. } => {
                guard.breached = true;
                guard.standing = true;
                guard.tripped = Some((why, at));
                guard.countdown = countdown.then_some(at);
                self.tripped_seq = entry.seq;
            }
            _ => guard.countdown = None,
        }
    }

    fn fold_action(&mut self, event: Event, entry: &Entry) {
        let at = entry.time.store;
        match event {
            Event::ActionPlanned { op, step, action, plan_hash, before, .. } => {
                let running = self.phase == Phase::Running;
                if self.operation.as_ref().is_some_and(|op| if running { op.is_open() } else { op.may_arrive() }) {
                    self.doubtful = self.operation.take();
                }
                let attempt = self.intents.get(&step).copied().unwrap_or_default() + 1;
                let mut planned = Operation::new(op, step, action, plan_hash);
                planned.attempt = attempt;
                planned.relied = Some(before);
                self.operation = Some(planned);
            }
            Event::ActionConfirmed { op, .. } => {
                if let Some(found) = self.operation.as_mut().filter(|o| o.op == op) {
                    found.stage = OpStage::Confirmed { seq: entry.seq };
                }
            }
            Event::ActionReplanned { op, why } => self.void(&op, why),
            Event::ActionIntent { .. } => self.fold_intent(event, at),
            Event::ActionOutcome { op, outcome } => self.fold_outcome(&op, &outcome, at),
            Event::ActionReconciled { op, found, weight, why } => {
                self.fold_reconciled(&op, found, why, at);
                let seen = [&mut self.operation, &mut self.doubtful].into_iter().flatten().find(|o| o.op == op);
                if let Some(seen) = seen {
                    seen.seen_weight = weight;
                }
            }
            Event::ActionVerified { op, weight, .. } => {
                if let Some(found) = self.operation.as_mut().filter(|o| o.op == op) {
                    found.stage = OpStage::Verified;
                    found.verified_at = Some(at);
                    let exposed = found.action.raises_traffic().then(|| found.intent_at.unwrap_or(at));
                    let step = found.step.clone();
                    self.intend(&step, weight);
                    self.shifted(&step, at);
                    self.exposed(&step, exposed);
                }
            }
            Event::ActionAdopted { op, weight, .. } => {
                if self.operation.as_ref().is_none_or(|o| o.op != op) && self.doubtful.as_ref().is_some_and(|o| o.op == op) {
                    self.operation = self.doubtful.take();
                }
                if let Some(found) = self.operation.as_mut().filter(|o| o.op == op) {
                    found.stage = OpStage::Verified;
                    found.verified_at = Some(at);
                    let exposed = Some(found.intent_at.unwrap_or(at));
                    let (step, about_weight) = (found.step.clone(), found.action.weight().is_some());
                    if weight.is_some() || about_weight {
                        self.set_intended(&step, weight);
                    }
                    self.shifted(&step, at);
                    self.exposed(&step, exposed);
                }
            }
            _ => {}
        }
    }

    /// A plan or its confirmation became void: what it had set aside counts again.
    fn void(&mut self, op: &crate::domain::OpId, why: String) {
        let Some(found) = self.operation.as_mut().filter(|o| o.op == *op) else { return };
        if let Some(earlier) = self.doubtful.take() {
            self.operation = Some(earlier);
        } else {
            found.stage = OpStage::Void;
            found.seen = Some(why);
        }
    }

    fn fold_intent(&mut self, event: Event, at: DateTime<Utc>) {
        let Event::ActionIntent { op, step, attempt, fence, action, epoch, plan_hash, before, .. } = event else { return };
        let mut intent = Operation::new(op, step.clone(), action.clone(), plan_hash);
        intent.fence = fence;
        intent.attempt = attempt;
        intent.epoch = Some(epoch);
        intent.relied = Some(before.relied());
        intent.before = Some(before);
        intent.stage = OpStage::Intent;
        intent.intent_at = Some(at);
        if fence {
            self.fence = Some(intent);
            return;
        }
        // Only what can never arrive any more is left behind here.
        self.doubtful = None;
        intent.put_in_force = self.put_in_force(&step);
        self.intents.insert(step.clone(), attempt);
        self.intended_before = self.intended_by(&step);
        self.intend(&step, action.weight());
        self.operation = Some(intent);
    }

    fn fold_outcome(&mut self, op: &crate::domain::OpId, outcome: &SendOutcome, at: DateTime<Utc>) {
        let found = [&mut self.operation, &mut self.doubtful, &mut self.fence].into_iter().flatten().find(|o| o.op == *op);
        let Some(found) = found else { return };
        found.stage = Self::stage_of(outcome);
        if matches!(outcome, SendOutcome::Accepted { .. }) {
            found.accepted_at = Some(at);
            // Our epoch is on the object: whatever tests an older one is refused there.
            let stamped = found.before.as_ref().is_none_or(|before| before.stamped);
            self.fence_owed &= !stamped || found.epoch != Some(self.epoch);
        }
        if matches!(outcome, SendOutcome::NotApplied { .. }) && !found.fence {
            self.was_never_applied(op);
        }
    }

    fn fold_reconciled(&mut self, op: &crate::domain::OpId, found: Found, why: String, at: DateTime<Utc>) {
        let target = [&mut self.operation, &mut self.doubtful].into_iter().flatten().find(|o| o.op == *op);
        let Some(target) = target else { return };
        match found {
            Found::Applied => {
                target.stage = OpStage::Accepted;
                target.accepted_at = Some(at);
            }
            Found::Never => target.stage = OpStage::NotApplied { failure: Failure::NotSent { why: why.clone() } },
            other => {
                let failure = if let OpStage::Unknown { failure, .. } = &target.stage { failure.clone() } else { None };
                target.stage = OpStage::Unknown { failure, found: Some(other) };
            }
        }
        target.seen = Some(why);
        if found == Found::Never {
            self.was_never_applied(op);
        }
        if self.phase != Phase::Running && self.doubtful.as_ref().is_some_and(|o| o.op == *op && !o.may_arrive()) {
            self.doubtful = None;
        }
    }

    /// An operation is certain not to have been applied: it takes back what its intent had claimed.
    fn was_never_applied(&mut self, op: &crate::domain::OpId) {
        let Some(found) = [&self.operation, &self.doubtful].into_iter().flatten().find(|o| o.op == *op) else { return };
        let (step, put) = (found.step.clone(), found.put_in_force);
        if put {
            self.in_force.retain(|s| *s != step);
        }
        self.set_intended(&step, self.intended_before);
    }

    /// The service that a step acts on, where that is not the run's own.
    fn elsewhere(&self, step: &StepId) -> Option<String> {
        self.plan_step(step).and_then(|step| step.target.clone()).filter(|on| *on != self.runbook.target.service)
    }

    fn intended_by(&self, step: &StepId) -> Option<Percent> {
        match self.elsewhere(step) {
            Some(on) => self.intended_on.get(&on).copied(),
            None => self.intended,
        }
    }

    fn set_intended(&mut self, step: &StepId, weight: Option<Percent>) {
        match (self.elsewhere(step), weight) {
            (None, weight) => self.intended = weight,
            (Some(on), Some(weight)) => {
                self.intended_on.insert(on, weight);
            }
            (Some(on), None) => {
                self.intended_on.remove(&on);
            }
        }
    }

    /// What a step asked for; an act that is not about weights leaves them as they were.
    fn intend(&mut self, step: &StepId, weight: Option<Percent>) {
        if weight.is_some() {
            self.set_intended(step, weight);
        }
    }

    /// The run's own service was changed: what was observed before does not speak of it.
    fn shifted(&mut self, step: &StepId, at: DateTime<Utc>) {
        if self.elsewhere(step).is_none() {
            self.shifted_at = Some(at);
            self.landed = None;
            self.landing = None;
        }
    }

    /// Requests reach the new version of the run's own service, the first time since then.
    fn exposed(&mut self, step: &StepId, since: Option<DateTime<Utc>>) {
        if self.elsewhere(step).is_none() {
            self.exposed_at = self.exposed_at.or(since);
        }
    }
}

/// What stands after another answer to an item was given. `rules`: it comes from whoever decides for all.
fn settle(old: Option<ItemAnswer>, new: ItemAnswer, rules: bool) -> ItemAnswer {
    let Some(mut old) = old.filter(|old| !old.expired && !rules) else { return new };
    let same_person = old.by.id == new.by.id;
    match old.disputed.take() {
        None if same_person || old.answer == new.answer => new,
        None => ItemAnswer { disputed: Some(Box::new(new)), ..old },
        Some(other) if same_person && new.answer == other.answer => new,
        Some(other) if other.by.id == new.by.id && new.answer == old.answer => old,
        Some(other) if same_person => ItemAnswer { disputed: Some(other), ..new },
        Some(other) if other.by.id == new.by.id => ItemAnswer { disputed: Some(Box::new(new)), ..old },
        // A third voice does not settle it.
        Some(other) => ItemAnswer { disputed: Some(other), ..old },
    }
}
