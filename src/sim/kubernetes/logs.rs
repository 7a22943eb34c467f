//! `pods/{name}/log`: which container, which of its lives, which of its lines, and the stream of those to come.

use super::api::Api;
use super::cluster::text;
use super::resources::Kind;
use super::status::Status;
use super::store::key;
use crate::sim::fault::FaultKind;
use crate::sim::logbook::Container;
use crate::sim::switchboard::Face;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::stream;
use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What is older was rotated away.
const KEPT: i64 = 15 * 60 * 1000;
/// How often a follower is told of new lines, in simulated time; never more often than so in real time.
const PULSE: Duration = Duration::from_millis(500);
const LEAST: Duration = Duration::from_millis(50);

/// One life of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    container: Container,
    /// When it ended, in ms since t = 0; still running when absent.
    ended: Option<i64>,
}

/// What was asked for.
struct Wanted {
    namespace: String,
    pod: String,
    container: Option<String>,
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail: Option<usize>,
    limit: Option<usize>,
    /// Lines from this wall time on.
    since: Option<DateTime<Utc>>,
    /// The same, as an age.
    last: Option<TimeDelta>,
}

/// The answer, when the path is that of a log.
pub(crate) fn serve(api: &Arc<Api>, method: &Method, path: &str, query: &HashMap<String, String>) -> Option<Response> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["api", "v1", "namespaces", namespace, "pods", pod, "log"] = parts.as_slice() else { return None };
    if method != Method::GET {
        return Some(Status::method_not_allowed().into_response());
    }
    Some(read(namespace, pod, query).and_then(|wanted| answer(api, wanted)).unwrap_or_else(IntoResponse::into_response))
}

fn read(namespace: &str, pod: &str, query: &HashMap<String, String>) -> Result<Wanted, Status> {
    let flag = |name: &str| query.get(name).is_some_and(|v| v == "true" || v == "1");
    let number = |name: &str| match query.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok(Some(n)),
            _ => Err(Status::bad_request(format!("invalid value for {name}: {text:?}"))),
        },
    };
    let since = match query.get("sinceTime") {
        None => None,
        Some(text) => {
            let at = DateTime::parse_from_rfc3339(text).map_err(|e| Status::bad_request(format!("invalid sinceTime {text:?}: {e}")))?;
            // A node gets whole seconds, whatever was asked.
            DateTime::from_timestamp(at.timestamp(), 0)
        }
    };
    let last = number("sinceSeconds")?;
    if since.is_some() && last.is_some() {
        return Err(Status::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    let count = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    Ok(Wanted {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: query.get("container").filter(|name| !name.is_empty()).cloned(),
        follow: flag("follow"),
        previous: flag("previous"),
        timestamps: flag("timestamps"),
        tail: count(number("tailLines")?),
        limit: count(number("limitBytes")?),
        since,
        last: last.map(TimeDelta::seconds),
    })
}

fn answer(api: &Arc<Api>, wanted: Wanted) -> Result<Response, Status> {
    let zero = api.clock.wall_at(0);
    let (life, now) = {
        let world = api.world();
        (life(&world.cluster, zero, &wanted)?, world.cluster.now)
    };
    let since = wanted.since.or(wanted.last.map(|age| now.wall - age)).map(|at| (at - zero).num_milliseconds());
    let from = since.unwrap_or(i64::MIN).max(now.t - KEPT).max(life.container.started);
    let to = life.ended.map_or(now.t, |end| end.min(now.t)).max(from);
    let mut lines = api.world().written(&life.container, from, to);
    if let Some(tail) = wanted.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let mut first = show(api, &lines, wanted.timestamps);
    if let Some(limit) = wanted.limit {
        first.truncate(limit);
    }
    let kind = [(CONTENT_TYPE, "text/plain")];
    // With a limit of bytes a follower would have to be cut in the middle of a line some day: here it ends with the past.
    if !wanted.follow || life.ended.is_some() || wanted.limit.is_some() {
        return Ok((kind, first).into_response());
    }
    let follower = Follower { api: Arc::clone(api), wanted, life, told: to, first: Some(Bytes::from(first)) };
    let body = Body::from_stream(stream::unfold(follower, |mut follower| async move {
        let chunk = follower.next().await?;
        Some((Ok::<_, Infallible>(chunk), follower))
    }));
    Ok((kind, body).into_response())
}

/// The life of the container whose log is read; the refusals are those of a node.
fn life(cluster: &super::Cluster, zero: DateTime<Utc>, wanted: &Wanted) -> Result<Life, Status> {
    let name = &wanted.pod;
    let object = cluster.store.get(Kind::Pod, &key(&wanted.namespace, name));
    let object = object.ok_or_else(|| Status::not_found(Kind::Pod.resource(), name))?.value();
    let names: Vec<&str> = object["spec"]["containers"].as_array().into_iter().flatten().map(|c| text(&c["name"])).collect();
    let container = match (&wanted.container, names.as_slice()) {
        (Some(asked), _) => names.iter().find(|name| *name == asked).copied(),
        (None, [only]) => Some(*only),
        (None, several) => {
            let why = format!("a container name must be specified for pod {name}, choose one of: [{}]", several.join(" "));
            return Err(Status::bad_request(why));
        }
    };
    let Some(container) = container else {
        let asked = wanted.container.as_deref().unwrap_or("");
        return Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")));
    };
    if text(&object["spec"]["nodeName"]).is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let statuses = object["status"]["containerStatuses"].as_array();
    let status = statuses.into_iter().flatten().find(|status| text(&status["name"]) == container).cloned().unwrap_or_default();
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let described = |times: &Value, ended: bool| Life {
        container: Container {
            uid: text(&object["metadata"]["uid"]).to_owned(),
            version: text(&object["metadata"]["labels"]["version"]).to_owned(),
            image: text(&status["image"]).rsplit(':').next().unwrap_or("").to_owned(),
            started: moment(zero, &times["startedAt"]).unwrap_or(i64::MIN / 4),
        },
        ended: if ended { moment(zero, &times["finishedAt"]) } else { None },
    };
    let about = format!("container \"{container}\" in pod \"{name}\"");
    if wanted.previous {
        return match last {
            Value::Object(_) => Ok(described(last, true)),
            _ => Err(Status::bad_request(format!("previous terminated {about} not found"))),
        };
    }
    match state {
        state if state["running"].is_object() => Ok(described(&state["running"], false)),
        state if state["terminated"].is_object() => Ok(described(&state["terminated"], true)),
        _ if last.is_object() => Ok(described(last, true)),
        state => Err(Status::bad_request(match text(&state["waiting"]["reason"]) {
            "" => format!("{about} is not available"),
            "ErrImagePull" => format!("{about} is waiting to start: image can't be pulled"),
            "ImagePullBackOff" => format!("{about} is waiting to start: trying and failing to pull image"),
            reason => format!("{about} is waiting to start: {reason}"),
        })),
    }
}

/// A time of an object, in ms since t = 0, which was at `zero`.
fn moment(zero: DateTime<Utc>, at: &Value) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(at.as_str()?).ok()?.to_utc();
    Some((at - zero).num_milliseconds())
}

