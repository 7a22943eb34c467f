//! How loud a line is, as far as its text says.

use serde::Serialize;

/// The level of a line, quietest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub enum LogLevel {
    /// Trace.
    Trace,
    /// Debug.
    Debug,
    /// The text says nothing of a level. As loud as an information, so that no filter of warnings hides it by mistake as one.
    #[default]
    None,
    /// Information, notice.
    Info,
    /// Warning.
    Warn,
    /// Error.
    Error,
    /// Fatal, critical, panic.
    Fatal,
}

impl LogLevel {
    /// The word on screen, at most five letters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::None => "-",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// Whether something went wrong.
    #[must_use]
    pub fn is_error(self) -> bool {
        self >= Self::Error
    }

    /// Reads a word that stands where a level stands: `WARN`, `warning`, `err`, `E`, `CRITICAL`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "trace" | "trc" | "finest" | "finer" => Self::Trace,
            "debug" | "dbg" | "fine" | "verbose" => Self::Debug,
            "info" | "inf" | "information" | "informational" | "notice" | "log" => Self::Info,
            "warn" | "warning" | "wrn" => Self::Warn,
            "error" | "err" | "severe" | "eror" => Self::Error,
            "fatal" | "ftl" | "critical" | "crit" | "panic" | "alert" | "emerg" | "emergency" | "dpanic" => Self::Fatal,
            _ => return None,
        })
    }

    /// Reads a number as bunyan and pino write it: 30 is information, 50 an error.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        Some(match number {
            10..20 => Self::Trace,
            20..30 => Self::Debug,
            30..40 => Self::Info,
            40..50 => Self::Warn,
            50..60 => Self::Error,
            60..=100 => Self::Fatal,
            _ => return None,
        })
    }
}
