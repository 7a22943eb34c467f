//! The HTTP face of the API server.

use super::cluster::text;
use super::fields;
use super::read::{self, Selection, Shape};
use super::resources::{Kind, Target};
use super::review::{Question, namespace_from_protobuf};
use super::status::Status;
use super::write::{Answer, Verb, Write};
use super::{discovery, logs, openapi, watch};
use crate::sim::calls::{Call, CallKind, CallResult, Calls};
use crate::sim::clock::SimClock;
use crate::sim::fault::FaultKind;
use crate::sim::listen::Connection;
use crate::sim::switchboard::{Face, Switchboard};
use crate::sim::world::World;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// Largest body that is read, as in a real server.
const MAX_BODY: usize = 3 * 1024 * 1024;
/// The binary form that kubectl's typed commands post.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// How late a late reply is, in simulated time.
const LATE: Duration = Duration::from_secs(30);
/// Answers below this many bytes are not compressed, as in a real server.
const COMPRESS_FROM: u64 = 128 * 1024;

/// Everything the API server works with.
pub(crate) struct Api {
    world: Arc<Mutex<World>>,
    pub(crate) clock: Arc<SimClock>,
    board: Arc<Switchboard>,
    calls: Mutex<Option<Calls>>,
}

impl Api {
    pub(crate) fn new(world: Arc<Mutex<World>>, clock: Arc<SimClock>, board: Arc<Switchboard>, calls: Option<Calls>) -> Arc<Self> {
        Arc::new(Self { world, clock, board, calls: Mutex::new(calls) })
    }

    /// Which faults are on.
    pub(crate) fn board(&self) -> &Switchboard {
        &self.board
    }

    /// The world, brought up to now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.is_live() {
            world.advance(self.clock.now_t_ms());
        }
        world
    }
}

/// Only whole answers are compressed: a watch must not wait in a compressor.
#[derive(Clone, Copy)]
struct LargeAndWhole;

impl Predicate for LargeAndWhole {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &http::Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|size| size >= COMPRESS_FROM)
    }
}

/// The API server's routes.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let compression = CompressionLayer::new().quality(tower_http::CompressionLevel::Fastest).compress_when(LargeAndWhole);
    Router::new().fallback(serve).with_state(api).layer(compression)
}

/// One request, read.
struct Asked {
    method: Method,
    path: String,
    query: HashMap<String, String>,
    headers: HeaderMap,
    connection: Option<Connection>,
    body: Body,
}

impl Asked {
    fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// How the client wants objects of the target.
    fn shape(&self, target: &Target) -> Result<Shape, Status> {
        Shape::new(target, self.header(ACCEPT), self.query.get("includeObject").map(String::as_str))
    }

    fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|v| v == "true" || v == "1")
    }
}

