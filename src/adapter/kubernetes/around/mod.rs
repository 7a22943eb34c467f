//! What stands around the workload: one watch for each kind, and use of CPU and memory polled at its own resolution.
//!
//! Nothing of it is needed to release: a kind that cannot be read is said and left out, and never makes the platform look lost.

mod near;
mod objects;

use super::Core;
use super::answer::Problem;
use super::feed::{Closed, Feed, Follower, Kind, Outlet, Seen};
use super::life::Life;
use super::link::{Ask, PAGE_LIMIT, query};
use super::objects::{Deployment, Object};
use super::scope::Scope;
use crate::domain::around::{AroundUpdate, Near, NearKey, Used};
use crate::domain::text::clean_bounded;
use crate::domain::{Failure, Track};
use crate::port::platform::PlatformUpdate;
use objects::{Autoscaler, Bare, Budget, EndpointSlice, Ingress, Named, Service, UsageList};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

pub(super) use near::Ground;

/// metrics.k8s.io measures about so often.
const USAGE: Duration = Duration::from_secs(15);
/// After a failure it is asked more seldom.
const USAGE_FAILED: Duration = Duration::from_secs(60);

/// News of a Deployment, or of what is built like one: what a side is started with and who owns it. `kind` names it.
pub(super) fn learn(ground: &watch::Sender<Ground>, track: Track, kind: &str, deployment: Option<&Deployment>) -> Vec<PlatformUpdate> {
    ground.send_if_modified(|ground| ground.set(track, deployment));
    let Some(deployment) = deployment else { return vec![] };
    let object = format!("{kind}/{}", clean_bounded(&deployment.metadata.name, 253));
    let shape = Near::Shape(track, near::shape(deployment, &object));
    let owner = Near::Owned(object, near::owner(&deployment.metadata.labels, &deployment.metadata.annotations));
    [shape, owner].into_iter().map(told).collect()
}

/// Who owns the object that splits traffic.
pub(super) fn route_owner(object: &Value, name: Option<String>) -> Option<PlatformUpdate> {
    Some(told(Near::Owned(name?, near::owner_of(object))))
}

fn told(near: Near) -> PlatformUpdate {
    PlatformUpdate::Around(AroundUpdate::Near(Box::new(near)))
}

/// Follows everything around the workload until nobody listens.
pub(super) async fn run(core: &Core, outlet: &Outlet, ground: watch::Receiver<Ground>, scoped: watch::Receiver<Scope>) {
    let (updates, inbox) = mpsc::channel(64);
    // Signs of life of their own: silence here says nothing about the workload.
    let life = Arc::new(Life::new(Arc::clone(core.link.clock())));
    let aside = Outlet { updates, wake: outlet.wake.clone(), life };
    let (ours, services) = watch::channel(BTreeSet::new());
    let of = |ground: &watch::Receiver<Ground>| ground.clone();
    tokio::join!(
        forward(inbox, outlet),
        near_services(core, &aside, of(&ground), &ours),
        kind(core, &aside, of(&ground), "horizontalpodautoscalers", "/apis/autoscaling/v2", |it: &Autoscaler, ground| {
            near::autoscaler(it, ground)
        }),
        kind(core, &aside, of(&ground), "poddisruptionbudgets", "/apis/policy/v1", |it: &Budget, ground| near::budget(it, ground)),
        kind(core, &aside, of(&ground), "configmaps", "/api/v1", |it: &Bare, ground| near::setting(it, false, ground)),
        kind(core, &aside, of(&ground), "secrets", "/api/v1", |it: &Bare, ground| near::setting(it, true, ground)),
        nodes(core, &aside, of(&ground)),
        behind_services(core, &aside, services.clone()),
        before_services(core, &aside, services),
        usage(core, &aside, scoped),
    );
}

/// Failures of a kind around the workload are remarks, never trouble of the platform.
async fn forward(mut inbox: mpsc::Receiver<PlatformUpdate>, outlet: &Outlet) {
    while let Some(update) = inbox.recv().await {
        let update = match update {
            PlatformUpdate::Alive { .. } => continue,
            PlatformUpdate::Trouble { failure, part, .. } => PlatformUpdate::Around(AroundUpdate::Unread { part, why: words(&failure) }),
            other => other,
        };
        if outlet.updates.send(update).await.is_err() {
            return;
        }
    }
}

fn words(failure: &Failure) -> String {
    clean_bounded(&failure.to_string(), 200)
}

/// Turns objects of one kind into things near the workload.
struct Watcher<F> {
    part: &'static str,
    /// The key of what an object of this name becomes.
    key: fn(&str) -> NearKey,
    ground: Ground,
    near: F,
    listing: Vec<Near>,
    /// Keys that were told.
    known: BTreeSet<NearKey>,
}

