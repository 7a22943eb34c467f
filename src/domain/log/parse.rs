//! Level and text of a raw line: JSON, logfmt, the usual prefixes, or plain words.

use super::{LINE_LIMIT, LogLevel};
use crate::domain::text::clean;
use chrono::DateTime;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Words at the beginning of a line among which a level is looked for.
const HEAD: usize = 6;
/// Fields of a JSON line that are shown after its message.
const FIELDS: usize = 24;

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// How loud.
    pub level: LogLevel,
    /// Cleaned and bounded.
    pub text: String,
}

/// Reads a raw line. `length` is how many bytes it really has: more than `raw` when the rest was not even kept.
#[must_use]
pub fn parse(raw: &str, length: usize) -> Parsed {
    let raw = raw.trim_end_matches(['\r', '\n']);
    let whole = length <= raw.len();
    let parsed = if whole { json(raw) } else { None };
    // Colours stand before the level: they go first.
    let (level, text) = parsed.unwrap_or_else(|| plain(&clean(raw)));
    let mut text = bounded(&text);
    if !whole || text.ends_with('~') && raw.len() > LINE_LIMIT {
        let _ = write!(text, " [cut: the line has {length} bytes]");
    }
    Parsed { level, text }
}

/// Cleaned, and cut with `~` where it is longer than a line may be.
fn bounded(text: &str) -> String {
    let head = text.char_indices().nth(LINE_LIMIT * 2).map_or(text, |(at, _)| &text[..at]);
    let clean = clean(head);
    match clean.char_indices().nth(LINE_LIMIT) {
        None if head.len() == text.len() => clean.trim_end().to_owned(),
        None => format!("{clean}~"),
        Some((at, _)) => format!("{}~", &clean[..at]),
    }
}

