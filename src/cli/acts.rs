//! Acts for scripts: the same guards and the same journal as by key.

use super::args::{Global, Promote};
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::app::model::Seat;
use crate::app::{Msg, Request, ScriptEnd};
use crate::domain::Percent;
use crate::runtime::{Core, Pace, Step, until};
use std::time::Duration;

/// Without `--timeout`.
const PATIENCE: Duration = Duration::from_secs(120);

/// `gonogo promote --to W --confirm W`
pub(super) async fn promote(global: &Global, args: &Promote) -> Outcome {
    let to = Percent::new(args.to).ok_or_else(|| Failed::new(Exit::Usage, format!("--to {} is not between 0 and 100", args.to)))?;
    let Some(confirm) = args.confirm.clone() else {
        return Err(Failed::new(Exit::Refused, format!("refused: this moves traffic and needs --confirm {to} (the new canary weight)")));
    };
    let reason = args.take_over.clone();
    act(global, Request::Promote { to, confirm }, Needs::Seat { take_over: reason.is_some() }, reason).await
}

/// `gonogo backout --confirm 0`
pub(super) async fn backout(global: &Global, confirm: Option<String>) -> Outcome {
    let Some(confirm) = confirm else {
        return Err(Failed::new(Exit::Refused, "refused: this moves traffic and needs --confirm 0 (the new canary weight)"));
    };
    act(global, Request::BackOut { confirm }, Needs::AnySeat, None).await
}

/// `gonogo hold`
pub(super) async fn hold(global: &Global, reason: &str) -> Outcome {
    act(global, Request::Hold { reason: reason.to_owned() }, Needs::Nothing, None).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Holding works from anywhere.
    Nothing,
    /// Going back takes the seat of the run under way, whoever has it; without a run it makes one.
    AnySeat,
    /// Going on needs the seat; refused while somebody else has it.
    Seat { take_over: bool },
}

/// `reason`: why the seat is taken from somebody else, for the record.
async fn act(global: &Global, request: Request, needs: Needs, reason: Option<String>) -> Outcome {
    if global.read_only || global.spectator {
        return Err(Failed::new(Exit::Refused, "refused: --read-only and --spectator hold no write credentials"));
    }
    let config = wire::config(global, &wire::config_path(global)?)?;
    let clock = wire::clock(&config).await?;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let wired = wire::connect(global, &config, clock, journal).await?;
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    let mut stage = Stage::Find;
    let patience = global.timeout.unwrap_or(PATIENCE);
    let end = until(&mut core, &Pace::Real, patience, |model| {
        if let Some(end) = model.script_end() {
            return Step::Done(Ok(end.clone()));
        }
        match stage {
            // The keeper of the journal tells of the unfinished run before anything else, if there is one.
            Stage::Find if model.journal_read => {
                let seat = model.run.as_ref().filter(|r| !r.state.phase.is_final()).map(|r| (r.seat, r.state.run.clone()));
                let take_over = needs != Needs::Seat { take_over: false };
                match (needs, seat) {
                    (Needs::Seat { .. }, None) => Step::Done(Err("no run of this service is under way".to_owned())),
                    (Needs::Seat { .. } | Needs::AnySeat, Some((Seat::Following | Seat::Unattended, run))) => {
                        stage = Stage::Seat;
                        Step::Say(Box::new(Msg::AskSeat { run, take_over, reason: reason.clone() }))
                    }
                    _ => {
                        stage = Stage::Asked;
                        Step::Say(Box::new(Msg::Requested(request.clone())))
                    }
                }
            }
            Stage::Seat if model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving) => {
                stage = Stage::Asked;
                Step::Say(Box::new(Msg::Requested(request.clone())))
            }
            Stage::Seat => match model.seat_refused.take() {
                Some(why) => Step::Done(Err(why)),
                None => Step::Wait,
            },
            _ => Step::Wait,
        }
    })
    .await;
    core.stop().await;
    finish(global, end)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Find,
    Seat,
    Asked,
}

pub(super) fn finish(global: &Global, end: Option<Result<ScriptEnd, String>>) -> Outcome {
    let (exit, word, text) = match end {
        None => (Exit::Timeout, "timeout", "no answer in time; gonogo status and gonogo show tell how it stands".to_owned()),
        Some(Err(why)) => (Exit::Refused, "refused", why),
        Some(Ok(ScriptEnd::Done(text))) => (Exit::Done, "done", text),
        Some(Ok(ScriptEnd::Refused(text))) => (Exit::Refused, "refused", text),
        Some(Ok(ScriptEnd::Moved(text))) => (Exit::Changed, "changed", text),
        Some(Ok(ScriptEnd::Unknown(text))) => (Exit::Unknown, "unknown", text),
    };
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.act/v1", "result": word, "message": text }).to_string());
    }
    if exit == Exit::Done {
        super::say(&text);
        Ok(exit)
    } else {
        Err(Failed::new(exit, format!("{word}: {text}")))
    }
}
