//! Acts: nothing is sent twice, unconfirmed, on old data, or by a key alone.

use super::world::*;
use crate::app::key::{Key, KeyCode};
use crate::app::model::{Mode, Seat};
use crate::app::prompt::Ask;
use crate::app::{Effect, Msg, Request, ScriptEnd};
use crate::domain::*;
use crate::runbook::io::Input;
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, Phase};

fn asks_back_out(flow: &Flow) -> bool {
    flow.model.prompt.as_ref().is_some_and(|p| p.ask == Ask::BackOut)
}

#[test]
fn from_the_checklist_to_the_end() {
    let mut flow = Flow::ready();
    assert_eq!((flow.step().as_str(), flow.model.verdict.verdict), ("shift-25", Verdict::Go), "{:?}", flow.model.verdict);
    flow.promote("25");
    assert_eq!(flow.acts(), [25]);
    flow.pass(300);
    assert_eq!(flow.step(), "shift-100", "{:?}", flow.model.verdict);
    assert_eq!(flow.blocked(), "");
    flow.promote("100");
    flow.pass(10);
    assert_eq!((flow.acts(), flow.phase()), (vec![25, 100], Phase::Completed));
    assert_eq!(flow.all.iter().filter(|e| **e == Effect::Leave).count(), 1, "the seat of a finished run is given up, once");
}

#[test]
fn what_is_typed_before_the_plan_is_there_does_not_confirm_it() {
    let mut flow = Flow::ready();
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::char('P')));
    let held_back: Vec<Effect> = flow.open.drain(..).collect();
    assert!(matches!(held_back[..], [Effect::Plan { .. }]));
    flow.wait(800);
    flow.type_in("25");
    flow.open.extend(held_back);
    flow.settle();
    flow.press(KeyCode::Enter);
    flow.pass(3);
    assert_eq!(flow.sends(), 0);
    flow.type_in("25");
    flow.press(KeyCode::Enter);
    flow.pass(3);
    assert_eq!(flow.acts(), [25]);
}

#[test]
fn wrong_numbers_bursts_pastes_and_guard_time_confirm_nothing() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.type_in("25");
    flow.press(KeyCode::Enter);
    assert_eq!(flow.sends(), 0, "within the guard time");
    flow.wait(800);
    flow.type_in("52");
    flow.press(KeyCode::Enter);
    assert_eq!(flow.sends(), 0, "another number");
    flow.send(Msg::Paste("25".into()));
    flow.press(KeyCode::Enter);
    for key in [Key::char('2'), Key::char('5'), Key::plain(KeyCode::Enter)] {
        flow.at = flow.at.later(ms(2));
        flow.send(Msg::Key(key));
    }
    flow.pass(3);
    assert_eq!(flow.sends(), 0, "pasted");
    assert!(flow.model.prompt.is_some());
}

#[test]
fn a_plan_that_cannot_be_made_is_told_in_the_prompt_and_sends_nothing() {
    let mut flow = Flow::ready();
    flow.platform_lives = false;
    flow.key('P');
    let error = flow.model.prompt.as_ref().unwrap().error.clone().unwrap();
    assert!(error.starts_with("cannot be planned, by hand: gonogo print-undo; "), "{error}");
    flow.wait(800);
    flow.type_in("25");
    flow.press(KeyCode::Enter);
    assert_eq!(flow.sends(), 0);
    flow.press(KeyCode::Esc);
    flow.platform_lives = true;
    flow.promote("25");
    assert_eq!(flow.acts(), [25], "a failed plan does not stand in the way of the next one");
}

#[test]
fn a_weight_that_moves_while_the_prompt_is_open_closes_it_and_says_so() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.foreign_change(40);
    flow.told_route();
    flow.settle();
    assert!(flow.model.prompt.is_none());
    assert!(flow.said("weight was 0%, is now 40% (changed by kubectl"), "{:?}", flow.model.messages);
    flow.wait(800);
    flow.type_in("25");
    flow.press(KeyCode::Enter);
    flow.pass(3);
    assert_eq!(flow.sends(), 0);
}

