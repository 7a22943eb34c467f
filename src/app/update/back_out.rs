//! Backing out from a cockpit that does not drive: the plan is shown first; the seat is taken only for what was confirmed.

use super::super::effect::Effect;
use super::super::model::{Mode, Model, Seat};
use super::super::prompt::{Ask, Prompt};
use super::prompts;
use super::run::{self, AfterOpen, feed};
use crate::app::verdict::permit;
use crate::domain::{Action, ActionPlan, Confirm, Danger, Failure, OpId, Preflight, Relied, Stamp, StepId, Ticket};
use crate::runbook::engine::CONFIRMATION_LIFE;
use crate::runbook::io::{Command, Input, Level, Proposal, Purpose};
use std::time::Duration;

/// An answer to the request for the seat is waited for so long before it is asked for again.
const SEAT_PATIENCE: Duration = Duration::from_secs(5);

/// A plan that is shown before the seat is ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Preview {
    /// The request, while it is under way.
    pub(super) ticket: Option<Ticket>,
    action: Action,
    step: StepId,
    confirm: Confirm,
}

/// What was confirmed before the seat was ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Agreed {
    action: Action,
    relied: Relied,
    typed: String,
    /// How long the prompt was open.
    shown: Duration,
    /// When it was confirmed (boot).
    at: Duration,
}

/// `B`: from any view, in OBSERVE, with stale data.
pub(super) fn back_out(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if let Some(why) = prompts::unable(model) {
        return prompts::block(model, stamp, "back out", vec![why, "by hand: gonogo print-undo (works offline)".into()]);
    }
    let driving = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && !r.state.phase.is_final());
    if driving {
        return ask(model, stamp);
    }
    if let Some(AfterOpen::BackOut { asked, .. }) = &model.driver.after_open
        && stamp.boot.saturating_sub(*asked) < SEAT_PATIENCE
    {
        model.say(Level::Info, "the seat is being taken to back out");
        return Vec::new();
    }
    if model.script_running() {
        // The token was given beforehand.
        return take_seat(model, stamp, None);
    }
    preview(model, stamp)
}

/// Opens the prompt and has the act worked out. Only for the driver.
pub(super) fn ask(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.script_running() {
        return propose(model, stamp);
    }
    let asked = model.driver.engine.as_ref().and_then(|e| e.asked()).filter(|p| p.purpose == Purpose::BackOut).cloned();
    prompts::open(model, stamp, Ask::BackOut, Danger::L2);
    if let Some(asked) = asked {
        prompts::show(model, Box::new(asked));
        return Vec::new();
    }
    propose(model, stamp)
}

fn propose(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let why = run::back_out_reason(model);
    feed(model, stamp, Input::Command(Command::ProposeBackOut { why }))
}

fn preview(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let state = model.run.as_ref().filter(|r| !r.state.phase.is_final()).map(|r| &r.state);
    let first = state.and_then(|s| s.first_act_back());
    let action = first.map_or_else(|| model.spec.route.way_back(), |(_, action)| action.clone());
    let step = first.map_or_else(|| "back-out".into(), |(step, _)| step.id.clone());
    let confirm = state.map_or(Confirm::Consequence, |s| s.runbook.rollback.confirm.clamp(Confirm::Yes, Confirm::Consequence));
    prompts::open(model, stamp, Ask::BackOut, Danger::L2);
    let ticket = run::own_ticket(model);
    model.driver.preview = Some(Preview { ticket: Some(ticket), action: action.clone(), step, confirm });
    vec![Effect::Plan { ticket, target: None, action }]
}

