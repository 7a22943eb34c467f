//! What the platform shows against what is asked of it.

use crate::domain::{Finding, Freshness, Instance, InstanceState, Outcome, PlatformCondition, RolloutStatus, Track, Workload, text};
use std::time::Duration;

/// Judges a platform condition.
///
/// `restarts_at_start` gives the restarts an instance had when the run began, 0 for one that came later; `share` is the canary's share as
/// configured. Nothing passes on nothing: a side without a workload, or one that is asked to run no instance, is no data. The platform
/// tells only how it is now: for how long it has been so comes from [`super::Streak`]. All are ready when the rollout is complete by the
/// platform's own algorithm; once the platform gave up on it, waiting is no use and the finding is lasting.
#[must_use]
pub fn platform<'a>(
    condition: &PlatformCondition,
    workloads: &[Workload],
    instances: impl IntoIterator<Item = &'a Instance>,
    restarts_at_start: impl Fn(&Instance) -> u32,
    share: Option<f64>,
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
    let instances: Vec<&Instance> = instances.into_iter().filter(|i| asked(i.track)).collect();
    let (mut ready, mut bad, mut given_up) = ((0, 0), Vec::new(), false);
    for track in Track::ALL.into_iter().filter(|track| asked(*track)) {
        let of_track: Vec<&Workload> = workloads.iter().filter(|w| w.track == track).collect();
        let desired: u32 = of_track.iter().map(|w| w.desired).sum();
        if condition.is_about_instances() && (of_track.is_empty() || desired == 0) {
            let why = if of_track.is_empty() { "no workload is known" } else { "no instance is asked for" };
            return Finding::without_value(Outcome::NoData, &format!("{track}: {why}"));
        }
        let now: u32 = of_track.iter().map(|w| w.ready).sum();
        ready = (ready.0 + now, ready.1 + desired);
        given_up |= condition.ready_all && of_track.iter().any(|w| matches!(w.rollout, RolloutStatus::Failed { .. }));
        bad.extend(short(condition, track, &of_track, now, desired));
        if let Some(version) = &condition.version {
            match runs(version, track, &instances) {
                Ok(other) => bad.extend(other),
                Err(why) => return Finding::without_value(Outcome::NoData, &why),
            }
        }
    }
    if let Some(most) = condition.restarts_max {
        bad.extend(restarted(&instances, most, restarts_at_start));
    }
    let of_tracks: Vec<&Workload> = workloads.iter().filter(|w| asked(w.track)).collect();
    match workload_facts(condition, &of_tracks) {
        Ok(other) => bad.extend(other),
        Err(why) => return Finding::without_value(Outcome::NoData, &why),
    }
    if let Some(wanted) = condition.weight {
        let Some(share) = share else { return Finding::without_value(Outcome::NoData, "no weight is configured that could be read") };
        if (share - f64::from(wanted.get())).abs() >= 0.5 {
            bad.push(format!("the canary's configured share is {share:.0}%, not {wanted}%"));
        }
    }
    finding(condition, ready, share, given_up, &bad)
}

