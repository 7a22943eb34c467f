//! The selected alert or silence of view 5 in full, and the chart of its rule.

use super::alerts::until;
use super::chart::Chart;
use super::frame::{Area, Panel};
use super::line::{Line, Role, wrap};
use super::sight::{Sight, short_span};
use crate::app::alerts::{AlertBoard, Sighting, chart_of, selected};
use crate::domain::alert::{AlertSeverity, AlertState, Silence};
use crate::domain::text::span;
use crate::domain::{Freshness, Labels, Op, Series, Track, Verdict};
use crate::judge::{Concern, Since};

fn field(name: &str, text: impl AsRef<str>) -> Line {
    Line::of(format!("  {name:<9} ")).text(text)
}

/// The alert in full: six lines, the most telling first.
pub(super) fn alert(sight: &Sight<'_>, board: &AlertBoard, area: Area, selected: Option<&Sighting>) -> Panel {
    let Some(sighting) = selected else {
        return Panel::new(area, Line::of("DETAIL"), Line::default()).with(vec![Line::of("  no alert is known")]);
    };
    let alert = &sighting.alert;
    let panel = Panel::new(area, Line::of(format!("DETAIL {}", alert.name())), Line::default());
    let cells = panel.inner_width();
    let mut lines = vec![rule(board, sighting), started(sight, sighting), says(sighting)];
    if let Some(silence) = board.silence_of(alert) {
        let left = span((silence.ends_at - sight.now.wall).to_std().unwrap_or_default());
        lines.push(field(
            "silence",
            format!("by {} until {}, {left} left   X ends it   \"{}\"", silence.created_by, until(sight, silence), silence.comment),
        ));
    }
    lines.push(field("labels", labels(&alert.labels)));
    if let Some(maybe) = maybe(sight, sighting) {
        lines.push(maybe);
    }
    if let Some(link) = alert.link() {
        lines.push(field("link", format!("{link}   (o prints the address)")));
    }
    if alert.summary() != alert.name() {
        lines.push(field("says", alert.summary()));
    }
    let room = panel.inner_height();
    panel.with(lines.into_iter().take(room).map(|l| l.fit(cells)).collect())
}

fn labels(labels: &Labels) -> String {
    let shown: Vec<String> = labels.iter().filter(|(name, _)| *name != "alertname").map(|(k, v)| format!("{k}={v}")).collect();
    shown.join(" ")
}

fn rule(board: &AlertBoard, sighting: &Sighting) -> Line {
    match board.rule_of(&sighting.alert) {
        Some(rule) => {
            let hold = if rule.hold.is_zero() { "at once".to_owned() } else { format!("for {}", short_span(rule.hold)) };
            let trouble = rule.trouble.as_ref().map_or_else(String::new, |why| format!("   FAILS: {why}"));
            field("rule", format!("{hold}: {}{trouble}", rule.query))
        }
        None => field("rule", "not known to the metrics backend"),
    }
}

fn started(sight: &Sight<'_>, sighting: &Sighting) -> Line {
    let at = sight.time(sighting.began);
    let t = sight.t(sighting.began).map_or_else(String::new, |t| format!("{t}   "));
    let after = sighting.after.as_ref().map_or_else(String::new, |after| format!("{after}   "));
    let before = match sighting.since {
        Since::NoRun => "no run to compare with",
        Since::Before => "firing before T-0",
        Since::During => "not firing before T-0",
    };
    field("started", format!("{at} {t}{after}{before}"))
}

/// What it says about going on, and why.
fn says(sighting: &Sighting) -> Line {
    let alert = &sighting.alert;
    let severity = match alert.severity() {
        AlertSeverity::Critical => "critical",
        AlertSeverity::Warning => "a warning",
        AlertSeverity::Info => "for information",
    };
    let about = match sighting.concern {
        Concern::Other => "not about this service",
        Concern::Service => "about this service",
        Concern::Side(Track::Canary) => "about the new version only",
        Concern::Side(Track::Baseline) => "about the old version only",
    };
    let why = match (sighting.concern, sighting.since, alert.state) {
        (Concern::Other, ..) => "it has no say",
        (_, Since::Before, _) => "it began before the run: no say",
        (_, Since::NoRun, _) => "no run: no say",
        (_, _, AlertState::Pending) => "pending: no say yet",
        _ if !alert.silenced_by.is_empty() => "silenced: no say",
        _ if sighting.says == Verdict::Go => "no say",
        _ => "it began during the run",
    };
    let line = Line::of("  gates     ");
    let line = if sighting.says == Verdict::Go { line } else { line.badge(Role::of(sighting.says), sighting.says.word()).text("  ") };
    line.text(format!("{severity}, {about}; {why}"))
}

