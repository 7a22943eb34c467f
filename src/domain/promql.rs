//! What a PromQL query says about itself, without asking a server.

use promql_parser::parser::{self, Expr};
use std::time::Duration;

/// Facts about a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFacts {
    /// How far back the query reads: its longest range selector, subqueries added up.
    pub longest_range: Duration,
    /// Names of the metrics it selects, in order, each once.
    pub selectors: Vec<String>,
}

/// Parses a query and tells its facts; the error is the parser's sentence.
pub fn inspect(query: &str) -> Result<QueryFacts, String> {
    let expression = parser::parse(query)?;
    let mut facts = QueryFacts { longest_range: Duration::ZERO, selectors: Vec::new() };
    walk(&expression, Duration::ZERO, &mut facts);
    Ok(facts)
}

fn walk(expression: &Expr, outer: Duration, facts: &mut QueryFacts) {
    match expression {
        Expr::Aggregate(a) => {
            walk(&a.expr, outer, facts);
            if let Some(param) = &a.param {
                walk(param, outer, facts);
            }
        }
        Expr::Unary(u) => walk(&u.expr, outer, facts),
        Expr::Binary(b) => {
            walk(&b.lhs, outer, facts);
            walk(&b.rhs, outer, facts);
        }
        Expr::Paren(p) => walk(&p.expr, outer, facts),
        Expr::Subquery(s) => walk(&s.expr, outer.saturating_add(s.range), facts),
        Expr::Call(c) => c.args.args.iter().for_each(|argument| walk(argument, outer, facts)),
        Expr::VectorSelector(v) => select(v.name.as_deref(), outer, facts),
        Expr::MatrixSelector(m) => select(m.vs.name.as_deref(), outer.saturating_add(m.range), facts),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn select(name: Option<&str>, reach: Duration, facts: &mut QueryFacts) {
    facts.longest_range = facts.longest_range.max(reach);
    if let Some(name) = name
        && !facts.selectors.iter().any(|known| known == name)
    {
        facts.selectors.push(name.to_owned());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_wins_and_a_subquery_adds_to_it() {
        let facts = inspect(r#"sum(rate(a{x="y"}[2m])) / sum(rate(b[5m])) > a"#).unwrap();
        assert_eq!(facts, QueryFacts { longest_range: Duration::from_secs(300), selectors: vec!["a".into(), "b".into()] });
        assert_eq!(inspect("max_over_time(rate(a[2m])[10m:1m])").unwrap().longest_range, Duration::from_secs(720));
        assert_eq!(inspect("up").unwrap().longest_range, Duration::ZERO);
    }

    #[test]
    fn what_does_not_parse_is_an_error() {
        assert!(inspect("sum(rate(a[2m])").is_err());
        assert!(inspect("").is_err());
    }
}
