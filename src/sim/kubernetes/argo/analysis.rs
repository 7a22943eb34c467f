//! AnalysisRuns: begun from templates, measured when due, judged by their conditions and limits.

use super::super::cluster::{Cluster, Job, count, text};
use super::super::objects;
use super::super::resources::Kind;
use super::super::store::{Key, key};
use super::{HASH, NAME, seconds};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// After an error a measurement is tried again so soon, in seconds.
const AFTER_ERROR: i64 = 10;
/// Measurements that are kept of a metric.
const KEPT: usize = 10;

/// What a query gave: its values, or why none.
pub(crate) type Measured = Result<Vec<f64>, String>;

impl Cluster {
    /// Begins an analysis for a Rollout; gives its name.
    pub(super) fn begin_analysis(
        &mut self,
        rollout: &Value,
        spec: &Value,
        name: &str,
        hash: &str,
        (kind, step): (&str, Option<usize>),
    ) -> String {
        let namespace = text(&rollout["metadata"]["namespace"]);
        let mut metrics = Vec::new();
        let mut args: Vec<Value> = Vec::new();
        for template in spec["templates"].as_array().into_iter().flatten() {
            let at = key(namespace, text(&template["templateName"]));
            let Some(found) = self.store.get(Kind::AnalysisTemplate, &at).map(|object| object.value()) else { continue };
            metrics.extend(found["spec"]["metrics"].as_array().cloned().unwrap_or_default());
            args.extend(found["spec"]["args"].as_array().cloned().unwrap_or_default());
        }
        for given in spec["args"].as_array().into_iter().flatten() {
            let value = match text(&given["valueFrom"]["podTemplateHashValue"]) {
                "Latest" => json!(hash),
                "Stable" => rollout["status"]["stableRS"].clone(),
                _ => given["value"].clone(),
            };
            args.retain(|arg| arg["name"] != given["name"]);
            args.push(json!({ "name": given["name"], "value": value }));
        }
        let mut name = name.to_owned();
        while self.store.get(Kind::AnalysisRun, &key(namespace, &name)).is_some() {
            name.push_str(".1");
        }
        let mut labels = json!({ HASH: hash, "rollout-type": kind });
        if let Some(step) = step {
            labels["step-index"] = json!(step.to_string());
        }
        let mut run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": { "name": name, "namespace": namespace, "labels": labels, "ownerReferences": [objects::owner(rollout)] },
            "spec": { "metrics": metrics, "args": args },
            "status": { "phase": "Running", "startedAt": self.now.text(), "metricResults": [] },
        });
        let created = self.now.text();
        self.stamp(Kind::AnalysisRun, &mut run, &created);
        let stored = self.store.put(Kind::AnalysisRun, run);
        self.plan(10, Job::Analysis(stored.key.clone()));
        let what = if kind == "Step" { "Step Analysis Run" } else { "Background Analysis Run" };
        self.say(rollout, NAME, false, "AnalysisRunRunning", &format!("{what} '{name}' Status New: 'Running' Previous: ''"));
        name
    }

    /// Phase and message of an analysis.
    pub(super) fn analysis_phase(&self, rollout: &Value, name: &str) -> (String, String) {
        let at = key(text(&rollout["metadata"]["namespace"]), name);
        let run = self.store.get(Kind::AnalysisRun, &at).map(|object| object.value()).unwrap_or_default();
        let phase = text(&run["status"]["phase"]);
        (if phase.is_empty() { "Pending" } else { phase }.to_owned(), text(&run["status"]["message"]).to_owned())
    }

    /// Ends analyses of a Rollout that still run: without anything against them they count as successful.
    pub(super) fn end_analyses(&mut self, rollout: &Value, only: Option<&str>) {
        let uid = &rollout["metadata"]["uid"];
        let running: Vec<Key> = self
            .store
            .objects(Kind::AnalysisRun)
            .iter()
            .filter(|(at, _)| only.is_none_or(|name| &*at.1 == name))
            .filter(|(_, object)| {
                let value = object.value();
                value["metadata"]["ownerReferences"][0]["uid"] == *uid && value["status"]["phase"] == "Running"
            })
            .map(|(at, _)| at.clone())
            .collect();
        let time = self.now.text();
        for at in running {
            self.update(Kind::AnalysisRun, &at, |run| {
                run["spec"]["terminate"] = json!(true);
                run["status"]["phase"] = json!("Successful");
                run["status"]["message"] = json!("Run Terminated");
                run["status"]["completedAt"] = json!(time);
                for result in run["status"]["metricResults"].as_array_mut().into_iter().flatten() {
                    if result["phase"] == "Running" {
                        result["phase"] = json!("Successful");
                    }
                }
            });
        }
    }

    /// Queries that are due in an analysis, with the places of their metrics.
    pub(crate) fn analysis_questions(&mut self, at: &Key) -> Vec<(usize, String)> {
        let Some(run) = self.store.get(Kind::AnalysisRun, at).map(|object| object.value()) else { return vec![] };
        if run["status"]["phase"] != "Running" {
            return vec![];
        }
        let metrics = run["spec"]["metrics"].as_array().cloned().unwrap_or_default();
        let mut due = Vec::new();
        let mut next: Option<DateTime<Utc>> = None;
        for (place, metric) in metrics.iter().enumerate() {
            let Some(when) = due_at(&run, metric) else { continue };
            if when <= self.now.wall {
                due.push((place, with_args(text(&metric["provider"]["prometheus"]["query"]), &run["spec"]["args"])));
            } else {
                next = Some(next.map_or(when, |known| known.min(when)));
            }
        }
        if due.is_empty()
            && let Some(next) = next
        {
            self.plan((next - self.now.wall).num_milliseconds() + 20, Job::Analysis(at.clone()));
        }
        due
    }

    /// Writes measurements down and judges the run by them.
    pub(crate) fn analysis_answers(&mut self, at: &Key, answers: Vec<(usize, Measured)>) {
        let time = self.now.text();
        let changed = self.update(Kind::AnalysisRun, at, |run| {
            for (place, answer) in answers {
                measure(run, place, &answer, &time);
            }
            judge(run, &time);
        });
        let Some(run) = changed.map(|object| object.value()) else { return };
        let owner = key(&at.0, text(&run["metadata"]["ownerReferences"][0]["name"]));
        if run["status"]["phase"] == "Running" {
            self.plan(20, Job::Analysis(at.clone()));
        } else {
            let phase = text(&run["status"]["phase"]);
            let warning = phase != "Successful";
            let reason = format!("AnalysisRun{phase}");
            self.say(&run, NAME, warning, &reason, &format!("Analysis Completed. Result: {phase}"));
        }
        self.enqueue_rollout(owner);
    }
}

