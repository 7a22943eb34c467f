//! What must hold at every moment, whatever happens.

use super::quorum::Quorum;
use crate::domain::record::Entry;
use crate::domain::{Confirm, Epoch, OpId, Ticket, WriteKind};
use crate::runbook::engine::Engine;
use crate::runbook::io::{Output, Purpose};
use crate::runbook::plan::StepKind;
use crate::runbook::record::Event;
use crate::runbook::state::{Phase, RunState};
use std::collections::BTreeSet;

/// Keeps what the invariants need to remember.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    tickets: BTreeSet<Ticket>,
    /// What was sent and is not recorded as answered yet.
    on_its_way: Option<OpId>,
    intents_sent: BTreeSet<u64>,
    acts_sent: BTreeSet<OpId>,
    finals: usize,
    /// The fold of what the engine has seen, kept beside it.
    fold: Option<RunState>,
    /// Every entry but the first, read.
    pub(super) events: Vec<Event>,
    quorum: Quorum,
    /// Depths that were reached.
    pub(super) deep: BTreeSet<&'static str>,
    /// Collected rather than panicked on, so that a test can ask for them.
    pub(super) broken: Vec<String>,
}

impl Watch {
    pub(super) fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    pub(super) fn of(begun: RunState) -> Self {
        Self { quorum: Quorum::driven_by(&begun.driver.id), fold: Some(begun), ..Self::default() }
    }

    pub(super) fn saw(&mut self, depth: &'static str) {
        self.deep.insert(depth);
    }

    /// Another engine goes on: what the one before had sent is no longer its concern.
    pub(super) fn driver_changed(&mut self) {
        self.on_its_way = None;
    }

    /// An entry became durable.
    pub(super) fn entry(&mut self, entry: &Entry) {
        let event = Event::of(entry).expect("an event");
        let after_end = self.finals > 0;
        match &event {
            Event::RunCompleted {} | Event::RunRolledBack {} | Event::RunAborted { .. } => {
                self.finals += 1;
                self.must(!after_end, || format!("entry {} finishes the run again", entry.seq));
            }
            Event::StepPassed { .. } | Event::StepEntered { .. } | Event::ActionIntent { .. } => {
                self.must(!after_end, || format!("entry {} ({}) comes after the end", entry.seq, entry.kind));
            }
            Event::ActionOutcome { op, .. } => drop(self.on_its_way.take_if(|sent| sent == op)),
            _ => {}
        }
        self.note_depth(&event);
        if let Some(folded) = &self.fold {
            let too_few = self.quorum.entry(entry, &event, &folded.runbook);
            self.broken.extend(too_few);
        }
        self.events.push(event);
    }

    /// The engine after an input. Its state comes about by folding alone, so looking when there is something new is enough.
    pub(super) fn engine(&mut self, engine: &Engine, journal: &[Entry]) {
        self.note_engine(engine);
        let head = engine.state().head;
        let forward = engine.asked().is_some_and(|asked| asked.purpose == Purpose::Forward);
        self.must(!forward || engine.state().phase == Phase::Running, || "a step forward is still asked for on the way back".into());
        let Some(folded) = &mut self.fold else { return };
        let fold_head = folded.head;
        while folded.head < head {
            folded.fold(&journal[folded.head as usize]).expect("an entry that follows");
        }
        if fold_head != head {
            self.folds(engine);
        }
    }

    /// The engine's state is the fold of what it has seen.
    pub(super) fn folds(&mut self, engine: &Engine) {
        let Some(folded) = self.fold.take() else { return };
        self.must(folded == *engine.state(), || format!("the engine's state is not the fold of its journal at {}", folded.head));
        self.fold = Some(folded);
    }

