//! A kept journal of a whole run: every later version folds it to the same end, tells the same story, and can go on from any place in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use gonogo::domain::record::{Entry, verify_chain};
use gonogo::domain::{Epoch, Percent, Stamp};
use gonogo::runbook::engine::Engine;
use gonogo::runbook::io::{Input, Output};
use gonogo::runbook::state::{Phase, Question, RunState, StepPhase};
use gonogo::runbook::story::story;
use std::time::Duration;

const KEPT: &str = include_str!("fixtures/journals/canary-backed-out.jsonl");

fn kept() -> Vec<Entry> {
    KEPT.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn now(entries: &[Entry]) -> Stamp {
    let wall = entries.last().unwrap().time.store;
    Stamp { wall, boot: Duration::from_secs(9000), mono: Duration::from_secs(60) }
}

#[test]
fn a_kept_journal_folds_to_the_same_end() {
    let entries = kept();
    verify_chain(&entries).unwrap();
    let state = RunState::of(&entries).unwrap();
    assert_eq!(state.phase, Phase::RolledBack);
    assert_eq!(state.intended, Some(Percent::ZERO));
    assert!(state.in_force.is_empty());
    let phases: Vec<StepPhase> = state.steps.iter().map(|s| s.phase).collect();
    let shifts = [StepPhase::Passed, StepPhase::Undone, StepPhase::Passed, StepPhase::Passed, StepPhase::Undone, StepPhase::Active];
    assert_eq!(phases, shifts);
}

#[test]
fn a_kept_journal_tells_the_same_story() {
    let lines: Vec<String> = story(&kept()).iter().map(|l| format!("{:>4}s {}", l.t_plus.as_secs(), l.text)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_entry_that_was_changed_or_is_missing_is_not_followed() {
    let mut entries = kept();
    entries.remove(5);
    assert!(RunState::of(&entries).unwrap_err().to_string().contains("does not follow entry 5"));
    let mut entries = kept();
    entries[3].kind = "step.teleported".into();
    assert!(RunState::of(&entries).is_err(), "state is never built on half a record");
}

/// What a driver who takes the seat after `n` entries is asked, or does, once it has its seat on record.
fn resumed(entries: &[Entry]) -> (Engine, Vec<Output>) {
    let state = RunState::of(entries).unwrap();
    let mut engine = Engine::new(state, Epoch(99), "another-boot".into(), 1 << 40);
    let outputs = engine.handle(&now(entries), Input::Begin);
    (engine, outputs)
}

#[test]
fn a_run_is_taken_up_again_after_any_entry_and_nothing_is_sent_by_that() {
    let entries = kept();
    for n in 1..entries.len() {
        let (engine, outputs) = resumed(&entries[..n]);
        assert!(!outputs.iter().any(|o| matches!(o, Output::Send { .. })), "after entry {n}");
        let seat = outputs.iter().find_map(|o| if let Output::Append { drafts, .. } = o { Some(drafts[0].kind.clone()) } else { None });
        assert_eq!(seat.as_deref(), Some("lease.acquired"), "after entry {n}");
        assert_eq!(engine.state().head, n as u64);
    }
    let (_, outputs) = resumed(&entries);
    assert_eq!(outputs, [], "what ended is left as it is");
}

#[test]
fn an_unclear_act_is_asked_about_whoever_looks() {
    let entries = kept();
    let unclear = entries.iter().position(|e| e.kind == "action.reconciled").unwrap();
    let state = RunState::of(&entries[..=unclear]).unwrap();
    let Some(Question::Unclear { redo: true, adopt: false, why, .. }) = state.question() else { panic!("{:?}", state.question()) };
    assert!(why.contains("not applied yet: still 25%"), "{why}");
}
