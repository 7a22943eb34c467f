use super::super::patch::{Stamps, build};
use super::*;
use crate::domain::{Epoch, OpId, RunId};
use rstest::rstest;

fn object() -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "checkout", "uid": "d", "resourceVersion": "7",
            "annotations": {"gonogo.dev/epoch": "1", "deployment.kubernetes.io/revision": "12", "team": "shop",
                LAST_APPLIED: "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"shop/checkout:v3\"}]}}}}"}},
        "spec": {"replicas": 3, "template": template("v3")},
    })
}

fn template(tag: &str) -> Value {
    json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {
        "initContainers": [{"name": "prepare", "image": "shop/prepare:v1"}],
        "containers": [{"name": "istio-proxy", "image": "proxy:1"}, {"name": "app", "image": format!("shop/checkout:{tag}")}]}})
}

fn revision(number: u64, tag: &str) -> Revision {
    Revision { name: format!("checkout-{tag}"), number, template: template(tag) }
}

fn look_at(object: &Value, action: &Action, ground: Ground) -> Look {
    let place = Place {
        group: "apps",
        resource: "deployments",
        kind: "Deployment",
        collection: "/apis/apps/v1/namespaces/shop/deployments".to_owned(),
        name: "checkout".to_owned(),
        namespace: "shop".to_owned(),
    };
    Deployed { place, ground }.look(object.clone(), action)
}

fn sent(object: &Value, look: &Look) -> Result<Value, String> {
    let (run, op) = (RunId::from("r"), OpId::from("r/s/1"));
    let patch = build(look, &Stamps { act: Some((&run, &op)), epoch: Epoch(1) });
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
    Ok(object)
}

fn image(container: Option<&str>) -> Action {
    Action::SetImage { track: Track::Canary, container: container.map(str::to_owned), image: "shop/checkout:v4".to_owned() }
}

const UNDO: Action = Action::Undo { track: Track::Canary, revision: None, kept_by: None };
const RESTART: Action = Action::Restart { track: Track::Canary, at: None };

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_773_457_632, 0).unwrap()
}

/// Each verb with the ground it needs.
fn verbs() -> Vec<(Action, Ground)> {
    vec![
        (image(None), Ground::Alone),
        (Action::Scale { track: Track::Canary, replicas: 5 }, Ground::Scaled(Ok(None))),
        (RESTART, Ground::At(at())),
        (UNDO, Ground::Back(Ok(revision(11, "v2")))),
        (Action::Pause { track: Track::Canary }, Ground::Alone),
    ]
}

#[test]
fn each_verb_is_done_by_its_patch_and_keeps_all_else() {
    for (action, ground) in verbs() {
        let before = look_at(&object(), &action, ground.clone());
        assert_eq!((before.subject.trouble.as_deref(), before.subject.done), (None, false), "{action:?}");
        assert!(action.is_planned_as(&before.action) && !before.action.is_open(), "{action:?}");
        assert!(!before.change.untested, "{action:?}: everything relied on is tested, so no version has to be");
        let after = sent(&object(), &before).unwrap();
        let seen = look_at(&after, &before.action, ground);
        assert!(seen.subject.done, "{action:?}: {}", seen.subject.shown);
        assert_eq!(seen.subject.stamp.unwrap().op, OpId::from("r/s/1"));
        let replicas = if matches!(action, Action::Scale { .. }) { 5 } else { 3 };
        assert_eq!(after["metadata"]["annotations"]["team"], "shop", "{action:?}");
        assert_eq!(after["spec"]["replicas"], replicas, "{action:?}");
    }
}

#[test]
fn a_resume_takes_the_pause_away_and_is_refused_when_it_is_gone() {
    let mut object = object();
    object["spec"]["paused"] = json!(true);
    let look = look_at(&object, &Action::Resume { track: Track::Canary }, Ground::Alone);
    let after = sent(&object, &look).unwrap();
    assert!(after["spec"]["paused"].is_null());
    assert!(sent(&after, &look).is_err(), "somebody else resumed it");
    assert_eq!(look.subject.shown, "paused");
}

#[rstest]
#[case::image(image(None), "/spec/template/spec/containers/1/image", json!("shop/checkout:v9"))]
#[case::container(image(None), "/spec/template/spec/containers/1/name", json!("other"))]
#[case::size(Action::Scale { track: Track::Canary, replicas: 5 }, "/spec/replicas", json!(4))]
#[case::template(UNDO, "/spec/template/spec/containers/1/image", json!("shop/checkout:v9"))]
#[case::restarted(RESTART, "/spec/template/metadata/annotations", json!({RESTARTED: "2026-01-01T00:00:00Z"}))]
#[case::counted(RESTART, "/spec/replicas", json!(300))]
#[case::anew(UNDO, "/metadata/uid", json!("another"))]
#[case::fenced(UNDO, "/metadata/annotations/gonogo.dev~1epoch", json!("2"))]
fn what_moved_since_is_refused(#[case] action: Action, #[case] pointer: &str, #[case] value: Value) {
    let ground = verbs().into_iter().find(|(verb, _)| verb.kind() == action.kind()).unwrap().1;
    let look = look_at(&object(), &action, ground);
    let mut moved = object();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if moved.pointer(pointer).is_none() {
        moved.pointer_mut(parent).unwrap()[key] = Value::Null;
    }
    *moved.pointer_mut(pointer).unwrap() = value;
    assert!(sent(&moved, &look).is_err(), "{pointer} moved and the patch went through");
}

