//! One list, then one watch, for ever: pages, bookmarks, expired versions, silent connections, back-off that tells why.

use super::answer::{Problem, Status, unreadable, unreadable_from};
use super::life::Life;
use super::link::{Ask, JSON, Link, query};
use super::objects::Object;
use super::page::{Page, PageMeta, Reader};
use crate::domain::backoff::Backoff;
use crate::domain::text::clean_bounded;
use crate::domain::{Failure, Refusal};
use crate::port::platform::PlatformUpdate;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Objects a page.
pub(super) const PAGE: u32 = 500;
/// The longest line of a watch: one object.
const LINE_LIMIT: usize = super::link::OBJECT_LIMIT;
/// A watch ends by itself after so long, plus up to a quarter.
const WATCH_SECONDS: u64 = 240;
/// Bookmarks come about once a minute; after this long without a byte the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(100);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A right that is missing does not come back within seconds.
const LONGEST_WAIT_FORBIDDEN: Duration = Duration::from_secs(120);

/// What to list and watch.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// `pods`: for messages.
    pub(super) part: &'static str,
    /// Path of the collection.
    pub(super) path: String,
    /// Label selector, if any.
    pub(super) labels: Option<String>,
    /// Field selector, if any.
    pub(super) fields: Option<String>,
    /// Objects a page.
    pub(super) page: u32,
    /// Most bytes of a page.
    pub(super) limit: usize,
    /// Only the metadata of the objects is asked for; a server that cannot leave the rest out is not asked for it all.
    pub(super) as_metadata: bool,
}

impl Kind {
    pub(super) fn accept(&self, list: bool) -> &'static str {
        match (self.as_metadata, list) {
            (false, _) => JSON,
            (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }
}

/// What was seen.
pub(super) enum Seen<T> {
    /// A page of the list. After the `last` one everything is known; what was not in the pages is gone.
    Page {
        /// The objects.
        items: Vec<T>,
        /// It starts the list.
        first: bool,
        /// It ends the list.
        last: bool,
    },
    /// New or changed.
    Changed(T),
    /// Deleted, as it last was.
    Gone(T),
}

/// Makes updates of what is seen.
pub(super) trait Follower<T>: Send {
    /// Takes note.
    fn saw(&mut self, seen: Seen<T>) -> Vec<PlatformUpdate>;
}

/// Where updates go, and who may call a feed back to work.
#[derive(Clone)]
pub(super) struct Outlet {
    /// Updates.
    pub(super) updates: mpsc::Sender<PlatformUpdate>,
    /// Changes when the server was found again: connections from before are not trusted, waits end.
    pub(super) wake: watch::Receiver<u64>,
    /// Told of every sign of a watch.
    pub(super) life: Arc<Life>,
}

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Closed;

/// One page, decoded as it comes.
pub(super) async fn page<T: DeserializeOwned>(link: &Link, ask: &Ask) -> Result<Page<T>, Problem> {
    let mut pieces = link.pieces(ask).await?;
    let read = async {
        let mut reader = Reader::new();
        let wrong = |reader: &Reader<T>, error| unreadable_from(&ask.what, reader.start(), reader.total(), &error);
        while let Some(piece) = pieces.next().await? {
            reader.feed(&piece).map_err(|error| wrong(&reader, error))?;
        }
        let (start, total) = (reader.start().to_vec(), reader.total());
        Ok(reader.finish().map_err(|error| unreadable_from(&ask.what, &start, total, &error))?)
    };
    link.in_time(&ask.what, link.timeout(), read).await
}

/// A line of a watch.
#[derive(Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
pub(super) enum Line<T> {
    Added(T),
    Modified(T),
    Deleted(T),
    Bookmark(Mark),
    Error(Status),
}

#[derive(Deserialize)]
pub(super) struct Mark {
    metadata: PageMeta,
}

/// Why a watch ended.
enum Ended {
    /// By itself, or because it was called back: go on from the last version.
    Over,
    /// What we know has expired: list again.
    Expired,
}

/// A feed of one kind.
pub(super) struct Feed {
    link: Arc<Link>,
    kind: Kind,
    outlet: Outlet,
    backoff: Backoff,
}

impl Feed {
    /// A feed that has not begun.
    pub(super) fn new(link: Arc<Link>, kind: Kind, outlet: Outlet) -> Self {
        Self { link, kind, outlet, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT) }
    }

