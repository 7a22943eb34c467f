//! What several people decide together, and what has to hold before a run begins: one story each.

use super::books::*;
use super::world::*;
use crate::domain::*;
use crate::runbook::clock::{ClockPlan, Window};
use crate::runbook::gate::{Ballot, Standing, Vote};
use crate::runbook::io::*;
use crate::runbook::people::{Approve, Poll, Role, Shorten};
use crate::runbook::plan::*;
use crate::runbook::state::*;
use chrono::{NaiveTime, Weekday};
use std::collections::BTreeMap;

/// Somebody's answer from their own terminal.
fn vote(world: &mut World, gate: &str, who: &str, role: Option<&str>, said: Vote, reason: Option<&str>) -> Result<(), String> {
    let state = world.engine.state();
    let code = state.step_and_state(&gate.into()).and_then(|(_, s)| s.terms.as_ref()).map(|t| t.code().to_owned());
    let ballot = Ballot { role: role.map(str::to_owned), vote: said, code, reason: reason.map(str::to_owned) };
    let events = state.vote(&gate.into(), who, &ballot, world.at.wall)?;
    let entries = world.write_entries(events.iter().map(crate::runbook::record::Event::draft).collect(), &actor(who));
    world.put(Input::Foreign { entries });
    world.settle();
    Ok(())
}

fn go(world: &mut World, gate: &str, who: &str) -> Result<(), String> {
    vote(world, gate, who, None, Vote::Go, None)
}

fn answer(world: &mut World, who: &str, item: usize, text: &str) -> Result<(), String> {
    let event = world.engine.state().answer(&"preflight".into(), item, text, who)?;
    let entries = world.write_entries(vec![event.draft()], &actor(who));
    world.put(Input::Foreign { entries });
    world.settle();
    Ok(())
}

pub(super) fn approve() -> StepKind {
    let need = BTreeMap::from([("sre".to_owned(), 1), ("lead".to_owned(), 1)]);
    StepKind::Approve(Approve { need, distinct: true, driver_counts: false, expires: secs(1800) })
}

pub(super) fn poll() -> StepKind {
    let roles = vec!["qa".to_owned(), "sre".to_owned()];
    StepKind::Poll(Poll { roles, decider: Some("lead".to_owned()), distinct: false, expires: secs(1200) })
}

/// Maria drives and is sre; jon is sre, ines is qa, ada leads and is sre too.
pub(super) fn staffed(steps: Vec<Step>) -> Runbook {
    let role = |members: &[&str]| Role { min: 1, members: members.iter().map(|m| (*m).to_owned()).collect() };
    let roles = [("sre", role(&["ada", "jon", "maria"])), ("qa", role(&["ines"])), ("lead", role(&["ada"]))];
    Runbook { roles: roles.into_iter().map(|(name, role)| (name.to_owned(), role)).collect(), ..book(steps, vec![], vec![]) }
}

fn begun(runbook: &Runbook) -> World {
    let mut world = World::new(runbook, false);
    world.settle();
    world
}

fn phase(world: &World, step: &str) -> StepPhase {
    world.engine.state().step_and_state(&step.into()).map(|(_, s)| s.phase).expect("a step")
}

#[test]
fn an_approval_needs_distinct_people_who_saw_the_plan_and_the_driver_is_none_of_them() {
    let mut world = begun(&staffed(vec![step("agree", approve()), shift("to-25", 25)]));
    assert_eq!(world.question(), Some(Question::Agree { step: "agree".into() }));
    assert!(go(&mut world, "agree", "maria").unwrap_err().contains("drives"), "the driver does not approve their own act");
    assert!(go(&mut world, "agree", "ines").unwrap_err().contains("none of the roles"));
    assert!(go(&mut world, "agree", "ada").unwrap_err().contains("several"), "whose word is it?");
    let state = world.engine.state().clone();
    let blind = Ballot { role: None, vote: Vote::Go, code: Some("00000000".into()), reason: None };
    let wrong = state.vote(&"agree".into(), "jon", &blind, world.at.wall);
    assert!(wrong.unwrap_err().contains("not the code"), "an approval is for the plan that was seen");
    vote(&mut world, "agree", "ada", Some("sre"), Vote::Go, None).unwrap();
    let twice = vote(&mut world, "agree", "ada", Some("lead"), Vote::Go, None);
    assert!(twice.unwrap_err().contains("one person counts once"));
    assert_eq!(phase(&world, "agree"), StepPhase::Active);
    // Ada speaks as the lead instead, jon for sre.
    vote(&mut world, "agree", "ada", Some("sre"), Vote::Withdrawn, None).unwrap();
    vote(&mut world, "agree", "ada", Some("lead"), Vote::Go, None).unwrap();
    go(&mut world, "agree", "jon").unwrap();
    assert_eq!(phase(&world, "agree"), StepPhase::Passed);
    world.propose();
    world.confirm();
    world.run_for(secs(5));
    assert_eq!(world.engine.state().phase, Phase::Completed);
    assert_eq!(world.engine.state().agreed, None, "done is done");
}

