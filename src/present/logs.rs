//! View 8: what instances write, newest first, and what is new in it on the canary.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{short_name, window};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::app::logs::{Folded, Logs, StreamState};
use crate::app::update::{SPLIT_FROM, log_reason};
use crate::domain::log::{LogLevel, LogLine, STREAMS_PER_SIDE};
use crate::domain::text::{span, width};
use crate::domain::{InstanceState, Track};
use crate::judge::patterns::NewPattern;
use chrono::{DateTime, Utc};

/// Most rows of one broken line.
const WRAPPED: usize = 6;

/// The panels of the view.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let mut panels = Vec::new();
    let logs = &sight.model.logs;
    if let Some(new) = new_patterns(sight, body) {
        body.take_top(new.area.height);
        panels.push(new);
    }
    if logs.split && sight.port.width >= SPLIT_FROM {
        let (left, right) = body.split_left(body.width / 2 + 1);
        panels.push(list(sight, left, Some(Track::Canary)));
        panels.push(list(sight, right, Some(Track::Baseline)));
    } else {
        panels.push(list(sight, body, None));
    }
    panels
}

/// `1 204`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// What is filtered out, as a person would type it.
fn chip(logs: &Logs, only: Option<Track>) -> String {
    let filter = &logs.filter;
    let mut parts = Vec::new();
    match (&filter.instance, filter.track) {
        (Some((_, name)), _) => parts.push(format!("inst:{}", short_name(name))),
        (None, Some(Track::Canary)) => parts.push("track:canary".to_owned()),
        (None, Some(Track::Baseline)) => parts.push("track:base".to_owned()),
        (None, None) if only.is_none() => parts.push("track:canary|base".to_owned()),
        (None, None) => {}
    }
    parts.extend(logs.level_word().map(|word| format!("level:{word}")));
    if filter.pattern.is_some() {
        parts.push("new pattern".to_owned());
    }
    if !filter.text.is_empty() {
        parts.push(filter.text.clone());
    }
    parts.join(" ")
}

fn sides(logs: &Logs, only: Option<Track>) -> &'static str {
    let track =
        only.or(logs.filter.track).or(logs.filter.instance.as_ref().and_then(|(uid, _)| logs.streams.get(uid)).map(|stream| stream.track));
    match track {
        None => "canary+base",
        Some(Track::Canary) => "canary",
        Some(Track::Baseline) => "base",
    }
}

/// `FOLLOW  LIVE 1s`: whether the newest is on top, and how old it is.
fn right(sight: &Sight<'_>) -> Line {
    let logs = &sight.model.logs;
    let line = if logs.cursor.is_some() { Line::default().word(Role::Watch, "PAUSED f follows") } else { Line::of("FOLLOW") };
    let line = line.text("  ");
    // Of one instance alone, where only its lines are shown: that others write says nothing of it.
    let only = logs.filter.instance.as_ref().map(|(uid, _)| uid);
    let sources = || logs.wanted.instances.iter().filter(|source| only.is_none_or(|uid| *uid == source.uid));
    let streams = || sources().filter_map(|source| logs.streams.get(&source.uid));
    let (wanted, states) = (sources().count(), || streams().map(|stream| &stream.state));
    let open = states().filter(|state| **state == StreamState::Following).count();
    let bad = states().filter(|state| matches!(state, StreamState::Trouble { .. })).count();
    let newest = streams().filter_map(|stream| stream.newest).max().or(logs.newest.filter(|_| only.is_none()));
    let old = newest.map_or_else(String::new, |at| format!(" {}", span(sight.age(at))));
    match (open, bad) {
        _ if sight.is_lost() => line.word(Role::Stale, format!("LOST{old}")),
        (0, 0) => line.text("waiting"),
        (0, _) => line.word(Role::Stale, format!("NO DATA{old}")),
        _ if open < wanted => line.word(Role::Watch, format!("{open}/{wanted} LIVE")).text(old),
        _ => line.word(Role::Ok, "LIVE").text(old),
    }
}

