//! The shapes of built-in objects, with every field that a client is likely to read.

use super::cluster::text;
use serde_json::{Value, json};

/// A Pod of a ReplicaSet, not scheduled yet.
pub(crate) fn pod(set: &Value, name: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut spec = template["spec"].clone();
    if spec["serviceAccountName"].is_null() {
        spec["serviceAccountName"] = json!("default");
    }
    spec["serviceAccount"] = spec["serviceAccountName"].clone();
    spec["enableServiceLinks"] = json!(true);
    spec["priority"] = json!(0);
    spec["preemptionPolicy"] = json!("PreemptLowerPriority");
    spec["tolerations"] = json!([
        { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
        { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 },
    ]);
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    volumes.push(json!({ "name": "kube-api-access", "projected": { "defaultMode": 420, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
    ] } }));
    spec["volumes"] = json!(volumes);
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

fn condition(kind: &str, holds: bool, time: &str) -> Value {
    json!({ "type": kind, "status": if holds { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": time })
}

/// No Node takes the Pod.
pub(crate) fn set_unschedulable(pod: &mut Value, time: &str, why: &str) {
    let mut condition = condition("PodScheduled", false, time);
    condition["reason"] = json!("Unschedulable");
    condition["message"] = json!(why);
    if pod["status"]["conditions"][0]["message"] != condition["message"] {
        pod["status"]["conditions"] = json!([condition]);
    }
}

pub(crate) fn set_scheduled(pod: &mut Value, time: &str, host: &str) {
    let mut statuses = Vec::new();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        statuses.push(json!({
            "name": container["name"], "image": container["image"], "imageID": "", "ready": false, "started": false, "restartCount": 0,
            "lastState": {}, "state": { "waiting": { "reason": "ContainerCreating" } },
        }));
    }
    let waiting = |kind: &str| {
        let names: Vec<&str> = statuses.iter().map(|status| text(&status["name"])).collect();
        let mut condition = condition(kind, false, time);
        condition["reason"] = json!("ContainersNotReady");
        condition["message"] = json!(format!("containers with unready status: [{}]", names.join(" ")));
        condition
    };
    pod["status"]["conditions"] =
        json!([condition("Initialized", true, time), waiting("Ready"), waiting("ContainersReady"), condition("PodScheduled", true, time)]);
    pod["status"]["startTime"] = json!(time);
    pod["status"]["hostIP"] = json!(host);
    pod["status"]["hostIPs"] = json!([{ "ip": host }]);
    pod["status"]["containerStatuses"] = json!(statuses);
}

fn statuses(pod: &mut Value) -> impl Iterator<Item = (usize, &mut Value)> {
    pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten().enumerate()
}

/// Its containers run, but for the one that `without` names by its place.
pub(crate) fn set_running(pod: &mut Value, time: &str, ip: &str, without: Option<usize>) {
    let all = pod["spec"]["containers"].as_array().map_or(1, Vec::len);
    if without.is_none() || all > 1 {
        pod["status"]["phase"] = json!("Running");
    }
    pod["status"]["podIP"] = json!(ip);
    pod["status"]["podIPs"] = json!([{ "ip": ip }]);
    let digest = "sha256:4f1a0d2b9c7e5a3f8d6b1c0e9a7f5d3b2c4e6a8f0b1d3c5e7a9f2b4d6c8e0a1b";
    for (_, status) in statuses(pod).filter(|(place, _)| Some(*place) != without) {
        let image = text(&status["image"]).rsplit_once(':').map_or(text(&status["image"]), |(name, _)| name).to_owned();
        status["state"] = json!({ "running": { "startedAt": time } });
        status["started"] = json!(true);
        status["imageID"] = json!(format!("{image}@{digest}"));
        status["containerID"] = json!("containerd://9b1c0e7a5f3d2b4c6e8a0f1b3d5c7e9a2f4b6d8c0e1a3f5b7d9c2e4a6f8b0d1c");
    }
}

pub(crate) fn set_ready(pod: &mut Value, ready: bool, time: &str) {
    let mut waiting = Vec::new();
    for (_, status) in statuses(pod) {
        status["ready"] = json!(ready);
        waiting.push(text(&status["name"]).to_owned());
    }
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if matches!(text(&condition["type"]), "Ready" | "ContainersReady") {
            let status = if ready { "True" } else { "False" };
            if condition["status"] != status {
                condition["status"] = json!(status);
                condition["lastTransitionTime"] = json!(time);
            }
            if let Some(condition) = condition.as_object_mut().filter(|_| ready) {
                condition.remove("reason");
                condition.remove("message");
            } else {
                condition["reason"] = json!("ContainersNotReady");
                condition["message"] = json!(format!("containers with unready status: [{}]", waiting.join(" ")));
            }
        }
    }
}

/// `checkout-1_shop(uid)`, as the kubelet names a Pod.
pub(crate) fn full_name(pod: &Value) -> String {
    format!("{}_{}({})", text(&pod["metadata"]["name"]), text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["uid"]))
}

/// A container waits for its image.
pub(crate) fn set_waiting(pod: &mut Value, container: usize, reason: &str, message: &str) {
    pod["status"]["containerStatuses"][container]["state"] = json!({ "waiting": { "reason": reason, "message": message } });
}

/// A container ended and waits before it starts again.
pub(crate) fn set_crashed(pod: &mut Value, time: &str, container: usize, restarts: u32, killed: bool, wait: i64) {
    set_ready(pod, false, time);
    let name = full_name(pod);
    let status = &mut pod["status"]["containerStatuses"][container];
    let started = status["state"]["running"]["startedAt"].clone();
    let (code, reason) = if killed { (137, "OOMKilled") } else { (1, "Error") };
    status["lastState"] = json!({ "terminated": {
        "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": time, "containerID": status["containerID"],
    } });
    let wait = match wait {
        60.. => format!("{}m{}s", wait / 60, wait % 60),
        _ => format!("{wait}s"),
    };
    let message = format!("back-off {wait} restarting failed container={} pod={name}", text(&status["name"]));
    status["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": message } });
    status["restartCount"] = json!(restarts);
    status["started"] = json!(false);
}

/// A container runs again, not ready yet.
pub(crate) fn set_restarted(pod: &mut Value, time: &str, container: usize) {
    let status = &mut pod["status"]["containerStatuses"][container];
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
