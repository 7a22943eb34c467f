//! The simulated metrics backend.

use crate::domain::{Clock, Labels};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// Samples by series.
#[derive(Debug, Default)]
pub struct Tsdb;

impl Tsdb {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// Adds a sample.
    pub fn append(&mut self, _labels: &Labels, _at_ms: i64, _value: f64) {}

    /// Forgets samples.
    pub fn prune(&mut self, _before_ms: i64) {}
}

/// The HTTP API.
pub fn api(_tsdb: Arc<RwLock<Tsdb>>, _clock: Arc<dyn Clock>, _scrape_interval: Duration) -> axum::Router {
    axum::Router::new()
}