#[test]
fn an_undo_says_what_it_goes_back_to_and_who_takes_it_back() {
    let look = look_at(&object(), &UNDO, Ground::Back(Ok(revision(11, "v2"))));
    assert_eq!(look.action, Action::Undo { track: Track::Canary, revision: Some(11), kept_by: Some("replicaset/checkout-v2".to_owned()) });
    assert_eq!(look.action.consequence(), "11");
    let line = &look.change.lines[0];
    assert_eq!((line.before.as_str(), line.after.as_str()), ("revision 12 (v3)", "revision 11 (v2)"));
    assert!(look.warnings.iter().any(|warning| warning.contains("says version v3")), "{:?}", look.warnings);
    let after = sent(&object(), &look).unwrap();
    assert_eq!(after["metadata"]["annotations"][CAUSE], "undo to revision 11 (v2)");
    assert!(after["metadata"]["annotations"][LAST_APPLIED].is_string(), "what apply compares with is kept");
}

#[test]
fn numbers_may_move_once_an_undo_is_fixed() {
    let fixed = look_at(&object(), &UNDO, Ground::Back(Ok(revision(11, "v2")))).action;
    let mut after = object();
    after["spec"]["template"] = template("v2");
    after["metadata"]["annotations"][REVISION] = json!("13");
    let look = look_at(&after, &fixed, Ground::Back(Ok(revision(13, "v2"))));
    assert!(look.subject.done);
    assert_eq!(look.action, fixed, "the plan that was confirmed is for revision 11");
    let gone = look_at(&object(), &fixed, Ground::Back(Err("replicaset/checkout-v2, which kept that revision, is gone".to_owned())));
    assert!(gone.subject.trouble.unwrap().contains("is gone"));
}

#[test]
fn a_paused_rollout_takes_no_undo_and_no_restart() {
    let mut object = object();
    object["spec"]["paused"] = json!(true);
    for (action, ground) in verbs() {
        let look = look_at(&object, &action, ground);
        let refused = matches!(action, Action::Undo { .. } | Action::Restart { .. });
        assert_eq!(look.subject.trouble.is_some(), refused, "{action:?}");
    }
}

#[test]
fn the_container_is_named_marked_or_the_only_one() {
    let mut two = object();
    two["spec"]["template"]["spec"]["containers"][0]["name"] = json!("worker");
    let tell = |object: &Value, name: Option<&str>| {
        let look = look_at(object, &image(name), Ground::Alone);
        look.subject.trouble.map_or_else(|| look.subject.fields["container"].clone(), |why| format!("!{why}"))
    };
    assert_eq!(tell(&object(), None), "app", "the mesh's proxy is not meant");
    assert_eq!(tell(&two, None), "!it has several containers, name one: worker, app");
    assert_eq!(tell(&two, Some("worker")), "worker");
    assert_eq!(tell(&two, Some("prepare")), "!it has no container prepare: there are worker, app");
    two["spec"]["template"]["metadata"]["annotations"] = json!({DEFAULT_CONTAINER: "app"});
    assert_eq!(tell(&two, None), "app");
}

#[test]
fn a_restart_is_fixed_and_counts_its_instances() {
    let look = look_at(&object(), &RESTART, Ground::At(at()));
    assert_eq!((look.action, look.consequence.as_deref()), (Action::Restart { track: Track::Canary, at: Some(at()) }, Some("3")));
}

#[test]
fn an_autoscaler_that_would_set_the_size_back_stands_in_the_way() {
    let list = json!({"items": [{"metadata": {"name": "hpa"}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "checkout"}, "minReplicas": 3, "maxReplicas": 10}}]});
    let scaled = |replicas| {
        let ground = Ground::Scaled(Ok(Autoscaler::of(&list, "checkout")));
        look_at(&object(), &Action::Scale { track: Track::Canary, replicas }, ground)
    };
    assert!(scaled(2).subject.trouble.unwrap().contains("between 3 and 10"));
    let within = scaled(5);
    assert_eq!(within.subject.trouble, None);
    assert!(within.warnings.iter().any(|warning| warning.contains("autoscaler hpa")));
    let unknown = look_at(&object(), &Action::Scale { track: Track::Canary, replicas: 5 }, Ground::Scaled(Err("forbidden".to_owned())));
    assert!(
        unknown.warnings.iter().any(|warning| warning.contains("not known: forbidden")),
        "not being told is no proof that there is none"
    );
}
