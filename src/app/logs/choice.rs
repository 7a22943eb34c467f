//! Which instances are followed: every one is an open connection.

use crate::app::instances::Instances;
use crate::domain::log::{LogSource, STREAMS_PER_SIDE};
use crate::domain::time::age;
use crate::domain::{Instance, InstanceState, Track};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a container is news: its last lines are read too.
const RECENT_EXIT: Duration = Duration::from_secs(15 * 60);

/// At most [`STREAMS_PER_SIDE`] instances of each side: the one asked for, those with a problem, those followed already (nothing is
/// gained by moving to another healthy one), the youngest. `known` is until when each was read.
#[must_use]
pub fn choose(
    all: &Instances,
    followed: &[LogSource],
    pinned: Option<&str>,
    known: &dyn Fn(&str) -> Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<LogSource> {
    let followed: BTreeSet<&str> = followed.iter().map(|source| &*source.uid).collect();
    let rank = |instance: &Instance| {
        let is_pinned = pinned == Some(&*instance.uid);
        let is_kept = followed.contains(&*instance.uid);
        (!is_pinned, !instance.is_problem(), !is_kept, std::cmp::Reverse(instance.created))
    };
    let mut chosen = Vec::new();
    for track in Track::ALL {
        // One pass over thousands, sorting only those that are kept.
        let mut best: Vec<&Instance> = Vec::with_capacity(STREAMS_PER_SIDE + 1);
        let order = |a: &Instance, b: &Instance| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name));
        for instance in all.iter().filter(|i| i.track == track && writes(i, pinned)) {
            if best.len() == STREAMS_PER_SIDE && best.last().is_some_and(|last| order(last, instance).is_le()) {
                continue;
            }
            let at = best.partition_point(|kept| order(kept, instance).is_le());
            best.insert(at, instance);
            best.truncate(STREAMS_PER_SIDE);
        }
        chosen.extend(best.into_iter().map(|instance| source(instance, known(&instance.uid), now)));
    }
    chosen
}

/// Whether there can be lines.
fn writes(instance: &Instance, pinned: Option<&str>) -> bool {
    match instance.state {
        InstanceState::Pending => false,
        InstanceState::Ended => instance.reason.is_some() || pinned == Some(&*instance.uid),
        _ => true,
    }
}

fn source(instance: &Instance, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> LogSource {
    let exit = instance.last_exit.as_ref().is_some_and(|(at, _)| age(now, *at) <= RECENT_EXIT);
    LogSource {
        uid: Arc::clone(&instance.uid),
        name: Arc::clone(&instance.name),
        track: instance.track,
        since,
        previous: since.is_none() && exit && instance.restarts > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(uid: &str, track: Track, state: InstanceState, created: i64) -> Instance {
        Instance {
            uid: uid.into(),
            name: format!("pod-{uid}").into(),
            track,
            version: "v".into(),
            state,
            reason: None,
            restarts: 0,
            last_exit: None,
            node: None,
            created: DateTime::from_timestamp(created, 0).unwrap(),
        }
    }

    fn chosen(all: &Instances, followed: &[LogSource], pinned: Option<&str>) -> Vec<LogSource> {
        choose(all, followed, pinned, &|_| None, DateTime::from_timestamp(10_000, 0).unwrap())
    }

    fn uids(sources: &[LogSource]) -> Vec<&str> {
        sources.iter().map(|source| &*source.uid).collect()
    }

    fn shop(count: i64) -> Instances {
        let mut all = Instances::default();
        for n in 0..count {
            all.put(instance(&format!("c{n}"), Track::Canary, InstanceState::Ready, n));
            all.put(instance(&format!("b{n}"), Track::Baseline, InstanceState::Ready, n));
        }
        all
    }

    #[test]
    fn the_youngest_of_each_side_and_never_more_than_allowed() {
        assert_eq!(uids(&chosen(&shop(1000), &[], None)), ["c999", "c998", "c997", "c996", "c995", "b999", "b998", "b997", "b996", "b995"]);
        assert_eq!(uids(&chosen(&shop(1), &[], None)), ["c0", "b0"]);
    }

    #[test]
    fn problems_and_the_one_asked_for_come_first_and_healthy_ones_are_kept_while_they_live() {
        let mut all = shop(20);
        let first = chosen(&all, &[], None);
        all.put(instance("young", Track::Canary, InstanceState::Ready, 500));
        assert_eq!(uids(&chosen(&all, &first, None)), uids(&first), "a new healthy one moves nothing");
        all.put(instance("bad", Track::Canary, InstanceState::Failing, 3));
        all.put(instance("waits", Track::Canary, InstanceState::Pending, 900));
        all.remove("b19");
        let second = chosen(&all, &first, Some("c2"));
        assert_eq!(uids(&second), ["c2", "bad", "c19", "c18", "c17", "b18", "b17", "b16", "b15", "b14"]);
    }

    #[test]
    fn the_container_before_is_read_after_a_recent_end_and_only_once() {
        let mut all = Instances::default();
        let mut crashed = instance("c", Track::Canary, InstanceState::Failing, 0);
        crashed.restarts = 2;
        crashed.last_exit = Some((DateTime::from_timestamp(9_500, 0).unwrap(), "OOMKilled".into()));
        all.put(crashed);
        assert!(chosen(&all, &[], None)[0].previous);
        let now = DateTime::from_timestamp(10_000, 0).unwrap();
        assert!(!choose(&all, &[], None, &|_| Some(now), now)[0].previous);
    }
}
