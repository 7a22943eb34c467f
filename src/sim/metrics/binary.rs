//! Binary operators: arithmetic, comparison, sets, and the matching of vectors.

use super::eval::Evaluator;
use super::metric::{Metric, NAME};
use super::value::{Failed, Grid, Row, Value, joined};
use promql_parser::parser::token as t;
use promql_parser::parser::token::TokenId;
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};
use std::collections::HashMap;

const ARITHMETIC: [TokenId; 6] = [t::T_ADD, t::T_SUB, t::T_MUL, t::T_DIV, t::T_MOD, t::T_POW];
const COMPARISON: [TokenId; 6] = [t::T_EQLC, t::T_NEQ, t::T_GTR, t::T_LSS, t::T_GTE, t::T_LTE];
const SET: [TokenId; 3] = [t::T_LAND, t::T_LOR, t::T_LUNLESS];

pub(super) fn is_known(op: TokenId) -> bool {
    ARITHMETIC.contains(&op) || COMPARISON.contains(&op) || SET.contains(&op) || op == t::T_ATAN2
}

pub(super) fn eval(ev: &Evaluator<'_>, it: &BinaryExpr, grid: Grid) -> Result<Value, Failed> {
    let op = it.op.id();
    let default = BinModifier::default();
    let modifier = it.modifier.as_ref().unwrap_or(&default);
    match (ev.eval(&it.lhs, grid)?, ev.eval(&it.rhs, grid)?) {
        (Value::Scalar(l), Value::Scalar(r)) => Ok(Value::Scalar(l.into_iter().zip(r).map(|(l, r)| scalars(op, l, r)).collect())),
        (Value::Vector(rows), Value::Scalar(r)) => with_scalar(op, rows, &r, false, modifier.return_bool).map(Value::Vector),
        (Value::Scalar(l), Value::Vector(rows)) => with_scalar(op, rows, &l, true, modifier.return_bool).map(Value::Vector),
        (Value::Vector(l), Value::Vector(r)) if SET.contains(&op) => sets(op, l, r, modifier).map(Value::Vector),
        (Value::Vector(l), Value::Vector(r)) => Matched::new(op, l, r, modifier, grid).compute().map(Value::Vector),
        _ => Err(Failed::execution("binary expression must contain only scalar and instant vector types")),
    }
}

/// Result of `left op right`, and whether a filter keeps it.
#[allow(clippy::float_cmp, reason = "the query says ==")]
fn elements(op: TokenId, left: f64, right: f64) -> (f64, bool) {
    match op {
        t::T_ADD => (left + right, true),
        t::T_SUB => (left - right, true),
        t::T_MUL => (left * right, true),
        t::T_DIV => (left / right, true),
        t::T_MOD => (left % right, true),
        t::T_POW => (left.powf(right), true),
        t::T_ATAN2 => (left.atan2(right), true),
        t::T_EQLC => (left, left == right),
        t::T_NEQ => (left, left != right),
        t::T_GTR => (left, left > right),
        t::T_LSS => (left, left < right),
        t::T_GTE => (left, left >= right),
        _ => (left, left <= right),
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn scalars(op: TokenId, left: f64, right: f64) -> f64 {
    let (value, holds) = elements(op, left, right);
    if COMPARISON.contains(&op) { truth(holds) } else { value }
}

/// `swapped`: the scalar stands on the left. Filters keep the vector's value wherever it stands.
fn with_scalar(op: TokenId, mut rows: Vec<Row>, scalar: &[f64], swapped: bool, bools: bool) -> Result<Vec<Row>, Failed> {
    let compares = COMPARISON.contains(&op);
    for row in &mut rows {
        for (point, scalar) in row.points.iter_mut().zip(scalar) {
            let Some(have) = *point else { continue };
            let (value, holds) = if swapped { elements(op, *scalar, have) } else { elements(op, have, *scalar) };
            *point = match (bools, compares) {
                (true, _) => Some(truth(holds)),
                (false, true) => holds.then_some(have),
                (false, false) => Some(value),
            };
        }
        if bools || ARITHMETIC.contains(&op) {
            row.metric = row.metric.without_name();
        }
    }
    rows.retain(Row::has_points);
    joined(rows)
}

/// Gives series that match each other the same number.
struct Signatures<'m> {
    matching: Option<&'m LabelModifier>,
    numbers: HashMap<Metric, usize>,
}

impl<'m> Signatures<'m> {
    fn new(modifier: &'m BinModifier) -> Self {
        Self { matching: modifier.matching.as_ref(), numbers: HashMap::new() }
    }

    fn labels(&self, metric: &Metric) -> Metric {
        match self.matching {
            Some(LabelModifier::Include(on)) => metric.keep(|name| on.labels.iter().any(|l| l == name)),
            Some(LabelModifier::Exclude(off)) => metric.keep(|name| name != NAME && !off.labels.iter().any(|l| l == name)),
            None => metric.without_name(),
        }
    }

    fn number(&mut self, rows: &[Row]) -> Vec<usize> {
        rows.iter()
            .map(|row| {
                let next = self.numbers.len();
                *self.numbers.entry(self.labels(&row.metric)).or_insert(next)
            })
            .collect()
    }
}

fn sets(op: TokenId, mut left: Vec<Row>, mut right: Vec<Row>, modifier: &BinModifier) -> Result<Vec<Row>, Failed> {
    let mut signatures = Signatures::new(modifier);
    let (left_numbers, right_numbers) = (signatures.number(&left), signatures.number(&right));
    let count = signatures.numbers.len();
    // Which signatures the deciding side has, moment by moment.
    let (deciding, numbers) = if op == t::T_LOR { (&left, &left_numbers) } else { (&right, &right_numbers) };
    let steps = deciding.first().map_or(0, |row| row.points.len());
    let mut present = vec![false; count * steps];
    for (row, number) in deciding.iter().zip(numbers) {
        for (step, point) in row.points.iter().enumerate() {
            present[number * steps + step] |= point.is_some();
        }
    }
    let strike = |rows: &mut Vec<Row>, numbers: &[usize], keep_present: bool| {
        for (row, number) in rows.iter_mut().zip(numbers) {
            for (step, point) in row.points.iter_mut().enumerate() {
                let found = steps > 0 && present[number * steps + step];
                if found != keep_present {
                    *point = None;
                }
            }
        }
    };
    match op {
        t::T_LAND => strike(&mut left, &left_numbers, true),
        t::T_LUNLESS => strike(&mut left, &left_numbers, false),
        _ => {
            strike(&mut right, &right_numbers, false);
            left.append(&mut right);
        }
    }
    left.retain(Row::has_points);
    joined(left)
}

/// Arithmetic or comparison of two vectors. `many` is the side that may match several times, `one` the side that must be unique:
/// left and right, except under `group_right`.
struct Matched<'m> {
    op: TokenId,
    many: Vec<Row>,
    one: Vec<Row>,
    modifier: &'m BinModifier,
    swapped: bool,
    grid: Grid,
}

