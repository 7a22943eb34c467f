//! Single stories, each with the one thing that may go wrong in it.

use super::books::*;
use super::world::*;
use crate::domain::*;
use crate::runbook::io::*;
use crate::runbook::plan::*;
use crate::runbook::record::{Event, Found};
use crate::runbook::state::*;

fn begun(runbook: &Runbook) -> World {
    let mut world = World::new(runbook, false);
    world.settle();
    world
}

fn shifted(to: u32) -> World {
    let mut world = begun(&book(vec![shift("to-25", to), shift("to-50", 50)], vec![], vec![]));
    world.propose();
    world.confirm();
    assert_eq!(world.route.canary, to);
    world
}

#[test]
fn a_whole_run_by_the_book() {
    let mut world = World::new(&full(), true);
    world.settle();
    for (item, answer) in [(0, "OPS-1"), (1, "done")] {
        world.command(Command::Answer { step: "preflight".into(), item, answer: answer.into() });
    }
    world.settle();
    assert_eq!(world.question(), Some(Question::Act { step: "to-25".into(), action: weight(25) }));
    world.propose();
    world.confirm();
    assert_eq!(world.engine.state().intended, Percent::new(25));
    world.run_for(secs(200));
    assert_eq!(world.question(), Some(Question::Gate { step: "agree".into() }));
    let permit = world.permit();
    world.command(Command::Gate { go: true, permit });
    world.settle();
    world.propose();
    world.confirm();
    world.run_for(secs(10));
    assert_eq!(world.engine.state().phase, Phase::Completed, "{:?}", world.kinds());
    assert_eq!(world.effects.len(), 2);
    world.watch.journal(&world.journal.clone());
    world.watch.assert_whole();
}

#[test]
fn nothing_is_sent_before_its_intent_is_durable() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    // Up to the intent everything is answered; the intent's append stays open.
    while let Some(request) = world.open.pop_front() {
        let intent = matches!(&request, Output::Append { drafts, .. } if drafts[0].kind == "action.intent");
        if intent {
            assert!(world.open.is_empty());
            world.put(Input::Due);
            assert!(world.open.is_empty(), "something was sent before the intent was durable: {:?}", world.open);
            world.answer(request);
            assert!(matches!(world.open.front(), Some(Output::Send { .. })));
            return;
        }
        world.answer(request);
    }
    panic!("no intent was asked for");
}

#[test]
fn the_broken_rule_is_seen() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.engine.break_intent_rule_for_test();
    world.propose();
    world.confirm();
    assert!(world.watch.broken.iter().any(|b| b.contains("without a durable intent")), "{:?}", world.watch.broken);
}

#[test]
fn back_out_takes_one_act_and_ends_the_run() {
    let mut world = shifted(25);
    world.back_out();
    let asked = world.asked.clone().unwrap();
    assert_eq!((asked.purpose, asked.must_type().as_deref()), (Purpose::BackOut, Some("0")));
    world.confirm();
    assert_eq!(world.route.canary, 0);
    assert_eq!(world.engine.state().phase, Phase::RolledBack, "{:?} {:?}", world.kinds(), world.said);
    assert_eq!(world.count("action.intent"), 2);
    world.watch.journal(&world.journal.clone());
    world.watch.assert_whole();
}

#[test]
fn a_run_without_steps_is_there_to_back_out() {
    let mut world = begun(&book(vec![], vec![], vec![]));
    world.foreign_change(40);
    assert_eq!(world.engine.state().phase, Phase::Running);
    world.back_out();
    world.confirm();
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack));
}

#[test]
fn backing_out_where_nothing_is_on_the_canary_sends_nothing() {
    let mut world = begun(&book(vec![], vec![], vec![]));
    world.back_out();
    world.confirm();
    assert_eq!((world.effects.len(), world.count("action.intent")), (0, 0));
    assert_eq!(world.engine.state().phase, Phase::RolledBack);
}

#[test]
fn a_generated_way_back_goes_down_the_stairs_once_confirmed() {
    let mut world = begun(&stairs());
    for _ in 0..2 {
        world.propose();
        world.confirm();
    }
    world.back_out();
    world.confirm();
    world.run_for(secs(5));
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack), "{:?}", world.said);
    let confirmed = world.journal.iter().filter(|e| e.kind == "action.confirmed").count();
    assert_eq!(confirmed, 3, "the way back is confirmed once");
    let weights: Vec<_> = world.journal.iter().filter(|e| e.kind == "action.intent").map(|e| e.body["action"].clone()).collect();
    assert_eq!(weights.len(), 4);
    world.watch.journal(&world.journal.clone());
    world.watch.assert_whole();
}

