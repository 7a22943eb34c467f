//! The simulated Deployments, ReplicaSets, Pods, Nodes and quotas: what controllers of a real cluster do.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use gonogo::sim::Scene;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{DEPLOYMENTS, MERGE_PATCH, PODS, STRATEGIC_PATCH, Sim, answer, by_hand};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";

/// A Deployment `own` with a change.
fn own(change: &Value) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "own" },
        "spec": { "replicas": 4, "selector": { "matchLabels": { "app": "own" } }, "template": {
            "metadata": { "labels": { "app": "own" } }, "spec": { "containers": [{ "name": "app", "image": "registry.example/own:v1" }] },
        } },
    });
    json_patch::merge(&mut deployment, change);
    deployment
}

async fn with(change: Value) -> Sim {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (code, body) = sim.create(DEPLOYMENTS, &own(&change)).await;
    assert_eq!(code, StatusCode::CREATED, "{body}");
    sim
}

async fn read(sim: &Sim) -> Value {
    sim.get(&format!("{DEPLOYMENTS}/own")).await.1
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array().expect("conditions");
    all.iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

async fn items(sim: &Sim, path: &str) -> Vec<Value> {
    sim.get(path).await.1["items"].as_array().expect("a list").clone()
}

async fn own_pods(sim: &Sim) -> Vec<Value> {
    items(sim, &format!("{PODS}?labelSelector=app%3Down")).await
}

async fn image(sim: &Sim, tag: &str) {
    let body = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": format!("registry.example/own:{tag}") }] } } } });
    assert_eq!(sim.patch(&format!("{DEPLOYMENTS}/own"), STRATEGIC_PATCH, &body).await.0, StatusCode::OK);
}

async fn said(sim: &Sim, reason: &str) -> Vec<String> {
    let events = items(sim, &format!("/api/v1/namespaces/shop/events?fieldSelector=reason%3D{reason}")).await;
    events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_paused_rollout_waits_and_says_so() {
    let sim = with(json!({})).await;
    sim.advance(MINUTE).await;
    sim.patch(&format!("{DEPLOYMENTS}/own"), STRATEGIC_PATCH, &json!({ "spec": { "paused": true } })).await;
    image(&sim, "v2").await;
    sim.advance(MINUTE).await;
    let paused = read(&sim).await;
    assert_eq!(condition(&paused, "Progressing")["reason"], "DeploymentPaused");
    assert_eq!((&paused["status"]["updatedReplicas"], &paused["status"]["observedGeneration"]), (&Value::Null, &json!(3)));
    assert_eq!(items(&sim, &format!("{SETS}?labelSelector=app%3Down")).await.len(), 1);
    sim.patch(&format!("{DEPLOYMENTS}/own/scale"), MERGE_PATCH, &json!({ "spec": { "replicas": 6 } })).await;
    sim.advance(MINUTE).await;
    assert_eq!(read(&sim).await["status"]["readyReplicas"], 6, "scale is followed in a pause");
    sim.patch(&format!("{DEPLOYMENTS}/own"), STRATEGIC_PATCH, &json!({ "spec": { "paused": null } })).await;
    sim.advance(Duration::from_millis(200)).await;
    let resumed = read(&sim).await;
    assert!(["NewReplicaSetCreated", "DeploymentResumed"].contains(&condition(&resumed, "Progressing")["reason"].as_str().unwrap()));
    sim.advance(MINUTE).await;
    let done = read(&sim).await;
    assert_eq!(
        (&done["status"]["updatedReplicas"], &condition(&done, "Progressing")["reason"]),
        (&json!(6), &json!("NewReplicaSetAvailable"))
    );
}

#[tokio::test]
async fn a_missing_image_stops_the_rollout_and_the_deadline_passes() {
    let sim = with(json!({ "spec": { "progressDeadlineSeconds": 60 } })).await;
    sim.advance(MINUTE).await;
    image(&sim, "v2-missing").await;
    sim.advance(Duration::from_secs(20)).await;
    let waiting: Vec<Value> = own_pods(&sim)
        .await
        .iter()
        .map(|pod| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone())
        .filter(|reason| !reason.is_null())
        .collect();
    assert_eq!(waiting, [json!("ImagePullBackOff"), json!("ImagePullBackOff")], "one of surge, one of what may be missing");
    let stuck = read(&sim).await;
    assert_eq!((&stuck["status"]["readyReplicas"], &stuck["status"]["unavailableReplicas"]), (&json!(3), &json!(2)));
    assert!(said(&sim, "Failed").await.iter().any(|m| m.ends_with("registry.example/own:v2-missing: not found")));
    sim.advance(MINUTE * 2).await;
    let late = read(&sim).await;
    let progressing = condition(&late, "Progressing");
    assert_eq!((&progressing["status"], &progressing["reason"]), (&json!("False"), &json!("ProgressDeadlineExceeded")));
    assert_eq!(condition(&late, "Available")["status"], "True");
}

#[tokio::test]
async fn crashing_and_starving_containers_restart_in_longer_and_longer_intervals() {
    let sim = with(json!({ "spec": { "replicas": 1 } })).await;
    sim.advance(MINUTE).await;
    image(&sim, "crash").await;
    sim.advance(MINUTE * 3).await;
    let statuses: Vec<Value> = own_pods(&sim).await.iter().map(|pod| pod["status"]["containerStatuses"][0].clone()).collect();
    let crashed = statuses.iter().find(|status| status["restartCount"].as_u64() > Some(1)).expect("restarts");
    assert!(crashed["restartCount"].as_u64() < Some(9), "backed off");
    assert_eq!((&crashed["lastState"]["terminated"]["exitCode"], &crashed["ready"]), (&json!(1), &json!(false)));
    assert!(statuses.iter().any(|status| status["ready"] == true), "the old one serves on");
    image(&sim, "v3-oom").await;
    sim.advance(MINUTE).await;
    let killed =
        own_pods(&sim).await.iter().any(|pod| pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "OOMKilled");
    assert!(killed);
    assert!(said(&sim, "BackOff").await.iter().any(|m| m.starts_with("Back-off restarting failed container app in pod own-")));
}

#[tokio::test]
async fn what_fits_on_no_node_stays_pending_and_the_scheduler_says_why() {
    let huge = json!({ "containers": [{ "name": "app", "image": "own:v1", "resources": { "requests": { "cpu": "64" } } }] });
    let sim = with(json!({ "spec": { "replicas": 1, "template": { "spec": huge } } })).await;
    sim.advance(MINUTE).await;
    let pod = &own_pods(&sim).await[0];
    let scheduled = condition(pod, "PodScheduled");
    assert_eq!((&scheduled["status"], &scheduled["reason"]), (&json!("False"), &json!("Unschedulable")));
    assert!(scheduled["message"].as_str().unwrap().starts_with("0/6 nodes are available: 6 Insufficient cpu."));
    assert_eq!(said(&sim, "FailedScheduling").await.len(), 1);
    let elsewhere = json!({ "spec": { "template": { "spec": { "nodeSelector": { "disk": "ssd" } } } } });
    sim.patch(&format!("{DEPLOYMENTS}/own"), STRATEGIC_PATCH, &elsewhere).await;
    sim.advance(MINUTE).await;
    let messages = said(&sim, "FailedScheduling").await;
    assert!(messages.iter().any(|m| m.contains("6 node(s) didn't match Pod's node affinity/selector")), "{messages:?}");
    let placed = items(&sim, &format!("{PODS}?labelSelector=app%3Dcheckout")).await;
    let nodes = items(&sim, "/api/v1/nodes").await;
    let zone = |pod: &Value| {
        let node = nodes.iter().find(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]).expect("its node");
        node["metadata"]["labels"]["topology.kubernetes.io/zone"].clone()
    };
    let zones: std::collections::BTreeSet<String> = placed.iter().map(|pod| zone(pod).to_string()).collect();
    assert!(zones.len() > 1, "{zones:?}");
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_on_every_level() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" }, "spec": { "hard": { "pods": "11" } } });
    sim.create("/api/v1/namespaces/shop/resourcequotas", &quota).await;
    sim.create(DEPLOYMENTS, &own(&json!({}))).await;
    sim.advance(MINUTE).await;
    let short = read(&sim).await;
    assert_eq!(short["status"]["readyReplicas"], 2);
    let failure = condition(&short, "ReplicaFailure");
    assert_eq!((&failure["status"], &failure["reason"]), (&json!("True"), &json!("FailedCreate")));
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .ends_with("is forbidden: exceeded quota: few, requested: pods=1, used: pods=11, limited: pods=11")
    );
    let (_, used) = sim.get("/api/v1/namespaces/shop/resourcequotas/few").await;
    assert_eq!(used["status"], json!({ "hard": { "pods": "11" }, "used": { "pods": "11" } }));
    assert!(!said(&sim, "FailedCreate").await.is_empty());
    let bare = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bare" }, "spec": { "containers": [{ "name": "a", "image": "b:1" }] } });
    let (code, refused) = sim.create(PODS, &bare).await;
    assert_eq!((code, &refused["reason"]), (StatusCode::FORBIDDEN, &json!("Forbidden")));
    sim.patch("/api/v1/namespaces/shop/resourcequotas/few", MERGE_PATCH, &json!({ "spec": { "hard": { "pods": "20" } } })).await;
    sim.advance(MINUTE).await;
    let enough = read(&sim).await;
    assert_eq!((&enough["status"]["readyReplicas"], condition(&enough, "ReplicaFailure")), (&json!(4), &Value::Null));
}

