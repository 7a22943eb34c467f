//! The HorizontalPodAutoscaler: replicas by the use of CPU, within bounds, down only after a while.

use super::cluster::{Cluster, Job, count, text};
use super::conditions::set_condition;
use super::resources::{Kind, Target};
use super::store::{Key, key};
use super::write::{Verb, Write};
use serde_json::{Value, json};
use std::sync::Arc;

/// How often it looks.
const EVERY: i64 = 15_000;
/// For how long the highest recommendation holds against going down.
const STABLE: i64 = 300_000;
/// How far off the target nothing is done.
const TOLERANCE: f64 = 0.1;

/// What an autoscaler saw and wants.
struct Look {
    target: Target,
    /// Replicas that are there.
    current: u32,
    /// What the metric asks for, and its figure; `None`: it cannot be told.
    measured: Option<(u32, Value)>,
}

impl Cluster {
    /// Begins to look after an autoscaler.
    pub(crate) fn learn_autoscaler(&mut self, at: &Key) {
        let Some(object) = self.store.get(Kind::Hpa, at) else { return };
        if self.autoscalers.insert(Arc::clone(&object.uid)) {
            self.plan(1_000, Job::Autoscale(at.clone(), Arc::clone(&object.uid)));
        }
    }

    /// One look.
    pub(crate) fn autoscale(&mut self, at: &Key, uid: &Arc<str>) {
        let Some(object) = self.store.get(Kind::Hpa, at).filter(|object| object.uid == *uid) else {
            self.autoscalers.remove(uid);
            self.recommended.remove(uid);
            return;
        };
        self.plan(EVERY, Job::Autoscale(at.clone(), Arc::clone(uid)));
        let hpa = object.value();
        match self.look(at, &hpa) {
            Ok(look) => self.follow_metric(at, uid, &hpa, &look),
            Err(why) => {
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                self.tell_conditions(at, &[("AbleToScale", "False", "FailedGetScale", &message)]);
                self.say(&hpa, "horizontal-pod-autoscaler", true, "FailedGetScale", &why);
            }
        }
    }

    fn look(&self, at: &Key, hpa: &Value) -> Result<Look, String> {
        let to = &hpa["spec"]["scaleTargetRef"];
        let name = text(&to["name"]);
        let kind = Kind::named(text(&to["apiVersion"]), text(&to["kind"])).filter(|kind| kind.resource().subresources.contains(&"scale"));
        let kind = kind.ok_or_else(|| format!("no matches for kind \"{}\"", text(&to["kind"])))?;
        let resource = kind.resource();
        let object = self.store.get(kind, &key(&at.0, name)).ok_or_else(|| format!("{} \"{name}\" not found", resource.qualified()))?;
        let value = object.value();
        let target = Target {
            resource,
            version: resource.versions[0].to_owned(),
            namespace: Some(at.0.to_string()),
            name: Some(name.to_owned()),
            subresource: Some("scale".to_owned()),
        };
        let current = count(&value["spec"]["replicas"]);
        Ok(Look { target, current, measured: self.measure(at, hpa, &value, current) })
    }

