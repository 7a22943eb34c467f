//! Decoding of answers in Prometheus' JSON form, which many backends speak.
//!
//! The envelope is `{"status":"success|error","data":…,"errorType"?,"error"?,"warnings"?:[…],"infos"?:[…]}`; `data` may accompany an
//! error. Values are strings, among them `NaN`, `+Inf` and `-Inf`; times are seconds with a fraction.

use crate::domain::{Labels, Sample, Series, text};
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Most series that are kept of one answer.
pub const MOST_SERIES: usize = 10_000;
/// Most points of one series that such a backend gives.
pub const MOST_POINTS: usize = 11_000;
/// Longest label value that is kept, in characters.
const LONGEST_LABEL: usize = 256;
/// Most remarks that are kept of one answer, and the length of each.
const MOST_REMARKS: usize = 10;
const LONGEST_REMARK: usize = 300;

/// A decoded answer with the server's remarks.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<T> {
    /// The data.
    pub value: T,
    /// Warnings first, then infos; cleaned and bounded.
    pub remarks: Vec<String>,
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// One sample per series.
    Vector(Vec<(Labels, Sample)>),
    /// Many samples per series, in order, not yet put into slots.
    Matrix(Vec<(Labels, Vec<Sample>)>),
    /// One number.
    Scalar(Sample),
    /// One text.
    Text(String),
}

/// Why an answer could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no answer in this form at all.
    #[error("{0}")]
    Foreign(String),
    /// The server says what is wrong: type and text, cleaned.
    #[error("{kind}: {text}")]
    Server {
        /// `bad_data`, `execution`, `timeout` and so on.
        kind: String,
        /// In its words.
        text: String,
    },
    /// Native histograms have no single value.
    #[error(
        "the query gives native histograms, which have no single value; wrap it in histogram_quantile(), histogram_avg() or histogram_count()"
    )]
    Histogram,
}

#[derive(Deserialize)]
struct Head {
    status: Status,
    #[serde(rename = "errorType", default)]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default, rename = "data")]
    _data: Option<IgnoredAny>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum WireData {
    Vector(Vec<WireVector>),
    Matrix(Vec<WireMatrix>),
    Scalar(Point),
    String((f64, String)),
}

#[derive(Deserialize)]
struct WireVector {
    #[serde(default)]
    metric: Labels,
    value: Option<Point>,
    histogram: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireMatrix {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

/// `[1700000000.123, "0.5"]`
struct Point(Sample);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, value) = <(f64, std::borrow::Cow<'de, str>)>::deserialize(deserializer)?;
        let at = time(seconds).ok_or_else(|| serde::de::Error::custom(format!("{seconds:e} is no time")))?;
        let value =
            number(&value).ok_or_else(|| serde::de::Error::custom(format!("{:?} is no number", text::clean_bounded(&value, 40))))?;
        Ok(Self(Sample { at, value }))
    }
}

fn time(seconds: f64) -> Option<DateTime<Utc>> {
    // Beyond the year 9999 it is no time of a sample, and milliseconds would not fit.
    (seconds.abs() < 253_402_300_800.0).then(|| DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64))?
}

fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok().filter(|v: &f64| v.is_finite()),
    }
}

/// Decodes the envelope around any data.
pub fn envelope<T: DeserializeOwned>(body: &[u8]) -> Result<Decoded<T>, DecodeError> {
    let head: Head =
        serde_json::from_slice(body).map_err(|e| DecodeError::Foreign(format!("no answer of a PromQL server: {}", place(&e))))?;
    if head.status == Status::Error {
        let bounded = |t: Option<String>, otherwise: &str| text::clean_bounded(&t.unwrap_or_else(|| otherwise.to_owned()), LONGEST_REMARK);
        return Err(DecodeError::Server { kind: bounded(head.error_type, "error"), text: bounded(head.error, "it does not say why") });
    }
    let full: Envelope<T> = serde_json::from_slice(body).map_err(|e| DecodeError::Foreign(format!("unexpected data: {}", place(&e))))?;
    let remarks = full.warnings.into_iter().chain(full.infos).flatten().take(MOST_REMARKS);
    Ok(Decoded { value: full.data, remarks: remarks.map(|r| text::clean_bounded(&r, LONGEST_REMARK)).collect() })
}

