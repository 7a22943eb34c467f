//! Requests and errors by version, asked for while a release is on its way: before it, since it began, and over all of it.
//!
//! Everything is counted by the metrics backend over windows, so it is the same after a restart of the cockpit and on every screen.

use super::effect::{Effect, Span};
use super::model::Model;
use super::msg::MetricsAnswer;
use super::wanted;
use crate::domain::{Failure, Series, Stamp, Ticket};
use crate::judge::{self, Band, Excess, Slot};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far back the time before the release is looked at.
const BEFORE: Duration = Duration::from_secs(15 * 60);
/// How far back the time since the release is looked at, window by window.
const SINCE: Duration = Duration::from_secs(60 * 60);
/// For so long after its end a run is still followed.
const AFTERWARDS: Duration = Duration::from_secs(15 * 60);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Windows before the release.
    Before,
    /// Windows since it began.
    Since,
    /// All of it in one window.
    Total,
}

/// One half of an answer: requests, or errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Requests,
    Errors,
}

/// What was counted of the release on screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Windows of the quarter of an hour before the release, oldest first.
    pub before: Vec<Slot>,
    /// Windows since it began, oldest first, at most an hour.
    pub since: Vec<Slot>,
    /// All of it since it began; its end is the time of the question.
    pub total: Option<Slot>,
    /// Time of the newest sample behind the total.
    pub newest: Option<DateTime<Utc>>,
    /// Why the latest question failed.
    pub trouble: Option<String>,
    /// Since when the release it belongs to reaches users.
    exposed: Option<DateTime<Utc>>,
    /// Questions under way.
    asked: BTreeMap<Ticket, (Part, Of)>,
    /// Answers whose other half is not there yet.
    halves: BTreeMap<Part, Vec<Series>>,
    /// When it is asked next (boot clock).
    due: Duration,
}

impl Counts {
    /// Errors before the release.
    #[must_use]
    pub fn band(&self) -> Option<Band> {
        Band::of(&self.before)
    }
}

/// The window of a slot: as short as counters allow.
#[must_use]
pub fn window(model: &Model) -> Duration {
    interval(model) * 2
}

fn interval(model: &Model) -> Duration {
    model.spec.scrape_interval.max(Duration::from_secs(1))
}

/// What the canary cost so far.
///
/// # Errors
/// Why it is not known, as a lower-case fragment.
pub fn harm(model: &Model, now: DateTime<Utc>) -> Result<Excess, String> {
    if model.spec.harm.errors.is_none() {
        return Err("the service has no `errors` query".into());
    }
    let counts = &model.counts;
    if let Some(trouble) = counts.trouble.as_ref().filter(|_| counts.total.is_none()) {
        return Err(trouble.clone());
    }
    let (Some(total), Some(newest)) = (counts.total, counts.newest) else { return Err("not counted yet".into()) };
    let freshness = crate::domain::Freshness::of(crate::domain::time::age(now, newest), model.spec.scrape_interval);
    let is_over = model.run.as_ref().is_some_and(|r| r.state.phase.is_final());
    if !freshness.usable() && !is_over {
        return Err(format!("its samples are {}", freshness.word()));
    }
    judge::harm(total.canary, total.baseline)
}

/// Whether there was time enough to count: what is not known by now is news.
pub(super) fn is_overdue(model: &Model, now: &Stamp) -> bool {
    let exposed = model.run.as_ref().and_then(|r| r.state.exposed_at);
    exposed.is_some_and(|at| crate::domain::time::age(now.wall, at) > wanted::settle_time(model.spec.scrape_interval))
}

/// The budget of excess errors: the runbook's, else the service's.
#[must_use]
pub fn budget(model: &Model) -> Option<u32> {
    let runbook = model.run.as_ref().and_then(|r| r.state.runbook.target.harm_budget);
    runbook.or(model.spec.harm.budget)
}

