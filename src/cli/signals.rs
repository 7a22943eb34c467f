//! Signals that end a command without a screen.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// The number of the signal that asked this process to end.
pub(super) async fn ended() -> io::Result<i32> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = int.recv() => signal_hook::consts::SIGINT,
        _ = term.recv() => signal_hook::consts::SIGTERM,
        _ = hup.recv() => signal_hook::consts::SIGHUP,
    })
}
