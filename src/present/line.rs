//! Lines of roles: the smallest piece of view data.

use crate::domain::Verdict;
use crate::domain::text::{self, clean, fit, width};

/// What a piece of text means. Screens name roles; only a theme knows colours and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Primary,
    /// Text that matters less.
    Secondary,
    /// Something that is off; the reason stands beside it.
    Disabled,
    /// A key in a hint.
    HintKey,
    /// A frame around something.
    Border,
    /// The frame of what takes the keys.
    Focus,
    /// The selected row.
    Select,
    /// A limit in a chart.
    Threshold,
    /// Good.
    Ok,
    /// Near a limit.
    Watch,
    /// Bad.
    Bad,
    /// Not known.
    Unknown,
    /// Known once, too old now.
    Stale,
    /// Neither good nor bad: waiting, a remark.
    Info,
    /// The canary's series and share.
    Canary,
    /// The baseline's series and share.
    Baseline,
    /// A value over its limit.
    Breach,
    /// The first row.
    Identity,
    /// Mark of a protected environment.
    EnvProtected,
    /// Mark of a shared environment.
    EnvShared,
    /// Mark of a private environment.
    EnvPrivate,
    /// Looking on.
    ModeObserve,
    /// May act.
    ModeArmed,
    /// Holds no credentials.
    ModeSpectator,
    /// Small and reversible.
    DangerL1,
    /// Moves production.
    DangerL2,
    /// Overrides, or cannot be undone.
    DangerL3,
    /// Somebody has to act now.
    BannerIncident,
    /// What is shown is not now.
    BannerStale,
}

impl Role {
    /// The role of a verdict's word.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Go => Self::Ok,
            Verdict::Watch => Self::Watch,
            Verdict::Hold => Self::Info,
            Verdict::Unknown => Self::Unknown,
            Verdict::NoGo => Self::Bad,
        }
    }
}

/// How a role is put on: a word must stay readable in every palette, a mark is one cell or a bar, a badge is a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Paint {
    /// A word: attributes only.
    #[default]
    Word,
    /// A glyph or a bar: may be coloured.
    Mark,
    /// A reversed block.
    Badge,
}

/// A piece of text in one role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Text without anything that could steer a terminal.
    pub text: String,
    /// What it means.
    pub role: Role,
    /// How the role is put on.
    pub paint: Paint,
}

/// Spans from left to right. Text is cleaned on its way in, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// From left to right.
    pub spans: Vec<Span>,
}

impl Line {
    /// A line of ordinary text.
    #[must_use]
    pub fn of(text: impl AsRef<str>) -> Self {
        Self::default().text(text)
    }

