//! The `kube` crate, the client that the project itself uses, against the simulated API server.

#![cfg(all(feature = "sim", feature = "shell"))]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod sim;

use futures::TryStreamExt as _;
use gonogo::domain::Clock as _;
use gonogo::sim::{Options, Scene};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config};
use serde_json::json;
use sim::Sim;

async fn connected(options: Options) -> (Sim, Client) {
    let sim = Sim::start(options).await;
    let kubeconfig = Kubeconfig::from_yaml(&sim.handle.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    (sim, Client::try_from(config).unwrap())
}

#[tokio::test]
async fn typed_objects_decode_and_pages_follow() {
    let (_sim, client) = connected(Options { scene: Scene::Ready50, ..Options::default() }).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let first = pods.list(&ListParams::default().limit(5)).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let rest = pods.list(&ListParams::default().limit(500).continue_token(&token)).await.unwrap();
    assert_eq!(first.items.len() + rest.items.len(), 12);
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let status = deployments.get("checkout-stable").await.unwrap().status.unwrap();
    assert_eq!((status.ready_replicas, status.conditions.unwrap().len()), (Some(9), 2));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService"));
    let routes: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
    let patch: json_patch::Patch = serde_json::from_value(json!([
        { "op": "test", "path": "/spec/http/1/route/1/weight", "value": 99 },
        { "op": "replace", "path": "/spec/http/1/route/1/weight", "value": 1 },
    ]))
    .unwrap();
    let refused = routes.patch("checkout", &PatchParams::apply("gonogo"), &Patch::Json::<()>(patch)).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("{refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn a_watcher_follows_and_recovers_from_a_broken_connection() {
    let faults = vec!["platform:reset@20+10".parse().unwrap()];
    let (sim, client) = connected(Options { scene: Scene::Ready50, speed: 20.0, faults, ..Options::default() }).await;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let mut events = Box::pin(watcher(pods, watcher::Config::default().page_size(4)));
    let mut listed = 0;
    loop {
        match events.try_next().await.unwrap().unwrap() {
            Event::InitApply(_) => listed += 1,
            Event::InitDone => break,
            _ => {}
        }
    }
    assert_eq!(listed, 12);
    let seen = async {
        loop {
            match events.try_next().await {
                Ok(Some(Event::Apply(pod))) => return pod,
                Ok(_) | Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    // The pod comes after the watch broke.
    let clock = sim.handle.sim_clock();
    let after_the_fault = clock.boot_at(chrono::TimeDelta::seconds(35));
    let write = async {
        sim::until("the fault has passed", async || {
            tokio::time::sleep(clock.real_wait(after_the_fault)).await;
            clock.now().boot >= after_the_fault
        })
        .await;
        sim.patch(&format!("{}/checkout-stable/scale", sim::DEPLOYMENTS), sim::MERGE_PATCH, &json!({ "spec": { "replicas": 10 } })).await
    };
    let both = futures::future::join(seen, write);
    tokio::time::timeout(std::time::Duration::from_secs(60), both).await.expect("the new pod is seen");
}
