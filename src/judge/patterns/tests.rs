use super::*;
use proptest::prelude::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn line(track: Track, instance: &str, second: i64, level: LogLevel, text: &str) -> LogLine {
    LogLine {
        at: at(second),
        instance: instance.into(),
        name: instance.into(),
        track,
        container: "app".into(),
        level,
        text: text.into(),
        seq: 0,
    }
}

/// Three instances of each side at the same ordinary work for a minute, with a shared rare error.
fn ordinary() -> Patterns {
    let mut patterns = Patterns::default();
    for second in 0..60 {
        for (track, instance) in [(Track::Canary, "c"), (Track::Baseline, "b")] {
            for n in 0..3 {
                let text = format!("GET /v1/cart 200 {}ms", 20 + second);
                patterns.learn(&line(track, &format!("{instance}{n}"), second, LogLevel::Info, &text));
            }
        }
    }
    for n in 0..4 {
        for (track, instance) in [(Track::Canary, "c1"), (Track::Baseline, "b1")] {
            patterns.learn(&line(track, instance, n, LogLevel::Error, &format!("upstream timeout payments {n}ms")));
        }
    }
    patterns
}

fn errors(patterns: &mut Patterns, count: i64, instances: i64, text: &str) {
    for n in 0..count {
        let text = text.replace('#', &(n * 7919 + 100_000).to_string());
        patterns.learn(&line(Track::Canary, &format!("c{}", n % instances), n, LogLevel::Error, &text));
    }
}

#[test]
fn the_same_work_on_both_sides_is_nothing_new() {
    assert_eq!(ordinary().new_on_canary(), vec![]);
}

#[test]
fn an_error_that_only_the_canary_has_is_found_with_its_words_and_counts() {
    let mut patterns = ordinary();
    errors(&mut patterns, 12, 3, "ledger: amount differs for order=# by 0.0#");
    let new = patterns.new_on_canary();
    let [found] = new.as_slice() else { panic!("{new:?}") };
    assert_eq!((found.template.as_str(), found.level), ("ledger: amount differs for order=<n> by <n>", LogLevel::Error));
    assert_eq!((found.canary.count, found.canary.instances, found.baseline.count), (12, 3, 0));
    assert_eq!((found.first, found.last), (at(0), at(11)));
    assert!(found.is_watch(at(60)));
    assert!(!found.is_watch(at(11) + TimeDelta::minutes(6)), "what ended is history");
}

#[test]
fn few_or_single_errors_do_not_ask_for_a_look() {
    let mut patterns = ordinary();
    errors(&mut patterns, 2, 2, "ledger: amount differs for order=#");
    assert!(!patterns.new_on_canary().iter().any(|new| new.is_watch(at(60))), "twice is no pattern");
    let mut patterns = ordinary();
    errors(&mut patterns, 9, 1, "ledger: amount differs for order=#");
    assert!(!patterns.new_on_canary().iter().any(|new| new.is_watch(at(60))), "nine on one instance may be that instance");
    errors(&mut patterns, 1, 1, "ledger: amount differs for order=#");
    assert!(patterns.new_on_canary().iter().any(|new| new.is_watch(at(60))));
}

#[test]
fn a_new_warning_is_shown_and_does_not_ask() {
    let mut patterns = ordinary();
    for n in 0..20 {
        patterns.learn(&line(Track::Canary, &format!("c{}", n % 3), n, LogLevel::Warn, &format!("cache: evicted {n} entries")));
    }
    let new = patterns.new_on_canary();
    assert_eq!(new.len(), 1);
    assert!(!new[0].is_watch(at(60)));
}

#[test]
fn without_a_baseline_nothing_is_new() {
    let mut patterns = Patterns::default();
    errors(&mut patterns, 50, 3, "ledger: amount differs for order=#");
    assert!(!patterns.can_compare());
    assert_eq!(patterns.new_on_canary(), vec![]);
}

#[test]
fn a_flood_of_errors_does_not_hide_itself_or_another() {
    let mut patterns = ordinary();
    errors(&mut patterns, 3000, 3, "db: connection reset, attempt #");
    errors(&mut patterns, 12, 3, "ledger: amount differs for order=#");
    assert_eq!(patterns.new_on_canary().len(), 2);
}

#[test]
fn what_the_baseline_has_far_more_rarely_is_new_and_what_it_has_as_often_is_not() {
    let mut patterns = ordinary();
    errors(&mut patterns, 60, 3, "upstream timeout payments #ms");
    assert_eq!(patterns.new_on_canary().iter().map(|new| new.baseline.count).collect::<Vec<_>>(), [4]);
    let mut patterns = ordinary();
    errors(&mut patterns, 6, 3, "upstream timeout payments #ms");
    assert_eq!(patterns.new_on_canary(), vec![], "ten against four is no difference in kind");
}

#[test]
fn an_error_never_hides_in_a_quieter_template() {
    let mut patterns = ordinary();
    for n in 0..12 {
        patterns.learn(&line(Track::Canary, &format!("c{}", n % 3), n, LogLevel::Error, &format!("GET /v1/cart 500 {n}ms")));
    }
    assert_eq!(patterns.new_on_canary().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_lines_give_the_same_patterns_within_bounds(
        texts in prop::collection::vec("[a-e]{1,3}( [a-e0-9]{1,4}){0,6}", 0..900),
    ) {
        let feed = || {
            let mut patterns = Patterns::default();
            for (i, text) in (0..).zip(&texts) {
                let track = if i % 2 == 0 { Track::Canary } else { Track::Baseline };
                patterns.learn(&line(track, &format!("i{}", i % 300), i, LogLevel::Info, text));
            }
            patterns
        };
        let patterns = feed();
        prop_assert!(patterns.clusters.len() <= CLUSTERS && patterns.leaves.values().all(|leaf| leaf.len() <= LEAF));
        prop_assert!(patterns.clusters.iter().all(|c| c.sides.iter().all(|s| s.instances.len() <= INSTANCES)));
        prop_assert_eq!(patterns, feed());
    }

    #[test]
    fn lines_that_differ_in_numbers_alone_are_one_pattern(numbers in prop::collection::vec(0u32..1_000_000, 2..40)) {
        let mut patterns = Patterns::default();
        let ids: Vec<_> =
            numbers.iter().map(|n| patterns.learn(&line(Track::Canary, "c", 0, LogLevel::Warn, &format!("took {n}ms of {n} for user={n}")))).collect();
        prop_assert!(ids.iter().all(|id| *id == ids[0] && id.is_some()), "{:?}", ids);
    }

    #[test]
    fn more_lines_of_the_baseline_never_make_a_pattern_newer(more in 0i64..40) {
        let new = |more: i64| {
            let mut patterns = ordinary();
            errors(&mut patterns, 12, 3, "ledger: amount differs for order=#");
            for n in 0..more {
                patterns.learn(&line(Track::Baseline, "b0", n, LogLevel::Error, &format!("ledger: amount differs for order={}", n + 100_000)));
            }
            patterns.new_on_canary().len()
        };
        prop_assert!(new(more + 1) <= new(more));
        prop_assert_eq!((new(0), new(12)), (1, 0));
    }

    #[test]
    fn any_text_finds_a_place(text in "\\PC{0,300}") {
        let mut patterns = Patterns::default();
        let first = patterns.learn(&line(Track::Canary, "c", 0, LogLevel::None, &text));
        prop_assert_eq!(first, patterns.learn(&line(Track::Canary, "c", 1, LogLevel::None, &text)));
        prop_assert!(first.is_some());
    }
}
