//! Acts beside the release: silences that are made and ended.
//!
//! The same rules as for acts on the platform, in small: the intent is durable before anything is sent, everything is sent once, and what
//! became of a lost answer is found out by reading.

use super::super::alerts::{AlertBoard, selected, selected_silence};
use super::super::command::View;
use super::super::effect::Effect;
use super::super::model::{Mode, Model, Seat};
use super::super::prompt::Ask;
use super::prompts::{block, open, unable};
use super::run::own_ticket;
use crate::domain::alert::{AlertAct, Silence, SilenceDraft, SilenceState, stamp as mark};
use crate::domain::record::{Draft, Entry};
use crate::domain::text::clean_bounded;
use crate::domain::{Danger, Epoch, Failure, OpId, RunId, Stamp, Ticket};
use crate::runbook::io::{AppendRefusal, Level};
use crate::runbook::record::{Event, SideResult};
use crate::runbook::side::open_acts;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::time::Duration;

/// For how long an alert can be silenced, in minutes, by the key that picks it.
const MINUTES: [(char, u32); 3] = [('3', 30), ('1', 60), ('2', 120)];
/// An act that was sent, and is not there after so long of looking, was not carried out.
const GIVE_UP: Duration = Duration::from_secs(90);
/// Looks for an act whose answer was lost are so far apart; the last one for ever.
const LOOKS: [u64; 4] = [2, 5, 10, 15];
/// When the journal failed, a fact is written again after so long.
const RETRY: Duration = Duration::from_secs(3);

/// Acts on the alerts source that are under way.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct Side {
    acts: Vec<Act>,
    /// What has to be recorded, in order; the first one may be on its way.
    outbox: VecDeque<Fact>,
    appending: Option<Ticket>,
    retry_at: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Act {
    run: RunId,
    op: OpId,
    what: AlertAct,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    /// Its intent is not durable yet.
    Intending,
    Sending(Ticket),
    /// Its answer was lost: looked for since then (boot), next at (boot), so many times so far.
    Doubtful {
        since: Duration,
        next: Duration,
        looks: usize,
        looking: Option<Ticket>,
    },
}

#[derive(Debug, Clone)]
struct Fact {
    run: RunId,
    draft: Draft,
    /// The intent of this operation, which only the driver may write.
    intent: Option<(OpId, Epoch)>,
}

impl Side {
    /// When something is due (boot clock).
    pub(in crate::app) fn deadline(&self) -> Option<Duration> {
        let looks = self.acts.iter().filter_map(|act| match act.stage {
            Stage::Doubtful { next, looking: None, .. } => Some(next),
            _ => None,
        });
        looks.chain(self.retry_at.filter(|_| !self.outbox.is_empty())).min()
    }

    /// What is under way or in doubt, for people.
    pub(in crate::app) fn words(&self) -> Option<String> {
        let act = self.acts.first()?;
        Some(match act.stage {
            Stage::Intending | Stage::Sending(_) => format!("{}: sent, waiting for the answer", act.what.describe()),
            Stage::Doubtful { .. } => format!("{}: OUTCOME UNKNOWN, looking for it; it is not sent again", act.what.describe()),
        })
    }
}

/// Why no act on the alerts source can be asked for now.
fn blocked(model: &Model, now: &Stamp) -> Option<String> {
    if let Some(why) = unable(model) {
        return Some(why);
    }
    let Some(board) = &model.alerts else {
        return Some("the service has no alerts connection: add `alerts = \"…\"` to its [[service]]".into());
    };
    match &model.run {
        None => return Some("no run: silences are made as a part of a run, so that its record has them".into()),
        Some(run) if run.state.phase.is_final() => return Some(format!("the run is {}", run.state.phase.word())),
        Some(run) if run.seat != Seat::Driving => return Some("only the driver acts: T takes the seat".into()),
        Some(_) => {}
    }
    if model.mode == Mode::Observe {
        return Some("OBSERVE: A arms this cockpit".into());
    }
    if !board.freshness(now.wall).usable() {
        return Some(format!("{} {}: what fires now is not known", board.source.source, board.freshness(now.wall).word()));
    }
    board.side.words().map(|words| format!("one at a time: {words}"))
}

