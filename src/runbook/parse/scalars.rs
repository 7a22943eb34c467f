//! Single values: text, words, numbers, durations, and the fields of a mapping.

use super::Walk;
use super::draft::Given;
use super::node::{At, Entry, Node, Scalar, Span, Value};
use super::words::{ambiguous, duration, number, whole_number};
use crate::domain::text;
use crate::runbook::template::{self, Bound, Fault, Filling, Kind, nearest};
use std::time::Duration;

/// Longest text of one line, in characters.
const MOST_LINE: usize = 200;

/// The fields of a mapping, unknown ones reported.
pub(crate) struct Fields<'n> {
    pub(crate) span: Span,
    entries: &'n [Entry],
    known: &'static [&'static str],
}

impl<'n> Fields<'n> {
    /// The field of this name.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key.value == key)
    }

    /// The value of this name.
    pub(crate) fn value(&self, key: &str) -> Option<&'n Node> {
        self.get(key).map(|e| &e.value)
    }
}

impl Walk<'_> {
    /// The fields of a mapping. Keys of the designed language that do not run yet and unknown keys are reported.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &'static [&'static str],
        later: &[&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            let help = format!("write the keys of {what} below it: {}", known.join(", "));
            self.report.error("wrong-type", node.span, format!("{what} must be a mapping, not {}", node.shape()), help);
            return None;
        };
        for entry in entries {
            let key = entry.key.value.as_str();
            if known.contains(&key) {
                continue;
            }
            if later.contains(&key) {
                self.later(entry.key.span, &format!("`{key}` in {what}"));
                continue;
            }
            let help = match nearest(key, known.iter().chain(later).copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{what} knows: {}", known.join(", ")),
            };
            self.report.error("unknown-key", entry.key.span, format!("`{key}` is no key of {what}"), help);
        }
        Some(Fields { span: node.span, entries, known })
    }

    /// Something of the designed language that this version does not run.
    pub(crate) fn later(&mut self, span: Span, what: &str) {
        let why = format!("{what} is part of the language, but this version of gonogo does not run it yet");
        self.report.error("not-supported-yet", span, why, "take it out: ignoring it would run something else than the file says");
    }

    /// A required field; its absence is reported.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, what: &str, example: &str) -> Option<&'n Node> {
        let value = fields.value(key);
        let misspelt = || {
            fields
                .entries
                .iter()
                .any(|e| !fields.known.contains(&e.key.value.as_str()) && nearest(&e.key.value, [key].into_iter()).is_some())
        };
        if value.is_none() && !misspelt() {
            self.report.error("missing-key", fields.span, format!("{what} needs `{key}`"), format!("write `{key}: {example}`"));
        }
        value
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.report.error(
            "wrong-type",
            node.span,
            format!("{what} must be a list, not {}", node.shape()),
            "begin each of its items with `- `",
        );
        &[]
    }

    fn single<'n>(&mut self, node: &'n Node, what: &str, expected: &str) -> Option<&'n Scalar> {
        match node.scalar() {
            Some(scalar) if scalar.plain && scalar.text.is_empty() => {
                self.report.error(
                    "empty-value",
                    node.span,
                    format!("{what} is empty"),
                    format!("write {expected} behind the colon, or remove the key"),
                );
                None
            }
            Some(scalar) => Some(scalar),
            None => {
                self.report.error("wrong-type", node.span, format!("{what} must be {expected}, not {}", node.shape()), "");
                None
            }
        }
    }

    /// Reports a word that YAML readers understand differently.
    pub(crate) fn refuse_ambiguous(&mut self, text: &str, span: Span, what: &str) -> bool {
        let Some(taken_for) = ambiguous(text) else { return false };
        let why = format!("`{text}` without quotes is {taken_for} to some YAML readers, and {what} is text");
        self.report.error("ambiguous-value", span, why, format!("write \"{text}\" in quotes"));
        true
    }

    /// Text as written: no numbers, no `yes`, nothing filled in.
    fn written<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let scalar = self.single(node, what, "text")?;
        if scalar.plain && self.refuse_ambiguous(&scalar.text, node.span, what) {
            return None;
        }
        Some(&scalar.text)
    }

    /// Reports what is wrong with the templates of a text, each at its own place.
    pub(crate) fn faults(&mut self, node: &Node, faults: Vec<Fault>) {
        for Fault { range, rule, why, help } in faults {
            let span = self.source.within(node, range.start, range.end);
            self.report.error(rule, span, why, help);
        }
    }

    /// One line of text, filled in.
    pub(crate) fn line(&mut self, node: &Node, what: &str) -> Option<String> {
        let written = self.written(node, what)?;
        let filled = match template::fill(written, &self.bindings) {
            Ok(filled) => filled,
            Err(faults) => {
                self.faults(node, faults);
                return None;
            }
        };
        let filled = filled.trim();
        if filled.is_empty() {
            self.report.error("empty-value", node.span, format!("{what} is empty"), "write something for people");
            return None;
        }
        if text::clean(filled) != filled {
            let why = format!("{what} holds line breaks, control characters or invisible characters");
            self.report.error("invalid-text", node.span, why, "write one line of visible text");
            return None;
        }
        if filled.chars().count() > MOST_LINE {
            let why = format!("{what} is longer than {MOST_LINE} characters and fits no screen");
            self.report.error("invalid-text", node.span, why, "move the details into `doc`");
            return None;
        }
        Some(filled.to_owned())
    }

    /// Text of several lines, filled in.
    pub(crate) fn prose(&mut self, node: &Node, what: &str) -> Option<String> {
        let written = self.written(node, what)?;
        let filled = match template::fill(written, &self.bindings) {
            Ok(filled) => filled,
            Err(faults) => {
                self.faults(node, faults);
                return None;
            }
        };
        if filled.split('\n').any(|line| text::clean(line) != line.replace('\t', " ")) {
            self.report.error("invalid-text", node.span, format!("{what} holds control characters or invisible characters"), "remove them");
            return None;
        }
        Some(filled)
    }

    /// A word out of a few. `later` are words of the designed language that do not run yet.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&'static str, T)], later: &[&'static str]) -> Option<At<T>> {
        let written = self.written(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == written) {
            return Some(At::new(*value, node.span));
        }
        if later.contains(&written) {
            self.later(node.span, &format!("{what} `{written}`"));
            return None;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = match nearest(written, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of: {}", known.join(", ")),
        };
        self.report.error("invalid-value", node.span, format!("`{written}` is no value of {what}"), help);
        None
    }

    /// An id: what journals refer to.
    pub(crate) fn id(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let written = self.written(node, what)?;
        let well_formed = written.len() <= 63
            && written.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !written.starts_with('-')
            && !written.ends_with('-');
        if well_formed && !written.is_empty() {
            return Some(At::new(written.to_owned(), node.span));
        }
        let why = format!(
            "`{written}` is no id: it is journaled, typed and matched, so it has lower-case letters, digits and single hyphens only"
        );
        self.report.error("invalid-id", node.span, why, "write something like `shift-5`, at most 63 characters");
        None
    }

    /// The parameter that a value consists of; absent when it is no template.
    fn parameter(&mut self, node: &Node, text: &str, what: &str, kinds: &[Kind]) -> Given<Bound> {
        match template::whole(text, &self.bindings) {
            None => return Given::Absent,
            Some(Ok(bound)) if kinds.contains(&bound.kind) => return Given::Is(At::new(bound.clone(), node.span)),
            Some(Ok(bound)) if bound.untyped => {}
            Some(Ok(bound)) => {
                let wanted: Vec<&str> = kinds.iter().map(|k| k.word()).collect();
                let why = format!("{what} takes a parameter of type {}, not {}", wanted.join(" or "), bound.kind.word());
                self.report.error("wrong-type", node.span, why, "change the parameter's `type`, or write the value here");
            }
            Some(Err(faults)) => self.faults(node, faults),
        }
        Given::Broken
    }

    /// A duration with its unit.
    pub(crate) fn duration(&mut self, node: &Node, what: &str, least: Duration) -> Given<Duration> {
        self.duration_value(node, what, least).map_or(Given::Broken, |value| Given::Is(At::new(value, node.span)))
    }

    fn duration_value(&mut self, node: &Node, what: &str, least: Duration) -> Option<Duration> {
        let scalar = self.single(node, what, "a duration such as 5m")?;
        let value = match self.parameter(node, &scalar.text, what, &[Kind::Duration]) {
            Given::Is(bound) => match bound.value.filling {
                Filling::Duration(value) => value,
                _ => return None,
            },
            Given::Broken => return None,
            Given::Absent => match duration(&scalar.text) {
                Ok(value) => value,
                Err(why) => {
                    self.report.error(
                        "invalid-duration",
                        node.span,
                        format!("{what}: {why}"),
                        "write a number and a unit: 450ms, 30s, 5m, 1h30m",
                    );
                    return None;
                }
            },
        };
        if value < least {
            let why = format!("{what} is shorter than {}", humantime::format_duration(least));
            self.report.error("invalid-duration", node.span, why, "write a longer duration");
            return None;
        }
        Some(value)
    }

    /// A whole number within limits.
    pub(crate) fn integer(&mut self, node: &Node, what: &str, most: u32) -> Option<u32> {
        let scalar = self.single(node, what, "a whole number")?;
        let value = match self.parameter(node, &scalar.text, what, &[Kind::Integer]) {
            Given::Is(bound) => bound.value.number(),
            Given::Broken => return None,
            Given::Absent => scalar.plain.then(|| whole_number(&scalar.text)).flatten(),
        };
        match value {
            Some(value) if (0.0..=f64::from(most)).contains(&value) => Some(value as u32),
            Some(_) => {
                self.report.error(
                    "invalid-value",
                    node.span,
                    format!("{what} must be between 0 and {most}"),
                    "write a whole number in that range",
                );
                None
            }
            None => {
                let why = format!("{what} must be a whole number without quotes, not `{}`", scalar.text);
                self.report.error("wrong-type", node.span, why, format!("write a whole number from 0 to {most}"));
                None
            }
        }
    }

    /// A number, whole or not.
    pub(crate) fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        let scalar = self.single(node, what, "a number")?;
        let value = match self.parameter(node, &scalar.text, what, &[Kind::Number, Kind::Ratio, Kind::Integer]) {
            Given::Is(bound) => bound.value.number(),
            Given::Broken => return None,
            Given::Absent => scalar.plain.then(|| number(&scalar.text)).flatten(),
        };
        if value.is_none() {
            let why = format!("{what} must be a number without quotes, not `{}`", scalar.text);
            self.report.error("wrong-type", node.span, why, "write a decimal number such as 20 or 0.5");
        }
        value
    }

    /// What a measured value is compared with, and the type that says how it is meant, if one does.
    pub(crate) fn limit(&mut self, node: &Node, what: &str) -> Option<(f64, Option<Kind>)> {
        let scalar = self.single(node, what, "a number or a duration")?;
        match self.parameter(node, &scalar.text, what, &[Kind::Number, Kind::Ratio, Kind::Integer, Kind::Duration]) {
            Given::Is(At { value: bound, .. }) => return bound.number().map(|value| (value, Some(bound.kind))),
            Given::Broken => return None,
            Given::Absent => {}
        }
        if scalar.plain
            && let Some(value) = number(&scalar.text)
        {
            return Some((value, None));
        }
        if let Ok(value) = duration(&scalar.text) {
            return Some((value.as_secs_f64(), Some(Kind::Duration)));
        }
        let why = format!("{what} must be a number without quotes or a duration, not `{}`", scalar.text);
        self.report.error("wrong-type", node.span, why, "write 0.005, 450ms, or ${params.name}");
        None
    }

    /// `true` or `false`, nothing else.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        let scalar = self.single(node, what, "true or false")?;
        match (scalar.plain, scalar.text.as_str()) {
            (true, "true") => Some(true),
            (true, "false") => Some(false),
            (_, other) => {
                self.report.error(
                    "wrong-type",
                    node.span,
                    format!("{what} must be true or false, not `{other}`"),
                    "write true or false without quotes",
                );
                None
            }
        }
    }
}
