//! A scripted act whose driver dies anywhere, and the same act asked for again: on a journal and a platform that are plain values.

use super::super::effect::Effect;
use super::super::model::{Model, Options};
use super::super::msg::{Envelope, Msg};
use super::{Request, ScriptEnd, run, update};
use crate::domain::record::{Actor, Draft, Entry, EntryTime, GENESIS};
use crate::domain::*;
use crate::runbook::record::Event;
use crate::runbook::state::{Phase, RunState};
use chrono::DateTime;
use std::collections::VecDeque;
use std::time::Duration;

fn spec() -> ServiceSpec {
    let track = |deployment: &str| TrackSpec { deployment: deployment.into(), labels: Labels::new() };
    ServiceSpec {
        name: "checkout".into(),
        platform: "sim".into(),
        context: "sim".into(),
        namespace: "shop".into(),
        environment: "production".into(),
        protection: Protection::Protected,
        metrics: "prom".into(),
        scrape_interval: Duration::from_secs(15),
        baseline: track("stable"),
        canary: track("canary"),
        route: RouteSpec::VirtualService {
            name: "checkout".into(),
            http: None,
            baseline_subset: "stable".into(),
            canary_subset: "canary".into(),
        },
        requests: "requests".into(),
        alerts: None,
        gates: vec![],
        harm: HarmSpec::default(),
        policy: Policy::default(),
        with: vec![],
    }
}

/// One process after another at the same journal and platform.
struct Desk {
    model: Model,
    at: Stamp,
    /// Asked for and not done yet.
    open: VecDeque<Effect>,
    /// Done, and its answer not yet delivered.
    answer: Option<Msg>,
    journal: Vec<Entry>,
    seat: Epoch,
    route: Route,
    acts: u32,
    fences: u32,
}

impl Desk {
    fn new() -> Self {
        let at = Stamp { wall: DateTime::UNIX_EPOCH, boot: Duration::from_secs(100), mono: Duration::from_secs(100) };
        let route = Route {
            object: "virtualservice/checkout".into(),
            uid: "u".into(),
            version: "1".into(),
            rule: "primary".into(),
            canary: 25,
            baseline: 75,
            others: 0,
            stamp: None,
            pinned: vec![],
            last_writer: None,
            trouble: None,
        };
        let (open, journal) = (VecDeque::new(), Vec::new());
        Self { model: Self::process(at), at, open, answer: None, journal, seat: Epoch(0), route, acts: 0, fences: 0 }
    }

    fn process(at: Stamp) -> Model {
        let options = Options {
            operator: "mira".into(),
            read_only: false,
            spectator: false,
            starts_armed: false,
            tour: false,
            local_offset: 0,
            local_zone: "UTC".into(),
            command: "gonogo".into(),
            ..Options::default()
        };
        Model::new(spec(), options, at)
    }

    fn say(&mut self, msg: Msg) {
        let effects = update(&mut self.model, &Envelope { seq: 0, stamp: self.at, msg });
        let ours = |effect: &Effect| !matches!(effect, Effect::Refresh | Effect::Bell);
        self.open.extend(effects.into_iter().filter(ours));
    }

    fn write_down(&mut self, drafts: Vec<Draft>) -> Vec<Entry> {
        let from = self.journal.len();
        for draft in drafts {
            let mut entry = Entry {
                run: "checkout-1".into(),
                seq: self.journal.len() as u64 + 1,
                epoch: self.seat,
                prev: self.journal.last().map_or_else(|| GENESIS.to_owned(), |e| e.hash.clone()),
                time: EntryTime { wall: self.at.wall, boot: self.at.boot.as_millis() as u64, boot_id: "boot".into(), store: self.at.wall },
                actor: Actor { id: "mira".into(), strength: "asserted".into(), client: format!("mira {}", self.seat) },
                kind: draft.kind,
                step: draft.step,
                body: draft.body,
                hash: String::new(),
            };
            entry.hash = entry.compute_hash().unwrap();
            self.journal.push(entry);
        }
        self.journal[from..].to_vec()
    }

    /// The seat, and the entries that come with it.
    fn open_run(&mut self, first: Option<Draft>) -> Msg {
        self.seat = self.seat.next();
        let taken = Event::LeaseAcquired { epoch: self.seat, taken_from: None }.draft();
        let resumed = first.is_none();
        let drafts = match first {
            Some(first) => vec![first, taken],
            None => vec![taken, Event::RunResumed { epoch: self.seat }.draft()],
        };
        self.write_down(drafts);
        Msg::RunOpened { entries: self.journal.clone(), epoch: self.seat, boot_id: "boot".into(), resumed }
    }

