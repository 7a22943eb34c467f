//! Talking about one act: plan it, show it, have it confirmed, look again.

use super::words;
use super::{CONFIRMATION_LIFE, Engine, Pace, Turn};
use crate::domain::text::clean_bounded;
use crate::domain::{Action, ActionPlan, Confirm, Failure, OpId, Preflight, Relied, StepId, Subject, Ticket, canonical};
use crate::runbook::io::{Level, Output, Proposal, Purpose};
use crate::runbook::plan::StepKind;
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, Operation, Phase, StepPhase};
use serde::Serialize;
use std::time::Duration;

/// One act on its way from the wish to the intent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Talk {
    pub(super) purpose: Purpose,
    pub(super) step: StepId,
    pub(super) action: Action,
    pub(super) confirm: Confirm,
    /// Why the way back is taken, for the record.
    pub(super) why: String,
    pub(super) stage: Stage,
    /// Boot clock of the first attempt to re-read after the confirmation.
    pub(super) reading_since: Option<Duration>,
}

/// How far the talk is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    ToPlan,
    Planning(Ticket),
    /// The platform is already as wanted: the step passes without a write.
    Already(Box<Proposal>),
    /// `action.planned` has to be recorded.
    ToRecord(Box<Proposal>),
    Asked(Box<Proposal>),
    /// The confirmation has to be recorded.
    ToConfirm(Box<Proposal>, Given),
    /// To be re-read.
    Confirmed(Box<Proposal>, Option<Consent>),
    /// The intent has to be recorded.
    ToIntend(Box<Proposal>, Option<Consent>, Box<Subject>),
}

/// What a person gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) typed: String,
    pub(super) shown: Duration,
    pub(super) evidence: String,
}

/// A journaled confirmation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Consent {
    pub(super) seq: u64,
    pub(super) boot: Duration,
}

impl Talk {
    pub(super) fn proposal(&self) -> Option<&Proposal> {
        match &self.stage {
            Stage::ToPlan | Stage::Planning(_) => None,
            Stage::Already(p) | Stage::ToRecord(p) | Stage::Asked(p) | Stage::ToConfirm(p, _) => Some(p),
            Stage::Confirmed(p, _) | Stage::ToIntend(p, ..) => Some(p),
        }
    }

    pub(super) fn is_about(&self, op: &OpId) -> bool {
        self.proposal().is_some_and(|p| p.op == *op)
    }

    /// Whether the person has said yes, or need not be asked.
    pub(super) fn is_beyond_asking(&self) -> bool {
        matches!(self.stage, Stage::ToConfirm(..) | Stage::Confirmed(..) | Stage::ToIntend(..))
    }

    fn was_shown(&self) -> bool {
        self.confirm != Confirm::None && (matches!(self.stage, Stage::Asked(_)) || self.is_beyond_asking())
    }
}

/// What a confirmation is bound to.
#[derive(Serialize)]
pub(super) struct Hashed<'a> {
    pub(super) runbook: &'a str,
    pub(super) step: &'a StepId,
    pub(super) action: &'a Action,
    pub(super) uid: &'a str,
    pub(super) relied: &'a Relied,
}

impl Engine {
    pub(super) fn start_talk(&mut self, purpose: Purpose, step: StepId, action: Action, confirm: Confirm, why: &str) {
        let why = clean_bounded(why, 200);
        self.talk = Some(Talk { purpose, step, action, confirm, why, stage: Stage::ToPlan, reading_since: None });
    }

    /// The first act of the way back, to be asked for.
    pub(super) fn start_back_out(&mut self, why: &str) -> bool {
        let Some((step, action)) = self.state.first_act_back().map(|(s, a)| (s.id.clone(), a.clone())) else { return false };
        // Never more than typing a nought, never nothing: going back is easy, and no single key writes.
        let confirm = self.state.runbook.rollback.confirm.clamp(Confirm::Yes, Confirm::Consequence);
        self.start_talk(Purpose::BackOut, step, action, confirm, why);
        true
    }

    /// Gives the talk up; nothing was sent. An intent whose append is outstanding will not be sent either.
    pub(super) fn withdraw(&mut self, turn: &mut Turn, why: &str) {
        self.withdraw_for(turn, why, false);
    }

