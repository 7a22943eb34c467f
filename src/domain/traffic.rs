//! Three weights: intended, configured, observed.

use super::ids::{Epoch, OpId, RunId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A share of traffic in whole percent, 0 to 100: what people decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(100);

    /// A percentage, if it is one.
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| *v <= 100).map(Self)
    }

    /// As a number from 0 to 100.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What our last write left on the object: who wrote, under which epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteStamp {
    /// The run.
    pub run: RunId,
    /// The operation.
    pub op: OpId,
    /// The driver's epoch.
    pub epoch: Epoch,
}

/// The router's configuration as read back, with everything a conditional write relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `virtualservice/checkout`.
    pub object: String,
    /// Identity of the object.
    pub uid: String,
    /// The platform's opaque version of the object as read.
    pub version: String,
    /// Name of the rule inside the object, or its place when it has no name.
    pub rule: String,
    /// Relative weight of the canary destination as written there.
    pub canary: u32,
    /// Relative weight of the baseline destination as written there.
    pub baseline: u32,
    /// Relative weight of all other destinations of the rule. Not zero is an error state: shares are not ours alone.
    pub others: u32,
    /// Our own stamp, if the object carries one.
    pub stamp: Option<WriteStamp>,
    /// Rules that send some requests to one side regardless of weight, in words: `header x-canary=true -> canary`.
    pub pinned: Vec<String>,
    /// Who else wrote the weights last, and when: `kubectl at 2026-03-14T03:07:12Z`.
    pub last_writer: Option<String>,
    /// Why weights cannot be set here, if so: a missing subset, other hosts, a rule that is owned by a controller.
    pub trouble: Option<String>,
}

impl Route {
    /// Share of the canary as configured, in percent (not rounded). `None` when the weights sum to zero.
    #[must_use]
    pub fn canary_share(&self) -> Option<f64> {
        let sum = self.sum();
        (sum > 0).then(|| f64::from(self.canary) * 100.0 / f64::from(sum))
    }

    /// Sum of all weights of the rule, as written.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.canary + self.baseline + self.others
    }

    /// Whether the configured share is exactly this percentage.
    #[must_use]
    pub fn is_at(&self, weight: Percent) -> bool {
        self.others == 0 && self.sum() > 0 && u64::from(self.canary) * 100 == u64::from(self.sum()) * u64::from(weight.get())
    }

    /// The relative weights of canary and baseline that stand for `weight`. The sum that is there is kept; where there is none, or
    /// where it cannot express the share exactly (a sum of 2 knows no 25 %), it becomes 100.
    #[must_use]
    pub fn split(&self, weight: Percent) -> (u32, u32) {
        let (sum, weight) = (u64::from(self.canary) + u64::from(self.baseline), u64::from(weight.get()));
        let sum = if sum == 0 || sum * weight % 100 != 0 { 100 } else { sum };
        let canary = sum * weight / 100;
        (u32::try_from(canary).unwrap_or(u32::MAX), u32::try_from(sum - canary).unwrap_or(u32::MAX))
    }
}

/// The share of real requests that reached the canary, from counters, over one window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObservedShare {
    /// Requests to the canary in the window.
    pub canary: f64,
    /// Requests to both sides in the window.
    pub total: f64,
    /// Length of the window.
    pub window: Duration,
    /// Time of the newest sample in it.
    pub newest: DateTime<Utc>,
}

impl ObservedShare {
    /// Below this many requests the share is NO DATA, not drift.
    pub const FLOOR: f64 = 100.0;

    /// Share in percent; `None` below the floor.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        (self.total >= Self::FLOOR && self.total.is_finite()).then(|| self.canary * 100.0 / self.total)
    }

    /// The 95 % interval of the share in percent (Wilson score), `None` below the floor.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let p = self.percent()? / 100.0;
        let n = self.total;
        let z = 1.96_f64;
        let denominator = 1.0 + z * z / n;
        let centre = p + z * z / (2.0 * n);
        let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        Some(((centre - spread) / denominator * 100.0, (centre + spread) / denominator * 100.0))
    }
}

