//! View 9: the journal, newest first, with what each entry rests on.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{cursor, window};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::domain::Outcome;
use crate::domain::text::clock;
use crate::domain::record::{Entry, verify_chain};
use crate::runbook::record::{Event, SendOutcome};

/// An entry told for people.
pub(super) struct Told {
    /// Who did it.
    pub(super) who: String,
    /// One word: `act`, `gate`, `mode`.
    pub(super) kind: &'static str,
    /// What.
    pub(super) text: String,
    /// How bad.
    pub(super) role: Role,
}

impl Told {
    /// Appends the text in its role.
    pub(super) fn onto(&self, line: Line) -> Line {
        match self.role {
            Role::Primary => line.text(&self.text),
            role => line.word(role, &self.text),
        }
    }
}

/// Tells an entry. `None` for what only the machine needs.
pub(super) fn tell(entry: &Entry) -> Option<Told> {
    let who = if entry.actor.id == "gonogo" { "auto".to_owned() } else { entry.actor.id.clone() };
    let (kind, text, role) = match entry.kind.as_str() {
        // The whole runbook is inside: not worth reading for one line.
        "run.started" => {
            let title = entry.body.pointer("/runbook/title").and_then(|t| t.as_str()).unwrap_or("a runbook");
            ("run", format!("run {} started: {title}", entry.run), Role::Primary)
        }
        _ => match Event::of(entry) {
            Ok(event) => say(&event)?,
            Err(_) => ("other", entry.kind.clone(), Role::Primary),
        },
    };
    Some(Told { who, kind, text, role })
}

fn say(event: &Event) -> Option<(&'static str, String, Role)> {
    let plain = |kind, text: String| Some((kind, text, Role::Primary));
    match event {
        Event::RunStarted { .. } => plain("run", "run started".into()),
        Event::RunResumed { epoch } => plain("run", format!("run resumed, epoch {epoch}")),
        Event::RunCompleted {} => plain("run", "run completed".into()),
        Event::RunRolledBack {} => plain("run", "backed out: the way back is done".into()),
        Event::RunRollbackStuck { why } => Some(("run", format!("the way back is STUCK: {why}"), Role::Bad)),
        Event::RunAborted { reason } => plain("run", format!("run aborted: {reason}")),
        Event::LeaseAcquired { epoch, taken_from } => {
            let from = taken_from.as_ref().map_or_else(String::new, |f| format!(" from {f}"));
            plain("seat", format!("took the driver's seat{from}, epoch {epoch}"))
        }
        Event::LeaseReleased {} => plain("seat", "left the driver's seat; the run holds".into()),
        Event::StepEntered { step, attempt } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            plain("step", format!("{step} entered{again}"))
        }
        Event::StepPassed { step, why } => plain("step", format!("{step} passed{}", because(why))),
        Event::StepFailed { step, why, inconclusive } => {
            let word = if *inconclusive { "INCONCLUSIVE" } else { "FAILED" };
            Some(("step", format!("{step} {word}{}", because(why)), Role::Bad))
        }
        Event::StepSkipped { step, why } => plain("step", format!("{step} skipped{}", because(why))),
        Event::StepUndone { step } => plain("step", format!("{step} undone")),
        Event::ItemAnswered { step, item, answer, ok } => {
            let word = if *ok { "" } else { " (NOT OK)" };
            plain("check", format!("{step} item {}: \"{answer}\"{word}", item + 1))
        }
        Event::GateAnswered { step, go, .. } => plain("gate", format!("{step}: {}", if *go { "GO" } else { "NO-GO" })),
        Event::CheckSample { condition, outcome, shown, .. } => plain("check", format!("{condition} {} {shown}", outcome_word(*outcome))),
        Event::GuardBreached { guard, shown } => Some(("guard", format!("{guard} is bad: {shown}"), Role::Watch)),
        Event::GuardCleared { guard } => plain("guard", format!("{guard} is good again")),
        Event::GuardTripped { guard, why, countdown } => {
            let then = if *countdown { "; backs out by itself" } else { "" };
            Some(("guard", format!("{guard} TRIPPED: {why}{then}"), Role::Bad))
        }
        Event::CountdownCancelled { guard } => plain("guard", format!("{guard}: automatic back-out stopped")),
        Event::WaitCounting { step, left_ms } => plain("bake", format!("{step} counts, {} left", clock_ms(*left_ms))),
        Event::WaitStopped { step, left_ms, why } => plain("bake", format!("{step} stopped with {} left: {why}", clock_ms(*left_ms))),
        Event::HoldBegan { reason, guard } => {
            let by = guard.as_ref().map_or_else(String::new, |g| format!(" by guard {g}"));
            plain("hold", format!("HELD{by}: {reason}"))
        }
        Event::HoldEnded {} => plain("hold", "hold released".into()),
        Event::ActionPlanned { .. } | Event::ActionReconciled { .. } | Event::ActionOutcome { .. } | Event::ActionIntent { .. } => act(event),
        Event::ActionConfirmed { typed, shown_ms, .. } => {
            plain("act", format!("confirmed: typed {typed}, prompt shown {:.1} s", *shown_ms as f64 / 1000.0))
        }
        Event::ActionReplanned { why, .. } => plain("act", format!("nothing sent, it changed under us: {why}")),
        Event::ActionVerified { weight, took_ms, .. } => {
            plain("act", format!("in force: canary {weight}%, after {:.1} s", *took_ms as f64 / 1000.0))
        }
        Event::TrafficObserved { agreed, shown } => {
            let role = if *agreed { Role::Primary } else { Role::Bad };
            Some(("act", format!("traffic {}: {shown}", if *agreed { "observed" } else { "NOT OBSERVED" }), role))
        }
        Event::RollbackBegan { why, automatic } => {
            let by = if *automatic { " by itself" } else { "" };
            plain("act", format!("back-out began{by}{}", because(why)))
        }
        Event::ChoiceMade { step, choice, reason } => {
            let reason = reason.as_ref().map_or_else(String::new, |r| format!(": \"{r}\""));
            plain("step", format!("{step}: {choice:?}{reason}"))
        }
        Event::ActionAdopted { reason, .. } => plain("act", format!("adopted what is there: \"{reason}\"")),
        Event::ModeChanged { armed_until: Some(until) } => plain("mode", format!("ARMED until {}", until.format("%H:%M:%SZ"))),
        Event::ModeChanged { armed_until: None } => plain("mode", "disarmed".into()),
        Event::ClockJumped { what } => plain("clock", what.clone()),
        Event::Note { text } => plain("memo", format!("\"{text}\"")),
    }
}

