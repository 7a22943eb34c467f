//! View 2, and what the cockpit shows of it: counts, problem rows, the table.

use super::around;
use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::app::instances::{Instances, part, place};
use crate::app::model::{InstanceSort, Selection};
use crate::domain::text::{clean, span, width};
use crate::domain::{Instance, InstanceState, Track};
use std::cmp::Ordering;

/// The short word for a track in tables.
pub(super) fn group(track: Track) -> &'static str {
    match track {
        Track::Canary => "canary",
        Track::Baseline => "base",
    }
}

fn ready(sight: &Sight<'_>) -> String {
    let all = &sight.model.picture.instances;
    let (canary, base) = (all.of(Track::Canary), all.of(Track::Baseline));
    if !sight.model.picture.listed {
        // A part of a list is never shown as if it were all.
        return if all.is_empty() { String::new() } else { format!("{} read so far", all.len()) };
    }
    let mark = if sight.platform().usable() { "" } else { "~" };
    format!("{mark}{}/{} ready", canary.ready + base.ready, canary.total + base.total)
}

/// `inst 12/12 ready  1 with a problem`, or why there is nothing to count.
pub(super) fn one_line(sight: &Sight<'_>) -> Line {
    if let Some(why) = nothing(sight) {
        return why;
    }
    let all = &sight.model.picture.instances;
    let problems = all.of(Track::Canary).problems + all.of(Track::Baseline).problems;
    let trouble = if problems > 0 { format!("  {problems} with a problem") } else { String::new() };
    Line::of(format!(" inst {}{trouble}", ready(sight)))
}

/// Why there is no row to show; `None` when there are rows. Loading, forbidden and empty are three different sentences.
fn nothing(sight: &Sight<'_>) -> Option<Line> {
    let model = sight.model;
    if !model.picture.listed && model.picture.instances.is_empty() {
        if let Some(why) = &model.platform.trouble {
            return Some(Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).text(format!(" cannot read the instances: {why}")));
        }
        return Some(Line::of(format!(" waiting for the first list of instances{}", sight.waited_words())));
    }
    model.picture.instances.is_empty().then(|| {
        let spec = &model.spec;
        let text = format!(
            " no instances: deployment/{} and deployment/{} run none in {}",
            spec.canary.deployment, spec.baseline.deployment, spec.namespace
        );
        Line::of(text)
    })
}

/// Counts per track and the rows with a problem.
pub(super) fn summary(sight: &Sight<'_>, area: Area) -> Panel {
    let right = sight.model.platform.newest.map_or_else(
        || sight.freshness(&sight.model.platform),
        |at| {
            if sight.platform().usable() { Line::of(span(sight.age(at))) } else { sight.freshness(&sight.model.platform) }
        },
    );
    let panel = Panel::new(area, Line::of(format!("INSTANCES {}", ready(sight))), right).close();
    if let Some(line) = nothing(sight) {
        return panel
            .clone()
            .with(wrap(&line.plain(), panel.inner_width().saturating_sub(2), 4).into_iter().map(|l| Line::of(format!(" {l}"))).collect());
    }
    let room = panel.inner_height();
    let width = panel.inner_width();
    let mut lines = Vec::new();
    let problems = worst(&sight.model.picture.instances, room.saturating_sub(2));
    for track in Track::ALL {
        let count = sight.model.picture.instances.of(track);
        let short = if track == Track::Canary { "can" } else { "bas" };
        let line = Line::of(format!(" {short} {}/{} ready  restarts {}", count.ready, count.total, count.restarts));
        let asked: u32 = sight.model.picture.workloads.values().filter(|w| w.track == track).map(|w| w.desired).sum();
        let line = if asked > count.total { line.word(Role::Watch, format!("  asked {asked}")) } else { line };
        lines.push(line.fit(width));
        lines.extend(problems.iter().filter(|i| i.track == track).map(|i| problem_line(sight, i).fit(width)));
        if track == Track::Canary && lines.len() > room.saturating_sub(1) {
            lines.truncate(room.saturating_sub(1));
        }
    }
    let shown = problems.len();
    let all = Track::ALL.iter().map(|t| sight.model.picture.instances.of(*t).problems as usize).sum::<usize>();
    if all > shown && lines.len() < room {
        lines.push(Line::of(format!("   ... {} more with a problem (2)", all - shown)));
    }
    let workloads = sight.model.picture.workloads.values().filter_map(|w| w.trouble.as_ref().map(|t| (w, t)));
    for (workload, trouble) in workloads {
        if lines.len() < room {
            lines.push(Line::of(" ").mark(Role::Watch, "!").text(format!(" {} {trouble}", workload.track)).fit(width));
        }
    }
    panel.with(lines)
}