/// `K`
pub(super) fn ask_silence(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.screen.view != View::Alerts {
        model.say(Level::Info, "5 shows the alerts: K silences the selected one");
        return Vec::new();
    }
    if let Some(why) = blocked(model, stamp) {
        return block(model, stamp, "silence an alert", vec![why]);
    }
    let Some(sighting) = selected(model) else {
        model.say(Level::Info, "no alert is selected: v shows the alerts");
        return Vec::new();
    };
    let alert = &sighting.alert;
    if !alert.silenced_by.is_empty() {
        let text = format!("{} is silenced already: X ends that", alert.name());
        model.say(Level::Info, &text);
        return Vec::new();
    }
    let comment = format!("seen by {} during the release", model.options.operator);
    let ask = Ask::Silence { name: alert.name().to_owned(), matchers: alert.exact(), minutes: MINUTES[0].1, comment };
    open(model, stamp, ask, Danger::L1);
    Vec::new()
}

/// `X`
pub(super) fn ask_end(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.screen.view != View::Alerts {
        model.say(Level::Info, "5, then v shows the silences: X ends the selected one");
        return Vec::new();
    }
    if let Some(why) = blocked(model, stamp) {
        return block(model, stamp, "end a silence", vec![why]);
    }
    let Some(silence) = selected_silence(model).filter(|s| s.state != SilenceState::Expired).cloned() else {
        model.say(Level::Info, "no silence is selected that could be ended: v shows them");
        return Vec::new();
    };
    let covers = model.alerts.iter().flat_map(|b| &b.sightings).filter(|s| s.alert.silenced_by.contains(&silence.id));
    let covers = covers.map(|s| s.alert.name().to_owned()).collect();
    open(model, stamp, Ask::EndSilence { silence: Box::new(silence), covers }, Danger::L1);
    Vec::new()
}

/// `v`
pub(super) fn toggle_list(model: &mut Model) {
    if model.screen.view != View::Alerts {
        return model.say(Level::Info, "5 shows the alerts: v there shows the silences");
    }
    let Some(board) = &mut model.alerts else { return };
    board.show_silences = !board.show_silences;
    model.screen.selections.remove(&View::Alerts);
}

/// `o`
pub(super) fn link(model: &mut Model) {
    let link = if model.screen.view == View::Alerts { selected(model).and_then(|s| s.alert.link()) } else { None };
    let text = link.map_or_else(|| "nothing selected here has an address".to_owned(), str::to_owned);
    model.say(Level::Info, &text);
}

/// A key that picks something in the question about a silence: how long, or why.
pub(super) fn pick(model: &mut Model, stamp: &Stamp, c: char) -> bool {
    let Some(prompt) = model.prompt.as_mut() else { return false };
    let Ask::Silence { minutes, .. } = &mut prompt.ask else { return false };
    if let Some((_, chosen)) = MINUTES.iter().find(|(key, _)| *key == c) {
        *minutes = *chosen;
    } else if c == 'c' {
        let back = Box::new(prompt.ask.clone());
        open(model, stamp, Ask::SilenceComment { back }, Danger::L1);
    }
    true
}

/// The reason was typed: back to the question.
pub(super) fn commented(model: &mut Model, stamp: &Stamp, back: Ask, text: &str) {
    let Ask::Silence { name, matchers, minutes, .. } = back else { return };
    let comment = clean_bounded(text, 300);
    open(model, stamp, Ask::Silence { name, matchers, minutes, comment }, Danger::L1);
}

