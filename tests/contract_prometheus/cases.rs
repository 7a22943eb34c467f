//! The cases. Each asks the adapter, never the server itself.

use crate::Case;
use crate::data::{END, INTERVAL, before_end};
use chrono::{DateTime, TimeDelta, Utc};
use gonogo::adapter::prometheus::Prometheus;
use gonogo::domain::{Failure, Labels, Refusal, Sample, Series};
use gonogo::port::{Answer, Metrics as _};
use std::time::Duration;

macro_rules! cases {
    ($($own:literal $name:ident)*) => {
        /// All cases, in the order they run.
        pub(crate) const ALL: &[Case] = &[$(Case { name: stringify!($name), own_data: $own, run: |p| Box::pin($name(p)) }),*];
    };
}

cases! {
    false the_server_says_what_it_is
    false no_series_is_an_empty_answer_and_no_zero
    false a_number_is_one_sample_without_labels
    false odd_numbers_come_as_they_are
    false the_time_asked_about_is_the_time_answered
    false a_text_is_no_answer
    false a_range_of_samples_is_no_answer
    false a_query_that_does_not_parse_is_refused_in_the_servers_words
    false a_range_without_selectors_rests_on_no_samples
    false too_many_points_are_not_asked_for
    false the_servers_clock_is_read
    true samples_come_by_series
    true a_query_that_cannot_be_worked_out_is_refused
    true quantiles_are_numbers
    true odd_samples_come_as_they_are
    true labels_are_cleaned
    true live_samples_are_as_old_as_the_newest
    true delayed_samples_are_old_although_the_answer_is_new
    true the_oldest_selector_decides
    true a_series_that_ended_does_not_count
    true no_sample_at_all_has_no_age
    true an_offset_does_not_make_samples_old
    true a_long_window_shows_when_its_samples_ended
    true a_range_has_a_slot_for_every_step
    true a_gap_stays_a_gap
    true a_range_ends_with_its_samples
    true every_series_of_a_range_has_the_same_slots
}

type Instant = Answer<Vec<(Labels, Sample)>>;

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap()
}

async fn end(p: &Prometheus, query: &str) -> Instant {
    p.instant(query, Some(at(END))).await.unwrap_or_else(|failure| panic!("{query}: {failure}"))
}

async fn value(p: &Prometheus, query: &str) -> f64 {
    let answer = end(p, query).await;
    assert_eq!(answer.value.len(), 1, "{query}: {answer:?}");
    answer.value[0].1.value
}

async fn refused(p: &Prometheus, query: &str) -> Failure {
    p.instant(query, Some(at(END))).await.expect_err(query)
}

/// The last ten minutes, a slot per interval.
async fn range(p: &Prometheus, query: &str) -> Answer<Vec<Series>> {
    p.range(query, at(before_end(600)), at(END), INTERVAL).await.unwrap_or_else(|failure| panic!("{query}: {failure}"))
}

/// Seconds before the end of the slots that have a value.
fn filled(series: &Series) -> Vec<i64> {
    let left = |i: usize| (at(END) - series.time(i)).num_seconds();
    series.values.iter().enumerate().filter(|(_, v)| v.is_some()).map(|(i, _)| left(i)).collect()
}

async fn the_server_says_what_it_is(p: &Prometheus) {
    let info = p.build_info().await.unwrap();
    assert!(!info.product.is_empty() && !info.version.is_empty(), "{info:?}");
}

async fn no_series_is_an_empty_answer_and_no_zero(p: &Prometheus) {
    let answer = end(p, "gonogo_contract_nobody_exports_this").await;
    assert_eq!((answer.value, answer.newest), (vec![], None));
    let range = range(p, "gonogo_contract_nobody_exports_this").await;
    assert_eq!((range.value, range.newest), (vec![], None));
}

async fn a_number_is_one_sample_without_labels(p: &Prometheus) {
    let answer = end(p, "1 + 0.5").await;
    assert_eq!(answer.value, [(Labels::new(), Sample { at: at(END), value: 1.5 })]);
}

