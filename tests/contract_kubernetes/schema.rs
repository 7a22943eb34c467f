//! Objects against the published schema of their definition, as far as definitions of custom resources use JSON Schema.

use serde_json::Value;

/// The schema of a kind.
pub(crate) struct Schema(Value);

impl Schema {
    /// Of the first version of a definition.
    pub(crate) fn of(definition: &Value) -> Self {
        Self(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    }

    /// Panics with every place where the object is not what the schema says.
    pub(crate) fn check(&self, object: &Value) {
        let mut wrong = Vec::new();
        for part in ["spec", "status"] {
            if !object[part].is_null() {
                compare(&self.0["properties"][part], &object[part], part, &mut wrong);
            }
        }
        assert!(wrong.is_empty(), "not valid: {wrong:#?}");
    }
}

fn compare(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let either = schema["x-kubernetes-int-or-string"] == true;
    let fits = match schema["type"].as_str() {
        _ if either => value.is_i64() || value.is_u64() || value.is_string(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{at}: {value} is no {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        wrong.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        compare(&schema["items"], item, &format!("{at}[{index}]"), wrong);
    }
    let Some(map) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            wrong.push(format!("{at}.{name} is missing"));
        }
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["properties"].is_null();
    for (name, item) in map {
        let (known, more) = (&schema["properties"][name], &schema["additionalProperties"]);
        if !known.is_null() {
            compare(known, item, &format!("{at}.{name}"), wrong);
        } else if more.is_object() {
            compare(more, item, &format!("{at}.{name}"), wrong);
        } else if !open {
            wrong.push(format!("{at}.{name} is not in the schema"));
        }
    }
}
