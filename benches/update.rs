//! The core's update with ten thousand instances: fifty changes a second as the mailbox delivers them, and a message without news.
#![allow(missing_docs, clippy::expect_used)]

#[allow(dead_code, unreachable_pub)]
mod support;

use criterion::{BatchSize, Criterion};
use gonogo::app::Msg;
use gonogo::domain::PlatformUpdate;
use std::time::Duration;
use support::{INSTANCES, World, instance, uid};

/// Ten frames a second, so five changes a message: three changed instances, one new, one gone.
fn changes(round: u32) -> Vec<PlatformUpdate> {
    let at = (round * 7919) % INSTANCES;
    let mut all: Vec<PlatformUpdate> = (0..3).map(|i| PlatformUpdate::Instance(instance((at + i) % INSTANCES, round % 5))).collect();
    all.push(PlatformUpdate::Instance(instance(INSTANCES + round % 50, 0)));
    all.push(PlatformUpdate::InstanceGone { uid: uid(INSTANCES + (round + 25) % 50) });
    all
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(30).measurement_time(Duration::from_secs(4));
    let mut world = World::new();
    let mut round = 0;
    criterion.bench_function("update, 5 of 10,000 instances changed", |bencher| {
        bencher.iter_batched(
            || {
                round += 1;
                changes(round)
            },
            |updates| {
                world.ms += 1;
                world.tell(Msg::Platform(updates));
            },
            BatchSize::SmallInput,
        );
    });
    let mut world = World::new();
    criterion.bench_function("update, nothing new among 10,000 instances", |bencher| bencher.iter(|| world.tell(Msg::Tick)));
    criterion.bench_function("update, the whole list of 10,000 instances", |bencher| {
        bencher.iter_batched(
            || vec![PlatformUpdate::Instances((0..INSTANCES).map(|i| instance(i, 0)).collect())],
            |updates| world.tell(Msg::Platform(updates)),
            BatchSize::PerIteration,
        );
    });
    criterion.final_summary();
}
