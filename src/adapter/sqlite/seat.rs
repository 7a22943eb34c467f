//! The driver's seat: one for each platform and service, with an epoch that only grows.

use super::column::{count, int, time, time_text};
use super::fault::FULL;
use super::process::Process;
use super::store::Store;
use crate::domain::record::Actor;
use crate::domain::{Epoch, RunId, ServiceKey, Stamp};
use crate::port::journal::LEASE_TTL;
use crate::port::{JournalError, Lease, LeaseError};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, named_params};
use std::collections::HashMap;
use std::time::Duration;

/// A seat as it is recorded.
pub(super) struct Seat {
    lease: Lease,
    held: bool,
    change: u64,
    process: Process,
}

/// When a record was first seen as it stands, on the observer's own boot clock.
struct Sighting {
    change: u64,
    boot: Duration,
}

/// An observer of seats. Whether a lease has run out is told by his own clock since he saw the record change; the times in
/// the record are the holder's and may be wrong.
pub(super) struct Watch {
    here: Process,
    sightings: HashMap<ServiceKey, Sighting>,
}

impl Watch {
    pub(super) fn new(here: Process) -> Self {
        Self { here, sightings: HashMap::new() }
    }

    fn sees_live(&mut self, seat: &Seat, boot: Duration) -> bool {
        if !seat.held {
            return false;
        }
        let fresh = Sighting { change: seat.change, boot };
        let sighting = self.sightings.entry(seat.lease.service.clone()).or_insert(fresh);
        if sighting.change != seat.change {
            *sighting = Sighting { change: seat.change, boot };
        }
        boot.saturating_sub(sighting.boot) <= LEASE_TTL && !self.here.sees_dead(&seat.process)
    }

    fn note(&mut self, service: &ServiceKey, change: u64, boot: Duration) {
        self.sightings.insert(service.clone(), Sighting { change, boot });
    }
}

fn seat_of(connection: &Connection, service: &ServiceKey) -> rusqlite::Result<Option<Seat>> {
    connection
        .prepare_cached("SELECT * FROM seats WHERE platform = ?1 AND service = ?2")?
        .query_row([&service.platform, &service.service], |row| {
            let since: String = row.get("since")?;
            Ok(Seat {
                lease: Lease {
                    service: service.clone(),
                    run: RunId(row.get("run")?),
                    holder: Actor { id: row.get("holder_id")?, strength: row.get("holder_strength")?, client: row.get("holder_client")? },
                    session: row.get("session")?,
                    epoch: Epoch(count(row, "epoch")?),
                    // Only shown, so an unreadable one is no reason to refuse the seat.
                    since: time(&since).unwrap_or_default(),
                    live: false,
                },
                held: row.get("held")?,
                change: count(row, "change")?,
                process: Process::of_row(row)?,
            })
        })
        .optional()
}

/// The service's current epoch; 0 before anybody drove it.
pub(super) fn epoch_of(connection: &Connection, service: &ServiceKey) -> rusqlite::Result<Epoch> {
    Ok(seat_of(connection, service)?.map_or(Epoch(0), |seat| seat.lease.epoch))
}

impl Store {
    /// Takes the seat with the next epoch, if it is free, ours already, or taken over on purpose.
    pub(super) fn acquire(
        &mut self,
        service: ServiceKey,
        run: RunId,
        stamp: Stamp,
        take_over: bool,
        floor: Epoch,
    ) -> Result<Lease, LeaseError> {
        self.make_ready()?;
        let since = time_text(stamp.wall).ok_or_else(|| LeaseError::Store("the clock stands outside the years 0 to 9999".to_owned()))?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seat = seat_of(&transaction, &service)?;
        if let Some(seat) = &seat
            && seat.lease.session != self.session
            && !take_over
            && self.watch.sees_live(seat, stamp.boot)
        {
            return Err(LeaseError::Held(Box::new(Lease { live: true, ..seat.lease.clone() })));
        }
        let (last, change) = seat.as_ref().map_or((Epoch(0), 0), |seat| (seat.lease.epoch, seat.change));
        let lease = Lease {
            service,
            run,
            holder: self.actor.clone(),
            session: self.session.clone(),
            epoch: last.next().max(floor),
            since: stamp.wall,
            live: true,
        };
        write(&transaction, &lease, &since, change + 1, &self.watch.here, seat.is_none())?;
        fail::fail_point!("seat::before_commit");
        transaction.commit()?;
        fail::fail_point!("seat::after_commit");
        self.watch.note(&lease.service, change + 1, stamp.boot);
        Ok(lease)
    }

