//! The service that is released: a shop's checkout, behind a mesh, in two versions.

use super::kubernetes::{Cluster, Key, Kind, key};
use super::split::TrafficBy;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

/// Namespace of the service.
pub(crate) const NAMESPACE: &str = "shop";
/// Name of the service, its VirtualService and its DestinationRule.
pub(crate) const SERVICE: &str = "checkout";
/// Deployment of the version that serves.
pub(crate) const BASELINE: &str = "checkout-stable";
/// Deployment of the new version.
pub(crate) const CANARY: &str = "checkout-canary";
/// Path of the baseline's scale.
pub(crate) const BASELINE_SCALE_PATH: &str = "/apis/apps/v1/namespaces/shop/deployments/checkout-stable/scale";

/// Instances of both versions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) baseline: u32,
    pub(crate) canary: u32,
}

impl Sizes {
    /// Nine and three, or a total split the same way.
    pub(crate) fn of(total: Option<u32>) -> Self {
        match total {
            None => Self { baseline: 9, canary: 3 },
            Some(total) => Self { baseline: total - (total / 4).max(1), canary: (total / 4).max(1) },
        }
    }

    /// Nodes for all of it, over three zones: six, or one for every 60 Pods.
    fn nodes(self) -> usize {
        ((self.baseline + self.canary) as usize).div_ceil(60).next_multiple_of(3).max(6)
    }
}

pub(crate) fn canary_key() -> Key {
    key(NAMESPACE, CANARY)
}

/// The Deployment of one version.
fn deployment(name: &str, version: &str, tag: &str, replicas: u32) -> Value {
    let labels = json!({ "app": SERVICE, "version": version });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": labels, "annotations": { "kubernetes.io/change-cause": format!("deploy {tag}") } },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": { "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "true" } },
                "spec": template_spec(tag),
            },
        },
    })
}

/// What an instance of a version is made of.
pub(crate) fn template_spec(tag: &str) -> Value {
    let probe = |path: &str| {
        json!({
            "httpGet": { "path": path, "port": 8080, "scheme": "HTTP" }, "periodSeconds": 5, "timeoutSeconds": 1,
            "successThreshold": 1, "failureThreshold": 3,
        })
    };
    json!({ "containers": [{
        "name": "app", "image": format!("registry.example/checkout:{tag}"),
        "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
        "envFrom": [{ "configMapRef": { "name": "checkout-config" } }, { "secretRef": { "name": "checkout-credentials" } }],
        "env": [{ "name": "SERVICE", "value": SERVICE }, { "name": "LOG_LEVEL", "value": "info" }],
        "resources": { "requests": { "cpu": "500m", "memory": "256Mi" }, "limits": { "cpu": "1", "memory": "512Mi" } },
        "readinessProbe": probe("/ready"), "livenessProbe": probe("/live"),
    }] })
}

pub(crate) fn service(selector: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.43.17.4", "clusterIPs": ["10.43.17.4"], "selector": selector,
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }], "sessionAffinity": "None",
        },
        "status": { "loadBalancer": {} },
    })
}

pub(crate) fn route() -> Value {
    let to = |subset: &str, weight: u32| json!({ "destination": { "host": SERVICE, "subset": subset }, "weight": weight });
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": { "hosts": [SERVICE], "http": [
            {
                "name": "preview", "match": [{ "headers": { "x-canary": { "exact": "true" } } }],
                "route": [{ "destination": { "host": SERVICE, "subset": "canary" } }],
            },
            {
                "name": "primary", "route": [to("stable", 100), to("canary", 0)], "timeout": "5s",
                "retries": { "attempts": 2, "perTryTimeout": "2s", "retryOn": "connect-failure,refused-stream" },
            },
        ] },
    })
}

pub(crate) fn subsets() -> Value {
    let subset = |name: &str| json!({ "name": name, "labels": { "version": name } });
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": { "host": SERVICE, "subsets": [subset("stable"), subset("canary")] },
    })
}

/// What stands around the service: settings, credentials, and how many of it must stay.
fn around() -> [(Kind, Value); 3] {
    let metadata = |name: &str| json!({ "name": name, "namespace": NAMESPACE, "labels": { "app": SERVICE } });
    [
        (
            Kind::ConfigMap,
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("checkout-config"),
                "data": { "CURRENCY": "EUR", "PAYMENT_TIMEOUT": "3s" },
            }),
        ),
        (
            Kind::Secret,
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": metadata("checkout-credentials"),
                "type": "Opaque", "data": { "PAYMENT_KEY": "c2ltdWxhdGVk" },
            }),
        ),
        (
            Kind::Pdb,
            json!({
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(SERVICE),
                "spec": { "minAvailable": "70%", "selector": { "matchLabels": { "app": SERVICE } } },
            }),
        ),
    ]
}

