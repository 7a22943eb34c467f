//! Everything that concerns the service, as one stream: a feed for each kind, and a heartbeat that proves the picture is alive.

use super::Core;
use super::argo::{self, SharedDeck};
use super::around::{self, Ground};
use super::feed::{Closed, Feed, Follower, Kind, Outlet, PAGE, Seen, dice};
use super::flagger::Canaries;
use super::life::Life;
use super::link::{Ask, OBJECT_LIMIT, PAGE_LIMIT, query};
use super::objects::{Deployment, Event, Pod, ReplicaSet};
use super::pods::{Book, Pods, ReplicaSets, SharedBook, open};
use super::scope::Scope;
use super::workloads::{Deployments, Events};
use super::xray::SharedBoard;
use crate::domain::backoff::Backoff;
use crate::domain::{Clock, Failure, Refusal, RouteSpec, Track};
use crate::port::platform::PlatformUpdate;
use futures::FutureExt as _;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the route is read past every cache.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long both Deployments are waited for before what is known of one has to do.
const BOTH: Duration = Duration::from_secs(2);
/// How often a kind that is not there is asked for.
const ABSENT: Duration = Duration::from_secs(300);

/// The stream. All work is done by whoever polls it, and ends with it.
pub(super) fn stream(core: Arc<Core>) -> BoxStream<'static, PlatformUpdate> {
    let (updates, inbox) = mpsc::channel(256);
    let work = run(core, updates).fuse().boxed();
    let both = stream::unfold((inbox, work), |(mut inbox, mut work)| async {
        let mut over = false;
        loop {
            tokio::select! {
                biased;
                update = inbox.recv() => return update.map(|update| (update, (inbox, work))),
                () = &mut work, if !over => over = true,
            }
        }
    });
    both.boxed()
}

async fn run(core: Arc<Core>, updates: mpsc::Sender<PlatformUpdate>) {
    let (wake, woken) = watch::channel(0_u64);
    let life = Arc::new(Life::new(Arc::clone(core.link.clock())));
    let outlet = Outlet { updates, wake: woken, life };
    let (scope, scoped) = watch::channel(Scope::default());
    let (ground, grounded) = watch::channel(Ground::default());
    let book: SharedBook = Arc::new(Mutex::new(Book::new(Arc::clone(&core.spec))));
    let routes = Arc::new(AtomicU64::new(0));
    let board = SharedBoard::default();
    if let RouteSpec::Rollout { name } = &core.spec.route {
        let deck = argo::deck();
        let whole = argo::Watched { deck: Arc::clone(&deck), book: Arc::clone(&book), scope, ground, routes: Arc::clone(&routes) };
        tokio::join!(
            heartbeat(&core, &outlet, &wake, &routes, &board),
            rollout(&core, &outlet, whole),
            around::run(&core, &outlet, grounded, scoped.clone()),
            instances(&core, &outlet, scoped, &book, Some(&deck)),
            analysis_runs(&core, &outlet, &deck, name),
            helm_releases(&core, &outlet),
            events(&core, &outlet, &book),
        );
        return;
    }
    tokio::join!(
        heartbeat(&core, &outlet, &wake, &routes, &board),
        deployments(&core, &outlet, Track::Canary, scope.clone(), ground.clone(), &book),
        deployments(&core, &outlet, Track::Baseline, scope, ground, &book),
        around::run(&core, &outlet, grounded, scoped.clone()),
        instances(&core, &outlet, scoped, &book, None),
        events(&core, &outlet, &book),
        route_changes(&core, &outlet, &routes, &board),
        super::xray::run(&core, &outlet, &book, &board),
        flagger_canaries(&core, &outlet),
        helm_releases(&core, &outlet),
    );
}

