//! Promote, abort and retry: patches of a Rollout's status, as its own client sends them, but tested.
//!
//! The controller acts on what it finds there. Our patches test the version, the step and the list of steps, so that of two operators
//! who both let a rollout go on, one moves it and the other is refused.

use super::read::{NO_STATUS, progressive, route};
use crate::adapter::kubernetes::mechanism::{Change, Look, Mechanism, Place, subject};
use crate::adapter::kubernetes::patch::test;
use crate::domain::progressive::{Progressive, RolloutStep};
use crate::domain::{Action, DiffLine, Percent, RolloutPoint, Subject};
use serde_json::{Value, json};

/// The subresource that takes all of these.
const STATUS: &str = "status";

/// What can be done to a Rollout through its status. Of a change of weights it tells why not.
pub(super) struct Steering {
    place: Place,
}

impl Steering {
    pub(super) fn new(place: Place) -> Self {
        Self { place }
    }
}

impl Mechanism for Steering {
    fn place(&self) -> &Place {
        &self.place
    }

    fn look(&self, object: Value, action: &Action) -> Look {
        let rollout = progressive(&object);
        let mut look = bare(object, &rollout, action);
        match action {
            Action::Promote { full, from } => promote(&mut look, &rollout, *full, from.as_ref()),
            Action::AbortRollout { revision } => abort(&mut look, &rollout, revision.as_deref()),
            Action::RetryRollout { revision } => retry(&mut look, &rollout, revision.as_deref()),
            _ => {
                let why = "the controller of this rollout sets the weights by itself: promote or abort it instead";
                look.subject.trouble = Some(why.to_owned());
            }
        }
        if look.subject.done {
            look.subject.trouble = None;
        }
        look
    }

    fn takes(&self, before: &Look, after: &Look) -> bool {
        // A pause that was ended is only gone on from when the controller comes by.
        let let_go = progressive(&after.object).is_unpausing() && !progressive(&before.object).is_unpausing();
        after.subject.done || (matches!(after.action, Action::Promote { full: false, .. }) && let_go)
    }
}

/// What every look at a Rollout says.
pub(super) fn bare(object: Value, rollout: &Progressive, action: &Action) -> Look {
    let route = route(&object, rollout);
    let mut subject = subject(&object);
    subject.object.clone_from(&rollout.object);
    subject.shown = rollout.shown();
    subject.weight = rollout.share().filter(|share| share.fract() == 0.0).and_then(|share| Percent::new(share as u32));
    subject.route = Some(Box::new(route));
    Look { subject, action: action.clone(), consequence: None, warnings: vec![], change: Change::default(), object }
}

/// Marks the subject as changed through the status: no stamp can be left there.
fn through_status(look: &mut Look, rollout: &Progressive, fields: &[(&str, String)]) {
    look.subject.stamped = false;
    look.subject.fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    look.change.subresource = Some(STATUS);
    if rollout.newest.is_empty() || rollout.stable.is_empty() {
        look.subject.trouble.get_or_insert_with(|| NO_STATUS.to_owned());
    }
    test_there(look, &["/status/currentPodHash", "/status/stableRS"]);
}

/// Tests fields that are there; what is absent is bound by the others.
fn test_there(look: &mut Look, pointers: &[&str]) {
    let tests: Vec<Value> =
        pointers.iter().filter_map(|pointer| Some(test(pointer, look.object.pointer(pointer).filter(|it| !it.is_null())?))).collect();
    look.change.tests.extend(tests);
}

fn refuse(subject: &mut Subject, why: impl Into<String>) {
    subject.trouble.get_or_insert_with(|| why.into());
}

fn line(look: &mut Look, what: &str, before: impl Into<String>, after: impl Into<String>) {
    let field = format!("{} {what}", look.subject.object);
    look.change.lines.push(DiffLine { field, before: before.into(), after: after.into() });
}

