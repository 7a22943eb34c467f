//! Functions over range vectors: what one window of samples says.

use super::number::{Compensated, quantile};
use super::tsdb::Sample;

/// One window of one series. Never empty, in order of time, both ends included, without staleness markers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) samples: &'a [Sample],
    /// Bounds of the window, which need not coincide with samples.
    pub(super) start: i64,
    pub(super) end: i64,
    /// Moment of the evaluation: `end` unless there is an offset or `@`.
    pub(super) now: i64,
    /// The function's scalar argument, 0 when it has none.
    pub(super) scalar: f64,
}

/// `None`: the series has no value at this moment.
pub(super) type OverTime = fn(Window<'_>) -> Option<f64>;

/// The function of that name, if it is one over windows. (`absent_over_time` looks at all series at once: `function`.)
pub(super) fn named(name: &str) -> Option<OverTime> {
    Some(match name {
        "rate" => |w| extrapolated(w, true).map(|total| total / seconds(w.end - w.start)),
        "increase" => |w| extrapolated(w, true),
        "delta" => |w| extrapolated(w, false),
        "irate" => |w| last_step(w, true),
        "idelta" => |w| last_step(w, false),
        "deriv" => |w| regression(w, w.samples.first()?.at).map(|(slope, _)| slope),
        "predict_linear" => |w| regression(w, w.now).map(|(slope, value)| slope * w.scalar + value),
        "resets" => |w| Some(count_pairs(w, |a, b| b < a)),
        "changes" => |w| Some(count_pairs(w, differs)),
        "avg_over_time" => |w| Some(mean(w)),
        "sum_over_time" => |w| Some(sum(w)),
        "min_over_time" => |w| w.samples.iter().map(|s| s.value).reduce(|min, v| if v < min || min.is_nan() { v } else { min }),
        "max_over_time" => |w| w.samples.iter().map(|s| s.value).reduce(|max, v| if v > max || max.is_nan() { v } else { max }),
        "count_over_time" => |w| Some(w.samples.len() as f64),
        "last_over_time" => |w| w.samples.last().map(|s| s.value),
        "present_over_time" => |_| Some(1.0),
        "stdvar_over_time" => |w| Some(variance(w)),
        "stddev_over_time" => |w| Some(variance(w).sqrt()),
        "quantile_over_time" => |w| Some(quantile(w.scalar, w.samples.iter().map(|s| s.value).collect())),
        _ => return None,
    })
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[allow(clippy::float_cmp, reason = "a change is any change")]
fn differs(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

fn count_pairs(w: Window<'_>, counts: impl Fn(f64, f64) -> bool) -> f64 {
    w.samples.windows(2).filter(|pair| counts(pair[0].value, pair[1].value)).count() as f64
}

/// How much the series rose (or, for gauges, changed) over the window, extrapolated from the samples to its bounds.
///
/// A bound is reached when it is no further away than 1.1 times the mean distance of samples; else the series is taken to begin
/// or end half a distance beyond its outermost sample. A counter is never extrapolated to below zero.
fn extrapolated(w: Window<'_>, counter: bool) -> Option<f64> {
    let [first, .., last] = w.samples else { return None };
    let mut rise = last.value - first.value;
    if counter {
        // A fall is a reset: what was counted before it is added again.
        rise += w.samples.windows(2).filter(|pair| pair[1].value < pair[0].value).map(|pair| pair[0].value).sum::<f64>();
    }
    let sampled = seconds(last.at - first.at);
    let distance = sampled / (w.samples.len() - 1) as f64;
    let near = distance * 1.1;
    let mut before = seconds(first.at - w.start);
    let after = seconds(w.end - last.at);
    if counter && rise > 0.0 && first.value >= 0.0 {
        let since_zero = sampled * (first.value / rise);
        if since_zero < before {
            before = since_zero;
        }
    }
    let reach = |gap: f64| if gap < near { gap } else { distance / 2.0 };
    Some(rise * ((sampled + reach(before) + reach(after)) / sampled))
}

/// Change between the last two samples; per second and with resets for counters.
fn last_step(w: Window<'_>, counter: bool) -> Option<f64> {
    let [.., previous, last] = w.samples else { return None };
    if !counter {
        return Some(last.value - previous.value);
    }
    let rise = if last.value < previous.value { last.value } else { last.value - previous.value };
    Some(rise / seconds(last.at - previous.at))
}

/// Least squares: slope per second and value at `origin`.
#[allow(clippy::float_cmp, reason = "a constant series has slope 0 exactly")]
fn regression(w: Window<'_>, origin: i64) -> Option<(f64, f64)> {
    let [first, _, ..] = w.samples else { return None };
    if w.samples.iter().all(|s| s.value == first.value) {
        return Some(if first.value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.value) });
    }
    let (mut x, mut y, mut xy, mut xx) = (Compensated::default(), Compensated::default(), Compensated::default(), Compensated::default());
    for sample in w.samples {
        let at = seconds(sample.at - origin);
        x.add(at);
        y.add(sample.value);
        xy.add(at * sample.value);
        xx.add(at * at);
    }
    let n = w.samples.len() as f64;
    let covariance = xy.total() - x.total() * y.total() / n;
    let variance = xx.total() - x.total() * x.total() / n;
    let slope = covariance / variance;
    Some((slope, y.total() / n - slope * x.total() / n))
}

fn sum(w: Window<'_>) -> f64 {
    let mut sum = Compensated::default();
    w.samples.iter().for_each(|s| sum.add(s.value));
    sum.total_or_infinite()
}

fn mean(w: Window<'_>) -> f64 {
    let mut mean = Compensated::default();
    for (before, sample) in w.samples.iter().enumerate() {
        let (count, have, value) = (before as f64 + 1.0, mean.raw(), sample.value);
        let stays = have.is_infinite() && (value.is_finite() || (value.is_infinite() && (have > 0.0) == (value > 0.0)));
        if !stays {
            mean.add(value / count - have / count);
        }
    }
    mean.total_or_infinite()
}

fn variance(w: Window<'_>) -> f64 {
    let (mut mean, mut squares) = (Compensated::default(), Compensated::default());
    for (before, sample) in w.samples.iter().enumerate() {
        let delta = sample.value - mean.total();
        mean.add(delta / (before as f64 + 1.0));
        squares.add(delta * (sample.value - mean.total()));
    }
    squares.total() / w.samples.len() as f64
}
