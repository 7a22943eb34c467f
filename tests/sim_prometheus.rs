//! The simulated Prometheus against the real one: the same samples in both, the same requests to both, answers compared.
//!
//! Needs the `prometheus` binary on PATH (Debian: package `prometheus`, 2.42); without it the comparison is left out loudly, and
//! `GONOGO_REQUIRE_REAL=1` makes that a failure. `promtool` then drives the simulator as a client.
#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]
#![allow(clippy::cast_possible_wrap, clippy::float_cmp, reason = "generated data and exact comparisons")]

#[path = "sim_prometheus/compare.rs"]
mod compare;
#[path = "sim_prometheus/data.rs"]
mod data;
#[path = "support/left_out.rs"]
mod left_out;
#[path = "sim_prometheus/queries.rs"]
mod queries;
#[path = "sim_prometheus/real.rs"]
mod real;

use chrono::{DateTime, Utc};
use gonogo::domain::{Clock, Stamp};
use gonogo::sim::metrics::{Tsdb, api};
use std::process::Command;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// Always the same moment: within the samples.
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> Stamp {
        let wall: DateTime<Utc> = DateTime::from_timestamp_millis(data::START + 600_000).unwrap();
        Stamp { wall, boot: Duration::ZERO, mono: Duration::ZERO }
    }

    fn boot_id(&self) -> String {
        "frozen".to_owned()
    }
}

/// The simulator, served on loopback until dropped.
struct Simulated {
    url: String,
    _task: JoinSet<std::io::Result<()>>,
}

async fn simulated() -> Simulated {
    let mut tsdb = Tsdb::new();
    for series in data::series() {
        for (at, value) in series.samples {
            tsdb.append(&series.labels, at, value);
        }
    }
    let router = api(Arc::new(RwLock::new(tsdb)), Arc::new(Frozen), Duration::from_secs(15));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await });
    Simulated { url, _task: task }
}

/// Whether a program can be run; says so when it cannot.
#[expect(clippy::disallowed_methods, reason = "looks for programs where the shell does")]
fn have(program: &str, suite: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        left_out::left_out(suite, &format!("{program} is not on PATH; Debian: apt-get install prometheus"));
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "asks as anybody would, not as the adapter does")]
fn client() -> reqwest::Client {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_real_server() {
    if !have("prometheus", "the simulated Prometheus against the real one") {
        return;
    }
    let client = client();
    let real = real::Prometheus::start(&client).await;
    real.write(&client, &data::series()).await;
    let simulated = simulated().await;
    let (mut differences, mut filled) = (Vec::new(), 0);
    let asked = queries::all();
    for (i, request) in asked.iter().enumerate() {
        // Both ways of asking are in use; they must not differ.
        let post = i % 2 == 0 && !request.path.contains("/label/") && !request.path.contains("/rules") && !request.path.contains("/alerts");
        let expected = compare::fetch(&client, &real.url, request, post).await;
        let got = compare::fetch(&client, &simulated.url, request, post).await;
        filled += usize::from(expected.has_results());
        if let Err(difference) = compare::same(&expected, &got, request.ordered) {
            differences.push(format!("{request:?}\n    {difference}"));
        }
    }
    println!("compared {} queries, {filled} of them with results", asked.len());
    assert!(filled >= 200, "only {filled} answers had results: too few to say anything");
    assert!(differences.is_empty(), "{} of {} answers differ:\n{}", differences.len(), asked.len(), differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_is_content_with_the_simulator() {
    if !have("promtool", "promtool as a client of the simulated Prometheus") {
        return;
    }
    let simulated = simulated().await;
    let url = simulated.url.as_str();
    let run = |args: &[&str]| {
        let out = Command::new("promtool").args(args).output().unwrap();
        assert!(out.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let instant = run(&["query", "instant", "--time=1700000600", url, "up"]);
    assert!(instant.contains("up{instance=\"10.0.0.1:80\", job=\"shop\"} => 1 @[1700000600]"), "{instant}");
    let range = run(&["query", "range", "--start=1700000600", "--end=1700000660", "--step=30s", url, "sum(up)"]);
    assert!(range.contains("4 @[1700000630]"), "{range}");
    let series = run(&["query", "series", "--match=up", "--start=1700000000", "--end=1700001000", url]);
    assert_eq!(series.lines().count(), 4, "{series}");
    let labels = run(&["query", "labels", "--start=1700000000", "--end=1700001000", url, "job"]);
    assert!(labels.contains("shop") && labels.contains("batch"), "{labels}");
}
