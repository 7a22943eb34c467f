//! What must hold, whatever happens; and the rules of the game that a test may take away to see that it is noticed.

use crate::platform::{Platform, Writer};
use gonogo::domain::record::Entry;
use gonogo::domain::{Epoch, Failure, OpId, Write};
use gonogo::runbook::record::{Event, Found, SendOutcome};
use gonogo::runbook::state::{Phase, RunState};
use std::collections::{BTreeMap, BTreeSet};

/// Each is part of what keeps two drivers apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Acts leave the stamp of their operation.
    pub(crate) stamp: bool,
    /// Writes test what they rely on.
    pub(crate) conditions: bool,
    /// A driver whose seat was not renewed sends nothing.
    pub(crate) self_fence: bool,
    /// The client sends a write once.
    pub(crate) once: bool,
    /// A new epoch is only given to who has the seat.
    pub(crate) own_seat: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self { stamp: true, conditions: true, self_fence: true, once: true, own_seat: true };
}

/// What the journal has said of one operation.
#[derive(Debug, Clone, Default)]
struct Told {
    /// The canary's weight that the plan was shown with.
    planned_at: Option<String>,
    confirmed: Option<u64>,
    /// Changes of the platform before its plan was shown.
    since: usize,
    intended: bool,
    /// A person took what was there for its result, told that it is unclear.
    adopted: bool,
    /// It certainly never took effect, and never will.
    never: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    ops: BTreeMap<OpId, Told>,
    /// `seq` of the latest change of the driver, and who it is.
    driver_since: u64,
    pub(crate) driver: String,
    /// Another driver who has yet to say that a person sent him.
    unasked: Option<u64>,
    backing_out: bool,
    ended: Option<u64>,
    pub(crate) deep: BTreeSet<&'static str>,
    pub(crate) broken: Vec<String>,
}

impl Watch {
    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    pub(crate) fn saw(&mut self, depth: &'static str) {
        self.deep.insert(depth);
    }

    /// An entry became durable.
    pub(crate) fn entry(&mut self, entry: &Entry, state: Option<&RunState>, platform: &Platform) {
        let event = Event::of(entry).expect("an event that can be read");
        let (seq, kind) = (entry.seq, entry.kind.as_str());
        if let Some(taken) = self.unasked.take() {
            self.must(kind == "run.resumed", || format!("entry {taken} changes the driver without anybody having asked for it"));
        }
        let forward = |step| state.is_some_and(|s| s.runbook.position(step).is_some());
        match event {
            Event::LeaseAcquired { taken_from, .. } => {
                self.driver_since = seq;
                let before = std::mem::replace(&mut self.driver, entry.actor.id.clone());
                self.unasked = (before != self.driver && seq > 2).then_some(seq);
                self.saw(if taken_from.is_some() { "taken over" } else { "taken up" });
            }
            Event::ActionPlanned { op, before, .. } => {
                let told = self.ops.entry(op).or_default();
                told.planned_at = before.fields.get("canary").cloned();
                told.since = platform.writers.len();
            }
            Event::ActionConfirmed { op, .. } => self.ops.entry(op).or_default().confirmed = Some(seq),
            Event::ActionIntent { op, fence: true, .. } => drop(self.ops.entry(op).or_default()),
            Event::ActionIntent { op, step, .. } => {
                let (since, back) = (self.driver_since, self.backing_out);
                let told = self.ops.entry(op.clone()).or_default();
                told.intended = true;
                let confirmed = told.confirmed.is_some_and(|at| at > since);
                self.must(!forward(&step) || confirmed, || format!("{op} goes forward without a yes to who drives now"));
                self.must(!forward(&step) || !back, || format!("{op} goes forward on the way back"));
                self.must(self.ended.is_none(), || format!("{op} is intended after the end"));
            }
            Event::ActionOutcome { op, outcome } => self.outcome(&op, &outcome, platform),
            Event::ActionReconciled { op, found, .. } => self.found(&op, found, platform),
            Event::ActionAdopted { op, .. } => {
                self.ops.entry(op).or_default().adopted = true;
                self.saw("adopted");
            }
            Event::ClockJumped { .. } => self.saw("woke"),
            Event::RollbackBegan { automatic, .. } => {
                self.backing_out = true;
                self.saw(if automatic { "automatic back-out" } else { "back-out" });
            }
            Event::RunCompleted {} | Event::RunRolledBack {} | Event::RunAborted { .. } => {
                self.saw(match kind {
                    "run.completed" => "completed",
                    "run.rolled_back" => "rolled back",
                    _ => "aborted",
                });
                self.must(self.ended.is_none(), || format!("entry {seq} ends the run again"));
                self.ended = Some(seq);
            }
            Event::StepEntered { .. } | Event::StepPassed { .. } | Event::StepFailed { .. } => {
                self.must(self.ended.is_none(), || format!("entry {seq} ({kind}) comes after the end"));
            }
            Event::RunRollbackStuck { .. } => self.saw("rollback stuck"),
            _ => {}
        }
    }

