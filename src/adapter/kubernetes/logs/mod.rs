//! Logs of pods: the past, then what is written, over connections that end all the time.
//!
//! The past is read by a request of its own that ends: a node answers a follower with nothing, not even headers, until there is a line,
//! so that a quiet instance would look like one that does not answer.

mod container;
mod cut;
mod known;

use super::answer::Problem;
use super::feed::dice;
use super::link::{Ask, Link, query};
use super::{Core, Kubernetes};
use crate::domain::backoff::Backoff;
use crate::domain::log::{LogLine, LogSelection, LogSource, LogUpdate, parse};
use crate::domain::{Failure, Refusal};
use crate::port::Logs;
use chrono::{DateTime, SecondsFormat, Utc};
use cut::Cutter;
use futures::FutureExt as _;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt as _};
use http_body_util::BodyExt as _;
use known::Known;
use kube::client::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Most that is read of the past of one instance, in bytes.
const PAST_LIMIT: u32 = 1 << 20;
/// Lines of the container before the current one.
const PREVIOUS: u32 = 60;
/// Lines a second of one instance that are taken; what comes faster is counted and left out.
const RATE: f64 = 1000.0;
/// Lines that may come at once beyond that: the tail.
const BURST: f64 = 2000.0;
/// Lines handed over at once.
const BATCH: usize = 256;
/// After so long without a line the connection is made anew: an idle one may be dead without knowing.
const SILENCE: Duration = Duration::from_secs(90);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A container that waits for its restart is looked at so often: it may live for seconds only.
const RESTART_WAIT: Duration = Duration::from_secs(5);
/// A right that is missing does not come back within seconds.
const LONGEST_WAIT_FORBIDDEN: Duration = Duration::from_secs(120);

impl Logs for Kubernetes {
    fn stream(&self, selection: LogSelection) -> BoxStream<'static, LogUpdate> {
        let core = Arc::clone(&self.core);
        let (updates, inbox) = mpsc::channel(16);
        let work = async move {
            let all = selection.instances.into_iter().map(|source| Reader::new(&core, source, selection.tail, updates.clone()).run());
            join_all(all).await;
            drop(updates);
        };
        // All work is done by whoever polls the stream, and ends with it.
        stream::unfold((inbox, work.fuse().boxed(), false), |(mut inbox, mut work, mut over)| async move {
            loop {
                tokio::select! {
                    biased;
                    update = inbox.recv() => return update.map(|update| (update, (inbox, work, over))),
                    () = &mut work, if !over => over = true,
                }
            }
        })
        .boxed()
    }
}

