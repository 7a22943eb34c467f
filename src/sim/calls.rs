//! The calls file: one JSON line per write that reached the simulated platform. Only the HTTP layer of the platform writes it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

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

/// The open file.
pub(crate) struct Calls {
    file: File,
    seq: u64,
}

impl Calls {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path)?, seq: 0 })
    }

    /// Appends a line and hands it to the operating system before it returns.
    pub(crate) fn record(&mut self, at: DateTime<Utc>, call: &Call) {
        self.seq += 1;
        let line = Line {
            seq: self.seq,
            at: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            platform: "kubernetes",
            kind: call.kind,
            verb: &call.verb,
            object: &call.object,
            body: &call.body,
            result: call.result,
        };
        let written = serde_json::to_vec(&line).map_err(std::io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.file.write_all(&bytes)?;
            self.file.flush()
        });
        if let Err(cause) = written {
            tracing::warn!(%cause, "cannot write the calls file");
        }
    }
}
