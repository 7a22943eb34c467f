//! What happened, in one total order.

use super::alerts::AlertsTold;
use super::key::Key;
use super::update::Request;
use crate::domain::alert::{AlertRule, Silence};
use crate::domain::record::{Draft, Entry};
use crate::domain::{Accepted, ActionPlan, Epoch, Failure, LogUpdate, PlatformUpdate, RunId, Series, Stamp, Subject, Ticket};
use crate::runbook::io::{AppendRefusal, Command};
use chrono::{DateTime, Utc};

/// A message with its place and time, given by the runtime alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Total order.
    pub seq: u64,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub msg: Msg,
}

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// The first message.
    Started,
    /// A deadline was reached, or a second passed.
    Tick,
    /// A key.
    Key(Key),
    /// Bracketed paste.
    Paste(String),
    /// The text area changed: a memo, a reason, a filter. Already cleaned.
    TextChanged(String),
    /// The screen has this size now.
    Resized {
        /// Cells.
        width: u16,
        /// Cells.
        height: u16,
    },
    /// The program was suspended or the machine slept, and is back.
    Woke {
        /// For people: `asleep 14m02s`.
        what: String,
    },
    /// The platform of another service changed; coalesced.
    TargetPlatform {
        /// Name of the service.
        target: String,
        /// In order.
        updates: Vec<PlatformUpdate>,
    },
    /// The platform changed; coalesced.
    Platform(Vec<PlatformUpdate>),
    /// The metrics backend answered.
    Answered {
        /// Of the request.
        ticket: Ticket,
        /// The answer.
        result: Result<MetricsAnswer, Failure>,
    },
    /// A run was started or its seat taken: we drive it.
    RunOpened {
        /// All of its entries.
        entries: Vec<Entry>,
        /// Our epoch.
        epoch: Epoch,
        /// This boot.
        boot_id: String,
        /// Our session, for tickets and messages.
        resumed: bool,
    },
    /// A run that somebody else drives, or nobody.
    RunFollowed {
        /// All of its entries.
        entries: Vec<Entry>,
        /// Somebody drives it.
        attended: bool,
    },
    /// Others appended to the run we show.
    EntriesAppended {
        /// In order.
        entries: Vec<Entry>,
        /// Somebody drives it.
        attended: bool,
    },
    /// The run could not be started, or its seat not be taken.
    RunRefused {
        /// Which, if it exists.
        run: Option<RunId>,
        /// Why, with what to do.
        why: String,
    },
    /// Our own append is durable.
    Appended {
        /// Of the request.
        ticket: Ticket,
        /// As written.
        entries: Vec<Entry>,
    },
    /// Our own append was refused.
    AppendRefused {
        /// Of the request.
        ticket: Ticket,
        /// Why.
        why: AppendRefusal,
    },
    /// A plan was worked out.
    Planned {
        /// Of the request.
        ticket: Ticket,
        /// The plan.
        result: Result<Box<ActionPlan>, Failure>,
    },
    /// What an action changes was read.
    SubjectRead {
        /// Of the request.
        ticket: Ticket,
        /// What is there.
        result: Result<Box<Subject>, Failure>,
    },
    /// A write was answered, or not.
    Sent {
        /// Of the request.
        ticket: Ticket,
        /// The answer.
        result: Result<Accepted, Failure>,
    },
    /// The alerts source answered.
    AlertsRead {
        /// Of the request.
        ticket: Ticket,
        /// What it told.
        result: Result<AlertsTold, Failure>,
    },
    /// The metrics backend told its alerting rules.
    RulesRead {
        /// Of the request.
        ticket: Ticket,
        /// The rules.
        result: Result<Vec<AlertRule>, Failure>,
    },
    /// An act on the alerts source was answered, or not.
    SideSent {
        /// Of the request.
        ticket: Ticket,
        /// The id of what was made, if anything was.
        result: Result<Option<String>, Failure>,
    },
    /// The alerts source was read to find out what became of an act.
    SideFound {
        /// Of the request.
        ticket: Ticket,
        /// The silence as it is now; `None`: there is none.
        result: Result<Option<Silence>, Failure>,
    },
    /// A new epoch was taken.
    EpochAdvanced {
        /// Of the request.
        ticket: Ticket,
        /// The new epoch.
        result: Result<Epoch, String>,
    },
    /// The driver's seat is somebody else's.
    SeatLost {
        /// The epoch now.
        current: Epoch,
    },
    /// A decision of a person that did not come by key: the command line.
    Decided(Command),
    /// An act asked for on the command line.
    Requested(Request),
    /// A runbook was named on the command line: ask whether to start it.
    AskStart {
        /// Its title.
        title: String,
        /// What it will do.
        lines: Vec<String>,
        /// Its first entry, but for what the service looks like when it starts.
        first: Draft,
    },
    /// A run is to be started without asking: it was confirmed elsewhere.
    Start {
        /// Its first entry.
        first: Draft,
    },
    /// The seat of this run is wanted.
    AskSeat {
        /// The run.
        run: RunId,
        /// Even from a live driver.
        take_over: bool,
        /// Why, where somebody else drives: it goes into the record.
        reason: Option<String>,
    },
    /// The record of earlier runs of this service, newest first; of each only what [`super::card::learn`] looks at.
    Learnt {
        /// Entries by run.
        runs: Vec<Vec<Entry>>,
    },
    /// The journal was looked into for the first time: what it has of this service was told.
    JournalRead,
    /// What instances wrote; coalesced and bounded.
    Logs(Vec<LogUpdate>),
    /// A text was written into this file, or why not.
    Exported(Result<String, String>),
    /// Text was put on the clipboard, or could not be.
    Copied(Result<String, String>),
}

/// An answer of the metrics backend.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsAnswer {
    /// The series; an instant answer has one slot each. Empty means no data.
    pub series: Vec<Series>,
    /// Time of the newest sample behind the query.
    pub newest: Option<DateTime<Utc>>,
    /// Remarks of the backend.
    pub warnings: Vec<String>,
    /// Difference of the server's clock to ours.
    pub skew: Option<chrono::TimeDelta>,
}