#[test]
fn a_change_between_plan_and_confirmation_voids_it_and_says_what_moved() {
    let mut world = shifted(25);
    world.propose();
    world.foreign_change(10);
    world.confirm();
    assert_eq!((world.route.canary, world.effects.len()), (10, 1));
    assert!(world.withdrawn.last().unwrap().contains("weight was 25%, is now 10% (changed by kubectl"), "{:?}", world.withdrawn);
    assert_eq!(world.question(), Some(Question::Act { step: "to-50".into(), action: weight(50) }));
}

#[test]
fn a_change_before_a_back_out_asks_again_at_once() {
    let mut world = shifted(25);
    world.back_out();
    world.foreign_change(10);
    world.confirm();
    assert_eq!(world.route.canary, 10, "nothing was sent");
    let again = world.asked.clone().expect("the new plan is shown at once");
    assert_eq!(again.plan.before.route.as_ref().unwrap().canary, 10);
    world.confirm();
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack));
    assert_eq!(world.count("rollback.began"), 1);
}

/// Lets everything through up to the send, and gives that back.
fn up_to_send(world: &mut World) -> (Ticket, Write) {
    loop {
        match world.open.pop_front().expect("a send") {
            Output::Send { ticket, write, .. } => return (ticket, *write),
            other => world.answer(other),
        }
    }
}

fn lost() -> Failure {
    Failure::Unknown { why: "connection reset".into() }
}

#[test]
fn a_lost_reply_to_an_applied_write_is_found_out_and_nothing_is_sent_again() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.arrive(&write).unwrap();
    world.put(Input::Sent { ticket, result: Err(lost()) });
    world.settle();
    assert_eq!(world.engine.state().phase, Phase::Completed, "{:?}", world.kinds());
    assert_eq!((world.effects[&write.op], world.count("action.reconciled")), (1, 1));
}

fn lost_before_it_arrived(runbook: &Runbook) -> (World, Write) {
    let mut world = begun(runbook);
    world.propose();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(lost()) });
    world.settle();
    (world, write)
}

#[test]
fn a_write_that_did_not_arrive_is_only_done_again_behind_a_fence() {
    let (mut world, write) = lost_before_it_arrived(&book(vec![shift("to-25", 25)], vec![], vec![]));
    let Some(Question::Unclear { found: Some(Found::NotYet), redo: true, adopt: false, .. }) = world.question() else {
        panic!("{:?}", world.question())
    };
    world.command(Command::Redo);
    world.settle();
    assert!(world.arrive(&write).is_err(), "the fence keeps the first write out");
    let again = world.asked.clone().expect("shown and asked again");
    assert_ne!(again.op, write.op);
    world.confirm();
    assert_eq!((world.route.canary, world.engine.state().phase), (25, Phase::Completed), "{:?}", world.said);
    assert_eq!(world.effects.values().sum::<u32>(), 1);
    world.watch.assert_whole();
}

