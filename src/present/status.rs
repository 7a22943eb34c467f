//! One snapshot for scripts and for people without a screen.

use super::line::pad;
use super::sight::{Sight, percent};
use super::{Viewport, gates};
use crate::app::model::{Model, RunView, Seat};
use crate::domain::text::{clock, span};
use crate::domain::{Action, Freshness, Percent, Probe, SourceHealth, Stamp, Track};
use crate::runbook::plan::StepKind;
use crate::runbook::state::{Question, StepPhase};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

const PORT: Viewport = Viewport { width: 80, height: 24, ascii: true };

/// The terminal's title: `#PROD# checkout 25% HOLD`.
#[must_use]
pub fn title(model: &Model) -> String {
    let weight = model.share_now().map_or_else(|| "?".into(), percent);
    let text = format!("{} {} {weight} {}", model.spec.mark(), model.spec.name, model.verdict.verdict);
    crate::domain::text::clean_bounded(&text, 80)
}

/// Nine lines for people.
#[must_use]
pub fn status_lines(model: &Model, now: &Stamp) -> Vec<String> {
    let sight = Sight::new(model, now, PORT);
    let spec = &model.spec;
    let line = |name: &str, text: String| format!("{} {text}", pad(name, 9));
    let head = format!("{} {}  {}/{}", spec.mark(), spec.name, spec.context, spec.namespace);
    let reasons: Vec<&str> = model.verdict.reasons.iter().map(|r| r.text.as_str()).collect();
    let run = match sight.run() {
        Some(run) => {
            format!("{}  {}  {}", run.state.run, sight.progress().unwrap_or_else(|| run.state.phase.word().into()), run_words(&sight, run))
        }
        None => "none: nothing is being released".into(),
    };
    let source = |s: &SourceHealth| {
        let old = s.newest.map_or_else(|| "never".into(), |at| span(sight.age(at)));
        format!("{} {} {old}", s.source, s.freshness(now.wall).word())
    };
    let all = &model.picture.instances;
    let ready = |t: Track| format!("{} {}/{} ready", t, all.of(t).ready, all.of(t).total);
    let lines = [
        format!("{}  {}", pad(&head, 58), now.wall.format("%Y-%m-%dT%H:%M:%SZ")),
        line("verdict", format!("{}  {}", pad(model.verdict.verdict.word(), 8), reasons.join("; "))),
        line(
            "traffic",
            format!("{}  {} -> {}", sight.weights_and_agreement().plain(), sight.version(Track::Baseline), sight.version(Track::Canary)),
        ),
        line("run", run),
        line("gates", gates::summary(&sight)),
        line("instances", format!("{}  {}", ready(Track::Canary), ready(Track::Baseline))),
        line("alerts", alert_words(&sight)),
        line("data", sources(model).into_iter().map(source).collect::<Vec<_>>().join("   ")),
        line("next", next_words(&sight)),
    ];
    lines.into_iter().map(|l| crate::domain::text::clean(&l).trim_end().to_owned()).collect()
}

/// `1 firing  1 pending  1 silenced`; that nothing fires is said only when that is known.
fn alert_words(sight: &Sight<'_>) -> String {
    let Some(board) = &sight.model.alerts else { return "not watched: the service names no alerts connection".into() };
    let counts = board.counts();
    if !board.freshness(sight.now.wall).usable() {
        return format!("unknown: {}", board.freshness(sight.now.wall).word());
    }
    let names: Vec<&str> = board.sightings.iter().filter(|s| s.says > crate::domain::Verdict::Go).map(|s| s.alert.name()).collect();
    let names = if names.is_empty() { String::new() } else { format!("  {}", names.join(" ")) };
    format!("{} firing  {} pending  {} silenced{names}", counts.firing, counts.pending, counts.silenced)
}

/// Every source of data.
fn sources(model: &Model) -> Vec<&SourceHealth> {
    [&model.platform, &model.metrics].into_iter().chain(model.alerts.as_ref().map(|b| &b.source)).collect()
}

