//! A Rollout object as its controller's account of itself.

use crate::adapter::kubernetes::mechanism::{last_writer, stamp};
use crate::domain::progressive::{BlueGreen, PauseFor, PauseReason, Progressive, RolloutPhase, RolloutStep, RolloutWeights, WeightFrom};
use crate::domain::text::clean_bounded;
use crate::domain::{Percent, Route};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// Most steps that are read.
const STEPS: usize = 200;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn name(object: &Value, pointer: &str) -> String {
    clean_bounded(text(object, pointer), 253)
}

fn number(object: &Value, pointer: &str) -> u32 {
    object.pointer(pointer).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok()).unwrap_or(0)
}

fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// A moment as Kubernetes writes it.
pub(super) fn time(object: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text(object, pointer)).ok().map(|at| at.to_utc())
}

/// Reads a Rollout.
pub(super) fn progressive(object: &Value) -> Progressive {
    let mut rollout = Progressive {
        object: format!("rollout/{}", name(object, "/metadata/name")),
        uid: text(object, "/metadata/uid").to_owned(),
        phase: RolloutPhase::Other,
        message: String::new(),
        observed: observed(object),
        steps: steps(object),
        step: object.pointer("/status/currentStepIndex").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok()),
        step_hash: name(object, "/status/currentStepHash"),
        blue_green: blue_green(object),
        weights: None,
        newest: name(object, "/status/currentPodHash"),
        stable: name(object, "/status/stableRS"),
        desired: object.pointer("/spec/replicas").map_or(1, |_| number(object, "/spec/replicas")),
        replicas: number(object, "/status/replicas"),
        updated: number(object, "/status/updatedReplicas"),
        available: number(object, "/status/availableReplicas"),
        pauses: pauses(object),
        controller_pause: flag(object, "/status/controllerPause"),
        paused: flag(object, "/spec/paused"),
        aborted: flag(object, "/status/abort"),
        aborted_at: time(object, "/status/abortedAt"),
        promote_full: flag(object, "/status/promoteFull"),
        workload: workload(object),
        step_analysis: Some(name(object, "/status/canary/currentStepAnalysisRunStatus/name")).filter(|it| !it.is_empty()),
        remarks: vec![],
    };
    rollout.weights = weights(object, &rollout);
    (rollout.phase, rollout.message) = phase(object, &rollout);
    rollout.remarks = remarks(object, &rollout);
    rollout
}

/// The split of traffic that the controller accounts for.
pub(super) fn route(object: &Value, rollout: &Progressive) -> Route {
    let (canary, baseline, others) = rollout.weights.as_ref().map_or((0, 0, 0), |it| (it.canary, it.stable, it.others));
    Route {
        object: rollout.object.clone(),
        uid: rollout.uid.clone(),
        version: text(object, "/metadata/resourceVersion").to_owned(),
        rule: "steps".to_owned(),
        canary,
        baseline,
        others,
        stamp: stamp(object).ok().flatten(),
        pinned: pinned(object, rollout),
        last_writer: last_writer(object),
        trouble: stamp(object).err().or_else(|| rollout.weights.is_none().then(|| NO_STATUS.to_owned())),
    }
}

/// What is said where nobody takes care of a Rollout.
pub(super) const NO_STATUS: &str = "no controller has written its status: is Argo Rollouts running in this cluster?";

/// Whether the controller has seen the latest specification. Its account of that is a text; one that is no number, or ahead, was
/// written by an old controller and says nothing.
fn observed(object: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    caught_up(text(object, "/status/observedGeneration"), generation) && workload_observed(object)
}

fn caught_up(observed: &str, generation: i64) -> bool {
    observed.parse::<i64>().map_or(true, |observed| observed >= generation)
}

/// The same for the object whose template it runs, by the annotation that the controller leaves.
fn workload_observed(object: &Value) -> bool {
    let noted = object.pointer("/metadata/annotations/rollout.argoproj.io~1workload-generation").and_then(Value::as_str);
    let noted = noted.filter(|_| object.pointer("/spec/workloadRef").is_some()).and_then(|it| it.parse().ok());
    noted.is_none_or(|generation| caught_up(text(object, "/status/workloadObservedGeneration"), generation))
}

