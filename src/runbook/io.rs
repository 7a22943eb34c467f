//! What goes into the engine and what comes out of it. Plain data.

use super::gate::Ballot;
use super::plan::Choice;
use super::record::{Event, ExcessRecord};
use crate::domain::record::{Draft, Entry};
use crate::domain::{Accepted, Action, ActionPlan, Confirm, Epoch, Failure, Finding, OpId, StepId, Subject, Ticket, Verdict, Write};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The first word of a new or resumed run's driver: go on from the folded state.
    Begin,
    /// The clock reached [`super::engine::Engine::deadline`].
    Due,
    /// Entries we appended are durable.
    Appended {
        /// Of the request.
        ticket: Ticket,
        /// As written.
        entries: Vec<Entry>,
    },
    /// Nothing was appended.
    AppendRefused {
        /// Of the request.
        ticket: Ticket,
        /// Why.
        why: AppendRefusal,
    },
    /// Somebody else appended (a hold, a note, an answer from another terminal).
    Foreign {
        /// In order, directly after our head.
        entries: Vec<Entry>,
    },
    /// A plan was worked out.
    Planned {
        /// Of the request.
        ticket: Ticket,
        /// The plan.
        result: Result<Box<ActionPlan>, Failure>,
    },
    /// What an action changes was read.
    Read {
        /// Of the request.
        ticket: Ticket,
        /// What is there.
        result: Result<Box<Subject>, Failure>,
    },
    /// A write was answered, or not.
    Sent {
        /// Of the request.
        ticket: Ticket,
        /// The answer.
        result: Result<Accepted, Failure>,
    },
    /// A new epoch was taken for a fence.
    EpochAdvanced {
        /// Of the request.
        ticket: Ticket,
        /// The new epoch, or why not.
        result: Result<Epoch, String>,
    },
    /// A condition or guard was evaluated.
    Sampled {
        /// Of the request.
        ticket: Ticket,
        /// What was found.
        finding: Finding,
    },
    /// The driver's seat is somebody else's now: never send again.
    SeatLost {
        /// The epoch now.
        current: Epoch,
    },
    /// Whether data is live enough for a bake to count.
    Data {
        /// It is.
        live: bool,
        /// Why not, for people.
        why: String,
    },
    /// Traffic was compared with what was intended, after the settle time.
    Landed {
        /// They agree.
        agreed: bool,
        /// For people.
        shown: String,
    },
    /// It is decided how the last act landed: [`Event::LandingProved`] or [`Event::LandingMissing`].
    LandingFound {
        /// The fact.
        event: Box<Event>,
    },
    /// The release certainly cost more requests than its budget.
    HarmFound {
        /// So many.
        excess: ExcessRecord,
        /// The budget.
        budget: u32,
    },
    /// The machine slept, or the wall clock jumped.
    ClockJumped {
        /// For people.
        what: String,
    },
    /// A person decided something.
    Command(Command),
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendRefusal {
    /// The journal moved on; these came in between.
    Moved {
        /// Directly after our head.
        entries: Vec<Entry>,
    },
    /// The seat was taken.
    Fenced {
        /// The epoch now.
        current: Epoch,
    },
    /// The disk is full or the store failed: no new actions.
    Store {
        /// Why.
        why: String,
    },
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Work out the act that the current step wants, and show it (`P`).
    Propose {
        /// What the evidence permits.
        permit: Permit,
    },
    /// Work out the first act of the way back, and show it (`B`).
    ProposeBackOut {
        /// Why, for the record.
        why: String,
    },
    /// The plan with this hash, as shown, is confirmed.
    Confirm {
        /// Hash of the plan that was shown.
        plan_hash: String,
        /// What was typed.
        typed: String,
        /// How long the prompt was open.
        shown: Duration,
        /// What the evidence permits at this moment.
        permit: Permit,
    },
    /// The prompt was closed without an answer.
    Decline,
    /// Hold at once.
    Hold {
        /// Why.
        reason: String,
    },
    /// Release the hold.
    Unhold,
    /// Answer the current gate.
    Gate {
        /// Go on.
        go: bool,
        /// What the evidence permits.
        permit: Permit,
    },
    /// Answer an item of a checklist.
    Answer {
        /// The step.
        step: StepId,
        /// Place of the item.
        item: usize,
        /// The answer.
        answer: String,
    },
    /// Speak for a role at a gate where several people agree.
    Vote {
        /// The gate.
        step: StepId,
        /// What they say.
        ballot: Ballot,
    },
    /// End the current wait early.
    Shorten {
        /// The typed reason.
        reason: String,
    },
    /// Set the release window or a freeze aside for this run.
    OverrideWindow {
        /// The typed reason.
        reason: String,
    },
    /// Go back to an earlier step.
    Recycle {
        /// The step.
        to: StepId,
        /// The typed reason.
        reason: String,
    },
    /// Decide about a failed step.
    Choose {
        /// What.
        choice: Choice,
        /// The typed reason.
        reason: Option<String>,
    },
    /// Take what is on the platform as the result of an unclear operation.
    Adopt {
        /// The typed reason.
        reason: String,
    },
    /// Fence the unclear operation off and plan it anew.
    Redo,
    /// Stop for good; the platform stays as it is.
    Abort {
        /// The typed reason.
        reason: String,
    },
    /// A note for the record.
    Note {
        /// The text.
        text: String,
    },
    /// The cockpit was armed (until then) or disarmed.
    Mode {
        /// Until when; disarmed when absent.
        armed_until: Option<DateTime<Utc>>,
    },
    /// The driver leaves; the run holds, unattended.
    Leave,
}

