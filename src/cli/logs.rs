//! The log: a file of JSON lines in the state folder, never the screen.

use super::args::Global;
use super::wire;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// Starts logging to `<state>/log/gonogo.log`. Without a writable folder there is no log: it must never stop a release.
pub(super) fn start(_global: &Global) -> Option<WorkerGuard> {
    let folder = wire::state_dir(None).ok()?.join("log");
    std::fs::create_dir_all(&folder).ok()?;
    let file = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("gonogo")
        .filename_suffix("log")
        .max_log_files(5)
        .build(&folder)
        .ok()?;
    // The queue is allocated whole, and a cockpit says little.
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default().buffered_lines_limit(2048).finish(file);
    let filter = EnvFilter::try_from_env("GONOGO_LOG").unwrap_or_else(|_| EnvFilter::new("warn,gonogo=info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(writer).try_init().ok()?;
    Some(guard)
}
