//! Terminal events -> keys of the core, and the text area for memos, reasons, answers and filters.
//!
//! Typed confirmations never pass through the text area: they have their own field in the core, which refuses pastes and bursts.

use crate::app::key::{Key, KeyCode};
use crate::domain::text::clean;
use crossterm::event::{self as term, KeyEventKind, KeyModifiers};
use tui_textarea::{CursorMove, TextArea};

/// The key of a press; `None` for releases, repeats that the terminal marks as such, and keys that nothing here uses.
#[must_use]
pub fn key_of(event: &term::KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let code = match event.code {
        term::KeyCode::Char(c) => KeyCode::Char(c),
        term::KeyCode::Enter => KeyCode::Enter,
        term::KeyCode::Esc => KeyCode::Esc,
        term::KeyCode::Tab => KeyCode::Tab,
        term::KeyCode::BackTab => KeyCode::BackTab,
        term::KeyCode::Backspace => KeyCode::Backspace,
        term::KeyCode::Delete => KeyCode::Delete,
        term::KeyCode::Up => KeyCode::Up,
        term::KeyCode::Down => KeyCode::Down,
        term::KeyCode::Left => KeyCode::Left,
        term::KeyCode::Right => KeyCode::Right,
        term::KeyCode::Home => KeyCode::Home,
        term::KeyCode::End => KeyCode::End,
        term::KeyCode::PageUp => KeyCode::PageUp,
        term::KeyCode::PageDown => KeyCode::PageDown,
        term::KeyCode::F(n) => KeyCode::F(n),
        _ => return None,
    };
    let has = |m| event.modifiers.contains(m);
    // Some terminals report a capital as a small letter with Shift.
    let code = match code {
        KeyCode::Char(c) if has(KeyModifiers::SHIFT) && c.is_lowercase() && !has(KeyModifiers::CONTROL) => {
            KeyCode::Char(c.to_uppercase().next().unwrap_or(c))
        }
        KeyCode::Char(c) if has(KeyModifiers::CONTROL) => KeyCode::Char(c.to_ascii_lowercase()),
        other => other,
    };
    let other = KeyModifiers::SUPER | KeyModifiers::HYPER | KeyModifiers::META;
    if event.modifiers.intersects(other) {
        return None;
    }
    Some(Key { code, ctrl: has(KeyModifiers::CONTROL), alt: has(KeyModifiers::ALT) })
}

/// What a key did to a text field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// The text is another one now.
    Changed,
    /// Only the cursor moved, or nothing happened.
    Same,
    /// The text is finished (Enter).
    Sent,
    /// The text is to be thrown away (Esc).
    Cancelled,
}

/// A text being written.
#[derive(Debug, Clone)]
pub struct TextField {
    area: TextArea<'static>,
    is_multi_line: bool,
}

/// No text is longer than this.
const MOST: usize = 4000;

impl TextField {
    /// A field of one line: Enter sends it.
    #[must_use]
    pub fn single_line(text: &str) -> Self {
        Self::with(text, false)
    }

    /// A field of several lines: Enter sends it, Alt-Enter or Ctrl-J begins a new line.
    #[must_use]
    pub fn multi_line(text: &str) -> Self {
        Self::with(text, true)
    }

    fn with(text: &str, is_multi_line: bool) -> Self {
        let mut field = Self { area: TextArea::default(), is_multi_line };
        field.paste(text);
        field.area.move_cursor(CursorMove::End);
        field
    }

    /// A key.
    pub fn key(&mut self, key: Key) -> Edited {
        let is_new_line = self.is_multi_line && ((key.code == KeyCode::Enter && key.alt) || key == Key::ctrl('j'));
        match key.code {
            KeyCode::Esc => return Edited::Cancelled,
            _ if is_new_line => {
                self.area.insert_newline();
                return Edited::Changed;
            }
            KeyCode::Enter => return Edited::Sent,
            _ => {}
        }
        if key.printable().is_some() && self.text().chars().count() >= MOST {
            return Edited::Same;
        }
        let Some(input) = input_of(key) else { return Edited::Same };
        if self.area.input(input) { Edited::Changed } else { Edited::Same }
    }

    /// Pasted text: cleaned, cut to what fits, lines joined in a field of one line.
    pub fn paste(&mut self, text: &str) {
        let room = MOST.saturating_sub(self.text().chars().count());
        let lines: Vec<String> = text.replace("\r\n", "\n").split(['\n', '\r']).map(|l| clean(l).into_owned()).collect();
        let joined = lines.join(if self.is_multi_line { "\n" } else { " " });
        let bounded: String = joined.chars().take(room).collect();
        self.area.insert_str(bounded);
    }

