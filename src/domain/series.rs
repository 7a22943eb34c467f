//! Measurements over time, with their gaps.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One measurement at one time. NaN and infinities are kept as they came: they are not zero and not missing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub value: f64,
}

/// One time series of a range: a slot per step, `None` where the backend had nothing. A gap is never bridged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its labels, cleaned.
    pub labels: Labels,
    /// Time of the first slot.
    pub start: DateTime<Utc>,
    /// Distance of slots.
    pub step: Duration,
    /// One per slot.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// Share of slots that have a value, 0 to 1.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        self.values.iter().filter(|v| v.is_some()).count() as f64 / self.values.len() as f64
    }

    /// Time of slot `index`.
    #[must_use]
    pub fn time(&self, index: usize) -> DateTime<Utc> {
        self.start + chrono::TimeDelta::from_std(self.step * u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    /// The newest slot that has a value.
    #[must_use]
    pub fn last(&self) -> Option<Sample> {
        let index = self.values.iter().rposition(Option::is_some)?;
        Some(Sample { at: self.time(index), value: self.values[index]? })
    }
}
