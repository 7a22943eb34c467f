//! Bad snippets. `¶` stands where a finding is expected; the rules follow in the same order.

use crate::domain::Diagnostic;
use crate::runbook::{Context, lint, load};
use rstest::rstest;
use std::collections::BTreeMap;

const HEAD: &str = "gonogo: 1
kind: runbook
id: x
version: v1
title: X
target: { platform: p, service: s, environment: e }
params:
  release: { type: string, default: v1 }
  share: { type: ratio, default: 0.01 }
  slow: { type: duration, default: 450ms }
  floor: { type: number, default: 1 }
  count: { type: integer, default: 5 }
";

const BACK: &str = "rollback:
  steps:
    - { id: back, title: Back, do: { set_weight: { canary: 0 } }, timeout: 1m }
";

/// A whole file around some steps.
pub(super) fn file(steps: &str) -> String {
    format!("{HEAD}steps:\n{steps}{BACK}")
}

/// A whole file around some guards.
fn guarded(guards: &str) -> String {
    format!("{HEAD}guards:\n{guards}steps:\n  - {{ id: a, title: A, gate: confirm }}\n  - {{ id: b, title: B, wait: {{ for: 1m }} }}\n")
}

/// A check step around one condition.
pub(super) fn condition(condition: &str) -> String {
    file(&format!("  - id: look\n    title: Look\n    timeout: 5m\n    check:\n      all:\n        - {condition}\n"))
}

/// The text without its marks, and where they stood.
fn marked(text: &str) -> (String, Vec<(u32, u32)>) {
    let (mut clean, mut marks, mut line, mut column) = (String::new(), Vec::new(), 1, 1);
    for c in text.chars() {
        match c {
            '¶' => marks.push((line, column)),
            '\n' => {
                clean.push(c);
                (line, column) = (line + 1, 1);
            }
            c => {
                clean.push(c);
                column += 1;
            }
        }
    }
    (clean, marks)
}

fn places(found: &[Diagnostic]) -> Vec<(String, u32, u32)> {
    found.iter().map(|d| (d.rule.clone(), d.line, d.column)).collect()
}

/// Why a snippet is not answered as expected.
pub(super) fn complaint(text: &str, rules: &[&str]) -> Option<String> {
    let (text, marks) = marked(text);
    let expected: Vec<(String, u32, u32)> =
        rules.iter().zip(&marks).map(|(rule, (line, column))| ((*rule).to_owned(), *line, *column)).collect();
    let found = lint("x.yaml", &text, &Context::default());
    let said = found.iter().all(|d| d.message.len() > 15 && d.help.as_deref() != Some(""));
    let right = marks.len() == rules.len() && places(&found) == expected && said;
    (!right).then(|| {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        format!("{text}\nexpected {expected:?}\nfound {found:#?}")
    })
}

#[test]
fn line_and_column_are_counted_in_characters_from_one() {
    let text = "gonogo: 1\nkind: runbook\nid: x\nversion: v1\ntitle: \"é\"\nöwner: me\ntarget: { platform: \"ü\", sevrice: s, environment: e }\nsteps: []\n";
    let found = lint("f.yaml", text, &Context::default());
    assert_eq!(places(&found), [("unknown-key".to_owned(), 6, 1), ("unknown-key".to_owned(), 7, 26), ("empty-value".to_owned(), 8, 1),]);
    assert_eq!(found[1].length, 7);
    assert_eq!(found[1].to_string(), "f.yaml:7:26: error[unknown-key]: `sevrice` is no key of `target`; did you mean `service`?");
    assert_eq!(found[0].help.as_deref(), Some("did you mean `owner`?"));
}

/// Every rule that a table below or a test beside them finds.
pub(super) fn all_found() -> Vec<String> {
    let mut rules = Vec::new();
    for (_, expected) in yaml()
        .into_iter()
        .chain(fields())
        .chain(scalars())
        .chain(parameters())
        .chain(queries())
        .chain(steps())
        .chain(guards())
        .chain(whole())
        .chain(together())
        .chain(super::conditions::all())
    {
        rules.extend(expected.iter().map(|rule| (*rule).to_owned()));
    }
    rules.extend(values_given().into_iter().map(|(_, _, rule, _)| rule.to_owned()));
    rules.push("unknown-target".to_owned());
    rules.push("too-deep".to_owned());
    rules.push("too-large".to_owned());
    rules
}

pub(super) type Table = Vec<(String, &'static [&'static str])>;

