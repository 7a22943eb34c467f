//! How dangerous an act is, and what must be typed.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Danger of a command or an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Danger {
    /// Look, filter, copy; and hold, which is always safe.
    L0,
    /// Small and reversible at once: `y`.
    L1,
    /// Moves production, the undo is known: type the consequence.
    L2,
    /// Overrides a NO-GO or cannot be undone.
    L3,
}

impl Danger {
    /// How long a prompt of this level ignores keys after it opened.
    #[must_use]
    pub fn guard(self) -> Duration {
        match self {
            Self::L0 => Duration::ZERO,
            Self::L1 => Duration::from_millis(300),
            Self::L2 => Duration::from_millis(700),
            Self::L3 => Duration::from_secs(3),
        }
    }

    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }
}

/// What a runbook asks to be typed before a step acts. Ordered: policy can raise it, never lower it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Nothing.
    None,
    /// `y`.
    Yes,
    /// The consequence: the new weight, the revision, the count.
    Consequence,
    /// `service@environment`, a reason, and a second person.
    Override,
}

/// How an environment is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Production: starts in OBSERVE, arming is explicit. `#PROD#`
    Protected,
    /// Shared with others. `[staging]`
    Shared,
    /// One's own. `(dev)`
    Private,
}
