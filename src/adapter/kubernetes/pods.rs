//! Pods as instances: which side, which state, and the reason that matters.

use super::census::{Census, LabelSet};
use super::feed::{Follower, Seen};
use super::objects::{Container, ContainerStatus, Pod, ReplicaSet, Terminated};
use super::rolling::Rolling;
use super::scope::Scope;
use crate::domain::text::clean_bounded;
use crate::domain::{Instance, InstanceState, RouteSpec, ServiceSpec, Track, Workload};
use crate::port::platform::PlatformUpdate;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Waiting is normal only for these reasons.
const STARTING: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// Label by which an Argo Rollout tells its templates apart.
const ROLLOUT_HASH: &str = "rollouts-pod-template-hash";

/// Texts that many instances share, held once: versions, nodes, reasons.
#[derive(Default)]
pub(super) struct Shared(HashSet<Arc<str>>);

impl Shared {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        // Reasons carry messages, so the set could grow for ever.
        if self.0.len() >= 4096 {
            self.0.clear();
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

struct Kept {
    instance: Instance,
    /// What tells its side: uid of its ReplicaSet, or the hash of its template where one object runs both sides.
    owner: Option<Arc<str>>,
    labels: Arc<LabelSet>,
}

type Known = HashMap<Arc<str>, Kept>;

/// All instances of the service, and the ReplicaSets that tell whose they are.
pub(super) struct Book {
    spec: Arc<ServiceSpec>,
    scope: Scope,
    shared: Shared,
    /// One map for each watch.
    slots: Vec<Known>,
    listing: Vec<Option<Known>>,
    /// Watches whose list is complete.
    whole: HashSet<usize>,
    /// The complete list was told: until another one is complete, what was told stays.
    told: bool,
    /// Uid of a ReplicaSet to the Deployment that controls it, and its name.
    owners: HashMap<String, (Option<String>, String)>,
    /// The two sides, where one Deployment runs both.
    rolling: Option<Rolling>,
    /// Where one object runs both sides: the hash of the canary's template; empty when there is no canary.
    canary: Option<Arc<str>>,
    /// The instances counted by their labels.
    pub(super) census: Census,
}

impl Book {
    /// An empty book.
    pub(super) fn new(spec: Arc<ServiceSpec>) -> Self {
        Self {
            scope: Scope::default(),
            shared: Shared::default(),
            slots: vec![],
            listing: vec![],
            whole: HashSet::new(),
            told: false,
            owners: HashMap::new(),
            canary: None,
            rolling: matches!(spec.route, RouteSpec::Rolling).then(Rolling::default),
            census: Census::default(),
            spec,
        }
    }

    /// Takes note of the Deployment, where one runs both sides. `None`: it does not, and nothing was done.
    pub(super) fn rolls(&mut self, workload: Option<Workload>) -> Option<Vec<PlatformUpdate>> {
        let sides = self.sides();
        let mut updates = self.rolling.as_mut()?.deployment(workload);
        if self.sides() != sides {
            updates.extend(self.retrack());
        }
        Some(updates)
    }

    /// What tells the sides apart where one Deployment runs both.
    fn sides(&self) -> Option<(Option<String>, usize)> {
        self.rolling.as_ref().map(Rolling::sides)
    }

    /// Starts over with another scope, read by so many watches.
    pub(super) fn rescope(&mut self, scope: Scope, watches: usize) {
        self.scope = scope;
        self.slots = std::iter::repeat_with(Known::new).take(watches).collect();
        self.listing = std::iter::repeat_with(|| None).take(watches).collect();
        self.owners.clear();
        self.whole.clear();
        self.census.forget();
    }

    /// Whether an object of this kind, name and uid is one of ours.
    pub(super) fn is_ours(&self, kind: &str, name: &str, uid: &str) -> bool {
        let deployments = [self.spec.canary.deployment.as_str(), self.spec.baseline.deployment.as_str()];
        match kind {
            "Deployment" => deployments.contains(&name),
            "VirtualService" | "HTTPRoute" | "Ingress" | "Service" | "Rollout" => {
                let object = format!("{}/{name}", kind.to_lowercase());
                self.spec.route.object().is_some_and(|route| route == object)
            }
            "AnalysisRun" | "Experiment" => self.canary.is_some() && deployments.iter().any(|rollout| extends(name, rollout)),
            // As long as no ReplicaSet is known, names have to do.
            "ReplicaSet" | "Pod" if self.owners.is_empty() => deployments.iter().any(|deployment| extends(name, deployment)),
            "ReplicaSet" => self.owners.get(uid).is_some_and(|(owner, _)| self.controls(owner.as_deref())),
            // An event may outlive its pod; its name still begins with its ReplicaSet's.
            "Pod" => {
                self.slots.iter().any(|slot| slot.contains_key(uid))
                    || self.owners.values().any(|(owner, set)| extends(name, set) && self.controls(owner.as_deref()))
            }
            _ => false,
        }
    }

    fn controls(&self, deployment: Option<&str>) -> bool {
        deployment.and_then(|uid| self.scope.by_uid(uid)).is_some()
    }

    /// One object runs both sides, and the canary's template has this hash: instances that turn out to be on the other side.
    pub(super) fn split(&mut self, canary: Option<&str>) -> Vec<PlatformUpdate> {
        if self.canary.as_deref() == canary {
            return vec![];
        }
        self.canary = canary.map(|hash| self.shared.text(hash));
        self.retrack()
    }

    /// Takes note of a ReplicaSet and what controls it.
    pub(super) fn owned(&mut self, uid: String, owner: Option<String>, name: String) {
        self.owners.insert(uid, (owner, name));
    }

    fn side_of(&self, hash: Option<&str>) -> Option<Track> {
        let canary = self.canary.as_deref()?;
        Some(if hash.is_some_and(|hash| hash == canary) { Track::Canary } else { Track::Baseline })
    }

    fn track(&self, pod: &Pod) -> Option<Track> {
        if self.canary.is_some() {
            let ours = self.scope.by_labels(&pod.metadata.labels, &pod.metadata.name, &self.spec).is_some();
            return self.side_of(pod.metadata.labels.get(ROLLOUT_HASH).map(String::as_str)).filter(|_| ours);
        }
        let set = pod.metadata.controller("ReplicaSet");
        let deployment = set.and_then(|uid| self.owners.get(uid)).and_then(|(owner, _)| owner.as_deref());
        if let Some(track) = self.rolling.as_ref().and_then(|rolling| rolling.track(set?)) {
            return Some(track);
        }
        match deployment {
            Some(uid) => self.scope.by_uid(uid),
            None => self.scope.by_labels(&pod.metadata.labels, &pod.metadata.name, &self.spec),
        }
    }

    fn keep(&mut self, pod: &Pod) -> Option<Kept> {
        let track = self.track(pod)?;
        let owner = match &self.canary {
            Some(_) => pod.metadata.labels.get(ROLLOUT_HASH).map(|hash| self.shared.text(hash)),
            None => pod.metadata.controller("ReplicaSet").map(|uid| self.shared.text(uid)),
        };
        let labels = self.census.share(&pod.metadata.labels);
        Some(Kept { instance: instance(pod, track, &mut self.shared), owner, labels })
    }

    fn everything(&self) -> Vec<Instance> {
        let mut all: Vec<Instance> = self.slots.iter().flat_map(HashMap::values).map(|kept| kept.instance.clone()).collect();
        all.sort_unstable_by(|a, b| (a.track, &a.name).cmp(&(b.track, &b.name)));
        all
    }

    fn page(&mut self, slot: usize, items: &[Pod], first: bool, last: bool) -> Vec<PlatformUpdate> {
        let mut listing = self.listing[slot].take().filter(|_| !first).unwrap_or_default();
        let mut some = Vec::new();
        for pod in items {
            if let Some(kept) = self.keep(pod) {
                if !self.told {
                    some.push(kept.instance.clone());
                }
                listing.insert(Arc::clone(&kept.instance.uid), kept);
            }
        }
        if last {
            self.slots[slot] = listing;
            self.whole.insert(slot);
            // Owners may have been told while the list was read.
            self.retrack();
        } else {
            self.listing[slot] = Some(listing);
        }
        if last && self.whole.len() == self.slots.len() {
            self.told = true;
            self.census.replace(self.slots.iter().flat_map(HashMap::values).map(|kept| (&kept.instance, &kept.labels)));
            return vec![PlatformUpdate::Instances(self.everything())];
        }
        // Pages of the very first list are shown at once; later lists replace the picture only when they are whole.
        if some.is_empty() { vec![] } else { vec![PlatformUpdate::SomeInstances(some)] }
    }

    fn changed(&mut self, slot: usize, pod: &Pod) -> Vec<PlatformUpdate> {
        let Some(kept) = self.keep(pod) else { return self.gone(slot, &pod.metadata.uid) };
        let before = self.slots[slot].get(&kept.instance.uid);
        let known = before.is_some_and(|before| before.instance == kept.instance);
        if !known || before.is_none_or(|before| before.labels != kept.labels) {
            if let Some(before) = before {
                self.census.remove(&before.instance, &before.labels);
            }
            self.census.add(&kept.instance, &kept.labels);
        }
        let update = (!known).then(|| PlatformUpdate::Instance(kept.instance.clone()));
        self.slots[slot].insert(Arc::clone(&kept.instance.uid), kept);
        update.into_iter().collect()
    }

    fn gone(&mut self, slot: usize, uid: &str) -> Vec<PlatformUpdate> {
        let Some(kept) = self.slots[slot].remove(uid) else { return vec![] };
        self.census.remove(&kept.instance, &kept.labels);
        vec![PlatformUpdate::InstanceGone { uid: kept.instance.uid }]
    }

    /// After news of ReplicaSets: instances that turn out to belong to the other side.
    fn retrack(&mut self) -> Vec<PlatformUpdate> {
        let mut updates = Vec::new();
        if let Some(canary) = self.canary.clone() {
            for kept in self.slots.iter_mut().flat_map(HashMap::values_mut) {
                let track = if kept.owner.as_ref() == Some(&canary) { Track::Canary } else { Track::Baseline };
                if kept.instance.track != track {
                    kept.instance.track = track;
                    updates.push(PlatformUpdate::Instance(kept.instance.clone()));
                }
            }
            return updates;
        }
        for kept in self.slots.iter_mut().flat_map(HashMap::values_mut) {
            let owner = kept.owner.as_ref().and_then(|uid| self.owners.get(uid.as_ref())).and_then(|(owner, _)| owner.as_deref());
            let rolled = self.rolling.as_ref().and_then(|rolling| rolling.track(kept.owner.as_deref()?));
            let Some(track) = rolled.or_else(|| owner.and_then(|uid| self.scope.by_uid(uid))) else { continue };
            if kept.instance.track != track {
                self.census.remove(&kept.instance, &kept.labels);
                kept.instance.track = track;
                self.census.add(&kept.instance, &kept.labels);
                updates.push(PlatformUpdate::Instance(kept.instance.clone()));
            }
        }
        updates
    }
}

/// Whether a name was made from another: `checkout-canary-6d4f` from `checkout-canary`.
fn extends(name: &str, beginning: &str) -> bool {
    name.strip_prefix(beginning).is_some_and(|rest| rest.starts_with('-'))
}

/// The book, shared by the feeds that write and read it. Never held across a wait.
pub(super) type SharedBook = Arc<Mutex<Book>>;

/// Opens the book. A feed that panicked left it as it was between two updates.
pub(super) fn open(book: &SharedBook) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes pods of one watch into the book.
pub(super) struct Pods {
    /// The book.
    pub(super) book: SharedBook,
    /// Which watch.
    pub(super) slot: usize,
}

impl Follower<Pod> for Pods {
    fn saw(&mut self, seen: Seen<Pod>) -> Vec<PlatformUpdate> {
        let mut book = open(&self.book);
        match seen {
            Seen::Page { items, first, last } => book.page(self.slot, &items, first, last),
            Seen::Changed(pod) => book.changed(self.slot, &pod),
            Seen::Gone(pod) => book.gone(self.slot, &pod.metadata.uid),
        }
    }
}

/// Writes ReplicaSets into the book.
pub(super) struct ReplicaSets {
    /// The book.
    pub(super) book: SharedBook,
}

impl Follower<ReplicaSet> for ReplicaSets {
    fn saw(&mut self, seen: Seen<ReplicaSet>) -> Vec<PlatformUpdate> {
        let mut book = open(&self.book);
        let items = match seen {
            Seen::Page { items, first, .. } => {
                if let Some(rolling) = book.rolling.as_mut().filter(|_| first) {
                    rolling.listing();
                }
                items
            }
            Seen::Changed(set) => vec![set],
            // Its pods may still be there, and its events: it is forgotten with the next scope.
            Seen::Gone(set) => return book.rolling.as_mut().map(|rolling| rolling.gone(&set.metadata.uid)).unwrap_or_default(),
        };
        let sides = book.sides();
        let (mut updates, mut news) = (Vec::new(), false);
        for set in items {
            updates.extend(book.rolling.as_mut().map(|rolling| rolling.saw(&set)).unwrap_or_default());
            let owner = (set.metadata.controller("Deployment").map(str::to_owned), set.metadata.name);
            // Most of what is told of a ReplicaSet is its counts. Whose it is hardly ever changes, and to look through all instances is dear.
            news |= book.owners.get(&set.metadata.uid) != Some(&owner);
            book.owners.insert(set.metadata.uid, owner);
        }
        if news || book.sides() != sides {
            updates.extend(book.retrack());
        }
        updates
    }
}

/// A pod as an instance.
pub(super) fn instance(pod: &Pod, track: Track, shared: &mut Shared) -> Instance {
    let (state, reason) = state(pod);
    let image = main_container(&pod.spec.containers).map_or("", |container| container.image.as_str());
    let restarts = pod.status.container_statuses.iter().map(|status| status.restart_count).fold(0, u32::saturating_add);
    Instance {
        uid: pod.metadata.uid.as_str().into(),
        name: clean_bounded(&pod.metadata.name, 253).into(),
        track,
        version: shared.text(&version(image)),
        state,
        reason: reason.map(|reason| shared.text(&reason)),
        restarts,
        last_exit: last_exit(pod).map(|(at, how)| (at, shared.text(&how))),
        node: (!pod.spec.node_name.is_empty()).then(|| shared.text(&clean_bounded(&pod.spec.node_name, 253))),
        created: pod.metadata.creation_timestamp.unwrap_or_default(),
    }
}

/// The container that is the service: not the mesh's proxy.
pub(super) fn main_container(containers: &[Container]) -> Option<&Container> {
    containers.iter().find(|container| container.name != "istio-proxy").or(containers.first())
}

/// The tag of an image, or the whole image where it has none.
pub(super) fn version(image: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty());
    clean_bounded(tag.unwrap_or(image), 128)
}

fn state(pod: &Pod) -> (InstanceState, Option<String>) {
    let status = &pod.status;
    let told = (!status.reason.is_empty()).then(|| clean_bounded(&status.reason, 60));
    if pod.metadata.deletion_timestamp.is_some() {
        return (InstanceState::Stopping, told);
    }
    match status.phase.as_str() {
        "Succeeded" => return (InstanceState::Ended, told),
        "Failed" => return (InstanceState::Ended, told.or_else(|| ended_badly(pod)).or_else(|| Some("Failed".to_owned()))),
        _ => {}
    }
    if let Some(reason) = failing(pod) {
        return (InstanceState::Failing, Some(reason));
    }
    let condition = |kind: &str| status.conditions.iter().find(|condition| condition.kind == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return (InstanceState::Ready, None);
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|scheduled| scheduled.status == "False") {
        let reason = format!("{}: {}", scheduled.reason, scheduled.message);
        return (InstanceState::Pending, Some(clean_bounded(reason.trim_end_matches(": "), 160)));
    }
    if status.phase == "Running" && !status.container_statuses.iter().any(|container| container.state.waiting.is_some()) {
        let gates = condition("Ready").filter(|ready| !["", "ContainersNotReady"].contains(&ready.reason.as_str()));
        return (InstanceState::NotReady, told.or_else(|| gates.map(|ready| clean_bounded(&ready.reason, 60))));
    }
    if pod.spec.node_name.is_empty() { (InstanceState::Pending, told) } else { (InstanceState::Starting, told) }
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses)
}

