//! Acts beside the release, such as silences: what the journal knows of them.

use super::record::{Event, SideResult};
use crate::domain::OpId;
use crate::domain::alert::AlertAct;
use crate::domain::record::Entry;
use chrono::{DateTime, Utc};

/// An act whose outcome is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAct {
    /// The operation.
    pub op: OpId,
    /// What.
    pub what: AlertAct,
    /// When its intent became durable.
    pub since: DateTime<Utc>,
}

/// Acts that were intended, of which the journal does not say how they ended.
#[must_use]
pub fn open_acts(entries: &[Entry]) -> Vec<OpenAct> {
    let mut open: Vec<OpenAct> = Vec::new();
    for entry in entries.iter().filter(|e| e.kind.starts_with("side.")) {
        match Event::of(entry) {
            Ok(Event::SideIntent { op, what }) => open.push(OpenAct { op, what, since: entry.time.store }),
            Ok(Event::SideOutcome { op, outcome: SideResult::Applied { .. } | SideResult::NotApplied { .. } }) => {
                open.retain(|a| a.op != op);
            }
            _ => {}
        }
    }
    open
}