    fn withdraw_for(&mut self, turn: &mut Turn, why: &str, moved: bool) {
        self.cancel_intent(None, why);
        let Some(talk) = self.talk.take() else { return };
        self.void_why = clean_bounded(why, 200);
        if talk.was_shown() {
            turn.out.push(Output::Withdraw { why: self.void_why.clone(), moved });
        } else {
            turn.say(Level::Warning, why);
        }
    }

    /// Gives the talk up when the ground it stands on is gone.
    pub(super) fn keep_talk_valid(&mut self, turn: &mut Turn) {
        let Some(talk) = &self.talk else { return };
        let ended = self.step_ended(&talk.step);
        let unasked = talk.confirm != Confirm::None && !talk.is_beyond_asking();
        let why = match talk.purpose {
            _ if self.state.phase.is_final() => "the run ended".to_owned(),
            _ if ended => {
                self.talk = None;
                return;
            }
            Purpose::Forward if !self.running() && !self.state.is_at_the_end(&talk.step) => "backing out".to_owned(),
            Purpose::Forward if self.held() => match &self.state.hold {
                Some(hold) => format!("held: {}; nothing was sent", hold.reason),
                None => "held; nothing was sent".to_owned(),
            },
            Purpose::BackOut if unasked && self.state.phase == Phase::RollingBack && self.state.way_back_is_free() => {
                "the way back goes on by itself".to_owned()
            }
            _ => return,
        };
        self.withdraw(turn, &why);
    }

    fn step_ended(&self, id: &StepId) -> bool {
        match self.state.step_and_state(id) {
            Some((_, state)) => matches!(state.phase, StepPhase::Passed | StepPhase::Skipped | StepPhase::Undone),
            None => true,
        }
    }

    pub(super) fn ask_for_plan(&mut self, turn: &mut Turn) {
        let looking = self.state.unclear().is_some_and(|op| op.found().is_none());
        if looking || self.in_flight() || self.fencing.is_some() || self.store.is_some() {
            return;
        }
        let Some(talk) = self.talk.as_mut().filter(|t| t.stage == Stage::ToPlan) else { return };
        let ticket = self.tickets.take();
        talk.stage = Stage::Planning(ticket);
        let (step, action) = (talk.step.clone(), talk.action.clone());
        turn.out.push(Output::Plan { ticket, target: self.target_of(&step), action });
    }

    pub(super) fn planned(&mut self, turn: &mut Turn, ticket: Ticket, result: Result<Box<ActionPlan>, Failure>) {
        let Some(mut talk) = self.talk.take_if(|t| t.stage == Stage::Planning(ticket)) else { return };
        let free = talk.confirm == Confirm::None;
        let plan = match result {
            Ok(plan) if talk.action.is_planned_as(&plan.action) && !plan.action.is_open() => plan,
            Ok(_) => {
                turn.say(Level::Alarm, "the plan that came back is for something else: nothing was shown");
                return;
            }
            Err(failure) => {
                self.plan_failed(turn, &talk, &failure, free);
                return;
            }
        };
        talk.action = plan.action.clone();
        if let Some(why) = refusal(&plan, talk.purpose) {
            turn.refuse(format!("{} cannot be done: {why}", talk.action));
            if free {
                self.fail_step(&talk.step, &why, false);
            }
            return;
        }
        if let Some(trouble) = &plan.before.trouble {
            turn.say(Level::Warning, format!("the route is not in order: {trouble}"));
        }
        let Some(proposal) = self.propose(&talk, *plan) else {
            turn.say(Level::Alarm, "the plan has no canonical form: nothing was shown");
            return;
        };
        if talk.purpose == Purpose::Forward && self.not_as_agreed(turn, &talk.step, &proposal.plan_hash) {
            return;
        }
        // What may still arrive has to be closed off first, even where nothing is left to change.
        let closed = !self.state.unclear().is_some_and(Operation::may_arrive);
        let already = closed && proposal.plan.is_noop() && (free || talk.purpose == Purpose::Forward);
        let proposal = Box::new(proposal);
        talk.stage = if already { Stage::Already(proposal) } else { Stage::ToRecord(proposal) };
        self.talk = Some(talk);
    }

