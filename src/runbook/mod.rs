//! Runbooks: the plan, how it is read and checked, and the engine that runs it.

pub mod io;
pub mod plan;
pub mod record;
pub mod state;

pub use plan::{
    AnswerKind, Check, Choice, Condition, Guard, GuardBlind, GuardThen, Item, Manual, ManualMode, OnFailure, OnNoData, Rollback, Runbook,
    Step, StepKind, Target, Undo, When,
};
