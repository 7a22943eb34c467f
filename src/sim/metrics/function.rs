//! Function calls.

use super::eval::{Evaluator, pinned_labels, window};
use super::metric::Metric;
use super::number::{max, min, nan_first, nan_last};
use super::over_time::{self, OverTime, Window};
use super::value::{Failed, Grid, Row, Value, distinct, joined};
use super::{histogram, relabel};
use chrono::{DateTime, Datelike, Timelike, Utc};
use promql_parser::parser::{Call, Expr};

/// Functions that are neither elementwise, nor of dates, nor over windows.
const OTHERS: [&str; 23] = [
    "absent",
    "absent_over_time",
    "clamp",
    "clamp_max",
    "clamp_min",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "label_join",
    "label_replace",
    "pi",
    "round",
    "scalar",
    "sort",
    "sort_desc",
    "time",
    "timestamp",
    "vector",
    "sgn",
];

/// Whether the evaluator has this function.
pub(super) fn is_known(name: &str) -> bool {
    over_time::named(name).is_some() || elementwise(name).is_some() || of_date(name).is_some() || OTHERS.contains(&name)
}

pub(super) fn call(ev: &Evaluator<'_>, it: &Call, grid: Grid) -> Result<Value, Failed> {
    let name = it.func.name;
    if let Some(function) = over_time::named(name) {
        return windows(ev, it, function, grid).map(Value::Vector);
    }
    if let Some(function) = elementwise(name) {
        let rows = ev.vector(arg(it, 0)?, grid)?;
        return each(rows, |_, value| Ok(function(value))).map(Value::Vector);
    }
    if let Some(function) = of_date(name) {
        return dates(ev, it, function, grid).map(Value::Vector);
    }
    match name {
        "time" => Ok(Value::Scalar(grid.times().map(|at| at as f64 / 1000.0).collect())),
        "pi" => Ok(Value::Scalar(vec![std::f64::consts::PI; grid.count])),
        "scalar" => ev.vector(arg(it, 0)?, grid).map(|rows| Value::Scalar(only_values(&rows, grid))),
        _ => to_vector(ev, it, grid).map(Value::Vector),
    }
}

fn arg(it: &Call, index: usize) -> Result<&Expr, Failed> {
    let missing = || Failed::execution(format!("missing argument in call to function {:?}", it.func.name));
    it.args.args.get(index).map(|arg| &**arg).ok_or_else(missing)
}

fn text(ev: &Evaluator<'_>, it: &Call, index: usize) -> Result<String, Failed> {
    match ev.eval(arg(it, index)?, Grid::instant(0))? {
        Value::Text(text) => Ok(text),
        _ => Err(Failed::execution("expected a string")),
    }
}

