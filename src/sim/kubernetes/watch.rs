//! Watches: changes since a version, bookmarks, and the streaming list.

use super::api::Api;
use super::cluster::Now;
use super::read::{Selection, Shape};
use super::resources::Target;
use super::status::Status;
use super::store::{Change, ChangeKind, Since};
use crate::domain::Clock as _;
use crate::sim::clock::SimClock;
use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Simulated time between bookmarks, as in a real server.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How often to look whether a clock that was moved by hand runs by now.
const LOOK: Duration = Duration::from_millis(100);
/// How long a watch lives that names no timeout.
const DEFAULT_TIMEOUT: u64 = 45 * 60;

struct Watch {
    api: Arc<Api>,
    target: Target,
    selection: Selection,
    shape: Shape,
    changed: watch::Receiver<u64>,
    version: u64,
    bookmarks: bool,
    /// On the simulated boot clock: time that is moved by hand brings bookmarks as well, or watches would look dead in it.
    next_bookmark: Duration,
    until: Instant,
    first: Option<Bytes>,
    over: bool,
}

/// The body of a watch's response.
pub(crate) fn open(api: &Arc<Api>, target: Target, query: &HashMap<String, String>, accept: &str) -> Result<Body, Status> {
    let selection = Selection::parse(&target, query)?;
    let shape = Shape::new(&target, accept, query.get("includeObject").map(String::as_str))?;
    let is_true = |name: &str| query.get(name).is_some_and(|v| v == "true" || v == "1");
    let asked = query.get("resourceVersion").map_or("", String::as_str);
    let initial = is_true("sendInitialEvents");
    if initial && query.get("resourceVersionMatch").is_none_or(|m| m != "NotOlderThan") {
        return Err(Status::bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    let asked: u64 = match asked {
        "" => 0,
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid resource version: {text:?}")))?,
    };
    let kind = target.resource.kind;
    let (mut first, mut over) = (BytesMut::new(), false);
    let (changed, version) = {
        let world = api.world();
        let (store, now) = (&world.cluster.store, world.cluster.now);
        let mut version = asked;
        if initial || asked == 0 {
            let (objects, seen) = store.visible(kind);
            for object in objects.values().filter(|object| selection.takes(object)) {
                line(&mut first, "ADDED", &shape.show(object, now));
            }
            version = seen;
            if initial {
                let metadata = json!({ "resourceVersion": seen.to_string(), "annotations": { "k8s.io/initial-events-end": "true" } });
                line(&mut first, "BOOKMARK", shape.bare(&metadata).to_string().as_bytes());
            }
        } else if !store.knows(asked) || matches!(store.since(kind, asked), Since::Gone) {
            gone(&mut first, asked);
            over = true;
        }
        (store.subscribe(kind), version)
    };
    let timeout = query.get("timeoutSeconds").and_then(|t| t.parse().ok()).filter(|t| *t > 0).unwrap_or(DEFAULT_TIMEOUT);
    let now = now();
    let watch = Watch {
        next_bookmark: api.clock.now().boot + BOOKMARK,
        until: now + api.clock.real(Duration::from_secs(timeout)),
        bookmarks: is_true("allowWatchBookmarks"),
        first: (!first.is_empty()).then(|| first.freeze()),
        api: Arc::clone(api),
        target,
        selection,
        shape,
        changed,
        version,
        over,
    };
    Ok(Body::from_stream(stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    })))
}

#[expect(clippy::disallowed_methods, reason = "time-outs of a connection are real time")]
fn now() -> Instant {
    Instant::now()
}

/// Until simulated time is there, whether it runs or is moved by hand.
async fn reached(clock: &SimClock, boot: Duration) {
    loop {
        let moved = clock.moved();
        let left = boot.saturating_sub(clock.now().boot);
        if left.is_zero() {
            return;
        }
        // Time that is moved by hand wakes by moving, and by beginning to run at the latest.
        let wait = if clock.is_live() { clock.real(left) } else { LOOK };
        tokio::select! {
            () = moved => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Watch {
    /// The next lines to send; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.over {
            return None;
        }
        loop {
            self.changed.borrow_and_update();
            let clock = Arc::clone(&self.api.clock);
            let lines = self.pending();
            if !lines.is_empty() {
                return Some(lines);
            }
            tokio::select! {
                changed = self.changed.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                () = reached(&clock, self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = clock.now().boot + BOOKMARK;
                    if let Some(bookmark) = self.bookmark() {
                        return Some(bookmark);
                    }
                }
                () = sleep_until(self.until) => return None,
            }
        }
    }

    /// Lines of what changed since the last call.
    fn pending(&mut self) -> Bytes {
        let (since, now) = {
            let world = self.api.world();
            (world.cluster.store.since(self.target.resource.kind, self.version), world.cluster.now)
        };
        let mut lines = BytesMut::new();
        match since {
            Since::Changes(changes, version) => {
                self.version = version;
                for change in changes {
                    self.tell(&mut lines, &change, now);
                }
            }
            Since::Gone => {
                gone(&mut lines, self.version);
                self.over = true;
            }
        }
        lines.freeze()
    }

    /// One change as this selection sees it: what leaves the selection is deleted, what enters it is added.
    fn tell(&self, lines: &mut BytesMut, change: &Change, now: Now) {
        let is = self.selection.takes(&change.object);
        let was = change.before.as_ref().is_some_and(|before| self.selection.takes(before));
        let word = match (change.kind, was, is) {
            (ChangeKind::Deleted, true, _) | (ChangeKind::Modified, true, false) => "DELETED",
            (ChangeKind::Modified, true, true) => "MODIFIED",
            (ChangeKind::Added | ChangeKind::Modified, false, true) => "ADDED",
            _ => return,
        };
        line(lines, word, &self.shape.show(&change.object, now));
    }

    /// Proof of life without a change; none from a server whose cache has stopped.
    fn bookmark(&mut self) -> Option<Bytes> {
        let world = self.api.world();
        if world.cluster.store.is_showing_picture() {
            return None;
        }
        let metadata = json!({ "resourceVersion": self.version.to_string(), "creationTimestamp": null });
        let mut lines = BytesMut::new();
        line(&mut lines, "BOOKMARK", self.shape.bare(&metadata).to_string().as_bytes());
        Some(lines.freeze())
    }
}

fn gone(lines: &mut BytesMut, version: u64) {
    let status = Status::expired(format!("too old resource version: {version}"));
    line(lines, "ERROR", status.body().to_string().as_bytes());
}

fn line(lines: &mut BytesMut, word: &str, object: &[u8]) {
    lines.extend_from_slice(b"{\"type\":\"");
    lines.extend_from_slice(word.as_bytes());
    lines.extend_from_slice(b"\",\"object\":");
    lines.extend_from_slice(object);
    lines.put_slice(b"}\n");
}
