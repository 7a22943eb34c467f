//! Whole flights of the core against a small world that answers its effects: no runtime, no clock, no network.

mod acting;
mod around;
mod chaos;
mod deciding;
mod failing;
mod landing;
mod looking;
mod world;
