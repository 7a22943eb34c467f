//! The layer between a simulated system and its clients in which faults of the wire happen.

use super::clock::SimClock;
use super::fault::FaultKind;
use super::listen::Connection;
use super::switchboard::{Face, Switchboard};
use super::tally::Counted;
use crate::domain::Clock as _;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use chrono::DateTime;
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How much later answers come, in simulated time.
const LATENCY: Duration = Duration::from_secs(2);
/// Real time between the first half of an answer and the cut.
const BEFORE_CUT: Duration = Duration::from_millis(250);
/// Seconds that a client is told to wait.
const RETRY_SECONDS: u32 = 5;
/// Size of a huge answer: above what a client should be ready to hold.
const HUGE_CHUNKS: usize = 832;
const CHUNK: usize = 64 * 1024;

/// One gate.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) face: Face,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) clock: Arc<SimClock>,
    /// Seconds of the latest date told.
    pub(crate) last_date: Arc<AtomicI64>,
}

impl Gate {
    /// The server's clock as its answers tell it: simulated time. It stands while the system is stale, like an answer out of a cache.
    fn date(&self) -> Option<HeaderValue> {
        let now = self.clock.now().wall.timestamp();
        let told = if self.board.on(self.face, FaultKind::Stale) {
            self.last_date.load(Ordering::Relaxed)
        } else {
            self.last_date.store(now, Ordering::Relaxed);
            now
        };
        let text = DateTime::from_timestamp(told, 0)?.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        HeaderValue::from_str(&text).ok()
    }
}

/// Lets a request through, or does to it what the active faults say; and dates the answer.
pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let date = gate.date();
    let clock = request.uri().path() == "/clock";
    let count = (!clock).then(|| gate.board.tally.count(gate.face, request.method(), request.uri()));
    let mut response = through(gate, request, next).await;
    if let Some(count) = count {
        response = response.map(|inner| Body::new(Counted { inner, count }));
    }
    if let Some(date) = date {
        response.headers_mut().insert(DATE, date);
    }
    response
}

async fn through(gate: Gate, request: Request, next: Next) -> Response {
    let on = |kind| gate.board.on(gate.face, kind);
    // Time is the simulator's own, not a simulated system's.
    if request.uri().path() == "/clock" {
        return next.run(request).await;
    }
    gate.board.count(gate.face);
    if on(FaultKind::Lost) {
        if let Some(connection) = request.extensions().get::<Connection>() {
            connection.cut();
        }
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if on(FaultKind::Latency) {
        tokio::time::sleep(gate.clock.real(LATENCY)).await;
    }
    if on(FaultKind::AuthExpired) && gate.face != Face::Platform {
        return ([(WWW_AUTHENTICATE, "Bearer realm=\"metrics\"")], (StatusCode::UNAUTHORIZED, "Unauthorized\n")).into_response();
    }
    if on(FaultKind::Http500) {
        return refusal(gate.face, StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "an error on the server has prevented the request");
    }
    if on(FaultKind::Http429) {
        let why = "the server has received too many requests and has asked us to try again later";
        let mut response = refusal(gate.face, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", why);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        return response;
    }
    if on(FaultKind::Html) {
        return Html("<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>\n")
            .into_response();
    }
    if on(FaultKind::Huge) {
        return huge();
    }
    let cut_short = on(FaultKind::Reset);
    let writes = gate.face == Face::Alerts && request.method() != http::Method::GET;
    let connection = request.extensions().get::<Connection>().cloned();
    let response = next.run(request).await;
    // The platform's own layer does this to its writes.
    if writes && gate.board.hits_write_on(gate.face, FaultKind::ReplyLost) {
        if let Some(connection) = connection {
            connection.cut();
        }
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if cut_short { half(response).await } else { response }
}

/// A refusal in the words of the system behind the gate.
fn refusal(face: Face, code: StatusCode, reason: &str, why: &str) -> Response {
    let details = if code == StatusCode::TOO_MANY_REQUESTS { json!({ "retryAfterSeconds": RETRY_SECONDS }) } else { json!({}) };
    let body = match face {
        Face::Platform => json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": why, "reason": reason,
            "details": details, "code": code.as_u16(),
        }),
        Face::Metrics => json!({ "status": "error", "errorType": "internal", "error": why }),
        Face::Alerts => json!(why),
    };
    (code, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Valid JSON of more than 50 MB.
fn huge() -> Response {
    let filler = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = std::iter::once(Bytes::from_static(b"{\"padding\":\""))
        .chain(std::iter::repeat_n(filler, HUGE_CHUNKS))
        .chain(std::iter::once(Bytes::from_static(b"\"}")));
    let body = Body::from_stream(stream::iter(chunks.map(Ok::<_, Infallible>)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The first half of the answer, then a broken connection.
async fn half(response: Response) -> Response {
    let (parts, mut body) = response.into_parts();
    let first = match body.frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    let first = first.slice(..first.len() / 2);
    let chunks = stream::unfold(Some(first), |first| async move {
        if let Some(first) = first {
            return Some((Ok(first), None));
        }
        // Long enough that what came before is on its way, and not lost with the connection.
        tokio::time::sleep(BEFORE_CUT).await;
        Some((Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by a fault")), None))
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}
