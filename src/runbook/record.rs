//! What is written into the journal: facts, in the past tense. State is only ever built by folding them.
//!
//! Numbers with a fraction are decimal strings and durations whole milliseconds, so that every event has one canonical form.

use super::plan::Choice;
use crate::domain::alert::AlertAct;
use crate::domain::incident::Severity;
use crate::domain::record::{Draft, Entry};
use crate::domain::signature::Standing;
use crate::domain::{Action, Epoch, Failure, OpId, Percent, Relied, StepId, Subject};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One fact of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// The run began. Pins the resolved runbook.
    #[serde(rename = "run.started")]
    RunStarted {
        /// The resolved runbook, in its journal form.
        runbook: serde_json::Value,
        /// SHA-256 of its canonical form.
        hash: String,
        /// What the lock belongs to.
        target: TargetRecord,
        /// A guard may back out by itself: confirmed at the start.
        auto_back_out: bool,
        /// The canary's share as configured at the start, when it was known.
        configured: Option<Percent>,
        /// Restarts of all instances at the start, by track, to tell new ones from old ones.
        restarts: u32,
        /// How the signature of the runbook's file stood; absent for what comes from no file, and in runs of before there were any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Standing>,
    },
    /// A driver took the seat of an unattended run.
    #[serde(rename = "run.resumed")]
    RunResumed {
        /// The new driver's epoch.
        epoch: Epoch,
    },
    /// All steps passed or were skipped.
    #[serde(rename = "run.completed")]
    RunCompleted {},
    /// The way back is done.
    #[serde(rename = "run.rolled_back")]
    RunRolledBack {},
    /// The way back could not be finished; people have to.
    #[serde(rename = "run.rollback_stuck")]
    RunRollbackStuck {
        /// Why.
        why: String,
    },
    /// Stopped for good; the platform stays as it is.
    #[serde(rename = "run.aborted")]
    RunAborted {
        /// Why.
        reason: String,
    },
    /// A driver took the seat.
    #[serde(rename = "lease.acquired")]
    LeaseAcquired {
        /// The new epoch.
        epoch: Epoch,
        /// From whom, when it was taken over.
        taken_from: Option<String>,
    },
    /// The driver left on purpose; the run holds, unattended.
    #[serde(rename = "lease.released")]
    LeaseReleased {},
    /// A step became active.
    #[serde(rename = "step.entered")]
    StepEntered {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
    },
    /// A step is done.
    #[serde(rename = "step.passed")]
    StepPassed {
        /// The step.
        step: StepId,
        /// On what evidence.
        why: String,
    },
    /// A step failed; a person decides.
    #[serde(rename = "step.failed")]
    StepFailed {
        /// The step.
        step: StepId,
        /// What happened.
        why: String,
        /// Failed for want of data rather than on bad data.
        inconclusive: bool,
    },
    /// A step was left out.
    #[serde(rename = "step.skipped")]
    StepSkipped {
        /// The step.
        step: StepId,
        /// Its condition did not hold, or a person's reason.
        why: String,
    },
    /// A step's effect was taken back.
    #[serde(rename = "step.undone")]
    StepUndone {
        /// The step.
        step: StepId,
    },
    /// An item of a checklist was answered.
    #[serde(rename = "item.answered")]
    ItemAnswered {
        /// The step.
        step: StepId,
        /// Place of the item in it, from 0.
        item: usize,
        /// The answer, cleaned and bounded.
        answer: String,
        /// Whether it lets the step pass.
        ok: bool,
    },
    /// An answer is too old: the item is open again.
    #[serde(rename = "item.expired")]
    ItemExpired {
        /// The step.
        step: StepId,
        /// Place of the item in it, from 0.
        item: usize,
    },
    /// What the program sees for itself about an item changed (changes only).
    #[serde(rename = "item.seen")]
    ItemSeen {
        /// The step.
        step: StepId,
        /// Place of the item in it, from 0.
        item: usize,
        /// Anything but `pass` leaves the item open.
        outcome: crate::domain::Outcome,
        /// Value and limit for people.
        shown: String,
        /// One line of why.
        why: String,
    },
    /// A precondition changed its outcome (changes only).
    #[serde(rename = "precondition.found")]
    PreconditionFound {
        /// Its id.
        precondition: String,
        /// The outcome.
        outcome: crate::domain::Outcome,
        /// Value and limit for people.
        shown: String,
        /// One line of why.
        why: String,
    },
    /// All preconditions held: the run may begin.
    #[serde(rename = "preconditions.met")]
    PreconditionsMet {
        /// What they read, for people.
        shown: String,
    },
    /// A gate at which several people agree is open: what they agree to was worked out.
    #[serde(rename = "gate.opened")]
    GateOpened {
        /// The step.
        step: StepId,
        /// The act that is agreed to; absent where nothing acts behind the gate.
        act: Option<StepId>,
        /// Hash of its plan, or of what the gate stands for.
        plan_hash: String,
        /// What it would do, for people.
        shown: String,
    },
    /// Somebody gave their answer at such a gate. Anybody may append this; whether it counts follows from the roles.
    #[serde(rename = "gate.voted")]
    GateVoted {
        /// The step.
        step: StepId,
        /// The role that is spoken for.
        role: String,
        /// The answer.
        vote: super::gate::Vote,
        /// Why, which a no-go and a hold need.
        reason: Option<String>,
        /// The plan that was shown.
        plan_hash: String,
        /// The voter's signature over the decision, armoured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A signature of an answer was checked by whoever drives.
    #[serde(rename = "gate.signature")]
    GateSignature {
        /// The step.
        step: StepId,
        /// `seq` of the answer.
        vote: u64,
        /// Fingerprint of the key, when it is one of the voter's.
        key: Option<String>,
        /// Why it does not count, otherwise.
        why: Option<String>,
    },
    /// What was agreed to does not stand any more: the gate is asked again.
    #[serde(rename = "gate.reopened")]
    GateReopened {
        /// The step.
        step: StepId,
        /// What changed, for people.
        why: String,
    },
    /// A bake was ended early.
    #[serde(rename = "wait.shortened")]
    WaitShortened {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
        /// What was left, in milliseconds.
        left_ms: u64,
    },
    /// A failed step is tried again by itself.
    #[serde(rename = "step.retried")]
    StepRetried {
        /// The step.
        step: StepId,
        /// From 1.
        nth: u32,
    },
    /// The run goes back to an earlier step: what comes after it is to be done again.
    #[serde(rename = "run.recycled")]
    RunRecycled {
        /// The step.
        to: StepId,
        /// Why.
        reason: String,
    },
    /// The release window or a freeze was set aside for this run.
    #[serde(rename = "window.overridden")]
    WindowOverridden {
        /// Why.
        reason: String,
    },
    /// A gate was answered.
    #[serde(rename = "gate.answered")]
    GateAnswered {
        /// The step.
        step: StepId,
        /// Go on.
        go: bool,
        /// The verdict at that moment and its reasons.
        evidence: String,
    },
    /// A condition of a check changed its outcome (changes only).
    #[serde(rename = "check.sample")]
    CheckSample {
        /// The step.
        step: StepId,
        /// The condition's id.
        condition: String,
        /// `pass`, `holding`, `fail`, `no-data`, `stale`, `error`.
        outcome: crate::domain::Outcome,
        /// Value and limit for people.
        shown: String,
        /// One line of why.
        why: String,
    },
    /// A guard's value turned bad, before its time to trip.
    #[serde(rename = "guard.breached")]
    GuardBreached {
        /// The guard.
        guard: String,
        /// Value and limit for people.
        shown: String,
    },
    /// A guard turned good again.
    #[serde(rename = "guard.cleared")]
    GuardCleared {
        /// The guard.
        guard: String,
    },
    /// A guard tripped.
    #[serde(rename = "guard.tripped")]
    GuardTripped {
        /// The guard.
        guard: String,
        /// What it read, against what, for how long.
        why: String,
        /// A back-out by itself follows after a countdown.
        countdown: bool,
    },
    /// The countdown before a back-out by itself was stopped by a person.
    #[serde(rename = "guard.countdown_cancelled")]
    CountdownCancelled {
        /// The guard.
        guard: String,
    },
    /// A bake counts.
    #[serde(rename = "wait.counting")]
    WaitCounting {
        /// The step.
        step: StepId,
        /// What is left, in milliseconds.
        left_ms: u64,
    },
    /// A bake stopped counting.
    #[serde(rename = "wait.stopped")]
    WaitStopped {
        /// The step.
        step: StepId,
        /// What is left, in milliseconds.
        left_ms: u64,
        /// Why.
        why: String,
    },
    /// The run holds. Anybody may append this.
    #[serde(rename = "hold.began")]
    HoldBegan {
        /// Why.
        reason: String,
        /// The guard that did it; a person when absent.
        guard: Option<String>,
    },
    /// The hold was released by a person.
    #[serde(rename = "hold.ended")]
    HoldEnded {},
    /// An action was worked out and shown.
    #[serde(rename = "action.planned")]
    ActionPlanned {
        /// The operation.
        op: OpId,
        /// The step it belongs to.
        step: StepId,
        /// What.
        action: Action,
        /// Hash that a confirmation is bound to.
        plan_hash: String,
        /// What the plan relies on.
        before: Relied,
        /// How it was, short, for people.
        #[serde(default)]
        shown: String,
    },
    /// A person confirmed that plan.
    #[serde(rename = "action.confirmed")]
    ActionConfirmed {
        /// The operation.
        op: OpId,
        /// The plan that was shown.
        plan_hash: String,
        /// What was typed.
        typed: String,
        /// How long the prompt was open, in milliseconds.
        shown_ms: u64,
        /// Verdict, gates and data ages at that moment.
        evidence: String,
    },
    /// The platform moved between plan and intent: the confirmation is void, nothing was sent.
    #[serde(rename = "action.replanned")]
    ActionReplanned {
        /// The operation that will not be.
        op: OpId,
        /// What moved, for people.
        why: String,
    },
    /// The write-ahead intent: no intent, no send.
    #[serde(rename = "action.intent")]
    ActionIntent {
        /// The operation.
        op: OpId,
        /// The step it belongs to.
        step: StepId,
        /// From 1; a redo is another attempt of the same step.
        attempt: u32,
        /// A write of a new epoch only.
        fence: bool,
        /// What.
        action: Action,
        /// The epoch it is sent under.
        epoch: Epoch,
        /// Plan it executes.
        plan_hash: String,
        /// `seq` of the confirmation it rests on; `None` for what needs none (`confirm: none`, automatic back-out, fence).
        confirmed: Option<u64>,
        /// What it changes, as re-read just before.
        before: Box<Subject>,
        /// Time the platform has, in milliseconds.
        deadline_ms: u64,
    },
    /// What the platform answered.
    #[serde(rename = "action.outcome")]
    ActionOutcome {
        /// The operation.
        op: OpId,
        /// The answer.
        outcome: SendOutcome,
    },
    /// The platform was read to find out what became of an operation.
    #[serde(rename = "action.reconciled")]
    ActionReconciled {
        /// The operation.
        op: OpId,
        /// What was found.
        found: Found,
        /// The canary's share as read, when it can be told in whole percent.
        #[serde(default)]
        weight: Option<Percent>,
        /// For people.
        why: String,
    },
    /// The platform is as wanted.
    #[serde(rename = "action.verified")]
    ActionVerified {
        /// The operation.
        op: OpId,
        /// The canary's share that was asked for, where it was about that.
        weight: Option<Percent>,
        /// From intent to here, in milliseconds.
        took_ms: u64,
    },
    /// Traffic was seen to follow, or not, after the settle time.
    #[serde(rename = "traffic.observed")]
    TrafficObserved {
        /// Whether the share agrees with what was intended.
        agreed: bool,
        /// `24.6% of 1240 requests`.
        shown: String,
    },
    /// After an act traffic is where it should be, and errors are as before the release as far as they are known.
    #[serde(rename = "landing.proved")]
    LandingProved {
        /// The operation.
        op: OpId,
        /// It was on the way back.
        back: bool,
        /// From its intent to here, in milliseconds.
        took_ms: u64,
        /// What was seen, for people.
        shown: String,
        /// Why nothing can be said about errors, if so.
        errors_unknown: Option<String>,
        /// When the service had more errors than before, where it had.
        impact: Option<ImpactRecord>,
    },
    /// It did not land in its time.
    #[serde(rename = "landing.missing")]
    LandingMissing {
        /// The operation.
        op: OpId,
        /// It was on the way back.
        back: bool,
        /// From its intent to here, in milliseconds.
        after_ms: u64,
        /// What is not as it should be, or not known.
        why: String,
        /// What to do now.
        next: String,
    },
    /// The budget of excess errors is certainly spent.
    #[serde(rename = "harm.exceeded")]
    HarmExceeded {
        /// Excess errors so far.
        excess: ExcessRecord,
        /// The budget.
        budget: u32,
    },
    /// The way back began.
    #[serde(rename = "rollback.began")]
    RollbackBegan {
        /// Why.
        why: String,
        /// By itself after a guard, rather than by a person.
        automatic: bool,
    },
    /// A person chose what to do about a failed step.
    #[serde(rename = "choice.made")]
    ChoiceMade {
        /// The step.
        step: StepId,
        /// What.
        choice: Choice,
        /// The typed reason, where one was asked for.
        reason: Option<String>,
    },
    /// A person decided what an unclear operation is.
    #[serde(rename = "action.adopted")]
    ActionAdopted {
        /// The operation.
        op: OpId,
        /// The canary's share that was taken over, when it can be told in whole percent.
        #[serde(default)]
        weight: Option<Percent>,
        /// The typed reason.
        reason: String,
    },
    /// A cockpit was armed or disarmed.
    #[serde(rename = "mode.changed")]
    ModeChanged {
        /// Armed until then; disarmed when absent.
        armed_until: Option<DateTime<Utc>>,
    },
    /// The machine slept or the clock jumped.
    #[serde(rename = "clock.jumped")]
    ClockJumped {
        /// For people: `asleep 14m02s`.
        what: String,
    },
    /// The write-ahead intent of an act beside the release: a silence.
    #[serde(rename = "side.intent")]
    SideIntent {
        /// The operation; its stamp is in what it makes.
        op: OpId,
        /// What.
        what: AlertAct,
    },
    /// What became of it, as far as is known now.
    #[serde(rename = "side.outcome")]
    SideOutcome {
        /// The operation.
        op: OpId,
        /// What.
        outcome: SideResult,
    },
    /// A person's note.
    #[serde(rename = "note")]
    Note {
        /// The text, cleaned and bounded.
        text: String,
    },
    /// An incident was declared. Anybody may append this and what follows of it, also after the run has ended.
    #[serde(rename = "incident.declared")]
    IncidentDeclared {
        /// How bad it is.
        severity: Severity,
        /// One line.
        title: String,
    },
    /// It is worse, or less bad.
    #[serde(rename = "incident.severity")]
    IncidentSeverity {
        /// How bad it is now.
        severity: Severity,
    },
    /// What those who wait were told.
    #[serde(rename = "incident.update")]
    IncidentUpdate {
        /// The text, cleaned and bounded.
        text: String,
    },
    /// Somebody was called in.
    #[serde(rename = "incident.escalated")]
    IncidentEscalated {
        /// Place in the ladder as it was configured then, from 0.
        rung: u32,
        /// Who.
        to: String,
    },
    /// It is over.
    #[serde(rename = "incident.resolved")]
    IncidentResolved {
        /// How, cleaned and bounded.
        text: String,
    },
}

