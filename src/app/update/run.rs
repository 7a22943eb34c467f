//! Between the core and the engine: what the run asks for, and what it learns.

use super::super::effect::{Effect, Quit};
use super::super::gates;
use super::super::model::{ActFeedback, Model, RunView, Seat};
use super::super::verdict;
use super::super::wanted::current_share;
use super::back_out::{Agreed, Preview};
use super::ground::Ground;
use super::{back_out, prompts, script, side};
use crate::app::alerts::AlertBoard;
use crate::app::{landing, tour};
use crate::domain::record::{Draft, Entry};
use crate::domain::text::span;
use crate::domain::traffic::Agreement;
use crate::domain::{
    Accepted, Action, ActionPlan, Epoch, Failure, Finding, OpId, Outcome, Percent, Probe, RunId, Stamp, StepId, Ticket, WriteKind,
};
use crate::judge;
use crate::runbook::engine::Engine;
use crate::runbook::fold;
use crate::runbook::io::{AppendRefusal, Command, Input, Level, Output, Purpose, SampleOf};
use crate::runbook::plan::{Runbook, Target};
use crate::runbook::record::Event;
use crate::runbook::state::{OpStage, RunState};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What drives the run and the keys, and is not shown.
#[derive(Debug, Clone, Default)]
pub struct Driver {
    /// The engine, when we drive.
    pub(super) engine: Option<Box<Engine>>,
    /// Conditions the engine waits for.
    pub(super) samples: BTreeMap<SampleOf, (Ticket, Option<DateTime<Utc>>)>,
    /// For how long conditions are good or bad whose sources tell only how it is now.
    pub(super) streaks: BTreeMap<SampleOf, judge::Streak>,
    /// Why the seat is taken, for the record.
    pub(super) seat_reason: Option<String>,
    /// What to do once a run is open.
    pub(super) after_open: Option<AfterOpen>,
    /// The run of one step that opens was asked for here: its prompt follows.
    pub(super) asks_act: bool,
    /// A back-out that was confirmed before the seat was ours.
    pub(super) agreed: Option<Agreed>,
    /// The plan of a back-out that is shown before the seat is taken.
    pub(super) preview: Option<Preview>,
    /// What an open prompt stands on.
    pub(super) ground: Option<Ground>,
    /// Routes told by the watch so far.
    pub(super) routes_told: u64,
    /// Reads of the route under way, and how many routes had been told when they were asked for.
    pub(super) reads: BTreeMap<Ticket, u64>,
    /// The seat of the finished run was given up.
    pub(super) released: bool,
    /// The unattended run that was offered to be continued.
    pub(super) offered: Option<RunId>,
    /// When it rang last (mono).
    pub(super) rang: Option<Duration>,
    /// What the engine was told about the data.
    pub(super) data_live: Option<bool>,
    /// The shift whose landing the engine was told about.
    pub(super) landed: Option<(DateTime<Utc>, bool)>,
    /// The operation whose landing was told last, and whether it was proved.
    pub(super) proved: Option<(OpId, bool)>,
    /// Appends of ours to a run that somebody else drives.
    pub(super) observer: BTreeMap<Ticket, Vec<Draft>>,
    /// Mono times of the latest printable keys.
    pub(super) recent_keys: VecDeque<Duration>,
    /// A hold that waits to be told from a paste (mono).
    pub(super) hold_pending: Option<Duration>,
    /// The latest Ctrl-C (mono).
    pub(super) interrupted: Option<Duration>,
    /// An act of the command line.
    pub(super) script: Option<script::Script>,
    /// The latest act: its request, its operation, and when it was sent (boot).
    pub(super) sent: Option<(Ticket, OpId, Duration)>,
    /// What the tour has told.
    pub(in crate::app) tour: tour::Told,
}

impl Driver {
    /// When the countdown before a back-out by itself ends (boot clock), where we drive.
    pub(crate) fn countdown(&self) -> Option<Duration> {
        Some(self.engine.as_ref()?.countdown()?.1)
    }
}

/// What to do once a run is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AfterOpen {
    /// Back out: with a confirmation that was given for a plan already, or else ask for one.
    BackOut {
        /// What was confirmed.
        agreed: Option<Box<Agreed>>,
        /// When the seat was asked for (boot).
        asked: Duration,
    },
}

