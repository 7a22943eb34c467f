//! `gonogo poll`, `gonogo approve`, `gonogo shorten`: what several people agree to.

use super::answer::where_it_stands;
use super::args::{Approval, Global, PollArgs, Spoken};
use super::desk::{self, Desk, may_write, refused};
use super::exit::{Exit, Failed, Outcome};
use crate::domain::{Stamp, StepId};
use crate::present;
use crate::runbook::gate::{Ballot, Standing, Vote};
use crate::runbook::record::Event;
use crate::runbook::state::RunState;

fn no(why: impl Into<String>) -> Failed {
    Failed::new(Exit::Refused, why)
}

/// `gonogo poll`
pub(super) async fn poll(global: &Global, args: &PollArgs) -> Outcome {
    let vote = match args.vote {
        None => return board(global).await,
        Some(Spoken::Go) => Vote::Go,
        Some(Spoken::NoGo) => Vote::NoGo,
        Some(Spoken::Hold) => Vote::Hold,
        Some(Spoken::Withdraw) => Vote::Withdrawn,
    };
    let said = Ballot { vote, role: args.role.clone(), code: args.code.clone(), reason: args.reason.clone() };
    speak(global, said).await
}

/// `gonogo approve CODE`
pub(super) async fn approve(global: &Global, args: &Approval) -> Outcome {
    let Some(code) = args.code.clone() else { return to_approve(global).await };
    speak(global, Ballot { vote: Vote::Go, role: args.role.clone(), code: Some(code), reason: args.reason.clone() }).await
}

/// `gonogo shorten --reason`
pub(super) async fn shorten(global: &Global, reason: &str) -> Outcome {
    may_write(global)?;
    let desk = Desk::open(global).await.map_err(|failed| refused(global, failed))?;
    let (who, boot_id) = (desk.who.clone(), desk.boot_id());
    let said = desk.say(|state, now| state.shorten(&who, reason, now, &boot_id).map(|event| vec![event]).map_err(no)).await;
    let (state, _) = said.map_err(|failed| refused(global, failed))?;
    let step = state.current().map_or_else(String::new, |(step, _)| step.title.clone());
    desk::told(global, Exit::Done, &format!("shortened: {step} ends now; {who} for the record: {reason}"))
}

/// What somebody says at the gate at hand, as entries, on the state as it is.
fn events(ballot: &Ballot, state: &RunState, who: &str, now: &Stamp) -> Result<Vec<Event>, Failed> {
    let Some(gate) = state.gate_at_hand() else {
        return Err(no(format!("no gate is open at which people agree: {}", where_it_stands(state))));
    };
    if let (Some(code), Some(terms)) = (&ballot.code, state.step_and_state(gate).and_then(|(_, known)| known.terms.as_ref()))
        && (code.len() < 4 || !terms.plan_hash.starts_with(code.as_str()))
    {
        let why = format!("{code} is not the code of what is agreed to now: {} (code {}); nothing was written", terms.shown, terms.code());
        return Err(Failed::new(Exit::Changed, why));
    }
    state.vote(gate, who, ballot, now.wall).map_err(no)
}

async fn speak(global: &Global, said: Ballot) -> Outcome {
    may_write(global)?;
    let said = Ballot { code: said.code.map(|code| code.trim().to_ascii_lowercase()), ..said };
    let desk = Desk::open(global).await.map_err(|failed| refused(global, failed))?;
    let who = desk.who.clone();
    let voted = desk.say(|state, now| events(&said, state, &who, now)).await;
    let (state, now) = voted.map_err(|failed| refused(global, failed))?;
    let idle = if desk.attended { "" } else { "; nobody drives the run: it goes on when somebody takes the seat" };
    let waits = state.gate_at_hand().and_then(|gate| Some((gate.clone(), state.board(gate, now.wall)?)));
    let Some((gate, board)) = waits else { return desk::told(global, Exit::Done, &format!("{} by {who}{idle}", said.vote.word())) };
    let cast = state.step_and_state(&gate).and_then(|(_, known)| known.votes.last());
    let role = cast.map_or_else(String::new, |cast| format!(" for {}", cast.role));
    let terms = state.step_and_state(&gate).and_then(|(_, known)| known.terms.as_ref());
    let to =
        terms.filter(|_| said.vote == Vote::Go).map_or_else(String::new, |terms| format!(" to {} (code {})", terms.shown, terms.code()));
    let then = if board.go { "all have said go".to_owned() } else { format!("it waits for {}", board.waits_for) };
    desk::told(global, Exit::Done, &format!("{} by {who}{role}{to}; {then}{idle}", said.vote.word()))
}

/// The verdict of a board, as an exit code.
fn verdict(state: &RunState, gate: &StepId, now: &Stamp) -> Exit {
    match state.board(gate, now.wall) {
        Some(board) if board.go => Exit::Done,
        Some(board) if board.positions.iter().any(|position| position.standing == Standing::NoGo) => Exit::NoGo,
        _ => Exit::Hold,
    }
}

async fn board(global: &Global) -> Outcome {
    let desk = Desk::open(global).await?;
    let (state, now) = desk.state().await?;
    let Some(gate) = state.gate_at_hand().cloned() else { return nothing(global, &state) };
    if global.json {
        super::print(&present::board_json(&state, &gate, now.wall).to_string());
    } else {
        for line in present::board_lines(&state, &gate, now.wall) {
            super::print(&line);
        }
        for role in state.voices(&gate, &desk.who) {
            super::print(&format!("you speak for {role}:  gonogo poll go|no-go|hold|withdraw --role {role}   (as {})", desk.who));
        }
    }
    Ok(verdict(&state, &gate, &now))
}

fn nothing(global: &Global, state: &RunState) -> Outcome {
    if global.json {
        super::print(
            &serde_json::json!({ "schema": "gonogo.board/v1", "run": state.run.as_str(), "step": null, "positions": [] }).to_string(),
        );
    } else {
        super::print(&format!("no gate is open at which people agree: {}", where_it_stands(state)));
    }
    Ok(Exit::Done)
}

/// What there is to approve, with its code.
async fn to_approve(global: &Global) -> Outcome {
    let desk = Desk::open(global).await?;
    let (state, now) = desk.state().await?;
    let Some(gate) = state.gate_at_hand().cloned() else { return nothing(global, &state) };
    if global.json {
        super::print(&present::board_json(&state, &gate, now.wall).to_string());
        return Ok(verdict(&state, &gate, &now));
    }
    let Some((step, known)) = state.step_and_state(&gate) else { return nothing(global, &state) };
    super::print(&format!("{gate}: {}", step.title));
    match &known.terms {
        None => super::print("what is agreed to is being worked out: ask again in a moment"),
        Some(terms) => {
            super::print(&format!("to approve   {}", crate::domain::text::clean(&terms.shown)));
            super::print(&format!("with         gonogo approve {}", terms.code()));
        }
    }
    let voices = state.voices(&gate, &desk.who);
    let own = if voices.is_empty() { "none that is asked here".to_owned() } else { voices.join(", ") };
    super::print(&format!("your roles   {own}   (as {})", desk.who));
    if let Some(board) = state.board(&gate, now.wall).filter(|board| !board.go) {
        super::print(&format!("waits for    {}", board.waits_for));
    }
    Ok(verdict(&state, &gate, &now))
}