/// What the evidence says about moving forward, recorded with the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The verdict, with a person's part taken out: GO or WATCH permits.
    pub verdict: Verdict,
    /// Gates, data ages and what blocks, for the record.
    pub evidence: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Output {
    /// Append to the journal, after the head this engine knows.
    Append {
        /// Comes back with the answer.
        ticket: Ticket,
        /// `seq` that must be the last one.
        after: u64,
        /// The epoch that must be current; `None` for what everybody may write.
        epoch: Option<Epoch>,
        /// What.
        drafts: Vec<Draft>,
    },
    /// Work an action out, changing nothing.
    Plan {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The service it is for; the run's own when absent.
        target: Option<String>,
        /// What.
        action: Action,
    },
    /// Read what an action changes, now.
    Read {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The service it is for; the run's own when absent.
        target: Option<String>,
        /// The action, with every part fixed.
        action: Action,
    },
    /// Send one write. Only ever after its intent is durable.
    Send {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        write: Box<Write>,
        /// `seq` of the intent it rests on.
        intent: u64,
        /// `seq` of the confirmation behind it, and the plan's hash.
        confirmed: Option<(u64, String)>,
    },
    /// Take the seat again under a new epoch.
    AdvanceEpoch {
        /// Comes back with the answer.
        ticket: Ticket,
    },
    /// Evaluate a condition of the current step.
    Sample {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Which.
        what: SampleOf,
        /// Samples before this say nothing: the last shift's verification.
        not_before: Option<DateTime<Utc>>,
    },
    /// Show a plan and ask for its confirmation.
    Ask(Box<Proposal>),
    /// Close the prompt; nothing was sent.
    Withdraw {
        /// What changed, for people.
        why: String,
        /// The platform is not as it was when the plan was shown.
        moved: bool,
    },
    /// What a person asked for is not done.
    Refuse {
        /// Why not, and what to do.
        text: String,
    },
    /// Tell the operator.
    Say {
        /// How loud.
        level: Level,
        /// One line.
        text: String,
    },
}

/// Which condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SampleOf {
    /// A condition of a check step.
    Condition {
        /// The step.
        step: StepId,
        /// Place of the condition.
        index: usize,
    },
    /// A guard.
    Guard {
        /// Place of the guard in the runbook.
        index: usize,
    },
    /// A precondition.
    Precondition {
        /// Place of the precondition in the runbook.
        index: usize,
    },
    /// What the program sees for itself about an item of a checklist.
    Item {
        /// The step.
        step: StepId,
        /// Place of the item.
        item: usize,
    },
}

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Level {
    /// For the message row.
    Info,
    /// Needs attention.
    Warning,
    /// Needs attention now (bell).
    Alarm,
}

/// What an act is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Purpose {
    /// A step of the plan.
    Forward,
    /// The way back.
    BackOut,
}

/// A plan to be confirmed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// The operation it would be.
    pub op: OpId,
    /// The step.
    pub step: StepId,
    /// Forward or back.
    pub purpose: Purpose,
    /// What must be typed.
    pub confirm: Confirm,
    /// The plan.
    pub plan: ActionPlan,
    /// Hash that the confirmation is bound to.
    pub plan_hash: String,
}

impl Proposal {
    /// What has to be typed; `None` when nothing has to be. A back-out always asks for `0`, whatever its first act sets.
    #[must_use]
    pub fn must_type(&self) -> Option<String> {
        match (self.confirm, self.purpose) {
            (Confirm::None, _) => None,
            (Confirm::Yes, _) => Some("y".to_owned()),
            (Confirm::Consequence | Confirm::Override, Purpose::BackOut) => Some("0".to_owned()),
            (Confirm::Consequence | Confirm::Override, Purpose::Forward) => Some(self.plan.consequence.clone()),
        }
    }
}