#[tokio::test]
async fn the_rollout_keeps_to_its_strategy_and_to_min_ready_seconds() {
    let strategy = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let sim = with(json!({ "spec": { "strategy": strategy, "minReadySeconds": 20 } })).await;
    sim.advance(Duration::from_secs(12)).await;
    let young = read(&sim).await;
    assert_eq!((&young["status"]["readyReplicas"], &young["status"]["availableReplicas"]), (&json!(4), &Value::Null));
    sim.advance(MINUTE).await;
    assert_eq!(read(&sim).await["status"]["availableReplicas"], 4);
    image(&sim, "v2").await;
    let mut mixed = false;
    for _ in 0..60 {
        sim.advance(Duration::from_secs(3)).await;
        let now = read(&sim).await;
        assert!(now["status"]["replicas"].as_u64() <= Some(5), "{}", now["status"]);
        assert!(now["status"]["availableReplicas"].as_u64() >= Some(4), "{}", now["status"]);
        mixed |= now["status"]["updatedReplicas"] == 2;
    }
    assert!(mixed);
    assert_eq!(condition(&read(&sim).await, "Progressing")["reason"], "NewReplicaSetAvailable");
}

#[tokio::test]
async fn scaling_in_the_middle_of_a_rollout_shares_the_change() {
    let sim = with(json!({ "spec": { "replicas": 10 } })).await;
    sim.advance(MINUTE).await;
    image(&sim, "v2-missing").await;
    sim.advance(MINUTE).await;
    let sizes = async || {
        let mut sets: Vec<u64> = items(&sim, &format!("{SETS}?labelSelector=app%3Down"))
            .await
            .iter()
            .map(|set| set["spec"]["replicas"].as_u64().unwrap())
            .collect();
        sets.sort_unstable();
        sets
    };
    assert_eq!(sizes().await, [5, 8]);
    sim.patch(&format!("{DEPLOYMENTS}/own/scale"), MERGE_PATCH, &json!({ "spec": { "replicas": 20 } })).await;
    sim.advance(MINUTE).await;
    let after = sizes().await;
    assert!(after[0] > 5 && after[1] > 8 && after.iter().sum::<u64>() == 25, "{after:?}");
}

