//! Deletion, and what goes with its owner.

use super::cluster::{Cluster, Job, count};
use super::pods::SetPods;
use super::resources::Kind;
use super::status::Status;
use super::store::Key;
use super::write::{Answer, Write};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

impl Cluster {
    pub(crate) fn delete(&mut self, write: &Write<'_>) -> Answer {
        let (resource, name) = (write.resource(), write.name());
        let at = write.key().ok_or_else(Status::method_not_allowed)?;
        let Some(object) = self.store.get(resource.kind, &at) else { return Err(Status::not_found(resource, name)) };
        let preconditions = &write.body["preconditions"];
        let version = object.version.to_string();
        let differs = |field: &str, is: &str| preconditions[field].as_str().is_some_and(|asked| asked != is);
        if differs("uid", &object.uid) || differs("resourceVersion", &version) {
            return Err(Status::conflict(resource, name, "Precondition failed: the object is not the one that was asked for"));
        }
        self.check_admission(write)?;
        let done = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": { "name": name, "group": resource.group, "kind": resource.plural, "uid": &*object.uid },
        });
        if write.dry_run {
            return Ok((StatusCode::OK, done));
        }
        match resource.kind {
            Kind::Pod => {
                if count(&write.body["gracePeriodSeconds"]) == 0 && write.body["gracePeriodSeconds"].is_u64() {
                    self.remove_pod(&at);
                } else {
                    self.stop_pod(&at);
                }
                let shown = self.store.get(Kind::Pod, &at).unwrap_or(object);
                return Ok((StatusCode::OK, shown.value()));
            }
            Kind::Namespace => {
                let shown = self.delete_namespace(&at);
                return Ok((StatusCode::OK, shown));
            }
            Kind::Deployment => self.delete_deployment(&at, &object.uid, orphans(write.body)),
            Kind::ReplicaSet => self.delete_set(&at, &object.uid, orphans(write.body)),
            kind => {
                self.store.remove(kind, &at);
            }
        }
        match resource.kind {
            Kind::Node => self.learn_nodes(),
            Kind::ResourceQuota => self.learn_quotas(),
            Kind::Service => {
                self.learn_service(&at);
                self.touch_routes();
            }
            Kind::Pdb => self.learn_budgets(&at.0),
            Kind::Gateway => self.touch_routes(),
            _ => {}
        }
        Ok((StatusCode::OK, done))
    }

    fn delete_deployment(&mut self, at: &Key, uid: &Arc<str>, orphan: bool) {
        self.store.remove(Kind::Deployment, at);
        let owned = |set: &SetPods| set.owner.as_ref().is_some_and(|owner| owner.kind == "Deployment" && owner.key == *at);
        let sets: Vec<(Arc<str>, Key)> =
            self.sets.iter().filter(|(_, s)| owned(s)).map(|(uid, s)| (Arc::clone(uid), s.at.clone())).collect();
        for (set, at) in sets {
            let of = self.store.get(Kind::ReplicaSet, &at).map(|object| object.value());
            if of.is_none_or(|of| of["metadata"]["ownerReferences"][0]["uid"] != **uid) {
                continue;
            }
            if orphan {
                self.disown(Kind::ReplicaSet, &at);
                self.know_set(&at);
            } else {
                self.delete_set(&at, &set, false);
            }
        }
    }

    fn delete_set(&mut self, at: &Key, uid: &Arc<str>, orphan: bool) {
        self.store.remove(Kind::ReplicaSet, at);
        let Some(set) = self.sets.get(uid).cloned() else { return };
        for pod in &set.pods {
            if orphan {
                self.assign(pod, None);
                self.disown(Kind::Pod, pod);
            } else {
                self.stop_pod(pod);
            }
        }
        self.sets.remove(uid);
        if let Some(owner) = set.owner.filter(|owner| owner.kind == "Deployment") {
            self.enqueue(owner.key);
        }
    }

    fn disown(&mut self, kind: Kind, at: &Key) {
        self.update(kind, at, |object| {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("ownerReferences");
            }
        });
    }

    fn delete_namespace(&mut self, at: &Key) -> Value {
        let name = Arc::clone(&at.1);
        let time = self.now.text();
        self.update(Kind::Namespace, at, |namespace| {
            namespace["metadata"]["deletionTimestamp"] = json!(time);
            namespace["status"]["phase"] = json!("Terminating");
        });
        for kind in Kind::ALL.into_iter().filter(|kind| kind.resource().namespaced) {
            let inside: Vec<Key> = self.store.objects(kind).keys().filter(|at| at.0 == name).cloned().collect();
            for at in inside {
                let removed = self.store.remove(kind, &at);
                match kind {
                    Kind::Pod => self.forget_pod(&at),
                    Kind::ReplicaSet => drop(removed.and_then(|set| self.sets.remove(&set.uid))),
                    _ => {}
                }
            }
        }
        self.services.remove(&name);
        self.budgets.remove(&name);
        self.learn_quotas();
        self.plan(1000, Job::NamespaceGone(name));
        self.store.get(Kind::Namespace, at).map_or(Value::Null, |namespace| namespace.value())
    }
}

/// Whether what it owns is to stay.
fn orphans(options: &Value) -> bool {
    options["propagationPolicy"] == "Orphan" || options["orphanDependents"] == true
}
