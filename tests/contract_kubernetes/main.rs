//! What every Kubernetes must do for the adapter, and what the adapter must make of it.
//!
//! The same cases run against the simulator, and against a real API server when `GONOGO_CONTRACT_KUBECONFIG` names a kubeconfig: in a
//! namespace of their own, with the mesh's definitions applied if they are missing. No kubelet and no controller is needed. What only
//! the simulator can do on demand (a lost reply, an ended login) is in `faults`.
#![cfg(all(feature = "shell", feature = "sim"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod argo;
mod changes;
mod faults;
#[path = "../support/left_out.rs"]
mod left_out;
mod place;
mod reads;
mod schema;
mod seen;
mod splits;
mod verb_faults;
mod verbs;
mod writes;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use place::Place;
use std::panic::AssertUnwindSafe;

/// The real system to run against.
const VARIABLE: &str = "GONOGO_CONTRACT_KUBECONFIG";

type Case = (&'static str, for<'a> fn(&'a Place) -> BoxFuture<'a, ()>);

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((stringify!($name), |place| $module::$name(place).boxed())),*]
    };
}

fn all() -> Vec<Case> {
    let cases: [Case; 36] = cases![
        reads::the_rule_is_read_with_its_header_match,
        reads::a_missing_object_is_said_to_be_missing,
        reads::a_missing_subset_is_said_and_nothing_is_sent,
        reads::rights_are_asked_for_beforehand,
        reads::the_server_says_who_we_are_and_what_it_is,
        writes::a_first_write_without_annotations,
        writes::a_second_write_tests_the_epoch_and_keeps_all_else,
        writes::a_stale_plan_is_refused_and_changes_nothing,
        writes::an_older_epoch_is_refused_after_a_fence,
        writes::a_fence_changes_the_epoch_alone,
        writes::a_dry_run_changes_nothing,
        writes::other_sums_are_kept,
        writes::the_rule_is_found_at_another_place,
        writes::an_object_made_anew_is_another_object,
        writes::a_failed_test_is_answered_422_without_causes,
        writes::what_the_schema_refuses_is_no_conflict,
        writes::a_cockpit_that_only_reads_changes_nothing,
        splits::an_httproute_keeps_every_promise,
        splits::a_canary_ingress_keeps_every_promise,
        splits::a_switched_service_keeps_every_promise,
        splits::a_switch_to_pods_that_are_not_ready_is_refused,
        splits::two_canaries_of_one_rule_are_refused,
        splits::the_gateways_schema_is_asked,
        verbs::each_verb_is_planned_done_and_seen,
        verbs::a_dry_run_of_a_verb_changes_nothing,
        verbs::what_another_client_changed_is_not_gone_over,
        verbs::an_older_driver_is_fenced_off_a_deployment,
        verbs::a_deployment_made_anew_is_another_one,
        verbs::a_paused_rollout_takes_no_undo_and_no_restart,
        verbs::an_autoscaler_stands_in_the_way_of_a_size_that_it_would_set_back,
        verbs::rights_of_the_verbs_are_asked_for_beforehand,
        changes::deployments_come_and_go,
        changes::pods_come_change_and_go,
        changes::a_changed_route_is_told_at_once,
        changes::a_route_that_is_not_there_is_told,
        changes::events_of_the_service_are_told_and_no_others,
    ];
    cases.into()
}

/// Runs all cases, and says at the end which failed.
async fn run(place: &Place) {
    let mut failed = Vec::new();
    for (name, case) in all() {
        let outcome = AssertUnwindSafe(case(place)).catch_unwind().await;
        println!("case {name}: {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(name);
        }
    }
    println!("{} cases against {}", all().len(), place.system());
    assert!(failed.is_empty(), "against {}: {failed:?}", place.system());
}

/// They are needed only where they are missing; that they can be read is known everywhere.
#[test]
fn the_meshs_definitions_can_be_applied() {
    let names: Vec<String> = place::definitions().iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["destinationrules.networking.istio.io", "virtualservices.networking.istio.io"]);
    assert_eq!(place::gateway_definitions()[0]["metadata"]["name"], "httproutes.gateway.networking.k8s.io");
    assert!(place::definitions().iter().all(|it| it["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].is_object()));
}

#[tokio::test(flavor = "multi_thread")]
async fn against_the_simulator() {
    let place = Place::simulated().await;
    run(&place).await;
    splits::webhooks_are_heard(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the real system is named in the environment")]
async fn against_a_real_api_server() {
    let Some(kubeconfig) = std::env::var_os(VARIABLE) else {
        left_out::left_out("contract_kubernetes against a real API server", &format!("{VARIABLE} is not set"));
        return;
    };
    let place = Place::real(kubeconfig.into()).await;
    let outcome = AssertUnwindSafe(run(&place)).catch_unwind().await;
    place.remove().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
