//! The act itself: intent, one send, its answer, its proof.

use super::journal::{Intent, What};
use super::talk::Stage;
use super::words;
use super::{CONFIRMATION_LIFE, Engine, FenceStage, Sending, Turn, VERIFY_TIMEOUT, Verify, WRITE_DEADLINE};
use crate::domain::text::clean_bounded;
use crate::domain::{Accepted, Confirm, Failure, OpId, Refusal, StepId, Subject, Ticket, Write, WriteKind};
use crate::runbook::io::{Level, Output, Purpose};
use crate::runbook::record::{Event, SendOutcome};
use crate::runbook::state::{OpStage, Phase, StepPhase};
use std::time::Duration;

/// Beyond the write's own deadline, an answer that does not come at all counts as lost.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

impl Engine {
    /// The intent of what was confirmed and re-read.
    pub(super) fn intend(&mut self, turn: &mut Turn) -> Option<(Vec<Event>, What)> {
        let talk = self.talk.clone()?;
        let Stage::ToIntend(proposal, consent, subject) = talk.stage else { return None };
        let op = self.state.operation.as_ref().filter(|op| op.op == proposal.op);
        let stands = match op.map(|op| &op.stage) {
            Some(OpStage::Confirmed { seq }) => consent.is_some_and(|c| c.seq == *seq),
            Some(OpStage::Planned) => consent.is_none() && talk.confirm == Confirm::None,
            _ => false,
        };
        let old = talk.purpose == Purpose::Forward && consent.is_some_and(|c| turn.at.boot.saturating_sub(c.boot) > CONFIRMATION_LIFE);
        if !stands || old {
            self.withdraw(turn, "the confirmation does not stand any more: nothing was sent");
            return None;
        }
        let attempt = op.map_or(1, |op| op.attempt);
        let intent = Event::ActionIntent {
            op: proposal.op.clone(),
            step: talk.step.clone(),
            attempt,
            fence: false,
            action: talk.action.clone(),
            epoch: self.epoch,
            plan_hash: proposal.plan_hash.clone(),
            confirmed: consent.map(|c| c.seq),
            before: subject.clone(),
            deadline_ms: words::millis(WRITE_DEADLINE),
        };
        let write = Write {
            kind: WriteKind::Act { action: talk.action.clone() },
            target: self.target_of(&talk.step),
            run: self.state.run.clone(),
            op: proposal.op.clone(),
            epoch: self.epoch,
            before: *subject,
            deadline: WRITE_DEADLINE,
        };
        let confirmed = consent.map(|c| (c.seq, proposal.plan_hash.clone()));
        let intent_of = Intent { write, purpose: talk.purpose, fence: false, confirmed, cancelled: None, sent_early: false };
        Some((vec![intent], What::Intent(Box::new(intent_of))))
    }

    /// The intent is durable: now, and only now, it is sent. Unless something came in between.
    pub(super) fn intent_is_durable(&mut self, turn: &mut Turn, seq: u64, intent: Intent) {
        let op = intent.write.op.clone();
        self.talk.take_if(|t| t.is_about(&op));
        let forward = intent.purpose == Purpose::Forward && !intent.fence;
        let step = self.state.operation.as_ref().filter(|o| o.op == op).map_or_else(|| StepId::from(""), |o| o.step.clone());
        let why_not = match (&intent.cancelled, &self.passive) {
            (Some(why), _) | (None, Some(why)) => Some(why.clone()),
            _ if self.leaving => Some("the driver leaves".to_owned()),
            _ if forward && self.held() => Some("held before it was sent".to_owned()),
            _ if forward && !self.running() && self.state.runbook.position(&step).is_some() => Some("backing out".to_owned()),
            _ if self.aborting.is_some() && !intent.fence => Some("aborted before it was sent".to_owned()),
            _ => None,
        };
        let Some(why) = why_not else {
            self.send(turn, seq, intent);
            return;
        };
        turn.say(Level::Warning, format!("nothing was sent: {why}"));
        let failure = Failure::NotSent { why: clean_bounded(&why, 200) };
        self.fact(Event::ActionOutcome { op, outcome: SendOutcome::NotApplied { failure } });
        if intent.fence {
            self.fencing = None;
        }
    }

