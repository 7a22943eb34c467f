//! What happens to Pods after they are created: scheduled, started, ready, crashed, removed.

use super::cluster::{Cluster, Job, text};
use super::objects;
use super::pods::{Behaviour, Pod};
use super::resources::Kind;
use super::store::Key;
use serde_json::{Value, json};
use std::sync::Arc;

/// The next thing that happens to a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodStep {
    /// It gets a node.
    Schedule,
    /// Its containers run.
    Start,
    /// Its image is asked for again, in vain.
    Pull,
    /// It serves.
    Ready,
    /// A container ends.
    Crash,
    /// That container starts again.
    Restart,
    /// It is gone.
    Remove,
}

/// Which Pods crash by the scene's script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crashes {
    /// The Deployment whose Pods crash; `None`: nothing crashes.
    pub(crate) deployment: Option<Key>,
}

/// Of three Pods of a crashing Deployment one is spared, so that some traffic is still answered.
const SPARED: usize = 3;
/// How long the scheduler waits before it looks again for a Pod that fits nowhere.
const RESCHEDULE: i64 = 30_000;
/// In clusters with more Pods, Events about single ones are left out: they would drown the others.
const TELLING: usize = 200;

impl Cluster {
    /// Takes a Pod that was just stored into care.
    pub(crate) fn adopt(&mut self, at: &Key, pod: Pod) {
        let uid = Arc::clone(&pod.uid);
        self.know_pod(at, pod);
        let wait = self.rng.ms(200, 300);
        self.plan(wait, Job::Pod(at.clone(), uid, PodStep::Schedule));
    }

    /// Stores a Pod that has been serving for a long time: the state of the world when it begins.
    pub(crate) fn seat_pod(&mut self, set: &Value, since: &str) {
        let Some((at, pod)) = self.store_pod(set) else { return };
        let Ok(node) = self.place(pod.needs, &pod.wants) else {
            self.adopt(&at, pod);
            return;
        };
        let (name, host) = self.host(node);
        let ip = self.pod_ip();
        self.update(Kind::Pod, &at, |pod| {
            pod["metadata"]["creationTimestamp"] = Value::from(since);
            pod["spec"]["nodeName"] = json!(&*name);
            objects::set_scheduled(pod, since, &host);
            objects::set_running(pod, since, &ip, None);
            objects::set_ready(pod, true, since);
        });
        let seated = chrono::DateTime::parse_from_rfc3339(since).map_or(0, |since| (self.now.wall - since.to_utc()).num_milliseconds());
        let ready = self.now.t - seated;
        self.know_pod(&at, pod);
        self.change_pod(&at, |pod| {
            pod.ready = Some(ready);
            pod.node = Some(node);
            pod.address = Some(Arc::from(ip.as_str()));
        });
    }

    fn host(&self, node: usize) -> (Arc<str>, String) {
        self.nodes.get(node).map_or_else(|| (Arc::from(""), String::new()), |node| (Arc::clone(&node.name), node.address.clone()))
    }

    fn pod_ip(&mut self) -> String {
        let number = self.addresses;
        self.addresses += 1;
        format!("10.{}.{}.{}", 244 - number / 62_500 % 200, number / 250 % 250, 2 + number % 250)
    }

    /// Does one step, unless the Pod is gone or another one has its name.
    pub(crate) fn pod_step(&mut self, at: &Key, uid: &Arc<str>, step: PodStep) {
        let Some(known) = self.pods.get(at).filter(|pod| pod.uid == *uid).cloned() else { return };
        if known.stopping && step != PodStep::Remove {
            return;
        }
        match step {
            PodStep::Schedule => self.schedule(at, &known),
            PodStep::Start if known.behaviour == Behaviour::ImageMissing => self.miss_image(at, &known, true),
            PodStep::Start => self.start_containers(at, &known),
            PodStep::Pull => self.miss_image(at, &known, false),
            PodStep::Ready => self.make_ready(at, &known),
            PodStep::Crash => self.crash(at, &known),
            PodStep::Restart => self.restart(at, &known),
            PodStep::Remove => self.remove_pod(at),
        }
    }

