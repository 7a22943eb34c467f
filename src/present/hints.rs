//! The last two rows: what can be pressed, and what just happened.

use super::frame::Tier;
use super::header::words;
use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::command::View;
use crate::app::model::{Mode, Seat};
use crate::domain::Danger;
use crate::runbook::io::Level;
use crate::runbook::plan::StepKind;
use crate::runbook::state::{Phase, StepPhase};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// One key in the hint row.
pub(super) struct Hint {
    key: &'static str,
    label: String,
    danger: Danger,
    off: bool,
}

pub(super) fn hint(key: &'static str, label: impl Into<String>) -> Hint {
    Hint { key, label: label.into(), danger: Danger::L0, off: false }
}

pub(super) fn act(key: &'static str, label: impl Into<String>, danger: Danger) -> Hint {
    Hint { danger, ..hint(key, label) }
}

fn off(key: &'static str, label: impl Into<String>) -> Hint {
    Hint { off: true, ..hint(key, label) }
}

/// The last row but one: hints leave from the right, the help never does.
pub(super) fn hints(sight: &Sight<'_>) -> Line {
    let cells = usize::from(sight.port.width);
    let model = sight.model;
    if let Some(prompt) = &model.prompt {
        return Line::of(format!(" {}", super::prompt::hints(prompt))).pad(cells);
    }
    if model.screen.help {
        return Line::of(" Esc or ? closes").pad(cells);
    }
    if model.screen.filtering {
        let more = if model.screen.view == View::Logs { "   /expression/" } else { "" };
        return Line::of(format!(" type to filter   !word leaves out{more}   Enter keeps   Esc clears")).pad(cells);
    }
    render_hints(&all_hints(sight), cells)
}

impl Hint {
    /// The way out and the stop: whatever else there is, these stay on screen.
    fn stays(&self) -> bool {
        matches!(self.key, "B" | "H" | "U")
    }

    fn line(&self) -> Line {
        let line = Line::default().word(if self.off { Role::Disabled } else { Role::HintKey }, self.key);
        let line = line.text(" ").word(if self.off { Role::Disabled } else { Role::Primary }, &self.label);
        if self.danger > Danger::L0 { line.text(format!("({})", self.danger.word())) } else { line }
    }
}

fn render_hints(hints: &[Hint], cells: usize) -> Line {
    let help = Line::default().word(Role::HintKey, "?").text(if cells < 60 { "" } else { " help" });
    let room = cells.saturating_sub(help.width() + 1);
    let mut kept: usize = hints.iter().filter(|h| h.stays()).map(|h| h.line().width() + 2).sum();
    let mut line = Line::of(" ");
    let mut full = false;
    for hint in hints {
        let piece = hint.line();
        let needed = piece.width() + 2;
        if hint.stays() {
            kept -= needed;
        } else if full || line.width() + needed + kept > room {
            full = true;
            continue;
        }
        line = line.then(piece).text("  ");
    }
    line.fit(room).then(help).pad(cells)
}

fn all_hints(sight: &Sight<'_>) -> Vec<Hint> {
    let mut list =
        if sight.model.options.spectator || sight.model.mode == Mode::Spectator { vec![hint("1-9", "views")] } else { acts(sight) };
    let view = sight.model.screen.view;
    match view {
        View::Cockpit => {}
        View::Traffic => list.push(hint("u", "queries")),
        View::Metrics => list = front(list, vec![hint("j/k", "gate"), hint("u", "query")]),
        View::Instances => {
            list =
                front(list, vec![hint("j/k", "move"), hint("Enter", "details"), hint("/", "filter"), hint("l", "logs"), hint("s", "sort")]);
        }
        View::Alerts => list = front(list, alert_hints(sight)),
        View::Checklist => {
            let answer = decision(sight).map(|what| act("D", what, Danger::L1));
            list.retain(|h| h.key != "D");
            list = front(list, std::iter::once(hint("j/k", "move")).chain(answer).collect());
        }
        View::Run => {
            list = front(list, vec![])
                .into_iter()
                .chain([hint("j/k", "step"), hint("u", "exact call"), act("M", "memo", Danger::L1)])
                .collect();
        }
        View::Logs => list = front(list, log_hints(sight)),
        View::Timeline => {
            list = front(list, vec![hint("/", "filter"), hint("j/k", "move"), hint("Enter", "details"), act("M", "memo", Danger::L1)]);
        }
    }
    if list.iter().all(|h| h.key != "r") {
        list.push(hint("r", "refresh"));
    }
    list.extend([hint("z", "UTC/local"), hint("y", "copy"), hint("q", "quit")]);
    list
}

/// Silencing is offered where it can be asked for.
fn alert_hints(sight: &Sight<'_>) -> Vec<Hint> {
    let mut list = vec![hint("j/k", "move")];
    let Some(board) = &sight.model.alerts else { return list };
    if sight.can_write() {
        list.push(if board.show_silences || crate::app::alerts::selected_silence(sight.model).is_some() {
            act("X", "end silence", Danger::L1)
        } else {
            act("K", "silence", Danger::L1)
        });
    }
    list.extend([hint("v", if board.show_silences { "alerts" } else { "silences" }), hint("o", "link")]);
    list
}

/// What can be done with lines.
fn log_hints(sight: &Sight<'_>) -> Vec<Hint> {
    let logs = &sight.model.logs;
    let roomy = sight.tier >= Tier::Medium;
    let follow = if logs.cursor.is_some() || !roomy { "follow" } else { "follow ON" };
    let source = if roomy { "instance" } else { "side" };
    let mut list = vec![hint("/", "filter"), hint("l", "level"), hint("i", source), hint("f", follow), hint("w", "wrap")];
    if !logs.new.is_empty() {
        list.insert(0, hint("n", "next new"));
    }
    if sight.port.width >= crate::app::update::SPLIT_FROM {
        list.push(hint("s", if logs.split { "mixed" } else { "side by side" }));
    }
    list.push(hint("e", "export"));
    list
}

