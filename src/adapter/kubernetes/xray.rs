//! The route down to its instances: rules of the route, what picks the instances of each destination, and how many there are.
//!
//! One watch for each kind that is needed, and the pods that are watched anyway. Where a selector picks none of them the cluster is
//! asked once more: other pods of the namespace may stand there.

use super::Core;
use super::census::LabelSet;
use super::feed::{Closed, Feed, Follower, Kind, Outlet, Seen};
use super::objects::Pod;
use super::pods::{SharedBook, open, version};
use super::selector::written;
use crate::domain::text::clean_bounded;
use crate::domain::{RouteSpec, Track, Xray, XrayDestination, XrayInstances, XraySelector};
use crate::port::platform::PlatformUpdate;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

mod rules;

/// Changes within this time are told together.
const TOGETHER: Duration = Duration::from_millis(250);
/// A selector that picks nothing known is asked about again after this long.
const AGAIN: Duration = Duration::from_secs(10);
/// Most selectors that are asked about.
const QUESTIONS: usize = 16;

/// The objects that routes lead through, as read last.
#[derive(Default)]
struct Board {
    /// The object with the rules, if there is one.
    route: Option<Value>,
    /// It was looked for.
    looked: bool,
    /// By kind, by name. A kind that is not here was not read.
    others: HashMap<&'static str, BTreeMap<String, Value>>,
    /// Why a kind could not be read.
    unread: BTreeMap<&'static str, String>,
}

/// The board, shared by the watches that write it.
#[derive(Clone, Default)]
pub(super) struct SharedBoard {
    board: Arc<Mutex<Board>>,
    changed: Arc<Notify>,
}

impl SharedBoard {
    fn change(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// The object with the rules, as read last.
    pub(super) fn route(&self, object: Option<Value>) {
        self.change(|board| (board.route, board.looked) = (object, true));
    }
}

/// Writes the objects of one kind onto the board.
struct Writes {
    board: SharedBoard,
    part: &'static str,
    listing: BTreeMap<String, Value>,
}

impl Follower<Value> for Writes {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        let name = |object: &Value| object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    self.listing.clear();
                }
                self.listing.extend(items.into_iter().map(|object| (name(&object), slim(object))));
                if last {
                    let all = std::mem::take(&mut self.listing);
                    self.board.change(|board| {
                        board.unread.remove(self.part);
                        board.others.insert(self.part, all);
                    });
                }
            }
            Seen::Changed(object) => {
                self.board.change(|board| drop(board.others.entry(self.part).or_default().insert(name(&object), slim(object))));
            }
            Seen::Gone(object) => self.board.change(|board| drop(board.others.entry(self.part).or_default().remove(&name(&object)))),
        }
        vec![]
    }
}

/// The parts that are read.
fn slim(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    object
}

/// The kinds that a route leads through: part, group, versions, plural name.
fn kinds(route: &RouteSpec) -> &'static [(&'static str, &'static str, &'static [&'static str])] {
    const SERVICES: (&str, &str, &[&str]) = ("services", "", &["v1"]);
    match route {
        RouteSpec::VirtualService { .. } => &[SERVICES, ("destinationrules", super::mesh::GROUP, super::mesh::VERSIONS)],
        RouteSpec::HttpRoute { .. } => &[SERVICES],
        RouteSpec::Ingress { .. } => &[SERVICES, ("ingresses", "networking.k8s.io", &["v1"])],
        RouteSpec::Selector { .. } | RouteSpec::Rollout { .. } | RouteSpec::Rolling => &[],
    }
}

/// Watches what the route leads through and tells where it leads, for ever.
pub(super) async fn run(core: &Core, outlet: &Outlet, book: &SharedBook, board: &SharedBoard) {
    if core.splitter().is_none() {
        return;
    }
    let feeds = kinds(&core.spec.route).iter().map(|(part, group, versions)| follow(core, outlet, board, part, group, versions));
    tokio::join!(futures::future::join_all(feeds), tell(core, outlet, book, board));
}

