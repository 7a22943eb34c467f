//! `gonogo plan`: what a runbook would do, without doing it.

use super::args::{Global, Plan};
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::domain::text::span;
use crate::domain::{Action, ActionKind, ActionPlan, Failure, Preflight};
use crate::port::{Platform as _, Right};
use crate::runbook::{Runbook, Step, StepKind, Undo};
use std::time::Duration;

/// Reads the platform, works the first act out, and predicts the rest.
pub(super) async fn plan(global: &Global, args: &Plan) -> Outcome {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let selected = wire::select(global, &config)?;
    let text = super::runbook::text(&args.runbook)?;
    let (standing, refused) = super::signing::standing(&config, selected.spec, &args.runbook, &text).await;
    let ready = super::runbook::load_text(&args.runbook.display().to_string(), &text, &args.params, selected.spec, &config.people)?;
    let clock = wire::clock(&config).await?;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let wired = wire::connect(global, &config, clock, journal).await?;
    let first = ready.runbook.steps.iter().find_map(|s| match &s.kind {
        StepKind::Do(action) => Some((s, action.clone())),
        _ => None,
    });
    let real = match &first {
        Some((_, action)) => Some(wired.kubernetes.plan(action.clone()).await.map_err(failed)?),
        None => None,
    };
    let mut rights = Vec::new();
    for kind in kinds(&ready.runbook) {
        rights.push((kind, wired.kubernetes.may(Right::Act(kind)).await.map_err(failed)?));
    }
    let changes = real.as_ref().is_some_and(|p| !p.is_noop());
    if global.json {
        let document = serde_json::json!({
            "schema": "gonogo.plan/v1", "runbook": ready.runbook.id, "hash": ready.hash, "first": real,
            "signature": standing, "refused": refused.as_ref().map(ToString::to_string),
            "rights": rights.iter().map(|(kind, answer)| serde_json::json!({"action": kind, "answer": answer})).collect::<Vec<_>>(),
            "changes": changes,
            "shortest_s": shortest(&ready.runbook).as_secs(), "longest_s": longest(&ready.runbook).map(|d| d.as_secs()),
        });
        super::print(&document.to_string());
    } else {
        show(&ready.runbook, &ready.hash, real.as_ref(), &rights);
        super::print(&format!("signed  {}{standing}", if refused.is_some() { "NO, run refuses it: " } else { "" }));
    }
    Ok(if args.exit_code && changes { Exit::WouldChange } else { Exit::Done })
}

fn failed(failure: Failure) -> Failed {
    let exit = match &failure {
        _ if failure.login().is_some() => Exit::Credentials,
        Failure::NotSent { .. } => Exit::CannotConnect,
        Failure::Refused { .. } => Exit::Refused,
        Failure::Unknown { .. } | Failure::Unreadable { .. } => Exit::Unknown,
    };
    Failed::new(exit, failure.to_string())
}

