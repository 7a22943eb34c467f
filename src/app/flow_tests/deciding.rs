//! What blocks, what asks, what holds.

use super::world::*;
use crate::app::key::{Key, KeyCode};
use crate::app::model::{Mode, Seat};
use crate::app::prompt::Ask;
use crate::app::{Effect, Msg, deadlines};
use crate::domain::*;
use crate::runbook::record::Event;
use crate::runbook::state::Question;

fn blocks(flow: &mut Flow) -> String {
    flow.key('P');
    match flow.model.prompt.take().map(|p| p.ask) {
        Some(Ask::Blocked { reasons, .. }) => reasons.join("; "),
        other => format!("not blocked: {other:?}"),
    }
}

#[test]
fn going_on_is_off_and_says_why() {
    let mut observe = Flow::ready();
    observe.key('A');
    assert_eq!(blocks(&mut observe), "OBSERVE: A arms this cockpit");
    assert!(blocks(&mut Flow::following(true, |o| o.spectator = true)).starts_with("SPECTATOR holds no write credentials"));
    assert!(blocks(&mut Flow::following(true, |o| o.read_only = true)).starts_with("this cockpit is read-only"));
    assert!(blocks(&mut Flow::following(true, |_| {})).contains("maria drives: T takes the seat"));
    let mut nobody = Flow::following(false, |_| {});
    nobody.press(KeyCode::Esc);
    assert!(blocks(&mut nobody).contains("nobody drives: T takes the seat"));
    assert!(blocks(&mut Flow::baking()).contains("bake "));
    assert!(blocks(&mut Flow::started()).contains("2 items of the checklist are open: 6, then D"));
    assert!(blocks(&mut Flow::new(Protection::Private, |_| {})).contains("no run"));
    let mut held = Flow::ready();
    held.key('H');
    held.pass(1);
    assert!(blocks(&mut held).contains("held: maria pressed H"));
    let mut stale = Flow::ready();
    stale.frozen = Some(stale.at.wall);
    stale.pass(60);
    assert!(blocks(&mut stale).contains("prom STALE"), "{}", stale.blocked());
    let mut drifted = Flow::baking();
    drifted.pass(150);
    assert_eq!(drifted.blocked(), "");
    drifted.foreign_change(60);
    drifted.told_route();
    drifted.settle();
    assert!(blocks(&mut drifted).contains("want 25% but set to 60%"));
}

#[test]
fn a_bad_guard_is_no_go_and_holds_the_run() {
    let mut flow = Flow::baking();
    flow.errors = 0.2;
    flow.pass(60);
    assert_eq!(flow.model.verdict.verdict, Verdict::NoGo);
    assert!(flow.state().hold.as_ref().is_some_and(|h| h.guard.as_deref() == Some("errors")));
    assert!(flow.model.incident.as_ref().unwrap().state.starts_with("HELD at 25% by guard errors"));
    flow.key('U');
    flow.wait(400);
    flow.key('y');
    flow.pass(1);
    assert!(flow.state().hold.is_some(), "a bad guard's hold is not released");
    flow.errors = 0.001;
    flow.pass(40);
    flow.key('U');
    flow.wait(400);
    flow.key('y');
    flow.pass(2);
    assert!(flow.state().hold.is_none(), "{:?}", flow.model.messages);
    assert!(flow.model.incident.is_none());
    flow.key('H');
    flow.pass(1);
    assert!(flow.state().hold.is_some() && flow.model.incident.is_none(), "a person's hold is no incident of a guard that is good again");
}

#[test]
fn a_guard_that_is_not_watched_yet_has_no_say() {
    let mut flow = Flow::started();
    flow.errors = 0.2;
    flow.pass(60);
    let says = |flow: &Flow| flow.model.verdict.reasons.iter().any(|r| r.text.starts_with("error rate"));
    assert!(!says(&flow), "{:?}", flow.model.verdict);
    let mut watched = Flow::baking();
    watched.errors = 0.2;
    watched.pass(20);
    assert!(says(&watched), "{:?}", watched.model.verdict);
}