/// The instances with a problem, or that restarted lately, worst first, at most `most`. One pass; nothing is sorted but these.
fn worst(all: &Instances, most: usize) -> Vec<&Instance> {
    let mut kept: Vec<&Instance> = Vec::with_capacity(most + 1);
    if most == 0 {
        return kept;
    }
    let order = |a: &Instance, b: &Instance| -> Ordering {
        (!a.is_problem(), a.track, a.state, std::cmp::Reverse(a.restarts), &a.name).cmp(&(
            !b.is_problem(),
            b.track,
            b.state,
            std::cmp::Reverse(b.restarts),
            &b.name,
        ))
    };
    for instance in all.notable().filter(|i| i.is_problem() || i.last_exit.is_some()) {
        if kept.len() == most && kept.last().is_some_and(|last| order(last, instance) != Ordering::Greater) {
            continue;
        }
        let at = kept.partition_point(|k| order(k, instance) != Ordering::Greater);
        kept.insert(at, instance);
        kept.truncate(most);
    }
    kept
}

/// `! tz4vw OOMKilled 2m05s ago`.
fn problem_line(sight: &Sight<'_>, instance: &Instance) -> Line {
    let role = if instance.is_problem() { Role::Bad } else { Role::Watch };
    let sign = if instance.is_problem() { sight.glyphs.bad() } else { "!" };
    Line::of("   ").mark(role, sign).text(format!(" {} {}", short_name(&instance.name), what(sight, instance)))
}

/// The last part of a name: what tells instances of one group apart.
pub(super) fn short_name(name: &str) -> &str {
    name.rsplit('-').next().filter(|s| s.len() >= 3).unwrap_or(name)
}

fn what(sight: &Sight<'_>, instance: &Instance) -> String {
    let reason = instance.reason.as_deref();
    match (&instance.last_exit, reason) {
        (Some((at, how)), None) if instance.state == InstanceState::Ready => format!("{how} {} ago", span(sight.age(*at))),
        (_, Some(reason)) => format!("{} {reason}", instance.state.word()),
        (Some((at, how)), None) => format!("{} {how} {} ago", instance.state.word(), span(sight.age(*at))),
        (None, None) => instance.state.word().to_owned(),
    }
}

/// Rows that the table would like to have in the cockpit.
pub(super) fn rows_wanted(sight: &Sight<'_>) -> usize {
    let all = &sight.model.picture.instances;
    if all.len() > Instances::ROWS { 8 } else { all.len().clamp(2, 12) }
}

/// The rows of the table on the cockpit: all when they are few, else those with a problem; never a sort of thousands.
fn cockpit_rows<'a>(sight: &Sight<'a>, most: usize) -> Vec<&'a Instance> {
    let all = &sight.model.picture.instances;
    if all.len() > Instances::ROWS { worst(all, most) } else { all.rows(InstanceSort::Group, "") }
}

/// The table of the cockpit.
pub(super) fn table_panel(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of(format!("INSTANCES {}", ready(sight))), sight.freshness(&sight.model.platform));
    if let Some(line) = nothing(sight) {
        return panel.with(vec![line]);
    }
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let all = sight.model.picture.instances.len();
    let mut rows = cockpit_rows(sight, room);
    let fits = rows.len() == all && all < room;
    let shown = if fits { all } else { rows.len().min(room.saturating_sub(2)) };
    if !fits && rows.len() > shown {
        // Problem rows are never what is left out without a count.
        rows.sort_by_key(|i| !i.is_problem());
    }
    let columns = Columns::of(sight, &rows[..shown], cells, sight.tier == Tier::Large);
    let mut lines = vec![columns.header()];
    lines.extend(rows[..shown].iter().map(|i| columns.row(sight, i).fit(cells)));
    if shown < all {
        let healthy = if all > Instances::ROWS { " without a problem" } else { "" };
        lines.push(Line::of(format!("  ... {} more{healthy} (2 shows all)", all - shown)));
    }
    panel.with(lines)
}

