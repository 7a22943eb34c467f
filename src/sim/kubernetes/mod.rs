//! The simulated Kubernetes: an API server with its watch cache, and small controllers behind it.

pub(crate) mod api;
mod cluster;
mod conditions;
mod create;
mod defaults;
mod delete;
mod deployment;
mod discovery;
mod events;
mod full_size;
mod kubelet;
mod managed;
mod objects;
mod patch;
mod pods;
mod quantity;
mod quota;
mod read;
mod replicaset;
mod resources;
mod review;
mod rolling;
mod scheduler;
mod status;
mod store;
mod table;
mod validate;
mod watch;
mod write;

pub(crate) use cluster::{Cluster, Job, Now};
pub(crate) use objects::namespace;
pub(crate) use resources::{Kind, Target};
pub(crate) use scheduler::node;
pub(crate) use store::{Key, Picture, key};
pub(crate) use write::{Answer, Verb, Write};
