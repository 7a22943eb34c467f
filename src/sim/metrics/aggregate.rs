//! Aggregations over the series of an instant vector.

use super::eval::Evaluator;
use super::metric::{Metric, NAME, is_label_name};
use super::number::{compact, nan_last, plain, quantile};
use super::value::{Failed, Grid, Row, Value, joined};
use promql_parser::parser::token as t;
use promql_parser::parser::token::TokenId;
use promql_parser::parser::{AggregateExpr, LabelModifier};
use std::collections::HashMap;

const KNOWN: [TokenId; 12] = [
    t::T_SUM,
    t::T_AVG,
    t::T_MIN,
    t::T_MAX,
    t::T_COUNT,
    t::T_GROUP,
    t::T_STDDEV,
    t::T_STDVAR,
    t::T_TOPK,
    t::T_BOTTOMK,
    t::T_QUANTILE,
    t::T_COUNT_VALUES,
];

pub(super) fn is_known(op: TokenId) -> bool {
    KNOWN.contains(&op)
}

pub(super) fn eval(ev: &Evaluator<'_>, it: &AggregateExpr, grid: Grid) -> Result<Vec<Row>, Failed> {
    let op = it.op.id();
    let param = it.param.as_ref().map(|param| ev.eval(param, grid)).transpose()?;
    let rows = ev.vector(&it.expr, grid)?;
    let groups = Groups::new(&rows, it.modifier.as_ref());
    match (op, param) {
        (t::T_TOPK | t::T_BOTTOMK, Some(Value::Scalar(k))) => extremes(op == t::T_TOPK, &k, &rows, &groups, grid),
        (t::T_QUANTILE, Some(Value::Scalar(q))) => Ok(groups.collected(&rows, grid, |step, values| quantile(q[step], values))),
        (t::T_COUNT_VALUES, Some(Value::Text(label))) => count_values(&label, &rows, it.modifier.as_ref(), grid),
        (_, None) => Ok(groups.folded(op, &rows, grid)),
        _ => Err(Failed::execution("aggregation with a parameter of the wrong type")),
    }
}

fn group_labels(metric: &Metric, modifier: Option<&LabelModifier>) -> Metric {
    match modifier {
        None => Metric::empty(),
        Some(LabelModifier::Include(by)) => metric.keep(|name| by.labels.iter().any(|l| l == name)),
        Some(LabelModifier::Exclude(without)) => metric.keep(|name| name != NAME && !without.labels.iter().any(|l| l == name)),
    }
}

/// Which rows belong together; the same at every moment.
struct Groups {
    labels: Vec<Metric>,
    of_row: Vec<usize>,
}

impl Groups {
    fn new(rows: &[Row], modifier: Option<&LabelModifier>) -> Self {
        let mut numbers: HashMap<Metric, usize> = HashMap::new();
        let mut labels = Vec::new();
        let mut number = |row: &Row| {
            *numbers.entry(group_labels(&row.metric, modifier)).or_insert_with_key(|group| {
                labels.push(group.clone());
                labels.len() - 1
            })
        };
        let of_row = rows.iter().map(&mut number).collect();
        Self { labels, of_row }
    }

    /// Aggregations that need one value after the other.
    fn folded(&self, op: TokenId, rows: &[Row], grid: Grid) -> Vec<Row> {
        let mut running: Vec<Vec<Option<Running>>> = vec![vec![None; grid.count]; self.labels.len()];
        for (row, group) in rows.iter().zip(&self.of_row) {
            for (state, point) in running[*group].iter_mut().zip(&row.points) {
                let Some(value) = *point else { continue };
                match state {
                    Some(state) => state.add(op, value),
                    None => *state = Some(Running::new(op, value)),
                }
            }
        }
        let finish = |states: Vec<Option<Running>>| states.into_iter().map(|s| s.map(|s| s.finish(op))).collect();
        self.labels.iter().zip(running).map(|(metric, states)| Row { metric: metric.clone(), points: finish(states) }).collect()
    }

    /// Aggregations that need all values of a moment at once.
    fn collected(&self, rows: &[Row], grid: Grid, finish: impl Fn(usize, Vec<f64>) -> f64) -> Vec<Row> {
        let mut out: Vec<Row> = self.labels.iter().map(|m| Row { metric: m.clone(), points: vec![None; grid.count] }).collect();
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); self.labels.len()];
        for step in 0..grid.count {
            for (row, group) in rows.iter().zip(&self.of_row) {
                values[*group].extend(row.points[step]);
            }
            for (row, values) in out.iter_mut().zip(&mut values) {
                if !values.is_empty() {
                    row.points[step] = Some(finish(step, std::mem::take(values)));
                }
            }
        }
        out
    }
}

