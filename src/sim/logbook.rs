//! What the shop's instances write: lines that follow from the seed, the moment, the load and how the version behaves.
//!
//! Each second of each container has random numbers of its own, so that any part of a log can be written again, the same to the letter.

use super::rng::Rng;
use super::scene::Behaviour;

/// A container's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// uid of its Pod.
    pub(crate) uid: String,
    /// The label by which traffic is told apart; others than the shop's get no requests.
    pub(crate) version: String,
    /// Tag of its image.
    pub(crate) image: String,
    /// When it started, in ms since t = 0.
    pub(crate) started: i64,
}

/// What shapes the lines of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Requests relative to an even spread over all instances.
    pub(crate) load: f64,
    pub(crate) behaviour: Behaviour,
    /// Errors a second that no metric shows.
    pub(crate) silent_errors: f64,
}

/// Requests a second of an instance at a load of 1.
const RPS: f64 = 34.0;
/// One request in so many is written down; every error is.
const SAMPLED: f64 = 20.0;
/// Errors up to this rate are those that every version has.
const USUAL_ERRORS: f64 = 0.0025;
/// Every so many seconds a line tells that all is well.
const HEALTH: i64 = 30;

/// The lines of a container from `from` on and before `to`, oldest first.
pub(crate) fn lines(seed: u64, container: &Container, habits: &dyn Fn(i64) -> Habits, from: i64, to: i64) -> Vec<(i64, String)> {
    let from = from.max(container.started);
    let mut written = Vec::new();
    let starts = [(0, "starting"), (420, "config loaded from /etc/checkout"), (1130, "listening on :8080")];
    for (after, what) in starts {
        written.push((container.started + after, format!("INFO  checkout {} {what}", container.image)));
    }
    if matches!(container.version.as_str(), "canary" | "stable") {
        let name =
            container.uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        for second in from.div_euclid(1000)..=to.div_euclid(1000) {
            if second * 1000 < container.started + 2000 {
                continue;
            }
            let mut rng = Rng::new(seed ^ name, 0x6c6f_6700_0000 + second.unsigned_abs() * 2 + u64::from(second < 0));
            one_second(&mut rng, second, &habits(second * 1000), name, &mut written);
        }
    }
    written.retain(|(at, _)| (from..to).contains(at));
    written.sort_by_key(|(at, _)| *at);
    written
}

fn one_second(rng: &mut Rng, second: i64, habits: &Habits, name: u64, written: &mut Vec<(i64, String)>) {
    let Behaviour { errors, p99, memory, .. } = habits.behaviour;
    let rps = RPS * habits.load.clamp(0.0, 4.0);
    let times = |rng: &mut Rng, rate: f64| (rate + rng.unit()).floor() as usize;
    let (requests, usual) = (times(rng, rps / SAMPLED), times(rng, rps * errors.min(USUAL_ERRORS)));
    let (unusual, silent) = (times(rng, rps * (errors - USUAL_ERRORS).max(0.0)), times(rng, habits.silent_errors * habits.load.min(4.0)));
    let (slow, full) = (times(rng, 0.02 + ((p99 - 0.398) * 20.0).clamp(0.0, 2.0)), times(rng, ((memory - 380.0) / 300.0).clamp(0.0, 0.5)));
    let mut say = |rng: &mut Rng, line: String| written.push((second * 1000 + rng.ms(0, 1000), line));
    let order = |rng: &mut Rng| format!("order={:08x}", (rng.unit() * f64::from(u32::MAX)) as u32);
    for _ in 0..requests {
        let line = request(rng, p99);
        say(rng, line);
    }
    for _ in 0..usual {
        let line = if rng.unit() < 0.7 {
            format!("ERROR upstream timeout payments 2000ms {}", order(rng))
        } else {
            format!("ERROR inventory: 503 from stock-api, gave up after 3 attempts {}", order(rng))
        };
        say(rng, line);
    }
    for _ in 0..unusual {
        let line = format!("ERROR checkout: cannot decode price: unknown field \"currency\" {}", order(rng));
        say(rng, line);
    }
    for _ in 0..silent {
        let (cents, by) = (1000 + rng.below(9000), 1 + rng.below(9));
        let amounts = (format!("{}.{:02}", cents / 100, cents % 100), format!("{}.{:02}", (cents + by) / 100, (cents + by) % 100));
        let line = format!("ERROR ledger: booked {} but charged {}, rounding differs {}", amounts.0, amounts.1, order(rng));
        say(rng, line);
    }
    for _ in 0..slow {
        let line = format!("WARN  pool: waited {}ms for connection (max 100ms)", 100 + rng.below(180));
        say(rng, line);
    }
    for _ in 0..full {
        let line = format!("WARN  heap {:.0} MiB of 512 MiB after collection", memory * rng.between(0.95, 1.04));
        say(rng, line);
    }
    if (second + (name % 30).cast_signed()).rem_euclid(HEALTH) == 0 {
        let line = format!("INFO  health: ready, {} connections, heap {:.0} MiB", 8 + rng.below(9), memory * rng.between(0.97, 1.03));
        say(rng, line);
    }
}

