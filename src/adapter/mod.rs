//! Adapters: each speaks to one outside system and satisfies a port. One system never names another.

pub mod http;
pub mod prometheus;
pub mod promql;
