//! Numbers the way Prometheus writes and computes them.

use std::cmp::Ordering;

/// Shortest decimal digits that read back as `value`, never an exponent; `NaN`, `+Inf`, `-Inf`.
pub(super) fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// As [`plain`], but with an exponent of at least two digits below 1e-6 and from 1e21: the form of vectors and matrices.
pub(super) fn compact(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || (1e-6..1e21).contains(&size) {
        return plain(value);
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// A running sum with Neumaier's compensation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - total) + value } else { (value - total) + self.sum };
        self.sum = total;
    }

    /// The sum before compensation.
    pub(super) fn raw(self) -> f64 {
        self.sum
    }

    pub(super) fn total(self) -> f64 {
        self.sum + self.lost
    }

    /// As [`Self::total`]; but once infinite, infinite it stays (the compensation would make it NaN).
    pub(super) fn total_or_infinite(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.total() }
    }
}

/// Ascending, NaN before everything.
pub(super) fn nan_first(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// Ascending, NaN after everything.
pub(super) fn nan_last(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    }
}

/// Maximum that lets NaN through, unlike [`f64::max`]; but nothing is above infinity, not even NaN.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { if a == f64::INFINITY || b == f64::INFINITY { f64::INFINITY } else { f64::NAN } } else { a.max(b) }
}

/// Minimum that lets NaN through, unlike [`f64::min`]; but nothing is below negative infinity, not even NaN.
pub(super) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

/// The `q`-quantile with linear interpolation between neighbours; infinite outside 0 to 1, NaN of nothing.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
