//! Keys, read on a thread of their own and stamped when they arrive: a slow frame must not make typed keys look pasted.

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the terminal says.
#[derive(Debug)]
pub(super) enum Said {
    /// An event with the mono clock at its arrival.
    Event(Event, Duration),
    /// The terminal is gone.
    HangUp,
}

/// The reading thread. Ends when dropped, at the latest after one poll.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) said: mpsc::Receiver<Said>,
    stop: Arc<AtomicBool>,
}

/// How long the thread sleeps in one go.
const POLL: Duration = Duration::from_millis(100);

impl Input {
    pub(super) fn start() -> std::io::Result<Self> {
        let (out, said) = mpsc::channel(256);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::Builder::new().name("terminal input".into()).spawn(move || read(&out, &stopped))?;
        Ok(Self { said, stop })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn read(out: &mpsc::Sender<Said>, stop: &AtomicBool) {
    let clock = super::clock::SystemClock::new();
    while !stop.load(Ordering::SeqCst) {
        if hung_up() {
            let _ = out.blocking_send(Said::HangUp);
            return;
        }
        match event::poll(POLL) {
            Ok(false) => {}
            Ok(true) => {
                if hung_up() {
                    let _ = out.blocking_send(Said::HangUp);
                    return;
                }
                let Ok(event) = event::read() else {
                    let _ = out.blocking_send(Said::HangUp);
                    return;
                };
                let mono = crate::domain::Clock::now(&clock).mono;
                if out.blocking_send(Said::Event(event, mono)).is_err() {
                    return;
                }
            }
            Err(_) => {
                let _ = out.blocking_send(Said::HangUp);
                return;
            }
        }
    }
}

/// A hung-up terminal reads as an endless stream of nothing: ask the system, not the reader.
pub(super) fn hung_up() -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(_) => fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
        Err(error) => error != rustix::io::Errno::INTR,
    }
}
