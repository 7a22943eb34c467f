//! `[incident]`: how often an incident is reported on, and who is called when.

use super::reading::Table;
use crate::domain::incident::{Rules, Rung, Severity};
use std::time::Duration;

/// The severities with their keys.
const SEVERITIES: [(&str, Severity); 4] = [("P0", Severity::P0), ("P1", Severity::P1), ("P2", Severity::P2), ("P3", Severity::P3)];
/// Longest ladder.
const RUNGS: usize = 20;

/// What the file says, over the defaults: an update that is named replaces its own, a ladder replaces the whole ladder.
pub(super) fn read(top: &Table<'_, '_>) -> Rules {
    let mut rules = Rules::default();
    let Some(table) = top.table("incident", "[incident]") else { return rules };
    if let Some(update) = table.table("update", "update") {
        for (key, severity) in SEVERITIES {
            if let Some(every) = update.span_of_time(key, Duration::from_secs(60)) {
                rules.update.insert(severity, every);
            }
        }
        update.finish();
    }
    if let Some(mildest) = table.choice("escalate", &SEVERITIES) {
        rules.escalate = mildest;
    }
    let ladder = ladder(&table);
    if !ladder.is_empty() {
        rules.ladder = ladder;
    }
    table.finish();
    rules
}

fn ladder(table: &Table<'_, '_>) -> Vec<Rung> {
    let mut ladder: Vec<Rung> = Vec::new();
    for rung in table.tables("ladder", "[[incident.ladder]]") {
        let after = rung.span_of_time("after", Duration::ZERO);
        if after.is_none() {
            rung.missing("after");
        }
        let who = rung.required_text("who");
        let how = rung.text("how").map(|how| how.value);
        let span = rung.span();
        let source = rung.source();
        rung.finish();
        let (Some(after), Some(who)) = (after, who) else { continue };
        if let Some(before) = ladder.last().filter(|before| after < before.after) {
            let message = format!("{:?} comes before {:?} on the ladder and is called later", before.who, who.value);
            source.report("ladder", span, message, Some("write the rungs in the order of `after`"));
            continue;
        }
        if ladder.len() >= RUNGS {
            source.report("ladder", span, format!("a ladder has at most {RUNGS} rungs"), None);
            break;
        }
        ladder.push(Rung { after, who: who.value, how });
    }
    ladder
}
