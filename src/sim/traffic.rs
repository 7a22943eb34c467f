//! The traffic through the service: requests by version and what scrapes see of them.

use super::metrics::STALE_NAN_BITS;
use super::rng::Rng;
use super::scene::Behaviour;
use crate::domain::Labels;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Upper bounds of the latency histogram, in seconds; dense around the limit that releases are judged by.
const BOUNDS: [f64; 24] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6, 0.75, 1.0, 2.5, 5.0,
    10.0,
];
/// Answer codes that are counted, in the order of [`Counters::codes`].
const CODES: [&str; 4] = ["200", "404", "500", "503"];
/// Requests a second that the shop gets on average.
const RPS: f64 = 412.0;
/// Share of requests for things that are not there: not an error of the service.
const NOT_FOUND: f64 = 0.008;
/// Orders per successful request.
const ORDERS: f64 = 0.0482;
/// Most instances that have series of their own; a larger cluster's requests are counted on this many.
const SERIES_PODS: usize = 50;

/// A serving instance: its name and how often it was restarted.
pub(crate) type Serving = Vec<(Arc<str>, u32)>;

/// One version at a time: its name in metrics and what it does.
pub(crate) struct Side<'a> {
    pub(crate) version: &'static str,
    pub(crate) serving: Serving,
    pub(crate) behaviour: &'a dyn Fn(i64) -> Behaviour,
}

/// Counters of one instance since it was (re)started.
struct Counters {
    restarts: u32,
    codes: [f64; 4],
    /// Expected cumulative counts; what is shown is their whole part, so that rounding never adds up.
    buckets: [f64; BOUNDS.len()],
    count: f64,
    sum: f64,
    cpu: f64,
    orders: f64,
    not_found: f64,
    series: Vec<Arc<Labels>>,
}

/// The traffic model. Counters depend on the seed, the weights and the instances alone.
pub(crate) struct Traffic {
    seed: u64,
    scrapes: u64,
    /// Moment and share of the canary, the changes since the last scrape last.
    shares: Vec<(i64, f64)>,
    /// All of them: what instances wrote then depends on what they got.
    history: Vec<(i64, f64)>,
    last: i64,
    errors_due: BTreeMap<&'static str, f64>,
    instances: BTreeMap<(&'static str, Arc<str>), Counters>,
}

/// Samples of one scrape. Label sets are shared: an instance's stay the same from scrape to scrape.
pub(crate) type Samples = Vec<(Arc<Labels>, f64)>;

impl Traffic {
    pub(crate) fn new(seed: u64, begin: i64) -> Self {
        Self {
            seed,
            scrapes: 0,
            shares: vec![(begin, 0.0)],
            history: vec![(begin, 0.0)],
            last: begin,
            errors_due: BTreeMap::new(),
            instances: BTreeMap::new(),
        }
    }

    /// From `t` on the canary gets this share (0 to 1) of all requests.
    pub(crate) fn set_share(&mut self, t: i64, share: f64) {
        self.shares.push((t, share));
        self.history.push((t, share));
    }

    /// The share of the canary at any moment since the beginning.
    pub(crate) fn share_then(&self, t: i64) -> f64 {
        self.history.iter().rev().find(|(since, _)| *since <= t).map_or(0.0, |(_, share)| *share)
    }

    /// The share of the canary now.
    pub(crate) fn share(&self) -> f64 {
        self.shares.last().map_or(0.0, |(_, share)| *share)
    }

    fn share_at(&self, t: i64) -> f64 {
        self.shares.iter().rev().find(|(since, _)| *since <= t).map_or(0.0, |(_, share)| *share)
    }

