//! Random worlds: they answer the engine's outstanding requests in every way the outside can, while people decide and others interfere.

use super::books::*;
use super::together::{approve, poll, staffed};
use super::world::*;
use crate::domain::record::{Draft, Entry};
use crate::domain::*;
use crate::runbook::gate::{Ballot, Vote};
use crate::runbook::io::*;
use crate::runbook::plan::*;
use crate::runbook::record::Event;
use crate::runbook::state::*;

/// Choices, one after the other; a shorter tape is a simpler world.
pub(super) struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
    /// The tape of a seed: the same on every machine.
    pub(super) fn of(seed: u64) -> Vec<u8> {
        let mut random = Random(seed);
        let length = 200 + random.next() as usize % 1200;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(random.next().to_le_bytes());
        }
        bytes
    }

    fn next(&mut self, below: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(byte) % below.max(1)
    }

    fn chance(&mut self, in_256: usize) -> bool {
        self.next(256) >= 256 - in_256
    }

    fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"): every seed gives another good sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// How wild a world is.
struct Weather {
    /// Chance in 256 that an answer is not the good one.
    trouble: usize,
    /// Chance in 256 of something that nobody asked for, at each turn.
    interference: usize,
}

fn runbook(tape: &mut Tape) -> (Runbook, bool) {
    let auto = tape.next(2) == 1;
    let mut book = match tape.next(5) {
        0 => full(),
        1 => stairs(),
        2 => book(vec![shift("to-25", 25), bake("bake", 90), shift("to-50", 50)], vec![], vec![guard("errors", GuardThen::Rollback)]),
        3 => staffed(vec![step("agree", approve()), shift("to-25", 25), step("poll", poll()), shift("to-50", 50)]),
        _ => book(
            vec![shift("to-25", 25), check("look"), shift("to-100", 100)],
            vec![shift("rb-weight", 0), check("rb-look")],
            vec![guard("errors", GuardThen::Rollback), guard("warn", GuardThen::Warn)],
        ),
    };
    if tape.chance(40) {
        for step in &mut book.steps {
            step.confirm = [Confirm::None, Confirm::Yes][tape.next(2)];
        }
    }
    (book, auto)
}

fn finding(tape: &mut Tape) -> Finding {
    match tape.next(16) {
        0..8 => good(),
        8 => Finding::without_value(Outcome::NoData, "no samples"),
        9 => Finding::without_value(Outcome::Stale, "too old"),
        10 => Finding::without_value(Outcome::Error, "connection refused"),
        11 => Finding::without_value(Outcome::Holding, "not yet"),
        12..14 => bad(5),
        _ => bad(40),
    }
}

fn failure(tape: &mut Tape) -> Failure {
    match tape.next(3) {
        0 => Failure::NotSent { why: "no route to host".into() },
        1 => Failure::from_status(403, "forbidden".into()),
        _ => Failure::Unreadable { why: "html".into() },
    }
}

/// Answers one outstanding request, well or badly.
fn reply(world: &mut World, tape: &mut Tape, weather: &Weather) {
    if world.open.is_empty() {
        return;
    }
    let request = world.open.remove(tape.next(world.open.len())).unwrap();
    // What becomes of a write is what this is about.
    let trouble = if matches!(request, Output::Send { .. }) { weather.trouble * 4 } else { weather.trouble };
    if !tape.chance(trouble) {
        if let Output::Sample { ticket, .. } = request {
            let finding = if tape.chance(weather.trouble) { finding(tape) } else { good() };
            world.put(Input::Sampled { ticket, finding });
        } else {
            world.answer(request);
        }
        return;
    }
    match request {
        Output::Append { ticket, after, epoch, drafts } => append_badly(world, tape, (ticket, after, epoch, drafts)),
        Output::Plan { ticket, .. } => world.put(Input::Planned { ticket, result: Err(failure(tape)) }),
        Output::Read { ticket, .. } => world.put(Input::Read { ticket, result: Err(failure(tape)) }),
        Output::Send { ticket, write, .. } => send_badly(world, tape, ticket, *write),
        Output::AdvanceEpoch { ticket } => {
            // The store may have given the epoch and lost its answer.
            if tape.next(2) == 0 {
                world.seat = world.seat.next();
            }
            world.put(Input::EpochAdvanced { ticket, result: Err("the store is locked".into()) });
        }
        Output::Sample { ticket, .. } => {
            let finding = finding(tape);
            world.put(Input::Sampled { ticket, finding });
        }
        Output::Ask(_) | Output::Withdraw { .. } | Output::Say { .. } | Output::Refuse { .. } => {}
    }
}

