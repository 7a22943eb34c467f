//! Several services in one run: a lock each under one epoch, every act on its own platform, and one that is lost leaves the others alone.

#![cfg(feature = "shell")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream, StreamExt as _};
use gonogo::adapter::sqlite;
use gonogo::app::model::Seat;
use gonogo::app::{Msg, Options, Request, first_draft};
use gonogo::domain::*;
use gonogo::port::journal::LEASE_TTL;
use gonogo::port::{Answer, Journal, Metrics, Platform, Right};
use gonogo::runbook::state::Phase;
use gonogo::runbook::{Context, load};
use gonogo::runtime::clock::SystemClock;
use gonogo::runtime::{Core, Pace, Ports, Step, until};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: two
version: "1"
title: Two at once
target: { platform: eu, service: checkout, environment: production, with: [checkout-us] }
steps:
  - { id: shift-us, title: A few there, on: checkout-us, do: { set_weight: { canary: 5 } }, undo: none, timeout: 1m }
rollback:
  confirm: consequence
  steps:
    - { id: back-us, title: Back there, on: checkout-us, do: { set_weight: { canary: 0 } }, timeout: 1m }
    - { id: back, title: Back here, do: { set_weight: { canary: 0 } }, timeout: 1m }
"#;

/// A platform that is a plain value. A lost one answers nothing.
struct Fake {
    name: &'static str,
    lost: bool,
    route: Mutex<Route>,
    writes: Mutex<Vec<Write>>,
}

impl Fake {
    fn new(name: &'static str, canary: u32, lost: bool) -> Arc<Self> {
        let route = Route {
            object: format!("virtualservice/{name}"),
            uid: name.into(),
            version: "1".into(),
            rule: "primary".into(),
            canary,
            baseline: 100 - canary,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        Arc::new(Self { name, lost, route: Mutex::new(route), writes: Mutex::default() })
    }

    fn route(&self) -> Route {
        self.route.lock().unwrap().clone()
    }

    fn subject(&self, action: &Action) -> Result<Subject, Failure> {
        if self.lost { Err(Failure::NotSent { why: "connection refused".into() }) } else { Ok(self.route().subject(action)) }
    }
}

impl Platform for Fake {
    fn source(&self) -> SourceId {
        self.name.into()
    }

    fn capabilities(&self) -> Vec<ActionKind> {
        vec![ActionKind::SetWeight]
    }

    fn watch(&self) -> BoxStream<'static, PlatformUpdate> {
        if self.lost {
            let failure = Failure::NotSent { why: "connection refused".into() };
            let trouble = PlatformUpdate::Trouble { failure, part: "route", retry_in: Duration::from_secs(5) };
            return stream::iter([trouble.clone(), trouble]).chain(stream::pending()).boxed();
        }
        let alive = PlatformUpdate::Alive { at: now(), skew: None };
        stream::iter([PlatformUpdate::Route(Some(self.route())), alive]).chain(stream::pending()).boxed()
    }

    fn read_route(&self) -> BoxFuture<'_, Result<Option<Route>, Failure>> {
        ready(Ok(Some(self.route()))).boxed()
    }

    fn read(&self, action: &Action) -> BoxFuture<'_, Result<Subject, Failure>> {
        ready(self.subject(action)).boxed()
    }

    fn plan(&self, action: Action) -> BoxFuture<'_, Result<ActionPlan, Failure>> {
        let plan = self.subject(&action).map(|before| ActionPlan {
            consequence: action.consequence(),
            before,
            action,
            diff: vec![],
            warnings: vec![],
            dry_run: Preflight::Accepted,
            access: Preflight::Accepted,
            request: "PATCH".into(),
        });
        ready(plan).boxed()
    }

    fn send(&self, write: Write) -> BoxFuture<'_, Result<Accepted, Failure>> {
        let mut route = self.route.lock().unwrap();
        assert_eq!(write.before.object, route.object, "a write for another service arrived");
        if let (Some(weight), false) = (write.action().weight(), write.is_fence()) {
            route.canary = weight.get().into();
            route.baseline = 100 - route.canary;
        }
        route.stamp = Some(WriteStamp { run: write.run.clone(), op: write.op.clone(), epoch: write.epoch });
        self.writes.lock().unwrap().push(write);
        ready(Ok(Accepted { version: None, after: None })).boxed()
    }

    fn may(&self, _: Right) -> BoxFuture<'_, Result<Preflight, Failure>> {
        ready(Ok(Preflight::Accepted)).boxed()
    }

    fn by_hand(&self, _: &Action, _: Option<&Subject>) -> Vec<String> {
        vec![]
    }
}