/// Why a container cannot run, if so.
fn failing(pod: &Pod) -> Option<String> {
    let waiting = containers(pod).filter_map(|container| container.state.waiting.as_ref());
    let stuck = waiting.map(|waiting| waiting.reason.as_str()).find(|reason| !STARTING.contains(reason));
    stuck.map(|reason| clean_bounded(reason, 60)).or_else(|| ended_badly(pod))
}

/// A container that is down with an error: between two restarts, or for good.
fn ended_badly(pod: &Pod) -> Option<String> {
    containers(pod).filter_map(|container| container.state.terminated.as_ref()).find(|end| end.exit_code != 0).map(how)
}

fn how(end: &Terminated) -> String {
    let reason = if end.reason.is_empty() { "Error" } else { end.reason.as_str() };
    format!("{}, exit {}", clean_bounded(reason, 60), end.exit_code)
}

fn last_exit(pod: &Pod) -> Option<(DateTime<Utc>, String)> {
    let ends = pod.status.container_statuses.iter().flat_map(|container| [&container.last_state, &container.state]);
    let ends = ends.filter_map(|state| state.terminated.as_ref());
    ends.filter_map(|end| Some((end.finished_at?, how(end)))).max_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &serde_json::Value) -> Pod {
        let pod = json!({
            "metadata": {"name": "checkout-canary-1-x", "uid": "u", "labels": {"track": "canary"},
                "ownerReferences": [{"kind": "ReplicaSet", "uid": "rs", "controller": true}]},
            "spec": {"nodeName": "n", "containers": [{"name": "istio-proxy", "image": "proxy:1"}, {"name": "app", "image": "r:5000/a/b:v2@sha256:0"}]},
            "status": status,
        });
        serde_json::from_value(pod).unwrap()
    }

    fn read(status: &serde_json::Value) -> (InstanceState, Option<String>) {
        state(&pod(status))
    }

    #[test]
    fn the_reasons_that_matter_are_found() {
        let waiting = |reason: &str| json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": reason}}}]});
        for reason in ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError", "RunContainerError"] {
            assert_eq!(read(&waiting(reason)), (InstanceState::Failing, Some(reason.to_owned())));
        }
        assert_eq!(read(&waiting("ContainerCreating")).0, InstanceState::Starting);
        let init = json!({"phase": "Pending", "initContainerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        assert_eq!(read(&init).0, InstanceState::Failing, "an init container counts");
        let unplaced = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
        assert_eq!(read(&unplaced), (InstanceState::Pending, Some("Unschedulable: 0/3 nodes".to_owned())));
        let evicted = json!({"phase": "Failed", "reason": "Evicted"});
        assert_eq!(read(&evicted), (InstanceState::Ended, Some("Evicted".to_owned())));
    }

    #[test]
    fn ready_not_ready_and_stopping_are_told_apart() {
        let running =
            |ready: &str| json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "reason": "ContainersNotReady"}]});
        assert_eq!(read(&running("True")), (InstanceState::Ready, None));
        assert_eq!(read(&running("False")), (InstanceState::NotReady, None));
        let mut stopping = pod(&running("True"));
        stopping.metadata.deletion_timestamp = Some(DateTime::UNIX_EPOCH);
        assert_eq!(state(&stopping).0, InstanceState::Stopping);
    }

    #[test]
    fn the_last_exit_names_cause_code_and_time() {
        let killed = json!({"phase": "Running", "containerStatuses": [{"restartCount": 3, "lastState":
            {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-03-14T03:07:12Z"}}}]});
        let mut shared = Shared::default();
        let instance = instance(&pod(&killed), Track::Canary, &mut shared);
        assert_eq!(instance.last_exit.unwrap().1.as_ref(), "OOMKilled, exit 137");
        assert_eq!((instance.restarts, instance.version.as_ref()), (3, "v2"));
    }

    #[test]
    fn versions_are_tags_and_never_ports() {
        assert_eq!(version("registry:5000/a/b"), "registry:5000/a/b");
        assert_eq!(version("registry:5000/a/b:1.2"), "1.2");
        assert_eq!(version("b@sha256:77"), "b@sha256:77");
    }

    #[test]
    fn a_new_list_forgets_what_vanished_but_never_shows_half() {
        let spec = Arc::new(super::super::tests::spec());
        let mut book = Book::new(spec);
        let mut scope = Scope::default();
        let mut canary = super::super::objects::Deployment::default();
        canary.metadata.uid = "d".to_owned();
        canary.spec.selector.match_labels.insert("track".to_owned(), "canary".to_owned());
        scope.set(Track::Canary, Some(&canary));
        book.rescope(scope, 1);
        let named = |uid: &str| {
            let mut pod = pod(&json!({"phase": "Running"}));
            pod.metadata.uid = uid.to_owned();
            pod
        };
        let sizes = |updates: &[PlatformUpdate]| -> Vec<(bool, usize)> {
            let size = |update: &PlatformUpdate| match update {
                PlatformUpdate::Instances(all) => Some((true, all.len())),
                PlatformUpdate::SomeInstances(some) => Some((false, some.len())),
                _ => None,
            };
            updates.iter().filter_map(size).collect()
        };
        assert_eq!(sizes(&book.page(0, &[named("a")], true, false)), [(false, 1)], "a page is shown at once, as a part");
        assert_eq!(sizes(&book.page(0, &[named("b")], false, true)), [(true, 2)]);
        assert!(book.page(0, &[named("b")], true, false).is_empty(), "half a second list is not shown");
        assert_eq!(sizes(&book.page(0, &[], false, true)), [(true, 1)], "a is gone");
        assert!(book.changed(0, &named("b")).is_empty(), "nothing new is not told again");
    }

    #[test]
    fn one_of_two_watches_is_not_the_whole() {
        let mut book = Book::new(Arc::new(super::super::tests::spec()));
        let mut scope = Scope::default();
        let mut canary = super::super::objects::Deployment::default();
        canary.metadata.uid = "d".to_owned();
        canary.spec.selector.match_labels.insert("track".to_owned(), "canary".to_owned());
        scope.set(Track::Canary, Some(&canary));
        book.rescope(scope, 2);
        let one = pod(&json!({"phase": "Running"}));
        assert!(matches!(book.page(0, &[one], true, true).as_slice(), [PlatformUpdate::SomeInstances(some)] if some.len() == 1));
        assert!(matches!(book.page(1, &[], true, true).as_slice(), [PlatformUpdate::Instances(all)] if all.len() == 1));
    }

    #[test]
    fn the_owner_decides_where_labels_do_not() {
        let book: SharedBook = Arc::new(Mutex::new(Book::new(Arc::new(super::super::tests::spec()))));
        let mut scope = Scope::default();
        for (track, uid) in [(Track::Canary, "dc"), (Track::Baseline, "db")] {
            let mut deployment = super::super::objects::Deployment::default();
            deployment.metadata.uid = uid.to_owned();
            deployment.spec.selector.match_labels.insert("track".to_owned(), "canary".to_owned());
            scope.set(track, Some(&deployment));
        }
        open(&book).rescope(scope, 1);
        open(&book).page(0, &[pod(&json!({"phase": "Running"}))], true, true);
        let mut set = ReplicaSet::default();
        set.metadata.uid = "rs".to_owned();
        set.metadata.owner_references =
            vec![super::super::objects::Owner { kind: "Deployment".to_owned(), uid: "db".to_owned(), controller: true }];
        let mut sets = ReplicaSets { book: Arc::clone(&book) };
        open(&book).page(0, &[pod(&json!({"phase": "Running"}))], true, false);
        let updates = sets.saw(Seen::Changed(set));
        assert!(matches!(updates.as_slice(), [PlatformUpdate::Instance(instance)] if instance.track == Track::Baseline));
        let updates = open(&book).page(0, &[], false, true);
        assert!(
            matches!(updates.as_slice(), [PlatformUpdate::Instances(all)] if all[0].track == Track::Baseline),
            "what was read before the owner was known is told apart too"
        );
    }
}
