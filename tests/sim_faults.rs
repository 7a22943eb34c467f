//! Every fault of the simulator, as a client meets it; and the calls file, which tells what reached the platform.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use gonogo::domain::Clock;
use gonogo::sim::{Options, Scene};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{DEPLOYMENTS, JSON_PATCH, Lines, MERGE_PATCH, PODS, ROUTE, Sim, answer, calls, live, shift, until, weight};
use std::time::Duration;

/// Live at a speed that makes simulated minutes pass in a test.
fn fast(faults: &[&str]) -> Options {
    Options { speed: 200.0, ..live(faults) }
}

async fn wait_for(clock: &dyn Clock, simulated: Duration) {
    let target = clock.now().boot + simulated;
    until("time passes", async || {
        tokio::time::sleep(clock.real_wait(target)).await;
        clock.now().boot >= target
    })
    .await;
}

/// Age of the newest sample.
async fn sample_age(sim: &Sim) -> f64 {
    sim.query("time() - max(timestamp(http_requests_total))").await.expect("a sample").parse().unwrap()
}

#[tokio::test]
async fn lost_systems_cannot_be_reached_and_open_watches_break() {
    let sim = Sim::start(fast(&["all:lost@60"])).await;
    let mut watch = Lines::open(&sim, &format!("{PODS}?watch=true&resourceVersion=0")).await;
    while watch.next().await.is_some() {}
    assert!(sim.request(Method::GET, PODS).send().await.is_err());
    assert!(sim.plain("/api/v1/query?query=up").await.is_err());
    assert!(sim.plain("/clock").await.is_err(), "the listener is the same");
}

#[tokio::test]
async fn a_fault_of_one_system_leaves_the_other_alone_and_ends() {
    let sim = Sim::start(fast(&["metrics:http-500@0+60"])).await;
    assert_eq!(sim.plain("/api/v1/query?query=up").await.unwrap().status(), 500);
    assert_eq!(sim.get(PODS).await.0, StatusCode::OK);
    until("metrics answer again", async || sim.plain("/api/v1/query?query=up").await.unwrap().status() == 200).await;
}

#[tokio::test]
async fn refusals_of_the_wire_are_those_of_a_real_server() {
    let sim = Sim::start(live(&["platform:http-429@0"])).await;
    let response = sim.request(Method::GET, PODS).send().await.unwrap();
    assert_eq!((response.status(), response.headers()["retry-after"].to_str().unwrap()), (StatusCode::TOO_MANY_REQUESTS, "5"));
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["reason"], "TooManyRequests");
    let sim = Sim::start(live(&["platform:http-500@0", "metrics:http-429@0"])).await;
    assert_eq!(sim.get(ROUTE).await.1["kind"], "Status");
    assert!(sim.plain("/api/v1/query?query=up").await.unwrap().headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_login_page_a_cut_body_and_a_huge_body() {
    let sim = Sim::start(live(&["platform:html@0", "metrics:huge@0"])).await;
    let page = sim.request(Method::GET, PODS).send().await.unwrap();
    assert_eq!((page.status(), page.headers()["content-type"].to_str().unwrap().starts_with("text/html")), (StatusCode::OK, true));
    let huge = sim.plain("/api/v1/query?query=up").await.unwrap();
    assert!(huge.bytes().await.unwrap().len() > 50_000_000);
    let sim = Sim::start(live(&["all:reset@0"])).await;
    assert!(sim.request(Method::GET, PODS).send().await.unwrap().bytes().await.is_err());
    assert!(sim.plain("/api/v1/query?query=up").await.unwrap().bytes().await.is_err());
}

#[tokio::test]
async fn latency_is_added_to_every_answer() {
    let sim = Sim::start(Options { speed: 10.0, ..live(&["platform:latency@0"]) }).await;
    let begin = sim.handle.clock().now().boot;
    assert_eq!(sim.get(ROUTE).await.0, StatusCode::OK);
    assert!(sim.handle.clock().now().boot.saturating_sub(begin) >= Duration::from_secs(2));
}

#[tokio::test]
async fn an_expired_login_is_renewed_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let sim = Sim::start(Options { dir: Some(dir.path().to_owned()), ..fast(&["platform:auth-expired@0+120"]) }).await;
    sim.handle.write_dir(dir.path()).unwrap();
    let token = || std::fs::read_to_string(dir.path().join("token")).unwrap();
    let first = token();
    assert_eq!(first, sim.handle.endpoints().token);
    assert_eq!(sim.get(PODS).await.1["reason"], "Unauthorized");
    until("the renewed login is accepted", async || {
        let url = format!("{}{PODS}", sim.handle.endpoints().kubernetes_url);
        answer(sim.client.get(url).bearer_auth(token())).await.0 == StatusCode::OK
    })
    .await;
    assert_ne!(token(), first);
    assert_eq!(sim.get(PODS).await.0, StatusCode::UNAUTHORIZED, "the old one is over");
    assert!(sim.handle.kubeconfig().contains("tokenFile"));
}

