//! The story of a run: one line for every event that means something to people.

use super::pin;
use super::plan::{Choice, Runbook, StepKind};
use super::record::{Event, Found, SendOutcome, SideResult};
use crate::domain::record::Entry;
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Action, OpId, Outcome, StepId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryLine {
    /// `seq` of the entry that ends it.
    pub seq: u64,
    /// Store time.
    pub at: DateTime<Utc>,
    /// Since the run began.
    pub t_plus: Duration,
    /// Who did it.
    pub who: String,
    /// What sort of line it is, for its mark.
    pub kind: StoryKind,
    /// The line.
    pub text: String,
}

/// Sorts of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoryKind {
    /// The run itself: started, resumed, ended.
    Run,
    /// Steps, checks, bakes.
    Step,
    /// A person decided or answered.
    Decision,
    /// Something was sent, or what became of it.
    Act,
    /// A guard.
    Guard,
    /// A hold began or ended.
    Hold,
    /// It went wrong, or is not clear.
    Trouble,
    /// A note.
    Note,
    /// An incident: declared, reported on, escalated, resolved.
    Incident,
    /// An alert began or ended. Told by its source, not by the journal.
    Alert,
}

impl StoryKind {
    /// The word on screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Step => "step",
            Self::Decision => "person",
            Self::Act => "act",
            Self::Guard => "guard",
            Self::Hold => "hold",
            Self::Trouble => "trouble",
            Self::Note => "note",
            Self::Incident => "incident",
            Self::Alert => "alert",
        }
    }
}

/// The story of these entries, which begin with the run's first. Entries that cannot be read are told as such: a story is never cut short.
#[must_use]
pub fn story(entries: &[Entry]) -> Vec<StoryLine> {
    tell_all(entries.first(), entries)
}

/// The last `most` lines or so of the story, told from the newest entries alone: for screens that are drawn again and again.
#[must_use]
pub fn latest(entries: &[Entry], most: usize) -> Vec<StoryLine> {
    // Several entries make one line; more than these are not worth reading for a few lines.
    const ENTRIES_PER_LINE: usize = 6;
    let from = entries.len().saturating_sub(most.saturating_mul(ENTRIES_PER_LINE));
    let mut lines = match entries.split_first() {
        Some((first, rest)) if from > 0 => {
            let newest = rest.get(from - 1..).unwrap_or_default();
            tell_all(Some(first), std::iter::once(first).chain(newest))
        }
        _ => story(entries),
    };
    lines.drain(..lines.len().saturating_sub(most));
    lines
}

fn tell_all<'a>(first: Option<&Entry>, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<StoryLine> {
    let mut teller = Teller::default();
    let started = first.map(|e| e.time.store);
    let mut lines = Vec::new();
    for entry in entries {
        let told = match Event::of(entry) {
            Ok(event) => teller.tell(event),
            Err(why) => Some((StoryKind::Trouble, format!("cannot be read: {why}"))),
        };
        if let Some((kind, text)) = told {
            lines.push(StoryLine {
                seq: entry.seq,
                at: entry.time.store,
                t_plus: started.and_then(|s| (entry.time.store - s).to_std().ok()).unwrap_or_default(),
                who: clean_bounded(&entry.actor.id, 40),
                kind,
                text: clean_bounded(&text, 300),
            });
        }
    }
    lines
}

/// What has to be remembered from earlier entries to tell the later ones.
#[derive(Default)]
struct Teller {
    titles: BTreeMap<StepId, String>,
    quiet: BTreeSet<StepId>,
    typed: BTreeMap<OpId, String>,
    plans: BTreeMap<OpId, (Action, String)>,
    fences: BTreeSet<OpId>,
    counting: BTreeSet<StepId>,
    good: BTreeSet<(StepId, String)>,
    turned_back: bool,
    sides: BTreeMap<OpId, String>,
}

type Told = Option<(StoryKind, String)>;

