//! From the text of a file to a runbook that is ready to run, or to everything that is wrong with it.

use super::check;
use super::parse::draft::{ConditionDraft, Draft, Given, ItemDraft, KindDraft, RollbackDraft, StepDraft};
use super::parse::report::Report;
use super::parse::{self, Values};
use super::plan::{Check, Condition, Item, Manual, Rollback, Runbook, Step, StepKind, Undo};
use crate::domain::{Action, Confirm, Diagnostic, Person, Probe, ServiceKey, canonical};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is known about where the runbook will run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Production: every change must say what takes it back.
    pub protected: bool,
    /// How often the metrics backend gets new samples.
    pub scrape_interval: Option<Duration>,
    /// Names of the configured platforms, where they are to be checked.
    pub platforms: Option<Vec<String>>,
    /// Names of the configured services, where they are to be checked.
    pub services: Option<Vec<String>>,
    /// Whether the service has an alerts connection, where that is known.
    pub alerts: Option<bool>,
    /// Services that may be released together with this one.
    pub with: Vec<ServiceKey>,
    /// What sends everything back on the service, by how it splits its traffic.
    pub way_back: Option<Action>,
    /// People of the configuration, who fill roles by id or group.
    pub people: Vec<Person>,
}

impl Default for Context {
    /// The strictest reading: production, of an unknown configuration.
    fn default() -> Self {
        Self {
            protected: true,
            scrape_interval: None,
            platforms: None,
            services: None,
            alerts: None,
            with: vec![],
            way_back: None,
            people: vec![],
        }
    }
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The runbook, parameters bound and defaults filled in; `None` when there was an error.
    pub runbook: Option<Runbook>,
    /// SHA-256 over its canonical form: what a run pins.
    pub hash: Option<String>,
    /// Everything found, in the order of the file; errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a runbook for a run. `file_name` is only for the diagnostics; `params` are the values given for it.
#[must_use]
pub fn load(file_name: &str, text: &str, params: &BTreeMap<String, String>, context: &Context) -> Loaded {
    let (runbook, diagnostics) = read(file_name, text, Values::Given(params), context);
    let hash = runbook.as_ref().and_then(|runbook| canonical::hash(runbook).ok());
    Loaded { runbook, hash, diagnostics }
}

/// Everything wrong with a runbook. Parameters without a value are guessed by their type, so that the rest can be checked.
#[must_use]
pub fn lint(file_name: &str, text: &str, context: &Context) -> Vec<Diagnostic> {
    read(file_name, text, Values::Guessed, context).1
}

fn read(file_name: &str, text: &str, values: Values<'_>, context: &Context) -> (Option<Runbook>, Vec<Diagnostic>) {
    let (draft, mut report) = parse::read(text, values, context, Report::new(file_name));
    if let Some(draft) = &draft {
        check::all(draft, context, &mut report);
    }
    let runbook = if report.has_errors() { None } else { draft.and_then(|draft| resolve(draft, context)) };
    (runbook, report.finish())
}

/// The plan of a file in which nothing is wrong.
fn resolve(draft: Draft, context: &Context) -> Option<Runbook> {
    Some(Runbook {
        id: draft.id?,
        version: draft.version?,
        title: draft.title?,
        owner: draft.owner,
        doc: draft.doc,
        params: draft.params,
        target: draft.target?,
        roles: draft.roles,
        clock: draft.clock.map(|clock| clock.plan).unwrap_or_default(),
        preconditions: draft.preconditions.into_iter().map(condition).collect::<Option<_>>()?,
        guards: draft.guards.into_iter().map(|draft| draft.guard).collect::<Option<_>>()?,
        steps: draft.steps.into_iter().map(|draft| step(draft, Confirm::Consequence)).collect::<Option<_>>()?,
        rollback: rollback(draft.rollback, context)?,
        finally: draft.finally.into_iter().map(|draft| step(draft, Confirm::None)).collect::<Option<_>>()?,
    })
}

fn rollback(draft: Option<RollbackDraft>, context: &Context) -> Option<Rollback> {
    let last_resort = context.way_back.clone();
    let Some(draft) = draft else { return Some(Rollback { confirm: Confirm::Consequence, steps: Vec::new(), last_resort }) };
    // The way back is confirmed once, when it is entered.
    let steps = draft.steps.into_iter().map(|draft| step(draft, Confirm::None)).collect::<Option<_>>()?;
    Some(Rollback { confirm: draft.confirm, steps, last_resort })
}

/// `usual`: what a change asks for when the file does not say.
fn step(draft: StepDraft, usual: Confirm) -> Option<Step> {
    let acts = draft.action().is_some();
    let target = draft.on.as_ref().map(|on| on.value.clone());
    let undo = draft.undo.value().map_or(Undo::None, |undo| undo.value.clone());
    let confirm = match (&draft.confirm, &undo) {
        // What cannot be taken back is never asked lightly.
        (_, Undo::Irreversible) => Confirm::Override,
        (Given::Is(confirm), _) => confirm.value,
        _ if acts => usual,
        _ => Confirm::None,
    };
    let kind = match draft.kind?.value {
        KindDraft::Manual { mode, items } => {
            let items = items.into_iter().map(|draft| item(draft.value, target.as_ref())).collect::<Option<_>>()?;
            StepKind::Manual(Manual { mode: mode?, items })
        }
        KindDraft::Check { all, conditions } => {
            let mut conditions = conditions.into_iter().map(condition).collect::<Option<Vec<_>>>()?;
            for condition in &mut conditions {
                about(condition, target.as_ref());
            }
            StepKind::Check(Check { all, conditions })
        }
        KindDraft::Do(action) => StepKind::Do(action?.value),
        KindDraft::Wait(duration, shorten) => StepKind::Wait { duration: duration?.value, shorten },
        KindDraft::Gate => StepKind::Gate,
        KindDraft::Approve(approve) => StepKind::Approve(approve?),
        KindDraft::Poll(poll) => StepKind::Poll(poll?),
        KindDraft::Uses(_) | KindDraft::Later => return None,
    };
    Some(Step {
        id: draft.id?.value,
        title: draft.title?,
        doc: draft.doc,
        when: draft.when.value().map(|when| when.value.when.clone()),
        timeout: draft.timeout.value().map(|timeout| timeout.value),
        target,
        t_ms: draft.t.map(|t| t.value),
        role: draft.role,
        evidence: draft.evidence,
        confirm,
        undo,
        on_failure: draft.on_failure.value().map(|failure| failure.value.clone()).unwrap_or_default(),
        kind,
    })
}

fn item(draft: ItemDraft, target: Option<&String>) -> Option<Item> {
    let evidence = match draft.evidence {
        Some(evidence) => {
            let mut evidence = condition(evidence)?;
            about(&mut evidence, target);
            Some(Box::new(evidence))
        }
        None => None,
    };
    Some(Item { evidence, ..draft.item })
}

/// What is asked of the platform is asked of the step's own service.
fn about(condition: &mut Condition, target: Option<&String>) {
    if let Probe::Platform(asked) = &mut condition.probe {
        asked.on = target.cloned();
    }
}

fn condition(draft: ConditionDraft) -> Option<Condition> {
    Some(Condition {
        id: draft.id?.value,
        probe: draft.probe?,
        hold: draft.hold.value().map_or(Duration::ZERO, |hold| hold.value),
        every: draft.every,
        on_no_data: draft.on_no_data,
    })
}

#[cfg(test)]
mod tests;
