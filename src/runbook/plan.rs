//! A runbook, fully resolved: parameters bound, defaults filled in. What a run pins by hash when it starts.

use super::clock::ClockPlan;
use super::people::{Approve, Poll, Role, Shorten};
use crate::domain::{Action, Confirm, Probe, ServiceKey, ServiceSpec, StepId, decimal, millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A runbook ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Its id.
    pub id: String,
    /// The author's version.
    pub version: String,
    /// One line.
    pub title: String,
    /// Who owns it.
    pub owner: String,
    /// Markdown.
    pub doc: String,
    /// Parameters as bound.
    pub params: BTreeMap<String, String>,
    /// What it releases.
    pub target: Target,
    /// Who may answer what, by role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Role>,
    /// T-0, windows, and how long a way back may take.
    #[serde(default, skip_serializing_if = "ClockPlan::is_empty")]
    pub clock: ClockPlan,
    /// Must hold before the first step, and again right before the first act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preconditions: Vec<Condition>,
    /// Watched the whole time.
    pub guards: Vec<Guard>,
    /// In order.
    pub steps: Vec<Step>,
    /// The way back.
    pub rollback: Rollback,
    /// Done at the end, after the steps or after the way back; not after an abort.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Step>,
}

/// What a runbook releases: names of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Platform connection.
    pub platform: String,
    /// Service.
    pub service: String,
    /// Environment, as text for people and for the prompt.
    pub environment: String,
    /// Excess errors of this release that hold its run when they are certain; the service's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_budget: Option<u32>,
    /// Other services that are released with it, each under a lock of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<ServiceKey>,
}

impl Target {
    /// The service alone: what a run without a file releases.
    #[must_use]
    pub fn of(spec: &ServiceSpec) -> Self {
        Self {
            platform: spec.platform.to_string(),
            service: spec.name.clone(),
            environment: spec.environment.clone(),
            harm_budget: None,
            with: vec![],
        }
    }
}

/// The way back. Empty steps: the undo actions of done and unknown steps, backwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    /// What must be typed to enter it. The fast path asks once, for the whole way back.
    pub confirm: Confirm,
    /// In order.
    pub steps: Vec<Step>,
    /// What sends everything back where nothing else would: by how the service splits its traffic. All weight off the canary when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<Action>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// For ever.
    pub id: StepId,
    /// One line.
    pub title: String,
    /// Markdown.
    pub doc: String,
    /// Entered only when this holds.
    pub when: Option<When>,
    /// How long it may take, without holds.
    #[serde(with = "millis::optional")]
    pub timeout: Option<Duration>,
    /// The service it acts on, of those that the runbook releases; the first one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// When it is planned to begin, in milliseconds after T-0 (before it when negative).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_ms: Option<i64>,
    /// Who answers its items where they do not say; anybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Series that are kept with its result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What must be typed before it acts.
    pub confirm: Confirm,
    /// What takes it back.
    pub undo: Undo,
    /// What is offered when it fails.
    pub on_failure: OnFailure,
    /// What it is.
    pub kind: StepKind,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// People answer items.
    Manual(Manual),
    /// Conditions must hold.
    Check(Check),
    /// The platform is changed.
    Do(Action),
    /// Time must pass: a bake.
    Wait {
        /// How long, counting only time in which nothing holds and the data is live.
        #[serde(with = "millis")]
        duration: Duration,
        /// Who may end it early, and when; nobody when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shorten: Option<Shorten>,
    },
    /// A person says go on (`y`).
    Gate,
    /// People of certain roles agree to what comes next.
    Approve(Approve),
    /// Every position says go or no-go; the decider last.
    Poll(Poll),
}

impl StepKind {
    /// The kind's key in a runbook.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manual(_) => "manual",
            Self::Check(_) => "check",
            Self::Do(_) => "do",
            Self::Wait { .. } => "wait",
            Self::Gate | Self::Approve(_) | Self::Poll(_) => "gate",
        }
    }
}

/// A series that is kept with the result of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id within the step.
    pub id: String,
    /// The query, parameters filled in.
    pub query: String,
    /// So far back.
    #[serde(with = "millis")]
    pub range: Duration,
    /// Distance of its samples.
    #[serde(with = "millis")]
    pub step: Duration,
}

