//! What only the simulator can do on demand. Each test starts one of its own.

use crate::changes::Watched;
use crate::place::{act, to};
use gonogo::adapter::kubernetes::{self, Kubernetes, Settings};
use gonogo::domain::{
    Failure, HarmSpec, Labels, Policy, Preflight, Protection, Refusal, RouteSpec, ServiceSpec, SourceId, TrackSpec, Write,
};
use gonogo::port::{Platform, PlatformUpdate};
use gonogo::sim::{self, Options, Scene, TrafficBy};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) struct Rig {
    handle: sim::Handle,
    dir: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn new(faults: &[&str]) -> Self {
        Self::with(faults, |_| {}).await
    }

    pub(crate) async fn with(faults: &[&str], change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let mut options = Options { scene: Scene::Idle, faults, calls: Some(dir.path().join("calls")), ..Options::default() };
        options.dir = Some(dir.path().to_owned());
        change(&mut options);
        let handle = sim::start(options).await.expect("the simulator starts");
        std::fs::write(dir.path().join("kubeconfig"), handle.kubeconfig()).unwrap();
        Self { handle, dir }
    }

    pub(crate) async fn connect(&self) -> Kubernetes {
        let settings = Settings {
            context: None,
            kubeconfig: Some(self.dir.path().join("kubeconfig")),
            timeout: Duration::from_secs(5),
            spec: self.spec(),
            clock: self.handle.clock(),
            writes: true,
        };
        kubernetes::connect(settings).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A change by somebody else.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) {
        let (code, answer) = self.call(http::Method::PATCH, path, "application/merge-patch+json", patch).await;
        assert!(code < 300, "patch {path}: {code} {answer}");
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) {
        let (code, answer) = self.call(http::Method::POST, path, "application/json", object).await;
        assert!(code < 300, "create at {path}: {code} {answer}");
    }

    async fn call(&self, method: http::Method, path: &str, media: &str, body: &Value) -> (u16, Value) {
        let client = crate::place::client(&self.dir.path().join("kubeconfig")).await;
        let request = http::Request::builder().method(method).uri(path).header("content-type", media).header("accept", "application/json");
        let response = client.send(request.body(body.to_string().into_bytes().into()).unwrap()).await.expect("the simulator answers");
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.expect("a whole answer");
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    fn spec(&self) -> ServiceSpec {
        let it = self.handle.endpoints();
        let track = |deployment: &str| TrackSpec { deployment: deployment.to_owned(), labels: Labels::default() };
        ServiceSpec {
            name: it.service.to_owned(),
            platform: SourceId::from("sim"),
            context: it.context.to_owned(),
            namespace: it.namespace.to_owned(),
            environment: "demo".to_owned(),
            protection: Protection::Private,
            metrics: SourceId::from("prom"),
            scrape_interval: Duration::from_secs(15),
            baseline: track(it.baseline),
            canary: track(it.canary),
            route: route(it),
            requests: String::new(),
            alerts: None,
            gates: vec![],
            harm: HarmSpec::default(),
            policy: Policy::default(),
            with: vec![],
        }
    }

    /// Writes that reached the platform: kind and result.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        let file: PathBuf = self.dir.path().join("calls");
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|call| (call["kind"].as_str().unwrap().to_owned(), call["result"].as_str().unwrap().to_owned())).collect()
    }
}

/// What splits the traffic of the simulated service.
fn route(it: &sim::Endpoints) -> RouteSpec {
    let version = |version: &str| [("version".to_owned(), version.to_owned())].into_iter().collect();
    match it.traffic {
        TrafficBy::Mesh => RouteSpec::VirtualService {
            name: it.service.to_owned(),
            http: Some("primary".to_owned()),
            baseline_subset: "stable".to_owned(),
            canary_subset: "canary".to_owned(),
        },
        TrafficBy::Gateway => RouteSpec::HttpRoute {
            name: it.service.to_owned(),
            rule: Some("primary".to_owned()),
            baseline: it.baseline.to_owned(),
            canary: it.canary.to_owned(),
        },
        TrafficBy::Ingress => RouteSpec::Ingress { name: it.canary.to_owned() },
        TrafficBy::Rolling => RouteSpec::Rolling,
        TrafficBy::Argo => RouteSpec::Rollout { name: it.service.to_owned() },
        TrafficBy::Selector => {
            RouteSpec::Selector { service: it.service.to_owned(), baseline: version("stable"), canary: version("canary") }
        }
    }
}