/// What may have to do with it: said as an inference, never as a cause.
fn maybe(sight: &Sight<'_>, sighting: &Sighting) -> Option<Line> {
    let calm = sighting.alert.state == AlertState::Suppressed || sighting.alert.severity() == AlertSeverity::Info;
    if calm || sighting.since != Since::During || !matches!(sighting.concern, Concern::Side(Track::Canary) | Concern::Service) {
        return None;
    }
    let started = sight.run()?.state.started;
    let exits = sight.model.picture.instances.notable().filter(|i| i.track == Track::Canary);
    let (name, at, how) = exits
        .filter_map(|i| i.last_exit.as_ref().filter(|(at, _)| *at >= started).map(|(at, how)| (i.name.clone(), *at, how.clone())))
        .max_by_key(|(_, at, _)| *at)?;
    let name = super::instances::short_name(&name).to_owned();
    Some(field("maybe", format!("[inferred] {name} ended {} ({how})", sight.time(at).trim_end())))
}

/// A silence in full.
pub(super) fn silence(sight: &Sight<'_>, board: &AlertBoard, area: Area, selected: Option<&Silence>) -> Panel {
    let Some(silence) = selected else {
        return Panel::new(area, Line::of("DETAIL"), Line::default()).close().with(vec![Line::of("  no silence is known")]);
    };
    let panel = Panel::new(area, Line::of(format!("DETAIL {}", silence.id)), Line::default()).close();
    let cells = panel.inner_width();
    let mut lines = vec![
        field(
            "by",
            format!(
                "{}   from {} to {}",
                silence.created_by,
                sight.time(silence.starts_at).trim_end(),
                sight.time(silence.ends_at).trim_end()
            ),
        ),
        field("comment", &silence.comment),
    ];
    let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let parts = wrap(&matchers.join("  "), cells.saturating_sub(13), 3);
    lines.extend(parts.into_iter().enumerate().map(|(i, part)| field(if i == 0 { "about" } else { "" }, part)));
    let covered: Vec<&str> = board.sightings.iter().filter(|s| s.alert.silenced_by.contains(&silence.id)).map(|s| s.alert.name()).collect();
    let covered = if covered.is_empty() { "no alert now".to_owned() } else { covered.join(", ") };
    lines.push(field("covers", covered));
    let room = panel.inner_height();
    panel.with(lines.into_iter().take(room).map(|l| l.fit(cells)).collect())
}

/// The value of the selected alert's rule, where it compares an expression with a number.
pub(super) fn chart(sight: &Sight<'_>, board: &AlertBoard, area: Area) -> Option<Panel> {
    let sighting = selected(sight.model)?;
    let wanted = chart_of(sight.model)?;
    let kept = sight.model.panels.get(&wanted.query)?;
    let baseline = wanted.baseline.as_ref().and_then(|query| sight.model.panels.get(query));
    let fits = |series: &&Series| series.labels.iter().all(|(name, value)| sighting.alert.labels.get(name).is_none_or(|v| v == value));
    let series = kept.series.iter().find(fits).or_else(|| kept.series.first());
    // A rule about both versions tells the old one by itself.
    let old = &sight.model.spec.baseline.labels;
    let is_old = |s: &&Series| !old.is_empty() && old.iter().all(|(name, value)| s.labels.get(name) == Some(value));
    let base = baseline
        .and_then(|panel| panel.series.first())
        .or_else(|| kept.series.iter().find(is_old).filter(|_| series.is_some_and(|s| !is_old(&s))));
    let title = format!("rule value  c canary b base - - alert at {}", wanted.unit.show(wanted.limit));
    let panel = Panel::new(area, Line::of(title), sight.freshness(&sight.model.metrics)).close();
    let old = kept.newest.is_none_or(|at| !Freshness::of(sight.age(at), sight.model.metrics.interval).usable());
    let chart = Chart {
        canary: series,
        base,
        limit: Some(wanted.limit),
        unit: wanted.unit,
        good_below: matches!(wanted.op, Op::Greater | Op::GreaterOrEqual),
        stale: old,
        range: None,
    };
    let _ = board;
    let lines = chart.lines(sight, panel.inner_width(), panel.inner_height());
    Some(panel.with(lines))
}
