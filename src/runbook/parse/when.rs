//! `when`: `done("id")`, `reached("id")`, `and`, `or`, `not` and parentheses. No general expression language.

use super::Walk;
use super::draft::{Given, WhenDraft};
use super::node::{At, Node};
use crate::domain::StepId;
use crate::runbook::plan::When;
use std::ops::Range;

/// Parentheses and `not` stand at most so deep in each other.
const MOST_DEPTH: usize = 16;

/// Longest condition, in bytes.
const MOST_BYTES: usize = 1000;

impl Walk<'_> {
    /// Reads a condition.
    pub(crate) fn when(&mut self, node: &Node) -> Given<WhenDraft> {
        let Some(scalar) = node.scalar().filter(|s| !s.text.is_empty()) else {
            let why = format!("`when` must be a condition, not {}", node.shape());
            self.report.error("wrong-type", node.span, why, "write 'reached(\"shift-5\")' in single quotes");
            return Given::Broken;
        };
        if scalar.text.len() > MOST_BYTES {
            self.report.error("when-syntax", node.span, format!("`when` is longer than {MOST_BYTES} bytes"), "name fewer steps");
            return Given::Broken;
        }
        let params: Vec<&str> = self.bindings.keys().map(String::as_str).collect();
        let mut parser = Parser { text: &scalar.text, at: 0, names: Vec::new(), params };
        match parser.all() {
            Ok(when) => {
                let names =
                    parser.names.into_iter().map(|(range, name)| At::new(name, self.source.within(node, range.start, range.end))).collect();
                Given::Is(At::new(WhenDraft { when, names }, node.span))
            }
            Err(Fault { range, rule, why }) => {
                let span = self.source.within(node, range.start, range.end);
                let help = "write done(\"id\"), reached(\"id\"), params.name == \"value\", and, or, not and parentheses";
                self.report.error(rule, span, why, help);
                Given::Broken
            }
        }
    }
}

struct Fault {
    range: Range<usize>,
    rule: &'static str,
    why: String,
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    names: Vec<(Range<usize>, StepId)>,
    params: Vec<&'t str>,
}

impl<'t> Parser<'t> {
    fn all(&mut self) -> Result<When, Fault> {
        let when = self.either(0)?;
        let (range, token) = self.peek();
        match token {
            "" => Ok(when),
            other => Err(fault(range, format!("`{other}` is not expected here"))),
        }
    }

    fn either(&mut self, depth: usize) -> Result<When, Fault> {
        let mut parts = vec![self.both(depth)?];
        while self.accept("or") {
            parts.push(self.both(depth)?);
        }
        Ok(single(parts, When::Or))
    }

    fn both(&mut self, depth: usize) -> Result<When, Fault> {
        let mut parts = vec![self.one(depth)?];
        while self.accept("and") {
            parts.push(self.one(depth)?);
        }
        Ok(single(parts, When::And))
    }

    fn one(&mut self, depth: usize) -> Result<When, Fault> {
        let (range, token) = self.peek();
        if depth >= MOST_DEPTH {
            return Err(fault(range, format!("more than {MOST_DEPTH} parentheses and nots stand in each other")));
        }
        self.at = range.end;
        match token {
            "not" => Ok(When::Not(Box::new(self.one(depth + 1)?))),
            "(" => {
                let inside = self.either(depth + 1)?;
                self.expect(")")?;
                Ok(inside)
            }
            "done" => Ok(When::Done(self.name()?)),
            "reached" => Ok(When::Reached(self.name()?)),
            "" => Err(fault(range, "a condition is missing at the end".into())),
            word if matches!(self.peek().1, "==" | "!=") => self.compared(range, word),
            word if word.starts_with(|c: char| c.is_ascii_alphabetic()) => Err(fault(range, format!("`{word}` is no condition"))),
            other => Err(fault(range, format!("`{other}` is not expected here"))),
        }
    }

    /// `params.name == "value"`, as people write the value.
    fn compared(&mut self, range: Range<usize>, word: &str) -> Result<When, Fault> {
        let inside = word.strip_prefix("${").and_then(|word| word.strip_suffix('}')).unwrap_or(word);
        let Some(name) = inside.strip_prefix("params.") else {
            return Err(fault(range, format!("`{word}` is nothing that can be compared; a parameter is `params.name`")));
        };
        if !self.params.contains(&name) {
            return Err(Fault { range, rule: "unknown-parameter", why: format!("there is no parameter `{name}`") });
        }
        let (operator, sign) = self.peek();
        self.at = operator.end;
        let (place, token) = self.peek();
        self.at = place.end;
        let quoted = ['"', '\''].iter().find_map(|q| token.strip_prefix(*q)?.strip_suffix(*q));
        let bare = token.starts_with(|c: char| c.is_ascii_alphanumeric()).then_some(token);
        let Some(value) = quoted.or(bare) else { return Err(fault(place, "a value is expected here, in quotes".into())) };
        let given = When::Given { param: name.to_owned(), value: value.to_owned() };
        Ok(if sign == "!=" { When::Not(Box::new(given)) } else { given })
    }

    fn name(&mut self) -> Result<StepId, Fault> {
        self.expect("(")?;
        let (range, token) = self.peek();
        let quoted = ['"', '\''].iter().find_map(|q| token.strip_prefix(*q)?.strip_suffix(*q));
        let Some(name) = quoted.filter(|name| !name.is_empty()) else {
            return Err(fault(range, "the id of a step in quotes is expected here".into()));
        };
        self.at = range.end;
        self.expect(")")?;
        let id = StepId::from(name);
        self.names.push((range.start + 1..range.end - 1, id.clone()));
        Ok(id)
    }

    fn accept(&mut self, word: &str) -> bool {
        let (range, token) = self.peek();
        if token == word {
            self.at = range.end;
        }
        token == word
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        let (range, token) = self.peek();
        if self.accept(word) {
            return Ok(());
        }
        let found = if token.is_empty() { "the end".to_owned() } else { format!("`{token}`") };
        Err(fault(range, format!("`{word}` is expected here, not {found}")))
    }

    /// The next token and where it stands; empty at the end.
    fn peek(&self) -> (Range<usize>, &'t str) {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return (self.text.len()..self.text.len(), "") };
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '$' if rest.starts_with("${") => rest.find('}').map_or(rest.len(), |end| end + 1),
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(rest.len())
            }
            '=' | '!' => rest.find(|c| !matches!(c, '=' | '!')).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        (start..start + length, &self.text[start..start + length])
    }
}

fn fault(range: Range<usize>, why: String) -> Fault {
    Fault { range, rule: "when-syntax", why }
}

fn single(mut parts: Vec<When>, join: impl FnOnce(Vec<When>) -> When) -> When {
    if parts.len() == 1 { parts.remove(0) } else { join(parts) }
}
