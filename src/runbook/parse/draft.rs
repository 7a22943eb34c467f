//! A runbook as read, with places: what the checks look at, and what the plan is made of when nothing is wrong.

use super::node::{At, Span};
use crate::domain::{Action, Confirm, Probe, StepId};
use crate::runbook::clock::ClockPlan;
use crate::runbook::people::{Approve, Poll, Role, Shorten};
use crate::runbook::plan::{Evidence, Guard, Item, ManualMode, OnFailure, OnNoData, Target, Undo, When};
use std::collections::BTreeMap;
use std::time::Duration;

/// A key of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given<T> {
    /// Not there.
    Absent,
    /// There, but wrong; that is reported already.
    Broken,
    /// There.
    Is(At<T>),
}

impl<T> Given<T> {
    pub(crate) fn value(&self) -> Option<&At<T>> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// The whole file.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) owner: String,
    pub(crate) doc: String,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) target: Option<Target>,
    pub(crate) roles: BTreeMap<String, Role>,
    /// Roles wherever they are named.
    pub(crate) named_roles: Vec<At<String>>,
    pub(crate) clock: Option<ClockDraft>,
    pub(crate) preconditions: Vec<ConditionDraft>,
    pub(crate) guards: Vec<GuardDraft>,
    pub(crate) steps: Vec<StepDraft>,
    pub(crate) rollback: Option<RollbackDraft>,
    pub(crate) finally: Vec<StepDraft>,
    /// Where `steps` stands, or the file begins.
    pub(crate) steps_at: Span,
}

impl Draft {
    /// Every step: forward, on the way back, and at the end.
    pub(crate) fn all_steps(&self) -> impl Iterator<Item = &StepDraft> {
        let back = self.rollback.as_ref().map_or(&[][..], |way_back| &way_back.steps);
        self.steps.iter().chain(back).chain(&self.finally)
    }
}

/// The times as read.
#[derive(Debug)]
pub(crate) struct ClockDraft {
    pub(crate) plan: ClockPlan,
    pub(crate) t0: Option<At<StepId>>,
}

/// The way back as read.
#[derive(Debug)]
pub(crate) struct RollbackDraft {
    pub(crate) confirm: Confirm,
    pub(crate) steps: Vec<StepDraft>,
    /// A key of it could not be read.
    pub(crate) broken: bool,
}

/// A guard as read.
#[derive(Debug)]
pub(crate) struct GuardDraft {
    pub(crate) id: Option<At<String>>,
    pub(crate) from: Option<At<StepId>>,
    pub(crate) until: Option<At<StepId>>,
    /// When nothing of it was wrong.
    pub(crate) guard: Option<Guard>,
}

/// A condition of `when` with the steps that it names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WhenDraft {
    pub(crate) when: When,
    pub(crate) names: Vec<At<StepId>>,
}

/// A step as read.
#[derive(Debug, Clone)]
pub(crate) struct StepDraft {
    /// Where it begins.
    pub(crate) span: Span,
    pub(crate) id: Option<At<StepId>>,
    pub(crate) title: Option<String>,
    pub(crate) doc: String,
    /// The service it is about, where that is not the run's own.
    pub(crate) on: Option<At<String>>,
    pub(crate) when: Given<WhenDraft>,
    /// Planned beginning in milliseconds after T-0.
    pub(crate) t: Option<At<i64>>,
    pub(crate) role: Option<String>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) timeout: Given<Duration>,
    pub(crate) confirm: Given<Confirm>,
    pub(crate) undo: Given<Undo>,
    pub(crate) on_failure: Given<OnFailure>,
    pub(crate) kind: Option<At<KindDraft>>,
}

impl StepDraft {
    /// Its id, or its beginning: where a finding about the step as a whole is shown.
    pub(crate) fn place(&self) -> Span {
        self.id.as_ref().map_or(self.span, |id| id.span)
    }

    /// Its name for people.
    pub(crate) fn name(&self) -> &str {
        self.id.as_ref().map_or("this step", |id| id.value.as_str())
    }

    /// What it does to the platform.
    pub(crate) fn action(&self) -> Option<&At<Action>> {
        match self.kind.as_ref().map(|k| &k.value) {
            Some(KindDraft::Do(Some(action))) => Some(action),
            _ => None,
        }
    }
}

/// What a step is, as read. Parts that are wrong are missing.
#[derive(Debug, Clone)]
pub(crate) enum KindDraft {
    Manual {
        mode: Option<ManualMode>,
        items: Vec<At<ItemDraft>>,
    },
    Check {
        all: bool,
        conditions: Vec<ConditionDraft>,
    },
    Do(Option<At<Action>>),
    Wait(Option<At<Duration>>, Option<Shorten>),
    Gate,
    Approve(Option<Approve>),
    Poll(Option<Poll>),
    /// The same as another step of the file.
    Uses(At<String>),
    /// Something this version does not run; reported already.
    Later,
}

/// An item of a checklist as read.
#[derive(Debug, Clone)]
pub(crate) struct ItemDraft {
    pub(crate) item: Item,
    /// What the program sees for itself.
    pub(crate) evidence: Option<ConditionDraft>,
}

/// A condition of a check as read.
#[derive(Debug, Clone)]
pub(crate) struct ConditionDraft {
    pub(crate) id: Option<At<String>>,
    pub(crate) span: Span,
    pub(crate) probe: Option<Probe>,
    pub(crate) hold: Given<Duration>,
    pub(crate) every: Duration,
    pub(crate) on_no_data: OnNoData,
}
