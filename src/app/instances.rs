//! Ten thousand instances, counted as they change and sorted only when asked.

use super::model::InstanceSort;
use crate::domain::{Instance, InstanceState, Track};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Counts of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// All that are not ended.
    pub total: u32,
    /// Serving.
    pub ready: u32,
    /// With a problem.
    pub problems: u32,
    /// Restarts of all of them.
    pub restarts: u32,
}

/// The instances by uid, with counts that are always right.
#[derive(Debug, Clone, Default)]
pub struct Instances {
    by_uid: BTreeMap<Arc<str>, Instance>,
    /// Those that a look at all of them is for: with a problem, restarted, or with a last exit. Few, whatever the size.
    notable: BTreeSet<Arc<str>>,
    canary: Count,
    baseline: Count,
    states: BTreeMap<(Track, InstanceState), u32>,
}

impl Instances {
    /// Replaces everything.
    pub fn replace(&mut self, all: Vec<Instance>) {
        *self = Self::default();
        for instance in all {
            self.put(instance);
        }
    }

    /// A new or changed instance; gives what was known before.
    pub fn put(&mut self, instance: Instance) -> Option<Instance> {
        self.count(&instance, true);
        if is_notable(&instance) {
            self.notable.insert(instance.uid.clone());
        } else {
            self.notable.remove(&instance.uid);
        }
        let before = self.by_uid.insert(instance.uid.clone(), instance);
        if let Some(before) = &before {
            self.count(before, false);
        }
        before
    }

    /// A deleted instance.
    pub fn remove(&mut self, uid: &str) -> Option<Instance> {
        let gone = self.by_uid.remove(uid)?;
        self.count(&gone, false);
        self.notable.remove(uid);
        Some(gone)
    }

    fn count(&mut self, instance: &Instance, add: bool) {
        let step = |n: &mut u32, by: u32| *n = if add { *n + by } else { n.saturating_sub(by) };
        step(self.states.entry((instance.track, instance.state)).or_default(), 1);
        if instance.state == InstanceState::Ended {
            return;
        }
        let count = match instance.track {
            Track::Canary => &mut self.canary,
            Track::Baseline => &mut self.baseline,
        };
        step(&mut count.total, 1);
        step(&mut count.ready, u32::from(instance.state == InstanceState::Ready));
        step(&mut count.problems, u32::from(instance.is_problem()));
        step(&mut count.restarts, instance.restarts);
    }

    /// Counts of a track.
    #[must_use]
    pub fn of(&self, track: Track) -> Count {
        match track {
            Track::Canary => self.canary,
            Track::Baseline => self.baseline,
        }
    }

    /// How many of a track are in each state, worst state first.
    pub fn by_state(&self, track: Track) -> impl Iterator<Item = (InstanceState, u32)> + '_ {
        self.states.iter().filter(move |((t, _), n)| *t == track && **n > 0).map(|((_, s), n)| (*s, *n))
    }

    /// The instance.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Instance> {
        self.by_uid.get(uid)
    }

    /// All, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.by_uid.values()
    }

    /// Those with a problem, with restarts, or with a last exit.
    pub fn notable(&self) -> impl Iterator<Item = &Instance> {
        self.notable.iter().filter_map(|uid| self.by_uid.get(uid))
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }

    /// Above this many rows the table shows counts and the rows with a problem.
    pub const ROWS: usize = 200;

    /// Rows of the table in no order: filtered; above [`Self::ROWS`] without a filter only rows with a problem.
    #[must_use]
    pub fn hits(&self, filter: &str) -> Vec<&Instance> {
        let filter = Filter::new(filter);
        if filter.words.is_empty() {
            let many = self.by_uid.len() > Self::ROWS;
            return if many { self.notable().filter(|i| i.is_problem()).collect() } else { self.iter().collect() };
        }
        self.iter().filter(|i| filter.takes(i)).collect()
    }

    /// All rows of the table, sorted.
    #[must_use]
    pub fn rows(&self, sort: InstanceSort, filter: &str) -> Vec<&Instance> {
        let mut rows = self.hits(filter);
        rows.sort_unstable_by(|a, b| order(sort, a, b));
        rows
    }
}

/// The rows from a place on that have room, sorted among themselves; of ten thousand rows only those are sorted that are seen.
#[must_use]
pub fn part(mut rows: Vec<&Instance>, sort: InstanceSort, from: usize, room: usize) -> Vec<&Instance> {
    let compare = |a: &&Instance, b: &&Instance| order(sort, a, b);
    if from >= rows.len() {
        return Vec::new();
    }
    if from > 0 {
        rows.select_nth_unstable_by(from, compare);
        rows.drain(..from);
    }
    if room < rows.len() {
        rows.select_nth_unstable_by(room, compare);
        rows.truncate(room);
    }
    rows.sort_unstable_by(compare);
    rows
}

/// The place that a row has among the sorted ones; `None` if it is not there.
#[must_use]
pub fn place(rows: &[&Instance], sort: InstanceSort, uid: &str) -> Option<usize> {
    let row = rows.iter().find(|row| *row.uid == *uid)?;
    Some(rows.iter().filter(|other| order(sort, other, row) == Ordering::Less).count())
}

/// Total: no two rows are equal.
fn order(sort: InstanceSort, a: &Instance, b: &Instance) -> Ordering {
    let first = match sort {
        InstanceSort::Group => (a.track, !a.is_problem(), a.created).cmp(&(b.track, !b.is_problem(), b.created)),
        InstanceSort::Restarts => b.restarts.cmp(&a.restarts),
        InstanceSort::Age => b.created.cmp(&a.created),
        InstanceSort::Name => Ordering::Equal,
    };
    first.then_with(|| a.name.cmp(&b.name)).then_with(|| a.uid.cmp(&b.uid))
}

