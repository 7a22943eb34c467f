//! View 9: the story of the run, newest first, with the journal entry that each line rests on.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{cursor, window};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::app::rows::told;
use crate::domain::record::{Entry, verify_chain};
use crate::runbook::story::{StoryKind, StoryLine};

/// Above so many entries only their links are checked: the hashes of thousands would take longer than a frame may.
const FULL_CHECK: usize = 300;

fn chain(entries: &[Entry]) -> Line {
    if entries.len() > FULL_CHECK {
        let linked = entries.windows(2).all(|pair| pair[1].prev == pair[0].hash && pair[1].seq == pair[0].seq + 1);
        return if linked { Line::of("links OK") } else { Line::default().word(Role::Bad, "CHAIN BROKEN") };
    }
    match verify_chain(entries) {
        Ok(()) => Line::default().word(Role::Ok, "chain OK"),
        Err(why) => Line::default().word(Role::Bad, format!("CHAIN BROKEN: {why}")),
    }
}

/// A line of the story; trouble stands out.
pub(super) fn text(line: Line, told: &StoryLine) -> Line {
    match told.kind {
        StoryKind::Trouble => line.word(Role::Bad, &told.text),
        StoryKind::Guard => line.word(Role::Watch, &told.text),
        _ => line.text(&told.text),
    }
}

/// Who did it: the program itself is `auto`.
pub(super) fn who(told: &StoryLine) -> &str {
    if told.who == "gonogo" { "auto" } else { &told.who }
}

/// View 9.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let Some(run) = sight.run() else {
        let mut panel = super::events::platform_panel(sight, body);
        panel.title = Line::of("TIMELINE  no run: what the platform said");
        return vec![panel.close()];
    };
    let rows = told(sight.model);
    let ids: Vec<String> = rows.iter().map(|line| line.seq.to_string()).collect();
    let at = cursor(sight.model.selection(), ids.iter().map(String::as_str), rows.len());
    let has_details = sight.tier >= Tier::Medium || sight.model.selection().is_some_and(|s| s.details);
    let detail_rows = if has_details { (body.height * 4 / 10).max(6) } else { 0 };
    let list = body.take_top(body.height.saturating_sub(detail_rows));
    let filter = &sight.model.screen.filter;
    let filter = if filter.is_empty() { String::new() } else { format!("   filter: {filter}") };
    let mut panel = Panel::new(list, Line::of(format!("TIMELINE / AUDIT  newest first{filter}")), chain(&run.entries));
    panel.closed = detail_rows == 0;
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let from = window(at.place, rows.len(), room);
    let mut lines = Vec::new();
    for (i, told) in rows.iter().enumerate().skip(from).take(room) {
        let t = sight.t(told.at).unwrap_or_default();
        let line = Line::of(format!(" {}  {}{}{}", sight.time(told.at), pad(&t, 9), pad(who(told), 8), pad(told.kind.word(), 9)));
        let line = text(line, told).fit(cells);
        lines.push(if i == at.place { mark_selected(sight, line, cells) } else { line });
    }
    if rows.is_empty() {
        lines.push(Line::of(if filter.is_empty() { " nothing is written yet" } else { " nothing matches the filter; Esc clears it" }));
    }
    let mut panels = vec![panel.with(lines)];
    if detail_rows > 0
        && let Some(told) = rows.get(at.place)
    {
        panels.push(match run.entries.iter().find(|e| e.seq == told.seq) {
            Some(entry) => detail(sight, told, entry, body),
            None => unrecorded(sight, told, body),
        });
    }
    panels
}

/// What a source told and no entry of the journal holds.
fn unrecorded(sight: &Sight<'_>, told: &StoryLine, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of(format!("DETAIL {}", sight.time(told.at).trim_end())), Line::default()).close();
    let cells = panel.inner_width();
    let mut lines = vec![Line::of(format!(" who        {}, seen by this cockpit; not in the journal", told.who))];
    lines.extend(field("what", &told.text, cells.saturating_sub(13)));
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn detail(sight: &Sight<'_>, told: &StoryLine, entry: &Entry, area: Area) -> Panel {
    let title = format!("DETAIL entry {} {} {}", entry.seq, sight.time(entry.time.wall).trim_end(), entry.kind);
    let panel = Panel::new(area, Line::of(title), Line::default()).close();
    let cells = panel.inner_width();
    let wide = cells.saturating_sub(13);
    let short = |hash: &str| hash.get(..16).unwrap_or(hash).to_owned();
    let mut lines = vec![Line::of(format!(" who        {} ({}) from {}", entry.actor.id, entry.actor.strength, entry.actor.client))];
    lines.extend(field("what", &told.text, wide));
    if let Some(step) = &entry.step {
        lines.push(Line::of(format!(" step       {step}")));
    }
    lines.push(Line::of(format!(" epoch      {}   store time {}", entry.epoch, entry.time.store.format("%Y-%m-%dT%H:%M:%S%.3fZ"))));
    lines.push(Line::of(format!(" hash       prev {}..  this {}..", short(&entry.prev), short(&entry.hash))));
    if entry.kind != "run.started" {
        let room = panel.inner_height().saturating_sub(lines.len());
        lines.extend(field("record", &entry.body.to_string(), wide).into_iter().take(room));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn field(name: &str, text: &str, cells: usize) -> Vec<Line> {
    let text = crate::domain::text::clean_bounded(text, 2000);
    let parts = wrap(&text, cells, 12);
    parts.into_iter().enumerate().map(|(i, l)| Line::of(format!(" {:<10} {l}", if i == 0 { name } else { "" }))).collect()
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let run = sight.run()?;
    let newest = run.entries.last()?;
    Some(format!(
        "{} entries, newest {}   {} show {}",
        run.entries.len(),
        sight.time(newest.time.wall).trim_end(),
        sight.command(),
        run.state.run
    ))
}
