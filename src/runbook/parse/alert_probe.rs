//! `alert: { match: { severity: critical }, state: inactive }`.

use super::Walk;
use super::node::{Node, Value};
use crate::domain::{AlertCondition, AlertWanted, Labels};

const STATES: [(&str, AlertWanted); 3] =
    [("inactive", AlertWanted::Inactive), ("not-firing", AlertWanted::NotFiring), ("firing", AlertWanted::Firing)];
/// Whether silenced alerts count as firing.
const SILENCED: [(&str, bool); 2] = [("counts", false), ("ignored", true)];

impl Walk<'_> {
    /// A condition on alerts.
    pub(super) fn alert(&mut self, node: &Node) -> Option<AlertCondition> {
        let fields = self.fields(node, "`alert`", &["match", "state", "silenced"], &[])?;
        let state = self.required(&fields, "state", "`alert`", "inactive").and_then(|n| self.word(n, "`state`", &STATES, &[]));
        let silenced = fields.value("silenced").map_or(Some(false), |n| self.word(n, "`silenced`", &SILENCED, &[]).map(|w| w.value));
        let matching = self.required(&fields, "match", "`alert`", "{ severity: critical }").and_then(|n| self.labels(n));
        self.alerts_are_connected(node);
        Some(AlertCondition { matching: matching?, state: state?.value, ignore_silenced: silenced? })
    }

    /// Labels with their values, each filled in and compared as it is.
    fn labels(&mut self, node: &Node) -> Option<Labels> {
        let Value::Map(entries) = &node.value else {
            let why = format!("`match` must be a mapping of labels, not {}", node.shape());
            self.report.error("wrong-type", node.span, why, "write `match: { severity: critical }`");
            return None;
        };
        if entries.is_empty() {
            let why = "`match` names no label, so every alert of every service would count";
            self.report.error("empty-value", node.span, why, "name a label, as in `{ severity: critical }`");
            return None;
        }
        let mut labels = Labels::new();
        for entry in entries {
            let name = entry.key.value.as_str();
            let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !well_formed {
                let why = format!("`{name}` is no name of a label");
                self.report.error("invalid-id", entry.key.span, why, "write a name such as `severity` or `alertname`");
                continue;
            }
            if let Some(value) = self.line(&entry.value, &format!("the label `{name}`")) {
                labels.insert(name.to_owned(), value);
            }
        }
        (labels.len() == entries.len()).then_some(labels)
    }

    /// Without an alerts connection nothing would ever be known.
    fn alerts_are_connected(&mut self, node: &Node) {
        if self.context.alerts == Some(false) {
            let why = "the service has no alerts connection in the configuration, so this would never be known";
            self.report.error("unknown-target", node.span, why, "add an [[alerts]] connection and name it under `alerts` of the service");
        }
    }
}
