//! Appending, and taking in what was appended.

use super::{Engine, Turn};
use crate::domain::record::{Draft, Entry};
use crate::domain::{Epoch, Failure, OpId, Ticket, Write};
use crate::runbook::io::{AppendRefusal, Command, Level, Output, Purpose};
use crate::runbook::record::{Event, SendOutcome};
use crate::runbook::state::FoldError;
use std::time::Duration;

/// Something that happened and has to be recorded, whatever comes in between.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    pub(super) event: Event,
    /// Only the driver may write it.
    pub(super) fenced: bool,
}

/// The one append that is outstanding.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Appending {
    ticket: Ticket,
    drafts: Vec<Draft>,
    pub(super) what: What,
}

/// What an append is, so that its refusal is dealt with: facts are kept, decisions are taken again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Facts(Vec<Fact>),
    /// The person's command is looked at again on the new state.
    Command(Command),
    /// Follows from state; taken again when still due.
    Due,
    Planned,
    Confirmed,
    Intent(Box<Intent>),
}

/// What to send once its intent is durable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Intent {
    pub(super) write: Write,
    pub(super) purpose: Purpose,
    pub(super) fence: bool,
    pub(super) confirmed: Option<(u64, String)>,
    /// Why it must not be sent any more.
    pub(super) cancelled: Option<String>,
    /// Sent before it was durable: only where a test breaks the rule.
    pub(super) sent_early: bool,
}

/// The store fails.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoreTrouble {
    pub(super) why: String,
    pub(super) retry_at: Duration,
    wait: Duration,
}

/// Where entries came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The answer to our own append.
    Ours,
    /// Anything else.
    Others,
}

impl Engine {
    /// Queues a fact that only the driver may write.
    pub(super) fn fact(&mut self, event: Event) {
        self.facts.push_back(Fact { event, fenced: true });
    }

    /// Queues a fact that everybody may write.
    pub(super) fn open_fact(&mut self, event: Event) {
        self.facts.push_back(Fact { event, fenced: false });
    }

    /// Facts that are not folded yet.
    pub(super) fn coming(&self) -> impl Iterator<Item = &Event> {
        let sent = match self.append.as_ref().map(|a| &a.what) {
            Some(What::Facts(facts)) => facts.as_slice(),
            _ => &[],
        };
        sent.iter().chain(&self.facts).map(|f| &f.event)
    }

    pub(super) fn hold_is_coming(&self) -> bool {
        self.coming().any(|e| matches!(e, Event::HoldBegan { .. })) || self.early.values().any(|e| e.kind == "hold.began")
    }

    pub(super) fn is_verified_pending(&self, op: &OpId) -> bool {
        self.coming().any(|e| matches!(e, Event::ActionVerified { op: o, .. } if o == op) || matches!(e, Event::StepFailed { .. }))
    }

    pub(super) fn intent_is_pending(&self) -> bool {
        matches!(self.append.as_ref().map(|a| &a.what), Some(What::Intent(_)))
    }

