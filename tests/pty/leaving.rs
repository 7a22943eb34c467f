//! The terminal is given back as it was found, however the program ends.

use super::demo::Demo;
use super::terminal::{CTRL_C, CTRL_Z, Terminal};
use rustix::process::Signal;

/// Out of the alternate screen, cursor visible, no paste mode; and nothing was ever asked of the terminal that answers as if typed.
fn assert_given_back(terminal: &Terminal) {
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    let state = terminal.state();
    assert!(!state.alternate_screen() && !state.hide_cursor() && !state.bracketed_paste(), "modes are as before");
    let left = text.rfind("\x1b[?1049l").expect("it left the alternate screen");
    for on in ["\x1b[?1049h", "\x1b[?2004h", "\x1b[?25l"] {
        assert!(text.rfind(on).expect("it was on") < left, "{on:?} came back after leaving");
    }
    for off in ["\x1b[?2004l", "\x1b[?25h"] {
        assert!(text.contains(off), "{off:?} was never sent");
    }
    assert_asks_nothing(&text);
}

fn assert_asks_nothing(text: &str) {
    assert!(!text.contains("\x1b[6n"), "asked for the cursor: the answer would arrive as keys");
    for mouse in ["\x1b[?1000h", "\x1b[?1002h", "\x1b[?1003h", "\x1b[?1006h", "\x1b[?1015h"] {
        assert!(!text.contains(mouse), "took the mouse: {mouse:?}");
    }
}

fn end(demo: &Demo) -> u32 {
    let code = demo.terminal.exit_code();
    demo.terminal.wait_closed();
    assert_given_back(&demo.terminal);
    code
}

/// Nobody drives in this scene, so that nothing asks before leaving.
fn idle() -> Demo {
    let demo = Demo::open("idle", &[]);
    demo.terminal.wait_text(&["VERDICT HOLD", "nothing is being released"]);
    demo
}

#[test]
fn q_gives_the_terminal_back_and_says_how_to_go_on() {
    let mut demo = idle();
    demo.terminal.type_keys("q");
    assert_eq!(end(&demo), 0);
    assert!(demo.terminal.screen().contains("that was a simulation"), "{}", demo.terminal.screen());
}

#[test]
fn leaving_a_run_asks_first_and_says_that_traffic_stays() {
    let mut demo = Demo::open("pre-launch", &[]);
    demo.terminal.wait_text(&["checklist", "VERDICT NO-GO"]);
    demo.terminal.type_keys("q");
    demo.prompt_ready("LEAVE WHILE DRIVING");
    demo.terminal.type_keys("n");
    demo.terminal.wait_for("the prompt to close", |screen| !screen.contains("LEAVE WHILE DRIVING"));
    demo.terminal.press(CTRL_C);
    demo.terminal.wait_text(&["LEAVE WHILE DRIVING"]);
    demo.terminal.press(CTRL_C);
    assert_eq!(end(&demo), 0);
    let screen = demo.terminal.screen();
    assert!(screen.contains("traffic stays as it is") && screen.contains("gonogo resume"), "{screen}");
    assert!(demo.calls().is_empty());
}

#[test]
fn every_signal_gives_the_terminal_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let demo = idle();
        demo.terminal.signal(signal);
        assert_eq!(end(&demo), code, "{signal:?}");
    }
}

#[test]
fn a_lost_terminal_ends_the_program() {
    let mut demo = idle();
    demo.terminal.hang_up();
    assert_eq!(demo.terminal.exit_code(), 129);
}

#[test]
fn ctrl_z_suspends_and_sigcont_draws_everything_again() {
    let mut demo = idle();
    demo.terminal.press(CTRL_Z);
    demo.terminal.wait_stopped();
    assert!(!demo.terminal.state().alternate_screen());
    demo.terminal.signal(Signal::CONT);
    demo.terminal.wait_text(&["VERDICT HOLD", "1 Cockpit", "was suspended"]);
    assert!(demo.terminal.state().alternate_screen() && demo.terminal.state().bracketed_paste());
    demo.terminal.type_keys("2");
    demo.terminal.wait_text(&["[2 Instances]"]);
    demo.terminal.type_keys("q");
    assert_eq!(end(&demo), 0);
}
