//! The terminal: taken over, and given back whatever happens.

use crossterm::{cursor, event, execute, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours now. One per process, because there is one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The screen while we have it.
pub(super) type Screen = Terminal<CrosstermBackend<Stdout>>;

/// Gives the terminal back when dropped.
#[derive(Debug)]
pub(super) struct Guard(());

impl Guard {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste.
    pub(super) fn take() -> io::Result<(Self, Screen)> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other("standard input and output must be a terminal (gonogo status works without)"));
        }
        enter()?;
        let guard = Self(());
        let mut screen = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let area = screen.size()?;
        screen.resize(area.into())?;
        Ok((guard, screen))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Takes the terminal (again).
pub(super) fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    // The title is saved and given back: XTWINOPS 22 and 23.
    let mut out = io::stdout();
    out.write_all(b"\x1b[22;0t")?;
    execute!(out, terminal::EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide)
}

/// Gives the terminal back. Does nothing the second time, and never fails: there is nobody left to tell.
pub(super) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, event::DisableBracketedPaste, terminal::LeaveAlternateScreen, cursor::Show);
    let _ = out.write_all(b"\x1b[23;0t");
    let _ = out.flush();
    let _ = terminal::disable_raw_mode();
}

/// A panic gives the terminal back before its message is printed.
pub fn install_panic_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}

/// Sets the title: sanitised, because it leaves the cells.
pub(super) fn set_title(title: &str) {
    let clean = crate::domain::text::clean_bounded(title, 80);
    let _ = execute!(io::stdout(), terminal::SetTitle(clean));
}
