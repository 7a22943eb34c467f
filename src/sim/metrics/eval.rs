//! The evaluator: one pass over the tree, each node for all moments of the grid at once.

use super::metric::{Metric, NAME};
use super::tsdb::{Sample, Tsdb};
use super::value::{Failed, Grid, Row, Value, distinct};
use super::{aggregate, binary, function, syntax};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{AtModifier, Expr, MatrixSelector, Offset, SubqueryExpr, VectorSelector};
use std::borrow::Cow;
use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// How far an instant selector looks back for a sample; Prometheus's default, both ends included.
pub(super) const LOOKBACK_MS: i64 = 5 * 60 * 1000;
/// Values that one query may produce on the way to its result, about 16 bytes each.
const MAX_SAMPLES: usize = 20_000_000;

/// One query's evaluation.
pub(super) struct Evaluator<'a> {
    db: &'a Tsdb,
    /// Start and end of the whole query: what `@ start()` and `@ end()` mean everywhere in it.
    whole: Grid,
    /// Resolution of subqueries that name none: the server's evaluation interval.
    default_step: i64,
    left: Cell<usize>,
}

/// A range vector over a grid: all samples of each series that any window needs, and where the windows end.
pub(super) struct Ranges<'a> {
    pub(super) rows: Vec<(Metric, Cow<'a, [Sample]>)>,
    /// Length of the windows.
    pub(super) length: i64,
    /// One end per moment of the grid; samples at the end belong to the window.
    pub(super) ends: Vec<i64>,
}

/// The result of a whole query.
#[derive(Debug)]
pub(super) enum Outcome {
    Scalar(f64),
    Text(String),
    /// Order of rows is meaningful after `sort` and `topk`.
    Vector(Vec<(Metric, f64)>),
    /// Sorted by labels.
    Matrix(Vec<(Metric, Vec<Sample>)>),
}

/// Evaluates a query at one moment.
pub(super) fn instant(db: &Tsdb, expr: &Expr, at: i64, default_step: i64) -> Result<Outcome, Failed> {
    let grid = Grid::instant(at);
    let evaluator = Evaluator::new(db, grid, default_step);
    if expr.value_type() == ValueType::Matrix {
        let ranges = evaluator.ranges(expr, grid)?;
        let end = ranges.ends.first().copied().unwrap_or(at);
        let rows = ranges.rows.into_iter().map(|(metric, samples)| (metric, window(&samples, end - ranges.length, end).to_vec()));
        let mut rows: Vec<_> = rows.filter(|(_, samples)| !samples.is_empty()).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        return Ok(Outcome::Matrix(rows));
    }
    Ok(match evaluator.eval(expr, grid)? {
        Value::Scalar(values) => Outcome::Scalar(values.first().copied().unwrap_or(f64::NAN)),
        Value::Text(text) => Outcome::Text(text),
        Value::Vector(rows) => Outcome::Vector(
            rows.into_iter().filter_map(|row| row.points.first().copied().flatten().map(|value| (row.metric, value))).collect(),
        ),
    })
}

/// Evaluates a query at every moment of `grid`.
pub(super) fn range(db: &Tsdb, expr: &Expr, grid: Grid, default_step: i64) -> Result<Outcome, Failed> {
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Vector | ValueType::Scalar) {
        let kind = syntax::type_name(kind);
        return Err(Failed::bad(format!("invalid expression type {kind:?} for range query, must be Scalar or instant Vector")));
    }
    let with_times = |points: Vec<Option<f64>>| -> Vec<Sample> {
        grid.times().zip(points).filter_map(|(at, value)| value.map(|value| Sample { at, value })).collect()
    };
    let rows = match Evaluator::new(db, grid, default_step).eval(expr, grid)? {
        Value::Scalar(values) => vec![Row { metric: Metric::empty(), points: values.into_iter().map(Some).collect() }],
        Value::Vector(rows) => rows,
        Value::Text(_) => Vec::new(),
    };
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.metric, with_times(row.points))).filter(|(_, s)| !s.is_empty()).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Outcome::Matrix(rows))
}