impl<T: Object + Named, F: Fn(&T, &Ground) -> Option<Near> + Send> Follower<T> for Watcher<F> {
    fn saw(&mut self, seen: Seen<T>) -> Vec<PlatformUpdate> {
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    self.listing.clear();
                }
                self.listing.extend(items.iter().filter_map(|item| (self.near)(item, &self.ground)));
                if last { self.listed() } else { vec![] }
            }
            Seen::Changed(object) => match (self.near)(&object, &self.ground) {
                Some(near) => {
                    self.known.insert(near.key());
                    vec![told(near)]
                }
                // It no longer concerns the service.
                None => self.gone(object.name()),
            },
            Seen::Gone(object) => self.gone(object.name()),
        }
    }
}

impl<F> Watcher<F> {
    fn gone(&mut self, name: &str) -> Vec<PlatformUpdate> {
        let key = (self.key)(&clean_bounded(name, 253));
        if self.known.remove(&key) { vec![PlatformUpdate::Around(AroundUpdate::Gone(key))] } else { vec![] }
    }

    /// All there is of the kind.
    fn listed(&mut self) -> Vec<PlatformUpdate> {
        let now: BTreeSet<_> = self.listing.iter().map(Near::key).collect();
        let gone = self.known.difference(&now).cloned().map(|key| PlatformUpdate::Around(AroundUpdate::Gone(key)));
        let mut updates: Vec<PlatformUpdate> = gone.collect();
        updates.push(PlatformUpdate::Around(AroundUpdate::Read { part: self.part }));
        updates.extend(self.listing.drain(..).map(told));
        self.known = now;
        updates
    }
}

/// How things of a kind are told apart.
fn key_of(part: &str) -> fn(&str) -> NearKey {
    match part {
        "services" => |name| ("service", name.to_owned()),
        "endpointslices" => |name| ("endpoints", name.to_owned()),
        "ingresses" => |name| ("ingress", name.to_owned()),
        "horizontalpodautoscalers" => |name| ("autoscaler", name.to_owned()),
        "poddisruptionbudgets" => |name| ("budget", name.to_owned()),
        "configmaps" => |name| ("setting", format!("configmap/{name}")),
        "secrets" => |name| ("setting", format!("secret/{name}")),
        _ => |name| ("node", name.to_owned()),
    }
}

