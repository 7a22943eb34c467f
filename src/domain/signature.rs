//! What a signature says: who signed, or why that cannot be told.
//!
//! Signatures are OpenSSH's (`ssh-keygen -Y sign`): made with the key that somebody has anyway, for one purpose, its namespace.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Namespace of signatures of runbook files.
pub const RUNBOOK: &str = "runbook@gonogo";
/// Namespace of signatures of decisions.
pub const ANSWER: &str = "answer@gonogo";

/// Largest signature that is read, in bytes of its text form.
pub const LARGEST_SIGNATURE: usize = 64 * 1024;

/// Whose key made a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The person, as the list of allowed signers names them.
    pub who: String,
    /// The key's fingerprint: `SHA256:…`.
    pub key: String,
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.who, self.key)
    }
}

/// Why something does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// There is one, and no list that says whose keys count.
    #[error("it is signed ({key}), but nothing says whose keys count")]
    NobodyListed {
        /// The key's fingerprint.
        key: String,
    },
    /// Signature or list cannot be read.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The signature is no signature any more.
    #[error("its signature is damaged: {why}")]
    Damaged {
        /// What is wrong with it.
        why: String,
    },
    /// A signature for something else than this.
    #[error("its signature was made for {found:?} and not for {wanted:?}")]
    OtherPurpose {
        /// The signature's namespace.
        found: String,
        /// The namespace here.
        wanted: String,
    },
    /// The signature does not belong to this content.
    #[error("it is not what was signed by {}: it was changed since, or the signature is of something else", named(who.as_deref(), key))]
    Changed {
        /// The fingerprint of the key that the signature names.
        key: String,
        /// Whose key that is, where it is known.
        who: Option<String>,
    },
    /// Signed, by a key that is in no list.
    #[error("it is signed by a key that belongs to nobody who is allowed to sign ({key}){}", passed_over.as_ref().map_or(String::new(), |p| format!("; {p}")))]
    UnknownKey {
        /// The key's fingerprint.
        key: String,
        /// Lines of the list that could not be used.
        passed_over: Option<String>,
    },
    /// The key is listed, for other purposes.
    #[error("the key of {signer} is not accepted for {namespace}")]
    NotForThis {
        /// Whose key.
        signer: Signer,
        /// The namespace.
        namespace: String,
    },
    /// The key is not accepted any more.
    #[error("the key of {signer} was accepted until {}", moment(*until))]
    Expired {
        /// Whose key.
        signer: Signer,
        /// The last moment.
        until: DateTime<Utc>,
    },
    /// The key is not accepted yet.
    #[error("the key of {signer} is accepted from {} on", moment(*from))]
    NotYet {
        /// Whose key.
        signer: Signer,
        /// The first moment.
        from: DateTime<Utc>,
    },
    /// Signed by somebody else than who says so.
    #[error("it is signed by {signer} and not by {wanted}")]
    OtherPerson {
        /// Whose key.
        signer: Signer,
        /// Who it should be.
        wanted: String,
    },
    /// A kind of key that cannot be checked.
    #[error("signatures of {kind} keys cannot be checked ({key}); ed25519, ecdsa nistp256 and nistp384, and rsa with SHA-2 can")]
    Unsupported {
        /// The key's fingerprint.
        key: String,
        /// The kind of key.
        kind: String,
    },
}

fn named(who: Option<&str>, key: &str) -> String {
    who.map_or_else(|| key.to_owned(), |who| format!("{who} ({key})"))
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Unproven {
    /// One word for programs.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::NobodyListed { .. } => "unchecked",
            Self::Unreadable { .. } => "unreadable",
            Self::Damaged { .. } => "damaged",
            Self::OtherPurpose { .. } => "other-purpose",
            Self::Changed { .. } => "changed",
            Self::UnknownKey { .. } => "unknown-key",
            Self::NotForThis { .. } => "not-for-this",
            Self::Expired { .. } => "expired",
            Self::NotYet { .. } => "not-yet",
            Self::OtherPerson { .. } => "other-person",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    fn signer(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Unsigned | Self::Unreadable { .. } | Self::Damaged { .. } | Self::OtherPurpose { .. } => (None, None),
            Self::NobodyListed { key } | Self::UnknownKey { key, .. } | Self::Unsupported { key, .. } => (None, Some(key)),
            Self::Changed { key, who } => (who.as_deref(), Some(key)),
            Self::NotForThis { signer, .. }
            | Self::Expired { signer, .. }
            | Self::NotYet { signer, .. }
            | Self::OtherPerson { signer, .. } => (Some(&signer.who), Some(&signer.key)),
        }
    }
}

/// How a signature stood when it was checked, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// `signed`, or [`Unproven::state`].
    pub state: String,
    /// Whose key it is, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The key's fingerprint, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it does not count, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Standing {
    /// Of what was found.
    #[must_use]
    pub fn of(found: &Result<Signer, Unproven>) -> Self {
        match found {
            Ok(signer) => Self { state: "signed".into(), who: Some(signer.who.clone()), key: Some(signer.key.clone()), why: None },
            Err(why) => {
                let (who, key) = why.signer();
                Self { state: why.state().into(), who: who.map(str::to_owned), key: key.map(str::to_owned), why: Some(why.to_string()) }
            }
        }
    }

    /// Whether it counts.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.state == "signed"
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.why, &self.who) {
            (None, Some(who)) => write!(f, "signed by {}", named(Some(who), self.key.as_deref().unwrap_or("?"))),
            (why, _) => f.write_str(why.as_deref().unwrap_or(&self.state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_keeps_who_and_why_and_old_entries_without_are_read() {
        let signer = Signer { who: "ada".into(), key: "SHA256:abc".into() };
        let signed = Standing::of(&Ok(signer.clone()));
        assert_eq!((signed.to_string().as_str(), signed.is_signed()), ("signed by ada (SHA256:abc)", true));
        assert_eq!(serde_json::to_value(&signed).unwrap(), serde_json::json!({"state": "signed", "who": "ada", "key": "SHA256:abc"}));
        let until = DateTime::parse_from_rfc3339("2026-03-01T00:00:00Z").unwrap().to_utc();
        let expired = Standing::of(&Err(Unproven::Expired { signer, until }));
        let why = "the key of ada (SHA256:abc) was accepted until 2026-03-01T00:00:00Z";
        assert_eq!((expired.to_string().as_str(), expired.is_signed()), (why, false));
        let value = serde_json::json!({"state": "expired", "who": "ada", "key": "SHA256:abc", "why": why});
        assert_eq!(serde_json::from_value::<Standing>(value).unwrap(), expired);
        let bare: Standing = serde_json::from_value(serde_json::json!({"state": "unsigned"})).unwrap();
        assert!(!bare.is_signed());
    }
}