fn act(event: &Event) -> Option<(&'static str, String, Role)> {
    match event {
        Event::ActionPlanned { action, before, .. } => {
            let sum = before.canary + before.baseline + before.others;
            let from = if sum == 0 { "?".into() } else { super::sight::percent(f64::from(before.canary) * 100.0 / f64::from(sum)) };
            Some(("act", format!("planned and shown: canary {from} -> {}%", action.weight()), Role::Primary))
        }
        Event::ActionIntent { action, attempt, fence, .. } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            let what = if *fence { "fence".to_owned() } else { action.to_string() };
            Some(("act", format!("sent: {what}{again}"), Role::Primary))
        }
        Event::ActionOutcome { outcome, .. } => Some(match outcome {
            SendOutcome::Accepted { .. } => ("act", "accepted by the platform".into(), Role::Primary),
            SendOutcome::NotApplied { failure } => ("act", format!("certainly not applied: {failure}"), Role::Bad),
            SendOutcome::Unknown { failure } => ("act", format!("OUTCOME UNKNOWN: {failure}"), Role::Unknown),
        }),
        Event::ActionReconciled { found, why, .. } => {
            Some(("act", format!("read: {}{}", super::run::found_words(*found), because(why)), Role::Primary))
        }
        _ => None,
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn clock_ms(ms: u64) -> String {
    clock(std::time::Duration::from_millis(ms))
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Holding => "HOLDING",
        Outcome::Fail => "FAIL",
        Outcome::NoData => "NO DATA",
        Outcome::Stale => "STALE",
        Outcome::Error => "ERROR",
    }
}

/// Above so many entries only the links are checked on screen; `audit verify` checks everything.
const FULL_CHECK: usize = 300;

fn chain(entries: &[Entry]) -> Line {
    if entries.len() > FULL_CHECK {
        let linked = entries.windows(2).all(|pair| pair[1].prev == pair[0].hash && pair[1].seq == pair[0].seq + 1);
        return if linked { Line::of("links OK") } else { Line::default().word(Role::Bad, "CHAIN BROKEN") };
    }
    match verify_chain(entries) {
        Ok(()) => Line::default().mark(Role::Ok, "chain OK"),
        Err(why) => Line::default().word(Role::Bad, format!("CHAIN BROKEN: {why}")),
    }
}

