//! Wires ports to the core and the core to the screen. Owns time, tasks, signals and the terminal; decides nothing.

pub mod clock;
pub mod cockpit;
mod core;
mod executor;
mod headless;
pub mod incident;
mod input;
mod journal;
#[cfg(test)]
mod journal_tests;
mod logs;
mod mailbox;
mod side;
mod terminal;

pub use self::core::{Core, Ports};
pub use cockpit::{Ending, View, fly};
pub use headless::{Pace, Step, until};
pub use terminal::install_panic_hook;
