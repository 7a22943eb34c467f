//! Services as blue and green stand behind them.

use super::*;
use crate::adapter::kubernetes::patch::{Stamps, build};
use crate::adapter::kubernetes::tests::spec as mesh_spec;
use crate::domain::{Epoch, OpId, RunId};
use serde_json::json;

/// A service that is switched by a selector.
pub(in crate::adapter::kubernetes) fn spec() -> ServiceSpec {
    let version = |version: &str| [("version".to_owned(), version.to_owned())].into_iter().collect();
    let route = RouteSpec::Selector { service: "checkout".to_owned(), baseline: version("blue"), canary: version("green") };
    ServiceSpec { route, ..mesh_spec() }
}

/// The Service, with blue behind it.
pub(in crate::adapter::kubernetes) fn object() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "resourceVersion": "41",
            "annotations": {"gonogo.dev/run": "r", "gonogo.dev/op": "r/s/1", "gonogo.dev/epoch": "3"}},
        "spec": {"type": "ClusterIP", "selector": {"app": "checkout", "version": "blue"}, "ports": [{"port": 80}]},
    })
}

fn known(canary: usize, baseline: usize) -> Survey {
    let count = |ready| Some(Ok(Count { all: 3, ready }));
    Survey { canary: count(canary), baseline: count(baseline), endpoints: Some([0, baseline, 0]) }
}

fn look_with(object: Value, survey: Survey, weight: u32) -> Look {
    let place = Place {
        group: "",
        resource: "services",
        kind: "Service",
        collection: "/api/v1/namespaces/shop/services".to_owned(),
        name: "checkout".to_owned(),
        namespace: "shop".to_owned(),
    };
    let canary = Percent::new(weight).unwrap();
    Switch { place, spec: Arc::new(spec()), survey }.look(object, &Action::SetWeight { canary })
}

fn patched(object: &Value, read: &Look) -> Result<Value, String> {
    let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
    let patch = build(read, &Stamps { act: Some((&run, &op)), epoch: Epoch(4) });
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(object)
}

#[test]
fn the_side_is_told_by_the_selector() {
    let blue = look_with(object(), known(3, 3), 100);
    let route = blue.subject.route.as_deref().unwrap();
    assert_eq!((route.canary, route.baseline, route.others), (0, 100, 0));
    assert_eq!(blue.subject.shown, "0% (endpoints: 0 canary, 3 baseline)");
    assert_eq!(blue.subject.fields["selector version"], "blue");
    let mut green = object();
    green["spec"]["selector"]["version"] = json!("green");
    assert!(look_with(green, known(3, 3), 100).subject.done);
    let mut neither = object();
    neither["spec"]["selector"]["version"] = json!("red");
    let neither = look_with(neither, known(3, 3), 100).subject;
    let why = "it selects app=checkout,version=red: neither the canary (version=green) nor the baseline (version=blue)";
    assert_eq!((neither.weight, neither.done, neither.trouble.as_deref()), (None, false, Some(why)));
}

#[test]
fn only_the_switched_key_changes_and_every_key_is_tested() {
    let before = object();
    let read = look_with(before.clone(), known(3, 3), 100);
    assert_eq!(read.subject.trouble, None);
    let after = patched(&before, &read).unwrap();
    assert_eq!(after["spec"]["selector"], json!({"app": "checkout", "version": "green"}));
    assert_eq!(after["spec"]["ports"], before["spec"]["ports"]);
    for (key, value) in [("app", "other"), ("version", "red")] {
        let mut moved = before.clone();
        moved["spec"]["selector"][key] = json!(value);
        assert!(patched(&moved, &read).is_err(), "{key}");
    }
    let mut narrower = before;
    (narrower["spec"]["selector"]["zone"], narrower["metadata"]["resourceVersion"]) = (json!("a"), json!("42"));
    assert!(patched(&narrower, &read).is_err(), "a key that came in between would pick less");
    let line = &read.change.lines[0];
    assert_eq!((line.field.as_str(), line.before.as_str(), line.after.as_str()), ("service/checkout selector version", "blue", "green"));
}

#[test]
fn a_switch_to_nothing_is_refused_both_ways_and_a_doubt_only_forward() {
    let refusal = look_with(object(), known(0, 3), 100).subject.trouble.unwrap();
    assert_eq!(refusal, "the selector app=checkout,version=green picks no ready pod (3 exist): switching would leave the service empty");
    let mut green = object();
    green["spec"]["selector"]["version"] = json!("green");
    assert!(look_with(green.clone(), known(3, 0), 0).subject.trouble.is_some());
    let blind = Survey { canary: Some(Err("forbidden".into())), baseline: Some(Err("forbidden".into())), endpoints: None };
    assert!(look_with(object(), blind.clone(), 100).subject.trouble.unwrap().contains("is not known: forbidden"));
    let back = look_with(green, blind, 0);
    assert!(back.subject.trouble.is_none() && back.warnings[0].contains("forbidden"), "{back:?}");
    assert_eq!(look_with(object(), known(3, 0), 0).subject.trouble, None, "where it already is, nothing is refused");
}

#[test]
fn what_cannot_be_done_and_what_should_be_known_is_said() {
    assert!(look_with(object(), known(3, 3), 50).subject.trouble.unwrap().contains("all or nothing"));
    let warnings = look_with(object(), known(1, 3), 100).warnings;
    assert!(warnings[0].contains("canary has 1 ready pods, baseline has 3") && warnings[1].contains("kept open"), "{warnings:?}");
    let mut external = object();
    external["spec"]["type"] = json!("ExternalName");
    assert!(look_with(external, known(3, 3), 100).subject.trouble.unwrap().contains("ExternalName"));
}
