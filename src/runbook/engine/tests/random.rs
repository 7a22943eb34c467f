//! Random worlds: they answer the engine's outstanding requests in every way the outside can, while people decide and others interfere.

use super::books::*;
use super::world::*;
use crate::domain::record::{Draft, Entry, verify_chain};
use crate::domain::*;
use crate::runbook::engine::Engine;
use crate::runbook::io::*;
use crate::runbook::plan::*;
use crate::runbook::record::{Event, Found};
use crate::runbook::state::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Choices, one after the other; a shorter tape is a simpler world.
struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
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

/// How wild a world is.
struct Weather {
    /// Chance in 256 that an answer is not the good one.
    trouble: usize,
    /// Chance in 256 of something that nobody asked for, at each turn.
    interference: usize,
}

fn runbook(tape: &mut Tape) -> (Runbook, bool) {
    let auto = tape.next(2) == 1;
    let mut book = match tape.next(4) {
        0 => full(),
        1 => stairs(),
        2 => book(vec![shift("to-25", 25), bake("bake", 90), shift("to-50", 50)], vec![], vec![guard("errors", GuardThen::Rollback)]),
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
            world.put(Input::Sent { ticket, result: lost() });
        }
        1 => {
            world.late.push(write);
            world.put(Input::Sent { ticket, result: lost() });
        }
        2 => {
            // Lost for good, and somebody else steps in.
            if tape.next(2) == 0 {
                world.foreign_change([30, 50, 70][tape.next(3)]);
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
    match tape.next(12) {
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
        10 => stale(world, Input::Appended { ticket: Ticket(u64::MAX), entries: vec![] }),
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
        Some(Question::Failed { offer, .. }) => {
            let choice = if tape.next(2) == 0 { offer[0] } else { offer[tape.next(offer.len())] };
            world.command(Command::Choose { choice, reason: Some("agreed".into()) });
        }
        Some(Question::Unclear { redo, adopt, .. }) => match tape.next(4) {
            0 if adopt => world.command(Command::Adopt { reason: "agreed".into() }),
            0..3 if redo => world.command(Command::Redo),
            3 if tape.next(2) == 0 => {}
            _ => world.command(Command::ProposeBackOut { why: "unclear".into() }),
        },
        None if world.engine.state().hold.is_some() => world.command(Command::Unhold),
        None => {}
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
fn calm(world: &mut World) {
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
fn belief(world: &mut World, disturbed: bool) {
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
fn play(bytes: Vec<u8>, break_rule: bool) -> World {
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
        let at = world.at;
        let mut again = world.engine.clone();
        let idle = again.handle(&at, Input::Due);
        if !idle.is_empty() || again != world.engine {
            world.watch.broken.push(format!("looking again at the same moment is not nothing: {idle:?}"));
        }
    }
    world
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

/// Any prefix of the journal, written out and read again, folds to the same state and can be gone on with.
fn prefixes(world: &World) -> Result<(), String> {
    let mut state: Option<RunState> = None;
    let step = (world.journal.len() / 8).max(1);
    for (i, entry) in world.journal.iter().enumerate() {
        match state.as_mut() {
            None => state = Some(RunState::begin(entry).map_err(|e| e.to_string())?),
            Some(state) => state.fold(entry).map_err(|e| e.to_string())?,
        }
        if i % step == 0 {
            let state = state.clone().ok_or("no state")?;
            let mut restored = Engine::new(state, Epoch(1000), "boot-2".into(), 1 << 60);
            restored.handle(&world.at, Input::Begin);
            let waits = restored.deadline().is_some() || restored.question().is_some();
            let works = restored != Engine::new(restored.state().clone(), Epoch(1000), "boot-2".into(), 1 << 60);
            if !waits && !works {
                return Err(format!("restored after entry {} it stands still", i + 1));
            }
        }
    }
    verify_chain(&world.journal)
}

fn check_world(mut world: World) -> World {
    world.watch.journal(&world.journal.clone());
    for (op, times) in world.effects.clone() {
        if times > 1 {
            world.watch.broken.push(format!("{op} took effect {times} times"));
        }
    }
    let late = world.late.len();
    if world.watch.broken.is_empty() {
        calm(&mut world);
        let foreign = world.journal.iter().any(|e| e.kind == "action.adopted") || late > 0;
        let changed = world.route.last_writer.is_some();
        belief(&mut world, foreign || changed);
        world.watch.journal(&world.journal.clone());
    }
    if let Err(why) = prefixes(&world) {
        world.watch.broken.push(why);
    }
    world
}

/// How deep a world got.
fn depths(world: &World) -> Vec<&'static str> {
    let mut deep = Vec::new();
    let kinds: Vec<&str> = world.kinds();
    let has = |kind: &str| kinds.contains(&kind);
    let of = |kind: &str| world.journal.iter().filter(|e| e.kind == kind).filter_map(|e| Event::of(e).ok()).collect::<Vec<_>>();
    if has("action.verified") {
        deep.push("verified shift");
    }
    let unknown = of("action.outcome")
        .iter()
        .any(|e| matches!(e, Event::ActionOutcome { outcome: crate::runbook::record::SendOutcome::Unknown { .. }, .. }));
    if unknown {
        deep.push("unknown");
    }
    let found: Vec<Found> = of("action.reconciled")
        .iter()
        .filter_map(|e| if let Event::ActionReconciled { found, .. } = e { Some(*found) } else { None })
        .collect();
    for (what, name) in
        [(Found::Applied, "found applied"), (Found::NotYet, "not yet"), (Found::Drifted, "drifted"), (Found::Never, "fenced off")]
    {
        if found.contains(&what) {
            deep.push(name);
        }
    }
    let intents = of("action.intent");
    let fenced = intents.iter().position(|e| matches!(e, Event::ActionIntent { fence: true, .. }));
    if fenced.is_some_and(|at| intents[at..].iter().any(|e| matches!(e, Event::ActionIntent { fence: false, .. }))) {
        deep.push("act behind a fence");
    }
    if has("run.rolled_back") {
        deep.push("back-out done");
    }
    if of("rollback.began").iter().any(|e| matches!(e, Event::RollbackBegan { automatic: true, .. })) {
        deep.push("automatic back-out");
        if has("run.rolled_back") {
            deep.push("automatic back-out done");
        }
    }
    for (kind, name) in [
        ("run.resumed", "resumed"),
        ("action.adopted", "adopted"),
        ("action.replanned", "replanned"),
        ("run.completed", "completed"),
        ("run.aborted", "aborted"),
        ("guard.countdown_cancelled", "countdown stopped"),
        ("step.failed", "step failed"),
        ("step.undone", "undone"),
        ("gate.answered", "gate"),
    ] {
        if has(kind) {
            deep.push(name);
        }
    }
    deep
}

fn tapes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 300..2400)
}

/// Plays so many worlds; counts how many reached which depth.
fn worlds(cases: u32, seed: u8) -> BTreeMap<&'static str, u32> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let deep: RefCell<BTreeMap<&'static str, u32>> = RefCell::default();
    let result = runner.run(&tapes(), |bytes| {
        let world = check_world(play(bytes, false));
        prop_assert!(world.watch.broken.is_empty(), "{:#?}\n{}", world.watch.broken, told(&world));
        for name in depths(&world) {
            *deep.borrow_mut().entry(name).or_default() += 1;
        }
        Ok(())
    });
    if let Err(e) = result {
        let text = e.to_string();
        panic!("{}", text.split("minimal failing input").next().unwrap_or_default());
    }
    deep.into_inner()
}

#[test]
#[ignore = "takes minutes: the same with other seeds and more worlds"]
fn many_more_worlds_keep_the_rules() {
    for seed in 1..=4 {
        worlds(3000, seed);
    }
}

#[test]
fn every_world_keeps_the_rules_and_many_get_deep() {
    let cases = 400;
    let deep = worlds(cases, 7);
    let floors = [
        ("verified shift", 40),
        ("unknown", 15),
        ("found applied", 8),
        ("not yet", 8),
        ("drifted", 1),
        ("fenced off", 6),
        ("act behind a fence", 3),
        ("back-out done", 30),
        ("automatic back-out", 6),
        ("automatic back-out done", 5),
        ("resumed", 6),
        ("adopted", 0),
        ("replanned", 30),
        ("completed", 10),
        ("aborted", 8),
        ("countdown stopped", 1),
        ("step failed", 5),
        ("undone", 10),
        ("gate", 3),
    ];
    for (name, percent) in floors {
        let reached = deep.get(name).copied().unwrap_or_default();
        assert!(reached > 0 && reached * 100 >= percent * cases, "only {reached} of {cases} worlds reached `{name}`: {deep:#?}");
    }
}

fn told(world: &World) -> String {
    let lines = world.journal.iter().map(|e| {
        let mut body = e.body.to_string();
        body.truncate(if e.kind == "run.started" { 0 } else { 260 });
        format!("{} {} e{} {} {}", e.seq, e.actor.id, e.epoch, e.kind, body)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_world_whose_engine_sends_too_early_is_caught() {
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let caught = runner.run(&tapes(), |bytes| {
        let world = check_world(play(bytes, true));
        prop_assert!(world.watch.broken.is_empty(), "{:?}", world.watch.broken);
        Ok(())
    });
    let why = caught.expect_err("sending before the intent is durable must be noticed").to_string();
    assert!(why.contains("without a durable intent"), "{why}");
}
