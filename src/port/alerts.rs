//! The source of alerts.

use crate::domain::alert::{Alert, Silence, SilenceDraft};
use crate::domain::{Failure, SourceId};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::time::Duration;

/// Everything that an alerts source tells at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsAnswer {
    /// Firing and suppressed alerts. Cleaned and bounded.
    pub alerts: Vec<Alert>,
    /// Silences that are active or begin later, and those that ended lately. Cleaned and bounded.
    pub silences: Vec<Silence>,
    /// When this was true by our clock: the time of the request. `None` when the server's own clock stands still, so that the
    /// answer comes out of some cache and says nothing about now.
    pub at: Option<DateTime<Utc>>,
    /// Difference of the server's clock to ours by its Date header.
    pub skew: Option<chrono::TimeDelta>,
    /// Alerts and silences that are not in here because there were too many.
    pub left_out: usize,
}

/// A source of alerts whose silences can be made and ended.
pub trait Alerts: Send + Sync {
    /// Name of the connection.
    fn source(&self) -> SourceId;

    /// How often it is asked.
    fn interval(&self) -> Duration;

    /// What fires, what is suppressed, and by which silences.
    fn snapshot(&self) -> BoxFuture<'_, Result<AlertsAnswer, Failure>>;

    /// Makes a silence, once, unless one with the same stamp (the end of its comment, see `domain::alert::stamp`) is there already.
    /// Gives its id. After [`Failure::Unknown`] the caller looks for it with [`Alerts::find_silence`] and does not send again.
    fn create_silence(&self, draft: SilenceDraft, stamp: String) -> BoxFuture<'_, Result<String, Failure>>;

    /// Ends a silence now, on the condition that it is still as `seen`. One that has ended already is a success.
    fn expire_silence(&self, seen: Silence) -> BoxFuture<'_, Result<(), Failure>>;

    /// The silence whose comment carries this stamp, ended ones included.
    fn find_silence(&self, stamp: String) -> BoxFuture<'_, Result<Option<Silence>, Failure>>;

    /// The silence with this id, ended ones included.
    fn read_silence(&self, id: String) -> BoxFuture<'_, Result<Option<Silence>, Failure>>;
}
