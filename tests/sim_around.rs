//! What stands around a simulated workload: EndpointSlices, autoscalers, budgets, usage, gateways.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use gonogo::sim::{Options, Scene};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sim::{DEPLOYMENTS, MERGE_PATCH, PODS, Sim, by_hand};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dcheckout";

async fn endpoints(sim: &Sim) -> Vec<Value> {
    let (_, slices) = sim.get(SLICES).await;
    let slices = slices["items"].as_array().unwrap().clone();
    slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap().clone()).collect()
}

fn condition<'a>(conditions: &'a Value, kind: &str) -> &'a Value {
    conditions.as_array().expect("conditions").iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn slices_follow_the_services_selector_and_the_pods_readiness() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    sim.advance(MINUTE).await;
    let all = endpoints(&sim).await;
    assert_eq!(all.len(), 9);
    assert_eq!(all[0]["conditions"], json!({ "ready": true, "serving": true, "terminating": false }));
    assert!(all[0]["zone"].as_str().unwrap().starts_with("eu-west-1"));
    assert_eq!(all[0]["targetRef"]["kind"], "Pod");

    let scale = |replicas: u32| json!({ "spec": { "replicas": replicas } });
    sim.patch(&format!("{DEPLOYMENTS}/checkout-stable/scale"), MERGE_PATCH, &scale(6)).await;
    sim.advance(Duration::from_millis(700)).await;
    let leaving = endpoints(&sim).await;
    let going = leaving.iter().filter(|e| e["conditions"] == json!({ "ready": false, "serving": true, "terminating": true })).count();
    assert_eq!((leaving.len(), going), (9, 3));
    sim.advance(MINUTE).await;
    assert_eq!(endpoints(&sim).await.len(), 6);

    let service = "/api/v1/namespaces/shop/services/checkout";
    sim.patch(service, MERGE_PATCH, &json!({ "spec": { "selector": { "version": "green" } } })).await;
    sim.advance(MINUTE).await;
    assert!(endpoints(&sim).await.is_empty(), "a selector that fits nothing leaves no endpoint");
    sim.patch(service, MERGE_PATCH, &json!({ "spec": { "selector": { "version": null } } })).await;
    sim.advance(MINUTE).await;
    assert_eq!(endpoints(&sim).await.len(), 6 + 3, "the new version was deployed meanwhile");
}

#[tokio::test]
async fn a_large_service_has_slices_of_a_hundred() {
    let sim = Sim::start(Options { instances: Some(1_000), ..by_hand(Scene::Idle) }).await;
    sim.advance(Duration::from_secs(5)).await;
    let (_, slices) = sim.get(SLICES).await;
    let sizes: Vec<usize> = slices["items"].as_array().unwrap().iter().map(|s| s["endpoints"].as_array().unwrap().len()).collect();
    assert_eq!((sizes.iter().sum::<usize>(), sizes.len()), (750, 8), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 100));
}

#[tokio::test]
async fn an_autoscaler_follows_the_load_up_to_its_limit_and_comes_down_late() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let deployment = |load: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "own", "annotations": { "sim.gonogo.dev/load": load } },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "own" } }, "template": {
                "metadata": { "labels": { "app": "own" } },
                "spec": { "containers": [{ "name": "app", "image": "own:v1", "resources": { "requests": { "cpu": "1" } } }] },
            } },
        })
    };
    sim.create(DEPLOYMENTS, &deployment("1")).await;
    let list = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers";
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "own" });
    let metric =
        json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }]);
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "own" },
        "spec": { "scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5, "metrics": metric },
    });
    assert_eq!(sim.create(list, &hpa).await.0, StatusCode::CREATED);
    let read = async || sim.get(&format!("{list}/own")).await.1;
    sim.advance(MINUTE).await;
    let calm = read().await;
    assert_eq!((&calm["status"]["currentReplicas"], &calm["status"]["desiredReplicas"]), (&json!(2), &json!(2)), "{}", calm["status"]);
    assert_eq!(condition(&calm["status"]["conditions"], "AbleToScale")["reason"], "ReadyForNewScale");
    let more = |load: &str| json!({ "metadata": { "annotations": { "sim.gonogo.dev/load": load } } });
    sim.patch(&format!("{DEPLOYMENTS}/own"), MERGE_PATCH, &more("8")).await;
    sim.advance(MINUTE * 2).await;
    let capped = read().await;
    assert_eq!(capped["status"]["currentReplicas"], 5);
    let limited = condition(&capped["status"]["conditions"], "ScalingLimited");
    assert_eq!((&limited["status"], &limited["reason"]), (&json!("True"), &json!("TooManyReplicas")));
    let (_, own) = sim.get(&format!("{DEPLOYMENTS}/own")).await;
    assert_eq!((&own["spec"]["replicas"], &own["status"]["readyReplicas"]), (&json!(5), &json!(5)));
    let managers = own["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().any(|entry| entry["manager"] == "kube-controller-manager" && entry["subresource"] == "scale"));
    sim.patch(&format!("{DEPLOYMENTS}/own"), MERGE_PATCH, &more("1")).await;
    sim.advance(MINUTE * 3).await;
    let held = read().await;
    assert_eq!(held["status"]["currentReplicas"], 5);
    assert_eq!(condition(&held["status"]["conditions"], "AbleToScale")["reason"], "ScaleDownStabilized");
    sim.advance(MINUTE * 4).await;
    assert_eq!(read().await["status"]["currentReplicas"], 2);
}

