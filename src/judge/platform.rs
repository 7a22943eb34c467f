//! What the platform shows against what is asked of it.

use crate::domain::time::age;
use crate::domain::{Finding, Freshness, Instance, Outcome, PlatformCondition, RolloutStatus, Track, Workload, text};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Judges a platform condition.
///
/// `restarts_at_start` gives the restarts an instance had when the run began, 0 for one that came later. Nothing passes on nothing:
/// a side without a workload, or one that is asked to run no instance, is no data. The platform tells only how it is now: for how long it
/// has been bad comes from [`remember_bad`]. All are ready when the rollout is complete by the platform's own algorithm; once the platform gave
/// up on it, waiting is no use and the finding is lasting.
#[must_use]
pub fn platform<'a>(
    condition: &PlatformCondition,
    workloads: &[Workload],
    instances: impl IntoIterator<Item = &'a Instance>,
    restarts_at_start: impl Fn(&Instance) -> u32,
    freshness: Freshness,
) -> Finding {
    match freshness {
        Freshness::Live | Freshness::Late => {}
        Freshness::Stale => return Finding::without_value(Outcome::Stale, "the platform's last word is too old"),
        Freshness::NoData => return Finding::without_value(Outcome::NoData, "the platform has not answered yet"),
        Freshness::Lost => return Finding::without_value(Outcome::Error, "the platform does not answer"),
        Freshness::Auth => return Finding::without_value(Outcome::Error, "the platform wants a login"),
    }
    let asked = |track: Track| condition.track.is_none_or(|wanted| wanted == track);
    let mut ready = (0, 0);
    let mut bad = Vec::new();
    let mut given_up = false;
    for track in Track::ALL.into_iter().filter(|track| asked(*track)) {
        let of_track: Vec<&Workload> = workloads.iter().filter(|w| w.track == track).collect();
        let desired: u32 = of_track.iter().map(|w| w.desired).sum();
        if of_track.is_empty() || desired == 0 {
            let why = if of_track.is_empty() { "no workload is known" } else { "no instance is asked for" };
            return Finding::without_value(Outcome::NoData, &format!("{track}: {why}"));
        }
        let now: u32 = of_track.iter().map(|w| w.ready).sum();
        ready = (ready.0 + now, ready.1 + desired);
        given_up |= condition.ready_all && of_track.iter().any(|w| matches!(w.rollout, RolloutStatus::Failed { .. }));
        bad.extend(short(condition, track, &of_track, now, desired));
    }
    if let Some(most) = condition.restarts_max {
        bad.extend(restarted(instances.into_iter().filter(|i| asked(i.track)), most, restarts_at_start));
    }
    let rollout = if given_up { ", rollout failed" } else { "" };
    let shown = format!("{}/{} ready{rollout}", ready.0, ready.1);
    let outcome = if bad.is_empty() { Outcome::Pass } else { Outcome::Fail };
    let why = if bad.is_empty() { shown.clone() } else { bad.join("; ") };
    Finding {
        outcome,
        value: Some(f64::from(ready.0)),
        shown,
        of_limit: None,
        at: None,
        held: Duration::ZERO,
        bad: Duration::ZERO,
        why: text::clean_bounded(&why, 200),
        lasting: !bad.is_empty() && given_up,
    }
}

/// Fills in for how long a platform condition has been bad, `since` being what the call before gave. What is not known now neither ends
/// nor begins it: only a good finding is proof of good.
///
/// `at` is the platform's last proof of life. Gives the finding and what to remember.
#[must_use]
pub fn remember_bad(mut finding: Finding, since: Option<DateTime<Utc>>, at: DateTime<Utc>) -> (Finding, Option<DateTime<Utc>>) {
    let since = match finding.outcome {
        Outcome::Pass | Outcome::Holding => None,
        Outcome::Fail => since.or(Some(at)),
        Outcome::NoData | Outcome::Stale | Outcome::Error => since,
    };
    finding.bad = since.map_or(Duration::ZERO, |since| age(at, since));
    (finding, since)
}

/// What is missing on one side.
fn short(condition: &PlatformCondition, track: Track, workloads: &[&Workload], ready: u32, desired: u32) -> Vec<String> {
    let mut missing = Vec::new();
    if condition.ready_all {
        let open = workloads.iter().find_map(|w| match &w.rollout {
            RolloutStatus::Failed { why } | RolloutStatus::Waiting { why } => Some(format!("{track}: {}: {why}", w.object)),
            RolloutStatus::Complete => None,
        });
        missing.extend(open.or_else(|| (ready < desired).then(|| format!("{track}: {ready} of {desired} ready"))));
    }
    if let Some(least) = condition.min_replicas.filter(|least| ready < *least) {
        missing.push(format!("{track}: {ready} ready, at least {least} are needed"));
    }
    if !missing.is_empty() {
        let told = |trouble: &String| missing.iter().any(|why| why.contains(trouble.as_str()));
        let trouble: Vec<String> = workloads.iter().filter_map(|w| w.trouble.clone()).filter(|trouble| !told(trouble)).collect();
        missing.extend(trouble);
    }
    missing
}

