//! The brief for whoever takes over: what the journal knows, as Markdown. It is a view of the record and says so; it guesses nothing.

use super::incident::{Clocks, IncidentState};
use super::plan::{Choice, StepKind};
use super::record::Event;
use super::side::open_acts;
use super::state::{Phase, Question, RunState};
use super::story::{StoryKind, StoryLine, story};
use crate::domain::incident::{Due, Rules};
use crate::domain::record::Entry;
use crate::domain::text::{clean_bounded, span};
use crate::domain::{Stamp, StepId};
use chrono::{DateTime, Utc};

/// Lines of one section; the record has the rest.
const MOST: usize = 30;

/// A run with its journal.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Folded.
    pub state: &'a RunState,
    /// Its journal.
    pub entries: &'a [Entry],
}

/// What a brief is made from.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// `checkout on prod-eu (production)`.
    pub place: String,
    /// The release: the run under way, else the latest one.
    pub run: Option<Told<'a>>,
    /// The run with the incident; may be the same.
    pub incident: Option<Told<'a>>,
    /// What the configuration says about incidents.
    pub rules: &'a Rules,
    /// When it is written.
    pub now: Stamp,
    /// The boot that the stamp belongs to.
    pub boot_id: &'a str,
    /// Who writes it.
    pub by: &'a str,
    /// Commands that lead back by hand, or why they are not known.
    pub undo: Result<Vec<String>, String>,
}

/// The brief.
#[must_use]
pub fn brief(from: &Sources<'_>) -> String {
    let incident = from.incident.and_then(|told| told.state.incident.as_ref());
    let mut text = Text::default();
    match incident {
        Some(incident) => text.line(&format!("# Hand-over: {} {}", incident.severity, incident.declared.text)),
        None => text.line("# Hand-over: no incident is declared"),
    }
    text.gap();
    text.line(&format!(
        "{}. Written {} by {} from the journal, nothing else.",
        from.place,
        from.now.wall.format("%Y-%m-%d %H:%M:%SZ"),
        from.by
    ));
    text.head("Now");
    match incident {
        Some(incident) => incident_lines(&mut text, from, incident),
        None => text.item("no incident"),
    }
    match from.run {
        Some(told) => run_lines(&mut text, from, told),
        None => text.item("no run: nothing is being released, as far as this journal knows"),
    }
    questions(&mut text, from);
    guards(&mut text, from);
    let lines = lines(from);
    let acts = |kind| matches!(kind, StoryKind::Run | StoryKind::Act | StoryKind::Decision | StoryKind::Hold | StoryKind::Trouble);
    section(&mut text, from, "Acts and decisions", &lines, acts);
    section(&mut text, from, "Updates and notes", &lines, |kind| matches!(kind, StoryKind::Incident | StoryKind::Note));
    by_hand(&mut text, from);
    text.0
}

fn incident_lines(text: &mut Text, from: &Sources<'_>, incident: &IncidentState) {
    let Clocks { declared, updated, update, next } = incident.clocks(from.rules, &from.now, from.boot_id);
    let (by, at) = (&incident.declared.by.id, from.time(incident.declared.when.at));
    if let Some(end) = &incident.resolved {
        text.item(&format!("{} declared {at} by {by}", incident.severity));
        return text.item(&format!("RESOLVED {} by {} after {}: {}", from.time(end.when.at), end.by.id, span(declared), end.text));
    }
    text.item(&format!("{} declared {at} by {by}, {} ago; with: {}", incident.severity, span(declared), incident.with(from.rules)));
    match &incident.update {
        Some(said) => {
            text.item(&format!("last update {} by {}, {} ago: {}", from.time(said.when.at), said.by.id, span(updated), said.text));
        }
        None => text.item("no update since the declaration"),
    }
    match update {
        Some(due) => text.item(&format!("next update: {}", due.words())),
        None => text.item(&format!("next update: none is due for {}", incident.severity)),
    }
    match next {
        Some(next) => {
            let due = next.due.map_or_else(|| format!("not by the clock for {}", incident.severity), Due::words);
            let how = next.how.map(|how| format!(" ({how})")).unwrap_or_default();
            text.item(&format!("next escalation: {}{how}: {due}", next.who));
        }
        None => text.item("next escalation: nobody is left on the ladder"),
    }
}

