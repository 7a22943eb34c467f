//! The shipped program gets a signal, or loses its network, in the middle of an act, with the platform in another process: what is left
//! behind says what is known, and the next command finds the rest out without sending anything again.

#![cfg(all(unix, feature = "shell", feature = "sim"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../crash/cockpit.rs"]
#[allow(dead_code, reason = "shared with the tests of crash points")]
mod cockpit;
#[path = "../support/left_out.rs"]
mod left_out;
#[path = "../crash/world.rs"]
#[allow(dead_code, reason = "shared with the tests of crash points")]
mod world;

use gonogo::runbook::state::{OpStage, Phase};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use world::{World, eventually};

const BACK_OUT: [&str; 3] = ["backout", "--confirm", "0"];

/// The platform has done it and keeps its answer back; then the program is told to end.
fn ended_in_mid_request(signal: Signal) {
    let world = World::start("no-go", &["platform:reply-late@0+3600"]);
    let mut child = world.command(&BACK_OUT).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the act reaches the platform", || (!world.calls().is_empty()).then_some(()));
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "{signal:?}: {status:?}");
    let seen = world.checked(25);
    let state = seen.state.as_ref().expect("a run");
    assert!(state.unclear().is_some() && !state.phase.is_final(), "{signal:?} leaves the question open: {seen:?}");
    // The same command finds out what became of it.
    let again = world.run(&BACK_OUT, None);
    assert_eq!(again.code, Some(0), "{}", again.said);
    let seen = world.seen();
    seen.check_done(25, 0, Phase::RolledBack).unwrap();
    assert_eq!(seen.calls.len(), 1, "reading was enough: {seen:?}");
}

/// Whether hanging up means nothing to this process and all that it starts, as below `nohup`.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn a_hang_up_in_mid_request_leaves_a_question_and_no_second_act() {
    if hang_up_is_ignored() {
        left_out::left_out("hanging up in mid-request", "SIGHUP is ignored by whatever started the tests");
        return;
    }
    ended_in_mid_request(Signal::HUP);
}

#[test]
fn an_order_to_end_in_mid_request_leaves_a_question_and_no_second_act() {
    ended_in_mid_request(Signal::TERM);
}

/// The answer is lost with the network, so that not even reading helps; later it is back.
#[test]
fn a_network_cut_in_mid_request_is_unknown_until_the_platform_can_be_read() {
    let world = World::start("no-go", &["platform:reply-late@0+3600"]);
    let mut child = world.command(&BACK_OUT).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the act reaches the platform", || (!world.calls().is_empty()).then_some(()));
    // The program waits for its answer: the intent is in the journal, and nothing about an outcome.
    let run = world.runs().remove(0);
    let kinds: Vec<String> = world.entries(&run).into_iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds.last().map(String::as_str), Some("action.intent"), "{kinds:?}");
    // After its deadline the outcome is unknown; reading tells, and the command ends well by that.
    let status = child.wait().unwrap();
    assert!(status.success(), "{status:?}");
    let seen = world.seen();
    seen.check_done(25, 0, Phase::RolledBack).unwrap();
    assert_eq!(seen.calls.len(), 1, "{seen:?}");
    let unknown = seen.entries.iter().any(|e| e.kind == "action.outcome" && e.body["outcome"]["result"] == "unknown");
    assert!(unknown, "the lost answer is in the record: {seen:?}");
    assert!(seen.state.unwrap().operation.is_some_and(|op| op.stage == OpStage::Verified));
}
