//! The rows that never move: who and where, how it stands, the views; and below them at most two banners.

use super::frame::Tier;
use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::command::View;
use crate::app::model::{Mode, Seat};
use crate::domain::text::{clock, span, width};
use crate::domain::{Freshness, Protection, SourceHealth};
use std::time::Duration;

/// Row 1: what would be changed from here, and whether it can be.
pub(super) fn identity(sight: &Sight<'_>) -> Line {
    let model = sight.model;
    let cells = usize::from(sight.port.width);
    let wall = clocks(sight);
    let mark = environment(sight);
    let mode = mode(sight);
    let place = match sight.tier {
        Tier::Large => format!("  cluster {}   namespace {}", model.spec.context, model.spec.namespace),
        Tier::Compact | Tier::Tiny => format!(" @{}", model.spec.context.rsplit('/').next().unwrap_or_default()),
        _ => format!("  {}/{}", model.spec.context, model.spec.namespace),
    };
    let driver = driver(sight);
    let head = Line::of(" ").then(mark).text(format!(" {}", model.spec.name));
    let fixed = head.width() + 2 + mode.width() + 1 + wall.width();
    let driver_room = if sight.tier >= Tier::Medium { width(&driver) } else { 0 };
    let room = cells.saturating_sub(fixed + driver_room);
    let mut line = head.then(Line::of(place).fit(room)).text("  ").then(mode);
    if driver_room > 0 {
        line = line.text(&driver);
    }
    Line::between(line, wall, cells)
}

/// Word and shape of the environment.
pub(super) fn environment(sight: &Sight<'_>) -> Line {
    let role = match sight.model.spec.protection {
        Protection::Protected => Role::EnvProtected,
        Protection::Shared => Role::EnvShared,
        Protection::Private => Role::EnvPrivate,
    };
    Line::default().badge(role, sight.model.spec.mark())
}

fn mode(sight: &Sight<'_>) -> Line {
    let model = sight.model;
    if model.options.spectator || model.mode == Mode::Spectator {
        return Line::default().word(Role::ModeSpectator, "SPECTATOR");
    }
    match model.mode {
        Mode::Armed { until } => {
            let left = until.saturating_sub(sight.now.boot);
            let left = if left >= Duration::from_secs(60) { format!("{}m", left.as_secs().div_ceil(60)) } else { span(left) };
            Line::default().badge(Role::ModeArmed, format!("ARMED {left}"))
        }
        _ if model.options.read_only => Line::default().word(Role::ModeObserve, "OBSERVE read-only"),
        _ => Line::default().word(Role::ModeObserve, "OBSERVE"),
    }
}

fn driver(sight: &Sight<'_>) -> String {
    match sight.run() {
        Some(run) if run.state.phase.is_final() => String::new(),
        Some(run) => match run.seat {
            Seat::Driving => format!("   driver {} (you)", run.state.driver.id),
            Seat::Following => format!("   driver {}", run.state.driver.id),
            Seat::Unattended => "   nobody drives".into(),
        },
        None => String::new(),
    }
}

fn clocks(sight: &Sight<'_>) -> Line {
    let utc = sight.now.wall;
    let zone = &sight.model.options.local_zone;
    let text = match sight.tier {
        Tier::Large if zone.is_empty() => utc.format("%Y-%m-%d %H:%M:%SZ ").to_string(),
        Tier::Large => format!("{}  ({} {zone}) ", utc.format("%Y-%m-%d %H:%M:%SZ"), sight.local(utc).format("%H:%M")),
        Tier::Medium | Tier::Small if sight.model.screen.local_time && !zone.is_empty() => {
            format!("{} {zone} {} ", sight.local(utc).format("%H:%M:%S"), utc.format("%H:%MZ"))
        }
        Tier::Medium | Tier::Small if !zone.is_empty() => {
            format!("{} {} {zone} ", utc.format("%H:%M:%SZ"), sight.local(utc).format("%H:%M"))
        }
        _ => utc.format("%H:%M:%SZ ").to_string(),
    };
    Line::of(text)
}

/// Row 2: how far, how well, and how old the data is. The verdict and the freshness are never cut.
pub(super) fn flight(sight: &Sight<'_>) -> Line {
    let cells = usize::from(sight.port.width);
    let verdict = verdict(sight);
    let elapsed = t_clock(sight);
    let stage = sight.stage();
    let progress = sight.progress().map_or_else(String::new, |p| format!("  {p}"));
    let narrow = sight.tier <= Tier::Compact;
    let mut heads = Vec::new();
    if sight.tier >= Tier::Medium {
        let versions = format!("  {}", super::verbs::versions(sight));
        let bake = sight.baking().map_or_else(String::new, |b| format!(" bake {}/{}", clock(b.done()), clock(b.total)));
        heads.push(format!(" {elapsed}   {stage}{versions} {progress}{bake}   "));
        heads.push(format!(" {elapsed}  {stage}{versions}{progress}   "));
    }
    heads.push(format!(" {elapsed}  {stage}{progress}  "));
    heads.push(format!(" {stage}{progress} "));
    heads.push(format!(" {stage} "));
    heads.push(" ".into());
    let tails = [sources(sight, false, narrow), sources(sight, true, narrow)];
    for head in &heads {
        for tail in &tails {
            let line = Line::of(head).then(verdict.clone());
            if line.width() + 2 + tail.width() < cells {
                return if narrow {
                    Line::between(Line::of(head), verdict.clone().text("  ").then(tail.clone()).text(" "), cells)
                } else {
                    Line::between(line, skew(sight).then(tail.clone()).text(" "), cells)
                };
            }
        }
    }
    verdict.pad(cells)
}

