//! Objects, their versions, and the bounded history that watches read.

use super::resources::Kind;
use bytes::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

/// Namespace (empty for cluster-wide objects) and name.
pub(crate) type Key = (Arc<str>, Arc<str>);

pub(crate) fn key(namespace: &str, name: &str) -> Key {
    (Arc::from(namespace), Arc::from(name))
}

/// One version of one object. Its JSON is kept as text: it is sent far more often than it is changed.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: Key,
    pub(crate) uid: Arc<str>,
    pub(crate) version: u64,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) json: Bytes,
}

impl Object {
    /// The object as a tree.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// All objects of a kind at one version; sharing is what makes pages and stale views cheap.
pub(crate) type Objects = Arc<BTreeMap<Key, Arc<Object>>>;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One entry of the history.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) kind: ChangeKind,
    /// The object after the change; when deleted, its last state under the version of the deletion.
    pub(crate) object: Arc<Object>,
    /// The object before, so that a selector can tell what left it.
    pub(crate) before: Option<Arc<Object>>,
}

/// Changes kept per kind: what a client may be behind before it must list again.
const HISTORY: usize = 8192;
/// Lists whose later pages can still be read consistently.
const OPEN_LISTS: usize = 32;
/// How long a page token lives, in simulated ms, as in a real cluster.
const LIST_TTL: i64 = 5 * 60 * 1000;

struct Collection {
    objects: Objects,
    history: VecDeque<Arc<Change>>,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    latest: watch::Sender<u64>,
}

struct OpenList {
    id: u64,
    opened: i64,
    version: u64,
    objects: Objects,
}

/// A frozen picture of everything, for a server whose cache has stopped.
#[derive(Clone)]
pub(crate) struct Picture {
    version: u64,
    objects: Vec<Objects>,
}

/// All objects.
pub(crate) struct Store {
    version: u64,
    collections: Vec<Collection>,
    lists: VecDeque<OpenList>,
    next_list: u64,
    picture: Option<Picture>,
}

/// What a watch has to send.
pub(crate) enum Since {
    /// These changes, and the version up to which the watch is now complete.
    Changes(Vec<Arc<Change>>, u64),
    /// The version is too old.
    Gone,
}

impl Store {
    /// Versions begin above 1 so that nothing mistakes them for a count.
    pub(crate) fn new() -> Self {
        let collection = || Collection {
            objects: Objects::default(),
            history: VecDeque::new(),
            forgotten: FIRST_VERSION,
            latest: watch::Sender::new(FIRST_VERSION),
        };
        let collections = Kind::ALL.iter().map(|_| collection()).collect();
        Self { version: FIRST_VERSION, collections, lists: VecDeque::new(), next_list: 1, picture: None }
    }

    fn at(&self, kind: Kind) -> &Collection {
        &self.collections[kind as usize]
    }

    pub(crate) fn get(&self, kind: Kind, key: &Key) -> Option<Arc<Object>> {
        self.at(kind).objects.get(key).cloned()
    }

    pub(crate) fn objects(&self, kind: Kind) -> Objects {
        Arc::clone(&self.at(kind).objects)
    }

    /// What readers see: the picture while there is one, and its version.
    pub(crate) fn visible(&self, kind: Kind) -> (Objects, u64) {
        match &self.picture {
            Some(picture) => (Arc::clone(&picture.objects[kind as usize]), picture.version),
            None => (self.objects(kind), self.version),
        }
    }

    /// A picture of now.
    pub(crate) fn take_picture(&self) -> Picture {
        Picture { version: self.version, objects: self.collections.iter().map(|c| Arc::clone(&c.objects)).collect() }
    }

    /// Shows readers an old picture, or the truth again.
    pub(crate) fn show(&mut self, picture: Option<Picture>) {
        self.picture = picture;
        for collection in &self.collections {
            collection.latest.send_modify(|_| ());
        }
    }

    pub(crate) fn is_showing_picture(&self) -> bool {
        self.picture.is_some()
    }

    /// Stores a new state and tells watches. `value` gets its new version written in.
    pub(crate) fn put(&mut self, kind: Kind, mut value: Value) -> Arc<Object> {
        self.version += 1;
        let version = self.version;
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let object = Arc::new(object(&value, version));
        let collection = &mut self.collections[kind as usize];
        let before = Arc::make_mut(&mut collection.objects).insert(object.key.clone(), Arc::clone(&object));
        let change = if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        collection.remember(Change { version, kind: change, object: Arc::clone(&object), before });
        object
    }

    /// Removes an object and tells watches.
    pub(crate) fn remove(&mut self, kind: Kind, key: &Key) -> Option<Arc<Object>> {
        let collection = &mut self.collections[kind as usize];
        let before = Arc::make_mut(&mut collection.objects).remove(key)?;
        self.version += 1;
        let version = self.version;
        let mut value = before.value();
        value["metadata"]["resourceVersion"] = Value::String(version.to_string());
        let last = Arc::new(object(&value, version));
        collection.remember(Change { version, kind: ChangeKind::Deleted, object: last, before: Some(Arc::clone(&before)) });
        Some(before)
    }

