//! Which process holds a seat, and whether it certainly runs no more.
//!
//! A process id alone says little: ids are used again, and mean something else in another container. So the seat records
//! the process's start time, the boot of the machine and the id space too, where the system tells them.

use rusqlite::Row;

/// A process, as recorded with the seat it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Name of the machine.
    pub(super) host: String,
    /// Its id there.
    pub(super) pid: u32,
    /// Boot of the machine; Linux only.
    pub(super) boot: Option<String>,
    /// Name space that the id belongs to; Linux only.
    pub(super) space: Option<String>,
    /// When it started, in the kernel's ticks since boot; Linux only.
    pub(super) start: Option<u64>,
}

enum Found {
    Gone,
    Running { start: Option<u64> },
    Unknown,
}

impl Process {
    /// The process with this id on this machine.
    pub(super) fn on_this_machine(host: String, pid: u32) -> Self {
        let start = match look(pid) {
            Found::Running { start } => start,
            Found::Gone | Found::Unknown => None,
        };
        Self { host, pid, boot: boot(), space: space(), start }
    }

    /// From the columns of a seat.
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            host: row.get("host")?,
            pid: row.get("pid")?,
            boot: row.get("machine_boot")?,
            space: row.get("pid_space")?,
            start: row.get::<_, Option<i64>>("pid_start")?.and_then(|n| u64::try_from(n).ok()),
        })
    }

    /// Whether `other` certainly does not run any more. False when it runs, and when that cannot be told from here.
    pub(super) fn sees_dead(&self, other: &Self) -> bool {
        if other.host != self.host {
            return false;
        }
        if let (Some(here), Some(there)) = (&self.boot, &other.boot)
            && here != there
        {
            // The database needs one host: another boot under the same name is this machine before its restart.
            return true;
        }
        if other.space != self.space {
            return false;
        }
        match look(other.pid) {
            Found::Gone => true,
            Found::Running { start: Some(now) } => other.start.is_some_and(|then| then != now),
            Found::Running { start: None } | Found::Unknown => false,
        }
    }
}

#[cfg(unix)]
fn look(pid: u32) -> Found {
    let Some(id) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return Found::Unknown;
    };
    match rustix::process::test_kill_process(id) {
        Err(rustix::io::Errno::SRCH) => Found::Gone,
        // Another user's process runs all the same.
        Ok(()) | Err(rustix::io::Errno::PERM) => details(pid),
        Err(_) => Found::Unknown,
    }
}

#[cfg(not(unix))]
fn look(_pid: u32) -> Found {
    Found::Unknown
}

#[cfg(target_os = "linux")]
fn details(pid: u32) -> Found {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().as_deref().and_then(state_and_start) {
        // A zombie has ended; only its parent has not looked yet.
        Some(('Z' | 'X' | 'x', _)) => Found::Gone,
        Some((_, start)) => Found::Running { start: Some(start) },
        None => Found::Running { start: None },
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn details(_pid: u32) -> Found {
    Found::Running { start: None }
}

/// Fields 3 (state) and 22 (start time) of `/proc/<pid>/stat`. The name in field 2 may hold blanks and parentheses.
#[cfg(target_os = "linux")]
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(target_os = "linux")]
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().chars().take(64).collect())
}

#[cfg(target_os = "linux")]
fn space() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().chars().take(64).collect())
}

#[cfg(not(target_os = "linux"))]
fn boot() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn space() -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn here() -> Process {
        Process::on_this_machine("box".into(), std::process::id())
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) R (b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0";
        assert_eq!(state_and_start(stat), Some(('S', 987_654)));
        assert_eq!(state_and_start("42 (a"), None);
    }

    #[test]
    fn an_id_that_was_used_again_is_a_dead_holder() {
        let ours = here();
        assert!(ours.start.is_some());
        assert!(!ours.sees_dead(&ours));
        assert!(ours.sees_dead(&Process { start: Some(ours.start.unwrap() + 1), ..here() }));
    }

    #[test]
    fn only_what_can_be_told_from_here_counts_as_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let dead = Process { pid, start: Some(1), ..here() };
        assert!(here().sees_dead(&dead));
        assert!(!here().sees_dead(&Process { host: "elsewhere".into(), ..dead.clone() }));
        assert!(!here().sees_dead(&Process { space: Some("pid:[1]".into()), ..dead.clone() }));
        assert!(here().sees_dead(&Process { boot: Some("an earlier boot".into()), ..here() }));
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let held = Process::on_this_machine("box".into(), child.id());
        assert!(!here().sees_dead(&held));
        child.kill().unwrap();
        // Not waited for: it stays a zombie as soon as the kernel has ended it.
        while !here().sees_dead(&held) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
