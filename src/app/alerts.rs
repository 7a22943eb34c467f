//! Alerts beside the release: what is known of them, what they have to do with it, and when they are asked for.

use super::effect::Effect;
use super::model::Model;
use super::update::Side;
use crate::domain::alert::{Alert, AlertRule, AlertState, Silence, SilenceState};
use crate::domain::text::{clean_bounded, span};
use crate::domain::time::age;
use crate::domain::{Failure, Freshness, Op, SourceHealth, Stamp, Ticket, Track, Unit, Verdict, promql};
use crate::judge::{self, About, Concern, Since};
use crate::runbook::io::Level;
use crate::runbook::state::Phase;
use crate::runbook::story::{StoryKind, StoryLine};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Beginnings and ends of alerts that are remembered.
const LOG: usize = 200;
/// How often the alerts source and the rules are asked.
const PERIOD: Duration = Duration::from_secs(15);
/// Story lines that no journal entry stands behind are numbered from here on.
const LOG_SEQ: u64 = u64::MAX / 2;

/// What an alerts source told.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertsTold {
    /// Firing and suppressed alerts.
    pub alerts: Vec<Alert>,
    /// Silences.
    pub silences: Vec<Silence>,
    /// When it was true by our clock; `None` when the server's clock stood still.
    pub at: Option<DateTime<Utc>>,
    /// What the server's clock is ahead of ours.
    pub skew: Option<TimeDelta>,
    /// Alerts and silences that are not in here because there were too many.
    pub left_out: usize,
}

/// An alert seen from the release.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The alert.
    pub alert: Alert,
    /// What it is about.
    pub concern: Concern,
    /// When it began, seen from the run.
    pub since: Since,
    /// Its beginning on our clock.
    pub began: DateTime<Utc>,
    /// What it says about going on.
    pub says: Verdict,
    /// `2m31s after the 25% shift`, where a shift came before it.
    pub after: Option<String>,
}

impl Sighting {
    /// Whether it belongs below the line: fired before the run, or not about this service.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.concern == Concern::Other || self.since == Since::Before
    }

    /// Which part of the service it is about.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self.concern {
            Concern::Other => "other",
            Concern::Service => "all",
            Concern::Side(Track::Canary) => "canary",
            Concern::Side(Track::Baseline) => "base",
        }
    }
}

/// How many alerts of the service there are in each state, those that fired before the run left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertCounts {
    /// Firing.
    pub firing: usize,
    /// Pending.
    pub pending: usize,
    /// Silenced or inhibited.
    pub silenced: usize,
}

/// The alerts connection of the service, and what it told.
#[derive(Debug, Clone)]
pub struct AlertBoard {
    /// The connection.
    pub source: SourceHealth,
    /// Everything of interest: of the service first, firing before pending before silenced, then what is aside.
    pub sightings: Vec<Sighting>,
    /// Silences, those in force first.
    pub silences: Vec<Silence>,
    /// Rules of the metrics backend; empty while not known.
    pub rules: Vec<AlertRule>,
    /// Why the rules are not known: then nothing is known of pending alerts.
    pub rules_trouble: Option<String>,
    /// What the server's clock is ahead of ours.
    pub skew: Option<TimeDelta>,
    /// Too many to be read.
    pub left_out: usize,
    /// Beginnings and ends, oldest first.
    pub log: VecDeque<StoryLine>,
    /// The list shows silences in place of alerts.
    pub show_silences: bool,
    /// The latest answer came at (wall); `None` before the first.
    pub read: Option<DateTime<Utc>>,
    /// Acts on the source that are under way.
    pub(super) side: Side,
    told: Vec<Alert>,
    outstanding: Option<Ticket>,
    due: Duration,
    rules_outstanding: Option<Ticket>,
    rules_due: Duration,
    /// The metrics backend told its rules at least once.
    rules_told: bool,
    numbered: u64,
    /// What the sightings were worked out from: answers so far, and entries of the run.
    answers: u64,
    seen: Option<(u64, usize, bool)>,
}

