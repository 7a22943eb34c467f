//! The state of a run: what folding its journal gives, and nothing else.

use super::gate::{Agreed, Cast, Terms};
use super::plan::{Choice, Runbook};
use super::record::{Found, SendOutcome, TargetRecord};
use crate::domain::record::Actor;
use crate::domain::{Action, Epoch, Failure, OpId, Outcome, Percent, Relied, RunId, StepId, Subject};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Going forward.
    Running,
    /// On the way back.
    RollingBack,
    /// All steps done.
    Completed,
    /// The way back is done.
    RolledBack,
    /// The way back could not be finished.
    RollbackStuck,
    /// Stopped; the platform stays as it is.
    Aborted,
}

impl Phase {
    /// Whether nothing follows any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::RolledBack | Self::Aborted)
    }

    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::RollingBack => "rolling back",
            Self::Completed => "completed",
            Self::RolledBack => "rolled back",
            Self::RollbackStuck => "rollback stuck",
            Self::Aborted => "aborted",
        }
    }
}

/// State of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StepPhase {
    /// Not reached.
    #[default]
    Pending,
    /// Working, or waiting for a person.
    Active,
    /// Done.
    Passed,
    /// Failed on bad data; a person decides.
    Failed,
    /// Failed for want of data; a person decides.
    Inconclusive,
    /// Left out.
    Skipped,
    /// Taken back.
    Undone,
}

/// What is known of one step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepState {
    /// Where it stands.
    pub phase: StepPhase,
    /// How often it was entered.
    pub attempts: u32,
    /// When it was first entered (store time).
    pub entered: Option<DateTime<Utc>>,
    /// When it ended (store time).
    pub ended: Option<DateTime<Utc>>,
    /// Why it ended as it did.
    pub why: String,
    /// Answers to the items of a checklist: text, whether it lets the step pass, who, when.
    pub answers: BTreeMap<usize, ItemAnswer>,
    /// Latest journaled outcome of each condition of a check.
    pub conditions: BTreeMap<String, (Outcome, String)>,
    /// What the program sees for itself about the items of a checklist.
    pub seen: BTreeMap<usize, (Outcome, String)>,
    /// When items that were seen good stopped being so (store time).
    pub was_good: BTreeMap<usize, DateTime<Utc>>,
    /// A bake's clock.
    pub bake: Option<Bake>,
    /// A bake was ended early: why, and by whom.
    pub shortened: Option<(String, Actor)>,
    /// How often it was tried again by itself.
    pub retries: u32,
    /// What a gate stands for, while people agree.
    pub terms: Option<Terms>,
    /// Their answers, in order.
    pub votes: Vec<Cast>,
}

/// An answer to an item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAnswer {
    /// What was answered.
    pub answer: String,
    /// Whether it lets the step pass.
    pub ok: bool,
    /// Who.
    pub by: Actor,
    /// When (store time).
    pub at: DateTime<Utc>,
    /// It is too old: the item is open again.
    pub expired: bool,
    /// Somebody else gave another answer: the step waits until both agree, or the decider rules.
    pub disputed: Option<Box<ItemAnswer>>,
}

impl ItemAnswer {
    /// Whether it lets the step pass.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.ok && !self.expired && self.disputed.is_none()
    }
}

/// The clock of a `wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bake {
    /// What was left at `since`.
    pub left: Duration,
    /// Counting since then (store time and, for this boot, boot clock); stopped when absent.
    pub counting_since: Option<(DateTime<Utc>, Duration)>,
    /// Boot that the reading belongs to.
    pub boot_id: String,
    /// Why it is stopped.
    pub stopped: Option<String>,
}

/// Why the run holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// In words.
    pub reason: String,
    /// The guard that did it.
    pub guard: Option<String>,
    /// Who.
    pub by: Actor,
    /// Since when (store time).
    pub since: DateTime<Utc>,
}

/// What is known of one guard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardState {
    /// Bad now.
    pub breached: bool,
    /// It tripped in this run: why, and when.
    pub tripped: Option<(String, DateTime<Utc>)>,
    /// It has not been good again since it tripped.
    pub standing: bool,
    /// A countdown to a back-out by itself runs since then (store time).
    pub countdown: Option<DateTime<Utc>>,
}

/// Stage of the operation in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum OpStage {
    /// Shown to a person.
    Planned,
    /// Confirmed under this `seq`.
    Confirmed {
        /// `seq` of the confirmation.
        seq: u64,
    },
    /// The intent is durable: it may have been sent.
    Intent,
    /// The platform took it; not seen as wanted yet.
    Accepted,
    /// Its outcome is unknown.
    Unknown {
        /// Why.
        failure: Option<Failure>,
        /// What the latest read said.
        found: Option<Found>,
    },
    /// Certainly not applied.
    NotApplied {
        /// Why.
        failure: Failure,
    },
    /// The platform is as wanted.
    Verified,
    /// The confirmation became void; nothing was sent.
    Void,
}