async fn odd_numbers_come_as_they_are(p: &Prometheus) {
    assert!(value(p, "vector(0) / vector(0)").await.is_nan());
    assert_eq!(value(p, "vector(1) / 0").await, f64::INFINITY);
    assert_eq!(value(p, "-1 / vector(0)").await, f64::NEG_INFINITY);
    assert_eq!(value(p, "vector(1e-300)").await, 1e-300);
}

async fn the_time_asked_about_is_the_time_answered(p: &Prometheus) {
    let asked = at(END - 1234);
    let answer = p.instant("vector(time())", Some(asked)).await.unwrap();
    assert_eq!(answer.value, [(Labels::new(), Sample { at: asked, value: (END - 1234) as f64 / 1000.0 })]);
}

async fn a_text_is_no_answer(p: &Prometheus) {
    let failure = refused(p, "\"text\"").await;
    assert_eq!(failure, Failure::Unreadable { why: "query of contract: it gives a text; one value per series is needed".into() });
}

async fn a_range_of_samples_is_no_answer(p: &Prometheus) {
    // Also where there are none.
    let failure = refused(p, "gonogo_contract_nobody_exports_this[1m]").await;
    assert_eq!(
        failure,
        Failure::Unreadable { why: "query of contract: it gives a range of samples; one value per series is needed".into() }
    );
}

async fn a_query_that_does_not_parse_is_refused_in_the_servers_words(p: &Prometheus) {
    for query in ["sum(", "rate(up)", "no_such_function(up)"] {
        let failure = refused(p, query).await;
        let refused =
            matches!(&failure, Failure::Refused { code: 400, reason: Refusal::Other, why } if why.contains("/api/v1/query: bad_data: "));
        assert!(refused, "{query}: {failure:?}");
    }
}

async fn a_range_without_selectors_rests_on_no_samples(p: &Prometheus) {
    let answer = range(p, "vector(1)").await;
    assert_eq!(answer.newest, None);
    assert!(answer.value.iter().all(|series| series.last().is_none()), "{answer:?}");
}

async fn too_many_points_are_not_asked_for(p: &Prometheus) {
    let ask = |points: i64| p.range("vector(1)", at(END) - TimeDelta::seconds(points - 1), at(END), Duration::from_secs(1));
    assert_eq!(ask(11_000).await.unwrap().value[0].values.len(), 11_000);
    assert!(matches!(ask(11_001).await, Err(Failure::NotSent { why }) if why.contains("a step of 2s or more")));
}

async fn the_servers_clock_is_read(p: &Prometheus) {
    assert!(end(p, "1").await.skew.is_some());
}

async fn samples_come_by_series(p: &Prometheus) {
    let mut rows = end(p, "sum by (version) (increase(requests_total[1m]))").await.value;
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let rows: Vec<(&str, i64)> = rows.iter().map(|(labels, s)| (labels["version"].as_str(), s.value.round() as i64)).collect();
    assert_eq!(rows, [("canary", 40), ("stable", 120)]);
}

async fn a_query_that_cannot_be_worked_out_is_refused(p: &Prometheus) {
    let failure = refused(p, "requests_total * on () requests_total").await;
    let refused = matches!(&failure, Failure::Refused { code: 422, reason: Refusal::Other, why } if why.contains("execution: "));
    assert!(refused, "{failure:?}");
}

async fn quantiles_are_numbers(p: &Prometheus) {
    let p90 = value(p, "histogram_quantile(0.9, sum by (le) (rate(duration_seconds_bucket[2m])))").await;
    assert!((p90 - 0.1).abs() < 1e-9, "{p90}");
}

async fn odd_samples_come_as_they_are(p: &Prometheus) {
    assert!(value(p, "odd{kind=\"nan\"}").await.is_nan());
    assert_eq!(value(p, "odd{kind=\"inf\"}").await, f64::INFINITY);
    let series = &range(p, "odd{kind=\"ninf\"}").await.value[0];
    assert!(series.values.iter().all(|v| *v == Some(f64::NEG_INFINITY)), "{series:?}");
    let nan = &range(p, "odd{kind=\"nan\"}").await.value[0];
    assert!(nan.values.iter().all(|v| v.is_some_and(f64::is_nan)), "NaN is a value and no gap: {nan:?}");
}

async fn labels_are_cleaned(p: &Prometheus) {
    assert_eq!(end(p, "named").await.value[0].0["pod"], "abc");
}

