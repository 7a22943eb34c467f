//! Where a running simulator can be reached, and the files by which other programs find it.

use super::options::SimError;
use super::scene::Scene;
use super::shop;
use super::split::TrafficBy;
use super::switchboard::write_private;
use super::{argo, rolling};
use base64::Engine as _;
use serde_json::json;
use std::path::Path;

/// Addresses, trust and names of a running simulator.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The Kubernetes API, `https://127.0.0.1:…`.
    pub kubernetes_url: String,
    /// The Prometheus API, `http://127.0.0.1:…`.
    pub prometheus_url: String,
    /// The Alertmanager API, `http://127.0.0.1:…`.
    pub alertmanager_url: String,
    /// Simulated time as JSON: `{wall, boot_ms, boot_id, speed, frozen, requests: {platform, metrics, alerts}, asked}`; the counts are
    /// since the start, and `asked` has them by kind: `{"list pods": {requests, bytes}, …}`.
    pub clock_url: String,
    /// The authority that signed the API's certificate, PEM.
    pub ca_pem: String,
    /// The bearer token that is accepted at first.
    pub token: String,
    /// Name of the kubeconfig's context and of the platform in the configuration.
    pub context: &'static str,
    /// Namespace of the service.
    pub namespace: &'static str,
    /// Name of the service.
    pub service: &'static str,
    /// Deployment of the version that serves.
    pub baseline: &'static str,
    /// Deployment of the new version; the same one where one runs both.
    pub canary: &'static str,
    /// What splits the traffic.
    pub traffic: TrafficBy,
    /// Who works here.
    pub operator: Option<String>,
}

/// People who release the shop, and their groups.
const PEOPLE: [(&str, &str, &[&str]); 3] =
    [("ada", "Ada", &["launch-directors"]), ("jon", "Jon", &["sre", "payments"]), ("ines", "Ines", &["qa"])];
/// Groups of whoever started the simulator: one person can try all of it.
const OPERATOR: [&str; 2] = ["launch-directors", "sre"];

impl Endpoints {
    /// Addresses of the Kubernetes API, the Prometheus API and the Alertmanager API.
    pub(crate) fn new(urls: [String; 3], ca_pem: String, token: String, traffic: TrafficBy) -> Self {
        let [kubernetes_url, prometheus_url, alertmanager_url] = urls;
        let (baseline, canary) = match traffic {
            TrafficBy::Rolling => (rolling::DEPLOYMENT, rolling::DEPLOYMENT),
            TrafficBy::Argo => (argo::ROLLOUT, argo::ROLLOUT),
            _ => (shop::BASELINE, shop::CANARY),
        };
        Self {
            clock_url: format!("{prometheus_url}/clock"),
            kubernetes_url,
            prometheus_url,
            alertmanager_url,
            ca_pem,
            token,
            context: "sim",
            namespace: shop::NAMESPACE,
            service: shop::SERVICE,
            baseline,
            canary,
            traffic,
            operator: None,
        }
    }

    /// The people of the shop, and whoever works here among them.
    fn people_toml(&self) -> String {
        let mut people: Vec<(String, String, Vec<&str>)> =
            PEOPLE.iter().map(|(id, name, groups)| ((*id).to_owned(), (*name).to_owned(), groups.to_vec())).collect();
        let plain = |id: &&String| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if let Some(id) = self.operator.as_ref().filter(plain) {
            match people.iter_mut().find(|(known, ..)| known == id) {
                Some((.., groups)) => {
                    groups.extend(OPERATOR.iter().filter(|group| !PEOPLE.iter().any(|(known, _, own)| known == id && own.contains(group))));
                }
                None => people.push((id.clone(), id.clone(), OPERATOR.to_vec())),
            }
        }
        let one = |(id, name, groups): (String, String, Vec<&str>)| {
            format!("[[person]]\nid = {}\nname = {}\ngroups = {}\n\n", json!(id), json!(name), json!(groups))
        };
        people.into_iter().map(one).collect()
    }

