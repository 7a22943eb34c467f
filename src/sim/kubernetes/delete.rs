//! Deletion, and what goes with its owner.

use super::cluster::{Cluster, Job, count};
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
            Kind::Deployment => self.delete_deployment(&at, &object.uid),
            Kind::ReplicaSet => self.delete_set(&at, &object.uid),
            kind => {
                self.store.remove(kind, &at);
            }
        }
        Ok((StatusCode::OK, done))
    }

    fn delete_deployment(&mut self, at: &Key, uid: &Arc<str>) {
        self.store.remove(Kind::Deployment, at);
        let sets: Vec<(Key, Arc<str>)> = self
            .store
            .objects(Kind::ReplicaSet)
            .iter()
            .filter(|(set, object)| set.0 == at.0 && object.value()["metadata"]["ownerReferences"][0]["uid"] == **uid)
            .map(|(set, object)| (set.clone(), Arc::clone(&object.uid)))
            .collect();
        for (set, uid) in sets {
            self.delete_set(&set, &uid);
        }
    }

    fn delete_set(&mut self, at: &Key, uid: &Arc<str>) {
        self.store.remove(Kind::ReplicaSet, at);
        for pod in self.sets.remove(uid).unwrap_or_default() {
            self.stop_pod(&pod);
        }
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
                if kind == Kind::Pod {
                    self.remove_pod(&at);
                } else {
                    self.store.remove(kind, &at);
                }
            }
        }
        self.plan(1000, Job::NamespaceGone(name));
        self.store.get(Kind::Namespace, at).map_or(Value::Null, |namespace| namespace.value())
    }
}
