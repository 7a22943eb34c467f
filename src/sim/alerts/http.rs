//! Alertmanager's HTTP API, version 2.

use super::manager::{Held, Manager};
use super::wire::{Refused, alert, read_alerts, read_silence, silence};
use crate::domain::alert::Matcher;
use crate::domain::{Clock, Labels};
use crate::sim::calls::{Call, CallKind, CallResult, Calls};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest request that is read.
const LARGEST: usize = 1024 * 1024;
/// The configuration that `status` shows.
const CONFIG: &str = "route:\n  receiver: chat\n  group_by:\n  - alertname\n  routes:\n  - receiver: pager\n    matchers:\n    - severity=~\"critical|page\"\nreceivers:\n- name: chat\n- name: pager\n";

type Pairs = Vec<(String, String)>;

/// What the API serves.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) manager: Arc<Mutex<Manager>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where silences that are made and ended are written down.
    pub(crate) calls: Option<Calls>,
    started: DateTime<Utc>,
}

impl Served {
    pub(crate) fn new(manager: Arc<Mutex<Manager>>, clock: Arc<dyn Clock>, calls: Option<Calls>) -> Self {
        let started = clock.now().wall;
        Self { manager, clock, calls, started }
    }

    fn lock(&self) -> MutexGuard<'_, Manager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now().wall
    }

    fn record(&self, verb: &str, object: String, body: Value, done: bool) {
        if let Some(calls) = &self.calls {
            let result = if done { CallResult::Applied } else { CallResult::Refused };
            let call = Call { kind: CallKind::Act, verb: verb.to_owned(), object, body, result };
            calls.clone().record_on("alertmanager", self.now(), &call);
        }
    }

    pub(crate) fn router(self) -> Router {
        let v2 = Router::new()
            .route("/status", get(status))
            .route("/receivers", get(|| async { Json(json!([{ "name": "chat" }, { "name": "pager" }])) }))
            .route("/alerts", get(alerts).post(post_alerts))
            .route("/alerts/groups", get(groups))
            .route("/silences", get(silences).post(post_silence))
            .route("/silence/{id}", get(one_silence).delete(delete_silence))
            .method_not_allowed_fallback(|method: Method| async move { Refused::Schema(405, format!("method {method} is not allowed")) });
        Router::new()
            .nest("/api/v2", v2)
            .route("/-/healthy", get(|| async { "OK" }))
            .route("/-/ready", get(|| async { "OK" }))
            .fallback(|uri: Uri| async move { Refused::Schema(404, format!("path {} was not found", uri.path())) })
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(self)
    }
}

/// The API over a manager. `clock` says what "now" is.
pub fn api(manager: Arc<Mutex<Manager>>, clock: Arc<dyn Clock>) -> Router {
    Served::new(manager, clock, None).router()
}

async fn status(State(served): State<Served>) -> Json<Value> {
    Json(json!({
        "cluster": { "peers": [], "status": "disabled" },
        "config": { "original": CONFIG },
        "uptime": served.started.to_rfc3339_opts(SecondsFormat::Millis, true),
        "versionInfo": { "branch": "gonogo", "buildDate": "", "buildUser": "gonogo", "goVersion": "", "revision": "simulated", "version": "0.25.0" },
    }))
}

/// Which alerts a client wants to see.
struct Wanted {
    active: bool,
    silenced: bool,
    inhibited: bool,
    matchers: Vec<Matcher>,
    receiver: Option<regex::Regex>,
}

impl Wanted {
    fn new(pairs: &Pairs) -> Result<Self, Refused> {
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        // What is neither yes nor no is no, as the real one has it.
        let yes = |name: &str| first(name).is_none_or(|v| matches!(v, "true" | "1" | "t" | "yes" | "y" | "on" | "ok"));
        let receiver = match first("receiver").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(
                regex::Regex::new(&format!("^(?:{text})$"))
                    .map_err(|_| Refused::handler(400, format!("failed to parse receiver param: error parsing regexp: `^(?:{text})$`")))?,
            ),
        };
        let wanted =
            Self { active: yes("active"), silenced: yes("silenced"), inhibited: yes("inhibited"), matchers: filters(pairs)?, receiver };
        Ok(wanted)
    }

    fn wants(&self, held: &Held, silenced_by: &[String]) -> bool {
        let state = if silenced_by.is_empty() { self.active } else { self.silenced };
        // Nothing is inhibited here, so that wish changes nothing.
        let _ = self.inhibited;
        state && fits(&self.matchers, &held.labels) && self.receiver.as_ref().is_none_or(|r| r.is_match(held.receiver()))
    }
}