#[tokio::test]
async fn history_is_kept_up_to_its_limit_with_the_cause_of_each_change() {
    let sim = with(json!({ "spec": { "replicas": 1, "revisionHistoryLimit": 2 } })).await;
    sim.advance(MINUTE).await;
    for (tag, cause) in [("v2", "second"), ("v3", "third"), ("v4", "fourth")] {
        sim.patch(
            &format!("{DEPLOYMENTS}/own"),
            MERGE_PATCH,
            &json!({ "metadata": { "annotations": { "kubernetes.io/change-cause": cause } } }),
        )
        .await;
        image(&sim, tag).await;
        sim.advance(MINUTE).await;
    }
    let sets = items(&sim, &format!("{SETS}?labelSelector=app%3Down")).await;
    let mut known: Vec<(String, String)> = sets
        .iter()
        .map(|set| &set["metadata"]["annotations"])
        .map(|a| {
            (
                a["deployment.kubernetes.io/revision"].as_str().unwrap().to_owned(),
                a["kubernetes.io/change-cause"].as_str().unwrap_or("").to_owned(),
            )
        })
        .collect();
    known.sort();
    let expected = [("2", "second"), ("3", "third"), ("4", "fourth")].map(|(r, c)| (r.to_owned(), c.to_owned()));
    assert_eq!(known, expected);
    image(&sim, "v2").await;
    sim.advance(MINUTE).await;
    let sets = items(&sim, &format!("{SETS}?labelSelector=app%3Down")).await;
    let back = sets.iter().find(|set| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "5").expect("revision 5");
    assert_eq!(back["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "2");
    assert_eq!(read(&sim).await["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "5");
}

#[tokio::test]
async fn a_pod_without_its_label_is_let_go_and_replaced() {
    let sim = with(json!({ "spec": { "replicas": 2 } })).await;
    sim.advance(MINUTE).await;
    let name = own_pods(&sim).await[0]["metadata"]["name"].as_str().unwrap().to_owned();
    sim.patch(&format!("{PODS}/{name}"), MERGE_PATCH, &json!({ "metadata": { "labels": { "app": null } } })).await;
    sim.advance(MINUTE).await;
    assert_eq!(own_pods(&sim).await.len(), 2);
    let (_, free) = sim.get(&format!("{PODS}/{name}")).await;
    assert_eq!((&free["metadata"]["ownerReferences"], &free["status"]["phase"]), (&Value::Null, &json!("Running")));
}

#[tokio::test]
async fn a_deleted_deployment_leaves_its_replica_sets_when_asked_to() {
    let sim = with(json!({ "spec": { "replicas": 2 } })).await;
    sim.advance(MINUTE).await;
    let keep = json!({ "propagationPolicy": "Orphan" });
    answer(sim.request(Method::DELETE, &format!("{DEPLOYMENTS}/own")).json(&keep)).await;
    sim.advance(MINUTE).await;
    assert_eq!(own_pods(&sim).await.len(), 2);
    let set = &items(&sim, &format!("{SETS}?labelSelector=app%3Down")).await[0];
    answer(sim.request(Method::DELETE, &format!("{SETS}/{}", set["metadata"]["name"].as_str().unwrap()))).await;
    sim.advance(MINUTE).await;
    assert!(own_pods(&sim).await.is_empty());
}
