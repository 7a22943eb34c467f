//! Landing proof: after a shift, the share is where it should be and errors are back in the band they had before the release.

use super::counts::{Slot, Tally};
use crate::domain::Agreement;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Below so many requests a band says nothing.
const LEAST_BAND: f64 = 100.0;
/// Below so many requests a window is neither in the band nor out of it.
const LEAST_WINDOW: f64 = 20.0;
/// A window is out of the band when it lies so many deviations above it: with a window every few seconds, chance alone must not.
const Z: f64 = 3.0;

/// The errors that a service had before its release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// All of it.
    pub tally: Tally,
    /// The worst ratio of a single window.
    pub worst: f64,
}

impl Band {
    /// The band of these windows of the whole service; `None` when there were too few requests in them to tell.
    #[must_use]
    pub fn of(before: &[Slot]) -> Option<Self> {
        let known: Vec<Tally> = before.iter().filter_map(|s| s.service).collect();
        let tally = known.iter().fold(Tally::default(), |sum, t| sum.plus(*t));
        let worst = known.iter().filter(|t| t.requests >= LEAST_WINDOW).filter_map(Tally::ratio).fold(0.0, f64::max);
        (tally.requests >= LEAST_BAND).then_some(Self { tally, worst })
    }

    /// Ratio before the release.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.tally.ratio().unwrap_or_default()
    }

    /// The highest ratio that a window of `requests` may show by chance.
    #[must_use]
    pub fn upper(&self, requests: f64) -> f64 {
        // Both ends pulled towards the middle (Agresti and Coull), so that no errors at all before are no promise of none.
        let middle = (self.tally.errors + Z * Z / 2.0) / (self.tally.requests + Z * Z);
        let spread = Z * (middle * (1.0 - middle) * (1.0 / self.tally.requests + 1.0 / requests.max(1.0))).sqrt();
        self.worst.max(middle + spread).min(1.0)
    }

    /// Whether a window is no worse than before the release; `None` when it has too few requests to tell.
    #[must_use]
    pub fn holds(&self, window: &Tally) -> Option<bool> {
        let ratio = window.ratio().filter(|_| window.requests >= LEAST_WINDOW)?;
        Some(ratio <= self.upper(window.requests))
    }
}

/// What is known of errors after a shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errors {
    /// Nothing was counted since the shift yet.
    Pending,
    /// They are as before the release.
    Back,
    /// They are not.
    Out {
        /// Whose and how much: `canary 2.31%, before the release 0.19%`.
        what: String,
    },
    /// It cannot be told.
    NotKnown {
        /// Why.
        why: String,
    },
}

/// Errors after the shift at `shifted`, by the newest window that lies wholly behind it.
///
/// * `band`: of the time before the release.
/// * `window`: length of each slot's window; `slack`: so much of it may lie before the shift.
/// * `canary`: the canary has traffic, so its own errors count too.
#[must_use]
pub fn errors(slots: &[Slot], band: Option<&Band>, shifted: DateTime<Utc>, window: Duration, slack: TimeDelta, canary: bool) -> Errors {
    let Some(band) = band else { return Errors::NotKnown { why: "errors before the release are not known".into() } };
    let behind = |slot: &&Slot| slot.at - TimeDelta::from_std(window).unwrap_or_default() + slack >= shifted;
    let Some(newest) = slots.iter().rev().find(behind) else { return Errors::Pending };
    let Some(service) = newest.service else { return Errors::NotKnown { why: "the query of errors answers nothing".into() } };
    let mut known = false;
    let sides = [("service", Some(service)), ("canary", newest.canary.filter(|_| canary))];
    let shown = |who: &str, tally: &Tally| {
        format!("{who} {}, before the release {}", percent(tally.ratio().unwrap_or_default()), percent(band.ratio()))
    };
    // The canary first: it is the likelier cause.
    for (who, tally) in sides.iter().rev() {
        let Some(tally) = tally else { continue };
        match band.holds(tally) {
            Some(false) => return Errors::Out { what: shown(who, tally) },
            Some(true) => known = true,
            None => {}
        }
    }
    if known { Errors::Back } else { Errors::NotKnown { why: format!("only {:.0} requests since the shift", service.requests) } }
}