    /// Appends ordinary text.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.span(text, Role::Primary, Paint::Word)
    }

    /// Appends a word in a role.
    #[must_use]
    pub fn word(self, role: Role, text: impl AsRef<str>) -> Self {
        self.span(text, role, Paint::Word)
    }

    /// Appends a glyph or a bar in a role.
    #[must_use]
    pub fn mark(self, role: Role, text: impl AsRef<str>) -> Self {
        self.span(text, role, Paint::Mark)
    }

    /// Appends a reversed block in a role.
    #[must_use]
    pub fn badge(self, role: Role, text: impl AsRef<str>) -> Self {
        self.span(text, role, Paint::Badge)
    }

    fn span(mut self, text: impl AsRef<str>, role: Role, paint: Paint) -> Self {
        let text = clean(text.as_ref());
        if text.is_empty() {
            return self;
        }
        match self.spans.last_mut() {
            Some(last) if last.role == role && last.paint == paint => last.text.push_str(&text),
            _ => self.spans.push(Span { text: text.into_owned(), role, paint }),
        }
        self
    }

    /// Appends another line.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        self
    }

    /// Appends blanks up to this width, at least one when there is text already.
    #[must_use]
    pub fn column(self, cells: usize) -> Self {
        let used = self.width();
        let missing = if used < cells { cells - used } else { usize::from(used > 0) };
        self.text(" ".repeat(missing))
    }

    /// Width in cells.
    #[must_use]
    pub fn width(&self) -> usize {
        self.spans.iter().map(|s| width(&s.text)).sum()
    }

    /// Whether it shows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.iter().all(|s| s.text.is_empty())
    }

    /// The text without roles.
    #[must_use]
    pub fn plain(&self) -> String {
        self.spans.iter().map(|s| s.text.as_str()).collect()
    }

    /// Cut to at most `cells` cells, with a mark at the cut.
    #[must_use]
    pub fn fit(mut self, cells: usize) -> Self {
        let mut left = cells;
        for i in 0..self.spans.len() {
            let w = width(&self.spans[i].text);
            if w > left {
                let cut = fit(&self.spans[i].text, left).into_owned();
                self.spans[i].text = cut;
                self.spans.truncate(i + 1);
                return self;
            }
            // Room that ends exactly at a span's end must still show that something follows.
            if w == left && self.spans[i + 1..].iter().any(|s| !s.text.trim().is_empty()) {
                let cut = fit(&format!("{}~", self.spans[i].text), left).into_owned();
                self.spans[i].text = cut;
                self.spans.truncate(i + 1);
                return self;
            }
            left -= w;
        }
        self
    }

    /// In exactly `cells` cells.
    #[must_use]
    pub fn pad(self, cells: usize) -> Self {
        let line = self.fit(cells);
        let missing = cells.saturating_sub(line.width());
        line.text(" ".repeat(missing))
    }

    /// `left` and `right` at the two ends of `cells` cells. The right end is never cut for the left one.
    #[must_use]
    pub fn between(left: Self, right: Self, cells: usize) -> Self {
        let right = right.fit(cells);
        let room = cells.saturating_sub(right.width());
        let left = left.fit(room.saturating_sub(usize::from(!right.is_empty())));
        left.pad(room).then(right)
    }

    /// The whole line as the selected row.
    #[must_use]
    pub fn selected(mut self) -> Self {
        for span in &mut self.spans {
            span.role = Role::Select;
            span.paint = Paint::Word;
        }
        self
    }
}

/// The text in exactly `cells` cells. Cleaned before it is measured, so that columns stay columns.
#[must_use]
pub(super) fn pad(text: &str, cells: usize) -> String {
    text::pad(&clean(text), cells)
}

/// A text broken at blanks into lines of at most `cells` cells; words longer than a line are cut into pieces.
#[must_use]
pub(super) fn wrap(text: &str, cells: usize, most: usize) -> Vec<String> {
    let text = clean(text);
    let cells = cells.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > cells {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > cells {
            let ends = || word.char_indices().map(|(i, c)| i + c.len_utf8());
            // One character at least, even where it is wider than the line.
            let Some(at) = ends().take_while(|i| width(&word[..*i]) <= cells).last().or_else(|| ends().next()) else { break };
            lines.push(word[..at].to_owned());
            word = &word[at..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if lines.len() > most {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        let following = lines.swap_remove(most);
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            // Together they are too wide, so the cut is marked.
            *last = fit(&format!("{last} {following}"), cells).into_owned();
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_never_get_into_a_span() {
        let line = Line::of("a\u{1b}[31mb").word(Role::Bad, "\u{9b}2Jc\n");
        assert_eq!(line.plain(), "abc ");
    }

    #[test]
    fn the_right_end_survives_a_long_left_one() {
        let line = Line::between(Line::of("a very long text"), Line::of("12s"), 10);
        assert_eq!(line.plain(), "a ver~ 12s");
    }

    #[test]
    fn a_cut_at_a_border_of_spans_is_marked_too() {
        let line = Line::of("abc").word(Role::Bad, "def").fit(3);
        assert_eq!(line.plain(), "ab~");
    }

    #[test]
    fn wrapping_breaks_at_blanks_and_says_when_something_is_missing() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3, 9), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("one two three four", 7, 2), ["one two", "three ~"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_cells(a in ".{0,30}", b in ".{0,30}", cells in 0usize..40) {
            let two = Line::between(Line::of(&a), Line::of(&b), cells);
            prop_assert_eq!(two.width(), cells);
            prop_assert!(Line::of(&a).word(Role::Bad, &b).fit(cells).width() <= cells);
            for line in wrap(&a, cells, 5) {
                prop_assert!(width(&line) <= cells.max(2), "{:?}", line);
            }
        }
    }
}
