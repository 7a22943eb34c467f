//! What a PromQL query says about itself, without asking a server.

use super::criterion::{Op, Unit};
use promql_parser::parser::{self, AggregateExpr, BinaryExpr, Expr, MatrixSelector, VectorSelector};
use std::time::Duration;

/// Longest query that is looked at, in bytes: deeper nesting than that fits is nobody's query.
pub const LONGEST_QUERY: usize = 8 * 1024;
/// Deepest nesting that is looked at.
const DEEPEST: usize = 64;

/// Facts of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryFacts {
    /// The longest range selector or subquery with its inner ranges: how far into the past one evaluation reaches.
    pub longest_range: Duration,
    /// Its vector selectors, each once, in the order of the text, without range, offset and `@`: what to ask for the age of its samples.
    pub selectors: Vec<Selector>,
    /// Names of the metrics in it, each once; a selector by labels alone has none.
    pub metrics: Vec<String>,
    /// Whether its outermost operation divides one thing by another.
    quotient: bool,
    /// Whether its outermost operation is a quantile of a histogram.
    quantile: bool,
}

/// One series selector of a query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// As PromQL: `http_requests_total{service="checkout"}`.
    pub text: String,
    /// The longest range it stands under; zero for an instant selector.
    pub range: Duration,
}

impl QueryFacts {
    /// How values of the query are probably meant, when nobody said: a quantile of seconds is seconds, a quotient with a limit up to
    /// one is a ratio.
    #[must_use]
    pub fn guess_unit(&self, limit: f64) -> Unit {
        let seconds = |name: &String| name.trim_end_matches("_bucket").ends_with("_seconds");
        if self.quantile && self.metrics.iter().any(seconds) {
            Unit::Seconds
        } else if self.quotient && (0.0..=1.0).contains(&limit) && !self.metrics.iter().any(|m| m.ends_with("_seconds_sum")) {
            Unit::Ratio
        } else {
            Unit::Number
        }
    }
}

/// A query that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct QueryError {
    /// Where, in characters from the start of the query; 0 when the place is not known.
    pub position: usize,
    /// What is wrong, as a lower-case fragment.
    pub why: String,
}

/// Parses a query and tells what it is made of.
pub fn inspect(query: &str) -> Result<QueryFacts, QueryError> {
    if query.len() > LONGEST_QUERY {
        return Err(QueryError { position: 0, why: format!("the query has {} bytes, at most {LONGEST_QUERY} are read", query.len()) });
    }
    check_nesting(query)?;
    let expr = parser::parse(query).map_err(|why| QueryError { position: locate(query, &why), why: one_line(&why) })?;
    let mut facts = QueryFacts::default();
    let outermost = without_parens(&expr);
    facts.quotient = matches!(outermost, Expr::Binary(b) if b.op.to_string() == "/");
    facts.quantile = matches!(outermost, Expr::Call(c) if c.func.name == "histogram_quantile");
    visit(&expr, Duration::ZERO, &mut facts);
    Ok(facts)
}

/// A query that compares an expression with a number, taken apart: the expression, the comparison, the number. `None` for any other.
#[must_use]
pub fn comparison(query: &str) -> Option<(String, Op, f64)> {
    inspect(query).ok()?;
    let expr = parser::parse(query).ok()?;
    let Expr::Binary(binary) = without_parens(&expr) else { return None };
    let op = match binary.op.to_string().as_str() {
        ">" => Op::Greater,
        ">=" => Op::GreaterOrEqual,
        "<" => Op::Less,
        "<=" => Op::LessOrEqual,
        "==" => Op::Equal,
        "!=" => Op::NotEqual,
        _ => return None,
    };
    match without_parens(&binary.rhs) {
        Expr::NumberLiteral(number) if number.val.is_finite() => Some((binary.lhs.to_string(), op, number.val)),
        _ => None,
    }
}

fn without_parens(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => without_parens(&inner.expr),
        other => other,
    }
}

