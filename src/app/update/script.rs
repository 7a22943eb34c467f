//! Acts of the command line: the same guards, the same journal, no screen.

use super::super::effect::Effect;
use super::super::model::{Model, Seat};
use super::super::verdict::permit;
use super::{back_out, prompts, run};
use crate::domain::{Action, Failure, Percent, Refusal, Stamp, StepId};
use crate::runbook::StepKind;
use crate::runbook::io::{Command, Input, Proposal, Purpose};
use crate::runbook::record::Event;
use crate::runbook::record::Found;
use crate::runbook::state::{OpStage, Phase, Question, RunState, StepPhase, StepState};

const BACKED_OUT: &str = "backed out: canary at 0%";

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
    /// Do what the run waits for, which must be this act. `confirm` is what a person would type.
    Act {
        /// The act.
        action: Action,
        /// The typed consequence.
        confirm: String,
    },
    /// End the run where it stands.
    Abort {
        /// Why.
        reason: String,
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
    let seen = &model.observed;
    let traffic_known = seen.outstanding.is_none() || seen.share.is_some() || seen.trouble.is_some();
    let alerts_known = model.alerts.as_ref().is_none_or(|board| board.read.is_some() || board.source.failures > 0);
    metrics_known && platform_known && traffic_known && alerts_known
}

/// Goes on with the act, as far as the facts allow.
pub(super) fn step(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(script) = model.driver.script.clone().filter(|s| s.end.is_none()) else { return Vec::new() };
    if script.begun {
        watch(model, &script);
        return Vec::new();
    }
    // Stopping is always possible; going forward waits until there is something to judge by.
    let forward = matches!(script.request, Request::Promote { .. } | Request::Act { .. } | Request::Gate);
    if (forward && !ready(model)) || finding_out(model, &script.request) {
        return Vec::new();
    }
    if let Some(script) = &mut model.driver.script {
        script.begun = true;
    }
    begin(model, stamp, script.request)
}

/// The run is still getting to where it waits: what became of the last driver's act is read from the platform, what he left half done is
/// recorded. Nothing is decided before that.
fn finding_out(model: &Model, request: &Request) -> bool {
    let Some(state) = model.run.as_ref().filter(|r| r.seat == Seat::Driving && !r.state.phase.is_final()).map(|r| &r.state) else {
        return false;
    };
    let unread = state.unclear().is_some_and(|op| op.found().is_none());
    let active = state.current().filter(|(_, s)| s.phase == StepPhase::Active).map(|(step, _)| &step.id);
    let verifying = state.operation.as_ref().is_some_and(|op| op.stage == OpStage::Accepted && active == Some(&op.step));
    let recording = model.driver.engine.as_ref().is_some_and(|engine| engine.is_recording());
    match request {
        Request::Promote { .. } => unread || recording || verifying,
        // A run that was just started is not at its step yet.
        Request::Act { .. } => unread || recording || verifying || (state.phase == Phase::Running && state.question().is_none()),
        // A step forward need not be seen before it is taken back.
        Request::BackOut { .. } => unread || recording || (verifying && state.phase != Phase::Running),
        _ => false,
    }
}

/// Whether the run has brought the canary to this weight, and the platform still says so.
fn is_at(model: &Model, to: Percent) -> bool {
    let configured = model.configured().is_some_and(|share| (share - f64::from(to.get())).abs() < f64::EPSILON);
    model.run.as_ref().map(|r| &r.state).is_some_and(|state| {
        let passed = |(step, known): (&crate::runbook::Step, &StepState)| {
            matches!(&step.kind, StepKind::Do(action) if action.weight() == Some(to)) && known.phase == StepPhase::Passed
        };
        let forward = matches!(state.phase, Phase::Running | Phase::Completed);
        let there = configured && forward && state.intended == Some(to) && state.unclear().is_none();
        there && state.runbook.steps.iter().zip(&state.steps).any(passed)
    })
}

/// Whether the act that became unclear is the one that is asked for, and was not applied so far.
fn may_send_again(question: Option<&Question>, model: &Model, to: Percent) -> bool {
    let this = model.run.as_ref().and_then(|r| r.state.unclear()).is_some_and(|op| op.action.weight() == Some(to));
    this && matches!(question, Some(Question::Unclear { found: Some(Found::NotYet), redo: true, .. }))
}

