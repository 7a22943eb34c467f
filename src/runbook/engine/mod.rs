//! The engine: runs a runbook without a clock, without I/O and without a runtime.
//!
//! [`Engine::handle`] takes what happened and gives what to do; [`Engine::deadline`] says when to come back without anything having
//! happened. State changes only by folding journal entries. Besides, the engine keeps what does not outlive it: outstanding requests,
//! the plan that is being talked about, timers and the latest findings. `decide` looks at both and asks for what is missing, so a run
//! goes on from any prefix of its journal.
//!
//! The rule that everything else hangs on: no write leaves before its intent is durable under the current epoch, and none leaves twice.

mod act;
mod agree;
mod begin;
mod command;
mod doubt;
mod guard;
mod harm;
mod journal;
mod step;
mod talk;
#[cfg(test)]
mod tests;
mod watch;
mod words;

use super::io::{Command, Input, Level, Output, Proposal, Purpose};
use super::state::{OpStage, Operation, Phase, Question, RunState, StepPhase};
use crate::domain::{Epoch, OpId, Stamp, Subject, Ticket, Tickets};
use journal::{Appending, Fact, StoreTrouble};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use talk::{Stage, Talk};
use watch::Sampler;

pub use harm::HARM_GUARD;

/// Time the platform has to answer a write; afterwards the outcome is unknown.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// How long the countdown before a back-out by itself runs.
pub const COUNTDOWN: Duration = Duration::from_secs(10);
/// A confirmation that did not lead to an intent within this time is void.
pub const CONFIRMATION_LIFE: Duration = Duration::from_secs(120);
/// How long an accepted write may take to be seen on the platform, where the step does not say.
pub const VERIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// A counting bake is journaled so often, so that a crash loses little of it.
const BAKE_CHECKPOINT: Duration = Duration::from_secs(60);

/// Runs one run for its driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    state: RunState,
    epoch: Epoch,
    boot_id: String,
    tickets: Tickets,
    /// [`Input::Begin`] came.
    begun: bool,
    /// The seat has to be journaled as taken from an unattended run.
    resuming: bool,
    /// Why this engine never sends or steps again.
    passive: Option<String>,
    leaving: bool,
    aborting: Option<String>,
    /// Whether data is live enough for a bake, and why not.
    data: (bool, String),
    facts: VecDeque<Fact>,
    inbox: VecDeque<Command>,
    append: Option<Appending>,
    /// Others' entries that came before the answer to our own append.
    early: BTreeMap<u64, crate::domain::record::Entry>,
    store: Option<StoreTrouble>,
    talk: Option<Talk>,
    read: Option<(Ticket, ReadFor)>,
    pace: Pace,
    send: Option<Sending>,
    fencing: Option<Fencing>,
    verify: Option<Verify>,
    /// Boot clock of the latest send, for how long it took.
    sent_boot: Option<(OpId, Duration)>,
    samplers: BTreeMap<super::io::SampleOf, Sampler>,
    /// Guard whose countdown runs, and its end on the boot clock.
    countdown: Option<(usize, Duration)>,
    gate: agree::GatePlan,
    /// Boot clock at which an answer of the open checklist becomes too old.
    item_expires: Option<Duration>,
    /// Boot clock at which a failed step is tried again by itself, and which.
    retry_step: Option<(crate::domain::StepId, Duration)>,
    clock: StepClock,
    /// Why the latest plan was given up: recorded when its operation is voided.
    void_why: String,
    /// Boot clock of the input before.
    last_boot: Duration,
    /// The object was seen to carry our epoch.
    closed_off: bool,
    /// Not before this is another fence tried for the way back, and how many failed.
    retry_fence: (Duration, u32),
    /// Not before this may the way back plan its next act again, and how long it waited last.
    retry_back: (Duration, Duration),
    #[cfg(test)]
    breaks_intent_rule: bool,
}

/// What a read of the route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadFor {
    /// Before the intent: has anything moved since the plan?
    Confirmed,
    /// Is the accepted write seen?
    Verify,
    /// What became of an operation whose outcome is unknown?
    Doubt,
    /// Before a fence.
    Fence,
    /// After a fence.
    Fenced,
}

/// Distance between reads for one purpose.
#[derive(Debug, Clone, PartialEq, Default)]
struct Pace {
    key: Option<(ReadFor, OpId)>,
    next: Duration,
    wait: Duration,
}

/// A write in flight.
#[derive(Debug, Clone, PartialEq)]
struct Sending {
    ticket: Ticket,
    op: OpId,
    fence: bool,
    /// Shown to people: when it left.
    at: chrono::DateTime<chrono::Utc>,
    /// Boot clock at which the answer counts as lost.
    until: Duration,
}

