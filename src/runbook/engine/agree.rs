//! Gates at which several people agree: what they agree to is planned when the gate opens, and has to be the same when it is done.

use super::talk::Hashed;
use super::{Engine, Turn};
use crate::domain::text::clean_bounded;
use crate::domain::{ActionPlan, Failure, StepId, Ticket, canonical};
use crate::runbook::gate::Board;
use crate::runbook::io::{Level, Output};
use crate::runbook::plan::{Step, StepKind};
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, StepPhase};
use serde::Serialize;
use std::time::Duration;

/// What people agree to is looked at again so often while they do.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After a failure it is tried again so soon.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Working out what a gate stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct GatePlan {
    /// The outstanding request: for which gate, and which act.
    asked: Option<(Ticket, StepId, StepId)>,
    /// Boot clock of the next request.
    next: Duration,
    /// What was worked out last: the gate, the act, the plan's hash, and what it would do.
    ready: Option<(StepId, StepId, String, String)>,
    /// Boot clock at which an answer expires.
    pub(super) expires: Option<Duration>,
}

/// What a gate stands for behind which nothing acts.
#[derive(Serialize)]
struct Nothing<'a> {
    runbook: &'a str,
    gate: &'a StepId,
    attempt: u32,
}

impl Engine {
    /// The gate that is open.
    fn open_gate(&self) -> Option<&Step> {
        let (step, state) = self.state.current()?;
        let several = matches!(step.kind, StepKind::Approve(_) | StepKind::Poll(_));
        (several && state.phase == StepPhase::Active).then_some(step)
    }

    /// The act that a gate stands before: the next one that is not left out.
    fn act_behind(&self, gate: &StepId) -> Option<&Step> {
        let place = self.state.runbook.position(gate)?;
        let after = self.state.runbook.steps.iter().skip(place + 1);
        after.filter(|step| step.when.as_ref().is_none_or(|when| self.state.holds(when))).find(|step| matches!(step.kind, StepKind::Do(_)))
    }

    /// Asks what the act behind the open gate would do.
    pub(super) fn ask_for_gate(&mut self, turn: &mut Turn) {
        let Some(gate) = self.open_gate().map(|step| step.id.clone()) else {
            self.gate = GatePlan::default();
            return;
        };
        if self.gate.asked.is_some() || turn.at.boot < self.gate.next || self.in_flight() || self.store.is_some() {
            return;
        }
        let Some((act, StepKind::Do(action))) = self.act_behind(&gate).map(|step| (step.id.clone(), step.kind.clone())) else { return };
        let ticket = self.tickets.take();
        self.gate.asked = Some((ticket, gate, act.clone()));
        turn.out.push(Output::Plan { ticket, target: self.target_of(&act), action });
    }

    /// Takes the answer; tells whether it was the gate's.
    pub(super) fn gate_planned(&mut self, turn: &mut Turn, ticket: Ticket, result: &Result<Box<ActionPlan>, Failure>) -> bool {
        let Some((_, gate, act)) = self.gate.asked.take_if(|(asked, ..)| *asked == ticket) else { return false };
        match result {
            Ok(plan) => {
                self.gate.next = turn.at.boot + LOOK_AGAIN;
                let relied = plan.relies_on();
                let hashed = Hashed { runbook: &self.state.hash, step: &act, action: &plan.action, uid: &plan.before.uid, relied: &relied };
                let Ok(hash) = canonical::hash(&hashed) else { return true };
                let shown = clean_bounded(&format!("{}: {} -> {}", plan.action, plan.before.shown, plan.action.wanted()), 200);
                self.gate.ready = Some((gate, act, hash, shown));
            }
            Err(failure) => {
                self.gate.next = turn.at.boot + TRY_AGAIN;
                let known = self.state.step_and_state(&gate).is_some_and(|(_, state)| state.terms.is_some());
                if !known {
                    turn.say(Level::Warning, format!("what {gate} agrees to could not be worked out: {failure}"));
                }
            }
        }
        true
    }

