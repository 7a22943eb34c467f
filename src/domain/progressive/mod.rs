//! Progressive delivery as its controller shows it: the steps of a rollout and where it stands, its analyses, and who moves traffic.
//!
//! Phases, weights and the outcome of analyses follow the documented rules of Argo Rollouts; nothing here is worked out from what we
//! asked for.

mod analysis;
mod packaged;
mod step;
mod watched;

pub use analysis::{Analysis, AnalysisMetric, AnalysisPhase, AnalysisRole, Counts, Limits, Measurement};
pub use packaged::{Packaged, PackagedRevision};
pub use step::{PauseFor, RolloutStep};
pub use watched::{FlaggerCanary, FlaggerHook, FlaggerMetric};

use super::action::RolloutPoint;
use super::traffic::Percent;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One change of what is known of progressive delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum ProgressiveUpdate {
    /// The rollout as it is now; `None` when there is no such object.
    Rollout(Option<Box<Progressive>>),
    /// All analyses of the rollout: replaces what was known.
    Analyses(Vec<Analysis>),
    /// An analysis, new or changed.
    Analysis(Box<Analysis>),
    /// An analysis was deleted.
    AnalysisGone {
        /// Its uid.
        uid: String,
    },
    /// Flagger's canary that steers this service; `None` when there is none.
    Flagger(Option<Box<FlaggerCanary>>),
    /// Packaged releases of the namespace that concern this service, newest revision first.
    Packaged(Vec<Packaged>),
}

impl ProgressiveUpdate {
    /// What a newer update of the same name replaces; `None` where each one counts, in its order.
    #[must_use]
    pub fn latest_only(&self) -> Option<&'static str> {
        match self {
            Self::Rollout(_) => Some("progressive/rollout"),
            Self::Flagger(_) => Some("progressive/flagger"),
            Self::Packaged(_) => Some("progressive/packaged"),
            Self::Analyses(_) | Self::Analysis(_) | Self::AnalysisGone { .. } => None,
        }
    }
}

/// What is known of progressive delivery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProgressivePicture {
    /// The rollout.
    pub rollout: Option<Progressive>,
    /// It was read at least once.
    pub read: bool,
    /// When the share that its steps ask for was seen to change last; absent while it has not.
    pub shifted: Option<DateTime<Utc>>,
    /// Its analyses by uid.
    pub analyses: BTreeMap<String, Analysis>,
    /// Flagger's canary.
    pub flagger: Option<FlaggerCanary>,
    /// Packaged releases.
    pub packaged: Vec<Packaged>,
}

/// Analyses that are kept: the controller keeps ten by default.
const ANALYSES: usize = 40;

impl ProgressivePicture {
    /// Takes a change in that was seen at `now`.
    pub fn take(&mut self, update: ProgressiveUpdate, now: DateTime<Utc>) {
        match update {
            ProgressiveUpdate::Rollout(rollout) => {
                let asked = |rollout: Option<&Progressive>| rollout.and_then(Progressive::asked);
                if self.rollout.is_some() && asked(self.rollout.as_ref()) != asked(rollout.as_deref()) {
                    self.shifted = Some(now);
                }
                self.rollout = rollout.map(|it| *it);
                self.read = true;
            }
            ProgressiveUpdate::Analyses(all) => self.analyses = all.into_iter().map(|it| (it.uid.clone(), it)).collect(),
            ProgressiveUpdate::Analysis(it) => {
                self.analyses.insert(it.uid.clone(), *it);
            }
            ProgressiveUpdate::AnalysisGone { uid } => {
                self.analyses.remove(&uid);
            }
            ProgressiveUpdate::Flagger(canary) => self.flagger = canary.map(|it| *it),
            ProgressiveUpdate::Packaged(all) => self.packaged = all,
        }
        while self.analyses.len() > ANALYSES {
            let oldest = self.analyses.values().min_by_key(|it| (it.phase.is_over(), it.started)).map(|it| it.uid.clone());
            let Some(uid) = oldest else { break };
            self.analyses.remove(&uid);
        }
    }

