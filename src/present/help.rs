//! The help, made from the command registry, so that it cannot tell of keys that do not exist.

use super::frame::{Area, Border, Panel};
use super::line::{Line, Role};
use super::sight::Sight;
use crate::app::command::{CommandId, CommandSpec, REGISTRY};
use crate::domain::Danger;
use crate::domain::text::pad;

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
    let lines = if cells >= 70 { columns(sight, cells) } else { one_column() };
    panel.with(lines.into_iter().map(|l| l.fit(cells)).collect())
}

fn keys(spec: &CommandSpec) -> String {
    spec.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn command(spec: &CommandSpec, cells: usize) -> Line {
    let danger = match spec.danger {
        Danger::L0 => "",
        other => other.word(),
    };
    let line = Line::default().word(Role::HintKey, pad(&keys(spec), 5)).text(" ");
    line.text(pad(spec.does, cells.saturating_sub(10))).text(pad(danger, 4))
}

fn acts() -> impl Iterator<Item = &'static CommandSpec> {
    REGISTRY.iter().filter(|s| s.danger > Danger::L0 || s.id == CommandId::Hold)
}

fn looks() -> Vec<(String, &'static str)> {
    let mut rows: Vec<(String, &'static str)> = vec![("1-9".into(), "views")];
    let others = REGISTRY.iter().filter(|s| s.danger == Danger::L0 && s.id != CommandId::Hold && !matches!(s.id, CommandId::Show(_)));
    rows.extend(others.map(|s| (keys(s), s.does)));
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
        Line::of("want asked"),
        Line::of("set  what the router has"),
        Line::of("seen real requests"),
        Line::of("L0..L3 danger of key"),
        Line::of("GO WATCH HOLD UNKNOWN"),
        Line::of("NO-GO"),
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
    let acts: Vec<Line> = acts().map(|s| command(s, column)).collect();
    let looks: Vec<Line> =
        looks().into_iter().map(|(k, does)| Line::default().word(Role::HintKey, pad(&k, 8)).text(" ").text(does)).collect();
    let signs = signs(sight);
    let room = usize::from(sight.port.height).saturating_sub(5 + 2 + 1 + rules().len() + 2);
    // What movement keys do not fit goes below the acts, where there is room.
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
    lines.push(Line::of(format!(" LOST?  {0} doctor   {0} print-undo   {0} --help", sight.command())));
    lines
}

fn one_column() -> Vec<Line> {
    let mut lines: Vec<Line> = acts().map(|s| Line::of(" ").then(command(s, 34))).collect();
    lines.extend(rules().into_iter().map(|r| Line::of(format!(" {r}"))));
    lines.extend(looks().into_iter().map(|(k, does)| Line::of(format!(" {} {does}", pad(&k, 8)))));
    lines
}