impl AlertBoard {
    /// One that has not been asked yet.
    #[must_use]
    pub fn new(source: &crate::domain::SourceId) -> Self {
        Self {
            source: SourceHealth::new(source.clone(), "am", PERIOD),
            sightings: Vec::new(),
            silences: Vec::new(),
            rules: Vec::new(),
            rules_trouble: None,
            skew: None,
            left_out: 0,
            log: VecDeque::new(),
            show_silences: false,
            read: None,
            side: Side::default(),
            told: Vec::new(),
            outstanding: None,
            due: Duration::ZERO,
            rules_outstanding: None,
            rules_due: Duration::ZERO,
            rules_told: false,
            numbered: 0,
            answers: 0,
            seen: None,
        }
    }

    /// Alerts of the service by state.
    #[must_use]
    pub fn counts(&self) -> AlertCounts {
        let mut counts = AlertCounts::default();
        for sighting in self.sightings.iter().filter(|s| !s.is_aside()) {
            match sighting.alert.state {
                AlertState::Firing => counts.firing += 1,
                AlertState::Pending => counts.pending += 1,
                AlertState::Suppressed => counts.silenced += 1,
            }
        }
        counts
    }

    /// The rule behind an alert.
    #[must_use]
    pub fn rule_of(&self, alert: &Alert) -> Option<&AlertRule> {
        let fits = |rule: &&AlertRule| {
            // Labels made of templates are not those of the alert.
            let fixed = rule.labels.iter().filter(|(_, value)| !value.contains("{{"));
            rule.name == alert.name() && fixed.into_iter().all(|(name, value)| alert.labels.get(name) == Some(value))
        };
        self.rules.iter().find(fits)
    }

    /// The silence in force that covers an alert.
    #[must_use]
    pub fn silence_of(&self, alert: &Alert) -> Option<&Silence> {
        let by = |s: &&Silence| alert.silenced_by.contains(&s.id);
        self.silences.iter().filter(|s| s.state == SilenceState::Active).find(by)
    }

    /// An act on the source that is under way or in doubt, for people.
    #[must_use]
    pub fn side_words(&self) -> Option<String> {
        self.side.words()
    }

    /// Ask again at once.
    pub(super) fn ask_now(&mut self, boot: Duration) {
        (self.due, self.rules_due) = (boot, boot);
    }

    /// When something is asked next (boot clock).
    pub(super) fn deadline(&self) -> Option<Duration> {
        let ask = self.outstanding.is_none().then_some(self.due);
        let rules = self.rules_outstanding.is_none().then_some(self.rules_due);
        ask.into_iter().chain(rules).chain(self.side.deadline()).min()
    }

    /// What is known, for conditions on alerts.
    pub(super) fn known(&self, now: DateTime<Utc>) -> judge::AlertsKnown<'_> {
        let rules = (self.rules_told && self.rules_trouble.is_none()).then_some(self.rules.as_slice());
        judge::AlertsKnown { told: &self.told, rules, left_out: self.left_out, freshness: self.freshness(now) }
    }

    /// Whether source and rules were asked once, whatever came of it.
    pub(super) fn asked_once(&self) -> bool {
        (self.read.is_some() || self.source.failures > 0) && (self.rules_told || self.rules_trouble.is_some())
    }

    /// What fires says nothing about now when it is older than that.
    #[must_use]
    pub fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        self.source.freshness(now)
    }
}

/// Asks what is due.
pub(super) fn poll(model: &mut Model, stamp: &Stamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    let Some(board) = &mut model.alerts else { return effects };
    if board.outstanding.is_none() && board.due <= stamp.boot {
        let ticket = model.tickets.take();
        board.outstanding = Some(ticket);
        effects.push(Effect::ReadAlerts { ticket });
    }
    if board.rules_outstanding.is_none() && board.rules_due <= stamp.boot {
        let ticket = model.tickets.take();
        board.rules_outstanding = Some(ticket);
        effects.push(Effect::ReadRules { ticket });
    }
    effects
}

