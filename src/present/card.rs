//! The rollback card: one line that is always there, and what stands behind it where there is room.

use super::line::{Line, Role, wrap};
use super::sight::Sight;
use crate::app::card::{Card, card};

/// The line of the way out: ` out   B  canary -> 0% (v2.41.3), 9 ready, needs 7 at 412 rps, up to 47 s`.
pub(super) fn line(sight: &Sight<'_>, head: Line, cells: usize) -> Line {
    let card = card(sight.model, sight.now);
    let mut line = head.text("  canary -> 0%");
    if let Some((role, text)) = worst(&card) {
        return line.text("  ").word(role, format!("! {text}"));
    }
    // The most telling first; what does not fit is left out whole.
    let takes = card.slowest().map_or_else(|| "time not measured".to_owned(), |took| format!("up to {} s", took.as_secs().max(1)));
    let short_capacity = format!("{}/{} ready", card.ready, card.total);
    let capacity = if line.width() + card.capacity().len() + takes.len() + 4 <= cells { card.capacity() } else { short_capacity };
    for part in [capacity, takes, "always available".to_owned()] {
        if line.width() + part.len() + 2 <= cells {
            line = line.text(", ").text(part);
        }
    }
    line
}

/// What must be seen before backing out.
fn worst(card: &Card) -> Option<(Role, String)> {
    if card.total > 0 && card.ready == 0 {
        return Some((Role::Bad, "the baseline has no ready instance".into()));
    }
    if card.short().is_some() {
        return Some((Role::Bad, card.capacity()));
    }
    card.undone_by.first().map(|why| (Role::Watch, why.clone()))
}

/// Everything behind the line, in at most `room` lines.
pub(super) fn behind(sight: &Sight<'_>, cells: usize, room: usize) -> Vec<Line> {
    let card = card(sight.model, sight.now);
    let mut lines = Vec::new();
    let mut add = |role: Role, text: String| {
        let parts = wrap(&text, cells.saturating_sub(7), 2);
        lines.extend(parts.into_iter().map(|part| Line::of("       ").word(role, part)));
    };
    for why in &card.undone_by {
        add(Role::Watch, format!("! {why}"));
    }
    add(Role::Primary, format!("to {}, {}", card.target, card.served));
    add(Role::Primary, card.capacity());
    add(Role::Primary, card.takes());
    for what in &card.not_restored {
        add(Role::Primary, format!("- not restored: {what}"));
    }
    if card.not_restored.is_empty() && card.undone_by.is_empty() {
        add(Role::Primary, "nothing known that it does not bring back".into());
    }
    lines.truncate(room);
    lines
}
