//! Things around the workload: what they mean for the verdict and for the way back, and that their absence means nothing.

use super::world::*;
use crate::app::Msg;
use crate::app::card::card;
use crate::domain::around::{AroundUpdate, Near, Owner, SettingRef, Shape, Used};
use crate::domain::*;
use std::collections::HashMap;

fn told(flow: &mut Flow, near: Near) {
    flow.send(Msg::Platform(vec![PlatformUpdate::Around(AroundUpdate::Near(Box::new(near)))]));
}

fn reasons(flow: &Flow, verdict: Verdict) -> Vec<String> {
    flow.model.verdict.reasons.iter().filter(|r| r.verdict == verdict).map(|r| r.text.clone()).collect()
}

fn shape(track: Track) -> Near {
    let settings = vec![SettingRef { secret: false, name: "config".into() }];
    let object = format!("deployment/checkout-{track}");
    Near::Shape(track, Shape { object, settings, cpu_limit: Some(1000), memory_limit: None, pinned: true })
}

#[test]
fn a_service_that_loses_its_last_endpoint_is_no_go_until_it_has_one_again() {
    let mut flow = Flow::ready();
    told(&mut flow, Near::Service { name: "checkout".into(), tracks: vec![Track::Baseline] });
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "nothing is known of its endpoints");
    let slice = |ready| Near::Endpoints { name: "s1".into(), service: "checkout".into(), ready, not_ready: 4 - ready };
    told(&mut flow, slice(0));
    assert_eq!(reasons(&flow, Verdict::NoGo), ["service/checkout has no ready endpoint"]);
    told(&mut flow, slice(1));
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "{:?}", flow.model.verdict);
}

#[test]
fn an_owner_that_heals_the_route_is_on_the_card_and_in_the_evidence() {
    let mut flow = Flow::ready();
    let owner = Owner { who: "Argo CD app checkout".into(), revision: Some("0123456789abcdef".into()) };
    told(&mut flow, Near::Owned("virtualservice/checkout".into(), Some(owner)));
    let text =
        "virtualservice/checkout belongs to Argo CD app checkout: self-heal will undo what is changed here; revert commit 0123456789ab";
    assert_eq!(card(&flow.model, &flow.at).undone_by, [text]);
    assert_eq!((flow.model.verdict.verdict, reasons(&flow, Verdict::Watch)), (Verdict::Watch, vec![text.to_owned()]));
    told(&mut flow, Near::Owned("virtualservice/checkout".into(), None));
    assert_eq!((card(&flow.model, &flow.at).undone_by, flow.model.verdict.verdict), (vec![], Verdict::Go));
}

#[test]
fn a_setting_that_changes_during_the_release_is_not_restored_by_going_back() {
    let mut flow = Flow::ready();
    told(&mut flow, shape(Track::Canary));
    told(&mut flow, shape(Track::Baseline));
    let of = SettingRef { secret: false, name: "config".into() };
    let at = flow.at.wall;
    told(&mut flow, Near::Setting { of, version: "9".into(), changed: Some(at), by: Some("kubectl".into()) });
    let expected = format!("configmap/config was changed {} by kubectl, since the release began", at.format("%H:%M:%SZ"));
    assert_eq!(card(&flow.model, &flow.at).not_restored, [expected]);
}

#[test]
fn a_missing_right_is_said_and_the_platform_is_not_lost() {
    let mut flow = Flow::ready();
    let before = flow.model.platform.clone();
    let why = "list nodes: may not (403)".to_owned();
    flow.send(Msg::Platform(vec![PlatformUpdate::Around(AroundUpdate::Unread { part: "nodes", why: why.clone() })]));
    assert_eq!((&flow.model.platform, flow.model.picture.around.unread.get("nodes")), (&before, Some(&why)));
    assert_eq!(flow.model.verdict.verdict, Verdict::Go);
    flow.send(Msg::Platform(vec![PlatformUpdate::Around(AroundUpdate::Read { part: "nodes" })]));
    assert!(flow.model.picture.around.unread.is_empty());
}

#[test]
fn use_that_cannot_be_measured_any_more_is_forgotten() {
    let mut flow = Flow::ready();
    let used = HashMap::from([("p".into(), Used { cpu: 500, memory: 1 << 20 })]);
    flow.send(Msg::Platform(vec![PlatformUpdate::Around(AroundUpdate::Usage { at: flow.at.wall, used })]));
    assert_eq!(flow.model.picture.around.used.len(), 1);
    flow.send(Msg::Platform(vec![PlatformUpdate::Around(AroundUpdate::Unread { part: "usage", why: "503".into() })]));
    assert_eq!((flow.model.picture.around.used.len(), flow.model.picture.around.measured), (0, None));
}
