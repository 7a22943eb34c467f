//! Who agreed to what, counted beside the engine from the votes in the journal alone.

use crate::domain::StepId;
use crate::domain::record::Entry;
use crate::runbook::gate::Vote;
use crate::runbook::plan::{Runbook, StepKind};
use crate::runbook::record::Event;
use std::collections::{BTreeMap, BTreeSet};

/// The votes at the gate that is open.
#[derive(Debug, Clone, Default)]
pub(super) struct Quorum {
    driver: String,
    gate: Option<StepId>,
    /// What is agreed to.
    plan_hash: String,
    /// Whose word stands for a role: the latest of each person, for this plan.
    votes: BTreeMap<(String, String), Vote>,
}

impl Quorum {
    pub(super) fn driven_by(driver: &str) -> Self {
        Self { driver: driver.to_owned(), ..Self::default() }
    }

    /// Takes an entry in; tells where a gate passed that nobody, or too few, agreed to.
    pub(super) fn entry(&mut self, entry: &Entry, event: &Event, runbook: &Runbook) -> Option<String> {
        match event {
            Event::LeaseAcquired { .. } => self.driver.clone_from(&entry.actor.id),
            Event::StepEntered { step, .. } => {
                *self = Self { driver: std::mem::take(&mut self.driver), gate: Some(step.clone()), ..Self::default() };
            }
            Event::GateOpened { step, plan_hash, .. } => {
                self.gate = Some(step.clone());
                self.plan_hash.clone_from(plan_hash);
                self.votes.clear();
            }
            Event::GateVoted { step, role, vote, plan_hash, .. } if self.gate.as_ref() == Some(step) && *plan_hash == self.plan_hash => {
                self.votes.insert((entry.actor.id.clone(), role.clone()), *vote);
            }
            Event::StepPassed { step, .. } => return self.passed(step, runbook),
            _ => {}
        }
        None
    }

    /// Those who may speak for a role and say go.
    fn for_it(&self, runbook: &Runbook, role: &str) -> BTreeSet<&str> {
        let may = |who: &str| runbook.roles.get(role).is_some_and(|r| r.members.iter().any(|member| member == who));
        let go = self.votes.iter().filter(|((who, spoken), vote)| spoken == role && **vote == Vote::Go && may(who));
        go.map(|((who, _), _)| who.as_str()).collect()
    }

    fn passed(&self, id: &StepId, runbook: &Runbook) -> Option<String> {
        let kind = &runbook.step(id)?.kind;
        let why = match kind {
            StepKind::Approve(approve) => {
                let driver = (!approve.driver_counts).then_some(self.driver.as_str());
                let short = approve.need.iter().find(|(role, need)| {
                    let people = self.for_it(runbook, role).into_iter().filter(|who| Some(*who) != driver).count();
                    people < usize::try_from(**need).unwrap_or(usize::MAX)
                });
                let people: BTreeSet<&str> = approve.need.keys().flat_map(|role| self.for_it(runbook, role)).collect();
                let all: usize = approve.need.values().map(|need| usize::try_from(*need).unwrap_or(usize::MAX)).sum();
                (short.is_some() || (approve.distinct && people.len() < all)).then_some("too few people approved")
            }
            StepKind::Poll(poll) => {
                let silent = poll.roles.iter().chain(&poll.decider).any(|role| self.for_it(runbook, role).is_empty());
                silent.then_some("not every position said go")
            }
            _ => None,
        };
        why.map(|why| format!("gate {id} passed although {why}: driver {}, {:?}", self.driver, self.votes))
    }
}