fn promote(look: &mut Look, rollout: &Progressive, full: bool, from: Option<&RolloutPoint>) {
    let point = from.cloned().unwrap_or_else(|| rollout.point(full));
    let at = |step: Option<u32>| step.map_or_else(|| "none".to_owned(), |step| step.to_string());
    let fields = [
        ("revision", rollout.newest.clone()),
        ("stable", rollout.stable.clone()),
        ("step", at(rollout.step)),
        ("steps", rollout.step_hash.clone()),
        ("aborted", rollout.aborted.to_string()),
        ("paused", rollout.paused.to_string()),
    ];
    through_status(look, rollout, &fields);
    test_there(look, &["/status/currentStepIndex", "/status/currentStepHash", "/spec/paused", "/status/abort"]);
    let same = rollout.newest == point.revision;
    let everywhere = from.is_some() && rollout.stable == point.revision && same;
    look.subject.done = if full {
        everywhere || (same && rollout.promote_full)
    } else {
        everywhere || (same && from.is_some() && rollout.step_hash == point.steps && rollout.step > point.step)
    };
    look.action = Action::Promote { full, from: Some(point) };
    if !rollout.observed {
        refuse(&mut look.subject, "the controller has not taken up the latest specification yet: a promote now would be lost");
    }
    if rollout.is_settled() {
        let why = format!("version {} serves everything: there is nothing to promote", rollout.newest);
        refuse(&mut look.subject, why);
    }
    if rollout.aborted {
        refuse(&mut look.subject, "the rollout was aborted: retry it first");
    }
    if rollout.paused {
        refuse(&mut look.subject, "it is paused by spec.paused: resume it first (one act is one write)");
    }
    if full { promote_full(look, rollout) } else { promote_step(look, rollout) }
}

fn promote_full(look: &mut Look, rollout: &Progressive) {
    look.change.changes.push(json!({"op": "add", "path": "/status/promoteFull", "value": true}));
    look.change.covered.push("/status/promoteFull".to_owned());
    let before = rollout.place().unwrap_or_else(|| rollout.phase.word().to_owned());
    line(look, "promote in full", before, "100%, all steps skipped");
    let left = rollout.steps.iter().skip(rollout.step.unwrap_or(0) as usize).filter(|step| step.stops()).count();
    if left > 0 {
        look.warnings.push(format!("skips {left} pauses, analyses and the like that are still ahead"));
    }
    if let Some(running) = rollout.current().and_then(RolloutStep::runs) {
        look.warnings.push(format!("the {running} that runs now is ended without a result"));
    }
}

fn promote_step(look: &mut Look, rollout: &Progressive) {
    if rollout.promote_full {
        refuse(&mut look.subject, "it is being promoted in full already");
    }
    if rollout.is_unpausing() {
        refuse(&mut look.subject, "somebody let it go on already, and the controller has not moved yet: wait a moment");
    }
    let inconclusive = look.object.pointer("/status/canary/currentStepAnalysisRunStatus/status") == Some(&json!("Inconclusive"));
    let step = rollout.step.unwrap_or(0);
    match (rollout.pauses.is_empty(), rollout.current()) {
        (false, _) => {
            test_there(look, &["/status/pauseConditions", "/status/controllerPause"]);
            look.change.changes.push(json!({"op": "remove", "path": "/status/pauseConditions"}));
            let since = rollout.pauses.first().map_or("", |pause| pause.words()).to_owned();
            line(look, "pause", since, "ended");
            if inconclusive && rollout.controller_pause && rollout.blue_green.is_none() {
                look.change.changes.push(json!({"op": "replace", "path": "/status/controllerPause", "value": false}));
                look.change.changes.push(json!({"op": "replace", "path": "/status/currentStepIndex", "value": step + 1}));
            }
            if rollout.pauses.iter().any(crate::domain::progressive::PauseReason::is_inconclusive) {
                look.warnings.push("the analysis could not tell whether this version is good: nothing proves it".to_owned());
            }
        }
        (true, Some(current)) if current.runs().is_some() => {
            let running = current.runs().unwrap_or_default();
            look.warnings.push(format!("it does not wait: the {running} of {} runs, and would be skipped", at_step(rollout)));
            look.change.changes.push(json!({"op": "replace", "path": "/status/currentStepIndex", "value": step + 1}));
        }
        (true, Some(current)) => {
            let why = format!("it is on its way ({}: {current}) and waits for nothing", at_step(rollout));
            refuse(&mut look.subject, why);
        }
        (true, None) => refuse(&mut look.subject, "it waits for nothing: there is no pause to end"),
    }
    for pointer in ["/status/pauseConditions", "/status/controllerPause", "/status/currentStepIndex"] {
        look.change.covered.push(pointer.to_owned());
    }
    ahead(look, rollout);
}