fn run_lines(text: &mut Text, from: &Sources<'_>, told: Told<'_>) {
    let state = told.state;
    let total = state.runbook.steps.len();
    let place = state.current().map_or_else(String::new, |(step, _)| match state.runbook.position(&step.id) {
        Some(i) => format!(", step {} of {total}: {}", i + 1, step.title),
        None => format!(", on the way back: {}", step.title),
    });
    text.item(&format!("run {} ({} {}): {}{place}", state.run, state.runbook.id, state.runbook.version, state.phase.word()));
    if let Some(why) = &state.end_reason {
        text.item(&format!("because: {why}"));
    }
    let left = if state.released { "left the seat" } else { "has or had the seat" };
    text.item(&format!("{} {left}, last heard of {}", state.driver.id, from.time(state.driver_at)));
    if let Some(hold) = &state.hold {
        text.item(&format!("HELD since {} by {}: {}", from.time(hold.since), hold.guard.as_ref().unwrap_or(&hold.by.id), hold.reason));
    }
    text.item(&weights(state));
    match told.entries.iter().rev().find_map(evidence) {
        Some((at, words)) => text.item(&format!("verdict as recorded {}: {words}", from.time(at))),
        None => text.item("verdict: none is recorded; gonogo status tells it as it is now"),
    }
    if let Some(landing) = &state.landing {
        text.item(&format!("last act: {}", landing.text));
    }
    if let Some(recovery) = state.recovery(from.now.wall) {
        let word = if recovery.done { "took" } else { "takes so far" };
        let target = recovery.target.map_or_else(|| "no target is set".to_owned(), |t| format!("target {}", span(t)));
        let over = if recovery.is_over() { ", OVER" } else { "" };
        text.item(&format!("the way back (RTO) {word} {} since {}: {target}{over}", span(recovery.taken), from.time(recovery.began)));
    }
    if let Some(backup) = state.last_backup() {
        let target = backup.target.map(|t| format!(", at most {} may be lost", span(t))).unwrap_or_default();
        text.item(&format!("last backup (RPO): {}{target}", backup.shown));
    }
}

/// Asked for and seen, as recorded: what is there now only the platform knows.
fn weights(state: &RunState) -> String {
    let asked = state.intended.map_or_else(|| "nothing was asked for".to_owned(), |w| format!("{w} % asked for"));
    let start = state.configured_at_start.map(|w| format!(", {w} % at the start")).unwrap_or_default();
    let seen = state.landed.as_ref().map(|(agreed, shown)| {
        let word = if *agreed { "traffic followed" } else { "TRAFFIC DID NOT FOLLOW" };
        format!(", {word}: {shown}")
    });
    format!("canary weight as recorded: {asked}{start}{}", seen.unwrap_or_default())
}

/// Verdict and reasons, as they stood when somebody decided.
fn evidence(entry: &Entry) -> Option<(DateTime<Utc>, String)> {
    let (Event::ActionConfirmed { evidence: words, .. } | Event::GateAnswered { evidence: words, .. }) = Event::of(entry).ok()? else {
        return None;
    };
    (!words.is_empty()).then_some((entry.time.store, words))
}

fn questions(text: &mut Text, from: &Sources<'_>) {
    text.head("Open questions");
    let mut any = false;
    if let Some(told) = from.run {
        let state = told.state;
        if let Some(question) = state.question() {
            text.item(&asked(state, &question));
            any = true;
        }
        if state.phase == Phase::RollbackStuck {
            text.item("the way back is stuck: people have to finish it");
            any = true;
        }
        if let Some(op) = state.unclear().filter(|_| state.question().is_none()) {
            text.item(&format!("{}: sent, and its outcome is not known; it is not sent again", op.action));
            any = true;
        }
        if let Some(landing) = state.landing.as_ref().filter(|l| l.took.is_none()) {
            text.item(&landing.text);
            any = true;
        }
        for act in open_acts(told.entries) {
            text.item(&format!("{}: intended {}, outcome not recorded", act.what.describe(), from.time(act.since)));
            any = true;
        }
    }
    if !any {
        text.item("none that the record knows of");
    }
}

