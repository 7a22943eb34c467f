//! `gonogo print-undo`: how to go back by hand. Works offline.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::port::Platform as _;
use crate::runbook::state::RunState;

/// The commands of the platform's own client that take the canary's traffic away.
pub(super) async fn print_undo(global: &Global, run: Option<&str>) -> Outcome {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let clock = wire::clock_or_system(&config).await;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let key = wire::select(global, &config)?.spec.key();
    let wired = wire::connect(global, &config, clock, journal.clone()).await?;
    let state = match super::runs::release(&*journal, &key, run).await {
        Ok(run) => {
            let entries = journal.read(run, 0).await.map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
            RunState::of(&entries).ok()
        }
        Err(_) => None,
    };
    let last = state.as_ref().and_then(|s| s.operation.as_ref()).and_then(|o| o.before.as_deref());
    let commands = wired.kubernetes.by_hand(&wired.spec.route.way_back(), last);
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.undo/v1", "commands": commands }).to_string());
        return Ok(Exit::Done);
    }
    super::print(&format!("# {} {}: all traffic back to the baseline", wired.spec.mark(), wired.spec.name));
    if let Some(state) = &state {
        super::print(&format!(
            "# run {} ({}), canary asked for last: {}",
            state.run,
            state.phase.word(),
            state.intended.map_or("-".into(), |w| format!("{w}%"))
        ));
    }
    super::print("# not restored by this: data written by the new version, migrations, feature flags");
    for command in commands {
        super::print(&command);
    }
    Ok(Exit::Done)
}

/// The same commands for another command that has read the run.
pub(super) async fn commands(global: &Global, state: Option<&RunState>) -> Result<Vec<String>, Failed> {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let clock = wire::clock_or_system(&config).await;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let wired = wire::connect(global, &config, clock, journal).await?;
    let last = state.and_then(|s| s.operation.as_ref()).and_then(|o| o.before.as_deref());
    Ok(wired.kubernetes.by_hand(&wired.spec.route.way_back(), last))
}
