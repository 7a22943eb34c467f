//! The first minute: short call-outs in the message row of the tour, one at a time, led by what happens. Never in the way.

use super::model::{Model, Seat};
use crate::domain::Stamp;
use crate::runbook::io::Level;
use crate::runbook::state::{OpStage, Phase};
use std::time::Duration;

/// A call-out stays at least this long before the next one.
const READING: Duration = Duration::from_secs(5);

/// One call-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Where,
    Verdict,
    Back,
    Promote,
    Promoted,
    Incident,
    BackedOut,
    Stale,
    Leave,
}

impl Call {
    const ALL: [Self; 9] =
        [Self::Where, Self::Verdict, Self::Back, Self::BackedOut, Self::Incident, Self::Stale, Self::Promoted, Self::Promote, Self::Leave];

    fn text(self) -> &'static str {
        match self {
            Self::Where => "row 1: what you would change, and whether you may",
            Self::Verdict => "VERDICT: may we go on? its reasons stand below",
            Self::Back => "B always takes you back: from any view, armed or not",
            Self::Promote => "try it: P, then type the new weight and Enter (? explains the keys)",
            Self::Promoted => "sent, accepted, seen: the row says when traffic has followed; 9 shows the record",
            Self::Incident => "a guard tripped and the run holds: B, 0, Enter takes all traffic off the canary",
            Self::BackedOut => "You backed out in 4 keys. 9 tells the story",
            Self::Stale => "STALE: old values are marked ~ and never count; going back still works",
            Self::Leave => "that is all there is to see: q leaves, the traffic here is simulated",
        }
    }

    /// Whether its time has come. The first three come by themselves, one after the other.
    fn is_due(self, model: &Model) -> bool {
        let state = model.run.as_ref().filter(|r| r.seat == Seat::Driving).map(|r| &r.state);
        let phase = state.map(|s| s.phase);
        let stale = [&model.platform, &model.metrics].iter().any(|s| s.newest.is_some() && !s.freshness(model.now.wall).usable());
        let told = |call| model.driver.tour.told(call);
        match self {
            Self::Where | Self::Verdict | Self::Back => true,
            Self::Promote => told(Self::Back) && state.is_some() && model.act.is_none() && model.blocked.is_empty(),
            // The act on screen is one of this sitting: what was flown before is not.
            Self::Promoted => {
                phase == Some(Phase::Running)
                    && model.act.is_some()
                    && state.and_then(|s| s.operation.as_ref()).is_some_and(|op| matches!(op.stage, OpStage::Accepted | OpStage::Verified))
            }
            Self::Incident => phase == Some(Phase::Running) && model.incident.is_some(),
            Self::BackedOut => phase == Some(Phase::RolledBack),
            Self::Stale => stale,
            Self::Leave => told(Self::BackedOut) && told(Self::Stale) && !stale,
        }
    }
}

/// What was told, and when last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    calls: Vec<Call>,
    last: Option<Duration>,
}

impl Told {
    fn told(&self, call: Call) -> bool {
        self.calls.contains(&call)
    }
}

/// Says the next call-out, when there is one and the last one could be read. An open prompt or the help is not talked over.
pub(super) fn tell(model: &mut Model, stamp: &Stamp) {
    if !model.options.tour || model.prompt.is_some() || model.screen.help || model.screen.filtering {
        return;
    }
    if model.driver.tour.last.is_some_and(|at| stamp.mono.saturating_sub(at) < READING) {
        return;
    }
    let Some(call) = Call::ALL.into_iter().find(|call| !model.driver.tour.told(*call) && call.is_due(model)) else { return };
    model.driver.tour.calls.push(call);
    model.driver.tour.last = Some(stamp.mono);
    model.say(Level::Info, call.text());
}
