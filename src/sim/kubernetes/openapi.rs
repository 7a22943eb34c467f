//! The part of the OpenAPI documents that clients ask for: that the server itself validates fields.

use super::resources::{RESOURCES, Resource};
use serde_json::{Map, Value, json};

fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// `/openapi/v3`: where the document of each group and version is.
pub(crate) fn index() -> Value {
    let mut paths = Map::new();
    for resource in RESOURCES {
        for version in resource.versions {
            let prefix = prefix(resource.group, version);
            paths.insert(prefix.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{prefix}?hash=1") }));
        }
    }
    json!({ "paths": paths })
}

/// The document of one group and version: paths with their parameters, schemas without fields.
pub(crate) fn document(path: &str) -> Option<Value> {
    let served = |resource: &&Resource| resource.versions.iter().any(|version| prefix(resource.group, version) == path);
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let version = path.rsplit('/').next().unwrap_or("");
    for resource in RESOURCES.iter().filter(served) {
        let kind = json!({ "group": resource.group, "version": version, "kind": resource.kind_name });
        let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
                "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
                "responses": { "200": { "description": "OK" } },
            })
        };
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("/{path}{scope}/{}", resource.plural);
        paths.insert(collection.clone(), json!({ "post": operation("post") }));
        paths.insert(format!("{collection}/{{name}}"), json!({ "put": operation("put"), "patch": operation("patch") }));
        let name = format!("{}.{version}.{}", if resource.group.is_empty() { "core" } else { resource.group }, resource.kind_name);
        schemas.insert(
            name,
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-group-version-kind": [kind] }),
        );
    }
    (!paths.is_empty()).then(|| {
        json!({
            "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.33.1" }, "paths": paths,
            "components": { "schemas": schemas },
        })
    })
}
