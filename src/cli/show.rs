//! `gonogo show`: the story of a run.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::runbook::state::RunState;
use crate::runbook::story::story;

/// What happened, line by line, and how it stands.
pub(super) async fn show(global: &Global, run: Option<&str>) -> Outcome {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let journal = wire::journal(&config, wire::clock_or_system(&config).await, None)?;
    let key = wire::select(global, &config)?.spec.key();
    let run = super::runs::latest(&*journal, &key, run).await?;
    let entries = journal.read(run.clone(), 0).await.map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.run/v1", "run": run, "entries": entries }).to_string());
        return Ok(Exit::Done);
    }
    let state = RunState::of(&entries).map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
    super::print(&format!("run       {run}   {}", state.phase.word()));
    super::print(&format!("runbook   {} v{}   {}", state.runbook.id, state.runbook.version, state.hash.get(..12).unwrap_or_default()));
    super::print(&format!("target    {} on {} ({})", state.target.service, state.target.platform, state.target.environment));
    super::print(&format!(
        "started   {} by {}",
        state.started.format("%Y-%m-%d %H:%M:%SZ"),
        entries.first().map_or("?", |e| e.actor.id.as_str())
    ));
    if let Some(ended) = state.ended {
        super::print(&format!("ended     {}", ended.format("%Y-%m-%d %H:%M:%SZ")));
    }
    if let Some(hold) = &state.hold {
        super::print(&format!("held      {} since {}", hold.reason, hold.since.format("%H:%M:%SZ")));
    }
    super::print("");
    for line in story(&entries) {
        super::print(&format!(
            "{}  {:<10} {:<10} {:<7} {}",
            line.at.format("%H:%M:%SZ"),
            format!("T+{}", crate::domain::text::clock(line.t_plus)),
            line.who,
            line.kind.word(),
            line.text
        ));
    }
    super::print(&format!("\nchain OK, {} entries, head {}", entries.len(), state.head_hash.get(..12).unwrap_or_default()));
    Ok(Exit::Done)
}
