//! Server-side apply, strategic merge and preconditions of the simulated API server, over the wire.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use gonogo::sim::Scene;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{DEPLOYMENTS, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Sim, answer, by_hand};

const APPLY: &str = "application/apply-patch+yaml";
const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

async fn apply(sim: &Sim, path: &str, manager: &str, body: &Value) -> (StatusCode, Value) {
    sim.patch(&format!("{path}?fieldManager={manager}"), APPLY, body).await
}

fn map(data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "own", "namespace": "shop" }, "data": data })
}

fn own(replicas: Option<u32>, image: &str) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "own" },
        "spec": { "selector": { "matchLabels": { "app": "own" } }, "template": {
            "metadata": { "labels": { "app": "own" } }, "spec": { "containers": [{ "name": "app", "image": image }] },
        } },
    });
    if let Some(replicas) = replicas {
        deployment["spec"]["replicas"] = json!(replicas);
    }
    deployment
}

#[tokio::test]
async fn an_apply_owns_what_it_applies_and_removes_what_it_leaves_out() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{MAPS}/own");
    let (code, made) = apply(&sim, &path, "one", &map(&json!({ "a": "1", "b": "1" }))).await;
    assert_eq!(code, StatusCode::CREATED);
    let entry = &made["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("one"), &json!("Apply")));
    assert_eq!(entry["fieldsV1"], json!({ "f:data": { "f:a": {}, "f:b": {} } }));

    let (code, two) = apply(&sim, &path, "two", &map(&json!({ "b": "1", "c": "2" }))).await;
    assert_eq!(code, StatusCode::OK, "the same value is shared: {two}");
    let (_, left) = apply(&sim, &path, "one", &map(&json!({}))).await;
    assert_eq!(left["data"], json!({ "b": "1", "c": "2" }), "a went, b is still somebody's");
    let version = left["metadata"]["resourceVersion"].clone();
    let (_, same) = apply(&sim, &path, "one", &map(&json!({}))).await;
    assert_eq!(same["metadata"]["resourceVersion"], version);
}

