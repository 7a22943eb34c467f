//! apply, patch, annotate, label, delete: what is sent, and what is said when it is refused.

use super::Kubectl;
use super::text::contains;

const OWN: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: own }
spec:
  replicas: 2
  selector: { matchLabels: { app: own } }
  template:
    metadata: { labels: { app: own } }
    spec: { containers: [{ name: app, image: 'registry.example/own:v1', ports: [{ containerPort: 80 }] }] }
";

#[tokio::test(flavor = "multi_thread")]
async fn applying_from_the_client() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let file = kubectl.file("own.yaml", OWN);
    assert_eq!(kubectl.run(&["apply", "-f", &file, "--dry-run=server"]).await, "deployment.apps/own created (server dry run)\n");
    assert_eq!(kubectl.run(&["apply", "-f", &file]).await, "deployment.apps/own created\n");
    assert_eq!(kubectl.run(&["apply", "-f", &file]).await, "deployment.apps/own unchanged\n");
    kubectl.run(&["scale", "deploy/own", "--replicas=3"]).await;
    let without = kubectl.file("own.yaml", &OWN.replace("  replicas: 2\n", "").replace("own:v1", "own:v2"));
    assert_eq!(kubectl.run(&["apply", "-f", &without]).await, "deployment.apps/own configured\n");
    let after = kubectl.json(&["get", "deploy", "own", "-o", "json"]).await;
    assert_eq!(after["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/own:v2");
    assert_eq!(after["spec"]["replicas"], 1, "a field that is not applied any more falls back to its default");
    let difference = kubectl.output(&["diff", "-f", &kubectl.file("own.yaml", OWN)]).await;
    assert_eq!(difference.status.code(), Some(1));
    contains(&String::from_utf8_lossy(&difference.stdout), &["- replicas: 1", "+ replicas: 2"]);
    assert_eq!(kubectl.run(&["delete", "-f", &file, "--timeout=60s"]).await, "deployment.apps \"own\" deleted\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_on_the_server_with_a_conflict() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let file = kubectl.file("own.yaml", OWN);
    let apply = ["apply", "--server-side", "-f", &file];
    assert_eq!(kubectl.run(&apply).await, "deployment.apps/own serverside-applied\n");
    assert_eq!(kubectl.run(&apply).await, "deployment.apps/own serverside-applied\n");
    kubectl.run(&["scale", "deploy/own", "--replicas=3"]).await;
    let refused = kubectl.refusal(&apply).await;
    let first = refused.lines().next().unwrap();
    assert!(
        first.starts_with("error: Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\" using apps/v1")
            && first.ends_with(": .spec.replicas"),
        "{refused}"
    );
    assert!(refused.contains("Please review the fields above--they currently have other managers."), "{refused}");
    let forced = ["apply", "--server-side", "--force-conflicts", "-f", &file];
    assert_eq!(kubectl.run(&forced).await, "deployment.apps/own serverside-applied\n");
    assert_eq!(kubectl.run(&["get", "deploy", "own", "-o", "jsonpath={.spec.replicas}"]).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn patching_of_every_type() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let canary = "deployment/checkout-canary";
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"LOG_LEVEL","value":"debug"}]}]}}}}"#;
    assert_eq!(kubectl.run(&["patch", canary, "-p", strategic]).await, "deployment.apps/checkout-canary patched\n");
    assert_eq!(kubectl.run(&["patch", canary, "-p", strategic]).await, "deployment.apps/checkout-canary patched (no change)\n");
    let env = "jsonpath={range .spec.template.spec.containers[0].env[*]}{.name}={.value} {end}";
    assert_eq!(kubectl.run(&["get", canary, "-o", env]).await, "SERVICE=checkout LOG_LEVEL=debug ");
    let gone = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"LOG_LEVEL","$patch":"delete"}]}]}}}}"#;
    kubectl.run(&["patch", canary, "-p", gone]).await;
    assert_eq!(kubectl.run(&["get", canary, "-o", env]).await, "SERVICE=checkout ");
    kubectl.run(&["set", "env", canary, "LOG_LEVEL=warn"]).await;
    kubectl.run(&["patch", "svc", "checkout", "--type=merge", "-p", r#"{"spec":{"selector":{"version":"stable"}}}"#]).await;
    let selector = kubectl.run(&["get", "svc", "checkout", "-o", "jsonpath={.spec.selector}"]).await;
    assert_eq!(selector, r#"{"app":"checkout","version":"stable"}"#);
    let stale = r#"[{"op":"test","path":"/spec/replicas","value":99},{"op":"replace","path":"/spec/replicas","value":1}]"#;
    assert_eq!(
        kubectl.refusal(&["patch", canary, "--type=json", "-p", stale]).await,
        "The request is invalid: the server rejected our request due to an error in our request\n"
    );
    let refused = kubectl.refusal(&["patch", "vs", "checkout", "--type=strategic", "-p", "{}"]).await;
    assert!(
        refused.contains("strategic merge patch is not supported for networking.istio.io/v1, Kind=VirtualService")
            || refused.contains("the body of the request was in an unknown format"),
        "{refused}"
    );
    let negative = kubectl.refusal(&["patch", canary, "-p", r#"{"spec":{"replicas":-1}}"#]).await;
    assert_eq!(
        negative,
        "The Deployment \"checkout-canary\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_annotations_and_deletion() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert_eq!(
        kubectl.run(&["annotate", "deploy/checkout-canary", "example.com/a=b"]).await,
        "deployment.apps/checkout-canary annotated\n"
    );
    assert!(
        kubectl
            .refusal(&["annotate", "deploy/checkout-canary", "example.com/a=c"])
            .await
            .contains("--overwrite is false but found the following declared annotation(s)")
    );
    assert_eq!(kubectl.run(&["label", "cm/checkout-config", "tier=gold"]).await, "configmap/checkout-config labeled\n");
    assert_eq!(kubectl.run(&["get", "cm", "-l", "tier in (gold)", "-o", "name"]).await, "configmap/checkout-config\n");
    assert_eq!(kubectl.run(&["delete", "cm", "checkout-config"]).await, "configmap \"checkout-config\" deleted\n");
    assert_eq!(
        kubectl.refusal(&["delete", "cm", "checkout-config"]).await,
        "Error from server (NotFound): configmaps \"checkout-config\" not found\n"
    );
    let pod = kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "name"]).await.lines().next().unwrap().to_owned();
    let name = pod.trim_start_matches("pod/");
    assert_eq!(kubectl.run(&["delete", &pod, "--timeout=60s"]).await, format!("pod \"{name}\" deleted\n"));
    kubectl.run(&["annotate", "ns", "shop", "sim.gonogo.dev/deny=delete pods not today"]).await;
    let next = kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "name"]).await.lines().next().unwrap().to_owned();
    let denied = kubectl.refusal(&["delete", &next]).await;
    assert_eq!(denied, "Error from server (Forbidden): admission webhook \"policy.sim.gonogo.dev\" denied the request: not today\n");
}
