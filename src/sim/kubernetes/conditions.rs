//! A Deployment's status: numbers, conditions, and the deadline of its progress.

use super::cluster::{Cluster, Job, count, text};
use super::deployment::{REVISION, Set};
use super::resources::Kind;
use super::rolling;
use super::store::Key;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// A condition of a status, or null.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    status["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == kind)).unwrap_or(&NONE)
}

/// One condition that holds, does not, or nobody knows.
type Next<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Sets a condition. With the same status and reason it stays as it is, unless `renew` says that there was progress.
pub(crate) fn set_condition(status: &mut Value, (kind, holds, reason, message): Next<'_>, time: &str, renew: bool) {
    let before = condition(status, kind).clone();
    if before["status"] == holds && before["reason"] == reason && !renew {
        return;
    }
    let since = if before["status"] == holds { before["lastTransitionTime"].clone() } else { json!(time) };
    remove_condition(status, kind);
    let fresh = json!({
        "type": kind, "status": holds, "reason": reason, "message": message, "lastUpdateTime": time, "lastTransitionTime": since,
    });
    match status["conditions"].as_array_mut() {
        Some(all) => all.push(fresh),
        None => status["conditions"] = json!([fresh]),
    }
}

fn remove_condition(status: &mut Value, kind: &str) {
    if let Some(all) = status["conditions"].as_array_mut() {
        all.retain(|c| c["type"] != kind);
    }
}

/// Whether everything that is wanted is there, of the newest template, and nothing else.
pub(crate) fn complete(deployment: &Value) -> bool {
    let (status, desired) = (&deployment["status"], count(&deployment["spec"]["replicas"]));
    ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|field| count(&status[*field]) == desired)
        && status["observedGeneration"] == deployment["metadata"]["generation"]
}

/// Seconds without progress after which a rollout has failed; `None`: no limit.
fn deadline(deployment: &Value) -> Option<i64> {
    let seconds = deployment["spec"]["progressDeadlineSeconds"].as_i64()?;
    (seconds < i64::from(i32::MAX)).then_some(seconds)
}

/// The numbers of a status, zeros left out as the server leaves them out.
fn numbers(deployment: &Value, sets: &[Set], current: Option<usize>) -> Value {
    let sum = |of: fn(&Set) -> u32| sets.iter().map(of).sum::<u32>();
    let available = sum(|s| s.available);
    let mut status = json!({ "observedGeneration": deployment["metadata"]["generation"] });
    let fields = [
        ("replicas", sum(|s| s.active)),
        ("updatedReplicas", current.map_or(0, |i| sets[i].active)),
        ("readyReplicas", sum(|s| s.ready)),
        ("availableReplicas", available),
        ("unavailableReplicas", sum(|s| s.wanted).saturating_sub(available)),
    ];
    for (field, number) in fields {
        if number > 0 {
            status[field] = json!(number);
        }
    }
    status
}

/// Whether there is more of the new or less of the old than before.
fn progressed(old: &Value, new: &Value) -> bool {
    let of = |status: &Value, field: &str| i64::from(count(&status[field]));
    let rest = |status: &Value| of(status, "replicas") - of(status, "updatedReplicas");
    of(new, "updatedReplicas") > of(old, "updatedReplicas")
        || rest(new) < rest(old)
        || of(new, "readyReplicas") > of(old, "readyReplicas")
        || of(new, "availableReplicas") > of(old, "availableReplicas")
}

