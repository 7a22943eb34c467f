//! The samples that both servers get: counters with resets, gauges, histograms, gaps, ends, odd numbers.

use gonogo::domain::Labels;
use gonogo::sim::metrics::STALE_NAN_BITS;

/// First moment with samples, milliseconds since 1970. Not a multiple of the steps asked for.
pub(crate) const START: i64 = 1_700_000_003_000;
/// Scrapes of each series; the last one is at `START + (SCRAPES - 1) * INTERVAL`.
pub(crate) const SCRAPES: i64 = 200;
/// Milliseconds between scrapes.
pub(crate) const INTERVAL: i64 = 15_000;

/// One series.
pub(crate) struct Sampled {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, f64)>,
}

/// A small generator of numbers that look random and never change (the constants are Knuth's).
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }
}

fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
    let name = std::iter::once(("__name__", name));
    name.chain(pairs.iter().copied()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Scrape times with a jitter of up to 40 ms, without those that `skip` names.
fn times(noise: &mut Noise, skip: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
    let jittered = (0..SCRAPES).map(|i| (i, START + i * INTERVAL + (noise.unit() * 40.0) as i64));
    jittered.filter(|(i, _)| !skip(*i)).collect()
}

fn counter(noise: &mut Noise, speed: f64, resets: &[i64], skip: impl Fn(i64) -> bool) -> Vec<(i64, f64)> {
    let times = times(&mut Noise(noise.0), skip);
    let mut value = (noise.unit() * 50.0).floor();
    let count = |(i, at): (i64, i64)| {
        value = if resets.contains(&i) { (noise.0 % 7) as f64 } else { value + (speed * INTERVAL as f64 / 1000.0).floor() };
        value += (noise.unit() * 10.0).floor();
        (at, value)
    };
    times.into_iter().map(count).collect()
}

/// All series.
pub(crate) fn series() -> Vec<Sampled> {
    let mut all = Vec::new();
    requests(&mut all);
    histograms(&mut all);
    gauges(&mut all);
    oddities(&mut all);
    all
}

fn requests(all: &mut Vec<Sampled>) {
    for (i, version) in ["v1", "v2"].into_iter().enumerate() {
        for (j, instance) in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].into_iter().enumerate() {
            for (k, code) in ["200", "404", "500"].into_iter().enumerate() {
                let mut noise = Noise((i * 100 + j * 10 + k + 1) as u64);
                let resets: &[i64] = if j == 1 { &[40, 41, 120] } else { &[] };
                // One instance is not scraped for seven minutes, one only every other time.
                let skip = move |n: i64| (j == 2 && (60..88).contains(&n)) || (j == 0 && k == 1 && n % 2 == 1);
                let labels =
                    labels("http_requests_total", &[("job", "shop"), ("version", version), ("instance", instance), ("code", code)]);
                let samples = counter(&mut noise, 40.0 / (k * k * 6 + 1) as f64, resets, skip);
                all.push(Sampled { labels, samples });
            }
        }
    }
}

fn histograms(all: &mut Vec<Sampled>) {
    let bounds = ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
    for (i, version) in ["v1", "v2"].into_iter().enumerate() {
        for (j, instance) in ["10.0.0.1:80", "10.0.0.2:80"].into_iter().enumerate() {
            let mut noise = Noise((7000 + i * 10 + j) as u64);
            let times = times(&mut Noise(noise.0), |_| false);
            let mut buckets = vec![Vec::new(); bounds.len()];
            let (mut counts, mut total) = ([0.0; 7], 0.0);
            let (mut sums, mut totals) = (Vec::new(), Vec::new());
            for (n, at) in times {
                if j == 1 && n == 90 {
                    (counts, total) = ([0.0; 7], 0.0);
                }
                let mut below = 0.0;
                for (b, bucket) in buckets.iter_mut().enumerate() {
                    counts[b] += (noise.unit() * 30.0 / (b as f64 + 1.0)).floor();
                    below += counts[b];
                    bucket.push((at, below));
                }
                total += noise.unit() * 25.0;
                sums.push((at, total));
                totals.push((at, below));
            }
            let pairs = [("job", "shop"), ("version", version), ("instance", instance)];
            for (bound, samples) in bounds.iter().zip(buckets) {
                let mut pairs = pairs.to_vec();
                pairs.push(("le", bound));
                all.push(Sampled { labels: labels("http_request_duration_seconds_bucket", &pairs), samples });
            }
            all.push(Sampled { labels: labels("http_request_duration_seconds_sum", &pairs), samples: sums });
            all.push(Sampled { labels: labels("http_request_duration_seconds_count", &pairs), samples: totals });
        }
    }
}

