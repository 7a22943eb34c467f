//! The real `kubectl` against the simulated API server.

#![cfg(feature = "sim")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;
mod rollouts;
#[path = "../sim/mod.rs"]
mod sim;
#[path = "../support/left_out.rs"]
mod support;
mod text;
mod writing;

use gonogo::sim::{Options, Scene};
use serde_json::Value;
use sim::Sim;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Kubectl {
    sim: Sim,
    dir: tempfile::TempDir,
}

impl Kubectl {
    /// A live simulator and a folder for kubectl; `None` where there is no kubectl.
    async fn with(faults: &[&str]) -> Option<Self> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            support::left_out("kubectl against the simulator", "no kubectl on PATH");
            return None;
        }
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let dir = tempfile::tempdir().unwrap();
        let sim = Sim::start(Options { scene: Scene::Ready50, speed: 10.0, faults, ..Options::default() }).await;
        sim.handle.write_dir(dir.path()).unwrap();
        Some(Self { sim, dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that commands can name.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Standard error of a command that must fail.
    async fn refusal(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(!output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    async fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.path("kubeconfig")).arg("--cache-dir").arg(self.path("cache")).args(args);
        tokio::task::spawn_blocking(move || command.output().expect("kubectl runs")).await.unwrap()
    }

    /// Standard output of a command that must succeed.
    async fn run(&self, args: &[&str]) -> String {
        let output = self.output(args).await;
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert!(kubectl.run(&["get", "deployments"]).await.contains("checkout-canary"));
    assert_eq!(kubectl.run(&["get", "pods", "-l", "version=canary", "--no-headers"]).await.lines().count(), 3);
    assert_eq!(kubectl.json(&["get", "vs", "checkout", "-o", "json"]).await["spec"]["http"][1]["route"][1]["weight"], 25);
    assert!(kubectl.run(&["get", "events"]).await.lines().count() > 1);
    assert!(kubectl.run(&["api-resources"]).await.contains("networking.istio.io/v1"));
    assert!(kubectl.run(&["version"]).await.contains("v1.33.1"));
    assert_eq!(kubectl.run(&["get", "pods", "-A", "--chunk-size=4", "-o", "name"]).await.lines().count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_and_following_a_rollout() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let get = ["get", "deployment", "checkout-canary", "-o", "json"];
    kubectl.run(&["set", "image", "deployment/checkout-canary", "app=registry.example/checkout:v2.42.1"]).await;
    assert!(kubectl.run(&["rollout", "status", "deployment/checkout-canary", "--timeout=60s"]).await.contains("successfully rolled out"));
    assert_eq!(kubectl.json(&get).await["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    kubectl.run(&["rollout", "undo", "deployment/checkout-canary"]).await;
    kubectl.run(&["rollout", "status", "deployment/checkout-canary", "--timeout=60s"]).await;
    let image = &kubectl.json(&get).await["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.example/checkout:v2.42.0");
    assert!(kubectl.run(&["rollout", "history", "deployment/checkout-canary"]).await.contains('3'));
    kubectl.run(&["scale", "deployment/checkout-canary", "--replicas=2"]).await;
    kubectl.run(&["rollout", "status", "deployment/checkout-canary", "--timeout=60s"]).await;
    assert_eq!(kubectl.json(&get).await["spec"]["replicas"], 2);
    kubectl.run(&["rollout", "pause", "deployment/checkout-canary"]).await;
    assert_eq!(kubectl.json(&get).await["spec"]["paused"], true);
    kubectl.run(&["rollout", "resume", "deployment/checkout-canary"]).await;
    kubectl.run(&["rollout", "restart", "deployment/checkout-canary"]).await;
    kubectl.run(&["rollout", "status", "deployment/checkout-canary", "--timeout=60s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotating_patching_deleting_and_waiting() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    kubectl.run(&["annotate", "vs/checkout", "example.com/note=hello"]).await;
    let patch = r#"[{"op":"test","path":"/spec/http/1/route/1/weight","value":25},{"op":"replace","path":"/spec/http/1/route/1/weight","value":30}]"#;
    kubectl.run(&["patch", "vs", "checkout", "--type=json", "-p", patch]).await;
    let again = kubectl.output(&["patch", "vs", "checkout", "--type=json", "-p", patch]).await;
    assert!(String::from_utf8_lossy(&again.stderr).contains("The request is invalid"), "{again:?}");
    let route = kubectl.json(&["get", "vs", "checkout", "-o", "json", "--show-managed-fields"]).await;
    assert_eq!(
        (&route["metadata"]["annotations"]["example.com/note"], &route["spec"]["http"][1]["route"][1]["weight"]),
        (&"hello".into(), &30.into())
    );
    assert_eq!(route["metadata"]["managedFields"].as_array().unwrap().last().unwrap()["manager"], "kubectl-patch");
    let pod = kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "name"]).await.lines().next().unwrap().to_owned();
    kubectl.run(&["delete", &pod, "--timeout=60s"]).await;
    kubectl.run(&["wait", "--for=condition=Available", "deployment/checkout-canary", "--timeout=60s"]).await;
    kubectl.run(&["create", "namespace", "trial"]).await;
    kubectl.run(&["delete", "namespace", "trial", "--timeout=60s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_rights() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert_eq!(kubectl.run(&["auth", "can-i", "patch", "virtualservices.networking.istio.io"]).await.trim(), "yes");
    let Some(kubectl) = Kubectl::with(&["platform:forbidden@0"]).await else { return };
    let asked = kubectl.output(&["auth", "can-i", "patch", "deployments"]).await;
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "no", "{asked:?}");
    let tried = kubectl.output(&["scale", "deployment/checkout-canary", "--replicas=2"]).await;
    assert!(String::from_utf8_lossy(&tried.stderr).contains("Forbidden"), "{tried:?}");
    assert!(kubectl.sim.handle.clock().now().boot.as_secs() > 0);
}
