//! Values from outside carry the age of the sample, never of the fetch.

use super::ids::SourceId;
use super::time::age;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A value seen outside: what, when it was true there, and who said so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed<T> {
    /// What was seen.
    pub value: T,
    /// When it was true: the time of the newest sample, or of the last proof of life of a watch.
    pub at: DateTime<Utc>,
    /// The connection that said so.
    pub source: SourceId,
}

/// How far data can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// The newest sample is at most two intervals old.
    Live,
    /// Older, but at most three intervals or 30 s.
    Late,
    /// Older than that: the value says nothing about now.
    Stale,
    /// The source answers, but has no such sample.
    NoData,
    /// The source does not answer.
    Lost,
    /// The source wants a login.
    Auth,
}

impl Freshness {
    /// LIVE, LATE or STALE by the age of the newest sample.
    #[must_use]
    pub fn of(sample_age: Duration, interval: Duration) -> Self {
        if sample_age <= interval * 2 {
            Self::Live
        } else if sample_age <= (interval * 3).max(Duration::from_secs(30)) {
            Self::Late
        } else {
            Self::Stale
        }
    }

    /// Whether a value may count in a gate.
    #[must_use]
    pub fn usable(self) -> bool {
        matches!(self, Self::Live | Self::Late)
    }

    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Late => "LATE",
            Self::Stale => "STALE",
            Self::NoData => "NO DATA",
            Self::Lost => "LOST",
            Self::Auth => "AUTH",
        }
    }
}

/// What is known of a connection: the newest sample it gave, and how its last attempts ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// The connection.
    pub source: SourceId,
    /// A short name for narrow screens: `k8s`, `prom`.
    pub short: String,
    /// How often it gives a sample: the scrape interval, or the heartbeat of a watch.
    pub interval: Duration,
    /// Time of the newest sample it ever gave.
    pub newest: Option<DateTime<Utc>>,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// When the next attempt is due.
    pub next_attempt: Option<DateTime<Utc>>,
    /// Why the last attempt failed, for people; `None` after a success.
    pub trouble: Option<String>,
    /// The last failure was a refused login; the text says how to log in.
    pub login: Option<String>,
}

impl SourceHealth {
    /// A connection that has not answered yet.
    #[must_use]
    pub fn new(source: SourceId, short: &str, interval: Duration) -> Self {
        Self { source, short: short.to_owned(), interval, newest: None, failures: 0, next_attempt: None, trouble: None, login: None }
    }

    /// Its state now. LOST needs two failed attempts and a newest sample older than a minute.
    #[must_use]
    pub fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        if self.login.is_some() {
            return Freshness::Auth;
        }
        let sample_age = self.newest.map(|at| age(now, at));
        match sample_age {
            None if self.failures >= 2 => Freshness::Lost,
            None => Freshness::NoData,
            Some(old) if self.failures >= 2 && old > Duration::from_secs(60) => Freshness::Lost,
            Some(old) => Freshness::of(old, self.interval),
        }
    }
}
