//! Progressive delivery on view 3: steps with marks, why it waits, analyses with their values against their limits.

use super::frame::{Area, Panel};
use super::line::{Line, Role, wrap};
use super::sight::Sight;
use crate::domain::Verdict;
use crate::domain::progressive::{Analysis, AnalysisMetric, AnalysisPhase, FlaggerCanary, Packaged, Progressive, RolloutPhase};
use crate::domain::text::span;

/// The sign of a step that is still to come.
const PENDING: &str = ".";

/// Whether there is anything of it to show.
pub(super) fn is_there(sight: &Sight<'_>) -> bool {
    let picture = &sight.model.picture.progressive;
    picture.rollout.is_some() || picture.flagger.is_some() || !picture.packaged.is_empty()
}

/// Steps on the left, analyses on the right; one above the other where it is narrow.
pub(super) fn panels(sight: &Sight<'_>, mut area: Area) -> Vec<Panel> {
    let cells = usize::from(area.width);
    let steps = step_lines(sight, cells);
    let analyses = analysis_lines(sight, cells);
    let title = title(sight);
    if analyses.is_empty() {
        return vec![filled(sight, area, title, steps)];
    }
    let first = u16::try_from(steps.len() + 2).unwrap_or(u16::MAX).min(area.height * 3 / 5);
    let above = filled(sight, area.take_top(first), title, steps);
    vec![above, filled(sight, area, Line::of("ANALYSES  value against limit"), analyses).close()]
}

fn filled(sight: &Sight<'_>, area: Area, title: Line, lines: Vec<Line>) -> Panel {
    let panel = Panel::new(area, title, sight.freshness(&sight.model.platform));
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let here = lines.iter().position(|line| line.plain().contains("YOU ARE HERE")).unwrap_or(0);
    let from = super::instances::window(here, lines.len(), room);
    panel.with(lines.into_iter().skip(from).take(room).map(|line| line.fit(cells)).collect())
}

fn title(sight: &Sight<'_>) -> Line {
    let picture = &sight.model.picture.progressive;
    match (&picture.rollout, &picture.flagger) {
        (Some(rollout), _) => {
            let place = rollout.place().map_or_else(String::new, |place| format!("  {place}"));
            Line::of(format!("{} ", rollout.object.to_uppercase())).then(phase(rollout)).text(place)
        }
        (None, Some(canary)) => Line::of(format!("FLAGGER {} {}", canary.object, canary.phase)),
        (None, None) => Line::of("PACKAGED RELEASES"),
    }
}

/// The phase as a word in its role.
pub(super) fn phase(rollout: &Progressive) -> Line {
    let role = match rollout.phase {
        RolloutPhase::Healthy => Role::Ok,
        RolloutPhase::Progressing | RolloutPhase::Paused => Role::Info,
        RolloutPhase::Degraded => Role::Bad,
        RolloutPhase::Other => Role::Unknown,
    };
    Line::default().word(role, if rollout.aborted { "Degraded (aborted)" } else { rollout.phase.word() })
}

/// Why it stands where it stands, in one line: `paused 2m10s: pause step; P promotes to 50%`.
pub(super) fn standing(sight: &Sight<'_>, rollout: &Progressive) -> String {
    if rollout.aborted {
        let when = rollout.aborted_at.map_or_else(String::new, |at| format!(" {} ago", span(sight.age(at))));
        return format!("aborted{when}; the specification still names version {}", rollout.newest);
    }
    if rollout.paused {
        return "paused by hand (spec.paused): nothing moves until it is resumed".to_owned();
    }
    if rollout.is_settled() {
        return format!("version {} serves everything; no release is under way", rollout.newest);
    }
    let (next, _) = rollout.next_stop();
    if let Some(pause) = rollout.pauses.first() {
        let since = pause.since.map_or_else(String::new, |at| format!(" {}", span(sight.age(at))));
        let end = match rollout.pause_ends() {
            Some(at) => format!("ends by itself at {}", sight.time(at).trim_end()),
            None => format!("a promote goes to {next}%"),
        };
        return format!("paused{since}: {}; {end}", pause.words());
    }
    rollout.message.clone()
}

