//! A journal, a platform and a metrics backend in one piece, answering an engine's requests.

use super::books::secs;
use super::invariants::Watch;
use crate::domain::record::{Actor, Draft, Entry, EntryTime, GENESIS};
use crate::domain::{
    Accepted, ActionPlan, DiffLine, Epoch, Failure, Finding, OpId, Outcome, Preflight, Refusal, Route, RunId, Stamp, Verdict, Write,
    WriteKind, WriteStamp,
};
use crate::runbook::engine::Engine;
use crate::runbook::fold::{runbook_hash, start_draft};
use crate::runbook::io::{AppendRefusal, Command, Input, Output, Permit, Proposal, SampleOf};
use crate::runbook::plan::Runbook;
use crate::runbook::record::Event;
use crate::runbook::state::{Question, RunState};
use chrono::{DateTime, Utc};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) const RUN: &str = "checkout-20260314-1";

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) at: Stamp,
    pub(super) boot_id: String,
    pub(super) journal: Vec<Entry>,
    /// The state after the first entry.
    pub(super) begun: RunState,
    /// The epoch of the seat.
    pub(super) seat: Epoch,
    pub(super) nonce: u64,
    pub(super) route: Route,
    /// Writes on their way, which may still arrive.
    pub(super) late: Vec<Write>,
    /// How often each operation took effect.
    pub(super) effects: BTreeMap<OpId, u32>,
    /// A fence replaces the operation on the object as well.
    pub(super) fence_marks_op: bool,
    /// Requests that wait for an answer.
    pub(super) open: VecDeque<Output>,
    pub(super) asked: Option<Proposal>,
    pub(super) said: Vec<String>,
    pub(super) withdrawn: Vec<String>,
    /// What guards and conditions read.
    pub(super) guard: Finding,
    pub(super) condition: Finding,
    pub(super) verdict: Verdict,
    /// Who drives.
    pub(super) driver: &'static str,
    /// The latest answers to requests, for handing one over once more.
    pub(super) answered: VecDeque<Input>,
    pub(super) watch: Watch,
}

pub(super) fn actor(id: &str) -> Actor {
    Actor { id: id.into(), strength: "asserted".into(), client: format!("{id}@host") }
}

pub(super) fn good() -> Finding {
    Finding { held: secs(60), value: Some(0.1), shown: "0.1".into(), ..Finding::without_value(Outcome::Pass, "good") }
}

pub(super) fn bad(seconds: u64) -> Finding {
    Finding { bad: secs(seconds), value: Some(7.0), shown: "7".into(), ..Finding::without_value(Outcome::Fail, "bad") }
}

pub(super) fn chain(journal: &[Entry], draft: Draft, epoch: Epoch, by: &Actor, at: Stamp, boot_id: &str) -> Entry {
    let mut entry = Entry {
        run: RunId::from(RUN),
        seq: journal.len() as u64 + 1,
        epoch,
        prev: journal.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
        time: EntryTime { wall: at.wall, boot: at.boot.as_millis() as u64, boot_id: boot_id.into(), store: at.wall },
        actor: by.clone(),
        kind: draft.kind,
        step: draft.step,
        body: draft.body,
        hash: String::new(),
    };
    // Folding looks at the links alone. What a hash must be is the stores' affair and tested there.
    entry.hash = format!("hash of {}", entry.seq);
    entry
}

thread_local! {
    /// Worlds are many and their runbooks few: what they begin with is worked out once.
    static BEGUN: RefCell<Vec<(Runbook, bool, Entry, RunState)>> = const { RefCell::new(Vec::new()) };
}

/// The first entry of a run and the state after it.
fn begun(runbook: &Runbook, auto_back_out: bool, at: Stamp) -> (Entry, RunState) {
    BEGUN.with_borrow_mut(|known| {
        // Most differ in what is confirmed, which is quickly seen.
        let alike = |of: &Runbook| {
            of.steps.len() == runbook.steps.len() && of.steps.iter().zip(&runbook.steps).all(|(a, b)| a.confirm == b.confirm)
        };
        if let Some((.., first, state)) = known.iter().find(|(of, auto, ..)| *auto == auto_back_out && alike(of) && of == runbook) {
            return (first.clone(), state.clone());
        }
        let hash = runbook_hash(runbook).unwrap();
        let draft = start_draft(runbook, &hash, auto_back_out, None, 0);
        let first = chain(&[], draft, Epoch(4), &actor("maria"), at, "boot-1");
        let state = RunState::begin(&first).unwrap();
        known.push((runbook.clone(), auto_back_out, first.clone(), state.clone()));
        (first, state)
    })
}