/// An event for the engine, and what it asks for.
pub(super) fn feed(model: &mut Model, stamp: &Stamp, input: Input) -> Vec<Effect> {
    let Some(engine) = model.driver.engine.as_mut() else { return Vec::new() };
    let outputs = engine.handle(stamp, input);
    sync(model);
    let mut effects = Vec::new();
    for output in outputs {
        effects.extend(obey(model, stamp, output));
    }
    effects
}

/// The screens see what was folded, never what the engine intends.
fn sync(model: &mut Model) {
    let Some(engine) = &model.driver.engine else { return };
    if let Some(run) = &mut model.run {
        if run.state.head != engine.state().head {
            run.state = engine.state().clone();
        }
        run.doing = Some(engine.waiting_for()).filter(|text| !text.is_empty());
        // An engine that may not act any more is no driver: whoever backs out from here takes the seat anew.
        if engine.passive().is_some() && run.seat == Seat::Driving {
            run.seat = if run.state.released { Seat::Unattended } else { Seat::Following };
        }
        if engine.passive().is_some() && !engine.has_to_write() {
            model.driver.engine = None;
            model.driver.samples.clear();
        }
    }
}

fn obey(model: &mut Model, stamp: &Stamp, output: Output) -> Vec<Effect> {
    let Some(run) = model.run.as_ref().map(|r| r.state.run.clone()) else { return Vec::new() };
    match output {
        Output::Append { ticket, after, epoch, drafts } => vec![Effect::Append { ticket, run, after, epoch, drafts }],
        Output::Plan { ticket, target, action } => vec![Effect::Plan { ticket, target, action }],
        Output::Read { ticket, target, action } => {
            model.driver.reads.insert(ticket, model.driver.routes_told);
            vec![Effect::Read { ticket, target, action }]
        }
        Output::AdvanceEpoch { ticket } => vec![Effect::AdvanceEpoch { ticket, run }],
        Output::Send { ticket, write, intent, confirmed } => {
            if let WriteKind::Act { action } = &write.kind {
                model.driver.sent = Some((ticket, write.op.clone(), stamp.boot));
                sending(model, stamp, action, &write.before.shown);
            }
            vec![Effect::Send { ticket, write, intent, confirmed }]
        }
        Output::Sample { ticket, what, not_before } => {
            model.driver.samples.insert(what, (ticket, not_before));
            Vec::new()
        }
        Output::Ask(proposal) => prompts::proposed(model, stamp, proposal),
        Output::Withdraw { why, moved } => {
            prompts::withdrawn(model, &why, moved);
            Vec::new()
        }
        Output::Refuse { text } => {
            prompts::refused(model, &text);
            Vec::new()
        }
        Output::Say { level, text } => {
            prompts::said(model, level, &text);
            model.say(level, &text);
            if level == Level::Alarm { vec![Effect::Bell] } else { Vec::new() }
        }
    }
}

fn sending(model: &mut Model, stamp: &Stamp, action: &Action, before: &str) {
    let what = match action {
        Action::SetWeight { canary } => format!("canary {before} -> {canary}%"),
        other => other.to_string(),
    };
    model.act = Some(ActFeedback {
        what,
        weight: action.weight(),
        sent: Some(stamp.wall),
        accepted: None,
        accepted_boot: None,
        seen: None,
        not_observed: false,
        unknown: None,
    });
}

/// The answer to a write, for the engine and for the message row.
pub(super) fn sent(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: &Result<Accepted, Failure>) -> Vec<Effect> {
    // A fence's answer, or one that comes too late, says nothing about the act on screen.
    let sent = model.driver.sent.as_ref().filter(|(t, ..)| *t == ticket).map(|(.., at)| *at);
    if let Some((act, at)) = model.act.as_mut().zip(sent) {
        match result {
            Ok(_) => {
                act.accepted = Some(stamp.boot.saturating_sub(at));
                act.accepted_boot = Some(stamp.boot);
            }
            Err(failure) if failure.certainly_not_applied() => model.act = None,
            Err(failure) => act.unknown = Some(failure.to_string()),
        }
    }
    feed(model, stamp, Input::Sent { ticket, result: result.clone() })
}