fn yaml() -> Table {
    let good = file("  - { id: a, title: A, gate: confirm }\n");
    vec![
        (format!("{good}¶title: Y\n"), &["duplicate-key"]),
        (good.replace("title: A", "title: A, ¶title: B"), &["duplicate-key"]),
        (good.replace("title: A", "title: ¶&t A"), &["anchor"]),
        (good.replace("{ id: a", "¶&s { id: a"), &["anchor"]),
        (good.replace("title: A", "title: ¶*t"), &["alias"]),
        (good.replace("title: A", "¶<<: { doc: x }, title: A"), &["merge-key"]),
        (good.replace("title: A", "title: ¶!!str A"), &["tag"]),
        (format!("{good}¶---\na: 1\n"), &["several-documents"]),
        (format!("¶%YAML 1.2\n---\n{good}"), &["directive"]),
        ("¶".to_owned(), &["empty-file"]),
        ("¶# nothing\n".to_owned(), &["empty-file"]),
        (good.replace("title: A", "title: ¶${params.release}"), &["unquoted-template"]),
        (good.replace("kind: runbook", "kind: ¶runbook\n\tdoc: x"), &["yaml-syntax"]),
        (good.replace("title: X", "title: X¶: Y"), &["yaml-syntax"]),
        (good.replace("  - { id: a", "  - { ¶[a, b]: c, id: a"), &["wrong-type"]),
    ]
}

fn fields() -> Table {
    let good = file("  - { id: a, title: A, gate: confirm }\n");
    vec![
        (good.replace("title: X", "¶titel: X"), &["unknown-key"]),
        (format!("¶{}", good.replace("version: v1\n", "")), &["missing-key"]),
        (format!("{good}roles: {{}}\nclock: {{}}\nfinally: []\npreconditions: []\n"), &[]),
        (good.replace("gonogo: 1", "gonogo: ¶2"), &["format-version"]),
        (good.replace("gonogo: 1", "gonogo: ¶one"), &["wrong-type"]),
        (good.replace("kind: runbook", "kind: ¶runbok"), &["invalid-value"]),
        (good.replace("target: {", "target: { lock: service,"), &[]),
        (good.replace("target: {", "target: { lock: ¶platform,"), &["invalid-value"]),
        (good.replace("id: x", "id: ¶X_y"), &["invalid-id"]),
        (good.replace("title: X", "title: ¶[a]"), &["wrong-type"]),
        (good.replace("title: X", "¶title:"), &["empty-value"]),
        (good.replace("title: X", "title: ¶\"  \""), &["empty-value"]),
        (good.replace("title: X", "title: ¶\"a\\e[31mb\""), &["invalid-text"]),
        (good.replace("title: X", &format!("title: ¶{}", "x".repeat(201))), &["invalid-text"]),
        (good.replace("title: X", "title: X\ndoc: ¶\"a\\u202eb\""), &["invalid-text"]),
        (file("").replacen("steps:\n", "¶steps: []\n", 1), &["empty-value"]),
        (file("").replacen("steps:\n", "steps: ¶5\n", 1), &["wrong-type"]),
        ("¶just text\n".to_owned(), &["wrong-type"]),
    ]
}

fn scalars() -> Table {
    let titled = |title: &str| file(&format!("  - {{ id: a, title: {title}, gate: confirm }}\n"));
    let mut table: Table =
        ["yes", "No", "ON", "off", "y", "n", "null", "~", "true", "5", "1.5", "010", "0x1f", "1_0", "12:30", "2026-03-14", ".inf"]
            .into_iter()
            .map(|word| (titled(&format!("¶{word}")), &["ambiguous-value"][..]))
            .collect();
    table.extend(["'yes'", "\"5\"", "v5", "5 %"].into_iter().map(|word| (titled(word), &[][..])));
    table.extend(
        ["10", "¶ten"].into_iter().zip([&["invalid-duration"][..], &["invalid-duration"]]).map(|(time, rules)| {
            (file(&format!("  - {{ id: a, title: A, wait: {{ for: ¶{} }} }}\n", time.trim_start_matches('¶'))), rules)
        }),
    );
    table.push((file("  - { id: a, title: A, wait: { for: ¶0s } }\n"), &["invalid-duration"]));
    table.push((file("  - { id: a, title: A, wait: { for: ¶31d } }\n"), &["invalid-duration"]));
    table.push((file("  - { id: a, title: A, wait: { for: \"${params.slow}0\" } }\n").replace("\"${", "¶\"${"), &["invalid-duration"]));
    table.push((file("  - { id: a, title: A, wait: { for: ¶\"${params.count}\" } }\n"), &["wrong-type"]));
    for (weight, rule) in [
        ("101", &["invalid-value"][..]),
        ("-1", &["invalid-value"]),
        ("5.5", &["wrong-type"]),
        ("\"5\"", &["wrong-type"]),
        ("5%", &["wrong-type"]),
        ("\"${params.share}\"", &["wrong-type"]),
    ] {
        table.push((
            file(&format!("  - {{ id: a, title: A, do: {{ set_weight: {{ canary: ¶{weight} }} }}, undo: none, timeout: 1m }}\n")),
            rule,
        ));
    }
    table.push((file("  - { id: a, title: A, do: { set_weight: { canary: \"${params.count}\" } }, undo: none, timeout: 1m }\n"), &[]));
    table
}

