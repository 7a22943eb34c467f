//! Three clocks, one stamp.

use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt as _, pending};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment, read on three clocks at once.
///
/// * `wall` is UTC and may jump; it dates samples and is shown to people.
/// * `boot` goes on while the machine sleeps; deadlines of the engine, holds and bakes count on it.
/// * `mono` stops in sleep; prompt guards, bursts of keys and redraws count on it.
///
/// `boot` and `mono` have an arbitrary origin that changes with every boot of the machine.
/// In the demo `wall` and `boot` are the simulator's; `mono` is always the machine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// UTC now.
    pub wall: DateTime<Utc>,
    /// Time since boot, sleep included.
    pub boot: Duration,
    /// Time since an arbitrary start, sleep excluded.
    pub mono: Duration,
}

impl Stamp {
    /// The stamp `by` later on all three clocks. For tests and simulated time.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self {
            wall: self.wall + chrono::TimeDelta::from_std(by).unwrap_or(chrono::TimeDelta::MAX),
            boot: self.boot + by,
            mono: self.mono + by,
        }
    }
}

/// Where time comes from. The pure layers never read a clock: they are handed stamps.
pub trait Clock: Send + Sync {
    /// Now, on all three clocks.
    fn now(&self) -> Stamp;
    /// Identifies the boot that `boot` counts from; another id makes journaled `boot` readings incomparable.
    fn boot_id(&self) -> String;
    /// How long to really wait until `boot` reaches `deadline`; zero when it has passed.
    fn real_wait(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.now().boot)
    }
    /// Ready once the clock was set by hand after this call, as a simulator's can be. Whoever waits for [`Clock::real_wait`] waits for this
    /// too. Ordinary clocks are never set.
    fn moved(&self) -> BoxFuture<'static, ()> {
        pending().boxed()
    }
}

/// Age of something that happened at `at`, seen from `now`; zero when `at` lies in the future.
#[must_use]
pub fn age(now: DateTime<Utc>, at: DateTime<Utc>) -> Duration {
    (now - at).to_std().unwrap_or(Duration::ZERO)
}
