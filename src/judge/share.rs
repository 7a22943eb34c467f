//! The share of real requests that reached the canary, from counters.

use crate::domain::{Labels, ObservedShare, Sample};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Requests by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counted {
    /// The share; `None` when no request of either side was counted at all, or a count cannot be used.
    pub share: Option<ObservedShare>,
    /// Requests of versions that are on neither side. They are in no total.
    pub unknown: f64,
    /// Labels of those versions, for people: `version=v3`.
    pub unknown_labels: Vec<String>,
}

/// Counts the answer to a service's request query: one sample per version, its requests over `window`.
///
/// A sample belongs to the side whose labels it carries, all of them; one that carries those of both belongs to neither.
#[must_use]
pub fn observed_share(
    answer: &[(Labels, Sample)],
    baseline: &Labels,
    canary: &Labels,
    window: Duration,
    newest: Option<DateTime<Utc>>,
) -> Counted {
    let carries = |labels: &Labels, side: &Labels| !side.is_empty() && side.iter().all(|(k, v)| labels.get(k) == Some(v));
    let mut counted = Counted::default();
    let (mut to_canary, mut to_both) = (0.0, 0.0);
    let mut counts = 0;
    let mut usable = true;
    for (labels, sample) in answer {
        match (carries(labels, canary), carries(labels, baseline)) {
            (true, true) | (false, false) => {
                counted.unknown += if sample.value.is_finite() { sample.value } else { 0.0 };
                counted.unknown_labels.push(named(labels));
            }
            (is_canary, _) => {
                // NaN and negative counts are no counts; a share of them would be invented.
                usable &= sample.value.is_finite() && sample.value >= 0.0;
                to_canary += if is_canary { sample.value } else { 0.0 };
                to_both += sample.value;
                counts += 1;
            }
        }
    }
    if let Some(newest) = newest.filter(|_| usable && counts > 0) {
        counted.share = Some(ObservedShare { canary: to_canary, total: to_both, window, newest });
    }
    counted
}

fn named(labels: &Labels) -> String {
    if labels.is_empty() {
        return "no label".into();
    }
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn count(rows: &[(&[(&str, &str)], f64)]) -> Counted {
        let rows: Vec<_> = rows.iter().map(|(l, value)| (labels(l), Sample { at: DateTime::UNIX_EPOCH, value: *value })).collect();
        let (baseline, canary) = (labels(&[("version", "stable")]), labels(&[("version", "canary")]));
        observed_share(&rows, &baseline, &canary, Duration::from_secs(60), Some(DateTime::UNIX_EPOCH))
    }

    #[test]
    fn requests_are_counted_by_side_over_all_their_series() {
        let counted = count(&[
            (&[("version", "canary"), ("zone", "a")], 20.0),
            (&[("version", "canary"), ("zone", "b")], 30.0),
            (&[("version", "stable")], 150.0),
        ]);
        let share = counted.share.unwrap();
        assert_eq!((share.canary, share.total, share.percent()), (50.0, 200.0, Some(25.0)));
    }

    #[test]
    fn a_version_of_neither_side_is_reported_and_in_no_total() {
        let counted =
            count(&[(&[("version", "canary")], 50.0), (&[("version", "stable")], 50.0), (&[("version", "v3")], 900.0), (&[], 1.0)]);
        assert_eq!(counted.share.unwrap().percent(), Some(50.0));
        assert_eq!((counted.unknown, counted.unknown_labels), (901.0, vec!["version=v3".to_owned(), "no label".to_owned()]));
    }

    #[test]
    fn without_usable_counts_there_is_no_share() {
        assert_eq!(count(&[]).share, None);
        assert_eq!(count(&[(&[("version", "v3")], 10.0)]).share, None);
        assert_eq!(count(&[(&[("version", "canary")], f64::NAN), (&[("version", "stable")], 500.0)]).share, None);
        assert_eq!(count(&[(&[("version", "stable")], 500.0)]).share.unwrap().percent(), Some(0.0));
        let both = labels(&[("a", "b")]);
        let rows = [(both.clone(), Sample { at: DateTime::UNIX_EPOCH, value: 500.0 })];
        assert_eq!(observed_share(&rows, &both, &both, Duration::ZERO, Some(DateTime::UNIX_EPOCH)).share, None, "sides that look alike");
        assert_eq!(observed_share(&rows, &both, &Labels::new(), Duration::ZERO, None).share, None, "no sample time, no share");
    }
}
