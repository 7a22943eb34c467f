//! The screens, as a person sees them: text and styles at five sizes, in every state.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs, unreachable_pub)]
// Hand-built moments lie well after the origin; pictures are large.
#![allow(clippy::large_stack_arrays, clippy::unchecked_time_subtraction)]

#[path = "support/model.rs"]
mod model;

use gonogo::app::command::View;
use gonogo::app::model::*;
use gonogo::app::prompt::{Ask, NeedsReason, Prompt};
use gonogo::domain::*;
use gonogo::present::{self, Viewport};
use gonogo::runbook::io::{Level, Purpose};
use gonogo::runbook::plan::Choice;
use gonogo::runbook::state::*;
use gonogo::ui::{Theme, paint};
use model::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Write as _;
use std::time::Duration;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 36), (200, 50), (60, 15), (30, 6)];

fn port(width: u16, height: u16) -> Viewport {
    Viewport { width, height, ascii: false }
}

fn buffer(model: &Model, viewport: Viewport, theme: Theme) -> Buffer {
    let frame = present::frame(model, &now(), viewport);
    let mut buffer = Buffer::empty(Rect::new(0, 0, viewport.width, viewport.height));
    paint(&frame, &theme, &mut buffer);
    buffer
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    (0..area.height)
        .map(|y| {
            let mut row = String::new();
            let mut skip = 0;
            for x in 0..area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = text::width(symbol).saturating_sub(1);
                row.push_str(symbol);
            }
            row
        })
        .collect()
}

fn screen_text(model: &Model, viewport: Viewport) -> String {
    let mut out = String::new();
    for row in rows(&buffer(model, viewport, Theme::terminal())) {
        // The right border shows where a row ends.
        let _ = writeln!(out, "{row}|");
    }
    out
}

/// Runs of cells with one style, per row: what a theme made of the roles.
fn style_text(model: &Model, viewport: Viewport, theme: Theme) -> String {
    let buffer = buffer(model, viewport, theme);
    let mut out = String::new();
    for y in 0..viewport.height {
        let mut runs: Vec<(String, String)> = Vec::new();
        for x in 0..viewport.width {
            let cell = &buffer[(x, y)];
            let style = format!("{:?} {:?}", cell.fg, cell.modifier);
            match runs.last_mut() {
                Some((last, text)) if *last == style => text.push_str(cell.symbol()),
                _ => runs.push((style, cell.symbol().to_owned())),
            }
        }
        for (style, text) in runs.iter().filter(|(s, _)| s != "Reset NONE") {
            let _ = writeln!(out, "{y:>2} {style}: {}", text.trim_end());
        }
    }
    out
}

fn snap(name: &str, model: &Model) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}.{width}x{height}"), screen_text(model, port(width, height)));
    }
}

fn snap_at(name: &str, model: &Model, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        insta::assert_snapshot!(format!("{name}.{width}x{height}"), screen_text(model, port(*width, *height)));
    }
}

fn view(mut model: Model, view: View) -> Model {
    model.screen.view = view;
    model
}

#[test]
fn cockpit_in_every_state() {
    snap("cockpit.baking", &baking());
    snap("cockpit.go", &ready());
    snap("cockpit.incident", &no_go());
    snap("cockpit.stale", &stale());
    snap("cockpit.lost", &lost());
    snap("cockpit.auth", &auth());
    snap("cockpit.loading", &loading());
    snap("cockpit.no-run", &empty());
    let mut spectator = baking();
    spectator.options.spectator = true;
    spectator.mode = Mode::Spectator;
    spectator.blocked = vec!["SPECTATOR holds no write credentials".into()];
    snap("cockpit.spectator", &spectator);
}

#[test]
fn views_of_a_release() {
    for (name, which) in [
        ("instances", View::Instances),
        ("traffic", View::Traffic),
        ("metrics", View::Metrics),
        ("checklist", View::Checklist),
        ("runbook", View::Run),
        ("timeline", View::Timeline),
    ] {
        snap(name, &view(baking(), which));
    }
}

fn asking(mut model: Model, ask: Ask, level: Danger) -> Model {
    let mut prompt = Prompt::new(ask, level, now().mono.saturating_sub(secs(3)));
    if prompt.is_typed() {
        let (purpose, to) = if prompt.ask == Ask::Promote { (Purpose::Forward, 50) } else { (Purpose::BackOut, 0) };
        prompt.proposal = Some(proposal(purpose, 25, to));
        prompt.expects = Some(to.to_string());
    }
    model.prompt = Some(prompt);
    model
}

