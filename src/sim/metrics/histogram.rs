//! Quantiles of classic histograms: cumulative buckets told apart by the label `le`.

use super::metric::{Metric, NAME};
use super::value::{Failed, Grid, Row, joined};
use std::collections::HashMap;

const LE: &str = "le";

/// One bucket: how many observations were at most `bound`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// `histogram_quantile(q, rows)`. Series without a readable `le` are left out.
pub(super) fn quantiles(q: &[f64], rows: &[Row], grid: Grid) -> Result<Vec<Row>, Failed> {
    let mut numbers: HashMap<Metric, usize> = HashMap::new();
    let mut histograms: Vec<Vec<(f64, &Row)>> = Vec::new();
    let mut metrics = Vec::new();
    for row in rows {
        let Ok(bound) = row.metric.get(LE).parse::<f64>() else { continue };
        // Buckets of another metric name are another histogram, although the result carries no name.
        let number = *numbers.entry(row.metric.keep(|name| name != LE)).or_insert_with(|| {
            metrics.push(row.metric.keep(|name| name != LE && name != NAME));
            histograms.push(Vec::new());
            metrics.len() - 1
        });
        histograms[number].push((bound, row));
    }
    let result = metrics.into_iter().zip(&mut histograms).map(|(metric, buckets)| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |step: usize| {
            let present = buckets.iter().filter_map(|(bound, row)| row.points[step].map(|count| Bucket { bound: *bound, count }));
            let present: Vec<Bucket> = present.collect();
            (!present.is_empty()).then(|| quantile(q[step], &present))
        };
        Row { metric, points: (0..grid.count).map(at).collect() }
    });
    joined(result.collect())
}

/// The quantile by linear interpolation within its bucket, as if observations were spread evenly in it. The lowest bucket begins
/// at 0 unless its bound is negative; the highest one has no upper end, so the bound below it is all that can be said.
/// `sorted` by bound.
fn quantile(q: f64, sorted: &[Bucket]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let buckets = monotonic(merged(sorted));
    let [.., below, last] = buckets.as_slice() else { return f64::NAN };
    if last.bound != f64::INFINITY || last.count == 0.0 {
        return f64::NAN;
    }
    let finite = &buckets[..buckets.len() - 1];
    let rank = q * last.count;
    let index = finite.partition_point(|bucket| {
        // NaN counts as not reaching the rank.
        !matches!(bucket.count.partial_cmp(&rank), Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal))
    });
    let Some(bucket) = finite.get(index) else { return below.bound };
    let lower = match index.checked_sub(1) {
        Some(previous) => finite[previous],
        None if bucket.bound <= 0.0 => return bucket.bound,
        None => Bucket { bound: 0.0, count: 0.0 },
    };
    lower.bound + (bucket.bound - lower.bound) * ((rank - lower.count) / (bucket.count - lower.count))
}

/// Buckets with equal bounds (written differently: `1` and `1.0`) become one.
#[allow(clippy::float_cmp, reason = "bounds were read from labels")]
fn merged(sorted: &[Bucket]) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = Vec::with_capacity(sorted.len());
    for bucket in sorted {
        match out.last_mut() {
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => out.push(*bucket),
        }
    }
    out
}

/// Cumulative counts cannot fall; where they do (scraped in the middle of an update, or rates of them), the higher one counts.
fn monotonic(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut highest = buckets.first().map_or(f64::NAN, |b| b.count);
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count > highest {
            highest = bucket.count;
        } else if bucket.count < highest {
            bucket.count = highest;
        }
    }
    buckets
}
