//! Model -> plain view data: what stands where on the screen, in words and roles. Pure; knows no terminal library.
//!
//! What is shown depends on the room there is, so rectangles are part of the view data; colours, attributes and cells are not.

mod alert_detail;
mod alerts;
mod around;
mod board;
mod card;
mod chart;
mod checklist;
mod cockpit;
mod compact;
mod events;
mod evidence;
mod frame;
mod gates;
mod glyph;
mod harm;
mod header;
mod help;
mod hints;
mod instances;
mod items;
mod line;
mod logs;
mod lost;
mod metrics;
mod operation;
mod progressive;
mod prompt;
mod routes;
mod run;
mod sight;
mod silence;
mod status;
mod step;
mod targets;
mod timeline;
mod traffic;
mod verbs;
mod voices;

pub use frame::{Area, Border, Frame, Panel, Row};
pub use glyph::Glyphs;
pub use items::{completion, item_lines, items_json};
pub use line::{Line, Paint, Role, Span};
pub use status::{status_json, status_lines, title};
pub use voices::{board_json, board_lines};

use crate::app::command::View;
use crate::app::model::Model;
use crate::domain::{Freshness, Stamp};
use frame::Tier;
use sight::Sight;

/// The window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewport {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Draw in plain ASCII.
    pub ascii: bool,
}

/// What the screen shows now. Any size; never changes state.
#[must_use]
pub fn frame(model: &Model, now: &Stamp, viewport: Viewport) -> Frame {
    let sight = Sight::new(model, now, viewport);
    let mut frame =
        Frame { width: viewport.width, height: viewport.height, glyphs: sight.glyphs, rows: Vec::new(), panels: Vec::new(), overlay: None };
    if sight.tier == Tier::Tiny {
        frame.rows = compact::tiny(&sight);
    } else {
        let body = fixed_rows(&sight, &mut frame);
        frame.panels = body_panels(&sight, body);
    }
    frame.overlay = match &model.prompt {
        Some(prompt) => Some(prompt::overlay(&sight, prompt)),
        None if model.screen.help => Some(help::overlay(&sight)),
        None => None,
    };
    frame
}

/// The rows that never move, and the area between them.
fn fixed_rows(sight: &Sight<'_>, frame: &mut Frame) -> Area {
    let (width, height) = (sight.port.width, sight.port.height);
    let mut row = |y: u16, fill: Role, line: Line| frame.rows.push(Row { y, fill, line });
    row(0, Role::Identity, header::identity(sight));
    row(1, Role::Primary, header::flight(sight));
    row(2, Role::Primary, header::views(sight));
    let mut top = 3;
    for (fill, line) in header::banner(sight) {
        row(top, fill, line);
        top += 1;
    }
    row(height - 2, Role::Primary, hints::hints(sight));
    row(height - 1, Role::Primary, hints::message(sight));
    Area { x: 0, y: top, width, height: height.saturating_sub(top + 2) }
}

fn body_panels(sight: &Sight<'_>, body: Area) -> Vec<Panel> {
    let view = sight.model.screen.view;
    let replaced = matches!(view, View::Cockpit | View::Instances | View::Traffic) || (view == View::Metrics && !sight.metrics().usable());
    if sight.is_lost() && replaced {
        return lost::panels(sight, body);
    }
    match view {
        View::Cockpit if sight.tier == Tier::Compact => vec![compact::cockpit(sight, body)],
        View::Cockpit => cockpit::panels(sight, body),
        View::Instances => instances::panels(sight, body),
        View::Traffic => traffic::panels(sight, body),
        View::Metrics => metrics::panels(sight, body),
        View::Alerts => alerts::panels(sight, body),
        View::Checklist => checklist::panels(sight, body),
        View::Run => run::panels(sight, body),
        View::Logs => logs::panels(sight, body),
        View::Timeline => timeline::panels(sight, body),
    }
}

/// What the last row says when nothing happened lately.
fn view_status(sight: &Sight<'_>) -> Option<String> {
    if [sight.platform(), sight.metrics()].iter().any(|f| matches!(f, Freshness::Stale | Freshness::Lost | Freshness::Auth)) {
        return lost::status(sight);
    }
    match sight.model.screen.view {
        View::Cockpit => None,
        View::Instances => Some(instances::status(sight)),
        View::Traffic => Some("want, set and seen must agree within 2 points".into()),
        View::Metrics => Some(metrics::status(sight)),
        View::Alerts => alerts::status(sight),
        View::Checklist => checklist::status(sight),
        View::Run => run::status(sight),
        View::Logs => Some(logs::status(sight)),
        View::Timeline => timeline::status(sight),
    }
}
