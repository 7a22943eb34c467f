//! The one owner of the model: stamps messages, runs the update, hands effects out.

use super::clock::SystemClock;
use super::executor::{Counted, Executor};
use super::journal::{Keeper, SeatProof};
use super::logs::LogDesk;
use super::mailbox::Mailbox;
use crate::app::targets::Target;
use crate::app::{self, Deadlines, Effect, Envelope, Model, Msg, Options};
use crate::domain::{Clock, ServiceSpec, Stamp};
use crate::port::{Alerts, Journal, Logs, Metrics, Platform, Signatures};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the core is connected to.
#[derive(Clone)]
pub struct Ports {
    /// Name of the cockpit's own service.
    pub service: String,
    /// The platform.
    pub platform: Arc<dyn Platform>,
    /// The platforms of other services that are shown beside it, each scoped to its service.
    pub targets: Vec<(ServiceSpec, Arc<dyn Platform>)>,
    /// The metrics backend.
    pub metrics: Arc<dyn Metrics>,
    /// The alerts source, where the service has one.
    pub alerts: Option<Arc<dyn Alerts>>,
    /// The record.
    pub journal: Arc<dyn Journal>,
    /// What instances write, where the platform tells.
    pub logs: Option<Arc<dyn Logs>>,
    /// Where exports are written.
    pub exports: Option<std::path::PathBuf>,
    /// Signs what the operator decides, and tells who signed.
    pub signatures: Option<Arc<dyn Signatures>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Without acts nothing is ever sent: read-only and spectator cockpits are wired so.
    pub acts: bool,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("acts", &self.acts).finish_non_exhaustive()
    }
}

/// Messages that wait for the core; results are never dropped, their senders wait.
const QUEUE: usize = 1024;

/// The core with its tasks.
pub struct Core {
    /// Everything that is shown.
    pub model: Model,
    clock: Arc<dyn Clock>,
    /// Keys and prompts count on this machine's own time, whatever the clock is.
    machine: SystemClock,
    seq: u64,
    executor: Executor,
    mailbox: Arc<Mailbox>,
    /// One for each other service: a flood from one does not delay what another tells.
    others: Vec<(String, Arc<Mailbox>)>,
    inbox: mpsc::Receiver<Msg>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// Ready with the place of a mailbox in which something waits; never, where there is none.
async fn filled(others: &[(String, Arc<Mailbox>)]) -> usize {
    if others.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(others.iter().map(|(_, mailbox)| Box::pin(mailbox.filled()))).await.1
}

impl Core {
    /// Connects: starts the watch and the keeper of the journal.
    #[must_use]
    pub fn start(ports: &Ports, spec: ServiceSpec, options: Options) -> Self {
        let (out, inbox) = mpsc::channel(QUEUE);
        let (journal_in, asks) = mpsc::channel::<Counted>(QUEUE);
        let proof = Arc::new(SeatProof::default());
        let mut tasks = JoinSet::new();
        let keeper = Keeper::new(ports.journal.clone(), ports.clock.clone(), spec.key(), out.clone(), proof.clone());
        tasks.spawn(keeper.serve(asks));
        let mailbox = Arc::new(Mailbox::default());
        let (letters, mut updates) = (mailbox.clone(), ports.platform.watch());
        tasks.spawn(async move {
            while let Some(update) = updates.next().await {
                letters.put(update);
            }
        });
        let mut others = Vec::new();
        for (spec, platform) in &ports.targets {
            let mailbox = Arc::new(Mailbox::default());
            let (letters, mut updates) = (mailbox.clone(), platform.watch());
            tasks.spawn(async move {
                while let Some(update) = updates.next().await {
                    letters.put(update);
                }
            });
            others.push((spec.name.clone(), mailbox));
        }
        let desk = LogDesk::new(ports.logs.clone(), out.clone());
        let executor = Executor::new(ports.clone(), out, journal_in, proof, desk);
        let mut model = Model::new(spec, options, ports.clock.now());
        model.targets = ports.targets.iter().map(|(spec, _)| Target::new(spec.clone())).collect();
        let (clock, machine) = (ports.clock.clone(), SystemClock::new());
        let mut core = Self { model, clock, machine, seq: 0, executor, mailbox, others, inbox, tasks };
        core.dispatch(Msg::Started);
        core
    }

