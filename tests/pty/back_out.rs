//! Backing out: from every view, unarmed, by `B`, `0`, Enter.

use super::demo::{Demo, VIEWS};

/// A demo per view: after a back-out there is nothing left to back out of.
fn back_out_from(view: char) -> Demo {
    let mut demo = Demo::open("no-go", &[]);
    demo.terminal.wait_text(&["VERDICT NO-GO", "OBSERVE"]);
    demo.terminal.type_keys(&view.to_string());
    demo.back_out();
    demo.terminal.wait_for("the way back to begin", |screen| screen.contains("BACKING OUT") || screen.contains("rolling back"));
    demo.terminal.wait_for("the act to be accepted", |screen| screen.contains("accepted"));
    assert_eq!(demo.weights(), [0], "from view {view}");
    assert_eq!(demo.calls().len(), 1, "from view {view}: one act and nothing else");
    demo
}

#[test]
fn no_go_is_backed_out_and_the_record_tells_it() {
    let mut demo = back_out_from('1');
    // The act is in the story once it was verified; then the way back goes on to look at the baseline.
    demo.terminal.wait_for("the baseline to be checked", |screen| screen.contains("this run is over"));
    let story = demo.story();
    for part in ["guard error-rate", "typed 0", "verified", "backed out"] {
        assert!(story.contains(part), "{part:?} in\n{story}");
    }
    demo.terminal.type_keys("q");
    assert_eq!(demo.terminal.exit_code(), 11);
    assert_eq!(demo.calls().len(), 1);
}

#[test]
fn every_other_view_backs_out_too() {
    for view in &VIEWS[1..] {
        back_out_from(*view);
    }
}
