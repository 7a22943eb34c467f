//! The adapter over real HTTP, against answers written by hand.

use super::*;
use crate::domain::{Epoch, HarmSpec, Labels, OpId, Percent, Policy, Protection, Refusal, RouteSpec, RunId, Stamp, TrackSpec, WriteKind};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A service as configured.
pub(super) fn spec() -> ServiceSpec {
    let track = |deployment: &str| TrackSpec { deployment: deployment.to_owned(), labels: Labels::default() };
    ServiceSpec {
        name: "checkout".to_owned(),
        platform: SourceId::from("prod-eu"),
        context: "ctx".to_owned(),
        namespace: "shop".to_owned(),
        environment: "production".to_owned(),
        protection: Protection::Protected,
        metrics: SourceId::from("prom"),
        scrape_interval: Duration::from_secs(15),
        baseline: track("checkout-stable"),
        canary: track("checkout-canary"),
        route: RouteSpec::VirtualService {
            name: "checkout".to_owned(),
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

struct Still;

impl Clock for Still {
    fn now(&self) -> Stamp {
        Stamp { wall: DateTime::<Utc>::UNIX_EPOCH, boot: Duration::ZERO, mono: Duration::ZERO }
    }

    fn boot_id(&self) -> String {
        "boot".to_owned()
    }
}

const ROUTE: &str = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout";

pub(super) struct Rig {
    pub(super) server: MockServer,
    dir: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn new() -> Self {
        let (server, dir) = (MockServer::start().await, tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("token"), "good").unwrap();
        Self { server, dir }
    }

    fn kubeconfig(&self, address: &str) -> PathBuf {
        let file = self.dir.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ctx\nclusters: [{{name: c, cluster: {{server: '{address}'}}}}]\n\
             contexts: [{{name: ctx, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{tokenFile: token}}}}]\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    async fn connect_to(&self, address: &str, writes: bool) -> Kubernetes {
        let settings = Settings {
            context: None,
            kubeconfig: Some(self.kubeconfig(address)),
            timeout: Duration::from_secs(5),
            spec: spec(),
            clock: Arc::new(Still),
            writes,
        };
        connect(settings).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) async fn connect(&self) -> Kubernetes {
        self.connect_to(&self.server.uri(), true).await
    }

    async fn route_is(&self, object: &Value) {
        Mock::given(method("GET"))
            .and(path(ROUTE))
            .respond_with(ResponseTemplate::new(200).set_body_json(object))
            .mount(&self.server)
            .await;
    }

    async fn patches(&self) -> Vec<Value> {
        let all = self.server.received_requests().await.unwrap();
        all.iter()
            .filter(|request| request.method == http::Method::PATCH)
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    }
}

fn write(before: Route, epoch: u64) -> Write {
    let action = Action::SetWeight { canary: Percent::new(50).unwrap() };
    let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
    let before = before.subject(&action);
    Write { kind: WriteKind::Act { action }, target: None, run, op, epoch: Epoch(epoch), before, deadline: Duration::from_secs(5) }
}

fn object() -> Value {
    mesh::tests::object()
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_comes_back() {
    for (status, certain) in [(503, false), (429, true), (504, false), (500, false), (422, true)] {
        let rig = Rig::new().await;
        rig.route_is(&object()).await;
        Mock::given(method("PATCH")).respond_with(ResponseTemplate::new(status).insert_header("retry-after", "0")).mount(&rig.server).await;
        let kubernetes = rig.connect().await;
        let before = kubernetes.read_route().await.unwrap().unwrap();
        let failure = kubernetes.send(write(before, 4)).await.unwrap_err();
        assert_eq!(failure.certainly_not_applied(), certain, "{status}: {failure}");
        assert_eq!(rig.patches().await.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn another_current_context_does_not_lead_to_another_cluster() {
    let (rig, elsewhere) = (Rig::new().await, MockServer::start().await);
    rig.route_is(&object()).await;
    let kubernetes = rig.connect().await;
    kubernetes.read_route().await.unwrap();
    let file = rig.kubeconfig(&rig.server.uri());
    let text = std::fs::read_to_string(&file).unwrap();
    let both = text
        .replace("current-context: ctx", "current-context: elsewhere")
        .replace("clusters: [", &format!("clusters: [{{name: e, cluster: {{server: '{}'}}}}, ", elsewhere.uri()))
        .replace("contexts: [", "contexts: [{name: elsewhere, context: {cluster: e, user: u}}, ");
    std::fs::write(&file, both).unwrap();
    kubernetes.read_route().await.unwrap();
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_write_carries_its_tests_and_its_manager() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    Mock::given(method("PATCH"))
        .and(path(ROUTE))
        .and(query_param("fieldManager", "gonogo"))
        .and(header("content-type", "application/json-patch+json"))
        .and(header("authorization", "Bearer good"))
        .and(body_string_contains("gonogo.dev~1epoch"))
        .respond_with(ResponseTemplate::new(200).set_body_json(object()))
        .mount(&rig.server)
        .await;
    let kubernetes = rig.connect().await;
    let before = kubernetes.read_route().await.unwrap().unwrap();
    let accepted = kubernetes.send(write(before, 4)).await.unwrap();
    assert_eq!(accepted.version.as_deref(), Some("41"));
}

#[tokio::test]
async fn a_stale_plan_and_an_older_epoch_are_refused_before_sending() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    let kubernetes = rig.connect().await;
    let now = kubernetes.read_route().await.unwrap().unwrap();
    let stale = Route { canary: 10, baseline: 90, ..now.clone() };
    for (write, word) in [(write(stale, 4), "canary was 10 and is 25"), (write(now, 2), "epoch 3, ours is 2")] {
        let failure = kubernetes.send(write).await.unwrap_err();
        assert!(matches!(&failure, Failure::Refused { reason: Refusal::Conflict, why, .. } if why.contains(word)), "{failure}");
    }
    assert!(rig.patches().await.is_empty());
}

#[tokio::test]
async fn a_read_only_cockpit_sends_nothing_that_could_write() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({"status": {"allowed": true}})))
        .mount(&rig.server)
        .await;
    let kubernetes = rig.connect_to(&rig.server.uri(), false).await;
    let before = kubernetes.read_route().await.unwrap().unwrap();
    assert!(matches!(kubernetes.send(write(before, 4)).await, Err(Failure::NotSent { .. })));
    let plan = kubernetes.plan(Action::SetWeight { canary: Percent::ZERO }).await.unwrap();
    assert!(matches!(plan.dry_run, Preflight::NotAsked { .. }));
    assert_eq!(plan.diff.len(), 2, "the difference is still worked out");
    assert!(rig.patches().await.is_empty());
    assert!(kubernetes.capabilities().is_empty());
}

#[tokio::test]
async fn nobody_listening_means_not_sent_and_a_lost_reply_means_unknown() {
    let rig = Rig::new().await;
    let kubernetes = rig.connect_to("http://127.0.0.1:9", true).await;
    assert!(matches!(kubernetes.read_route().await, Err(Failure::NotSent { .. })));

    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    Mock::given(method("PATCH")).respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).mount(&rig.server).await;
    let kubernetes = rig.connect().await;
    let mut write = write(kubernetes.read_route().await.unwrap().unwrap(), 4);
    write.deadline = Duration::from_millis(300);
    assert!(matches!(kubernetes.send(write).await, Err(Failure::Unknown { .. })));
}

#[tokio::test]
async fn an_expired_token_is_read_again_from_its_file() {
    let rig = Rig::new().await;
    Mock::given(header("authorization", "Bearer new"))
        .respond_with(ResponseTemplate::new(200).set_body_json(object()))
        .mount(&rig.server)
        .await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).with_priority(9).mount(&rig.server).await;
    let kubernetes = rig.connect().await;
    let failure = kubernetes.read_route().await.unwrap_err();
    assert!(failure.login().is_some_and(|how| how.contains("renew the token in") && how.contains("token")), "{failure}");
    std::fs::write(rig.dir.path().join("token"), "new").unwrap();
    kubernetes.read_route().await.unwrap();
}

#[tokio::test]
async fn answers_that_are_too_large_or_no_kubernetes_are_clear_failures() {
    let rig = Rig::new().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 5 << 20]))
        .up_to_n_times(1)
        .mount(&rig.server)
        .await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string("<!doctype html><html>")).mount(&rig.server).await;
    let kubernetes = rig.connect().await;
    let large = kubernetes.read_route().await.unwrap_err();
    assert!(matches!(&large, Failure::Unreadable { why } if why.contains("larger than 4 MB")), "{large}");
    let page = kubernetes.read_route().await.unwrap_err();
    assert!(matches!(&page, Failure::Unreadable { why } if why.contains("HTML page")), "{page}");
}

