//! The gates: sparkline, value, baseline, limit, percent of the limit, verdict word.

use super::glyph::spark_buckets;
use super::line::{Line, Role, pad};
use super::sight::Sight;
use crate::app::model::Gate;
use crate::domain::text::width;
use crate::domain::{Outcome, Probe, SourceHealth, Threshold, Verdict};

/// The title of a table of gates.
pub(super) const TITLE: &str = "GATES canary vs base, 15m, full height = limit";

/// The source behind the table, for its title.
pub(super) fn source<'a>(sight: &Sight<'a>) -> &'a SourceHealth {
    let model = sight.model;
    let only_platform = !model.gates.is_empty() && model.gates.iter().all(|g| matches!(g.probe, Probe::Platform(_)));
    if only_platform { &model.platform } else { &model.metrics }
}

/// The limit as people say it: `<0.50%`.
pub(super) fn limit(threshold: &Threshold) -> String {
    format!("{}{}", threshold.op.sign(), threshold.unit.show(threshold.limit))
}

/// Whether the gate's value says nothing about now.
pub(super) fn is_old(sight: &Sight<'_>, gate: &Gate) -> bool {
    let usable = match gate.probe {
        Probe::Promql(_) => sight.metrics().usable(),
        Probe::Platform(_) => sight.platform().usable(),
        Probe::Alert(_) => sight.model.alerts.as_ref().is_some_and(|board| board.freshness(sight.now.wall).usable()),
    };
    !usable || matches!(gate.finding.outcome, Outcome::Stale | Outcome::Error)
}

/// The word at the end of a gate's line.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "UNKN",
        other => other.word(),
    }
}

/// The value, `~` before one that is not now.
pub(super) fn value(sight: &Sight<'_>, gate: &Gate) -> String {
    let shown = match (&gate.probe, gate.series.as_ref().and_then(crate::domain::Series::last)) {
        // A stale finding may carry no value: the series still knows the last one.
        (Probe::Promql(t), Some(last)) if gate.finding.value.is_none() => t.unit.show(last.value),
        _ => gate.finding.shown.clone(),
    };
    if shown == "-" || shown.is_empty() {
        return no_value(gate).to_owned();
    }
    if is_old(sight, gate) { format!("~{shown}") } else { shown }
}

fn no_value(gate: &Gate) -> &'static str {
    match gate.finding.outcome {
        Outcome::Error => "ERROR",
        _ => "NO DATA",
    }
}

/// The word of a gate; in brackets when it has no say in the verdict now.
fn verdict_word(sight: &Sight<'_>, gate: &Gate) -> Line {
    let verdict = verdict(sight, gate);
    if gate.counts { Line::default().word(Role::of(verdict), word(verdict)) } else { Line::of(format!("({})", word(verdict))) }
}

/// Verdict now: what cannot be known is UNKN, whatever was computed before.
pub(super) fn verdict(sight: &Sight<'_>, gate: &Gate) -> Verdict {
    let found = gate.verdict();
    if is_old(sight, gate) && found != Verdict::NoGo { Verdict::Unknown } else { found }
}

/// The verdict on the last value that was ever seen, however old.
pub(super) fn last_known(gate: &Gate) -> Verdict {
    match (&gate.probe, gate.series.as_ref().and_then(crate::domain::Series::last)) {
        (Probe::Promql(t), Some(last)) if gate.verdict() == Verdict::Unknown && !last.value.is_nan() => {
            if t.op.holds(last.value, t.limit) {
                Verdict::Go
            } else {
                Verdict::NoGo
            }
        }
        _ => gate.verdict(),
    }
}

/// Percent of the limit, right-aligned in 5 cells.
fn of_limit(sight: &Sight<'_>, gate: &Gate) -> String {
    match gate.finding.of_limit {
        Some(percent) if !is_old(sight, gate) && percent.is_finite() => format!("{:>5}", format!("{:.0}%", percent.clamp(-999.0, 9999.0))),
        _ if !matches!(gate.probe, Probe::Promql(_)) => " ".repeat(5),
        _ => "  --%".into(),
    }
}