fn at_step(rollout: &Progressive) -> String {
    rollout.place().unwrap_or_else(|| "its step".to_owned())
}

/// What comes after a promote: the next share, and whether it stays there.
fn ahead(look: &mut Look, rollout: &Progressive) {
    let (weight, stop) = rollout.next_stop();
    let share = rollout.share().map_or_else(|| "?".to_owned(), |share| format!("{share:.0}%"));
    if format!("{weight}%") != share {
        line(look, "canary weight", share, format!("{weight}%"));
    }
    let there = rollout.steps.get(stop as usize);
    if let Some(RolloutStep::Pause { lasts: crate::domain::progressive::PauseFor::Lasting(length) }) = there {
        let length = crate::domain::text::span(*length);
        look.warnings.push(format!("its next pause, at {weight}%, ends by itself after {length}"));
    }
}

/// Who would write the specification again.
pub(super) fn kept_by(object: &Value) -> Option<&'static str> {
    let note = |map: &str, key: &str| object.pointer(map).is_some_and(|all| all.get(key).is_some());
    let argo = note("/metadata/annotations", "argocd.argoproj.io/tracking-id");
    let flux = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"].iter().any(|key| note("/metadata/labels", key));
    if argo {
        Some("Argo CD")
    } else if flux {
        Some("Flux")
    } else {
        None
    }
}

fn abort(look: &mut Look, rollout: &Progressive, revision: Option<&str>) {
    let given_up = revision.unwrap_or(&rollout.newest).to_owned();
    through_status(look, rollout, &[("revision", rollout.newest.clone()), ("stable", rollout.stable.clone())]);
    let replaced = given_up != rollout.newest && rollout.is_settled();
    look.subject.done = (rollout.aborted && given_up == rollout.newest && !rollout.is_settled()) || (revision.is_some() && replaced);
    look.action = Action::AbortRollout { revision: Some(given_up) };
    if rollout.is_settled() {
        let why = format!(
            "no release is under way: version {} serves everything, and there is nothing to abort. undo goes back to the version before",
            rollout.newest
        );
        refuse(&mut look.subject, why);
    }
    look.change.changes.push(json!({"op": "add", "path": "/status/abort", "value": true}));
    look.change.covered.push("/status/abort".to_owned());
    let share = rollout.share().map_or_else(|| "?".to_owned(), |share| format!("{share:.0}%"));
    line(look, "canary weight", share, "0%, aborted");
    let again = match kept_by(&look.object) {
        Some(tool) => format!("{tool} keeps this object: revert the version at its source"),
        None => "revert it at its source, or undo".to_owned(),
    };
    look.warnings.push(format!("the specification still names version {}: a retry goes forward again; {again}", rollout.newest));
    if rollout.paused {
        look.warnings.push("it is paused by spec.paused as well".to_owned());
    }
}

fn retry(look: &mut Look, rollout: &Progressive, revision: Option<&str>) {
    let of = revision.unwrap_or(&rollout.newest).to_owned();
    let fields = [("revision", rollout.newest.clone()), ("stable", rollout.stable.clone()), ("aborted", rollout.aborted.to_string())];
    through_status(look, rollout, &fields);
    test_there(look, &["/status/abort"]);
    look.subject.done = !rollout.aborted && of == rollout.newest;
    look.action = Action::RetryRollout { revision: Some(of) };
    look.change.changes.push(json!({"op": "add", "path": "/status/abort", "value": false}));
    look.change.covered.push("/status/abort".to_owned());
    line(look, "aborted", rollout.aborted.to_string(), "false");
    look.warnings.push(format!("version {} goes forward again from the first step", rollout.newest));
    if rollout.paused {
        look.warnings.push("it is paused by spec.paused: it goes on only when resumed".to_owned());
    }
}
