//! The simulator: stand-ins for the systems that gonogo watches and drives, over real HTTP on loopback.

pub mod metrics;