/// Excess errors with their 95 % interval, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcessRecord {
    /// The estimate.
    pub count: i64,
    /// Lower end.
    pub low: i64,
    /// Upper end.
    pub high: i64,
}

/// From when to when a service had more errors than before its release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpactRecord {
    /// Beginning.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// What it cost; absent where that is not known.
    pub excess: Option<ExcessRecord>,
}

impl ImpactRecord {
    /// `impact 14:02:10-14:06:45, 312 excess errors (+-40)`.
    #[must_use]
    pub fn words(&self) -> String {
        let from = self.from.format("%H:%M:%S");
        let until = self.until.format("%H:%M:%SZ");
        let cost = self.excess.map_or_else(|| "excess errors not known".to_owned(), |e| e.words());
        format!("impact {from}-{until}, {cost}")
    }
}

impl ExcessRecord {
    /// `312 excess errors (+-40)`.
    #[must_use]
    pub fn words(&self) -> String {
        let spread = (self.high - self.low + 1) / 2;
        format!("{} excess errors (+-{spread})", self.count)
    }
}

/// What the lock belongs to, and the environment for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// Platform connection.
    pub platform: String,
    /// Service.
    pub service: String,
    /// Environment.
    pub environment: String,
}

/// What became of an act beside the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum SideResult {
    /// It is done.
    Applied {
        /// Id of what it made.
        id: Option<String>,
        /// Found by reading, after the answer was lost.
        found: bool,
    },
    /// It was not done.
    NotApplied {
        /// Why.
        why: String,
    },
    /// Nobody knows yet; it is looked for and never sent again.
    Unknown {
        /// Why.
        why: String,
    },
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum SendOutcome {
    /// The platform took it.
    Accepted {
        /// The object's version afterwards.
        version: Option<String>,
    },
    /// Certainly not applied.
    NotApplied {
        /// Why.
        failure: Failure,
    },
    /// May or may not have been applied.
    Unknown {
        /// Why.
        failure: Failure,
    },
}

