//! Runbooks that the tests run.

use crate::domain::{Action, Confirm, Op, Percent, PlatformCondition, Probe, StepId, Threshold, Unit};
use crate::runbook::plan::*;
use std::time::Duration;

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn weight(n: u32) -> Action {
    Action::SetWeight { canary: Percent::new(n).unwrap() }
}

pub(super) fn step(id: &str, kind: StepKind) -> Step {
    let undo = if matches!(kind, StepKind::Do(_)) { Undo::Action(weight(0)) } else { Undo::None };
    let timeout = matches!(kind, StepKind::Do(_) | StepKind::Check(_)).then(|| secs(120));
    let confirm = if matches!(kind, StepKind::Do(_)) { Confirm::Consequence } else { Confirm::None };
    let on_failure = OnFailure { offer: vec![Choice::Retry, Choice::Skip, Choice::BackOut, Choice::Abort], ..OnFailure::default() };
    Step { timeout, confirm, undo, on_failure, ..Step::new(id.into(), format!("Step {id}"), kind) }
}

pub(super) fn shift(id: &str, to: u32) -> Step {
    step(id, StepKind::Do(weight(to)))
}

pub(super) fn ready() -> Probe {
    Probe::Platform(PlatformCondition { ready_all: true, ..PlatformCondition::default() })
}

pub(super) fn check(id: &str) -> Step {
    let condition = |id: &str, on_no_data| Condition { id: id.into(), probe: ready(), hold: secs(10), every: secs(5), on_no_data };
    let conditions = vec![condition("errors", OnNoData::Wait), condition("ready", OnNoData::Wait)];
    step(id, StepKind::Check(Check { all: true, conditions }))
}

pub(super) fn bake(id: &str, seconds: u64) -> Step {
    step(id, StepKind::Wait { duration: secs(seconds), shorten: None })
}

pub(super) fn checklist(id: &str) -> Step {
    let items = vec![
        Item::asking("Ticket".into(), AnswerKind::Text { equals: Some("OPS-1".into()), pattern: None }),
        Item::asking("Flag is off".into(), AnswerKind::Done),
    ];
    step(id, StepKind::Manual(Manual { mode: ManualMode::DoConfirm, items }))
}

pub(super) fn guard(id: &str, then: GuardThen) -> Guard {
    Guard {
        id: id.into(),
        title: "error rate".into(),
        probe: Probe::Promql(Threshold { query: "errors".into(), op: Op::Less, limit: 1.0, unit: Unit::Number, lookback: secs(60) }),
        every: secs(5),
        bad_for: secs(30),
        on_no_data: GuardBlind::Ignore,
        on_error: GuardBlind::Hold,
        from: Some(StepId::from("to-25")),
        until: None,
        then,
    }
}

pub(super) fn book(steps: Vec<Step>, rollback: Vec<Step>, guards: Vec<Guard>) -> Runbook {
    let target = Target {
        platform: "prod-eu".into(),
        service: "checkout".into(),
        environment: "production".into(),
        harm_budget: None,
        with: vec![],
    };
    let rollback = Rollback { confirm: Confirm::Consequence, steps: rollback, last_resort: None };
    Runbook { guards, steps, rollback, ..Runbook::unwritten("canary".into(), "Canary".into(), "payments".into(), target, weight(0)) }
}

/// Everything in one: checklist, shifts, checks, a bake, a gate, a guard that backs out; the way back from the file.
pub(super) fn full() -> Runbook {
    let mut back = shift("rb-weight", 0);
    back.when = Some(When::Reached("to-25".into()));
    let steps = vec![
        checklist("preflight"),
        shift("to-25", 25),
        check("look-25"),
        bake("bake-25", 150),
        step("agree", StepKind::Gate),
        shift("to-50", 50),
        check("look-50"),
    ];
    book(steps, vec![back, check("rb-look")], vec![guard("errors", GuardThen::Rollback)])
}

/// Three shifts whose undo actions make up the way back.
pub(super) fn stairs() -> Runbook {
    let undo = |mut step: Step, to: u32| {
        step.undo = Undo::Action(weight(to));
        step
    };
    let steps = vec![undo(shift("to-25", 25), 0), undo(shift("to-50", 50), 25), undo(shift("to-100", 100), 50)];
    book(steps, vec![], vec![guard("errors", GuardThen::Hold)])
}
