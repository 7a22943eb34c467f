//! Runbooks: the plan, how it is read and checked, and the engine that runs it.

pub mod engine;
pub mod fold;
pub mod io;
pub mod plan;
mod question;
pub mod record;
pub mod state;
pub mod story;
mod way_back;

pub use engine::Engine;
pub use fold::{runbook_hash, start_drafts};
pub use plan::{
    AnswerKind, Check, Choice, Condition, Guard, GuardBlind, GuardThen, Item, Manual, ManualMode, OnFailure, OnNoData, Rollback, Runbook,
    Step, StepKind, Target, Undo, When,
};
pub use story::{StoryKind, StoryLine, story};
