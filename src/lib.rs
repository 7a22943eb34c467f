//! gonogo, the release cockpit for the terminal.
//!
//! The outside world is I/O at the edge; everything that decides is pure, synchronous and testable without a runtime:
//!
//! ```text
//!   cli ─────────────── composition root: arguments, wiring, exit codes           L6
//!   runtime ─────────── time, tasks, the terminal, effects                        L5
//!   ui ──────────────── view data -> cells                                        L4
//!   present ─────────── model -> view data                                        L3
//!   app ─────────────── the only place state changes: update(model, envelope)     L2
//!   judge runbook port  verdicts; plans and the engine; what the outside must do  L1
//!   domain ──────────── the vocabulary                                            L0
//!   adapter, config, sim: the edge
//! ```
//!
//! `ARCHITECTURE.md` has the map; `tests/architecture.rs` keeps its borders.

pub mod app;
pub mod domain;
pub mod judge;
pub mod port;
pub mod present;
pub mod runbook;

#[cfg(feature = "shell")]
pub mod adapter;
#[cfg(feature = "shell")]
pub mod cli;
#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
pub mod runtime;
#[cfg(feature = "shell")]
pub mod ui;

#[cfg(feature = "sim")]
pub mod sim;
