//! The scenes of the simulator, as their metrics tell them.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use chrono::{DateTime, Utc};
use gonogo::domain::Clock;
use gonogo::sim::{Options, Scene};
use serde_json::Value;
use sim::{JSON_PATCH, PODS, ROUTE, Sim, shift, until, weight};

const ERRORS: &str = r#"(sum(rate(http_requests_total{version="canary",code=~"5.."}[2m])) or vector(0)) / sum(rate(http_requests_total{version="canary"}[2m]))"#;
const P99: &str = r#"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{version="canary"}[2m])))"#;

fn noon() -> DateTime<Utc> {
    "2026-03-14T03:07:41Z".parse().expect("a time")
}

/// A scene at t = 0 that stays there.
async fn frozen(scene: Scene, seed: u64) -> Sim {
    Sim::start(Options { scene, seed, freeze_clock: Some(noon()), ..Options::default() }).await
}

async fn number(sim: &Sim, query: &str) -> f64 {
    sim.query(query).await.unwrap_or_else(|| panic!("nothing for {query}")).parse().unwrap()
}

/// Values of a query over the last minutes before t = 0.
async fn range(sim: &Sim, query: &str, minutes: i64) -> Vec<f64> {
    let url = format!("{}/api/v1/query_range", sim.handle.endpoints().prometheus_url);
    let (start, end) = ((noon().timestamp() - minutes * 60).to_string(), noon().timestamp().to_string());
    let form = [("query", query), ("start", start.as_str()), ("end", end.as_str()), ("step", "15")];
    let body: Value = sim.client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
    let values = body["data"]["result"][0]["values"].as_array().unwrap_or_else(|| panic!("{body}"));
    values.iter().map(|value| value[1].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn one_seed_is_one_world() {
    let tell = async |seed| {
        let sim = frozen(Scene::Ready50, seed).await;
        let counters = sim.plain("/api/v1/query?query=sum%20by%20(pod,code)%20(http_requests_total)").await.unwrap().text().await.unwrap();
        (counters, sim.get(PODS).await.1.to_string())
    };
    assert_eq!(tell(7).await, tell(7).await);
    assert_ne!(tell(7).await.0, tell(8).await.0);
}

#[tokio::test]
async fn ready_50_was_healthy_all_the_way_whatever_the_seed() {
    for seed in 1..=4 {
        let sim = frozen(Scene::Ready50, seed).await;
        let errors = range(&sim, ERRORS, 20).await;
        assert!(errors.len() > 70 && errors.iter().all(|rate| *rate < 0.004), "seed {seed}: {errors:?}");
        let p99 = range(&sim, P99, 12).await;
        assert!(p99.iter().all(|p99| (0.37..0.405).contains(p99)), "seed {seed}: {p99:?}");
        let share =
            number(&sim, r#"100 * sum(increase(http_requests_total{version="canary"}[1m])) / sum(increase(http_requests_total[1m]))"#)
                .await;
        assert!((share - 25.0).abs() < 1.0, "{share}");
        assert!(number(&sim, "time() - max(timestamp(up))").await < 15.0, "the newest sample is fresh at t = 0");
        assert_eq!(sim.query("count(up == 1)").await.as_deref(), Some("12"));
    }
}

#[tokio::test]
async fn bake_25_is_close_to_its_latency_limit_and_no_worse() {
    let sim = frozen(Scene::Bake25, 1).await;
    let p99 = number(&sim, P99).await;
    assert!((0.405..0.425).contains(&p99), "{p99}");
    assert!(range(&sim, P99, 8).await.iter().all(|p99| *p99 < 0.45));
}

#[tokio::test]
async fn no_go_turned_bad_long_enough_before_zero_for_a_guard_of_thirty_seconds() {
    let sim = frozen(Scene::NoGo, 1).await;
    let errors = range(&sim, ERRORS, 8).await;
    let bad = errors.iter().rev().take_while(|rate| **rate > 0.005).count();
    assert!((3..=7).contains(&bad), "bad for {bad} quarter minutes: {errors:?}");
}

#[tokio::test]
async fn the_other_scenes_begin_as_described() {
    let leak = frozen(Scene::SlowLeak, 1).await;
    assert!(number(&leak, P99).await < 0.405 && number(&leak, ERRORS).await < 0.005);
    let crash = frozen(Scene::CrashLoop, 1).await;
    assert!(number(&crash, ERRORS).await > 0.005);
    assert!(
        number(&crash, "sum(kube_pod_container_status_restarts_total)").await >= 1.0
            || crash.query("count(up)").await.as_deref() < Some("12")
    );
    for (scene, canary) in [(Scene::Idle, 0), (Scene::PreLaunch, 0), (Scene::Tour, 5)] {
        assert_eq!(weight(&frozen(scene, 1).await.get(ROUTE).await.1), canary, "{scene}");
    }
}

#[tokio::test]
async fn the_tour_goes_bad_after_a_promote_and_silent_after_the_back_out() {
    let sim = Sim::start(Options { scene: Scene::Tour, speed: 60.0, ..Options::default() }).await;
    assert!(number(&sim, ERRORS).await < 0.005);
    let (_, route) = sim.get(ROUTE).await;
    let (_, route) = sim.patch(ROUTE, JSON_PATCH, &shift(&route, 25)).await;
    until("errors climb", async || number(&sim, ERRORS).await > 0.01).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&route, 0)).await;
    until("samples age", async || number(&sim, "time() - max(timestamp(up))").await > 50.0).await;
    until("samples come again", async || number(&sim, "time() - max(timestamp(up))").await < 20.0).await;
}

#[tokio::test]
async fn errors_of_no_go_end_with_its_traffic() {
    let sim = Sim::start(Options { scene: Scene::NoGo, speed: 100.0, ..Options::default() }).await;
    let (_, route) = sim.get(ROUTE).await;
    sim.patch(ROUTE, JSON_PATCH, &shift(&route, 0)).await;
    let all = r#"sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))"#;
    until("the service is healthy", async || number(&sim, all).await < 0.004).await;
    until("the canary gets nothing", async || {
        sim.query(r#"sum(rate(http_requests_total{version="canary"}[1m]))"#).await.as_deref() == Some("0")
    })
    .await;
    let clock = sim.handle.sim_clock();
    assert!(clock.is_live() && clock.now().boot > Scene::NoGo.script().prelude);
}

#[tokio::test]
async fn launch_day_goes_silent_comes_back_swollen_and_is_well_again() {
    const MEMORY: &str = r#"max(process_resident_memory_bytes{version="canary"}) / 1048576"#;
    const AGE: &str = "time() - max(timestamp(up))";
    let sim = Sim::start(Options { scene: Scene::Checklist, speed: 15.0, ..Options::default() }).await;
    assert!(number(&sim, MEMORY).await < 400.0 && weight(&sim.get(ROUTE).await.1) == 0);
    until("samples age", async || number(&sim, AGE).await > 50.0).await;
    assert!(number(&sim, MEMORY).await < 400.0, "what was seen last was good");
    until("it is red", async || number(&sim, MEMORY).await > 400.0).await;
    assert!(number(&sim, AGE).await < 30.0);
    until("it is well again", async || number(&sim, MEMORY).await < 400.0).await;
}
