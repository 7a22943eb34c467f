//! What splits the shop's traffic: one of several objects, furnished, followed and written.

use super::kubernetes::{Cluster, Kind, key};
use super::shop::{self, NAMESPACE, SERVICE};
use serde_json::{Value, json};
use std::str::FromStr;

/// What splits the traffic between the two versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrafficBy {
    /// An Istio VirtualService.
    #[default]
    Mesh,
    /// A Gateway API HTTPRoute.
    Gateway,
    /// Canary annotations of ingress-nginx.
    Ingress,
    /// The selector of a Service: all or nothing.
    Selector,
    /// Nothing: one Deployment that replaces its instances a few at a time.
    Rolling,
    /// An Argo Rollout, whose controller moves the weights of a VirtualService.
    Argo,
}

const NAMES: [(&str, TrafficBy); 6] = [
    ("mesh", TrafficBy::Mesh),
    ("gateway", TrafficBy::Gateway),
    ("ingress", TrafficBy::Ingress),
    ("selector", TrafficBy::Selector),
    ("rolling", TrafficBy::Rolling),
    ("argo", TrafficBy::Argo),
];
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const WHOLE: &str = "nginx.ingress.kubernetes.io/canary-weight-total";

impl FromStr for TrafficBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || NAMES.map(|(name, _)| name).join(", ");
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, by)| *by);
        found.ok_or_else(|| format!("unknown traffic {text:?}; use one of {}", known()))
    }
}

impl std::fmt::Display for TrafficBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAMES.iter().find(|(_, by)| by == self).map_or("", |(name, _)| name))
    }
}

/// The Service of one version.
fn side_service(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": {
            "type": "ClusterIP", "selector": { "app": SERVICE, "version": version },
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }], "sessionAffinity": "None",
        },
        "status": { "loadBalancer": {} },
    })
}

fn gateway() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "edge", "namespace": NAMESPACE },
        "spec": { "gatewayClassName": "sim", "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": { "namespaces": { "from": "Same" } } }] },
    })
}

fn http_route() -> Value {
    let to = |name: &str, weight: u32| json!({ "group": "", "kind": "Service", "name": name, "port": 80, "weight": weight });
    let path = json!({ "type": "PathPrefix", "value": "/" });
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": SERVICE, "namespace": NAMESPACE, "labels": { "app": SERVICE } },
        "spec": {
            "parentRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge" }],
            "hostnames": ["shop.example"],
            "rules": [
                {
                    "name": "preview", "matches": [{ "path": path, "headers": [{ "type": "Exact", "name": "x-canary", "value": "true" }] }],
                    "backendRefs": [to(shop::CANARY, 1)],
                },
                { "name": "primary", "matches": [{ "path": path }], "backendRefs": [to(shop::BASELINE, 100), to(shop::CANARY, 0)] },
            ],
        },
    })
}

fn ingress(name: &str, service: &str, notes: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "app": SERVICE }, "annotations": notes },
        "spec": { "ingressClassName": "nginx", "rules": [{ "host": "shop.example", "http": { "paths": [
            { "path": "/checkout", "pathType": "Prefix", "backend": { "service": { "name": service, "port": { "number": 80 } } } },
        ] } }] },
        "status": { "loadBalancer": {} },
    })
}

/// The objects that split the traffic, all of it on the baseline.
pub(super) fn furnish(cluster: &mut Cluster, by: TrafficBy, since: &str) {
    let mut seat = |kind: Kind, object: Value| {
        let at = cluster.seat(kind, object, since);
        match kind {
            Kind::Service => cluster.learn_service(&at),
            _ => cluster.noticed(kind, &at),
        }
    };
    if matches!(by, TrafficBy::Gateway | TrafficBy::Ingress) {
        seat(Kind::Service, side_service(shop::BASELINE, "stable"));
        seat(Kind::Service, side_service(shop::CANARY, "canary"));
    }
    match by {
        TrafficBy::Mesh | TrafficBy::Argo => {
            seat(Kind::DestinationRule, shop::subsets());
            seat(Kind::VirtualService, shop::route());
        }
        TrafficBy::Gateway => {
            seat(Kind::Gateway, gateway());
            seat(Kind::HttpRoute, http_route());
        }
        TrafficBy::Ingress => {
            let canary = json!({ "nginx.ingress.kubernetes.io/canary": "true", WEIGHT: "0", "nginx.ingress.kubernetes.io/canary-by-header": "X-Canary" });
            seat(Kind::Ingress, ingress(SERVICE, shop::BASELINE, &json!({})));
            seat(Kind::Ingress, ingress(shop::CANARY, shop::CANARY, &canary));
        }
        TrafficBy::Selector | TrafficBy::Rolling => {}
    }
}

/// What the plain Service selects: everything, or one version where it is the switch.
pub(super) fn service_selector(by: TrafficBy) -> Value {
    if by == TrafficBy::Selector { json!({ "app": SERVICE, "version": "stable" }) } else { json!({ "app": SERVICE }) }
}

