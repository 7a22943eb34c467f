//! Rows of a view by identity: what the cursor moves over.

use super::command::View;
use super::model::Model;
use crate::runbook::StepKind;
use crate::runbook::story::{StoryLine, story};

/// Identities of the current view's rows, in the order they are shown.
///
/// * Instances: uid. Metrics: the gate's key. Checklist: `step/place of the item`. Run: the step's id. Timeline: `seq` of the entry that ends a line of
///   the story, newest first.
/// * Cockpit and Traffic have no rows.
#[must_use]
pub fn row_ids(model: &Model) -> Vec<String> {
    match model.screen.view {
        View::Cockpit | View::Traffic | View::Logs => Vec::new(),
        View::Instances => {
            model.picture.instances.rows(model.screen.sort, &model.screen.filter).into_iter().map(|i| i.uid.to_string()).collect()
        }
        View::Metrics => model.gates.iter().map(|g| g.key.clone()).collect(),
        View::Alerts => model.alerts.as_ref().map(super::alerts::row_ids).unwrap_or_default(),
        View::Checklist => items(model).into_iter().map(|(step, item)| format!("{step}/{item}")).collect(),
        View::Run => {
            let Some(run) = &model.run else { return Vec::new() };
            run.state.runbook.steps.iter().chain(&run.state.rollback_plan).map(|s| s.id.to_string()).collect()
        }
        View::Timeline => told(model).into_iter().map(|line| line.seq.to_string()).collect(),
    }
}

/// The run's story as the timeline shows it: newest first, filtered like other rows.
#[must_use]
pub fn told(model: &Model) -> Vec<StoryLine> {
    let Some(run) = &model.run else { return Vec::new() };
    let filter = model.screen.filter.to_lowercase();
    let mut lines = with_alerts(model, story(&run.entries));
    lines.retain(|line| {
        let text = format!("{} {} {}", line.who, line.kind.word(), line.text).to_lowercase();
        filter.split_whitespace().all(|word| match word.strip_prefix('!') {
            Some(not) => !text.contains(not),
            None => text.contains(word),
        })
    });
    lines.reverse();
    lines
}

/// A story with the beginnings and ends of alerts in their places.
#[must_use]
pub fn with_alerts(model: &Model, mut lines: Vec<StoryLine>) -> Vec<StoryLine> {
    let (Some(board), Some(run)) = (&model.alerts, &model.run) else { return lines };
    let from = lines.first().map_or(run.state.started, |first| first.at);
    let told: Vec<StoryLine> = board.log.iter().filter(|line| line.at >= from).cloned().collect();
    if !told.is_empty() {
        lines.extend(told);
        lines.sort_by_key(|line| line.at);
    }
    lines
}

/// All items of the run's checklists: step id and place.
#[must_use]
pub fn items(model: &Model) -> Vec<(String, usize)> {
    let Some(run) = &model.run else { return Vec::new() };
    let state = &run.state;
    let all = state.runbook.steps.iter().chain(&state.rollback_plan).chain(&state.runbook.finally);
    all.filter_map(|s| match &s.kind {
        StepKind::Manual(manual) => Some((0..manual.items.len()).map(|i| (s.id.to_string(), i))),
        _ => None,
    })
    .flatten()
    .collect()
}