    /// Analyses of the version that is being rolled out now, newest first.
    #[must_use]
    pub fn current_analyses(&self) -> Vec<&Analysis> {
        let hash = self.rollout.as_ref().map(|rollout| rollout.newest.as_str());
        let ours = |it: &&Analysis| hash.is_none_or(|hash| it.revision.as_deref().is_none_or(|of| of == hash));
        let mut all: Vec<&Analysis> = self.analyses.values().filter(ours).collect();
        all.sort_by_key(|it| (std::cmp::Reverse(it.started), it.name.clone()));
        all
    }
}

/// The phase of a rollout, by the rules of its own client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutPhase {
    /// The version asked for serves everything.
    Healthy,
    /// On the way.
    Progressing,
    /// Waits at a pause.
    Paused,
    /// Aborted, invalid, or past its deadline.
    Degraded,
    /// A word that is not known.
    Other,
}

impl RolloutPhase {
    /// By the controller's word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "Healthy" => Self::Healthy,
            "Progressing" => Self::Progressing,
            "Paused" => Self::Paused,
            "Degraded" => Self::Degraded,
            _ => Self::Other,
        }
    }

    /// The controller's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Degraded => "Degraded",
            Self::Other => "?",
        }
    }
}

/// Why the controller waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseReason {
    /// Its word: `CanaryPauseStep`, `InconclusiveAnalysisRun`.
    pub reason: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
}

impl PauseReason {
    /// Nobody could tell whether the version is good.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        self.reason.starts_with("Inconclusive")
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self.reason.as_str() {
            "CanaryPauseStep" => "pause step",
            "BlueGreenPause" => "before the switch",
            "InconclusiveAnalysisRun" => "inconclusive analysis",
            "InconclusiveExperiment" => "inconclusive experiment",
            other => other,
        }
    }
}

/// Where the configured share comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightFrom {
    /// The controller wrote it into a router.
    Router,
    /// No router: instances of both versions share the requests, so their counts are the weights.
    Instances,
    /// All or nothing: a Service's selector.
    Selector,
}

impl WeightFrom {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Router => "by the router, as the controller wrote it",
            Self::Instances => "by count of instances (no router)",
            Self::Selector => "by the active Service",
        }
    }
}

/// How traffic is split now, by the controller's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutWeights {
    /// Relative weight of the new version.
    pub canary: u32,
    /// Relative weight of the version that served before.
    pub stable: u32,
    /// Relative weight of experiments and the like.
    pub others: u32,
    /// What it rests on.
    pub from: WeightFrom,
    /// Whether the controller could check the router; absent where it cannot.
    pub verified: Option<bool>,
}

/// A rollout that switches between two sets of instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueGreen {
    /// Service that takes the requests.
    pub active_service: String,
    /// Service that shows the new version beforehand.
    pub preview_service: Option<String>,
    /// Hash that the active Service selects.
    pub active: Option<String>,
    /// Hash that the preview Service selects.
    pub preview: Option<String>,
    /// It switches without being asked.
    pub auto_promotion: bool,
    /// So long after the new version is ready.
    pub auto_promotion_after: Option<Duration>,
}

/// A rollout as its controller shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progressive {
    /// `rollout/checkout`.
    pub object: String,
    /// Identity of the object.
    pub uid: String,
    /// Its phase.
    pub phase: RolloutPhase,
    /// The controller's words about it, cleaned.
    pub message: String,
    /// The controller has seen the latest specification.
    pub observed: bool,
    /// Its steps, for a canary.
    pub steps: Vec<RolloutStep>,
    /// The current step, from 0; the number of steps when all are done; absent where there are none.
    pub step: Option<u32>,
    /// Hash of the list of steps.
    pub step_hash: String,
    /// For a blue-green rollout.
    pub blue_green: Option<BlueGreen>,
    /// How traffic is split.
    pub weights: Option<RolloutWeights>,
    /// Hash of the version asked for.
    pub newest: String,
    /// Hash of the version that is proven.
    pub stable: String,
    /// Instances asked for.
    pub desired: u32,
    /// Instances that exist, both versions.
    pub replicas: u32,
    /// Instances of the version asked for.
    pub updated: u32,
    /// Instances that serve, both versions.
    pub available: u32,
    /// Why the controller waits.
    pub pauses: Vec<PauseReason>,
    /// The controller put itself on pause.
    pub controller_pause: bool,
    /// A person put it on pause (`spec.paused`).
    pub paused: bool,
    /// It was given up.
    pub aborted: bool,
    /// When.
    pub aborted_at: Option<DateTime<Utc>>,
    /// It runs past all steps.
    pub promote_full: bool,
    /// The object whose template it runs, where that is not its own: `deployment/checkout`.
    pub workload: Option<String>,
    /// Name of the analysis that the current step waits for.
    pub step_analysis: Option<String>,
    /// What is wrong with how it is set up, in words.
    pub remarks: Vec<String>,
}

