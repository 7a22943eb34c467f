//! Kubernetes objects as far as the cockpit reads them. Everything else in an answer is skipped while decoding, which is what
//! keeps ten thousand pods small.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Something that is listed and watched.
pub(super) trait Object: serde::de::DeserializeOwned + Send {
    /// Its opaque version.
    fn version(&self) -> &str;
}

impl Object for serde_json::Value {
    fn version(&self) -> &str {
        self.pointer("/metadata/resourceVersion").and_then(Self::as_str).unwrap_or_default()
    }
}

/// The API server writes `null` where Go has an empty slice or map.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

macro_rules! object {
    ($($name:ident),*) => {$(
        impl Object for $name {
            fn version(&self) -> &str {
                &self.metadata.resource_version
            }
        }
    )*};
}
object!(Deployment, ReplicaSet, Pod, Event);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: u64,
    pub(super) creation_timestamp: Option<DateTime<Utc>>,
    pub(super) deletion_timestamp: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: Notes,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<Owner>,
}

/// The annotations that are read; the others can be large.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Notes {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: Option<String>,
    #[serde(rename = "argocd.argoproj.io/tracking-id")]
    pub(super) argo: Option<String>,
    #[serde(rename = "argocd.argoproj.io/revision")]
    pub(super) argo_revision: Option<String>,
    #[serde(rename = "kustomize.toolkit.fluxcd.io/revision")]
    pub(super) flux_revision: Option<String>,
    #[serde(rename = "org.opencontainers.image.revision")]
    pub(super) image_revision: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) uid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) controller: bool,
}

impl Metadata {
    /// Uid of the object of this kind that controls this one.
    pub(super) fn controller(&self, kind: &str) -> Option<&str> {
        self.owner_references.iter().find(|owner| owner.controller && owner.kind == kind).map(|owner| owner.uid.as_str())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deployment {
    pub(super) metadata: Metadata,
    pub(super) spec: DeploymentSpec,
    pub(super) status: DeploymentStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeploymentSpec {
    pub(super) replicas: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    pub(super) paused: bool,
    pub(super) selector: LabelSelector,
    pub(super) template: Template,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Template {
    pub(super) metadata: TemplateMetadata,
    pub(super) spec: TemplateSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TemplateMetadata {
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
}

/// A pod template: there are few, so more of it is read than of the pods.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TemplateSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<TemplateContainer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_containers: Vec<TemplateContainer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) volumes: Vec<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TemplateContainer {
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) env: Vec<serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) env_from: Vec<serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    #[serde(deserialize_with = "or_default")]
    pub(super) limits: BTreeMap<String, serde_json::Value>,
}

impl TemplateSpec {
    /// The container that is released: not the proxy of a mesh.
    pub(super) fn main(&self) -> Option<&TemplateContainer> {
        self.containers.iter().find(|container| container.name != "istio-proxy").or(self.containers.first())
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LabelSelector {
    #[serde(deserialize_with = "or_default")]
    pub(super) match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) match_expressions: Vec<Expression>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Expression {
    pub(super) key: String,
    pub(super) operator: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) values: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeploymentStatus {
    pub(super) observed_generation: u64,
    pub(super) replicas: u32,
    pub(super) ready_replicas: u32,
    pub(super) updated_replicas: u32,
    pub(super) available_replicas: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplicaSet {
    pub(super) metadata: Metadata,
    pub(super) spec: ReplicaSetSpec,
    pub(super) status: ReplicaSetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplicaSetSpec {
    pub(super) replicas: Option<u32>,
    pub(super) template: Template,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReplicaSetStatus {
    pub(super) replicas: u32,
    pub(super) ready_replicas: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) node_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) phase: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub(super) restart_count: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) state: ContainerState,
    #[serde(deserialize_with = "or_default")]
    pub(super) last_state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) exit_code: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    pub(super) finished_at: Option<DateTime<Utc>>,
}

impl Pod {
    /// Ready, and not on its way out.
    pub(super) fn is_ready(&self) -> bool {
        let ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
        self.metadata.deletion_timestamp.is_none() && self.status.conditions.iter().any(ready)
    }
}

/// An Event of the core group.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    pub(super) metadata: Metadata,
    pub(super) involved_object: Involved,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) count: u32,
    pub(super) last_timestamp: Option<DateTime<Utc>>,
    pub(super) first_timestamp: Option<DateTime<Utc>>,
    #[serde(rename = "eventTime")]
    pub(super) time: Option<DateTime<Utc>>,
    pub(super) series: Option<EventSeries>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EventSeries {
    pub(super) count: u32,
    pub(super) last_observed_time: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Involved {
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) uid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_where_go_has_empty_lists_are_read() {
        let pod: Pod = serde_json::from_str(
            r#"{"metadata":{"name":"p","uid":"u","resourceVersion":"7","creationTimestamp":null,"labels":null,"annotations":null,
                "ownerReferences":null},"spec":{"containers":null,"unknown":[1,{"deep":true}]},
                "status":{"containerStatuses":null,"conditions":null}}"#,
        )
        .unwrap();
        assert_eq!(pod.version(), "7");
    }
}
