//! Which expressions are asked, when, and what their answers become.

use super::effect::{Effect, Span};
use super::model::{Model, Panel, panel_span};
use super::msg::MetricsAnswer;
use crate::domain::traffic::ObservedShare;
use crate::domain::{Failure, Labels, Probe, Sample, Stamp, Threshold, Ticket};
use crate::judge;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The longest window over which requests are counted.
pub const SHARE_WINDOW: Duration = Duration::from_secs(60);
/// Shares kept for the chart.
const HISTORY: usize = 240;
/// A question to the metrics backend is at least this long apart, whatever the scrape interval.
const LEAST_PERIOD: Duration = Duration::from_secs(1);

/// How long after a shift "not observed" is said: the longest window of the query and two scrapes, at least 20 s.
#[must_use]
pub fn settle_time(scrape_interval: Duration) -> Duration {
    (SHARE_WINDOW + scrape_interval * 2).max(Duration::from_secs(20))
}

/// The same expression for the baseline, where it names the canary by its labels.
#[must_use]
pub fn baseline_query(query: &str, canary: &Labels, baseline: &Labels) -> Option<String> {
    let mut text = query.to_owned();
    for (name, value) in canary {
        let other = baseline.get(name)?;
        text = text.replace(&format!("{name}=\"{value}\""), &format!("{name}=\"{other}\""));
    }
    (text != query).then_some(text)
}

/// Every probe in force: conditions of the current step, guards of the run, gates of the service.
pub(super) fn probes(model: &Model) -> Vec<(&Probe, Duration)> {
    let mut all = Vec::new();
    if let Some(run) = model.run.as_ref().filter(|r| !r.state.phase.is_final()) {
        all.extend(run.state.conditions_now().into_iter().map(|c| (&c.probe, c.hold)));
        all.extend(run.state.runbook.guards.iter().map(|g| (&g.probe, g.bad_for)));
    }
    all
}

/// Brings the set of panels in line with what is wanted, and asks what is due.
pub(super) fn poll(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    mark_wanted(model, stamp);
    let interval = model.spec.scrape_interval.max(LEAST_PERIOD);
    let mut effects = Vec::new();
    let due: Vec<String> =
        model.panels.iter().filter(|(_, p)| p.outstanding.is_none() && p.due <= stamp.boot).map(|(q, _)| q.clone()).collect();
    for query in due {
        let ticket = model.tickets.take();
        if let Some(panel) = model.panels.get_mut(&query) {
            panel.outstanding = Some(ticket);
            let span = panel_span(stamp.wall, panel.reach, interval);
            effects.push(Effect::Query { ticket, query, span });
        }
    }
    if model.observed.outstanding.is_none() && model.observed.due <= stamp.boot {
        match share_window(model, stamp) {
            Some(window) => {
                let ticket = model.tickets.take();
                model.observed.outstanding = Some((ticket, window));
                effects.push(Effect::Query { ticket, query: model.spec.requests_over(window), span: Span::At(stamp.wall) });
            }
            None => {
                model.observed.share = None;
                model.observed.due = stamp.boot + LEAST_PERIOD * 2;
            }
        }
    }
    effects
}

/// The observed window begins at the last shift and is a whole number of scrapes, at least two; `None` while it is too short.
fn share_window(model: &Model, stamp: &Stamp) -> Option<Duration> {
    let interval = model.spec.scrape_interval.max(LEAST_PERIOD);
    let least = interval * 2;
    let longest = SHARE_WINDOW.max(least);
    let Some(shifted) = model.run.as_ref().and_then(|r| r.state.shifted_at) else { return Some(longest) };
    // The window ends at the newest sample: where it began a scrape too early it would begin too early at every scrape.
    let lag = model.metrics.newest.map_or(interval, |at| crate::domain::time::age(stamp.wall, at)).min(interval);
    let since = crate::domain::time::age(stamp.wall, shifted).saturating_sub(lag);
    let whole = interval.as_millis().max(1);
    let usable = Duration::from_millis(u64::try_from(since.as_millis() / whole * whole).unwrap_or(u64::MAX));
    (usable >= least).then(|| usable.min(longest))
}

fn mark_wanted(model: &mut Model, stamp: &Stamp) {
    let mut wanted: Vec<(String, Duration)> = Vec::new();
    let mut want = |threshold: &Threshold, hold: Duration| {
        let interval = model.spec.scrape_interval;
        let needed = judge::reach(hold, interval, interval);
        wanted.push((threshold.query.clone(), if model.charts { Model::CHART.max(needed) } else { needed }));
        if model.charts
            && let Some(other) = baseline_query(&threshold.query, &model.spec.canary.labels, &model.spec.baseline.labels)
        {
            wanted.push((other, Model::CHART));
        }
    };
    for (probe, hold) in probes(model) {
        if let Probe::Promql(threshold) = probe {
            want(threshold, hold);
        }
    }
    for gate in &model.spec.gates {
        want(&gate.threshold, Duration::ZERO);
    }
    if model.charts
        && let Some(chart) = super::alerts::chart_of(model)
    {
        wanted.extend(std::iter::once(chart.query).chain(chart.baseline).map(|query| (query, Model::CHART)));
    }
    for panel in model.panels.values_mut() {
        panel.wanted = false;
    }
    for (query, reach) in wanted {
        let panel = model.panels.entry(query).or_insert_with(|| Panel {
            series: Vec::new(),
            newest: None,
            answered: None,
            outstanding: None,
            due: stamp.boot,
            reach,
            warnings: Vec::new(),
            trouble: None,
            wanted: true,
        });
        panel.wanted = true;
        panel.reach = panel.reach.max(reach);
    }
    model.panels.retain(|_, p| p.wanted || p.outstanding.is_some());
}