fn prompt_of(model: &mut Model) -> &mut Prompt {
    model.prompt.as_mut().unwrap()
}

#[test]
fn prompts_that_move_traffic() {
    let mut promote = asking(ready(), Ask::Promote, Danger::L2);
    prompt_of(&mut promote).typed = "5".into();
    snap("prompt.promote", &promote);
    prompt_of(&mut promote).show_call = true;
    snap_at("prompt.promote-call", &promote, &[(80, 24), (120, 36)]);
    let mut wrong = asking(ready(), Ask::Promote, Danger::L2);
    prompt_of(&mut wrong).error = Some("you typed 5: the new canary weight is 50".into());
    snap_at("prompt.promote-wrong", &wrong, &[(80, 24), (60, 15), (30, 6)]);
    let mut young = asking(ready(), Ask::Promote, Danger::L2);
    prompt_of(&mut young).opened = now().mono.saturating_sub(Duration::from_millis(200));
    prompt_of(&mut young).proposal = None;
    snap_at("prompt.promote-reading", &young, &[(80, 24)]);
    snap("prompt.back-out", &asking(no_go(), Ask::BackOut, Danger::L2));
    snap_at("prompt.back-out-stale", &asking(stale(), Ask::BackOut, Danger::L2), &[(80, 24)]);
    let mut refused = asking(ready(), Ask::Promote, Danger::L2);
    let plan = &mut prompt_of(&mut refused).proposal.as_mut().unwrap().plan;
    plan.dry_run = Preflight::Refused { why: "admission webhook denied the request: change freeze until Monday".into() };
    snap_at("prompt.promote-refused", &refused, &[(80, 24)]);
}

#[test]
fn small_prompts() {
    let at = [(80, 24), (120, 36), (30, 6)];
    snap_at("prompt.arm", &asking(baking(), Ask::Arm, Danger::L1), &at);
    snap_at("prompt.unhold", &asking(no_go(), Ask::Unhold, Danger::L1), &[(80, 24)]);
    let reasons = vec!["bake 03:19 left".into(), "OBSERVE: A arms this cockpit".into()];
    snap_at("prompt.blocked", &asking(baking(), Ask::Blocked { what: "promote".into(), reasons }, Danger::L0), &at);
    let gate = Ask::Gate { step: "decide-50".into(), title: "Go on to 50%?".into() };
    snap_at("prompt.gate", &asking(ready(), gate, Danger::L1), &[(80, 24)]);
    let item = Ask::Item {
        step: "preflight".into(),
        item: 3,
        challenge: "Error budget left in percent".into(),
        expects: "a number from 10 to 100".into(),
    };
    let mut item = asking(baking(), item, Danger::L1);
    prompt_of(&mut item).typed = "43".into();
    snap_at("prompt.item", &item, &at);
    let offer = vec![Choice::Retry, Choice::Skip, Choice::BackOut, Choice::Abort];
    let failed = Ask::Failed { step: "good-25".into(), why: "errors 0.61% is not < 0.50% for 5 min".into(), offer };
    snap_at("prompt.failed", &asking(baking(), failed, Danger::L1), &at);
    snap_at("prompt.reason", &asking(baking(), Ask::Reason { then: NeedsReason::Skip }, Danger::L1), &[(80, 24)]);
    let why = "the answer was lost: connection reset; the platform shows our change".into();
    snap_at("prompt.unclear", &asking(baking(), Ask::Unclear { why, redo: true, adopt: true }, Danger::L1), &at);
    let start = Ask::Start {
        title: "checkout canary".into(),
        lines: vec![
            "11 steps: 5%, 25%, 50%, 100%".into(),
            "guard error rate: holds when bad for 45 s".into(),
            "nothing is written to the platform by starting".into(),
        ],
        first: Box::new(record::Draft { kind: "run.started".into(), step: None, body: serde_json::Value::Null }),
    };
    snap_at("prompt.start", &asking(empty(), start, Danger::L1), &[(80, 24)]);
    let resume =
        Ask::Resume { run: "checkout-api-20260314-1".into(), lines: vec!["at step 6/11, canary 25%, unattended since 03:05:00Z".into()] };
    snap_at("prompt.resume", &asking(baking(), resume, Danger::L1), &[(80, 24)]);
    snap_at("prompt.quit", &asking(baking(), Ask::Quit, Danger::L1), &[(80, 24)]);
    let mut memo = asking(baking(), Ask::Memo, Danger::L1);
    prompt_of(&mut memo).typed =
        "p99 creeps up since 03:05; memory of tz4vw at 95 percent, restarted once. Watching it for five minutes before deciding".into();
    snap_at("prompt.memo", &memo, &[(80, 24), (30, 6)]);
}

