//! Requests and errors by side, over time: what landing and harm are judged on. A number that was not counted is none.

use crate::domain::{Labels, Series};
use chrono::{DateTime, TimeDelta, Utc};

/// Requests and how many of them failed, over one window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Requests, not negative.
    pub requests: f64,
    /// Failed ones, at most as many.
    pub errors: f64,
}

impl Tally {
    /// Failed requests per request; `None` without requests.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.errors / self.requests)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, errors: self.errors + other.errors }
    }
}

/// What was counted in one window. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// End of the window.
    pub at: DateTime<Utc>,
    /// All versions together, also those of neither side.
    pub service: Option<Tally>,
    /// The old version.
    pub baseline: Option<Tally>,
    /// The new version.
    pub canary: Option<Tally>,
}

/// Extrapolated counts may lie a little above the truth; errors beyond this share of the requests come from another query.
const MOST_ERRORS: f64 = 1.1;

/// Joins the answers to a service's queries for requests and errors, which were asked over the same windows at the same moments.
///
/// * A version without a series of errors had none, if any errors are told at that moment; else nothing is known of its errors.
/// * Counts that are negative or no number, and more errors than requests, are not known.
/// * A series belongs to the side whose labels it carries, all of them; sides without labels have none.
#[must_use]
pub fn slots(requests: &[Series], errors: &[Series], baseline: &Labels, canary: &Labels) -> Vec<Slot> {
    let carries = |labels: &Labels, side: &Labels| !side.is_empty() && side.iter().all(|(k, v)| labels.get(k) == Some(v));
    let is_baseline = |labels: &Labels| carries(labels, baseline) && !carries(labels, canary);
    let is_canary = |labels: &Labels| carries(labels, canary) && !carries(labels, baseline);
    let mut moments: Vec<DateTime<Utc>> = requests.iter().flat_map(|s| (0..s.values.len()).map(|i| s.time(i))).collect();
    moments.sort_unstable();
    moments.dedup();
    let told = |at| errors.iter().any(|s| value(s, at).is_some());
    let tally = |at, side: &dyn Fn(&Labels) -> bool| {
        let requests = sum(requests, at, side)?;
        let errors = sum(errors, at, side).or_else(|| told(at).then_some(0.0))?;
        let usable = requests >= 0.0 && errors >= 0.0 && errors <= requests * MOST_ERRORS;
        usable.then(|| Tally { requests, errors: errors.min(requests) })
    };
    let slot = |at| Slot { at, service: tally(at, &|_| true), baseline: tally(at, &is_baseline), canary: tally(at, &is_canary) };
    moments.into_iter().map(slot).collect()
}

/// The value of a series at exactly this moment.
fn value(series: &Series, at: DateTime<Utc>) -> Option<f64> {
    let step = TimeDelta::from_std(series.step).ok().filter(|s| *s > TimeDelta::zero())?;
    let after = at - series.start;
    if after < TimeDelta::zero() || after.num_milliseconds() % step.num_milliseconds() != 0 {
        return None;
    }
    let place = usize::try_from(after.num_milliseconds() / step.num_milliseconds()).ok()?;
    series.values.get(place).copied().flatten()
}

/// All series of a side at one moment; `None` when there is none, `NaN` when one of them cannot be used.
fn sum(all: &[Series], at: DateTime<Utc>, side: &dyn Fn(&Labels) -> bool) -> Option<f64> {
    let mut total = None;
    for value in all.iter().filter(|s| side(&s.labels)).filter_map(|s| value(s, at)) {
        let value = if value.is_finite() && value >= 0.0 { value } else { f64::NAN };
        total = Some(total.unwrap_or(0.0) + value);
    }
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn labels(version: &str) -> Labels {
        Labels::from([("version".to_owned(), version.to_owned())])
    }

    fn series(version: &str, values: &[Option<f64>]) -> Series {
        Series { labels: labels(version), start: DateTime::UNIX_EPOCH, step: Duration::from_secs(15), values: values.to_vec() }
    }

    fn join(requests: &[Series], errors: &[Series]) -> Vec<Slot> {
        slots(requests, errors, &labels("stable"), &labels("canary"))
    }

    fn tally(requests: f64, errors: f64) -> Option<Tally> {
        Some(Tally { requests, errors })
    }

    #[test]
    fn sides_and_the_whole_service_are_told_apart() {
        let requests = [series("canary", &[Some(50.0)]), series("stable", &[Some(150.0)]), series("v0", &[Some(10.0)])];
        let errors = [series("canary", &[Some(5.0)]), series("stable", &[Some(1.0)])];
        let slot = Slot { at: DateTime::UNIX_EPOCH, service: tally(210.0, 6.0), baseline: tally(150.0, 1.0), canary: tally(50.0, 5.0) };
        assert_eq!(join(&requests, &errors), [slot]);
    }

    #[test]
    fn a_version_without_errors_had_none_where_others_had_some_and_else_nothing_is_known() {
        let requests = [series("canary", &[Some(50.0), Some(50.0)]), series("stable", &[Some(150.0), Some(150.0)])];
        let errors = [series("stable", &[Some(0.0), None])];
        let found = join(&requests, &errors);
        assert_eq!((found[0].canary, found[1].canary), (tally(50.0, 0.0), None));
        assert_eq!(join(&requests, &[])[0].service, None, "an empty answer is no zero");
    }

    #[test]
    fn a_gap_stays_a_gap_and_no_number_is_none() {
        let requests = [series("canary", &[None, Some(f64::NAN), Some(-1.0), Some(10.0)]), series("stable", &[Some(90.0); 4])];
        let errors = [series("canary", &[Some(0.0), Some(0.0), Some(0.0), Some(40.0)]), series("stable", &[Some(1.0); 4])];
        let found = join(&requests, &errors);
        assert_eq!(found.iter().map(|s| s.canary).collect::<Vec<_>>(), [None, None, None, None], "{found:?}");
        assert_eq!(found.iter().map(|s| s.baseline.is_some()).collect::<Vec<_>>(), [true; 4]);
        assert_eq!((found[0].service, found[1].service), (tally(90.0, 1.0), None));
    }

    #[test]
    fn sides_that_metrics_do_not_tell_apart_have_no_counts_of_their_own() {
        let found = slots(&[series("a", &[Some(9.0)])], &[series("a", &[Some(1.0)])], &Labels::new(), &Labels::new());
        assert_eq!((found[0].service, found[0].baseline, found[0].canary), (tally(9.0, 1.0), None, None));
    }
}