/// What reading the platform says about an operation whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Our stamp, and as wanted.
    Applied,
    /// Our stamp, but not as wanted: somebody changed it afterwards.
    AppliedThenChanged,
    /// Not our stamp, all as before: not applied yet. A late write may still come until a fence is written.
    NotYet,
    /// As above, behind a fence: it can never be applied any more.
    Never,
    /// Not our stamp, changed, and as wanted: somebody else did it.
    DoneByOther,
    /// Not our stamp, changed, and not as wanted.
    Drifted,
}

impl Event {
    /// As the journal wants it.
    pub fn draft(&self) -> Draft {
        let mut body = serde_json::to_value(self).unwrap_or_default();
        let kind = body.as_object_mut().and_then(|map| map.remove("type")).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let step = body.get("step").and_then(|v| v.as_str()).map(str::to_owned);
        Draft { kind, step, body }
    }

    /// Reads an entry. An entry of a type that this version does not know is an error: state must never be built on half a record.
    pub fn of(entry: &Entry) -> Result<Self, String> {
        let wrong = |e: serde_json::Error| format!("entry {} of {} ({}): {e}", entry.seq, entry.run, entry.kind);
        let Some(body) = entry.body.as_object() else {
            return Err(format!("entry {} of {}: its body is no object", entry.seq, entry.run));
        };
        // Long journals are read whole: the body is looked at where it is, not copied.
        let brought_up = super::older::brought_up(&entry.kind, body);
        let kind = serde_json::Value::from(entry.kind.as_str());
        let fields = brought_up.as_ref().unwrap_or(body).iter().map(|(name, value)| (name.as_str(), value));
        let all = fields.filter(|(name, _)| *name != "type").chain([("type", &kind)]);
        Self::deserialize(serde::de::value::MapDeserializer::new(all)).map_err(wrong)
    }
}

/// The first entry of a run, with how the signature of the runbook's file stood.
#[must_use]
pub fn with_signature(mut first: Draft, signature: &Standing) -> Draft {
    if let Some(body) = first.body.as_object_mut() {
        body.insert("signature".into(), serde_json::to_value(signature).unwrap_or_default());
    }
    first
}
