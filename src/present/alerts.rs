//! View 5: alerts beside the release, and what they have to do with it. The panel of the cockpit is the same list in short.

use super::alert_detail;
use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{cursor, window};
use super::line::{Line, Role, pad};
use super::sight::Sight;
use crate::app::alerts::{AlertBoard, Sighting};
use crate::domain::alert::{AlertSeverity, AlertState, Silence, SilenceState};
use crate::domain::text::span;
use crate::domain::{Freshness, Verdict};

/// Rows of the detail, its border included.
const DETAIL: u16 = 7;

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// `ALERTS 1 firing  1 pending  1 silenced`.
fn title(sight: &Sight<'_>, board: &AlertBoard) -> Line {
    if board.read.is_none() {
        return Line::of("ALERTS");
    }
    let counts = board.counts();
    let were = if board.freshness(sight.now.wall).usable() { "" } else { "were " };
    let mut line = Line::of("ALERTS ").text(were);
    let firing = format!("{} firing", counts.firing);
    line = if counts.firing > 0 { line.word(Role::Watch, firing) } else { line.text(firing) };
    if counts.pending > 0 {
        line = line.text(format!("  {} pending", counts.pending));
    }
    if counts.silenced > 0 {
        line = line.text(format!("  {} silenced", counts.silenced));
    }
    line
}

/// The mark behind the view's name in row 3: how many fire, or that nobody knows.
pub(super) fn mark(sight: &Sight<'_>) -> String {
    let Some(board) = &sight.model.alerts else { return String::new() };
    if !board.freshness(sight.now.wall).usable() {
        return if board.read.is_some() { "!?".into() } else { String::new() };
    }
    match board.counts().firing {
        0 => String::new(),
        n => format!("!{n}"),
    }
}

/// The panels of view 5.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let Some(board) = &sight.model.alerts else { return vec![unconnected(sight, body)] };
    if board.show_silences {
        return silences(sight, board, body);
    }
    let ids = board.sightings.iter().map(|s| s.alert.fingerprint.as_str());
    let at = cursor(sight.model.selection(), ids, board.sightings.len());
    let split = board.sightings.iter().position(Sighting::is_aside).unwrap_or(board.sightings.len());
    let (near, aside) = board.sightings.split_at(split);
    let small = sight.tier <= Tier::Compact;
    let detail = if small { 0 } else { DETAIL };
    // A list without room for all says how many are not shown.
    let aside_rows = rows(aside.len().clamp(1, if small { 1 } else { 4 }));
    let list_most = body.height.saturating_sub(detail + aside_rows + 2).max(3);
    let list = body.take_top(rows(near.len().max(1) + 2).min(list_most));
    let mut panels = vec![list_panel(sight, board, list, near, at.place)];
    if !small {
        let selected = board.sightings.get(at.place);
        panels.push(alert_detail::alert(sight, board, body.take_top(detail.min(body.height)), selected));
    }
    let chart_rows = if sight.tier >= Tier::Medium { body.height.saturating_sub(aside_rows + 2) } else { 0 };
    let chart = if chart_rows >= 8 {
        alert_detail::chart(sight, board, Area { y: body.y + body.height - chart_rows, height: chart_rows, ..body })
    } else {
        None
    };
    if chart.is_some() {
        body.height -= chart_rows;
    }
    panels.push(aside_panel(sight, board, body, aside, at.place.checked_sub(split), chart.is_none()));
    panels.extend(chart);
    panels
}

fn unconnected(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of("ALERTS  not connected"), Line::default()).close();
    let text = [
        " no alerts connection: alerts are not watched and have no say here",
        "",
        " [[alerts]]",
        " name = \"am\"",
        " kind = \"alertmanager\"",
        " url = \"https://alertmanager.example\"",
    ];
    let mut lines: Vec<Line> = text.into_iter().map(Line::of).collect();
    lines.push(Line::of(format!(" match = {{ service = \"{}\" }}", sight.model.spec.name)));
    lines.push(Line::default());
    lines.push(Line::of(" and alerts = \"am\" in the [[service]]"));
    panel.with(lines)
}

/// Columns of a list, by its width.
struct Columns {
    wide: bool,
    severity: bool,
    name: usize,
    group: usize,
}

