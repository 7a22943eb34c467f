//! Two drivers, one journal and one platform, on virtual time: thousands of worlds, each fixed by its seed.
//!
//! `GONOGO_SEED=n cargo test --test two_drivers one_seed -- --nocapture` plays one of them and tells what happened in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod book;
mod keeper;
mod node;
mod people;
mod platform;
mod random;
mod rules;
mod store;
mod world;

use rules::Rules;
use std::collections::BTreeMap;
use world::World;

const SEEDS: u64 = 3000;

/// `GONOGO_SEEDS=n` plays so many instead.
#[expect(clippy::disallowed_methods, reason = "how long to look for a mistake is for whoever looks to say")]
fn seeds() -> u64 {
    std::env::var("GONOGO_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS)
}

/// Plays these seeds on two threads. Gives the first one that breaks a rule, and how many reached which depth.
fn play(seeds: std::ops::Range<u64>, rules: Rules) -> (Option<u64>, BTreeMap<&'static str, u64>) {
    let half = |odd: u64| {
        let mut deep: BTreeMap<&'static str, u64> = BTreeMap::new();
        for seed in seeds.clone().filter(|seed| seed % 2 == odd) {
            let world = World::play(seed, rules, false);
            if !world.watch.broken.is_empty() {
                return (Some(seed), deep);
            }
            for name in world.watch.deep {
                *deep.entry(name).or_default() += 1;
            }
        }
        (None, deep)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let (broken, mut deep) = half(0);
        let (also, more) = other.join().expect("a thread that ends");
        for (name, times) in more {
            *deep.entry(name).or_default() += times;
        }
        (broken.into_iter().chain(also).min(), deep)
    })
}

fn show(seed: u64, rules: Rules) -> String {
    let world = World::play(seed, rules, true);
    format!("{}\n\nGONOGO_SEED={seed} plays it again\nbroken: {:#?}", world.told(), world.watch.broken)
}

#[test]
fn two_drivers_keep_the_rules() {
    let seeds = seeds();
    let (broken, deep) = play(0..seeds, Rules::ALL);
    if let Some(seed) = broken {
        panic!("{}", show(seed, Rules::ALL));
    }
    let floors = [
        ("aborted", 30),
        ("accepted", 400),
        ("adopted", 12),
        ("automatic back-out", 40),
        ("back-out", 130),
        ("completed", 170),
        ("fence", 200),
        ("found another's", 30),
        ("found applied", 130),
        ("found never", 100),
        ("kept back for want of a seat", 10),
        ("not sent", 10),
        ("not yet", 110),
        ("refused", 8),
        ("rollback stuck", 1),
        ("rolled back", 160),
        ("taken over", 140),
        ("taken up", 250),
        ("unknown", 230),
        ("woke", 130),
    ];
    let missed: Vec<_> =
        floors.iter().filter(|(name, of_1000)| deep.get(name).copied().unwrap_or_default() * 1000 < of_1000 * seeds).collect();
    assert!(missed.is_empty(), "of {seeds} worlds too few reached {missed:?}: {deep:#?}");
}

/// Each rule of the game keeps something: without it some world breaks, and it is told which and how.
#[test]
fn every_rule_is_needed() {
    let without = [
        ("stamp", Rules { stamp: false, ..Rules::ALL }),
        ("conditions", Rules { conditions: false, ..Rules::ALL }),
        ("self-fence", Rules { self_fence: false, ..Rules::ALL }),
        ("sending once", Rules { once: false, ..Rules::ALL }),
        ("a seat of one's own", Rules { own_seat: false, ..Rules::ALL }),
    ];
    for (name, rules) in without {
        let (broken, _) = play(0..SEEDS, rules);
        let seed = broken.unwrap_or_else(|| panic!("without {name} nothing breaks in {SEEDS} worlds"));
        println!("without {name} the world of seed {seed} breaks: {:?}", World::play(seed, rules, false).watch.broken);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the seed to play again is given by whoever looks for a mistake")]
fn one_seed() {
    let Ok(seed) = std::env::var("GONOGO_SEED") else { return };
    let seed = seed.parse().expect("GONOGO_SEED is a number");
    let world = World::play(seed, Rules::ALL, true);
    println!("{}", world.told());
    assert!(world.watch.broken.is_empty(), "{:#?}", world.watch.broken);
}
