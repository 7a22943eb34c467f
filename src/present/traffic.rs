//! View 3: the split, who wrote it, the plan of weights, and what the traffic did.

use super::chart::Chart;
use super::frame::{Area, Panel, Tier};
use super::line::{Line, Role, pad};
use super::sight::{Sight, percent, short_span};
use crate::app::model::Model;
use crate::domain::text::{span, width};
use crate::domain::{Route, Series, Track, Unit};
use crate::runbook::plan::StepKind;
use crate::runbook::state::StepPhase;
use std::time::Duration;

/// `base v2.41.3 75% [░░░░░░████] 25% v2.42.0 canary`.
pub(super) fn bar(sight: &Sight<'_>, cells: usize) -> Line {
    let Some(share) = sight.model.share_now() else {
        return Line::of(" ").text(no_route(sight)).fit(cells);
    };
    let mark = if sight.platform().usable() { "" } else { "~" };
    if !sight.model.is_split() && !sight.model.is_rolling() {
        return Line::of(format!(" {mark}all of it to {}", sight.version(Track::Canary))).fit(cells);
    }
    let left = format!(" base {} {mark}{} ", sight.version(Track::Baseline), percent(100.0 - share));
    let right = format!(" {mark}{} {} canary", percent(share), sight.version(Track::Canary));
    let room = cells.saturating_sub(width(&left) + width(&right));
    if room < 6 {
        return Line::of(format!(" base {} canary {}", percent(100.0 - share), percent(share))).fit(cells);
    }
    Line::of(left).then(sight.glyphs.split(share / 100.0, room)).text(right)
}

/// Why there is no split to show.
fn no_route(sight: &Sight<'_>) -> String {
    let model = sight.model;
    let Some(name) = model.spec.route.object() else {
        return "nothing splits traffic here: it follows the instances that are ready".to_owned();
    };
    match (&model.picture.route, model.picture.route_read, &model.platform.trouble) {
        (Some(_), ..) => format!("the weights of {name} add up to nothing"),
        (None, true, _) => format!("{name} does not exist in {}: traffic is not split here", model.spec.namespace),
        (None, false, Some(why)) => format!("cannot read {name}: {why}"),
        (None, false, None) => format!("waiting for {name}{}", sight.waited_words()),
    }
}

/// The object with its rule, in the object's own words: `virtualservice/checkout http[primary]`.
fn place(route: &Route) -> String {
    match route.object.split_once('/').map(|(kind, _)| kind) {
        Some("virtualservice") => format!("{} http[{}]", route.object, route.rule),
        Some("httproute") => format!("{} rule[{}]", route.object, route.rule),
        _ => format!("{} {}", route.object, route.rule),
    }
}

/// Where the three weights come from, in one line.
pub(super) fn sources_line(sight: &Sight<'_>) -> Line {
    let model = sight.model;
    let Some(route) = &model.picture.route else { return Line::default() };
    let seen = match (&model.observed.share, model.observed.rps) {
        (Some(share), rps) => {
            let rates = rps.map_or_else(String::new, |r| {
                let old = if sight.share().is_some() { "" } else { "~" };
                let part = share.percent().map_or_else(String::new, |p| format!(", {old}{:.0} rps canary", r * p / 100.0));
                format!("; {old}{r:.0} rps total{part}")
            });
            format!(" + observed requests, {} s window{rates}", share.window.as_secs())
        }
        (None, _) => model.observed.trouble.as_ref().map_or_else(String::new, |t| format!("; observed: {t}")),
    };
    let line = Line::of(format!("source: {} weights{seen}", place(route)));
    match &route.trouble {
        Some(trouble) => line.text("   ").mark(Role::Bad, "!").text(format!(" {trouble}")),
        None => line,
    }
}

/// View 3.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let split_rows = u16::try_from(weight_lines(sight).len() + 2).unwrap_or(8);
    let split = split_panel(sight, body.take_top(split_rows.min(body.height)));
    let routes = super::routes::lines(sight, usize::from(body.width.saturating_sub(2)));
    let route_rows = u16::try_from(routes.len()).map_or(0, |rows| if rows == 0 { 0 } else { (rows + 1).min(12) });
    let others = match super::targets::rows(sight, true) {
        0 => None,
        rows => Some(super::targets::panel(sight, body.take_top(rows.min(body.height / 3)))),
    };
    if super::progressive::is_there(sight) && body.height >= 4 {
        let mut panels = vec![split];
        panels.extend(others);
        panels.extend(super::progressive::panels(sight, body));
        return panels;
    }
    let plan_rows = u16::try_from(plan_lines(sight, 20).len().clamp(1, 14) + 1).unwrap_or(8);
    // The plan keeps room for where it stands; routes show what is wrong first.
    let route_rows = route_rows.min(body.height.saturating_sub(plan_rows.min(6)));
    let has_chart = body.height >= plan_rows + route_rows + 7;
    // The last block has a border below.
    let route_rows =
        if has_chart || route_rows == 0 { route_rows } else { (route_rows + 1).min(body.height.saturating_sub(plan_rows.min(6))) };
    let plan_area = body.take_top(if has_chart { plan_rows } else { body.height - route_rows });
    let route_area = body.take_top(route_rows);
    let mut plan = Panel::new(plan_area, Line::of("PLAN"), Line::of("weights and bakes"));
    if body.height < 4 && route_rows == 0 {
        plan.area.height += body.height;
        plan = plan.close();
    }
    let lines = plan_lines(sight, if sight.tier >= Tier::Medium { 40 } else { 20 });
    let cells = plan.inner_width();
    let room = plan.inner_height();
    let here = lines.iter().position(|l| l.plain().contains("YOU ARE HERE")).unwrap_or(0);
    let from = super::instances::window(here, lines.len(), room);
    plan.lines = lines.into_iter().skip(from).take(room).map(|l| l.fit(cells)).collect();
    let mut panels = vec![split];
    panels.extend(others);
    panels.push(plan);
    if route_rows > 0 {
        let mut panel = Panel::new(route_area, super::routes::title(sight), sight.freshness(&sight.model.platform));
        if body.height < 4 {
            panel.area.height += body.height;
            panel = panel.close();
        }
        let (cells, room) = (panel.inner_width(), panel.inner_height());
        panels.push(panel.with(routes.into_iter().take(room).map(|line| line.fit(cells)).collect()));
    }
    if body.height >= 4 {
        panels.push(history(sight, body).close());
    }
    panels
}

