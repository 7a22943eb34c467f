//! How deep the worlds get: what has to be reached for a green run to mean anything.

use super::invariants::Watch;
use crate::domain::{Failure, Refusal};
use crate::runbook::engine::{Engine, FenceFor};
use crate::runbook::gate::Vote;
use crate::runbook::io::Purpose;
use crate::runbook::record::{Event, Found, SendOutcome};
use crate::runbook::state::{OpStage, Phase};

/// Every depth, and in how many of 1,000 worlds at least it is reached.
#[rustfmt::skip]
pub(super) const FLOORS: &[(&str, u64)] = &[
    ("aborted", 89),
    ("act behind a fence", 27),
    ("act tried again", 35),
    ("act verified", 273),
    ("adopted", 8),
    ("agreed by several", 20),
    ("vote: go", 60),
    ("vote: against", 20),
    ("vote: withdrawn", 20),
    ("answer: accepted", 283),
    ("answer: conflict", 22),
    ("answer: not sent", 32),
    ("answer: refused", 6),
    ("answer: unknown", 118),
    ("asleep", 52),
    ("automatic back-out", 44),
    ("automatic back-out done", 39),
    ("back-out", 157),
    ("back-out done", 153),
    ("back-out of what is unclear", 12),
    ("bake stopped", 31),
    ("choice made", 32),
    ("completed", 71),
    ("countdown begun", 55),
    ("countdown stopped", 11),
    ("fence owed", 88),
    ("fence: abort", 11),
    ("fence: back-out", 10),
    ("fence: redo", 25),
    ("fence: take-over, back-out", 12),
    ("fence: take-over, forward", 16),
    ("found: applied", 65),
    ("found: applied then changed", 6),
    ("found: done by other", 7),
    ("found: drifted", 12),
    ("found: never", 38),
    ("found: not yet", 48),
    ("gate passed", 18),
    ("gate refused", 7),
    ("guard tripped", 135),
    ("held", 298),
    ("held by a guard", 172),
    ("hold released", 200),
    ("hold with a countdown", 24),
    ("journal cannot be written", 180),
    ("new epoch asked for", 44),
    ("plan given up", 281),
    ("resumed", 123),
    ("rollback stuck", 13),
    ("set aside for a newer plan", 40),
    ("stage: accepted", 285),
    ("stage: confirmed", 414),
    ("stage: intent", 329),
    ("stage: not applied", 75),
    ("stage: planned", 470),
    ("stage: unknown", 112),
    ("stage: verified", 275),
    ("stage: void", 328),
    ("step failed", 32),
    ("step inconclusive", 6),
    ("step skipped", 12),
    ("step undone", 81),
    ("taken over", 87),
    ("went on after being stuck", 12),
    ("wrong answer", 43),
];