/// `y`: what was asked is intended. Looked at once more, for what may have changed while the prompt was open.
pub(super) fn confirmed(model: &mut Model, now: &Stamp, ask: Ask) -> Vec<Effect> {
    if let Some(why) = blocked(model, now) {
        return block(model, now, "this", vec![why]);
    }
    let Some((run, op, epoch)) = next_op(model) else { return Vec::new() };
    let what = match ask {
        Ask::Silence { matchers, minutes, comment, .. } => {
            // By the server's clock, so that it begins at once there.
            let skew = model.alerts.as_ref().and_then(|b| b.skew).filter(|s| s.abs() > TimeDelta::seconds(2)).unwrap_or_default();
            let starts_at = now.wall + skew;
            AlertAct::Silence {
                draft: SilenceDraft {
                    matchers,
                    starts_at,
                    ends_at: starts_at + TimeDelta::minutes(i64::from(minutes)),
                    created_by: model.options.operator.clone(),
                    comment: format!("{comment} ({})", mark(run.as_str(), op.as_str())),
                },
            }
        }
        Ask::EndSilence { silence, .. } => AlertAct::Expire { seen: *silence },
        _ => return Vec::new(),
    };
    let event = Event::SideIntent { op: op.clone(), what: what.clone() };
    let Some(board) = &mut model.alerts else { return Vec::new() };
    board.side.acts.push(Act { run: run.clone(), op: op.clone(), what, stage: Stage::Intending });
    board.side.outbox.push_back(Fact { run, draft: event.draft(), intent: Some((op, epoch)) });
    append(model, now)
}

/// The operation that comes next: `s` and the place of its intent. Places are never used twice, so neither are these.
fn next_op(model: &Model) -> Option<(RunId, OpId, Epoch)> {
    let run = model.run.as_ref()?;
    let epoch = model.driver.engine.as_ref()?.epoch();
    Some((run.state.run.clone(), OpId(format!("s{}", run.state.head + 1)), epoch))
}

/// Appends what has to be recorded next.
fn append(model: &mut Model, now: &Stamp) -> Vec<Effect> {
    let run = model.run.as_ref().map(|r| (r.state.run.clone(), r.state.head));
    let Some(side) = model.alerts.as_mut().map(|b| &mut b.side) else { return Vec::new() };
    // Another run is on screen: what was open of the one before is found again when that is continued.
    let Some((run, after)) = run else { return Vec::new() };
    side.acts.retain(|act| act.run == run);
    side.outbox.retain(|fact| fact.run == run);
    if side.appending.is_some() || side.retry_at.is_some_and(|at| now.boot < at) {
        return Vec::new();
    }
    let Some(fact) = side.outbox.front().cloned() else { return Vec::new() };
    let ticket = own_ticket(model);
    if let Some(board) = &mut model.alerts {
        board.side.appending = Some(ticket);
        board.side.retry_at = None;
    }
    vec![Effect::Append { ticket, run, after, epoch: fact.intent.map(|(_, epoch)| epoch), drafts: vec![fact.draft] }]
}

/// Whether an append is one of these.
pub(super) fn owns(model: &Model, ticket: Ticket) -> bool {
    model.alerts.as_ref().is_some_and(|b| b.side.appending == Some(ticket))
}

/// The first of the outbox is durable: an intent is sent now.
pub(super) fn appended(model: &mut Model, now: &Stamp, ticket: Ticket, entries: &[Entry]) -> Vec<Effect> {
    if !owns(model, ticket) {
        return Vec::new();
    }
    let Some(side) = model.alerts.as_mut().map(|b| &mut b.side) else { return Vec::new() };
    side.appending = None;
    let mut effects = Vec::new();
    if let Some(Fact { intent: Some((op, _)), .. }) = side.outbox.pop_front() {
        effects.extend(send(model, &op, entries.last().map_or(0, |e| e.seq)));
    }
    effects.extend(append(model, now));
    effects
}

fn send(model: &mut Model, op: &OpId, intent: u64) -> Vec<Effect> {
    if model.run.as_ref().is_none_or(|r| r.seat != Seat::Driving) {
        conclude(model, op, SideResult::NotApplied { why: "the driver's seat was lost before it was sent".into() });
        return Vec::new();
    }
    let ticket = own_ticket(model);
    let Some(act) = act_mut(model, op) else { return Vec::new() };
    act.stage = Stage::Sending(ticket);
    let (what, stamp) = (act.what.clone(), mark(act.run.as_str(), op.as_str()));
    model.say(Level::Info, &format!("{}: sent", what.describe()));
    vec![Effect::SendSide { ticket, act: what, stamp, intent }]
}

