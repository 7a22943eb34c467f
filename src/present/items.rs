//! Items of checklists in words: for the view, for people without a screen, and for scripts.

use super::line::{Role, pad};
use crate::domain::text::span;
use crate::domain::time::age;
use crate::domain::{Outcome, StepId};
use crate::runbook::plan::{AnswerKind, Item, Manual, ManualMode, Step, StepKind};
use crate::runbook::question::{is_met, owner};
use crate::runbook::state::{ItemAnswer, RunState, StepPhase, StepState};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It lets the step pass.
    Ok,
    /// The answer does not let it pass.
    No,
    /// Two people answered differently.
    Disputed,
    /// The answer is too old.
    Expired,
    /// Answered where that is asked, but what the program sees is not good.
    Seen(Outcome),
    /// The program did not look yet.
    Looking,
    /// Nobody answered.
    Open,
    /// Its step is not reached.
    Later,
}

impl Standing {
    pub(super) fn of(item: &Item, place: usize, state: Option<&StepState>) -> Self {
        let Some(state) = state.filter(|s| s.phase != StepPhase::Pending) else { return Self::Later };
        if is_met(item, place, state) {
            return Self::Ok;
        }
        let seen = state.seen.get(&place).map(|(outcome, _)| *outcome);
        match state.answers.get(&place) {
            Some(answer) if answer.disputed.is_some() => Self::Disputed,
            Some(answer) if answer.expired => Self::Expired,
            Some(answer) if !answer.ok => Self::No,
            None if item.answer != AnswerKind::Seen => Self::Open,
            _ => seen.map_or(Self::Looking, Self::Seen),
        }
    }

    /// The word on screen.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Disputed => "DISPUTED",
            Self::Expired => "EXPIRED",
            Self::Seen(outcome) => outcome_word(outcome),
            Self::Looking => "LOOKING",
            Self::Open => "OPEN",
            Self::Later => "later",
        }
    }

    /// Something was said or seen, and it does not let the step pass.
    pub(super) fn is_bad(self) -> bool {
        matches!(
            self,
            Self::No | Self::Disputed | Self::Expired | Self::Seen(Outcome::Fail | Outcome::Stale | Outcome::Error | Outcome::NoData)
        )
    }

    pub(super) fn role(self) -> Role {
        match self {
            Self::Ok => Role::Ok,
            Self::No | Self::Disputed | Self::Seen(Outcome::Fail) => Role::Bad,
            Self::Seen(Outcome::Stale) | Self::Expired => Role::Stale,
            Self::Seen(_) => Role::Unknown,
            Self::Looking | Self::Open => Role::Watch,
            Self::Later => Role::Primary,
        }
    }
}

/// The word of an outcome.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Holding => "HOLDING",
        Outcome::Fail => "FAIL",
        Outcome::NoData => "NO DATA",
        Outcome::Stale => "STALE",
        Outcome::Error => "ERROR",
    }
}

/// What the program sees for itself about an item: `STALE 0.3%, was good until 03:10:02Z`.
pub(super) fn evidence(place: usize, state: &StepState, time: impl Fn(DateTime<Utc>) -> String) -> Option<(Outcome, String)> {
    let (outcome, shown) = state.seen.get(&place)?;
    let was = state.was_good.get(&place).map_or_else(String::new, |at| format!(", was good until {}", time(*at)));
    Some((*outcome, format!("{} {shown}{was}", outcome_word(*outcome))))
}

/// What counts as an answer. What is expected of a blind item is not told before it is answered.
pub(super) fn expects(item: &Item, answered: bool) -> String {
    let hidden = item.blind && !answered;
    match &item.answer {
        AnswerKind::Done => "done or yes".into(),
        AnswerKind::Seen => "nobody: the program looks for itself".into(),
        AnswerKind::Text { .. } if hidden => "what you read, as it stands there".into(),
        AnswerKind::Text { equals: Some(right), .. } => format!("exactly {right}"),
        AnswerKind::Text { equals: None, pattern: Some(pattern) } => format!("text of the form {pattern}"),
        AnswerKind::Text { equals: None, pattern: None } => "any text".into(),
        AnswerKind::Choice { of, expect } => {
            let right = expect.as_ref().filter(|_| !hidden).map_or_else(String::new, |e| format!("; {e} lets it pass"));
            format!("one of {}{right}", of.join(", "))
        }
        AnswerKind::Number { .. } if hidden => "the number you read".into(),
        AnswerKind::Number { min, max } => match (min, max) {
            (Some(a), Some(b)) => format!("a number from {a} to {b}"),
            (Some(a), None) => format!("a number, at least {a}"),
            (None, Some(b)) => format!("a number, at most {b}"),
            (None, None) => "a number".into(),
        },
    }
}

/// Who answers an item, in words: `sre (ada, jon)`.
pub(super) fn owner_words(state: &RunState, step: &Step, item: &Item) -> String {
    match (owner(step, item), &item.answer) {
        (_, AnswerKind::Seen) => "the program".into(),
        (None, _) => "anybody".into(),
        (Some(role), _) => format!("{role} ({})", members(state, role)),
    }
}

/// The people of a role.
pub(super) fn members(state: &RunState, role: &str) -> String {
    match state.runbook.roles.get(role).map(|role| role.members.as_slice()) {
        None | Some([]) => "nobody is known to be".to_owned(),
        Some(members) => members.join(", "),
    }
}