/// Reads the route, over and over: its content, and the server's clock.
async fn heartbeat(core: &Core, outlet: &Outlet, wake: &watch::Sender<u64>, routes: &AtomicU64, board: &SharedBoard) {
    let mut backoff = Backoff::new(Duration::from_secs(1), HEARTBEAT);
    loop {
        let asked = core.link.clock().now();
        let seen = routes.load(Ordering::SeqCst);
        let answer = core.read_now().await;
        let (date, route) = match answer {
            Ok((look, reply)) => (reply.date, Ok(Some((look.subject.route.map(|route| *route), look.object)))),
            Err(problem) => match problem.failure {
                Failure::Refused { reason: Refusal::Missing, .. } if !problem.no_such_path => (problem.date, Ok(None)),
                failure => (problem.date, Err(failure)),
            },
        };
        let mut told = Vec::new();
        let wait = match route {
            Ok(route) => {
                // Connections from before the break may be dead without knowing.
                if backoff.attempts() > 0 {
                    wake.send_modify(|times| *times += 1);
                }
                backoff.succeeded();
                // A change that the watch told meanwhile is newer than this answer.
                if routes.load(Ordering::SeqCst) == seen {
                    let (route, object) = route.unzip();
                    board.route(object);
                    told.push(PlatformUpdate::Route(route.flatten()));
                }
                told.push(outlet.life.beat(asked, date));
                None
            }
            Err(failure) => {
                // Without the right to read the route the watches still tell the truth.
                if !matches!(failure, Failure::Refused { reason: Refusal::Right, .. }) {
                    outlet.life.missed();
                }
                let wait = backoff.after_failure(dice());
                told.push(PlatformUpdate::Trouble { failure, part: "route", retry_in: wait });
                Some(wait)
            }
        };
        for update in told {
            if outlet.updates.send(update).await.is_err() {
                return;
            }
        }
        let pause = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => next_beat(core.link.clock().as_ref(), asked.boot + HEARTBEAT).await,
            }
        };
        tokio::select! {
            () = pause => {}
            () = outlet.updates.closed() => return,
        }
    }
}

/// Until a moment of the injected clock, so that a demo that runs fast beats fast; never longer than a beat takes on a real one.
async fn next_beat(clock: &dyn Clock, at: Duration) {
    let latest = tokio::time::sleep(HEARTBEAT);
    tokio::pin!(latest);
    let mut waited = false;
    loop {
        let moved = clock.moved();
        let mut wait = clock.real_wait(at);
        if wait.is_zero() {
            if waited {
                return;
            }
            // However fast the clock runs, requests are this far apart.
            wait = Duration::from_millis(2);
        }
        waited = true;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = moved => {}
            () = &mut latest => return,
        }
    }
}

async fn deployments(
    core: &Core,
    outlet: &Outlet,
    track: Track,
    scope: watch::Sender<Scope>,
    ground: watch::Sender<Ground>,
    book: &SharedBook,
) {
    if track == Track::Baseline && matches!(core.spec.route, RouteSpec::Rolling) {
        // One Deployment runs both sides, and it is watched once.
        scope.send_if_modified(|scope| scope.set(track, None));
        return;
    }
    let name = match track {
        Track::Canary => &core.spec.canary.deployment,
        Track::Baseline => &core.spec.baseline.deployment,
    };
    let kind = core.kind("deployments", "/apis/apps/v1", "deployments").fields(format!("metadata.name={name}"));
    let mut follower = Deployments { track, scope, ground, known: None, book: Arc::clone(book) };
    let Closed = Feed::new(Arc::clone(&core.link), kind, outlet.clone()).run::<Deployment>(&mut follower).await;
}

