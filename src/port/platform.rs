//! The platform that runs the service.

pub use crate::domain::PlatformUpdate;
use crate::domain::{Accepted, Action, ActionPlan, Failure, Preflight, Route, SourceId, Write};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

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