#[test]
fn help_and_filters() {
    let mut help = baking();
    help.screen.help = true;
    snap("help", &help);
    let mut filter = view(baking(), View::Instances);
    filter.screen.filtering = true;
    filter.screen.filter = "canary".into();
    snap_at("instances.filter", &filter, &[(80, 24)]);
    filter.screen.filter = "no such".into();
    snap_at("instances.filter-none", &filter, &[(80, 24)]);
}

#[test]
fn what_goes_wrong_is_told_in_words() {
    let mut failed = view(baking(), View::Run);
    let state = &mut failed.run.as_mut().unwrap().state;
    state.steps[5] = StepState { phase: StepPhase::Passed, ..StepState::default() };
    state.steps[6] = StepState {
        phase: StepPhase::Failed,
        attempts: 2,
        entered: Some(at("03:05:00")),
        why: "errors 0.61% is not < 0.50%".into(),
        conditions: [("p99".to_owned(), (Outcome::Pass, "402ms".to_owned())), ("errors".to_owned(), (Outcome::Fail, "0.61%".to_owned()))]
            .into(),
        ..StepState::default()
    };
    snap_at("runbook.failed", &failed, &[(80, 24), (120, 36)]);
    failed.screen.view = View::Cockpit;
    snap_at("cockpit.failed", &failed, &[(80, 24)]);

    let mut unknown = view(ready(), View::Run);
    let run = unknown.run.as_mut().unwrap();
    run.state.operation = Some(Operation {
        op: "checkout-api-20260314-1/to-50/1".into(),
        step: "to-50".into(),
        action: Action::SetWeight { canary: percent(50) },
        fence: false,
        attempt: 1,
        epoch: Some(Epoch(7)),
        plan_hash: "9c1f".into(),
        relied: None,
        before: None,
        stage: OpStage::Unknown {
            failure: Some(Failure::Unknown { why: "patch virtualservice/checkout: connection reset by peer".into() }),
            found: Some(gonogo::runbook::record::Found::NotYet),
        },
        intent_at: Some(at("03:07:30")),
        accepted_at: None,
        verified_at: None,
        seen: Some("canary 25%, our stamp is not there".into()),
        seen_weight: Some(percent(25)),
        put_in_force: true,
    });
    unknown.act = Some(ActFeedback {
        what: "canary 25% -> 50%".into(),
        weight: Some(percent(50)),
        sent: Some(at("03:07:30")),
        accepted: None,
        accepted_boot: None,
        seen: None,
        not_observed: false,
        unknown: Some("connection reset; reading the platform".into()),
    });
    snap_at("runbook.unknown", &unknown, &[(80, 24), (120, 36)]);
    unknown.screen.view = View::Cockpit;
    snap_at("cockpit.unknown", &unknown, &[(80, 24), (60, 15)]);

    let mut back = view(no_go(), View::Run);
    let state = &mut back.run.as_mut().unwrap().state;
    state.phase = Phase::RollingBack;
    state.hold = None;
    state.rollback_began = Some((at("03:07:35"), "error rate".into(), false));
    state.rollback[0] = StepState { phase: StepPhase::Active, attempts: 1, entered: Some(at("03:07:35")), ..StepState::default() };
    state.steps[5].phase = StepPhase::Undone;
    snap_at("runbook.backing-out", &back, &[(80, 24)]);
    back.screen.view = View::Cockpit;
    snap_at("cockpit.backing-out", &back, &[(80, 24)]);
    let state = &mut back.run.as_mut().unwrap().state;
    state.phase = Phase::RolledBack;
    state.ended = Some(at("03:07:39"));
    back.incident = None;
    snap_at("cockpit.backed-out", &back, &[(80, 24)]);
}

