//! The shared journal: compare-and-append under an epoch, and the driver's seat, as `port::journal` asks for.

use gonogo::domain::record::{Actor, Draft, Entry, EntryTime, GENESIS};
use gonogo::domain::{Epoch, RunId, Stamp};

pub(crate) const RUN: &str = "checkout-20260314-1";

/// The seat as recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seat {
    /// Unique to a process.
    pub(crate) session: String,
    pub(crate) epoch: Epoch,
    pub(crate) held: bool,
    /// Counts every change of this record; observers tell by it whether the holder lives.
    pub(crate) change: u64,
}

pub(crate) enum Refused {
    Moved(Vec<Entry>),
    Fenced(Epoch),
    Store(String),
}

pub(crate) struct Store {
    pub(crate) entries: Vec<Entry>,
    pub(crate) seat: Seat,
    /// Cannot be written now, and why.
    pub(crate) outage: Option<&'static str>,
    /// The store's clock in milliseconds.
    pub(crate) now: u64,
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor { id: name.into(), strength: "asserted".into(), client: format!("{name}@{name}-laptop") }
}

pub(crate) fn wall(ms: u64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(1_773_457_200_000 + i64::try_from(ms).unwrap_or_default()).expect("a time")
}

impl Store {
    pub(crate) fn new() -> Self {
        let seat = Seat { session: String::new(), epoch: Epoch(0), held: false, change: 0 };
        Self { entries: vec![], seat, outage: None, now: 0 }
    }

    pub(crate) fn append(
        &mut self,
        by: &str,
        at: Stamp,
        after: u64,
        epoch: Option<Epoch>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Entry>, Refused> {
        if let Some(why) = self.outage {
            return Err(Refused::Store(why.into()));
        }
        if epoch.is_some_and(|e| e != self.seat.epoch) {
            return Err(Refused::Fenced(self.seat.epoch));
        }
        if after != self.entries.len() as u64 {
            return Err(Refused::Moved(self.read(after)));
        }
        for draft in drafts {
            self.chain(by, at, draft);
        }
        Ok(self.read(after))
    }

    fn chain(&mut self, by: &str, at: Stamp, draft: Draft) {
        let seq = self.entries.len() as u64 + 1;
        self.entries.push(Entry {
            run: RunId::from(RUN),
            seq,
            epoch: self.seat.epoch,
            prev: self.entries.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
            time: EntryTime {
                wall: at.wall,
                boot: u64::try_from(at.boot.as_millis()).unwrap_or_default(),
                boot_id: format!("{by}-boot"),
                store: wall(self.now),
            },
            actor: actor(by),
            kind: draft.kind,
            step: draft.step,
            body: draft.body,
            // Folding follows the links; what a hash has to be is tested where hashes are made.
            hash: format!("hash of {seq}"),
        });
    }

    pub(crate) fn read(&self, after: u64) -> Vec<Entry> {
        self.entries.get(usize::try_from(after).unwrap_or(usize::MAX)..).unwrap_or_default().to_vec()
    }

    /// Takes the seat under the next epoch. Whether the holder may be passed over is for who asks to say.
    pub(crate) fn acquire(&mut self, session: &str) -> Result<Epoch, String> {
        if let Some(why) = self.outage {
            return Err(why.into());
        }
        let epoch = self.seat.epoch.next();
        self.seat = Seat { session: session.into(), epoch, held: true, change: self.seat.change + 1 };
        Ok(epoch)
    }

    /// Keeps the seat, or gives it up. The epoch that is current where it is lost.
    pub(crate) fn touch(&mut self, session: &str, epoch: Epoch, held: bool) -> Result<(), Result<Epoch, String>> {
        if let Some(why) = self.outage {
            return Err(Err(why.into()));
        }
        if !self.seat.held || self.seat.session != session || self.seat.epoch != epoch {
            return Err(Ok(self.seat.epoch));
        }
        self.seat.held = held;
        self.seat.change += 1;
        Ok(())
    }
}
