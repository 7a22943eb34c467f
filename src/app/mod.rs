//! The Elm core: the only place where state changes.

pub mod command;
pub mod effect;
pub mod key;
pub mod msg;