fn parameters() -> Table {
    let with = |params: &str| file("  - { id: a, title: A, gate: confirm }\n").replace("params:\n", &format!("params:\n{params}"));
    let texts = |title: &str| file(&format!("  - {{ id: a, title: \"{title}\", gate: confirm }}\n"));
    vec![
        (with("  p: { type: ¶text, default: x }\n"), &["invalid-value"]),
        (with("  p: { type: ¶choice, ¶of: [a] }\n"), &["not-supported-yet", "not-supported-yet"]),
        (with("  p: { type: string, required: true, ¶secret: true }\n"), &["not-supported-yet"]),
        (with("  p: ¶{ default: x }\n"), &["missing-key"]),
        (with("  ¶p: { type: string }\n"), &["missing-key"]),
        (with("  ¶p: { type: string, required: true, default: x }\n"), &["misplaced-key"]),
        (with("  p: { type: string, required: ¶yes, default: x }\n"), &["wrong-type"]),
        (with("  ¶P: { type: string, required: true }\n"), &["invalid-id"]),
        (with("  ¶on: { type: string, required: true }\n"), &["ambiguous-value"]),
        (with("  p: { type: string, default: ¶5 }\n"), &["ambiguous-value"]),
        (with("  p: { type: string, default: ¶abc, pattern: 'v.*' }\n"), &["invalid-value"]),
        (with("  p: { type: string, default: ¶xv1, pattern: 'v1' }\n"), &["invalid-value"]),
        (with("  p: { type: string, required: true, pattern: ¶'(' }\n"), &["invalid-value"]),
        (with("  p: { type: number, default: 5, ¶pattern: '5' }\n"), &["misplaced-key"]),
        (with("  p: { type: number, default: ¶\"5\" }\n"), &["wrong-type"]),
        (with("  p: { type: ratio, default: ¶5 }\n"), &["invalid-value"]),
        (with("  p: { type: integer, default: ¶5.5 }\n"), &["invalid-value"]),
        (with("  p: { type: duration, default: ¶5 }\n"), &["invalid-value"]),
        (with("  p: { type: boolean, default: ¶yes }\n"), &["invalid-value"]),
        (with("  p: { type: string, default: ¶[a] }\n"), &["wrong-type"]),
        (with("").replace("params:\n", "params: ¶5\nignored:\n").replace("ignored:", "¶ignored:"), &["wrong-type", "unknown-key"]),
        (texts("to ¶${params.relase} and ¶${params.x}"), &["unknown-parameter", "unknown-parameter"]),
        (texts("¶${run.id} ¶${step.a.out}"), &["not-supported-yet", "not-supported-yet"]),
        (texts("¶${release} ¶${params.release"), &["invalid-template", "invalid-template"]),
        (file("  - id: a\n    title: A\n    doc: |\n      One.\n\n        Two ¶${params.x}.\n    gate: confirm\n"), &["unknown-parameter"]),
        (file("  - id: a\n    title: A\n    doc: >-\n      One\n      two ¶${params.x}.\n    gate: confirm\n"), &["unknown-parameter"]),
        (file("  - id: a\n    title: A\n    doc: \"\\u0041 ¶${params.x}\"\n    gate: confirm\n"), &["unknown-parameter"]),
    ]
}

