//! View 5, the alerts in the cockpit, and the questions about silences, as a person sees them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs, unreachable_pub)]
#![allow(clippy::large_stack_arrays, clippy::unchecked_time_subtraction, dead_code, reason = "the model is shared with other suites")]

#[path = "support/alerts.rs"]
mod alerts;
#[path = "support/model.rs"]
mod model;

use alerts::{board, silence, with};
use gonogo::app::command::View;
use gonogo::app::model::*;
use gonogo::app::prompt::{Ask, Prompt};
use gonogo::domain::alert::*;
use gonogo::domain::*;
use gonogo::present::{self, Viewport};
use gonogo::ui::{Theme, paint};
use model::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Write as _;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 36), (200, 50), (60, 15), (30, 6)];

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
        // The right border shows where a row ends.
        let _ = writeln!(out, "|");
    }
    out
}

fn snap(name: &str, model: &Model, sizes: &[(u16, u16)]) {
    for (width, height) in sizes {
        insta::assert_snapshot!(format!("{name}.{width}x{height}"), screen_text(model, *width, *height));
    }
}

#[test]
fn alerts_at_every_size() {
    snap("alerts", &with(baking(), board(), View::Alerts), &SIZES);
}

#[test]
fn the_cockpit_shows_them_in_short() {
    snap("cockpit", &with(baking(), board(), View::Cockpit), &SIZES[..3]);
}

#[test]
fn a_silenced_one_says_by_whom_and_how_long() {
    let mut model = with(baking(), board(), View::Alerts);
    let id = model.alerts.as_ref().unwrap().sightings[2].alert.fingerprint.clone();
    model.screen.selections.insert(View::Alerts, Selection { id: Some(id), place: 2, details: false });
    snap("alerts.silenced", &model, &SIZES[..1]);
}

#[test]
fn silences_in_place_of_alerts() {
    let mut shown = board();
    shown.show_silences = true;
    let mut over = silence();
    (over.id, over.state, over.ends_at) = ("8f4ec3ae-4a3c-4f5c-9a55-3b1c9c9d0000".into(), SilenceState::Expired, at("02:00:00"));
    over.matchers = vec![Matcher { is_regex: true, ..Matcher::equal("node", "ip-10-4-.*") }];
    shown.silences.push(over);
    snap("alerts.silences", &with(baking(), shown, View::Alerts), &SIZES[..2]);
}

#[test]
fn what_is_not_known_is_not_shown_as_calm() {
    let mut lost = board();
    lost.source.newest = Some(at("03:05:27"));
    lost.source.failures = 4;
    lost.source.trouble = Some("alerts of am-eu: cannot connect to https://am.example: connection refused".into());
    snap("alerts.lost", &with(baking(), lost.clone(), View::Alerts), &SIZES[..1]);
    snap("cockpit.alerts-lost", &with(baking(), lost, View::Cockpit), &SIZES[..1]);
    let unread = gonogo::app::alerts::AlertBoard::new(&"am-eu".into());
    snap("alerts.loading", &with(baking(), unread, View::Alerts), &SIZES[..1]);
    let mut calm = board();
    calm.sightings.clear();
    snap("alerts.calm", &with(baking(), calm, View::Alerts), &SIZES[..1]);
    let mut without = baking();
    without.screen.view = View::Alerts;
    snap("alerts.unconnected", &without, &SIZES[..1]);
}

#[test]
fn more_than_fit_are_counted() {
    let mut many = board();
    let first = many.sightings[0].clone();
    for i in 0..40 {
        let mut one = first.clone();
        one.alert.fingerprint = format!("f{i}");
        one.alert.labels.insert("alertname".into(), format!("CheckoutAlert{i:02}WithAVeryLongName"));
        many.sightings.insert(1, one);
    }
    let old = many.sightings.last().unwrap().clone();
    many.sightings.extend((0..20).map(|_| old.clone()));
    snap("alerts.many", &with(baking(), many.clone(), View::Alerts), &SIZES[..1]);
    snap("cockpit.alerts-many", &with(baking(), many, View::Cockpit), &SIZES[..2]);
}

#[test]
fn both_questions() {
    let asking = |ask: Ask| {
        let mut model = with(ready(), board(), View::Alerts);
        model.prompt = Some(Prompt::new(ask, Danger::L1, now().mono.saturating_sub(secs(3))));
        model
    };
    let matchers = board().sightings[0].alert.exact();
    let create = Ask::Silence { name: "CheckoutP99High".into(), matchers, minutes: 30, comment: "seen by mira during the release".into() };
    snap("prompt.silence", &asking(create), &[(80, 24), (60, 15), (30, 6)]);
    let end = Ask::EndSilence { silence: Box::new(silence()), covers: vec!["DeployInProgress".into()] };
    snap("prompt.end-silence", &asking(end), &SIZES[..1]);
}

#[test]
fn hostile_texts_steer_nothing() {
    let mut hostile = board();
    let alert = &mut hostile.sightings[0].alert;
    alert.labels.insert("alertname".into(), "A\u{1b}[2Jlert\u{202e}\u{7}".into());
    alert.annotations.insert("summary".into(), "\u{1b}]0;title\u{7}漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字".into());
    hostile.silences[0].comment = "x\u{9b}31m".repeat(200);
    for (width, height) in SIZES {
        let shown = screen_text(&with(baking(), hostile.clone(), View::Alerts), width, height);
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n') && !shown.contains('\u{202e}'), "{shown}");
    }
}