/// An object of a structured logger: its message, then its other fields as `name=value`.
fn json(raw: &str) -> Option<(LogLevel, String)> {
    let trimmed = raw.trim();
    if !trimmed.starts_with('{') || !trimmed.ends_with('}') {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_str(trimmed).ok()?;
    let level = ["level", "severity", "lvl", "log.level", "levelname", "@l", "loglevel"]
        .iter()
        .find_map(|name| level_of(object.get(*name)?).map(|level| (*name, level)));
    let message =
        ["msg", "message", "@m", "text", "event", "log"].iter().find(|name| object.get(**name).is_some_and(Value::is_string)).copied();
    let mut text = String::new();
    if let Some(Value::String(words)) = message.and_then(|name| object.remove(name)) {
        text.push_str(&words);
    }
    for name in ["time", "ts", "timestamp", "@timestamp", "@t", "datetime"].into_iter().chain(level.map(|(name, _)| name)) {
        object.remove(name);
    }
    for (name, value) in object.iter().take(FIELDS) {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = match value {
            Value::String(words) => write!(text, "{name}={words}"),
            other => write!(text, "{name}={other}"),
        };
        if text.len() > LINE_LIMIT * 4 {
            break;
        }
    }
    Some((level.map_or_else(|| worded(&text), |(_, level)| level), text))
}

fn level_of(value: &Value) -> Option<LogLevel> {
    match value {
        Value::String(word) => LogLevel::of_word(word.trim()),
        Value::Number(number) => LogLevel::of_number(number.as_u64()?),
        _ => None,
    }
}

/// Takes time stamps and the level off the beginning; where neither stands there, the text says how bad it is. What a dying program
/// writes last is left whole.
fn plain(raw: &str) -> (LogLevel, String) {
    if raw.starts_with("panic:") || raw.starts_with("fatal error:") {
        return (LogLevel::Fatal, raw.to_owned());
    }
    let mut rest = raw.trim_start();
    let mut level = None;
    for _ in 0..HEAD {
        let (word, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let bare = word.trim_matches(['[', ']', '(', ')', '<', '>', ':', ',', '|']);
        if level.is_none()
            && let Some(found) = LogLevel::of_word(bare)
        {
            level = Some(found);
        } else if !(is_time(bare) || word.chars().all(|c| "-|:".contains(c)) && level.is_some()) {
            break;
        }
        rest = after.trim_start();
    }
    let text = if rest.is_empty() { raw } else { rest };
    (level.or_else(|| logfmt(raw)).or_else(|| klog(raw)).unwrap_or_else(|| worded(raw)), text.to_owned())
}

/// A date, a time, or both.
fn is_time(word: &str) -> bool {
    let word = word.trim_end_matches('Z').replace(',', ".");
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits >= 5
        && (DateTime::parse_from_rfc3339(&format!("{word}Z")).is_ok()
            || DateTime::parse_from_rfc3339(&word).is_ok()
            || word.bytes().all(|b| b.is_ascii_digit() || b":.-/+T".contains(&b)) && word.bytes().any(|b| b":-/".contains(&b)))
}

/// `level=error`, quoted or not, anywhere in the first words.
fn logfmt(raw: &str) -> Option<LogLevel> {
    raw.split_whitespace().take(12).find_map(|word| {
        let (name, value) = word.split_once('=')?;
        matches!(name, "level" | "lvl" | "severity").then(|| LogLevel::of_word(value.trim_matches('"')))?
    })
}

/// `E0314 03:07:40.118`: Kubernetes' own components.
fn klog(raw: &str) -> Option<LogLevel> {
    let bytes = raw.as_bytes();
    if bytes.len() < 6 || !bytes[1..5].iter().all(u8::is_ascii_digit) || bytes[5] != b' ' {
        return None;
    }
    Some(match bytes[0] {
        b'I' => LogLevel::Info,
        b'W' => LogLevel::Warn,
        b'E' => LogLevel::Error,
        b'F' => LogLevel::Fatal,
        _ => return None,
    })
}

/// A level in capitals among the first words, or what only failing programs write.
fn worded(text: &str) -> LogLevel {
    if text.starts_with("Traceback (most recent call last)") || text.starts_with("Exception in thread") {
        return LogLevel::Error;
    }
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 3).take(HEAD);
    words.filter(|word| word.bytes().all(|b| b.is_ascii_uppercase())).find_map(LogLevel::of_word).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(raw: &str) -> (LogLevel, String) {
        let parsed = parse(raw, raw.len());
        (parsed.level, parsed.text)
    }

    #[test]
    fn levels_are_found_where_loggers_put_them() {
        for (raw, level, text) in [
            ("2026-03-14T03:07:40.118Z WARN  pool: waited", LogLevel::Warn, "pool: waited"),
            ("2026-03-14 03:07:40,118 [ERROR] broken", LogLevel::Error, "broken"),
            ("[info] ready", LogLevel::Info, "ready"),
            ("2026/03/14 03:07:40 plain words", LogLevel::None, "plain words"),
            ("time=\"x\" level=error msg=boom", LogLevel::Error, "time=\"x\" level=error msg=boom"),
            ("E0314 03:07:40.118 leader lost", LogLevel::Error, "E0314 03:07:40.118 leader lost"),
            ("panic: runtime error", LogLevel::Fatal, "panic: runtime error"),
            ("app[7]: ERROR in the middle", LogLevel::Error, "app[7]: ERROR in the middle"),
            ("no error at all", LogLevel::None, "no error at all"),
            ("", LogLevel::None, ""),
        ] {
            assert_eq!(read(raw), (level, text.to_owned()), "{raw}");
        }
    }

    #[test]
    fn structured_lines_show_message_and_fields() {
        assert_eq!(read(r#"{"level":"error","msg":"boom","order":7,"time":"now"}"#), (LogLevel::Error, "boom order=7".to_owned()));
        assert_eq!(read(r#"{"severity":"WARNING","message":"slow"}"#), (LogLevel::Warn, "slow".to_owned()));
        assert_eq!(read(r#"{"level":50,"msg":"pino"}"#), (LogLevel::Error, "pino".to_owned()));
        assert_eq!(read(r#"{"broken": "#).0, LogLevel::None);
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_and_says_so() {
        let raw = "x".repeat(1 << 20);
        let parsed = parse(&raw, raw.len());
        assert!(
            parsed.text.chars().count() < LINE_LIMIT + 60 && parsed.text.ends_with("[cut: the line has 1048576 bytes]"),
            "{}",
            &parsed.text[4000..]
        );
        assert!(parse(&raw[..100], 1 << 20).text.ends_with("x [cut: the line has 1048576 bytes]"));
    }

    #[test]
    fn escape_sequences_do_not_survive() {
        assert_eq!(read("\u{1b}[31mERROR\u{1b}[0m red \u{1b}]52;c;AAAA\u{7}end").1, "red end".to_owned());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_clean_and_bounded(raw in "\\PC*|[\\x00-\\xff]{0,200}|\\{\"level\":.{0,40}\\}") {
            let parsed = parse(&raw, raw.len());
            prop_assert!(!parsed.text.chars().any(char::is_control));
            prop_assert!(parsed.text.chars().count() <= LINE_LIMIT + 60);
        }
    }
}
