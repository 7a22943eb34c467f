//! The verdict: one word for may-we-go-on, and its order.

use serde::{Deserialize, Serialize};
use std::fmt;

/// May we go on? Ordered so that the greatest is the worst: combining is `max`.
///
/// A known NO-GO stays NO-GO even when other evidence is missing, so NO-GO is above UNKNOWN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All evidence is good.
    Go,
    /// Good, but within 90 to 100 % of a limit. Never blocks; the prompt names it.
    Watch,
    /// Waiting: for a bake, a person, a settling shift.
    Hold,
    /// Evidence is missing or stale.
    Unknown,
    /// Evidence is bad.
    NoGo,
}

impl Verdict {
    /// The worst of several; GO of none.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max().unwrap_or(Self::Go)
    }

    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Watch => "WATCH",
            Self::Hold => "HOLD",
            Self::Unknown => "UNKNOWN",
            Self::NoGo => "NO-GO",
        }
    }

    /// Whether moving forward is allowed on this verdict.
    #[must_use]
    pub fn permits_go(self) -> bool {
        matches!(self, Self::Go | Self::Watch)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