/// One operation: the latest of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id, stamped on the object.
    pub op: OpId,
    /// The step it belongs to.
    pub step: StepId,
    /// What it does.
    pub action: Action,
    /// Only a new epoch.
    pub fence: bool,
    /// From 1.
    pub attempt: u32,
    /// Epoch it was sent under.
    pub epoch: Option<Epoch>,
    /// Plan it executes.
    pub plan_hash: String,
    /// What the plan relies on.
    pub relied: Option<Relied>,
    /// What it changes, as re-read before the intent.
    pub before: Option<Box<Subject>>,
    /// Where it stands.
    pub stage: OpStage,
    /// Store time of its intent.
    pub intent_at: Option<DateTime<Utc>>,
    /// Store time of the platform's acceptance.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Store time of the verification.
    pub verified_at: Option<DateTime<Utc>>,
    /// What the latest read said about it, for people.
    pub seen: Option<String>,
    /// The canary's share as the latest read showed it, when it can be told in whole percent.
    pub seen_weight: Option<Percent>,
    /// Its intent is what put the step among [`RunState::in_force`].
    pub put_in_force: bool,
}

/// How an act landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandingState {
    /// The operation.
    pub op: OpId,
    /// From its intent to the proof, where there is one.
    pub took: Option<Duration>,
    /// One line: what was seen, or what is missing and what to do.
    pub text: String,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// The run.
    pub run: RunId,
    /// What it runs, as pinned at the start.
    pub runbook: Arc<Runbook>,
    /// Hash of the runbook.
    pub hash: String,
    /// What the lock belongs to.
    pub target: TargetRecord,
    /// `seq` of the last entry folded.
    pub head: u64,
    /// Hash of the last entry folded.
    pub head_hash: String,
    /// The driver's epoch.
    pub epoch: Epoch,
    /// Who drives or drove last.
    pub driver: Actor,
    /// The driver left on purpose.
    pub released: bool,
    /// Where it stands.
    pub phase: Phase,
    /// Why it ended or got stuck.
    pub end_reason: Option<String>,
    /// It holds.
    pub hold: Option<Hold>,
    /// One per forward step.
    pub steps: Vec<StepState>,
    /// One per step of the way back (the generated one, when the file has none).
    pub rollback: Vec<StepState>,
    /// One per step at the end.
    pub finally: Vec<StepState>,
    /// Latest journaled outcome of each precondition.
    pub preconditions: BTreeMap<String, (Outcome, String)>,
    /// All preconditions held, once.
    pub preconditions_met: bool,
    /// The window or a freeze was set aside: why, by whom, when.
    pub window_overridden: Option<(String, Actor, DateTime<Utc>)>,
    /// What people agreed to last, until it was done.
    pub agreed: Option<Agreed>,
    /// `seq` of the last trip of a guard: answers before it do not count any more.
    pub tripped_seq: u64,
    /// The steps of the way back, as they are or will be.
    pub rollback_plan: Vec<super::plan::Step>,
    /// One per guard of the runbook.
    pub guards: Vec<GuardState>,
    /// The latest operation.
    pub operation: Option<Operation>,
    /// Steps whose action may be in force, in the order they were done: what a back-out takes back.
    pub in_force: Vec<StepId>,
    /// The share asked for last; `None` until the run asked for one.
    pub intended: Option<Percent>,
    /// The same for other services that are released in this run, by name.
    pub intended_on: BTreeMap<String, Percent>,
    /// Store time of the last shift's verification: observed windows begin here.
    pub shifted_at: Option<DateTime<Utc>>,
    /// Result of looking whether traffic followed the last shift.
    pub landed: Option<(bool, String)>,
    /// Store time of the first act that sent requests to the new version: harm counts from its intent on.
    pub exposed_at: Option<DateTime<Utc>>,
    /// How the last act landed, when that is decided.
    pub landing: Option<LandingState>,
    /// How often the budget of excess errors was found spent.
    pub harm_spent: u32,
    /// Confirmed at the start.
    pub auto_back_out: bool,
    /// Restarts of all instances at the start.
    pub restarts_at_start: u32,
    /// The share that was configured at the start.
    pub configured_at_start: Option<Percent>,
    /// When it started (store time).
    pub started: DateTime<Utc>,
    /// When the way back began (store time), why, and whether by itself.
    pub rollback_began: Option<(DateTime<Utc>, String, bool)>,
    /// When it ended (store time).
    pub ended: Option<DateTime<Utc>>,
    /// Store time of the driver's last entry: the last moment it is known to have watched.
    pub driver_at: DateTime<Utc>,
    /// An operation that was set aside for a newer plan before all was known about it. A refused plan brings it back.
    pub doubtful: Option<Operation>,
    /// The latest fence.
    pub fence: Option<Operation>,
    /// The seat was taken from somebody who still drove: a fence comes before the first act.
    pub fence_owed: bool,
    /// What [`RunState::intended`] falls back to when the latest operation was certainly not applied.
    pub intended_before: Option<Percent>,
    /// Intents so far by step: an operation's id is never used twice.
    pub intents: BTreeMap<StepId, u32>,
    /// The latest incident that was declared in it.
    pub incident: Option<super::incident::IncidentState>,
}

