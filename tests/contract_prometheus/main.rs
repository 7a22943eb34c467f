//! What every PromQL server must do for the metrics port: the same cases against Debian's Prometheus, against the simulator, and
//! against the server named in `GONOGO_CONTRACT_PROMETHEUS`, which must be reachable (there only the cases that need no samples of ours).
//!
//! Each case is printed with its outcome; all of them run before the suite fails.
#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]
#![allow(clippy::cast_possible_wrap, clippy::float_cmp, reason = "generated data and exact comparisons")]

mod cases;
mod data;
#[path = "../support/left_out.rs"]
mod left_out;
#[path = "../sim_prometheus/real.rs"]
mod real;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use gonogo::adapter::http::install_tls_provider;
use gonogo::adapter::prometheus::{self, Prometheus, Settings};
use gonogo::domain::{Clock, Stamp};
use gonogo::sim::metrics::{Tsdb, api};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// Always the time of the last sample of a live series.
struct AtTheEnd;

impl Clock for AtTheEnd {
    fn now(&self) -> Stamp {
        let wall: DateTime<Utc> = DateTime::from_timestamp_millis(data::END).unwrap();
        Stamp { wall, boot: Duration::ZERO, mono: Duration::ZERO }
    }

    fn boot_id(&self) -> String {
        "contract".to_owned()
    }
}

/// One thing that must hold.
struct Case {
    name: &'static str,
    /// Whether it asks about the samples of [`data`].
    own_data: bool,
    run: for<'a> fn(&'a Prometheus) -> LocalBoxFuture<'a, ()>,
}

fn connect(url: &str) -> Prometheus {
    install_tls_provider();
    let settings = Settings {
        source: "contract".into(),
        url: url.to_owned(),
        auth: None,
        ca_file: None,
        scrape_interval: data::INTERVAL,
        timeout: Duration::from_secs(20),
        clock: Arc::new(AtTheEnd),
    };
    prometheus::new(settings).unwrap()
}

/// Runs every case that fits, prints each, and fails at the end if one did.
async fn run(server: &str, url: &str, own_data: bool) {
    let mut failed = vec![];
    let mut ran = 0;
    for case in cases::ALL.iter().filter(|case| own_data || !case.own_data) {
        // A connection for each, so that no case lives on what another one made the adapter remember.
        let connection = connect(url);
        let ended = AssertUnwindSafe((case.run)(&connection)).catch_unwind().await;
        println!("{server}: {} ... {}", case.name, if ended.is_ok() { "ok" } else { "FAILED" });
        ran += 1;
        if ended.is_err() {
            failed.push(case.name);
        }
    }
    println!("{server}: {ran} cases ran");
    assert!(failed.is_empty(), "{server}: failed: {failed:?}");
}

/// Whether Debian's Prometheus is installed.
#[expect(clippy::disallowed_methods, reason = "looks a program up")]
fn have_prometheus() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("prometheus").is_file())
}

#[expect(clippy::disallowed_methods, reason = "the test run hands its wishes over in the environment")]
fn named_url() -> Option<String> {
    std::env::var("GONOGO_CONTRACT_PROMETHEUS").ok().filter(|url| !url.is_empty())
}

#[tokio::test]
async fn debian_prometheus() {
    if !have_prometheus() {
        left_out::left_out(
            "the metrics contract against the real Prometheus",
            "prometheus is not on PATH; Debian: apt-get install prometheus",
        );
        return;
    }
    let client = client();
    let server = real::Prometheus::start(&client).await;
    server.write(&client, &data::series()).await;
    run("prometheus", &server.url, true).await;
}

#[tokio::test]
async fn simulator() {
    let mut tsdb = Tsdb::new();
    for series in data::series() {
        for (at, value) in series.samples {
            tsdb.append(&series.labels, at, value);
        }
    }
    let router = api(Arc::new(RwLock::new(tsdb)), Arc::new(AtTheEnd), data::INTERVAL);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await });
    run("simulator", &url, true).await;
}

#[tokio::test]
async fn named_server() {
    let Some(url) = named_url() else {
        println!("GONOGO_CONTRACT_PROMETHEUS names no server");
        return;
    };
    let info = connect(&url).build_info().await.expect("GONOGO_CONTRACT_PROMETHEUS is set, but its server cannot be asked");
    run(&format!("{} {}", info.product, info.version), &url, false).await;
}

#[expect(clippy::disallowed_methods, reason = "feeds the real server; the adapter only reads")]
fn client() -> reqwest::Client {
    install_tls_provider();
    reqwest::Client::new()
}
