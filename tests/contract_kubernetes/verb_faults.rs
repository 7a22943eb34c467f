//! What only the simulator can do on demand to an act on a Deployment, and what a new version looks like that cannot start.

use crate::changes::Watched;
use crate::faults::Rig;
use crate::verbs::write;
use gonogo::domain::{Action, Failure, InstanceState, Preflight, Refusal, Track};
use gonogo::port::{Platform, PlatformUpdate};
use serde_json::json;
use std::time::Duration;

fn image(tag: &str) -> Action {
    Action::SetImage { track: Track::Canary, container: None, image: format!("registry.example/checkout:{tag}") }
}

const VERBS: fn() -> [Action; 4] = || {
    let track = Track::Canary;
    [image("v3"), Action::Scale { track, replicas: 4 }, Action::Restart { track, at: None }, Action::Pause { track }]
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_verb_is_unknown_and_is_found_by_reading() {
    for action in VERBS() {
        for fault in ["platform:reply-lost@0", "platform:reply-late@0"] {
            let rig = Rig::new(&[fault]).await;
            let kubernetes = rig.connect().await;
            let plan = kubernetes.plan(action.clone()).await.unwrap();
            let mut write = write(&plan, 1);
            write.deadline = Duration::from_secs(2);
            let failure = kubernetes.send(write.clone()).await.unwrap_err();
            assert!(matches!(failure, Failure::Unknown { .. }), "{action}, {fault}: {failure}");
            let seen = kubernetes.read(&plan.action).await.unwrap();
            assert_eq!((seen.done, seen.stamp.map(|stamp| stamp.op)), (true, Some(write.op)), "{action}, {fault}");
            assert_eq!(rig.calls(), [("act".to_owned(), "applied".to_owned())], "{action}, {fault}: never sent again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_to_a_verb_is_known_beforehand() {
    let rig = Rig::new(&["platform:forbidden@0"]).await;
    let kubernetes = rig.connect().await;
    for action in VERBS() {
        let plan = kubernetes.plan(action.clone()).await.unwrap();
        assert!(matches!(&plan.access, Preflight::Refused { why } if why.contains("patch deployments")), "{plan:?}");
        let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused { reason: Refusal::Right, .. }), "{action}: {failure}");
    }
    assert!(rig.calls().iter().all(|(_, result)| result == "refused"), "{:?}", rig.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_denies_is_known_beforehand_in_its_words() {
    let rig = Rig::new(&[]).await;
    rig.merge(
        "/api/v1/namespaces/shop",
        &json!({"metadata": {"annotations": {
        "sim.gonogo.dev/deny": "update deployments images come from the release train alone"}}}),
    )
    .await;
    let kubernetes = rig.connect().await;
    let plan = kubernetes.plan(image("v3")).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("release train alone")), "{plan:?}");
    let failure = kubernetes.send(write(&plan, 1)).await.unwrap_err();
    assert!(failure.certainly_not_applied() && failure.to_string().contains("release train alone"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_makes_of_an_image_is_no_success() {
    let rig = Rig::new(&[]).await;
    rig.merge(
        "/api/v1/namespaces/shop",
        &json!({"metadata": {"annotations": {
        "sim.gonogo.dev/mutate": r#"deployments {"spec":{"replicas":7}}"#}}}),
    )
    .await;
    let kubernetes = rig.connect().await;
    let plan = kubernetes.plan(Action::Scale { track: Track::Canary, replicas: 4 }).await.unwrap();
    assert!(matches!(&plan.dry_run, Preflight::Refused { why } if why.contains("7 instances instead of 4")), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_start_is_told_as_it_happens() {
    for (tag, reason) in [("v3-missing", "ImagePull"), ("v3-crash", "CrashLoopBackOff")] {
        let rig = Rig::new(&[]).await;
        let kubernetes = rig.connect().await;
        let mut watched = Watched::new(&kubernetes);
        watched.until("the instances", |update| matches!(update, PlatformUpdate::Instances(all) if !all.is_empty()).then_some(())).await;
        let plan = kubernetes.plan(image(tag)).await.unwrap();
        kubernetes.send(write(&plan, 1)).await.unwrap();
        let what = format!("{tag} failing by {reason}");
        let failing = watched.until(&what, |update| match update {
            PlatformUpdate::Instance(it)
                if it.state == InstanceState::Failing && it.reason.as_deref().is_some_and(|why| why.contains(reason)) =>
            {
                Some(it.clone())
            }
            _ => None,
        });
        assert_eq!(&*failing.await.version, tag);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_as_the_workloads_trouble() {
    let rig = Rig::new(&[]).await;
    rig.create(
        "/api/v1/namespaces/shop/resourcequotas",
        &json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "shop"}, "spec": {"hard": {"pods": "12"}}}),
    )
    .await;
    let kubernetes = rig.connect().await;
    let mut watched = Watched::new(&kubernetes);
    let plan = kubernetes.plan(Action::Scale { track: Track::Canary, replicas: 6 }).await.unwrap();
    kubernetes.send(write(&plan, 1)).await.unwrap();
    let trouble = watched.until("the quota's words", |update| match update {
        PlatformUpdate::Workload(workload) if workload.track == Track::Canary => {
            workload.trouble.clone().filter(|trouble| trouble.contains("exceeded quota"))
        }
        _ => None,
    });
    assert!(trouble.await.starts_with("FailedCreate"), "the platform's reason comes first");
}
