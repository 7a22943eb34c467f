//! View 4: all gates, charts, and the query behind the selected one.

use super::cockpit::gate_chart;
use super::frame::{Area, Panel, Tier};
use super::gates;
use super::instances::cursor;
use super::line::{Line, Role, wrap};
use super::sight::Sight;
use crate::app::model::{Gate, Panel as Asked};
use crate::domain::text::span;
use crate::domain::{Outcome, Probe};

/// View 4.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let model = sight.model;
    let count = model.gates.len();
    let place = cursor(model.selection(), model.gates.iter().map(|g| g.key.as_str()), count).place;
    let table_rows = count.clamp(1, (usize::from(body.height) / 2).saturating_sub(1).max(1));
    let area = body.take_top(u16::try_from(table_rows + 1).unwrap_or(8));
    let table = Panel::new(area, Line::of(gates::TITLE), sight.freshness(gates::source(sight)));
    let lines = gates::table(sight, table.inner_width(), table.inner_height(), (count > 0).then_some(place));
    let mut panels = vec![table.with(lines)];
    let Some(selected) = model.gates.get(place) else {
        panels.push(Panel::new(body, Line::of("CHART"), Line::default()).close());
        return panels;
    };
    let query_rows = if sight.model.screen.source || sight.tier == Tier::Large { 9 } else { 3 };
    let query_area = Area { y: body.y + body.height.saturating_sub(query_rows), height: query_rows.min(body.height), ..body };
    body.height = body.height.saturating_sub(query_rows);
    if body.height >= 6 {
        charts(sight, body, selected, &mut panels);
        panels.push(query(sight, selected, query_area));
    } else {
        body.height += query_area.height;
        panels.push(query(sight, selected, body));
    }
    panels
}

/// One chart where there is little room, else up to four: the selected gate first.
fn charts(sight: &Sight<'_>, mut body: Area, selected: &Gate, panels: &mut Vec<Panel>) {
    let with_series: Vec<&Gate> = sight.model.gates.iter().filter(|g| matches!(g.probe, Probe::Promql(_))).collect();
    if sight.tier < Tier::Medium || with_series.len() < 2 {
        panels.push(gate_chart(sight, selected, body));
        return;
    }
    let mut four: Vec<&Gate> = vec![selected];
    four.extend(with_series.into_iter().filter(|g| g.key != selected.key).take(3));
    let rows = four.len().div_ceil(2);
    let height = body.height / u16::try_from(rows).unwrap_or(1).max(1);
    for (i, pair) in four.chunks(2).enumerate() {
        let area = if i + 1 == rows { body } else { body.take_top(height) };
        match pair {
            [one] => panels.push(gate_chart(sight, one, area)),
            [left, right, ..] => {
                let (a, b) = area.split_left(area.width / 2 + 1);
                panels.push(gate_chart(sight, left, a));
                panels.push(gate_chart(sight, right, b));
            }
            [] => {}
        }
    }
}

/// The query, the age of its newest sample, when it was fetched, and what the backend remarked.
fn query(sight: &Sight<'_>, gate: &Gate, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of(format!("QUERY {} ({})", gate.title, gate.origin.word())), Line::default()).close();
    let cells = panel.inner_width();
    let Probe::Promql(threshold) = &gate.probe else {
        let whom = if matches!(gate.probe, Probe::Alert(_)) { "the alerts source" } else { "the platform" };
        let lines = vec![Line::of(format!(" asked of {whom}: {}", gate.probe.describe())), Line::of(format!(" {}", gate.finding.why))];
        return panel.with(lines.into_iter().map(|l| l.fit(cells)).collect());
    };
    let asked = sight.model.panels.get(&threshold.query);
    let right = ages(sight, asked);
    let mut lines = Vec::new();
    let room = panel.inner_height();
    if room <= 1 {
        let why = if gate.finding.why.is_empty() { "u shows the query".to_owned() } else { gate.finding.why.clone() };
        lines.push(Line::of(format!(" {why}   gate: {}", gates::limit(threshold))));
        return Panel { right, ..panel }.with(lines.into_iter().map(|l| l.fit(cells)).collect());
    }
    lines.extend(wrap(&threshold.query, cells.saturating_sub(2), 3).into_iter().map(|l| Line::of(format!(" {l}"))));
    if let Some(base) = &gate.baseline {
        lines.extend(wrap(&base.query, cells.saturating_sub(8), 1).into_iter().map(|l| Line::of(format!(" base  {l}"))));
    }
    let held =
        if gate.hold.is_zero() { String::new() } else { format!("   good for {} of {} asked", span(gate.finding.held), span(gate.hold)) };
    let say = if gate.counts { "" } else { "   has no say in the verdict now" };
    lines.push(Line::of(format!(" good when {}   {}{held}{say}", gates::limit(threshold), gate.finding.why)));
    if let Some(asked) = asked {
        for warning in &asked.warnings {
            lines.push(Line::of(" ").mark(Role::Watch, "!").text(format!(" {warning}")));
        }
        if let Some(trouble) = &asked.trouble {
            lines.push(Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).text(format!(" {trouble}")));
        }
    }
    Panel { right, ..panel }.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn ages(sight: &Sight<'_>, asked: Option<&Asked>) -> Line {
    let Some(asked) = asked else { return Line::of("not asked yet") };
    let old = |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(|| "never".to_owned(), |t| format!("{} ago", span(sight.age(t))));
    Line::of(format!("newest sample {}, fetched {}, {}", old(asked.newest), old(asked.answered), sight.model.metrics.source))
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> String {
    let gates = &sight.model.gates;
    let blind = gates.iter().filter(|g| matches!(g.finding.outcome, Outcome::NoData | Outcome::Stale | Outcome::Error)).count();
    let blind = match blind {
        0 if sight.tier < Tier::Medium => String::new(),
        0 => "   a missing sample is never a pass".into(),
        n => format!("   {n} without data: never a pass"),
    };
    format!("gates: {}{blind}", gates::summary(sight))
}
