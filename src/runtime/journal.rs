//! One task for everything that concerns the journal, so that its messages reach the core in the journal's order.

use super::executor::Counted;
use crate::app::Msg;
use crate::app::card::TELLING;
use crate::domain::record::{Draft, Entry};
use crate::domain::{Clock, Epoch, RunId, ServiceKey, Ticket};
use crate::port::journal::RunHead;
use crate::port::journal::{LEASE_RENEW, LEASE_SELF_FENCE};
use crate::port::{Append, AppendError, Journal, Lease, LeaseError};
use crate::runbook::io::AppendRefusal;
use crate::runbook::record::Event;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often others' entries are looked for.
const LOOK: Duration = Duration::from_millis(500);

/// What the core asks of the journal.
#[derive(Debug)]
pub(super) enum Ask {
    Append { ticket: Ticket, run: RunId, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft> },
    AdvanceEpoch { ticket: Ticket, run: RunId },
    Start { first: Draft },
    Take { run: RunId, take_over: bool },
    Leave { done: tokio::sync::oneshot::Sender<()> },
}

/// When the seat was last known to be ours, on the boot clock. Shared with whoever sends.
#[derive(Debug)]
pub(super) struct SeatProof(watch::Sender<Option<Duration>>);

impl Default for SeatProof {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl SeatProof {
    fn set(&self, at: Option<Duration>) {
        self.0.send_replace(at);
    }

    fn at(&self) -> Option<Duration> {
        *self.0.borrow()
    }

    /// Changes with every proof.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Duration>> {
        self.0.subscribe()
    }

    /// Whether there is a seat that is due to be renewed.
    pub(super) fn is_due(&self, boot: Duration) -> bool {
        self.at().is_some_and(|at| boot.saturating_sub(at) >= LEASE_RENEW)
    }

    /// Whether the seat may still be relied on at `boot`: the driver fences itself before others may.
    pub(super) fn holds(&self, boot: Duration) -> bool {
        self.at().is_some_and(|at| boot.saturating_sub(at) < LEASE_SELF_FENCE)
    }
}

/// Whether nothing follows in its run after this entry.
fn ends(entry: &Entry) -> bool {
    matches!(entry.kind.as_str(), "run.completed" | "run.rolled_back" | "run.aborted")
}

pub(super) struct Keeper {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) service: ServiceKey,
    pub(super) out: mpsc::Sender<Msg>,
    pub(super) proof: Arc<SeatProof>,
    /// The run on screen and the last entry the core was told of.
    run: Option<(RunId, u64)>,
    /// That run has ended: another one may begin elsewhere.
    finished: bool,
    /// The seats of the run: its own service's first, then those of the services that are released with it.
    leases: Vec<Lease>,
    attended: bool,
}