impl Columns {
    fn of(cells: usize, list: &[Sighting], severity: bool) -> Self {
        let wide = cells >= 100;
        let longest = list.iter().map(|s| crate::domain::text::width(s.alert.name())).max().unwrap_or(0);
        let most = if wide { 32 } else { (cells / 4).clamp(12, 18) };
        Self { wide, severity, name: longest.clamp(12, most), group: if wide { 8 } else { 6 } }
    }

    fn header(&self) -> Line {
        let gap = if self.wide { " " } else { "" };
        let severity = if self.severity { format!("{}{gap}", pad("SEV", 5)) } else { String::new() };
        let silenced = if self.severity && self.wide { pad("SILENCED", 10) } else { String::new() };
        let (name, group, since) = (pad("ALERT", self.name), pad("GROUP", self.group), pad("FOR", if self.wide { 9 } else { 7 }));
        let text = format!("  {}{gap}{severity}{name} {gap}{group} {since}{silenced}WHY", pad("STATE", 9));
        Line::default().word(Role::Secondary, text)
    }

    fn row(&self, sight: &Sight<'_>, board: &AlertBoard, sighting: &Sighting) -> Line {
        let gap = if self.wide { " " } else { "" };
        let alert = &sighting.alert;
        let (role, word) = state(sighting);
        let mut line = Line::of("  ").word(role, pad(word, 9)).text(gap);
        if self.severity {
            let severity = if alert.severity() == AlertSeverity::Critical { Role::Bad } else { Role::Primary };
            line = line.word(severity, pad(&alert.severity_word(), 5)).text(gap);
        }
        line = line.text(format!(
            "{} {gap}{} {}",
            pad(alert.name(), self.name),
            pad(sighting.group(), self.group),
            pad(&span(sight.age(sighting.began)), if self.wide { 9 } else { 7 })
        ));
        if self.severity && self.wide {
            let by = board.silence_of(alert).map_or("-", |s| s.created_by.as_str());
            line = line.text(pad(by, 10));
        }
        line.text(why(sight, board, sighting))
    }
}

fn state(sighting: &Sighting) -> (Role, &'static str) {
    let word = match sighting.alert.state {
        AlertState::Suppressed if sighting.alert.silenced_by.is_empty() => "INHIBITED",
        state => state.word(),
    };
    let role = match (sighting.says, sighting.alert.state) {
        (Verdict::NoGo, _) => Role::Bad,
        (Verdict::Watch, _) => Role::Watch,
        (_, AlertState::Suppressed) => Role::Secondary,
        _ => Role::Primary,
    };
    (role, word)
}

/// Why it fires, or until when it is silenced.
fn why(sight: &Sight<'_>, board: &AlertBoard, sighting: &Sighting) -> String {
    match board.silence_of(&sighting.alert) {
        Some(silence) => format!("silenced until {}", until(sight, silence)),
        None if !sighting.alert.inhibited_by.is_empty() => format!("kept quiet by another alert: {}", sighting.alert.summary()),
        None => sighting.alert.summary().to_owned(),
    }
}

/// `T+01:00:00`, or the time where there is no run.
pub(super) fn until(sight: &Sight<'_>, silence: &Silence) -> String {
    sight.t(silence.ends_at).unwrap_or_else(|| sight.time(silence.ends_at).trim_end().to_owned())
}

fn list_panel(sight: &Sight<'_>, board: &AlertBoard, area: Area, near: &[Sighting], place: usize) -> Panel {
    let panel = Panel::new(area, title(sight, board), sight.freshness(&board.source));
    let (cells, room) = (panel.inner_width(), panel.inner_height().saturating_sub(1));
    let columns = Columns::of(cells, near, true);
    let mut lines = vec![columns.header().fit(cells)];
    if near.is_empty() {
        lines.push(Line::of(nothing(sight, board)).fit(cells));
    }
    let hidden = near.len().saturating_sub(room);
    let shown = if hidden > 0 { room.saturating_sub(1) } else { room };
    let from = window(place.min(near.len().saturating_sub(1)), near.len(), shown);
    for (i, sighting) in near.iter().enumerate().skip(from).take(shown) {
        let line = columns.row(sight, board, sighting).fit(cells);
        lines.push(if i == place { mark_selected(sight, line, cells) } else { line });
    }
    if hidden > 0 {
        lines.push(Line::of(format!("  ... {} more: j/k", near.len() - shown)));
    }
    panel.with(lines)
}

