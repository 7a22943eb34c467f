//! The menu of what can be done to this service outside a runbook: what is chosen becomes a run of one step, and its own prompt opens.

use super::super::effect::Effect;
use super::super::model::{Model, Seat};
use super::super::prompt::{Ask, VerbChoice};
use super::prompts;
use super::run::feed;
use crate::domain::{Action, Danger, RouteSpec, Stamp, Track};
use crate::runbook::io::{Command, Input};
use crate::runbook::state::Question;

/// How the id of a run of one step begins.
const SINGLE: &str = "act-";
/// The most instances that may be asked for.
const MOST_REPLICAS: u32 = 100_000;

/// What can be done here, with its letter.
fn offer(model: &Model) -> Vec<VerbChoice> {
    let choice = |key: char, does: &str, danger: Danger| VerbChoice { key, does: does.to_owned(), danger };
    let l2 = Danger::L2;
    let rollout = matches!(model.spec.route, RouteSpec::Rollout { .. });
    let mut all = vec![
        choice('i', "set image: run another version", l2),
        choice('s', "scale: another number of instances", l2),
        choice('t', "restart: replace all instances, a few at a time", l2),
        choice('u', "undo: the revision before runs again", l2),
        choice('p', "pause: stop the platform's own progress", l2),
        choice('g', "resume: let the platform go on", l2),
    ];
    if rollout {
        all.extend([
            choice('o', "promote: past the step at which it stands", l2),
            choice('f', "promote in full: past all steps", l2),
            choice('k', "abort: back to what served before", l2),
            choice('y', "retry: begin the aborted rollout again", l2),
        ]);
    }
    all
}

/// `V`
pub(super) fn menu(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let running = model.run.as_ref().filter(|run| !run.state.phase.is_final()).map(|run| run.state.run.clone());
    let why = prompts::unable(model).or_else(|| running.map(|run| format!("run {run} is under way: its runbook says what is done next")));
    if let Some(why) = why {
        return prompts::block(model, stamp, "acting outside a runbook", vec![why]);
    }
    let offer = offer(model);
    prompts::open(model, stamp, Ask::Verbs { offer }, Danger::L1);
    Vec::new()
}

/// A letter of the menu.
pub(super) fn picked(model: &mut Model, stamp: &Stamp, offer: Vec<VerbChoice>, key: char) -> Vec<Effect> {
    let track = Track::Canary;
    let action = match offer.iter().find(|choice| choice.key == key).map(|choice| choice.key) {
        Some('i') => Action::SetImage { track, container: None, image: String::new() },
        Some('s') => Action::Scale { track, replicas: 0 },
        Some('t') => Action::Restart { track, at: None },
        Some('u') => Action::Undo { track, revision: None, kept_by: None },
        Some('p') => Action::Pause { track },
        Some('g') => Action::Resume { track },
        Some('o') => Action::Promote { full: false, from: None },
        Some('f') => Action::Promote { full: true, from: None },
        Some('k') => Action::AbortRollout { revision: None },
        Some('y') => Action::RetryRollout { revision: None },
        _ => {
            prompts::open(model, stamp, Ask::Verbs { offer }, Danger::L1);
            return Vec::new();
        }
    };
    if matches!(action, Action::SetImage { .. } | Action::Scale { .. }) {
        prompts::open(model, stamp, Ask::VerbValue { action }, Danger::L1);
        return Vec::new();
    }
    start(model, &action)
}

/// The value that a verb needs. What is no value is asked for again.
pub(super) fn valued(model: &mut Model, stamp: &Stamp, action: Action, text: &str) -> Vec<Effect> {
    let filled = match &action {
        Action::SetImage { track, container, .. } => (!text.chars().any(char::is_whitespace))
            .then(|| Action::SetImage { track: *track, container: container.clone(), image: text.to_owned() })
            .ok_or("an image has no blanks: registry/name:tag"),
        Action::Scale { track, .. } => match text.parse::<u32>() {
            Ok(replicas) if replicas <= MOST_REPLICAS => Ok(Action::Scale { track: *track, replicas }),
            _ => Err("a whole number of instances"),
        },
        _ => return Vec::new(),
    };
    match filled {
        Ok(action) => start(model, &action),
        Err(why) => {
            prompts::open(model, stamp, Ask::VerbValue { action }, Danger::L1);
            if let Some(prompt) = &mut model.prompt {
                prompt.error = Some(why.to_owned());
            }
            Vec::new()
        }
    }
}

fn start(model: &mut Model, action: &Action) -> Vec<Effect> {
    model.driver.asks_act = true;
    vec![Effect::StartRun { first: model.single_run(action) }]
}

/// The run is open and stands at its one step: its prompt.
pub(super) fn follow(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(run) = model.run.as_ref().filter(|_| model.driver.asks_act && model.prompt.is_none()) else { return Vec::new() };
    let here = run.seat == Seat::Driving && run.state.runbook.id.starts_with(SINGLE);
    if !here || !matches!(run.state.question(), Some(Question::Act { .. })) {
        return Vec::new();
    }
    model.driver.asks_act = false;
    prompts::promote(model, stamp)
}

/// Its prompt was cancelled: a run of one step that was never sent has nothing left to do.
pub(super) fn cancelled(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(run) = model.run.as_ref().filter(|run| run.seat == Seat::Driving && run.state.runbook.id.starts_with(SINGLE)) else {
        return Vec::new();
    };
    let open = matches!(run.state.question(), Some(Question::Act { .. })) && run.state.in_force.is_empty();
    if !open {
        return Vec::new();
    }
    feed(model, stamp, Input::Command(Command::Abort { reason: "cancelled: nothing was sent".to_owned() }))
}
