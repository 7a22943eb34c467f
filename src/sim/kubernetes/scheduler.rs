//! Nodes, and which of them a Pod fits on.

use super::cluster::{Cluster, text};
use super::quantity::{milli, whole};
use super::resources::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the scheduler knows of a Node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) zone: Arc<str>,
    pub(crate) address: String,
    pub(crate) labels: BTreeMap<String, String>,
    cpu: u64,
    memory: u64,
    open: bool,
}

/// What the containers of a Pod ask for, summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Thousandths of a CPU.
    pub(crate) cpu: u64,
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) cpu_limit: u64,
    pub(crate) memory_limit: u64,
}

impl Needs {
    pub(crate) fn of(spec: &Value) -> Self {
        spec["containers"].as_array().into_iter().flatten().map(|c| &c["resources"]).fold(Self::default(), |sum, r| Self {
            cpu: sum.cpu + milli(&r["requests"]["cpu"]),
            memory: sum.memory + whole(&r["requests"]["memory"]),
            cpu_limit: sum.cpu_limit + milli(&r["limits"]["cpu"]),
            memory_limit: sum.memory_limit + whole(&r["limits"]["memory"]),
        })
    }
}

/// A Node of the simulated cloud: 16 CPUs and 64 GiB, in one of three zones.
pub(crate) fn node(index: usize) -> Value {
    let zone = ["a", "b", "c"][index % 3];
    let name = format!("node-eu-west-1{zone}-{}", index / 3 + 1);
    let size = json!({ "cpu": "16", "memory": "65804340Ki", "pods": "110", "ephemeral-storage": "83873772Ki" });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({ "type": kind, "status": status, "reason": reason, "message": message });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "eu-west-1", "topology.kubernetes.io/zone": format!("eu-west-1{zone}"),
            "node.kubernetes.io/instance-type": "m6i.4xlarge",
        } },
        "spec": { "providerID": format!("sim:///eu-west-1{zone}/{name}") },
        "status": {
            "capacity": size,
            "allocatable": { "cpu": "15890m", "memory": "64755764Ki", "pods": "110", "ephemeral-storage": "76224326324" },
            "addresses": [
                { "type": "InternalIP", "address": format!("10.0.{}.{}", index / 200, 7 + index % 200) },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.33.1", "osImage": "Simulated Linux 1", "kernelVersion": "6.12.20", "architecture": "amd64",
                "operatingSystem": "linux", "containerRuntimeVersion": "containerd://2.0.5", "kubeProxyVersion": "v1.33.1",
            },
        },
    })
}

impl Cluster {
    /// Reads the Nodes again after one changed.
    pub(crate) fn learn_nodes(&mut self) {
        let objects = self.store.objects(Kind::Node);
        self.nodes = objects
            .values()
            .map(|object| {
                let value = object.value();
                let addresses = value["status"]["addresses"].as_array();
                let internal = addresses.and_then(|all| all.iter().find(|a| a["type"] == "InternalIP"));
                Node {
                    name: Arc::clone(&object.key.1),
                    zone: Arc::from(object.labels.get("topology.kubernetes.io/zone").map_or("", String::as_str)),
                    address: internal.map_or("", |a| text(&a["address"])).to_owned(),
                    labels: object.labels.clone(),
                    cpu: milli(&value["status"]["allocatable"]["cpu"]),
                    memory: whole(&value["status"]["allocatable"]["memory"]),
                    open: value["spec"]["unschedulable"] != true,
                }
            })
            .collect();
    }

    /// A Node for a Pod, by its index; else the scheduler's words.
    pub(crate) fn place(&mut self, needs: Needs, wanted: &BTreeMap<String, String>) -> Result<usize, String> {
        let mut fitting = Vec::new();
        let mut against: BTreeMap<&str, usize> = BTreeMap::new();
        // No Pod is evicted for another one where the Node is wrong as such.
        let mut unhelpful = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let matches = wanted.iter().all(|(label, value)| node.labels.get(label) == Some(value));
            let mut why = BTreeSet::new();
            if !node.open {
                why.insert("node(s) were unschedulable");
            } else if !matches {
                why.insert("node(s) didn't match Pod's node affinity/selector");
            } else {
                if needs.cpu > node.cpu {
                    why.insert("Insufficient cpu");
                }
                if needs.memory > node.memory {
                    why.insert("Insufficient memory");
                }
            }
            if why.is_empty() {
                fitting.push(index);
            }
            unhelpful += usize::from(!node.open || !matches);
            for reason in why {
                *against.entry(reason).or_default() += 1;
            }
        }
        if !fitting.is_empty() {
            return Ok(fitting[self.rng.below(fitting.len())]);
        }
        let all = self.nodes.len();
        let mut reasons: Vec<String> = against.into_iter().map(|(reason, nodes)| format!("{nodes} {reason}")).collect();
        reasons.sort();
        let mut evictions = Vec::new();
        if all > unhelpful {
            evictions.push(format!("{} No preemption victims found for incoming pod", all - unhelpful));
        }
        if unhelpful > 0 {
            evictions.push(format!("{unhelpful} Preemption is not helpful for scheduling"));
        }
        Err(format!(
            "0/{all} nodes are available: {}. preemption: 0/{all} nodes are available: {}.",
            reasons.join(", "),
            evictions.join(", ")
        ))
    }
}