/// Column widths, the same for all rows.
struct Columns {
    name: usize,
    spark: usize,
    value: usize,
    base: usize,
    limit: usize,
}

impl Columns {
    fn of(sight: &Sight<'_>, gates: &[&Gate], cells: usize) -> Self {
        let metric = |g: &&Gate| if let Probe::Promql(t) = &g.probe { Some(t.clone()) } else { None };
        let most = |f: &dyn Fn(&Gate) -> usize| gates.iter().map(|g| f(g)).max().unwrap_or(0);
        let name = (most(&|g| width(&g.title)) + 1).clamp(13, 24);
        let value = (gates.iter().filter(|g| metric(g).is_some()).map(|g| width(&value(sight, g))).max().unwrap_or(0) + 1).clamp(8, 12);
        let base = gates.iter().filter_map(|g| g.baseline.as_ref().map(|b| width(&b.shown) + 1)).max().map_or(0, |w| w.clamp(8, 12) + 5);
        let limit = gates.iter().filter_map(|g| metric(g).map(|t| width(&limit(&t)))).max().unwrap_or(0).clamp(6, 12) + 4;
        let fixed = 1 + name + 1 + value + base + limit + 5 + 2 + 8;
        let mut columns = Self { name, spark: cells.saturating_sub(fixed), value, base, limit };
        if columns.spark < 6 {
            columns.base = 0;
            columns.spark = cells.saturating_sub(fixed - base);
        }
        if columns.spark < 3 {
            columns.spark = 0;
        }
        columns
    }
}

/// A line per gate, in `cells` cells, at most `room` lines: those out of their limit never leave, the rest is counted.
pub(super) fn table(sight: &Sight<'_>, cells: usize, room: usize, selected: Option<usize>) -> Vec<Line> {
    let gates: Vec<&Gate> = sight.model.gates.iter().collect();
    if gates.is_empty() {
        return vec![Line::of(" no gates: the service has none and no step asks for one").fit(cells)];
    }
    let (shown, rest) = chosen(sight, &gates, room, selected);
    let columns = Columns::of(sight, &gates, cells);
    let mut lines: Vec<Line> = shown
        .iter()
        .map(|&i| {
            let line = row(sight, gates[i], &columns);
            if selected == Some(i) { mark_selected(sight, line, cells) } else { line }
        })
        .collect();
    if let Some(rest) = rest {
        lines.push(rest);
    }
    lines
}

/// The cursor on a row: a sign in the first cell, and reverse video.
pub(super) fn mark_selected(sight: &Sight<'_>, line: Line, cells: usize) -> Line {
    let mut line = line.pad(cells);
    if let Some(first) = line.spans.first_mut()
        && first.text.starts_with(' ')
    {
        first.text.replace_range(0..1, sight.glyphs.here());
    }
    line.selected()
}

/// Places of the gates with room, worst kept first, and a line that counts the others.
fn chosen(sight: &Sight<'_>, gates: &[&Gate], room: usize, selected: Option<usize>) -> (Vec<usize>, Option<Line>) {
    if gates.len() <= room {
        return ((0..gates.len()).collect(), None);
    }
    let mut order: Vec<usize> = (0..gates.len()).collect();
    order.sort_by_key(|&i| (Some(i) != selected, !gates[i].counts, std::cmp::Reverse(verdict(sight, gates[i])), i));
    let mut keep: Vec<usize> = order.iter().copied().take(room.saturating_sub(1)).collect();
    keep.sort_unstable();
    let left: Vec<usize> = order.into_iter().skip(room.saturating_sub(1)).collect();
    let count = |v: Verdict| left.iter().filter(|&&i| verdict(sight, gates[i]) == v).count();
    let words: Vec<String> = [Verdict::NoGo, Verdict::Unknown, Verdict::Hold, Verdict::Watch, Verdict::Go]
        .into_iter()
        .filter(|v| count(*v) > 0)
        .map(|v| format!("{} {}", count(v), word(v)))
        .collect();
    (keep, Some(Line::of(format!(" ... {} more: {} (4 shows all)", left.len(), words.join("  ")))))
}

