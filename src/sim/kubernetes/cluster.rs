//! The cluster: its objects and the controllers' memory.

use super::endpoints::Backed;
use super::kubelet::{Crashes, PodStep};
use super::pods::{Pod, SetPods, Usage};
use super::resources::Kind;
use super::scheduler::Node;
use super::store::{Key, Object, Store, key};
use super::usage::Used;
use crate::sim::rng::Rng;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};
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
    /// Look at a Rollout and bring the world closer to it.
    Rollout(Key),
    /// Measure what is due in an AnalysisRun.
    Analysis(Key),
    /// Look at a ReplicaSet and give it the Pods that it wants.
    Set(Key),
    /// Write what a namespace uses of its quotas.
    Quotas(Arc<str>),
    /// Bring the EndpointSlices of a Service up to date.
    Endpoints(Key),
    /// Write what the disruption budgets of a namespace allow.
    Budgets(Arc<str>),
    /// An autoscaler looks, if it still is that one.
    Autoscale(Key, Arc<str>),
    /// Tell an HTTPRoute what its parents make of it.
    Route(Key),
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
    /// Identifiers come from a stream of their own, so that one more Event moves no Pod.
    pub(crate) ids: Rng,
    pub(crate) pods: HashMap<Key, Pod>,
    /// Pods of each ReplicaSet, by its uid.
    pub(crate) sets: HashMap<Arc<str>, SetPods>,
    pub(crate) nodes: Vec<Node>,
    /// What the Pods of each namespace use.
    pub(crate) usage: HashMap<Arc<str>, Usage>,
    /// Quotas of each namespace, with what they allow.
    pub(crate) quotas: BTreeMap<Arc<str>, Vec<(Key, Value)>>,
    /// Namespaces whose quotas are about to be written.
    pub(crate) stale_quotas: HashSet<Arc<str>>,
    /// Services with a selector, by namespace.
    pub(crate) services: BTreeMap<Arc<str>, Vec<Backed>>,
    /// Disruption budgets of each namespace.
    pub(crate) budgets: BTreeMap<Arc<str>, Vec<Key>>,
    /// Namespaces whose budgets are about to be written.
    pub(crate) stale_budgets: HashSet<Arc<str>>,
    /// Autoscalers that look from time to time, by uid.
    pub(crate) autoscalers: HashSet<Arc<str>>,
    /// What each autoscaler recommended of late.
    pub(crate) recommended: HashMap<Arc<str>, Vec<(i64, u32)>>,
    /// What one Pod of a version uses, by namespace and version, as the traffic model says.
    pub(crate) loads: Vec<(String, String, Used)>,
    /// Thousandths of a CPU that all Pods of a Deployment use together, where that is said.
    pub(crate) deployment_loads: HashMap<Key, u64>,
    /// Deployments with a reconcile already due.
    pub(crate) queued: HashSet<Key>,
    /// Rollouts with a look already due.
    pub(crate) queued_rollouts: HashSet<Key>,
    /// ReplicaSets with a look already due.
    pub(crate) queued_sets: HashSet<Key>,
    pub(crate) crashes: Crashes,
    /// Pods that ran so far; each gets an address of its own.
    pub(crate) addresses: u32,
    events: VecDeque<(u64, Key)>,
    /// The Event that already says the same of the same object.
    said: HashMap<u64, Key>,
    /// Pods are as large as those of real clusters: for load tests.
    pub(crate) full_size: bool,
    due: Vec<(i64, Job)>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, now: Now) -> Self {
        Self {
            store: Store::new(),
            now,
            rng: Rng::new(seed, 0x6b38),
            ids: Rng::new(seed, 0x6b39),
            pods: HashMap::new(),
            sets: HashMap::new(),
            nodes: Vec::new(),
            usage: HashMap::new(),
            quotas: BTreeMap::new(),
            stale_quotas: HashSet::new(),
            services: BTreeMap::new(),
            budgets: BTreeMap::new(),
            stale_budgets: HashSet::new(),
            autoscalers: HashSet::new(),
            recommended: HashMap::new(),
            loads: Vec::new(),
            deployment_loads: HashMap::new(),
            queued: HashSet::new(),
            queued_rollouts: HashSet::new(),
            queued_sets: HashSet::new(),
            addresses: 0,
            said: HashMap::new(),
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

    /// How long changes are gathered before a controller looks: longer the more Pods there are.
    pub(crate) fn gather(&self, soon: i64) -> i64 {
        match self.pods.len() {
            0..=50 => soon,
            51..=1000 => soon * 4,
            _ => soon * 10,
        }
    }

    /// Takes what was planned since the last call.
    pub(crate) fn planned(&mut self) -> Vec<(i64, Job)> {
        std::mem::take(&mut self.due)
    }

    /// Does planned work.
    pub(crate) fn perform(&mut self, job: &Job) {
        match job {
            Job::Reconcile(deployment) => self.reconcile(deployment),
            Job::Rollout(rollout) => self.reconcile_rollout(rollout),
            // Measured where the metrics are.
            Job::Analysis(_) => {}
            Job::Set(set) => self.fill_set(set),
            Job::Quotas(namespace) => self.report_quotas(namespace),
            Job::Endpoints(service) => self.fill_slices(service),
            Job::Budgets(namespace) => self.report_budgets(namespace),
            Job::Autoscale(autoscaler, uid) => self.autoscale(autoscaler, uid),
            Job::Route(route) => self.report_route(route),
            Job::Pod(pod, uid, step) => self.pod_step(pod, uid, *step),
            Job::NamespaceGone(name) => {
                self.store.remove(Kind::Namespace, &key("", name));
            }
        }
    }

    /// Asks for a look at a Deployment soon; many asks are one look.
    pub(crate) fn enqueue(&mut self, deployment: Key) {
        if self.queued.insert(deployment.clone()) {
            self.plan(self.gather(150), Job::Reconcile(deployment));
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
    pub(crate) fn stamp(&mut self, kind: Kind, value: &mut Value, created: &str) {
        value["metadata"]["uid"] = Value::from(self.ids.uuid());
        value["metadata"]["creationTimestamp"] = Value::from(created);
        if kind.resource().has_generation() {
            value["metadata"]["generation"] = Value::from(1);
        }
    }

    /// Says something about an object, as Kubernetes Events do. A repeat raises the count of the Event that is there.
    pub(crate) fn say(&mut self, about: &Value, component: &str, warning: bool, reason: &str, message: &str) {
        let (namespace, name) = (text(&about["metadata"]["namespace"]), text(&about["metadata"]["name"]));
        let time = self.now.text();
        let mut hasher = DefaultHasher::new();
        (text(&about["metadata"]["uid"]), reason, message).hash(&mut hasher);
        let saying = hasher.finish();
        if let Some(at) = self.said.get(&saying).cloned() {
            self.update(Kind::Event, &at, |event| {
                event["count"] = Value::from(event["count"].as_u64().unwrap_or(1) + 1);
                event["lastTimestamp"] = Value::from(time.as_str());
            });
            return;
        }
        let mut event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": format!("{name}.{}", self.ids.suffix(16)), "namespace": namespace },
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name, "namespace": namespace,
                "uid": about["metadata"]["uid"], "resourceVersion": about["metadata"]["resourceVersion"],
            },
            "reason": reason, "message": message, "type": if warning { "Warning" } else { "Normal" }, "count": 1,
            "firstTimestamp": time, "lastTimestamp": time, "eventTime": null,
            "source": { "component": component }, "reportingComponent": component, "reportingInstance": "",
        });
        self.stamp(Kind::Event, &mut event, &time);
        let stored = self.store.put(Kind::Event, event);
        self.said.insert(saying, stored.key.clone());
        self.events.push_back((saying, stored.key.clone()));
        if self.events.len() > EVENTS
            && let Some((saying, oldest)) = self.events.pop_front()
        {
            self.said.remove(&saying);
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
