//! The go/no-go board and checklists of several people, as a person sees them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs, unreachable_pub)]
#![allow(clippy::large_stack_arrays, clippy::unchecked_time_subtraction, dead_code)]

#[path = "support/model.rs"]
mod model;

use gonogo::app::command::View;
use gonogo::app::model::*;
use gonogo::app::prompt::{Ask, Prompt};
use gonogo::domain::record::Actor;
use gonogo::domain::*;
use gonogo::present::{self, Viewport};
use gonogo::runbook::gate::{Cast, Terms, Vote};
use gonogo::runbook::people::{Approve, Poll, Role};
use gonogo::runbook::plan::*;
use gonogo::runbook::state::*;
use gonogo::ui::{Theme, paint};
use model::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 36), (200, 50), (60, 15)];
const HASH: &str = "ab12cd34ef0000000000000000000000000000000000000000000000000000aa";

fn screen_text(model: &Model, width: u16, height: u16) -> String {
    let frame = present::frame(model, &now(), Viewport { width, height, ascii: false });
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    paint(&frame, &Theme::terminal(), &mut buffer);
    let mut out = String::new();
    for y in 0..height {
        let mut skip = 0;
        for x in 0..width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = text::width(symbol).saturating_sub(1);
            out.push_str(symbol);
        }
        let _ = writeln!(out, "|");
    }
    out
}

fn snap(name: &str, model: &Model, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        insta::assert_snapshot!(format!("{name}.{width}x{height}"), screen_text(model, *width, *height));
    }
}

fn actor(id: &str) -> Actor {
    Actor { id: id.into(), ..mira() }
}

fn roles() -> BTreeMap<String, Role> {
    let role = |members: &[&str]| Role { min: 1, members: members.iter().map(|m| (*m).to_owned()).collect() };
    [("launch-director", role(&["ada"])), ("sre", role(&["jon", "mira"])), ("qa", role(&["ines"])), ("payments", role(&["kim", "lee"]))]
        .into_iter()
        .map(|(name, role)| (name.to_owned(), role))
        .collect()
}

fn living(id: &str) -> Option<Box<Condition>> {
    let probe = gates()[0].probe.clone();
    Some(Box::new(Condition { id: id.into(), probe, hold: secs(0), every: secs(15), on_no_data: OnNoData::Wait }))
}

fn checklist() -> Manual {
    let ask = |challenge: &str, answer: AnswerKind, role: Option<&str>| Item {
        role: role.map(str::to_owned),
        ..Item::asking(challenge.into(), answer)
    };
    let number = |min: f64| AnswerKind::Number { min: Some(min), max: None };
    Manual {
        mode: ManualMode::DoConfirm,
        items: vec![
            Item {
                expires: Some(secs(1800)),
                ..ask("Age of the last backup, hours", AnswerKind::Number { min: None, max: Some(24.0) }, Some("sre"))
            },
            Item {
                blind: true,
                doc: "Read it from the dashboard, panel 4.".into(),
                ..ask("Error budget left in percent", number(10.0), Some("sre"))
            },
            Item {
                expires: Some(secs(900)),
                ..ask("Smoke test", AnswerKind::Choice { of: vec!["green".into(), "red".into()], expect: Some("green".into()) }, Some("qa"))
            },
            ask("Cases that were not tested", number(0.0), Some("qa")),
            Item { evidence: living("errors"), ..ask("Requests that fail today", AnswerKind::Seen, None) },
            Item {
                evidence: living("provider"),
                ..ask("Payment provider's status page says", AnswerKind::Text { equals: None, pattern: None }, Some("payments"))
            },
            ask("Rollback owner, by name", AnswerKind::Text { equals: None, pattern: None }, Some("launch-director")),
        ],
    }
}

/// Before the first shift: a checklist, the poll, the approval, and the shift.
fn launch() -> Model {
    let mut model = baking();
    let mut book = runbook();
    book.roles = roles();
    let poll = Poll {
        roles: vec!["sre".into(), "qa".into(), "payments".into()],
        decider: Some("launch-director".into()),
        distinct: false,
        expires: secs(1200),
    };
    let need = [("qa".to_owned(), 1), ("payments".to_owned(), 2)].into();
    let approve = Approve { need, distinct: true, driver_counts: false, expires: secs(900) };
    book.steps = vec![
        Step::new("people".into(), "People".into(), StepKind::Manual(checklist())),
        Step::new("poll".into(), "Go or no-go for v2.42.0".into(), StepKind::Poll(poll)),
        Step::new("agree".into(), "Two more agree".into(), StepKind::Approve(approve)),
        book.steps[2].clone(),
    ];
    model.picture.route = Some(route(0));
    let run = model.run.as_mut().unwrap();
    run.state.steps = vec![StepState::default(); book.steps.len()];
    run.state.runbook = Arc::new(book);
    run.state.preconditions_met = true;
    run.state.intended = None;
    run.state.in_force = vec![];
    run.state.exposed_at = None;
    run.state.landing = None;
    run.state.shifted_at = None;
    model.verdict = VerdictView { verdict: Verdict::Hold, reasons: vec![] };
    model.blocked = vec![];
    model.messages.clear();
    model.screen.view = View::Checklist;
    model
}

