//! Reading TOML with places: every value is asked for once, and whatever nobody asked for is an unknown key.

use crate::domain::{Diagnostic, Severity, text};
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest text value, in characters.
const LONGEST_TEXT: usize = 8 * 1024;

/// A place in the file, in bytes.
pub(super) type Span = Range<usize>;

/// The file, and what was found wrong with it so far.
pub(super) struct Source<'s> {
    text: &'s str,
    file: String,
    folder: PathBuf,
    found: RefCell<Vec<Diagnostic>>,
}

/// A text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Span,
}

impl<'s> Source<'s> {
    pub(super) fn new(text: &'s str, path: &Path) -> Self {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { text, file: path.display().to_string(), folder, found: RefCell::default() }
    }

    /// The file as a tree; `None`, with everything that is wrong, when it is no TOML.
    pub(super) fn document(&self) -> Option<Spanned<DeTable<'s>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.report("syntax", span, text::clean_bounded(error.message(), 200), None);
        }
        errors.is_empty().then_some(document)
    }

    pub(super) fn report(&self, rule: &str, span: Span, message: String, help: Option<&str>) {
        let (line, column) = self.place(span.start);
        let length = self.text.get(span).map_or(0, |t| t.lines().next().unwrap_or_default().chars().count());
        self.found.borrow_mut().push(Diagnostic {
            rule: rule.to_owned(),
            severity: Severity::Error,
            file: self.file.clone(),
            line,
            column,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            message,
            help: help.map(str::to_owned),
        });
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn place(&self, byte: usize) -> (u32, u32) {
        let before = self.text.get(..byte.min(self.text.len())).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The place `position` characters into a text value, where the file writes it without escapes; else the whole value.
    pub(super) fn inside(&self, value: &Text, position: usize) -> Span {
        let written = self.text.get(value.span.clone()).unwrap_or_default();
        let byte = value.value.char_indices().nth(position).map_or(value.value.len(), |(byte, _)| byte);
        match written.find(&value.value) {
            Some(offset) if !value.value.is_empty() => {
                let start = value.span.start + offset + byte;
                start..start + usize::from(byte < value.value.len())
            }
            _ => value.span.clone(),
        }
    }

    /// A path of the file; relative ones start from the file's folder.
    pub(super) fn path(&self, value: &str) -> PathBuf {
        match value.strip_prefix("~/").zip(directories::BaseDirs::new()) {
            Some((rest, dirs)) => dirs.home_dir().join(rest),
            None => self.folder.join(value),
        }
    }

    /// Everything found, in the order of the file.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|d| (d.line, d.column));
        found
    }
}

/// `did you mean "…"?`, when one of the candidates is near.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    let near = candidates.map(|c| (strsim::damerau_levenshtein(word, c), c)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= (word.chars().count() / 3).max(1)).then(|| format!("did you mean {:?}?", near.1))
}

/// A table with its name for messages. Keys that are asked for are known; [`Table::finish`] reports the others.
pub(super) struct Table<'s, 't> {
    source: &'t Source<'s>,
    name: &'static str,
    entries: &'t DeTable<'s>,
    span: Span,
    known: RefCell<Vec<&'static str>>,
}

impl<'s, 't> Table<'s, 't> {
    pub(super) fn new(source: &'t Source<'s>, name: &'static str, entries: &'t DeTable<'s>, span: Span) -> Self {
        Self { source, name, entries, span, known: RefCell::default() }
    }

    pub(super) fn source(&self) -> &'t Source<'s> {
        self.source
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The value of a key, which is known from now on.
    pub(super) fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'s>>> {
        self.known.borrow_mut().push(key);
        self.entries.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Reports that a key is missing, unless it is there (then its value has been reported).
    pub(super) fn missing(&self, key: &'static str) {
        if !self.has(key) {
            self.source.report("missing-key", self.span(), format!("{} needs `{key}`", self.name), None);
        }
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let message = format!("`{key}` is {wanted}, not {}", a_type(value.get_ref()));
        self.source.report("type", value.span(), message, None);
    }

    /// A text: not empty, bounded, without control characters.
    pub(super) fn text(&self, key: &'static str) -> Option<Text> {
        let text = self.long_text(key)?;
        if text.value.contains(['\n', '\t']) {
            self.source.report("text", text.span, format!("`{key}` is one line of text"), None);
            return None;
        }
        Some(text)
    }

    /// A text that may have several lines.
    pub(super) fn long_text(&self, key: &'static str) -> Option<Text> {
        let value = self.get(key)?;
        let DeValue::String(content) = value.get_ref() else {
            self.wrong_type(key, value, "a text");
            return None;
        };
        let problem = if content.trim().is_empty() {
            "is empty"
        } else if content.chars().count() > LONGEST_TEXT {
            "is too long"
        } else if content.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            "has control characters in it"
        } else {
            return Some(Text { value: content.clone().into_owned(), span: value.span() });
        };
        self.source.report("text", value.span(), format!("`{key}` {problem}"), None);
        None
    }

