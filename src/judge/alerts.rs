//! The alert lens: what an alert has to do with this service and this release, and what it says about going on.
//!
//! An alert that is about the service, began after the run's start and is not kept quiet says NO-GO when it is critical and WATCH when
//! it is a warning. What fired before is no fault of this release: it is shown and never blocks. Neither does what a silence covers. An alert
//! that another alert inhibits still asks for a look: nobody decided that it may be ignored.

use crate::domain::alert::{Alert, AlertSeverity, AlertState};
use crate::domain::{Finding, Freshness, Labels, Outcome, Track, Verdict, text};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Labels that name the service an alert is about, where the configuration does not say which.
const SERVICE_LABELS: [&str; 3] = ["service", "app", "job"];

/// What is known of the service that alerts are compared with.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Labels that the configuration asks for; empty: told from the rest.
    pub matchers: &'a Labels,
    /// Its name.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// How metrics name the baseline.
    pub baseline: &'a Labels,
    /// How metrics name the canary.
    pub canary: &'a Labels,
    /// The side on which an instance of this name runs.
    pub instance: &'a dyn Fn(&str) -> Option<Track>,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// Not this service.
    Other,
    /// The service, without saying which version.
    Service,
    /// One version of it alone.
    Side(Track),
}

/// When an alert began, seen from the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Since {
    /// There is no run.
    NoRun,
    /// It fired when the run began.
    Before,
    /// It began during the run.
    During,
}

/// What an alert is about.
#[must_use]
pub fn concern(labels: &Labels, about: &About<'_>) -> Concern {
    let carries = |wanted: &Labels| !wanted.is_empty() && wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
    let here = labels.get("namespace").is_none_or(|ns| ns == about.namespace);
    let instance = ["pod", "instance"].iter().filter_map(|name| labels.get(*name)).find_map(|name| (about.instance)(bare(name)));
    let instance = instance.filter(|_| here);
    let named = if about.matchers.is_empty() {
        here && SERVICE_LABELS.iter().any(|name| labels.get(*name).is_some_and(|value| value == about.service))
    } else {
        carries(about.matchers)
    };
    let side = match (carries(about.canary), carries(about.baseline)) {
        (true, false) => Some(Track::Canary),
        (false, true) => Some(Track::Baseline),
        _ => None,
    };
    match (named, side, instance) {
        (true, Some(side), _) | (_, _, Some(side)) => Concern::Side(side),
        (true, None, None) => Concern::Service,
        (false, ..) => Concern::Other,
    }
}

/// The name without a port: `checkout-7d-x1:8080` scrapes `checkout-7d-x1`.
fn bare(instance: &str) -> &str {
    instance.split(':').next().unwrap_or(instance)
}

/// When it began, seen from the run. `skew`: what the server's clock is ahead of ours.
#[must_use]
pub fn since(starts_at: DateTime<Utc>, skew: Option<TimeDelta>, run_started: Option<DateTime<Utc>>) -> Since {
    match run_started {
        None => Since::NoRun,
        Some(started) if our_time(starts_at, skew) < started => Since::Before,
        Some(_) => Since::During,
    }
}

/// A moment of the server's clock on ours. Differences under two seconds are the header's resolution and the way here, not a difference.
#[must_use]
pub fn our_time(at: DateTime<Utc>, skew: Option<TimeDelta>) -> DateTime<Utc> {
    let skew = skew.filter(|s| s.abs() > TimeDelta::seconds(2)).unwrap_or_default();
    at.checked_sub_signed(skew).unwrap_or(at)
}

/// What one alert says about going on.
#[must_use]
pub fn says(alert: &Alert, concern: Concern, since: Since) -> Verdict {
    if concern == Concern::Other || since != Since::During || !alert.silenced_by.is_empty() {
        return Verdict::Go;
    }
    match (alert.state, alert.severity()) {
        (AlertState::Pending, _) | (_, AlertSeverity::Info) => Verdict::Go,
        (AlertState::Firing, AlertSeverity::Critical) => Verdict::NoGo,
        (AlertState::Firing | AlertState::Suppressed, _) => Verdict::Watch,
    }
}

