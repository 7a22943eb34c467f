//! Create, update, patch, delete: what an API server checks before it stores, and what it answers.

use super::cluster::{Cluster, Job, count, text};
use super::managed::{self, Writer};
use super::objects;
use super::patch::{self, Unpatchable};
use super::resources::{Kind, Resource, Target};
use super::status::Status;
use super::store::{Key, key};
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// How an object is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Replace,
    JsonPatch,
    MergePatch,
    StrategicPatch,
    Delete,
}

impl Verb {
    /// As access rules and the calls file name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "update",
            Self::JsonPatch | Self::MergePatch | Self::StrategicPatch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// One write as it came in.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) target: &'a Target,
    pub(crate) verb: Verb,
    pub(crate) body: &'a Value,
    pub(crate) manager: &'a str,
    pub(crate) dry_run: bool,
}

impl Write<'_> {
    fn resource(&self) -> &'static Resource {
        self.target.resource
    }

    fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or("")
    }

    /// Where its object is; `None` for a create.
    pub(crate) fn key(&self) -> Option<Key> {
        Some(key(self.target.namespace.as_deref().unwrap_or(""), self.target.name.as_deref()?))
    }

    fn is_scale(&self) -> bool {
        self.target.subresource.as_deref() == Some("scale")
    }
}

/// The answer to a write.
pub(crate) type Answer = Result<(StatusCode, Value), Status>;

impl Cluster {
    /// Evaluates a write and, unless it is a dry run, stores it.
    pub(crate) fn write(&mut self, write: &Write<'_>) -> Answer {
        match write.verb {
            Verb::Create => self.create(write),
            Verb::Delete => self.delete(write),
            _ => self.modify(write),
        }
    }

    /// What the write would make of the object if all its conditions held; tells what a refused write was for.
    pub(crate) fn intention(&self, write: &Write<'_>) -> Option<(Value, Value)> {
        let before = self.store.get(write.resource().kind, &write.key()?)?.value();
        let after = Self::changed(write, &before, false).ok()?;
        Some((before, after))
    }

    /// The object with the write's body worked in.
    fn changed(write: &Write<'_>, before: &Value, tests: bool) -> Result<Value, Status> {
        let view = if write.is_scale() { scale_of(before) } else { before.clone() };
        let changed = match write.verb {
            Verb::JsonPatch => patch::json_patch(&view, write.body, tests),
            Verb::MergePatch => patch::merge_patch(&view, write.body),
            Verb::StrategicPatch => patch::strategic_patch(&view, write.body),
            _ => Ok(write.body.clone()),
        };
        let changed = changed.map_err(|why| match why {
            Unpatchable::Malformed => Status::bad_request("the body is not a patch of this type"),
            Unpatchable::DoesNotApply => Status::patch_does_not_apply(),
        })?;
        if !write.is_scale() {
            return Ok(changed);
        }
        let mut after = before.clone();
        after["spec"]["replicas"] = changed["spec"]["replicas"].clone();
        if after["spec"]["replicas"].is_null() {
            after["spec"]["replicas"] = json!(0);
        }
        after["metadata"]["resourceVersion"] = changed["metadata"]["resourceVersion"].clone();
        Ok(after)
    }

    fn modify(&mut self, write: &Write<'_>) -> Answer {
        let (resource, name) = (write.resource(), write.name());
        let at = write.key().ok_or_else(Status::method_not_allowed)?;
        let Some(before) = self.store.get(resource.kind, &at) else { return Err(Status::not_found(resource, name)) };
        let before = before.value();
        let mut after = Self::changed(write, &before, true)?;
        Self::admit(write, &before, &mut after)?;
        let paths = managed::changed(&before, &after);
        if paths.is_empty() {
            // Like the real server: a write that changes nothing makes no new version.
            return Ok((StatusCode::OK, Self::answer(write, before)));
        }
        let writer = Writer {
            manager: write.manager,
            api_version: &resource.api_version(&write.target.version),
            subresource: write.target.subresource.as_deref(),
            time: &self.now.text(),
        };
        after["metadata"]["managedFields"] = managed::entries(&before, &after, &paths, writer);
        if !write.dry_run {
            let stored = self.store.put(resource.kind, after);
            after = stored.value();
            self.noticed(resource.kind, &at);
        }
        Ok((StatusCode::OK, Self::answer(write, after)))
    }