/// The line of an empty list: that nothing fires is said only when that is known.
fn nothing(sight: &Sight<'_>, board: &AlertBoard) -> String {
    match board.freshness(sight.now.wall) {
        Freshness::Live | Freshness::Late if board.rules_trouble.is_some() => {
            "  nothing fires about this service; what is pending is not known".into()
        }
        Freshness::Live | Freshness::Late => "  nothing fires and nothing is pending about this service".into(),
        Freshness::NoData => "  not read yet".into(),
        other => format!("  {}: what fires now is not known", other.word()),
    }
}

fn aside_panel(sight: &Sight<'_>, board: &AlertBoard, area: Area, aside: &[Sighting], selected: Option<usize>, last: bool) -> Panel {
    let mut panel = Panel::new(area, Line::of("FIRING BEFORE T-0, OR OF OTHERS (ignored by gates)"), Line::default());
    panel.closed = last;
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    if aside.is_empty() {
        return panel.with(vec![Line::of(if board.read.is_some() { "  none" } else { "  not read yet" })]);
    }
    let shown = if aside.len() > room { room.saturating_sub(1) } else { aside.len() };
    let from = window(selected.unwrap_or(0), aside.len(), shown);
    let mut lines = Vec::new();
    for (i, sighting) in aside.iter().enumerate().skip(from).take(shown) {
        let line = aside_row(sight, sighting).fit(cells);
        lines.push(if Some(i) == selected { mark_selected(sight, line, cells) } else { line });
    }
    if shown < aside.len() {
        lines.push(Line::of(format!("  ... {} more: j/k", aside.len() - shown)));
    }
    panel.with(lines)
}

fn aside_row(sight: &Sight<'_>, sighting: &Sighting) -> Line {
    let alert = &sighting.alert;
    let place =
        ["node", "pod", "instance", "service", "job"].iter().find_map(|name| alert.labels.get(*name).map(|v| format!("{name} {v}")));
    let about = match sighting.concern {
        crate::judge::Concern::Other => "not this service",
        _ => "this service, before the run",
    };
    let quiet = if alert.state == AlertState::Firing { "" } else { "  (quiet)" };
    Line::of(format!(
        "  . {}  {}  {}   {about}{quiet}",
        alert.name(),
        place.unwrap_or_else(|| alert.summary().to_owned()),
        span(sight.age(sighting.began))
    ))
}

/// The list of silences, with the selected one in full.
fn silences(sight: &Sight<'_>, board: &AlertBoard, mut body: Area) -> Vec<Panel> {
    let all = &board.silences;
    let at = cursor(sight.model.selection(), all.iter().map(|s| s.id.as_str()), all.len());
    let active = all.iter().filter(|s| s.state == SilenceState::Active).count();
    let detail = if sight.tier <= Tier::Compact { 0 } else { DETAIL + 1 };
    let list = body.take_top(body.height.saturating_sub(detail));
    let title = format!("SILENCES {active} active  {} in all   v shows the alerts", all.len());
    let mut panel = Panel::new(list, Line::of(title), sight.freshness(&board.source));
    panel.closed = detail == 0;
    let (cells, room) = (panel.inner_width(), panel.inner_height().saturating_sub(1));
    let header = format!("  {}{}{}{}", pad("STATE", 9), pad("BY", 11), pad("UNTIL", 12), "ABOUT");
    let mut lines = vec![Line::default().word(Role::Secondary, header)];
    if all.is_empty() {
        lines.push(Line::of("  there is no silence"));
    }
    let from = window(at.place, all.len(), room);
    for (i, silence) in all.iter().enumerate().skip(from).take(room) {
        let (role, word) = match silence.state {
            SilenceState::Active => (Role::Primary, "ACTIVE"),
            SilenceState::Pending => (Role::Primary, "PENDING"),
            SilenceState::Expired => (Role::Secondary, "EXPIRED"),
        };
        let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
        let line = Line::of("  ").word(role, pad(word, 9)).text(format!(
            "{}{}{}",
            pad(&silence.created_by, 11),
            pad(&until(sight, silence), 12),
            matchers.join(" ")
        ));
        let line = line.fit(cells);
        lines.push(if i == at.place { mark_selected(sight, line, cells) } else { line });
    }
    let mut panels = vec![panel.with(lines)];
    if detail > 0 {
        panels.push(alert_detail::silence(sight, board, body, all.get(at.place)));
    }
    panels
}

