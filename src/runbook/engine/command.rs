//! What people decide. Every command is done or refused with a reason; none is ignored.

use super::guard::Standing;
use super::talk::{Given, Stage};
use super::{Engine, FenceFor, FenceStage, Fencing, Turn};
use crate::domain::text::clean_bounded;
use crate::domain::{Confirm, StepId};
use crate::runbook::io::{Command, Level, Permit, Purpose};
use crate::runbook::plan::{Choice, StepKind};
use crate::runbook::question::{may_adopt, may_redo};
use crate::runbook::record::{Event, Found};
use crate::runbook::state::{OpStage, Phase, StepPhase, StepState};
use std::time::Duration;

impl Engine {
    pub(super) fn command(&mut self, turn: &mut Turn, command: Command) {
        match command {
            Command::Note { text } => self.open_fact(Event::Note { text: clean_bounded(&text, 1000) }),
            Command::Mode { armed_until } => self.open_fact(Event::ModeChanged { armed_until }),
            Command::Hold { reason } => self.hold(turn, &reason),
            _ if self.passive.is_some() => {
                let why = self.passive.clone().unwrap_or_default();
                turn.refuse(format!("not the driver: {why}"));
            }
            _ if self.state.phase.is_final() && command != Command::Leave => {
                turn.refuse(format!("the run is {}", self.state.phase.word()));
            }
            Command::Propose { permit } => self.propose_forward(turn, &permit),
            Command::ProposeBackOut { why } => self.propose_back_out(turn, &why),
            Command::Confirm { plan_hash, typed, shown, permit } => self.confirm(turn, &plan_hash, &typed, shown, &permit),
            Command::Decline => self.decline(turn),
            Command::Redo => self.redo(turn),
            Command::Abort { reason } => self.abort(turn, &reason),
            Command::Leave => {
                self.leaving = true;
                self.withdraw(turn, "the driver leaves: nothing was sent");
                self.fencing = self.fencing.take().filter(|f| matches!(f.stage, FenceStage::Sending | FenceStage::Advancing(..)));
            }
            Command::Choose { choice, reason } => self.choose(turn, choice, reason),
            Command::Unhold
            | Command::Gate { .. }
            | Command::Answer { .. }
            | Command::Vote { .. }
            | Command::Shorten { .. }
            | Command::OverrideWindow { .. }
            | Command::Recycle { .. }
            | Command::Adopt { .. } => self.inbox.push_back(command),
        }
    }

    /// Anybody may stop. Takes effect at once, whether it can be journaled or not.
    fn hold(&mut self, turn: &mut Turn, reason: &str) {
        if self.state.phase.is_final() {
            turn.refuse(format!("the run is {}", self.state.phase.word()));
        } else if !self.running() {
            turn.refuse("the way back is not held: abort stops it for good");
        } else if self.held() && self.countdown.is_none() {
            turn.say(Level::Info, "it holds already");
        } else {
            self.open_fact(Event::HoldBegan { reason: clean_bounded(reason, 200), guard: None });
            if self.countdown.take().is_some() {
                turn.say(Level::Warning, "the back-out by itself was stopped; the run holds");
            }
        }
    }

    fn may_go(turn: &mut Turn, permit: &Permit) -> bool {
        if !permit.verdict.permits_go() {
            turn.refuse(format!("the verdict is {}: {}", permit.verdict, permit.evidence));
        }
        permit.verdict.permits_go()
    }

    /// Why nothing may go forward now, whatever the evidence.
    fn forward_blocked(&self) -> Option<String> {
        if !self.running() {
            return Some(format!("the run is {}", self.state.phase.word()));
        }
        if self.aborting.is_some() || self.leaving {
            return Some("the run is being ended".into());
        }
        if self.held() {
            let reason = self.state.hold.as_ref().map_or("a hold is being recorded", |h| h.reason.as_str());
            return Some(format!("held: {reason}"));
        }
        if let Some(op) = self.state.unclear() {
            return Some(format!("{} is unclear: adopt, redo or back out first", op.op));
        }
        if self.in_flight() {
            return Some("an act is under way; one at a time".into());
        }
        if let Some(store) = &self.store {
            return Some(format!("the journal cannot be written: {}", store.why));
        }
        None
    }