fn row(sight: &Sight<'_>, gate: &Gate, columns: &Columns) -> Line {
    let old = is_old(sight, gate);
    let name = Line::of(" ").text(pad(&gate.title, columns.name));
    let line = match &gate.probe {
        Probe::Promql(threshold) => {
            let buckets = spark_buckets(gate.series.as_ref(), threshold, sight.now.wall, old, columns.spark);
            let role = if old { Role::Stale } else { Role::Primary };
            let mut line = name.then(sight.glyphs.spark(&buckets)).text(" ");
            line = line.word(role, value(sight, gate)).column(1 + columns.name + columns.spark + 1 + columns.value);
            if columns.base > 0 {
                let base = gate.baseline.as_ref().map_or_else(String::new, |b| {
                    let mark = if old && b.shown != "-" { "~" } else { "" };
                    format!("base {mark}{}", b.shown)
                });
                line = line.text(pad(&base, columns.base));
            }
            line.text(pad(&format!("lim {}", limit(threshold)), columns.limit))
        }
        Probe::Platform(_) | Probe::Alert(_) => {
            let room = columns.spark + 1 + columns.value + columns.base + columns.limit;
            let text = format!("{}   {}", value(sight, gate), gate.probe.describe());
            name.text(pad(&text, room))
        }
    };
    line.text(of_limit(sight, gate)).text("  ").then(verdict_word(sight, gate))
}

/// `0.21%  lim <0.50%   42% GO`: a gate in few cells.
pub(super) fn short(sight: &Sight<'_>, gate: &Gate, name: usize) -> Line {
    let line = Line::of(" ").text(pad(&gate.title, name));
    let line = match &gate.probe {
        Probe::Promql(t) => line.text(format!("{:>8} {}", value(sight, gate), pad(&format!("lim {}", limit(t)), 12))),
        Probe::Platform(_) | Probe::Alert(_) => line.text(pad(&format!(" {}", value(sight, gate)), 21)),
    };
    line.text(of_limit(sight, gate)).text(" ").then(verdict_word(sight, gate))
}

/// `1 WATCH, 3 GO; closest: p99 412ms, 92% of limit`.
pub(super) fn summary(sight: &Sight<'_>) -> String {
    let gates: Vec<&Gate> = sight.model.gates.iter().filter(|g| g.counts).collect();
    if gates.is_empty() {
        return "none that count now".into();
    }
    let count = |v: Verdict| gates.iter().filter(|g| verdict(sight, g) == v).count();
    let words: Vec<String> = [Verdict::NoGo, Verdict::Unknown, Verdict::Hold, Verdict::Watch, Verdict::Go]
        .into_iter()
        .filter(|v| count(*v) > 0)
        .map(|v| format!("{} {}", count(v), v.word()))
        .collect();
    let closest = closest(sight).map_or_else(String::new, |g| {
        format!("; closest: {} {}, {:.0}% of limit", g.title, value(sight, g), g.finding.of_limit.unwrap_or_default())
    });
    if let [one] = words.as_slice() {
        let word = one.split_once(' ').map_or("", |(_, w)| w);
        return format!("{0} of {0} {word}{closest}", gates.len());
    }
    format!("{}{closest}", words.join(", "))
}

/// The gate nearest to its limit, or furthest over it.
pub(super) fn closest<'a>(sight: &Sight<'a>) -> Option<&'a Gate> {
    let known = sight.model.gates.iter().filter(|g| g.counts && !is_old(sight, g) && g.finding.of_limit.is_some_and(f64::is_finite));
    known.max_by(|a, b| a.finding.of_limit.partial_cmp(&b.finding.of_limit).unwrap_or(std::cmp::Ordering::Equal))
}