fn queries() -> Table {
    let ask = |query: &str| condition(&format!("{{ id: q, promql: {query}, op: \"<\", value: 1, hold: 1m }}"));
    let block = |query: &str| {
        condition(&format!(
            "id: q\n          op: \"<\"\n          value: 1\n          hold: 1m\n          promql: |\n            sum(\n              {query}"
        ))
    };
    let with = |rest: &str| condition(&format!("{{ id: q, {rest} }}"));
    vec![
        (ask("'up{a=\"b\"} > 0'"), &[]),
        (ask("'¶sum by (x) y'"), &["promql-syntax"]),
        (ask("'sum¶(up'"), &["promql-syntax"]),
        (ask("'up¶)'"), &["promql-syntax"]),
        (ask("'up{a=¶\"b}'"), &["promql-syntax"]),
        (ask("'¶nonsense(up)'"), &["promql-syntax"]),
        (block("up¶]\n            )"), &["promql-syntax"]),
        (block("up{a=\"${params.release}\"} ¶]"), &["promql-syntax"]),
        (block("up{a=\"¶${params.x}\"})"), &["unknown-parameter"]),
        (block("¶${params.release})"), &["unsafe-parameter"]),
        (block("rate(up[¶${params.floor}]))"), &["unsafe-parameter"]),
        (block("up > 1¶${params.floor})"), &["unsafe-parameter"]),
        (ask("¶[up]"), &["wrong-type"]),
        (ask(&format!("¶{}", "a".repeat(9000))), &["promql-syntax"]),
        (ask("¶\"up \\u0007\""), &["invalid-text"]),
        (ask("¶'sum(rate(r{code=\"500\"}[2m])) / sum(rate(r[2m]))'").replace('¶', "¶¶"), &["no-traffic-floor", "no-zero"]),
        (ask("¶'sum(rate(r{code=\"500\"}[2m])) / (sum(rate(r[2m])) > 1)'"), &["no-zero"]),
        (ask("'(sum(rate(r{code=\"500\"}[2m])) or vector(0)) / (sum(rate(r[2m])) > 1)'"), &[]),
        (with("promql: up, op: ¶\"=\", value: 1, hold: 1m"), &["invalid-value"]),
        (with("promql: up, op: \"<\", value: ¶\"1\", hold: 1m"), &["wrong-type"]),
        (with("promql: up, op: \"<\", value: ¶\"${params.release}\", hold: 1m"), &["wrong-type"]),
        (condition("¶{ id: q, promql: up, hold: 1m }").replace('¶', "¶¶"), &["missing-key", "missing-key"]),
        (condition("¶{ id: q }"), &["missing-key"]),
        (with("promql: up, op: \"<\", value: 1, ¶platform: { ready: all }, hold: 1m"), &["misplaced-key"]),
        (with("platform: { ready: all }, ¶op: \"<\", ¶value: 1"), &["misplaced-key", "misplaced-key"]),
        (with("platform: ¶{ track: canary }"), &["missing-key"]),
        (with("platform: { track: ¶green, ready: all }"), &["not-supported-yet"]),
        (with("platform: { track: ¶canry, ready: all }"), &["invalid-value"]),
        (with("platform: { ready: ¶some }"), &["invalid-value"]),
        (with("platform: { ¶route_mapped: x, ¶selector: x }"), &["not-supported-yet", "not-supported-yet"]),
        (with("¶http: { url: x }"), &["not-supported-yet"]),
        (with("platform: { ready: all }, on_no_data: ¶ignore"), &["invalid-value"]),
        (with("platform: { ready: all }, every: ¶10ms"), &["invalid-duration"]),
        (with("promql: up, op: \"<\", value: 1, hold: ¶29s"), &["hold-too-short"]),
        (with("promql: up, op: \"<\", value: 1").replace("id: q", "id: ¶q"), &["hold-too-short"]),
        (with("platform: { ready: all }, hold: ¶6m"), &["hold-over-timeout"]),
    ]
}

