//! Steps of a canary.

use crate::domain::text::span;
use crate::domain::traffic::Percent;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long a pause lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseFor {
    /// Until a person goes on.
    Ever,
    /// So long.
    Lasting(Duration),
    /// A text that is no duration.
    Unreadable(String),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum RolloutStep {
    /// Send this share to the canary.
    SetWeight {
        /// The share.
        weight: Percent,
    },
    /// Wait.
    Pause {
        /// How long.
        lasts: PauseFor,
    },
    /// Wait for an analysis.
    Analysis {
        /// Names of its templates.
        templates: Vec<String>,
    },
    /// Run versions side by side.
    Experiment {
        /// Names of its templates.
        templates: Vec<String>,
    },
    /// So many instances of the canary, whatever its weight.
    SetCanaryScale {
        /// In words: `3 instances`, `25% of instances`, `as many as the weight asks for`.
        to: String,
    },
    /// Requests with a header go to the canary, whatever its weight.
    SetHeaderRoute {
        /// Name of the route and what it matches, in words.
        what: String,
    },
    /// A share of requests is copied to the canary.
    SetMirrorRoute {
        /// Name of the route and the share, in words.
        what: String,
    },
    /// A plug-in decides.
    Plugin {
        /// Its name.
        name: String,
    },
    /// A kind of step that is not known.
    Unknown {
        /// Its key.
        key: String,
    },
}

impl RolloutStep {
    /// The share it sets.
    #[must_use]
    pub fn weight(&self) -> Option<Percent> {
        match self {
            Self::SetWeight { weight } => Some(*weight),
            _ => None,
        }
    }

    /// The rollout may stay here: it is not over as soon as instances are ready.
    #[must_use]
    pub fn stops(&self) -> bool {
        !matches!(self, Self::SetWeight { .. } | Self::SetCanaryScale { .. } | Self::SetHeaderRoute { .. } | Self::SetMirrorRoute { .. })
    }

    /// Something runs at this step that promoting would skip.
    #[must_use]
    pub fn runs(&self) -> Option<&'static str> {
        match self {
            Self::Analysis { .. } => Some("analysis"),
            Self::Experiment { .. } => Some("experiment"),
            Self::Plugin { .. } => Some("plug-in"),
            _ => None,
        }
    }
}

impl fmt::Display for RolloutStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight { weight } => write!(f, "canary {weight}%"),
            Self::Pause { lasts: PauseFor::Ever } => f.write_str("pause until promoted"),
            Self::Pause { lasts: PauseFor::Lasting(length) } => write!(f, "pause {}", span(*length)),
            Self::Pause { lasts: PauseFor::Unreadable(text) } => write!(f, "pause `{text}` (no duration)"),
            Self::Analysis { templates } => write!(f, "analysis {}", templates.join(", ")),
            Self::Experiment { templates } => write!(f, "experiment {}", templates.join(", ")),
            Self::SetCanaryScale { to } => write!(f, "canary scale: {to}"),
            Self::SetHeaderRoute { what } => write!(f, "header route {what}"),
            Self::SetMirrorRoute { what } => write!(f, "mirror {what}"),
            Self::Plugin { name } => write!(f, "plug-in {name}"),
            Self::Unknown { key } => write!(f, "{key} (not known here)"),
        }
    }
}
