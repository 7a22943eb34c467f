//! The Elm core: the only place where state changes.

pub mod command;
pub mod effect;
pub mod instances;
pub mod key;
pub mod model;
pub mod msg;
pub mod prompt;

pub use command::{CommandId, View};
pub use effect::Effect;
pub use model::{Model, Options};
pub use msg::{Envelope, Msg};