/// The answer given last, where the block was left: its place, and the item that comes next.
pub(super) fn bookmark<'a>(manual: &Manual, state: &'a StepState) -> Option<(usize, &'a ItemAnswer, Option<usize>)> {
    let (place, answer) = state.answers.iter().max_by_key(|(_, answer)| answer.at)?;
    let open = manual.items.iter().enumerate().position(|(i, item)| !is_met(item, i, state));
    Some((*place, answer, open))
}

/// `Pre-flight complete, 4 of 4`, or how far it is.
pub(super) fn progress(step: &Step, manual: &Manual, state: Option<&StepState>) -> (bool, String) {
    let good = state.map_or(0, |s| manual.items.iter().enumerate().filter(|(i, item)| is_met(item, *i, s)).count());
    let all = manual.items.len();
    let complete = good == all;
    (complete, format!("{}{}, {good} of {all}", step.title, if complete { " complete" } else { "" }))
}

/// How far a checklist is: whether it is complete, and in words.
#[must_use]
pub fn completion(state: &RunState, step: &StepId) -> Option<(bool, String)> {
    let (step, known) = state.step_and_state(step)?;
    match &step.kind {
        StepKind::Manual(manual) => Some(progress(step, manual, Some(known))),
        _ => None,
    }
}

/// The checklist at work.
fn at_work(state: &RunState) -> Option<(&Step, &Manual, &StepState)> {
    let (step, known) = state.current()?;
    match &step.kind {
        StepKind::Manual(manual) => Some((step, manual, known)),
        _ => None,
    }
}

/// The checklist at work for people without a screen; `None` while no checklist is open.
#[must_use]
pub fn item_lines(state: &RunState, who: &str, now: DateTime<Utc>) -> Option<Vec<String>> {
    let (step, manual, known) = at_work(state)?;
    let mode = if manual.mode == ManualMode::ReadDo { "one at a time" } else { "in any order" };
    let mut lines = vec![format!("{}  {}   ({mode})", step.id, progress(step, manual, Some(known)).1)];
    let ago = |at: DateTime<Utc>| format!("{} ago", span(age(now, at)));
    for (i, item) in manual.items.iter().enumerate() {
        let standing = Standing::of(item, i, Some(known));
        lines.push(format!(" {:>2} {} {}", i + 1, pad(standing.word(), 8), item.challenge));
        let answer = known.answers.get(&i);
        let yours = state.may_answer(step, item, who);
        if standing != Standing::Ok {
            let not = if yours { "" } else { ", not yours" };
            lines.push(format!("             for {}{not}; {}", owner_words(state, step, item), expects(item, answer.is_some())));
        }
        if let Some(answer) = answer {
            lines.push(format!("             \"{}\" by {} {}", answer.answer, answer.by.id, ago(answer.at)));
            if answer.expired {
                lines.push(format!("             older than {}: answer again", item.expires.map_or_else(|| "it may be".into(), span)));
            }
            if let Some(other) = &answer.disputed {
                lines.push(format!("             \"{}\" by {} {}", other.answer, other.by.id, ago(other.at)));
                lines.push(format!("             {SETTLES}"));
            }
        }
        if let Some((_, text)) = evidence(i, known, |at| at.format("%H:%M:%SZ").to_string()) {
            lines.push(format!("             seen: {text}"));
        }
    }
    if let Some((place, answer, next)) = bookmark(manual, known) {
        let next = next.map_or_else(String::new, |n| format!(", next is {}", n + 1));
        lines.push(format!("last answered: {} by {} {}{next}", place + 1, answer.by.id, ago(answer.at)));
    }
    Some(lines)
}

/// What settles a dispute.
pub(super) const SETTLES: &str = "settled when both give one answer, or the decider answers";

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn answer_json(answer: &ItemAnswer) -> Value {
    json!({
        "text": answer.answer,
        "lets_pass": answer.ok,
        "by": answer.by.id,
        "strength": answer.by.strength,
        "at": rfc(answer.at),
        "expired": answer.expired,
        "disputed_by": answer.disputed.as_deref().map(answer_json),
    })
}

/// The checklist at work, `gonogo.items/v1`; null while no checklist is open.
#[must_use]
pub fn items_json(state: &RunState, who: &str) -> Value {
    let Some((step, manual, known)) = at_work(state) else { return Value::Null };
    let one = |(i, item): (usize, &Item)| {
        let answer = known.answers.get(&i);
        json!({
            "item": i + 1,
            "challenge": item.challenge,
            "standing": Standing::of(item, i, Some(known)).word().to_lowercase(),
            "open": !is_met(item, i, known),
            "owner": owner(step, item),
            "members": owner(step, item).and_then(|role| state.runbook.roles.get(role)).map(|role| role.members.clone()),
            "yours": state.may_answer(step, item, who) && item.answer != AnswerKind::Seen,
            "expects": expects(item, answer.is_some()),
            "blind": item.blind,
            "expires_s": item.expires.map(|life| life.as_secs()),
            "answer": answer.map(answer_json),
            "evidence": known.seen.get(&i).map(|(outcome, shown)| json!({
                "outcome": outcome, "shown": shown, "was_good_until": known.was_good.get(&i).copied().map(rfc),
            })),
        })
    };
    let (complete, _) = progress(step, manual, Some(known));
    json!({
        "schema": "gonogo.items/v1",
        "run": state.run.as_str(),
        "step": step.id.as_str(),
        "title": step.title,
        "mode": manual.mode,
        "complete": complete,
        "items": manual.items.iter().enumerate().map(one).collect::<Vec<_>>(),
    })
}
