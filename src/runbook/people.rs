//! Who may answer what: roles, and the gates at which several people agree.

use crate::domain::millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A role of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Role {
    /// At least so many of its people have to say go in a poll.
    pub min: u32,
    /// Its people, as known when the run was started: ids of the journal's actors.
    pub members: Vec<String>,
}

/// People agree to what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve {
    /// How many of each role.
    pub need: BTreeMap<String, u32>,
    /// One person counts once, whatever roles they have.
    pub distinct: bool,
    /// Whoever drives counts too.
    pub driver_counts: bool,
    /// An approval older than this does not count.
    #[serde(with = "millis")]
    pub expires: Duration,
}

/// A go/no-go poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Positions in the order in which they are called, the decider's left out.
    pub roles: Vec<String>,
    /// Says go last, for all.
    pub decider: Option<String>,
    /// One person counts for one position only.
    pub distinct: bool,
    /// An answer older than this does not count.
    #[serde(with = "millis")]
    pub expires: Duration,
}

/// Who may end a wait early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shorten {
    /// The role; whoever drives when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Not before it counted so long.
    #[serde(with = "millis")]
    pub min: Duration,
}
