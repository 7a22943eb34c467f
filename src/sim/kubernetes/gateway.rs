//! A gateway controller: the status of Gateways, and of HTTPRoutes for each parent that is there.

use super::cluster::{Cluster, Job, text};
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};

/// What this controller calls itself.
const NAME: &str = "sim.gonogo.dev/gateway-controller";
/// How long it takes until a route is programmed.
const DELAY: i64 = 400;

type Condition = (&'static str, bool, &'static str, String);

impl Cluster {
    /// Every route of every namespace is looked at again: a parent or a back-end came or went. There are few of them.
    pub(crate) fn touch_routes(&mut self) {
        let routes: Vec<Key> = self.store.objects(Kind::HttpRoute).keys().cloned().collect();
        for route in routes {
            self.touch_route(&route);
        }
    }

    pub(crate) fn touch_route(&mut self, at: &Key) {
        self.plan(DELAY, Job::Route(at.clone()));
    }

    fn conditions(&self, before: &Value, generation: &Value, conditions: Vec<Condition>) -> Vec<Value> {
        let time = self.now.text();
        let old = |kind: &str, status: &str| {
            let all = before.as_array()?;
            all.iter().find(|c| c["type"] == kind && c["status"] == status).map(|c| c["lastTransitionTime"].clone())
        };
        conditions
            .into_iter()
            .map(|(kind, holds, reason, message)| {
                let status = if holds { "True" } else { "False" };
                json!({
                    "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation,
                    "lastTransitionTime": old(kind, status).unwrap_or_else(|| json!(time)),
                })
            })
            .collect()
    }

    /// A Gateway is accepted and programmed.
    pub(crate) fn program_gateway(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::Gateway, at) else { return };
        let value = object.value();
        let good = vec![
            ("Accepted", true, "Accepted", "Gateway is accepted".to_owned()),
            ("Programmed", true, "Programmed", "Gateway is programmed".to_owned()),
        ];
        let conditions = self.conditions(&value["status"]["conditions"], &value["metadata"]["generation"], good);
        self.update(Kind::Gateway, at, |gateway| {
            gateway["status"]["conditions"] = json!(conditions);
            gateway["status"]["addresses"] = json!([{ "type": "IPAddress", "value": "203.0.113.10" }]);
        });
        self.touch_routes();
    }

    /// Writes what each parent makes of a route.
    pub(crate) fn report_route(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::HttpRoute, at) else { return };
        let route = object.value();
        let generation = &route["metadata"]["generation"];
        let resolved = self.resolve(at, &route);
        let old = route["status"]["parents"].as_array().cloned().unwrap_or_default();
        // What other controllers say of their parents stays.
        let mut parents: Vec<Value> = old.iter().filter(|parent| parent["controllerName"] != NAME).cloned().collect();
        for parent in route["spec"]["parentRefs"].as_array().into_iter().flatten() {
            let Some(accepted) = self.accept(at, parent) else { continue };
            let before = old.iter().find(|known| known["controllerName"] == NAME && known["parentRef"] == *parent);
            let before = before.map(|known| known["conditions"].clone()).unwrap_or_default();
            let conditions = self.conditions(&before, generation, vec![accepted, resolved.clone()]);
            parents.push(json!({ "parentRef": parent, "controllerName": NAME, "conditions": conditions }));
        }
        self.update(Kind::HttpRoute, at, |route| route["status"]["parents"] = json!(parents));
    }

    /// Whether a parent takes the route; `None` when there is no such parent.
    fn accept(&self, at: &Key, parent: &Value) -> Option<Condition> {
        let namespace = parent["namespace"].as_str().unwrap_or(&at.0);
        let place = key(namespace, text(&parent["name"]));
        let good = ("Accepted", true, "Accepted", "Route is accepted".to_owned());
        if parent["kind"] == "Service" {
            return self.store.get(Kind::Service, &place).map(|_| good);
        }
        let gateway = self.store.get(Kind::Gateway, &place)?.value();
        let listeners = || gateway["spec"]["listeners"].as_array().into_iter().flatten();
        match parent["sectionName"].as_str() {
            Some(section) if listeners().all(|listener| listener["name"] != section) => {
                Some(("Accepted", false, "NoMatchingParent", "No listener of that name".to_owned()))
            }
            _ => Some(good),
        }
    }

    /// Whether all back-ends are there.
    fn resolve(&self, at: &Key, route: &Value) -> Condition {
        let rules = route["spec"]["rules"].as_array().into_iter().flatten();
        for backend in rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten()) {
            let name = text(&backend["name"]);
            if backend["kind"] != "Service" {
                return ("ResolvedRefs", false, "InvalidKind", format!("referencing unsupported kind {}", text(&backend["kind"])));
            }
            let namespace = backend["namespace"].as_str().unwrap_or(&at.0);
            if namespace != &*at.0 {
                let message = format!("Backend ref to Service {namespace}/{name} not permitted by any ReferenceGrant");
                return ("ResolvedRefs", false, "RefNotPermitted", message);
            }
            if self.store.get(Kind::Service, &key(namespace, name)).is_none() {
                return ("ResolvedRefs", false, "BackendNotFound", format!("Service \"{name}\" not found"));
            }
        }
        ("ResolvedRefs", true, "ResolvedRefs", "Object references are resolved".to_owned())
    }
}