/// What a run waits for from a person; shown until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The next step acts and needs a confirmation: `P`.
    Act {
        /// The step.
        step: StepId,
        /// What it will do.
        action: Action,
    },
    /// A gate: `P`, then `y`.
    Gate {
        /// The step.
        step: StepId,
    },
    /// Several people have to agree.
    Agree {
        /// The step.
        step: StepId,
    },
    /// Preconditions are not met, so nothing begins.
    Preconditions {
        /// Those that are not good, with what they read.
        bad: Vec<String>,
    },
    /// Items of a checklist are open: `D`.
    Items {
        /// The step.
        step: StepId,
        /// Places of the open ones.
        open: Vec<usize>,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
        /// What may be chosen.
        offer: Vec<Choice>,
    },
    /// An operation's outcome cannot be told, or somebody else changed the object.
    Unclear {
        /// The operation.
        op: OpId,
        /// What was found.
        found: Option<Found>,
        /// For people.
        why: String,
        /// Redo is possible (behind a fence).
        redo: bool,
        /// Adopting what is there is possible.
        adopt: bool,
    },
}

impl RunState {
    /// The active step: forward, or of the way back.
    #[must_use]
    pub fn current(&self) -> Option<(&super::plan::Step, &StepState)> {
        let active = |s: &StepState| matches!(s.phase, StepPhase::Active | StepPhase::Failed | StepPhase::Inconclusive);
        let main = if self.phase == Phase::Running { (&self.runbook.steps, &self.steps) } else { (&self.rollback_plan, &self.rollback) };
        let lists = [main, (&self.runbook.finally, &self.finally)];
        lists.into_iter().find_map(|(plan, states)| {
            let i = states.iter().position(active)?;
            Some((plan.get(i)?, &states[i]))
        })
    }

    /// Whether a step stands in `finally`.
    #[must_use]
    pub fn is_at_the_end(&self, step: &StepId) -> bool {
        self.runbook.finally.iter().any(|s| s.id == *step)
    }

    /// Whether a guard is watched now: from its first step to its last, while the run goes forward.
    #[must_use]
    pub fn watches(&self, guard: &super::plan::Guard) -> bool {
        let place = |id: &Option<StepId>| id.as_ref().map(|id| self.runbook.position(id));
        let reached = match place(&guard.from) {
            None => true,
            Some(None) => false,
            Some(Some(from)) => self.steps.iter().skip(from).any(|s| s.phase != StepPhase::Pending),
        };
        let over = match place(&guard.until) {
            None | Some(None) => false,
            Some(Some(until)) => self.steps.iter().take(until + 1).all(|s| matches!(s.phase, StepPhase::Passed | StepPhase::Skipped)),
        };
        self.phase == Phase::Running && reached && !over
    }

    /// What the outcome of the send in [`OpStage`] is called in the journal.
    #[must_use]
    pub fn stage_of(outcome: &SendOutcome) -> OpStage {
        match outcome {
            SendOutcome::Accepted { .. } => OpStage::Accepted,
            SendOutcome::NotApplied { failure } => OpStage::NotApplied { failure: failure.clone() },
            SendOutcome::Unknown { failure } => OpStage::Unknown { failure: Some(failure.clone()), found: None },
        }
    }
}

/// Entries that cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal of this run cannot be followed: {0}")]
pub struct FoldError(pub String);

impl Operation {
    /// A planned operation.
    pub(super) fn new(op: OpId, step: StepId, action: Action, plan_hash: String) -> Self {
        Self {
            op,
            step,
            action,
            fence: false,
            attempt: 1,
            epoch: None,
            plan_hash,
            relied: None,
            before: None,
            stage: OpStage::Planned,
            intent_at: None,
            accepted_at: None,
            verified_at: None,
            seen: None,
            seen_weight: None,
            put_in_force: false,
        }
    }

    /// Whether it is not known what became of it.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        matches!(self.stage, OpStage::Intent | OpStage::Unknown { .. })
    }

    /// Whether the platform may still change because of it, or was not yet seen as wanted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.in_doubt() || self.stage == OpStage::Accepted
    }

    /// Whether its write may still arrive. Where our stamp was seen it has arrived: a write is sent once.
    #[must_use]
    pub fn may_arrive(&self) -> bool {
        self.in_doubt() && self.found() != Some(Found::AppliedThenChanged)
    }

    /// What the latest read said of an unclear operation.
    #[must_use]
    pub fn found(&self) -> Option<Found> {
        if let OpStage::Unknown { found, .. } = &self.stage { *found } else { None }
    }
}
