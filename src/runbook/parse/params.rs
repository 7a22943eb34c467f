//! Parameters: their declarations, and the values they get.

use super::Walk;
use super::node::{Entry, Node, Span, Value};
use super::words::{duration, number, whole_number};
use crate::domain::text;
use crate::runbook::template::{Bindings, Bound, Filling, Kind, nearest};
use regex::Regex;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest value, in characters.
const MOST: usize = 256;

/// Where the values come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    /// What was given when the run was planned; a required one that is missing is an error.
    Given(&'a BTreeMap<String, String>),
    /// None: what is missing is guessed, so that the rest can be checked.
    Guessed,
}

impl Walk<'_> {
    /// Reads the declarations, then binds each to its value.
    pub(crate) fn params(&mut self, node: Option<&Entry>, values: Values<'_>) {
        let mut bindings = Bindings::new();
        if let Some(entry) = node {
            let Value::Map(entries) = &entry.value.value else {
                let why = format!("`params` must be a mapping, not {}", entry.value.shape());
                self.report.error("wrong-type", entry.value.span, why, "write `name: { type: string, required: true }` below it");
                return;
            };
            for entry in entries {
                let bound = self.param(entry, values).unwrap_or_else(guess);
                bindings.insert(entry.key.value.clone(), bound);
            }
        }
        if let Values::Given(given) = values {
            let span = node.map_or(Span { line: 1, column: 1, length: 0 }, |entry| entry.key.span);
            for name in given.keys().filter(|name| !bindings.contains_key(*name)) {
                let help = match nearest(name, bindings.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "leave it out, or declare it under `params:`".to_owned(),
                };
                self.report.error(
                    "undeclared-parameter",
                    span,
                    format!("a value was given for `{name}`, which this runbook does not declare"),
                    help,
                );
            }
        }
        self.bindings = bindings;
    }

    /// One declaration with its value; on an error at least its type, so that its uses are not reported too.
    fn param(&mut self, entry: &Entry, values: Values<'_>) -> Result<Bound, Option<Kind>> {
        let name = &entry.key.value;
        self.param_name(entry);
        let fields =
            self.fields(&entry.value, "a parameter", &["type", "required", "default", "pattern", "doc"], &["of", "secret"]).ok_or(None)?;
        let kind = self
            .required(&fields, "type", "a parameter", "string")
            .and_then(|node| self.word(node, "`type`", &Kind::WORDS, &["choice"]))
            .map(|word| word.value)
            .ok_or(None)?;
        if let Some(doc) = fields.value("doc") {
            self.prose(doc, "`doc`");
        }
        let required = fields.value("required").and_then(|node| self.boolean(node, "`required`"));
        let pattern = self.pattern(fields.get("pattern"), kind);
        let default = fields.value("default").map(|node| (node, self.default_text(node, kind)));
        let default = match default {
            Some((node, text)) => {
                let bound = text.and_then(|text| self.bind(name, kind, &text, pattern.as_ref(), node.span, "invalid-value"));
                Some(bound.ok_or(Some(kind))?)
            }
            None => None,
        };
        match (required, &default) {
            (Some(true), Some(_)) => {
                let why = format!("`{name}` is required and has a default, which would never be used");
                self.report.error("misplaced-key", entry.key.span, why, "keep one of `required` and `default`");
            }
            (Some(false) | None, None) => {
                let why = format!("`{name}` may be left out but has no default");
                self.report.error("missing-key", entry.key.span, why, "write `required: true` or a `default`");
            }
            _ => {}
        }
        match values {
            Values::Given(given) => match given.get(name) {
                Some(text) => self.bind(name, kind, text, pattern.as_ref(), entry.key.span, "invalid-parameter").ok_or(Some(kind)),
                None => default.ok_or_else(|| {
                    if required == Some(true) {
                        let why = format!("`{name}` is required and was given no value");
                        self.report.error("missing-parameter", entry.key.span, why, format!("give it one: -p {name}=..."));
                    }
                    Some(kind)
                }),
            },
            Values::Guessed => default.ok_or(Some(kind)),
        }
    }

    fn param_name(&mut self, entry: &Entry) {
        let name = &entry.key.value;
        if self.refuse_ambiguous(name, entry.key.span, "the name of a parameter") {
            return;
        }
        let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 63
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_formed {
            let why = format!("`{name}` cannot be the name of a parameter: it stands in templates and on the command line");
            self.report.error("invalid-id", entry.key.span, why, "write lower-case letters, digits and `_`, beginning with a letter");
        }
    }

    fn pattern(&mut self, entry: Option<&Entry>, kind: Kind) -> Option<Regex> {
        let entry = entry?;
        if kind != Kind::String {
            let why = format!("a pattern is for strings; this parameter is a {}", kind.word());
            self.report.error("misplaced-key", entry.key.span, why, "remove `pattern`");
            return None;
        }
        let scalar = entry.value.scalar()?;
        // The whole value must match, whether or not the author anchored it.
        let compiled = regex::RegexBuilder::new(&format!("^(?:{})$", scalar.text)).size_limit(1 << 20).build();
        if compiled.is_err() || scalar.text.is_empty() {
            let why = format!("`{}` is not a regular expression", scalar.text);
            self.report.error("invalid-value", entry.value.span, why, "write one such as '^v[0-9.]+$', in single quotes");
        }
        compiled.ok()
    }

    fn default_text(&mut self, node: &Node, kind: Kind) -> Option<String> {
        let scalar = node.scalar().filter(|s| !(s.plain && s.text.is_empty()));
        let Some(scalar) = scalar else {
            self.report.error("wrong-type", node.span, format!("`default` must be a {}, not {}", kind.word(), node.shape()), "");
            return None;
        };
        let quotes_wrong = !scalar.plain && !matches!(kind, Kind::String | Kind::Duration);
        if quotes_wrong {
            let why = format!("`default` must be a {} without quotes", kind.word());
            self.report.error("wrong-type", node.span, why, "remove the quotes");
            return None;
        }
        if kind == Kind::String && scalar.plain && self.refuse_ambiguous(&scalar.text, node.span, "`default`") {
            return None;
        }
        Some(scalar.text.clone())
    }

    fn bind(&mut self, name: &str, kind: Kind, text: &str, pattern: Option<&Regex>, span: Span, rule: &'static str) -> Option<Bound> {
        match filling(kind, text, pattern) {
            Ok(filling) => Some(Bound { kind, filling, shown: text.to_owned(), placeholder: false, untyped: false }),
            Err(why) => {
                let shown: String = text.chars().take(60).collect();
                self.report.error(rule, span, format!("`{shown}` cannot be `{name}`: {why}"), format!("give {}", example(kind)));
                None
            }
        }
    }
}

