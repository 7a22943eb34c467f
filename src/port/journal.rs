//! The record: runs, entries, and the seat of the driver.

use crate::domain::record::{Actor, Draft, Entry};
use crate::domain::{Epoch, RunId, ServiceKey, Stamp};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One compare-and-append: all drafts or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// `seq` of the entry that must be the last one now; 0 for a new run.
    pub after: u64,
    /// The epoch that must be the service's current one. `None` for what everybody may append: notes, holds, answers.
    pub epoch: Option<Epoch>,
    /// Who writes.
    pub actor: Actor,
    /// The writer's clocks.
    pub stamp: Stamp,
    /// What.
    pub drafts: Vec<Draft>,
}

/// Why an append was not done. In every case nothing was written, except that after [`AppendError::Store`] a reader has to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended in between: read the new entries, then decide again.
    #[error("the journal moved on: its last entry is {head}")]
    Moved {
        /// `seq` of the last entry now.
        head: u64,
    },
    /// The epoch is not current any more: somebody took the seat.
    #[error("the driver's seat was taken: epoch {current} is current")]
    Fenced {
        /// The epoch now.
        current: Epoch,
    },
    /// The disk is full. Nothing was written.
    #[error("the journal's disk is full: {0}")]
    Full(String),
    /// The store failed.
    #[error("the journal cannot be written: {0}")]
    Store(String),
}

/// The store cannot be read, or what it holds is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// No such run.
    #[error("no run {0} in the journal")]
    NoRun(RunId),
    /// The chain is broken.
    #[error("run {run}: {why}")]
    Damaged {
        /// The run.
        run: RunId,
        /// What is wrong, and where.
        why: String,
    },
    /// The store failed.
    #[error("the journal cannot be read: {0}")]
    Store(String),
}

/// A run, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// What it releases.
    pub service: ServiceKey,
    /// Its first entry's store time.
    pub started: DateTime<Utc>,
    /// Its last entry's store time.
    pub last: DateTime<Utc>,
    /// `seq` of its last entry.
    pub head: u64,
    /// Type of its last `run.*` entry: how it stands (`run.started`, `run.completed`, `run.rolled_back`, `run.aborted`, …).
    pub state: String,
}

impl RunHead {
    /// Whether the run ended for good.
    #[must_use]
    pub fn finished(&self) -> bool {
        matches!(self.state.as_str(), "run.completed" | "run.rolled_back" | "run.aborted")
    }
}

/// The driver's seat of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The service.
    pub service: ServiceKey,
    /// The run it is held for.
    pub run: RunId,
    /// Who holds it.
    pub holder: Actor,
    /// Unique to the holding process.
    pub session: String,
    /// Its epoch; grows with every acquisition and outlives runs.
    pub epoch: Epoch,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether it is held now: not released, not run out, and its process alive where that can be told.
    pub live: bool,
}

/// How long a lease lives without being renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(30);
/// How often it is renewed.
pub const LEASE_RENEW: Duration = Duration::from_secs(10);
/// Without a renewal for this long the driver stops sending: it fences itself before others may.
pub const LEASE_SELF_FENCE: Duration = Duration::from_secs(20);

/// Why a seat was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody drives.
    #[error("{} drives {} (run {}, since {})", .0.holder.client, .0.service, .0.run, .0.since.format("%H:%M:%SZ"))]
    Held(Box<Lease>),
    /// It was ours and is not any more.
    #[error("the driver's seat was taken: epoch {current} is current")]
    Lost {
        /// The epoch now.
        current: Epoch,
    },
    /// The store failed.
    #[error("the journal cannot be written: {0}")]
    Store(String),
}

/// The store of runs.
pub trait Journal: Send + Sync {
    /// Who we are to this store.
    fn whoami(&self) -> Actor;

    /// Appends entries to a run, durably, checking place and epoch in the same transaction. Gives the entries as written.
    fn append(&self, request: Append) -> BoxFuture<'_, Result<Vec<Entry>, AppendError>>;

    /// Entries of a run with `seq > after`, in order, chain checked.
    fn read(&self, run: RunId, after: u64) -> BoxFuture<'_, Result<Vec<Entry>, JournalError>>;

    /// Runs, newest first.
    fn runs(&self, service: Option<ServiceKey>) -> BoxFuture<'_, Result<Vec<RunHead>, JournalError>>;

    /// A free id `<service>-<yyyymmdd>-<n>` for a run that starts on `day`.
    fn new_run_id(&self, service: ServiceKey, day: DateTime<Utc>) -> BoxFuture<'_, Result<RunId, JournalError>>;

    /// Takes the driver's seat: epoch + 1. Refused while somebody else holds a live lease, unless `take_over`.
    fn acquire(&self, service: ServiceKey, run: RunId, stamp: Stamp, take_over: bool) -> BoxFuture<'_, Result<Lease, LeaseError>> {
        self.acquire_above(service, run, stamp, take_over, Epoch(0))
    }

    /// [`Journal::acquire`] with an epoch of at least `floor`: who drives several services at once drives them all under one epoch.
    fn acquire_above(
        &self,
        service: ServiceKey,
        run: RunId,
        stamp: Stamp,
        take_over: bool,
        floor: Epoch,
    ) -> BoxFuture<'_, Result<Lease, LeaseError>>;

    /// Keeps the seat.
    fn renew(&self, lease: &Lease, stamp: Stamp) -> BoxFuture<'_, Result<(), LeaseError>>;

    /// Gives the seat up. The epoch stays.
    fn release(&self, lease: &Lease) -> BoxFuture<'_, Result<(), LeaseError>>;

    /// Who holds the seat.
    fn lease(&self, service: ServiceKey) -> BoxFuture<'_, Result<Option<Lease>, JournalError>>;
}
