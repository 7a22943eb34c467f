//! A query against its limit, over time.

use crate::domain::time::age;
use crate::domain::{Finding, Freshness, Op, Outcome, Series, Threshold, text};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Share of the expected samples without which a window says nothing.
const COVERAGE: f64 = 0.9;

/// When and how an evaluation looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Now, by the clock that samples are compared with.
    pub now: DateTime<Utc>,
    /// The newest sample behind the query, as the backend told.
    pub newest: Option<DateTime<Utc>>,
    /// The backend's scrape interval.
    pub interval: Duration,
    /// It must have been good for so long without a break.
    pub hold: Duration,
    /// The last shift of traffic was verified then: what the query reaches back to before is about the old traffic.
    pub not_before: Option<DateTime<Utc>>,
}

/// How far back from now to ask for samples so that a hold (or a guard's `bad_for`) can be fulfilled although the newest sample is a
/// little late.
#[must_use]
pub fn reach(hold: Duration, interval: Duration, step: Duration) -> Duration {
    hold + latest(interval) + step
}

/// The age up to which a sample counts.
fn latest(interval: Duration) -> Duration {
    (interval * 3).max(Duration::from_secs(30))
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(36_500))
}

/// Judges the answer to a criterion's query.
///
/// `answer` is the range over at least [`reach`], with its gaps. NaN is no data, infinities are values. The hold is measured from sample
/// to sample on the backend's own time; a missing sample does not end it, but with less than 90 % of them nothing is known.
#[must_use]
pub fn threshold(criterion: &Threshold, answer: &[Series], window: &Window) -> Finding {
    let series = match answer {
        [] => return Finding::without_value(Outcome::NoData, "the query gives no series"),
        [one] => one,
        several => {
            let why = format!("the query gives {} series, one is needed: aggregate it with sum() or max()", several.len());
            return Finding::without_value(Outcome::Error, &why);
        }
    };
    let Some(last) = series.last() else { return Finding::without_value(Outcome::NoData, "the query gives no value in this window") };
    let mut finding = Finding {
        outcome: Outcome::NoData,
        value: Some(last.value),
        shown: criterion.unit.show(last.value),
        of_limit: None,
        at: Some(window.newest.map_or(last.at, |newest| newest.min(last.at))),
        held: Duration::ZERO,
        bad: bad_since(criterion, answer).map_or(Duration::ZERO, |span| span.length()),
        why: String::new(),
        lasting: false,
    };
    let (outcome, why) = match blind(last.at, last.value, series.step, window) {
        Some(found) => found,
        None => seen(criterion, series, window, &mut finding),
    };
    finding.outcome = outcome;
    finding.why = text::clean_bounded(&why, 200);
    finding
}

/// Why the newest value says nothing about now.
fn blind(at: DateTime<Utc>, value: f64, step: Duration, window: &Window) -> Option<(Outcome, String)> {
    let Some(newest) = window.newest else { return Some((Outcome::NoData, "no sample behind the query".into())) };
    let old = age(window.now, newest);
    if !Freshness::of(old, window.interval).usable() {
        return Some((Outcome::Stale, format!("the newest sample is {} old", text::span(old))));
    }
    // With wide steps even the newest slot lies behind.
    if age(window.now, at) > latest(window.interval) + step {
        return Some((Outcome::NoData, format!("no value since {}", at.format("%H:%M:%SZ"))));
    }
    value.is_nan().then(|| (Outcome::NoData, "NaN: a division of nothing by nothing; no traffic?".into()))
}