#[tokio::test]
async fn stale_metrics_answer_while_samples_age() {
    let sim = Sim::start(fast(&["metrics:stale@0+200"])).await;
    let clock = sim.handle.clock();
    wait_for(&*clock, Duration::from_secs(100)).await;
    assert!(sample_age(&sim).await > 90.0);
    until("samples come again", async || sample_age(&sim).await < 30.0).await;
}

#[tokio::test]
async fn delayed_metrics_come_ninety_seconds_late() {
    let sim = Sim::start(fast(&["metrics:delayed@0"])).await;
    let clock = sim.handle.clock();
    wait_for(&*clock, Duration::from_secs(200)).await;
    let age = sample_age(&sim).await;
    assert!((90.0..150.0).contains(&age), "{age}");
}

#[tokio::test]
async fn a_stale_platform_lists_the_old_state_and_its_watches_are_silent() {
    let sim = Sim::start(fast(&["platform:stale@0+300"])).await;
    let (_, before) = sim.get(ROUTE).await;
    let mut watch = Lines::open(
        &sim,
        &format!(
            "/apis/networking.istio.io/v1/virtualservices?watch=true&allowWatchBookmarks=true&resourceVersion={}",
            before["metadata"]["resourceVersion"].as_str().unwrap()
        ),
    )
    .await;
    assert_eq!(weight(&sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await.1), 50, "the write itself is true");
    assert_eq!(weight(&sim.get(ROUTE).await.1), 25);
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event["type"].as_str(), weight(&event["object"])),
        (Some("MODIFIED"), 50),
        "no bookmark before, and the change after the fault"
    );
    let clock = sim.handle.sim_clock();
    assert!(clock.now().boot >= Scene::Ready50.script().prelude + Duration::from_secs(300));
    assert_eq!(weight(&sim.get(ROUTE).await.1), 50);
}

#[tokio::test]
async fn a_delayed_platform_shows_changes_late() {
    let sim = Sim::start(fast(&["platform:delayed@0"])).await;
    let (_, before) = sim.get(ROUTE).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await;
    until("the change is seen", async || weight(&sim.get(ROUTE).await.1) == 50).await;
    let clock = sim.handle.sim_clock();
    assert!(clock.now().boot >= Scene::Ready50.script().prelude + Duration::from_secs(90));
}

#[tokio::test]
async fn a_lost_reply_is_a_write_that_happened_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("calls");
    let sim = Sim::start(Options { calls: Some(file.clone()), ..live(&["platform:reply-lost@0"]) }).await;
    let (_, before) = sim.get(ROUTE).await;
    let body = shift(&before, 50);
    let sent = sim.request(Method::PATCH, ROUTE).header("content-type", JSON_PATCH).body(body.to_string()).send().await;
    assert!(sent.is_err());
    let (_, after) = sim.get(ROUTE).await;
    assert_eq!(weight(&after), 50);
    assert_eq!(sim.patch(ROUTE, JSON_PATCH, &shift(&after, 60)).await.0, StatusCode::OK, "only the first reply is lost");
    let calls = calls(&file);
    assert_eq!(calls.len(), 2);
    let (call, keys) = (&calls[0], ["at", "body", "kind", "object", "platform", "result", "seq", "verb"]);
    assert_eq!(call.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!(
        (&call["seq"], &call["platform"], &call["kind"], &call["verb"], &call["object"], &call["result"], &call["body"]),
        (&json!(1), &json!("kubernetes"), &json!("act"), &json!("set_weight"), &json!("virtualservice/checkout"), &json!("applied"), &body)
    );
}

#[tokio::test]
async fn a_late_reply_comes_after_the_write_is_seen() {
    let sim = Sim::start(Options { speed: 20.0, ..live(&["platform:reply-late@0"]) }).await;
    let (_, before) = sim.get(ROUTE).await;
    let clock = sim.handle.clock();
    let begin = clock.now().boot;
    let shift = shift(&before, 50);
    let write = async {
        let (code, _) = sim.patch(ROUTE, JSON_PATCH, &shift).await;
        (code, clock.now().boot.saturating_sub(begin))
    };
    let seen = async {
        until("the write is seen", async || weight(&sim.get(ROUTE).await.1) == 50).await;
        clock.now().boot.saturating_sub(begin)
    };
    let ((code, replied), seen) = futures::future::join(write, seen).await;
    assert_eq!(code, StatusCode::OK);
    assert!(replied >= Duration::from_secs(30) && seen < replied, "{seen:?} {replied:?}");
}