fn act_mut<'a>(model: &'a mut Model, op: &OpId) -> Option<&'a mut Act> {
    model.alerts.as_mut()?.side.acts.iter_mut().find(|act| act.op == *op)
}

/// Nothing was appended. What came in between was taken in already.
pub(super) fn append_refused(model: &mut Model, now: &Stamp, ticket: Ticket, why: &AppendRefusal) -> Vec<Effect> {
    if !owns(model, ticket) {
        return Vec::new();
    }
    let Some(side) = model.alerts.as_mut().map(|b| &mut b.side) else { return Vec::new() };
    let said = |entry: &Entry, draft: &Draft| entry.kind == draft.kind && entry.body == draft.body;
    if let AppendRefusal::Moved { entries } = why {
        let written = side.outbox.front().and_then(|fact| entries.iter().find(|e| said(e, &fact.draft)).cloned());
        if let Some(written) = written {
            return appended(model, now, ticket, &[written]);
        }
        side.appending = None;
        return append(model, now);
    }
    side.appending = None;
    if side.outbox.front().is_some_and(|fact| fact.intent.is_none()) {
        side.retry_at = Some(now.boot + RETRY);
        return Vec::new();
    }
    if let Some(Fact { intent: Some((op, _)), .. }) = side.outbox.pop_front() {
        side.acts.retain(|act| act.op != op);
    }
    let text = match why {
        AppendRefusal::Fenced { .. } => "nothing was sent: somebody else drives".to_owned(),
        AppendRefusal::Store { why } => format!("nothing was sent: the journal cannot be written: {why}"),
        AppendRefusal::Moved { .. } => return Vec::new(),
    };
    model.say(Level::Alarm, &text);
    append(model, now)
}

/// The alerts source answered, or not.
pub(super) fn sent(model: &mut Model, now: &Stamp, ticket: Ticket, result: &Result<Option<String>, Failure>) -> Vec<Effect> {
    let acts = model.alerts.as_ref().map(|b| b.side.acts.as_slice()).unwrap_or_default();
    let Some(op) = acts.iter().find(|a| matches!(a.stage, Stage::Sending(t) if t == ticket)).map(|a| a.op.clone()) else {
        return Vec::new();
    };
    match result {
        Ok(id) => conclude(model, &op, SideResult::Applied { id: id.clone(), found: false }),
        Err(failure) if failure.certainly_not_applied() => conclude(model, &op, SideResult::NotApplied { why: failure.to_string() }),
        Err(failure) => {
            let why = clean_bounded(&failure.to_string(), 300);
            if let Some(act) = act_mut(model, &op) {
                act.stage = Stage::Doubtful { since: now.boot, next: now.boot, looks: 0, looking: None };
                let text = format!("{}: OUTCOME UNKNOWN: {why}", act.what.describe());
                model.say(Level::Alarm, &text);
            }
            record(model, &op, SideResult::Unknown { why });
        }
    }
    refresh(model, now);
    due(model, now)
}