fn steps() -> Table {
    let step = |rest: &str| file(&format!("  - {{ id: a, title: A, {rest} }}\n"));
    let manual = |items: &str| step(&format!("manual: {{ mode: do-confirm, items: [{items}] }}"));
    let answer = |answer: &str| manual(&format!("{{ challenge: C, answer: {answer} }}"));
    let when = |when: &str| {
        file(&format!("  - {{ id: a, title: A, gate: confirm }}\n  - {{ id: b, title: B, when: '{when}', wait: {{ for: 1m }} }}\n"))
    };
    let item = "{ challenge: C, answer: { type: done } }";
    vec![
        (file("  - ¶{ id: a, title: A }\n"), &["step-kind"]),
        (step("wait: { for: 1m }, ¶gate: confirm"), &["step-kind"]),
        (step("uses: ¶look-5"), &["missing-step"]),
        (step("gate: ¶{ ¶confirm: yes }"), &["missing-key", "unknown-key"]),
        (step("gate: ¶poll"), &["invalid-value"]),
        (step("gate: ¶conform"), &["invalid-value"]),
        (step("gate: ¶{}"), &["missing-key"]),
        (
            step("gate: confirm, ¶role: ¶sre, ¶t: T-15m, ¶evidence: []"),
            &["misplaced-key", "missing-role", "not-supported-yet", "not-supported-yet"],
        ),
        (step("gate: confirm, ¶undo: none, ¶confirm: yes").replace("yes", "none"), &["misplaced-key", "misplaced-key"]),
        (step("¶do: { set_weight: { canary: 5 } }, undo: none").replace("id: a", "id: ¶a").replace("¶do", "do"), &["timeout-missing"]),
        (step("do: { ¶exec: { argv: [x] } }, undo: none, timeout: 1m"), &["not-supported-yet"]),
        (step("do: { ¶set_wieght: { canary: 5 } }, undo: none, timeout: 1m"), &["unknown-key"]),
        (step("do: { set_weight: { canary: 5 } }, timeout: 1m").replace("id: a", "id: ¶a"), &["undo-missing"]),
        (step("do: { set_weight: { canary: 5 } }, ¶undo: none, irreversible: true, timeout: 1m"), &["misplaced-key"]),
        (step("do: { set_weight: { canary: 5 } }, undo: ¶nothing, timeout: 1m"), &["invalid-value"]),
        (step("do: { set_weight: { canary: 5 } }, undo: none, confirm: ¶always, timeout: 1m"), &["invalid-value"]),
        (step("do: { set_weight: { canary: 5 } }, undo: none, timeout: 1m, on_failure: { retry: { times: 2 } }"), &[]),
        (step("do: { set_weight: { canary: 5 } }, undo: none, timeout: 1m, on_failure: { retry: { times: ¶200 } }"), &["invalid-value"]),
        (step("gate: confirm, on_failure: ¶abort"), &["invalid-value"]),
        (step("gate: confirm, on_failure: { offer: [retry, ¶retry, ¶ignore] }"), &["invalid-value", "invalid-value"]),
        (step("gate: confirm, on_failure: { offer: ¶[] }"), &["empty-value"]),
        (step("gate: confirm, on_failure: { offer: [skip], skip: { role: ¶sre, reason: required } }"), &["missing-role"]),
        (step("gate: confirm, on_failure: { ¶skip: { reason: required } }"), &["skip-not-offered"]),
        (step("wait: { for: 1m, shorten: { min: 1m } }"), &[]),
        (step("wait: { for: 1m, shorten: ¶{ min: 2m } }"), &["invalid-value"]),
        (step("wait: { for: 1m, shorten: ¶{ role: ¶nobody } }"), &["missing-key", "missing-role"]),
        (step("wait: { for: ¶5m }, timeout: 1m"), &["hold-over-timeout"]),
        (step("check: ¶{}, timeout: 1m"), &["missing-key"]),
        (step("check: { ¶all: [] }, timeout: 1m"), &["empty-value"]),
        (step("check: { all: [], ¶any: [] }, timeout: 1m"), &["misplaced-key"]),
        (step("check: { any: [{ id: q, platform: { ready: all } }] }").replace("id: a", "id: ¶a"), &["timeout-missing"]),
        (
            step("check: { any: [{ id: q, platform: { ready: all } }, { id: ¶q, platform: { ready: all } }] }, timeout: 1m"),
            &["duplicate-id"],
        ),
        (step("manual: ¶{}").replace('¶', "¶¶"), &["missing-key", "missing-key"]),
        (step("manual: { mode: ¶do-all, items: ¶[] }"), &["invalid-value", "empty-value"]),
        (manual("{ ¶id: c, challenge: C, answer: { type: done }, role: ¶sre, blind: true }"), &["unknown-key", "missing-role"]),
        (manual("{ challenge: C, check: { id: c, platform: { ready: all } }, ¶blind: true }"), &["misplaced-key"]),
        (manual("{ challenge: C, check: { id: c, platform: { ready: all } } }"), &[]),
        (answer("{ type: link }"), &[]),
        (answer("{ type: text, pattern: ¶'(' }"), &["invalid-value"]),
        (answer("{ type: done, ¶pattern: x }"), &["misplaced-key"]),
        (answer("{ type: done, ¶min: 5 }"), &["misplaced-key"]),
        (answer("{ type: choice, of: ¶[a] }"), &["invalid-value"]),
        (answer("{ type: choice, of: [a, ¶a] }"), &["invalid-value"]),
        (answer("{ type: choice, of: [a, ¶off] }"), &["ambiguous-value"]),
        (answer("{ type: choice, of: [a, b], expect: ¶c }"), &["invalid-value"]),
        (answer("{ type: choice, of: ¶x }"), &["wrong-type"]),
        (answer("¶{ type: number, min: 5, max: 4 }"), &["invalid-value"]),
        (answer("{ type: number, min: ¶x }"), &["wrong-type"]),
        (manual("¶{ challenge: Check that logs arrive, answer: { type: done } }"), &["ask-for-a-value"]),
        (manual(&[item; 8].join(", ")).replace("manual", "¶manual"), &["many-items"]),
        (manual(&[item; 10].join(", ")).replace("manual", "¶manual"), &["too-many-items"]),
        (file("  - { id: a, title: A, gate: confirm }\n  - { id: ¶b, title: B, gate: confirm }\n"), &["gates-in-a-row"]),
        (file("  - { id: a, title: A, gate: confirm }\n  - { id: ¶a, title: B, wait: { for: 1m } }\n"), &["duplicate-id"]),
        (
            file("  - { id: back, title: A, gate: confirm }\n").replace("- { id: back, title: Back", "- { id: ¶back, title: Back"),
            &["duplicate-id"],
        ),
        (when("done(\"a\") and not reached(\"a\")").replace("when: ", "when: ¶"), &["unreachable-step"]),
        (when("reached(\"b\")").replace("when: ", "when: ¶"), &["unreachable-step"]),
        (when("reached(\"a\") and not done(\"a\")"), &[]),
        (when("reached(\"¶c\")").replace("when: ", "when: ¶"), &["unreachable-step", "missing-step"]),
        (when("done(\"a\") ¶xor done(\"a\")"), &["when-syntax"]),
        (when("done(\"a\") and¶"), &["when-syntax"]),
        (when("done(¶a)"), &["when-syntax"]),
        (when("¶always"), &["when-syntax"]),
        (when("¶release == \"v1\""), &["when-syntax"]),
        (when("${params.release} == \"v1\""), &[]),
        (when("params.release != \"v1\" and reached(\"a\")"), &[]),
        (when("¶params.relese == \"v1\""), &["unknown-parameter"]),
        (when("params.release == ¶)"), &["when-syntax"]),
        (file("  - { id: a, title: A, gate: confirm, when: ¶[a] }\n"), &["wrong-type"]),
    ]
}