impl<'m> Matched<'m> {
    fn new(op: TokenId, left: Vec<Row>, right: Vec<Row>, modifier: &'m BinModifier, grid: Grid) -> Self {
        let swapped = matches!(modifier.card, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        Self { op, many, one, modifier, swapped, grid }
    }

    fn one_to_one(&self) -> bool {
        matches!(self.modifier.card, VectorMatchCardinality::OneToOne)
    }

    fn compute(&self) -> Result<Vec<Row>, Failed> {
        let mut signatures = Signatures::new(self.modifier);
        let (many_numbers, one_numbers) = (signatures.number(&self.many), signatures.number(&self.one));
        let mut out: Vec<Row> = Vec::new();
        let mut by_metric: HashMap<Metric, usize> = HashMap::new();
        let mut by_pair: HashMap<(usize, usize), usize> = HashMap::new();
        let mut partner: Vec<Option<usize>> = vec![None; signatures.numbers.len()];
        // Per result row, the signature that gave its value at this moment.
        let mut origin: Vec<Option<usize>> = Vec::new();
        let mut matched: Vec<bool> = vec![false; signatures.numbers.len()];
        for step in 0..self.grid.count {
            if !self.many.iter().any(|row| row.points[step].is_some()) {
                continue;
            }
            partner.fill(None);
            matched.fill(false);
            origin.fill(None);
            for (i, number) in one_numbers.iter().enumerate().filter(|(i, _)| self.one[*i].points[step].is_some()) {
                if let Some(other) = partner[*number].replace(i) {
                    return Err(self.not_unique(&signatures, i, other));
                }
            }
            for (i, number) in many_numbers.iter().enumerate() {
                let (Some(many), Some(j)) = (self.many[i].points[step], partner[*number]) else { continue };
                let Some(value) = self.value(many, self.one[j].points[step].unwrap_or(f64::NAN)) else { continue };
                let slot = *by_pair.entry((i, j)).or_insert_with(|| {
                    *by_metric.entry(self.result_metric(&self.many[i].metric, &self.one[j].metric)).or_insert_with_key(|metric| {
                        out.push(Row { metric: metric.clone(), points: vec![None; self.grid.count] });
                        origin.push(None);
                        out.len() - 1
                    })
                });
                if self.one_to_one() && std::mem::replace(&mut matched[*number], true) {
                    let text = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                    return Err(Failed::execution(text));
                }
                match origin[slot].replace(*number) {
                    None => out[slot].points[step] = Some(value),
                    Some(same) if same == *number => {
                        return Err(Failed::execution("multiple matches for labels: grouping labels must ensure unique matches"));
                    }
                    Some(_) => return Err(Failed::same_labels()),
                }
            }
        }
        Ok(out)
    }

    /// `None` when a filter drops it.
    fn value(&self, many: f64, one: f64) -> Option<f64> {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let (value, holds) = elements(self.op, left, right);
        if self.modifier.return_bool { Some(truth(holds)) } else { holds.then_some(value) }
    }

    fn result_metric(&self, many: &Metric, one: &Metric) -> Metric {
        let mut metric = if ARITHMETIC.contains(&self.op) || self.modifier.return_bool { many.without_name() } else { many.clone() };
        if self.one_to_one() {
            metric = match &self.modifier.matching {
                Some(LabelModifier::Include(on)) => metric.keep(|name| on.labels.iter().any(|l| l == name)),
                Some(LabelModifier::Exclude(off)) => metric.keep(|name| !off.labels.iter().any(|l| l == name)),
                None => metric,
            };
        }
        for label in self.modifier.card.labels().into_iter().flat_map(|l| &l.labels) {
            // `bool` takes the name away again even when it was to be copied.
            if label != NAME || !self.modifier.return_bool {
                metric = metric.with(label, one.get(label));
            }
        }
        metric
    }

    fn not_unique(&self, signatures: &Signatures<'_>, newer: usize, older: usize) -> Failed {
        let side = if self.swapped { "left" } else { "right" };
        let (newer, older) = (&self.one[newer].metric, &self.one[older].metric);
        let group = signatures.labels(newer);
        Failed::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{newer}, {older}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}
