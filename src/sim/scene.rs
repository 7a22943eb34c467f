//! Situations to start in, and how the two versions behave in them over time.

use chrono::TimeDelta;
use std::str::FromStr;
use std::time::Duration;

/// A situation at t = 0 and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scene {
    /// Bake at 5 % done; errors after the first promote, then a gap in the metrics.
    Tour,
    /// No run; nothing is being released.
    Idle,
    /// A run stands at its checklist.
    PreLaunch,
    /// Baking at 25 % with three minutes left, p99 at 92 % of its limit.
    Bake25,
    /// Bake at 25 % done; healthy for ever.
    Ready50,
    /// Errors at 25 %; they stay until backed out.
    NoGo,
    /// Baking at 25 %; latency and memory creep up.
    SlowLeak,
    /// Baking at 25 %; canary instances crash.
    CrashLoop,
    /// Bake at 25 % done and all metrics good; the canary's logs tell of errors that the baseline never has.
    BadLogs,
    /// Launch day: a checklist of several people; what the program sees for itself goes stale and red.
    Checklist,
    /// As ready-50, but the header rule for insiders leads nowhere; traffic by weight is fine.
    HeaderRoute,
}

const NAMES: &[(&str, Scene)] = &[
    ("tour", Scene::Tour),
    ("idle", Scene::Idle),
    ("pre-launch", Scene::PreLaunch),
    ("bake-25", Scene::Bake25),
    ("ready-50", Scene::Ready50),
    ("no-go", Scene::NoGo),
    ("slow-leak", Scene::SlowLeak),
    ("crash-loop", Scene::CrashLoop),
    ("bad-logs", Scene::BadLogs),
    ("header-route", Scene::HeaderRoute),
    ("checklist", Scene::Checklist),
];

impl FromStr for Scene {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, scene)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*scene);
        }
        let known = NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        Err(format!("unknown scene {text:?}; use one of {known}"))
    }
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAMES.iter().find(|(_, scene)| scene == self).map_or("", |(name, _)| name))
    }
}

/// What a scripted operator does before t = 0. Times are relative to t = 0, so they are negative.
///
/// The run they start has: checklist answers, shift to 5, a check held 2 min, a bake of 5 min, shift to 25, a check held 2 min, a bake of
/// 10 min, and then the decision to go to 50. A check begins to count when its queries (over 2 min) have the old traffic behind them, so
/// from a shift to the end of its check it takes a little over 4 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// How long before t = 0 the simulation begins.
    pub prelude: Duration,
    /// When the run is started; `None`: there is no run. Without `confirm_5` it stays at its checklist.
    pub start: Option<TimeDelta>,
    /// Whether the operator answers the items of checklists that are theirs.
    pub answers: bool,
    /// When the shift to 5 % is confirmed.
    pub confirm_5: Option<TimeDelta>,
    /// When the shift to 25 % is confirmed.
    pub confirm_25: Option<TimeDelta>,
}

/// Quiet time before a run, so that charts are full.
const IDLE_HISTORY: i64 = 20 * 60;

impl Scene {
    /// Every scene, by the name that [`FromStr`] takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The history of this scene.
    #[must_use]
    pub fn script(self) -> Script {
        let minutes = |m: i64, s: i64| Some(TimeDelta::seconds(-(m * 60 + s)));
        let (start, confirm_5, confirm_25) = match self {
            Self::Idle => (None, None, None),
            Self::PreLaunch => (minutes(2, 0), None, None),
            Self::Checklist => (minutes(2, 30), None, None),
            Self::Tour => (minutes(11, 45), minutes(10, 15), None),
            Self::Bake25 | Self::NoGo | Self::SlowLeak | Self::CrashLoop => (minutes(22, 45), minutes(21, 15), minutes(11, 15)),
            Self::Ready50 | Self::BadLogs | Self::HeaderRoute => (minutes(27, 0), minutes(25, 30), minutes(15, 30)),
        };
        let run = start.map_or(0, |s| -s.num_seconds());
        let answers = confirm_5.is_some() || self == Self::Checklist;
        Script { prelude: Duration::from_secs((IDLE_HISTORY + run).unsigned_abs()), start, answers, confirm_5, confirm_25 }
    }

    /// Whether the environment is a private demo rather than production.
    pub(crate) fn is_demo(self) -> bool {
        self == Self::Tour
    }
}

/// What a version does with the requests it gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Behaviour {
    /// Share of requests answered 5xx.
    pub(crate) errors: f64,
    /// 99th percentile of the latency, in seconds.
    pub(crate) p99: f64,
    /// Resident memory of one instance, in MiB.
    pub(crate) memory: f64,
    /// CPU cores used by one instance.
    pub(crate) cpu: f64,
}

/// Things that happened since t = 0 that a scene reacts to, in ms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Happened {
    /// The first promote: the canary's weight went up.
    pub(crate) promoted: Option<i64>,
    /// The first back-out: the canary's weight went to 0.
    pub(crate) backed_out: Option<i64>,
}

/// How far a ramp from `from` to `to` has come at `t`, 0 to 1.
fn ramp(t: i64, from: i64, to: i64) -> f64 {
    ((t - from) as f64 / (to - from) as f64).clamp(0.0, 1.0)
}

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

/// The version that served before. It is always healthy.
pub(crate) fn baseline() -> Behaviour {
    Behaviour { errors: 0.0019, p99: 0.365, memory: 291.0, cpu: 0.58 }
}