impl World {
    /// A run of this runbook, just begun, with nothing answered yet.
    pub(super) fn new(runbook: &Runbook, auto_back_out: bool) -> Self {
        let wall: DateTime<Utc> = "2026-03-14T03:00:00Z".parse().unwrap();
        let at = Stamp { wall, boot: secs(1000), mono: secs(10) };
        let (first, begun) = begun(runbook, auto_back_out, at);
        let engine = Engine::new(begun.clone(), Epoch(4), "boot-1".into(), 0);
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "uid-1".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary: 0,
            baseline: 100,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        let mut world = Self {
            engine,
            at,
            boot_id: "boot-1".into(),
            journal: vec![first],
            seat: Epoch(4),
            nonce: 0,
            route,
            late: vec![],
            effects: BTreeMap::new(),
            fence_marks_op: false,
            open: VecDeque::new(),
            asked: None,
            said: vec![],
            withdrawn: vec![],
            guard: good(),
            condition: good(),
            verdict: Verdict::Go,
            driver: "maria",
            answered: VecDeque::new(),
            watch: Watch::of(begun.clone()),
            begun,
        };
        world.put(Input::Begin);
        world.put(Input::Data { live: true, why: String::new() });
        world
    }

    /// Hands an input over, after every deadline that was reached before it.
    pub(super) fn put(&mut self, input: Input) {
        while let Some(due) = self.engine.deadline().filter(|due| *due <= self.at.boot) {
            let at = Stamp { boot: due, ..self.at };
            self.hand(at, Input::Due);
        }
        self.hand(self.at, input);
    }

    pub(super) fn hand(&mut self, at: Stamp, input: Input) {
        self.remember(&input);
        let outputs = self.engine.handle(&at, input);
        self.watch.engine(&self.engine, &self.journal);
        for output in outputs {
            self.watch.output(&output, &self.engine, &self.journal);
            match output {
                Output::Ask(proposal) => self.asked = Some(*proposal),
                Output::Withdraw { why, .. } => {
                    self.withdrawn.push(why);
                    self.asked = None;
                }
                Output::Say { text, .. } | Output::Refuse { text } => self.said.push(text),
                request => self.open.push_back(request),
            }
        }
    }

    fn remember(&mut self, input: &Input) {
        let answers = matches!(
            input,
            Input::Appended { .. }
                | Input::AppendRefused { .. }
                | Input::Planned { .. }
                | Input::Read { .. }
                | Input::Sent { .. }
                | Input::EpochAdvanced { .. }
                | Input::Sampled { .. }
        );
        if answers {
            self.answered.truncate(7);
            self.answered.push_front(input.clone());
        }
    }

    pub(super) fn pass(&mut self, by: Duration) {
        self.at = self.at.later(by);
    }

