//! rollout status, history, undo, pause, resume, restart; set image and scale.

use super::Kubectl;
use super::text::{contains, plain};

const CANARY: &str = "deployment/checkout-canary";

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_followed_told_and_undone() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let set = ["set", "image", CANARY, "app=registry.example/checkout:v2.42.1"];
    assert_eq!(kubectl.run(&set).await, "deployment.apps/checkout-canary image updated\n");
    kubectl.run(&["annotate", CANARY, "kubernetes.io/change-cause=fix the total", "--overwrite"]).await;
    let status = kubectl.run(&["rollout", "status", CANARY, "--timeout=60s"]).await;
    let known = [
        "Waiting for deployment spec update to be observed...",
        "Waiting for deployment \"checkout-canary\" rollout to finish: ",
        "deployment \"checkout-canary\" successfully rolled out",
    ];
    assert!(status.lines().all(|line| known.iter().any(|start| line.starts_with(start))), "{status}");
    assert!(status.ends_with("successfully rolled out\n"), "{status}");
    assert_eq!(
        plain(&kubectl.run(&["rollout", "history", CANARY]).await),
        "deployment.apps/checkout-canary\nREVISION CHANGE-CAUSE\n1 deploy v2.42.0\n2 fix the total\n"
    );
    let second = kubectl.run(&["rollout", "history", CANARY, "--revision=2"]).await;
    contains(&second, &["deployment.apps/checkout-canary with revision #2", "Pod Template:", "Labels: app=checkout"]);
    contains(&second, &["app:", "Image: registry.example/checkout:v2.42.1"]);
    assert_eq!(kubectl.run(&["rollout", "undo", CANARY]).await, "deployment.apps/checkout-canary rolled back\n");
    kubectl.run(&["rollout", "status", CANARY, "--timeout=60s"]).await;
    assert_eq!(
        plain(&kubectl.run(&["rollout", "history", CANARY]).await),
        "deployment.apps/checkout-canary\nREVISION CHANGE-CAUSE\n2 fix the total\n3 deploy v2.42.0\n"
    );
    let nothing = kubectl.run(&["rollout", "undo", CANARY, "--to-revision=3"]).await;
    assert_eq!(nothing, "deployment.apps/checkout-canary skipped rollback (current template already matches revision 3)\n");
    assert_eq!(
        kubectl.refusal(&["rollout", "undo", CANARY, "--to-revision=9"]).await,
        "error: unable to find specified revision 9 in history\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_resuming_and_restarting() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert_eq!(kubectl.run(&["rollout", "pause", CANARY]).await, "deployment.apps/checkout-canary paused\n");
    assert_eq!(kubectl.refusal(&["rollout", "pause", CANARY]).await, "error: deployments.apps \"checkout-canary\" is already paused\n");
    assert!(kubectl.refusal(&["rollout", "restart", CANARY]).await.contains("can't restart paused deployment (run rollout resume first)"));
    assert!(
        kubectl
            .refusal(&["rollout", "undo", CANARY, "--to-revision=1"])
            .await
            .contains("you cannot rollback a paused deployment; resume it first")
    );
    kubectl
        .run(&["wait", CANARY, "--for=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=DeploymentPaused", "--timeout=30s"])
        .await;
    contains(&kubectl.run(&["describe", CANARY]).await, &["Progressing Unknown DeploymentPaused"]);
    assert_eq!(kubectl.run(&["rollout", "resume", CANARY]).await, "deployment.apps/checkout-canary resumed\n");
    assert_eq!(kubectl.run(&["rollout", "restart", CANARY]).await, "deployment.apps/checkout-canary restarted\n");
    kubectl.run(&["rollout", "status", CANARY, "--timeout=60s"]).await;
    let path = "jsonpath={.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}";
    assert!(kubectl.run(&["get", CANARY, "-o", path]).await.starts_with("20"));
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_with_and_without_a_condition() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert_eq!(kubectl.run(&["scale", CANARY, "--replicas=5"]).await, "deployment.apps/checkout-canary scaled\n");
    let refused = kubectl.refusal(&["scale", CANARY, "--current-replicas=3", "--replicas=2"]).await;
    assert_eq!(refused, "error: Expected replicas to be 3, was 5\n");
    assert_eq!(kubectl.run(&["scale", CANARY, "--current-replicas=5", "--replicas=0"]).await, "deployment.apps/checkout-canary scaled\n");
    kubectl.run(&["rollout", "status", CANARY, "--timeout=60s"]).await;
    kubectl.run(&["wait", "--for=delete", "pod", "-l", "version=canary", "--timeout=60s"]).await;
    let none = kubectl.output(&["get", "pods", "-l", "version=canary"]).await;
    assert_eq!(String::from_utf8_lossy(&none.stderr), "No resources found in shop namespace.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_told_by_the_pods_and_by_the_deadline() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    kubectl.run(&["patch", CANARY, "-p", r#"{"spec":{"progressDeadlineSeconds":30}}"#]).await;
    kubectl.run(&["set", "image", CANARY, "app=registry.example/checkout:missing"]).await;
    let failed = kubectl.output(&["rollout", "status", CANARY, "--timeout=60s"]).await;
    assert!(!failed.status.success());
    assert_eq!(String::from_utf8_lossy(&failed.stderr), "error: deployment \"checkout-canary\" exceeded its progress deadline\n");
    let pods = plain(&kubectl.run(&["get", "pods", "-l", "version=canary"]).await);
    assert!(pods.contains("checkout-canary-HASH-ID 0/1 ImagePullBackOff 0 AGE") || pods.contains("0/1 ErrImagePull 0 AGE"), "{pods}");
    let events = kubectl.run(&["events", "--for", CANARY]).await;
    assert!(events.contains("ScalingReplicaSet"), "{events}");
    let told = kubectl.run(&["describe", CANARY]).await;
    contains(&told, &["Available True MinimumReplicasAvailable", "Progressing False ProgressDeadlineExceeded"]);
}