#[test]
fn a_vote_that_nobody_had_the_right_to_cast_does_not_count() {
    let mut world = begun(&staffed(vec![step("agree", approve()), shift("to-25", 25)]));
    let hash = world.engine.state().steps[0].terms.clone().unwrap().plan_hash;
    let forged = |role: &str| crate::runbook::record::Event::GateVoted {
        step: "agree".into(),
        role: role.into(),
        vote: Vote::Go,
        reason: None,
        plan_hash: hash.clone(),
        signature: None,
    };
    for (who, role) in [("ines", "sre"), ("mallory", "lead"), ("maria", "sre")] {
        let entries = world.write_entries(vec![forged(role).draft()], &actor(who));
        world.put(Input::Foreign { entries });
        world.settle();
    }
    assert_eq!(phase(&world, "agree"), StepPhase::Active);
    let board = world.engine.state().board(&"agree".into(), world.at.wall).unwrap();
    assert!(board.positions.iter().all(|p| p.standing == Standing::Stale), "{board:?}");
}

#[test]
fn a_no_go_holds_the_run_and_the_decider_speaks_last() {
    let mut world = begun(&staffed(vec![step("poll", poll()), shift("to-25", 25)]));
    assert!(go(&mut world, "poll", "ada").unwrap_err().contains("several"));
    let early = vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None);
    assert!(early.unwrap_err().contains("decider goes last"));
    assert!(vote(&mut world, "poll", "ines", None, Vote::NoGo, Some("  ")).unwrap_err().contains("needs a reason"));
    go(&mut world, "poll", "jon").unwrap();
    vote(&mut world, "poll", "ines", None, Vote::NoGo, Some("login is broken in EU")).unwrap();
    let hold = world.engine.state().hold.clone().expect("a no-go holds");
    assert_eq!((hold.by.id.as_str(), hold.reason.as_str()), ("ines", "NO-GO by ines for qa: login is broken in EU"));
    go(&mut world, "poll", "ines").unwrap();
    vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None).unwrap();
    assert_eq!(phase(&world, "poll"), StepPhase::Active, "a hold is released by a person, not by a vote");
    world.command(Command::Unhold);
    world.settle();
    assert_eq!(phase(&world, "poll"), StepPhase::Passed);
}

#[test]
fn the_decider_is_asked_again_when_a_position_speaks_after_them() {
    let mut world = begun(&staffed(vec![step("poll", poll()), shift("to-25", 25)]));
    go(&mut world, "poll", "jon").unwrap();
    go(&mut world, "poll", "ines").unwrap();
    world.command(Command::Hold { reason: "one moment".into() });
    world.settle();
    vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None).unwrap();
    vote(&mut world, "poll", "jon", None, Vote::Withdrawn, None).unwrap();
    go(&mut world, "poll", "jon").unwrap();
    world.command(Command::Unhold);
    world.settle();
    assert_eq!(phase(&world, "poll"), StepPhase::Active, "ada said go before jon's last word");
    vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None).expect("asked again");
    assert_eq!(phase(&world, "poll"), StepPhase::Passed);
}

