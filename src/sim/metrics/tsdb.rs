//! Samples in memory, indexed by metric name.

use super::metric::{Metric, NAME};
use crate::domain::Labels;
use promql_parser::label::MatchOp;
use promql_parser::parser::VectorSelector;
use std::collections::BTreeMap;

/// The bit pattern of the staleness marker: a NaN which says that a series has ended. Append `f64::from_bits` of it to end one.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// One sample: milliseconds since 1970 and the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: i64,
    pub(super) value: f64,
}

impl Sample {
    /// A staleness marker rather than a value. Compared by bits: other NaNs are values.
    pub(super) fn is_stale(self) -> bool {
        self.value.to_bits() == STALE_NAN_BITS
    }
}

/// One series, samples in order of time.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) metric: Metric,
    pub(super) samples: Vec<Sample>,
}

/// All samples, by metric name and label set.
#[derive(Debug, Default)]
pub struct Tsdb {
    names: BTreeMap<String, BTreeMap<Labels, Stored>>,
}

impl Tsdb {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sample, `at_ms` in milliseconds since 1970, to the series with these labels (`__name__` among them).
    /// A sample that is not newer than the series' last one is dropped, as Prometheus drops it.
    pub fn append(&mut self, labels: &Labels, at_ms: i64, value: f64) {
        let sample = Sample { at: at_ms, value };
        let name = labels.get(NAME).map_or("", String::as_str);
        if let Some(stored) = self.names.get_mut(name).and_then(|all| all.get_mut(labels)) {
            if stored.samples.last().is_none_or(|last| last.at < at_ms) {
                stored.samples.push(sample);
            }
            return;
        }
        let stored = Stored { metric: Metric::from_labels(labels), samples: vec![sample] };
        self.names.entry(name.to_owned()).or_default().insert(labels.clone(), stored);
    }

    /// Forgets all samples older than `before_ms`, and series that have none left.
    pub fn prune(&mut self, before_ms: i64) {
        for all in self.names.values_mut() {
            for stored in all.values_mut() {
                let old = stored.samples.partition_point(|s| s.at < before_ms);
                stored.samples.drain(..old);
            }
            all.retain(|_, stored| !stored.samples.is_empty());
        }
        self.names.retain(|_, all| !all.is_empty());
    }

    /// The series that a selector means, in label order within each metric name.
    pub(super) fn select<'a>(&'a self, selector: &VectorSelector) -> Vec<&'a Stored> {
        let matchers = &selector.matchers.matchers;
        let exact = matchers.iter().find(|m| m.name == NAME && matches!(m.op, MatchOp::Equal)).map(|m| m.value.as_str());
        let mut found = Vec::new();
        let mut pick = |all: &mut dyn Iterator<Item = &'a BTreeMap<Labels, Stored>>| {
            for (labels, stored) in all.flatten() {
                if matchers.iter().all(|m| m.is_match(labels.get(&m.name).map_or("", String::as_str))) {
                    found.push(stored);
                }
            }
        };
        match selector.name.as_deref().or(exact) {
            Some(name) => pick(&mut self.names.get(name).into_iter()),
            None => pick(&mut self.names.values()),
        }
        found
    }

    /// All series, by name and label order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.names.values().flat_map(BTreeMap::values)
    }
}