    pub(super) fn output(&mut self, output: &Output, engine: &Engine, journal: &[Entry]) {
        match output {
            Output::Append { ticket, epoch, .. } => {
                self.fresh(*ticket);
                let passive = engine.passive().is_some();
                self.must(!(passive && epoch.is_some()), || "a passive engine writes as the driver".into());
                self.must(epoch.is_none_or(|e| e == engine.epoch()), || "an append under another epoch".into());
            }
            Output::Send { ticket, write, intent, confirmed } => {
                self.fresh(*ticket);
                let entry = usize::try_from(*intent).ok().and_then(|seq| journal.get(seq - 1)).cloned();
                self.sent(entry, write, *intent, confirmed.as_ref(), engine, journal);
            }
            Output::Plan { ticket, .. } | Output::Read { ticket, .. } | Output::AdvanceEpoch { ticket } | Output::Sample { ticket, .. } => {
                self.fresh(*ticket);
            }
            Output::Ask(_) | Output::Withdraw { .. } | Output::Say { .. } | Output::Refuse { .. } => {}
        }
    }

    fn fresh(&mut self, ticket: Ticket) {
        let new = self.tickets.insert(ticket);
        self.must(new, || format!("ticket {ticket:?} was used twice"));
    }

    fn sent(
        &mut self,
        entry: Option<Entry>,
        write: &crate::domain::Write,
        seq: u64,
        confirmed: Option<&(u64, String)>,
        engine: &Engine,
        journal: &[Entry],
    ) {
        let intent = entry.as_ref().and_then(|e| Event::of(e).ok());
        let Some(Event::ActionIntent { op, step, fence, action, epoch, before, plan_hash, .. }) = intent else {
            self.broken.push(format!("a send of {} without a durable intent", write.op));
            return;
        };
        let is_fence = write.is_fence();
        let same = op == write.op && fence == is_fence && epoch == write.epoch && *before == write.before;
        self.must(same, || format!("{} is not what its intent says", write.op));
        self.must(is_fence || write.kind == WriteKind::Act { action }, || format!("{} does something else", write.op));
        self.must(epoch == engine.epoch(), || format!("{op} is sent under epoch {epoch}, which is not ours"));
        let alone = self.on_its_way.replace(op.clone());
        self.must(alone.is_none(), || format!("{op} is sent while {alone:?} is on its way"));
        let first = self.intents_sent.insert(seq);
        self.must(first, || format!("intent {seq} was sent twice"));
        let last_epoch = self.events.iter().rev().find_map(lease).unwrap_or(epoch);
        self.must(last_epoch <= epoch, || format!("{op} is sent under {epoch} while {last_epoch} holds the seat"));
        let state = engine.state();
        self.must(!state.phase.is_final(), || format!("{op} is sent after the end"));
        self.must(engine.passive().is_none(), || format!("{op} is sent by a passive engine"));
        if is_fence {
            self.note_fence(engine);
            return;
        }
        let taken = |e: &Event| if let Event::LeaseAcquired { taken_from, .. } = e { Some(taken_from.is_some()) } else { None };
        let from_a_living = self.events.iter().rev().find_map(taken) == Some(true);
        let closed_off = write.before.stamp.as_ref().is_some_and(|stamp| stamp.epoch == epoch);
        self.must(!from_a_living || closed_off, || format!("{op} is sent before the driver who was passed over is closed off"));
        let shown = self.events.iter().rev().find_map(|e| match e {
            Event::ActionPlanned { op: planned, before, .. } if *planned == op => Some(before.fields == write.before.fields),
            _ => None,
        });
        self.must(shown == Some(true), || format!("{op} rests on something else than was shown"));
        let once = self.acts_sent.insert(op.clone());
        self.must(once, || format!("{op} was sent twice"));
        let forward = state.runbook.position(&step).is_some();
        if forward {
            self.must(state.phase == Phase::Running, || format!("{op} goes forward while the run is {}", state.phase.word()));
            self.must(state.hold.is_none(), || format!("{op} goes forward while held"));
            let wanted = state.runbook.step(&step).map_or(Confirm::Override, |s| s.confirm);
            self.must(wanted == Confirm::None || confirmed.is_some(), || format!("{op} goes forward unconfirmed"));
        } else {
            self.must(state.phase == Phase::RollingBack, || format!("{op} goes back before the way back began"));
            self.must(confirmed.is_some() || state.way_back_is_free(), || format!("{op} goes back unconfirmed"));
        }
        if let Some((seq, hash)) = confirmed {
            let event = journal.get(*seq as usize - 1).and_then(|e| Event::of(e).ok());
            let right =
                matches!(&event, Some(Event::ActionConfirmed { op: o, plan_hash: h, .. }) if *o == op && h == hash && *h == plan_hash);
            self.must(right, || format!("{op} rests on entry {seq}, which is no confirmation of its plan"));
        }
    }

