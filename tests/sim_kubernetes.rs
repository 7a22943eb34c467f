//! The simulated Kubernetes API, over the wire, with a plain HTTP client.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use gonogo::sim::{Options, Prelude, Scene};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{DEPLOYMENTS, JSON_PATCH, Lines, MERGE_PATCH, PODS, ROUTE, STRATEGIC_PATCH, Sim, answer, by_hand, shift, weight};
use std::time::Duration;

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_scene_stands_as_described_at_the_beginning() {
    let sim = Sim::start(Options { scene: Scene::Bake25, ..Options::default() }).await;
    let (_, route) = sim.get(ROUTE).await;
    assert_eq!((weight(&route), route["spec"]["http"][0]["name"].as_str()), (25, Some("preview")));
    let (_, stable) = sim.get(&format!("{DEPLOYMENTS}/checkout-stable")).await;
    let (_, canary) = sim.get(&format!("{DEPLOYMENTS}/checkout-canary")).await;
    for (deployment, ready) in [(&stable, 9), (&canary, 3)] {
        assert_eq!(deployment["status"]["readyReplicas"], ready);
        assert_eq!(deployment["status"]["observedGeneration"], deployment["metadata"]["generation"]);
    }
    let (_, pods) = sim.get(&format!("{PODS}?labelSelector=version%3Dcanary")).await;
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 3);
    assert_eq!(pods[0]["spec"]["containers"][0]["image"], "registry.example/checkout:v2.42.0");
    assert_eq!(pods[0]["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
    sim.handle.shutdown().await;
}

#[tokio::test]
async fn a_login_is_needed_and_refusals_are_status_objects() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let url = format!("{}{PODS}", sim.handle.endpoints().kubernetes_url);
    let (code, status) = answer(sim.client.get(&url).bearer_auth("wrong")).await;
    assert_eq!(
        (code, status["kind"].as_str(), status["reason"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("Status"), Some("Unauthorized"))
    );
    let (code, status) = sim.get(&format!("{PODS}/nobody")).await;
    assert_eq!((code, status["message"].as_str()), (StatusCode::NOT_FOUND, Some("pods \"nobody\" not found")));
    assert_eq!(sim.get("/apis/gadgets.example/v1/gadgets").await.0, StatusCode::NOT_FOUND);
    let (code, status) = sim.patch(ROUTE, STRATEGIC_PATCH, &json!({})).await;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, Some("UnsupportedMediaType")));
}

#[tokio::test]
async fn a_json_patch_holds_its_conditions_and_touches_nothing_else() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, before) = sim.get(ROUTE).await;
    let (code, after) = sim.patch(&format!("{ROUTE}?fieldManager=gonogo"), JSON_PATCH, &shift(&before, 5)).await;
    assert_eq!((code, weight(&after)), (StatusCode::OK, 5));
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"].as_u64().unwrap() + 1);
    assert_ne!(after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(after["spec"]["http"][0], before["spec"]["http"][0]);
    assert_eq!(after["spec"]["http"][1]["retries"], before["spec"]["http"][1]["retries"]);
    let last = after["metadata"]["managedFields"].as_array().unwrap().last().unwrap();
    assert_eq!((last["manager"].as_str(), &last["fieldsV1"]["f:spec"]), (Some("gonogo"), &json!({ "f:http": {} })));

    let (code, status) = sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("Invalid")), "a failed test");
    let stale = json!({ "metadata": { "resourceVersion": before["metadata"]["resourceVersion"] }, "spec": { "hosts": ["x"] } });
    let (code, status) = sim.patch(ROUTE, MERGE_PATCH, &stale).await;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::CONFLICT, Some("Conflict")), "an old version in the body");
    let (code, _) = answer(sim.request(Method::PUT, ROUTE).json(&before)).await;
    assert_eq!(code, StatusCode::CONFLICT);
    let bad = json!([{ "op": "replace", "path": "/spec/http/1/route/1/weight", "value": "many" }]);
    assert_eq!(sim.patch(ROUTE, JSON_PATCH, &bad).await.0, StatusCode::UNPROCESSABLE_ENTITY, "the schema");
    assert_eq!(sim.get(ROUTE).await.1, after, "nothing of the refused writes is there");
}