/// Moves the condition `Progressing`; the time at which it has to be looked at again.
fn progress(deployment: &mut Value, old: &Value, name: &str, now: DateTime<Utc>, time: &str) -> Option<DateTime<Utc>> {
    let limit = deadline(deployment)?;
    let whole = complete(deployment);
    let status = &mut deployment["status"];
    let before = condition(old, "Progressing").clone();
    let settled = status["replicas"] == status["updatedReplicas"] && before["reason"] == "NewReplicaSetAvailable";
    if settled {
        return None;
    }
    if whole {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        set_condition(status, ("Progressing", "True", "NewReplicaSetAvailable", &message), time, false);
        return None;
    }
    if progressed(old, status) {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        set_condition(status, ("Progressing", "True", "ReplicaSetUpdated", &message), time, true);
        return Some(now + TimeDelta::seconds(limit));
    }
    if matches!(text(&before["reason"]), "" | "NewReplicaSetAvailable" | "ProgressDeadlineExceeded") {
        return None;
    }
    let last = DateTime::parse_from_rfc3339(text(&before["lastUpdateTime"])).map_or(now, |last| last.to_utc());
    let over = last + TimeDelta::seconds(limit);
    if now <= over {
        return Some(over);
    }
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    set_condition(status, ("Progressing", "False", "ProgressDeadlineExceeded", &message), time, false);
    None
}

/// Notes once that the controller writes status and revision.
fn own_status(deployment: &mut Value, time: &str) {
    const MANAGER: &str = "kube-controller-manager";
    let Some(entries) = deployment["metadata"]["managedFields"].as_array_mut() else { return };
    if entries.iter().any(|entry| entry["manager"] == MANAGER && entry["subresource"] == "status") {
        return;
    }
    let mut annotations = json!({});
    annotations[format!("f:{REVISION}")] = json!({});
    entries.push(json!({
        "manager": MANAGER, "operation": "Update", "apiVersion": "apps/v1", "subresource": "status", "time": time, "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": { "f:annotations": annotations }, "f:status": {
            "f:availableReplicas": {}, "f:conditions": {}, "f:observedGeneration": {}, "f:readyReplicas": {}, "f:replicas": {},
            "f:updatedReplicas": {},
        } },
    }));
}

impl Cluster {
    /// Sets one condition of a Deployment.
    pub(crate) fn update_condition(&mut self, at: &Key, kind: &str, holds: &str, reason: &str, message: &str) {
        let time = self.now.text();
        self.update(Kind::Deployment, at, |deployment| {
            if deadline(deployment).is_some() {
                set_condition(&mut deployment["status"], (kind, holds, reason, message), &time, false);
            }
        });
    }

    /// Tells when a rollout is paused and when it goes on.
    pub(crate) fn mark_pause(&mut self, at: &Key, paused: bool) {
        let Some(object) = self.store.get(Kind::Deployment, at) else { return };
        let value = object.value();
        let marked = condition(&value["status"], "Progressing")["reason"] == "DeploymentPaused";
        match (paused, marked) {
            (true, false) => self.update_condition(at, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"),
            (false, true) => self.update_condition(at, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"),
            _ => {}
        }
    }

    /// Writes a Deployment's status and revision.
    pub(crate) fn report(&mut self, at: &Key, sets: &[Set], current: Option<usize>) {
        let (now, time) = (self.now.wall, self.now.text());
        let name = current.map_or("", |i| &*sets[i].at.1);
        let failure = current.and_then(|i| sets[i].failure.clone()).or_else(|| sets.iter().find_map(|set| set.failure.clone()));
        let mut again = None;
        self.update(Kind::Deployment, at, |value| {
            if let Some(current) = current {
                value["metadata"]["annotations"][REVISION] = json!(sets[current].revision.to_string());
            }
            own_status(value, &time);
            let old = value["status"].clone();
            let mut status = numbers(value, sets, current);
            if !old["conditions"].is_null() {
                status["conditions"] = old["conditions"].clone();
            }
            let least = count(&value["spec"]["replicas"]).saturating_sub(rolling::unavailable(value));
            let available = if count(&status["availableReplicas"]) >= least {
                ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            } else {
                ("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            };
            set_condition(&mut status, available, &time, false);
            value["status"] = status;
            if value["spec"]["paused"] != true {
                again = progress(value, &old, name, now, &time);
            }
            match &failure {
                Some(why) => set_condition(&mut value["status"], ("ReplicaFailure", "True", "FailedCreate", why), &time, false),
                None => remove_condition(&mut value["status"], "ReplicaFailure"),
            }
        });
        if let Some(again) = again {
            self.plan((again - now).num_milliseconds() + 1000, Job::Reconcile(at.clone()));
        }
    }
}
