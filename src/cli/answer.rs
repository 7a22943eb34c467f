//! `gonogo answer`: items of the open checklist.

use super::args::{Answer, Global};
use super::desk::{self, Desk, may_write, refused};
use super::exit::{Exit, Failed, Outcome};
use crate::domain::StepId;
use crate::domain::text::clean_bounded;
use crate::present;
use crate::runbook::state::RunState;

/// Lists what is open, or answers one item.
pub(super) async fn answer(global: &Global, args: &Answer) -> Outcome {
    let (step, item, value) = match args.what.as_slice() {
        [] => return list(global).await,
        [item, value] => (None, item, value),
        [step, item, value] => (Some(StepId::from(step.as_str())), item, value),
        _ => return Err(Failed::new(Exit::Usage, "write gonogo answer [STEP] ITEM VALUE, the value in quotes where it has blanks")),
    };
    let place = item.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let Some(place) = place else {
        return Err(Failed::new(Exit::Usage, format!("{item:?} is no item: they are numbered from 1 (gonogo answer lists them)")));
    };
    may_write(global)?;
    let desk = Desk::open(global).await.map_err(|failed| refused(global, failed))?;
    let who = desk.who.clone();
    let said = desk
        .say(|state, _| {
            let step = match &step {
                Some(step) => step.clone(),
                None => state.current().map(|(step, _)| step.id.clone()).ok_or_else(|| no("no step is at work"))?,
            };
            state.answer(&step, place, value, &who).map(|event| vec![event]).map_err(no)
        })
        .await;
    let (state, _) = said.map_err(|failed| refused(global, failed))?;
    let (exit, text) = outcome(&state, step.as_ref(), place, &who);
    let idle = if desk.attended { "" } else { "; nobody drives the run: it goes on when somebody takes the seat" };
    desk::told(global, exit, &format!("{text}{idle}"))
}

fn no(why: impl Into<String>) -> Failed {
    Failed::new(Exit::Refused, why)
}

/// What the answer did: it may be recorded and still not let the item pass.
fn outcome(state: &RunState, step: Option<&StepId>, place: usize, who: &str) -> (Exit, String) {
    let step = step.cloned().or_else(|| state.current().map(|(step, _)| step.id.clone()));
    let Some((step, known)) = step.and_then(|id| state.step_and_state(&id)) else { return (Exit::Done, "answered".into()) };
    let number = place + 1;
    let (_, complete) = present::completion(state, &step.id).unwrap_or_default();
    match known.answers.get(&place) {
        Some(answer) if answer.disputed.is_some() => {
            let other = answer.disputed.as_ref().filter(|_| answer.by.id == who).map_or(&answer.by, |other| &other.by);
            (
                Exit::Hold,
                format!(
                    "item {number} is DISPUTED: {} answered otherwise; settled when both give one answer, or the decider answers",
                    other.id
                ),
            )
        }
        Some(answer) if !answer.ok => {
            (Exit::NoGo, format!("item {number}: {:?} is recorded, and does not let it pass", clean_bounded(&answer.answer, 80)))
        }
        _ => (Exit::Done, format!("item {number} answered: {complete}")),
    }
}

async fn list(global: &Global) -> Outcome {
    let desk = Desk::open(global).await?;
    let (state, now) = desk.state().await?;
    if global.json {
        let items = present::items_json(&state, &desk.who);
        let none = serde_json::json!({ "schema": "gonogo.items/v1", "run": state.run.as_str(), "step": null, "items": [] });
        super::print(&if items.is_null() { none } else { items }.to_string());
        return Ok(Exit::Done);
    }
    match present::item_lines(&state, &desk.who, now.wall) {
        Some(lines) => {
            for line in lines {
                super::print(&crate::domain::text::clean(&line));
            }
            super::print(&format!("answer one:  gonogo answer ITEM VALUE   (as {})", desk.who));
        }
        None => super::print(&format!("no checklist is open: {}", where_it_stands(&state))),
    }
    Ok(Exit::Done)
}

/// The step at work.
pub(super) fn where_it_stands(state: &RunState) -> String {
    match state.current() {
        Some((step, _)) => format!("run {} is at {}: {}", state.run, step.id, step.title),
        None => format!("run {} is {}", state.run, state.phase.word()),
    }
}
