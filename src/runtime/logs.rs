//! The streams of lines: one task for each instance, and a box between them and the core that never holds more than it may.

use crate::app::Msg;
use crate::domain::log::{LogLine, LogSelection, LogUpdate};
use crate::port::Logs;
use futures::StreamExt as _;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

/// Lines that wait for the core; the oldest of more are dropped, and counted.
const WAITING: usize = 4000;
/// Lines that the core is handed at once, and how long it then has peace: five thousand lines a second reach it.
const TURN: usize = 500;
const PEACE: Duration = Duration::from_millis(100);
/// What is not lines waits up to this many; they are told once per change of a stream, never per line.
const REMARKS: usize = 1000;

/// What was told and not taken yet.
#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<LogLine>,
    dropped: u64,
    remarks: VecDeque<LogUpdate>,
}

/// The box.
#[derive(Debug, Default)]
struct LogBox {
    inner: Mutex<Inner>,
    filled: Notify,
}

impl LogBox {
    fn open(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, update: LogUpdate) {
        {
            let mut inner = self.open();
            match update {
                LogUpdate::Lines(lines) => inner.lines.extend(lines),
                LogUpdate::Dropped { lines } => inner.dropped += lines,
                remark => inner.remarks.push_back(remark),
            }
            let over = inner.lines.len().saturating_sub(WAITING);
            inner.lines.drain(..over);
            inner.dropped += over as u64;
            while inner.remarks.len() > REMARKS {
                inner.remarks.pop_front();
            }
        }
        self.filled.notify_one();
    }

    /// A turn's worth, lines of one instance together.
    fn take(&self) -> Vec<LogUpdate> {
        let mut inner = self.open();
        let count = inner.lines.len().min(TURN);
        let mut by_instance: BTreeMap<Arc<str>, Vec<LogLine>> = BTreeMap::new();
        for line in inner.lines.drain(..count) {
            by_instance.entry(line.instance.clone()).or_default().push(line);
        }
        let mut updates: Vec<LogUpdate> = by_instance.into_values().map(LogUpdate::Lines).collect();
        updates.extend(inner.remarks.drain(..));
        let dropped = std::mem::take(&mut inner.dropped);
        if dropped > 0 {
            updates.push(LogUpdate::Dropped { lines: dropped });
        }
        updates
    }

    async fn filled(&self) {
        loop {
            let notified = self.filled.notified();
            {
                let inner = self.open();
                if !inner.lines.is_empty() || !inner.remarks.is_empty() || inner.dropped > 0 {
                    return;
                }
            }
            notified.await;
        }
    }
}

/// Starts and ends streams.
pub(super) struct LogDesk {
    port: Option<Arc<dyn Logs>>,
    waiting: Arc<LogBox>,
    streams: BTreeMap<Arc<str>, AbortHandle>,
    tasks: JoinSet<()>,
    out: mpsc::Sender<Msg>,
    /// The task that hands lines over runs.
    carried: bool,
}

impl LogDesk {
    pub(super) fn new(port: Option<Arc<dyn Logs>>, out: mpsc::Sender<Msg>) -> Self {
        Self { port, waiting: Arc::default(), streams: BTreeMap::new(), tasks: JoinSet::new(), out, carried: false }
    }

