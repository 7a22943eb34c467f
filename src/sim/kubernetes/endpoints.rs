//! The EndpointSlice controller: the Pods behind each Service, a hundred to a slice, rewritten slice by slice.

use super::cluster::{Cluster, Job, text};
use super::objects;
use super::pods::Pod;
use super::resources::Kind;
use super::store::{Key, key};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most endpoints of one slice, as in a real cluster.
const MOST: usize = 100;
/// How long changes of Pods are gathered, in a small cluster.
const GATHER: i64 = 150;

/// A Service with a selector, and where its Pods are listed.
#[derive(Debug, Clone)]
pub(crate) struct Backed {
    at: Key,
    selector: BTreeMap<String, String>,
    /// Slices by name with the Pods on them.
    slices: BTreeMap<String, BTreeSet<Key>>,
    /// Metadata of the slices that are stored: a slice of a hundred endpoints is never read back to be written.
    metadata: BTreeMap<String, Value>,
    /// The slice of each Pod.
    placed: HashMap<Key, String>,
    /// Pods to look at again.
    dirty: BTreeSet<Key>,
    queued: bool,
    ports: Option<Value>,
}

impl Backed {
    fn takes(&self, pod: &Pod) -> bool {
        self.selector.iter().all(|(label, value)| pod.labels.get(label) == Some(value))
    }
}

/// One Pod as a slice lists it.
fn endpoint(cluster: &Cluster, at: &Key, pod: &Pod) -> Value {
    let ready = pod.ready.is_some();
    let mut endpoint = json!({
        "addresses": [pod.address.as_deref().unwrap_or("")],
        "conditions": { "ready": ready && !pod.stopping, "serving": ready, "terminating": pod.stopping },
        "targetRef": { "kind": "Pod", "namespace": &*at.0, "name": &*at.1, "uid": &*pod.uid },
    });
    if let Some(node) = pod.node.and_then(|node| cluster.nodes.get(node)) {
        endpoint["nodeName"] = json!(&*node.name);
        if !node.zone.is_empty() {
            endpoint["zone"] = json!(&*node.zone);
        }
    }
    endpoint
}

impl Cluster {
    /// A Service is new, changed or gone: its Pods are looked for again.
    pub(crate) fn learn_service(&mut self, at: &Key) {
        let object = self.store.get(Kind::Service, at);
        let value = object.map(|object| object.value()).unwrap_or_default();
        let selector = value["spec"]["selector"].as_object();
        let selector: BTreeMap<String, String> =
            selector.into_iter().flatten().map(|(label, value)| (label.clone(), text(value).to_owned())).collect();
        let services = self.services.entry(Arc::clone(&at.0)).or_default();
        if selector.is_empty() {
            services.retain(|service| service.at != *at);
            let gone: Vec<Key> = self.slices_of(at);
            for slice in gone {
                self.store.remove(Kind::EndpointSlice, &slice);
            }
            return;
        }
        let place = services.iter().position(|service| service.at == *at).unwrap_or_else(|| {
            services.push(Backed {
                at: at.clone(),
                selector: BTreeMap::new(),
                slices: BTreeMap::new(),
                metadata: BTreeMap::new(),
                placed: HashMap::new(),
                dirty: BTreeSet::new(),
                queued: false,
                ports: None,
            });
            services.len() - 1
        });
        services[place].selector = selector;
        services[place].ports = None;
        let taken = self.pods.iter().filter(|(pod, _)| pod.0 == at.0).map(|(pod, _)| pod.clone()).collect::<Vec<_>>();
        if let Some(service) = self.services.get_mut(&at.0).and_then(|services| services.get_mut(place)) {
            service.dirty.extend(taken);
            service.dirty.extend(service.placed.keys().cloned());
        }
        self.enqueue_service(at);
    }

    fn slices_of(&self, service: &Key) -> Vec<Key> {
        let prefix = format!("{}-", service.1);
        let slices = self.store.objects(Kind::EndpointSlice);
        slices
            .range(key(&service.0, &prefix)..)
            .take_while(|(at, _)| at.0 == service.0 && at.1.starts_with(&prefix))
            .filter(|(_, object)| object.labels.get("kubernetes.io/service-name").is_some_and(|name| **name == *service.1))
            .map(|(at, _)| at.clone())
            .collect()
    }

    /// A Pod came, changed or went.
    pub(crate) fn touch_services(&mut self, at: &Key) {
        let Some(pod) = self.pods.get(at) else { return };
        let services = self.services.get_mut(&at.0).into_iter().flatten();
        let mut woken = Vec::new();
        for service in services {
            if (service.placed.contains_key(at) || service.takes(pod)) && service.dirty.insert(at.clone()) && !service.queued {
                woken.push(service.at.clone());
            }
        }
        for service in woken {
            self.enqueue_service(&service);
        }
    }

    fn enqueue_service(&mut self, at: &Key) {
        let after = self.gather(GATHER);
        let services = self.services.get_mut(&at.0).into_iter().flatten();
        let mut service = services.filter(|service| service.at == *at && !service.queued);
        if let Some(service) = service.next() {
            service.queued = true;
            self.plan(after, Job::Endpoints(at.clone()));
        }
    }

