//! What instances write: which streams are open, what came, and the keys of view 8.

use super::super::command::{CommandId, View};
use super::super::effect::Effect;
use super::super::logs::{Folded, LogFilter, Logs, StreamState, choose};
use super::super::model::Model;
use crate::domain::log::{LogLevel, LogSelection, LogUpdate, QUIET_TAIL, TAIL};
use crate::domain::text::{clean_bounded, fit};
use crate::domain::{Failure, Refusal, RunId, Stamp, Track};
use crate::runbook::io::Level;
use std::fmt::Write as _;
use std::time::Duration;

/// How often streams are chosen anew, and how often until there is one.
const CHOOSE_EVERY: Duration = Duration::from_secs(5);
const CHOOSE_FIRST: Duration = Duration::from_millis(500);
/// How often patterns are worked out.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// From this width on the sides can stand side by side.
pub(crate) const SPLIT_FROM: u16 = 120;

/// Opens and closes streams: all while view 8 is open; with a shorter past while a run is active and somebody looks, for patterns.
pub(super) fn follow(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let is_open = model.screen.view == View::Logs;
    let is_active = model.logs.watched && model.charts && model.run.as_ref().is_some_and(|run| !run.state.phase.is_final());
    if !is_open && !is_active {
        if model.logs.wanted.instances.is_empty() {
            return Vec::new();
        }
        model.logs.wanted = LogSelection::default();
        model.logs.choose_at = stamp.boot;
        return vec![Effect::FollowLogs { selection: LogSelection::default() }];
    }
    let tail = if is_open { TAIL } else { QUIET_TAIL };
    if stamp.boot < model.logs.choose_at && tail <= model.logs.wanted.tail || !model.picture.listed {
        return Vec::new();
    }
    count_for(model);
    let logs = &model.logs;
    let known = |uid: &str| logs.streams.get(uid).and_then(|stream| stream.newest);
    let instances = choose(&model.picture.instances, &logs.wanted.instances, logs.pinned.as_deref(), &known, stamp.wall);
    let logs = &mut model.logs;
    logs.choose_at = stamp.boot + if instances.is_empty() { CHOOSE_FIRST } else { CHOOSE_EVERY };
    let same = instances.len() == logs.wanted.instances.len()
        && instances.iter().all(|new| logs.wanted.instances.iter().any(|old| old.uid == new.uid));
    let tail = tail.max(if same { logs.wanted.tail } else { 0 });
    if same && tail == logs.wanted.tail {
        return Vec::new();
    }
    logs.wanted = LogSelection { instances, tail };
    for source in logs.wanted.instances.clone() {
        let stream = logs.stream(&source.uid, &source.name, source.track);
        if stream.state == StreamState::Ended {
            stream.state = StreamState::Waiting;
        }
    }
    vec![Effect::FollowLogs { selection: logs.wanted.clone() }]
}

/// Patterns of another release are not this one's.
fn count_for(model: &mut Model) {
    let run: Option<RunId> = model.run.as_ref().map(|run| run.state.run.clone());
    let versions = model.picture.workloads.values().filter(|w| w.track == Track::Canary).map(|w| w.version.as_str());
    let subject = (run, versions.collect::<Vec<_>>().join(" "));
    let logs = &mut model.logs;
    if logs.counted_for.as_ref() != Some(&subject) {
        if logs.counted_for.is_some() {
            logs.patterns = crate::judge::patterns::Patterns::default();
            logs.new.clear();
            logs.told.clear();
            logs.filter.pattern = None;
            logs.refilter();
        }
        logs.counted_for = Some(subject);
    }
}

/// What the streams told.
pub(super) fn told(model: &mut Model, stamp: &Stamp, updates: &[LogUpdate]) {
    let logs = &mut model.logs;
    for update in updates {
        match update {
            LogUpdate::Lines(lines) => {
                let Some(first) = lines.first() else { continue };
                let stream = logs.stream(&first.instance, &first.name, first.track);
                stream.newest = stream.newest.max(lines.iter().map(|line| line.at).max());
                logs.newest = Some(stamp.wall);
                let patterns = &mut logs.patterns;
                let placed: Vec<_> = lines.iter().map(|line| (line.clone(), patterns.learn(line))).collect();
                logs.ring.extend(placed, &logs.filter);
            }
            LogUpdate::Following { instance } => set(logs, instance, StreamState::Following),
            LogUpdate::Ended { instance } => set(logs, instance, StreamState::Ended),
            LogUpdate::Trouble { instance, failure, retry_in } => {
                let next = stamp.wall + chrono::TimeDelta::from_std(*retry_in).unwrap_or_default();
                let forbidden = matches!(failure, Failure::Refused { reason: Refusal::Right, .. });
                set(logs, instance, StreamState::Trouble { why: clean_bounded(&failure.to_string(), 300), forbidden, next });
            }
            LogUpdate::Dropped { lines } => logs.dropped += lines,
            LogUpdate::Gap { .. } => logs.gaps += 1,
        }
    }
    judge(model, stamp);
}