/// Widths of the table's columns.
struct Columns {
    name: usize,
    version: usize,
    state: usize,
    node: usize,
    /// Use of CPU; nothing where it is not measured, or where there is no room.
    cpu: usize,
    zone: usize,
    full_names: bool,
}

impl Columns {
    fn of(sight: &Sight<'_>, rows: &[&Instance], cells: usize, full_names: bool) -> Self {
        let full_names = full_names || cells >= 76;
        let most = |f: &dyn Fn(&Instance) -> usize| rows.iter().map(|i| f(i)).max().unwrap_or(0);
        let width = |text: &str| width(&clean(text));
        let name = most(&|i| width(if full_names { &i.name } else { short_name(&i.name) }));
        let version = (most(&|i| width(&i.version)) + 1).clamp(8, 16);
        let state = (most(&|i| width(i.state.word())) + 1).clamp(6, 9);
        let node = most(&|i| i.node.as_deref().map_or(0, width)) + 1;
        // cursor, group, restarts, age
        let fixed = 2 + 7 + state + 5 + 9;
        let (name, node) = ((name + 1).max(13), node.clamp(5, 24));
        let cpu = if rows.iter().any(|i| around::cpu(sight, i).is_some()) { 6 } else { 0 };
        let zone = most(&|i| around::zone(sight, i).map_or(0, width));
        let zone = if zone > 0 { (zone + 1).clamp(5, 16) } else { 0 };
        let mut columns = Self { name, version, state, node, cpu, zone, full_names };
        if fixed + columns.name + columns.version + columns.node + columns.cpu + columns.zone + 12 > cells {
            columns.zone = 0;
        }
        if fixed + columns.name + columns.version + columns.cpu > cells {
            columns.cpu = 0;
        }
        let fixed = fixed + columns.cpu + columns.zone;
        if fixed + columns.name + columns.version + columns.node + 12 > cells {
            columns.node = 0;
        }
        if fixed + columns.name + columns.version > cells {
            columns.version = 0;
        }
        columns.name = columns.name.min(cells.saturating_sub(fixed + columns.version + columns.node)).max(6);
        columns
    }

    fn header(&self) -> Line {
        let mut text = format!("  {}{}", pad("GRP", 7), pad("NAME", self.name));
        if self.version > 0 {
            text += &pad("VERSION", self.version);
        }
        for (name, cells) in [("STATE", self.state), ("RST", 5), ("CPU", self.cpu), ("AGE", 9), ("NODE", self.node), ("ZONE", self.zone)] {
            if cells > 0 {
                text += &pad(name, cells);
            }
        }
        Line::default().word(Role::Secondary, text + "WHY")
    }

    fn row(&self, sight: &Sight<'_>, instance: &Instance) -> Line {
        let name = if self.full_names { &instance.name } else { short_name(&instance.name) };
        let mut line = Line::of(format!("  {}{}", pad(group(instance.track), 7), pad(name, self.name)));
        if self.version > 0 {
            line = line.text(pad(&instance.version, self.version));
        }
        let role = match instance.state {
            InstanceState::Ready => Role::Primary,
            _ if instance.is_problem() => Role::Bad,
            _ => Role::Watch,
        };
        line = line.word(role, instance.state.word()).column(2 + 7 + self.name + self.version + self.state);
        line = line.text(pad(&instance.restarts.to_string(), 5));
        if self.cpu > 0 {
            line = line.text(pad(&around::cpu(sight, instance).unwrap_or_else(|| "-".into()), self.cpu));
        }
        line = line.text(pad(&span(sight.age(instance.created)), 9));
        if self.node > 0 {
            line = line.text(pad(instance.node.as_deref().unwrap_or("-"), self.node));
        }
        if self.zone > 0 {
            line = line.text(pad(around::zone(sight, instance).unwrap_or("-"), self.zone));
        }
        if instance.reason.is_some() || instance.last_exit.is_some() {
            line = line.text(why(sight, instance));
        }
        line
    }
}

