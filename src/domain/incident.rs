//! Incidents: how bad one is, how often it is reported on, and who is called when.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: u64 = 60;

/// How bad it is. The order is that of the names: `P0 < P1`, and `P0` is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Everything stands still, or data is lost.
    P0,
    /// Many are hit; something important does not work.
    P1,
    /// Some are hit, or there is a way around it.
    P2,
    /// Hardly anybody notices.
    P3,
}

impl Severity {
    /// All of them, worst first.
    pub const ALL: [Self; 4] = [Self::P0, Self::P1, Self::P2, Self::P3];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::P0 => "everything stands still, or data is lost",
            Self::P1 => "many are hit, something important is down",
            Self::P2 => "some are hit, or there is a way around it",
            Self::P3 => "hardly anybody notices",
        }
    }

    /// A shape beside the word, so that it is never told by colour alone.
    #[must_use]
    pub fn bars(self) -> &'static str {
        match self {
            Self::P0 => "!!!!",
            Self::P1 => "!!!",
            Self::P2 => "!!",
            Self::P3 => "!",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.word().eq_ignore_ascii_case(text)).ok_or_else(|| "a severity is one of P0, P1, P2, P3".to_owned())
    }
}

/// One rung of the escalation ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// They have it so long after the declaration. Whoever stands at zero has it from the beginning.
    pub after: Duration,
    /// Who.
    pub who: String,
    /// How they are reached.
    pub how: Option<String>,
}

/// What the configuration says about incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// An update is due so long after the last one, by severity; never where absent.
    pub update: BTreeMap<Severity, Duration>,
    /// Who is called when, in the order of time.
    pub ladder: Vec<Rung>,
    /// The mildest severity for which the ladder is climbed.
    pub escalate: Severity,
}

impl Default for Rules {
    /// Updates every 15, 30 and 60 minutes; on-call, senior, manager and CTO after 0, 15, 30 and 60 minutes.
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * MINUTE);
        let rung = |after: u64, who: &str| Rung { after: minutes(after), who: who.to_owned(), how: None };
        Self {
            update: [(Severity::P0, 15), (Severity::P1, 30), (Severity::P2, 60)].map(|(s, m)| (s, minutes(m))).into(),
            ladder: vec![rung(0, "on-call engineer"), rung(15, "senior engineer"), rung(30, "engineering manager"), rung(60, "CTO")],
            escalate: Severity::P2,
        }
    }
}

/// When something is due, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Not yet.
    In(Duration),
    /// Now, or since then.
    Over(Duration),
}

impl Due {
    /// What is due `after` so long, when `elapsed` has passed.
    #[must_use]
    pub fn of(elapsed: Duration, after: Duration) -> Self {
        match after.checked_sub(elapsed) {
            Some(left) if !left.is_zero() => Self::In(left),
            _ => Self::Over(elapsed.saturating_sub(after)),
        }
    }

    /// Whether it should have happened by now.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// `due in 4m`, `due NOW`, `OVERDUE 3m`. What is left is rounded up and what is over down, so that neither promises time.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::In(left) if left.as_secs() < MINUTE => format!("due in {}s", left.as_millis().div_ceil(1000)),
            Self::In(left) => format!("due in {}", minutes(left.as_secs().div_ceil(MINUTE))),
            Self::Over(by) if by.as_secs() == 0 => "due NOW".to_owned(),
            Self::Over(by) if by.as_secs() < MINUTE => format!("OVERDUE {}s", by.as_secs()),
            Self::Over(by) => format!("OVERDUE {}", minutes(by.as_secs() / MINUTE)),
        }
    }
}

fn minutes(m: u64) -> String {
    match m {
        0..60 => format!("{m}m"),
        60..1440 => format!("{}h{:02}m", m / 60, m % 60),
        _ => format!("{}d{:02}h", m / 1440, m % 1440 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn it_is_due_at_its_moment_and_overdue_a_second_later() {
        let at = |elapsed: u64| Due::of(secs(elapsed), secs(900)).words();
        assert_eq!([at(0), at(659), at(660), at(841)], ["due in 15m", "due in 5m", "due in 4m", "due in 59s"]);
        assert_eq!([at(899), at(900), at(901), at(959), at(960)], ["due in 1s", "due NOW", "OVERDUE 1s", "OVERDUE 59s", "OVERDUE 1m"]);
        assert!(!Due::of(secs(899), secs(900)).is_over() && Due::of(secs(900), secs(900)).is_over());
        assert_eq!(Due::of(Duration::from_millis(899_999), secs(900)).words(), "due in 1s");
        assert_eq!(Due::of(secs(3 * 3600), secs(900)).words(), "OVERDUE 2h45m");
    }

    #[test]
    fn severities_are_read_as_people_write_them_and_worst_comes_first() {
        assert_eq!("p1".parse(), Ok(Severity::P1));
        assert!("P4".parse::<Severity>().is_err() && "1".parse::<Severity>().is_err());
        assert!(Severity::P0 < Severity::P3);
        assert_eq!(serde_json::to_value(Severity::P2).unwrap(), "P2");
    }
}