impl Watch {
    /// What an entry shows.
    pub(super) fn note_depth(&mut self, event: &Event) {
        let depth = match event {
            Event::ActionVerified { .. } => "act verified",
            Event::ActionOutcome { outcome, .. } => match outcome {
                SendOutcome::Accepted { .. } => "answer: accepted",
                SendOutcome::Unknown { .. } => "answer: unknown",
                SendOutcome::NotApplied { failure: Failure::Refused { reason: Refusal::Conflict, .. } } => "answer: conflict",
                SendOutcome::NotApplied { failure: Failure::NotSent { .. } } => "answer: not sent",
                SendOutcome::NotApplied { .. } => "answer: refused",
            },
            Event::ActionReconciled { found, .. } => match found {
                Found::Applied => "found: applied",
                Found::AppliedThenChanged => "found: applied then changed",
                Found::NotYet => "found: not yet",
                Found::Never => "found: never",
                Found::DoneByOther => "found: done by other",
                Found::Drifted => "found: drifted",
            },
            Event::ActionIntent { fence: false, attempt, .. } if *attempt > 1 => "act tried again",
            Event::ActionIntent { fence: false, .. } if self.deep.contains("fence sent") => "act behind a fence",
            Event::ActionReplanned { .. } => "plan given up",
            Event::ActionAdopted { .. } => "adopted",
            Event::RunResumed { .. } => "resumed",
            Event::RunCompleted {} => "completed",
            Event::RunAborted { .. } => "aborted",
            Event::RunRolledBack {} if self.deep.contains("automatic back-out") => "automatic back-out done",
            Event::RunRolledBack {} => "back-out done",
            Event::RunRollbackStuck { .. } => "rollback stuck",
            Event::RollbackBegan { automatic: true, .. } => "automatic back-out",
            Event::RollbackBegan { .. } if self.deep.contains("found: not yet") => "back-out of what is unclear",
            Event::RollbackBegan { .. } => "back-out",
            Event::StepFailed { inconclusive: true, .. } => "step inconclusive",
            Event::StepFailed { .. } => "step failed",
            Event::StepSkipped { .. } => "step skipped",
            Event::StepUndone { .. } => "step undone",
            Event::ChoiceMade { .. } => "choice made",
            Event::StepPassed { why, .. } if why.starts_with("GO: ") => "agreed by several",
            Event::GateVoted { vote: Vote::Go, .. } => "vote: go",
            Event::GateVoted { vote: Vote::Withdrawn, .. } => "vote: withdrawn",
            Event::GateVoted { .. } => "vote: against",
            Event::GateAnswered { go: true, .. } => "gate passed",
            Event::GateAnswered { .. } => "gate refused",
            Event::GuardTripped { countdown: true, .. } => "countdown begun",
            Event::GuardTripped { .. } => "guard tripped",
            Event::CountdownCancelled { .. } => "countdown stopped",
            Event::WaitStopped { .. } => "bake stopped",
            Event::HoldBegan { guard: Some(_), .. } => "held by a guard",
            Event::HoldBegan { .. } => "held",
            Event::HoldEnded {} => "hold released",
            Event::ClockJumped { .. } => "asleep",
            Event::ItemAnswered { ok: false, .. } => "wrong answer",
            _ => return,
        };
        self.saw(depth);
    }

    /// What the engine shows.
    pub(super) fn note_engine(&mut self, engine: &Engine) {
        let state = engine.state();
        if let Some(op) = &state.operation {
            self.saw(match op.stage {
                OpStage::Planned => "stage: planned",
                OpStage::Confirmed { .. } => "stage: confirmed",
                OpStage::Intent => "stage: intent",
                OpStage::Accepted => "stage: accepted",
                OpStage::Unknown { .. } => "stage: unknown",
                OpStage::NotApplied { .. } => "stage: not applied",
                OpStage::Verified => "stage: verified",
                OpStage::Void => "stage: void",
            });
        }
        if state.doubtful.is_some() {
            self.saw("set aside for a newer plan");
        }
        if engine.countdown().is_some() && state.hold.is_some() {
            self.saw("hold with a countdown");
        }
        if state.fence_owed {
            self.saw("fence owed");
        }
        if engine.store.is_some() {
            self.saw("journal cannot be written");
        }
        if engine.is_advancing() {
            self.saw("new epoch asked for");
        }
        if engine.passive().is_some() {
            self.saw("watches only");
        }
        if state.phase == Phase::RollingBack && self.deep.contains("rollback stuck") {
            self.saw("went on after being stuck");
        }
    }

    /// What a fence that is sent is for.
    pub(super) fn note_fence(&mut self, engine: &Engine) {
        self.saw("fence sent");
        self.saw(match engine.fencing.as_ref().map(|f| f.why) {
            Some(FenceFor::Redo) => "fence: redo",
            Some(FenceFor::Abort) => "fence: abort",
            Some(FenceFor::BackOut) => "fence: back-out",
            Some(FenceFor::TakeOver(Purpose::Forward)) => "fence: take-over, forward",
            Some(FenceFor::TakeOver(Purpose::BackOut)) => "fence: take-over, back-out",
            None => "fence: nobody's",
        });
    }
}