/// The plan that is shown before the seat is taken.
pub(super) fn previewed(model: &mut Model, stamp: &Stamp, result: Result<Box<ActionPlan>, Failure>) {
    let Some(preview) = model.driver.preview.as_mut() else { return };
    preview.ticket = None;
    let preview = preview.clone();
    let plan = match result {
        Ok(plan) if preview.action.is_planned_as(&plan.action) && !plan.action.is_open() => plan,
        Ok(_) => return prompts::unplanned(model, "the plan that came back is for something else"),
        Err(failure) => return prompts::plan_failed(model, &failure),
    };
    let refused = [&plan.access, &plan.dry_run].into_iter().find_map(|answer| match answer {
        Preflight::Refused { why } if !plan.is_noop() => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = refused {
        return prompts::unplanned(model, &why);
    }
    let Some(prompt) = model.prompt.as_mut().filter(|p| p.ask == Ask::BackOut) else { return };
    prompt.proposal = Some(Box::new(Proposal {
        op: OpId::from(""),
        step: preview.step,
        purpose: Purpose::BackOut,
        confirm: preview.confirm,
        plan: *plan,
        plan_hash: String::new(),
    }));
    prompt.expects = prompt.proposal.as_ref().and_then(|p| p.must_type());
    prompt.plan_arrived(stamp.mono);
}

/// A confirmation of what was shown before the seat is ours.
pub(super) fn confirmed(model: &mut Model, stamp: &Stamp, prompt: &Prompt, proposal: &Proposal, typed: String) -> Vec<Effect> {
    model.driver.preview = None;
    if matches!(model.mode, Mode::Observe) {
        model.say(Level::Info, "armed for this one act");
    }
    let agreed = Agreed {
        action: proposal.plan.action.clone(),
        relied: proposal.plan.relies_on(),
        typed,
        shown: stamp.mono.saturating_sub(prompt.opened),
        at: stamp.boot,
    };
    take_seat(model, stamp, Some(Box::new(agreed)))
}

fn take_seat(model: &mut Model, stamp: &Stamp, agreed: Option<Box<Agreed>>) -> Vec<Effect> {
    model.driver.after_open = Some(AfterOpen::BackOut { agreed, asked: stamp.boot });
    model.say(Level::Info, "taking the seat to back out");
    match model.run.as_ref().filter(|r| !r.state.phase.is_final()).map(|r| r.state.run.clone()) {
        Some(run) => vec![Effect::TakeSeat { run, take_over: true }],
        None => vec![Effect::StartRun { first: run::back_out_run(model) }],
    }
}

/// The seat is ours: the act is worked out again, and goes out without another question if it is what was confirmed.
pub(super) fn seated(model: &mut Model, stamp: &Stamp, agreed: Option<Box<Agreed>>) -> Vec<Effect> {
    match agreed {
        Some(agreed) => {
            model.driver.agreed = Some(*agreed);
            propose(model, stamp)
        }
        None => ask(model, stamp),
    }
}

/// What becomes of a plan of the way back.
pub(super) enum Settled {
    /// It was confirmed before the seat was ours.
    Confirmed(Vec<Effect>),
    /// Another one was confirmed then: this one has to be shown.
    Changed,
    /// Nothing was confirmed beforehand.
    Open,
}

/// Whether this plan is the one that was confirmed before the seat was ours; then it is confirmed.
pub(super) fn settled(model: &mut Model, stamp: &Stamp, proposal: &Proposal) -> Settled {
    if proposal.purpose != Purpose::BackOut {
        return Settled::Open;
    }
    let Some(agreed) = model.driver.agreed.take() else { return Settled::Open };
    // The epoch on the object may be another by now, ours even; the weights are what was decided about.
    let relied = Relied { epoch: agreed.relied.epoch, ..proposal.plan.relies_on() };
    let same = agreed.action == proposal.plan.action && relied == agreed.relied;
    if !same || stamp.boot.saturating_sub(agreed.at) > CONFIRMATION_LIFE {
        return Settled::Changed;
    }
    let (plan_hash, permit) = (proposal.plan_hash.clone(), permit(model, stamp));
    let command = Command::Confirm { plan_hash, typed: agreed.typed, shown: agreed.shown, permit };
    Settled::Confirmed(feed(model, stamp, Input::Command(command)))
}
