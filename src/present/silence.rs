//! The two questions about silences.

use super::evidence::field;
use super::line::Line;
use super::sight::Sight;
use crate::domain::alert::{Matcher, Silence};
use chrono::TimeDelta;

/// Making one: what it is about, for how long, why.
pub(super) fn create(sight: &Sight<'_>, matchers: &[Matcher], minutes: u32, comment: &str, cells: usize) -> Vec<Line> {
    let about: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    let ends = sight.now.wall + TimeDelta::minutes(i64::from(minutes));
    let mark = |m: u32, key: &str, name: &str| if m == minutes { format!("[{key}] *{name}*") } else { format!("[{key}] {name}") };
    let choice =
        format!("{}  {}  {}   until {}", mark(30, "3", "30m"), mark(60, "1", "1h"), mark(120, "2", "2h"), sight.time(ends).trim_end());
    // How long comes first: a small window cuts the middle.
    let mut lines = field("for", &choice, cells);
    lines.extend(field("about", &about.join(" "), cells));
    lines.extend(field("why", &format!("{comment}   [c] changes it"), cells));
    lines.extend(field("effect", "nobody is notified; it is shown here and never blocks", cells));
    lines.extend(field("undo", "X ends the silence", cells));
    lines
}

/// Ending one.
pub(super) fn end(sight: &Sight<'_>, silence: &Silence, covers: &[String], cells: usize) -> Vec<Line> {
    let about: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let mut lines = field("silence", &format!("by {} until {}", silence.created_by, sight.time(silence.ends_at).trim_end()), cells);
    lines.extend(field("about", &about.join(" "), cells));
    lines.extend(field("comment", &silence.comment, cells));
    let effect = if covers.is_empty() { "it covers no alert now".to_owned() } else { format!("{} notifies again", covers.join(", ")) };
    lines.extend(field("effect", &effect, cells));
    lines
}