#[test]
fn a_late_write_ends_the_doubt_by_itself() {
    let (mut world, write) = lost_before_it_arrived(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.arrive(&write).unwrap();
    world.run_for(secs(20));
    assert_eq!(world.engine.state().phase, Phase::Completed);
}

#[test]
fn backing_out_of_an_unclear_operation_fences_it_off_after_the_confirmation() {
    let (mut world, write) = lost_before_it_arrived(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.back_out();
    assert_eq!(world.count("action.intent"), 1, "nothing is written before it is confirmed");
    world.confirm();
    assert!(world.arrive(&write).is_err());
    assert_eq!(world.engine.state().phase, Phase::RolledBack, "{:?} {:?}", world.kinds(), world.said);
    assert_eq!(world.journal.iter().filter(|e| e.body["fence"] == true).count(), 1);
    world.watch.assert_whole();
}

#[test]
fn an_unclear_operation_survives_a_declined_back_out() {
    let (mut world, _) = lost_before_it_arrived(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.back_out();
    world.command(Command::Decline);
    world.settle();
    assert!(matches!(world.question(), Some(Question::Unclear { found: Some(Found::NotYet), .. })), "{:?}", world.question());
    assert!(world.engine.state().doubtful.is_none());
}

#[test]
fn an_abort_with_an_unclear_operation_fences_it_off_first() {
    let (mut world, write) = lost_before_it_arrived(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.command(Command::Abort { reason: "enough".into() });
    world.settle();
    assert_eq!(world.engine.state().phase, Phase::Aborted, "{:?}", world.said);
    assert!(world.arrive(&write).is_err());
    assert!(world.engine.state().in_force.is_empty());
}

#[test]
fn drift_after_an_unclear_operation_can_be_adopted_with_a_reason() {
    let (mut world, _) = lost_before_it_arrived(&book(vec![shift("to-25", 25), shift("to-50", 50)], vec![], vec![]));
    world.foreign_change(30);
    world.run_for(secs(20));
    let Some(Question::Unclear { found: Some(Found::Drifted), adopt: true, why, .. }) = world.question() else { panic!() };
    assert!(why.contains("was 0%, wanted 25%, is now 30%"), "{why}");
    world.command(Command::Adopt { reason: " ".into() });
    world.settle();
    assert!(world.said.last().unwrap().contains("needs a reason"));
    world.command(Command::Adopt { reason: "agreed with Jon".into() });
    world.settle();
    assert_eq!(world.engine.state().intended, Percent::new(30));
    assert_eq!(world.question(), Some(Question::Act { step: "to-50".into(), action: weight(50) }));
}

#[test]
fn a_hold_that_comes_before_the_intent_is_durable_stops_the_send() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    loop {
        let request = world.open.pop_front().unwrap();
        if matches!(&request, Output::Append { drafts, .. } if drafts[0].kind == "action.intent") {
            world.command(Command::Hold { reason: "wait".into() });
            world.answer(request);
            break;
        }
        world.answer(request);
    }
    world.settle();
    assert_eq!((world.route.canary, world.effects.len()), (0, 0));
    let outcome = world.journal.iter().find(|e| e.kind == "action.outcome").unwrap();
    assert!(outcome.body["outcome"]["failure"]["why"].as_str().unwrap().contains("held"), "{}", outcome.body);
    assert!(world.engine.state().hold.is_some());
    assert!(world.engine.state().in_force.is_empty());
    world.command(Command::Unhold);
    world.settle();
    world.propose();
    world.confirm();
    assert_eq!(world.route.canary, 25);
    world.watch.assert_whole();
}

#[test]
fn a_hold_from_another_terminal_meets_the_intent_and_wins() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    loop {
        let request = world.open.pop_front().unwrap();
        if matches!(&request, Output::Append { drafts, .. } if drafts[0].kind == "action.intent") {
            let hold = Event::HoldBegan { reason: "colleague".into(), guard: None }.draft();
            world.write_entries(vec![hold], &actor("jon"));
            world.answer(request);
            break;
        }
        world.answer(request);
    }
    world.settle();
    assert_eq!((world.count("action.intent"), world.effects.len()), (0, 0));
    assert!(world.withdrawn.last().unwrap().contains("colleague"));
}

#[test]
fn a_red_verdict_opens_nothing_and_withdraws_what_is_open() {
    let mut world = shifted(25);
    world.verdict = Verdict::Unknown;
    world.propose();
    assert!(world.asked.is_none() && world.said.last().unwrap().contains("UNKNOWN"));
    world.verdict = Verdict::Watch;
    world.propose();
    world.verdict = Verdict::NoGo;
    world.confirm();
    assert_eq!(world.route.canary, 25);
    assert!(world.withdrawn.last().unwrap().contains("NO-GO"));
}

#[test]
fn what_was_typed_must_be_the_consequence() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    let hash = world.asked.clone().unwrap().plan_hash;
    for (plan_hash, typed) in [(hash.clone(), "52"), ("other".to_owned(), "25"), (hash.clone(), "")] {
        let permit = world.permit();
        world.command(Command::Confirm { plan_hash, typed: typed.into(), shown: secs(1), permit });
        world.settle();
    }
    assert_eq!(world.count("action.confirmed"), 0);
    world.confirm();
    assert_eq!(world.route.canary, 25);
}

#[test]
fn a_conflict_asks_again_and_a_refused_right_fails_the_step() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (ticket, _) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(Failure::from_status(409, "conflict".into())) });
    world.settle();
    assert_eq!(world.question(), Some(Question::Act { step: "to-25".into(), action: weight(25) }));
    world.propose();
    world.confirm_now();
    let (ticket, _) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(Failure::from_status(403, "patch virtualservice: forbidden".into())) });
    world.settle();
    let Some(Question::Failed { why, offer, .. }) = world.question() else { panic!("{:?}", world.question()) };
    assert!(why.contains("forbidden") && offer.contains(&Choice::BackOut));
    assert!(world.engine.state().in_force.is_empty());
    world.command(Command::Choose { choice: Choice::Skip, reason: None });
    world.settle();
    assert!(world.said.last().unwrap().contains("reason"));
    world.command(Command::Choose { choice: Choice::Retry, reason: None });
    world.settle();
    world.propose();
    world.confirm();
    assert_eq!(world.route.canary, 25);
}