#[test]
fn closing_a_prompt_by_itself_leaves_the_engine_able_to_go_on() {
    // What the closing asks for (the record that the plan is void) must not be lost: the engine waits for it for ever.
    let mut flow = Flow::ready();
    flow.key('P');
    assert!(flow.model.prompt.as_ref().unwrap().proposal.is_some());
    flow.frozen = Some(flow.at.wall);
    flow.pass(60);
    assert!(flow.model.prompt.is_none() && flow.said("prompt closed"));
    assert_eq!(flow.count("action.replanned"), 1);
    flow.frozen = None;
    flow.pass(60);
    // The guard could not see either: that holds until a person releases it.
    flow.key('U');
    flow.wait(400);
    flow.key('y');
    flow.pass(2);
    flow.promote("25");
    assert_eq!(flow.acts(), [25], "{:?}", flow.model.messages);
}

#[test]
fn a_change_between_plan_and_confirmation_that_nobody_told_is_found_by_reading_again() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.foreign_change(10);
    flow.wait(800);
    flow.type_in("25");
    flow.press(KeyCode::Enter);
    flow.pass(2);
    assert_eq!(flow.sends(), 0);
    assert!(flow.said("weight was 0%, is now 10% (changed by kubectl"), "{:?}", flow.model.messages);
}

#[test]
fn a_refused_write_is_no_act_on_screen() {
    let mut flow = Flow::ready();
    flow.reply = Reply::Conflict;
    flow.promote("25");
    assert_eq!((flow.sends(), flow.acts().len()), (1, 0));
    assert!(flow.model.act.is_none() && flow.said("it changed under you"), "{:?}", flow.model.messages);
}

#[test]
fn a_lost_reply_is_unknown_then_what_the_platform_says_and_is_sent_once() {
    let mut flow = Flow::ready();
    flow.reply = Reply::Lost;
    flow.key('P');
    flow.wait(800);
    flow.type_in("25");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    let mut was_unknown = false;
    while let Some(effect) = flow.open.pop_front() {
        flow.answer(effect);
        was_unknown |= flow.model.act.as_ref().is_some_and(|a| a.unknown.is_some());
    }
    flow.pass(5);
    assert!(was_unknown);
    let act = flow.model.act.clone().unwrap();
    assert_eq!((act.unknown, act.accepted.is_some()), (None, true), "reading told what became of it");
    assert_eq!((flow.sends(), flow.acts()), (1, vec![25]));
}

#[test]
fn an_answer_that_never_comes_is_unknown_on_screen_too() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.wait(800);
    flow.type_in("25");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    while let Some(effect) = flow.open.pop_front() {
        if !matches!(effect, Effect::Send { .. }) {
            flow.answer(effect);
        }
    }
    for _ in 0..16 {
        flow.at = flow.at.later(secs(1));
        flow.send(Msg::Platform(vec![PlatformUpdate::Alive { at: flow.at.wall, skew: None }]));
    }
    let act = flow.model.act.clone().unwrap();
    assert!(act.unknown.is_some() || flow.count("action.outcome") == 0, "{act:?}");
    flow.pass(5);
    assert!(flow.model.act.clone().unwrap().unknown.is_some(), "{:?}", flow.state().operation);
    assert_eq!(flow.sends(), 1);
}

#[test]
fn traffic_that_does_not_follow_is_said_once_after_the_settle_time() {
    let mut flow = Flow::ready();
    flow.follows = false;
    flow.promote("25");
    flow.pass(80);
    assert!(!flow.said("NOT OBSERVED"), "too early");
    flow.pass(60);
    let times = flow.model.messages.iter().filter(|m| m.text.contains("NOT OBSERVED")).count();
    assert_eq!((times, flow.count("traffic.observed")), (1, 1));
    assert!(flow.model.act.as_ref().unwrap().not_observed);
    assert!(!flow.model.verdict.verdict.permits_go());
}

#[test]
fn traffic_that_follows_is_seen_with_its_share() {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.pass(60);
    let (share, _) = flow.model.act.clone().unwrap().seen.unwrap();
    assert!(share.starts_with("25.0% of"), "{share}");
}