#[tokio::test]
async fn a_budget_counts_what_may_go() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    sim.advance(MINUTE).await;
    let path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/checkout";
    let status = sim.get(path).await.1["status"].clone();
    assert_eq!(
        [&status["expectedPods"], &status["currentHealthy"], &status["desiredHealthy"], &status["disruptionsAllowed"]],
        [&json!(9), &json!(9), &json!(7), &json!(2)]
    );
    assert_eq!(condition(&status["conditions"], "DisruptionAllowed")["reason"], "SufficientPods");
    sim.patch(path, MERGE_PATCH, &json!({ "spec": { "minAvailable": null, "maxUnavailable": 0 } })).await;
    sim.advance(MINUTE).await;
    let status = sim.get(path).await.1["status"].clone();
    assert_eq!((&status["disruptionsAllowed"], &status["observedGeneration"]), (&json!(0), &json!(2)));
}

#[tokio::test]
async fn usage_is_told_by_pod_and_by_node() {
    let sim = Sim::start(Options { scene: Scene::Ready50, ..Options::default() }).await;
    let (_, pods) = sim.get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=version%3Dcanary").await;
    assert_eq!((pods["kind"].as_str(), pods["items"].as_array().unwrap().len()), (Some("PodMetricsList"), 3));
    let usage = &pods["items"][0]["containers"][0];
    let cpu: u64 = usage["usage"]["cpu"].as_str().unwrap().trim_end_matches('n').parse().unwrap();
    assert!((550_000_000..680_000_000).contains(&cpu), "as the traffic model says: {cpu}");
    assert_eq!(usage["name"], "app");
    let (_, nodes) = sim.get("/apis/metrics.k8s.io/v1beta1/nodes").await;
    assert_eq!(nodes["items"].as_array().unwrap().len(), 6);
    assert_eq!(sim.get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/nobody").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_route_hears_from_its_parents() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let base = "/apis/gateway.networking.k8s.io/v1/namespaces/shop";
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "own" },
        "spec": { "parentRefs": [{ "name": "edge" }], "rules": [{ "backendRefs": [
            { "name": "checkout", "port": 80, "weight": 90 }, { "name": "checkout-next", "port": 80, "weight": 10 },
        ] }] },
    });
    sim.create(&format!("{base}/httproutes"), &route).await;
    sim.advance(MINUTE).await;
    let read = async || sim.get(&format!("{base}/httproutes/own")).await.1;
    assert_eq!(read().await["status"]["parents"], json!([]), "its Gateway is not there");
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge" },
        "spec": { "gatewayClassName": "sim", "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] },
    });
    sim.create(&format!("{base}/gateways"), &gateway).await;
    sim.advance(MINUTE).await;
    let parent = read().await["status"]["parents"][0].clone();
    assert_eq!(condition(&parent["conditions"], "Accepted")["status"], "True");
    let resolved = condition(&parent["conditions"], "ResolvedRefs").clone();
    assert_eq!((&resolved["status"], &resolved["reason"]), (&json!("False"), &json!("BackendNotFound")));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "checkout-next" },
        "spec": { "selector": { "app": "none" }, "ports": [{ "port": 80 }] },
    });
    sim.create("/api/v1/namespaces/shop/services", &service).await;
    let weight = json!([{ "op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 25 }]);
    sim.patch(&format!("{base}/httproutes/own"), sim::JSON_PATCH, &weight).await;
    let pending = read().await;
    assert_eq!(pending["metadata"]["generation"], 2);
    assert_eq!(pending["status"]["parents"][0]["conditions"][0]["observedGeneration"], 1, "not seen at once");
    sim.advance(MINUTE).await;
    let seen = read().await["status"]["parents"][0]["conditions"].clone();
    assert_eq!((&seen[0]["observedGeneration"], &seen[1]["status"]), (&json!(2), &json!("True")));
    let heavy = json!([{ "op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 2_000_000 }]);
    assert_eq!(sim.patch(&format!("{base}/httproutes/own"), sim::JSON_PATCH, &heavy).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(sim.get(PODS).await.0.is_success());
}
