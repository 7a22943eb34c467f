//! Turns effects into calls, and answers into messages.

use super::core::Ports;
use super::journal::{Ask, SeatProof};
use super::logs::{LogDesk, export};
use super::side;
use crate::app::effect::Span;
use crate::app::msg::MetricsAnswer;
use crate::app::{Effect, Msg};
use crate::domain::{Accepted, Failure, Series, Write};
use crate::port::Platform;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Questions to the metrics backend at one time.
const QUERIES: usize = 16;

pub(super) struct Executor {
    ports: Ports,
    out: mpsc::Sender<Msg>,
    journal: mpsc::Sender<Counted>,
    proof: Arc<SeatProof>,
    queries: Arc<Semaphore>,
    outstanding: Arc<watch::Sender<usize>>,
    tasks: JoinSet<()>,
    logs: LogDesk,
}

/// A request to the journal, counted until its answer was handed over.
pub(super) struct Counted {
    pub(super) ask: Ask,
    pub(super) count: Outstanding,
}

/// Counts a request until its answer was handed over.
#[derive(Debug)]
pub(super) struct Outstanding(Arc<watch::Sender<usize>>);

impl Outstanding {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count.clone())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Executor {
    pub(super) fn new(ports: Ports, out: mpsc::Sender<Msg>, journal: mpsc::Sender<Counted>, proof: Arc<SeatProof>, logs: LogDesk) -> Self {
        Self {
            ports,
            out,
            journal,
            proof,
            queries: Arc::new(Semaphore::new(QUERIES)),
            outstanding: Arc::new(watch::Sender::new(0)),
            tasks: JoinSet::new(),
            logs,
        }
    }

    /// Changes with the number of requests that are out, and with every proof of the seat.
    pub(super) fn changes(&self) -> (watch::Receiver<usize>, watch::Receiver<Option<Duration>>) {
        (self.outstanding.subscribe(), self.proof.subscribe())
    }

    pub(super) fn outstanding(&self) -> usize {
        *self.outstanding.borrow()
    }

    /// Whether the driver's seat is due to be renewed.
    pub(super) fn seat_is_due(&self) -> bool {
        self.proof.is_due(self.ports.clock.now().boot)
    }

    /// Starts an effect; gives it back when it is the terminal's.
    pub(super) fn run(&mut self, effect: Effect) -> Option<Effect> {
        while self.tasks.try_join_next().is_some() {}
        match effect {
            Effect::Append { ticket, run, after, epoch, drafts } => self.ask(Ask::Append { ticket, run, after, epoch, drafts }),
            Effect::AdvanceEpoch { ticket, run } => self.ask(Ask::AdvanceEpoch { ticket, run }),
            Effect::StartRun { first } => self.ask(Ask::Start { first }),
            Effect::TakeSeat { run, take_over } => self.ask(Ask::Take { run, take_over }),
            Effect::Leave => self.ask(Ask::Leave { done: tokio::sync::oneshot::channel().0 }),
            Effect::Plan { ticket, target, action } => {
                let platform = platform(&self.ports, target.as_deref());
                self.spawn(async move {
                    let result = match platform {
                        Ok(platform) => platform.plan(action).await.map(Box::new),
                        Err(failure) => Err(failure),
                    };
                    Msg::Planned { ticket, result }
                });
            }
            Effect::Read { ticket, target, action } => {
                let platform = platform(&self.ports, target.as_deref());
                self.spawn(async move {
                    let result = match platform {
                        Ok(platform) => platform.read(&action).await.map(Box::new),
                        Err(failure) => Err(failure),
                    };
                    Msg::SubjectRead { ticket, result }
                });
            }
            Effect::Send { ticket, write, .. } => {
                let (ports, proof) = (self.ports.clone(), self.proof.clone());
                self.spawn(async move { Msg::Sent { ticket, result: send(&ports, &proof, *write).await } });
            }
            Effect::Query { ticket, query, span } => {
                let (metrics, queries) = (self.ports.metrics.clone(), self.queries.clone());
                self.spawn(async move {
                    let _turn = queries.acquire().await;
                    let result = match span {
                        Span::At(at) => metrics.instant(&query, Some(at)).await.map(|a| MetricsAnswer {
                            series: a.value.into_iter().map(|(labels, s)| one_slot(labels, s.at, s.value)).collect(),
                            newest: a.newest,
                            warnings: a.warnings,
                            skew: a.skew,
                        }),
                        Span::Range { start, end, step } => metrics.range(&query, start, end, step).await.map(|a| MetricsAnswer {
                            series: a.value,
                            newest: a.newest,
                            warnings: a.warnings,
                            skew: a.skew,
                        }),
                    };
                    Msg::Answered { ticket, result }
                });
            }
            Effect::ReadAlerts { ticket } => {
                let alerts = self.ports.alerts.clone();
                self.spawn(async move { Msg::AlertsRead { ticket, result: side::read(alerts).await } });
            }
            Effect::ReadRules { ticket } => {
                let metrics = self.ports.metrics.clone();
                self.spawn(async move { Msg::RulesRead { ticket, result: metrics.alert_rules().await } });
            }
            Effect::SendSide { ticket, act, stamp, .. } => {
                let (ports, proof) = (self.ports.clone(), self.proof.clone());
                self.spawn(async move { Msg::SideSent { ticket, result: side::send(&ports, &proof, act, stamp).await } });
            }
            Effect::FindSide { ticket, act, stamp } => {
                let alerts = self.ports.alerts.clone();
                self.spawn(async move { Msg::SideFound { ticket, result: side::find(alerts, act, stamp).await } });
            }
            Effect::FollowLogs { selection } => self.logs.follow(selection),
            Effect::Export { name, text } => {
                let folder = self.ports.exports.clone();
                self.spawn(async move { Msg::Exported(export(folder, name, text).await) });
            }
            // Watches tell by themselves; what is polled was made due by the core.
            Effect::Refresh => {}
            terminal @ (Effect::Bell | Effect::Copy { .. } | Effect::Redraw | Effect::Suspend | Effect::Quit { .. }) => {
                return Some(terminal);
            }
        }
        None
    }

