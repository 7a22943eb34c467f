//! Verbs on an Argo Rollout, each driven through to what its controller makes of it.
//!
//! The same cases run against the simulator's controller and, where `GONOGO_CONTRACT_KUBECONFIG` names a cluster, against the real one.
//! Rollouts of no instances are enough: every documented transition is in the status, and no image has to be pulled.

use crate::changes::Watched;
use crate::place::{PATIENCE, Place};
use crate::schema::Schema;
use crate::{VARIABLE, left_out};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gonogo::adapter::kubernetes::Kubernetes;
use gonogo::domain::progressive::{ProgressiveUpdate, RolloutPhase};
use gonogo::domain::{Accepted, Action, ActionPlan, Epoch, Failure, OpId, Preflight, Refusal, RunId, Track, Write, WriteKind};
use gonogo::port::{Platform, PlatformUpdate};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

const ROLLOUT: &str = include_str!("../fixtures/crds/argo-rollout-crd.yaml");
const TEMPLATE: &str = include_str!("../fixtures/crds/argo-analysis-template-crd.yaml");
const RUN: &str = include_str!("../fixtures/crds/argo-analysis-run-crd.yaml");
const GROUP: &str = "/apis/argoproj.io/v1alpha1";

pub(crate) fn definitions() -> Vec<Value> {
    [ROLLOUT, TEMPLATE, RUN].into_iter().map(|text| serde_saphyr::from_str(text).expect("a definition")).collect()
}

const PROMOTE: Action = Action::Promote { full: false, from: None };
const FULL: Action = Action::Promote { full: true, from: None };
const ABORT: Action = Action::AbortRollout { revision: None };
const RETRY: Action = Action::RetryRollout { revision: None };

/// A Rollout of a case, with everybody who acts on it.
struct Case<'a> {
    place: &'a Place,
    path: String,
    name: &'static str,
    kubernetes: Kubernetes,
    schema: Schema,
}

/// Three shares, each with a pause that only a person ends.
fn steps() -> Value {
    json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 80}, {"pause": {}}])
}

fn rollout(name: &str, steps: &Value) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "strategy": {"canary": {"steps": steps}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "registry.example/checkout:v1"}]}}},
    })
}

impl<'a> Case<'a> {
    /// At its first revision, proven.
    async fn new(place: &'a Place, name: &'static str) -> Self {
        Self::with(place, name, &steps()).await
    }

    async fn with(place: &'a Place, name: &'static str, steps: &Value) -> Self {
        let collection = place.path(GROUP, "rollouts");
        place.create(&collection, &rollout(name, steps)).await;
        let path = format!("{collection}/{name}");
        let schema = Schema::of(&definitions()[0]);
        let case = Self { place, path, name, kubernetes: place.connect_to_rollout(name).await, schema };
        case.until("the first revision proven", |it| phase(it) == "Healthy").await;
        case
    }

    /// At the first pause of another version.
    async fn paused(place: &'a Place, name: &'static str) -> Self {
        let case = Self::new(place, name).await;
        case.release("v2").await;
        case.until("the first pause", |it| phase(it) == "Paused" && step(it) == Some(1)).await;
        case
    }

