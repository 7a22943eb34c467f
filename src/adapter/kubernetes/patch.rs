//! The one kind of write: a JSON Patch that tests everything it relies on, then changes it and stamps the object.

use super::mechanism::{EPOCH, Look, OP, RUN};
use crate::domain::{DiffLine, Epoch, OpId, Route, RunId};
use serde_json::{Value, json};

/// What a patch leaves on the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps<'a> {
    /// Run and operation; a fence leaves the epoch alone.
    pub(super) act: Option<(&'a RunId, &'a OpId)>,
    /// The epoch.
    pub(super) epoch: Epoch,
}

/// Builds the patch: tests first, then the changes. Without an act it only stamps.
pub(super) fn build(look: &Look, stamps: &Stamps<'_>) -> Value {
    let change = &look.change;
    let mut tests = vec![test("/metadata/uid", &json!(look.subject.uid))];
    tests.extend(change.tests.iter().cloned());
    let mut changes = if stamps.act.is_some() { change.changes.clone() } else { vec![] };
    let mut by_version = change.untested;
    let notes = look.object.pointer("/metadata/annotations").filter(|notes| notes.is_object());
    match notes.and_then(|notes| notes.get(EPOCH)) {
        Some(epoch) => tests.push(test(&annotation(EPOCH), epoch)),
        None => by_version = true,
    }
    // A subresource takes nothing but its own part of the object: there the tests alone keep older epochs out.
    if change.subresource.is_none() || stamps.act.is_none() {
        if notes.is_none() {
            changes.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        }
        let mut stamped: Vec<(&str, String)> = Vec::new();
        if let Some((run, op)) = stamps.act {
            stamped.extend([(RUN, run.0.clone()), (OP, op.0.clone())]);
        }
        stamped.push((EPOCH, stamps.epoch.to_string()));
        // `add` puts a key whether or not it is there; the map itself is never put over another.
        changes.extend(stamped.into_iter().map(|(key, value)| json!({"op": "add", "path": annotation(key), "value": value})));
    }
    if by_version {
        tests.push(test("/metadata/resourceVersion", &json!(look.subject.version)));
    }
    tests.extend(changes);
    Value::Array(tests)
}

/// A `test` operation.
pub(super) fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// JSON pointer of an annotation.
pub(super) fn annotation(key: &str) -> String {
    format!("/metadata/annotations/{}", escaped(key))
}

/// One part of a JSON pointer.
pub(super) fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// A patch for people: one operation a line.
pub(super) fn shown(patch: &Value) -> String {
    let lines: Vec<String> = patch.as_array().into_iter().flatten().map(|op| format!("  {op}")).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// What differs between the object as read and as the platform would have it: what was asked for first, in its own words, then
/// everything that was not. Versions, bookkeeping and our own stamps are left out.
pub(super) fn diff(before: &Look, after: &Value, asked: Vec<DiffLine>) -> Vec<DiffLine> {
    let mut lines = asked;
    let mut rest = Vec::new();
    compare(&bare(&before.object, &before.change.covered), &bare(after, &before.change.covered), "", &mut rest);
    rest.truncate(40);
    let object = &before.subject.object;
    lines.extend(rest.into_iter().map(|(path, before, after)| DiffLine { field: format!("{object} {path}"), before, after }));
    lines
}

/// The lines of the two weights, where they differ. `rule` names the rule inside the object.
pub(super) fn weight_lines(route: &Route, rule: &str, canary: u32, baseline: u32) -> Vec<DiffLine> {
    [("canary", route.canary, canary), ("baseline", route.baseline, baseline)]
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(side, before, after)| DiffLine {
            field: format!("{} {rule} {side} weight", route.object),
            before: before.to_string(),
            after: after.to_string(),
        })
        .collect()
}

/// The object without what every write changes.
fn bare(object: &Value, covered: &[String]) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["managedFields", "resourceVersion", "generation"] {
            metadata.remove(key);
        }
        if let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            for key in [RUN, OP, EPOCH] {
                notes.remove(key);
            }
        }
        if metadata.get("annotations").is_some_and(|notes| notes.as_object().is_none_or(serde_json::Map::is_empty)) {
            metadata.remove("annotations");
        }
    }
    for pointer in covered {
        let Some((parent, last)) = pointer.rsplit_once('/') else { continue };
        let last = last.replace("~1", "/").replace("~0", "~");
        match object.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.remove(&last);
            }
            Some(Value::Array(list)) => {
                if let Some(item) = last.parse::<usize>().ok().and_then(|at| list.get_mut(at)) {
                    *item = Value::Null;
                }
            }
            _ => {}
        }
    }
    object
}

type Difference = (String, String, String);

