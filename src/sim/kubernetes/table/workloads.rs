//! Cells of Pods and of what makes, scales and carries them.

use super::cells::{NONE, created, joined, labels, or_none, since};
use crate::sim::kubernetes::cluster::{count, text};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The one word that sums a Pod up.
fn reason(pod: &Value) -> String {
    let status = &pod["status"];
    let mut reason = match text(&status["reason"]) {
        "" => text(&status["phase"]).to_owned(),
        reason => reason.to_owned(),
    };
    let mut running = false;
    for container in status["containerStatuses"].as_array().into_iter().flatten().rev() {
        let state = &container["state"];
        if let Some(waiting) = state["waiting"]["reason"].as_str().filter(|r| !r.is_empty()) {
            waiting.clone_into(&mut reason);
        } else if let Some(terminated) = state["terminated"]["reason"].as_str().filter(|r| !r.is_empty()) {
            terminated.clone_into(&mut reason);
        } else if state["terminated"].is_object() {
            reason = format!("ExitCode:{}", state["terminated"]["exitCode"]);
        } else if container["ready"] == true && state["running"].is_object() {
            running = true;
        }
    }
    if reason == "Completed" && running {
        "Running".clone_into(&mut reason);
    }
    let over = matches!(text(&status["phase"]), "Succeeded" | "Failed");
    if pod["metadata"]["deletionTimestamp"].is_string() && !over { "Terminating".to_owned() } else { reason }
}

pub(super) fn pod(pod: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let containers = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let ready = statuses().filter(|s| s["ready"] == true && s["state"]["running"].is_object()).count();
    let restarts: u32 = statuses().map(|s| count(&s["restartCount"])).sum();
    let last = statuses().map(|s| &s["lastState"]["terminated"]["finishedAt"]).filter(|t| t.is_string()).max_by_key(|t| text(t));
    let restarts = match last.filter(|_| restarts > 0) {
        Some(last) => format!("{restarts} ({} ago)", since(last, now)),
        None => restarts.to_string(),
    };
    vec![
        json!(format!("{ready}/{containers}")),
        json!(reason(pod)),
        json!(restarts),
        created(pod, now),
        json!(or_none(text(&pod["status"]["podIP"]).to_owned())),
        json!(or_none(text(&pod["spec"]["nodeName"]).to_owned())),
        json!(or_none(text(&pod["status"]["nominatedNodeName"]).to_owned())),
        json!(NONE),
    ]
}

/// Containers, images and selector of something with a Pod template.
fn template(object: &Value) -> [Value; 3] {
    let containers = &object["spec"]["template"]["spec"]["containers"];
    [json!(joined(containers, "name")), json!(joined(containers, "image")), json!(labels(&object["spec"]["selector"]["matchLabels"]))]
}

pub(super) fn deployment(deployment: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let status = &deployment["status"];
    let ready = format!("{}/{}", count(&status["readyReplicas"]), count(&deployment["spec"]["replicas"]));
    let mut cells =
        vec![json!(ready), json!(count(&status["updatedReplicas"])), json!(count(&status["availableReplicas"])), created(deployment, now)];
    cells.extend(template(deployment));
    cells
}

pub(super) fn replica_set(set: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let status = &set["status"];
    let mut cells = vec![
        json!(count(&set["spec"]["replicas"])),
        json!(count(&status["replicas"])),
        json!(count(&status["readyReplicas"])),
        created(set, now),
    ];
    cells.extend(template(set));
    cells
}

pub(super) fn node(node: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|c| c["type"] == "Ready"));
    let mut status = match ready.map(|c| text(&c["status"])) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let names = node["metadata"]["labels"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let roles = names.filter_map(|name| name.strip_prefix("node-role.kubernetes.io/")).collect::<Vec<_>>().join(",");
    let address = |kind: &str| {
        let all = node["status"]["addresses"].as_array();
        or_none(all.and_then(|all| all.iter().find(|a| a["type"] == kind)).map_or("", |a| text(&a["address"])).to_owned())
    };
    let info = &node["status"]["nodeInfo"];
    vec![
        json!(status),
        json!(or_none(roles)),
        created(node, now),
        info["kubeletVersion"].clone(),
        json!(address("InternalIP")),
        json!(address("ExternalIP")),
        info["osImage"].clone(),
        info["kernelVersion"].clone(),
        info["containerRuntimeVersion"].clone(),
    ]
}

/// `cpu: 45%/80%`, `<unknown>` for what has not been measured.
fn targets(hpa: &Value) -> String {
    let current = |name: &str| {
        let all = hpa["status"]["currentMetrics"].as_array()?;
        all.iter().find(|m| m["resource"]["name"] == name).map(|m| &m["resource"]["current"])
    };
    let metrics = hpa["spec"]["metrics"].as_array().into_iter().flatten().map(|metric| {
        let name = text(&metric["resource"]["name"]);
        let target = &metric["resource"]["target"];
        let (is, wanted) = if target["averageUtilization"].is_u64() {
            let is = current(name).and_then(|c| c["averageUtilization"].as_u64()).map(|n| format!("{n}%"));
            (is, format!("{}%", target["averageUtilization"]))
        } else {
            (current(name).map(|c| text(&c["averageValue"]).to_owned()), text(&target["averageValue"]).to_owned())
        };
        format!("{name}: {}/{wanted}", is.unwrap_or_else(|| "<unknown>".to_owned()))
    });
    or_none(metrics.collect::<Vec<_>>().join(", "))
}

pub(super) fn autoscaler(hpa: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let to = &hpa["spec"]["scaleTargetRef"];
    let least = if hpa["spec"]["minReplicas"].is_null() { "<unset>".to_owned() } else { hpa["spec"]["minReplicas"].to_string() };
    vec![
        json!(format!("{}/{}", text(&to["kind"]), text(&to["name"]))),
        json!(targets(hpa)),
        json!(least),
        json!(count(&hpa["spec"]["maxReplicas"])),
        json!(count(&hpa["status"]["currentReplicas"])),
        created(hpa, now),
    ]
}

pub(super) fn budget(budget: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let limit = |field: &str| match &budget["spec"][field] {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        number => json!(number.to_string()),
    };
    vec![limit("minAvailable"), limit("maxUnavailable"), json!(count(&budget["status"]["disruptionsAllowed"])), created(budget, now)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_restarted_says_when_and_one_that_waits_says_why() {
        let object = json!({
            "metadata": { "name": "p", "creationTimestamp": "1970-01-01T00:00:00Z" },
            "spec": { "containers": [{ "name": "app" }, { "name": "proxy" }] },
            "status": { "phase": "Running", "containerStatuses": [
                {
                    "ready": false, "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                    "lastState": { "terminated": { "finishedAt": "1970-01-01T00:00:10Z" } },
                },
                { "ready": true, "restartCount": 0, "state": { "running": {} }, "lastState": {} },
            ] },
        });
        let cells = pod(&object, DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(60));
        assert_eq!(cells[..4], [json!("1/2"), json!("CrashLoopBackOff"), json!("3 (50s ago)"), json!("60s")]);
        let mut stopping = object;
        stopping["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:30Z");
        assert_eq!(pod(&stopping, DateTime::UNIX_EPOCH)[1], "Terminating");
    }
}