    fn propose_forward(&mut self, turn: &mut Turn, permit: &Permit) {
        if let Some(why) = self.forward_blocked().or_else(|| self.not_the_moment(turn.at.wall)) {
            return turn.refuse(why);
        }
        if let Some(talk) = &self.talk {
            let what = if talk.purpose == Purpose::Forward { "a plan for this step" } else { "a back-out" };
            return turn.refuse(format!("{what} is open already: confirm or decline it first"));
        }
        let Some((step, state)) = self.state.current() else { return turn.refuse("no step is active") };
        let StepKind::Do(action) = &step.kind else {
            return turn.refuse(format!("step {} is a {}: it does not act", step.id, step.kind.word()));
        };
        if state.phase != StepPhase::Active {
            return turn.refuse(format!("step {} failed: choose what to do about it first", step.id));
        }
        let accepted = self.state.operation.as_ref().is_some_and(|op| op.step == step.id && op.stage == OpStage::Accepted);
        if accepted {
            return turn.refuse("it was accepted already and is being verified");
        }
        if step.confirm == Confirm::Override {
            return turn.refuse("it needs a second person, which this version cannot ask for");
        }
        // No single key writes: what a file asks nothing for still asks for a `y`.
        let (id, action, confirm) = (step.id.clone(), action.clone(), step.confirm.max(Confirm::Yes));
        if action.is_remedy() || Self::may_go(turn, permit) {
            self.start_talk(Purpose::Forward, id, action, confirm, "");
        }
    }

    /// Always possible while the run is not final: held, stale, red, in doubt, failed or stuck.
    fn propose_back_out(&mut self, turn: &mut Turn, why: &str) {
        if self.leaving || self.aborting.is_some() {
            return turn.refuse("the run is being ended");
        }
        if let Some(talk) = self.talk.as_ref().filter(|t| t.purpose == Purpose::BackOut) {
            let open = if talk.is_beyond_asking() { "the back-out is confirmed and under way" } else { "the back-out is being asked for" };
            return turn.refuse(open);
        }
        if self.is_on_the_way_back() && self.state.way_back_is_free() && self.state.unclear().is_none() {
            return turn.refuse("already on the way back");
        }
        self.withdraw(turn, "backing out instead: nothing was sent");
        self.fencing = self.fencing.take().filter(|f| !matches!(f.stage, FenceStage::ToRead | FenceStage::ToAdvance(_)));
        if self.in_flight() {
            turn.say(Level::Warning, "waiting for the answer to what was sent, then backing out");
        } else if self.state.unclear().is_some_and(|op| op.found().is_none()) {
            turn.say(Level::Warning, "reading the platform to see what became of the last act, then backing out");
        }
        if !self.start_back_out(why) {
            let step = self.state.current().map_or_else(String::new, |(s, _)| format!(" {}", s.id));
            turn.refuse(format!("nothing is left to send on the way back: retry, skip or abort step{step}"));
        }
    }

    fn confirm(&mut self, turn: &mut Turn, plan_hash: &str, typed: &str, shown: Duration, permit: &Permit) {
        let Some(talk) = &self.talk else { return turn.refuse("nothing is being asked: it was withdrawn, and nothing was sent") };
        let Stage::Asked(proposal) = &talk.stage else { return turn.refuse("nothing is being asked right now") };
        if proposal.plan_hash != plan_hash {
            return turn.refuse("that is not the plan that is shown now: look again");
        }
        let typed = typed.trim();
        if let Some(wanted) = proposal.must_type()
            && !(typed == wanted || (talk.confirm == Confirm::Yes && typed.eq_ignore_ascii_case("yes")))
        {
            return turn.refuse(format!("to confirm it, type {wanted}"));
        }
        let forward = talk.purpose == Purpose::Forward;
        if forward && let Some(why) = self.forward_blocked_now().or_else(|| self.not_the_moment(turn.at.wall)) {
            return self.withdraw(turn, &format!("{why}; nothing was sent"));
        }
        if forward && !talk.action.is_remedy() && !permit.verdict.permits_go() {
            return self.withdraw(turn, &format!("the verdict is {} now: {}; nothing was sent", permit.verdict, permit.evidence));
        }
        let given = Given { typed: clean_bounded(typed, 80), shown, evidence: clean_bounded(&permit.evidence, 600) };
        if let Some(talk) = &mut self.talk
            && let Stage::Asked(proposal) = &talk.stage
        {
            talk.stage = Stage::ToConfirm(proposal.clone(), given);
        }
    }

