//! Two drivers in any order of steps, against a model of what they may do.

use crate::place::{Place, note, run, service, started};
use gonogo::adapter::sqlite::Sqlite;
use gonogo::domain::Epoch;
use gonogo::domain::record::verify_chain;
use gonogo::port::journal::LEASE_TTL;
use gonogo::port::{AppendError, Journal, JournalError, Lease, LeaseError};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    /// Reads what is new.
    Read,
    /// Appends with the epoch last held, after the last entry known.
    Drive(usize),
    /// Appends without an epoch.
    Note,
    Acquire {
        take_over: bool,
    },
    Renew,
    Release,
    /// The process ends and another one begins.
    Restart,
    Sleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Read),
        6 => (1usize..4).prop_map(Step::Drive),
        2 => Just(Step::Note),
        2 => any::<bool>().prop_map(|take_over| Step::Acquire { take_over }),
        2 => Just(Step::Renew),
        1 => Just(Step::Release),
        1 => Just(Step::Restart),
        1 => (1u64..40).prop_map(Step::Sleep),
    ]
}

struct Driver {
    journal: Option<Sqlite>,
    session: String,
    known: u64,
    lease: Option<Lease>,
}

impl Driver {
    fn journal(&self) -> &Sqlite {
        self.journal.as_ref().unwrap()
    }
}

/// What is true of the file, told without looking into it.
#[derive(Default)]
struct Truth {
    head: u64,
    epoch: Epoch,
    holder: Option<String>,
    fenced: u32,
    driven: u32,
}

async fn append(place: &Place, driver: &mut Driver, truth: &mut Truth, count: usize, epoch: Option<Epoch>) {
    let mut drafts = vec![note("x"); count];
    if driver.known == 0 {
        drafts[0] = started(&service());
    }
    let done = driver.journal().append(place.request(driver.journal(), driver.known, epoch, drafts)).await;
    // A fence can stand only where the service of the run is known: in a run that is there, or at the start of one.
    if epoch.is_some_and(|epoch| epoch != truth.epoch) {
        assert_eq!(done, Err(AppendError::Fenced { current: truth.epoch }));
        truth.fenced += 1;
    } else if driver.known == truth.head {
        let entries = done.unwrap();
        let seqs: Vec<u64> = entries.iter().map(|e| e.seq).collect();
        assert_eq!(seqs, (truth.head + 1..=truth.head + count as u64).collect::<Vec<_>>());
        assert!(entries.iter().all(|e| e.epoch == truth.epoch));
        truth.head += count as u64;
        truth.driven += u32::from(epoch.is_some());
        driver.known = truth.head;
    } else {
        assert_eq!(done, Err(AppendError::Moved { head: truth.head }));
    }
}

async fn take(place: &Place, driver: &mut Driver, truth: &mut Truth, step: &Step) {
    match (step, driver.lease.clone()) {
        (Step::Read, _) => match driver.journal().read(run(), driver.known).await {
            Ok(new) => {
                assert_eq!(new.len() as u64, truth.head - driver.known);
                driver.known = truth.head;
            }
            Err(e) => assert_eq!((e, truth.head), (JournalError::NoRun(run()), 0)),
        },
        (Step::Note, _) => append(place, driver, truth, 1, None).await,
        (Step::Drive(count), Some(lease)) => append(place, driver, truth, *count, Some(lease.epoch)).await,
        (Step::Acquire { take_over }, _) => match driver.journal().acquire(service(), run(), place.now(), *take_over).await {
            Ok(lease) => {
                assert_eq!(lease.epoch, truth.epoch.next());
                truth.epoch = lease.epoch;
                truth.holder = Some(driver.session.clone());
                driver.lease = Some(lease);
            }
            Err(LeaseError::Held(held)) => {
                assert!(!take_over);
                assert_eq!(Some(held.session), truth.holder);
                assert_ne!(truth.holder.as_ref(), Some(&driver.session));
            }
            Err(e) => panic!("{e}"),
        },
        (Step::Renew | Step::Release, Some(lease)) => {
            let releases = matches!(step, Step::Release);
            let done = if releases { driver.journal().release(&lease).await } else { driver.journal().renew(&lease, place.now()).await };
            if truth.holder.as_ref() == Some(&driver.session) && lease.epoch == truth.epoch {
                assert_eq!(done, Ok(()));
                truth.holder = truth.holder.take().filter(|_| !releases);
            } else {
                assert_eq!(done, Err(LeaseError::Lost { current: truth.epoch }));
            }
        }
        (Step::Restart, _) => {
            driver.journal = None;
            driver.session.push('\'');
            driver.journal = Some(place.open(&driver.session));
            driver.known = 0;
        }
        (Step::Sleep(seconds), _) => place.advance(Duration::from_secs(*seconds)),
        (Step::Drive(_) | Step::Renew | Step::Release, None) => {}
    }
}

async fn play(steps: &[(bool, Step)]) -> Truth {
    let place = Place::new();
    let mut truth = Truth::default();
    let mut drivers =
        ["a", "b"].map(|session| Driver { journal: Some(place.open(session)), session: session.to_owned(), known: 0, lease: None });
    for (second, step) in steps {
        take(&place, &mut drivers[usize::from(*second)], &mut truth, step).await;
    }
    let reader = place.open("reader");
    if truth.head > 0 {
        let entries = reader.read(run(), 0).await.unwrap();
        assert_eq!((entries.len() as u64, verify_chain(&entries)), (truth.head, Ok(())));
        assert!(entries.is_sorted_by_key(|e| e.epoch));
    }
    // Whoever holds the seat, it is free once he has been silent for long enough.
    let _ = reader.lease(service()).await.unwrap();
    place.advance(LEASE_TTL + Duration::from_secs(1));
    assert_eq!(reader.acquire(service(), run(), place.now(), false).await.unwrap().epoch, truth.epoch.next());
    truth
}

#[test]
fn no_order_of_steps_of_two_drivers_writes_a_place_twice_or_passes_an_old_epoch() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() });
    let reached = std::cell::RefCell::new(Truth::default());
    runner
        .run(&proptest::collection::vec((any::<bool>(), step()), 20..60), |steps| {
            let truth = runtime.block_on(play(&steps));
            let mut reached = reached.borrow_mut();
            reached.fenced += truth.fenced;
            reached.driven += truth.driven;
            Ok(())
        })
        .unwrap();
    // The steps must have reached what they are to test.
    let reached = reached.into_inner();
    assert!(reached.fenced > 50 && reached.driven > 50, "{} fenced, {} driven", reached.fenced, reached.driven);
}