#[tokio::test]
async fn an_older_istio_is_found_by_discovery() {
    let rig = Rig::new().await;
    let old = ROUTE.replace("/v1/", "/v1beta1/");
    Mock::given(path("/apis/networking.istio.io"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"versions": [{"version": "v1alpha3"}, {"version": "v1beta1"}]})))
        .mount(&rig.server)
        .await;
    Mock::given(path(old)).respond_with(ResponseTemplate::new(200).set_body_json(object())).mount(&rig.server).await;
    Mock::given(path(ROUTE)).respond_with(ResponseTemplate::new(404).set_body_string("404 page not found")).mount(&rig.server).await;
    assert_eq!(rig.connect().await.read_route().await.unwrap().unwrap().canary, 25);
}

#[tokio::test]
async fn a_dry_run_shows_what_the_platform_would_really_do() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    let mut after = object();
    (after["spec"]["http"][1]["route"][0]["weight"], after["spec"]["http"][1]["route"][1]["weight"]) = (json!(60), json!(40));
    Mock::given(method("PATCH"))
        .and(query_param("dryRun", "All"))
        .respond_with(ResponseTemplate::new(200).set_body_json(after))
        .mount(&rig.server)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({"status": {"allowed": false, "reason": "no binding"}})))
        .mount(&rig.server)
        .await;
    let plan = rig.connect().await.plan(Action::SetWeight { canary: Percent::new(50).unwrap() }).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("would make it 40% instead of 50%")), "{plan:?}");
    assert!(matches!(&plan.access, Preflight::Refused { why } if why.contains("no right to patch virtualservices")), "{plan:?}");
    assert_eq!(plan.diff[0].after, "40", "the difference is the platform's");
    assert!(plan.request.starts_with("PATCH /apis/networking.istio.io/v1/"), "{}", plan.request);
}