impl TrafficBy {
    fn kind(self) -> Kind {
        match self {
            Self::Mesh | Self::Argo => Kind::VirtualService,
            Self::Gateway => Kind::HttpRoute,
            Self::Ingress => Kind::Ingress,
            Self::Selector | Self::Rolling => Kind::Service,
        }
    }

    fn name(self) -> &'static str {
        if self == Self::Ingress { shop::CANARY } else { SERVICE }
    }

    fn object(self, cluster: &Cluster) -> Option<Value> {
        cluster.store.get(self.kind(), &key(NAMESPACE, self.name())).map(|object| object.value())
    }

    /// Relative weights as configured: baseline, canary. `None` where the object does not say.
    pub(super) fn configured(self, cluster: &Cluster) -> Option<(u64, u64)> {
        if self == Self::Rolling {
            return None;
        }
        split(self.kind(), &self.object(cluster)?)
    }

    /// The path of the object and the JSON patch that sends this share to the canary.
    pub(super) fn patch(self, cluster: &Cluster, canary: u64) -> Option<(String, Value)> {
        let object = self.object(cluster)?;
        let canary = canary.min(100);
        let set = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
        let patch = match self {
            Self::Mesh | Self::Argo => shop::weight_patch(&object, canary),
            Self::Gateway => json!([
                set("/spec/rules/1/backendRefs/0/weight", json!(100 - canary)),
                set("/spec/rules/1/backendRefs/1/weight", json!(canary)),
            ]),
            Self::Ingress => json!([set(&format!("/metadata/annotations/{}", WEIGHT.replace('/', "~1")), json!(canary.to_string()))]),
            Self::Rolling => return None,
            Self::Selector => json!([set("/spec/selector/version", json!(if canary > 50 { "canary" } else { "stable" }))]),
        };
        let resource = self.kind().resource();
        let group =
            if resource.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", resource.group, resource.versions[0]) };
        Some((format!("{group}/namespaces/{NAMESPACE}/{}/{}", resource.plural, self.name()), patch))
    }

    /// The line of the configuration.
    pub(super) fn route_toml(self) -> String {
        let (baseline, canary) = (shop::BASELINE, shop::CANARY);
        match self {
            Self::Mesh => {
                format!(
                    r#"route = {{ virtualservice = "{SERVICE}", http = "primary", baseline_subset = "stable", canary_subset = "canary" }}"#
                )
            }
            Self::Gateway => format!(
                r#"route = {{ httproute = "{SERVICE}", rule = "primary", baseline_service = "{baseline}", canary_service = "{canary}" }}"#
            ),
            Self::Ingress => format!(r#"route = {{ ingress = "{canary}" }}"#),
            Self::Rolling => String::new(),
            Self::Argo => format!(r#"route = {{ rollout = "{SERVICE}" }}"#),
            Self::Selector => {
                format!(r#"route = {{ selector = "{SERVICE}", baseline = {{ version = "stable" }}, canary = {{ version = "canary" }} }}"#)
            }
        }
    }
}

/// The relative weights that an object says: baseline, canary.
pub(super) fn split(kind: Kind, object: &Value) -> Option<(u64, u64)> {
    match kind {
        Kind::VirtualService => shop::weights(object),
        Kind::HttpRoute => object["spec"]["rules"].as_array()?.iter().find_map(|rule| {
            let weight = |name: &str| {
                let to = rule["backendRefs"].as_array()?.iter().find(|to| to["name"] == name)?;
                Some(to["weight"].as_u64().unwrap_or(1))
            };
            Some((weight(shop::BASELINE)?, weight(shop::CANARY)?))
        }),
        Kind::Ingress => {
            let number = |key: &str, none: u64| match &object["metadata"]["annotations"][key] {
                Value::Null => Some(none),
                value => value.as_str()?.parse::<u64>().ok(),
            };
            (object["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary"] == "true").then_some(())?;
            let (weight, whole) = (number(WEIGHT, 0)?, number(WHOLE, 100)?);
            Some((whole.checked_sub(weight)?, weight))
        }
        Kind::Service => match object["spec"]["selector"]["version"].as_str()? {
            "canary" => Some((0, 100)),
            "stable" => Some((100, 0)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_object_tells_its_split() {
        let of = |kind, object: Value| split(kind, &object);
        assert_eq!(of(Kind::HttpRoute, http_route()), Some((100, 0)));
        let mut unwritten = http_route();
        unwritten["spec"]["rules"][1]["backendRefs"][1].as_object_mut().unwrap().remove("weight");
        assert_eq!(of(Kind::HttpRoute, unwritten), Some((100, 1)), "no weight is 1");
        let canary = |weight: &str| ingress("c", "c", &json!({ "nginx.ingress.kubernetes.io/canary": "true", WEIGHT: weight }));
        assert_eq!(of(Kind::Ingress, canary("25")), Some((75, 25)));
        assert_eq!(of(Kind::Ingress, canary("101")), None);
        assert_eq!(of(Kind::Service, side_service("x", "canary")), Some((0, 100)));
    }
}
