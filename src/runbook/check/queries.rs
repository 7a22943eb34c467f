//! What can be said about a PromQL query without asking a server.

use crate::runbook::parse::node::Span;
use crate::runbook::parse::report::Report;
use promql_parser::parser::token::{T_DIV, T_GTE, T_GTR, T_LOR};
use promql_parser::parser::{self, Expr, VectorSelector};
use std::collections::BTreeSet;

/// A query with more divisions than this is not looked into: each is compared with all that stands above it.
const MOST_DIVISIONS: usize = 50;

/// Ratios that mislead when there is little traffic or no error at all. The query has been parsed before.
pub(crate) fn lint(query: &str, span: Span, report: &mut Report) {
    if query.matches('/').count() > MOST_DIVISIONS {
        return;
    }
    let Ok(tree) = parser::parse(query) else { return };
    divisions(&tree, &mut |over, under| {
        if !has_floor(under) {
            let why = "this ratio is computed on any traffic, so a single request can decide";
            report.warning("no-traffic-floor", span, why, "divide by `(... > 1)`: below that there is no data");
        }
        if is_narrower(over, under) && !has_zero(over) {
            let why = "without a single match above the division there is no series, so the ratio is no data instead of 0";
            report.warning("no-zero", span, why, "write `(... or vector(0))` above the division");
        }
    });
}

fn inner(expression: &Expr) -> &Expr {
    match expression {
        Expr::Paren(p) => inner(&p.expr),
        other => other,
    }
}

fn children(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Aggregate(a) => std::iter::once(&*a.expr).chain(a.param.as_deref()).collect(),
        Expr::Unary(u) => vec![&u.expr],
        Expr::Binary(b) => vec![&b.lhs, &b.rhs],
        Expr::Paren(p) => vec![&p.expr],
        Expr::Subquery(s) => vec![&s.expr],
        Expr::Call(c) => c.args.args.iter().map(|argument| &**argument).collect(),
        _ => Vec::new(),
    }
}

fn divisions(expression: &Expr, each: &mut impl FnMut(&Expr, &Expr)) {
    if let Expr::Binary(b) = expression
        && b.op.id() == T_DIV
        && !selectors(&b.rhs).is_empty()
    {
        each(&b.lhs, &b.rhs);
    }
    for child in children(expression) {
        divisions(child, each);
    }
}

fn selectors(expression: &Expr) -> Vec<&VectorSelector> {
    match expression {
        Expr::VectorSelector(v) => vec![v],
        Expr::MatrixSelector(m) => vec![&m.vs],
        other => children(other).into_iter().flat_map(selectors).collect(),
    }
}

/// `(... > n)`
fn has_floor(expression: &Expr) -> bool {
    matches!(inner(expression), Expr::Binary(b) if matches!(b.op.id(), T_GTR | T_GTE) && selectors(&b.rhs).is_empty())
}

/// `... or vector(0)`
fn has_zero(expression: &Expr) -> bool {
    match inner(expression) {
        Expr::Binary(b) if b.op.id() == T_LOR => {
            matches!(inner(&b.rhs), Expr::Call(call) if call.func.name == "vector") || has_zero(&b.rhs)
        }
        _ => false,
    }
}

/// Whether the part selects by a label that the whole does not: such as only failed requests.
fn is_narrower(part: &Expr, whole: &Expr) -> bool {
    let labels = |expression| -> BTreeSet<String> {
        selectors(expression).iter().flat_map(|v| v.matchers.matchers.iter().map(|m| m.name.clone())).collect()
    };
    !labels(part).is_subset(&labels(whole))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rules(query: &str) -> Vec<String> {
        let mut report = Report::new("x");
        lint(query, Span::default(), &mut report);
        report.finish().into_iter().map(|d| d.rule).collect()
    }

    #[test]
    fn a_ratio_needs_a_floor_below_and_a_zero_above() {
        let (bad, all) = (r#"sum(rate(r{code=~"5.."}[2m]))"#, "sum(rate(r[2m]))");
        assert_eq!(rules(&format!("{bad} / {all}")), ["no-traffic-floor", "no-zero"]);
        assert_eq!(rules(&format!("({bad} or vector(0)) / {all}")), ["no-traffic-floor"]);
        assert_eq!(rules(&format!("{bad} / ({all} > 1)")), ["no-zero"]);
        assert!(rules(&format!("({bad} or vector(0)) / ({all} > 1)")).is_empty());
        assert!(rules("rate(latency_sum[2m]) / (rate(latency_count[2m]) > 0)").is_empty(), "a mean has no errors to miss");
        assert!(rules(&format!("{all} / 60")).is_empty(), "dividing by a constant is no ratio");
    }
}
