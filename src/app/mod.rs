//! The Elm core: the only place where state changes.

pub mod alerts;
pub mod card;
pub mod command;
pub mod counts;
pub mod effect;
mod failing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod flow_tests;
mod gates;
pub mod instances;
pub mod key;
pub mod landing;
pub mod logs;
pub mod model;
pub mod msg;
mod progressive;
pub mod prompt;
pub mod rows;
pub mod single;
mod split;
pub mod targets;
mod tour;
pub mod update;
pub mod verdict;
pub mod wanted;

pub use command::{CommandId, View};
pub use effect::Effect;
pub use model::{Model, Options};
pub use msg::{Envelope, Msg};
pub use update::{Deadlines, Request, ScriptEnd, deadlines, first_draft, update};
