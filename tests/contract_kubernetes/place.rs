//! A namespace on some API server, and a client of its own that plays everybody else.

use chrono::{DateTime, Utc};
use gonogo::adapter::kubernetes::{self, Kubernetes, Settings};
use gonogo::domain::{
    Action, Clock, Epoch, HarmSpec, Labels, OpId, Percent, Policy, Protection, Route, RouteSpec, RunId, ServiceSpec, SourceId, Stamp,
    TrackSpec, Write, WriteKind,
};
use gonogo::sim;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const DEFINITIONS: &str = include_str!("../fixtures/crds/istio-virtualservice-destinationrule.yaml");
const GATEWAY: &str = include_str!("../fixtures/crds/gwapi-gateway.networking.k8s.io_httproutes.yaml");
/// How long anything may take to show.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's clocks.
pub(crate) struct Machine(Instant);

impl Machine {
    #[expect(clippy::disallowed_methods, reason = "the one clock of the test")]
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "the one clock of the test")]
    fn now(&self) -> Stamp {
        Stamp { wall: DateTime::<Utc>::from(SystemTime::now()), boot: self.0.elapsed(), mono: self.0.elapsed() }
    }

    fn boot_id(&self) -> String {
        "test".to_owned()
    }
}

/// The definition of the Gateway API's routes.
pub(crate) fn gateway_definitions() -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(GATEWAY).expect("the definitions of the gateway");
    all.into_iter().filter(|it| it["kind"] == "CustomResourceDefinition").collect()
}

/// The mesh's definitions of its resources.
pub(crate) fn definitions() -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(DEFINITIONS).expect("the definitions");
    all.into_iter().filter(|it| it["kind"] == "CustomResourceDefinition").collect()
}

pub(crate) struct Place {
    kubeconfig: PathBuf,
    pub(crate) namespace: String,
    admin: kube::Client,
    clock: Arc<dyn Clock>,
    system: String,
    _simulator: Option<(sim::Handle, tempfile::TempDir)>,
}

/// A kubeconfig's client, without repeats.
pub(crate) async fn client(file: &PathBuf) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(file).expect("the kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a usable kubeconfig");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}

