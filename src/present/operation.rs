//! The latest operation: sent, accepted, in force, or nobody knows.

use super::line::{Line, Role, wrap};
use super::sight::Sight;
use crate::app::model::RunView;
use crate::runbook::record::Found;
use crate::runbook::state::{OpStage, Operation};

/// The operation in flight in one line, when it is what matters now.
pub(super) fn operation_line(sight: &Sight<'_>) -> Option<Line> {
    let run = sight.run()?;
    let op = run.state.operation.as_ref()?;
    let what = if op.fence { "fence (no change of weights)".to_owned() } else { op.action.to_string() };
    match &op.stage {
        OpStage::Unknown { failure, found } => {
            let why = failure.as_ref().map_or_else(String::new, |f| format!(": {f}"));
            let line = Line::default().mark(Role::Unknown, "?").word(Role::Unknown, " OUTCOME UNKNOWN").text(format!(" of {what}"));
            Some(line.text(format!("{}   D decides", found.map_or(why, |f| format!(": {}", found_words(f))))))
        }
        OpStage::Intent => Some(Line::of(format!("{what}: sent, waiting for the answer"))),
        OpStage::Accepted => Some(Line::of(format!("{what}: accepted, waiting to see it on the platform"))),
        OpStage::Confirmed { .. } => {
            Some(Line::of(format!("{what}: confirmed, {}", run.doing.as_deref().unwrap_or("re-reading the platform"))))
        }
        OpStage::Planned | OpStage::NotApplied { .. } | OpStage::Verified | OpStage::Void => None,
    }
}

/// Whether nobody knows what became of the latest operation.
pub(super) fn is_unclear(sight: &Sight<'_>) -> bool {
    let operation = sight.run().and_then(|r| r.state.operation.as_ref());
    operation.is_some_and(|op| matches!(op.stage, OpStage::Unknown { .. }))
}

/// What reading the platform said, for people.
pub(super) fn found_words(found: Found) -> &'static str {
    match found {
        Found::Applied => "the platform shows our change: it was applied",
        Found::AppliedThenChanged => "our change was applied, then somebody else changed it",
        Found::NotYet => "not applied so far; a late write may still come",
        Found::Never => "not applied, and it can never be any more",
        Found::DoneByOther => "somebody else set it as wanted",
        Found::Drifted => "somebody else changed it to something else",
    }
}

/// All that is known of an operation.
pub(super) fn operation_lines(sight: &Sight<'_>, run: &RunView, op: &Operation, cells: usize) -> Vec<Line> {
    let attempt = if op.attempt > 1 { format!(" attempt {}", op.attempt) } else { String::new() };
    let at = |at: Option<chrono::DateTime<chrono::Utc>>| at.map_or_else(String::new, |t| format!(" {}", sight.time(t).trim_end()));
    let mut lines = Vec::new();
    let stage = match &op.stage {
        OpStage::Planned => Line::of("shown, not confirmed"),
        OpStage::Confirmed { seq } => {
            Line::of(format!("confirmed (entry {seq}), {}", run.doing.as_deref().unwrap_or("re-reading the platform")))
        }
        OpStage::Intent => Line::of(format!("sent{}: no answer yet", at(op.intent_at))),
        OpStage::Accepted => Line::of(format!("accepted{}: waiting to see it on the platform", at(op.accepted_at))),
        OpStage::Verified => Line::default().mark(Role::Ok, sight.glyphs.ok()).text(format!(" in force{}", at(op.verified_at))),
        OpStage::Void => Line::of("not sent: the confirmation became void"),
        OpStage::NotApplied { failure } => {
            Line::default().mark(Role::Bad, sight.glyphs.bad()).text(format!(" certainly not applied: {failure}"))
        }
        OpStage::Unknown { .. } => Line::default().mark(Role::Unknown, "?").word(Role::Unknown, " OUTCOME UNKNOWN").text(at(op.intent_at)),
    };
    lines.push(Line::of(format!(" operation   {}{attempt}: ", op.action)).then(stage));
    if let OpStage::Unknown { failure, found } = &op.stage {
        if let Some(failure) = failure {
            lines
                .extend(wrap(&failure.to_string(), cells.saturating_sub(15), 2).into_iter().map(|l| Line::of(format!("             {l}"))));
        }
        match found {
            Some(found) => {
                let seen = op.seen.as_ref().map_or_else(String::new, |s| format!(" ({s})"));
                let text = format!("{}{seen}", found_words(*found));
                let parts = wrap(&text, cells.saturating_sub(15), 2);
                lines.extend(
                    parts.into_iter().enumerate().map(|(i, l)| Line::of(format!(" {:<11} {l}", if i == 0 { "found" } else { "" }))),
                );
                lines.push(Line::of(" decide      ").word(Role::HintKey, "D").text(format!("  {}", offered(*found))));
            }
            None => lines.push(Line::of(" found       not read yet; nothing is sent again by itself")),
        }
    }
    lines
}

fn offered(found: Found) -> &'static str {
    match found {
        Found::Applied => "nothing to decide: it is verified next",
        Found::NotYet | Found::Never => "redo it behind a fence, or back out",
        Found::AppliedThenChanged | Found::DoneByOther | Found::Drifted => "adopt what is there, redo it behind a fence, or back out",
    }
}
