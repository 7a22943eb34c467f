//! Runbooks: the plan, how it is read and checked, and the engine that runs it.

pub mod brief;
mod check;
pub mod clock;
pub mod engine;
pub mod fold;
pub mod gate;
pub mod incident;
pub mod io;
pub mod load;
mod older;
mod parse;
pub mod people;
pub mod pin;
pub mod plan;
pub mod question;
pub mod record;
pub mod rules;
pub mod side;
pub mod state;
pub mod story;
mod template;
mod way_back;

pub use engine::Engine;
pub use load::{Context, Loaded, lint, load};
pub use pin::{from_journal, to_journal};
pub use plan::{
    AnswerKind, Check, Choice, Condition, Evidence, Guard, GuardBlind, GuardThen, Item, Manual, ManualMode, OnFailure, OnNoData, Retry,
    Rollback, Runbook, Step, StepKind, Target, Undo, When,
};
