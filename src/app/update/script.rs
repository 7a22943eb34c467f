//! Acts of the command line: the same guards, the same journal, no screen.

use super::super::effect::Effect;
use super::super::model::{Model, Seat};
use super::super::verdict::permit;
use super::{prompts, run};
use crate::domain::{Percent, Stamp, StepId};
use crate::runbook::io::{Command, Input, Level, Proposal, Purpose};
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, Phase, Question};

/// One act asked for on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Go one step on, to this weight. `confirm` is what a person would type.
    Promote {
        /// The weight that the current step must be about.
        to: Percent,
        /// The typed consequence.
        confirm: String,
    },
    /// Back out.
    BackOut {
        /// The typed consequence.
        confirm: String,
    },
    /// Hold.
    Hold {
        /// Why.
        reason: String,
    },
    /// Release the hold.
    Unhold,
    /// Answer the current gate with go.
    Gate,
    /// Answer an item.
    Answer {
        /// The step.
        step: StepId,
        /// Place of the item.
        item: usize,
        /// The answer.
        answer: String,
    },
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptEnd {
    /// As asked.
    Done(String),
    /// By a guard: read-only, wrong token, not permitted.
    Refused(String),
    /// The platform moved between reading and writing.
    Moved(String),
    /// What was sent may or may not have been applied.
    Unknown(String),
}

/// An act under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    request: Request,
    begun: bool,
    confirmed: bool,
    end: Option<ScriptEnd>,
}

impl Model {
    /// How the act asked for with [`super::super::msg::Msg::Requested`] ended, once it has.
    #[must_use]
    pub fn script_end(&self) -> Option<&ScriptEnd> {
        self.driver.script.as_ref()?.end.as_ref()
    }

    /// Whether an act is under way.
    #[must_use]
    pub fn script_running(&self) -> bool {
        self.driver.script.as_ref().is_some_and(|s| s.end.is_none())
    }

    /// Forgets the act, so that the next one can be asked for.
    pub fn script_clear(&mut self) {
        self.driver.script = None;
    }
}

pub(super) fn requested(model: &mut Model, request: &Request) -> Vec<Effect> {
    model.driver.script = Some(Script { request: request.clone(), begun: false, confirmed: false, end: None });
    Vec::new()
}

/// Everything that is shown has been read at least once.
fn ready(model: &Model) -> bool {
    let metrics_known = model.metrics.failures > 0 || model.panels.values().all(|p| p.answered.is_some() || p.trouble.is_some());
    let platform_known = model.platform.failures > 0 || (model.picture.listed && model.picture.route_read);
    metrics_known && platform_known
}

/// Goes on with the act, as far as the facts allow.
pub(super) fn step(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(script) = model.driver.script.clone().filter(|s| s.end.is_none()) else { return Vec::new() };
    if script.begun {
        watch(model, &script);
        return Vec::new();
    }
    // Stopping is always possible; going forward waits until there is something to judge by.
    let forward = matches!(script.request, Request::Promote { .. } | Request::Gate);
    if forward && !ready(model) {
        return Vec::new();
    }
    if let Some(script) = &mut model.driver.script {
        script.begun = true;
    }
    begin(model, stamp, script.request)
}

fn begin(model: &mut Model, stamp: &Stamp, request: Request) -> Vec<Effect> {
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && !r.state.phase.is_final());
    match request {
        Request::Promote { to, confirm } => {
            if confirm != to.to_string() {
                return end(model, ScriptEnd::Refused(format!("--confirm {confirm} is not the new canary weight {to}")));
            }
            let question = model.run.as_ref().and_then(|r| r.state.question());
            match question {
                Some(Question::Act { action, .. }) if action.weight() == to => {}
                Some(Question::Act { action, .. }) => {
                    return end(model, ScriptEnd::Refused(format!("the next step is {action}, not {to}%")));
                }
                _ => {
                    let why = model.blocked.join("; ");
                    return end(model, ScriptEnd::Refused(format!("the run does not wait for a promotion: {why}")));
                }
            }
            // The token arms this one act.
            let blocked: Vec<String> = model.blocked.iter().filter(|b| !b.starts_with("OBSERVE")).cloned().collect();
            if !blocked.is_empty() {
                return end(model, ScriptEnd::Refused(blocked.join("; ")));
            }
            let permit = permit(model, stamp);
            run::feed(model, stamp, Input::Command(Command::Propose { permit }))
        }
        Request::BackOut { confirm } => {
            if confirm != "0" {
                return end(model, ScriptEnd::Refused("backing out is confirmed with --confirm 0".into()));
            }
            prompts::back_out(model, stamp)
        }
        Request::Hold { reason } if driving => {
            let effects = run::feed(model, stamp, Input::Command(Command::Hold { reason }));
            let _ = end(model, ScriptEnd::Done("held".into()));
            effects
        }
        Request::Hold { .. } if model.run.is_none() => end(model, ScriptEnd::Refused("no run to hold".into())),
        Request::Hold { reason } => run::append_as_observer(model, &Event::HoldBegan { reason, guard: None }),
        Request::Unhold if driving => {
            let effects = run::feed(model, stamp, Input::Command(Command::Unhold));
            let _ = end(model, ScriptEnd::Done("hold released".into()));
            effects
        }
        Request::Unhold => end(model, ScriptEnd::Refused("only the driver releases a hold".into())),
        Request::Gate => {
            let permit = permit(model, stamp);
            let effects = run::feed(model, stamp, Input::Command(Command::Gate { go: true, permit }));
            let _ = end(model, ScriptEnd::Done("gate answered".into()));
            effects
        }
        Request::Answer { step, item, answer } => {
            let effects = prompts::answer(model, stamp, step, item, answer);
            if driving {
                let _ = end(model, ScriptEnd::Done("answered".into()));
            }
            effects
        }
    }
}