/// Alerts of the service and those aside; null without a connection.
fn alerts(sight: &Sight<'_>) -> Value {
    let Some(board) = &sight.model.alerts else { return Value::Null };
    let one = |s: &crate::app::alerts::Sighting| {
        json!({
            "name": s.alert.name(),
            "state": s.alert.state,
            "severity": s.alert.severity(),
            "group": s.group(),
            "since": rfc(s.began),
            "before_run": s.since == crate::judge::Since::Before,
            "verdict": s.says.word(),
            "summary": s.alert.summary(),
            "labels": s.alert.labels,
            "silenced_by": s.alert.silenced_by,
        })
    };
    board.sightings.iter().map(one).collect()
}

fn run_words(sight: &Sight<'_>, run: &RunView) -> String {
    if let Some(hold) = &run.state.hold {
        return format!("HELD: {}", hold.reason);
    }
    match sight.baking() {
        Some(bake) => {
            let stopped = bake.stopped.map_or_else(String::new, |w| format!(" (stopped: {w})"));
            format!("bake {} of {}{stopped}", clock(bake.total.saturating_sub(bake.left)), clock(bake.total))
        }
        None => match run.state.current() {
            Some((step, known)) => match &step.kind {
                StepKind::Manual(manual) => super::items::progress(step, manual, Some(known)).1,
                StepKind::Approve(_) | StepKind::Poll(_) => {
                    let board = run.state.board(&step.id, sight.now.wall);
                    board.map_or_else(|| step.title.clone(), |board| format!("{}: {}", step.title, super::voices::tally(&board)))
                }
                _ => step.title.clone(),
            },
            None => String::new(),
        },
    }
}

/// What waits for a person, without what blocks it.
fn next_what(sight: &Sight<'_>) -> String {
    let Some(run) = sight.run() else { return format!("{} run RUNBOOK starts a release", sight.command()) };
    if run.state.phase.is_final() {
        return "nothing: this run is over".into();
    }
    if matches!(run.state.question(), Some(Question::Failed { .. } | Question::Unclear { .. })) {
        return "D decide: nothing goes on before".into();
    }
    sight.next().map_or_else(
        || "nothing waits for a person".to_owned(),
        |(_, step)| match &step.kind {
            StepKind::Do(Action::SetWeight { canary }) => format!("P promote to {canary}%"),
            StepKind::Do(action) => format!("P {action}"),
            StepKind::Gate => format!("P decision: {}", step.title),
            StepKind::Approve(_) | StepKind::Poll(_) => format!("D say go or no-go: {}", step.title),
            _ => format!("D checklist: {}", step.title),
        },
    )
}

fn next_words(sight: &Sight<'_>) -> String {
    let what = next_what(sight);
    let blocked = sight.blocked();
    let is_over = sight.run().is_none_or(|r| r.state.phase.is_final());
    if blocked.is_empty() || is_over { what } else { format!("{what}; blocked: {}", blocked.join("; ")) }
}

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The whole snapshot, `gonogo.status/v1`. Ages are whole seconds; everything that can be absent is null.
#[must_use]
pub fn status_json(model: &Model, now: &Stamp) -> Value {
    let sight = Sight::new(model, now, PORT);
    let reasons: Vec<Value> = model.verdict.reasons.iter().map(|r| json!({"verdict": r.verdict.word(), "text": r.text})).collect();
    json!({
        "schema": "gonogo.status/v1",
        "at": rfc(now.wall),
        "service": model.spec.name,
        "environment": {"name": model.spec.environment, "mark": model.spec.mark(), "context": model.spec.context, "namespace": model.spec.namespace},
        "verdict": {"word": model.verdict.verdict.word(), "reasons": reasons},
        "weights": weights(&sight),
        "agreement": sight.agreement(),
        "tracks": tracks(&sight),
        "gates": gate_list(&sight),
        "sources": {
            "platform": source(&sight, &model.platform),
            "metrics": source(&sight, &model.metrics),
            "alerts": model.alerts.as_ref().map(|b| source(&sight, &b.source)),
        },
        "alerts": alerts(&sight),
        "run": run(&sight),
        "next": {"what": next_what(&sight), "blocked": sight.blocked()},
    })
}

fn weights(sight: &Sight<'_>) -> Value {
    let model = sight.model;
    let observed = model.observed.share.as_ref().map(|share| {
        json!({
            "share": share.percent(),
            "requests": share.total,
            "canary_requests": share.canary,
            "interval": share.interval().map(|(low, high)| [low, high]),
            "window_s": share.window.as_secs(),
            "age_s": sight.age(share.newest).as_secs(),
            "current": sight.share().is_some(),
        })
    });
    json!({"intended": model.intended().map(Percent::get), "configured": model.configured(), "observed": observed})
}

