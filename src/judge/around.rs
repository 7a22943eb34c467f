//! What the things around a workload mean for its release.

use crate::domain::around::{Around, Near, SettingRef};
use crate::domain::{Track, Verdict, Workload};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// It would undo what we do, or stand in its way.
    Undoes,
    /// Going back does not bring it back.
    Stays,
    /// It harms the release, or soon will.
    Harms,
    /// Good to know.
    Note,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub matter: Matter,
    /// How bad it is for going on.
    pub verdict: Verdict,
    /// One line.
    pub text: String,
}

/// What is known of the run that things around it are judged by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Release<'a> {
    /// The object that splits traffic: what undoes its changes undoes the way back.
    pub route: Option<&'a str>,
    /// Since when there is one.
    pub since: Option<DateTime<Utc>>,
    /// Requests reach the canary.
    pub serves: bool,
    /// It is under way, or something else moves instances now.
    pub moves: bool,
}

/// All remarks, worst first.
#[must_use]
pub fn around(around: &Around, workloads: &[Workload], release: Release<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let addresses = addresses(around);
    for near in around.things() {
        match near {
            Near::Owned(object, Some(owner)) => {
                let commit = owner.revision.as_ref().map_or_else(
                    || "revert the commit that brought it".to_owned(),
                    |revision| format!("revert commit {}", revision.chars().take(12).collect::<String>()),
                );
                let text = format!("{object} belongs to {}: self-heal will undo what is changed here; {commit}", owner.who);
                let verdict = if release.route == Some(object) { Verdict::Watch } else { Verdict::Go };
                remarks.push(Remark { matter: Matter::Undoes, verdict, text });
            }
            Near::Autoscaler { .. } => remarks.extend(autoscaler(near, workloads)),
            Near::Budget { name, tracks, allowed: 0, healthy, needed } if release.moves && !tracks.is_empty() => {
                let text = format!("budget {name} lets no instance be evicted: {healthy} healthy, {needed} must stay");
                remarks.push(Remark { matter: Matter::Note, verdict: Verdict::Watch, text });
            }
            Near::Service { name, tracks } => remarks.extend(service(name, tracks, &addresses, around, release)),
            Near::Setting { of, changed: Some(at), by, .. } => {
                let ours = Track::ALL.into_iter().any(|t| around.shape(t).is_some_and(|s| s.settings.contains(of)));
                if ours && release.since.is_some_and(|since| *at >= since) {
                    let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
                    let text = format!("{of} was changed {}{by}, since the release began", at.format("%H:%M:%SZ"));
                    remarks.push(Remark { matter: Matter::Stays, verdict: Verdict::Watch, text });
                }
            }
            _ => {}
        }
    }
    remarks.extend(new_settings(around));
    if let Some(shape) = around.shape(Track::Baseline).filter(|s| !s.pinned) {
        let text = format!("{} names its image by a tag: what it starts now may not be what served", shape.object);
        remarks.push(Remark { matter: Matter::Note, verdict: Verdict::Go, text });
    }
    remarks.sort_by(|a, b| (std::cmp::Reverse(a.verdict), a.matter, &a.text).cmp(&(std::cmp::Reverse(b.verdict), b.matter, &b.text)));
    remarks
}

/// Ready addresses by Service.
fn addresses(around: &Around) -> BTreeMap<&str, u32> {
    let mut all: BTreeMap<&str, u32> = BTreeMap::new();
    for near in around.things() {
        if let Near::Endpoints { service, ready, .. } = near {
            *all.entry(service).or_default() += ready;
        }
    }
    all
}

fn service(name: &str, tracks: &[Track], addresses: &BTreeMap<&str, u32>, around: &Around, release: Release<'_>) -> Option<Remark> {
    let unread = around.unread.contains_key("endpointslices");
    let serves = tracks.contains(&Track::Baseline) || release.serves;
    // Addresses that were never told are not none; a list that is there and names none is.
    let known = addresses.get(name);
    if unread || tracks.is_empty() || !serves || *known? > 0 {
        return None;
    }
    let text = format!("service/{name} has no ready endpoint");
    Some(Remark { matter: Matter::Harms, verdict: Verdict::NoGo, text })
}

