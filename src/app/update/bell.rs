//! When it rings: few transitions, and never more often than every half minute.

use super::super::effect::Effect;
use super::super::model::{Model, Seat};
use crate::domain::Verdict;
use std::time::Duration;

/// Two rings are at least this far apart.
const PAUSE: Duration = Duration::from_secs(30);

/// What was so before a message.
pub(super) struct Heard {
    no_go: bool,
    incident: bool,
    /// Platform and metrics can be used.
    usable: [bool; 2],
    /// The driver is waited for.
    waits: bool,
    seat: Option<Seat>,
}

impl Heard {
    pub(super) fn of(model: &Model) -> Self {
        let run = model.run.as_ref();
        let source = |health: &crate::domain::SourceHealth| health.newest.is_some() && health.freshness(model.now.wall).usable();
        Self {
            no_go: run.is_some() && model.verdict.verdict == Verdict::NoGo,
            incident: model.incident.is_some(),
            usable: [source(&model.platform), source(&model.metrics)],
            waits: run.is_some_and(|r| r.seat == Seat::Driving && r.state.question().is_some()),
            seat: run.map(|r| r.seat),
        }
    }

    fn worse_than(&self, before: &Self) -> bool {
        let new = |now: bool, was: bool| now && !was;
        let lost = before.usable.iter().zip(self.usable).any(|(was, now)| *was && !now);
        let driver = before.seat.is_some() && self.seat.is_some() && before.seat != self.seat;
        new(self.no_go, before.no_go) || new(self.incident, before.incident) || new(self.waits, before.waits) || lost || driver
    }
}

/// One ring at most for everything that one message brought about.
pub(super) fn ring(model: &mut Model, before: &Heard, effects: &mut Vec<Effect>) {
    let alarm = effects.contains(&Effect::Bell);
    effects.retain(|effect| *effect != Effect::Bell);
    if !alarm && !Heard::of(model).worse_than(before) {
        return;
    }
    let now = model.now.mono;
    if model.driver.rang.is_none_or(|at| now.saturating_sub(at) >= PAUSE) {
        model.driver.rang = Some(now);
        effects.push(Effect::Bell);
    }
}
