//! The simulated Kubernetes: an API server with its watch cache, and small controllers behind it.

pub(crate) mod api;
mod cluster;
mod controllers;
mod discovery;
mod kubelet;
mod logs;
mod managed;
mod objects;
mod patch;
mod read;
mod resources;
mod review;
mod status;
mod store;
mod watch;
mod write;

pub(crate) use cluster::{Cluster, Job, Now};
pub(crate) use objects::namespace;
pub(crate) use resources::{Kind, Target};
pub(crate) use store::{Key, Picture, key};
pub(crate) use write::{Answer, Verb, Write};