    /// An act takes effect. What was adopted while it was still on its way may: the person was told that it is unclear.
    pub(super) fn effect(&mut self, op: &OpId) {
        let adopted = self.events.iter().any(|e| matches!(e, Event::ActionAdopted { op: adopted, .. } if adopted == op));
        let over = self.finals > 0;
        self.must(adopted || !over, || format!("{op} takes effect after the end of the run"));
    }

    /// What must hold of a whole journal.
    pub(super) fn journal(&mut self, journal: &[Entry]) {
        let events = std::mem::take(&mut self.events);
        assert_eq!(events.len() + 1, journal.len(), "every entry but the first was seen");
        let Some(folded) = self.fold.take() else { return };
        let runbook = folded.runbook.clone();
        self.fold = Some(folded);
        let mut taken_back = Vec::new();
        let mut go_at_gate = false;
        let mut held = false;
        let mut back = false;
        let mut counting = false;
        for event in &events {
            match event {
                Event::StepUndone { step } => taken_back.push(runbook.position(step).expect("a forward step")),
                Event::GateAnswered { go, evidence, .. } => {
                    go_at_gate = *go && (evidence.starts_with("GO:") || evidence.starts_with("WATCH:"));
                }
                Event::StepPassed { step, .. } => {
                    let gate = runbook.step(step).is_some_and(|s| s.kind == StepKind::Gate);
                    self.must(!gate || go_at_gate, || format!("gate {step} passed on red"));
                    let acts = runbook.step(step).is_some_and(|s| matches!(s.kind, StepKind::Do(_)));
                    let forward = runbook.position(step).is_some();
                    // An act that was under way when the hold came may still be found done.
                    self.must(!(held && forward && !acts), || format!("{step} passed while held"));
                    go_at_gate = false;
                }
                Event::ActionIntent { op, step, fence: false, .. } => {
                    let forward = runbook.position(step).is_some();
                    self.must(!(back && forward), || format!("{op} is intended forward on the way back"));
                }
                Event::GuardTripped { countdown: true, .. } => counting = true,
                Event::CountdownCancelled { .. } => counting = false,
                Event::HoldBegan { guard, .. } => {
                    held = true;
                    // A person's hold stops the countdown; a second guard's trouble does not.
                    counting &= guard.is_some();
                }
                Event::HoldEnded {} => held = false,
                Event::RollbackBegan { automatic, .. } => {
                    self.must(!automatic || counting, || "it backs out by itself after the countdown was stopped".into());
                    (held, back) = (false, true);
                }
                _ => {}
            }
        }
        self.events = events;
        let backwards = taken_back.windows(2).all(|w| w[0] > w[1]);
        self.must(backwards, || format!("taken back out of order: {taken_back:?}"));
    }

    pub(super) fn assert_whole(&self) {
        assert!(self.broken.is_empty(), "broken: {:#?}", self.broken);
    }
}

fn lease(event: &Event) -> Option<Epoch> {
    match event {
        Event::LeaseAcquired { epoch, .. } => Some(*epoch),
        _ => None,
    }
}