    /// As [`Engine::forward_blocked`]; an earlier operation that was redone and cannot arrive any more does not block.
    fn forward_blocked_now(&self) -> Option<String> {
        match self.state.unclear() {
            Some(op) if !op.may_arrive() && self.running() && !self.held() => None,
            _ => self.forward_blocked(),
        }
    }

    fn decline(&mut self, turn: &mut Turn) {
        match &self.talk {
            Some(talk) if talk.is_beyond_asking() => turn.refuse("it is confirmed already"),
            Some(_) => {
                self.talk = None;
                "not confirmed".clone_into(&mut self.void_why);
            }
            None => {}
        }
    }

    fn redo(&mut self, turn: &mut Turn) {
        let Some(op) = self.state.unclear().cloned() else { return turn.refuse("no operation is unclear") };
        let forward = self.state.runbook.position(&op.step).is_some();
        if !may_redo(op.found()) {
            return turn.refuse("the platform has to be read first; it is being tried");
        }
        if self.fencing.is_some() || self.aborting.is_some() || self.leaving || self.in_flight() {
            return turn.refuse("it is being worked on");
        }
        if forward && self.held() {
            return turn.refuse("held: release the hold first, or back out");
        }
        if forward && !self.running() {
            return turn.refuse("the way back has begun: it is not done again");
        }
        self.withdraw(turn, "doing it again instead: nothing was sent");
        if op.found() == Some(Found::AppliedThenChanged) {
            self.talk_again(&op);
        } else {
            self.fencing = Some(Fencing { why: FenceFor::Redo, op: op.op, stage: FenceStage::ToRead });
        }
    }

    fn abort(&mut self, turn: &mut Turn, reason: &str) {
        let reason = clean_bounded(reason.trim(), 300);
        if reason.is_empty() {
            return turn.refuse("an abort needs a reason");
        }
        if self.aborting.is_some() || self.leaving {
            return turn.refuse("the run is being ended");
        }
        self.withdraw(turn, "aborting: nothing was sent");
        self.countdown = None;
        if self.in_flight() || self.state.unclear().is_some() {
            turn.say(Level::Warning, "aborting as soon as it is clear what became of the last act");
        }
        if let Some(fencing) = self.fencing.as_mut() {
            fencing.why = FenceFor::Abort;
        }
        self.aborting = Some(reason);
    }

    fn choose(&mut self, turn: &mut Turn, choice: Choice, reason: Option<String>) {
        let Some((current, _)) = self.state.current().filter(|(_, s)| failed(s)) else {
            return turn.refuse("no step failed: there is nothing to choose");
        };
        let step = current.id.clone();
        let reason = reason.map(|r| clean_bounded(r.trim(), 300)).filter(|r| !r.is_empty());
        match choice {
            Choice::BackOut => {
                self.fact(Event::ChoiceMade { step: step.clone(), choice, reason });
                self.propose_back_out(turn, &format!("step {step} failed"));
            }
            Choice::Abort if !self.state.offer(current).contains(&Choice::Abort) => turn.refuse("abort is not offered for this step"),
            Choice::Abort => {
                let why = reason.clone().unwrap_or_else(|| format!("step {step} failed"));
                self.fact(Event::ChoiceMade { step, choice, reason });
                self.abort(turn, &why);
            }
            Choice::Skip
                if current.on_failure.skip_role.as_ref().is_some_and(|role| !self.state.runbook.is_in(&self.state.driver.id, role)) =>
            {
                let role = current.on_failure.skip_role.clone().unwrap_or_default();
                turn.refuse(format!("skipping {step} is for {role} to decide, and {} is not {role}", self.state.driver.id));
            }
            Choice::Retry | Choice::Skip => self.inbox.push_back(Command::Choose { choice, reason }),
        }
    }