impl Place {
    /// A simulator with an empty namespace beside its shop.
    pub(crate) async fn simulated() -> Self {
        let options = sim::Options { scene: sim::Scene::Idle, ..sim::Options::default() };
        let handle = sim::start(options).await.expect("the simulator starts");
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, handle.kubeconfig()).unwrap();
        let (clock, admin) = (handle.clock(), client(&kubeconfig).await);
        let place = Self {
            kubeconfig,
            namespace: "contract".to_owned(),
            admin,
            clock,
            system: "the simulator".to_owned(),
            _simulator: Some((handle, dir)),
        };
        place.furnish().await;
        place
    }

    /// A real API server. Panics when it cannot be reached: it was asked for.
    pub(crate) async fn real(kubeconfig: PathBuf) -> Self {
        let admin = client(&kubeconfig).await;
        let version = admin.apiserver_version().await.expect("the API server of the kubeconfig answers").git_version;
        let clock = Machine::new();
        let namespace = format!("gonogo-contract-{}-{}", std::process::id(), clock.now().wall.timestamp_millis());
        let place =
            Self { kubeconfig, namespace, admin, clock: Arc::new(clock), system: format!("a real API server {version}"), _simulator: None };
        place.define().await;
        place.furnish().await;
        place
    }

    pub(crate) fn system(&self) -> &str {
        &self.system
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// One request as somebody else: code and answer.
    pub(crate) async fn call(&self, method: Method, path: &str, media: &str, body: Option<&Value>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", media).header("accept", "application/json");
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let response = self.admin.send(request.body(body.into()).unwrap()).await.expect("the API server answers");
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.expect("a whole answer");
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Value {
        let (code, answer) = self.call(Method::POST, path, "application/json", Some(object)).await;
        assert!(code < 300, "create at {path}: {code} {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (code, answer) = self.call(Method::GET, path, "", None).await;
        assert!(code < 300, "get {path}: {code} {answer}");
        answer
    }

    /// A change by somebody else.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> Value {
        let path = format!("{path}?fieldManager=somebody-else");
        let (code, answer) = self.call(Method::PATCH, &path, "application/merge-patch+json", Some(patch)).await;
        assert!(code < 300, "patch {path}: {code} {answer}");
        answer
    }

    pub(crate) async fn delete(&self, path: &str) {
        let now = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
        let (code, answer) = self.call(Method::DELETE, path, "application/json", Some(&now)).await;
        assert!(code < 300 || code == 404, "delete {path}: {code} {answer}");
    }

    /// Applies the mesh's definitions where they are missing, and waits until they are served.
    async fn define(&self) {
        self.define_all(&definitions(), "/apis/networking.istio.io/v1/virtualservices").await;
        self.define_all(&gateway_definitions(), "/apis/gateway.networking.k8s.io/v1/httproutes").await;
    }

    /// Applies definitions where they are missing, and waits until this collection is served.
    pub(crate) async fn define_all(&self, definitions: &[Value], collection: &str) {
        const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for definition in definitions {
            let name = definition["metadata"]["name"].as_str().unwrap();
            if self.call(Method::GET, &format!("{PATH}/{name}"), "", None).await.0 == 404 {
                self.create(PATH, definition).await;
            }
        }
        let served = async {
            let mut again = tokio::time::interval(Duration::from_millis(200));
            loop {
                again.tick().await;
                let (code, _) = self.call(Method::GET, &format!("{collection}?limit=1"), "", None).await;
                if code == 200 {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap_or_else(|_| panic!("{collection} is served"));
    }

    async fn furnish(&self) {
        let name = &self.namespace;
        self.create("/api/v1/namespaces", &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
        // Where no controller makes it, pods would be refused for want of it.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        self.call(Method::POST, &format!("/api/v1/namespaces/{name}/serviceaccounts"), "application/json", Some(&account)).await;
    }

    /// Removes the namespace. Without a controller that empties it, it is emptied and let go here.
    pub(crate) async fn remove(&self) {
        let name = &self.namespace;
        for collection in [
            self.path("/apis/networking.istio.io/v1", "virtualservices"),
            self.path("/apis/gateway.networking.k8s.io/v1", "httproutes"),
            self.path("/apis/networking.k8s.io/v1", "ingresses"),
            self.path("/api/v1", "services"),
            self.path("/apis/autoscaling/v2", "horizontalpodautoscalers"),
            self.path("/apis/argoproj.io/v1alpha1", "rollouts"),
            self.path("/apis/apps/v1", "deployments"),
            self.path("/apis/apps/v1", "replicasets"),
            self.path("/api/v1", "pods"),
        ] {
            let (code, list) = self.call(Method::GET, &collection, "", None).await;
            if code == 404 {
                continue;
            }
            assert!(code < 300, "get {collection}: {code} {list}");
            for object in list["items"].as_array().into_iter().flatten() {
                self.delete(&format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default())).await;
            }
        }
        let path = format!("/api/v1/namespaces/{name}");
        self.delete(&path).await;
        let gone = async {
            let mut again = tokio::time::interval(Duration::from_millis(500));
            while self.call(Method::GET, &path, "", None).await.0 != 404 {
                again.tick().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(15), gone).await.is_err() {
            let mut namespace = self.get(&path).await;
            namespace["spec"]["finalizers"] = json!([]);
            let (code, _) = self.call(Method::PUT, &format!("{path}/finalize"), "application/json", Some(&namespace)).await;
            println!("namespace {name} was let go by hand ({code}): no controller did");
        }
    }

    pub(crate) fn path(&self, group: &str, resource: &str) -> String {
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }

    pub(crate) fn route_path(&self, name: &str) -> String {
        format!("{}/{name}", self.path("/apis/networking.istio.io/v1", "virtualservices"))
    }

    /// Creates a route whose weights are `stable` and `canary`.
    pub(crate) async fn route(&self, name: &str, stable: u32, canary: u32) -> Value {
        let object = virtual_service(name, stable, canary);
        self.create(&self.path("/apis/networking.istio.io/v1", "virtualservices"), &object).await
    }

    /// The service of a case: its objects carry the case's name.
    pub(crate) fn spec(&self, name: &str) -> ServiceSpec {
        let track = |side: &str| TrackSpec { deployment: format!("{name}-{side}"), labels: Labels::default() };
        ServiceSpec {
            name: name.to_owned(),
            platform: SourceId::from("contract"),
            context: "contract".to_owned(),
            namespace: self.namespace.clone(),
            environment: "test".to_owned(),
            protection: Protection::Private,
            metrics: SourceId::from("none"),
            scrape_interval: Duration::from_secs(15),
            baseline: track("stable"),
            canary: track("canary"),
            route: RouteSpec::VirtualService {
                name: name.to_owned(),
                http: Some("primary".to_owned()),
                baseline_subset: "stable".to_owned(),
                canary_subset: "canary".to_owned(),
            },
            requests: String::new(),
            alerts: None,
            gates: vec![],
            harm: HarmSpec::default(),
            policy: Policy::default(),
            with: vec![],
        }
    }

    pub(crate) async fn connect(&self, name: &str) -> Kubernetes {
        self.connect_as(name, true).await
    }

    /// A cockpit on a service that a Rollout runs.
    pub(crate) async fn connect_to_rollout(&self, name: &str) -> Kubernetes {
        let mut spec = self.spec(name);
        spec.route = RouteSpec::Rollout { name: name.to_owned() };
        spec.canary.deployment = name.to_owned();
        spec.baseline.deployment = name.to_owned();
        self.connect_with(spec, true).await
    }

    pub(crate) async fn connect_as(&self, name: &str, writes: bool) -> Kubernetes {
        self.connect_by(name, self.spec(name).route, writes).await
    }

    /// With another way of splitting traffic.
    pub(crate) async fn connect_by(&self, name: &str, route: RouteSpec, writes: bool) -> Kubernetes {
        self.connect_with(ServiceSpec { route, ..self.spec(name) }, writes).await
    }

    async fn connect_with(&self, spec: ServiceSpec, writes: bool) -> Kubernetes {
        let settings = Settings {
            context: None,
            kubeconfig: Some(self.kubeconfig.clone()),
            timeout: Duration::from_secs(10),
            spec,
            clock: self.clock(),
            writes,
        };
        kubernetes::connect(settings).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A route as people write them: a rule for insiders before the one that splits traffic, and fields that are none of our business.
pub(crate) fn virtual_service(name: &str, stable: u32, canary: u32) -> Value {
    let to = |subset: &str| json!({"destination": {"host": name, "subset": subset}});
    let split = |subset: &str, weight: u32| json!({"destination": {"host": name, "subset": subset}, "weight": weight});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "labels": {"team": "shop"}},
        "spec": {"hosts": [name], "http": [
            {"name": "insiders", "match": [{"headers": {"x-canary": {"exact": "true"}}}], "route": [to("canary")]},
            {"name": "primary", "route": [split("stable", stable), split("canary", canary)],
                "timeout": "5s", "retries": {"attempts": 2, "perTryTimeout": "2s", "retryOn": "connect-failure"},
                "mirror": {"host": name, "subset": "canary"}, "mirrorPercentage": {"value": 0.5}},
        ]},
    })
}

pub(crate) fn to(canary: u32) -> Action {
    Action::SetWeight { canary: Percent::new(canary).unwrap() }
}

/// A write of weight `canary` under `epoch`.
pub(crate) fn act(before: &Route, canary: u32, epoch: u64) -> Write {
    Write {
        kind: WriteKind::Act { action: to(canary) },
        run: RunId::from("checkout-20260314-1"),
        op: OpId(format!("checkout-20260314-1/shift/{epoch}")),
        epoch: Epoch(epoch),
        target: None,
        before: before.subject(&to(canary)),
        deadline: Duration::from_secs(10),
    }
}

/// A fence under `epoch`.
pub(crate) fn fence(before: &Route, epoch: u64) -> Write {
    Write { kind: WriteKind::Fence { action: to(0) }, ..act(before, 0, epoch) }
}

/// The object without weights of the rule that splits, our annotations, and what the server keeps on every write.
pub(crate) fn all_else(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["managedFields", "resourceVersion", "generation"] {
        metadata.remove(key);
    }
    if let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        notes.retain(|key, _| !key.starts_with("gonogo.dev/"));
        if notes.is_empty() {
            metadata.remove("annotations");
        }
    }
    for rule in object["spec"]["http"].as_array_mut().unwrap().iter_mut().filter(|rule| rule["name"] == "primary") {
        for to in rule["route"].as_array_mut().unwrap() {
            to.as_object_mut().unwrap().remove("weight");
        }
    }
    object
}

/// Weights of stable and canary.
pub(crate) fn weights(object: &Value) -> (u64, u64) {
    let rule = object["spec"]["http"].as_array().unwrap().iter().find(|rule| rule["name"] == "primary").unwrap();
    let weight = |at: usize| rule["route"][at]["weight"].as_u64().unwrap_or(0);
    (weight(0), weight(1))
}

pub(crate) fn note<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["annotations"][key].as_str().unwrap_or("")
}