/// Judges all alerts at once, as a check does: bad with the first alert that says NO-GO, and never good on nothing read.
#[must_use]
pub fn alerts<'a>(
    all: impl IntoIterator<Item = &'a Alert>,
    about: &About<'_>,
    run_started: Option<DateTime<Utc>>,
    skew: Option<TimeDelta>,
    freshness: Freshness,
) -> Finding {
    match freshness {
        Freshness::Live | Freshness::Late => {}
        Freshness::Stale => return Finding::without_value(Outcome::Stale, "what is known of alerts is too old"),
        Freshness::NoData => return Finding::without_value(Outcome::NoData, "alerts were not read yet"),
        Freshness::Lost => return Finding::without_value(Outcome::Error, "the alerts source does not answer"),
        Freshness::Auth => return Finding::without_value(Outcome::Error, "the alerts source wants a login"),
    }
    let mut bad = Vec::new();
    let (mut watched, mut firing) = (0_u32, 0_u32);
    for alert in all {
        let concern = concern(&alert.labels, about);
        firing += u32::from(concern != Concern::Other && alert.state == AlertState::Firing);
        match says(alert, concern, since(alert.starts_at, skew, run_started)) {
            Verdict::Go => {}
            Verdict::NoGo => bad.push(alert.name()),
            _ => watched += 1,
        }
    }
    let shown = format!("{firing} firing");
    let why = if bad.is_empty() { shown.clone() } else { format!("firing since the run began: {}", bad.join(", ")) };
    Finding {
        outcome: if bad.is_empty() { Outcome::Pass } else { Outcome::Fail },
        value: Some(f64::from(firing)),
        shown,
        // A warning is as near to the limit as an alert can be.
        of_limit: (bad.is_empty() && watched > 0).then_some(95.0),
        at: None,
        held: Duration::ZERO,
        bad: Duration::ZERO,
        why: text::clean_bounded(&why, 200),
        lasting: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
    }

    struct Service {
        matchers: Labels,
        baseline: Labels,
        canary: Labels,
    }

    impl Service {
        fn new(matchers: &[(&str, &str)]) -> Self {
            Self { matchers: labels(matchers), baseline: labels(&[("version", "stable")]), canary: labels(&[("version", "canary")]) }
        }

        fn about(&self) -> About<'_> {
            About {
                matchers: &self.matchers,
                service: "checkout",
                namespace: "shop",
                baseline: &self.baseline,
                canary: &self.canary,
                instance: &|name| match name {
                    "can-1" => Some(Track::Canary),
                    "bas-1" => Some(Track::Baseline),
                    _ => None,
                },
            }
        }
    }

    #[test]
    fn what_an_alert_is_about() {
        let configured = Service::new(&[("service", "checkout")]);
        let bare = Service::new(&[]);
        for (pairs, with_match, without) in [
            (&[("service", "checkout")][..], Concern::Service, Concern::Service),
            (&[("service", "checkout"), ("version", "canary")], Concern::Side(Track::Canary), Concern::Side(Track::Canary)),
            (&[("service", "checkout"), ("version", "stable")], Concern::Side(Track::Baseline), Concern::Side(Track::Baseline)),
            (&[("service", "storage"), ("version", "canary")], Concern::Other, Concern::Other),
            (&[("app", "checkout")], Concern::Other, Concern::Service),
            (&[("app", "checkout"), ("namespace", "other")], Concern::Other, Concern::Other),
            (&[("pod", "can-1"), ("namespace", "shop")], Concern::Side(Track::Canary), Concern::Side(Track::Canary)),
            (&[("pod", "can-1"), ("namespace", "other")], Concern::Other, Concern::Other),
            (&[("instance", "bas-1:8080")], Concern::Side(Track::Baseline), Concern::Side(Track::Baseline)),
            (&[("node", "ip-10-4-9-2")], Concern::Other, Concern::Other),
        ] {
            assert_eq!(concern(&labels(pairs), &configured.about()), with_match, "{pairs:?}");
            assert_eq!(concern(&labels(pairs), &bare.about()), without, "{pairs:?}");
        }
    }

    fn alert(severity: &str, state: AlertState, starts: i64) -> Alert {
        Alert {
            fingerprint: "f".into(),
            labels: labels(&[("alertname", "A"), ("service", "checkout"), ("severity", severity)]),
            annotations: Labels::new(),
            state,
            silenced_by: vec![],
            inhibited_by: vec![],
            starts_at: at(starts),
            ends_at: None,
            generator_url: None,
        }
    }

    fn verdict(alert: &Alert, run: Option<i64>) -> Verdict {
        let service = Service::new(&[("service", "checkout")]);
        says(alert, concern(&alert.labels, &service.about()), since(alert.starts_at, None, run.map(at)))
    }

    #[test]
    fn only_what_began_during_the_run_and_is_not_silenced_counts() {
        let firing = |severity| alert(severity, AlertState::Firing, 10);
        assert_eq!(verdict(&firing("critical"), Some(5)), Verdict::NoGo);
        assert_eq!(verdict(&firing("page"), Some(5)), Verdict::NoGo);
        assert_eq!(verdict(&firing("warning"), Some(5)), Verdict::Watch);
        assert_eq!(verdict(&firing("odd"), Some(5)), Verdict::Watch);
        assert_eq!(verdict(&firing("info"), Some(5)), Verdict::Go);
        assert_eq!(verdict(&firing("critical"), Some(15)), Verdict::Go, "it fired before");
        assert_eq!(verdict(&firing("critical"), None), Verdict::Go, "nothing is released");
        assert_eq!(verdict(&alert("critical", AlertState::Pending, 10), Some(5)), Verdict::Go);
        let silenced = Alert { silenced_by: vec!["s".into()], ..alert("critical", AlertState::Suppressed, 10) };
        assert_eq!(verdict(&silenced, Some(5)), Verdict::Go);
        let inhibited = Alert { inhibited_by: vec!["x".into()], ..alert("critical", AlertState::Suppressed, 10) };
        assert_eq!(verdict(&inhibited, Some(5)), Verdict::Watch);
    }

    #[test]
    fn the_beginning_is_compared_on_our_clock() {
        let ahead = Some(TimeDelta::minutes(3));
        assert_eq!(since(at(10), ahead, Some(at(8))), Since::Before, "10 there was 7 here");
        assert_eq!(since(at(10), None, Some(at(8))), Since::During);
        assert_eq!(since(at(10), Some(TimeDelta::seconds(1)), Some(at(10))), Since::During, "a second is no difference of clocks");
    }

    #[test]
    fn a_check_never_passes_on_nothing_read() {
        let service = Service::new(&[("service", "checkout")]);
        let judged = |all: &[Alert], freshness| alerts(all, &service.about(), Some(at(5)), None, freshness);
        for (freshness, outcome) in [
            (Freshness::Stale, Outcome::Stale),
            (Freshness::NoData, Outcome::NoData),
            (Freshness::Lost, Outcome::Error),
            (Freshness::Auth, Outcome::Error),
            (Freshness::Live, Outcome::Pass),
        ] {
            assert_eq!(judged(&[], freshness).outcome, outcome);
        }
        let watch = judged(&[alert("warning", AlertState::Firing, 10)], Freshness::Live);
        assert_eq!((watch.outcome, watch.verdict()), (Outcome::Pass, Verdict::Watch));
        let bad = judged(&[alert("page", AlertState::Firing, 10)], Freshness::Live);
        assert_eq!((bad.outcome, bad.why.as_str()), (Outcome::Fail, "firing since the run began: A"));
    }
}