    /// Follows these instances and no others. A stream that is wanted still goes on as it is.
    pub(super) fn follow(&mut self, selection: LogSelection) {
        while self.tasks.try_join_next().is_some() {}
        let Some(port) = self.port.clone() else { return };
        self.streams.retain(|uid, task| {
            let stays = selection.instances.iter().any(|source| source.uid == *uid) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        if !self.carried && !selection.instances.is_empty() {
            self.carried = true;
            self.tasks.spawn(carry(self.waiting.clone(), self.out.clone()));
        }
        for source in selection.instances {
            let uid = source.uid.clone();
            if self.streams.contains_key(&uid) {
                continue;
            }
            let mut lines = port.stream(LogSelection { instances: vec![source], tail: selection.tail });
            let waiting = self.waiting.clone();
            let task = self.tasks.spawn(async move {
                while let Some(update) = lines.next().await {
                    waiting.put(update);
                }
            });
            self.streams.insert(uid, task);
        }
    }

    /// Ends all streams.
    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
    }
}

/// Hands what waits over to the core, so much at a time.
async fn carry(waiting: Arc<LogBox>, out: mpsc::Sender<Msg>) {
    loop {
        waiting.filled().await;
        if out.send(Msg::Logs(waiting.take())).await.is_err() {
            return;
        }
        tokio::time::sleep(PEACE).await;
    }
}

/// Writes a text into a file that only its owner may read; gives its path.
pub(super) async fn export(folder: Option<PathBuf>, name: String, text: String) -> Result<String, String> {
    let folder = folder.ok_or("there is no folder for exports")?;
    let write = move || -> std::io::Result<String> {
        use std::io::Write as _;
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(&name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?.write_all(text.as_bytes())?;
        Ok(path.display().to_string())
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("the writer was stopped".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Track;
    use crate::domain::log::{LogLevel, LogSource};
    use chrono::DateTime;
    use futures::stream::{self, BoxStream};

    fn line(instance: &str, seq: u64) -> LogLine {
        LogLine {
            at: DateTime::UNIX_EPOCH,
            instance: instance.into(),
            name: instance.into(),
            track: Track::Canary,
            container: "app".into(),
            level: LogLevel::Info,
            text: "x".into(),
            seq,
        }
    }

    fn count(updates: &[LogUpdate]) -> (usize, u64) {
        let lines = updates.iter().map(|update| if let LogUpdate::Lines(lines) = update { lines.len() } else { 0 }).sum();
        let dropped = updates.iter().map(|update| if let LogUpdate::Dropped { lines } = update { *lines } else { 0 }).sum();
        (lines, dropped)
    }

    #[test]
    fn a_flood_waits_in_a_box_of_fixed_size_and_what_is_lost_is_counted() {
        let waiting = LogBox::default();
        for part in 0..100 {
            waiting.put(LogUpdate::Lines((0..1000).map(|n| line("a", part * 1000 + n)).collect()));
        }
        assert_eq!(count(&waiting.take()), (TURN, 96_000));
        let mut left = 0;
        while let (lines @ 1.., _) = count(&waiting.take()) {
            left += lines;
        }
        assert_eq!(left, WAITING - TURN);
    }

    /// Writes a hundred lines a millisecond for ever, and says when it is dropped.
    struct Flood(Arc<Mutex<BTreeMap<Arc<str>, u32>>>);

    struct Dropped(Arc<Mutex<BTreeMap<Arc<str>, u32>>>, Arc<str>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
        }
    }

    impl Logs for Flood {
        fn stream(&self, selection: LogSelection) -> BoxStream<'static, LogUpdate> {
            let uid = selection.instances[0].uid.clone();
            *self.0.lock().unwrap().entry(uid.clone()).or_default() += 1;
            let alive = Dropped(self.0.clone(), uid);
            stream::unfold((alive, 0), |(alive, n)| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((LogUpdate::Lines((0..100).map(|i| line(&alive.1, n + i)).collect()), (alive, n + 100)))
            })
            .boxed()
        }
    }

    fn selection(uids: &[&str]) -> LogSelection {
        let source = |uid: &&str| LogSource { uid: (*uid).into(), name: (*uid).into(), track: Track::Canary, since: None, previous: false };
        LogSelection { instances: uids.iter().map(source).collect(), tail: 10 }
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the paused time of the test")]
    async fn the_core_gets_so_many_lines_a_turn_and_has_peace_in_between() {
        let (out, mut inbox) = mpsc::channel(4);
        let open = Arc::default();
        let mut desk = LogDesk::new(Some(Arc::new(Flood(Arc::clone(&open)))), out);
        desk.follow(selection(&["a", "b"]));
        let mut taken = (0, 0);
        let began = tokio::time::Instant::now();
        for _ in 0..20 {
            let Some(Msg::Logs(updates)) = inbox.recv().await else { panic!("lines") };
            let (lines, dropped) = count(&updates);
            assert!(lines <= TURN);
            taken = (taken.0 + lines, taken.1 + dropped);
        }
        assert!(began.elapsed() >= PEACE * 19);
        assert!(taken.0 <= TURN * 20, "{taken:?}");
        desk.follow(selection(&["b", "c"]));
        while open.lock().unwrap().get("a").copied() != Some(0) {
            tokio::task::yield_now().await;
        }
        let counts = open.lock().unwrap().clone();
        assert_eq!(
            counts.into_iter().map(|(uid, n)| (uid.to_string(), n)).collect::<Vec<_>>(),
            [("a".into(), 0), ("b".into(), 1), ("c".into(), 1)]
        );
    }

    #[tokio::test]
    async fn an_export_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("exports");
        let path = export(Some(folder), "a.log".into(), "one\n".into()).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert!(export(None, "a.log".into(), String::new()).await.is_err());
    }
}
