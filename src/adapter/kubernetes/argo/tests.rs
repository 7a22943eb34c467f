//! Verbs on a Rollout, against objects as the controller leaves them.

use super::*;
use crate::adapter::kubernetes::mechanism::Look;
use crate::adapter::kubernetes::patch::{Stamps, build};
use crate::domain::{Epoch, OpId, RunId, Track};
use serde_json::json;

/// At a pause at 20 % (step 2 of 4), under Istio, stamped by an earlier act.
pub(super) fn object() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "resourceVersion": "41", "generation": 7,
            "annotations": {"rollout.argoproj.io/revision": "2", "gonogo.dev/run": "r", "gonogo.dev/op": "r/s/1", "gonogo.dev/epoch": "3"}},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "checkout"}},
            "template": template("v2"),
            "strategy": {"canary": {"canaryService": "checkout-canary", "stableService": "checkout-stable",
                "trafficRouting": {"istio": {"virtualService": {"name": "checkout", "routes": ["primary"]}}},
                "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "10m"}}]}}},
        "status": {"phase": "Paused", "message": "CanaryPauseStep", "observedGeneration": "7", "currentPodHash": "new", "stableRS": "old",
            "currentStepIndex": 1, "currentStepHash": "steps", "controllerPause": true, "selector": "app=checkout",
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-03-14T03:00:00Z"}],
            "replicas": 5, "updatedReplicas": 1, "readyReplicas": 5, "availableReplicas": 5,
            "canary": {"weights": {"canary": {"weight": 20, "podTemplateHash": "new"}, "stable": {"weight": 80, "podTemplateHash": "old"}}}},
    })
}

fn template(version: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}},
        "spec": {"containers": [{"name": "app", "image": format!("shop/checkout:{version}")}, {"name": "proxy", "image": "p:1"}]}})
}

fn place() -> Place {
    Place {
        group: GROUP,
        resource: "rollouts",
        kind: "Rollout",
        collection: "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts".into(),
        name: "checkout".into(),
        namespace: "shop".into(),
    }
}

fn steer(object: &Value, action: &Action) -> Look {
    Steering::new(place()).look(object.clone(), action)
}

fn specify(object: &Value, action: &Action) -> Look {
    Specified::new(place(), chrono::DateTime::UNIX_EPOCH).look(object.clone(), action)
}

const PROMOTE: Action = Action::Promote { full: false, from: None };
const FULL: Action = Action::Promote { full: true, from: None };
const ABORT: Action = Action::AbortRollout { revision: None };
const RETRY: Action = Action::RetryRollout { revision: None };

fn patch_of(look: &Look) -> Value {
    let (run, op) = (RunId::from("r2"), OpId::from("r2/s/1"));
    build(look, &Stamps { act: Some((&run, &op)), epoch: Epoch(4) })
}

fn apply(object: &Value, patch: &Value) -> Result<Value, String> {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(object)
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = object();
    change(&mut object);
    object
}

/// What the controller makes of a pause that was ended.
fn moved_on(object: &Value) -> Value {
    let mut object = object.clone();
    object["status"]["currentStepIndex"] = json!(2);
    object["status"]["controllerPause"] = json!(false);
    object["status"]["phase"] = json!("Progressing");
    object
}

#[test]
fn a_promote_ends_the_pause_and_touches_nothing_else() {
    let look = steer(&object(), &PROMOTE);
    assert_eq!(look.subject.trouble, None);
    assert_eq!((look.subject.stamped, look.change.subresource), (false, Some("status")));
    assert_eq!(look.action.consequence(), "50");
    let after = apply(&object(), &patch_of(&look)).unwrap();
    let mut expected = object();
    expected["status"].as_object_mut().unwrap().remove("pauseConditions");
    assert_eq!(after, expected);
    let there = steer(&after, &look.action);
    assert!(Steering::new(place()).takes(&look, &there), "a dry run shows the pause ended");
    assert!(!there.subject.done, "the controller has not moved yet: a second promote must not count this one as its own");
    assert!(steer(&moved_on(&after), &look.action).subject.done);
}