    async fn release(&self, tag: &str) {
        let image = format!("registry.example/checkout:{tag}");
        let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]);
        let (code, answer) = self.place.call(http::Method::PATCH, &self.path, "application/json-patch+json", Some(&patch)).await;
        assert_eq!(code, 200, "{answer}");
    }

    /// Waits until its status says so; everything on the way has to be valid.
    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = async {
            let mut again = tokio::time::interval(Duration::from_millis(50));
            loop {
                again.tick().await;
                let object = self.place.get(&self.path).await;
                self.schema.check(&object);
                if observed(&object) && wanted(&object) {
                    return object;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(object) => object,
            Err(tokio::time::error::Elapsed { .. }) => panic!("never saw {what}: {}", self.place.get(&self.path).await["status"]),
        }
    }

    async fn plan(&self, action: Action) -> ActionPlan {
        self.kubernetes.plan(action).await.unwrap()
    }

    async fn refused(&self, action: Action) -> String {
        match self.plan(action).await.dry_run {
            Preflight::Refused { why } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&self, plan: &ActionPlan, epoch: u64) -> Result<Accepted, Failure> {
        self.kubernetes.send(write(plan, epoch)).await
    }

    /// Plans, checks that the platform would take it, and sends it.
    async fn act(&self, action: Action) -> ActionPlan {
        let plan = self.plan(action).await;
        assert_eq!((&plan.dry_run, &plan.access), (&Preflight::Accepted, &Preflight::Accepted), "{plan:?}");
        self.send(&plan, 1).await.unwrap();
        plan
    }
}

fn write(plan: &ActionPlan, epoch: u64) -> Write {
    Write {
        kind: WriteKind::Act { action: plan.action.clone() },
        target: None,
        run: RunId::from("r-1"),
        op: OpId(format!("r-1/step/{epoch}")),
        epoch: Epoch(epoch),
        before: plan.before.clone(),
        deadline: Duration::from_secs(10),
    }
}

fn fence(plan: &ActionPlan, epoch: u64) -> Write {
    Write { kind: WriteKind::Fence { action: plan.action.clone() }, ..write(plan, epoch) }
}

fn phase(object: &Value) -> &str {
    object["status"]["phase"].as_str().unwrap_or("")
}

fn step(object: &Value) -> Option<u64> {
    object["status"]["currentStepIndex"].as_u64()
}

fn observed(object: &Value) -> bool {
    object["status"]["observedGeneration"].as_str() == Some(&object["metadata"]["generation"].to_string())
}

fn conflict(result: &Result<Accepted, Failure>) -> bool {
    matches!(result, Err(Failure::Refused { reason: Refusal::Conflict, .. } | Failure::NotSent { .. }))
}

async fn a_promote_goes_to_the_next_pause_and_no_further(place: &Place) {
    let case = Case::paused(place, "promote").await;
    let plan = case.act(PROMOTE).await;
    assert_eq!(plan.consequence, "50");
    let there = case.until("the second pause", |it| phase(it) == "Paused" && step(it) == Some(3)).await;
    assert!(there["metadata"]["annotations"]["gonogo.dev/op"].is_null(), "a status takes no stamp");
    assert!(case.kubernetes.read(&plan.action).await.unwrap().done);
    case.act(PROMOTE).await;
    case.until("the third pause", |it| phase(it) == "Paused" && step(it) == Some(5)).await;
    assert_eq!(case.act(PROMOTE).await.consequence, "100");
    case.until("the end", |it| phase(it) == "Healthy" && it["status"]["stableRS"] == it["status"]["currentPodHash"]).await;
    assert!(case.refused(PROMOTE).await.contains("nothing to promote"));
    assert!(case.refused(FULL).await.contains("nothing to promote"));
    assert!(case.refused(ABORT).await.contains("nothing to abort"));
}

async fn of_two_operators_who_promote_one_moves_the_rollout(place: &Place) {
    let case = Case::paused(place, "race").await;
    let other = place.connect_to_rollout("race").await;
    let (one, two) = (case.plan(PROMOTE).await, other.plan(PROMOTE).await.unwrap());
    let (first, second) = tokio::join!(case.send(&one, 1), other.send(write(&two, 1)));
    assert_eq!([&first, &second].iter().filter(|it| it.is_ok()).count(), 1, "one write goes through: {first:?} {second:?}");
    assert!(conflict(&first) || conflict(&second), "{first:?} {second:?}");
    case.until("the second pause", |it| phase(it) == "Paused" && step(it) == Some(3)).await;
    let late = other.send(write(&two, 1)).await;
    assert!(conflict(&late), "a plan of the step before: {late:?}");
    assert_eq!(step(&place.get(&case.path).await), Some(3), "one step, not two");
}

async fn an_abort_is_taken_back_by_a_retry_and_ended_by_an_undo(place: &Place) {
    let case = Case::paused(place, "abort").await;
    let plan = case.act(ABORT).await;
    assert_eq!(plan.consequence, "0");
    assert!(plan.warnings[0].contains("still names"), "{:?}", plan.warnings);
    case.until("it aborted", |it| phase(it) == "Degraded" && it["status"]["abort"] == true).await;
    assert!(case.plan(ABORT).await.is_noop(), "aborted is aborted");
    assert!(case.refused(PROMOTE).await.contains("retry it first"));
    case.act(RETRY).await;
    case.until("the first pause again", |it| phase(it) == "Paused" && step(it) == Some(1)).await;
    case.act(ABORT).await;
    case.until("it aborted again", |it| phase(it) == "Degraded").await;
    let undo = case.act(Action::Undo { track: Track::Canary, revision: None, kept_by: None }).await;
    assert_eq!(undo.consequence, "1");
    let back = case.until("the first version at once", |it| phase(it) == "Healthy").await;
    assert_eq!(back["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/checkout:v1");
    assert_eq!(back["spec"]["template"]["metadata"]["labels"], json!({"app": "abort"}), "without the label of the hash");
    assert_eq!(back["metadata"]["annotations"]["gonogo.dev/epoch"], "1", "a change of the specification is stamped");
    assert!(case.kubernetes.read(&undo.action).await.unwrap().done);
}

async fn a_full_promote_skips_all_steps_and_says_when_it_would_do_nothing(place: &Place) {
    let case = Case::paused(place, "full").await;
    let plan = case.plan(FULL).await;
    assert!(plan.warnings[0].contains("skips"), "{:?}", plan.warnings);
    assert_eq!(plan.consequence, "100");
    case.send(&plan, 1).await.unwrap();
    case.until("the end", |it| phase(it) == "Healthy" && it["status"]["stableRS"] == it["status"]["currentPodHash"]).await;
    // Right after a change of the specification the two hashes are still the same.
    case.act(Action::Undo { track: Track::Canary, revision: None, kept_by: None }).await;
    let at_once = case.plan(FULL).await;
    match at_once.dry_run {
        Preflight::Refused { why } => assert!(why.contains("has not taken up") || why.contains("nothing to promote"), "{why}"),
        other => assert!(at_once.before.fields["revision"] != at_once.before.fields["stable"], "{other:?}"),
    }
}

async fn a_pause_by_hand_stops_the_steps_until_it_is_resumed(place: &Place) {
    let case = Case::paused(place, "hold").await;
    case.act(Action::Pause { track: Track::Canary }).await;
    case.until("it is paused by hand", |it| phase(it) == "Paused" && it["spec"]["paused"] == true).await;
    assert!(case.refused(PROMOTE).await.contains("resume it first"));
    assert!(case.plan(Action::Pause { track: Track::Canary }).await.is_noop());
    case.act(Action::Resume { track: Track::Canary }).await;
    case.until("its own pause again", |it| it["spec"]["paused"] != true && it["status"]["message"] == "CanaryPauseStep").await;
    case.act(PROMOTE).await;
    case.until("the second pause", |it| step(it) == Some(3)).await;
}

async fn another_image_begins_at_the_first_step_again(place: &Place) {
    let case = Case::paused(place, "image").await;
    case.act(PROMOTE).await;
    case.until("the second pause", |it| phase(it) == "Paused" && step(it) == Some(3)).await;
    let stale = case.plan(PROMOTE).await;
    let image = Action::SetImage { track: Track::Canary, container: None, image: "registry.example/checkout:v3".into() };
    let plan = case.act(image).await;
    assert!(plan.warnings[0].contains("first step again"), "{:?}", plan.warnings);
    case.until("the first pause of the third version", |it| phase(it) == "Paused" && step(it) == Some(1)).await;
    let result = case.send(&stale, 1).await;
    assert!(conflict(&result), "a promote of the second version does not promote the third: {result:?}");
}

async fn a_restart_and_a_scale_are_taken_up(place: &Place) {
    let case = Case::new(place, "restart").await;
    let plan = case.act(Action::Restart { track: Track::Baseline, at: None }).await;
    let Action::Restart { at: Some(at), .. } = plan.action else { panic!("{plan:?}") };
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let there = case.until("the restart", |it| it["status"]["restartedAt"].is_string()).await;
    assert_eq!((&there["spec"]["restartAt"], &there["status"]["restartedAt"]), (&json!(at), &json!(at)));
    let scale = Action::Scale { track: Track::Baseline, replicas: 0 };
    assert!(case.plan(scale).await.is_noop());
}

async fn whoever_took_over_keeps_the_older_epoch_out(place: &Place) {
    let case = Case::paused(place, "fenced").await;
    let early = case.plan(PROMOTE).await;
    let accepted = case.kubernetes.send(fence(&early, 2)).await;
    assert!(accepted.is_ok(), "{accepted:?}");
    let before = case.until("the fence", |it| it["metadata"]["annotations"]["gonogo.dev/epoch"] == "2").await;
    let late = case.plan(PROMOTE).await;
    for plan in [&early, &late] {
        let result = case.send(plan, 1).await;
        assert!(conflict(&result) && format!("{result:?}").contains("epoch"), "{result:?}");
    }
    assert_eq!(place.get(&case.path).await["status"], before["status"], "nothing was promoted");
    case.send(&late, 2).await.unwrap();
    case.until("the second pause", |it| step(it) == Some(3)).await;
}

async fn the_watch_tells_where_it_stands(place: &Place) {
    let case = Case::paused(place, "watched").await;
    let mut watched = Watched::new(&case.kubernetes);
    let at = |wanted: u32| {
        move |update: &PlatformUpdate| match update {
            PlatformUpdate::Progressive(ProgressiveUpdate::Rollout(Some(it))) if it.step == Some(wanted) => Some(it.clone()),
            _ => None,
        }
    };
    let first = watched.until("the first pause", at(1)).await;
    assert_eq!((first.phase, first.steps.len(), first.pauses.len()), (RolloutPhase::Paused, 6, 1));
    assert_eq!(first.next_stop().0.get(), 50);
    case.act(PROMOTE).await;
    watched.until("the second pause", at(3)).await;
    place.delete(&case.path).await;
    let gone = |update: &PlatformUpdate| matches!(update, PlatformUpdate::Progressive(ProgressiveUpdate::Rollout(None))).then_some(());
    watched.until("it is gone", gone).await;
    let failure = case.kubernetes.read(&PROMOTE).await.unwrap_err();
    assert!(failure.to_string().contains(case.name), "{failure}");
}

type Test = (&'static str, for<'a> fn(&'a Place) -> BoxFuture<'a, ()>);

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), |place| $name(place).boxed())),*]
    };
}

