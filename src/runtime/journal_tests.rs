//! The keeper of the seat, against a journal that can fail and a second driver.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::clock::SystemClock;
use super::journal::{Keeper, SeatProof};
use crate::app::Msg;
use crate::domain::record::{Actor, Entry};
use crate::domain::{Epoch, RunId, ServiceKey, Stamp, Ticket};
use crate::port::journal::RunHead;
use crate::port::{Append, AppendError, Journal, JournalError, Lease, LeaseError};
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

fn actor() -> Actor {
    Actor { id: "maria".into(), strength: "asserted".into(), client: "maria@host 1".into() }
}

#[derive(Debug, Default)]
struct Record {
    holder: Option<String>,
    epoch: u64,
    /// Appends and acquisitions fail.
    full: bool,
    no_entries: bool,
}

/// A journal of which only the seat matters, as one session sees it.
#[derive(Debug, Clone)]
struct Seats {
    record: Arc<Mutex<Record>>,
    session: String,
}

impl Seats {
    fn lease_now(&self) -> Option<Lease> {
        let record = self.record.lock().unwrap();
        record.holder.as_ref().map(|session| Lease {
            service: service(),
            run: RunId::from("checkout-20260314-1"),
            holder: actor(),
            session: session.clone(),
            epoch: Epoch(record.epoch),
            since: DateTime::<Utc>::UNIX_EPOCH,
            live: true,
        })
    }

    fn touch(&self, lease: &Lease, held: bool) -> Result<(), LeaseError> {
        let mut record = self.record.lock().unwrap();
        if record.holder.as_ref() != Some(&self.session) || record.epoch != lease.epoch.0 {
            return Err(LeaseError::Lost { current: Epoch(record.epoch) });
        }
        record.holder = held.then(|| self.session.clone());
        Ok(())
    }
}

impl Journal for Seats {
    fn whoami(&self) -> Actor {
        actor()
    }

    fn append(&self, _: Append) -> BoxFuture<'_, Result<Vec<Entry>, AppendError>> {
        let record = self.record.lock().unwrap();
        let full = record.full || record.no_entries;
        ready(if full { Err(AppendError::Full("no space left on device".into())) } else { Ok(vec![]) }).boxed()
    }

    fn read(&self, _: RunId, _: u64) -> BoxFuture<'_, Result<Vec<Entry>, JournalError>> {
        ready(Ok(vec![])).boxed()
    }

    fn runs(&self, _: Option<ServiceKey>) -> BoxFuture<'_, Result<Vec<RunHead>, JournalError>> {
        ready(Ok(vec![])).boxed()
    }

    fn new_run_id(&self, _: ServiceKey, _: DateTime<Utc>) -> BoxFuture<'_, Result<RunId, JournalError>> {
        ready(Ok(RunId::from("checkout-20260314-1"))).boxed()
    }

    fn acquire_above(&self, _: ServiceKey, _: RunId, _: Stamp, take_over: bool, floor: Epoch) -> BoxFuture<'_, Result<Lease, LeaseError>> {
        let held = self.lease_now().filter(|lease| lease.session != self.session && !take_over);
        let result = match held {
            Some(lease) => Err(LeaseError::Held(Box::new(lease))),
            None if self.record.lock().unwrap().full => Err(LeaseError::Store("no space left on device".into())),
            None => {
                let mut record = self.record.lock().unwrap();
                record.epoch = (record.epoch + 1).max(floor.0);
                record.holder = Some(self.session.clone());
                drop(record);
                Ok(self.lease_now().unwrap())
            }
        };
        ready(result).boxed()
    }

    fn renew(&self, lease: &Lease, _: Stamp) -> BoxFuture<'_, Result<(), LeaseError>> {
        ready(self.touch(lease, true)).boxed()
    }

    fn release(&self, lease: &Lease) -> BoxFuture<'_, Result<(), LeaseError>> {
        ready(self.touch(lease, false)).boxed()
    }

    fn lease(&self, _: ServiceKey) -> BoxFuture<'_, Result<Option<Lease>, JournalError>> {
        ready(Ok(self.lease_now())).boxed()
    }
}

fn service() -> ServiceKey {
    ServiceKey { platform: "prod-eu".into(), service: "checkout".into() }
}

fn keeper(session: &str, record: &Arc<Mutex<Record>>) -> (Keeper, mpsc::Receiver<Msg>) {
    let (out, told) = mpsc::channel(16);
    let journal = Arc::new(Seats { record: record.clone(), session: session.into() });
    (Keeper::new(journal, Arc::new(SystemClock::new()), service(), out, Arc::new(SeatProof::default())), told)
}

async fn take(keeper: &mut Keeper, take_over: bool) {
    keeper.take(RunId::from("checkout-20260314-1"), take_over).await;
}

async fn advance(keeper: &mut Keeper, told: &mut mpsc::Receiver<Msg>) -> Result<Epoch, String> {
    while told.try_recv().is_ok() {}
    keeper.advance_for(Ticket(7), RunId::from("checkout-20260314-1")).await;
    let Some(Msg::EpochAdvanced { result, .. }) = told.recv().await else { panic!("no answer") };
    result
}

#[tokio::test]
async fn a_driver_whose_seat_was_taken_does_not_take_it_back_by_a_fence() {
    let record = Arc::new(Mutex::new(Record::default()));
    let (mut maria, mut told) = keeper("maria-1", &record);
    let (mut jon, _jon_told) = keeper("jon-1", &record);
    take(&mut maria, false).await;
    assert_eq!(advance(&mut maria, &mut told).await, Ok(Epoch(2)), "the seat is hers");
    take(&mut jon, true).await;
    let refused = advance(&mut maria, &mut told).await;
    assert_eq!(refused.unwrap_err(), "the driver's seat was taken: epoch 3 is current");
    let record = record.lock().unwrap();
    assert_eq!((record.holder.as_deref(), record.epoch), (Some("jon-1"), 3));
}

#[tokio::test]
async fn a_full_disk_does_not_take_the_seat_from_its_driver() {
    let record = Arc::new(Mutex::new(Record::default()));
    let (mut maria, mut told) = keeper("maria-1", &record);
    take(&mut maria, false).await;
    record.lock().unwrap().full = true;
    assert!(advance(&mut maria, &mut told).await.is_err());
    record.lock().unwrap().full = false;
    let now = SystemClock::new();
    assert!(maria.proof.holds(crate::domain::Clock::now(&now).boot), "she may still send");
    assert_eq!(advance(&mut maria, &mut told).await, Ok(Epoch(2)));
}

#[tokio::test]
async fn a_seat_that_could_not_be_recorded_is_given_up() {
    let record = Arc::new(Mutex::new(Record { no_entries: true, ..Record::default() }));
    let (mut maria, _told) = keeper("maria-1", &record);
    take(&mut maria, false).await;
    assert_eq!(record.lock().unwrap().holder, None, "it would look as if somebody drove");
}
