//! A series in as many values as there is room for.

use crate::domain::{Op, Series};

/// Which value of a bucket is kept: the one that a person must not miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The greatest.
    Max,
    /// The least.
    Min,
}

impl Keep {
    /// The side on which a criterion is bad. Where bad is on both sides the peaks are kept.
    #[must_use]
    pub fn worst_of(op: Op) -> Self {
        match op {
            Op::Less | Op::LessOrEqual | Op::Equal | Op::NotEqual => Self::Max,
            Op::Greater | Op::GreaterOrEqual => Self::Min,
        }
    }

    fn pick(self, a: f64, b: f64) -> f64 {
        match self {
            // f64::max and f64::min prefer a number to NaN.
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }
}

/// At most `room` buckets, oldest first, each with its worst value, so that a spike cannot vanish; a bucket without a value is a gap.
/// With more room than slots there is one bucket per slot.
#[must_use]
pub fn buckets(series: &Series, room: usize, keep: Keep) -> Vec<Option<f64>> {
    let slots = series.values.len();
    let count = room.min(slots);
    let worst = |values: &[Option<f64>]| values.iter().flatten().copied().reduce(|a, b| keep.pick(a, b));
    (0..count).map(|i| worst(&series.values[i * slots / count..(i + 1) * slots / count])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;
    use std::time::Duration;

    fn series(values: &[Option<f64>]) -> Series {
        Series { labels: [].into(), start: DateTime::UNIX_EPOCH, step: Duration::from_secs(15), values: values.to_vec() }
    }

    #[test]
    fn spikes_and_gaps_survive() {
        let values = [Some(1.0), Some(9.0), Some(1.0), None, None, None, Some(f64::NAN), Some(2.0)];
        assert_eq!(buckets(&series(&values), 4, Keep::Max), [Some(9.0), Some(1.0), None, Some(2.0)]);
        assert_eq!(buckets(&series(&values[..3]), 1, Keep::Min), [Some(1.0)]);
        assert_eq!(buckets(&series(&values[..2]), 5, Keep::Max), [Some(1.0), Some(9.0)]);
        assert!(buckets(&series(&[]), 5, Keep::Max).is_empty());
        assert!(buckets(&series(&values), 0, Keep::Max).is_empty());
    }

    proptest! {
        #[test]
        fn the_extreme_is_always_shown(values in prop::collection::vec(prop::option::of(-1e6..1e6f64), 1..200), room in 1usize..80) {
            let shown = buckets(&series(&values), room, Keep::Max);
            let max = |v: &[Option<f64>]| v.iter().flatten().copied().reduce(f64::max);
            prop_assert_eq!(max(&shown), max(&values));
            prop_assert!(shown.len() <= room);
        }
    }
}
