//! The steps of a canary: which one is over, which one waits.

use super::super::cluster::{Cluster, text};
use super::seconds;
use super::turn::Turn;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

impl Turn {
    /// Goes on from the current step if it is over. One step a look, as the status has to be seen in between.
    pub(super) fn step(&mut self, cluster: &mut Cluster) {
        let index = self.index();
        let goes = !self.first() && !self.settled() && !self.aborted() && self.rollout["spec"]["paused"] != true;
        let Some(step) = self.steps().get(index).cloned().filter(|_| goes) else { return };
        if !self.is_over(cluster, &step) || self.aborted() {
            return;
        }
        self.clear_pause();
        if let Some(canary) = self.status["canary"].as_object_mut() {
            canary.remove("currentStepAnalysisRunStatus");
        }
        self.set_index(index + 1);
        let what = step.as_object().and_then(|step| step.iter().next()).map_or_else(String::new, |(key, value)| match value {
            Value::Number(number) => format!("{key}: {number}"),
            _ => key.clone(),
        });
        let message = format!("Rollout step {}/{} completed ({what})", index + 1, self.steps().len());
        self.say(cluster, false, "RolloutStepCompleted", &message);
        self.moved = true;
    }

    fn is_over(&mut self, cluster: &mut Cluster, step: &Value) -> bool {
        if self.inconclusive() {
            return false;
        }
        if step["setWeight"].is_u64() {
            let size = self.canary_size();
            let there = self.sets[self.newest].available >= size && self.sets[self.newest].wanted == size;
            let routed = !self.routed() || self.status["canary"]["weights"]["canary"]["weight"] == json!(self.set_weight());
            return there && routed;
        }
        if step["setCanaryScale"].is_object() {
            let size = self.canary_size();
            return self.sets[self.newest].available >= size && self.sets[self.newest].wanted == size;
        }
        if step["pause"].is_object() {
            return self.pause(cluster, &step["pause"]["duration"]);
        }
        if step["analysis"].is_object() {
            return self.analysis(cluster, &step["analysis"]);
        }
        true
    }

    fn pause_since(&self, reason: &str) -> Option<DateTime<chrono::Utc>> {
        let pause = self.status["pauseConditions"].as_array()?.iter().find(|it| it["reason"] == reason)?;
        DateTime::parse_from_rfc3339(text(&pause["startTime"])).ok().map(|at| at.to_utc())
    }

    fn inconclusive(&self) -> bool {
        self.pause_since("InconclusiveAnalysisRun").is_some()
    }

    /// Whether a pause is over: its time is up, or somebody took it away.
    fn pause(&mut self, cluster: &mut Cluster, duration: &Value) -> bool {
        const REASON: &str = "CanaryPauseStep";
        let Some(since) = self.pause_since(REASON) else {
            if self.status["controllerPause"] == true {
                return true;
            }
            self.pause_for(cluster, REASON);
            if let Some(length) = seconds(duration) {
                self.look_at(self.now + TimeDelta::seconds(length));
            }
            return false;
        };
        let Some(over) = seconds(duration).map(|length| since + TimeDelta::seconds(length)) else { return false };
        if self.now < over {
            self.look_at(over);
        }
        self.now >= over
    }

    /// Waits, and says why.
    pub(super) fn pause_for(&mut self, cluster: &mut Cluster, reason: &str) {
        let since = self.time();
        self.status["pauseConditions"] = json!([{ "reason": reason, "startTime": since }]);
        self.status["controllerPause"] = json!(true);
        self.say(cluster, false, "RolloutPaused", &format!("Rollout is paused ({reason})"));
    }

    /// Whether the analysis of this step is over and good. A bad one gives the version up, an undecided one waits.
    fn analysis(&mut self, cluster: &mut Cluster, spec: &Value) -> bool {
        let name = format!("{}-{}-{}-{}", text(&self.rollout["metadata"]["name"]), self.hash(), self.revision(), self.index());
        let known = text(&self.status["canary"]["currentStepAnalysisRunStatus"]["name"]).to_owned();
        let name = match known.as_str() {
            "" => cluster.begin_analysis(&self.rollout, spec, &name, self.hash(), ("Step", Some(self.index()))),
            known => known.to_owned(),
        };
        let (phase, message) = cluster.analysis_phase(&self.rollout, &name);
        let mut told = json!({ "name": name, "status": phase });
        if !message.is_empty() {
            told["message"] = json!(message);
        }
        self.status["canary"]["currentStepAnalysisRunStatus"] = told;
        match phase.as_str() {
            "Successful" => return true,
            "Failed" | "Error" => {
                let why = format!("Step-based analysis phase error/failed: {message}");
                self.abort(cluster, &why);
            }
            "Inconclusive" => self.pause_for(cluster, "InconclusiveAnalysisRun"),
            _ => {}
        }
        false
    }

    /// The analysis that runs beside the steps.
    pub(super) fn background(&mut self, cluster: &mut Cluster) {
        let spec = self.canary()["analysis"].clone();
        let from = spec["startingStep"].as_u64().unwrap_or(0) as usize;
        let under_way = !self.first() && !self.settled() && !self.aborted() && self.index() < self.steps().len();
        if !spec.is_object() {
            return;
        }
        let known = text(&self.status["canary"]["currentBackgroundAnalysisRunStatus"]["name"]).to_owned();
        if !under_way || self.index() < from {
            if !known.is_empty() {
                cluster.end_analyses(&self.rollout, Some(&known));
                if let Some(canary) = self.status["canary"].as_object_mut() {
                    canary.remove("currentBackgroundAnalysisRunStatus");
                }
            }
            return;
        }
        let name = format!("{}-{}-{}", text(&self.rollout["metadata"]["name"]), self.hash(), self.revision());
        let name = match known.as_str() {
            "" => cluster.begin_analysis(&self.rollout, &spec, &name, self.hash(), ("Background", None)),
            known => known.to_owned(),
        };
        let (phase, message) = cluster.analysis_phase(&self.rollout, &name);
        let seen = self.status["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == *phase;
        self.status["canary"]["currentBackgroundAnalysisRunStatus"] = json!({ "name": name, "status": phase, "message": message });
        match phase.as_str() {
            "Failed" | "Error" => {
                let why = format!("Background analysis phase error/failed: {message}");
                self.abort(cluster, &why);
            }
            "Inconclusive" if !seen => self.pause_for(cluster, "InconclusiveAnalysisRun"),
            _ => {}
        }
    }
}