/// What reading showed.
pub(super) fn found(model: &mut Model, now: &Stamp, ticket: Ticket, result: &Result<Option<Silence>, Failure>) -> Vec<Effect> {
    let Some(act) = model
        .alerts
        .as_mut()
        .and_then(|b| b.side.acts.iter_mut().find(|a| matches!(a.stage, Stage::Doubtful { looking: Some(t), .. } if t == ticket)))
    else {
        return Vec::new();
    };
    let Stage::Doubtful { since, looks, .. } = act.stage else { return Vec::new() };
    let there = match (&act.what, result) {
        (_, Err(_)) => None,
        (AlertAct::Silence { .. }, Ok(found)) => Some(found.as_ref().map(|s| s.id.clone())),
        (AlertAct::Expire { .. }, Ok(found)) => {
            let over = found.as_ref().is_none_or(|s| s.state == SilenceState::Expired);
            Some(over.then(String::new))
        }
    };
    let op = act.op.clone();
    match there {
        Some(Some(id)) => {
            let id = Some(id).filter(|id| !id.is_empty());
            conclude(model, &op, SideResult::Applied { id, found: true });
            refresh(model, now);
        }
        Some(None) if now.boot.saturating_sub(since) >= GIVE_UP => {
            let why = format!("not there after {} s of looking", GIVE_UP.as_secs());
            conclude(model, &op, SideResult::NotApplied { why });
        }
        _ => {
            let wait = Duration::from_secs(LOOKS[looks.min(LOOKS.len() - 1)]);
            act.stage = Stage::Doubtful { since, next: now.boot + wait, looks: looks + 1, looking: None };
        }
    }
    due(model, now)
}

/// Looks for what is in doubt, and records what has to be.
pub(super) fn due(model: &mut Model, now: &Stamp) -> Vec<Effect> {
    let mut effects = append(model, now);
    let waits = |act: &Act| matches!(act.stage, Stage::Doubtful { next, looking: None, .. } if next <= now.boot);
    let ops: Vec<OpId> =
        model.alerts.as_ref().map(|b| b.side.acts.iter().filter(|a| waits(a)).map(|a| a.op.clone()).collect()).unwrap_or_default();
    for op in ops {
        let ticket = own_ticket(model);
        let Some(act) = act_mut(model, &op) else { continue };
        if let Stage::Doubtful { looking, .. } = &mut act.stage {
            *looking = Some(ticket);
        }
        let stamp = mark(act.run.as_str(), op.as_str());
        effects.push(Effect::FindSide { ticket, act: act.what.clone(), stamp });
    }
    effects
}

/// It is known how an act ended.
fn conclude(model: &mut Model, op: &OpId, result: SideResult) {
    let Some(act) = act_mut(model, op) else { return };
    let what = act.what.describe();
    let (level, text) = match &result {
        SideResult::Applied { found: false, .. } => (Level::Info, format!("{what}: done")),
        SideResult::Applied { found: true, .. } => (Level::Info, format!("{what}: done, as was found by reading")),
        SideResult::NotApplied { why } => (Level::Warning, format!("{what}: not done: {why}")),
        SideResult::Unknown { .. } => return,
    };
    model.say(level, &text);
    record(model, op, result);
    if let Some(board) = &mut model.alerts {
        board.side.acts.retain(|act| act.op != *op);
    }
}

fn record(model: &mut Model, op: &OpId, outcome: SideResult) {
    let Some(run) = act_mut(model, op).map(|act| act.run.clone()) else { return };
    let outcome = match outcome {
        SideResult::NotApplied { why } => SideResult::NotApplied { why: clean_bounded(&why, 300) },
        other => other,
    };
    let draft = Event::SideOutcome { op: op.clone(), outcome }.draft();
    if let Some(board) = &mut model.alerts {
        board.side.outbox.push_back(Fact { run, draft, intent: None });
    }
}

fn refresh(model: &mut Model, now: &Stamp) {
    if let Some(board) = &mut model.alerts {
        AlertBoard::ask_now(board, now.boot);
    }
}

/// A run is driven again: what its last driver sent without recording an answer is looked for.
pub(super) fn resume(model: &mut Model, now: &Stamp) {
    let Some((run, open)) = model.run.as_ref().map(|r| (r.state.run.clone(), open_acts(&r.entries))) else { return };
    let Some(side) = model.alerts.as_mut().map(|b| &mut b.side) else { return };
    *side = Side::default();
    for act in open {
        let stage = Stage::Doubtful { since: now.boot, next: now.boot, looks: 0, looking: None };
        side.acts.push(Act { run: run.clone(), op: act.op, what: act.what, stage });
    }
}
