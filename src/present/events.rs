//! What happened lately: entries of the journal, remarks of the platform.

use super::frame::{Area, Panel};
use super::line::{Line, Role, pad};
use super::sight::Sight;
use super::timeline;
use crate::app::rows::with_alerts;
use crate::runbook::story::latest;

/// The newest lines of the run's story; without a run what the platform said.
pub(super) fn panel(sight: &Sight<'_>, area: Area, title: &str) -> Panel {
    let Some(run) = sight.run() else {
        return platform_panel(sight, area);
    };
    let panel = Panel::new(area, Line::of(title), Line::of("9 for all"));
    // The last panel of a column has a bottom border.
    let room = panel.inner_height().saturating_sub(1);
    let cells = panel.inner_width();
    let wide = cells > 90;
    let story = with_alerts(sight.model, latest(&run.entries, room.max(1)));
    let lines = story.iter().rev().take(room.max(1)).map(|told| {
        let t = if wide { sight.t(told.at).map_or_else(String::new, |t| pad(&t, 9)) } else { String::new() };
        let who = pad(timeline::who(told), if wide { 8 } else { 5 });
        let kind = if wide { pad(told.kind.word(), 9) } else { String::new() };
        timeline::text(Line::of(format!(" {}  {t}{who} {kind}", sight.time(told.at))), told).fit(cells)
    });
    let lines: Vec<Line> = lines.collect();
    panel.with(lines)
}

/// What the platform said about the service.
pub(super) fn platform_panel(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of("PLATFORM EVENTS"), sight.freshness(&sight.model.platform));
    let cells = panel.inner_width();
    let events = &sight.model.picture.events;
    if events.is_empty() {
        let text = if sight.model.picture.listed { " the platform has remarked nothing" } else { " nothing yet" };
        return panel.with(vec![Line::of(text)]);
    }
    let lines = events.iter().take(panel.inner_height()).map(|event| {
        let (role, sign) = if event.warning { (Role::Watch, "!") } else { (Role::Primary, " ") };
        let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
        let about = event.about.rsplit('/').next().unwrap_or(&event.about);
        let line = Line::of(format!(" {} ", sight.time(event.at))).mark(role, sign);
        line.text(format!(" {} {}{times}: {}", super::instances::short_name(about), event.reason, event.message)).fit(cells)
    });
    let lines = lines.collect();
    panel.with(lines)
}