fn with_args(text_of: &str, args: &Value) -> String {
    let mut out = text_of.to_owned();
    for arg in args.as_array().into_iter().flatten() {
        let value = text(&arg["value"]);
        for form in ["{{args.NAME}}", "{{ args.NAME }}"] {
            out = out.replace(&form.replace("NAME", text(&arg["name"])), value);
        }
    }
    out
}

fn result<'a>(run: &'a Value, name: &Value) -> &'a Value {
    static NONE: Value = Value::Null;
    run["status"]["metricResults"].as_array().and_then(|all| all.iter().find(|it| it["name"] == *name)).unwrap_or(&NONE)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| text(value).parse().ok())
}

/// When a metric is measured next; `None` when it is over.
fn due_at(run: &Value, metric: &Value) -> Option<DateTime<Utc>> {
    let moment = |value: &Value| DateTime::parse_from_rfc3339(text(value)).ok().map(|at| at.to_utc());
    let known = result(run, &metric["name"]);
    if known.is_null() {
        return Some(moment(&run["status"]["startedAt"])? + TimeDelta::seconds(seconds(&metric["initialDelay"]).unwrap_or(0)));
    }
    if known["phase"] != "Running" {
        return None;
    }
    let last = known["measurements"].as_array()?.last()?;
    let wait = if last["phase"] == "Error" { AFTER_ERROR } else { seconds(&metric["interval"]).unwrap_or(AFTER_ERROR) };
    Some(moment(&last["finishedAt"])? + TimeDelta::seconds(wait))
}

