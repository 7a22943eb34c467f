//! Conditions on what the platform shows and on what fires: what *good* is, without a query.

use super::alert::Alert;
use super::series::Labels;
use super::traffic::Percent;
use super::workload::Track;
use serde::{Deserialize, Serialize};

/// A condition on what the platform shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlatformCondition {
    /// The service it is about; the run's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Which side; both when absent.
    pub track: Option<Track>,
    /// All instances asked for are ready.
    pub ready_all: bool,
    /// At least so many instances are ready.
    pub min_replicas: Option<u32>,
    /// No instance restarted more often since the run began.
    pub restarts_max: Option<u32>,
    /// Every instance that is ready runs this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A workload is asked to run this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_present: Option<String>,
    /// The canary's share as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// The platform's own progress is paused, or is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

impl PlatformCondition {
    /// Whether it is about instances: then a side that runs none says nothing.
    #[must_use]
    pub fn is_about_instances(&self) -> bool {
        self.ready_all || self.min_replicas.is_some() || self.restarts_max.is_some() || self.version.is_some()
    }

    /// What good looks like, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.ready_all {
            parts.push("all ready".to_owned());
        }
        parts.extend(self.min_replicas.map(|n| format!("at least {n} ready")));
        parts.extend(self.restarts_max.map(|n| format!("at most {n} restarts")));
        parts.extend(self.version.as_ref().map(|version| format!("all run {version}")));
        parts.extend(self.version_present.as_ref().map(|version| format!("{version} is there")));
        parts.extend(self.weight.map(|weight| format!("canary share {weight}%")));
        parts.extend(self.paused.map(|paused| if paused { "paused".to_owned() } else { "not paused".to_owned() }));
        format!("{}: {}", self.track.map_or("both tracks", Track::word), parts.join(", "))
    }
}

/// What is asked of the alerts that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertWanted {
    /// None fires, and none is pending.
    Inactive,
    /// None fires; one that is pending does not matter.
    NotFiring,
    /// One fires: a watchdog that must never be silent.
    Firing,
}

/// A condition on alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCondition {
    /// Labels that an alert must carry to be meant; all of them, as they are.
    pub matching: Labels,
    /// What is good.
    pub state: AlertWanted,
    /// Alerts under a silence do not count. Else they count as firing: a silence stops the noise, not the harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_silenced: bool,
}

impl AlertCondition {
    /// Whether it is about an alert. A label that is absent is the empty text.
    #[must_use]
    pub fn is_about(&self, alert: &Alert) -> bool {
        self.matching.iter().all(|(name, value)| alert.labels.get(name).map_or("", String::as_str) == value)
    }

    /// `severity=critical service=checkout`.
    #[must_use]
    pub fn labels(&self) -> String {
        self.matching.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// What good looks like, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let what = match self.state {
            AlertWanted::Inactive => "no alert fires or is pending",
            AlertWanted::NotFiring => "no alert fires",
            AlertWanted::Firing => "an alert fires",
        };
        let silenced = if self.ignore_silenced { ", silenced ones do not count" } else { "" };
        format!("{what}: {}{silenced}", self.labels())
    }
}