/// `outer` is the range of the subqueries around `expr`: they evaluate it that far back.
fn visit(expr: &Expr, outer: Duration, facts: &mut QueryFacts) {
    match expr {
        Expr::Aggregate(AggregateExpr { expr, param, .. }) => {
            if let Some(param) = param {
                visit(param, outer, facts);
            }
            visit(expr, outer, facts);
        }
        Expr::Unary(unary) => visit(&unary.expr, outer, facts),
        Expr::Binary(BinaryExpr { lhs, rhs, .. }) => {
            visit(lhs, outer, facts);
            visit(rhs, outer, facts);
        }
        Expr::Paren(paren) => visit(&paren.expr, outer, facts),
        Expr::Subquery(sub) => visit(&sub.expr, outer.saturating_add(sub.range), facts),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| visit(arg, outer, facts)),
        Expr::VectorSelector(selector) => note(selector, outer, facts),
        Expr::MatrixSelector(MatrixSelector { vs, range }) => note(vs, outer.saturating_add(*range), facts),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn note(selector: &VectorSelector, range: Duration, facts: &mut QueryFacts) {
    facts.longest_range = facts.longest_range.max(range);
    // Whatever moment it is asked about, whether its source still delivers is a question about the series itself.
    let text = VectorSelector { offset: None, at: None, ..selector.clone() }.to_string();
    match facts.selectors.iter_mut().find(|known| known.text == text) {
        Some(known) => known.range = known.range.max(range),
        None => facts.selectors.push(Selector { text, range }),
    }
    let by_label = || selector.matchers.find_matchers("__name__").first().map(|m| m.value.clone());
    if let Some(name) = selector.name.clone().or_else(by_label)
        && !facts.metrics.contains(&name)
    {
        facts.metrics.push(name);
    }
}

/// Brackets must match and may not nest without end; the parser and everything that walks its tree recurse.
fn check_nesting(query: &str) -> Result<(), QueryError> {
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut quote: Option<(char, usize)> = None;
    let mut signs = 0;
    let mut chars = query.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        if let Some((end, _)) = quote {
            match c {
                '\\' if end != '`' => {
                    chars.next();
                }
                c if c == end => quote = None,
                _ => {}
            }
            continue;
        }
        signs = if matches!(c, '+' | '-') {
            signs + 1
        } else if c.is_whitespace() {
            signs
        } else {
            0
        };
        match c {
            '"' | '\'' | '`' => quote = Some((c, at)),
            '#' => while chars.next().is_some_and(|(_, c)| c != '\n') {},
            '(' | '[' | '{' => open.push((c, at)),
            ')' | ']' | '}' => match open.pop() {
                Some(('(', _)) if c == ')' => {}
                Some(('[', _)) if c == ']' => {}
                Some(('{', _)) if c == '}' => {}
                _ => return Err(QueryError { position: at, why: format!("\"{c}\" closes nothing") }),
            },
            _ => {}
        }
        if open.len() > DEEPEST || signs > DEEPEST {
            return Err(QueryError { position: at, why: format!("nested more than {DEEPEST} deep") });
        }
    }
    if let Some((_, position)) = quote {
        return Err(QueryError { position, why: "a quoted text is never closed".into() });
    }
    open.first().map_or(Ok(()), |(c, position)| Err(QueryError { position: *position, why: format!("\"{c}\" is never closed") }))
}

/// The parser tells no position. Where it names the offending text between quotes, that text is looked up.
fn locate(query: &str, why: &str) -> usize {
    let quoted = why.split('\'').nth(1).filter(|word| !word.is_empty());
    quoted.and_then(|word| query.find(word)).map_or(0, |byte| query[..byte].chars().count())
}

