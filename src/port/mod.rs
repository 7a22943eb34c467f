//! What the outside must satisfy. Object-safe traits; futures are boxed so that the pure layers need no runtime.

pub mod alerts;
pub mod journal;
pub mod logs;
pub mod metrics;
pub mod platform;
pub mod signatures;

pub use alerts::{Alerts, AlertsAnswer};
pub use journal::{Append, AppendError, Journal, JournalError, Lease, LeaseError, RunHead};
pub use logs::Logs;
pub use metrics::{Answer, Metrics};
pub use platform::{Platform, PlatformUpdate, Right};
pub use signatures::{Claim, SignError, Signatures, Signed};
