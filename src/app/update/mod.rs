//! `update(model, envelope) -> effects`: total, synchronous, deterministic.

mod back_out;
mod bell;
mod ground;
mod keys;
mod logs;
mod observe;
mod prompts;
mod run;
mod script;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod script_tests;
mod side;
mod verbs;
mod voices;

use super::alerts::{self, AlertBoard};
use super::card::{self, Capacity};
use super::counts::{self, Counts};
use super::effect::Effect;
use super::landing::Learnt;
use super::model::{Message, Mode, Model, Observed, Options, Picture, Screen, VerdictView};
use super::msg::{Envelope, Msg};
use super::{command::View, gates, tour, verdict, wanted};
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Protection, ServiceSpec, SourceHealth, Stamp, Tickets, Verdict};
use crate::runbook::io::{Input, Level};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(crate) use logs::{SPLIT_FROM, reason as log_reason};
pub use run::{Driver, first_draft};
pub use script::{Request, ScriptEnd};
pub(in crate::app) use side::Side;

/// Messages kept for the message row and its history.
const MESSAGES: usize = 200;
/// Without a message for this long the process stood still: somebody stopped it, or the machine was starved.
const AWAY: Duration = Duration::from_secs(30);
/// The heartbeat of a platform watch.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The connection of a service's platform, before it answered.
pub(super) fn platform_health(spec: &ServiceSpec) -> SourceHealth {
    SourceHealth::new(spec.platform.clone(), "k8s", HEARTBEAT)
}

impl Model {
    /// A cockpit that knows its service and nothing else yet.
    #[must_use]
    pub fn new(spec: ServiceSpec, options: Options, now: Stamp) -> Self {
        let mode = if options.spectator {
            Mode::Spectator
        } else if options.starts_armed && spec.protection != Protection::Protected && !options.read_only {
            Mode::Armed { until: now.boot + Mode::ARMED_FOR }
        } else {
            Mode::Observe
        };
        let platform = platform_health(&spec);
        let metrics = SourceHealth::new(spec.metrics.clone(), "prom", spec.scrape_interval);
        Self {
            options,
            mode,
            last_key: now.boot,
            targets: vec![],
            about: None,
            alerts: spec.alerts.as_ref().map(|a| AlertBoard::new(&a.source)),
            spec,
            platform,
            metrics,
            picture: Picture::default(),
            panels: BTreeMap::new(),
            observed: Observed::default(),
            logs: super::logs::Logs::default(),
            counts: Counts::default(),
            learnt: Learnt::default(),
            capacity: Capacity::default(),
            gates: Vec::new(),
            verdict: VerdictView { verdict: Verdict::Unknown, reasons: Vec::new() },
            blocked: Vec::new(),
            incident: None,
            run: None,
            act: None,
            prompt: None,
            screen: Screen {
                size: (80, 24),
                view: View::Cockpit,
                last_view: View::Cockpit,
                selections: BTreeMap::new(),
                filter: String::new(),
                filtering: false,
                sort: super::model::InstanceSort::default(),
                help: false,
                source: false,
                local_time: false,
                opened: now.mono,
            },
            messages: VecDeque::new(),
            tickets: Tickets::default(),
            now,
            journal_read: false,
            seat_refused: None,
            charts: true,
            driver: Driver::default(),
        }
    }

    /// Tells the operator.
    pub(super) fn say(&mut self, level: Level, text: &str) {
        let about = self.about.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let text = clean_bounded(&format!("{about}{text}"), 300);
        if self.messages.back().is_some_and(|m| m.text == text && m.level == level) {
            if let Some(last) = self.messages.back_mut() {
                last.at = self.now.wall;
            }
            return;
        }
        self.messages.push_back(Message { at: self.now.wall, level, text });
        while self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
    }
}

/// One message in; what it asks of the outside out.
pub fn update(model: &mut Model, envelope: &Envelope) -> Vec<Effect> {
    let stamp = envelope.stamp;
    let before = bell::Heard::of(model);
    let away = was_away(model, &stamp);
    model.now = stamp;
    observe::no_future(model, &stamp);
    let mut effects = Vec::new();
    if let Some(away) = away.filter(|_| !matches!(envelope.msg, Msg::Started | Msg::Woke { .. })) {
        effects.extend(observe::woke(model, &stamp, &format!("was away {}", span(away))));
    }
    // Whoever decides, decides on how things are now and not on how they were at the message before.
    if matches!(envelope.msg, Msg::Key(_) | Msg::Requested(_) | Msg::Decided(_)) {
        effects.extend(judge(model, &stamp));
        effects.extend(ground::keep(model, &stamp));
    }
    effects.extend(keys::pending(model, &stamp));
    effects.extend(handle(model, &stamp, &envelope.msg));
    // A bake must not be over before the engine knows that its last part was blind.
    effects.extend(run::tell_data(model, &stamp));
    effects.extend(run::due(model, &stamp));
    effects.extend(settle(model, &stamp));
    tour::tell(model, &stamp);
    bell::ring(model, &before, &mut effects);
    effects
}

/// The process stood still for this long, without the machine having slept.
fn was_away(model: &Model, stamp: &Stamp) -> Option<Duration> {
    let boot = stamp.boot.saturating_sub(model.now.boot);
    let mono = stamp.mono.saturating_sub(model.now.mono);
    (boot > AWAY && mono > AWAY / 3).then_some(boot)
}

/// What the facts mean now: mode, gates, verdict, and what blocks.
fn judge(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let effects = keys::expire(model, stamp);
    model.gates = gates::all(model, stamp);
    model.verdict = verdict::verdict(model, stamp);
    model.blocked = verdict::blocked(model, stamp);
    effects
}