fn finding(condition: &PlatformCondition, ready: (u32, u32), share: Option<f64>, given_up: bool, bad: &[String]) -> Finding {
    let mut parts = Vec::new();
    if condition.is_about_instances() {
        parts.push(format!("{}/{} ready", ready.0, ready.1));
    }
    parts.extend(given_up.then(|| "rollout failed".to_owned()));
    parts.extend(condition.weight.and(share).map(|share| format!("share {share:.0}%")));
    if parts.is_empty() {
        parts.push(if bad.is_empty() { "yes".to_owned() } else { "no".to_owned() });
    }
    let shown = parts.join(", ");
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

/// What of the ready instances of one side runs something else; an error when none is ready, for then none proves anything.
fn runs(version: &str, track: Track, instances: &[&Instance]) -> Result<Option<String>, String> {
    let ready: Vec<&&Instance> = instances.iter().filter(|i| i.track == track && i.state == InstanceState::Ready).collect();
    if ready.is_empty() {
        return Err(format!("{track}: no instance is ready, so none shows its version"));
    }
    let others: Vec<&&&Instance> = ready.iter().filter(|i| *i.version != *version).collect();
    Ok(others.first().map(|one| format!("{track}: {} of {} ready run {}, not {version}", others.len(), ready.len(), one.version)))
}

/// What the workloads themselves are asked to run, and whether they are paused.
fn workload_facts(condition: &PlatformCondition, workloads: &[&Workload]) -> Result<Vec<String>, String> {
    let mut bad = Vec::new();
    if (condition.version_present.is_some() || condition.paused.is_some()) && workloads.is_empty() {
        return Err("no workload is known".to_owned());
    }
    if let Some(version) = &condition.version_present
        && !workloads.iter().any(|w| w.version == *version)
    {
        let asked: Vec<String> = workloads.iter().map(|w| format!("{} {}", w.track, w.version)).collect();
        bad.push(format!("nothing is asked to run {version}: {}", asked.join(", ")));
    }
    if let Some(wanted) = condition.paused {
        let not = if wanted { "not " } else { "" };
        bad.extend(workloads.iter().filter(|w| w.paused != wanted).map(|w| format!("{}: {} is {not}paused", w.track, w.object)));
    }
    Ok(bad)
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
fn restarted(instances: &[&Instance], most: u32, at_start: impl Fn(&Instance) -> u32) -> Option<String> {
    let restarts = |i: &Instance| i.restarts.saturating_sub(at_start(i));
    let worst = instances.iter().copied().max_by_key(|i| restarts(i)).filter(|i| restarts(i) > most)?;
    Some(format!("{} restarted {} times, at most {most} are allowed", worst.name, restarts(worst)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Percent;
    use chrono::DateTime;
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
        PlatformCondition {
            track: Some(Track::Canary),
            ready_all: true,
            min_replicas: Some(2),
            restarts_max: Some(1),
            ..PlatformCondition::default()
        }
    }

    fn judge(condition: &PlatformCondition, workloads: &[Workload], instances: &[Instance]) -> (Outcome, String) {
        let found = platform(condition, workloads, instances, |i| u32::from(&*i.name == "old") * 3, None, Freshness::Live);
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
        let both = PlatformCondition { track: None, min_replicas: None, ..condition() };
        assert_eq!(judge(&both, &[canary, baseline], &[]), (Outcome::Fail, "baseline: 1 of 9 ready".into()));
    }

    #[test]
    fn a_rollout_that_the_platform_gave_up_is_bad_for_good() {
        let mut stuck = workload(Track::Canary, 2, 3);
        stuck.trouble = Some("ProgressDeadlineExceeded: timed out".into());
        stuck.rollout = stuck.status_of(4, stuck.trouble.as_deref());
        let found = platform(&condition(), &[stuck.clone()], [], |_| 0, None, Freshness::Live);
        assert!(found.lasting && found.outcome == Outcome::Fail, "{found:?}");
        assert_eq!(found.why.matches("timed out").count(), 1, "said once: {}", found.why);
        let counted = PlatformCondition { ready_all: false, ..condition() };
        assert!(!platform(&counted, &[stuck], [], |_| 0, None, Freshness::Live).lasting, "two are ready, and that was all that was asked");
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
            assert_eq!(platform(&condition(), &[workload(Track::Canary, 3, 3)], [], |_| 0, None, freshness).outcome, outcome);
        }
    }

    fn shown(condition: &PlatformCondition, workloads: &[Workload], instances: &[Instance], share: Option<f64>) -> (Outcome, String) {
        let found = platform(condition, workloads, instances, |_| 0, share, Freshness::Live);
        (found.outcome, found.why)
    }

    #[test]
    fn every_ready_instance_must_run_the_version_and_one_must_be_ready() {
        let mut other = instance("b", 0);
        other.version = "v1".into();
        let mut starting = instance("c", 0);
        (starting.version, starting.state) = ("v1".into(), InstanceState::Starting);
        let asked = PlatformCondition { track: Some(Track::Canary), version: Some("v2".into()), ..PlatformCondition::default() };
        let canary = [workload(Track::Canary, 2, 2)];
        for (instances, outcome, why) in [
            (vec![instance("a", 0), starting.clone()], Outcome::Pass, "2/2 ready"),
            (vec![instance("a", 0), other.clone()], Outcome::Fail, "canary: 1 of 2 ready run v1, not v2"),
            (vec![starting.clone()], Outcome::NoData, "canary: no instance is ready, so none shows its version"),
            (vec![], Outcome::NoData, "canary: no instance is ready, so none shows its version"),
        ] {
            assert_eq!(shown(&asked, &canary, &instances, None), (outcome, why.into()));
        }
        let both = PlatformCondition { track: None, ..asked };
        let workloads = [workload(Track::Canary, 1, 1), workload(Track::Baseline, 1, 1)];
        other.track = Track::Baseline;
        let found = shown(&both, &workloads, &[instance("a", 0), other], None);
        assert_eq!(found, (Outcome::Fail, "baseline: 1 of 1 ready run v1, not v2".into()), "what is asked of both sides is asked of each");
    }

    #[test]
    fn what_workloads_are_asked_to_run_needs_no_instance() {
        let present = |version: &str| PlatformCondition { version_present: Some(version.into()), ..PlatformCondition::default() };
        let scaled_down = [workload(Track::Canary, 0, 0)];
        assert_eq!(shown(&present("v2"), &scaled_down, &[], None), (Outcome::Pass, "yes".into()));
        assert_eq!(shown(&present("v9"), &scaled_down, &[], None), (Outcome::Fail, "nothing is asked to run v9: canary v2".into()));
        assert_eq!(shown(&present("v2"), &[], &[], None), (Outcome::NoData, "no workload is known".into()));
        let mut paused = workload(Track::Canary, 3, 3);
        paused.paused = true;
        let going = PlatformCondition { paused: Some(false), ..PlatformCondition::default() };
        assert_eq!(shown(&going, &[paused.clone()], &[], None), (Outcome::Fail, "canary: deployment/checkout-canary is paused".into()));
        let stopped = PlatformCondition { paused: Some(true), ..PlatformCondition::default() };
        assert_eq!(shown(&stopped, &[paused], &[], None).0, Outcome::Pass);
    }

    #[test]
    fn the_weight_is_the_configured_one_or_nothing_is_known() {
        let asked = PlatformCondition { weight: Percent::new(25), ..PlatformCondition::default() };
        for (share, outcome, why) in [
            (Some(25.0), Outcome::Pass, "share 25%"),
            (Some(25.4), Outcome::Pass, "share 25%"),
            (Some(5.0), Outcome::Fail, "the canary's configured share is 5%, not 25%"),
            (None, Outcome::NoData, "no weight is configured that could be read"),
        ] {
            assert_eq!(shown(&asked, &[], &[], share), (outcome, why.into()));
        }
    }

    proptest! {
        #[test]
        fn fewer_ready_and_more_restarts_never_give_a_better_verdict(ready in 0u32..5, fewer in 0u32..5, restarts in 0u32..4, more in 0u32..4) {
            let of = |ready, restarts| platform(&condition(), &[workload(Track::Canary, ready, 4)], &[instance("a", restarts)], |_| 0, None, Freshness::Live);
            prop_assert!(of(ready.saturating_sub(fewer), restarts + more).verdict() >= of(ready, restarts).verdict());
        }
    }
}