/// Whether intended, configured and observed say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// All three agree.
    Agreed,
    /// The last shift is too recent to tell.
    Settling,
    /// Observed has too few requests in the window.
    NoData,
    /// The router is not set to what was intended.
    ConfiguredDiffers,
    /// The router is set, but traffic does not follow: an error state.
    NotObserved,
    /// A weight that is needed is not known.
    Unknown,
}

/// Points of share within which observed counts as intended.
pub const OBSERVED_TOLERANCE: f64 = 2.0;

/// Compares the three weights.
///
/// * `intended`: what a run or a step asked for; without a run what is configured is what was intended.
/// * `settled`: the settle time since the last shift has passed.
#[must_use]
pub fn agreement(intended: Option<Percent>, configured: Option<&Route>, observed: Option<&ObservedShare>, settled: bool) -> Agreement {
    let Some(route) = configured else { return Agreement::Unknown };
    let Some(share) = route.canary_share() else { return Agreement::Unknown };
    if let Some(weight) = intended
        && !route.is_at(weight)
    {
        return Agreement::ConfiguredDiffers;
    }
    let Some(observed) = observed else { return if settled { Agreement::NoData } else { Agreement::Settling } };
    let Some((percent, (low, high))) = observed.percent().zip(observed.interval()) else {
        return if settled { Agreement::NoData } else { Agreement::Settling };
    };
    if (percent - share).abs() <= OBSERVED_TOLERANCE || (low..=high).contains(&share) {
        Agreement::Agreed
    } else if settled {
        Agreement::NotObserved
    } else {
        Agreement::Settling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(canary: u32, baseline: u32) -> Route {
        Route {
            object: "virtualservice/checkout".into(),
            uid: "u".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary,
            baseline,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        }
    }

    fn seen(canary: f64, total: f64) -> ObservedShare {
        ObservedShare { canary, total, window: Duration::from_secs(60), newest: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn the_sum_that_was_there_is_kept() {
        assert_eq!(route(1, 3).split(Percent::new(50).unwrap()), (2, 2));
        assert_eq!(route(0, 0).split(Percent::new(25).unwrap()), (25, 75));
        assert_eq!(route(25, 75).split(Percent::FULL), (100, 0));
    }

    #[test]
    fn a_sum_that_cannot_express_a_share_never_stands_for_it() {
        let quarter = Percent::new(25).unwrap();
        assert_eq!(route(1, 1).split(quarter), (25, 75));
        assert!(!route(1, 1).is_at(quarter) && route(1, 1).is_at(Percent::new(50).unwrap()));
        assert!(route(250_000, 750_000).is_at(quarter));
    }

    #[test]
    fn traffic_that_does_not_follow_is_settling_and_then_an_error() {
        let (intended, set, seen) = (Percent::new(50), route(50, 50), seen(250.0, 1000.0));
        assert_eq!(agreement(intended, Some(&set), Some(&seen), false), Agreement::Settling);
        assert_eq!(agreement(intended, Some(&set), Some(&seen), true), Agreement::NotObserved);
    }

    #[test]
    fn few_requests_are_no_data_and_not_drift() {
        let set = route(50, 50);
        assert_eq!(agreement(Percent::new(50), Some(&set), Some(&seen(1.0, 99.0)), true), Agreement::NoData);
        assert_eq!(agreement(Percent::new(50), Some(&set), Some(&seen(44.0, 100.0)), true), Agreement::Agreed, "inside the interval");
    }

    #[test]
    fn a_router_set_to_something_else_is_named_first() {
        assert_eq!(agreement(Percent::new(25), Some(&route(50, 50)), Some(&seen(500.0, 1000.0)), true), Agreement::ConfiguredDiffers);
    }
}