/// Closing an unclear operation off.
#[derive(Debug, Clone, PartialEq)]
struct Fencing {
    why: FenceFor,
    /// The operation to be closed off.
    op: OpId,
    stage: FenceStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FenceFor {
    Redo,
    Abort,
    BackOut,
    /// The seat was taken from a live driver: its late writes have to be refused before our first act.
    TakeOver(Purpose),
}

#[derive(Debug, Clone, PartialEq)]
enum FenceStage {
    /// The route has to be read first: the fence is conditional on it.
    ToRead,
    ToAdvance(Box<Subject>),
    Advancing(Ticket, Box<Subject>),
    /// The intent has to become durable.
    ToIntend(Box<Subject>),
    Sending,
    /// What is there now?
    ToLook,
}

/// How long an accepted write may still take to be seen.
#[derive(Debug, Clone, PartialEq)]
struct Verify {
    op: OpId,
    /// Boot clock.
    until: Duration,
    seen: String,
}

/// How long the active step has been worked on, without holds.
#[derive(Debug, Clone, PartialEq, Default)]
struct StepClock {
    step: Option<(crate::domain::StepId, u32)>,
    ran: Duration,
    since: Option<Duration>,
    /// Why it does not get on, for people.
    trouble: Option<String>,
}

/// One call of [`Engine::handle`].
struct Turn {
    at: Stamp,
    out: Vec<Output>,
}

impl Turn {
    fn say(&mut self, level: Level, text: impl AsRef<str>) {
        self.out.push(Output::Say { level, text: crate::domain::text::clean_bounded(text.as_ref(), 300) });
    }

    /// Tells a person that a decision of theirs is not carried out.
    fn refuse(&mut self, text: impl AsRef<str>) {
        self.out.push(Output::Refuse { text: crate::domain::text::clean_bounded(text.as_ref(), 300) });
    }
}

impl Engine {
    /// An engine for the driver who holds the seat under `epoch`, on a folded state.
    ///
    /// * `boot_id`: of this boot; journaled readings of the boot clock of other boots are not compared with.
    /// * `nonce`: tickets begin above it. Another engine of the same process must get a distant one.
    #[must_use]
    pub fn new(state: RunState, epoch: Epoch, boot_id: String, nonce: u64) -> Self {
        Self {
            resuming: state.epoch < epoch,
            state,
            epoch,
            boot_id,
            tickets: Tickets::above(nonce),
            begun: false,
            passive: None,
            leaving: false,
            aborting: None,
            data: (false, "no live data yet".into()),
            facts: VecDeque::new(),
            inbox: VecDeque::new(),
            append: None,
            early: BTreeMap::new(),
            store: None,
            talk: None,
            read: None,
            pace: Pace::default(),
            send: None,
            fencing: None,
            verify: None,
            sent_boot: None,
            samplers: BTreeMap::new(),
            countdown: None,
            gate: agree::GatePlan::default(),
            item_expires: None,
            retry_step: None,
            clock: StepClock::default(),
            void_why: String::new(),
            last_boot: Duration::ZERO,
            closed_off: false,
            retry_fence: (Duration::ZERO, 0),
            retry_back: (Duration::ZERO, Duration::ZERO),
            #[cfg(test)]
            breaks_intent_rule: false,
        }
    }

    /// Takes one input and gives what to do. Every deadline that was reached is dealt with as well.
    pub fn handle(&mut self, stamp: &Stamp, input: Input) -> Vec<Output> {
        let mut turn = Turn { at: *stamp, out: Vec::new() };
        self.take(&mut turn, input);
        // What one pass gives up may make room for something else: until nothing more comes out.
        let mut said = usize::MAX;
        while said != turn.out.len() {
            said = turn.out.len();
            self.decide(&mut turn);
        }
        self.decide(&mut turn);
        self.last_boot = stamp.boot;
        turn.out
    }

    fn take(&mut self, turn: &mut Turn, input: Input) {
        match input {
            Input::Begin => self.begin(),
            Input::Due => {}
            Input::Appended { ticket, entries } => self.appended(turn, ticket, &entries),
            Input::AppendRefused { ticket, why } => self.append_refused(turn, ticket, why),
            Input::Foreign { entries } => self.absorb(turn, &entries, journal::Source::Others),
            Input::Planned { ticket, result } => {
                if !self.gate_planned(turn, ticket, &result) {
                    self.planned(turn, ticket, result);
                }
            }
            Input::Read { ticket, result } => self.was_read(turn, ticket, result),
            Input::Sent { ticket, result } => self.answered(turn, ticket, result),
            Input::EpochAdvanced { ticket, result } => self.epoch_advanced(turn, ticket, result),
            Input::Sampled { ticket, finding } => self.sampled(turn, ticket, finding),
            Input::SeatLost { current } => self.lose_seat(turn, current),
            Input::Data { live, why } => self.data = (live, why),
            Input::Landed { agreed, shown } => self.landed(agreed, &shown),
            Input::LandingFound { event } => self.landing_found(*event),
            Input::HarmFound { excess, budget } => self.harm_found(turn, excess, budget),
            Input::ClockJumped { what } => self.clock_jumped(turn, &what),
            Input::Command(command) => self.command(turn, command),
        }
    }

    fn begin(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        // The driver before us ended between intent and answer: it may have been sent.
        if let Some(op) = self.state.operation.clone().filter(|op| op.stage == OpStage::Intent) {
            self.record_unknown(op.op, "its driver ended before the answer was recorded");
        }
    }