fn end(model: &mut Model, how: ScriptEnd) -> Vec<Effect> {
    if let Some(script) = &mut model.driver.script {
        script.end.get_or_insert(how);
    }
    Vec::new()
}

/// The plan is there: the token given on the command line confirms it, if it is the right one.
pub(super) fn proposed(model: &mut Model, stamp: &Stamp, proposal: &Proposal) -> Option<Vec<Effect>> {
    let script = model.driver.script.as_mut().filter(|s| s.end.is_none() && s.begun)?;
    let typed = match (&script.request, proposal.purpose) {
        (Request::Promote { confirm, .. }, Purpose::Forward) | (Request::BackOut { confirm }, Purpose::BackOut) => confirm.clone(),
        _ => return None,
    };
    if script.confirmed {
        // A second plan means that the first one was overtaken: a script must not decide about what it has not seen.
        let _ = end(model, ScriptEnd::Moved("the platform changed between reading and writing; nothing was sent".into()));
        return Some(run::feed(model, stamp, Input::Command(Command::Decline)));
    }
    script.confirmed = true;
    let permit = permit(model, stamp);
    let plan_hash = proposal.plan_hash.clone();
    Some(run::feed(model, stamp, Input::Command(Command::Confirm { plan_hash, typed, shown: std::time::Duration::ZERO, permit })))
}

/// Whether the act is done, by the state of the run.
fn watch(model: &mut Model, script: &Script) {
    let Some(state) = model.run.as_ref().map(|r| &r.state) else { return };
    let how = match &script.request {
        Request::Promote { to, .. } if script.confirmed => match state.operation.as_ref().map(|o| (&o.stage, o.action.weight())) {
            Some((OpStage::Verified, weight)) if weight == *to => ScriptEnd::Done(format!("canary at {to}%")),
            Some((OpStage::Unknown { failure, .. }, _)) => {
                ScriptEnd::Unknown(failure.as_ref().map_or_else(|| "outcome unknown".into(), ToString::to_string))
            }
            Some((OpStage::NotApplied { failure }, _)) => ScriptEnd::Refused(failure.to_string()),
            _ => return,
        },
        Request::BackOut { .. } if script.confirmed => match state.phase {
            Phase::RolledBack => ScriptEnd::Done("backed out: canary at 0%".into()),
            Phase::RollbackStuck => ScriptEnd::Unknown("the way back is stuck: see gonogo show".into()),
            _ => match state.operation.as_ref().map(|o| (&o.stage, o.fence)) {
                // The traffic is back; the checks of the way back go on in whoever drives.
                Some((OpStage::Verified, false)) => ScriptEnd::Done("backed out: canary at 0%".into()),
                Some((OpStage::NotApplied { failure }, false)) => ScriptEnd::Refused(failure.to_string()),
                _ => return,
            },
        },
        _ => return,
    };
    let _ = end(model, how);
}

/// Somebody else's journal took our entry.
pub(super) fn appended(model: &mut Model) {
    let _ = end(model, ScriptEnd::Done("written".into()));
}

/// The seat, the run or the plan was refused.
pub(super) fn refused(model: &mut Model, why: &str) {
    let _ = end(model, ScriptEnd::Refused(why.to_owned()));
}

/// What the engine says about an act that it does not do.
pub(super) fn said(model: &mut Model, level: Level, text: &str) {
    let confirmed = model.driver.script.as_ref().is_some_and(|s| s.confirmed);
    let begun = model.driver.script.as_ref().is_some_and(|s| s.begun);
    if begun && !confirmed && level >= Level::Warning {
        let _ = end(model, ScriptEnd::Refused(text.to_owned()));
    }
}
