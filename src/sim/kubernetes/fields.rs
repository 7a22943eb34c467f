//! Sets of fields as `managedFields` writes them (`f:name`, `k:{...}`, `v:...`), and the values behind them.

use super::resources::Kind;
use super::schema::{self, List};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One field, by its encoded steps.
pub(crate) type Path = Vec<String>;
/// Fields.
pub(crate) type Fields = BTreeSet<Path>;

/// The name of a plain field's step.
fn name(step: &str) -> Option<&str> {
    step.strip_prefix("f:")
}

/// Names of the fields on a path, elements of lists left out.
fn names(path: &[String]) -> Vec<&str> {
    path.iter().filter_map(|step| name(step)).collect()
}

/// Whether nobody owns a field: identity and bookkeeping.
fn unowned(names: &[&str]) -> bool {
    matches!(
        names,
        ["apiVersion" | "kind" | "metadata"]
            | [
                "metadata",
                "managedFields" | "resourceVersion" | "generation" | "creationTimestamp" | "uid" | "name" | "namespace" | "selfLink",
                ..
            ]
    )
}

/// The step of a list's element.
pub(crate) fn element(kind: Kind, path: &[&str], item: &Value) -> Option<String> {
    match schema::list(kind, path) {
        List::Atomic => None,
        List::Set => Some(format!("v:{item}")),
        List::Map(keys) => {
            let key: Map<String, Value> = keys
                .iter()
                .filter_map(|key| {
                    let value = item.get(key).cloned().or_else(|| schema::key_default(key).map(Value::from))?;
                    Some(((*key).to_owned(), value))
                })
                .collect();
            Some(format!("k:{}", Value::Object(key)))
        }
    }
}

/// All leaves of an object with their values. Elements of keyed lists are entries of their own, with null for a value.
pub(crate) fn leaves(kind: Kind, object: &Value) -> BTreeMap<Path, Value> {
    let mut all = BTreeMap::new();
    walk(kind, object, &mut Vec::new(), &mut all);
    all.retain(|path, _| !unowned(&names(path)));
    all
}

fn walk(kind: Kind, value: &Value, at: &mut Path, all: &mut BTreeMap<Path, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() && !schema::atomic_map(kind, &names(at)) => {
            for (name, child) in map {
                at.push(format!("f:{name}"));
                walk(kind, child, at, all);
                at.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && schema::list(kind, &names(at)) != List::Atomic => {
            for item in items {
                let Some(step) = element(kind, &names(at), item) else { continue };
                at.push(step);
                if item.is_object() {
                    all.insert(at.clone(), Value::Null);
                    walk(kind, item, at, all);
                } else {
                    all.insert(at.clone(), item.clone());
                }
                at.pop();
            }
        }
        Value::Null if at.is_empty() => {}
        value => {
            all.insert(at.clone(), value.clone());
        }
    }
}

/// Fields in which two states differ.
pub(crate) fn changed(kind: Kind, before: &Value, after: &Value) -> Fields {
    let (before, after) = (leaves(kind, before), leaves(kind, after));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let new = after.iter().filter(|(path, value)| before.get(*path) != Some(*value)).map(|(path, _)| path);
    gone.chain(new).cloned().collect()
}

/// From `fieldsV1`.
pub(crate) fn decode(encoded: &Value) -> Fields {
    fn collect(encoded: &Value, at: &mut Path, all: &mut Fields) {
        let map = encoded.as_object();
        if map.is_none_or(|map| map.is_empty() || map.contains_key(".")) && !at.is_empty() {
            all.insert(at.clone());
        }
        for (step, child) in map.into_iter().flatten().filter(|(step, _)| *step != ".") {
            at.push(step.clone());
            collect(child, at, all);
            at.pop();
        }
    }
    let mut all = Fields::new();
    collect(encoded, &mut Vec::new(), &mut all);
    all
}

/// To `fieldsV1`.
pub(crate) fn encode(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = &mut at[step.as_str()];
            if at.is_null() {
                *at = json!({});
            }
        }
        let has_children = fields.range(path.clone()..).nth(1).is_some_and(|next| next.starts_with(path));
        if has_children {
            at["."] = json!({});
        }
    }
    root
}

/// `.spec.containers[name="app"].image`, as conflicts name it.
pub(crate) fn display(path: &[String]) -> String {
    path.iter()
        .map(|step| match (step.split_at_checked(2), name(step)) {
            (_, Some(name)) => format!(".{name}"),
            (Some(("k:", key)), _) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                format!("[{}]", key.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","))
            }
            (Some((_, value)), _) => format!("[={value}]"),
            (None, None) => step.clone(),
        })
        .collect()
}