    /// The write takes effect under the conditions that it carries.
    fn apply(&mut self, write: &Write) -> Result<Accepted, Failure> {
        assert_eq!(write.before.relied(), self.route.subject(write.action()).relied(), "nobody else writes here");
        let op = match &write.kind {
            WriteKind::Act { action } => {
                let intent = self.journal.iter().any(|e| e.kind == "action.intent" && e.body["op"] == write.op.0);
                assert!(intent, "{} without its intent", write.op);
                self.acts += 1;
                self.route.canary = u32::from(action.weight().expect("a weight").get());
                self.route.baseline = 100 - self.route.canary;
                write.op.clone()
            }
            WriteKind::Fence { .. } => {
                self.fences += 1;
                self.route.stamp.as_ref().map_or_else(|| OpId::from(""), |stamp| stamp.op.clone())
            }
        };
        self.route.stamp = Some(WriteStamp { run: write.run.clone(), op, epoch: write.epoch });
        Ok(Accepted { version: None, after: None })
    }

    fn does(&mut self, effect: Effect) -> Option<Msg> {
        Some(match effect {
            Effect::StartRun { first } => self.open_run(Some(first)),
            Effect::Append { ticket, after, drafts, .. } => {
                assert_eq!(after, self.journal.len() as u64, "one writer");
                Msg::Appended { ticket, entries: self.write_down(drafts) }
            }
            Effect::AdvanceEpoch { ticket, .. } => {
                self.seat = self.seat.next();
                Msg::EpochAdvanced { ticket, result: Ok(self.seat) }
            }
            Effect::Read { ticket, action, .. } => Msg::SubjectRead { ticket, result: Ok(Box::new(self.route.subject(&action))) },
            Effect::Plan { ticket, action, .. } => {
                let plan = ActionPlan {
                    before: self.route.subject(&action),
                    consequence: action.consequence(),
                    warnings: vec![],
                    action,
                    diff: vec![],
                    dry_run: Preflight::Accepted,
                    access: Preflight::Accepted,
                    request: String::new(),
                };
                Msg::Planned { ticket, result: Ok(Box::new(plan)) }
            }
            Effect::Send { ticket, write, .. } => {
                let result = self.apply(&write);
                Msg::Sent { ticket, result }
            }
            Effect::Query { ticket, .. } => Msg::Answered { ticket, result: Err(Failure::Unreadable { why: "no metrics here".into() }) },
            // The seat is given up; nobody else wants it.
            Effect::Leave => return None,
            other => panic!("{other:?} is not expected here"),
        })
    }

    /// One thing more happens: something asked for is done, its answer comes, or a second passes.
    fn step(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.say(answer);
        } else if let Some(effect) = self.open.pop_front() {
            self.answer = self.does(effect);
        } else {
            let second = Duration::from_secs(1);
            self.at = Stamp { wall: self.at.wall + second, boot: self.at.boot + second, mono: self.at.mono + second };
            self.say(Msg::Tick);
        }
    }

    /// A new process that is given the same command.
    fn process_asks(&mut self, request: &Request) {
        self.model = Self::process(self.at);
        self.open.clear();
        self.answer = None;
        if !self.journal.is_empty() {
            let opened = self.open_run(None);
            self.say(opened);
        }
        self.say(Msg::Requested(request.clone()));
    }

    /// At most this many steps; how the script ended, if it did.
    fn steps(&mut self, most: usize) -> Option<ScriptEnd> {
        for _ in 0..most {
            if self.model.script_end().is_some() {
                break;
            }
            self.step();
        }
        self.model.script_end().cloned()
    }
}

impl Desk {
    fn steps_until(&mut self, is_there: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if is_there(self) {
                return;
            }
            self.step();
        }
        panic!("it does not come: {:#?}", self.journal);
    }
}

fn back_out() -> Request {
    Request::BackOut { confirm: "0".into() }
}

#[test]
fn a_back_out_that_died_anywhere_is_finished_by_the_same_command() {
    let mut deaths = 0;
    for most in 0.. {
        let mut desk = Desk::new();
        desk.process_asks(&back_out());
        if desk.steps(most).is_some() {
            break;
        }
        deaths += 1;
        if !desk.journal.is_empty() && RunState::of(&desk.journal).unwrap().phase.is_final() {
            continue;
        }
        desk.process_asks(&back_out());
        let end = desk.steps(500);
        assert!(matches!(end, Some(ScriptEnd::Done(_))), "died after {most} steps: {end:?}\n{:#?}", desk.journal);
        // What follows by itself is recorded.
        while let Some(effect) = desk.open.pop_front() {
            if let Some(answer) = desk.does(effect) {
                desk.say(answer);
            }
        }
        assert_eq!((desk.acts, desk.route.canary), (1, 0), "died after {most} steps");
        assert_eq!(RunState::of(&desk.journal).unwrap().phase, Phase::RolledBack, "died after {most} steps");
    }
    assert!(deaths > 15, "only {deaths} deaths");
}

