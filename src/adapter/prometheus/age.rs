//! How old the samples behind an answer are.
//!
//! An answer carries the time of its evaluation, whatever is behind it: five minutes after the last scrape an instant selector still
//! gives the last value, and a `rate` goes on as long as its window holds two samples. So for every selector of a query the server is
//! asked for `max(timestamp(selector))`. A series that has ended, or never was (no errors yet), has no such time and does not count;
//! of those that do, the oldest decides.

use super::{Prometheus, Window};
use crate::adapter::promql::{Data, tolerated_age};
use crate::domain::promql::{QueryError, Selector, inspect};
use crate::domain::{Failure, Sample, Series};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Most selectors of one query that are asked about.
const MOST_SELECTORS: usize = 16;
/// Most queries whose selectors are remembered.
const MOST_KNOWN: usize = 256;
/// How far an instant selector looks back by itself.
const LOOKBACK: Duration = Duration::from_secs(300);

/// Newest sample at every slot; one slot for an instant query.
type Times = Arc<Vec<Option<DateTime<Utc>>>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum When {
    Instant(Option<DateTime<Utc>>),
    Range(Window),
}

type Key = (String, When);
/// Since when by the boot clock, and the answer once it is there.
type Kept = (Duration, Arc<OnceCell<Times>>);

/// Answers about selectors, kept for a part of the scrape interval, so that several criteria over the same metrics ask once.
#[derive(Debug, Default)]
pub(super) struct Ages {
    kept: Mutex<HashMap<Key, Kept>>,
    /// Selectors of queries that were asked before.
    known: Mutex<HashMap<String, Arc<[Selector]>>>,
}

impl Ages {
    /// The selectors of a query; each query is parsed once.
    fn selectors(&self, query: &str) -> Result<Arc<[Selector]>, QueryError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(selectors) = known.get(query) {
            return Ok(Arc::clone(selectors));
        }
        let selectors: Arc<[Selector]> = inspect(query)?.selectors.into();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(query.to_owned(), Arc::clone(&selectors));
        Ok(selectors)
    }

    /// The place for an answer; whoever finds it empty fills it, the others wait.
    fn place(&self, key: Key, boot: Duration, ttl: Duration) -> Arc<OnceCell<Times>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (since, _)| boot.saturating_sub(*since) < ttl);
        Arc::clone(&kept.entry(key).or_insert_with(|| (boot, Arc::default())).1)
    }
}

/// The newest sample behind a query, slot by slot. `None` as a whole when it could not be found out.
#[derive(Debug, PartialEq)]
pub(super) struct History(Option<Vec<Option<DateTime<Utc>>>>);

impl History {
    fn of(times: &[Times], count: usize) -> Self {
        let oldest_at = |slot: usize| times.iter().filter_map(|t| t.get(slot).copied().flatten()).min();
        Self(Some((0..count).map(oldest_at).collect()))
    }

    /// The newest sample at the end, or the last one there was.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.0.as_ref()?.iter().rev().find_map(|t| *t)
    }

    /// Empties the slots whose value rests on samples that are too old for them, and those more than a step (or, with finer steps, an
    /// interval) after the newest sample.
    pub(super) fn cut(&self, series: &mut Series, interval: Duration) {
        let Some(times) = &self.0 else { return };
        let newest = self.newest();
        let step = TimeDelta::from_std(series.step.max(interval)).unwrap_or(TimeDelta::MAX);
        let tolerated = tolerated_age(interval);
        for index in 0..series.values.len() {
            let at = series.time(index);
            let backed = times.get(index).copied().flatten().is_some_and(|t| at - t <= tolerated);
            let reached = newest.is_some_and(|newest| at - newest <= step);
            if !(backed && reached) {
                series.values[index] = None;
            }
        }
    }
}

impl Prometheus {
    /// The newest sample behind an instant query, and a remark when it cannot be told.
    pub(super) async fn newest_behind(&self, query: &str, at: Option<DateTime<Utc>>) -> (Option<DateTime<Utc>>, Option<String>) {
        let (history, remark) = self.history(query, &When::Instant(at), 1).await;
        (history.newest(), remark)
    }

    /// The newest sample behind every slot of a range query.
    pub(super) async fn history_behind(&self, query: &str, window: Window) -> (History, Option<String>) {
        self.history(query, &When::Range(window), window.count).await
    }

    async fn history(&self, query: &str, when: &When, count: usize) -> (History, Option<String>) {
        let unknown = |why: &str| (History(None), Some(format!("the age of its samples is not known: {why}")));
        let selectors = match self.ages.selectors(query) {
            Ok(selectors) => selectors,
            Err(error) => return unknown(&error.to_string()),
        };
        if selectors.len() > MOST_SELECTORS {
            return unknown(&format!("it has {} selectors, at most {MOST_SELECTORS} are asked about", selectors.len()));
        }
        match futures::future::try_join_all(selectors.iter().map(|s| self.times(s, when))).await {
            Ok(times) => (History::of(&times, count), None),
            Err(failure) => unknown(&failure.to_string()),
        }
    }

