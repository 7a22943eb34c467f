//! One step of a runbook: what it waits for, what it does, how it is taken back.

use super::cockpit;
use super::frame::{Area, Panel};
use super::items::{Standing, outcome_word};
use super::line::{Line, Role, pad, wrap};
use super::operation::operation_lines;
use super::run::word;
use super::sight::{Sight, short_span};
use crate::app::model::RunView;
use crate::domain::text::{clock, span};
use crate::domain::{Confirm, Outcome, Probe};
use crate::runbook::plan::{Choice, Item, ManualMode, OnNoData, Step, StepKind, Undo, When};
use crate::runbook::question::is_met;
use crate::runbook::state::{StepPhase, StepState};

/// A step, and where it stands.
pub(super) struct Shown<'a> {
    pub(super) run: &'a RunView,
    /// `6`, or `R2` on the way back.
    pub(super) number: &'a str,
    pub(super) step: &'a Step,
    pub(super) known: Option<&'a StepState>,
    /// It is the one at work.
    pub(super) is_here: bool,
}

/// Everything about one step.
pub(super) fn detail(sight: &Sight<'_>, area: Area, shown: &Shown<'_>) -> Panel {
    let Shown { run, number, step, known, is_here } = *shown;
    let entered = known.and_then(|s| s.entered).map_or_else(Line::default, |at| {
        let again = known.map_or(0, |s| s.attempts);
        let again = if again > 1 { format!(" (attempt {again})") } else { String::new() };
        Line::of(format!("entered {}{again}", sight.time(at).trim_end()))
    });
    let panel = Panel::new(area, Line::of(format!("STEP {number} {}", step.title)), entered).close();
    let cells = panel.inner_width();
    let mut lines = Vec::new();
    if sight.model.screen.source {
        lines.extend(exact(sight, run, step, cells));
    }
    let operation = run.state.operation.as_ref().filter(|op| op.step == step.id);
    if let Some(op) = operation {
        lines.extend(operation_lines(sight, run, op, cells));
    }
    let default = StepState::default();
    let known = known.unwrap_or(&default);
    lines.extend(kind_lines(sight, run, step, known, is_here, cells));
    if matches!(known.phase, StepPhase::Failed | StepPhase::Inconclusive) {
        lines.push(
            Line::of(" ")
                .mark(Role::Bad, sight.glyphs.bad())
                .word(Role::Bad, format!(" {}", word(known.phase)))
                .text(format!(": {}", known.why)),
        );
        let offer: Vec<String> = step.on_failure.offer.iter().map(|c| choice(*c).to_owned()).collect();
        lines.push(Line::of(" decide      ").word(Role::HintKey, "D").text(format!("  {}", offer.join(", "))));
    } else if !known.why.is_empty() {
        lines.push(Line::of(format!(" {:<11} {}", word(known.phase), known.why)));
    }
    lines.extend(frame_lines(step, known, sight));
    if !step.doc.is_empty() {
        lines.push(Line::default());
        lines.extend(wrap(&step.doc, cells.saturating_sub(2), 8).into_iter().map(|l| Line::of(format!(" {l}"))));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Retry => "retry",
        Choice::Skip => "skip",
        Choice::BackOut => "back out",
        Choice::Abort => "abort",
    }
}

fn kind_lines(sight: &Sight<'_>, run: &RunView, step: &Step, known: &StepState, is_here: bool, cells: usize) -> Vec<Line> {
    match &step.kind {
        StepKind::Wait { duration, .. } => match sight.bake_of(run, step, known) {
            Some(_) if is_here => vec![cockpit::bake_line(sight, cells)],
            Some(bake) => vec![Line::of(format!(" bake        {} of {}", clock(bake.done()), clock(*duration)))],
            None => vec![Line::of(format!(" bake        {} of live data without a hold", short_span(*duration)))],
        },
        StepKind::Check(check) => {
            let how = if check.all { "all of" } else { "any of" };
            let mut lines = vec![Line::of(format!(" exit when   {how}:"))];
            for condition in &check.conditions {
                let hold = if condition.hold.is_zero() { String::new() } else { format!(" for {}", short_span(condition.hold)) };
                let blind = match condition.on_no_data {
                    OnNoData::Wait => "",
                    OnNoData::Fail => ", no data fails",
                    OnNoData::Pass => ", no data passes",
                };
                let outcome = known.conditions.get(&condition.id);
                let (role, sign, found) = match outcome {
                    Some((outcome, shown)) => {
                        (Role::of(outcome.verdict()), outcome_sign(sight, *outcome), format!("{} {shown}", outcome_word(*outcome)))
                    }
                    None => (Role::Primary, ".", "not asked yet".into()),
                };
                let what = format!("{} {}{hold}{blind}", condition.id, condition.probe.describe());
                lines.push(Line::of("   ").mark(role, sign).text(format!(" {} {found}", pad(&what, (cells / 2).min(48)))));
                if sight.model.screen.source
                    && let Probe::Promql(threshold) = &condition.probe
                {
                    lines.extend(wrap(&threshold.query, cells.saturating_sub(6), 3).into_iter().map(|l| Line::of(format!("     {l}"))));
                }
            }
            lines
        }
        StepKind::Manual(manual) => {
            let mode = match manual.mode {
                ManualMode::ReadDo => "read one, do it, answer it",
                ManualMode::DoConfirm => "do all, then confirm each",
            };
            let good = manual.items.iter().enumerate().filter(|(i, item)| is_met(item, *i, known)).count();
            let mut lines = vec![Line::of(format!(" items       {good} of {} answered   {mode}   (6 shows them)", manual.items.len()))];
            lines.extend(manual.items.iter().enumerate().map(|(i, item)| item_line(sight, i, item, known)));
            lines
        }
        StepKind::Do(action) => vec![
            Line::of(format!(" does        {action}, the rest to the baseline")),
            Line::of(format!(
                " confirm     {}",
                confirm(step.confirm, &action.consequence(), run.state.runbook.position(&step.id).is_some())
            )),
        ],
        StepKind::Gate => vec![Line::of(" decision    P, then y lets the run go on; nothing is written to the platform")],
        StepKind::Approve(_) | StepKind::Poll(_) => {
            let mut lines = vec![Line::of(" decision    by several people, each in their own name (6 shows the board)")];
            lines.extend(super::board::lines(sight, run, &step.id, cells));
            lines
        }
    }
}

