//! What the engine says: comparisons of what the platform shows, and what it is doing now.

use super::talk::Stage;
use super::{Engine, FenceStage};
use crate::domain::{Epoch, Relied, Subject};
use crate::runbook::io::Purpose;
use crate::runbook::plan::StepKind;
use crate::runbook::record::Found;
use crate::runbook::state::{OpStage, Operation, StepPhase};
use std::time::Duration;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the object carries the stamp of this operation. Where an act leaves none, being as wanted is all the proof there can be.
pub(super) fn is_ours(op: &Operation, subject: &Subject) -> bool {
    if subject.stamped { subject.stamp.as_ref().is_some_and(|s| s.op == op.op) } else { subject.done }
}

fn writer(subject: &Subject) -> String {
    subject.last_writer.as_ref().map_or_else(String::new, |w| format!(" (changed by {w})"))
}

/// What moved between the plan and now among the fields that a plan relies on. An epoch of our own on the object is no change by others:
/// a fence of ours left it.
pub(super) fn moved(before: &Subject, now: &Subject, ours: Epoch) -> Option<String> {
    let (was, is) = (before.relied(), now.relied());
    if was.uid != is.uid || was.object != is.object || was.fields.get("rule") != is.fields.get("rule") {
        return Some(format!("{} is another object now{}", now.object, writer(now)));
    }
    if was.fields != is.fields {
        let noun = if before.route.is_some() { "weight" } else { now.object.as_str() };
        return Some(if before.shown == now.shown {
            format!("{}: {}{}", now.object, now.moved_since(&was).join(", "), writer(now))
        } else {
            format!("{noun} was {}, is now {}{}", before.shown, now.shown, writer(now))
        });
    }
    if was.epoch != is.epoch && is.epoch != Some(ours) {
        let epoch = |e: Option<Epoch>| e.map_or_else(|| "none".to_owned(), |e| e.to_string());
        return Some(format!("another driver wrote it: epoch was {}, is now {}", epoch(was.epoch), epoch(is.epoch)));
    }
    None
}

/// What the platform says of an operation whose outcome is not known, and whether its write can never arrive any more because the epoch that
/// it tests is gone.
pub(super) fn classify(op: &Operation, subject: &Subject) -> (Found, bool) {
    let wanted = subject.done;
    if is_ours(op, subject) {
        return (if wanted { Found::Applied } else { Found::AppliedThenChanged }, true);
    }
    let now = subject.relied();
    let Some(before) = &op.relied else { return (Found::Drifted, false) };
    let closed = now.epoch != before.epoch || now.uid != before.uid;
    let same = Relied { epoch: before.epoch, ..now } == *before;
    let found = match (same, closed, wanted) {
        (true, true, _) => Found::Never,
        (true, false, _) => Found::NotYet,
        (false, _, true) => Found::DoneByOther,
        (false, _, false) => Found::Drifted,
    };
    (found, closed)
}

/// Before, wanted, now: for people.
pub(super) fn three_way(op: &Operation, subject: &Subject, found: Found) -> String {
    let before = op.before.as_ref().map_or_else(|| "unknown".to_owned(), |b| b.shown.clone());
    let (wanted, now) = (op.action.wanted(), &subject.shown);
    match found {
        Found::Applied if !subject.stamped => format!("it was applied: the platform is at {now}"),
        Found::Applied => format!("it was applied: the platform carries our stamp and is at {now}"),
        Found::AppliedThenChanged => format!("it was applied and changed afterwards: wanted {wanted}, is now {now}{}", writer(subject)),
        Found::NotYet => format!("not applied yet: still {now}, and without our stamp; it may still arrive"),
        Found::Never => format!("not applied: {now}, and a newer epoch keeps it out for good"),
        Found::DoneByOther => format!("somebody else did it: was {before}, wanted {wanted}, is now {now}{}", writer(subject)),
        Found::Drifted => format!("somebody else changed it: was {before}, wanted {wanted}, is now {now}{}", writer(subject)),
    }
}

impl Engine {
    /// What the engine is doing now, in a few words, for the panel that says what happens; empty when it waits for a person or for time.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        if let Some(why) = &self.passive {
            return why.clone();
        }
        if let Some(send) = &self.send {
            let what = if send.fence { "fence sent" } else { "sent" };
            return format!("{what} {}Z, waiting for the answer", send.at.format("%H:%M:%S"));
        }
        if let Some(store) = &self.store {
            return format!("the journal cannot be written: {}", store.why);
        }
        if let Some(fencing) = &self.fencing {
            return match fencing.stage {
                FenceStage::ToRead => "reading the platform before the fence",
                FenceStage::ToAdvance(_) | FenceStage::Advancing(..) | FenceStage::ToIntend(_) => "taking a new epoch for the fence",
                FenceStage::Sending | FenceStage::ToLook => "reading the platform behind the fence",
            }
            .to_owned();
        }
        if let Some(talk) = &self.talk {
            return match talk.stage {
                Stage::ToPlan | Stage::Planning(_) if self.state.unclear().is_some() => "reading the platform, then working the plan out",
                Stage::ToPlan | Stage::Planning(_) => "working the plan out",
                Stage::Already(_) => "recording that the platform is already there",
                Stage::ToRecord(_) => "recording the plan",
                Stage::Asked(_) if talk.purpose == Purpose::BackOut => "waiting for the back-out to be confirmed",
                Stage::Asked(_) => "waiting for the confirmation",
                Stage::ToConfirm(..) => "recording the confirmation",
                Stage::Confirmed(..) => "re-reading the platform",
                Stage::ToIntend(..) => "recording the intent",
            }
            .to_owned();
        }
        self.working_on()
    }

    fn working_on(&self) -> String {
        if let Some(op) = self.state.unclear() {
            return if op.found().is_none() { "reading the platform to see what became of it" } else { "" }.to_owned();
        }
        if let Some(op) = self.verifying() {
            let seen = self.verify.as_ref().filter(|v| v.op == op.op).map_or("nothing yet", |v| v.seen.as_str());
            return format!("accepted, verifying: wanted {}, seen {seen}", op.action.wanted());
        }
        let Some((step, state)) = self.state.current().filter(|(_, s)| s.phase == StepPhase::Active) else { return String::new() };
        match &step.kind {
            StepKind::Check(_) => format!("checking: {}", step.title),
            StepKind::Wait { .. } => match state.bake.as_ref().and_then(|b| b.stopped.as_ref()) {
                Some(why) => format!("not counting: {why}"),
                None => "baking".to_owned(),
            },
            StepKind::Do(_) if !self.running() && self.state.way_back_is_free() => match &self.clock.trouble {
                Some(trouble) => format!("trying again soon: {trouble}"),
                None => "going back".to_owned(),
            },
            _ if self.state.operation.as_ref().is_some_and(|op| op.stage == OpStage::Intent) => "recording the answer".to_owned(),
            _ => String::new(),
        }
    }
}
