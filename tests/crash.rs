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
            assert_eq!(ended.code, Some(0), "{}\n{:#?}", ended.said, world.seen());
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

    /// Killed at one point in a fresh world, and continued. `None`: it was over before.
    fn survives(self, crash: &str, faults: &[&str]) -> Option<String> {
        let world = self.world(faults);
        if self.scene == PROMOTE.scene {
            start_and_kill(&world, None);
        }
        let ended = world.run(self.args, Some(crash));
        let point = ended.point().map(str::to_owned);
        if point.is_none() {
            assert_eq!(ended.code, Some(0), "{}\n{:#?}", ended.said, world.seen());
        }
        self.finish(&world);
        point
    }

    /// As [`Act::survives`], for the first, second, ... point that is passed at all.
    fn survives_everywhere(self, from: u32, step: usize, faults: &[&str]) -> Vec<String> {
        (from..200).step_by(step).map_while(|pass| self.survives(&format!("any:{pass}"), faults)).collect()
    }
}

#[test]
fn a_back_out_survives_every_point() {
    let points = BACK_OUT.survives_everywhere(1, 1, &[]);
    assert_eq!(distinct(&points).into_iter().collect::<Vec<_>>(), POINTS, "{points:?}");
    assert!(points.len() >= 20, "{points:?}");
}

#[test]
fn a_promotion_survives_every_point() {
    let points = PROMOTE.survives_everywhere(1, 1, &[]);
    assert_eq!(distinct(&points).into_iter().collect::<Vec<_>>(), POINTS, "{points:?}");
    assert!(points.len() >= 16, "{points:?}");
}
