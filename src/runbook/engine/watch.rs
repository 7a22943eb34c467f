//! Asking for samples, and what the conditions of a check say.

use super::{Engine, Turn};
use crate::domain::text::clean_bounded;
use crate::domain::{Finding, Outcome, StepId, Ticket};
use crate::runbook::io::{Output, SampleOf};
use crate::runbook::plan::{Check, OnNoData, Step, StepKind};
use crate::runbook::record::Event;
use crate::runbook::state::StepPhase;
use std::time::Duration;

/// The same outcome of a condition is journaled again at most so often.
const SAME_OUTCOME: Duration = Duration::from_secs(60);
/// No condition is asked more often than this.
const MOST_OFTEN: Duration = Duration::from_millis(500);

/// What is known of one condition or guard beyond the journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sampler {
    ticket: Option<Ticket>,
    /// Boot clock of the next question.
    next: Duration,
    pub(super) latest: Option<Finding>,
    /// Boot clock of the latest journaled outcome.
    journaled: Option<Duration>,
    /// A guard that counts blindness as bad: since when it is blind.
    pub(super) blind_since: Option<Duration>,
    /// A guard that holds when blind: it did so for this blindness.
    pub(super) blind_held: bool,
}

/// What a check says as a whole.
pub(super) enum Checked {
    Passed(String),
    Failed(String),
    Open,
}

impl Engine {
    /// Everything that is to be sampled now, and how often.
    fn wanted_samples(&self) -> Vec<(SampleOf, Duration)> {
        if self.state.phase.is_final() || self.leaving {
            return Vec::new();
        }
        let mut wanted: Vec<(SampleOf, Duration)> = self
            .watched_guards()
            .filter_map(|index| Some((SampleOf::Guard { index }, self.state.runbook.guards.get(index)?.every)))
            .collect();
        if let Some((step, state)) = self.state.current()
            && let StepKind::Check(check) = &step.kind
            && state.phase == StepPhase::Active
        {
            let conditions = check.conditions.iter().enumerate();
            wanted.extend(conditions.map(|(index, c)| (SampleOf::Condition { step: step.id.clone(), index }, c.every)));
        }
        wanted.extend(self.wanted_before_acting());
        wanted
    }

    pub(super) fn sample(&mut self, turn: &mut Turn) {
        let wanted = self.wanted_samples();
        self.samplers.retain(|of, _| wanted.iter().any(|(w, _)| w == of));
        for (what, every) in wanted {
            let sampler = self.samplers.entry(what.clone()).or_default();
            if sampler.ticket.is_some() || turn.at.boot < sampler.next {
                continue;
            }
            let ticket = self.tickets.take();
            sampler.ticket = Some(ticket);
            sampler.next = turn.at.boot + every.max(MOST_OFTEN);
            // Right after a shift a check would still see the old traffic; a guard's breach may well have begun before.
            let not_before = if matches!(what, SampleOf::Condition { .. }) { self.state.shifted_at } else { None };
            turn.out.push(Output::Sample { ticket, what, not_before });
        }
    }

    pub(super) fn next_sample(&self) -> Option<Duration> {
        self.samplers.values().filter(|s| s.ticket.is_none()).map(|s| s.next).min()
    }

    pub(super) fn forget_samples_of(&mut self, id: &StepId) {
        self.samplers.retain(|of, _| !matches!(of, SampleOf::Condition { step, .. } | SampleOf::Item { step, .. } if step == id));
    }

    pub(super) fn sampled(&mut self, turn: &mut Turn, ticket: Ticket, finding: Finding) {
        let Some((what, sampler)) = self.samplers.iter_mut().find(|(_, s)| s.ticket == Some(ticket)) else { return };
        sampler.ticket = None;
        sampler.latest = Some(finding.clone());
        match what.clone() {
            SampleOf::Condition { step, index } => self.condition_found(turn, &step, index, &finding),
            SampleOf::Guard { index } => self.guard_found(turn, index, &finding),
            SampleOf::Precondition { index } => self.precondition_found(index, &finding),
            SampleOf::Item { step, item } => self.item_found(&step, item, &finding),
        }
    }

