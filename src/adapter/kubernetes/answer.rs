//! What an answer, or its absence, means: certainly not applied, unknown, or unreadable.

use crate::domain::text::clean_bounded;
use crate::domain::{Failure, Refusal};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::error::Error as StdError;
use std::time::Duration;

/// Longest text of a server that is passed on, in characters.
const WORDS: usize = 400;

/// What a request was for: says which refusals mean what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Reading: asking again costs nothing.
    Read,
    /// A patch that tests what it relies on.
    Patch,
}

/// A call that did not give what was asked, with what the server told besides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    /// For the port.
    pub(super) failure: Failure,
    /// The server asked to be left alone for so long.
    pub(super) retry_after: Option<Duration>,
    /// The server's clock, if it answered.
    pub(super) date: Option<DateTime<Utc>>,
    /// A 404 that no Kubernetes object is behind: the path itself is unknown there.
    pub(super) no_such_path: bool,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None, date: None, no_such_path: false }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        problem.failure
    }
}

/// A successful answer.
pub(super) struct Reply {
    /// The server's clock by its Date header.
    pub(super) date: Option<DateTime<Utc>>,
    /// Body, decompressed.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Decodes the body. `what` names the operation.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, what: &str) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| unreadable(what, &self.body, &error))
    }
}

/// `Status` of `meta.k8s.io`, as far as it is used.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    name: String,
    #[serde(default)]
    causes: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default)]
    retry_after_seconds: Option<u64>,
}

/// The body is not what it should be.
pub(super) fn unreadable(what: &str, body: &[u8], error: &serde_json::Error) -> Failure {
    unreadable_from(what, body, body.len(), error)
}

/// The body of so many bytes, which begins like this, is not what it should be.
pub(super) fn unreadable_from(what: &str, start: &[u8], total: usize, error: &serde_json::Error) -> Failure {
    let start = String::from_utf8_lossy(&start[..start.len().min(200)]).into_owned();
    let why = if looks_like_html(&start) {
        "an HTML page came instead of a Kubernetes answer; is there a proxy or a login page in between?".to_owned()
    } else if error.is_eof() {
        format!("the answer ends early, after {total} bytes")
    } else {
        clean_bounded(&error.to_string(), 160)
    };
    Failure::Unreadable { why: format!("{what}: {why}") }
}

fn looks_like_html(start: &str) -> bool {
    let start = start.trim_start().to_ascii_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html")
}

/// The answer grew over what is ever read into memory.
pub(super) fn too_large(what: &str, limit: usize) -> Failure {
    Failure::Unreadable { why: format!("{what}: the answer is larger than {} MB; gave up reading it", limit >> 20) }
}

/// An answer that is not a success. `how` is what to do when the login was refused.
pub(super) fn refused(intent: Intent, what: &str, code: StatusCode, headers: &HeaderMap, body: &[u8], how: &str) -> Problem {
    let status = serde_json::from_slice::<Status>(body).ok().filter(|status| status.kind == "Status");
    let words = match &status {
        Some(status) if !status.message.is_empty() => clean_bounded(&status.message, WORDS),
        Some(status) => clean_bounded(&status.reason, WORDS),
        None => {
            let start = String::from_utf8_lossy(&body[..body.len().min(600)]).into_owned();
            if looks_like_html(&start) { "an HTML page, not Kubernetes".to_owned() } else { clean_bounded(start.trim(), 120) }
        }
    };
    let words = if words.is_empty() { code.canonical_reason().unwrap_or("no reason given").to_lowercase() } else { words };
    let failure = classify(intent, code.as_u16(), status.as_ref(), format!("{what}: {words}"), how);
    let told = status.as_ref().and_then(|status| status.details.as_ref()?.retry_after_seconds);
    let header = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = header.or(told).map(|seconds: u64| Duration::from_secs(seconds.min(300)));
    // An object that is missing is named in the details; a path that is unknown has none, or is told in plain text.
    let object = status.as_ref().and_then(|status| status.details.as_ref()).is_some_and(|details| !details.name.is_empty());
    Problem { failure, retry_after, date: date(headers), no_such_path: code == StatusCode::NOT_FOUND && !object }
}

