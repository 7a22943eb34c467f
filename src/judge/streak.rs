//! For how long a condition has been good or bad, from sample to sample.
//!
//! Sources other than the metrics backend tell only how it is now. So time counts between samples that were taken, on the boot clock,
//! and never on over a time in which nobody looked.

use crate::domain::Outcome;
use std::time::Duration;

/// The samples of one condition so far, as far as they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak {
    /// First and newest of the unbroken run of good samples.
    good: Option<(Duration, Duration)>,
    /// First of the run of bad ones.
    bad: Option<Duration>,
    /// The newest sample.
    looked: Duration,
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lasted {
    /// Good without a break, up to the newest good sample.
    pub good: Duration,
    /// Bad without a good sample in between.
    pub bad: Duration,
}

impl Streak {
    /// Takes a sample of `at` (boot clock). One that is further than `most_gap` from the one before begins anew. What was good before
    /// `not_before` does not count.
    ///
    /// [`Outcome::Holding`] is a failure that is tolerated: it neither ends the run of good samples nor makes it longer. What is not
    /// known ends a run of good samples, and neither ends nor begins a run of bad ones: only a good sample is proof of good.
    pub fn take(&mut self, outcome: Outcome, at: Duration, most_gap: Duration, not_before: Option<Duration>) -> Lasted {
        // The same sample may be taken twice, a hair earlier by the clock: time between samples never runs backwards.
        let at = at.max(self.looked);
        if at.saturating_sub(self.looked) > most_gap {
            self.good = None;
        }
        self.looked = at;
        match outcome {
            Outcome::Pass => {
                let first = self.good.map_or(at, |(first, _)| first).max(not_before.unwrap_or_default());
                self.good = Some((first, at));
                self.bad = None;
            }
            Outcome::Holding => {}
            Outcome::Fail => {
                self.good = None;
                self.bad.get_or_insert(at);
            }
            Outcome::NoData | Outcome::Stale | Outcome::Error => self.good = None,
        }
        Lasted {
            good: self.good.map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first)),
            bad: self.bad.map_or(Duration::ZERO, |first| at.saturating_sub(first)),
        }
    }

    /// It is not good at this moment, whoever asked: it has to be good from the beginning again.
    pub fn doubt(&mut self) {
        self.good = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GAP: Duration = Duration::from_secs(30);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn run(samples: &[(u64, Outcome)]) -> Vec<(u64, u64)> {
        let mut streak = Streak::default();
        let lasted = samples.iter().map(|(at, outcome)| streak.take(*outcome, secs(*at), GAP, None));
        lasted.map(|l| (l.good.as_secs(), l.bad.as_secs())).collect()
    }

    #[test]
    fn good_is_counted_from_sample_to_sample_and_ends_with_anything_else() {
        use Outcome::{Error, Fail, NoData, Pass, Stale};
        for worse in [Fail, NoData, Stale, Error] {
            let good: Vec<u64> =
                run(&[(100, Pass), (110, Pass), (120, worse), (130, Pass), (140, Pass)]).into_iter().map(|(good, _)| good).collect();
            assert_eq!(good, [0, 10, 0, 0, 10], "{worse:?}");
        }
    }

    #[test]
    fn a_time_in_which_nobody_looked_is_not_counted() {
        use Outcome::Pass;
        assert_eq!(run(&[(100, Pass), (130, Pass), (161, Pass), (170, Pass)]), [(0, 0), (30, 0), (0, 0), (9, 0)]);
    }

    #[test]
    fn a_tolerated_failure_neither_ends_nor_lengthens_what_is_good() {
        use Outcome::{Holding, Pass};
        assert_eq!(run(&[(100, Pass), (110, Pass), (120, Holding), (130, Pass)]), [(0, 0), (10, 0), (10, 0), (30, 0)]);
        assert_eq!(run(&[(100, Holding), (110, Holding)]), [(0, 0), (0, 0)], "it is not good by itself");
    }

    #[test]
    fn bad_lasts_until_it_is_proven_good() {
        use Outcome::{Fail, NoData, Pass, Stale};
        let samples = [(0, Pass), (10, Fail), (20, Stale), (30, Fail), (40, Pass), (50, NoData)];
        assert_eq!(run(&samples).into_iter().map(|(_, bad)| bad).collect::<Vec<_>>(), [0, 0, 10, 20, 0, 0]);
    }

    #[test]
    fn what_was_good_before_the_shift_does_not_count() {
        let mut streak = Streak::default();
        streak.take(Outcome::Pass, secs(100), GAP, None);
        assert_eq!(streak.take(Outcome::Pass, secs(120), GAP, Some(secs(115))).good, secs(5));
        assert_eq!(streak.take(Outcome::Pass, secs(120), GAP, Some(secs(125))).good, Duration::ZERO);
    }

    proptest! {
        #[test]
        fn nothing_held_longer_than_since_the_last_sample_that_was_not_good(
            steps in prop::collection::vec((0u64..60, 0usize..6), 1..40),
        ) {
            const OUTCOMES: [Outcome; 6] = [Outcome::Pass, Outcome::Holding, Outcome::NoData, Outcome::Stale, Outcome::Error, Outcome::Fail];
            let (mut streak, mut now, mut since, mut last) = (Streak::default(), 1000, None::<u64>, 1000);
            for (step, pick) in steps {
                now += step;
                let outcome = OUTCOMES[pick];
                if now - last > GAP.as_secs() || !matches!(outcome, Outcome::Pass | Outcome::Holding) {
                    since = None;
                }
                if outcome == Outcome::Pass {
                    since.get_or_insert(now);
                }
                last = now;
                let held = streak.take(outcome, secs(now), GAP, None).good;
                prop_assert!(held <= secs(since.map_or(0, |since| now - since)));
            }
        }
    }
}