    /// An intent whose append is outstanding must not be sent any more.
    pub(super) fn cancel_intent(&mut self, purpose: Option<Purpose>, why: &str) {
        if let Some(What::Intent(intent)) = self.append.as_mut().map(|a| &mut a.what)
            && !intent.fence
            && purpose.is_none_or(|p| p == intent.purpose)
        {
            intent.cancelled.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Appends what is due: facts first, then the next decision.
    pub(super) fn write(&mut self, turn: &mut Turn) {
        let waits = self.store.as_ref().is_some_and(|s| turn.at.boot < s.retry_at);
        if self.append.is_some() || waits || self.is_advancing() {
            return;
        }
        if self.passive.is_some() {
            self.facts.retain(|f| !f.fenced);
        }
        // The seat comes first: what only the driver may write is written under its epoch.
        let seated = self.passive.is_some() || self.state.phase.is_final() || self.state.epoch >= self.epoch;
        if let Some(fenced) = self.facts.front().map(|f| f.fenced).filter(|_| seated) {
            let end = self.facts.iter().position(|f| f.fenced != fenced).unwrap_or(self.facts.len());
            let batch: Vec<Fact> = self.facts.drain(..end).collect();
            let events: Vec<Event> = batch.iter().map(|f| f.event.clone()).collect();
            self.append(turn, &events, fenced, What::Facts(batch));
        } else if self.passive.is_none()
            && let Some((events, what)) = self.next_decision(turn)
        {
            // What everybody may write is written as everybody writes it.
            let open = |e: &Event| {
                matches!(e, Event::ItemAnswered { .. } | Event::GateVoted { .. } | Event::WaitShortened { .. } | Event::HoldBegan { .. })
            };
            let fenced = !events.iter().all(open);
            self.append(turn, &events, fenced, what);
        } else if self.store.take().is_some() {
            turn.say(Level::Info, "nothing waits for the journal; whether it can be written again shows with the next entry");
        }
    }

    fn append(&mut self, turn: &mut Turn, events: &[Event], fenced: bool, what: What) {
        let ticket = self.tickets.take();
        let drafts: Vec<Draft> = events.iter().map(Event::draft).collect();
        let epoch = fenced.then_some(self.epoch);
        turn.out.push(Output::Append { ticket, after: self.state.head, epoch, drafts: drafts.clone() });
        self.append = Some(Appending { ticket, drafts, what });
        #[cfg(test)]
        self.send_too_early(turn);
    }

    #[cfg(test)]
    fn send_too_early(&mut self, turn: &mut Turn) {
        let after = self.state.head;
        let Some(Appending { what: What::Intent(intent), .. }) = self.append.as_mut().filter(|_| self.breaks_intent_rule) else { return };
        intent.sent_early = true;
        let intent = intent.clone();
        self.send(turn, after + 1, *intent);
    }

    pub(super) fn appended(&mut self, turn: &mut Turn, ticket: Ticket, entries: &[Entry]) {
        let Some(done) = self.append.take_if(|a| a.ticket == ticket) else { return };
        if self.store.take().is_some() {
            turn.say(Level::Info, "the journal can be written again");
        }
        self.absorb(turn, entries, Source::Ours);
        let seq = entries.last().map_or(self.state.head, |e| e.seq);
        self.became_durable(turn, done.what, seq);
    }

    fn became_durable(&mut self, turn: &mut Turn, what: What, seq: u64) {
        match what {
            What::Planned => self.plan_is_recorded(turn),
            What::Confirmed => self.confirmation_is_recorded(turn, seq),
            What::Intent(intent) if intent.sent_early => {}
            What::Intent(intent) => self.intent_is_durable(turn, seq, *intent),
            What::Facts(_) | What::Command(_) | What::Due => {}
        }
    }

    pub(super) fn append_refused(&mut self, turn: &mut Turn, ticket: Ticket, why: AppendRefusal) {
        let Some(refused) = self.append.take_if(|a| a.ticket == ticket) else { return };
        match why {
            AppendRefusal::Moved { entries } => self.moved(turn, refused, &entries),
            AppendRefusal::Fenced { current } if current <= self.epoch => self.keep(refused.what),
            AppendRefusal::Fenced { current } => {
                self.keep(refused.what);
                self.lose_seat(turn, current);
            }
            AppendRefusal::Store { why } => self.store_failed(turn, refused, &why),
        }
    }

    /// Others appended in between. Or our own append had been written after all and its answer was lost.
    fn moved(&mut self, turn: &mut Turn, refused: Appending, entries: &[Entry]) {
        let ours = entries.len() >= refused.drafts.len() && entries.iter().zip(&refused.drafts).all(|(e, d)| says(e, d));
        let seq = refused.drafts.len().checked_sub(1).and_then(|i| entries.get(i)).map(|e| e.seq);
        match refused.what {
            // Facts go back first, so that those that are found among the entries are not written twice.
            What::Facts(_) => {
                self.keep(refused.what);
                self.absorb(turn, entries, Source::Others);
            }
            // If it is found durable, it is known not to be sent: `react` records that.
            What::Intent(_) => self.absorb(turn, entries, Source::Others),
            what if ours => {
                self.absorb(turn, entries, Source::Others);
                self.became_durable(turn, what, seq.unwrap_or(self.state.head));
            }
            what => {
                self.absorb(turn, entries, Source::Others);
                self.keep(what);
            }
        }
    }

    /// Keeps what must not be lost; decisions are taken again.
    fn keep(&mut self, what: What) {
        match what {
            What::Facts(facts) => {
                for fact in facts.into_iter().rev() {
                    self.facts.push_front(fact);
                }
            }
            What::Command(command) => self.inbox.push_front(command),
            What::Due | What::Planned | What::Confirmed | What::Intent(_) => {}
        }
    }

    /// A fact that turns out to be in the journal although its append was reported as failed is not written again.
    fn drop_written(&mut self, entry: &Entry) {
        if entry.epoch == self.epoch
            && entry.actor == self.state.driver
            && let Some(at) = self.facts.iter().position(|f| says(entry, &f.event.draft()))
        {
            self.facts.remove(at);
        }
    }

    fn store_failed(&mut self, turn: &mut Turn, refused: Appending, why: &str) {
        let wait = self.store.as_ref().map_or(Duration::from_secs(1), |s| (s.wait * 2).min(Duration::from_secs(15)));
        if self.store.is_none() {
            turn.say(Level::Alarm, format!("the journal cannot be written: {why}; no new actions until it can, a hold still holds"));
        }
        self.store = Some(StoreTrouble { why: why.to_owned(), retry_at: turn.at.boot + wait, wait });
        match refused.what {
            What::Command(_) => turn.refuse("that decision was not recorded, the journal cannot be written: look again, then decide again"),
            what => self.keep(what),
        }
        self.withdraw(turn, "the journal cannot be written: nothing was sent");
    }

    /// Folds entries. What comes too early waits for those before it; what is known already is left out.
    pub(super) fn absorb(&mut self, turn: &mut Turn, entries: &[Entry], source: Source) {
        for entry in entries {
            if entry.seq > self.state.head + 1 {
                self.early.insert(entry.seq, entry.clone());
                self.stop_countdown_for(entry);
            } else {
                self.absorb_one(turn, entry, source);
            }
        }
        while let Some(entry) = self.early.remove(&(self.state.head + 1)) {
            self.absorb_one(turn, &entry, Source::Others);
        }
        let head = self.state.head;
        self.early.retain(|seq, _| *seq > head);
    }

    fn absorb_one(&mut self, turn: &mut Turn, entry: &Entry, source: Source) {
        if entry.seq <= self.state.head {
            return;
        }
        let read = Event::of(entry).map_err(FoldError);
        let event = match read.and_then(|event| self.state.follow(entry, event.clone()).map(|()| event)) {
            Ok(event) => event,
            Err(e) => {
                turn.say(Level::Alarm, format!("{e}; nothing is sent any more, start again"));
                self.go_passive(turn, &e.to_string());
                return;
            }
        };
        self.react(turn, entry, event, source);
    }

    /// What an entry changes besides the state.
    fn react(&mut self, turn: &mut Turn, entry: &Entry, event: Event, source: Source) {
        // A person's hold stops it, in whatever form it was said: a no-go at a gate is one.
        if source == Source::Others || matches!(event, Event::HoldBegan { guard: None, .. }) {
            self.stop_countdown_for(entry);
        }
        if source == Source::Others {
            self.drop_written(entry);
        }
        match event {
            Event::HoldBegan { reason, .. } if source == Source::Others => {
                turn.say(Level::Warning, format!("{} holds: {reason}", entry.actor.id));
            }
            Event::LeaseAcquired { epoch, .. } if epoch > self.epoch => self.lose_seat(turn, epoch),
            Event::LeaseReleased {} if self.leaving => self.go_passive(turn, "the driver left"),
            Event::ActionIntent { op, epoch, fence, .. } if source == Source::Others && epoch == self.epoch && !fence => {
                // Only we write under our epoch, and we send on the answer to our append alone: this one was never sent.
                let why = "it became durable without an answer, so it was not sent".to_owned();
                self.fact(Event::ActionOutcome { op, outcome: SendOutcome::NotApplied { failure: Failure::NotSent { why } } });
            }
            Event::RunResumed { .. } => self.resuming = false,
            // Nothing about steps and acts comes after the end, even where it was found out before.
            Event::RunCompleted {} | Event::RunRolledBack {} | Event::RunAborted { .. } => {
                self.facts.retain(|f| {
                    let landing = matches!(f.event, Event::LandingProved { .. } | Event::LandingMissing { .. });
                    landing || matches!(f.event, Event::Note { .. } | Event::ModeChanged { .. })
                });
            }
            Event::StepEntered { step, .. } => self.forget_samples_of(&step),
            Event::RollbackBegan { .. } => {
                self.countdown = None;
                self.retry_back = (Duration::ZERO, Duration::ZERO);
            }
            _ => {}
        }
    }

    pub(super) fn lose_seat(&mut self, turn: &mut Turn, current: Epoch) {
        if self.passive.is_some() || current <= self.epoch {
            return;
        }
        turn.say(Level::Alarm, format!("somebody else drives now (epoch {current}); this cockpit only watches"));
        self.go_passive(turn, &format!("somebody else drives (epoch {current})"));
    }

    pub(super) fn go_passive(&mut self, turn: &mut Turn, why: &str) {
        self.withdraw(turn, why);
        self.passive = Some(why.to_owned());
        self.inbox.clear();
        self.fencing = None;
        self.countdown = None;
        self.aborting = None;
        self.read = None;
        self.samplers.clear();
    }
}

/// Whether an entry is this draft, written.
fn says(entry: &Entry, draft: &Draft) -> bool {
    entry.kind == draft.kind && entry.step == draft.step && entry.body == draft.body
}
