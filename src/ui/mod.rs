//! View data -> cells, and terminal events -> keys.

pub mod input;
mod paint;
mod theme;

pub use paint::{draw, paint};
pub use theme::Theme;