impl<'a> Evaluator<'a> {
    fn new(db: &'a Tsdb, whole: Grid, default_step: i64) -> Self {
        Self { db, whole, default_step, left: Cell::new(MAX_SAMPLES) }
    }

    /// Evaluates anything but a range vector.
    pub(super) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Value, Failed> {
        match expr {
            Expr::Paren(it) => self.eval(&it.expr, grid),
            Expr::NumberLiteral(it) => {
                self.charge(grid.count)?;
                Ok(Value::Scalar(vec![it.val; grid.count]))
            }
            Expr::StringLiteral(it) => Ok(Value::Text(it.val.clone())),
            Expr::VectorSelector(it) => self.selected(it, grid, |sample| sample.value).map(Value::Vector),
            Expr::Unary(it) => match self.eval(&it.expr, grid)? {
                Value::Scalar(values) => Ok(Value::Scalar(values.into_iter().map(|v| -v).collect())),
                Value::Vector(rows) => negated(rows).map(Value::Vector),
                Value::Text(_) => Err(Failed::execution("cannot negate a string")),
            },
            Expr::Binary(it) => binary::eval(self, it, grid),
            Expr::Aggregate(it) => aggregate::eval(self, it, grid).map(Value::Vector),
            Expr::Call(it) => function::call(self, it, grid),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err(Failed::execution("range vector where an instant vector is needed")),
            Expr::Extension(_) => Err(Failed::execution("unknown expression")),
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, Failed> {
        match self.eval(expr, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(Failed::execution("expected a scalar")),
        }
    }

    pub(super) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<Row>, Failed> {
        match self.eval(expr, grid)? {
            Value::Vector(rows) => Ok(rows),
            _ => Err(Failed::execution("expected an instant vector")),
        }
    }

    /// Takes `count` values from the query's allowance.
    pub(super) fn charge(&self, count: usize) -> Result<(), Failed> {
        let text = "query processing would load too many samples into memory in query execution";
        self.left.set(self.left.get().checked_sub(count).ok_or_else(|| Failed::execution(text))?);
        Ok(())
    }

    /// The newest sample of each selected series at each moment, turned into a value by `take`.
    pub(super) fn selected(&self, it: &VectorSelector, grid: Grid, take: impl Fn(Sample) -> f64) -> Result<Vec<Row>, Failed> {
        let offset = signed_ms(it.offset.as_ref());
        let fixed = self.fixed(it.at.as_ref());
        let mut rows = Vec::new();
        for stored in self.db.select(it) {
            let mut known = 0;
            let mut at = |moment: i64| newest(&stored.samples, moment - offset, &mut known).map(&take);
            let points: Vec<_> = match fixed {
                Some(moment) => vec![at(moment); grid.count],
                None => grid.times().map(at).collect(),
            };
            let row = Row { metric: stored.metric.clone(), points };
            if row.has_points() {
                self.charge(grid.count)?;
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// Evaluates a range selector or a subquery.
    pub(super) fn ranges(&self, expr: &Expr, grid: Grid) -> Result<Ranges<'a>, Failed> {
        match expr {
            Expr::Paren(it) => self.ranges(&it.expr, grid),
            Expr::MatrixSelector(it) => self.stored_ranges(it, grid),
            Expr::Subquery(it) => self.subquery(it, grid),
            _ => Err(Failed::execution("expected a range vector")),
        }
    }

    fn stored_ranges(&self, it: &MatrixSelector, grid: Grid) -> Result<Ranges<'a>, Failed> {
        let ends = self.ends(it.vs.at.as_ref(), it.vs.offset.as_ref(), grid);
        let length = whole_ms(it.range);
        let mut rows = Vec::new();
        if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
            for stored in self.db.select(&it.vs) {
                let samples = window(&stored.samples, first - length, *last);
                self.charge(samples.len())?;
                let samples = if samples.iter().any(|s| s.is_stale()) {
                    Cow::Owned(samples.iter().filter(|s| !s.is_stale()).copied().collect())
                } else {
                    Cow::Borrowed(samples)
                };
                rows.push((stored.metric.clone(), samples));
            }
        }
        Ok(Ranges { rows, length, ends })
    }

    /// Evaluates the inner expression at multiples of the resolution, so that neighbouring windows share their samples.
    fn subquery(&self, it: &SubqueryExpr, grid: Grid) -> Result<Ranges<'a>, Failed> {
        let ends = self.ends(it.at.as_ref(), it.offset.as_ref(), grid);
        let length = whole_ms(it.range);
        let step = it.step.map_or(self.default_step, whole_ms).max(1);
        let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return Ok(Ranges { rows: Vec::new(), length, ends }) };
        let start = first - length;
        let aligned = start + (-start).rem_euclid(step);
        let inner = Grid::range(aligned, *last, step);
        self.charge(inner.count)?;
        let rows = self.vector(&it.expr, inner)?;
        let samples = |row: Row| -> Cow<'a, [Sample]> {
            Cow::Owned(inner.times().zip(row.points).filter_map(|(at, v)| v.map(|value| Sample { at, value })).collect())
        };
        let rows = rows.into_iter().map(|row| (row.metric.clone(), samples(row))).collect();
        Ok(Ranges { rows, length, ends })
    }

    fn ends(&self, at: Option<&AtModifier>, offset: Option<&Offset>, grid: Grid) -> Vec<i64> {
        let offset = signed_ms(offset);
        let fixed = self.fixed(at);
        grid.times().map(|moment| fixed.unwrap_or(moment) - offset).collect()
    }

    fn fixed(&self, at: Option<&AtModifier>) -> Option<i64> {
        match at? {
            AtModifier::Start => Some(self.whole.start),
            AtModifier::End => Some(self.whole.end()),
            AtModifier::At(time) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => whole_ms(after),
                Err(before) => -whole_ms(before.duration()),
            }),
        }
    }
}

