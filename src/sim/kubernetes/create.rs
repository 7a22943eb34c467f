//! New objects: names, namespaces, and what the server fills in.

use super::cluster::{Cluster, text};
use super::defaults;
use super::events;
use super::fields;
use super::managed::{self, Writer};
use super::resources::Kind;
use super::status::Status;
use super::store::key;
use super::validate::validate;
use super::write::{Answer, Verb, Write};
use http::StatusCode;
use serde_json::{Value, json};

impl Cluster {
    pub(crate) fn create(&mut self, write: &Write<'_>) -> Answer {
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
                let message = format!(
                    "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
                    resource.qualified()
                );
                return Err(Status::refused(resource, &name, message));
            }
            object["metadata"]["namespace"] = json!(namespace);
        }
        let at = key(&namespace, &name);
        if self.store.get(resource.kind, &at).is_some() {
            return Err(Status::already_exists(resource, &name));
        }
        if resource.group == "events.k8s.io" {
            events::validate(resource, &name, &object)?;
            object = events::to_core(&object);
        }
        object["apiVersion"] = json!(resource.kind.resource().api_version(resource.kind.resource().versions[0]));
        self.mutate(write, &mut object)?;
        defaults::complete(resource.kind, &name, &mut object);
        validate(resource, &name, &object)?;
        self.check_admission(write)?;
        if resource.kind == Kind::Pod {
            self.quota_allows(&namespace, &name, &object["spec"]).map_err(|why| Status::refused(resource, &name, why))?;
        }
        let time = self.now.text();
        self.stamp(resource.kind, &mut object, &time);
        let writer = Writer { manager: write.manager, api_version: text(&write.body["apiVersion"]), subresource: None, time: &time };
        let managed = if write.verb == Verb::Apply {
            json!([writer.entry("Apply", &fields::leaves(resource.kind, write.body).into_keys().collect())])
        } else {
            let paths = fields::changed(resource.kind, &Value::Null, &object);
            managed::entries(resource.kind, &Value::Null, &object, &paths, writer)
        };
        object["metadata"]["managedFields"] = managed;
        if !write.dry_run {
            let stored = self.store.put(resource.kind, object);
            object = stored.value();
            self.noticed(resource.kind, &at);
        }
        Ok((StatusCode::CREATED, object))
    }
}
