//! A Service that is switched, and a route that leads nowhere for the few.

use super::demo::Demo;
use super::terminal::{ENTER, OPENING};

const CHECKLIST: [(&str, &str); 3] = [
    ("Database migrations that blue can live with", "applied"),
    ("Green tried by its own address", "done"),
    ("Owner of the rollback, by name", "mira"),
];

/// The version that each applied switch selects.
fn switches(demo: &Demo) -> Vec<String> {
    let applied = demo.calls().into_iter().filter(|call| call["kind"] == "act" && call["result"] == "applied");
    let version = |call: serde_json::Value| {
        let body = call["body"].as_array().expect("a JSON patch").clone();
        let change = body.into_iter().find(|op| op["op"] != "test" && op["path"] == "/spec/selector/version");
        change.expect("the switched key")["value"].as_str().unwrap().to_owned()
    };
    applied.map(version).collect()
}

#[test]
fn a_service_is_switched_to_green_and_back_to_blue() {
    let mut demo = Demo::open("pre-launch", &["--traffic", "selector", "--speed", "12"]);
    demo.arm();
    for (place, (challenge, answer)) in CHECKLIST.into_iter().enumerate() {
        demo.terminal.type_keys("D");
        demo.terminal.wait_text(&["ANSWER AN ITEM", challenge]);
        demo.wait_guard();
        demo.terminal.type_keys(answer);
        demo.terminal.press(ENTER);
        let answered = format!("{} of 3", place + 1);
        let taken = |screen: &str| screen.contains(&answered) || screen.contains("step 2/6") || screen.contains("step 3/6");
        demo.terminal.wait_for("the answer to be taken", |screen| !screen.contains("ANSWER AN ITEM") && taken(screen));
    }
    let decision = |screen: &str| screen.contains("VERDICT GO") && screen.contains("0% -> 100%");
    demo.terminal.wait_within(OPENING, "the decision", decision);
    demo.promote("100");
    demo.terminal.wait_for("the landing", |screen| screen.contains("seen 100") || screen.contains("seen 99"));
    assert_eq!(switches(&demo), ["canary"]);
    demo.back_out();
    demo.terminal.wait_for("the way back to end", |screen| screen.contains("this run is over"));
    assert_eq!(switches(&demo), ["canary", "stable"]);
    let story = demo.story();
    for part in ["-> 100%, typed 100, verified", "typed 0", "backed out"] {
        assert!(story.contains(part), "{part:?} in\n{story}");
    }
}

#[test]
fn a_header_rule_that_leads_nowhere_is_no_go_though_the_weights_agree() {
    let mut demo = Demo::open("header-route", &[]);
    demo.terminal.wait_text(&["VERDICT NO-GO", "seen 2", "header x-canary=true"]);
    demo.terminal.type_keys("3");
    demo.terminal.wait_text(&["ROUTES", "header x-canary=true -> checkout/preview: no instance is there", "9/9 ready", "3/3 ready"]);
    assert!(demo.calls().is_empty());
}