fn split_panel(sight: &Sight<'_>, area: Area) -> Panel {
    let title = Line::of("SPLIT ").then(sight.weights_and_agreement());
    let panel = Panel::new(area, title, sight.freshness(&sight.model.platform));
    let cells = panel.inner_width();
    let mut lines = vec![bar(sight, cells)];
    lines.extend(weight_lines(sight));
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

/// The three weights, each with who said so.
fn weight_lines(sight: &Sight<'_>) -> Vec<Line> {
    let model = sight.model;
    let mut lines = Vec::new();
    if !model.is_split() {
        lines.push(Line::of(format!(" want: {:<6} nothing splits traffic here: it follows the instances that are ready", "-")));
        lines.push(Line::of(format!(" set:  {:<6} each ready instance gets about the same", "-")));
        let (seen, of) = match (model.share_now(), model.ready_instances()) {
            (Some(share), Some((new, all))) => {
                (percent(share), format!("{new} of {all} ready instances run {}", sight.version(Track::Canary)))
            }
            _ => ("?".to_owned(), "the instances are not known".to_owned()),
        };
        lines.push(Line::of(format!(" seen: {seen:<6} {of}")));
        return lines;
    }
    let rollout = model.picture.progressive.rollout.as_ref().filter(|it| !it.is_settled());
    let by = match (sight.run().filter(|r| !r.state.phase.is_final()), &model.picture.route) {
        (Some(run), _) if run.state.intended.is_some() => match run.state.shifted_at {
            Some(at) => format!("run {}, in force since {}", run.state.run, sight.time(at).trim_end()),
            None => format!("run {}", run.state.run),
        },
        (_, Some(_)) if rollout.is_some() => {
            let place = rollout.and_then(crate::domain::Progressive::place).unwrap_or_default();
            format!("what the rollout's own steps ask for: {place}")
        }
        (_, Some(_)) => "what is configured: no run asked for anything else".into(),
        (_, None) => "unknown".into(),
    };
    lines.push(Line::of(format!(" want: {:<6} {by}", sight.want())));
    if let Some(route) = &model.picture.route {
        let writer = match (&route.last_writer, &route.stamp) {
            (Some(other), _) => format!("written by {other}"),
            (None, Some(stamp)) => format!("by gonogo, epoch {}", stamp.epoch),
            (None, None) => "never written by gonogo".into(),
        };
        let sum = if route.sum() == 100 { String::new() } else { format!(" (weights {} of {})", route.canary, route.sum()) };
        lines.push(Line::of(format!(" set:  {:<6} {writer}; {}{sum}", sight.set(), place(route))));
        if route.others > 0 {
            lines.push(Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).text(format!(
                " {} of {} go to other destinations of this rule",
                route.others,
                route.sum()
            )));
        }
        if let Some(trouble) = &route.trouble {
            lines.push(Line::of(" ").mark(Role::Bad, sight.glyphs.bad()).text(format!(" weights cannot be set here: {trouble}")));
        }
    }
    lines.push(seen_line(sight));
    let route = model.picture.route.as_ref();
    let pinned = route.map_or_else(String::new, |r| r.pinned.join("; "));
    if !pinned.is_empty() {
        lines.push(Line::of(format!(" pinned, whatever the weights: {pinned}")));
    }
    if !model.observed.strangers.is_empty() {
        lines.push(
            Line::of(" ").mark(Role::Watch, "!").text(format!(" requests of neither track: {}", model.observed.strangers.join(", "))),
        );
    }
    lines
}

