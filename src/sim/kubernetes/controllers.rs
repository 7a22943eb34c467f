//! The Deployment controller: ReplicaSets by template, rolling updates, status.

use super::cluster::{Cluster, Job, count, text};
use super::defaults;
use super::managed::{self, Writer};
use super::objects;
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};
use std::sync::Arc;

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const HASH: &str = "pod-template-hash";

/// A ReplicaSet of a Deployment, as far as rolling out needs it.
struct Set {
    at: Key,
    uid: Arc<str>,
    revision: u64,
    wanted: u32,
    hash: String,
}

/// Pods of a ReplicaSet by state.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    active: u32,
    ready: u32,
}

/// `25%` or a number, of `of`.
fn share(value: &Value, of: u32, up: bool) -> u32 {
    let Some(percent) = value.as_str().and_then(|s| s.strip_suffix('%')).and_then(|s| s.parse::<u32>().ok()) else {
        return count(value);
    };
    let product = percent.min(1000) * of;
    if up { product.div_ceil(100) } else { product / 100 }
}

/// Names a Pod template: the same template has the same name, whatever its hash label says.
fn template_hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
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
        let paths = managed::changed(&Value::Null, &value);
        let writer = Writer { manager: "helm", api_version: &api_version, subresource: None, time: since };
        value["metadata"]["managedFields"] = managed::entries(&Value::Null, &value, &paths, writer);
        self.store.put(kind, value).key.clone()
    }

    /// Stores a Deployment whose Pods have been serving since a time.
    pub(crate) fn seat_deployment(&mut self, deployment: Value, since: &str) {
        let at = self.seat(Kind::Deployment, deployment, since);
        let Some(deployment) = self.store.get(Kind::Deployment, &at).map(|object| object.value()) else { return };
        let replicas = count(&deployment["spec"]["replicas"]);
        let set = self.create_set(&deployment, &template_hash(&deployment["spec"]["template"]), &[]);
        self.update(Kind::ReplicaSet, &set.at, |value| {
            value["metadata"]["creationTimestamp"] = json!(since);
            value["spec"]["replicas"] = json!(replicas);
        });
        let Some(set) = self.store.get(Kind::ReplicaSet, &set.at).map(|object| object.value()) else { return };
        for _ in 0..replicas {
            self.seat_pod(&set, &at, since);
        }
        self.reconcile(&at);
    }

    /// Brings the world one step closer to a Deployment.
    pub(crate) fn reconcile(&mut self, at: &Key) {
        self.queued.remove(at);
        let Some(deployment) = self.store.get(Kind::Deployment, at) else { return };
        let deployment = deployment.value();
        let mut sets = self.sets_of(&deployment);
        let hash = template_hash(&deployment["spec"]["template"]);
        let paused = deployment["spec"]["paused"].as_bool().unwrap_or(false);
        let desired = count(&deployment["spec"]["replicas"]);
        let current = sets.iter().position(|set| set.hash == hash);
        let current = match current {
            Some(found) => {
                self.renew_revision(&mut sets, found);
                Some(found)
            }
            None if paused => None,
            None => {
                let fresh = self.create_set(&deployment, &hash, &sets);
                sets.push(fresh);
                Some(sets.len() - 1)
            }
        };
        self.roll(&deployment, &mut sets, current, desired, paused);
        for set in &sets {
            self.fill_set(at, set);
            self.report_set(set);
        }
        self.report(at, &sets, current, desired, paused);
    }

    fn sets_of(&self, deployment: &Value) -> Vec<Set> {
        let uid = &deployment["metadata"]["uid"];
        let prefix = format!("{}-", text(&deployment["metadata"]["name"]));
        let namespace = text(&deployment["metadata"]["namespace"]);
        let objects = self.store.objects(Kind::ReplicaSet);
        let mut sets: Vec<Set> = objects
            .range(key(namespace, &prefix)..)
            .take_while(|(at, _)| &*at.0 == namespace && at.1.starts_with(&prefix))
            .filter_map(|(at, object)| {
                let value = object.value();
                (value["metadata"]["ownerReferences"][0]["uid"] == *uid).then(|| Set {
                    at: at.clone(),
                    uid: Arc::clone(&object.uid),
                    revision: text(&value["metadata"]["annotations"][REVISION]).parse().unwrap_or(0),
                    wanted: count(&value["spec"]["replicas"]),
                    hash: text(&value["metadata"]["labels"][HASH]).to_owned(),
                })
            })
            .collect();
        sets.sort_by_key(|set| set.revision);
        sets
    }

    /// A template that comes back gets the newest revision; its old number becomes history.
    fn renew_revision(&mut self, sets: &mut [Set], found: usize) {
        let newest = sets.iter().map(|set| set.revision).max().unwrap_or(0);
        let set = &mut sets[found];
        if set.revision == newest {
            return;
        }
        let old = set.revision;
        set.revision = newest + 1;
        let new = set.revision;
        let at = set.at.clone();
        self.update(Kind::ReplicaSet, &at, |value| {
            let annotations = &mut value["metadata"]["annotations"];
            let history = match text(&annotations[REVISION_HISTORY]) {
                "" => old.to_string(),
                before => format!("{before},{old}"),
            };
            annotations[REVISION_HISTORY] = json!(history);
            annotations[REVISION] = json!(new.to_string());
        });
    }

    fn create_set(&mut self, deployment: &Value, hash: &str, sets: &[Set]) -> Set {
        let revision = sets.iter().map(|set| set.revision).max().unwrap_or(0) + 1;
        let name = format!("{}-{hash}", text(&deployment["metadata"]["name"]));
        let mut template = deployment["spec"]["template"].clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut annotations = deployment["metadata"]["annotations"].clone();
        if let Some(all) = annotations.as_object_mut() {
            all.remove("kubectl.kubernetes.io/last-applied-configuration");
            all.remove(REVISION_HISTORY);
        }
        annotations[REVISION] = json!(revision.to_string());
        annotations["deployment.kubernetes.io/desired-replicas"] = json!(count(&deployment["spec"]["replicas"]).to_string());
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": deployment["metadata"]["namespace"], "labels": template["metadata"]["labels"],
                "annotations": annotations, "ownerReferences": [objects::owner(deployment)],
            },
            "spec": { "replicas": 0, "selector": selector, "template": template },
            "status": { "replicas": 0 },
        });
        let created = self.now.text();
        self.stamp(Kind::ReplicaSet, &mut set, &created);
        let stored = self.store.put(Kind::ReplicaSet, set);
        Set { at: stored.key.clone(), uid: Arc::clone(&stored.uid), revision, wanted: 0, hash: hash.to_owned() }
    }

    fn tally(&self, set: &Set) -> Tally {
        let pods = self.sets.get(&set.uid).into_iter().flatten().filter_map(|at| self.pods.get(at)).filter(|pod| !pod.stopping);
        pods.fold(Tally::default(), |tally, pod| Tally { active: tally.active + 1, ready: tally.ready + u32::from(pod.ready) })
    }

    /// Decides how many Pods each ReplicaSet should have now.
    fn roll(&mut self, deployment: &Value, sets: &mut [Set], current: Option<usize>, desired: u32, paused: bool) {
        let before: Vec<u32> = sets.iter().map(|set| set.wanted).collect();
        if paused {
            // A paused rollout keeps its mix; only a plain change of scale is followed.
            if let Some(only) = sets.iter().position(|set| set.wanted > 0)
                && sets.iter().filter(|set| set.wanted > 0).count() == 1
            {
                sets[only].wanted = desired;
            }
        } else if let Some(current) = current {
            let strategy = &deployment["spec"]["strategy"];
            let old: u32 = sets.iter().enumerate().filter(|(i, _)| *i != current).map(|(_, set)| set.wanted).sum();
            let recreate = strategy["type"] == "Recreate";
            if recreate {
                let old_running: u32 = sets.iter().enumerate().filter(|(i, _)| *i != current).map(|(_, set)| self.tally(set).active).sum();
                sets[current].wanted = if old_running == 0 { desired } else { 0 };
                sets.iter_mut().enumerate().filter(|(i, _)| *i != current).for_each(|(_, set)| set.wanted = 0);
            } else if old == 0 {
                sets[current].wanted = desired;
            } else {
                let surge = share(&strategy["rollingUpdate"]["maxSurge"], desired, true);
                let unavailable = share(&strategy["rollingUpdate"]["maxUnavailable"], desired, false);
                let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
                let room = (desired + surge).saturating_sub(old + sets[current].wanted);
                sets[current].wanted = (sets[current].wanted + room).min(desired);
                self.shrink_old(sets, current, desired.saturating_sub(unavailable));
            }
        }
        for (set, before) in sets.iter().zip(before) {
            if set.wanted == before {
                continue;
            }
            let wanted = set.wanted;
            self.update(Kind::ReplicaSet, &set.at, |value| {
                value["spec"]["replicas"] = json!(wanted);
                let generation = value["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                value["metadata"]["generation"] = json!(generation);
            });
            let way = if wanted > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} to {wanted} from {before}", set.at.1);
            self.say(deployment, "deployment-controller", false, "ScalingReplicaSet", &message);
        }
    }

    /// Takes Pods away from old ReplicaSets while at least `least` stay ready. Pods that are not ready anyway go first.
    fn shrink_old(&self, sets: &mut [Set], current: usize, least: u32) {
        let tallies: Vec<Tally> = sets.iter().map(|set| self.tally(set)).collect();
        let mut spare = tallies.iter().map(|t| t.ready).sum::<u32>().saturating_sub(least);
        for (i, set) in sets.iter_mut().enumerate() {
            if i == current {
                continue;
            }
            let broken = tallies[i].active.saturating_sub(tallies[i].ready).min(set.wanted);
            let healthy = (set.wanted - broken).min(spare);
            // What was already asked to go is not ready any more, so it is not counted twice.
            set.wanted -= broken + healthy;
            spare -= healthy;
        }
    }

    /// Creates or stops Pods until the ReplicaSet has what it wants.
    fn fill_set(&mut self, deployment: &Key, set: &Set) {
        let active = self.tally(set).active;
        if active < set.wanted {
            let Some(value) = self.store.get(Kind::ReplicaSet, &set.at).map(|object| object.value()) else { return };
            for _ in active..set.wanted {
                self.create_pod(&value, deployment);
            }
        } else if active > set.wanted {
            let mut pods: Vec<(bool, i64, Key)> = self
                .sets
                .get(&set.uid)
                .into_iter()
                .flatten()
                .filter_map(|at| self.pods.get(at).filter(|pod| !pod.stopping).map(|pod| (pod.ready, -pod.created, at.clone())))
                .collect();
            pods.sort();
            for (_, _, at) in pods.into_iter().take((active - set.wanted) as usize) {
                self.stop_pod(&at);
            }
        }
    }

    fn report_set(&mut self, set: &Set) {
        let tally = self.tally(set);
        self.update(Kind::ReplicaSet, &set.at, |value| {
            let generation = value["metadata"]["generation"].clone();
            value["status"] = json!({
                "replicas": tally.active, "fullyLabeledReplicas": tally.active, "readyReplicas": tally.ready,
                "availableReplicas": tally.ready, "observedGeneration": generation,
            });
        });
    }

    /// Writes the Deployment's status and revision.
    fn report(&mut self, at: &Key, sets: &[Set], current: Option<usize>, desired: u32, paused: bool) {
        let tallies: Vec<Tally> = sets.iter().map(|set| self.tally(set)).collect();
        let updated = current.map(|i| tallies[i]).unwrap_or_default();
        let replicas: u32 = tallies.iter().map(|t| t.active).sum();
        let ready: u32 = tallies.iter().map(|t| t.ready).sum();
        let time = self.now.text();
        let revision = current.map(|i| sets[i].revision);
        let complete = updated.active == desired && replicas == desired && updated.ready == desired;
        let name = current.map_or("", |i| &*sets[i].at.1).to_owned();
        let (now, mut deadline) = (self.now.wall, None);
        self.update(Kind::Deployment, at, |value| {
            if let Some(revision) = revision {
                value["metadata"]["annotations"][REVISION] = json!(revision.to_string());
            }
            let unavailable = share(&value["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], desired, false);
            let enough = ready >= desired.saturating_sub(unavailable);
            let old = value["status"].clone();
            let numbers = json!({
                "observedGeneration": value["metadata"]["generation"], "replicas": replicas, "updatedReplicas": updated.active,
                "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": desired.max(replicas).saturating_sub(ready),
            });
            let moved = ["replicas", "updatedReplicas", "readyReplicas"].iter().any(|f| old[*f] != numbers[*f]);
            let was_complete = text(&condition(&old, "Progressing")["reason"]) == "NewReplicaSetAvailable"
                && updated.active == desired
                && replicas == desired;
            let last = chrono::DateTime::parse_from_rfc3339(text(&condition(&old, "Progressing")["lastUpdateTime"])).ok();
            let limit = i64::from(count(&value["spec"]["progressDeadlineSeconds"]));
            let waited = last.map_or(0, |last| (now - last.to_utc()).num_seconds());
            let (status, reason, message) = if paused {
                ("Unknown", "DeploymentPaused", "Deployment is paused".to_owned())
            } else if complete || was_complete {
                ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{name}\" has successfully progressed."))
            } else if !moved && limit > 0 && waited >= limit {
                ("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{name}\" has timed out progressing."))
            } else {
                deadline = (limit > 0).then_some(limit * 1000);
                ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
            };
            let progressing = next_condition(&old, ("Progressing", status, reason, &message), &time, moved && !was_complete);
            let available = if enough {
                ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            } else {
                ("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            };
            let available = next_condition(&old, available, &time, false);
            value["status"] = numbers;
            value["status"]["conditions"] = json!([available, progressing]);
        });
        if let Some(after) = deadline {
            self.plan(after + 1000, Job::Reconcile(at.clone()));
        }
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    status["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == kind)).unwrap_or(&NONE)
}

/// A condition whose times change only when it does (or, for `moved`, when there was progress).
fn next_condition(old: &Value, (kind, status, reason, message): (&str, &str, &str, &str), time: &str, moved: bool) -> Value {
    let before = condition(old, kind);
    let same = before["status"] == status && before["reason"] == reason;
    let pick = |keep: bool, field: &str| if keep && before[field].is_string() { before[field].clone() } else { json!(time) };
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": pick(same && !moved, "lastUpdateTime"), "lastTransitionTime": pick(before["status"] == status, "lastTransitionTime"),
    })
}
