//! How lists and maps of each kind merge, as the published schemas say.

use super::resources::Kind;

/// How the elements of a list belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// Elements are told apart by these fields.
    Map(&'static [&'static str]),
    /// Elements are told apart by their value.
    Set,
    /// The list is one value.
    Atomic,
}

/// How server-side apply merges the list at a path (names of fields only). Custom resources have atomic lists but for what is declared here.
pub(crate) fn list(kind: Kind, path: &[&str]) -> List {
    let name = path.last().copied().unwrap_or("");
    match path {
        ["metadata", "ownerReferences"] => return List::Map(&["uid"]),
        ["metadata", "finalizers"] => return List::Set,
        ["status", "conditions"] if !matches!(kind, Kind::Rollout | Kind::Hpa) => return List::Map(&["type"]),
        ["spec", "listeners"] if kind == Kind::Gateway => return List::Map(&["name"]),
        ["spec", "ports"] if kind == Kind::Service => return List::Map(&["port", "protocol"]),
        _ => {}
    }
    if !matches!(kind, Kind::Deployment | Kind::ReplicaSet | Kind::Pod) {
        return List::Atomic;
    }
    match name {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => List::Map(&["name"]),
        "ports" => List::Map(&["containerPort", "protocol"]),
        "volumeMounts" => List::Map(&["mountPath"]),
        "hostAliases" => List::Map(&["ip"]),
        "topologySpreadConstraints" => List::Map(&["topologyKey", "whenUnsatisfiable"]),
        _ => List::Atomic,
    }
}

/// Default of a key field that may be left out.
pub(crate) fn key_default(field: &str) -> Option<&'static str> {
    (field == "protocol").then_some("TCP")
}

/// Whether the map at a path is one value.
pub(crate) fn atomic_map(kind: Kind, path: &[&str]) -> bool {
    kind.resource().builtin
        && matches!(path.last(), Some(&("selector" | "nodeSelector" | "labelSelector" | "secretKeyRef" | "configMapKeyRef" | "fieldRef")))
}

/// The key that a strategic merge patch merges a list by; `None`: the list is replaced.
pub(crate) fn merge_key(kind: Kind, list: &str) -> Option<&'static str> {
    Some(match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => "name",
        "volumeMounts" => "mountPath",
        "ports" if kind == Kind::Service => "port",
        "ports" if kind != Kind::EndpointSlice => "containerPort",
        "conditions" => "type",
        "addresses" if kind == Kind::Node => "type",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    })
}

/// Lists of plain values that a strategic merge patch adds to instead of replacing them.
pub(crate) fn merges_values(list: &str) -> bool {
    list == "finalizers"
}
