//! The way back: which steps it has, and which of them acts first.

use super::plan::{Step, StepKind, Undo, When};
use super::state::{RunState, StepPhase, StepState};
use crate::domain::{Action, Percent, StepId};

/// Id of the step that is made up when nothing else of the way back would act.
const BACK_OUT: &str = "back-out";

impl RunState {
    /// The step with this id, forward or of the way back as it is laid out now.
    #[must_use]
    pub fn plan_step(&self, id: &StepId) -> Option<&Step> {
        self.runbook.steps.iter().chain(&self.rollback_plan).chain(&self.runbook.finally).find(|s| s.id == *id)
    }

    /// Whether a step's condition holds now.
    #[must_use]
    pub fn holds(&self, when: &When) -> bool {
        let state = |id: &StepId| {
            let forward = self.runbook.position(id).and_then(|i| self.steps.get(i));
            forward.or_else(|| self.rollback_plan.iter().position(|s| s.id == *id).and_then(|i| self.rollback.get(i)))
        };
        match when {
            When::Done(id) => state(id).is_some_and(|s| matches!(s.phase, StepPhase::Passed | StepPhase::Undone)),
            When::Reached(id) => state(id).is_some_and(|s| s.attempts > 0),
            When::And(all) => all.iter().all(|w| self.holds(w)),
            When::Or(any) => any.iter().any(|w| self.holds(w)),
            When::Not(inner) => !self.holds(inner),
            When::Given { param, value } => self.runbook.params.get(param) == Some(value),
        }
    }

    /// Lays the way back out for the state as it is: the file's steps, or else the undo actions of what may be in force, backwards.
    /// There is always at least one act: whoever backs out wants no traffic on the canary.
    pub(super) fn lay_out_way_back(&mut self) {
        let mut steps = self.runbook.rollback.steps.clone();
        if steps.is_empty() {
            steps = self.in_force.iter().rev().filter_map(|id| self.undo_of(id)).collect();
        }
        let acts = steps.iter().any(|s| matches!(s.kind, StepKind::Do(_)) && s.when.as_ref().is_none_or(|w| self.holds(w)));
        if !acts {
            let action = self.runbook.rollback.last_resort.clone().unwrap_or(Action::SetWeight { canary: Percent::ZERO });
            steps.insert(0, self.made_up(BACK_OUT, "Take all traffic off the canary".into(), action));
        }
        self.rollback = vec![StepState::default(); steps.len()];
        self.rollback_plan = steps;
    }

    fn undo_of(&self, id: &StepId) -> Option<Step> {
        let step = self.runbook.step(id)?;
        let Undo::Action(action) = &step.undo else { return None };
        let mut undo = self.made_up(&format!("undo-{id}"), format!("Take back: {}", step.title), action.clone());
        undo.target.clone_from(&step.target);
        Some(undo)
    }

    fn made_up(&self, id: &str, title: String, action: Action) -> Step {
        let mut id = StepId::from(id);
        while self.runbook.step(&id).is_some() {
            id.0.push('-');
        }
        Step::new(id, title, StepKind::Do(action))
    }

    /// The forward step that a step of a generated way back takes back.
    pub(super) fn undone_by(&self, id: &StepId) -> Option<&StepId> {
        if !self.runbook.rollback.steps.is_empty() {
            return None;
        }
        self.in_force.iter().find(|forward| self.undo_of(forward).is_some_and(|s| s.id == *id))
    }

    /// The first step of the way back that would act now, and what it would do.
    #[must_use]
    pub fn first_act_back(&self) -> Option<(&Step, &Action)> {
        self.rollback_plan.iter().zip(&self.rollback).find_map(|(step, state)| {
            let ended = matches!(state.phase, StepPhase::Passed | StepPhase::Skipped | StepPhase::Undone);
            let entered = step.when.as_ref().is_none_or(|w| state.attempts > 0 || self.holds(w));
            match &step.kind {
                StepKind::Do(action) if !ended && entered => Some((step, action)),
                _ => None,
            }
        })
    }

    /// Whether the next act of the way back needs no confirmation: it began by itself, or one of its acts is done, so that the one
    /// confirmation for all of it was used.
    #[must_use]
    pub fn way_back_is_free(&self) -> bool {
        let acted = || {
            let steps = self.rollback_plan.iter().zip(&self.rollback);
            steps.into_iter().any(|(step, state)| matches!(step.kind, StepKind::Do(_)) && state.phase == StepPhase::Passed)
        };
        self.rollback_began.as_ref().is_some_and(|(_, _, automatic)| *automatic) || acted()
    }
}
