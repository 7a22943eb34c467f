//! A running simulator and a plain HTTP client for it.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use gonogo::sim::{Handle, Options, Prelude, Scene, start};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Path of the simulated VirtualService.
pub(crate) const ROUTE: &str = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout";
/// Path of the simulated Pods.
pub(crate) const PODS: &str = "/api/v1/namespaces/shop/pods";
/// Path of the simulated Deployments.
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
/// Media type of a JSON patch.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// Media type of a merge patch.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Media type of a strategic merge patch.
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// A simulator under test.
pub(crate) struct Sim {
    /// The simulator.
    pub(crate) handle: Handle,
    /// A client that trusts it.
    pub(crate) client: Client,
}

/// Options whose time only the test moves.
pub(crate) fn by_hand(scene: Scene) -> Options {
    Options { scene, prelude: Prelude::Operated, ..Options::default() }
}

/// Options that are live at once, with these faults.
pub(crate) fn live(faults: &[&str]) -> Options {
    let faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    Options { scene: Scene::Ready50, faults, ..Options::default() }
}

impl Sim {
    /// Starts one.
    pub(crate) async fn start(options: Options) -> Self {
        let handle = start(options).await.expect("the simulator starts");
        let client = client(&handle.endpoints().ca_pem);
        Self { handle, client }
    }

    /// Moves time by hand.
    pub(crate) async fn advance(&self, by: Duration) {
        self.handle.advance_to(self.handle.clock().now().boot + by).await;
    }

    /// A request with the login; the raw response.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.handle.endpoints().kubernetes_url);
        self.client.request(method, url).bearer_auth(&self.handle.endpoints().token)
    }

    /// Reads JSON.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Sends a patch.
    pub(crate) async fn patch(&self, path: &str, media: &str, patch: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PATCH, path).header("content-type", media).body(patch.to_string())).await
    }

    /// Creates an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(object)).await
    }

    /// A page or API of the metrics backend or the clock.
    pub(crate) async fn plain(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(format!("{}{path}", self.handle.endpoints().prometheus_url)).send().await
    }

    /// Value of an instant query, as text; `None` for an empty vector.
    pub(crate) async fn query(&self, promql: &str) -> Option<String> {
        let url = format!("{}/api/v1/query", self.handle.endpoints().prometheus_url);
        let body: Value = self.client.post(url).form(&[("query", promql)]).send().await.expect("an answer").json().await.expect("JSON");
        body["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    }
}

/// A client that trusts only this authority.
#[expect(clippy::disallowed_methods, reason = "a plain client without the project's own rules is the point")]
pub(crate) fn client(ca_pem: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(ca_pem.as_bytes()).expect("a certificate");
    Client::builder().tls_certs_only([authority]).timeout(Duration::from_secs(30)).build().expect("a client")
}

/// Sends and decodes.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.expect("JSON"))
}

/// A JSON patch that shifts the weights, on the condition of what was read.
pub(crate) fn shift(route: &Value, canary: u64) -> Value {
    json!([
        { "op": "test", "path": "/metadata/resourceVersion", "value": route["metadata"]["resourceVersion"] },
        { "op": "replace", "path": "/spec/http/1/route/0/weight", "value": 100 - canary },
        { "op": "replace", "path": "/spec/http/1/route/1/weight", "value": canary },
    ])
}

/// The canary's weight in a route.
pub(crate) fn weight(route: &Value) -> u64 {
    route["spec"]["http"][1]["route"][1]["weight"].as_u64().expect("a weight")
}

/// Lines of a watch as they come.
pub(crate) struct Lines {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Lines {
    /// Opens a watch.
    pub(crate) async fn open(sim: &Sim, path: &str) -> Self {
        let response = sim.request(Method::GET, path).send().await.expect("a watch");
        assert_eq!(response.status(), 200);
        Self { response, buffer: Vec::new() }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            self.buffer.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }
}

/// Asks again until the answer is yes; each time asks over the wire, so nothing spins.
pub(crate) async fn until(what: &str, mut yes: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !yes().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Lines of a calls file.
pub(crate) fn calls(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the calls file");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}
