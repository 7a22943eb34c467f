//! Following a Rollout: its own object, its ReplicaSets as the two workloads, and its AnalysisRuns.

use super::analysis::{analysis, belongs};
use super::read::{progressive, route};
use super::undo::{HASH, REVISION};
use crate::adapter::kubernetes::around::{self, Ground};
use crate::adapter::kubernetes::feed::{Follower, Seen};
use crate::adapter::kubernetes::objects::{Deployment, LabelSelector};
use crate::adapter::kubernetes::pods::{SharedBook, main_container, open, version};
use crate::adapter::kubernetes::scope::Scope;
use crate::domain::progressive::{Analysis, Progressive, ProgressiveUpdate, RolloutPhase};
use crate::domain::text::clean_bounded;
use crate::domain::{RolloutStatus, Track, Workload};
use crate::port::platform::PlatformUpdate;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What the feeds of one Rollout know together.
#[derive(Default)]
pub(in crate::adapter::kubernetes) struct Deck {
    rollout: Option<Progressive>,
    sets: BTreeMap<String, SetFacts>,
    listing: BTreeMap<String, SetFacts>,
    /// Uids of workloads that were told.
    told: BTreeSet<String>,
}

/// The deck, shared. Never held across a wait.
pub(in crate::adapter::kubernetes) type SharedDeck = Arc<Mutex<Deck>>;

/// An empty deck.
pub(in crate::adapter::kubernetes) fn deck() -> SharedDeck {
    Arc::default()
}

fn opened(deck: &SharedDeck) -> MutexGuard<'_, Deck> {
    deck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A ReplicaSet as far as it is a side of the release.
#[derive(Debug, Clone, PartialEq)]
struct SetFacts {
    name: String,
    hash: String,
    revision: Option<u64>,
    image: String,
    desired: u32,
    replicas: u32,
    ready: u32,
    available: u32,
    observed: bool,
}

impl Deck {
    /// Workloads by what is known now, and those that are no more.
    fn workloads(&mut self) -> Vec<PlatformUpdate> {
        let mut updates = Vec::new();
        let mut now = BTreeSet::new();
        if let Some(rollout) = &self.rollout {
            for (uid, set) in &self.sets {
                let track = match &set.hash {
                    hash if *hash == rollout.stable => Track::Baseline,
                    hash if *hash == rollout.newest => Track::Canary,
                    _ => continue,
                };
                now.insert(uid.clone());
                updates.push(PlatformUpdate::Workload(set.workload(uid, track, rollout)));
            }
        }
        let gone = self.told.difference(&now).map(|uid| PlatformUpdate::WorkloadGone { uid: uid.clone() });
        let mut all: Vec<PlatformUpdate> = gone.collect();
        all.extend(updates);
        self.told = now;
        all
    }
}

impl SetFacts {
    fn of(set: &Value) -> Option<(String, Self)> {
        let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
        let text = |pointer: &str| set.pointer(pointer).and_then(Value::as_str);
        let labels = set.pointer("/metadata/labels");
        let note = set.pointer("/metadata/annotations").and_then(|notes| notes.get(REVISION)).and_then(Value::as_str);
        let pods: crate::adapter::kubernetes::objects::PodSpec =
            set.pointer("/spec/template/spec").cloned().and_then(|spec| serde_json::from_value(spec).ok()).unwrap_or_default();
        let facts = Self {
            name: clean_bounded(text("/metadata/name")?, 253),
            hash: labels.and_then(|labels| labels.get(HASH)).and_then(Value::as_str).unwrap_or_default().to_owned(),
            revision: note.and_then(|note| note.parse().ok()),
            image: main_container(&pods.containers).map_or_else(String::new, |container| container.image.clone()),
            desired: number("/spec/replicas"),
            replicas: number("/status/replicas"),
            ready: number("/status/readyReplicas"),
            available: number("/status/availableReplicas"),
            observed: number("/status/observedGeneration") >= number("/metadata/generation"),
        };
        Some((text("/metadata/uid")?.to_owned(), facts))
    }

