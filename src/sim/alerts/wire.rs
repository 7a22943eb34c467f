//! What the Alertmanager API takes and gives, and how it refuses: handlers with a bare JSON string, the schema with a code.

use super::manager::{Held, Kept};
use crate::domain::Labels;
use crate::domain::alert::{Matcher, SilenceState};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

/// A silence as posted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SilenceBody {
    pub(crate) id: Option<String>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) created_by: String,
    pub(crate) comment: String,
}

/// An alert as posted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlertBody {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) starts_at: Option<DateTime<Utc>>,
    pub(crate) ends_at: Option<DateTime<Utc>>,
    pub(crate) generator_url: String,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refused {
    /// By the handler: a bare JSON string.
    Handler(u16, String),
    /// By the schema: `{"code", "message"}`; the code is above 600 where the status is 422.
    Schema(u16, String),
}

impl Refused {
    pub(super) fn handler(status: u16, text: impl Into<String>) -> Self {
        Self::Handler(status, text.into())
    }

    fn required(name: &str) -> Self {
        Self::Schema(602, format!("{name} in body is required"))
    }

    fn unreadable(what: &str, why: &str) -> Self {
        Self::Schema(400, format!("parsing {what} body from \"\" failed, because {why}"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            // Go's encoder ends with a line break.
            Self::Handler(status, text) => (status, format!("{}\n", json!(text))),
            Self::Schema(code, message) => (if code >= 600 { 422 } else { code }, json!({ "code": code, "message": message }).to_string()),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// Milliseconds, as the API writes times.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An alert as the API tells it.
pub(super) fn alert(held: &Held, silenced_by: &[String]) -> Value {
    let state = if silenced_by.is_empty() { "active" } else { "suppressed" };
    json!({
        "annotations": held.annotations, "endsAt": time(held.ends_at), "fingerprint": held.fingerprint,
        "receivers": [{ "name": held.receiver() }], "startsAt": time(held.starts_at),
        "status": { "inhibitedBy": [], "silencedBy": silenced_by, "state": state },
        "updatedAt": time(held.updated_at), "generatorURL": held.generator_url, "labels": held.labels,
    })
}

/// A silence as the API tells it.
pub(super) fn silence(kept: &Kept, now: DateTime<Utc>) -> Value {
    let state = match kept.state(now) {
        SilenceState::Active => "active",
        SilenceState::Pending => "pending",
        SilenceState::Expired => "expired",
    };
    let matchers: Vec<Value> = kept
        .body
        .matchers
        .iter()
        .map(|m| json!({ "isEqual": m.is_equal, "isRegex": m.is_regex, "name": m.name, "value": m.value }))
        .collect();
    json!({
        "id": kept.id, "status": { "state": state }, "updatedAt": time(kept.updated_at), "comment": kept.body.comment,
        "createdBy": kept.body.created_by, "endsAt": time(kept.body.ends_at), "matchers": matchers,
        "startsAt": time(kept.body.starts_at),
    })
}

fn moment(value: &Value, what: &str) -> Result<DateTime<Utc>, Refused> {
    let text = value.as_str().unwrap_or_default();
    let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    parsed.map_err(|_| {
        Refused::unreadable(what, &format!("parsing time {text:?} as \"2006-01-02 15:04:05\": cannot parse {text:?} as \"2006\""))
    })
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, Refused> {
    value.as_object().ok_or_else(|| Refused::unreadable(what, "json: cannot unmarshal into Go value"))
}

fn text(map: &Map<String, Value>, name: &str, what: &str) -> Result<Option<String>, Refused> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::unreadable(what, &format!("json: cannot unmarshal into Go struct field .{name} of type string"))),
    }
}

fn labels(value: &Value, what: &str) -> Result<Labels, Refused> {
    let mut out = Labels::new();
    for (name, value) in object(value, what)? {
        let Some(value) = value.as_str() else {
            return Err(Refused::unreadable(what, "json: cannot unmarshal into Go value of type string"));
        };
        out.insert(name.clone(), value.to_owned());
    }
    Ok(out)
}

/// Reads a posted silence.
pub(super) fn read_silence(body: &[u8]) -> Result<SilenceBody, Refused> {
    let what = "silence";
    let value: Value = serde_json::from_slice(body).map_err(|e| Refused::unreadable(what, &e.to_string()))?;
    let map = object(&value, what)?;
    let comment = text(map, "comment", what)?.ok_or_else(|| Refused::required("comment"))?;
    let created_by = text(map, "createdBy", what)?.ok_or_else(|| Refused::required("createdBy"))?;
    let ends_at = moment(map.get("endsAt").ok_or_else(|| Refused::required("endsAt"))?, what)?;
    let matchers = map.get("matchers").and_then(Value::as_array).ok_or_else(|| Refused::required("matchers"))?;
    if matchers.is_empty() {
        return Err(Refused::Schema(612, "matchers in body should have at least 1 items".into()));
    }
    let starts_at = moment(map.get("startsAt").ok_or_else(|| Refused::required("startsAt"))?, what)?;
    let matchers = matchers.iter().enumerate().map(|(i, m)| read_matcher(m, i)).collect::<Result<_, _>>()?;
    let id = text(map, "id", what)?.filter(|id| !id.is_empty());
    Ok(SilenceBody { id, matchers, starts_at, ends_at, created_by, comment })
}

fn read_matcher(value: &Value, place: usize) -> Result<Matcher, Refused> {
    let map = object(value, "silence")?;
    let required = |name: &str| Refused::required(&format!("matchers.{place}.{name}"));
    let is_regex = map.get("isRegex").and_then(Value::as_bool).ok_or_else(|| required("isRegex"))?;
    let name = text(map, "name", "silence")?.ok_or_else(|| required("name"))?;
    let value = text(map, "value", "silence")?.ok_or_else(|| required("value"))?;
    Ok(Matcher { name, value, is_regex, is_equal: map.get("isEqual").and_then(Value::as_bool).unwrap_or(true) })
}

/// Reads posted alerts.
pub(super) fn read_alerts(body: &[u8]) -> Result<Vec<AlertBody>, Refused> {
    let what = "alerts";
    let value: Value = serde_json::from_slice(body).map_err(|e| Refused::unreadable(what, &e.to_string()))?;
    let list = value.as_array().ok_or_else(|| Refused::unreadable(what, "json: cannot unmarshal into Go value"))?;
    let mut out = Vec::new();
    for (i, value) in list.iter().enumerate() {
        let map = object(value, what)?;
        let given = map.get("labels").ok_or_else(|| Refused::required(&format!("{i}.labels")))?;
        let time = |name: &str| map.get(name).filter(|v| !v.is_null()).map(|v| moment(v, what)).transpose();
        // An empty label is no label.
        let mut given = labels(given, what)?;
        given.retain(|_, value| !value.is_empty());
        out.push(AlertBody {
            labels: given,
            annotations: map.get("annotations").map(|v| labels(v, what)).transpose()?.unwrap_or_default(),
            starts_at: time("startsAt")?,
            ends_at: time("endsAt")?,
            generator_url: text(map, "generatorURL", what)?.unwrap_or_default(),
        });
    }
    Ok(out)
}