fn show(runbook: &Runbook, hash: &str, real: Option<&ActionPlan>, rights: &[(ActionKind, Preflight)]) {
    super::print(&format!("plan of {} v{}   hash {}", runbook.id, runbook.version, hash.get(..12).unwrap_or_default()));
    super::print(&format!("target  {} on {} ({})\n", runbook.target.service, runbook.target.platform, runbook.target.environment));
    let mut weight = real.and_then(|p| p.before.route.as_ref()).map(|route| route.shown());
    let mut first = true;
    for (i, step) in runbook.steps.iter().enumerate() {
        super::print(&format!("{:>3} {:<7} {:<44} {}", i + 1, step.kind.word(), step.title, asks(step)));
        if let StepKind::Do(action) = &step.kind {
            if let (true, Some(real)) = (first, real) {
                for line in &real.diff {
                    super::print(&format!("             {}: {} -> {}", line.field, line.before, line.after));
                }
                if real.is_noop() {
                    super::print("             no change: the platform is already there");
                }
                super::print(&format!("             dry run: {}", preflight(&real.dry_run)));
            } else if let (Some(weight), Action::SetWeight { canary }) = (&weight, action) {
                super::print(&format!("             predicted: canary {weight} -> {canary}% (worked out anew before it runs)"));
            } else {
                super::print(&format!("             predicted: {action} (worked out anew before it runs)"));
            }
            weight = action.weight().map(|weight| format!("{weight}%")).or(weight);
            first = false;
        }
    }
    super::print("\nway back (B, 0, Enter at any time)");
    for step in &runbook.rollback.steps {
        super::print(&format!("    {:<7} {}", step.kind.word(), step.title));
    }
    super::print("");
    for (kind, answer) in rights {
        super::print(&format!("rights  {}: {}", kind.word(), preflight(answer)));
    }
    let end = longest(runbook).map_or_else(|| "no end: a step has no timeout or waits for people".to_owned(), span);
    super::print(&format!("time    at least {}, at most {end} without people", span(shortest(runbook))));
    let point = runbook.steps.iter().find(|s| s.undo == Undo::Irreversible);
    super::print(
        &point.map_or_else(|| "undo    every act can be taken back".to_owned(), |s| format!("undo    POINT OF NO RETURN at {}", s.id)),
    );
    for guard in &runbook.guards {
        super::print(&format!("guard   {}: good is {}", guard.id, guard.probe.describe()));
    }
}

/// The kinds of action that the runbook has, forward and on the way back.
fn kinds(runbook: &Runbook) -> std::collections::BTreeSet<ActionKind> {
    let steps = runbook.steps.iter().chain(&runbook.rollback.steps);
    let forward = steps.clone().filter_map(|step| if let StepKind::Do(action) = &step.kind { Some(action.kind()) } else { None });
    let back = steps.filter_map(|step| if let Undo::Action(action) = &step.undo { Some(action.kind()) } else { None });
    forward.chain(back).collect()
}

fn preflight(answer: &Preflight) -> String {
    match answer {
        Preflight::Accepted => "yes".into(),
        Preflight::Refused { why } => format!("NO: {why}"),
        Preflight::NotAsked { why } => format!("not asked: {why}"),
    }
}

fn asks(step: &Step) -> String {
    match (&step.kind, step.confirm) {
        (StepKind::Do(action), crate::domain::Confirm::Consequence) => format!("type {}", action.consequence()),
        (StepKind::Do(_), crate::domain::Confirm::Yes) | (StepKind::Gate, _) => "y".into(),
        (StepKind::Do(_), crate::domain::Confirm::Override) => "second person".into(),
        (StepKind::Manual(manual), _) => format!("{} answers", manual.items.len()),
        (StepKind::Approve(approve), _) => {
            approve.need.iter().map(|(role, count)| format!("{count} {role}")).collect::<Vec<_>>().join(", ")
        }
        (StepKind::Poll(poll), _) => poll.roles.iter().chain(&poll.decider).cloned().collect::<Vec<_>>().join(", "),
        (StepKind::Wait { duration, .. }, _) => span(*duration),
        (StepKind::Check(check), _) => {
            let hold = check.conditions.iter().map(|c| c.hold).max().unwrap_or_default();
            format!("{} conditions, hold {}", check.conditions.len(), span(hold))
        }
        _ => String::new(),
    }
}

/// Holds and bakes, without people.
fn shortest(runbook: &Runbook) -> Duration {
    runbook.steps.iter().map(least).sum()
}

fn least(step: &Step) -> Duration {
    match &step.kind {
        StepKind::Wait { duration, .. } => *duration,
        StepKind::Check(check) => check.conditions.iter().map(|c| c.hold).max().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

/// Timeouts and bakes, without people; `None` when a working step has no timeout.
fn longest(runbook: &Runbook) -> Option<Duration> {
    runbook
        .steps
        .iter()
        .map(|s| match &s.kind {
            StepKind::Wait { duration, .. } => Some(*duration),
            StepKind::Check(_) | StepKind::Do(_) => s.timeout,
            StepKind::Manual(_) | StepKind::Gate | StepKind::Approve(_) | StepKind::Poll(_) => Some(Duration::ZERO),
        })
        .sum()
}