    fn schedule(&mut self, at: &Key, known: &Pod) {
        let time = self.now.text();
        match self.place(known.needs, &known.wants) {
            Ok(node) => {
                let (name, host) = self.host(node);
                let changed = self.update(Kind::Pod, at, |pod| {
                    pod["spec"]["nodeName"] = json!(&*name);
                    objects::set_scheduled(pod, &time, &host);
                });
                self.change_pod(at, |pod| pod.node = Some(node));
                if let Some(object) = changed.filter(|_| self.pods.len() <= TELLING) {
                    let message = format!("Successfully assigned {}/{} to {name}", at.0, at.1);
                    self.say_of_pod(&object.value(), "default-scheduler", false, "Scheduled", &message);
                }
                let wait = self.rng.ms(800, 1200);
                self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Start));
            }
            Err(why) => {
                self.update(Kind::Pod, at, |pod| objects::set_unschedulable(pod, &time, &why));
                if let Some(object) = self.store.get(Kind::Pod, at) {
                    self.say(&object.value(), "default-scheduler", true, "FailedScheduling", &why);
                }
                self.plan(RESCHEDULE, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Schedule));
            }
        }
    }

    fn start_containers(&mut self, at: &Key, known: &Pod) {
        let time = self.now.text();
        let ip = self.pod_ip();
        let changed = self.update(Kind::Pod, at, |pod| objects::set_running(pod, &time, &ip, None));
        self.change_pod(at, |pod| pod.address = Some(Arc::from(ip.as_str())));
        if let Some(object) = changed.filter(|_| self.pods.len() <= TELLING) {
            self.tell_of_start(&object.value());
        }
        let (wait, next) = match known.behaviour {
            Behaviour::Crashes => (self.rng.ms(800, 400), PodStep::Crash),
            _ => (self.rng.ms(1500, 2000), PodStep::Ready),
        };
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), next));
    }

    fn tell_of_start(&mut self, pod: &Value) {
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let (name, image) = (text(&container["name"]), text(&container["image"]));
            self.say_of_pod(pod, "kubelet", false, "Pulled", &format!("Container image \"{image}\" already present on machine"));
            self.say_of_pod(pod, "kubelet", false, "Created", &format!("Created container: {name}"));
            self.say_of_pod(pod, "kubelet", false, "Started", &format!("Started container {name}"));
        }
    }

    /// The image is not in its registry: the first try says why, later ones wait longer.
    fn miss_image(&mut self, at: &Key, known: &Pod, first: bool) {
        let Some(object) = self.store.get(Kind::Pod, at) else { return };
        let pod = object.value();
        let time = self.now.text();
        let waiting = &pod["status"]["containerStatuses"][known.culprit]["state"]["waiting"]["reason"];
        let image = text(&pod["spec"]["containers"][known.culprit]["image"]).to_owned();
        let tried = first || waiting == "ImagePullBackOff";
        if first {
            let ip = self.pod_ip();
            self.update(Kind::Pod, at, |pod| objects::set_running(pod, &time, &ip, Some(known.culprit)));
        }
        if tried {
            let why = format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
            );
            let message = format!("failed to pull image \"{image}\": {why}");
            self.update(Kind::Pod, at, |pod| objects::set_waiting(pod, known.culprit, "ErrImagePull", &message));
            self.say(&pod, "kubelet", false, "Pulling", &format!("Pulling image \"{image}\""));
            self.say(&pod, "kubelet", true, "Failed", &format!("Failed to pull image \"{image}\": {why}"));
            self.say(&pod, "kubelet", true, "Failed", "Error: ErrImagePull");
        } else {
            let message = format!("Back-off pulling image \"{image}\"");
            self.update(Kind::Pod, at, |pod| objects::set_waiting(pod, known.culprit, "ImagePullBackOff", &message));
            self.say(&pod, "kubelet", false, "BackOff", &message);
            self.say(&pod, "kubelet", true, "Failed", "Error: ImagePullBackOff");
        }
        let wait = if tried { 2_000 } else { (known.created - self.now.t).abs().clamp(10_000, 300_000) };
        self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Pull));
    }

    fn make_ready(&mut self, at: &Key, known: &Pod) {
        let time = self.now.text();
        let now = self.now.t;
        self.update(Kind::Pod, at, |pod| objects::set_ready(pod, true, &time));
        self.change_pod(at, |pod| pod.ready = Some(now));
        if known.behaviour == Behaviour::RunsOutOfMemory {
            let wait = self.rng.ms(8_000, 6_000);
            self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Crash));
        }
    }

    /// Begins to crash the Pods of a Deployment, staggered.
    pub(crate) fn start_crashes(&mut self, deployment: &Key) {
        self.crashes.deployment = Some(deployment.clone());
        let sets = self.sets.values().filter(|set| set.owner.as_ref().is_some_and(|owner| owner.key == *deployment));
        let mut pods: Vec<(Key, Arc<str>)> = sets
            .flat_map(|set| &set.pods)
            .filter_map(|at| self.pods.get(at).filter(|pod| !pod.stopping).map(|pod| (at.clone(), Arc::clone(&pod.uid))))
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

    /// Whether the scene lets this Pod crash.
    fn scripted(&self, pod: &Pod) -> bool {
        let owner = pod.set.as_ref().and_then(|uid| self.sets.get(uid)).and_then(|set| set.owner.as_ref());
        self.crashes.deployment.is_some() && owner.map(|owner| &owner.key) == self.crashes.deployment.as_ref()
    }

    fn crash(&mut self, at: &Key, known: &Pod) {
        let scripted = self.scripted(known);
        if !scripted && !matches!(known.behaviour, Behaviour::Crashes | Behaviour::RunsOutOfMemory) {
            return;
        }
        let time = self.now.text();
        let restarts = known.restarts + 1;
        let killed = scripted || known.behaviour == Behaviour::RunsOutOfMemory;
        let back_off = (5_i64 << restarts.min(6)).min(300);
        let changed = self.update(Kind::Pod, at, |pod| objects::set_crashed(pod, &time, known.culprit, restarts, killed, back_off));
        self.change_pod(at, |pod| {
            pod.ready = None;
            pod.restarts = restarts;
        });
        if let Some(object) = changed {
            let pod = object.value();
            let container = text(&pod["spec"]["containers"][known.culprit]["name"]);
            let message = format!("Back-off restarting failed container {container} in pod {}", objects::full_name(&pod));
            self.say(&pod, "kubelet", true, "BackOff", &message);
        }
        self.plan(back_off * 1000, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Restart));
    }

    fn restart(&mut self, at: &Key, known: &Pod) {
        let time = self.now.text();
        let changed = self.update(Kind::Pod, at, |pod| objects::set_restarted(pod, &time, known.culprit));
        if let Some(object) = changed.filter(|_| self.pods.len() <= TELLING) {
            self.tell_of_start(&object.value());
        }
        if known.behaviour == Behaviour::Crashes {
            self.plan(1_000, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Crash));
            return;
        }
        self.plan(3_000, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Ready));
        if known.behaviour != Behaviour::RunsOutOfMemory {
            let wait = self.rng.ms(12_000, 10_000);
            self.plan(wait, Job::Pod(at.clone(), Arc::clone(&known.uid), PodStep::Crash));
        }
    }

    /// Begins the graceful end of a Pod.
    pub(crate) fn stop_pod(&mut self, at: &Key) {
        let Some(pod) = self.pods.get(at).filter(|pod| !pod.stopping) else { return };
        let (uid, running) = (Arc::clone(&pod.uid), pod.address.is_some());
        let (time, wall) = (self.now.text(), self.now.wall);
        let changed = self.update(Kind::Pod, at, |pod| {
            let grace = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
            let over = wall + chrono::TimeDelta::seconds(grace);
            pod["metadata"]["deletionTimestamp"] = json!(over.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            objects::set_ready(pod, false, &time);
        });
        self.change_pod(at, |pod| pod.stopping = true);
        if let Some(object) = changed.filter(|_| running && self.pods.len() <= TELLING) {
            let pod = object.value();
            for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
                self.say_of_pod(&pod, "kubelet", false, "Killing", &format!("Stopping container {}", text(&container["name"])));
            }
        }
        let wait = self.rng.ms(600, 900);
        self.plan(wait, Job::Pod(at.clone(), uid, PodStep::Remove));
    }

    /// Removes a Pod at once.
    pub(crate) fn remove_pod(&mut self, at: &Key) {
        self.store.remove(Kind::Pod, at);
        self.forget_pod(at);
    }

    /// Says something about a single Pod, unless there are too many.
    pub(crate) fn say_of_pod(&mut self, pod: &Value, component: &str, warning: bool, reason: &str, message: &str) {
        if warning || self.pods.len() <= TELLING {
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
}
