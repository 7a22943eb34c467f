//! Objects around a workload, as far as they are read. What is in a ConfigMap or a Secret is never asked for.

use super::super::objects::{Condition, LabelSelector, Object, or_default};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Something with a name.
pub(super) trait Named {
    /// Its name as the platform has it.
    fn name(&self) -> &str;
}

macro_rules! object {
    ($($name:ident),*) => {$(
        impl Object for $name {
            fn version(&self) -> &str {
                &self.metadata.resource_version
            }
        }

        impl Named for $name {
            fn name(&self) -> &str {
                &self.metadata.name
            }
        }
    )*};
}
object!(Service, EndpointSlice, Ingress, Autoscaler, Budget, Bare);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) resource_version: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    pub(super) creation_timestamp: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) managed_fields: Vec<Managed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Managed {
    #[serde(deserialize_with = "or_default")]
    pub(super) manager: String,
    pub(super) time: Option<DateTime<Utc>>,
}

/// An object of which only the metadata is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bare {
    pub(super) metadata: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) metadata: Meta,
    pub(super) spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) selector: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointSlice {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: EndpointConditions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointConditions {
    /// Not known counts as ready.
    pub(super) ready: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ingress {
    pub(super) metadata: Meta,
    pub(super) spec: IngressSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IngressSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) default_backend: Backend,
    #[serde(deserialize_with = "or_default")]
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    #[serde(deserialize_with = "or_default")]
    pub(super) host: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) http: Http,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http {
    #[serde(deserialize_with = "or_default")]
    pub(super) paths: Vec<HttpPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HttpPath {
    #[serde(deserialize_with = "or_default")]
    pub(super) backend: Backend,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Backend {
    #[serde(deserialize_with = "or_default")]
    pub(super) service: Target,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Target {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Autoscaler {
    pub(super) metadata: Meta,
    pub(super) spec: AutoscalerSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: AutoscalerStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AutoscalerSpec {
    pub(super) scale_target_ref: Target,
    pub(super) min_replicas: Option<u32>,
    pub(super) max_replicas: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AutoscalerStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) current_replicas: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) desired_replicas: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Budget {
    pub(super) metadata: Meta,
    pub(super) spec: BudgetSpec,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BudgetSpec {
    /// Nothing selects nothing here; an empty selector selects everything.
    pub(super) selector: Option<LabelSelector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BudgetStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) disruptions_allowed: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) current_healthy: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) desired_healthy: u32,
}

/// A list of metrics.k8s.io.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageList {
    #[serde(deserialize_with = "or_default")]
    pub(super) items: Vec<PodUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodUsage {
    pub(super) metadata: JustName,
    pub(super) timestamp: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<ContainerUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JustName {
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerUsage {
    #[serde(deserialize_with = "or_default")]
    pub(super) usage: UsedText,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsedText {
    #[serde(deserialize_with = "or_default")]
    pub(super) cpu: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) memory: String,
}

/// A quantity in thousandths: `1234567n` is 1, `250m` is 250, `2` is 2000. `None` for what is none.
pub(super) fn thousandths(text: &str) -> Option<u64> {
    let value = quantity(text)? * 1000.0;
    Some(value.round() as u64)
}

/// A quantity in whole units: `123Ki` is 125952.
pub(super) fn whole(text: &str) -> Option<u64> {
    quantity(text).map(|value| value.round() as u64)
}

/// Kubernetes' notation of numbers: a decimal number with a decimal or binary suffix, or an exponent.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let (digits, factor) = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))?;
    let value: f64 = digits.parse().ok()?;
    let value = value * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_platform_writes_them() {
        for (text, cpu) in
            [("1234567n", Some(1)), ("250m", Some(250)), ("2", Some(2000)), ("0.5", Some(500)), ("1e3", Some(1_000_000)), ("", None)]
        {
            assert_eq!(thousandths(text), cpu, "{text}");
        }
        for (text, bytes) in
            [("123Ki", Some(125_952)), ("512Mi", Some(536_870_912)), ("1G", Some(1_000_000_000)), ("-1", None), ("x", None)]
        {
            assert_eq!(whole(text), bytes, "{text}");
        }
    }
}