    /// Lets requests happen up to `t` and reads all counters, as a scrape of every instance at that moment.
    pub(crate) fn scrape(&mut self, t: i64, canary: Side<'_>, baseline: Side<'_>) -> Samples {
        self.scrapes += 1;
        let mut rng = Rng::new(self.seed, 0x7472_0000 + self.scrapes);
        let wave = 1.0 + 0.03 * (t as f64 / 1_700_000.0 * std::f64::consts::TAU).sin();
        let rps = RPS * wave * (1.0 + 0.012 * rng.normal());
        let mut samples = Samples::new();
        let seconds: Vec<i64> = (self.last..t).step_by(1000).collect();
        let step = (t - self.last) as f64 / 1000.0 / seconds.len().max(1) as f64;
        for (side, is_canary) in [(canary, true), (baseline, false)] {
            let (mut requests, mut errors, mut p99) = (0.0, 0.0, 0.0);
            for second in &seconds {
                let share = if is_canary { self.share_at(*second) } else { 1.0 - self.share_at(*second) };
                let behaviour = (side.behaviour)(*second);
                let here = rps * step * share;
                requests += here;
                errors += here * behaviour.errors;
                p99 += here * behaviour.p99;
            }
            let now = (side.behaviour)(t);
            let p99 = if requests > 0.0 { p99 / requests } else { now.p99 };
            let spread = if requests > 0.0 { 0.3 * requests.sqrt() * rng.normal() } else { 0.0 };
            let load = Load {
                requests: (requests + spread).round().max(0.0),
                errors: errors * (1.0 + 0.1 * rng.normal()).max(0.0),
                p99: p99 * (1.0 + 0.005 * rng.normal()),
                memory: now.memory,
                cpu: now.cpu,
                seconds: (t - self.last) as f64 / 1000.0,
            };
            self.spread(&side, load, &mut rng, &mut samples);
        }
        self.last = t;
        let share = self.share();
        self.shares.retain(|(since, _)| *since > t);
        self.shares.insert(0, (t, share));
        samples
    }

    /// Spreads one side's load over its instances and reads them.
    fn spread(&mut self, side: &Side<'_>, load: Load, rng: &mut Rng, samples: &mut Samples) {
        let chosen = self.choose(side);
        for (name, restarts) in &chosen {
            let key = (side.version, Arc::clone(name));
            let counters = self.instances.entry(key).or_insert_with(|| Counters::new(side.version, name));
            if counters.restarts != *restarts {
                let series = std::mem::take(&mut counters.series);
                *counters = Counters { restarts: *restarts, series, ..Counters::empty() };
            }
        }
        let due = self.errors_due.entry(side.version).or_default();
        if !chosen.is_empty() {
            *due += load.errors;
        }
        let errors = due.floor().min(load.requests);
        *due -= errors;
        let parts: Vec<f64> = chosen.iter().map(|_| rng.between(0.94, 1.06)).collect();
        let whole: f64 = parts.iter().sum();
        let fractions = fractions(load.p99);
        let first = rng.below(chosen.len());
        let (mut given, mut so_far) = (0.0, 0.0);
        for (i, (name, restarts)) in chosen.iter().enumerate() {
            so_far += parts[i];
            let upto = (load.requests * so_far / whole).round();
            let requests = upto - given;
            given = upto;
            let turn = (i + chosen.len() - first) % chosen.len();
            let errors = ((errors - turn as f64) / chosen.len() as f64).ceil().max(0.0).min(requests);
            let noise = [rng.normal(), rng.normal()];
            if let Some(counters) = self.instances.get_mut(&(side.version, Arc::clone(name))) {
                counters.count_in(requests, errors, &fractions, load);
                counters.read(load.memory * (1.0 + 0.01 * noise[0]), f64::from(*restarts), samples);
            }
        }
        self.end_missing(side.version, &chosen, samples);
    }

    /// Which instances carry series: all of a small cluster, the same ones for as long as they live of a large one.
    fn choose(&self, side: &Side<'_>) -> Serving {
        let limit = if side.version == "canary" { SERIES_PODS / 4 } else { SERIES_PODS - SERIES_PODS / 4 };
        if side.serving.len() <= limit {
            return side.serving.clone();
        }
        let known = |name: &Arc<str>| self.instances.contains_key(&(side.version, Arc::clone(name)));
        let (kept, fresh): (Serving, Serving) = side.serving.iter().cloned().partition(|(name, _)| known(name));
        kept.into_iter().chain(fresh).take(limit).collect()
    }

    /// Marks the series of instances that are gone as ended.
    fn end_missing(&mut self, version: &'static str, chosen: &Serving, samples: &mut Samples) {
        self.instances.retain(|(of, name), counters| {
            let stays = *of != version || chosen.iter().any(|(there, _)| there == name);
            if !stays {
                samples.extend(counters.series.iter().map(|labels| (labels.clone(), f64::from_bits(STALE_NAN_BITS))));
            }
            stays
        });
    }
}

/// What one side got since the last scrape.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: f64,
    errors: f64,
    p99: f64,
    memory: f64,
    cpu: f64,
    seconds: f64,
}

