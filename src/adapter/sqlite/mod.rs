//! The journal in one SQLite file, shared by the processes of one machine.
//!
//! * Every append is one `IMMEDIATE` transaction in a write-ahead log with `synchronous=FULL`: it checks the place in the run
//!   and the driver's epoch, reads the store's time, links the hash chain, and is on the disk when it answers.
//! * Triggers refuse to change or remove what was written; whoever drops them to do it breaks the chain, which every read checks.
//! * A hash chain cannot show that its *end* was cut off. A process that saw the end notices; a new one does not.
//! * Identities are only `asserted`, whatever the caller says: whoever can write the file can claim any name.
//!
//! All work is done on one thread of its own. A future that is dropped while it waits does not take its request back:
//! whoever gives up on an append has to read before deciding again.

mod column;
mod fault;
mod file;
mod process;
mod seat;
mod store;

use crate::domain::record::{Actor, Entry};
use crate::domain::text::clean_bounded;
use crate::domain::{Clock, Epoch, RunId, ServiceKey, Stamp};
use crate::port::{Append, AppendError, Journal, JournalError, Lease, LeaseError, RunHead};
use chrono::{DateTime, Utc};
use fault::{Fault, GONE};
use futures::future::BoxFuture;
use process::Process;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use store::{STRENGTH, Store, admit};
use tokio::sync::{mpsc, oneshot};

/// Where the journal is, and who writes to it.
pub struct Settings {
    /// The database file. It and its directory are made if they are not there, for this user only.
    pub path: PathBuf,
    /// Gives the store's time, and the boot clock by which others' leases run out. Stamps handed to the journal must come
    /// from the same clock.
    pub clock: Arc<dyn Clock>,
    /// Who works with this process, as they say.
    pub operator: String,
    /// The login that the process runs under: several people may share it.
    pub account: String,
    /// Name of this machine.
    pub host: String,
    /// This process. A seat whose process is dead is free at once.
    pub pid: u32,
    /// Unique to this process.
    pub session: String,
    /// The demo's simulated full disk: while it says so, every write is refused as on a full disk.
    pub full_disk: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Requests that may wait for the thread before a caller waits too.
const WAITING: usize = 64;

/// A journal in a SQLite file. Dropping it finishes what was asked and closes the file.
#[derive(Debug)]
pub struct Sqlite {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    actor: Actor,
    path: PathBuf,
}

/// Opens the journal and starts its thread. Blocks for the time of a few file operations; up to some seconds while another
/// process holds the file.
pub fn open(settings: Settings) -> Result<Sqlite, JournalError> {
    let Settings { path, clock, operator, account, host, pid, session, full_disk } = settings;
    let connection = file::connect(&path).map_err(JournalError::Store)?;
    let (operator, host) = (clean_bounded(&operator, 64), clean_bounded(&host, 64));
    let account = clean_bounded(&account, 64);
    // Who only says to be somebody is told from whoever logged in.
    let login = if account == operator { String::new() } else { format!(" (login {account})") };
    let client = format!("{operator}@{host} {pid}{login}");
    let actor = Actor { id: operator, strength: STRENGTH.to_owned(), client };
    let watch = seat::Watch::new(Process::on_this_machine(host, pid));
    let mut store = Store::new(connection, clock, actor.clone(), session, watch);
    store.full_disk = full_disk;
    let (jobs, mut queue) = mpsc::channel::<Job>(WAITING);
    let thread = std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut store);
            }
        })
        .map_err(|e| JournalError::Store(format!("its thread cannot be started: {e}")))?;
    Ok(Sqlite { jobs: Some(jobs), thread: Some(thread), actor, path })
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was already answered as an error to whoever waited.
            let _ = thread.join();
        }
    }
}

impl Sqlite {
    /// While `goes_on` says so, what is written is safe from the end of this process but not from that of the machine: for the history
    /// of a demo, which can be made again. The first append after that is durable like any other, and makes all before it so.
    pub async fn rehearse(&self, goes_on: Arc<dyn Fn() -> bool + Send + Sync>) -> Result<(), JournalError> {
        self.ask(move |store| {
            store.connection.pragma_update(None, "synchronous", "NORMAL")?;
            store.rehearsal = Some(goes_on);
            Ok(())
        })
        .await
    }

    fn ask<T, E>(&self, work: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static) -> BoxFuture<'_, Result<T, E>>
    where
        T: Send + 'static,
        E: Fault,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            // Nobody waits any more: the work is done all the same.
            let _ = reply.send(work(store));
        });
        Box::pin(async move {
            let gone = || E::store(GONE.to_owned());
            let sent = match &self.jobs {
                Some(jobs) => jobs.send(job).await.is_ok(),
                None => false,
            };
            let answer = if sent { answer.await.unwrap_or_else(|_| Err(gone())) } else { Err(gone()) };
            answer.map_err(|e| e.at(&self.path))
        })
    }
}

impl Journal for Sqlite {
    fn whoami(&self) -> Actor {
        self.actor.clone()
    }