/// Removes a field; an object that is empty after that goes as well.
pub(crate) fn remove(kind: Kind, object: &mut Value, path: &[String]) {
    fn inner(kind: Kind, value: &mut Value, path: &[String], at: &mut Path) -> bool {
        let Some((step, rest)) = path.split_first() else { return true };
        if let Some(name) = name(step) {
            let Some(map) = value.as_object_mut() else { return false };
            let Some(child) = map.get_mut(name) else { return false };
            at.push(step.clone());
            let goes = inner(kind, child, rest, at);
            at.pop();
            if goes {
                map.remove(name);
            }
            return goes && map.is_empty();
        }
        let place = {
            let names = names(at);
            value.as_array().and_then(|items| items.iter().position(|item| element(kind, &names, item).as_ref() == Some(step)))
        };
        let (Some(place), Some(items)) = (place, value.as_array_mut()) else { return false };
        at.push(step.clone());
        if inner(kind, &mut items[place], rest, at) {
            items.remove(place);
        }
        at.pop();
        items.is_empty()
    }
    inner(kind, object, path, &mut Vec::new());
}

/// Works what is applied into an object.
pub(crate) fn merge(kind: Kind, into: &mut Value, applied: &Value) {
    fn inner(kind: Kind, into: &mut Value, applied: &Value, at: &mut Path) {
        match (&mut *into, applied) {
            (Value::Object(old), Value::Object(new)) if !schema::atomic_map(kind, &names(at)) => {
                for (name, value) in new {
                    at.push(format!("f:{name}"));
                    inner(kind, old.entry(name).or_insert(Value::Null), value, at);
                    at.pop();
                }
            }
            (Value::Array(old), Value::Array(new)) if schema::list(kind, &names(at)) != List::Atomic => {
                for item in new {
                    let step = element(kind, &names(at), item);
                    match old.iter().position(|known| element(kind, &names(at), known) == step) {
                        Some(place) => {
                            at.push(step.unwrap_or_default());
                            inner(kind, &mut old[place], item, at);
                            at.pop();
                        }
                        None => old.push(item.clone()),
                    }
                }
            }
            _ => *into = applied.clone(),
        }
    }
    inner(kind, into, applied, &mut Vec::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str) -> Value {
        json!({ "metadata": { "name": "d", "labels": { "app": "x" } }, "spec": { "template": { "spec": { "containers": [
            { "name": "app", "image": image, "ports": [{ "containerPort": 80 }] },
        ] } } } })
    }

    #[test]
    fn fields_round_trip_with_keyed_lists_and_their_elements() {
        let all: Fields = leaves(Kind::Deployment, &deployment("a:1")).into_keys().collect();
        let encoded = encode(&all);
        let container = &encoded["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"app\"}"];
        assert_eq!(container["."], json!({}));
        assert!(container["f:ports"]["k:{\"containerPort\":80,\"protocol\":\"TCP\"}"]["f:containerPort"].is_object());
        assert_eq!(decode(&encoded), all);
        assert!(encoded["f:metadata"]["f:name"].is_null());
    }

    #[test]
    fn a_changed_field_is_named_as_conflicts_name_it() {
        let fields = changed(Kind::Deployment, &deployment("a:1"), &deployment("a:2"));
        let named: Vec<String> = fields.iter().map(|path| display(path)).collect();
        assert_eq!(named, [".spec.template.spec.containers[name=\"app\"].image"]);
    }

    #[test]
    fn lists_of_custom_resources_are_one_value() {
        let before = json!({ "spec": { "http": [{ "route": [{ "weight": 1 }] }] } });
        let after = json!({ "spec": { "http": [{ "route": [{ "weight": 2 }] }] } });
        let named: Vec<String> = changed(Kind::VirtualService, &before, &after).iter().map(|path| display(path)).collect();
        assert_eq!(named, [".spec.http"]);
    }

    #[test]
    fn removing_the_last_field_of_a_map_removes_the_map() {
        let mut object = json!({ "metadata": { "name": "d", "annotations": { "a": "1" } } });
        remove(Kind::Deployment, &mut object, &["f:metadata".into(), "f:annotations".into(), "f:a".into()]);
        assert_eq!(object, json!({ "metadata": { "name": "d" } }));
    }
}