fn active(from: &str) -> StepState {
    StepState { phase: StepPhase::Active, attempts: 1, entered: Some(at(from)), ..StepState::default() }
}

fn given(answer: &str, ok: bool, by: &str, when: &str) -> ItemAnswer {
    ItemAnswer { answer: answer.into(), ok, by: actor(by), at: at(when), expired: false, disputed: None }
}

/// The checklist at work, with everything that can be the matter with an item.
fn at_the_checklist() -> Model {
    let mut model = launch();
    let mut people = active("02:40:00");
    people.answers = [
        (0, ItemAnswer { disputed: Some(Box::new(given("30", false, "mira", "03:05:12"))), ..given("3", true, "jon", "03:01:10") }),
        (2, ItemAnswer { expired: true, ..given("green", true, "ines", "02:50:00") }),
        (3, given("-1", false, "ines", "02:51:00")),
        (5, given("operational", true, "kim", "03:06:30")),
    ]
    .into();
    people.seen = [(4, (Outcome::Fail, "0.71%".to_owned())), (5, (Outcome::Stale, "0.30%".to_owned()))].into();
    people.was_good = [(4, at("03:07:02")), (5, at("03:06:50"))].into();
    model.run.as_mut().unwrap().state.steps[0] = people;
    model
}

fn cast(seq: u64, role: &str, vote: Vote, by: &str, when: &str) -> Cast {
    let reason = matches!(vote, Vote::NoGo | Vote::Hold).then(|| "refunds of the smoke test hang".to_owned());
    Cast { seq, role: role.into(), vote, reason, plan_hash: HASH.into(), by: actor(by), at: at(when), key: None, bad_signature: None }
}

/// The poll is open, and this was said.
fn at_the_poll(votes: Vec<Cast>) -> Model {
    let mut model = launch();
    let run = model.run.as_mut().unwrap();
    let mut people = active("02:40:00");
    people.phase = StepPhase::Passed;
    people.ended = Some(at("02:58:00"));
    people.answers = (0..7).map(|i| (i, given("done", true, "jon", "02:55:00"))).collect();
    people.seen = [(4, (Outcome::Pass, "0.19%".to_owned())), (5, (Outcome::Pass, "0.19%".to_owned()))].into();
    run.state.steps[0] = people;
    let shown = "set weight 5%: canary 0% -> canary at 5%".to_owned();
    let terms = Terms { act: Some("to-5".into()), plan_hash: HASH.into(), shown, since: at("02:58:10") };
    run.state.steps[1] = StepState { terms: Some(terms), votes, ..active("02:58:00") };
    model
}

#[test]
fn a_checklist_says_what_is_the_matter_with_each_item() {
    let model = at_the_checklist();
    snap("boards.checklist", &model, &SIZES);
    for (place, name) in [(1, "blind"), (2, "expired"), (4, "red"), (5, "stale")] {
        let mut model = at_the_checklist();
        model.screen.selections.insert(View::Checklist, Selection { id: Some(format!("people/{place}")), place, ..Selection::default() });
        snap(&format!("boards.checklist-{name}"), &model, &[(120, 36)]);
    }
    // Whose it is not sees that, and what nobody looks at is said.
    let mut other = at_the_checklist();
    other.options.operator = "ines".into();
    other.run.as_mut().unwrap().seat = Seat::Unattended;
    snap("boards.checklist-of-others", &other, &[(80, 24), (120, 36)]);
}

#[test]
fn what_is_right_for_a_blind_item_is_nowhere_before_it_is_answered() {
    let mut model = at_the_checklist();
    model.screen.selections.insert(View::Checklist, Selection { id: Some("people/1".into()), place: 1, ..Selection::default() });
    for (width, height) in [(80, 24), (120, 36), (200, 50)] {
        let shown = screen_text(&model, width, height);
        assert!(shown.contains("the number you read") && !shown.contains("at least 10"), "{shown}");
    }
    let run = model.run.as_mut().unwrap();
    run.state.steps[0].answers.insert(1, given("4", false, "jon", "03:07:00"));
    assert!(screen_text(&model, 120, 36).contains("at least 10"));
}

