//! One look at one Rollout: what is there, what is worked out, and what is written back.

use super::super::cluster::{Cluster, Job, count, text};
use super::super::deployment::hash_of;
use super::super::resources::Kind;
use super::super::store::Key;
use super::condition;
use super::sets::RolloutSet;
use super::{DEADLINE, HASH, NAME, REVISION, seconds};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// How long ReplicaSets stay after traffic left them, where a router moves it: routers take a while.
const SCALE_DOWN_DELAY: i64 = 30;

/// One look.
pub(super) struct Turn {
    pub(super) rollout: Value,
    pub(super) status: Value,
    pub(super) sets: Vec<RolloutSet>,
    /// Place of the ReplicaSet of the version asked for.
    pub(super) newest: usize,
    /// The canary's share that the router is given now.
    pub(super) weight: u32,
    /// Something moved: look again at once.
    pub(super) moved: bool,
    /// Look again after so many milliseconds.
    pub(super) again: Option<i64>,
    time: String,
    pub(super) now: DateTime<Utc>,
}

impl Turn {
    pub(super) fn begin(cluster: &mut Cluster, rollout: Value, template: &Value) -> Self {
        let mut sets = cluster.rollout_sets(&rollout);
        let hash = hash_of(template, HASH);
        let newest_number = sets.iter().map(|set| set.revision).max().unwrap_or(0);
        let newest = match sets.iter().position(|set| set.hash == hash) {
            Some(found) => {
                if sets[found].revision < newest_number {
                    // A template that comes back gets the newest number.
                    sets[found].revision = newest_number + 1;
                    let number = sets[found].revision.to_string();
                    cluster.update(Kind::ReplicaSet, &sets[found].at, |value| value["metadata"]["annotations"][REVISION] = json!(number));
                }
                found
            }
            None => {
                sets.push(cluster.create_rollout_set(&rollout, template, newest_number + 1, 0));
                sets.len() - 1
            }
        };
        let mut status = if rollout["status"].is_object() { rollout["status"].clone() } else { json!({}) };
        for part in ["canary", "blueGreen"] {
            if !status[part].is_object() {
                status[part] = json!({});
            }
        }
        let (time, now) = (cluster.now.text(), cluster.now.wall);
        Self { rollout, status, sets, newest, weight: 0, moved: false, again: None, time, now }
    }

    pub(super) fn canary(&self) -> &Value {
        &self.rollout["spec"]["strategy"]["canary"]
    }

