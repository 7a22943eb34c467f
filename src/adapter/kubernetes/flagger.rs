//! Flagger's Canary objects: followed where one steers a Deployment of the service, and never written.

use super::feed::{Follower, Seen};
use crate::domain::progressive::{FlaggerCanary, FlaggerHook, FlaggerMetric, ProgressiveUpdate};
use crate::domain::text::clean_bounded;
use crate::port::platform::PlatformUpdate;
use chrono::DateTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most metrics and webhooks that are read.
const MOST: usize = 20;

/// Follows the Canaries of the namespace and passes on the one that steers one of these Deployments.
pub(super) struct Canaries {
    /// Deployments of the service.
    pub(super) deployments: Vec<String>,
    /// Those of ours that are there, by uid.
    pub(super) known: BTreeMap<String, FlaggerCanary>,
    /// What was told last.
    pub(super) told: Option<FlaggerCanary>,
}

impl Canaries {
    fn ours(&self, object: &Value) -> Option<(String, FlaggerCanary)> {
        let canary = canary(object)?;
        let target = canary.target.split_once('/').map_or("", |(_, name)| name);
        let ours = self.deployments.iter().any(|name| name == target || *name == canary.primary);
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        ours.then(|| (uid.to_owned(), canary))
    }

    fn tell(&mut self) -> Vec<PlatformUpdate> {
        let now = self.known.values().next().cloned();
        if now == self.told {
            return vec![];
        }
        self.told.clone_from(&now);
        vec![PlatformUpdate::Progressive(ProgressiveUpdate::Flagger(now.map(Box::new)))]
    }
}

impl Follower<Value> for Canaries {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    self.known.clear();
                }
                let found: Vec<_> = items.iter().filter_map(|object| self.ours(object)).collect();
                self.known.extend(found);
                if !last {
                    return vec![];
                }
            }
            Seen::Changed(object) => match self.ours(&object) {
                Some((uid, canary)) => {
                    self.known.insert(uid, canary);
                }
                None => self.forget(&object),
            },
            Seen::Gone(object) => self.forget(&object),
        }
        self.tell()
    }
}

impl Canaries {
    fn forget(&mut self, object: &Value) {
        self.known.remove(object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default());
    }
}

/// Reads a Canary.
fn canary(object: &Value) -> Option<FlaggerCanary> {
    let text =
        |at: &Value, pointer: &str, most: usize| clean_bounded(at.pointer(pointer).and_then(Value::as_str).unwrap_or_default(), most);
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    let flag = |pointer: &str| object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter().take(MOST);
    let bound = |metric: &Value, key: &str| metric.pointer("/thresholdRange").and_then(|range| range.get(key)).map(ToString::to_string);
    let target = text(object, "/spec/targetRef/name", 253);
    if target.is_empty() {
        return None;
    }
    let promoted = list("/status/conditions").find(|it| it.get("type").and_then(Value::as_str) == Some("Promoted"));
    let since = object.pointer("/status/lastTransitionTime").and_then(Value::as_str);
    let phase = text(object, "/status/phase", 40);
    Some(FlaggerCanary {
        object: format!("canary/{}", text(object, "/metadata/name", 253)),
        primary: format!("{target}-primary"),
        target: format!("{}/{target}", text(object, "/spec/targetRef/kind", 60).to_lowercase()),
        provider: Some(text(object, "/spec/provider", 60)).filter(|it| !it.is_empty()).unwrap_or_else(|| "its default provider".to_owned()),
        phase: if phase.is_empty() { "no status yet".to_owned() } else { phase },
        weight: number("/status/canaryWeight").unwrap_or(0),
        failed_checks: number("/status/failedChecks").unwrap_or(0),
        threshold: number("/spec/analysis/threshold").unwrap_or(1),
        iterations: number("/status/iterations").unwrap_or(0),
        step_weight: number("/spec/analysis/stepWeight"),
        max_weight: number("/spec/analysis/maxWeight"),
        interval: super::argo::duration(&text(object, "/spec/analysis/interval", 40)).filter(|it| *it > Duration::ZERO),
        suspended: flag("/spec/suspend"),
        skip_analysis: flag("/spec/skipAnalysis"),
        since: since.and_then(|since| DateTime::parse_from_rfc3339(since).ok()).map(|since| since.to_utc()),
        message: promoted.map(|it| text(it, "/message", 300)).unwrap_or_default(),
        metrics: list("/spec/analysis/metrics")
            .map(|metric| FlaggerMetric {
                name: text(metric, "/name", 120),
                min: bound(metric, "min"),
                max: bound(metric, "max").or_else(|| metric.get("threshold").map(ToString::to_string)),
                interval: text(metric, "/interval", 40),
            })
            .collect(),
        hooks: list("/spec/analysis/webhooks")
            .map(|hook| FlaggerHook { name: text(hook, "/name", 120), kind: text(hook, "/type", 60) })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(target: &str) -> Value {
        json!({
            "kind": "Canary", "metadata": {"name": "checkout", "uid": target},
            "spec": {"provider": "istio", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
                "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10,
                    "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
                    "webhooks": [{"name": "gate", "type": "confirm-promotion", "url": "http://gate"}]}},
            "status": {"phase": "Progressing", "canaryWeight": 20, "failedChecks": 1, "lastTransitionTime": "2026-03-14T03:00:00Z",
                "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing", "message": "New revision detected"}]},
        })
    }

    fn follower() -> Canaries {
        Canaries { deployments: vec!["checkout".into()], known: BTreeMap::new(), told: None }
    }

    #[test]
    fn the_canary_that_steers_our_deployment_is_told_and_no_other() {
        let mut it = follower();
        assert!(it.saw(Seen::Page { items: vec![object("cart")], first: true, last: true }).is_empty());
        let told = it.saw(Seen::Changed(object("checkout")));
        let [PlatformUpdate::Progressive(ProgressiveUpdate::Flagger(Some(canary)))] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((canary.phase.as_str(), canary.weight, canary.failed_checks, canary.threshold), ("Progressing", 20, 1, 5));
        assert_eq!((canary.primary.as_str(), canary.interval), ("checkout-primary", Some(Duration::from_secs(60))));
        assert_eq!(canary.metrics[0].min.as_deref(), Some("99"));
        assert_eq!(canary.hooks[0].kind, "confirm-promotion");
        let gone = it.saw(Seen::Gone(object("checkout")));
        assert_eq!(gone, [PlatformUpdate::Progressive(ProgressiveUpdate::Flagger(None))]);
    }

    #[test]
    fn the_primary_of_a_target_counts_as_ours_too() {
        let mut it = Canaries { deployments: vec!["checkout-primary".into()], ..follower() };
        assert_eq!(it.saw(Seen::Changed(object("checkout"))).len(), 1);
    }
}