    fn plan_failed(&mut self, turn: &mut Turn, talk: &Talk, failure: &Failure, free: bool) {
        turn.say(Level::Alarm, format!("{} could not be worked out: {failure}", talk.action));
        if free {
            self.wait_before_retry(turn);
            self.clock.trouble = Some(failure.to_string());
        }
    }

    /// Lets the way back wait a little before it tries its act again.
    pub(super) fn wait_before_retry(&mut self, turn: &Turn) {
        let wait = (self.retry_back.1 * 2).clamp(Duration::from_secs(1), Duration::from_secs(15));
        self.retry_back = (turn.at.boot + wait, wait);
    }

    fn propose(&self, talk: &Talk, plan: ActionPlan) -> Option<Proposal> {
        let relied = plan.relies_on();
        let hashed = Hashed { runbook: &self.state.hash, step: &talk.step, action: &talk.action, uid: &plan.before.uid, relied: &relied };
        let plan_hash = canonical::hash(&hashed).ok()?;
        let attempt = self.state.intents.get(&talk.step).copied().unwrap_or_default() + 1;
        let op = OpId(format!("{}/{}/{attempt}", self.state.run, talk.step));
        Some(Proposal { op, step: talk.step.clone(), purpose: talk.purpose, confirm: talk.confirm, plan, plan_hash })
    }

    pub(super) fn plan_is_recorded(&mut self, turn: &mut Turn) {
        let Some(talk) = &mut self.talk else { return };
        let Stage::ToRecord(proposal) = &talk.stage else { return };
        let proposal = proposal.clone();
        if talk.confirm == Confirm::None {
            talk.stage = Stage::Confirmed(proposal, None);
            self.pace = Pace::default();
        } else {
            turn.out.push(Output::Ask(proposal.clone()));
            talk.stage = Stage::Asked(proposal);
        }
    }

    pub(super) fn confirmation_is_recorded(&mut self, turn: &Turn, seq: u64) {
        let Some(talk) = &mut self.talk else { return };
        if let Stage::ToConfirm(proposal, _) = &talk.stage {
            talk.stage = Stage::Confirmed(proposal.clone(), Some(Consent { seq, boot: turn.at.boot }));
            self.pace = Pace::default();
        }
    }

    /// What the talk has to record next.
    pub(super) fn talk_decision(&mut self, turn: &mut Turn) -> Option<(Vec<Event>, super::journal::What)> {
        use super::journal::What;
        let talk = self.talk.as_ref()?;
        match &talk.stage {
            Stage::ToRecord(p) => Some((vec![planned_event(p)], What::Planned)),
            Stage::Already(p) => {
                let why = format!("the platform is already at {}", talk.action.wanted());
                let known = self.state.operation.as_ref().is_some_and(|op| op.op == p.op);
                let mut events: Vec<Event> = (!known).then(|| planned_event(p)).into_iter().collect();
                events.push(Event::StepPassed { step: talk.step.clone(), why });
                events.extend(self.undone_with(&talk.step));
                Some((events, What::Due))
            }
            Stage::ToConfirm(p, given) => {
                let mut events = Vec::new();
                if talk.purpose == Purpose::BackOut && !self.is_on_the_way_back() {
                    events.push(Event::RollbackBegan { why: talk.why.clone(), automatic: false });
                }
                events.push(Event::ActionConfirmed {
                    op: p.op.clone(),
                    plan_hash: p.plan_hash.clone(),
                    typed: given.typed.clone(),
                    shown_ms: u64::try_from(given.shown.as_millis()).unwrap_or(u64::MAX),
                    evidence: given.evidence.clone(),
                });
                Some((events, What::Confirmed))
            }
            Stage::ToIntend(..) => self.intend(turn),
            Stage::ToPlan | Stage::Planning(_) | Stage::Asked(_) | Stage::Confirmed(..) => None,
        }
    }

    /// Whether the way back is under way and nothing on it failed.
    pub(super) fn is_on_the_way_back(&self) -> bool {
        let failed = self.state.current().is_some_and(|(_, s)| matches!(s.phase, StepPhase::Failed | StepPhase::Inconclusive));
        self.state.phase == Phase::RollingBack && !failed
    }

    /// The confirmed act's step, when it is its turn.
    pub(super) fn talk_is_due(&self) -> bool {
        let Some(talk) = self.talk.as_ref().filter(|t| matches!(t.stage, Stage::Confirmed(..))) else { return false };
        let here = self.state.current().is_some_and(|(s, st)| s.id == talk.step && st.phase == StepPhase::Active);
        here && (talk.purpose == Purpose::Forward || self.state.phase == Phase::RollingBack)
    }