fn to_vector(ev: &Evaluator<'_>, it: &Call, grid: Grid) -> Result<Vec<Row>, Failed> {
    let scalar = |index| ev.scalar(arg(it, index)?, grid);
    let vector = |index| ev.vector(arg(it, index)?, grid);
    match it.func.name {
        "absent" => Ok(absent(arg(it, 0)?, &vector(0)?, grid)),
        "absent_over_time" => absent_over_time(ev, arg(it, 0)?, grid),
        "clamp" => {
            let (low, high) = (scalar(1)?, scalar(2)?);
            let clamp = |step: usize, v| {
                (high[step] >= low[step] || high[step].is_nan() || low[step].is_nan()).then(|| max(low[step], min(high[step], v)))
            };
            each_or_none(vector(0)?, clamp)
        }
        "clamp_max" => scalar(1).and_then(|high| each(vector(0)?, |step, v| Ok(min(high[step], v)))),
        "clamp_min" => scalar(1).and_then(|low| each(vector(0)?, |step, v| Ok(max(low[step], v)))),
        "round" => {
            let to = if it.args.args.len() > 1 { scalar(1)? } else { vec![1.0; grid.count] };
            // Multiplied by the inverse, as Prometheus does: dividing rounds differently.
            each(vector(0)?, |step, v| Ok((v * (1.0 / to[step]) + 0.5).floor() / (1.0 / to[step])))
        }
        "sgn" => each(vector(0)?, |_, v| {
            Ok(if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            })
        }),
        "sort" => Ok(sorted(vector(0)?, nan_last, grid)),
        "sort_desc" => Ok(sorted(vector(0)?, |a, b| nan_first(b, a), grid)),
        "timestamp" => timestamp(ev, arg(it, 0)?, grid),
        "vector" => Ok(vec![Row { metric: Metric::empty(), points: scalar(0)?.into_iter().map(Some).collect() }]),
        "histogram_quantile" => histogram::quantiles(&scalar(0)?, &vector(1)?, grid),
        "label_replace" => relabel::replace(vector(0)?, &text(ev, it, 1)?, &text(ev, it, 2)?, &text(ev, it, 3)?, &text(ev, it, 4)?),
        "label_join" => {
            let from = (3..it.args.args.len()).map(|i| text(ev, it, i)).collect::<Result<Vec<_>, _>>()?;
            relabel::join(vector(0)?, &text(ev, it, 1)?, &text(ev, it, 2)?, &from)
        }
        // These read native histograms; there are only floats here, of which they make nothing.
        "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar" => vector(0).map(|_| Vec::new()),
        "histogram_fraction" => vector(2).map(|_| Vec::new()),
        name => Err(Failed::execution(format!("function {name:?} is not available"))),
    }
}

/// Applies a function to each value; the name goes.
fn each(rows: Vec<Row>, function: impl Fn(usize, f64) -> Result<f64, Failed>) -> Result<Vec<Row>, Failed> {
    let mut out = Vec::with_capacity(rows.len());
    for mut row in rows {
        for (step, point) in row.points.iter_mut().enumerate() {
            if let Some(value) = *point {
                *point = Some(function(step, value)?);
            }
        }
        out.push(Row { metric: row.metric.without_name(), points: row.points });
    }
    joined(out)
}

fn each_or_none(mut rows: Vec<Row>, function: impl Fn(usize, f64) -> Option<f64>) -> Result<Vec<Row>, Failed> {
    for row in &mut rows {
        row.metric = row.metric.without_name();
        for (step, point) in row.points.iter_mut().enumerate() {
            *point = point.and_then(|value| function(step, value));
        }
    }
    rows.retain(Row::has_points);
    joined(rows)
}

fn elementwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "sqrt" => f64::sqrt,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
        _ => return None,
    })
}

fn of_date(name: &str) -> Option<fn(DateTime<Utc>) -> u32> {
    Some(match name {
        "minute" => |t| t.minute(),
        "hour" => |t| t.hour(),
        "day_of_week" => |t| t.weekday().num_days_from_sunday(),
        "day_of_month" => |t| t.day(),
        "day_of_year" => |t| t.ordinal(),
        "days_in_month" => |t| u32::from(t.num_days_in_month()),
        "month" => |t| t.month(),
        "year" => |t| t.year().unsigned_abs(),
        _ => return None,
    })
}

/// Without an argument: of the moment of evaluation.
fn dates(ev: &Evaluator<'_>, it: &Call, function: fn(DateTime<Utc>) -> u32, grid: Grid) -> Result<Vec<Row>, Failed> {
    let read = |seconds: f64| {
        let refused = || Failed::execution(format!("{seconds} is not a time that {} can read", it.func.name));
        // The years 1 to 9999; outside them (and for NaN) there is no sensible answer.
        let known = (-62_135_596_800.0..253_402_300_800.0).contains(&seconds);
        let time = known.then(|| DateTime::from_timestamp(seconds as i64, 0)).flatten().ok_or_else(refused)?;
        Ok(f64::from(function(time)))
    };
    if it.args.args.is_empty() {
        let points = grid.times().map(|at| read((at / 1000) as f64).map(Some)).collect::<Result<_, _>>()?;
        return Ok(vec![Row { metric: Metric::empty(), points }]);
    }
    each(ev.vector(arg(it, 0)?, grid)?, |_, seconds| read(seconds))
}