async fn write(kubernetes: &Kubernetes, canary: u32) -> Write {
    let mut write = act(&kubernetes.read_route().await.unwrap().unwrap(), canary, 1);
    write.deadline = Duration::from_secs(2);
    write
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_unknown_is_never_sent_again_and_is_found_by_reading() {
    for fault in ["platform:reply-lost@0", "platform:reply-late@0"] {
        let rig = Rig::new(&[fault]).await;
        let kubernetes = rig.connect().await;
        let write = write(&kubernetes, 25).await;
        let failure = kubernetes.send(write.clone()).await.unwrap_err();
        assert!(matches!(failure, Failure::Unknown { .. }), "{fault}: {failure}");
        let route = kubernetes.read_route().await.unwrap().unwrap();
        assert_eq!((route.canary, route.stamp.map(|stamp| stamp.op)), (25, Some(write.op)), "{fault}");
        assert_eq!(rig.calls(), [("act".to_owned(), "applied".to_owned())], "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_that_is_faster_is_a_conflict_and_changes_nothing() {
    let rig = Rig::new(&["platform:conflict@0"]).await;
    let kubernetes = rig.connect().await;
    let write = write(&kubernetes, 25).await;
    let failure = kubernetes.send(write).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. }), "{failure}");
    assert_eq!(kubernetes.read_route().await.unwrap().unwrap().canary, 0);
    assert_eq!(rig.calls(), [("act".to_owned(), "refused".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_known_beforehand_and_refused_when_sent() {
    let rig = Rig::new(&["platform:forbidden@0"]).await;
    let kubernetes = rig.connect().await;
    let plan = kubernetes.plan(to(25)).await.unwrap();
    assert!(matches!(&plan.access, Preflight::Refused { why } if why.contains("patch virtualservices")), "{plan:?}");
    assert!(matches!(&plan.dry_run, Preflight::Refused { .. }), "{plan:?}");
    let failure = kubernetes.send(write(&kubernetes, 25).await).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { reason: Refusal::Right, .. }), "{failure}");
    assert_eq!(kubernetes.read_route().await.unwrap().unwrap().canary, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_login_says_what_to_renew_and_recovers_without_a_restart() {
    let rig = Rig::new(&["platform:auth-expired@0+4"]).await;
    let kubernetes = rig.connect().await;
    let failure = kubernetes.read_route().await.unwrap_err();
    assert!(failure.login().is_some_and(|how| how.contains("renew the token in")), "{failure}");
    let mut watched = Watched::new(&kubernetes);
    let refused =
        |update: &PlatformUpdate| matches!(update, PlatformUpdate::Trouble { failure, .. } if failure.login().is_some()).then_some(());
    watched.until("the refused login", refused).await;
    let (mut route, mut instances) = (false, false);
    let both = |update: &PlatformUpdate| {
        route |= matches!(update, PlatformUpdate::Route(Some(_)));
        instances |= matches!(update, PlatformUpdate::Instances(all) if all.len() == 12);
        (route && instances).then_some(())
    };
    watched.until("route and instances", both).await;
    assert_eq!(kubernetes.read_route().await.unwrap().unwrap().canary, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_named_and_nothing_is_sent_on_them() {
    type IsRight = fn(&Failure) -> bool;
    let kinds: [(&str, &str, IsRight); 6] = [
        ("html", "HTML page", |failure| matches!(failure, Failure::Unreadable { .. })),
        ("huge", "larger than", |failure| matches!(failure, Failure::Unreadable { .. })),
        ("http-500", "prevented the request", |failure| matches!(failure, Failure::Unknown { .. })),
        ("http-429", "too many requests", |failure| matches!(failure, Failure::Refused { reason: Refusal::Throttled, .. })),
        ("reset", "read virtualservice", |failure| matches!(failure, Failure::Unknown { .. })),
        ("lost", "read virtualservice", |failure| matches!(failure, Failure::Unknown { .. } | Failure::NotSent { .. })),
    ];
    for (kind, words, fits) in kinds {
        let healthy = Rig::new(&[]).await;
        let before = healthy.connect().await.read_route().await.unwrap().unwrap();
        let rig = Rig::new(&[&format!("platform:{kind}@0")]).await;
        let kubernetes = rig.connect().await;
        let failure = kubernetes.read_route().await.unwrap_err();
        assert!(fits(&failure) && failure.to_string().contains(words), "{kind}: {failure}");
        let failure = kubernetes.send(act(&before, 25, 1)).await.unwrap_err();
        assert!(failure.certainly_not_applied(), "{kind}: {failure}");
        assert!(rig.calls().is_empty(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_in_pages_the_first_at_once() {
    let rig = Rig::with(&[], |options| options.instances = Some(1200)).await;
    let mut watched = Watched::new(&rig.connect().await);
    let some = |update: &PlatformUpdate| if let PlatformUpdate::SomeInstances(some) = update { Some(some.len()) } else { None };
    let all = |update: &PlatformUpdate| if let PlatformUpdate::Instances(all) = update { Some(all.len()) } else { None };
    let (first, whole) = (watched.until("a page", some).await, watched.until("the whole", all).await);
    assert!(first <= 500 && whole > 2 * first.min(400), "{first} and {whole}");
}

/// After a break in which more happened than the server keeps, the list is read again, and what vanished meanwhile is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_version_is_followed_by_a_new_list() {
    let rig = Rig::with(&["platform:lost@2+15"], |options| (options.instances, options.churn) = (Some(400), Some(150))).await;
    let mut watched = Watched::new(&rig.connect().await);
    let list = |update: &PlatformUpdate| match update {
        PlatformUpdate::Instances(all) if all.len() > 100 => Some(all.iter().map(|instance| instance.uid.clone()).collect::<Vec<_>>()),
        _ => None,
    };
    let before = watched.until("the list", list).await;
    watched.until("the break", |update| matches!(update, PlatformUpdate::Trouble { .. }).then_some(())).await;
    let after = watched.until("the list after it", list).await;
    let kept = before.iter().filter(|uid| after.contains(uid)).count();
    assert!(kept < before.len() / 2, "{kept} of {} are said to be there still", before.len());
}
