//! What the core asks of the outside. Plain data: it can be printed, compared and counted, and holds nothing alive.

use crate::domain::alert::AlertAct;
use crate::domain::log::LogSelection;
use crate::domain::record::Draft;
use crate::domain::{Action, Epoch, RunId, Ticket, Write};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// One thing to do outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Effect {
    /// Append to the run's journal.
    Append {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The run.
        run: RunId,
        /// `seq` that must be the last one.
        after: u64,
        /// The epoch that must be current.
        epoch: Option<Epoch>,
        /// What.
        drafts: Vec<Draft>,
    },
    /// Work an action out, changing nothing.
    Plan {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The service it is for; the cockpit's own when absent.
        target: Option<String>,
        /// What.
        action: Action,
    },
    /// Read what an action changes, now.
    Read {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The service it is for; the cockpit's own when absent.
        target: Option<String>,
        /// The action, with every part fixed.
        action: Action,
    },
    /// Send one write, once.
    Send {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        write: Box<Write>,
        /// `seq` of the durable intent behind it.
        intent: u64,
        /// `seq` of the journaled confirmation and the plan's hash, where one was needed.
        confirmed: Option<(u64, String)>,
    },
    /// Take the driver's seat of this run again, under a new epoch.
    AdvanceEpoch {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The run.
        run: RunId,
    },
    /// Ask the metrics backend.
    Query {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        query: String,
        /// Over which time.
        span: Span,
    },
    /// Ask the alerts source what fires and what is silenced.
    ReadAlerts {
        /// Comes back with the answer.
        ticket: Ticket,
    },
    /// Ask the metrics backend for its alerting rules.
    ReadRules {
        /// Comes back with the answer.
        ticket: Ticket,
    },
    /// Act on the alerts source, once.
    SendSide {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        act: AlertAct,
        /// The stamp of the operation.
        stamp: String,
        /// `seq` of the durable intent behind it.
        intent: u64,
    },
    /// Find out by reading what became of an act on the alerts source.
    FindSide {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What was sent.
        act: AlertAct,
        /// The stamp of the operation.
        stamp: String,
    },
    /// Start a run: a free id, the seat, the first entries.
    StartRun {
        /// The `run.started` draft.
        first: Draft,
    },
    /// Take the seat of an existing run.
    TakeSeat {
        /// The run.
        run: RunId,
        /// From a live driver, not only an absent one.
        take_over: bool,
    },
    /// Give the seat up.
    Leave,
    /// Follow the lines of these instances, and of no others.
    FollowLogs {
        /// Which.
        selection: LogSelection,
    },
    /// Write a text into a file of the state folder.
    Export {
        /// Name of the file, without a folder.
        name: String,
        /// What.
        text: String,
    },
    /// Ask every source again now.
    Refresh,
    /// Ring.
    Bell,
    /// Put text on the clipboard.
    Copy {
        /// What.
        text: String,
    },
    /// Draw everything again.
    Redraw,
    /// Suspend to the shell.
    Suspend,
    /// End the program.
    Quit {
        /// Why, for the exit code.
        how: Quit,
    },
}

/// Over which time a query is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Span {
    /// One moment.
    At(DateTime<Utc>),
    /// A range.
    Range {
        /// First slot.
        start: DateTime<Utc>,
        /// Last slot.
        end: DateTime<Utc>,
        /// Distance of slots.
        step: Duration,
    },
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Quit {
    /// The operator left.
    Operator,
    /// The terminal went away.
    HangUp,
}