    pub(super) fn send(&mut self, turn: &mut Turn, seq: u64, intent: Intent) {
        let ticket = self.tickets.take();
        let op = intent.write.op.clone();
        self.send = Some(Sending {
            ticket,
            op: op.clone(),
            fence: intent.fence,
            at: turn.at.wall,
            until: turn.at.boot + intent.write.deadline + ANSWER_GRACE,
        });
        if intent.fence {
            if let Some(fencing) = self.fencing.as_mut() {
                fencing.stage = FenceStage::Sending;
            }
        } else {
            self.sent_boot = Some((op, turn.at.boot));
        }
        turn.out.push(Output::Send { ticket, write: Box::new(intent.write), intent: seq, confirmed: intent.confirmed });
    }

    pub(super) fn answered(&mut self, turn: &mut Turn, ticket: Ticket, result: Result<Accepted, Failure>) {
        let Some(sent) = self.send.take_if(|s| s.ticket == ticket) else { return };
        self.record_answer(turn, sent, result);
    }

    /// An answer that is overdue counts as lost.
    pub(super) fn expire_send(&mut self, turn: &mut Turn) {
        if let Some(sent) = self.send.take_if(|s| turn.at.boot >= s.until) {
            let why = format!("no answer within {}s", (WRITE_DEADLINE + ANSWER_GRACE).as_secs());
            self.record_answer(turn, sent, Err(Failure::Unknown { why }));
        }
    }

    fn record_answer(&mut self, turn: &mut Turn, sent: Sending, result: Result<Accepted, Failure>) {
        let op = sent.op;
        let outcome = match result.map_err(tidy) {
            Ok(accepted) => SendOutcome::Accepted { version: accepted.version.map(|v| clean_bounded(&v, 80)) },
            Err(failure) if failure.certainly_not_applied() => SendOutcome::NotApplied { failure },
            Err(failure) => SendOutcome::Unknown { failure },
        };
        self.fact(Event::ActionOutcome { op: op.clone(), outcome: outcome.clone() });
        if sent.fence {
            if let Some(fencing) = self.fencing.as_mut() {
                fencing.stage = FenceStage::ToLook;
            }
            return;
        }
        match outcome {
            SendOutcome::Accepted { .. } => {}
            SendOutcome::Unknown { failure } => {
                turn.say(Level::Alarm, format!("{op}: {failure}; nothing is sent again, reading the platform to find out"));
            }
            SendOutcome::NotApplied { failure } => self.not_applied(turn, &op, &failure),
        }
    }