/// What the record knows of the act on screen: an answer that never came, and what reading the platform showed.
pub(super) fn follow_act(model: &mut Model, stamp: &Stamp) {
    let (Some(act), Some((_, id, _)), Some(run)) = (&mut model.act, &model.driver.sent, &model.run) else { return };
    let known = [&run.state.operation, &run.state.doubtful].into_iter().flatten().find(|op| op.op == *id);
    match known.map(|op| (op, &op.stage)) {
        Some((op, OpStage::Unknown { failure, .. })) if act.unknown.is_none() => {
            let why = failure.as_ref().map_or_else(|| "its answer was lost".to_owned(), ToString::to_string);
            act.unknown = Some(op.seen.clone().unwrap_or(why));
        }
        Some((op, OpStage::Accepted | OpStage::Verified)) => {
            act.unknown = None;
            if act.accepted.is_none() {
                let took = op.intent_at.zip(op.accepted_at).map(|(from, to)| crate::domain::time::age(to, from));
                act.accepted = Some(took.unwrap_or_default());
                act.accepted_boot = Some(stamp.boot);
            }
        }
        Some((_, OpStage::NotApplied { .. })) => model.act = None,
        _ => {}
    }
}

/// The engine's deadline passed.
pub(super) fn due(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let is_due = model.driver.engine.as_ref().and_then(|e| e.deadline()).is_some_and(|at| at <= stamp.boot);
    if is_due { feed(model, stamp, Input::Due) } else { Vec::new() }
}

pub(super) fn deadline(model: &Model) -> Option<Duration> {
    model.driver.engine.as_ref().and_then(|e| e.deadline())
}

/// What follows from new facts: findings, live data, landing.
pub(super) fn follow_up(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    if model.driver.engine.is_none() {
        return Vec::new();
    }
    doubt_good(model);
    let mut effects = tell_landing(model, stamp);
    effects.extend(follow_landing(model, stamp));
    // The engine may ask again in answer to an answer; it does so at most once per condition and period.
    for _ in 0..4 {
        let ready: Vec<(SampleOf, Ticket, Option<DateTime<Utc>>)> = model
            .driver
            .samples
            .iter()
            .filter(|(what, _)| answerable(model, what))
            .map(|(what, (ticket, not_before))| (what.clone(), *ticket, *not_before))
            .collect();
        if ready.is_empty() {
            break;
        }
        for (what, ticket, not_before) in ready {
            model.driver.samples.remove(&what);
            let Some(asked) = asked(model.run.as_ref(), &what) else { continue };
            let finding = remembered(model, stamp, &what, &asked, not_before);
            effects.extend(feed(model, stamp, Input::Sampled { ticket, finding }));
        }
    }
    effects
}

/// A condition that is not good at this moment has to be good from the beginning again, whenever it is asked next.
fn doubt_good(model: &mut Model) {
    let (run, gates) = (&model.run, &model.gates);
    let good = |outcome| matches!(outcome, Outcome::Pass | Outcome::Holding);
    for (what, streak) in &mut model.driver.streaks {
        let Some(asked) = asked(run.as_ref(), what) else { continue };
        if !gates.iter().filter(|g| gates::same_question(&g.probe, &asked.probe)).all(|g| good(g.finding.outcome)) {
            streak.doubt();
        }
    }
}

/// For how long a condition has been bad, or good, where its source tells only how it is now: counted from sample to sample.
fn remembered(model: &mut Model, stamp: &Stamp, what: &SampleOf, asked: &Asked, not_before: Option<DateTime<Utc>>) -> Finding {
    let mut finding = gates::evaluate(model, &asked.probe, asked.hold, not_before, stamp);
    let Some(interval) = source_interval(model, &asked.probe) else { return finding };
    let streak = model.driver.streaks.entry(what.clone()).or_default();
    let Some(at) = finding.at else {
        streak.doubt();
        return finding;
    };
    let boot = |at: DateTime<Utc>| stamp.boot.saturating_sub(crate::domain::time::age(stamp.wall, at));
    let lasted = streak.take(finding.outcome, boot(at), asked.every.max(interval) * 3, not_before.map(boot));
    finding.bad = lasted.bad;
    if finding.outcome == Outcome::Pass {
        finding.held = lasted.good.min(asked.hold);
        if not_before.is_some_and(|moved| at < moved) {
            finding.outcome = Outcome::Holding;
            finding.why = format!("{}, but that was before the traffic moved", finding.shown);
        } else if finding.held < asked.hold {
            finding.outcome = Outcome::Holding;
            finding.why = format!("{}, for {} of {}", finding.shown, span(finding.held), span(asked.hold));
        }
    }
    finding
}

