//! HTTPRoutes as controllers leave them.

use super::*;
use crate::adapter::kubernetes::mechanism::EPOCH;
use crate::adapter::kubernetes::patch::{Stamps, build};
use crate::adapter::kubernetes::tests::spec as mesh_spec;
use crate::domain::{Epoch, OpId, RunId};
use serde_json::json;

/// A service whose traffic is split by this HTTPRoute.
pub(in crate::adapter::kubernetes) fn spec() -> ServiceSpec {
    let route = RouteSpec::HttpRoute {
        name: "checkout".to_owned(),
        rule: Some("split".to_owned()),
        baseline: "checkout-stable".to_owned(),
        canary: "checkout-canary".to_owned(),
    };
    ServiceSpec { route, ..mesh_spec() }
}

pub(in crate::adapter::kubernetes) fn object() -> Value {
    let told = |status: &str, seen: u64| {
        json!([
            {"type": "Accepted", "status": status, "reason": "Accepted", "message": "", "observedGeneration": seen},
            {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "", "observedGeneration": seen}])
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "resourceVersion": "41", "generation": 7,
            "annotations": {"gonogo.dev/run": "r", "gonogo.dev/op": "r/s/1", "gonogo.dev/epoch": "3", "team": "shop"},
            "managedFields": [{"manager": "kubectl", "time": "2026-03-14T03:07:12Z", "fieldsV1": {"f:spec": {}}}]},
        "spec": {
            "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}],
            "rules": [
                {"name": "insiders", "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"type": "Exact", "name": "x-canary", "value": "true"}]}],
                    "backendRefs": [{"group": "", "kind": "Service", "name": "checkout-canary", "port": 80, "weight": 1}]},
                {"name": "split", "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 80}}}],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": "checkout-stable", "port": 80, "weight": 75},
                        {"group": "", "kind": "Service", "name": "checkout-canary", "port": 80, "weight": 25}]}]},
        "status": {"parents": [{"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
            "controllerName": "example.com/gateway", "conditions": told("True", 7)}]},
    })
}

fn mechanism(spec: ServiceSpec) -> Gateway {
    let place = Place {
        group: GROUP,
        resource: "httproutes",
        kind: "HTTPRoute",
        collection: "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes".to_owned(),
        name: "checkout".to_owned(),
        namespace: "shop".to_owned(),
    };
    Gateway { place, spec: Arc::new(spec) }
}

fn to(weight: u32) -> Action {
    Action::SetWeight { canary: Percent::new(weight).unwrap() }
}

fn patched(object: &Value, read: &Look) -> Result<Value, String> {
    let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
    let patch = build(read, &Stamps { act: Some((&run, &op)), epoch: Epoch(4) });
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(object)
}

fn look(object: Value, weight: u32) -> Look {
    mechanism(spec()).look(object, &to(weight))
}

fn trouble(change: impl FnOnce(&mut Value)) -> String {
    let mut object = object();
    change(&mut object);
    look(object, 50).subject.trouble.expect("trouble")
}

#[test]
fn the_rule_is_found_by_name_and_read_whole() {
    let Reading { route, spot, .. } = read(object(), &spec());
    assert_eq!((route.canary, route.baseline, route.others, route.trouble), (25, 75, 0, None));
    assert_eq!(spot, Some(Spot { rule: 1, name: Some("split".into()), canary: 1, baseline: 0 }));
    assert_eq!((route.object.as_str(), route.rule.as_str()), ("httproute/checkout", "split"));
    assert_eq!(route.pinned, ["header x-canary=true -> canary"]);
    assert_eq!(route.stamp.unwrap().epoch, Epoch(3));
    assert_eq!(look(object(), 50).warnings, ["requests of this rule are also mirrored to service/shadow"]);
}

#[test]
fn a_weight_that_is_not_written_is_one_and_is_bound_to_the_version() {
    let mut bare = object();
    for at in 0..2 {
        bare["spec"]["rules"][1]["backendRefs"][at].as_object_mut().unwrap().remove("weight");
    }
    let look = look(bare.clone(), 25);
    let route = look.subject.route.as_deref().unwrap();
    assert_eq!((route.canary, route.baseline), (1, 1));
    let after = patched(&bare, &look).unwrap();
    let weights = |at: usize| after["spec"]["rules"][1]["backendRefs"][at]["weight"].clone();
    assert_eq!((weights(0), weights(1)), (json!(75), json!(25)), "a sum of 2 knows no quarter");
    bare["metadata"]["resourceVersion"] = json!("42");
    assert!(patched(&bare, &look).is_err());
}