type Asked = (Ticket, u64, Option<Epoch>, Vec<Draft>);

fn append_badly(world: &mut World, tape: &mut Tape, (ticket, after, epoch, drafts): Asked) {
    let store = || AppendRefusal::Store { why: "no space left on device".into() };
    match tape.next(4) {
        // The disk is full.
        0 => world.put(Input::AppendRefused { ticket, why: store() }),
        // Written, but the answer says otherwise.
        1 => {
            world.append(ticket, after, epoch, drafts);
            world.put(Input::AppendRefused { ticket, why: store() });
        }
        // Somebody else was first.
        2 => {
            foreign_entry(world, tape);
            let input = world.append(ticket, after, epoch, drafts);
            world.put(input);
        }
        // Durable now, told later: the others' entries come first.
        _ => {
            let answer = world.append(ticket, after, epoch, drafts);
            let entries = foreign_entry(world, tape);
            world.put(Input::Foreign { entries });
            world.put(answer);
        }
    }
}

fn send_badly(world: &mut World, tape: &mut Tape, ticket: Ticket, write: Write) {
    let lost = || Err(Failure::Unknown { why: "connection reset".into() });
    match tape.next(6) {
        0 => {
            let _ = world.arrive(&write);
            if tape.next(3) == 0 {
                world.foreign_change([10, 40, 60][tape.next(3)]);
            }
            world.put(Input::Sent { ticket, result: lost() });
        }
        1 => {
            world.late.push(write);
            world.put(Input::Sent { ticket, result: lost() });
        }
        2 => {
            // Lost for good, and somebody else steps in.
            match tape.next(3) {
                0 => world.foreign_change([30, 50, 70][tape.next(3)]),
                1 => world.foreign_change(write.action().weight().expect("a weight").get().into()),
                _ => {}
            }
            world.put(Input::Sent { ticket, result: lost() });
        }
        3 => world.put(Input::Sent { ticket, result: Err(failure(tape)).or_else(certain) }),
        4 => {
            world.foreign_change(tape.next(101) as u32);
            let result = world.arrive(&write);
            world.put(Input::Sent { ticket, result });
        }
        // Never answered at all.
        _ => {
            if tape.next(2) == 0 {
                let _ = world.arrive(&write);
            }
            world.pass(secs(16));
            world.put(Input::Due);
            // The answer that comes in the end means nothing any more.
            stale(world, Input::Sent { ticket, result: lost() });
        }
    }
}

fn certain(failure: Failure) -> Result<Accepted, Failure> {
    if failure.certainly_not_applied() { Err(failure) } else { Err(Failure::NotSent { why: "no route to host".into() }) }
}

/// A reply whose ticket is not outstanding changes nothing.
fn stale(world: &mut World, input: Input) {
    let before = world.engine.clone();
    let at = world.at;
    let outputs = world.engine.handle(&at, input);
    let same = before == world.engine && outputs.is_empty();
    if !same {
        world.watch.broken.push(format!("a stale reply was not a no-op: {outputs:?}"));
    }
}

fn foreign_entry(world: &mut World, tape: &mut Tape) -> Vec<Entry> {
    let event = match tape.next(3) {
        0 => Event::Note { text: "watching".into() },
        1 => Event::HoldBegan { reason: "I do not like it".into(), guard: None },
        _ => Event::ModeChanged { armed_until: None },
    };
    world.write_entries(vec![event.draft()], &actor("jon"))
}

/// What nobody asked for.
fn interfere(world: &mut World, tape: &mut Tape) {
    match tape.next(15) {
        0 | 1 => {
            let to = [0, 10, 25, 50, 100][tape.next(5)];
            world.foreign_change(to);
        }
        2 => {
            let entries = foreign_entry(world, tape);
            world.put(Input::Foreign { entries });
        }
        3 | 4 => {
            if !world.late.is_empty() {
                let write = world.late.remove(0);
                let _ = world.arrive(&write);
            }
        }
        5 => world.crash(),
        6 => world.put(Input::ClockJumped { what: "asleep 14m02s".into() }),
        7 => {
            let live = tape.next(2) == 0;
            world.put(Input::Data { live, why: "prom-eu is lost".into() });
        }
        8 => world.put(Input::Landed { agreed: true, shown: "24.8% of 1240 requests".into() }),
        9 => stale(
            world,
            Input::Read {
                ticket: Ticket(u64::MAX),
                result: Ok(Box::new(world.route.subject(&Action::SetWeight { canary: Percent::FULL }))),
            },
        ),
        10 => {
            let ticket = Ticket(u64::MAX);
            let unknown = || Failure::Unknown { why: "timed out".into() };
            let nobodys = match tape.next(6) {
                0 => Input::Appended { ticket, entries: vec![] },
                1 => Input::Sent { ticket, result: Ok(Accepted { version: None, after: None }) },
                2 => Input::Sent { ticket, result: Err(unknown()) },
                3 => Input::Planned { ticket, result: Err(unknown()) },
                4 => Input::EpochAdvanced { ticket, result: Ok(Epoch(99)) },
                _ => Input::Sampled { ticket, finding: bad(40) },
            };
            stale(world, nobodys);
        }
        11 | 12 => {
            if let Some(again) = world.answered.get(tape.next(world.answered.len())).cloned() {
                stale(world, again);
            }
        }
        13 => world.take_over(),
        _ => world.verdict = [Verdict::Go, Verdict::NoGo, Verdict::Watch, Verdict::Unknown][tape.next(4)],
    }
}