fn classify(intent: Intent, code: u16, status: Option<&Status>, why: String, how: &str) -> Failure {
    let anonymous = code == 403 && why.contains("\"system:anonymous\"");
    if code == 401 || anonymous {
        return Failure::Refused { code, reason: Refusal::Login, why: format!("{why}; {how}") };
    }
    if intent == Intent::Patch && code == 422 && status.is_some_and(test_failed) {
        let why = format!("{why} (a tested field is not as it was read: somebody changed it)");
        return Failure::Refused { code, reason: Refusal::Conflict, why };
    }
    Failure::from_status(code, why)
}

/// Whether a 422 says that the patch could not be applied, rather than that its result is not valid: a failed `test` (or a path
/// that is gone) comes as a generic message without an object and without causes; validation names both.
fn test_failed(status: &Status) -> bool {
    let causes = status.details.as_ref().and_then(|details| details.causes.as_ref()).is_some_and(|causes| !causes.is_empty());
    !causes && !status.message.contains(" is invalid: ") && !status.message.contains("admission webhook")
}

/// A call that ended without a whole answer.
pub(super) fn broken_off(what: &str, error: &(dyn StdError + 'static), url: &str) -> Failure {
    let words = chain(error);
    let mut why = format!("{what} at {url}: {words}");
    if words.contains("certificate") {
        why.push_str("; compare the cluster's certificate-authority in the kubeconfig with the server's certificate");
    }
    if never_connected(error) { Failure::NotSent { why } } else { Failure::Unknown { why } }
}

/// Whether the connection itself failed, so that no byte of the request can have left: refused, no such host, no TLS session.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(hyper_util::client::legacy::Error::is_connect))
}

/// The causes of an error in a line: the library's wrappings left out.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |error| (*error).source()) {
        let text = clean_bounded(&error.to_string(), 200);
        let wrapping = ["ServiceError", "HyperError", "client error"].iter().any(|start| text.starts_with(start));
        if !wrapping && !words.iter().any(|said| said.contains(&text)) {
            words.push(text);
        }
    }
    if words.is_empty() { "the connection failed".to_owned() } else { words.join(": ") }
}

/// The server's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(code: u16, body: &str) -> Failure {
        let code = StatusCode::from_u16(code).unwrap();
        refused(Intent::Patch, "patch x", code, &HeaderMap::new(), body.as_bytes(), "log in").failure
    }

    #[test]
    fn a_failed_test_is_a_conflict_and_a_validation_error_is_not() {
        let generic = r#"{"kind":"Status","status":"Failure","reason":"Invalid","code":422,"details":{},
            "message":"the server rejected our request due to an error in our request"}"#;
        assert!(matches!(patch(422, generic), Failure::Refused { code: 422, reason: Refusal::Conflict, .. }));
        let schema = r#"{"kind":"Status","reason":"Invalid","code":422,"details":{"name":"x","causes":[{"field":"spec.http"}]},
            "message":"VirtualService.networking.istio.io \"x\" is invalid: spec.http: too many"}"#;
        assert!(matches!(patch(422, schema), Failure::Refused { code: 422, reason: Refusal::Other, .. }));
    }

    #[test]
    fn only_certain_refusals_are_refusals() {
        for code in [400, 401, 403, 404, 409, 410, 413, 415, 422, 429] {
            assert!(patch(code, "").certainly_not_applied(), "{code}");
        }
        for code in [408, 500, 502, 503, 504] {
            assert!(!patch(code, "").certainly_not_applied(), "{code}");
        }
    }

    #[test]
    fn the_servers_words_are_cleaned_and_bounded() {
        let long = format!(r#"{{"kind":"Status","message":"evil \u001b[31m{}"}}"#, "x".repeat(5000));
        let text = patch(403, &long).to_string();
        assert!(text.len() < 600 && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_page_of_html_is_named_as_such() {
        assert!(patch(403, "<html><body>login</body></html>").to_string().contains("HTML page"));
        let reply = Reply { date: None, body: b"<!DOCTYPE html><html>".to_vec() };
        assert!(reply.json::<Status>("read x").unwrap_err().to_string().contains("HTML page"));
    }

    #[test]
    fn an_anonymous_refusal_asks_for_a_login() {
        let body = r#"{"kind":"Status","message":"pods is forbidden: User \"system:anonymous\" cannot list resource","code":403}"#;
        assert!(patch(403, body).login().is_some_and(|how| how.ends_with("; log in")));
    }

    #[test]
    fn retry_after_is_believed_within_reason() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let problem = refused(Intent::Read, "list", StatusCode::TOO_MANY_REQUESTS, &headers, b"", "");
        assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
    }
}