#[tokio::test]
async fn a_dry_run_answers_what_would_be_and_stores_nothing() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, before) = sim.get(ROUTE).await;
    let (code, would) = sim.patch(&format!("{ROUTE}?dryRun=All"), JSON_PATCH, &shift(&before, 5)).await;
    assert_eq!((code, weight(&would)), (StatusCode::OK, 5));
    assert_eq!(sim.get(ROUTE).await.1, before);
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "trial" } });
    assert_eq!(sim.create("/api/v1/namespaces?dryRun=All", &namespace).await.0, StatusCode::CREATED);
    assert_eq!(sim.get("/api/v1/namespaces/trial").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_version() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, before) = sim.get(ROUTE).await;
    let (code, after) = sim.patch(ROUTE, MERGE_PATCH, &json!({ "spec": { "hosts": ["checkout"] } })).await;
    assert_eq!((code, after), (StatusCode::OK, before));
}

#[tokio::test]
async fn a_watch_tells_changes_bookmarks_and_when_it_is_too_late() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, list) = sim.get("/apis/networking.istio.io/v1/namespaces/shop/virtualservices").await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!(
        "/apis/networking.istio.io/v1/namespaces/shop/virtualservices?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
    );
    let mut watch = Lines::open(&sim, &path).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&list["items"][0], 5)).await;
    let event = watch.next().await.unwrap();
    assert_eq!((event["type"].as_str(), weight(&event["object"])), (Some("MODIFIED"), 5));
    // Time that is moved by hand brings bookmarks too: a client takes a watch without any for dead.
    sim.advance(Duration::from_secs(61)).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!((bookmark["type"].as_str(), bookmark["object"]["kind"].as_str()), (Some("BOOKMARK"), Some("VirtualService")));
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], event["object"]["metadata"]["resourceVersion"]);

    let mut late = Lines::open(&sim, &format!("{PODS}?watch=true&resourceVersion=12")).await;
    let event = late.next().await.unwrap();
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(late.next().await, None, "and ends");
    let mut short = Lines::open(&sim, &format!("{PODS}?watch=true&resourceVersion={version}&timeoutSeconds=1")).await;
    assert_eq!(short.next().await, None, "ends at its time-out");
}