fn set(logs: &mut Logs, instance: &str, state: StreamState) {
    if let Some(stream) = logs.streams.get_mut(instance) {
        stream.state = state;
    }
}

/// Works patterns out, at most once a second, and tells of those that ask for a look.
fn judge(model: &mut Model, stamp: &Stamp) {
    if stamp.boot < model.logs.judge_at {
        return;
    }
    model.logs.judge_at = stamp.boot + JUDGE_EVERY;
    model.logs.new = model.logs.patterns.new_on_canary();
    let fresh: Vec<_> = model.logs.watch(stamp.wall).filter(|new| !model.logs.told.contains(&new.id)).cloned().collect();
    for new in fresh {
        model.logs.told.push(new.id);
        let text = format!(
            "new error in the canary's logs: {} (x{} on {} instances); 8 shows it",
            fit(&new.template, 80),
            new.canary.count,
            new.canary.instances
        );
        model.say(Level::Warning, &text);
    }
}

/// The reason that the logs give for a look before going on.
pub(crate) fn reason(model: &Model, now: &Stamp) -> Option<String> {
    let mut all = model.logs.watch(now.wall);
    let first = all.next()?;
    let more = match all.count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!("new error in canary logs: {} (x{}){more}", fit(&first.template, 44), first.canary.count))
}

/// Keys that mean something of their own in view 8, and `l` in view 2. `None`: as everywhere.
pub(super) fn command(model: &mut Model, stamp: &Stamp, id: CommandId) -> Option<Vec<Effect>> {
    if model.screen.view != View::Logs {
        return match id {
            CommandId::Logs => {
                open(model);
                Some(Vec::new())
            }
            CommandId::Follow | CommandId::Wrap | CommandId::LogSource | CommandId::NewPattern | CommandId::Export => {
                model.say(Level::Info, "that key is for the logs: 8 shows them");
                Some(Vec::new())
            }
            _ => None,
        };
    }
    match id {
        CommandId::Logs => level(model),
        CommandId::LogSource => source(model),
        CommandId::Follow => {
            let newest = model.logs.ring.folded(None).first().map(|folded| folded.row.seq);
            model.logs.cursor = if model.logs.cursor.is_some() { None } else { newest };
        }
        CommandId::Wrap => model.logs.wrap = !model.logs.wrap,
        CommandId::Sort => split(model),
        CommandId::NewPattern => next_pattern(model),
        CommandId::Export => return Some(export(model, stamp)),
        CommandId::Copy => return Some(vec![Effect::Copy { text: copied(model) }]),
        CommandId::Back => return back(model).then(Vec::new),
        CommandId::Down => move_by(model, 1),
        CommandId::Up => move_by(model, -1),
        CommandId::PageDown => move_by(model, 10),
        CommandId::PageUp => move_by(model, -10),
        CommandId::Top => model.logs.cursor = None,
        CommandId::Bottom => move_by(model, i64::MAX / 2),
        CommandId::Open => model.logs.wrap = !model.logs.wrap,
        _ => return None,
    }
    Some(Vec::new())
}

/// The logs of the selected instance.
fn open(model: &mut Model) {
    if model.screen.view == View::Instances {
        let rows = model.picture.instances.rows(model.screen.sort, &model.screen.filter);
        let selection = model.selection();
        let selected = selection.and_then(|s| s.id.as_deref()).and_then(|id| model.picture.instances.get(id));
        let place = selection.map_or(0, |s| s.place);
        let instance = selected.or_else(|| rows.get(place.min(rows.len().saturating_sub(1))).copied());
        if let Some((uid, name)) = instance.map(|i| (i.uid.clone(), i.name.clone())) {
            model.logs.pinned = Some(uid.clone());
            model.logs.filter = LogFilter::of_instance(uid, name);
            model.logs.choose_at = Duration::ZERO;
        }
    }
    super::keys::show(model, View::Logs);
    model.logs.cursor = None;
    model.logs.refilter();
}

/// The typed filter changed.
pub(super) fn typed(model: &mut Model) {
    if model.screen.view == View::Logs && model.logs.filter.text != model.screen.filter {
        let text = model.screen.filter.clone();
        model.logs.filter.set_text(&text);
        model.logs.refilter();
    }
}

fn level(model: &mut Model) {
    let filter = &mut model.logs.filter;
    filter.least = match filter.least {
        LogLevel::Warn => LogLevel::Error,
        LogLevel::Error => LogLevel::Trace,
        _ => LogLevel::Warn,
    };
    model.logs.refilter();
}