    /// The text, without anything that could steer a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.area.lines().iter().map(|l| clean(l).into_owned()).collect();
        lines.join("\n")
    }

    /// The area, for drawing it with its cursor.
    #[must_use]
    pub fn area(&self) -> &TextArea<'static> {
        &self.area
    }
}

fn input_of(key: Key) -> Option<tui_textarea::Input> {
    use tui_textarea::Key as Other;
    let other = match key.code {
        KeyCode::Char(c) => Other::Char(c),
        KeyCode::Backspace => Other::Backspace,
        KeyCode::Delete => Other::Delete,
        KeyCode::Up => Other::Up,
        KeyCode::Down => Other::Down,
        KeyCode::Left => Other::Left,
        KeyCode::Right => Other::Right,
        KeyCode::Home => Other::Home,
        KeyCode::End => Other::End,
        KeyCode::PageUp => Other::PageUp,
        KeyCode::PageDown => Other::PageDown,
        KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab | KeyCode::F(_) => return None,
    };
    // Control characters have no place in a text; Ctrl-M would be another line.
    (!(key.ctrl && key.code == KeyCode::Char('m'))).then_some(tui_textarea::Input {
        key: other,
        ctrl: key.ctrl,
        alt: key.alt,
        shift: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::{KeyEvent, KeyEventState};

    fn event(code: term::KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent { code, modifiers, kind: KeyEventKind::Press, state: KeyEventState::NONE }
    }

    #[test]
    fn capitals_arrive_as_capitals_however_the_terminal_tells_them() {
        let capital = Some(Key::char('P'));
        assert_eq!(key_of(&event(term::KeyCode::Char('P'), KeyModifiers::SHIFT)), capital);
        assert_eq!(key_of(&event(term::KeyCode::Char('p'), KeyModifiers::SHIFT)), capital);
        assert_eq!(key_of(&event(term::KeyCode::Char('P'), KeyModifiers::NONE)), capital);
        assert_eq!(key_of(&event(term::KeyCode::Char('p'), KeyModifiers::NONE)), Some(Key::char('p')));
    }

    #[test]
    fn no_modifier_turns_a_key_into_a_capital_that_writes() {
        assert_eq!(key_of(&event(term::KeyCode::Char('b'), KeyModifiers::CONTROL)), Some(Key::ctrl('b')));
        assert_eq!(key_of(&event(term::KeyCode::Char('B'), KeyModifiers::CONTROL | KeyModifiers::SHIFT)), Some(Key::ctrl('b')));
        assert_eq!(key_of(&event(term::KeyCode::Char('B'), KeyModifiers::SUPER)), None);
    }

    #[test]
    fn a_release_is_no_key() {
        let mut release = event(term::KeyCode::Char('B'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(key_of(&release), None);
    }

    #[test]
    fn text_is_written_pasted_and_sent() {
        let mut field = TextField::single_line("ab");
        assert_eq!(field.key(Key::char('c')), Edited::Changed);
        assert_eq!(field.key(Key::plain(KeyCode::Backspace)), Edited::Changed);
        assert_eq!(field.key(Key::plain(KeyCode::Left)), Edited::Same);
        field.paste("1\u{1b}[31m2\n3");
        assert_eq!(field.text(), "a12 3b");
        assert_eq!(field.key(Key::plain(KeyCode::Enter)), Edited::Sent);
        assert_eq!(field.key(Key::plain(KeyCode::Esc)), Edited::Cancelled);
    }

    #[test]
    fn only_a_field_of_several_lines_has_several() {
        let mut field = TextField::multi_line("a");
        assert_eq!(field.key(Key { code: KeyCode::Enter, ctrl: false, alt: true }), Edited::Changed);
        assert_eq!(field.key(Key::char('b')), Edited::Changed);
        assert_eq!(field.text(), "a\nb");
        let mut field = TextField::single_line("a");
        assert_eq!(field.key(Key::ctrl('m')), Edited::Same);
        assert!(!field.text().contains('\n'));
    }

    #[test]
    fn a_text_has_an_end() {
        let mut field = TextField::multi_line(&"x".repeat(10_000));
        assert_eq!(field.text().len(), MOST);
        assert_eq!(field.key(Key::char('y')), Edited::Same);
    }
}
