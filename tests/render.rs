//! The screens, as a person sees them: text and styles at five sizes, in every state.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_imports, missing_docs, unreachable_pub)]

#[path = "support/model.rs"]
mod model;

use gonogo::app::command::View;
use gonogo::app::model::*;
use gonogo::app::prompt::{Ask, NeedsReason, Prompt};
use gonogo::domain::*;
use gonogo::present::{self, Viewport};
use gonogo::runbook::io::{Level, Purpose};
use gonogo::runbook::plan::Choice;
use gonogo::ui::{Theme, paint};
use model::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Write as _;

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
