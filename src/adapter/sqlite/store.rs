//! What the journal thread owns, and what it does with entries and runs.

use super::column::{count, int, time, time_text};
use super::fault::{FULL, Fault};
use super::seat::{Watch, epoch_of};
use crate::domain::canonical;
use crate::domain::record::{Actor, Entry, EntryTime, GENESIS};
use crate::domain::{Clock, Epoch, RunId, ServiceKey};
use crate::port::{Append, AppendError, JournalError, RunHead};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Asks whether the disk is (simulated to be) full.
pub(super) type FullDisk = Arc<dyn Fn() -> bool + Send + Sync>;

/// How strongly identities are known here: whoever can write the file can claim any name.
pub(super) const STRENGTH: &str = "asserted";

const BODY_MOST: usize = 256 * 1024;
const DRAFTS_MOST: usize = 1000;
const NAME_MOST: usize = 200;
/// Runs whose checked part is remembered; beyond it everything is checked again.
const REMEMBERED: usize = 256;

/// How far a run was read (or written) and found whole.
#[derive(Debug, Clone)]
struct Verified {
    seq: u64,
    hash: String,
}

/// Everything the journal thread owns.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) full_disk: Option<FullDisk>,
    /// While it says so, appends are not forced to the disk.
    pub(super) rehearsal: Option<FullDisk>,
    pub(super) actor: Actor,
    pub(super) session: String,
    pub(super) watch: Watch,
    verified: HashMap<RunId, Verified>,
}

/// Checks what can be checked without the store, and gives the bodies in canonical JSON.
pub(super) fn admit(request: &Append) -> Result<Vec<String>, AppendError> {
    let refuse = |why: String| Err(AppendError::Store(why));
    if request.drafts.is_empty() || request.drafts.len() > DRAFTS_MOST {
        return refuse(format!("{} entries in one append; 1 to {DRAFTS_MOST} are allowed", request.drafts.len()));
    }
    let names = [request.run.as_str(), &request.actor.id, &request.actor.client];
    if request.run.as_str().is_empty() || names.iter().any(|name| name.len() > NAME_MOST) {
        return refuse(format!("a run needs a name, and no name may exceed {NAME_MOST} bytes"));
    }
    let mut bodies = Vec::with_capacity(request.drafts.len());
    for draft in &request.drafts {
        let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
        if draft.kind.is_empty() || draft.kind.len() > NAME_MOST || !draft.kind.chars().all(proper) {
            return refuse(format!("{:?} is no event type", draft.kind.chars().take(80).collect::<String>()));
        }
        if draft.step.as_ref().is_some_and(|step| step.len() > NAME_MOST) {
            return refuse(format!("the step of {} exceeds {NAME_MOST} bytes", draft.kind));
        }
        let body = match canonical::to_string(&draft.body) {
            Ok(body) => body,
            Err(e) => return refuse(format!("the body of {}: {e}", draft.kind)),
        };
        if body.len() > BODY_MOST {
            return refuse(format!("the body of {} has {} bytes; {BODY_MOST} are allowed", draft.kind, body.len()));
        }
        // What is nested too deeply can be written but never read again.
        if !serde_json::from_str::<Value>(&body).is_ok_and(|read| read == draft.body) {
            return refuse(format!("the body of {} would not be read back as it is", draft.kind));
        }
        bodies.push(body);
    }
    Ok(bodies)
}

/// The service that a new run's first entry names.
fn target_of(kind: &str, body: &Value) -> Option<ServiceKey> {
    let name = |key: &str| {
        let name = body.get("target")?.get(key)?.as_str()?;
        (!name.is_empty() && name.len() <= NAME_MOST).then(|| name.to_owned())
    };
    (kind == "run.started").then_some(())?;
    Some(ServiceKey { platform: name("platform")?, service: name("service")? })
}