    pub(super) fn steps(&self) -> &[Value] {
        self.canary()["steps"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn hash(&self) -> &str {
        &self.sets[self.newest].hash
    }

    pub(super) fn desired(&self) -> u32 {
        self.rollout["spec"]["replicas"].as_u64().map_or(1, |_| count(&self.rollout["spec"]["replicas"]))
    }

    pub(super) fn settled(&self) -> bool {
        self.status["stableRS"] == self.hash()
    }

    pub(super) fn first(&self) -> bool {
        text(&self.status["stableRS"]).is_empty()
    }

    pub(super) fn aborted(&self) -> bool {
        self.status["abort"] == true
    }

    pub(super) fn routed(&self) -> bool {
        !self.canary()["trafficRouting"]["istio"].is_null()
    }

    pub(super) fn index(&self) -> usize {
        count(&self.status["currentStepIndex"]) as usize
    }

    pub(super) fn set_index(&mut self, index: usize) {
        if self.steps().is_empty() {
            self.drop_status("currentStepIndex");
        } else {
            self.status["currentStepIndex"] = json!(index);
        }
    }

    pub(super) fn drop_status(&mut self, field: &str) {
        if let Some(status) = self.status.as_object_mut() {
            status.remove(field);
        }
    }

    pub(super) fn time(&self) -> Value {
        json!(self.time)
    }

    pub(super) fn say(&self, cluster: &mut Cluster, warning: bool, reason: &str, message: &str) {
        cluster.say(&self.rollout, NAME, warning, reason, message);
    }

    pub(super) fn revision(&self) -> u64 {
        self.sets[self.newest].revision
    }

    /// Looks again at a moment.
    pub(super) fn look_at(&mut self, at: DateTime<Utc>) {
        let wait = (at - self.now).num_milliseconds().max(0) + 50;
        self.again = Some(self.again.map_or(wait, |known| known.min(wait)));
    }

    pub(super) fn stable(&self) -> Option<usize> {
        let stable = text(&self.status["stableRS"]);
        self.sets.iter().position(|set| set.hash == stable)
    }

    /// A template or a list of steps that was not seen before begins at the first step, without what was said of the one before.
    pub(super) fn take_up_template(&mut self, cluster: &mut Cluster) {
        let (hash, steps) = (self.hash().to_owned(), hash_of(&json!({ "steps": self.canary()["steps"] }), ""));
        let steps = if self.steps().is_empty() { String::new() } else { steps };
        let other_template = self.status["currentPodHash"] != *hash;
        if !other_template && text(&self.status["currentStepHash"]) == steps {
            return;
        }
        for field in ["pauseConditions", "controllerPause", "abort", "abortedAt", "promoteFull"] {
            self.drop_status(field);
        }
        if let Some(canary) = self.status["canary"].as_object_mut() {
            canary.retain(|field, _| field == "weights");
        }
        cluster.end_analyses(&self.rollout, None);
        self.status["currentPodHash"] = json!(hash);
        if steps.is_empty() {
            self.drop_status("currentStepHash");
        } else {
            self.status["currentStepHash"] = json!(steps);
        }
        let done = self.settled() || self.first();
        self.set_index(if done { self.steps().len() } else { 0 });
        if other_template {
            let message = format!("Rollout updated to revision {}", self.revision());
            self.say(cluster, false, "RolloutUpdated", &message);
            if self.settled() {
                self.say(cluster, false, "SkipSteps", "Rollback to stable ReplicaSets");
            }
        }
        self.moved = true;
    }

    /// What people asked for through the status.
    pub(super) fn take_up_flags(&mut self, cluster: &mut Cluster) {
        if self.settled() {
            for field in ["abort", "abortedAt", "promoteFull"] {
                self.drop_status(field);
            }
        }
        match (self.aborted(), self.status["abortedAt"].is_string()) {
            (true, false) => self.abort(cluster, ""),
            (false, true) => {
                self.drop_status("abortedAt");
                self.set_index(0);
                let message = format!("Retrying update to revision {}", self.revision());
                self.say(cluster, false, "RolloutRetry", &message);
                self.moved = true;
            }
            _ => {}
        }
        if self.status["promoteFull"] == true && !self.settled() && self.index() < self.steps().len() {
            self.clear_pause();
            cluster.end_analyses(&self.rollout, None);
            self.set_index(self.steps().len());
            self.moved = true;
        }
    }

    pub(super) fn clear_pause(&mut self) {
        self.drop_status("pauseConditions");
        self.drop_status("controllerPause");
    }

    /// Gives the version up.
    pub(super) fn abort(&mut self, cluster: &mut Cluster, why: &str) {
        self.status["abort"] = json!(true);
        self.status["abortedAt"] = self.time();
        self.clear_pause();
        self.drop_status("promoteFull");
        self.set_index(0);
        cluster.end_analyses(&self.rollout, None);
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let message = format!("Rollout aborted update to revision {}{why}", self.revision());
        condition::set(&mut self.status, ("Progressing", "False", "RolloutAborted", &message), &self.time, true);
        self.say(cluster, true, "RolloutAborted", &message);
        self.moved = true;
    }

    /// How many instances the canary is to have now.
    pub(super) fn canary_size(&self) -> u32 {
        let desired = self.desired();
        if self.first() || self.settled() || self.status["promoteFull"] == true || self.index() >= self.steps().len() {
            return desired;
        }
        let upto = &self.steps()[..=self.index()];
        let scale = upto.iter().rev().find(|step| step["setCanaryScale"].is_object()).map(|step| &step["setCanaryScale"]);
        let share = |weight: u32| (desired * weight.min(100)).div_ceil(100);
        match scale.filter(|scale| self.routed() && scale["matchTrafficWeight"] != true) {
            Some(scale) if scale["replicas"].is_u64() => count(&scale["replicas"]),
            Some(scale) => share(count(&scale["weight"])),
            // Without a router the share is the count: the nearest that there is.
            None if !self.routed() => (desired * self.set_weight() + 50) / 100,
            None => share(self.set_weight()),
        }
    }

    /// The last weight up to the current step.
    pub(super) fn set_weight(&self) -> u32 {
        let upto = self.steps().get(..=self.index()).unwrap_or(self.steps());
        upto.iter().rev().find(|step| step["setWeight"].is_u64()).map_or(0, |step| count(&step["setWeight"]).min(100))
    }

    /// Gives every ReplicaSet its size.
    pub(super) fn scale(&mut self, cluster: &mut Cluster) {
        if self.rollout["spec"]["paused"] == true && !self.aborted() {
            return;
        }
        let (desired, newest, stable) = (self.desired(), self.newest, self.stable());
        let aborted = self.aborted();
        let canary = self.canary_size();
        let available = self.sets[newest].available;
        for at in 0..self.sets.len() {
            let wanted = match at {
                at if at == newest && (self.first() || self.settled()) => desired,
                at if at == newest && aborted => self.idle(cluster, at, stable),
                at if at == newest => canary,
                at if Some(at) == stable && self.routed() => desired,
                // Without a router what is proven makes room as the new version comes up.
                at if Some(at) == stable && aborted => desired,
                at if Some(at) == stable => desired.saturating_sub(available.min(canary)).max(desired.saturating_sub(canary)),
                at => self.idle(cluster, at, Some(newest)),
            };
            let rollout = self.rollout.clone();
            cluster.resize_rollout_set(&rollout, &mut self.sets[at], wanted);
        }
    }

    /// The size of a ReplicaSet that gets no traffic any more: it goes after a delay, once the one that serves is whole.
    fn idle(&mut self, cluster: &mut Cluster, at: usize, serving: Option<usize>) -> u32 {
        let set = &self.sets[at];
        if set.wanted == 0 {
            return 0;
        }
        let whole = serving.is_some_and(|serving| self.sets[serving].available >= self.desired());
        if !whole {
            return set.wanted;
        }
        if !self.routed() {
            return 0;
        }
        let (field, aborted) = if self.aborted() { ("abortScaleDownDelaySeconds", true) } else { ("scaleDownDelaySeconds", false) };
        let delay = seconds(&self.canary()[field]).unwrap_or(SCALE_DOWN_DELAY);
        if aborted && delay == 0 {
            return set.wanted;
        }
        let object = cluster.store.get(Kind::ReplicaSet, &set.at).map(|object| object.value()).unwrap_or_default();
        let noted = DateTime::parse_from_rfc3339(text(&object["metadata"]["annotations"][DEADLINE])).ok().map(|it| it.to_utc());
        let over = noted.unwrap_or(self.now + TimeDelta::seconds(delay));
        if noted.is_none() {
            let written = over.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            cluster.update(Kind::ReplicaSet, &set.at.clone(), |value| value["metadata"]["annotations"][DEADLINE] = json!(written));
        }
        if self.now >= over {
            return 0;
        }
        let wanted = set.wanted;
        self.look_at(over);
        wanted
    }

    /// Replaces Pods that are older than the restart that was asked for, a quarter at a time.
    pub(super) fn restart(&mut self, cluster: &mut Cluster) {
        let asked = text(&self.rollout["spec"]["restartAt"]);
        let Some(at) = DateTime::parse_from_rfc3339(asked).ok().map(|at| at.to_utc()) else { return };
        if self.status["restartedAt"] == asked {
            return;
        }
        if at > self.now {
            self.look_at(at);
            return;
        }
        let created = |object: &Value| DateTime::parse_from_rfc3339(text(&object["metadata"]["creationTimestamp"])).ok();
        let mut old: Vec<Key> = Vec::new();
        let mut missing = 0;
        for set in &self.sets {
            missing += set.wanted.saturating_sub(set.available);
            let pods = cluster.sets.get(&set.uid).into_iter().flat_map(|set| set.pods.iter());
            old.extend(
                pods.filter(|pod| cluster.pods.get(*pod).is_some_and(|pod| !pod.stopping))
                    .filter(|pod| cluster.store.get(Kind::Pod, pod).and_then(|it| created(&it.value())).is_some_and(|it| it < at))
                    .cloned(),
            );
        }
        if old.is_empty() {
            self.status["restartedAt"] = json!(asked);
            return;
        }
        let room = (self.desired() / 4).max(1).saturating_sub(missing);
        old.into_iter().take(room as usize).for_each(|pod| cluster.stop_pod(&pod));
        self.look_at(self.now + TimeDelta::seconds(2));
    }

    /// A version that is at all instances and gets all requests is proven.
    pub(super) fn prove(&mut self) {
        let desired = self.desired();
        let whole = self.sets[self.newest].available >= desired;
        if self.settled() || self.aborted() || !whole {
            return;
        }
        let all = self.first() || (self.index() >= self.steps().len() && (!self.routed() || self.weight == 100));
        if all && self.rollout["spec"]["paused"] != true {
            self.status["stableRS"] = json!(self.hash());
            self.drop_status("promoteFull");
            self.moved = true;
        }
    }

    /// Writes the status, and plans the next look.
    pub(super) fn finish(mut self, cluster: &mut Cluster, at: &Key) {
        let was_settled = self.rollout["status"]["stableRS"] == self.hash();
        condition::report(&mut self, was_settled);
        if self.settled() && !was_settled && !text(&self.rollout["status"]["stableRS"]).is_empty() {
            let steps = self.steps().len();
            let message =
                format!("Rollout completed update to revision {} ({}): Completed all {steps} canary steps", self.revision(), self.hash());
            self.say(cluster, false, "RolloutCompleted", &message);
        }
        let (status, revision) = (self.status.clone(), self.revision().to_string());
        let changed = cluster.update(Kind::Rollout, at, |value| {
            value["status"] = status;
            value["metadata"]["annotations"][REVISION] = json!(revision);
        });
        if self.moved && changed.is_some() {
            cluster.enqueue_rollout(at.clone());
        }
        if let Some(wait) = self.again {
            cluster.plan(wait, Job::Rollout(at.clone()));
        }
    }
}
