//! Server-side apply: fields that are applied are owned; what others own differently is a conflict.

use super::cluster::{Cluster, text};
use super::fields::{self, Fields, Path};
use super::managed::Writer;
use super::resources::Resource;
use super::status::Status;
use super::write::{Answer, Write};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One field that somebody else owns with another value.
struct Conflict {
    path: Path,
    with: String,
}

/// How messages name the owner of a field.
fn owner(entry: &Value) -> String {
    let mut name = format!("\"{}\"", text(&entry["manager"]));
    if let Some(subresource) = entry["subresource"].as_str() {
        name = format!("{name} with subresource \"{subresource}\"");
    }
    if entry["operation"] != "Update" {
        return name;
    }
    format!("{name} using {} at {}", text(&entry["apiVersion"]), text(&entry["time"]))
}

fn refusal(conflicts: &[Conflict]) -> Status {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|c| json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {}", c.with), "field": fields::display(&c.path) }))
        .collect();
    let message = if let [only] = conflicts {
        format!("Apply failed with 1 conflict: conflict with {}: {}", only.with, fields::display(&only.path))
    } else {
        let mut by_owner: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for conflict in conflicts {
            by_owner.entry(&conflict.with).or_default().push(format!("- {}", fields::display(&conflict.path)));
        }
        let lines: Vec<String> =
            by_owner.into_iter().map(|(with, paths)| format!("conflicts with {with}:\n{}", paths.join("\n"))).collect();
        format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
    };
    Status::apply_conflict(message, json!(causes))
}

/// The fields that this write may own: status only at its own address, and nothing but status there.
fn within(resource: &Resource, subresource: Option<&str>, path: &[String]) -> bool {
    let status = path.first().is_some_and(|step| step == "f:status");
    if subresource == Some("status") { status } else { !(status && resource.has_status()) }
}

/// What an apply makes of an object.
pub(crate) struct Applied {
    pub(crate) after: Value,
    pub(crate) managed: Value,
}

/// Works the body of an apply into the live object.
pub(crate) fn apply(write: &Write<'_>, before: &Value, writer: Writer<'_>) -> Result<Applied, Status> {
    let resource = write.resource();
    let kind = resource.kind;
    check(write)?;
    let mut body = write.body.clone();
    let mut wanted = fields::leaves(kind, &body);
    let foreign: Vec<Path> = wanted.keys().filter(|path| !within(resource, writer.subresource, path)).cloned().collect();
    for path in foreign {
        fields::remove(kind, &mut body, &path);
        wanted.remove(&path);
    }
    let live = fields::leaves(kind, before);
    let differs = |path: &Path| wanted.get(path).is_some_and(|value| live.get(path).is_some_and(|is| is != value));
    let entries: Vec<Value> = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let (mut conflicts, mut previous, mut others, mut kept) = (Vec::new(), Fields::new(), Fields::new(), Vec::new());
    for mut entry in entries {
        let mut owned = fields::decode(&entry["fieldsV1"]);
        if writer.owns(&entry, "Apply") {
            previous = owned;
            continue;
        }
        let with = owner(&entry);
        conflicts.extend(owned.iter().filter(|path| differs(path)).map(|path| Conflict { path: path.clone(), with: with.clone() }));
        owned.retain(|path| !differs(path));
        if !owned.is_empty() {
            entry["fieldsV1"] = fields::encode(&owned);
            others.extend(owned);
            kept.push(entry);
        }
    }
    if !conflicts.is_empty() && !write.force {
        return Err(refusal(&conflicts));
    }
    let mut after = before.clone();
    // What was applied before and is not now goes, unless somebody else has it too; elements before what is in them.
    for path in previous.iter().filter(|path| !wanted.contains_key(*path)) {
        let shared = others.range(path.clone()..).next().is_some_and(|next| next.starts_with(path));
        if !shared {
            fields::remove(kind, &mut after, path);
        }
    }
    fields::merge(kind, &mut after, &body);
    after["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
    kept.push(writer.entry("Apply", &wanted.into_keys().collect()));
    Ok(Applied { after, managed: Value::Array(kept) })
}

/// What every apply has to say of itself.
fn check(write: &Write<'_>) -> Result<(), Status> {
    let body = write.body;
    if text(&body["apiVersion"]).is_empty() || text(&body["kind"]).is_empty() {
        return Err(Status::bad_request("invalid object type: apiVersion and kind must be set"));
    }
    if body["kind"] != write.resource().kind_name {
        return Err(Status::bad_request(format!("invalid object kind: {}, expected {}", text(&body["kind"]), write.resource().kind_name)));
    }
    if body["metadata"]["managedFields"].as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let name = text(&body["metadata"]["name"]);
    if !name.is_empty() && name != write.name() {
        let why = format!("the name of the object ({name}) does not match the name on the URL ({})", write.name());
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// Whether two lists of entries say the same, times aside.
pub(crate) fn same_owners(a: &Value, b: &Value) -> bool {
    let strip = |entries: &Value| {
        let mut all: Vec<Value> = entries.as_array().cloned().unwrap_or_default();
        for entry in &mut all {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        all.sort_by_key(Value::to_string);
        all
    };
    strip(a) == strip(b)
}

impl Cluster {
    /// An apply of what is not there creates it.
    pub(crate) fn apply_new(&mut self, write: &Write<'_>) -> Answer {
        check(write)?;
        if !text(&write.body["metadata"]["uid"]).is_empty() || !text(&write.body["metadata"]["resourceVersion"]).is_empty() {
            return Err(Status::conflict(
                write.resource(),
                write.name(),
                "the object is not there, but a version or uid of it was asked for",
            ));
        }
        let mut body = write.body.clone();
        body["metadata"]["name"] = json!(write.name());
        self.create(&Write { body: &body, ..*write })
    }
}
