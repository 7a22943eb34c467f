//! View 6: what people have to answer, what they answered, and the board of the gate at which they agree.

use super::board;
use super::frame::{Area, Panel, Tier};
use super::gates::mark_selected;
use super::instances::{cursor, window};
use super::items::{SETTLES, Standing, bookmark, evidence, expects, owner_words, progress};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use crate::app::model::Seat;
use crate::domain::text::span;
use crate::domain::time::age;
use crate::runbook::plan::{AnswerKind, Item, Manual, Step, StepKind};
use crate::runbook::question::owner;
use crate::runbook::state::{ItemAnswer, StepPhase, StepState};

/// One item with its place in the runbook.
struct Asked<'a> {
    id: String,
    step: &'a Step,
    manual: &'a Manual,
    state: Option<&'a StepState>,
    index: usize,
    item: &'a Item,
    /// Whoever works here may answer it.
    yours: bool,
}

impl<'a> Asked<'a> {
    fn answer(&self) -> Option<&'a ItemAnswer> {
        self.state.and_then(|s| s.answers.get(&self.index))
    }

    fn standing(&self) -> Standing {
        Standing::of(self.item, self.index, self.state)
    }

    fn is_at_work(&self) -> bool {
        self.state.is_some_and(|s| s.phase == StepPhase::Active)
    }

    fn is_open_now(&self) -> bool {
        self.is_at_work() && self.standing() != Standing::Ok
    }

    /// Somebody has to say something about it.
    fn asks(&self) -> bool {
        self.is_open_now() && self.item.answer != AnswerKind::Seen
    }
}

fn manuals<'a>(sight: &Sight<'a>) -> Vec<(&'a Step, &'a Manual, Option<&'a StepState>)> {
    let Some(run) = sight.run() else { return Vec::new() };
    let state = &run.state;
    let forward = state.runbook.steps.iter().enumerate().map(|(i, s)| (s, state.steps.get(i)));
    let back = state.rollback_plan.iter().enumerate().map(|(i, s)| (s, state.rollback.get(i)));
    let end = state.runbook.finally.iter().enumerate().map(|(i, s)| (s, state.finally.get(i)));
    forward
        .chain(back)
        .chain(end)
        .filter_map(|(step, known)| match &step.kind {
            StepKind::Manual(manual) => Some((step, manual, known)),
            _ => None,
        })
        .collect()
}

fn items<'a>(sight: &Sight<'a>) -> Vec<Asked<'a>> {
    let Some(run) = sight.run() else { return Vec::new() };
    let who = &sight.model.options.operator;
    manuals(sight)
        .into_iter()
        .flat_map(|(step, manual, state)| {
            let asked = move |(index, item): (usize, &'a Item)| {
                let yours = run.state.may_answer(step, item, who);
                Asked { id: format!("{}/{index}", step.id), step, manual, state, index, item, yours }
            };
            manual.items.iter().enumerate().map(asked)
        })
        .collect()
}

/// View 6: the board while a gate is open, and the checklists below it.
pub(super) fn panels(sight: &Sight<'_>, mut body: Area) -> Vec<Panel> {
    let mut panels = Vec::new();
    if let Some(gate) = board::at_hand(sight) {
        let wanted = board::rows(sight, gate, body.width);
        let rest = body.height.saturating_sub(wanted);
        let all = rest < 4;
        let board = board::panel(sight, gate, body.take_top(if all { body.height } else { wanted }));
        panels.push(if all { board.close() } else { board });
        if all {
            return panels;
        }
    }
    panels.extend(list_panels(sight, body, panels.is_empty()));
    panels
}