fn guards() -> Table {
    let platform = "platform: { restarts_max: 3 }";
    let good = format!("  - {{ id: g, {platform}, bad_for: 1m, on_no_data: hold, on_error: hold, then: hold }}\n");
    let active = |active: &str| guarded(&good.replace("then: hold", &format!("then: hold, active: {active}")));
    vec![
        (guarded(&good), &[]),
        (guarded(&format!("{good}{}", good.replace("id: g", "id: ¶g"))), &["duplicate-id"]),
        (guarded(&good.replace("on_no_data: hold, on_error: hold, ", "").replace("id: g", "id: ¶¶g")), &["guard-blind", "guard-blind"]),
        (guarded(&good.replace("on_error: hold", "on_error: ¶wait")), &["invalid-value"]),
        (guarded(&good.replace("bad_for: 1m, ", "").replace("- {", "- ¶{")), &["missing-key"]),
        (guarded(&good.replace(", then: hold", "").replace("- {", "- ¶{")), &["missing-key"]),
        (guarded(&good.replace("then: hold", "then: ¶stop")), &["invalid-value"]),
        (guarded(&good.replace(platform, "alert: { match: { severity: critical }, state: inactive }")), &[]),
        (guarded(&good.replace("bad_for", "¶hold: 1m, bad_for")), &["unknown-key"]),
        (active("{ from: a, until: b }"), &[]),
        (active("{ from: b, until: ¶a }"), &["empty-window"]),
        (active("{ from: ¶shift-5 }"), &["missing-step"]),
        (active("{ ¶form: a }"), &["unknown-key"]),
    ]
}

fn whole() -> Table {
    let shift = |id: &str, weight: &str, more: &str| {
        format!("  - {{ id: {id}, title: T, do: {{ set_weight: {{ canary: {weight} }} }}, undo: none, timeout: 1m{more} }}\n")
    };
    let look =
        |id: &str| format!("  - {{ id: {id}, title: T, check: {{ all: [{{ id: q, platform: {{ ready: all }} }}] }}, timeout: 1m }}\n");
    let bake = "  - { id: bake, title: T, wait: { for: 1m } }\n";
    let many: String = (1..=6)
        .map(|i| shift(&if i == 6 { "¶s6".to_owned() } else { format!("s{i}") }, &(i * 10).to_string(), "") + &look(&format!("l{i}")))
        .collect();
    vec![
        (file(&(shift("a", "5", "") + &look("l") + &shift("b", "25", ""))), &[]),
        (file(&(shift("a", "5", "") + bake + &shift("b", "¶25", ""))), &["rise-without-check"]),
        (file(&(shift("a", "25", "") + &look("l") + &shift("b", "¶25", ""))), &["weight-must-rise"]),
        (file(&(shift("a", "25", "") + &look("l") + &shift("b", "¶5", ""))), &["weight-must-rise"]),
        (file(&(shift("a", "0", "") + &shift("b", "5", ""))), &[]),
        (file(&many), &["many-confirmations"]),
        (file(&many.replace('¶', "").replacen("timeout: 1m", "timeout: 1m, confirm: 'yes'", 1)), &[]),
        (file(&shift("a", "5", "")).replace(BACK, "").replace("steps:", "¶steps:"), &["rollback-missing"]),
        (
            file(&shift("a", "5", "")).replace("timeout: 1m }\n", "timeout: 1m, ¶undo: none }\n").replacen(", ¶undo: none", "", 1),
            &["misplaced-key"],
        ),
        (file(bake).replace("rollback:\n", "rollback:\n  ¶confrim: none\n"), &["unknown-key"]),
        (file(bake).replace("{ id: back, title: Back", "{ id: back, when: 'reached(\"bake\")', title: Back"), &[]),
        (file(bake).replace("{ id: back, title: Back", "{ id: back, when: ¶'done(\"back\")', title: Back"), &["unreachable-step"]),
    ]
}

