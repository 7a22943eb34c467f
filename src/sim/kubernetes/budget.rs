//! PodDisruptionBudgets: how many of the selected Pods may go at the moment.

use super::cluster::{Cluster, Job, text};
use super::conditions::set_condition;
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long changes of Pods are gathered, in a small cluster.
const GATHER: i64 = 200;

/// `50%` or a number of Pods, rounded up.
fn share(limit: &Value, of: u64) -> u64 {
    match limit.as_str().and_then(|s| s.strip_suffix('%')).and_then(|s| s.parse::<u64>().ok()) {
        Some(percent) => (percent * of).div_ceil(100),
        None => limit.as_u64().unwrap_or(0),
    }
}

impl Cluster {
    /// Reads the budgets of a namespace again.
    pub(crate) fn learn_budgets(&mut self, namespace: &Arc<str>) {
        let objects = self.store.objects(Kind::Pdb);
        let inside: Vec<Key> =
            objects.range(key(namespace, "")..).take_while(|(at, _)| at.0 == *namespace).map(|(at, _)| at.clone()).collect();
        if inside.is_empty() {
            self.budgets.remove(namespace);
        } else {
            self.budgets.insert(Arc::clone(namespace), inside);
        }
        self.touch_budgets(namespace);
    }

    /// A Pod of a namespace changed.
    pub(crate) fn touch_budgets(&mut self, namespace: &Arc<str>) {
        if self.budgets.contains_key(namespace) && self.stale_budgets.insert(Arc::clone(namespace)) {
            self.plan(self.gather(GATHER), Job::Budgets(Arc::clone(namespace)));
        }
    }

    /// Writes the status of a namespace's budgets.
    pub(crate) fn report_budgets(&mut self, namespace: &Arc<str>) {
        self.stale_budgets.remove(namespace);
        for at in self.budgets.get(namespace).cloned().unwrap_or_default() {
            self.report_budget(&at);
        }
    }

    fn report_budget(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::Pdb, at) else { return };
        let budget = object.value();
        let selector: BTreeMap<&str, &str> =
            budget["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), text(v))).collect();
        let (mut expected, mut healthy, mut sets) = (0_u64, 0_u64, BTreeSet::new());
        for (_, pod) in self.pods.iter().filter(|(pod, _)| pod.0 == at.0) {
            if pod.stopping || !selector.iter().all(|(label, value)| pod.labels.get(*label).map(String::as_str) == Some(*value)) {
                continue;
            }
            expected += 1;
            healthy += u64::from(pod.ready.is_some());
            sets.extend(pod.set.clone());
        }
        let (least, most) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
        // A number that must stay counts Pods as they are; everything else what their controllers want.
        if !least.is_u64() {
            expected = self.wanted_of(&sets).max(u64::from(expected > 0 && sets.is_empty()) * expected);
        }
        let desired = if least.is_null() { expected.saturating_sub(share(most, expected)) } else { share(least, expected) };
        let allowed = if expected == 0 { 0 } else { healthy.saturating_sub(desired) };
        let time = self.now.text();
        self.update(Kind::Pdb, at, |budget| {
            let mut status = json!({
                "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed, "expectedPods": expected,
                "observedGeneration": budget["metadata"]["generation"],
            });
            if budget["status"]["conditions"].is_array() {
                status["conditions"] = budget["status"]["conditions"].clone();
            }
            let (holds, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
            set_condition(&mut status, ("DisruptionAllowed", holds, reason, ""), &time, false);
            budget["status"] = status;
        });
    }

    /// Replicas that the controllers of some ReplicaSets want.
    fn wanted_of(&self, sets: &BTreeSet<Arc<str>>) -> u64 {
        let mut owners = BTreeSet::new();
        let mut wanted = 0;
        for set in sets.iter().filter_map(|uid| self.sets.get(uid)) {
            let (kind, at) = match &set.owner {
                Some(owner) if owner.kind == "Deployment" => (Kind::Deployment, &owner.key),
                Some(owner) if owner.kind == "Rollout" => (Kind::Rollout, &owner.key),
                _ => (Kind::ReplicaSet, &set.at),
            };
            if owners.insert((kind as u8, at.clone())) {
                wanted += self.store.get(kind, at).and_then(|object| object.value()["spec"]["replicas"].as_u64()).unwrap_or(1);
            }
        }
        wanted
    }
}
