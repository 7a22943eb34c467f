//! One act outside a runbook: a run of one step, with the same guards, the same journal, and its own way back.

use super::model::Model;
use super::update::first_draft;
use crate::domain::record::Draft;
use crate::domain::{Action, ActionKind, Confirm, StepId, Track, Workload};
use crate::runbook::plan::{Runbook, Step, StepKind, Target, Undo};
use std::time::Duration;

/// How long the platform may take to show it.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What can be asked for without a runbook, in the order of a menu. Weights and packaged releases need one.
pub const VERBS: [ActionKind; 9] = [
    ActionKind::SetImage,
    ActionKind::Scale,
    ActionKind::Restart,
    ActionKind::Undo,
    ActionKind::Pause,
    ActionKind::Resume,
    ActionKind::Promote,
    ActionKind::AbortRollout,
    ActionKind::RetryRollout,
];

impl Model {
    /// The `run.started` entry of a run that does this one thing.
    #[must_use]
    pub fn single_run(&self, action: &Action) -> Draft {
        let spec = &self.spec;
        let title = capital(&action.to_string());
        let step = Step {
            timeout: Some(TIMEOUT),
            confirm: Confirm::Consequence,
            undo: self.undo_of(action),
            ..Step::new(StepId::from("act"), title.clone(), StepKind::Do(action.clone()))
        };
        let id = format!("act-{}", action.kind().word().replace('_', "-"));
        let mut runbook = Runbook::unwritten(id, title, self.options.operator.clone(), Target::of(spec), spec.route.way_back());
        runbook.steps.push(step);
        first_draft(self, &runbook, false)
    }

    fn undo_of(&self, action: &Action) -> Undo {
        Undo::Action(match action {
            Action::SetImage { track, .. } | Action::Undo { track, .. } => Action::Undo { track: *track, revision: None, kept_by: None },
            Action::Scale { track, .. } => match self.workload(*track) {
                Some(workload) => Action::Scale { track: *track, replicas: workload.desired },
                None => return Undo::None,
            },
            Action::Pause { track } => Action::Resume { track: *track },
            Action::Resume { track } => Action::Pause { track: *track },
            Action::Promote { .. } | Action::RetryRollout { .. } => Action::AbortRollout { revision: None },
            // Instances that were replaced are gone, and what was given up is tried again by an act of its own.
            Action::SetWeight { .. } | Action::Restart { .. } | Action::AbortRollout { .. } | Action::HelmRollback { .. } => {
                return Undo::None;
            }
        })
    }

    fn workload(&self, track: Track) -> Option<&Workload> {
        self.picture.workloads.values().find(|workload| workload.track == track)
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