#[test]
fn back_out_by_the_driver_from_every_phase() {
    for prepare in [Flow::started, Flow::ready, Flow::baking] {
        let mut flow = prepare();
        flow.key('A');
        flow.back_out();
        assert_eq!(flow.phase(), Phase::RolledBack, "{:?}", flow.model.messages);
        assert_eq!(flow.route.canary, 0);
    }
    let mut held = Flow::baking();
    held.key('H');
    held.back_out();
    assert_eq!((held.phase(), held.acts()), (Phase::RolledBack, vec![25, 0]));
}

#[test]
fn back_out_works_with_stale_data_and_in_observe() {
    let mut flow = Flow::baking();
    flow.frozen = Some(flow.at.wall);
    flow.metrics_fail = true;
    flow.pass(120);
    flow.key('A');
    assert_eq!((flow.model.mode, flow.model.verdict.verdict), (Mode::Observe, Verdict::Unknown));
    flow.back_out();
    assert_eq!((flow.phase(), flow.acts()), (Phase::RolledBack, vec![25, 0]));
    assert_eq!(flow.model.mode, Mode::Observe, "armed for one act only");
}

#[test]
fn looking_at_the_back_out_takes_no_seat_and_starts_no_run() {
    for attended in [true, false] {
        let mut flow = Flow::following(attended, |_| {});
        flow.press(KeyCode::Esc);
        let epoch = flow.seat;
        flow.key('B');
        assert!(asks_back_out(&flow) && flow.model.prompt.as_ref().unwrap().proposal.is_some());
        flow.wait(800);
        flow.press(KeyCode::Esc);
        flow.pass(3);
        assert_eq!((flow.seat, flow.sends()), (epoch, 0), "the driver keeps the seat when nothing was confirmed");
    }
    let mut idle = Flow::new(Protection::Protected, |_| {});
    idle.key('B');
    idle.wait(800);
    idle.press(KeyCode::Esc);
    idle.pass(3);
    assert!(idle.model.run.is_none() && idle.journal.is_empty());
}

#[test]
fn back_out_of_somebody_elses_run_takes_the_seat_fences_and_acts_once() {
    let mut flow = Flow::following(true, |o| o.operator = "ada".into());
    flow.back_out();
    assert_eq!((flow.acts(), flow.route.canary), (vec![-1, 0], 0), "{:?}", flow.model.messages);
    assert_eq!((flow.phase(), flow.count("action.confirmed")), (Phase::RolledBack, 2));
}

#[test]
fn back_out_of_an_unattended_run_and_of_a_service_without_a_run() {
    let mut flow = Flow::following(false, |_| {});
    flow.press(KeyCode::Esc);
    flow.back_out();
    assert_eq!((flow.acts(), flow.phase()), (vec![0], Phase::RolledBack), "{:?}", flow.model.messages);
    let mut idle = Flow::new(Protection::Protected, |_| {});
    idle.foreign_change(30);
    idle.told_route();
    idle.settle();
    idle.back_out();
    assert_eq!((idle.acts(), idle.phase()), (vec![0], Phase::RolledBack), "{:?}", idle.model.messages);
}

#[test]
fn a_world_that_moves_while_the_seat_is_taken_is_shown_again_and_not_acted_on() {
    let mut flow = Flow::following(true, |_| {});
    flow.key('B');
    flow.wait(800);
    flow.type_in("0");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    flow.foreign_change(60);
    flow.pass(3);
    assert_eq!(flow.acts(), Vec::<i32>::new());
    let prompt = flow.model.prompt.clone().expect("asked again");
    assert!(prompt.error.unwrap().contains("new plan"));
    flow.wait(800);
    flow.type_in("0");
    flow.press(KeyCode::Enter);
    flow.pass(5);
    assert_eq!(flow.route.canary, 0);
}

#[test]
fn pressing_the_back_out_twice_takes_the_seat_once() {
    let mut flow = Flow::following(true, |_| {});
    flow.key('B');
    flow.wait(800);
    flow.type_in("0");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    let later: Vec<Effect> = flow.open.drain(..).collect();
    flow.key('B');
    flow.open.extend(later);
    flow.pass(5);
    assert_eq!(flow.all.iter().filter(|e| matches!(e, Effect::TakeSeat { .. })).count(), 1);
    assert_eq!((flow.acts(), flow.phase()), (vec![-1, 0], Phase::RolledBack));
}