#[test]
fn what_was_intended_and_not_sent_is_closed_off_before_it_is_done_again() {
    let mut desk = Desk::new();
    desk.process_asks(&back_out());
    desk.steps_until(|desk| desk.journal.last().is_some_and(|e| e.kind == "action.intent"));
    desk.process_asks(&back_out());
    desk.steps_until(|desk| desk.acts > 0);
    assert_eq!(desk.fences, 1);
    assert_eq!(desk.journal.iter().filter(|e| e.kind == "action.confirmed").count(), 2);
}

#[test]
fn a_warning_on_the_way_is_no_refusal() {
    let mut desk = Desk::new();
    desk.route.trouble = Some("the weights of the rule do not add up to 100".into());
    desk.process_asks(&back_out());
    assert!(matches!(desk.steps(500), Some(ScriptEnd::Done(_))), "{:?}", desk.model.script_end());
    assert_eq!(desk.acts, 1);
}

#[test]
fn a_back_out_that_did_not_arrive_ends_as_unknown() {
    let mut desk = Desk::new();
    desk.process_asks(&back_out());
    desk.steps_until(|desk| matches!(desk.open.front(), Some(Effect::Send { .. })));
    let Some(Effect::Send { ticket, .. }) = desk.open.pop_front() else { panic!("a send") };
    desk.say(Msg::Sent { ticket, result: Err(Failure::Unknown { why: "cut off".into() }) });
    let end = desk.steps(500);
    assert!(matches!(&end, Some(ScriptEnd::Unknown(why)) if why.contains("cut off")), "{end:?}");
    assert_eq!((desk.acts, desk.fences), (0, 0), "nothing is sent again by itself");
}

fn shift() -> Action {
    Action::SetWeight { canary: Percent::new(50).unwrap() }
}

/// A run of one shift, as a driver that died left it.
fn desk_with_a_run(events: &[Event]) -> Desk {
    let mut desk = Desk::new();
    let mut book = crate::runbook::from_journal(&run::back_out_run(&desk.model).body["runbook"]).unwrap();
    let act = crate::runbook::StepKind::Do(shift());
    book.steps
        .push(crate::runbook::Step { confirm: Confirm::Consequence, ..crate::runbook::Step::new("shift".into(), "shift".into(), act) });
    let first = super::first_draft(&desk.model, &book, false);
    desk.open_run(Some(first));
    desk.write_down(events.iter().map(Event::draft).collect());
    desk.process_asks(&Request::Promote { to: Percent::new(50).unwrap(), confirm: "50".into() });
    // Enough to be judged by: that nothing is known.
    desk.model.platform.failures = 1;
    desk.say(Msg::Tick);
    desk
}

#[test]
fn a_promotion_waits_until_the_run_has_recorded_where_it_stands() {
    let before = Desk::new().route.subject(&shift()).relied();
    let op = OpId::from("checkout-1/shift/1");
    // A confirmation whose driver died has to be voided before the run waits for a promotion again.
    let mut desk = desk_with_a_run(&[
        Event::StepEntered { step: "shift".into(), attempt: 1 },
        Event::ActionPlanned { op: op.clone(), step: "shift".into(), action: shift(), plan_hash: "h".into(), before, shown: String::new() },
        Event::ActionConfirmed { op, plan_hash: "h".into(), typed: "50".into(), shown_ms: 0, evidence: String::new() },
    ]);
    // Last, so that only the record is still missing.
    desk.model.observed.trouble = Some("no metrics here".into());
    desk.say(Msg::Tick);
    assert_eq!(desk.model.script_end(), None, "the run is not asked before it has said where it stands");
    match desk.steps(20) {
        Some(ScriptEnd::Refused(why)) => assert!(!why.contains("does not wait") && why.contains("no data"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_promotion_waits_for_the_first_look_at_the_traffic() {
    let mut desk = desk_with_a_run(&[Event::StepEntered { step: "shift".into(), attempt: 1 }]);
    let (queries, others): (Vec<_>, Vec<_>) = desk.open.drain(..).partition(|effect| matches!(effect, Effect::Query { .. }));
    assert!(!queries.is_empty());
    for effect in others {
        if let Some(answer) = desk.does(effect) {
            desk.say(answer);
        }
    }
    assert_eq!(desk.model.script_end(), None, "without a look nothing can be said about the traffic");
    desk.open.extend(queries);
    assert!(matches!(desk.steps(20), Some(ScriptEnd::Refused(_))));
}
