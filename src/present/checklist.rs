//! View 6: what people have to answer, and what they answered.

use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{cursor, window};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::runbook::plan::{AnswerKind, Item, Manual, Step, StepKind};
use crate::runbook::state::{ItemAnswer, StepPhase, StepState};

/// One item with its place in the runbook.
struct Asked<'a> {
    id: String,
    step: &'a Step,
    state: Option<&'a StepState>,
    index: usize,
    item: &'a Item,
}

impl Asked<'_> {
    fn answer(&self) -> Option<&ItemAnswer> {
        self.state.and_then(|s| s.answers.get(&self.index))
    }

    fn is_open_now(&self) -> bool {
        self.state.is_some_and(|s| s.phase == StepPhase::Active) && self.answer().is_none_or(|a| !a.ok)
    }
}

fn manuals<'a>(sight: &Sight<'a>) -> Vec<(&'a Step, &'a Manual, Option<&'a StepState>)> {
    let Some(run) = sight.run() else { return Vec::new() };
    let state = &run.state;
    let forward = state.runbook.steps.iter().enumerate().map(|(i, s)| (s, state.steps.get(i)));
    let back = state.rollback_plan.iter().enumerate().map(|(i, s)| (s, state.rollback.get(i)));
    forward
        .chain(back)
        .filter_map(|(step, known)| match &step.kind {
            StepKind::Manual(manual) => Some((step, manual, known)),
            _ => None,
        })
        .collect()
}

fn items<'a>(sight: &Sight<'a>) -> Vec<Asked<'a>> {
    manuals(sight)
        .into_iter()
        .flat_map(|(step, manual, state)| {
            let asked = move |(index, item)| Asked { id: format!("{}/{index}", step.id), step, state, index, item };
            manual.items.iter().enumerate().map(asked)
        })
        .collect()
}

/// View 6.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let items = items(sight);
    if items.is_empty() {
        let text = if sight.run().is_some() { " this runbook has no checklist" } else { " no run, so no checklist" };
        let more = format!("   {} run RUNBOOK starts one; its manual steps are answered here", sight.command());
        let lines = if sight.run().is_some() { vec![Line::of(text)] } else { vec![Line::of(text), Line::of(more)] };
        return vec![Panel::new(body, Line::of("CHECKLIST"), Line::default()).with(lines).close()];
    }
    let good = items.iter().filter(|i| i.answer().is_some_and(|a| a.ok)).count();
    let bad = items.iter().filter(|i| i.answer().is_some_and(|a| !a.ok)).count();
    let open = items.iter().filter(|i| i.is_open_now() && i.answer().is_none()).count();
    let later = items.len() - good - bad - open;
    let title = format!("CHECKLIST   {good} OK   {bad} NO   {open} OPEN   {later} later");
    let right = items.iter().any(Asked::is_open_now);
    let right = if right { Line::default().word(Role::Watch, "waits for answers") } else { Line::of(format!("{good} of {}", items.len())) };
    let first_open = items.iter().position(Asked::is_open_now).unwrap_or(0);
    let selection = sight.model.selection().filter(|s| s.id.is_some() || s.place > 0);
    let place = match selection {
        Some(s) => cursor(Some(s), items.iter().map(|i| i.id.as_str()), items.len()).place,
        None => first_open,
    };
    let detail_rows = match sight.tier {
        Tier::Large | Tier::Medium => 9,
        Tier::Small => 6,
        Tier::Compact | Tier::Tiny => 3,
    };
    let list = body.take_top(body.height.saturating_sub(detail_rows));
    let panel = Panel::new(list, Line::of(title), right);
    let lines = rows(sight, &items, place, panel.inner_width(), panel.inner_height());
    let mut panels = vec![panel.with(lines)];
    if let Some(item) = items.get(place) {
        panels.push(detail(sight, item, body));
    }
    panels
}

fn rows(sight: &Sight<'_>, items: &[Asked<'_>], place: usize, cells: usize, room: usize) -> Vec<Line> {
    let wide = cells > 100;
    let item_width = if wide { 58 } else { cells.saturating_sub(5 + 8 + 12 + 9).clamp(12, 46) };
    let mut lines = vec![Line::default().word(
        Role::Secondary,
        format!(
            "  #  {}{}{}{}{}",
            pad("ANSWER", 8),
            pad("ITEM", item_width),
            pad("BY", 12),
            pad("AT", 9),
            if wide { "  ANSWERED" } else { "" }
        ),
    )];
    let mut at = 0;
    let mut last = None;
    for (i, item) in items.iter().enumerate() {
        if last != Some(&item.step.id) {
            last = Some(&item.step.id);
            lines.push(heading(item, sight).fit(cells));
        }
        if i == place {
            at = lines.len();
        }
        let line = row(sight, i, item, item_width, wide).fit(cells);
        lines.push(if i == place { mark_selected(sight, line, cells) } else { line });
    }
    let head = lines.remove(0);
    let room = room.saturating_sub(1);
    let from = window(at.saturating_sub(1), lines.len(), room);
    std::iter::once(head).chain(lines.into_iter().skip(from).take(room)).collect()
}

