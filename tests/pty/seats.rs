//! Several people on one service: one drives, everybody may stop, nobody writes by accident.

use super::demo::Demo;

#[test]
fn a_second_cockpit_looks_on_anybody_holds_and_a_back_out_takes_the_seat() {
    let mut demo = Demo::open("ready-50", &[]);
    demo.terminal.wait_text(&["VERDICT GO"]);
    demo.arm();

    let mut second = demo.second_cockpit();
    second.wait_text(&["VERDICT GO", "CANARY 25%", "drives: T takes the seat"]);
    second.type_keys("P");
    second.wait_text(&["PROMOTE IS OFF", "drives: T takes the seat"]);

    let refused = demo.gonogo(&["promote", "--to", "50", "--confirm", "50"]);
    assert_eq!(refused.status.code(), Some(9), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("drives"), "{refused:?}");

    let held = demo.gonogo(&["hold", "--reason", "the phones are ringing"]);
    assert_eq!(held.status.code(), Some(0), "{held:?}");
    demo.terminal.wait_text(&["VERDICT HOLD", "the phones are ringing"]);
    assert!(demo.calls().is_empty(), "{:?}", demo.calls());

    let back = demo.gonogo(&["backout", "--confirm", "0"]);
    assert_eq!(back.status.code(), Some(0), "{back:?}");
    demo.terminal.wait_text(&["CANARY 0%"]);
    assert_eq!(demo.weights(), [0]);
    let fences = demo.calls().iter().filter(|c| c["kind"] == "fence").count();
    assert!(fences <= 1, "{:?}", demo.calls());

    // The first cockpit knows that it drives no more, and what it is asked to write is not written.
    let all = demo.calls().len();
    demo.terminal.wait_for("the lost seat to be told", |screen| screen.contains("seat"));
    demo.terminal.type_keys("P");
    demo.terminal.wait_text(&["PROMOTE IS OFF"]);
    demo.escape();
    let story = demo.story();
    assert!(story.contains("the phones are ringing") && story.contains("typed 0"), "{story}");
    assert_eq!(demo.calls().len(), all);
}
