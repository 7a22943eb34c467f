//! The three patch formats, as an API server applies them.

use super::resources::Kind;
use super::schema::{merge_key, merges_values};
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
pub(crate) fn strategic_patch(kind: Kind, object: &Value, patch: &Value) -> Result<Value, Unpatchable> {
    let patch = patch.as_object().ok_or(Unpatchable::Malformed)?;
    let mut result = object.clone();
    let Some(into) = result.as_object_mut() else { return Err(Unpatchable::DoesNotApply) };
    merge_map(kind, into, patch)?;
    Ok(result)
}

fn merge_map(kind: Kind, into: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Unpatchable> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => into.clear(),
        Some("delete") => {
            into.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(_) => return Err(Unpatchable::Malformed),
    }
    if let Some(Value::Array(keys)) = patch.get("$retainKeys") {
        into.retain(|name, _| keys.iter().any(|key| key == name));
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
            (Some(Value::Object(old)), Value::Object(new)) => merge_map(kind, old, new)?,
            (Some(Value::Array(old)), Value::Array(new)) if merge_key(kind, name).is_some() => {
                merge_list(kind, old, new, merge_key(kind, name).unwrap_or("name"))?;
            }
            (Some(Value::Array(old)), Value::Array(new)) if merges_values(name) => {
                let fresh: Vec<Value> = new.iter().filter(|item| !old.contains(item)).cloned().collect();
                old.extend(fresh);
            }
            (_, Value::Object(new)) => {
                let mut fresh = Map::new();
                merge_map(kind, &mut fresh, new)?;
                into.insert(name.clone(), Value::Object(fresh));
            }
            (_, Value::Array(new)) if merge_key(kind, name).is_some() => {
                let mut fresh = Vec::new();
                merge_list(kind, &mut fresh, new, merge_key(kind, name).unwrap_or("name"))?;
                into.insert(name.clone(), Value::Array(fresh));
            }
            (_, value) => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix("$setElementOrder/")
            && let (Some(Value::Array(items)), Value::Array(order)) = (into.get_mut(list), order)
        {
            put_in_order(items, order, merge_key(kind, list));
        }
    }
    Ok(())
}

/// Sorts what an order names by it; what only the server has keeps its place after what was before it.
fn put_in_order(items: &mut [Value], order: &[Value], key: Option<&str>) {
    let place = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    let mut named: Vec<Value> = items.iter().filter(|item| place(item).is_some()).cloned().collect();
    named.sort_by_key(|item| place(item));
    let mut named = named.into_iter();
    for item in items.iter_mut() {
        if place(item).is_some()
            && let Some(next) = named.next()
        {
            *item = next;
        }
    }
}

fn merge_list(kind: Kind, into: &mut Vec<Value>, patch: &[Value], key: &str) -> Result<(), Unpatchable> {
    if patch.iter().any(|item| item["$patch"] == "replace") {
        into.clear();
    }
    for item in patch {
        let new = item.as_object().ok_or(Unpatchable::Malformed)?;
        let directive = new.get("$patch").and_then(Value::as_str);
        if directive == Some("replace") {
            continue;
        }
        let id = new.get(key).ok_or(Unpatchable::Malformed)?;
        let at = into.iter().position(|old| old.get(key) == Some(id));
        match (at, directive) {
            (Some(at), Some("delete")) => {
                into.remove(at);
            }
            (None, Some("delete")) => {}
            (Some(at), _) => {
                if let Some(old) = into[at].as_object_mut() {
                    merge_map(kind, old, new)?;
                }
            }
            (None, _) => {
                let mut fresh = Map::new();
                merge_map(kind, &mut fresh, new)?;
                into.push(Value::Object(fresh));
            }
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
            strategic_patch(Kind::Deployment, &object, &patch).unwrap(),
            json!({ "spec": { "containers": [{ "name": "app", "image": "a:2", "env": [] }, { "name": "proxy", "image": "p:1" }] } })
        );
    }

    #[test]
    fn strategic_null_and_delete_directives_remove() {
        let object = json!({ "spec": { "paused": true, "containers": [{ "name": "a" }, { "name": "b" }] } });
        let patch = json!({ "spec": { "paused": null, "containers": [{ "name": "a", "$patch": "delete" }] } });
        assert_eq!(strategic_patch(Kind::Deployment, &object, &patch).unwrap(), json!({ "spec": { "containers": [{ "name": "b" }] } }));
    }

    #[test]
    fn an_order_that_is_set_is_kept_and_keys_that_are_not_retained_go() {
        let object = json!({ "spec": {
            "containers": [{ "name": "a" }, { "name": "sidecar" }, { "name": "b" }],
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } },
        } });
        let patch = json!({ "spec": {
            "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }], "containers": [{ "name": "b", "image": "b:2" }],
            "strategy": { "$retainKeys": ["type"], "type": "Recreate" },
        } });
        assert_eq!(
            strategic_patch(Kind::Deployment, &object, &patch).unwrap(),
            json!({ "spec": {
                "containers": [{ "name": "b", "image": "b:2" }, { "name": "sidecar" }, { "name": "a" }], "strategy": { "type": "Recreate" },
            } })
        );
    }

    #[test]
    fn ports_of_a_service_are_told_apart_by_their_port() {
        let object = json!({ "spec": { "ports": [{ "port": 80, "name": "http" }, { "port": 443 }] } });
        let patch = json!({ "spec": { "ports": [{ "port": 443, "name": "https" }] } });
        let expected = json!({ "spec": { "ports": [{ "port": 80, "name": "http" }, { "port": 443, "name": "https" }] } });
        assert_eq!(strategic_patch(Kind::Service, &object, &patch).unwrap(), expected);
    }
}