    /// Lets time pass, answering everything well, in steps of at most a second.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.at.boot + time;
        self.settle();
        while self.at.boot < end {
            self.pass(secs(1).min(end.saturating_sub(self.at.boot)));
            self.put(Input::Due);
            self.settle();
        }
    }

    /// Answers everything that is outstanding, well, until nothing is.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let Some(request) = self.open.pop_front() else { return };
            self.answer(request);
        }
        panic!("the engine asks for ever");
    }

    pub(super) fn answer(&mut self, request: Output) {
        let input = match request {
            Output::Append { ticket, after, epoch, drafts } => self.append(ticket, after, epoch, drafts),
            Output::Plan { ticket, action, .. } => {
                let plan = self.plan_of(action);
                Input::Planned { ticket, result: Ok(Box::new(plan)) }
            }
            Output::Read { ticket, action, .. } => Input::Read { ticket, result: Ok(Box::new(self.route.subject(&action))) },
            Output::Send { ticket, write, .. } => {
                let result = self.arrive(&write);
                Input::Sent { ticket, result }
            }
            Output::AdvanceEpoch { ticket } => {
                self.seat = self.seat.next();
                Input::EpochAdvanced { ticket, result: Ok(self.seat) }
            }
            Output::Sample { ticket, what, .. } => {
                let finding = if matches!(what, SampleOf::Guard { .. }) { &self.guard } else { &self.condition };
                Input::Sampled { ticket, finding: finding.clone() }
            }
            Output::Ask(_) | Output::Withdraw { .. } | Output::Say { .. } | Output::Refuse { .. } => return,
        };
        self.put(input);
    }

    pub(super) fn plan_of(&self, action: crate::domain::Action) -> ActionPlan {
        ActionPlan {
            diff: vec![DiffLine { field: "weight".into(), before: self.route.canary.to_string(), after: action.wanted() }],
            before: self.route.subject(&action),
            consequence: action.consequence(),
            warnings: vec![],
            action,
            dry_run: Preflight::Accepted,
            access: Preflight::Accepted,
            request: "PATCH".into(),
        }
    }

    /// The store's answer to an append.
    pub(super) fn append(&mut self, ticket: crate::domain::Ticket, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft>) -> Input {
        if epoch.is_some_and(|e| e != self.seat) {
            return Input::AppendRefused { ticket, why: AppendRefusal::Fenced { current: self.seat } };
        }
        if after != self.journal.len() as u64 {
            let entries = self.journal.get(after as usize..).unwrap_or_default().to_vec();
            return Input::AppendRefused { ticket, why: AppendRefusal::Moved { entries } };
        }
        let entries = self.write_entries(drafts, &actor(self.driver));
        Input::Appended { ticket, entries }
    }

    pub(super) fn write_entries(&mut self, drafts: Vec<Draft>, by: &Actor) -> Vec<Entry> {
        let from = self.journal.len();
        for draft in drafts {
            let entry = chain(&self.journal, draft, self.seat, by, self.at, &self.boot_id);
            self.watch.entry(&entry);
            self.journal.push(entry);
        }
        self.journal[from..].to_vec()
    }

    /// A write reaches the platform, which tests what it is conditional on.
    pub(super) fn arrive(&mut self, write: &Write) -> Result<Accepted, Failure> {
        let same = write.before.relied() == self.route.subject(write.action()).relied();
        let version = write.before.stamp.is_some() || write.before.version == self.route.version;
        if !same || !version {
            return Err(Failure::Refused { code: 422, reason: Refusal::Conflict, why: "test failed".into() });
        }
        self.bump();
        let stamp = WriteStamp { run: write.run.clone(), op: write.op.clone(), epoch: write.epoch };
        match &write.kind {
            WriteKind::Act { action } => {
                *self.effects.entry(write.op.clone()).or_default() += 1;
                self.watch.effect(&write.op);
                self.route.canary = action.weight().expect("a weight").get().into();
                self.route.baseline = 100 - self.route.canary;
                self.route.stamp = Some(stamp);
            }
            WriteKind::Fence { .. } => match &mut self.route.stamp {
                Some(there) if !self.fence_marks_op => there.epoch = write.epoch,
                there => *there = Some(stamp),
            },
        }
        Ok(Accepted { version: Some(self.route.version.clone()), after: None })
    }

    fn bump(&mut self) {
        self.route.version = (self.route.version.parse::<u64>().unwrap() + 1).to_string();
    }

    /// Somebody else changes the weight.
    pub(super) fn foreign_change(&mut self, to: u32) {
        self.bump();
        self.route.canary = to;
        self.route.baseline = 100 - to;
        self.route.last_writer = Some("kubectl at 2026-03-14T03:07:12Z".into());
    }

    pub(super) fn command(&mut self, command: Command) {
        self.put(Input::Command(command));
    }

    pub(super) fn permit(&self) -> Permit {
        Permit { verdict: self.verdict, evidence: "gates".into() }
    }

    pub(super) fn propose(&mut self) {
        let permit = self.permit();
        self.command(Command::Propose { permit });
        self.settle();
    }

    pub(super) fn back_out(&mut self) {
        self.command(Command::ProposeBackOut { why: "errors".into() });
        self.settle();
    }

    /// The open plan, confirmed as asked.
    pub(super) fn confirm_now(&mut self) {
        let proposal = self.asked.take().expect("a plan is shown");
        let typed = proposal.must_type().unwrap_or_default();
        let (plan_hash, permit) = (proposal.plan_hash, self.permit());
        self.command(Command::Confirm { plan_hash, typed, shown: secs(2), permit });
    }

    pub(super) fn confirm(&mut self) {
        self.confirm_now();
        self.settle();
    }

    pub(super) fn question(&self) -> Option<Question> {
        self.engine.question()
    }

    pub(super) fn kinds(&self) -> Vec<&str> {
        self.journal.iter().map(|e| e.kind.as_str()).collect()
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.journal.iter().filter(|e| e.kind == kind).count()
    }

    /// The process ends; another one takes the seat and goes on. Sends in flight may still arrive.
    pub(super) fn crash(&mut self) {
        self.let_go();
        self.seat = self.seat.next();
        self.go_on();
    }

    /// Somebody else takes the seat while its driver lives. What that one sent last may still arrive.
    pub(super) fn take_over(&mut self) {
        self.let_go();
        let before = self.driver;
        self.driver = if before == "maria" { "ada" } else { "maria" };
        self.seat = self.seat.next();
        let taken = Event::LeaseAcquired { epoch: self.seat, taken_from: Some(format!("{before}@host")) };
        let resumed = Event::RunResumed { epoch: self.seat };
        self.write_entries(vec![taken.draft(), resumed.draft()], &actor(self.driver));
        self.watch.saw("taken over");
        self.go_on();
    }

    /// What was sent stays on its way; every other request is forgotten with who asked.
    fn let_go(&mut self) {
        for request in std::mem::take(&mut self.open) {
            if let Output::Send { write, .. } = request {
                self.late.push(*write);
            }
        }
        self.asked = None;
        self.watch.driver_changed();
    }

    fn go_on(&mut self) {
        self.nonce += 1 << 32;
        let text = serde_json::to_string(&self.journal).unwrap();
        let entries: Vec<Entry> = serde_json::from_str(&text).unwrap();
        let state = RunState::of(&entries).expect("a journal that folds");
        self.engine = Engine::new(state, self.seat, self.boot_id.clone(), self.nonce);
        self.put(Input::Begin);
        self.put(Input::Data { live: true, why: String::new() });
    }
}
