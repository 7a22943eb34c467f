//! From query text to a syntax tree that the evaluator knows completely.
//!
//! The parser accepts newer PromQL than Prometheus 2.42 and in places other things than Prometheus; whatever the evaluator
//! could not take literally is refused here, before it becomes a wrong number.

use super::value::Failed;
use super::{aggregate, binary, function};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, Offset, VectorMatchFillValues, VectorSelector};
use std::time::Duration;

/// More operators and parentheses than any written query has; keeps recursion shallow.
const MAX_NESTING: usize = 256;
/// What Prometheus can hold in a duration: 2^63 nanoseconds.
const MAX_DURATION: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// Parses and checks a query.
pub(super) fn parse(text: &str) -> Result<Expr, Failed> {
    scan(text)?;
    let expr = promql_parser::parser::parse(text).map_err(|cause| refuse(&reworded(&cause)))?;
    check(&expr, text)?;
    Ok(expr)
}

/// Parses a series selector, as in `match[]`.
pub(super) fn parse_selector(text: &str) -> Result<VectorSelector, Failed> {
    match parse(text)? {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => Ok(selector),
        _ => Err(refuse("expected a series selector")),
    }
}

fn refuse(cause: &str) -> Failed {
    Failed::bad(format!("parse error: {cause}"))
}

/// The parser's message in Prometheus's words: long names of types, double quotes.
fn reworded(cause: &str) -> String {
    let mut text = cause.replace('\'', "\"");
    for before in ["expected type ", ", got "] {
        for kind in [ValueType::Vector, ValueType::Matrix] {
            text = text.replace(&format!("{before}{kind}"), &format!("{before}{}", type_name(kind)));
        }
    }
    text
}

/// What Prometheus calls a type in its messages.
pub(super) fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Vector => "instant vector",
        ValueType::Matrix => "range vector",
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
    }
}

/// Looks over the text for what the parser would take differently from Prometheus 2.42: numbers as durations (`[300]`, on which
/// it can even panic), durations as numbers (`5m * 2`), counts too large for it, signs that it forgets, and bottomless nesting.
fn scan(text: &str) -> Result<(), Failed> {
    let bare = bare(text);
    let mut nesting = bare.matches(['(', '+', '-', '*', '/', '%', '^', '<', '>', '=', '!']).count();
    let (mut in_brackets, mut after_offset) = (false, false);
    let mut rest = bare.as_str();
    while let Some(c) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || (c == ':' && !in_brackets);
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            in_brackets = if in_brackets { c != ']' } else { c == '[' };
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            check_number(word, in_brackets || after_offset)?;
        }
        nesting += usize::from(["and", "or", "unless", "atan2"].iter().any(|op| word.eq_ignore_ascii_case(op)));
        after_offset = word.eq_ignore_ascii_case("offset");
        rest = &rest[word.len()..];
    }
    if nesting > MAX_NESTING {
        return Err(refuse(&format!("more than {MAX_NESTING} operators and parentheses")));
    }
    check_plus(&bare)
}

/// The text without comments, insides of strings and insides of braces.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_braces = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' | '`' => {
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    if inner == '\\' {
                        chars.next();
                    }
                }
            }
            '#' => while chars.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {},
            _ => {}
        }
        in_braces = if in_braces { c != '}' } else { c == '{' };
        if !in_braces && c != '#' {
            out.push(c);
        }
    }
    out
}

/// The parser forgets a plus in front of an argument, by which `timestamp(+x)` differs from `timestamp(x)`.
fn check_plus(bare: &str) -> Result<(), Failed> {
    let mut before = ' ';
    for (at, c) in bare.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        if c == '+' && matches!(before, '(' | ',') {
            let operand = bare[at + 1..].trim_start().to_ascii_lowercase();
            if !operand.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !operand.starts_with("inf") {
                return Err(refuse("a plus in front of an argument is not supported by this server"));
            }
        }
        before = c;
    }
    Ok(())
}