#[tokio::test]
async fn a_conflict_names_owner_and_field_and_force_takes_it() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{DEPLOYMENTS}/own");
    apply(&sim, &path, "deployer", &own(Some(2), "own:v1")).await;
    sim.patch(&format!("{path}/scale?fieldManager=autoscaler"), MERGE_PATCH, &json!({ "spec": { "replicas": 5 } })).await;
    let (code, refused) = apply(&sim, &path, "deployer", &own(Some(2), "own:v2")).await;
    assert_eq!((code, &refused["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    let cause = &refused["details"]["causes"][0];
    assert_eq!((&cause["reason"], &cause["field"]), (&json!("FieldManagerConflict"), &json!(".spec.replicas")));
    let message = refused["message"].as_str().unwrap();
    let words = r#"Apply failed with 1 conflict: conflict with "autoscaler" with subresource "scale" using apps/v1 at "#;
    assert!(message.starts_with(words) && message.ends_with(": .spec.replicas"), "{message}");

    let (code, without) = apply(&sim, &path, "deployer", &own(None, "own:v2")).await;
    assert_eq!((code, &without["spec"]["replicas"]), (StatusCode::OK, &json!(5)), "who leaves it out does not fight");
    assert_eq!(without["spec"]["template"]["spec"]["containers"][0]["image"], "own:v2");

    let (code, other) = apply(&sim, &path, "other", &own(Some(3), "own:v3")).await;
    assert_eq!(code, StatusCode::CONFLICT);
    let causes = other["details"]["causes"].as_array().unwrap();
    let named: Vec<&str> = causes.iter().map(|cause| cause["field"].as_str().unwrap()).collect();
    assert!(named.contains(&".spec.template.spec.containers[name=\"app\"].image") && named.contains(&".spec.replicas"), "{named:?}");
    let (code, forced) = sim.patch(&format!("{path}?fieldManager=other&force=true"), APPLY, &own(Some(3), "own:v3")).await;
    assert_eq!((code, &forced["spec"]["replicas"]), (StatusCode::OK, &json!(3)));
    let owners: Vec<&str> =
        forced["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    assert!(!owners.contains(&"autoscaler"), "{owners:?}");
}

#[tokio::test]
async fn an_apply_says_who_it_is_and_may_be_yaml() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{MAPS}/own");
    let (code, status) = sim.patch(&path, APPLY, &map(&json!({}))).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status["message"], r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#);
    let (code, status) = sim.patch(&format!("{path}?force=true"), MERGE_PATCH, &json!({})).await;
    assert_eq!((code, &status["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\ndata:\n  a: \"1\"\n";
    let request = sim.request(Method::PATCH, &format!("{path}?fieldManager=me&dryRun=All")).header("content-type", APPLY).body(yaml);
    let (code, made) = answer(request).await;
    assert_eq!((code, &made["data"]), (StatusCode::CREATED, &json!({ "a": "1" })));
    assert_eq!(sim.get(&path).await.0, StatusCode::NOT_FOUND, "a dry run");
}

#[tokio::test]
async fn stale_versions_and_failed_tests_are_refused_in_the_servers_words() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{DEPLOYMENTS}/checkout-stable");
    let (_, read) = sim.get(&path).await;
    sim.patch(&path, MERGE_PATCH, &json!({ "metadata": { "annotations": { "a": "b" } } })).await;
    let (code, stale) = answer(sim.request(Method::PUT, &path).json(&read)).await;
    let words = "Operation cannot be fulfilled on deployments.apps \"checkout-stable\": the object has been modified; \
                 please apply your changes to the latest version and try again";
    assert_eq!((code, stale["message"].as_str()), (StatusCode::CONFLICT, Some(words)));
    let test = json!([{ "op": "test", "path": "/spec/replicas", "value": 77 }]);
    let (code, failed) = sim.patch(&path, JSON_PATCH, &test).await;
    let words = "the server rejected our request due to an error in our request";
    assert_eq!(
        (code, failed["message"].as_str(), failed["reason"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some(words), Some("Invalid"))
    );
    let (code, body) = sim.patch(&path, STRATEGIC_PATCH, &json!({ "spec": { "selector": { "matchLabels": { "x": "y" } } } })).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let protobuf = sim.request(Method::PUT, &path).header("content-type", "application/vnd.kubernetes.protobuf").body("k8s\0x");
    assert_eq!(answer(protobuf).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let only = sim.request(Method::GET, &path).header("accept", "application/vnd.kubernetes.protobuf");
    assert_eq!(answer(only).await.0, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn status_is_written_at_its_own_address_alone() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "own" },
        "spec": { "replicas": 1 }, "status": { "phase": "Healthy" },
    });
    let list = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts";
    let (code, made) = sim.create(list, &rollout).await;
    assert_eq!((code, &made["status"]), (StatusCode::CREATED, &Value::Null));
    let path = format!("{list}/own");
    let (_, main) = sim.patch(&path, MERGE_PATCH, &json!({ "spec": { "paused": true }, "status": { "abort": true } })).await;
    assert_eq!((&main["status"], &main["metadata"]["generation"]), (&Value::Null, &json!(2)));
    let (_, status) =
        sim.patch(&format!("{path}/status"), MERGE_PATCH, &json!({ "spec": { "replicas": 9 }, "status": { "abort": true } })).await;
    assert_eq!((&status["status"]["abort"], &status["spec"]["replicas"]), (&json!(true), &json!(1)));
    assert_eq!(status["metadata"]["generation"], 2);
    let (code, _) = sim.patch(&path, STRATEGIC_PATCH, &json!({})).await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn webhooks_deny_and_change_what_is_sent() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let rules = |deny: Value, mutate: Value| json!({ "metadata": { "annotations": { "sim.gonogo.dev/deny": deny, "sim.gonogo.dev/mutate": mutate } } });
    let set = async |deny: Value, mutate: Value| {
        assert_eq!(sim.patch("/api/v1/namespaces/shop", MERGE_PATCH, &rules(deny, mutate)).await.0, StatusCode::OK);
    };
    let path = format!("{DEPLOYMENTS}/checkout-stable");
    let image =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "registry.example/checkout:v9" }] } } } });
    set(json!("update deployments the image is not signed\ncreate pods no"), Value::Null).await;
    for dry_run in ["?dryRun=All", ""] {
        let (code, denied) = sim.patch(&format!("{path}{dry_run}"), STRATEGIC_PATCH, &image).await;
        let words = "admission webhook \"policy.sim.gonogo.dev\" denied the request: the image is not signed";
        assert_eq!((code, denied["message"].as_str()), (StatusCode::FORBIDDEN, Some(words)));
    }
    let (code, _) = sim.patch(&format!("{path}/scale"), MERGE_PATCH, &json!({ "spec": { "replicas": 10 } })).await;
    assert_eq!(code, StatusCode::OK, "another resource");
    sim.advance(std::time::Duration::from_secs(30)).await;
    let (_, stuck) = sim.get(&path).await;
    assert_eq!(stuck["status"]["readyReplicas"], 9, "its Pods are denied");

    set(Value::Null, json!("deployments {\"metadata\":{\"labels\":{\"team\":\"payments\"}}}")).await;
    let (code, changed) = sim.patch(&path, STRATEGIC_PATCH, &image).await;
    assert_eq!((code, &changed["metadata"]["labels"]["team"]), (StatusCode::OK, &json!("payments")));
}
