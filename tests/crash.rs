//! The shipped program is killed at every durable step of an act and continued, with the platform in another process.
//!
//! Whatever the moment: the platform gets an act once, nothing gets there that was not recorded as intended before, and the record
//! says what the platform is, or that it has to be asked. Only with the feature `failpoints`.

#![cfg(feature = "failpoints")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "crash/cockpit.rs"]
mod cockpit;
#[path = "crash/world.rs"]
mod world;

use cockpit::{Cockpit, start_and_kill};
use gonogo::runbook::record::Found;
use gonogo::runbook::state::{Phase, Question};
use std::process::Stdio;
use std::time::Duration;
use world::{World, distinct, eventually};

/// An act for scripts: what is sent again after every death, and what it should come to.
#[derive(Debug, Clone, Copy)]
struct Act {
    scene: &'static str,
    args: &'static [&'static str],
    before: u64,
    wanted: u64,
    phase: Phase,
}

/// From nothing: the back-out makes its own run.
const BACK_OUT: Act = Act { scene: "no-go", args: &["backout", "--confirm", "0"], before: 25, wanted: 0, phase: Phase::RolledBack };

/// In a run that a cockpit began.
const PROMOTE: Act =
    Act { scene: "ready-50", args: &["promote", "--to", "50", "--confirm", "50"], before: 25, wanted: 50, phase: Phase::Completed };

/// Every durable step, before and after.
const POINTS: [&str; 6] = [
    "journal::after_commit",
    "journal::before_commit",
    "platform::after_send",
    "platform::before_send",
    "seat::after_commit",
    "seat::before_commit",
];

impl Act {
    fn world(self, faults: &[&str]) -> World {
        let world = World::start(self.scene, faults);
        assert_eq!(world.weight(), self.before);
        world
    }

    /// The same command again, until its end.
    fn finish(self, world: &World) {
        if !world.checked(self.before).is_over() {
            let ended = world.run(self.args, None);
            assert_eq!(ended.code, Some(0), "{}\n{:?}", ended.said, world.seen());
        }
        self.is_done(world);
    }

    fn is_done(self, world: &World) {
        if let Err(why) = world.seen().check_done(self.before, self.wanted, self.phase) {
            panic!("{why}");
        }
        let told = world.run(&["show"], None);
        assert!(told.code == Some(0) && told.said.contains("chain OK"), "{}", told.said);
    }

    /// A fresh world, with the run in which it is to happen where it needs one.
    fn begun(self, faults: &[&str]) -> World {
        let world = self.world(faults);
        if self.phase == Phase::Completed {
            assert!(!start_and_kill(&world, None), "the cockpit ended by itself");
        }
        world
    }

    /// Killed at one point in a fresh world, and continued. Gives the point; `None` when it was over before.
    fn survives(self, crash: &str, faults: &[&str]) -> Option<String> {
        let world = self.begun(faults);
        let ended = world.run(self.args, Some(crash));
        let point = ended.point().map(str::to_owned);
        if point.is_none() {
            assert_eq!(ended.code, Some(0), "{}\n{:?}", ended.said, world.seen());
        }
        self.finish(&world);
        point
    }

    /// As [`Act::survives`], pass after pass, as long as a point is passed at all.
    fn survives_from(self, first: u32, faults: &[&str]) -> Vec<String> {
        (first..200).map_while(|pass| self.survives(&format!("any:{pass}"), faults)).collect()
    }

    /// Killed again and again in one run, each time one point later than the time before.
    fn survives_a_series(self) {
        let world = self.begun(&[]);
        let mut deaths = 0;
        for pass in 1..200 {
            let ended = world.run(self.args, Some(&format!("any:{pass}")));
            if ended.point().is_none() {
                assert_eq!(ended.code, Some(0), "{}\n{:?}", ended.said, world.seen());
                break;
            }
            deaths += 1;
            if world.checked(self.before).is_over() {
                break;
            }
        }
        assert!(deaths >= 10, "only {deaths} deaths");
        self.finish(&world);
    }

