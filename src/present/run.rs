//! View 7: the steps, the one at work, and what can be decided.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::window;
use super::line::{Line, Role};
use super::sight::Sight;
use super::step::{self, Shown};
use super::{cockpit, events, gates};
use crate::app::model::RunView;
use crate::domain::text::span;
use crate::domain::{Confirm, Probe};
use crate::runbook::plan::{Step, StepKind, Undo};
use crate::runbook::state::{Phase, StepPhase, StepState};

/// The sign of a step's state.
pub(super) fn sign(sight: &Sight<'_>, phase: StepPhase) -> (Role, &'static str) {
    match phase {
        StepPhase::Pending => (Role::Primary, "."),
        StepPhase::Active => (Role::Focus, sight.glyphs.here()),
        StepPhase::Passed => (Role::Ok, sight.glyphs.ok()),
        StepPhase::Failed => (Role::Bad, sight.glyphs.bad()),
        StepPhase::Inconclusive => (Role::Unknown, "?"),
        StepPhase::Skipped => (Role::Primary, "-"),
        StepPhase::Undone => (Role::Primary, "<"),
    }
}

/// The word for a step's state.
pub(super) fn word(phase: StepPhase) -> &'static str {
    match phase {
        StepPhase::Pending => "",
        StepPhase::Active => "NOW",
        StepPhase::Passed => "passed",
        StepPhase::Failed => "FAILED",
        StepPhase::Inconclusive => "INCONCLUSIVE",
        StepPhase::Skipped => "skipped",
        StepPhase::Undone => "undone",
    }
}

/// Forward steps and those of the way back, with their states.
fn all_steps(run: &RunView) -> Vec<(String, &Step, Option<&StepState>)> {
    let state = &run.state;
    let forward = state.runbook.steps.iter().enumerate().map(|(i, s)| (format!("{}", i + 1), s, state.steps.get(i)));
    let back = state.rollback_plan.iter().enumerate().map(|(i, s)| (format!("R{}", i + 1), s, state.rollback.get(i)));
    forward.chain(back).collect()
}

/// The place of the step at work among [`all_steps`].
fn here(run: &RunView) -> Option<usize> {
    let active = |s: &StepState| matches!(s.phase, StepPhase::Active | StepPhase::Failed | StepPhase::Inconclusive);
    let forward = run.state.steps.len();
    if run.state.phase == Phase::Running {
        run.state.steps.iter().position(active)
    } else {
        run.state.rollback.iter().position(active).map(|i| forward + i)
    }
}

/// A line per step, in a window around `at` or the step at work.
pub(super) fn step_list(sight: &Sight<'_>, cells: usize, room: usize, at: Option<usize>) -> Vec<Line> {
    let Some(run) = sight.run() else { return Vec::new() };
    let steps = all_steps(run);
    let current = here(run);
    let forward = run.state.steps.len();
    let place = at.or(current).or_else(|| sight.place()).unwrap_or(0);
    let mut lines: Vec<Line> = Vec::with_capacity(steps.len() + 1);
    let mut wanted = place;
    for (i, (number, step, known)) in steps.iter().enumerate() {
        if i == forward {
            let why = run.state.rollback_began.as_ref().map_or_else(String::new, |(at, why, auto)| {
                let by = if *auto { "by itself, " } else { "" };
                format!(" began {} ({by}{why})", sight.time(*at).trim_end())
            });
            lines.push(Line::of(format!(" the way back:{why}")).fit(cells));
            if place >= forward {
                wanted += 1;
            }
        }
        let line = step_line(sight, number, step, *known, current == Some(i), cells);
        lines.push(if at == Some(i) { mark_selected(sight, line, cells) } else { line.fit(cells) });
    }
    let from = window(wanted, lines.len(), room);
    lines.into_iter().skip(from).take(room).collect()
}

fn step_line(sight: &Sight<'_>, number: &str, step: &Step, known: Option<&StepState>, is_here: bool, cells: usize) -> Line {
    let phase = known.map_or(StepPhase::Pending, |s| s.phase);
    // A forward step that the way back has overtaken is not at work any more.
    let (role, sign) = if phase == StepPhase::Active && !is_here { (Role::Primary, "-") } else { sign(sight, phase) };
    let mut left = Line::of(" ").mark(role, sign).text(format!(" {number:>2} {}", step.title));
    if matches!(step.undo, Undo::Irreversible) {
        left = left.word(Role::Watch, "  [IRREVERSIBLE]");
    }
    if is_here {
        let text = if cells >= 70 { " <-- YOU ARE HERE" } else { " <-- HERE" };
        left = left.word(Role::Focus, text);
    }
    let ended = known.and_then(|s| s.ended);
    let took = known.and_then(|s| Some((s.entered?, s.ended?))).map(|(a, b)| span(crate::domain::time::age(b, a)));
    let is_left = phase == StepPhase::Active && !is_here;
    let right = match phase {
        _ if is_left => "left here ".into(),
        StepPhase::Passed => match (ended, took) {
            (Some(at), Some(took)) => format!("{} {:>7} ", sight.time(at), took),
            _ => "passed ".into(),
        },
        StepPhase::Active => known.and_then(|s| s.entered).map_or_else(|| "NOW ".into(), |at| format!("since {} ", sight.time(at))),
        StepPhase::Pending => {
            if cells >= 60 {
                format!("{} ", confirm_word(step))
            } else {
                String::new()
            }
        }
        other => format!("{} ", word(other)),
    };
    let right = match phase {
        StepPhase::Failed | StepPhase::Inconclusive => Line::default().word(Role::Bad, right),
        _ => Line::of(right),
    };
    Line::between(left, right, cells)
}

