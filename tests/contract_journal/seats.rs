//! The driver's seat.

use crate::place::{Place, draft, note, run, service, started};
use gonogo::adapter::sqlite;
use gonogo::domain::{Epoch, RunId};
use gonogo::port::journal::{LEASE_RENEW, LEASE_TTL};
use gonogo::port::{AppendError, Journal, LeaseError};
use serde_json::json;
use std::process::Command;
use std::time::Duration;

const TICK: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_held_seat_is_refused_with_who_holds_it() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    let lease = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    assert_eq!((lease.epoch, lease.live, lease.since), (Epoch(1), true, place.now().wall));
    match bob.acquire(service(), "other".into(), place.now(), false).await {
        Err(LeaseError::Held(held)) => assert_eq!(*held, lease),
        other => panic!("{other:?}"),
    }
    assert_eq!(bob.lease(service()).await.unwrap(), Some(lease));
}

#[tokio::test]
async fn a_lease_runs_out_by_the_observers_own_clock_since_it_last_changed() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    let lease = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    // Long before bob looks for the first time: what he has not watched has not run out for him.
    place.advance(LEASE_TTL * 10);
    assert!(bob.lease(service()).await.unwrap().unwrap().live);
    for _ in 0..6 {
        place.advance(LEASE_RENEW);
        ann.renew(&lease, place.now()).await.unwrap();
        assert!(bob.lease(service()).await.unwrap().unwrap().live);
    }
    place.advance(LEASE_TTL);
    assert!(matches!(bob.acquire(service(), run(), place.now(), false).await, Err(LeaseError::Held(_))));
    place.advance(TICK);
    assert!(!bob.lease(service()).await.unwrap().unwrap().live);
    assert_eq!(bob.acquire(service(), run(), place.now(), false).await.unwrap().epoch, Epoch(2));
    assert_eq!(ann.renew(&lease, place.now()).await, Err(LeaseError::Lost { current: Epoch(2) }));
}

#[tokio::test]
async fn times_in_the_record_do_not_make_it_run_out() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    ann.acquire(service(), run(), place.now(), false).await.unwrap();
    place.raw().execute("UPDATE seats SET since = '2001-01-01T00:00:00Z', renewed = '2001-01-01T00:00:00Z'", []).unwrap();
    assert!(matches!(bob.acquire(service(), run(), place.now(), false).await, Err(LeaseError::Held(_))));
}

#[tokio::test]
async fn a_dead_holder_frees_the_seat_at_once() {
    let place = Place::new();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let dying = sqlite::open(sqlite::Settings { pid: child.id(), ..place.settings("a") }).unwrap();
    dying.acquire(service(), run(), place.now(), false).await.unwrap();
    let heir = place.open("b");
    assert!(matches!(heir.acquire(service(), run(), place.now(), false).await, Err(LeaseError::Held(_))));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!heir.lease(service()).await.unwrap().unwrap().live);
    assert_eq!(heir.acquire(service(), run(), place.now(), false).await.unwrap().epoch, Epoch(2));
}

#[tokio::test]
async fn a_holder_on_another_machine_is_not_taken_for_dead() {
    let place = Place::new();
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let far = sqlite::open(sqlite::Settings { pid, host: "elsewhere".into(), ..place.settings("a") }).unwrap();
    far.acquire(service(), run(), place.now(), false).await.unwrap();
    assert!(place.open("b").lease(service()).await.unwrap().unwrap().live);
}

#[tokio::test]
async fn a_take_over_fences_the_old_driver_in_everything_it_does() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    let old = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    ann.append(place.request(&ann, 0, Some(old.epoch), vec![started(&service())])).await.unwrap();
    let new = bob.acquire(service(), run(), place.now(), true).await.unwrap();
    let lost = LeaseError::Lost { current: new.epoch };
    assert_eq!(ann.renew(&old, place.now()).await, Err(lost.clone()));
    assert_eq!(ann.release(&old).await, Err(lost));
    let late = ann.append(place.request(&ann, 1, Some(old.epoch), vec![draft("action.intent", json!({}))])).await;
    assert_eq!(late, Err(AppendError::Fenced { current: new.epoch }));
    assert_eq!(bob.lease(service()).await.unwrap(), Some(new.clone()));
    bob.renew(&new, place.now()).await.unwrap();
}

#[tokio::test]
async fn nobody_renews_or_gives_up_the_seat_of_another() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    let lease = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    let seen = bob.lease(service()).await.unwrap().unwrap();
    assert_eq!(bob.release(&seen).await, Err(LeaseError::Lost { current: Epoch(1) }));
    assert_eq!(bob.renew(&seen, place.now()).await, Err(LeaseError::Lost { current: Epoch(1) }));
    ann.renew(&lease, place.now()).await.unwrap();
}

#[tokio::test]
async fn a_second_acquisition_by_the_holder_moves_its_own_fence() {
    let place = Place::new();
    let ann = place.open("a");
    let first = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    let second = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    assert_eq!((first.epoch, second.epoch), (Epoch(1), Epoch(2)));
    assert_eq!(ann.renew(&first, place.now()).await, Err(LeaseError::Lost { current: Epoch(2) }));
}

#[tokio::test]
async fn the_epoch_outlives_release_runs_and_processes() {
    let place = Place::new();
    let ann = place.open("a");
    let lease = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    ann.release(&lease).await.unwrap();
    assert_eq!(ann.renew(&lease, place.now()).await, Err(LeaseError::Lost { current: Epoch(1) }));
    drop(ann);
    let bob = place.open("b");
    let seen = bob.lease(service()).await.unwrap().unwrap();
    assert_eq!((seen.epoch, seen.live), (Epoch(1), false));
    let next = bob.acquire(service(), RunId::from("checkout-20260315-1"), place.now(), false).await.unwrap();
    assert_eq!(next.epoch, Epoch(2));
    // The epoch of an entry is that of its service, also where nobody drives any more.
    bob.release(&next).await.unwrap();
    assert_eq!(place.append(&bob, 0, vec![started(&service()), note("x")]).await.unwrap()[1].epoch, Epoch(2));
}

#[tokio::test]
async fn of_two_that_reach_for_a_free_seat_one_gets_it() {
    let place = Place::new();
    let (ann, bob) = (place.open("a"), place.open("b"));
    for epoch in 1..20 {
        let (a, b) = tokio::join!(ann.acquire(service(), run(), place.now(), false), bob.acquire(service(), run(), place.now(), false));
        let (winner, lease) = match (a, b) {
            (Ok(lease), Err(LeaseError::Held(_))) => (&ann, lease),
            (Err(LeaseError::Held(_)), Ok(lease)) => (&bob, lease),
            other => panic!("{other:?}"),
        };
        assert_eq!(lease.epoch, Epoch(epoch));
        winner.release(&lease).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_drove_a_service_that_has_no_seat() {
    let place = Place::new();
    let ann = place.open("a");
    assert_eq!(ann.lease(service()).await, Ok(None));
    let lease = ann.acquire(service(), run(), place.now(), false).await.unwrap();
    let other = gonogo::domain::ServiceKey { platform: "prod-us".into(), ..service() };
    assert_eq!(ann.lease(other.clone()).await, Ok(None));
    let forged = gonogo::port::Lease { service: other, ..lease };
    assert_eq!(ann.renew(&forged, place.now()).await, Err(LeaseError::Lost { current: Epoch(0) }));
}