#[test]
fn a_driver_whose_seat_was_taken_follows_and_can_still_back_out() {
    let mut flow = Flow::baking();
    flow.seat = flow.seat.next();
    let taken = Event::LeaseAcquired { epoch: flow.seat, taken_from: Some("maria@host 1".into()) };
    let entries = flow.write_entries(vec![taken.draft(), Event::RunResumed { epoch: flow.seat }.draft()], "ada");
    flow.send(Msg::EntriesAppended { entries, attended: true });
    flow.pass(2);
    assert_eq!(flow.model.run.as_ref().unwrap().seat, Seat::Following);
    assert!(flow.blocked().contains("ada drives: T takes the seat"), "{}", flow.blocked());
    flow.back_out();
    assert_eq!((flow.acts(), flow.phase()), (vec![25, -1, 0], Phase::RolledBack), "{:?}", flow.model.messages);
}

#[test]
fn a_back_out_under_way_is_not_called_cancelled() {
    let mut flow = Flow::baking();
    flow.key('B');
    flow.wait(800);
    flow.type_in("0");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    let later: Vec<Effect> = flow.open.drain(..).collect();
    flow.key('B');
    flow.wait(800);
    flow.press(KeyCode::Esc);
    assert!(!flow.said("cancelled: nothing was sent"), "{:?}", flow.model.messages);
    flow.open.extend(later);
    flow.pass(5);
    assert_eq!((flow.acts(), flow.phase()), (vec![25, 0], Phase::RolledBack));
}

#[test]
fn without_the_platform_the_back_out_says_what_to_do_by_hand() {
    let mut flow = Flow::following(true, |_| {});
    flow.platform_lives = false;
    flow.key('B');
    let error = flow.model.prompt.as_ref().unwrap().error.clone().unwrap();
    assert!(error.contains("print-undo"), "{error}");
    assert_eq!(flow.all.iter().filter(|e| matches!(e, Effect::TakeSeat { .. })).count(), 0);
}

#[test]
fn nobody_backs_out_without_credentials() {
    for change in [|o: &mut crate::app::Options| o.spectator = true, |o: &mut crate::app::Options| o.read_only = true] {
        let mut flow = Flow::following(true, change);
        flow.key('B');
        assert!(matches!(&flow.model.prompt.as_ref().unwrap().ask, Ask::Blocked { reasons, .. } if reasons.len() == 2));
        flow.wait(800);
        flow.type_in("0");
        flow.press(KeyCode::Enter);
        flow.pass(3);
        assert_eq!(flow.sends(), 0);
        assert!(!flow.all.iter().any(|e| matches!(e, Effect::TakeSeat { .. })));
    }
}

#[test]
fn a_reply_with_a_stale_ticket_changes_nothing_on_screen() {
    let mut flow = Flow::baking();
    let act = flow.model.act.clone();
    flow.send(Msg::Sent { ticket: Ticket(987_654), result: Err(Failure::NotSent { why: "stale".into() }) });
    assert_eq!(flow.model.act, act);
    let mut old = flow.route.clone();
    old.canary = 77;
    old.baseline = 23;
    let old = old.subject(&Action::SetWeight { canary: Percent::new(77).unwrap() });
    flow.send(Msg::SubjectRead { ticket: Ticket(987_654), result: Ok(Box::new(old)) });
    assert_eq!(flow.model.configured(), Some(25.0));
}

#[test]
fn a_read_that_is_older_than_what_the_watch_told_is_not_shown() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.wait(800);
    flow.type_in("25");
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::plain(KeyCode::Enter)));
    let mut read = None;
    while let Some(effect) = flow.open.pop_front() {
        match effect {
            Effect::Read { ticket, .. } => read = Some(ticket),
            other => flow.answer(other),
        }
    }
    let old = flow.route.subject(&Action::SetWeight { canary: Percent::new(25).unwrap() });
    flow.foreign_change(33);
    flow.told_route();
    flow.send(Msg::SubjectRead { ticket: read.unwrap(), result: Ok(Box::new(old)) });
    assert_eq!(flow.model.configured(), Some(33.0), "the watch is ahead of this read");
}

