//! An AnalysisRun object as an analysis: its metrics with their limits from the specification and their values from the status.

use super::read::time;
use crate::domain::progressive::{Analysis, AnalysisMetric, AnalysisPhase, AnalysisRole, Counts, Limits, Measurement};
use crate::domain::text::clean_bounded;
use serde_json::Value;

/// Most metrics of a run that are read.
const METRICS: usize = 40;
/// Most measurements of a metric that are read: the controller keeps ten by default.
const MEASUREMENTS: usize = 20;

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn words(object: &Value, pointer: &str) -> String {
    clean_bounded(text(object, pointer), 300)
}

fn count(object: &Value, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// A number that may be written as a text.
fn whole(object: &Value, key: &str) -> Option<i64> {
    let value = object.get(key)?;
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

/// Whether this run belongs to the Rollout of this name, and to this object where its uid is known.
pub(super) fn belongs(object: &Value, rollout: &str, uid: Option<&str>) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        text(owner, "/kind") == "Rollout" && text(owner, "/name") == rollout && uid.is_none_or(|uid| text(owner, "/uid") == uid)
    })
}

/// Reads an AnalysisRun.
pub(super) fn analysis(object: &Value) -> Analysis {
    let label = |key: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let specs = object.pointer("/spec/metrics").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tried = object.pointer("/spec/dryRun").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let results = object.pointer("/status/metricResults").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let metrics = specs.iter().take(METRICS).map(|spec| {
        let name = text(spec, "/name");
        let result = results.iter().find(|result| text(result, "/name") == name).unwrap_or(&Value::Null);
        metric(spec, result, tried.iter().any(|it| dry(text(it, "/metricName"), name)))
    });
    Analysis {
        uid: text(object, "/metadata/uid").to_owned(),
        name: clean_bounded(text(object, "/metadata/name"), 253),
        role: AnalysisRole::of(label("rollout-type").unwrap_or_default()),
        step: label("step-index").and_then(|step| step.parse().ok()),
        revision: label("rollouts-pod-template-hash").map(|hash| clean_bounded(hash, 63)),
        phase: AnalysisPhase::of(text(object, "/status/phase")),
        message: words(object, "/status/message"),
        started: time(object, "/status/startedAt").or_else(|| time(object, "/metadata/creationTimestamp")),
        metrics: metrics.collect(),
    }
}

/// The name of a dry run is a pattern; only the plain ones and `.*` are told apart here, the result says the rest.
fn dry(pattern: &str, name: &str) -> bool {
    pattern == name || pattern == ".*"
}

fn metric(spec: &Value, result: &Value, dry_run: bool) -> AnalysisMetric {
    let condition = |key: &str| Some(words(spec, key)).filter(|text| !text.is_empty());
    let all = result.get("measurements").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    AnalysisMetric {
        name: clean_bounded(text(spec, "/name"), 120),
        phase: AnalysisPhase::of(text(result, "/phase")),
        message: words(result, "/message"),
        dry_run: dry_run || result.get("dryRun").and_then(Value::as_bool).unwrap_or(false),
        success: condition("/successCondition"),
        failure: condition("/failureCondition"),
        counts: Counts {
            successful: count(result, "successful"),
            failed: count(result, "failed"),
            inconclusive: count(result, "inconclusive"),
            error: count(result, "error"),
        },
        errors_in_a_row: count(result, "consecutiveError"),
        limits: limits(spec),
        measurements: all[all.len().saturating_sub(MEASUREMENTS)..].iter().map(measurement).collect(),
    }
}

fn limits(spec: &Value) -> Limits {
    let plain = Limits::default();
    let count = whole(spec, "count").and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0);
    Limits {
        // Without an interval once is enough; with one it goes on until it is stopped.
        count: count.or(if spec.get("interval").is_none() { plain.count } else { None }),
        failures: whole(spec, "failureLimit").unwrap_or(plain.failures),
        inconclusive: whole(spec, "inconclusiveLimit").unwrap_or(plain.inconclusive),
        errors: whole(spec, "consecutiveErrorLimit").unwrap_or(plain.errors),
    }
}

fn measurement(it: &Value) -> Measurement {
    Measurement {
        at: time(it, "/finishedAt").or_else(|| time(it, "/startedAt")),
        phase: AnalysisPhase::of(text(it, "/phase")),
        value: clean_bounded(text(it, "/value"), 80),
        message: words(it, "/message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_beside_their_conditions_and_limits() {
        let run = json!({
            "metadata": {"name": "checkout-6d4-2-3", "uid": "a", "creationTimestamp": "2026-03-14T03:00:00Z",
                "labels": {"rollout-type": "Step", "step-index": "3", "rollouts-pod-template-hash": "6d4"},
                "ownerReferences": [{"kind": "Rollout", "name": "checkout", "uid": "u", "controller": true}]},
            "spec": {"metrics": [
                {"name": "errors", "interval": "30s", "failureLimit": "2", "successCondition": "result[0] < 0.01", "provider": {}},
                {"name": "once", "provider": {}}],
                "dryRun": [{"metricName": "once"}]},
            "status": {"phase": "Running", "metricResults": [{"name": "errors", "phase": "Running", "successful": 2, "failed": 1,
                "measurements": [{"phase": "Successful", "value": "[0.004]", "finishedAt": "2026-03-14T03:01:00Z"},
                    {"phase": "Failed", "value": "[0.02]\u{1b}[31m", "finishedAt": "2026-03-14T03:01:30Z"}]}]},
        });
        assert!(belongs(&run, "checkout", Some("u")) && !belongs(&run, "checkout", Some("other")) && !belongs(&run, "cart", None));
        let read = analysis(&run);
        assert_eq!((read.role, read.step, read.revision.as_deref()), (AnalysisRole::Step, Some(3), Some("6d4")));
        let errors = &read.metrics[0];
        assert_eq!(errors.limits, Limits { count: None, failures: 2, inconclusive: 0, errors: 4 });
        assert_eq!((errors.counts.successful, errors.counts.failed, errors.conditions().as_str()), (2, 1, "good: result[0] < 0.01"));
        let latest = errors.latest().unwrap();
        assert_eq!((latest.phase, latest.value.contains('\u{1b}')), (AnalysisPhase::Failed, false));
        assert_eq!((read.metrics[1].limits.count, read.metrics[1].dry_run), (Some(1), true));
    }
}