/// A block of a checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manual {
    /// One item at a time, or all at once.
    pub mode: ManualMode,
    /// At most nine.
    pub items: Vec<Item>,
}

/// How a checklist is worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManualMode {
    /// Read one, do it, answer it.
    ReadDo,
    /// Do all, then confirm each.
    DoConfirm,
}

/// One item of a checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What is asked.
    pub challenge: String,
    /// What counts as an answer.
    pub answer: AnswerKind,
    /// Who answers it; anybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What is expected is not shown before it is answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
    /// What the program sees for itself: the item is open again while this is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Condition>>,
    /// An answer older than this has to be given again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis::optional")]
    pub expires: Option<Duration>,
    /// Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// What counts as an answer to an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// `done` or `yes`.
    Done,
    /// Nobody is asked: the evidence answers.
    Seen,
    /// Text; equal to this, or of this form, where given.
    Text {
        /// The only right answer.
        equals: Option<String>,
        /// What the whole answer must match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
    /// One of these; the expected one lets the step pass.
    Choice {
        /// What may be answered.
        of: Vec<String>,
        /// What must be answered to go on; any when absent.
        expect: Option<String>,
    },
    /// A number within limits.
    Number {
        /// At least.
        #[serde(with = "decimal::optional")]
        min: Option<f64>,
        /// At most.
        #[serde(with = "decimal::optional")]
        max: Option<f64>,
    },
}

impl AnswerKind {
    /// Whether an answer lets the step pass; an error when it is no answer to the question at all.
    pub fn judge(&self, answer: &str) -> Result<bool, String> {
        if answer.is_empty() {
            return Err("an empty answer answers nothing".into());
        }
        match self {
            Self::Done => Ok(["done", "yes", "y"].iter().any(|word| answer.eq_ignore_ascii_case(word))),
            Self::Seen => Err("nobody is asked: the evidence answers it".into()),
            Self::Text { equals, pattern } => {
                // The pattern was compiled when the runbook was read; one that does not compile lets nothing pass.
                let fits = pattern.as_ref().is_none_or(|p| regex::Regex::new(&format!("^(?:{p})$")).is_ok_and(|p| p.is_match(answer)));
                Ok(fits && equals.as_ref().is_none_or(|right| right == answer))
            }
            Self::Choice { of, expect } if of.iter().any(|one| one == answer) => Ok(expect.as_ref().is_none_or(|right| right == answer)),
            Self::Choice { of, .. } => Err(format!("answer one of {}", of.join(", "))),
            Self::Number { min, max } => {
                let number: f64 = answer.parse().map_err(|_| "answer with a number".to_owned())?;
                if !number.is_finite() {
                    return Err("answer with a number".into());
                }
                Ok(min.is_none_or(|m| number >= m) && max.is_none_or(|m| number <= m))
            }
        }
    }
}

/// Conditions that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// All of them, or any.
    pub all: bool,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// One condition of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its id within the step.
    pub id: String,
    /// What is asked, and what is good.
    pub probe: Probe,
    /// Good for so long without a break.
    #[serde(with = "millis")]
    pub hold: Duration,
    /// Asked so often.
    #[serde(with = "millis")]
    pub every: Duration,
    /// What no data means.
    pub on_no_data: OnNoData,
}

/// What no data means to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNoData {
    /// Go on asking until the step's timeout.
    Wait,
    /// The check fails.
    Fail,
    /// The condition counts as met.
    Pass,
}

/// A condition that is watched all the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// What is asked, and what is good.
    pub probe: Probe,
    /// Asked so often.
    #[serde(with = "millis")]
    pub every: Duration,
    /// Trips when bad for so long without a break.
    #[serde(with = "millis")]
    pub bad_for: Duration,
    /// What no data means.
    pub on_no_data: GuardBlind,
    /// What an unreachable source means.
    pub on_error: GuardBlind,
    /// First step in which it is watched; from the start when absent.
    pub from: Option<StepId>,
    /// Last step in which it is watched; to the end when absent.
    pub until: Option<StepId>,
    /// What a trip does.
    pub then: GuardThen,
}