    /// Lists and watches until nobody listens.
    pub(super) async fn run<T: Object>(&mut self, follower: &mut dyn Follower<T>) -> Closed {
        let mut version: Option<String> = None;
        loop {
            let step = match version.take() {
                None => self.list(follower).await,
                Some(from) => self.follow(from, follower).await,
            };
            match step {
                Ok(next) => version = next,
                Err(Stop::Closed) => return Closed,
                Err(Stop::Failed(problem, resume)) => {
                    let expired = matches!(problem.failure, Failure::Refused { reason: Refusal::Expired, .. });
                    version = resume.filter(|_| !expired);
                    // Expiry is how the server asks for a new list; only when it insists is it trouble.
                    if expired && self.backoff.attempts() == 0 {
                        self.backoff.after_failure(1.0);
                        continue;
                    }
                    if self.wait_out(problem).await.is_err() {
                        return Closed;
                    }
                }
            }
        }
    }

    /// The whole list, page by page; gives the version to watch from.
    async fn list<T: Object>(&mut self, follower: &mut dyn Follower<T>) -> Result<Option<String>, Stop> {
        let (mut next, mut first) = (None::<String>, true);
        loop {
            let what = format!("list {}", self.kind.part);
            let ask = Ask {
                what: what.clone(),
                path: self.path(&self.list_query(next.as_deref())),
                post: None,
                limit: self.kind.limit,
                accept: self.kind.accept(true),
            };
            let page: Page<T> = page(&self.link, &ask).await.map_err(|problem| Stop::Failed(problem, None))?;
            let Some(items) = page.items.or_else(|| (!page.metadata.resource_version.is_empty()).then(Vec::new)) else {
                let why = format!("{what}: the answer is not a list");
                return Err(Stop::Failed(Failure::Unreadable { why }.into(), None));
            };
            next = page.metadata.next.filter(|token| !token.is_empty());
            self.emit(follower.saw(Seen::Page { items, first, last: next.is_none() })).await?;
            first = false;
            if next.is_none() {
                self.backoff.succeeded();
                self.outlet.life.listed(self.kind.part);
                return Ok(Some(page.metadata.resource_version));
            }
        }
    }

    /// Watches from a version on; gives the version to go on from, or `None` to list again.
    async fn follow<T: Object>(&mut self, from: String, follower: &mut dyn Follower<T>) -> Result<Option<String>, Stop> {
        let mut version = from;
        let seconds = (WATCH_SECONDS + WATCH_SECONDS * u64::from(dice_byte()) / 1024).to_string();
        let ask = Ask {
            what: format!("watch {}", self.kind.part),
            path: self.path(&[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", seconds.as_str()),
                ("resourceVersion", version.as_str()),
            ]),
            post: None,
            limit: LINE_LIMIT,
            accept: self.kind.accept(false),
        };
        self.outlet.wake.mark_unchanged();
        let started = self.link.clock().now().mono;
        let body = self.link.stream(&ask).await.map_err(|problem| Stop::Failed(problem, Some(version.clone())))?;
        let ended = self.lines(body, &ask.what, &mut version, follower).await?;
        match ended {
            Ended::Expired => Ok(None),
            Ended::Over => {
                // A server that closes at once would be asked in a tight loop.
                if self.link.clock().now().mono.saturating_sub(started) < Duration::from_secs(1) {
                    tokio::time::sleep(self.backoff.after_failure(dice())).await;
                } else {
                    self.backoff.succeeded();
                }
                Ok(Some(version))
            }
        }
    }