fn seen(criterion: &Threshold, series: &Series, window: &Window, finding: &mut Finding) -> (Outcome, String) {
    let Some(last) = series.last() else { return (Outcome::NoData, "the query gives no value in this window".into()) };
    finding.of_limit = of_limit(criterion.op, last.value, criterion.limit);
    let limit = format!("{} {}", criterion.op.sign(), criterion.unit.show(criterion.limit));
    if !criterion.op.holds(last.value, criterion.limit) {
        return (Outcome::Fail, format!("{} is not {limit}", finding.shown));
    }
    // Before this the query still looks back into the traffic before the shift.
    let floor = window.not_before.map(|shift| shift + delta(criterion.lookback));
    if let Some(floor) = floor.filter(|floor| last.at < *floor) {
        let left = text::span(age(floor, last.at));
        return (Outcome::Holding, format!("{} {limit}, but the query still reaches back before the shift for {left}", finding.shown));
    }
    let asked = last.at - delta(window.hold);
    let start = floor.map_or(asked, |floor| floor.max(asked));
    let (present, expected) = coverage(series, start, last.at);
    // The newest slot may still be empty. More of them are a gap like any other: losing the newest sample must not mend an answer.
    let present = present.saturating_sub(empty_at_the_end(series).saturating_sub(1));
    if (present as f64) < COVERAGE * expected as f64 {
        return (Outcome::NoData, format!("{present} of {expected} samples of the last {}", text::span(age(last.at, start))));
    }
    let held = good_since(criterion, series).map_or(Duration::ZERO, |since| age(last.at, since.max(start)));
    finding.held = held.min(window.hold);
    if held < window.hold {
        return (Outcome::Holding, format!("{} {limit}, for {} of {}", finding.shown, text::span(held), text::span(window.hold)));
    }
    (Outcome::Pass, format!("{} {limit}", finding.shown))
}

/// Samples that are there and that should be, from `start` to `end`.
fn coverage(series: &Series, start: DateTime<Utc>, end: DateTime<Utc>) -> (usize, usize) {
    let step = series.step.as_millis().max(1);
    let expected = age(end, start).as_millis() / step + 1;
    let inside = |index: &usize| (start..=end).contains(&series.time(*index));
    let present = (0..series.values.len()).filter(inside).filter(|i| series.values[*i].is_some()).count();
    (present, usize::try_from(expected).unwrap_or(usize::MAX))
}

/// Slots after the newest sample.
fn empty_at_the_end(series: &Series) -> usize {
    series.values.iter().rev().take_while(|value| value.is_none()).count()
}

/// Time of the oldest sample of the unbroken run of good ones that ends with the newest. A missing sample does not break it.
fn good_since(criterion: &Threshold, series: &Series) -> Option<DateTime<Utc>> {
    run_since(series, |value| criterion.op.holds(value, criterion.limit))
}

fn run_since(series: &Series, belongs: impl Fn(f64) -> bool) -> Option<DateTime<Utc>> {
    let present = series.values.iter().enumerate().rev().filter_map(|(i, v)| v.map(|v| (i, v)));
    present.take_while(|(_, v)| belongs(*v)).last().map(|(i, _)| series.time(i))
}

/// The newest value in percent of the limit, where both are positive; 100 is the limit, more is worse.
fn of_limit(op: Op, value: f64, limit: f64) -> Option<f64> {
    let percent = match op {
        Op::Less | Op::LessOrEqual if limit > 0.0 && value >= 0.0 => value / limit * 100.0,
        Op::Greater | Op::GreaterOrEqual if limit > 0.0 && value > 0.0 => limit / value * 100.0,
        _ => return None,
    };
    percent.is_finite().then_some(percent)
}

/// How long a criterion has been bad, on the backend's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSpan {
    /// The oldest sample of the run of bad ones.
    pub since: DateTime<Utc>,
    /// The newest.
    pub until: DateTime<Utc>,
}

impl BadSpan {
    /// From the first bad sample to the last.
    #[must_use]
    pub fn length(&self) -> Duration {
        age(self.until, self.since)
    }
}

/// The run of bad samples that ends with the newest sample; `None` when that one is good, or when nothing is known. Only a good sample
/// ends the run: a gap or NaN is no proof that it got better.
#[must_use]
pub fn bad_since(criterion: &Threshold, answer: &[Series]) -> Option<BadSpan> {
    let [series] = answer else { return None };
    let bad = |value: f64| !value.is_nan() && !criterion.op.holds(value, criterion.limit);
    let mut known = Series { values: Vec::with_capacity(series.values.len()), ..series.clone() };
    known.values.extend(series.values.iter().map(|v| v.filter(|v| !v.is_nan())));
    let until = known.last().filter(|s| bad(s.value))?.at;
    Some(BadSpan { since: run_since(&known, bad)?, until })
}

#[cfg(test)]
#[path = "threshold_tests.rs"]
mod tests;