/// A person decides: mostly what is asked for, sometimes anything.
fn decide(world: &mut World, tape: &mut Tape) {
    let permit = world.permit();
    if world.asked.is_some() {
        return match tape.next(8) {
            0 => world.command(Command::Decline),
            1 => world.command(Command::Hold { reason: "wait".into() }),
            _ => world.confirm_now(),
        };
    }
    if tape.chance(60) {
        return anything(world, tape);
    }
    match world.question() {
        Some(Question::Act { .. }) if world.engine.state().phase == Phase::Running => {
            world.verdict = Verdict::Go;
            let permit = world.permit();
            world.command(Command::Propose { permit });
        }
        Some(Question::Act { .. }) => world.command(Command::ProposeBackOut { why: "again".into() }),
        Some(Question::Gate { .. }) => world.command(Command::Gate { go: tape.next(4) > 0, permit }),
        Some(Question::Items { step, open }) => {
            let answer = ["OPS-1", "done"][open[0]];
            let answer = if tape.next(6) == 0 { "no" } else { answer };
            world.command(Command::Answer { step, item: open[0], answer: answer.into() });
        }
        Some(Question::Agree { step }) => cast(world, tape, &step),
        Some(Question::Failed { offer, .. }) => {
            let choice = if tape.next(2) == 0 { offer[0] } else { offer[tape.next(offer.len())] };
            world.command(Command::Choose { choice, reason: Some("agreed".into()) });
        }
        Some(Question::Unclear { redo, adopt, .. }) => match tape.next(4) {
            0 if adopt => world.command(Command::Adopt { reason: "agreed".into() }),
            0..3 if redo => world.command(Command::Redo),
            3 if tape.next(2) == 0 => {}
            _ if tape.next(4) == 0 => world.command(Command::Abort { reason: "unclear".into() }),
            _ => world.command(Command::ProposeBackOut { why: "unclear".into() }),
        },
        Some(Question::Preconditions { .. }) => {}
        None if world.engine.state().hold.is_some() => world.command(Command::Unhold),
        None => {}
    }
}

/// People answer at a gate for several, each from their own terminal; some of them have no right to.
fn cast(world: &mut World, tape: &mut Tape, gate: &StepId) {
    for _ in 0..=tape.next(3) {
        let state = world.engine.state();
        let Some(hash) = state.step_and_state(gate).and_then(|(_, s)| s.terms.as_ref()).map(|t| t.plan_hash.clone()) else { return };
        let who = ["ada", "jon", "ines", "maria", "mallory"][tape.next(5)];
        let role = ["sre", "lead", "qa"][tape.next(3)].to_owned();
        let vote = [Vote::Go, Vote::Go, Vote::Go, Vote::Go, Vote::NoGo, Vote::Withdrawn][tape.next(6)];
        let reason = (vote == Vote::NoGo).then(|| "I do not like it".to_owned());
        let code = hash.get(..8).map(str::to_owned);
        let ballot = Ballot { role: Some(role.clone()), vote, code, reason: reason.clone() };
        let events = match state.vote(gate, who, &ballot, world.at.wall) {
            Ok(events) => events,
            // Somebody writes it into the journal all the same.
            Err(_) if tape.chance(64) => {
                vec![Event::GateVoted { step: gate.clone(), role, vote, reason, plan_hash: hash, signature: None }]
            }
            Err(_) => continue,
        };
        let entries = world.write_entries(events.iter().map(Event::draft).collect(), &actor(who));
        world.put(Input::Foreign { entries });
    }
}

