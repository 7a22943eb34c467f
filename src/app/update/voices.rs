//! What people say together: votes at a gate, a wait ended early, a window set aside, a step back.

use super::super::command::View;
use super::super::effect::Effect;
use super::super::model::{Model, Seat};
use super::super::prompt::{Ask, NeedsReason, Prompt};
use super::prompts::{self, block, open, unable};
use super::run::{append_all_as_observer, feed};
use crate::domain::{Danger, Stamp, StepId};
use crate::runbook::StepKind;
use crate::runbook::gate::{Ballot, Vote};
use crate::runbook::io::{Command, Input};

/// The gate at hand, and the roles in which whoever works here may speak at it.
fn at_hand(model: &Model) -> Result<(StepId, Vec<String>), String> {
    let Some(run) = model.run.as_ref().filter(|run| !run.state.phase.is_final()) else {
        return Err("no run is under way".into());
    };
    let state = &run.state;
    let Some(gate) = state.gate_at_hand() else { return Err("no gate is open at which people agree".into()) };
    let who = &model.options.operator;
    let voices: Vec<String> = state.voices(gate, who).into_iter().map(str::to_owned).collect();
    if voices.is_empty() {
        let asked = state.board(gate, model.now.wall).map(|board| board.positions).unwrap_or_default();
        let asked: Vec<&str> = asked.iter().map(|position| position.role.as_str()).collect();
        return Err(format!("you are {who}, and have none of the roles that are asked: {}", asked.join(", ")));
    }
    Ok((gate.clone(), voices))
}

/// Whether something that this person said at the gate can be taken back.
fn has_spoken(model: &Model, gate: &StepId, roles: &[String]) -> bool {
    let who = &model.options.operator;
    let Some((_, known)) = model.run.as_ref().and_then(|run| run.state.step_and_state(gate)) else { return false };
    roles.iter().any(|role| {
        let last = known.votes.iter().rfind(|cast| cast.by.id == *who && cast.role == *role);
        last.is_some_and(|cast| cast.vote != Vote::Withdrawn)
    })
}

/// `D` at a gate: the menu of what can be said.
pub(super) fn menu(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    match unable(model).map_or_else(|| at_hand(model), Err) {
        Err(why) => block(model, stamp, "speaking here", vec![why]),
        Ok((gate, roles)) => {
            let said = has_spoken(model, &gate, &roles);
            open(model, stamp, Ask::Vote { gate, roles, said }, Danger::L1);
            Vec::new()
        }
    }
}

/// The letter that says it in the menu.
fn vote_of(key: char) -> Option<Vote> {
    match key {
        'g' => Some(Vote::Go),
        'x' => Some(Vote::NoGo),
        'h' => Some(Vote::Hold),
        'w' => Some(Vote::Withdrawn),
        _ => None,
    }
}

/// A letter of the menu, or the number of a role.
pub(super) fn picked(model: &mut Model, stamp: &Stamp, prompt: Prompt, key: char) -> Vec<Effect> {
    match &prompt.ask {
        Ask::Vote { gate, roles, .. } => match vote_of(key) {
            Some(vote) => {
                let (gate, roles) = (gate.clone(), roles.clone());
                for_role(model, stamp, gate, roles, vote)
            }
            None => prompts::reopen(model, prompt),
        },
        Ask::VoteRole { gate, roles, vote } => {
            let place = key.to_digit(10).and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_sub(1));
            match place.and_then(|place| roles.get(place)).cloned() {
                Some(role) => {
                    let (gate, vote) = (gate.clone(), *vote);
                    say(model, stamp, gate, role, vote)
                }
                None => prompts::reopen(model, prompt),
            }
        }
        _ => prompts::reopen(model, prompt),
    }
}