#[test]
fn hold_takes_thirty_milliseconds_and_no_question() {
    let mut flow = Flow::baking();
    flow.at = flow.at.later(ms(100));
    flow.send(Msg::Key(Key::char('H')));
    assert_eq!(deadlines(&flow.model).mono, Some(flow.at.mono + ms(30)));
    assert!(flow.state().hold.is_none());
    flow.at = flow.at.later(ms(30));
    flow.send(Msg::Tick);
    flow.settle();
    assert!(flow.state().hold.is_some());
}

#[test]
fn a_hold_inside_a_paste_does_not_count() {
    let mut flow = Flow::baking();
    flow.wait(500);
    for c in "Hxy".chars() {
        flow.at = flow.at.later(ms(3));
        flow.send(Msg::Key(Key::char(c)));
    }
    flow.pass(2);
    assert!(flow.state().hold.is_none() && flow.said("too fast to be typed"));
}

#[test]
fn anybody_may_hold_but_a_spectator() {
    let mut follower = Flow::following(true, |o| o.operator = "ada".into());
    follower.key('H');
    follower.pass(1);
    assert!(follower.state().hold.as_ref().is_some_and(|h| h.reason == "ada pressed H"));
    let mut spectator = Flow::following(true, |o| o.spectator = true);
    spectator.key('H');
    spectator.pass(1);
    assert!(spectator.state().hold.is_none() && spectator.said("SPECTATOR cannot hold"));
    let mut idle = Flow::new(Protection::Protected, |_| {});
    idle.key('H');
    assert!(idle.said("no run to hold"));
}

#[test]
fn an_entry_of_a_follower_that_comes_second_is_written_after_the_first() {
    for attended in [true, false] {
        let mut flow = Flow::following(attended, |o| o.operator = "ada".into());
        flow.press(KeyCode::Esc);
        let seat = flow.model.run.as_ref().unwrap().seat;
        flow.write_entries(vec![Event::Note { text: "first".into() }.draft()], "maria");
        flow.key('H');
        flow.pass(1);
        assert!(flow.state().hold.is_some());
        assert_eq!(flow.model.run.as_ref().unwrap().seat, seat, "being overtaken says nothing about who drives");
    }
}

#[test]
fn arming_ends_by_itself_and_is_recorded() {
    let mut flow = Flow::ready();
    let armed = flow.count("mode.changed");
    flow.pass(14 * 60);
    assert!(matches!(flow.model.mode, Mode::Armed { .. }));
    flow.pass(2 * 60);
    assert_eq!((flow.model.mode, flow.count("mode.changed")), (Mode::Observe, armed + 1));
    let mut busy = Flow::ready();
    for _ in 0..59 {
        busy.pass(60);
        busy.key('z');
    }
    assert!(matches!(busy.model.mode, Mode::Armed { .. }), "keys keep it armed");
    busy.pass(120);
    assert_eq!(busy.model.mode, Mode::Observe, "but for an hour at most");
}

#[test]
fn a_key_after_a_long_stop_finds_the_cockpit_disarmed_and_the_evidence_gone() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.wait(800);
    flow.type_in("25");
    flow.wait(20 * 60 * 1000);
    flow.press(KeyCode::Enter);
    flow.pass(2);
    assert_eq!((flow.sends(), flow.model.mode), (0, Mode::Observe));
    assert!(flow.model.prompt.is_none());
}

#[test]
fn where_nothing_is_protected_arming_stays_and_nothing_spins() {
    let mut flow = Flow::new(Protection::Private, |_| {});
    flow.pass(20 * 60);
    assert!(matches!(flow.model.mode, Mode::Armed { .. }));
    // Protected stays protected, whatever the options say.
    assert_eq!(Flow::new(Protection::Protected, |o| o.starts_armed = true).model.mode, Mode::Observe);
}

#[test]
fn a_cockpit_that_continues_a_run_is_not_armed() {
    let mut flow = Flow::following(false, |_| {});
    flow.wait(400);
    flow.key('y');
    flow.pass(2);
    assert_eq!((flow.model.run.as_ref().unwrap().seat, flow.model.mode), (Seat::Driving, Mode::Observe));
}