impl Keeper {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        service: ServiceKey,
        out: mpsc::Sender<Msg>,
        proof: Arc<SeatProof>,
    ) -> Self {
        Self { journal, clock, service, out, proof, run: None, finished: false, leases: vec![], attended: false }
    }

    /// Serves until the core is gone.
    pub(super) async fn serve(mut self, mut asks: mpsc::Receiver<Counted>) {
        self.find_run().await;
        self.learn().await;
        self.tell(Msg::JournalRead).await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let moved = self.clock.moved();
            let renew_in = self.renew_in();
            tokio::select! {
                biased;
                asked = asks.recv() => match asked {
                    Some(Counted { ask, count }) => {
                        self.serve_one(ask).await;
                        drop(count);
                    }
                    None => return,
                },
                () = tokio::time::sleep(renew_in.unwrap_or(Duration::MAX)), if renew_in.is_some() => self.renew().await,
                () = moved, if renew_in.is_some() => self.renew().await,
                _ = look.tick() => self.look().await,
            }
        }
    }

    async fn tell(&self, msg: Msg) {
        // The receiver is gone only at the end of the program.
        let _ = self.out.send(msg).await;
    }

    /// The unfinished run of this service, if there is one.
    async fn find_run(&mut self) {
        match self.journal.runs(Some(self.service.clone())).await {
            Ok(runs) => {
                if let Some(head) = runs.iter().find(|r| !r.finished()) {
                    self.follow(head.run.clone()).await;
                }
            }
            Err(e) => self.tell(Msg::RunRefused { run: None, why: e.to_string() }).await,
        }
    }

    /// How earlier releases of the service went: a few of the newest are enough.
    async fn learn(&self) {
        const NEWEST: usize = 10;
        let mut earlier = Vec::new();
        let Ok(mut runs) = self.journal.runs(Some(self.service.clone())).await else { return };
        runs.sort_by_key(|head| std::cmp::Reverse(head.last));
        for head in runs.into_iter().filter(RunHead::finished).take(NEWEST) {
            match self.journal.read(head.run.clone(), 0).await {
                Ok(entries) => earlier.push(entries.into_iter().filter(|e| TELLING.contains(&e.kind.as_str())).collect()),
                Err(e) => tracing::warn!(%e, run = %head.run, "an earlier run cannot be read"),
            }
        }
        self.tell(Msg::Learnt { runs: earlier }).await;
    }

    async fn follow(&mut self, run: RunId) {
        match self.journal.read(run.clone(), 0).await {
            Ok(entries) => {
                self.shows(run.clone(), &entries);
                self.attended = self.somebody_drives().await;
                self.tell(Msg::RunFollowed { entries, attended: self.attended }).await;
            }
            Err(e) => self.tell(Msg::RunRefused { run: Some(run), why: e.to_string() }).await,
        }
    }

    async fn somebody_drives(&self) -> bool {
        matches!(self.journal.lease(self.service.clone()).await, Ok(Some(lease)) if lease.live)
    }

    async fn serve_one(&mut self, ask: Ask) {
        match ask {
            Ask::Append { ticket, run, after, epoch, drafts } => self.append(ticket, run, after, epoch, drafts).await,
            Ask::AdvanceEpoch { ticket, run } => self.advance_for(ticket, run).await,
            Ask::Start { first } => self.start(first).await,
            Ask::Take { run, take_over } => self.take(run, take_over).await,
            Ask::Leave { done } => {
                self.release().await;
                let _ = done.send(());
            }
        }
    }

    async fn append(&mut self, ticket: Ticket, run: RunId, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft>) {
        let request = Append { run: run.clone(), after, epoch, actor: self.journal.whoami(), stamp: self.clock.now(), drafts };
        let msg = match self.journal.append(request).await {
            Ok(entries) => {
                self.told(&run, &entries);
                Msg::Appended { ticket, entries }
            }
            Err(AppendError::Moved { .. }) => match self.journal.read(run.clone(), after).await {
                Ok(entries) => {
                    self.told(&run, &entries);
                    Msg::AppendRefused { ticket, why: AppendRefusal::Moved { entries } }
                }
                Err(e) => Msg::AppendRefused { ticket, why: AppendRefusal::Store { why: e.to_string() } },
            },
            Err(AppendError::Fenced { current }) => {
                self.lost();
                Msg::AppendRefused { ticket, why: AppendRefusal::Fenced { current } }
            }
            Err(e @ (AppendError::Full(_) | AppendError::Store(_))) => {
                Msg::AppendRefused { ticket, why: AppendRefusal::Store { why: e.to_string() } }
            }
        };
        self.tell(msg).await;
    }

    /// This run is on screen now, with all of its entries.
    fn shows(&mut self, run: RunId, entries: &[Entry]) {
        self.run = Some((run, entries.last().map_or(0, |e| e.seq)));
        self.finished = entries.iter().any(ends);
    }

    fn told(&mut self, run: &RunId, entries: &[Entry]) {
        if let Some((shown, head)) = &mut self.run
            && shown == run
        {
            *head = entries.last().map_or(*head, |e| e.seq.max(*head));
            self.finished |= entries.iter().any(ends);
        }
    }

    fn lost(&mut self) {
        self.leases.clear();
        self.proof.set(None);
    }

    async fn release(&mut self) {
        self.proof.set(None);
        for lease in std::mem::take(&mut self.leases) {
            if let Err(e) = self.journal.release(&lease).await {
                tracing::warn!(%e, "the seat could not be released; it runs out by itself");
            }
        }
    }

    async fn start(&mut self, first: Draft) {
        let msg = match self.start_inner(first).await {
            Ok(msg) => msg,
            Err(why) => {
                self.lost();
                Msg::RunRefused { run: None, why }
            }
        };
        self.tell(msg).await;
    }

    /// A free id, the seat, and the first two entries.
    async fn start_inner(&mut self, first: Draft) -> Result<Msg, String> {
        let stamp = self.clock.now();
        let unfinished = self.journal.runs(Some(self.service.clone())).await.map_err(|e| e.to_string())?;
        if let Some(open) = unfinished.iter().find(|r| !r.finished()) {
            return Err(format!("run {} of {} is not finished: gonogo resume {} continues it", open.run, self.service, open.run));
        }
        let run = self.journal.new_run_id(self.service.clone(), stamp.wall).await.map_err(|e| e.to_string())?;
        // No run of this service is under way: a seat that is still held belongs to one that has ended.
        let epoch = self.acquire(run.clone(), true, &with(&first.body)).await?;
        let taken = Event::LeaseAcquired { epoch, taken_from: None }.draft();
        let request = Append {
            run: run.clone(),
            after: 0,
            epoch: Some(epoch),
            actor: self.journal.whoami(),
            stamp: self.clock.now(),
            drafts: vec![first, taken],
        };
        let entries = self.journal.append(request).await.map_err(|e| e.to_string())?;
        self.shows(run, &entries);
        Ok(Msg::RunOpened { entries, epoch, boot_id: self.clock.boot_id(), resumed: false })
    }

    /// Takes the seats of the run's own service and of those that are released with it, all under one epoch: what fences one fences
    /// all. All of them or none. The run's own may be taken over on purpose; another service that somebody drives is left to them.
    async fn acquire(&mut self, run: RunId, take_over: bool, others: &[ServiceKey]) -> Result<Epoch, String> {
        let stamp = self.clock.now();
        let mut floor = Epoch(0);
        for service in others {
            let last = self.journal.lease(service.clone()).await.map_err(|e| e.to_string())?.map_or(Epoch(0), |lease| lease.epoch);
            floor = floor.max(last.next());
        }
        let mut taken: Vec<Lease> = vec![];
        for service in std::iter::once(&self.service).chain(others) {
            let own = taken.is_empty();
            let floor = taken.first().map_or(floor, |first| first.epoch);
            let acquired = self.journal.acquire_above(service.clone(), run.clone(), stamp, take_over && own, floor).await;
            let why = match acquired {
                Ok(lease) if own || lease.epoch == floor => {
                    taken.push(lease);
                    continue;
                }
                Ok(lease) => {
                    taken.push(lease);
                    format!("the seat of {service} moved while it was taken: try again")
                }
                Err(e @ LeaseError::Held(_)) if own => {
                    format!("{e}: --take-over REASON takes the seat, gonogo hold and backout work without")
                }
                Err(e @ LeaseError::Held(_)) => format!("{e}: its release has to end before it can be released together with another"),
                Err(e) => e.to_string(),
            };
            self.leases = taken;
            self.release().await;
            return Err(why);
        }
        let epoch = taken.first().map_or(floor, |first| first.epoch);
        self.leases = taken;
        self.proof.set(Some(stamp.boot));
        Ok(epoch)
    }

    pub(super) async fn advance_for(&mut self, ticket: Ticket, run: RunId) {
        let result = self.advance(run).await;
        self.tell(Msg::EpochAdvanced { ticket, result }).await;
    }

    /// A new epoch for the seat that is ours: who lost it in the meantime does not get it back by this, least of all from somebody who
    /// took it on purpose.
    async fn advance(&mut self, run: RunId) -> Result<Epoch, String> {
        if self.leases.is_empty() {
            return Err("the driver's seat is not ours any more".into());
        }
        for lease in &self.leases {
            self.journal.renew(lease, self.clock.now()).await.map_err(|e| e.to_string())?;
        }
        let others: Vec<ServiceKey> = self.leases.iter().skip(1).map(|lease| lease.service.clone()).collect();
        let (leases, proven) = (self.leases.clone(), self.proof.at());
        let result = self.acquire(run, false, &others).await;
        if result.is_err() {
            // A store that failed took nothing away: the next renewal tells whether the seat is still ours.
            self.leases = leases;
            self.proof.set(proven);
        }
        result
    }

    pub(super) async fn take(&mut self, run: RunId, take_over: bool) {
        let msg = match self.take_inner(run.clone(), take_over).await {
            Ok(msg) => msg,
            Err(why) => {
                // A seat that nobody drives from is not kept: it would look as if somebody did.
                self.release().await;
                Msg::RunRefused { run: Some(run), why }
            }
        };
        self.tell(msg).await;
    }

    async fn take_inner(&mut self, run: RunId, take_over: bool) -> Result<Msg, String> {
        let before = self.journal.lease(self.service.clone()).await.map_err(|e| e.to_string())?;
        let taken_from = before.filter(|l| l.live).map(|l| l.holder.client);
        let first = self.journal.read(run.clone(), 0).await.map_err(|e| e.to_string())?;
        let others = first.first().map(|entry| with(&entry.body)).unwrap_or_default();
        let epoch = self.acquire(run.clone(), take_over, &others).await?;
        // Others may append between reading and writing; a few rounds are enough, they write seldom.
        for _ in 0..8 {
            let known = self.journal.read(run.clone(), 0).await.map_err(|e| e.to_string())?;
            let request = Append {
                run: run.clone(),
                after: known.last().map_or(0, |e| e.seq),
                epoch: Some(epoch),
                actor: self.journal.whoami(),
                stamp: self.clock.now(),
                drafts: vec![Event::LeaseAcquired { epoch, taken_from: taken_from.clone() }.draft(), Event::RunResumed { epoch }.draft()],
            };
            match self.journal.append(request).await {
                Ok(new) => {
                    let entries: Vec<Entry> = known.into_iter().chain(new).collect();
                    self.shows(run, &entries);
                    return Ok(Msg::RunOpened { entries, epoch, boot_id: self.clock.boot_id(), resumed: true });
                }
                Err(AppendError::Moved { .. }) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Err("the journal moves too fast to take the seat: try again".into())
    }

    /// Others' entries, and whether somebody drives.
    async fn look(&mut self) {
        let Some((run, head)) = self.run.clone() else { return self.find_run().await };
        let entries = match self.journal.read(run.clone(), head).await {
            Ok(entries) => entries,
            Err(e) => {
                tracing::warn!(%e, "the journal cannot be read");
                return;
            }
        };
        if entries.is_empty() && self.finished {
            return self.find_run().await;
        }
        let attended = !self.leases.is_empty() || self.somebody_drives().await;
        if entries.is_empty() && attended == self.attended {
            return;
        }
        self.attended = attended;
        self.told(&run, &entries);
        self.tell(Msg::EntriesAppended { entries, attended }).await;
    }

    fn renew_in(&self) -> Option<Duration> {
        self.leases.first()?;
        let at = self.proof.at()?;
        Some(self.clock.real_wait(at + LEASE_RENEW).max(Duration::from_millis(20)))
    }

    pub(super) async fn renew(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let stamp = self.clock.now();
        let proven = self.proof.at();
        // Simulated time may ask early.
        if proven.is_some_and(|at| stamp.boot < at + LEASE_RENEW) {
            return;
        }
        for lease in self.leases.clone() {
            match self.journal.renew(&lease, stamp).await {
                Ok(()) => {}
                Err(LeaseError::Lost { current }) => {
                    self.lost();
                    self.tell(Msg::SeatLost { current }).await;
                    return;
                }
                Err(e) => {
                    tracing::warn!(%e, "the seat could not be renewed");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    return;
                }
            }
        }
        self.proof.set(Some(stamp.boot));
    }
}

/// The services that are released together with the run's own, as its first entry pins them.
fn with(first: &serde_json::Value) -> Vec<ServiceKey> {
    let pinned = first.pointer("/runbook/target/with").cloned();
    pinned.and_then(|with| serde_json::from_value(with).ok()).unwrap_or_default()
}
