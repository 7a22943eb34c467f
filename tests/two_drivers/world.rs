//! The scheduler: two processes, one journal, one platform, and everything that can come between, on virtual time.

use crate::book::book;
use crate::keeper::ttl;
use crate::node::{Ask, Kept, Node, Power};
use crate::platform::Platform;
use crate::random::Random;
use crate::rules::{Rules, Watch};
use crate::store::Store;
use gonogo::domain::{Accepted, Action, Failure, Finding, Outcome, Ticket, Write};
use gonogo::port::journal::LEASE_SELF_FENCE;
use gonogo::runbook::fold::{runbook_hash, start_draft};
use gonogo::runbook::io::{Input, Output, SampleOf};
use gonogo::runbook::record::Event;
use gonogo::runbook::state::RunState;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long people decide and things go wrong; how long it is calm afterwards, so that everything late has arrived.
const WILD: u64 = 420_000;
const CALM: u64 = 200_000;
/// What is late arrives within this.
const LATEST: u64 = 90_000;
/// What a client waits for the answer to a write.
const CLIENT_TIMEOUT: u64 = 10_000;

/// Something that is due.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    Tick,
    Person(usize),
    Trouble,
    Back(usize),
    Mends(Trouble),
    AtStore {
        at: usize,
        life: u64,
        asked: u64,
        ask: Ask,
    },
    Kept {
        at: usize,
        life: u64,
        kept: Box<Kept>,
    },
    Answer {
        at: usize,
        life: u64,
        input: Box<Input>,
    },
    Looks {
        at: usize,
        life: u64,
        ticket: Ticket,
        action: Action,
        plans: bool,
    },
    /// The process is about to send: may it?
    MaySend {
        at: usize,
        life: u64,
        ticket: Ticket,
        write: Box<Write>,
    },
    /// It does.
    Sends {
        at: usize,
        life: u64,
        ticket: Ticket,
        write: Box<Write>,
    },
    Arrives {
        at: usize,
        life: u64,
        ticket: Ticket,
        write: Box<Write>,
        told: bool,
    },
    /// The client of a write has waited long enough.
    GaveUp {
        at: usize,
        life: u64,
        ticket: Ticket,
        write: Box<Write>,
    },
}

/// What ends by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Store,
    Cut(usize),
    Bad,
}

impl Due {
    /// The process that this happens inside of.
    fn inside(&self) -> Option<(usize, u64)> {
        match self {
            Self::Kept { at, life, .. }
            | Self::Answer { at, life, .. }
            | Self::MaySend { at, life, .. }
            | Self::Sends { at, life, .. }
            | Self::GaveUp { at, life, .. } => Some((*at, *life)),
            _ => None,
        }
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    due: BTreeMap<(u64, u64), Due>,
    order: u64,
    pub(crate) random: Random,
    pub(crate) rules: Rules,
    pub(crate) nodes: [Node; 2],
    pub(crate) store: Store,
    pub(crate) platform: Platform,
    pub(crate) watch: Watch,
    /// The seat was taken from a living driver: its writes may leave later than they should.
    pub(crate) forced: bool,
    pub(crate) nonce: u64,
    /// What guards and checks read now is bad.
    bad: bool,
    calm: bool,
    trace: Option<Vec<String>>,
}

impl World {
    /// Plays the world of a seed to its end. With `traced` it tells what happened.
    pub(crate) fn play(seed: u64, rules: Rules, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let nodes = [Node::new("maria", &mut random), Node::new("jon", &mut random)];
        let mut world = Self {
            now: 0,
            due: BTreeMap::new(),
            order: 0,
            nodes,
            random,
            rules,
            store: Store::new(),
            platform: Platform::new(),
            watch: Watch::default(),
            forced: false,
            nonce: 0,
            bad: false,
            calm: false,
            trace: traced.then(Vec::new),
        };
        world.begin();
        while let Some(((now, _), due)) = world.due.pop_first() {
            if now > WILD + CALM || !world.watch.broken.is_empty() {
                break;
            }
            world.now = now;
            world.calm = now > WILD;
            world.happens(due);
        }
        world.end();
        world
    }