#[test]
fn without_a_name_the_only_rule_that_sends_to_both_is_taken() {
    let mut unnamed = spec();
    unnamed.route = RouteSpec::HttpRoute {
        name: "checkout".to_owned(),
        rule: None,
        baseline: "checkout-stable".to_owned(),
        canary: "checkout-canary".to_owned(),
    };
    assert_eq!(read(object(), &unnamed).spot.unwrap().rule, 1);
    let mut two = object();
    two["spec"]["rules"][0]["backendRefs"] = two["spec"]["rules"][1]["backendRefs"].clone();
    assert!(read(two, &unnamed).route.trouble.unwrap().contains("2 rules send to both services"));
}

#[test]
fn every_field_relied_on_is_tested_and_nothing_else_changes() {
    let before = object();
    let read = look(before.clone(), 50);
    let mut expected = before.clone();
    for at in 0..2 {
        expected["spec"]["rules"][1]["backendRefs"][at]["weight"] = json!(50);
    }
    for (key, value) in [("gonogo.dev/run", "r2"), ("gonogo.dev/op", "r2/s/1"), (EPOCH, "4")] {
        expected["metadata"]["annotations"][key] = json!(value);
    }
    assert_eq!(patched(&before, &read).unwrap(), expected);
    let changes: [(&str, Value); 6] = [
        ("/metadata/uid", json!("u-2")),
        ("/metadata/annotations/gonogo.dev~1epoch", json!("4")),
        ("/spec/rules/1/name", json!("other")),
        ("/spec/rules/1/backendRefs/0/weight", json!(74)),
        ("/spec/rules/1/backendRefs/1/weight", json!(26)),
        ("/spec/rules/1/backendRefs/1/name", json!("other")),
    ];
    for (path, value) in changes {
        let mut moved = before.clone();
        *moved.pointer_mut(path).unwrap() = value;
        assert!(patched(&moved, &read).is_err(), "{path} changed and the patch went through");
    }
}

#[test]
fn every_way_in_which_weights_cannot_be_set_is_said() {
    let rule = "/spec/rules/1";
    assert!(trouble(|o| o.pointer_mut(rule).unwrap()["name"] = json!("other")).contains("there are: insiders, other"));
    assert!(trouble(|o| o["spec"]["rules"][0]["name"] = json!("split")).contains("2 rules are named"));
    assert!(
        trouble(|o| o.pointer_mut(rule).unwrap()["backendRefs"][1]["name"] = json!("x"))
            .contains("does not send to service/checkout-canary")
    );
    assert!(trouble(|o| o.pointer_mut(rule).unwrap()["backendRefs"][1]["namespace"] = json!("x")).contains("service/checkout-canary in x"));
    assert!(trouble(|o| o.pointer_mut(rule).unwrap()["backendRefs"][1]["weight"] = json!(1_000_001)).contains("which is no weight"));
    let third = json!({"name": "old", "port": 80, "weight": 10});
    let push = |o: &mut Value| o.pointer_mut(rule).unwrap()["backendRefs"].as_array_mut().unwrap().push(third);
    assert!(trouble(push).contains("other back-ends get 10 of 110: service/old"));
    let zero = |o: &mut Value| (0..2).for_each(|at| o["spec"]["rules"][1]["backendRefs"][at]["weight"] = json!(0));
    assert!(trouble(zero).contains("status 500"));
    let flagger = json!([{"kind": "Canary", "name": "checkout", "controller": true}]);
    assert!(trouble(|o| o["metadata"]["ownerReferences"] = flagger).contains("belongs to canary/checkout"));
    assert!(trouble(|o| o["metadata"]["managedFields"][0]["manager"] = json!("rollouts-controller")).contains("by itself"));
}

#[test]
fn what_the_gateways_say_is_told_and_only_a_refusal_stops_the_way_forward() {
    let mut late = object();
    late["metadata"]["generation"] = json!(8);
    assert_eq!(acceptance(&late), Acceptance::Pending("gateway/edge has not taken up the latest change".to_owned()));
    let seen = look(late, 50);
    assert_eq!((seen.subject.shown.as_str(), seen.subject.trouble), ("25% (not accepted by the gateway yet)", None));

    let mut refused = object();
    let condition = &mut refused["status"]["parents"][0]["conditions"][1];
    (condition["status"], condition["reason"], condition["message"]) = (json!("False"), json!("BackendNotFound"), json!("no service"));
    let forward = look(refused.clone(), 50).subject.trouble.unwrap();
    assert_eq!(forward, "the gateway refuses this route: gateway/edge: BackendNotFound: no service");
    let back = look(refused, 0);
    assert_eq!(back.subject.trouble, None, "back is always open");
    assert!(back.warnings.iter().any(|warning| warning.contains("BackendNotFound")));

    let mut silent = object();
    silent["status"] = json!({"parents": []});
    assert_eq!(acceptance(&silent), Acceptance::Pending("gateway/edge has said nothing about it".to_owned()));
    let mut gone = object();
    gone["status"]["parents"][0]["parentRef"]["name"] = json!("former");
    assert_eq!(acceptance(&gone), Acceptance::Pending("gateway/edge has said nothing about it".to_owned()), "another parent's word");
}
