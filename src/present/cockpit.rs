//! View 1: what is live, is it healthy, what happens next, how do I get out.

use super::chart::Chart;
use super::frame::{Area, Panel, Tier};
use super::line::{Line, Role};
use super::sight::Sight;
use super::{alerts, card, events, gates, harm, instances, operation, run, targets, traffic};
use crate::app::model::Gate;
use crate::domain::text::{clock, span};
use crate::domain::{Action, Op, Probe, Verdict};
use crate::runbook::plan::{AnswerKind, StepKind};
use crate::runbook::question::is_met;
use crate::runbook::state::{Phase, StepPhase};

/// The panels of the cockpit.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let wide = sight.tier >= Tier::Medium;
    let mut panels = Vec::new();
    panels.push(split(sight, body.take_top(if wide { 3 } else { 2 })));
    let others = targets::rows(sight, false);
    if others > 0 && body.height > others + 8 {
        panels.push(targets::panel(sight, body.take_top(others)));
    }
    match sight.tier {
        Tier::Large => large(sight, body, &mut panels),
        Tier::Medium => medium(sight, body, &mut panels),
        _ => small(sight, body, &mut panels),
    }
    panels
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn small(sight: &Sight<'_>, mut body: Area, panels: &mut Vec<Panel>) {
    let room = usize::from(body.height).saturating_sub(1 + 5 + 5).max(1);
    let count = gate_rows(sight).clamp(1, room);
    panels.push(gate_table(sight, body.take_top(rows(count) + 1)));
    panels.push(now(sight, body.take_top(4 + u16::from(harm::shows(sight)))));
    let (left, right) = body.split_left(38);
    panels.push(instances::summary(sight, left).close());
    panels.push(match &sight.model.alerts {
        Some(board) => alerts::summary(sight, board, right).close(),
        None => events::panel(sight, right, "EVENTS").close(),
    });
}

fn medium(sight: &Sight<'_>, mut body: Area, panels: &mut Vec<Panel>) {
    let count = gate_rows(sight).clamp(5, 9);
    let top = body.take_top(rows(count) + 1);
    let (left, right) = top.split_left(top.width * 61 / 100);
    panels.push(gate_table(sight, left));
    panels.push(now(sight, right));
    let rest = usize::from(body.height);
    let wanted = instances::rows_wanted(sight) + 2;
    let middle = body.take_top(rows(wanted.clamp(4, (rest / 2).max(4))));
    let (left, right) = middle.split_left(middle.width * 61 / 100);
    panels.push(instances::table_panel(sight, left));
    panels.push(match &sight.model.alerts {
        Some(board) => alerts::summary(sight, board, right),
        None => events::platform_panel(sight, right),
    });
    panels.push(events::panel(sight, body, "LAST EVENTS").close());
}

fn large(sight: &Sight<'_>, mut body: Area, panels: &mut Vec<Panel>) {
    let gate_rows = gate_rows(sight).clamp(2, 11);
    let steps = sight.run().map_or(0, |r| r.state.steps.len() + r.state.rollback_plan.len());
    let top_rows = (gate_rows + 1 + 12).max(steps.min(20) + 15).min(usize::from(body.height) * 6 / 10);
    let top = body.take_top(rows(top_rows));
    let width = top.width * 61 / 100;
    let (mut left, right) = top.split_left(width);
    panels.push(gate_table(sight, left.take_top(rows(gate_rows) + 1)));
    panels.push(chart_of_closest(sight, left));
    panels.push(now_and_steps(sight, right));
    let wanted = instances::rows_wanted(sight) + 2;
    let middle = body.take_top(rows(wanted.clamp(4, usize::from(body.height).saturating_sub(7).max(4))));
    let (left, right) = middle.split_left(middle.width / 2);
    panels.push(instances::table_panel(sight, left));
    panels.push(match &sight.model.alerts {
        Some(board) => alerts::summary(sight, board, right),
        None => events::platform_panel(sight, right),
    });
    panels.push(events::panel(sight, body, "LAST EVENTS").close());
}