/// Share of requests at or under each bound, such that a quantile estimated from the buckets gives back this 99th percentile.
fn fractions(p99: f64) -> [f64; BOUNDS.len()] {
    let at = |scale: f64| BOUNDS.map(|bound| 1.0 - 0.01_f64.powf((bound / scale).powi(2)));
    let (mut low, mut high) = (p99 * 0.7, p99 * 1.3);
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if estimate(&at(middle)) < p99 { low = middle } else { high = middle }
    }
    at(f64::midpoint(low, high))
}

/// The 99th percentile as linear interpolation inside its bucket gives it.
fn estimate(fractions: &[f64; BOUNDS.len()]) -> f64 {
    let Some(i) = fractions.iter().position(|f| *f >= 0.99) else { return BOUNDS[BOUNDS.len() - 1] };
    let (lower, below) = if i == 0 { (0.0, 0.0) } else { (BOUNDS[i - 1], fractions[i - 1]) };
    lower + (BOUNDS[i] - lower) * (0.99 - below) / (fractions[i] - below)
}

impl Counters {
    fn empty() -> Self {
        Self {
            restarts: 0,
            codes: [0.0; 4],
            buckets: [0.0; BOUNDS.len()],
            count: 0.0,
            sum: 0.0,
            cpu: 0.0,
            orders: 0.0,
            not_found: 0.0,
            series: Vec::new(),
        }
    }

    fn new(version: &str, pod: &str) -> Self {
        Self { series: series(version, pod), ..Self::empty() }
    }

    fn count_in(&mut self, requests: f64, errors: f64, fractions: &[f64; BOUNDS.len()], load: Load) {
        self.not_found += (requests - errors) * NOT_FOUND;
        let missing = self.not_found.floor();
        self.not_found -= missing;
        // Every third error is a 503.
        let unavailable = ((self.codes[2] + self.codes[3] + errors) / 3.0).floor() - self.codes[3];
        let unavailable = unavailable.clamp(0.0, errors);
        self.codes[0] += requests - errors - missing;
        self.codes[1] += missing;
        self.codes[2] += errors - unavailable;
        self.codes[3] += unavailable;
        for (bucket, fraction) in self.buckets.iter_mut().zip(fractions) {
            *bucket += requests * fraction;
        }
        self.count += requests;
        self.sum += requests * load.p99 * 0.413;
        self.cpu += load.cpu * load.seconds;
        self.orders += (requests - errors - missing) * ORDERS;
    }

    /// Values in the order of [`series`].
    fn read(&self, memory_mib: f64, restarts: f64, samples: &mut Samples) {
        let memory = (memory_mib * 1_048_576.0).round();
        let values = self.codes.into_iter().chain(self.buckets.iter().map(|bucket| bucket.floor())).chain([
            self.count,
            self.sum,
            self.count,
            self.orders.floor(),
            memory,
            self.cpu,
            memory * 1.06,
            536_870_912.0,
            restarts,
            1.0,
        ]);
        samples.extend(self.series.iter().cloned().zip(values));
    }
}