async fn run(place: &Place) {
    let cases: [Test; 9] = cases![
        a_promote_goes_to_the_next_pause_and_no_further,
        of_two_operators_who_promote_one_moves_the_rollout,
        an_abort_is_taken_back_by_a_retry_and_ended_by_an_undo,
        a_full_promote_skips_all_steps_and_says_when_it_would_do_nothing,
        a_pause_by_hand_stops_the_steps_until_it_is_resumed,
        another_image_begins_at_the_first_step_again,
        a_restart_and_a_scale_are_taken_up,
        whoever_took_over_keeps_the_older_epoch_out,
        the_watch_tells_where_it_stands,
    ];
    let mut failed = Vec::new();
    for (name, case) in cases {
        let outcome = AssertUnwindSafe(case(place)).catch_unwind().await;
        println!("case {name}: {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(name);
        }
    }
    println!("{} cases against the rollouts controller of {}", cases.len(), place.system());
    assert!(failed.is_empty(), "against {}: {failed:?}", place.system());
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_against_the_simulator() {
    run(&Place::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the real system is named in the environment")]
async fn rollouts_against_a_real_controller() {
    const SUITE: &str = "contract_kubernetes against a real Argo Rollouts controller";
    let Some(kubeconfig) = std::env::var_os(VARIABLE) else {
        left_out::left_out(SUITE, &format!("{VARIABLE} is not set"));
        return;
    };
    let place = Place::real(kubeconfig.into()).await;
    place.define_all(&definitions(), &format!("{GROUP}/rollouts")).await;
    let outcome = if has_controller(&place).await {
        AssertUnwindSafe(run(&place)).catch_unwind().await
    } else {
        left_out::left_out(SUITE, "no controller writes the status of a Rollout in that cluster");
        Ok(())
    };
    place.remove().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Whether somebody takes care of Rollouts.
async fn has_controller(place: &Place) -> bool {
    let collection = place.path(GROUP, "rollouts");
    place.create(&collection, &rollout("probe", &steps())).await;
    let seen = async {
        let mut again = tokio::time::interval(Duration::from_millis(200));
        while phase(&place.get(&format!("{collection}/probe")).await).is_empty() {
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), seen).await.is_ok()
}
