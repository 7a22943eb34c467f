//! Scripted faults: `SOURCE:KIND@T[+D]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Which of the simulated systems a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The platform's API.
    Platform,
    /// The metrics backend.
    Metrics,
    /// The alertmanager.
    Alerts,
    /// All of them.
    All,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It answers, but samples stop.
    Stale,
    /// Samples come 90 s late while fetches succeed.
    Delayed,
    /// It cannot be reached.
    Lost,
    /// Every answer takes two seconds more.
    Latency,
    /// It answers 500.
    Http500,
    /// It answers 429 and says when to come back.
    Http429,
    /// Connections are cut in the middle of the answer.
    Reset,
    /// It answers with a login page.
    Html,
    /// It answers more than 50 MB.
    Huge,
    /// It answers 401 until the login is renewed.
    AuthExpired,
    /// The write happens, the answer never comes. Without a duration: once.
    ReplyLost,
    /// The write happens at once, the answer comes after 30 s. Without a duration: once.
    ReplyLate,
    /// Another client is faster: the write is refused. Without a duration: once.
    Conflict,
    /// Writes are forbidden.
    Forbidden,
    /// Another client moves the weight at T.
    ForeignChange,
    /// The weight is configured, traffic does not follow.
    NotObserved,
    /// Instances of the baseline change from 9 to 14 and back.
    Autoscaler,
    /// The journal's disk is full.
    FullDisk,
}

const SOURCES: &[(&str, Source)] =
    &[("platform", Source::Platform), ("metrics", Source::Metrics), ("alerts", Source::Alerts), ("all", Source::All)];

const ANYWHERE: &[(&str, FaultKind)] = &[
    ("stale", FaultKind::Stale),
    ("delayed", FaultKind::Delayed),
    ("lost", FaultKind::Lost),
    ("latency", FaultKind::Latency),
    ("http-500", FaultKind::Http500),
    ("http-429", FaultKind::Http429),
    ("reset", FaultKind::Reset),
    ("html", FaultKind::Html),
    ("huge", FaultKind::Huge),
    ("auth-expired", FaultKind::AuthExpired),
];

const PLATFORM_ONLY: &[(&str, FaultKind)] = &[
    ("reply-lost", FaultKind::ReplyLost),
    ("reply-late", FaultKind::ReplyLate),
    ("conflict", FaultKind::Conflict),
    ("forbidden", FaultKind::Forbidden),
    ("foreign-change", FaultKind::ForeignChange),
    ("not-observed", FaultKind::NotObserved),
    ("autoscaler", FaultKind::Autoscaler),
    ("full-disk", FaultKind::FullDisk),
];

/// One scripted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What it concerns.
    pub source: Source,
    /// What goes wrong.
    pub kind: FaultKind,
    /// When, since t = 0, in simulated time.
    pub at: Duration,
    /// For how long; `None`: to the end, or once where the kind says so.
    pub lasts: Option<Duration>,
}

/// A fault that cannot be understood; says what is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault {text:?}: {why}")]
pub struct FaultError {
    text: String,
    why: String,
}

fn list<T>(table: &[(&str, T)]) -> String {
    table.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Seconds (`90`, `1.5`) or a duration with units (`2m`).
fn seconds(text: &str) -> Option<Duration> {
    let plain = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
    let time = plain.map_or_else(|| humantime::parse_duration(text).ok(), |s| Duration::try_from_secs_f64(s).ok());
    time.filter(|t| *t <= Duration::from_secs(7 * 24 * 3600))
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let bad = |why: String| FaultError { text: text.chars().take(80).collect(), why };
        let shape = || bad("write it as SOURCE:KIND@T[+D], such as metrics:stale@30+60 (seconds since the start)".into());
        let (source, rest) = text.split_once(':').ok_or_else(shape)?;
        let (kind, time) = rest.split_once('@').ok_or_else(shape)?;
        let source = find(SOURCES, source).ok_or_else(|| bad(format!("unknown source {source:?}; use {}", list(SOURCES))))?;
        let kind = match (find(ANYWHERE, kind), find(PLATFORM_ONLY, kind)) {
            (Some(kind), _) => kind,
            (None, Some(kind)) if source == Source::Platform => kind,
            (None, Some(kind @ FaultKind::ReplyLost)) if source == Source::Alerts => kind,
            (None, Some(_)) => return Err(bad(format!("{kind} is possible for platform only"))),
            (None, None) => {
                let possible = match source {
                    Source::Platform => format!(", {}", list(PLATFORM_ONLY)),
                    Source::Alerts => ", reply-lost".to_owned(),
                    Source::Metrics | Source::All => String::new(),
                };
                return Err(bad(format!("unknown kind {kind:?}; possible here: {}{possible}", list(ANYWHERE))));
            }
        };
        let (at, lasts) = match time.split_once('+') {
            Some((at, lasts)) => (at, Some(lasts)),
            None => (time, None),
        };
        let at = seconds(at).ok_or_else(|| bad(format!("time {at:?} is not a number of seconds since the start")))?;
        let lasts = match lasts {
            Some(text) => match seconds(text).filter(|d| !d.is_zero()) {
                Some(time) => Some(time),
                None => return Err(bad(format!("duration {text:?} is not a number of seconds above 0"))),
            },
            None => None,
        };
        Ok(Self { source, kind, at, lasts })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ANYWHERE.iter().chain(PLATFORM_ONLY).find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FaultKind {
    /// Kinds that concern the first write only, unless a duration is given.
    pub(crate) fn is_once(self) -> bool {
        matches!(self, Self::ReplyLost | Self::ReplyLate | Self::Conflict)
    }

    /// Kinds that a client with an open stream must notice: its connections are cut when they begin.
    pub(crate) fn cuts_connections(self) -> bool {
        matches!(self, Self::Lost | Self::Http500 | Self::Http429 | Self::Reset | Self::Html | Self::Huge | Self::AuthExpired)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_parses_where_it_is_possible() {
        for (name, kind) in ANYWHERE {
            for (source_name, source) in SOURCES {
                let fault = format!("{source_name}:{name}@5+10").parse::<Fault>().unwrap();
                assert_eq!(
                    (fault.source, fault.kind, fault.at, fault.lasts),
                    (*source, *kind, Duration::from_secs(5), Some(Duration::from_secs(10)))
                );
            }
        }
        for (name, kind) in PLATFORM_ONLY {
            assert_eq!(format!("platform:{name}@1.5").parse::<Fault>().unwrap().kind, *kind);
            let alerts = format!("alerts:{name}@1").parse::<Fault>();
            assert_eq!(alerts.is_ok(), *kind == FaultKind::ReplyLost, "{name}");
            assert!(format!("metrics:{name}@1").parse::<Fault>().unwrap_err().to_string().contains("platform only"));
        }
    }

    #[test]
    fn mistakes_are_named_with_what_is_possible() {
        for (text, part) in [
            ("stale@5", "SOURCE:KIND@T"),
            ("metrics:stale", "SOURCE:KIND@T"),
            ("prom:stale@5", "use platform, metrics, alerts, all"),
            ("metrics:slow@5", "possible here: stale"),
            ("platform:slow@5", "reply-lost"),
            ("metrics:stale@-5", "not a number of seconds"),
            ("metrics:stale@5+0", "above 0"),
            ("metrics:stale@NaN", "not a number of seconds"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
