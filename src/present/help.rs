//! The help, made from the command registry, so that it cannot tell of keys that do not exist.

use super::frame::{Area, Border, Panel};
use super::line::{Line, Role, pad};
use super::sight::Sight;
use crate::app::command::{CommandId, CommandSpec, REGISTRY, View};
use crate::domain::Danger;
use crate::domain::text::width;

/// The overlay.
pub(super) fn overlay(sight: &Sight<'_>) -> Panel {
    let (width, height) = (sight.port.width, sight.port.height);
    let roomy = width >= 60 && height >= 15;
    let top = if roomy { 3 } else { 0 };
    let bottom = if roomy { 2 } else { 0 };
    let side = u16::from(width >= 40);
    let area = Area { x: side, y: top, width: width.saturating_sub(2 * side), height: height.saturating_sub(top + bottom) };
    let title = Line::of(format!("HELP  {}", sight.model.screen.view.name()));
    let border = if roomy { Border::Single } else { Border::None };
    let panel = Panel { border, ..Panel::new(area, title, Line::of("keys: default")).close() };
    let cells = panel.inner_width();
    let lines = if cells >= 70 { columns(sight, cells) } else { one_column(sight.model.screen.view) };
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn keys(spec: &CommandSpec) -> String {
    spec.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Key, what it does (its name where there is little room), danger.
fn command(spec: &CommandSpec, cells: usize) -> Line {
    let danger = match spec.danger {
        Danger::L0 => "",
        other => other.word(),
    };
    let line = Line::default().word(Role::HintKey, pad(&keys(spec), 5)).text(" ");
    let room = cells.saturating_sub(6 + 3);
    let text = if width(spec.does) <= room { spec.does } else { spec.name };
    line.text(pad(text, room)).text(format!(" {danger}"))
}

fn acts(view: View) -> impl Iterator<Item = &'static CommandSpec> {
    REGISTRY.iter().filter(move |s| (s.danger > Danger::L0 || s.id == CommandId::Hold) && belongs(s.id, view))
}

/// Keys that mean something in one view alone are told of there.
fn belongs(id: CommandId, view: View) -> bool {
    match id {
        CommandId::LogSource | CommandId::Follow | CommandId::Wrap | CommandId::NewPattern | CommandId::Export => view == View::Logs,
        CommandId::Logs => matches!(view, View::Logs | View::Instances),
        CommandId::VoteGo | CommandId::VoteNoGo | CommandId::VoteHold | CommandId::Withdraw => matches!(view, View::Checklist | View::Run),
        CommandId::Shorten | CommandId::Window | CommandId::Recycle => view == View::Run,
        _ => true,
    }
}

/// What changes nothing outside, the most wanted first.
fn looks(view: View) -> Vec<(String, &'static str)> {
    const MOVES: [CommandId; 6] =
        [CommandId::Down, CommandId::Up, CommandId::PageDown, CommandId::PageUp, CommandId::Top, CommandId::Bottom];
    let is_rare =
        |id: CommandId| matches!(id, CommandId::Redraw | CommandId::Suspend | CommandId::Copy | CommandId::LastView | CommandId::Help);
    let letters: Vec<String> = REGISTRY
        .iter()
        .filter(|s| MOVES.contains(&s.id))
        .filter_map(|s| s.keys.iter().find_map(|k| k.printable()))
        .map(String::from)
        .collect();
    let mut rows: Vec<(String, &'static str)> = vec![("1-9".into(), "views"), (letters.join(" "), "move (arrows too)")];
    let others = || {
        REGISTRY
            .iter()
            .filter(|s| belongs(s.id, view))
            .filter(|s| s.danger == Danger::L0 && s.id != CommandId::Hold && !matches!(s.id, CommandId::Show(_)) && !MOVES.contains(&s.id))
    };
    let own = |id: CommandId| !belongs(id, View::Cockpit);
    rows.extend(others().filter(|s| own(s.id)).map(|s| (keys(s), s.does)));
    rows.extend(others().filter(|s| !is_rare(s.id) && !own(s.id)).map(|s| (keys(s), s.does)));
    rows.extend(others().filter(|s| is_rare(s.id)).map(|s| (keys(s), s.does)));
    rows
}

fn signs(sight: &Sight<'_>) -> Vec<Line> {
    let glyphs = sight.glyphs;
    let hatch = glyphs.hatch().repeat(2);
    vec![
        Line::default()
            .mark(Role::Ok, glyphs.ok())
            .text(" ok  ")
            .mark(Role::Bad, glyphs.bad())
            .text(" bad  ")
            .mark(Role::Watch, "!")
            .text(" warn"),
        Line::of("?  unknown, no sample"),
        Line::of("~  last known value"),
        Line::of(format!("{hatch} no data in span")),
        Line::default().then(super::header::environment(sight)).text(" what you change"),
        Line::of("want asked, set routed,"),
        Line::of("seen in real requests"),
        Line::of("L0..L3 danger of key"),
        Line::of("GO WATCH HOLD UNKN NO-GO"),
    ]
}

fn rules() -> [&'static str; 5] {
    [
        "Lower-case keys change nothing outside this screen. CAPITALS may,",
        "and ask first; only H (hold) is instant, because it is safe.",
        "Esc never quits and never confirms.",
        "Quitting or losing ssh moves no traffic.",
        "If the clock at top right stops, this screen is frozen.",
    ]
}

fn columns(sight: &Sight<'_>, cells: usize) -> Vec<Line> {
    let column = (cells - 2) / 3;
    let acts: Vec<Line> = acts(sight.model.screen.view).map(|s| command(s, column - 3)).collect();
    let looks: Vec<Line> = looks(sight.model.screen.view)
        .into_iter()
        .map(|(k, does)| Line::default().word(Role::HintKey, pad(&k, 8)).text(" ").text(does))
        .collect();
    let signs = signs(sight);
    let room = usize::from(sight.port.height).saturating_sub(5 + 2 + 1 + rules().len() + 2);
    // What does not fit goes below the acts, where there is room.
    let split = looks.len().min(room.max(acts.len()));
    let mut first = acts;
    first.extend(looks[split..].iter().cloned());
    let rows = first.len().max(split).max(signs.len()).min(room.max(8));
    let mut lines = vec![Line::of(format!(" {}{}{}", pad("ACTS", column), pad("EVERYWHERE", column), "READ THE SCREEN"))];
    for i in 0..rows {
        let cell = |list: &[Line]| list.get(i).cloned().unwrap_or_default();
        let line = Line::of(" ").then(cell(&first).pad(column - 1)).text(" ").then(cell(&looks[..split]).pad(column - 1));
        lines.push(line.text(" ").then(cell(&signs)));
    }
    lines.push(Line::default());
    for (i, rule) in rules().into_iter().enumerate() {
        lines.push(Line::of(format!(" {:<6} {rule}", if i == 0 { "RULES" } else { "" })));
    }
    let command = sight.command();
    let lost = if command.len() <= 12 {
        format!(" LOST?  {command} doctor   {command} print-undo   {command} --help")
    } else {
        format!(" LOST?  doctor, print-undo, --help   after {command}")
    };
    lines.push(Line::of(lost));
    lines
}

fn one_column(view: View) -> Vec<Line> {
    let mut lines: Vec<Line> = acts(view).map(|s| Line::of(" ").then(command(s, 28))).collect();
    lines.extend(rules().into_iter().map(|r| Line::of(format!(" {r}"))));
    lines.extend(looks(view).into_iter().map(|(k, does)| Line::of(format!(" {} {does}", pad(&k, 8)))));
    lines
}
