#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::domain::{Action, Percent, Probe, Severity, StepId, Track, Unit};
use crate::runbook::plan::{AnswerKind, Choice, GuardBlind, GuardThen, ManualMode, OnNoData, Undo, When};
use crate::runbook::rules::RULES;
use crate::runbook::{from_journal, to_journal};
use proptest::prelude::*;
use std::collections::BTreeSet;

const MESH: &str = include_str!("../../../assets/playbooks/kubernetes-canary-mesh.yaml");
const BLUE_GREEN: &str = include_str!("../../../assets/playbooks/kubernetes-blue-green.yaml");
const ARGO: &str = include_str!("../../../assets/playbooks/kubernetes-argo-rollouts.yaml");
const ROLLING: &str = include_str!("../../../assets/playbooks/kubernetes-rolling.yaml");
const MINIMAL: &str = include_str!("../../../tests/fixtures/runbooks/minimal.yaml");
const EVERY_MISTAKE: &str = include_str!("../../../tests/fixtures/runbooks/every-mistake.yaml");

mod conditions;
mod tables;

fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn loaded(text: &str, params: &[(&str, &str)]) -> Runbook {
    let loaded = load("x.yaml", text, &given(params), &Context::default());
    let errors: Vec<String> = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    loaded.runbook.unwrap()
}

#[test]
fn the_blue_green_playbook_switches_once_and_back() {
    assert_eq!(lint("kubernetes-blue-green.yaml", BLUE_GREEN, &Context::default()), []);
    let runbook = loaded(BLUE_GREEN, &[]);
    let acts = |steps: &[Step]| -> Vec<u8> {
        steps.iter().filter_map(|s| if let StepKind::Do(a) = &s.kind { a.weight().map(Percent::get) } else { None }).collect()
    };
    assert_eq!((acts(&runbook.steps), acts(&runbook.rollback.steps)), (vec![100], vec![0]));
    for step in runbook.steps.iter().chain(&runbook.rollback.steps) {
        assert!(step.title.chars().count() <= 44, "{} does not fit the screen", step.title);
    }
}

#[test]
fn the_rolling_playbook_is_clean_and_goes_back_by_an_undo() {
    assert_eq!(lint("kubernetes-rolling.yaml", ROLLING, &Context::default()), []);
    assert_eq!(lint("kubernetes-argo-rollouts.yaml", ARGO, &Context::default()), []);
    let runbook = loaded(ROLLING, &[]);
    let image = runbook.step(&"new-image".into()).unwrap();
    assert_eq!(image.undo, Undo::Action(Action::Undo { track: Track::Canary, revision: None, kept_by: None }));
    let back: Vec<String> = runbook.guards.iter().filter(|g| g.then == GuardThen::Rollback).map(|g| g.id.clone()).collect();
    assert_eq!(back, ["errors-critical", "slow-critical", "health"], "what is critical goes back, what warns does not");
}

#[test]
fn the_bundled_playbook_is_clean_and_says_what_it_should() {
    assert_eq!(lint("kubernetes-canary-mesh.yaml", MESH, &Context::default()), []);
    let runbook = loaded(MESH, &[]);
    let ids: Vec<&str> = runbook.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "preflight",
            "ready",
            "shift-5",
            "look-5",
            "bake-5",
            "shift-25",
            "look-25",
            "bake-25",
            "shift-50",
            "look-50",
            "bake-50",
            "shift-100",
            "look-100",
            "close"
        ]
    );
    let weights: Vec<u8> =
        runbook.steps.iter().filter_map(|s| if let StepKind::Do(a) = &s.kind { a.weight().map(Percent::get) } else { None }).collect();
    assert_eq!(weights, [5, 25, 50, 100]);
    for step in runbook.steps.iter().chain(&runbook.rollback.steps) {
        assert!(step.title.chars().count() <= 44, "{} does not fit the screen", step.title);
        if matches!(step.kind, StepKind::Do(_)) && runbook.position(&step.id).is_some() {
            assert_eq!(step.undo, Undo::Action(Action::SetWeight { canary: Percent::ZERO }));
            assert_eq!(step.confirm, Confirm::Consequence);
        }
    }
    assert_eq!(runbook.rollback.confirm, Confirm::Consequence);
    assert_eq!(runbook.rollback.steps[0].when, Some(When::Reached(StepId::from("shift-5"))));
    assert_eq!(runbook.rollback.steps[0].confirm, Confirm::None, "the way back is confirmed once");
    assert_eq!(runbook.params["release"], "v2.42.0");
    assert_eq!(runbook.target.service, "checkout");
}

