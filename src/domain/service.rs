//! A service as the configuration describes it.

use super::action::Action;
use super::criterion::Threshold;
use super::danger::Protection;
use super::ids::SourceId;
use super::person::Policy;
use super::series::Labels;
use super::traffic::Percent;
use super::workload::Track;
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
    /// Name of the Deployment; of the Rollout, where the split is a Rollout's. Both sides name the same one where one object runs both.
    pub deployment: String,
    /// How metrics name this side; empty where metrics do not tell the sides apart.
    pub labels: Labels,
}

/// Where the traffic is split, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum RouteSpec {
    /// Weights of an Istio VirtualService.
    VirtualService {
        /// Name of the VirtualService.
        name: String,
        /// Name of its http rule; the only rule without a match when absent.
        http: Option<String>,
        /// Subset of the baseline.
        baseline_subset: String,
        /// Subset of the canary.
        canary_subset: String,
    },
    /// Weights of a Gateway API HTTPRoute.
    HttpRoute {
        /// Name of the HTTPRoute.
        name: String,
        /// Name of its rule; the only rule that sends to both Services when absent.
        rule: Option<String>,
        /// Service of the baseline.
        baseline: String,
        /// Service of the canary.
        canary: String,
    },
    /// Canary annotations of an ingress-nginx Ingress.
    Ingress {
        /// Name of the canary's Ingress.
        name: String,
    },
    /// The selector of a Service: all or nothing.
    Selector {
        /// Name of the Service.
        service: String,
        /// Selector labels that pick the baseline.
        baseline: Labels,
        /// Selector labels that pick the canary.
        canary: Labels,
    },
    /// An Argo Rollout, which moves the traffic by itself.
    Rollout {
        /// Name of the Rollout.
        name: String,
    },
    /// Nothing splits traffic: instances of one Deployment are replaced a few at a time, and traffic follows them.
    Rolling,
}

impl RouteSpec {
    /// The object that splits traffic: `virtualservice/checkout`; `None` where nothing does.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        match self {
            Self::VirtualService { name, .. } => Some(format!("virtualservice/{name}")),
            Self::HttpRoute { name, .. } => Some(format!("httproute/{name}")),
            Self::Ingress { name } => Some(format!("ingress/{name}")),
            Self::Selector { service, .. } => Some(format!("service/{service}")),
            Self::Rollout { name } => Some(format!("rollout/{name}")),
            Self::Rolling => None,
        }
    }

    /// What sends everything back to the version that served before.
    #[must_use]
    pub fn way_back(&self) -> Action {
        match self {
            Self::Rolling => Action::Undo { track: Track::Canary, revision: None, kept_by: None },
            Self::Rollout { .. } => Action::AbortRollout { revision: None },
            _ => Action::SetWeight { canary: Percent::ZERO },
        }
    }

    /// Whether one object runs both versions.
    #[must_use]
    pub fn is_one_workload(&self) -> bool {
        matches!(self, Self::Rollout { .. } | Self::Rolling)
    }
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

/// How the harm of a release is counted, and how much of it is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HarmSpec {
    /// Failed requests by version over `${window}`, in the same form as [`ServiceSpec::requests`]. Without it nothing is known of errors.
    pub errors: Option<String>,
    /// Excess errors of one release that hold its run when they are certain.
    pub budget: Option<u32>,
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
    /// Errors by version, and their budget.
    pub harm: HarmSpec,
    /// What is asked of people and files here.
    #[serde(default)]
    pub policy: Policy,
    /// Other services of the configuration that are shown beside it and may be released together with it.
    pub with: Vec<ServiceKey>,
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
        over(&self.requests, window)
    }

    /// The query of failed requests over one window, where there is one.
    #[must_use]
    pub fn errors_over(&self, window: Duration) -> Option<String> {
        self.harm.errors.as_deref().map(|query| over(query, window))
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

fn over(query: &str, window: Duration) -> String {
    query.replace("${window}", &format!("{}s", window.as_secs()))
}