fn service_of(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<ServiceKey>> {
    connection
        .prepare_cached("SELECT platform, service FROM runs WHERE run = ?1")?
        .query_row([run.as_str()], |row| Ok(ServiceKey { platform: row.get(0)?, service: row.get(1)? }))
        .optional()
}

fn head_of(connection: &Connection, run: &RunId) -> rusqlite::Result<Verified> {
    let head = connection
        .prepare_cached("SELECT seq, hash FROM entries WHERE run = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([run.as_str()], |row| Ok(Verified { seq: count(row, "seq")?, hash: row.get("hash")? }))
        .optional()?;
    Ok(head.unwrap_or_else(|| Verified { seq: 0, hash: GENESIS.to_owned() }))
}

impl Store {
    pub(super) fn new(connection: Connection, clock: Arc<dyn Clock>, actor: Actor, session: String, watch: Watch) -> Self {
        Self { connection, clock, full_disk: None, rehearsal: None, actor, session, watch, verified: HashMap::new() }
    }

    /// The end of a rehearsal: from now on every commit is on the disk when it answers, and with the next one all before it.
    pub(super) fn end_rehearsal(&mut self) -> rusqlite::Result<()> {
        if self.rehearsal.as_ref().is_some_and(|goes_on| !goes_on()) {
            self.connection.pragma_update(None, "synchronous", "FULL")?;
            self.rehearsal = None;
        }
        Ok(())
    }

    /// Refuses a write while the disk is simulated to be full.
    pub(super) fn disk_is_full(&self) -> bool {
        self.full_disk.as_ref().is_some_and(|full| full())
    }

    /// One compare-and-append in one transaction. `bodies` are the drafts' bodies as [`admit`] gave them.
    pub(super) fn append(&mut self, request: &Append, bodies: &[String]) -> Result<Vec<Entry>, AppendError> {
        if self.disk_is_full() {
            return Err(AppendError::Full(FULL.to_owned()));
        }
        self.end_rehearsal()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = head_of(&transaction, &request.run)?;
        let (service, new) = match service_of(&transaction, &request.run)? {
            Some(service) => (service, false),
            None if request.after > 0 => return Err(AppendError::Moved { head: head.seq }),
            None => (started(request)?, true),
        };
        let current = epoch_of(&transaction, &service)?;
        if request.epoch.is_some_and(|epoch| epoch != current) {
            return Err(AppendError::Fenced { current });
        }
        if head.seq != request.after {
            return Err(AppendError::Moved { head: head.seq });
        }
        let seen = self.verified.get(&request.run);
        if seen.is_some_and(|seen| seen.seq > head.seq || (seen.seq == head.seq && seen.hash != head.hash)) {
            return Err(AppendError::store(format!(
                "run {} was changed after it was written, up to entry {}; nothing is appended to it",
                request.run, head.seq
            )));
        }
        let known = seen.map_or(0, |seen| seen.seq);
        if new {
            transaction.prepare_cached("INSERT INTO runs (run, platform, service) VALUES (?1, ?2, ?3)")?.execute([
                request.run.as_str(),
                &service.platform,
                &service.service,
            ])?;
        }
        let entries = chain(request, &head, current, self.clock.as_ref())?;
        for (entry, body) in entries.iter().zip(bodies) {
            insert(&transaction, entry, body)?;
        }
        // A store that says yes and keeps nothing: what the crash tests must notice.
        fail::fail_point!("journal::forgets", |_| Ok(entries.clone()));
        fail::fail_point!("journal::before_commit");
        transaction.commit()?;
        fail::fail_point!("journal::after_commit");
        // What we wrote ourselves onto a checked part needs no second check.
        if known == head.seq
            && let Some(last) = entries.last()
        {
            self.remember(&request.run, last.seq, &last.hash);
        }
        Ok(entries)
    }

    /// Entries with `seq > after`. The chain is checked from its beginning, or from where it was found whole before.
    pub(super) fn read(&mut self, run: &RunId, after: u64) -> Result<Vec<Entry>, JournalError> {
        let seen = self.verified.get(run).cloned();
        let transaction = self.connection.transaction()?;
        let Some(service) = service_of(&transaction, run)? else { return Err(JournalError::NoRun(run.clone())) };
        let damaged = |why: String| JournalError::Damaged { run: run.clone(), why };
        // The last entry seen is read once more: what follows has to hang on it.
        let start = seen.as_ref().map_or(0, |seen| seen.seq).min(after);
        let start = if seen.as_ref().is_some_and(|seen| seen.seq == start) { start } else { 0 };
        let mut last: Option<Verified> = None;
        let mut out = Vec::new();
        {
            let mut statement = transaction.prepare_cached("SELECT * FROM entries WHERE run = ?1 AND seq >= ?2 ORDER BY seq")?;
            let mut rows = statement.query(params![run.as_str(), int(start)])?;
            while let Some(row) = rows.next()? {
                let expected = last.as_ref().map_or(start.max(1), |last| last.seq + 1);
                let entry = entry_of(row, run)?.map_err(|(seq, what)| damaged(format!("entry {seq} has no readable {what}")))?;
                check(&entry, expected, last.as_ref(), seen.as_ref()).map_err(damaged)?;
                if entry.seq == 1 && target_of(&entry.kind, &entry.body).as_ref() != Some(&service) {
                    return Err(damaged(format!("it is listed under {service}, but entry 1 does not start a run of it")));
                }
                last = Some(Verified { seq: entry.seq, hash: entry.hash.clone() });
                if entry.seq > after {
                    out.push(entry);
                }
            }
        }
        let had = seen.map_or(0, |seen| seen.seq).max(after);
        match last {
            Some(last) if last.seq >= had => {
                drop(transaction);
                self.remember(run, last.seq, &last.hash);
                Ok(out)
            }
            None if had == 0 => Err(damaged("it has no entries".to_owned())),
            _ => Err(damaged(format!("entry {had} was there and is gone"))),
        }
    }

    /// Runs, newest first, of one service or all.
    pub(super) fn runs(&self, service: Option<&ServiceKey>) -> Result<Vec<RunHead>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT runs.run, platform, service, opening.store AS started, latest.store AS last, latest.seq AS head,
                    COALESCE((SELECT kind FROM entries WHERE run = runs.run AND kind GLOB 'run.*' ORDER BY seq DESC LIMIT 1), '') AS state
             FROM runs
             JOIN entries opening ON opening.run = runs.run AND opening.seq = 1
             JOIN entries latest ON latest.run = runs.run AND latest.seq = (SELECT max(seq) FROM entries WHERE run = runs.run)
             WHERE ?1 IS NULL OR (platform = ?1 AND service = ?2)
             ORDER BY runs.id DESC",
        )?;
        let wanted = (service.map(|key| &key.platform), service.map(|key| &key.service));
        let mut rows = statement.query(params![wanted.0, wanted.1])?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let run = RunId(row.get("run")?);
            let (started, last): (String, String) = (row.get("started")?, row.get("last")?);
            let (Some(started), Some(last)) = (time(&started), time(&last)) else {
                return Err(JournalError::Damaged { run, why: "its first or last entry has no readable time".to_owned() });
            };
            out.push(RunHead {
                run,
                service: ServiceKey { platform: row.get("platform")?, service: row.get("service")? },
                started,
                last,
                head: count(row, "head")?,
                state: row.get("state")?,
            });
        }
        Ok(out)
    }

    /// The next id of that service's name and day. It is not reserved: of two runs that start under it one is refused as moved.
    pub(super) fn new_run_id(&self, service: &ServiceKey, day: DateTime<Utc>) -> Result<RunId, JournalError> {
        let prefix = format!("{}-{}-", plain(&service.service), day.format("%Y%m%d"));
        let mut statement = self.connection.prepare_cached("SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1")?;
        let mut rows = statement.query([&prefix])?;
        let mut highest = 0u32;
        while let Some(row) = rows.next()? {
            let run: String = row.get(0)?;
            if let Some(n) = run.strip_prefix(&prefix).and_then(|n| n.parse().ok()) {
                highest = highest.max(n);
            }
        }
        Ok(RunId(format!("{prefix}{}", highest.saturating_add(1))))
    }

    fn remember(&mut self, run: &RunId, seq: u64, hash: &str) {
        if self.verified.len() >= REMEMBERED && !self.verified.contains_key(run) {
            self.verified.clear();
        }
        self.verified.insert(run.clone(), Verified { seq, hash: hash.to_owned() });
    }
}

