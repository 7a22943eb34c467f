//! What is done on a Deployment: planned by a dry run, sent once under conditions, and seen.

use crate::place::{PATIENCE, Place, note};
use gonogo::adapter::kubernetes::Kubernetes;
use gonogo::domain::{Action, ActionKind, ActionPlan, Epoch, Failure, OpId, Preflight, Refusal, RunId, Track, Write, WriteKind};
use gonogo::port::Platform;
use gonogo::port::platform::Right;
use serde_json::{Value, json};
use std::time::Duration;

const REVISION: &str = "deployment.kubernetes.io/revision";

fn image(tag: &str) -> Action {
    Action::SetImage { track: Track::Canary, container: None, image: format!("registry.example/checkout:{tag}") }
}

fn scale(replicas: u32) -> Action {
    Action::Scale { track: Track::Canary, replicas }
}

const UNDO: Action = Action::Undo { track: Track::Canary, revision: None, kept_by: None };
const RESTART: Action = Action::Restart { track: Track::Canary, at: None };
const PAUSE: Action = Action::Pause { track: Track::Canary };
const RESUME: Action = Action::Resume { track: Track::Canary };

/// A Deployment that asks for no instance, as a cluster without nodes can have it.
async fn deploy(place: &Place, name: &str) -> String {
    let labels = json!({"app": name});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("{name}-canary"), "annotations": {"team": "shop"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v1", "env": [{"name": "COLOUR", "value": "blue"}]}]}}},
    });
    let collection = place.path("/apis/apps/v1", "deployments");
    place.create(&collection, &object).await;
    format!("{collection}/{name}-canary")
}

/// Waits until the present template is kept as a revision; where no controller keeps it, it is kept here.
async fn keep(place: &Place, path: &str, number: u32) {
    let deployment = place.get(path).await;
    let (sets, uid) = (place.path("/apis/apps/v1", "replicasets"), deployment["metadata"]["uid"].clone());
    let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let kept = async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        loop {
            again.tick().await;
            let list = place.get(&sets).await;
            let ours = |set: &&Value| {
                set["metadata"]["ownerReferences"][0]["uid"] == uid && set["spec"]["template"]["spec"]["containers"][0]["image"] == image
            };
            let found = list["items"].as_array().unwrap().iter().find(ours);
            if found.is_some_and(|set| note(set, REVISION) == number.to_string()) {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(3), kept).await.is_ok() {
        return;
    }
    let name = deployment["metadata"]["name"].as_str().unwrap();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!(format!("h{number}"));
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("{name}-h{number}"), "labels": template["metadata"]["labels"], "annotations": {REVISION: number.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid, "controller": true}]},
        "spec": {"replicas": 0, "selector": {"matchLabels": template["metadata"]["labels"]}, "template": template},
    });
    place.create(&sets, &set).await;
    place.merge(path, &json!({"metadata": {"annotations": {REVISION: number.to_string()}}})).await;
}

pub(crate) fn write(plan: &ActionPlan, epoch: u64) -> Write {
    Write {
        kind: WriteKind::Act { action: plan.action.clone() },
        target: None,
        run: RunId::from("checkout-20260314-1"),
        op: OpId(format!("checkout-20260314-1/{}/{epoch}", plan.action.kind().word())),
        epoch: Epoch(epoch),
        before: plan.before.clone(),
        deadline: Duration::from_secs(10),
    }
}

fn conflict(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { reason: Refusal::Conflict, .. })
}

/// Plans, sends and reads; gives the plan.
async fn act(kubernetes: &Kubernetes, action: Action) -> ActionPlan {
    let plan = kubernetes.plan(action.clone()).await.unwrap_or_else(|failure| panic!("{action}: {failure}"));
    assert_eq!((&plan.dry_run, &plan.access), (&Preflight::Accepted, &Preflight::Accepted), "{plan:?}");
    assert!(action.is_planned_as(&plan.action) && !plan.action.is_open() && !plan.before.done, "{plan:?}");
    let write = write(&plan, 1);
    let accepted = kubernetes.send(write.clone()).await.unwrap_or_else(|failure| panic!("{action}: {failure}"));
    let seen = kubernetes.read(&plan.action).await.unwrap();
    assert!(seen.done && accepted.after.unwrap().done, "{action}: {}", seen.shown);
    assert_eq!(seen.stamp.map(|stamp| stamp.op), Some(write.op));
    assert!(kubernetes.plan(plan.action.clone()).await.unwrap().is_noop(), "{action}: said twice it is the same as said once");
    plan
}

