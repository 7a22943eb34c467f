//! Every size of terminal, and changing sizes.

use super::demo::{Demo, VIEWS};
use super::terminal::{ESC, Terminal};
use unicode_width::UnicodeWidthStr as _;

/// Nothing on screen is wider than the screen or a control character.
fn assert_fits(terminal: &Terminal, width: usize, height: usize) {
    let screen = terminal.screen();
    assert!(screen.lines().count() <= height, "{screen}");
    for line in screen.lines() {
        assert!(line.width() <= width, "{} cells in {line:?}", line.width());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// Whether a screen is one of this size. While sizes change, frames of the one before are still on their way.
fn fits(screen: &str, width: usize, height: usize) -> bool {
    screen.lines().count() <= height && screen.lines().all(|line| line.width() <= width)
}

#[test]
fn small_terminals_show_the_verdict_and_can_hold_and_back_out() {
    let mut demo = Demo::sized(30, 6, "no-go", &[]);
    let screen = demo.terminal.wait_text(&["VERDICT NO-GO", "#PROD#", "B out"]);
    assert!(screen.contains("checkout"), "{screen}");
    assert_fits(&demo.terminal, 30, 6);
    demo.terminal.resize(20, 3);
    demo.terminal.wait_for("a screen of 20x3", |screen| screen.contains("#PROD#") && screen.contains("NO-GO"));
    assert_fits(&demo.terminal, 20, 3);
    // Still usable: the prompt says what is asked, and three keys do it.
    demo.terminal.resize(30, 6);
    demo.terminal.wait_text(&["VERDICT NO-GO", "B out"]);
    demo.terminal.type_keys("B");
    demo.terminal.wait_for("a field to type into", |screen| screen.contains("[ _"));
    assert_fits(&demo.terminal, 30, 6);
    demo.wait_guard();
    demo.terminal.type_keys("0");
    demo.terminal.press("\r");
    demo.terminal.wait_text(&["OUT 0%"]);
    assert_eq!(demo.weights(), [0]);
}

#[test]
fn a_storm_of_sizes_leaves_every_view_whole() {
    let mut demo = Demo::sized(80, 24, "pre-launch", &[]);
    demo.terminal.wait_text(&["VERDICT NO-GO"]);
    assert_fits(&demo.terminal, 80, 24);
    for view in VIEWS {
        demo.terminal.type_keys(&view.to_string());
        for (width, height) in [(200, 50), (30, 6), (1, 1), (81, 2), (5, 40), (120, 36), (60, 15), (80, 24)] {
            demo.terminal.resize(width, height);
        }
        let tab = format!("[{view} ");
        demo.terminal.wait_for("the tab of the view", |screen| screen.contains(&tab) && fits(screen, 80, 24));
        assert_fits(&demo.terminal, 80, 24);
        // A prompt is open while the size changes.
        demo.terminal.type_keys("A");
        for (width, height) in [(30, 6), (2, 2), (200, 50), (80, 24)] {
            demo.terminal.resize(width, height);
        }
        demo.terminal.wait_for("the prompt", |screen| screen.contains("ARM THIS COCKPIT") && fits(screen, 80, 24));
        assert_fits(&demo.terminal, 80, 24);
        demo.terminal.press(ESC);
        demo.terminal.wait_for("the prompt to close", |screen| !screen.contains("ARM THIS COCKPIT"));
    }
    demo.terminal.type_keys("9");
    demo.terminal.wait_text(&["[9 Time]"]);
    assert_eq!(demo.leave(), 0);
}