/// Since when the release on screen reaches users, while that is still followed.
fn followed(model: &Model, stamp: &Stamp) -> Option<DateTime<Utc>> {
    model.spec.harm.errors.as_ref()?;
    let state = &model.run.as_ref()?.state;
    let over = state.ended.is_some_and(|at| {
        let landed = state.landing.as_ref().is_some_and(|l| l.took.is_some());
        crate::domain::time::age(stamp.wall, at) > if landed { Duration::ZERO } else { AFTERWARDS }
    });
    state.exposed_at.filter(|_| !over)
}

/// When it wants to ask next (boot clock).
pub(super) fn due(model: &Model, stamp: &Stamp) -> Option<Duration> {
    let waits = model.counts.asked.is_empty() && followed(model, stamp).is_some();
    waits.then_some(model.counts.due.max(stamp.boot + Duration::from_millis(1)))
}

/// Asks what is due.
pub(super) fn poll(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let exposed = model.run.as_ref().and_then(|r| r.state.exposed_at);
    if model.counts.exposed != exposed {
        model.counts = Counts { exposed, due: stamp.boot, ..Counts::default() };
    }
    let Some(exposed) = followed(model, stamp) else { return Vec::new() };
    if !model.counts.asked.is_empty() || model.counts.due > stamp.boot {
        return Vec::new();
    }
    model.counts.due = stamp.boot + interval(model);
    let mut effects = Vec::new();
    if model.counts.before.is_empty() {
        let span = slots(exposed, BEFORE, interval(model));
        effects.extend(ask(model, Part::Before, window(model), span));
    }
    let age = crate::domain::time::age(stamp.wall, exposed);
    if age >= window(model) {
        let span = slots(stamp.wall, age.min(SINCE), interval(model));
        effects.extend(ask(model, Part::Since, window(model), span));
        effects.extend(ask(model, Part::Total, age, Span::At(stamp.wall)));
    }
    effects
}

/// Slots up to `end`, at whole steps, so that both halves and later answers have the same ones.
fn slots(end: DateTime<Utc>, reach: Duration, step: Duration) -> Span {
    super::model::panel_span(end, reach, step)
}

fn ask(model: &mut Model, part: Part, window: Duration, span: Span) -> Vec<Effect> {
    let Some(errors) = model.spec.errors_over(window) else { return Vec::new() };
    let requests = model.spec.requests_over(window);
    model.counts.halves.remove(&part);
    let mut one = |of, query| {
        let ticket = model.tickets.take();
        model.counts.asked.insert(ticket, (part, of));
        Effect::Query { ticket, query, span }
    };
    vec![one(Of::Requests, requests), one(Of::Errors, errors)]
}

/// An answer to one of its questions. `false`: it is none.
pub(super) fn answered(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: &Result<MetricsAnswer, Failure>) -> bool {
    let Some((part, of)) = model.counts.asked.remove(&ticket) else { return false };
    wanted::source_answered(model, stamp, result);
    let counts = &mut model.counts;
    counts.due = stamp.boot + model.spec.scrape_interval.max(Duration::from_secs(1));
    let answer = match result {
        Ok(answer) => answer,
        Err(failure) => {
            counts.trouble = Some(failure.to_string());
            counts.halves.remove(&part);
            if part == Part::Total {
                counts.total = None;
            }
            return true;
        }
    };
    let other_is_asked = counts.asked.values().any(|(p, _)| *p == part);
    if other_is_asked {
        counts.halves.insert(part, answer.series.clone());
        return true;
    }
    let Some(other) = counts.halves.remove(&part) else { return true };
    let (requests, errors) = if of == Of::Requests { (&answer.series, &other) } else { (&other, &answer.series) };
    let found = judge::slots(requests, errors, &model.spec.baseline.labels, &model.spec.canary.labels);
    counts.trouble = None;
    match part {
        Part::Before => counts.before = found,
        Part::Since => counts.since = found,
        Part::Total => {
            counts.total = found.last().copied();
            counts.newest = answer.newest;
        }
    }
    true
}

/// Samples are taken a moment before the end of a window: so much of the time before a shift does not count.
pub(super) const SLACK: TimeDelta = TimeDelta::seconds(2);