#[test]
fn the_bundled_guards_know_their_limits_and_units() {
    let runbook = loaded(MESH, &[("service", "pay\"ment"), ("max_p99", "300ms")]);
    let [errors, p99, crashing] = runbook.guards.as_slice() else { panic!("three guards") };
    let Probe::Promql(t) = &errors.probe else { panic!("a query") };
    assert_eq!((t.limit, t.unit, t.lookback), (0.005, Unit::Ratio, Duration::from_secs(120)));
    assert!(t.query.contains(r#"service="pay\"ment",version="canary",code=~"5..""#), "{}", t.query);
    assert!(t.query.ends_with("> 1)"), "{:?}", t.query);
    assert_eq!((errors.bad_for, errors.every), (Duration::from_secs(30), Duration::from_secs(15)));
    assert_eq!((errors.on_no_data, errors.on_error, errors.then), (GuardBlind::Ignore, GuardBlind::Hold, GuardThen::Rollback));
    assert_eq!((&errors.from, &errors.until), (&Some(StepId::from("shift-5")), &None));
    let Probe::Promql(t) = &p99.probe else { panic!("a query") };
    assert_eq!((t.limit, t.unit), (0.9, Unit::Seconds));
    let Probe::Platform(p) = &crashing.probe else { panic!("the platform") };
    assert_eq!((p.track, p.restarts_max, p.ready_all), (Some(Track::Canary), Some(3), false));
    let Some(StepKind::Check(look)) = runbook.step(&StepId::from("look-5")).map(|s| &s.kind) else { panic!("a check") };
    let Probe::Promql(t) = &look.conditions[1].probe else { panic!("a query") };
    assert_eq!((t.limit, t.unit), (0.3, Unit::Seconds), "a duration parameter compares in seconds");
}

#[test]
fn defaults_are_filled_in() {
    let runbook = loaded(MINIMAL, &[]);
    assert_eq!(runbook.steps[0].confirm, Confirm::Consequence);
    assert_eq!(runbook.steps[0].on_failure.offer, [Choice::Retry, Choice::BackOut, Choice::Abort]);
    let StepKind::Check(check) = &runbook.steps[1].kind else { panic!("a check") };
    assert_eq!((check.all, check.conditions[0].on_no_data), (true, OnNoData::Wait));
    assert_eq!(check.conditions[0].every, Duration::from_secs(15));
    let context = Context { scrape_interval: Some(Duration::from_secs(30)), ..Context::default() };
    let slow = load("x.yaml", MINIMAL, &BTreeMap::new(), &context).runbook.unwrap();
    let StepKind::Check(check) = &slow.steps[1].kind else { panic!("a check") };
    assert_eq!(check.conditions[0].every, Duration::from_secs(30), "as often as there are new samples");
}

#[test]
fn every_kind_of_answer_condition_and_choice_is_read() {
    let text = tables::file(
        r#"  - id: all-of-it
    title: "All of it: ${params.release}"
    doc: |
      Two
      lines.
    when: 'not (done("a") and reached("b")) or done("a")'
    manual:
      mode: read-do
      items:
        - { challenge: Ticket, answer: { type: text, equals: "${params.release}" } }
        - { challenge: Flag, answer: { type: choice, of: ["off", "on"], expect: "off" } }
        - { challenge: Budget, answer: { type: number, min: 0.5, max: 20 } }
        - { challenge: Ready, answer: { type: done } }
    on_failure: { offer: [skip, retry], skip: { reason: optional } }
  - { id: sure, title: Sure, gate: confirm }
  - { id: gone, title: Gone, do: { set_weight: { canary: 100 } }, irreversible: true, confirm: yes-please, timeout: 1m }
"#,
    )
    .replace(", confirm: yes-please", "");
    let text =
        text.replace("\nsteps:\n", "\nsteps:\n  - { id: a, title: A, gate: confirm }\n  - { id: b, title: B, wait: { for: 1h30m } }\n");
    let runbook = loaded(&text, &[("release", "v9")]);
    let step = runbook.step(&StepId::from("all-of-it")).unwrap();
    assert_eq!((step.title.as_str(), step.doc.as_str()), ("All of it: v9", "Two\nlines.\n"));
    let StepKind::Manual(manual) = &step.kind else { panic!("a checklist") };
    assert_eq!(manual.mode, ManualMode::ReadDo);
    let answers: Vec<&AnswerKind> = manual.items.iter().map(|item| &item.answer).collect();
    assert_eq!(
        answers,
        [
            &AnswerKind::Text { equals: Some("v9".into()), pattern: None },
            &AnswerKind::Choice { of: vec!["off".into(), "on".into()], expect: Some("off".into()) },
            &AnswerKind::Number { min: Some(0.5), max: Some(20.0) },
            &AnswerKind::Done
        ]
    );
    assert_eq!((step.on_failure.offer.as_slice(), step.on_failure.skip_needs_reason), (&[Choice::Skip, Choice::Retry][..], false));
    let (a, b) = (|| When::Done("a".into()), || When::Reached("b".into()));
    assert_eq!(step.when, Some(When::Or(vec![When::Not(Box::new(When::And(vec![a(), b()]))), a()])));
    assert_eq!(runbook.steps[1].kind, StepKind::Wait { duration: Duration::from_secs(5400), shorten: None });
    let gone = runbook.step(&StepId::from("gone")).unwrap();
    assert_eq!((&gone.undo, gone.confirm), (&Undo::Irreversible, Confirm::Override), "what cannot be undone is never asked lightly");
}

#[test]
fn a_runbook_round_trips_through_the_journal() {
    for text in [MESH, MINIMAL] {
        let runbook = loaded(text, &[]);
        let json = to_journal(&runbook);
        let stored: serde_json::Value = serde_json::from_str(&canonical::to_string(&json).unwrap()).unwrap();
        assert_eq!(from_journal(&stored).unwrap(), runbook);
        assert_eq!(canonical::hash(&json).unwrap(), load("y.yaml", text, &BTreeMap::new(), &Context::default()).hash.unwrap());
    }
    assert!(from_journal(&serde_json::json!({"id": "x"})).unwrap_err().contains("journaled runbook"));
}

#[test]
fn the_hash_is_of_what_runs() {
    let hash = |text: &str, params: &[(&str, &str)]| load("a.yaml", text, &given(params), &Context::default()).hash.unwrap();
    let plain = hash(MESH, &[]);
    assert_eq!(plain, hash(MESH, &[]), "the same file is the same runbook");
    assert_eq!(plain, hash(&MESH.replace("# Canary release", "# canary release"), &[]), "a comment does not run");
    assert_eq!(plain, hash(MESH, &[("release", "v2.42.0")]), "a default that is given is the same");
    assert_ne!(plain, hash(MESH, &[("release", "v2.42.1")]));
    assert_ne!(plain, hash(&MESH.replace("bad_for: 30s", "bad_for: 31s"), &[]));
    assert_ne!(plain, hash(&MESH.replace("Bake at 5 %", "Bake at 6 %"), &[]));
    assert_ne!(plain, hash(&MESH.replace("value: 900ms", "value: 901ms"), &[]));
}

#[test]
fn an_error_leaves_no_runbook_and_no_hash() {
    let broken = MINIMAL.replace("canary: 10 ", "canary: 101 ");
    let loaded = load("x.yaml", &broken, &BTreeMap::new(), &Context::default());
    assert_eq!((loaded.runbook, loaded.hash), (None, None));
}

#[test]
fn every_mistake_of_a_file_is_found_at_once() {
    let found: Vec<String> = lint("every-mistake.yaml", EVERY_MISTAKE, &Context::default()).iter().map(ToString::to_string).collect();
    insta::with_settings!({snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("runbook-every-mistake", found.join("\n"));
    });
}

#[test]
fn rules_are_sorted_and_each_is_shown_by_a_snippet() {
    let ids: Vec<&str> = RULES.iter().map(|(id, _)| *id).collect();
    assert!(ids.is_sorted(), "sorted, so that they can be found");
    let shown: BTreeSet<String> = tables::all_found().into_iter().collect();
    let listed: BTreeSet<String> = ids.into_iter().map(str::to_owned).collect();
    assert_eq!(shown, listed);
}

#[test]
fn text_of_the_file_cannot_steer_a_terminal() {
    let text = MINIMAL
        .replace("title: Small canary", "\"ti\\e[31mtle\": \"Small \\e]0;x\\a\\u202ecanary\"")
        .replace("id: look-10", "id: \"look\\e[2J\"");
    for diagnostic in lint("a\u{1b}[31mb.yaml", &text, &Context::default()) {
        let shown = diagnostic.to_string();
        assert_eq!(crate::domain::text::clean(&shown), shown);
    }
}

#[test]
fn a_file_over_the_limits_is_refused_quickly() {
    let rules = |text: &str| lint("x", text, &Context::default()).into_iter().map(|d| d.rule).collect::<Vec<_>>();
    assert_eq!(rules(&"#".repeat(300 * 1024)), ["too-large"]);
    assert_eq!(rules(&"[".repeat(40)), ["too-deep"]);
    assert_eq!(rules(&"- ".repeat(40)), ["too-deep"]);
    let many = (0..1000).map(|i| format!("k{i}: 1")).collect::<Vec<_>>().join("\n");
    assert!(rules(&many).contains(&"too-large".to_owned()));
    let templates = format!("gonogo: 1\ntitle: {}", "${x}".repeat(60_000));
    assert!(rules(&templates).len() < 50, "one text does not fill the report");
}

/// A file with one thing wrong: a character removed, doubled or replaced, or a line moved.
fn mutated() -> impl Strategy<Value = String> {
    let base = prop_oneof![Just(MESH), Just(MINIMAL), Just(EVERY_MISTAKE)];
    let piece = prop_oneof![
        "\\PC{0,3}",
        Just("${params.".to_owned()),
        Just("}".to_owned()),
        Just("\n- ".to_owned()),
        Just("'\"".to_owned()),
        Just("\t".to_owned()),
        Just("[{(".to_owned()),
        Just("\\".to_owned()),
        Just("\r".to_owned()),
        Just("é".to_owned())
    ];
    (base, proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..4, piece), 1..4)).prop_map(|(base, edits)| {
        let mut chars: Vec<char> = base.chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(chars.len());
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        chars.into_iter().collect()
    })
}