/// How often a source that tells only how it is now gets to know something new; `None` for the metrics backend, which has a history.
fn source_interval(model: &Model, probe: &Probe) -> Option<Duration> {
    match probe {
        Probe::Promql(_) => None,
        Probe::Platform(_) => Some(model.platform.interval),
        Probe::Alert(_) => Some(model.alerts.as_ref().map_or(Duration::ZERO, |board| board.source.interval)),
    }
}

/// What the engine wants to know.
struct Asked {
    probe: Probe,
    hold: Duration,
    every: Duration,
}

fn asked(run: Option<&RunView>, what: &SampleOf) -> Option<Asked> {
    let state = &run?.state;
    match what {
        SampleOf::Guard { index } => {
            let guard = state.runbook.guards.get(*index)?;
            Some(Asked { probe: guard.probe.clone(), hold: Duration::ZERO, every: guard.every })
        }
        SampleOf::Condition { .. } | SampleOf::Precondition { .. } | SampleOf::Item { .. } => {
            state.condition(what).map(|c| Asked { probe: c.probe.clone(), hold: c.hold, every: c.every })
        }
    }
}

/// A condition waits for the first answer (or failure) of its source: that it was not asked yet says nothing about it.
fn answerable(model: &Model, what: &SampleOf) -> bool {
    match asked(model.run.as_ref(), what).map(|asked| asked.probe) {
        Some(Probe::Promql(threshold)) => model.panels.get(&threshold.query).is_some_and(|p| p.answered.is_some() || p.trouble.is_some()),
        Some(Probe::Alert(_)) => model.alerts.as_ref().is_none_or(AlertBoard::asked_once),
        Some(Probe::Platform(_)) | None => true,
    }
}

pub(super) fn tell_data(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let stale: Vec<String> = [&model.platform, &model.metrics]
        .into_iter()
        .filter(|s| !s.freshness(stamp.wall).usable())
        .map(|s| format!("{} {}", s.source, s.freshness(stamp.wall).word()))
        .collect();
    let live = stale.is_empty();
    if model.driver.data_live == Some(live) || model.driver.engine.is_none() {
        return Vec::new();
    }
    model.driver.data_live = Some(live);
    feed(model, stamp, Input::Data { live, why: if live { "data is live".into() } else { format!("no data: {}", stale.join(", ")) } })
}

fn tell_landing(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let Some(shifted) = model.run.as_ref().and_then(|r| r.state.shifted_at) else { return Vec::new() };
    let agreed = match verdict::weights(model, stamp) {
        Agreement::Agreed => true,
        Agreement::NotObserved => false,
        _ => return Vec::new(),
    };
    if model.driver.landed == Some((shifted, agreed)) {
        return Vec::new();
    }
    model.driver.landed = Some((shifted, agreed));
    let shown = current_share(model, stamp.wall)
        .map_or_else(|| "no requests".to_owned(), |s| format!("{:.1}% of {:.0} requests", s.percent().unwrap_or_default(), s.total));
    if let Some(act) = &mut model.act {
        let after = act.accepted_boot.map_or(Duration::ZERO, |at| stamp.boot.saturating_sub(at));
        if agreed && act.seen.is_none() {
            act.seen = Some((shown.clone(), after));
        }
        act.not_observed = !agreed;
    }
    let mut effects = feed(model, stamp, Input::Landed { agreed, shown: shown.clone() });
    if !agreed {
        model.say(Level::Alarm, &format!("NOT OBSERVED: traffic does not follow the weight, seen {shown}"));
        effects.push(Effect::Bell);
    }
    effects
}