fn show(api: &Api, lines: &[(i64, String)], timestamps: bool) -> String {
    let mut out = String::new();
    for (at, line) in lines {
        let wall = api.clock.wall_at(*at);
        if timestamps {
            let _ = write!(out, "{} ", wall.to_rfc3339_opts(SecondsFormat::Nanos, true));
        }
        let _ = writeln!(out, "{} {line}", wall.to_rfc3339_opts(SecondsFormat::Millis, true));
    }
    out
}

/// A log that is read as it is written.
struct Follower {
    api: Arc<Api>,
    wanted: Wanted,
    life: Life,
    /// Everything before was told.
    told: i64,
    first: Option<Bytes>,
}

impl Follower {
    /// The next lines; `None` when the container ended or its Pod is gone.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first);
        }
        loop {
            let (lines, over) = self.news();
            if !lines.is_empty() {
                return Some(Bytes::from(lines));
            }
            if over {
                return None;
            }
            tokio::time::sleep(self.api.clock.real(PULSE).max(LEAST)).await;
        }
    }

    fn news(&mut self) -> (String, bool) {
        let world = self.api.world();
        if self.api.board().on(Face::Platform, FaultKind::Stale) {
            return (String::new(), false);
        }
        let now = world.cluster.now.t;
        let current = life(&world.cluster, self.api.clock.wall_at(0), &self.wanted).ok();
        let same = current.as_ref().is_some_and(|life| life.container == self.life.container);
        let ended = if same { current.and_then(|life| life.ended) } else { Some(now) };
        let to = ended.map_or(now, |end| end.min(now));
        let lines = world.written(&self.life.container, self.told, to);
        drop(world);
        self.told = self.told.max(to);
        (show(&self.api, &lines, self.wanted.timestamps), ended.is_some())
    }
}
