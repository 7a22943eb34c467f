//! Rules and alerts of the simulator over HTTP, and Debian's `amtool` driving its Alertmanager.

#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

mod sim;
#[path = "support/left_out.rs"]
mod support;

use chrono::{DateTime, TimeDelta, Utc};
use gonogo::adapter::alertmanager::{self, Settings};
use gonogo::domain::alert::{Matcher, SilenceDraft, SilenceState};
use gonogo::port::Alerts as _;
use gonogo::sim::{Options, Scene};
use serde_json::{Value, json};
use sim::{Sim, calls};
use std::process::{Command, Output};

/// A simulator at t = 0 of a scene, with the weights that the scene's script sets.
async fn at_zero(scene: Scene, faults: &[&str]) -> Sim {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Sim::start(Options { scene, faults, ..Options::default() }).await
}

async fn get(sim: &Sim, path: &str) -> Value {
    let url = format!("{}{path}", sim.handle.endpoints().alertmanager_url);
    sim.client.get(url).send().await.unwrap().json().await.unwrap()
}

async fn named(sim: &Sim, name: &str) -> Option<Value> {
    let all = get(sim, "/api/v2/alerts").await;
    all.as_array().unwrap().iter().find(|a| a["labels"]["alertname"] == name).cloned()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_healthy_release_shows_an_old_alert_of_others_and_a_silenced_one() {
    let sim = at_zero(Scene::Ready50, &[]).await;
    let now = sim.handle.clock().now().wall;
    let disk = named(&sim, "DiskFillingSlow").await.unwrap();
    assert!(now - time(&disk["startsAt"]) > TimeDelta::days(2), "{disk}");
    assert_eq!((&disk["labels"]["service"], &disk["status"]["state"]), (&json!("storage"), &json!("active")));
    let deploy = named(&sim, "DeployInProgress").await.unwrap();
    assert_eq!(deploy["status"]["state"], "suppressed");
    let silence = get(&sim, &format!("/api/v2/silence/{}", deploy["status"]["silencedBy"][0].as_str().unwrap())).await;
    assert_eq!((&silence["createdBy"], &silence["status"]["state"]), (&json!("mira"), &json!("active")));
    for name in ["CheckoutP99High", "CheckoutErrors", "PodRestarted"] {
        assert_eq!(named(&sim, name).await, None, "{name}");
    }
    let active = get(&sim, "/api/v2/alerts?silenced=false&filter=service%3D%22checkout%22").await;
    assert_eq!(active, json!([]));
}

#[tokio::test]
async fn a_slow_canary_fires_since_a_moment_of_the_run() {
    let sim = at_zero(Scene::Bake25, &[]).await;
    let alert = named(&sim, "CheckoutP99High").await.unwrap();
    let run = sim.handle.clock().now().wall - TimeDelta::seconds(22 * 60 + 45);
    assert!(time(&alert["startsAt"]) > run, "{alert}");
    assert_eq!(alert["labels"]["version"], "canary");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("p99 4") && summary.ends_with("ms > 400ms for 3m"), "{summary}");
    assert!(time(&alert["endsAt"]) > sim.handle.clock().now().wall, "it would end by itself");
}

#[tokio::test]
async fn what_is_pending_only_the_rules_know() {
    let sim = at_zero(Scene::CrashLoop, &[]).await;
    let told: Value = sim.plain("/api/v1/alerts").await.unwrap().json().await.unwrap();
    let all = told["data"]["alerts"].as_array().unwrap();
    let pending = all.iter().find(|a| a["labels"]["alertname"] == "PodRestarted").expect("a pod restarted");
    assert_eq!(pending["state"], "pending");
    assert!(pending["labels"]["pod"].as_str().unwrap().starts_with("checkout-canary-"));
    assert_eq!(named(&sim, "PodRestarted").await, None);
    let rules: Value = sim.plain("/api/v1/rules?type=alert&rule_name[]=PodRestarted").await.unwrap().json().await.unwrap();
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(
        (&rule["state"], &rule["health"], &rule["duration"], &rule["type"]),
        (&json!("pending"), &json!("ok"), &json!(120.0), &json!("alerting"))
    );
    let none: Value = sim.plain("/api/v1/rules?type=record").await.unwrap().json().await.unwrap();
    assert_eq!(none["data"]["groups"], json!([]));
}

#[tokio::test]
async fn failing_requests_are_critical() {
    let sim = Sim::start(Options { scene: Scene::NoGo, speed: 50.0, ..Options::default() }).await;
    sim::until("CheckoutErrors fires", async || named(&sim, "CheckoutErrors").await.is_some()).await;
    let alert = named(&sim, "CheckoutErrors").await.unwrap();
    assert_eq!((&alert["labels"]["severity"], &alert["labels"]["version"]), (&json!("critical"), &json!("canary")));
    assert_eq!(alert["receivers"][0]["name"], "pager");
}

#[tokio::test]
async fn faults_of_the_wire_concern_the_alertmanager_alone() {
    let sim = at_zero(Scene::Ready50, &["alerts:http-500@0"]).await;
    let url = format!("{}/api/v2/alerts", sim.handle.endpoints().alertmanager_url);
    let answer = sim.client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.json::<Value>().await.unwrap().is_string(), "the manager's own error shape");
    assert_eq!(sim.plain("/api/v1/rules").await.unwrap().status(), 200);
    let sim = at_zero(Scene::Ready50, &["alerts:lost@0"]).await;
    let url = format!("{}/api/v2/alerts", sim.handle.endpoints().alertmanager_url);
    assert!(sim.client.get(&url).send().await.is_err());
    let sim = at_zero(Scene::Ready50, &["alerts:stale@0"]).await;
    let url = format!("{}/api/v2/status", sim.handle.endpoints().alertmanager_url);
    let date = async || sim.client.get(&url).send().await.unwrap().headers()["date"].clone();
    let first = date().await;
    let began = sim.handle.clock().now().boot;
    sim::until("two seconds pass", async || {
        date().await;
        sim.handle.clock().now().boot.saturating_sub(began) > std::time::Duration::from_secs(2)
    })
    .await;
    assert_eq!(date().await, first, "the clock of a stale server stands");
}

