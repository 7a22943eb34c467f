//! Samples in memory, indexed by metric name.

use super::metric::{Metric, NAME};
use crate::domain::Labels;
use promql_parser::label::MatchOp;
use promql_parser::parser::VectorSelector;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
    /// Where each series is in `stored`.
    names: BTreeMap<String, BTreeMap<Labels, usize>>,
    stored: Vec<Stored>,
    /// Places in `stored` that are empty.
    free: Vec<usize>,
    /// Places of label sets that were appended before as the same object, which is held so that its address stays its own.
    /// To search by labels costs more than all else of a scrape.
    shared: HashMap<usize, (Arc<Labels>, usize)>,
}

impl Tsdb {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sample, `at_ms` in milliseconds since 1970, to the series with these labels (`__name__` among them).
    /// A sample that is not newer than the series' last one is dropped, as Prometheus drops it.
    pub fn append(&mut self, labels: &Labels, at_ms: i64, value: f64) {
        let place = self.place(labels);
        self.push(place, at_ms, value);
    }

    /// As [`Self::append`], for labels that stay the same object from scrape to scrape.
    pub(crate) fn append_shared(&mut self, labels: &Arc<Labels>, at_ms: i64, value: f64) {
        let address = Arc::as_ptr(labels).addr();
        let place = match self.shared.get(&address) {
            Some((_, place)) => *place,
            None => {
                let place = self.place(labels);
                self.shared.insert(address, (Arc::clone(labels), place));
                place
            }
        };
        self.push(place, at_ms, value);
    }

    fn push(&mut self, place: usize, at_ms: i64, value: f64) {
        let samples = &mut self.stored[place].samples;
        if samples.last().is_none_or(|last| last.at < at_ms) {
            samples.push(Sample { at: at_ms, value });
        }
    }

    /// Where the series with these labels is, or is from now on.
    fn place(&mut self, labels: &Labels) -> usize {
        let name = labels.get(NAME).map_or("", String::as_str);
        if let Some(place) = self.names.get(name).and_then(|all| all.get(labels)) {
            return *place;
        }
        let stored = Stored { metric: Metric::from_labels(labels), samples: vec![] };
        let place = match self.free.pop() {
            Some(place) => {
                self.stored[place] = stored;
                place
            }
            None => {
                self.stored.push(stored);
                self.stored.len() - 1
            }
        };
        self.names.entry(name.to_owned()).or_default().insert(labels.clone(), place);
        place
    }

    /// Forgets all samples older than `before_ms`, and series that have none left.
    pub fn prune(&mut self, before_ms: i64) {
        let (stored, free) = (&mut self.stored, &mut self.free);
        for all in self.names.values_mut() {
            all.retain(|_, place| {
                let samples = &mut stored[*place].samples;
                let old = samples.partition_point(|s| s.at < before_ms);
                samples.drain(..old);
                if samples.is_empty() {
                    free.push(*place);
                }
                !samples.is_empty()
            });
        }
        self.names.retain(|_, all| !all.is_empty());
        let stored = &self.stored;
        self.shared.retain(|_, (_, place)| !stored[*place].samples.is_empty());
    }

    /// The series that a selector means, in label order within each metric name.
    pub(super) fn select<'a>(&'a self, selector: &VectorSelector) -> Vec<&'a Stored> {
        let matchers = &selector.matchers.matchers;
        let exact = matchers.iter().find(|m| m.name == NAME && matches!(m.op, MatchOp::Equal)).map(|m| m.value.as_str());
        let mut found = Vec::new();
        let mut pick = |all: &mut dyn Iterator<Item = &'a BTreeMap<Labels, usize>>| {
            for (labels, place) in all.flatten() {
                if matchers.iter().all(|m| m.is_match(labels.get(&m.name).map_or("", String::as_str))) {
                    found.push(&self.stored[*place]);
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
        self.names.values().flat_map(BTreeMap::values).map(|place| &self.stored[*place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pod: &str) -> Arc<Labels> {
        Arc::new(Labels::from([(NAME.to_owned(), "up".to_owned()), ("pod".to_owned(), pod.to_owned())]))
    }

    fn known(db: &Tsdb) -> Vec<(String, usize)> {
        db.all().map(|stored| (stored.metric.get("pod").to_owned(), stored.samples.len())).collect()
    }

    #[test]
    fn a_series_is_the_same_by_labels_and_by_object_and_its_place_is_used_again_after_it_is_forgotten() {
        let mut db = Tsdb::new();
        let (a, b) = (labels("a"), labels("b"));
        db.append_shared(&a, 1, 1.0);
        db.append(&labels("a"), 2, 1.0);
        db.append_shared(&a, 3, 1.0);
        assert_eq!(known(&db), [("a".to_owned(), 3)]);
        db.prune(10);
        assert_eq!(known(&db), []);
        db.append_shared(&b, 11, 1.0);
        db.append_shared(&a, 12, 1.0);
        db.append_shared(&a, 13, 1.0);
        assert_eq!(known(&db), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }
}
