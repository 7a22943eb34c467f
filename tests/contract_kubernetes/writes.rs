//! The one conditional write: what it changes, what it leaves alone, and when it is refused.

use crate::place::{Place, act, all_else, fence, note, to, weights};
use gonogo::domain::{Failure, Preflight, Refusal, Route};
use gonogo::port::Platform;
use http::Method;
use serde_json::{Value, json};

const JSON_PATCH: &str = "application/json-patch+json";

fn conflict(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. })
}

pub(crate) async fn a_first_write_without_annotations(place: &Place) {
    let before = place.route("first", 90, 10).await;
    assert!(before["metadata"]["annotations"].is_null(), "the case wants an object without the map");
    let kubernetes = place.connect("first").await;
    let route = kubernetes.read_route().await.unwrap().unwrap();
    let accepted = kubernetes.send(act(&route, 25, 1)).await.unwrap();
    let after = place.get(&place.route_path("first")).await;
    assert_eq!((weights(&after), all_else(&after)), ((75, 25), all_else(&before)));
    assert_eq!(note(&after, "gonogo.dev/run"), "checkout-20260314-1");
    assert_eq!(note(&after, "gonogo.dev/op"), "checkout-20260314-1/shift/1");
    assert_eq!(note(&after, "gonogo.dev/epoch"), "1");
    assert_eq!(accepted.version.unwrap(), after["metadata"]["resourceVersion"]);
    assert_eq!(accepted.after.unwrap().route.unwrap().canary, 25);
}

pub(crate) async fn a_second_write_tests_the_epoch_and_keeps_all_else(place: &Place) {
    place.route("second", 90, 10).await;
    let path = place.route_path("second");
    let before = place.merge(&path, &json!({"metadata": {"annotations": {"team": "shop", "a/b~c": "d"}}})).await;
    let kubernetes = place.connect("second").await;
    for (epoch, canary) in [(1, 20), (1, 30), (2, 0)] {
        let route = kubernetes.read_route().await.unwrap().unwrap();
        kubernetes.send(act(&route, canary, epoch)).await.unwrap();
        let after = place.get(&path).await;
        assert_eq!((weights(&after), all_else(&after)), ((100 - u64::from(canary), u64::from(canary)), all_else(&before)));
        assert_eq!(note(&after, "gonogo.dev/epoch"), epoch.to_string());
    }
    let writers = place.get(&path).await["metadata"]["managedFields"].to_string();
    assert!(writers.contains("\"gonogo\""), "our writes carry our name: {writers}");
}

pub(crate) async fn a_stale_plan_is_refused_and_changes_nothing(place: &Place) {
    place.route("stale", 90, 10).await;
    let path = place.route_path("stale");
    let kubernetes = place.connect("stale").await;
    let before = kubernetes.read_route().await.unwrap().unwrap();
    let patch = json!([{"op": "replace", "path": "/spec/http/1/route/1/weight", "value": 40}]);
    let (code, moved) = place.call(Method::PATCH, &path, JSON_PATCH, Some(&patch)).await;
    assert_eq!(code, 200);
    let failure = kubernetes.send(act(&before, 25, 1)).await.unwrap_err();
    assert!(conflict(&failure) && failure.to_string().contains("canary was 10 and is 40"), "{failure}");
    assert_eq!(place.get(&path).await["metadata"]["resourceVersion"], moved["metadata"]["resourceVersion"]);
}

pub(crate) async fn an_older_epoch_is_refused_after_a_fence(place: &Place) {
    place.route("fenced", 90, 10).await;
    let path = place.route_path("fenced");
    let kubernetes = place.connect("fenced").await;
    let route = kubernetes.read_route().await.unwrap().unwrap();
    kubernetes.send(act(&route, 20, 1)).await.unwrap();
    let early = kubernetes.read_route().await.unwrap().unwrap();
    kubernetes.send(fence(&early, 2)).await.unwrap();
    let late = kubernetes.read_route().await.unwrap().unwrap();
    let fenced = place.get(&path).await;
    for before in [early, late.clone()] {
        let failure = kubernetes.send(act(&before, 30, 1)).await.unwrap_err();
        assert!(conflict(&failure) && failure.to_string().contains("epoch"), "{failure}");
    }
    assert_eq!(place.get(&path).await["metadata"]["resourceVersion"], fenced["metadata"]["resourceVersion"]);
    kubernetes.send(act(&late, 30, 2)).await.unwrap();
}

pub(crate) async fn a_fence_changes_the_epoch_alone(place: &Place) {
    let before = place.route("fence", 90, 10).await;
    let path = place.route_path("fence");
    let kubernetes = place.connect("fence").await;
    kubernetes.send(fence(&kubernetes.read_route().await.unwrap().unwrap(), 3)).await.unwrap();
    let after = place.get(&path).await;
    assert_eq!((weights(&after), all_else(&after)), ((90, 10), all_else(&before)));
    assert_eq!((note(&after, "gonogo.dev/epoch"), note(&after, "gonogo.dev/op")), ("3", ""));
    kubernetes.send(act(&kubernetes.read_route().await.unwrap().unwrap(), 20, 3)).await.unwrap();
    kubernetes.send(fence(&kubernetes.read_route().await.unwrap().unwrap(), 4)).await.unwrap();
    let after = place.get(&path).await;
    assert_eq!((note(&after, "gonogo.dev/epoch"), note(&after, "gonogo.dev/op")), ("4", "checkout-20260314-1/shift/3"));
    assert_eq!(weights(&after), (80, 20));
}

