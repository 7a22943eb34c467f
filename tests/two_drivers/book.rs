//! The runbook that is driven.

use gonogo::runbook::{Context, Runbook, load};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const BOOK: &str = r#"
gonogo: 1
kind: runbook
id: two-drivers
version: "1"
title: Canary under two drivers
target: { platform: sim, service: checkout, environment: staging }
guards:
  - id: errors
    title: error rate
    promql: sum(errors) or vector(0)
    op: "<"
    value: 1
    bad_for: 30s
    on_no_data: ignore
    on_error: hold
    active: { from: to-25 }
    then: rollback
steps:
  - { id: to-25, title: A quarter, do: { set_weight: { canary: 25 } }, confirm: consequence, undo: { set_weight: { canary: 0 } }, timeout: 1m }
  - id: look
    title: Canary is well
    check:
      all:
        - { id: ready, platform: { track: canary, ready: all }, hold: 30s, every: 5s }
    timeout: 2m
  - { id: to-50, title: Half, do: { set_weight: { canary: 50 } }, confirm: consequence, undo: { set_weight: { canary: 25 } }, timeout: 1m }
  - { id: bake, title: Bake, wait: { for: 40s } }
  - id: look-again
    title: Canary is still well
    check:
      all:
        - { id: ready, platform: { track: canary, ready: all }, hold: 30s, every: 5s }
    timeout: 2m
  - { id: to-100, title: Everything, do: { set_weight: { canary: 100 } }, confirm: consequence, undo: { set_weight: { canary: 50 } }, timeout: 1m }
rollback:
  steps:
    - { id: rb-weight, title: Everything back, do: { set_weight: { canary: 0 } }, timeout: 1m }
"#;

static LOADED: LazyLock<Runbook> = LazyLock::new(|| {
    let context = Context { protected: false, ..Context::default() };
    let loaded = load("two-drivers.yaml", BOOK, &BTreeMap::new(), &context);
    loaded.runbook.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
});

/// With the file's way back, or with the undo actions of what was done.
pub(crate) fn book(own_way_back: bool) -> Runbook {
    let mut runbook = LOADED.clone();
    if !own_way_back {
        runbook.rollback.steps.clear();
    }
    runbook
}
