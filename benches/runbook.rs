//! A runbook of 200 steps: read, checked and laid out; and a journal of 10,000 entries, folded.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use criterion::Criterion;
use gonogo::domain::record::{Actor, Entry, EntryTime, GENESIS, verify_chain};
use gonogo::domain::{Epoch, OpId, Outcome, Percent, Relied, Route, RunId, StepId};
use gonogo::runbook::fold::{runbook_hash, start_draft};
use gonogo::runbook::plan::StepKind;
use gonogo::runbook::record::{Event, SendOutcome};
use gonogo::runbook::state::RunState;
use gonogo::runbook::{Context, Runbook, lint, load};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

const ENTRIES: usize = 10_000;

/// Shift, look with three conditions, bake: over and over, 200 steps, with four guards and a way back.
fn text() -> String {
    let mut text = "gonogo: 1\nkind: runbook\nid: long\nversion: \"1\"\ntitle: Long canary\nowner: release\n\
         params:\n  service: { type: string, default: checkout }\n  max_err: { type: ratio, default: 0.005 }\n\
         target: { platform: sim, service: \"${params.service}\", environment: production }\nguards:\n"
        .to_owned();
    let ratio = "(sum(rate(http_requests_total{service=\"${params.service}\",code=~\"5..\"}[2m])) or vector(0)) \
                 / (sum(rate(http_requests_total{service=\"${params.service}\"}[2m])) > 1)";
    for guard in 0..4 {
        let _ = write!(
            text,
            "  - id: guard-{guard}\n    title: errors {guard}\n    promql: |\n      {ratio}\n    op: \"<\"\n    value: ${{params.max_err}}\n    \
             bad_for: 30s\n    on_no_data: ignore\n    on_error: hold\n    then: hold\n"
        );
    }
    text.push_str("steps:\n");
    for round in 0..66 {
        let weight = round + 1;
        let _ = write!(
            text,
            "  - {{ id: shift-{round}, title: To {weight} %, do: {{ set_weight: {{ canary: {weight} }} }}, confirm: \"yes\", \
             undo: {{ set_weight: {{ canary: 0 }} }}, timeout: 2m }}\n  - id: look-{round}\n    title: Canary is well\n    check:\n      all:\n"
        );
        for condition in 0..3 {
            let _ = write!(
                text,
                "        - id: c{condition}\n          promql: |\n            {ratio}\n          op: \"<\"\n          value: ${{params.max_err}}\n          \
                 hold: 2m\n          every: 15s\n          on_no_data: wait\n"
            );
        }
        let _ = write!(text, "    timeout: 10m\n  - {{ id: bake-{round}, title: Bake, wait: {{ for: 10m }} }}\n");
    }
    text.push_str("  - { id: agree, title: Agree, gate: confirm }\n  - { id: rest, title: Rest, wait: { for: 5m } }\n");
    text.push_str("rollback:\n  steps:\n    - { id: rb, title: Everything back, do: { set_weight: { canary: 0 } }, timeout: 1m }\n");
    text
}

fn read(text: &str) -> Runbook {
    let loaded = load("long.yaml", text, &BTreeMap::new(), &Context::default());
    loaded.runbook.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics.first()))
}

/// As the store writes them.
struct Journal(Vec<Entry>);

impl Journal {
    fn write(&mut self, event: &Event) {
        self.push(event.draft());
    }

    fn push(&mut self, draft: gonogo::domain::record::Draft) {
        let seq = self.0.len() as u64 + 1;
        let wall = chrono::DateTime::from_timestamp(1_773_457_200 + i64::try_from(seq).unwrap_or_default(), 0).expect("a time");
        let mut entry = Entry {
            run: RunId::from("checkout-20260314-1"),
            seq,
            epoch: Epoch(1),
            prev: self.0.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
            time: EntryTime { wall, boot: seq * 1000, boot_id: "boot-1".into(), store: wall },
            actor: Actor { id: "maria".into(), strength: "asserted".into(), client: "maria@host 1".into() },
            kind: draft.kind,
            step: draft.step,
            body: draft.body,
            hash: String::new(),
        };
        entry.hash = entry.compute_hash().expect("a canonical entry");
        self.0.push(entry);
    }
}

fn route(weight: u32) -> Route {
    Route {
        object: "virtualservice/checkout".into(),
        uid: "uid-1".into(),
        version: "1".into(),
        rule: "primary".into(),
        canary: weight,
        baseline: 100 - weight,
        others: 0,
        stamp: None,
        pinned: vec![],
        last_writer: None,
        trouble: None,
    }
}

