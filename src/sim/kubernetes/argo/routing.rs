//! Weights in an Istio VirtualService, subsets in its DestinationRule.

use super::super::cluster::{Cluster, text};
use super::super::resources::Kind;
use super::super::store::key;
use super::HASH;
use super::turn::Turn;
use serde_json::{Value, json};

impl Turn {
    /// Gives the router its weights, and tells of them.
    pub(super) fn route(&mut self, cluster: &mut Cluster) {
        let sides = [("stableMetadata", self.stable()), ("canaryMetadata", Some(self.newest).filter(|_| !self.settled() && !self.first()))];
        for (field, set) in sides {
            if let Some(set) = set.map(|at| self.sets[at].clone()) {
                cluster.mark_side(&set, &self.canary()[field]["labels"].clone());
            }
        }
        if !self.routed() {
            return;
        }
        let before = self.status["canary"]["weights"]["canary"]["weight"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
        self.weight = self.wanted_weight(before);
        let stable = self.stable().map_or_else(|| self.hash().to_owned(), |at| self.sets[at].hash.clone());
        self.write_route(cluster, &stable);
        let named = |field: &str| self.canary()[field].clone();
        let side = |weight: u32, hash: &str, service: Value| {
            let mut side = json!({ "podTemplateHash": hash, "weight": weight });
            if service.is_string() {
                side["serviceName"] = service;
            }
            side
        };
        self.status["canary"]["weights"] = json!({
            "canary": side(self.weight, self.hash(), named("canaryService")),
            "stable": side(100 - self.weight, &stable, named("stableService")),
        });
        if before != self.weight {
            let message = format!("Traffic weight updated from {before} to {}", self.weight);
            self.say(cluster, false, "TrafficWeightUpdated", &message);
            self.moved = true;
        }
    }

    fn wanted_weight(&self, before: u32) -> u32 {
        if self.first() || self.settled() || self.aborted() || self.sets[self.newest].available == 0 {
            return 0;
        }
        let whole = self.sets[self.newest].available >= self.canary_size();
        match () {
            () if self.index() >= self.steps().len() && whole => 100,
            () if self.index() >= self.steps().len() => before,
            () if whole => self.set_weight(),
            // Instances of the current step are not ready yet: the share stays what it was.
            () => self.steps()[..self.index()].iter().rev().find_map(|step| step["setWeight"].as_u64()).map_or(0, |it| it.min(100) as u32),
        }
    }

    fn write_route(&self, cluster: &mut Cluster, stable: &str) {
        let istio = &self.canary()["trafficRouting"]["istio"];
        let namespace = text(&self.rollout["metadata"]["namespace"]);
        let rule = &istio["destinationRule"];
        let subset = |field: &str| rule[field].as_str().map(str::to_owned);
        let (canary_subset, stable_subset) = (subset("canarySubsetName"), subset("stableSubsetName"));
        if rule.is_object() {
            let hashes = [(&canary_subset, self.hash()), (&stable_subset, stable)];
            cluster.update(Kind::DestinationRule, &key(namespace, text(&rule["name"])), |object| {
                for subset in object["spec"]["subsets"].as_array_mut().into_iter().flatten() {
                    if let Some((_, hash)) = hashes.iter().find(|(name, _)| name.as_deref() == subset["name"].as_str()) {
                        subset["labels"][HASH] = json!(hash);
                    }
                }
            });
        }
        let services = (self.canary()["canaryService"].clone(), self.canary()["stableService"].clone());
        let weight = self.weight;
        let wanted: Vec<String> =
            istio["virtualService"]["routes"].as_array().into_iter().flatten().map(|it| text(it).to_owned()).collect();
        let at = key(namespace, text(&istio["virtualService"]["name"]));
        cluster.update(Kind::VirtualService, &at, |object| {
            let mut changed = false;
            for rule in object["spec"]["http"].as_array_mut().into_iter().flatten() {
                if !wanted.is_empty() && !wanted.iter().any(|name| rule["name"] == **name) {
                    continue;
                }
                for to in rule["route"].as_array_mut().into_iter().flatten() {
                    let to_subset = to["destination"]["subset"].as_str();
                    let host = &to["destination"]["host"];
                    let is = |subset: &Option<String>, service: &Value| match subset {
                        Some(subset) => to_subset == Some(subset),
                        None => host == service,
                    };
                    let share = if is(&canary_subset, &services.0) {
                        weight
                    } else if is(&stable_subset, &services.1) {
                        100 - weight
                    } else {
                        continue;
                    };
                    if to["weight"] != json!(share) {
                        to["weight"] = json!(share);
                        changed = true;
                    }
                }
            }
            if changed {
                let generation = object["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                object["metadata"]["generation"] = json!(generation);
            }
        });
    }
}