    /// History is flown now: nobody looks at charts.
    pub fn begin_history(&mut self) {
        self.model.charts = false;
    }

    /// Somebody looks at a screen: patterns of the logs are worth their streams.
    pub(super) fn look_at_logs(&mut self) {
        self.model.logs.watched = true;
    }

    /// The screen begins here: what was said while history was flown is no news, and charts are asked for at once.
    pub fn forget_history(&mut self) {
        let now = self.clock.now().boot;
        self.model.messages.clear();
        self.model.act = None;
        self.model.last_key = now;
        self.model.charts = true;
        for panel in self.model.panels.values_mut() {
            panel.due = now;
        }
    }

    /// Now. Wall and boot time may be simulated; `mono` is always this machine's.
    #[must_use]
    pub fn now(&self) -> Stamp {
        Stamp { mono: self.machine.now().mono, ..self.clock.now() }
    }

    /// How long to really wait for a moment of the boot clock.
    #[must_use]
    pub fn real_wait(&self, boot: Duration) -> Duration {
        self.clock.real_wait(boot)
    }

    /// One message, stamped now. Effects of the terminal come back; all others are under way.
    pub fn dispatch(&mut self, msg: Msg) -> Vec<Effect> {
        let stamp = self.now();
        self.dispatch_at(stamp, msg)
    }

    /// One message with the stamp under which it happened: keys are stamped when they are read.
    pub fn dispatch_at(&mut self, stamp: Stamp, msg: Msg) -> Vec<Effect> {
        self.seq += 1;
        let envelope = Envelope { seq: self.seq, stamp, msg };
        let effects = app::update(&mut self.model, &envelope);
        effects.into_iter().filter_map(|effect| self.executor.run(effect)).collect()
    }

    /// When the core wants a tick.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        app::deadlines(&self.model)
    }

    /// The next message from outside: answers first, then what the platform told.
    pub async fn next(&mut self) -> Msg {
        tokio::select! {
            biased;
            Some(msg) = self.inbox.recv() => msg,
            () = self.mailbox.filled() => Msg::Platform(self.mailbox.take()),
            place = filled(&self.others) => {
                let (target, mailbox) = &self.others[place];
                Msg::TargetPlatform { target: target.clone(), updates: mailbox.take() }
            }
        }
    }

    /// The next message, if one is there already.
    pub fn try_next(&mut self) -> Option<Msg> {
        if let Ok(msg) = self.inbox.try_recv() {
            return Some(msg);
        }
        let updates = self.mailbox.take();
        if !updates.is_empty() {
            return Some(Msg::Platform(updates));
        }
        self.others.iter().find_map(|(target, mailbox)| {
            let updates = mailbox.take();
            (!updates.is_empty()).then(|| Msg::TargetPlatform { target: target.clone(), updates })
        })
    }

    /// Ready when a request was answered or the seat was proved after this call.
    pub(super) fn stirred(&self) -> impl Future<Output = ()> + use<> {
        let (mut requests, mut proofs) = self.executor.changes();
        async move {
            tokio::select! {
                _ = requests.changed() => {}
                _ = proofs.changed() => {}
            }
        }
    }

    /// Whether simulated time may move on: everything asked for was answered, no heartbeat of the platform is due, and no
    /// renewal of the driver's seat. What does not answer at all is not waited for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let now = self.clock.now().wall;
        let health = &self.model.platform;
        let current = health.failures > 0 || health.newest.is_some_and(|at| crate::domain::time::age(now, at) < health.interval);
        current && self.executor.outstanding() == 0 && !self.executor.seat_is_due()
    }

    /// Gives the seat up, waits for what is under way to the platform, and stops all tasks.
    pub async fn stop(mut self) {
        self.executor.leave().await;
        self.tasks.shutdown().await;
    }
}
