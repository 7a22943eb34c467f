//! Exit codes, one meaning each.

use crate::domain::Verdict;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; GO or WATCH.
    Done,
    /// Something unexpected.
    Internal,
    /// The command line is wrong.
    Usage,
    /// The verdict is NO-GO.
    NoGo,
    /// The verdict is UNKNOWN: stale or no data.
    Unknown,
    /// The verdict is HOLD.
    Hold,
    /// Credentials are missing or have expired.
    Credentials,
    /// A file is invalid.
    InvalidFile,
    /// Cannot connect.
    CannotConnect,
    /// Refused by a guard: read-only, not armed, confirmation or right missing, somebody else drives.
    Refused,
    /// It changed under you.
    Changed,
    /// The run ended backed out or aborted.
    BackedOut,
    /// `plan --exit-code` found changes.
    WouldChange,
    /// `--timeout` was reached.
    Timeout,
    /// Ended by a signal.
    Signal(i32),
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NoGo => 3,
            Self::Unknown => 4,
            Self::Hold => 5,
            Self::Credentials => 6,
            Self::InvalidFile => 7,
            Self::CannotConnect => 8,
            Self::Refused => 9,
            Self::Changed => 10,
            Self::BackedOut => 11,
            Self::WouldChange => 12,
            Self::Timeout => 124,
            Self::Signal(number) => 128 + u8::try_from(number).unwrap_or(0),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Go | Verdict::Watch => Self::Done,
            Verdict::NoGo => Self::NoGo,
            Verdict::Unknown => Self::Unknown,
            Verdict::Hold => Self::Hold,
        }
    }
}

/// A command that ended otherwise than done: its code, and one message for standard error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    /// The code.
    pub(crate) exit: Exit,
    /// What happened and what to do, as a lower-case fragment. Empty: everything was said already.
    pub(crate) message: String,
}

impl Failed {
    /// With a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Internal, error.to_string())
    }
}

/// What a command gives back.
pub(crate) type Outcome = Result<Exit, Failed>;