/// The split of traffic, with the three weights in its title.
pub(super) fn split(sight: &Sight<'_>, area: Area) -> Panel {
    let title = Line::of("TRAFFIC ").then(sight.weights_and_agreement());
    let mut panel = Panel::new(area, title, sight.freshness(&sight.model.platform));
    let width = panel.inner_width();
    panel.lines.push(traffic::bar(sight, width));
    if panel.inner_height() > 1 {
        panel.lines.push(Line::of(" ").then(traffic::sources_line(sight)).fit(width));
    }
    panel
}

fn gate_table(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of(gates::TITLE), sight.freshness(gates::source(sight)));
    let cells = panel.inner_width();
    let logs = super::logs::gate_line(sight, cells);
    let mut lines = gates::table(sight, cells, panel.inner_height().saturating_sub(usize::from(logs.is_some())), None);
    lines.extend(logs);
    panel.with(lines)
}

/// A row for each gate, and one for the logs when they ask for a look.
fn gate_rows(sight: &Sight<'_>) -> usize {
    sight.model.gates.len() + usize::from(super::logs::gate_line(sight, 80).is_some())
}

fn chart_of_closest(sight: &Sight<'_>, area: Area) -> Panel {
    let with_series = |g: &&Gate| g.series.is_some();
    let gate = gates::closest(sight).filter(with_series).or_else(|| sight.model.gates.iter().find(with_series));
    match gate {
        Some(gate) => gate_chart(sight, gate, area),
        None => Panel::new(area, Line::of("CHART"), Line::default()).with(vec![Line::of(" no gate has samples yet")]),
    }
}

/// A chart of one gate.
pub(super) fn gate_chart(sight: &Sight<'_>, gate: &Gate, area: Area) -> Panel {
    let Probe::Promql(threshold) = &gate.probe else {
        return Panel::new(area, Line::of(&gate.title), Line::default()).with(vec![Line::of(format!(" {}", gate.finding.why))]);
    };
    let title = format!("{}  c canary b base - - limit {}", gate.title, threshold.unit.show(threshold.limit));
    let panel = Panel::new(area, Line::of(title), sight.freshness(&sight.model.metrics));
    let chart = Chart {
        canary: gate.series.as_ref(),
        base: gate.baseline.as_ref().and_then(|b| b.series.as_ref()),
        limit: Some(threshold.limit),
        unit: threshold.unit,
        good_below: !matches!(threshold.op, Op::Greater | Op::GreaterOrEqual),
        stale: gates::is_old(sight, gate),
        range: None,
    };
    let lines = chart.lines(sight, panel.inner_width(), panel.inner_height());
    panel.with(lines)
}

/// What happens now, next, and the way out.
pub(super) fn now(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, now_title(sight), state_word(sight));
    let (width, height) = (panel.inner_width(), panel.inner_height());
    let narrow = width < 60;
    let mut lines = now_lines(sight, width, if narrow { height.saturating_sub(2).min(2) } else { 1 });
    lines.extend(rollout_line(sight).filter(|_| height > lines.len() + 2));
    lines.extend(harm::line(sight, width));
    lines.extend(next_lines(sight, width, height.saturating_sub(lines.len() + 1)));
    lines.push(out_line(sight, width));
    lines.extend(card_lines(sight, width, height.saturating_sub(lines.len())));
    lines.truncate(height.max(1));
    panel.with(lines.into_iter().map(|l| l.fit(width)).collect())
}

fn now_and_steps(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, now_title(sight), state_word(sight));
    let width = panel.inner_width();
    let mut lines = now_lines(sight, width, 2);
    lines.extend(rollout_line(sight));
    lines.extend(harm::line(sight, width));
    lines.extend(next_lines(sight, width, 3));
    lines.push(out_line(sight, width));
    lines.extend(card_lines(sight, width, 6));
    lines.push(Line::default());
    let room = panel.inner_height().saturating_sub(lines.len());
    lines.extend(run::step_list(sight, width, room, None));
    panel.with(lines.into_iter().map(|l| l.fit(width)).collect())
}

