//! View 8 as a person sees it: at five sizes, in every state, and whatever instances write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs, unreachable_pub, dead_code)]
#![allow(clippy::large_stack_arrays, clippy::unchecked_time_subtraction)]

#[path = "support/model.rs"]
mod model;

use chrono::TimeDelta;
use gonogo::app::command::View;
use gonogo::app::logs::{LogFilter, Stream, StreamState};
use gonogo::app::model::*;
use gonogo::domain::log::{LogSelection, LogSource};
use gonogo::domain::*;
use gonogo::present::{self, Viewport};
use gonogo::ui::{Theme, paint};
use model::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Write as _;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 36), (200, 50), (60, 15), (30, 6)];

fn drawn(model: &Model, width: u16, height: u16, ascii: bool) -> Buffer {
    let frame = present::frame(model, &now(), Viewport { width, height, ascii });
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    paint(&frame, &Theme::terminal(), &mut buffer);
    buffer
}

fn picture(model: &Model, width: u16, height: u16, ascii: bool) -> String {
    let buffer = drawn(model, width, height, ascii);
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
        insta::assert_snapshot!(format!("{name}.{width}x{height}"), picture(model, *width, *height, false));
    }
}

const INSTANCES: [(&str, Track); 7] = [
    ("tz4vw", Track::Canary),
    ("2xk8p", Track::Canary),
    ("9qlmd", Track::Canary),
    ("5ff8h", Track::Baseline),
    ("0aa1c", Track::Baseline),
    ("7hh4k", Track::Baseline),
    ("3dd2f", Track::Baseline),
];

fn line(uid: &str, back_ms: i64, level: LogLevel, text: &str) -> LogLine {
    let track = INSTANCES.iter().find(|(known, _)| *known == uid).map_or(Track::Canary, |(_, track)| *track);
    LogLine {
        at: at("03:07:40.500") - TimeDelta::milliseconds(back_ms),
        instance: uid.into(),
        name: format!("checkout-{track}-6d4f8-{uid}").into(),
        track,
        container: "app".into(),
        level,
        text: text.into(),
        seq: 0,
    }
}

/// The view with its streams open and nothing written.
fn quiet() -> Model {
    let mut model = baking();
    model.screen.view = View::Logs;
    let logs = &mut model.logs;
    let name = |uid: &str, track: Track| format!("checkout-{track}-6d4f8-{uid}");
    let source =
        |(uid, track): (&str, Track)| LogSource { uid: uid.into(), name: name(uid, track).into(), track, since: None, previous: false };
    logs.wanted = LogSelection { instances: INSTANCES.map(source).into(), tail: 500 };
    for (uid, track) in INSTANCES {
        let stream = Stream { name: name(uid, track).into(), track, state: StreamState::Following, newest: None };
        logs.streams.insert(uid.into(), stream);
    }
    model
}

fn put(model: &mut Model, lines: Vec<LogLine>) {
    let logs = &mut model.logs;
    let placed: Vec<_> = lines.into_iter().map(|line| (line.clone(), logs.patterns.learn(&line))).collect();
    logs.ring.extend(placed, &logs.filter);
    logs.newest = Some(at("03:07:40"));
}

/// Forty seconds of a release.
fn busy() -> Model {
    let mut model = quiet();
    let mut lines = Vec::new();
    for round in 0..13_i64 {
        let back = round * 3044;
        lines.extend([
            line("tz4vw", back + 382, LogLevel::Warn, "pool: waited 212ms for connection (max 100ms)"),
            line("2xk8p", back + 613, LogLevel::Info, "POST /v1/checkout 200 401ms order=8f1d77bc"),
            line("9qlmd", back + 1025, LogLevel::Info, "GET /v1/cart 200 31ms"),
            line("5ff8h", back + 1746, LogLevel::Info, "POST /v1/checkout 200 349ms order=77bc8f1d trace=4be1 span=77 region=eu-west-1"),
            line("0aa1c", back + 1823, LogLevel::Info, "POST /v1/checkout 200 341ms order=77c08f1d"),
            line("7hh4k", back + 2163, LogLevel::Info, "GET /v1/cart 200 28ms"),
            line("3dd2f", back + 2394, LogLevel::None, "a line without a level"),
            line("2xk8p", back + 2806, LogLevel::Info, "POST /v1/checkout 200 388ms order=8f21aa00"),
        ]);
    }
    for n in 0..14 {
        lines.push(line("tz4vw", 1143 + n, LogLevel::Warn, &format!("pool: waited {}ms for connection (max 100ms)", 101 + n)));
    }
    put(&mut model, lines);
    model
}

/// The same, with errors that only the canary writes.
fn bad() -> Model {
    let mut model = busy();
    let mut lines = Vec::new();
    for n in 0..12_i64 {
        let uid = ["tz4vw", "2xk8p", "9qlmd"][usize::try_from(n % 3).unwrap()];
        lines.push(line(
            uid,
            n * 2900 + 527,
            LogLevel::Error,
            &format!("ledger: booked 12.{n:02} but charged 12.{:02}, rounding differs order=8f1e77{n:02}", n + 3),
        ));
        lines.push(line("tz4vw", n * 2900 + 800, LogLevel::Warn, &format!("cache: evicted {n} entries early")));
    }
    put(&mut model, lines);
    model.logs.new = model.logs.patterns.new_on_canary();
    assert_eq!(model.logs.new.len(), 3, "{:?}", model.logs.new);
    model
}

