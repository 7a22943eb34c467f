//! Whole flights of the core against a small world that answers its effects: no runtime, no clock, no network.

mod acting;
mod alerts;
mod around;
mod chaos;
mod conditions;
mod deciding;
mod failing;
mod landing;
mod logs;
mod looking;
mod verbs;
mod voices;
mod world;