    /// Average use of CPU of the ready Pods, in percent of what they ask for.
    fn measure(&self, at: &Key, hpa: &Value, workload: &Value, current: u32) -> Option<(u32, Value)> {
        let metrics = hpa["spec"]["metrics"].as_array()?;
        let wanted = metrics.iter().find(|m| m["resource"]["name"] == "cpu")?["resource"]["target"]["averageUtilization"].as_u64()?;
        let name = text(&workload["metadata"]["name"]);
        let owned = self.sets.values().filter(|set| set.at.0 == at.0 && set.owner.as_ref().is_some_and(|owner| *owner.key.1 == *name));
        let pods = owned.flat_map(|set| &set.pods).filter_map(|at| Some((at, self.pods.get(at)?)));
        let ready: Vec<_> = pods.filter(|(_, pod)| pod.ready.is_some() && !pod.stopping).collect();
        let used: u64 = ready.iter().map(|(at, pod)| self.used(at, pod).cpu).sum();
        let asked: u64 = ready.iter().map(|(_, pod)| pod.needs.cpu).sum();
        if asked == 0 {
            return None;
        }
        let percent = used * 100 / asked;
        let ratio = percent as f64 / wanted.max(1) as f64;
        let desired = if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ready.len() as f64 * ratio).ceil() as u32 };
        let each = used / ready.len().max(1) as u64;
        let figure = json!([{ "type": "Resource", "resource": { "name": "cpu", "current": {
            "averageUtilization": percent, "averageValue": format!("{each}m"),
        } } }]);
        Some((desired, figure))
    }

    fn follow_metric(&mut self, at: &Key, uid: &Arc<str>, hpa: &Value, look: &Look) {
        let able = ("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
        if look.current == 0 {
            let disabled = "scaling is disabled since the replica count of the target is zero";
            self.tell_conditions(at, &[able, ("ScalingActive", "False", "ScalingDisabled", disabled)]);
            self.tell_numbers(at, look.current, 0, &Value::Null);
            return;
        }
        let Some((wanted, figure)) = &look.measured else {
            let why = "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu";
            self.tell_conditions(at, &[able, ("ScalingActive", "False", "FailedGetResourceMetric", why)]);
            self.tell_numbers(at, look.current, look.current, &Value::Null);
            self.say(
                hpa,
                "horizontal-pod-autoscaler",
                true,
                "FailedGetResourceMetric",
                "failed to get cpu utilization: missing request for cpu",
            );
            return;
        };
        let (stable, held) = self.stabilize(uid, *wanted, look.current);
        let (least, most) = (count(&hpa["spec"]["minReplicas"]).max(1), count(&hpa["spec"]["maxReplicas"]));
        let desired = stable.clamp(least, most.max(least));
        let limited = match () {
            () if stable > most => {
                ("ScalingLimited", "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
            }
            () if stable < least => {
                ("ScalingLimited", "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
            }
            () => ("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"),
        };
        let valid = "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)";
        let active = ("ScalingActive", "True", "ValidMetricFound", valid);
        let rescaled = format!("the HPA controller was able to update the target scale to {desired}");
        let able = match () {
            () if desired != look.current => ("AbleToScale", "True", "SucceededRescale", rescaled.as_str()),
            () if held => (
                "AbleToScale",
                "True",
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent recommendation",
            ),
            () => ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
        };
        if desired != look.current {
            let body = json!({ "spec": { "replicas": desired } });
            let manager = "kube-controller-manager";
            let write = Write { target: &look.target, verb: Verb::MergePatch, body: &body, manager, dry_run: false, force: false };
            if self.write(&write).is_err() {
                return;
            }
            let reason = if desired > look.current {
                "cpu resource utilization (percentage of request) above target"
            } else {
                "All metrics below target"
            };
            self.say(hpa, "horizontal-pod-autoscaler", false, "SuccessfulRescale", &format!("New size: {desired}; reason: {reason}"));
            let time = self.now.text();
            self.update(Kind::Hpa, at, |hpa| hpa["status"]["lastScaleTime"] = json!(time));
        }
        self.tell_conditions(at, &[able, active, limited]);
        self.tell_numbers(at, look.current, desired, figure);
    }

    /// The highest recommendation of late; whether it is an older one.
    fn stabilize(&mut self, uid: &Arc<str>, wanted: u32, current: u32) -> (u32, bool) {
        let now = self.now.t;
        let recent = self.recommended.entry(Arc::clone(uid)).or_insert_with(|| vec![(now, current)]);
        recent.push((now, wanted));
        recent.retain(|(t, _)| now - *t <= STABLE);
        let highest = recent.iter().map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        (highest, highest > wanted)
    }

    fn tell_conditions(&mut self, at: &Key, conditions: &[(&str, &str, &str, &str)]) {
        let time = self.now.text();
        self.update(Kind::Hpa, at, |hpa| {
            for condition in conditions {
                let before = hpa["status"]["conditions"].clone();
                set_condition(&mut hpa["status"], *condition, &time, false);
                if hpa["status"]["conditions"] != before
                    && let Some(fresh) = hpa["status"]["conditions"].as_array_mut().and_then(|all| all.last_mut())
                    && let Some(fresh) = fresh.as_object_mut()
                {
                    fresh.remove("lastUpdateTime");
                }
            }
            if let Some(all) = hpa["status"]["conditions"].as_array_mut() {
                all.sort_by_key(|c| ["AbleToScale", "ScalingActive", "ScalingLimited"].iter().position(|kind| c["type"] == *kind));
            }
        });
    }

    fn tell_numbers(&mut self, at: &Key, current: u32, desired: u32, figure: &Value) {
        self.update(Kind::Hpa, at, |hpa| {
            hpa["status"]["currentReplicas"] = json!(current);
            hpa["status"]["desiredReplicas"] = json!(desired);
            hpa["status"]["currentMetrics"] = figure.clone();
        });
    }
}