/// A ratio for people.
#[must_use]
pub fn percent(ratio: f64) -> String {
    crate::domain::Unit::Ratio.show(ratio)
}

/// Where a shift stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// It may still land.
    Following {
        /// What is waited for.
        what: String,
    },
    /// It landed.
    Landed {
        /// Why nothing can be said about errors, if so.
        errors: Option<String>,
    },
    /// It did not land in its time.
    Missing {
        /// What is not as it should be.
        why: String,
        /// It is known to be wrong, rather than not known.
        known: bool,
    },
}

/// Puts both parts together.
///
/// * `share`: whether traffic goes where it should; `None` where nothing splits traffic.
/// * `late`: the time it had is over.
#[must_use]
pub fn landing(share: Option<Agreement>, errors: &Errors, late: bool) -> Landing {
    let open = |what: &str, known: bool| {
        if late {
            let why = if known { what.to_owned() } else { format!("not known: {what}") };
            Landing::Missing { why, known }
        } else {
            Landing::Following { what: what.to_owned() }
        }
    };
    match share {
        Some(Agreement::NotObserved) => return open("traffic does not follow the weight", true),
        Some(Agreement::ConfiguredDiffers) => return open("the router is set to something else", true),
        Some(Agreement::Settling) => return open("traffic settles", false),
        Some(Agreement::NoData) => return open("too few requests to see the split", false),
        Some(Agreement::Unknown) => return open("where the traffic goes", false),
        Some(Agreement::Agreed) | None => {}
    }
    match errors {
        Errors::Out { what } => open(&format!("errors are not back: {what}"), true),
        Errors::Back => Landing::Landed { errors: None },
        Errors::Pending if !late => Landing::Following { what: "errors are being counted".into() },
        Errors::Pending => Landing::Landed { errors: Some("nothing was counted since the shift".into()) },
        Errors::NotKnown { why } => Landing::Landed { errors: Some(why.clone()) },
    }
}

