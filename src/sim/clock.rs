//! Simulated time.

use crate::domain::{Clock, Stamp};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{BoxFuture, FutureExt as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The simulator's clock.
///
/// Before it goes live its time is moved by hand; t = 0 is the moment it goes live, and from then it runs `speed` times as fast as the
/// machine. `boot` counts from the beginning of the simulation, so t = 0 is at `boot` = length of the prelude. `mono` is always the machine's.
#[derive(Debug)]
pub struct SimClock {
    seed: u64,
    speed: f64,
    frozen: Option<DateTime<Utc>>,
    prelude: Duration,
    wall_at_zero: DateTime<Utc>,
    started: Instant,
    state: Mutex<State>,
    moves: watch::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Moved by hand; the value is `boot`.
    Manual(Duration),
    /// Running since this moment, which was t = 0.
    Live(Instant),
}

#[expect(clippy::disallowed_methods, reason = "simulated time runs on the machine's")]
fn real_now() -> Instant {
    Instant::now()
}

impl SimClock {
    pub(crate) fn new(seed: u64, speed: f64, frozen: Option<DateTime<Utc>>, prelude: Duration, wall_now: DateTime<Utc>) -> Self {
        Self {
            seed,
            speed,
            frozen,
            prelude,
            wall_at_zero: frozen.unwrap_or(wall_now),
            started: real_now(),
            state: Mutex::new(State::Manual(Duration::ZERO)),
            moves: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `boot` of a time relative to t = 0.
    #[must_use]
    pub fn boot_at(&self, t: TimeDelta) -> Duration {
        let prelude = TimeDelta::from_std(self.prelude).unwrap_or_default();
        (prelude + t).to_std().unwrap_or_default()
    }

    /// Milliseconds since t = 0 (negative before) of a `boot` reading.
    pub(crate) fn t_ms(&self, boot: Duration) -> i64 {
        millis(boot) - millis(self.prelude)
    }

    /// Milliseconds since t = 0 now.
    pub(crate) fn now_t_ms(&self) -> i64 {
        self.t_ms(self.boot())
    }

    fn boot(&self) -> Duration {
        match *self.state() {
            State::Manual(boot) => boot,
            State::Live(since) => self.prelude + since.elapsed().mul_f64(self.speed),
        }
    }

    /// The wall time of `t` milliseconds since t = 0. A frozen clock stands from t = 0 on.
    pub(crate) fn wall_at(&self, t_ms: i64) -> DateTime<Utc> {
        let t = if self.frozen.is_some() { t_ms.min(0) } else { t_ms };
        self.wall_at_zero + TimeDelta::milliseconds(t)
    }

    /// Whether wall time stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some() && self.is_live()
    }

    /// Whether t = 0 has come.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(*self.state(), State::Live(_))
    }

    /// Simulated seconds per real second.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    pub(crate) fn set_manual(&self, boot: Duration) {
        let mut state = self.state();
        if let State::Manual(now) = &mut *state {
            *now = boot.max(*now).min(self.prelude);
        }
        drop(state);
        self.moves.send_replace(());
    }

    pub(crate) fn set_live(&self) {
        let mut state = self.state();
        if matches!(*state, State::Manual(_)) {
            *state = State::Live(real_now());
        }
        drop(state);
        self.moves.send_replace(());
    }

    /// How long a simulated duration takes in real time.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.speed)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

impl Clock for SimClock {
    fn now(&self) -> Stamp {
        let boot = self.boot();
        Stamp { wall: self.wall_at(self.t_ms(boot)), boot, mono: self.started.elapsed() }
    }

    fn boot_id(&self) -> String {
        format!("sim-{}", self.seed)
    }

    fn real_wait(&self, deadline: Duration) -> Duration {
        let left = self.real(deadline.saturating_sub(self.boot()));
        // While time is moved by hand nobody can know how long a wait really is: look often.
        if self.is_live() { left } else { left.min(LOOK) }
    }

    fn moved(&self) -> BoxFuture<'static, ()> {
        let mut moves = self.moves.subscribe();
        // An error means that the clock is gone: nobody moves it any more.
        async move {
            if moves.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

/// How often to look at a clock that is moved by hand.
const LOOK: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    const PRELUDE: Duration = Duration::from_secs(600);

    #[test]
    fn time_stands_until_moved_and_never_passes_zero_by_hand() {
        let clock = SimClock::new(7, 1.0, None, PRELUDE, DateTime::UNIX_EPOCH);
        assert_eq!(clock.now().boot, Duration::ZERO);
        assert_eq!(clock.now().wall, DateTime::UNIX_EPOCH - TimeDelta::seconds(600));
        clock.set_manual(Duration::from_secs(100));
        clock.set_manual(Duration::from_secs(50));
        assert_eq!(clock.now().boot, Duration::from_secs(100), "never backwards");
        clock.set_manual(Duration::from_secs(1000));
        assert_eq!(clock.now().boot, PRELUDE);
        assert_eq!(clock.boot_id(), "sim-7");
    }

    #[test]
    fn a_frozen_wall_stands_exactly_while_boot_goes_on() {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        let clock = SimClock::new(1, 1000.0, Some(at), PRELUDE, DateTime::UNIX_EPOCH);
        clock.set_live();
        let first = clock.now();
        while clock.now().boot == first.boot {
            std::hint::spin_loop();
        }
        assert_eq!((first.wall, clock.now().wall), (at, at));
        assert!(clock.is_frozen());
    }

    #[test]
    fn waits_are_divided_by_speed() {
        let clock = SimClock::new(1, 10.0, None, PRELUDE, DateTime::UNIX_EPOCH);
        assert!(clock.real_wait(Duration::from_secs(20)) <= LOOK, "moved by hand");
        clock.set_live();
        let wait = clock.real_wait(PRELUDE + Duration::from_secs(20));
        assert!(wait <= Duration::from_secs(2) && wait > Duration::from_secs(1), "{wait:?}");
        assert_eq!(clock.boot_at(TimeDelta::minutes(-1)), Duration::from_secs(540));
    }
}
