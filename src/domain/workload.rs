//! What runs: tracks, workloads, instances.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The two sides of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// The new version.
    Canary,
    /// The version that served before; stable, green/blue map onto canary and baseline.
    Baseline,
}

impl Track {
    /// Both tracks, canary first: the order of every screen.
    pub const ALL: [Self; 2] = [Self::Canary, Self::Baseline];

    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The thing that keeps the instances of one track running (a Deployment, a process, a service).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Which side it is.
    pub track: Track,
    /// `deployment/checkout-canary`.
    pub object: String,
    /// The platform's identity of the object; another uid is another object of the same name.
    pub uid: String,
    /// The version it is asked to run: the image tag, or the whole image when there is no tag.
    pub version: String,
    /// The image it is asked to run.
    pub image: String,
    /// The platform's number of this revision, when it has one.
    pub revision: Option<u64>,
    /// Instances asked for.
    pub desired: u32,
    /// Instances that are ready.
    pub ready: u32,
    /// Instances that already run the version asked for.
    pub updated: u32,
    /// Instances that have been ready for long enough.
    pub available: u32,
    /// The platform has seen the latest change of the specification.
    pub observed_latest: bool,
    /// The operator paused the rollout.
    pub paused: bool,
    /// Why the rollout cannot proceed, in the platform's words.
    pub trouble: Option<String>,
    /// How far the rollout of the version asked for is, by the platform's own rules.
    pub rollout: RolloutStatus,
}

/// How far a workload has come with the version it is asked to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum RolloutStatus {
    /// All of it runs, and nothing else.
    Complete,
    /// Under way.
    Waiting {
        /// For what: `2 of 3 new instances are ready`.
        why: String,
    },
    /// It will not proceed by itself.
    Failed {
        /// Why.
        why: String,
    },
}

impl Workload {
    /// How far the rollout is, from the counts alone, in the order in which `kubectl rollout status` looks at a Deployment.
    ///
    /// * `replicas`: instances that exist, old ones too.
    /// * `failed`: the platform gave up on it, in its words.
    #[must_use]
    pub fn status_of(&self, replicas: u32, failed: Option<&str>) -> RolloutStatus {
        // A pause is no part of that order, but without it nobody would see why nothing moves.
        let pause = if self.paused { "paused until it is resumed: " } else { "" };
        let waiting = |why: String| RolloutStatus::Waiting { why: format!("{pause}{why}") };
        if !self.observed_latest {
            waiting("the platform has not taken up the latest change".to_owned())
        } else if let Some(why) = failed {
            RolloutStatus::Failed { why: why.to_owned() }
        } else if self.updated < self.desired {
            waiting(format!("{} of {} instances run version {}", self.updated, self.desired, self.version))
        } else if replicas > self.updated {
            waiting(format!("{} old instances are being removed", replicas - self.updated))
        } else if self.available < self.updated {
            waiting(format!("{} of {} new instances are available", self.available, self.updated))
        } else {
            RolloutStatus::Complete
        }
    }
}

/// The state of one instance, as a person would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Something is wrong; the reason says what.
    Failing,
    /// Not placed on a node yet.
    Pending,
    /// Placed, containers starting.
    Starting,
    /// Running, but not ready for traffic.
    NotReady,
    /// Serving.
    Ready,
    /// Being removed.
    Stopping,
    /// Ended.
    Ended,
}

impl InstanceState {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::NotReady => "NotReady",
            Self::Ready => "Ready",
            Self::Stopping => "Stopping",
            Self::Ended => "Ended",
        }
    }
}

/// One running copy of the service (a pod, a process instance, a task).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The platform's identity; selection and messages are keyed by it.
    pub uid: Arc<str>,
    /// Its name there, cleaned.
    pub name: Arc<str>,
    /// Which side it belongs to.
    pub track: Track,
    /// The version it runs.
    pub version: Arc<str>,
    /// Its state.
    pub state: InstanceState,
    /// Why it is in that state, when that matters: `CrashLoopBackOff`, `OOMKilled`, `Unschedulable: …`.
    pub reason: Option<Arc<str>>,
    /// Restarts of its containers.
    pub restarts: u32,
    /// When its last restart ended the previous container, and how: `OOMKilled, exit 137`.
    pub last_exit: Option<(DateTime<Utc>, Arc<str>)>,
    /// Node it runs on.
    pub node: Option<Arc<str>>,
    /// When it was created.
    pub created: DateTime<Utc>,
}

impl Instance {
    /// Whether a person should look at it.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.state == InstanceState::Failing || (self.state != InstanceState::Ready && self.reason.is_some())
    }
}

/// Something the platform said about the service (a Kubernetes Event, an audit event).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformEvent {
    /// Identity of the event object; a repeat comes under the same uid with a higher count.
    pub uid: Arc<str>,
    /// When it last happened.
    pub at: DateTime<Utc>,
    /// A warning rather than a remark.
    pub warning: bool,
    /// `pod/checkout-canary-abc`.
    pub about: String,
    /// One word, such as `BackOff`.
    pub reason: String,
    /// What it said, cleaned and bounded.
    pub message: String,
    /// How often.
    pub count: u32,
}
