//! The route seen through: what matches, where it sends, and what stands there.

use super::workload::Track;
use serde::{Deserialize, Serialize};

/// Everything that decides where a request goes, down to the instances that answer it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Xray {
    /// The object with the rules: `virtualservice/checkout`.
    pub object: String,
    /// Its rules, in its own order.
    pub rules: Vec<XrayRule>,
    /// The first rule that matches wins; else the most exact one does.
    pub first_match_wins: bool,
    /// What the weights of a rule should add up to, where older versions of the router insist on it.
    pub whole: Option<u32>,
    /// Instances of each side, so that a back-end can be compared with what it should be.
    pub canary: XrayInstances,
    /// The same of the baseline.
    pub baseline: XrayInstances,
    /// What could not be read, and therefore is not judged.
    pub unread: Vec<String>,
    /// What the router itself says against the route.
    pub refused: Option<String>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct XrayRule {
    /// Its name, or its place.
    pub name: String,
    /// What it matches, alternatives apart, in words; empty: everything.
    pub matches: Vec<String>,
    /// It asks for a header or a cookie: for chosen users.
    pub chosen: bool,
    /// Where it sends.
    pub to: Vec<XrayDestination>,
    /// What else it does: `mirrored to service/shadow`.
    pub besides: Vec<String>,
}

impl XrayRule {
    /// Sum of the weights as written.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.to.iter().map(|to| u64::from(to.weight)).sum()
    }

    /// The share that a destination gets of the requests that match, in percent; `None` where all weights are 0.
    #[must_use]
    pub fn share(&self, to: &XrayDestination) -> Option<f64> {
        let sum = self.sum();
        (sum > 0).then(|| f64::from(to.weight) * 100.0 / sum as f64)
    }
}

/// One destination of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct XrayDestination {
    /// `checkout/canary`, `service/checkout-canary`.
    pub name: String,
    /// Relative weight; a single destination has a weight too.
    pub weight: u32,
    /// The side that it is configured to be.
    pub meant: Option<Track>,
    /// What picks its instances.
    pub picks: XraySelector,
    /// The instances; `None` where they are not known.
    pub instances: Option<XrayInstances>,
}

/// What picks the instances of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "what")]
pub enum XraySelector {
    /// These labels: `app=checkout,version=canary`.
    Labels(String),
    /// Nothing does: a subset that no DestinationRule defines, a Service that does not exist.
    Undefined(String),
    /// It could not be read, or is not of this cluster.
    Unknown(String),
}

/// Instances, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XrayInstances {
    /// That exist.
    pub all: u32,
    /// That are ready.
    pub ready: u32,
    /// Of the canary.
    pub canary: u32,
    /// Of the baseline.
    pub baseline: u32,
    /// The versions that they run, sorted.
    pub versions: Vec<String>,
}
