//! Incidents: what the journal knows of one, and its clocks.
//!
//! Incidents belong to runs. Where none is under way, one is declared in a record of its own: a run without steps that is complete from
//! its first entries on, takes no seat and stands in nobody's way.

use super::fold::{runbook_hash, start_draft};
use super::plan::{Runbook, Target};
use super::record::Event;
use super::state::{Phase, RunState};
use crate::domain::incident::{Due, Rules, Severity};
use crate::domain::record::{Actor, Draft, Entry};
use crate::domain::time::age;
use crate::domain::{Outcome, ServiceSpec, Stamp};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Id of the runbook of a record that is about an incident alone.
pub const OWN_RECORD: &str = "incident";
/// A condition of a runbook with this id tells how old the last backup is.
pub const LAST_BACKUP: &str = "last-backup";
/// Longest title of an incident, in characters.
pub const LONGEST_TITLE: usize = 120;
/// Longest text of an update, in characters.
pub const LONGEST_TEXT: usize = 1000;

/// A moment as the journal dates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// By the store.
    pub at: DateTime<Utc>,
    /// By the writer's boot clock, which does not jump.
    pub boot: Duration,
    /// The boot that it counts from.
    pub boot_id: String,
}

impl Moment {
    fn of(entry: &Entry) -> Self {
        Self { at: entry.time.store, boot: Duration::from_millis(entry.time.boot), boot_id: entry.time.boot_id.clone() }
    }

    /// How long ago it was. On the same boot of the same machine a jump of the wall clock changes nothing.
    #[must_use]
    pub fn ago(&self, now: &Stamp, boot_id: &str) -> Duration {
        if self.boot_id == boot_id && !boot_id.is_empty() { now.boot.saturating_sub(self.boot) } else { age(now.wall, self.at) }
    }
}

/// Something that a person wrote about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub text: String,
    /// Who.
    pub by: Actor,
    /// When.
    pub when: Moment,
}

/// Somebody who was called in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Place in the ladder, from 0.
    pub rung: usize,
    /// Who was called.
    pub to: String,
    /// By whom.
    pub by: Actor,
    /// When.
    pub when: Moment,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentState {
    /// How bad it is now.
    pub severity: Severity,
    /// Its declaration, with the title.
    pub declared: Said,
    /// The latest update.
    pub update: Option<Said>,
    /// Who was called in, in order.
    pub reached: Vec<Reached>,
    /// How it ended.
    pub resolved: Option<Said>,
}

/// The clocks of an open incident, or of one that has ended at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clocks {
    /// Since it was declared.
    pub declared: Duration,
    /// Since those who wait were told something.
    pub updated: Duration,
    /// When the next update is due; absent where none ever is.
    pub update: Option<Due>,
    /// Who is called next; absent where nobody is left, or need not be called.
    pub next: Option<NextRung>,
}

/// The next rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextRung {
    /// Its place, from 0.
    pub place: usize,
    /// Who.
    pub who: String,
    /// How they are reached.
    pub how: Option<String>,
    /// When; absent where a severity does not climb by the clock.
    pub due: Option<Due>,
}

impl IncidentState {
    /// Whether it goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.resolved.is_none()
    }

    /// When those who wait were told something last.
    #[must_use]
    pub fn told(&self) -> &Moment {
        self.update.as_ref().map_or(&self.declared.when, |said| &said.when)
    }

    /// Its clocks at a moment. `boot_id` is the boot that the stamp belongs to.
    #[must_use]
    pub fn clocks(&self, rules: &Rules, now: &Stamp, boot_id: &str) -> Clocks {
        if let Some(end) = &self.resolved {
            let lasted = |from: &Moment| age(end.when.at, from.at);
            return Clocks { declared: lasted(&self.declared.when), updated: lasted(self.told()), update: None, next: None };
        }
        let declared = self.declared.when.ago(now, boot_id);
        let updated = self.told().ago(now, boot_id);
        let update = rules.update.get(&self.severity).map(|every| Due::of(updated, *every));
        let climbs = self.severity <= rules.escalate;
        let next = self.next_place(rules).and_then(|place| {
            let rung = rules.ladder.get(place)?;
            let due = climbs.then(|| Due::of(declared, rung.after));
            Some(NextRung { place, who: rung.who.clone(), how: rung.how.clone(), due })
        });
        Clocks { declared, updated, update, next }
    }

    /// The rung after the highest that was reached. Whoever stands at zero has it from the beginning.
    fn next_place(&self, rules: &Rules) -> Option<usize> {
        let called = self.reached.iter().map(|r| r.rung + 1).max().unwrap_or_default();
        let first = rules.ladder.iter().take_while(|rung| rung.after.is_zero()).count();
        Some(called.max(first)).filter(|place| *place < rules.ladder.len())
    }

    /// Who has it: who was called last, else the ladder's first.
    #[must_use]
    pub fn with(&self, rules: &Rules) -> String {
        let first = || rules.ladder.iter().rfind(|rung| rung.after.is_zero()).map(|rung| rung.who.clone());
        let last = self.reached.iter().max_by_key(|r| r.rung).map(|r| r.to.clone());
        last.or_else(first).unwrap_or_else(|| self.declared.by.id.clone())
    }
}

