//! What an open prompt stands on. When that is gone the prompt closes itself and says what changed; nothing was sent.

use super::super::effect::Effect;
use super::super::model::{Mode, Model, Seat};
use super::super::prompt::Ask;
use super::run::feed;
use crate::domain::{Route, Stamp, StepId};
use crate::runbook::io::{Command, Input, Level};
use crate::runbook::state::Question;

/// How things stood when a prompt opened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    seat: Option<Seat>,
    /// Kind and subject of the question the run waited with.
    question: Option<(u8, String)>,
}

impl Ground {
    pub(super) fn of(model: &Model) -> Self {
        Self { seat: model.run.as_ref().map(|r| r.seat), question: question(model) }
    }
}

fn question(model: &Model) -> Option<(u8, String)> {
    Some(match model.run.as_ref()?.state.question()? {
        Question::Act { step, .. } => (0, step.0),
        Question::Gate { step } => (1, step.0),
        Question::Items { step, .. } => (2, step.0),
        Question::Failed { step, .. } => (3, step.0),
        Question::Unclear { op, .. } => (4, op.0),
        Question::Agree { step } => (5, step.0),
        Question::Preconditions { .. } => (6, String::new()),
    })
}

/// Closes a prompt whose ground is gone.
pub(super) fn keep(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(prompt) = &model.prompt else { return Vec::new() };
    let typed = prompt.is_typed();
    let Some(why) = lost(model) else { return Vec::new() };
    model.prompt = None;
    model.driver.ground = None;
    model.say(Level::Warning, &format!("prompt closed, nothing was sent by it: {why}"));
    if typed { feed(model, stamp, Input::Command(Command::Decline)) } else { Vec::new() }
}

fn lost(model: &Model) -> Option<String> {
    let prompt = model.prompt.as_ref()?;
    let then = model.driver.ground.as_ref()?;
    let now = Ground::of(model);
    let answered = || (then.question != now.question).then(|| "what it asked is no question any more".to_owned());
    match &prompt.ask {
        Ask::Promote => {
            let shown = prompt.proposal.as_ref().and_then(|p| p.plan.before.route.as_deref());
            shown.and_then(|shown| moved(shown, model.picture.route.as_ref())).or_else(|| blocked(model)).or_else(answered)
        }
        Ask::Gate { .. } => blocked(model).or_else(answered),
        Ask::Failed { .. } | Ask::Unclear { .. } | Ask::Reason { .. } => driver(model, then, &now).or_else(answered),
        Ask::Item { .. } | Ask::Recycle { .. } => answered(),
        Ask::Vote { gate, .. } | Ask::VoteRole { gate, .. } | Ask::VoteReason { gate, .. } | Ask::Withdraw { gate, .. } => {
            closed(model, gate)
        }
        Ask::GoCode { gate, code, .. } => closed(model, gate).or_else(|| other_plan(model, gate, code)),
        Ask::Unhold => {
            let held = model.run.as_ref().is_some_and(|r| r.state.hold.is_some());
            let observe = || (model.mode == Mode::Observe).then(|| "OBSERVE: A arms this cockpit".to_owned());
            driver(model, then, &now).or_else(observe).or_else(|| (!held).then(|| "nothing is held any more".to_owned()))
        }
        Ask::Resume { .. } => driver(model, then, &now),
        Ask::Silence { .. } | Ask::SilenceComment { .. } | Ask::EndSilence { .. } => {
            let observe = || (model.mode == Mode::Observe).then(|| "OBSERVE: A arms this cockpit".to_owned());
            driver(model, then, &now).or_else(observe)
        }
        Ask::BackOut
        | Ask::Blocked { .. }
        | Ask::Arm
        | Ask::Start { .. }
        | Ask::Quit
        | Ask::Memo
        | Ask::Verbs { .. }
        | Ask::VerbValue { .. } => None,
    }
}

/// The gate is not the one at hand any more.
fn closed(model: &Model, gate: &StepId) -> Option<String> {
    let at_hand = model.run.as_ref().and_then(|run| run.state.gate_at_hand());
    (at_hand != Some(gate)).then(|| format!("gate {gate} is not open any more"))
}

/// What is agreed to is another plan by now.
fn other_plan(model: &Model, gate: &StepId, code: &str) -> Option<String> {
    let (_, known) = model.run.as_ref()?.state.step_and_state(gate)?;
    match &known.terms {
        Some(terms) if terms.code() == code => None,
        Some(terms) => Some(format!("the plan is another one now: {} (code {})", terms.shown, terms.code())),
        None => Some("the plan is being worked out anew".to_owned()),
    }
}

fn blocked(model: &Model) -> Option<String> {
    model.blocked.first().cloned()
}

fn driver(model: &Model, then: &Ground, now: &Ground) -> Option<String> {
    if then.seat == now.seat {
        return None;
    }
    let run = model.run.as_ref()?;
    Some(match run.seat {
        Seat::Driving => "you drive now".to_owned(),
        Seat::Following => format!("{} drives now", run.state.driver.id),
        Seat::Unattended => "nobody drives any more".to_owned(),
    })
}

/// What of the route that a plan rests on is different now.
fn moved(shown: &Route, now: Option<&Route>) -> Option<String> {
    let Some(now) = now else { return Some(format!("{} does not exist any more", shown.object)) };
    let epoch = |route: &Route| route.stamp.as_ref().map(|stamp| stamp.epoch);
    let weights = |route: &Route| (route.canary, route.baseline, route.others);
    let same = (&shown.object, &shown.uid, &shown.rule) == (&now.object, &now.uid, &now.rule) && epoch(shown) == epoch(now);
    if same && weights(shown) == weights(now) {
        return None;
    }
    let by = now.last_writer.as_ref().map_or_else(String::new, |w| format!(" (changed by {w})"));
    if weights(shown) == weights(now) {
        return Some(format!("{} was changed{by}", shown.object));
    }
    Some(format!("weight was {}, is now {}{by}", weight(shown), weight(now)))
}

fn weight(route: &Route) -> String {
    route.canary_share().map_or_else(|| "unknown".into(), |s| format!("{s:.0}%"))
}