/// Pods and ReplicaSets, as far as the Deployments' selectors reach; anew whenever those change.
async fn instances(core: &Core, outlet: &Outlet, mut scoped: watch::Receiver<Scope>, book: &SharedBook, deck: Option<&SharedDeck>) {
    loop {
        // One side missing is normal; one side late is worth a moment, because the list is long.
        let _ = tokio::time::timeout(BOTH, scoped.wait_for(Scope::complete)).await;
        let scope = match scoped.wait_for(|scope| scope.complete() || !scope.selectors().is_empty()).await {
            Ok(scope) => scope.clone(),
            Err(_) => return,
        };
        scoped.mark_unchanged();
        let selectors = scope.selectors();
        open(book).rescope(scope, selectors.len());
        if selectors.is_empty() && outlet.updates.send(PlatformUpdate::Instances(vec![])).await.is_err() {
            return;
        }
        let feeds = selectors.iter().enumerate().flat_map(|(slot, selector)| {
            let pods = core.kind("pods", "/api/v1", "pods").labels(selector);
            let sets = core.kind("replicasets", "/apis/apps/v1", "replicasets").labels(selector);
            let (mut in_pods, mut in_sets) = (Pods { book: Arc::clone(book), slot }, ReplicaSets { book: Arc::clone(book) });
            let in_deck = deck.map(|deck| argo::Sets { deck: Arc::clone(deck), book: Arc::clone(book) });
            let (link, other, to, also) = (Arc::clone(&core.link), Arc::clone(&core.link), outlet.clone(), outlet.clone());
            [
                async move { Feed::new(link, pods, to).run::<Pod>(&mut in_pods).await }.boxed(),
                async move {
                    let mut feed = Feed::new(other, sets, also);
                    match in_deck {
                        Some(mut follower) => feed.run::<Value>(&mut follower).await,
                        None => feed.run::<ReplicaSet>(&mut in_sets).await,
                    }
                }
                .boxed(),
            ]
        });
        let feeds = join_all(feeds);
        let over = tokio::select! {
            closed = feeds, if !selectors.is_empty() => !closed.is_empty(),
            changed = scoped.changed() => changed.is_err(),
            () = outlet.updates.closed() => true,
        };
        if over {
            return;
        }
    }
}

async fn events(core: &Core, outlet: &Outlet, book: &SharedBook) {
    let kind = core.kind("events", "/api/v1", "events");
    let mut follower = Events { book: Arc::clone(book), listed: vec![] };
    let Closed = Feed::new(Arc::clone(&core.link), kind, outlet.clone()).run::<Event>(&mut follower).await;
}

struct Routes<'a> {
    core: &'a Core,
    told: &'a AtomicU64,
    board: &'a SharedBoard,
}

impl Follower<Value> for Routes<'_> {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        let object = match seen {
            // Items of a list leave their kind out, and the heartbeat reads the object anyway.
            Seen::Page { items, .. } => {
                let owner = |object: &Value| around::route_owner(object, self.core.spec.route.object());
                return items.iter().filter_map(owner).collect();
            }
            Seen::Changed(object) => Some(object),
            Seen::Gone(_) => None,
        };
        self.told.fetch_add(1, Ordering::SeqCst);
        let owner = object.as_ref().and_then(|object| around::route_owner(object, self.core.spec.route.object()));
        self.board.route(object.clone());
        let route = object.and_then(|object| {
            let (mechanism, action) = self.core.beat();
            let look = mechanism.look(object, &action);
            self.core.remember(&look);
            look.subject.route
        });
        let mut updates = vec![PlatformUpdate::Route(route.map(|route| *route))];
        updates.extend(owner);
        updates
    }
}

/// The Rollout: route, workloads and steps in one watch.
async fn rollout(core: &Core, outlet: &Outlet, mut follower: argo::Watched) {
    let (mechanism, _) = core.beat();
    let place = mechanism.place();
    let kind = Kind { path: place.collection.clone(), ..core.kind("route", "", "") }.fields(format!("metadata.name={}", place.name));
    let Closed = Feed::new(Arc::clone(&core.link), kind, outlet.clone()).run::<Value>(&mut follower).await;
}

/// Analyses of the Rollout. A cluster may have none, or let us not see them: that is no trouble of the service.
async fn analysis_runs(core: &Core, outlet: &Outlet, deck: &SharedDeck, name: &str) {
    let (mechanism, _) = core.beat();
    let path = mechanism.place().collection.replace("/rollouts", "/analysisruns");
    let kind = Kind { path, page: 100, ..core.kind("analysis runs", "", "") };
    let mut follower = argo::Runs { deck: Arc::clone(deck), rollout: name.to_owned(), listed: vec![] };
    optional(core, outlet, kind, &mut follower).await;
}

