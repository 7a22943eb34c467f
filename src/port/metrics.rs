//! The metrics backend.

use crate::domain::alert::AlertRule;
use crate::domain::{Failure, Labels, Sample, Series, SourceId};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::time::Duration;

/// An answer with what the backend remarked about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was asked for. Empty means no data, never zero.
    pub value: T,
    /// Time of the newest sample behind the query: the oldest among the newest of its selectors that have any. The answer itself
    /// carries only the evaluation time, which proves nothing. `None` when no selector has a sample.
    pub newest: Option<DateTime<Utc>>,
    /// Remarks such as partial data; shown, never dropped. Cleaned and bounded.
    pub warnings: Vec<String>,
    /// Difference of the server's clock to ours by its Date header.
    pub skew: Option<chrono::TimeDelta>,
}

/// One series of an instant answer, with its value.
pub type Point = (Labels, Sample);

/// A metrics backend that speaks PromQL.
pub trait Metrics: Send + Sync {
    /// Name of the connection.
    fn source(&self) -> SourceId;

    /// Its scrape interval.
    fn interval(&self) -> Duration;

    /// Values at one time (`None`: the backend's now).
    fn instant(&self, query: &str, at: Option<DateTime<Utc>>) -> BoxFuture<'_, Result<Answer<Vec<Point>>, Failure>>;

    /// Values over a range, one slot per `step`, gaps kept.
    fn range(
        &self,
        query: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        step: Duration,
    ) -> BoxFuture<'_, Result<Answer<Vec<Series>>, Failure>>;

    /// Its alerting rules with the alerts that are pending, bounded and cleaned. A backend that evaluates no rules has none.
    fn alert_rules(&self) -> BoxFuture<'_, Result<Vec<AlertRule>, Failure>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
