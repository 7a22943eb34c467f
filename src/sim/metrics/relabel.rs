//! `label_replace` and `label_join`.

use super::metric::{Metric, is_label_name};
use super::value::{Failed, Row, joined};
use regex::Regex;

/// Sets label `to` to `template`, filled from the groups of `pattern`, where that matches the whole of label `from`.
pub(super) fn replace(rows: Vec<Row>, to: &str, template: &str, from: &str, pattern: &str) -> Result<Vec<Row>, Failed> {
    let refused = || Failed::execution(format!("invalid regular expression in label_replace(): {pattern}"));
    let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| refused())?;
    if !is_label_name(to) {
        return Err(Failed::execution(format!("invalid destination label name in label_replace(): {to}")));
    }
    let relabel = |metric: &Metric| match regex.captures(metric.get(from)) {
        Some(groups) => {
            let mut value = String::new();
            groups.expand(template, &mut value);
            metric.with(to, &value)
        }
        None => metric.clone(),
    };
    joined(rows.into_iter().map(|row| Row { metric: relabel(&row.metric), points: row.points }).collect())
}

/// Sets label `to` to the values of labels `from`, joined.
pub(super) fn join(rows: Vec<Row>, to: &str, separator: &str, from: &[String]) -> Result<Vec<Row>, Failed> {
    if let Some(bad) = from.iter().find(|name| !is_label_name(name)) {
        return Err(Failed::execution(format!("invalid source label name in label_join(): {bad}")));
    }
    if !is_label_name(to) {
        return Err(Failed::execution(format!("invalid destination label name in label_join(): {to}")));
    }
    let relabel = |metric: &Metric| {
        let values: Vec<&str> = from.iter().map(|name| metric.get(name)).collect();
        metric.with(to, &values.join(separator))
    };
    joined(rows.into_iter().map(|row| Row { metric: relabel(&row.metric), points: row.points }).collect())
}