fn item_line(sight: &Sight<'_>, index: usize, item: &Item, known: &StepState) -> Line {
    let (role, sign) = match Standing::of(item, index, Some(known)) {
        Standing::Ok => (Role::Ok, sight.glyphs.ok()),
        bad if bad.is_bad() => (Role::Bad, sight.glyphs.bad()),
        _ => (Role::Primary, "."),
    };
    Line::of("   ").mark(role, sign).text(format!(" {} {}", index + 1, item.challenge))
}

fn confirm(confirm: Confirm, consequence: &str, forward: bool) -> String {
    let key = if forward { "P" } else { "B" };
    match confirm {
        Confirm::None => "none: it acts by itself".into(),
        Confirm::Yes => format!("{key}, then y"),
        Confirm::Consequence => format!("{key}, then type {consequence}"),
        Confirm::Override => "override: service@environment, a reason, a second person".into(),
    }
}

fn outcome_sign(sight: &Sight<'_>, outcome: Outcome) -> &'static str {
    sight.glyphs.verdict(outcome.verdict())
}

/// Condition of entry, time, undo, what happens on failure.
fn frame_lines(step: &Step, known: &StepState, sight: &Sight<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(when) = &step.when {
        lines.push(Line::of(format!(" entered if  {}", condition(when))));
    }
    if let Some(timeout) = step.timeout {
        let left = known.entered.filter(|_| known.phase == StepPhase::Active);
        let left = left.map_or_else(String::new, |at| format!(", {} left", span(timeout.saturating_sub(sight.age(at)))));
        lines.push(Line::of(format!(" time        {}{left} (holds do not count)", short_span(timeout))));
    }
    let undo = match &step.undo {
        Undo::None => "nothing needed".to_owned(),
        Undo::Action(action) => action.to_string(),
        Undo::Irreversible => "IRREVERSIBLE: this step cannot be taken back".into(),
    };
    lines.push(Line::of(" if it fails ").word(Role::HintKey, "B").text(format!("  canary -> 0%   undo of this step: {undo}")));
    lines
}

fn condition(when: &When) -> String {
    let list = |all: &[When], word: &str| all.iter().map(condition).collect::<Vec<_>>().join(word);
    match when {
        When::Done(step) => format!("{step} passed"),
        When::Reached(step) => format!("{step} was begun"),
        When::And(all) => list(all, " and "),
        When::Or(any) => format!("({})", list(any, " or ")),
        When::Not(inner) => format!("not {}", condition(inner)),
        When::Given { param, value } => format!("{param} is {value}"),
    }
}

/// The exact call behind the step, when it was worked out.
fn exact(sight: &Sight<'_>, run: &RunView, step: &Step, cells: usize) -> Vec<Line> {
    let proposal = sight.model.prompt.as_ref().and_then(|p| p.proposal.as_ref()).filter(|p| p.step == step.id);
    let mut lines = Vec::new();
    match proposal {
        Some(proposal) => {
            for part in proposal.plan.request.lines() {
                lines.extend(wrap(part, cells.saturating_sub(2), 6).into_iter().map(|l| Line::of(format!(" {l}"))));
            }
        }
        None if matches!(step.kind, StepKind::Do(_)) => {
            lines.push(Line::of(" call        P works it out and shows it (Tab), without sending anything"));
        }
        None => {}
    }
    lines.push(Line::of(format!(
        " runbook     {} v{} sha256 {}",
        run.state.runbook.id,
        run.state.runbook.version,
        run.state.hash.get(..12).unwrap_or_default()
    )));
    lines
}
