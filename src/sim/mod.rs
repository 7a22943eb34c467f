//! The flight simulator: a whole platform and a metrics backend that speak the real wire protocols on loopback.
//!
//! A small deterministic world (`world`) holds a cluster and the traffic through it. Simulated time moves it: timers fire in order, controllers
//! turn Deployments into Pods, every scrape writes counters and histograms. HTTP servers show that world as the real systems would, and a layer
//! of faults stands between them and their clients. Nothing here knows who the client is.

pub mod alerts;
mod argo;
mod calls;
mod clock;
mod endpoints;
mod fault;
mod gate;
mod handle;
mod kubernetes;
mod listen;
mod logbook;
pub mod metrics;
mod options;
mod rng;
mod rolling;
mod scene;
mod shop;
mod split;
mod switchboard;
mod tally;
mod tls;
mod traffic;
mod world;

pub use clock::SimClock;
pub use endpoints::Endpoints;
pub use fault::{Fault, FaultError, FaultKind, Source};
pub use handle::{Handle, start};
pub use options::{Options, Platform, Prelude, SimError};
pub use scene::{Scene, Script};
pub use split::TrafficBy;
