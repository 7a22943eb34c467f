//! The terminal: taken over, and given back whatever happens.

use crossterm::{cursor, event, execute, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, IsTerminal as _, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours now. One per process, because there is one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal went away. What is still drawn then is thrown away: there is nobody to see it, and nobody to complain to.
static GONE: AtomicBool = AtomicBool::new(false);

/// Standard output as long as somebody is there.
///
/// An error of a terminal that is gone must not come back from here: the screen complains about it on standard error when it is
/// dropped, which is gone as well, and the program would end with a panic instead of a hang-up.
#[derive(Debug)]
pub(super) struct Out(Stdout);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_gone(self.0.flush(), ())
    }
}

/// The result, or `otherwise` from a terminal that is gone.
fn unless_gone<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
    let hung_up = |error: &io::Error| {
        use rustix::io::Errno;
        let codes = [Errno::IO, Errno::NXIO, Errno::NOTTY, Errno::PIPE, Errno::BADF];
        error.raw_os_error().is_some_and(|code| codes.iter().any(|c| c.raw_os_error() == code))
    };
    match result {
        Err(error) if hung_up(&error) => {
            GONE.store(true, Ordering::SeqCst);
            Ok(otherwise)
        }
        other => other,
    }
}

/// Whether the terminal went away while something was drawn.
pub(super) fn is_gone() -> bool {
    GONE.load(Ordering::SeqCst)
}

/// The screen while we have it.
pub(super) type Screen = Terminal<CrosstermBackend<Out>>;

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
        let mut screen = Terminal::new(CrosstermBackend::new(Out(io::stdout())))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_is_gone_is_no_error_and_any_other_trouble_is() {
        let gone = || io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        assert_eq!(unless_gone(Err(gone()), 7).ok(), Some(7));
        assert!(is_gone());
        assert!(unless_gone::<usize>(Err(io::Error::from(io::ErrorKind::StorageFull)), 7).is_err());
    }
}
