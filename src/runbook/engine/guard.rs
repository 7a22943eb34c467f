//! Guards: watched the whole time, whatever the step.

use super::{COUNTDOWN, Engine, Turn};
use crate::domain::record::Entry;
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Finding, Op, Outcome, Probe};
use crate::runbook::io::{Level, SampleOf};
use crate::runbook::plan::{Guard, GuardBlind, GuardThen};
use crate::runbook::record::Event;
use std::time::Duration;

/// A countdown that ended so long before anybody could look was on no screen.
const UNSEEN: Duration = Duration::from_secs(5);

/// Why a hold cannot be released yet.
pub(super) enum Standing {
    /// In words.
    Bad(String),
    /// The guard was not read since.
    Unread(String),
}

/// What one finding means to a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Good,
    /// Bad for so long.
    Bad(Duration),
    /// Cannot see, and that is nothing to it.
    Ignored,
    /// Cannot see, and holds.
    Blind,
}

impl Engine {
    /// Places of the guards that are watched now.
    pub(super) fn watched_guards(&self) -> impl Iterator<Item = usize> {
        let running = self.running();
        self.state.runbook.guards.iter().enumerate().filter(move |(_, g)| running && self.state.watches(g)).map(|(i, _)| i)
    }

    pub(super) fn guard_found(&mut self, turn: &mut Turn, index: usize, finding: &Finding) {
        let Some(guard) = self.state.runbook.guards.get(index).cloned() else { return };
        match self.sight(turn, index, &guard, finding) {
            Sight::Good => self.guard_is_good(turn, index, &guard),
            Sight::Bad(bad) => self.guard_is_bad(turn, index, &guard, finding, bad),
            Sight::Ignored => {}
            Sight::Blind => self.guard_is_blind(turn, index, &guard, finding),
        }
    }

    /// Reads a finding by the guard's own rules, and keeps how long it has been blind.
    fn sight(&mut self, turn: &Turn, index: usize, guard: &Guard, finding: &Finding) -> Sight {
        let Some(sampler) = self.samplers.get_mut(&SampleOf::Guard { index }) else { return Sight::Ignored };
        let policy = match finding.outcome {
            Outcome::Pass | Outcome::Holding | Outcome::Fail => {
                sampler.blind_since = None;
                sampler.blind_held = false;
                return if finding.outcome == Outcome::Fail { Sight::Bad(finding.bad) } else { Sight::Good };
            }
            Outcome::NoData => guard.on_no_data,
            Outcome::Stale | Outcome::Error => guard.on_error,
        };
        match policy {
            GuardBlind::Ignore => Sight::Ignored,
            GuardBlind::Hold => Sight::Blind,
            GuardBlind::Trip => Sight::Bad(turn.at.boot.saturating_sub(*sampler.blind_since.get_or_insert(turn.at.boot))),
        }
    }

    fn is_bad_or_coming(&self, index: usize, id: &str) -> bool {
        let mut bad = self.state.guards.get(index).is_some_and(|g| g.breached);
        for event in self.coming() {
            match event {
                Event::GuardBreached { guard, .. } | Event::GuardTripped { guard, .. } if guard == id => bad = true,
                Event::GuardCleared { guard } if guard == id => bad = false,
                _ => {}
            }
        }
        bad
    }

    fn stands(&self, index: usize, id: &str) -> bool {
        let mut stands = self.state.guards.get(index).is_some_and(|g| g.standing);
        for event in self.coming() {
            match event {
                Event::GuardTripped { guard, .. } if guard == id => stands = true,
                Event::GuardCleared { guard } if guard == id => stands = false,
                _ => {}
            }
        }
        stands
    }

    fn guard_is_good(&mut self, turn: &mut Turn, index: usize, guard: &Guard) {
        if self.is_bad_or_coming(index, &guard.id) {
            turn.say(Level::Info, format!("guard {} is good again", guard.id));
            self.fact(Event::GuardCleared { guard: guard.id.clone() });
        }
    }

    fn guard_is_blind(&mut self, turn: &mut Turn, index: usize, guard: &Guard, finding: &Finding) {
        let Some(sampler) = self.samplers.get_mut(&SampleOf::Guard { index }) else { return };
        if std::mem::replace(&mut sampler.blind_held, true) {
            return;
        }
        let reason = clean_bounded(&format!("guard {} cannot see: {}", guard.id, finding.why), 200);
        turn.say(Level::Alarm, format!("{reason}; the run holds"));
        self.open_fact(Event::HoldBegan { reason, guard: Some(guard.id.clone()) });
    }

    fn guard_is_bad(&mut self, turn: &mut Turn, index: usize, guard: &Guard, finding: &Finding, bad: Duration) {
        if bad < guard.bad_for {
            if !self.is_bad_or_coming(index, &guard.id) {
                turn.say(Level::Warning, format!("guard {} is bad: {}", guard.id, finding.shown));
                self.fact(Event::GuardBreached { guard: guard.id.clone(), shown: clean_bounded(&finding.shown, 120) });
            }
            return;
        }
        if !self.stands(index, &guard.id) {
            self.trip(turn, index, guard, &tripped_text(guard, finding, bad));
        }
    }