fn measure(run: &mut Value, place: usize, answer: &Measured, time: &str) {
    let metric = run["spec"]["metrics"][place].clone();
    let args = run["spec"]["args"].clone();
    let condition = |field: &str| metric[field].as_str().map(|text| with_args(text, &args));
    let (phase, value, message) = match answer {
        Err(why) => ("Error", String::new(), why.clone()),
        Ok(values) => {
            let shown = format!("[{}]", values.iter().map(f64::to_string).collect::<Vec<_>>().join(","));
            match assess(condition("successCondition").as_deref(), condition("failureCondition").as_deref(), values) {
                Ok(phase) => (phase, shown, String::new()),
                Err(why) => ("Error", shown, why),
            }
        }
    };
    if run["status"]["metricResults"].is_null() {
        run["status"]["metricResults"] = json!([]);
    }
    let Some(all) = run["status"]["metricResults"].as_array_mut() else { return };
    let at = all.iter().position(|it| it["name"] == metric["name"]).unwrap_or_else(|| {
        all.push(json!({ "name": metric["name"], "phase": "Running", "measurements": [] }));
        all.len() - 1
    });
    let known = &mut all[at];
    let mut measurement = json!({ "phase": phase, "startedAt": time, "finishedAt": time });
    for (field, text) in [("value", value), ("message", message)] {
        if !text.is_empty() {
            measurement[field] = json!(text);
        }
    }
    if let Some(measurements) = known["measurements"].as_array_mut() {
        measurements.push(measurement);
        let over = measurements.len().saturating_sub(KEPT);
        measurements.drain(..over);
    }
    let field = phase.to_lowercase();
    known[field.as_str()] = json!(count(&known[field.as_str()]) + 1);
    if phase == "Error" {
        known["consecutiveError"] = json!(count(&known["consecutiveError"]) + 1);
    } else {
        known["count"] = json!(count(&known["count"]) + 1);
        known["consecutiveError"] = json!(0);
    }
}

/// Judges every metric by its limits, then the run by the worst of them.
fn judge(run: &mut Value, time: &str) {
    let metrics = run["spec"]["metrics"].as_array().cloned().unwrap_or_default();
    let order = ["Successful", "Running", "Inconclusive", "Error", "Failed"];
    let (mut worst, mut words) = (0, String::new());
    for metric in &metrics {
        let name = text(&metric["name"]);
        let limit = |field: &str, default: i64| whole(&metric[field]).unwrap_or(default);
        let wanted = whole(&metric["count"]).filter(|it| *it > 0).or_else(|| metric["interval"].is_null().then_some(1));
        let Some(known) =
            run["status"]["metricResults"].as_array_mut().and_then(|all| all.iter_mut().find(|it| it["name"] == metric["name"]))
        else {
            worst = worst.max(1);
            continue;
        };
        let of = |field: &str| i64::from(count(&known[field]));
        let over = |field: &str, limit: i64| limit >= 0 && of(field) > limit;
        let (phase, why) = if over("failed", limit("failureLimit", 0)) {
            ("Failed", format!("failed ({}) > failureLimit ({})", of("failed"), limit("failureLimit", 0)))
        } else if over("consecutiveError", limit("consecutiveErrorLimit", 4)) {
            let limit = limit("consecutiveErrorLimit", 4);
            ("Error", format!("consecutiveErrors ({}) > consecutiveErrorLimit ({limit})", of("consecutiveError")))
        } else if over("inconclusive", limit("inconclusiveLimit", 0)) {
            let limit = limit("inconclusiveLimit", 0);
            ("Inconclusive", format!("inconclusive ({}) > inconclusiveLimit ({limit})", of("inconclusive")))
        } else if wanted.is_some_and(|wanted| of("count") >= wanted) {
            ("Successful", String::new())
        } else {
            ("Running", String::new())
        };
        known["phase"] = json!(phase);
        let rank = order.iter().position(|it| *it == phase).unwrap_or(0);
        if rank > worst || words.is_empty() && rank > 1 {
            words = format!("Metric \"{name}\" assessed {phase} due to {why}");
        }
        worst = worst.max(rank);
    }
    // A metric that is lost ends the run at once; one that only waits does not.
    let phase = order[worst];
    run["status"]["phase"] = json!(phase);
    if phase != "Running" {
        run["status"]["completedAt"] = json!(time);
        if worst > 1 {
            run["status"]["message"] = json!(words);
        }
    }
}

