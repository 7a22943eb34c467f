//! The one kind of write: a JSON Patch that tests everything it relies on, then changes two weights and stamps the object.

use super::route::{EPOCH, OP, RUN, Reading, Spot};
use crate::domain::{Action, DiffLine, Epoch, OpId, RunId};
use serde_json::{Value, json};

/// What a patch leaves on the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps<'a> {
    /// Run and operation; a fence leaves the epoch alone.
    pub(super) act: Option<(&'a RunId, &'a OpId)>,
    /// The epoch.
    pub(super) epoch: Epoch,
}

/// The weights an action would set: canary, baseline. The sum that is there is kept.
pub(super) fn weights(reading: &Reading, action: &Action) -> (u32, u32) {
    let sum = if reading.route.sum() == 0 { 100 } else { reading.route.sum() - reading.route.others };
    let canary = reading.route.relative(action.weight()).min(sum);
    (canary, sum - canary)
}

/// Builds the patch: tests first, then the changes. Without an action it only stamps.
pub(super) fn build(reading: &Reading, action: Option<&Action>, stamps: &Stamps<'_>) -> Value {
    let mut tests = vec![test("/metadata/uid", &json!(reading.route.uid))];
    let mut changes = Vec::new();
    let mut by_version = false;
    if let Some(spot) = &reading.spot {
        by_version |= !test_rule(reading, spot, &mut tests);
        if let Some(action) = action {
            let (canary, baseline) = weights(reading, action);
            for (at, weight) in [(spot.canary, canary), (spot.baseline, baseline)] {
                let path = format!("/spec/http/{}/route/{at}/weight", spot.rule);
                let op = if reading.object.pointer(&path).is_some() { "replace" } else { "add" };
                changes.push(json!({"op": op, "path": path, "value": weight}));
            }
        }
    }
    let notes = reading.object.pointer("/metadata/annotations").filter(|notes| notes.is_object());
    match notes.and_then(|notes| notes.get(EPOCH)) {
        Some(epoch) => tests.push(test(&annotation(EPOCH), epoch)),
        None => by_version = true,
    }
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
    if by_version {
        tests.push(test("/metadata/resourceVersion", &json!(reading.route.version)));
    }
    tests.extend(changes);
    Value::Array(tests)
}

fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// Tests the rule's name and every destination's subset and weight. False where something that is relied on is absent and
/// cannot be tested: then the object's version has to be.
fn test_rule(reading: &Reading, spot: &Spot, tests: &mut Vec<Value>) -> bool {
    let rule = format!("/spec/http/{}", spot.rule);
    let mut all_there = spot.name.is_some();
    if let Some(name) = &spot.name {
        tests.push(test(&format!("{rule}/name"), &json!(name)));
    }
    let routes = reading.object.pointer(&format!("{rule}/route")).and_then(Value::as_array);
    for at in 0..routes.map_or(0, Vec::len) {
        for field in ["destination/subset", "weight"] {
            let path = format!("{rule}/route/{at}/{field}");
            match reading.object.pointer(&path) {
                Some(value) => tests.push(test(&path, value)),
                None => all_there = false,
            }
        }
    }
    all_there
}

/// JSON pointer of an annotation.
fn annotation(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A patch for people: one operation a line.
pub(super) fn shown(patch: &Value) -> String {
    let lines: Vec<String> = patch.as_array().into_iter().flatten().map(|op| format!("  {op}")).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// What differs between the object as read and as the platform would have it: the weights first, then everything that was not
/// asked for. Versions, bookkeeping and our own stamps are left out.
pub(super) fn diff(before: &Reading, after: &Value, spec: &crate::domain::ServiceSpec) -> Vec<DiffLine> {
    let planned = super::route::read(after.clone(), spec).route;
    let route = &before.route;
    let mut lines = weight_lines(before, planned.canary, planned.baseline);
    let mut rest = Vec::new();
    compare(&bare(&before.object, before.spot.as_ref()), &bare(after, before.spot.as_ref()), "", &mut rest);
    rest.truncate(40);
    lines.extend(rest.into_iter().map(|(path, before, after)| DiffLine { field: format!("{} {path}", route.object), before, after }));
    lines
}

/// The lines of the two weights, where they differ.
pub(super) fn weight_lines(before: &Reading, canary: u32, baseline: u32) -> Vec<DiffLine> {
    let route = &before.route;
    let rule = if route.rule.starts_with("http[") { route.rule.clone() } else { format!("http[{}]", route.rule) };
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
fn bare(object: &Value, spot: Option<&Spot>) -> Value {
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
    for at in spot.map_or([None, None], |spot| [Some(spot.canary), Some(spot.baseline)]).into_iter().flatten() {
        let path = format!("/spec/http/{}/route/{at}", spot.map_or(0, |spot| spot.rule));
        if let Some(to) = object.pointer_mut(&path).and_then(Value::as_object_mut) {
            to.remove("weight");
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
    use super::super::route::{read, tests::object};
    use super::*;
    use crate::adapter::kubernetes::tests::spec;
    use crate::domain::Percent;

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
        build(&read(object.clone(), &spec()), action, &Stamps { act, epoch: Epoch(4) })
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
        assert_eq!(weights(&read(object, &spec()), &to(25)), (2, 6));
    }

    #[test]
    fn what_a_webhook_changes_besides_is_shown() {
        let before = read(object(), &spec());
        let mut after = apply(&before.object, &patch_of(&before.object, Some(&to(50)))).unwrap();
        after["metadata"]["generation"] = json!(9);
        after["spec"]["http"][1]["timeout"] = json!("5s");
        let lines = diff(&before, &after, &spec());
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
