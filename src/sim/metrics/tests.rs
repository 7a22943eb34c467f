//! The evaluator and the API at the points where a mistake would be easy and costly. Whether all of it agrees with the real
//! server is checked in `tests/sim_prometheus.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::float_cmp, reason = "tests")]

use super::eval::{self, Outcome};
use super::value::{Grid, Kind};
use super::{STALE_NAN_BITS, Tsdb, api, syntax};
use crate::domain::{Clock, Labels, Stamp};
use axum::body::Body;
use chrono::DateTime;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tower::ServiceExt;

fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
    std::iter::once(("__name__", name)).chain(pairs.iter().copied()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// One series `m` with samples given as seconds and value.
fn store(samples: &[(i64, f64)]) -> Tsdb {
    let mut db = Tsdb::new();
    for (at, value) in samples {
        db.append(&labels("m", &[]), at * 1000, *value);
    }
    db
}

/// The only value of an instant query at `at` seconds; `None` when the result is empty.
fn value(db: &Tsdb, query: &str, at: i64) -> Option<f64> {
    match eval::instant(db, &syntax::parse(query).unwrap(), at * 1000, 15_000).unwrap() {
        Outcome::Scalar(value) => Some(value),
        Outcome::Vector(rows) => {
            assert!(rows.len() < 2, "{rows:?}");
            rows.first().map(|(_, value)| *value)
        }
        other => panic!("{other:?}"),
    }
}

fn close(value: Option<f64>, expected: f64) {
    let value = value.expect("a value");
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn rate_reaches_bounds_that_are_near_and_half_a_step_beyond_the_last_sample_otherwise() {
    // Every 10 s, +10 each: samples at 1000..1060.
    let db = store(&[(1000, 100.0), (1010, 110.0), (1020, 120.0), (1030, 130.0), (1040, 140.0), (1050, 150.0), (1060, 160.0)]);
    // Window 1000..1060: bounds coincide with samples.
    close(value(&db, "increase(m[1m])", 1060), 60.0);
    // 1005..1065: both bounds within 1.1 steps of a sample: the full minute.
    close(value(&db, "increase(m[1m])", 1065), 60.0);
    close(value(&db, "rate(m[1m])", 1065), 1.0);
    // 970..1090: 30 s to both bounds, which is too far: 60 s sampled and 5 s on each side.
    close(value(&db, "increase(m[2m])", 1090), 70.0);
}

#[test]
fn a_counter_is_not_extrapolated_below_zero() {
    // Rose from 1: it was zero one second before the first sample, not five.
    let db = store(&[(1000, 1.0), (1010, 11.0), (1020, 21.0)]);
    close(value(&db, "increase(m[30s])", 1025), 20.0 * 26.0 / 20.0);
    // A gauge has no such floor.
    close(value(&db, "delta(m[30s])", 1025), 20.0 * 30.0 / 20.0);
}

#[test]
fn a_reset_adds_what_was_counted_before() {
    let db = store(&[(1000, 100.0), (1010, 110.0), (1020, 5.0), (1030, 15.0)]);
    // 10, then a reset to 5, then 10 more.
    close(value(&db, "increase(m[30s])", 1030), 25.0);
    assert_eq!(value(&db, "resets(m[30s])", 1030), Some(1.0));
    close(value(&db, "irate(m[30s])", 1020), 0.5);
}

#[test]
fn one_sample_has_no_rate() {
    let db = store(&[(1000, 100.0)]);
    assert_eq!(value(&db, "rate(m[5m])", 1000), None);
    assert_eq!(value(&db, "last_over_time(m[5m])", 1000), Some(100.0));
}

#[test]
fn range_selectors_include_both_ends() {
    let db = store(&[(1000, 1.0), (1030, 2.0), (1060, 3.0)]);
    assert_eq!(value(&db, "count_over_time(m[1m])", 1060), Some(3.0));
    assert_eq!(value(&db, "count_over_time(m[59s])", 1060), Some(2.0));
}

#[test]
fn lookback_is_five_minutes_to_the_millisecond() {
    let db = store(&[(1000, 7.0)]);
    assert_eq!(value(&db, "m", 1300), Some(7.0));
    let late = eval::instant(&db, &syntax::parse("m").unwrap(), 1_300_001, 15_000).unwrap();
    assert!(matches!(late, Outcome::Vector(rows) if rows.is_empty()));
    assert_eq!(value(&db, "m", 999), None);
}

#[test]
fn a_staleness_marker_ends_a_series_at_once() {
    let db = store(&[(1000, 7.0), (1015, f64::from_bits(STALE_NAN_BITS)), (1030, 8.0), (1045, f64::NAN)]);
    assert_eq!(value(&db, "m", 1014), Some(7.0));
    assert_eq!(value(&db, "m", 1015), None);
    assert_eq!(value(&db, "m", 1029), None);
    assert_eq!(value(&db, "m", 1030), Some(8.0));
    // An ordinary NaN is a value.
    assert!(value(&db, "m", 1045).unwrap().is_nan());
    assert_eq!(value(&db, "count_over_time(m[1m])", 1045), Some(3.0));
    assert_eq!(value(&db, "absent(m)", 1020), Some(1.0));
}

#[test]
fn samples_that_are_not_newer_are_dropped_and_old_ones_can_be_pruned() {
    let mut db = store(&[(1000, 1.0), (1000, 2.0), (990, 3.0), (1010, 4.0)]);
    assert_eq!(value(&db, "sum_over_time(m[1m])", 1010), Some(5.0));
    db.prune(1_000_001);
    assert_eq!(value(&db, "sum_over_time(m[1m])", 1010), Some(4.0));
    db.prune(2_000_000);
    assert_eq!(db.all().count(), 0);
}

fn histogram(buckets: &[(&str, f64)]) -> Tsdb {
    let mut db = Tsdb::new();
    for (bound, count) in buckets {
        db.append(&labels("h_bucket", &[("le", bound)]), 1_000_000, *count);
    }
    db
}

#[test]
fn histogram_quantile_interpolates_within_a_bucket() {
    let db = histogram(&[("1", 10.0), ("2", 20.0), ("4", 40.0), ("+Inf", 40.0)]);
    close(value(&db, "histogram_quantile(0.5, h_bucket)", 1000), 2.0);
    close(value(&db, "histogram_quantile(0.75, h_bucket)", 1000), 3.0);
    close(value(&db, "histogram_quantile(0.125, h_bucket)", 1000), 0.5);
    close(value(&db, "histogram_quantile(1, h_bucket)", 1000), 4.0);
}

#[test]
fn histogram_quantile_at_the_edges() {
    let quantile = |q: &str, buckets: &[(&str, f64)]| value(&histogram(buckets), &format!("histogram_quantile({q}, h_bucket)"), 1000);
    let good = [("1", 10.0), ("2", 20.0), ("+Inf", 40.0)];
    assert_eq!(quantile("-0.1", &good), Some(f64::NEG_INFINITY));
    assert_eq!(quantile("1.1", &good), Some(f64::INFINITY));
    assert!(quantile("NaN", &good).unwrap().is_nan());
    // In the open bucket: the highest bound that is known.
    assert_eq!(quantile("0.9", &good), Some(2.0));
    // Without an open bucket, without observations, with the open bucket alone: unknown.
    assert!(quantile("0.5", &[("1", 10.0), ("2", 20.0)]).unwrap().is_nan());
    assert!(quantile("0.5", &[("1", 0.0), ("+Inf", 0.0)]).unwrap().is_nan());
    assert!(quantile("0.5", &[("+Inf", 9.0)]).unwrap().is_nan());
    // A lowest bucket with a bound at or below zero has no width.
    assert_eq!(quantile("0.1", &[("0", 10.0), ("1", 20.0), ("+Inf", 20.0)]), Some(0.0));
    // Counts that fall are lifted.
    close(quantile("0.5", &[("1", 10.0), ("2", 4.0), ("4", 20.0), ("+Inf", 20.0)]), 1.0);
    assert_eq!(quantile("0.5", &[("nonsense", 10.0)]), None);
}

#[test]
fn ranges_are_sorted_by_labels_and_keep_gaps() {
    let mut db = Tsdb::new();
    for (name, at, v) in [("b", 1000, 1.0), ("a", 1000, 2.0), ("a", 1400, 3.0)] {
        db.append(&labels("m", &[("x", name)]), at * 1000, v);
    }
    let grid = Grid::range(1_000_000, 1_420_000, 60_000);
    let Outcome::Matrix(rows) = eval::range(&db, &syntax::parse("m").unwrap(), grid, 15_000).unwrap() else { panic!("no matrix") };
    let seen: Vec<_> = rows.iter().map(|(m, s)| (m.get("x"), s.iter().map(|s| s.at / 1000).collect::<Vec<_>>())).collect();
    let from_1000 = vec![1000, 1060, 1120, 1180, 1240, 1300];
    let mut with_gap = from_1000.clone();
    with_gap.push(1420);
    assert_eq!(seen, [("a", with_gap), ("b", from_1000)]);
}

#[test]
fn too_much_work_is_refused_before_it_is_done() {
    let db = store(&[(1000, 1.0)]);
    let expr = syntax::parse("max_over_time(m[1y:1ms])").unwrap();
    let failed = eval::instant(&db, &expr, 1_000_000, 15_000).unwrap_err();
    assert_eq!(failed.kind, Kind::Execution);
    assert_eq!(failed.text, "query processing would load too many samples into memory in query execution");
}

#[test]
fn what_the_parser_would_misread_is_refused() {
    for query in [
        "m[1e30]",
        "m[300]",
        "m offset 1e30",
        "m[5m:99999999999s]",
        "5m",
        "1e999",
        "timestamp(+m)",
        "fill(1)",
        "m + fill(0) m",
        "limitk(1, m)",
    ] {
        assert_eq!(syntax::parse(query).expect_err(query).kind, Kind::BadData, "{query}");
    }
    let deep = format!("{}m{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(syntax::parse(&deep).unwrap_err().kind, Kind::BadData);
    assert!(syntax::parse("m{a=\"[300] 5m ((((\"} # [300]").is_ok());
}

/// Always 2023-11-14 22:13:20 UTC.
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> Stamp {
        Stamp { wall: DateTime::from_timestamp(1_700_000_000, 0).unwrap(), boot: Duration::ZERO, mono: Duration::ZERO }
    }

    fn boot_id(&self) -> String {
        "frozen".to_owned()
    }
}

async fn send(request: Request<Body>) -> (StatusCode, Value) {
    let mut db = Tsdb::new();
    for (i, instance) in ["a:80", "b:80"].into_iter().enumerate() {
        db.append(&labels("up", &[("instance", instance), ("job", "shop")]), 1_699_999_995_250, 1.0 - i as f64);
        db.append(&labels("requests_total", &[("instance", instance)]), 1_699_999_995_250, 1e21 + i as f64);
    }
    let response = api(Arc::new(RwLock::new(db)), Arc::new(Frozen), Duration::from_secs(15)).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get(uri: &str) -> (StatusCode, Value) {
    send(Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn post(uri: &str, form: &str) -> (StatusCode, Value) {
    let request = Request::post(uri).header("content-type", "application/x-www-form-urlencoded");
    send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn answers_have_the_shape_of_prometheus() {
    let metric = json!({"instance": "a:80"});
    let one = |value: Value, at: Value| json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": metric, "value": [at, value]}]}});
    let (status, body) = get("/api/v1/query?query=requests_total{instance=%22a:80%22}%2B0").await;
    assert_eq!((status, body), (StatusCode::OK, one(json!("1e+21"), json!(1_700_000_000))));
    let (_, body) = post("/api/v1/query", "query=up{instance%3D%22a:80%22}*1e-7&time=1700000000.5").await;
    assert_eq!(body["data"]["result"][0]["value"], json!([1_700_000_000.5, "1e-07"]));
    let (_, body) = get("/api/v1/query?query=1e-7").await;
    assert_eq!(body["data"], json!({"resultType": "scalar", "result": [1_700_000_000, "0.0000001"]}));
    let (_, body) = get("/api/v1/query?query=nothing").await;
    assert_eq!(body["data"], json!({"resultType": "vector", "result": []}));
    let (_, body) = get("/api/v1/query?query=up&limit=1").await;
    assert_eq!(body["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
}

#[tokio::test]
async fn errors_have_the_status_and_type_of_prometheus() {
    let bad = |text: &str| (StatusCode::BAD_REQUEST, json!({"status": "error", "errorType": "bad_data", "error": text}));
    assert_eq!(
        get("/api/v1/query?query=nonsense(up)").await,
        bad("invalid parameter \"query\": parse error: unknown function with name \"nonsense\"")
    );
    assert_eq!(
        get("/api/v1/query?query=up&time=never").await,
        bad("invalid parameter \"time\": Invalid time value for 'time': cannot parse \"never\" to a valid timestamp")
    );
    assert_eq!(
        post("/api/v1/query_range", "query=up&start=0&end=11001&step=1").await,
        bad("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
    );
    assert_eq!(
        post("/api/v1/query_range", "query=up[5m]&start=0&end=60&step=15").await,
        bad("invalid expression type \"range vector\" for range query, must be Scalar or instant Vector")
    );
    assert_eq!(get("/api/v1/series").await, bad("no match[] parameter provided"));
    let (status, body) = get("/api/v1/query?query=label_join(up,%22instance%22,%22%22,%22job%22)").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body, json!({"status": "error", "errorType": "execution", "error": "vector cannot contain metrics with the same labelset"}));
    let (status, body) = get("/api/v1/query?query=up%20%2B%20on(job)%20up").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = body["error"].as_str().unwrap();
    assert!(
        text.starts_with("found duplicate series for the match group {job=\"shop\"} on the right hand-side of the operation: ["),
        "{text}"
    );
    assert!(text.ends_with(";many-to-many matching not allowed: matching labels must be unique on one side"), "{text}");
    let (status, body) = get("/api/v1/query?query=up&timeout=0").await;
    assert_eq!((status, &body["errorType"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("timeout")));
}

#[tokio::test]
async fn targets_and_metadata_follow_from_the_samples() {
    let (_, body) = get("/api/v1/targets?state=active").await;
    let targets = body["data"]["activeTargets"].as_array().unwrap();
    let seen: Vec<_> = targets.iter().map(|t| (t["scrapeUrl"].as_str().unwrap(), t["health"].as_str().unwrap())).collect();
    assert_eq!(seen, [("http://a:80/metrics", "up"), ("http://b:80/metrics", "down")]);
    assert_eq!(targets[0]["lastScrape"], "2023-11-14T22:13:15.250Z");
    assert_eq!(targets[0]["scrapeInterval"], "15s");
    let (_, body) = get("/api/v1/metadata?metric=requests_total").await;
    assert_eq!(body["data"], json!({"requests_total": [{"type": "counter", "help": "", "unit": ""}]}));
    let (_, body) = get("/api/v1/labels?start=1699999996").await;
    assert_eq!(body["data"], json!([]));
    assert_eq!(get("/api/v1/unknown").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/-/ready").await.0, StatusCode::OK);
}