/// Why reading stopped.
enum Stop {
    /// Nobody listens.
    Closed,
    /// The instance is gone.
    Gone,
    /// Another attempt may help.
    Failed(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        match problem.failure {
            Failure::Refused { reason: Refusal::Missing, .. } if !problem.no_such_path => Self::Gone,
            _ => Self::Failed(problem),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Problem::from(failure).into()
    }
}

/// How a connection ended.
enum Ended {
    /// The other side closed it, or it broke.
    Closed,
    /// Nothing came for long.
    Silent,
}

/// Reads one instance.
struct Reader {
    link: Arc<Link>,
    namespace: String,
    source: LogSource,
    tail: u32,
    updates: mpsc::Sender<LogUpdate>,
    container: Arc<str>,
    known: Known,
    seq: u64,
    /// Lines that may be taken now, and when that was (mono).
    allowance: (f64, Duration),
    dropped: u64,
    backoff: Backoff,
}

impl Reader {
    fn new(core: &Core, source: LogSource, tail: u32, updates: mpsc::Sender<LogUpdate>) -> Self {
        let known = Known::up_to(source.since);
        let now = core.link.clock().now().mono;
        Self {
            link: Arc::clone(&core.link),
            namespace: core.spec.namespace.clone(),
            source,
            tail,
            updates,
            container: Arc::from(""),
            known,
            seq: 0,
            allowance: (BURST, now),
            dropped: 0,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    async fn run(mut self) {
        loop {
            match self.attempt().await {
                Err(Stop::Closed) => return,
                Err(Stop::Gone) => {
                    let _ = self.updates.send(LogUpdate::Ended { instance: self.source.uid.clone() }).await;
                    return;
                }
                Err(Stop::Failed(problem)) => {
                    if self.wait_out(problem).await.is_err() {
                        return;
                    }
                }
                Ok(()) => {}
            }
        }
    }

    /// One round: which container, its past, and what it writes until the other side ends it.
    async fn attempt(&mut self) -> Result<(), Stop> {
        self.container = container::choose(&self.link, &self.namespace, &self.source).await?;
        if std::mem::take(&mut self.source.previous) {
            self.before().await?;
        }
        let began = self.link.clock().now().mono;
        self.past().await?;
        self.tell(LogUpdate::Following { instance: self.source.uid.clone() }).await?;
        let followed = self.link.clock().now().mono;
        while let Ended::Silent = self.follow(began).await? {}
        // A container that waits for its restart ends every follower at once.
        if self.link.clock().now().mono.saturating_sub(followed) < Duration::from_secs(1) {
            tokio::time::sleep(self.backoff.after_failure(dice()).min(RESTART_WAIT)).await;
        } else {
            self.backoff.succeeded();
        }
        Ok(())
    }

    /// The last lines of the container before. That there was none is no failure.
    async fn before(&mut self) -> Result<(), Stop> {
        let tail = PREVIOUS.to_string();
        let ask = self.ask(&[("previous", "true"), ("tailLines", &tail)]);
        match self.link.stream(&ask).await {
            Ok(body) => self.read(body, &ask.what, self.link.timeout()).await.map(|_| ()),
            Err(problem) if matches!(problem.failure, Failure::Refused { code: 400, .. }) => Ok(()),
            Err(problem) => Err(problem.into()),
        }
    }

    async fn past(&mut self) -> Result<(), Stop> {
        let (tail, limit) = (self.tail.to_string(), PAST_LIMIT.to_string());
        let since = self.known.since().map(text);
        let mut pairs = vec![("tailLines", tail.as_str()), ("limitBytes", limit.as_str())];
        pairs.extend(since.as_deref().map(|since| ("sinceTime", since)));
        let ask = self.ask(&pairs);
        let body = self.link.stream(&ask).await?;
        let (resumed, before) = (since.is_some(), self.seq);
        self.known.resume();
        self.read(body, &ask.what, self.link.timeout()).await?;
        // A full tail without a line that was known: what lies between was not read.
        if resumed && !self.known.met() && self.seq - before >= u64::from(self.tail) {
            self.tell(LogUpdate::Gap { instance: self.source.uid.clone() }).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, began: Duration) -> Result<Ended, Stop> {
        // An age needs no common clock; with a line to go on from, its own time is better.
        let age = (self.link.clock().now().mono.saturating_sub(began).as_secs() + 2).to_string();
        let since = self.known.since().map(text);
        let from = since.as_deref().map_or(("sinceSeconds", age.as_str()), |since| ("sinceTime", since));
        let ask = self.ask(&[("follow", "true"), from]);
        self.known.resume();
        match self.link.stream_within(&ask, SILENCE).await {
            Ok(body) => self.read(body, &ask.what, SILENCE).await,
            // No headers: nothing was written.
            Err(Problem { failure: Failure::Unknown { why }, .. }) if why.contains("no answer within") => Ok(Ended::Silent),
            Err(problem) => Err(problem.into()),
        }
    }

    fn ask(&self, pairs: &[(&str, &str)]) -> Ask {
        let mut all = vec![("timestamps", "true")];
        if !self.container.is_empty() {
            all.push(("container", &*self.container));
        }
        all.extend_from_slice(pairs);
        let path = format!("/api/v1/namespaces/{}/pods/{}/log{}", self.namespace, self.source.name, query(&all));
        Ask { what: format!("read the log of pod {}", self.source.name), path, post: None, limit: 0, accept: super::link::JSON }
    }

    /// Hands lines over as they come, until the connection ends.
    async fn read(&mut self, mut body: Body, what: &str, silence: Duration) -> Result<Ended, Stop> {
        let mut cutter = Cutter::default();
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(silence, body.frame()) => frame,
                () = self.updates.closed() => return Err(Stop::Closed),
            };
            let data = match frame {
                Err(_) => {
                    self.flush(&mut Vec::new()).await?;
                    return Ok(Ended::Silent);
                }
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                // Where a connection breaks in the middle of a line the whole line comes again with the next one.
                Ok(Some(Err(error))) => {
                    tracing::debug!(what, %error, "a log stream broke off");
                    return Ok(Ended::Closed);
                }
                Ok(None) => {
                    let mut lines = Vec::new();
                    if let Some((raw, length)) = cutter.rest() {
                        lines.extend(self.line(&raw, length));
                    }
                    self.flush(&mut lines).await?;
                    return Ok(Ended::Closed);
                }
            };
            self.refill();
            let mut lines = Vec::new();
            let mut rest = &data[..];
            while let Some((raw, length)) = cutter.next(&mut rest) {
                lines.extend(self.line(raw, length));
                if lines.len() >= BATCH {
                    self.flush(&mut lines).await?;
                }
            }
            self.flush(&mut lines).await?;
        }
    }

    fn refill(&mut self) {
        let now = self.link.clock().now().mono;
        let more = now.saturating_sub(self.allowance.1).as_secs_f64() * RATE;
        self.allowance = ((self.allowance.0 + more).min(BURST), now);
    }

    /// A line, unless it is known or comes too fast. What comes too fast is not even looked at.
    fn line(&mut self, raw: &[u8], length: usize) -> Option<LogLine> {
        if raw.is_empty() {
            return None;
        }
        if self.allowance.0 < 1.0 {
            self.dropped += 1;
            return None;
        }
        let raw = String::from_utf8_lossy(raw);
        let (stamp, rest) = raw.split_once(' ').unwrap_or((&raw, ""));
        let stamped = DateTime::parse_from_rfc3339(stamp).ok().map(|at| at.to_utc());
        // What a node says itself, for instance that a log was rotated away, has no time.
        let (at, text) = match stamped {
            Some(at) => (at, rest),
            None => (self.known.since().unwrap_or_else(|| self.link.clock().now().wall), &*raw),
        };
        if stamped.is_some() && !self.known.is_news(at, text) {
            return None;
        }
        self.allowance.0 -= 1.0;
        self.seq += 1;
        let parsed = parse(text, length.saturating_sub(raw.len() - text.len()));
        Some(LogLine {
            at,
            instance: self.source.uid.clone(),
            name: self.source.name.clone(),
            track: self.source.track,
            container: self.container.clone(),
            level: parsed.level,
            text: parsed.text.into(),
            seq: self.seq,
        })
    }

    async fn flush(&mut self, lines: &mut Vec<LogLine>) -> Result<(), Stop> {
        if !lines.is_empty() {
            self.tell(LogUpdate::Lines(std::mem::take(lines))).await?;
        }
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            self.tell(LogUpdate::Dropped { lines: dropped }).await?;
        }
        Ok(())
    }

