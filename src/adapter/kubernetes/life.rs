//! Proof that the picture is alive: heartbeats whose clock moves on, and watches that give their regular signs.

use crate::domain::{Clock, Stamp};
use crate::port::platform::PlatformUpdate;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bookmarks come about once a minute and with the end of a watch. A watch that gave them and is silent for this long shows the
/// past, even if the server answers.
const STUCK: Duration = Duration::from_secs(135);

/// The last sign of a watch.
#[derive(Debug, Clone, Copy)]
struct Sign {
    at: Stamp,
    /// This server sends bookmarks: silence means something.
    regular: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// The server's clock at the last heartbeat.
    date: Option<DateTime<Utc>>,
    skew: Option<TimeDelta>,
    at: Option<DateTime<Utc>>,
    /// The last heartbeat failed, or its clock stood still: events alone prove nothing then.
    doubtful: bool,
    signs: HashMap<&'static str, Sign>,
}

/// What was proved last. Shared by the heartbeat and all feeds.
pub(super) struct Life {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

impl Life {
    /// Nothing is proved yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After an answered heartbeat that was asked at `asked`. A clock that did not move on is an old answer from somewhere
    /// between; a watch that is stuck makes the picture as old as its last sign.
    pub(super) fn beat(&self, asked: Stamp, date: Option<DateTime<Utc>>) -> PlatformUpdate {
        let mut known = self.known();
        let moved = date.is_none() || known.date.is_none() || date > known.date;
        let stuck = known.signs.values().filter(|sign| sign.regular && asked.boot.saturating_sub(sign.at.boot) > STUCK);
        let stuck = stuck.map(|sign| sign.at.wall).min();
        known.doubtful = !moved || stuck.is_some();
        if moved {
            known.date = date;
            known.at = Some(stuck.unwrap_or(asked.wall));
        }
        // The header has whole seconds: half of one is what it leaves out on average.
        known.skew = date.map(|date| date + TimeDelta::milliseconds(500) - asked.wall);
        PlatformUpdate::Alive { at: known.at.unwrap_or(asked.wall), skew: known.skew }
    }

    /// After a heartbeat that failed.
    pub(super) fn missed(&self) {
        self.known().doubtful = true;
    }

    /// A feed has listed everything.
    pub(super) fn listed(&self, part: &'static str) {
        let at = self.clock.now();
        self.known().signs.insert(part, Sign { at, regular: false });
    }

    /// A watch gave a bookmark: silence of it means something from now on.
    pub(super) fn bookmark(&self, part: &'static str) {
        let at = self.clock.now();
        self.known().signs.insert(part, Sign { at, regular: true });
    }

    /// A watch gave an event; at most one proof a second.
    pub(super) fn event(&self, part: &'static str) -> Option<PlatformUpdate> {
        let now = self.clock.now();
        let mut known = self.known();
        known.signs.entry(part).and_modify(|sign| sign.at = now).or_insert(Sign { at: now, regular: false });
        let last = known.at?;
        if known.doubtful || now.wall - last < TimeDelta::seconds(1) {
            return None;
        }
        known.at = Some(now.wall);
        Some(PlatformUpdate::Alive { at: now.wall, skew: known.skew })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct ByHand(Mutex<Duration>);

    impl Clock for ByHand {
        fn now(&self) -> Stamp {
            let since = *self.0.lock().unwrap();
            Stamp { wall: DateTime::UNIX_EPOCH, boot: Duration::ZERO, mono: Duration::ZERO }.later(since)
        }

        fn boot_id(&self) -> String {
            String::new()
        }
    }

    struct Rig {
        clock: Arc<ByHand>,
        life: Life,
    }

    impl Rig {
        fn new() -> Self {
            let clock = Arc::new(ByHand::default());
            Self { life: Life::new(Arc::<ByHand>::clone(&clock)), clock }
        }

        fn at(&self, seconds: u64) -> Stamp {
            *self.clock.0.lock().unwrap() = Duration::from_secs(seconds);
            self.clock.now()
        }

        /// The second that is proved by a heartbeat whose server shows this second.
        fn beat(&self, seconds: u64, shown: u64) -> i64 {
            let now = self.at(seconds);
            alive(&self.life.beat(now, DateTime::from_timestamp(shown.cast_signed(), 0)))
        }
    }

    fn alive(update: &PlatformUpdate) -> i64 {
        match update {
            PlatformUpdate::Alive { at, .. } => at.timestamp(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_clock_that_stands_still_proves_no_life() {
        let rig = Rig::new();
        assert_eq!(rig.beat(0, 0), 0);
        assert_eq!(rig.beat(10, 10), 10);
        assert_eq!(rig.beat(20, 10), 10, "the same answer again");
        rig.at(25);
        assert_eq!(rig.life.event("pods"), None, "and events do not hide it");
        assert_eq!(rig.beat(30, 30), 30);
        rig.at(35);
        assert_eq!(rig.life.event("pods").as_ref().map(alive), Some(35));
    }

    #[test]
    fn a_watch_that_lost_its_bookmarks_makes_the_picture_old_though_the_server_answers() {
        let rig = Rig::new();
        rig.at(5);
        rig.life.bookmark("pods");
        assert_eq!(rig.beat(100, 100), 100);
        assert_eq!(rig.beat(150, 150), 5);
        rig.at(160);
        rig.life.bookmark("pods");
        assert_eq!(rig.beat(170, 170), 170);
    }

    #[test]
    fn without_bookmarks_silence_means_nothing() {
        let rig = Rig::new();
        rig.life.listed("pods");
        assert_eq!(rig.beat(1000, 1000), 1000);
    }

    #[test]
    fn skew_is_told_by_the_date() {
        let rig = Rig::new();
        let now = rig.at(0);
        let PlatformUpdate::Alive { skew, .. } = rig.life.beat(now, DateTime::from_timestamp(90, 0)) else { panic!() };
        assert_eq!(skew.unwrap().num_seconds(), 90);
    }
}