    async fn times(&self, selector: &Selector, when: &When) -> Result<Times, Failure> {
        // A third of the interval: an answer kept for longer would make live data look late.
        let place = self.ages.place((selector.text.clone(), when.clone()), self.clock.now().boot, self.interval / 3);
        place.get_or_try_init(|| self.ask_times(selector, when)).await.map(Arc::clone)
    }

    async fn ask_times(&self, selector: &Selector, when: &When) -> Result<Times, Failure> {
        let query = format!("max(timestamp({}))", selector.text);
        let (mut times, end) = match when {
            When::Instant(at) => (vec![self.single_time(&query, *at).await?], *at),
            When::Range(window) => {
                let (series, ..) = self.ask_range(&query, window).await?;
                let values = series.into_iter().next().map_or_else(|| vec![None; window.count], |s| s.values);
                (values.into_iter().map(|v| v.and_then(from_seconds)).collect(), Some(window.end))
            }
        };
        // A longer window than the lookback still holds samples that `timestamp` does not see any more. Servers without subqueries
        // refuse this question; then such samples stay unseen.
        if selector.range > LOOKBACK && times.last().is_some_and(Option::is_none) {
            let far = format!("max(max_over_time(timestamp({})[{}s:1m]))", selector.text, selector.range.as_secs());
            let ended = self.single_time(&far, end).await.unwrap_or(None);
            times.iter_mut().rev().take_while(|t| t.is_none()).for_each(|t| *t = ended);
        }
        Ok(Arc::new(times))
    }

    async fn single_time(&self, query: &str, at: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Failure> {
        Ok(match self.ask_instant(query, at).await?.decoded.value {
            Data::Vector(rows) => rows.first().and_then(|(_, Sample { value, .. })| from_seconds(*value)),
            _ => None,
        })
    }
}

fn from_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    (seconds.is_finite() && seconds.abs() < 253_402_300_800.0)
        .then(|| DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(s, 0).unwrap()
    }

    fn series(count: usize) -> Series {
        Series { labels: [].into(), start: at(0), step: Duration::from_secs(15), values: vec![Some(1.0); count] }
    }

    fn history(selectors: &[&[Option<i64>]]) -> History {
        let times: Vec<Times> = selectors.iter().map(|s| Arc::new(s.iter().map(|t| t.map(at)).collect())).collect();
        History::of(&times, selectors[0].len())
    }

    #[test]
    fn the_oldest_of_the_selectors_that_have_samples_decides() {
        assert_eq!(history(&[&[Some(50)], &[Some(20)], &[None]]).newest(), Some(at(20)));
        assert_eq!(history(&[&[None], &[None]]).newest(), None);
        assert_eq!(history(&[&[Some(1), Some(9), None]]).newest(), Some(at(9)), "when it ended");
        assert_eq!(
            history(&[&[Some(1), Some(9), Some(30)], &[Some(1), Some(2), None]]).newest(),
            Some(at(30)),
            "an ended series does not count"
        );
    }

    #[test]
    fn no_slot_rests_on_a_sample_that_is_too_old_for_it() {
        // Scraped at 0 and 10, then nothing until 90: 15 s of interval tolerate 45 s.
        let mut cut = series(8);
        history(&[&[Some(0), Some(10), Some(10), Some(10), Some(10), Some(10), Some(90), Some(105)]])
            .cut(&mut cut, Duration::from_secs(15));
        assert_eq!(cut.values.iter().map(|v| u8::from(v.is_some())).collect::<Vec<_>>(), [1, 1, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn nothing_is_drawn_more_than_a_step_after_the_newest_sample() {
        let mut cut = series(5);
        history(&[&[Some(0), Some(14), Some(29), Some(29), Some(29)]]).cut(&mut cut, Duration::from_secs(15));
        assert_eq!(cut.values, [Some(1.0), Some(1.0), Some(1.0), None, None], "45 is later than 29 + 15");
        let mut fine = Series { step: Duration::from_secs(5), ..series(5) };
        history(&[&[Some(0), Some(0), Some(0), Some(0), Some(0)]]).cut(&mut fine, Duration::from_secs(15));
        assert_eq!(fine.values, [Some(1.0), Some(1.0), Some(1.0), Some(1.0), None], "no new sample is due before 15");
    }

    #[test]
    fn an_unknown_age_cuts_nothing_and_claims_nothing() {
        let mut kept = series(3);
        History(None).cut(&mut kept, Duration::from_secs(15));
        assert_eq!(kept, series(3));
        assert_eq!(History(None).newest(), None);
    }
}