pub(crate) async fn each_verb_is_planned_done_and_seen(place: &Place) {
    let path = deploy(place, "verbs").await;
    let before = place.get(&path).await;
    let kubernetes = place.connect("verbs").await;
    let lines =
        |plan: &ActionPlan| plan.diff.iter().map(|line| format!("{}: {} -> {}", line.field, line.before, line.after)).collect::<Vec<_>>();
    assert_eq!(lines(&act(&kubernetes, PAUSE).await), ["deployment/verbs-canary rollout: not paused -> paused"]);
    act(&kubernetes, RESUME).await;
    keep(place, &path, 1).await;
    let plan = act(&kubernetes, image("v2")).await;
    assert_eq!(plan.consequence, "v2");
    assert_eq!(lines(&plan), ["deployment/verbs-canary image of app: registry.example/checkout:v1 -> registry.example/checkout:v2"]);
    keep(place, &path, 2).await;
    let plan = act(&kubernetes, UNDO).await;
    assert_eq!(plan.consequence, "1");
    assert_eq!(lines(&plan)[0], "deployment/verbs-canary template: revision 2 (v2) -> revision 1 (v1)");
    let after = place.get(&path).await;
    assert_eq!(after["spec"]["template"], before["spec"]["template"]);
    assert_eq!((note(&after, "team"), note(&after, "kubernetes.io/change-cause")), ("shop", "undo to revision 1 (v1)"));
    let plan = act(&kubernetes, RESTART).await;
    assert_eq!(plan.consequence, "0", "it asks for no instance");
    let plan = act(&kubernetes, scale(1)).await;
    assert_eq!(lines(&plan), ["deployment/verbs-canary replicas: 0 -> 1"]);
    let after = place.get(&path).await;
    for field in ["selector", "strategy", "minReadySeconds", "revisionHistoryLimit"] {
        assert_eq!(after["spec"][field], before["spec"][field], "{field}");
    }
    assert_eq!((note(&after, "team"), note(&after, "gonogo.dev/epoch")), ("shop", "1"));
    act(&kubernetes, scale(0)).await;
}

pub(crate) async fn a_dry_run_of_a_verb_changes_nothing(place: &Place) {
    let path = deploy(place, "verbs-dry").await;
    keep(place, &path, 1).await;
    let before = place.get(&path).await;
    let kubernetes = place.connect("verbs-dry").await;
    for action in [image("v2"), scale(3), RESTART, PAUSE] {
        let plan = kubernetes.plan(action).await.unwrap();
        assert_eq!(plan.dry_run, Preflight::Accepted, "{plan:?}");
    }
    assert_eq!(place.get(&path).await["spec"], before["spec"]);
    let nothing = kubernetes.plan(UNDO).await.unwrap_err();
    assert!(matches!(&nothing, Failure::NotSent { why } if why.contains("nothing to go back to")), "{nothing}");
}

pub(crate) async fn what_another_client_changed_is_not_gone_over(place: &Place) {
    let path = deploy(place, "verbs-moved").await;
    let kubernetes = place.connect("verbs-moved").await;
    let moved =
        json!({"spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v9"}]}}}});
    let plan = kubernetes.plan(image("v2")).await.unwrap();
    place.merge(&path, &moved).await;
    let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
    assert!(conflict(&failure) && failure.to_string().contains("checkout:v9"), "{failure}");
    let plan = kubernetes.plan(scale(2)).await.unwrap();
    place.merge(&path, &json!({"spec": {"replicas": 1}})).await;
    let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
    assert!(conflict(&failure) && failure.to_string().contains("replicas was 0 and is 1"), "{failure}");
    let after = place.get(&path).await;
    assert_eq!((&after["spec"]["replicas"], note(&after, "gonogo.dev/op")), (&json!(1), ""));
}