    /// Shows that the holder is still there.
    pub(super) fn renew(&mut self, lease: &Lease, stamp: Stamp) -> Result<(), LeaseError> {
        self.make_ready()?;
        let renewed = time_text(stamp.wall).unwrap_or_default();
        let change = self.touch(lease, Some(&renewed))?;
        self.watch.note(&lease.service, change, stamp.boot);
        Ok(())
    }

    /// Frees the seat; its epoch stays.
    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), LeaseError> {
        self.make_ready()?;
        self.touch(lease, None).map(|_| ())
    }

    /// The seat as recorded, and whether it is held now.
    pub(super) fn lease(&mut self, service: &ServiceKey) -> Result<Option<Lease>, JournalError> {
        let seat = seat_of(&self.connection, service)?;
        let boot = self.clock.now().boot;
        Ok(seat.map(|seat| {
            let live = self.watch.sees_live(&seat, boot);
            Lease { live, ..seat.lease }
        }))
    }

    fn make_ready(&mut self) -> Result<(), LeaseError> {
        self.end_rehearsal()?;
        if self.disk_is_full() { Err(LeaseError::Store(FULL.to_owned())) } else { Ok(()) }
    }

    /// Renews (with a time) or releases (without) a seat that must still be this lease's. Gives the new change count.
    fn touch(&mut self, lease: &Lease, renewed: Option<&str>) -> Result<u64, LeaseError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(seat) = seat_of(&transaction, &lease.service)? else { return Err(LeaseError::Lost { current: Epoch(0) }) };
        // Anybody can read a lease; only its holder may keep it or give it up.
        if !seat.held || seat.lease.session != self.session || seat.lease.epoch != lease.epoch {
            return Err(LeaseError::Lost { current: seat.lease.epoch });
        }
        let change = seat.change + 1;
        transaction
            .prepare_cached(
                "UPDATE seats SET held = ?3, change = ?4, renewed = COALESCE(?5, renewed) WHERE platform = ?1 AND service = ?2",
            )?
            .execute(rusqlite::params![lease.service.platform, lease.service.service, renewed.is_some(), int(change), renewed])?;
        fail::fail_point!("seat::before_commit");
        transaction.commit()?;
        fail::fail_point!("seat::after_commit");
        Ok(change)
    }
}

fn write(transaction: &Transaction<'_>, lease: &Lease, since: &str, change: u64, here: &Process, new: bool) -> rusqlite::Result<()> {
    let sql = if new {
        "INSERT INTO seats (platform, service, run, epoch, held, change, holder_id, holder_strength, holder_client, session,
                            host, pid, machine_boot, pid_space, pid_start, since, renewed)
         VALUES (:platform, :service, :run, :epoch, 1, :change, :id, :strength, :client, :session,
                 :host, :pid, :boot, :space, :start, :since, :since)"
    } else {
        "UPDATE seats SET run = :run, epoch = :epoch, held = 1, change = :change, holder_id = :id, holder_strength = :strength,
                holder_client = :client, session = :session, host = :host, pid = :pid, machine_boot = :boot, pid_space = :space,
                pid_start = :start, since = :since, renewed = :since
         WHERE platform = :platform AND service = :service"
    };
    transaction.prepare_cached(sql)?.execute(named_params! {
        ":platform": lease.service.platform,
        ":service": lease.service.service,
        ":run": lease.run.as_str(),
        ":epoch": int(lease.epoch.0),
        ":change": int(change),
        ":id": lease.holder.id,
        ":strength": lease.holder.strength,
        ":client": lease.holder.client,
        ":session": lease.session,
        ":host": here.host,
        ":pid": here.pid,
        ":boot": here.boot,
        ":space": here.space,
        ":start": here.start.map(int),
        ":since": since,
    })?;
    Ok(())
}
