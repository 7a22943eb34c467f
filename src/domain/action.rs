//! What can be done to a platform, planned, sent, and answered.

use super::ids::{Epoch, OpId, RunId};
use super::traffic::{Percent, Route};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A change of the platform, in its level form: saying it twice is the same as saying it once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send this share of traffic to the canary, the rest to the baseline.
    SetWeight {
        /// The new share of the canary.
        canary: Percent,
    },
}

impl Action {
    /// What must be typed to confirm it: the consequence.
    #[must_use]
    pub fn consequence(&self) -> String {
        match self {
            Self::SetWeight { canary } => canary.to_string(),
        }
    }

    /// The canary's share once it is done.
    #[must_use]
    pub fn weight(&self) -> Percent {
        match self {
            Self::SetWeight { canary } => *canary,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight { canary } => write!(f, "canary -> {canary}%"),
        }
    }
}

/// One line of the difference an action would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// `virtualservice/checkout http[primary] canary weight`.
    pub field: String,
    /// Value now.
    pub before: String,
    /// Value afterwards.
    pub after: String,
}

/// What the platform said when asked, without changing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Preflight {
    /// It would accept the change.
    Accepted,
    /// It would refuse, in its words.
    Refused {
        /// Why, with what to do.
        why: String,
    },
    /// It could not be asked; the plan still stands.
    NotAsked {
        /// Why not.
        why: String,
    },
}

/// An action worked out against what the platform shows now. Making one changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// What would be done.
    pub action: Action,
    /// The route as read, which the write relies on.
    pub before: Route,
    /// What would differ; empty when the platform is already there.
    pub diff: Vec<DiffLine>,
    /// The platform's own answer to a dry run.
    pub dry_run: Preflight,
    /// Whether our login has the right (asked beforehand).
    pub access: Preflight,
    /// The exact request, for people: method, path and body.
    pub request: String,
}

impl ActionPlan {
    /// The fields the plan relies on: if one of them moved, the plan is void. Not the object's version: status updates change that all the time.
    #[must_use]
    pub fn relies_on(&self) -> Relied {
        Relied::of(&self.before)
    }

    /// Whether the platform is already as wanted.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.before.is_at(self.action.weight())
    }
}

/// The part of a route that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relied {
    /// The object.
    pub object: String,
    /// Its identity.
    pub uid: String,
    /// The rule.
    pub rule: String,
    /// Relative weights as written.
    pub canary: u32,
    /// Relative weights as written.
    pub baseline: u32,
    /// Relative weights as written.
    pub others: u32,
    /// Epoch found on the object; another writer's epoch voids the plan.
    pub epoch: Option<Epoch>,
}

impl Relied {
    /// The fields of a route that plans rely on.
    #[must_use]
    pub fn of(route: &Route) -> Self {
        Self {
            object: route.object.clone(),
            uid: route.uid.clone(),
            rule: route.rule.clone(),
            canary: route.canary,
            baseline: route.baseline,
            others: route.others,
            epoch: route.stamp.as_ref().map(|s| s.epoch),
        }
    }
}

/// What a write is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WriteKind {
    /// The action itself, stamped with operation and epoch.
    Act {
        /// What to do.
        action: Action,
    },
    /// Only a new epoch on the object, so that a late write of an older epoch is refused there.
    Fence,
}

/// One conditional, stamped write. Sent once; never repeated by a client library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Act or fence.
    pub kind: WriteKind,
    /// Written on the object.
    pub run: RunId,
    /// Written on the object.
    pub op: OpId,
    /// Written on the object.
    pub epoch: Epoch,
    /// The route as re-read just before: the write is conditional on all its relied fields.
    pub before: Route,
    /// After this the outcome is unknown.
    pub deadline: Duration,
}

/// The platform accepted a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The object's version after the write, when the answer told.
    pub version: Option<String>,
    /// The route as the answer shows it.
    pub route: Option<Route>,
}