fn compare(before: &Value, after: &Value, path: &str, out: &mut Vec<Difference>) {
    match (before, after) {
        (Value::Object(one), Value::Object(two)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(one.get(key).unwrap_or(&Value::Null), two.get(key).unwrap_or(&Value::Null), &path, out);
            }
        }
        (Value::Array(one), Value::Array(two)) => {
            for at in 0..one.len().max(two.len()) {
                compare(one.get(at).unwrap_or(&Value::Null), two.get(at).unwrap_or(&Value::Null), &format!("{path}[{at}]"), out);
            }
        }
        (one, two) if one == two => {}
        (one, two) => {
            let text = |value: &Value| match value {
                Value::Null => "(absent)".to_owned(),
                value => crate::domain::text::clean_bounded(&value.to_string(), 120),
            };
            out.push((crate::domain::text::clean_bounded(path, 160), text(one), text(two)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mechanism::Mechanism as _;
    use super::super::mesh::tests::{mesh, object};
    use super::*;
    use crate::domain::{Action, Percent};

    fn to(weight: u32) -> Action {
        Action::SetWeight { canary: Percent::new(weight).unwrap() }
    }

    fn apply(object: &Value, patch: &Value) -> Result<Value, String> {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
        Ok(object)
    }

    fn patch_of(object: &Value, action: Option<&Action>) -> Value {
        let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
        let act = action.map(|_| (&run, &op));
        let looked = mesh().look(object.clone(), action.unwrap_or(&to(50)));
        build(&looked, &Stamps { act, epoch: Epoch(4) })
    }

    #[test]
    fn only_the_two_weights_and_the_stamps_change() {
        let before = object();
        let after = apply(&before, &patch_of(&before, Some(&to(50)))).unwrap();
        let mut expected = before;
        for at in 0..2 {
            expected["spec"]["http"][1]["route"][at]["weight"] = json!(50);
        }
        for (key, value) in [(RUN, "r2"), (OP, "r2/s/1"), (EPOCH, "4")] {
            expected["metadata"]["annotations"][key] = json!(value);
        }
        assert_eq!(after, expected);
    }

    #[test]
    fn every_field_relied_on_is_tested() {
        let read = object();
        let patch = patch_of(&read, Some(&to(50)));
        let changes: [(&str, Value); 6] = [
            ("/metadata/uid", json!("u-2")),
            ("/metadata/annotations/gonogo.dev~1epoch", json!("4")),
            ("/spec/http/1/name", json!("secondary")),
            ("/spec/http/1/route/0/weight", json!(74)),
            ("/spec/http/1/route/1/weight", json!(26)),
            ("/spec/http/1/route/1/destination/subset", json!("other")),
        ];
        for (path, value) in changes {
            let mut moved = read.clone();
            *moved.pointer_mut(path).unwrap() = value;
            assert!(apply(&moved, &patch).is_err(), "{path} changed and the patch went through");
        }
    }

    #[test]
    fn a_first_write_adds_keys_and_is_bound_to_the_version() {
        let mut bare = object();
        bare["metadata"].as_object_mut().unwrap().remove("annotations");
        let patch = patch_of(&bare, Some(&to(50)));
        assert_eq!(apply(&bare, &patch).unwrap()["metadata"]["annotations"][EPOCH], "4");
        let mut moved = bare.clone();
        moved["metadata"]["annotations"] = json!({"team": "shop"});
        moved["metadata"]["resourceVersion"] = json!("42");
        assert!(apply(&moved, &patch).is_err(), "annotations that came in between would be lost");
        let mut others = object();
        others["metadata"]["annotations"] = json!({"team": "shop"});
        let after = apply(&others, &patch_of(&others, Some(&to(50)))).unwrap();
        assert_eq!(after["metadata"]["annotations"]["team"], "shop");
    }

    #[test]
    fn an_absent_weight_is_bound_to_the_version_and_added() {
        let mut object = object();
        object["spec"]["http"][1]["route"] = json!([
            {"destination": {"host": "checkout", "subset": "stable"}, "weight": 100},
            {"destination": {"host": "checkout", "subset": "canary"}}]);
        let patch = patch_of(&object, Some(&to(10)));
        assert!(patch.to_string().contains("/metadata/resourceVersion"));
        assert_eq!(apply(&object, &patch).unwrap()["spec"]["http"][1]["route"][1]["weight"], 10);
    }

    #[test]
    fn a_fence_changes_the_epoch_alone() {
        let before = object();
        let after = apply(&before, &patch_of(&before, None)).unwrap();
        let mut expected = before;
        expected["metadata"]["annotations"][EPOCH] = json!("4");
        assert_eq!(after, expected);
    }

    #[test]
    fn other_sums_are_kept() {
        let mut object = object();
        object["spec"]["http"][1]["route"][0]["weight"] = json!(6);
        object["spec"]["http"][1]["route"][1]["weight"] = json!(2);
        let route = mesh().look(object, &to(25)).subject.route.unwrap();
        assert_eq!(route.split(Percent::new(25).unwrap()), (2, 6));
    }

    #[test]
    fn what_a_webhook_changes_besides_is_shown() {
        let before = mesh().look(object(), &to(50));
        let mut after = apply(&before.object, &patch_of(&before.object, Some(&to(50)))).unwrap();
        after["metadata"]["generation"] = json!(9);
        after["spec"]["http"][1]["timeout"] = json!("5s");
        let lines = diff(&before, &after, mesh().between(&before, &mesh().look(after.clone(), &to(50))));
        let fields: Vec<&str> = lines.iter().map(|line| line.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "virtualservice/checkout http[primary] canary weight",
                "virtualservice/checkout http[primary] baseline weight",
                "virtualservice/checkout spec.http[1].timeout",
            ]
        );
    }
}