#[test]
fn an_unattended_run_is_offered_once_to_whoever_can() {
    let mut flow = Flow::following(false, |_| {});
    assert!(matches!(flow.model.prompt.as_ref().unwrap().ask, Ask::Resume { .. }));
    flow.press(KeyCode::Esc);
    let entries = flow.journal.clone();
    flow.send(Msg::RunFollowed { entries, attended: false });
    assert!(flow.model.prompt.is_none(), "once");
    for change in [|o: &mut crate::app::Options| o.spectator = true, |o: &mut crate::app::Options| o.read_only = true] {
        assert!(Flow::following(false, change).model.prompt.is_none());
    }
    assert!(Flow::following(true, |_| {}).model.prompt.is_none());
}

#[test]
fn a_driver_that_disappears_is_said() {
    let mut flow = Flow::following(true, |_| {});
    flow.send(Msg::EntriesAppended { entries: vec![], attended: false });
    assert!(flow.said("nobody drives") && flow.model.run.as_ref().unwrap().seat == Seat::Unattended);
    flow.send(Msg::EntriesAppended { entries: vec![], attended: false });
    assert_eq!(flow.model.messages.iter().filter(|m| m.text.contains("nobody drives")).count(), 1);
}

#[test]
fn a_seat_that_somebody_took_in_the_meantime_is_not_taken_from_them() {
    let mut flow = Flow::following(false, |_| {});
    flow.wait(400);
    flow.send(Msg::EntriesAppended { entries: vec![], attended: true });
    assert!(flow.model.prompt.is_none(), "the prompt was about a run that nobody drove");
    flow.key('y');
    assert!(!flow.all.iter().any(|e| matches!(e, Effect::TakeSeat { .. })));
}

#[test]
fn answers_of_a_checklist_are_checked_wherever_they_come_from() {
    let mut flow = Flow::started();
    flow.key('D');
    flow.wait(400);
    flow.press(KeyCode::Enter);
    assert_eq!(flow.model.prompt.as_ref().unwrap().error.as_deref(), Some("nothing was typed"));
    flow.send(Msg::TextChanged("done".into()));
    flow.press(KeyCode::Enter);
    flow.key('D');
    flow.wait(400);
    flow.send(Msg::TextChanged("many".into()));
    flow.press(KeyCode::Enter);
    assert!(flow.said("answer with a number") && flow.count("item.answered") == 1);
    // The same from somebody who looks on.
    let mut other = Flow::new(Protection::Protected, |o| o.operator = "ada".into());
    (other.at, other.journal, other.seat) = (flow.at, flow.journal.clone(), flow.seat);
    other.send(Msg::RunFollowed { entries: flow.journal.clone(), attended: true });
    other.settle();
    for (text, answered) in [("many", 1), ("3", 2)] {
        other.key('D');
        other.wait(400);
        other.send(Msg::TextChanged(text.into()));
        other.press(KeyCode::Enter);
        other.pass(1);
        assert_eq!(other.count("item.answered"), answered, "{text}");
    }
}

fn failed() -> Flow {
    let mut flow = Flow::ready();
    flow.promote("25");
    flow.canary_ready(2);
    flow.pass(310);
    assert!(matches!(flow.state().question(), Some(Question::Failed { .. })), "{:?}", flow.model.verdict);
    flow
}

#[test]
fn a_failed_step_is_decided_by_its_driver() {
    let mut retry = failed();
    assert!(retry.blocked().contains("a decision is open: D"));
    retry.key('D');
    retry.wait(400);
    retry.key('r');
    retry.pass(1);
    assert_eq!((retry.step().as_str(), retry.state().question()), ("look-25", None));
    let mut skip = failed();
    skip.key('D');
    skip.wait(400);
    skip.key('s');
    skip.wait(400);
    skip.send(Msg::TextChanged("known".into()));
    skip.press(KeyCode::Enter);
    skip.pass(1);
    assert_eq!(skip.step(), "bake-25");
    let mut abort = failed();
    abort.key('D');
    abort.wait(400);
    abort.key('x');
    abort.wait(400);
    abort.send(Msg::TextChanged("enough".into()));
    abort.press(KeyCode::Enter);
    abort.pass(1);
    assert_eq!(abort.phase(), crate::runbook::state::Phase::Aborted);
    let mut back = failed();
    back.key('A');
    back.key('D');
    back.wait(400);
    back.key('r');
    back.pass(1);
    assert!(matches!(back.state().question(), Some(Question::Failed { .. })), "going on needs an armed cockpit");
    back.key('b');
    back.wait(800);
    back.type_in("0");
    back.press(KeyCode::Enter);
    back.pass(5);
    assert_eq!(back.acts(), [25, 0]);
}

