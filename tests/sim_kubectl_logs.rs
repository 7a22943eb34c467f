//! The logs of simulated Pods: over the wire, and through the real `kubectl logs`.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;
#[path = "support/left_out.rs"]
mod support;

use gonogo::sim::{Options, Scene};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sim::{PODS, Sim, until};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Names of the Pods of a version.
async fn pods(sim: &Sim, version: &str) -> Vec<String> {
    let (_, list) = sim.get(&format!("{PODS}?labelSelector=version%3D{version}")).await;
    list["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn log(sim: &Sim, pod: &str, query: &str) -> (StatusCode, String) {
    let answer = sim.request(Method::GET, &format!("{PODS}/{pod}/log?{query}")).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn message(refusal: &str) -> String {
    serde_json::from_str::<Value>(refusal).unwrap()["message"].as_str().unwrap().to_owned()
}

async fn frozen(scene: Scene) -> Sim {
    Sim::start(Options { scene, freeze_clock: Some("2026-03-14T03:07:41Z".parse().unwrap()), ..Options::default() }).await
}

#[tokio::test]
async fn tails_ages_and_limits_cut_the_same_log() {
    let sim = frozen(Scene::Ready50).await;
    let pod = &pods(&sim, "stable").await[0];
    let (code, whole) = log(&sim, pod, "timestamps=true").await;
    assert_eq!(code, 200);
    let lines: Vec<&str> = whole.lines().collect();
    assert!(lines.len() > 500 && lines.is_sorted_by_key(|line| &line[..30]), "{}", lines.len());
    assert!(lines[0].starts_with("2026-03-14T02:5") && lines[0].as_bytes()[29] == b'Z', "{}", lines[0]);
    let (_, tail) = log(&sim, pod, "timestamps=true&tailLines=7").await;
    assert_eq!(tail.lines().collect::<Vec<_>>(), lines[lines.len() - 7..]);
    let (_, minute) = log(&sim, pod, "timestamps=true&sinceSeconds=60").await;
    assert_eq!(minute.lines().collect::<Vec<_>>(), lines.iter().copied().filter(|line| *line >= "2026-03-14T03:06:41").collect::<Vec<_>>());
    let (_, since) = log(&sim, pod, "timestamps=true&sinceTime=2026-03-14T03:07:00.900Z").await;
    assert!(since.starts_with("2026-03-14T03:07:00") || since.lines().all(|line| line >= "2026-03-14T03:07:00"), "whole seconds count");
    assert_eq!(log(&sim, pod, "limitBytes=100").await.1.len(), 100);
    assert_eq!(log(&sim, pod, "tailLines=0").await, (StatusCode::OK, String::new()));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_a_nodes_words() {
    let sim = frozen(Scene::Ready50).await;
    let pod = &pods(&sim, "canary").await[0];
    for (path, query, code, words) in [
        (pod.as_str(), "container=web", 400, format!("container web is not valid for pod {pod}")),
        (pod, "previous=true", 400, format!("previous terminated container \"app\" in pod \"{pod}\" not found")),
        (pod, "tailLines=-1", 400, "invalid value for tailLines: \"-1\"".to_owned()),
        ("nobody", "", 404, "pods \"nobody\" not found".to_owned()),
    ] {
        let (status, body) = log(&sim, path, query).await;
        assert_eq!((status.as_u16(), message(&body)), (code, words));
    }
}

#[tokio::test]
async fn a_container_that_is_not_there_yet_says_what_it_waits_for() {
    let sim = Sim::start(sim::live(&[])).await;
    let (_, before) = sim.get(PODS).await;
    let known: Vec<&str> = before["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["uid"].as_str().unwrap()).collect();
    sim.patch(&format!("{}/checkout-canary/scale", sim::DEPLOYMENTS), sim::MERGE_PATCH, &serde_json::json!({ "spec": { "replicas": 4 } }))
        .await;
    let mut said = Vec::new();
    until("the new Pod was waited for, then read", async || {
        let (_, list) = sim.get(PODS).await;
        let Some(pod) = list["items"].as_array().unwrap().iter().find(|pod| !known.contains(&pod["metadata"]["uid"].as_str().unwrap()))
        else {
            return false;
        };
        let (code, body) = log(&sim, pod["metadata"]["name"].as_str().unwrap(), "").await;
        if code != 200 {
            said.push(message(&body));
        }
        code == 200 && body.contains("starting")
    })
    .await;
    assert!(said.iter().any(|why| why.ends_with("is waiting to start: ContainerCreating")), "{said:?}");
}

#[tokio::test]
async fn a_crashed_container_has_a_log_of_its_own() {
    let sim = frozen(Scene::CrashLoop).await;
    let (_, list) = sim.get(PODS).await;
    let crashed =
        list["items"].as_array().unwrap().iter().find(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0));
    let pod = crashed.expect("one has crashed")["metadata"]["name"].as_str().unwrap();
    let (code, previous) = log(&sim, pod, "previous=true").await;
    assert_eq!(code, 200);
    assert!(previous.lines().last().unwrap() < "2026-03-14T03:07:41" && previous.contains("WARN  heap "), "{previous}");
}

#[tokio::test]
async fn only_the_canarys_log_is_bad_where_only_the_log_is_bad() {
    let sim = frozen(Scene::BadLogs).await;
    let mut counts = Vec::new();
    for version in ["canary", "stable"] {
        let mut found = 0;
        for pod in pods(&sim, version).await {
            found += log(&sim, &pod, "sinceSeconds=120").await.1.matches("ERROR ledger:").count();
        }
        counts.push(found);
    }
    assert!(counts[0] >= 20 && counts[1] == 0, "{counts:?}");
}

struct Kubectl {
    sim: Sim,
    dir: tempfile::TempDir,
}

impl Kubectl {
    /// A live simulator and a folder for kubectl; `None` where there is no kubectl.
    async fn on(scene: Scene) -> Option<Self> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            support::left_out("sim_kubectl_logs", "no kubectl on the PATH");
            return None;
        }
        let sim = Sim::start(Options { scene, ..Options::default() }).await;
        let dir = tempfile::tempdir().unwrap();
        sim.handle.write_dir(dir.path()).unwrap();
        Some(Self { sim, dir })
    }

    fn command(&self, args: &[&str]) -> Command {
        let kubeconfig: PathBuf = self.dir.path().join("kubeconfig");
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(kubeconfig).args(["-n", "shop"]).env("HOME", self.dir.path()).args(args);
        command
    }

    async fn output(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn run(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_logs_by_name_and_by_label() {
    let Some(kubectl) = Kubectl::on(Scene::Ready50).await else { return };
    let pod = pods(&kubectl.sim, "canary").await.remove(0);
    assert_eq!(kubectl.run(&["logs", &pod, "--tail=5"]).await.lines().count(), 5);
    assert!(kubectl.run(&["logs", &pod, "-c", "app", "--since=2m", "--timestamps"]).await.contains("POST /v1/checkout"));
    let labelled = kubectl.run(&["logs", "-l", "version=canary", "--tail=2", "--prefix"]).await;
    assert_eq!(labelled.lines().count(), 6, "{labelled}");
    assert!(kubectl.run(&["logs", "deployment/checkout-stable", "--tail=1"]).await.contains("ms"));
    let refused = kubectl.output(&["logs", &pod, "--previous"]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("previous terminated container \"app\" in pod"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_follows_until_the_pod_is_gone() {
    let Some(kubectl) = Kubectl::on(Scene::BadLogs).await else { return };
    let pod = pods(&kubectl.sim, "canary").await.remove(0);
    let mut command = kubectl.command(&["logs", "-f", &pod, "--tail=1"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = follower.stdout.take().unwrap();
    let (first, read) = tokio::sync::oneshot::channel();
    let reader = std::thread::spawn(move || {
        let mut first = Some(first);
        let mut lines = Vec::new();
        for line in BufReader::new(out).lines() {
            lines.push(line.unwrap());
            if lines.len() == 4
                && let Some(first) = first.take()
            {
                let _ = first.send(());
            }
        }
        lines
    });
    read.await.unwrap();
    kubectl.run(&["delete", "pod", &pod, "--wait=false"]).await;
    let status = tokio::task::spawn_blocking(move || follower.wait().unwrap()).await.unwrap();
    let lines = reader.join().unwrap();
    assert!(status.success() && lines.len() >= 4 && lines.is_sorted_by_key(|line| line[..24].to_owned()), "{status:?} {lines:?}");
    let mut unique = lines.clone();
    unique.dedup();
    assert_eq!(unique, lines, "no line twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_the_log_of_the_container_before() {
    let Some(kubectl) = Kubectl::on(Scene::CrashLoop).await else { return };
    let (_, list) = kubectl.sim.get(PODS).await;
    let crashed =
        list["items"].as_array().unwrap().iter().find(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0));
    let pod = crashed.expect("one has crashed")["metadata"]["name"].as_str().unwrap();
    assert!(kubectl.run(&["logs", pod, "--previous", "--tail=50"]).await.contains("heap"));
}
