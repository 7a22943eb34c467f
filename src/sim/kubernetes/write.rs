//! Create, update, patch, delete: what an API server checks before it stores, and what it answers.

use super::apply;
use super::cluster::{Cluster, count, text};
use super::defaults;
use super::fields;
use super::managed::{self, Writer};
use super::patch::{self, Unpatchable};
use super::pods::Pod;
use super::resources::{Kind, Resource, Target};
use super::status::Status;
use super::store::{Key, key};
use super::validate::{validate, validate_change};
use http::StatusCode;
use serde_json::{Value, json};

/// How an object is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Replace,
    JsonPatch,
    MergePatch,
    StrategicPatch,
    Apply,
    Delete,
}

impl Verb {
    /// As access rules and the calls file name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "update",
            Self::JsonPatch | Self::MergePatch | Self::StrategicPatch | Self::Apply => "patch",
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
    /// An apply that takes over what others own.
    pub(crate) force: bool,
}

impl Write<'_> {
    pub(crate) fn resource(&self) -> &'static Resource {
        self.target.resource
    }

    pub(crate) fn name(&self) -> &str {
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
            Verb::StrategicPatch => patch::strategic_patch(write.resource().kind, &view, write.body),
            Verb::Apply => {
                let mut merged = view.clone();
                fields::merge(write.resource().kind, &mut merged, write.body);
                Ok(merged)
            }
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
        let Some(before) = self.store.get(resource.kind, &at) else {
            if write.verb == Verb::Apply && write.target.subresource.is_none() {
                return self.apply_new(write);
            }
            return Err(Status::not_found(resource, name));
        };
        let before = before.value();
        let time = self.now.text();
        let writer = Writer {
            manager: write.manager,
            api_version: &resource.api_version(&write.target.version),
            subresource: write.target.subresource.as_deref(),
            time: &time,
        };
        let (mut after, managed) = if write.verb == Verb::Apply && !write.is_scale() {
            let applied = apply::apply(write, &before, writer)?;
            (applied.after, Some(applied.managed))
        } else {
            (Self::changed(write, &before, true)?, None)
        };
        self.mutate(write, &mut after)?;
        Self::admit(write, &before, &mut after)?;
        self.check_admission(write)?;
        let paths = fields::changed(resource.kind, &before, &after);
        let owners = &before["metadata"]["managedFields"];
        if paths.is_empty() && managed.as_ref().is_none_or(|managed| apply::same_owners(managed, owners)) {
            // Like the real server: a write that changes nothing makes no new version.
            return Ok((StatusCode::OK, Self::answer(write, before)));
        }
        after["metadata"]["managedFields"] = managed.unwrap_or_else(|| managed::entries(resource.kind, &before, &after, &paths, writer));
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
            // Of a custom resource nothing but the status is taken.
            if resource.builtin {
                after["metadata"] = metadata;
            }
        } else if resource.has_status() {
            match after.as_object_mut() {
                Some(after) if before["status"].is_null() => drop(after.remove("status")),
                _ => after["status"] = before["status"].clone(),
            }
        }
        defaults::default(resource.kind, after);
        validate(resource, name, after)?;
        validate_change(resource, name, before, after)?;
        if resource.has_generation() && content(resource, before) != content(resource, after) {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            after["metadata"]["generation"] = json!(generation);
        }
        Ok(())
    }

    /// Wakes the controllers that care about a write.
    pub(crate) fn noticed(&mut self, kind: Kind, at: &Key) {
        match kind {
            Kind::Deployment => {
                self.enqueue(at.clone());
                self.learn_load(at);
                self.touch_budgets(&at.0);
                self.wake_referring(at);
            }
            Kind::Rollout => self.enqueue_rollout(at.clone()),
            Kind::Service => {
                self.learn_service(at);
                self.touch_routes();
            }
            Kind::Pdb => self.learn_budgets(&at.0),
            Kind::Hpa => self.learn_autoscaler(at),
            Kind::Gateway => self.program_gateway(at),
            Kind::HttpRoute => self.touch_route(at),
            Kind::ReplicaSet => {
                self.know_set(at);
                self.wake_owner(at);
            }
            Kind::Pod if self.pods.contains_key(at) => self.pod_edited(at),
            Kind::Pod => {
                if let Some(object) = self.store.get(kind, at) {
                    let pod = Pod::new(&object.value(), self.now.t);
                    self.adopt(at, pod);
                }
            }
            Kind::Node => self.learn_nodes(),
            Kind::ResourceQuota => self.learn_quotas(),
            _ => {}
        }
    }

    /// A ReplicaSet that somebody else changed is put right by its Deployment.
    fn wake_owner(&mut self, set: &Key) {
        let Some(object) = self.store.get(Kind::ReplicaSet, set) else { return };
        let owner = self.sets.get(&object.uid).and_then(|set| set.owner.clone());
        match owner {
            Some(owner) if owner.kind == "Deployment" => self.enqueue(owner.key),
            Some(owner) if owner.kind == "Rollout" => self.enqueue_rollout(owner.key),
            _ => {}
        }
    }
}

/// Everything of an object that raises its generation.
fn content(resource: &Resource, object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(content) = content.as_object_mut() {
        content.remove("metadata");
        if resource.has_status() || resource.builtin {
            content.remove("status");
        }
    }
    content
}

/// The Scale of something with replicas.
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