/// `VERDICT HOLD`.
pub(super) fn verdict(sight: &Sight<'_>) -> Line {
    let verdict = sight.model.verdict.verdict;
    Line::of("VERDICT ").badge(Role::of(verdict), verdict.word())
}

fn t_clock(sight: &Sight<'_>) -> String {
    let Some(run) = sight.run() else { return "no run".into() };
    let end = run.state.ended.unwrap_or(sight.now.wall);
    let s = crate::domain::time::age(end, run.state.started).as_secs();
    format!("T+{:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
}

fn skew(sight: &Sight<'_>) -> Line {
    match sight.model.picture.skew.map(|s| s.num_seconds()) {
        Some(s) if s.abs() > 2 => Line::default().word(Role::Watch, format!("SKEW {s:+}s")).text("  "),
        _ => Line::default(),
    }
}

/// Freshness of every source; `bad_only` leaves the good ones out when something is wrong.
fn sources(sight: &Sight<'_>, bad_only: bool, narrow: bool) -> Line {
    let model = sight.model;
    let both = [&model.platform, &model.metrics];
    let states: Vec<(Freshness, &SourceHealth)> = both.iter().map(|s| (s.freshness(sight.now.wall), *s)).collect();
    if states.iter().all(|(f, _)| matches!(f, Freshness::Lost | Freshness::Auth)) {
        let newest = both.iter().filter_map(|s| s.newest).max();
        let since = newest.map_or_else(|| clock(sight.waited()), |at| clock(sight.age(at)));
        return Line::default().badge(Role::Stale, format!("**NO DATA {since}**"));
    }
    let mut line = alerts_source(sight);
    for (state, source) in states.iter().filter(|(f, _)| !f.usable()) {
        let old = source.newest.map_or_else(|| span(sight.waited()), |at| span(sight.age(at)));
        line = if Sight::is_loading(source) {
            line.text(format!("waiting {} {old} ", source.short))
        } else {
            line.badge(Role::Stale, format!("**{} {} {old}**", state.word(), source.short)).text(" ")
        };
    }
    let usable: Vec<&(Freshness, &SourceHealth)> = states.iter().filter(|(f, _)| f.usable()).collect();
    if usable.is_empty() || (bad_only && usable.len() < states.len()) {
        return trim(line);
    }
    if narrow && usable.len() == states.len() {
        let oldest = both.iter().filter_map(|s| s.newest).min();
        let worst = usable.iter().map(|(f, _)| *f).max().unwrap_or(Freshness::Live);
        return word(line, worst).text(oldest.map_or_else(String::new, |at| format!(" {}", span(sight.age(at)))));
    }
    let mut last = None;
    for (state, source) in usable {
        if last != Some(*state) {
            line = word(line, *state).text(" ");
            last = Some(*state);
        }
        let old = source.newest.map_or_else(String::new, |at| span(sight.age(at)));
        line = line.text(format!("{} {old} ", source.short));
    }
    trim(line)
}

/// The alerts source stands here only when it cannot be relied on.
fn alerts_source(sight: &Sight<'_>) -> Line {
    let Some(source) = sight.model.alerts.as_ref().map(|b| &b.source) else { return Line::default() };
    let state = source.freshness(sight.now.wall);
    if state.usable() || Sight::is_loading(source) {
        return Line::default();
    }
    let old = source.newest.map_or_else(|| span(sight.waited()), |at| span(sight.age(at)));
    Line::default().badge(Role::Stale, format!("**{} {} {old}**", state.word(), source.short)).text(" ")
}

fn word(line: Line, state: Freshness) -> Line {
    match state {
        Freshness::Live => line.word(Role::Ok, "LIVE"),
        other => line.word(Role::Watch, other.word()),
    }
}

fn trim(mut line: Line) -> Line {
    if let Some(last) = line.spans.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    line
}

/// Row 3: the views that exist.
pub(super) fn views(sight: &Sight<'_>) -> Line {
    let cells = usize::from(sight.port.width);
    let full = |name: fn(View) -> &'static str, active_only: bool| {
        let mut line = Line::default();
        for view in View::ALL {
            let is_active = view == sight.model.screen.view;
            let mark = if view == View::Alerts { super::alerts::mark(sight) } else { String::new() };
            let label = if active_only && !is_active {
                format!("{}{mark}", view.digit())
            } else {
                format!("{} {}{mark}", view.digit(), name(view))
            };
            line = if is_active { line.word(Role::Focus, format!("[{label}]")) } else { line.text(format!(" {label} ")) };
        }
        line
    };
    let candidates = match sight.tier {
        Tier::Large | Tier::Medium => vec![full(View::name, false), full(View::short, false)],
        _ => vec![full(View::short, false), full(View::short, true)],
    };
    let fitting = candidates.iter().find(|l| l.width() <= cells).or(candidates.last());
    fitting.cloned().unwrap_or_default().pad(cells)
}

