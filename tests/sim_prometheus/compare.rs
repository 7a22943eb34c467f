//! Asks a server and compares two answers.

use super::queries::Asked;
use serde_json::Value;

/// What a server answered; `Null` when it was not JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// A success that is not empty.
    pub(crate) fn has_results(&self) -> bool {
        let result = &self.body["data"]["result"];
        result.as_array().is_some_and(|elements| !elements.is_empty())
    }
}

pub(crate) async fn fetch(client: &reqwest::Client, base: &str, asked: &Asked, post: bool) -> Answer {
    let url = format!("{base}{}", asked.path);
    let request = if post {
        client.post(url).form(&asked.parts)
    } else {
        let query: Vec<String> = asked.parts.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        client.get(format!("{url}?{}", query.join("&")))
    };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
    Answer { status, body }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Equal status, type of error and data; numbers to nine digits.
pub(crate) fn same(expected: &Answer, got: &Answer, ordered: bool) -> Result<(), String> {
    let field = |answer: &Answer, name: &str| answer.body.get(name).cloned().unwrap_or(Value::Null);
    if expected.status != got.status || field(expected, "errorType") != field(got, "errorType") {
        return Err(format!("expected {} {}\n    got      {} {}", expected.status, expected.body, got.status, got.body));
    }
    let (text, got_text) = (wording(expected), wording(got));
    if text != got_text {
        return Err(format!("expected error {text:?}\n    got            {got_text:?}"));
    }
    let (mut expected, mut got) = (field(expected, "data"), field(got, "data"));
    if expected["resultType"] == "vector" && !ordered {
        for data in [&mut expected, &mut got] {
            data["result"].as_array_mut().unwrap().sort_by_key(|element| element["metric"].to_string());
        }
    }
    if let Some(at) = difference(&expected, &got) {
        return Err(format!("at {at}\n    expected {expected}\n    got      {got}"));
    }
    Ok(())
}

/// The part of an error text in which both must agree: not that of parsers, which word things differently, not the phase in which
/// time ran out, and not which of several duplicates was met first.
fn wording(answer: &Answer) -> Option<&str> {
    let text = answer.body["error"].as_str()?;
    let free = ["parse error", "timed out", "match[] must contain"].iter().any(|free| text.contains(free));
    if free { None } else { text.split(": [").next() }
}

/// Where two values differ, `None` when they do not.
fn difference(expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(a, b).map(|at| format!("[{i}]{at}")))
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a.iter().find_map(|(key, a)| match b.get(key) {
            Some(b) => difference(a, b).map(|at| format!(".{key}{at}")),
            None => Some(format!(".{key} is missing")),
        }),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (Value::String(a), Value::String(b)) if a == b || close(a, b) => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!(": {a} is not {b}").chars().take(200).collect()),
    }
}

/// Both are numbers written the same way (exponent or not) and the same to nine digits.
fn close(a: &str, b: &str) -> bool {
    let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
    a.contains('e') == b.contains('e') && ((x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()))
}
