//! What the cockpit knows, how old it is, and how it asks.

use super::world::*;
use crate::app::command::View;
use crate::app::effect::Span;
use crate::app::key::KeyCode;
use crate::app::{Effect, Model, Msg};
use crate::domain::*;

fn instance(uid: &str) -> Instance {
    Instance {
        uid: uid.into(),
        name: format!("pod-{uid}").into(),
        track: Track::Canary,
        version: "v2".into(),
        state: InstanceState::Ready,
        reason: None,
        restarts: 0,
        last_exit: None,
        node: None,
        created: "2026-03-14T02:00:00Z".parse().unwrap(),
    }
}

#[test]
fn a_bake_counts_only_while_data_is_live() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(40);
    assert_eq!(flow.step(), "bake-25");
    let left = |flow: &Flow| flow.state().bake_left(&flow.at, "boot-1").unwrap();
    flow.platform_lives = false;
    flow.pass(60);
    let before = left(&flow);
    flow.pass(300);
    assert_eq!((left(&flow), flow.step().as_str()), (before, "bake-25"));
    flow.platform_lives = true;
    flow.pass(200);
    assert_eq!(flow.step(), "shift-100");
}

#[test]
fn a_bake_does_not_pass_while_the_process_stood_still() {
    let mut flow = Flow::baking();
    flow.wait(10 * 60 * 1000);
    flow.send(Msg::Tick);
    flow.pass(2);
    assert_eq!(flow.step(), "bake-25", "ten minutes in which nobody looked are no bake");
    assert!(flow.state().hold.is_some() && flow.said("was away 10m"), "{:?}", flow.model.messages);
}

#[test]
fn a_condition_of_the_platform_holds_only_while_somebody_looks() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(20);
    assert_eq!(flow.step(), "look-25");
    flow.platform_lives = false;
    flow.pass(100);
    flow.platform_lives = true;
    flow.pass(8);
    assert_eq!(flow.step(), "look-25", "the time in which the platform was not seen does not count as good");
    flow.pass(40);
    assert_eq!(flow.step(), "bake-25");
}

#[test]
fn a_short_lapse_between_two_looks_begins_the_hold_again() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(26);
    assert_eq!(flow.step(), "look-25");
    flow.canary_ready(3);
    flow.canary_ready(4);
    flow.pass(12);
    assert_eq!(flow.step(), "look-25", "not ready for a moment, and the hold is thirty seconds without a break");
    flow.pass(30);
    assert_eq!(flow.step(), "bake-25");
}

#[test]
fn stale_late_lost_and_login_are_told_apart() {
    let mut flow = Flow::baking();
    let now = |flow: &Flow| flow.model.metrics.freshness(flow.at.wall);
    flow.frozen = Some(flow.at.wall);
    flow.pass(40);
    assert_eq!(now(&flow), Freshness::Late);
    flow.pass(20);
    assert_eq!(now(&flow), Freshness::Stale);
    flow.metrics_fail = true;
    flow.pass(60);
    assert_eq!(now(&flow), Freshness::Lost);
    assert_eq!(flow.model.verdict.verdict, Verdict::Unknown);
    let ticket = loop {
        flow.at = flow.at.later(secs(1));
        if let Some(Effect::Query { ticket, .. }) = flow.send(Msg::Tick).into_iter().find(|e| matches!(e, Effect::Query { .. })) {
            break ticket;
        }
    };
    let refused = Failure::Refused { code: 401, reason: Refusal::Login, why: "log in".into() };
    flow.send(Msg::Answered { ticket, result: Err(refused) });
    assert_eq!(now(&flow), Freshness::Auth);
}

#[test]
fn a_clock_that_jumps_back_makes_nothing_young_for_ever() {
    let mut flow = Flow::baking();
    flow.at.wall -= chrono::TimeDelta::hours(1);
    flow.send(Msg::Tick);
    flow.platform_lives = false;
    flow.metrics_fail = true;
    flow.pass(100);
    assert!(!flow.model.platform.freshness(flow.at.wall).usable());
    assert!(!flow.model.metrics.freshness(flow.at.wall).usable());
    assert!(!flow.model.verdict.verdict.permits_go());
}