/// Applies a function to every window of every series.
fn windows(ev: &Evaluator<'_>, it: &Call, function: OverTime, grid: Grid) -> Result<Vec<Row>, Failed> {
    let (ranges_arg, scalar_arg) = match it.func.name {
        "quantile_over_time" => (1, Some(0)),
        "predict_linear" => (0, Some(1)),
        _ => (0, None),
    };
    let scalars = scalar_arg.map(|index| ev.scalar(arg(it, index)?, grid)).transpose()?;
    let ranges = ev.ranges(arg(it, ranges_arg)?, grid)?;
    let mut rows = Vec::new();
    for (metric, samples) in &ranges.rows {
        let value = |((now, end), step): ((i64, &i64), usize)| {
            let start = end - ranges.length;
            let inside = window(samples, start, *end);
            let scalar = scalars.as_ref().map_or(0.0, |values| values[step]);
            if inside.is_empty() { None } else { function(Window { samples: inside, start, end: *end, now, scalar }) }
        };
        let points = grid.times().zip(&ranges.ends).zip(0..).map(value).collect();
        // The last sample is the series itself, moved in time; everything else is a calculation.
        let metric = if it.func.name == "last_over_time" { metric.clone() } else { metric.without_name() };
        let row = Row { metric, points };
        if row.has_points() {
            ev.charge(grid.count)?;
            rows.push(row);
        }
    }
    distinct(rows)
}

fn any_at(rows: &[Row], grid: Grid) -> Vec<bool> {
    let mut any = vec![false; grid.count];
    for row in rows {
        any.iter_mut().zip(&row.points).for_each(|(any, point)| *any |= point.is_some());
    }
    any
}

fn one_where_missing(metric: Metric, present: &[bool]) -> Vec<Row> {
    let row = Row { metric, points: present.iter().map(|present| (!present).then_some(1.0)).collect() };
    if row.has_points() { vec![row] } else { Vec::new() }
}

fn absent(arg: &Expr, rows: &[Row], grid: Grid) -> Vec<Row> {
    one_where_missing(pinned_labels(arg), &any_at(rows, grid))
}

fn absent_over_time(ev: &Evaluator<'_>, arg: &Expr, grid: Grid) -> Result<Vec<Row>, Failed> {
    let ranges = ev.ranges(arg, grid)?;
    let in_window = |end: &i64| ranges.rows.iter().any(|(_, samples)| !window(samples, end - ranges.length, *end).is_empty());
    let present: Vec<bool> = ranges.ends.iter().map(in_window).collect();
    Ok(one_where_missing(pinned_labels(arg), &present))
}

/// The value where exactly one series has one, else NaN.
fn only_values(rows: &[Row], grid: Grid) -> Vec<f64> {
    let only = |step: usize| {
        let mut values = rows.iter().filter_map(|row| row.points[step]);
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    (0..grid.count).map(only).collect()
}

/// Order means something at a single moment only; ranges are sorted by labels in the end.
fn sorted(mut rows: Vec<Row>, order: impl Fn(f64, f64) -> std::cmp::Ordering, grid: Grid) -> Vec<Row> {
    if grid.count == 1 {
        let value = |row: &Row| row.points.first().copied().flatten().unwrap_or(f64::NAN);
        rows.sort_by(|a, b| order(value(a), value(b)));
    }
    rows
}

/// When the samples were taken, if the argument is a plain selector; else the moment of evaluation.
fn timestamp(ev: &Evaluator<'_>, arg: &Expr, grid: Grid) -> Result<Vec<Row>, Failed> {
    let mut inner = arg;
    while let Expr::Paren(it) = inner {
        inner = &it.expr;
    }
    if let Expr::VectorSelector(selector) = inner {
        let mut rows = ev.selected(selector, grid, |sample| sample.at as f64 / 1000.0)?;
        for row in &mut rows {
            row.metric = row.metric.without_name();
        }
        return joined(rows);
    }
    let times: Vec<i64> = grid.times().collect();
    each(ev.vector(arg, grid)?, |step, _| Ok(times[step] as f64 / 1000.0))
}