#[test]
fn of_two_operators_who_promote_one_moves_the_rollout() {
    let (one, two) = (patch_of(&steer(&object(), &PROMOTE)), patch_of(&steer(&object(), &PROMOTE)));
    let after = apply(&object(), &one).unwrap();
    assert!(apply(&after, &two).is_err(), "before the controller came by");
    let mut paused_again = moved_on(&after);
    paused_again["status"]["currentStepIndex"] = json!(3);
    paused_again["status"]["controllerPause"] = json!(true);
    paused_again["status"]["pauseConditions"] = json!([{"reason": "CanaryPauseStep", "startTime": "2026-03-14T03:00:00Z"}]);
    assert!(apply(&paused_again, &two).is_err(), "at the next pause");
    let running = changed(|it| {
        it["spec"]["strategy"]["canary"]["steps"][1] = json!({"analysis": {"templates": [{"templateName": "errors"}]}});
        it["status"]["controllerPause"] = json!(false);
        it["status"].as_object_mut().unwrap().remove("pauseConditions");
    });
    let patch = patch_of(&steer(&running, &PROMOTE));
    let skipped = apply(&running, &patch).unwrap();
    assert_eq!(skipped["status"]["currentStepIndex"], 2);
    assert!(apply(&skipped, &patch).is_err(), "a running analysis is skipped once");
}

#[test]
fn everything_a_promote_relies_on_is_tested() {
    let patch = patch_of(&steer(&object(), &PROMOTE));
    let moves: [(&str, Value); 8] = [
        ("/metadata/uid", json!("u-2")),
        ("/metadata/annotations/gonogo.dev~1epoch", json!("4")),
        ("/status/currentPodHash", json!("newer")),
        ("/status/stableRS", json!("new")),
        ("/status/currentStepIndex", json!(3)),
        ("/status/currentStepHash", json!("other steps")),
        ("/status/pauseConditions/0/startTime", json!("2026-03-14T03:05:00Z")),
        ("/status/pauseConditions/0/reason", json!("InconclusiveAnalysisRun")),
    ];
    for (path, value) in moves {
        let moved = changed(|it| *it.pointer_mut(path).unwrap() = value);
        assert!(apply(&moved, &patch).is_err(), "{path} changed and the patch went through");
    }
}

#[test]
fn a_promote_that_would_do_nothing_or_something_else_is_refused() {
    let trouble =
        |action: &Action, change: &dyn Fn(&mut Value)| steer(&changed(|it| change(it)), action).subject.trouble.unwrap_or_default();
    let settle = |it: &mut Value| it["status"]["stableRS"] = json!("new");
    assert!(trouble(&PROMOTE, &settle).contains("nothing to promote"));
    assert!(trouble(&FULL, &settle).contains("nothing to promote"), "right after an undo it would report success and do nothing");
    assert!(trouble(&FULL, &|it| it["metadata"]["generation"] = json!(8)).contains("has not taken up"));
    assert!(trouble(&PROMOTE, &|it| it["spec"]["paused"] = json!(true)).contains("resume it first"));
    assert!(trouble(&FULL, &|it| it["spec"]["paused"] = json!(true)).contains("resume it first"));
    assert!(trouble(&PROMOTE, &|it| it["status"]["abort"] = json!(true)).contains("retry it first"));
    assert!(trouble(&PROMOTE, &|it| it["status"]["pauseConditions"] = json!([])).contains("wait a moment"));
    let on_its_way = |it: &mut Value| {
        it["status"]["currentStepIndex"] = json!(2);
        it["status"]["controllerPause"] = json!(false);
        it["status"]["pauseConditions"] = json!(null);
    };
    assert!(trouble(&PROMOTE, &on_its_way).contains("waits for nothing"), "a weight step waits for instances: promoting would not");
    assert!(trouble(&PROMOTE, &|it| it["status"] = json!({})).contains("is Argo Rollouts running"));
    let weights = Action::SetWeight { canary: crate::domain::Percent::FULL };
    assert!(trouble(&weights, &|_| {}).contains("the controller"));
}