fn why(sight: &Sight<'_>, instance: &Instance) -> String {
    let exit = instance.last_exit.as_ref().map(|(at, how)| format!("{how} {} ago", span(sight.age(*at))));
    [instance.reason.as_deref().map(str::to_owned), exit].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// View 2.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let model = sight.model;
    let all = &model.picture.instances;
    let (canary, base) = (all.of(Track::Canary), all.of(Track::Baseline));
    let filter = if model.screen.filter.is_empty() { String::new() } else { format!("   filter: {}", model.screen.filter) };
    let rows = all.hits(&model.screen.filter);
    let problems = (canary.problems + base.problems) as usize;
    let trouble = if problems > 0 { format!("   {problems} with a problem") } else { String::new() };
    let title = format!("INSTANCES {}   canary {}  base {}{trouble}{filter}", ready(sight), canary.total, base.total);
    let details = sight.tier >= Tier::Medium || model.selection().is_some_and(|s| s.details);
    let detail_rows = if details { (body.height / 3).clamp(4, 14) } else { 4 };
    let list = body.take_top(body.height.saturating_sub(detail_rows));
    let right = sight.freshness(&model.platform).text(" (watch)");
    let panel = Panel::new(list, Line::of(title), right);
    if let Some(line) = nothing(sight) {
        body.y = list.y;
        body.height += list.height;
        return vec![Panel { area: body, ..panel }.with(vec![line]).close()];
    }
    let cells = panel.inner_width();
    let room = panel.inner_height().saturating_sub(1);
    let count = rows.len();
    let there = model.selection().and_then(|s| s.id.as_deref()).and_then(|id| place(&rows, model.screen.sort, id));
    let cursor = match there {
        Some(place) => Cursor { place, gone: false },
        None => cursor(model.selection(), std::iter::empty(), count),
    };
    let from = window(cursor.place, count, room);
    // Without room for a row the selected one still has its details.
    let shown = part(rows, model.screen.sort, from, room.max(cursor.place + 1 - from));
    let selected = shown.get(cursor.place - from).copied();
    let shown = &shown[..shown.len().min(room)];
    let columns = Columns::of(sight, shown, cells, true);
    let mut lines = vec![columns.header()];
    for (i, instance) in shown.iter().enumerate() {
        let line = columns.row(sight, instance).fit(cells);
        lines.push(if from + i == cursor.place { mark_selected(sight, line, cells) } else { line });
    }
    if count == 0 {
        let text = if model.screen.filter.is_empty() {
            "  no instance has a problem; / finds others"
        } else {
            "  nothing matches the filter; Esc clears it"
        };
        lines.push(Line::of(text));
    }
    if sight.port.width < 120 {
        return vec![panel.with(lines), detail(sight, body, selected, cursor.gone)];
    }
    let (left, right) = body.split_left(body.width * 55 / 100);
    vec![panel.with(lines), detail(sight, left, selected, cursor.gone), around::panel(sight, right)]
}