fn filling(kind: Kind, value: &str, pattern: Option<&Regex>) -> Result<Filling, String> {
    if value.chars().count() > MOST {
        return Err(format!("it is longer than {MOST} characters"));
    }
    match kind {
        Kind::String if text::clean(value) != value => Err("it holds line breaks, control characters or invisible characters".into()),
        Kind::String if value.contains("${") => Err("a value is not filled in itself".into()),
        Kind::String => match pattern {
            Some(pattern) if !pattern.is_match(value) => Err(format!("it does not match {pattern}")),
            _ => Ok(Filling::Text(value.to_owned())),
        },
        Kind::Number => number(value).map(Filling::Number).ok_or_else(|| "it is no decimal number".into()),
        Kind::Ratio => number(value)
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .map(Filling::Number)
            .ok_or_else(|| "a ratio is a number from 0 to 1".into()),
        Kind::Integer => whole_number(value).map(Filling::Number).ok_or_else(|| "it is no whole number".into()),
        Kind::Duration => duration(value).map(Filling::Duration),
        Kind::Boolean => match value {
            "true" => Ok(Filling::Boolean(true)),
            "false" => Ok(Filling::Boolean(false)),
            _ => Err("it is neither true nor false".into()),
        },
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "one line of text that matches the pattern",
        Kind::Number => "a number such as 5 or 0.5",
        Kind::Ratio => "a number from 0 to 1, such as 0.005 for half a percent",
        Kind::Duration => "a duration with its unit, such as 450ms or 5m",
        Kind::Integer => "a whole number such as 5",
        Kind::Boolean => "true or false",
    }
}

fn guess(known: Option<Kind>) -> Bound {
    let kind = known.unwrap_or(Kind::String);
    let (filling, shown) = match kind {
        Kind::String => (Filling::Text("placeholder".into()), "placeholder"),
        Kind::Number | Kind::Integer => (Filling::Number(1.0), "1"),
        Kind::Ratio => (Filling::Number(0.5), "0.5"),
        Kind::Duration => (Filling::Duration(Duration::from_secs(60)), "1m"),
        Kind::Boolean => (Filling::Boolean(true), "true"),
    };
    Bound { kind, filling, shown: shown.to_owned(), placeholder: true, untyped: known.is_none() }
}
