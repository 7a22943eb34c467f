//! Which faults are on now. Timers of the world switch them; the HTTP layers and the world ask.

use super::fault::{Fault, FaultKind, Source};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// One of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// The platform's API.
    Platform,
    /// The metrics backend.
    Metrics,
    /// The alertmanager.
    Alerts,
}

impl Face {
    const ALL: [Self; 3] = [Self::Platform, Self::Metrics, Self::Alerts];
}

struct Active {
    index: usize,
    fault: Fault,
}

struct Token {
    current: String,
    accepted: bool,
    generation: u32,
    files: Vec<PathBuf>,
}

/// The switches, and the login that is accepted.
pub(crate) struct Switchboard {
    seed: u64,
    active: Mutex<Vec<Active>>,
    token: Mutex<Token>,
    /// By face, in the order of [`Face::ALL`].
    cuts: [watch::Sender<u64>; 3],
    asked: [AtomicU64; 3],
    /// Requests and bytes by what was asked for.
    pub(crate) tally: super::tally::Tally,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Switchboard {
    pub(crate) fn new(seed: u64) -> Self {
        let token = Token { current: token(seed, 0), accepted: true, generation: 0, files: Vec::new() };
        Self {
            seed,
            active: Mutex::new(Vec::new()),
            token: Mutex::new(token),
            cuts: [(); 3].map(|()| watch::Sender::new(0)),
            asked: Default::default(),
            tally: super::tally::Tally::default(),
        }
    }

    /// One more request came to this listener.
    pub(crate) fn count(&self, face: Face) {
        self.asked[face as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests came to this listener.
    pub(crate) fn asked(&self, face: Face) -> u64 {
        self.asked[face as usize].load(Ordering::Relaxed)
    }

    /// Switches fault number `index` on.
    pub(crate) fn begin(&self, index: usize, fault: Fault) {
        lock(&self.active).push(Active { index, fault });
        if fault.kind == FaultKind::AuthExpired && concerns(fault.source, Face::Platform) {
            lock(&self.token).accepted = false;
        }
        if fault.kind.cuts_connections() {
            self.cut(fault.source);
        }
    }

    /// Switches fault number `index` off.
    pub(crate) fn end(&self, index: usize) {
        let ended = {
            let mut active = lock(&self.active);
            let at = active.iter().position(|a| a.index == index);
            at.map(|at| active.remove(at).fault)
        };
        if ended.is_some_and(|fault| fault.kind == FaultKind::AuthExpired && concerns(fault.source, Face::Platform)) {
            self.renew_login();
        }
    }

    /// Whether a fault of this kind concerns this listener now.
    pub(crate) fn on(&self, face: Face, kind: FaultKind) -> bool {
        lock(&self.active).iter().any(|a| a.fault.kind == kind && concerns(a.fault.source, face))
    }

    /// As [`Self::on`] for kinds that hit a write; a fault that happens once is used up.
    pub(crate) fn hits_write(&self, kind: FaultKind) -> bool {
        self.hits_write_on(Face::Platform, kind)
    }

    /// As [`Self::hits_write`], of another listener than the platform's.
    pub(crate) fn hits_write_on(&self, face: Face, kind: FaultKind) -> bool {
        let mut active = lock(&self.active);
        let Some(at) = active.iter().position(|a| a.fault.kind == kind && concerns(a.fault.source, face)) else {
            return false;
        };
        if kind.is_once() && active[at].fault.lasts.is_none() {
            active.remove(at);
        }
        true
    }

    /// Cuts every open connection of what `source` concerns.
    fn cut(&self, source: Source) {
        for (face, sender) in Face::ALL.into_iter().zip(&self.cuts) {
            if concerns(source, face) {
                sender.send_modify(|n| *n += 1);
            }
        }
    }

    /// Changes when open connections are to be cut.
    pub(crate) fn cuts(&self, face: Face) -> watch::Receiver<u64> {
        self.cuts[face as usize].subscribe()
    }

    /// Whether a bearer token is accepted by the platform now.
    pub(crate) fn accepts(&self, bearer: &str) -> bool {
        let token = lock(&self.token);
        token.accepted && token.current == bearer
    }

    pub(crate) fn token(&self) -> String {
        lock(&self.token).current.clone()
    }

    /// Writes the token to a file and keeps that file current from now on.
    pub(crate) fn keep_token_in(&self, path: &Path) -> std::io::Result<()> {
        let mut token = lock(&self.token);
        write_private(path, token.current.as_bytes())?;
        if !token.files.iter().any(|known| known == path) {
            token.files.push(path.to_owned());
        }
        Ok(())
    }

    /// Mints a fresh token where clients can read it from a file; else the old one is accepted again.
    fn renew_login(&self) {
        let mut token = lock(&self.token);
        token.accepted = true;
        if token.files.is_empty() {
            return;
        }
        token.generation += 1;
        token.current = self::token(self.seed, token.generation);
        for path in &token.files {
            if let Err(cause) = write_private(path, token.current.as_bytes()) {
                tracing::warn!(path = %path.display(), %cause, "cannot renew the simulated login");
            }
        }
    }
}

/// Replaces a file by one that only its owner may read, never showing half of it.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let fresh = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(content)?;
    drop(file);
    std::fs::rename(&fresh, path)
}

fn concerns(source: Source, face: Face) -> bool {
    matches!(
        (source, face),
        (Source::All, _) | (Source::Platform, Face::Platform) | (Source::Metrics, Face::Metrics) | (Source::Alerts, Face::Alerts)
    )
}

fn token(seed: u64, generation: u32) -> String {
    format!("sim-{}", super::rng::Rng::new(seed, 0x70_6b00 + u64::from(generation)).suffix(32))
}
