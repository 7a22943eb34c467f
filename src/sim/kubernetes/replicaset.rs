//! The ReplicaSet controller: as many Pods as are wanted, and what is said of them.

use super::cluster::{Cluster, Job, count, text};
use super::objects;
use super::pods::{Owner, Pod, SetPods};
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long a ReplicaSet waits after a Pod was refused.
const RETRY: i64 = 5_000;
/// How long changes of Pods are gathered, in a small cluster.
const GATHER: i64 = 40;

impl Cluster {
    /// Begins to look after a stored ReplicaSet.
    pub(crate) fn know_set(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::ReplicaSet, at) else { return };
        let owners = object.value()["metadata"]["ownerReferences"].clone();
        let owner = owners.as_array().into_iter().flatten().find(|owner| owner["controller"] == true);
        let owner = owner.map(|owner| Owner { kind: text(&owner["kind"]).to_owned(), key: key(&at.0, text(&owner["name"])) });
        let fresh = SetPods { at: at.clone(), owner: None, pods: BTreeSet::new(), active: 0, ready: 0, failure: None };
        self.sets.entry(Arc::clone(&object.uid)).or_insert(fresh).owner = owner;
        self.enqueue_set(at.clone());
    }

    /// Asks for a look at a ReplicaSet soon; many asks are one look.
    pub(crate) fn enqueue_set(&mut self, set: Key) {
        if self.queued_sets.insert(set.clone()) {
            self.plan(self.gather(GATHER), Job::Set(set));
        }
    }

    /// Creates or stops Pods until a ReplicaSet has what it wants, and writes its status.
    pub(crate) fn fill_set(&mut self, at: &Key) {
        self.queued_sets.remove(at);
        let Some(object) = self.store.get(Kind::ReplicaSet, at) else { return };
        let Some(known) = self.sets.get(&object.uid) else { return };
        let (active, owner) = (known.active, known.owner.clone());
        let value = object.value();
        let wanted = count(&value["spec"]["replicas"]);
        let mut failure = None;
        for _ in active..wanted {
            if let Err(why) = self.create_pod(&value) {
                self.say(&value, "replicaset-controller", true, "FailedCreate", &format!("Error creating: {why}"));
                failure = Some(why);
                self.plan(RETRY, Job::Set(at.clone()));
                break;
            }
        }
        if active > wanted {
            self.stop_surplus(&value, &object.uid, (active - wanted) as usize);
        }
        if let Some(set) = self.sets.get_mut(&object.uid) {
            set.failure = failure;
        }
        if self.report_set(at, &object.uid)
            && let Some(owner) = owner
        {
            match owner.kind.as_str() {
                "Deployment" => self.enqueue(owner.key),
                "Rollout" => self.enqueue_rollout(owner.key),
                _ => {}
            }
        }
    }

    /// Stores a Pod that a ReplicaSet wants; `None` when it is gone already.
    pub(crate) fn store_pod(&mut self, set: &Value) -> Option<(Key, Pod)> {
        let (namespace, beginning) = (text(&set["metadata"]["namespace"]), text(&set["metadata"]["name"]));
        let mut name = format!("{beginning}-{}", self.rng.suffix(5));
        // Among ten thousand the odd name is taken.
        while self.store.get(Kind::Pod, &key(namespace, &name)).is_some() {
            name = format!("{beginning}-{}", self.rng.suffix(5));
        }
        let mut pod = objects::pod(set, &name);
        if self.full_size {
            super::full_size::fill_out(&mut pod);
        }
        let created = self.now.text();
        self.stamp(Kind::Pod, &mut pod, &created);
        let mut known = Pod::new(&pod, self.now.t);
        let at = self.store.put(Kind::Pod, pod).key.clone();
        let uid: Arc<str> = Arc::from(text(&set["metadata"]["uid"]));
        if let Some(set) = self.sets.get_mut(&uid) {
            set.pods.insert(at.clone());
            set.active += 1;
            known.set = Some(uid);
        }
        Some((at, known))
    }

    fn create_pod(&mut self, set: &Value) -> Result<(), String> {
        let (name, namespace) = (text(&set["metadata"]["name"]), text(&set["metadata"]["namespace"]));
        if let Some(why) = self.denial(namespace, "create", "pods") {
            return Err(why);
        }
        if !self.quotas.is_empty() {
            let refused = format!("{name}-{}", self.ids.suffix(5));
            self.quota_allows(namespace, &refused, &set["spec"]["template"]["spec"])?;
        }
        let Some((at, pod)) = self.store_pod(set) else { return Ok(()) };
        self.adopt(&at, pod);
        self.say_of_pod(set, "replicaset-controller", false, "SuccessfulCreate", &format!("Created pod: {}", at.1));
        Ok(())
    }

    /// Stops Pods: those that are not ready first, then the youngest.
    fn stop_surplus(&mut self, set: &Value, uid: &Arc<str>, surplus: usize) {
        let pods = self.sets.get(uid).into_iter().flat_map(|set| &set.pods);
        let mut pods: Vec<(bool, i64, Key)> = pods
            .filter_map(|at| self.pods.get(at).filter(|pod| !pod.stopping).map(|pod| (pod.ready.is_some(), -pod.created, at.clone())))
            .collect();
        pods.sort();
        for (_, _, at) in pods.into_iter().take(surplus) {
            self.stop_pod(&at);
            self.say_of_pod(set, "replicaset-controller", false, "SuccessfulDelete", &format!("Deleted pod: {}", at.1));
        }
    }

    /// Pods of a ReplicaSet that have been ready for its `minReadySeconds`; and when the next one will have been.
    fn available(&self, set: &SetPods, least: i64) -> (u32, Option<i64>) {
        if least == 0 {
            return (set.ready, None);
        }
        let ready = set.pods.iter().filter_map(|at| self.pods.get(at)).filter(|pod| !pod.stopping).filter_map(|pod| pod.ready);
        let (over, waiting): (Vec<i64>, Vec<i64>) = ready.map(|since| since + least - self.now.t).partition(|left| *left <= 0);
        (over.len() as u32, waiting.into_iter().min())
    }

    /// Writes a ReplicaSet's status; whether anything changed.
    pub(crate) fn report_set(&mut self, at: &Key, uid: &Arc<str>) -> bool {
        let Some(object) = self.store.get(Kind::ReplicaSet, at) else { return false };
        let Some(set) = self.sets.get(uid) else { return false };
        let value = object.value();
        let least = i64::from(count(&value["spec"]["minReadySeconds"])) * 1000;
        let (available, next) = self.available(set, least);
        let mut status = json!({ "replicas": set.active, "observedGeneration": value["metadata"]["generation"] });
        for (field, number) in [("fullyLabeledReplicas", set.active), ("readyReplicas", set.ready), ("availableReplicas", available)] {
            if number > 0 {
                status[field] = json!(number);
            }
        }
        if let Some(why) = &set.failure {
            let before = &value["status"]["conditions"][0];
            let since = if before["message"] == **why { before["lastTransitionTime"].clone() } else { json!(self.now.text()) };
            let condition = json!({
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why, "lastTransitionTime": since,
            });
            status["conditions"] = json!([condition]);
        }
        if let Some(next) = next {
            self.plan(next + 20, Job::Set(at.clone()));
        }
        self.update(Kind::ReplicaSet, at, |value| value["status"] = status).is_some()
    }
}
