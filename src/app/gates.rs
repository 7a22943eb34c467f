//! The gates on screen: conditions of the current step, guards of the run, gates of the service.

use super::model::{Baseline, Gate, GateOrigin, Model};
use super::wanted::baseline_query;
use crate::domain::{
    AlertCondition, Finding, Freshness, Instance, Outcome, PlatformCondition, Probe, Route, Series, Stamp, Threshold, Track, Workload,
};
use crate::judge;
use crate::runbook::StepKind;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Evaluates a probe on what is known now. `hold`: good for so long; `not_before`: samples before this say nothing.
pub(super) fn evaluate(model: &Model, probe: &Probe, hold: Duration, not_before: Option<DateTime<Utc>>, now: &Stamp) -> Finding {
    match probe {
        Probe::Promql(threshold) => promql(model, threshold, hold, not_before, now),
        Probe::Platform(condition) => platform(model, condition, now),
        Probe::Alert(condition) => alert(model, condition, now),
    }
}

fn promql(model: &Model, threshold: &Threshold, hold: Duration, not_before: Option<DateTime<Utc>>, now: &Stamp) -> Finding {
    let Some(panel) = model.panels.get(&threshold.query) else {
        return Finding::without_value(Outcome::NoData, "not asked yet");
    };
    if let Some(trouble) = &panel.trouble {
        // One failed question is no outage: what was answered before still counts until it is stale.
        let old = panel.newest.is_none_or(|at| !Freshness::of(crate::domain::time::age(now.wall, at), model.spec.scrape_interval).usable());
        if old {
            return Finding::without_value(Outcome::Error, trouble);
        }
    }
    if panel.answered.is_none() {
        return Finding::without_value(Outcome::NoData, "not answered yet");
    }
    let window = judge::Window { now: now.wall, newest: panel.newest, interval: model.spec.scrape_interval, hold, not_before };
    judge::threshold(threshold, &panel.series, &window)
}

fn platform(model: &Model, condition: &PlatformCondition, now: &Stamp) -> Finding {
    let own = condition.on.as_ref().is_none_or(|on| *on == model.spec.name);
    let (spec, picture, health) = match condition.on.as_deref().and_then(|on| model.target(on)) {
        Some(target) if !own => (&target.spec, &target.picture, &target.platform),
        None if !own => return Finding::without_value(Outcome::Error, "this cockpit is not connected to that service"),
        _ => (&model.spec, &model.picture, &model.platform),
    };
    let started = model.run.as_ref().map(|r| r.state.started);
    // Who drives a run from its middle on did not see its beginning: an instance cannot have had more restarts then than all together.
    let most = model.run.as_ref().map_or(u32::MAX, |r| r.state.restarts_at_start);
    let before = |instance: &Instance| match started {
        Some(started) if instance.created >= started => 0,
        _ => picture.first_restarts.get(&instance.uid).copied().unwrap_or(instance.restarts).min(most),
    };
    let workloads: Vec<Workload> = picture.workloads.values().cloned().collect();
    // Only instances that restarted can have restarted too often; their versions only all of them tell.
    let all = condition.version.is_some();
    let instances = picture.instances.iter().filter(|_| all).chain(picture.instances.notable().filter(|_| !all));
    let share = picture.route.as_ref().and_then(Route::canary_share);
    // Where one object runs both versions, the older side ends with every rollout: what is asked of all is asked of the newest.
    let newest = PlatformCondition { track: condition.track.or(Some(Track::Canary)), ..condition.clone() };
    let condition = if spec.route.object().is_some() { condition } else { &newest };
    let mut finding = judge::platform(condition, &workloads, instances, before, share, health.freshness(now.wall));
    finding.at = health.newest;
    finding
}

fn alert(model: &Model, condition: &AlertCondition, now: &Stamp) -> Finding {
    let Some(board) = &model.alerts else {
        let why = "the service has no alerts connection: add [[alerts]] to the configuration and name it under the service";
        return Finding::without_value(Outcome::NoData, why);
    };
    let mut finding = judge::alert_condition(condition, &board.known(now.wall));
    finding.at = board.source.newest;
    finding
}

