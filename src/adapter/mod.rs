//! What satisfies the ports: one folder per outside system. One system never names another; `http` and `promql` are shared.

pub mod http;
pub mod prometheus;
pub mod promql;
pub mod sqlite;
