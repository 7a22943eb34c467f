//! `gonogo status`: one snapshot, and the verdict as exit code.

use super::args::Global;
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::runtime::{Core, Pace, Step, until};
use std::time::Duration;

/// Time for every source to answer once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads everything once.
pub(super) async fn status(global: &Global) -> Outcome {
    let config = wire::config(global, &wire::config_path(global)?)?;
    let clock = wire::clock(&config).await?;
    let journal = wire::journal(&config, clock.clone(), None)?;
    let mut looking = global.clone();
    looking.read_only = true;
    let wired = wire::connect(&looking, &config, clock, journal).await?;
    let mut core = Core::start(&wired.ports, wired.spec.clone(), wired.options.clone());
    let patience = global.timeout.unwrap_or(PATIENCE);
    let _: Option<()> = until(&mut core, &Pace::Real, patience, |model| {
        let platform =
            model.platform.failures > 0 || (model.picture.listed && model.picture.route_read && !model.picture.workloads.is_empty());
        let metrics = model.metrics.failures > 0
            || (model.panels.values().all(|p| p.answered.is_some() || p.trouble.is_some())
                && (model.observed.outstanding.is_none() || model.observed.trouble.is_some()));
        let alerts = model.alerts.as_ref().is_none_or(|board| board.read.is_some() || board.source.failures > 0);
        if platform && metrics && alerts && model.journal_read { Step::Done(()) } else { Step::Wait }
    })
    .await;
    let now = core.now();
    let model = core.model.clone();
    core.stop().await;
    if global.json {
        super::print(&crate::present::status_json(&model, &now).to_string());
    } else {
        for line in crate::present::status_lines(&model, &now) {
            super::print(&line);
        }
    }
    if let Some(login) = model.platform.login.as_ref().or(model.metrics.login.as_ref()) {
        return Err(Failed::new(Exit::Credentials, login.clone()));
    }
    if model.platform.newest.is_none() && model.platform.failures > 0 {
        let why = model.platform.trouble.clone().unwrap_or_default();
        return Err(Failed::new(Exit::CannotConnect, why));
    }
    Ok(model.verdict.verdict.into())
}
