//! One durable append: median and 99th percentile, on the disk of `TMPDIR`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use criterion::Criterion;
use gonogo::adapter::sqlite::{self, Settings, Sqlite};
use gonogo::domain::record::Draft;
use gonogo::domain::{Clock, Stamp};
use gonogo::port::{Append, Journal};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Still;

impl Clock for Still {
    fn now(&self) -> Stamp {
        Stamp { wall: chrono::DateTime::UNIX_EPOCH, boot: Duration::ZERO, mono: Duration::ZERO }
    }
    fn boot_id(&self) -> String {
        "bench".to_owned()
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn append(journal: &Sqlite, runtime: &tokio::runtime::Runtime, after: &mut u64) -> Duration {
    let (kind, body) = if *after == 0 {
        ("run.started", json!({ "target": { "platform": "bench", "service": "bench" } }))
    } else {
        ("action.intent", json!({ "op": "bench/shift/1", "text": "x".repeat(400) }))
    };
    let drafts = vec![Draft { kind: kind.to_owned(), step: Some("shift".to_owned()), body }];
    let request = Append { run: "bench-1".into(), after: *after, epoch: None, actor: journal.whoami(), stamp: Still.now(), drafts };
    let begun = Instant::now();
    runtime.block_on(journal.append(request)).unwrap();
    *after += 1;
    begun.elapsed()
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let journal = sqlite::open(Settings {
        path: directory.path().join("journal.db"),
        clock: Arc::new(Still),
        operator: "bench".to_owned(),
        account: "bench".to_owned(),
        host: "bench".to_owned(),
        pid: std::process::id(),
        session: "bench".to_owned(),
        full_disk: None,
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut after = 0;
    let mut took: Vec<Duration> = (0..500).map(|_| append(&journal, &runtime, &mut after)).collect();
    took.sort_unstable();
    println!("durable append: p50 {:?}, p99 {:?}, max {:?} of {}", took[250], took[495], took[499], took.len());
    let mut criterion = Criterion::default().configure_from_args().sample_size(20).measurement_time(Duration::from_secs(3));
    criterion.bench_function("journal append, durable", |bencher| bencher.iter(|| append(&journal, &runtime, &mut after)));
    criterion.final_summary();
}
