//! Text that came from outside, made safe and fitted to cells.

use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Removes what could steer a terminal or hide text: control characters (C0, C1, DEL) with the escape sequences they start,
/// and bidirectional and zero-width format characters. Line breaks and tabs become a blank.
///
/// Every text from outside passes here before it reaches a cell, a title, a log or an export.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// [`clean`], and cut to at most `most` characters (with `~` at the cut): for texts of unbounded length.
#[must_use]
pub fn clean_bounded(text: &str, most: usize) -> String {
    let head: String = text.chars().take(most.saturating_mul(4)).collect();
    let clean = clean(&head);
    if clean.chars().count() <= most && head.len() == text.len() {
        return clean.into_owned();
    }
    let mut cut: String = clean.chars().take(most.saturating_sub(1)).collect();
    cut.push('~');
    cut
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e007f}')
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        // OSC, DCS, SOS, PM, APC: up to BEL or ST. An unterminated one takes the rest: it could hide anything.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    if chars.peek() == Some(&'\\') {
                        chars.next();
                    }
                    break;
                }
            }
        }
        Some(c) if c.is_ascii() && !c.is_control() => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(&c) = chars.peek() {
        if ('\u{20}'..='\u{3f}').contains(&c) {
            chars.next();
        } else {
            if ('\u{40}'..='\u{7e}').contains(&c) {
                chars.next();
            }
            break;
        }
    }
}

/// Width of a text in cells.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `cells` cells, with `~` in the last one when something was cut. Never splits a grapheme.
#[must_use]
pub fn fit(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let w = width(grapheme);
        if used + w > cells - 1 {
            break;
        }
        out.push_str(grapheme);
        used += w;
    }
    out.push('~');
    Cow::Owned(out)
}

/// The text in exactly `cells` cells: cut like [`fit`], or filled with blanks at the right.
#[must_use]
pub fn pad(text: &str, cells: usize) -> String {
    let mut out = fit(text, cells).into_owned();
    for _ in width(&out)..cells {
        out.push(' ');
    }
    out
}

/// A duration for people: `7s`, `4m10s`, `2h05m`, `6d04h`.
#[must_use]
pub fn span(duration: std::time::Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A duration as a clock: `06:41`, `1:02:03`.
#[must_use]
pub fn clock(duration: std::time::Duration) -> String {
    let s = duration.as_secs();
    if s < 3600 { format!("{:02}:{:02}", s / 60, s % 60) } else { format!("{}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_disappear_with_their_payload() {
        assert_eq!(clean("pod\u{1b}[31mred\u{1b}[0m"), "podred");
        assert_eq!(clean("a\u{1b}]0;title\u{7}b"), "ab");
        assert_eq!(clean("a\u{1b}]52;c;AAAA\u{1b}\\b"), "ab");
        assert_eq!(clean("a\u{9b}2Jb"), "ab");
        assert_eq!(clean("one\ntwo\tthree"), "one two three");
        assert_eq!(clean("\u{202e}evil\u{200b}"), "evil");
    }

    #[test]
    fn fit_counts_cells_and_keeps_graphemes() {
        assert_eq!(fit("checkout", 8), "checkout");
        assert_eq!(fit("checkout", 5), "chec~");
        assert_eq!(fit("日本語", 4), "日~");
        assert_eq!(pad("日", 4), "日  ");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_survives(text in "\\PC*|[\\x00-\\x9f]{0,40}|.{0,40}") {
            prop_assert!(!clean(&text).chars().any(is_unsafe));
        }

        #[test]
        fn fit_never_exceeds_its_cells(text in ".{0,60}", cells in 0usize..40) {
            prop_assert!(width(&fit(&clean(&text), cells)) <= cells);
        }
    }
}
