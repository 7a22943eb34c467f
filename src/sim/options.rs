//! What a simulator is started with, and how starting can fail.

use super::fault::Fault;
use super::scene::{Scene, Script};
use super::split::TrafficBy;
use chrono::{DateTime, Utc};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The platform to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Kubernetes with an Istio mesh.
    Kubernetes,
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kubernetes" => Ok(Self::Kubernetes),
            "cloud-foundry" | "cloud-run" | "vercel" | "swarm" => Err(format!("platform {text} is not simulated yet; use kubernetes")),
            other => Err(format!("unknown platform {other:?}; use kubernetes")),
        }
    }
}

/// Who makes the history before t = 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prelude {
    /// The simulator moves the scene's weights itself, runs to t = 0 and goes live before [`start`](super::start) returns.
    Scripted,
    /// The caller moves time with [`Handle::advance_to`](super::Handle::advance_to) and the weights through the API.
    Operated,
}

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform.
    pub platform: Platform,
    /// The situation at t = 0.
    pub scene: Scene,
    /// Same seed, same world.
    pub seed: u64,
    /// Simulated seconds per real second once live.
    pub speed: f64,
    /// The wall time that stands still once live; `boot` and `mono` go on.
    pub freeze_clock: Option<DateTime<Utc>>,
    /// Scripted faults, in simulated seconds since t = 0.
    pub faults: Vec<Fault>,
    /// Where to write one JSON line per write that reached the platform.
    pub calls: Option<PathBuf>,
    /// The folder for other processes; here the token file is rotated.
    pub dir: Option<PathBuf>,
    /// Where the Kubernetes API listens. The metrics backend takes a free port of the same address.
    pub listen: SocketAddr,
    /// Total number of pods, for load tests; at most 20,000.
    pub instances: Option<u32>,
    /// Pods are as large as those of real clusters, ten kilobytes: for measurements.
    pub full_size: bool,
    /// Pods deleted and created again per simulated second once live, for load tests.
    pub churn: Option<u32>,
    /// Who makes the history.
    pub prelude: Prelude,
    /// What splits the traffic.
    pub traffic: TrafficBy,
    /// Who works here: may speak for the launch director and for the engineers on call.
    pub operator: Option<String>,
}

/// Most pods a simulated cluster holds.
pub(crate) const MAX_INSTANCES: u32 = 20_000;
/// Most pods replaced per second.
pub(crate) const MAX_CHURN: u32 = 1_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            platform: Platform::Kubernetes,
            scene: Scene::Tour,
            seed: 1,
            speed: 1.0,
            freeze_clock: None,
            faults: Vec::new(),
            calls: None,
            dir: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            instances: None,
            full_size: false,
            churn: None,
            prelude: Prelude::Scripted,
            traffic: TrafficBy::Mesh,
            operator: None,
        }
    }
}

/// Scenes whose new version can come by a rolling update: it is well, it fails requests, it becomes slow.
const ROLLING_SCENES: [Scene; 3] = [Scene::Idle, Scene::NoGo, Scene::SlowLeak];

impl Options {
    /// The history before t = 0. Nothing is released in it where nothing splits traffic.
    pub(crate) fn script(&self) -> Script {
        if matches!(self.traffic, TrafficBy::Rolling | TrafficBy::Argo) {
            // Long enough for a whole release to be flown in it.
            Script { prelude: Duration::from_secs(45 * 60), ..Scene::Idle.script() }
        } else {
            self.scene.script()
        }
    }

    /// Refuses what cannot be simulated.
    pub(crate) fn check(&self) -> Result<(), SimError> {
        if matches!(self.traffic, TrafficBy::Rolling | TrafficBy::Argo) && !ROLLING_SCENES.contains(&self.scene) {
            let why = format!("scene {} has a mesh; with traffic {} use idle, no-go or slow-leak", self.scene, self.traffic);
            return Err(SimError::Option(why));
        }
        if !(self.speed.is_finite() && (0.01..=1000.0).contains(&self.speed)) {
            return Err(SimError::Option(format!("speed {} is not between 0.01 and 1000", self.speed)));
        }
        if let Some(n) = self.instances.filter(|n| !(2..=MAX_INSTANCES).contains(n)) {
            return Err(SimError::Option(format!("{n} instances are not between 2 and {MAX_INSTANCES}")));
        }
        if let Some(n) = self.churn.filter(|n| *n > MAX_CHURN) {
            return Err(SimError::Option(format!("churn of {n} pods a second is more than {MAX_CHURN}")));
        }
        if self.traffic == TrafficBy::Selector && self.scene.script().confirm_5.is_some() {
            let why = "a selector is all or nothing, and its history has shares in between; use idle or pre-launch";
            return Err(SimError::Option(format!("scene {} cannot be had with traffic by selector: {why}", self.scene)));
        }
        if self.scene == Scene::HeaderRoute && self.traffic != TrafficBy::Mesh {
            return Err(SimError::Option("scene header-route is about a mesh; leave out --traffic".to_owned()));
        }
        if !self.listen.ip().is_loopback() {
            return Err(SimError::Option(format!(
                "listen address {} is not on loopback; the simulator serves this machine only",
                self.listen
            )));
        }
        Ok(())
    }
}

/// Why the simulator could not start or write its files.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An option that cannot be simulated.
    #[error("simulator: {0}")]
    Option(String),
    /// A file or folder.
    #[error("simulator: cannot write {path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A socket.
    #[error("simulator: cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// Certificates.
    #[error("simulator: cannot make a certificate: {0}")]
    Certificate(String),
}

impl SimError {
    pub(crate) fn file(path: &std::path::Path, cause: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), cause }
    }
}
