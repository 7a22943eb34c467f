//! Tests of the engine against a model of the journal, the platform and the metrics backend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod books;
mod depths;
mod invariants;
mod many;
mod quorum;
mod random;
mod scenes;
mod together;
mod world;
