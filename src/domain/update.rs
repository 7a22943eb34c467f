//! What a platform tells, as it changes.

use super::around::AroundUpdate;
use super::failure::Failure;
use super::progressive::ProgressiveUpdate;
use super::traffic::Route;
use super::workload::{Instance, PlatformEvent, Workload};
use super::xray::Xray;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// One change of what the platform shows.
#[derive(Debug, Clone, PartialEq)]
pub enum PlatformUpdate {
    /// A workload of the service, new or changed.
    Workload(Workload),
    /// A workload was deleted.
    WorkloadGone {
        /// Its uid.
        uid: String,
    },
    /// The complete list of instances: replaces all that was known.
    Instances(Vec<Instance>),
    /// Instances of the first list, which is not complete yet: shown already, to be counted on only when the complete list came.
    SomeInstances(Vec<Instance>),
    /// An instance, new or changed.
    Instance(Instance),
    /// An instance was deleted.
    InstanceGone {
        /// Its uid.
        uid: Arc<str>,
    },
    /// The route as configured; `None` when there is no such object (any more).
    Route(Option<Route>),
    /// Where the route leads, down to the instances.
    Xray(Box<Xray>),
    /// The platform remarked something.
    Event(PlatformEvent),
    /// Something around the workload.
    Around(AroundUpdate),
    /// Progressive delivery: a rollout, its analyses, who else moves traffic.
    Progressive(ProgressiveUpdate),
    /// Proof of life: what was told is how it was at `at`, by this machine's clock.
    Alive {
        /// When.
        at: DateTime<Utc>,
        /// Difference of the server's clock to ours, positive when the server is ahead; `None` when it did not tell.
        skew: Option<chrono::TimeDelta>,
    },
    /// An attempt failed; another follows after `retry_in`.
    Trouble {
        /// What failed.
        failure: Failure,
        /// Which part: `pods`, `route`.
        part: &'static str,
        /// When the next attempt is.
        retry_in: Duration,
    },
}