    /// Asks for whatever is missing. Level-triggered: looks at the state and at what is outstanding, never at how they came about.
    fn decide(&mut self, turn: &mut Turn) {
        if !self.begun {
            return;
        }
        if self.passive.is_none() {
            self.expire_send(turn);
            self.keep_talk_valid(turn);
            self.keep_step_clock(turn);
            self.keep_countdown(turn);
            self.keep_expiry(turn);
            self.keep_retry(turn);
            self.sample(turn);
            self.start_fence(turn);
            self.ask_for_plan(turn);
            self.ask_for_gate(turn);
            self.ask_for_read(turn);
            self.ask_for_epoch(turn);
        }
        self.write(turn);
    }

    /// When to call [`Engine::handle`] with [`Input::Due`] if nothing happens before, on the boot clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if !self.begun || self.passive.is_some() || self.state.phase.is_final() {
            return self.store.as_ref().filter(|_| !self.facts.is_empty()).map(|s| s.retry_at).filter(|at| *at > self.last_boot);
        }
        // What was due already and is not done waits for an answer, not for the clock.
        let ahead = |at: &Duration| *at > self.last_boot;
        let idle_read = self.read.is_none() && self.wanted_read().is_some();
        [
            self.store.as_ref().map(|s| s.retry_at),
            self.send.as_ref().map(|s| s.until),
            idle_read.then_some(self.pace.next),
            self.verify.as_ref().filter(|_| self.verifying().is_some()).map(|v| v.until),
            self.countdown.map(|(_, end)| end),
            self.next_sample(),
            self.step_deadline(),
            self.bake_deadline(),
            self.talk_deadline(),
            self.gate_deadline(),
            self.item_expires,
            self.retry_step.as_ref().map(|(_, at)| *at),
            Some(self.retry_fence.0),
        ]
        .into_iter()
        .flatten()
        .filter(ahead)
        .min()
    }

    /// The state of the run: the fold of its journal, as far as this engine has seen it.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The epoch this engine writes under.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Why this engine will never act again: the seat was lost, the driver left, or the journal cannot be followed.
    #[must_use]
    pub fn passive(&self) -> Option<&str> {
        self.passive.as_deref()
    }

    /// What the run waits for from a person. Without what is being worked on right now.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let question = self.state.question()?;
        let busy = self.talk.as_ref().is_some_and(Talk::is_beyond_asking) || self.aborting.is_some() || self.fencing.is_some();
        match question {
            Question::Act { .. } | Question::Unclear { .. } if busy => None,
            other => Some(other),
        }
    }

    /// The plan that waits for its confirmation.
    #[must_use]
    pub fn asked(&self) -> Option<&Proposal> {
        match &self.talk.as_ref()?.stage {
            Stage::Asked(proposal) => Some(proposal),
            _ => None,
        }
    }

    /// Whether an act is confirmed or on its way: declining comes too late.
    #[must_use]
    pub fn is_acting(&self) -> bool {
        self.in_flight() || self.talk.as_ref().is_some_and(Talk::is_beyond_asking)
    }

    /// Whether something waits to be journaled, or its answer is not there yet.
    #[must_use]
    pub fn has_to_write(&self) -> bool {
        self.append.is_some() || !self.facts.is_empty()
    }

    /// Whether something is being appended: what follows from it is not known yet.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.append.is_some()
    }

    /// When the countdown before a back-out by itself ends (boot clock), and the guard that tripped.
    #[must_use]
    pub fn countdown(&self) -> Option<(&str, Duration)> {
        let (guard, end) = self.countdown?;
        self.state.runbook.guards.get(guard).map(|g| (g.id.as_str(), end))
    }

    /// Whether nothing moves forward: a hold is folded, or asked for and not yet durable.
    fn held(&self) -> bool {
        self.state.phase == Phase::Running && (self.state.hold.is_some() || self.hold_is_coming())
    }

    fn running(&self) -> bool {
        self.state.phase == Phase::Running
    }

    /// Whether anything was handed to the platform, or is about to be, of which nothing is recorded yet.
    fn in_flight(&self) -> bool {
        self.send.is_some()
            || self.intent_is_pending()
            || self.state.operation.as_ref().is_some_and(|op| op.stage == OpStage::Intent)
            || self.state.doubtful.as_ref().is_some_and(|op| op.stage == OpStage::Intent)
    }

    /// The accepted operation of the active step, when it is to be looked for on the platform now.
    fn verifying(&self) -> Option<&Operation> {
        if self.talk.as_ref().is_some_and(|t| t.purpose == Purpose::BackOut) && self.running() {
            return None;
        }
        let (step, state) = self.state.current()?;
        let op = self.state.operation.as_ref()?;
        let wanted = op.stage == OpStage::Accepted && op.step == step.id && state.phase == StepPhase::Active;
        (wanted && !self.is_verified_pending(&op.op)).then_some(op)
    }

    /// For tests that prove that tests can fail: sends when the intent is asked for, not when it is durable.
    #[cfg(test)]
    pub(crate) fn break_intent_rule_for_test(&mut self) {
        self.breaks_intent_rule = true;
    }
}
