//! Cells of kinds that definitions bring: values at a path, as their `additionalPrinterColumns` say.

use super::cells::created;
use crate::sim::kubernetes::resources::Kind;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What a column shows of a value: text as it is, lists and maps as JSON, nothing for nothing.
fn shown(object: &Value, pointer: &str) -> Value {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Value::Null,
        Some(list @ (Value::Array(_) | Value::Object(_))) => json!(list.to_string()),
        Some(value) => value.clone(),
    }
}

pub(super) fn cells(kind: Kind, object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let at = |pointer: &str| shown(object, pointer);
    let age = created(object, now);
    match kind {
        Kind::VirtualService => vec![at("/spec/gateways"), at("/spec/hosts"), age],
        Kind::DestinationRule => vec![at("/spec/host"), age],
        Kind::Gateway => {
            let conditions = object["status"]["conditions"].as_array();
            let programmed = conditions.and_then(|all| all.iter().find(|c| c["type"] == "Programmed"));
            vec![
                at("/spec/gatewayClassName"),
                at("/status/addresses/0/value"),
                programmed.map_or(Value::Null, |c| c["status"].clone()),
                age,
            ]
        }
        Kind::HttpRoute => vec![at("/spec/hostnames"), age],
        Kind::Rollout => {
            vec![at("/spec/replicas"), at("/status/replicas"), at("/status/updatedReplicas"), at("/status/availableReplicas"), age]
        }
        Kind::AnalysisRun => vec![at("/status/phase"), age],
        Kind::AnalysisTemplate => vec![age],
        Kind::Canary => {
            vec![
                at("/status/phase"),
                at("/status/canaryWeight"),
                at("/status/lastTransitionTime"),
                at("/status/failedChecks"),
                at("/spec/analysis/interval"),
                at("/spec/analysis/stepWeight"),
                at("/spec/analysis/maxWeight"),
            ]
        }
        _ => Vec::new(),
    }
}