/// After a success the period; after failures a growing wait. The jitter is the clock's own.
fn wait(failures: u32, stamp: &Stamp) -> Duration {
    if failures == 0 {
        return PERIOD;
    }
    let nominal = Duration::from_secs(2).saturating_mul(2_u32.saturating_pow(failures.min(4))).min(Duration::from_secs(30));
    let dice = f64::from(stamp.mono.subsec_millis()) / 1000.0;
    nominal.mul_f64(0.5 + dice / 2.0)
}

/// The alerts source answered.
pub(super) fn told(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: Result<AlertsTold, Failure>) {
    let Some(board) = model.alerts.as_mut().filter(|b| b.outstanding == Some(ticket)) else { return };
    board.outstanding = None;
    let source = &mut board.source;
    match result {
        Ok(told) => {
            source.failures = 0;
            (source.trouble, source.login, source.next_attempt) = (None, None, None);
            source.newest = source.newest.max(told.at);
            board.skew = told.skew.or(board.skew);
            board.left_out = told.left_out;
            board.silences = told.silences;
            let before = std::mem::replace(&mut board.told, told.alerts);
            let first = board.read.replace(stamp.wall).is_none();
            board.answers += 1;
            if !first {
                tell_changes(model, stamp, &before);
            }
        }
        Err(failure) => {
            source.failures += 1;
            source.trouble = Some(failure.to_string());
            source.login = failure.login().map(str::to_owned);
            source.next_attempt = TimeDelta::from_std(wait(source.failures, stamp)).ok().map(|d| stamp.wall + d);
        }
    }
    if let Some(board) = &mut model.alerts {
        board.due = stamp.boot + wait(board.source.failures, stamp);
    }
}

/// The metrics backend told its rules.
pub(super) fn rules(model: &mut Model, stamp: &Stamp, ticket: Ticket, result: Result<Vec<AlertRule>, Failure>) {
    let Some(board) = model.alerts.as_mut().filter(|b| b.rules_outstanding == Some(ticket)) else { return };
    board.rules_outstanding = None;
    // Rules change rarely, pending alerts with every evaluation; a backend that has none need not be asked that often.
    let pause = if result.as_ref().is_ok_and(|rules| !rules.is_empty()) { PERIOD } else { PERIOD * 4 };
    board.rules_due = stamp.boot + pause;
    match result {
        Ok(rules) => {
            board.rules = rules;
            board.rules_told = true;
            board.rules_trouble = None;
        }
        Err(failure) => {
            // What was pending then says nothing about now.
            board.rules.iter_mut().for_each(|rule| rule.pending.clear());
            board.rules_trouble = Some(failure.to_string());
        }
    }
    board.answers += 1;
}

/// Works out what the alerts have to do with the service and the run, when either has changed.
pub(super) fn look(model: &mut Model) {
    let entries = model.run.as_ref().map_or(0, |r| r.entries.len());
    let Some(board) = &model.alerts else { return };
    // Instances that came after the alerts may name the side of one.
    let seen = Some((board.answers, entries, model.picture.listed));
    if board.seen == seen {
        return;
    }
    let pending = board.rules.iter().flat_map(|rule| &rule.pending);
    let mut sightings: Vec<Sighting> =
        with_about(model, |about| board.told.iter().chain(pending).map(|a| sighting(model, board, about, a)).collect());
    sightings.sort_by(|a, b| {
        order(a).cmp(&order(b)).then_with(|| a.began.cmp(&b.began)).then_with(|| a.alert.fingerprint.cmp(&b.alert.fingerprint))
    });
    if let Some(board) = &mut model.alerts {
        board.sightings = sightings;
        board.seen = seen;
    }
}

fn order(sighting: &Sighting) -> (bool, AlertState, std::cmp::Reverse<crate::domain::alert::AlertSeverity>) {
    (sighting.is_aside(), sighting.alert.state, std::cmp::Reverse(sighting.alert.severity()))
}