/// Roles, gates for several people, clocks, and what comes before and after the steps.
fn together() -> Table {
    const ROLES: &str = "roles:\n  sre: { match: { groups: [ops] } }\n  lead: { min: 2, match: { users: [ada] } }\n";
    let top = |text: &str| format!("{HEAD}{text}steps:\n  - {{ id: a, title: A, gate: confirm }}\n{BACK}");
    let step = |text: &str| format!("{HEAD}{ROLES}steps:\n  - {{ id: a, title: A, {text} }}\n{BACK}");
    let window = |text: &str| top(&format!("clock: {{ window: {text} }}\n"));
    let last = |text: &str| format!("{}finally:\n  - {{ id: end, title: End, {text} }}\n", top(""));
    vec![
        (top(ROLES), &[]),
        (top("roles: ¶[]\n"), &["wrong-type"]),
        (top("roles:\n  ¶SRE: { ¶mach: 1, match: ¶{} }\n"), &["invalid-id", "unknown-key", "missing-key"]),
        (step("gate: { approve: { need: { sre: 1, lead: 2 }, expires: 10m } }"), &[]),
        (step("gate: { approve: { need: { ¶srs: 1 } } }"), &["missing-role"]),
        (step("gate: { approve: { need: ¶{ sre: 0 } } }"), &["invalid-value"]),
        (step("gate: { approve: { need: ¶[sre] } }"), &["wrong-type"]),
        (step("gate: { approve: { need: { sre: 1 }, expires: ¶5s } }"), &["invalid-duration"]),
        (step("gate: ¶{ approve: { need: { sre: 1 } }, poll: { roles: [sre] } }"), &["misplaced-key"]),
        (step("gate: { poll: { roles: [sre, lead], decider: lead } }"), &[]),
        (step("gate: { poll: { roles: [sre, ¶sre] } }"), &["invalid-value"]),
        (step("gate: { poll: { roles: ¶[lead], decider: lead } }"), &["empty-value"]),
        (step("gate: { poll: { roles: [sre], decider: ¶boss } }"), &["missing-role"]),
        (step("role: sre, manual: { mode: read-do, items: [{ challenge: C, answer: { type: number }, role: lead, expires: 30m }] }"), &[]),
        (step("wait: { for: 10m, shorten: { role: lead, min: 3m } }"), &[]),
        (step("¶t: ¶T15m, gate: confirm"), &["not-supported-yet", "invalid-duration"]),
        (step("¶t: T+1h30m, gate: confirm"), &["not-supported-yet"]),
        (
            step("¶evidence: [{ id: e, promql: 'up{', range: 30m }], gate: confirm").replace("'up{'", "'up¶{'"),
            &["not-supported-yet", "promql-syntax"],
        ),
        (window("{ days: [mon, fri], from: \"09:00\", to: \"16:00\", tz: Europe/Berlin }"), &[]),
        (
            window("{ days: [¶monday], from: \"09:00\", to: ¶\"24:30\", tz: ¶Europe/Berln }").replace("window: {", "window: ¶{"),
            &["empty-value", "invalid-value", "invalid-value", "invalid-value"],
        ),
        (window("{ days: [mon], from: \"09:00\", to: \"16:00\", tz: UTC, override: ¶boss }"), &["missing-role"]),
        (
            top("clock: { ¶t0: ¶b, ¶rto: 5m, ¶rpo: 1h, ¶notice: 24h }\n"),
            &["not-supported-yet", "missing-step", "not-supported-yet", "not-supported-yet", "not-supported-yet"],
        ),
        (top("clock: { freeze: [{ why: Quarter end, from: \"2026-12-30T00:00:00Z\", until: \"2027-01-02T00:00:00+01:00\" }] }\n"), &[]),
        (top("clock: { freeze: [{ why: Quarter end, from: ¶\"2026-12-30\", until: \"2027-01-02T00:00:00Z\" }] }\n"), &["invalid-value"]),
        (
            top("clock: { freeze: [¶{ why: Quarter end, from: \"2026-12-30T00:00:00Z\", until: \"2026-12-29T00:00:00Z\" }] }\n"),
            &["empty-window"],
        ),
        (
            top("preconditions:\n  - { id: full, platform: { ready: all } }\n  - { id: ¶full, platform: { ready: all } }\n"),
            &["duplicate-id"],
        ),
        (last("gate: confirm"), &[]),
        (last("do: { set_weight: { canary: ¶0 } }, timeout: 1m"), &["acts-at-the-end"]),
        (last("wait: { for: 1m }").replace("id: end", "id: ¶a"), &["duplicate-id"]),
        (
            file(
                "  - { id: look, title: L, timeout: 5m, check: { all: [{ id: r, platform: { ready: all } }] } }\n  - { id: again, title: A, uses: look }\n",
            ),
            &[],
        ),
        (
            file(
                "  - { id: g, title: G, gate: confirm }\n  - { id: w, title: W, wait: { for: 1m } }\n  - { id: again, title: A, uses: ¶g }\n",
            ),
            &["uses-target"],
        ),
    ]
}

