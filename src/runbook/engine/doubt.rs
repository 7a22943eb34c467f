//! Reading the platform, finding out what became of an operation, and closing it off with a fence.

use super::journal::{Intent, What};
use super::talk::Stage;
use super::words;
use super::{Engine, FenceFor, FenceStage, Fencing, Pace, ReadFor, Turn, WRITE_DEADLINE};
use crate::domain::{Action, Confirm, Epoch, Failure, OpId, StepId, Subject, Ticket, Write, WriteKind};
use crate::runbook::io::{Level, Output, Purpose};
use crate::runbook::record::{Event, Found};
use crate::runbook::state::{Operation, Phase};
use std::time::Duration;

/// Fences that may fail on the way back before a person is asked.
const FENCE_TRIES: u32 = 3;

impl ReadFor {
    /// Wait after the first and at most after later reads.
    fn waits(self) -> (Duration, Duration) {
        match self {
            Self::Verify => (Duration::from_secs(1), Duration::from_secs(5)),
            Self::Confirmed | Self::Doubt | Self::Fence | Self::Fenced => (Duration::from_secs(1), Duration::from_secs(15)),
        }
    }
}

impl Engine {
    /// What the platform has to be read for now.
    pub(super) fn wanted_read(&self) -> Option<(ReadFor, OpId)> {
        if self.passive.is_some() || self.leaving || self.in_flight() || self.state.phase.is_final() {
            return None;
        }
        if self.coming().any(|e| matches!(e, Event::ActionReconciled { .. })) {
            return None;
        }
        if let Some(fencing) = &self.fencing {
            return match fencing.stage {
                FenceStage::ToRead => Some((ReadFor::Fence, fencing.op.clone())),
                FenceStage::ToLook => Some((ReadFor::Fenced, fencing.op.clone())),
                _ => None,
            };
        }
        let closing = self.state.unclear().is_some_and(Operation::may_arrive);
        // A fence that failed is tried again before anything is sent: a new driver owes it.
        let owed = self.state.fence_owed && !self.closed_off;
        if !closing
            && !owed
            && self.talk_is_due()
            && let Some(proposal) = self.talk.as_ref().and_then(|t| t.proposal())
        {
            return Some((ReadFor::Confirmed, proposal.op.clone()));
        }
        if let Some(op) = self.state.unclear() {
            return Some((ReadFor::Doubt, op.op.clone()));
        }
        self.verifying().map(|op| (ReadFor::Verify, op.op.clone()))
    }

    pub(super) fn ask_for_read(&mut self, turn: &mut Turn) {
        let Some(wanted) = self.wanted_read() else { return };
        if self.pace.key.as_ref() != Some(&wanted) {
            self.pace = Pace { key: Some(wanted.clone()), next: Duration::ZERO, wait: Duration::ZERO };
        }
        if self.read.is_some() || turn.at.boot < self.pace.next {
            return;
        }
        let Some((target, action)) = self.subject_of(&wanted.1) else {
            self.fencing.take_if(|fencing| fencing.op == wanted.1);
            return;
        };
        let ticket = self.tickets.take();
        self.read = Some((ticket, wanted.0));
        turn.out.push(Output::Read { ticket, target, action });
    }

    /// What an operation is about: the service of its step and the action, with every part fixed.
    fn subject_of(&self, op: &OpId) -> Option<(Option<String>, Action)> {
        let talked = self.talk.as_ref().filter(|talk| talk.is_about(op)).map(|talk| (&talk.step, &talk.action));
        let known = || [self.state.unclear(), self.state.operation.as_ref()].into_iter().flatten().find(|known| known.op == *op);
        let (step, action) = talked.or_else(|| known().map(|known| (&known.step, &known.action)))?;
        Some((self.target_of(step), action.clone()))
    }

    /// The service that a step acts on; the run's own when it names none.
    pub(super) fn target_of(&self, step: &StepId) -> Option<String> {
        self.state.plan_step(step).and_then(|step| step.target.clone())
    }

    pub(super) fn was_read(&mut self, turn: &mut Turn, ticket: Ticket, result: Result<Box<Subject>, Failure>) {
        let Some((_, purpose)) = self.read.take_if(|(t, _)| *t == ticket) else { return };
        let wanted = self.wanted_read();
        if wanted.as_ref().map(|(p, _)| *p) != Some(purpose) || self.pace.key != wanted {
            return;
        }
        let (first, most) = purpose.waits();
        self.pace.wait = (self.pace.wait * 2).clamp(first, most);
        self.pace.next = turn.at.boot + self.pace.wait;
        match purpose {
            ReadFor::Confirmed => self.reread(turn, result),
            ReadFor::Verify => self.verify_read(turn, result),
            ReadFor::Doubt => self.doubt_read(turn, result),
            ReadFor::Fence => self.fence_read(turn, result),
            ReadFor::Fenced => self.fenced_read(turn, result),
        }
    }