/// Phase and message by the rules of the rollouts' own client.
fn phase(object: &Value, rollout: &Progressive) -> (RolloutPhase, String) {
    if object.pointer("/status").is_none_or(|status| status.as_object().is_none_or(serde_json::Map::is_empty)) {
        return (RolloutPhase::Other, NO_STATUS.to_owned());
    }
    if !rollout.observed {
        return (RolloutPhase::Progressing, "the controller has not taken up the latest specification".to_owned());
    }
    if rollout.is_unpausing() {
        return (RolloutPhase::Progressing, "waiting for the rollout to go on".to_owned());
    }
    match text(object, "/status/phase") {
        "" => worked_out(object, rollout),
        word => (RolloutPhase::of(word), name(object, "/status/message")),
    }
}

/// The phase where the controller is too old to tell it.
fn worked_out(object: &Value, rollout: &Progressive) -> (RolloutPhase, String) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let bad = conditions.into_iter().flatten().find(|it| match text(it, "/type") {
        "InvalidSpec" => text(it, "/status") == "True",
        "Progressing" => matches!(text(it, "/reason"), "RolloutAborted" | "ProgressDeadlineExceeded"),
        _ => false,
    });
    let progressing = |why: &str| (RolloutPhase::Progressing, why.to_owned());
    if let Some(bad) = bad {
        let why = clean_bounded(&format!("{}: {}", text(bad, "/reason"), text(bad, "/message")), 300);
        return (RolloutPhase::Degraded, why);
    }
    if rollout.paused {
        return (RolloutPhase::Paused, "paused by hand".to_owned());
    }
    if let Some(pause) = rollout.pauses.first() {
        return (RolloutPhase::Paused, pause.reason.clone());
    }
    if rollout.updated < rollout.desired {
        return progressing("more replicas need to be updated");
    }
    if rollout.available < rollout.updated {
        return progressing("updated replicas are still becoming available");
    }
    if rollout.replicas > rollout.updated {
        return progressing("old replicas are pending termination");
    }
    if rollout.stable != rollout.newest {
        return progressing("waiting for all steps to complete");
    }
    (RolloutPhase::Healthy, String::new())
}

fn weights(object: &Value, rollout: &Progressive) -> Option<RolloutWeights> {
    if rollout.newest.is_empty() {
        return None;
    }
    if let Some(weights) = object.pointer("/status/canary/weights").filter(|it| it.is_object()) {
        let more = weights.get("additional").and_then(Value::as_array);
        let others = more.into_iter().flatten().map(|it| number(it, "/weight")).fold(0, u32::saturating_add);
        return Some(RolloutWeights {
            canary: number(weights, "/canary/weight"),
            stable: number(weights, "/stable/weight"),
            others,
            from: WeightFrom::Router,
            verified: weights.get("verified").and_then(Value::as_bool),
        });
    }
    let by = |canary: u32, stable: u32, from| RolloutWeights { canary, stable, others: 0, from, verified: None };
    if let Some(blue) = &rollout.blue_green {
        let switched = !rollout.is_settled() && blue.active.as_deref() == Some(rollout.newest.as_str());
        return Some(if switched { by(100, 0, WeightFrom::Selector) } else { by(0, 100, WeightFrom::Selector) });
    }
    // Everything that is proven is the baseline, also while it is only being scaled.
    let canary = if rollout.is_settled() { 0 } else { rollout.updated.min(rollout.replicas) };
    Some(by(canary, rollout.replicas.saturating_sub(canary), WeightFrom::Instances))
}

fn pauses(object: &Value) -> Vec<PauseReason> {
    let all = object.pointer("/status/pauseConditions").and_then(Value::as_array);
    let pause = |it: &Value| PauseReason { reason: clean_bounded(text(it, "/reason"), 80), since: time(it, "/startTime") };
    all.into_iter().flatten().take(10).map(pause).collect()
}

fn workload(object: &Value) -> Option<String> {
    let kind = text(object, "/spec/workloadRef/kind");
    (!kind.is_empty()).then(|| clean_bounded(&format!("{}/{}", kind.to_lowercase(), text(object, "/spec/workloadRef/name")), 280))
}

