//! Everything found in a file, collected.

use super::node::Span;
use crate::domain::{Diagnostic, Severity, text};

/// More findings than this help nobody.
const MOST: usize = 200;

/// The findings of one file.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    found: Vec<Diagnostic>,
    errors: usize,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: text::clean_bounded(file, 300), found: Vec::new(), errors: 0 }
    }

    /// The file cannot be used.
    pub(crate) fn error(&mut self, rule: &'static str, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.errors += 1;
        self.push(rule, Severity::Error, span, message.as_ref(), help.as_ref());
    }

    /// Worth knowing.
    pub(crate) fn warning(&mut self, rule: &'static str, span: Span, message: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(rule, Severity::Warning, span, message.as_ref(), help.as_ref());
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    fn push(&mut self, rule: &'static str, severity: Severity, span: Span, message: &str, help: &str) {
        // Text of the file stands in messages: it may hold anything.
        self.found.push(Diagnostic {
            rule: rule.to_owned(),
            severity,
            file: self.file.clone(),
            line: span.line,
            column: span.column,
            length: span.length,
            message: text::clean_bounded(message, 400),
            help: (!help.is_empty()).then(|| text::clean_bounded(help, 400)),
        });
    }

    /// All findings in the order of the file, each once.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| {
            (a.line, a.column, std::cmp::Reverse(a.severity), &a.rule).cmp(&(b.line, b.column, std::cmp::Reverse(b.severity), &b.rule))
        });
        self.found.dedup();
        // What an alias stands for is not read, so whatever else is said about its place is an echo.
        let aliases: Vec<(u32, u32)> = self.found.iter().filter(|d| d.rule == "alias").map(|d| (d.line, d.column)).collect();
        self.found.retain(|d| d.rule == "alias" || !aliases.contains(&(d.line, d.column)));
        if self.found.len() > MOST {
            // Warnings go first: errors are what must be mended.
            let errors: Vec<Diagnostic> = self.found.iter().filter(|d| d.severity == Severity::Error).cloned().collect();
            if !errors.is_empty() {
                self.found = errors;
            }
            self.found.truncate(MOST);
        }
        self.found
    }
}
