//! The command registry: one name per thing, for keys, help, hint row and documentation.

use super::key::{Key, KeyCode};
use crate::domain::Danger;
use serde::Serialize;

/// A view on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum View {
    /// 1: home.
    Cockpit,
    /// 2
    Instances,
    /// 3
    Traffic,
    /// 4
    Metrics,
    /// 5
    Alerts,
    /// 6
    Checklist,
    /// 7
    Run,
    /// 8
    Logs,
    /// 9
    Timeline,
}

impl View {
    /// All views, in the order of their keys.
    pub const ALL: [Self; 9] = [
        Self::Cockpit,
        Self::Instances,
        Self::Traffic,
        Self::Metrics,
        Self::Alerts,
        Self::Checklist,
        Self::Run,
        Self::Logs,
        Self::Timeline,
    ];

    /// Its key.
    #[must_use]
    pub fn digit(self) -> char {
        match self {
            Self::Cockpit => '1',
            Self::Instances => '2',
            Self::Traffic => '3',
            Self::Metrics => '4',
            Self::Alerts => '5',
            Self::Checklist => '6',
            Self::Run => '7',
            Self::Logs => '8',
            Self::Timeline => '9',
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cockpit => "Cockpit",
            Self::Instances => "Instances",
            Self::Traffic => "Traffic",
            Self::Metrics => "Metrics",
            Self::Alerts => "Alerts",
            Self::Checklist => "Checklist",
            Self::Run => "Runbook",
            Self::Logs => "Logs",
            Self::Timeline => "Timeline",
        }
    }

    /// Its name on a narrow screen.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Cockpit => "Cockpit",
            Self::Instances => "Inst",
            Self::Traffic => "Traf",
            Self::Metrics => "Metr",
            Self::Alerts => "Alert",
            Self::Checklist => "Chk",
            Self::Run => "Run",
            Self::Logs => "Logs",
            Self::Timeline => "Time",
        }
    }
}

/// Everything a key can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum CommandId {
    /// Show a view.
    Show(View),
    /// The view before.
    LastView,
    /// Next row.
    Down,
    /// Row before.
    Up,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// First row.
    Top,
    /// Last row.
    Bottom,
    /// Open or close the details.
    Open,
    /// One level back.
    Back,
    /// Filter the rows.
    Filter,
    /// Sort the rows another way.
    Sort,
    /// Keys and words of this screen.
    Help,
    /// Ask all sources again now.
    Refresh,
    /// Copy what is selected.
    Copy,
    /// Show the query or the exact call behind what is selected.
    Source,
    /// UTC or local time.
    TimeZone,
    /// Draw everything again.
    Redraw,
    /// Suspend to the shell.
    Suspend,
    /// Leave.
    Quit,
    /// Hold the run, at once.
    Hold,
    /// Release the hold.
    Unhold,
    /// Go on: promote one step, or answer the gate.
    Promote,
    /// Back out.
    BackOut,
    /// Arm or disarm.
    Arm,
    /// Answer the selected item of the checklist, or decide about what failed.
    Done,
    /// Say go at the open gate.
    VoteGo,
    /// Say no-go at the open gate.
    VoteNoGo,
    /// Say hold at the open gate.
    VoteHold,
    /// Take back what was said at the gate.
    Withdraw,
    /// End the current wait early.
    Shorten,
    /// Set the release window or a freeze aside.
    Window,
    /// Go back to an earlier step.
    Recycle,
    /// Write a note.
    Memo,
    /// What can be done outside a runbook.
    Verbs,
    /// Take the driver's seat of an unattended run.
    Take,
    /// Silence the selected alert.
    Silence,
    /// End the selected silence.
    EndSilence,
    /// Show silences in place of alerts.
    Silences,
    /// Print the address behind what is selected.
    Link,
    /// The logs of the selected instance; among logs the level.
    Logs,
    /// Logs of one side or of one instance.
    LogSource,
    /// Follow the newest line.
    Follow,
    /// Break long lines.
    Wrap,
    /// The next pattern that only the canary's logs have.
    NewPattern,
    /// Write what is shown into a file.
    Export,
}