fn negated(mut rows: Vec<Row>) -> Result<Vec<Row>, Failed> {
    for row in &mut rows {
        row.metric = row.metric.without_name();
        row.points.iter_mut().flatten().for_each(|v| *v = -*v);
    }
    distinct(rows)
}

/// The part of `samples` from `start` to `end`, both included.
pub(super) fn window(samples: &[Sample], start: i64, end: i64) -> &[Sample] {
    let from = samples.partition_point(|s| s.at < start);
    let to = samples.partition_point(|s| s.at <= end);
    samples.get(from..to).unwrap_or(&[])
}

/// The newest sample at or before `moment`, unless it is older than the lookback or marks the end of the series.
/// `known` carries the position from one call to the next; moments must not go back.
fn newest(samples: &[Sample], moment: i64, known: &mut usize) -> Option<Sample> {
    if *known == 0 {
        *known = samples.partition_point(|s| s.at <= moment);
    }
    while samples.get(*known).is_some_and(|s| s.at <= moment) {
        *known += 1;
    }
    let sample = samples[..*known].last()?;
    (sample.at >= moment - LOOKBACK_MS && !sample.is_stale()).then_some(*sample)
}

/// Labels that a selector pins down by equality: what `absent` gives its result.
pub(super) fn pinned_labels(expr: &Expr) -> Metric {
    let selector = match expr {
        Expr::Paren(it) => return pinned_labels(&it.expr),
        Expr::VectorSelector(it) => it,
        Expr::MatrixSelector(it) => &it.vs,
        _ => return Metric::empty(),
    };
    let mut labels = Metric::empty();
    let mut seen = std::collections::HashSet::new();
    for matcher in selector.matchers.matchers.iter().filter(|m| m.name != NAME) {
        let pins = matches!(matcher.op, promql_parser::label::MatchOp::Equal) && !seen.contains(&matcher.name);
        labels = labels.with(&matcher.name, if pins { &matcher.value } else { "" });
        if pins {
            seen.insert(&matcher.name);
        }
    }
    labels
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn signed_ms(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(by)) => whole_ms(*by),
        Some(Offset::Neg(by)) => -whole_ms(*by),
    }
}