    fn append(&self, request: Append) -> BoxFuture<'_, Result<Vec<Entry>, AppendError>> {
        match admit(&request) {
            Ok(bodies) => self.ask(move |store| store.append(&request, &bodies)),
            Err(refused) => Box::pin(async { Err(refused) }),
        }
    }

    fn read(&self, run: RunId, after: u64) -> BoxFuture<'_, Result<Vec<Entry>, JournalError>> {
        self.ask(move |store| store.read(&run, after))
    }

    fn runs(&self, service: Option<ServiceKey>) -> BoxFuture<'_, Result<Vec<RunHead>, JournalError>> {
        self.ask(move |store| store.runs(service.as_ref()))
    }

    fn new_run_id(&self, service: ServiceKey, day: DateTime<Utc>) -> BoxFuture<'_, Result<RunId, JournalError>> {
        self.ask(move |store| store.new_run_id(&service, day))
    }

    fn acquire_above(
        &self,
        service: ServiceKey,
        run: RunId,
        stamp: Stamp,
        take_over: bool,
        floor: Epoch,
    ) -> BoxFuture<'_, Result<Lease, LeaseError>> {
        self.ask(move |store| store.acquire(service, run, stamp, take_over, floor))
    }

    fn renew(&self, lease: &Lease, stamp: Stamp) -> BoxFuture<'_, Result<(), LeaseError>> {
        let lease = lease.clone();
        self.ask(move |store| store.renew(&lease, stamp))
    }

    fn release(&self, lease: &Lease) -> BoxFuture<'_, Result<(), LeaseError>> {
        let lease = lease.clone();
        self.ask(move |store| store.release(&lease))
    }

    fn lease(&self, service: ServiceKey) -> BoxFuture<'_, Result<Option<Lease>, JournalError>> {
        self.ask(move |store| store.lease(&service))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::domain::record::Draft;
    use serde_json::json;
    use std::time::Duration;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Stamp {
            Stamp { wall: DateTime::UNIX_EPOCH, boot: Duration::ZERO, mono: Duration::ZERO }
        }
        fn boot_id(&self) -> String {
            "boot".to_owned()
        }
    }

    fn journal(directory: &tempfile::TempDir) -> Sqlite {
        open(Settings {
            path: directory.path().join("journal.db"),
            clock: Arc::new(Still),
            operator: "ann".to_owned(),
            account: "ann".to_owned(),
            host: "box".to_owned(),
            pid: std::process::id(),
            session: "s".to_owned(),
            full_disk: None,
        })
        .unwrap()
    }

    fn request(journal: &Sqlite, after: u64, texts: &[String]) -> Append {
        let target = json!({ "target": { "platform": "p", "service": "s" } });
        let mut drafts: Vec<Draft> =
            texts.iter().map(|text| Draft { kind: "note".to_owned(), step: None, body: json!({ "text": text }) }).collect();
        if after == 0 {
            drafts.insert(0, Draft { kind: "run.started".to_owned(), step: None, body: target });
        }
        Append { run: "r".into(), after, epoch: None, actor: journal.whoami(), stamp: Still.now(), drafts }
    }

    #[tokio::test]
    async fn when_sqlite_finds_no_room_half_way_through_nothing_of_the_append_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        journal.append(request(&journal, 0, &[])).await.unwrap();
        let pages = |most: Option<i64>| {
            journal.ask(move |store| -> Result<i64, JournalError> {
                let now: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                // Asking for more than a disk can have sets no limit.
                store.connection.pragma_update_and_check(
                    None,
                    "max_page_count",
                    most.map_or(i64::from(u32::MAX) - 1, |m| now + m),
                    |_| Ok(()),
                )?;
                Ok(now)
            })
        };
        pages(Some(8)).await.unwrap();
        let texts = ["small".to_owned(), "x".repeat(8 * 1024), "x".repeat(200 * 1024)];
        match journal.append(request(&journal, 1, &texts)).await {
            Err(AppendError::Full(why)) => assert!(why.contains("journal.db") && why.contains("free some"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(journal.read("r".into(), 1).await.unwrap(), []);
        pages(None).await.unwrap();
        journal.append(request(&journal, 1, &texts)).await.unwrap();
        assert_eq!(journal.read("r".into(), 1).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn the_connection_is_as_durable_and_strict_as_promised() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let settings = journal.ask(|store| -> Result<_, JournalError> {
            let number = |name: &str| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let mode: String = store.connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            Ok((mode, number("synchronous")?, number("foreign_keys")?, number("busy_timeout")?, number("user_version")?))
        });
        // 2 is FULL.
        assert_eq!(settings.await, Ok(("wal".to_owned(), 2, 1, 2000, 1)));
    }

    #[tokio::test]
    async fn a_rehearsal_ends_before_the_first_append_after_it() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let goes_on = Arc::new(AtomicBool::new(true));
        let asked = goes_on.clone();
        journal.rehearse(Arc::new(move || asked.load(Ordering::SeqCst))).await.unwrap();
        let synchronous = || {
            journal.ask(|store| -> Result<i64, JournalError> {
                Ok(store.connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
            })
        };
        journal.append(request(&journal, 0, &[])).await.unwrap();
        assert_eq!(synchronous().await, Ok(1), "NORMAL while it goes on");
        goes_on.store(false, Ordering::SeqCst);
        journal.append(request(&journal, 1, &["x".to_owned()])).await.unwrap();
        assert_eq!(synchronous().await, Ok(2), "FULL again");
    }

    #[tokio::test]
    async fn a_writer_that_holds_the_file_too_long_is_an_error_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let mut other = rusqlite::Connection::open(directory.path().join("journal.db")).unwrap();
        let hold = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        match journal.append(request(&journal, 0, &[])).await {
            Err(AppendError::Store(why)) => assert!(why.contains("another process kept it locked"), "{why}"),
            other => panic!("{other:?}"),
        }
        // Reading goes on meanwhile.
        assert_eq!(journal.runs(None).await, Ok(vec![]));
        drop(hold);
        journal.append(request(&journal, 0, &[])).await.unwrap();
    }

    #[tokio::test]
    async fn a_thread_that_is_gone_is_an_error_and_not_a_wait() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = journal(&directory);
        journal.jobs = None;
        let gone = journal.append(request(&journal, 0, &[])).await;
        assert!(matches!(&gone, Err(AppendError::Store(why)) if why.contains("start gonogo again")), "{gone:?}");
    }
}