impl Progressive {
    /// The version asked for is the one that is proven: no release is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.newest.is_empty() && self.newest == self.stable
    }

    /// The current step.
    #[must_use]
    pub fn current(&self) -> Option<&RolloutStep> {
        self.steps.get(self.step? as usize)
    }

    /// A person let it past its pause, and the controller has not moved on yet.
    #[must_use]
    pub fn is_unpausing(&self) -> bool {
        self.controller_pause && self.pauses.is_empty()
    }

    /// The canary's share that the steps ask for now: nothing when settled or given up, else the last weight up to the current step.
    #[must_use]
    pub fn asked(&self) -> Option<Percent> {
        if self.is_settled() || self.aborted {
            return Some(Percent::ZERO);
        }
        if let Some(blue) = &self.blue_green {
            let switched = blue.active.as_deref() == Some(self.newest.as_str());
            return Some(if switched { Percent::FULL } else { Percent::ZERO });
        }
        if self.promote_full || self.steps.is_empty() {
            return Some(Percent::FULL);
        }
        let step = self.step? as usize;
        if step >= self.steps.len() {
            return Some(Percent::FULL);
        }
        Some(self.steps[..=step].iter().rev().find_map(RolloutStep::weight).unwrap_or(Percent::ZERO))
    }

    /// Where it stops next once it goes past the current step: the canary's share there, and the step, which is the number of steps at
    /// the end. It stops at a pause and at everything that may end otherwise than well.
    #[must_use]
    pub fn next_stop(&self) -> (Percent, u32) {
        let count = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let mut weight = self.asked().unwrap_or(Percent::ZERO);
        let after = self.step.map_or(0, |step| step.saturating_add(1));
        for at in after..count {
            let step = &self.steps[at as usize];
            weight = step.weight().unwrap_or(weight);
            if step.stops() {
                return (weight, at);
            }
        }
        (Percent::FULL, count)
    }

    /// Where it stands, as far as promoting depends on it.
    #[must_use]
    pub fn point(&self, full: bool) -> RolloutPoint {
        let next = if full { Percent::FULL } else { self.next_stop().0 };
        RolloutPoint { revision: self.newest.clone(), step: self.step, steps: self.step_hash.clone(), next: Some(next) }
    }

    /// The canary's share as configured, in percent.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let weights = self.weights.as_ref()?;
        let sum = weights.canary + weights.stable + weights.others;
        (sum > 0).then(|| f64::from(weights.canary) * 100.0 / f64::from(sum))
    }

    /// A step for people, counted from 1: `step 3 of 6`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let (step, count) = (self.step? as usize, self.steps.len());
        (count > 0).then(|| if step >= count { format!("all {count} steps done") } else { format!("step {} of {count}", step + 1) })
    }

    /// How it is, short: `Paused at step 2 of 6, 20%`.
    #[must_use]
    pub fn shown(&self) -> String {
        let place = self.place().map(|place| format!(" at {place}")).unwrap_or_default();
        let share = self.share().map(|share| format!(", {share:.0}%")).unwrap_or_default();
        format!("{}{place}{share}", self.phase.word())
    }

    /// When the current pause ends by itself.
    #[must_use]
    pub fn pause_ends(&self) -> Option<DateTime<Utc>> {
        let Some(RolloutStep::Pause { lasts: PauseFor::Lasting(length) }) = self.current() else { return None };
        let since = self.pauses.iter().find(|pause| pause.reason == "CanaryPauseStep")?.since?;
        Some(since + chrono::TimeDelta::from_std(*length).ok()?)
    }

    /// It waits for a person: a pause without an end, an inconclusive analysis, a switch that is not automatic.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        !self.aborted && !self.is_settled() && !self.pauses.is_empty() && self.pause_ends().is_none()
    }
}

#[cfg(test)]
mod tests;