/// Everything that is recorded of one step; samples as many as wanted.
fn step(journal: &mut Journal, id: &StepId, kind: &StepKind, samples: usize) {
    journal.write(&Event::StepEntered { step: id.clone(), attempt: 1 });
    match kind {
        StepKind::Do(action) => {
            let weight: u32 = action.weight().map_or(0, |w| w.get().into());
            let before = route(weight.saturating_sub(1)).subject(action);
            let op = OpId(format!("checkout-20260314-1/{id}/1"));
            let relied: Relied = before.relied();
            let hash = "b9b32eb9beb5b993fa8fb8f7b93c1acaee1b489c6f67e7a309bbc8e337a688fe".to_owned();
            let (step, action) = (id.clone(), action.clone());
            journal.write(&Event::ActionPlanned {
                op: op.clone(),
                step: step.clone(),
                action: action.clone(),
                plan_hash: hash.clone(),
                before: relied,
                shown: before.shown.clone(),
            });
            let evidence = "errors pass, p99 pass".to_owned();
            journal.write(&Event::ActionConfirmed { op: op.clone(), plan_hash: hash.clone(), typed: "y".into(), shown_ms: 2000, evidence });
            journal.write(&Event::ActionIntent {
                op: op.clone(),
                step,
                attempt: 1,
                fence: false,
                action,
                epoch: Epoch(1),
                plan_hash: hash,
                confirmed: Some(journal.0.len() as u64),
                before: Box::new(before),
                deadline_ms: 10_000,
            });
            journal.write(&Event::ActionOutcome { op: op.clone(), outcome: SendOutcome::Accepted { version: Some("2".into()) } });
            journal.write(&Event::ActionVerified { op, weight: Percent::new(weight), took_ms: 900 });
        }
        StepKind::Check(_) => {
            for sample in 0..samples {
                let outcome = if sample % 2 == 0 { Outcome::Holding } else { Outcome::Pass };
                let (condition, shown) = (format!("c{}", sample % 3), format!("0.{sample}% < 0.5%"));
                journal.write(&Event::CheckSample { step: id.clone(), condition, outcome, shown, why: "good for 1m".into() });
            }
        }
        StepKind::Wait { .. } => journal.write(&Event::WaitCounting { step: id.clone(), left_ms: 600_000 }),
        _ => {}
    }
    journal.write(&Event::StepPassed { step: id.clone(), why: "as wanted".into() });
}

fn journal(runbook: &Runbook) -> Vec<Entry> {
    let mut journal = Journal(vec![]);
    journal.push(start_draft(runbook, &runbook_hash(runbook).expect("a canonical runbook"), false, None, 0));
    for planned in &runbook.steps {
        step(&mut journal, &planned.id, &planned.kind, 130);
    }
    while journal.0.len() < ENTRIES {
        journal.write(&Event::Note { text: "all quiet".into() });
    }
    journal.0.truncate(ENTRIES);
    journal.0
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20).measurement_time(Duration::from_secs(4));
    let text = text();
    let runbook = read(&text);
    assert_eq!(runbook.steps.len(), 200);
    let entries = journal(&runbook);
    let lines: Vec<String> = entries.iter().map(|e| serde_json::to_string(e).expect("an entry")).collect();

    criterion.bench_function("runbook: 200 steps linted", |b| b.iter(|| black_box(lint("long.yaml", &text, &Context::default()))));
    criterion.bench_function("runbook: 200 steps read, linted, laid out as a run", |b| {
        b.iter(|| {
            let runbook = read(&text);
            let mut journal = Journal(vec![]);
            journal.push(start_draft(&runbook, &runbook_hash(&runbook).expect("a canonical runbook"), false, None, 0));
            black_box(RunState::of(&journal.0).expect("a run that begins"))
        });
    });
    criterion.bench_function("fold: 10,000 entries", |b| b.iter(|| black_box(RunState::of(&entries).expect("a journal that folds"))));
    criterion.bench_function("fold: 10,000 entries parsed, their chain checked, folded", |b| {
        b.iter(|| {
            let entries: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).expect("an entry")).collect();
            verify_chain(&entries).expect("a whole chain");
            black_box(RunState::of(&entries).expect("a journal that folds"))
        });
    });
    criterion.final_summary();
}
