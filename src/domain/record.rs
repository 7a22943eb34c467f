//! The journal's entry: the only thing state is ever built from.

use super::canonical::{self, CanonicalError};
use super::ids::{Epoch, RunId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `prev` of the first entry of a run.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The name they gave, else the login name; `gonogo` for what the program did by itself.
    pub id: String,
    /// How strongly the identity is known: `asserted` on one machine.
    pub strength: String,
    /// `name@host pid`, and the login where that is another name.
    pub client: String,
}

/// The times of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryTime {
    /// UTC of the writer.
    pub wall: DateTime<Utc>,
    /// Boot clock of the writer in milliseconds.
    pub boot: u64,
    /// Boot that `boot` counts from.
    pub boot_id: String,
    /// The store's own clock, taken inside the append's transaction. Deadlines that outlive a process count on it.
    pub store: DateTime<Utc>,
}

/// One entry of a run's journal. `hash` covers all other fields in canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Place in the run, from 1, without gaps. Order is `seq`, never time.
    pub seq: u64,
    /// The driver's epoch when it was written.
    pub epoch: Epoch,
    /// `hash` of the entry before.
    pub prev: String,
    /// When.
    pub time: EntryTime,
    /// Who.
    pub actor: Actor,
    /// Event type, such as `action.intent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Step it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The event's own fields.
    pub body: serde_json::Value,
    /// SHA-256 over the canonical form of everything above.
    pub hash: String,
}

/// An entry before the store gave it its place: what a writer wants to append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Event type, such as `action.intent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Step it belongs to.
    pub step: Option<String>,
    /// The event's own fields: canonical JSON, so no floating point numbers.
    pub body: serde_json::Value,
}

#[derive(Serialize)]
struct Hashed<'a> {
    run: &'a RunId,
    seq: u64,
    epoch: Epoch,
    prev: &'a str,
    time: &'a EntryTime,
    actor: &'a Actor,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    body: &'a serde_json::Value,
}

impl Entry {
    /// The hash that this entry must carry.
    pub fn compute_hash(&self) -> Result<String, CanonicalError> {
        canonical::hash(&Hashed {
            run: &self.run,
            seq: self.seq,
            epoch: self.epoch,
            prev: &self.prev,
            time: &self.time,
            actor: &self.actor,
            kind: &self.kind,
            step: self.step.as_deref(),
            body: &self.body,
        })
    }
}

/// Checks order, links and hashes of a run's entries. Says what is wrong with the first bad one.
pub fn verify_chain(entries: &[Entry]) -> Result<(), String> {
    let mut prev = GENESIS.to_owned();
    for (i, entry) in entries.iter().enumerate() {
        let expected = i as u64 + 1;
        if entry.seq != expected {
            return Err(format!("entry {} stands where {expected} should", entry.seq));
        }
        if entry.prev != prev {
            return Err(format!("entry {} does not follow entry {}", entry.seq, i));
        }
        match entry.compute_hash() {
            Ok(hash) if hash == entry.hash => prev = hash,
            Ok(_) => return Err(format!("entry {} was changed after it was written", entry.seq)),
            Err(e) => return Err(format!("entry {}: {e}", entry.seq)),
        }
    }
    Ok(())
}