fn tracks(sight: &Sight<'_>) -> Value {
    let one = |track: Track| {
        let count = sight.model.picture.instances.of(track);
        json!({
            "version": sight.version(track),
            "instances": count.total,
            "ready": count.ready,
            "problems": count.problems,
            "restarts": count.restarts,
        })
    };
    json!({"canary": one(Track::Canary), "baseline": one(Track::Baseline)})
}

fn gate_list(sight: &Sight<'_>) -> Vec<Value> {
    let one = |gate: &crate::app::model::Gate| {
        let (limit, query) = match &gate.probe {
            Probe::Promql(t) => (json!({"op": t.op.sign(), "value": t.limit}), Some(&t.query)),
            Probe::Platform(_) | Probe::Alert(_) => (Value::Null, None),
        };
        json!({
            "key": gate.key,
            "title": gate.title,
            "origin": gate.origin.word(),
            "counts": gate.counts,
            "verdict": gates::verdict(sight, gate).word(),
            "outcome": gate.finding.outcome,
            "value": gate.finding.value.filter(|v| v.is_finite()),
            "shown": gate.finding.shown,
            "limit": limit,
            "good_when": gate.probe.describe(),
            "percent_of_limit": gate.finding.of_limit.filter(|v| v.is_finite()),
            "age_s": gate.finding.at.map(|at| sight.age(at).as_secs()),
            "query": query,
            "why": gate.finding.why,
        })
    };
    sight.model.gates.iter().map(one).collect()
}

fn source(sight: &Sight<'_>, source: &SourceHealth) -> Value {
    let freshness = source.freshness(sight.now.wall);
    json!({
        "name": source.source.as_str(),
        "freshness": freshness.word(),
        "age_s": source.newest.map(|at| sight.age(at).as_secs()),
        "usable": matches!(freshness, Freshness::Live | Freshness::Late),
        "trouble": source.trouble,
        "login": source.login,
    })
}

fn run(sight: &Sight<'_>) -> Value {
    let Some(run) = sight.run() else { return Value::Null };
    let state = &run.state;
    let step = state.current().map(|(step, known)| {
        json!({"id": step.id.as_str(), "title": step.title, "kind": step.kind.word(), "failed": matches!(known.phase, StepPhase::Failed | StepPhase::Inconclusive), "why": known.why})
    });
    let question = state.question().map(|question| match question {
        Question::Act { step, action } => {
            json!({"kind": "act", "step": step.as_str(), "action": action.to_string(), "weight": action.weight().map(Percent::get)})
        }
        Question::Gate { step } => json!({"kind": "gate", "step": step.as_str()}),
        Question::Agree { step } => json!({
            "kind": "agree",
            "step": step.as_str(),
            "waits_for": state.board(&step, sight.now.wall).map(|board| board.waits_for),
            "board": super::voices::board_json(state, &step, sight.now.wall),
        }),
        Question::Preconditions { bad } => json!({"kind": "preconditions", "bad": bad}),
        Question::Items { step, open } => {
            let items = super::items::items_json(state, &sight.model.options.operator);
            json!({"kind": "items", "step": step.as_str(), "open": open, "checklist": items})
        }
        Question::Failed { step, why, offer } => json!({"kind": "failed", "step": step.as_str(), "why": why, "offer": offer}),
        Question::Unclear { op, why, redo, adopt, .. } => {
            json!({"kind": "unclear", "op": op.as_str(), "why": why, "redo": redo, "adopt": adopt})
        }
    });
    json!({
        "id": state.run.as_str(),
        "runbook": state.runbook.id,
        "hash": state.hash,
        "phase": state.phase.word(),
        "progress": sight.progress(),
        "step": step,
        "question": question,
        "hold": state.hold.as_ref().map(|h| json!({"reason": h.reason, "guard": h.guard, "by": h.by.id, "since": rfc(h.since)})),
        "driver": state.driver.id,
        "seat": match run.seat { Seat::Driving => "driving", Seat::Following => "following", Seat::Unattended => "unattended" },
        "bake_left_s": sight.baking().map(|b| b.left.as_secs()),
        "started": rfc(state.started),
        "ended": state.ended.map(rfc),
    })
}
