//! The machine's own clocks.

use crate::domain::{Clock, Stamp};
use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Wall, boot and monotonic clock of this machine.
#[derive(Debug, Clone)]
pub struct SystemClock {
    boot_id: String,
}

impl SystemClock {
    /// Reads which boot this is.
    #[must_use]
    pub fn new() -> Self {
        let of_process = |_| format!("process-{}", std::process::id());
        // Without a boot id only this process can compare boot readings.
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(of_process, |s| s.trim().to_owned());
        Self { boot_id }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

fn read(id: ClockId) -> Duration {
    let t = clock_gettime(id);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// `CLOCK_BOOTTIME` goes on in sleep. Where there is none the monotonic clock has to do.
fn boot() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        read(ClockId::Boottime)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        read(ClockId::Monotonic)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters the program")]
    fn now(&self) -> Stamp {
        Stamp { wall: DateTime::<Utc>::from(std::time::SystemTime::now()), boot: boot(), mono: read(ClockId::Monotonic) }
    }

    fn boot_id(&self) -> String {
        self.boot_id.clone()
    }
}

/// Notices that the machine slept or its wall clock jumped.
#[derive(Debug)]
pub(super) struct WakeWatch {
    clock: SystemClock,
    last: Stamp,
}

impl WakeWatch {
    /// A jump of more than this is worth telling.
    const LEAST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        let clock = SystemClock::new();
        let last = clock.now();
        Self { clock, last }
    }

    /// What happened since the last call, for people.
    pub(super) fn check(&mut self) -> Option<String> {
        let now = self.clock.now();
        let was = std::mem::replace(&mut self.last, now);
        jump(&was, &now)
    }
}

/// Sleep shows as boot time that outran monotonic time; a set clock as wall time that outran boot time.
fn jump(was: &Stamp, now: &Stamp) -> Option<String> {
    let boot = now.boot.saturating_sub(was.boot);
    let slept = boot.saturating_sub(now.mono.saturating_sub(was.mono));
    if slept > WakeWatch::LEAST {
        return Some(format!("asleep {}", crate::domain::text::span(slept)));
    }
    let wall_ms = (now.wall - was.wall).num_milliseconds();
    let off = wall_ms - i64::try_from(boot.as_millis()).unwrap_or(i64::MAX);
    if off.unsigned_abs() > WakeWatch::LEAST.as_millis() as u64 {
        let by = crate::domain::text::span(Duration::from_millis(off.unsigned_abs()));
        return Some(format!("clock jumped {by} {}", if off > 0 { "ahead" } else { "back" }));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(wall: i64, boot: u64, mono: u64) -> Stamp {
        Stamp { wall: DateTime::from_timestamp(wall, 0).unwrap(), boot: Duration::from_secs(boot), mono: Duration::from_secs(mono) }
    }

    #[test]
    fn sleep_and_set_clocks_are_told_apart() {
        let was = stamp(1000, 100, 50);
        assert_eq!(jump(&was, &stamp(1002, 102, 52)), None);
        assert_eq!(jump(&was, &stamp(1842, 942, 52)).unwrap(), "asleep 14m00s");
        assert_eq!(jump(&was, &stamp(1062, 102, 52)).unwrap(), "clock jumped 1m00s ahead");
        assert_eq!(jump(&was, &stamp(942, 102, 52)).unwrap(), "clock jumped 1m00s back");
    }

    #[test]
    fn the_clocks_of_this_machine_go_forward() {
        let clock = SystemClock::new();
        let (a, b) = (clock.now(), clock.now());
        assert!(b.boot >= a.boot && b.mono >= a.mono);
        assert!(a.boot >= a.mono || a.mono.saturating_sub(a.boot) < Duration::from_secs(1), "boot time includes sleep");
    }
}
