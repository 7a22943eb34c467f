//! What satisfies the ports: one folder per outside system.

pub mod kubernetes;
pub mod sqlite;
