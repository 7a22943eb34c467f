//! A small Argo Rollouts controller for canaries: ReplicaSets by template, steps, weights in an Istio VirtualService, analyses.
//!
//! It is level-triggered like the real one: everything is worked out from the Rollout and its ReplicaSets, and written to the status.
//! Not simulated: blue-green, experiments, plug-ins (their steps pass at once) and dynamic scaling of the stable side.

mod analysis;
mod condition;
mod routing;
mod sets;
mod steps;
mod turn;

use super::cluster::{Cluster, Job, count, text};
use super::conditions::set_condition;
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};
use turn::Turn;

/// Label by which templates are told apart.
pub(crate) const HASH: &str = "rollouts-pod-template-hash";
/// Annotation that numbers ReplicaSets.
pub(crate) const REVISION: &str = "rollout.argoproj.io/revision";
/// What the controller put on a ReplicaSet's template for as long as it is canary or stable.
const PASSING: &str = "rollout.argoproj.io/ephemeral-metadata";
/// When an idle ReplicaSet is scaled down.
const DEADLINE: &str = "scale-down-deadline";
/// Who says things.
const NAME: &str = "rollouts-controller";

impl Cluster {
    /// Asks for a look at a Rollout soon; many asks are one look.
    pub(crate) fn enqueue_rollout(&mut self, rollout: Key) {
        if self.queued_rollouts.insert(rollout.clone()) {
            self.plan(150, Job::Rollout(rollout));
        }
    }

    /// A Deployment changed whose template a Rollout may run.
    pub(crate) fn wake_referring(&mut self, deployment: &Key) {
        if self.store.objects(Kind::Rollout).is_empty() {
            return;
        }
        let refers = |rollout: &Value| rollout["spec"]["workloadRef"]["name"] == *deployment.1;
        let of: Vec<Key> = self
            .store
            .objects(Kind::Rollout)
            .iter()
            .filter(|(at, object)| at.0 == deployment.0 && refers(&object.value()))
            .map(|(at, _)| at.clone())
            .collect();
        for at in of {
            self.enqueue_rollout(at);
        }
    }

    /// Stores a Rollout whose Pods have been serving since a time.
    pub(crate) fn seat_rollout(&mut self, rollout: Value, since: &str) {
        let at = self.seat(Kind::Rollout, rollout, since);
        let Some(value) = self.store.get(Kind::Rollout, &at).map(|object| object.value()) else { return };
        let (replicas, template) = (count(&value["spec"]["replicas"]), value["spec"]["template"].clone());
        let set = self.create_rollout_set(&value, &template, 1, replicas);
        self.update(Kind::ReplicaSet, &set.at, |value| value["metadata"]["creationTimestamp"] = json!(since));
        let Some(stored) = self.store.get(Kind::ReplicaSet, &set.at).map(|object| object.value()) else { return };
        for _ in 0..replicas {
            self.seat_pod(&stored, since);
        }
        self.report_set(&set.at, &set.uid);
        // The first look proves the version, the second finds everything done.
        self.reconcile_rollout(&at);
        self.reconcile_rollout(&at);
    }

    /// Brings the world one step closer to a Rollout.
    pub(crate) fn reconcile_rollout(&mut self, at: &Key) {
        self.queued_rollouts.remove(at);
        let Some(object) = self.store.get(Kind::Rollout, at) else { return };
        let rollout = object.value();
        if rollout["spec"]["strategy"]["canary"].is_null() {
            return;
        }
        let Some(template) = self.template_of(&rollout) else {
            self.refuse_spec(at, "the object that spec.workloadRef names does not exist");
            return;
        };
        if let Some(why) = invalid(&rollout) {
            self.refuse_spec(at, &why);
            return;
        }
        let mut turn = Turn::begin(self, rollout, &template);
        turn.take_up_template(self);
        turn.take_up_flags(self);
        turn.step(self);
        turn.scale(self);
        turn.route(self);
        turn.background(self);
        turn.restart(self);
        turn.prove();
        turn.finish(self, at);
    }

    /// The template that a Rollout runs: its own, or that of the Deployment that it refers to.
    fn template_of(&self, rollout: &Value) -> Option<Value> {
        let refers = &rollout["spec"]["workloadRef"];
        if refers.is_null() {
            return Some(rollout["spec"]["template"].clone());
        }
        let at = key(text(&rollout["metadata"]["namespace"]), text(&refers["name"]));
        Some(self.store.get(Kind::Deployment, &at)?.value()["spec"]["template"].clone())
    }

    fn refuse_spec(&mut self, at: &Key, why: &str) {
        let time = self.now.text();
        let before = self.store.get(Kind::Rollout, at).map(|object| object.value()).unwrap_or_default();
        let told = self.update(Kind::Rollout, at, |value| {
            let generation = value["metadata"]["generation"].as_u64().unwrap_or(0);
            set_condition(&mut value["status"], ("InvalidSpec", "True", "InvalidSpec", why), &time, false);
            value["status"]["observedGeneration"] = json!(generation.to_string());
            value["status"]["phase"] = json!("Degraded");
            value["status"]["message"] = json!(format!("InvalidSpec: {why}"));
        });
        if told.is_some() {
            self.say(&before, NAME, true, "InvalidSpec", why);
        }
    }
}

/// Why a specification is refused, in the controller's manner.
fn invalid(rollout: &Value) -> Option<String> {
    let canary = &rollout["spec"]["strategy"]["canary"];
    let routed = !canary["trafficRouting"].is_null();
    let istio = &canary["trafficRouting"]["istio"];
    let subsets = !istio["destinationRule"].is_null();
    if routed && !subsets && (canary["canaryService"].is_null() || canary["stableService"].is_null()) {
        let name = text(&rollout["metadata"]["name"]);
        return Some(format!(
            "The Rollout \"{name}\" is invalid: spec.strategy.canary.stableService: Invalid value: \"\": Stable and canary service must be set when using traffic routing"
        ));
    }
    None
}

/// Seconds of a duration as the CRD has them: a number, or `10m`.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            text.parse().ok().or_else(|| humantime::parse_duration(text).ok().and_then(|it| i64::try_from(it.as_secs()).ok()))
        }
        _ => None,
    }
}