/// The promises about any text whatever.
fn keeps_its_promises(text: &str) -> Result<(), TestCaseError> {
    let lines: Vec<usize> =
        text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).map(|line| line.chars().count()).collect();
    let loaded = load("x.yaml", text, &BTreeMap::new(), &Context::default());
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    prop_assert_eq!(loaded.runbook.is_some(), errors == 0, "a runbook, or an error: {:?}", loaded.diagnostics);
    prop_assert_eq!(loaded.runbook.is_some(), loaded.hash.is_some());
    for diagnostic in &loaded.diagnostics {
        prop_assert!(RULES.iter().any(|(id, _)| *id == diagnostic.rule), "{diagnostic}");
        let line = lines.get((diagnostic.line as usize).wrapping_sub(1));
        prop_assert!(line.is_some_and(|width| (1..=width + 1).contains(&(diagnostic.column as usize))), "{diagnostic} in {text:?}");
    }
    if let Some(runbook) = &loaded.runbook {
        prop_assert_eq!(&from_journal(&to_journal(runbook)).unwrap(), runbook);
    }
    let _ = lint("x.yaml", text, &Context { protected: false, ..Context::default() });
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}|[ -~\n]{0,300}|([a-z]{1,8}: ?[-\\[\\]{}'\"|>&*!%$a-z0-9\n ]{0,20}\n){0,12}") {
        keeps_its_promises(&text)?;
    }

    #[test]
    fn any_slip_in_a_good_file_is_answered(text in mutated()) {
        keeps_its_promises(&text)?;
    }

    #[test]
    fn any_query_is_answered(query in "[ -~]{0,60}|([a-z]{1,4}|[(){}\\[\\]\"'`\\\\]|[-+*/><=!~]{1,2}|[0-9]{1,20}[smhdwy]?|by |or |offset |@|rate|sum| ){0,20}") {
        let text = tables::file(&format!("  - id: look\n    title: Look\n    timeout: 5m\n    check:\n      all:\n        - id: q\n          op: \"<\"\n          value: 1\n          promql: |\n            {query}\n"));
        keeps_its_promises(&text)?;
    }

    #[test]
    fn any_value_is_refused_or_stands_for_itself(value in "\\PC{0,20}|[\"'`\\\\{}()$.*|]{0,10}") {
        let text = "gonogo: 1\nkind: runbook\nid: x\nversion: v1\ntitle: X\ntarget: { platform: p, service: s, environment: e }\nparams:\n  p: { type: string, required: true }\nsteps:\n  - id: look\n    title: Look\n    timeout: 5m\n    check:\n      all:\n        - { id: q, promql: 'up{a=\"${params.p}\",b=~\"x${params.p}\",c=`k`}', op: \"<\", value: 1 }\n";
        let loaded = load("x.yaml", text, &given(&[("p", &value)]), &Context::default());
        if let Some(runbook) = loaded.runbook {
            let StepKind::Check(check) = &runbook.steps[0].kind else { panic!("a check") };
            let Probe::Promql(threshold) = &check.conditions[0].probe else { panic!("a query") };
            let parsed = promql_parser::parser::parse(&threshold.query).unwrap();
            let promql_parser::parser::Expr::VectorSelector(selector) = parsed else { panic!("still one selector: {}", threshold.query) };
            let found: Vec<(&str, &str)> = selector.matchers.matchers.iter().map(|m| (m.name.as_str(), m.value.as_str())).collect();
            let pattern = format!("x{}", regex::escape(&value));
            prop_assert_eq!(found, vec![("a", value.as_str()), ("b", pattern.as_str()), ("c", "k")]);
        }
    }
}
