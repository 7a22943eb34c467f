//! Tables: what `kubectl get` asks for. Columns and cells are those of the real server; the client only lays them out.

mod cells;
mod custom;
mod workloads;

use super::resources::Kind;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// How much of each object goes with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// Its metadata, the default.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("None") => Self::None,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// One column: heading, type, and whether only wide output shows it.
#[derive(Debug, Clone, Copy)]
struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: "string", wide: false }
}

const fn number(name: &'static str) -> Column {
    Column { name, kind: "integer", wide: false }
}

const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", wide: true }
}

/// Columns of a kind, after the name.
fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Namespace => &const { [text("Status"), text("Age")] },
        Kind::Pod => {
            &const {
                [
                    text("Ready"),
                    text("Status"),
                    text("Restarts"),
                    text("Age"),
                    wide("IP"),
                    wide("Node"),
                    wide("Nominated Node"),
                    wide("Readiness Gates"),
                ]
            }
        }
        Kind::Deployment => {
            &const {
                [
                    text("Ready"),
                    number("Up-to-date"),
                    number("Available"),
                    text("Age"),
                    wide("Containers"),
                    wide("Images"),
                    wide("Selector"),
                ]
            }
        }
        Kind::ReplicaSet => {
            &const { [number("Desired"), number("Current"), number("Ready"), text("Age"), wide("Containers"), wide("Images"), wide("Selector")] }
        }
        Kind::Service => &const { [text("Type"), text("Cluster-IP"), text("External-IP"), text("Port(s)"), text("Age"), wide("Selector")] },
        Kind::Node => {
            &const {
                [
                    text("Status"),
                    text("Roles"),
                    text("Age"),
                    text("Version"),
                    wide("Internal-IP"),
                    wide("External-IP"),
                    wide("OS-Image"),
                    wide("Kernel-Version"),
                    wide("Container-Runtime"),
                ]
            }
        }
        Kind::ConfigMap => &const { [number("Data"), text("Age")] },
        Kind::Secret => &const { [text("Type"), number("Data"), text("Age")] },
        Kind::ResourceQuota => &const { [text("Request"), text("Limit"), text("Age")] },
        Kind::Hpa => &const { [text("Reference"), text("Targets"), text("MinPods"), number("MaxPods"), number("Replicas"), text("Age")] },
        Kind::Pdb => &const { [text("Min Available"), text("Max Unavailable"), number("Allowed Disruptions"), text("Age")] },
        Kind::Ingress => &const { [text("Class"), text("Hosts"), text("Address"), text("Ports"), text("Age")] },
        Kind::EndpointSlice => &const { [text("AddressType"), text("Ports"), text("Endpoints"), text("Age")] },
        Kind::Lease => &const { [text("Holder"), text("Age")] },
        Kind::Crd => &const { [Column { name: "Created At", kind: "date", wide: false }] },
        Kind::VirtualService => &const { [text("Gateways"), text("Hosts"), text("Age")] },
        Kind::DestinationRule => &const { [text("Host"), text("Age")] },
        Kind::Gateway => &const { [text("Class"), text("Address"), text("Programmed"), text("Age")] },
        Kind::HttpRoute => &const { [text("Hostnames"), text("Age")] },
        Kind::Rollout => &const { [number("Desired"), number("Current"), number("Up-to-date"), number("Available"), text("Age")] },
        Kind::AnalysisRun => &const { [text("Status"), text("Age")] },
        Kind::AnalysisTemplate => &const { [text("Age")] },
        Kind::Canary => {
            &const {
                [
                    text("Status"),
                    text("Weight"),
                    text("LastTransitionTime"),
                    wide("FailedChecks"),
                    wide("Interval"),
                    wide("StepWeight"),
                    wide("MaxWeight"),
                ]
            }
        }
        Kind::Event => &[],
    }
}

/// Events have no name column in front.
const EVENT: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    wide("Subobject"),
    wide("Source"),
    text("Message"),
    wide("First Seen"),
    Column { name: "Count", kind: "integer", wide: true },
    wide("Name"),
];

fn definition(column: Column, format: &str) -> Value {
    json!({ "name": column.name, "type": column.kind, "format": format, "description": "", "priority": i32::from(column.wide) })
}

/// The headings of a kind's table.
pub(crate) fn definitions(kind: Kind) -> Vec<Value> {
    if kind == Kind::Event {
        return EVENT.iter().map(|column| definition(*column, "")).collect();
    }
    std::iter::once(definition(text("Name"), "name")).chain(columns(kind).iter().map(|column| definition(*column, ""))).collect()
}

/// One row.
pub(crate) fn row(kind: Kind, object: &Value, include: Include, now: DateTime<Utc>) -> Value {
    let shown = match include {
        Include::None => Value::Null,
        Include::Metadata => json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] }),
        Include::Object => object.clone(),
    };
    let mut row = json!({ "cells": cells(kind, object, now) });
    if !shown.is_null() {
        row["object"] = shown;
    }
    row
}

/// A whole table.
pub(crate) fn table(kind: Kind, metadata: &Value, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions(kind), "rows": rows,
    })
}

fn cells(kind: Kind, object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    if kind == Kind::Event {
        return cells::event(object, now);
    }
    let mut cells = vec![object["metadata"]["name"].clone()];
    cells.extend(match kind {
        Kind::Pod => workloads::pod(object, now),
        Kind::Deployment => workloads::deployment(object, now),
        Kind::ReplicaSet => workloads::replica_set(object, now),
        Kind::Node => workloads::node(object, now),
        Kind::Hpa => workloads::autoscaler(object, now),
        Kind::Pdb => workloads::budget(object, now),
        Kind::Namespace => vec![object["status"]["phase"].clone(), cells::created(object, now)],
        Kind::Service => cells::service(object, now),
        Kind::Ingress => cells::ingress(object, now),
        Kind::EndpointSlice => cells::endpoint_slice(object, now),
        Kind::ConfigMap => vec![json!(cells::size(&object["data"]) + cells::size(&object["binaryData"])), cells::created(object, now)],
        Kind::Secret => vec![object["type"].clone(), json!(cells::size(&object["data"])), cells::created(object, now)],
        Kind::ResourceQuota => cells::quota(object, now),
        Kind::Lease => vec![object["spec"]["holderIdentity"].clone(), cells::created(object, now)],
        Kind::Crd => vec![object["metadata"]["creationTimestamp"].clone()],
        _ => custom::cells(kind, object, now),
    });
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that is shorter or longer than its headings shifts every cell that a client shows.
    #[test]
    fn every_kind_has_one_cell_for_each_heading() {
        let now = DateTime::UNIX_EPOCH;
        let object = json!({ "metadata": { "name": "x", "namespace": "shop", "creationTimestamp": "1970-01-01T00:00:00Z" } });
        for kind in Kind::ALL {
            let row = row(kind, &object, Include::Metadata, now);
            assert_eq!(row["cells"].as_array().map(Vec::len), Some(definitions(kind).len()), "{kind:?}");
        }
    }
}