/// All gates, conditions of the current step first.
pub(super) fn all(model: &Model, now: &Stamp) -> Vec<Gate> {
    let mut gates: Vec<Gate> = Vec::new();
    let mut add = |key: String, title: &str, origin: GateOrigin, probe: &Probe, hold: Duration| {
        if let Some(same) = gates.iter_mut().find(|g| same_question(&g.probe, probe)) {
            if origin == GateOrigin::Service {
                title.clone_into(&mut same.title);
            }
            return;
        }
        gates.push(gate(model, key, title, origin, probe, hold, now));
    };
    if let Some(run) = model.run.as_ref().filter(|r| !r.state.phase.is_final()) {
        if let Some((step, _)) = run.state.current()
            && let StepKind::Check(check) = &step.kind
        {
            for condition in &check.conditions {
                add(format!("check/{}/{}", step.id, condition.id), &condition.id, GateOrigin::Check, &condition.probe, condition.hold);
            }
        }
        for guard in &run.state.runbook.guards {
            add(format!("guard/{}", guard.id), &guard.title, GateOrigin::Guard, &guard.probe, Duration::ZERO);
        }
    }
    for own in &model.spec.gates {
        let probe = Probe::Promql(own.threshold.clone());
        add(format!("service/{}", own.id), &own.title, GateOrigin::Service, &probe, Duration::ZERO);
    }
    gates
}

pub(super) fn same_question(a: &Probe, b: &Probe) -> bool {
    match (a, b) {
        (Probe::Promql(a), Probe::Promql(b)) => {
            let bare = |query: &str| query.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            a.op == b.op && a.limit.to_bits() == b.limit.to_bits() && bare(&a.query) == bare(&b.query)
        }
        (a, b) => a == b,
    }
}

/// A canary without traffic has no figures, and that is no news. A guard has a say from its first step to its last.
fn counts(model: &Model, origin: GateOrigin, probe: &Probe, finding: &Finding) -> bool {
    let idle = model.share_now().is_some_and(|share| share <= 0.0);
    if finding.outcome == Outcome::NoData && idle && matches!(probe, Probe::Promql(_)) {
        return false;
    }
    if origin == GateOrigin::Check {
        return true;
    }
    let Some(run) = model.run.as_ref().filter(|r| !r.state.phase.is_final()) else { return true };
    let guards: Vec<_> = run.state.runbook.guards.iter().filter(|g| same_question(&g.probe, probe)).collect();
    let others = model.spec.gates.iter().any(|g| same_question(&Probe::Promql(g.threshold.clone()), probe));
    others || guards.is_empty() || guards.iter().any(|g| run.state.watches(g))
}

fn gate(model: &Model, key: String, title: &str, origin: GateOrigin, probe: &Probe, hold: Duration, now: &Stamp) -> Gate {
    let finding = evaluate(model, probe, Duration::ZERO, None, now);
    let only = |query: &str| -> Option<Series> {
        model.panels.get(query).and_then(|p| if p.series.len() == 1 { p.series.first().cloned() } else { None })
    };
    let (series, baseline) = match probe {
        Probe::Platform(_) | Probe::Alert(_) => (None, None),
        Probe::Promql(threshold) => {
            let baseline = baseline_query(&threshold.query, &model.spec.canary.labels, &model.spec.baseline.labels).map(|query| {
                let series = only(&query);
                let shown = series.as_ref().and_then(Series::last).map_or_else(|| "-".to_owned(), |s| threshold.unit.show(s.value));
                Baseline { shown, series, query }
            });
            (only(&threshold.query), baseline)
        }
    };
    let counts = counts(model, origin, probe, &finding);
    Gate { key, title: title.to_owned(), origin, probe: probe.clone(), finding, baseline, series, hold, counts }
}