/// The state after one more entry about incidents.
pub(super) fn fold(state: &mut Option<IncidentState>, event: Event, entry: &Entry) {
    let said = |text: String| Said { text, by: entry.actor.clone(), when: Moment::of(entry) };
    let open = state.as_mut().filter(|incident| incident.is_open());
    match (event, open) {
        // The first declaration stands: its clock is the one that people count on.
        (Event::IncidentDeclared { severity, .. } | Event::IncidentSeverity { severity }, Some(incident)) => incident.severity = severity,
        (Event::IncidentDeclared { severity, title }, None) => {
            *state = Some(IncidentState { severity, declared: said(title), update: None, reached: Vec::new(), resolved: None });
        }
        (Event::IncidentUpdate { text }, Some(incident)) => incident.update = Some(said(text)),
        (Event::IncidentEscalated { rung, to }, Some(incident)) => {
            let rung = usize::try_from(rung).unwrap_or(usize::MAX - 1);
            incident.reached.push(Reached { rung, to, by: entry.actor.clone(), when: Moment::of(entry) });
        }
        (Event::IncidentResolved { text }, Some(incident)) => incident.resolved = Some(said(text)),
        // Two people resolved it at once, or one wrote while another resolved: it stays in the record.
        _ => {}
    }
}

/// Whether these entries of one run have an incident that goes on, told without folding all of it.
#[must_use]
pub fn is_open(entries: &[Entry]) -> bool {
    let last = entries.iter().rfind(|e| matches!(e.kind.as_str(), "incident.declared" | "incident.resolved"));
    last.is_some_and(|e| e.kind == "incident.declared")
}

/// The record of an incident that is declared while no run is under way: a run without steps, complete at once.
#[must_use]
pub fn own_record(spec: &ServiceSpec, operator: &str, severity: Severity, title: &str) -> Vec<Draft> {
    let runbook = Runbook::unwritten(OWN_RECORD.into(), "Incident".into(), operator.to_owned(), Target::of(spec), spec.route.way_back());
    let hash = runbook_hash(&runbook).unwrap_or_default();
    let declared = Event::IncidentDeclared { severity, title: title.to_owned() };
    vec![start_draft(&runbook, &hash, false, None, 0), declared.draft(), Event::RunCompleted {}.draft()]
}

/// How long the way back takes, against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The decision to go back: a person's, or the trip of the guard that made it.
    pub began: DateTime<Utc>,
    /// Until it was verified, or until now.
    pub taken: Duration,
    /// It is verified.
    pub done: bool,
    /// The target, where the runbook names one.
    pub target: Option<Duration>,
}

impl Recovery {
    /// Whether it takes, or took, longer than it may.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.target.is_some_and(|target| self.taken > target)
    }
}

/// The last backup, as a condition of the run found it, against how much may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its age, as it was shown.
    pub shown: String,
    /// Whether that was good.
    pub outcome: Outcome,
    /// How old it may be, where the runbook says so.
    pub target: Option<Duration>,
}

/// Recovery time and recovery point that a runbook aims at.
fn targets(_: &Runbook) -> (Option<Duration>, Option<Duration>) {
    (None, None)
}

impl RunState {
    /// The record is about an incident alone: nothing was released in it.
    #[must_use]
    pub fn is_own_record(&self) -> bool {
        self.runbook.id == OWN_RECORD && self.runbook.steps.is_empty()
    }

    /// The clock of the way back, once it was decided on.
    #[must_use]
    pub fn recovery(&self, now: DateTime<Utc>) -> Option<Recovery> {
        let (decided, _, automatic) = self.rollback_began.as_ref()?;
        let tripped = self.guards.iter().filter_map(|g| g.tripped.as_ref()).map(|(_, at)| *at).filter(|at| at <= decided).max();
        let began = tripped.filter(|_| *automatic).unwrap_or(*decided);
        let done = self.phase == Phase::RolledBack;
        let end = self.ended.filter(|_| self.phase.is_final()).unwrap_or(now);
        Some(Recovery { began, taken: age(end, began), done, target: targets(&self.runbook).0 })
    }

    /// What a condition named [`LAST_BACKUP`] said.
    #[must_use]
    pub fn last_backup(&self) -> Option<Backup> {
        let (outcome, shown) = self.steps.iter().rev().find_map(|step| step.conditions.get(LAST_BACKUP))?;
        Some(Backup { shown: shown.clone(), outcome: *outcome, target: targets(&self.runbook).1 })
    }
}

#[cfg(test)]
mod tests;
