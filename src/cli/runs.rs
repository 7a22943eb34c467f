//! `gonogo runs`, and finding the run that a command is about.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::domain::{RunId, ServiceKey};
use crate::port::Journal;
use crate::runbook::state::RunState;

fn broken(error: crate::port::JournalError) -> Failed {
    Failed::new(Exit::Internal, error.to_string())
}

/// The run named, or the one unfinished run of the service.
pub(super) async fn unfinished(journal: &dyn Journal, service: &ServiceKey, named: Option<String>) -> Result<RunId, Failed> {
    let runs = journal.runs(Some(service.clone())).await.map_err(broken)?;
    if let Some(name) = named {
        let run = runs.into_iter().find(|r| r.run.as_str() == name);
        return match run {
            None => Err(Failed::new(Exit::Usage, format!("no run {name} of {service}; gonogo runs lists them"))),
            Some(run) if run.finished() => Err(Failed::new(Exit::Refused, format!("run {name} has ended ({})", run.state))),
            Some(run) => Ok(run.run),
        };
    }
    let open: Vec<_> = runs.into_iter().filter(|r| !r.finished()).collect();
    match open.as_slice() {
        [] => Err(Failed::new(Exit::Usage, format!("no run of {service} is under way"))),
        [one] => Ok(one.run.clone()),
        many => {
            let names: Vec<&str> = many.iter().map(|r| r.run.as_str()).collect();
            Err(Failed::new(Exit::Usage, format!("several runs are under way, name one: {}", names.join(", "))))
        }
    }
}

/// The run named, or the unfinished one, or the latest.
pub(super) async fn latest(journal: &dyn Journal, service: &ServiceKey, named: Option<&str>) -> Result<RunId, Failed> {
    let runs = journal.runs(Some(service.clone())).await.map_err(broken)?;
    let found = match named {
        Some(name) => runs.into_iter().find(|r| r.run.as_str() == name),
        None => runs.iter().find(|r| !r.finished()).cloned().or_else(|| runs.into_iter().next()),
    };
    found.map(|r| r.run).ok_or_else(|| Failed::new(Exit::Usage, format!("no such run of {service}; gonogo runs lists them")))
}

/// [`latest`] of those in which something was released: the record of an incident alone tells nothing about a way back.
pub(super) async fn release(journal: &dyn Journal, service: &ServiceKey, named: Option<&str>) -> Result<RunId, Failed> {
    let mut run = latest(journal, service, named).await?;
    if named.is_some() {
        return Ok(run);
    }
    let runs = journal.runs(Some(service.clone())).await.map_err(broken)?;
    let first = run.clone();
    let mut older = runs.into_iter().skip_while(|head| head.run != first).skip(1);
    while journal.read(run.clone(), 0).await.is_ok_and(|entries| RunState::of(&entries).is_ok_and(|state| state.is_own_record())) {
        run =
            older.next().map(|head| head.run).ok_or_else(|| Failed::new(Exit::Usage, format!("no run of {service} released anything")))?;
    }
    Ok(run)
}

/// `gonogo runs`
pub(super) async fn runs(global: &Global) -> Outcome {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let journal = wire::journal(&config, wire::clock_or_system(&config).await, None)?;
    let key = global.service.as_ref().map(|_| wire::select(global, &config).map(|s| s.spec.key())).transpose()?;
    let runs = journal.runs(key).await.map_err(broken)?;
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.runs/v1", "runs": runs }).to_string());
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        super::print("no runs yet: gonogo run RUNBOOK starts one");
        return Ok(Exit::Done);
    }
    super::print(&format!("{:<28} {:<20} {:<16} {:>7}  LAST ENTRY", "RUN", "STARTED", "STATE", "ENTRIES"));
    for run in runs {
        super::print(&format!(
            "{:<28} {:<20} {:<16} {:>7}  {}",
            run.run.as_str(),
            run.started.format("%Y-%m-%d %H:%M:%SZ"),
            run.state.trim_start_matches("run."),
            run.head,
            run.last.format("%H:%M:%SZ")
        ));
    }
    Ok(Exit::Done)
}
