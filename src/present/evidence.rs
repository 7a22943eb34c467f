//! What a prompt shows before it asks: what would change, on what evidence, and what cannot be taken back.

use super::gates;
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::app::card::{Card, card};
use crate::app::prompt::Prompt;
use crate::domain::text::{clock, span};
use crate::domain::{Action, DiffLine, Percent, Preflight, SourceHealth, Track, Verdict};
use crate::runbook::io::Proposal;
use crate::runbook::plan::{StepKind, Undo};
use std::time::Duration;

/// `name        text`, wrapped.
pub(super) fn field(name: &str, text: &str, cells: usize) -> Vec<Line> {
    if cells < 50 {
        let text = if name.is_empty() { text.to_owned() } else { format!("{name}: {text}") };
        return wrap(&text, cells.saturating_sub(2), 3).into_iter().map(|part| Line::of(format!(" {part}"))).collect();
    }
    let parts = wrap(text, cells.saturating_sub(14), 3);
    parts.into_iter().enumerate().map(|(i, part)| Line::of(format!(" {} {part}", pad(if i == 0 { name } else { "" }, 11)))).collect()
}

fn reading(sight: &Sight<'_>, prompt: &Prompt) -> Line {
    let waited = sight.now.mono.saturating_sub(prompt.opened);
    let seconds = if waited >= Duration::from_secs(1) { format!("   {}", span(waited)) } else { String::new() };
    Line::of(format!(" reading the platform...{seconds}   nothing is sent by this"))
}

/// What going one step on rests on.
pub(super) fn promote(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let Some(proposal) = &prompt.proposal else { return vec![reading(sight, prompt)] };
    if prompt.show_call {
        return call(proposal, cells);
    }
    let arrow = sight.glyphs.arrow();
    let model = sight.model;
    let action = &proposal.plan.action;
    let from = proposal.plan.before.shown.clone();
    let weight = action.weight().unwrap_or(Percent::ZERO);
    let rates = model.observed.rps.map_or_else(String::new, |rps| {
        let version = sight.version(Track::Canary);
        format!(", about {:.0} of {rps:.0} rps to {version}", rps * f64::from(weight.get()) / 100.0)
    });
    let mut lines = match action {
        Action::SetWeight { .. } => field("traffic", &format!("{from} {arrow} {weight}% canary{rates}"), cells),
        other => field("change", &format!("{}: {from} {arrow} {}", proposal.plan.before.object, other.wanted()), cells),
    };
    lines.extend(proposal.plan.warnings.iter().flat_map(|warning| field("mind", warning, cells)));
    lines.extend(field("gates", &gates::summary(sight), cells));
    lines.push(Line::of(format!(" {} ", pad("weights", 11))).then(sight.weights_and_agreement()));
    if let Some(harm) = super::harm::ahead(sight, action) {
        lines.extend(field("harm", &harm, cells));
    }
    if let Some(bake) = sight.baking() {
        lines.extend(field("bake", &format!("{} of {}", clock(bake.done()), clock(bake.total)), cells));
    }
    lines.extend(instances(sight, cells));
    lines.push(data(sight));
    lines.extend(plan(sight, proposal, cells));
    lines.extend(undo(sight, proposal, cells));
    lines.extend(field("if you wait", &format!("nothing moves; stays at {from}"), cells));
    lines
}

/// What backing out does, and what it does not.
pub(super) fn back_out(sight: &Sight<'_>, prompt: &Prompt, cells: usize) -> Vec<Line> {
    let Some(proposal) = &prompt.proposal else { return vec![reading(sight, prompt)] };
    if prompt.show_call {
        return call(proposal, cells);
    }
    let model = sight.model;
    let base = model.picture.instances.of(Track::Baseline);
    let card = card(model, sight.now);
    let text = format!("100% to base {} ({})", card.target, card.capacity());
    let mut lines = field("traffic", &text, cells);
    lines.extend(field("takes", &card.takes(), cells));
    for why in &card.undone_by {
        lines.extend(field("mind", why, cells).into_iter().map(|l| Line::default().word(Role::Watch, l.plain())));
    }
    if base.ready == 0 {
        lines.push(
            Line::of(" ")
                .mark(Role::Bad, sight.glyphs.bad())
                .word(Role::Bad, " the baseline has no ready instance")
                .text(": look before you confirm"),
        );
    }
    let steps = sight.run().map_or(0, |r| r.state.rollback_plan.len());
    if steps > 1 {
        lines.extend(field("way back", &format!("{steps} steps; this confirms the whole way"), cells));
    }
    lines.extend(field("why now", &why_now(sight), cells));
    lines.push(data(sight));
    if !sight.metrics().usable() {
        let text = format!("metrics {}: cannot verify the effect here; look at the router", sight.metrics().word());
        lines.extend(field("", &text, cells));
    }
    lines.extend(plan(sight, proposal, cells));
    lines.push(Line::of(" NOT undone by this"));
    for text in not_undone(sight, &card) {
        lines.extend(
            wrap(&text, cells.saturating_sub(8), 2)
                .into_iter()
                .enumerate()
                .map(|(i, l)| Line::of(format!("    {} {l}", if i == 0 { "-" } else { " " }))),
        );
    }
    lines
}

