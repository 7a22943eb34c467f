//! The calls file: one JSON line per write that reached a simulated system. Only the HTTP layers of those systems write it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What a write was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallKind {
    /// It changes something.
    Act,
    /// It changes the epoch annotation alone, so that writes of an older driver fail.
    Fence,
}

/// How the platform answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallResult {
    /// Stored.
    Applied,
    /// Not stored.
    Refused,
}

/// One write.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    pub(crate) verb: String,
    pub(crate) object: String,
    pub(crate) body: Value,
    pub(crate) result: CallResult,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: String,
    platform: &'static str,
    kind: CallKind,
    verb: &'a str,
    object: &'a str,
    body: &'a Value,
    result: CallResult,
}

/// The open file, shared by everything that is written to.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Mutex<Open>>);

struct Open {
    file: File,
    seq: u64,
}

impl Calls {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Open { file: File::create(path)?, seq: 0 }))))
    }

    /// Appends a line and hands it to the operating system before it returns.
    pub(crate) fn record(&mut self, at: DateTime<Utc>, call: &Call) {
        self.record_on("kubernetes", at, call);
    }

    /// As [`Self::record`], of another system than the platform.
    pub(crate) fn record_on(&mut self, system: &'static str, at: DateTime<Utc>, call: &Call) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.seq += 1;
        let line = Line {
            seq: open.seq,
            at: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            platform: system,
            kind: call.kind,
            verb: &call.verb,
            object: &call.object,
            body: &call.body,
            result: call.result,
        };
        let written = serde_json::to_vec(&line).map_err(std::io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            open.file.write_all(&bytes)?;
            open.file.flush()
        });
        if let Err(cause) = written {
            tracing::warn!(%cause, "cannot write the calls file");
        }
    }
}