fn seen_line(sight: &Sight<'_>) -> Line {
    let observed = &sight.model.observed;
    let Some(share) = &observed.share else {
        let why = observed.trouble.clone().unwrap_or_else(|| "no requests were counted yet".into());
        return Line::of(format!(" seen: {:<6} {why}", sight.seen()));
    };
    let drift = match (share.percent(), sight.model.configured(), sight.share()) {
        (Some(seen), Some(set), Some(_)) => format!("  drift {:.1} points", (seen - set).abs()),
        _ => String::new(),
    };
    let range = share.interval().map_or_else(String::new, |(low, high)| format!(" (95%: {low:.1} to {high:.1})"));
    Line::of(format!(
        " seen: {:<6} {:.0} of {:.0} requests in {} s, {} old{drift}{range}",
        sight.seen(),
        share.canary,
        share.total,
        share.window.as_secs(),
        span(sight.age(share.newest))
    ))
}

/// The weights that the runbook goes through.
pub(super) fn plan_lines(sight: &Sight<'_>, bar: usize) -> Vec<Line> {
    let Some(run) = sight.run() else {
        return vec![Line::of(format!(" no run: {} run RUNBOOK starts one", sight.command()))];
    };
    let steps = &run.state.runbook.steps;
    let place = sight.place();
    let mut lines: Vec<Line> = Vec::new();
    let mut here: Option<usize> = None;
    if let Some(start) = run.state.configured_at_start {
        lines.push(plan_line(
            sight,
            u32::from(start.get()),
            bar,
            StepPhase::Passed,
            &format!("{}  at the start", sight.time(run.state.started)),
        ));
        here = Some(0);
    }
    for (i, step) in steps.iter().enumerate() {
        let StepKind::Do(action) = &step.kind else { continue };
        let known = run.state.steps.get(i);
        let phase = known.map_or(StepPhase::Pending, |s| s.phase);
        let bakes: Vec<String> = steps[i + 1..]
            .iter()
            .take_while(|s| !matches!(s.kind, StepKind::Do(_)))
            .filter_map(|s| match &s.kind {
                StepKind::Wait { duration, .. } => Some(format!("bake {}", short_span(*duration))),
                StepKind::Gate => Some("decision".into()),
                _ => None,
            })
            .collect();
        let when = known.and_then(|s| s.ended).map_or_else(|| "-        ".to_owned(), |at| sight.time(at));
        if place.is_some_and(|p| i <= p) && phase != StepPhase::Skipped && (phase != StepPhase::Active || here.is_none()) {
            here = Some(lines.len());
        }
        let note = format!("{when}  {}", bakes.join(", "));
        let Some(weight) = action.weight() else { continue };
        lines.push(plan_line(sight, u32::from(weight.get()), bar, phase, &note));
    }
    if let Some(here) = here
        && !run.state.phase.is_final()
        && let Some(line) = lines.get_mut(here)
    {
        *line = std::mem::take(line).text("  ").word(Role::Focus, "<-- YOU ARE HERE");
    }
    if lines.is_empty() {
        lines.push(Line::of(" this runbook sets no weights"));
    }
    lines
}

fn plan_line(sight: &Sight<'_>, weight: u32, bar: usize, phase: StepPhase, note: &str) -> Line {
    let (role, sign) = super::run::sign(sight, phase);
    Line::of(" ")
        .mark(role, sign)
        .text(format!(" {:>5} ", format!("{weight}%")))
        .then(sight.glyphs.weight(f64::from(weight) / 100.0, bar + 2))
        .text(pad(&format!(" {note}"), width(note) + 1))
}

/// The observed share over time.
fn history(sight: &Sight<'_>, area: Area) -> Panel {
    let panel = Panel::new(area, Line::of("canary share seen, %  c seen - - want"), sight.freshness(&sight.model.metrics)).close();
    let series = share_series(sight.model);
    let chart = Chart {
        canary: series.as_ref(),
        base: None,
        limit: sight.model.intended().map(|w| f64::from(w.get())),
        unit: Unit::Number,
        // A share is neither good nor bad by being high: never drawn as a breach.
        good_below: sight.model.intended().is_none_or(|w| w.get() > 50),
        stale: sight.share().is_none(),
        range: Some((0.0, 100.0)),
    };
    let mut lines = chart.lines(sight, panel.inner_width(), panel.inner_height());
    for line in &mut lines {
        for span in &mut line.spans {
            if span.role == Role::Breach {
                span.role = Role::Canary;
            }
        }
    }
    panel.with(lines)
}

/// The history of shares as a series, in slots of 15 s.
fn share_series(model: &Model) -> Option<Series> {
    const SLOT: i64 = 15;
    let (first, last) = (model.observed.history.front()?.0, model.observed.history.back()?.0);
    let slots = usize::try_from((last - first).num_seconds() / SLOT).unwrap_or(0).min(4 * 60) + 1;
    let start = last - chrono::TimeDelta::seconds(SLOT * (i64::try_from(slots).unwrap_or(1) - 1));
    let mut values = vec![None; slots];
    for (at, share) in &model.observed.history {
        let slot = (*at - start).num_seconds() / SLOT;
        if let Some(value) = usize::try_from(slot).ok().and_then(|s| values.get_mut(s)) {
            *value = Some(*share);
        }
    }
    Some(Series { labels: crate::domain::Labels::new(), start, step: Duration::from_secs(15), values })
}