    async fn lines<T: Object>(
        &mut self,
        mut body: Body,
        what: &str,
        version: &mut String,
        follower: &mut dyn Follower<T>,
    ) -> Result<Ended, Stop> {
        let mut held: Vec<u8> = Vec::new();
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(SILENCE, body.frame()) => frame,
                woken = self.outlet.wake.changed() => match woken {
                    Ok(()) => return Ok(Ended::Over),
                    Err(_) => return Err(Stop::Closed),
                },
                () = self.outlet.updates.closed() => return Err(Stop::Closed),
            };
            // Silence and a cut connection are how watches end; the next one starts where this one stopped.
            let Ok(Some(Ok(frame))) = frame else { return Ok(Ended::Over) };
            let Ok(data) = frame.into_data() else { continue };
            let known = held.len();
            held.extend_from_slice(&data);
            let mut start = 0;
            // What was held before has no end of a line in it.
            for end in data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| known + at) {
                let line = &held[start..end];
                start = end + 1;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let decoded: Line<T> =
                    serde_json::from_slice(line).map_err(|error| Stop::Failed(unreadable(what, line, &error).into(), None))?;
                if let Some(ended) = self.take(decoded, what, version, follower).await? {
                    return Ok(ended);
                }
            }
            held.drain(..start);
            if held.len() > LINE_LIMIT {
                return Err(Stop::Failed(super::answer::too_large(what, LINE_LIMIT).into(), None));
            }
            if held.capacity() > 1 << 18 && held.is_empty() {
                held = Vec::new();
            }
        }
    }

    async fn take<T: Object>(
        &mut self,
        line: Line<T>,
        what: &str,
        version: &mut String,
        follower: &mut dyn Follower<T>,
    ) -> Result<Option<Ended>, Stop> {
        let seen = match line {
            Line::Added(object) | Line::Modified(object) => {
                object.version().clone_into(version);
                Seen::Changed(object)
            }
            Line::Deleted(object) => {
                object.version().clone_into(version);
                Seen::Gone(object)
            }
            Line::Bookmark(mark) => {
                *version = mark.metadata.resource_version;
                self.outlet.life.bookmark(self.kind.part);
                return Ok(None);
            }
            Line::Error(status) if status.code == 410 || status.reason == "Expired" || status.reason == "Gone" => {
                return Ok(Some(Ended::Expired));
            }
            Line::Error(status) => {
                let why = format!("{what}: {}", clean_bounded(&status.message, 300));
                return Err(Stop::Failed(Failure::from_status(status.code, why).into(), None));
            }
        };
        let mut updates = follower.saw(seen);
        updates.extend(self.outlet.life.event(self.kind.part));
        self.emit(updates).await?;
        Ok(None)
    }

    async fn emit(&self, updates: Vec<PlatformUpdate>) -> Result<(), Stop> {
        for update in updates {
            self.outlet.updates.send(update).await.map_err(|_| Stop::Closed)?;
        }
        Ok(())
    }

    /// Tells of the failure and waits; a call back ends the wait early.
    async fn wait_out(&mut self, problem: Problem) -> Result<(), Closed> {
        let forbidden = matches!(problem.failure, Failure::Refused { reason: Refusal::Right, .. });
        let mut wait = self.backoff.after_failure(dice());
        if forbidden && self.backoff.attempts() > 3 {
            wait = LONGEST_WAIT_FORBIDDEN;
        }
        let wait = wait.max(problem.retry_after.unwrap_or_default());
        let trouble = PlatformUpdate::Trouble { failure: problem.failure, part: self.kind.part, retry_in: wait };
        self.outlet.updates.send(trouble).await.map_err(|_| Closed)?;
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            woken = self.outlet.wake.changed() => woken.map_err(|_| Closed),
            () = self.outlet.updates.closed() => Err(Closed),
        }
    }

    fn list_query<'a>(&self, next: Option<&'a str>) -> Vec<(&'static str, std::borrow::Cow<'a, str>)> {
        let mut pairs = vec![("limit", self.kind.page.to_string().into())];
        if let Some(token) = next {
            pairs.push(("continue", token.into()));
        }
        pairs
    }

    fn path(&self, pairs: &[(&str, impl AsRef<str>)]) -> String {
        let mut all: Vec<(&str, &str)> = Vec::new();
        all.extend(self.kind.labels.as_deref().map(|labels| ("labelSelector", labels)));
        all.extend(self.kind.fields.as_deref().map(|fields| ("fieldSelector", fields)));
        all.extend(pairs.iter().map(|(name, value)| (*name, value.as_ref())));
        format!("{}{}", self.kind.path, query(&all))
    }
}

enum Stop {
    /// Nobody listens.
    Closed,
    /// Failed; the version to go on from if what we know still holds.
    Failed(Problem, Option<String>),
}

/// A number between 0 and 1, for jitter: the standard library's hash keys are random.
pub(super) fn dice() -> f64 {
    f64::from(dice_byte()) / 255.0
}

fn dice_byte() -> u8 {
    std::hash::RandomState::new().build_hasher().finish().to_le_bytes()[0]
}
