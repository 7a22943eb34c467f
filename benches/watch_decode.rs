//! What ten thousand pods cost to read: pages of a list and lines of a watch, from bytes to instances.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput};
use gonogo::adapter::kubernetes::sample::{pods_of_list, pods_of_watch};
use serde_json::{Value, json};
use std::time::Duration;

/// A pod of about ten kilobytes, as a real server shows one with managed fields, a mesh's proxy and volumes.
fn pod(index: u32) -> Value {
    let fields: Vec<Value> = (0..60)
        .map(|i| json!({ "f:env": { format!("k:{{\"name\":\"VARIABLE_{i}\"}}"): { ".": {}, "f:name": {}, "f:value": {} } } }))
        .collect();
    let variables: Vec<Value> = (0..40).map(|i| json!({ "name": format!("VARIABLE_{i}"), "value": format!("value of it {i}") })).collect();
    let status = |name: &str| {
        json!({ "name": name, "ready": true, "started": true, "restartCount": 0, "image": format!("registry.example/shop/{name}:v2.42.0"),
            "imageID": "registry.example/shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "containerID": "containerd://0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "state": { "running": { "startedAt": "2026-03-14T02:55:07Z" } }, "lastState": {} })
    };
    let condition =
        |kind: &str| json!({ "type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-03-14T02:55:07Z" });
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": format!("checkout-canary-6f9c7d5b84-{index:05}"), "namespace": "shop", "uid": format!("8a1f4c6e-0000-4000-8000-{index:012}"),
            "resourceVersion": (900_000 + index).to_string(), "creationTimestamp": "2026-03-14T02:55:03Z", "generateName": "checkout-canary-6f9c7d5b84-",
            "labels": { "app": "checkout", "track": "canary", "version": "v2.42.0", "pod-template-hash": "6f9c7d5b84" },
            "annotations": { "sidecar.istio.io/status": "{\"containers\":[\"istio-proxy\"]}", "prometheus.io/scrape": "true" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-canary-6f9c7d5b84", "uid": "rs-1", "controller": true }],
            "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:status": fields } }],
        },
        "spec": { "nodeName": format!("node-{}", index % 200), "containers": [
            { "name": "checkout", "image": "registry.example/shop/checkout:v2.42.0", "env": variables },
            { "name": "istio-proxy", "image": "istio/proxyv2:1.27.0" }] },
        "status": { "phase": "Running", "podIP": "10.4.2.17", "conditions": [condition("Ready"), condition("PodScheduled"), condition("Initialized")],
            "containerStatuses": [status("checkout"), status("istio-proxy")] },
    })
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(30).measurement_time(Duration::from_secs(4));
    let page = json!({ "kind": "PodList", "metadata": { "resourceVersion": "990000" }, "items": (0..500).map(pod).collect::<Vec<_>>() })
        .to_string();
    let lines = (0..50).map(|i| json!({ "type": "MODIFIED", "object": pod(i) }).to_string()).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(pods_of_list(page.as_bytes()).expect("a list").len(), 500);
    assert_eq!(pods_of_watch(lines.as_bytes()).expect("lines").len(), 50);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("a page of 500 pods", |bencher| bencher.iter(|| pods_of_list(page.as_bytes())));
    group.throughput(Throughput::Bytes(lines.len() as u64));
    group.bench_function("50 changes of a watch", |bencher| bencher.iter(|| pods_of_watch(lines.as_bytes())));
    group.finish();
    criterion.final_summary();
}