    fn trip(&mut self, turn: &mut Turn, index: usize, guard: &Guard, why: &str) {
        let by_itself = guard.then == GuardThen::Rollback && self.state.auto_back_out && self.aborting.is_none();
        let countdown = by_itself && self.countdown.is_none();
        self.fact(Event::GuardTripped { guard: guard.id.clone(), why: why.to_owned(), countdown });
        if countdown {
            self.countdown = Some((index, turn.at.boot + COUNTDOWN));
            turn.say(Level::Alarm, format!("{why}; backing out by itself in {}s, a hold stops that", COUNTDOWN.as_secs()));
            return;
        }
        let reason = match guard.then {
            GuardThen::Warn => {
                turn.say(Level::Warning, why);
                return;
            }
            GuardThen::Rollback if by_itself => return,
            GuardThen::Rollback => format!("{why}; backing out was not confirmed at the start: B backs out"),
            GuardThen::Hold => why.to_owned(),
        };
        turn.say(Level::Alarm, &reason);
        self.open_fact(Event::HoldBegan { reason, guard: Some(guard.id.clone()) });
    }

    /// A hold by anybody stops the countdown.
    pub(super) fn stop_countdown_for(&mut self, entry: &Entry) {
        if entry.kind == "hold.began" {
            self.countdown = None;
        }
    }

    /// A journaled countdown that does not run here was stopped, or its driver ended: it never goes off later.
    pub(super) fn keep_countdown(&mut self, turn: &mut Turn) {
        // The process stood still while it ended: nobody saw it, so nobody could stop it.
        let last = self.last_boot;
        self.countdown.take_if(|(_, end)| *end > last && turn.at.boot > *end + UNSEEN);
        let running = self.countdown.map(|(i, _)| i);
        if !self.running() {
            self.countdown = None;
            return;
        }
        let orphans = self.state.guards.iter().enumerate().filter(|(i, g)| g.countdown.is_some() && Some(*i) != running);
        let ids: Vec<String> = orphans.filter_map(|(i, _)| self.state.runbook.guards.get(i).map(|g| g.id.clone())).collect();
        for guard in ids {
            if self.coming().any(|e| matches!(e, Event::CountdownCancelled { guard: g } if *g == guard)) {
                continue;
            }
            self.fact(Event::CountdownCancelled { guard: guard.clone() });
            if !self.held() {
                let reason = format!("guard {guard} tripped and its countdown was stopped: B backs out");
                turn.say(Level::Alarm, &reason);
                self.open_fact(Event::HoldBegan { reason, guard: Some(guard) });
            }
        }
    }

    /// The countdown is over: the way back begins by itself.
    pub(super) fn countdown_decision(&mut self, turn: &mut Turn) -> Option<(Vec<Event>, super::journal::What)> {
        let (index, _) = self.countdown.filter(|(_, end)| turn.at.boot >= *end)?;
        let guard = self.state.guards.get(index).filter(|g| g.countdown.is_some() && self.running())?;
        let why = guard.tripped.as_ref().map_or_else(|| "a guard tripped".to_owned(), |(why, _)| why.clone());
        self.withdraw(turn, "backing out by itself: nothing was sent");
        turn.say(Level::Alarm, format!("backing out by itself: {why}"));
        Some((vec![Event::RollbackBegan { why, automatic: true }], super::journal::What::Due))
    }

    /// The first reason of a guard against releasing a hold.
    pub(super) fn worst_standing(&self) -> Option<Standing> {
        let holding = self.state.hold.as_ref().and_then(|h| h.guard.as_deref());
        let mut unread = None;
        for index in self.watched_guards() {
            let (Some(guard), Some(state)) = (self.state.runbook.guards.get(index), self.state.guards.get(index)) else { continue };
            let concerns = (state.standing && guard.then != GuardThen::Warn) || holding == Some(guard.id.as_str());
            let latest = self.samplers.get(&SampleOf::Guard { index }).and_then(|s| s.latest.as_ref());
            match latest.map(|f| (f.outcome, f)) {
                None if concerns => unread = Some(Standing::Unread(guard.id.clone())),
                Some((Outcome::Fail, f)) if concerns => {
                    return Some(Standing::Bad(format!("guard {} is still bad: {}", guard.id, f.shown)));
                }
                Some((Outcome::NoData, f)) if blind(guard.on_no_data, concerns) => return Some(cannot_see(guard, f)),
                Some((Outcome::Stale | Outcome::Error, f)) if blind(guard.on_error, concerns) => return Some(cannot_see(guard, f)),
                _ => {}
            }
        }
        unread
    }
}

fn blind(policy: GuardBlind, concerns: bool) -> bool {
    policy == GuardBlind::Hold || (policy == GuardBlind::Trip && concerns)
}

fn cannot_see(guard: &Guard, finding: &Finding) -> Standing {
    Standing::Bad(format!("guard {} cannot see: {}", guard.id, finding.why))
}

/// `guard error-rate: 2.31% >= 0.50% for 30s`.
fn tripped_text(guard: &Guard, finding: &Finding, bad: Duration) -> String {
    let against = match (&guard.probe, finding.value) {
        (Probe::Promql(t), Some(_)) => format!("{} {} {}", finding.shown, contrary(t.op), t.unit.show(t.limit)),
        _ => finding.why.clone(),
    };
    clean_bounded(&format!("guard {}: {against} for {}", guard.id, span(bad)), 200)
}

fn contrary(op: Op) -> &'static str {
    match op {
        Op::Less => Op::GreaterOrEqual,
        Op::LessOrEqual => Op::Greater,
        Op::Greater => Op::LessOrEqual,
        Op::GreaterOrEqual => Op::Less,
        Op::Equal => Op::NotEqual,
        Op::NotEqual => Op::Equal,
    }
    .sign()
}