#[test]
fn a_go_that_is_withdrawn_after_the_poll_stops_the_act_until_all_agree_again() {
    let mut world = begun(&staffed(vec![step("poll", poll()), shift("to-25", 25)]));
    for who in ["jon", "ines"] {
        go(&mut world, "poll", who).unwrap();
    }
    vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None).unwrap();
    world.propose();
    assert!(world.asked.is_some());
    vote(&mut world, "poll", "ines", None, Vote::Withdrawn, None).unwrap();
    assert_eq!(world.asked, None, "the prompt closes");
    assert_eq!(world.question(), Some(Question::Agree { step: "poll".into() }));
    world.propose();
    assert_eq!((world.asked.is_none(), world.effects.len()), (true, 0));
    go(&mut world, "poll", "ines").unwrap();
    vote(&mut world, "poll", "ada", Some("lead"), Vote::Go, None).unwrap();
    world.propose();
    world.confirm();
    world.run_for(secs(5));
    assert_eq!(world.route.canary, 25);
}

#[test]
fn what_was_agreed_to_is_what_is_done() {
    let mut world = begun(&staffed(vec![step("agree", approve()), shift("to-25", 25)]));
    vote(&mut world, "agree", "ada", Some("lead"), Vote::Go, None).unwrap();
    go(&mut world, "agree", "jon").unwrap();
    world.foreign_change(7);
    world.propose();
    assert_eq!(world.asked, None, "nobody is asked to confirm what nobody agreed to");
    assert_eq!(phase(&world, "agree"), StepPhase::Active);
    let board = world.engine.state().board(&"agree".into(), world.at.wall).unwrap();
    assert!(board.positions.iter().all(|p| p.standing == Standing::Stale), "the old answers were for another plan: {board:?}");
    vote(&mut world, "agree", "ada", Some("lead"), Vote::Go, None).unwrap();
    go(&mut world, "agree", "jon").unwrap();
    world.propose();
    world.confirm();
    assert_eq!(world.route.canary, 25);
}

#[test]
fn answers_become_stale_by_age_and_by_a_guard_that_trips() {
    let mut runbook = staffed(vec![step("poll", poll()), shift("to-25", 25)]);
    runbook.guards = vec![Guard { from: None, ..guard("errors", GuardThen::Warn) }];
    let standing = |world: &World| {
        let board = world.engine.state().board(&"poll".into(), world.at.wall).unwrap();
        board.positions.iter().map(|p| p.standing).collect::<Vec<_>>()
    };
    let mut world = begun(&runbook);
    go(&mut world, "poll", "jon").unwrap();
    world.run_for(secs(1199));
    assert_eq!(standing(&world), [Standing::Missing, Standing::Go, Standing::Missing]);
    world.run_for(secs(1));
    assert_eq!(standing(&world), [Standing::Missing, Standing::Stale, Standing::Missing]);
    go(&mut world, "poll", "jon").expect("a stale answer may be given again");
    assert_eq!(standing(&world)[1], Standing::Go);
    world.guard = bad(60);
    world.run_for(secs(10));
    assert_eq!(standing(&world)[1], Standing::Stale);
}

#[test]
fn an_approval_that_expires_before_the_act_has_to_be_given_again() {
    let mut world = begun(&staffed(vec![step("agree", approve()), shift("to-25", 25)]));
    vote(&mut world, "agree", "ada", Some("lead"), Vote::Go, None).unwrap();
    go(&mut world, "agree", "jon").unwrap();
    world.run_for(secs(1801));
    assert_eq!(world.question(), Some(Question::Agree { step: "agree".into() }));
    world.propose();
    assert_eq!(world.asked, None);
}

