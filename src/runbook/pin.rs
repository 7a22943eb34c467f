//! The form in which a run pins its runbook: readable, without floating point, and exact.

use super::plan::Runbook;
use serde_json::Value;

/// The runbook for the journal. Limits are decimal strings, durations whole milliseconds.
#[must_use]
pub fn to_journal(runbook: &Runbook) -> Value {
    // Only a map with keys that are no text could fail, and the plan has none.
    serde_json::to_value(runbook).unwrap_or(Value::Null)
}

/// The runbook that was journaled.
pub fn from_journal(value: &Value) -> Result<Runbook, String> {
    serde_json::from_value(value.clone()).map_err(|e| format!("read the journaled runbook: {e}"))
}