fn asked(state: &RunState, question: &Question) -> String {
    let title = |id: &StepId| state.current().filter(|(s, _)| s.id == *id).map_or_else(|| id.to_string(), |(s, _)| s.title.clone());
    match question {
        Question::Act { step, action } => format!("{} waits for a person: {action}", title(step)),
        Question::Gate { step } => format!("{} waits for a decision", title(step)),
        Question::Agree { step } => format!("{} waits for several people to agree", title(step)),
        Question::Preconditions { bad } => format!("nothing begins before its preconditions hold: {}", bad.join("; ")),
        Question::Items { step, open } => {
            let items =
                state.runbook.step(step).and_then(|s| if let StepKind::Manual(manual) = &s.kind { Some(&manual.items) } else { None });
            let names: Vec<&str> = open.iter().filter_map(|i| items?.get(*i)).map(|item| item.challenge.as_str()).collect();
            format!("{}: {} items are open: {}", title(step), open.len(), names.join("; "))
        }
        Question::Failed { step, why, offer } => {
            let words: Vec<&str> = offer.iter().map(|choice| word(*choice)).collect();
            format!("{} FAILED: {why}; to be decided: {}", title(step), words.join(", "))
        }
        Question::Unclear { op, why, .. } => {
            let why = why.trim_start_matches("outcome unknown: ");
            format!("operation {op}: OUTCOME UNKNOWN: {why}; it is not sent again")
        }
    }
}

fn word(choice: Choice) -> &'static str {
    match choice {
        Choice::Retry => "retry",
        Choice::Skip => "skip",
        Choice::BackOut => "back out",
        Choice::Abort => "abort",
    }
}

fn guards(text: &mut Text, from: &Sources<'_>) {
    let Some(told) = from.run else { return };
    text.head("Guards that tripped");
    let mut any = false;
    for (guard, known) in told.state.runbook.guards.iter().zip(&told.state.guards) {
        if let Some((why, at)) = &known.tripped {
            let now = if known.standing { "still bad" } else { "good again" };
            text.item(&format!("{} {}: {why} ({now})", from.time(*at), guard.id));
            any = true;
        }
    }
    if !any {
        text.item("none");
    }
}

/// The story of both journals, in the order of time.
fn lines(from: &Sources<'_>) -> Vec<StoryLine> {
    let mut all = from.run.map(|told| story(told.entries)).unwrap_or_default();
    if let Some(told) = from.incident.filter(|told| from.run.is_none_or(|run| run.state.run != told.state.run)) {
        let own = told.state.is_own_record();
        all.extend(story(told.entries).into_iter().filter(|line| !own || line.kind != StoryKind::Run));
    }
    all.sort_by_key(|line| line.at);
    all
}

fn section(text: &mut Text, from: &Sources<'_>, title: &str, lines: &[StoryLine], is_in: impl Fn(StoryKind) -> bool) {
    text.head(title);
    let lines: Vec<&StoryLine> = lines.iter().filter(|line| is_in(line.kind)).collect();
    let skipped = lines.len().saturating_sub(MOST);
    if skipped > 0 {
        text.item(&format!("{skipped} earlier ones: gonogo show tells them"));
    }
    for line in &lines[skipped..] {
        text.item(&format!("{} {}: {}", from.time(line.at), line.who, line.text));
    }
    if lines.is_empty() {
        text.item("none");
    }
}

fn by_hand(text: &mut Text, from: &Sources<'_>) {
    text.head("How to go back by hand");
    match &from.undo {
        Ok(commands) => {
            text.line("```sh");
            for command in commands {
                // A fence inside would end the block.
                text.0.push_str(&clean_bounded(command, 4000).replace("```", ""));
                text.0.push('\n');
            }
            text.line("```");
        }
        Err(why) => text.item(&format!("not known from here: {why}; gonogo print-undo tells it where the platform's credentials are")),
    }
}

impl Sources<'_> {
    /// With the day where that is not today.
    fn time(&self, at: DateTime<Utc>) -> String {
        let today = at.date_naive() == self.now.wall.date_naive();
        at.format(if today { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" }).to_string()
    }
}

/// Markdown, line by line. Text from outside is one line each and brings no markup of HTML.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(&clean_bounded(line, 1500).replace('<', "&lt;"));
        self.0.push('\n');
    }

    fn item(&mut self, item: &str) {
        self.line(&format!("- {item}"));
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }

    fn head(&mut self, title: &str) {
        self.gap();
        self.line(&format!("## {title}"));
        self.gap();
    }
}
