//! Why the new version cannot start, from its instances and its workload: known long before any deadline of the platform is over.

use super::model::{Model, Reason};
use crate::domain::text::clean_bounded;
use crate::domain::{Instance, InstanceState, RolloutStatus, Track, Verdict};
use crate::runbook::state::Phase;

/// An instance that no node takes; a cluster that grows may still take it.
const UNPLACED: &str = "Unschedulable";

/// What of the new version cannot start. While a release is under way that is a NO-GO; without one somebody else is at work, and nothing is to
/// be begun.
pub(super) fn reasons(model: &Model) -> Vec<Reason> {
    if !model.picture.listed {
        return vec![];
    }
    let released = model.run.as_ref().is_some_and(|run| matches!(run.state.phase, Phase::Running));
    let verdict = |bad: Verdict| if released { bad } else { Verdict::Hold };
    let mut found = Vec::new();
    let workloads = || model.picture.workloads.values().filter(|workload| workload.track == Track::Canary);
    for workload in workloads() {
        let why = match &workload.rollout {
            RolloutStatus::Failed { why } => Some(why),
            _ => workload.trouble.as_ref(),
        };
        found.extend(why.map(|why| Reason { verdict: verdict(Verdict::NoGo), text: format!("{}: {why}", workload.object) }));
    }
    let newest = |instance: &Instance| workloads().any(|workload| workload.version == *instance.version);
    let of_new = || model.picture.instances.notable().filter(|instance| instance.track == Track::Canary && newest(instance));
    let count = model.picture.instances.of(Track::Canary);
    let more = if count.problems > 1 { format!(" ({} have a problem)", count.problems) } else { String::new() };
    let told = |instance: &Instance| {
        let why = instance.reason.as_deref().unwrap_or("failing");
        clean_bounded(&format!("{}: {why}{more}", instance.name), 200)
    };
    if let Some(stuck) = of_new().find(|instance| instance.state == InstanceState::Failing) {
        found.push(Reason { verdict: verdict(Verdict::NoGo), text: told(stuck) });
    } else if let Some(unplaced) = of_new().find(|instance| is_unplaced(instance)) {
        let bad = if count.ready == 0 { Verdict::NoGo } else { Verdict::Hold };
        found.push(Reason { verdict: verdict(bad), text: told(unplaced) });
    }
    found
}

fn is_unplaced(instance: &Instance) -> bool {
    instance.state == InstanceState::Pending && instance.reason.as_deref().is_some_and(|reason| reason.starts_with(UNPLACED))
}