#[test]
fn accepted_but_never_seen_fails_with_what_was_seen() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.arrive(&write).unwrap();
    world.foreign_change(7);
    world.put(Input::Sent { ticket, result: Ok(Accepted { version: None, after: None }) });
    world.run_for(secs(130));
    let Some(Question::Failed { why, .. }) = world.question() else { panic!("{:?}", world.question()) };
    assert!(why.contains("wanted 25%, seen 7%"), "{why}");
}

#[test]
fn the_platform_already_there_needs_no_write_but_a_person() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.foreign_change(25);
    world.run_for(secs(10));
    assert_eq!(world.engine.state().phase, Phase::Running, "not before somebody asked");
    world.propose();
    assert_eq!((world.engine.state().phase, world.count("action.intent")), (Phase::Completed, 0));
}

#[test]
fn an_old_confirmation_does_not_act() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    while let Some(request) = world.open.pop_front() {
        if matches!(request, Output::Read { .. }) {
            world.pass(secs(121));
        }
        world.answer(request);
    }
    assert_eq!(world.effects.len(), 0);
    assert_eq!(world.question(), Some(Question::Act { step: "to-25".into(), action: weight(25) }));
}

#[test]
fn a_guard_backs_out_by_itself_where_that_was_confirmed_at_the_start() {
    let mut world =
        World::new(&book(vec![shift("to-25", 25), bake("bake", 600)], vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(10);
    world.run_for(secs(6));
    assert_eq!((world.count("guard.breached"), world.count("guard.tripped")), (1, 0));
    world.guard = bad(31);
    world.run_for(secs(6));
    assert!(world.engine.countdown().is_some());
    assert_eq!(world.route.canary, 25);
    world.run_for(secs(12));
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack), "{:?}", world.said);
    let intent = world.journal.iter().rfind(|e| e.kind == "action.intent").unwrap();
    assert!(intent.body["confirmed"].is_null());
    world.watch.assert_whole();
}