/// `wants_duration`: the word stands where only a duration can.
fn check_number(word: &str, wants_duration: bool) -> Result<(), Failed> {
    match (is_duration(word), wants_duration) {
        (Some(true), true) | (None, false) => Ok(()),
        (Some(false), _) => Err(refuse(&format!("duration out of range: {word:?}"))),
        (None, true) => Err(refuse(&format!("bad number or duration syntax: {word:?}"))),
        (Some(true), false) => Err(refuse(&format!("unexpected duration {word:?}"))),
    }
}

/// `None`: no duration; else whether each count in it is small enough for the parser.
fn is_duration(word: &str) -> Option<bool> {
    let mut rest = word;
    let mut fits = true;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, tail) = rest.split_at(digits);
        let tail = tail.strip_prefix("ms").or_else(|| tail.strip_prefix(['s', 'm', 'h', 'd', 'w', 'y']))?;
        if count.is_empty() {
            return None;
        }
        fits &= count.parse::<u32>().is_ok();
        rest = tail;
    }
    Some(fits)
}

fn check(expr: &Expr, text: &str) -> Result<(), Failed> {
    match expr {
        Expr::Aggregate(it) => check_aggregate(it, text),
        Expr::Binary(it) => check_binary(it, text),
        Expr::Call(it) => check_call(it, text),
        Expr::Unary(it) => check(&it.expr, text),
        Expr::Paren(it) => check(&it.expr, text),
        Expr::Subquery(it) => {
            check_duration(it.range)?;
            check_duration(it.step.unwrap_or_default())?;
            check_offset(it.offset.as_ref())?;
            check(&it.expr, text)
        }
        // The parser reads 1e999 as infinity, Prometheus refuses it.
        Expr::NumberLiteral(it) if it.val.is_infinite() && !text.to_ascii_lowercase().contains("inf") => {
            Err(refuse("error parsing number: value out of range"))
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::VectorSelector(it) => check_selector(it),
        Expr::MatrixSelector(it) => {
            check_duration(it.range)?;
            check_selector(&it.vs)
        }
        Expr::Extension(_) => Err(refuse("unknown expression")),
    }
}

fn check_selector(selector: &VectorSelector) -> Result<(), Failed> {
    if !selector.matchers.or_matchers.is_empty() {
        return Err(refuse("unexpected <op:or> in label matching, expected \",\" or \"}\""));
    }
    check_offset(selector.offset.as_ref())
}

fn check_offset(offset: Option<&Offset>) -> Result<(), Failed> {
    match offset {
        Some(Offset::Pos(by) | Offset::Neg(by)) => check_duration(*by),
        None => Ok(()),
    }
}

fn check_duration(duration: Duration) -> Result<(), Failed> {
    if duration > MAX_DURATION { Err(refuse("duration out of range")) } else { Ok(()) }
}

fn check_aggregate(it: &AggregateExpr, text: &str) -> Result<(), Failed> {
    if !aggregate::is_known(it.op.id()) {
        return Err(refuse(&format!("unknown aggregation {:?}", it.op.to_string())));
    }
    if let Some(param) = &it.param {
        check(param, text)?;
    }
    check(&it.expr, text)
}

fn check_binary(it: &BinaryExpr, text: &str) -> Result<(), Failed> {
    if !binary::is_known(it.op.id()) {
        return Err(refuse(&format!("unknown operator {:?}", it.op.to_string())));
    }
    if it.modifier.as_ref().is_some_and(|m| m.fill_values != VectorMatchFillValues::default()) {
        return Err(refuse("unexpected fill modifier"));
    }
    check(&it.lhs, text)?;
    check(&it.rhs, text)
}

fn check_call(it: &Call, text: &str) -> Result<(), Failed> {
    let name = it.func.name;
    if !function::is_known(name) {
        return Err(refuse(&format!("unknown function with name {name:?}")));
    }
    for (i, arg) in it.args.args.iter().enumerate() {
        let wanted = it.func.arg_types.get(i).or(it.func.arg_types.last());
        let got = arg.value_type();
        if let Some(wanted) = wanted.filter(|wanted| **wanted != got) {
            let (wanted, got) = (type_name(*wanted), type_name(got));
            return Err(refuse(&format!("expected type {wanted} in call to function {name:?}, got {got}")));
        }
        check(arg, text)?;
    }
    Ok(())
}
