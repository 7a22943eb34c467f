//! What the API server fills in: on creation, and in every new state of an object.

use super::cluster::text;
use super::objects;
use super::resources::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Sets fields that are not there.
fn fill(object: &mut Value, fields: &[(&str, Value)]) {
    for (field, value) in fields {
        if object[*field].is_null() {
            object[*field] = value.clone();
        }
    }
}

fn each(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// The items of a list that may not be there: looking for it must not bring it into being.
fn each_of<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).into_iter().flat_map(each)
}

/// First state of a new object: a client may not bring a status where status has an address of its own.
pub(crate) fn complete(kind: Kind, name: &str, object: &mut Value) {
    if kind.resource().has_status()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    match kind {
        Kind::Namespace => {
            let fresh = objects::namespace(name);
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            object["spec"] = fresh["spec"].clone();
            object["status"] = fresh["status"].clone();
        }
        Kind::Deployment => object["status"] = json!({}),
        Kind::ReplicaSet => object["status"] = json!({ "replicas": 0 }),
        Kind::Pod => object["status"] = json!({ "phase": "Pending", "qosClass": objects::quality(&object["spec"]) }),
        Kind::Service => object["status"] = json!({ "loadBalancer": {} }),
        Kind::Ingress => object["status"] = json!({ "loadBalancer": {} }),
        Kind::Hpa => object["status"] = json!({ "currentMetrics": null, "desiredReplicas": 0 }),
        Kind::Pdb => {
            object["status"] = json!({ "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0 });
        }
        Kind::Crd => {
            let names = object["spec"]["names"].clone();
            object["status"] = json!({
                "acceptedNames": names, "storedVersions": ["v1"],
                "conditions": [{ "type": "NamesAccepted", "status": "True" }, { "type": "Established", "status": "True" }],
            });
        }
        _ => {}
    }
    default(kind, object);
}

/// Fields that every stored state has.
pub(crate) fn default(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Deployment => deployment(&mut object["spec"]),
        Kind::ReplicaSet => {
            fill(&mut object["spec"], &[("replicas", json!(1))]);
            pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        Kind::Pod => pod_spec(&mut object["spec"]),
        Kind::Service => service(object),
        Kind::Secret => secret(object),
        Kind::Hpa => {
            let target = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]);
            fill(&mut object["spec"], &[("minReplicas", json!(1)), ("metrics", target)]);
        }
        Kind::HttpRoute => http_route(&mut object["spec"]),
        Kind::Ingress => {
            for rule in each(&mut object["spec"]["rules"]) {
                each(&mut rule["http"]["paths"]).for_each(|path| fill(path, &[("pathType", json!("ImplementationSpecific"))]));
            }
        }
        _ => {}
    }
}

fn deployment(spec: &mut Value) {
    fill(
        spec,
        &[
            ("replicas", json!(1)),
            ("revisionHistoryLimit", json!(10)),
            ("progressDeadlineSeconds", json!(600)),
            ("strategy", json!({ "type": "RollingUpdate" })),
        ],
    );
    let strategy = &mut spec["strategy"];
    fill(strategy, &[("type", json!("RollingUpdate"))]);
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, &[("rollingUpdate", json!({}))]);
        fill(&mut strategy["rollingUpdate"], &[("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))]);
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn pod_spec(spec: &mut Value) {
    fill(
        spec,
        &[
            ("restartPolicy", json!("Always")),
            ("terminationGracePeriodSeconds", json!(30)),
            ("dnsPolicy", json!("ClusterFirst")),
            ("schedulerName", json!("default-scheduler")),
            ("securityContext", json!({})),
        ],
    );
    for container in each(&mut spec["containers"]) {
        let image = text(&container["image"]);
        let latest = image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or("").contains([':', '@']);
        let pull = if latest { "Always" } else { "IfNotPresent" };
        fill(
            container,
            &[
                ("imagePullPolicy", json!(pull)),
                ("resources", json!({})),
                ("terminationMessagePath", json!("/dev/termination-log")),
                ("terminationMessagePolicy", json!("File")),
            ],
        );
        each(&mut container["ports"]).for_each(|port| fill(port, &[("protocol", json!("TCP"))]));
        for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
            if container[probe].is_object() {
                fill(
                    &mut container[probe],
                    &[
                        ("timeoutSeconds", json!(1)),
                        ("periodSeconds", json!(10)),
                        ("successThreshold", json!(1)),
                        ("failureThreshold", json!(3)),
                    ],
                );
            }
        }
        for limit in ["cpu", "memory"] {
            let most = container["resources"]["limits"][limit].clone();
            if !most.is_null() && container["resources"]["requests"][limit].is_null() {
                container["resources"]["requests"][limit] = most;
            }
        }
    }
}

fn service(object: &mut Value) {
    // A stable address of its own, from its name.
    let name = format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let hash = name.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    let address = format!("10.43.{}.{}", hash / 250 % 250, 2 + hash % 250);
    let spec = &mut object["spec"];
    fill(spec, &[("type", json!("ClusterIP")), ("sessionAffinity", json!("None")), ("internalTrafficPolicy", json!("Cluster"))]);
    if spec["type"] != "ExternalName" {
        fill(spec, &[("clusterIP", json!(address)), ("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))]);
        let address = spec["clusterIP"].clone();
        fill(spec, &[("clusterIPs", json!([address]))]);
    }
    for port in each(&mut spec["ports"]) {
        let own = port["port"].clone();
        fill(port, &[("protocol", json!("TCP")), ("targetPort", own)]);
    }
}

fn secret(object: &mut Value) {
    fill(object, &[("type", json!("Opaque"))]);
    let plain = object.as_object_mut().and_then(|fields| fields.remove("stringData"));
    for (name, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        object["data"][name] = json!(STANDARD.encode(text(value)));
    }
}

fn http_route(spec: &mut Value) {
    for parent in each_of(spec, "parentRefs") {
        fill(parent, &[("group", json!("gateway.networking.k8s.io")), ("kind", json!("Gateway"))]);
    }
    for rule in each(&mut spec["rules"]) {
        fill(rule, &[("matches", json!([{ "path": { "type": "PathPrefix", "value": "/" } }]))]);
        for one in each(&mut rule["matches"]) {
            fill(one, &[("path", json!({ "type": "PathPrefix", "value": "/" }))]);
            each_of(one, "headers").for_each(|header| fill(header, &[("type", json!("Exact"))]));
        }
        for backend in each_of(rule, "backendRefs") {
            fill(backend, &[("group", json!("")), ("kind", json!("Service")), ("weight", json!(1))]);
        }
    }
}
