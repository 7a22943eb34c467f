//! A journal in a folder of its own, with a clock that is moved by hand.

use chrono::{DateTime, TimeZone as _, Utc};
use gonogo::adapter::sqlite::{self, Settings, Sqlite};
use gonogo::domain::record::{Draft, Entry};
use gonogo::domain::{Clock, Epoch, RunId, ServiceKey, Stamp};
use gonogo::port::{Append, AppendError, Journal, JournalError};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct HandClock(Mutex<Stamp>);

impl Clock for HandClock {
    fn now(&self) -> Stamp {
        *self.0.lock().unwrap()
    }
    fn boot_id(&self) -> String {
        "boot-1".to_owned()
    }
}

pub(crate) struct Place {
    dir: TempDir,
    clock: Arc<HandClock>,
    full: Arc<AtomicBool>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let wall = Utc.with_ymd_and_hms(2026, 3, 14, 14, 0, 0).unwrap();
        let stamp = Stamp { wall, boot: Duration::from_secs(1000), mono: Duration::from_secs(900) };
        Self { dir: TempDir::new().unwrap(), clock: Arc::new(HandClock(Mutex::new(stamp))), full: Arc::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("state/journal.db")
    }

    pub(crate) fn settings(&self, session: &str) -> Settings {
        let full = Arc::clone(&self.full);
        Settings {
            path: self.path(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            operator: "ann".to_owned(),
            account: "ann".to_owned(),
            host: "box".to_owned(),
            pid: std::process::id(),
            session: session.to_owned(),
            full_disk: Some(Arc::new(move || full.load(Ordering::SeqCst))),
        }
    }

    pub(crate) fn open(&self, session: &str) -> Sqlite {
        self.try_open(session).unwrap()
    }

    pub(crate) fn try_open(&self, session: &str) -> Result<Sqlite, JournalError> {
        sqlite::open(self.settings(session))
    }

    /// The file behind the journal's back.
    pub(crate) fn raw(&self) -> Connection {
        let raw = Connection::open(self.path()).unwrap();
        raw.busy_timeout(Duration::from_secs(2)).unwrap();
        raw
    }

    pub(crate) fn now(&self) -> Stamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.later(by);
    }

    /// Sets the wall clock, as a person or a time server does; the boot clock goes on.
    pub(crate) fn set_wall(&self, wall: DateTime<Utc>) {
        self.clock.0.lock().unwrap().wall = wall;
    }

    pub(crate) fn fill_disk(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub(crate) fn request(&self, journal: &dyn Journal, after: u64, epoch: Option<Epoch>, drafts: Vec<Draft>) -> Append {
        Append { run: run(), after, epoch, actor: journal.whoami(), stamp: self.now(), drafts }
    }

    pub(crate) async fn append(&self, journal: &dyn Journal, after: u64, drafts: Vec<Draft>) -> Result<Vec<Entry>, AppendError> {
        journal.append(self.request(journal, after, None, drafts)).await
    }

    pub(crate) async fn start(&self, journal: &dyn Journal) -> Entry {
        self.append(journal, 0, vec![started(&service())]).await.unwrap().remove(0)
    }
}

pub(crate) fn run() -> RunId {
    "checkout-20260314-1".into()
}

pub(crate) fn service() -> ServiceKey {
    ServiceKey { platform: "prod-eu".into(), service: "checkout".into() }
}

pub(crate) fn draft(kind: &str, body: Value) -> Draft {
    Draft { kind: kind.to_owned(), step: None, body }
}

pub(crate) fn note(text: &str) -> Draft {
    draft("note", json!({ "text": text }))
}

pub(crate) fn started(service: &ServiceKey) -> Draft {
    draft("run.started", json!({ "target": { "platform": service.platform, "service": service.service } }))
}