fn filtered(mut model: Model, change: impl FnOnce(&mut LogFilter)) -> Model {
    let logs = &mut model.logs;
    change(&mut logs.filter);
    logs.ring.refilter(&logs.filter);
    model
}

#[test]
fn both_sides_mixed_and_side_by_side() {
    snap("mixed", &busy(), &SIZES);
    insta::assert_snapshot!("ascii.80x24", picture(&busy(), 80, 24, true));
    let mut split = busy();
    split.logs.split = true;
    snap("split", &split, &[(80, 24), (120, 36), (200, 50)]);
    let mut paused = busy();
    let nth = paused.logs.ring.folded(None)[9].row.seq;
    (paused.logs.cursor, paused.logs.wrap) = (Some(nth), true);
    paused.screen.local_time = true;
    snap("paused", &paused, &[(80, 24), (120, 36)]);
}

#[test]
fn what_is_new_on_the_canary() {
    snap("new", &bad(), &SIZES);
    let id = bad().logs.new[0].id;
    snap("new.chosen", &filtered(bad(), |filter| filter.pattern = Some(id)), &[(80, 24)]);
    let mut cockpit = bad();
    cockpit.screen.view = View::Cockpit;
    snap("new.cockpit", &cockpit, &[(80, 24), (120, 36), (200, 50), (60, 15)]);
}

#[test]
fn nothing_to_show_has_a_sentence_for_every_reason() {
    snap("quiet", &quiet(), &[(80, 24)]);
    let hidden = filtered(busy(), |filter| {
        filter.least = LogLevel::Error;
        filter.set_text("/(no such/");
    });
    snap("hidden", &hidden, &[(80, 24)]);
    let mut opening = quiet();
    opening.logs.streams.values_mut().for_each(|stream| stream.state = StreamState::Waiting);
    snap("opening", &opening, &[(80, 24)]);
    let mut forbidden = quiet();
    let why = "refused (403): read the log of pod checkout-canary-6d4f8-tz4vw: pods \"checkout-canary-6d4f8-tz4vw\" is forbidden: User \"mira\" cannot \
               get resource \"pods/log\" in API group \"\" in the namespace \"shop\"; your login needs the right to get pods/log in namespace shop";
    for stream in forbidden.logs.streams.values_mut() {
        stream.state = StreamState::Trouble { why: why.into(), forbidden: true, next: at("03:09:10") };
    }
    snap("forbidden", &forbidden, &[(80, 24), (120, 36), (60, 15)]);
    let mut nobody = quiet();
    nobody.logs.wanted.instances.clear();
    nobody.picture.instances = gonogo::app::instances::Instances::default();
    snap("nobody", &nobody, &[(80, 24)]);
    let mut start = loading();
    start.screen.view = View::Logs;
    snap("loading", &start, &[(80, 24)]);
}

#[test]
fn lost_streams_and_dropped_lines_are_counted() {
    let mut model = busy();
    for uid in ["5ff8h", "0aa1c"] {
        let state = StreamState::Trouble { why: "outcome unknown: connection reset".into(), forbidden: false, next: at("03:07:50") };
        model.logs.streams.get_mut(uid).unwrap().state = state;
    }
    (model.logs.dropped, model.logs.gaps) = (12_345, 1);
    model.messages.clear();
    snap("counted", &model, &[(80, 24), (120, 36)]);
}

#[test]
fn nothing_that_an_instance_writes_can_steer_the_terminal() {
    let evil = [
        "\u{1b}[31mred\u{1b}[0m",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]52;c;AAAA\u{1b}\\",
        "\u{9b}2J",
        "\u{202e}gnp.exe",
        "a\rb\nc\td\u{8}\u{7f}",
        "\u{0}\u{1}\u{2}",
        "日本語のログ",
        "e\u{301}\u{200b}",
    ];
    let mut model = quiet();
    let lines = evil.iter().zip(0..).map(|(text, n)| line("tz4vw", n * 10, LogLevel::Error, &format!("{text} {}", "x".repeat(4000))));
    put(&mut model, lines.collect());
    model.logs.new = model.logs.patterns.new_on_canary();
    for wrap in [false, true] {
        model.logs.wrap = wrap;
        for (width, height) in SIZES {
            let buffer = drawn(&model, width, height, false);
            for cell in buffer.content() {
                let bad =
                    |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                assert!(!cell.symbol().chars().any(bad), "{:?} at {width}x{height}", cell.symbol());
            }
        }
    }
    assert!(!present::title(&model).chars().any(char::is_control));
}

#[test]
fn every_size_can_be_drawn() {
    let mut model = bad();
    for split in [false, true] {
        (model.logs.split, model.logs.wrap) = (split, split);
        for width in (0..=220).step_by(7) {
            for height in (0..=60).step_by(3) {
                drawn(&model, width, height, false);
            }
        }
    }
}