#[tokio::test]
async fn the_calls_file_tells_acts_fences_and_refusals_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("calls");
    let sim = Sim::start(Options { calls: Some(file.clone()), ..live(&[]) }).await;
    let (_, route) = sim.get(ROUTE).await;
    let fence = json!([
        { "op": "test", "path": "/metadata/resourceVersion", "value": route["metadata"]["resourceVersion"] },
        { "op": "add", "path": "/metadata/annotations", "value": { "gonogo.dev/epoch": "4" } },
    ]);
    sim.patch(ROUTE, JSON_PATCH, &fence).await;
    sim.patch(&format!("{ROUTE}?dryRun=All"), JSON_PATCH, &shift(&route, 50)).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&route, 50)).await;
    sim.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &json!({ "spec": {} })).await;
    sim.patch(ROUTE, MERGE_PATCH, &json!({ "metadata": { "annotations": { "gonogo.dev/epoch": "5", "gonogo.dev/op": "x" } } })).await;
    sim.patch(&format!("{DEPLOYMENTS}/checkout-stable/scale"), MERGE_PATCH, &json!({ "spec": { "replicas": 8 } })).await;
    let told: Vec<_> = calls(&file)
        .iter()
        .map(|call| ["kind", "verb", "object", "result"].map(|field| call[field].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        told,
        [
            ["fence", "patch", "virtualservice/checkout", "applied"],
            ["act", "set_weight", "virtualservice/checkout", "refused"],
            ["act", "patch", "virtualservice/checkout", "applied"],
            ["act", "scale", "deployment/checkout-stable", "applied"],
        ]
    );
}

#[tokio::test]
async fn a_conflict_refuses_once_and_leaves_the_other_clients_change() {
    let sim = Sim::start(live(&["platform:conflict@0"])).await;
    let (_, before) = sim.get(ROUTE).await;
    let conditional_on_weights = json!([
        { "op": "test", "path": "/spec/http/1/route/1/weight", "value": 25 },
        { "op": "replace", "path": "/spec/http/1/route/1/weight", "value": 50 },
    ]);
    assert_eq!(sim.patch(ROUTE, JSON_PATCH, &conditional_on_weights).await.0, StatusCode::CONFLICT);
    let (_, after) = sim.get(ROUTE).await;
    assert_eq!((weight(&after), &after["metadata"]["annotations"]["example.com/reviewed-by"]), (25, &json!("mira")));
    assert_ne!(after["spec"]["http"][1]["timeout"], before["spec"]["http"][1]["timeout"]);
    assert_eq!(sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await.0, StatusCode::UNPROCESSABLE_ENTITY, "what was read is old");
    assert_eq!(sim.patch(ROUTE, JSON_PATCH, &shift(&after, 50)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn forbidden_writes_are_refused_and_reviews_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("calls");
    let sim = Sim::start(Options { calls: Some(file.clone()), ..live(&["platform:forbidden@0"]) }).await;
    let (_, before) = sim.get(ROUTE).await;
    let (code, status) = sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await;
    assert_eq!((code, status["reason"].as_str()), (StatusCode::FORBIDDEN, Some("Forbidden")));
    let ask =
        |verb: &str| json!({ "spec": { "resourceAttributes": { "verb": verb, "resource": "virtualservices", "namespace": "shop" } } });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(sim.create(path, &ask("patch")).await.1["status"]["allowed"], false);
    assert_eq!(sim.create(path, &ask("watch")).await.1["status"]["allowed"], true);
    assert_eq!(calls(&file)[0]["result"], "refused");
}

#[tokio::test]
async fn another_client_moves_the_weight_and_the_autoscaler_the_instances() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("calls");
    let faults = ["platform:foreign-change@0", "platform:autoscaler@0+90"];
    let sim = Sim::start(Options { calls: Some(file.clone()), ..fast(&faults) }).await;
    let (_, route) = sim.get(ROUTE).await;
    assert_eq!(weight(&route), 10);
    let writers = route["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(writers.last().unwrap()["manager"], "kubectl-edit");
    let path = format!("{DEPLOYMENTS}/checkout-stable");
    let mut most = 0;
    until("instances came and went", async || {
        let (_, deployment) = sim.get(&path).await;
        most = most.max(deployment["status"]["readyReplicas"].as_u64().unwrap());
        most == 14 && deployment["spec"]["replicas"] == 9 && deployment["status"]["replicas"] == 9
    })
    .await;
    assert!(calls(&file).is_empty(), "neither came over the API");
}

#[tokio::test]
async fn traffic_does_not_follow_a_weight_that_is_not_observed() {
    let sim = Sim::start(fast(&["platform:not-observed@0+200"])).await;
    let (_, before) = sim.get(ROUTE).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&before, 50)).await;
    let clock = sim.handle.clock();
    wait_for(&*clock, Duration::from_secs(100)).await;
    let share = r#"100 * sum(increase(http_requests_total{version="canary"}[1m])) / sum(increase(http_requests_total[1m]))"#;
    let seen = async || sim.query(share).await.unwrap().parse::<f64>().unwrap();
    let during = seen().await;
    assert!((during - 25.0).abs() < 2.0, "{during}");
    until("traffic follows after the fault", async || (seen().await - 50.0).abs() < 2.0).await;
}

#[tokio::test]
async fn the_full_disk_is_told_to_the_journal_alone() {
    let sim = Sim::start(live(&["platform:full-disk@0"])).await;
    assert!(sim.handle.journal_disk_full());
    assert_eq!(sim.get(ROUTE).await.0, StatusCode::OK);
    assert!(!Sim::start(live(&[])).await.handle.journal_disk_full());
}
