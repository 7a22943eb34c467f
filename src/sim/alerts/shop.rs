//! The rules of the shop: four about the checkout and its release, one about a node that has been filling up for days.

use super::manager::Manager;
use super::rule::RuleSpec;
use super::wire::SilenceBody;
use crate::domain::Labels;
use crate::domain::alert::Matcher;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, LazyLock};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How long the node's disk has been filling up when the simulation begins.
const FILLING_SINCE: i64 = 3 * DAY;

/// The rules.
pub(crate) fn rules() -> Vec<RuleSpec> {
    vec![
        RuleSpec {
            name: "CheckoutP99High",
            query: "histogram_quantile(0.99, sum by (le, version) (rate(http_request_duration_seconds_bucket{service=\"checkout\",version=\"canary\"}[2m]))) > 0.4",
            hold: 3 * MINUTE,
            keep_firing: 0,
            labels: &[("severity", "warning"), ("service", "checkout"), ("route", "/v1/checkout")],
            annotations: &[
                ("summary", "p99 {{ $value | humanizeDuration }} > 400ms for 3m"),
                ("runbook_url", "https://runbooks.example/checkout/p99"),
            ],
            seated: None,
        },
        RuleSpec {
            name: "CheckoutErrors",
            query: "sum by (version) (rate(http_requests_total{service=\"checkout\",code=~\"5..\"}[2m])) / sum by (version) (rate(http_requests_total{service=\"checkout\"}[2m])) > 0.01",
            hold: MINUTE,
            keep_firing: 0,
            labels: &[("severity", "critical"), ("service", "checkout")],
            annotations: &[
                ("summary", "{{ $value | humanizePercentage }} of {{ $labels.version }} requests fail, limit 1%"),
                ("runbook_url", "https://runbooks.example/checkout/errors"),
            ],
            seated: None,
        },
        RuleSpec {
            name: "PodRestarted",
            query: "increase(kube_pod_container_status_restarts_total{namespace=\"shop\",container=\"app\"}[10m]) > 0",
            hold: 2 * MINUTE,
            keep_firing: 0,
            labels: &[("severity", "warning")],
            annotations: &[("summary", "{{ $labels.pod }} restarted in the last 10m")],
            seated: None,
        },
        RuleSpec {
            name: "DiskFillingSlow",
            query: "node_filesystem_avail_bytes{job=\"node\"} / node_filesystem_size_bytes{job=\"node\"} < 0.15",
            hold: 60 * MINUTE,
            keep_firing: 0,
            labels: &[("severity", "warning"), ("service", "storage")],
            annotations: &[("summary", "{{ $value | humanizePercentage }} left on {{ $labels.node }}")],
            seated: Some(FILLING_SINCE),
        },
        RuleSpec {
            name: "DeployInProgress",
            query: "sum(rate(http_requests_total{service=\"checkout\",version=\"canary\"}[2m])) > 0",
            hold: 0,
            keep_firing: 0,
            labels: &[("severity", "info"), ("service", "checkout")],
            annotations: &[("summary", "two versions of checkout serve")],
            seated: None,
        },
    ]
}

/// What was there before the simulation began: the silence that covers the release.
pub(crate) fn furnish(manager: &mut Manager, begin: DateTime<Utc>, until: DateTime<Utc>) {
    let silence = SilenceBody {
        id: None,
        matchers: vec![Matcher::equal("alertname", "DeployInProgress"), Matcher::equal("service", "checkout")],
        starts_at: begin,
        ends_at: until + TimeDelta::minutes(48),
        created_by: "mira".into(),
        comment: "release window".into(),
    };
    let _ = manager.set_silence(silence, begin);
}

static NODE: LazyLock<[(Arc<Labels>, f64); 2]> = LazyLock::new(|| {
    let labels = |name: &str| {
        let pairs =
            [("__name__", name), ("instance", "ip-10-4-9-2:9100"), ("job", "node"), ("mountpoint", "/var"), ("node", "ip-10-4-9-2")];
        Arc::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>())
    };
    [(labels("node_filesystem_avail_bytes"), 12.8e9), (labels("node_filesystem_size_bytes"), 100.0e9)]
});

/// What a scrape of that node gives, `t` ms after t = 0.
pub(crate) fn node_samples(t: i64) -> impl Iterator<Item = (Arc<Labels>, f64)> {
    let filled = 1.0e9 * (t as f64 / DAY as f64);
    NODE.iter().map(move |(labels, value)| {
        let avail = labels["__name__"] == "node_filesystem_avail_bytes";
        (Arc::clone(labels), if avail { (value - filled).max(1.0e9).round() } else { *value })
    })
}