async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        method: parts.method,
        path: percent_decoded(parts.uri.path()),
        query: query(parts.uri.query().unwrap_or("")),
        connection: parts.extensions.get::<Connection>().cloned(),
        headers: parts.headers,
        body,
    };
    if matches!(asked.path.as_str(), "/livez" | "/readyz" | "/healthz") {
        return "ok".into_response();
    }
    let bearer = asked.header(AUTHORIZATION).strip_prefix("Bearer ").unwrap_or("");
    if !api.board.accepts(bearer) {
        return Status::unauthorized().into_response();
    }
    if asked.method == Method::GET
        && let Some(found) = discover(&asked.path, asked.header(ACCEPT))
    {
        return found;
    }
    if asked.path.starts_with("/apis/authorization.k8s.io/v1/") || asked.path.starts_with("/apis/authentication.k8s.io/v1/") {
        return review(&api, asked).await.unwrap_or_else(IntoResponse::into_response);
    }
    if let Some(path) = asked.path.strip_prefix("/apis/metrics.k8s.io/v1beta1/") {
        return usage(&api, path, &asked).unwrap_or_else(IntoResponse::into_response);
    }
    if let Some(answer) = logs::serve(&api, &asked.method, &asked.path, &asked.query) {
        return answer;
    }
    let Some(target) = Target::parse(&asked.path) else { return Status::no_such_path().into_response() };
    let answer = match (asked.method.clone(), target.name.is_some()) {
        (Method::GET, _) if asked.flag("watch") => watch_stream(&api, target, &asked),
        (Method::GET, true) => get(&api, &target, &asked),
        (Method::GET, false) => list(&api, &target, &asked),
        (Method::POST, false) | (Method::PUT | Method::PATCH | Method::DELETE, true) => write(&api, &target, asked).await,
        _ => Err(Status::method_not_allowed()),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

fn percent_decoded(text: &str) -> String {
    query(&format!("x={}", text.replace('+', "%2B").replace('&', "%26"))).remove("x").unwrap_or_default()
}

/// Query parameters; the last of a name wins.
fn query(text: &str) -> HashMap<String, String> {
    let uri: Result<http::Uri, _> = format!("/?{text}").parse();
    let parsed = uri.ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    parsed.map(|pairs| pairs.0.into_iter().collect()).unwrap_or_default()
}

fn discover(path: &str, accept: &str) -> Option<Response> {
    let aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2");
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body = match parts.as_slice() {
        ["version"] => discovery::version(),
        ["api" | "apis"] if aggregated => {
            let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            return Some(([(CONTENT_TYPE, kind)], discovery::aggregated(parts[0] == "api").to_string()).into_response());
        }
        ["openapi", "v3"] => openapi::index(),
        ["openapi", "v3", ..] => openapi::document(&parts[2..].join("/"))?,
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::group_list(),
        ["api", version] => discovery::resource_list("", version)?,
        ["apis", group] => discovery::group(group)?,
        ["apis", group, version] => discovery::resource_list(group, version)?,
        _ => return None,
    };
    Some(Json(body).into_response())
}

/// What Pods and Nodes use.
fn usage(api: &Api, path: &str, asked: &Asked) -> Result<Response, Status> {
    if asked.method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    let selection = Selection::by_labels(&asked.query)?;
    let path: Vec<&str> = path.split('/').collect();
    let found = api.world().cluster.usage_api(&path, &|labels| selection.takes_labels(labels));
    let name = path.last().copied().unwrap_or("");
    found.map(|body| Json(body).into_response()).ok_or_else(|| Status::no_usage(name))
}

/// Access reviews and who-am-I.
async fn review(api: &Api, asked: Asked) -> Result<Response, Status> {
    if asked.method != Method::POST {
        return Err(Status::method_not_allowed());
    }
    let protobuf = asked.header(CONTENT_TYPE).starts_with(PROTOBUF);
    let kind = asked.path.rsplit('/').next().unwrap_or("").to_owned();
    let body = read_body(asked.body).await?;
    let parse = || serde_json::from_slice::<Value>(&body).map_err(|e| Status::bad_request(format!("cannot read the review: {e}")));
    let answer = match kind.as_str() {
        "selfsubjectaccessreviews" => {
            let question = if protobuf {
                Question::from_protobuf(&body).ok_or_else(|| Status::unsupported_media("application/json"))?
            } else {
                Question::from_json(&parse()?)
            };
            let reads = matches!(question.verb.as_str(), "get" | "list" | "watch");
            question.answer(reads || !api.board.on(Face::Platform, FaultKind::Forbidden))
        }
        "selfsubjectreviews" => json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
            "status": { "userInfo": { "username": "sim-operator", "groups": ["system:authenticated"] } },
        }),
        "selfsubjectrulesreviews" => json!({
            "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": {},
            "status": { "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }], "nonResourceRules": [], "incomplete": false },
        }),
        _ => return Err(Status::no_such_path()),
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn get(api: &Arc<Api>, target: &Target, asked: &Asked) -> Result<Response, Status> {
    let shape = asked.shape(target)?;
    let (object, now) = {
        let world = api.world();
        (read::get(&world.cluster.store, target)?, world.cluster.now)
    };
    let body = match target.subresource.as_deref() {
        Some("scale") => Bytes::from(super::write::scale_of(&object.value()).to_string()),
        _ => shape.show(&object, now),
    };
    Ok(json_body(StatusCode::OK, body))
}

fn list(api: &Arc<Api>, target: &Target, asked: &Asked) -> Result<Response, Status> {
    let selection = Selection::parse(target, &asked.query)?;
    let shape = asked.shape(target)?;
    let (page, now) = {
        let mut world = api.world();
        let now = world.cluster.now;
        (read::open_page(&mut world.cluster.store, now, target, &asked.query)?, now)
    };
    Ok(json_body(StatusCode::OK, read::render(&page, &selection, &shape, &target.version, now)))
}

fn watch_stream(api: &Arc<Api>, target: Target, asked: &Asked) -> Result<Response, Status> {
    let body = watch::open(api, target, &asked.query, asked.header(ACCEPT))?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

fn json_body(code: StatusCode, body: Bytes) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn read_body(body: Body) -> Result<Bytes, Status> {
    to_bytes(body, MAX_BODY).await.map_err(|_| Status::too_large())
}

/// How the request changes its object, by method and content type.
fn verb(asked: &Asked, target: &Target) -> Result<Verb, Status> {
    let media = asked.header(CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    Ok(match asked.method {
        Method::DELETE => Verb::Delete,
        Method::PATCH => match media {
            "application/json-patch+json" => Verb::JsonPatch,
            "application/merge-patch+json" => Verb::MergePatch,
            "application/strategic-merge-patch+json" if target.resource.builtin => Verb::StrategicPatch,
            "application/apply-patch+yaml" => Verb::Apply,
            _ if target.resource.builtin => {
                return Err(Status::unsupported_media(
                    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                     application/apply-patch+yaml",
                ));
            }
            _ => {
                return Err(Status::unsupported_media(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
        },
        _ if media.is_empty() || media == "application/json" => {
            if asked.method == Method::POST {
                Verb::Create
            } else {
                Verb::Replace
            }
        }
        Method::POST if media == PROTOBUF && target.resource.kind == Kind::Namespace => Verb::Create,
        _ => return Err(Status::unsupported_media("application/json")),
    })
}

/// A write: faults first, then the object, then the calls file, then the answer.
async fn write(api: &Arc<Api>, target: &Target, mut asked: Asked) -> Result<Response, Status> {
    let verb = verb(&asked, target)?;
    let shape = asked.shape(target)?;
    let bytes = read_body(std::mem::take(&mut asked.body)).await?;
    let body: Value = match (bytes.is_empty(), verb) {
        (true, Verb::Delete) => Value::Null,
        // kubectl sends DeleteOptions as protobuf; nothing of it matters here.
        _ if bytes.starts_with(b"k8s\0") && verb == Verb::Delete => Value::Null,
        _ if bytes.starts_with(b"k8s\0") => namespace_from_protobuf(&bytes).ok_or_else(|| Status::unsupported_media("application/json"))?,
        (_, Verb::Apply) => yaml(&bytes)?,
        _ => serde_json::from_slice(&bytes).map_err(|e| Status::bad_request(format!("error decoding the body: {e}")))?,
    };
    let force = asked.flag("force");
    match (verb, asked.query.get("fieldManager").is_some_and(|manager| !manager.is_empty())) {
        (Verb::Apply, false) => return Err(Status::bad_options("fieldManager", "Required value: is required for apply patch")),
        (Verb::Apply, true) => {}
        _ if force => return Err(Status::bad_options("force", "Forbidden: may not be specified for non-apply patch")),
        _ => {}
    }
    if let Some(other) = asked.query.get("dryRun").filter(|mode| *mode != "All") {
        return Err(Status::bad_request(format!("dryRun: Unsupported value: {other:?}: supported values: \"All\"")));
    }
    let agent = asked.header(USER_AGENT).split(['/', ' ']).next().unwrap_or("").to_owned();
    let manager = asked.query.get("fieldManager").cloned().unwrap_or(if agent.is_empty() { "unknown".into() } else { agent });
    let dry_run = asked.query.contains_key("dryRun");
    let write = Write { target, verb, body: &body, manager: &manager, dry_run, force };
    let answer = evaluate(api, &write);
    if !dry_run {
        if api.board.hits_write(FaultKind::ReplyLost) {
            if let Some(connection) = &asked.connection {
                connection.cut();
            }
            std::future::pending::<()>().await;
        }
        if api.board.hits_write(FaultKind::ReplyLate) {
            tokio::time::sleep(api.clock.real(LATE)).await;
        }
    }
    let (code, object) = answer?;
    let now = api.world().cluster.now;
    let object =
        if target.subresource.as_deref() == Some("scale") || object["kind"] == "Status" { object } else { shape.convert(object, now) };
    Ok(json_body(code, Bytes::from(object.to_string())))
}

/// The body of an apply: YAML, of which JSON is a part.
fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(bytes).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))?;
    serde_json::from_str(text)
        .or_else(|_| serde_saphyr::from_str(text))
        .map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))
}

fn evaluate(api: &Api, write: &Write<'_>) -> Answer {
    let mut world = api.world();
    let live = api.clock.is_live();
    let intention = world.cluster.intention(write);
    let answer = if api.board.on(Face::Platform, FaultKind::Forbidden) {
        let target = write.target;
        let name = target.name.as_deref().unwrap_or_else(|| text(&write.body["metadata"]["name"]));
        Err(Status::forbidden(target.resource, target.namespace.as_deref(), name, write.verb.word()))
    } else if !write.dry_run && write.key().is_some() && api.board.hits_write(FaultKind::Conflict) {
        lose_race(&mut world, write)
    } else {
        world.write(write)
    };
    if live && !write.dry_run {
        let at = world.cluster.now.wall;
        let call = describe(write, intention.as_ref(), &answer);
        if let Some(calls) = api.calls.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            calls.record(at, &call);
        }
    }
    answer
}

/// Another client was faster. A patch whose own tests still hold meets the server's limit of retries instead.
fn lose_race(world: &mut World, write: &Write<'_>) -> Answer {
    if let Some(at) = write.key() {
        world.touch(write.target.resource.kind, &at);
    }
    let retried = Write { dry_run: true, ..*write };
    world.write(&retried)?;
    Err(Status::modified(write.target.resource, write.target.name.as_deref().unwrap_or("")))
}

/// The line of the calls file.
fn describe(write: &Write<'_>, intention: Option<&(Value, Value)>, answer: &Answer) -> Call {
    const EPOCH: [&str; 3] = ["f:metadata", "f:annotations", "f:gonogo.dev/epoch"];
    let mut kind = CallKind::Act;
    let mut verb = if write.target.subresource.as_deref() == Some("scale") { "scale" } else { write.verb.word() };
    if let Some((before, after)) = intention.filter(|_| write.verb != Verb::Delete) {
        let changed = fields::changed(write.target.resource.kind, before, after);
        if changed.len() == 1 && changed.iter().all(|path| path.iter().map(String::as_str).eq(EPOCH)) {
            kind = CallKind::Fence;
        }
        let split = |object: &Value| crate::sim::split::split(write.target.resource.kind, object);
        let by_mesh = write.target.resource.kind == Kind::VirtualService && weights(before) != weights(after);
        if by_mesh || (split(after).is_some() && split(before) != split(after)) {
            verb = "set_weight";
        }
    }
    let mut object = write.target.label();
    if write.verb == Verb::Create {
        object.push_str(text(&write.body["metadata"]["name"]));
    }
    let object = object.trim_end_matches("/scale").to_owned();
    let result = if answer.is_ok() { CallResult::Applied } else { CallResult::Refused };
    Call { kind, verb: verb.to_owned(), object, body: write.body.clone(), result }
}

/// Every weight of a VirtualService's HTTP routes.
fn weights(service: &Value) -> Vec<Vec<Value>> {
    let rules = service["spec"]["http"].as_array().into_iter().flatten();
    rules.map(|rule| rule["route"].as_array().into_iter().flatten().map(|route| route["weight"].clone()).collect()).collect()
}
