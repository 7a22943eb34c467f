//! get, describe, top, can-i: what is shown of what is there.

use super::Kubectl;
use super::text::{contains, plain};

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_columns_of_the_real_server() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let pods = plain(&kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "wide"]).await);
    let pod = "checkout-canary-HASH-ID 1/1 Running 0 AGE IP NODE <none> <none>";
    assert_eq!(pods, ["NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES", pod, pod, pod].join("\n"));
    let sets = "replicasets,deployments,services";
    assert_eq!(
        plain(&kubectl.run(&["get", sets, "-l", "version!=stable", "-o", "wide"]).await),
        "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR\n\
         replicaset.apps/checkout-canary-HASH 3 3 3 AGE app registry.example/checkout:v2.42.0 \
         app=checkout,pod-template-hash=HASH,version=canary\n\
         \n\
         NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR\n\
         deployment.apps/checkout-canary 3/3 3 3 AGE app registry.example/checkout:v2.42.0 app=checkout,version=canary\n\
         \n\
         NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR\n\
         service/checkout ClusterIP 10.43.17.4 <none> 80/TCP AGE app=checkout"
    );
    assert_eq!(
        plain(&kubectl.run(&["get", "pdb,configmaps,secrets,vs"]).await),
        "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE\n\
         poddisruptionbudget.policy/checkout 70% N/A 3 AGE\n\
         \n\
         NAME DATA AGE\n\
         configmap/checkout-config 2 AGE\n\
         \n\
         NAME TYPE DATA AGE\n\
         secret/checkout-credentials Opaque 1 AGE\n\
         \n\
         NAME GATEWAYS HOSTS AGE\n\
         virtualservice.networking.istio.io/checkout [\"checkout\"] AGE"
    );
    let nodes = plain(&kubectl.run(&["get", "nodes"]).await);
    assert!(nodes.starts_with("NAME STATUS ROLES AGE VERSION\nNODE Ready <none> AGE v1.33.1"), "{nodes}");
    let events = plain(&kubectl.run(&["get", "events", "--field-selector", "reason=ScalingReplicaSet"]).await);
    assert_eq!(
        events,
        "LAST SEEN TYPE REASON OBJECT MESSAGE\n\
         AGE Normal ScalingReplicaSet deployment/checkout-canary Scaled up replica set checkout-canary-HASH from 0 to 3"
    );
    let shown = kubectl.run(&["get", "deployments", "--show-labels", "-L", "version", "--sort-by=.spec.replicas"]).await;
    contains(
        &shown,
        &["NAME READY UP-TO-DATE AVAILABLE AGE VERSION LABELS", "checkout-canary 3/3 3 3 AGE canary app=checkout,version=canary"],
    );
    let slices = plain(&kubectl.run(&["get", "endpointslices"]).await);
    assert!(slices.ends_with("IPv4 8080 IP,IP,IP + 9 more... AGE"), "{slices}");
    let all = kubectl.run(&["get", "all", "-o", "name"]).await;
    assert_eq!(all.lines().filter(|line| line.starts_with("pod/")).count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_of_output_and_a_watch() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let image = kubectl.run(&["get", "deploy", "checkout-canary", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]).await;
    assert_eq!(image, "registry.example/checkout:v2.42.0");
    let yaml = kubectl.run(&["get", "pdb", "checkout", "-o", "yaml"]).await;
    contains(&yaml, &["spec:", "minAvailable: 70%", "selector:", "matchLabels:", "app: checkout", "status:"]);
    assert!(!yaml.contains("managedFields"));
    let columns = kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "custom-columns=N:.metadata.name,P:.status.phase"]).await;
    contains(&columns, &["N P", "checkout-canary-HASH-ID Running"]);
    let secret = kubectl.json(&["get", "secret", "checkout-credentials", "-o", "json"]).await;
    assert_eq!(secret["type"], "Opaque");

    let watch = kubectl.output(&["get", "deploy", "checkout-canary", "-w", "--request-timeout=4s"]);
    let act = async {
        // The watch's own first answer is not seen from here; what comes later than the change is in it either way.
        kubectl.run(&["scale", "deploy", "checkout-canary", "--replicas=4"]).await;
    };
    let (watched, ()) = futures::future::join(watch, act).await;
    let lines = plain(&String::from_utf8(watched.stdout).unwrap());
    assert!(lines.starts_with("NAME READY UP-TO-DATE AVAILABLE AGE\ncheckout-canary "), "{lines}");
    assert!(lines.lines().last().unwrap().starts_with("checkout-canary 4/4 4 4"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let deployment = kubectl.run(&["describe", "deployment", "checkout-canary"]).await;
    contains(
        &deployment,
        &[
            "Annotations: deployment.kubernetes.io/revision: 1",
            "kubernetes.io/change-cause: deploy v2.42.0",
            "Selector: app=checkout,version=canary",
            "Replicas: 3 desired | 3 updated | 3 total | 3 available | 0 unavailable",
            "StrategyType: RollingUpdate",
            "MinReadySeconds: 0",
            "RollingUpdateStrategy: 25% max unavailable, 25% max surge",
        ],
    );
    contains(
        &deployment,
        &[
            "Conditions:",
            "Type Status Reason",
            "---- ------ ------",
            "Available True MinimumReplicasAvailable",
            "Progressing True NewReplicaSetAvailable",
            "OldReplicaSets: <none>",
            "NewReplicaSet: checkout-canary-HASH (3/3 replicas created)",
            "Events:",
            "Type Reason Age From Message",
            "---- ------ ---- ---- -------",
            "Normal ScalingReplicaSet AGE deployment-controller Scaled up replica set checkout-canary-HASH from 0 to 3",
        ],
    );
    let pod = kubectl.run(&["get", "pods", "-l", "version=canary", "-o", "name"]).await.lines().next().unwrap().to_owned();
    let pod = kubectl.run(&["describe", &pod]).await;
    contains(&pod, &["Controlled By: ReplicaSet/checkout-canary-HASH", "Containers:", "app:"]);
    contains(&pod, &["State: Running", "Started: TIME", "Ready: True", "Restart Count: 0", "Limits:", "cpu: 1", "memory: 512Mi"]);
    contains(&pod, &["Conditions:", "Type Status", "Initialized True", "Ready True", "ContainersReady True", "PodScheduled True"]);
    assert!(pod.contains("Successfully assigned shop/checkout-canary-"));
    let service = kubectl.run(&["describe", "service", "checkout"]).await;
    contains(&service, &["Port: http 80/TCP", "TargetPort: 8080/TCP", "Endpoints: IP:8080,IP:8080,IP:8080 + 9 more..."]);
    contains(
        &kubectl.run(&["describe", "pdb", "checkout"]).await,
        &["Min available: 70%", "Selector: app=checkout", "Status:", "Allowed disruptions: 3", "Current: 12", "Desired: 9", "Total: 12"],
    );
    let secret = kubectl.run(&["describe", "secret", "checkout-credentials"]).await;
    contains(&secret, &["Type: Opaque", "", "Data", "====", "PAYMENT_KEY: 9 bytes"]);
    let node = kubectl.run(&["describe", "nodes"]).await;
    assert!(node.contains("topology.kubernetes.io/zone=eu-west-1a") && node.contains("Allocated resources:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_an_autoscaler_and_a_route() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    let pods = plain(&kubectl.run(&["top", "pods", "-l", "version=canary"]).await);
    let lines: Vec<&str> = pods.lines().collect();
    assert_eq!((lines[0], lines.len()), ("NAME CPU(cores) MEMORY(bytes)", 4));
    let cells: Vec<&str> = lines[1].split(' ').collect();
    assert!(cells[1].ends_with('m') && cells[2].ends_with("Mi"), "{pods}");
    let inside = plain(&kubectl.run(&["top", "pods", "--containers", "-l", "version=canary"]).await);
    assert!(inside.starts_with("POD NAME CPU(cores) MEMORY(bytes)\ncheckout-canary-HASH-ID app "), "{inside}");
    let nodes = plain(&kubectl.run(&["top", "nodes"]).await);
    assert!(nodes.starts_with("NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)\nNODE "), "{nodes}");

    let file = kubectl.file("around.yaml", AROUND);
    contains(
        &kubectl.run(&["create", "-f", &file]).await,
        &[
            "horizontalpodautoscaler.autoscaling/checkout created",
            "gateway.gateway.networking.k8s.io/edge created",
            "httproute.gateway.networking.k8s.io/checkout created",
        ],
    );
    kubectl.run(&["wait", "hpa/checkout", "--for=condition=ScalingActive", "--timeout=30s"]).await;
    let hpa = plain(&kubectl.run(&["get", "hpa"]).await);
    assert!(hpa.starts_with("NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE\ncheckout Deployment/checkout-stable cpu: "), "{hpa}");
    assert!(hpa.ends_with("%/115% 3 12 9 AGE"), "{hpa}");
    let told = kubectl.run(&["describe", "hpa", "checkout"]).await;
    contains(&told, &["Reference: Deployment/checkout-stable", "Metrics: ( current / target )"]);
    contains(&told, &["Min replicas: 3", "Max replicas: 12", "Deployment pods: 9 current / 9 desired", "Conditions:"]);
    contains(&told, &["AbleToScale True ReadyForNewScale recommended size matches current size"]);
    contains(&told, &["ScalingLimited False DesiredWithinRange the desired count is within the acceptable range"]);
    let accepted = ["wait", "gateway/edge", "--for=condition=Programmed", "--timeout=30s"];
    kubectl.run(&accepted).await;
    contains(
        &kubectl.run(&["get", "gateways,httproutes"]).await,
        &["NAME CLASS ADDRESS PROGRAMMED AGE", "gateway.gateway.networking.k8s.io/edge sim 203.0.113.10 True AGE"],
    );
    let route = kubectl.run(&["describe", "httproute", "checkout"]).await;
    contains(&route, &["Backend Refs:", "Group:", "Kind: Service", "Name: checkout", "Port: 80", "Weight: 1"]);
    contains(&route, &["Message: Route is accepted", "Observed Generation: 1", "Reason: Accepted", "Status: True", "Type: Accepted"]);
}

const AROUND: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: checkout }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: checkout-stable }
  minReplicas: 3
  maxReplicas: 12
  metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 115 } } }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge }
spec: { gatewayClassName: sim, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: checkout }
spec:
  hostnames: [shop.example]
  parentRefs: [{ name: edge }]
  rules: [{ backendRefs: [{ name: checkout, port: 80 }] }]
";

#[tokio::test(flavor = "multi_thread")]
async fn rights() {
    let Some(kubectl) = Kubectl::with(&[]).await else { return };
    assert_eq!(kubectl.run(&["auth", "can-i", "patch", "deployments/scale"]).await.trim(), "yes");
    contains(&kubectl.run(&["auth", "can-i", "--list"]).await, &["Resources Non-Resource URLs Resource Names Verbs", "*.* [] [] [*]"]);
    contains(&kubectl.run(&["auth", "whoami"]).await, &["ATTRIBUTE VALUE", "Username sim-operator", "Groups [system:authenticated]"]);
}