/// Lists and watches a kind, anew whenever what belongs to the service changes.
async fn kind<T, F>(core: &Core, aside: &Outlet, mut ground: watch::Receiver<Ground>, part: &'static str, group: &str, near: F)
where
    T: Object + Named,
    F: Fn(&T, &Ground) -> Option<Near> + Send + Copy,
{
    let mut known = BTreeSet::new();
    loop {
        let Ok(found) = ground.wait_for(Ground::is_there).await.map(|g| g.clone()) else { return };
        ground.mark_unchanged();
        let mut watcher = Watcher { part, key: key_of(part), ground: found, near, listing: vec![], known: std::mem::take(&mut known) };
        let what = Kind { as_metadata: matches!(part, "configmaps" | "secrets"), ..core.kind(part, group, part) };
        let mut feed = Feed::new(Arc::clone(&core.link), what, aside.clone());
        tokio::select! {
            Closed = feed.run::<T>(&mut watcher) => return,
            changed = ground.changed() => if changed.is_err() { return },
        }
        known = watcher.known;
    }
}

/// Services, whose names the kinds behind and before them are read by.
async fn near_services(core: &Core, aside: &Outlet, ground: watch::Receiver<Ground>, ours: &watch::Sender<BTreeSet<String>>) {
    let near = |it: &Service, ground: &Ground| {
        let near = near::service(it, ground)?;
        ours.send_if_modified(|names| names.insert(it.metadata.name.clone()));
        Some(near)
    };
    kind(core, aside, ground, "services", "/api/v1", near).await;
}

/// Addresses of the Services that are ours.
async fn behind_services(core: &Core, aside: &Outlet, mut services: watch::Receiver<BTreeSet<String>>) {
    let mut known = BTreeSet::new();
    loop {
        let Ok(names) = services.wait_for(|names| !names.is_empty()).await.map(|names| names.clone()) else { return };
        services.mark_unchanged();
        let names: Vec<String> = names.into_iter().collect();
        let selector = format!("kubernetes.io/service-name in ({})", names.join(","));
        let what = core.kind("endpointslices", "/apis/discovery.k8s.io/v1", "endpointslices").labels(&selector);
        let near = |it: &EndpointSlice, _: &Ground| near::endpoints(it);
        let mut watcher = Watcher {
            part: "endpointslices",
            key: key_of("endpointslices"),
            ground: Ground::default(),
            near,
            listing: vec![],
            known: std::mem::take(&mut known),
        };
        let mut feed = Feed::new(Arc::clone(&core.link), what, aside.clone());
        tokio::select! {
            Closed = feed.run::<EndpointSlice>(&mut watcher) => return,
            changed = services.changed() => if changed.is_err() { return },
        }
        known = watcher.known;
    }
}

/// Ingresses that lead to the Services that are ours.
async fn before_services(core: &Core, aside: &Outlet, mut services: watch::Receiver<BTreeSet<String>>) {
    let mut known = BTreeSet::new();
    loop {
        let Ok(names) = services.wait_for(|names| !names.is_empty()).await.map(|names| names.clone()) else { return };
        services.mark_unchanged();
        let what = core.kind("ingresses", "/apis/networking.k8s.io/v1", "ingresses");
        let near = |it: &Ingress, _: &Ground| near::ingress(it, &names);
        let mut watcher = Watcher {
            part: "ingresses",
            key: key_of("ingresses"),
            ground: Ground::default(),
            near,
            listing: vec![],
            known: std::mem::take(&mut known),
        };
        let mut feed = Feed::new(Arc::clone(&core.link), what, aside.clone());
        tokio::select! {
            Closed = feed.run::<Ingress>(&mut watcher) => return,
            changed = services.changed() => if changed.is_err() { return },
        }
        known = watcher.known;
    }
}

/// Zones of nodes. Who may only see a namespace does not see them.
async fn nodes(core: &Core, aside: &Outlet, mut ground: watch::Receiver<Ground>) {
    if ground.wait_for(Ground::is_there).await.is_err() {
        return;
    }
    let what = Kind { path: "/api/v1/nodes".to_owned(), as_metadata: true, ..core.kind("nodes", "", "") };
    let near = |it: &Bare, _: &Ground| near::node(it);
    let mut watcher =
        Watcher { part: "nodes", key: key_of("nodes"), ground: Ground::default(), near, listing: vec![], known: BTreeSet::new() };
    let Closed = Feed::new(Arc::clone(&core.link), what, aside.clone()).run::<Bare>(&mut watcher).await;
}

/// Use of CPU and memory: this API has no watch.
async fn usage(core: &Core, aside: &Outlet, mut scoped: watch::Receiver<Scope>) {
    loop {
        let Ok(selectors) = scoped.wait_for(|scope| !scope.selectors().is_empty()).await.map(|scope| scope.selectors()) else { return };
        let (update, wait) = match measure(core, &selectors).await {
            Ok(update) => (update, USAGE),
            Err(problem) => (AroundUpdate::Unread { part: "usage", why: words(&problem.failure) }, USAGE_FAILED),
        };
        if aside.updates.send(PlatformUpdate::Around(update)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = aside.updates.closed() => return,
        }
    }
}

async fn measure(core: &Core, selectors: &[String]) -> Result<AroundUpdate, Problem> {
    let mut used: HashMap<Arc<str>, Used> = HashMap::new();
    let mut newest = None;
    for selector in selectors {
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", core.spec.namespace);
        let what = "read the use of CPU and memory".to_owned();
        let ask = Ask { limit: PAGE_LIMIT, ..Ask::object(what.clone(), path + &query(&[("labelSelector", selector)])) };
        let reply = core.link.ask(&ask).await?;
        let list: UsageList = serde_json::from_slice(&reply.body).map_err(|error| super::answer::unreadable(&what, &reply.body, &error))?;
        for pod in &list.items {
            newest = newest.max(pod.timestamp);
            used.insert(clean_bounded(&pod.metadata.name, 253).into(), near::used(pod));
        }
    }
    let at = newest.unwrap_or_else(|| core.link.clock().now().wall);
    Ok(AroundUpdate::Usage { at, used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, app: &str) -> Service {
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "selector": { "app": app } } })).unwrap()
    }

    fn near(it: &Service, _: &Ground) -> Option<Near> {
        let ours = it.spec.selector.get("app").is_some_and(|app| app == "checkout");
        ours.then(|| Near::Service { name: it.metadata.name.clone(), tracks: vec![Track::Canary] })
    }

    #[test]
    fn what_is_deleted_leaves_the_list_or_no_longer_concerns_the_service_is_gone() {
        let mut watcher =
            Watcher { part: "services", key: key_of("services"), ground: Ground::default(), near, listing: vec![], known: BTreeSet::new() };
        let gone = |name: &str| PlatformUpdate::Around(AroundUpdate::Gone(("service", name.to_owned())));
        let all = |names: &[&str]| names.iter().map(|name| service(name, "checkout")).collect::<Vec<_>>();
        let page = |items| Seen::Page { items, first: true, last: true };
        assert_eq!(watcher.saw(page(all(&["a", "b", "c"]))).len(), 4, "readable, and three things");
        assert_eq!(watcher.saw(page(all(&["a", "b"])))[0], gone("c"));
        assert_eq!(watcher.saw(Seen::Changed(service("a", "cart"))), [gone("a")]);
        assert_eq!(watcher.saw(Seen::Gone(service("b", "checkout"))), [gone("b")]);
        assert_eq!(watcher.saw(Seen::Gone(service("x", "cart"))), [], "never ours");
    }
}