fn anything(world: &mut World, tape: &mut Tape) {
    let permit = world.permit();
    let command = match tape.next(12) {
        0 => Command::ProposeBackOut { why: "enough".into() },
        1 | 2 => Command::Propose { permit },
        3 => Command::Hold { reason: "wait".into() },
        4 | 5 => Command::Unhold,
        6 => Command::Gate { go: true, permit },
        7 => Command::Redo,
        8 => Command::Adopt { reason: "agreed".into() },
        9 if tape.chance(64) => Command::Abort { reason: "enough".into() },
        10 => Command::Confirm { plan_hash: "stale".into(), typed: "0".into(), shown: secs(1), permit },
        _ => Command::Choose { choice: Choice::Retry, reason: None },
    };
    let said = world.said.len();
    let (open, facts) = (world.open.len(), world.engine.clone());
    world.command(command.clone());
    let silent = said == world.said.len() && open == world.open.len() && facts == world.engine && world.withdrawn.is_empty();
    if silent {
        world.watch.broken.push(format!("{command:?} was ignored"));
    }
}

/// Lets everything calm down: the platform answers, nobody interferes.
pub(super) fn calm(world: &mut World) {
    world.verdict = Verdict::Go;
    world.guard = good();
    world.settle();
    for _ in 0..30 {
        world.pass(secs(5));
        world.put(Input::Due);
        world.settle();
    }
}

/// What the engine believes is what is there, or somebody is being asked.
pub(super) fn belief(world: &mut World, disturbed: bool) {
    if world.engine.passive().is_some() {
        return;
    }
    let state = world.engine.state();
    let accepted = state.current().is_some_and(|(step, st)| {
        st.phase == StepPhase::Active && state.operation.as_ref().is_some_and(|op| op.step == step.id && op.stage == OpStage::Accepted)
    });
    let open = state.unclear().is_some() || accepted;
    if open && world.question().is_none() && !state.phase.is_final() && world.asked.is_none() {
        let text = format!("an operation is open and nobody is asked: {:?} {}", state.operation, world.engine.waiting_for());
        world.watch.broken.push(text);
    }
    if disturbed || open {
        return;
    }
    let believed = world.engine.state().intended;
    if let Some(weight) = believed.filter(|w| !world.route.is_at(*w)) {
        let text = format!("believed {weight}%, and the platform is at {}", world.route.canary);
        world.watch.broken.push(text);
    }
}

/// Plays one tape to its end.
pub(super) fn play(bytes: Vec<u8>, break_rule: bool) -> World {
    let mut tape = Tape { bytes, at: 0 };
    let weather = Weather { trouble: [0, 16, 30][tape.next(3)], interference: [0, 8, 30][tape.next(3)] };
    let (runbook, auto) = runbook(&mut tape);
    let mut world = World::new(&runbook, auto);
    world.fence_marks_op = tape.next(2) == 1;
    if break_rule {
        world.engine.break_intent_rule_for_test();
    }
    let mut bad_guard = 0;
    while !tape.is_over() && world.watch.broken.is_empty() {
        match tape.next(16) {
            0..10 => reply(&mut world, &mut tape, &weather),
            10..12 => {
                let seconds = [1, 2, 5, 20, 61, 90][tape.next(6)];
                world.pass(secs(seconds));
                world.put(Input::Due);
            }
            12..15 => decide(&mut world, &mut tape),
            _ if tape.chance(weather.interference * 4) => interfere(&mut world, &mut tape),
            _ => {}
        }
        if tape.chance(weather.interference / 8) {
            bad_guard = 3;
        }
        if bad_guard > 0 {
            bad_guard -= 1;
            guards_read(&mut world, bad(40));
        }
        if tape.at.is_multiple_of(8) {
            looks_again(&mut world);
        }
    }
    world
}

/// Looking again at the same moment finds nothing to do.
fn looks_again(world: &mut World) {
    let at = world.at;
    let mut again = world.engine.clone();
    let idle = again.handle(&at, Input::Due);
    if !idle.is_empty() || again != world.engine {
        world.watch.broken.push(format!("looking again at the same moment is not nothing: {idle:?}"));
    }
}

/// The guards' open questions are answered with this.
fn guards_read(world: &mut World, finding: Finding) {
    let open = std::mem::take(&mut world.open);
    for request in open {
        match request {
            Output::Sample { ticket, what: SampleOf::Guard { .. }, .. } => world.put(Input::Sampled { ticket, finding: finding.clone() }),
            other => world.open.push_back(other),
        }
    }
}