    /// A list of texts; empty when absent.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Text> {
        let Some(value) = self.get(key) else { return vec![] };
        let DeValue::Array(items) = value.get_ref() else {
            self.source.report("type", value.span(), format!("`{key}` is a list of texts"), None);
            return vec![];
        };
        let mut texts = vec![];
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Text { value: text.to_string(), span: item.span() }),
                _ => self.source.report("type", item.span(), format!("an entry of `{key}` is a text"), None),
            }
        }
        texts
    }

    pub(super) fn required_text(&self, key: &'static str) -> Option<Text> {
        let text = self.text(key);
        if text.is_none() {
            self.missing(key);
        }
        text
    }

    /// A name that appears in ids and on command lines.
    pub(super) fn required_name(&self, key: &'static str) -> Option<Text> {
        let name = self.required_text(key)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.value.len() > 63 || !name.value.chars().all(fits) || !name.value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let help = Some("use letters, digits, `-`, `_` and `.`, at most 63");
            self.source.report("name", name.span, format!("`{key}` is no name"), help);
            return None;
        }
        Some(name)
    }

    pub(super) fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|text| self.source.path(&text.value))
    }

    /// An http or https address without credentials.
    pub(super) fn address(&self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        let problem = match text.value.parse::<http::Uri>() {
            Err(_) => "is no address",
            Ok(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) => "is no http:// or https:// address",
            Ok(uri) if uri.authority().is_some_and(|a| a.as_str().contains('@')) => {
                self.source.report(
                    "secret",
                    text.span,
                    format!("`{key}` has credentials in it"),
                    Some("use `auth` with a reference instead"),
                );
                return None;
            }
            Ok(_) => return Some(text.value),
        };
        self.source.report("address", text.span, format!("`{key}` {problem}"), Some("write http://host:port or https://host"));
        None
    }

    pub(super) fn integer(&self, key: &'static str) -> Option<(i64, Span)> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(key, value, "a whole number");
        }
        Some((number?, value.span()))
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        if let DeValue::Boolean(yes) = value.get_ref() {
            return Some(*yes);
        }
        self.wrong_type(key, value, "true or false");
        None
    }

    /// A duration from one second to an hour.
    pub(super) fn interval(&self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
        let parsed = humantime::parse_duration(&text.value).ok();
        let fits = parsed.filter(|d| (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(d));
        if fits.is_none() {
            self.source.report(
                "duration",
                text.span,
                format!("`{key}` is a duration from 1s to 1h"),
                Some("write it like \"15s\" or \"1m\""),
            );
        }
        fits
    }

    /// A duration of at least so long, and of a day at most.
    pub(super) fn span_of_time(&self, key: &'static str, least: Duration) -> Option<Duration> {
        let written = self.text(key)?;
        let parsed = humantime::parse_duration(&written.value).ok();
        let fits = parsed.filter(|d| (least..=Duration::from_secs(24 * 3600)).contains(d));
        if fits.is_none() {
            let least = humantime::format_duration(least);
            let message = format!("`{key}` is a duration from {least} to 24h");
            self.source.report("duration", written.span, message, Some("write it like \"15m\" or \"1h\""));
        }
        fits
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, of: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = of.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if chosen.is_none() {
            let words = of.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            let message = format!("`{key}` cannot be {:?}; it is one of {words}", text.value);
            let hint = did_you_mean(&text.value, of.iter().map(|(word, _)| *word));
            self.source.report("value", text.span, message, hint.as_deref());
        }
        chosen
    }

    /// A table below this one.
    pub(super) fn table(&self, key: &'static str, name: &'static str) -> Option<Table<'s, 't>> {
        let value = self.get(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Table::new(self.source, name, table, value.span()));
        }
        self.wrong_type(key, value, "a table");
        None
    }

    pub(super) fn required_table(&self, key: &'static str, name: &'static str) -> Option<Table<'s, 't>> {
        let table = self.table(key, name);
        if table.is_none() {
            self.missing(key);
        }
        table
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&self, key: &'static str, name: &'static str) -> Vec<Table<'s, 't>> {
        let Some(value) = self.get(key) else { return vec![] };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "a list of tables, each under [[…]]");
            return vec![];
        };
        let mut tables = vec![];
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Table::new(self.source, name, table, item.span())),
                _ => self.wrong_type(key, item, "a list of tables, each under [[…]]"),
            }
        }
        tables
    }

    /// The tables in this one, under whatever names they have.
    pub(super) fn each(&self, name: &'static str) -> Vec<(Text, Table<'s, 't>)> {
        let mut tables = vec![];
        for (key, value) in self.entries {
            let text = Text { value: key.get_ref().clone().into_owned(), span: key.span() };
            match value.get_ref() {
                DeValue::Table(table) => tables.push((text, Table::new(self.source, name, table, value.span()))),
                _ => self.wrong_type(&text.value, value, "a table"),
            }
        }
        tables
    }

    /// All keys as text pairs, such as labels.
    pub(super) fn text_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = vec![];
        for (key, value) in self.entries {
            match value.get_ref() {
                DeValue::String(content) if !content.chars().any(char::is_control) => {
                    pairs.push((key.get_ref().clone().into_owned(), content.clone().into_owned()));
                }
                _ => self.source.report("type", value.span(), format!("the values of {} are texts", self.name), None),
            }
        }
        pairs
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let mut known = self.known.into_inner();
        known.sort_unstable();
        known.dedup();
        for (key, _) in self.entries {
            if !known.contains(&key.get_ref().as_ref()) {
                let hint = did_you_mean(key.get_ref(), known.iter().copied()).unwrap_or_else(|| format!("known are: {}", known.join(", ")));
                let message = format!("{} has no key `{}`", self.name, text::clean_bounded(key.get_ref(), 60));
                self.source.report("unknown-key", key.span(), message, Some(&hint));
            }
        }
    }
}

fn a_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