/// What `D` would ask about.
fn decision(sight: &Sight<'_>) -> Option<&'static str> {
    let (step, known) = sight.run()?.state.current()?;
    if matches!(known.phase, StepPhase::Failed | StepPhase::Inconclusive) || super::operation::is_unclear(sight) {
        return Some("decide");
    }
    match step.kind {
        StepKind::Manual(_) => Some("answer"),
        StepKind::Approve(_) | StepKind::Poll(_) => Some("vote"),
        _ => None,
    }
}

/// Movement first in views of rows; hold and back out always stay near.
fn front(acts: Vec<Hint>, mut first: Vec<Hint>) -> Vec<Hint> {
    first.extend(acts.into_iter().filter(|h| matches!(h.key, "H" | "U" | "B" | "P" | "D" | "T" | "1-9")));
    first
}

fn acts(sight: &Sight<'_>) -> Vec<Hint> {
    let model = sight.model;
    let lost = sight.is_lost();
    let back = if lost { off("B", "back out OFF") } else { act("B", "back out", Danger::L2) };
    let Some(run) = sight.run().filter(|r| !r.state.phase.is_final()) else {
        let mut list = if lost { vec![hint("r", "retry now")] } else { vec![hint("1-9", "views")] };
        if sight.has_canary_traffic() {
            list.push(back);
        }
        list.push(if sight.run().is_some() { hint("9", "what happened") } else { hint("/", "filter") });
        return list;
    };
    let promote = if lost {
        off("P", "promote OFF")
    } else if !sight.metrics().usable() || !sight.platform().usable() {
        off("P", "promote OFF: stale")
    } else {
        act("P", "promote", Danger::L2)
    };
    let hold = if run.state.hold.is_some() { act("U", "release", Danger::L1) } else { hint("H", "hold(now)") };
    let arm = act("A", if matches!(model.mode, Mode::Armed { .. }) { "disarm" } else { "arm" }, Danger::L1);
    if lost {
        return vec![hint("r", "retry now"), hold, back, promote];
    }
    let decide = decision(sight).map(|what| act("D", what, Danger::L1));
    let mut list = if run.state.phase != Phase::Running {
        vec![back, hold]
    } else if model.incident.is_some() || sight.tier <= Tier::Compact {
        vec![back, hold, promote]
    } else if promote.off {
        vec![hold, back, promote]
    } else {
        vec![promote, hold, back]
    };
    list.extend(decide);
    if run.seat != Seat::Driving {
        list.push(act("T", "take the seat", Danger::L1));
    }
    list.push(arm);
    list.push(act("M", "memo", Danger::L1));
    list
}

/// The last row: what just happened.
pub(super) fn message(sight: &Sight<'_>) -> Line {
    let cells = usize::from(sight.port.width);
    let model = sight.model;
    if let Some(prompt) = &model.prompt {
        return Line::of(format!(" {}", super::prompt::footer(sight, prompt))).pad(cells);
    }
    if model.screen.filtering {
        return Line::of(" /").text(&model.screen.filter).text("_").pad(cells);
    }
    let last = model.messages.back();
    if let Some(feedback) = feedback(sight, last.map(|m| m.at)) {
        return Line::of(" ").then(feedback).pad(cells);
    }
    let is_old = |at: DateTime<Utc>| sight.age(at) > Duration::from_secs(20);
    if last.is_none_or(|m| is_old(m.at))
        && let Some(status) = super::view_status(sight)
    {
        return Line::of(format!(" {status}")).pad(cells);
    }
    let Some(message) = last else { return Line::of(" ").pad(cells) };
    let role = match message.level {
        Level::Info => Role::Primary,
        Level::Warning => Role::Watch,
        Level::Alarm => Role::Bad,
    };
    Line::of(format!(" {} ", sight.time(message.at))).word(role, &message.text).pad(cells)
}

/// `canary 25% -> 50%  sent 03:11:24Z  accepted 0.4 s  seen 49.7% after 9 s`.
fn feedback(sight: &Sight<'_>, last_message: Option<DateTime<Utc>>) -> Option<Line> {
    let act = sight.model.act.as_ref()?;
    let is_open = act.unknown.is_some() || act.not_observed || act.seen.is_none();
    let sent = act.sent?;
    let is_news = sight.age(sent) < Duration::from_secs(120) && last_message.is_none_or(|at| at <= sent + chrono::TimeDelta::seconds(30));
    if !is_open && !is_news {
        return None;
    }
    let mut line = Line::of(format!("{}  sent {}", act.what, sight.time(sent)));
    if let Some(why) = &act.unknown {
        return Some(line.text(" ").word(Role::Unknown, "OUTCOME UNKNOWN").text(format!(": {why}")));
    }
    line = match act.accepted {
        Some(took) => line.text(format!("  accepted {:.1} s", took.as_secs_f64())),
        None => return Some(line.text("  waiting for the answer")),
    };
    Some(match (&act.seen, act.not_observed) {
        (_, true) => line.text("  ").word(Role::Bad, "NOT OBSERVED").text(": traffic does not follow"),
        (Some((share, after)), _) => {
            let line = line.text(format!("  seen {share} after {}", words(*after)));
            let landed = sight.run().and_then(|r| r.state.landing.as_ref()?.took);
            match landed {
                Some(took) => line.text(format!("  landed in {}", super::harm::seconds(took))),
                None => line,
            }
        }
        (None, _) => line.text("  waiting to see it in the traffic"),
    })
}
