//! What stands around the workload and may help or harm a release: routing to its instances, autoscaling, disruption budgets, settings,
//! nodes, use of CPU and memory, and who owns the objects. Never the content of a setting or a secret.

use super::workload::Track;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A setting or secret that instances are started with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingRef {
    /// It is a secret.
    pub secret: bool,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for SettingRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", if self.secret { "secret" } else { "configmap" }, self.name)
    }
}

/// What one side is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// `deployment/checkout-canary`.
    pub object: String,
    /// Settings and secrets it refers to, each once.
    pub settings: Vec<SettingRef>,
    /// Most CPU of its main container, in thousandths.
    pub cpu_limit: Option<u64>,
    /// Most memory of its main container, in bytes.
    pub memory_limit: Option<u64>,
    /// The image has a digest: a tag may be moved.
    pub pinned: bool,
}

/// Who keeps an object as it is written in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `Argo CD app checkout`.
    pub who: String,
    /// The commit that was applied last, where the object tells.
    pub revision: Option<String>,
}

/// One thing near the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Near {
    /// What a side is started with.
    Shape(Track, Shape),
    /// Who owns an object of the release; `None`: nobody that says so.
    Owned(String, Option<Owner>),
    /// A Service that sends to instances of these sides.
    Service {
        /// Its name.
        name: String,
        /// Sides that its selector picks.
        tracks: Vec<Track>,
    },
    /// A part of the addresses of a Service.
    Endpoints {
        /// Name of the slice.
        name: String,
        /// Name of the Service.
        service: String,
        /// Addresses that take requests.
        ready: u32,
        /// Addresses that do not.
        not_ready: u32,
    },
    /// An Ingress that leads to a Service.
    Ingress {
        /// Its name.
        name: String,
        /// Services behind it.
        services: Vec<String>,
        /// Hosts it answers for.
        hosts: Vec<String>,
    },
    /// An autoscaler.
    Autoscaler {
        /// Its name.
        name: String,
        /// Name of the workload that it scales.
        target: String,
        /// Fewest instances.
        min: u32,
        /// Most instances.
        max: u32,
        /// What it wants now.
        desired: u32,
        /// What there is.
        current: u32,
        /// Why it cannot want what it would, or cannot scale, in the platform's words.
        limited: Option<String>,
        /// It is at its upper limit because of the load.
        capped: bool,
        /// Why it does not scale at all: no metrics, scaled to 0.
        blind: Option<String>,
    },
    /// A disruption budget.
    Budget {
        /// Its name.
        name: String,
        /// Sides that its selector picks.
        tracks: Vec<Track>,
        /// Instances that may be evicted now.
        allowed: u32,
        /// Healthy instances.
        healthy: u32,
        /// Healthy instances that must stay.
        needed: u32,
    },
    /// A setting or secret: that it exists and when it changed, never what is in it.
    Setting {
        /// Which.
        of: SettingRef,
        /// The platform's opaque version.
        version: String,
        /// When it was last written, where the platform tells.
        changed: Option<DateTime<Utc>>,
        /// Who wrote it.
        by: Option<String>,
    },
    /// A node.
    Node {
        /// Its name.
        name: String,
        /// Its zone.
        zone: Option<String>,
    },
}

/// Identity of a thing near the workload: kind and name.
pub type NearKey = (&'static str, String);

impl Near {
    /// What tells it from all others.
    #[must_use]
    pub fn key(&self) -> NearKey {
        match self {
            Self::Shape(track, _) => ("shape", track.word().to_owned()),
            Self::Owned(object, _) => ("owner", object.clone()),
            Self::Service { name, .. } => ("service", name.clone()),
            Self::Endpoints { name, .. } => ("endpoints", name.clone()),
            Self::Ingress { name, .. } => ("ingress", name.clone()),
            Self::Autoscaler { name, .. } => ("autoscaler", name.clone()),
            Self::Budget { name, .. } => ("budget", name.clone()),
            Self::Setting { of, .. } => ("setting", of.to_string()),
            Self::Node { name, .. } => ("node", name.clone()),
        }
    }
}

/// What an instance uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// CPU in thousandths.
    pub cpu: u64,
    /// Memory in bytes.
    pub memory: u64,
}

/// News of what stands around the workload.
#[derive(Debug, Clone, PartialEq)]
pub enum AroundUpdate {
    /// New or changed.
    Near(Box<Near>),
    /// Deleted.
    Gone(NearKey),
    /// A kind cannot be read. Nothing is concluded from its absence.
    Unread {
        /// The kind, as the platform calls it: `horizontalpodautoscalers`.
        part: &'static str,
        /// Why.
        why: String,
    },
    /// It can be read again.
    Read {
        /// The kind.
        part: &'static str,
    },
    /// Use of all instances, by name; replaces what was known.
    Usage {
        /// Time of the measurement.
        at: DateTime<Utc>,
        /// By instance.
        used: HashMap<Arc<str>, Used>,
    },
}

/// What stands around the workload, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Around {
    things: BTreeMap<NearKey, Near>,
    /// Zones by node: there are many, and nothing else is asked of them.
    zones: BTreeMap<String, Option<String>>,
    /// Kinds that cannot be read, and why.
    pub unread: BTreeMap<&'static str, String>,
    /// Use by instance, by name.
    pub used: HashMap<Arc<str>, Used>,
    /// When it was measured.
    pub measured: Option<DateTime<Utc>>,
}

impl Around {
    /// Takes news.
    pub fn apply(&mut self, update: &AroundUpdate) {
        match update {
            AroundUpdate::Near(near) => match near.as_ref() {
                Near::Node { name, zone } => {
                    self.zones.insert(name.clone(), zone.clone());
                }
                other => {
                    self.things.insert(other.key(), other.clone());
                }
            },
            AroundUpdate::Gone(("node", name)) => {
                self.zones.remove(name);
            }
            AroundUpdate::Gone(key) => {
                self.things.remove(key);
            }
            AroundUpdate::Unread { part, why } => {
                self.unread.insert(part, why.clone());
                if *part == "usage" {
                    self.used.clear();
                    self.measured = None;
                }
            }
            AroundUpdate::Read { part } => {
                self.unread.remove(part);
            }
            AroundUpdate::Usage { at, used } => {
                self.used.clone_from(used);
                self.measured = Some(*at);
                self.unread.remove("usage");
            }
        }
    }

    /// Everything but nodes, by kind and name.
    pub fn things(&self) -> impl Iterator<Item = &Near> {
        self.things.values()
    }

    /// What a side is started with.
    #[must_use]
    pub fn shape(&self, track: Track) -> Option<&Shape> {
        match self.things.get(&("shape", track.word().to_owned())) {
            Some(Near::Shape(_, shape)) => Some(shape),
            _ => None,
        }
    }

    /// The zone of a node.
    #[must_use]
    pub fn zone(&self, node: &str) -> Option<&str> {
        self.zones.get(node)?.as_deref()
    }
}