#[test]
fn one_question_per_expression_and_interval() {
    let mut flow = Flow::baking();
    flow.queries.clear();
    flow.pass(300);
    for (query, asked) in &flow.queries {
        assert!((15..=25).contains(asked), "{query} was asked {asked} times in 300 s at an interval of 15 s");
    }
    assert_eq!(flow.queries.len(), 3, "guard, its baseline, requests: {:?}", flow.queries.keys());
}

#[test]
fn a_backend_that_fails_is_asked_less_and_less_and_then_again() {
    let mut flow = Flow::baking();
    flow.queries.clear();
    flow.metrics_fail = true;
    flow.pass(300);
    for (query, asked) in &flow.queries {
        assert!((8..=40).contains(asked), "{query}: {asked}");
    }
    flow.metrics_fail = false;
    flow.pass(35);
    assert!(flow.model.metrics.freshness(flow.at.wall).usable());
}

#[test]
fn a_query_that_the_backend_does_not_like_is_no_lost_connection() {
    let mut flow = Flow::baking();
    let ticket = loop {
        flow.at = flow.at.later(secs(1));
        if let Some(Effect::Query { ticket, .. }) = flow.send(Msg::Tick).into_iter().find(|e| matches!(e, Effect::Query { .. })) {
            break ticket;
        }
    };
    let refused = Failure::Refused { code: 400, reason: Refusal::Other, why: "parse error".into() };
    flow.send(Msg::Answered { ticket, result: Err(refused) });
    assert_eq!((flow.model.metrics.failures, flow.model.metrics.trouble.clone()), (0, None));
}

#[test]
fn refreshing_does_not_ask_what_is_asked_already() {
    let mut flow = Flow::baking();
    flow.all.clear();
    for _ in 0..5 {
        flow.at = flow.at.later(ms(100));
        flow.send(Msg::Key(crate::app::key::Key::char('r')));
    }
    assert_eq!(flow.all.iter().filter(|e| matches!(e, Effect::Query { .. })).count(), 3);
    flow.settle();
}

#[test]
fn the_split_is_judged_on_traffic_after_the_shift_alone() {
    let mut flow = Flow::ready();
    flow.pass(60);
    flow.promote("25");
    flow.pass(20);
    assert!(
        !flow.state().landed.as_ref().is_some_and(|(agreed, _)| *agreed),
        "two scrapes after the shift are the least: {:?}",
        flow.state().landed
    );
    flow.pass(40);
    assert_eq!(flow.state().landed.as_ref().map(|(agreed, _)| *agreed), Some(true));
}

#[test]
fn a_canary_without_traffic_has_no_figures_and_that_is_no_news() {
    let mut flow = Flow::ready();
    for panel in flow.model.panels.values_mut() {
        panel.series.clear();
    }
    flow.send(Msg::Tick);
    assert_eq!(flow.model.verdict.verdict, Verdict::Go, "{:?}", flow.model.verdict);
}

#[test]
fn the_cursor_stays_with_its_row() {
    let mut flow = Flow::baking();
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(["a", "b", "c"].map(instance).to_vec())]));
    flow.key('2');
    assert_eq!(flow.model.screen.view, View::Instances);
    flow.key('j');
    flow.key('j');
    assert_eq!(flow.model.selection().unwrap().id.as_deref(), Some("b"));
    flow.send(Msg::Platform(vec![PlatformUpdate::InstanceGone { uid: "a".into() }]));
    assert_eq!(flow.model.selection().unwrap().id.as_deref(), Some("b"));
    flow.send(Msg::Platform(vec![PlatformUpdate::InstanceGone { uid: "b".into() }]));
    assert_eq!(flow.model.selection().unwrap().id.as_deref(), Some("b"), "gone, and still named");
    flow.key('k');
    assert_eq!(flow.model.selection().unwrap().id.as_deref(), Some("c"));
}

