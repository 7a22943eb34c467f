//! What an outside call can answer when it does not succeed.

use serde::{Deserialize, Serialize};

/// A call to the outside that did not give what was asked.
///
/// The question that matters for a write is whether it may have taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Failure {
    /// Nothing left this machine: no connection, no credentials, refused before sending. Certainly not applied.
    #[error("not sent: {why}")]
    NotSent {
        /// Operation, target and cause, as a lower-case fragment.
        why: String,
    },
    /// The other side refused before doing anything (400, 401, 403, 404, 409, 410, 413, 415, 422, 429). Certainly not applied.
    #[error("refused ({code}): {why}")]
    Refused {
        /// HTTP status or its like.
        code: u16,
        /// What kind of refusal it is.
        reason: Refusal,
        /// Operation, target and the server's words.
        why: String,
    },
    /// The answer was lost or says nothing (408, 5xx, time-out, reset, cut body). A write may or may not have been applied.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// Operation, target and cause.
        why: String,
    },
    /// An answer came, but cannot be read as what was asked for.
    #[error("unreadable answer: {why}")]
    Unreadable {
        /// Operation, target and what was wrong with it.
        why: String,
    },
}

/// Kinds of refusal that are handled apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// 401: log in.
    Login,
    /// 403: a right is missing.
    Right,
    /// 404: no such object.
    Missing,
    /// 409, 412, or a failed `test` of a patch: it changed under us.
    Conflict,
    /// 410: what we knew has expired; list again.
    Expired,
    /// 429: too many requests; later.
    Throttled,
    /// Everything else that is certainly not applied.
    Other,
}

impl Failure {
    /// For a write: whether it is certain that nothing was applied.
    #[must_use]
    pub fn certainly_not_applied(&self) -> bool {
        matches!(self, Self::NotSent { .. } | Self::Refused { .. })
    }

    /// What the login prompt should say, when this failure is about a login.
    #[must_use]
    pub fn login(&self) -> Option<&str> {
        match self {
            Self::Refused { reason: Refusal::Login, why, .. } => Some(why),
            _ => None,
        }
    }

    /// Classifies an HTTP status that is not a success. `why` names operation, target and the server's words.
    #[must_use]
    pub fn from_status(code: u16, why: String) -> Self {
        let reason = match code {
            401 => Refusal::Login,
            403 => Refusal::Right,
            404 => Refusal::Missing,
            409 | 412 => Refusal::Conflict,
            410 => Refusal::Expired,
            429 => Refusal::Throttled,
            400 | 405 | 406 | 413 | 414 | 415 | 422 => Refusal::Other,
            _ => return Self::Unknown { why },
        };
        Self::Refused { code, reason, why }
    }
}
