//! What makes a Pod of a real cluster ten kilobytes of JSON: injected variables, mounts, annotations of the network and of monitoring,
//! and above all the record of who manages which field. Added in load tests, where the size is what is measured.

use super::cluster::text;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Variables that an injector adds to the first container.
const VARIABLES: usize = 19;

/// What is the same in all Pods.
struct Parts {
    variables: Vec<Value>,
    mounts: Value,
    volumes: Vec<Value>,
    affinity: Value,
    spread: Value,
    managers: Value,
}

static PARTS: LazyLock<Parts> = LazyLock::new(parts);

/// Gives a new Pod everything that its relatives in a real cluster carry around.
pub(crate) fn fill_out(pod: &mut Value) {
    let name = text(&pod["metadata"]["name"]).to_owned();
    let annotations = pod["metadata"]["annotations"].take();
    let mut annotations = if let Value::Object(given) = annotations { given } else { Map::new() };
    let network = json!([{ "name": "k8s-pod-network", "ips": ["10.42.17.4"], "default": true, "dns": {}, "interface": "eth0" }]);
    for (key, value) in [
        ("checksum/config", "9c1185a5c5e9fc54612808977ee8f548b2258d31c0e9a7f5d3b2c4e6a8f0b1d3"),
        ("checksum/secret", "4f1a0d2b9c7e5a3f8d6b1c0e9a7f5d3b2c4e6a8f0b1d3c5e7a9f2b4d6c8e0a1b"),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "true"),
        ("cni.projectcalico.org/containerID", "9b1c0e7a5f3d2b4c6e8a0f1b3d5c7e9a2f4b6d8c0e1a3f5b7d9c2e4a6f8b0d1c"),
        ("cni.projectcalico.org/podIP", "10.42.17.4/32"),
        ("prometheus.io/path", "/metrics"),
        ("prometheus.io/port", "8080"),
        ("prometheus.io/scrape", "true"),
    ] {
        annotations.insert(key.to_owned(), Value::from(value));
    }
    annotations.insert("k8s.v1.cni.cncf.io/network-status".to_owned(), Value::from(network.to_string()));
    pod["metadata"]["annotations"] = Value::Object(annotations);
    pod["metadata"]["managedFields"] = PARTS.managers.clone();
    let spec = &mut pod["spec"];
    spec["hostname"] = Value::from(name);
    spec["affinity"] = PARTS.affinity.clone();
    spec["topologySpreadConstraints"] = PARTS.spread.clone();
    match spec["volumes"].as_array_mut() {
        Some(given) => given.extend(PARTS.volumes.iter().cloned()),
        None => spec["volumes"] = Value::Array(PARTS.volumes.clone()),
    }
    let container = &mut spec["containers"][0];
    container["volumeMounts"] = PARTS.mounts.clone();
    match container["env"].as_array_mut() {
        Some(given) => given.extend(PARTS.variables.iter().cloned()),
        None => container["env"] = Value::Array(PARTS.variables.clone()),
    }
}

fn variable(index: usize) -> String {
    const OF: [&str; 8] = ["HOST", "PORT", "TIMEOUT_MS", "POOL_SIZE", "RETRIES", "CACHE_TTL", "ENDPOINT", "REGION"];
    const FOR: [&str; 3] = ["DATABASE", "PAYMENTS", "INVENTORY"];
    format!("{}_{}", FOR[index / OF.len() % FOR.len()], OF[index % OF.len()])
}

/// Field paths of a container, each with nothing below it.
fn leaves(names: &[&str]) -> Map<String, Value> {
    names.iter().map(|name| (if *name == "." { ".".to_owned() } else { format!("f:{name}") }, json!({}))).collect()
}

fn probe_fields() -> Value {
    let mut fields = leaves(&[".", "failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"]);
    fields.insert("f:httpGet".to_owned(), Value::Object(leaves(&[".", "path", "port", "scheme"])));
    Value::Object(fields)
}

