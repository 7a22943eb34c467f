//! `managedFields`: who wrote which field last.

use super::fields::{self, Fields};
use super::resources::Kind;
use serde_json::{Value, json};

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: Option<&'a str>,
    /// RFC 3339, whole seconds.
    pub(crate) time: &'a str,
}

impl Writer<'_> {
    /// Whether an entry is this writer's, of one way to write.
    pub(crate) fn owns(&self, entry: &Value, operation: &str) -> bool {
        entry["manager"] == self.manager && entry["operation"] == operation && entry["subresource"].as_str() == self.subresource
    }

    /// Its entry.
    pub(crate) fn entry(&self, operation: &str, fields: &Fields) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": operation, "apiVersion": self.api_version, "time": self.time,
            "fieldsType": "FieldsV1", "fieldsV1": fields::encode(fields),
        });
        if let Some(subresource) = self.subresource {
            entry["subresource"] = Value::from(subresource);
        }
        entry
    }
}

/// The entries after an update that changed `paths`: the writer owns them, nobody else does any more.
pub(crate) fn entries(kind: Kind, before: &Value, after: &Value, paths: &Fields, writer: Writer<'_>) -> Value {
    let mut entries: Vec<Value> = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    if paths.is_empty() {
        return Value::Array(entries);
    }
    let mut ours = Fields::new();
    entries.retain_mut(|entry| {
        let mut owned = fields::decode(&entry["fieldsV1"]);
        if writer.owns(entry, "Update") {
            ours = owned;
            return false;
        }
        owned.retain(|path| !paths.contains(path));
        entry["fieldsV1"] = fields::encode(&owned);
        !owned.is_empty()
    });
    ours.extend(paths.iter().cloned());
    // What was removed is owned by nobody.
    let there = fields::leaves(kind, after);
    ours.retain(|path| there.contains_key(path));
    if !ours.is_empty() {
        entries.push(writer.entry("Update", &ours));
    }
    Value::Array(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write<'a>(manager: &'a str, time: &'a str) -> Writer<'a> {
        Writer { manager, api_version: "networking.istio.io/v1", subresource: None, time }
    }

    #[test]
    fn a_field_belongs_to_who_wrote_it_last() {
        let kind = Kind::VirtualService;
        let first = json!({ "metadata": {}, "spec": { "http": [1], "hosts": ["a"] } });
        let mut one = first.clone();
        let paths = fields::changed(kind, &Value::Null, &first);
        one["metadata"]["managedFields"] = entries(kind, &Value::Null, &first, &paths, write("kubectl", "t1"));
        let mut two = one.clone();
        two["spec"]["http"] = json!([2]);
        let paths = fields::changed(kind, &one, &two);
        let entries = entries(kind, &one, &two, &paths, write("gonogo", "t2"));
        assert_eq!(entries[0]["fieldsV1"], json!({ "f:spec": { "f:hosts": {} } }));
        assert_eq!((entries[1]["manager"].as_str(), entries[1]["time"].as_str()), (Some("gonogo"), Some("t2")));
        assert_eq!(entries[1]["fieldsV1"], json!({ "f:spec": { "f:http": {} } }));
    }
}