#[test]
fn a_part_of_a_list_is_shown_and_not_taken_for_all() {
    let mut flow = Flow::new(Protection::Protected, |_| {});
    flow.model.picture.listed = false;
    flow.send(Msg::Platform(vec![PlatformUpdate::SomeInstances(vec![instance("a")])]));
    flow.send(Msg::Platform(vec![PlatformUpdate::SomeInstances(vec![instance("b")])]));
    assert_eq!((flow.model.picture.instances.len(), flow.model.picture.listed), (2, false));
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(vec![instance("b")])]));
    assert_eq!((flow.model.picture.instances.len(), flow.model.picture.listed), (1, true));
}

#[test]
fn a_filter_takes_every_key_and_esc_clears_it() {
    let mut flow = Flow::baking();
    flow.key('2');
    flow.key('/');
    let acts = flow.sends();
    flow.key('B');
    flow.key('H');
    assert!(flow.model.prompt.is_none() && flow.model.screen.filtering);
    flow.send(Msg::TextChanged("pod-a\u{1b}[31m".into()));
    assert_eq!(flow.model.screen.filter, "pod-a");
    flow.press(KeyCode::Esc);
    assert!(flow.model.screen.filter.is_empty() && !flow.model.screen.filtering);
    assert_eq!(flow.sends(), acts);
}

#[test]
fn messages_are_bounded() {
    let mut flow = Flow::baking();
    for i in 0..1000 {
        flow.send(Msg::Copied(Err(format!("{i} {}", "x".repeat(2000)))));
    }
    assert!(flow.model.messages.len() <= 200 && flow.model.messages.iter().all(|m| m.text.len() <= 310));
}

#[test]
fn restarts_of_a_run_that_was_begun_elsewhere_are_counted_from_its_beginning() {
    // Nothing had restarted when the run began; the cockpit that continues it first sees the instance with nine restarts.
    let mut flow = Flow::following(false, |_| {});
    flow.press(KeyCode::Esc);
    let mut crashing = instance("a");
    crashing.restarts = 9;
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(vec![crashing])]));
    let probe = Probe::Platform(PlatformCondition { track: Some(Track::Canary), restarts_max: Some(3), ..PlatformCondition::default() });
    let found = crate::app::gates::evaluate(&flow.model, &probe, secs(0), None, &flow.at);
    assert_eq!(found.outcome, Outcome::Fail, "{found:?}");
}

#[test]
fn the_tour_tells_one_thing_at_a_time_and_talks_over_nothing() {
    let mut flow = Flow::new(Protection::Private, |o| o.tour = true);
    let tour = |flow: &Flow| -> Vec<String> { flow.model.messages.iter().map(|m| m.text.clone()).collect() };
    assert!(tour(&flow)[0].starts_with("row 1: what you would change"));
    flow.pass(4);
    assert_eq!(tour(&flow).len(), 1);
    flow.pass(12);
    assert!(tour(&flow)[1].starts_with("VERDICT: may we go on") && tour(&flow)[2].starts_with("B always takes you back"));
    let first = crate::app::first_draft(&flow.model, &book(), false);
    flow.send(Msg::Start { first });
    flow.settle();
    flow.back_out();
    flow.pass(8);
    assert!(flow.said("You backed out in 4 keys"), "{:?}", tour(&flow));
    flow.frozen = Some(flow.at.wall);
    flow.pass(70);
    assert!(flow.said("STALE: old values"));
    let mut plain = Flow::new(Protection::Private, |_| {});
    plain.pass(20);
    assert!(!plain.said("row 1"));
}

#[test]
fn without_charts_only_what_is_judged_is_asked_for() {
    let spans = |charts: bool| {
        let mut flow = Flow::ready();
        flow.model.charts = charts;
        flow.model.panels.clear();
        flow.all.clear();
        flow.pass(40);
        let asked = flow.all.iter().filter_map(|effect| match effect {
            Effect::Query { query, span: Span::Range { start, end, .. }, .. } => Some((query.contains("stable"), *end - *start)),
            _ => None,
        });
        asked.collect::<Vec<_>>()
    };
    let chart = chrono::TimeDelta::from_std(Model::CHART).unwrap();
    let (with, without) = (spans(true), spans(false));
    assert!(with.iter().any(|(baseline, _)| *baseline) && with.iter().all(|(_, span)| *span >= chart), "{with:?}");
    assert!(!without.is_empty() && without.iter().all(|(baseline, span)| !*baseline && *span < chart), "{without:?}");
}
