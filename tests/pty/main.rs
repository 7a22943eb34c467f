//! The shipped program on a terminal: keys go in, cells come out, and the calls file of the simulator is the witness of what was written.
//!
//! Every test opens its own demo (simulator and cockpit in one process) in a folder of its own, on a terminal of its own. Nothing waits
//! for a time to pass: [`terminal::Terminal::wait_for`] is woken by every byte that the program draws.
#![cfg(all(unix, feature = "shell", feature = "sim"))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test's own buffers and helpers.
#![allow(clippy::large_stack_arrays, clippy::unused_self, clippy::match_wild_err_arm)]

mod back_out;
mod blue_green;
mod demo;
mod faults;
mod first;
mod forward;
mod keys;
mod launch_day;
mod leaving;
#[path = "../support/left_out.rs"]
mod left_out;
mod seats;
mod signed;
mod sizes;
mod terminal;
