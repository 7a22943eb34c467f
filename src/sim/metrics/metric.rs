//! An immutable, sorted label set that is cheap to clone, hash and compare.

use crate::domain::Labels;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub(super) const NAME: &str = "__name__";

/// A label set, sorted by label name, without empty values (an empty label and a missing one are the same thing).
/// Its order is Prometheus's order of series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Metric(Arc<[(Arc<str>, Arc<str>)]>);

impl Metric {
    /// No labels at all.
    pub(super) fn empty() -> Self {
        Self(Arc::from([]))
    }

    pub(super) fn from_labels(labels: &Labels) -> Self {
        Self(labels.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))).collect())
    }

    /// Value of a label, empty when it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(k, _)| (**k).cmp(name)).map_or("", |i| &self.0[i].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }

    /// Only the labels for which `wanted` holds.
    pub(super) fn keep(&self, wanted: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(k, _)| wanted(k)).cloned().collect())
    }

    /// Without the metric's name, as after any calculation.
    pub(super) fn without_name(&self) -> Self {
        self.keep(|name| name != NAME)
    }

    /// With one label set; an empty value removes it.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<_> = self.0.iter().filter(|(k, _)| &**k != name).cloned().collect();
        if !value.is_empty() {
            let at = pairs.partition_point(|(k, _)| &**k < name);
            pairs.insert(at, (Arc::from(name), Arc::from(value)));
        }
        Self(pairs.into())
    }
}

/// `{a="1", b="2"}`, the form in Prometheus's error texts.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whether `name` may be a label's name: a letter or underscore, then letters, digits, underscores.
pub(super) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