fn list(sight: &Sight<'_>, area: Area, only: Option<Track>) -> Panel {
    let logs = &sight.model.logs;
    let chip = chip(logs, only);
    let title = format!("LOGS {}{}", sides(logs, only), if chip.is_empty() { chip } else { format!("  filter [{chip}]") });
    let right = if only == Some(Track::Canary) { Line::default() } else { right(sight) };
    let panel = Panel::new(area, Line::of(title), right).close();
    let (cells, room) = (panel.inner_width() + 1, panel.inner_height());
    let rows = logs.ring.folded(only);
    if rows.is_empty() {
        let lines = nothing(sight, only, cells.saturating_sub(2)).into_iter().take(room).collect();
        return panel.with(lines);
    }
    let place = logs.cursor.map(|seq| logs.ring.place(&rows, seq));
    let from = place.map_or(0, |place| window(place, rows.len(), room));
    let wide = sight.tier >= Tier::Medium && cells >= 90;
    let shown = &rows[from.min(rows.len())..rows.len().min(from + room)];
    let name = shown.iter().map(|folded| width(short_name(&folded.row.line.name))).max().unwrap_or(5).clamp(5, 10);
    let shape = Shape { wide, name, cells, selected: false, sides: only.is_none() };
    // Broken lines take more than one row each: those above the selected one must leave it in sight.
    let mut above = 0;
    let kept = place.map_or(0, |place| {
        let before = shown[..place.saturating_sub(from).min(shown.len())].iter().rev();
        before
            .take_while(|folded| {
                above += row(sight, folded, shape).len();
                above < room.saturating_sub(WRAPPED).max(1)
            })
            .count()
    });
    let from = place.map_or(0, |place| place - kept.min(place));
    let shown = &rows[from.min(rows.len())..rows.len().min(from + room)];
    let mut lines: Vec<Line> = Vec::new();
    for (i, folded) in shown.iter().enumerate() {
        let selected = place == Some(from + i);
        lines.extend(row(sight, folded, Shape { selected, ..shape }));
        if lines.len() >= room {
            break;
        }
    }
    lines.truncate(room);
    panel.with(lines)
}

#[derive(Clone, Copy)]
struct Shape {
    wide: bool,
    name: usize,
    cells: usize,
    selected: bool,
    /// The side of each line is said.
    sides: bool,
}

/// `! 03:07:40.118Z  tz4vw  can  WARN   pool: waited 212ms`.
fn row(sight: &Sight<'_>, folded: &Folded<'_>, shape: Shape) -> Vec<Line> {
    let line = &folded.row.line;
    let gap = if shape.wide { "  " } else { " " };
    let side = if line.track == Track::Canary { "can" } else { "bas" };
    let head =
        mark(sight, line.level).text(" ").text(time(sight, line.at, shape.wide)).text(gap).text(pad(short_name(&line.name), shape.name));
    let head = head.text(gap);
    let role = if line.track == Track::Canary { Role::Canary } else { Role::Baseline };
    let head = if shape.sides { head.mark(role, side).text(gap) } else { head };
    let level = pad(line.level.word(), if shape.wide { 6 } else { 5 });
    let head = if line.level.is_error() { head.word(Role::Watch, level) } else { head.text(level) }.text(" ");
    let is_new = folded.row.pattern.is_some_and(|id| sight.model.logs.watch(sight.now.wall).any(|new| new.id == id));
    let head = if is_new { head.word(Role::Watch, "NEW").text(" ") } else { head };
    let head = if folded.times > 1 { head.text(format!("(folded x{}) ", folded.times)) } else { head };
    let indent = head.width();
    let room = shape.cells.saturating_sub(indent + 1);
    let mut lines = if sight.model.logs.wrap && room >= 12 {
        let parts = wrap(&line.text, room, WRAPPED);
        let mut parts = parts.into_iter();
        let mut lines = vec![head.text(parts.next().unwrap_or_default())];
        lines.extend(parts.map(|part| Line::of(" ".repeat(indent)).text(part)));
        lines
    } else {
        vec![head.text(cut(line, room)).fit(shape.cells)]
    };
    if shape.selected
        && let Some(first) = lines.first_mut()
    {
        *first = mark_selected(sight, std::mem::take(first), shape.cells);
    }
    lines
}

/// The beginning of a text: what no screen shows need not be measured.
fn cut(line: &LogLine, room: usize) -> &str {
    let most = (room + 8) * 4;
    if line.text.len() <= most {
        return &line.text;
    }
    let end = (most..line.text.len()).find(|at| line.text.is_char_boundary(*at)).unwrap_or(line.text.len());
    &line.text[..end]
}

fn mark(sight: &Sight<'_>, level: LogLevel) -> Line {
    match level {
        LogLevel::Fatal | LogLevel::Error => Line::default().mark(Role::Bad, sight.glyphs.bad()),
        LogLevel::Warn => Line::default().mark(Role::Watch, "!"),
        _ => Line::of(" "),
    }
}

