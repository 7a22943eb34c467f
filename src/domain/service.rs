//! A service as the configuration describes it.

use super::criterion::Threshold;
use super::danger::Protection;
use super::ids::SourceId;
use super::series::Labels;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Platform and service together: what the lock and its epoch belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Name of the platform connection.
    pub platform: String,
    /// Name of the service.
    pub service: String,
}

impl std::fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.platform, self.service)
    }
}

/// One side of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSpec {
    /// Name of the Deployment.
    pub deployment: String,
    /// How metrics name this side.
    pub labels: Labels,
}

/// Where the traffic is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// Name of the VirtualService.
    pub virtualservice: String,
    /// Name of its http rule; the only rule without a match when absent.
    pub http: Option<String>,
    /// Subset of the baseline.
    pub baseline_subset: String,
    /// Subset of the canary.
    pub canary_subset: String,
}

/// A gate of the service itself, watched with and without a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceGate {
    /// Its id.
    pub id: String,
    /// Its name on screen.
    pub title: String,
    /// Query and limit.
    pub threshold: Threshold,
}

/// Where alerts about the service come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsSpec {
    /// Name of the alerts connection.
    pub source: SourceId,
    /// Labels that an alert carries when it is about the service; empty: told from the service's name, namespace and instances.
    pub matchers: Labels,
}

/// Everything the cockpit knows about the service before it connects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The service's name.
    pub name: String,
    /// Name of the platform connection.
    pub platform: SourceId,
    /// The kubeconfig context, for row 1.
    pub context: String,
    /// Namespace.
    pub namespace: String,
    /// Any word: `production`.
    pub environment: String,
    /// How it is guarded.
    pub protection: Protection,
    /// Name of the metrics connection.
    pub metrics: SourceId,
    /// Its scrape interval.
    pub scrape_interval: Duration,
    /// Where its alerts come from; `None`: nobody watches them here.
    #[serde(default)]
    pub alerts: Option<AlertsSpec>,
    /// The old version.
    pub baseline: TrackSpec,
    /// The new version.
    pub canary: TrackSpec,
    /// Where traffic is split.
    pub route: RouteSpec,
    /// Requests by version over `${window}`.
    pub requests: String,
    /// The service's own gates.
    pub gates: Vec<ServiceGate>,
}

impl ServiceSpec {
    /// What the lock belongs to.
    #[must_use]
    pub fn key(&self) -> ServiceKey {
        ServiceKey { platform: self.platform.0.clone(), service: self.name.clone() }
    }

    /// The query of observed requests over one window.
    #[must_use]
    pub fn requests_over(&self, window: Duration) -> String {
        self.requests.replace("${window}", &format!("{}s", window.as_secs()))
    }

    /// The mark of row 1: word and bracket shape, so that it survives the loss of colour.
    #[must_use]
    pub fn mark(&self) -> String {
        match self.protection {
            Protection::Protected => "#PROD#".to_owned(),
            Protection::Shared => format!("[{}]", self.environment),
            Protection::Private if self.environment == "demo" => "(demo)".to_owned(),
            Protection::Private => "(dev)".to_owned(),
        }
    }
}