fn step_lines(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let picture = &sight.model.picture.progressive;
    let mut lines = Vec::new();
    if let Some(rollout) = &picture.rollout {
        lines.extend(rollout_lines(sight, rollout, cells));
    }
    if let Some(canary) = &picture.flagger {
        lines.extend(flagger_lines(sight, canary));
    }
    lines.extend(picture.packaged.iter().map(|release| packaged_line(sight, release)));
    lines
}

fn rollout_lines(sight: &Sight<'_>, rollout: &Progressive, cells: usize) -> Vec<Line> {
    let mut lines = vec![Line::of(format!(" {}", standing(sight, rollout)))];
    if let Some(weights) = &rollout.weights {
        let checked = match weights.verified {
            Some(true) => ", checked by it",
            Some(false) => ", not confirmed by the router",
            None => "",
        };
        lines.push(Line::of(format!(" weight {} canary, {} stable: {}{checked}", weights.canary, weights.stable, weights.from.words())));
    }
    let counts = format!("{} of {} new, {} available, {} wanted", rollout.updated, rollout.replicas, rollout.available, rollout.desired);
    lines.push(Line::of(format!(" stable {}  new {}  instances: {counts}", rollout.stable, rollout.newest)));
    if let Some(blue) = &rollout.blue_green {
        let automatic = match (blue.auto_promotion, blue.auto_promotion_after) {
            (true, Some(after)) => format!("switches by itself after {}", span(after)),
            (true, None) => "switches by itself".to_owned(),
            (false, _) => "switches when promoted".to_owned(),
        };
        let of = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "nothing".to_owned());
        lines.push(Line::of(format!(
            " {} -> {}  {} -> {}  {automatic}",
            blue.active_service,
            of(&blue.active),
            blue.preview_service.as_deref().unwrap_or("no preview"),
            of(&blue.preview)
        )));
    }
    for remark in &rollout.remarks {
        for text in wrap(remark, cells.saturating_sub(6), 2) {
            lines.push(Line::of(" ").mark(Role::Watch, "!").text(format!(" {text}")));
        }
    }
    let done = if rollout.is_settled() { rollout.steps.len() } else { rollout.step.unwrap_or(0) as usize };
    for (at, step) in rollout.steps.iter().enumerate() {
        let now = at == done && !rollout.is_settled() && !rollout.aborted;
        let (role, sign) = match () {
            () if rollout.aborted => (Role::Disabled, PENDING),
            () if at < done => (Role::Ok, sight.glyphs.ok()),
            () if now => (Role::Focus, sight.glyphs.here()),
            () => (Role::Disabled, PENDING),
        };
        let line = Line::of(" ").mark(role, sign).text(format!(" {:>2}  {step}", at + 1));
        lines.push(if now { line.text("  ").word(Role::Focus, "<-- YOU ARE HERE") } else { line });
    }
    lines
}

fn flagger_lines(sight: &Sight<'_>, canary: &FlaggerCanary) -> Vec<Line> {
    let since = canary.since.map_or_else(String::new, |at| format!(", {} ago", span(sight.age(at))));
    let role = if canary.failed() { Role::Bad } else { Role::Info };
    let limit = canary.max_weight.map_or_else(String::new, |most| format!(" of at most {most}%"));
    let growth = canary.step_weight.map_or_else(String::new, |step| format!(", {step}% a step"));
    let mut lines = vec![
        Line::of(" flagger: ").word(role, &canary.phase).text(format!("{since}; {}% to the canary{limit}{growth}", canary.weight)),
        Line::of(format!(" {} of {} failed checks roll it back; {}", canary.failed_checks, canary.threshold, canary.message)),
        Line::of(format!(
            " flagger sets these weights by itself ({}), and {} serves between releases: act there",
            canary.provider, canary.primary
        )),
    ];
    if canary.suspended {
        lines.push(Line::of(" ").mark(Role::Watch, "!").text(" suspended: flagger does nothing at present"));
    }
    if canary.skip_analysis {
        lines.push(Line::of(" ").mark(Role::Watch, "!").text(" skipAnalysis: it promotes without any check"));
    }
    for metric in &canary.metrics {
        let bounds = match (&metric.min, &metric.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!(">= {min}"),
            (None, Some(max)) => format!("<= {max}"),
            (None, None) => "no limit".to_owned(),
        };
        lines.push(Line::of(format!("   {:<24} {bounds} over {}", metric.name, metric.interval)));
    }
    for hook in &canary.hooks {
        lines.push(Line::of(format!("   webhook {} ({})", hook.name, hook.kind)));
    }
    lines
}

