//! metrics.k8s.io: what Pods and Nodes use, from the traffic model where it says, else from what they ask for.

use super::cluster::{Cluster, text};
use super::pods::Pod;
use super::quantity::{milli, whole};
use super::resources::Kind;
use super::store::Key;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Annotations of a Pod template that say what one Pod uses.
const CPU: &str = "sim.gonogo.dev/cpu";
const MEMORY: &str = "sim.gonogo.dev/memory";
/// Annotation of a Deployment: CPUs that all its ready Pods use together, however many they are.
const LOAD: &str = "sim.gonogo.dev/load";
/// Length of the window that a figure is about.
const WINDOW: &str = "15s";

/// Thousandths of a CPU, and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) cpu: u64,
    pub(crate) memory: u64,
}

/// What an annotated Pod uses.
pub(crate) fn annotated(pod: &Value) -> (Option<u64>, Option<u64>) {
    let annotations = &pod["metadata"]["annotations"];
    let cpu = annotations.get(CPU).map(milli);
    (cpu, annotations.get(MEMORY).map(whole))
}

/// Plus or minus five percent, the same for the same Pod.
fn varied(number: u64, at: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    at.1.hash(&mut hasher);
    (number * (950 + hasher.finish() % 101) / 1000).max(1)
}

impl Cluster {
    /// What a running Pod uses.
    pub(crate) fn used(&self, at: &Key, pod: &Pod) -> Used {
        let version = pod.labels.get("version").map_or("", String::as_str);
        let traffic = self.loads.iter().find(|(namespace, of, _)| *at.0 == **namespace && of == version).map(|(_, _, used)| *used);
        let asked = Used { cpu: (pod.needs.cpu / 5).max(1), memory: (pod.needs.memory / 2).max(20 << 20) };
        let base = traffic.unwrap_or(asked);
        let shared = self.shared_load(pod);
        Used {
            cpu: pod.used.0.or(shared).unwrap_or_else(|| varied(base.cpu, at)),
            memory: pod.used.1.unwrap_or_else(|| varied(base.memory, at)),
        }
    }

    /// A ready Pod's part of the load of its Deployment.
    fn shared_load(&self, pod: &Pod) -> Option<u64> {
        let set = self.sets.get(pod.set.as_ref()?)?;
        let owner = set.owner.as_ref()?;
        let load = *self.deployment_loads.get(&owner.key)?;
        let ready: u32 = self.sets.values().filter(|other| other.owner.as_ref() == Some(owner)).map(|other| other.ready).sum();
        Some(load / u64::from(ready.max(1)))
    }

    /// Reads the load that a Deployment is said to have.
    pub(crate) fn learn_load(&mut self, at: &Key) {
        let load = self.store.get(Kind::Deployment, at).map(|object| object.value()["metadata"]["annotations"][LOAD].clone());
        match load.filter(Value::is_string) {
            Some(load) => drop(self.deployment_loads.insert(at.clone(), milli(&load))),
            None => drop(self.deployment_loads.remove(at)),
        }
    }

    /// The metrics API: a list or one object of Pods or Nodes; `None` when there is no such thing.
    pub(crate) fn usage_api(&self, path: &[&str], selected: &dyn Fn(&BTreeMap<String, String>) -> bool) -> Option<Value> {
        let (kind, found) = match path {
            ["nodes"] => ("NodeMetricsList", Err(self.node_usage(selected))),
            ["nodes", name] => ("", Ok(self.node_usage(&|_| true).into_iter().find(|node| node["metadata"]["name"] == *name)?)),
            ["pods"] => ("PodMetricsList", Err(self.pod_usage(None, None, selected))),
            ["namespaces", namespace, "pods"] => ("PodMetricsList", Err(self.pod_usage(Some(namespace), None, selected))),
            ["namespaces", namespace, "pods", name] => ("", Ok(self.pod_usage(Some(namespace), Some(name), &|_| true).pop()?)),
            _ => return None,
        };
        Some(match found {
            Ok(one) => one,
            Err(items) => json!({ "kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items }),
        })
    }

    fn pod_usage(&self, namespace: Option<&str>, name: Option<&str>, selected: &dyn Fn(&BTreeMap<String, String>) -> bool) -> Vec<Value> {
        let running = self.pods.iter().filter(|(at, pod)| {
            pod.address.is_some()
                && namespace.is_none_or(|namespace| *at.0 == *namespace)
                && name.is_none_or(|name| *at.1 == *name)
                && selected(&pod.labels)
        });
        let mut running: Vec<(&Key, &Pod)> = running.collect();
        running.sort_by_key(|(at, _)| *at);
        running.into_iter().map(|(at, pod)| self.pod_metrics(at, pod)).collect()
    }

    fn pod_metrics(&self, at: &Key, pod: &Pod) -> Value {
        let used = self.used(at, pod);
        let names: Vec<Value> = match &*pod.containers {
            [] => vec![json!("app")],
            names => names.iter().map(|name| json!(name)).collect(),
        };
        // The first container does the work.
        let containers: Vec<Value> = names
            .into_iter()
            .enumerate()
            .map(|(place, name)| {
                let part = if place == 0 { used } else { Used { cpu: 5, memory: 40 << 20 } };
                json!({ "name": name, "usage": { "cpu": format!("{}n", part.cpu * 1_000_000), "memory": format!("{}Ki", part.memory / 1024) } })
            })
            .collect();
        json!({
            "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": { "name": &*at.1, "namespace": &*at.0, "creationTimestamp": self.now.text(), "labels": &*pod.labels },
            "timestamp": self.now.text(), "window": WINDOW, "containers": containers,
        })
    }

    fn node_usage(&self, selected: &dyn Fn(&BTreeMap<String, String>) -> bool) -> Vec<Value> {
        let mut sums: Vec<Used> = vec![Used { cpu: 180, memory: 1_400 << 20 }; self.nodes.len()];
        for (at, pod) in &self.pods {
            if let Some(sum) = pod.node.and_then(|node| sums.get_mut(node)).filter(|_| pod.address.is_some()) {
                let used = self.used(at, pod);
                sum.cpu += used.cpu;
                sum.memory += used.memory;
            }
        }
        let nodes = self.nodes.iter().zip(sums).filter(|(node, _)| selected(&node.labels));
        nodes
            .map(|(node, used)| {
                json!({
                    "kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1",
                    "metadata": { "name": &*node.name, "creationTimestamp": self.now.text(), "labels": node.labels },
                    "timestamp": self.now.text(), "window": WINDOW,
                    "usage": { "cpu": format!("{}n", used.cpu * 1_000_000), "memory": format!("{}Ki", used.memory / 1024) },
                })
            })
            .collect()
    }
}

/// Names of a Pod's containers.
pub(crate) fn containers(spec: &Value) -> Arc<[String]> {
    spec["containers"].as_array().into_iter().flatten().map(|c| text(&c["name"]).to_owned()).collect()
}
