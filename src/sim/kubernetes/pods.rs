//! What the controllers remember of Pods, kept in step with every change so that nothing has to look at all of them.

use super::cluster::{Cluster, text};
use super::resources::Kind;
use super::scheduler::Needs;
use super::store::Key;
use super::usage;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What becomes of a Pod's container, told by its image's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It serves.
    Serves,
    /// Its image is not there (tag with `missing`).
    ImageMissing,
    /// It exits soon after every start (tag with `crash`).
    Crashes,
    /// It is killed for want of memory after a while (tag with `oom`).
    RunsOutOfMemory,
}

impl Behaviour {
    /// Of a Pod: that of the first container that is not well, with its place.
    pub(crate) fn of(spec: &Value) -> (Self, usize) {
        let behaviours = spec["containers"].as_array().into_iter().flatten().map(|container| {
            let image = text(&container["image"]);
            let tag = image.rsplit('/').next().unwrap_or("").split_once(':').map_or("", |(_, tag)| tag);
            match () {
                () if tag.contains("missing") => Self::ImageMissing,
                () if tag.contains("crash") => Self::Crashes,
                () if tag.contains("oom") => Self::RunsOutOfMemory,
                () => Self::Serves,
            }
        });
        behaviours.enumerate().find(|(_, b)| *b != Self::Serves).map_or((Self::Serves, 0), |(place, b)| (b, place))
    }
}

/// What the controllers remember of a Pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) uid: Arc<str>,
    /// The ReplicaSet that owns it, by uid.
    pub(crate) set: Option<Arc<str>>,
    /// When it was created, in ms since t = 0.
    pub(crate) created: i64,
    /// Since when it is ready.
    pub(crate) ready: Option<i64>,
    pub(crate) stopping: bool,
    pub(crate) restarts: u32,
    pub(crate) labels: Arc<BTreeMap<String, String>>,
    /// Tag of its first container's image.
    pub(crate) tag: Arc<str>,
    /// Labels that its Node must have.
    pub(crate) wants: Arc<BTreeMap<String, String>>,
    pub(crate) needs: Needs,
    /// Index of its Node.
    pub(crate) node: Option<usize>,
    /// Its address, once it runs.
    pub(crate) address: Option<Arc<str>>,
    pub(crate) behaviour: Behaviour,
    /// Place of the container that misbehaves.
    pub(crate) culprit: usize,
    /// What its annotations say that it uses: thousandths of a CPU, bytes.
    pub(crate) used: (Option<u64>, Option<u64>),
    /// Names of its containers.
    pub(crate) containers: Arc<[String]>,
}

impl Pod {
    /// Of a stamped object.
    pub(crate) fn new(value: &Value, now: i64) -> Self {
        let (behaviour, culprit) = Behaviour::of(&value["spec"]);
        let map = |value: &Value| -> BTreeMap<String, String> {
            value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v).to_owned())).collect()
        };
        Self {
            uid: Arc::from(text(&value["metadata"]["uid"])),
            set: None,
            created: now,
            ready: None,
            stopping: false,
            restarts: 0,
            labels: Arc::new(map(&value["metadata"]["labels"])),
            wants: Arc::new(map(&value["spec"]["nodeSelector"])),
            tag: text(&value["spec"]["containers"][0]["image"]).rsplit(':').next().unwrap_or_default().into(),
            needs: Needs::of(&value["spec"]),
            node: None,
            address: None,
            behaviour,
            culprit,
            used: usage::annotated(value),
            containers: usage::containers(&value["spec"]),
        }
    }

    /// Its label that traffic is told apart by.
    fn version(&self) -> &str {
        self.labels.get("version").map_or("", String::as_str)
    }

    /// What others see of it: address, readiness, whether it goes, and its labels.
    fn reachable(&self) -> Reachable {
        (self.address.clone(), self.ready.is_some(), self.stopping, Arc::clone(&self.labels))
    }

    fn counts(&self) -> (u32, u32) {
        (u32::from(!self.stopping), u32::from(!self.stopping && self.ready.is_some()))
    }
}

/// Address, ready, stopping, labels.
type Reachable = (Option<Arc<str>>, bool, bool, Arc<BTreeMap<String, String>>);

/// What owns a ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Its kind, as the owner reference names it.
    pub(crate) kind: String,
    pub(crate) key: Key,
}

/// A ReplicaSet's Pods.
#[derive(Debug, Clone)]
pub(crate) struct SetPods {
    pub(crate) at: Key,
    pub(crate) owner: Option<Owner>,
    pub(crate) pods: BTreeSet<Key>,
    /// Those that are not being stopped.
    pub(crate) active: u32,
    pub(crate) ready: u32,
    /// Why the last Pod could not be created.
    pub(crate) failure: Option<String>,
}

/// What the Pods of a namespace use of its quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) pods: u64,
    pub(crate) needs: Needs,
}

impl Cluster {
    /// Begins to remember a Pod.
    pub(crate) fn know_pod(&mut self, at: &Key, pod: Pod) {
        let usage = self.usage.entry(Arc::clone(&at.0)).or_default();
        usage.pods += 1;
        usage.needs.cpu += pod.needs.cpu;
        usage.needs.memory += pod.needs.memory;
        usage.needs.cpu_limit += pod.needs.cpu_limit;
        usage.needs.memory_limit += pod.needs.memory_limit;
        self.pods.insert(at.clone(), pod);
        self.pod_changed(at);
    }

