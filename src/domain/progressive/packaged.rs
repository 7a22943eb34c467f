//! Releases of a package (Helm), as the cluster keeps them: numbers and states, never what was installed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One revision of a packaged release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagedRevision {
    /// Its number.
    pub number: u64,
    /// Helm's word: `deployed`, `superseded`, `failed`, `pending-rollback`.
    pub status: String,
    /// When it was written.
    pub at: Option<DateTime<Utc>>,
}

/// One packaged release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packaged {
    /// Its name.
    pub name: String,
    /// Its revisions, newest first, bounded.
    pub revisions: Vec<PackagedRevision>,
}

impl Packaged {
    /// The newest revision.
    #[must_use]
    pub fn newest(&self) -> Option<&PackagedRevision> {
        self.revisions.first()
    }

    /// The revision that serves.
    #[must_use]
    pub fn deployed(&self) -> Option<&PackagedRevision> {
        self.revisions.iter().find(|revision| revision.status == "deployed")
    }

    /// Somebody's change is under way, or was cut off.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.newest().is_some_and(|newest| newest.status.starts_with("pending-"))
    }
}
