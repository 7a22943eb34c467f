//! The rules of the schemas that a release can trip over.

use super::resources::{Kind, Resource};
use super::status::Status;
use serde_json::Value;

/// The rules of the schemas that a release can trip over.
pub(crate) fn validate(resource: &Resource, name: &str, object: &Value) -> Result<(), Status> {
    let invalid = |field: &str, why: String| Err(Status::invalid(resource, name, field, &why));
    match resource.kind {
        Kind::Deployment | Kind::ReplicaSet => {
            let spec = &object["spec"];
            if !spec["replicas"].is_null() && spec["replicas"].as_u64().is_none_or(|n| n > 100_000) {
                return invalid("spec.replicas", format!("Invalid value: {}: must be greater than or equal to 0", spec["replicas"]));
            }
            let wanted = spec["selector"]["matchLabels"].as_object();
            if wanted.is_none_or(serde_json::Map::is_empty) {
                return invalid("spec.selector", "Required value".into());
            }
            let labels = &spec["template"]["metadata"]["labels"];
            if wanted.into_iter().flatten().any(|(label, value)| labels[label] != *value) {
                return invalid(
                    "spec.template.metadata.labels",
                    format!("Invalid value: {labels}: `selector` does not match template `labels`"),
                );
            }
            if spec["template"]["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
                return invalid("spec.template.spec.containers", "Required value".into());
            }
            Ok(())
        }
        Kind::VirtualService => {
            for (i, rule) in object["spec"]["http"].as_array().into_iter().flatten().enumerate() {
                for (j, route) in rule["route"].as_array().into_iter().flatten().enumerate() {
                    let weight = &route["weight"];
                    if !weight.is_null() && !weight.as_i64().is_some_and(|w| (0..=i64::from(i32::MAX)).contains(&w)) {
                        let field = format!("spec.http[{i}].route[{j}].weight");
                        return invalid(&field, format!("Invalid value: {weight}: must be an int32 not below 0"));
                    }
                    if !route["destination"]["host"].is_string() {
                        return invalid(&format!("spec.http[{i}].route[{j}].destination.host"), "Required value".into());
                    }
                }
            }
            Ok(())
        }
        Kind::HttpRoute => {
            for (i, rule) in object["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
                for (j, backend) in rule["backendRefs"].as_array().into_iter().flatten().enumerate() {
                    let weight = &backend["weight"];
                    if !weight.as_i64().is_some_and(|w| (0..=1_000_000).contains(&w)) {
                        let field = format!("spec.rules[{i}].backendRefs[{j}].weight");
                        return invalid(&field, format!("Invalid value: {weight}: {field} in body should be between 0 and 1000000"));
                    }
                }
            }
            Ok(())
        }
        Kind::Hpa => {
            let (least, most) = (&object["spec"]["minReplicas"], &object["spec"]["maxReplicas"]);
            if most.as_u64().is_none_or(|most| most == 0) {
                return invalid("spec.maxReplicas", format!("Invalid value: {}: must be greater than 0", most.as_i64().unwrap_or(0)));
            }
            if most.as_u64() < least.as_u64() {
                return invalid("spec.maxReplicas", format!("Invalid value: {most}: must be greater than or equal to `minReplicas`"));
            }
            Ok(())
        }
        Kind::Service => {
            if object["spec"]["type"] != "ExternalName" && object["spec"]["ports"].as_array().is_none_or(Vec::is_empty) {
                return invalid("spec.ports", "Required value".into());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What may not change.
pub(crate) fn validate_change(resource: &Resource, name: &str, before: &Value, after: &Value) -> Result<(), Status> {
    let selector = |object: &Value| object["spec"]["selector"].clone();
    if matches!(resource.kind, Kind::Deployment | Kind::ReplicaSet) && selector(before) != selector(after) {
        let why = format!("Invalid value: {}: field is immutable", selector(after));
        return Err(Status::invalid(resource, name, "spec.selector", &why));
    }
    if matches!(resource.kind, Kind::ConfigMap | Kind::Secret) && before["immutable"] == true && before["data"] != after["data"] {
        return Err(Status::invalid(resource, name, "data", "Forbidden: field is immutable when `immutable` is set"));
    }
    Ok(())
}