#[test]
fn a_hold_stops_the_countdown_and_the_run_waits_for_the_guard() {
    let mut world =
        World::new(&book(vec![shift("to-25", 25), bake("bake", 600)], vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(31);
    world.run_for(secs(6));
    world.command(Command::Hold { reason: "looking".into() });
    world.run_for(secs(30));
    assert_eq!((world.route.canary, world.engine.state().phase), (25, Phase::Running));
    assert_eq!(world.count("guard.countdown_cancelled"), 1);
    world.command(Command::Unhold);
    world.settle();
    assert!(world.said.last().unwrap().contains("still bad"), "{:?}", world.said.last());
    world.guard = good();
    world.run_for(secs(6));
    world.command(Command::Unhold);
    world.settle();
    assert!(world.engine.state().hold.is_none());
}

#[test]
fn a_countdown_does_not_go_off_after_a_restart() {
    let mut world =
        World::new(&book(vec![shift("to-25", 25), bake("bake", 600)], vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(31);
    world.run_for(secs(6));
    world.crash();
    world.guard = good();
    world.run_for(secs(30));
    assert_eq!((world.route.canary, world.engine.state().phase), (25, Phase::Running));
    assert!(world.engine.state().hold.is_some());
}

/// A back-out by itself is counted down.
fn counting_down() -> World {
    let steps = vec![shift("to-25", 25), bake("bake", 600)];
    let mut world = World::new(&book(steps, vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(31);
    world.run_for(secs(6));
    assert!(world.engine.countdown().is_some());
    world
}

#[test]
fn a_countdown_that_nobody_could_see_does_not_go_off() {
    let mut asleep = counting_down();
    asleep.pass(secs(300));
    asleep.hand(asleep.at, Input::ClockJumped { what: "asleep 5m00s".into() });
    leaves_it_to_a_person(asleep);
    let mut stopped = counting_down();
    stopped.pass(secs(60));
    stopped.hand(stopped.at, Input::Due);
    leaves_it_to_a_person(stopped);
}

fn leaves_it_to_a_person(mut world: World) {
    world.run_for(secs(30));
    let state = world.engine.state();
    assert_eq!((world.route.canary, state.phase, world.count("guard.countdown_cancelled")), (25, Phase::Running, 1), "{:?}", world.said);
    assert!(state.hold.is_some());
    world.watch.assert_whole();
}

#[test]
fn a_no_go_at_a_gate_stops_the_countdown() {
    let steps = vec![shift("to-25", 25), step("agree", StepKind::Gate)];
    let mut world = World::new(&book(steps, vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(31);
    world.run_for(secs(6));
    assert!(world.engine.countdown().is_some());
    let permit = world.permit();
    world.command(Command::Gate { go: false, permit });
    world.run_for(secs(30));
    assert_eq!((world.route.canary, world.engine.state().phase), (25, Phase::Running), "{:?}", world.said);
}

#[test]
fn a_guard_without_that_consent_holds_and_says_so() {
    let mut world =
        World::new(&book(vec![shift("to-25", 25), bake("bake", 600)], vec![], vec![guard("errors", GuardThen::Rollback)]), false);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = bad(31);
    world.run_for(secs(30));
    assert_eq!(world.route.canary, 25);
    let hold = world.engine.state().hold.clone().unwrap();
    assert!(hold.reason.starts_with("guard errors: 7 >= 1 for 31s; backing out was not confirmed"), "{}", hold.reason);
}

#[test]
fn a_blind_guard_holds_once_and_lets_go_when_it_sees_again() {
    let mut world = World::new(&book(vec![shift("to-25", 25), bake("bake", 600)], vec![], vec![guard("errors", GuardThen::Hold)]), false);
    world.settle();
    world.propose();
    world.confirm();
    world.guard = Finding::without_value(Outcome::Error, "connection refused");
    world.run_for(secs(30));
    assert_eq!(world.count("hold.began"), 1);
    world.command(Command::Unhold);
    world.settle();
    assert!(world.engine.state().hold.is_some());
    world.guard = good();
    world.run_for(secs(6));
    world.command(Command::Unhold);
    world.settle();
    assert!(world.engine.state().hold.is_none());
}

#[test]
fn a_bake_counts_only_while_nothing_holds_and_the_data_is_live() {
    let mut world = begun(&book(vec![bake("bake", 100)], vec![], vec![]));
    let left = |w: &World| w.engine.state().bake_left(&w.at, &w.boot_id).map(|d| d.as_secs());
    world.run_for(secs(30));
    assert_eq!(left(&world), Some(70));
    world.command(Command::Hold { reason: "lunch".into() });
    world.run_for(secs(500));
    assert_eq!(left(&world), Some(70));
    world.command(Command::Unhold);
    world.run_for(secs(10));
    world.put(Input::Data { live: false, why: "prom-eu is lost".into() });
    world.run_for(secs(50));
    assert_eq!(left(&world), Some(60));
    world.put(Input::Data { live: true, why: String::new() });
    world.run_for(secs(59));
    assert_eq!(world.engine.state().phase, Phase::Running);
    world.run_for(secs(2));
    assert_eq!(world.engine.state().phase, Phase::Completed);
}

#[test]
fn a_bake_loses_at_most_a_minute_to_a_crash_and_gains_nothing() {
    let mut world = begun(&book(vec![bake("bake", 600)], vec![], vec![]));
    world.run_for(secs(200));
    world.pass(secs(3000));
    world.crash();
    world.settle();
    let left = world.engine.state().bake_left(&world.at, &world.boot_id).unwrap().as_secs();
    assert!((400..=460).contains(&left), "{left}");
}

#[test]
fn time_asleep_does_not_bake() {
    let mut world = begun(&book(vec![bake("bake", 100)], vec![], vec![]));
    world.run_for(secs(30));
    world.pass(secs(90));
    world.at.mono -= secs(90);
    // The jump is told before anything else.
    let at = world.at;
    let outputs = world.engine.handle(&at, Input::ClockJumped { what: "asleep 1m30s".into() });
    world.open.extend(outputs.into_iter().filter(|o| matches!(o, Output::Append { .. })));
    world.settle();
    assert_eq!(world.engine.state().bake_left(&world.at, &world.boot_id).map(|d| d.as_secs()), Some(70));
    assert!(world.engine.state().hold.is_some());
}

#[test]
fn a_check_passes_fails_or_stays_inconclusive() {
    let steps = || book(vec![check("look"), step("agree", StepKind::Gate)], vec![], vec![]);
    let mut world = begun(&steps());
    assert_eq!(world.question(), Some(Question::Gate { step: "agree".into() }));
    assert_eq!(world.count("check.sample"), 2);
    for (finding, inconclusive) in [(bad(5), false), (Finding::without_value(Outcome::NoData, "no samples"), true)] {
        let mut world = World::new(&steps(), false);
        world.condition = finding;
        world.run_for(secs(60));
        world.command(Command::Hold { reason: "h".into() });
        world.run_for(secs(300));
        world.command(Command::Unhold);
        world.run_for(secs(58));
        assert!(world.question().is_none(), "held time does not count");
        world.run_for(secs(3));
        assert!(matches!(world.question(), Some(Question::Failed { .. })));
        let state = world.engine.state().steps[0].clone();
        assert_eq!(state.phase == StepPhase::Inconclusive, inconclusive);
        assert!(world.count("check.sample") <= 4, "only changes are journaled");
    }
    world = World::new(&steps(), false);
    world.condition = Finding::without_value(Outcome::Stale, "too old");
    world.run_for(secs(30));
    assert!(world.question().is_none());
}

#[test]
fn a_checklist_keeps_a_wrong_answer_open() {
    let mut world = begun(&book(vec![checklist("preflight"), step("agree", StepKind::Gate)], vec![], vec![]));
    for (item, answer) in [(0, "OPS-2"), (1, "done")] {
        world.command(Command::Answer { step: "preflight".into(), item, answer: answer.into() });
        world.settle();
    }
    assert_eq!(world.question(), Some(Question::Items { step: "preflight".into(), open: vec![0] }));
    world.command(Command::Answer { step: "preflight".into(), item: 0, answer: "OPS-1".into() });
    world.settle();
    assert_eq!(world.question(), Some(Question::Gate { step: "agree".into() }));
    world.verdict = Verdict::NoGo;
    let permit = world.permit();
    world.command(Command::Gate { go: true, permit });
    world.settle();
    assert_eq!(world.count("step.passed"), 1);
    let permit = world.permit();
    world.command(Command::Gate { go: false, permit });
    world.settle();
    assert!(world.engine.state().hold.is_some());
}

#[test]
fn a_driver_who_died_with_an_intent_open_leaves_a_question_and_no_second_write() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (_, write) = up_to_send(&mut world);
    world.crash();
    world.settle();
    assert!(matches!(world.question(), Some(Question::Unclear { found: Some(Found::NotYet), .. })), "{:?}", world.question());
    world.arrive(&write).unwrap();
    world.run_for(secs(20));
    assert_eq!((world.engine.state().phase, world.effects[&write.op]), (Phase::Completed, 1));
    assert_eq!(world.count("run.resumed"), 1);
}

#[test]
fn a_confirmation_does_not_outlive_its_driver() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let request = world.open.pop_front().unwrap();
    world.answer(request);
    assert_eq!(world.count("action.confirmed"), 1);
    world.crash();
    world.run_for(secs(60));
    assert_eq!((world.effects.len(), world.count("action.replanned")), (0, 1));
    assert_eq!(world.question(), Some(Question::Act { step: "to-25".into(), action: weight(25) }));
}

#[test]
fn a_full_disk_stops_acts_but_not_a_hold() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.command(Command::Hold { reason: "stop".into() });
    let refuse = |world: &mut World| {
        let Some(Output::Append { ticket, .. }) = world.open.pop_front() else { panic!("an append") };
        world.put(Input::AppendRefused { ticket, why: AppendRefusal::Store { why: "no space left on device".into() } });
    };
    refuse(&mut world);
    assert!(world.asked.is_none());
    assert!(world.said.iter().any(|s| s.contains("no space left")));
    let permit = world.permit();
    world.command(Command::Propose { permit });
    assert!(world.open.is_empty() && world.said.last().unwrap().contains("held"));
    world.pass(secs(1));
    world.put(Input::Due);
    refuse(&mut world);
    world.run_for(secs(5));
    assert!(world.engine.state().hold.is_some(), "the hold is recorded as soon as it can be");
    assert!(world.said.iter().any(|s| s.contains("can be written again")));
}

#[test]
fn who_lost_the_seat_never_writes_again() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    world.put(Input::SeatLost { current: Epoch(9) });
    let permit = world.permit();
    world.command(Command::Propose { permit });
    world.command(Command::ProposeBackOut { why: "x".into() });
    assert!(world.said.last().unwrap().contains("not the driver"));
    world.run_for(secs(60));
    assert_eq!(world.effects.len(), 0);
    world.command(Command::Hold { reason: "anybody may stop".into() });
    world.settle();
    assert_eq!(world.count("hold.began"), 1);
}

#[test]
fn leaving_gives_the_seat_up_and_ends_the_engine() {
    let mut world = shifted(25);
    world.command(Command::Leave);
    world.settle();
    assert!(world.engine.state().released && world.engine.passive().is_some());
    assert_eq!(world.engine.deadline(), None);
}

#[test]
fn an_unreadable_platform_leaves_the_doubt_open() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (ticket, _) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(lost()) });
    for _ in 0..30 {
        while let Some(request) = world.open.pop_front() {
            match request {
                Output::Read { ticket, .. } => world.put(Input::Read { ticket, result: Err(Failure::NotSent { why: "refused".into() }) }),
                other => world.answer(other),
            }
        }
        world.pass(secs(15));
        world.put(Input::Due);
        assert!(matches!(world.question(), Some(Question::Unclear { found: None, redo: false, .. })), "{:?}", world.question());
    }
    world.settle();
    world.run_for(secs(16));
    assert!(matches!(world.question(), Some(Question::Unclear { found: Some(Found::NotYet), .. })));
}

#[test]
fn what_the_platform_says_is_cleaned_before_it_is_journaled() {
    let mut world = begun(&book(vec![shift("to-25", 25)], vec![], vec![]));
    world.propose();
    world.confirm_now();
    let (ticket, _) = up_to_send(&mut world);
    let why = format!("\u{1b}]0;owned\u{7}forbidden {}", "x".repeat(5000));
    world.put(Input::Sent { ticket, result: Err(Failure::from_status(403, why)) });
    world.settle();
    let text = serde_json::to_string(&world.journal).unwrap();
    assert!(!text.contains("owned") && !text.contains("u001b") && !text.contains(&"x".repeat(600)));
    assert!(text.contains("forbidden"));
}

#[test]
fn a_guard_backs_out_by_itself_of_an_operation_that_is_unclear() {
    let steps = vec![shift("to-25", 25), shift("to-50", 50)];
    let mut world = World::new(&book(steps, vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm();
    world.propose();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(lost()) });
    world.guard = bad(40);
    world.run_for(secs(30));
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack), "{:?}", world.said);
    assert!(world.arrive(&write).is_err(), "what was lost can never arrive");
    world.watch.assert_whole();
}

