//! Tables and properties of [`threshold`].

use super::*;
use crate::domain::{Unit, Verdict};
use proptest::prelude::*;

fn at(s: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + s, 0).unwrap()
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Good below 1 %.
fn criterion() -> Threshold {
    Threshold { query: "q".into(), op: Op::Less, limit: 0.01, unit: Unit::Ratio, lookback: secs(120) }
}

/// One sample each 15 s, the last at 0.
fn series(values: &[Option<f64>]) -> Series {
    let first = -15 * (i64::try_from(values.len()).unwrap() - 1);
    Series { labels: [].into(), start: at(first), step: secs(15), values: values.to_vec() }
}

fn window(hold: u64) -> Window {
    Window { now: at(5), newest: Some(at(0)), interval: secs(15), hold: secs(hold), not_before: None }
}

const GOOD: Option<f64> = Some(0.002);
const BAD: Option<f64> = Some(0.02);
const NAN: Option<f64> = Some(f64::NAN);

#[test]
fn each_outcome_has_its_reason() {
    let good = |n: usize| vec![GOOD; n];
    let with = |mut values: Vec<Option<f64>>, at: usize, value: Option<f64>| {
        values[at] = value;
        values
    };
    for (values, hold, outcome, held, why) in [
        (good(21), 300, Outcome::Pass, 300, "0.20% < 1.00%"),
        (good(1), 0, Outcome::Pass, 0, "0.20% < 1.00%"),
        (with(good(21), 10, BAD), 300, Outcome::Holding, 135, "0.20% < 1.00%, for 2m15s of 5m00s"),
        (with(good(21), 10, NAN), 300, Outcome::Holding, 135, "0.20% < 1.00%, for 2m15s of 5m00s"),
        (with(good(21), 10, None), 300, Outcome::Pass, 300, "0.20% < 1.00%"),
        (with(with(with(good(21), 4, None), 5, None), 6, None), 300, Outcome::NoData, 0, "18 of 21 samples of the last 5m00s"),
        (good(10), 300, Outcome::NoData, 0, "10 of 21 samples of the last 5m00s"),
        (with(good(21), 20, BAD), 300, Outcome::Fail, 0, "2.00% is not < 1.00%"),
        (with(good(21), 20, Some(f64::INFINITY)), 0, Outcome::Fail, 0, "+Inf is not < 1.00%"),
        (with(good(21), 20, NAN), 0, Outcome::NoData, 0, "NaN: a division of nothing by nothing; no traffic?"),
        (vec![None; 21], 0, Outcome::NoData, 0, "the query gives no value in this window"),
        ([vec![GOOD; 10], vec![None; 11]].concat(), 0, Outcome::NoData, 0, "no value since 22:10:35Z"),
    ] {
        let found = threshold(&criterion(), &[series(&values)], &window(hold));
        assert_eq!((found.outcome, found.held, found.why.as_str()), (outcome, secs(held), why));
    }
}

#[test]
fn one_series_is_needed() {
    let one = series(&[GOOD]);
    let found = threshold(&criterion(), &[one.clone(), one], &window(0));
    assert_eq!(
        (found.outcome, found.why.as_str()),
        (Outcome::Error, "the query gives 2 series, one is needed: aggregate it with sum() or max()")
    );
    assert_eq!(threshold(&criterion(), &[], &window(0)).outcome, Outcome::NoData);
}

#[test]
fn old_samples_are_stale_although_the_answer_is_new() {
    for (newest, outcome) in
        [(Some(at(0)), Outcome::Pass), (Some(at(-40)), Outcome::Pass), (Some(at(-41)), Outcome::Stale), (None, Outcome::NoData)]
    {
        let found = threshold(&criterion(), &[series(&[GOOD])], &Window { newest, ..window(0) });
        assert_eq!(found.outcome, outcome, "{newest:?}");
        assert_eq!(found.value, GOOD, "the value is kept to be shown as old");
    }
}

#[test]
fn right_after_a_shift_the_old_traffic_does_not_count() {
    let shifted = |ago: i64, hold: u64| {
        let window = Window { not_before: Some(at(-ago)), ..window(hold) };
        let found = threshold(&criterion(), &[series(&[GOOD; 41])], &window);
        (found.outcome, found.held.as_secs())
    };
    assert_eq!(shifted(60, 0), (Outcome::Holding, 0), "the two minutes of the query still hold old traffic");
    assert_eq!(shifted(120, 0), (Outcome::Pass, 0));
    assert_eq!(shifted(60, 300), (Outcome::Holding, 0));
    assert_eq!(shifted(220, 300), (Outcome::Holding, 100));
    assert_eq!(shifted(419, 300), (Outcome::Holding, 299));
    assert_eq!(shifted(420, 300), (Outcome::Pass, 300));
}

#[test]
fn what_is_asked_for_suffices_for_a_hold_with_late_samples() {
    // The newest sample is 30 s old; asked for from now - reach in steps of 15 s, cut after the newest sample.
    let (now, reach) = (at(30), reach(secs(300), secs(15), secs(15)));
    let start = now - delta(reach);
    let values = (0..=26).map(|i| GOOD.filter(|_| start + TimeDelta::seconds(15 * i) <= at(15))).collect();
    let asked = Series { labels: [].into(), start, step: secs(15), values };
    let found = threshold(&criterion(), &[asked], &Window { now, ..window(300) });
    assert_eq!((found.outcome, found.held), (Outcome::Pass, secs(300)), "{found:?}");
}