fn autoscaler(near: &Near, workloads: &[Workload]) -> Vec<Remark> {
    let Near::Autoscaler { name, target, min, max, desired, limited, capped, blind, .. } = near else { return Vec::new() };
    let mut remarks = Vec::new();
    let mut add = |matter, text| remarks.push(Remark { matter, verdict: Verdict::Watch, text });
    if *capped {
        let why = limited.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        add(Matter::Harms, format!("autoscaler {name} is capped at {max} instances{why}"));
    }
    if let Some(why) = blind {
        add(Matter::Undoes, format!("autoscaler {name} does not scale {target}: {why}"));
    }
    let workload = workloads.iter().find(|w| w.object.ends_with(&format!("/{target}")));
    if let Some(workload) = workload.filter(|_| blind.is_none()) {
        if workload.desired < *min || workload.desired > *max {
            add(Matter::Undoes, format!("autoscaler {name} sets {target} to {min}..{max} instances, {} are asked for", workload.desired));
        } else if *desired != workload.desired && *desired > 0 {
            add(Matter::Undoes, format!("autoscaler {name} moves {target} from {} to {desired} instances", workload.desired));
        }
    }
    remarks
}

/// Settings of the canary that the baseline does not have: going back leaves them behind unused, and what they brought with them.
fn new_settings(around: &Around) -> Vec<Remark> {
    let (Some(canary), Some(baseline)) = (around.shape(Track::Canary), around.shape(Track::Baseline)) else { return Vec::new() };
    let only = |a: &[SettingRef], b: &[SettingRef]| a.iter().filter(|s| !b.contains(s)).map(ToString::to_string).collect::<Vec<_>>();
    let new = only(&canary.settings, &baseline.settings);
    if new.is_empty() || canary.object == baseline.object {
        return Vec::new();
    }
    let text = format!("only the canary uses {}", new.join(", "));
    vec![Remark { matter: Matter::Stays, verdict: Verdict::Go, text }]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::RolloutStatus;
    use crate::domain::around::{AroundUpdate, Owner, Shape};
    use proptest::prelude::*;

    fn near(things: &[Near]) -> Around {
        let mut around = Around::default();
        for thing in things {
            around.apply(&AroundUpdate::Near(Box::new(thing.clone())));
        }
        around
    }

    fn setting(name: &str) -> SettingRef {
        SettingRef { secret: false, name: name.into() }
    }

    fn shape(track: Track, settings: &[&str], pinned: bool) -> Near {
        let settings = settings.iter().map(|name| setting(name)).collect();
        Near::Shape(track, Shape { object: format!("deployment/{track}"), settings, cpu_limit: None, memory_limit: None, pinned })
    }

    fn autoscaler(min: u32, max: u32, desired: u32, capped: bool) -> Near {
        Near::Autoscaler {
            name: "checkout".into(),
            target: "canary".into(),
            min,
            max,
            desired,
            current: desired,
            limited: capped.then(|| "TooManyReplicas".into()),
            capped,
            blind: None,
        }
    }

    fn workload(desired: u32) -> Workload {
        Workload {
            track: Track::Canary,
            object: "deployment/canary".into(),
            uid: "u".into(),
            version: "v2".into(),
            image: "i:v2".into(),
            revision: None,
            desired,
            ready: desired,
            updated: desired,
            available: desired,
            observed_latest: true,
            paused: false,
            trouble: None,
            rollout: RolloutStatus::Complete,
        }
    }

    fn texts(things: &[Near], desired: u32) -> Vec<String> {
        let release = Release {
            route: Some("virtualservice/checkout"),
            since: Some(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(100)),
            serves: true,
            moves: true,
        };
        around(&near(things), &[workload(desired)], release).into_iter().map(|r| format!("{} {}", r.verdict, r.text)).collect()
    }

    #[test]
    fn a_service_that_is_known_to_have_no_endpoint_is_no_go_and_an_unknown_one_is_not() {
        let service = Near::Service { name: "checkout".into(), tracks: vec![Track::Baseline] };
        let slice = |ready| Near::Endpoints { name: "checkout-1".into(), service: "checkout".into(), ready, not_ready: 1 };
        assert_eq!(texts(&[service.clone(), slice(0)], 3), ["NO-GO service/checkout has no ready endpoint"]);
        assert_eq!(texts(std::slice::from_ref(&service), 3), [""; 0], "nothing was told");
        assert_eq!(texts(&[service, slice(2)], 3), [""; 0]);
    }

    #[test]
    fn an_autoscaler_that_is_capped_or_fights_is_told() {
        assert_eq!(texts(&[autoscaler(2, 6, 6, true)], 6), ["WATCH autoscaler checkout is capped at 6 instances (TooManyReplicas)"]);
        assert_eq!(texts(&[autoscaler(4, 6, 4, false)], 2), ["WATCH autoscaler checkout sets canary to 4..6 instances, 2 are asked for"]);
        assert_eq!(texts(&[autoscaler(2, 6, 5, false)], 3), ["WATCH autoscaler checkout moves canary from 3 to 5 instances"]);
        assert_eq!(texts(&[autoscaler(2, 6, 3, false)], 3), [""; 0]);
    }

    #[test]
    fn settings_that_changed_or_are_new_are_not_restored() {
        let at = |seconds| Some(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds));
        let changed = |seconds| Near::Setting { of: setting("a"), version: "1".into(), changed: at(seconds), by: Some("kubectl".into()) };
        let both = [shape(Track::Canary, &["a", "b"], true), shape(Track::Baseline, &["a"], true)];
        let of = |seconds| texts(&[both[0].clone(), both[1].clone(), changed(seconds)], 3);
        let new = "GO only the canary uses configmap/b";
        assert_eq!(of(120), ["WATCH configmap/a was changed 00:02:00Z by kubectl, since the release began", new]);
        assert_eq!(of(90), [new], "before the release");
        let others = Near::Setting { of: setting("z"), version: "1".into(), changed: at(120), by: None };
        assert_eq!(texts(&[others], 3), [""; 0], "not ours");
    }

    #[test]
    fn an_owner_that_heals_is_told_with_the_commit() {
        let owner = |revision: Option<&str>| Owner { who: "Argo CD app checkout".into(), revision: revision.map(str::to_owned) };
        let owned = |revision| texts(&[Near::Owned("virtualservice/checkout".into(), Some(owner(revision)))], 3);
        let begin = "WATCH virtualservice/checkout belongs to Argo CD app checkout: self-heal will undo what is changed here; ";
        assert_eq!(owned(Some("0123456789abcdef")), [format!("{begin}revert commit 0123456789ab")]);
        assert_eq!(owned(None), [format!("{begin}revert the commit that brought it")]);
        assert_eq!(texts(&[Near::Owned("deployment/x".into(), None)], 3), [""; 0]);
    }

    #[test]
    fn a_budget_matters_while_instances_must_move() {
        let budget = Near::Budget { name: "b".into(), tracks: vec![Track::Canary], allowed: 0, healthy: 3, needed: 3 };
        assert_eq!(texts(std::slice::from_ref(&budget), 3), ["WATCH budget b lets no instance be evicted: 3 healthy, 3 must stay"]);
        assert_eq!(around(&near(&[budget]), &[], Release::default()), []);
    }

    proptest! {
        #[test]
        fn fewer_ready_endpoints_never_give_a_better_verdict(ready in 0_u32..5, fewer in 0_u32..5) {
            prop_assume!(fewer <= ready);
            let worst = |ready| {
                let service = Near::Service { name: "s".into(), tracks: vec![Track::Baseline] };
                let slice = Near::Endpoints { name: "e".into(), service: "s".into(), ready, not_ready: 0 };
                let found = around(&near(&[service, slice]), &[], Release::default());
                Verdict::worst(found.iter().map(|r| r.verdict))
            };
            prop_assert!(worst(fewer) >= worst(ready));
        }
    }
}
