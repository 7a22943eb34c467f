//! The outside systems, one folder each. An adapter satisfies a port and knows no other adapter.

pub mod alertmanager;
pub mod http;
pub mod kubernetes;
pub mod prometheus;
pub mod promql;
pub mod sqlite;
pub mod ssh;