/// A key that says something at once.
pub(super) fn speak(model: &mut Model, stamp: &Stamp, vote: Vote) -> Vec<Effect> {
    match unable(model).map_or_else(|| at_hand(model), Err) {
        Err(why) => block(model, stamp, "speaking here", vec![why]),
        Ok((gate, roles)) if vote == Vote::Withdrawn && !has_spoken(model, &gate, &roles) => {
            block(model, stamp, "withdrawing", vec!["you have said nothing here".to_owned()])
        }
        Ok((gate, roles)) => for_role(model, stamp, gate, roles, vote),
    }
}

/// Who has several of the roles says which one is meant.
fn for_role(model: &mut Model, stamp: &Stamp, gate: StepId, roles: Vec<String>, vote: Vote) -> Vec<Effect> {
    match roles.as_slice() {
        [one] => {
            let role = one.clone();
            say(model, stamp, gate, role, vote)
        }
        _ => {
            open(model, stamp, Ask::VoteRole { gate, roles, vote }, Danger::L1);
            Vec::new()
        }
    }
}

/// What a vote needs before it counts: the code of the plan, a reason, or a yes.
fn say(model: &mut Model, stamp: &Stamp, gate: StepId, role: String, vote: Vote) -> Vec<Effect> {
    let ask = match vote {
        Vote::Go => {
            // The code is looked at when it is typed; what stands against a go at all is said before.
            let ballot = Ballot { role: Some(role.clone()), vote, code: None, reason: None };
            let refused = model.run.as_ref().and_then(|run| run.state.vote(&gate, &model.options.operator, &ballot, stamp.wall).err());
            if let Some(why) = refused {
                return block(model, stamp, "go", vec![why]);
            }
            let terms = model.run.as_ref().and_then(|run| run.state.step_and_state(&gate)?.1.terms.clone());
            let Some(terms) = terms else { return block(model, stamp, "go", vec!["what is agreed to is being worked out".into()]) };
            Ask::GoCode { gate, role, code: terms.code().to_owned(), shown: terms.shown }
        }
        Vote::NoGo | Vote::Hold => Ask::VoteReason { gate, role, vote },
        Vote::Withdrawn => Ask::Withdraw { gate, role },
    };
    let expects = if let Ask::GoCode { code, .. } = &ask { Some(code.clone()) } else { None };
    open(model, stamp, ask, Danger::L1);
    if let Some(prompt) = &mut model.prompt {
        prompt.expects = expects;
    }
    Vec::new()
}

/// Says it, from whatever seat. What is refused stays in the prompt, with its text.
pub(super) fn vote(model: &mut Model, stamp: &Stamp, prompt: Prompt, vote: Vote, text: Option<&str>) -> Vec<Effect> {
    let (Ask::GoCode { gate, role, .. } | Ask::VoteReason { gate, role, .. } | Ask::Withdraw { gate, role }) = &prompt.ask else {
        return Vec::new();
    };
    let gate = gate.clone();
    let text = text.map(str::to_owned);
    let (code, reason) = if vote == Vote::Go { (text, None) } else { (None, text) };
    let ballot = Ballot { role: Some(role.clone()), vote, code, reason };
    let Some(run) = &model.run else { return Vec::new() };
    match run.state.vote(&gate, &model.options.operator, &ballot, stamp.wall) {
        Err(why) => prompts::reopen_with(model, prompt, &why),
        Ok(_) if run.seat == Seat::Driving => feed(model, stamp, Input::Command(Command::Vote { step: gate, ballot })),
        Ok(events) => append_all_as_observer(model, &events),
    }
}

/// `S`: end the wait early.
pub(super) fn ask_shorten(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let why = unable(model).or_else(|| not_shortened(model, "?"));
    match why {
        Some(why) => block(model, stamp, "ending the wait early", vec![why]),
        None => ask_reason(model, stamp, NeedsReason::Shorten),
    }
}

fn not_shortened(model: &Model, reason: &str) -> Option<String> {
    let Some(run) = &model.run else { return Some("no run is under way".into()) };
    run.state.shorten(&model.options.operator, reason, &model.now, &run.boot_id).err()
}