fn now_title(sight: &Sight<'_>) -> Line {
    let Some(run) = sight.run() else { return Line::of("NOW no run") };
    let progress = sight.progress().unwrap_or_else(|| run.state.phase.word().to_owned());
    match run.state.current() {
        Some((step, _)) => Line::of(format!("NOW {progress}: {}", step.title)),
        None => Line::of(format!("NOW {progress}: {}", run.state.runbook.title)),
    }
}

/// Who or what stops the run, or the verdict.
pub(super) fn state_word(sight: &Sight<'_>) -> Line {
    let verdict = sight.model.verdict.verdict;
    let Some(run) = sight.run() else { return Line::default().word(Role::of(verdict), verdict.word()) };
    if let Some(hold) = &run.state.hold {
        let by = hold.guard.as_deref().map_or_else(|| hold.by.id.clone(), |g| format!("guard {g}"));
        return Line::default().word(Role::Bad, format!("HELD by {by} {}", sight.time(hold.since).trim_end()));
    }
    if sight.baking().is_some_and(|b| b.stopped.is_some()) && verdict == Verdict::Unknown {
        return Line::default().word(Role::Unknown, "HOLD: no data");
    }
    Line::default().word(Role::of(verdict), verdict.word())
}

/// What is going on, in at most two lines.
fn now_lines(sight: &Sight<'_>, width: usize, most: usize) -> Vec<Line> {
    let line = now_line(sight, width);
    if line.width() <= width || most < 2 {
        return vec![line];
    }
    let is_baking = sight.run().and_then(|r| r.state.current()).is_some_and(|(s, _)| matches!(s.kind, StepKind::Wait { .. }));
    if let Some(bake) = sight.baking().filter(|_| is_baking) {
        let clocks = format!(" {}/{}", clock(bake.done()), clock(bake.total));
        let bar = width.saturating_sub(clocks.len() + 2).clamp(6, 40);
        let first = Line::of(" ").then(sight.glyphs.progress(bake.share(), bar)).text(clocks);
        return vec![first, Line::of(" ").then(bake_note(sight, &bake))];
    }
    let parts = super::line::wrap(&line.plain(), width.saturating_sub(1), 2);
    parts.into_iter().map(|l| Line::of(format!(" {l}"))).collect()
}

/// Where a rollout stands that moves the traffic by itself.
fn rollout_line(sight: &Sight<'_>) -> Option<Line> {
    let rollout = sight.model.picture.progressive.rollout.as_ref().filter(|it| !it.is_settled())?;
    let place = rollout.place().map_or_else(String::new, |place| format!(" {place}"));
    let standing = super::progressive::standing(sight, rollout);
    let line = Line::of(" rollout ").then(super::progressive::phase(rollout)).text(format!("{place}: {standing}"));
    // Our hold stops the run, not the controller.
    let held = sight.run().is_some_and(|run| run.state.hold.is_some());
    let moves = !rollout.paused && !rollout.aborted && (rollout.pauses.is_empty() || rollout.pause_ends().is_some());
    Some(if held && moves {
        Line::of(" ").word(Role::Bad, "the rollout goes on by itself: it is not paused").text("  ").then(line)
    } else {
        line
    })
}

/// When the bake ends, or why its clock stands.
fn bake_note(sight: &Sight<'_>, bake: &super::sight::Baking) -> Line {
    if let Some(why) = &bake.stopped {
        return Line::default().word(Role::Stale, "BAKE CLOCK STOPPED").text(format!(": {why}"));
    }
    let at = sight.now.wall + chrono::TimeDelta::from_std(bake.left).unwrap_or_default();
    Line::of(format!("earliest GO {}", sight.time(at).trim_end()))
}

