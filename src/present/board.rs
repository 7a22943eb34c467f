//! The go/no-go board: who has said what, what of it counts, what is still missing.

use super::frame::{Area, Panel};
use super::line::{Line, Role, pad, wrap};
use super::sight::Sight;
use super::voices::{life, name, remark, role, strength, tally, word};
use crate::app::model::{RunView, Seat};
use crate::domain::StepId;
use crate::domain::text::span;
use crate::runbook::gate::{Board, Cast, Position, Standing};
use crate::runbook::state::Phase;

/// The gate at which people speak now.
pub(super) fn at_hand<'a>(sight: &Sight<'a>) -> Option<&'a StepId> {
    let run = sight.run()?;
    if run.state.phase == Phase::Running { run.state.gate_at_hand() } else { None }
}

/// How a position stands, in one cell.
fn sign(sight: &Sight<'_>, standing: Standing) -> &'static str {
    match standing {
        Standing::Go => sight.glyphs.ok(),
        Standing::NoGo => sight.glyphs.bad(),
        Standing::Hold => "!",
        Standing::Stale => "~",
        Standing::Missing => ".",
    }
}

/// Rows that the board of a gate takes, its frame included.
pub(super) fn rows(sight: &Sight<'_>, id: &StepId, width: u16) -> u16 {
    let lines = sight.run().map_or(0, |run| lines(sight, run, id, usize::from(width).saturating_sub(3)).len());
    u16::try_from(lines + 1).unwrap_or(u16::MAX)
}

/// The board in a frame of its own.
pub(super) fn panel(sight: &Sight<'_>, id: &StepId, area: Area) -> Panel {
    let Some((run, board)) = sight.run().and_then(|run| Some((run, run.state.board(id, sight.now.wall)?))) else {
        return Panel::new(area, Line::of("BOARD"), Line::default());
    };
    let title = Line::of(format!("{}   {}", name(&run.state, id), tally(&board)));
    let panel = Panel::new(area, title, verdict(&board));
    let cells = panel.inner_width();
    let mut lines = lines(sight, run, id, cells);
    let room = panel.inner_height();
    if lines.len() > room {
        let more = lines.len() + 1 - room;
        lines.truncate(room.saturating_sub(1));
        lines.push(Line::of(format!(" ... {more} more lines: a taller window shows them")).fit(cells));
    }
    panel.with(lines)
}

/// The board's own word.
fn verdict(board: &Board) -> Line {
    if board.go {
        return Line::default().word(Role::Ok, "GO");
    }
    let against = board.positions.iter().any(|position| position.standing == Standing::NoGo);
    if against { Line::default().word(Role::Bad, "NO-GO") } else { Line::default().word(Role::Watch, "waits") }
}

/// All that the board says, each line as wide as there is room.
pub(super) fn lines(sight: &Sight<'_>, run: &RunView, id: &StepId, cells: usize) -> Vec<Line> {
    let (Some(board), Some((_, known))) = (run.state.board(id, sight.now.wall), run.state.step_and_state(id)) else { return Vec::new() };
    let mut lines = Vec::new();
    match &known.terms {
        Some(terms) => {
            let code = Line::of("code ").word(Role::Focus, terms.code());
            lines.push(Line::between(Line::of(format!(" agrees to   {}", terms.shown)), code.text(" "), cells));
        }
        None => lines.push(Line::of(" agrees to   being worked out: nobody can say go yet")),
    }
    let columns = Columns::of(cells);
    lines.push(columns.head());
    for (i, position) in board.positions.iter().enumerate() {
        lines.extend(columns.position(sight, run, (id, cells), i, position));
    }
    if let Some(hold) = &run.state.hold {
        let release =
            if run.seat == Seat::Driving { "U releases it".to_owned() } else { format!("{} releases it (U)", run.state.driver.id) };
        lines.push(Line::of(" ").word(Role::Bad, "HELD").text(format!("        {}; {release}", hold.reason)));
    }
    if board.go {
        let until = board.until.map_or_else(String::new, |at| format!(", as long as nothing changes, until {}", sight.time(at).trim_end()));
        lines.push(Line::of(" ").word(Role::Ok, "GO").text(format!("          all have said go{until}")));
    } else {
        let parts = wrap(&board.waits_for, cells.saturating_sub(14), 2);
        let first = |i: usize| if i == 0 { " waits for   " } else { "             " };
        lines.extend(parts.into_iter().enumerate().map(|(i, part)| Line::of(first(i)).text(part)));
    }
    lines.push(own(sight, run, id));
    lines.into_iter().map(|line| line.fit(cells)).collect()
}

/// What whoever works here may say.
fn own(sight: &Sight<'_>, run: &RunView, id: &StepId) -> Line {
    let who = &sight.model.options.operator;
    let voices = run.state.voices(id, who);
    if voices.is_empty() {
        return Line::of(format!(" you         {who}: none of these roles is yours"));
    }
    let line = Line::of(format!(" you         {who}: {}   ", voices.join(", ")));
    if !sight.can_write() {
        return line.text("OFF here: this cockpit cannot write");
    }
    let keys = [("Y", " GO  "), ("N", " NO-GO  "), ("W", " HOLD  "), ("C", " withdraw")];
    keys.into_iter().fold(line, |line, (key, text)| line.word(Role::HintKey, key).text(text))
}

/// Where the columns stand.
struct Columns {
    role: usize,
    who: usize,
    /// Age and what is left have columns of their own.
    times: bool,
}

impl Columns {
    fn of(cells: usize) -> Self {
        match cells {
            150.. => Self { role: 24, who: 32, times: true },
            100.. => Self { role: 20, who: 24, times: true },
            70.. => Self { role: 18, who: 18, times: true },
            _ => Self { role: 12, who: 10, times: false },
        }
    }

    fn head(&self) -> Line {
        let times = if self.times { format!("{}{}", pad("AGE", 8), pad("COUNTS", 8)) } else { String::new() };
        let text = format!("  #  {}{}{}{times}WHY", pad("ROLE", self.role), pad("SAYS", 10), pad("WHO", self.who));
        Line::default().word(Role::Secondary, text)
    }

    fn position(&self, sight: &Sight<'_>, run: &RunView, (id, cells): (&StepId, usize), place: usize, position: &Position) -> Vec<Line> {
        let title = if position.decides { format!("{}*", position.role) } else { position.role.clone() };
        let head = Line::of(format!("  {:<3}{}", place + 1, pad(&title, self.role.saturating_sub(1)))).text(" ");
        let head = head.mark(role(position.standing), sign(sight, position.standing)).text(" ");
        let word = word(position.standing);
        let head = head.word(role(position.standing), word).text(" ".repeat(8_usize.saturating_sub(word.len())));
        let mut casts = position.casts.iter();
        let first = self.cast(sight, run, id, casts.next());
        let remark = remark(&run.state, position);
        // A reason is read to its end: where it does not fit it has a line of its own.
        // In little room only what stops the release is worth one.
        let remark = if self.times || matches!(position.standing, Standing::NoGo | Standing::Hold) || position.casts.is_empty() {
            remark
        } else {
            String::new()
        };
        let whole = head.clone().then(first.clone()).text(&remark);
        let mut lines = if whole.width() <= cells {
            vec![whole]
        } else {
            let below = wrap(&remark, cells.saturating_sub(7), 2).into_iter().map(|part| Line::of(format!("       {part}")));
            std::iter::once(head.then(first)).chain(below).collect()
        };
        for cast in casts {
            let indent = " ".repeat(5 + self.role + 10);
            lines.push(Line::of(indent).then(self.cast(sight, run, id, Some(cast))));
        }
        lines
    }

    /// Who, how strongly that is known, how old it is and for how long it counts.
    fn cast(&self, sight: &Sight<'_>, run: &RunView, id: &StepId, cast: Option<&Cast>) -> Line {
        let Some(cast) = cast else { return Line::default() };
        let (old, left) = life(cast, run.state.voice_lasts(id), sight.now.wall);
        let who = if self.times { format!("{} ({})", cast.by.id, strength(cast)) } else { cast.by.id.clone() };
        let line = Line::of(pad(&who, self.who.saturating_sub(1))).text(" ");
        if !self.times {
            return line;
        }
        let left = left.map_or_else(String::new, |left| if left.is_zero() { "over".to_owned() } else { span(left) });
        line.text(format!("{}{}", pad(&old, 8), pad(&left, 8)))
    }
}

/// The board in one line: `GO / NO-GO: 1 GO 1 NO-GO 2 PENDING   waits for NO-GO by ines for qa`.
pub(super) fn short(sight: &Sight<'_>, run: &RunView, id: &StepId) -> Line {
    let Some(board) = run.state.board(id, sight.now.wall) else { return Line::of(" DECISION by several") };
    if run.state.step_and_state(id).is_some_and(|(_, known)| known.terms.is_none()) {
        return Line::of(" GO / NO-GO: what is agreed to is being worked out");
    }
    let line = Line::of(" ").word(Role::Focus, "GO / NO-GO").text(format!(": {}", tally(&board).replace("   ", " ")));
    if board.go { line } else { line.text(format!("; waits for {}   6 shows it", board.waits_for)) }
}
