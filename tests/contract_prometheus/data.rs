//! Twenty minutes of samples, one each 15 s, as a server sees them whose data is live, delayed, interrupted or over.

use gonogo::domain::Labels;
use gonogo::sim::metrics::STALE_NAN_BITS;
use std::time::Duration;

/// Distance of samples.
pub(crate) const INTERVAL: Duration = Duration::from_secs(15);
/// Samples of a series that lives all the time.
const COUNT: i64 = 80;
/// Time of the last sample of a live series, milliseconds since 1970.
pub(crate) const END: i64 = 1_700_001_200_000;

/// One series.
pub(crate) struct Sampled {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, f64)>,
}

/// Time of the sample so many seconds before the end, in milliseconds.
pub(crate) fn before_end(seconds: i64) -> i64 {
    END - seconds * 1000
}

/// `value` gets the number of the sample and the seconds it lies before the end; `None` is no sample.
fn one(name: &str, labels: &[(&str, &str)], value: impl Fn(i64, i64) -> Option<f64>) -> Sampled {
    let labels = [("__name__", name)].iter().chain(labels).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sample = |i: i64| {
        let left = (COUNT - 1 - i) * 15;
        value(i, left).map(|v| (before_end(left), v))
    };
    Sampled { labels, samples: (0..COUNT).filter_map(sample).collect() }
}

/// Everything that both servers get.
pub(crate) fn series() -> Vec<Sampled> {
    let counter = |each: f64| move |i: i64, _| Some(i as f64 * each);
    // 90 % of requests take up to 100 ms, the rest up to 500 ms.
    let bucket = |le: &str, each: f64| one("duration_seconds_bucket", &[("le", le)], counter(each));
    let constant = |value: f64| move |_, _| Some(value);
    vec![
        one("requests_total", &[("version", "stable")], counter(30.0)),
        one("requests_total", &[("version", "canary")], counter(10.0)),
        one("level", &[], counter(1.0)),
        // No samples from 600 s to 300 s before the end.
        one("interrupted", &[], |i, left| (!(301..600).contains(&left)).then_some(i as f64)),
        one("delayed_total", &[], |i, left| (left >= 90).then_some(i as f64)),
        one("over_total", &[], |i, left| (left >= 405).then_some(i as f64)),
        // Its target went away 60 s before the end: the marker says so.
        one("gone_total", &[], |i, left| match left {
            ..60 => None,
            60 => Some(f64::from_bits(STALE_NAN_BITS)),
            _ => Some(i as f64),
        }),
        one("odd", &[("kind", "nan")], constant(f64::NAN)),
        one("odd", &[("kind", "inf")], constant(f64::INFINITY)),
        one("odd", &[("kind", "ninf")], constant(f64::NEG_INFINITY)),
        one("named", &[("pod", "a\u{1b}[31mb\u{202e}c")], constant(1.0)),
        bucket("0.1", 90.0),
        bucket("0.5", 100.0),
        bucket("+Inf", 100.0),
    ]
}
