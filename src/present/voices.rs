//! The go/no-go board in words: for the view, for people without a screen, and for scripts.

use super::items::members;
use super::line::{Role, pad};
use crate::domain::StepId;
use crate::domain::text::span;
use crate::domain::time::age;
use crate::runbook::gate::{Board, Cast, Position, Standing};
use crate::runbook::plan::StepKind;
use crate::runbook::state::RunState;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// The role of a position's word.
pub(super) fn role(standing: Standing) -> Role {
    match standing {
        Standing::Go => Role::Ok,
        Standing::NoGo => Role::Bad,
        Standing::Hold | Standing::Missing => Role::Watch,
        Standing::Stale => Role::Stale,
    }
}

/// The word of a position that nobody spoke for says so.
pub(super) fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Missing => "PENDING",
        said => said.word(),
    }
}

/// How strongly it is known who spoke: `signed`, `asserted`.
pub(super) fn strength(cast: &Cast) -> &str {
    match (&cast.key, &cast.bad_signature) {
        (_, Some(_)) => "BAD SIGNATURE",
        (Some(_), None) => "signed",
        (None, None) => &cast.by.strength,
    }
}

/// How old an answer is, and when it will not count any more.
pub(super) fn life(cast: &Cast, lasts: Option<Duration>, now: DateTime<Utc>) -> (String, Option<Duration>) {
    let old = age(now, cast.at);
    (span(old), lasts.map(|lasts| lasts.saturating_sub(old)))
}

/// What a position waits for or why its answer does not count.
pub(super) fn remark(state: &RunState, position: &Position) -> String {
    let short = position.need.saturating_sub(u32::try_from(position.casts.len()).unwrap_or(u32::MAX));
    match (position.standing, &position.why) {
        (Standing::Go, _) => String::new(),
        (Standing::NoGo | Standing::Hold, Some(why)) => format!("\"{why}\""),
        (_, Some(why)) => format!("does not count: {why}"),
        (_, None) if position.decides => format!("speaks last: {}", members(state, &position.role)),
        (_, None) if position.need > 1 => format!("{short} more of {}", members(state, &position.role)),
        (_, None) => format!("waits for {}", members(state, &position.role)),
    }
}

/// `1 GO   1 NO-GO   2 PENDING`: only what there is.
pub(super) fn tally(board: &Board) -> String {
    let order = [Standing::Go, Standing::NoGo, Standing::Hold, Standing::Stale, Standing::Missing];
    let count = |standing| board.positions.iter().filter(|p| p.standing == standing).count();
    let parts = order.map(|standing| (count(standing), word(standing)));
    parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join("   ")
}

/// `GO / NO-GO POLL` or `APPROVAL`.
pub(super) fn name(state: &RunState, id: &StepId) -> &'static str {
    match state.step_and_state(id).map(|(step, _)| &step.kind) {
        Some(StepKind::Poll(_)) => "GO / NO-GO POLL",
        _ => "APPROVAL",
    }
}

/// The board for people without a screen.
#[must_use]
pub fn board_lines(state: &RunState, id: &StepId, now: DateTime<Utc>) -> Vec<String> {
    let (Some(board), Some((step, known))) = (state.board(id, now), state.step_and_state(id)) else { return Vec::new() };
    let lasts = state.voice_lasts(id);
    let mut lines = vec![format!("{}  {}  {}   {}", name(state, id), id, step.title, tally(&board))];
    lines.push(match &known.terms {
        Some(terms) => format!("agrees to  {}   code {}", terms.shown, terms.code()),
        None => "agrees to  being worked out".to_owned(),
    });
    for position in &board.positions {
        let who =
            if position.casts.is_empty() { vec![String::new()] } else { position.casts.iter().map(|c| spoken(c, lasts, now)).collect() };
        for (i, who) in who.iter().enumerate() {
            let head = if i == 0 { format!("{} {}", pad(&position.role, 18), pad(word(position.standing), 8)) } else { " ".repeat(27) };
            let remark = if i == 0 { remark(state, position) } else { String::new() };
            let gap = if who.is_empty() || remark.is_empty() { "" } else { "  " };
            lines.push(format!("  {head} {who}{gap}{remark}").trim_end().to_owned());
        }
    }
    lines.push(if board.go { "GO".to_owned() } else { format!("waits for  {}", board.waits_for) });
    lines.into_iter().map(|line| crate::domain::text::clean(&line).into_owned()).collect()
}

/// `jon (asserted) 2m10s ago, counts for 17m50s`.
fn spoken(cast: &Cast, lasts: Option<Duration>, now: DateTime<Utc>) -> String {
    let (old, left) = life(cast, lasts, now);
    let left = left.filter(|left| !left.is_zero()).map_or_else(String::new, |left| format!(", counts for {}", span(left)));
    format!("{} ({}) {old} ago{left}", cast.by.id, strength(cast))
}

/// The board, `gonogo.board/v1`; null for a step that is no gate of several.
#[must_use]
pub fn board_json(state: &RunState, id: &StepId, now: DateTime<Utc>) -> Value {
    let (Some(board), Some((step, known))) = (state.board(id, now), state.step_and_state(id)) else { return Value::Null };
    let rfc = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let lasts = state.voice_lasts(id).and_then(|lasts| chrono::TimeDelta::from_std(lasts).ok());
    let cast = |cast: &Cast| {
        json!({
            "by": cast.by.id,
            "strength": strength(cast),
            "vote": cast.vote,
            "reason": cast.reason,
            "at": rfc(cast.at),
            "expires": lasts.and_then(|lasts| cast.at.checked_add_signed(lasts)).map(rfc),
        })
    };
    let position = |p: &Position| {
        json!({
            "role": p.role,
            "decides": p.decides,
            "need": p.need,
            "standing": word(p.standing).to_lowercase(),
            "why": p.why,
            "members": p.members,
            "said": p.casts.iter().map(cast).collect::<Vec<_>>(),
        })
    };
    json!({
        "schema": "gonogo.board/v1",
        "run": state.run.as_str(),
        "step": id.as_str(),
        "title": step.title,
        "kind": if matches!(step.kind, StepKind::Poll(_)) { "poll" } else { "approve" },
        "plan": known.terms.as_ref().map(|terms| json!({
            "act": terms.act.as_ref().map(StepId::as_str), "shown": terms.shown, "code": terms.code(), "hash": terms.plan_hash,
        })),
        "go": board.go,
        "waits_for": board.waits_for,
        "until": board.until.map(rfc),
        "positions": board.positions.iter().map(position).collect::<Vec<_>>(),
    })
}
