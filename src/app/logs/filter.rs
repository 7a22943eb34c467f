//! Which lines are shown.

use super::ring::LogRow;
use crate::domain::Track;
use crate::domain::log::LogLevel;
use crate::judge::patterns::PatternId;
use regex::{Regex, RegexBuilder};
use std::sync::Arc;

/// Most memory that a pattern somebody typed may take, compiled.
const REGEX_LIMIT: usize = 1 << 18;

/// A filter. All of its parts must agree.
#[derive(Debug, Clone)]
pub struct LogFilter {
    /// As typed: words that must occur, `!word` that must not, `track:`, `level:`, `inst:`, or `/expression/`.
    pub text: String,
    /// Quieter lines are left out.
    pub least: LogLevel,
    /// One side.
    pub track: Option<Track>,
    /// One instance: uid and name.
    pub instance: Option<(Arc<str>, Arc<str>)>,
    /// One template.
    pub pattern: Option<PatternId>,
    /// Why the typed expression is not one.
    pub error: Option<String>,
    words: Vec<Word>,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { text: String::new(), least: LogLevel::Trace, track: None, instance: None, pattern: None, error: None, words: Vec::new() }
    }
}

#[derive(Debug, Clone)]
struct Word {
    negated: bool,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// In lower case.
    Text(String),
    Expression(Regex),
    Tracks(Vec<Track>),
    Level(LogLevel),
    Instance(String),
}

impl LogFilter {
    /// The lines of one instance.
    #[must_use]
    pub fn of_instance(uid: Arc<str>, name: Arc<str>) -> Self {
        Self { instance: Some((uid, name)), ..Self::default() }
    }

    /// Takes what was typed.
    pub fn set_text(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.error = None;
        let expression = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest)).filter(|rest| !rest.is_empty());
        self.words = match expression {
            Some(expression) => {
                match RegexBuilder::new(expression).case_insensitive(true).size_limit(REGEX_LIMIT).dfa_size_limit(REGEX_LIMIT).build() {
                    Ok(regex) => vec![Word { negated: false, what: What::Expression(regex) }],
                    Err(error) => {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        self.error = Some(crate::domain::text::clean_bounded(why, 120));
                        vec![Word { negated: false, what: What::Text(expression.to_lowercase()) }]
                    }
                }
            }
            None => text.split_whitespace().filter_map(word).collect(),
        };
    }

    /// Whether a line is shown.
    #[must_use]
    pub fn takes(&self, row: &LogRow) -> bool {
        let line = &row.line;
        line.level >= self.least
            && self.track.is_none_or(|track| track == line.track)
            && self.instance.as_ref().is_none_or(|(uid, _)| *uid == line.instance)
            && self.pattern.is_none_or(|id| row.pattern == Some(id))
            && self.words.iter().all(|word| word.what.is_in(row) != word.negated)
    }

    /// Whether everything is shown.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.words.is_empty() && self.least == LogLevel::Trace && self.track.is_none() && self.instance.is_none() && self.pattern.is_none()
    }
}

fn word(text: &str) -> Option<Word> {
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    if text.is_empty() {
        return None;
    }
    let lower = text.to_lowercase();
    let what = match lower.split_once(':') {
        Some(("track", sides)) => {
            let sides: Vec<Track> = sides.split('|').filter_map(track).collect();
            if sides.is_empty() { What::Text(lower) } else { What::Tracks(sides) }
        }
        Some(("level", level)) => LogLevel::of_word(level.trim_end_matches('+')).map_or_else(|| What::Text(lower.clone()), What::Level),
        Some(("inst" | "instance", name)) => What::Instance(name.to_owned()),
        _ => What::Text(lower),
    };
    Some(Word { negated, what })
}

fn track(word: &str) -> Option<Track> {
    match word {
        "can" | "canary" => Some(Track::Canary),
        "bas" | "base" | "baseline" | "stable" => Some(Track::Baseline),
        _ => None,
    }
}

impl What {
    fn is_in(&self, row: &LogRow) -> bool {
        let line = &row.line;
        match self {
            Self::Text(words) => contains(&line.text, words) || contains(&line.name, words),
            Self::Expression(regex) => regex.is_match(&line.text),
            Self::Tracks(sides) => sides.contains(&line.track),
            Self::Level(least) => line.level >= *least,
            Self::Instance(name) => contains(&line.name, name),
        }
    }
}

/// Whether `part`, in lower case, occurs in a text of any case.
fn contains(text: &str, part: &str) -> bool {
    if text.is_ascii() && part.is_ascii() {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        return part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    }
    text.to_lowercase().contains(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::log::LogLine;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn row(level: LogLevel, text: &str) -> LogRow {
        let line = LogLine {
            at: DateTime::UNIX_EPOCH,
            instance: "u1".into(),
            name: "checkout-canary-tz4vw".into(),
            track: Track::Canary,
            container: "app".into(),
            level,
            text: text.into(),
            seq: 1,
        };
        LogRow { seq: 1, line, pattern: Some(3), shown: true }
    }

    fn takes(text: &str) -> bool {
        let mut filter = LogFilter::default();
        filter.set_text(text);
        filter.takes(&row(LogLevel::Warn, "Upstream timeout payments 2000ms"))
    }

    #[test]
    fn words_negations_fields_and_expressions() {
        for yes in [
            "",
            "timeout PAYMENTS",
            "tz4vw",
            "!inventory",
            "track:canary",
            "track:can|base",
            "level:warn",
            "inst:tz4",
            "/time.ut +pay/",
            "/^upstream",
        ] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["inventory", "timeout !payments", "track:base", "level:error", "inst:abc", "!track:canary", "/^timeout/"] {
            assert!(!takes(no), "{no}");
        }
    }

    #[test]
    fn a_broken_or_huge_expression_is_said_and_taken_as_words() {
        let mut filter = LogFilter::default();
        filter.set_text("/(time/");
        assert!(filter.error.as_deref().is_some_and(|why| why.contains("unclosed group")), "{:?}", filter.error);
        filter.set_text(r"/\w{1000}{1000}/");
        assert!(filter.error.is_some());
        filter.set_text("time");
        assert_eq!(filter.error, None);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_filter(text in ".{0,40}", line in "\\PC{0,60}") {
            let mut filter = LogFilter::default();
            filter.set_text(&text);
            let _ = filter.takes(&row(LogLevel::Info, &line));
        }
    }
}