/// From when to when the whole service had more errors than before its release, as far as these windows show: from the beginning of the
/// first such window to the end of the last. `None` when none of them was.
#[must_use]
pub fn impact(slots: &[Slot], band: &Band, since: DateTime<Utc>, window: Duration) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let out: Vec<DateTime<Utc>> = slots
        .iter()
        .filter(|slot| slot.at > since)
        .filter(|slot| slot.service.is_some_and(|tally| band.holds(&tally) == Some(false)))
        .map(|slot| slot.at)
        .collect();
    let (first, last) = (out.first()?, out.last()?);
    Some(((*first - TimeDelta::from_std(window).unwrap_or_default()).max(since), *last))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn slot(seconds: i64, service: (f64, f64), canary: Option<(f64, f64)>) -> Slot {
        let tally = |(requests, errors): (f64, f64)| Tally { requests, errors };
        Slot { at: at(seconds), service: Some(tally(service)), baseline: None, canary: canary.map(tally) }
    }

    /// Fifteen minutes with 0.2 % of errors.
    fn before() -> Vec<Slot> {
        (0..30).map(|i| slot(i * 30, (1000.0, 2.0), None)).collect()
    }

    fn look(slots: &[Slot], canary: bool) -> Errors {
        errors(slots, Band::of(&before()).as_ref(), at(1000), WINDOW, TimeDelta::seconds(2), canary)
    }

    #[test]
    fn a_window_that_reaches_back_before_the_shift_does_not_count() {
        assert_eq!(look(&[slot(1020, (1000.0, 500.0), None)], false), Errors::Pending);
        assert_eq!(look(&[slot(1028, (1000.0, 2.0), None)], false), Errors::Back, "within the slack");
    }

    #[test]
    fn errors_of_the_canary_count_while_it_has_traffic() {
        let slots = [slot(1030, (1000.0, 4.0), Some((100.0, 40.0)))];
        assert_eq!(look(&slots, true), Errors::Out { what: "canary 40.0%, before the release 0.20%".into() });
        assert_eq!(look(&slots, false), Errors::Back);
        assert_eq!(
            look(&[slot(1030, (1000.0, 80.0), None)], false),
            Errors::Out { what: "service 8.00%, before the release 0.20%".into() }
        );
    }

    #[test]
    fn what_was_not_counted_is_not_known() {
        let why = |errors: Errors| if let Errors::NotKnown { why } = errors { why } else { format!("{errors:?}") };
        let empty = Slot { at: at(1030), service: None, baseline: None, canary: None };
        assert_eq!(why(look(&[empty], true)), "the query of errors answers nothing");
        assert_eq!(why(look(&[slot(1030, (3.0, 3.0), None)], true)), "only 3 requests since the shift");
        let none = errors(&[slot(1030, (1000.0, 2.0), None)], Band::of(&[]).as_ref(), at(1000), WINDOW, TimeDelta::zero(), true);
        assert_eq!(why(none), "errors before the release are not known");
    }

    #[test]
    fn it_lands_when_share_and_errors_are_right_and_is_missing_when_its_time_is_over() {
        let out = Errors::Out { what: "canary 9%".into() };
        let missing = |why: &str, known| Landing::Missing { why: why.into(), known };
        assert_eq!(landing(Some(Agreement::Agreed), &Errors::Back, false), Landing::Landed { errors: None });
        assert_eq!(landing(Some(Agreement::Settling), &Errors::Back, false), Landing::Following { what: "traffic settles".into() });
        assert_eq!(landing(Some(Agreement::Agreed), &out, false), Landing::Following { what: "errors are not back: canary 9%".into() });
        assert_eq!(landing(Some(Agreement::Agreed), &out, true), missing("errors are not back: canary 9%", true));
        assert_eq!(landing(Some(Agreement::NotObserved), &Errors::Back, true), missing("traffic does not follow the weight", true));
        assert_eq!(landing(Some(Agreement::NoData), &Errors::Back, true), missing("not known: too few requests to see the split", false));
        assert_eq!(landing(None, &Errors::Back, false), Landing::Landed { errors: None });
        let unknown = Errors::NotKnown { why: "no query".into() };
        assert_eq!(landing(Some(Agreement::Agreed), &unknown, false), Landing::Landed { errors: Some("no query".into()) });
    }

    #[test]
    fn the_impact_is_from_the_first_bad_window_to_the_last() {
        let band = Band::of(&before()).unwrap();
        let mut slots: Vec<Slot> = (0..10).map(|i| slot(1000 + i * 30, (1000.0, 2.0), None)).collect();
        assert_eq!(impact(&slots, &band, at(990), WINDOW), None);
        slots[3] = slot(1090, (1000.0, 60.0), None);
        slots[6] = slot(1180, (1000.0, 60.0), None);
        assert_eq!(impact(&slots, &band, at(990), WINDOW), Some((at(1060), at(1180))));
        assert_eq!(impact(&slots, &band, at(1080), WINDOW), Some((at(1080), at(1180))), "not before the release");
    }

    proptest! {
        #[test]
        fn more_errors_are_never_back_where_fewer_were_not(requests in 20_u32..100_000, few in 0_u32..1000, more in 0_u32..1000) {
            let band = Band::of(&before()).unwrap();
            let n = f64::from(requests);
            prop_assume!(f64::from(few + more) <= n);
            let fewer = band.holds(&Tally { requests: n, errors: f64::from(few) });
            let worse = band.holds(&Tally { requests: n, errors: f64::from(few + more) });
            prop_assert!(!(fewer == Some(false) && worse == Some(true)));
        }

        #[test]
        fn what_was_before_the_release_is_in_its_own_band(errors in 0_u32..50) {
            let slots: Vec<Slot> = (0..20).map(|i| slot(i * 30, (1000.0, f64::from(errors)), None)).collect();
            let band = Band::of(&slots).unwrap();
            prop_assert_eq!(band.holds(&slots[7].service.unwrap()), Some(true));
        }
    }
}