fn controller_fields() -> Value {
    let mut env = leaves(&["."]);
    for index in 0..VARIABLES {
        env.insert(format!("k:{{\"name\":\"{}\"}}", variable(index)), Value::Object(leaves(&[".", "name", "value"])));
    }
    let mut container = leaves(&[".", "image", "imagePullPolicy", "name", "terminationMessagePath", "terminationMessagePolicy"]);
    container.insert("f:env".to_owned(), Value::Object(env));
    container.insert("f:livenessProbe".to_owned(), probe_fields());
    container.insert("f:readinessProbe".to_owned(), probe_fields());
    container.insert(
        "f:ports".to_owned(),
        json!({ ".": {}, "k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": leaves(&[".", "containerPort", "name", "protocol"]) }),
    );
    container.insert(
        "f:resources".to_owned(),
        json!({ ".": {}, "f:limits": leaves(&[".", "cpu", "memory"]), "f:requests": leaves(&[".", "cpu", "memory"]) }),
    );
    let mounts = ["/etc/checkout", "/tmp", "/var/run/secrets/tls"];
    container.insert("f:volumeMounts".to_owned(), fields_of(mounts, "mountPath", &[".", "mountPath", "name", "readOnly"]));
    let volumes = ["config", "scratch", "tls"];
    json!({
        "f:metadata": {
            "f:annotations": leaves(&[".", "checksum/config", "checksum/secret", "prometheus.io/path", "prometheus.io/port", "prometheus.io/scrape"]),
            "f:generateName": {}, "f:labels": leaves(&[".", "app", "pod-template-hash", "track", "version"]),
            "f:ownerReferences": { ".": {}, "k:{\"uid\":\"5d1c0e7a-5f3d-4b4c-8e8a-0f1b3d5c7e9a\"}": {} },
        },
        "f:spec": {
            "f:affinity": { ".": {}, "f:podAntiAffinity": leaves(&[".", "preferredDuringSchedulingIgnoredDuringExecution"]) },
            "f:containers": { "k:{\"name\":\"app\"}": container }, "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {},
            "f:schedulerName": {}, "f:securityContext": {}, "f:serviceAccount": {}, "f:serviceAccountName": {},
            "f:terminationGracePeriodSeconds": {}, "f:topologySpreadConstraints": { ".": {} },
            "f:volumes": fields_of(volumes, "name", &[".", "name"]),
        },
    })
}

fn fields_of<const N: usize>(names: [&str; N], key: &str, fields: &[&str]) -> Value {
    let mut all = leaves(&["."]);
    for name in names {
        all.insert(format!("k:{{\"{key}\":\"{name}\"}}"), Value::Object(leaves(fields)));
    }
    Value::Object(all)
}

fn kubelet_fields() -> Value {
    let kinds = ["PodReadyToStartContainers", "ContainersReady", "Initialized", "Ready"];
    json!({ "f:status": {
        "f:conditions": fields_of(kinds, "type", &[".", "lastProbeTime", "lastTransitionTime", "status", "type"]),
        "f:containerStatuses": {}, "f:hostIP": {}, "f:hostIPs": {}, "f:phase": {}, "f:podIP": {},
        "f:podIPs": { ".": {}, "k:{\"ip\":\"10.42.17.4\"}": leaves(&[".", "ip"]) }, "f:startTime": {},
    } })
}

fn parts() -> Parts {
    let manager = |name: &str, subresource: Option<&str>, fields: Value| {
        let mut entry =
            json!({ "manager": name, "operation": "Update", "apiVersion": "v1", "time": "2026-03-08T21:07:41Z", "fieldsType": "FieldsV1" });
        entry["fieldsV1"] = fields;
        if let Some(subresource) = subresource {
            entry["subresource"] = Value::from(subresource);
        }
        entry
    };
    let network =
        json!({ "f:metadata": { "f:annotations": leaves(&["cni.projectcalico.org/containerID", "cni.projectcalico.org/podIP"]) } });
    Parts {
        variables: (0..VARIABLES)
            .map(|i| json!({ "name": variable(i), "value": format!("{}.shop.svc.cluster.local", variable(i).to_lowercase()) }))
            .collect(),
        mounts: json!([
            { "name": "config", "mountPath": "/etc/checkout", "readOnly": true }, { "name": "scratch", "mountPath": "/tmp" },
            { "name": "tls", "mountPath": "/var/run/secrets/tls", "readOnly": true },
            { "name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true },
        ]),
        volumes: vec![
            json!({ "name": "config", "configMap": { "name": "checkout-config", "defaultMode": 420 } }),
            json!({ "name": "scratch", "emptyDir": { "sizeLimit": "256Mi" } }),
            json!({ "name": "tls", "secret": { "secretName": "checkout-tls", "defaultMode": 420 } }),
        ],
        affinity: json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "podAffinityTerm": {
            "labelSelector": { "matchLabels": { "app": "checkout" } }, "topologyKey": "kubernetes.io/hostname" } }] } }),
        spread: json!([{ "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": { "app": "checkout" } } }]),
        managers: json!([
            manager("kube-controller-manager", None, controller_fields()),
            manager("calico", Some("status"), network),
            manager("kubelet", Some("status"), kubelet_fields()),
        ]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::objects;
    use super::*;

    #[test]
    fn a_pod_is_as_large_as_those_of_real_clusters() {
        let set = json!({ "metadata": { "name": "checkout-stable-6f9c7d5b84", "namespace": "shop" }, "spec": { "template": {
            "metadata": { "labels": { "app": "checkout" } }, "spec": { "containers": [{ "name": "app", "image": "a/b:v1", "env": [] }] } } } });
        let mut pod = objects::pod(&set, "checkout-stable-6f9c7d5b84-x7k2p");
        fill_out(&mut pod);
        objects::set_running(&mut pod, "2026-03-08T21:07:41Z", "10.42.1.1", None);
        let size = pod.to_string().len();
        // The template here is bare: probes, resources and defaults of a real one are another kilobyte.
        assert!((8_000..11_000).contains(&size), "{size} bytes");
    }
}
