//! What was measured against what good looks like. Pure: snapshots in, findings out.

mod alert_condition;
mod alerts;
mod around;
mod counts;
mod harm;
mod landing;
pub mod patterns;
mod platform;
mod share;
mod spark;
mod streak;
mod threshold;
mod xray;

pub use alert_condition::{AlertsKnown, alert_condition};
pub use alerts::{About, Concern, Since, alerts, concern, our_time, says, since};
pub use around::{Matter, Release, Remark, around};
pub use counts::{Slot, Tally, slots};
pub use harm::{Excess, LEAST_BASELINE, forecast, harm, spends};
pub use landing::{Band, Errors, Landing, errors, impact, landing, percent};
pub use platform::platform;
pub use share::{Counted, observed_share};
pub use spark::{Keep, buckets};
pub use streak::{Lasted, Streak};
pub use threshold::{BadSpan, Window, bad_since, reach, threshold};
pub use xray::{XrayFinding, xray};

use crate::domain::{Finding, Verdict};

/// The verdict of several findings: the worst when all must be good, the best when any suffices. Of nothing at all: UNKNOWN, because
/// nothing passes on no evidence.
#[must_use]
pub fn combine<'a>(all: bool, findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
    let verdicts = findings.into_iter().map(Finding::verdict);
    let combined = if all { verdicts.max() } else { verdicts.min() };
    combined.unwrap_or(Verdict::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Outcome;
    use proptest::prelude::*;

    const OUTCOMES: [Outcome; 6] = [Outcome::Pass, Outcome::Holding, Outcome::NoData, Outcome::Stale, Outcome::Error, Outcome::Fail];

    fn finding(outcome: Outcome) -> Finding {
        Finding::without_value(outcome, "")
    }

    #[test]
    fn a_known_bad_is_bad_even_when_other_evidence_is_missing() {
        let found = [finding(Outcome::Pass), finding(Outcome::NoData), finding(Outcome::Fail)];
        assert_eq!(combine(true, &found), Verdict::NoGo);
        assert_eq!(combine(false, &found), Verdict::Go);
        assert_eq!(combine(true, &found[..2]), Verdict::Unknown);
    }

    #[test]
    fn no_evidence_is_no_go_ahead() {
        assert_eq!((combine(true, []), combine(false, [])), (Verdict::Unknown, Verdict::Unknown));
    }

    proptest! {
        #[test]
        fn a_worse_finding_never_gives_a_better_verdict(
            picks in prop::collection::vec(0usize..OUTCOMES.len(), 1..6), at in 0usize..6, to in 0usize..OUTCOMES.len(), all: bool,
        ) {
            let before: Vec<Finding> = picks.iter().map(|i| finding(OUTCOMES[*i])).collect();
            let mut after = before.clone();
            let at = at % after.len();
            after[at] = finding(OUTCOMES[to]);
            prop_assume!(after[at].verdict() >= before[at].verdict());
            prop_assert!(combine(all, &after) >= combine(all, &before));
        }
    }
}
