//! The harm meter: how many requests failed because of the new version.
//!
//! Excess = errors of the canary - requests of the canary x error ratio of the baseline over the same time. Both counts are random, so
//! it comes with its 95 % interval: the normal approximation, each ratio with half an error and half a success added so that no errors
//! at all are not mistaken for certainty.

use super::counts::Tally;

/// Below so many requests a baseline says too little to compare with.
pub const LEAST_BASELINE: f64 = 100.0;
/// 95 % of a normal distribution lie within so many deviations.
const Z: f64 = 1.96;

/// Errors beyond those that the baseline would have had, with their 95 % interval. Negative: fewer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Excess {
    /// The estimate.
    pub count: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Excess {
    /// The same per something.
    #[must_use]
    fn times(self, factor: f64) -> Self {
        Self { count: self.count * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// What the canary cost so far.
///
/// # Errors
/// Why it is not known, as a lower-case fragment: a side was not counted, or too little of it.
pub fn harm(canary: Option<Tally>, baseline: Option<Tally>) -> Result<Excess, String> {
    let Some(canary) = canary else { return Err("errors of the canary are not told".into()) };
    let Some(baseline) = baseline else { return Err("errors of the baseline are not told".into()) };
    if baseline.requests < LEAST_BASELINE {
        return Err(format!("the baseline had {:.0} requests, {LEAST_BASELINE:.0} are needed to compare", baseline.requests));
    }
    if canary.requests <= 0.0 {
        return Ok(Excess { count: 0.0, low: 0.0, high: 0.0 });
    }
    let count = canary.errors - canary.requests * baseline.errors / baseline.requests;
    let variance = |t: Tally| {
        let p = (t.errors + 0.5) / (t.requests + 1.0);
        p * (1.0 - p) / t.requests
    };
    let spread = Z * canary.requests * (variance(canary) + variance(baseline)).sqrt();
    // At most every error that there was is due to the canary, and at most every request of it was saved.
    let (least, most) = (-canary.requests, canary.errors);
    Ok(Excess { count, low: (count - spread).max(least), high: (count + spread).min(most.max(count)) })
}

/// Excess errors per minute at another share of the traffic, if the canary stays as it was.
///
/// * `canary`: what `excess` was measured on.
/// * `rps`: requests per second of the whole service; `share`: of the canary, 0 to 1.
#[must_use]
pub fn forecast(excess: Excess, canary: Tally, rps: f64, share: f64) -> Option<Excess> {
    let usable = canary.requests > 0.0 && rps.is_finite() && rps >= 0.0 && (0.0..=1.0).contains(&share);
    usable.then(|| excess.times(rps * 60.0 * share / canary.requests))
}

/// Whether the budget is certainly spent for the `times`th time: the lower end lies above so many budgets.
#[must_use]
pub fn spends(excess: Excess, budget: u32, times: u32) -> bool {
    excess.low > f64::from(budget) * f64::from(times.max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(requests: f64, errors: f64) -> Tally {
        Tally { requests, errors }
    }

    #[test]
    fn excess_is_counted_against_the_concurrent_baseline() {
        let found = harm(Some(tally(1000.0, 25.0)), Some(tally(3000.0, 6.0))).unwrap();
        assert_eq!((found.count, found.low.round(), found.high.round()), (23.0, 13.0, 25.0));
    }

    #[test]
    fn what_was_not_counted_is_not_known() {
        let some = Some(tally(1000.0, 25.0));
        assert_eq!(harm(None, some).unwrap_err(), "errors of the canary are not told");
        assert_eq!(harm(some, None).unwrap_err(), "errors of the baseline are not told");
        let few = harm(some, Some(tally(99.0, 0.0))).unwrap_err();
        assert_eq!(few, "the baseline had 99 requests, 100 are needed to compare");
    }

    #[test]
    fn no_errors_on_either_side_are_no_certainty() {
        let found = harm(Some(tally(1000.0, 0.0)), Some(tally(200.0, 0.0))).unwrap();
        assert!(found.count == 0.0 && found.low < -3.0, "{found:?}");
    }

    #[test]
    fn the_next_step_is_forecast_from_the_rate_so_far() {
        let so_far = harm(Some(tally(1000.0, 25.0)), Some(tally(3000.0, 6.0))).unwrap();
        let next = forecast(so_far, tally(1000.0, 25.0), 400.0, 0.5).unwrap();
        assert!((next.count - 23.0 / 1000.0 * 400.0 * 60.0 * 0.5).abs() < 1e-9, "{next:?}");
        assert!(next.low < next.count && next.count < next.high);
        assert_eq!(forecast(so_far, tally(0.0, 0.0), 400.0, 0.5), None);
    }

    #[test]
    fn a_budget_is_spent_when_even_the_lower_end_is_above_it() {
        let found = Excess { count: 600.0, low: 501.0, high: 700.0 };
        assert!(spends(found, 500, 1) && !spends(found, 500, 2) && spends(found, 0, 7));
        assert!(!spends(Excess { low: 499.0, ..found }, 500, 0), "never counts less than one budget");
    }

    fn count() -> impl Strategy<Value = Tally> {
        (1_u32..1_000_000, 0.0..=1.0_f64).prop_map(|(requests, share)| tally(f64::from(requests), (f64::from(requests) * share).floor()))
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_estimate(canary in count(), baseline in count()) {
            prop_assume!(baseline.requests >= LEAST_BASELINE);
            let found = harm(Some(canary), Some(baseline)).unwrap();
            prop_assert!(found.low <= found.count && found.count <= found.high, "{found:?}");
            prop_assert!(found.count <= canary.errors + 1e-6 && found.low.is_finite() && found.high.is_finite());
        }

        #[test]
        fn more_errors_of_the_canary_are_never_less_harm(canary in count(), baseline in count(), more in 1_u32..1000) {
            prop_assume!(baseline.requests >= LEAST_BASELINE && canary.errors + f64::from(more) <= canary.requests);
            let before = harm(Some(canary), Some(baseline)).unwrap();
            let after = harm(Some(tally(canary.requests, canary.errors + f64::from(more))), Some(baseline)).unwrap();
            prop_assert!(after.count > before.count);
        }

        #[test]
        fn equal_ratios_never_spend_a_budget(requests in 100_u32..100_000, errors in 0_u32..100, times in 1_u32..50, budget in 0_u32..100) {
            prop_assume!(errors <= requests);
            let one = tally(f64::from(requests), f64::from(errors));
            let all = tally(one.requests * f64::from(times), one.errors * f64::from(times));
            let found = harm(Some(one), Some(all)).unwrap();
            prop_assert!(!spends(found, budget, 1), "{found:?}");
        }
    }
}