#[test]
fn nothing_begins_before_the_preconditions_hold_and_nothing_acts_when_they_ceased_to() {
    let precondition = Condition { id: "full".into(), probe: ready(), hold: secs(0), every: secs(5), on_no_data: OnNoData::Wait };
    let runbook = Runbook { preconditions: vec![precondition], ..book(vec![shift("to-25", 25), shift("to-50", 50)], vec![], vec![]) };
    let mut world = World::new(&runbook, false);
    world.condition = bad(0);
    world.run_for(secs(30));
    assert!(matches!(world.question(), Some(Question::Preconditions { .. })), "{:?}", world.question());
    assert_eq!(world.count("step.entered"), 0);
    world.condition = good();
    world.run_for(secs(6));
    assert_eq!(phase(&world, "to-25"), StepPhase::Active);
    // Good at the start, bad right before the first act.
    world.condition = bad(0);
    world.run_for(secs(6));
    world.propose();
    assert_eq!(world.asked, None);
    assert!(world.said.iter().any(|said| said.contains("precondition: full")), "{:?}", world.said);
    world.condition = good();
    world.run_for(secs(6));
    world.propose();
    let shown = world.asked.clone().expect("a plan");
    world.condition = bad(0);
    world.run_for(secs(6));
    world.asked = Some(shown);
    world.confirm();
    assert_eq!(world.effects.len(), 0, "bad between the question and the answer");
    world.condition = good();
    world.run_for(secs(6));
    world.propose();
    world.confirm();
    world.run_for(secs(3));
    // After the first act they are watched by guards, not by this.
    world.condition = bad(0);
    world.propose();
    assert!(world.asked.is_some());
}

#[test]
fn outside_its_window_a_run_does_not_begin_to_act_unless_that_is_set_aside_by_who_may() {
    let hour = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap();
    // The world begins on a Saturday at 03:00 UTC.
    let window = |from, to, role: Option<&str>| Window {
        days: vec![Weekday::Sat],
        from: hour(from),
        to: hour(to),
        tz: chrono_tz::UTC,
        override_role: role.map(str::to_owned),
    };
    let with = |window| Runbook { clock: ClockPlan { window: Some(window), ..ClockPlan::default() }, ..staffed(vec![shift("to-25", 25)]) };
    let mut closed = begun(&with(window(9, 16, Some("lead"))));
    closed.propose();
    assert_eq!(closed.asked, None);
    assert!(closed.said.iter().any(|said| said.contains("opens 2026-03-14 09:00Z")), "{:?}", closed.said);
    closed.command(Command::OverrideWindow { reason: "customer is down".into() });
    closed.settle();
    assert!(closed.said.iter().any(|said| said.contains("maria is not lead")), "{:?}", closed.said);
    let mut may = begun(&with(window(9, 16, Some("sre"))));
    may.command(Command::OverrideWindow { reason: "customer is down".into() });
    may.settle();
    may.propose();
    assert!(may.asked.is_some());
    // What began inside may finish: two hours later the window is over.
    let mut late = begun(&with(window(2, 4, None)));
    late.pass(secs(7200));
    late.propose();
    assert!(late.asked.is_some());
}

#[test]
fn going_back_is_never_kept_waiting_by_a_window_a_gate_or_a_precondition() {
    let hour = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap();
    let window = Window { days: vec![Weekday::Sat], from: hour(9), to: hour(10), tz: chrono_tz::UTC, override_role: None };
    let precondition = Condition { id: "full".into(), probe: ready(), hold: secs(0), every: secs(5), on_no_data: OnNoData::Wait };
    let runbook = Runbook {
        clock: ClockPlan { window: Some(window), ..ClockPlan::default() },
        preconditions: vec![precondition],
        ..staffed(vec![step("agree", approve()), shift("to-25", 25)])
    };
    let runbook = Runbook { rollback: Rollback { last_resort: Some(weight(0)), ..runbook.rollback.clone() }, ..runbook };
    let mut world = World::new(&runbook, false);
    world.condition = bad(0);
    world.route.canary = 25;
    world.route.baseline = 75;
    world.run_for(secs(10));
    world.back_out();
    world.confirm();
    world.run_for(secs(10));
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack));
}

fn item(challenge: &str, role: Option<&str>) -> Item {
    let answer = AnswerKind::Number { min: Some(20.0), max: None };
    Item { role: role.map(str::to_owned), ..Item::asking(challenge.into(), answer) }
}

fn list(items: Vec<Item>) -> Runbook {
    let mut runbook = staffed(vec![step("preflight", StepKind::Manual(Manual { mode: ManualMode::DoConfirm, items })), shift("to-25", 25)]);
    runbook.steps.push(step("poll", poll()));
    runbook
}