    async fn tell(&self, update: LogUpdate) -> Result<(), Stop> {
        self.updates.send(update).await.map_err(|_| Stop::Closed)
    }

    /// Tells of the failure and waits.
    async fn wait_out(&mut self, problem: Problem) -> Result<(), Stop> {
        let forbidden = matches!(problem.failure, Failure::Refused { reason: Refusal::Right, .. });
        let mut retry_in = self.backoff.after_failure(dice());
        if forbidden && self.backoff.attempts() > 3 {
            retry_in = LONGEST_WAIT_FORBIDDEN;
        }
        let retry_in = retry_in.max(problem.retry_after.unwrap_or_default());
        let failure = match problem.failure {
            Failure::Refused { code, reason: Refusal::Right, why } => {
                let why = format!("{why}; your login needs the right to get pods/log in namespace {}", self.namespace);
                Failure::Refused { code, reason: Refusal::Right, why }
            }
            other => other,
        };
        self.tell(LogUpdate::Trouble { instance: self.source.uid.clone(), failure, retry_in }).await?;
        tokio::select! {
            () = tokio::time::sleep(retry_in) => Ok(()),
            () = self.updates.closed() => Err(Stop::Closed),
        }
    }
}

/// As the API takes times: a node gets whole seconds whatever is sent.
fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