#[rstest]
#[case::together(together())]
#[case::yaml(yaml())]
#[case::fields(fields())]
#[case::scalars(scalars())]
#[case::parameters(parameters())]
#[case::queries(queries())]
#[case::steps(steps())]
#[case::guards(guards())]
#[case::whole(whole())]
fn each_mistake_is_found_where_it_stands(#[case] table: Table) {
    let complaints: Vec<String> = table.iter().filter_map(|(text, rules)| complaint(text, rules)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n----\n"));
}

/// Declaration, given values, the rule, and the start of the message.
#[expect(clippy::type_complexity, reason = "a table")]
fn values_given() -> Vec<(&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str)> {
    vec![
        ("{ type: string, required: true }", &[], "missing-parameter", "`p` is required"),
        ("{ type: string, default: x }", &[("q", "1")], "undeclared-parameter", "a value was given for `q`"),
        ("{ type: string, required: true, pattern: 'v\\d+' }", &[("p", "v1; rm")], "invalid-parameter", "`v1; rm` cannot be `p`"),
        ("{ type: string, required: true }", &[("p", "a\nb")], "invalid-parameter", "`a b` cannot be `p`"),
        ("{ type: string, required: true }", &[("p", "${params.p}")], "invalid-parameter", "`${params.p}` cannot be `p`"),
        ("{ type: ratio, required: true }", &[("p", "5")], "invalid-parameter", "`5` cannot be `p`"),
        ("{ type: duration, required: true }", &[("p", "5")], "invalid-parameter", "`5` cannot be `p`"),
        ("{ type: integer, required: true }", &[("p", "1.5")], "invalid-parameter", "`1.5` cannot be `p`"),
        ("{ type: number, required: true }", &[("p", "NaN")], "invalid-parameter", "`NaN` cannot be `p`"),
        ("{ type: boolean, required: true }", &[("p", "yes")], "invalid-parameter", "`yes` cannot be `p`"),
    ]
}

#[test]
fn given_values_are_checked_at_the_declaration() {
    for (declaration, values, rule, message) in values_given() {
        let text = file("  - { id: a, title: A, gate: confirm }\n").replace("params:\n", &format!("params:\n  p: {declaration}\n"));
        let values: BTreeMap<String, String> = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let found = load("x.yaml", &text, &values, &Context::default()).diagnostics;
        let expected = if rule == "undeclared-parameter" { (7, 1) } else { (8, 3) };
        assert_eq!(places(&found), [(rule.to_owned(), expected.0, expected.1)], "{declaration}");
        assert!(found[0].message.starts_with(message), "{}", found[0]);
    }
}

#[test]
fn names_of_the_configuration_are_checked_where_it_is_known() {
    let text = file("  - { id: a, title: A, gate: confirm }\n");
    let context = Context { platforms: Some(vec!["pp".into()]), services: Some(vec!["s".into()]), ..Context::default() };
    let found = lint("x.yaml", &text, &context);
    assert_eq!(places(&found), [("unknown-target".to_owned(), 6, 21)]);
    assert_eq!(found[0].help.as_deref(), Some("did you mean `pp`?"));
    let guessed = text
        .replace("platform: p", "platform: \"${params.where}\"")
        .replace("params:\n", "params:\n  where: { type: string, required: true }\n");
    assert_eq!(lint("x.yaml", &guessed, &context), [], "a guessed name is not judged");
}

#[test]
fn outside_production_a_change_may_lack_its_undo_while_there_is_a_way_back() {
    let text = file("  - { id: a, title: A, do: { set_weight: { canary: 5 } }, timeout: 1m }\n");
    let private = Context { protected: false, ..Context::default() };
    assert_eq!(lint("x.yaml", &text, &private), []);
    let bare = text.replace(BACK, "rollback: { confirm: consequence }\n");
    assert_eq!(places(&lint("x.yaml", &bare, &private)), [("undo-missing".to_owned(), 14, 11)], "then undo is all there is");
}