fn confirm_word(step: &Step) -> &'static str {
    match (&step.kind, step.confirm) {
        (StepKind::Do(_), Confirm::None) | (StepKind::Check(_) | StepKind::Wait { .. }, _) => "auto",
        (StepKind::Do(_), Confirm::Override) => "override",
        _ => "driver",
    }
}

/// View 7.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let Some(run) = sight.run() else {
        let lines = vec![
            Line::of(" nothing is being released"),
            Line::default(),
            Line::of(format!("   {} run RUNBOOK       starts one", sight.command())),
            Line::of(format!("   {} runs              lists the runs so far", sight.command())),
        ];
        return vec![Panel::new(body, Line::of("RUNBOOK no run"), Line::default()).with(lines).close()];
    };
    let steps = all_steps(run);
    let selection = sight.model.selection();
    let chosen = selection
        .filter(|s| s.id.is_some() || s.place > 0)
        .map(|s| super::instances::cursor(Some(s), steps.iter().map(|(_, s, _)| s.id.as_str()), steps.len()).place);
    let mut panels = Vec::new();
    let right = if sight.tier >= Tier::Medium {
        let (left, right) = body.split_left(body.width * 57 / 100);
        body = left;
        Some(right)
    } else {
        None
    };
    let title = format!("RUNBOOK {}  {}", run.state.runbook.title, sight.progress().unwrap_or_else(|| run.state.phase.word().into()));
    let wanted = steps.len() + 2;
    let list_rows = wanted.min((usize::from(body.height) * 6 / 10).max(4));
    let list = Panel::new(body.take_top(u16::try_from(list_rows).unwrap_or(10)), Line::of(title), cockpit::state_word(sight));
    let lines = step_list(sight, list.inner_width(), list.inner_height(), chosen);
    panels.push(list.with(lines));
    let shown = chosen.or_else(|| here(run)).or_else(|| sight.place()).unwrap_or(0);
    if let Some((number, step, known)) = steps.get(shown) {
        let shown = Shown { run, number, step, known: *known, is_here: here(run) == Some(shown) };
        panels.push(step::detail(sight, body, &shown));
    } else {
        panels.push(Panel::new(body, Line::of("STEP"), Line::default()).close());
    }
    if let Some(mut right) = right {
        let gates_height = u16::try_from(sight.model.gates.len() * 2 + 2).unwrap_or(12).min(right.height * 6 / 10);
        panels.push(gate_panel(sight, right.take_top(gates_height)));
        panels.push(events::panel(sight, right, "NOTES and EVENTS").close());
    }
    panels
}

fn gate_panel(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of("GATES"), sight.freshness(gates::source(sight)));
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let mut lines = Vec::new();
    let with_spark = sight.model.gates.len() * 2 < room;
    for gate in &sight.model.gates {
        lines.push(gates::short(sight, gate, 16).fit(cells));
        if let (true, Probe::Promql(threshold)) = (with_spark, &gate.probe) {
            let old = gates::is_old(sight, gate);
            let buckets = super::glyph::spark_buckets(gate.series.as_ref(), threshold, sight.now.wall, old, cells.saturating_sub(4));
            lines.push(Line::of(" ").then(sight.glyphs.spark(&buckets)));
        }
    }
    let reasons: Vec<&str> = sight.model.verdict.reasons.iter().map(|r| r.text.as_str()).collect();
    let overall = format!(" overall: {}  {}", sight.model.verdict.verdict, reasons.join("; "));
    lines.truncate(room.saturating_sub(1));
    lines.push(Line::of(overall).fit(cells));
    panel.with(lines)
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let run = sight.run()?;
    let state = &run.state;
    let auto = if state.auto_back_out { "   a guard may back out by itself" } else { "" };
    Some(format!("{} {}@{}   run {}{auto}", state.runbook.id, state.runbook.version, state.hash.get(..6).unwrap_or_default(), state.run))
}