#[tokio::test]
async fn a_lost_reply_leaves_one_silence_that_is_found_by_its_stamp() {
    let calls = tempfile::tempdir().unwrap();
    let path = calls.path().join("calls.jsonl");
    let faults = vec!["alerts:reply-lost@0".parse().unwrap()];
    let sim = Sim::start(Options { scene: Scene::Ready50, faults, calls: Some(path.clone()), ..Options::default() }).await;
    let am = alertmanager::new(Settings {
        source: "am".into(),
        url: sim.handle.endpoints().alertmanager_url.clone(),
        auth: None,
        ca_file: None,
        timeout: std::time::Duration::from_secs(10),
        clock: sim.handle.clock(),
        writes: true,
    })
    .unwrap();
    let now = sim.handle.clock().now().wall;
    let stamp = gonogo::domain::alert::stamp("checkout-20261120-1", "s84");
    let draft = SilenceDraft {
        matchers: vec![Matcher::equal("alertname", "CheckoutP99High")],
        starts_at: now,
        ends_at: now + TimeDelta::minutes(30),
        created_by: "mira".into(),
        comment: format!("known ({stamp})"),
    };
    let failure = am.create_silence(draft, stamp.clone()).await.unwrap_err();
    assert!(!failure.certainly_not_applied(), "{failure}");
    let found = am.find_silence(stamp).await.unwrap().expect("it was made");
    assert_eq!(found.state, SilenceState::Active);
    let acts = |path: &std::path::Path| calls_of(path, "alertmanager");
    assert_eq!(acts(&path), 1, "one write, whatever became of its answer");
    am.expire_silence(found.clone()).await.unwrap();
    assert_eq!(am.read_silence(found.id).await.unwrap().unwrap().state, SilenceState::Expired);
    assert_eq!(acts(&path), 2);
}

fn calls_of(path: &std::path::Path, system: &str) -> usize {
    calls(path).iter().filter(|line| line["platform"] == system).count()
}

struct Amtool {
    sim: Sim,
    calls: tempfile::TempDir,
}

impl Amtool {
    async fn new() -> Option<Self> {
        if Command::new("amtool").arg("--version").output().is_err() {
            support::left_out(
                "amtool against the simulated Alertmanager",
                "no amtool on PATH; Debian: apt-get install prometheus-alertmanager",
            );
            return None;
        }
        let calls = tempfile::tempdir().unwrap();
        let options = Options { scene: Scene::Ready50, calls: Some(calls.path().join("calls.jsonl")), ..Options::default() };
        Some(Self { sim: Sim::start(options).await, calls })
    }

    async fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new("amtool");
        command.arg(format!("--alertmanager.url={}", self.sim.handle.endpoints().alertmanager_url)).args(args);
        tokio::task::spawn_blocking(move || command.output().expect("amtool runs")).await.unwrap()
    }

    async fn run(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(output.status.success(), "amtool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_asks_and_silences() {
    let Some(amtool) = Amtool::new().await else { return };
    assert!(amtool.run(&["alert", "query"]).await.contains("DiskFillingSlow"));
    assert!(!amtool.run(&["alert", "query", "service=checkout"]).await.contains("DiskFillingSlow"));
    assert!(amtool.run(&["alert", "query", "--silenced"]).await.contains("DeployInProgress"));
    let added =
        amtool.run(&["silence", "add", "--author=noor", "--comment=known", "--duration=1h", "alertname=~Disk.*", "node=ip-10-4-9-2"]).await;
    let id = added.trim();
    let listed = amtool.run(&["silence", "query", "-o", "json", "alertname=~Disk.*"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["id"], &listed[0]["createdBy"]), (&json!(id), &json!("noor")));
    // Simulated time is a little behind this machine's, from which amtool takes the beginning.
    sim::until("the silence begins", async || named(&amtool.sim, "DiskFillingSlow").await.unwrap()["status"]["state"] == "suppressed")
        .await;
    assert!(!amtool.run(&["alert", "query"]).await.contains("DiskFillingSlow"), "silenced now");
    amtool.run(&["silence", "expire", id]).await;
    assert!(amtool.run(&["alert", "query"]).await.contains("DiskFillingSlow"));
    assert!(!amtool.output(&["silence", "add", "--comment=x", "alertname=~.*"]).await.status.success(), "it would match everything");
    let made = calls(&amtool.calls.path().join("calls.jsonl"));
    let ours: Vec<&Value> = made.iter().filter(|line| line["platform"] == "alertmanager").collect();
    let told: Vec<_> = ours.iter().map(|line| (line["verb"].as_str().unwrap(), line["result"].as_str().unwrap())).collect();
    assert_eq!(told, [("create", "applied"), ("delete", "applied"), ("create", "refused")]);
    assert_eq!(ours[0]["object"], format!("silence/{id}"));
    assert!(amtool.run(&["config", "show"]).await.contains("receiver: chat"));
}
