//! What every store of runs must do, run against the SQLite journal: one test per case, named for what it shows.
#![cfg(feature = "shell")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drivers;
mod entries;
mod files;
mod place;
mod seats;