#[test]
fn whoever_looks_on_decides_nothing_and_is_told_so() {
    let driver = failed();
    let mut flow = Flow::new(Protection::Protected, |_| {});
    (flow.at, flow.journal, flow.seat) = (driver.at, driver.journal.clone(), driver.seat);
    flow.send(Msg::RunFollowed { entries: driver.journal, attended: true });
    flow.settle();
    flow.key('D');
    let Some(Ask::Blocked { reasons, .. }) = flow.model.prompt.as_ref().map(|p| p.ask.clone()) else { panic!("{:?}", flow.model.prompt) };
    assert_eq!(reasons, ["only the driver decides: T takes the seat"]);
}

#[test]
fn a_decision_about_what_is_no_question_any_more_is_not_taken() {
    let mut flow = failed();
    flow.key('D');
    flow.canary_ready(4);
    let entered = Event::StepEntered { step: "look-25".into(), attempt: 2 };
    let entries = flow.write_entries(vec![entered.draft()], "maria");
    flow.send(Msg::EntriesAppended { entries, attended: true });
    assert!(flow.model.prompt.is_none() && flow.said("no question any more"), "{:?}", flow.model.messages);
}

#[test]
fn leaving_asks_a_driver_and_nobody_else() {
    let mut flow = Flow::baking();
    flow.key('q');
    assert_eq!(flow.model.prompt.as_ref().unwrap().ask, Ask::Quit);
    flow.wait(400);
    flow.at = flow.at.later(ms(100));
    let effects = flow.send(Msg::Key(Key::char('y')));
    assert!(matches!(effects[..], [Effect::Append { .. }, Effect::Leave, Effect::Quit { .. }]), "{effects:?}");
    flow.settle();
    assert_eq!(flow.count("lease.released"), 1);
    let mut idle = Flow::new(Protection::Protected, |_| {});
    assert!(matches!(idle.key('q')[..], [Effect::Quit { .. }]));
}

#[test]
fn two_ctrl_c_leave_at_once_and_one_leaves_no_plan_behind() {
    let mut flow = Flow::ready();
    flow.key('P');
    flow.code(Key::ctrl('c'));
    assert_eq!(flow.model.prompt.as_ref().unwrap().ask, Ask::Quit);
    assert_eq!(flow.count("action.replanned"), 1, "the plan that was shown is declined");
    let effects = flow.code(Key::ctrl('c'));
    assert!(effects.iter().any(|e| matches!(e, Effect::Quit { .. })));
    let mut slow = Flow::ready();
    slow.code(Key::ctrl('c'));
    slow.wait(3000);
    let effects = slow.code(Key::ctrl('c'));
    assert!(!effects.iter().any(|e| matches!(e, Effect::Quit { .. })), "three seconds later it asks again");
}

#[test]
fn notes_are_kept_by_drivers_and_followers() {
    for mut flow in
        [false, true].map(|follows| Box::new(if follows { Flow::following(true, |o| o.operator = "ada".into()) } else { Flow::baking() }))
    {
        flow.key('M');
        flow.wait(400);
        flow.send(Msg::TextChanged("pager is quiet".into()));
        flow.press(KeyCode::Enter);
        flow.pass(1);
        assert_eq!(flow.count("note"), 1);
    }
}

#[test]
fn it_rings_seldom() {
    let mut flow = Flow::baking();
    flow.all.clear();
    flow.errors = 0.2;
    flow.pass(25);
    let rings = flow.all.iter().filter(|e| **e == Effect::Bell).count();
    assert!(rings <= 2, "{rings}");
    flow.pass(600);
    let rings = flow.all.iter().filter(|e| **e == Effect::Bell).count();
    assert!((1..=4).contains(&rings), "a lasting trouble rings when it begins: {rings}");
}
