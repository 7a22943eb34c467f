//! `gonogo incident` and `gonogo note`: what people write into the journal from any terminal. Nothing here reaches the platform.

use super::args::{Deal, Global, Incident};
use super::exit::{Exit, Failed, Outcome};
use super::{acts, print_undo, runs, wire};
use crate::app::ScriptEnd;
use crate::domain::incident::{Due, Rules, Severity};
use crate::domain::record::{Draft, Entry};
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Clock, RunId, ServiceSpec};
use crate::port::{Append, AppendError, Journal, JournalError};
use crate::runbook::brief::{Sources, Told, brief};
use crate::runbook::incident::{IncidentState, LONGEST_TEXT, LONGEST_TITLE, own_record};
use crate::runbook::record::Event;
use crate::runbook::state::RunState;
use crate::runtime::incident::Search;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// Others may write in between, but seldom.
const ROUNDS: usize = 8;

/// Where incidents of a service are written.
struct Desk {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    spec: ServiceSpec,
    rules: Rules,
}

/// A run that was read.
struct Read {
    entries: Vec<Entry>,
    state: RunState,
}

impl Read {
    fn of(entries: Vec<Entry>) -> Result<Self, Failed> {
        let state = RunState::of(&entries).map_err(|e| Failed::new(Exit::Internal, e.to_string()))?;
        Ok(Self { entries, state })
    }

    fn told(&self) -> Told<'_> {
        Told { state: &self.state, entries: &self.entries }
    }

    fn incident(&self) -> Option<&IncidentState> {
        self.state.incident.as_ref().filter(|incident| incident.is_open())
    }
}

/// What is written, where, and what is said about it.
struct Letter {
    run: RunId,
    after: u64,
    drafts: Vec<Draft>,
    said: String,
}

impl Desk {
    async fn open(global: &Global, writes: bool) -> Result<Self, Failed> {
        if writes && (global.read_only || global.spectator) {
            return Err(Failed::new(Exit::Refused, "refused: --read-only and --spectator write nothing, not even a note"));
        }
        let config = wire::config(global, &wire::config_path(global)?)?;
        let clock = if writes { wire::clock(&config).await? } else { wire::clock_or_system(&config).await };
        let journal = wire::journal(&config, clock.clone(), None)?;
        let spec = wire::select(global, &config)?.spec.clone();
        Ok(Self { journal, clock, spec, rules: config.incident })
    }

    /// The run with the open incident.
    async fn incident(&self) -> Result<Option<Read>, Failed> {
        let found = Search::default().open(&*self.journal, &self.spec.key()).await.map_err(unreadable)?;
        found.map(Read::of).transpose()
    }

    async fn read(&self, run: RunId) -> Result<Read, Failed> {
        Read::of(self.journal.read(run, 0).await.map_err(unreadable)?)
    }

    /// The run that is not finished.
    async fn under_way(&self) -> Result<Option<Read>, Failed> {
        let heads = self.journal.runs(Some(self.spec.key())).await.map_err(unreadable)?;
        match heads.into_iter().find(|head| !head.finished()) {
            Some(head) => self.read(head.run).await.map(Some),
            None => Ok(None),
        }
    }

    /// Looks, decides and writes; again when somebody else wrote in between, because then something else may be right.
    async fn write<F>(&self, global: &Global, mut decide: impl FnMut() -> F) -> Outcome
    where
        F: Future<Output = Result<Letter, Failed>>,
    {
        for _ in 0..ROUNDS {
            let Letter { run, after, drafts, said } = decide().await?;
            let (actor, stamp) = (self.journal.whoami(), self.clock.now());
            match self.journal.append(Append { run: run.clone(), after, epoch: None, actor, stamp, drafts }).await {
                Ok(_) => return acts::finish(global, Some(Ok(ScriptEnd::Done(format!("{said} (run {run})"))))),
                Err(AppendError::Moved { .. }) => {}
                Err(e) => return Err(Failed::new(Exit::Internal, e.to_string())),
            }
        }
        Err(Failed::new(Exit::Internal, "the journal moves too fast to write into it: try again"))
    }