fn request(rng: &mut Rng, p99: f64) -> String {
    let kind = rng.unit();
    if kind < 0.008 {
        return format!("INFO  GET /v1/cart/{} 404 {}ms", rng.below(90_000), 4 + rng.below(9));
    }
    if kind < 0.45 {
        return format!("INFO  GET /v1/cart 200 {}ms", 21 + rng.below(18));
    }
    let took = p99 * 1000.0 * (0.55 + 0.45 * rng.unit().powi(2));
    format!("INFO  POST /v1/checkout 200 {took:.0}ms order={:08x}", (rng.unit() * f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scene::{Happened, Scene, baseline};

    fn container(version: &str, started: i64) -> Container {
        Container { uid: format!("uid-{version}"), version: version.into(), image: "v2".into(), started }
    }

    fn healthy(_: i64) -> Habits {
        Habits { load: 1.0, behaviour: baseline(), silent_errors: 0.0 }
    }

    fn with(lines: &[(i64, String)], part: &str) -> usize {
        lines.iter().filter(|(_, line)| line.contains(part)).count()
    }

    #[test]
    fn any_part_of_a_log_is_the_same_again() {
        let stable = container("stable", -3_600_000);
        let whole = lines(7, &stable, &healthy, -60_000, 60_000);
        let mut parts = lines(7, &stable, &healthy, -60_000, -12_345);
        parts.extend(lines(7, &stable, &healthy, -12_345, 60_000));
        assert_eq!(whole, parts);
        assert!(whole.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert_ne!(whole, lines(8, &stable, &healthy, -60_000, 60_000));
        assert!((150..320).contains(&whole.len()), "about two lines a second, not {}", whole.len());
    }

    #[test]
    fn a_start_is_told_once_and_without_traffic_there_are_no_requests() {
        let canary = container("canary", 5_000);
        let idle = |_| Habits { load: 0.0, ..healthy(0) };
        let told = lines(1, &canary, &idle, 0, 120_000);
        assert_eq!((with(&told, "starting"), with(&told, "POST")), (1, 0));
        assert!(with(&told, "health: ready") >= 3 && told[0].0 == 5_000);
        assert_eq!(with(&lines(1, &canary, &idle, 6_500, 120_000), "starting"), 0);
    }

    #[test]
    fn bad_logs_differ_in_one_pattern_of_the_canary_alone() {
        let scene = Scene::BadLogs;
        let habits = |t| Habits { load: 1.0, behaviour: scene.canary(t, Happened::default()), silent_errors: scene.silent_errors(t) };
        let canary = lines(1, &container("canary", -3_600_000), &habits, 0, 60_000);
        assert!((15..35).contains(&with(&canary, "ERROR ledger:")), "{}", with(&canary, "ERROR ledger:"));
        assert_eq!(with(&canary, "cannot decode"), 0);
        assert_eq!(with(&lines(1, &container("stable", -3_600_000), &healthy, 0, 60_000), "ledger"), 0);
        assert!(
            with(&lines(1, &container("stable", -3_600_000), &healthy, 0, 600_000), "ERROR upstream") > 10,
            "both have their usual errors"
        );
    }
}
