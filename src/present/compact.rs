//! Small windows: the cockpit on one page, and in a few lines. Nothing is ever replaced by "terminal too small".

use super::frame::{Area, Border, Panel, Row};
use super::line::{Line, Role};
use super::sight::Sight;
use super::{gates, header};
use crate::domain::text::{clock, span};
use crate::domain::{Freshness, Verdict};
use crate::runbook::state::Phase;

/// The cockpit from 40x12 up.
pub(super) fn cockpit(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel { border: Border::None, ..Panel::new(area, Line::default(), Line::default()) };
    let (cells, rows) = (panel.inner_width(), panel.inner_height());
    let model = sight.model;
    let weights = Line::of(" ").then(sight.weights()).text(" ");
    let weights = if weights.width() + 10 <= cells {
        let room = (cells - weights.width()).min(22);
        let share = model.share_now().unwrap_or_default() / 100.0;
        weights.text(" ").then(sight.glyphs.weight(share, room.saturating_sub(1)))
    } else {
        weights
    };
    let mut lines = vec![weights];
    let mut tail = vec![now_line(sight, cells)];
    let blocked = sight.blocked();
    if !blocked.is_empty() {
        tail.push(Line::of(format!(" P off: {}", blocked.join("; "))));
    }
    tail.extend(super::logs::gate_line(sight, cells));
    tail.push(super::instances::one_line(sight));
    let room = rows.saturating_sub(lines.len() + tail.len()).max(1);
    let mut worst: Vec<usize> = (0..model.gates.len()).collect();
    worst.sort_by_key(|&i| (!model.gates[i].counts, std::cmp::Reverse(gates::verdict(sight, &model.gates[i])), i));
    let mut shown: Vec<usize> = worst.into_iter().take(room).collect();
    shown.sort_unstable();
    let name = if cells >= 55 { 14 } else { 8 };
    lines.extend(shown.into_iter().map(|i| gates::short(sight, &model.gates[i], name)));
    if lines.len() + tail.len() + 1 < rows {
        lines.push(Line::default());
    }
    lines.extend(tail);
    panel.with(lines.into_iter().take(rows).map(|l| l.fit(cells)).collect())
}

fn now_line(sight: &Sight<'_>, cells: usize) -> Line {
    let Some(run) = sight.run() else { return Line::of(" nothing is being released") };
    if let Some(op) = super::operation::operation_line(sight) {
        return Line::of(" ").then(op);
    }
    let place = sight.progress().unwrap_or_else(|| run.state.phase.word().to_owned());
    if let Some(hold) = &run.state.hold {
        return Line::of(format!(" {place} ")).word(Role::Bad, "HELD").text(format!(": {}", hold.reason));
    }
    if let Some(bake) = sight.baking() {
        let line = Line::of(format!(" {place} bake ")).then(sight.glyphs.progress(bake.share(), (cells / 3).max(6)));
        let line = line.text(format!(" {}/{}", clock(bake.done()), clock(bake.total)));
        return if bake.stopped.is_some() { line.word(Role::Stale, " STOPPED") } else { line };
    }
    if let Some(gate) = super::board::at_hand(sight) {
        return Line::of(format!(" {place}")).then(super::board::short(sight, run, gate));
    }
    let title = run.state.current().map_or("", |(s, _)| s.title.as_str());
    Line::of(format!(" {place} {title}"))
}

/// Below 40x12: identity, stage, verdict, age, the way out, from top to bottom as far as they fit.
pub(super) fn tiny(sight: &Sight<'_>) -> Vec<Row> {
    let (width, height) = (usize::from(sight.port.width), sight.port.height);
    let model = sight.model;
    let weight = model.share_now().map_or_else(|| "?".into(), super::sight::percent);
    let row = |y: u16, fill: Role, line: Line| Row { y, fill, line: line.pad(width) };
    if height < 3 || width < 20 {
        let old = model.metrics.newest.map_or_else(|| "?".into(), |at| span(sight.age(at)));
        let verdict = model.verdict.verdict;
        let line = Line::default().badge(Role::of(verdict), verdict.word()).text(format!(" {weight} {old}"));
        return (0..height).map(|y| row(y, Role::Primary, if y == 0 { line.clone() } else { Line::default() })).collect();
    }
    let identity = header::environment(sight).text(format!(" {}", model.spec.name));
    let short = sight.progress().map_or_else(String::new, |p| format!(" {}", p.trim_start_matches("step ")));
    let running = sight.run().is_some_and(|r| matches!(r.state.phase, Phase::Running | Phase::RollingBack));
    let keys = match (sight.is_lost(), running) {
        (true, _) => "B OFF  r retry  ? help",
        (false, true) => "B out  H hold  ? help",
        (false, false) => "? help  q quit",
    };
    let verdict = model.verdict.verdict;
    let reason = model.verdict.reasons.first().filter(|_| verdict >= Verdict::Hold).map_or_else(String::new, |r| format!(" {}", r.text));
    let mut lines = vec![
        (Role::Identity, identity),
        (Role::Primary, Line::of(format!("{} seen {}", sight.stage(), sight.seen()))),
        (Role::Primary, header::verdict(sight).text(short)),
        (Role::Primary, freshness(sight).text(format!("  {}", sight.now.wall.format("%H:%M:%SZ")))),
        (Role::Primary, Line::of(keys)),
    ];
    if height == 3 {
        // What a person needs first when there is room for three lines only.
        lines = vec![lines[0].clone(), (Role::Primary, header::verdict(sight).text(format!(" {weight}"))), lines[3].clone()];
    }
    if height > 6 {
        lines.insert(3, (Role::Primary, Line::of(reason)));
    }
    lines.push((Role::Primary, Line::of("(60x15 shows more)")));
    let blank = (Role::Primary, Line::default());
    (0..height)
        .map(|y| lines.get(usize::from(y)).unwrap_or(&blank).clone())
        .zip(0..height)
        .map(|((fill, line), y)| row(y, fill, line))
        .collect()
}

fn freshness(sight: &Sight<'_>) -> Line {
    let worst = [&sight.model.platform, &sight.model.metrics].into_iter().max_by_key(|s| s.freshness(sight.now.wall));
    let Some(source) = worst else { return Line::default() };
    let state = source.freshness(sight.now.wall);
    if Sight::is_loading(source) {
        return Line::of(format!("waiting {}", span(sight.waited())));
    }
    let old = source.newest.map_or_else(String::new, |at| span(sight.age(at)));
    let text = format!("{} {old}", state.word());
    if state == Freshness::Live { Line::of(text) } else { Line::default().badge(Role::Stale, text) }
}