fn begin(model: &mut Model, stamp: &Stamp, request: Request) -> Vec<Effect> {
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && !r.state.phase.is_final());
    match request {
        Request::Promote { to, confirm } => {
            if confirm != to.to_string() {
                return end(model, ScriptEnd::Refused(format!("--confirm {confirm} is not the new canary weight {to}")));
            }
            let question = model.run.as_ref().and_then(|r| r.state.question());
            if driving && may_send_again(question.as_ref(), model, to) {
                // Its driver ended before it arrived. A fence keeps it out for good; then it is planned and confirmed anew.
                return run::feed(model, stamp, Input::Command(Command::Redo));
            }
            match question {
                Some(Question::Act { action, .. }) if action.weight() == Some(to) => {}
                _ if is_at(model, to) => return end(model, ScriptEnd::Done(format!("canary at {to}%"))),
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
        Request::Act { action, .. } => {
            match model.run.as_ref().and_then(|r| r.state.question()) {
                Some(Question::Act { action: next, .. }) if next == action => {}
                Some(Question::Act { action: next, .. }) => {
                    return end(model, ScriptEnd::Refused(format!("the next step is {next}, not {action}")));
                }
                _ => {
                    let why = model.blocked.join("; ");
                    return end(model, ScriptEnd::Refused(format!("the run does not wait for an act: {why}")));
                }
            }
            let blocked: Vec<String> = model.blocked.iter().filter(|b| !b.starts_with("OBSERVE")).cloned().collect();
            if !blocked.is_empty() {
                return end(model, ScriptEnd::Refused(blocked.join("; ")));
            }
            let permit = permit(model, stamp);
            run::feed(model, stamp, Input::Command(Command::Propose { permit }))
        }
        Request::Abort { reason } => {
            let effects = run::feed(model, stamp, Input::Command(Command::Abort { reason }));
            let _ = end(model, ScriptEnd::Done("aborted".into()));
            effects
        }
        Request::BackOut { confirm } => {
            if confirm != "0" {
                return end(model, ScriptEnd::Refused("backing out is confirmed with --confirm 0".into()));
            }
            match model.run.as_ref().map(|r| &r.state) {
                // What the last driver had begun is done.
                Some(state) if state.phase == Phase::RolledBack => end(model, ScriptEnd::Done(BACKED_OUT.into())),
                Some(state) if driving && state.phase == Phase::RollingBack && state.way_back_is_free() && state.unclear().is_none() => {
                    confirmed(model);
                    Vec::new()
                }
                _ => back_out::back_out(model, stamp),
            }
        }
        Request::Hold { reason } if driving => {
            let effects = run::feed(model, stamp, Input::Command(Command::Hold { reason }));
            let _ = end(model, ScriptEnd::Done("held".into()));
            effects
        }
        Request::Hold { .. } if model.run.as_ref().is_some_and(|r| r.state.phase.is_final()) => {
            end(model, ScriptEnd::Refused("the run has ended: nothing moves by itself".into()))
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

/// The way back's one confirmation was given, here or by the driver before.
fn confirmed(model: &mut Model) {
    if let Some(script) = &mut model.driver.script {
        script.confirmed = true;
    }
}

/// The plan is there: the token given on the command line confirms it, if it is the right one.
pub(super) fn proposed(model: &mut Model, stamp: &Stamp, proposal: &Proposal) -> Option<Vec<Effect>> {
    let script = model.driver.script.as_mut().filter(|s| s.end.is_none() && s.begun)?;
    if let Request::Act { confirm, .. } = &script.request
        && let Some(wanted) = proposal.must_type().filter(|wanted| wanted != confirm.trim())
    {
        let why = format!("--confirm {confirm} is not what it would do: {wanted}");
        let _ = end(model, ScriptEnd::Refused(why));
        return Some(run::feed(model, stamp, Input::Command(Command::Decline)));
    }
    let typed = match (&script.request, proposal.purpose) {
        (Request::Act { confirm, .. }, Purpose::Forward) => confirm.clone(),
        (Request::Promote { confirm, .. }, Purpose::Forward) | (Request::BackOut { confirm }, Purpose::BackOut) => confirm.clone(),
        _ => return None,
    };
    if script.confirmed {
        // A second plan means that the first one was overtaken: a script must not decide about what it has not seen.
        let _ = end(model, ScriptEnd::Moved("the platform changed between reading and writing; nothing was sent".into()));
        return Some(run::feed(model, stamp, Input::Command(Command::Decline)));
    }
    confirmed(model);
    let permit = permit(model, stamp);
    let plan_hash = proposal.plan_hash.clone();
    Some(run::feed(model, stamp, Input::Command(Command::Confirm { plan_hash, typed, shown: std::time::Duration::ZERO, permit })))
}

/// Whether the act is done, by the state of the run.
fn watch(model: &mut Model, script: &Script) {
    let Some(state) = model.run.as_ref().map(|r| &r.state) else { return };
    let how = match &script.request {
        Request::Promote { to, .. } if script.confirmed => match state.operation.as_ref().map(|o| (&o.stage, o.action.weight())) {
            Some((OpStage::Verified, weight)) if weight == Some(*to) => ScriptEnd::Done(format!("canary at {to}%")),
            // The platform is read first; only what it cannot tell stays unknown.
            Some((OpStage::Unknown { failure, found: Some(_) }, _)) => unknown(failure.as_ref()),
            Some((OpStage::NotApplied { failure }, _)) => not_applied(failure),
            _ => return,
        },
        // The plan found nothing to do.
        Request::Promote { to, .. } if is_at(model, *to) => ScriptEnd::Done(format!("canary at {to}%")),
        Request::Act { action, .. } if script.confirmed => match state.operation.as_ref().map(|o| &o.stage) {
            Some(OpStage::Verified) => ScriptEnd::Done(state.operation.as_ref().map_or_else(|| action.wanted(), |o| o.action.to_string())),
            Some(OpStage::Unknown { failure, found: Some(_) }) => unknown(failure.as_ref()),
            Some(OpStage::NotApplied { failure }) => not_applied(failure),
            _ => return,
        },
        // The plan found nothing to do.
        Request::Act { action, .. } if passed(state, action) => ScriptEnd::Done(format!("{action}: it is so already")),
        Request::BackOut { .. } if script.confirmed => match state.phase {
            Phase::RolledBack => ScriptEnd::Done(BACKED_OUT.into()),
            Phase::RollbackStuck => ScriptEnd::Unknown("the way back is stuck: see gonogo show".into()),
            _ => match state.operation.as_ref().map(|o| (&o.stage, o.fence)) {
                // The traffic is back; the checks of the way back go on in whoever drives.
                Some((OpStage::Verified, false)) => ScriptEnd::Done(BACKED_OUT.into()),
                Some((OpStage::NotApplied { failure }, false)) => not_applied(failure),
                Some((OpStage::Unknown { failure, found: Some(_) }, false)) => unknown(failure.as_ref()),
                _ => return,
            },
        },
        _ => return,
    };
    let _ = end(model, how);
}

/// Whether the last step that was to do this passed.
fn passed(state: &RunState, action: &Action) -> bool {
    let steps = state.runbook.steps.iter().zip(&state.steps);
    let mut done = steps.filter(|(step, _)| matches!(&step.kind, StepKind::Do(of) if of == action)).map(|(_, known)| known.phase);
    let current = state.current().is_some_and(|(step, _)| matches!(&step.kind, StepKind::Do(of) if of == action));
    !current && done.next_back() == Some(StepPhase::Passed)
}

fn unknown(failure: Option<&Failure>) -> ScriptEnd {
    ScriptEnd::Unknown(failure.map_or_else(|| "outcome unknown".into(), ToString::to_string))
}

fn not_applied(failure: &Failure) -> ScriptEnd {
    match failure {
        Failure::Refused { reason: Refusal::Conflict, .. } => ScriptEnd::Moved(failure.to_string()),
        _ => ScriptEnd::Refused(failure.to_string()),
    }
}

/// Somebody else's journal took our entry.
pub(super) fn appended(model: &mut Model) {
    let _ = end(model, ScriptEnd::Done("written".into()));
}

/// The seat, the run, the plan or the act itself was refused.
pub(super) fn refused(model: &mut Model, why: &str) {
    if model.driver.script.as_ref().is_some_and(|s| !s.begun) {
        return;
    }
    let _ = end(model, ScriptEnd::Refused(why.to_owned()));
}

/// The engine gave the confirmed act up before anything was sent.
pub(super) fn withdrawn(model: &mut Model, why: &str, moved: bool) {
    let how = if moved { ScriptEnd::Moved(why.to_owned()) } else { ScriptEnd::Refused(why.to_owned()) };
    let _ = end(model, how);
}