    /// An unreadable answer changes nothing: it is asked again.
    fn doubt_read(&mut self, turn: &mut Turn, result: Result<Box<Subject>, Failure>) {
        let (Ok(subject), Some(op)) = (result, self.state.unclear().cloned()) else { return };
        let (found, _) = words::classify(&op, &subject);
        let why = words::three_way(&op, &subject, found);
        if op.found() == Some(found) && op.seen.as_ref() == Some(&why) {
            return;
        }
        let level = if found == Found::Applied { Level::Info } else { Level::Alarm };
        turn.say(level, format!("{}: {why}", op.op));
        self.fact(Event::ActionReconciled { op: op.op, found, weight: subject.weight, why });
    }

    /// Begins to close off an operation whose write may still arrive, where that stands in the way of an abort or of the way back.
    pub(super) fn start_fence(&mut self, turn: &mut Turn) {
        if self.fencing.is_some() || self.in_flight() || self.leaving || turn.at.boot < self.retry_fence.0 {
            return;
        }
        // The doubt is over already; its end is only not recorded yet.
        if self.coming().any(|e| matches!(e, Event::ActionReconciled { .. })) {
            return;
        }
        let Some(op) = self.state.unclear().filter(|op| op.may_arrive() && op.found().is_some()).map(|op| op.op.clone()) else {
            self.start_take_over_fence();
            return;
        };
        let confirmed = self.talk.as_ref().is_some_and(|t| t.purpose == Purpose::BackOut && matches!(t.stage, Stage::Confirmed(..)));
        let why = match () {
            () if self.aborting.is_some() => FenceFor::Abort,
            () if confirmed && self.state.phase == Phase::RollingBack => FenceFor::BackOut,
            () => return,
        };
        self.fencing = Some(Fencing { why, op, stage: FenceStage::ToRead });
    }

    /// The driver whose seat we took may have a write on its way that its journal knows nothing of. Before our first act the object gets
    /// our epoch, so that such a write is refused there.
    fn start_take_over_fence(&mut self) {
        if !self.state.fence_owed || self.closed_off || self.state.unclear().is_some() || !self.talk_is_due() {
            return;
        }
        let Some((purpose, proposal)) = self.talk.as_ref().and_then(|t| Some((t.purpose, t.proposal()?))) else { return };
        self.fencing = Some(Fencing { why: FenceFor::TakeOver(purpose), op: proposal.op.clone(), stage: FenceStage::ToRead });
    }

    /// Whether the object carries our epoch; then the fence of a take-over is done.
    fn is_closed_off(&mut self, subject: &Subject) -> bool {
        self.closed_off = subject.stamp.as_ref().is_some_and(|s| s.epoch == self.epoch);
        if self.closed_off {
            self.fencing = None;
            self.retry_fence = (Duration::ZERO, 0);
        }
        self.closed_off
    }

    /// What the fence is conditional on. It may already tell that no fence is needed.
    fn fence_read(&mut self, turn: &mut Turn, result: Result<Box<Subject>, Failure>) {
        let Ok(subject) = result else { return };
        if matches!(self.fencing.as_ref().map(|f| f.why), Some(FenceFor::TakeOver(_))) {
            // The epoch is new already: it came with the seat.
            if !self.is_closed_off(&subject)
                && let Some(fencing) = self.fencing.as_mut()
            {
                fencing.stage = FenceStage::ToIntend(subject);
            }
            return;
        }
        if !self.settle(turn, &subject)
            && let Some(fencing) = self.fencing.as_mut()
        {
            fencing.stage = FenceStage::ToAdvance(subject);
        }
    }

    fn fenced_read(&mut self, turn: &mut Turn, result: Result<Box<Subject>, Failure>) {
        let Ok(subject) = result else { return };
        let take_over = matches!(self.fencing.as_ref().map(|f| f.why), Some(FenceFor::TakeOver(_)));
        let closed = if take_over { self.is_closed_off(&subject) } else { self.settle(turn, &subject) };
        if !closed {
            self.fence_failed(turn, "the fence is not on the platform");
        }
    }

    /// Ends the doubt if the platform shows it: our operation is there after all, or can never come any more.
    fn settle(&mut self, turn: &mut Turn, subject: &Subject) -> bool {
        let Some(fencing) = self.fencing.clone() else { return true };
        let Some(op) = self.state.unclear().filter(|op| op.op == fencing.op).cloned() else {
            self.fencing = None;
            return true;
        };
        let (found, closed) = words::classify(&op, subject);
        if !closed {
            return false;
        }
        let ours = matches!(found, Found::Applied | Found::AppliedThenChanged);
        let why = words::three_way(&op, subject, found);
        let found = if ours { found } else { Found::Never };
        turn.say(Level::Info, format!("{}: {why}", op.op));
        self.fact(Event::ActionReconciled { op: op.op.clone(), found, weight: subject.weight, why });
        self.fencing = None;
        self.retry_fence = (Duration::ZERO, 0);
        if fencing.why == FenceFor::Redo && self.talk.is_none() && self.aborting.is_none() && !self.leaving {
            if found == Found::Never {
                self.talk_again(&op);
            } else {
                turn.say(Level::Warning, "it is not done again: it was applied after all");
            }
        }
        true
    }