fn started(request: &Append) -> Result<ServiceKey, AppendError> {
    request.drafts.first().and_then(|first| target_of(&first.kind, &first.body)).ok_or_else(|| {
        AppendError::Store("a new run begins with run.started, whose body has target.platform and target.service".to_owned())
    })
}

/// The drafts as entries in their places.
fn chain(request: &Append, head: &Verified, epoch: Epoch, clock: &dyn Clock) -> Result<Vec<Entry>, AppendError> {
    let time = EntryTime {
        wall: request.stamp.wall,
        boot: u64::try_from(request.stamp.boot.as_millis()).unwrap_or(u64::MAX).min(i64::MAX.cast_unsigned()),
        boot_id: clock.boot_id(),
        store: clock.now().wall,
    };
    let actor = Actor { strength: STRENGTH.to_owned(), ..request.actor.clone() };
    let (mut seq, mut prev) = (head.seq, head.hash.clone());
    let mut entries = Vec::with_capacity(request.drafts.len());
    for draft in &request.drafts {
        seq += 1;
        let mut entry = Entry {
            run: request.run.clone(),
            seq,
            epoch,
            prev: prev.clone(),
            time: time.clone(),
            actor: actor.clone(),
            kind: draft.kind.clone(),
            step: draft.step.clone(),
            body: draft.body.clone(),
            hash: String::new(),
        };
        entry.hash = entry.compute_hash().map_err(|e| AppendError::Store(format!("{}: {e}", entry.kind)))?;
        prev.clone_from(&entry.hash);
        entries.push(entry);
    }
    Ok(entries)
}

