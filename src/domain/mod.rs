//! The vocabulary. Names nothing else of ours and nothing of the outside world.

pub mod action;
pub mod backoff;
pub mod canonical;
pub mod criterion;
pub mod danger;
pub mod decimal;
pub mod diagnostic;
pub mod failure;
pub mod ids;
pub mod millis;
pub mod observed;
pub mod promql;
pub mod record;
pub mod series;
pub mod service;
pub mod text;
pub mod time;
pub mod traffic;
pub mod update;
pub mod verdict;
pub mod workload;

pub use action::{Accepted, Action, ActionPlan, DiffLine, Preflight, Relied, Write, WriteKind};
pub use criterion::{Finding, Op, Outcome, PlatformCondition, Probe, Threshold, Unit};
pub use danger::{Confirm, Danger, Protection};
pub use diagnostic::{Diagnostic, Severity};
pub use failure::{Failure, Refusal};
pub use ids::{Epoch, OpId, RunId, SourceId, StepId, Ticket, Tickets};
pub use observed::{Freshness, Observed, SourceHealth};
pub use promql::{QueryError, QueryFacts};
pub use series::{Labels, Sample, Series};
pub use service::{RouteSpec, ServiceGate, ServiceKey, ServiceSpec, TrackSpec};
pub use time::{Clock, Stamp};
pub use traffic::{Agreement, ObservedShare, Percent, Route, WriteStamp};
pub use update::PlatformUpdate;
pub use verdict::Verdict;
pub use workload::{Instance, InstanceState, PlatformEvent, Track, Workload};