/// Landing proof and the budget of harm: found here, recorded by the engine.
fn follow_landing(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Some(event) = landing::found(model, stamp)
        && model.driver.proved.as_ref() != Some(&event_key(&event))
    {
        model.driver.proved = Some(event_key(&event));
        let missing = matches!(&event, Event::LandingMissing { why, .. } if !why.starts_with("not known"));
        let level = match &event {
            Event::LandingMissing { .. } if missing => Level::Alarm,
            Event::LandingMissing { .. } => Level::Warning,
            _ => Level::Info,
        };
        if let Some(text) = crate::runbook::story::landing(&event) {
            model.say(level, &text);
        }
        effects.extend(missing.then_some(Effect::Bell));
        effects.extend(feed(model, stamp, Input::LandingFound { event: Box::new(event) }));
    }
    if let Some((excess, budget)) = landing::overspent(model, stamp) {
        effects.extend(feed(model, stamp, Input::HarmFound { excess, budget }));
    }
    effects
}

/// Which operation a landing is about, and whether it is proved: told once each.
fn event_key(event: &Event) -> (OpId, bool) {
    match event {
        Event::LandingProved { op, .. } => (op.clone(), true),
        Event::LandingMissing { op, .. } => (op.clone(), false),
        _ => (OpId::from(""), false),
    }
}

/// We drive this run now.
pub(super) fn opened(model: &mut Model, stamp: &Stamp, entries: &[Entry], epoch: Epoch, boot_id: &str, resumed: bool) -> Vec<Effect> {
    let state = match RunState::of(entries) {
        Ok(state) => state,
        Err(e) => {
            model.say(Level::Alarm, &e.to_string());
            return Vec::new();
        }
    };
    model.prompt = None;
    model.driver.samples.clear();
    model.driver.streaks.clear();
    model.driver.data_live = None;
    (model.driver.landed, model.driver.proved) = (None, None);
    model.driver.reads.clear();
    model.driver.released = false;
    (model.driver.preview, model.driver.ground) = (None, None);
    model.driver.engine = Some(Box::new(Engine::new(state.clone(), epoch, boot_id.to_owned(), epoch.0 << 32)));
    let what = if resumed { "continuing" } else { "started" };
    model.say(Level::Info, &format!("{what} run {}", state.run));
    model.run = Some(RunView { state, entries: entries.to_vec(), seat: Seat::Driving, boot_id: boot_id.to_owned(), doing: None });
    let mut effects = feed(model, stamp, Input::Begin);
    side::resume(model, stamp);
    if let Some(reason) = model.driver.seat_reason.take() {
        let text = format!("took the seat: {reason}");
        effects.extend(feed(model, stamp, Input::Command(Command::Note { text })));
    }
    if let Some(AfterOpen::BackOut { agreed, .. }) = model.driver.after_open.take() {
        effects.extend(back_out::seated(model, stamp, agreed));
    }
    effects
}

/// We only look on.
pub(super) fn followed(model: &mut Model, stamp: &Stamp, entries: &[Entry], attended: bool) -> Vec<Effect> {
    if model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && !r.state.phase.is_final()) {
        return Vec::new();
    }
    match RunState::of(entries) {
        Ok(state) => {
            model.driver.engine = None;
            let seat = if attended { Seat::Following } else { Seat::Unattended };
            let boot_id = entries.last().map(|e| e.time.boot_id.clone()).unwrap_or_default();
            model.run = Some(RunView { state, entries: entries.to_vec(), seat, boot_id, doing: None });
            prompts::offer_seat(model, stamp);
        }
        Err(e) => model.say(Level::Alarm, &e.to_string()),
    }
    Vec::new()
}

/// Others appended to the run on screen.
pub(super) fn entries_appended(model: &mut Model, stamp: &Stamp, entries: &[Entry], attended: bool) -> Vec<Effect> {
    let drives = model.driver.engine.is_some();
    let Some(run) = &mut model.run else { return Vec::new() };
    let new: Vec<Entry> = entries.iter().filter(|e| e.run == run.state.run && e.seq > run.state.head).cloned().collect();
    if run.seat != Seat::Driving {
        attend(model, attended);
    }
    let Some(run) = &mut model.run else { return Vec::new() };
    if drives {
        if new.is_empty() {
            return Vec::new();
        }
        remember(run, &new);
        return feed(model, stamp, Input::Foreign { entries: new });
    }
    for entry in &new {
        if let Err(e) = run.state.fold(entry) {
            let text = e.to_string();
            model.say(Level::Alarm, &text);
            return Vec::new();
        }
        run.boot_id.clone_from(&entry.time.boot_id);
        run.entries.push(entry.clone());
    }
    Vec::new()
}

