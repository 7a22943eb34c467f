//! What is found out about a release beside its checks: how an act landed, and what it cost.

use super::{Engine, Turn};
use crate::runbook::io::Level;
use crate::runbook::record::{Event, ExcessRecord};

/// What a hold by the budget of excess errors names as its guard.
pub const HARM_GUARD: &str = "harm-budget";

impl Engine {
    /// How the last act landed. It is often known only when the run has ended: everybody may write it.
    pub(super) fn landing_found(&mut self, event: Event) {
        let (Event::LandingProved { op, .. } | Event::LandingMissing { op, .. }) = &event else { return };
        let proved = matches!(event, Event::LandingProved { .. });
        let known = self.state.landing.as_ref().is_some_and(|l| l.op == *op && (l.took.is_some() || !proved));
        let coming = self.coming().any(|e| match e {
            Event::LandingProved { op: o, .. } => o == op,
            Event::LandingMissing { op: o, .. } => o == op && !proved,
            _ => false,
        });
        if !known && !coming {
            self.open_fact(event);
        }
    }

    /// The budget is spent: the run holds by itself, as by a guard. Once for every budget that is spent, so that a person may go on.
    pub(super) fn harm_found(&mut self, turn: &mut Turn, excess: ExcessRecord, budget: u32) {
        let coming = self.coming().any(|e| matches!(e, Event::HarmExceeded { .. }));
        let due = i64::from(budget) * (i64::from(self.state.harm_spent) + 1);
        if coming || !self.running() || self.passive.is_some() || excess.low <= due {
            return;
        }
        self.fact(Event::HarmExceeded { excess, budget });
        let reason = format!("harm: {} errors ({}..{}) beyond the baseline's, budget {budget}", excess.count, excess.low, excess.high);
        turn.say(Level::Alarm, format!("{reason}; the run holds, B backs out"));
        self.open_fact(Event::HoldBegan { reason, guard: Some(HARM_GUARD.to_owned()) });
    }
}