fn filters(pairs: &Pairs) -> Result<Vec<Matcher>, Refused> {
    let texts = pairs.iter().filter(|(key, _)| key == "filter").map(|(_, value)| value);
    texts.map(|text| Matcher::parse(text).map_err(|e| Refused::handler(400, e.to_string()))).collect()
}

/// An empty value asks whether the label is there.
fn fits(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| {
        let there = labels.contains_key(&m.name);
        (m.value.is_empty() && there != m.is_equal) || m.matches(labels)
    })
}

fn body(value: &Value) -> Response {
    // Go's encoder ends with a line break.
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

async fn alerts(State(served): State<Served>, Query(pairs): Query<Pairs>) -> Result<Response, Refused> {
    let wanted = Wanted::new(&pairs)?;
    let (manager, now) = (served.lock(), served.now());
    let all: Vec<Value> =
        manager.alerts(now).iter().filter(|(held, by)| wanted.wants(held, by)).map(|(held, by)| alert(held, by)).collect();
    Ok(body(&json!(all)))
}

async fn groups(State(served): State<Served>, Query(pairs): Query<Pairs>) -> Result<Response, Refused> {
    let wanted = Wanted::new(&pairs)?;
    let (manager, now) = (served.lock(), served.now());
    let mut groups: BTreeMap<(String, &str), Vec<Value>> = BTreeMap::new();
    for (held, by) in manager.alerts(now).iter().filter(|(held, by)| wanted.wants(held, by)) {
        let name = held.labels.get("alertname").cloned().unwrap_or_default();
        groups.entry((name, held.receiver())).or_default().push(alert(held, by));
    }
    let told = groups.into_iter().map(|((name, receiver), alerts)| {
        let labels = if name.is_empty() { json!({}) } else { json!({ "alertname": name }) };
        json!({ "alerts": alerts, "labels": labels, "receiver": { "name": receiver } })
    });
    Ok(body(&told.collect()))
}

fn is_json(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/octet-stream");
    let bare = kind.split(';').next().unwrap_or_default().trim();
    if bare.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refused::Schema(415, format!("unsupported media type {bare:?}, only [application/json] are allowed")))
}

async fn post_alerts(State(served): State<Served>, headers: HeaderMap, given: Bytes) -> Result<Response, Refused> {
    is_json(&headers)?;
    let now = served.now();
    let alerts = read_alerts(&given)?;
    served.lock().post(alerts, now)?;
    Ok(StatusCode::OK.into_response())
}

async fn silences(State(served): State<Served>, Query(pairs): Query<Pairs>) -> Result<Response, Refused> {
    let matchers = filters(&pairs)?;
    let now = served.now();
    let mut manager = served.lock();
    let about = |all: &[Matcher]| -> Labels { all.iter().map(|m| (m.name.clone(), m.value.clone())).collect() };
    let told: Vec<Value> = manager
        .silences(now)
        .into_iter()
        .filter(|kept| fits(&matchers, &about(&kept.body.matchers)))
        .map(|kept| silence(kept, now))
        .collect();
    Ok(body(&json!(told)))
}

async fn post_silence(State(served): State<Served>, headers: HeaderMap, given: Bytes) -> Result<Response, Refused> {
    is_json(&headers)?;
    let shown = serde_json::from_slice(&given).unwrap_or(Value::Null);
    let now = served.now();
    let made = read_silence(&given).and_then(|wanted| served.lock().set_silence(wanted, now));
    let object = made.as_ref().map_or_else(|_| "silence".to_owned(), |id| format!("silence/{id}"));
    served.record("create", object, shown, made.is_ok());
    made.map(|id| body(&json!({ "silenceID": id })))
}

fn uuid(id: &str) -> Result<(), Refused> {
    let parts: Vec<usize> = id.split('-').map(|part| if part.chars().all(|c| c.is_ascii_hexdigit()) { part.len() } else { 0 }).collect();
    if parts == [8, 4, 4, 4, 12] {
        return Ok(());
    }
    let shown: String = id.chars().take(80).collect();
    Err(Refused::Schema(601, format!("silenceID in path must be of type uuid: {shown:?}")))
}

async fn one_silence(State(served): State<Served>, Path(id): Path<String>) -> Result<Response, Refused> {
    uuid(&id)?;
    let (manager, now) = (served.lock(), served.now());
    Ok(manager.silence(&id).map_or_else(|| StatusCode::NOT_FOUND.into_response(), |kept| body(&silence(kept, now))))
}

async fn delete_silence(State(served): State<Served>, Path(id): Path<String>) -> Result<Response, Refused> {
    uuid(&id)?;
    let now = served.now();
    let ended = served.lock().expire_silence(&id, now);
    served.record("delete", format!("silence/{id}"), Value::Null, ended.is_ok());
    ended.map(|()| StatusCode::OK.into_response())
}