#[test]
fn nearness_to_the_limit_is_measured_towards_bad() {
    for (op, value, limit, percent) in [
        (Op::Less, 0.0095, 0.01, Some(95.0)),
        (Op::GreaterOrEqual, 200.0, 100.0, Some(50.0)),
        (Op::Greater, 0.0, 100.0, None),
        (Op::Less, 0.0, 0.0, None),
        (Op::Less, -1.0, 1.0, None),
        (Op::Equal, 1.0, 1.0, None),
        (Op::Less, f64::INFINITY, 1.0, None),
    ] {
        assert_eq!(of_limit(op, value, limit), percent, "{value} {} {limit}", op.sign());
    }
    let near = threshold(&criterion(), &[series(&[Some(0.0095)])], &window(0));
    assert_eq!((near.outcome, near.verdict()), (Outcome::Pass, Verdict::Watch));
}

#[test]
fn only_a_good_sample_ends_a_bad_run() {
    let since = |values: &[Option<f64>]| bad_since(&criterion(), &[series(values)]).map(|b| b.length().as_secs());
    assert_eq!(since(&[GOOD, BAD, BAD, BAD]), Some(30));
    assert_eq!(since(&[BAD, None, NAN, BAD]), Some(45), "a gap is no proof of good");
    assert_eq!(since(&[BAD, GOOD, BAD]), Some(0));
    assert_eq!(since(&[BAD, BAD, GOOD]), None);
    assert_eq!(since(&[BAD, BAD, None]), Some(15));
    assert_eq!(since(&[None, NAN]), None);
    assert_eq!(bad_since(&criterion(), &[]), None);
    let found = threshold(&criterion(), &[series(&[GOOD, BAD, BAD, BAD])], &window(0));
    assert_eq!((found.outcome, found.bad), (Outcome::Fail, secs(30)));
}

#[test]
fn losing_the_newest_sample_does_not_mend_an_answer() {
    let of = |values: &[Option<f64>]| threshold(&criterion(), &[series(values)], &window(15)).outcome;
    assert_eq!(of(&[GOOD, GOOD, GOOD, None, GOOD]), Outcome::NoData, "half of the window is missing");
    assert_eq!(of(&[GOOD, GOOD, GOOD, None, None]), Outcome::NoData, "and more of it");
    assert_eq!(of(&[GOOD, GOOD, GOOD, GOOD, None]), Outcome::Pass, "the newest slot may still be empty");
}

fn sample() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![6 => (0.0..0.0099f64).prop_map(Some), 1 => Just(None), 1 => Just(NAN), 1 => (0.01..1.0f64).prop_map(Some)]
}

/// A sample that is no better than any good one.
fn worse() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), Just(NAN), (0.01..1.0f64).prop_map(Some), Just(Some(f64::INFINITY))]
}

proptest! {
    #[test]
    fn a_good_sample_made_worse_never_gives_a_better_verdict(
        values in prop::collection::vec(sample(), 1..30), at_slot in 0usize..30, worse in worse(), hold in 0u64..400, shift in prop::option::of(0i64..500),
    ) {
        // One of the good ones: to draw a place blindly would throw most cases away.
        let good: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_some_and(|v| v < 0.01)).collect();
        prop_assume!(!good.is_empty());
        let index = good[at_slot % good.len()];
        let window = Window { not_before: shift.map(|s| at(-s)), ..window(hold) };
        let before = threshold(&criterion(), &[series(&values)], &window);
        let mut values = values;
        values[index] = worse;
        let after = threshold(&criterion(), &[series(&values)], &window);
        // Without its newest sample an answer may be whole again where it had a gap: not known becomes not long enough, which permits nothing.
        let known_again = before.verdict() == Verdict::Unknown && !after.verdict().permits_go();
        prop_assert!(after.verdict() >= before.verdict() || known_again, "{before:?}\n{after:?}");
    }

    #[test]
    fn older_samples_never_give_a_better_verdict(values in prop::collection::vec(sample(), 1..30), hold in 0u64..400, older in 0i64..100, later in 0i64..100) {
        let before = threshold(&criterion(), &[series(&values)], &window(hold));
        let aged = Window { newest: Some(at(-older)), now: at(5 + later), ..window(hold) };
        let after = threshold(&criterion(), &[series(&values)], &aged);
        // A NO-GO that has become too old is not known any more; all that matters is that it permits nothing.
        prop_assert!(after.verdict() >= before.verdict() || (before.outcome == Outcome::Fail && after.verdict() == Verdict::Unknown), "{before:?}\n{after:?}");
    }

    #[test]
    fn a_longer_hold_never_permits_more(values in prop::collection::vec(sample(), 1..30), hold in 0u64..400, more in 0u64..200) {
        // A missing sample weighs more in a short window.
        let values: Vec<_> = values.into_iter().map(|v| v.or(GOOD)).collect();
        let permits = |hold| threshold(&criterion(), &[series(&values)], &window(hold)).verdict().permits_go();
        prop_assert!(permits(hold) || !permits(hold + more));
    }

    #[test]
    fn a_greater_value_never_gives_a_better_verdict(value in 0.0..0.05f64, more in 0.0..0.05f64) {
        let of = |v| threshold(&criterion(), &[series(&[Some(v)])], &window(0)).verdict();
        prop_assert!(of(value + more) >= of(value));
    }
}