/// A backend that has nothing.
struct Silent;

impl Metrics for Silent {
    fn source(&self) -> SourceId {
        "prom".into()
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn instant(&self, _: &str, _: Option<DateTime<Utc>>) -> BoxFuture<'_, Result<Answer<Vec<(Labels, Sample)>>, Failure>> {
        ready(Err(Failure::NotSent { why: "nobody listens".into() })).boxed()
    }

    fn range(&self, _: &str, _: DateTime<Utc>, _: DateTime<Utc>, _: Duration) -> BoxFuture<'_, Result<Answer<Vec<Series>>, Failure>> {
        ready(Err(Failure::NotSent { why: "nobody listens".into() })).boxed()
    }
}

fn now() -> DateTime<Utc> {
    SystemClock::new().now().wall
}

fn key(service: &str) -> ServiceKey {
    let platform = if service == "checkout" { "eu" } else { "us" };
    ServiceKey { platform: platform.into(), service: service.into() }
}

fn spec(service: &str) -> ServiceSpec {
    let toml = r#"
version = 1
[[platform]]
name = "eu"
kind = "kubernetes"
[[platform]]
name = "us"
kind = "kubernetes"
[[metrics]]
name = "prom"
kind = "prometheus"
url = "http://127.0.0.1:9"
[[service]]
name = "checkout"
platform = "eu"
namespace = "shop"
metrics = "prom"
with = ["checkout-us"]
baseline = { deployment = "a", labels = { version = "stable" } }
canary = { deployment = "b", labels = { version = "canary" } }
route = { virtualservice = "checkout", baseline_subset = "stable", canary_subset = "canary" }
requests = 'sum by (version) (increase(http_requests_total[${window}]))'
[[service]]
name = "checkout-us"
platform = "us"
namespace = "shop"
metrics = "prom"
baseline = { deployment = "a", labels = { version = "stable" } }
canary = { deployment = "b", labels = { version = "canary" } }
route = { virtualservice = "checkout", baseline_subset = "stable", canary_subset = "canary" }
requests = 'sum by (version) (increase(http_requests_total[${window}]))'
"#;
    let config = gonogo::config::parse(toml, Path::new("config.toml")).unwrap_or_else(|found| panic!("{found:?}"));
    config.services.into_iter().find(|spec| spec.name == service).unwrap()
}

fn journal(dir: &Path, session: &str) -> Arc<dyn Journal> {
    let settings = sqlite::Settings {
        path: dir.join("journal.db"),
        clock: Arc::new(SystemClock::new()),
        operator: session.into(),
        account: session.into(),
        host: "here".into(),
        pid: std::process::id(),
        session: session.into(),
        full_disk: None,
    };
    Arc::new(sqlite::open(settings).unwrap())
}

struct Rig {
    core: Core,
    own: Arc<Fake>,
    other: Arc<Fake>,
    journal: Arc<dyn Journal>,
    dir: tempfile::TempDir,
}

impl Rig {
    /// A cockpit on both services, in a run of both.
    async fn started(other_is_lost: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (Fake::new("checkout", 25, false), Fake::new("checkout-us", 5, other_is_lost));
        let journal = journal(dir.path(), "mira");
        let ports = Ports {
            service: "checkout".into(),
            platform: own.clone(),
            targets: vec![(spec("checkout-us"), other.clone())],
            metrics: Arc::new(Silent),
            alerts: None,
            journal: journal.clone(),
            logs: None,
            exports: None,
            signatures: None,
            clock: Arc::new(SystemClock::new()),
            acts: true,
        };
        let core = Core::start(&ports, spec("checkout"), Options { operator: "mira".into(), ..Options::default() });
        let mut rig = Self { core, own, other, journal, dir };
        let context = Context { with: vec![key("checkout-us")], services: Some(vec!["checkout".into()]), ..Context::default() };
        let loaded = load("two.yaml", BOOK, &BTreeMap::new(), &context);
        let runbook = loaded.runbook.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        rig.until("the journal was read", |model| model.journal_read).await;
        let first = first_draft(&rig.core.model, &runbook, false);
        let _ = rig.core.dispatch(Msg::Start { first });
        rig.until("the run began", |model| model.run.as_ref().is_some_and(|run| run.seat == Seat::Driving)).await;
        rig
    }