#[test]
fn a_lost_act_is_closed_off_even_where_the_way_back_finds_nothing_to_change() {
    let steps = vec![shift("to-25", 25), shift("to-50", 50)];
    let mut world = World::new(&book(steps, vec![], vec![guard("errors", GuardThen::Rollback)]), true);
    world.settle();
    world.propose();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(lost()) });
    world.guard = bad(40);
    world.run_for(secs(30));
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack), "{:?}", world.said);
    assert!(world.arrive(&write).is_err(), "what was lost can never arrive");
    world.watch.assert_whole();
}

#[test]
fn an_ended_run_is_left_as_it_is() {
    let mut world = shifted(25);
    world.back_out();
    world.confirm();
    let entries = world.journal.len();
    world.crash();
    world.run_for(secs(10));
    world.command(Command::ProposeBackOut { why: "x".into() });
    assert!(world.said.last().unwrap().contains("the run is rolled back"));
    assert_eq!(world.journal.len(), entries);
    world.command(Command::Note { text: "watched for a day".into() });
    world.settle();
    assert_eq!(world.journal.len(), entries + 1);
}

#[test]
fn a_way_back_that_cannot_be_seen_through_is_stuck_and_can_be_tried_again() {
    let mut world = shifted(25);
    world.back_out();
    world.confirm_now();
    let (ticket, write) = up_to_send(&mut world);
    world.arrive(&write).unwrap();
    world.foreign_change(5);
    world.put(Input::Sent { ticket, result: Ok(Accepted { version: None, after: None }) });
    world.run_for(secs(130));
    assert_eq!(world.engine.state().phase, Phase::RollbackStuck, "{:?}", world.said);
    world.back_out();
    world.confirm();
    assert_eq!((world.route.canary, world.engine.state().phase), (0, Phase::RolledBack), "{:?}", world.said);
    world.watch.assert_whole();
}

