//! Events have two forms, that of the core group and that of events.k8s.io. They are stored in the first.

use super::cluster::text;
use super::resources::Resource;
use super::status::Status;
use serde_json::{Value, json};

/// Pairs of fields: events.k8s.io, core.
const FIELDS: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("reason", "reason"),
    ("action", "action"),
    ("note", "message"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("series", "series"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
    ("deprecatedSource", "source"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
];

/// A core Event in the form of events.k8s.io.
pub(crate) fn from_core(core: &Value) -> Value {
    let mut event = json!({ "kind": "Event", "metadata": core["metadata"] });
    for (new, old) in FIELDS {
        if let Some(value) = core.get(old) {
            event[*new] = value.clone();
        }
    }
    event
}

/// An Event of events.k8s.io in the form that is stored.
pub(crate) fn to_core(event: &Value) -> Value {
    let mut core = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": event["metadata"],
        "source": {}, "firstTimestamp": null, "lastTimestamp": null,
    });
    for (new, old) in FIELDS {
        if let Some(value) = event.get(new) {
            core[*old] = value.clone();
        }
    }
    core
}

/// What events.k8s.io demands of a new Event.
pub(crate) fn validate(resource: &Resource, name: &str, event: &Value) -> Result<(), Status> {
    let invalid = |field: &str, why: &str| Err(Status::invalid(resource, name, field, why));
    if !event["eventTime"].is_string() {
        return invalid("eventTime", "Required value");
    }
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if text(&event[field]).is_empty() {
            return invalid(field, "Required value");
        }
        if text(&event[field]).len() > 128 {
            return invalid(field, "Invalid value: can have at most 128 characters");
        }
    }
    if text(&event["note"]).len() > 1024 {
        return invalid("note", "Invalid value: can have at most 1024 characters");
    }
    if !matches!(text(&event["type"]), "Normal" | "Warning") {
        return invalid("type", &format!("Invalid value: {}: has invalid value", event["type"]));
    }
    let (of, at) = (text(&event["regarding"]["namespace"]), text(&event["metadata"]["namespace"]));
    if of != at && !(of.is_empty() && at == "default") {
        return invalid("regarding.namespace", "Invalid value: does not match event.namespace");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let new = json!({
            "kind": "Event", "metadata": { "name": "x", "namespace": "shop" }, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Shift",
            "regarding": { "kind": "Deployment", "name": "d", "namespace": "shop" }, "note": "n", "reason": "Shifted", "type": "Normal",
            "reportingController": "example.com/c", "reportingInstance": "c-1",
        });
        let core = to_core(&new);
        assert_eq!((&core["involvedObject"]["name"], &core["message"]), (&json!("d"), &json!("n")));
        let back = from_core(&core);
        assert!(new.as_object().into_iter().flatten().all(|(field, value)| back[field] == *value), "{back}");
    }
}