/// One kind. A right that is missing is said in the picture and not as trouble of the platform: the route works without it.
async fn follow(
    core: &Core,
    outlet: &Outlet,
    board: &SharedBoard,
    part: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
) {
    let (updates, mut told) = tokio::sync::mpsc::channel(8);
    let inner = Outlet { updates, wake: outlet.wake.clone(), life: Arc::clone(&outlet.life) };
    let mut served = core.served.subscribe();
    let watch = async {
        loop {
            served.mark_unchanged();
            let version = core.version(group, versions);
            let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            let path = format!("{prefix}/namespaces/{}/{part}", core.spec.namespace);
            let kind = Kind {
                part,
                path,
                labels: None,
                fields: None,
                page: super::feed::PAGE,
                limit: super::link::PAGE_LIMIT,
                as_metadata: false,
            };
            let mut feed = Feed::new(Arc::clone(&core.link), kind, inner.clone());
            let mut follower = Writes { board: board.clone(), part, listing: BTreeMap::new() };
            tokio::select! {
                Closed = feed.run::<Value>(&mut follower) => return,
                changed = served.changed() => if changed.is_err() { return },
            }
        }
    };
    let listen = async {
        while let Some(update) = told.recv().await {
            match update {
                PlatformUpdate::Trouble { failure, .. } => {
                    let why = clean_bounded(&failure.to_string(), 160);
                    board.change(|board| drop(board.unread.insert(part, why)));
                }
                other => {
                    if outlet.updates.send(other).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = listen => {}
        () = outlet.updates.closed() => {}
    }
}

/// Tells where the route leads whenever that changed.
async fn tell(core: &Core, outlet: &Outlet, book: &SharedBook, board: &SharedBoard) {
    let counted = open(book).census.changes();
    let mut last: Option<Xray> = None;
    let mut elsewhere = Elsewhere::default();
    loop {
        let (xray, asked) = {
            let known = board.board.lock().unwrap_or_else(PoisonError::into_inner);
            see(core, &known, book, &elsewhere)
        };
        // A picture whose doubts are being asked about is told when they are answered.
        let open_questions = elsewhere.ask(core, asked).await;
        if !open_questions && xray.is_some() && last != xray {
            if let Some(xray) = &xray
                && outlet.updates.send(PlatformUpdate::Xray(Box::new(xray.clone()))).await.is_err()
            {
                return;
            }
            last = xray;
        }
        if open_questions {
            continue;
        }
        let again = async { if elsewhere.answers.is_empty() { std::future::pending().await } else { tokio::time::sleep(AGAIN).await } };
        tokio::select! {
            () = board.changed.notified() => {}
            () = counted.notified() => {}
            () = again => elsewhere.answers.clear(),
            () = outlet.updates.closed() => return,
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Pods that are none of the service's known instances, by selector.
#[derive(Default)]
struct Elsewhere {
    answers: BTreeMap<String, Result<XrayInstances, String>>,
}

impl Elsewhere {
    /// Asks about the selectors that picked nothing. True: there are answers that were not there before.
    async fn ask(&mut self, core: &Core, selectors: BTreeSet<String>) -> bool {
        self.answers.retain(|selector, _| selectors.contains(selector));
        let unasked: Vec<String> = selectors.into_iter().filter(|selector| !self.answers.contains_key(selector)).take(QUESTIONS).collect();
        for selector in &unasked {
            let collection = format!("/api/v1/namespaces/{}/pods", core.spec.namespace);
            let (mut count, mut versions) = (XrayInstances::default(), BTreeSet::new());
            let mut take = |pod: Pod| {
                count.all += 1;
                count.ready += u32::from(pod.is_ready());
                versions.extend(super::pods::main_container(&pod.spec.containers).map(|container| version(&container.image)));
            };
            let read = core.each::<Pod>("list pods", &collection, Some(selector), &mut take).await;
            count.versions = versions.into_iter().take(8).collect();
            let answer = read.map(|()| count).map_err(|problem| clean_bounded(&problem.failure.to_string(), 160));
            self.answers.insert(selector.clone(), answer);
        }
        !unasked.is_empty()
    }
}

/// What picks the instances of a destination, before they are counted.
enum Picks {
    Labels(LabelSet),
    Undefined(String),
    Unknown(String),
}

/// The picture as it is now, and the selectors that pick nothing known. `None` until the route was read.
fn see(core: &Core, board: &Board, book: &SharedBook, elsewhere: &Elsewhere) -> (Option<Xray>, BTreeSet<String>) {
    if !board.looked {
        return (None, BTreeSet::new());
    }
    let mut asked = BTreeSet::new();
    let book = open(book);
    let mut xray = Xray {
        object: core.spec.route.object().unwrap_or_default(),
        canary: book.census.side(Track::Canary),
        baseline: book.census.side(Track::Baseline),
        unread: board.unread.iter().map(|(part, why)| format!("{part}: {why}")).collect(),
        ..Xray::default()
    };
    let mut count = |picks: Picks| match picks {
        Picks::Labels(labels) => {
            let text = written(&labels);
            let mut instances = book.census.picked(&labels);
            if instances.as_ref().is_some_and(|known| known.all == 0) && !labels.is_empty() {
                instances = elsewhere.answers.get(&text).and_then(|answer| answer.as_ref().ok().cloned());
                asked.insert(text.clone());
            }
            (XraySelector::Labels(clean_bounded(&text, 200)), instances)
        }
        Picks::Undefined(why) => (XraySelector::Undefined(why), Some(XrayInstances::default())),
        Picks::Unknown(why) => (XraySelector::Unknown(why), None),
    };
    if let Some(object) = &board.route {
        rules::read(&core.spec, object, board, &mut xray, &mut |name, weight, meant, picks| {
            let (picks, instances) = count(picks);
            XrayDestination { name, weight, meant, picks, instances }
        });
    }
    (Some(xray), asked)
}
