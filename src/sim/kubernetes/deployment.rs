//! The Deployment controller: ReplicaSets by template, their revisions, and which of them is current.

use super::cluster::{Cluster, count, text};
use super::conditions::{self, condition};
use super::defaults;
use super::fields;
use super::managed::{self, Writer};
use super::objects;
use super::resources::Kind;
use super::rolling;
use super::store::{Key, key};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(crate) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(crate) const MOST: &str = "deployment.kubernetes.io/max-replicas";
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations that are of the Deployment or of the ReplicaSet alone.
const OWN: [&str; 6] = [APPLIED, REVISION, REVISION_HISTORY, DESIRED, MOST, "deprecated.deployment.rollback.to"];
const HASH: &str = "pod-template-hash";

/// A ReplicaSet of a Deployment, as far as rolling out needs it.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) at: Key,
    pub(crate) uid: Arc<str>,
    pub(crate) revision: u64,
    /// `spec.replicas`.
    pub(crate) wanted: u32,
    /// `status.replicas` and so on.
    pub(crate) active: u32,
    pub(crate) ready: u32,
    pub(crate) available: u32,
    /// What its annotations say the Deployment wanted, and the most it allowed, when it was scaled last.
    pub(crate) desired: Option<u32>,
    pub(crate) most: Option<u32>,
    pub(crate) created: String,
    pub(crate) failure: Option<String>,
    hash: String,
}

/// Names a Pod template: the same template has the same name, whatever its hash label says.
fn template_hash(template: &Value) -> String {
    hash_of(template, HASH)
}

/// The same for a controller that marks templates with another label.
pub(crate) fn hash_of(template: &Value, label: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(label);
    }
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.retain(|name, value| name != "creationTimestamp" && value.as_object().is_none_or(|map| !map.is_empty()));
    }
    let text = template.to_string();
    // FNV-1a; only equality matters.
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (0..9)
        .map(|_| {
            let letter = ALPHABET[(hash % ALPHABET.len() as u64) as usize];
            hash /= ALPHABET.len() as u64;
            char::from(letter)
        })
        .collect()
}

impl Cluster {
    /// Stores an object that has been there since a time.
    pub(crate) fn seat(&mut self, kind: Kind, mut value: Value, since: &str) -> Key {
        let name = text(&value["metadata"]["name"]).to_owned();
        let status = value["status"].clone();
        defaults::complete(kind, &name, &mut value);
        if !status.is_null() {
            value["status"] = status;
        }
        self.stamp(kind, &mut value, since);
        let api_version = text(&value["apiVersion"]).to_owned();
        let paths = fields::changed(kind, &Value::Null, &value);
        let writer = Writer { manager: "helm", api_version: &api_version, subresource: None, time: since };
        value["metadata"]["managedFields"] = managed::entries(kind, &Value::Null, &value, &paths, writer);
        self.store.put(kind, value).key.clone()
    }

    /// Stores a Deployment whose Pods have been serving since a time.
    pub(crate) fn seat_deployment(&mut self, deployment: Value, since: &str) {
        let at = self.seat(Kind::Deployment, deployment, since);
        let Some(value) = self.store.get(Kind::Deployment, &at).map(|object| object.value()) else { return };
        let hash = template_hash(&value["spec"]["template"]);
        let replicas = count(&value["spec"]["replicas"]);
        let set = self.create_set(&value, &hash, 1, replicas);
        self.update(Kind::ReplicaSet, &set.at, |value| value["metadata"]["creationTimestamp"] = json!(since));
        let Some(value) = self.store.get(Kind::ReplicaSet, &set.at).map(|object| object.value()) else { return };
        for _ in 0..replicas {
            self.seat_pod(&value, since);
        }
        self.report_set(&set.at, &set.uid);
        self.reconcile(&at);
    }