/// The definition of a custom resource, without its schema.
fn definition(kind: Kind) -> Value {
    let resource = kind.resource();
    let versions: Vec<Value> = resource
        .versions
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
            let mut version = json!({ "name": name, "served": true, "storage": i == 0, "schema": schema });
            for subresource in resource.subresources {
                version["subresources"][subresource] = json!({});
            }
            version
        })
        .collect();
    let names = json!({
        "kind": resource.kind_name, "listKind": format!("{}List", resource.kind_name), "plural": resource.plural,
        "singular": resource.singular, "shortNames": resource.short,
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": resource.qualified() },
        "spec": { "group": resource.group, "names": names, "scope": "Namespaced", "versions": versions, "conversion": { "strategy": "None" } },
    })
}

/// Fills an empty cluster. The baseline has been serving for days; the canary's Deployment comes by [`deploy_canary`].
pub(crate) fn furnish(cluster: &mut Cluster, sizes: Sizes, by: TrafficBy) {
    let long_ago = cluster.now.wall - TimeDelta::hours(6 * 24 + 4);
    let since = long_ago.to_rfc3339_opts(SecondsFormat::Secs, true);
    furnish_cluster(cluster, sizes, &since);
    furnish_around(cluster, by, &since);
    super::split::furnish(cluster, by, &since);
    cluster.seat_deployment(deployment(BASELINE, "stable", "v2.41.3", sizes.baseline), &since);
}

/// The Service, and what stands around the workloads.
pub(crate) fn furnish_around(cluster: &mut Cluster, by: TrafficBy, since: &str) {
    let service = cluster.seat(Kind::Service, service(&super::split::service_selector(by)), since);
    cluster.learn_service(&service);
    for (kind, extra) in around() {
        let at = cluster.seat(kind, extra, since);
        cluster.noticed(kind, &at);
    }
}

/// Namespaces, definitions and nodes.
pub(crate) fn furnish_cluster(cluster: &mut Cluster, sizes: Sizes, since: &str) {
    for name in ["default", "kube-system", NAMESPACE] {
        cluster.seat(Kind::Namespace, super::kubernetes::namespace(name), since);
    }
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.resource().builtin) {
        cluster.seat(Kind::Crd, definition(kind), since);
    }
    for index in 0..sizes.nodes() {
        cluster.seat(Kind::Node, super::kubernetes::node(index), since);
    }
    cluster.learn_nodes();
}

/// Deploys the new version, without traffic. A large one stands at once.
pub(crate) fn deploy_canary(cluster: &mut Cluster, sizes: Sizes) {
    let canary = deployment(CANARY, "canary", "v2.42.0", sizes.canary);
    let now = cluster.now.text();
    if sizes.canary > 50 {
        cluster.seat_deployment(canary, &now);
        return;
    }
    cluster.seat(Kind::Deployment, canary, &now);
    cluster.enqueue(canary_key());
}

/// The change that leaves the header rule without instances: it sends to a subset whose labels no Pod carries.
pub(crate) fn header_rule_to_nothing(cluster: &Cluster) -> [(String, Value); 2] {
    let subset = json!({ "name": "preview", "labels": { "version": "canary", "stage": "preview" } });
    let rules = cluster.store.get(Kind::VirtualService, &key(NAMESPACE, SERVICE)).map(|route| route.value()).unwrap_or_default();
    let rule = rules["spec"]["http"].as_array().and_then(|rules| rules.iter().position(|rule| rule["name"] == "preview")).unwrap_or(0);
    let base = "/apis/networking.istio.io/v1/namespaces/shop";
    [
        (format!("{base}/destinationrules/{SERVICE}"), json!([{ "op": "add", "path": "/spec/subsets/-", "value": subset }])),
        (
            format!("{base}/virtualservices/{SERVICE}"),
            json!([{ "op": "add", "path": format!("/spec/http/{rule}/route/0/destination/subset"), "value": "preview" }]),
        ),
    ]
}

/// Relative weights of baseline and canary in the rule `primary` (else the first rule that has both), as configured.
pub(crate) fn weights(route: &Value) -> Option<(u64, u64)> {
    let rules = route["spec"]["http"].as_array()?;
    let weight = |rule: &Value, subset: &str| {
        let to = rule["route"].as_array()?.iter().find(|to| to["destination"]["subset"] == subset)?;
        Some(to["weight"].as_u64().unwrap_or(0))
    };
    let both = |rule: &Value| Some((weight(rule, "stable")?, weight(rule, "canary")?));
    rules.iter().find(|rule| rule["name"] == "primary").and_then(both).or_else(|| rules.iter().find_map(both))
}

/// A JSON patch that sets the weights of the rule `primary` of the route as it is furnished.
pub(crate) fn weight_patch(route: &Value, canary: u64) -> Value {
    let rule = route["spec"]["http"].as_array().and_then(|rules| rules.iter().position(|rule| rule["name"] == "primary")).unwrap_or(1);
    let place = |subset: &str| {
        let to = route["spec"]["http"][rule]["route"].as_array();
        to.and_then(|to| to.iter().position(|to| to["destination"]["subset"] == subset)).unwrap_or(0)
    };
    let set = |subset: &str, weight: u64| json!({ "op": "add", "path": format!("/spec/http/{rule}/route/{}/weight", place(subset)), "value": weight });
    json!([set("stable", 100 - canary.min(100)), set("canary", canary.min(100))])
}
