//! Flagger's Canary: shown, never written.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One metric that Flagger checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggerMetric {
    /// Its name.
    pub name: String,
    /// Good from here on.
    pub min: Option<String>,
    /// Good up to here.
    pub max: Option<String>,
    /// How far back it looks.
    pub interval: String,
}

/// One webhook that Flagger calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggerHook {
    /// Its name.
    pub name: String,
    /// When it is called: `confirm-promotion`.
    pub kind: String,
}

/// A canary as Flagger shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlaggerCanary {
    /// `canary/checkout`.
    pub object: String,
    /// `deployment/checkout`.
    pub target: String,
    /// Deployment that serves between releases.
    pub primary: String,
    /// What splits traffic: `istio`.
    pub provider: String,
    /// Its phase, in Flagger's word.
    pub phase: String,
    /// Share of the canary in percent.
    pub weight: u32,
    /// Checks that failed in a row of steps.
    pub failed_checks: u32,
    /// So many failed checks roll back.
    pub threshold: u32,
    /// Checks done, where it counts them instead of weights.
    pub iterations: u32,
    /// Growth of the share.
    pub step_weight: Option<u32>,
    /// The share is not grown further.
    pub max_weight: Option<u32>,
    /// Time between checks.
    pub interval: Option<Duration>,
    /// It does nothing at present.
    pub suspended: bool,
    /// It promotes without checks.
    pub skip_analysis: bool,
    /// When its phase changed last.
    pub since: Option<DateTime<Utc>>,
    /// Its words about the phase, cleaned.
    pub message: String,
    /// Metrics that it checks.
    pub metrics: Vec<FlaggerMetric>,
    /// Webhooks that it calls.
    pub hooks: Vec<FlaggerHook>,
}

impl FlaggerCanary {
    /// It moves traffic now.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        matches!(self.phase.as_str(), "Progressing" | "WaitingPromotion" | "Promoting" | "Finalising")
    }

    /// It waits for somebody to open a gate.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.phase.as_str(), "Waiting" | "WaitingPromotion")
    }

    /// It gave the new version up.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.phase == "Failed"
    }
}
