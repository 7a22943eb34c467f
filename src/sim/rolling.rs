//! The shop as one Deployment behind a Service: nothing splits traffic, and instances are replaced a few at a time.

use super::kubernetes::{Cluster, Kind};
use super::shop::{NAMESPACE, SERVICE, Sizes, furnish_around, furnish_cluster, template_spec};
use super::split::TrafficBy;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

/// Deployment of both versions.
pub(crate) const DEPLOYMENT: &str = "checkout";
/// The version before the one that serves: what an undo finds.
const OLDER: &str = "v2.41.2";
/// The version that serves when the history is over.
const SERVING: &str = "v2.41.3";
/// Path of the Deployment.
pub(crate) const PATH: &str = "/apis/apps/v1/namespaces/shop/deployments/checkout";

/// Whether a version is one of those that were there before: all others are new, and behave as the scene says.
pub(crate) fn is_old(version: &str) -> bool {
    [OLDER, SERVING].contains(&version)
}

fn deployment(replicas: u32) -> Value {
    let labels = json!({ "app": SERVICE });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": DEPLOYMENT, "namespace": NAMESPACE, "labels": labels, "annotations": { "kubernetes.io/change-cause": format!("deploy {OLDER}") } },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": { "prometheus.io/scrape": "true" } },
                "spec": template_spec(OLDER),
            },
        },
    })
}

fn autoscaler(replicas: u32) -> Value {
    // Of what is requested, half of the limits: about what the service uses, so that a release finds it at rest.
    let target = |kind: &str, percent: u32| json!({ "type": "Resource", "resource": { "name": kind, "target": { "type": "Utilization", "averageUtilization": percent } } });
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": DEPLOYMENT },
            "minReplicas": 3, "maxReplicas": (replicas * 2).max(10), "metrics": [target("cpu", 120), target("memory", 120)],
        },
    })
}

/// Fills an empty cluster. The version that serves comes by [`deploy_serving`], so that there is one before it.
pub(crate) fn furnish(cluster: &mut Cluster, sizes: Sizes) {
    let long_ago = cluster.now.wall - TimeDelta::hours(6 * 24 + 4);
    let since = long_ago.to_rfc3339_opts(SecondsFormat::Secs, true);
    furnish_cluster(cluster, sizes, &since);
    furnish_around(cluster, TrafficBy::Rolling, &since);
    let at = cluster.seat(Kind::Hpa, autoscaler(sizes.baseline), &since);
    cluster.noticed(Kind::Hpa, &at);
    cluster.seat_deployment(deployment(sizes.baseline), &since);
}

/// A JSON patch that releases the version that serves at t = 0.
pub(crate) fn deploy_serving() -> Value {
    json!([
        { "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": format!("registry.example/checkout:{SERVING}") },
        { "op": "replace", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": format!("deploy {SERVING}") },
    ])
}

/// The part of a configuration that names the service's objects and queries. Metrics do not tell the versions apart here.
pub(crate) fn service_toml() -> String {
    format!(
        r#"canary = {{ deployment = "{DEPLOYMENT}" }}
requests = 'sum by (version) (increase(http_requests_total{{service="{SERVICE}"}}[${{window}}]))'

[[service.gate]]
id = "errors"
title = "error rate"
promql = '''
(sum(rate(http_requests_total{{service="{SERVICE}",code=~"5.."}}[2m])) or vector(0))
  / (sum(rate(http_requests_total{{service="{SERVICE}"}}[2m])) > 1)
'''
op = "<"
value = 0.01

[[service.gate]]
id = "p95"
title = "p95 latency"
promql = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{service="{SERVICE}"}}[2m])))'
op = "<"
value = 0.5
"#
    )
}
