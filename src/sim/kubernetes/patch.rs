//! The three patch formats, as an API server applies them.

use serde_json::{Map, Value};

/// A patch that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpatchable {
    /// The body is not a patch of this format.
    Malformed,
    /// It is one, but it does not fit the object: a failed `test`, a missing path.
    DoesNotApply,
}

/// Applies a JSON Patch (RFC 6902). A `test` for null also holds where nothing is. With `tests` off, `test` operations are passed over:
/// that tells what a refused patch would have done.
pub(crate) fn json_patch(object: &Value, patch: &Value, tests: bool) -> Result<Value, Unpatchable> {
    let operations = patch.as_array().ok_or(Unpatchable::Malformed)?;
    let mut result = object.clone();
    for operation in operations {
        let verb = operation["op"].as_str().ok_or(Unpatchable::Malformed)?;
        let path = operation["path"].as_str().ok_or(Unpatchable::Malformed)?;
        if verb == "test" {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            if tests && result.pointer(path).unwrap_or(&Value::Null) != expected {
                return Err(Unpatchable::DoesNotApply);
            }
            continue;
        }
        let one: json_patch::Patch = serde_json::from_value(Value::Array(vec![operation.clone()])).map_err(|_| Unpatchable::Malformed)?;
        json_patch::patch(&mut result, &one).map_err(|_| Unpatchable::DoesNotApply)?;
    }
    Ok(result)
}

/// Applies a JSON Merge Patch (RFC 7396).
pub(crate) fn merge_patch(object: &Value, patch: &Value) -> Result<Value, Unpatchable> {
    if !patch.is_object() {
        return Err(Unpatchable::Malformed);
    }
    let mut result = object.clone();
    json_patch::merge(&mut result, patch);
    Ok(result)
}

/// Applies a strategic merge patch: as a merge patch, but the lists that Kubernetes declares as keyed are merged by their key.
pub(crate) fn strategic_patch(object: &Value, patch: &Value) -> Result<Value, Unpatchable> {
    let patch = patch.as_object().ok_or(Unpatchable::Malformed)?;
    let mut result = object.clone();
    let Some(into) = result.as_object_mut() else { return Err(Unpatchable::DoesNotApply) };
    merge_map(into, patch)?;
    Ok(result)
}

/// The key that elements of a list are merged by; `None`: the list is replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => "name",
        "volumeMounts" => "mountPath",
        "ports" => "containerPort",
        "conditions" => "type",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        _ => return None,
    })
}

fn merge_map(into: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Unpatchable> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => into.clear(),
        Some("delete") => {
            into.clear();
            return Ok(());
        }
        _ => {}
    }
    for (name, value) in patch {
        if name == "$patch" || name == "$retainKeys" || name.starts_with("$setElementOrder/") {
            continue;
        }
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (into.get_mut(list), value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        match (into.get_mut(name), value) {
            (_, Value::Null) => {
                into.remove(name);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge_map(old, new)?,
            (Some(Value::Array(old)), Value::Array(new)) if merge_key(name).is_some() => {
                merge_list(old, new, merge_key(name).unwrap_or("name"))?;
            }
            (_, Value::Object(new)) => {
                let mut fresh = Map::new();
                merge_map(&mut fresh, new)?;
                into.insert(name.clone(), Value::Object(fresh));
            }
            (_, value) => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn merge_list(into: &mut Vec<Value>, patch: &[Value], key: &str) -> Result<(), Unpatchable> {
    // Services key their ports by `port`, containers by `containerPort`.
    let key = if key == "containerPort" && patch.iter().all(|item| item.get(key).is_none()) { "port" } else { key };
    for item in patch {
        let new = item.as_object().ok_or(Unpatchable::Malformed)?;
        if let Some("replace") = new.get("$patch").and_then(Value::as_str) {
            into.clear();
            continue;
        }
        let id = new.get(key).ok_or(Unpatchable::Malformed)?;
        let at = into.iter().position(|old| old.get(key) == Some(id));
        match (at, new.get("$patch").and_then(Value::as_str)) {
            (Some(at), Some("delete")) => {
                into.remove(at);
            }
            (None, Some("delete")) => {}
            (Some(at), _) => {
                if let Some(old) = into[at].as_object_mut() {
                    merge_map(old, new)?;
                }
            }
            (None, _) => into.push(item.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failed_test_stops_the_whole_patch() {
        let object = json!({ "a": 1, "b": 1 });
        let patch = json!([{ "op": "replace", "path": "/b", "value": 2 }, { "op": "test", "path": "/a", "value": 9 }]);
        assert_eq!(json_patch(&object, &patch, true), Err(Unpatchable::DoesNotApply));
        assert_eq!(json_patch(&object, &patch, false).unwrap(), json!({ "a": 1, "b": 2 }));
    }

    #[test]
    fn a_test_for_null_holds_where_nothing_is() {
        let patch = json!([{ "op": "test", "path": "/metadata/annotations/x", "value": null }]);
        assert!(json_patch(&json!({ "metadata": {} }), &patch, true).is_ok());
        assert!(json_patch(&json!({ "metadata": { "annotations": { "x": "1" } } }), &patch, true).is_err());
    }

    #[test]
    fn adding_below_a_missing_map_does_not_apply() {
        let patch = json!([{ "op": "add", "path": "/metadata/annotations/x", "value": "1" }]);
        assert_eq!(json_patch(&json!({ "metadata": {} }), &patch, true), Err(Unpatchable::DoesNotApply));
        assert_eq!(json_patch(&json!({}), &json!({ "op": "add" }), true), Err(Unpatchable::Malformed));
    }

    #[test]
    fn set_image_touches_the_named_container_alone() {
        let object =
            json!({ "spec": { "containers": [{ "name": "app", "image": "a:1", "env": [] }, { "name": "proxy", "image": "p:1" }] } });
        let patch =
            json!({ "spec": { "$setElementOrder/containers": [{ "name": "app" }], "containers": [{ "name": "app", "image": "a:2" }] } });
        assert_eq!(
            strategic_patch(&object, &patch).unwrap(),
            json!({ "spec": { "containers": [{ "name": "app", "image": "a:2", "env": [] }, { "name": "proxy", "image": "p:1" }] } })
        );
    }

    #[test]
    fn strategic_null_and_delete_directives_remove() {
        let object = json!({ "spec": { "paused": true, "containers": [{ "name": "a" }, { "name": "b" }] } });
        let patch = json!({ "spec": { "paused": null, "containers": [{ "name": "a", "$patch": "delete" }] } });
        assert_eq!(strategic_patch(&object, &patch).unwrap(), json!({ "spec": { "containers": [{ "name": "b" }] } }));
    }
}