    /// Killed from outside at random instants.
    fn survives_chance(self, seed: u64) {
        let world = self.begun(&[]);
        let mut random = Chance(seed);
        for _ in 0..8 {
            let mut child = world.command(self.args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
            // No wait for anything: the instant itself is what is tried.
            std::thread::sleep(Duration::from_millis(random.below(900)));
            let _ = child.kill();
            let _ = child.wait();
            if world.checked(self.before).is_over() {
                break;
            }
        }
        self.finish(&world);
    }

    /// Killed while the platform keeps its answer back: the act is done, and nobody was told.
    fn survives_without_an_answer(self) {
        let world = self.begun(&["platform:reply-late@0+3600"]);
        let mut child = world.command(self.args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
        eventually("the act reaches the platform", || (!world.calls().is_empty()).then_some(()));
        let _ = child.kill();
        let _ = child.wait();
        let seen = world.checked(self.before);
        assert!(seen.state.as_ref().is_some_and(|state| state.unclear().is_some()), "{seen:?}");
        self.finish(&world);
        assert_eq!(world.calls().len(), 1, "reading was enough: {:#?}", world.calls());
    }

    /// An intent that was never sent is not sent by whoever comes next: he is asked.
    fn is_asked_about_before_it_is_sent(self) {
        let world = self.begun(&[]);
        assert_eq!(world.run(self.args, Some("platform::before_send:1")).point(), Some("platform::before_send"));
        let seen = world.checked(self.before);
        assert!(seen.calls.is_empty() && seen.state.as_ref().is_some_and(|s| s.unclear().is_some()), "{seen:?}");
        let mut cockpit = Cockpit::open(&world, &["resume"], None);
        eventually("the question", || {
            let question = world.checked(self.before).state.and_then(|state| state.question());
            matches!(question, Some(Question::Unclear { found: Some(Found::NotYet), redo: true, .. })).then_some(())
        });
        // It is nothing that is waited for: neither an act nor a fence.
        std::thread::sleep(Duration::from_secs(2));
        cockpit.kill();
        assert!(world.calls().is_empty(), "{:#?}", world.calls());
        self.finish(&world);
        let fences: Vec<bool> = world.calls().iter().map(|call| call.fence).collect();
        assert_eq!(fences, [true, false], "closed off first, then done");
    }
}

/// A sequence of numbers that a seed fixes.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn a_back_out_survives_every_point() {
    let points = BACK_OUT.survives_from(1, &[]);
    assert_eq!(distinct(&points).into_iter().collect::<Vec<_>>(), POINTS, "{points:?}");
    assert!(points.len() >= 20, "{points:?}");
}

#[test]
fn a_promotion_survives_every_point() {
    let points = PROMOTE.survives_from(1, &[]);
    assert_eq!(distinct(&points).into_iter().collect::<Vec<_>>(), POINTS, "{points:?}");
    assert!(points.len() >= 16, "{points:?}");
}

#[test]
fn the_start_of_a_run_survives_every_point() {
    let mut deaths = 0;
    for pass in 1..200 {
        let world = PROMOTE.world(&[]);
        let died = start_and_kill(&world, Some(&format!("any:{pass}")));
        if world.checked(PROMOTE.before).runs.is_empty() {
            start_and_kill(&world, None);
        }
        PROMOTE.finish(&world);
        if !died {
            break;
        }
        deaths += 1;
    }
    // Seat, first entries, first step. At its very last point it may be killed from outside before it gets there.
    assert!(deaths >= 5, "only {deaths} deaths");
}

#[test]
fn a_series_of_deaths_in_one_run_is_survived() {
    BACK_OUT.survives_a_series();
    PROMOTE.survives_a_series();
}

#[test]
fn lost_replies_and_deaths_together_are_survived() {
    // The passes before the intent are no different without replies.
    for act in [BACK_OUT, PROMOTE] {
        let points = act.survives_from(10, &["platform:reply-lost@0+3600"]);
        assert!(points.iter().any(|point| point == "platform::after_send"), "{points:?}");
    }
}

#[test]
fn late_replies_and_deaths_together_are_survived() {
    for act in [BACK_OUT, PROMOTE] {
        act.survives_without_an_answer();
    }
    // Beyond its deadline an answer counts as lost: that takes ten seconds each.
    BACK_OUT.survives("platform::after_send:1", &["platform:reply-late@0+3600"]);
    PROMOTE.survives("platform::before_send:1", &["platform:reply-late@0+3600"]);
}

#[test]
fn what_was_intended_and_not_sent_is_asked_about() {
    BACK_OUT.is_asked_about_before_it_is_sent();
    PROMOTE.is_asked_about_before_it_is_sent();
}

#[test]
fn somebody_elses_change_after_a_death_is_not_overwritten() {
    let world = PROMOTE.begun(&[]);
    assert_eq!(world.run(PROMOTE.args, Some("platform::before_send:1")).point(), Some("platform::before_send"));
    world.change_foreign(30);
    let ended = world.run(PROMOTE.args, None);
    assert_eq!(ended.code, Some(9), "{}", ended.said);
    let seen = world.checked(PROMOTE.before);
    assert_eq!((seen.weight, seen.calls.len()), (30, 1), "{seen:?}");
    // Backing out is still possible, and closes the lost act off first.
    let ended = world.run(BACK_OUT.args, None);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let seen = world.seen();
    seen.check_done(PROMOTE.before, 0, Phase::RolledBack).unwrap();
    let fences: Vec<bool> = seen.calls.iter().map(|call| call.fence).collect();
    assert_eq!(fences, [false, true, false], "{seen:?}");
}

#[test]
fn random_deaths_are_survived() {
    for seed in 0..10 {
        let act = if seed % 2 == 0 { BACK_OUT } else { PROMOTE };
        println!("seed {seed}");
        act.survives_chance(seed);
    }
}

/// The proof that these tests can fail: a journal that says that the intent is durable, and forgets it.
#[test]
fn an_act_before_its_intent_is_noticed() {
    let world = BACK_OUT.world(&[]);
    let mut command = world.command(BACK_OUT.args);
    // The fifth append: start, step, plan, confirmation, intent.
    command.env("FAILPOINTS", "journal::forgets=4*off->1*return->off").env("GONOGO_CRASH", "platform::after_send:1");
    assert_eq!(World::output(command).point(), Some("platform::after_send"));
    let why = world.seen().check(BACK_OUT.before).unwrap_err();
    assert!(why.contains("without a durable intent"), "{why}");
}