fn blue_green(object: &Value) -> Option<BlueGreen> {
    let spec = object.pointer("/spec/strategy/blueGreen").filter(|it| it.is_object())?;
    let some = |it: String| Some(it).filter(|it| !it.is_empty());
    Some(BlueGreen {
        active_service: name(spec, "/activeService"),
        preview_service: some(name(spec, "/previewService")),
        active: some(name(object, "/status/blueGreen/activeSelector")),
        preview: some(name(object, "/status/blueGreen/previewSelector")),
        auto_promotion: spec.get("autoPromotionEnabled").and_then(Value::as_bool).unwrap_or(true),
        auto_promotion_after: spec.get("autoPromotionSeconds").and_then(Value::as_u64).filter(|it| *it > 0).map(Duration::from_secs),
    })
}

fn steps(object: &Value) -> Vec<RolloutStep> {
    let steps = object.pointer("/spec/strategy/canary/steps").and_then(Value::as_array);
    steps.into_iter().flatten().take(STEPS).map(step).collect()
}

fn step(step: &Value) -> RolloutStep {
    let names = |list: &str, field: &str| -> Vec<String> {
        let all = step.pointer(list).and_then(Value::as_array);
        all.into_iter().flatten().take(20).map(|it| clean_bounded(text(it, field), 120)).collect()
    };
    let Some((key, value)) = step.as_object().and_then(|step| step.iter().next()) else {
        return RolloutStep::Unknown { key: "an empty step".to_owned() };
    };
    let unknown = || RolloutStep::Unknown { key: clean_bounded(key, 60) };
    match key.as_str() {
        "setWeight" => {
            let weight = value.as_u64().and_then(|it| u32::try_from(it).ok()).and_then(Percent::new);
            weight.map_or_else(unknown, |weight| RolloutStep::SetWeight { weight })
        }
        "pause" => RolloutStep::Pause { lasts: pause_for(value.get("duration").unwrap_or(&Value::Null)) },
        "analysis" => RolloutStep::Analysis { templates: names("/analysis/templates", "/templateName") },
        "experiment" => RolloutStep::Experiment { templates: names("/experiment/templates", "/name") },
        "setCanaryScale" => RolloutStep::SetCanaryScale { to: canary_scale(value) },
        "setHeaderRoute" => RolloutStep::SetHeaderRoute { what: header_route(value) },
        "setMirrorRoute" => {
            let share = value.get("percentage").and_then(Value::as_u64).map_or_else(String::new, |it| format!(" {it}%"));
            RolloutStep::SetMirrorRoute { what: format!("{}{share}", name(value, "/name")) }
        }
        "plugin" => RolloutStep::Plugin { name: name(value, "/name") },
        _ => unknown(),
    }
}

fn canary_scale(value: &Value) -> String {
    let count = |key: &str| value.get(key).and_then(Value::as_u64);
    match (count("replicas"), count("weight")) {
        (Some(replicas), _) => format!("{replicas} instances"),
        (None, Some(weight)) => format!("{weight}% of instances"),
        (None, None) => "as many as the weight asks for".to_owned(),
    }
}

fn header_route(value: &Value) -> String {
    let matches = value.get("match").and_then(Value::as_array);
    let words: Vec<String> = matches.into_iter().flatten().take(8).map(header).collect();
    if words.is_empty() {
        format!("{} removed", name(value, "/name"))
    } else {
        format!("{}: {}", name(value, "/name"), words.join(" and "))
    }
}

fn header(it: &Value) -> String {
    let tests = [("exact", "="), ("prefix", " starts with "), ("regex", " ~ ")];
    let test = tests.iter().find_map(|(key, sign)| Some(format!("{sign}{}", it.pointer(&format!("/headerValue/{key}"))?.as_str()?)));
    clean_bounded(&format!("header {}{}", text(it, "/headerName"), test.unwrap_or_default()), 120)
}

