//! What instances write.

pub use crate::domain::log::{LogLine, LogSelection, LogSource, LogUpdate};
use futures::stream::BoxStream;

/// The lines of instances, as they are written.
pub trait Logs: Send + Sync {
    /// The lines of a selection: of each instance first the tail of its past, then what it writes, for as long as the stream is polled.
    ///
    /// It asks again by itself after a failure, with growing waits, telling of each; after a break it goes on where it stopped, no line
    /// twice. Lines are cleaned and bounded; what comes faster than an instance may fill is left out and counted, never queued
    /// without bound. It ends when every instance of the selection is gone.
    fn stream(&self, selection: LogSelection) -> BoxStream<'static, LogUpdate>;
}