    /// When the open gate has to be looked at again.
    pub(super) fn gate_deadline(&self) -> Option<Duration> {
        let waits = self.open_gate().is_some_and(|gate| self.act_behind(&gate.id).is_some()) && self.gate.asked.is_none();
        [waits.then_some(self.gate.next), self.gate.expires].into_iter().flatten().min()
    }

    /// Opens the gate, or lets the run pass it.
    pub(super) fn agreed_on(&mut self, turn: &Turn, step: &Step) -> Option<Vec<Event>> {
        let (_, state) = self.state.step_and_state(&step.id)?;
        let (terms, attempt) = (state.terms.clone(), state.attempts);
        let ready = match self.act_behind(&step.id).map(|act| act.id.clone()) {
            Some(act) => self
                .gate
                .ready
                .clone()
                .filter(|(gate, ready, ..)| *gate == step.id && *ready == act)
                .map(|(_, act, hash, shown)| (Some(act), hash, shown)),
            None => {
                let hash = canonical::hash(&Nothing { runbook: &self.state.hash, gate: &step.id, attempt }).ok()?;
                Some((None, hash, "nothing is written behind this gate".to_owned()))
            }
        };
        if let Some((act, plan_hash, shown)) = ready
            && terms.as_ref().is_none_or(|terms| terms.plan_hash != plan_hash)
        {
            return Some(vec![Event::GateOpened { step: step.id.clone(), act, plan_hash, shown }]);
        }
        let board = self.state.board(&step.id, turn.at.wall)?;
        board.go.then(|| vec![Event::StepPassed { step: step.id.clone(), why: clean_bounded(&went(&board), 300) }])
    }

    /// What was agreed to does not stand any more: an answer was withdrawn, expired, or a guard tripped. The gate is asked again.
    pub(super) fn broken_agreement(&mut self, turn: &mut Turn) -> Option<Event> {
        self.gate.expires = None;
        let agreed = self.state.agreed.clone().filter(|_| self.running())?;
        let begun = self.state.operation.as_ref().is_some_and(|op| {
            op.step == agreed.act && matches!(op.stage, OpStage::Intent | OpStage::Accepted | OpStage::Unknown { .. } | OpStage::Verified)
        });
        if begun || self.in_flight() {
            return None;
        }
        let board = self.state.board(&agreed.gate, turn.at.wall)?;
        if board.go {
            let left = board.until.and_then(|until| (until - turn.at.wall).to_std().ok());
            self.gate.expires = left.map(|left| turn.at.boot + left);
            return None;
        }
        let why = format!("what was agreed to at {} does not stand any more: {}", agreed.gate, board.waits_for);
        self.reopen(turn, agreed.gate, &why)
    }

    /// The act is not what people agreed to.
    pub(super) fn not_as_agreed(&mut self, turn: &mut Turn, step: &StepId, plan_hash: &str) -> bool {
        let Some(agreed) = self.state.agreed.clone().filter(|agreed| agreed.act == *step && agreed.plan_hash != plan_hash) else {
            return false;
        };
        let why = format!("the platform is not as it was when {} agreed: agree again", agreed.gate);
        if let Some(event) = self.reopen(turn, agreed.gate, &why) {
            self.fact(event);
        }
        true
    }

    fn reopen(&mut self, turn: &mut Turn, gate: StepId, why: &str) -> Option<Event> {
        self.withdraw(turn, why);
        turn.say(Level::Warning, why);
        self.gate = GatePlan::default();
        Some(Event::GateReopened { step: gate, why: clean_bounded(why, 300) })
    }
}

/// `GO: qa ines, sre jon; launch-director ada`.
fn went(board: &Board) -> String {
    let said = board.positions.iter().map(|position| {
        let who: Vec<&str> = position.casts.iter().map(|cast| cast.by.id.as_str()).collect();
        format!("{} {}", position.role, who.join(" and "))
    });
    format!("GO: {}", said.collect::<Vec<_>>().join(", "))
}