    fn workload(&self, uid: &str, track: Track, rollout: &Progressive) -> Workload {
        let failed = (track == Track::Canary && rollout.phase == RolloutPhase::Degraded).then(|| rollout.message.clone());
        let mut workload = Workload {
            track,
            object: format!("replicaset/{}", self.name),
            uid: uid.to_owned(),
            version: version(&self.image),
            image: clean_bounded(&self.image, 300),
            revision: self.revision,
            desired: self.desired,
            ready: self.ready,
            updated: self.replicas,
            available: self.available,
            observed_latest: self.observed && rollout.observed,
            paused: rollout.paused && track == Track::Canary,
            trouble: failed.clone(),
            rollout: RolloutStatus::Complete,
        };
        workload.rollout = workload.status_of(self.replicas, failed.as_deref());
        // Ready instances are not enough: until it stands at a pause, or is done, its controller is still moving.
        let moving = rollout.phase == RolloutPhase::Progressing && (track == Track::Canary || rollout.is_settled());
        if moving && workload.rollout == RolloutStatus::Complete {
            let place = rollout.place().map(|place| format!("{place}: ")).unwrap_or_default();
            workload.rollout = RolloutStatus::Waiting { why: format!("the rollout is on its way: {place}{}", rollout.message) };
        }
        workload
    }
}

/// Follows the Rollout itself.
pub(in crate::adapter::kubernetes) struct Watched {
    /// What the feeds know together.
    pub(in crate::adapter::kubernetes) deck: SharedDeck,
    /// Whose instances are whose.
    pub(in crate::adapter::kubernetes) book: SharedBook,
    /// What to watch.
    pub(in crate::adapter::kubernetes) scope: watch::Sender<Scope>,
    /// What others around it are matched by.
    pub(in crate::adapter::kubernetes) ground: watch::Sender<Ground>,
    /// Counts news of the route, so that an older answer of the heartbeat does not replace it.
    pub(in crate::adapter::kubernetes) routes: Arc<std::sync::atomic::AtomicU64>,
}

impl Watched {
    fn there(&self, mut object: Value) -> Vec<PlatformUpdate> {
        // Items of a list leave their kind out.
        if let Some(map) = object.as_object_mut() {
            map.entry("kind").or_insert_with(|| "Rollout".into());
        }
        let rollout = progressive(&object);
        let selector: LabelSelector = match object.pointer("/spec/selector") {
            Some(selector) => serde_json::from_value(selector.clone()).unwrap_or_default(),
            None => written(object.pointer("/status/selector").and_then(Value::as_str).unwrap_or_default()),
        };
        self.scope.send_if_modified(|scope| scope.set_one(&rollout.uid, &selector));
        let canary = (!rollout.is_settled() && !rollout.newest.is_empty()).then(|| rollout.newest.clone());
        self.routes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut updates = vec![PlatformUpdate::Route(Some(route(&object, &rollout)))];
        updates.extend(open(&self.book).split(Some(canary.as_deref().unwrap_or_default())));
        updates.extend(self.around(object));
        let mut deck = opened(&self.deck);
        deck.rollout = Some(rollout.clone());
        updates.push(PlatformUpdate::Progressive(ProgressiveUpdate::Rollout(Some(Box::new(rollout)))));
        updates.extend(deck.workloads());
        updates
    }

    /// Its template and its owners, which stand where a Deployment's do.
    fn around(&self, mut object: Value) -> Vec<PlatformUpdate> {
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        let like: Option<Deployment> = serde_json::from_value(object).ok();
        around::learn(&self.ground, Track::Canary, "rollout", like.as_ref())
    }

    fn not_there(&self) -> Vec<PlatformUpdate> {
        around::learn(&self.ground, Track::Canary, "rollout", None);
        self.scope.send_if_modified(Scope::set_none);
        self.routes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut deck = opened(&self.deck);
        deck.rollout = None;
        let mut updates = vec![PlatformUpdate::Route(None), PlatformUpdate::Progressive(ProgressiveUpdate::Rollout(None))];
        updates.extend(deck.workloads());
        updates
    }
}