    /// Puts a Pod under a ReplicaSet (uid), or takes it away from one.
    pub(crate) fn assign(&mut self, at: &Key, set: Option<Arc<str>>) {
        let Some(pod) = self.pods.get_mut(at) else { return };
        let (active, ready) = pod.counts();
        let before = std::mem::replace(&mut pod.set, set.clone());
        if let Some(before) = before.and_then(|uid| self.sets.get_mut(&uid)) {
            before.pods.remove(at);
            before.active -= active;
            before.ready -= ready;
            let set = before.at.clone();
            self.enqueue_set(set);
        }
        if let Some(after) = set.and_then(|uid| self.sets.get_mut(&uid)) {
            after.pods.insert(at.clone());
            after.active += active;
            after.ready += ready;
        }
    }

    /// Changes what is remembered of a Pod and tells who cares.
    pub(crate) fn change_pod(&mut self, at: &Key, change: impl FnOnce(&mut Pod)) {
        let Some(pod) = self.pods.get_mut(at) else { return };
        let (active, ready) = pod.counts();
        let before = pod.reachable();
        change(pod);
        let after = pod.counts();
        let moved = pod.reachable() != before;
        if let Some(set) = pod.set.as_ref().and_then(|uid| self.sets.get_mut(uid)) {
            set.active = set.active - active + after.0;
            set.ready = set.ready - ready + after.1;
        }
        if moved {
            self.pod_changed(at);
        }
    }

    /// Forgets a Pod that is gone.
    pub(crate) fn forget_pod(&mut self, at: &Key) {
        self.pod_changed(at);
        let Some(pod) = self.pods.remove(at) else { return };
        if let Some(usage) = self.usage.get_mut(&at.0) {
            usage.pods -= 1;
            usage.needs.cpu -= pod.needs.cpu;
            usage.needs.memory -= pod.needs.memory;
            usage.needs.cpu_limit -= pod.needs.cpu_limit;
            usage.needs.memory_limit -= pod.needs.memory_limit;
        }
        if let Some(set) = pod.set.as_ref().and_then(|uid| self.sets.get_mut(uid)) {
            let (active, ready) = pod.counts();
            set.pods.remove(at);
            set.active -= active;
            set.ready -= ready;
        }
    }

    /// Wakes the controllers that look at Pods.
    fn pod_changed(&mut self, at: &Key) {
        let set = self.pods.get(at).and_then(|pod| self.sets.get(pod.set.as_ref()?)).map(|set| set.at.clone());
        if let Some(set) = set {
            self.enqueue_set(set);
        }
        self.touch_services(at);
        self.touch_budgets(&at.0);
        if !self.quotas.is_empty() {
            self.enqueue_quotas(&at.0);
        }
    }

    /// A client changed a Pod: its labels may have.
    pub(crate) fn pod_edited(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::Pod, at) else { return };
        let labels = Arc::new(object.labels.clone());
        self.change_pod(at, |pod| pod.labels = Arc::clone(&labels));
        let Some(set) = self.pods.get(at).and_then(|pod| pod.set.clone()) else { return };
        let selector = self.sets.get(&set).and_then(|set| self.store.get(Kind::ReplicaSet, &set.at)).map(|object| object.value());
        let selector = selector.map(|set| set["spec"]["selector"]["matchLabels"].clone()).unwrap_or_default();
        let fits = selector.as_object().into_iter().flatten().all(|(label, value)| labels.get(label).map(String::as_str) == value.as_str());
        if !fits {
            // A Pod that the selector does not take any more is let go, and another one takes its place.
            self.assign(at, None);
            self.update(Kind::Pod, at, |pod| {
                if let Some(metadata) = pod["metadata"].as_object_mut() {
                    metadata.remove("ownerReferences");
                }
            });
        }
    }

    /// Ready Pods of a version, and the restarts of each, by name.
    pub(crate) fn serving(&self, namespace: &str, version: &str) -> Vec<(Arc<str>, u32)> {
        let mut pods: Vec<_> = self
            .pods
            .iter()
            .filter(|(at, pod)| &*at.0 == namespace && pod.version() == version && pod.ready.is_some() && !pod.stopping)
            .map(|(at, pod)| (Arc::clone(&at.1), pod.restarts))
            .collect();
        pods.sort();
        pods
    }

    /// Serving Pods of the versions, by their image's tag, that `wanted` takes.
    pub(crate) fn serving_by(&self, namespace: &str, wanted: impl Fn(&str) -> bool) -> Vec<(Arc<str>, u32)> {
        let ours = self.pods.iter().filter(|(at, pod)| &*at.0 == namespace && pod.ready.is_some() && !pod.stopping && wanted(&pod.tag));
        ours.map(|(at, pod)| (Arc::clone(&at.1), pod.restarts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tag_tells_what_becomes_of_a_container() {
        let of = |images: &[&str]| {
            let containers: Vec<Value> = images.iter().map(|image| json!({ "image": image })).collect();
            Behaviour::of(&json!({ "containers": containers }))
        };
        assert_eq!(of(&["registry.example:5000/crash-shop/app"]), (Behaviour::Serves, 0), "names and ports are no tags");
        assert_eq!(of(&["a:1", "b:v2-missing"]), (Behaviour::ImageMissing, 1));
        assert_eq!(of(&["a:crash"]), (Behaviour::Crashes, 0));
        assert_eq!(of(&["a:v3-oom"]), (Behaviour::RunsOutOfMemory, 0));
    }
}
