//! Landing proof and the budget of harm: what follows an act until it is where it should be, and what the release costs meanwhile.

use super::counts::{self, SLACK, window};
use super::model::Model;
use super::verdict;
use super::wanted::{current_share, settle_time};
use crate::domain::text::clean_bounded;
use crate::domain::time::age;
use crate::domain::{Agreement, OpId, Stamp};
use crate::judge::{self, Errors, Excess, Landing};
use crate::runbook::record::{Event, ExcessRecord, ImpactRecord};
use crate::runbook::state::OpStage;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The act that is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// The operation.
    pub op: OpId,
    /// It is on the way back.
    pub back: bool,
    /// When its intent was recorded.
    pub sent: DateTime<Utc>,
    /// When the platform was seen as wanted.
    pub shifted: DateTime<Utc>,
    /// It was told already that it did not land in time.
    pub missed: bool,
}

/// The act whose landing is not proved yet; `None` when there is none, or it moves no traffic.
#[must_use]
pub fn followed(model: &Model) -> Option<Followed> {
    let state = &model.run.as_ref()?.state;
    let op = state.operation.as_ref().filter(|op| op.stage == OpStage::Verified && !op.fence)?;
    let shifted = op.verified_at?;
    // What moves another service's traffic is not seen in this one's.
    let elsewhere = state.runbook.steps.iter().chain(&state.rollback_plan).any(|s| s.id == op.step && s.target.is_some());
    if elsewhere {
        return None;
    }
    let back = state.runbook.position(&op.step).is_none();
    if !back && op.action.weight().is_none() && !op.action.raises_traffic() {
        return None;
    }
    let decided = state.landing.as_ref().filter(|l| l.op == op.op);
    if decided.is_some_and(|l| l.took.is_some()) {
        return None;
    }
    Some(Followed { op: op.op.clone(), back, sent: op.intent_at.unwrap_or(shifted), shifted, missed: decided.is_some() })
}

/// How long it may take: the settle time, or twice what the slowest one took here before.
#[must_use]
pub fn time_to_land(model: &Model) -> Duration {
    /// Whatever was learnt, nobody waits longer.
    const MOST: Duration = Duration::from_secs(600);
    let learnt = model.learnt.slowest_landing.map(|took| took * 2).unwrap_or_default();
    settle_time(model.spec.scrape_interval).max(learnt.min(MOST))
}

/// Where the followed act stands.
#[must_use]
pub fn look(model: &Model, followed: &Followed, now: &Stamp) -> Landing {
    let share = model.spec.route.object().map(|_| verdict::weights(model, now));
    let share = share.map(|share| if model.metrics.freshness(now.wall).usable() { share } else { Agreement::Unknown });
    let late = age(now.wall, followed.shifted) >= time_to_land(model);
    judge::landing(share, &errors(model, followed), late)
}

fn errors(model: &Model, followed: &Followed) -> Errors {
    if model.spec.harm.errors.is_none() {
        return Errors::NotKnown { why: "the service has no `errors` query".into() };
    }
    let counts = &model.counts;
    if counts.since.is_empty() {
        return Errors::Pending;
    }
    let serves = model.configured().is_none_or(|share| share > 0.0);
    judge::errors(&counts.since, counts.band().as_ref(), followed.shifted, window(model), SLACK, serves)
}

/// Whether the followed act landed, or did not in its time, as a fact for the record.
pub(super) fn found(model: &Model, now: &Stamp) -> Option<Event> {
    let act = followed(model)?;
    let took = age(now.wall, act.sent);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match look(model, &act, now) {
        Landing::Following { .. } => None,
        Landing::Landed { errors } => {
            let shown = clean_bounded(&shown(model, now, errors.is_none()), 200);
            let impact = impact(model, now);
            Some(Event::LandingProved { op: act.op, back: act.back, took_ms: millis, shown, errors_unknown: errors, impact })
        }
        Landing::Missing { .. } if act.missed => None,
        Landing::Missing { why, known } => {
            let next = next(&act, known, &why).to_owned();
            Some(Event::LandingMissing { op: act.op, back: act.back, after_ms: millis, why: clean_bounded(&why, 200), next })
        }
    }
}

/// What to do about a landing that is missing.
fn next(act: &Followed, known: bool, why: &str) -> &'static str {
    match (act.back, known) {
        (false, true) => "B backs out",
        (false, false) => "look at the router and at the metrics before going on",
        (true, true) if why.starts_with("errors") => "the errors stay without the canary: look for another cause, and call for help",
        (true, _) => "look at the router itself: gonogo print-undo tells how to go back by hand",
    }
}

/// `seen 24.6% of 12400 requests, errors 0.21%, before the release 0.19%`.
fn shown(model: &Model, now: &Stamp, with_errors: bool) -> String {
    let share = current_share(model, now.wall).filter(|_| model.spec.route.object().is_some());
    let seen = share.and_then(|s| s.percent().map(|p| format!("seen {p:.1}% of {:.0} requests", s.total)));
    let newest = model.counts.since.last().and_then(|slot| slot.service).filter(|_| with_errors);
    let errors = newest
        .and_then(|t| t.ratio())
        .zip(model.counts.band())
        .map(|(ratio, band)| format!("errors {}, before the release {}", judge::percent(ratio), judge::percent(band.ratio())));
    let parts: Vec<String> = [seen, errors].into_iter().flatten().collect();
    if parts.is_empty() { "the platform is as wanted".into() } else { parts.join(", ") }
}

/// When users noticed, and what it cost.
fn impact(model: &Model, now: &Stamp) -> Option<ImpactRecord> {
    let exposed = model.run.as_ref()?.state.exposed_at?;
    let (from, until) = judge::impact(&model.counts.since, &model.counts.band()?, exposed, window(model))?;
    Some(ImpactRecord { from, until, excess: counts::harm(model, now.wall).ok().map(record) })
}

/// Whole numbers for the record; the interval only ever grows by that.
#[must_use]
pub fn record(excess: Excess) -> ExcessRecord {
    ExcessRecord { count: excess.count.round() as i64, low: excess.low.floor() as i64, high: excess.high.ceil() as i64 }
}

/// The budget of harm, when it is certainly spent once more.
pub(super) fn overspent(model: &Model, now: &Stamp) -> Option<(ExcessRecord, u32)> {
    let state = &model.run.as_ref()?.state;
    let budget = counts::budget(model)?;
    let excess = counts::harm(model, now.wall).ok()?;
    judge::spends(excess, budget, state.harm_spent + 1).then(|| (record(excess), budget))
}

/// What was learnt from earlier runs of the service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learnt {
    /// How long the slowest landing took, from its intent to the proof.
    pub slowest_landing: Option<Duration>,
    /// The latest back-outs, newest first: from the intent to the proof, or to the platform being as wanted where no proof was recorded.
    pub back_outs: Vec<BackOut>,
}

/// A back-out that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct BackOut {
    /// When.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// It was proved that traffic followed.
    pub landed: bool,
}