async fn live_samples_are_as_old_as_the_newest(p: &Prometheus) {
    assert_eq!(end(p, "sum(rate(requests_total{version=~\"can.*|stable\"}[1m]))").await.newest, Some(at(END)));
    let later = p.instant("level", Some(at(END + 7_500))).await.unwrap();
    assert_eq!(later.newest, Some(at(END)), "the age is that of the sample, not of the question");
}

async fn delayed_samples_are_old_although_the_answer_is_new(p: &Prometheus) {
    let answer = end(p, "sum(rate(delayed_total[5m]))").await;
    assert_eq!((answer.value.len(), answer.newest), (1, Some(at(before_end(90)))));
}

async fn the_oldest_selector_decides(p: &Prometheus) {
    assert_eq!(end(p, "sum(rate(requests_total[2m])) / sum(rate(delayed_total[2m]))").await.newest, Some(at(before_end(90))));
}

async fn a_series_that_ended_does_not_count(p: &Prometheus) {
    let answer = end(p, "sum(rate(gone_total[2m])) / sum(rate(requests_total[2m]))").await;
    assert_eq!((answer.value.len(), answer.newest), (1, Some(at(END))));
}

async fn no_sample_at_all_has_no_age(p: &Prometheus) {
    let answer = end(p, "sum(gonogo_contract_nobody_exports_this) or vector(0)").await;
    assert_eq!((answer.value[0].1.value, answer.newest), (0.0, None));
}

async fn an_offset_does_not_make_samples_old(p: &Prometheus) {
    assert_eq!(end(p, "level - level offset 5m").await.newest, Some(at(END)));
    let fixed = format!("level - level @ {}", before_end(300) / 1000);
    assert_eq!(end(p, &fixed).await.newest, Some(at(END)));
}

async fn a_long_window_shows_when_its_samples_ended(p: &Prometheus) {
    let answer = end(p, "sum(rate(over_total[10m]))").await;
    assert_eq!(answer.value.len(), 1, "the window still holds samples");
    let newest = answer.newest.expect("the age of samples beyond the lookback");
    // Minutes of a subquery lie on whole minutes of the clock; each sees the newest sample up to then.
    assert_eq!(newest, at(before_end(405)));
}

async fn a_range_has_a_slot_for_every_step(p: &Prometheus) {
    let answer = p.range("level", at(before_end(600)), at(END), Duration::from_secs(60)).await.unwrap();
    let values: Vec<Option<f64>> = (0..=10).map(|i| Some(f64::from(39 + 4 * i))).collect();
    assert_eq!(answer.value.len(), 1);
    assert_eq!(
        (answer.value[0].start, answer.value[0].step, &answer.value[0].values),
        (at(before_end(600)), Duration::from_secs(60), &values)
    );
    let odd = p.range("level", at(before_end(600) + 1), at(END), Duration::from_millis(7_001)).await.unwrap();
    assert_eq!((odd.value[0].values.len(), odd.value[0].coverage()), (86, 1.0), "no slot is lost to rounding");
}

async fn a_gap_stays_a_gap(p: &Prometheus) {
    let answer = range(p, "interrupted").await;
    // The last sample before the gap lies 600 s before the end and counts for 45 s; the next one comes at 300 s.
    let expected: Vec<i64> = [600, 585, 570, 555].into_iter().chain((0..=300).rev().step_by(15)).collect();
    assert_eq!(filled(&answer.value[0]), expected);
    assert_eq!(answer.newest, Some(at(END)));
}

async fn a_range_ends_with_its_samples(p: &Prometheus) {
    let answer = range(p, "sum(rate(delayed_total[5m]))").await;
    assert_eq!(answer.newest, Some(at(before_end(90))));
    // One step more than the newest sample, although the window of the rate would give values up to the end.
    assert_eq!(filled(&answer.value[0]).last(), Some(&75));
}

async fn every_series_of_a_range_has_the_same_slots(p: &Prometheus) {
    let answer = range(p, "requests_total").await;
    assert_eq!(answer.value.len(), 2);
    for series in &answer.value {
        assert_eq!((series.start, series.values.len(), series.coverage()), (at(before_end(600)), 41, 1.0), "{:?}", series.labels);
    }
}