/// Flagger's account of what it does to our Deployments.
async fn flagger_canaries(core: &Core, outlet: &Outlet) {
    let path = format!("/apis/flagger.app/v1beta1/namespaces/{}/canaries", core.spec.namespace);
    let kind = Kind { path, page: 100, ..core.kind("flagger canaries", "", "") };
    let deployments = vec![core.spec.canary.deployment.clone(), core.spec.baseline.deployment.clone()];
    let mut follower = Canaries { deployments, known: std::collections::BTreeMap::new(), told: None };
    optional(core, outlet, kind, &mut follower).await;
}

/// Helm's account of what it installed, by metadata alone.
async fn helm_releases(core: &Core, outlet: &Outlet) {
    let spec = &core.spec;
    let kind = Kind { as_metadata: true, page: 100, ..core.kind("helm releases", "/api/v1", "secrets") };
    let kind = kind.labels(super::helm::SELECTOR);
    let names = vec![spec.name.clone(), spec.canary.deployment.clone(), spec.baseline.deployment.clone()];
    let mut follower = super::helm::Releases { names, known: std::collections::BTreeMap::new(), told: vec![] };
    optional(core, outlet, kind, &mut follower).await;
}

/// Follows a kind that may not be there: asks for it now and then, and follows it once it answers.
pub(super) async fn optional(core: &Core, outlet: &Outlet, kind: Kind, follower: &mut dyn Follower<Value>) {
    loop {
        let path = format!("{}{}", kind.path, query(&[("limit", "1")]));
        let ask = Ask { accept: kind.accept(true), ..Ask::object(format!("look for {}", kind.part), path) };
        match core.link.ask(&ask).await.map_err(Failure::from) {
            Ok(_) => break,
            Err(Failure::Refused { reason: Refusal::Missing | Refusal::Right, .. }) => {}
            Err(_) => {
                tokio::select! {
                    () = tokio::time::sleep(HEARTBEAT) => continue,
                    () = outlet.updates.closed() => return,
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ABSENT) => {}
            () = outlet.updates.closed() => return,
        }
    }
    let Closed = Feed::new(Arc::clone(&core.link), kind, outlet.clone()).run::<Value>(follower).await;
}

/// Changes of the route, at once.
async fn route_changes(core: &Core, outlet: &Outlet, told: &AtomicU64, board: &SharedBoard) {
    let mut version = core.served.subscribe();
    loop {
        version.mark_unchanged();
        let (mechanism, _) = core.beat();
        let place = mechanism.place();
        let kind = Kind { path: place.collection.clone(), ..core.kind("route", "", "") };
        let kind = kind.fields(format!("metadata.name={}", place.name));
        let mut feed = Feed::new(Arc::clone(&core.link), kind, outlet.clone());
        let mut follower = Routes { core, told, board };
        tokio::select! {
            Closed = feed.run::<Value>(&mut follower) => return,
            changed = version.changed() => if changed.is_err() { return },
        }
    }
}

impl Core {
    pub(super) fn kind(&self, part: &'static str, group: &str, resource: &str) -> Kind {
        let path = format!("{group}/namespaces/{}/{resource}", self.spec.namespace);
        // One object needs no room for a page of five hundred.
        let limit = if matches!(part, "deployments" | "route") { OBJECT_LIMIT } else { PAGE_LIMIT };
        Kind { part, path, labels: None, fields: None, page: PAGE, limit, as_metadata: false }
    }
}

impl Kind {
    pub(super) fn labels(mut self, selector: &str) -> Self {
        self.labels = Some(selector.to_owned());
        self
    }

    fn fields(mut self, selector: String) -> Self {
        self.fields = Some(selector);
        self
    }
}