fn time(sight: &Sight<'_>, at: DateTime<Utc>, wide: bool) -> String {
    match (wide, sight.model.screen.local_time) {
        (false, _) => sight.time(at),
        (true, true) => sight.local(at).format("%H:%M:%S%.3f ").to_string(),
        (true, false) => at.format("%H:%M:%S%.3fZ").to_string(),
    }
}

/// Why there is no line, and what to do: waiting, forbidden, nobody there, quiet and filtered are different sentences.
fn nothing(sight: &Sight<'_>, only: Option<Track>, cells: usize) -> Vec<Line> {
    let model = sight.model;
    let logs = &model.logs;
    let say = |text: &str| wrap(text, cells, 6).into_iter().map(|line| Line::of(format!(" {line}"))).collect::<Vec<_>>();
    if logs.ring.iter().any(|row| only.is_none_or(|track| track == row.line.track)) {
        let hidden = logs.ring.len();
        let error = logs.filter.error.as_ref().map_or_else(String::new, |why| format!(" ({why}: taken as words)"));
        return say(&format!("nothing matches: the filter hides {} lines{error}; Esc takes it away", grouped(hidden as u64)));
    }
    if !model.picture.listed {
        return match &model.platform.trouble {
            Some(why) => say(&format!("no instances are known yet, so there are no logs: {why}")),
            None => say(&format!("waiting for the first list of instances{}", sight.waited_words())),
        };
    }
    let sources = || logs.wanted.instances.iter().filter(|source| only.is_none_or(|track| track == source.track));
    if sources().next().is_none() {
        let spec = &model.spec;
        let waiting = model.picture.instances.iter().filter(|i| i.state == InstanceState::Pending).count();
        let why =
            if waiting > 0 { format!("{waiting} instances wait for a node and write nothing") } else { "no instance runs".to_owned() };
        let who = match only {
            Some(Track::Canary) => format!("deployment/{}", spec.canary.deployment),
            Some(Track::Baseline) => format!("deployment/{}", spec.baseline.deployment),
            None => format!("deployment/{} and deployment/{}", spec.canary.deployment, spec.baseline.deployment),
        };
        return say(&format!("{why}: {who} in {}; 2 shows the instances", spec.namespace));
    }
    let states = || sources().filter_map(|source| logs.streams.get(&source.uid)).map(|stream| &stream.state);
    let trouble = states()
        .find_map(|state| if let StreamState::Trouble { why, forbidden, next } = state { Some((why, *forbidden, *next)) } else { None });
    if let Some((why, forbidden, next)) = trouble {
        let mut lines = say(&format!("cannot read the logs: {why}"));
        if let Some(first) = lines.first_mut() {
            *first = Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).then(std::mem::take(first));
        }
        let again = sight.time(next);
        lines.extend(if forbidden {
            say(&format!("next: have that right granted; it is tried again at {again}"))
        } else {
            say(&format!("next: nothing to do, it is tried again at {again}; r asks all sources now"))
        });
        return lines;
    }
    if states().any(|state| *state == StreamState::Following) {
        return say(&format!("quiet: {} streams are open and nothing was written yet", sources().count()));
    }
    say(&format!("opening {} streams", sources().count()))
}

/// The patterns of the canary that the baseline has not, warnings and worse.
fn new_patterns(sight: &Sight<'_>, body: Area) -> Option<Panel> {
    let logs = &sight.model.logs;
    let loud: Vec<&NewPattern> = logs.new.iter().filter(|new| new.level >= LogLevel::Warn).collect();
    let most = if sight.tier >= Tier::Medium { 5 } else { 3 };
    let selected = logs.filter.pattern;
    if loud.is_empty() && selected.is_none() {
        return None;
    }
    let mut rows: Vec<&NewPattern> = loud.iter().copied().take(most).collect();
    // The selected one is always in sight.
    if let Some(chosen) = logs.new.iter().find(|new| Some(new.id) == selected)
        && !rows.iter().any(|new| new.id == chosen.id)
    {
        rows.truncate(most - 1);
        rows.push(chosen);
    }
    let height = u16::try_from(rows.len() + 1).unwrap_or(2).min(body.height / 2);
    let quiet = logs.new.len() - loud.len();
    let more = logs.new.len() - rows.len().min(logs.new.len());
    let more = if more > 0 { format!("{more} more, {quiet} of them no warning   n next") } else { "n next".to_owned() };
    let title = format!(
        "NEW PATTERNS canary only  {} lines read",
        grouped(logs.patterns.lines(Track::Canary) + logs.patterns.lines(Track::Baseline))
    );
    let panel = Panel::new(Area { height, ..body }, Line::of(title), Line::of(more));
    let cells = panel.inner_width() + 1;
    let lines = rows.into_iter().map(|new| {
        let line = pattern(sight, new, cells);
        if selected == Some(new.id) { mark_selected(sight, line, cells) } else { line }
    });
    let lines = lines.collect();
    Some(panel.with(lines))
}