fn gauges(all: &mut Vec<Sampled>) {
    for (i, instance) in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"].into_iter().enumerate() {
        let mut noise = Noise(900 + i as u64);
        let pairs = [("job", if i < 3 { "shop" } else { "batch" }), ("instance", instance)];
        let times = times(&mut Noise(noise.0), |n| i == 2 && (100..125).contains(&n));
        let wave = |n: i64, noise: &mut Noise| ((n as f64) / 9.0 + i as f64).sin() * 20.0 + noise.unit();
        let temperature = times.iter().map(|(n, at)| (*at, wave(*n, &mut noise))).collect();
        all.push(Sampled { labels: labels("temperature_celsius", &pairs), samples: temperature });
        let depth = times.iter().map(|(n, at)| (*at, ((n / 5 + i as i64) % 13) as f64)).collect();
        all.push(Sampled { labels: labels("queue_depth", &pairs), samples: depth });
        let up = times.iter().map(|(n, at)| (*at, if i == 1 && n % 50 == 7 { 0.0 } else { 1.0 })).collect();
        all.push(Sampled { labels: labels("up", &pairs), samples: up });
        let mut pairs = pairs.to_vec();
        let version = if i % 2 == 0 { "v1" } else { "v2" };
        pairs.extend([("version", version), ("revision", "abc\"123\\")]);
        all.push(Sampled { labels: labels("build_info", &pairs), samples: times.iter().map(|(_, at)| (*at, 1.0)).collect() });
    }
}

fn oddities(all: &mut Vec<Sampled>) {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let at = |n: i64| START + n * INTERVAL;
    // Begins late, ends with a staleness marker, comes back, ends again.
    let mut brief: Vec<_> = (50..90).map(|n| (at(n), (n * 3) as f64)).collect();
    brief.push((at(90), stale));
    brief.extend((110..150).map(|n| (at(n), ((n - 105) * 2) as f64)));
    brief.push((at(150), stale));
    all.push(Sampled { labels: labels("brief_total", &[("job", "batch"), ("instance", "a")]), samples: brief });
    all.push(Sampled { labels: labels("brief_total", &[("job", "batch"), ("instance", "b")]), samples: vec![(at(70), 5.0)] });
    let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 1e-7, 1.5e22, -2.5e-9, 123_456_789.125, 1e21, 1e-6, 0.1];
    for (i, value) in odd.into_iter().enumerate() {
        let samples = (0..SCRAPES).map(|n| (at(n), value)).collect();
        let kind = format!("k{i}");
        all.push(Sampled { labels: labels("odd", &[("kind", kind.as_str())]), samples });
    }
    // Changes between numbers, NaN and infinities.
    let mixed = [1.0, f64::NAN, 3.0, f64::NAN, f64::NAN, f64::INFINITY, 2.0, -4.0, f64::NEG_INFINITY, 8.0];
    let samples = (0..SCRAPES).map(|n| (at(n), mixed[(n % 10) as usize])).collect();
    all.push(Sampled { labels: labels("mixed", &[("job", "batch")]), samples });
    // A histogram whose buckets fall, one without the last bucket, one with bounds below zero.
    for (name, buckets) in [
        ("falling_bucket", &[("1", 10.0), ("2", 8.0), ("4", 12.0), ("+Inf", 12.0)][..]),
        ("endless_bucket", &[("1", 10.0), ("2", 18.0)]),
        ("negative_bucket", &[("-2", 3.0), ("-1", 6.0), ("0", 6.0), ("1", 9.0), ("1.0", 1.0), ("+Inf", 20.0)]),
        ("lonely_bucket", &[("+Inf", 20.0)]),
        ("empty_bucket", &[("1", 0.0), ("+Inf", 0.0)]),
    ] {
        for (bound, count) in buckets {
            let samples = (0..SCRAPES).map(|n| (at(n), *count)).collect();
            all.push(Sampled { labels: labels(name, &[("le", bound)]), samples });
        }
    }
}