/// Entries that are told and match the filter, newest first.
fn rows<'a>(sight: &Sight<'a>) -> Vec<(&'a Entry, Option<Told>)> {
    let Some(run) = sight.run() else { return Vec::new() };
    let filter = sight.model.screen.filter.to_lowercase();
    let newest_first = run.entries.iter().rev();
    if filter.is_empty() {
        // Told only where they are shown.
        return newest_first.map(|e| (e, None)).collect();
    }
    newest_first
        .filter_map(|entry| {
            let told = tell(entry)?;
            let text = format!("{} {} {} {}", told.who, told.kind, told.text, entry.kind).to_lowercase();
            let hit = filter.split_whitespace().all(|word| match word.strip_prefix('!') {
                Some(not) => !text.contains(not),
                None => text.contains(word),
            });
            hit.then_some((entry, Some(told)))
        })
        .collect()
}

/// View 9.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let Some(run) = sight.run() else {
        let mut panel = super::events::platform_panel(sight, body);
        panel.title = Line::of("TIMELINE  no run: what the platform said");
        return vec![panel.close()];
    };
    let rows = rows(sight);
    let ids: Vec<String> = rows.iter().map(|(e, _)| e.seq.to_string()).collect();
    let at = cursor(sight.model.selection(), ids.iter().map(String::as_str), rows.len());
    let has_details = sight.tier >= Tier::Medium || sight.model.selection().is_some_and(|s| s.details);
    let detail_rows = if has_details { (body.height * 4 / 10).max(6) } else { 0 };
    let list = body.take_top(body.height.saturating_sub(detail_rows));
    let filter = &sight.model.screen.filter;
    let filter = if filter.is_empty() { String::new() } else { format!("   filter: {filter}") };
    let mut panel = Panel::new(list, Line::of(format!("TIMELINE / AUDIT  newest first{filter}")), chain(&run.entries));
    panel.closed = detail_rows == 0;
    let (cells, room) = (panel.inner_width(), panel.inner_height());
    let from = window(at.place, rows.len(), room);
    let mut lines = Vec::new();
    for (i, (entry, told)) in rows.iter().enumerate().skip(from).take(room) {
        let fresh = if told.is_none() { tell(entry) } else { None };
        let Some(told) = told.as_ref().or(fresh.as_ref()) else { continue };
        let t = sight.t(entry.time.wall).unwrap_or_default();
        let line = Line::of(format!(" {}  {}{}{}", sight.time(entry.time.wall), pad(&t, 9), pad(&told.who, 7), pad(told.kind, 7)));
        let line = told.onto(line).fit(cells);
        lines.push(if i == at.place { mark_selected(sight, line, cells) } else { line });
    }
    if rows.is_empty() {
        lines.push(Line::of(if filter.is_empty() { " nothing is written yet" } else { " nothing matches the filter; Esc clears it" }));
    }
    let mut panels = vec![panel.with(lines)];
    if detail_rows > 0
        && let Some((entry, _)) = rows.get(at.place)
    {
        panels.push(detail(sight, entry, body));
    }
    panels
}

fn detail(sight: &Sight<'_>, entry: &Entry, area: Area) -> Panel {
    let title = format!("DETAIL entry {} {} {}", entry.seq, sight.time(entry.time.wall).trim_end(), entry.kind);
    let panel = Panel::new(area, Line::of(title), Line::default()).close();
    let cells = panel.inner_width();
    let wide = cells.saturating_sub(13);
    let short = |hash: &str| hash.get(..16).unwrap_or(hash).to_owned();
    let mut lines = vec![Line::of(format!(" who        {} ({}) from {}", entry.actor.id, entry.actor.strength, entry.actor.client))];
    if let Some(told) = tell(entry) {
        lines.extend(field("what", &told.text, wide));
    }
    if let Some(step) = &entry.step {
        lines.push(Line::of(format!(" step       {step}")));
    }
    lines.push(Line::of(format!(" epoch      {}   store time {}", entry.epoch, entry.time.store.format("%Y-%m-%dT%H:%M:%S%.3fZ"))));
    lines.push(Line::of(format!(" hash       prev {}..  this {}..", short(&entry.prev), short(&entry.hash))));
    if entry.kind != "run.started" {
        let room = panel.inner_height().saturating_sub(lines.len());
        lines.extend(field("record", &entry.body.to_string(), wide).into_iter().take(room));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn field(name: &str, text: &str, cells: usize) -> Vec<Line> {
    let text = crate::domain::text::clean_bounded(text, 2000);
    let parts = wrap(&text, cells, 12);
    parts.into_iter().enumerate().map(|(i, l)| Line::of(format!(" {:<10} {l}", if i == 0 { name } else { "" }))).collect()
}

/// The last row's text in this view.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let run = sight.run()?;
    let newest = run.entries.last()?;
    Some(format!("{} entries, newest {}   {} audit verify {}", run.entries.len(), sight.time(newest.time.wall).trim_end(), sight.command(), run.state.run))
}