/// Both sides, canary, baseline, the instance of the selected line, both again.
fn source(model: &mut Model) {
    let selected = selected(model).map(|folded| (folded.row.line.instance.clone(), folded.row.line.name.clone()));
    let logs = &mut model.logs;
    let filter = &mut logs.filter;
    (filter.track, filter.instance) = match (filter.track, &filter.instance, selected) {
        (_, Some(_), _) => (None, None),
        (None, None, _) => (Some(Track::Canary), None),
        (Some(Track::Canary), None, _) => (Some(Track::Baseline), None),
        (Some(Track::Baseline), None, Some(selected)) => (None, Some(selected)),
        (Some(Track::Baseline), None, None) => (None, None),
    };
    logs.pinned = logs.filter.instance.as_ref().map(|(uid, _)| uid.clone());
    logs.refilter();
}

fn split(model: &mut Model) {
    if model.screen.size.0 < SPLIT_FROM {
        model.say(Level::Info, &format!("side by side needs {SPLIT_FROM} columns; i shows one side"));
        return;
    }
    model.logs.split = !model.logs.split;
}

/// The lines of the next new pattern; after the last one all lines again.
fn next_pattern(model: &mut Model) {
    let logs = &mut model.logs;
    let at = logs.filter.pattern.and_then(|id| logs.new.iter().position(|new| new.id == id));
    let next = logs.new.get(at.map_or(0, |at| at + 1)).filter(|_| at.is_some() || logs.filter.pattern.is_none()).map(|new| new.id);
    if next.is_none() && at.is_none() && logs.filter.pattern.is_none() {
        let why =
            if logs.patterns.can_compare() { "no pattern is new on the canary" } else { "too few lines of both sides to compare them" };
        model.say(Level::Info, why);
        return;
    }
    logs.filter.pattern = next;
    logs.cursor = None;
    logs.refilter();
}

/// The selected line: the newest while the view follows.
fn selected(model: &Model) -> Option<Folded<'_>> {
    let list = model.logs.ring.folded(None);
    match model.logs.cursor {
        None => list.first().copied(),
        Some(seq) => list.get(model.logs.ring.place(&list, seq)).copied(),
    }
}

/// Moving away from the newest line pauses following; moving back to it does not resume it: `f` and `g` do.
fn move_by(model: &mut Model, by: i64) {
    let list = model.logs.ring.folded(None);
    let here = model.logs.cursor.map_or(0, |seq| model.logs.ring.place(&list, seq));
    let last = i64::try_from(list.len().saturating_sub(1)).unwrap_or(i64::MAX);
    let to = i64::try_from(here).unwrap_or(0).saturating_add(by).clamp(0, last);
    model.logs.cursor = usize::try_from(to).ok().and_then(|to| list.get(to)).map(|folded| folded.row.seq);
}

/// Takes the newest limit on what is shown away, one at a time. `false`: there was none.
fn back(model: &mut Model) -> bool {
    let had_text = !model.screen.filter.is_empty();
    model.screen.filter.clear();
    let logs = &mut model.logs;
    if had_text || !logs.filter.text.is_empty() {
        logs.filter.set_text("");
    } else if logs.filter.pattern.is_some() {
        logs.filter.pattern = None;
    } else if logs.filter.instance.is_some() || logs.filter.track.is_some() {
        (logs.filter.instance, logs.filter.track, logs.pinned) = (None, None, None);
    } else if logs.filter.least != LogLevel::Trace {
        logs.filter.least = LogLevel::Trace;
    } else if logs.cursor.is_some() {
        logs.cursor = None;
    } else {
        return false;
    }
    logs.refilter();
    true
}

fn copied(model: &Model) -> String {
    selected(model).map_or_else(String::new, |folded| plain(&folded.row.line))
}

fn plain(line: &crate::domain::log::LogLine) -> String {
    let at = line.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    format!("{at} {} {} {} {}", line.track, line.name, line.level.word(), line.text)
}

/// All lines that the filter lets through, oldest first, into a file.
fn export(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let rows = || model.logs.ring.iter().filter(|row| row.shown);
    let count = rows().count();
    if count == 0 {
        model.say(Level::Info, "nothing to export: no line is shown");
        return Vec::new();
    }
    let service: String = model.spec.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    let mut text = String::new();
    let logs = &model.logs;
    let _ = writeln!(
        text,
        "# {} {}, {count} of {} lines held, {} dropped",
        model.spec.name,
        stamp.wall.to_rfc3339(),
        logs.ring.len(),
        logs.dropped
    );
    for row in rows() {
        text.push_str(&plain(&row.line));
        text.push('\n');
    }
    vec![Effect::Export { name: format!("{service}-logs-{}.log", stamp.wall.format("%Y%m%dT%H%M%SZ")), text }]
}
