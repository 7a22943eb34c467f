//! The reader of logs against the simulator: breaks, ends, logins and restarts in the middle of following.

#![cfg(all(feature = "shell", feature = "sim"))]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use gonogo::adapter::kubernetes::{self, Settings};
use gonogo::domain::log::{LogLine, LogSelection, LogSource, LogUpdate};
use gonogo::domain::*;
use gonogo::port::Logs as _;
use gonogo::sim::{Options, Scene};
use reqwest::Method;
use serde_json::Value;
use sim::{PODS, Sim};
use std::time::Duration;

struct Rig {
    sim: Sim,
    dir: tempfile::TempDir,
}

impl Rig {
    async fn new(scene: Scene, speed: f64, faults: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let sim = Sim::start(Options { scene, speed, faults, ..Options::default() }).await;
        sim.handle.write_dir(dir.path()).unwrap();
        Self { sim, dir }
    }

    /// The Pods of the canary.
    async fn pods(&self) -> Vec<Value> {
        self.sim.get(&format!("{PODS}?labelSelector=version%3Dcanary")).await.1["items"].as_array().unwrap().clone()
    }

    async fn stream(&self, pod: &Value, tail: u32, previous: bool) -> BoxStream<'static, LogUpdate> {
        let loaded = gonogo::config::load(&self.dir.path().join("config.toml")).unwrap_or_else(|e| panic!("{e:?}"));
        let spec = loaded.service(None).unwrap().spec.clone();
        let settings = Settings {
            context: None,
            kubeconfig: Some(self.dir.path().join("kubeconfig")),
            timeout: Duration::from_secs(5),
            spec,
            clock: self.sim.handle.clock(),
            writes: false,
        };
        let kubernetes = kubernetes::connect(settings).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let source = LogSource {
            uid: text(&pod["metadata"]["uid"]).into(),
            name: text(&pod["metadata"]["name"]).into(),
            track: Track::Canary,
            since: None,
            previous,
        };
        kubernetes.stream(LogSelection { instances: vec![source], tail })
    }

    /// What the server itself has of a Pod's log.
    async fn log(&self, pod: &Value) -> Vec<String> {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let answer = self.sim.request(Method::GET, &format!("{PODS}/{name}/log?timestamps=true")).send().await.unwrap();
        answer.text().await.unwrap().lines().map(|line| line[..30].to_owned()).collect()
    }
}

/// Updates until `done` says so of all lines so far.
async fn read(
    stream: &mut BoxStream<'static, LogUpdate>,
    mut done: impl FnMut(&[LogLine], &[LogUpdate]) -> bool,
) -> (Vec<LogLine>, Vec<LogUpdate>) {
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    let reading = async {
        while !done(&lines, &others) {
            match stream.next().await {
                Some(LogUpdate::Lines(more)) => lines.extend(more),
                Some(other) => others.push(other),
                None => return,
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(in_time.is_ok(), "{} lines, {others:?}", lines.len());
    (lines, others)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_no_line_and_repeat_none() {
    let rig = Rig::new(Scene::BadLogs, 5.0, &["platform:reset@10+2", "platform:reset@20+3"]).await;
    let pod = rig.pods().await.remove(0);
    let mut stream = rig.stream(&pod, 50, false).await;
    let (lines, others) = read(&mut stream, |lines, _| {
        lines
            .first()
            .zip(lines.last())
            .is_some_and(|(first, last)| lines.len() > 100 && last.at - first.at > chrono::TimeDelta::seconds(60))
    })
    .await;
    drop(stream);
    let told: Vec<String> = lines.iter().map(|line| line.at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)).collect();
    let log = rig.log(&pod).await;
    let from = log.iter().position(|at| *at == told[0]).expect("the first line is in the log");
    assert_eq!(told, log[from..from + told.len()], "{others:?}");
    assert!(others.iter().any(|update| matches!(update, LogUpdate::Trouble { .. })), "the breaks were told: {others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_ends_its_stream() {
    let rig = Rig::new(Scene::Ready50, 2.0, &[]).await;
    let pod = rig.pods().await.remove(0);
    let mut stream = rig.stream(&pod, 5, false).await;
    read(&mut stream, |lines, others| lines.len() >= 5 && others.iter().any(|update| matches!(update, LogUpdate::Following { .. }))).await;
    let name = pod["metadata"]["name"].as_str().unwrap();
    sim::answer(rig.sim.request(Method::DELETE, &format!("{PODS}/{name}"))).await;
    let (_, others) = read(&mut stream, |_, others| others.iter().any(|update| matches!(update, LogUpdate::Ended { .. }))).await;
    assert!(stream.next().await.is_none(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_is_told_and_comes_back() {
    let rig = Rig::new(Scene::Ready50, 4.0, &["platform:auth-expired@4+12"]).await;
    let pod = rig.pods().await.remove(0);
    // The end of the login cuts connections as well.
    sim::until("the login ends", async || rig.sim.request(Method::GET, PODS).send().await.is_ok_and(|answer| answer.status() == 401)).await;
    let mut stream = rig.stream(&pod, 5, false).await;
    let (lines, others) = read(&mut stream, |lines, _| !lines.is_empty()).await;
    let said = others.iter().find_map(|update| if let LogUpdate::Trouble { failure, .. } = update { failure.login() } else { None });
    assert!(said.is_some() && lines.len() <= 5, "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_before_a_crash_and_the_one_after_are_read() {
    let rig = Rig::new(Scene::CrashLoop, 4.0, &[]).await;
    let pods = rig.pods().await;
    let crashed = pods.iter().find(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0));
    let mut stream = rig.stream(crashed.expect("one has crashed"), 500, true).await;
    let (lines, _) = read(&mut stream, |lines, _| lines.iter().any(|line| line.text.ends_with(" starting"))).await;
    assert!(lines.iter().any(|line| line.text.contains("MiB after collection")), "{:?}", lines.last());
    let mut prints: Vec<_> = lines.iter().map(|line| (line.at, line.text.clone())).collect();
    let count = prints.len();
    prints.sort();
    prints.dedup();
    assert_eq!(prints.len(), count, "no line twice");
}