#[tokio::test]
async fn a_watch_with_a_selector_adds_what_enters_and_deletes_what_leaves() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, pods) = sim.get(PODS).await;
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap();
    let version = pods["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Lines::open(&sim, &format!("{PODS}?watch=true&labelSelector=marked&resourceVersion={version}")).await;
    for mark in [json!("yes"), Value::Null] {
        sim.patch(&format!("{PODS}/{name}"), MERGE_PATCH, &json!({ "metadata": { "labels": { "marked": mark } } })).await;
    }
    let (first, second) = (watch.next().await.unwrap(), watch.next().await.unwrap());
    assert_eq!((first["type"].as_str(), second["type"].as_str()), (Some("ADDED"), Some("DELETED")));
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_marker() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{PODS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let mut watch = Lines::open(&sim, &path).await;
    let mut added = 0;
    let marker = loop {
        let event = watch.next().await.unwrap();
        if event["type"] != "ADDED" {
            break event;
        }
        added += 1;
    };
    assert_eq!(added, 9);
    assert_eq!(marker["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn pages_are_of_one_moment_and_an_expired_one_says_how_to_go_on() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, first) = sim.get(&format!("{PODS}?limit=4")).await;
    assert_eq!((first["items"].as_array().unwrap().len(), first["metadata"]["remainingItemCount"].as_u64()), (4, Some(5)));
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let last = sim.get(PODS).await.1["items"][8]["metadata"]["name"].as_str().unwrap().to_owned();
    let gone = json!({ "gracePeriodSeconds": 0 });
    answer(sim.request(Method::DELETE, &format!("{PODS}/{last}")).json(&gone)).await;
    let (_, second) = sim.get(&format!("{PODS}?limit=9&continue={token}")).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 5, "the deleted one is still on its page");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["continue"], Value::Null);

    sim.advance(Duration::from_secs(301)).await;
    let (code, status) = sim.get(&format!("{PODS}?limit=9&continue={token}")).await;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::GONE, Some("Expired")));
    let fresh = status["metadata"]["continue"].as_str().unwrap();
    let (code, rest) = sim.get(&format!("{PODS}?limit=500&continue={fresh}")).await;
    assert_eq!(code, StatusCode::OK);
    assert!(!rest["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_new_image_rolls_and_undoing_it_reuses_the_old_replica_set() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let path = format!("{DEPLOYMENTS}/checkout-stable");
    let image = |tag: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": format!("registry.example/checkout:{tag}") }] } } } });
    sim.patch(&path, STRATEGIC_PATCH, &image("v9")).await;
    let (_, pending) = sim.get(&path).await;
    assert!(pending["status"]["observedGeneration"].as_u64() < pending["metadata"]["generation"].as_u64(), "not seen at once");
    sim.advance(Duration::from_secs(3)).await;
    let (_, rolling) = sim.get(&path).await;
    let ready = rolling["status"]["readyReplicas"].as_u64().unwrap();
    assert!((7..=9).contains(&ready) && rolling["status"]["updatedReplicas"].as_u64().unwrap() < 9, "{}", rolling["status"]);
    sim.advance(HALF_A_MINUTE * 2).await;
    let (_, done) = sim.get(&path).await;
    assert_eq!(
        (done["status"]["updatedReplicas"].as_u64(), done["status"]["replicas"].as_u64(), done["status"]["availableReplicas"].as_u64()),
        (Some(9), Some(9), Some(9))
    );
    assert_eq!(done["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    sim.patch(&path, STRATEGIC_PATCH, &image("v2.41.3")).await;
    sim.advance(HALF_A_MINUTE * 2).await;
    let (_, sets) = sim.get("/apis/apps/v1/namespaces/shop/replicasets?labelSelector=version%3Dstable").await;
    let mut revisions: Vec<_> = sets["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap())
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, ["2", "3"], "no third ReplicaSet; the first one is revision 3 now");
}

#[tokio::test]
async fn scaling_and_deleting_move_pods() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let scale = format!("{DEPLOYMENTS}/checkout-stable/scale");
    let (code, body) = sim.patch(&scale, MERGE_PATCH, &json!({ "spec": { "replicas": 5 } })).await;
    assert_eq!((code, body["kind"].as_str(), body["spec"]["replicas"].as_u64()), (StatusCode::OK, Some("Scale"), Some(5)));
    sim.advance(HALF_A_MINUTE).await;
    let (_, pods) = sim.get(&format!("{PODS}?labelSelector=version%3Dstable")).await;
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 5);
    let victim = pods[0]["metadata"]["name"].as_str().unwrap();
    let (_, stopping) = answer(sim.request(Method::DELETE, &format!("{PODS}/{victim}"))).await;
    assert!(stopping["metadata"]["deletionTimestamp"].is_string());
    sim.advance(HALF_A_MINUTE).await;
    let (_, pods) = sim.get(&format!("{PODS}?labelSelector=version%3Dstable")).await;
    let names: Vec<_> = pods["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).collect();
    assert!(names.len() == 5 && !names.contains(&victim), "{names:?}");
}

#[tokio::test]
async fn crashing_pods_say_why() {
    let sim = Sim::start(Options { scene: Scene::CrashLoop, ..Options::default() }).await;
    let (_, pods) = sim.get(&format!("{PODS}?labelSelector=version%3Dcanary")).await;
    let statuses: Vec<&Value> = pods["items"].as_array().unwrap().iter().map(|pod| &pod["status"]["containerStatuses"][0]).collect();
    let crashed = statuses.iter().find(|status| status["restartCount"].as_u64() > Some(0)).expect("a crashed pod");
    assert_eq!(crashed["lastState"]["terminated"]["reason"], "OOMKilled");
    assert!(statuses.iter().any(|status| status["state"]["waiting"]["reason"] == "CrashLoopBackOff" || status["ready"] == false));
    let (_, events) = sim.get("/apis/events.k8s.io/v1/namespaces/shop/events?fieldSelector=type%3DWarning").await;
    let event = &events["items"][0];
    assert_eq!(
        (event["apiVersion"].as_str(), event["reason"].as_str(), event["regarding"]["kind"].as_str()),
        (Some("events.k8s.io/v1"), Some("BackOff"), Some("Pod"))
    );
    let name = event["regarding"]["name"].as_str().unwrap();
    let (_, core) = sim.get(&format!("/api/v1/namespaces/shop/events?fieldSelector=involvedObject.name%3D{name},reason%3DBackOff")).await;
    assert_eq!(core["items"][0]["involvedObject"]["name"], name);
}

#[tokio::test]
async fn a_namespace_of_ones_own_comes_and_goes() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let route = |namespace: &str| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "own", "namespace": namespace },
            "spec": { "hosts": ["own"], "http": [{ "route": [{ "destination": { "host": "own" }, "weight": 100 }] }] },
        })
    };
    let path = |namespace: &str| format!("/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices");
    assert_eq!(sim.create(&path("trial"), &route("trial")).await.0, StatusCode::NOT_FOUND);
    sim.create("/api/v1/namespaces", &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "trial" } })).await;
    assert_eq!(sim.create(&path("trial"), &route("trial")).await.0, StatusCode::CREATED);
    assert_eq!(sim.create(&path("trial"), &route("trial")).await.1["reason"], "AlreadyExists");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "own" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "own" } }, "template": {
            "metadata": { "labels": { "app": "own" } }, "spec": { "containers": [{ "name": "app", "image": "x:1" }] },
        } },
    });
    assert_eq!(sim.create("/apis/apps/v1/namespaces/trial/deployments", &deployment).await.0, StatusCode::CREATED);
    sim.advance(HALF_A_MINUTE).await;
    assert_eq!(sim.get("/apis/apps/v1/namespaces/trial/deployments/own").await.1["status"]["readyReplicas"], 2);
    let (_, gone) = answer(sim.request(Method::DELETE, "/api/v1/namespaces/trial")).await;
    assert_eq!(gone["status"]["phase"], "Terminating");
    sim.advance(HALF_A_MINUTE).await;
    assert_eq!(sim.get("/api/v1/namespaces/trial").await.0, StatusCode::NOT_FOUND);
    assert_eq!(sim.get("/api/v1/namespaces/trial/pods").await.1["items"], json!([]));
    assert_eq!(
        sim.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/virtualservices.networking.istio.io").await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn older_api_versions_and_metadata_only_are_served() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let (_, old) = sim.get(&ROUTE.replace("/v1/", "/v1beta1/")).await;
    assert_eq!(old["apiVersion"], "networking.istio.io/v1beta1");
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, list) = answer(sim.request(Method::GET, PODS).header("accept", accept)).await;
    assert_eq!((list["kind"].as_str(), &list["items"][0]["spec"]), (Some("PartialObjectMetadataList"), &Value::Null));
}

