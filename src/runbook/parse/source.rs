//! The text of a file, and where in it a part of a value stands.

use super::node::{Node, Span};

/// More blank lines than this at the head of a block are not skipped to find its first word.
const MOST_BLANK: usize = 100;

/// The text with its lines.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    text: &'t str,
    /// Byte offset at which each line starts.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let breaks = *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
            if breaks {
                lines.push(i + 1);
            }
        }
        Self { text, lines }
    }

    /// A line without its end, from 1.
    pub(crate) fn line(&self, number: u32) -> &'t str {
        let index = (number as usize).saturating_sub(1);
        let Some(start) = self.lines.get(index).copied() else { return "" };
        let end = self.lines.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// The place of a byte of the file.
    fn place(&self, byte: usize, length: u32) -> Span {
        let index = self.lines.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.lines.get(index).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(0, |before| before.chars().filter(|c| *c != '\u{feff}').count());
        Span { line: index as u32 + 1, column: column as u32 + 1, length }
    }

    /// The place of a part of a scalar's text, given in bytes of that text. Where escapes or folding make that unclear it is the scalar itself.
    pub(crate) fn within(&self, node: &Node, start: usize, end: usize) -> Span {
        let Some(scalar) = node.scalar() else { return node.span };
        let Some(part) = scalar.text.get(start..end) else { return node.span };
        let length = part.lines().next().unwrap_or_default().chars().count() as u32;
        if scalar.literal {
            return self.within_literal(node, &scalar.text, start, length).unwrap_or(node.span);
        }
        let raw = self.text.get(scalar.bytes.clone()).unwrap_or_default();
        if let Some(lead) = raw.find(scalar.text.as_str()) {
            return self.place(scalar.bytes.start + lead + start, length);
        }
        // Escaped or folded: the same part, counted among its repetitions, stands in the source too.
        let nth = scalar.text.get(..start).map_or(0, |before| before.matches(part).count());
        match raw.match_indices(part).nth(nth) {
            Some((found, _)) if !part.is_empty() => self.place(scalar.bytes.start + found, length),
            _ => node.span,
        }
    }

    fn within_literal(&self, node: &Node, text: &str, start: usize, length: u32) -> Option<Span> {
        let before = text.get(..start)?;
        let above = before.matches('\n').count() as u32;
        // The block begins somewhere before its first line with content, which is in the text and in the file.
        let blank = text.split('\n').take_while(|line| line.trim().is_empty()).count() as u32;
        let first = (node.span.line..).take(MOST_BLANK).find(|line| !self.line(*line).trim().is_empty())?;
        let line = (first + above).checked_sub(blank)?;
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let content = text.get(line_start..)?.split('\n').next()?;
        let indent = self.line(line).strip_suffix(content)?.chars().count();
        let column = text.get(line_start..start)?.chars().count();
        Some(Span { line, column: (indent + column) as u32 + 1, length })
    }
}