    /// Takes the next decision of a person that has to be recorded; on the state as it is now.
    pub(super) fn inbox_decision(&mut self, turn: &mut Turn) -> Option<(Vec<Event>, super::journal::What)> {
        while let Some(command) = self.inbox.pop_front() {
            if let Some(events) = self.decided(turn, &command) {
                return Some((events, super::journal::What::Command(command)));
            }
        }
        None
    }

    fn decided(&mut self, turn: &mut Turn, command: &Command) -> Option<Vec<Event>> {
        let result = match command {
            _ if self.state.phase.is_final() => Err(format!("the run is {}", self.state.phase.word())),
            Command::Unhold => self.unhold(),
            Command::Gate { go, permit } => self.gate(*go, permit),
            Command::Answer { step, item, answer } => self.answer(step, *item, answer),
            Command::Adopt { reason } => self.adopt(turn, reason),
            Command::Vote { step, ballot } => self.state.vote(step, &self.state.driver.id, ballot, turn.at.wall),
            Command::Shorten { reason } => {
                self.state.shorten(&self.state.driver.id, reason, &turn.at, &self.boot_id).map(|event| vec![event])
            }
            Command::OverrideWindow { reason } => self.override_window(reason),
            Command::Recycle { to, reason } => self.recycle(turn, to, reason),
            Command::Choose { choice, reason } => self.chosen(*choice, reason.clone()),
            _ => Err("it cannot be recorded now".into()),
        };
        result.map_err(|why| turn.refuse(why)).ok()
    }

    fn unhold(&self) -> Result<Vec<Event>, String> {
        if !self.running() || self.state.hold.is_none() {
            return Err("nothing holds".into());
        }
        match self.worst_standing() {
            Some(Standing::Bad(why)) => Err(format!("{why}: wait until it is good again, or back out")),
            Some(Standing::Unread(guard)) => Err(format!("guard {guard} was not read again yet: wait, or back out")),
            None => Ok(vec![Event::HoldEnded {}]),
        }
    }

    fn gate(&self, go: bool, permit: &Permit) -> Result<Vec<Event>, String> {
        let (step, state) = self.state.current().ok_or("no step is active")?;
        if step.kind != StepKind::Gate || state.phase != StepPhase::Active {
            return Err(format!("step {} is no open gate", step.id));
        }
        let evidence = clean_bounded(&format!("{}: {}", permit.verdict, permit.evidence), 600);
        let answered = Event::GateAnswered { step: step.id.clone(), go, evidence };
        let back = self.state.phase == Phase::RollingBack;
        if !go {
            let hold = Event::HoldBegan { reason: format!("no-go at {}", step.id), guard: None };
            return Ok(if back { vec![answered] } else { vec![answered, hold] });
        }
        if !back {
            if let Some(why) = self.forward_blocked() {
                return Err(why);
            }
            if !permit.verdict.permits_go() {
                return Err(format!("the verdict is {}: {}", permit.verdict, permit.evidence));
            }
        }
        Ok(vec![answered, Event::StepPassed { step: step.id.clone(), why: format!("go: {}", permit.verdict) }])
    }