    /// Brings the world one step closer to a Deployment.
    pub(crate) fn reconcile(&mut self, at: &Key) {
        self.queued.remove(at);
        let Some(deployment) = self.store.get(Kind::Deployment, at) else { return };
        let mut deployment = deployment.value();
        let paused = deployment["spec"]["paused"] == true;
        self.mark_pause(at, paused);
        let mut sets = self.sets_of(&deployment);
        let hash = template_hash(&deployment["spec"]["template"]);
        let mut current = sets.iter().position(|set| set.hash == hash);
        if let Some(found) = current {
            self.renew_revision(&deployment, &mut sets, found);
        } else if !paused {
            let revision = sets.iter().map(|set| set.revision).max().unwrap_or(0) + 1;
            let others: u32 = sets.iter().map(|set| set.wanted).sum();
            let first = rolling::first_size(&deployment, others);
            let fresh = self.create_set(&deployment, &hash, revision, first);
            let name = fresh.at.1.to_string();
            if first > 0 {
                let message = format!("Scaled up replica set {name} from 0 to {first}");
                self.say(&deployment, "deployment-controller", false, "ScalingReplicaSet", &message);
            }
            self.update_condition(at, "Progressing", "True", "NewReplicaSetCreated", &format!("Created new replica set \"{name}\""));
            sets.push(fresh);
            current = Some(sets.len() - 1);
        }
        if let Some(object) = self.store.get(Kind::Deployment, at) {
            deployment = object.value();
        }
        let before: Vec<u32> = sets.iter().map(|set| set.wanted).collect();
        rolling::roll(&deployment, &mut sets, current, paused);
        for (set, before) in sets.iter().zip(before) {
            self.resize(&deployment, set, before);
        }
        self.report(at, &sets, current);
        self.clean_up(&deployment, &sets, current);
    }

    fn sets_of(&self, deployment: &Value) -> Vec<Set> {
        let uid = &deployment["metadata"]["uid"];
        let prefix = format!("{}-", text(&deployment["metadata"]["name"]));
        let namespace = text(&deployment["metadata"]["namespace"]);
        let objects = self.store.objects(Kind::ReplicaSet);
        let number = |value: &Value| text(value).parse().ok();
        let mut sets: Vec<Set> = objects
            .range(key(namespace, &prefix)..)
            .take_while(|(at, _)| &*at.0 == namespace && at.1.starts_with(&prefix))
            .filter_map(|(at, object)| {
                let value = object.value();
                let owned = value["metadata"]["ownerReferences"].as_array()?.iter().any(|owner| owner["uid"] == *uid);
                let (annotations, status) = (&value["metadata"]["annotations"], &value["status"]);
                owned.then(|| Set {
                    at: at.clone(),
                    uid: Arc::clone(&object.uid),
                    revision: text(&annotations[REVISION]).parse().unwrap_or(0),
                    wanted: count(&value["spec"]["replicas"]),
                    active: count(&status["replicas"]),
                    ready: count(&status["readyReplicas"]),
                    available: count(&status["availableReplicas"]),
                    desired: number(&annotations[DESIRED]),
                    most: number(&annotations[MOST]),
                    created: text(&value["metadata"]["creationTimestamp"]).to_owned(),
                    failure: condition(status, "ReplicaFailure")["message"].as_str().map(str::to_owned),
                    hash: text(&value["metadata"]["labels"][HASH]).to_owned(),
                })
            })
            .collect();
        sets.sort_by(|a, b| (a.revision, &a.created).cmp(&(b.revision, &b.created)));
        sets
    }

    /// A template that comes back gets the newest revision; its old number becomes history. Annotations follow those of the Deployment.
    fn renew_revision(&mut self, deployment: &Value, sets: &mut [Set], found: usize) {
        let newest = sets.iter().enumerate().filter(|(i, _)| *i != found).map(|(_, set)| set.revision).max().unwrap_or(0);
        let set = &mut sets[found];
        let old = set.revision;
        if old <= newest {
            set.revision = newest + 1;
        }
        let (new, at) = (set.revision, set.at.clone());
        let least = deployment["spec"]["minReadySeconds"].clone();
        self.update(Kind::ReplicaSet, &at, |value| {
            for (name, text) in deployment["metadata"]["annotations"].as_object().into_iter().flatten() {
                if !OWN.contains(&name.as_str()) {
                    value["metadata"]["annotations"][name] = text.clone();
                }
            }
            if !least.is_null() {
                value["spec"]["minReadySeconds"] = least;
            }
            if new != old {
                let annotations = &mut value["metadata"]["annotations"];
                let history = match text(&annotations[REVISION_HISTORY]) {
                    "" => old.to_string(),
                    before => format!("{before},{old}"),
                };
                annotations[REVISION_HISTORY] = json!(history);
                annotations[REVISION] = json!(new.to_string());
            }
        });
    }

