//! Acts outside a runbook: from the menu to the run of one step, and what is left of it when nobody goes on.

use super::world::*;
use crate::app::Msg;
use crate::app::key::KeyCode;
use crate::app::prompt::Ask;
use crate::domain::{Action, Protection, Track};
use crate::runbook::StepKind;
use crate::runbook::state::Phase;

fn asked(flow: &Flow) -> Option<&Ask> {
    flow.model.prompt.as_ref().map(|prompt| &prompt.ask)
}

fn step(flow: &Flow) -> Action {
    match &flow.state().runbook.steps[0].kind {
        StepKind::Do(action) => action.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_chosen_becomes_a_run_of_one_step_whose_prompt_opens() {
    let mut flow = Flow::new(Protection::Private, |_| {});
    flow.key('V');
    flow.wait(400);
    flow.key('t');
    flow.settle();
    flow.pass(1);
    assert_eq!(step(&flow), Action::Restart { track: Track::Canary, at: None });
    assert!(matches!(asked(&flow), Some(Ask::Promote | Ask::Blocked { .. })), "{:?}", asked(&flow));
    assert_eq!(flow.sends(), 0, "nothing is sent by choosing");
    flow.key('V');
    assert!(!matches!(asked(&flow), Some(Ask::Verbs { .. })), "one thing at a time");
}

#[test]
fn a_size_is_asked_for_and_what_is_none_is_asked_for_again() {
    let mut flow = Flow::new(Protection::Private, |_| {});
    flow.key('V');
    flow.wait(400);
    flow.key('s');
    for (text, taken) in [("many", false), ("5", true)] {
        flow.wait(400);
        flow.send(Msg::TextChanged(text.into()));
        flow.press(KeyCode::Enter);
        assert_eq!(!matches!(asked(&flow), Some(Ask::VerbValue { .. })), taken, "{text}");
    }
    flow.settle();
    assert_eq!(step(&flow), Action::Scale { track: Track::Canary, replicas: 5 });
}

#[test]
fn a_run_of_one_step_that_is_cancelled_is_over() {
    let mut flow = Flow::new(Protection::Private, |_| {});
    flow.key('V');
    flow.wait(400);
    flow.key('u');
    flow.settle();
    flow.pass(1);
    assert!(matches!(asked(&flow), Some(Ask::Promote)), "{:?} {}", asked(&flow), flow.blocked());
    flow.press(KeyCode::Esc);
    flow.settle();
    flow.pass(1);
    assert_eq!((flow.phase(), flow.sends()), (Phase::Aborted, 0));
}

#[test]
fn a_runbook_under_way_says_what_is_done_next() {
    let mut flow = Flow::ready();
    flow.key('V');
    assert!(matches!(asked(&flow), Some(Ask::Blocked { reasons, .. }) if reasons[0].contains("is under way")), "{:?}", asked(&flow));
}