/// The line of what is going on.
fn now_line(sight: &Sight<'_>, width: usize) -> Line {
    let Some(run) = sight.run() else {
        // Somebody else may be releasing, and it may not start.
        if let Some(reason) = sight.model.verdict.reasons.first().filter(|_| sight.model.is_rolling()) {
            return Line::of(" ").mark(Role::Watch, "!").text(format!(" {}", reason.text));
        }
        return Line::of(if sight.model.journal_read { " nothing is being released" } else { " looking into the journal for a run" });
    };
    let state = &run.state;
    match state.phase {
        Phase::Completed | Phase::RolledBack | Phase::Aborted => {
            let at = state.ended.map_or_else(String::new, |at| format!(" {}", sight.time(at).trim_end()));
            let why = state.end_reason.as_ref().map_or_else(String::new, |w| format!(": {w}"));
            return Line::of(format!(" {}{at}{why}   9 shows what happened", state.phase.word()));
        }
        _ => {}
    }
    if let Some(op) = operation::operation_line(sight) {
        return Line::of(" ").then(op);
    }
    let Some((step, known)) = state.current() else {
        return Line::of(format!(" {}", run.doing.as_deref().unwrap_or("between two steps")));
    };
    if matches!(known.phase, StepPhase::Failed | StepPhase::Inconclusive) {
        let word = if known.phase == StepPhase::Failed { "FAILED" } else { "INCONCLUSIVE" };
        return Line::of(" ")
            .mark(Role::Bad, sight.glyphs.bad())
            .word(Role::Bad, format!(" {word}"))
            .text(format!(": {}   D decides", known.why));
    }
    match &step.kind {
        StepKind::Wait { .. } => bake_line(sight, width),
        StepKind::Manual(manual) => {
            let good = manual.items.iter().enumerate().filter(|(i, item)| is_met(item, *i, known)).count();
            let asked = manual.items.iter().enumerate().any(|(i, item)| item.answer != AnswerKind::Seen && !is_met(item, i, known));
            let then = if asked { "6 shows them, D answers" } else { "the program looks, 6 shows what it sees" };
            Line::of(format!(" {good} of {} items good: {then}", manual.items.len()))
        }
        StepKind::Check(check) => {
            let good = known.conditions.values().filter(|(o, _)| *o == crate::domain::Outcome::Pass).count();
            let left = step
                .timeout
                .zip(known.entered)
                .map_or_else(String::new, |(t, at)| format!("   {} left", span(t.saturating_sub(sight.age(at)))));
            Line::of(format!(" checking: {good} of {} conditions met{left}", check.conditions.len()))
        }
        StepKind::Do(action) => {
            let key = if state.phase == Phase::Running { "P" } else { "B" };
            let doing = run.doing.clone().unwrap_or_else(|| format!("waits for {key}: {action}"));
            Line::of(format!(" {doing}"))
        }
        StepKind::Gate => Line::of(" DECISION: P, then y lets it go on"),
        StepKind::Approve(_) | StepKind::Poll(_) => super::board::short(sight, run, &step.id),
    }
}

/// `[████░░░░] 06:41 of 10:00   earliest GO 03:11:00Z`.
pub(super) fn bake_line(sight: &Sight<'_>, width: usize) -> Line {
    let Some(bake) = sight.baking() else { return Line::of(" baking") };
    let bar = (width / 3 + 1).clamp(10, 30);
    let line = Line::of(" ").then(sight.glyphs.progress(bake.share(), bar));
    let line = line.text(format!(" {} of {}", clock(bake.done()), clock(bake.total)));
    line.text("   ").then(bake_note(sight, &bake))
}