/// The instance that restarted most often, when that is too often.
fn restarted<'a>(instances: impl Iterator<Item = &'a Instance>, most: u32, at_start: impl Fn(&Instance) -> u32) -> Option<String> {
    let restarts = |i: &Instance| i.restarts.saturating_sub(at_start(i));
    let worst = instances.max_by_key(|i| restarts(i)).filter(|i| restarts(i) > most)?;
    Some(format!("{} restarted {} times, at most {most} are allowed", worst.name, restarts(worst)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InstanceState;
    use proptest::prelude::*;

    fn workload(track: Track, ready: u32, desired: u32) -> Workload {
        Workload {
            track,
            object: format!("deployment/checkout-{track}"),
            uid: track.word().into(),
            version: "v2".into(),
            image: "shop/checkout:v2".into(),
            revision: None,
            desired,
            ready,
            updated: desired,
            available: ready,
            observed_latest: true,
            paused: false,
            trouble: None,
            rollout: RolloutStatus::Complete,
        }
    }

    fn judged(mut workload: Workload) -> Workload {
        workload.rollout = workload.status_of(workload.updated, None);
        workload
    }

    fn instance(name: &str, restarts: u32) -> Instance {
        Instance {
            uid: name.into(),
            name: name.into(),
            track: Track::Canary,
            version: "v2".into(),
            state: InstanceState::Ready,
            reason: None,
            restarts,
            last_exit: None,
            node: None,
            created: DateTime::UNIX_EPOCH,
        }
    }

    fn condition() -> PlatformCondition {
        PlatformCondition { on: None, track: Some(Track::Canary), ready_all: true, min_replicas: Some(2), restarts_max: Some(1) }
    }

    fn judge(condition: &PlatformCondition, workloads: &[Workload], instances: &[Instance]) -> (Outcome, String) {
        let found = platform(condition, workloads, instances, |i| u32::from(&*i.name == "old") * 3, Freshness::Live);
        (found.outcome, found.why)
    }

    #[test]
    fn each_condition_fails_by_its_own_words() {
        let (canary, baseline) = (workload(Track::Canary, 3, 3), workload(Track::Baseline, 1, 9));
        let change = |f: fn(&mut Workload)| {
            let mut w = workload(Track::Canary, 3, 3);
            f(&mut w);
            judged(w)
        };
        for (workloads, restarts, outcome, why) in [
            (vec![canary.clone(), baseline.clone()], 1, Outcome::Pass, "3/3 ready"),
            (vec![workload(Track::Canary, 1, 3)], 0, Outcome::Fail, "canary: 1 of 3 ready; canary: 1 ready, at least 2 are needed"),
            (vec![change(|w| w.updated = 2)], 0, Outcome::Fail, "canary: deployment/checkout-canary: 2 of 3 instances run version v2"),
            (
                vec![change(|w| (w.updated, w.paused) = (2, true))],
                0,
                Outcome::Fail,
                "canary: deployment/checkout-canary: paused until it is resumed: 2 of 3 instances run version v2",
            ),
            (
                vec![change(|w| w.observed_latest = false)],
                0,
                Outcome::Fail,
                "canary: deployment/checkout-canary: the platform has not taken up the latest change",
            ),
            (vec![canary.clone()], 2, Outcome::Fail, "new restarted 2 times, at most 1 are allowed"),
            (vec![baseline.clone()], 0, Outcome::NoData, "canary: no workload is known"),
            (vec![workload(Track::Canary, 0, 0)], 0, Outcome::NoData, "canary: no instance is asked for"),
        ] {
            assert_eq!(judge(&condition(), &workloads, &[instance("old", 4), instance("new", restarts)]), (outcome, why.into()));
        }
        let both = PlatformCondition { on: None, track: None, min_replicas: None, ..condition() };
        assert_eq!(judge(&both, &[canary, baseline], &[]), (Outcome::Fail, "baseline: 1 of 9 ready".into()));
    }

    #[test]
    fn a_rollout_that_the_platform_gave_up_is_bad_for_good() {
        let mut stuck = workload(Track::Canary, 2, 3);
        stuck.trouble = Some("ProgressDeadlineExceeded: timed out".into());
        stuck.rollout = stuck.status_of(4, stuck.trouble.as_deref());
        let found = platform(&condition(), &[stuck.clone()], [], |_| 0, Freshness::Live);
        assert!(found.lasting && found.outcome == Outcome::Fail, "{found:?}");
        assert_eq!(found.why.matches("timed out").count(), 1, "said once: {}", found.why);
        let counted = PlatformCondition { ready_all: false, ..condition() };
        assert!(!platform(&counted, &[stuck], [], |_| 0, Freshness::Live).lasting, "two are ready, and that was all that was asked");
    }

    #[test]
    fn without_a_word_from_the_platform_nothing_is_known() {
        for (freshness, outcome) in [
            (Freshness::Late, Outcome::Pass),
            (Freshness::Stale, Outcome::Stale),
            (Freshness::NoData, Outcome::NoData),
            (Freshness::Lost, Outcome::Error),
            (Freshness::Auth, Outcome::Error),
        ] {
            assert_eq!(platform(&condition(), &[workload(Track::Canary, 3, 3)], [], |_| 0, freshness).outcome, outcome);
        }
    }

    #[test]
    fn bad_lasts_until_it_is_proven_good() {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        let (mut since, mut lasted) = (None, vec![]);
        for (s, outcome) in
            [(0, Outcome::Pass), (10, Outcome::Fail), (20, Outcome::Stale), (30, Outcome::Fail), (40, Outcome::Pass), (50, Outcome::NoData)]
        {
            let (finding, next) = remember_bad(Finding::without_value(outcome, ""), since, at(s));
            since = next;
            lasted.push(finding.bad.as_secs());
        }
        assert_eq!(lasted, [0, 0, 10, 20, 0, 0]);
    }

    proptest! {
        #[test]
        fn fewer_ready_and_more_restarts_never_give_a_better_verdict(ready in 0u32..5, fewer in 0u32..5, restarts in 0u32..4, more in 0u32..4) {
            let of = |ready, restarts| platform(&condition(), &[workload(Track::Canary, ready, 4)], &[instance("a", restarts)], |_| 0, Freshness::Live);
            prop_assert!(of(ready.saturating_sub(fewer), restarts + more).verdict() >= of(ready, restarts).verdict());
        }
    }
}