/// An answer of the metrics backend. `false`: nobody waits for it (any more).
pub(super) fn answered(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: Result<MetricsAnswer, Failure>) -> bool {
    if super::counts::answered(model, stamp, ticket, &result) {
        return true;
    }
    let interval = model.spec.scrape_interval.max(LEAST_PERIOD);
    if let Some((_, window)) = model.observed.outstanding.filter(|(t, _)| *t == ticket) {
        model.observed.outstanding = None;
        source_answered(model, stamp, &result);
        model.observed.due = stamp.boot + next_wait(model, interval, stamp);
        share_answered(model, result, window);
        return true;
    }
    let Some(query) = model.panels.iter().find(|(_, p)| p.outstanding == Some(ticket)).map(|(q, _)| q.clone()) else { return false };
    source_answered(model, stamp, &result);
    let wait = next_wait(model, interval, stamp);
    if let Some(panel) = model.panels.get_mut(&query) {
        panel.outstanding = None;
        panel.due = stamp.boot + wait;
        match result {
            Ok(answer) => {
                panel.series = answer.series;
                panel.newest = answer.newest;
                panel.warnings = answer.warnings;
                panel.answered = Some(stamp.wall);
                panel.trouble = None;
            }
            Err(failure) => panel.trouble = Some(failure.to_string()),
        }
    }
    true
}

/// After a success the next interval; after failures a growing wait. The jitter comes from the ticket counter: the core has no dice.
fn next_wait(model: &Model, interval: Duration, stamp: &Stamp) -> Duration {
    match model.metrics.failures {
        0 => interval,
        n => {
            let nominal = Duration::from_secs(2).saturating_mul(2_u32.saturating_pow(n.min(5))).min(Duration::from_secs(30));
            let dice = f64::from(stamp.mono.subsec_millis()) / 1000.0;
            nominal.mul_f64(0.5 + dice / 2.0)
        }
    }
}

pub(super) fn source_answered(model: &mut Model, stamp: &Stamp, result: &Result<MetricsAnswer, Failure>) {
    let source = &mut model.metrics;
    match result {
        Ok(answer) => {
            source.failures = 0;
            source.trouble = None;
            source.login = None;
            source.next_attempt = None;
            source.newest = source.newest.max(answer.newest);
        }
        // The backend answered, but does not like this one expression: the connection itself is fine.
        Err(Failure::Refused { code: 400 | 422, .. }) => {
            source.failures = 0;
            source.trouble = None;
            source.login = None;
            source.next_attempt = None;
        }
        Err(failure) => {
            source.failures += 1;
            source.trouble = Some(failure.to_string());
            source.login = failure.login().map(str::to_owned);
            source.next_attempt = Some(stamp.wall + chrono::TimeDelta::seconds(2 << source.failures.min(4)));
        }
    }
}

fn share_answered(model: &mut Model, result: Result<MetricsAnswer, Failure>, window: Duration) {
    let answer = match result {
        Ok(answer) => answer,
        Err(failure) => {
            model.observed.trouble = Some(failure.to_string());
            return;
        }
    };
    model.observed.trouble = None;
    let points: Vec<(Labels, Sample)> = answer.series.iter().filter_map(|s| s.last().map(|sample| (s.labels.clone(), sample))).collect();
    let seen = judge::observed_share(&points, &model.spec.baseline.labels, &model.spec.canary.labels, window, answer.newest);
    model.observed.strangers = seen.unknown_labels;
    if let Some(share) = seen.share {
        model.observed.rps = Some(share.total / window.as_secs_f64());
        if let Some(percent) = share.percent() {
            remember(model, share.newest, percent);
        }
        model.observed.share = Some(share);
    } else {
        model.observed.share = None;
        model.observed.rps = None;
    }
}

fn remember(model: &mut Model, at: DateTime<Utc>, percent: f64) {
    let history = &mut model.observed.history;
    if history.back().is_some_and(|(last, _)| *last >= at) {
        return;
    }
    history.push_back((at, percent));
    while history.len() > HISTORY {
        history.pop_front();
    }
}

/// The observed share, if its newest sample is fresh enough to speak of now.
pub(super) fn current_share(model: &Model, now: DateTime<Utc>) -> Option<ObservedShare> {
    let share = model.observed.share?;
    let fresh = crate::domain::Freshness::of(crate::domain::time::age(now, share.newest), model.spec.scrape_interval);
    fresh.usable().then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_of_an_expression_is_the_same_expression_with_the_other_labels() {
        let canary = Labels::from([("version".to_owned(), "canary".to_owned())]);
        let baseline = Labels::from([("version".to_owned(), "stable".to_owned())]);
        let query = r#"rate(x{service="a",version="canary"}[2m])"#;
        assert_eq!(baseline_query(query, &canary, &baseline).unwrap(), r#"rate(x{service="a",version="stable"}[2m])"#);
        assert_eq!(baseline_query("up", &canary, &baseline), None);
    }

    #[test]
    fn settling_takes_the_longest_window_and_two_scrapes() {
        assert_eq!(settle_time(Duration::from_secs(15)), Duration::from_secs(90));
    }
}
