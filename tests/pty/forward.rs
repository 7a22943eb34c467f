//! Going forward, by keys alone.

use super::demo::Demo;
use super::terminal::{ENTER, OPENING};

/// What the closing checklist asks, in its order, and good answers.
const CLOSING: [(&str, &str); 5] = [
    ("Errors on the dashboard, percent", "0.2"),
    ("Logs and traces of v2.42.0 arrive", "done"),
    ("Alert rules cover v2.42.0", "done"),
    ("Release noted, where", "wiki"),
    ("Documentation", "updated"),
];

#[test]
fn ready_50_is_promoted_to_50_and_to_100_and_closed() {
    let mut demo = Demo::open("ready-50", &["--speed", "12"]);
    demo.terminal.wait_text(&["VERDICT GO"]);
    demo.arm();
    demo.promote("50");
    demo.terminal.wait_for("the landing", |screen| screen.contains("seen 5") || screen.contains("seen 49"));
    assert_eq!(demo.weights(), [50]);

    // Two minutes of checks and a quarter of an hour of baking, at speed.
    let next = |screen: &str| screen.contains("VERDICT GO") && screen.contains("50% -> 100%");
    demo.terminal.wait_within(OPENING, "the next decision", next);
    // A quarter of an hour without a key disarms.
    demo.terminal.wait_text(&["OBSERVE"]);
    demo.arm();
    demo.promote("100");
    demo.terminal.type_keys("6");
    demo.terminal.wait_text(&["Errors on the dashboard, percent", "CANARY 100%", "step 14/14"]);
    assert_eq!(demo.weights(), [50, 100]);

    for (place, (challenge, answer)) in CLOSING.into_iter().enumerate() {
        demo.terminal.type_keys("D");
        demo.terminal.wait_text(&["ANSWER AN ITEM", challenge]);
        demo.wait_guard();
        demo.terminal.type_keys(answer);
        demo.terminal.press(ENTER);
        // The next question comes when this answer is in the journal, not when its prompt is gone.
        let answered = format!("Close the release, {} of 5", place + 1);
        let taken = |screen: &str| screen.contains(&answered) || screen.contains("5 of 5") || screen.contains("completed");
        demo.terminal.wait_for("the answer to be taken", |screen| !screen.contains("ANSWER AN ITEM") && taken(screen));
    }
    demo.terminal.wait_text(&["COMPLETED 100%"]);
    demo.terminal.type_keys("q");
    assert_eq!(demo.terminal.exit_code(), 0);
    assert_eq!(demo.calls().len(), 2, "one act each, and nothing else was written");
    let story = demo.story();
    for part in ["promote 25% -> 50%, typed 50, verified", "promote 50% -> 100%, typed 100, verified", "completed"] {
        assert!(story.contains(part), "{part:?} in\n{story}");
    }
}
