//! Pairs of Ingresses as people write them.

use super::*;
use crate::adapter::kubernetes::patch::{Stamps, build};
use crate::domain::{Epoch, OpId, RunId};
use serde_json::json;

fn ingress(name: &str, notes: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "41", "annotations": notes,
            "managedFields": [{"manager": "kubectl-annotate", "time": "2026-03-14T03:07:12Z", "fieldsV1": {"f:metadata": {}}}]},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example", "http": {"paths": [
            {"path": "/checkout", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}]}}]},
    })
}

/// A canary Ingress with a quarter of the requests.
pub(in crate::adapter::kubernetes) fn object() -> Value {
    ingress(
        "checkout-canary",
        &json!({CANARY: "true", WEIGHT: "25", HEADER: "X-Canary", COOKIE: "beta", "gonogo.dev/epoch": "3", "gonogo.dev/run": "r",
            "gonogo.dev/op": "r/s/1", "team": "shop"}),
    )
}

fn stable() -> Value {
    ingress("checkout", &json!({"team": "shop"}))
}

fn look_among(object: Value, all: Vec<Value>, weight: u32) -> Look {
    let place = Place {
        group: GROUP,
        resource: "ingresses",
        kind: "Ingress",
        collection: "/apis/networking.k8s.io/v1/namespaces/shop/ingresses".to_owned(),
        name: "checkout-canary".to_owned(),
        namespace: "shop".to_owned(),
    };
    let canary = Percent::new(weight).unwrap();
    Canary { place, neighbours: Neighbours::Read(all) }.look(object, &Action::SetWeight { canary })
}

fn look(object: Value, weight: u32) -> Look {
    look_among(object.clone(), vec![stable(), object], weight)
}

fn patched(object: &Value, read: &Look) -> Result<Value, String> {
    let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
    let patch = build(read, &Stamps { act: Some((&run, &op)), epoch: Epoch(4) });
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(object)
}

fn trouble(change: impl FnOnce(&mut Value)) -> String {
    let mut object = object();
    change(&mut object);
    look(object, 50).subject.trouble.expect("trouble")
}

#[test]
fn weight_and_what_takes_precedence_are_read() {
    let look = look(object(), 50);
    let route = look.subject.route.as_deref().unwrap();
    assert_eq!((route.canary, route.baseline, &route.trouble), (25, 75, &None));
    assert_eq!(route.rule, "shop.example/checkout");
    let pinned = [
        "header X-Canary=always -> canary",
        "header X-Canary=never -> baseline",
        "cookie beta=always -> canary",
        "cookie beta=never -> baseline",
    ];
    assert_eq!(route.pinned, pinned);
    assert_eq!(route.last_writer.as_deref(), Some("kubectl-annotate at 2026-03-14T03:07:12Z"));
    assert!(look.warnings[0].contains("retired") && look.warnings[1].contains("does not tell"), "{:?}", look.warnings);
    let mut exact = object();
    exact["metadata"]["annotations"][HEADER_VALUE] = json!("insider");
    exact["metadata"]["annotations"][HEADER_PATTERN] = json!("never used");
    assert_eq!(super::pinned(&exact)[0], ("header X-Canary=insider".to_owned(), true));
}

#[test]
fn only_the_weight_changes_and_everything_that_decides_is_tested() {
    let before = object();
    let read = look(before.clone(), 50);
    let after = patched(&before, &read).unwrap();
    let mut expected = before.clone();
    for (key, value) in [(WEIGHT, "50"), ("gonogo.dev/run", "r2"), ("gonogo.dev/op", "r2/s/1"), ("gonogo.dev/epoch", "4")] {
        expected["metadata"]["annotations"][key] = json!(value);
    }
    assert_eq!(after, expected, "a text, as all annotations are");
    for (key, value) in [(WEIGHT, "26"), (CANARY, "false"), (HEADER, "X-Other"), (COOKIE, "other"), ("gonogo.dev/epoch", "4")] {
        let mut moved = before.clone();
        moved["metadata"]["annotations"][key] = json!(value);
        assert!(patched(&moved, &read).is_err(), "{key} changed and the patch went through");
    }
    let mut moved = before;
    moved["metadata"]["annotations"][HEADER_VALUE] = json!("x");
    moved["metadata"]["resourceVersion"] = json!("42");
    assert!(patched(&moved, &read).is_err(), "an annotation came in between");
}

#[test]
fn the_whole_that_was_there_is_kept_unless_it_cannot_express_the_share() {
    let mut of_thousand = object();
    of_thousand["metadata"]["annotations"][WHOLE] = json!("1000");
    let notes = |object: &Value, weight: u32| patched(object, &look(object.clone(), weight)).unwrap()["metadata"]["annotations"].clone();
    let after = notes(&of_thousand, 50);
    assert_eq!((&after[WEIGHT], &after[WHOLE]), (&json!("500"), &json!("1000")));
    let mut of_three = object();
    (of_three["metadata"]["annotations"][WHOLE], of_three["metadata"]["annotations"][WEIGHT]) = (json!("3"), json!("1"));
    let after = notes(&of_three, 25);
    assert_eq!((&after[WEIGHT], &after[WHOLE]), (&json!("25"), &json!("100")));
}

#[test]
fn every_way_in_which_weights_cannot_be_set_is_said() {
    let set = |key: &'static str, value: Value| trouble(|o| o["metadata"]["annotations"][key] = value);
    assert!(set(CANARY, json!("True")).contains("is `True` instead of `true`: it is no canary; with a weight nginx refuses it"));
    assert!(set(WEIGHT, json!("a lot")).contains("which is no number"));
    assert!(set(WEIGHT, json!("101")).contains("101 is more than the whole, 100"));
    assert!(set(WHOLE, json!("0")).contains("is 0"));
    assert!(set("gonogo.dev/epoch", json!("x")).contains("no number"));
    let flagger = json!([{"kind": "Canary", "name": "checkout", "controller": true}]);
    assert!(trouble(|o| o["metadata"]["ownerReferences"] = flagger).contains("belongs to canary/checkout"));
    let alone = look_among(object(), vec![object()], 50).subject.trouble.unwrap();
    assert!(alone.contains("no other Ingress serves shop.example/checkout"), "{alone}");
    let mut second = object();
    second["metadata"]["name"] = json!("checkout-beta");
    let two = look_among(object(), vec![stable(), object(), second], 50).subject.trouble.unwrap();
    assert!(two.contains("ingress/checkout-beta is a canary of the same host and path"), "{two}");
    let mut elsewhere = stable();
    elsewhere["spec"]["ingressClassName"] = json!("traefik");
    assert!(look_among(object(), vec![elsewhere], 50).subject.trouble.is_some(), "another controller's Ingress is no partner");
}

#[test]
fn sticky_sessions_are_said() {
    let mut sticky = stable();
    sticky["metadata"]["annotations"][AFFINITY] = json!("cookie");
    let warned = |object: Value| look_among(object, vec![sticky.clone()], 50).warnings.iter().any(|warning| warning.contains("sticky"));
    assert!(warned(object()));
    let mut legacy = object();
    legacy["metadata"]["annotations"][BEHAVIOUR] = json!("legacy");
    assert!(!warned(legacy));
}