    /// The object as re-read after the confirmation.
    pub(super) fn reread(&mut self, turn: &mut Turn, result: Result<Box<Subject>, Failure>) {
        let Some(talk) = &mut self.talk else { return };
        let Stage::Confirmed(proposal, consent) = &talk.stage else { return };
        let (proposal, consent, back) = (proposal.clone(), *consent, talk.purpose == Purpose::BackOut);
        let since = *talk.reading_since.get_or_insert(turn.at.boot);
        let subject = match result {
            Ok(subject) => subject,
            // Going back is worth some patience; going forward is not.
            Err(_) if back && turn.at.boot.saturating_sub(since) < CONFIRMATION_LIFE => return,
            Err(failure) => {
                self.withdraw(turn, &format!("the platform could not be read again: {failure}; nothing was sent"));
                return;
            }
        };
        if let Some(moved) = words::moved(&proposal.plan.before, &subject, self.epoch) {
            self.ground_moved(turn, &moved);
        } else if subject.done {
            talk.stage = Stage::Already(proposal);
        } else {
            talk.stage = Stage::ToIntend(proposal, consent, subject);
        }
    }

    /// The platform is not as it was when the plan was shown: the confirmation is void. A back-out is planned and asked anew at once.
    pub(super) fn ground_moved(&mut self, turn: &mut Turn, moved: &str) {
        let again = self.talk.as_ref().filter(|t| t.purpose == Purpose::BackOut && t.confirm != Confirm::None).cloned();
        self.withdraw_for(turn, &format!("{moved}; nothing was sent"), true);
        if let Some(mut talk) = again {
            talk.stage = Stage::ToPlan;
            talk.reading_since = None;
            self.talk = Some(talk);
        } else if !self.running() {
            self.wait_before_retry(turn);
        }
    }

    /// A plan or confirmation nobody talks about any more: its driver ended, or it was withdrawn.
    pub(super) fn void_orphan(&self) -> Option<Event> {
        let op = self.state.operation.as_ref()?;
        let open = matches!(op.stage, OpStage::Planned | OpStage::Confirmed { .. });
        let orphan = open && !self.talk.as_ref().is_some_and(|t| t.is_about(&op.op) && !matches!(t.stage, Stage::ToRecord(_)));
        orphan.then(|| Event::ActionReplanned {
            op: op.op.clone(),
            why: if self.void_why.is_empty() { "the driver ended before it was sent".to_owned() } else { self.void_why.clone() },
        })
    }

    /// When the talk has to be looked at again.
    pub(super) fn talk_deadline(&self) -> Option<Duration> {
        let by_itself = !self.running() || self.state.current().is_some_and(|(step, _)| self.state.is_at_the_end(&step.id));
        let free = by_itself && self.talk.is_none() && self.retry_back.0 > Duration::ZERO && self.acts_now();
        free.then_some(self.retry_back.0)
    }

    /// Whether the active step acts.
    pub(super) fn acts_now(&self) -> bool {
        self.state.current().is_some_and(|(s, st)| matches!(s.kind, StepKind::Do(_)) && st.phase == StepPhase::Active)
    }
}

fn planned_event(p: &Proposal) -> Event {
    Event::ActionPlanned {
        op: p.op.clone(),
        step: p.step.clone(),
        action: p.plan.action.clone(),
        plan_hash: p.plan_hash.clone(),
        before: p.plan.relies_on(),
        shown: p.plan.before.shown.clone(),
    }
}

/// Why this plan cannot be carried out. An object that is not in order stops what goes forward; going back is tried all the same.
fn refusal(plan: &ActionPlan, purpose: Purpose) -> Option<String> {
    if plan.is_noop() {
        return None;
    }
    if let Some(trouble) = plan.before.trouble.as_ref().filter(|_| purpose == Purpose::Forward) {
        return Some(trouble.clone());
    }
    [&plan.access, &plan.dry_run].into_iter().find_map(|answer| match answer {
        Preflight::Refused { why } => Some(why.clone()),
        Preflight::Accepted | Preflight::NotAsked { .. } => None,
    })
}
