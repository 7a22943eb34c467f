//! Many random worlds: each keeps the rules, and together they get deep.
//!
//! An ordinary `cargo test` plays a thousand of them, `cargo test --profile worlds --lib --no-default-features worlds` twenty thousand.

use super::depths::FLOORS;
use super::random::{Tape, belief, calm, play};
use super::world::World;
use crate::domain::Epoch;
use crate::runbook::engine::Engine;
use std::collections::BTreeMap;

/// With a debugger's build of the library a world takes thirty times as long.
const WORLDS: u64 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// Any prefix of the journal folds to a state that can be gone on with.
fn prefixes(world: &World) -> Result<(), String> {
    let mut state = world.begun.clone();
    let step = (world.journal.len() / 8).max(1);
    for (i, entry) in world.journal.iter().enumerate() {
        if i > 0 {
            state.fold(entry).map_err(|e| e.to_string())?;
        }
        if i % step == 0 {
            let state = state.clone();
            let mut restored = Engine::new(state, Epoch(1000), "boot-2".into(), 1 << 60);
            let outputs = restored.handle(&world.at, crate::runbook::io::Input::Begin);
            let works = !outputs.is_empty() || restored.deadline().is_some() || restored.question().is_some();
            if !works && !restored.state().phase.is_final() {
                return Err(format!("restored after entry {} it stands still", i + 1));
            }
        }
    }
    Ok(())
}

fn check_world(mut world: World) -> World {
    world.watch.journal(&world.journal.clone());
    let twice: Vec<_> = world.effects.iter().filter(|(_, times)| **times > 1).map(|(op, _)| op.clone()).collect();
    world.watch.must(twice.is_empty(), || format!("took effect more than once: {twice:?}"));
    let late = world.late.len();
    if world.watch.broken.is_empty() {
        calm(&mut world);
        let foreign = world.journal.iter().any(|e| e.kind == "action.adopted") || late > 0;
        let changed = world.route.last_writer.is_some();
        belief(&mut world, foreign || changed);
        world.watch.journal(&world.journal.clone());
    }
    let World { watch, engine, .. } = &mut world;
    watch.folds(engine);
    if let Err(why) = prefixes(&world) {
        world.watch.broken.push(why);
    }
    world
}

/// The shortest beginning of a tape that still breaks a rule: halves, then quarters, and so on are taken away from its end.
fn shortest(bytes: &[u8]) -> Vec<u8> {
    let breaks = |length: usize| !check_world(play(bytes[..length].to_vec(), false)).watch.broken.is_empty();
    let mut length = bytes.len();
    let mut cut = length / 2;
    while cut > 0 {
        if breaks(length - cut) {
            length -= cut;
        } else {
            cut /= 2;
        }
    }
    bytes[..length].to_vec()
}

fn told(world: &World) -> String {
    let lines = world.journal.iter().map(|e| {
        let mut body = e.body.to_string();
        body.truncate(if e.kind == "run.started" { 0 } else { 260 });
        format!("{} {} e{} {} {}", e.seq, e.actor.id, e.epoch, e.kind, body)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Plays the worlds of these seeds; counts how many reached which depth.
fn worlds(seeds: std::ops::Range<u64>) -> BTreeMap<&'static str, u64> {
    let mut deep = BTreeMap::new();
    for seed in seeds {
        let world = check_world(play(Tape::of(seed), false));
        if !world.watch.broken.is_empty() {
            let short = check_world(play(shortest(&Tape::of(seed)), false));
            panic!(
                "the world of seed {seed} breaks a rule: {:#?}\nand shortened: {:#?}\n{}",
                world.watch.broken,
                short.watch.broken,
                told(&short)
            );
        }
        for name in &world.watch.deep {
            *deep.entry(*name).or_default() += 1;
        }
    }
    deep
}

fn keep_the_rules(seeds: std::ops::Range<u64>) {
    let count = seeds.end - seeds.start;
    let deep = worlds(seeds);
    let missed = FLOORS.iter().filter(|(name, of_1000)| deep.get(name).copied().unwrap_or_default() * 1000 < of_1000 * count);
    let missed: Vec<_> = missed.collect();
    assert!(missed.is_empty(), "of {count} worlds too few reached {missed:?}: {deep:#?}");
}

// Two tests, so that two cores play.
#[test]
fn worlds_keep_the_rules_and_get_deep() {
    keep_the_rules(0..WORLDS);
}

#[test]
fn worlds_of_other_seeds_keep_the_rules_and_get_deep() {
    keep_the_rules(1 << 32..(1 << 32) + WORLDS);
}

#[test]
fn a_world_whose_engine_sends_too_early_is_caught() {
    let broken = (0..60).flat_map(|seed| play(Tape::of(seed), true).watch.broken);
    let told: Vec<String> = broken.collect();
    assert!(told.iter().any(|why| why.contains("without a durable intent")), "{told:?}");
}