/// Somebody drives the run that is followed, or nobody any more.
fn attend(model: &mut Model, attended: bool) {
    let Some(run) = &mut model.run else { return };
    let seat = if attended { Seat::Following } else { Seat::Unattended };
    let before = std::mem::replace(&mut run.seat, seat);
    if before == Seat::Following && seat == Seat::Unattended && !run.state.phase.is_final() {
        let text = format!("nobody drives {} any more: it holds; T takes the seat", run.state.run);
        model.say(Level::Warning, &text);
    }
}

fn remember(run: &mut RunView, entries: &[Entry]) {
    let last = run.entries.last().map_or(0, |e| e.seq);
    run.entries.extend(entries.iter().filter(|e| e.seq > last).cloned());
}

pub(super) fn refused(model: &mut Model, why: &str) -> Vec<Effect> {
    (model.driver.after_open, model.driver.agreed) = (None, None);
    model.seat_refused = Some(why.to_owned());
    model.say(Level::Warning, why);
    script::refused(model, why);
    Vec::new()
}

pub(super) fn appended(model: &mut Model, stamp: &Stamp, ticket: Ticket, entries: &[Entry]) -> Vec<Effect> {
    if side::owns(model, ticket) {
        let mut effects = others(model, stamp, entries);
        effects.extend(side::appended(model, stamp, ticket, entries));
        return effects;
    }
    if model.driver.observer.remove(&ticket).is_some() {
        script::appended(model);
        return others(model, stamp, entries);
    }
    if model.driver.engine.is_none() {
        return others(model, stamp, entries);
    }
    if let Some(run) = &mut model.run {
        remember(run, entries);
    }
    feed(model, stamp, Input::Appended { ticket, entries: entries.to_vec() })
}

pub(super) fn append_refused(model: &mut Model, stamp: &Stamp, ticket: Ticket, why: &AppendRefusal) -> Vec<Effect> {
    if side::owns(model, ticket) {
        let mut effects = if let AppendRefusal::Moved { entries } = why { others(model, stamp, entries) } else { Vec::new() };
        effects.extend(side::append_refused(model, stamp, ticket, why));
        return effects;
    }
    if let Some(drafts) = model.driver.observer.remove(&ticket) {
        return match why {
            AppendRefusal::Moved { entries } => {
                let mut effects = others(model, stamp, entries);
                effects.extend(append_drafts(model, drafts));
                effects
            }
            AppendRefusal::Fenced { .. } | AppendRefusal::Store { .. } => {
                let text = format!("not written: {why:?}");
                model.say(Level::Alarm, &text);
                script::refused(model, &text);
                Vec::new()
            }
        };
    }
    if let (AppendRefusal::Moved { entries }, None) = (why, &model.driver.engine) {
        return others(model, stamp, entries);
    }
    if let (AppendRefusal::Moved { entries }, Some(run)) = (why, &mut model.run) {
        remember(run, entries);
    }
    feed(model, stamp, Input::AppendRefused { ticket, why: why.clone() })
}

/// Entries of a run that we do not drive, or not any more; who drives it they do not tell.
fn others(model: &mut Model, stamp: &Stamp, entries: &[Entry]) -> Vec<Effect> {
    let attended = model.run.as_ref().is_some_and(|r| r.seat == Seat::Following);
    entries_appended(model, stamp, entries, attended)
}

/// A fact that everybody may add to a run that somebody else drives.
pub(super) fn append_as_observer(model: &mut Model, event: &Event) -> Vec<Effect> {
    append_drafts(model, vec![event.draft()])
}

/// Several of them, all or none.
pub(super) fn append_all_as_observer(model: &mut Model, events: &[Event]) -> Vec<Effect> {
    append_drafts(model, events.iter().map(Event::draft).collect())
}

