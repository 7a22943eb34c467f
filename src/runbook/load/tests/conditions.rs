//! Conditions that ask something else than the metrics backend: what is read, and what is refused where.

use super::tables::{Table, complaint, condition, file};
use super::{given, lint, loaded};
use crate::domain::{AlertCondition, AlertWanted, Diagnostic, Labels, Percent, PlatformCondition, Probe, Track};
use crate::runbook::plan::StepKind;
use crate::runbook::{Context, load};
use rstest::rstest;

fn with(rest: &str) -> String {
    condition(&format!("{{ id: q, {rest} }}"))
}

/// Every table, for the list of rules.
pub(super) fn all() -> Table {
    [platform(), alert()].concat()
}

fn platform() -> Table {
    vec![
        (with("platform: { version: ¶2 }"), &["ambiguous-value"]),
        (with("platform: { version: \"${params.release}\", ready: all }"), &[]),
        (with("platform: { version_present: ¶\"\" }"), &["empty-value"]),
        (with("platform: { weight: ¶101 }"), &["invalid-value"]),
        (with("platform: { weight: ¶5% }"), &["wrong-type"]),
        (with("platform: { track: baseline, ¶weight: 5 }"), &["misplaced-key"]),
        (with("platform: { paused: ¶yes }"), &["wrong-type"]),
        (with("platform: { ¶route_mapped: x }"), &["not-supported-yet"]),
        (with("platform: { ¶verson: v1, ready: all }"), &["unknown-key"]),
        (with("platform: { ready: all }, ¶alert: { match: { a: b }, state: inactive }"), &["misplaced-key"]),
    ]
}

fn alert() -> Table {
    vec![
        (with("alert: { match: { severity: critical }, state: inactive }"), &[]),
        (with("alert: { match: { severity: critical }, state: inactive, silenced: ignored }, hold: 2m, on_no_data: fail"), &[]),
        (with("alert: ¶{}").replace('¶', "¶¶"), &["missing-key", "missing-key"]),
        (with("alert: ¶critical"), &["wrong-type"]),
        (with("alert: { match: ¶[a], state: inactive }"), &["wrong-type"]),
        (with("alert: { match: ¶{}, state: inactive }"), &["empty-value"]),
        (with("alert: { match: { ¶a-b: c }, state: inactive }"), &["invalid-id"]),
        (with("alert: { match: { a: ¶5 }, state: inactive }"), &["ambiguous-value"]),
        (with("alert: { match: { a: \"¶${params.x}\" }, state: inactive }"), &["unknown-parameter"]),
        (with("alert: { match: { a: b }, state: ¶quiet }"), &["invalid-value"]),
        (with("alert: { match: { a: b }, state: ¶pending }"), &["invalid-value"]),
        (with("alert: { match: { a: b }, state: inactive, silenced: ¶ignore }"), &["invalid-value"]),
        (with("alert: { match: { a: b }, state: inactive, ¶for: 5m }"), &["unknown-key"]),
        (with("alert: { match: { a: b }, state: inactive }, ¶op: \"<\", ¶value: 1"), &["misplaced-key", "misplaced-key"]),
        (with("alert: { match: { a: b }, state: inactive }, ¶connection: am"), &["not-supported-yet"]),
    ]
}

#[rstest]
#[case::platform(platform())]
#[case::alert(alert())]
fn each_mistake_is_found_where_it_stands(#[case] table: Table) {
    let complaints: Vec<String> = table.iter().filter_map(|(text, rules)| complaint(text, rules)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n----\n"));
}

/// The probes of the first step, in order.
fn probes(conditions: &str, params: &[(&str, &str)]) -> Vec<Probe> {
    let text = file(&format!("  - id: look\n    title: Look\n    timeout: 5m\n    check:\n      all:\n{conditions}"));
    let runbook = loaded(&text, params);
    let StepKind::Check(check) = &runbook.steps[0].kind else { panic!("a check") };
    check.conditions.iter().map(|condition| condition.probe.clone()).collect()
}

#[test]
fn platform_and_alert_conditions_are_read_and_described() {
    let asked = probes(
        r#"        - { id: a, platform: { track: canary, version: "${params.release}", ready: all } }
        - { id: b, platform: { version_present: v7, weight: "${params.count}", paused: false } }
        - { id: c, alert: { match: { severity: critical, release: "${params.release}" }, state: inactive } }
        - { id: d, alert: { match: { alertname: Watchdog }, state: firing, silenced: ignored } }
"#,
        &[("release", "v9")],
    );
    let labels = |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() };
    let expected = [
        Probe::Platform(PlatformCondition {
            track: Some(Track::Canary),
            ready_all: true,
            version: Some("v9".into()),
            ..PlatformCondition::default()
        }),
        Probe::Platform(PlatformCondition {
            version_present: Some("v7".into()),
            weight: Percent::new(5),
            paused: Some(false),
            ..PlatformCondition::default()
        }),
        Probe::Alert(AlertCondition {
            matching: labels(&[("severity", "critical"), ("release", "v9")]),
            state: AlertWanted::Inactive,
            ignore_silenced: false,
        }),
        Probe::Alert(AlertCondition { matching: labels(&[("alertname", "Watchdog")]), state: AlertWanted::Firing, ignore_silenced: true }),
    ];
    assert_eq!(asked, expected);
    let described: Vec<String> = asked.iter().map(Probe::describe).collect();
    assert_eq!(
        described,
        [
            "canary: all ready, all run v9",
            "both tracks: v7 is there, canary share 5%, not paused",
            "no alert fires or is pending: release=v9 severity=critical",
            "an alert fires: alertname=Watchdog, silenced ones do not count",
        ]
    );
}

#[test]
fn an_alert_condition_of_a_service_without_alerts_is_refused_where_that_is_known() {
    let text = with("alert: { match: { a: b }, state: inactive }");
    let rules = |alerts| -> Vec<String> {
        let context = Context { alerts, ..Context::default() };
        lint("x.yaml", &text, &context).into_iter().map(|d: Diagnostic| d.rule).collect()
    };
    assert_eq!(rules(Some(false)), ["unknown-target"]);
    assert!(rules(Some(true)).is_empty() && rules(None).is_empty());
}

#[test]
fn an_older_journal_without_the_newer_keys_is_read() {
    let old = serde_json::json!({"platform": {"track": "canary", "ready_all": true, "min_replicas": null, "restarts_max": 3}});
    let probe: Probe = serde_json::from_value(old.clone()).unwrap();
    let same = PlatformCondition { track: Some(Track::Canary), ready_all: true, restarts_max: Some(3), ..PlatformCondition::default() };
    assert_eq!(probe, Probe::Platform(same));
    assert_eq!(serde_json::to_value(&probe).unwrap(), old, "nothing is added to what older versions wrote: hashes stay");
}

#[test]
fn the_same_condition_has_the_same_hash() {
    let text = with("alert: { match: { b: c, a: b }, state: inactive }");
    let hash = |text: &str| load("x.yaml", text, &given(&[]), &Context::default()).hash.unwrap();
    assert_eq!(hash(&text), hash(&text.replace("b: c, a: b", "a: b, b: c")), "labels have no order");
    assert_ne!(hash(&text), hash(&text.replace("inactive", "not-firing")));
}
