//! Alerting: rules that the simulated Prometheus evaluates, and an Alertmanager that they are sent to.
//!
//! Semantics are those of Prometheus 2.42 and Alertmanager 0.25, the versions that tests compare with. Of templates there are
//! `{{ $value }}` and `{{ $labels.x }}` with `humanize`, `humanizePercentage` and `humanizeDuration`; everything else gives the error text
//! that Prometheus would give. Alerts are never grouped into notifications, and nothing inhibits: `inhibitedBy` is always empty.
//!
//! * `template`: texts of labels and annotations
//! * `rule`: one rule and its alerts over time; `rules`: all of them, and what the Prometheus API says about them
//! * `shop`: the rules of the simulated shop
//! * `manager`: alerts and silences; `http`, `wire`: the Alertmanager API around them

mod http;
mod manager;
mod rule;
mod rules;
mod shop;
mod template;
mod wire;

pub use http::api;
pub use manager::Manager;

pub(crate) use http::Served;
pub(crate) use rule::Sent;
pub(crate) use rules::{Filter, Rules};
pub(crate) use shop::{furnish, node_samples, rules as shop_rules};
