//! The cluster: its objects and the controllers' memory.

use super::kubelet::{Crashes, Pod, PodStep};
use super::resources::Kind;
use super::store::{Key, Object, Store, key};
use crate::sim::rng::Rng;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// The simulated moment of what happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Milliseconds since t = 0.
    pub(crate) t: i64,
    /// Wall time.
    pub(crate) wall: DateTime<Utc>,
}

impl Now {
    /// As Kubernetes writes times.
    pub(crate) fn text(self) -> String {
        self.wall.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

/// Work of a controller that is due at a time.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// Look at a Deployment and bring the world closer to it.
    Reconcile(Key),
    /// The next thing that happens to a Pod, if it still is that Pod.
    Pod(Key, Arc<str>, PodStep),
    /// A Namespace is empty and goes.
    NamespaceGone(Arc<str>),
}

/// Events kept in the cluster.
const EVENTS: usize = 500;

/// All objects and what the controllers know of them.
pub(crate) struct Cluster {
    pub(crate) store: Store,
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    pub(crate) pods: HashMap<Key, Pod>,
    /// Pods of each ReplicaSet, by its uid.
    pub(crate) sets: HashMap<Arc<str>, BTreeSet<Key>>,
    /// Deployments with a reconcile already due.
    pub(crate) queued: HashSet<Key>,
    pub(crate) crashes: Crashes,
    /// Pods are as large as those of real clusters: for load tests.
    pub(crate) full_size: bool,
    events: VecDeque<Key>,
    due: Vec<(i64, Job)>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, now: Now) -> Self {
        Self {
            store: Store::new(),
            now,
            rng: Rng::new(seed, 0x6b38),
            pods: HashMap::new(),
            sets: HashMap::new(),
            queued: HashSet::new(),
            crashes: Crashes::default(),
            full_size: false,
            events: VecDeque::new(),
            due: Vec::new(),
        }
    }

    /// Plans work `after` ms from now.
    pub(crate) fn plan(&mut self, after: i64, job: Job) {
        self.due.push((self.now.t + after, job));
    }

    /// Takes what was planned since the last call.
    pub(crate) fn planned(&mut self) -> Vec<(i64, Job)> {
        std::mem::take(&mut self.due)
    }

    /// Takes back what was planned last.
    pub(crate) fn pop_planned(&mut self) -> Option<(i64, Job)> {
        self.due.pop()
    }

    /// Does planned work.
    pub(crate) fn perform(&mut self, job: &Job) {
        match job {
            Job::Reconcile(deployment) => self.reconcile(deployment),
            Job::Pod(pod, uid, step) => self.pod_step(pod, uid, *step),
            Job::NamespaceGone(name) => {
                self.store.remove(Kind::Namespace, &key("", name));
            }
        }
    }

    /// Asks for a look at a Deployment soon; many asks are one look.
    pub(crate) fn enqueue(&mut self, deployment: Key) {
        if self.queued.insert(deployment.clone()) {
            self.plan(150, Job::Reconcile(deployment));
        }
    }

    /// Reads, changes and stores an object, as a controller does. Nothing is stored when nothing changed.
    pub(crate) fn update(&mut self, kind: Kind, at: &Key, change: impl FnOnce(&mut Value)) -> Option<Arc<Object>> {
        let before = self.store.get(kind, at)?.value();
        let mut after = before.clone();
        change(&mut after);
        (after != before).then(|| self.store.put(kind, after))
    }

    /// A fresh object's bookkeeping.
    pub(crate) fn stamp(&mut self, value: &mut Value, created: &str) {
        value["metadata"]["uid"] = Value::from(self.rng.uuid());
        value["metadata"]["creationTimestamp"] = Value::from(created);
        value["metadata"]["generation"] = Value::from(1);
    }

    /// Says something about an object, as Kubernetes Events do. A repeat raises the count of the Event that is there.
    pub(crate) fn say(&mut self, about: &Value, component: &str, warning: bool, reason: &str, message: &str) {
        let (namespace, name) = (text(&about["metadata"]["namespace"]), text(&about["metadata"]["name"]));
        let time = self.now.text();
        let repeated = self.events.iter().rev().take(40).find(|at| {
            self.store.get(Kind::Event, at).is_some_and(|event| {
                let event = event.value();
                event["involvedObject"]["uid"] == about["metadata"]["uid"] && event["reason"] == reason && event["message"] == message
            })
        });
        if let Some(at) = repeated.cloned() {
            self.update(Kind::Event, &at, |event| {
                event["count"] = Value::from(event["count"].as_u64().unwrap_or(1) + 1);
                event["lastTimestamp"] = Value::from(time.as_str());
            });
            return;
        }
        let mut event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": format!("{name}.{}", self.rng.suffix(16)), "namespace": namespace },
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name, "namespace": namespace,
                "uid": about["metadata"]["uid"], "resourceVersion": about["metadata"]["resourceVersion"],
            },
            "reason": reason, "message": message, "type": if warning { "Warning" } else { "Normal" }, "count": 1,
            "firstTimestamp": time, "lastTimestamp": time, "eventTime": null,
            "source": { "component": component }, "reportingComponent": component, "reportingInstance": "",
        });
        self.stamp(&mut event, &time);
        let stored = self.store.put(Kind::Event, event);
        self.events.push_back(stored.key.clone());
        if self.events.len() > EVENTS
            && let Some(oldest) = self.events.pop_front()
        {
            self.store.remove(Kind::Event, &oldest);
        }
    }
}

/// A JSON string, or nothing.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// A JSON count, or 0.
pub(crate) fn count(value: &Value) -> u32 {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}