fn list_panels(sight: &Sight<'_>, mut body: Area, with_detail: bool) -> Vec<Panel> {
    let items = items(sight);
    if items.is_empty() {
        let text = if sight.run().is_some() { " this runbook has no checklist" } else { " no run, so no checklist" };
        let more = format!("   {} run RUNBOOK starts one; its manual steps are answered here", sight.command());
        let lines = if sight.run().is_some() { vec![Line::of(text)] } else { vec![Line::of(text), Line::of(more)] };
        return vec![Panel::new(body, Line::of("CHECKLIST"), Line::default()).with(lines).close()];
    }
    let count = |fits: &dyn Fn(Standing) -> bool| items.iter().filter(|item| fits(item.standing())).count();
    let (good, later) = (count(&|s| s == Standing::Ok), count(&|s| s == Standing::Later));
    let bad = count(&Standing::is_bad);
    let open = items.len() - good - bad - later;
    let title = format!("CHECKLIST   {good} OK   {bad} NOT OK   {open} OPEN   {later} later");
    let first_open = items
        .iter()
        .position(|i| i.asks() && i.yours)
        .or_else(|| items.iter().position(Asked::is_open_now))
        .or_else(|| items.iter().rposition(|i| i.standing() == Standing::Ok))
        .unwrap_or(0);
    let selection = sight.model.selection().filter(|s| s.id.is_some() || s.place > 0);
    let place = match selection {
        Some(s) => cursor(Some(s), items.iter().map(|i| i.id.as_str()), items.len()).place,
        None => first_open,
    };
    let detail_rows = match sight.tier {
        _ if !with_detail && body.height < 16 => 0,
        Tier::Large | Tier::Medium => 12,
        Tier::Small => 8,
        Tier::Compact | Tier::Tiny => 5,
    };
    let list = body.take_top(body.height.saturating_sub(detail_rows));
    let panel = Panel::new(list, Line::of(title), state_word(sight, &items, good));
    let panel = Panel { closed: detail_rows == 0, ..panel };
    let lines = rows(sight, &items, place, panel.inner_width(), panel.inner_height());
    let mut panels = vec![panel.with(lines)];
    if let Some(item) = items.get(place).filter(|_| detail_rows > 0) {
        panels.push(detail(sight, item, body));
    }
    panels
}

/// Whether anybody looks at what the program sees for itself, and whether somebody is asked.
fn state_word(sight: &Sight<'_>, items: &[Asked<'_>], good: usize) -> Line {
    let living = items.iter().any(|i| i.is_at_work() && i.item.evidence.is_some());
    let unattended = sight.run().is_some_and(|run| run.seat == Seat::Unattended && !run.state.phase.is_final());
    if living && unattended {
        return Line::default().word(Role::Stale, "NOBODY LOOKS: the run is unattended");
    }
    let own = items.iter().filter(|i| i.asks() && i.yours).count();
    if own > 0 {
        return Line::default().word(Role::Watch, format!("{own} for you"));
    }
    if items.iter().any(Asked::asks) {
        Line::default().word(Role::Watch, "waits for answers")
    } else if items.iter().any(Asked::is_open_now) {
        Line::default().word(Role::Watch, "the program looks")
    } else {
        Line::of(format!("{good} of {}", items.len()))
    }
}

/// Widths of the columns of items.
struct Columns {
    item: usize,
    owner: usize,
    by: usize,
    /// What was answered, or what is seen.
    wide: bool,
}

impl Columns {
    fn of(cells: usize) -> Self {
        match cells {
            150.. => Self { item: 57, owner: 20, by: 14, wide: true },
            100.. => Self { item: 42, owner: 16, by: 8, wide: true },
            70.. => Self { item: cells.saturating_sub(5 + 11 + 12 + 8 + 9), owner: 12, by: 8, wide: false },
            _ => Self { item: cells.saturating_sub(5 + 11 + 10).max(12), owner: 10, by: 0, wide: false },
        }
    }
}

fn rows(sight: &Sight<'_>, items: &[Asked<'_>], place: usize, cells: usize, room: usize) -> Vec<Line> {
    let columns = Columns::of(cells);
    let by = if columns.by == 0 { String::new() } else { format!("{}{}", pad("BY", columns.by), pad("AT", 9)) };
    let head = format!(
        "  #  {}{}{}{by}{}",
        pad("ANSWER", 11),
        pad("ITEM", columns.item),
        pad("OWNER", columns.owner),
        if columns.wide { "  ANSWERED, OR SEEN" } else { "" }
    );
    let mut lines = vec![Line::default().word(Role::Secondary, head)];
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
        let line = row(sight, item, &columns).fit(cells);
        lines.push(if i == place { mark_selected(sight, line, cells) } else { line });
    }
    let head = lines.remove(0);
    let room = room.saturating_sub(1);
    let from = window(at.saturating_sub(1), lines.len(), room);
    std::iter::once(head).chain(lines.into_iter().skip(from).take(room)).collect()
}

