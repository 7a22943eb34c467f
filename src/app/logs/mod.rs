//! What instances write, as the cockpit holds it: a bounded ring of lines, what is filtered out of it, and the patterns of both sides.

mod choice;
mod filter;
mod ring;

pub use choice::choose;
pub use filter::LogFilter;
pub use ring::{Folded, LogRow, Ring};

use crate::domain::log::{LogLevel, LogSelection};
use crate::domain::{RunId, Track};
use crate::judge::patterns::{NewPattern, PatternId, Patterns};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Instances whose streams are remembered.
const SOURCES: usize = 200;

/// How the stream of one instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamState {
    /// Asked for.
    Waiting,
    /// Lines come as they are written.
    Following,
    /// It cannot be read now; the next attempt is at this wall time.
    Trouble {
        /// Why.
        why: String,
        /// A right is missing: waiting does not help.
        forbidden: bool,
        /// When it is tried again.
        next: DateTime<Utc>,
    },
    /// It is gone.
    Ended,
}

/// One instance's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The instance's name.
    pub name: Arc<str>,
    /// Its side.
    pub track: Track,
    /// How it stands.
    pub state: StreamState,
    /// Its newest line.
    pub newest: Option<DateTime<Utc>>,
}

/// The logs of a service.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Lines, oldest first.
    pub ring: Ring,
    /// What is shown of them.
    pub filter: LogFilter,
    /// The selected line; `None` follows the newest.
    pub cursor: Option<u64>,
    /// Long lines are broken, not cut.
    pub wrap: bool,
    /// The sides stand side by side.
    pub split: bool,
    /// Lines that were left out because they came too fast.
    pub dropped: u64,
    /// Breaks after which lines are missing.
    pub gaps: u64,
    /// When the last lines came (wall).
    pub newest: Option<DateTime<Utc>>,
    /// Streams by uid: those that are wanted, and those that were.
    pub streams: BTreeMap<Arc<str>, Stream>,
    /// What is asked for now.
    pub wanted: LogSelection,
    /// The instance that somebody asked for by name.
    pub pinned: Option<Arc<str>>,
    /// The templates of both sides.
    pub patterns: Patterns,
    /// Those that only the canary has, the loudest first: worked out once a second.
    pub new: Vec<NewPattern>,
    /// A screen is there to look at patterns while a run is active: commands that end at once open no streams.
    pub watched: bool,
    /// What patterns are counted for: the run and the canary's version.
    pub(super) counted_for: Option<(Option<RunId>, String)>,
    /// When streams are chosen anew (boot).
    pub(super) choose_at: Duration,
    /// When patterns are worked out anew (boot).
    pub(super) judge_at: Duration,
    /// Patterns that were told of.
    pub(super) told: Vec<PatternId>,
}

impl Logs {
    /// Patterns that ask for a look before going on.
    pub fn watch(&self, now: DateTime<Utc>) -> impl Iterator<Item = &NewPattern> {
        self.new.iter().filter(move |new| new.is_watch(now))
    }

    /// Applies a changed filter to all lines; the cursor stays where its line is still shown.
    pub(super) fn refilter(&mut self) {
        self.ring.refilter(&self.filter);
        if self.cursor.is_some_and(|seq| !self.ring.shows(seq)) {
            self.cursor = None;
        }
    }

    /// The stream's record, made where there is none. The oldest finished ones are forgotten.
    pub(super) fn stream(&mut self, uid: &Arc<str>, name: &Arc<str>, track: Track) -> &mut Stream {
        while self.streams.len() >= SOURCES {
            let wanted = |uid: &Arc<str>| self.wanted.instances.iter().any(|source| source.uid == *uid);
            let oldest =
                self.streams.iter().filter(|(uid, _)| !wanted(uid)).min_by_key(|(_, stream)| stream.newest).map(|(uid, _)| uid.clone());
            let Some(oldest) = oldest else { break };
            self.streams.remove(&oldest);
        }
        self.streams.entry(uid.clone()).or_insert_with(|| Stream { name: name.clone(), track, state: StreamState::Waiting, newest: None })
    }

    /// The word of the level filter.
    #[must_use]
    pub fn level_word(&self) -> Option<&'static str> {
        match self.filter.least {
            LogLevel::Trace => None,
            LogLevel::Warn => Some("warn+"),
            LogLevel::Error => Some("error+"),
            other => Some(other.word()),
        }
    }
}