#[test]
fn the_board_with_a_no_go_that_holds_the_run() {
    let votes = vec![
        cast(20, "sre", Vote::Go, "jon", "03:05:31"),
        cast(22, "qa", Vote::NoGo, "ines", "03:06:41"),
        Cast { plan_hash: "older".into(), ..cast(18, "payments", Vote::Go, "kim", "03:00:00") },
    ];
    let mut model = at_the_poll(votes);
    model.run.as_mut().unwrap().state.hold = Some(Hold {
        reason: "NO-GO by ines for qa: refunds of the smoke test hang".into(),
        guard: None,
        by: actor("ines"),
        since: at("03:06:41"),
    });
    snap("boards.poll-no-go", &model, &SIZES);
    model.screen.view = View::Cockpit;
    snap("boards.poll-cockpit", &model, &[(80, 24), (120, 36), (60, 15)]);
    model.screen.view = View::Run;
    snap("boards.poll-runbook", &model, &[(120, 36)]);
}

#[test]
fn the_board_when_all_said_go_and_when_that_grew_old() {
    let votes = |from: &str| {
        vec![
            Cast { key: Some("SHA256:abc".into()), ..cast(20, "sre", Vote::Go, "jon", from) },
            cast(22, "qa", Vote::Go, "ines", "03:06:41"),
            cast(23, "payments", Vote::Go, "kim", "03:06:50"),
            cast(24, "launch-director", Vote::Go, "ada", "03:07:10"),
        ]
    };
    snap("boards.poll-go", &at_the_poll(votes("03:05:31")), &SIZES);
    let mut old = at_the_poll(votes("02:40:00"));
    old.options.operator = "ada".into();
    snap("boards.poll-stale", &old, &[(80, 24), (120, 36)]);
}

#[test]
fn an_approval_says_how_many_more() {
    let mut model = at_the_poll(vec![]);
    let run = model.run.as_mut().unwrap();
    let terms = run.state.steps[1].terms.clone();
    run.state.steps[1].phase = StepPhase::Passed;
    run.state.steps[2] = StepState { terms, votes: vec![cast(30, "payments", Vote::Go, "kim", "03:07:00")], ..active("03:06:00") };
    snap("boards.approval", &model, &[(80, 24), (120, 36)]);
}

#[test]
fn what_is_asked_of_somebody_who_speaks() {
    let gate = || StepId::from("poll");
    let shown = "set weight 5%: canary 0% -> canary at 5%".to_owned();
    let roles = vec!["sre".to_owned(), "qa".to_owned()];
    let asks = [
        ("vote", Ask::Vote { gate: gate(), roles: roles.clone(), said: true }),
        ("role", Ask::VoteRole { gate: gate(), roles, vote: Vote::NoGo }),
        ("go", Ask::GoCode { gate: gate(), role: "sre".into(), code: "ab12cd34".into(), shown }),
        ("no-go", Ask::VoteReason { gate: gate(), role: "sre".into(), vote: Vote::NoGo }),
        ("withdraw", Ask::Withdraw { gate: gate(), role: "sre".into() }),
    ];
    for (name, ask) in asks {
        let mut model = at_the_poll(vec![]);
        let mut prompt = Prompt::new(ask, Danger::L1, secs(4_000));
        prompt.expects = matches!(prompt.ask, Ask::GoCode { .. }).then(|| "ab12cd34".to_owned());
        prompt.typed = if name == "no-go" { "refunds hang".into() } else { String::new() };
        model.prompt = Some(prompt);
        snap(&format!("boards.prompt-{name}"), &model, &[(80, 24), (120, 36)]);
    }
}

#[test]
fn boards_are_words_without_any_colour() {
    let model = at_the_poll(vec![cast(22, "qa", Vote::NoGo, "ines", "03:06:41")]);
    let shown = screen_text(&model, 80, 24);
    for part in ["NO-GO", "PENDING", "ines (asserted)", "refunds of the smoke", "code ab12cd34", "Y GO  N NO-GO"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    // Any size, whatever is said.
    for width in (0..90).step_by(7) {
        for height in (0..30).step_by(3) {
            let _ = present::frame(&model, &now(), Viewport { width, height, ascii: true });
            let _ = present::frame(&at_the_checklist(), &now(), Viewport { width, height, ascii: true });
        }
    }
}