fn detail(sight: &Sight<'_>, area: Area, selected: Option<&Instance>, gone: bool) -> Panel {
    let Some(instance) = selected else {
        return Panel::new(area, Line::of("DETAIL"), Line::default()).close();
    };
    let gone = if gone { "  (the selected one is gone)" } else { "" };
    let title = format!("DETAIL {} ({}){gone}", instance.name, instance.track);
    let panel = Panel::new(area, Line::of(title), Line::default()).close();
    let cells = panel.inner_width();
    let exit = instance
        .last_exit
        .as_ref()
        .map_or_else(|| "none".to_owned(), |(at, how)| format!("{how} at {} ({} ago)", sight.time(*at).trim_end(), span(sight.age(*at))));
    let mut lines = vec![Line::of(format!(
        " state    {}{}   restarts {}   last exit {exit}",
        instance.state.word(),
        instance.reason.as_ref().map_or_else(String::new, |r| format!(": {r}")),
        instance.restarts
    ))];
    lines.push(Line::of(format!(
        " runs     {}   on {}{}   created {} ({} ago)",
        instance.version,
        instance.node.as_deref().unwrap_or("no node"),
        around::zone(sight, instance).map_or_else(String::new, |zone| format!(" in {zone}")),
        sight.time(instance.created).trim_end(),
        span(sight.age(instance.created))
    )));
    if panel.inner_height() <= 3 && !instance.is_problem() {
        // Little room: what needs a look goes before what is fine.
        lines.truncate(1);
        if let Some(other) = worst(&sight.model.picture.instances, 1).first().filter(|o| o.uid != instance.uid) {
            lines.push(Line::of(" ").mark(Role::Watch, "!").text(format!(
                " {}: restarts {}, {}",
                other.name,
                other.restarts,
                what(sight, other)
            )));
        }
    }
    lines.extend(around::limits(sight, instance));
    let workload = sight.model.picture.workloads.values().find(|w| w.track == instance.track);
    if let Some(workload) = workload {
        let trouble = workload.trouble.as_ref().map_or_else(String::new, |t| format!("   ! {t}"));
        lines.push(Line::of(format!(
            " workload {}   {} of {} ready, {} updated{trouble}",
            workload.object, workload.ready, workload.desired, workload.updated
        )));
        lines.push(Line::of(format!(" image    {}", workload.image)));
    }
    let about = format!("/{}", instance.name);
    for event in sight.model.picture.events.iter().filter(|e| e.about.ends_with(&about)) {
        lines.push(Line::of(format!(" event    {} {} {} (x{})", sight.time(event.at), event.reason, event.message, event.count)));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

/// Where the cursor of a view stands.
pub(super) struct Cursor {
    /// Place in the rows.
    pub(super) place: usize,
    /// The selected row is no longer there: the place is where it was.
    pub(super) gone: bool,
}

/// The cursor follows its row by identity; when the row vanished it stays on its place.
pub(super) fn cursor<'a>(selection: Option<&Selection>, ids: impl Iterator<Item = &'a str>, count: usize) -> Cursor {
    let last = count.saturating_sub(1);
    let Some(selection) = selection else { return Cursor { place: 0, gone: false } };
    let Some(id) = &selection.id else { return Cursor { place: selection.place.min(last), gone: false } };
    let mut ids = ids;
    match ids.position(|i| i == id) {
        Some(place) => Cursor { place, gone: false },
        None => Cursor { place: selection.place.min(last), gone: count > 0 },
    }
}

/// The first row of a window of `room` rows that holds `place`.
pub(super) fn window(place: usize, count: usize, room: usize) -> usize {
    if count <= room || room == 0 {
        return 0;
    }
    place.saturating_sub(room / 2).min(count - room)
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> String {
    let model = sight.model;
    let all = model.picture.instances.len();
    let shown = if model.screen.filter.is_empty() && all <= Instances::ROWS {
        all
    } else {
        model.picture.instances.hits(&model.screen.filter).len()
    };
    let hidden = all - shown.min(all);
    let hidden = match hidden {
        0 => "nothing hidden".to_owned(),
        n if model.screen.filter.is_empty() => format!("{n} healthy: / finds them"),
        n => format!("{n} hidden by the filter"),
    };
    format!("{shown} of {all} shown   sort: {}   {hidden}", model.screen.sort.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_follows_its_row_and_stays_when_the_row_is_gone() {
        let selection = Selection { id: Some("b".into()), place: 3, details: false };
        let at = |ids: &[&str]| cursor(Some(&selection), ids.iter().copied(), ids.len());
        assert_eq!((at(&["a", "b"]).place, at(&["a", "b"]).gone), (1, false));
        assert_eq!((at(&["x", "y"]).place, at(&["x", "y"]).gone), (1, true));
        assert_eq!((at(&[]).place, at(&[]).gone), (0, false));
    }

    #[test]
    fn the_window_holds_the_cursor() {
        for room in 1..12 {
            for place in 0..30 {
                let from = window(place, 30, room);
                assert!(from <= place && place < from + room && from + room <= 30, "{place} {room} {from}");
            }
        }
    }
}