/// What alerts are compared with.
fn with_about<T>(model: &Model, with: impl FnOnce(&About<'_>) -> T) -> T {
    let spec = &model.spec;
    let sides: BTreeMap<&str, Track> = model.picture.instances.iter().map(|i| (&*i.name, i.track)).collect();
    let none = crate::domain::Labels::new();
    let instance = |name: &str| sides.get(name).copied().or_else(|| by_workload(spec, name));
    with(&About {
        matchers: spec.alerts.as_ref().map_or(&none, |a| &a.matchers),
        service: &spec.name,
        namespace: &spec.namespace,
        baseline: &spec.baseline.labels,
        canary: &spec.canary.labels,
        instance: &instance,
    })
}

/// The side of an instance that is gone, by the name of its workload.
fn by_workload(spec: &crate::domain::ServiceSpec, name: &str) -> Option<Track> {
    let of = |deployment: &str| name.strip_prefix(deployment).is_some_and(|rest| rest.starts_with('-')).then_some(deployment.len());
    let (canary, baseline) = (of(&spec.canary.deployment), of(&spec.baseline.deployment));
    match canary.cmp(&baseline) {
        std::cmp::Ordering::Greater => Some(Track::Canary),
        std::cmp::Ordering::Less => Some(Track::Baseline),
        std::cmp::Ordering::Equal => None,
    }
}

fn sighting(model: &Model, board: &AlertBoard, about: &About<'_>, alert: &Alert) -> Sighting {
    let concern = judge::concern(&alert.labels, about);
    let run = model.run.as_ref();
    let since = judge::since(alert.starts_at, board.skew, run.map(|r| r.state.started));
    let began = judge::our_time(alert.starts_at, board.skew);
    let after = (since == Since::During).then(|| after_shift(model, began)).flatten();
    Sighting { alert: alert.clone(), concern, since, began, says: judge::says(alert, concern, since), after }
}

/// Which shift came last before a moment, and how long before: verified weights are in the journal.
fn after_shift(model: &Model, began: DateTime<Utc>) -> Option<String> {
    let run = model.run.as_ref()?;
    let shift = run.entries.iter().rev().filter(|e| e.time.store <= began).find(|e| e.kind == "action.verified")?;
    let weight = shift.body.get("weight").and_then(serde_json::Value::as_u64)?;
    Some(format!("{} after the {weight}% shift", span(age(began, shift.time.store))))
}

/// Beginnings and ends since the answer before, of alerts that are about the service.
fn tell_changes(model: &mut Model, stamp: &Stamp, before: &[Alert]) {
    let Some(board) = &model.alerts else { return };
    let changes: Vec<(DateTime<Utc>, String, bool)> = with_about(model, |about| {
        let known: BTreeMap<&str, &Alert> = before.iter().map(|a| (a.fingerprint.as_str(), a)).collect();
        let now: BTreeMap<&str, &Alert> = board.told.iter().map(|a| (a.fingerprint.as_str(), a)).collect();
        let group = |alert: &Alert| match judge::concern(&alert.labels, about) {
            Concern::Other => None,
            Concern::Service => Some(String::new()),
            Concern::Side(track) => Some(format!(" ({track})")),
        };
        let mut out = Vec::new();
        for alert in &board.told {
            let Some(group) = group(alert) else { continue };
            let was = known.get(alert.fingerprint.as_str()).map(|a| a.state);
            let text = match (was, alert.state) {
                (None, AlertState::Firing) => {
                    (judge::our_time(alert.starts_at, board.skew), "firing", alert.severity() > crate::domain::alert::AlertSeverity::Info)
                }
                (Some(AlertState::Suppressed), AlertState::Firing) => (stamp.wall, "firing: no silence covers it any more", true),
                (Some(AlertState::Firing) | None, AlertState::Suppressed) => (stamp.wall, "silenced", false),
                _ => continue,
            };
            out.push((text.0, format!("{} {}{group}", alert.name(), text.1), text.2));
        }
        for alert in before.iter().filter(|a| !now.contains_key(a.fingerprint.as_str())) {
            if let Some(group) = group(alert) {
                out.push((stamp.wall, format!("{} resolved{group}", alert.name()), false));
            }
        }
        out
    });
    let run = model.run.as_ref().map(|r| r.state.started);
    let who = board.source.source.to_string();
    for (at, text, loud) in changes {
        if loud {
            model.say(Level::Warning, &text);
        }
        let Some(board) = &mut model.alerts else { return };
        board.numbered += 1;
        let t_plus = run.and_then(|started| (at - started).to_std().ok()).unwrap_or_default();
        let line = StoryLine {
            seq: LOG_SEQ + board.numbered,
            at,
            t_plus,
            who: clean_bounded(&who, 40),
            kind: StoryKind::Alert,
            text: clean_bounded(&text, 300),
        };
        board.log.push_back(line);
        while board.log.len() > LOG {
            board.log.pop_front();
        }
    }
}

/// What alerts say about going on, worst first by the caller. A run that was given up has nothing to go on to.
pub(super) fn reasons(model: &Model, now: &Stamp) -> Vec<(Verdict, String)> {
    let Some(board) = &model.alerts else { return Vec::new() };
    let freshness = board.freshness(now.wall);
    if !freshness.usable() {
        let text = match freshness {
            Freshness::NoData => format!("no data from {} yet", board.source.source),
            other => format!("{} {}", board.source.source, other.word()),
        };
        return vec![(Verdict::Unknown, text)];
    }
    let over = model.run.as_ref().is_some_and(|r| matches!(r.state.phase, Phase::RolledBack | Phase::Aborted));
    let counted = board.sightings.iter().filter(|s| s.says != Verdict::Go && !over);
    counted.map(|s| (s.says, format!("alert {} {}", s.alert.name(), if s.says == Verdict::NoGo { "FIRING" } else { "WATCH" }))).collect()
}

/// Rows of view 5 by identity: alerts by fingerprint, or silences by id.
pub(super) fn row_ids(board: &AlertBoard) -> Vec<String> {
    if board.show_silences {
        return board.silences.iter().map(|s| s.id.clone()).collect();
    }
    board.sightings.iter().map(|s| s.alert.fingerprint.clone()).collect()
}

/// The selected alert of view 5; the first one while none is.
#[must_use]
pub fn selected(model: &Model) -> Option<&Sighting> {
    let board = model.alerts.as_ref().filter(|b| !b.show_silences)?;
    let place = place(model, board.sightings.iter().map(|s| s.alert.fingerprint.as_str()));
    board.sightings.get(place.min(board.sightings.len().saturating_sub(1)))
}

/// The selected silence of view 5: of the list of silences, or the one that covers the selected alert.
#[must_use]
pub fn selected_silence(model: &Model) -> Option<&Silence> {
    let board = model.alerts.as_ref()?;
    if !board.show_silences {
        return board.silence_of(&selected(model)?.alert);
    }
    let place = place(model, board.silences.iter().map(|s| s.id.as_str()));
    board.silences.get(place.min(board.silences.len().saturating_sub(1)))
}

/// Where the cursor of view 5 stands.
fn place<'a>(model: &Model, mut ids: impl Iterator<Item = &'a str>) -> usize {
    let Some(selection) = model.screen.selections.get(&super::command::View::Alerts) else { return 0 };
    selection.id.as_ref().and_then(|id| ids.position(|i| i == id)).unwrap_or(selection.place)
}

/// What a chart of a rule asks the metrics backend for.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleChart {
    /// The expression that the rule compares.
    pub query: String,
    /// The same for the old version, where the expression names the new one.
    pub baseline: Option<String>,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub limit: f64,
    /// How values are meant.
    pub unit: Unit,
}

/// The chart of the selected alert's rule, while view 5 is open and the rule compares an expression with a number.
#[must_use]
pub fn chart_of(model: &Model) -> Option<RuleChart> {
    if model.screen.view != super::command::View::Alerts {
        return None;
    }
    let rule = model.alerts.as_ref()?.rule_of(&selected(model)?.alert)?;
    let (query, op, limit) = promql::comparison(&rule.query)?;
    let unit = promql::inspect(&query).map_or(Unit::Number, |facts| facts.guess_unit(limit));
    let baseline = super::wanted::baseline_query(&query, &model.spec.canary.labels, &model.spec.baseline.labels);
    Some(RuleChart { query, baseline, op, limit, unit })
}
