//! A Prometheus server in memory: samples in, PromQL over HTTP out.
//!
//! Semantics are those of Prometheus 2.42, the version that `tests/sim_prometheus.rs` compares with: range selectors and the
//! lookback are closed on both sides (3.x leaves the left side open), a missing sample is never invented, and what cannot be
//! evaluated is an error in Prometheus's own shape, never a number. Native histograms do not exist here.
//!
//! * `tsdb`, `metric`: samples by label set
//! * `syntax`: text to checked syntax tree
//! * `eval` and the files it calls (`binary`, `aggregate`, `function`, `over_time`, `histogram`, `relabel`): tree to values
//! * `http`, `params`, `encode`: the API around it

mod aggregate;
mod ask;
mod binary;
mod encode;
mod eval;
mod function;
mod histogram;
mod http;
mod metric;
mod number;
mod over_time;
mod params;
mod query;
mod relabel;
mod syntax;
mod tsdb;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use ask::values;
pub use http::api;
pub(crate) use http::api_with;
pub(crate) use query::Query;
pub use tsdb::{STALE_NAN_BITS, Tsdb};