#[test]
fn a_running_analysis_is_named_before_it_is_skipped() {
    let running = changed(|it| {
        it["spec"]["strategy"]["canary"]["steps"][1] = json!({"analysis": {"templates": [{"templateName": "errors"}]}});
        it["status"]["controllerPause"] = json!(false);
        it["status"]["pauseConditions"] = json!(null);
    });
    let look = steer(&running, &PROMOTE);
    assert_eq!(look.subject.trouble, None);
    assert!(look.warnings[0].contains("the analysis of step 2 of 4 runs, and would be skipped"), "{:?}", look.warnings);
    assert!(steer(&running, &FULL).warnings.iter().any(|it| it.contains("ended without a result")));
}

#[test]
fn an_inconclusive_analysis_is_passed_as_the_rollouts_own_client_does() {
    let unsure = changed(|it| {
        it["spec"]["strategy"]["canary"]["steps"][1] = json!({"analysis": {"templates": [{"templateName": "errors"}]}});
        it["status"]["pauseConditions"][0]["reason"] = json!("InconclusiveAnalysisRun");
        it["status"]["canary"]["currentStepAnalysisRunStatus"] = json!({"name": "a", "status": "Inconclusive"});
    });
    let look = steer(&unsure, &PROMOTE);
    let after = apply(&unsure, &patch_of(&look)).unwrap();
    assert_eq!((&after["status"]["currentStepIndex"], &after["status"]["controllerPause"]), (&json!(2), &json!(false)));
    assert_eq!(after["status"].get("pauseConditions"), None);
    assert!(look.warnings.iter().any(|it| it.contains("could not tell")));
}