/// State of one group at one moment. What each field means depends on the aggregation.
#[derive(Debug, Clone, Copy)]
struct Running {
    count: f64,
    mean: f64,
    value: f64,
}

impl Running {
    fn new(op: TokenId, first: f64) -> Self {
        let value = match op {
            t::T_GROUP => 1.0,
            // One value has no spread, not even an infinite one.
            t::T_STDDEV | t::T_STDVAR => 0.0,
            _ => first,
        };
        Self { count: 1.0, mean: first, value }
    }

    fn add(&mut self, op: TokenId, value: f64) {
        self.count += 1.0;
        match op {
            t::T_SUM => self.value += value,
            t::T_AVG => self.mean = next_mean(self.mean, self.count, value),
            t::T_MAX if self.value < value || self.value.is_nan() => self.value = value,
            t::T_MIN if self.value > value || self.value.is_nan() => self.value = value,
            t::T_STDDEV | t::T_STDVAR => {
                let delta = value - self.mean;
                self.mean += delta / self.count;
                self.value += delta * (value - self.mean);
            }
            _ => {}
        }
    }

    fn finish(self, op: TokenId) -> f64 {
        match op {
            t::T_AVG => self.mean,
            t::T_COUNT => self.count,
            t::T_STDVAR => self.value / self.count,
            t::T_STDDEV => (self.value / self.count).sqrt(),
            _ => self.value,
        }
    }
}

/// A mean that survives sums above the largest float, and stays infinite once it is.
fn next_mean(mean: f64, count: f64, value: f64) -> f64 {
    let stays = mean.is_infinite() && (value.is_finite() || (value.is_infinite() && (mean > 0.0) == (value > 0.0)));
    if stays { mean } else { mean + (value / count - mean / count) }
}

/// `topk` and `bottomk`: the rows themselves, where they are among the extremes. At a single moment, in order of value.
fn extremes(top: bool, k: &[f64], rows: &[Row], groups: &Groups, grid: Grid) -> Result<Vec<Row>, Failed> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.labels.len()];
    for (row, group) in groups.of_row.iter().enumerate() {
        members[*group].push(row);
    }
    let mut kept: Vec<Row> = rows.iter().map(|row| Row { metric: row.metric.clone(), points: vec![None; grid.count] }).collect();
    let mut order = Vec::new();
    for (step, k) in k.iter().enumerate() {
        if !(i64::MIN as f64..=i64::MAX as f64).contains(k) {
            return Err(Failed::execution(format!("Scalar value {} overflows int64", compact(*k))));
        }
        // Truncated as an integer would be; negative counts take nothing.
        let k = k.trunc().max(0.0) as usize;
        for group in &members {
            let mut best: Vec<(usize, f64)> = group.iter().filter_map(|row| rows[*row].points[step].map(|v| (*row, v))).collect();
            best.sort_by(|(_, a), (_, b)| if top && !a.is_nan() && !b.is_nan() { nan_last(*b, *a) } else { nan_last(*a, *b) });
            best.truncate(k);
            for (row, value) in best {
                kept[row].points[step] = Some(value);
                order.push(row);
            }
        }
    }
    if grid.count == 1 {
        return Ok(order.into_iter().map(|row| kept[row].clone()).collect());
    }
    kept.retain(Row::has_points);
    Ok(kept)
}

/// `count_values`: how many series have each value, the value as a label.
fn count_values(label: &str, rows: &[Row], modifier: Option<&LabelModifier>, grid: Grid) -> Result<Vec<Row>, Failed> {
    if !is_label_name(label) {
        return Err(Failed::execution(format!("invalid label name {label:?}")));
    }
    let mut out: Vec<Row> = Vec::new();
    let mut numbers: HashMap<Metric, usize> = HashMap::new();
    for row in rows {
        for (step, point) in row.points.iter().enumerate() {
            let Some(value) = point else { continue };
            let written = plain(*value);
            let labelled = row.metric.with(label, &written);
            let group = match modifier {
                // The label counts even when it was not among those to group by.
                Some(LabelModifier::Include(_)) | None => group_labels(&labelled, modifier).with(label, &written),
                Some(LabelModifier::Exclude(_)) => group_labels(&labelled, modifier),
            };
            let slot = *numbers.entry(group).or_insert_with_key(|group| {
                out.push(Row { metric: group.clone(), points: vec![None; grid.count] });
                out.len() - 1
            });
            let count = &mut out[slot].points[step];
            *count = Some(count.unwrap_or(0.0) + 1.0);
        }
    }
    joined(out)
}