#[tokio::test]
async fn commands_by_hand_name_the_place_and_guard_it() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    let kubernetes = rig.connect().await;
    let back_out = Action::SetWeight { canary: Percent::ZERO };
    let blind = kubernetes.by_hand(&back_out, None);
    assert!(blind[0].contains("| jq ") && blind[0].contains(r#"select(.name == "primary")"#), "{blind:?}");
    let route = kubernetes.read_route().await.unwrap().unwrap();
    let known = kubernetes.by_hand(&back_out, Some(&route.subject(&back_out)));
    assert!(known[0].contains(r#"{"op":"test","path":"/spec/http/1/name","value":"primary"}"#), "{known:?}");
    assert!(known[0].contains(r#"{"op":"add","path":"/spec/http/1/route/1/weight","value":0}"#), "{known:?}");
    assert!(known[1].ends_with("get virtualservices.networking.istio.io checkout -o yaml"), "{known:?}");
}

#[tokio::test]
async fn the_watch_tells_of_trouble_and_goes_on() {
    let rig = Rig::new().await;
    rig.route_is(&object()).await;
    Mock::given(method("GET"))
        .and(path("/api/v1/namespaces/shop/events"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&rig.server)
        .await;
    let kubernetes = rig.connect().await;
    let updates: Vec<PlatformUpdate> = kubernetes.watch().take(12).collect().await;
    assert!(updates.iter().any(|update| matches!(update, PlatformUpdate::Route(Some(route)) if route.canary == 25)));
    assert!(updates.iter().any(|update| matches!(update, PlatformUpdate::Alive { .. })));
    assert!(
        updates
            .iter()
            .any(|update| matches!(update, PlatformUpdate::Trouble { part: "events", failure: Failure::Refused { code: 403, .. }, .. }))
    );
}

/// A list that says `version`, and holds one pod of this name.
fn pods(version: &str, name: &str) -> ResponseTemplate {
    let pod = json!({"metadata": {"name": name, "uid": name, "resourceVersion": version, "labels": {"app": "checkout"}}, "status": {"phase": "Running"}});
    ResponseTemplate::new(200).set_body_json(json!({"kind": "PodList", "metadata": {"resourceVersion": version}, "items": [pod]}))
}

#[tokio::test]
async fn an_expired_version_is_answered_by_a_new_list_however_it_is_said() {
    let in_stream = ResponseTemplate::new(200)
        .set_body_string("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n");
    for expired in [in_stream, ResponseTemplate::new(410)] {
        let rig = Rig::new().await;
        let deployment = json!({"metadata": {"name": "d", "uid": "d", "resourceVersion": "1"}, "spec": {"selector": {"matchLabels": {"app": "checkout"}}}});
        let one = json!({"metadata": {"resourceVersion": "1"}, "items": [deployment]});
        let collection = |name: &str| path(format!("/apis/apps/v1/namespaces/shop/{name}"));
        Mock::given(collection("deployments")).respond_with(ResponseTemplate::new(200).set_body_json(one)).mount(&rig.server).await;
        let at = || path("/api/v1/namespaces/shop/pods");
        let patient = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
        Mock::given(at())
            .and(query_param("watch", "true"))
            .and(query_param("resourceVersion", "7"))
            .respond_with(expired)
            .mount(&rig.server)
            .await;
        Mock::given(at())
            .and(query_param("watch", "true"))
            .and(query_param("resourceVersion", "9"))
            .respond_with(patient)
            .mount(&rig.server)
            .await;
        Mock::given(at()).respond_with(pods("7", "before")).up_to_n_times(1).with_priority(8).mount(&rig.server).await;
        Mock::given(at()).respond_with(pods("9", "after")).with_priority(9).mount(&rig.server).await;
        let lists = rig.connect().await.watch().filter_map(|update| async move {
            match update {
                PlatformUpdate::Instances(all) => Some(all.iter().map(|instance| instance.name.to_string()).collect::<Vec<_>>()),
                PlatformUpdate::Trouble { part: "pods", failure, .. } => Some(vec![failure.to_string()]),
                _ => None,
            }
        });
        assert_eq!(lists.take(2).collect::<Vec<_>>().await, [["before"], ["after"]], "quietly, and what vanished is gone");
    }
}
