//! When the platform cannot be reached: what was known last, in the past tense, and what to do by hand.

use super::frame::{Area, Panel};
use super::line::{Line, Role, pad};
use super::sight::{Sight, percent};
use crate::domain::text::{clock, span};
use crate::domain::{Freshness, SourceHealth, Track};

/// The page that stands where live values were.
pub(super) fn panels(sight: &Sight<'_>, area: Area) -> Vec<Panel> {
    let hatch = sight.glyphs.hatch();
    let model = sight.model;
    let title = match model.platform.newest {
        Some(at) => format!("LAST KNOWN at {} - NOT LIVE", sight.time(at).trim_end()),
        None => "NOTHING KNOWN YET - NOT CONNECTED".to_owned(),
    };
    let right = Line::default().mark(Role::Stale, hatch.repeat(8));
    let panel = Panel::new(area, Line::of(title), right).close();
    let (cells, rows) = (panel.inner_width() + 1, panel.inner_height());
    let mut content = Vec::new();
    if model.platform.newest.is_some() {
        content.extend(known(sight, cells));
        content.push(Line::default());
    }
    let cause = cause(sight, cells.saturating_sub(8));
    let by_hand = by_hand(sight, cells.saturating_sub(8));
    let retries = retries(sight);
    let all = content.len() + cause.len() + by_hand.len() + 1 + retries.len();
    if all <= rows {
        content.extend(cause);
        content.extend(by_hand);
        content.push(Line::default());
        content.extend(retries);
    } else {
        // Little room: what to do comes before why; the cause stands in the last row too.
        content.retain(|l| !l.is_empty());
        content.extend(by_hand);
        content.extend(retries);
        content.extend(cause);
    }
    content.truncate(rows);
    content.resize(rows, Line::default());
    let edge = hatch.repeat(2);
    let framed = |line: Line| {
        let inner = line.fit(cells.saturating_sub(7)).pad(cells.saturating_sub(6));
        Line::default().mark(Role::Stale, &edge).text("  ").then(inner).mark(Role::Stale, &edge)
    };
    let lines = content.into_iter().map(framed).collect();
    vec![panel.with(lines)]
}

fn known(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let model = sight.model;
    let row =
        |name: &str, was: String, now: String| Line::of(format!("{} {} {now}", pad(name, 11), pad(&was, if cells < 70 { 26 } else { 33 })));
    let old = model.platform.newest.map_or_else(String::new, |at| format!("{} old", span(sight.age(at))));
    let set = model.configured().map_or_else(|| "not known".into(), |s| format!("was {}", percent(s)));
    let seen = model
        .observed
        .share
        .as_ref()
        .and_then(crate::domain::ObservedShare::percent)
        .map_or_else(String::new, |p| format!(", seen {p:.1}%"));
    let mut lines = vec![row("traffic", format!("{set}{seen}"), old)];
    if let Some(run) = sight.run() {
        let bake = sight.baking();
        let at = bake.as_ref().map_or_else(String::new, |b| format!(", bake {}", clock(b.done())));
        let place = sight.progress().unwrap_or_else(|| run.state.phase.word().to_owned());
        let now = if bake.is_some_and(|b| b.stopped.is_some()) { "bake clock stopped" } else { "kept in the journal" };
        lines.push(row("stage", format!("was {place}{at}"), now.into()));
    }
    let gates: Vec<&str> = model.gates.iter().map(|g| super::gates::word(super::gates::last_known(g))).collect();
    let (gate_words, gate_now) = if sight.metrics().usable() { ("are", "from metrics that still answer") } else { ("were", "now UNKNOWN") };
    if !gates.is_empty() {
        lines.push(row("gates", format!("{gate_words} {}", gates.join(" ")), gate_now.into()));
    }
    let all = &model.picture.instances;
    let (canary, base) = (all.of(Track::Canary), all.of(Track::Baseline));
    let ready = format!("were {}/{} ready", canary.ready + base.ready, canary.total + base.total);
    lines.push(row("instances", ready, "now unknown".into()));
    lines
}

fn cause(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let platform = &sight.model.platform;
    let mut lines = Vec::new();
    let mut add = |name: &str, text: &str| {
        for (i, part) in super::line::wrap(text, cells.saturating_sub(12), 3).into_iter().enumerate() {
            lines.push(Line::of(format!("{} {part}", pad(if i == 0 { name } else { "" }, 11))));
        }
    };
    if let Some(login) = &platform.login {
        add("login", login);
        add("", "no restart is needed: a new login is picked up by itself");
    } else if let Some(trouble) = &platform.trouble {
        add("cause", trouble);
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines
}

fn by_hand(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let spec = &sight.model.spec;
    let object = spec.route.object().unwrap_or_else(|| format!("deployment/{}", spec.canary.deployment));
    let mut lines =
        vec![Line::of("IF THIS GOES ON"), Line::of(format!("  see for yourself   kubectl -n {} get {} -o yaml", spec.namespace, object))];
    let undo = format!("{} print-undo", sight.command());
    let one = format!("  back out by hand   {undo}     (works offline)");
    if crate::domain::text::width(&one) <= cells {
        lines.push(Line::of(one));
    } else {
        lines.push(Line::of("  back out by hand   (works offline)"));
        lines.extend(super::line::wrap(&undo, cells.saturating_sub(4), 3).into_iter().map(|l| Line::of(format!("    {l}"))));
    }
    lines
}

fn retries(sight: &Sight<'_>) -> [Line; 2] {
    let model = sight.model;
    let one = |source: &SourceHealth| {
        if source.freshness(sight.now.wall).usable() {
            return format!("{}: answers", source.source);
        }
        let next = match source.next_attempt {
            Some(at) if at > sight.now.wall => format!("next in {} s", (at - sight.now.wall).num_seconds() + 1),
            _ => "trying now".into(),
        };
        format!("{}: attempt {}, {next}", source.source, source.failures + 1)
    };
    [Line::of(format!("retry  {}", one(&model.platform))), Line::of(format!("       {}", one(&model.metrics)))]
}

/// The last row's text while something is missing.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let model = sight.model;
    let bad = [&model.platform, &model.metrics].into_iter().find(|s| !s.freshness(sight.now.wall).usable() && !Sight::is_loading(s))?;
    let next = match bad.next_attempt {
        Some(at) if at > sight.now.wall => format!("retry {} in {} s", bad.failures + 1, (at - sight.now.wall).num_seconds() + 1),
        _ => "retrying".into(),
    };
    let cause = match (bad.freshness(sight.now.wall), &bad.login, &bad.trouble) {
        (Freshness::Auth, Some(login), _) => login.clone(),
        (_, _, Some(trouble)) => format!("cause: {trouble}"),
        _ => format!("cause: {} answers, but gives no new samples", bad.source),
    };
    Some(format!("{next}   {cause}"))
}
