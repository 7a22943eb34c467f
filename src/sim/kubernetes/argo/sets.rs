//! ReplicaSets of a Rollout.

use super::super::cluster::{Cluster, count, text};
use super::super::deployment::hash_of;
use super::super::objects;
use super::super::resources::Kind;
use super::super::store::{Key, key};
use super::{HASH, NAME, PASSING, REVISION};
use serde_json::{Value, json};
use std::sync::Arc;

/// A ReplicaSet of a Rollout.
#[derive(Debug, Clone)]
pub(crate) struct RolloutSet {
    pub(crate) at: Key,
    pub(crate) uid: Arc<str>,
    pub(crate) hash: String,
    pub(crate) revision: u64,
    /// `spec.replicas`.
    pub(crate) wanted: u32,
    pub(crate) active: u32,
    pub(crate) ready: u32,
    pub(crate) available: u32,
}

impl Cluster {
    /// ReplicaSets that a Rollout controls, oldest revision first.
    pub(super) fn rollout_sets(&self, rollout: &Value) -> Vec<RolloutSet> {
        let uid = &rollout["metadata"]["uid"];
        let namespace = text(&rollout["metadata"]["namespace"]);
        let prefix = format!("{}-", text(&rollout["metadata"]["name"]));
        let mut sets: Vec<RolloutSet> = self
            .store
            .objects(Kind::ReplicaSet)
            .range(key(namespace, &prefix)..)
            .take_while(|(at, _)| &*at.0 == namespace && at.1.starts_with(&prefix))
            .filter_map(|(at, object)| {
                let value = object.value();
                value["metadata"]["ownerReferences"].as_array()?.iter().any(|owner| owner["uid"] == *uid).then_some(())?;
                Some(RolloutSet {
                    at: at.clone(),
                    uid: Arc::clone(&object.uid),
                    hash: text(&value["metadata"]["labels"][HASH]).to_owned(),
                    revision: text(&value["metadata"]["annotations"][REVISION]).parse().unwrap_or(0),
                    wanted: count(&value["spec"]["replicas"]),
                    active: count(&value["status"]["replicas"]),
                    ready: count(&value["status"]["readyReplicas"]),
                    available: count(&value["status"]["availableReplicas"]),
                })
            })
            .collect();
        sets.sort_by_key(|set| set.revision);
        sets
    }

    /// A new ReplicaSet of a template.
    pub(super) fn create_rollout_set(&mut self, rollout: &Value, template: &Value, revision: u64, replicas: u32) -> RolloutSet {
        let hash = hash_of(template, HASH);
        let name = format!("{}-{hash}", text(&rollout["metadata"]["name"]));
        let mut template = template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = rollout["spec"]["selector"].clone();
        if selector.is_null() {
            selector = json!({ "matchLabels": template["metadata"]["labels"] });
        }
        selector["matchLabels"][HASH] = json!(hash);
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": rollout["metadata"]["namespace"], "labels": template["metadata"]["labels"],
                "annotations": { REVISION: revision.to_string() }, "ownerReferences": [objects::owner(rollout)],
            },
            "spec": { "replicas": replicas, "selector": selector, "template": template },
            "status": { "replicas": 0 },
        });
        let created = self.now.text();
        self.stamp(Kind::ReplicaSet, &mut set, &created);
        let stored = self.store.put(Kind::ReplicaSet, set);
        self.know_set(&stored.key);
        RolloutSet {
            at: stored.key.clone(),
            uid: Arc::clone(&stored.uid),
            hash,
            revision,
            wanted: replicas,
            active: 0,
            ready: 0,
            available: 0,
        }
    }

    /// Writes what a ReplicaSet is to have now.
    pub(super) fn resize_rollout_set(&mut self, rollout: &Value, set: &mut RolloutSet, wanted: u32) {
        if set.wanted == wanted {
            return;
        }
        let before = std::mem::replace(&mut set.wanted, wanted);
        self.update(Kind::ReplicaSet, &set.at, |value| {
            value["spec"]["replicas"] = json!(wanted);
            value["metadata"]["generation"] = json!(value["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
        });
        self.enqueue_set(set.at.clone());
        let way = if wanted > before { "up" } else { "down" };
        let message = format!("Scaled {way} ReplicaSet {} (revision {}) from {before} to {wanted}", set.at.1, set.revision);
        self.say(rollout, NAME, false, "ScalingReplicaSet", &message);
    }

    /// Puts labels on a ReplicaSet's template and on its Pods, as the controller marks the two sides (`canaryMetadata`, `stableMetadata`).
    pub(super) fn mark_side(&mut self, set: &RolloutSet, labels: &Value) {
        let Some(labels) = labels.as_object().filter(|labels| !labels.is_empty()) else { return };
        let put = |into: &mut Value| labels.iter().for_each(|(name, value)| into[name] = value.clone());
        let note = json!({ "labels": labels }).to_string();
        let changed = self.update(Kind::ReplicaSet, &set.at, |value| {
            put(&mut value["spec"]["template"]["metadata"]["labels"]);
            value["metadata"]["annotations"][PASSING] = json!(note);
        });
        if changed.is_none() {
            return;
        }
        let pods: Vec<Key> = self.sets.get(&set.uid).into_iter().flat_map(|set| set.pods.iter().cloned()).collect();
        for pod in pods {
            self.update(Kind::Pod, &pod, |value| put(&mut value["metadata"]["labels"]));
            self.pod_edited(&pod);
        }
    }
}