/// The step that asks, and whether it has all its answers.
fn heading(item: &Asked<'_>, sight: &Sight<'_>) -> Line {
    let (complete, text) = progress(item.step, item.manual, item.state);
    let line = Line::of(" ");
    if complete {
        return line.mark(Role::Ok, sight.glyphs.ok()).text(format!(" {text}"));
    }
    let (role, sign) = super::run::sign(sight, item.state.map_or(StepPhase::Pending, |s| s.phase));
    line.mark(role, sign).text(format!(" {text}"))
}

fn sign(sight: &Sight<'_>, standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => sight.glyphs.ok(),
        Standing::No | Standing::Disputed | Standing::Seen(crate::domain::Outcome::Fail) => sight.glyphs.bad(),
        Standing::Expired | Standing::Seen(crate::domain::Outcome::Stale) => "~",
        Standing::Seen(_) | Standing::Looking | Standing::Open => "?",
        Standing::Later => ".",
    }
}

fn row(sight: &Sight<'_>, item: &Asked<'_>, columns: &Columns) -> Line {
    let standing = item.standing();
    let line = Line::of(format!("  {:<3}", item.index + 1)).mark(standing.role(), sign(sight, standing)).text(" ");
    let word = standing.word();
    let line = line.word(standing.role(), word).text(" ".repeat(9_usize.saturating_sub(word.len())));
    let line = line.text(pad(&item.item.challenge, columns.item.saturating_sub(1))).text(" ");
    let line = line.text(pad(&owner_mark(item), columns.owner.saturating_sub(1))).text(" ");
    let answer = item.answer();
    let line = match answer {
        _ if columns.by == 0 => line,
        Some(answer) => line.text(pad(&answer.by.id, columns.by.saturating_sub(1))).text(" ").text(pad(&sight.time(answer.at), 9)),
        None => line.text(pad("-", columns.by)).text(pad("-", 9)),
    };
    if !columns.wide {
        return line;
    }
    let seen = item.state.and_then(|state| evidence(item.index, state, |at| sight.time(at).trim_end().to_owned()));
    match (answer, seen) {
        (Some(answer), Some((outcome, text))) if outcome != crate::domain::Outcome::Pass => {
            line.text(format!("  {}; seen {text}", answer.answer))
        }
        (Some(answer), _) => match &answer.disputed {
            Some(other) => line.text(format!("  {}, but {} by {}", answer.answer, other.answer, other.by.id)),
            None => line.text(format!("  {}", answer.answer)),
        },
        (None, Some((_, text))) => line.text(format!("  {text}")),
        (None, None) => line,
    }
}

/// Whose it is: in brackets when it is not for whoever works here.
fn owner_mark(item: &Asked<'_>) -> String {
    match (owner(item.step, item.item), &item.item.answer) {
        (_, AnswerKind::Seen) => "auto".to_owned(),
        (None, _) => "anybody".to_owned(),
        (Some(role), _) if item.yours => role.to_owned(),
        (Some(role), _) => format!("({role})"),
    }
}

/// The answer and what became of it.
fn answered(sight: &Sight<'_>, item: &Asked<'_>, answer: &ItemAnswer) -> Vec<Line> {
    let time = |at| sight.time(at).trim_end().to_owned();
    let word = if answer.ok { "lets it pass" } else { "does NOT let it pass" };
    let text = format!(" answered    \"{}\" by {} ({}) {}: {word}", answer.answer, answer.by.id, answer.by.strength, time(answer.at));
    let mut lines = vec![Line::of(text)];
    if let Some(other) = &answer.disputed {
        let text = format!("    \"{}\" by {} ({}) {}", other.answer, other.by.id, other.by.strength, time(other.at));
        lines.push(Line::of(" ").word(Role::Bad, "DISPUTED").text(text));
        lines.push(Line::of(format!("             {SETTLES}")));
    }
    let life = item.item.expires;
    if answer.expired {
        let old = life.map_or_else(|| "too old".to_owned(), |life| format!("answer older than {}", span(life)));
        lines.push(Line::of(" ").word(Role::Stale, "EXPIRED").text(format!("     {old}: confirm again")));
    } else if let Some(left) = life.map(|life| life.saturating_sub(age(sight.now.wall, answer.at))).filter(|_| item.is_at_work()) {
        lines.push(Line::of(format!(" counts      for {} more, then it is asked again", span(left))));
    }
    lines
}