    fn answer(write: &Write<'_>, object: Value) -> Value {
        if write.is_scale() { scale_of(&object) } else { object }
    }

    /// Checks preconditions and keeps what a client may not change.
    fn admit(write: &Write<'_>, before: &Value, after: &mut Value) -> Result<(), Status> {
        let (resource, name) = (write.resource(), write.name());
        let asked = &after["metadata"]["resourceVersion"];
        let version = &before["metadata"]["resourceVersion"];
        if asked.as_str().is_some_and(|asked| !asked.is_empty()) && asked != version {
            return Err(Status::modified(resource, name));
        }
        if !asked.is_string() && write.verb == Verb::Replace && !resource.builtin {
            return Err(Status::invalid(resource, name, "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update"));
        }
        let asked = &after["metadata"]["uid"];
        if asked.as_str().is_some_and(|asked| !asked.is_empty()) && *asked != before["metadata"]["uid"] {
            let why = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                text(asked),
                text(&before["metadata"]["uid"])
            );
            return Err(Status::conflict(resource, name, &why));
        }
        let asked = &after["metadata"]["name"];
        if asked.as_str().is_some_and(|asked| asked != name) {
            return Err(Status::bad_request("the name of the object does not match the name on the URL"));
        }
        for field in
            ["name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "managedFields"]
        {
            let kept = before["metadata"][field].clone();
            match after["metadata"].as_object_mut() {
                Some(metadata) if kept.is_null() => drop(metadata.remove(field)),
                _ => after["metadata"][field] = kept,
            }
        }
        after["apiVersion"] = before["apiVersion"].clone();
        after["kind"] = before["kind"].clone();
        if write.target.subresource.as_deref() == Some("status") {
            let status = after["status"].take();
            let metadata = after["metadata"].take();
            *after = before.clone();
            after["status"] = status;
            after["metadata"] = metadata;
        } else if before["status"].is_null() {
            if let Some(after) = after.as_object_mut() {
                after.remove("status");
            }
        } else {
            after["status"] = before["status"].clone();
        }
        if resource.kind == Kind::Deployment {
            objects::default_deployment(after);
        }
        validate(resource, name, after)?;
        if content(before) != content(after) {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            after["metadata"]["generation"] = json!(generation);
        }
        Ok(())
    }

    fn create(&mut self, write: &Write<'_>) -> Answer {
        let resource = write.resource();
        let mut object = write.body.clone();
        if !object["metadata"].is_object() {
            return Err(Status::bad_request("the object has no metadata"));
        }
        if object["kind"] != resource.kind_name {
            return Err(Status::bad_request(format!("the object is a {:?}, not a {}", text(&object["kind"]), resource.kind_name)));
        }
        if text(&object["metadata"]["name"]).is_empty() {
            match text(&object["metadata"]["generateName"]) {
                "" => return Err(Status::invalid(resource, "", "metadata.name", "Required value: name or generateName is required")),
                prefix => object["metadata"]["name"] = json!(format!("{prefix}{}", self.rng.suffix(5))),
            }
        }
        let name = text(&object["metadata"]["name"]).to_owned();
        let valid = name.len() <= 253 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        if !valid {
            return Err(Status::invalid(resource, &name, "metadata.name", "Invalid value: a lowercase RFC 1123 subdomain is required"));
        }
        let namespace = write.target.namespace.clone().unwrap_or_default();
        if resource.namespaced {
            let Some(found) = self.store.get(Kind::Namespace, &key("", &namespace)) else {
                return Err(Status::not_found(Kind::Namespace.resource(), &namespace));
            };
            if !found.value()["metadata"]["deletionTimestamp"].is_null() {
                return Err(Status::forbidden(resource, Some(&namespace), &name, "create"));
            }
            object["metadata"]["namespace"] = json!(namespace);
        }
        let at = key(&namespace, &name);
        if self.store.get(resource.kind, &at).is_some() {
            return Err(Status::already_exists(resource, &name));
        }
        object["apiVersion"] = json!(resource.kind.resource().api_version(resource.kind.resource().versions[0]));
        complete(resource.kind, &name, &mut object);
        validate(resource, &name, &object)?;
        let time = self.now.text();
        self.stamp(&mut object, &time);
        let writer = Writer { manager: write.manager, api_version: text(&write.body["apiVersion"]), subresource: None, time: &time };
        let paths = managed::changed(&Value::Null, &object);
        object["metadata"]["managedFields"] = managed::entries(&Value::Null, &object, &paths, writer);
        if !write.dry_run {
            let stored = self.store.put(resource.kind, object);
            object = stored.value();
            if resource.kind == Kind::Pod {
                let version = stored.labels.get("version").cloned().unwrap_or_default();
                self.adopt(&at, &stored.uid, None, &version);
            }
            self.noticed(resource.kind, &at);
        }
        Ok((StatusCode::CREATED, object))
    }