pub(crate) async fn a_dry_run_changes_nothing(place: &Place) {
    let before = place.route("dry", 90, 10).await;
    let kubernetes = place.connect("dry").await;
    let plan = kubernetes.plan(to(25)).await.unwrap();
    assert_eq!((&plan.dry_run, &plan.access), (&Preflight::Accepted, &Preflight::Accepted), "{plan:?}");
    let lines: Vec<String> = plan.diff.iter().map(|line| format!("{}: {} -> {}", line.field, line.before, line.after)).collect();
    assert_eq!(
        lines,
        ["virtualservice/dry http[primary] canary weight: 10 -> 25", "virtualservice/dry http[primary] baseline weight: 90 -> 75"]
    );
    assert!(plan.request.contains("PATCH ") && plan.request.contains("\"/spec/http/1/route/1/weight\""), "{}", plan.request);
    assert_eq!(place.get(&place.route_path("dry")).await, before);
    let already = kubernetes.plan(to(10)).await.unwrap();
    assert!(already.is_noop() && already.diff.is_empty(), "{already:?}");
}

pub(crate) async fn other_sums_are_kept(place: &Place) {
    place.route("sums", 3, 1).await;
    let kubernetes = place.connect("sums").await;
    for (canary, expected) in [(50, (2, 2)), (100, (0, 4)), (0, (4, 0))] {
        let route = kubernetes.read_route().await.unwrap().unwrap();
        kubernetes.send(act(&route, canary, 1)).await.unwrap();
        assert_eq!(weights(&place.get(&place.route_path("sums")).await), expected);
    }
}

pub(crate) async fn the_rule_is_found_at_another_place(place: &Place) {
    place.route("moved", 90, 10).await;
    let path = place.route_path("moved");
    let kubernetes = place.connect("moved").await;
    let before = kubernetes.read_route().await.unwrap().unwrap();
    let rule = json!({"name": "health", "match": [{"uri": {"exact": "/health"}}], "route": [{"destination": {"host": "moved", "subset": "stable"}}]});
    let patch = json!([{"op": "add", "path": "/spec/http/0", "value": rule}]);
    assert_eq!(place.call(Method::PATCH, &path, JSON_PATCH, Some(&patch)).await.0, 200);
    kubernetes.send(act(&before, 30, 1)).await.unwrap();
    let after = place.get(&path).await;
    assert_eq!((weights(&after), &after["spec"]["http"][2]["name"]), ((70, 30), &json!("primary")));
    assert!(kubernetes.by_hand(&to(0), None)[0].contains("/spec/http/2/route/1/weight"));
}

pub(crate) async fn an_object_made_anew_is_another_object(place: &Place) {
    place.route("anew", 90, 10).await;
    let path = place.route_path("anew");
    let kubernetes = place.connect("anew").await;
    let before = kubernetes.read_route().await.unwrap().unwrap();
    place.delete(&path).await;
    let anew = place.route("anew", 90, 10).await;
    let failure = kubernetes.send(act(&before, 30, 1)).await.unwrap_err();
    assert!(conflict(&failure) && failure.to_string().contains("made anew"), "{failure}");
    assert_eq!(place.get(&path).await, anew);
}

/// What the adapter takes for a conflict: the server's own answer to a test that fails, and to a place that is gone.
pub(crate) async fn a_failed_test_is_answered_422_without_causes(place: &Place) {
    place.route("tests", 90, 10).await;
    let path = place.route_path("tests");
    let fails: [Value; 3] = [
        json!([{"op": "test", "path": "/metadata/uid", "value": "another"}]),
        json!([{"op": "test", "path": "/metadata/annotations/gonogo.dev~1epoch", "value": "1"}]),
        json!([{"op": "replace", "path": "/spec/http/7/route/0/weight", "value": 1}]),
    ];
    for patch in fails {
        let (code, status) = place.call(Method::PATCH, &path, JSON_PATCH, Some(&patch)).await;
        assert_eq!((code, &status["reason"]), (422, &json!("Invalid")), "{status}");
        assert!(status["details"]["causes"].as_array().is_none_or(Vec::is_empty), "{status}");
        assert!(!status["message"].as_str().unwrap().contains(" is invalid: "), "{status}");
    }
}

/// Validation is answered 422 too, but names the object.
pub(crate) async fn what_the_schema_refuses_is_no_conflict(place: &Place) {
    let (code, status) = place
        .call(
            Method::POST,
            &place.path("/apis/apps/v1", "deployments"),
            "application/json",
            Some(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "not-valid"}, "spec": {}})),
        )
        .await;
    assert_eq!(code, 422, "{status}");
    assert!(status["message"].as_str().unwrap().contains(" is invalid: "), "{status}");
}

pub(crate) async fn a_cockpit_that_only_reads_changes_nothing(place: &Place) {
    let before = place.route("spectated", 90, 10).await;
    let kubernetes = place.connect_as("spectated", false).await;
    let route: Route = kubernetes.read_route().await.unwrap().unwrap();
    assert!(matches!(kubernetes.send(act(&route, 25, 1)).await, Err(Failure::NotSent { .. })));
    assert!(matches!(kubernetes.plan(to(25)).await.unwrap().dry_run, Preflight::NotAsked { .. }));
    assert_eq!(place.get(&place.route_path("spectated")).await, before);
}
