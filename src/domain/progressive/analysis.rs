//! Analyses: what was measured, against what, and whether "successful" rests on anything.

use crate::domain::verdict::Verdict;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What an analysis belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnalysisRole {
    /// A step waits for it.
    Step,
    /// It runs beside the steps.
    Background,
    /// Before a switch.
    PrePromotion,
    /// After a switch.
    PostPromotion,
    /// Not told.
    Other,
}

impl AnalysisRole {
    /// By the label `rollout-type`.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "Step" => Self::Step,
            "Background" => Self::Background,
            "PrePromotion" => Self::PrePromotion,
            "PostPromotion" => Self::PostPromotion,
            _ => Self::Other,
        }
    }

    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Background => "background",
            Self::PrePromotion => "before the switch",
            Self::PostPromotion => "after the switch",
            Self::Other => "analysis",
        }
    }
}

/// Phase of an analysis, of one of its metrics, or of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnalysisPhase {
    /// Not begun.
    Pending,
    /// Goes on.
    Running,
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Could not measure.
    Error,
    /// Neither good nor bad.
    Inconclusive,
    /// Nothing known.
    Unknown,
}

impl AnalysisPhase {
    /// By the controller's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Successful" => Self::Successful,
            "Failed" => Self::Failed,
            "Error" => Self::Error,
            "Inconclusive" => Self::Inconclusive,
            _ => Self::Unknown,
        }
    }

    /// The controller's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Inconclusive => "Inconclusive",
            Self::Unknown => "?",
        }
    }

    /// It does not change any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Error | Self::Inconclusive)
    }
}

/// How measurements came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Good.
    pub successful: u64,
    /// Bad.
    pub failed: u64,
    /// Neither.
    pub inconclusive: u64,
    /// Could not measure.
    pub error: u64,
}

/// Limits of a metric, with the controller's defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Measurements that are taken; without end when absent.
    pub count: Option<u64>,
    /// More bad ones than this fail it; negative: never.
    pub failures: i64,
    /// More undecided ones than this make it inconclusive; negative: never.
    pub inconclusive: i64,
    /// More errors in a row than this end it with an error; negative: never.
    pub errors: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { count: Some(1), failures: 0, inconclusive: 0, errors: 4 }
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// When it was finished, or begun.
    pub at: Option<DateTime<Utc>>,
    /// How it came out.
    pub phase: AnalysisPhase,
    /// The value as the controller wrote it, cleaned and bounded.
    pub value: String,
    /// Why, where it is said.
    pub message: String,
}

/// One metric of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalysisMetric {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub phase: AnalysisPhase,
    /// Why, where it is said.
    pub message: String,
    /// It is only tried: its outcome counts for nothing.
    pub dry_run: bool,
    /// Good when this holds.
    pub success: Option<String>,
    /// Bad when this holds.
    pub failure: Option<String>,
    /// How measurements came out.
    pub counts: Counts,
    /// Errors in a row.
    pub errors_in_a_row: u64,
    /// Limits.
    pub limits: Limits,
    /// Measurements, oldest first, bounded.
    pub measurements: Vec<Measurement>,
}

impl AnalysisMetric {
    /// Called successful without one good measurement.
    #[must_use]
    pub fn is_vacuous(&self) -> bool {
        !self.dry_run && self.phase == AnalysisPhase::Successful && self.counts.successful == 0
    }

    /// What is asked of a value: `good: result[0] < 0.01`.
    #[must_use]
    pub fn conditions(&self) -> String {
        match (&self.success, &self.failure) {
            (Some(good), Some(bad)) => format!("good: {good}  bad: {bad}"),
            (Some(good), None) => format!("good: {good}"),
            (None, Some(bad)) => format!("bad: {bad}"),
            (None, None) => "no condition: every value is good".to_owned(),
        }
    }

    /// The newest measurement.
    #[must_use]
    pub fn latest(&self) -> Option<&Measurement> {
        self.measurements.last()
    }
}

/// One run of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// Identity.
    pub uid: String,
    /// Name of the AnalysisRun.
    pub name: String,
    /// What it belongs to.
    pub role: AnalysisRole,
    /// The step, from 0.
    pub step: Option<u32>,
    /// Hash of the version it looks at.
    pub revision: Option<String>,
    /// How it stands.
    pub phase: AnalysisPhase,
    /// Why, where it is said.
    pub message: String,
    /// When it began.
    pub started: Option<DateTime<Utc>>,
    /// Its metrics.
    pub metrics: Vec<AnalysisMetric>,
}

impl Analysis {
    /// Metrics that are called successful without one good measurement; of a run that is successful without any metric its own name.
    #[must_use]
    pub fn vacuous(&self) -> Vec<&str> {
        if self.phase != AnalysisPhase::Successful {
            return vec![];
        }
        let counted: Vec<&AnalysisMetric> = self.metrics.iter().filter(|metric| !metric.dry_run).collect();
        if counted.is_empty() {
            return vec![&self.name];
        }
        // A run that is ended early calls itself successful, and leaves its metrics as they were.
        let empty = |metric: &&AnalysisMetric| metric.is_vacuous() || metric.counts.successful == 0;
        counted.into_iter().filter(empty).map(|metric| metric.name.as_str()).collect()
    }

    /// What it says about going on.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.phase {
            AnalysisPhase::Failed | AnalysisPhase::Error => Verdict::NoGo,
            AnalysisPhase::Inconclusive => Verdict::Hold,
            AnalysisPhase::Successful if !self.vacuous().is_empty() => Verdict::Watch,
            _ => Verdict::Go,
        }
    }
}
