//! What instances write: lines, who wrote them, and which of them are wanted.

mod level;
mod parse;

pub use level::LogLevel;
pub use parse::{Parsed, parse};

use super::failure::Failure;
use super::workload::Track;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Instances of one side that are followed at the same time, unless somebody asks for a certain one. Each is one open connection.
pub const STREAMS_PER_SIDE: usize = 5;
/// Lines of the past that are asked for of every instance while the view of logs is open.
pub const TAIL: u32 = 500;
/// The same while only patterns are looked for.
pub const QUIET_TAIL: u32 = 200;
/// Longest text of a line that is kept, in characters.
pub const LINE_LIMIT: usize = 4096;

/// One line of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the platform took it, by the clock of the instance's node.
    pub at: DateTime<Utc>,
    /// uid of the instance.
    pub instance: Arc<str>,
    /// Name of the instance.
    pub name: Arc<str>,
    /// Which side it belongs to.
    pub track: Track,
    /// The container.
    pub container: Arc<str>,
    /// How loud, as far as the text says.
    pub level: LogLevel,
    /// Cleaned, at most [`LINE_LIMIT`] characters and a mark where more was cut; without its own time stamp and level.
    pub text: Arc<str>,
    /// Number of the line among those of its instance, from 1: tells lines of one moment apart.
    pub seq: u64,
}

/// An instance whose lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogSource {
    /// Its uid.
    pub uid: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Which side it belongs to.
    pub track: Track,
    /// Lines up to this moment are known: only later ones are wanted.
    pub since: Option<DateTime<Utc>>,
    /// The container before the current one is wanted too, first: it ended, and its last lines say why.
    pub previous: bool,
}

/// Whose lines are wanted. Replaces what was wanted before; empty means nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LogSelection {
    /// The instances.
    pub instances: Vec<LogSource>,
    /// Lines of the past, per instance.
    pub tail: u32,
}

/// What the streams of lines tell.
#[derive(Debug, Clone, PartialEq)]
pub enum LogUpdate {
    /// Lines of one instance, oldest first.
    Lines(Vec<LogLine>),
    /// Its past was read; from here on lines come as they are written.
    Following {
        /// uid.
        instance: Arc<str>,
    },
    /// It could not be read; asked again after `retry_in`.
    Trouble {
        /// uid.
        instance: Arc<str>,
        /// Why.
        failure: Failure,
        /// When the next attempt is.
        retry_in: Duration,
    },
    /// It is gone: no more lines will come.
    Ended {
        /// uid.
        instance: Arc<str>,
    },
    /// Lines that came faster than they could be taken, and are not shown.
    Dropped {
        /// How many.
        lines: u64,
    },
    /// After a break more was written than was read again: some lines in between are missing, nobody knows how many.
    Gap {
        /// uid.
        instance: Arc<str>,
    },
}