    /// Writes into the open incident what `decide` makes of it.
    async fn about(&self, global: &Global, decide: impl Fn(&IncidentState) -> Result<(Event, String), String>) -> Outcome {
        self.write(global, || async {
            let Some(found) = self.incident().await? else {
                return Err(refused("no incident is open: gonogo incident declare --severity P1 \"what is wrong\""));
            };
            let Some(incident) = found.incident() else { return Err(refused("no incident is open")) };
            let (event, said) = decide(incident).map_err(|why| refused(&why))?;
            Ok(letter(&found, &event, said))
        })
        .await
    }

    /// What is due once this is written, for the answer.
    fn due(&self, incident: &IncidentState) -> String {
        let clocks = incident.clocks(&self.rules, &self.clock.now(), &self.clock.boot_id());
        let mut parts = Vec::new();
        if let Some(update) = clocks.update {
            parts.push(format!("next update {}", update.words()));
        }
        if let Some((next, due)) = clocks.next.and_then(|next| next.due.map(|due| (next.who, due))) {
            parts.push(format!("{next} {}", due.words()));
        }
        parts.join(", ")
    }
}

fn letter(to: &Read, event: &Event, said: String) -> Letter {
    Letter { run: to.state.run.clone(), after: to.state.head, drafts: vec![event.draft()], said }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn unreadable(error: JournalError) -> Failed {
    Failed::new(Exit::Internal, error.to_string())
}

fn refused(why: &str) -> Failed {
    Failed::new(Exit::Refused, format!("refused: {why}"))
}

/// A text as people gave it: one line, bounded, and something.
fn text(given: &str, most: usize) -> Result<String, Failed> {
    let text = clean_bounded(given, most).trim().to_owned();
    if text.is_empty() { Err(Failed::new(Exit::Usage, "an empty text says nothing")) } else { Ok(text) }
}

/// `gonogo incident ...`
pub(super) async fn incident(global: &Global, args: &Incident) -> Outcome {
    match &args.deal {
        Deal::Declare { severity, title } => declare(global, *severity, title).await,
        Deal::Update { text: given } => {
            let text = text(given, LONGEST_TEXT)?;
            let desk = Desk::open(global, true).await?;
            let every = |incident: &IncidentState| desk.rules.update.get(&incident.severity).copied();
            desk.about(global, |incident| {
                let next = every(incident).map_or_else(String::new, |every| format!("; the next one is due in {}", span(every)));
                Ok((Event::IncidentUpdate { text: text.clone() }, format!("update written{next}")))
            })
            .await
        }
        Deal::Severity { severity } => {
            let desk = Desk::open(global, true).await?;
            let to = *severity;
            desk.about(global, |incident| {
                if incident.severity == to {
                    return Err(format!("it is {to} already"));
                }
                let mut then = incident.clone();
                then.severity = to;
                Ok((Event::IncidentSeverity { severity: to }, format!("{} -> {to}: {}", incident.severity, desk.due(&then))))
            })
            .await
        }
        Deal::Escalate => escalate(global).await,
        Deal::Resolve { text: given } => {
            let text = text(given, LONGEST_TEXT)?;
            let desk = Desk::open(global, true).await?;
            desk.about(global, |incident| {
                let lasted = incident.clocks(&desk.rules, &desk.clock.now(), &desk.clock.boot_id()).declared;
                let said = format!("{} resolved after {}", incident.severity, span(lasted));
                Ok((Event::IncidentResolved { text: text.clone() }, said))
            })
            .await
        }
        Deal::Status => status(global).await,
        Deal::Brief { run } => hand_over(global, run.as_deref()).await,
    }
}

/// In the run under way; without one in a record of its own, which takes no seat and stands in no release's way.
async fn declare(global: &Global, severity: Severity, title: &str) -> Outcome {
    let title = &text(title, LONGEST_TITLE)?;
    let desk = &Desk::open(global, true).await?;
    desk.write(global, || async move {
        if let Some(found) = desk.incident().await? {
            let what = found.incident().map_or_else(String::new, |i| format!("{} {}", i.severity, i.declared.text));
            let why = format!("an incident is open: {what}: write an update, change its severity, or resolve it first");
            return Err(refused(&why));
        }
        let declared = Event::IncidentDeclared { severity, title: title.clone() };
        let due =
            desk.rules.update.get(&severity).map_or_else(String::new, |every| format!("; the first update is due in {}", span(*every)));
        let said = format!("{severity} declared: {title}{due}");
        if let Some(run) = desk.under_way().await? {
            return Ok(letter(&run, &declared, said));
        }
        let run = desk.journal.new_run_id(desk.spec.key(), desk.clock.now().wall).await.map_err(unreadable)?;
        let drafts = own_record(&desk.spec, &desk.journal.whoami().id, severity, title);
        Ok(Letter { run, after: 0, drafts, said: format!("{said}; no release is under way, it has a record of its own") })
    })
    .await
}

async fn escalate(global: &Global) -> Outcome {
    let desk = Desk::open(global, true).await?;
    desk.about(global, |incident| {
        let next = incident.clocks(&desk.rules, &desk.clock.now(), &desk.clock.boot_id()).next;
        let Some(next) = next else { return Err(format!("nobody is left on the ladder above {}", incident.with(&desk.rules))) };
        let how = next.how.map_or_else(String::new, |how| format!(": {how}"));
        let event = Event::IncidentEscalated { rung: u32::try_from(next.place).unwrap_or(u32::MAX), to: next.who.clone() };
        Ok((event, format!("escalated to {}; this is only the record, call them yourself{how}", next.who)))
    })
    .await
}

/// `gonogo note`: into the run under way, else into the open incident.
pub(super) async fn note(global: &Global, given: &str) -> Outcome {
    let text = &text(given, LONGEST_TEXT)?;
    let desk = &Desk::open(global, true).await?;
    desk.write(global, || async move {
        let found = match desk.under_way().await? {
            Some(run) => Some(run),
            None => desk.incident().await?,
        };
        let Some(found) = found else {
            return Err(refused("no run is under way and no incident is open: there is no record to write a note into"));
        };
        Ok(letter(&found, &Event::Note { text: text.clone() }, "note written".to_owned()))
    })
    .await
}

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

async fn status(global: &Global) -> Outcome {
    let desk = Desk::open(global, false).await?;
    let found = desk.incident().await?;
    let Some((read, incident)) = found.as_ref().and_then(|read| Some((read, read.incident()?))) else {
        if global.json {
            super::print(&json!({ "schema": "gonogo.incident/v1", "incident": null }).to_string());
        } else {
            super::print("no incident is open");
        }
        return Ok(Exit::Done);
    };
    if global.json {
        super::print(&status_json(&desk, read, incident).to_string());
        return Ok(Exit::Done);
    }
    let clocks = incident.clocks(&desk.rules, &desk.clock.now(), &desk.clock.boot_id());
    let line = |name: &str, text: String| super::print(&format!("{name:<9} {text}"));
    line("incident", format!("{} {}", incident.severity, incident.declared.text));
    line("run", read.state.run.to_string());
    let at = incident.declared.when.at.format("%Y-%m-%d %H:%M:%SZ");
    line("declared", format!("{at} by {}, {} ago", incident.declared.by.id, span(clocks.declared)));
    let due = clocks.update.map_or_else(|| format!("none is due for {}", incident.severity), Due::words);
    let last = incident.update.as_ref().map_or_else(|| "none yet".to_owned(), |u| format!("{} by {}", u.text, u.by.id));
    line("update", format!("{due}; last {} ago: {last}", span(clocks.updated)));
    line("with", incident.with(&desk.rules));
    let next = clocks.next.map(|next| {
        let due = next.due.map_or_else(|| "not by the clock".to_owned(), Due::words);
        let how = next.how.map(|how| format!(" ({how})")).unwrap_or_default();
        format!("{} {due}{how}", next.who)
    });
    line("next", next.unwrap_or_else(|| "nobody is left on the ladder".to_owned()));
    if let Some(recovery) = read.state.recovery(desk.clock.now().wall) {
        let over = if recovery.is_over() { " OVER" } else { "" };
        let target = recovery.target.map_or_else(|| "no target".to_owned(), |t| format!("target {}", span(t)));
        line("rto", format!("{} of {target}{over}{}", span(recovery.taken), if recovery.done { ", verified" } else { "" }));
    }
    if let Some(backup) = read.state.last_backup() {
        line("rpo", format!("last backup {}", backup.shown));
    }
    Ok(Exit::Done)
}

/// Seconds are whole; what is overdue is negative.
fn status_json(desk: &Desk, read: &Read, incident: &IncidentState) -> Value {
    let now = desk.clock.now();
    let clocks = incident.clocks(&desk.rules, &now, &desk.clock.boot_id());
    let seconds = |due: Due| match due {
        Due::In(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        Due::Over(by) => i64::try_from(by.as_secs()).map_or(i64::MIN, |by| -by),
    };
    let due = |due: Option<Due>| due.map(|due| json!({ "in_seconds": seconds(due), "overdue": due.is_over() }));
    let recovery = read.state.recovery(now.wall).map(|r| {
        let target = r.target.map(|t| t.as_secs());
        json!({ "began": rfc(r.began), "seconds": r.taken.as_secs(), "verified": r.done, "target_seconds": target, "over": r.is_over() })
    });
    let backup = read.state.last_backup().map(|b| json!({ "shown": b.shown, "target_seconds": b.target.map(|t| t.as_secs()) }));
    json!({
        "schema": "gonogo.incident/v1",
        "at": rfc(now.wall),
        "incident": {
            "run": read.state.run,
            "own_record": read.state.is_own_record(),
            "severity": incident.severity,
            "title": incident.declared.text,
            "declared": { "at": rfc(incident.declared.when.at), "by": incident.declared.by.id, "seconds_ago": clocks.declared.as_secs() },
            "last_update": incident.update.as_ref().map(|u| json!({ "at": rfc(u.when.at), "by": u.by.id, "text": u.text })),
            "seconds_since_update": clocks.updated.as_secs(),
            "next_update": due(clocks.update),
            "with": incident.with(&desk.rules),
            "next_rung": clocks.next.map(|n| json!({ "who": n.who, "how": n.how, "due": due(n.due) })),
            "reached": incident.reached.iter().map(|r| json!({ "to": r.to, "at": rfc(r.when.at), "by": r.by.id })).collect::<Vec<_>>(),
            "rto": recovery,
            "rpo": backup,
        },
    })
}

/// `gonogo incident brief [RUN]`
async fn hand_over(global: &Global, named: Option<&str>) -> Outcome {
    let desk = Desk::open(global, false).await?;
    let incident = desk.incident().await?;
    let run = match (runs::release(&*desk.journal, &desk.spec.key(), named).await, named) {
        (Ok(run), _) => Some(desk.read(run).await?),
        (Err(failed), Some(_)) => return Err(failed),
        (Err(_), None) => None,
    };
    // Without an open one, the one that the run had.
    let incident = incident.as_ref().or(run.as_ref().filter(|run| run.state.incident.is_some()));
    let undo = print_undo::commands(global, run.as_ref().map(|run| &run.state)).await.map_err(|failed| failed.message);
    let by = desk.journal.whoami().id;
    let boot_id = desk.clock.boot_id();
    let text = brief(&Sources {
        place: format!("{} {} on {} ({})", desk.spec.mark(), desk.spec.name, desk.spec.platform, desk.spec.environment),
        run: run.as_ref().map(Read::told),
        incident: incident.map(Read::told),
        rules: &desk.rules,
        now: desk.clock.now(),
        boot_id: &boot_id,
        by: &by,
        undo,
    });
    if global.json {
        super::print(&json!({ "schema": "gonogo.brief/v1", "markdown": text }).to_string());
    } else {
        super::print(text.trim_end());
    }
    Ok(Exit::Done)
}