#[test]
fn weights_that_do_not_agree_are_named() {
    let mut model = baking();
    model.picture.route = Some(route(40));
    model.picture.route.as_mut().unwrap().last_writer = Some("kubectl at 2026-03-14T03:07:12Z".into());
    snap_at("cockpit.foreign-change", &model, &[(80, 24)]);
    snap_at("traffic.foreign-change", &view(model, View::Traffic), &[(80, 24)]);
    let mut model = baking();
    model.observed.share.as_mut().unwrap().canary = 1200.0;
    let mut act = ActFeedback {
        what: "canary 5% -> 25%".into(),
        weight: Some(percent(25)),
        sent: Some(at("03:05:58")),
        accepted: Some(Duration::from_millis(400)),
        accepted_boot: None,
        seen: None,
        not_observed: true,
        unknown: None,
    };
    model.act = Some(act.clone());
    snap_at("cockpit.not-observed", &model, &[(80, 24)]);
    act.not_observed = false;
    act.seen = Some(("24.7%".into(), secs(9)));
    act.sent = Some(at("03:07:24"));
    let mut model = baking();
    model.act = Some(act);
    model.run.as_mut().unwrap().state.shifted_at = Some(at("03:07:25"));
    model.observed.share = Some(ObservedShare { canary: 10.0, total: 60.0, window: secs(15), newest: at("03:07:37") });
    snap_at("cockpit.seen", &model, &[(80, 24)]);
}

#[test]
fn ten_thousand_instances_are_counted_and_the_bad_ones_listed() {
    for (width, height) in [(80, 24), (200, 50)] {
        insta::assert_snapshot!(format!("cockpit.huge.{width}x{height}"), screen_text(&huge(), port(width, height)));
    }
    snap_at("instances.huge", &view(huge(), View::Instances), &[(80, 24)]);
}

