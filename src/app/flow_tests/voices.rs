//! What several people say: items of their own, votes by code, a wait ended early.

use super::world::*;
use crate::app::key::KeyCode;
use crate::app::model::Seat;
use crate::app::prompt::Ask;
use crate::app::{Msg, first_draft};
use crate::domain::*;
use crate::runbook::gate::{Standing, Vote};
use crate::runbook::record::Event;
use crate::runbook::{Context, Runbook, load};
use std::collections::BTreeMap;

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: launch
version: "1.0.0"
title: Launch
owner: release
doc: "**Blast radius:** small."
target: { platform: sim, service: checkout, environment: production }
roles:
  launch-director: { match: { users: [maria] } }
  sre: { match: { users: [jon] } }
  qa: { match: { users: [ines, jon] } }
guards:
  - id: errors
    title: error rate
    promql: 'sum(rate(errors_total{version="canary"}[1m]))'
    op: "<"
    value: 0.01
    every: 5s
    bad_for: 30s
    on_no_data: ignore
    on_error: hold
    active: { from: shift-25 }
    then: hold
steps:
  - id: preflight
    title: Checklist
    manual:
      mode: do-confirm
      items:
        - { challenge: "Backup age, hours", role: sre, answer: { type: number, min: 0, max: 24 } }
        - { challenge: "Smoke test", role: qa, answer: { type: choice, of: [green, red], expect: green } }
        - { challenge: "Canary is ready", check: { id: ready, platform: { track: canary, ready: all }, every: 5s } }
  - id: poll
    title: Go or no-go
    gate: { poll: { roles: [sre, qa], decider: launch-director } }
  - id: shift-25
    title: Send 25 %
    do: { set_weight: { canary: 25 } }
    confirm: consequence
    undo: { set_weight: { canary: 0 } }
    timeout: 1m
    on_failure: { offer: [retry, skip, rollback, abort] }
  - id: bake-25
    title: Bake
    wait: { for: 2m, shorten: { role: sre, min: 10s } }
rollback:
  confirm: consequence
  steps:
    - id: rb-weight
      title: All traffic back
      do: { set_weight: { canary: 0 } }
      timeout: 1m
"#;