#[test]
fn an_item_is_answered_by_its_role_and_two_answers_are_a_dispute() {
    let mut world = begun(&list(vec![item("Error budget", Some("sre")), item("Tests", None)]));
    assert!(answer(&mut world, "ines", 0, "40").unwrap_err().contains("ines is not sre"));
    answer(&mut world, "jon", 0, "40").unwrap();
    answer(&mut world, "maria", 0, "30").unwrap();
    answer(&mut world, "ines", 1, "99").unwrap();
    assert_eq!(phase(&world, "preflight"), StepPhase::Active, "40 or 30?");
    answer(&mut world, "jon", 0, "40").unwrap();
    assert_eq!(phase(&world, "preflight"), StepPhase::Active, "saying it again settles nothing");
    let mut agreed = world.clone();
    answer(&mut agreed, "maria", 0, "40").unwrap();
    assert_eq!(phase(&agreed, "preflight"), StepPhase::Passed, "both say 40 now");
    answer(&mut world, "ada", 0, "35").unwrap();
    assert_eq!(phase(&world, "preflight"), StepPhase::Passed, "whoever decides for all rules");
    assert_eq!(world.engine.state().steps[0].answers[&0].answer, "35");
}

#[test]
fn an_item_opens_again_when_its_evidence_turns_red_or_stale_or_its_answer_gets_old() {
    let seen = Condition { id: "ready".into(), probe: ready(), hold: secs(0), every: secs(5), on_no_data: OnNoData::Wait };
    let living = Item { answer: AnswerKind::Seen, evidence: Some(Box::new(seen)), ..item("Pods", None) };
    let old = Item { expires: Some(secs(60)), ..item("Error budget", None) };
    let mut world = begun(&list(vec![living, old, item("Tests", None)]));
    world.run_for(secs(6));
    let open = |world: &World| match world.question() {
        Some(Question::Items { open, .. }) => open,
        other => panic!("{other:?}"),
    };
    assert_eq!(open(&world), [1, 2]);
    world.condition = Finding::without_value(Outcome::Stale, "the newest sample is old");
    world.run_for(secs(6));
    assert_eq!(open(&world), [0, 1, 2], "stale is not good");
    world.condition = good();
    answer(&mut world, "jon", 1, "40").unwrap();
    world.run_for(secs(50));
    assert_eq!(open(&world), [2]);
    world.run_for(secs(10));
    assert_eq!(open(&world), [1, 2], "an answer of a minute ago has to be given again");
    answer(&mut world, "jon", 1, "40").unwrap();
    answer(&mut world, "jon", 2, "40").unwrap();
    assert_eq!(phase(&world, "preflight"), StepPhase::Passed);
}

#[test]
fn a_check_is_tried_again_by_itself_as_often_as_the_file_says_and_then_a_person_is_asked() {
    let mut look = check("look");
    look.timeout = Some(secs(20));
    look.on_failure.retry = Some(Retry { times: 2, backoff: secs(30) });
    let mut world = World::new(&book(vec![look, shift("to-25", 25)], vec![], vec![]), false);
    world.condition = bad(0);
    world.run_for(secs(21));
    assert_eq!(phase(&world, "look"), StepPhase::Failed);
    world.run_for(secs(30));
    assert_eq!((phase(&world, "look"), world.count("step.retried")), (StepPhase::Active, 1));
    world.run_for(secs(600));
    assert_eq!((phase(&world, "look"), world.count("step.retried"), world.count("step.entered")), (StepPhase::Failed, 2, 3));
    assert!(matches!(world.question(), Some(Question::Failed { .. })));
}

