//! What expressions evaluate to, and how evaluation fails.

use super::metric::Metric;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The moments at which an expression is evaluated, milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Grid {
    pub(super) fn instant(at: i64) -> Self {
        Self { start: at, step: 1, count: 1 }
    }

    /// From `start` to at most `end`; empty when `end` comes first.
    pub(super) fn range(start: i64, end: i64, step: i64) -> Self {
        let count = if end < start { 0 } else { usize::try_from((end - start) / step).unwrap_or(usize::MAX).saturating_add(1) };
        Self { start, step, count }
    }

    pub(super) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).scan(self.start, move |next, _| {
            let at = *next;
            *next += self.step;
            Some(at)
        })
    }

    /// The last moment; the first one when there are none.
    pub(super) fn end(self) -> i64 {
        self.times().last().unwrap_or(self.start)
    }
}

/// One series of an instant vector over a grid: one slot per moment, `None` where it has no value.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) metric: Metric,
    pub(super) points: Vec<Option<f64>>,
}

impl Row {
    pub(super) fn has_points(&self) -> bool {
        self.points.iter().any(Option::is_some)
    }
}

/// What an expression is over a grid. (Range vectors never are: only functions take them, see `eval::Ranges`.)
#[derive(Debug)]
pub(super) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<Row>),
    Text(String),
}

/// Prometheus's kinds of error, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 400
    BadData,
    /// 422
    Execution,
    /// 503
    Timeout,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Failed {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { kind: Kind::BadData, text: text.into() }
    }

    pub(super) fn execution(text: impl Into<String>) -> Self {
        Self { kind: Kind::Execution, text: text.into() }
    }

    pub(super) fn same_labels() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}

/// Joins rows that came to have the same labels. Two values at one moment are Prometheus's "same labelset" error.
pub(super) fn joined(rows: Vec<Row>) -> Result<Vec<Row>, Failed> {
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    let mut seen: HashMap<Metric, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        match seen.entry(row.metric.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(out.len());
                out.push(row);
            }
            Entry::Occupied(slot) => {
                for (have, new) in out[*slot.get()].points.iter_mut().zip(row.points) {
                    match (have.is_some(), new) {
                        (true, Some(_)) => return Err(Failed::same_labels()),
                        (false, Some(_)) => *have = new,
                        (_, None) => {}
                    }
                }
            }
        }
    }
    Ok(out)
}

/// Refuses rows with the same labels even when they never have values at the same moment, as Prometheus does after functions
/// over range vectors and after negation.
pub(super) fn distinct(rows: Vec<Row>) -> Result<Vec<Row>, Failed> {
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    if rows.iter().all(|row| seen.insert(&row.metric)) { Ok(rows) } else { Err(Failed::same_labels()) }
}