fn one_line(why: &str) -> String {
    super::text::clean_bounded(why.trim(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_comparison_with_a_number_is_taken_apart_and_nothing_else_is() {
        let (query, op, limit) = comparison("histogram_quantile(0.99, sum by (le) (rate(x_bucket[2m]))) > 0.4").unwrap();
        assert_eq!((op, limit.to_bits()), (Op::Greater, 0.4_f64.to_bits()));
        assert!(inspect(&query).is_ok() && !query.contains('>'), "{query}");
        assert_eq!(comparison("(up == 0)").map(|(q, op, _)| (q, op)), Some(("up".into(), Op::Equal)));
        for query in ["up", "a > b", "a + 1", "a > 1 and b > 2", "("] {
            assert_eq!(comparison(query), None, "{query}");
        }
    }

    fn texts(query: &str) -> Vec<String> {
        inspect(query).unwrap().selectors.into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn the_longest_reach_is_found_wherever_it_stands() {
        for (query, range) in [
            ("up", 0),
            ("rate(a[2m])", 120),
            ("rate(a[2m]) / rate(b[10m])", 600),
            ("max_over_time(rate(a[5m])[1h:1m])", 3900),
            ("topk(scalar(max(rate(a[3m]))), b)", 180),
            ("sum(increase(a{x=\"1\"}[30s] offset 1h)) or vector(0)", 30),
            ("-(histogram_quantile(0.99, sum by (le) (rate(d_bucket[1m]))))", 60),
        ] {
            assert_eq!(inspect(query).unwrap().longest_range, secs(range), "{query}");
        }
    }

    #[test]
    fn selectors_come_once_without_offset_and_range() {
        assert_eq!(texts("rate(a{b=\"c\"}[2m]) / a{b=\"c\"} offset 5m"), ["a{b=\"c\"}"]);
        assert_eq!(texts("a @ 1609746000 + a @ end()"), ["a"]);
        assert_eq!(texts("x{p=~\"a\\\\.b|c\",q!=\"\"} > 0"), ["x{p=~\"a\\\\.b|c\",q!=\"\"}"]);
        assert_eq!(texts("vector(1) + time()"), [""; 0]);
        assert_eq!(inspect("{__name__=\"a\",x=\"y\"} + b").unwrap().metrics, ["a", "b"]);
    }

    #[test]
    fn a_broken_query_says_where() {
        for (query, position, why) in [
            ("sum(rate(a[2m])", 3, "\"(\" is never closed"),
            ("sum(a))", 6, "\")\" closes nothing"),
            ("rate(a)", 0, "expected type matrix in call to function 'rate', got vector"),
            ("1 + foo(a)", 4, "unknown function with name 'foo'"),
            ("a{b=\"c}", 4, "a quoted text is never closed"),
            ("sum by (x) (", 11, "\"(\" is never closed"),
            ("", 0, "no expression found in input"),
        ] {
            assert_eq!(inspect(query), Err(QueryError { position, why: why.into() }), "{query}");
        }
    }

    #[test]
    fn units_are_guessed_from_the_outermost_operation() {
        for (query, limit, unit) in [
            ("sum(rate(e[2m])) / sum(rate(r[2m]))", 0.005, Unit::Ratio),
            ("(sum(rate(e[2m])) / sum(rate(r[2m])))", 1.5, Unit::Number),
            ("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[2m])))", 0.5, Unit::Seconds),
            ("rate(x_seconds_sum[2m]) / rate(x_seconds_count[2m])", 0.5, Unit::Number),
            ("sum(up)", 1.0, Unit::Number),
        ] {
            assert_eq!(inspect(query).unwrap().guess_unit(limit), unit, "{query}");
        }
    }

    #[test]
    fn endless_nesting_is_refused_before_it_is_parsed() {
        for query in ["(".repeat(8000), "-".repeat(8000) + "1", "- ".repeat(4000) + "1"] {
            assert!(inspect(&query).unwrap_err().why.contains("nested"), "{}", &query[..4]);
        }
        assert!(inspect(&"1+".repeat(5000)).unwrap_err().why.contains("at most 8192"));
        let long = "a+".repeat(2000) + "a";
        assert_eq!(inspect(&long).unwrap().selectors.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(query in "[a-z(){}\\[\\]0-9m\"'=~!<>/*+ ,:@-]{0,60}") {
            let _ = inspect(&query);
        }
    }
}