fn is_notable(instance: &Instance) -> bool {
    instance.is_problem() || instance.restarts > 0 || instance.last_exit.is_some()
}

/// `text` anywhere in a row; `!text` nowhere; several words must all match.
struct Filter {
    /// In lower case, and whether the word must be absent.
    words: Vec<(String, bool)>,
}

impl Filter {
    fn new(text: &str) -> Self {
        let word = |word: &str| word.strip_prefix('!').map_or((word.to_lowercase(), false), |rest| (rest.to_lowercase(), true));
        Self { words: text.split_whitespace().map(word).collect() }
    }

    fn takes(&self, instance: &Instance) -> bool {
        self.words.iter().all(|(word, absent)| {
            let hit = [&*instance.name, &*instance.version, instance.track.word(), instance.state.word()]
                .into_iter()
                .chain(instance.reason.as_deref())
                .chain(instance.node.as_deref())
                .any(|field| holds(field, word));
            hit != *absent
        })
    }
}

/// Whether a text holds a word of lower case, whatever its own case. Most of what platforms call things is of lower case already.
fn holds(text: &str, word: &str) -> bool {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        text.contains(word)
    } else {
        text.to_lowercase().contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn instance(uid: &str, track: Track, state: InstanceState, restarts: u32) -> Instance {
        Instance {
            uid: uid.into(),
            name: format!("pod-{uid}").into(),
            track,
            version: "v1".into(),
            state,
            reason: None,
            restarts,
            last_exit: None,
            node: None,
            created: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn counts_follow_every_change() {
        let mut all = Instances::default();
        all.put(instance("a", Track::Canary, InstanceState::Ready, 0));
        all.put(instance("b", Track::Canary, InstanceState::Starting, 2));
        all.put(instance("a", Track::Canary, InstanceState::Failing, 1));
        assert_eq!(all.of(Track::Canary), Count { total: 2, ready: 0, problems: 1, restarts: 3 });
        all.remove("a");
        assert_eq!(all.of(Track::Canary), Count { total: 1, ready: 0, problems: 0, restarts: 2 });
        assert_eq!(all.by_state(Track::Canary).collect::<Vec<_>>(), [(InstanceState::Starting, 1)]);
    }

    #[test]
    fn the_notable_ones_are_known_without_a_search() {
        let mut all = Instances::default();
        for (uid, state, restarts) in [("a", InstanceState::Ready, 0), ("b", InstanceState::Ready, 1), ("c", InstanceState::Failing, 0)] {
            all.put(instance(uid, Track::Canary, state, restarts));
        }
        let uids = |all: &Instances| all.notable().map(|i| i.uid.to_string()).collect::<Vec<_>>();
        assert_eq!(uids(&all), ["b", "c"]);
        all.put(instance("c", Track::Canary, InstanceState::Ready, 0));
        all.remove("b");
        assert!(uids(&all).is_empty(), "recovered and gone");
    }

    #[test]
    fn problems_come_first_in_their_group_and_alone_among_many() {
        let mut all = Instances::default();
        for i in 0..300 {
            all.put(instance(&format!("{i:03}"), Track::Baseline, InstanceState::Ready, 0));
        }
        all.put(instance("bad", Track::Baseline, InstanceState::Failing, 0));
        assert_eq!(all.rows(InstanceSort::Group, "").len(), 1);
        assert_eq!(all.rows(InstanceSort::Group, "pod-00").len(), 10);
        assert_eq!(all.rows(InstanceSort::Group, "!ready").len(), 1);
    }

    #[test]
    fn a_part_is_what_sorting_all_would_show_there() {
        let mut all = Instances::default();
        for i in 0..50_u32 {
            let state = if i % 7 == 0 { InstanceState::Failing } else { InstanceState::Ready };
            let track = if i % 3 == 0 { Track::Canary } else { Track::Baseline };
            all.put(instance(&format!("{:02}", i * 17 % 50), track, state, i % 5));
        }
        for sort in [InstanceSort::Group, InstanceSort::Restarts, InstanceSort::Age, InstanceSort::Name] {
            let rows = all.rows(sort, "pod");
            for (from, room) in [(0, 10), (7, 20), (45, 10), (49, 1), (50, 5), (0, 100), (3, 0)] {
                let seen: Vec<_> = rows.iter().skip(from).take(room).map(|row| &row.uid).collect();
                let part = part(all.hits("pod"), sort, from, room);
                assert_eq!(part.iter().map(|row| &row.uid).collect::<Vec<_>>(), seen, "{sort:?} {from} {room}");
            }
            for (at, row) in rows.iter().enumerate() {
                assert_eq!(place(&all.hits("pod"), sort, &row.uid), Some(at));
            }
        }
        assert_eq!(place(&all.hits("pod"), InstanceSort::Name, "gone"), None);
    }

    #[test]
    fn a_filter_minds_no_case() {
        let mut one = instance("a", Track::Canary, InstanceState::Failing, 0);
        one.reason = Some("CrashLoopBackOff Übel".into());
        for (filter, takes) in [("crashloop", true), ("CRASH übel", true), ("POD-A !ready", true), ("!crash", false), ("", true)] {
            assert_eq!(Filter::new(filter).takes(&one), takes, "{filter}");
        }
    }
}
