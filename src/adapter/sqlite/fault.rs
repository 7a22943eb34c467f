//! What SQLite says, in the words of the port.

use crate::domain::text::clean_bounded;
use crate::port::{AppendError, JournalError, LeaseError};
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use std::path::Path;
use std::time::Duration;

/// How long a write waits for another process's write.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// What to tell when the disk has no room.
pub(super) const FULL: &str = "no space left on its disk; free some, then try again";

/// The journal thread is gone: it panicked, or the handle is being dropped.
pub(super) const GONE: &str = "its thread has ended; start gonogo again";

/// An error of the port that a failure of the store turns into.
pub(super) trait Fault: From<rusqlite::Error> + Send + 'static {
    /// The store failed for this reason.
    fn store(why: String) -> Self;
    /// The same error, naming the file.
    fn at(self, path: &Path) -> Self;
}

fn place(path: &Path, why: &str) -> String {
    format!("{}: {why}", clean_bounded(&path.display().to_string(), 200))
}

/// Whether nothing was written because there is no room.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    // Growing the shared-memory file of the log is the one place where SQLite reports a full disk as an I/O error.
    error.sqlite_error().is_some_and(|e| e.code == ErrorCode::DiskFull || e.extended_code == SQLITE_IOERR_SHMSIZE)
}

/// Whether another process holds the lock.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The cause, and what to do about it.
pub(super) fn cause(error: &rusqlite::Error) -> String {
    if is_full(error) {
        return FULL.to_owned();
    }
    let said = clean_bounded(&error.to_string(), 300);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another process kept it locked for more than {} s; try again", BUSY.as_secs())
        }
        Some(ErrorCode::SystemIoFailure) => {
            let code = error.sqlite_error().map_or(0, |e| e.extended_code);
            format!("{said} (code {code}); check the disk")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            format!("{said}; check the rights of the file and of its directory")
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("{said}; keep the file, and move it away to start a new journal"),
        Some(ErrorCode::NotADatabase) => format!("{said}; move it away to start a new journal"),
        _ => said,
    }
}

impl From<rusqlite::Error> for AppendError {
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) { Self::Full(cause(&error)) } else { Self::Store(cause(&error)) }
    }
}

impl Fault for AppendError {
    fn store(why: String) -> Self {
        Self::Store(why)
    }
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Full(why) => Self::Full(place(path, &why)),
            Self::Store(why) => Self::Store(place(path, &why)),
            other => other,
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(cause(&error))
    }
}

impl Fault for JournalError {
    fn store(why: String) -> Self {
        Self::Store(why)
    }
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Store(why) => Self::Store(place(path, &why)),
            other => other,
        }
    }
}

impl From<rusqlite::Error> for LeaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(cause(&error))
    }
}

impl Fault for LeaseError {
    fn store(why: String) -> Self {
        Self::Store(why)
    }
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Store(why) => Self::Store(place(path, &why)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn said(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_full_disk_is_told_from_a_failing_one() {
        for code in [ffi::SQLITE_FULL, SQLITE_IOERR_SHMSIZE] {
            assert_eq!(AppendError::from(said(code)), AppendError::Full(FULL.to_owned()));
        }
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_BUSY, ffi::SQLITE_CORRUPT] {
            assert!(matches!(AppendError::from(said(code)), AppendError::Store(_)), "code {code}");
        }
    }

    #[test]
    fn an_error_names_file_cause_and_remedy() {
        let error = AppendError::from(said(ffi::SQLITE_BUSY)).at(Path::new("/state/journal.db"));
        assert_eq!(
            error.to_string(),
            "the journal cannot be written: /state/journal.db: another process kept it locked for more than 2 s; try again"
        );
    }
}