#[test]
fn a_way_back_whose_act_was_skipped_is_not_called_done() {
    let mut world = shifted(25);
    world.back_out();
    world.confirm_now();
    let (ticket, _) = up_to_send(&mut world);
    world.put(Input::Sent { ticket, result: Err(Failure::from_status(403, "forbidden".into())) });
    world.settle();
    world.command(Command::Choose { choice: Choice::Skip, reason: Some("done by hand later".into()) });
    world.run_for(secs(5));
    assert_eq!(world.engine.state().phase, Phase::Aborted);
    assert!(world.engine.state().end_reason.clone().unwrap().contains("done by hand later"));
}

#[test]
fn the_story_tells_each_shift_in_one_line() {
    let mut world = shifted(25);
    world.pass(secs(90));
    world.back_out();
    world.confirm();
    let told: Vec<String> = crate::runbook::story::story(&world.journal).into_iter().map(|l| l.text).collect();
    assert!(told.iter().any(|l| l == "promote 0% -> 25%, typed 25, verified in 0.0 s"), "{told:#?}");
    assert!(told.iter().any(|l| l == "back out 25% -> 0%, typed 0, verified in 0.0 s"), "{told:#?}");
    assert_eq!(told.last().map(String::as_str), Some("run backed out"));
}

/// The seat is taken from a driver that still drives.
fn taken_over(world: &mut World) {
    world.seat = world.seat.next();
    world.nonce += 1 << 32;
    let taken = Event::LeaseAcquired { epoch: world.seat, taken_from: Some("maria@host 17".into()) };
    world.write_entries(vec![taken.draft(), Event::RunResumed { epoch: world.seat }.draft()], &actor("ada"));
    let state = RunState::of(&world.journal).unwrap();
    world.engine = crate::runbook::engine::Engine::new(state, world.seat, world.boot_id.clone(), world.nonce);
    world.open.clear();
    world.asked = None;
    world.put(Input::Begin);
    world.put(Input::Data { live: true, why: String::new() });
    world.settle();
}