    fn create_set(&mut self, deployment: &Value, hash: &str, revision: u64, replicas: u32) -> Set {
        let name = format!("{}-{hash}", text(&deployment["metadata"]["name"]));
        let mut template = deployment["spec"]["template"].clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let own = |name: &str| OWN.contains(&name);
        let annotations = deployment["metadata"]["annotations"].as_object().into_iter().flatten();
        let mut annotations: Value = annotations.filter(|(name, _)| !own(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
        let desired = count(&deployment["spec"]["replicas"]);
        let most = desired + rolling::surge(deployment);
        annotations[REVISION] = json!(revision.to_string());
        annotations[DESIRED] = json!(desired.to_string());
        annotations[MOST] = json!(most.to_string());
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": deployment["metadata"]["namespace"], "labels": template["metadata"]["labels"],
                "annotations": annotations, "ownerReferences": [objects::owner(deployment)],
            },
            "spec": { "replicas": replicas, "selector": selector, "template": template },
            "status": { "replicas": 0 },
        });
        if !deployment["spec"]["minReadySeconds"].is_null() {
            set["spec"]["minReadySeconds"] = deployment["spec"]["minReadySeconds"].clone();
        }
        let created = self.now.text();
        self.stamp(Kind::ReplicaSet, &mut set, &created);
        let stored = self.store.put(Kind::ReplicaSet, set);
        self.know_set(&stored.key);
        Set {
            at: stored.key.clone(),
            uid: Arc::clone(&stored.uid),
            revision,
            wanted: replicas,
            active: 0,
            ready: 0,
            available: 0,
            desired: Some(desired),
            most: Some(most),
            created,
            failure: None,
            hash: hash.to_owned(),
        }
    }

    /// Writes what a ReplicaSet is to have now.
    fn resize(&mut self, deployment: &Value, set: &Set, before: u32) {
        let desired = count(&deployment["spec"]["replicas"]);
        let most = desired + rolling::surge(deployment);
        let noted = set.desired == Some(desired) && set.most == Some(most);
        if set.wanted == before && (noted || set.wanted == 0) {
            return;
        }
        let wanted = set.wanted;
        self.update(Kind::ReplicaSet, &set.at, |value| {
            value["metadata"]["annotations"][DESIRED] = json!(desired.to_string());
            value["metadata"]["annotations"][MOST] = json!(most.to_string());
            if wanted != before {
                value["spec"]["replicas"] = json!(wanted);
                value["metadata"]["generation"] = json!(value["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
            }
        });
        // The ReplicaSet's change is looked at in its turn.
        self.enqueue(key(text(&deployment["metadata"]["namespace"]), text(&deployment["metadata"]["name"])));
        if wanted == before {
            return;
        }
        self.enqueue_set(set.at.clone());
        let way = if wanted > before { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {before} to {wanted}", set.at.1);
        self.say(deployment, "deployment-controller", false, "ScalingReplicaSet", &message);
    }

    /// Old ReplicaSets beyond the history's limit go once the rollout is over.
    fn clean_up(&mut self, deployment: &Value, sets: &[Set], current: Option<usize>) {
        let Some(object) =
            self.store.get(Kind::Deployment, &key(text(&deployment["metadata"]["namespace"]), text(&deployment["metadata"]["name"])))
        else {
            return;
        };
        let limit = count(&deployment["spec"]["revisionHistoryLimit"]) as usize;
        let idle: Vec<&Set> = sets
            .iter()
            .enumerate()
            .filter(|(i, set)| Some(*i) != current && set.wanted == 0 && set.active == 0)
            .map(|(_, set)| set)
            .collect();
        let over = idle.len().saturating_sub(limit);
        if over == 0 || !conditions::complete(&object.value()) {
            return;
        }
        for set in idle.into_iter().take(over) {
            self.store.remove(Kind::ReplicaSet, &set.at);
            self.sets.remove(&set.uid);
        }
    }
}