    fn outcome(&mut self, op: &OpId, outcome: &SendOutcome, platform: &Platform) {
        let done = platform.effects.contains_key(op);
        match outcome {
            SendOutcome::NotApplied { failure } => {
                self.ops.entry(op.clone()).or_default().never = true;
                self.must(!done, || format!("{op} is said not to be applied ({failure}), and it was"));
                self.saw(match failure {
                    Failure::NotSent { why } if why.contains("could not be renewed") => "kept back for want of a seat",
                    Failure::NotSent { .. } => "not sent",
                    _ => "refused",
                });
            }
            SendOutcome::Unknown { .. } => self.saw("unknown"),
            SendOutcome::Accepted { .. } => self.saw("accepted"),
        }
    }

    fn found(&mut self, op: &OpId, found: Found, platform: &Platform) {
        let done = platform.effects.contains_key(op);
        let since = self.ops.get(op).map_or(0, |told| told.since);
        let others = platform.writers.iter().skip(since).any(|by| *by != Writer::Op(op.clone()));
        match found {
            Found::Applied | Found::AppliedThenChanged => {
                self.saw("found applied");
                self.must(done, || format!("{op} is found applied, and it was not"));
            }
            Found::Never => {
                self.saw("found never");
                self.ops.entry(op.clone()).or_default().never = true;
                self.must(!done, || format!("{op} is found never to be applied, and it was"));
            }
            Found::NotYet => self.saw("not yet"),
            Found::DoneByOther | Found::Drifted => {
                self.saw("found another's");
                self.must(others, || format!("{op}: our own write is taken for somebody else's"));
            }
        }
    }

    /// A write takes effect.
    pub(crate) fn effect(&mut self, write: &Write, was: u32, epoch: Option<Epoch>, platform: &Platform) {
        let op = &write.op;
        self.must(epoch.is_none_or(|there| there <= write.epoch), || format!("{op} of epoch {} is applied behind {epoch:?}", write.epoch));
        let Some(told) = self.ops.get(op).cloned() else {
            self.broken.push(format!("{op} takes effect without an intent"));
            return;
        };
        if write.is_fence() {
            self.saw("fence");
            return;
        }
        let times = platform.effects.get(op).copied().unwrap_or_default();
        self.must(times == 1, || format!("{op} takes effect for the {times}. time"));
        self.must(told.intended, || format!("{op} takes effect without an intent"));
        self.must(!told.never, || format!("{op} takes effect after it was said never to"));
        let ended = self.ended;
        // Only where somebody puts back exactly what the lost write had tested, and then it comes late.
        self.must(ended.is_none() || told.adopted, || format!("{op} takes effect after the end of the run (entry {ended:?})"));
        let shown = told.planned_at.unwrap_or_default();
        self.must(shown == was.to_string(), || format!("{op} was shown with {shown} and writes over {was}"));
    }

    /// A write is about to leave a process: nobody else may hold the seat by then, unless it was taken from a living driver on purpose.
    pub(crate) fn leaves(&mut self, write: &Write, idle_ms: u64, ttl_ms: u64) {
        self.must(idle_ms <= ttl_ms, || format!("{} leaves {idle_ms} ms after its seat was last renewed", write.op));
    }

    /// At the end of a calm time: what the record says is what is there, or somebody is asked.
    pub(crate) fn belief(&mut self, state: &RunState, platform: &Platform) {
        let weight = platform.route.canary;
        let open =
            state.unclear().is_some() || matches!(state.question(), Some(q) if !matches!(q, gonogo::runbook::state::Question::Act { .. }));
        let foreign = platform.writers.last() == Some(&Writer::Foreign);
        if open || foreign || state.phase == Phase::RollbackStuck {
            return;
        }
        let believed: u32 = state.intended.map_or(0, |w| w.get().into());
        self.must(believed == weight, || format!("believed {believed}%, and the platform is at {weight}%"));
    }
}
