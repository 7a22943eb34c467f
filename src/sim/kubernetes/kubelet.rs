//! What happens to Pods after they are created: scheduled, started, ready, crashed, removed.

use super::cluster::{Cluster, Job, text};
use super::objects;
use super::resources::Kind;
use super::store::Key;
use serde_json::{Value, json};
use std::sync::Arc;

/// The next thing that happens to a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodStep {
    /// It gets a node.
    Schedule,
    /// Its container runs.
    Start,
    /// It serves.
    Ready,
    /// Its container is killed.
    Crash,
    /// Its container starts again.
    Restart,
    /// It is gone.
    Remove,
}

/// What the controllers remember of a Pod.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) uid: Arc<str>,
    /// The ReplicaSet that owns it (uid) and the Deployment behind.
    pub(crate) set: Option<(Arc<str>, Key)>,
    pub(crate) created: i64,
    pub(crate) ready: bool,
    pub(crate) stopping: bool,
    pub(crate) restarts: u32,
    /// Its labels that traffic is told apart by.
    pub(crate) version: Arc<str>,
}

/// Which Pods crash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crashes {
    /// The Deployment whose Pods crash; `None`: nothing crashes.
    pub(crate) deployment: Option<Key>,
}

/// Of three Pods of a crashing Deployment one is spared, so that some traffic is still answered.
const SPARED: usize = 3;

impl Cluster {
    /// Stores a Pod that a ReplicaSet wants.
    pub(crate) fn create_pod(&mut self, set: &Value, deployment: &Key) {
        let name = format!("{}-{}", text(&set["metadata"]["name"]), self.rng.suffix(5));
        let mut pod = objects::pod(set, &name);
        if self.full_size {
            super::full_size::fill_out(&mut pod);
        }
        let created = self.now.text();
        self.stamp(&mut pod, &created);
        let set_uid: Arc<str> = Arc::from(text(&set["metadata"]["uid"]));
        let stored = self.store.put(Kind::Pod, pod);
        let at = stored.key.clone();
        self.sets.entry(Arc::clone(&set_uid)).or_default().insert(at.clone());
        self.adopt(&at, &stored.uid, Some((set_uid, deployment.clone())), stored.labels.get("version").map_or("", String::as_str));
    }