    /// Wakes when a kind changes.
    pub(crate) fn subscribe(&self, kind: Kind) -> watch::Receiver<u64> {
        self.at(kind).latest.subscribe()
    }

    /// Changes after `version` that readers may see.
    pub(crate) fn since(&self, kind: Kind, version: u64) -> Since {
        let collection = self.at(kind);
        if version < collection.forgotten {
            return Since::Gone;
        }
        let limit = self.picture.as_ref().map_or(self.version, |p| p.version);
        let from = collection.history.partition_point(|change| change.version <= version);
        let changes = collection.history.iter().skip(from).take_while(|change| change.version <= limit).cloned().collect();
        Since::Changes(changes, limit.max(version))
    }

    /// Whether this server ever handed out a version. A version from another life of it is unknown.
    pub(crate) fn knows(&self, version: u64) -> bool {
        version <= self.version
    }

    /// Keeps a list open for its next pages and names it.
    pub(crate) fn open_list(&mut self, objects: Objects, version: u64, now: i64) -> u64 {
        let id = self.next_list;
        self.next_list += 1;
        self.lists.push_back(OpenList { id, opened: now, version, objects });
        while self.lists.len() > OPEN_LISTS {
            self.lists.pop_front();
        }
        id
    }

    /// An open list, unless it has expired.
    pub(crate) fn list(&mut self, id: u64, now: i64) -> Option<(Objects, u64)> {
        self.lists.retain(|list| now - list.opened < LIST_TTL);
        self.lists.iter().find(|list| list.id == id).map(|list| (Arc::clone(&list.objects), list.version))
    }
}

const FIRST_VERSION: u64 = 8_400;

impl Collection {
    fn remember(&mut self, change: Change) {
        let version = change.version;
        self.history.push_back(Arc::new(change));
        while self.history.len() > HISTORY {
            if let Some(oldest) = self.history.pop_front() {
                self.forgotten = oldest.version;
            }
        }
        self.latest.send_replace(version);
    }
}

fn object(value: &Value, version: u64) -> Object {
    let metadata = &value["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or("");
    let labels = metadata["labels"]
        .as_object()
        .map(|labels| labels.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").to_owned())).collect())
        .unwrap_or_default();
    Object { key: key(text("namespace"), text("name")), uid: Arc::from(text("uid")), version, labels, json: Bytes::from(value.to_string()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": "shop", "uid": name, "labels": { "app": "x" } } })
    }

    fn changes(store: &Store, version: u64) -> Vec<(ChangeKind, String)> {
        match store.since(Kind::Pod, version) {
            Since::Changes(changes, _) => changes.iter().map(|c| (c.kind, c.object.key.1.to_string())).collect(),
            Since::Gone => panic!("gone"),
        }
    }

    #[test]
    fn a_watch_sees_every_change_after_its_version_once() {
        let mut store = Store::new();
        let first = store.put(Kind::Pod, pod("a"));
        store.put(Kind::Pod, pod("a"));
        store.put(Kind::Service, pod("s"));
        store.remove(Kind::Pod, &key("shop", "a"));
        assert_eq!(changes(&store, first.version), [(ChangeKind::Modified, "a".to_owned()), (ChangeKind::Deleted, "a".to_owned())]);
    }

    #[test]
    fn history_is_bounded_and_says_so() {
        let mut store = Store::new();
        let first = store.put(Kind::Pod, pod("a"));
        for _ in 0..=HISTORY {
            store.put(Kind::Pod, pod("a"));
        }
        assert!(matches!(store.since(Kind::Pod, first.version - 1), Since::Gone));
        assert!(matches!(store.since(Kind::Pod, first.version + 1), Since::Changes(..)));
    }

    #[test]
    fn a_stale_picture_hides_changes_from_lists_and_watches_until_it_is_taken_away() {
        let mut store = Store::new();
        let first = store.put(Kind::Pod, pod("a"));
        store.show(Some(store.take_picture()));
        store.put(Kind::Pod, pod("b"));
        assert_eq!(store.visible(Kind::Pod).0.len(), 1);
        assert!(changes(&store, first.version).is_empty());
        store.show(None);
        assert_eq!(changes(&store, first.version).len(), 1);
    }

    #[test]
    fn later_pages_are_of_the_same_moment_and_expire() {
        let mut store = Store::new();
        store.put(Kind::Pod, pod("a"));
        let (objects, version) = store.visible(Kind::Pod);
        let id = store.open_list(objects, version, 0);
        store.remove(Kind::Pod, &key("shop", "a"));
        assert_eq!(store.list(id, LIST_TTL - 1).unwrap().0.len(), 1);
        assert!(store.list(id, LIST_TTL).is_none());
    }
}
