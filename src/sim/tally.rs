//! What clients asked for and how much was answered, for measurements.

use super::switchboard::Face;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Different kinds of requests that are told apart; more are one.
const KINDS: usize = 200;

/// Requests of one kind, and bytes of their answers' bodies as they went over the wire.
#[derive(Debug, Default)]
pub(crate) struct Count {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// The counts of all listeners by what was asked: `list pods`, `watch pods`, `query_range`.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, Arc<Count>>>);

impl Tally {
    /// One more request; its answer is counted by [`Counted`].
    pub(crate) fn count(&self, face: Face, method: &http::Method, uri: &http::Uri) -> Arc<Count> {
        let mut words = match face {
            Face::Platform => platform(method, uri),
            Face::Metrics => uri.path().rsplit('/').next().unwrap_or("").to_owned(),
            // The id of a silence is no kind.
            Face::Alerts => format!("am {}", uri.path().trim_start_matches("/api/v2/").split('/').next().unwrap_or("")),
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KINDS && !counts.contains_key(&words) {
            "other".clone_into(&mut words);
        }
        let count = counts.entry(words).or_default();
        count.requests.fetch_add(1, Ordering::Relaxed);
        Arc::clone(count)
    }

    /// `{"list pods": {"requests": 20, "bytes": 9000000}, …}`
    pub(crate) fn json(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one =
            |count: &Count| json!({ "requests": count.requests.load(Ordering::Relaxed), "bytes": count.bytes.load(Ordering::Relaxed) });
        counts.iter().map(|(words, count)| (words.clone(), one(count))).collect()
    }
}

/// The verb as the platform's own rules call it, and the resource.
fn platform(method: &http::Method, uri: &http::Uri) -> String {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        other => other,
    };
    let rest = if let ["namespaces", _, inner @ ..] = rest { if inner.is_empty() { rest } else { inner } } else { rest };
    let (resource, named) = match rest {
        [] => ("", false),
        [resource] => (*resource, false),
        [resource, _] => (*resource, true),
        [resource, _, subresource, ..] => return format!("{} {resource}/{subresource}", method.as_str().to_lowercase()),
    };
    let watched = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1"));
    let verb = match (method.as_str(), watched, named) {
        ("GET", true, _) => "watch",
        ("GET", _, true) => "get",
        ("GET", ..) => "list",
        ("POST", ..) => "create",
        (other, ..) => return format!("{} {resource}", other.to_lowercase()),
    };
    format!("{verb} {resource}")
}

/// A body whose bytes are counted as they leave.
pub(crate) struct Counted {
    pub(crate) inner: axum::body::Body,
    pub(crate) count: Arc<Count>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.count.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_called_by_verb_and_resource() {
        let words = |method: &str, uri: &str| platform(&method.parse().unwrap(), &uri.parse().unwrap());
        for (method, uri, expected) in [
            ("GET", "/api/v1/namespaces/shop/pods?limit=500", "list pods"),
            ("GET", "/api/v1/namespaces/shop/pods?watch=true&resourceVersion=9", "watch pods"),
            ("GET", "/api/v1/namespaces/shop/pods/a/log?follow=true", "get pods/log"),
            ("GET", "/api/v1/namespaces/shop", "get namespaces"),
            ("PATCH", "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout", "patch virtualservices"),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "create selfsubjectaccessreviews"),
        ] {
            assert_eq!(words(method, uri), expected, "{uri}");
        }
    }

    #[test]
    fn kinds_of_requests_are_bounded() {
        let tally = Tally::default();
        for i in 0..1_000 {
            tally.count(Face::Metrics, &http::Method::GET, &format!("/{i}").parse().unwrap());
        }
        let told = tally.json();
        assert_eq!(told.as_object().unwrap().len(), KINDS + 1);
        assert_eq!(told["other"]["requests"], 800);
    }
}
