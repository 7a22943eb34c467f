//! Landing proof and harm: what an act did is followed to its end, and told with the numbers that were counted.

use super::world::*;
use crate::app::{Msg, counts, landing};
use crate::domain::*;
use crate::runbook::record::Event;
use crate::runbook::state::Phase;

const FAILED: &str = "sum by (version) (increase(failed_total[${window}]))";

/// Ready to go, with a count of errors: so many of the canary's and of the baseline's requests fail.
fn counted(canary: f64, baseline: f64) -> Flow {
    let mut flow = Flow::ready();
    flow.model.spec.harm.errors = Some(FAILED.into());
    flow.failing = Some((canary, baseline));
    flow
}

fn instance(uid: &str) -> Instance {
    Instance {
        uid: uid.into(),
        name: uid.into(),
        track: Track::Baseline,
        version: "v1".into(),
        state: InstanceState::Ready,
        reason: None,
        restarts: 0,
        last_exit: None,
        node: None,
        created: "2026-03-14T02:00:00Z".parse().unwrap(),
    }
}

fn landings(flow: &Flow) -> Vec<Event> {
    let of = |e| Event::of(e).ok().filter(|e| matches!(e, Event::LandingProved { .. } | Event::LandingMissing { .. }));
    flow.journal.iter().filter_map(of).collect()
}

fn harm(flow: &Flow) -> Result<i64, String> {
    counts::harm(&flow.model, flow.at.wall).map(|e| landing::record(e).count)
}

#[test]
fn a_good_shift_lands_once_with_what_was_seen() {
    let mut flow = counted(0.002, 0.002);
    flow.promote("25");
    flow.pass(120);
    let [Event::LandingProved { back: false, took_ms, shown, errors_unknown: None, impact: None, .. }] = &landings(&flow)[..] else {
        panic!("{:?}", landings(&flow))
    };
    assert_eq!(shown, "seen 25.0% of 10000 requests, errors 0.20%, before the release 0.20%");
    assert!((20_000..60_000).contains(took_ms), "{took_ms}: not before a window lies behind the shift");
    assert!(flow.said("landed in "), "{:?}", flow.model.messages);
    assert_eq!(harm(&flow), Ok(0));
}

#[test]
fn without_a_count_of_errors_the_share_alone_is_proved_and_that_is_said() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(120);
    let [Event::LandingProved { errors_unknown: Some(why), .. }] = &landings(&flow)[..] else { panic!("{:?}", landings(&flow)) };
    assert_eq!(why, "the service has no `errors` query");
    assert_eq!(harm(&flow), Err("the service has no `errors` query".into()));
}

#[test]
fn a_count_that_answers_nothing_is_no_zero() {
    let mut flow = counted(0.0, 0.0);
    flow.failing = None;
    flow.promote("25");
    flow.pass(120);
    let [Event::LandingProved { errors_unknown: Some(_), .. }] = &landings(&flow)[..] else { panic!("{:?}", landings(&flow)) };
    assert_eq!(harm(&flow), Err("errors of the canary are not told".into()));
}

#[test]
fn a_canary_that_fails_does_not_land_and_its_back_out_tells_the_impact() {
    let mut flow = counted(0.05, 0.002);
    flow.promote("25");
    flow.pass(100);
    let [Event::LandingMissing { why, next, back: false, .. }] = &landings(&flow)[..] else { panic!("{:?}", landings(&flow)) };
    assert_eq!((why.as_str(), next.as_str()), ("errors are not back: canary 5.00%, before the release 0.20%", "B backs out"));
    assert_eq!(harm(&flow), Ok(120), "2500 requests, 5 % failed instead of 0.2 %");
    flow.back_out();
    flow.pass(60);
    assert_eq!(flow.phase(), Phase::RolledBack);
    let all = landings(&flow);
    let [_, Event::LandingProved { back: true, shown, impact: Some(impact), .. }] = &all[..] else { panic!("{all:?}") };
    assert_eq!(shown, "seen 0.0% of 10000 requests, errors 0.20%, before the release 0.20%");
    let exposed = flow.state().exposed_at.unwrap();
    assert!(impact.from >= exposed && impact.until > impact.from && impact.until <= flow.at.wall, "{impact:?}");
    assert!(impact.excess.is_some());
    flow.pass(300);
    assert_eq!(landings(&flow).len(), 2, "told once");
    assert_eq!(flow.count("landing.proved"), 1);
}

