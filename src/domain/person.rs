//! People: who takes part, how strongly it is known who somebody is, and what an environment asks of them.

use serde::{Deserialize, Serialize};

/// What the program does by itself is journaled under this name: nobody else may have it.
pub const PROGRAM: &str = "gonogo";

/// Longest name of a person, in characters.
pub const LONGEST_NAME: usize = 64;

/// Somebody who may answer. Roles of a runbook are filled by id or by group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What stands in the journal: the actor's id.
    pub id: String,
    /// For people; the id where the configuration does not say.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
}

/// How strongly it is known who somebody is, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// They said so.
    #[default]
    Asserted,
    /// A signature by a key that is known to be theirs.
    Signed,
    /// The store enforced it.
    Verified,
}

impl Strength {
    /// The word in the journal and on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asserted => "asserted",
            Self::Signed => "signed",
            Self::Verified => "verified",
        }
    }

    /// By its word. What is not known is as weak as can be.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        [Self::Signed, Self::Verified].into_iter().find(|strength| strength.word() == word).unwrap_or_default()
    }
}

/// What an environment or a service asks for. It raises what a runbook asks, never lowers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Only runbook files that a known key has signed are run.
    pub require_signed: bool,
    /// How strongly an answer's author has to be known for it to count.
    pub need_identity: Strength,
}

impl Policy {
    /// The stricter of both, in each point.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { require_signed: self.require_signed || other.require_signed, need_identity: self.need_identity.max(other.need_identity) }
    }
}

/// What is wrong with a name that somebody gives for themselves; `None` when it can stand in the journal.
#[must_use]
pub fn unfit(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("is empty")
    } else if name.trim() != name {
        Some("begins or ends with a blank")
    } else if name.chars().count() > LONGEST_NAME {
        Some("is longer than 64 characters")
    } else if super::text::clean(name) != name {
        Some("has characters in it that cannot be shown")
    } else if name.eq_ignore_ascii_case(PROGRAM) {
        Some("is kept for what the program does by itself")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_mislead_are_unfit() {
        let fits = ["ada", "ada@example.com", "Ada Lovelace", "gonogo-bot"];
        assert_eq!(fits.map(unfit), [None; 4]);
        for name in ["", " ", " ada", "GoNoGo", "a\u{1b}[2Jb", "ad\u{200b}a", &"a".repeat(65)] {
            assert!(unfit(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn policies_only_raise_each_other() {
        let signed = Policy { require_signed: true, need_identity: Strength::Asserted };
        let known = Policy { require_signed: false, need_identity: Strength::Signed };
        let both = Policy { require_signed: true, need_identity: Strength::Signed };
        assert_eq!((signed.and(known), known.and(signed), both.and(Policy::default())), (both, both, both));
        let order = ["asserted", "signed", "verified", "?"].map(Strength::of_word);
        assert_eq!(order, [Strength::Asserted, Strength::Signed, Strength::Verified, Strength::Asserted]);
        assert!(order[0] < order[1] && order[1] < order[2]);
    }
}
