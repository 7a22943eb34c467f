//! The shop as an Argo Rollout: one object runs both versions, and its controller moves the mesh's weights step by step.

use super::kubernetes::{Cluster, Kind};
use super::shop::{NAMESPACE, SERVICE, Sizes, furnish_around, furnish_cluster, template_spec};
use super::split::{self, TrafficBy};
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

/// Name of the Rollout.
pub(crate) const ROLLOUT: &str = "checkout";
/// The version that serves.
const SERVING: &str = "v2.41.3";

/// Shares with a pause after each; the controller watches the errors beside them by itself.
fn rollout(replicas: u32) -> Value {
    let labels = json!({ "app": SERVICE });
    let analysis = |template: &str| json!({ "templates": [{ "templateName": template }] });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": { "name": ROLLOUT, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": { "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "true" } },
                "spec": template_spec(SERVING),
            },
            "strategy": { "canary": {
                "canaryMetadata": { "labels": { "version": "canary" } }, "stableMetadata": { "labels": { "version": "stable" } },
                "trafficRouting": { "istio": {
                    "virtualService": { "name": SERVICE, "routes": ["primary"] },
                    "destinationRule": { "name": SERVICE, "canarySubsetName": "canary", "stableSubsetName": "stable" },
                } },
                "analysis": { "templates": [{ "templateName": "checkout-errors" }], "startingStep": 1 },
                "steps": [
                    { "setWeight": 5 }, { "pause": {} }, { "setWeight": 25 }, { "analysis": analysis("checkout-latency") }, { "pause": {} },
                    { "setWeight": 50 }, { "pause": {} },
                ],
            } },
        },
    })
}

fn template(name: &str, metric: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "metrics": [metric] },
    })
}

fn errors() -> Value {
    let query = format!(
        "(sum(rate(http_requests_total{{service=\"{SERVICE}\",version=\"canary\",code=~\"5..\"}}[2m])) or vector(0)) \
         / sum(rate(http_requests_total{{service=\"{SERVICE}\",version=\"canary\"}}[2m]))"
    );
    json!({
        "name": "error-rate", "interval": "30s", "initialDelay": "1m", "failureLimit": 2, "successCondition": "result[0] < 0.02",
        "provider": { "prometheus": { "address": "http://prometheus.monitoring:9090", "query": query } },
    })
}

fn latency() -> Value {
    let query = format!(
        "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{{service=\"{SERVICE}\",version=\"canary\"}}[2m])))"
    );
    json!({
        "name": "p99", "interval": "20s", "count": 3, "failureLimit": 1, "successCondition": "result[0] < 0.45",
        "failureCondition": "result[0] > 0.6", "inconclusiveLimit": 1,
        "provider": { "prometheus": { "address": "http://prometheus.monitoring:9090", "query": query } },
    })
}

/// Fills an empty cluster.
pub(crate) fn furnish(cluster: &mut Cluster, sizes: Sizes) {
    let long_ago = cluster.now.wall - TimeDelta::hours(6 * 24 + 4);
    let since = long_ago.to_rfc3339_opts(SecondsFormat::Secs, true);
    furnish_cluster(cluster, sizes, &since);
    furnish_around(cluster, TrafficBy::Argo, &since);
    split::furnish(cluster, TrafficBy::Argo, &since);
    cluster.seat(Kind::AnalysisTemplate, template("checkout-errors", &errors()), &since);
    cluster.seat(Kind::AnalysisTemplate, template("checkout-latency", &latency()), &since);
    cluster.seat_rollout(rollout(sizes.baseline), &since);
}
