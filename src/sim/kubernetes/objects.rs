//! The shapes of built-in objects, with every field that a client is likely to read.

use super::cluster::text;
use serde_json::{Value, json};

/// Nodes of the cluster, over three zones.
pub(crate) const NODES: usize = 6;

/// Name of node number `index`.
pub(crate) fn node(index: usize) -> String {
    let zone = ["a", "b", "c"][index % 3];
    format!("node-eu-west-1{zone}-{}", index / 3 + 1)
}

/// A Pod of a ReplicaSet, not scheduled yet.
pub(crate) fn pod(set: &Value, name: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut spec = template["spec"].clone();
    spec["serviceAccountName"] = json!("checkout");
    spec["serviceAccount"] = json!("checkout");
    spec["enableServiceLinks"] = json!(true);
    spec["priority"] = json!(0);
    spec["preemptionPolicy"] = json!("PreemptLowerPriority");
    spec["tolerations"] = json!([
        { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
        { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
    ]);
    spec["volumes"] = json!([{ "name": "kube-api-access", "projected": { "defaultMode": 420, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
    ] } }]);
    let mut metadata = json!({
        "name": name, "generateName": format!("{}-", text(&set["metadata"]["name"])), "namespace": set["metadata"]["namespace"],
        "labels": template["metadata"]["labels"],
        "ownerReferences": [owner(set)],
        "managedFields": [{
            "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": set["metadata"]["creationTimestamp"],
            "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:generateName": {}, "f:labels": {}, "f:ownerReferences": {} }, "f:spec": {
                "f:containers": { "k:{\"name\":\"app\"}": { ".": {}, "f:env": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:livenessProbe": {},
                    "f:name": {}, "f:ports": {}, "f:readinessProbe": {}, "f:resources": {}, "f:terminationMessagePath": {} } },
                "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
            } },
        }],
    });
    if !template["metadata"]["annotations"].is_null() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": { "phase": "Pending", "qosClass": quality(&template["spec"]) } })
}

/// A controlling owner reference.
pub(crate) fn owner(of: &Value) -> Value {
    json!({
        "apiVersion": of["apiVersion"], "kind": of["kind"], "name": of["metadata"]["name"], "uid": of["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The class by which Pods are evicted.
pub(crate) fn quality(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let set = |what: &str| containers().any(|c| c["resources"][what].as_object().is_some_and(|all| !all.is_empty()));
    let equal = containers().all(|c| {
        let (requests, limits) = (&c["resources"]["requests"], &c["resources"]["limits"]);
        ["cpu", "memory"].iter().all(|name| !limits[*name].is_null() && requests[*name] == limits[*name])
    });
    match (set("requests") || set("limits"), equal) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn image(pod: &Value) -> Value {
    pod["spec"]["containers"][0]["image"].clone()
}

fn container_name(pod: &Value) -> Value {
    pod["spec"]["containers"][0]["name"].clone()
}

fn condition(kind: &str, holds: bool, time: &str) -> Value {
    json!({ "type": kind, "status": if holds { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": time })
}

pub(crate) fn set_scheduled(pod: &mut Value, time: &str) {
    let status = json!({
        "name": container_name(pod), "image": image(pod), "imageID": "", "ready": false, "started": false, "restartCount": 0, "lastState": {},
        "state": { "waiting": { "reason": "ContainerCreating" } },
    });
    pod["status"]["conditions"] = json!([
        condition("Initialized", true, time),
        condition("Ready", false, time),
        condition("ContainersReady", false, time),
        condition("PodScheduled", true, time),
    ]);
    pod["status"]["startTime"] = json!(time);
    pod["status"]["hostIP"] = json!("10.0.0.7");
    pod["status"]["containerStatuses"] = json!([status]);
}

pub(crate) fn set_running(pod: &mut Value, time: &str, ip: &str) {
    if pod["status"]["conditions"].is_null() {
        set_scheduled(pod, time);
    }
    pod["status"]["phase"] = json!("Running");
    pod["status"]["podIP"] = json!(ip);
    pod["status"]["podIPs"] = json!([{ "ip": ip }]);
    let digest = "sha256:4f1a0d2b9c7e5a3f8d6b1c0e9a7f5d3b2c4e6a8f0b1d3c5e7a9f2b4d6c8e0a1b";
    let status = &mut pod["status"]["containerStatuses"][0];
    status["state"] = json!({ "running": { "startedAt": time } });
    status["started"] = json!(true);
    status["imageID"] = json!(format!("registry.example/checkout@{digest}"));
    status["containerID"] = json!("containerd://9b1c0e7a5f3d2b4c6e8a0f1b3d5c7e9a2f4b6d8c0e1a3f5b7d9c2e4a6f8b0d1c");
}

pub(crate) fn set_ready(pod: &mut Value, ready: bool, time: &str) {
    if pod["status"]["containerStatuses"][0].is_object() {
        pod["status"]["containerStatuses"][0]["ready"] = json!(ready);
    }
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if matches!(text(&condition["type"]), "Ready" | "ContainersReady") {
            let status = if ready { "True" } else { "False" };
            if condition["status"] != status {
                condition["status"] = json!(status);
                condition["lastTransitionTime"] = json!(time);
            }
        }
    }
}

/// The container was killed for want of memory and waits before it starts again.
pub(crate) fn set_crashed(pod: &mut Value, time: &str, restarts: u32) {
    set_ready(pod, false, time);
    let name = format!("{}_{}({})", text(&pod["metadata"]["name"]), text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["uid"]));
    let status = &mut pod["status"]["containerStatuses"][0];
    let started = status["state"]["running"]["startedAt"].clone();
    status["lastState"] = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "startedAt": started, "finishedAt": time } });
    status["state"] = json!({ "waiting": {
        "reason": "CrashLoopBackOff", "message": format!("back-off 20s restarting failed container=app pod={name}"),
    } });
    status["restartCount"] = json!(restarts);
    status["started"] = json!(false);
}

/// The container runs again, not ready yet.
pub(crate) fn set_restarted(pod: &mut Value, time: &str) {
    let status = &mut pod["status"]["containerStatuses"][0];
    status["state"] = json!({ "running": { "startedAt": time } });
    status["started"] = json!(true);
}

/// A Namespace.
pub(crate) fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    })
}