/// At most two rows below the views: the worst thing first.
pub(super) fn banner(sight: &Sight<'_>) -> Vec<(Role, Line)> {
    let model = sight.model;
    let cells = usize::from(sight.port.width);
    let mut rows = Vec::new();
    if let Some(incident) = &model.incident {
        rows.push((Role::BannerIncident, filled(&format!("INCIDENT  {}", incident.what), cells)));
    }
    let (stale, advice) = stale(sight);
    if let Some(stale) = &stale {
        rows.push((Role::BannerStale, filled(stale, cells)));
    }
    if let (Some(incident), 1) = (&model.incident, rows.len()) {
        rows.push((Role::BannerIncident, Line::of(format!(" {}", incident_state(sight, incident))).pad(cells)));
    } else if stale.is_some() && rows.len() == 1 {
        rows.push((Role::BannerStale, Line::of(advice).pad(cells)));
    }
    if rows.is_empty() && (model.options.spectator || model.mode == Mode::Spectator) {
        rows.push((Role::ModeSpectator, filled("SPECTATOR  read-only  nothing you press here can change production", cells)));
    }
    if sight.tier == Tier::Compact {
        rows.truncate(1);
    }
    rows
}

fn incident_state(sight: &Sight<'_>, incident: &crate::app::model::Incident) -> String {
    match incident.countdown.map(|due| due.saturating_sub(sight.now.boot)) {
        Some(left) if !left.is_zero() => {
            format!("BACKS OUT BY ITSELF in {} s.   H stops that.   B backs out now: 0%.", left.as_millis().div_ceil(1000))
        }
        _ if sight.can_back_out() => format!("{}.   B backs out: {}.", incident.state, super::verbs::way_back_words(sight)),
        _ => format!("{}.", incident.state),
    }
}

/// What is not live, as a headline with advice.
fn stale(sight: &Sight<'_>) -> (Option<String>, &'static str) {
    const LOST: &str = " Nothing below is live. Traffic stays at its last setting.";
    const STALE: &str = " Do not decide on these numbers. Promote OFF. Hold and Back out still work.";
    let model = sight.model;
    let since = |source: &SourceHealth| match source.newest {
        Some(at) => format!("since {} ({})", sight.time(at).trim_end(), words(sight.age(at))),
        None => "yet".to_owned(),
    };
    let (platform, metrics) = (sight.platform(), sight.metrics());
    match (platform, metrics) {
        (Freshness::Auth, _) => (Some(format!("LOGIN NEEDED  no data from {} {}", model.platform.source, since(&model.platform))), LOST),
        (Freshness::Lost, Freshness::Lost | Freshness::Auth) => {
            (Some(format!("DISCONNECTED  no data {}", since(newest(&model.platform, &model.metrics)))), LOST)
        }
        (Freshness::Lost, _) => (Some(format!("DISCONNECTED  no data from {} {}", model.platform.source, since(&model.platform))), LOST),
        (Freshness::Stale, _) => (Some(last_good(sight, &model.platform)), STALE),
        (_, Freshness::Stale) => (Some(last_good(sight, &model.metrics)), STALE),
        (_, Freshness::Lost) => (Some(format!("NO DATA  {} does not answer, none {}", model.metrics.source, since(&model.metrics))), STALE),
        (_, Freshness::Auth) => (Some(format!("LOGIN NEEDED  no data from {} {}", model.metrics.source, since(&model.metrics))), STALE),
        _ => (None, ""),
    }
}

fn newest<'a>(a: &'a SourceHealth, b: &'a SourceHealth) -> &'a SourceHealth {
    if a.newest >= b.newest { a } else { b }
}

fn last_good(sight: &Sight<'_>, source: &SourceHealth) -> String {
    match source.newest {
        Some(at) => format!("STALE DATA  {} last good {}, {} ago", source.source, sight.time(at).trim_end(), words(sight.age(at))),
        None => format!("STALE DATA  {} never good", source.source),
    }
}

/// `47 s`, `2 min 14 s`.
pub(super) fn words(old: Duration) -> String {
    match old.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => span(old),
    }
}

fn filled(text: &str, cells: usize) -> Line {
    let text = Line::of(format!(" {text} ")).fit(cells).plain();
    let missing = cells.saturating_sub(width(&text));
    let left = missing / 2;
    Line::of("#".repeat(left)).text(text).text("#".repeat(missing - left))
}