fn place(error: &serde_json::Error) -> String {
    text::clean_bounded(&error.to_string(), 160)
}

/// Decodes the answer to a query. Of more than [`MOST_SERIES`] series the first are kept, with a remark.
pub fn query(body: &[u8]) -> Result<Decoded<Data>, DecodeError> {
    let Decoded { value, mut remarks } = envelope::<WireData>(body)?;
    let value = match value {
        WireData::Vector(items) => Data::Vector(vector(items, &mut remarks)?),
        WireData::Matrix(items) => Data::Matrix(matrix(items, &mut remarks)?),
        WireData::Scalar(Point(sample)) => Data::Scalar(sample),
        WireData::String((_, content)) => Data::Text(text::clean_bounded(&content, LONGEST_LABEL)),
    };
    Ok(Decoded { value, remarks })
}

fn vector(items: Vec<WireVector>, remarks: &mut Vec<String>) -> Result<Vec<(Labels, Sample)>, DecodeError> {
    if items.iter().any(|i| i.histogram.is_some()) {
        return Err(DecodeError::Histogram);
    }
    remark_on_count(items.len(), remarks);
    let kept = items.into_iter().take(MOST_SERIES);
    kept.map(|item| match item.value {
        Some(Point(sample)) => Ok((clean(item.metric), sample)),
        None => Err(DecodeError::Foreign("unexpected data: a series without a value".into())),
    })
    .collect()
}

fn matrix(items: Vec<WireMatrix>, remarks: &mut Vec<String>) -> Result<Vec<(Labels, Vec<Sample>)>, DecodeError> {
    if items.iter().any(|i| !i.histograms.is_empty()) {
        return Err(DecodeError::Histogram);
    }
    remark_on_count(items.len(), remarks);
    let kept = items.into_iter().take(MOST_SERIES);
    Ok(kept.map(|item| (clean(item.metric), item.values.into_iter().map(|Point(s)| s).collect())).collect())
}

fn remark_on_count(count: usize, remarks: &mut Vec<String>) {
    if count > MOST_SERIES {
        remarks.push(format!("the query gives {count} series; the first {MOST_SERIES} are kept"));
    }
}

fn clean(labels: Labels) -> Labels {
    let safe = |t: &str| t.len() <= LONGEST_LABEL && matches!(text::clean(t), std::borrow::Cow::Borrowed(_));
    if labels.iter().all(|(k, v)| safe(k) && safe(v)) {
        return labels;
    }
    labels.iter().map(|(k, v)| (text::clean_bounded(k, LONGEST_LABEL), text::clean_bounded(v, LONGEST_LABEL))).collect()
}

/// Number of slots from `start` to `end`, both included.
#[must_use]
pub fn slots(start: DateTime<Utc>, end: DateTime<Utc>, step: Duration) -> usize {
    let span = (end - start).to_std().unwrap_or_default();
    usize::try_from(span.as_millis() / step.as_millis().max(1)).unwrap_or(usize::MAX).saturating_add(1)
}

/// Puts samples into slots. A slot without a sample stays empty; what lies outside, or too far from any slot, is left out.
#[must_use]
pub fn into_slots(labels: Labels, samples: &[Sample], start: DateTime<Utc>, step: Duration, count: usize) -> Series {
    let mut values = vec![None; count];
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    for sample in samples {
        let offset = (sample.at - start).num_milliseconds();
        let index = (offset + step_ms / 2).div_euclid(step_ms);
        // Backends round to milliseconds; anything further off is not the answer to what was asked.
        let close = (offset - index * step_ms).abs() <= 2;
        if let Some(slot) = usize::try_from(index).ok().filter(|_| close).and_then(|i| values.get_mut(i)) {
            *slot = Some(sample.value);
        }
    }
    Series { labels, start, step, values }
}