#[tokio::test]
async fn time_is_told_and_stands_until_the_caller_lets_it_go() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let read = async || -> Value { sim.plain("/clock").await.unwrap().json().await.unwrap() };
    assert_eq!(read().await["boot_ms"], 0);
    sim.advance(Duration::from_secs(90)).await;
    let told = read().await;
    assert_eq!((told["boot_ms"].as_u64(), told["boot_id"].as_str(), told["frozen"].as_bool()), (Some(90_000), Some("sim-1"), Some(false)));
    sim.handle.go_live();
    assert!(read().await["boot_ms"].as_u64() >= Some(Scene::Idle.script().prelude.as_secs() * 1000));
}

#[tokio::test]
async fn a_frozen_clock_stands_at_the_second() {
    let at = "2026-03-14T03:07:41Z".parse().unwrap();
    let sim = Sim::start(Options { freeze_clock: Some(at), prelude: Prelude::Scripted, ..by_hand(Scene::Ready50) }).await;
    let told: Value = sim.plain("/clock").await.unwrap().json().await.unwrap();
    assert_eq!((told["wall"].as_str(), told["frozen"].as_bool()), (Some("2026-03-14T03:07:41.000Z"), Some(true)));
}

#[tokio::test]
async fn large_lists_are_compressed_and_complete() {
    let sim = Sim::start(Options { instances: Some(2_000), ..by_hand(Scene::Idle) }).await;
    let response =
        sim.request(Method::GET, "/api/v1/namespaces/shop/pods?limit=500").header("accept-encoding", "gzip").send().await.unwrap();
    let list: Value = response.json().await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 500);
    assert_eq!(list["metadata"]["remainingItemCount"], 1000, "the canary is not deployed yet");
}

#[tokio::test]
async fn rights_are_told_in_json() {
    let sim = Sim::start(by_hand(Scene::Idle)).await;
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": { "resourceAttributes": {
        "namespace": "shop", "verb": "patch", "group": "networking.istio.io", "resource": "virtualservices",
    } } });
    let (code, answer) = sim.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await;
    assert_eq!((code, answer["status"]["allowed"].as_bool()), (StatusCode::CREATED, Some(true)));
}