/// The alerts in the cockpit.
pub(super) fn summary(sight: &Sight<'_>, board: &AlertBoard, area: Area) -> Panel {
    let counts = board.counts();
    let usable = board.freshness(sight.now.wall).usable();
    let title = match (board.read.is_some(), counts.pending) {
        (false, _) => "ALERTS".to_owned(),
        (true, 0) => format!("ALERTS {}{} firing", if usable { "" } else { "were " }, counts.firing),
        (true, pending) => format!("ALERTS {}{} firing {pending} pending", if usable { "" } else { "were " }, counts.firing),
    };
    let panel = Panel::new(area, Line::of(title), sight.freshness(&board.source));
    let (cells, room) = (panel.inner_width(), panel.inner_height().max(1));
    let near: Vec<&Sighting> = board.sightings.iter().filter(|s| !s.is_aside()).collect();
    let aside = board.sightings.len() - near.len();
    let mut lines = Vec::new();
    if near.is_empty() || !board.freshness(sight.now.wall).usable() {
        lines.push(Line::of(nothing(sight, board).trim_start()).fit(cells.saturating_sub(1)));
        lines[0] = Line::of(" ").then(lines[0].clone());
    }
    if cells >= 50 {
        let owned: Vec<Sighting> = near.iter().map(|s| (*s).clone()).collect();
        let columns = Columns::of(cells, &owned, false);
        if !near.is_empty() {
            lines.push(columns.header().fit(cells));
        }
        let left = room.saturating_sub(lines.len());
        let shown = if near.len() > left { left.saturating_sub(1) } else { near.len() };
        lines.extend(near.iter().take(shown).map(|s| columns.row(sight, board, s).fit(cells)));
        if shown < near.len() {
            lines.push(Line::of(format!("  ... {} more (5 shows all)", near.len() - shown)));
        }
    } else {
        lines.extend(short_rows(sight, &near, room.saturating_sub(lines.len()), cells));
    }
    if aside > 0 && lines.len() < room {
        lines.push(Line::default().word(Role::Secondary, format!(" . {aside} before T-0 or of others (5 shows)")).fit(cells));
    }
    lines.truncate(room);
    panel.with(lines)
}

/// Firing and pending ones in a line each; silenced ones are counted.
fn short_rows(sight: &Sight<'_>, near: &[&Sighting], room: usize, cells: usize) -> Vec<Line> {
    let loud: Vec<&&Sighting> = near.iter().filter(|s| s.alert.state != AlertState::Suppressed).collect();
    let quiet = near.len() - loud.len();
    let room = room.saturating_sub(usize::from(quiet > 0)).max(1);
    let shown = if loud.len() > room { room - 1 } else { loud.len() };
    let mut lines: Vec<Line> = loud
        .iter()
        .take(shown)
        .map(|s| {
            let (role, word) = state(s);
            let sign = match s.says {
                Verdict::NoGo => sight.glyphs.bad(),
                _ if s.alert.state == AlertState::Firing => "!",
                _ => ".",
            };
            let line = Line::of(" ").mark(role, sign).text(" ").word(role, pad(word, 8));
            line.text(format!("{} {} {}", s.alert.name(), s.group(), span(sight.age(s.began)))).fit(cells)
        })
        .collect();
    if shown < loud.len() {
        lines.push(Line::of(format!(" ... {} more (5 shows all)", loud.len() - shown)));
    }
    if quiet > 0 {
        lines.push(Line::of(format!(" - silenced {quiet} (5 shows)")));
    }
    lines
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let board = sight.model.alerts.as_ref()?;
    if let Some(words) = board.side_words() {
        return Some(words);
    }
    if !board.freshness(sight.now.wall).usable()
        && let Some(trouble) = &board.source.trouble
    {
        return Some(format!("cause: {trouble}"));
    }
    if board.left_out > 0 {
        return Some(format!("{} alerts or silences more than are read here: narrow them at the source", board.left_out));
    }
    Some(match (board.show_silences, &board.rules_trouble) {
        (true, _) => "silences of all services; X ends the selected one".into(),
        (false, Some(why)) => format!("pending alerts are not known: {why}"),
        (false, None) if sight.tier >= Tier::Medium => {
            "alerts already firing before T-0 are listed below the line and do not block gates".into()
        }
        (false, None) => "alerts that fired before T-0 do not block gates".into(),
    })
}
