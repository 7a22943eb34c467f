//! Objects against the published definitions of their resources: structure, types and bounds.

use serde_json::Value;

/// Everything in which an object is not as its definition says; its `apiVersion` and `kind` choose the definition.
pub(crate) fn violations(definitions: &[Value], object: &Value) -> Vec<String> {
    let (group, version) = object["apiVersion"].as_str().and_then(|it| it.split_once('/')).expect("a group and a version");
    let fits = |it: &&Value| it["spec"]["group"] == group && it["spec"]["names"]["kind"] == object["kind"];
    let definition = definitions.iter().find(fits).expect("a definition of this kind");
    let served = definition["spec"]["versions"].as_array().unwrap().iter().find(|it| it["name"] == version).expect("this version");
    let mut found = Vec::new();
    compare(&served["schema"]["openAPIV3Schema"], object, "", &mut found);
    found
}

fn compare(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut add = |why: String| found.push(format!("{path}: {why}"));
    let kind = schema["type"].as_str().unwrap_or("any");
    let right = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !right && !(value.is_null() && schema["nullable"] == true) {
        return add(format!("{value} is not of type {kind}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        add(format!("{value} is none of {allowed:?}"));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), schema["maximum"].as_f64())
        && number > most
    {
        add(format!("{number} is above {most}"));
    }
    if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
        && number < least
    {
        add(format!("{number} is below {least}"));
    }
    if let (Some(items), Some(most)) = (value.as_array(), schema["maxItems"].as_u64())
        && items.len() as u64 > most
    {
        add(format!("{} items, at most {most}", items.len()));
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            found.push(format!("{path}: {key} is missing"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        compare(&schema["items"], item, &format!("{path}[{at}]"), found);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for (key, inner) in value.as_object().into_iter().flatten() {
        match properties.get(key) {
            Some(schema) => compare(schema, inner, &format!("{path}.{key}"), found),
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => found.push(format!("{path}: {key} is not known")),
        }
    }
}

#[test]
fn what_breaks_the_definition_is_seen() {
    let definitions = crate::place::definitions();
    let mut route = serde_json::json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "x"},
        "spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80, "weight": 25}]}]},
    });
    assert_eq!(violations(&definitions, &route), [""; 0]);
    route["spec"]["rules"][0]["backendRefs"][0]["weight"] = serde_json::json!("25");
    route["spec"]["rules"][0]["backendRefs"][0]["wieght"] = serde_json::json!(1);
    assert_eq!(
        violations(&definitions, &route),
        [".spec.rules[0].backendRefs[0].weight: \"25\" is not of type integer", ".spec.rules[0].backendRefs[0]: wieght is not known"]
    );
}
