//! Instances counted by their labels, kept up to date with every change: what a selector picks is told from a few sums, however many
//! instances there are.

use crate::domain::{Instance, InstanceState, Track, XrayInstances};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// Labels of an object, or those that a selector asks for.
pub(super) type LabelSet = BTreeMap<String, String>;
/// Distinct sets of labels that are shared; more only costs memory.
const SETS: usize = 4096;
/// Most versions that are listed.
const VERSIONS: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    labels: Arc<LabelSet>,
    track: Track,
    version: Arc<str>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    all: u32,
    ready: u32,
}

/// The count.
#[derive(Default)]
pub(super) struct Census {
    sets: HashSet<Arc<LabelSet>>,
    groups: HashMap<Group, Tally>,
    /// Every instance was listed at least once.
    complete: bool,
    changed: Arc<Notify>,
}

impl Census {
    /// A set of labels, held once.
    pub(super) fn share(&mut self, labels: &LabelSet) -> Arc<LabelSet> {
        if let Some(known) = self.sets.get(labels) {
            return Arc::clone(known);
        }
        if self.sets.len() >= SETS {
            self.sets.clear();
        }
        let new = Arc::new(labels.clone());
        self.sets.insert(Arc::clone(&new));
        new
    }

    /// Tells of every change.
    pub(super) fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Starts anew; nothing is known until the next list is complete.
    pub(super) fn forget(&mut self) {
        self.groups.clear();
        self.complete = false;
        self.changed.notify_one();
    }

    /// A list is complete: these are all.
    pub(super) fn replace<'a>(&mut self, all: impl Iterator<Item = (&'a Instance, &'a Arc<LabelSet>)>) {
        self.groups.clear();
        all.for_each(|(instance, labels)| self.count_in(instance, labels));
        self.complete = true;
        self.changed.notify_one();
    }

    fn count_in(&mut self, instance: &Instance, labels: &Arc<LabelSet>) {
        let tally = self.groups.entry(group(instance, labels)).or_default();
        tally.all += 1;
        tally.ready += u32::from(instance.state == InstanceState::Ready);
    }

    /// An instance came.
    pub(super) fn add(&mut self, instance: &Instance, labels: &Arc<LabelSet>) {
        self.count_in(instance, labels);
        self.changed.notify_one();
    }

    /// An instance as counted before is gone, or is another now.
    pub(super) fn remove(&mut self, instance: &Instance, labels: &Arc<LabelSet>) {
        let group = group(instance, labels);
        if let Some(tally) = self.groups.get_mut(&group) {
            tally.all = tally.all.saturating_sub(1);
            tally.ready = tally.ready.saturating_sub(u32::from(instance.state == InstanceState::Ready));
            if tally.all == 0 {
                self.groups.remove(&group);
            }
        }
        self.changed.notify_one();
    }

    /// What a selector picks; `None` while the instances are not known. An empty selector picks nothing.
    pub(super) fn picked(&self, selector: &LabelSet) -> Option<XrayInstances> {
        let fits = |group: &Group| !selector.is_empty() && selector.iter().all(|(key, value)| group.labels.get(key) == Some(value));
        self.complete.then(|| self.sum(fits))
    }

    /// One side.
    pub(super) fn side(&self, track: Track) -> XrayInstances {
        self.sum(|group| group.track == track)
    }

    fn sum(&self, fits: impl Fn(&Group) -> bool) -> XrayInstances {
        let mut sum = XrayInstances::default();
        let mut versions = std::collections::BTreeSet::new();
        for (group, tally) in self.groups.iter().filter(|(group, _)| fits(group)) {
            sum.all += tally.all;
            sum.ready += tally.ready;
            match group.track {
                Track::Canary => sum.canary += tally.all,
                Track::Baseline => sum.baseline += tally.all,
            }
            versions.insert(group.version.to_string());
        }
        sum.versions = versions.into_iter().take(VERSIONS).collect();
        sum
    }
}

fn group(instance: &Instance, labels: &Arc<LabelSet>) -> Group {
    Group { labels: Arc::clone(labels), track: instance.track, version: Arc::clone(&instance.version) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn instance(name: &str, track: Track, state: InstanceState) -> Instance {
        Instance {
            uid: name.into(),
            name: name.into(),
            track,
            version: if track == Track::Canary { "v2".into() } else { "v1".into() },
            state,
            reason: None,
            restarts: 0,
            last_exit: None,
            node: None,
            created: DateTime::UNIX_EPOCH,
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn sums_follow_every_change() {
        let mut census = Census::default();
        let of = |census: &mut Census, version: &str| census.share(&labels(&[("app", "checkout"), ("version", version)]));
        let (green, blue) = (of(&mut census, "green"), of(&mut census, "blue"));
        let selector = labels(&[("version", "green")]);
        assert_eq!(census.picked(&selector), None, "nothing was listed");
        let old = instance("b", Track::Baseline, InstanceState::Ready);
        census.replace([(&old, &blue)].into_iter());
        let starting = instance("g", Track::Canary, InstanceState::Starting);
        let ready = instance("g", Track::Canary, InstanceState::Ready);
        census.add(&starting, &green);
        census.remove(&starting, &green);
        census.add(&ready, &green);
        let picked = XrayInstances { all: 1, ready: 1, canary: 1, baseline: 0, versions: vec!["v2".to_owned()] };
        assert_eq!(census.picked(&selector), Some(picked));
        assert_eq!(census.picked(&labels(&[("app", "checkout")])).unwrap().all, 2);
        assert_eq!(census.picked(&LabelSet::new()).unwrap().all, 0, "no selector is no instance, not all of them");
        census.remove(&ready, &green);
        assert_eq!(census.picked(&selector), Some(XrayInstances::default()));
    }
}