/// The series of one instance.
fn series(version: &str, pod: &str) -> Vec<Arc<Labels>> {
    let labels = |name: &str, more: &[(&str, &str)]| {
        let mut labels = Labels::new();
        labels.insert("__name__".into(), name.into());
        labels.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        labels
    };
    let instance = format!("{pod}:8080");
    let app =
        [("service", "checkout"), ("namespace", "shop"), ("version", version), ("pod", pod), ("instance", &instance), ("job", "checkout")];
    let with = |name: &str, key: &str, value: &str| {
        let mut all = app.to_vec();
        all.push((key, value));
        labels(name, &all)
    };
    let mut series: Vec<Labels> = CODES.iter().map(|code| with("http_requests_total", "code", code)).collect();
    let bucket = "http_request_duration_seconds_bucket";
    series.extend(BOUNDS.iter().map(|bound| with(bucket, "le", &bound.to_string())));
    series.push(with(bucket, "le", "+Inf"));
    series.push(labels("http_request_duration_seconds_sum", &app));
    series.push(labels("http_request_duration_seconds_count", &app));
    series.push(labels("orders_total", &app));
    series.push(labels("process_resident_memory_bytes", &app));
    let container = [("namespace", "shop"), ("pod", pod), ("container", "app"), ("job", "cadvisor")];
    series.push(labels("container_cpu_usage_seconds_total", &container));
    series.push(labels("container_memory_working_set_bytes", &container));
    series.push(labels("container_spec_memory_limit_bytes", &container));
    let state = [("namespace", "shop"), ("pod", pod), ("container", "app"), ("job", "kube-state-metrics")];
    series.push(labels("kube_pod_container_status_restarts_total", &state));
    series.push(labels("up", &[("instance", &instance), ("job", "checkout"), ("namespace", "shop"), ("pod", pod)]));
    series.into_iter().map(Arc::new).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GOOD: Behaviour = Behaviour { errors: 0.002, p99: 0.394, memory: 300.0, cpu: 0.6 };

    fn pods(prefix: &str, n: usize) -> Serving {
        (0..n).map(|i| (Arc::from(format!("{prefix}-{i}")), 0)).collect()
    }

    fn scrape(traffic: &mut Traffic, t: i64, canary: Serving) -> Samples {
        let behaviour = |_| GOOD;
        traffic.scrape(
            t,
            Side { version: "canary", serving: canary, behaviour: &behaviour },
            Side { version: "stable", serving: pods("s", 9), behaviour: &behaviour },
        )
    }

    fn total(samples: &Samples, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let fits = |labels: &Labels| labels["__name__"] == name && wanted.iter().all(|(k, v)| labels.get(*k).is_some_and(|is| is == v));
        samples.iter().filter(|(labels, _)| fits(labels)).map(|(_, value)| value).sum()
    }

    #[test]
    fn requests_follow_the_share_and_errors_the_rate() {
        let mut traffic = Traffic::new(1, 0);
        traffic.set_share(0, 0.25);
        let mut samples = Samples::new();
        for i in 1..=40 {
            samples = scrape(&mut traffic, i * 15_000, pods("c", 3));
        }
        let canary = total(&samples, "http_requests_total", &[("version", "canary")]);
        let all = total(&samples, "http_requests_total", &[]);
        assert!((canary / all - 0.25).abs() < 0.005, "{canary} of {all}");
        assert!((all / 600.0 - RPS).abs() < RPS * 0.05, "{all}");
        let errors = total(&samples, "http_requests_total", &[("version", "canary"), ("code", "500")])
            + total(&samples, "http_requests_total", &[("version", "canary"), ("code", "503")]);
        assert!((errors / canary - 0.002).abs() < 0.0002, "{errors} of {canary}");
        assert!((total(&samples, "http_request_duration_seconds_count", &[]) - all).abs() < f64::EPSILON);
    }

    #[test]
    fn the_quantile_that_buckets_give_is_the_one_asked_for() {
        for p99 in [0.30, 0.365, 0.394, 0.414, 0.46, 0.8] {
            let fractions = fractions(p99);
            assert!((estimate(&fractions) - p99).abs() < 0.001, "{p99}");
            assert!(fractions.is_sorted());
        }
    }

    #[test]
    fn without_a_share_the_canary_gets_no_request() {
        let mut traffic = Traffic::new(1, 0);
        let samples = scrape(&mut traffic, 15_000, pods("c", 3));
        assert!(total(&samples, "http_requests_total", &[("version", "canary")]).abs() < f64::EPSILON);
    }

    #[test]
    fn a_restart_begins_counters_again_and_an_end_is_marked() {
        let mut traffic = Traffic::new(1, 0);
        traffic.set_share(0, 0.5);
        let before = total(&scrape(&mut traffic, 15_000, pods("c", 1)), "http_requests_total", &[("pod", "c-0")]);
        scrape(&mut traffic, 30_000, pods("c", 1));
        let restarted = scrape(&mut traffic, 45_000, vec![(Arc::from("c-0"), 1)]);
        assert!(total(&restarted, "http_requests_total", &[("pod", "c-0")]) < before * 1.5);
        let gone = scrape(&mut traffic, 60_000, Serving::new());
        assert!(gone.iter().any(|(labels, value)| labels.get("pod").is_some_and(|p| p == "c-0") && value.to_bits() == STALE_NAN_BITS));
    }

    #[test]
    fn the_same_seed_counts_the_same_and_another_does_not() {
        let run = |seed| {
            let mut traffic = Traffic::new(seed, 0);
            traffic.set_share(0, 0.25);
            scrape(&mut traffic, 15_000, pods("c", 3))
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
