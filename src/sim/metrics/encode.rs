//! Answers as Prometheus writes them.

use super::eval::Outcome;
use super::metric::Metric;
use super::number::{compact, plain};
use super::tsdb::Sample;
use super::value::{Failed, Kind};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Serialize, Serializer};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [&'a str],
}

fn json<T: Serialize>(status: StatusCode, envelope: &Envelope<'_, T>) -> Response {
    match serde_json::to_vec(envelope) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(cause) => (StatusCode::INTERNAL_SERVER_ERROR, format!("encoding the answer: {cause}\n")).into_response(),
    }
}

/// A success.
pub(super) fn success<T: Serialize>(data: T, warnings: &[&str]) -> Response {
    json(StatusCode::OK, &Envelope { status: "success", data: Some(data), error_type: None, error: None, warnings })
}

/// An error, with the status that belongs to its kind.
pub(super) fn failure(failed: &Failed) -> Response {
    let (status, kind) = match failed.kind {
        Kind::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
        Kind::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        Kind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
    };
    let (error_type, error) = (Some(kind), Some(failed.text.as_str()));
    json(status, &Envelope::<()> { status: "error", data: None, error_type, error, warnings: &[] })
}

/// Milliseconds, written as seconds: whole ones without a fraction.
struct Seconds(i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 { serializer.serialize_i64(self.0 / 1000) } else { serializer.serialize_f64(self.0 as f64 / 1000.0) }
    }
}

type Point = (Seconds, String);

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Single(Point),
    Vector(Vec<VectorRow>),
    Matrix(Vec<MatrixRow>),
}

#[derive(Serialize)]
struct VectorRow {
    metric: Metric,
    value: Point,
}

#[derive(Serialize)]
struct MatrixRow {
    metric: Metric,
    values: Vec<Point>,
}

/// The result of a query.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryData {
    result_type: &'static str,
    result: Answer,
}

/// The result of a query evaluated at `at` (for matrices: up to it), cut to `limit` series.
pub(super) fn outcome(outcome: Outcome, at: i64, limit: Option<usize>) -> Response {
    let limit = limit.unwrap_or(usize::MAX);
    let mut cut = false;
    let data = match outcome {
        Outcome::Scalar(value) => QueryData { result_type: "scalar", result: Answer::Single((Seconds(at), plain(value))) },
        Outcome::Text(text) => QueryData { result_type: "string", result: Answer::Single((Seconds(at), text)) },
        Outcome::Vector(rows) => {
            cut = rows.len() > limit;
            let row = |(metric, value)| VectorRow { metric, value: (Seconds(at), compact(value)) };
            QueryData { result_type: "vector", result: Answer::Vector(rows.into_iter().take(limit).map(row).collect()) }
        }
        Outcome::Matrix(rows) => {
            cut = rows.len() > limit;
            let point = |sample: Sample| (Seconds(sample.at), compact(sample.value));
            let row = |(metric, samples): (_, Vec<Sample>)| MatrixRow { metric, values: samples.into_iter().map(point).collect() };
            QueryData { result_type: "matrix", result: Answer::Matrix(rows.into_iter().take(limit).map(row).collect()) }
        }
    };
    success(data, if cut { &["results truncated due to limit"] } else { &[] })
}