    fn delete(&mut self, write: &Write<'_>) -> Answer {
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

    /// Wakes the controllers that care.
    fn noticed(&mut self, kind: Kind, at: &Key) {
        if kind == Kind::Deployment {
            self.enqueue(at.clone());
        }
    }
}

/// Everything of an object that raises its generation.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(content) = content.as_object_mut() {
        content.remove("metadata");
        content.remove("status");
    }
    content
}

/// Fills in what the API server fills in on creation.
fn complete(kind: Kind, name: &str, object: &mut Value) {
    match kind {
        Kind::Namespace => {
            let fresh = objects::namespace(name);
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            object["spec"] = fresh["spec"].clone();
            object["status"] = fresh["status"].clone();
        }
        Kind::Deployment => {
            objects::default_deployment(object);
            object["status"] = json!({});
        }
        Kind::Pod => object["status"] = json!({ "phase": "Pending" }),
        Kind::Crd => {
            let names = object["spec"]["names"].clone();
            object["status"] = json!({
                "acceptedNames": names, "storedVersions": ["v1"],
                "conditions": [{ "type": "NamesAccepted", "status": "True" }, { "type": "Established", "status": "True" }],
            });
        }
        Kind::Event | Kind::Service | Kind::ReplicaSet | Kind::VirtualService | Kind::DestinationRule => {}
    }
}

/// The rules of the schemas that a release can trip over.
fn validate(resource: &Resource, name: &str, object: &Value) -> Result<(), Status> {
    let invalid = |field: &str, why: String| Err(Status::invalid(resource, name, field, &why));
    match resource.kind {
        Kind::Deployment | Kind::ReplicaSet => {
            let spec = &object["spec"];
            if !spec["replicas"].is_null() && spec["replicas"].as_u64().is_none_or(|n| n > 100_000) {
                return invalid("spec.replicas", format!("Invalid value: {}: must be greater than or equal to 0", spec["replicas"]));
            }
            let wanted = spec["selector"]["matchLabels"].as_object();
            if wanted.is_none_or(serde_json::Map::is_empty) {
                return invalid("spec.selector", "Required value".into());
            }
            let labels = &spec["template"]["metadata"]["labels"];
            if wanted.into_iter().flatten().any(|(label, value)| labels[label] != *value) {
                return invalid(
                    "spec.template.metadata.labels",
                    format!("Invalid value: {labels}: `selector` does not match template `labels`"),
                );
            }
            if spec["template"]["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
                return invalid("spec.template.spec.containers", "Required value".into());
            }
            Ok(())
        }
        Kind::VirtualService => {
            for (i, rule) in object["spec"]["http"].as_array().into_iter().flatten().enumerate() {
                for (j, route) in rule["route"].as_array().into_iter().flatten().enumerate() {
                    let weight = &route["weight"];
                    if !weight.is_null() && !weight.as_i64().is_some_and(|w| (0..=i64::from(i32::MAX)).contains(&w)) {
                        let field = format!("spec.http[{i}].route[{j}].weight");
                        return invalid(&field, format!("Invalid value: {weight}: must be an int32 not below 0"));
                    }
                    if !route["destination"]["host"].is_string() {
                        return invalid(&format!("spec.http[{i}].route[{j}].destination.host"), "Required value".into());
                    }
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The Scale of a Deployment.
pub(crate) fn scale_of(deployment: &Value) -> Value {
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object();
    let selector = labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect::<Vec<_>>().join(",");
    let metadata = &deployment["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": deployment["spec"]["replicas"] },
        "status": { "replicas": count(&deployment["status"]["replicas"]), "selector": selector },
    })
}