/// Header routes that the steps so far have set up: requests that reach the canary whatever its weight.
fn pinned(object: &Value, rollout: &Progressive) -> Vec<String> {
    if rollout.is_settled() || rollout.aborted {
        return vec![];
    }
    let steps = object.pointer("/spec/strategy/canary/steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let done = rollout.step.map_or(0, |step| step as usize + 1).min(steps.len());
    let mut set: Vec<(String, Vec<String>)> = Vec::new();
    for route in steps[..done].iter().filter_map(|step| step.get("setHeaderRoute")) {
        let named = name(route, "/name");
        set.retain(|(known, _)| *known != named);
        let matches = route.get("match").and_then(Value::as_array);
        let words: Vec<String> = matches.into_iter().flatten().take(8).map(header).collect();
        if !words.is_empty() {
            set.push((named, words));
        }
    }
    set.into_iter().map(|(_, words)| format!("{} -> canary", words.join(" and "))).collect()
}

/// How long a pause lasts: seconds as a number or a text, or `1h30m`.
fn pause_for(value: &Value) -> PauseFor {
    match value {
        Value::Null => PauseFor::Ever,
        Value::Number(seconds) => match seconds.as_u64() {
            Some(0) => PauseFor::Ever,
            Some(seconds) => PauseFor::Lasting(Duration::from_secs(seconds)),
            None => PauseFor::Unreadable(clean_bounded(&seconds.to_string(), 40)),
        },
        Value::String(written) => match written.parse().ok().map(Duration::from_secs).or_else(|| go_duration(written)) {
            Some(length) => PauseFor::Lasting(length),
            None => PauseFor::Unreadable(clean_bounded(written, 40)),
        },
        other => PauseFor::Unreadable(clean_bounded(&other.to_string(), 40)),
    }
}

/// `1h30m`, `1.5m`, `500ms`: the way Go writes durations.
pub(in crate::adapter::kubernetes) fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0.0_f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let seconds = match &rest[digits..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += value * seconds;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok())?
}