fn not_undone(sight: &Sight<'_>, card: &Card) -> Vec<String> {
    let canary = sight.model.picture.instances.of(Track::Canary);
    let mut list = card.not_restored.clone();
    list.push(format!("what {} already wrote stays", sight.version(Track::Canary)));
    list.push(
        super::verbs::left_alone(sight).unwrap_or_else(|| format!("the canary's {} instances keep running, without traffic", canary.total)),
    );
    list
}

fn why_now(sight: &Sight<'_>) -> String {
    let model = sight.model;
    if let Some(incident) = &model.incident {
        return incident.what.clone();
    }
    match model.verdict.reasons.first() {
        Some(reason) if reason.verdict >= Verdict::Unknown => reason.text.clone(),
        _ => "your decision".into(),
    }
}

fn instances(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let canary = sight.model.picture.instances.of(Track::Canary);
    let text = format!("canary {}/{} ready, restarts {}", canary.ready, canary.total, canary.restarts);
    field("instances", &text, cells)
}

fn data(sight: &Sight<'_>) -> Line {
    let model = sight.model;
    let one = |source: &SourceHealth| {
        let freshness = source.freshness(sight.now.wall);
        let old = source.newest.map_or_else(|| "never".into(), |at| span(sight.age(at)));
        let role = if freshness.usable() { Role::Primary } else { Role::Stale };
        Line::default().word(role, format!("{} {} {old}", source.source, freshness.word()))
    };
    Line::of(format!(" {} ", pad("data", 11))).then(one(&model.platform)).text("   ").then(one(&model.metrics))
}

/// The difference on the platform, and what it says to it beforehand.
fn plan(sight: &Sight<'_>, proposal: &Proposal, cells: usize) -> Vec<Line> {
    let arrow = sight.glyphs.arrow();
    let mut lines = Vec::new();
    if !proposal.plan.diff.is_empty() {
        lines.extend(field("change", &difference(&proposal.plan.diff, arrow), cells));
    }
    if proposal.plan.is_noop() {
        lines.extend(field("change", "none: the platform is already there", cells));
    }
    let word = |p: &Preflight| match p {
        Preflight::Accepted => (true, "accepted".to_owned()),
        Preflight::Refused { why } => (false, format!("REFUSED: {why}")),
        Preflight::NotAsked { why } => (true, format!("not asked: {why}")),
    };
    for (name, answer) in [("dry run", &proposal.plan.dry_run), ("right", &proposal.plan.access)] {
        let (good, text) = word(answer);
        if !good {
            lines.extend(field(name, &text, cells).into_iter().map(|l| Line::default().word(Role::Bad, l.plain())));
        } else if name == "dry run" || text != "accepted" {
            lines.extend(field(name, &text, cells));
        }
    }
    lines
}

/// The fields that differ, their common beginning said once.
fn difference(diff: &[DiffLine], arrow: &str) -> String {
    let first: Vec<&str> = diff[0].field.split(' ').collect();
    let is_common = |n: usize| diff.iter().all(|d| d.field.split(' ').take(n).eq(first.iter().copied().take(n)));
    let common = (0..first.len()).rev().find(|n| is_common(*n)).unwrap_or(0);
    let parts: Vec<String> = diff
        .iter()
        .map(|d| {
            let rest: Vec<&str> = d.field.split(' ').skip(common).collect();
            format!("{} {} {arrow} {}", rest.join(" "), d.before, d.after)
        })
        .collect();
    let head = first[..common].join(" ");
    if head.is_empty() { parts.join(", ") } else { format!("{head}: {}", parts.join(", ")) }
}

fn undo(sight: &Sight<'_>, proposal: &Proposal, cells: usize) -> Vec<Line> {
    let step = sight.run().and_then(|r| r.state.runbook.step(&proposal.step));
    let text = match step.map(|s| (&s.undo, &s.kind)) {
        Some((Undo::Irreversible, _)) => "NONE: this step cannot be taken back".to_owned(),
        Some((_, StepKind::Do(_))) | None => format!("B: {}, works in every mode", super::verbs::way_back_words(sight)),
        Some(_) => format!("B: {}", super::verbs::way_back_words(sight)),
    };
    let mut lines = field("undo", &text, cells);
    lines.extend(field("not undone", &format!("what {} already wrote", sight.version(Track::Canary)), cells));
    lines
}

fn call(proposal: &Proposal, cells: usize) -> Vec<Line> {
    let mut lines = vec![Line::of(" the exact call (Tab goes back)")];
    for part in proposal.plan.request.lines() {
        let indent = part.len() - part.trim_start().len();
        let wrapped = wrap(part, cells.saturating_sub(3 + indent), 6);
        lines.extend(wrapped.into_iter().map(|l| Line::of(format!("  {}{l}", " ".repeat(indent)))));
    }
    lines.push(Line::of(format!(" plan {}", proposal.plan_hash.get(..16).unwrap_or(&proposal.plan_hash))));
    lines
}