    fn override_window(&self, reason: &str) -> Result<Vec<Event>, String> {
        let reason = clean_bounded(reason.trim(), 300);
        let role = self.state.runbook.clock.window.as_ref().and_then(|window| window.override_role.clone());
        let who = &self.state.driver.id;
        match role {
            _ if reason.is_empty() => Err("setting the window aside needs a reason".into()),
            None => Err("this runbook does not let anybody set its window aside".into()),
            Some(role) if !self.state.runbook.is_in(who, &role) => {
                Err(format!("the window is for {role} to set aside, and {who} is not {role}"))
            }
            Some(_) => Ok(vec![Event::WindowOverridden { reason }]),
        }
    }

    /// Back to an earlier step. What is in force has to be taken back first.
    fn recycle(&mut self, turn: &mut Turn, to: &StepId, reason: &str) -> Result<Vec<Event>, String> {
        let reason = clean_bounded(reason.trim(), 300);
        let place = self.state.runbook.position(to).ok_or_else(|| format!("there is no step {to}"))?;
        if reason.is_empty() {
            return Err("going back to an earlier step needs a reason".into());
        }
        if !self.running() || self.in_flight() || self.state.unclear().is_some() || self.fencing.is_some() {
            return Err("an act is under way or unclear: settle it first, or back out".into());
        }
        let here = self.state.steps.iter().position(|s| !matches!(s.phase, StepPhase::Passed | StepPhase::Skipped | StepPhase::Undone));
        if here.is_some_and(|here| place > here) {
            return Err(format!("step {to} is still to come"));
        }
        let in_force = self.state.in_force.iter().find(|id| self.state.runbook.position(id).is_some_and(|at| at >= place));
        if let Some(step) = in_force {
            return Err(format!("the act of {step} is in force: it has to be taken back first (B)"));
        }
        self.withdraw(turn, "going back to an earlier step: nothing was sent");
        Ok(vec![Event::RunRecycled { to: to.clone(), reason }])
    }

    fn answer(&self, id: &StepId, item: usize, text: &str) -> Result<Vec<Event>, String> {
        self.state.answer(id, item, text, &self.state.driver.id).map(|event| vec![event])
    }

    fn adopt(&mut self, turn: &mut Turn, reason: &str) -> Result<Vec<Event>, String> {
        let reason = clean_bounded(reason.trim(), 300);
        let Some(op) = self.state.unclear().filter(|op| may_adopt(op.found())).cloned() else {
            return Err("there is nothing to adopt".into());
        };
        if reason.is_empty() {
            return Err("adopting needs a reason".into());
        }
        if self.fencing.is_some() || self.aborting.is_some() {
            return Err("it is being worked on".into());
        }
        self.withdraw(turn, "adopting what is there: nothing was sent");
        let why = format!("adopted: {reason}");
        let current = self.state.current().is_some_and(|(s, st)| s.id == op.step && st.phase == StepPhase::Active);
        let mut events = vec![Event::ActionAdopted { op: op.op, weight: op.seen_weight, reason }];
        if current {
            events.push(Event::StepPassed { step: op.step.clone(), why });
            events.extend(self.undone_with(&op.step));
        }
        Ok(events)
    }

    fn chosen(&self, choice: Choice, reason: Option<String>) -> Result<Vec<Event>, String> {
        let (step, state) = self.state.current().filter(|(_, s)| failed(s)).ok_or("no step failed: there is nothing to choose")?;
        let id = &step.id;
        if !self.state.offer(step).contains(&choice) {
            return Err("that is not offered for this step".into());
        }
        if self.held() {
            return Err("held: release the hold first, or back out".into());
        }
        let made = Event::ChoiceMade { step: id.clone(), choice, reason: reason.clone() };
        match choice {
            Choice::Retry => Ok(vec![made, Event::StepEntered { step: id.clone(), attempt: state.attempts + 1 }]),
            _ if reason.is_none() && step.on_failure.skip_needs_reason => Err("skipping needs a reason".into()),
            _ => {
                let why = reason.unwrap_or_else(|| "skipped after a failure".into());
                Ok(vec![made, Event::StepSkipped { step: id.clone(), why }])
            }
        }
    }
}

fn failed(state: &StepState) -> bool {
    matches!(state.phase, StepPhase::Failed | StepPhase::Inconclusive)
}
