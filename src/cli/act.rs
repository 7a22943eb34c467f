//! Acts outside a runbook: each is a run of one step, with the same guards, the same journal and the same exit codes as a promotion.

use super::acts::finish;
use super::args::{Act, Deed, Global, Sure};
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::app::model::Seat;
use crate::app::{Model, Msg, Request, ScriptEnd};
use crate::domain::{Action, Track};
use crate::runtime::{Core, Pace, Step, until};
use std::time::Duration;

/// Without `--timeout`.
const PATIENCE: Duration = Duration::from_secs(180);

/// The act, and what has to be typed for it.
fn asked(act: &Act) -> (Action, &Sure) {
    let track = |sure: &Sure| if sure.baseline { Track::Baseline } else { Track::Canary };
    match &act.deed {
        Deed::SetImage { image, container, sure } => {
            (Action::SetImage { track: track(sure), container: container.clone(), image: image.clone() }, sure)
        }
        Deed::Scale { replicas, sure } => (Action::Scale { track: track(sure), replicas: *replicas }, sure),
        Deed::Restart { sure } => (Action::Restart { track: track(sure), at: None }, sure),
        Deed::Undo { to, sure } => (Action::Undo { track: track(sure), revision: *to, kept_by: None }, sure),
        Deed::Pause { sure } => (Action::Pause { track: track(sure) }, sure),
        Deed::Resume { sure } => (Action::Resume { track: track(sure) }, sure),
        Deed::Promote { sure } => (Action::Promote { full: false, from: None }, sure),
        Deed::PromoteFull { sure } => (Action::Promote { full: true, from: None }, sure),
        Deed::Abort { sure } => (Action::AbortRollout { revision: None }, sure),
        Deed::Retry { sure } => (Action::RetryRollout { revision: None }, sure),
    }
}

/// `gonogo act scale --replicas 5 --confirm 5`
pub(super) async fn act(global: &Global, args: &Act) -> Outcome {
    let (action, sure) = asked(args);
    let Some(confirm) = sure.confirm.clone() else {
        let why = format!("refused: {action} changes the platform and needs --confirm with its consequence: {}", action.consequence());
        return Err(Failed::new(Exit::Refused, why));
    };
    if global.read_only || global.spectator {
        return Err(Failed::new(Exit::Refused, "refused: --read-only and --spectator hold no write credentials"));
    }
    let config = wire::config(global, &wire::config_path(global)?)?;
    let clock = wire::clock(&config).await?;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let wired = wire::connect(global, &config, clock, journal).await?;
    if !wired.ports.platform.capabilities().contains(&action.kind()) {
        let why = format!("refused: {} cannot be done on {}", action.kind().word().replace('_', " "), wired.spec.name);
        return Err(Failed::new(Exit::Refused, why));
    }
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    let mut flight = Flight { action, confirm, stage: Stage::Find, end: None };
    let end = until(&mut core, &Pace::Real, global.timeout.unwrap_or(PATIENCE), |model| flight.next(model)).await;
    core.stop().await;
    finish(global, end)
}

/// A run of one step, from its start to its end.
struct Flight {
    action: Action,
    confirm: String,
    stage: Stage,
    end: Option<ScriptEnd>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Find,
    Started,
    Asked,
    Ending,
}

impl Flight {
    fn next(&mut self, model: &mut Model) -> Step<Result<ScriptEnd, String>> {
        match self.stage {
            // The picture has to be there: the step's own undo is read from it.
            Stage::Find if model.journal_read && (model.picture.listed || model.platform.failures > 0) => {
                if let Some(run) = model.run.as_ref().filter(|run| !run.state.phase.is_final()) {
                    return Step::Done(Err(format!("run {} is under way: finish it, back out or abort it first", run.state.run)));
                }
                self.stage = Stage::Started;
                Step::Say(Box::new(Msg::Start { first: model.single_run(&self.action) }))
            }
            Stage::Started => match model.seat_refused.take() {
                Some(why) => Step::Done(Err(why)),
                None if model.run.as_ref().is_some_and(|run| run.seat == Seat::Driving && !run.state.phase.is_final()) => {
                    self.stage = Stage::Asked;
                    let (action, confirm) = (self.action.clone(), self.confirm.clone());
                    Step::Say(Box::new(Msg::Requested(Request::Act { action, confirm })))
                }
                None => Step::Wait,
            },
            Stage::Asked => self.asked(model),
            Stage::Ending if model.run.as_ref().is_none_or(|run| run.state.phase.is_final()) => match self.end.take() {
                Some(end) => Step::Done(Ok(end)),
                None => Step::Wait,
            },
            Stage::Find | Stage::Ending => Step::Wait,
        }
    }

    /// Nothing is left open that was not sent. What may have been sent is: the next start reads what became of it.
    fn asked(&mut self, model: &mut Model) -> Step<Result<ScriptEnd, String>> {
        let Some(end) = model.script_end().cloned() else { return Step::Wait };
        let reason = match &end {
            ScriptEnd::Unknown(_) => return Step::Done(Ok(end)),
            ScriptEnd::Done(_) => None,
            ScriptEnd::Refused(why) | ScriptEnd::Moved(why) => Some(why.clone()),
        };
        self.end = Some(end);
        self.stage = Stage::Ending;
        match reason {
            Some(reason) => {
                model.script_clear();
                Step::Say(Box::new(Msg::Requested(Request::Abort { reason })))
            }
            None => Step::Wait,
        }
    }
}