    async fn until(&mut self, what: &str, done: impl Fn(&gonogo::app::Model) -> bool) {
        let limit = Duration::from_secs(60);
        let end = until(&mut self.core, &Pace::Real, limit, |model| if done(model) { Step::Done(()) } else { Step::Wait }).await;
        assert!(end.is_some(), "it never came: {what}; said: {:?}", self.core.model.messages);
    }

    async fn epoch(&self, service: &str) -> Epoch {
        self.journal.lease(key(service)).await.unwrap().map_or(Epoch(0), |lease| lease.epoch)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_goes_to_each_platform_under_the_one_epoch_of_all_seats() {
    let mut rig = Rig::started(false).await;
    let epoch = rig.epoch("checkout").await;
    assert_eq!(rig.epoch("checkout-us").await, epoch, "one epoch for all");
    let _ = rig.core.dispatch(Msg::Requested(Request::BackOut { confirm: "0".into() }));
    rig.until("backed out", |model| model.run.as_ref().is_some_and(|run| run.state.phase == Phase::RolledBack)).await;
    assert_eq!((rig.own.route().canary, rig.other.route().canary), (0, 0));
    for (fake, target) in [(&rig.other, Some("checkout-us")), (&rig.own, None)] {
        let writes = fake.writes.lock().unwrap();
        let acts: Vec<_> = writes.iter().filter(|write| !write.is_fence()).collect();
        assert_eq!(acts.len(), 1, "{}: once", fake.name);
        assert_eq!((acts[0].target.as_deref(), acts[0].epoch), (target, epoch), "{}", fake.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_somebody_drives_is_left_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let ann = journal(dir.path(), "ann");
    let stamp = SystemClock::new().now();
    ann.acquire(key("checkout-us"), "checkout-us-20260314-1".into(), stamp, false).await.unwrap();
    let mira = journal(dir.path(), "mira");
    let ports = Ports {
        service: "checkout".into(),
        platform: Fake::new("checkout", 25, false),
        targets: vec![(spec("checkout-us"), Fake::new("checkout-us", 5, false) as Arc<dyn Platform>)],
        metrics: Arc::new(Silent),
        alerts: None,
        journal: mira.clone(),
        logs: None,
        exports: None,
        signatures: None,
        clock: Arc::new(SystemClock::new()),
        acts: true,
    };
    let mut core = Core::start(&ports, spec("checkout"), Options::default());
    let context = Context { with: vec![key("checkout-us")], services: Some(vec!["checkout".into()]), ..Context::default() };
    let runbook = load("two.yaml", BOOK, &BTreeMap::new(), &context).runbook.unwrap();
    let first = first_draft(&core.model, &runbook, false);
    let _ = core.dispatch(Msg::Start { first });
    let refused = |model: &mut gonogo::app::Model| {
        let said = model.messages.iter().any(|message| message.text.contains("drives us/checkout-us"));
        if said { Step::Done(()) } else { Step::Wait }
    };
    until(&mut core, &Pace::Real, LEASE_TTL, refused).await.unwrap_or_else(|| panic!("{:?}", core.model.messages));
    assert!(core.model.run.is_none(), "all seats or none");
    let own = mira.lease(key("checkout")).await.unwrap();
    assert!(own.is_none_or(|lease| !lease.live), "the own seat was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cluster_blinds_nobody_else_and_keeps_the_run_from_going_on() {
    let mut rig = Rig::started(true).await;
    rig.until("both told", |model| model.picture.route_read && model.targets[0].platform.trouble.is_some()).await;
    let wall = rig.core.now().wall;
    let model = &rig.core.model;
    assert!(model.platform.freshness(wall).usable(), "our own platform is as live as before");
    assert!(!model.targets[0].platform.freshness(wall).usable());
    let reasons: Vec<&str> = model.verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert!(reasons.iter().any(|text| text.starts_with("checkout-us: ")), "{reasons:?}");
    assert!(!model.verdict.verdict.permits_go());
    assert!(rig.dir.path().join("journal.db").exists());
}
