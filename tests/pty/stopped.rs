//! A cockpit that stands still while everything else goes on: stopped by a signal, as by a debugger or a closed lid.

use super::demo::Demo;
use super::terminal::{ENTER, Terminal};
use rustix::process::Signal;

/// Time of the simulator goes eight times as fast: the half minute that a seat lives unrenewed is four seconds.
const FAST: [&str; 2] = ["--speed", "8"];

fn answer(terminal: &mut Terminal, title: &str, keys: &str) {
    terminal.wait_for(&format!("the prompt {title:?} to take keys"), |screen| {
        screen.contains(title) && (screen.contains("(default)") || screen.contains("[n] cancel"))
    });
    terminal.type_keys(keys);
}

/// A second cockpit has taken the seat and is about to send half of the traffic to the canary: only Enter is missing.
fn about_to_send(demo: &mut Demo) -> Terminal {
    demo.terminal.wait_text(&["VERDICT GO"]);
    let mut second = demo.second_cockpit();
    second.wait_text(&["VERDICT GO", "CANARY 25%", "drives: T takes the seat"]);
    second.type_keys("T");
    answer(&mut second, "TAKE THE SEAT", "y");
    demo.terminal.wait_text(&["drives: T takes the seat"]);
    second.wait_text(&["VERDICT GO"]);
    second.type_keys("A");
    answer(&mut second, "ARM THIS COCKPIT", "y");
    second.wait_text(&["ARMED"]);
    second.type_keys("P");
    second.wait_for("a plan to confirm", |screen| screen.contains("dry run") && screen.contains("Esc cancels.  Pasted text"));
    second.type_keys("50");
    second.signal(Signal::STOP);
    second.wait_stopped();
    second
}

#[test]
fn a_stopped_driver_whose_seat_was_taken_sends_nothing_when_it_goes_on() {
    let mut demo = Demo::open("ready-50", &FAST);
    let mut second = about_to_send(&mut demo);
    // Its lease runs out; whoever looks on is offered the seat.
    answer(&mut demo.terminal, "TAKE THE SEAT", "y");
    demo.terminal.wait_for("the seat", |screen| !screen.contains("T takes the seat") && !screen.contains("TAKE THE SEAT"));
    second.press(ENTER);
    second.signal(Signal::CONT);
    second.wait_text(&["drives: T takes the seat"]);
    assert!(demo.calls().is_empty(), "{:?}", demo.calls());
    let story = demo.story();
    assert!(!story.contains("typed 50"), "nothing was confirmed: {story}");
    // The run goes on with who took it.
    demo.terminal.wait_text(&["VERDICT GO"]);
    demo.arm();
    demo.promote("50");
    demo.terminal.wait_text(&["CANARY 50%"]);
    assert_eq!(demo.weights(), [50]);
    drop(second);
}

#[test]
fn a_stopped_driver_whose_seat_nobody_took_keeps_it_and_goes_on() {
    let mut demo = Demo::open("ready-50", &FAST);
    let mut second = about_to_send(&mut demo);
    demo.terminal.wait_text(&["TAKE THE SEAT"]);
    demo.terminal.type_keys("n");
    demo.terminal.wait_text(&["nobody drives"]);
    second.signal(Signal::CONT);
    demo.terminal.wait_text(&["drives: T takes the seat"]);
    second.press(ENTER);
    second.wait_text(&["CANARY 50%"]);
    assert_eq!(demo.weights(), [50]);
    assert_eq!(demo.calls().len(), 1, "{:?}", demo.calls());
}
