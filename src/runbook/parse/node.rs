//! A file as a tree in which every part knows its place.

use std::ops::Range;

/// A place in a file: line and column in characters from 1, and a length in characters on that line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) length: u32,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A piece of text as YAML gives it.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// The text, escapes and folding done.
    pub(crate) text: String,
    /// Written without quotes and not as a block: the only form in which YAML guesses a type.
    pub(crate) plain: bool,
    /// Written as a `|` block: its lines are lines of the file.
    pub(crate) literal: bool,
    /// Where its source stands in the file, in bytes.
    pub(crate) bytes: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

impl Node {
    /// What it is, for people.
    pub(crate) fn shape(&self) -> &'static str {
        match &self.value {
            Value::Scalar(s) if s.plain && s.text.is_empty() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The text, when it is text.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: At<String>,
    pub(crate) value: Node,
}