impl Teller {
    fn learn(&mut self, runbook: &Runbook) {
        for step in runbook.steps.iter().chain(&runbook.rollback.steps).chain(&runbook.finally) {
            self.titles.insert(step.id.clone(), step.title.clone());
            if matches!(step.kind, StepKind::Do(_)) {
                self.quiet.insert(step.id.clone());
            }
        }
    }

    fn title(&self, step: &StepId) -> String {
        self.titles.get(step).filter(|t| !t.is_empty()).map_or_else(|| step.to_string(), Clone::clone)
    }

    fn tell_side(&self, op: &OpId, outcome: SideResult) -> (StoryKind, String) {
        let what = self.sides.get(op).map_or("an act beside the release", String::as_str);
        match outcome {
            SideResult::Applied { found: false, .. } => (StoryKind::Act, format!("done: {what}")),
            SideResult::Applied { found: true, .. } => (StoryKind::Act, format!("done, as was found by reading: {what}")),
            SideResult::NotApplied { why } => (StoryKind::Trouble, format!("not done: {what}: {why}")),
            SideResult::Unknown { why } => (StoryKind::Trouble, format!("nobody knows yet: {what}: {why}")),
        }
    }

    fn tell(&mut self, event: Event) -> Told {
        match event {
            Event::RunStarted { runbook, auto_back_out, target, signature, .. } => {
                let mut what = String::from("run started");
                if let Ok(runbook) = pin::from_journal(&runbook) {
                    self.learn(&runbook);
                    what = format!("run started: {} {}", runbook.id, runbook.version);
                }
                let signature = signature.map(|signature| format!("; {signature}")).unwrap_or_default();
                let on = format!("{what} on {}/{} ({}){signature}", target.platform, target.service, target.environment);
                Some((StoryKind::Run, if auto_back_out { format!("{on}; guards may back out by themselves") } else { on }))
            }
            Event::RunResumed { .. } => Some((StoryKind::Run, "run resumed".into())),
            Event::RunCompleted {} => Some((StoryKind::Run, "run completed".into())),
            Event::RunRolledBack {} => Some((StoryKind::Run, "run backed out".into())),
            Event::RunRollbackStuck { why } => Some((StoryKind::Trouble, format!("the way back is stuck: {why}"))),
            Event::RunAborted { reason } => Some((StoryKind::Run, format!("run aborted: {reason}"))),
            Event::LeaseAcquired { epoch, taken_from } => {
                let from = taken_from.map(|f| format!(", taken over from {f}")).unwrap_or_default();
                Some((StoryKind::Run, format!("took the driver's seat (epoch {epoch}){from}")))
            }
            Event::LeaseReleased {} => Some((StoryKind::Run, "left the driver's seat; the run holds unattended".into())),
            Event::HoldBegan { reason, guard: None } => Some((StoryKind::Hold, format!("hold: {reason}"))),
            Event::HoldBegan { reason, guard: Some(_) } => Some((StoryKind::Hold, format!("hold by a guard: {reason}"))),
            Event::HoldEnded {} => Some((StoryKind::Hold, "hold released".into())),
            Event::RollbackBegan { why, automatic } => {
                self.turned_back = true;
                let by = if automatic { "backing out by itself" } else { "backing out" };
                Some((StoryKind::Decision, format!("{by}: {why}")))
            }
            Event::TrafficObserved { agreed, shown } => {
                let (kind, what) =
                    if agreed { (StoryKind::Act, "traffic followed") } else { (StoryKind::Trouble, "traffic did not follow") };
                Some((kind, format!("{what}: {shown}")))
            }
            Event::LandingProved { .. } => landing(&event).map(|text| (StoryKind::Act, text)),
            Event::LandingMissing { .. } => landing(&event).map(|text| (StoryKind::Trouble, text)),
            Event::HarmExceeded { excess, budget } => {
                Some((StoryKind::Guard, format!("harm: {} spend the budget of {budget}", excess.words())))
            }
            Event::ModeChanged { armed_until: Some(until) } => {
                Some((StoryKind::Decision, format!("armed until {}Z", until.format("%H:%M:%S"))))
            }
            Event::ModeChanged { armed_until: None } => Some((StoryKind::Decision, "disarmed".into())),
            Event::ClockJumped { what } => Some((StoryKind::Trouble, format!("the clock jumped: {what}"))),
            Event::SideIntent { op, what } => {
                self.sides.insert(op, what.describe());
                Some((StoryKind::Decision, what.describe()))
            }
            Event::SideOutcome { op, outcome } => Some(self.tell_side(&op, outcome)),
            Event::Note { text } => Some((StoryKind::Note, format!("note: {text}"))),
            Event::IncidentDeclared { severity, title } => Some((StoryKind::Incident, format!("incident {severity} declared: {title}"))),
            Event::IncidentSeverity { severity } => Some((StoryKind::Incident, format!("incident is {severity} now"))),
            Event::IncidentUpdate { text } => Some((StoryKind::Incident, format!("update: {text}"))),
            Event::IncidentEscalated { to, .. } => Some((StoryKind::Incident, format!("escalated to {to}"))),
            Event::IncidentResolved { text } => Some((StoryKind::Incident, format!("incident resolved: {text}"))),
            Event::GuardBreached { guard, shown } => Some((StoryKind::Guard, format!("guard {guard} is bad: {shown}"))),
            Event::GuardCleared { guard } => Some((StoryKind::Guard, format!("guard {guard} is good again"))),
            Event::GuardTripped { why, countdown, .. } => {
                let then = if countdown { "; backing out by itself unless held" } else { "" };
                Some((StoryKind::Guard, format!("tripped: {why}{then}")))
            }
            Event::CountdownCancelled { guard } => Some((StoryKind::Guard, format!("the back-out by guard {guard} was stopped"))),
            Event::PreconditionFound { precondition, outcome, shown, .. } => {
                let kind = if outcome == Outcome::Pass { StoryKind::Step } else { StoryKind::Trouble };
                Some((kind, format!("precondition {precondition}: {} {shown}", word(outcome))))
            }
            Event::PreconditionsMet { shown } => Some((StoryKind::Step, format!("preconditions met: {shown}"))),
            Event::RunRecycled { to, reason } => Some((StoryKind::Decision, format!("back to {}: {reason}", self.title(&to)))),
            Event::WindowOverridden { reason } => Some((StoryKind::Decision, format!("the release window was set aside: {reason}"))),
            agreed @ (Event::GateOpened { .. }
            | Event::GateVoted { .. }
            | Event::GateSignature { .. }
            | Event::GateReopened { .. }
            | Event::ItemExpired { .. }
            | Event::ItemSeen { .. }
            | Event::WaitShortened { .. }
            | Event::StepRetried { .. }) => self.tell_people(agreed),
            step @ (Event::StepEntered { .. }
            | Event::StepPassed { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepUndone { .. }
            | Event::ItemAnswered { .. }
            | Event::GateAnswered { .. }
            | Event::ChoiceMade { .. }
            | Event::CheckSample { .. }
            | Event::WaitCounting { .. }
            | Event::WaitStopped { .. }) => self.tell_step(step),
            act => self.tell_act(act),
        }
    }

    /// What people say together, and what happens to what they said.
    fn tell_people(&self, event: Event) -> Told {
        match event {
            Event::GateOpened { step, plan_hash, shown, .. } => {
                let code = plan_hash.get(..8).unwrap_or_default();
                Some((StoryKind::Step, format!("{}: to agree on {shown} (code {code})", self.title(&step))))
            }
            Event::GateVoted { step, role, vote, reason, .. } => {
                let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
                Some((StoryKind::Decision, format!("{}: {} for {role}{reason}", self.title(&step), vote.word())))
            }
            Event::GateSignature { step, key: Some(key), .. } => {
                Some((StoryKind::Decision, format!("{}: signature good, {key}", self.title(&step))))
            }
            Event::GateSignature { step, why, .. } => {
                Some((StoryKind::Trouble, format!("{}: a signature does not count: {}", self.title(&step), why.unwrap_or_default())))
            }
            Event::GateReopened { step, why } => Some((StoryKind::Trouble, format!("{}: asked again, {why}", self.title(&step)))),
            Event::ItemExpired { step, item } => {
                Some((StoryKind::Trouble, format!("{} item {}: its answer is too old", self.title(&step), item + 1)))
            }
            Event::ItemSeen { step, item, outcome, shown, .. } => {
                let kind = if matches!(outcome, Outcome::Pass | Outcome::Holding) { StoryKind::Step } else { StoryKind::Trouble };
                Some((kind, format!("{} item {}: {} {shown}", self.title(&step), item + 1, word(outcome))))
            }
            Event::WaitShortened { step, reason, left_ms } => {
                let left = span(Duration::from_millis(left_ms));
                Some((StoryKind::Decision, format!("{}: ended with {left} left: {reason}", self.title(&step))))
            }
            Event::StepRetried { step, nth } => Some((StoryKind::Step, format!("{}: tried again by itself ({nth})", self.title(&step)))),
            _ => None,
        }
    }

    fn tell_step(&mut self, event: Event) -> Told {
        match event {
            Event::StepEntered { step, attempt } => {
                self.counting.remove(&step);
                let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                (!self.quiet.contains(&step) || attempt > 1).then(|| (StoryKind::Step, format!("{}{again}", self.title(&step))))
            }
            // An act tells its own end; only one without a write says so here.
            Event::StepPassed { step, why } if self.quiet.contains(&step) && why.starts_with("the platform is at") => None,
            Event::StepPassed { step, why } => Some((StoryKind::Step, format!("{}: passed, {why}", self.title(&step)))),
            Event::StepFailed { step, why, inconclusive } => {
                let word = if inconclusive { "inconclusive" } else { "failed" };
                Some((StoryKind::Trouble, format!("{}: {word}, {why}", self.title(&step))))
            }
            Event::StepSkipped { step, why } => Some((StoryKind::Step, format!("{}: skipped, {why}", self.title(&step)))),
            Event::StepUndone { step } => Some((StoryKind::Step, format!("{}: taken back", self.title(&step)))),
            Event::ItemAnswered { step, item, answer, ok } => {
                let verdict = if ok { "" } else { " (not what is needed)" };
                Some((StoryKind::Decision, format!("{} item {}: {answer}{verdict}", self.title(&step), item + 1)))
            }
            Event::GateAnswered { step, go, evidence } => {
                Some((StoryKind::Decision, format!("{}: {} on {evidence}", self.title(&step), if go { "GO" } else { "NO-GO" })))
            }
            Event::ChoiceMade { step, choice, reason } => {
                let word = match choice {
                    Choice::Retry => "retry",
                    Choice::Skip => "skip",
                    Choice::BackOut => "back out",
                    Choice::Abort => "abort",
                };
                let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
                Some((StoryKind::Decision, format!("{}: {word}{reason}", self.title(&step))))
            }
            Event::CheckSample { step, condition, outcome, shown, .. } => {
                let key = (step.clone(), condition.clone());
                // Good and bad are news; on the way to good, and good again and again, are not.
                let news =
                    if outcome == Outcome::Pass { self.good.insert(key) } else { self.good.remove(&key) || outcome == Outcome::Fail };
                let kind = if outcome == Outcome::Pass { StoryKind::Step } else { StoryKind::Trouble };
                news.then(|| (kind, format!("{} {condition}: {} {shown}", self.title(&step), word(outcome))))
            }
            Event::WaitCounting { step, left_ms } => {
                let left = span(Duration::from_millis(left_ms));
                self.counting.insert(step.clone()).then(|| (StoryKind::Step, format!("{}: counting, {left} left", self.title(&step))))
            }
            Event::WaitStopped { step, left_ms, why } => {
                self.counting.remove(&step);
                let left = span(Duration::from_millis(left_ms));
                Some((StoryKind::Step, format!("{}: stopped counting with {left} left, {why}", self.title(&step))))
            }
            _ => None,
        }
    }

    fn tell_act(&mut self, event: Event) -> Told {
        match event {
            Event::ActionPlanned { op, action, shown, .. } => {
                self.quiet.insert(step_of(&op));
                self.plans.insert(op, (action, shown));
                None
            }
            Event::ActionConfirmed { op, typed, .. } => {
                self.typed.insert(op, typed);
                None
            }
            Event::ActionReplanned { why, .. } => Some((StoryKind::Act, format!("nothing was sent: {why}"))),
            Event::ActionIntent { op, fence, epoch, .. } => {
                if fence {
                    self.fences.insert(op);
                    return Some((StoryKind::Act, format!("fence: epoch {epoch} onto the object")));
                }
                None
            }
            Event::ActionOutcome { op, outcome } => self.tell_outcome(&op, &outcome),
            Event::ActionReconciled { found, why, .. } => {
                let kind = if matches!(found, Found::Applied | Found::Never) { StoryKind::Act } else { StoryKind::Trouble };
                Some((kind, why))
            }
            Event::ActionVerified { op, took_ms, .. } => {
                Some((StoryKind::Act, format!("{}, verified in {}", self.what(&op), seconds(took_ms))))
            }
            Event::ActionAdopted { weight, reason, .. } => {
                let at = weight.map(|w| format!(" at {w}%")).unwrap_or_default();
                Some((StoryKind::Decision, format!("adopted what is there{at}: {reason}")))
            }
            _ => None,
        }
    }

    fn tell_outcome(&self, op: &OpId, outcome: &SendOutcome) -> Told {
        let fence = self.fences.contains(op);
        let what = if fence { "fence".to_owned() } else { self.what(op) };
        match outcome {
            SendOutcome::Accepted { .. } => fence.then(|| (StoryKind::Act, "fence accepted".into())),
            SendOutcome::NotApplied { failure } => Some((StoryKind::Trouble, format!("{what}: not applied, {failure}"))),
            SendOutcome::Unknown { failure } => Some((StoryKind::Trouble, format!("{what}: {failure}"))),
        }
    }

    /// `promote 25% -> 50%, typed 50`.
    fn what(&self, op: &OpId) -> String {
        let verb = if self.turned_back { "back out" } else { "promote" };
        let Some((action, from)) = self.plans.get(op) else { return op.to_string() };
        let typed = self.typed.get(op).map(|t| format!(", typed {t}")).unwrap_or_default();
        match action {
            Action::SetWeight { canary } => format!("{verb} {from} -> {canary}%{typed}"),
            other => format!("{other}, was {from}{typed}"),
        }
    }
}

/// What became of a landing: `landed in 14.0 s: seen 0.0% of 4120 requests; impact 14:02:10-14:06:45Z, 312 excess errors (+-40)`.
#[must_use]
pub fn landing(event: &Event) -> Option<String> {
    match event {
        Event::LandingProved { took_ms, shown, errors_unknown, impact, .. } => {
            let errors = errors_unknown.as_ref().map(|why| format!("; errors not known: {why}")).unwrap_or_default();
            let impact = impact.as_ref().map(|i| format!("; {}", i.words())).unwrap_or_default();
            Some(format!("landed in {}: {shown}{errors}{impact}", seconds(*took_ms)))
        }
        Event::LandingMissing { after_ms, why, next, .. } => Some(format!("not landed after {}: {why}; {next}", seconds(*after_ms))),
        _ => None,
    }
}

fn step_of(op: &OpId) -> StepId {
    let mut parts = op.as_str().rsplitn(3, '/');
    StepId::from(parts.nth(1).unwrap_or_default())
}

fn seconds(ms: u64) -> String {
    let d = TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX));
    if ms < 60_000 { format!("{}.{} s", d.num_seconds(), d.subsec_nanos() / 100_000_000) } else { span(Duration::from_millis(ms)) }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Holding => "holding",
        Outcome::Fail => "bad",
        Outcome::NoData => "no data",
        Outcome::Stale => "stale",
        Outcome::Error => "cannot be asked",
    }
}