    fn condition_found(&mut self, turn: &Turn, id: &StepId, index: usize, finding: &Finding) {
        let Some((step, state)) = self.state.current().filter(|(s, _)| s.id == *id) else { return };
        let StepKind::Check(check) = &step.kind else { return };
        let Some(condition) = check.conditions.get(index).map(|c| c.id.clone()) else { return };
        let shown = clean_bounded(&finding.shown, 120);
        let coming = self.coming().filter_map(|e| match e {
            Event::CheckSample { step, condition: c, outcome, shown, .. } if step == id && *c == condition => {
                Some((*outcome, shown.clone()))
            }
            _ => None,
        });
        let known = coming.last().or_else(|| state.conditions.get(&condition).cloned());
        let sampler = self.samplers.get(&SampleOf::Condition { step: id.clone(), index });
        let rested = sampler.and_then(|s| s.journaled).is_none_or(|at| turn.at.boot.saturating_sub(at) >= SAME_OUTCOME);
        match known {
            Some((outcome, _)) if outcome == finding.outcome && !rested => return,
            Some((outcome, text)) if outcome == finding.outcome && text == shown => return,
            _ => {}
        }
        if let Some(sampler) = self.samplers.get_mut(&SampleOf::Condition { step: id.clone(), index }) {
            sampler.journaled = Some(turn.at.boot);
        }
        self.facts.retain(|f| !matches!(&f.event, Event::CheckSample { step, condition: c, .. } if step == id && *c == condition));
        let why = clean_bounded(&finding.why, 200);
        self.fact(Event::CheckSample { step: id.clone(), condition, outcome: finding.outcome, shown, why });
    }

    /// What the latest findings say about a check.
    pub(super) fn checked(&self, step: &Step, check: &Check) -> Checked {
        let mut met = Vec::new();
        for (index, condition) in check.conditions.iter().enumerate() {
            let latest = self.samplers.get(&SampleOf::Condition { step: step.id.clone(), index }).and_then(|s| s.latest.as_ref());
            let Some(finding) = latest else { continue };
            match (finding.outcome, condition.on_no_data) {
                (Outcome::Pass, _) => met.push(format!("{} {}", condition.id, finding.shown)),
                (Outcome::NoData, OnNoData::Pass) => met.push(format!("{} has no data, which counts as good", condition.id)),
                // In a check of which any condition will do, another may still come good.
                (Outcome::Fail, _) if finding.lasting && check.all => return Checked::Failed(format!("{}: {}", condition.id, finding.why)),
                (Outcome::NoData, OnNoData::Fail) => return Checked::Failed(format!("{}: no data: {}", condition.id, finding.why)),
                _ => {}
            }
        }
        let passed = if check.all { met.len() == check.conditions.len() } else { !met.is_empty() };
        if passed { Checked::Passed(met.join(", ")) } else { Checked::Open }
    }

    /// How a check stands whose time is up: what was bad, or what could not be told.
    pub(super) fn timed_out(&self, step: &Step, check: &Check) -> (String, bool) {
        let mut bad = false;
        let mut parts = Vec::new();
        for (index, condition) in check.conditions.iter().enumerate() {
            let latest = self.samplers.get(&SampleOf::Condition { step: step.id.clone(), index }).and_then(|s| s.latest.as_ref());
            match latest {
                Some(finding) if finding.outcome == Outcome::Pass => {}
                Some(finding) => {
                    bad |= finding.outcome == Outcome::Fail;
                    parts.push(format!("{} {}: {}", condition.id, finding.shown, finding.why));
                }
                None => parts.push(format!("{} was not answered", condition.id)),
            }
        }
        (format!("not met in time: {}", parts.join("; ")), !bad)
    }
}
