//! What people say at a run without a screen: read from the journal, judged by the same rules, appended in their own name.
//!
//! Neither the platform nor the metrics backend is asked: who answers an item or votes needs no access to them.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use super::{runs, wire};
use crate::domain::{Clock, RunId, Stamp};
use crate::port::{Append, AppendError, Journal};
use crate::runbook::record::Event;
use crate::runbook::state::RunState;
use std::sync::Arc;

/// Others write seldom: so many rounds are enough to come in between.
const ROUNDS: usize = 16;

/// The journal, and the unfinished run of the service in it.
pub(super) struct Desk {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    run: RunId,
    /// Who speaks.
    pub(super) who: String,
    /// Whether somebody drives the run.
    pub(super) attended: bool,
}

impl Desk {
    /// Opens the journal of the configured service at its unfinished run.
    pub(super) async fn open(global: &Global) -> Result<Self, Failed> {
        let config = wire::config(global, &wire::config_path(global)?)?;
        let clock = wire::clock(&config).await?;
        let journal = wire::journal(&config, clock.clone(), None)?;
        let key = wire::select(global, &config)?.spec.key();
        let run = runs::unfinished(&*journal, &key, None).await.map_err(|failed| Failed { exit: Exit::Refused, ..failed })?;
        let attended = matches!(journal.lease(key).await, Ok(Some(lease)) if lease.live);
        let who = journal.whoami().id;
        Ok(Self { journal, clock, run, who, attended })
    }

    /// The run as it stands, and now.
    pub(super) async fn state(&self) -> Result<(RunState, Stamp), Failed> {
        let entries = self.journal.read(self.run.clone(), 0).await.map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
        let state = RunState::of(&entries).map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
        Ok((state, self.clock.now()))
    }

    /// This boot of the machine that counts bakes.
    pub(super) fn boot_id(&self) -> String {
        self.clock.boot_id()
    }

    /// Appends what follows from the state as it is at that moment; when somebody else wrote in between, it is worked out anew. Gives
    /// the state with it.
    pub(super) async fn say(&self, decide: impl Fn(&RunState, &Stamp) -> Result<Vec<Event>, Failed>) -> Result<(RunState, Stamp), Failed> {
        for _ in 0..ROUNDS {
            let (mut state, now) = self.state().await?;
            if state.phase.is_final() {
                return Err(Failed::new(Exit::Refused, format!("run {} is {}", state.run, state.phase.word())));
            }
            let drafts = decide(&state, &now)?.iter().map(Event::draft).collect();
            let request =
                Append { run: self.run.clone(), after: state.head, epoch: None, actor: self.journal.whoami(), stamp: now, drafts };
            match self.journal.append(request).await {
                Ok(entries) => {
                    for entry in &entries {
                        state.fold(entry).map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
                    }
                    return Ok((state, self.clock.now()));
                }
                Err(AppendError::Moved { .. }) => {}
                Err(e) => return Err(Failed::new(Exit::Internal, format!("nothing was written: {e}"))),
            }
        }
        Err(Failed::new(Exit::Changed, "nothing was written: the journal moves too fast, try again"))
    }
}

/// Whoever only looks says nothing.
pub(super) fn may_write(global: &Global) -> Result<(), Failed> {
    if global.read_only || global.spectator {
        return Err(Failed::new(Exit::Refused, "refused: --read-only and --spectator write nothing"));
    }
    Ok(())
}

/// How it ended, in words or as `gonogo.act/v1`.
pub(super) fn told(global: &Global, exit: Exit, text: &str) -> Outcome {
    if global.json {
        let word = if exit == Exit::Done { "done" } else { "written" };
        super::print(&serde_json::json!({ "schema": "gonogo.act/v1", "result": word, "message": text }).to_string());
    }
    super::say(text);
    Ok(exit)
}

/// A refusal, in words and as `gonogo.act/v1`.
pub(super) fn refused(global: &Global, failed: Failed) -> Failed {
    let word = match failed.exit {
        Exit::Changed => "changed",
        Exit::Refused => "refused",
        _ => return failed,
    };
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.act/v1", "result": word, "message": failed.message }).to_string());
    }
    let message = if failed.message.starts_with(word) { failed.message } else { format!("{word}: {}", failed.message) };
    Failed::new(failed.exit, message)
}