fn detail(sight: &Sight<'_>, item: &Asked<'_>, area: Area) -> Panel {
    let Some(run) = sight.run() else { return Panel::new(area, Line::of("ITEM"), Line::default()).close() };
    let standing = item.standing();
    let title = Line::of(format!("ITEM {} of {}", item.index + 1, item.step.title));
    let panel = Panel::new(area, title, Line::default().word(standing.role(), standing.word())).close();
    let cells = panel.inner_width();
    let roomy = panel.inner_height() > 4;
    let mut lines: Vec<Line> = wrap(&item.item.challenge, cells.saturating_sub(2), if roomy { 3 } else { 1 })
        .into_iter()
        .map(|l| Line::of(format!(" {l}")))
        .collect();
    let answer = item.answer();
    if let Some(condition) = &item.item.evidence {
        let seen = item.state.and_then(|state| evidence(item.index, state, |at| sight.time(at).trim_end().to_owned()));
        let line = Line::of(" sees        ");
        let again = if standing.is_bad() { ": the item is open again" } else { "" };
        let line = match seen {
            Some((crate::domain::Outcome::Pass, text)) => line.mark(Role::Ok, sight.glyphs.ok()).text(format!(" {text}")),
            Some((_, text)) => line.mark(standing.role(), sign(sight, standing)).text(" ").word(standing.role(), text).text(again),
            None => line.text("nothing yet"),
        };
        lines.push(line);
        if roomy {
            lines.push(Line::of(format!("             good when {}, asked every {}", condition.probe.describe(), span(condition.every))));
        }
    }
    if let Some(answer) = answer {
        lines.extend(answered(sight, item, answer));
    }
    let hidden = item.item.blind && answer.is_none();
    let blind = if hidden { "   (what is right is shown when it is answered)" } else { "" };
    lines.push(Line::of(format!(" expects     {}{blind}", expects(item.item, answer.is_some()))));
    let whose = match (&item.item.answer, item.yours) {
        (AnswerKind::Seen, _) | (_, true) => String::new(),
        (_, false) => format!(": NOT yours, you are {}", sight.model.options.operator),
    };
    lines.push(Line::of(format!(" owner       {}{whose}", owner_words(&run.state, item.step, item.item))));
    if item.asks() && item.yours && sight.can_write() {
        lines.push(Line::of(" answer      ").word(Role::HintKey, "D").text(if answer.is_some() { " opens it again" } else { " opens it" }));
    } else if standing == Standing::Later {
        lines.push(Line::of(" answer      when its step is reached"));
    }
    if let Some((place, last, next)) = item.state.filter(|_| item.is_at_work()).and_then(|state| bookmark(item.manual, state)) {
        let next = next.map_or_else(String::new, |next| format!("; item {} comes next", next + 1));
        lines.push(Line::of(format!(" left at     item {} by {} {}{next}", place + 1, last.by.id, sight.time(last.at).trim_end())));
    }
    if !item.item.doc.is_empty() {
        lines.extend(wrap(&item.item.doc, cells.saturating_sub(2), 4).into_iter().map(|l| Line::of(format!(" {l}"))));
    }
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

/// The last row's text in this view: the completion lines.
pub(super) fn status(sight: &Sight<'_>) -> Option<String> {
    let all = manuals(sight);
    let at_work = |state: Option<&StepState>| state.is_some_and(|s| s.phase == StepPhase::Active);
    let last = all.iter().rposition(|(.., state)| state.is_some_and(|s| s.phase != StepPhase::Pending));
    let shown = all.iter().position(|(.., state)| at_work(*state)).or(last);
    let (step, manual, state) = all.get(shown?)?;
    Some(progress(step, manual, *state).1)
}