/// The wait ends with this reason.
pub(super) fn shorten(model: &mut Model, stamp: &Stamp, prompt: Prompt, reason: String) -> Vec<Effect> {
    let Some(run) = &model.run else { return Vec::new() };
    match run.state.shorten(&model.options.operator, &reason, stamp, &run.boot_id) {
        Err(why) => prompts::reopen_with(model, prompt, &why),
        Ok(_) if run.seat == Seat::Driving => feed(model, stamp, Input::Command(Command::Shorten { reason })),
        Ok(event) => append_all_as_observer(model, &[event]),
    }
}

/// Why only the driver's seat does this, if this is not it.
fn not_driving(model: &Model) -> Option<String> {
    match &model.run {
        None => Some("no run is under way".into()),
        Some(run) if run.state.phase.is_final() => Some(format!("the run is {}", run.state.phase.word())),
        Some(run) if run.seat != Seat::Driving => Some("only the driver does: T takes the seat".into()),
        Some(_) => None,
    }
}

/// `O`: set the release window or a freeze aside for this run.
pub(super) fn ask_window(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let role = || {
        let clock = &model.run.as_ref()?.state.runbook.clock;
        let role = clock.window.as_ref().and_then(|window| window.override_role.clone());
        let who = &model.options.operator;
        match role {
            None => Some("this runbook lets nobody set its window aside".to_owned()),
            Some(role) => {
                let is_in = model.run.as_ref().is_some_and(|run| run.state.runbook.is_in(who, &role));
                (!is_in).then(|| format!("the window is for {role} to set aside, and you are {who}"))
            }
        }
    };
    match unable(model).or_else(|| not_driving(model)).or_else(role) {
        Some(why) => block(model, stamp, "setting the window aside", vec![why]),
        None => ask_reason(model, stamp, NeedsReason::Window),
    }
}

/// `R`: back to the step that is selected in view 7.
pub(super) fn ask_recycle(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let chosen = model.screen.selections.get(&View::Run).and_then(|selection| selection.id.clone());
    let step = chosen.filter(|_| model.screen.view == View::Run).and_then(|id| {
        let run = model.run.as_ref()?;
        run.state.runbook.steps.iter().find(|step| step.id.as_str() == id).map(|step| (step.id.clone(), step.title.clone()))
    });
    match (unable(model).or_else(|| not_driving(model)), step) {
        (Some(why), _) => block(model, stamp, "going back to an earlier step", vec![why]),
        (None, None) => {
            block(model, stamp, "going back to an earlier step", vec!["7, then j and k choose the step; R goes back to it".into()])
        }
        (None, Some((to, title))) => {
            open(model, stamp, Ask::Recycle { to, title }, Danger::L1);
            Vec::new()
        }
    }
}

/// Back to that step, with this reason.
pub(super) fn recycle(model: &mut Model, stamp: &Stamp, to: StepId, reason: String) -> Vec<Effect> {
    feed(model, stamp, Input::Command(Command::Recycle { to, reason }))
}

fn ask_reason(model: &mut Model, stamp: &Stamp, then: NeedsReason) -> Vec<Effect> {
    open(model, stamp, Ask::Reason { then }, Danger::L1);
    Vec::new()
}

/// Whose the items of the open checklist are: the first open one that this person may answer, else the first open one.
pub(super) fn first_of_own(model: &Model, step: &StepId, open: &[usize]) -> Option<usize> {
    let state = &model.run.as_ref()?.state;
    let (step, _) = state.step_and_state(step)?;
    let StepKind::Manual(manual) = &step.kind else { return None };
    let own = |place: &&usize| manual.items.get(**place).is_some_and(|item| state.may_answer(step, item, &model.options.operator));
    open.iter().find(own).or_else(|| open.first()).copied()
}
