//! What the API server says it serves.

use super::resources::{Kind, RESOURCES, Resource};
use serde_json::{Value, json};

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.1", "gitCommit": "", "gitTreeState": "clean", "buildDate": "2025-05-15T08:19:08Z",
        "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// A resource that has no objects of its own.
struct Virtual {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    versions: &'static [&'static str],
    namespaced: bool,
    verbs: &'static [&'static str],
}

impl Virtual {
    const fn review(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str) -> Self {
        Self { group, kind, plural, singular, versions: &["v1"], namespaced: false, verbs: &["create"] }
    }
}

const REVIEWS: &[Virtual] = &[
    Virtual::review("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"),
    Virtual::review("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"),
    Virtual::review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"),
    Virtual {
        group: "metrics.k8s.io",
        kind: "NodeMetrics",
        plural: "nodes",
        singular: "",
        versions: &["v1beta1"],
        namespaced: false,
        verbs: &["get", "list"],
    },
    Virtual {
        group: "metrics.k8s.io",
        kind: "PodMetrics",
        plural: "pods",
        singular: "",
        versions: &["v1beta1"],
        namespaced: true,
        verbs: &["get", "list"],
    },
];

const VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// Groups other than the core, with their versions.
fn groups() -> Vec<(&'static str, &'static [&'static str])> {
    let mut groups: Vec<(&str, &[&str])> = Vec::new();
    for (group, versions) in RESOURCES.iter().map(|r| (r.group, r.versions)).chain(REVIEWS.iter().map(|r| (r.group, r.versions))) {
        if !group.is_empty() && !groups.iter().any(|(known, _)| *known == group) {
            groups.push((group, versions));
        }
    }
    groups
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub(crate) fn group_list() -> Value {
    let groups: Vec<Value> = groups().into_iter().map(|(group, versions)| group_entry(group, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn group_entry(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions.iter().map(|v| json!({ "groupVersion": format!("{group}/{v}"), "version": v })).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

/// `/apis/{group}`.
pub(crate) fn group(name: &str) -> Option<Value> {
    let (group, versions) = groups().into_iter().find(|(group, _)| *group == name)?;
    let mut entry = group_entry(group, versions);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    Some(entry)
}

/// `/api/v1` and `/apis/{group}/{version}`.
pub(crate) fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for resource in RESOURCES.iter().filter(|r| r.group == group && r.versions.contains(&version)) {
        resources.push(json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced, "kind": resource.kind_name,
            "verbs": VERBS, "shortNames": resource.short, "categories": categories(resource),
        }));
        for subresource in resource.subresources {
            let (kind, group, version) = scope_of(resource, subresource);
            resources.push(json!({
                "name": format!("{}/{subresource}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
                "group": group, "version": version, "kind": kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    for review in REVIEWS.iter().filter(|r| r.group == group && r.versions.contains(&version)) {
        resources.push(json!({ "name": review.plural, "singularName": review.singular, "namespaced": review.namespaced, "kind": review.kind, "verbs": review.verbs }));
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty()).then(|| json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources }))
}

/// Groups of resources that a client can ask for at once.
fn categories(resource: &Resource) -> &'static [&'static str] {
    match resource.kind {
        Kind::Pod | Kind::Service | Kind::Deployment | Kind::ReplicaSet | Kind::Hpa => &["all"],
        Kind::VirtualService | Kind::DestinationRule => &["istio-io", "networking-istio-io"],
        Kind::Gateway | Kind::HttpRoute => &["gateway-api"],
        _ => &[],
    }
}

fn scope_of(resource: &Resource, subresource: &str) -> (&'static str, &'static str, &'static str) {
    if subresource == "scale" { ("Scale", "autoscaling", "v1") } else { (resource.kind_name, resource.group, resource.versions[0]) }
}

/// The aggregated form that newer clients ask for at `/api` and `/apis`.
pub(crate) fn aggregated(core: bool) -> Value {
    let groups: Vec<(&str, &[&str])> = if core { vec![("", &["v1"])] } else { groups() };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| json!({ "version": version, "resources": aggregated_resources(group, version), "freshness": "Current" }))
                .collect();
            json!({ "metadata": { "name": group }, "versions": versions })
        })
        .collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn aggregated_resources(group: &str, version: &str) -> Vec<Value> {
    let stored = RESOURCES.iter().filter(|r| r.group == group && r.versions.contains(&version)).map(|resource| {
        let subresources: Vec<Value> = resource
            .subresources
            .iter()
            .map(|name| {
                let (kind, group, version) = scope_of(resource, name);
                json!({ "subresource": name, "responseKind": { "group": group, "version": version, "kind": kind }, "verbs": ["get", "patch", "update"] })
            })
            .collect();
        json!({
            "resource": resource.plural, "responseKind": { "group": group, "version": version, "kind": resource.kind_name },
            "scope": if resource.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": resource.singular, "verbs": VERBS,
            "shortNames": resource.short, "categories": categories(resource), "subresources": subresources,
        })
    });
    let reviews = REVIEWS.iter().filter(|r| r.group == group && r.versions.contains(&version)).map(|review| {
        json!({
            "resource": review.plural, "responseKind": { "group": group, "version": version, "kind": review.kind },
            "scope": if review.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": review.singular, "verbs": review.verbs,
        })
    });
    stored.chain(reviews).collect()
}