/// How far behind each slot the newest sample may lie before the slot's value says nothing about that time: what LATE allows.
#[must_use]
pub fn tolerated_age(interval: Duration) -> TimeDelta {
    TimeDelta::from_std((interval * 3).max(Duration::from_secs(30))).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_kind_of_result_is_read() {
        let vector =
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1700000000.1234,"+Inf"]}]}}"#;
        let expected = Data::Vector(vec![(labels(&[("a", "b")]), Sample { at: at(1_700_000_000_123), value: f64::INFINITY })]);
        assert_eq!(query(vector).unwrap().value, expected);
        let matrix =
            br#"{"status":"success","data":{"result":[{"metric":{},"values":[[1,"1e-3"],[2,"-Inf"]]}],"resultType":"matrix","stats":{}}}"#;
        let points = vec![Sample { at: at(1000), value: 0.001 }, Sample { at: at(2000), value: f64::NEG_INFINITY }];
        assert_eq!(query(matrix).unwrap().value, Data::Matrix(vec![(labels(&[]), points)]), "the type may come after the result");
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[5,"NaN"]}}"#;
        assert!(matches!(query(scalar).unwrap().value, Data::Scalar(s) if s.value.is_nan() && s.at == at(5000)));
        let string = br#"{"status":"success","data":{"resultType":"string","result":[5,"a\u001b[2Jb"]}}"#;
        assert_eq!(query(string).unwrap().value, Data::Text("ab".into()));
        let empty = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(query(empty).unwrap().value, Data::Vector(vec![]));
    }

    #[test]
    fn remarks_are_kept_warnings_first() {
        let body =
            br#"{"status":"success","infos":["i"],"warnings":["partial\u001b[31m data"],"data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(query(body).unwrap().remarks, ["partial data", "i"]);
        let none = br#"{"status":"success","infos":null,"warnings":null,"data":{"resultType":"vector","result":[]}}"#;
        assert!(query(none).unwrap().remarks.is_empty());
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (body, why) in [
            (
                r#"{"status":"error","errorType":"execution","error":"many-to-many","data":{"resultType":"vector","result":[]}}"#,
                "execution: many-to-many",
            ),
            (r#"{"status":"error"}"#, "error: it does not say why"),
            (
                r#"{"status":"fine","data":[]}"#,
                "no answer of a PromQL server: unknown variant `fine`, expected `success` or `error` at line 1 column 16",
            ),
            ("[]", "no answer of a PromQL server: invalid length 0, expected struct Head with 4 elements at line 1 column 2"),
            ("", "no answer of a PromQL server: EOF while parsing a value at line 1 column 0"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x\u0007"]}]}}"#,
                "unexpected data: \"x\" is no number at line 1 column 95",
            ),
            (r#"{"status":"success","data":{"resultType":"scalar","result":[1e300,"1"]}}"#, "1e300 is no time"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}"#,
                "native histograms",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]],"histograms":[[1,{}]]}]}}"#,
                "native histograms",
            ),
            (r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#, "a series without a value"),
            (r#"{"status":"success","data":{"resultType":"stream","result":[]}}"#, "unknown variant `stream`"),
        ] {
            let error = query(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{body}\n{error}");
        }
    }

    #[test]
    fn more_series_than_anybody_reads_are_cut_with_a_remark() {
        let item = r#"{"metric":{"i":"1"},"value":[1,"1"]}"#;
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, vec![item; MOST_SERIES + 1].join(","));
        let decoded = query(body.as_bytes()).unwrap();
        assert!(matches!(decoded.value, Data::Vector(v) if v.len() == MOST_SERIES));
        assert_eq!(decoded.remarks, ["the query gives 10001 series; the first 10000 are kept"]);
    }

    #[test]
    fn labels_from_outside_are_cleaned() {
        let body =
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"x\u001b]0;t\u0007y"},"value":[1,"1"]}]}}"#;
        assert!(matches!(query(body).unwrap().value, Data::Vector(v) if v[0].0["pod"] == "xy"));
    }

    #[test]
    fn a_missing_point_leaves_its_slot_empty() {
        let samples: Vec<Sample> = [0, 15_001, 45_000, 52_000].iter().map(|ms| Sample { at: at(*ms), value: *ms as f64 }).collect();
        let step = Duration::from_secs(15);
        let series = into_slots(labels(&[]), &samples, at(0), step, slots(at(0), at(59_999), step));
        assert_eq!(series.values, [Some(0.0), Some(15_001.0), None, Some(45_000.0)], "52 s belongs to no slot");
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..80), tail in "[\\[\\]{}\",:a-z0-9.e+-]{0,60}") {
            let _ = query(&body);
            let _ = query(format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"values\":[[{tail}").as_bytes());
        }
    }
}