    fn ask(&mut self, ask: Ask) {
        // In order: the queue is far longer than what one update can ask for. When it is full the journal hangs, and waiting here
        // would freeze the screen; a task would lose the order. So the request is refused like any store failure.
        let counted = self.counted(ask);
        if let Err(error) = self.journal.try_send(counted) {
            let refused = match error {
                mpsc::error::TrySendError::Full(counted) | mpsc::error::TrySendError::Closed(counted) => counted.ask,
            };
            let why = "the journal does not answer".to_owned();
            let msg = match refused {
                Ask::Append { ticket, .. } => Msg::AppendRefused { ticket, why: crate::runbook::io::AppendRefusal::Store { why } },
                Ask::AdvanceEpoch { ticket, .. } => Msg::EpochAdvanced { ticket, result: Err(why) },
                Ask::Take { run, .. } => Msg::RunRefused { run: Some(run), why },
                Ask::Start { .. } => Msg::RunRefused { run: None, why },
                Ask::Leave { .. } => return,
            };
            self.spawn(async move { msg });
        }
    }

    fn counted(&self, ask: Ask) -> Counted {
        Counted { ask, count: Outstanding::new(&self.outstanding) }
    }

    fn spawn(&mut self, work: impl Future<Output = Msg> + Send + 'static) {
        let (out, counted) = (self.out.clone(), Outstanding::new(&self.outstanding));
        self.tasks.spawn(async move {
            let msg = work.await;
            let _ = out.send(msg).await;
            drop(counted);
        });
    }

    /// Gives the seat up; a write that is under way gets its time, so that its outcome is known where possible.
    pub(super) async fn leave(&mut self) {
        let (done, left) = tokio::sync::oneshot::channel();
        let leave = self.counted(Ask::Leave { done });
        if self.journal.send(leave).await.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(2), left).await;
        }
        self.tasks.abort_all();
        self.logs.stop();
    }
}

fn one_slot(labels: crate::domain::Labels, at: chrono::DateTime<chrono::Utc>, value: f64) -> Series {
    Series { labels, start: at, step: Duration::from_secs(1), values: vec![Some(value)] }
}

/// The platform of a service; the cockpit's own where none is named.
fn platform(ports: &Ports, target: Option<&str>) -> Result<Arc<dyn Platform>, Failure> {
    let Some(name) = target.filter(|name| *name != ports.service) else { return Ok(ports.platform.clone()) };
    let found = ports.targets.iter().find(|(spec, _)| spec.name == name).map(|(_, platform)| platform.clone());
    let why = || format!("this cockpit is not connected to {name}: list it under `with` of the service {}", ports.service);
    found.ok_or_else(|| Failure::NotSent { why: why() })
}

/// The only place from which a write leaves.
async fn send(ports: &Ports, proof: &SeatProof, write: Write) -> Result<Accepted, Failure> {
    if !ports.acts {
        return Err(Failure::NotSent { why: "this cockpit holds no write credentials".into() });
    }
    if !proof.holds(ports.clock.now().boot) {
        return Err(Failure::NotSent { why: "the driver's seat could not be renewed for 20 s: nothing is sent any more".into() });
    }
    let platform = platform(ports, write.target.as_deref())?;
    // Points at which a test ends the process. Nothing in ordinary builds.
    fail::fail_point!("platform::before_send");
    let answer = platform.send(write).await;
    fail::fail_point!("platform::after_send");
    answer
}