fn next_lines(sight: &Sight<'_>, width: usize, room: usize) -> Vec<Line> {
    let why = sight.blocked();
    let Some(run) = sight.run() else {
        return vec![Line::of(format!(" next  {} run RUNBOOK starts a release", sight.command()))];
    };
    if run.state.phase.is_final() {
        return vec![Line::of(" next  nothing: this run is over")];
    }
    if run.state.phase != Phase::Running {
        return vec![Line::of(" next  nothing goes forward on the way back")];
    }
    let failed = run.state.current().is_some_and(|(_, s)| matches!(s.phase, StepPhase::Failed | StepPhase::Inconclusive));
    if failed || operation::is_unclear(sight) {
        return vec![Line::of(" next  ").word(Role::HintKey, "D").text("  decide; nothing goes on before")];
    }
    if let Some((i, step)) = sight.next().filter(|(i, s)| matches!(s.kind, StepKind::Manual(_)) && Some(*i) == sight.place()) {
        return vec![Line::of(" next  ").word(Role::HintKey, "D").text(format!("  {} checklist: {}   6 shows it", i + 1, step.title))];
    }
    let agrees = |s: &crate::runbook::plan::Step| matches!(s.kind, StepKind::Approve(_) | StepKind::Poll(_));
    if let Some((i, step)) = sight.next().filter(|(i, s)| agrees(s) && Some(*i) == sight.place()) {
        let own = run.state.voices(&step.id, &sight.model.options.operator);
        let line = Line::of(" next  ");
        return vec![if own.is_empty() {
            line.text(format!("{} others decide: {}", i + 1, step.title))
        } else {
            line.word(Role::HintKey, "D").text(format!("  {} say go or no-go for {}: {}", i + 1, own.join(", "), step.title))
        }];
    }
    let what = sight.next().map_or_else(
        || "the end of the run".to_owned(),
        |(i, step)| match &step.kind {
            StepKind::Do(action) => {
                let from = sight.model.share_now().map_or_else(|| "?".into(), super::sight::percent);
                match action {
                    Action::SetWeight { canary } => format!("{} decision {from} -> {canary}%", i + 1),
                    other => format!("{} decision {other}", i + 1),
                }
            }
            StepKind::Manual(_) => format!("{} checklist (6, then D): {}", i + 1, step.title),
            StepKind::Approve(_) | StepKind::Poll(_) => format!("{} go/no-go (6, then D): {}", i + 1, step.title),
            _ => format!("{} {}", i + 1, step.title),
        },
    );
    let head = Line::of(" next  ").word(Role::HintKey, "P").text(format!("  {what}"));
    if why.is_empty() {
        let watch: Vec<&str> =
            sight.model.verdict.reasons.iter().filter(|r| r.verdict == Verdict::Watch).map(|r| r.text.as_str()).collect();
        let ready = head.text("   ").mark(Role::Ok, sight.glyphs.ok()).text(" READY");
        return vec![if watch.is_empty() { ready } else { ready.text(format!("; {}", watch.join("; "))) }];
    }
    let why = format!("blocked: {}", why.join("; "));
    let one = head.clone().text(format!("   {why}"));
    if one.width() <= width || room < 2 {
        return vec![one];
    }
    let mut lines = vec![head];
    lines.extend(super::line::wrap(&why, width.saturating_sub(4), room - 1).into_iter().map(|l| Line::of(format!("   {l}"))));
    lines
}

fn out_line(sight: &Sight<'_>, cells: usize) -> Line {
    let narrow = cells < 60;
    let head = Line::of(" out   ").word(Role::HintKey, "B");
    if sight.is_lost() {
        return head.text(format!("  OFF: it cannot be sent. {} print-undo", sight.command()));
    }
    let phase = sight.run().map(|r| r.state.phase);
    let back = super::verbs::way_back(sight);
    match phase {
        Some(Phase::RollingBack) => {
            let doing = sight.run().and_then(|r| r.doing.as_deref()).unwrap_or("under way");
            Line::of(format!(" out   backing out: {doing}"))
        }
        _ if !sight.can_write() => head.text("  OFF here: this cockpit cannot write"),
        Some(Phase::RollbackStuck) => head.text("  tries the way back again; see 7"),
        None | Some(Phase::Completed | Phase::RolledBack | Phase::Aborted) if !sight.has_canary_traffic() => {
            Line::of(" out   nothing to back out: the canary has no traffic")
        }
        None | Some(Phase::Completed | Phase::RolledBack | Phase::Aborted) => head.text(format!("  {back}, as a run of its own")),
        _ if !sight.metrics().usable() && narrow => head.text(format!("  {back}, effect not verifiable")),
        _ if !sight.metrics().usable() => head.text(format!("  {back}   works, but its effect cannot be verified here")),
        _ => card::line(sight, head, cells),
    }
}

/// What stands behind the line of the way out, while there is a way out to speak of.
fn card_lines(sight: &Sight<'_>, cells: usize, room: usize) -> Vec<Line> {
    let phase = sight.run().map(|r| r.state.phase);
    let matters = sight.has_canary_traffic() && !sight.is_lost() && phase != Some(Phase::RollingBack);
    if matters { card::behind(sight, cells, room) } else { Vec::new() }
}
