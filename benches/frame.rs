//! One frame of the cockpit at 200x60 with 10,000 instances: view data and cells, without a terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_imports, missing_docs, unreachable_pub, dead_code)]

#[path = "../tests/support/model.rs"]
mod model;

use criterion::{Criterion, criterion_group, criterion_main};
use gonogo::app::command::View;
use gonogo::app::model::Model;
use gonogo::domain::{InstanceState, Track};
use gonogo::present::{self, Viewport};
use gonogo::ui::{Theme, paint};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::hint::black_box;

const PORT: Viewport = Viewport { width: 200, height: 60, ascii: false };

fn draw(model: &Model, buffer: &mut Buffer) {
    buffer.reset();
    let frame = present::frame(black_box(model), &model::now(), PORT);
    paint(&frame, &Theme::terminal(), buffer);
}

/// Every instance fails: the worst that a release can do to a table.
fn all_failing() -> Model {
    let mut model = model::huge();
    for i in 0..10_000 {
        let mut one = model::instance(&format!("checkout-{i:05}"), Track::Canary, i64::from(i));
        one.state = InstanceState::Failing;
        one.reason = Some("CrashLoopBackOff".into());
        model.picture.instances.put(one);
    }
    model
}

fn frames(criterion: &mut Criterion) {
    let mut buffer = Buffer::empty(Rect::new(0, 0, PORT.width, PORT.height));
    let mut group = criterion.benchmark_group("frame 200x60, 10,000 instances");
    for view in View::ALL {
        let mut model = model::huge();
        model.screen.view = view;
        group.bench_function(view.name(), |b| b.iter(|| draw(&model, &mut buffer)));
    }
    let mut model = model::huge();
    model.screen.view = View::Instances;
    model.screen.filter = "checkout !gone".into();
    group.bench_function("Instances, all of them match a filter", |b| b.iter(|| draw(&model, &mut buffer)));
    let mut model = all_failing();
    group.bench_function("Cockpit, all of them failing", |b| b.iter(|| draw(&model, &mut buffer)));
    model.screen.view = View::Instances;
    group.bench_function("Instances, all of them failing", |b| b.iter(|| draw(&model, &mut buffer)));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
