//! A query that is evaluated again and again, as rules do.

use super::eval::{self, Outcome};
use super::metric::NAME;
use super::syntax;
use super::tsdb::Tsdb;
use crate::domain::Labels;
use promql_parser::parser::Expr;

/// A parsed query.
#[derive(Debug)]
pub(crate) struct Query(Expr);

impl Query {
    /// Parses and checks it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        syntax::parse(text).map(Self).map_err(|failed| failed.text)
    }

    /// As Prometheus prints it.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    /// Its vector at one moment, in milliseconds since 1970, without names of metrics. A scalar is a vector of one without labels.
    pub(crate) fn at(&self, tsdb: &Tsdb, at: i64, step: i64) -> Result<Vec<(Labels, f64)>, String> {
        match eval::instant(tsdb, &self.0, at, step).map_err(|failed| failed.text)? {
            Outcome::Vector(rows) => Ok(rows
                .into_iter()
                .map(|(metric, value)| {
                    let labels = metric.iter().filter(|(name, _)| *name != NAME).map(|(k, v)| (k.to_owned(), v.to_owned()));
                    (labels.collect(), value)
                })
                .collect()),
            Outcome::Scalar(value) => Ok(vec![(Labels::new(), value)]),
            Outcome::Text(_) | Outcome::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}