    fn not_applied(&mut self, turn: &mut Turn, op: &OpId, failure: &Failure) {
        let Some(step) = self.state.operation.as_ref().filter(|o| o.op == *op).map(|o| o.step.clone()) else { return };
        if !matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. }) {
            turn.say(Level::Alarm, format!("not applied: {failure}"));
            self.fail_step(&step, &failure.to_string(), false);
            return;
        }
        turn.say(Level::Warning, format!("it changed under you, nothing was applied: {failure}"));
        if self.running() || self.aborting.is_some() {
            return;
        }
        if self.state.way_back_is_free() {
            self.wait_before_retry(turn);
        } else {
            self.start_back_out("the platform moved: planned anew");
        }
    }

    pub(super) fn record_unknown(&mut self, op: OpId, why: &str) {
        let failure = Failure::Unknown { why: why.to_owned() };
        self.fact(Event::ActionOutcome { op, outcome: SendOutcome::Unknown { failure } });
    }

    /// Records that the active step failed. On the way back a failure for want of time means that people have to finish it.
    pub(super) fn fail_step(&mut self, step: &StepId, why: &str, timed_out: bool) {
        for event in self.failure_of(step, why, timed_out) {
            self.fact(event);
        }
    }

    pub(super) fn failure_of(&self, step: &StepId, why: &str, timed_out: bool) -> Vec<Event> {
        let active = self.state.current().is_some_and(|(s, st)| s.id == *step && st.phase == StepPhase::Active);
        if !active {
            return Vec::new();
        }
        let why = clean_bounded(why, 300);
        let mut events = vec![Event::StepFailed { step: step.clone(), why: why.clone(), inconclusive: false }];
        if timed_out && self.state.phase == Phase::RollingBack {
            events.push(Event::RunRollbackStuck { why });
        }
        events
    }

    /// Looks whether an accepted write is there.
    pub(super) fn verify_read(&mut self, turn: &mut Turn, result: Result<Box<Subject>, Failure>) {
        let Some(op) = self.verifying().cloned() else { return };
        let seen = match result {
            Ok(subject) if subject.done && words::is_ours(&op, &subject) => {
                self.verified(turn, &op);
                return;
            }
            Ok(subject) => subject.shown,
            Err(failure) => failure.to_string(),
        };
        if let Some(verify) = &mut self.verify {
            verify.seen = seen;
        }
    }

    fn verified(&mut self, turn: &Turn, op: &crate::runbook::state::Operation) {
        let weight = op.action.weight();
        let here = self.sent_boot.as_ref().filter(|(sent, _)| *sent == op.op).map(|(_, boot)| turn.at.boot.saturating_sub(*boot));
        let took = here.or_else(|| (turn.at.wall - op.intent_at?).to_std().ok()).unwrap_or_default();
        self.fact(Event::ActionVerified { op: op.op.clone(), weight, took_ms: words::millis(took) });
        self.fact(Event::StepPassed { step: op.step.clone(), why: format!("the platform is at {}", op.action.wanted()) });
        if let Some(undone) = self.undone_with(&op.step) {
            self.fact(undone);
        }
    }

    /// What a passed step of the way back takes back.
    pub(super) fn undone_with(&self, step: &StepId) -> Option<Event> {
        self.state.undone_by(step).map(|forward| Event::StepUndone { step: forward.clone() })
    }

    /// Starts the time in which an accepted write has to be seen, and says when it is over.
    pub(super) fn verify_decision(&mut self, turn: &Turn) -> Option<(Vec<Event>, What)> {
        let op = self.verifying()?.clone();
        let timeout = self.state.plan_step(&op.step).and_then(|s| s.timeout).unwrap_or(VERIFY_TIMEOUT);
        let verify = match &self.verify {
            Some(verify) if verify.op == op.op => verify,
            _ => {
                let verify = Verify { op: op.op.clone(), until: turn.at.boot + timeout, seen: "nothing yet".into() };
                self.verify.insert(verify)
            }
        };
        if turn.at.boot < verify.until {
            return None;
        }
        let why = format!(
            "accepted, but not seen as wanted within {}: wanted {}, seen {}",
            crate::domain::text::span(timeout),
            op.action.wanted(),
            verify.seen
        );
        self.verify = None;
        let events = self.failure_of(&op.step, &why, true);
        (!events.is_empty()).then_some((events, What::Due))
    }

    pub(super) fn landed(&mut self, agreed: bool, shown: &str) {
        let shown = clean_bounded(shown, 120);
        let known = self.state.landed.as_ref().is_some_and(|(a, _)| *a == agreed);
        let coming = self.coming().any(|e| matches!(e, Event::TrafficObserved { agreed: a, .. } if *a == agreed));
        if !known && !coming && self.passive.is_none() && !self.state.phase.is_final() {
            self.fact(Event::TrafficObserved { agreed, shown });
        }
    }

    pub(super) fn clock_jumped(&mut self, turn: &mut Turn, what: &str) {
        if self.passive.is_some() || self.state.phase.is_final() {
            return;
        }
        let what = clean_bounded(what, 100);
        self.fact(Event::ClockJumped { what: what.clone() });
        if self.running() {
            turn.say(Level::Warning, format!("{what}: the run holds"));
            // Nobody could have stopped it meanwhile: it is for a person to decide now.
            self.countdown = None;
            self.open_fact(Event::HoldBegan { reason: what, guard: None });
            self.asleep_at(turn);
        }
        self.pace.next = Duration::ZERO;
    }
}

/// A failure for the record: its words come from outside.
fn tidy(mut failure: Failure) -> Failure {
    let (Failure::NotSent { why } | Failure::Refused { why, .. } | Failure::Unknown { why } | Failure::Unreadable { why }) = &mut failure;
    *why = clean_bounded(why, 400);
    failure
}