    /// Brings the slices of a Service up to date.
    pub(crate) fn fill_slices(&mut self, at: &Key) {
        let Some(place) = self.services.get(&at.0).and_then(|all| all.iter().position(|service| service.at == *at)) else { return };
        let Some(object) = self.store.get(Kind::Service, at) else { return };
        let value = object.value();
        // Taken out while it is worked on: the rest of the cluster is read meanwhile.
        let Some(mut service) = self.services.get_mut(&at.0).map(|all| all.swap_remove(place)) else { return };
        service.queued = false;
        let renewed = service.ports.is_none();
        let ports = service.ports.clone().unwrap_or_else(|| self.ports_of(&service, &value));
        let mut changed: BTreeSet<String> = if renewed { service.slices.keys().cloned().collect() } else { BTreeSet::new() };
        // A named port is known only when a Pod is.
        let known = ports.as_array().is_some_and(|ports| ports.iter().all(|port| !port["port"].is_null()));
        service.ports = known.then(|| ports.clone());
        for pod in std::mem::take(&mut service.dirty) {
            let known = self.pods.get(&pod).filter(|known| known.address.is_some() && service.takes(known));
            match (known, service.placed.get(&pod).cloned()) {
                (Some(_), Some(slice)) => drop(changed.insert(slice)),
                (Some(_), None) => {
                    let free = service.slices.iter().find(|(_, pods)| pods.len() < MOST).map(|(name, _)| name.clone());
                    let slice = free.unwrap_or_else(|| format!("{}-{}", at.1, self.ids.suffix(5)));
                    service.slices.entry(slice.clone()).or_default().insert(pod.clone());
                    service.placed.insert(pod, slice.clone());
                    changed.insert(slice);
                }
                (None, Some(slice)) => {
                    service.placed.remove(&pod);
                    service.slices.entry(slice.clone()).or_default().remove(&pod);
                    changed.insert(slice);
                }
                (None, None) => {}
            }
        }
        if service.slices.is_empty() {
            let name = format!("{}-{}", at.1, self.ids.suffix(5));
            service.slices.insert(name.clone(), BTreeSet::new());
            changed.insert(name);
        }
        for name in changed {
            let empty = service.slices.get(&name).is_none_or(BTreeSet::is_empty);
            if empty && service.slices.len() > 1 {
                service.slices.remove(&name);
                service.metadata.remove(&name);
                self.store.remove(Kind::EndpointSlice, &key(&at.0, &name));
            } else {
                self.write_slice(&mut service, &value, &name, &ports);
            }
        }
        self.services.entry(Arc::clone(&at.0)).or_default().push(service);
    }

    /// Ports of the slices; a named target is looked up in a Pod.
    fn ports_of(&self, service: &Backed, value: &Value) -> Value {
        let any = service.placed.keys().chain(&service.dirty).find(|at| self.pods.get(*at).is_some_and(|pod| service.takes(pod)));
        let pod = any.and_then(|at| self.store.get(Kind::Pod, at)).map(|object| object.value()).unwrap_or_default();
        let containers = || pod["spec"]["containers"].as_array().into_iter().flatten();
        let ports = value["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
            let target = match &port["targetPort"] {
                Value::String(name) => containers()
                    .flat_map(|c| c["ports"].as_array().into_iter().flatten())
                    .find(|p| p["name"] == **name)
                    .map_or(Value::Null, |p| p["containerPort"].clone()),
                number => number.clone(),
            };
            let mut shown = json!({ "name": text(&port["name"]), "port": target, "protocol": port["protocol"] });
            if port["appProtocol"].is_string() {
                shown["appProtocol"] = port["appProtocol"].clone();
            }
            shown
        });
        ports.collect()
    }

    fn write_slice(&mut self, service: &mut Backed, of: &Value, name: &str, ports: &Value) {
        let pods = service.slices.get(name).into_iter().flatten();
        let endpoints: Vec<Value> = pods.filter_map(|at| self.pods.get(at).map(|pod| endpoint(self, at, pod))).collect();
        let time = self.now.text();
        let body = |metadata: &Value| {
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
                "endpoints": endpoints, "ports": ports,
            })
        };
        if let Some(metadata) = service.metadata.get_mut(name) {
            metadata["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] = json!(time);
            metadata["generation"] = json!(metadata["generation"].as_u64().unwrap_or(0) + 1);
            self.store.put(Kind::EndpointSlice, body(metadata));
            return;
        }
        let mut labels = of["metadata"]["labels"].clone();
        labels["kubernetes.io/service-name"] = json!(&*service.at.1);
        labels["endpointslice.kubernetes.io/managed-by"] = json!("endpointslice-controller.k8s.io");
        let metadata = json!({
            "name": name, "generateName": format!("{}-", service.at.1), "namespace": &*service.at.0, "labels": labels,
            "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": time }, "ownerReferences": [objects::owner(of)],
        });
        let mut slice = body(&metadata);
        self.stamp(Kind::EndpointSlice, &mut slice, &time);
        service.metadata.insert(name.to_owned(), slice["metadata"].clone());
        self.store.put(Kind::EndpointSlice, slice);
    }
}