fn insert(transaction: &Transaction<'_>, entry: &Entry, body: &str) -> Result<(), AppendError> {
    let far = || AppendError::Store("the clock stands outside the years 0 to 9999; set it right".to_owned());
    let wall = time_text(entry.time.wall).ok_or_else(far)?;
    let store = time_text(entry.time.store).ok_or_else(far)?;
    transaction
        .prepare_cached(
            "INSERT INTO entries (run, seq, epoch, prev, wall, boot, boot_id, store, actor_id, actor_strength, actor_client, kind, step, body, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            entry.run.as_str(),
            int(entry.seq),
            int(entry.epoch.0),
            entry.prev,
            wall,
            int(entry.time.boot),
            entry.time.boot_id,
            store,
            entry.actor.id,
            entry.actor.strength,
            entry.actor.client,
            entry.kind,
            entry.step,
            body,
            entry.hash,
        ])?;
    Ok(())
}

/// The entry of a row; its place and what of it cannot be read, if so.
fn entry_of(row: &Row<'_>, run: &RunId) -> rusqlite::Result<Result<Entry, (u64, &'static str)>> {
    let seq = count(row, "seq")?;
    let (wall, store, body): (String, String, String) = (row.get("wall")?, row.get("store")?, row.get("body")?);
    let (Some(wall), Some(store)) = (time(&wall), time(&store)) else { return Ok(Err((seq, "time"))) };
    let Ok(body) = serde_json::from_str(&body) else { return Ok(Err((seq, "body"))) };
    Ok(Ok(Entry {
        run: run.clone(),
        seq,
        epoch: Epoch(count(row, "epoch")?),
        prev: row.get("prev")?,
        time: EntryTime { wall, boot: count(row, "boot")?, boot_id: row.get("boot_id")?, store },
        actor: Actor { id: row.get("actor_id")?, strength: row.get("actor_strength")?, client: row.get("actor_client")? },
        kind: row.get("kind")?,
        step: row.get("step")?,
        body,
        hash: row.get("hash")?,
    }))
}

/// Place, link and hash of one entry. `last` is the one before it, nothing for the first one read.
fn check(entry: &Entry, expected: u64, last: Option<&Verified>, seen: Option<&Verified>) -> Result<(), String> {
    let seq = entry.seq;
    if seq != expected {
        return Err(format!("entry {seq} stands where {expected} should"));
    }
    let linked = match last {
        Some(last) => entry.prev == last.hash,
        None => seq > 1 || entry.prev == GENESIS,
    };
    if !linked {
        return Err(format!("entry {seq} does not follow entry {}", seq - 1));
    }
    match entry.compute_hash() {
        Ok(hash) if hash == entry.hash => {}
        Ok(_) => return Err(format!("entry {seq} was changed after it was written")),
        Err(e) => return Err(format!("entry {seq}: {e}")),
    }
    if seen.is_some_and(|seen| seen.seq == seq && seen.hash != entry.hash) {
        return Err(format!("entry {seq} is not the one that stood there before"));
    }
    Ok(())
}

/// A service's name as part of an id: letters, digits, `.`, `_` and `-`.
fn plain(name: &str) -> String {
    let proper = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let plain: String = name.chars().map(proper).take(63).collect();
    if plain.is_empty() { "run".to_owned() } else { plain }
}