/// What is wrong with how it is set up.
fn remarks(object: &Value, rollout: &Progressive) -> Vec<String> {
    let mut remarks = Vec::new();
    let there = |pointer: &str| object.pointer(pointer).is_some_and(|it| !it.is_null());
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let invalid = conditions.into_iter().flatten().find(|it| text(it, "/type") == "InvalidSpec" && text(it, "/status") == "True");
    if let Some(invalid) = invalid {
        remarks.push(format!("the controller refuses its specification: {}", name(invalid, "/message")));
    }
    if rollout.newest.is_empty() {
        remarks.push(NO_STATUS.to_owned());
    }
    match (there("/spec/strategy/canary"), &rollout.blue_green) {
        (false, None) => remarks.push("it has neither a canary nor a blue-green strategy".to_owned()),
        (true, _) if there("/spec/strategy/canary/trafficRouting") => {
            let ping_pong = there("/spec/strategy/canary/pingPong");
            let services = there("/spec/strategy/canary/canaryService") && there("/spec/strategy/canary/stableService");
            // Routing by the subsets of a DestinationRule needs no Services.
            let subsets = there("/spec/strategy/canary/trafficRouting/istio/destinationRule");
            if !services && !ping_pong && !subsets {
                remarks.push("it names no canary and no stable Service: its router has nothing to send requests to".to_owned());
            }
        }
        (true, _) => {
            let weights = rollout.steps.iter().filter_map(RolloutStep::weight).any(|it| it > Percent::ZERO && it < Percent::FULL);
            if weights && rollout.desired < 10 {
                let smallest = 100 / rollout.desired.max(1);
                remarks.push(format!("no router: with {} instances its shares come in steps of about {smallest}%", rollout.desired));
            }
        }
        (false, Some(blue)) if blue.active_service.is_empty() => {
            remarks.push("it names no active Service: nothing can be switched".to_owned());
        }
        (false, Some(_)) => {}
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(go_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(go_duration("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!((go_duration("5"), go_duration(""), go_duration("5 m")), (None, None, None));
        assert_eq!(pause_for(&json!("600")), PauseFor::Lasting(Duration::from_secs(600)));
        assert_eq!(pause_for(&json!(0)), PauseFor::Ever);
        assert!(matches!(pause_for(&json!("soon")), PauseFor::Unreadable(_)));
    }

    fn with(change: impl FnOnce(&mut Value)) -> Progressive {
        let mut object = super::super::tests::object();
        change(&mut object);
        progressive(&object)
    }

    #[test]
    fn phases_follow_the_rules_of_the_rollouts_own_client() {
        let it = with(|_| {});
        assert_eq!((it.phase, it.message.as_str(), it.observed), (RolloutPhase::Paused, "CanaryPauseStep", true));
        let behind = with(|it| it["metadata"]["generation"] = json!(8));
        assert_eq!((behind.phase, behind.observed), (RolloutPhase::Progressing, false));
        let ahead = with(|it| it["status"]["observedGeneration"] = json!("5d8b7f"));
        assert!(ahead.observed, "what is no number was written by an old controller");
        let unpausing = with(|it| it["status"]["pauseConditions"] = json!(null));
        assert_eq!((unpausing.phase, unpausing.is_unpausing()), (RolloutPhase::Progressing, true));
        let old = with(|it| {
            it["status"].as_object_mut().unwrap().remove("phase");
            it["status"]["conditions"] =
                json!([{"type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": "by hand"}]);
        });
        assert_eq!((old.phase, old.message.as_str()), (RolloutPhase::Degraded, "RolloutAborted: by hand"));
        assert_eq!(with(|it| it["status"] = json!({})).message, NO_STATUS);
        let referred = with(|it| {
            it["spec"]["workloadRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"});
            it["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"] = json!("4");
            it["status"]["workloadObservedGeneration"] = json!("3");
        });
        assert_eq!((referred.observed, referred.workload.as_deref()), (false, Some("deployment/checkout")));
    }

    #[test]
    fn weights_say_what_they_rest_on() {
        let routed = with(|_| {}).weights.unwrap();
        assert_eq!((routed.canary, routed.stable, routed.from), (20, 80, WeightFrom::Router));
        let plain = |it: &mut Value| {
            it["status"]["canary"].as_object_mut().unwrap().remove("weights");
        };
        let counted = with(plain).weights.unwrap();
        assert_eq!((counted.canary, counted.stable, counted.from), (1, 4, WeightFrom::Instances));
        let settled = with(|it| {
            plain(it);
            it["status"]["stableRS"] = it["status"]["currentPodHash"].clone();
        });
        assert_eq!(settled.weights.unwrap().canary, 0, "what is proven is no canary");
    }

    #[test]
    fn every_kind_of_step_is_read() {
        let it = with(|it| {
            it["spec"]["strategy"]["canary"]["steps"] = json!([
                {"setWeight": 5}, {"pause": {}}, {"pause": {"duration": "10m"}}, {"analysis": {"templates": [{"templateName": "a"}]}},
                {"experiment": {"templates": [{"name": "e"}]}}, {"setCanaryScale": {"weight": 25}},
                {"setHeaderRoute": {"name": "insiders", "match": [{"headerName": "x-canary", "headerValue": {"exact": "1"}}]}},
                {"setMirrorRoute": {"name": "copy", "percentage": 10}}, {"plugin": {"name": "acme/step"}}, {"setWeight": 500}, {"later": {}}
            ]);
        });
        let words: Vec<String> = it.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "canary 5%",
                "pause until promoted",
                "pause 10m00s",
                "analysis a",
                "experiment e",
                "canary scale: 25% of instances",
                "header route insiders: header x-canary=1",
                "mirror copy 10%",
                "plug-in acme/step",
                "setWeight (not known here)",
                "later (not known here)"
            ]
        );
    }

    #[test]
    fn a_header_route_that_is_set_up_shows_until_it_is_taken_away() {
        let set = json!({"setHeaderRoute": {"name": "i", "match": [{"headerName": "x", "headerValue": {"exact": "1"}}]}});
        let mut object = super::super::tests::object();
        object["spec"]["strategy"]["canary"]["steps"] = json!([set, {"pause": {}}, {"setHeaderRoute": {"name": "i"}}]);
        let pinned = |object: &Value| route(object, &progressive(object)).pinned;
        assert_eq!(pinned(&object), ["header x=1 -> canary"]);
        object["status"]["currentStepIndex"] = json!(2);
        assert!(pinned(&object).is_empty());
    }

    #[test]
    fn a_rollout_without_a_service_is_remarked_on() {
        let bare = with(|it| {
            it["spec"]["strategy"]["canary"]["trafficRouting"] = json!({"nginx": {"stableIngress": "x"}});
            it["spec"]["strategy"]["canary"].as_object_mut().unwrap().retain(|key, _| key != "canaryService" && key != "stableService");
        });
        assert!(bare.remarks[0].contains("no canary and no stable Service"), "{:?}", bare.remarks);
    }
}