#[test]
fn scripts_end_with_the_right_word() {
    let promote = |to: u32, confirm: &str| Msg::Requested(Request::Promote { to: Percent::new(to).unwrap(), confirm: confirm.into() });
    let end = |mut flow: Flow, msg: Msg| {
        flow.send(msg);
        flow.pass(10);
        let acts = flow.acts();
        (flow.model.script_end().cloned(), acts)
    };
    assert!(matches!(end(Flow::ready(), promote(25, "25")), (Some(ScriptEnd::Done(_)), acts) if acts == [25]));
    assert!(matches!(end(Flow::ready(), promote(25, "52")), (Some(ScriptEnd::Refused(_)), acts) if acts.is_empty()));
    assert!(matches!(end(Flow::ready(), promote(50, "50")), (Some(ScriptEnd::Refused(_)), acts) if acts.is_empty()));
    assert!(matches!(end(Flow::started(), promote(25, "25")), (Some(ScriptEnd::Refused(_)), acts) if acts.is_empty()));
    let mut conflict = Flow::ready();
    conflict.reply = Reply::Conflict;
    let (how, _) = end(conflict, promote(25, "25"));
    assert!(matches!(how, Some(ScriptEnd::Moved(_))), "{how:?}");
    let back = Msg::Requested(Request::BackOut { confirm: "0".into() });
    let (how, acts) = end(Flow::following(true, |o| o.operator = "ada".into()), back.clone());
    assert!(matches!(how, Some(ScriptEnd::Done(_))), "{how:?}");
    assert_eq!(acts, [-1, 0]);
    let wrong = Msg::Requested(Request::BackOut { confirm: "1".into() });
    assert!(matches!(end(Flow::baking(), wrong), (Some(ScriptEnd::Refused(_)), acts) if acts == [25]));
    let hold = Msg::Requested(Request::Hold { reason: "look".into() });
    let (how, _) = end(Flow::following(true, |_| {}), hold.clone());
    assert_eq!(how, Some(ScriptEnd::Done("written".into())));
    assert!(matches!(end(Flow::new(Protection::Protected, |_| {}), hold), (Some(ScriptEnd::Refused(_)), _)));
}

#[test]
fn a_script_is_not_refused_by_what_is_merely_said() {
    // A guard that turns bad, an act that has to be found out about first: both are said, neither ends a back-out.
    let mut flow = Flow::following(true, |o| o.operator = "ada".into());
    flow.errors = 0.5;
    flow.pass(20);
    flow.send(Msg::Requested(Request::BackOut { confirm: "0".into() }));
    flow.pass(10);
    assert!(matches!(flow.model.script_end(), Some(ScriptEnd::Done(_))), "{:?} {:?}", flow.model.script_end(), flow.model.messages);
    assert_eq!(flow.route.canary, 0);
}

#[test]
fn a_script_between_whose_plan_and_write_the_world_moved_says_so() {
    let mut flow = Flow::ready();
    flow.send(Msg::Requested(Request::Promote { to: Percent::new(25).unwrap(), confirm: "25".into() }));
    while let Some(effect) = flow.open.pop_front() {
        let planned = matches!(effect, Effect::Plan { .. });
        flow.answer(effect);
        if planned {
            flow.foreign_change(10);
        }
    }
    flow.pass(3);
    assert!(matches!(flow.model.script_end(), Some(ScriptEnd::Moved(_))), "{:?}", flow.model.script_end());
    assert_eq!(flow.sends(), 0);
}

#[test]
fn a_full_disk_lets_nothing_out() {
    let mut flow = Flow::ready();
    flow.full_disk = true;
    flow.promote("25");
    flow.pass(30);
    assert_eq!(flow.sends(), 0);
    assert!(flow.said("no space left on device"));
    flow.full_disk = false;
    flow.press(KeyCode::Esc);
    flow.pass(30);
    flow.promote("25");
    assert_eq!(flow.acts(), [25], "{:?} {:?}", flow.model.messages, flow.blocked());
}

#[test]
fn stages_and_tickets_of_an_engine_are_not_shared_with_the_core() {
    let mut flow = Flow::baking();
    flow.send(Msg::Decided(crate::runbook::io::Command::Note { text: "x".into() }));
    flow.pass(1);
    assert_eq!(flow.count("note"), 1);
    assert!(matches!(flow.state().operation.as_ref().unwrap().stage, OpStage::Verified));
    let _ = Input::Due;
}