fn handle(model: &mut Model, stamp: &Stamp, msg: &Msg) -> Vec<Effect> {
    match msg {
        Msg::Started | Msg::Tick => Vec::new(),
        Msg::Key(key) => keys::key(model, stamp, *key),
        Msg::Paste(text) => keys::paste(model, text),
        Msg::TextChanged(text) => keys::text_changed(model, text),
        Msg::Resized { width, height } => {
            model.screen.size = (*width, *height);
            Vec::new()
        }
        Msg::Woke { what } => observe::woke(model, stamp, what),
        Msg::TargetPlatform { target, updates } => {
            observe::target(model, stamp, target, updates);
            Vec::new()
        }
        Msg::Platform(updates) => {
            observe::platform(model, stamp, updates);
            Vec::new()
        }
        Msg::Answered { ticket, result } => {
            wanted::answered(model, stamp, *ticket, result.clone());
            card::watch(model, stamp);
            Vec::new()
        }
        Msg::RunOpened { entries, epoch, boot_id, resumed } => run::opened(model, stamp, entries, *epoch, boot_id, *resumed),
        Msg::RunFollowed { entries, attended } => run::followed(model, stamp, entries, *attended),
        Msg::EntriesAppended { entries, attended } => run::entries_appended(model, stamp, entries, *attended),
        Msg::RunRefused { why, .. } => run::refused(model, why),
        Msg::Appended { ticket, entries } => run::appended(model, stamp, *ticket, entries),
        Msg::AppendRefused { ticket, why } => run::append_refused(model, stamp, *ticket, why),
        Msg::Planned { ticket, result } => run::planned(model, stamp, *ticket, result.clone()),
        Msg::SubjectRead { ticket, result } => {
            observe::subject_read(model, *ticket, result);
            run::feed(model, stamp, Input::Read { ticket: *ticket, result: result.clone() })
        }
        Msg::Sent { ticket, result } => run::sent(model, stamp, *ticket, result),
        Msg::AlertsRead { ticket, result } => {
            alerts::told(model, stamp, *ticket, result.clone());
            Vec::new()
        }
        Msg::RulesRead { ticket, result } => {
            alerts::rules(model, stamp, *ticket, result.clone());
            Vec::new()
        }
        Msg::SideSent { ticket, result } => side::sent(model, stamp, *ticket, result),
        Msg::SideFound { ticket, result } => side::found(model, stamp, *ticket, result),
        Msg::EpochAdvanced { ticket, result } => run::feed(model, stamp, Input::EpochAdvanced { ticket: *ticket, result: result.clone() }),
        Msg::SeatLost { current } => run::feed(model, stamp, Input::SeatLost { current: *current }),
        Msg::Decided(command) => run::feed(model, stamp, Input::Command(command.clone())),
        Msg::Requested(request) => script::requested(model, request),
        Msg::AskStart { title, lines, first } => prompts::ask_start(model, stamp, title, lines, first),
        Msg::Start { first } => vec![Effect::StartRun { first: first.clone() }],
        Msg::AskSeat { run, take_over, reason } => {
            model.driver.seat_reason.clone_from(reason);
            vec![Effect::TakeSeat { run: run.clone(), take_over: *take_over }]
        }
        Msg::Learnt { runs } => {
            model.learnt = card::learn(runs);
            Vec::new()
        }
        Msg::JournalRead => {
            model.journal_read = true;
            Vec::new()
        }
        Msg::Logs(updates) => {
            logs::told(model, stamp, updates);
            Vec::new()
        }
        Msg::Exported(result) => {
            match result {
                Ok(file) => model.say(Level::Info, &format!("exported to {file}")),
                Err(why) => model.say(Level::Warning, &format!("not exported: {why}")),
            }
            Vec::new()
        }
        Msg::Copied(result) => {
            match result {
                Ok(what) => model.say(Level::Info, &format!("copied {what} (sent to the terminal; whether it arrived cannot be verified)")),
                Err(why) => model.say(Level::Warning, &format!("not copied: {why}")),
            }
            Vec::new()
        }
    }
}

/// Brings everything that follows from the facts up to date, and asks what is due.
fn settle(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let mut effects = wanted::poll(model, stamp);
    effects.extend(counts::poll(model, stamp));
    effects.extend(alerts::poll(model, stamp));
    alerts::look(model);
    effects.extend(side::due(model, stamp));
    effects.extend(logs::follow(model, stamp));
    effects.extend(judge(model, stamp));
    effects.extend(run::follow_up(model, stamp));
    run::follow_act(model, stamp);
    // What the engine just did may have changed what blocks.
    model.verdict = verdict::verdict(model, stamp);
    model.blocked = verdict::blocked(model, stamp);
    model.incident = verdict::incident(model, stamp);
    effects.extend(script::step(model, stamp));
    effects.extend(verbs::follow(model, stamp));
    effects.extend(ground::keep(model, stamp));
    effects.extend(run::release(model));
    effects
}

/// When the core wants to be called again without any message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadlines {
    /// On the boot clock: polls, bakes, countdowns, disarming.
    pub boot: Option<Duration>,
    /// On the mono clock: keys that wait to be told from a paste.
    pub mono: Option<Duration>,
}

/// See [`Deadlines`].
#[must_use]
pub fn deadlines(model: &Model) -> Deadlines {
    let panels = model.panels.values().filter(|p| p.outstanding.is_none()).map(|p| p.due);
    let share = model.observed.outstanding.is_none().then_some(model.observed.due);
    let armed = keys::disarms_at(model);
    let counts = counts::due(model, &model.now);
    let alerts = model.alerts.as_ref().and_then(AlertBoard::deadline);
    let polls = panels.chain(share).chain(counts).chain(alerts);
    Deadlines { boot: polls.chain(armed).chain(run::deadline(model)).min(), mono: keys::deadline(model) }
}
