//! The platform that runs the service.

use crate::domain::{Accepted, Action, ActionPlan, Failure, Instance, PlatformEvent, Preflight, Route, SourceId, Workload, Write};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;

/// Something a platform can do. What it cannot do is absent, never an error at the last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Traffic shares can be read.
    ReadWeight,
    /// Traffic shares can be set.
    SetWeight,
}

/// A right that can be asked for beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// List and watch workloads, instances and events of the service.
    Watch,
    /// Read the route.
    ReadRoute,
    /// Change the route.
    WriteRoute,
}

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
    /// An instance, new or changed.
    Instance(Instance),
    /// An instance was deleted.
    InstanceGone {
        /// Its uid.
        uid: Arc<str>,
    },
    /// The route as configured; `None` when there is no such object (any more).
    Route(Option<Route>),
    /// The platform remarked something.
    Event(PlatformEvent),
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

/// A platform, scoped to one service.
pub trait Platform: Send + Sync {
    /// Name of the connection.
    fn source(&self) -> SourceId;

    /// What it can do.
    fn capabilities(&self) -> Vec<Capability>;

    /// Everything that concerns the service, for ever: reconnects by itself with back-off and tells of trouble in between.
    fn watch(&self) -> BoxStream<'static, PlatformUpdate>;

    /// The route as configured, read now, past every cache.
    fn read_route(&self) -> BoxFuture<'_, Result<Route, Failure>>;

    /// Works an action out against what is there now, with the platform's dry run and the access review. Changes nothing.
    fn plan(&self, action: Action) -> BoxFuture<'_, Result<ActionPlan, Failure>>;

    /// Sends one conditional write, once. A conflict is [`Failure::Refused`] with [`crate::domain::Refusal::Conflict`]; whatever
    /// leaves it open whether the write was applied is [`Failure::Unknown`].
    fn send(&self, write: Write) -> BoxFuture<'_, Result<Accepted, Failure>>;

    /// Asks whether our login has a right.
    fn may(&self, right: Right) -> BoxFuture<'_, Result<Preflight, Failure>>;

    /// How to set this weight by hand with the platform's own client, one command a line. Works offline.
    fn by_hand(&self, action: &Action, last_known: Option<&Route>) -> Vec<String>;
}