fn fences(world: &World) -> usize {
    world.journal.iter().filter(|e| matches!(Event::of(e), Ok(Event::ActionIntent { fence: true, .. }))).count()
}

#[test]
fn whoever_takes_the_seat_from_a_live_driver_fences_it_off_before_the_first_act() {
    let mut world = shifted(25);
    taken_over(&mut world);
    assert_eq!(fences(&world), 0, "taking the seat alone writes nothing");
    world.back_out();
    world.confirm();
    world.run_for(secs(5));
    assert_eq!((world.route.canary, fences(&world)), (0, 1), "{:?} {:?}", world.kinds(), world.said);
    assert_eq!(world.engine.state().phase, Phase::RolledBack);
    let fence = world.journal.iter().position(|e| e.body.get("fence") == Some(&true.into())).unwrap();
    let act = world.journal.iter().rposition(|e| e.kind == "action.intent").unwrap();
    assert!(fence < act, "the fence comes first");
    world.watch.assert_whole();
}

#[test]
fn a_fence_that_somebody_gets_ahead_of_is_tried_again_on_the_way_back() {
    let mut world = shifted(25);
    taken_over(&mut world);
    world.back_out();
    world.confirm_now();
    let mut moved = false;
    for _ in 0..200 {
        let Some(request) = world.open.pop_front() else {
            world.pass(secs(1));
            world.put(Input::Due);
            continue;
        };
        if let Output::Send { ticket, write, .. } = &request
            && write.is_fence()
            && !std::mem::replace(&mut moved, true)
        {
            let result = Err(Failure::Refused { code: 422, reason: Refusal::Conflict, why: "test failed".into() });
            world.put(Input::Sent { ticket: *ticket, result });
            continue;
        }
        world.answer(request);
    }
    assert_eq!((moved, world.route.canary, fences(&world)), (true, 0, 2), "{:?} {:?}", world.kinds(), world.said);
    world.watch.assert_whole();
}

#[test]
fn one_fence_is_enough_for_all_acts_of_a_new_driver() {
    let mut world = begun(&stairs());
    world.propose();
    world.confirm();
    taken_over(&mut world);
    world.propose();
    world.confirm();
    assert_eq!((world.route.canary, fences(&world)), (50, 1), "{:?} {:?}", world.kinds(), world.said);
    world.back_out();
    world.confirm();
    assert_eq!((world.route.canary, fences(&world)), (0, 1));
    world.watch.assert_whole();
}

#[test]
fn a_step_that_asks_for_nothing_still_asks_before_it_acts() {
    let mut step = shift("to-25", 25);
    step.confirm = Confirm::None;
    let mut world = begun(&book(vec![step], vec![], vec![]));
    world.propose();
    assert_eq!((world.route.canary, world.asked.clone().unwrap().must_type().as_deref()), (0, Some("y")));
    world.confirm();
    assert_eq!(world.route.canary, 25);
}
