//! What every Alertmanager must do for the alerts port: the same cases against Debian's Alertmanager, against the simulator, and
//! against the server named in `GONOGO_CONTRACT_ALERTMANAGER`, which must be reachable and let us post alerts and make silences: those
//! of the suite carry the label `gonogo_contract`, and end by themselves.
//!
//! Each case is printed with its outcome; all of them run before the suite fails.
#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

mod cases;
#[path = "../support/left_out.rs"]
mod left_out;
mod real;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use gonogo::adapter::alertmanager::{self, Alertmanager, Settings};
use gonogo::adapter::http::install_tls_provider;
use gonogo::domain::{Clock, Stamp};
use gonogo::sim::alerts::{Manager, api};
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// This machine's time.
#[derive(Clone, Copy)]
struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "the real server lives in this machine's time")]
    fn now(&self) -> Stamp {
        let wall: DateTime<Utc> = DateTime::from(std::time::SystemTime::now());
        Stamp { wall, boot: Duration::ZERO, mono: Duration::ZERO }
    }

    fn boot_id(&self) -> String {
        "contract".to_owned()
    }
}

/// A server under test.
struct Place {
    url: String,
    client: reqwest::Client,
    /// Distinguishes the alerts of one case from those of others, on a server that others use too.
    mark: String,
}

impl Place {
    fn connect(&self) -> Alertmanager {
        self.connect_as(true)
    }

    fn connect_as(&self, writes: bool) -> Alertmanager {
        let settings = Settings {
            source: "contract".into(),
            url: self.url.clone(),
            auth: None,
            ca_file: None,
            timeout: Duration::from_secs(20),
            clock: Arc::new(Machine),
            writes,
        };
        alertmanager::new(settings).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.client.post(format!("{}/api/v2{path}", self.url)).json(body).send().await.unwrap()
    }
}

/// One thing that must hold.
struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Place) -> LocalBoxFuture<'a, ()>,
}

/// Runs every case, prints each, and fails at the end if one did.
async fn run(server: &str, url: &str) {
    let mut failed = vec![];
    let began = Machine.now().wall.timestamp_millis();
    for (i, case) in cases::ALL.iter().enumerate() {
        let place = Place { url: url.to_owned(), client: client(), mark: format!("{began}-{i}") };
        let ended = AssertUnwindSafe((case.run)(&place)).catch_unwind().await;
        println!("{server}: {} ... {}", case.name, if ended.is_ok() { "ok" } else { "FAILED" });
        if ended.is_err() {
            failed.push(case.name);
        }
    }
    println!("{server}: {} cases ran", cases::ALL.len());
    assert!(failed.is_empty(), "{server}: failed: {failed:?}");
}

/// Whether Debian's Alertmanager is installed.
#[expect(clippy::disallowed_methods, reason = "looks a program up")]
fn have_alertmanager() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("prometheus-alertmanager").is_file())
}

#[expect(clippy::disallowed_methods, reason = "the test run hands its wishes over in the environment")]
fn named_url() -> Option<String> {
    std::env::var("GONOGO_CONTRACT_ALERTMANAGER").ok().filter(|url| !url.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a plain client that posts what the cases need")]
fn client() -> reqwest::Client {
    install_tls_provider();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

#[tokio::test]
async fn debian_alertmanager() {
    if !have_alertmanager() {
        left_out::left_out(
            "the alerts contract against the real Alertmanager",
            "prometheus-alertmanager is not on PATH; Debian: apt-get install prometheus-alertmanager",
        );
        return;
    }
    let server = real::Alertmanager::start(&client()).await;
    run("alertmanager", &server.url).await;
}

#[tokio::test]
async fn simulator() {
    let router = api(Arc::new(Mutex::new(Manager::new(1))), Arc::new(Machine));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    run("simulator", &url).await;
}

#[tokio::test]
async fn named_server() {
    let Some(url) = named_url() else {
        println!("GONOGO_CONTRACT_ALERTMANAGER names no server");
        return;
    };
    let url = url.trim_end_matches('/').to_owned();
    let place = Place { url: url.clone(), client: client(), mark: String::new() };
    let version = place.connect().version().await.expect("GONOGO_CONTRACT_ALERTMANAGER is set, but its server cannot be asked");
    run(&format!("alertmanager {version}"), &url).await;
}
