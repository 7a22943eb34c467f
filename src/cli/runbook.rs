//! Reading a runbook file for a service.

use super::exit::{Exit, Failed};
use super::wire;
use crate::domain::{ActionKind, Person, Protection, ServiceSpec, Severity};
use crate::runbook::{Context, Runbook};
use std::collections::BTreeMap;
use std::path::Path;

/// A runbook that can run.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) runbook: Runbook,
    pub(super) hash: String,
}

/// The largest runbook that is read.
const LARGEST: u64 = 256 * 1024;

/// The text of a file that people write.
pub(super) fn text(path: &Path) -> Result<String, Failed> {
    let unreadable = |why: String| Failed::new(Exit::InvalidFile, format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable(format!("{size} bytes, at most {LARGEST} are read")));
    }
    std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))
}

/// Reads a runbook; its parameters `platform`, `service` and `environment` follow the configuration unless given.
pub(super) fn load_text(name: &str, text: &str, params: &[String], spec: &ServiceSpec, people: &[Person]) -> Result<Ready, Failed> {
    let mut values = BTreeMap::new();
    // What the configuration knows need not be said again, where the runbook asks for it under these names.
    for (name, value) in [("platform", spec.platform.as_str()), ("service", &spec.name), ("environment", &spec.environment)] {
        if text.contains(&format!("${{params.{name}}}")) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    for given in params {
        let Some((name, value)) = given.split_once('=') else {
            return Err(Failed::new(Exit::Usage, format!("-p {given}: write NAME=VALUE")));
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    let context = Context {
        protected: spec.protection == Protection::Protected,
        scrape_interval: Some(spec.scrape_interval),
        platforms: Some(vec![spec.platform.to_string()]),
        services: Some(vec![spec.name.clone()]),
        alerts: Some(spec.alerts.is_some()),
        with: spec.with.clone(),
        way_back: Some(spec.route.way_back()).filter(|action| action.kind() != ActionKind::SetWeight),
        people: people.to_vec(),
    };
    let loaded = crate::runbook::load(name, text, &values, &context);
    for warning in loaded.diagnostics.iter().filter(|d| d.severity == Severity::Warning) {
        tracing::info!(%warning, "runbook");
    }
    match (loaded.runbook, loaded.hash) {
        (Some(runbook), Some(hash)) => Ok(Ready { runbook, hash }),
        _ => {
            let errors: Vec<_> = loaded.diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect();
            Err(wire::invalid(&errors))
        }
    }
}