/// `X ERROR 26x on 3 inst  8.1/min  base 0  since 03:05:12Z  ledger: booked <n> but charged <n>`.
fn pattern(sight: &Sight<'_>, new: &NewPattern, cells: usize) -> Line {
    let line = mark(sight, new.level).text(" ");
    let line =
        if new.is_watch(sight.now.wall) { line.word(Role::Watch, pad(new.level.word(), 5)) } else { line.text(pad(new.level.word(), 5)) };
    let line = line.text(format!(" {}x on {} inst", new.canary.count, new.canary.instances)).column(24);
    let line = line.text(format!("base {}", new.baseline.count)).column(33);
    let line = if cells >= 110 {
        line.text(format!("{:.1}/min", new.canary.per_minute)).column(43).text(format!("since {}", sight.time(new.first))).column(60)
    } else {
        line
    };
    line.text(&new.template).fit(cells)
}

/// The line of the gates panel, when the logs ask for a look before going on.
pub(super) fn gate_line(sight: &Sight<'_>, cells: usize) -> Option<Line> {
    log_reason(sight.model, sight.now)?;
    let new: Vec<&NewPattern> = sight.model.logs.watch(sight.now.wall).collect();
    let first = new.first()?;
    let more = if new.len() > 1 { format!(" and {} more", new.len() - 1) } else { String::new() };
    let left = Line::of(format!(
        " {}{}x in canary, {}x in base{more} (8): {}",
        pad("logs", 13),
        first.canary.count,
        first.baseline.count,
        first.template
    ));
    Some(Line::between(left, Line::default().word(Role::Watch, "WATCH").text("  "), cells))
}

/// `2 of 7 streams fail: connection reset`.
fn some_fail(logs: &Logs) -> Option<String> {
    let states = || logs.wanted.instances.iter().filter_map(|source| logs.streams.get(&source.uid)).map(|stream| &stream.state);
    let why = states().find_map(|state| if let StreamState::Trouble { why, .. } = state { Some(why) } else { None })?;
    let bad = states().filter(|state| matches!(state, StreamState::Trouble { .. })).count();
    Some(format!("{bad} of {} streams fail: {}", logs.wanted.instances.len(), crate::domain::text::clean_bounded(why, 60)))
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> String {
    let logs = &sight.model.logs;
    let shown = logs.ring.iter().filter(|row| row.shown).count();
    let folded = shown - logs.ring.folded(None).len();
    let (held, dropped) = (grouped(logs.ring.len() as u64), grouped(logs.dropped));
    let gaps = match logs.gaps {
        0 => String::new(),
        1 => ", 1 gap".to_owned(),
        n => format!(", {n} gaps"),
    };
    if let Some(why) = &logs.filter.error {
        return format!("no such expression: {why}; taken as words");
    }
    if let Some(why) = some_fail(logs) {
        return format!("{why}   {held} lines held, {dropped} dropped{gaps}");
    }
    if sight.tier < Tier::Medium {
        return format!("{held} lines held, {folded} repeats folded, {dropped} dropped{gaps}");
    }
    let hidden = logs.ring.len() - shown;
    let hidden = if hidden > 0 { format!("   {} hidden", grouped(hidden as u64)) } else { String::new() };
    let old = if logs.ring.pushed_out > 0 { format!("   {} older let go", grouped(logs.ring.pushed_out)) } else { String::new() };
    format!(
        "{held} lines held{hidden}   {folded} repeats folded   {dropped} dropped{gaps}{old}   tail {} lines per instance, max {STREAMS_PER_SIDE} streams a side",
        logs.wanted.tail
    )
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1204, 1_000_000].map(grouped), ["0", "999", "1 204", "1 000 000"]);
    }
}
