//! YAML 1.2 into a tree with positions, minus everything that makes two readers disagree.
//!
//! Anchors, aliases, merge keys, tags, directives, several documents and duplicate keys are errors. Size and depth are bounded
//! before anything is kept.

use super::node::{At, Entry, Node, Scalar, Span, Value};
use super::report::Report;
use super::source::Source;
use serde_saphyr::granit_parser::{self as yaml, ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError};

/// A runbook is at most so many bytes long.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// A mapping or list has at most so many entries.
pub(crate) const MOST_ENTRIES: usize = 500;

/// Mappings and lists stand at most so deep in each other.
pub(crate) const MOST_DEPTH: usize = 32;

/// Reads a file. `None` when there is no tree to go on with; why is in the report.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MOST_BYTES {
        let why = format!("the file has {} bytes; a runbook has at most {MOST_BYTES}", text.len());
        report.error(
            "too-large",
            Span { line: 1, column: 1, length: 0 },
            why,
            "split it, or move long texts to a page and link it in `doc`",
        );
        return None;
    }
    let source = Source::new(text);
    let options = yaml::options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
    };
    let mut builder = Builder { report, source: &source, open: Vec::new(), root: None, documents: 0, skipped: 0 };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if builder.take(event, span).is_break() || builder.is_too_long() {
                    return None;
                }
            }
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    let root = builder.root.take();
    if root.as_ref().is_none_or(|node| node.shape() == "nothing") && !report.has_errors() {
        report.error(
            "empty-file",
            Span { line: 1, column: 1, length: 0 },
            "the file holds no runbook",
            "begin with `gonogo: 1` and `kind: runbook`",
        );
    }
    root
}

/// A collection that is being filled.
enum Open {
    List { span: Span, items: Vec<Node> },
    Map { span: Span, entries: Vec<Entry>, key: Option<Key> },
}

/// A key that waits for its value.
struct Key {
    key: At<String>,
    /// A second one of the same name, or one that is no word: reported, its value dropped.
    dropped: bool,
}

struct Builder<'a, 't> {
    report: &'a mut Report,
    source: &'a Source<'t>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// Depth inside a collection that stands where a key should.
    skipped: usize,
}

