//! Checks and guards that ask the platform, the alerts source and addresses: when they pass, and for how long they must have been good.

use super::alerts::{alert, watched};
use super::world::*;
use crate::app::{Msg, first_draft};
use crate::domain::*;
use crate::runbook::io::Command;
use crate::runbook::state::{Phase, Question, StepPhase};
use crate::runbook::{Context, load};
use std::collections::BTreeMap;

/// A run of a book with these guards and steps, just started, with an alerts connection.
fn started(guards: &str, steps: &str) -> Flow {
    let text = format!(
        "gonogo: 1\nkind: runbook\nid: x\nversion: v1\ntitle: X\ntarget: {{ platform: sim, service: checkout, environment: e }}\n{guards}steps:\n{steps}  - {{ id: end, title: End, gate: confirm }}\n"
    );
    let loaded = load("x.yaml", &text, &BTreeMap::new(), &Context::default());
    let runbook = loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let mut flow = watched(Flow::new(Protection::Protected, |_| {}));
    let first = first_draft(&flow.model, &runbook, false);
    flow.send(Msg::Start { first });
    flow.settle();
    flow
}

/// One check step of one condition.
fn checking(condition: &str) -> Flow {
    started("", &format!("  - id: look\n    title: Look\n    timeout: 10m\n    check: {{ all: [{{ id: c, {condition} }}] }}\n"))
}

/// Seconds until the check has passed; `None` when that takes more than five minutes.
fn passes_after(flow: &mut Flow) -> Option<u64> {
    let begun = flow.at.boot;
    for _ in 0..300 {
        if flow.step() == "end" {
            return Some(flow.at.boot.saturating_sub(begun).as_secs());
        }
        flow.pass(1);
    }
    None
}

fn failed(flow: &Flow) -> Option<String> {
    match flow.model.run.as_ref()?.state.question() {
        Some(Question::Failed { why, .. }) => Some(why),
        _ => None,
    }
}

fn instances(canary: &str, baseline: &str) -> Msg {
    let one = |track: Track, version: &str| Instance {
        uid: track.word().into(),
        name: track.word().into(),
        track,
        version: version.into(),
        state: InstanceState::Ready,
        reason: None,
        restarts: 0,
        last_exit: None,
        node: None,
        created: chrono::DateTime::UNIX_EPOCH,
    };
    Msg::Platform(vec![PlatformUpdate::Instances(vec![one(Track::Canary, canary), one(Track::Baseline, baseline)])])
}

const QUIET: &str = "alert: { match: { severity: critical }, state: inactive }, hold: 1m, every: 15s";

#[test]
fn a_check_on_alerts_passes_once_nothing_has_fired_for_as_long_as_asked() {
    let mut flow = checking(QUIET);
    let took = passes_after(&mut flow).unwrap();
    assert!((60..=95).contains(&took), "{took}");
    assert!(flow.said("step look passed") || flow.count("step.passed") > 0, "{:?}", flow.model.messages);
}

#[test]
fn an_alert_that_fires_meanwhile_makes_the_hold_begin_anew() {
    let mut flow = checking(QUIET);
    flow.pass(50);
    flow.am.alerts.push(alert("Down", "critical", &[], flow.at.wall));
    flow.pass(20);
    assert_eq!((flow.step().as_str(), flow.state().steps[0].phase), ("look", StepPhase::Active));
    flow.am.alerts.clear();
    let took = passes_after(&mut flow).unwrap();
    assert!((60..=95).contains(&took), "{took}");
}

#[test]
fn while_the_alerts_source_says_nothing_nothing_is_held() {
    let mut flow = checking(QUIET);
    flow.pass(50);
    flow.am.down = true;
    flow.pass(120);
    assert_eq!(flow.step(), "look", "silence of the source is no proof");
    flow.am.down = false;
    let took = passes_after(&mut flow).unwrap();
    assert!((60..=130).contains(&took), "it begins anew after the gap: {took}");
}

#[test]
fn no_alerts_connection_is_no_data_and_fails_where_the_file_says_so() {
    let mut flow = checking(&format!("{QUIET}, on_no_data: fail"));
    flow.model.alerts = None;
    flow.pass(20);
    let why = failed(&flow).unwrap_or_else(|| panic!("{:?}", flow.state().steps[0]));
    assert!(why.contains("no alerts connection"), "{why}");
    let mut waits = checking(QUIET);
    waits.model.alerts = None;
    waits.pass(200);
    assert_eq!((waits.step().as_str(), failed(&waits)), ("look", None));
}

#[test]
fn a_guard_on_alerts_holds_the_run_when_it_trips_and_when_it_is_blind() {
    const GUARD: &str = "guards:\n  - { id: g, alert: { match: { severity: critical }, state: not-firing }, every: 5s, bad_for: 30s, on_no_data: hold, on_error: hold, then: hold }\n";
    const WAIT: &str = "  - { id: bake, title: B, wait: { for: 1h } }\n";
    let mut flow = started(GUARD, WAIT);
    flow.pass(30);
    assert!(flow.state().hold.is_none());
    flow.am.alerts.push(alert("Down", "critical", &[], flow.at.wall));
    flow.pass(31);
    assert!(flow.state().hold.is_none(), "bad for less than it has to be");
    flow.pass(40);
    assert!(flow.state().hold.as_ref().is_some_and(|hold| hold.reason.contains("1 firing: Down")), "{:?}", flow.state().hold);

    let mut blind = started(GUARD, WAIT);
    blind.pass(20);
    blind.am.down = true;
    blind.pass(100);
    assert!(blind.state().hold.as_ref().is_some_and(|hold| hold.reason.contains("cannot see")), "{:?}", blind.state().hold);
    assert_eq!(blind.phase(), Phase::Running);
}

#[test]
fn all_ready_instances_must_run_the_version() {
    let mut flow = checking("platform: { track: canary, version: v2, ready: all }, every: 5s");
    flow.send(instances("v1", "v1"));
    flow.pass(60);
    assert_eq!(flow.step(), "look");
    flow.send(instances("v2", "v1"));
    assert!(passes_after(&mut flow).is_some_and(|took| took <= 10));
}

#[test]
fn the_weight_is_the_one_that_is_configured() {
    let mut flow = checking("platform: { weight: 25 }, hold: 20s, every: 5s");
    flow.pass(60);
    assert_eq!(flow.step(), "look");
    flow.foreign_change(25);
    flow.told_route();
    assert!(passes_after(&mut flow).is_some_and(|took| (20..=30).contains(&took)));
}

#[test]
fn a_hold_does_not_go_on_over_a_sleep_nor_over_another_driver() {
    let mut flow = checking("platform: { ready: all, track: canary }, hold: 1m, every: 5s");
    flow.pass(50);
    // The machine slept: the platform's word from before says nothing about the time in between.
    flow.at = flow.at.later(secs(120));
    flow.told_route();
    flow.settle();
    flow.pass(1);
    flow.send(Msg::Decided(Command::Unhold));
    flow.settle();
    let took = passes_after(&mut flow).unwrap();
    assert!((58..=75).contains(&took), "after a sleep: {took}");

    let mut flow = checking("platform: { ready: all, track: canary }, hold: 1m, every: 5s");
    flow.pass(50);
    let (entries, epoch) = (flow.journal.clone(), flow.seat);
    flow.send(Msg::RunOpened { entries, epoch, boot_id: "boot-1".into(), resumed: true });
    flow.settle();
    let took = passes_after(&mut flow).unwrap();
    assert!((60..=75).contains(&took), "after a restart: {took}");
}