#[test]
fn an_abort_of_nothing_is_refused_and_its_end_is_told() {
    let look = steer(&object(), &ABORT);
    assert_eq!(look.action, Action::AbortRollout { revision: Some("new".into()) });
    assert_eq!(look.action.consequence(), "0");
    let after = apply(&object(), &patch_of(&look)).unwrap();
    assert_eq!(after["status"]["abort"], true);
    assert!(steer(&after, &look.action).subject.done);
    assert!(look.warnings[0].contains("retry goes forward again"), "{:?}", look.warnings);
    let settled = changed(|it| it["status"]["stableRS"] = json!("new"));
    assert!(steer(&settled, &ABORT).subject.trouble.unwrap().contains("nothing to abort"));
    assert!(!steer(&settled, &look.action).subject.done, "it became the proven version instead");
    let reverted = changed(|it| it["status"]["currentPodHash"] = json!("old"));
    assert!(steer(&reverted, &look.action).subject.done, "the specification went back: what was given up is gone");
    let next = changed(|it| it["status"]["currentPodHash"] = json!("newer"));
    assert!(!steer(&next, &look.action).subject.done);
    let kept = changed(|it| it["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!("x"));
    assert!(steer(&kept, &ABORT).warnings[0].contains("Argo CD"));
}

#[test]
fn a_retry_takes_the_abort_back() {
    let aborted = changed(|it| it["status"]["abort"] = json!(true));
    let look = steer(&aborted, &RETRY);
    assert!(!look.subject.done);
    let after = apply(&aborted, &patch_of(&look)).unwrap();
    assert_eq!(after["status"]["abort"], false);
    assert!(steer(&after, &look.action).subject.done);
    assert!(apply(&changed(|it| it["status"]["abort"] = json!(false)), &patch_of(&look)).is_err(), "somebody retried already");
}

#[test]
fn specification_verbs_set_one_field_and_stamp() {
    let pause = specify(&object(), &Action::Pause { track: Track::Canary });
    let after = apply(&object(), &patch_of(&pause)).unwrap();
    assert_eq!((&after["spec"]["paused"], &after["metadata"]["annotations"]["gonogo.dev/epoch"]), (&json!(true), &json!("4")));
    assert!(patch_of(&pause).to_string().contains("/metadata/resourceVersion"), "an absent field is bound to the version");
    assert!(specify(&after, &Action::Pause { track: Track::Canary }).subject.done);
    assert!(specify(&object(), &Action::Resume { track: Track::Canary }).subject.done, "what is absent is not paused");
    let restart = specify(&object(), &Action::Restart { track: Track::Canary, at: None });
    assert_eq!(restart.consequence.as_deref(), Some("5"));
    assert_eq!(apply(&object(), &patch_of(&restart)).unwrap()["spec"]["restartAt"], "1970-01-01T00:00:00Z");
    let image = |container: Option<&str>| Action::SetImage {
        track: Track::Canary,
        container: container.map(str::to_owned),
        image: "shop/checkout:v3".into(),
    };
    assert!(specify(&object(), &image(None)).subject.trouble.unwrap().contains("there are app, proxy"));
    let look = specify(&object(), &image(Some("app")));
    let after = apply(&object(), &patch_of(&look)).unwrap();
    assert_eq!(after["spec"]["template"]["spec"]["containers"][0]["image"], "shop/checkout:v3");
    assert!(look.warnings[0].contains("first step again"), "a new version in mid-canary is named");
}

fn set(name: &str, revision: &str, version: &str, hash: &str) -> Value {
    let mut template = template(version);
    template["metadata"]["labels"][undo::HASH] = json!(hash);
    json!({"metadata": {"name": name, "uid": name, "labels": {"rollouts-pod-template-hash": hash},
        "annotations": {"rollout.argoproj.io/revision": revision},
        "ownerReferences": [{"kind": "Rollout", "uid": "u-1", "controller": true}]}, "spec": {"template": template}})
}

fn undo(sets: &[Value], action: &Action) -> Look {
    let kept = sets.iter().filter_map(|set| Kept::of(set, "u-1")).collect();
    Undo::new(place(), kept, "old".into()).look(object(), action)
}

fn back(revision: Option<u64>) -> Action {
    Action::Undo { track: Track::Canary, revision, kept_by: None }
}

#[test]
fn an_undo_puts_the_template_of_the_second_newest_revision_back() {
    let sets = [set("a", "3", "v1", "old"), set("b", "9", "v2", "new"), set("c", "1", "v0", "older"), set("d", "x", "v9", "bad")];
    let look = undo(&sets, &back(None));
    assert_eq!(
        look.action,
        Action::Undo { track: Track::Canary, revision: Some(3), kept_by: Some("replicaset/a".into()) },
        "a number that cannot be read is no revision"
    );
    assert_eq!((look.action.consequence().as_str(), look.subject.shown.as_str()), ("3", "revision 9 (v2)"));
    let after = apply(&object(), &patch_of(&look)).unwrap();
    assert_eq!(after["spec"]["template"], template("v1"), "without the label of the hash");
    assert!(look.warnings[0].contains("at once, without steps"));
    let done = Undo::new(place(), sets.iter().filter_map(|set| Kept::of(set, "u-1")).collect(), "old".into()).look(after, &look.action);
    assert!(done.subject.done);
    assert!(undo(&sets, &back(Some(2))).subject.trouble.unwrap().contains("kept are: 1, 3, 9"));
    assert!(undo(&sets[..1], &back(None)).subject.trouble.unwrap().contains("no earlier revision"));
    let fixed = Action::Undo { track: Track::Canary, revision: Some(3), kept_by: Some("replicaset/z".into()) };
    assert!(undo(&sets, &fixed).subject.trouble.unwrap().contains("is gone"));
    let foreign = json!({"metadata": {"name": "x", "ownerReferences": [{"uid": "other", "controller": true}]}, "spec": {"template": {}}});
    assert!(Kept::of(&foreign, "u-1").is_none());
}

#[test]
fn an_undo_leaves_out_what_the_controller_put_on_for_the_time_being() {
    let mut stable = set("a", "3", "v1", "old");
    stable["spec"]["template"]["metadata"]["labels"]["role"] = json!("stable");
    stable["spec"]["template"]["metadata"]["annotations"] = json!({"team": "shop", "share": "0"});
    stable["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] =
        json!(r#"{"labels":{"role":"stable"},"annotations":{"share":"0"}}"#);
    let look = undo(&[stable, set("b", "9", "v2", "new")], &back(None));
    let template = &apply(&object(), &patch_of(&look)).unwrap()["spec"]["template"];
    assert_eq!(template["metadata"], json!({"labels": {"app": "checkout"}, "annotations": {"team": "shop"}}));
}