type Flow = std::ops::ControlFlow<()>;

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, span: yaml::Span) -> Flow {
        if let Some(tag) = span.tag_span() {
            let place = self.span(&tag);
            self.report.error(
                "tag",
                place,
                "YAML tags make a value's type depend on the reader",
                "remove the tag, and quote the value if it is text",
            );
        }
        match event {
            Event::DocumentStart(..) => return self.document(&span),
            Event::Scalar(text, style, _, _) => {
                let bytes = span.byte_range().unwrap_or(0..0);
                let plain = style == ScalarStyle::Plain;
                // The parser writes `~` for a value that is not there.
                let text = if plain && bytes.is_empty() { String::new() } else { text.into_owned() };
                let scalar = Scalar { text, plain, literal: style == ScalarStyle::Literal, bytes };
                self.scalar(scalar, self.span(&span));
            }
            Event::SequenceStart(..) => return self.begin(&span, |span| Open::List { span, items: Vec::new() }),
            Event::MappingStart(..) => return self.begin(&span, |span| Open::Map { span, entries: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Anchor(..) => {
                let why = "anchors hide what a step does: the same text means another thing elsewhere";
                self.report.error("anchor", self.span(&span), why, "write the value out where it is used");
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let place = self.span(&span);
                self.report.error("alias", place, "aliases hide what a step does: the value stands elsewhere", "write the value out here");
                self.node(Node {
                    span: place,
                    value: Value::Scalar(Scalar { text: String::new(), plain: false, literal: false, bytes: 0..0 }),
                });
            }
            _ => {}
        }
        Flow::Continue(())
    }

    fn document(&mut self, span: &yaml::Span) -> Flow {
        self.documents += 1;
        if self.documents < 2 {
            return Flow::Continue(());
        }
        let why = "a second document begins here; a file holds one runbook";
        self.report.error("several-documents", point(&span.start), why, "put the other document into a file of its own");
        Flow::Break(())
    }

    fn begin(&mut self, span: &yaml::Span, open: impl FnOnce(Span) -> Open) -> Flow {
        let place = point(&span.start);
        if self.open.len() >= MOST_DEPTH {
            self.too_deep(place);
            return Flow::Break(());
        }
        if self.skipped > 0 || self.expects_key() {
            if self.skipped == 0 {
                self.report.error("wrong-type", place, "a key must be a word, not a list or a mapping", "write `key: value`");
            }
            self.skipped += 1;
            return Flow::Continue(());
        }
        self.open.push(open(place));
        Flow::Continue(())
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            if self.skipped == 0 {
                self.key(At::new(String::new(), Span::default()), true);
            }
            return;
        }
        match self.open.pop() {
            Some(Open::List { span, items }) => self.node(Node { span, value: Value::List(items) }),
            Some(Open::Map { span, entries, .. }) => self.node(Node { span, value: Value::Map(entries) }),
            None => {}
        }
    }

    fn is_too_long(&mut self) -> bool {
        let (last, count) = match self.open.last() {
            Some(Open::List { items, .. }) => (items.last().map(|node| node.span), items.len()),
            Some(Open::Map { entries, .. }) => (entries.last().map(|entry| entry.key.span), entries.len()),
            None => return false,
        };
        if count > MOST_ENTRIES {
            let why = format!("more than {MOST_ENTRIES} entries stand in one list or mapping");
            self.report.error("too-large", last.unwrap_or_default(), why, "nobody can follow so long a runbook; split it");
        }
        count > MOST_ENTRIES
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn scalar(&mut self, scalar: Scalar, span: Span) {
        if self.skipped > 0 {
            return;
        }
        if !self.expects_key() {
            self.node(Node { span, value: Value::Scalar(scalar) });
            return;
        }
        if scalar.plain && scalar.text == "<<" {
            self.report.error("merge-key", span, "merge keys hide what a mapping holds", "write the keys out");
            self.key(At::new(scalar.text, span), true);
            return;
        }
        let earlier = match self.open.last() {
            Some(Open::Map { entries, .. }) => entries.iter().find(|e| e.key.value == scalar.text).map(|e| e.key.span.line),
            _ => None,
        };
        if let Some(line) = earlier {
            let why = format!("`{}` is already given in line {line}; one of the two would be ignored", scalar.text);
            self.report.error("duplicate-key", span, why, "keep one of them");
        }
        self.key(At::new(scalar.text, span), earlier.is_some());
    }

    fn key(&mut self, new: At<String>, dropped: bool) {
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            *key = Some(Key { key: new, dropped });
        }
    }

    fn node(&mut self, node: Node) {
        if self.skipped > 0 {
            return;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(Key { key, dropped: false }) => {
                    // A value that is not there is shown at its key.
                    let span = if node.shape() == "nothing" { key.span } else { node.span };
                    entries.push(Entry { key, value: Node { span, ..node } });
                }
                Some(_) => {}
                // An alias where a key should stand, reported already.
                None => *key = Some(Key { key: At::new(String::new(), node.span), dropped: true }),
            },
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let place = point(error.marker());
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => self.too_deep(place),
            ErrorKind::DirectiveDisallowed => {
                self.report.error(
                    "directive",
                    place,
                    "YAML directives change how the file is read",
                    "remove the line; the file is YAML 1.2",
                );
            }
            ErrorKind::MissingDocumentEndBeforeDirective => {
                self.report.error("several-documents", place, "a second document begins here; a file holds one runbook", "remove it");
            }
            kind => {
                if let Some(span) = unquoted_template(self.source, place) {
                    let why = "inside { } or [ ] YAML reads the braces of ${...} as a mapping";
                    self.report.error("unquoted-template", span, why, "put it in quotes: \"${params.name}\"");
                    return;
                }
                let message = format!("this is not YAML: {kind}");
                self.report.error("yaml-syntax", place, message, syntax_help(kind));
            }
        }
    }

    fn too_deep(&mut self, place: Span) {
        let why = format!("more than {MOST_DEPTH} lists and mappings stand in each other");
        self.report.error("too-deep", place, why, "a runbook needs less than ten levels; look for a missing line break or a stray bracket");
    }

    fn span(&self, span: &yaml::Span) -> Span {
        let mut place = point(&span.start);
        place.length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()) as u32
        } else {
            (self.source.line(place.line).chars().count() + 1).saturating_sub(place.column as usize) as u32
        };
        place
    }
}

fn point(marker: &Marker) -> Span {
    Span { line: marker.line() as u32, column: marker.col() as u32 + 1, length: 0 }
}

/// The first `${` of the line of a syntax error that stands without quotes inside brackets.
fn unquoted_template(source: &Source<'_>, error: Span) -> Option<Span> {
    let (mut quote, mut depth) = (None, 0_u32);
    let mut chars = source.line(error.line).chars().enumerate().peekable();
    while let Some((column, c)) = chars.next() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '$') if depth > 0 && chars.peek().is_some_and(|(_, next)| *next == '{') => {
                return Some(Span { line: error.line, column: column as u32 + 1, length: 2 });
            }
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn syntax_help(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabInPlainScalar => {
            "indent with blanks"
        }
        ErrorKind::UnclosedQuotedScalar => "close the quote",
        ErrorKind::MappingValueNotAllowed | ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "put text with `: ` in it in quotes, and check the indentation of this line and the one above"
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            "check the brackets and commas of this line, and put text that holds brackets in quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the value in quotes",
        _ => "check the indentation and the quotes of this line and the one above",
    }
}