    /// Takes a Pod that was just stored into care.
    pub(crate) fn adopt(&mut self, at: &Key, uid: &Arc<str>, set: Option<(Arc<str>, Key)>, version: &str) {
        let pod =
            Pod { uid: Arc::clone(uid), set, created: self.now.t, ready: false, stopping: false, restarts: 0, version: Arc::from(version) };
        self.pods.insert(at.clone(), pod);
        let wait = self.rng.ms(200, 300);
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(uid), PodStep::Schedule));
    }

    /// Stores a Pod that has been serving for a long time: the state of the world when it begins.
    pub(crate) fn seat_pod(&mut self, set: &Value, deployment: &Key, since: &str) {
        self.create_pod(set, deployment);
        // The plan of a fresh Pod does not apply: it stands already.
        let Some((_, Job::Pod(at, ..))) = self.pop_planned() else { return };
        let node = objects::node(self.rng.below(objects::NODES));
        let ip = self.pod_ip();
        self.update(Kind::Pod, &at, |pod| {
            pod["metadata"]["creationTimestamp"] = Value::from(since);
            pod["spec"]["nodeName"] = Value::from(node.as_str());
            objects::set_running(pod, since, &ip);
            objects::set_ready(pod, true, since);
        });
        if let Some(pod) = self.pods.get_mut(&at) {
            pod.ready = true;
        }
    }

    fn pod_ip(&mut self) -> String {
        format!("10.42.{}.{}", self.rng.below(250), 2 + self.rng.below(250))
    }

    /// Does one step, unless the Pod is gone or another one has its name.
    pub(crate) fn pod_step(&mut self, at: &Key, uid: &Arc<str>, step: PodStep) {
        let Some(known) = self.pods.get(at).filter(|pod| pod.uid == *uid).cloned() else { return };
        if known.stopping && step != PodStep::Remove {
            return;
        }
        match step {
            PodStep::Schedule => self.schedule(at, uid),
            PodStep::Start => self.start_container(at, uid),
            PodStep::Ready => self.make_ready(at, true),
            PodStep::Crash => self.crash(at, &known),
            PodStep::Restart => self.restart(at, &known),
            PodStep::Remove => self.remove_pod(at),
        }
    }

    fn schedule(&mut self, at: &Key, uid: &Arc<str>) {
        let node = objects::node(self.rng.below(objects::NODES));
        let time = self.now.text();
        let changed = self.update(Kind::Pod, at, |pod| {
            pod["spec"]["nodeName"] = Value::from(node.as_str());
            objects::set_scheduled(pod, &time);
        });
        if let Some(object) = changed {
            let pod = object.value();
            let message = format!("Successfully assigned {}/{} to {node}", at.0, at.1);
            self.say_of_pod(&pod, "default-scheduler", false, "Scheduled", &message);
        }
        let wait = self.rng.ms(800, 1200);
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(uid), PodStep::Start));
    }

    fn start_container(&mut self, at: &Key, uid: &Arc<str>) {
        let time = self.now.text();
        let ip = self.pod_ip();
        let changed = self.update(Kind::Pod, at, |pod| objects::set_running(pod, &time, &ip));
        if let Some(object) = changed {
            self.say_of_pod(&object.value(), "kubelet", false, "Started", "Started container app");
        }
        let wait = self.rng.ms(1500, 2000);
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(uid), PodStep::Ready));
    }

    fn make_ready(&mut self, at: &Key, ready: bool) {
        let time = self.now.text();
        self.update(Kind::Pod, at, |pod| objects::set_ready(pod, ready, &time));
        if let Some(pod) = self.pods.get_mut(at) {
            pod.ready = ready;
            if let Some((_, deployment)) = pod.set.clone() {
                self.enqueue(deployment);
            }
        }
    }

    /// Begins to crash the Pods of a Deployment, staggered.
    pub(crate) fn start_crashes(&mut self, deployment: &Key) {
        self.crashes.deployment = Some(deployment.clone());
        let mut pods: Vec<(Key, Arc<str>)> = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.set.as_ref().is_some_and(|(_, of)| of == deployment) && !pod.stopping)
            .map(|(at, pod)| (at.clone(), Arc::clone(&pod.uid)))
            .collect();
        pods.sort();
        let crashing = pods.into_iter().enumerate().filter(|(i, _)| i % SPARED != SPARED - 1);
        for ((_, (at, uid)), after) in crashing.zip((0..).step_by(4_000)) {
            self.plan(after, Job::Pod(at, uid, PodStep::Crash));
        }
    }

    /// Crashes end; what waits in a back-off starts again in its time and stays.
    pub(crate) fn end_crashes(&mut self) {
        self.crashes.deployment = None;
    }

    fn crashes_now(&self, pod: &Pod) -> bool {
        pod.set.as_ref().is_some_and(|(_, deployment)| self.crashes.deployment.as_ref() == Some(deployment))
    }

    fn crash(&mut self, at: &Key, known: &Pod) {
        if !self.crashes_now(known) {
            return;
        }
        let time = self.now.text();
        let restarts = known.restarts + 1;
        let changed = self.update(Kind::Pod, at, |pod| objects::set_crashed(pod, &time, restarts));
        if let Some(pod) = self.pods.get_mut(at) {
            pod.ready = false;
            pod.restarts = restarts;
        }
        if let Some(object) = changed {
            let pod = object.value();
            let message = format!("Back-off restarting failed container app in pod {}_{}({})", at.1, at.0, known.uid);
            self.say_of_pod(&pod, "kubelet", true, "BackOff", &message);
        }
        if let Some((_, deployment)) = known.set.clone() {
            self.enqueue(deployment);
        }
        let wait = (10_000_i64 << restarts.min(5)).min(300_000) / 2;
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Restart));
    }

    fn restart(&mut self, at: &Key, known: &Pod) {
        let time = self.now.text();
        self.update(Kind::Pod, at, |pod| objects::set_restarted(pod, &time));
        self.plan(3_000, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Ready));
        let wait = self.rng.ms(12_000, 10_000);
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Crash));
    }

    /// Begins the graceful end of a Pod.
    pub(crate) fn stop_pod(&mut self, at: &Key) {
        let time = self.now.text();
        let Some(pod) = self.pods.get_mut(at).filter(|pod| !pod.stopping) else { return };
        pod.stopping = true;
        pod.ready = false;
        let (uid, set) = (Arc::clone(&pod.uid), pod.set.clone());
        self.update(Kind::Pod, at, |pod| {
            pod["metadata"]["deletionTimestamp"] = Value::from(time.as_str());
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
            objects::set_ready(pod, false, &time);
        });
        let wait = self.rng.ms(600, 900);
        self.plan(wait, Job::Pod(at.clone(), uid, PodStep::Remove));
        if let Some((_, deployment)) = set {
            self.enqueue(deployment);
        }
    }

    /// Removes a Pod at once.
    pub(crate) fn remove_pod(&mut self, at: &Key) {
        self.store.remove(Kind::Pod, at);
        let Some(pod) = self.pods.remove(at) else { return };
        if let Some((set, deployment)) = pod.set {
            if let Some(pods) = self.sets.get_mut(&set) {
                pods.remove(at);
            }
            self.enqueue(deployment);
        }
    }

    /// Events about single Pods are left out of large clusters, where they would drown the others.
    fn say_of_pod(&mut self, pod: &Value, component: &str, warning: bool, reason: &str, message: &str) {
        if warning || self.pods.len() <= 200 {
            self.say(pod, component, warning, reason, message);
        }
    }

    /// Kills and so replaces one Pod chosen at random: churn for load tests.
    pub(crate) fn churn_one(&mut self) {
        let at = {
            let objects = self.store.objects(Kind::Pod);
            let chosen = self.rng.below(objects.len());
            objects.keys().nth(chosen).cloned()
        };
        if let Some(at) = at {
            self.stop_pod(&at);
        }
    }

    /// Ready Pods of a version, and the restarts of each, by name.
    pub(crate) fn serving(&self, namespace: &str, version: &str) -> Vec<(Arc<str>, u32)> {
        let mut pods: Vec<_> = self
            .pods
            .iter()
            .filter(|(at, pod)| &*at.0 == namespace && &*pod.version == version && pod.ready && !pod.stopping)
            .map(|(at, pod)| (Arc::clone(&at.1), pod.restarts))
            .collect();
        pods.sort();
        pods
    }
}
