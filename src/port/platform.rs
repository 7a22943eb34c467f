//! The platform that runs the service.

pub use crate::domain::PlatformUpdate;
use crate::domain::{Accepted, Action, ActionKind, ActionPlan, Failure, Preflight, Route, SourceId, Subject, Write};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// A right that can be asked for beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// List and watch workloads, instances and events of the service.
    Watch,
    /// Read the route.
    ReadRoute,
    /// Do this kind of action.
    Act(ActionKind),
}

/// A platform, scoped to one service.
pub trait Platform: Send + Sync {
    /// Name of the connection.
    fn source(&self) -> SourceId;

    /// What can be done to this service. What cannot is absent, never an error at the last moment; nothing is there that only reads.
    fn capabilities(&self) -> Vec<ActionKind>;

    /// Everything that concerns the service, for ever: reconnects by itself with back-off and tells of trouble in between.
    fn watch(&self) -> BoxStream<'static, PlatformUpdate>;

    /// The route as configured, read now, past every cache. `None` where nothing splits traffic.
    fn read_route(&self) -> BoxFuture<'_, Result<Option<Route>, Failure>>;

    /// What an action changes, read now, past every cache. Parts that the action leaves open are read as they would be fixed now.
    fn read(&self, action: &Action) -> BoxFuture<'_, Result<Subject, Failure>>;

    /// Works an action out against what is there now, with the platform's dry run and the access review. Changes nothing.
    fn plan(&self, action: Action) -> BoxFuture<'_, Result<ActionPlan, Failure>>;

    /// Sends one conditional write, once. A conflict is [`Failure::Refused`] with [`crate::domain::Refusal::Conflict`]; whatever
    /// leaves it open whether the write was applied is [`Failure::Unknown`].
    fn send(&self, write: Write) -> BoxFuture<'_, Result<Accepted, Failure>>;

    /// Asks whether our login has a right.
    fn may(&self, right: Right) -> BoxFuture<'_, Result<Preflight, Failure>>;

    /// How to do this by hand with the platform's own client, one command a line. Works offline.
    fn by_hand(&self, action: &Action, last_known: Option<&Subject>) -> Vec<String>;
}
