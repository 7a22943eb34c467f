//! View 7: the steps, the one at work, and what can be decided.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::window;
use super::line::{Line, Role, pad, wrap};
use super::sight::{Sight, short_span};
use super::{cockpit, events, gates};
use crate::app::model::RunView;
use crate::domain::text::{clock, span};
use crate::domain::{Confirm, Outcome, Probe};
use crate::runbook::plan::{Choice, Item, ManualMode, OnNoData, Step, StepKind, Undo, When};
use crate::runbook::record::Found;
use crate::runbook::state::{OpStage, Operation, Phase, StepPhase, StepState};

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

fn word(phase: StepPhase) -> &'static str {
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
        panels.push(detail(sight, body, run, number, step, *known, here(run) == Some(shown)));
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

fn detail(sight: &Sight<'_>, area: Area, run: &RunView, number: &str, step: &Step, known: Option<&StepState>, is_here: bool) -> Panel {
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
        StepKind::Wait { duration } => match sight.bake_of(run, step, known) {
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
            let good = known.answers.values().filter(|a| a.ok).count();
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
    }
}

fn item_line(sight: &Sight<'_>, index: usize, item: &Item, known: &StepState) -> Line {
    let (role, sign) = match known.answers.get(&index) {
        Some(answer) if answer.ok => (Role::Ok, sight.glyphs.ok()),
        Some(_) => (Role::Bad, sight.glyphs.bad()),
        None => (Role::Primary, "."),
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

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Holding => "HOLDING",
        Outcome::Fail => "FAIL",
        Outcome::NoData => "NO DATA",
        Outcome::Stale => "STALE",
        Outcome::Error => "ERROR",
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

/// The operation in flight in one line, when it is what matters now.
pub(super) fn operation_line(sight: &Sight<'_>) -> Option<Line> {
    let run = sight.run()?;
    let op = run.state.operation.as_ref()?;
    let what = if op.fence { "fence (no change of weights)".to_owned() } else { op.action.to_string() };
    match &op.stage {
        OpStage::Unknown { failure, found } => {
            let why = failure.as_ref().map_or_else(String::new, |f| format!(": {f}"));
            let line = Line::default().mark(Role::Unknown, "?").word(Role::Unknown, " OUTCOME UNKNOWN").text(format!(" of {what}"));
            Some(line.text(format!("{}   D decides", found.map_or(why, |f| format!(": {}", found_words(f))))))
        }
        OpStage::Intent => Some(Line::of(format!("{what}: sent, waiting for the answer"))),
        OpStage::Accepted => Some(Line::of(format!("{what}: accepted, waiting to see it on the platform"))),
        OpStage::Confirmed { .. } => {
            Some(Line::of(format!("{what}: confirmed, {}", run.doing.as_deref().unwrap_or("re-reading the platform"))))
        }
        OpStage::Planned | OpStage::NotApplied { .. } | OpStage::Verified | OpStage::Void => None,
    }
}

/// Whether nobody knows what became of the latest operation.
pub(super) fn is_unclear(sight: &Sight<'_>) -> bool {
    let operation = sight.run().and_then(|r| r.state.operation.as_ref());
    operation.is_some_and(|op| matches!(op.stage, OpStage::Unknown { .. }))
}

/// What reading the platform said, for people.
pub(super) fn found_words(found: Found) -> &'static str {
    match found {
        Found::Applied => "the platform shows our change: it was applied",
        Found::AppliedThenChanged => "our change was applied, then somebody else changed it",
        Found::NotYet => "not applied so far; a late write may still come",
        Found::Never => "not applied, and it can never be any more",
        Found::DoneByOther => "somebody else set it as wanted",
        Found::Drifted => "somebody else changed it to something else",
    }
}

fn operation_lines(sight: &Sight<'_>, run: &RunView, op: &Operation, cells: usize) -> Vec<Line> {
    let attempt = if op.attempt > 1 { format!(" attempt {}", op.attempt) } else { String::new() };
    let at = |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(String::new, |t| format!(" {}", sight.time(t).trim_end()));
    let mut lines = Vec::new();
    let stage = match &op.stage {
        OpStage::Planned => Line::of("shown, not confirmed"),
        OpStage::Confirmed { seq } => {
            Line::of(format!("confirmed (entry {seq}), {}", run.doing.as_deref().unwrap_or("re-reading the platform")))
        }
        OpStage::Intent => Line::of(format!("sent{}: no answer yet", at(op.intent_at))),
        OpStage::Accepted => Line::of(format!("accepted{}: waiting to see it on the platform", at(op.accepted_at))),
        OpStage::Verified => Line::default().mark(Role::Ok, sight.glyphs.ok()).text(format!(" in force{}", at(op.verified_at))),
        OpStage::Void => Line::of("not sent: the confirmation became void"),
        OpStage::NotApplied { failure } => {
            Line::default().mark(Role::Bad, sight.glyphs.bad()).text(format!(" certainly not applied: {failure}"))
        }
        OpStage::Unknown { .. } => Line::default().mark(Role::Unknown, "?").word(Role::Unknown, " OUTCOME UNKNOWN").text(at(op.intent_at)),
    };
    lines.push(Line::of(format!(" operation   {}{attempt}: ", op.action)).then(stage));
    if let OpStage::Unknown { failure, found } = &op.stage {
        if let Some(failure) = failure {
            lines
                .extend(wrap(&failure.to_string(), cells.saturating_sub(15), 2).into_iter().map(|l| Line::of(format!("             {l}"))));
        }
        match found {
            Some(found) => {
                let seen = op.seen.as_ref().map_or_else(String::new, |s| format!(" ({s})"));
                let text = format!("{}{seen}", found_words(*found));
                let parts = wrap(&text, cells.saturating_sub(15), 2);
                lines.extend(
                    parts.into_iter().enumerate().map(|(i, l)| Line::of(format!(" {:<11} {l}", if i == 0 { "found" } else { "" }))),
                );
                lines.push(Line::of(" decide      ").word(Role::HintKey, "D").text(format!("  {}", offered(*found))));
            }
            None => lines.push(Line::of(" found       not read yet; nothing is sent again by itself")),
        }
    }
    lines
}

fn offered(found: Found) -> &'static str {
    match found {
        Found::Applied => "nothing to decide: it is verified next",
        Found::NotYet | Found::Never => "redo it behind a fence, or back out",
        Found::AppliedThenChanged | Found::DoneByOther | Found::Drifted => "adopt what is there, redo it behind a fence, or back out",
    }
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let run = sight.run()?;
    let state = &run.state;
    let auto = if state.auto_back_out { "   a guard may back out by itself" } else { "" };
    Some(format!("{} {}@{}   run {}{auto}", state.runbook.id, state.runbook.version, state.hash.get(..6).unwrap_or_default(), state.run))
}