/// The step that asks, and whether it has all its answers.
fn heading(item: &Asked<'_>, sight: &Sight<'_>) -> Line {
    let StepKind::Manual(manual) = &item.step.kind else { return Line::default() };
    let total = manual.items.len();
    let good = item.state.map_or(0, |s| s.answers.values().filter(|a| a.ok).count());
    let line = Line::of(" ");
    if good == total {
        return line.mark(Role::Ok, sight.glyphs.ok()).text(format!(" {} complete, {good} of {total}", item.step.title));
    }
    let (role, sign) = super::run::sign(sight, item.state.map_or(StepPhase::Pending, |s| s.phase));
    line.mark(role, sign).text(format!(" {}, {good} of {total}", item.step.title))
}

fn row(sight: &Sight<'_>, place: usize, item: &Asked<'_>, item_width: usize, wide: bool) -> Line {
    let line = Line::of(format!("  {:<3}", place + 1));
    let line = match item.answer() {
        Some(answer) if answer.ok => line.mark(Role::Ok, sight.glyphs.ok()).text(pad(" OK", 7)),
        Some(_) => line.mark(Role::Bad, sight.glyphs.bad()).word(Role::Bad, " NO").text(" ".repeat(4)),
        None if item.is_open_now() => line.mark(Role::Watch, "?").word(Role::Watch, " OPEN").text("  "),
        None => line.text(pad(". later", 8)),
    };
    let line = line.text(pad(&item.item.challenge, item_width.saturating_sub(1))).text(" ");
    match item.answer() {
        Some(answer) => {
            let line = line.text(pad(&answer.by.id, 12)).text(pad(&sight.time(answer.at), 9));
            if wide { line.text("  ").text(&answer.answer) } else { line }
        }
        None => line.text(pad("-", 12)).text("-"),
    }
}

/// What counts as an answer, for people.
pub(super) fn expects(kind: &AnswerKind) -> String {
    match kind {
        AnswerKind::Done => "done or yes".into(),
        AnswerKind::Text { equals: Some(right), .. } => format!("exactly {right}"),
        AnswerKind::Text { equals: None, pattern: Some(pattern) } => format!("text of the form {pattern}"),
        AnswerKind::Text { equals: None, pattern: None } => "any text".into(),
        AnswerKind::Seen => "nobody: the program looks for itself".into(),
        AnswerKind::Choice { of, expect } => {
            let right = expect.as_ref().map_or_else(String::new, |e| format!("; {e} lets it pass"));
            format!("one of {}{right}", of.join(", "))
        }
        AnswerKind::Number { min, max } => match (min, max) {
            (Some(a), Some(b)) => format!("a number from {a} to {b}"),
            (Some(a), None) => format!("a number, at least {a}"),
            (None, Some(b)) => format!("a number, at most {b}"),
            (None, None) => "a number".into(),
        },
    }
}

fn detail(sight: &Sight<'_>, item: &Asked<'_>, area: Area) -> Panel {
    let title = Line::of(format!("ITEM {} of {}", item.index + 1, item.step.title));
    let panel = Panel::new(area, title, Line::default()).close();
    let cells = panel.inner_width();
    let mut lines: Vec<Line> =
        wrap(&item.item.challenge, cells.saturating_sub(2), 3).into_iter().map(|l| Line::of(format!(" {l}"))).collect();
    lines.push(Line::of(format!(" expects     {}", expects(&item.item.answer))));
    match item.answer() {
        Some(answer) => {
            let word = if answer.ok { "lets it pass" } else { "does NOT let it pass" };
            let text = format!(" answered    \"{}\" by {} {}: {word}", answer.answer, answer.by.id, sight.time(answer.at).trim_end());
            lines.push(Line::of(text));
        }
        None if item.is_open_now() => lines.push(Line::of(" answer      ").word(Role::HintKey, "D").text(" opens the answer")),
        None => lines.push(Line::of(" answer      when its step is reached")),
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

/// The last row's text in this view: the completion line once everything is answered.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let parts: Vec<String> = manuals(sight)
        .into_iter()
        .map(|(step, manual, state)| {
            let good = state.map_or(0, |s| s.answers.values().filter(|a| a.ok).count());
            let word = if good == manual.items.len() { " complete" } else { "" };
            format!("{}{word}, {good} of {}", step.title, manual.items.len())
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("   "))
}