    /// Maria starts the run; both begin to watch and to decide.
    fn begin(&mut self) {
        let auto = self.random.percent(50);
        let runbook = book(self.random.percent(50));
        let hash = runbook_hash(&runbook).expect("a canonical runbook");
        let session = self.nodes[0].session();
        let epoch = self.store.acquire(&session).expect("a free seat");
        let drafts = vec![start_draft(&runbook, &hash, auto, None, 0), Event::LeaseAcquired { epoch, taken_from: None }.draft()];
        let stamp = self.nodes[0].stamp(0);
        let Ok(entries) = self.store.append("maria", stamp, 0, Some(epoch), drafts) else { panic!("a new journal can be written") };
        self.watch.driver = "maria".into();
        self.nodes[0].lease = Some(epoch);
        self.nodes[0].proof = Some(self.nodes[0].boot(0));
        for at in 0..2 {
            self.nodes[at].jumped(0);
        }
        self.open(0, &entries, epoch);
        self.later(10, Due::Tick);
        self.later(3000, Due::Person(0));
        self.later(5000, Due::Person(1));
        self.later(20_000, Due::Trouble);
    }

    pub(crate) fn later(&mut self, ms: u64, due: Due) {
        self.order += 1;
        self.due.insert((self.now + ms, self.order), due);
    }

