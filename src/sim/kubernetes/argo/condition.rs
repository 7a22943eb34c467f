//! A Rollout's status: numbers, conditions, phase and message.

use super::super::cluster::text;
use super::super::conditions::{condition, set_condition};
use super::turn::Turn;
use serde_json::{Value, json};

/// Sets a condition.
pub(super) fn set(status: &mut Value, next: (&str, &str, &str, &str), time: &str, renew: bool) {
    set_condition(status, next, time, renew);
}

/// Writes what the turn has come to.
pub(super) fn report(turn: &mut Turn, was_settled: bool) {
    numbers(turn);
    let (phase, message) = phase(turn);
    let time = turn.time();
    let time = text(&time).to_owned();
    let desired = turn.desired();
    let enough = turn.sets.iter().map(|set| set.available).sum::<u32>() >= desired - desired / 4;
    let paused = turn.status["pauseConditions"].as_array().is_some_and(|all| !all.is_empty()) || turn.rollout["spec"]["paused"] == true;
    let hash = turn.sets[turn.newest].at.1.to_string();
    let (settled, aborted) = (turn.settled(), turn.aborted());
    let status = &mut turn.status;
    let word = |it: bool| if it { "True" } else { "False" };
    let available = if enough {
        ("AvailableReason", "Rollout has minimum availability")
    } else {
        ("AvailableReason", "Rollout does not have minimum availability")
    };
    set(status, ("Available", word(enough), available.0, available.1), &time, false);
    set(status, ("Paused", word(paused), "RolloutPaused", "Rollout is paused"), &time, false);
    let healthy = if phase == "Healthy" { ("RolloutHealthy", "Rollout is healthy") } else { ("RolloutHealthy", "Rollout is not healthy") };
    set(status, ("Healthy", word(phase == "Healthy"), healthy.0, healthy.1), &time, false);
    let completed = if settled { "Rollout completed update" } else { "Rollout not completed, started update" };
    set(status, ("Completed", word(settled), "RolloutCompleted", completed), &time, settled && !was_settled);
    let progressing = match () {
        () if aborted => None,
        () if paused => Some(("Unknown", "RolloutPaused", "Rollout is paused".to_owned())),
        () if phase == "Healthy" => Some(("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{hash}\" has successfully progressed."))),
        () => Some(("True", "ReplicaSetUpdated", format!("ReplicaSet \"{hash}\" is progressing."))),
    };
    if let Some((holds, reason, words)) = progressing {
        set(status, ("Progressing", holds, reason, &words), &time, false);
    }
    if let Some(all) = status["conditions"].as_array_mut() {
        all.retain(|it| it["type"] != "InvalidSpec");
    }
    status["phase"] = json!(phase);
    if message.is_empty() {
        turn.drop_status("message");
    } else {
        turn.status["message"] = json!(message);
    }
}

fn numbers(turn: &mut Turn) {
    let sum = |of: fn(&super::sets::RolloutSet) -> u32| turn.sets.iter().map(of).sum::<u32>();
    let (replicas, ready, available) = (sum(|set| set.active), sum(|set| set.ready), sum(|set| set.available));
    let updated = turn.sets[turn.newest].active;
    let fields = [
        ("HPAReplicas", replicas),
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ];
    for (field, number) in fields {
        turn.status[field] = json!(number);
    }
    // A generation as text: so it is in the CRD.
    let generation = turn.rollout["metadata"]["generation"].as_u64().unwrap_or(1);
    turn.status["observedGeneration"] = json!(generation.to_string());
    let labels = turn.rollout["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels.into_iter().flatten().map(|(name, value)| format!("{name}={}", text(value))).collect();
    if !selector.is_empty() {
        turn.status["selector"] = json!(selector.join(","));
    }
}

/// Phase and message, in the order in which the controller decides them.
fn phase(turn: &Turn) -> (&'static str, String) {
    let status = &turn.status;
    if turn.aborted() {
        let why = text(&condition(status, "Progressing")["message"]);
        return ("Degraded", format!("RolloutAborted: {why}"));
    }
    if turn.rollout["spec"]["paused"] == true {
        return ("Paused", "manually paused".to_owned());
    }
    if let Some(pause) = status["pauseConditions"].as_array().and_then(|all| all.first()) {
        return ("Paused", text(&pause["reason"]).to_owned());
    }
    let number = |field: &str| status[field].as_u64().unwrap_or(0);
    let progressing = |why: &str| ("Progressing", why.to_owned());
    let desired = u64::from(turn.desired());
    match () {
        () if turn.settled() && number("updatedReplicas") < desired => progressing("more replicas need to be updated"),
        () if number("availableReplicas") < number("updatedReplicas").min(desired) => {
            progressing("updated replicas are still becoming available")
        }
        () if !turn.settled() && number("updatedReplicas") < u64::from(turn.canary_size()) => {
            progressing("more replicas need to be updated")
        }
        () if turn.settled() && !turn.routed() && number("replicas") > number("updatedReplicas") => {
            progressing("old replicas are pending termination")
        }
        () if !turn.settled() => progressing("waiting for all steps to complete"),
        () => ("Healthy", String::new()),
    }
}
