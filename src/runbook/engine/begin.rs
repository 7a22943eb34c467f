//! What has to hold before a run begins and before it acts: preconditions, windows; and what the program sees about a checklist.

use super::{Engine, Turn};
use crate::domain::text::clean_bounded;
use crate::domain::{Finding, Outcome, StepId};
use crate::runbook::clock::Opening;
use crate::runbook::io::SampleOf;
use crate::runbook::plan::{Condition, OnNoData, StepKind};
use crate::runbook::record::Event;
use crate::runbook::state::StepPhase;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

impl Engine {
    /// Whether preconditions are looked at: before the first step, and until the first act.
    fn watches_preconditions(&self) -> bool {
        self.running() && (!self.state.preconditions_met || self.state.intents.is_empty())
    }

    /// Everything of this kind that is to be sampled now, and how often.
    pub(super) fn wanted_before_acting(&self) -> Vec<(SampleOf, Duration)> {
        let mut wanted = Vec::new();
        if self.watches_preconditions() {
            let asked = self.state.runbook.preconditions.iter().enumerate();
            wanted.extend(asked.map(|(index, condition)| (SampleOf::Precondition { index }, condition.every)));
        }
        if let Some((step, state)) = self.state.current()
            && let StepKind::Manual(manual) = &step.kind
            && state.phase == StepPhase::Active
        {
            let seen = manual.items.iter().enumerate().filter_map(|(item, asked)| Some((item, asked.evidence.as_ref()?)));
            wanted.extend(seen.map(|(item, condition)| (SampleOf::Item { step: step.id.clone(), item }, condition.every)));
        }
        wanted
    }

    pub(super) fn precondition_found(&mut self, index: usize, finding: &Finding) {
        let Some(condition) = self.state.runbook.preconditions.get(index).map(|c| c.id.clone()) else { return };
        let shown = clean_bounded(&finding.shown, 120);
        let coming = self.coming().filter_map(|event| match event {
            Event::PreconditionFound { precondition, outcome, .. } if *precondition == condition => Some(*outcome),
            _ => None,
        });
        let known = coming.last().or_else(|| self.state.preconditions.get(&condition).map(|(outcome, _)| *outcome));
        if known == Some(finding.outcome) {
            return;
        }
        let why = clean_bounded(&finding.why, 200);
        self.fact(Event::PreconditionFound { precondition: condition, outcome: finding.outcome, shown, why });
    }

    pub(super) fn item_found(&mut self, step: &StepId, item: usize, finding: &Finding) {
        let Some((current, state)) = self.state.current().filter(|(current, _)| current.id == *step) else { return };
        let coming = self.coming().filter_map(|event| match event {
            Event::ItemSeen { step, item: place, outcome, .. } if *step == current.id && *place == item => Some(*outcome),
            _ => None,
        });
        let known = coming.last().or_else(|| state.seen.get(&item).map(|(outcome, _)| *outcome));
        if known == Some(finding.outcome) {
            return;
        }
        let (shown, why) = (clean_bounded(&finding.shown, 120), clean_bounded(&finding.why, 200));
        self.fact(Event::ItemSeen { step: step.clone(), item, outcome: finding.outcome, shown, why });
    }

    /// Preconditions that are not good by the latest look.
    fn unmet(&self) -> Vec<String> {
        let asked = self.state.runbook.preconditions.iter().enumerate();
        asked.filter_map(|(index, condition)| self.why_unmet(index, condition)).collect()
    }

    fn why_unmet(&self, index: usize, condition: &Condition) -> Option<String> {
        let latest = self.samplers.get(&SampleOf::Precondition { index }).and_then(|sampler| sampler.latest.as_ref());
        match latest {
            None => Some(format!("{} was not looked at yet", condition.id)),
            Some(finding) if finding.outcome == Outcome::Pass => None,
            Some(finding) if finding.outcome == Outcome::NoData && condition.on_no_data == OnNoData::Pass => None,
            Some(finding) => Some(format!("{} {}: {}", condition.id, finding.shown, finding.why)),
        }
    }

    /// The run may begin as soon as all preconditions hold.
    pub(super) fn preconditions_decision(&self) -> Option<Event> {
        let met = !self.state.preconditions_met && self.unmet().is_empty();
        let shown = self.state.runbook.preconditions.iter().map(|condition| match self.state.preconditions.get(&condition.id) {
            Some((_, shown)) => format!("{} {shown}", condition.id),
            None => condition.id.clone(),
        });
        met.then(|| Event::PreconditionsMet { shown: clean_bounded(&shown.collect::<Vec<_>>().join(", "), 300) })
    }

    /// Why the run may not act for the first time: a precondition, or the time.
    pub(super) fn not_the_moment(&self, at: DateTime<Utc>) -> Option<String> {
        if !self.state.intents.is_empty() {
            return None;
        }
        if let Some(why) = self.unmet().into_iter().next() {
            return Some(format!("precondition: {why}"));
        }
        let clock = &self.state.runbook.clock;
        // What began inside its window may finish, and what was set aside on purpose is set aside.
        let began_inside = matches!(clock.opening(self.state.started), Opening::Open(_));
        match clock.opening(at) {
            Opening::Closed { why, opens } if !began_inside && self.state.window_overridden.is_none() => {
                let opens = opens.map_or_else(String::new, |at| format!("; it opens {}", at.format("%Y-%m-%d %H:%MZ")));
                Some(format!("{why}{opens}"))
            }
            _ => None,
        }
    }

    /// The first answer of the open checklist that is too old.
    pub(super) fn expired_item(&self, at: DateTime<Utc>) -> Option<Event> {
        let (step, item, _) = self.expiries().into_iter().find(|(_, _, end)| *end <= at)?;
        let coming = self.coming().any(|e| matches!(e, Event::ItemExpired { step: s, item: i } if *s == step && *i == item));
        (!coming).then_some(Event::ItemExpired { step, item })
    }

    /// When answers of the open checklist become too old (store time).
    fn expiries(&self) -> Vec<(StepId, usize, DateTime<Utc>)> {
        let Some((step, state)) = self.state.current().filter(|(_, state)| state.phase == StepPhase::Active) else { return Vec::new() };
        let StepKind::Manual(manual) = &step.kind else { return Vec::new() };
        let ends = manual.items.iter().enumerate().filter_map(|(place, item)| {
            let answer = state.answers.get(&place).filter(|answer| !answer.expired)?;
            let life = TimeDelta::from_std(item.expires?).ok()?;
            Some((step.id.clone(), place, answer.at.checked_add_signed(life)?))
        });
        ends.collect()
    }

    /// Boot clock at which the next answer becomes too old.
    pub(super) fn keep_expiry(&mut self, turn: &Turn) {
        let next = self.expiries().into_iter().map(|(_, _, end)| end).min();
        self.item_expires = next.map(|end| turn.at.boot + (end - turn.at.wall).to_std().unwrap_or_default());
    }
}