    /// A kubeconfig; the token is in it, or in a file that it names.
    pub(crate) fn kubeconfig(&self, token: &str, token_file: Option<&Path>) -> String {
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        let login = token_file.map_or_else(|| format!("token: {token}"), |path| format!("tokenFile: {}", json!(path.to_string_lossy())));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\nclusters:\n- name: {context}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: {context}\n  user:\n    {login}\ncontexts:\n- name: {context}\n  context:\n    \
             cluster: {context}\n    user: {context}\n    namespace: {namespace}\n",
            context = self.context,
            server = self.kubernetes_url,
            namespace = self.namespace,
        )
    }

    /// A configuration that opens the simulated service.
    pub(crate) fn config_toml(&self, scene: Scene, state_dir: &Path, kubeconfig: &Path) -> String {
        let (environment, protection) = if scene.is_demo() { ("demo", "private") } else { ("production", "protected") };
        let quoted = |path: &Path| json!(path.to_string_lossy()).to_string();
        format!(
            r#"version = 1
state_dir = {state_dir}
clock = "{clock}"

[[platform]]
name = "{context}"
kind = "kubernetes"
kubeconfig = {kubeconfig}
context = "{context}"
environment = "{environment}"
protection = "{protection}"

[[metrics]]
name = "prom"
kind = "prometheus"
url = "{prometheus}"
scrape_interval = "15s"

[[alerts]]
name = "am"
kind = "alertmanager"
url = "{alertmanager}"
match = {{ service = "{service}" }}

{people}[[service]]
name = "{service}"
platform = "{context}"
namespace = "{namespace}"
metrics = "prom"
alerts = "am"
{objects}"#,
            state_dir = quoted(state_dir),
            kubeconfig = quoted(kubeconfig),
            clock = self.clock_url,
            context = self.context,
            people = self.people_toml(),
            prometheus = self.prometheus_url,
            alertmanager = self.alertmanager_url,
            service = self.service,
            namespace = self.namespace,
            objects = if self.traffic == TrafficBy::Rolling { rolling::service_toml() } else { self.split_toml() },
        )
    }

    /// The part of a configuration that names the service's objects and queries.
    fn split_toml(&self) -> String {
        format!(
            r#"baseline = {{ deployment = "{baseline}", labels = {{ version = "stable" }} }}
canary = {{ deployment = "{canary}", labels = {{ version = "canary" }} }}
{route}
requests = 'sum by (version) (increase(http_requests_total{{service="{service}"}}[${{window}}]))'
errors = 'sum by (version) (increase(http_requests_total{{service="{service}",code=~"5.."}}[${{window}}]))'
harm = {{ budget = 2000 }}

[[service.gate]]
id = "errors"
title = "error rate"
promql = '''
(sum(rate(http_requests_total{{service="{service}",version="canary",code=~"5.."}}[2m])) or vector(0))
  / (sum(rate(http_requests_total{{service="{service}",version="canary"}}[2m])) > 1)
'''
op = "<"
value = 0.005

[[service.gate]]
id = "p99"
title = "p99 latency"
promql = 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{{service="{service}",version="canary"}}[2m])))'
op = "<"
value = 0.45
"#,
            service = self.service,
            baseline = self.baseline,
            canary = self.canary,
            route = self.traffic.route_toml(),
        )
    }

    /// Writes `config.toml`, `kubeconfig`, `ca.pem` and `endpoints.json`; the token file is there already.
    pub(crate) fn write(&self, scene: Scene, dir: &Path, token: &Path) -> Result<(), SimError> {
        let write = |name: &str, content: String| {
            let path = dir.join(name);
            write_private(&path, content.as_bytes()).map_err(|cause| SimError::file(&path, cause))
        };
        let kubeconfig = dir.join("kubeconfig");
        write("ca.pem", self.ca_pem.clone())?;
        write("kubeconfig", self.kubeconfig("", Some(token)))?;
        write("config.toml", self.config_toml(scene, &dir.join("state"), &kubeconfig))?;
        let endpoints = json!({
            "schema": "gonogo.sim-endpoints/1",
            "kubernetes": { "url": self.kubernetes_url, "ca_file": dir.join("ca.pem"), "token_file": token, "context": self.context },
            "prometheus": { "url": self.prometheus_url },
            "alertmanager": { "url": self.alertmanager_url },
            "clock": { "url": self.clock_url },
            "namespace": self.namespace, "service": self.service, "baseline": self.baseline, "canary": self.canary,
        });
        // Last: whoever waits for this file finds the others complete.
        write("endpoints.json", format!("{endpoints:#}\n"))
    }
}