#[test]
fn names_that_try_to_steer_the_terminal_stay_text() {
    let mut model = view(baking(), View::Instances);
    let mut evil = instance("pod\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31mred", Track::Canary, 10);
    evil.state = InstanceState::Failing;
    evil.reason = Some("\u{1b}]52;c;AAAA\u{7}Crash\r\nLoop\u{202e}".into());
    model.picture.instances.put(evil);
    model.picture.instances.put(instance("結帳-金絲雀-実行中-インスタンス-一番目", Track::Canary, 20));
    model.picture.instances.put(instance("🦀-e\u{301}\u{fe0f}-x", Track::Canary, 30));
    model.spec.name = "checkout\u{1b}[31m-日本".into();
    snap_at("instances.hostile", &model, &[(80, 24)]);
    model.screen.view = View::Cockpit;
    for (width, height) in SIZES {
        let text = screen_text(&model, port(width, height));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
    assert!(present::title(&model).chars().all(|c| !c.is_control()));
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let words = [
        (baking(), "VERDICT HOLD"),
        (ready(), "VERDICT GO"),
        (no_go(), "VERDICT NO-GO"),
        (stale(), "VERDICT UNKNOWN"),
        (stale(), "STALE DATA"),
        (stale(), "~0.21%"),
        (stale(), "UNKN"),
        (stale(), "BAKE CLOCK STOPPED"),
        (stale(), "promote OFF: stale"),
        (lost(), "NOT LIVE"),
        (auth(), "LOGIN NEEDED"),
        (no_go(), "NO-GO"),
        (no_go(), "HELD"),
        (baking(), "WATCH"),
        (baking(), "OBSERVE"),
        (ready(), "ARMED 47m"),
    ];
    for (model, word) in words {
        for ascii in [false, true] {
            let text = screen_text(&model, Viewport { width: 80, height: 24, ascii });
            assert!(text.contains(word), "no {word:?} in\n{text}");
        }
    }
}

#[test]
fn ascii_is_ascii() {
    for model in [baking(), no_go(), stale(), lost()] {
        for (width, height) in SIZES {
            let text = screen_text(&model, Viewport { width, height, ascii: true });
            assert!(text.is_ascii(), "{text}");
        }
    }
    insta::assert_snapshot!("cockpit.ascii.80x24", screen_text(&stale(), Viewport { width: 80, height: 24, ascii: true }));
}

#[test]
fn styles_of_both_themes() {
    let promote = asking(ready(), Ask::Promote, Danger::L2);
    for (name, model) in [("baking", baking()), ("incident", no_go()), ("stale", stale()), ("promote", promote)] {
        for (theme_name, theme) in [("mono", Theme::mono()), ("terminal", Theme::terminal())] {
            insta::assert_snapshot!(format!("style.{name}.{theme_name}"), style_text(&model, port(80, 24), theme));
        }
    }
}

/// The five fixed rows never move, whatever is shown.
#[test]
fn identity_verdict_and_help_stay_where_they_are() {
    let mut models = vec![baking(), ready(), no_go(), stale(), lost(), auth(), loading(), empty()];
    models.push(asking(ready(), Ask::Promote, Danger::L2));
    models.push(asking(no_go(), Ask::BackOut, Danger::L2));
    for which in View::ALL {
        models.push(view(baking(), which));
        models.push(view(stale(), which));
        models.push(view(lost(), which));
        models.push(view(empty(), which));
    }
    for model in &models {
        for (width, height) in [(60, 15), (80, 24), (100, 30), (120, 36), (160, 40), (200, 50), (250, 80)] {
            let rows = rows(&buffer(model, port(width, height), Theme::mono()));
            assert!(rows[0].contains("#PROD#") && rows[0].contains("checkout-api"), "{rows:#?}");
            assert!(rows[0].contains("03:07:41Z"), "{rows:#?}");
            assert!(rows[1].contains(&format!("VERDICT {}", model.verdict.verdict)), "{rows:#?}");
            assert!(rows[2].contains(&format!("[{}", model.screen.view.digit())), "{rows:#?}");
            let hints = &rows[usize::from(height) - 2];
            assert!(hints.contains('?') || model.prompt.is_some(), "{rows:#?}");
            let drives = model.run.is_some() && model.prompt.is_none();
            assert!(!drives || (hints.contains("B back out") && (hints.contains("H hold") || hints.contains("U release"))), "{rows:#?}");
        }
    }
}

/// A typed confirmation is always possible to see: the field never leaves the screen.
#[test]
fn the_field_of_a_prompt_is_never_cut_away() {
    for ask in [Ask::Promote, Ask::BackOut] {
        let mut model = asking(no_go(), ask, Danger::L2);
        prompt_of(&mut model).typed = "4711".into();
        for width in 16..=250_u16 {
            for height in [3, 4, 6, 10, 12, 15, 24, 50] {
                let text = screen_text(&model, port(width, height));
                assert!(text.contains("4711_"), "{width}x{height}\n{text}");
            }
        }
    }
}

mod any {
    use super::*;
    use proptest::prelude::*;

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), "\\PC{0,60}", "[\\x00-\\x9f]{0,30}", Just("日本語テキスト".repeat(9)), Just("x".repeat(500)),]
    }

    fn any_model() -> impl Strategy<Value = Model> {
        let base = prop::sample::select(vec![0_u8, 1, 2, 3, 4, 5, 6, 7]);
        let ask = prop::sample::select((0_u8..10).collect::<Vec<_>>());
        (base, ask, 0..7_usize, any_text(), any_text(), 0..20_usize, any::<[bool; 4]>()).prop_map(
            |(base, ask, which, text, other, count, flags)| {
                let mut model = match base {
                    0 => baking(),
                    1 => ready(),
                    2 => no_go(),
                    3 => stale(),
                    4 => lost(),
                    5 => auth(),
                    6 => loading(),
                    _ => empty(),
                };
                model.screen.view = View::ALL[which];
                model.screen.source = flags[0];
                model.screen.local_time = flags[1];
                model.screen.help = flags[2];
                model.screen.filter = if flags[3] { other.clone() } else { String::new() };
                for i in 0..count {
                    let mut one = instance(&format!("{text}{i}"), Track::Canary, 5);
                    one.reason = Some(other.as_str().into());
                    one.state = InstanceState::Failing;
                    model.picture.instances.put(one);
                    let mut gate = model.gates.first().cloned().unwrap_or_else(|| gates()[0].clone());
                    gate.key = format!("guard/{i}");
                    gate.title.clone_from(&text);
                    gate.finding.shown.clone_from(&other);
                    gate.finding.of_limit = [Some(f64::NAN), Some(f64::INFINITY), Some(-1e300), None][i % 4];
                    if let Some(series) = &mut gate.series {
                        series.values = vec![None, Some(f64::NAN), Some(f64::INFINITY), Some(-1e308), Some(1e308)][..=i % 5].to_vec();
                        series.step = secs(i as u64);
                    }
                    model.gates.push(gate);
                    model.blocked.push(text.clone());
                }
                model.spec.name.clone_from(&text);
                model.messages.push_back(Message { at: at("03:07:40"), level: Level::Alarm, text: other.clone() });
                let ask = match ask {
                    0 => Some(Ask::Promote),
                    1 => Some(Ask::BackOut),
                    2 => Some(Ask::Memo),
                    3 => Some(Ask::Unclear { why: text.clone(), redo: true, adopt: flags[0] }),
                    4 => Some(Ask::Blocked { what: other.clone(), reasons: vec![text.clone(); count] }),
                    _ => None,
                };
                if let Some(ask) = ask {
                    model = asking(model, ask, Danger::L2);
                    prompt_of(&mut model).typed = text;
                    prompt_of(&mut model).error = flags[1].then_some(other);
                }
                model
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        /// No size and no content makes drawing fail, steer the terminal, or write beyond a row.
        #[test]
        fn every_size_is_drawn(model in any_model(), width in 0_u16..250, height in 0_u16..80, ascii: bool) {
            let text = screen_text(&model, Viewport { width, height, ascii });
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
            let frame = present::frame(&model, &now(), Viewport { width, height, ascii });
            for row in &frame.rows {
                prop_assert!(row.y < height);
                prop_assert!(row.line.width() <= usize::from(width), "{:?}", row);
            }
            for panel in frame.panels.iter().chain(&frame.overlay) {
                prop_assert!(u32::from(panel.area.x) + u32::from(panel.area.width) <= u32::from(width), "{:?}", panel.area);
                prop_assert!(u32::from(panel.area.y) + u32::from(panel.area.height) <= u32::from(height), "{:?}", panel.area);
            }
        }
    }
}

#[test]
fn the_status_tells_what_the_screen_shows() {
    insta::assert_snapshot!("status.baking", present::status_lines(&baking(), &now()).join("\n"));
    insta::assert_snapshot!("status.stale", present::status_lines(&stale(), &now()).join("\n"));
    insta::assert_snapshot!("status.no-run", present::status_lines(&empty(), &now()).join("\n"));
    insta::assert_snapshot!("status.json", serde_json::to_string_pretty(&present::status_json(&no_go(), &now())).unwrap());
    assert_eq!(present::title(&baking()), "#PROD# checkout-api 25% HOLD");
    for model in [baking(), stale(), lost(), empty(), loading()] {
        assert_eq!(present::status_lines(&model, &now()).len(), 9);
        assert_eq!(present::status_json(&model, &now())["schema"], "gonogo.status/v1");
    }
}

/// Screens tell the newest lines without reading the whole journal, and tell them as the story does.
#[test]
fn the_latest_lines_are_the_end_of_the_story() {
    use gonogo::runbook::story::{latest, story};
    let mut events: Vec<(String, record::Actor, gonogo::runbook::record::Event)> = Vec::new();
    for i in 0..200 {
        let when = format!("03:{:02}:{:02}", i / 60, i % 60);
        events.push((when, mira(), gonogo::runbook::record::Event::Note { text: format!("note {i}") }));
    }
    let events: Vec<_> = events.iter().map(|(when, who, event)| (when.as_str(), who.clone(), event.clone())).collect();
    let entries = journal(&events);
    let all = story(&entries);
    for most in [1, 5, 20, 34, 500] {
        assert!(latest(&entries, most) == all[all.len().saturating_sub(most)..], "{most} lines");
    }
    assert!(latest(&[], 5).is_empty());
}

#[test]
fn a_checklist_that_waits_says_so() {
    let mut model = baking();
    model.picture.route = Some(route(0));
    let state = &mut model.run.as_mut().unwrap().state;
    state.intended = None;
    state.steps = vec![StepState::default(); state.steps.len()];
    let mut preflight = StepState { phase: StepPhase::Active, attempts: 1, entered: Some(at("02:52:00")), ..StepState::default() };
    let answer =
        |answer: &str, ok| ItemAnswer { answer: answer.into(), ok, by: mira(), at: at("02:53:10"), expired: false, disputed: None };
    preflight.answers = [(0, answer("done", true)), (1, answer("on", false))].into();
    state.steps[0] = preflight;
    model.verdict =
        VerdictView { verdict: Verdict::NoGo, reasons: vec![Reason { verdict: Verdict::NoGo, text: "checklist: 5 open".into() }] };
    model.blocked = vec!["5 items of the checklist are open: 6, then D".into()];
    snap_at("cockpit.pre-launch", &model, &[(80, 24), (60, 15)]);
    snap_at("checklist.open", &view(model, View::Checklist), &[(80, 24), (120, 36), (60, 15)]);
}