#[test]
fn a_back_out_whose_traffic_does_not_follow_is_an_alarm_with_the_next_thing_to_do() {
    let mut flow = counted(0.002, 0.002);
    flow.promote("25");
    flow.pass(120);
    flow.stays = true;
    flow.back_out();
    flow.pass(150);
    let all = landings(&flow);
    let Some(Event::LandingMissing { back: true, why, next, .. }) = all.last() else { panic!("{all:?}") };
    assert_eq!(why, "traffic does not follow the weight");
    assert!(next.contains("gonogo print-undo"), "{next}");
    flow.stays = false;
    flow.pass(60);
    assert!(matches!(landings(&flow).last(), Some(Event::LandingProved { back: true, .. })), "late is better than never");
}

#[test]
fn a_spent_budget_holds_the_run_once_and_a_person_may_go_on() {
    let mut flow = counted(0.05, 0.002);
    flow.model.spec.harm.budget = Some(80);
    flow.promote("25");
    flow.pass(60);
    assert_eq!((flow.count("harm.exceeded"), flow.count("hold.began")), (1, 1), "{:?}", flow.model.messages);
    let hold = flow.state().hold.clone().unwrap();
    assert_eq!(hold.guard.as_deref(), Some("harm-budget"));
    assert!(hold.reason.starts_with("harm: 120 errors ("), "{}", hold.reason);
    assert_eq!(flow.model.verdict.verdict, Verdict::NoGo);
    assert!(flow.model.incident.as_ref().is_some_and(|i| i.what.starts_with("harm: 120 errors")), "{:?}", flow.model.incident);
    flow.key('U');
    flow.wait(400);
    flow.key('y');
    flow.pass(30);
    assert_eq!(flow.state().hold, None, "{:?}", flow.model.messages);
    flow.pass(60);
    assert_eq!(flow.count("harm.exceeded"), 1, "the next hold is for the next budget");
    assert_ne!(flow.model.verdict.verdict, Verdict::NoGo, "{:?}", flow.model.verdict);
}

#[test]
fn the_card_learns_from_what_was_seen_and_recorded() {
    let mut flow = counted(0.002, 0.002);
    let card = |flow: &Flow| crate::app::card::card(&flow.model, &flow.at);
    assert_eq!(card(&flow).takes(), "not measured yet");
    flow.promote("25");
    flow.pass(120);
    let ready = |uid: &str, track| Instance { track, ..instance(uid) };
    let all = vec![ready("b1", Track::Baseline), ready("b2", Track::Baseline), ready("c1", Track::Canary)];
    flow.send(Msg::Platform(vec![PlatformUpdate::Instances(all)]));
    flow.pass(60);
    let seen = card(&flow);
    assert_eq!(seen.served, "serves 75% now, 125 rps");
    // One of the two carries 62.5 of 167 requests per second: three are needed.
    assert_eq!(seen.capacity(), "2 ready, needs 3 at 167 rps: SHORT BY 1, warm-up not known");
    flow.back_out();
    flow.pass(120);
    let measured = card(&flow).measured;
    assert_eq!((measured.len(), measured[0].landed), (1, true), "{measured:?}");
    let learnt = crate::app::card::learn(&[flow.journal.clone()]);
    assert_eq!(learnt.back_outs, measured);
    assert!(learnt.slowest_landing.is_some());
}

#[test]
fn the_card_names_what_was_ticked_and_stays() {
    let flow = counted(0.002, 0.002);
    let card = crate::app::card::card(&flow.model, &flow.at);
    assert_eq!(card.not_restored, Vec::<String>::new(), "a dashboard that was opened does not stay");
}

#[test]
fn the_budget_of_the_runbook_comes_before_that_of_the_service() {
    let mut flow = counted(0.05, 0.002);
    flow.model.spec.harm.budget = Some(10);
    assert_eq!(counts::budget(&flow.model), Some(10));
    let run = flow.model.run.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut run.state.runbook).target.harm_budget = Some(70);
    assert_eq!(counts::budget(&flow.model), Some(70));
}

#[test]
fn stale_counts_are_no_harm_and_hold_nothing() {
    let mut flow = counted(0.002, 0.002);
    flow.model.spec.harm.budget = Some(80);
    flow.promote("25");
    flow.pass(60);
    flow.frozen = Some(flow.at.wall);
    flow.failing = Some((0.5, 0.002));
    flow.pass(120);
    assert_eq!(flow.count("harm.exceeded"), 0);
    assert_eq!(harm(&flow), Err("its samples are STALE".into()));
}