    pub(crate) fn tell(&mut self, at: usize, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} {:<5} {}", self.now as f64 / 1000.0, self.nodes[at].name, what()));
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3}       {}", self.now as f64 / 1000.0, what()));
        }
    }

    fn happens(&mut self, due: Due) {
        if let Some((at, life)) = due.inside() {
            if self.nodes[at].life != life {
                return;
            }
            if matches!(self.nodes[at].power, Power::Still(_)) {
                self.nodes[at].waiting.push(due);
                return;
            }
        }
        match due {
            Due::Tick => {
                for at in 0..2 {
                    self.tick(at);
                }
                self.later(250, Due::Tick);
            }
            Due::Person(at) => {
                if self.nodes[at].power == Power::On {
                    if self.calm { self.somebody_drives(at) } else { self.person(at) }
                }
                let next = self.random.ms(800, 9000);
                self.later(next, Due::Person(at));
            }
            Due::Trouble => self.trouble(),
            Due::Back(at) => self.back(at),
            Due::Mends(trouble) => self.mends(trouble),
            Due::AtStore { at, life, asked, ask } => self.at_store(at, life, asked, ask),
            Due::Kept { at, kept, .. } => self.kept(at, *kept),
            Due::Answer { at, input, .. } => self.put(at, *input),
            Due::Looks { at, life, ticket, action, plans } => self.looks(at, life, ticket, action, plans),
            Due::MaySend { at, life, ticket, write } => self.may_send(at, life, ticket, write),
            Due::Sends { at, life, ticket, write } => self.sends(at, life, ticket, write),
            Due::Arrives { at, life, ticket, write, told } => self.arrives(at, life, ticket, &write, told),
            Due::GaveUp { at, life, ticket, write } => self.gave_up(at, life, ticket, write),
        }
    }

    /// What a process does by its own clock.
    fn tick(&mut self, at: usize) {
        if self.nodes[at].power != Power::On {
            return;
        }
        if let Some(what) = self.nodes[at].jumped(self.now) {
            self.tell(at, || what.clone());
            self.put(at, Input::ClockJumped { what });
        }
        let boot = Duration::from_millis(self.nodes[at].boot(self.now));
        for _ in 0..20 {
            let due = self.nodes[at].engine.as_ref().and_then(gonogo::runbook::Engine::deadline).is_some_and(|due| due <= boot);
            if !due {
                break;
            }
            self.put(at, Input::Due);
        }
        self.look(at);
    }

    /// An input for the engine of a node, and what it asks for.
    pub(crate) fn put(&mut self, at: usize, input: Input) {
        let stamp = self.nodes[at].stamp(self.now);
        let Some(engine) = self.nodes[at].engine.as_mut() else { return };
        let outputs = engine.handle(&stamp, input);
        for output in outputs {
            self.obey(at, output);
        }
        let node = &mut self.nodes[at];
        if node.engine.as_ref().is_some_and(|engine| engine.passive().is_some() && !engine.has_to_write()) {
            node.seen = node.engine.take().map(|engine| engine.state().clone());
            node.asked = None;
        }
    }

    fn obey(&mut self, at: usize, output: Output) {
        let life = self.nodes[at].life;
        match output {
            Output::Append { ticket, after, epoch, drafts } => self.ask(at, Ask::Append { ticket, after, epoch, drafts }),
            Output::AdvanceEpoch { ticket } => self.ask(at, Ask::Advance { ticket }),
            Output::Plan { ticket, action, .. } => self.go(at, Due::Looks { at, life, ticket, action, plans: true }),
            Output::Read { ticket, action, .. } => self.go(at, Due::Looks { at, life, ticket, action, plans: false }),
            Output::Send { ticket, write, .. } => {
                let after = self.random.ms(0, 3);
                self.later(after, Due::MaySend { at, life, ticket, write });
            }
            Output::Sample { ticket, what, .. } => {
                let finding = self.finding(&what);
                let after = self.random.ms(5, 50);
                self.later(after, Due::Answer { at, life, input: Box::new(Input::Sampled { ticket, finding }) });
            }
            Output::Ask(proposal) => {
                self.tell(at, || format!("shows {} {} on {}", proposal.op, proposal.plan.action, proposal.plan.before.shown));
                self.nodes[at].asked = Some(*proposal);
            }
            Output::Withdraw { why, .. } => {
                self.tell(at, || format!("withdraws: {why}"));
                self.nodes[at].asked = None;
            }
            Output::Say { text, .. } | Output::Refuse { text } => self.tell(at, || format!("says: {text}")),
        }
    }

    fn finding(&mut self, what: &SampleOf) -> Finding {
        let good = |held| Finding { held, value: Some(0.1), shown: "0.1".into(), ..Finding::without_value(Outcome::Pass, "good") };
        let guard = matches!(what, SampleOf::Guard { .. });
        match () {
            () if self.bad && guard => {
                let bad = Duration::from_secs(40);
                Finding { bad, value: Some(7.0), shown: "7".into(), ..Finding::without_value(Outcome::Fail, "bad") }
            }
            () if self.random.percent(5) => Finding::without_value(Outcome::NoData, "no samples"),
            () => good(Duration::from_secs(60)),
        }
    }

    fn go(&mut self, at: usize, due: Due) {
        let after = self.network(at);
        self.later(after, due);
    }

    fn network(&mut self, _at: usize) -> u64 {
        if self.random.percent(4) { self.random.ms(1000, 9000) } else { self.random.ms(5, 120) }
    }

    /// A read of the platform, with or without a plan.
    fn looks(&mut self, at: usize, life: u64, ticket: Ticket, action: Action, plans: bool) {
        let failed = self.nodes[at].cut.0 || (!self.calm && self.random.percent(4));
        let failure = || Failure::NotSent { why: "no route to host".into() };
        let input = match (plans, failed) {
            (true, true) => Input::Planned { ticket, result: Err(failure()) },
            (true, false) => Input::Planned { ticket, result: Ok(Box::new(self.platform.plan(action))) },
            (false, true) => Input::Read { ticket, result: Err(failure()) },
            (false, false) => Input::Read { ticket, result: Ok(Box::new(self.platform.read(&action))) },
        };
        let after = self.network(at);
        self.later(after, Due::Answer { at, life, input: Box::new(input) });
    }

    /// The only place from which a write leaves: not without a seat that is known to be ours.
    fn may_send(&mut self, at: usize, life: u64, ticket: Ticket, write: Box<Write>) {
        let boot = self.nodes[at].boot(self.now);
        let holds = self.nodes[at].proof.is_some_and(|proof| boot - proof < LEASE_SELF_FENCE.as_millis() as u64);
        if self.rules.self_fence && !holds {
            let why = "the driver's seat could not be renewed for 20 s: nothing is sent any more".into();
            self.put(at, Input::Sent { ticket, result: Err(Failure::NotSent { why }) });
            return;
        }
        let idle = self.nodes[at].proof.map_or(u64::MAX, |proof| boot - proof);
        if !self.forced {
            self.watch.leaves(&write, idle, ttl());
        }
        // Between the look and the wire the process may be stopped.
        let after = if self.random.percent(5) { self.random.ms(10, 400) } else { 1 };
        self.later(after, Due::Sends { at, life, ticket, write });
    }

    fn sends(&mut self, at: usize, life: u64, ticket: Ticket, write: Box<Write>) {
        self.tell(at, || format!("sends {} of epoch {}", write.op, write.epoch));
        self.later(CLIENT_TIMEOUT, Due::GaveUp { at, life, ticket, write: write.clone() });
        let told = !self.random.percent(12);
        let after = match self.random.below(100) {
            0..=5 => return,
            6..=14 => self.random.ms(2000, LATEST),
            _ => self.network(at),
        };
        if self.nodes[at].cut.0 && self.random.percent(50) {
            return;
        }
        self.later(after, Due::Arrives { at, life, ticket, write, told });
    }

    fn arrives(&mut self, at: usize, life: u64, ticket: Ticket, write: &Write, told: bool) {
        let (was, epoch) = (self.platform.route.canary, self.platform.route.stamp.as_ref().map(|stamp| stamp.epoch));
        let result = self.platform.arrive(write, self.rules);
        let done = result.is_ok();
        self.note(|| format!("PLATFORM {} {}", write.op, if done { "takes effect" } else { "is refused" }));
        if done {
            self.watch.effect(write, was, epoch, &self.platform);
        }
        if told {
            let after = self.network(at);
            self.later(after, Due::Answer { at, life, input: Box::new(Input::Sent { ticket, result }) });
        }
    }

    fn gave_up(&mut self, at: usize, life: u64, ticket: Ticket, write: Box<Write>) {
        if !self.rules.once {
            let after = self.network(at);
            self.later(after, Due::Arrives { at, life, ticket, write, told: true });
            return;
        }
        let result: Result<Accepted, Failure> = Err(Failure::Unknown { why: "timed out".into() });
        self.put(at, Input::Sent { ticket, result });
    }

    /// In the calm somebody takes a run up that nobody drives; nothing else is decided.
    fn somebody_drives(&mut self, at: usize) {
        let node = &self.nodes[at];
        let ended = node.state().is_some_and(|state| state.phase.is_final());
        if at == 0 && !ended && !node.attended && !node.drives() && !node.busy {
            self.tell(at, || "takes the seat in the calm".into());
            self.ask(at, Ask::Take { take_over: false });
        }
    }

    fn trouble(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.ms(4000, 40_000);
        self.later(next, Due::Trouble);
        let at = self.random.below(2) as usize;
        match self.random.below(16) {
            0..=2 if self.nodes[at].power == Power::On => {
                self.tell(at, || "is killed".into());
                self.nodes[at].dies();
                let after = self.random.ms(300, 50_000);
                self.later(after, Due::Back(at));
            }
            3..=6 if self.nodes[at].power == Power::On => {
                let ms = self.random.ms(3000, 80_000);
                let asleep = self.random.percent(50);
                self.tell(at, || format!("{} for {ms} ms", if asleep { "sleeps" } else { "is stopped" }));
                self.nodes[at].power = Power::Still(self.now + ms);
                if asleep {
                    self.nodes[at].sleeps(ms);
                }
                self.later(ms, Due::Back(at));
            }
            7 => {
                self.nodes[at].skew += if self.random.percent(50) { 600_000 } else { -30_000 };
                self.tell(at, || "its wall clock jumps".into());
            }
            8..=10 => {
                let to = self.random.one(&[0, 10, 25, 50, 60]);
                self.note(|| format!("FOREIGN change to {to}"));
                self.platform.foreign(to);
            }
            11 | 12 => {
                self.note(|| "the store's disk is full".into());
                self.store.outage = Some("no space left on device");
                let after = self.random.ms(500, 35_000);
                self.later(after, Due::Mends(Trouble::Store));
            }
            13 | 14 => {
                let cut = (self.random.percent(60), self.random.percent(60));
                self.tell(at, || format!("is cut off from platform, store: {cut:?}"));
                self.nodes[at].cut = cut;
                let after = self.random.ms(2000, 45_000);
                self.later(after, Due::Mends(Trouble::Cut(at)));
            }
            15 => {
                self.bad = true;
                let after = self.random.ms(3000, 40_000);
                self.later(after, Due::Mends(Trouble::Bad));
            }
            _ => {}
        }
    }

    fn mends(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Store => self.store.outage = None,
            Trouble::Cut(at) => self.nodes[at].cut = (false, false),
            Trouble::Bad => self.bad = false,
        }
    }

    /// A process goes on, or another one begins in its place.
    fn back(&mut self, at: usize) {
        self.tell(at, || "is back".into());
        let was = std::mem::replace(&mut self.nodes[at].power, Power::On);
        if was == Power::Off {
            self.nodes[at].jumped(self.now);
            self.nodes[at].attended = true;
        }
        // Whether it first notices that it slept or first reads what came meanwhile is chance.
        if self.random.percent(50) {
            self.tick(at);
        }
        for due in std::mem::take(&mut self.nodes[at].waiting) {
            self.happens(due);
        }
    }

    /// After the calm.
    fn end(&mut self) {
        if !self.watch.broken.is_empty() {
            return;
        }
        let state = RunState::of(&self.store.entries).expect("the journal folds");
        for at in 0..2 {
            let Some(seen) = self.nodes[at].state().cloned() else { continue };
            let upto = RunState::of(&self.store.entries[..seen.head as usize]).expect("a beginning of the journal folds");
            if seen != upto {
                self.watch.broken.push(format!("{} believes something else than the journal says", self.nodes[at].name));
            }
            if seen.head != state.head {
                let (name, head) = (self.nodes[at].name, seen.head);
                self.watch.broken.push(format!("{name} stands at entry {head} of {}", state.head));
            }
        }
        self.watch.belief(&state, &self.platform);
    }

    /// What happened, for people.
    pub(crate) fn told(&self) -> String {
        self.trace.as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }
}