impl Scene {
    /// The new version at `t` ms.
    pub(crate) fn canary(self, t: i64, happened: Happened) -> Behaviour {
        let healthy = Behaviour { errors: 0.0021, p99: 0.394, memory: 304.0, cpu: 0.61 };
        match self {
            Self::Tour => match happened.promoted {
                Some(at) if t >= at + 10 * SECOND => Behaviour { errors: 0.0231, ..healthy },
                _ => healthy,
            },
            // 92 % of the limit at t = 0, and calm when the bake ends three minutes later.
            Self::Bake25 => Behaviour { p99: 0.414 - 0.020 * ramp(t, 30 * SECOND, 150 * SECOND), ..healthy },
            Self::NoGo if t >= -90 * SECOND => Behaviour { errors: 0.0231, ..healthy },
            Self::SlowLeak => {
                let leak = ramp(t, -4 * MINUTE, 20 * MINUTE);
                let slower = ramp(t, 0, 9 * MINUTE) * 0.060 + ramp(t, 9 * MINUTE, 30 * MINUTE) * 0.300;
                Behaviour { p99: healthy.p99 + slower, memory: healthy.memory + 190.0 * leak, ..healthy }
            }
            Self::CrashLoop if t >= CRASHES_FROM => Behaviour { errors: 0.042, p99: 0.436, memory: 480.0, ..healthy },
            Self::Checklist if (SWELLS_FROM..SWELLS_UNTIL).contains(&t) => Behaviour { memory: 468.0, ..healthy },
            Self::Checklist
            | Self::Idle
            | Self::PreLaunch
            | Self::Ready50
            | Self::NoGo
            | Self::CrashLoop
            | Self::BadLogs
            | Self::HeaderRoute => healthy,
        }
    }

    /// Whether the scene's own script has stopped the scrapes at `t`: the second fault of the tour, and launch day's first.
    pub(crate) fn scrapes_stopped(self, t: i64, happened: Happened) -> bool {
        if self == Self::Checklist {
            return (SILENT_ON_LAUNCH_DAY..SILENT_ON_LAUNCH_DAY + 75 * SECOND).contains(&t);
        }
        if self != Self::Tour {
            return false;
        }
        let from = match (happened.promoted, happened.backed_out) {
            (Some(_), Some(back)) => back + 25 * SECOND,
            (Some(up), None) => up + 3 * MINUTE,
            _ => return false,
        };
        (from..from + 80 * SECOND).contains(&t)
    }

    /// Errors that a canary instance writes about, a second at its usual load, and that no metric shows.
    pub(crate) fn silent_errors(self, t: i64) -> f64 {
        if self == Self::BadLogs && t >= SILENT_FROM { 0.4 } else { 0.0 }
    }

    /// When the header rule is edited so that it leads nowhere, in ms.
    pub(crate) fn header_rule_breaks_at(self) -> Option<i64> {
        (self == Self::HeaderRoute).then_some(HEADER_RULE_BREAKS)
    }

    /// Since when canary instances crash while they get traffic, in ms.
    pub(crate) fn crashes_from(self) -> Option<i64> {
        (self == Self::CrashLoop).then_some(CRASHES_FROM)
    }
}

const HEADER_RULE_BREAKS: i64 = -25 * SECOND;
const CRASHES_FROM: i64 = -40 * SECOND;
const SILENT_FROM: i64 = -3 * MINUTE;
/// On launch day the metrics stop for a while, and when they come again the new version has swollen.
const SILENT_ON_LAUNCH_DAY: i64 = 45 * SECOND;
const SWELLS_FROM: i64 = 75 * SECOND;
const SWELLS_UNTIL: i64 = 255 * SECOND;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_wrong_ones_list_what_there_is() {
        for name in Scene::names() {
            assert_eq!(name.parse::<Scene>().unwrap().to_string(), name);
        }
        let error = "bake".parse::<Scene>().unwrap_err();
        assert!(error.contains("\"bake\"") && error.contains("bake-25"), "{error}");
    }

    #[test]
    fn bake_25_has_three_minutes_left_and_ready_50_none() {
        // A check takes a little over four minutes (two for its queries to leave the old traffic behind, two of hold); the bake is ten.
        let check = TimeDelta::seconds(255);
        let bake_began = |scene: Scene| scene.script().confirm_25.unwrap() + check;
        assert_eq!(bake_began(Scene::Bake25), TimeDelta::minutes(-7));
        assert!(bake_began(Scene::Ready50) + TimeDelta::minutes(10) < TimeDelta::zero());
        let script = Scene::Bake25.script();
        assert!(
            script.confirm_25.unwrap() - script.confirm_5.unwrap() >= check + TimeDelta::minutes(5),
            "check and bake at 5 fit in between"
        );
    }

    #[test]
    fn the_tour_turns_bad_only_after_a_promote_and_goes_silent_after_the_back_out() {
        let scene = Scene::Tour;
        assert!(scene.canary(3_600_000, Happened::default()).errors < 0.005);
        let up = Happened { promoted: Some(20_000), backed_out: None };
        assert!(scene.canary(29_000, up).errors < 0.005);
        assert!(scene.canary(30_000, up).errors > 0.02);
        let back = Happened { backed_out: Some(50_000), ..up };
        assert!(!scene.scrapes_stopped(60_000, back) && scene.scrapes_stopped(80_000, back) && !scene.scrapes_stopped(160_000, back));
    }

    #[test]
    fn a_slow_leak_crosses_the_latency_limit_before_ten_minutes_and_not_soon() {
        let p99 = |t| Scene::SlowLeak.canary(t, Happened::default()).p99;
        assert!(p99(5 * MINUTE) < 0.45 && p99(9 * MINUTE) > 0.45, "{} {}", p99(5 * MINUTE), p99(9 * MINUTE));
    }
}