/// What a guard does when it cannot see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardBlind {
    /// Nothing.
    Ignore,
    /// Hold the run until it sees again and a person releases the hold.
    Hold,
    /// The same as bad.
    Trip,
}

/// What a tripped guard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardThen {
    /// Hold and ask.
    Hold,
    /// Back out by itself if that was confirmed at the start, else hold and ask.
    Rollback,
    /// Say so.
    Warn,
}

/// What takes a step back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Nothing is needed.
    None,
    /// This action.
    Action(Action),
    /// It cannot be taken back.
    Irreversible,
}

/// What is offered when a step fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnFailure {
    /// In the order of the file; [`Choice::BackOut`] is always possible.
    pub offer: Vec<Choice>,
    /// Skipping needs a typed reason.
    pub skip_needs_reason: bool,
    /// Who may skip; whoever drives when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_role: Option<String>,
    /// Tried again by itself before anybody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Goes on without the step instead of asking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
}

/// How often a failed step is tried again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// So many times.
    pub times: u32,
    /// Pause before each.
    #[serde(with = "millis")]
    pub backoff: Duration,
}

impl Default for OnFailure {
    fn default() -> Self {
        Self {
            offer: vec![Choice::Retry, Choice::BackOut, Choice::Abort],
            skip_needs_reason: true,
            skip_role: None,
            retry: None,
            goes_on: false,
        }
    }
}

/// An answer to a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Do the step again.
    Retry,
    /// Go on without it.
    Skip,
    /// Take everything back (`rollback` in a file).
    #[serde(rename = "rollback")]
    BackOut,
    /// Stop here; the platform stays as it is.
    Abort,
}

/// When a step is entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The step passed.
    Done(StepId),
    /// The step was begun, whatever became of it.
    Reached(StepId),
    /// A parameter has this value.
    Given {
        /// Its name.
        param: String,
        /// As people write it.
        value: String,
    },
    /// All of them.
    And(Vec<When>),
    /// One of them.
    Or(Vec<When>),
    /// The contrary.
    Not(Box<When>),
}

/// A file cannot say a number that is not equal to itself. So whoever shares a runbook need not compare it to know that it is the same.
impl Eq for Runbook {}

impl Step {
    /// A step with nothing else said about it.
    #[must_use]
    pub fn new(id: StepId, title: String, kind: StepKind) -> Self {
        Self {
            id,
            title,
            doc: String::new(),
            when: None,
            timeout: None,
            target: None,
            t_ms: None,
            role: None,
            evidence: Vec::new(),
            confirm: Confirm::None,
            undo: Undo::None,
            on_failure: OnFailure::default(),
            kind,
        }
    }
}

impl Item {
    /// An item that anybody answers, for good.
    #[must_use]
    pub fn asking(challenge: String, answer: AnswerKind) -> Self {
        Self { challenge, answer, role: None, blind: false, evidence: None, expires: None, doc: String::new() }
    }
}

impl Runbook {
    /// A runbook without steps: what a person does without a file is written down as one.
    #[must_use]
    pub fn unwritten(id: String, title: String, owner: String, target: Target, last_resort: Action) -> Self {
        Self {
            id,
            version: "1".into(),
            title,
            owner,
            doc: String::new(),
            params: BTreeMap::new(),
            target,
            roles: BTreeMap::new(),
            clock: ClockPlan::default(),
            preconditions: Vec::new(),
            guards: Vec::new(),
            steps: Vec::new(),
            rollback: Rollback { confirm: Confirm::Consequence, steps: Vec::new(), last_resort: Some(last_resort) },
            finally: Vec::new(),
        }
    }

    /// The step with this id: forward, of the way back, or at the end.
    #[must_use]
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().chain(&self.rollback.steps).chain(&self.finally).find(|s| s.id == *id)
    }

    /// Whether this person has a role. A role that the runbook does not describe is nobody's.
    #[must_use]
    pub fn is_in(&self, person: &str, role: &str) -> bool {
        self.roles.get(role).is_some_and(|role| role.members.iter().any(|member| member == person))
    }

    /// Place of a forward step, from 0.
    #[must_use]
    pub fn position(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|s| s.id == *id)
    }
}
