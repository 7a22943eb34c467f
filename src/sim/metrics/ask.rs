//! Queries from inside the simulation.

use super::tsdb::Tsdb;
use super::{eval, syntax};

/// The values of an instant query at a moment in milliseconds since 1970; several for a vector.
pub(crate) fn values(db: &Tsdb, query: &str, at: i64) -> Result<Vec<f64>, String> {
    let expr = syntax::parse(query).map_err(|failed| failed.text)?;
    match eval::instant(db, &expr, at, 60_000).map_err(|failed| failed.text)? {
        eval::Outcome::Scalar(value) => Ok(vec![value]),
        eval::Outcome::Vector(rows) => Ok(rows.into_iter().map(|(_, value)| value).collect()),
        eval::Outcome::Text(_) | eval::Outcome::Matrix(_) => Err("the query gives no number".to_owned()),
    }
}