fn packaged_line(sight: &Sight<'_>, release: &Packaged) -> Line {
    let line = Line::of(format!(" helm {}: ", release.name));
    let shown: Vec<String> = release
        .revisions
        .iter()
        .take(5)
        .map(|it| {
            let when = it.at.map_or_else(String::new, |at| format!(" {} ago", span(sight.age(at))));
            format!("{} {}{when}", it.number, it.status)
        })
        .collect();
    let line = line.text(shown.join(", "));
    if release.is_pending() { line.text("  ").mark(Role::Watch, "!").text(" a change is under way, or was cut off") } else { line }
}

fn analysis_lines(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for analysis in sight.model.picture.progressive.current_analyses() {
        lines.push(analysis_line(sight, analysis));
        for metric in &analysis.metrics {
            lines.push(metric_line(sight, metric).fit(cells));
            let why = metric.latest().map(|it| it.message.as_str()).filter(|it| !it.is_empty()).unwrap_or(&metric.message);
            if !why.is_empty() {
                lines.push(Line::of(format!("       {why}")));
            }
        }
    }
    lines
}

fn word(phase: AnalysisPhase) -> Line {
    let role = match phase {
        AnalysisPhase::Successful => Role::Ok,
        AnalysisPhase::Failed | AnalysisPhase::Error => Role::Bad,
        AnalysisPhase::Inconclusive => Role::Watch,
        AnalysisPhase::Unknown => Role::Unknown,
        AnalysisPhase::Pending | AnalysisPhase::Running => Role::Info,
    };
    Line::default().word(role, phase.word())
}

fn analysis_line(sight: &Sight<'_>, analysis: &Analysis) -> Line {
    let step = analysis.step.map_or_else(String::new, |step| format!(" {}", step + 1));
    let since = analysis.started.map_or_else(String::new, |at| format!(", begun {} ago", span(sight.age(at))));
    let line = Line::of(format!(" {} ({}{step}) ", analysis.name, analysis.role.word())).then(word(analysis.phase)).text(since);
    match analysis.verdict() {
        Verdict::Watch => line.text("  ").mark(Role::Watch, "!").text(" not one good measurement"),
        _ => line,
    }
}

fn metric_line(sight: &Sight<'_>, metric: &AnalysisMetric) -> Line {
    let value = metric.latest().map_or("no value yet", |it| if it.value.is_empty() { it.phase.word() } else { it.value.as_str() });
    let when = metric.latest().and_then(|it| it.at).map_or_else(String::new, |at| format!(" {} ago", span(sight.age(at))));
    let counts = metric.counts;
    let of = metric.limits.count.map_or_else(String::new, |most| format!(" of {most}"));
    let limit = |limit: i64| if limit < 0 { "any".to_owned() } else { limit.to_string() };
    let dry = if metric.dry_run { " (dry run: counts for nothing)" } else { "" };
    let role = if metric.is_vacuous() { Role::Watch } else { Role::Primary };
    Line::of(format!("   {} ", metric.name)).then(word(metric.phase)).text("  ").word(role, value).text(format!(
        "{when}  {}{dry}  good {}{of}, bad {} (limit {}), unclear {} (limit {}), errors {} (limit {} in a row)",
        metric.conditions(),
        counts.successful,
        counts.failed,
        limit(metric.limits.failures),
        counts.inconclusive,
        limit(metric.limits.inconclusive),
        counts.error,
        limit(metric.limits.errors)
    ))
}