fn append_drafts(model: &mut Model, drafts: Vec<Draft>) -> Vec<Effect> {
    let Some(run) = &model.run else { return Vec::new() };
    let (id, after) = (run.state.run.clone(), run.state.head);
    let ticket = own_ticket(model);
    model.driver.observer.insert(ticket, drafts.clone());
    vec![Effect::Append { ticket, run: id, after, epoch: None, drafts }]
}

/// Tickets of the core and of the engine must not meet: the core's lie far above.
pub(super) fn own_ticket(model: &mut Model) -> Ticket {
    Ticket(u64::MAX / 2 + model.tickets.take().0)
}

/// A seat is given up when the run has ended and all of it is recorded: the next run of the service is anybody's.
pub(super) fn release(model: &mut Model) -> Vec<Effect> {
    let ended = model.run.as_ref().is_some_and(|r| r.seat == Seat::Driving && r.state.phase.is_final());
    let written = model.driver.engine.as_ref().is_some_and(|e| !e.has_to_write());
    if !ended || !written || std::mem::replace(&mut model.driver.released, true) {
        return Vec::new();
    }
    vec![Effect::Leave]
}

pub(super) fn planned(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: Result<Box<ActionPlan>, Failure>) -> Vec<Effect> {
    if model.driver.preview.as_ref().is_some_and(|p| p.ticket == Some(ticket)) {
        back_out::previewed(model, stamp, result);
        return Vec::new();
    }
    let failed = result.as_ref().err().filter(|_| model.driver.engine.is_some()).cloned();
    let effects = feed(model, stamp, Input::Planned { ticket, result });
    if let Some(failure) = failed {
        prompts::plan_failed(model, &failure);
        script::refused(model, &failure.to_string());
    }
    effects
}

/// A run that only takes the canary's traffic away, for a service that has none.
pub(super) fn back_out_run(model: &Model) -> Draft {
    let spec = &model.spec;
    let runbook =
        Runbook::unwritten("back-out".into(), "Back out".into(), model.options.operator.clone(), Target::of(spec), spec.route.way_back());
    first_draft(model, &runbook, false)
}

/// The `run.started` entry of a runbook on this service.
#[must_use]
pub fn first_draft(model: &Model, runbook: &Runbook, auto_back_out: bool) -> Draft {
    let configured = model.configured().map(|s| s.round() as u32).and_then(Percent::new);
    let instances = &model.picture.instances;
    let restarts = crate::domain::Track::ALL.into_iter().map(|t| instances.of(t).restarts).sum();
    let hash = fold::runbook_hash(runbook).unwrap_or_default();
    fold::start_draft(runbook, &hash, auto_back_out, configured, restarts)
}

/// The first entry with the weight and the restarts of the moment of the decision.
pub(super) fn as_it_stands(model: &Model, mut first: Draft) -> Draft {
    let configured = model.configured().map(|s| s.round() as u32);
    let instances = &model.picture.instances;
    let restarts: u32 = crate::domain::Track::ALL.into_iter().map(|t| instances.of(t).restarts).sum();
    if let Some(body) = first.body.as_object_mut() {
        body.insert("configured".into(), configured.into());
        body.insert("restarts".into(), restarts.into());
    }
    first
}

/// What an act that was confirmed is for, for the timeline of prompts.
pub(super) fn back_out_reason(model: &Model) -> String {
    model.incident.as_ref().map_or_else(
        || {
            let reasons: Vec<&str> = model.verdict.reasons.iter().take(2).map(|r| r.text.as_str()).collect();
            format!("{} backed out; verdict {}: {}", model.options.operator, model.verdict.verdict, reasons.join("; "))
        },
        |i| format!("{} backed out: {}", model.options.operator, i.what),
    )
}

/// Leaves, giving the seat up on purpose.
pub(super) fn leave(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let mut effects = feed(model, stamp, Input::Command(Command::Leave));
    effects.push(Effect::Leave);
    effects.push(Effect::Quit { how: Quit::Operator });
    effects
}

/// The step a proposal belongs to, for people.
pub(super) fn step_title(model: &Model, step: &StepId) -> String {
    model.run.as_ref().and_then(|r| r.state.runbook.step(step)).map_or_else(|| step.to_string(), |s| s.title.clone())
}

/// Whether a proposal goes forward.
pub(super) fn forward(purpose: Purpose) -> bool {
    purpose == Purpose::Forward
}