    /// Plans the step of an operation anew; it is shown and confirmed like the first time.
    pub(super) fn talk_again(&mut self, op: &Operation) {
        let Some(step) = self.state.plan_step(&op.step).cloned() else { return };
        if self.state.runbook.position(&op.step).is_some() {
            self.start_talk(Purpose::Forward, step.id, op.action.clone(), step.confirm.max(Confirm::Yes), "again");
        } else {
            self.start_back_out("again");
        }
    }

    fn fence_failed(&mut self, turn: &mut Turn, why: &str) {
        let Some(fencing) = self.fencing.take() else { return };
        let what = if matches!(fencing.why, FenceFor::TakeOver(_)) { "the driver before" } else { fencing.op.as_str() };
        turn.say(Level::Alarm, format!("{what} could not be closed off: {why}"));
        self.pace = Pace::default();
        match fencing.why {
            FenceFor::Redo => {}
            FenceFor::Abort => self.aborting = None,
            FenceFor::TakeOver(Purpose::Forward) => {
                self.withdraw(turn, "nothing was sent: what the driver before may have sent could not be closed off");
            }
            FenceFor::BackOut | FenceFor::TakeOver(Purpose::BackOut) => {
                let tries = self.retry_fence.1 + 1;
                self.retry_fence = (turn.at.boot + Duration::from_secs(u64::from(tries) * 2), tries);
                if tries >= FENCE_TRIES {
                    self.retry_fence = (Duration::ZERO, 0);
                    let by_itself = self.talk.as_ref().filter(|t| t.confirm == Confirm::None).map(|t| t.step.clone());
                    let waits = "backing out waits: the operation before could not be closed off";
                    self.withdraw(turn, waits);
                    if let Some(step) = by_itself {
                        self.fail_step(&step, waits, true);
                    }
                }
            }
        }
    }

    pub(super) fn is_advancing(&self) -> bool {
        matches!(self.fencing.as_ref().map(|f| &f.stage), Some(FenceStage::Advancing(..)))
    }

    /// Takes a new epoch for the fence, when nothing is being appended under the old one.
    pub(super) fn ask_for_epoch(&mut self, turn: &mut Turn) {
        if self.append.is_some() || !self.facts.is_empty() || self.state.epoch < self.epoch {
            return;
        }
        let Some(fencing) = self.fencing.as_mut() else { return };
        if let FenceStage::ToAdvance(subject) = &fencing.stage {
            let ticket = self.tickets.take();
            fencing.stage = FenceStage::Advancing(ticket, subject.clone());
            turn.out.push(Output::AdvanceEpoch { ticket });
        }
    }

    pub(super) fn epoch_advanced(&mut self, turn: &mut Turn, ticket: Ticket, result: Result<Epoch, String>) {
        let Some(fencing) = self.fencing.as_mut() else { return };
        let subject = match &fencing.stage {
            FenceStage::Advancing(t, subject) if *t == ticket => subject.clone(),
            _ => return,
        };
        match result {
            Ok(epoch) if epoch > self.epoch => {
                self.epoch = epoch;
                fencing.stage = FenceStage::ToIntend(subject);
            }
            Ok(epoch) => self.fence_failed(turn, &format!("the new epoch {epoch} is not above {}", self.epoch)),
            Err(why) => self.fence_failed(turn, &why),
        }
    }

    /// The fence's own intent.
    pub(super) fn fence_decision(&mut self) -> Option<(Vec<Event>, What)> {
        let fencing = self.fencing.as_ref()?;
        let FenceStage::ToIntend(subject) = &fencing.stage else { return None };
        let of = match fencing.why {
            FenceFor::TakeOver(_) => self.state.operation.as_ref().filter(|op| op.op == fencing.op && self.talk_is_due()),
            _ => self.state.unclear().filter(|op| op.op == fencing.op),
        };
        let Some(of) = of else {
            self.fencing = None;
            return None;
        };
        let again = if self.retry_fence.1 > 0 { format!("-{}", self.retry_fence.1 + 1) } else { String::new() };
        let op = OpId(format!("{}/{}/fence-{}{again}", self.state.run, of.step, self.epoch));
        let event = Event::ActionIntent {
            op: op.clone(),
            step: of.step.clone(),
            attempt: of.attempt,
            fence: true,
            action: of.action.clone(),
            epoch: self.epoch,
            plan_hash: of.plan_hash.clone(),
            confirmed: None,
            before: subject.clone(),
            deadline_ms: words::millis(WRITE_DEADLINE),
        };
        let write = Write {
            kind: WriteKind::Fence { action: of.action.clone() },
            target: self.target_of(&of.step),
            run: self.state.run.clone(),
            op,
            epoch: self.epoch,
            before: (**subject).clone(),
            deadline: WRITE_DEADLINE,
        };
        let purpose = match fencing.why {
            FenceFor::BackOut => Purpose::BackOut,
            FenceFor::TakeOver(purpose) => purpose,
            FenceFor::Redo | FenceFor::Abort => Purpose::Forward,
        };
        let intent = Intent { write, purpose, fence: true, confirmed: None, cancelled: None, sent_early: false };
        Some((vec![event], What::Intent(Box::new(intent))))
    }
}