/// A selector that the controller wrote as text, as far as it is made of equalities.
fn written(text: &str) -> LabelSelector {
    let pairs = text.split(',').filter_map(|term| term.split_once('='));
    let pairs = pairs.map(|(key, value)| (key.trim_end_matches('!').to_owned(), value.trim_start_matches('=').to_owned()));
    LabelSelector { match_labels: pairs.collect(), match_expressions: vec![] }
}

impl Follower<Value> for Watched {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        match seen {
            Seen::Page { items, .. } => match items.into_iter().next() {
                Some(object) => self.there(object),
                None => self.not_there(),
            },
            Seen::Changed(object) => self.there(object),
            Seen::Gone(_) => self.not_there(),
        }
    }
}

/// Follows its ReplicaSets.
pub(in crate::adapter::kubernetes) struct Sets {
    /// What the feeds know together.
    pub(in crate::adapter::kubernetes) deck: SharedDeck,
    /// Whose instances are whose.
    pub(in crate::adapter::kubernetes) book: SharedBook,
}

impl Follower<Value> for Sets {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        let owner = |set: &Value| {
            let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            let controller = owners.into_iter().flatten().find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
            controller.and_then(|owner| owner.get("uid")?.as_str()).map(str::to_owned)
        };
        let mut deck = opened(&self.deck);
        let mut known = Vec::new();
        match seen {
            Seen::Page { items, first, last } => {
                if first {
                    deck.listing.clear();
                }
                for set in items {
                    let Some((uid, facts)) = SetFacts::of(&set) else { continue };
                    known.push((uid.clone(), owner(&set), facts.name.clone()));
                    deck.listing.insert(uid, facts);
                }
                if last {
                    deck.sets = std::mem::take(&mut deck.listing);
                }
            }
            Seen::Changed(set) => {
                let Some((uid, facts)) = SetFacts::of(&set) else { return vec![] };
                known.push((uid.clone(), owner(&set), facts.name.clone()));
                if deck.sets.insert(uid, facts.clone()).as_ref() == Some(&facts) {
                    return vec![];
                }
            }
            Seen::Gone(set) => {
                let uid = set.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
                deck.sets.remove(uid);
            }
        }
        let updates = deck.workloads();
        drop(deck);
        let mut book = open(&self.book);
        for (uid, owner, name) in known {
            book.owned(uid, owner, name);
        }
        updates
    }
}

/// Follows AnalysisRuns of the namespace and passes on those of the Rollout.
pub(in crate::adapter::kubernetes) struct Runs {
    /// What the feeds know together.
    pub(in crate::adapter::kubernetes) deck: SharedDeck,
    /// Name of the Rollout.
    pub(in crate::adapter::kubernetes) rollout: String,
    /// Runs of a list in progress.
    pub(in crate::adapter::kubernetes) listed: Vec<Analysis>,
}

impl Follower<Value> for Runs {
    fn saw(&mut self, seen: Seen<Value>) -> Vec<PlatformUpdate> {
        let uid = opened(&self.deck).rollout.as_ref().map(|rollout| rollout.uid.clone());
        let ours = |object: &Value| belongs(object, &self.rollout, uid.as_deref());
        let update = match seen {
            Seen::Page { items, first, last } => {
                let found: Vec<Analysis> = items.iter().filter(|object| ours(object)).map(analysis).collect();
                if first {
                    self.listed.clear();
                }
                self.listed.extend(found);
                if !last {
                    return vec![];
                }
                ProgressiveUpdate::Analyses(std::mem::take(&mut self.listed))
            }
            Seen::Changed(object) if ours(&object) => ProgressiveUpdate::Analysis(Box::new(analysis(&object))),
            Seen::Gone(object) if ours(&object) => ProgressiveUpdate::AnalysisGone { uid: analysis(&object).uid },
            Seen::Changed(_) | Seen::Gone(_) => return vec![],
        };
        vec![PlatformUpdate::Progressive(update)]
    }
}
