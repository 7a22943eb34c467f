//! What an Alertmanager says, bounded and cleaned.

use crate::domain::Labels;
use crate::domain::alert::{Alert, AlertState, Matcher, Silence, SilenceState};
use crate::domain::text::clean_bounded;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Alerts that are looked at.
pub(super) const MOST_ALERTS: usize = 1000;
/// Silences that are looked at.
pub(super) const MOST_SILENCES: usize = 500;
/// Labels of one alert, matchers of one silence.
const MOST_PAIRS: usize = 64;
/// Characters of a name, a value, a text.
const NAME: usize = 100;
const VALUE: usize = 300;
const TEXT: usize = 500;
const URL: usize = 2000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    #[serde(default)]
    fingerprint: String,
    #[serde(rename = "generatorURL", default)]
    generator_url: Option<String>,
    #[serde(default)]
    status: WireAlertStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireAlertStatus {
    #[serde(default)]
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    #[serde(default)]
    muted_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSilence {
    id: String,
    #[serde(default)]
    matchers: Vec<WireMatcher>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    status: WireState,
}

#[derive(Deserialize, Default)]
struct WireState {
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

fn pairs(map: BTreeMap<String, String>, longest: usize) -> Labels {
    map.into_iter().take(MOST_PAIRS).map(|(k, v)| (clean_bounded(&k, NAME), clean_bounded(&v, longest))).collect()
}

fn ids(list: Vec<String>) -> Vec<String> {
    list.into_iter().take(MOST_PAIRS).map(|id| clean_bounded(&id, NAME)).collect()
}

/// An alert in our words.
pub(super) fn alert(wire: WireAlert) -> Alert {
    let silenced_by = ids(wire.status.silenced_by);
    // A muting time interval (newer servers) keeps it quiet too.
    let inhibited_by = ids(wire.status.inhibited_by.into_iter().chain(wire.status.muted_by).collect());
    let suppressed = wire.status.state == "suppressed" || !silenced_by.is_empty() || !inhibited_by.is_empty();
    let labels = pairs(wire.labels, VALUE);
    let fingerprint = if wire.fingerprint.is_empty() { format!("{labels:?}") } else { wire.fingerprint };
    Alert {
        fingerprint: clean_bounded(&fingerprint, VALUE),
        labels,
        annotations: pairs(wire.annotations, TEXT),
        state: if suppressed { AlertState::Suppressed } else { AlertState::Firing },
        silenced_by,
        inhibited_by,
        starts_at: wire.starts_at,
        ends_at: wire.ends_at,
        generator_url: wire.generator_url.filter(|url| !url.is_empty()).map(|url| clean_bounded(&url, URL)),
    }
}

/// A silence in our words; `None` when its state is none that we know.
pub(super) fn silence(wire: WireSilence) -> Option<Silence> {
    let state = match wire.status.state.as_str() {
        "active" => SilenceState::Active,
        "pending" => SilenceState::Pending,
        "expired" => SilenceState::Expired,
        _ => return None,
    };
    let matcher = |m: WireMatcher| Matcher {
        name: clean_bounded(&m.name, NAME),
        value: clean_bounded(&m.value, VALUE),
        is_regex: m.is_regex,
        is_equal: m.is_equal,
    };
    Some(Silence {
        id: clean_bounded(&wire.id, NAME),
        matchers: wire.matchers.into_iter().take(MOST_PAIRS).map(matcher).collect(),
        starts_at: wire.starts_at,
        ends_at: wire.ends_at,
        created_by: clean_bounded(&wire.created_by, NAME),
        comment: clean_bounded(&wire.comment, TEXT),
        state,
    })
}

/// The words of a refusal: a bare JSON string of a handler, `{"code", "message"}` of the schema, or whatever a proxy wrote.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Schema {
        code: i64,
        message: String,
    }
    if let Ok(text) = serde_json::from_slice::<String>(body) {
        return Some(clean_bounded(&text, VALUE));
    }
    let schema: Schema = serde_json::from_slice(body).ok()?;
    Some(clean_bounded(&format!("{} ({})", schema.message, schema.code), VALUE))
}