fn launch() -> Runbook {
    let loaded = load("launch.yaml", BOOK, &BTreeMap::new(), &Context::default());
    loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// Maria drives it; its checklist is open.
fn driving() -> Flow {
    let mut flow = Flow::new(Protection::Protected, |_| {});
    let first = first_draft(&flow.model, &launch(), false);
    flow.send(Msg::Start { first });
    flow.settle();
    flow.arm();
    flow.pass(6);
    flow
}

/// Others' entries arrive at whoever drives.
fn others_say(flow: &mut Flow, who: &str, events: &[Event]) {
    let entries = flow.write_entries(events.iter().map(Event::draft).collect(), who);
    flow.send(Msg::EntriesAppended { entries, attended: true });
    flow.settle();
    flow.pass(1);
}

/// The checklist is answered by those whose it is, and the poll is open with its plan.
fn at_the_poll() -> Flow {
    let mut flow = driving();
    for (item, answer, who) in [(0, "3", "jon"), (1, "green", "ines")] {
        others_say(&mut flow, who, &[Event::ItemAnswered { step: "preflight".into(), item, answer: answer.into(), ok: true }]);
    }
    flow.pass(3);
    assert_eq!(flow.step(), "poll");
    assert_eq!(terms(&flow), "canary -> 25%: 0% -> 25%");
    flow
}

fn terms(flow: &Flow) -> String {
    flow.state().step_and_state(&"poll".into()).unwrap().1.terms.as_ref().map(|terms| terms.shown.clone()).unwrap_or_default()
}

fn code(flow: &Flow) -> String {
    flow.state().step_and_state(&"poll".into()).unwrap().1.terms.as_ref().unwrap().code().to_owned()
}

fn hash(flow: &Flow) -> String {
    flow.state().step_and_state(&"poll".into()).unwrap().1.terms.as_ref().unwrap().plan_hash.clone()
}

fn standing(flow: &Flow) -> Vec<Standing> {
    flow.state().board(&"poll".into(), flow.at.wall).unwrap().positions.iter().map(|p| p.standing).collect()
}

/// The same run as somebody else sees it who looks on.
fn looking_on(driver: &Flow, who: &str) -> Flow {
    let mut flow = Flow::new(Protection::Protected, |options| options.operator = who.into());
    (flow.at, flow.journal, flow.route, flow.seat) = (driver.at, driver.journal.clone(), driver.route.clone(), driver.seat);
    flow.told_route();
    flow.send(Msg::RunFollowed { entries: driver.journal.clone(), attended: true });
    flow.settle();
    flow.pass(3);
    assert_eq!(flow.model.run.as_ref().unwrap().seat, Seat::Following);
    flow
}

fn reasons(flow: &Flow) -> String {
    match flow.model.prompt.as_ref().map(|p| &p.ask) {
        Some(Ask::Blocked { reasons, .. }) => reasons.join("; "),
        other => format!("not blocked: {other:?}"),
    }
}

fn error(flow: &Flow) -> String {
    flow.model.prompt.as_ref().and_then(|p| p.error.clone()).unwrap_or_default()
}

#[test]
fn an_item_is_asked_of_its_owner_and_a_refused_answer_keeps_its_text() {
    let mut jon = looking_on(&driving(), "jon");
    jon.key('D');
    assert!(matches!(jon.model.prompt.as_ref().unwrap().ask, Ask::Item { item: 0, .. }));
    jon.wait(400);
    jon.send(Msg::TextChanged("plenty".into()));
    jon.press(KeyCode::Enter);
    assert_eq!((error(&jon).as_str(), jon.model.prompt.as_ref().unwrap().typed.as_str()), ("answer with a number", "plenty"));
    assert_eq!(jon.count("item.answered"), 0);
    jon.send(Msg::TextChanged("3".into()));
    jon.press(KeyCode::Enter);
    assert_eq!((jon.count("item.answered"), jon.model.prompt.is_none()), (1, true));

    // For ines the first item that is hers is asked, and what is not hers is not opened.
    let mut ines = looking_on(&driving(), "ines");
    ines.key('D');
    assert!(matches!(ines.model.prompt.as_ref().unwrap().ask, Ask::Item { item: 1, .. }));
    ines.press(KeyCode::Esc);
    ines.key('6');
    ines.key('g');
    ines.key('D');
    assert!(reasons(&ines).contains("it is for sre to answer (jon), and you are ines"), "{}", reasons(&ines));
    ines.press(KeyCode::Esc);
    ines.key('G');
    ines.key('D');
    assert!(reasons(&ines).contains("the program looks for itself"), "{}", reasons(&ines));
}

#[test]
fn what_the_program_sees_opens_an_item_again_and_says_that_it_was_good() {
    let mut flow = driving();
    let known = |flow: &Flow| flow.state().step_and_state(&"preflight".into()).unwrap().1.clone();
    assert_eq!(known(&flow).seen[&2].0, Outcome::Pass);
    flow.canary_ready(1);
    flow.pass(6);
    assert_eq!(known(&flow).seen[&2].0, Outcome::Fail);
    assert!(known(&flow).was_good.contains_key(&2));
    flow.canary_ready(4);
    flow.pass(6);
    assert!(known(&flow).was_good.is_empty() && known(&flow).seen[&2].0 == Outcome::Pass);
}

#[test]
fn a_checklist_that_only_the_program_still_looks_at_is_no_no_go() {
    let mut flow = driving();
    flow.canary_ready(1);
    flow.pass(6);
    for (item, answer, who) in [(0, "3", "jon"), (1, "green", "ines")] {
        assert_eq!(flow.model.verdict.verdict, Verdict::NoGo, "people are missing");
        others_say(&mut flow, who, &[Event::ItemAnswered { step: "preflight".into(), item, answer: answer.into(), ok: true }]);
    }
    assert_eq!((flow.step().as_str(), flow.model.verdict.verdict), ("preflight", Verdict::NoGo), "it is red");
    flow.platform_lives = false;
    flow.pass(45);
    assert_eq!(flow.model.verdict.verdict, Verdict::Unknown, "nobody can tell: {:?}", flow.model.verdict);
}

#[test]
fn go_is_said_by_typing_the_code_of_the_plan_that_is_shown() {
    let driver = at_the_poll();
    let mut jon = looking_on(&driver, "jon");
    jon.key('Y');
    assert!(matches!(&jon.model.prompt.as_ref().unwrap().ask, Ask::VoteRole { roles, .. } if roles.len() == 2), "he has two of the roles");
    jon.wait(400);
    jon.key('1');
    jon.wait(400);
    let wanted = code(&jon);
    jon.send(Msg::Paste(wanted.clone()));
    assert!(error(&jon).contains("pasted text is refused: type the code"), "{}", error(&jon));
    jon.press(KeyCode::Enter);
    jon.type_in("0000");
    jon.press(KeyCode::Enter);
    assert!(error(&jon).contains("you typed 0000"), "{}", error(&jon));
    assert_eq!(jon.count("gate.voted"), 0);
    jon.type_in(&wanted);
    jon.press(KeyCode::Enter);
    assert_eq!((jon.count("gate.voted"), jon.model.prompt.is_none()), (1, true), "{}", error(&jon));
    assert_eq!(standing(&jon), [Standing::Go, Standing::Missing, Standing::Missing]);
}

#[test]
fn a_no_go_stops_the_run_is_withdrawn_and_the_decider_speaks_last() {
    let mut maria = at_the_poll();
    // The decider is refused before the others spoke, and before a code is asked for.
    maria.key('Y');
    assert!(reasons(&maria).contains("the decider goes last"), "{}", reasons(&maria));
    maria.press(KeyCode::Esc);

    let mut ines = looking_on(&maria, "ines");
    ines.key('D');
    assert!(matches!(ines.model.prompt.as_ref().unwrap().ask, Ask::Vote { said: false, .. }));
    ines.wait(400);
    ines.key('x');
    ines.wait(400);
    ines.send(Msg::TextChanged("refunds fail".into()));
    let before = ines.journal.len();
    ines.press(KeyCode::Enter);
    let said: Vec<String> = ines.journal[before..].iter().map(|e| e.kind.clone()).collect();
    assert_eq!(said, ["gate.voted", "hold.began"], "both or none");
    assert_eq!(standing(&ines)[1], Standing::NoGo);
    ines.key('C');
    ines.wait(400);
    ines.key('y');
    assert_eq!(standing(&ines)[1], Standing::Missing);
    ines.key('C');
    assert!(reasons(&ines).contains("you have said nothing here"), "{}", reasons(&ines));

    // At the driver's: held by the no-go, asked again, released, and then all say go.
    let (step, plan_hash) = ("poll".to_owned(), hash(&maria));
    let vote = |role: &str, vote| Event::GateVoted {
        step: step.as_str().into(),
        role: role.into(),
        vote,
        reason: None,
        plan_hash: plan_hash.clone(),
        signature: None,
    };
    others_say(&mut maria, "ines", &[vote("qa", Vote::NoGo), Event::HoldBegan { reason: "NO-GO by ines for qa".into(), guard: None }]);
    assert!(maria.model.verdict.reasons.iter().any(|r| r.text.contains("held: NO-GO by ines")), "{:?}", maria.model.verdict);
    others_say(&mut maria, "ines", &[vote("qa", Vote::Withdrawn)]);
    others_say(&mut maria, "ines", &[vote("qa", Vote::Go)]);
    others_say(&mut maria, "jon", &[vote("sre", Vote::Go)]);
    maria.key('Y');
    maria.wait(400);
    let typed = code(&maria);
    maria.type_in(&typed);
    maria.press(KeyCode::Enter);
    assert_eq!(standing(&maria), [Standing::Go, Standing::Go, Standing::Go]);
    assert_eq!(maria.step(), "poll", "it holds: the no-go's hold is the driver's to release");
    maria.key('U');
    maria.wait(400);
    maria.key('y');
    maria.pass(2);
    assert_eq!(maria.step(), "shift-25");
    maria.promote("25");
    assert_eq!(maria.acts(), [25]);
}

#[test]
fn another_plan_closes_the_prompt_and_no_old_code_counts() {
    let mut driver = at_the_poll();
    let old = code(&driver);
    driver.foreign_change(10);
    driver.told_route();
    driver.pass(35);
    assert_ne!(code(&driver), old, "the plan is another one: {}", terms(&driver));

    // Somebody who looks on has the prompt open while the driver's engine works that out.
    let mut jon = looking_on(&at_the_poll(), "jon");
    jon.key('Y');
    jon.wait(400);
    jon.key('1');
    jon.wait(400);
    let opened = Event::GateOpened { step: "poll".into(), act: None, plan_hash: "f".repeat(64), shown: "another plan".into() };
    let entries = jon.write_entries(vec![opened.draft()], "maria");
    jon.send(Msg::EntriesAppended { entries, attended: true });
    assert!(
        jon.model.prompt.is_none() && jon.said("the plan is another one now: another plan (code ffffffff)"),
        "{:?}",
        jon.model.messages
    );
}

#[test]
fn who_has_no_voice_or_only_looks_says_nothing() {
    let driver = at_the_poll();
    let mut kim = looking_on(&driver, "kim");
    for key in ['D', 'Y', 'N', 'W', 'C'] {
        kim.key(key);
        assert!(reasons(&kim).contains("none of the roles that are asked: sre, qa, launch-director"), "{key}: {}", reasons(&kim));
        kim.press(KeyCode::Esc);
    }
    kim.key('S');
    assert!(reasons(&kim).contains("step poll is no wait"), "{}", reasons(&kim));
    let mut idle = Flow::new(Protection::Protected, |_| {});
    idle.key('N');
    assert!(reasons(&idle).contains("no run is under way"), "{}", reasons(&idle));
}

#[test]
fn a_bake_is_ended_early_by_its_role_and_by_nobody_else() {
    let mut maria = at_the_poll();
    let plan_hash = hash(&maria);
    for (who, role) in [("jon", "sre"), ("ines", "qa"), ("maria", "launch-director")] {
        let vote = Vote::Go;
        let said =
            Event::GateVoted { step: "poll".into(), role: role.into(), vote, reason: None, plan_hash: plan_hash.clone(), signature: None };
        others_say(&mut maria, who, &[said]);
    }
    maria.pass(2);
    maria.promote("25");
    maria.pass(70);
    assert_eq!(maria.step(), "bake-25", "{:?}", maria.model.messages);
    maria.key('S');
    assert!(reasons(&maria).contains("for sre to decide, and maria is not sre"), "{}", reasons(&maria));
    maria.press(KeyCode::Esc);
    let mut jon = looking_on(&maria, "jon");
    jon.pass(15);
    jon.key('S');
    assert!(matches!(jon.model.prompt.as_ref().unwrap().ask, Ask::Reason { .. }), "{}", reasons(&jon));
    jon.wait(400);
    jon.send(Msg::TextChanged("quiet night".into()));
    jon.press(KeyCode::Enter);
    assert_eq!(jon.count("wait.shortened"), 1);
    let left_ms = 1;
    others_say(&mut maria, "jon", &[Event::WaitShortened { step: "bake-25".into(), reason: "quiet night".into(), left_ms }]);
    maria.pass(2);
    assert_eq!(maria.phase(), crate::runbook::state::Phase::Completed);
}

#[test]
fn an_earlier_step_is_gone_back_to_where_it_is_selected() {
    let mut maria = at_the_poll();
    maria.key('R');
    assert!(reasons(&maria).contains("R goes back to it"), "{}", reasons(&maria));
    maria.press(KeyCode::Esc);
    maria.key('7');
    maria.key('g');
    maria.key('R');
    maria.wait(400);
    maria.send(Msg::TextChanged("the backup is being redone".into()));
    maria.press(KeyCode::Enter);
    maria.pass(2);
    assert_eq!((maria.step().as_str(), maria.count("run.recycled")), ("preflight", 1), "{:?}", maria.model.messages);
    maria.key('O');
    assert!(reasons(&maria).contains("lets nobody set its window aside"), "{}", reasons(&maria));
}