/// One line of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// The command.
    pub id: CommandId,
    /// Stable name: palette, keymap files, documentation.
    pub name: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
    /// Its danger.
    pub danger: Danger,
    /// Its default keys.
    pub keys: &'static [Key],
}

const fn spec(id: CommandId, name: &'static str, does: &'static str, danger: Danger, keys: &'static [Key]) -> CommandSpec {
    CommandSpec { id, name, does, danger, keys }
}

/// The registry, in the order of the help.
pub const REGISTRY: &[CommandSpec] = &[
    spec(CommandId::Promote, "promote", "go one step on", Danger::L2, &[Key::char('P')]),
    spec(CommandId::BackOut, "back-out", "canary to 0 %", Danger::L2, &[Key::char('B')]),
    spec(CommandId::Hold, "hold", "stop the run at once, no question", Danger::L0, &[Key::char('H')]),
    spec(CommandId::Unhold, "unhold", "let the run go on", Danger::L1, &[Key::char('U')]),
    spec(CommandId::Arm, "arm", "arm or disarm this cockpit", Danger::L1, &[Key::char('A')]),
    spec(CommandId::Done, "done", "answer, vote, decide", Danger::L1, &[Key::char('D')]),
    spec(CommandId::VoteGo, "vote.go", "GO at the open gate", Danger::L1, &[Key::char('Y')]),
    spec(CommandId::VoteNoGo, "vote.no-go", "NO-GO, with a reason", Danger::L1, &[Key::char('N')]),
    spec(CommandId::VoteHold, "vote.hold", "HOLD, with a reason", Danger::L1, &[Key::char('W')]),
    spec(CommandId::Withdraw, "vote.withdraw", "withdraw what you said", Danger::L1, &[Key::char('C')]),
    spec(CommandId::Shorten, "shorten", "end the wait early", Danger::L1, &[Key::char('S')]),
    spec(CommandId::Window, "window.override", "set the window aside", Danger::L1, &[Key::char('O')]),
    spec(CommandId::Recycle, "recycle", "back to the selected step", Danger::L1, &[Key::char('R')]),
    spec(CommandId::Take, "take", "take the driver's seat", Danger::L1, &[Key::char('T')]),
    spec(CommandId::Memo, "memo", "write a note into the record", Danger::L1, &[Key::char('M')]),
    spec(CommandId::Verbs, "verbs", "act outside a runbook", Danger::L2, &[Key::char('V')]),
    spec(CommandId::Silence, "silence", "silence the selected alert", Danger::L1, &[Key::char('K')]),
    spec(CommandId::EndSilence, "silence.end", "end the selected silence", Danger::L1, &[Key::char('X')]),
    spec(CommandId::Show(View::Cockpit), "view.cockpit", "the cockpit", Danger::L0, &[Key::char('1')]),
    spec(CommandId::Show(View::Instances), "view.instances", "instances", Danger::L0, &[Key::char('2')]),
    spec(CommandId::Show(View::Traffic), "view.traffic", "traffic", Danger::L0, &[Key::char('3')]),
    spec(CommandId::Show(View::Metrics), "view.metrics", "metrics", Danger::L0, &[Key::char('4')]),
    spec(CommandId::Show(View::Alerts), "view.alerts", "alerts", Danger::L0, &[Key::char('5')]),
    spec(CommandId::Show(View::Checklist), "view.checklist", "checklist", Danger::L0, &[Key::char('6')]),
    spec(CommandId::Show(View::Run), "view.run", "runbook", Danger::L0, &[Key::char('7')]),
    spec(CommandId::Show(View::Logs), "view.logs", "logs", Danger::L0, &[Key::char('8')]),
    spec(CommandId::Show(View::Timeline), "view.timeline", "timeline", Danger::L0, &[Key::char('9')]),
    spec(CommandId::LastView, "view.last", "the view before", Danger::L0, &[Key::char('-')]),
    spec(CommandId::Down, "move.down", "next row", Danger::L0, &[Key::plain(KeyCode::Down), Key::char('j')]),
    spec(CommandId::Up, "move.up", "row before", Danger::L0, &[Key::plain(KeyCode::Up), Key::char('k')]),
    spec(CommandId::PageDown, "move.page_down", "a page down", Danger::L0, &[Key::plain(KeyCode::PageDown)]),
    spec(CommandId::PageUp, "move.page_up", "a page up", Danger::L0, &[Key::plain(KeyCode::PageUp)]),
    spec(CommandId::Top, "move.top", "first row", Danger::L0, &[Key::char('g'), Key::plain(KeyCode::Home)]),
    spec(CommandId::Bottom, "move.bottom", "last row", Danger::L0, &[Key::char('G'), Key::plain(KeyCode::End)]),
    spec(CommandId::Open, "open", "details", Danger::L0, &[Key::plain(KeyCode::Enter), Key::char('d')]),
    spec(CommandId::Back, "back", "one level back", Danger::L0, &[Key::plain(KeyCode::Esc)]),
    spec(CommandId::Filter, "filter", "filter rows", Danger::L0, &[Key::char('/')]),
    spec(CommandId::Sort, "sort", "sort another way", Danger::L0, &[Key::char('s')]),
    spec(CommandId::Logs, "logs", "logs; there: level", Danger::L0, &[Key::char('l')]),
    spec(CommandId::LogSource, "logs.source", "side or instance", Danger::L0, &[Key::char('i')]),
    spec(CommandId::Follow, "follow", "follow the newest", Danger::L0, &[Key::char('f')]),
    spec(CommandId::Wrap, "wrap", "break long lines", Danger::L0, &[Key::char('w')]),
    spec(CommandId::NewPattern, "match.next", "next new pattern", Danger::L0, &[Key::char('n')]),
    spec(CommandId::Export, "export", "export to a file", Danger::L0, &[Key::char('e')]),
    spec(CommandId::Help, "help", "keys and words", Danger::L0, &[Key::char('?'), Key::plain(KeyCode::F(1))]),
    spec(CommandId::Refresh, "refresh", "ask all sources now", Danger::L0, &[Key::char('r')]),
    spec(CommandId::Silences, "silences", "silences or alerts", Danger::L0, &[Key::char('v')]),
    spec(CommandId::Link, "link", "print the address", Danger::L0, &[Key::char('o')]),
    spec(CommandId::Copy, "copy", "copy the selected", Danger::L0, &[Key::char('y')]),
    spec(CommandId::Source, "source", "query or exact call", Danger::L0, &[Key::char('u')]),
    spec(CommandId::TimeZone, "time.toggle", "UTC or local time", Danger::L0, &[Key::char('z')]),
    spec(CommandId::Redraw, "redraw", "draw again", Danger::L0, &[Key::ctrl('l')]),
    spec(CommandId::Suspend, "suspend", "to the shell", Danger::L0, &[Key::ctrl('z')]),
    spec(CommandId::Quit, "quit", "leave; traffic stays", Danger::L0, &[Key::char('q'), Key::ctrl('c')]),
];

