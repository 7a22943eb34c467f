//! What good looks like, and what was found.

use super::conditions::{AlertCondition, PlatformCondition};
use super::text;
use super::verdict::Verdict;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Comparison of a value with a limit; it says what *good* is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Good below the limit.
    #[serde(rename = "<")]
    Less,
    /// Good up to the limit.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Good above the limit.
    #[serde(rename = ">")]
    Greater,
    /// Good from the limit up.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// Good when equal.
    #[serde(rename = "==")]
    Equal,
    /// Good when different.
    #[serde(rename = "!=")]
    NotEqual,
}

impl Op {
    /// Whether `value` is good. NaN is never good.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "the runbook's author asked for exact equality")]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        !value.is_nan()
            && match self {
                Self::Less => value < limit,
                Self::LessOrEqual => value <= limit,
                Self::Greater => value > limit,
                Self::GreaterOrEqual => value >= limit,
                Self::Equal => value == limit,
                Self::NotEqual => value != limit,
            }
    }

    /// As written in a runbook.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// How a number is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// As it is.
    #[default]
    Number,
    /// 0 to 1, shown in percent.
    Ratio,
    /// Seconds, shown as `412ms` or `1.2s`.
    Seconds,
}

impl Unit {
    /// The value for people, with its unit.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return if value.is_nan() {
                "NaN".into()
            } else if value > 0.0 {
                "+Inf".into()
            } else {
                "-Inf".into()
            };
        }
        match self {
            Self::Ratio if value.abs() < 0.1 => format!("{:.2}%", value * 100.0),
            Self::Ratio => format!("{:.1}%", value * 100.0),
            Self::Seconds if value.abs() < 1.0 => format!("{:.0}ms", value * 1000.0),
            Self::Seconds => format!("{value:.2}s"),
            Self::Number if value.abs() >= 100.0 => format!("{value:.0}"),
            Self::Number if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Number => format!("{value:.2}"),
        }
    }
}

/// A query of the metrics backend with its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The query, parameters filled in.
    pub query: String,
    /// Comparison.
    pub op: Op,
    /// The limit: seconds, ratio 0 to 1, or a plain number.
    #[serde(with = "super::decimal")]
    pub limit: f64,
    /// How to show values.
    pub unit: Unit,
    /// The longest range selector in the query: right after a shift it still reaches back into the old traffic.
    #[serde(with = "super::millis")]
    pub lookback: Duration,
}

/// What a check or guard asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The metrics backend.
    Promql(Threshold),
    /// The platform.
    Platform(PlatformCondition),
    /// What fires.
    Alert(AlertCondition),
}

impl Probe {
    /// What good looks like, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Promql(t) => format!("{} {}", t.op.sign(), t.unit.show(t.limit)),
            Self::Platform(p) => p.describe(),
            Self::Alert(a) => a.describe(),
        }
    }
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Good, and held for as long as asked.
    Pass,
    /// Good now, but not yet held for as long as asked.
    Holding,
    /// Bad.
    Fail,
    /// The source answers but has no such sample, or too few.
    NoData,
    /// The newest sample is too old.
    Stale,
    /// The source cannot be asked.
    Error,
}

impl Outcome {
    /// The verdict this outcome stands for.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Pass => Verdict::Go,
            Self::Holding => Verdict::Hold,
            Self::Fail => Verdict::NoGo,
            Self::NoData | Self::Stale | Self::Error => Verdict::Unknown,
        }
    }
}

/// What one evaluation of a condition found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How it ended.
    pub outcome: Outcome,
    /// The newest value, when there is one.
    pub value: Option<f64>,
    /// The value for people.
    pub shown: String,
    /// Newest value in percent of the limit, when both are comparable.
    pub of_limit: Option<f64>,
    /// Time of the newest sample.
    pub at: Option<DateTime<Utc>>,
    /// For how long it has been good without a break, up to the hold asked for.
    pub held: Duration,
    /// For how long it has been bad without a break, on the source's own timestamps.
    pub bad: Duration,
    /// One line of why, for people; cleaned.
    pub why: String,
    /// It is bad and will not become good by itself: waiting for it is no use.
    #[serde(default)]
    pub lasting: bool,
}

impl Finding {
    /// A finding without a value.
    #[must_use]
    pub fn without_value(outcome: Outcome, why: &str) -> Self {
        Self {
            outcome,
            value: None,
            shown: "-".into(),
            of_limit: None,
            at: None,
            held: Duration::ZERO,
            bad: Duration::ZERO,
            why: text::clean_bounded(why, 200),
            lasting: false,
        }
    }

    /// The verdict: a pass within 90 to 100 % of its limit is WATCH.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.outcome {
            Outcome::Pass if self.of_limit.is_some_and(|p| (90.0..=100.0).contains(&p)) => Verdict::Watch,
            outcome => outcome.verdict(),
        }
    }
}