pub(crate) async fn an_older_driver_is_fenced_off_a_deployment(place: &Place) {
    let path = deploy(place, "verbs-fence").await;
    let kubernetes = place.connect("verbs-fence").await;
    let early = kubernetes.plan(image("v2")).await.unwrap();
    let fence = Write { kind: WriteKind::Fence { action: early.action.clone() }, ..write(&early, 2) };
    kubernetes.send(fence).await.unwrap();
    let fenced = place.get(&path).await;
    assert_eq!((note(&fenced, "gonogo.dev/epoch"), note(&fenced, "gonogo.dev/op")), ("2", ""));
    let late = kubernetes.plan(image("v2")).await.unwrap();
    for plan in [&early, &late] {
        let failure = kubernetes.send(write(plan, 1)).await.unwrap_err();
        assert!(conflict(&failure) && failure.to_string().contains("epoch"), "{failure}");
    }
    assert_eq!(place.get(&path).await["spec"], fenced["spec"]);
    kubernetes.send(write(&late, 2)).await.unwrap();
}

pub(crate) async fn a_deployment_made_anew_is_another_one(place: &Place) {
    let path = deploy(place, "verbs-anew").await;
    let kubernetes = place.connect("verbs-anew").await;
    let plan = kubernetes.plan(scale(2)).await.unwrap();
    place.delete(&path).await;
    let gone = async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        while place.call(http::Method::GET, &path, "", None).await.0 != 404 {
            again.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let missing = kubernetes.send(write(&plan, 1)).await.unwrap_err();
    assert!(matches!(missing, Failure::Refused { reason: Refusal::Missing, .. }), "{missing}");
    deploy(place, "verbs-anew").await;
    let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
    assert!(conflict(&failure) && failure.to_string().contains("made anew"), "{failure}");
    assert_eq!(place.get(&path).await["spec"]["replicas"], 0);
}

pub(crate) async fn a_paused_rollout_takes_no_undo_and_no_restart(place: &Place) {
    let path = deploy(place, "verbs-paused").await;
    let kubernetes = place.connect("verbs-paused").await;
    keep(place, &path, 1).await;
    act(&kubernetes, image("v2")).await;
    keep(place, &path, 2).await;
    act(&kubernetes, PAUSE).await;
    for action in [UNDO, RESTART] {
        let plan = kubernetes.plan(action).await.unwrap();
        assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("resume it first")), "{plan:?}");
        let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
        assert!(matches!(failure, Failure::NotSent { .. }), "{failure}");
    }
}

pub(crate) async fn an_autoscaler_stands_in_the_way_of_a_size_that_it_would_set_back(place: &Place) {
    deploy(place, "verbs-sized").await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "verbs-sized-canary"});
    let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "verbs-sized"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]}});
    place.create(&place.path("/apis/autoscaling/v2", "horizontalpodautoscalers"), &autoscaler).await;
    let kubernetes = place.connect("verbs-sized").await;
    let beyond = kubernetes.plan(scale(9)).await.unwrap();
    assert!(matches!(&beyond.dry_run, Preflight::Refused { why } if why.contains("between 2 and 4")), "{beyond:?}");
    let within = kubernetes.plan(scale(3)).await.unwrap();
    assert_eq!(within.dry_run, Preflight::Accepted);
    assert!(within.warnings.iter().any(|warning| warning.contains("autoscaler verbs-sized")), "{:?}", within.warnings);
}

pub(crate) async fn rights_of_the_verbs_are_asked_for_beforehand(place: &Place) {
    let kubernetes = place.connect("verbs-rights").await;
    for kind in [ActionKind::SetImage, ActionKind::Scale, ActionKind::Restart, ActionKind::Undo, ActionKind::Pause, ActionKind::Resume] {
        assert!(kubernetes.capabilities().contains(&kind), "{kind:?}");
        assert_eq!(kubernetes.may(Right::Act(kind)).await.unwrap(), Preflight::Accepted, "{kind:?}");
    }
}