/// What a key means.
#[must_use]
pub fn lookup(key: Key) -> Option<&'static CommandSpec> {
    REGISTRY.iter().find(|spec| spec.keys.contains(&key))
}

/// The line of a command.
#[must_use]
pub fn spec_of(id: CommandId) -> Option<&'static CommandSpec> {
    REGISTRY.iter().find(|spec| spec.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_key_means_two_things() {
        let mut seen = BTreeSet::new();
        for key in REGISTRY.iter().flat_map(|s| s.keys) {
            assert!(seen.insert(key), "{key} is bound twice");
        }
    }

    #[test]
    fn only_capitals_can_change_anything_outside() {
        for spec in REGISTRY {
            let writes = spec.danger > Danger::L0 || spec.id == CommandId::Hold;
            for key in spec.keys {
                let capital = key.printable().is_some_and(char::is_uppercase);
                assert!(!writes || capital, "{} is bound to {key}", spec.name);
                assert!(writes || !capital || spec.id == CommandId::Bottom, "{} does not write, yet has capital {key}", spec.name);
            }
        }
    }

    #[test]
    fn no_default_key_belongs_to_a_multiplexer_or_the_line_discipline() {
        for key in REGISTRY.iter().flat_map(|s| s.keys).filter(|k| k.ctrl || k.alt) {
            assert!(!key.alt && matches!(key.code, KeyCode::Char('c' | 'l' | 'z')), "{key} is reserved");
        }
    }
}
