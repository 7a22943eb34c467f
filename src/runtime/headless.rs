//! The core without a screen: for the command line, and for simulated time.

use super::core::Core;
use crate::app::{Effect, Model, Msg};
use futures::future::BoxFuture;
use std::time::Duration;

/// What is under way is counted; what a watch tells may need so many turns of the other tasks to arrive.
const TURNS: usize = 16;
/// Simulated time moves at most this far at once: the platform's heartbeat has to keep up.
const STRIDE: Duration = Duration::from_secs(10);

/// How time passes.
pub enum Pace<'a> {
    /// As it does.
    Real,
    /// By hand: whenever nothing is outstanding, the clock is moved to the next moment of interest, at most to the given boot time.
    Simulated {
        /// Moves the clock to a boot time.
        advance: &'a (dyn Fn(Duration) -> BoxFuture<'a, ()> + Send + Sync),
        /// The end of simulated time.
        end: Duration,
    },
}

impl std::fmt::Debug for Pace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real => "Real",
            Self::Simulated { .. } => "Simulated",
        })
    }
}

/// Runs until `done` says so; `None` when (really) `timeout` passed or simulated time ended first.
pub async fn until<T>(core: &mut Core, pace: &Pace<'_>, timeout: Duration, mut done: impl FnMut(&mut Model) -> Step<T>) -> Option<T> {
    let end = tokio::time::sleep(timeout);
    tokio::pin!(end);
    loop {
        match done(&mut core.model) {
            Step::Done(result) => return Some(result),
            Step::Say(msg) => {
                ignore(core.dispatch(*msg));
                continue;
            }
            Step::Wait => {}
        }
        let msg = match pace {
            Pace::Real => {
                let deadlines = core.deadlines();
                let wait = deadlines.boot.map_or(Duration::from_secs(1), |at| core.real_wait(at)).min(Duration::from_secs(1));
                tokio::select! {
                    biased;
                    () = &mut end => return None,
                    msg = core.next() => msg,
                    () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => Msg::Tick,
                }
            }
            Pace::Simulated { advance, end: last } => {
                if core.now().boot >= *last {
                    return None;
                }
                let stirred = core.stirred();
                let settled = core.is_settled();
                tokio::select! {
                    biased;
                    () = &mut end => return None,
                    msg = core.next() => msg,
                    () = quiet(), if settled => {
                        let now = core.now().boot;
                        let next = core.deadlines().boot.unwrap_or(now + STRIDE);
                        advance(next.clamp(now + Duration::from_millis(100), now + STRIDE).min(*last)).await;
                        Msg::Tick
                    }
                    () = stirred, if !settled => continue,
                }
            }
        };
        ignore(core.dispatch(msg));
    }
}

async fn quiet() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// What a headless run does next.
#[derive(Debug)]
pub enum Step<T> {
    /// Nothing.
    Wait,
    /// Something happens.
    Say(Box<Msg>),
    /// That is all.
    Done(T),
}

/// There is no terminal here: no bell to ring, nothing to copy to.
fn ignore(_: Vec<Effect>) {}