/// A measurement by its conditions. Without any it is good; with both, neither is undecided; the bad one wins.
fn assess(success: Option<&str>, failure: Option<&str>, values: &[f64]) -> Result<&'static str, String> {
    let good = success.map(|it| holds(it, values)).transpose()?;
    let bad = failure.map(|it| holds(it, values)).transpose()?;
    Ok(match (good, bad) {
        (_, Some(true)) | (Some(false), None) => "Failed",
        (Some(true) | None, _) => "Successful",
        (Some(false), Some(false)) => "Inconclusive",
    })
}

/// A small part of the expression language: comparisons of `result`, `result[0]` and `len(result)`, joined by `&&` and `||`.
fn holds(condition: &str, values: &[f64]) -> Result<bool, String> {
    for any in condition.split("||") {
        let mut all = true;
        for term in any.split("&&") {
            all &= compared(term.trim(), values)?;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

type Compare = fn(f64, f64) -> bool;

fn compared(term: &str, values: &[f64]) -> Result<bool, String> {
    let operators: [(&str, Compare); 6] = [
        ("<=", |a, b| a <= b),
        (">=", |a, b| a >= b),
        ("==", |a, b| (a - b).abs() < f64::EPSILON),
        ("!=", |a, b| (a - b).abs() >= f64::EPSILON),
        ("<", |a, b| a < b),
        (">", |a, b| a > b),
    ];
    let Some((sign, test)) = operators.iter().find(|(sign, _)| term.contains(sign)) else {
        return Err(format!("not simulated: {term}"));
    };
    let (left, right) = term.split_once(sign).unwrap_or((term, ""));
    let right: f64 = right.trim().parse().map_err(|_| format!("not simulated: {term}"))?;
    let left = match left.trim() {
        "len(result)" => values.len() as f64,
        "result" => *values.first().ok_or("no data returned")?,
        item => {
            let at = item.strip_prefix("result[").and_then(|it| it.strip_suffix(']')).and_then(|it| it.parse::<usize>().ok());
            *values.get(at.ok_or_else(|| format!("not simulated: {term}"))?).ok_or("no data returned")?
        }
    };
    Ok(test(left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_judged_as_the_controller_does() {
        assert_eq!(assess(Some("result[0] < 0.01"), None, &[0.02]).unwrap(), "Failed");
        assert_eq!(assess(None, Some("result[0] > 0.01"), &[0.001]).unwrap(), "Successful");
        assert_eq!(assess(Some("result < 1"), Some("result > 5"), &[3.0]).unwrap(), "Inconclusive");
        assert_eq!(assess(Some("result > 0"), Some("result > 5"), &[6.0]).unwrap(), "Failed", "the bad one wins");
        assert_eq!(assess(None, None, &[6.0]).unwrap(), "Successful");
        assert!(assess(Some("result[0] < 1"), None, &[]).is_err(), "nothing measured is an error, not a success");
        assert_eq!(assess(Some("len(result) == 0 || result[0] < 1"), None, &[]).unwrap(), "Successful");
    }

    #[test]
    fn errors_in_a_row_end_a_run_and_do_not_count_as_measurements() {
        let mut run = json!({"spec": {"metrics": [{"name": "m", "interval": "10s", "count": 3}]}, "status": {"phase": "Running"}});
        for _ in 0..4 {
            measure(&mut run, 0, &Err("down".into()), "2026-03-14T03:00:00Z");
            judge(&mut run, "2026-03-14T03:00:00Z");
        }
        assert_eq!((&run["status"]["phase"], &run["status"]["metricResults"][0]["count"]), (&json!("Running"), &Value::Null));
        measure(&mut run, 0, &Err("down".into()), "2026-03-14T03:00:00Z");
        judge(&mut run, "2026-03-14T03:00:00Z");
        assert_eq!(run["status"]["phase"], "Error");
    }
}
