//! Runbooks: the plan, how it is read and checked, and the engine that runs it.

mod check;
pub mod io;
pub mod load;
mod parse;
pub mod pin;
pub mod plan;
pub mod record;
pub mod rules;
pub mod state;
mod template;

pub use load::{Context, Loaded, lint, load};
pub use pin::{from_journal, to_journal};
pub use plan::{
    AnswerKind, Check, Choice, Condition, Guard, GuardBlind, GuardThen, Item, Manual, ManualMode, OnFailure, OnNoData, Rollback, Runbook,
    Step, StepKind, Target, Undo, When,
};
