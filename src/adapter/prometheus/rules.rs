//! Alerting rules and their pending alerts.

use crate::adapter::promql::{self, DecodeError, Decoded};
use crate::domain::Labels;
use crate::domain::alert::{Alert, AlertRule, AlertState};
use crate::domain::text::clean_bounded;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::time::Duration;

/// Rules that are looked at, and pending alerts of each.
const MOST_RULES: usize = 500;
const MOST_PENDING: usize = 100;
/// Characters of a query and of other texts.
const QUERY: usize = 4000;
const TEXT: usize = 500;
const MOST_LABELS: usize = 64;

#[derive(Deserialize)]
pub(super) struct WireRules {
    #[serde(default)]
    groups: Vec<WireGroup>,
}

#[derive(Deserialize)]
struct WireGroup {
    #[serde(default)]
    rules: Vec<WireRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRule {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: Option<String>,
    #[serde(default)]
    alerts: Option<Vec<WireAlert>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    state: String,
    active_at: Option<DateTime<Utc>>,
}

fn clean(labels: Labels) -> Labels {
    labels.into_iter().take(MOST_LABELS).map(|(k, v)| (clean_bounded(&k, 100), clean_bounded(&v, TEXT))).collect()
}

/// The alerting rules of an answer.
pub(super) fn decode(body: &[u8]) -> Result<Decoded<Vec<AlertRule>>, DecodeError> {
    let Decoded { value, remarks } = promql::envelope::<WireRules>(body)?;
    let rules = value.groups.into_iter().flat_map(|group| group.rules).filter(|rule| rule.kind == "alerting").take(MOST_RULES);
    Ok(Decoded { value: rules.map(rule).collect(), remarks })
}

fn rule(wire: WireRule) -> AlertRule {
    let pending = wire.alerts.unwrap_or_default().into_iter().filter(|alert| alert.state == "pending").take(MOST_PENDING);
    let trouble = (wire.health == "err").then(|| clean_bounded(&wire.last_error.unwrap_or_else(|| "its evaluation fails".into()), TEXT));
    AlertRule {
        name: clean_bounded(&wire.name, 100),
        query: clean_bounded(&wire.query, QUERY),
        hold: Duration::try_from_secs_f64(wire.duration).unwrap_or_default(),
        labels: clean(wire.labels),
        trouble,
        pending: pending.filter_map(alert).collect(),
    }
}

fn alert(wire: WireAlert) -> Option<Alert> {
    let labels = clean(wire.labels);
    Some(Alert {
        fingerprint: clean_bounded(&format!("pending {labels:?}"), 4 * TEXT),
        labels,
        annotations: clean(wire.annotations),
        state: AlertState::Pending,
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        starts_at: wire.active_at?,
        ends_at: None,
        generator_url: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn alerting_rules_and_what_is_pending_of_them() {
        let body = br#"{"status":"success","data":{"groups":[{"name":"g","rules":[
            {"type":"recording","name":"r","query":"x"},
            {"type":"alerting","name":"High\u001b[2J","query":"x > 1","duration":180,"labels":{"severity":"page"},"health":"err","lastError":"boom",
             "alerts":[{"labels":{"alertname":"High"},"annotations":{},"state":"pending","activeAt":"2023-11-14T22:00:00Z","value":"2e+00"},
                       {"labels":{"alertname":"High","pod":"b"},"state":"firing","activeAt":"2023-11-14T22:00:00Z"}]}]}]}}"#;
        let rules = decode(body).unwrap().value;
        assert_eq!(rules.len(), 1);
        assert_eq!((rules[0].name.as_str(), rules[0].hold, rules[0].trouble.as_deref()), ("High", Duration::from_secs(180), Some("boom")));
        assert_eq!((rules[0].pending.len(), rules[0].pending[0].state), (1, AlertState::Pending), "what fires the manager tells");
    }
}
