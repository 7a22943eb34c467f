//! `managedFields`: who wrote which field last. Lists are owned whole, as in a resource without a list schema.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

type Path = Vec<String>;

/// Leaf fields in which two states of an object differ, bookkeeping aside.
pub(crate) fn changed(before: &Value, after: &Value) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    walk(before, after, &mut Vec::new(), &mut paths);
    paths.retain(|path| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        !matches!(
            path.as_slice(),
            ["apiVersion" | "kind" | "metadata"]
                | ["metadata", "managedFields" | "resourceVersion" | "generation" | "creationTimestamp" | "uid" | "name" | "namespace", ..]
        )
    });
    paths
}

fn walk(before: &Value, after: &Value, at: &mut Path, paths: &mut BTreeSet<Path>) {
    if before == after {
        return;
    }
    let empty = Map::new();
    match (before.as_object(), after.as_object()) {
        (None, None) => {
            paths.insert(at.clone());
        }
        (old, new) => {
            // A map on one side only still lists its leaves, so that adding the first annotation names that annotation.
            let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            if names.is_empty() {
                paths.insert(at.clone());
            }
            for name in names {
                at.push(name.clone());
                walk(old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null), at, paths);
                at.pop();
            }
        }
    }
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: Option<&'a str>,
    /// RFC 3339, whole seconds.
    pub(crate) time: &'a str,
}

/// The entries after a write that changed `paths`: the writer owns them, nobody else does any more.
pub(crate) fn entries(before: &Value, after: &Value, paths: &BTreeSet<Path>, writer: Writer<'_>) -> Value {
    let mut entries: Vec<Value> = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let is_ours = |entry: &Value| {
        entry["manager"] == writer.manager && entry["operation"] == "Update" && entry["subresource"].as_str() == writer.subresource
    };
    if paths.is_empty() {
        return Value::Array(entries);
    }
    let mut ours = BTreeSet::new();
    entries.retain_mut(|entry| {
        let mut owned = owned(&entry["fieldsV1"]);
        if is_ours(entry) {
            ours = owned;
            return false;
        }
        owned.retain(|path| !paths.contains(path));
        entry["fieldsV1"] = fields(&owned);
        !owned.is_empty()
    });
    ours.extend(paths.iter().cloned());
    // What was removed is owned by nobody.
    ours.retain(|path| exists(after, path));
    if !ours.is_empty() {
        let mut entry = json!({
            "manager": writer.manager, "operation": "Update", "apiVersion": writer.api_version, "time": writer.time,
            "fieldsType": "FieldsV1", "fieldsV1": fields(&ours),
        });
        if let Some(subresource) = writer.subresource {
            entry["subresource"] = Value::from(subresource);
        }
        entries.push(entry);
    }
    Value::Array(entries)
}

fn exists(object: &Value, path: &[String]) -> bool {
    path.iter().try_fold(object, |at, name| at.get(name)).is_some()
}

fn owned(fields: &Value) -> BTreeSet<Path> {
    fn collect(fields: &Value, at: &mut Path, paths: &mut BTreeSet<Path>) {
        let children = fields.as_object().into_iter().flatten().filter_map(|(name, child)| Some((name.strip_prefix("f:")?, child)));
        let mut leaf = true;
        for (name, child) in children {
            leaf = false;
            at.push(name.to_owned());
            collect(child, at, paths);
            at.pop();
        }
        if leaf && !at.is_empty() {
            paths.insert(at.clone());
        }
    }
    let mut paths = BTreeSet::new();
    collect(fields, &mut Vec::new(), &mut paths);
    paths
}

fn fields(paths: &BTreeSet<Path>) -> Value {
    let mut root = json!({});
    for path in paths {
        let mut at = &mut root;
        for name in path {
            at = &mut at[format!("f:{name}")];
            if at.is_null() {
                *at = json!({});
            }
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write<'a>(manager: &'a str, time: &'a str) -> Writer<'a> {
        Writer { manager, api_version: "networking.istio.io/v1", subresource: None, time }
    }

    #[test]
    fn a_field_belongs_to_who_wrote_it_last() {
        let first = json!({ "metadata": {}, "spec": { "http": [1], "hosts": ["a"] } });
        let mut one = first.clone();
        one["metadata"]["managedFields"] = entries(&Value::Null, &first, &changed(&Value::Null, &first), write("kubectl", "t1"));
        let mut two = one.clone();
        two["spec"]["http"] = json!([2]);
        let paths = changed(&one, &two);
        let entries = entries(&one, &two, &paths, write("gonogo", "t2"));
        assert_eq!(entries[0]["fieldsV1"], json!({ "f:spec": { "f:hosts": {} } }));
        assert_eq!((entries[1]["manager"].as_str(), entries[1]["time"].as_str()), (Some("gonogo"), Some("t2")));
        assert_eq!(entries[1]["fieldsV1"], json!({ "f:spec": { "f:http": {} } }));
    }

    #[test]
    fn the_first_annotation_is_a_change_of_that_annotation() {
        let before = json!({ "metadata": { "name": "x", "resourceVersion": "1" } });
        let after = json!({ "metadata": { "name": "x", "resourceVersion": "2", "annotations": { "gonogo.dev/epoch": "4" } } });
        let paths: Vec<_> = changed(&before, &after).into_iter().collect();
        assert_eq!(paths, [vec!["metadata".to_owned(), "annotations".to_owned(), "gonogo.dev/epoch".to_owned()]]);
    }
}