#[test]
fn the_end_comes_after_the_steps_and_after_the_way_back_and_goes_on_where_the_file_says_so() {
    let mut close = check("close");
    close.timeout = Some(secs(20));
    close.on_failure.goes_on = true;
    let runbook = Runbook { finally: vec![close], ..book(vec![shift("to-25", 25)], vec![], vec![]) };
    let mut world = begun(&runbook);
    world.condition = bad(0);
    world.propose();
    world.confirm();
    world.run_for(secs(10));
    assert_eq!((phase(&world, "close"), world.engine.state().phase), (StepPhase::Active, Phase::Running));
    world.run_for(secs(30));
    assert_eq!((phase(&world, "close"), world.engine.state().phase), (StepPhase::Skipped, Phase::Completed));
    let mut back = begun(&runbook);
    back.condition = bad(0);
    back.propose();
    back.confirm();
    back.run_for(secs(10));
    assert_eq!(phase(&back, "close"), StepPhase::Active);
    back.back_out();
    back.confirm();
    back.run_for(secs(5));
    assert_eq!((back.route.canary, phase(&back, "close")), (0, StepPhase::Active), "the end waits for the way back");
    back.condition = good();
    back.run_for(secs(10));
    assert_eq!(back.engine.state().phase, Phase::RolledBack);
}

#[test]
fn an_act_at_the_end_that_asks_for_nothing_is_sent_once_by_itself() {
    let mut tell = shift("tell", 30);
    tell.confirm = Confirm::None;
    let mut world = begun(&Runbook { finally: vec![tell], ..book(vec![shift("to-25", 25)], vec![], vec![]) });
    world.propose();
    world.confirm();
    world.run_for(secs(10));
    assert_eq!(world.engine.state().phase, Phase::Completed, "{:?}", world.kinds());
    assert_eq!((world.route.canary, world.effects.len()), (30, 2));
    assert!(world.effects.values().all(|times| *times == 1));
}

#[test]
fn a_wait_is_shortened_by_who_may_and_not_too_early() {
    let shorten = Some(Shorten { role: Some("lead".into()), min: secs(60) });
    let mut world = begun(&staffed(vec![step("bake", StepKind::Wait { duration: secs(600), shorten }), shift("to-25", 25)]));
    let shorten = |world: &mut World, who: &str| {
        let event = world.engine.state().shorten(who, "all is quiet", &world.at, &world.boot_id.clone())?;
        let entries = world.write_entries(vec![event.draft()], &actor(who));
        world.put(Input::Foreign { entries });
        world.settle();
        Ok::<(), String>(())
    };
    world.run_for(secs(30));
    assert!(shorten(&mut world, "ada").unwrap_err().contains("not before"));
    world.run_for(secs(40));
    assert!(shorten(&mut world, "jon").unwrap_err().contains("jon is not lead"));
    shorten(&mut world, "ada").unwrap();
    assert_eq!(phase(&world, "bake"), StepPhase::Passed);
}

#[test]
fn a_run_goes_back_to_an_earlier_step_only_when_nothing_of_it_is_in_force() {
    let mut world = begun(&staffed(vec![check("look"), step("agree", StepKind::Gate), shift("to-25", 25), step("last", StepKind::Gate)]));
    world.run_for(secs(30));
    assert_eq!(phase(&world, "agree"), StepPhase::Active);
    world.condition = bad(0);
    world.command(Command::Recycle { to: "look".into(), reason: "look again".into() });
    world.settle();
    world.condition = good();
    assert_eq!((phase(&world, "look"), phase(&world, "agree")), (StepPhase::Active, StepPhase::Pending));
    world.run_for(secs(30));
    let permit = world.permit();
    world.command(Command::Gate { go: true, permit });
    world.settle();
    world.propose();
    world.confirm();
    world.run_for(secs(5));
    world.command(Command::Recycle { to: "agree".into(), reason: "again".into() });
    world.settle();
    assert_eq!(world.count("run.recycled"), 1, "25 % is in force");
    assert!(world.said.iter().any(|said| said.contains("taken back first")), "{:?}", world.said);
}

#[test]
fn skipping_is_for_the_role_that_the_file_names() {
    let mut look = check("look");
    look.timeout = Some(secs(20));
    look.on_failure.skip_role = Some("lead".into());
    let mut world = World::new(&staffed(vec![look, shift("to-25", 25)]), false);
    world.condition = bad(0);
    world.run_for(secs(21));
    world.command(Command::Choose { choice: Choice::Skip, reason: Some("known".into()) });
    world.settle();
    assert_eq!(phase(&world, "look"), StepPhase::Failed, "maria drives, and is not lead");
}
