//! OpenSSH's list of allowed signers (`ssh-keygen(1)`, ALLOWED SIGNERS): whose keys count, for what, and from when to when.
//!
//! A line that cannot be used is passed over and told: that can only take trust away.

use crate::domain::text::clean_bounded;
use crate::port::Claim;
use chrono::{DateTime, Utc};
use jiff::civil;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

/// Lines that are told of one by one.
const MOST_TOLD: usize = 3;

/// The list.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    entries: Vec<Entry>,
    /// What is wrong with other lines.
    passed_over: Vec<String>,
}

/// One line.
#[derive(Debug)]
struct Entry {
    /// Patterns of names.
    principals: String,
    options: Options,
    key: KeyData,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Patterns of namespaces; all when absent.
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

/// Why no line accepts a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Unknown,
    OtherPerson { who: String },
    NotForThis { who: String },
    NotYet { who: String, from: DateTime<Utc> },
    Expired { who: String, until: DateTime<Utc> },
}

impl Rejected {
    /// The nearer a line came to accepting, the more its reason says.
    fn nearness(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::OtherPerson { .. } => 1,
            Self::NotForThis { .. } => 2,
            Self::NotYet { .. } => 3,
            Self::Expired { .. } => 4,
        }
    }
}

impl Allowed {
    /// Whether some line has this key.
    pub(super) fn lists(&self, key: &KeyData) -> bool {
        self.entries.iter().any(|entry| entry.key == *key)
    }

    /// Whose key it is, by the first line that has it.
    pub(super) fn owner(&self, key: &KeyData) -> Option<String> {
        self.entries.iter().find(|entry| entry.key == *key).map(Entry::who)
    }

    /// What is wrong with lines that could not be used.
    pub(super) fn passed_over(&self) -> Option<String> {
        let told = self.passed_over.iter().take(MOST_TOLD).cloned().collect::<Vec<_>>().join(", ");
        match self.passed_over.len() {
            0 => None,
            n if n > MOST_TOLD => Some(format!("{told} and {} more", n - MOST_TOLD)),
            _ => Some(told),
        }
    }

    /// Who signed, when some line accepts this key for the claim.
    pub(super) fn accept(&self, key: &KeyData, claim: &Claim) -> Result<String, Rejected> {
        let mut nearest = Rejected::Unknown;
        for entry in self.entries.iter().filter(|entry| entry.key == *key) {
            match entry.accept(claim) {
                Ok(who) => return Ok(who),
                Err(rejected) if rejected.nearness() > nearest.nearness() => nearest = rejected,
                Err(_) => {}
            }
        }
        Err(nearest)
    }
}

impl Entry {
    /// The first name that is no pattern; else the patterns.
    fn who(&self) -> String {
        let name = self.principals.split(',').find(|name| !name.is_empty() && !name.contains(['*', '?', '!']));
        clean_bounded(name.unwrap_or(&self.principals), 64)
    }

    fn accept(&self, claim: &Claim) -> Result<String, Rejected> {
        let who = self.who();
        if claim.principal.as_ref().is_some_and(|wanted| !in_patterns(&self.principals, wanted)) {
            return Err(Rejected::OtherPerson { who });
        }
        if self.options.namespaces.as_ref().is_some_and(|namespaces| !in_patterns(namespaces, &claim.namespace)) {
            return Err(Rejected::NotForThis { who });
        }
        if let Some(from) = self.options.after.filter(|from| claim.at < *from) {
            return Err(Rejected::NotYet { who, from });
        }
        if let Some(until) = self.options.before.filter(|until| claim.at > *until) {
            return Err(Rejected::Expired { who, until });
        }
        Ok(claim.principal.clone().unwrap_or(who))
    }
}

/// Reads a list. `zone`: in which times without a zone are meant.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Allowed {
    let mut allowed = Allowed::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line, zone) {
            Ok(entry) => allowed.entries.push(entry),
            Err(why) => allowed.passed_over.push(format!("line {} is passed over: {why}", at + 1)),
        }
    }
    allowed
}

fn entry(line: &str, zone: &TimeZone) -> Result<Entry, String> {
    let (principals, rest) = principals(line)?;
    // Where there are options the rest is no key yet.
    let (options, key) = match PublicKey::from_openssh(rest) {
        Ok(key) => (Options::default(), key),
        Err(_) => {
            let (options, rest) = rest.split_at(end_of_options(rest));
            let options = options_of(options, zone)?;
            (options, PublicKey::from_openssh(rest.trim()).map_err(|e| format!("the key: {e}"))?)
        }
    };
    Ok(Entry { principals, options, key: key.key_data().clone() })
}

/// The first field, which may be quoted.
fn principals(line: &str) -> Result<(String, &str), String> {
    let split = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote is never closed")?,
        None => line.split_once([' ', '\t']).ok_or("there is no key")?,
    };
    let (principals, rest) = (split.0, split.1.trim_start());
    if principals.is_empty() || rest.is_empty() {
        return Err("names, then a key, stand in a line".into());
    }
    Ok((principals.to_owned(), rest))
}

/// Options have no blanks, except within quotes.
fn end_of_options(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return at,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn options_of(text: &str, zone: &TimeZone) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (option, more) = rest.split_at(end_of_option(rest));
        rest = more.strip_prefix(',').unwrap_or(more);
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let value =
            || value.and_then(|v| v.strip_prefix('"')?.strip_suffix('"')).ok_or_else(|| format!("`{name}` needs a value in quotes"));
        let once = |known: bool| if known { Err(format!("`{name}` stands there twice")) } else { Ok(()) };
        match name.to_ascii_lowercase().as_str() {
            "cert-authority" => return Err("certificates are not supported, list the keys themselves".into()),
            "namespaces" => {
                once(options.namespaces.is_some())?;
                options.namespaces = Some(value()?.replace("\\\"", "\""));
            }
            "valid-after" => {
                once(options.after.is_some())?;
                options.after = Some(time(value()?, zone)?);
            }
            "valid-before" => {
                once(options.before.is_some())?;
                options.before = Some(time(value()?, zone)?);
            }
            _ => return Err(format!("`{}` is neither an option nor a key", clean_bounded(name, 40))),
        }
    }
    match (options.after, options.before) {
        (Some(after), Some(before)) if after >= before => Err("`valid-after` is later than `valid-before`".into()),
        _ => Ok(options),
    }
}

fn end_of_option(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`.
fn time(text: &str, zone: &TimeZone) -> Result<DateTime<Utc>, String> {
    let wrong = || format!("{:?} is no time: write YYYYMMDDZ or YYYYMMDDHHMMZ", clean_bounded(text, 20));
    let (digits, utc) = text.strip_suffix(['Z', 'z']).map_or((text, false), |digits| (digits, true));
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |at: usize, length: usize| digits.get(at..at + length).and_then(|part| part.parse::<i16>().ok()).unwrap_or(0);
    let small = |at: usize| i8::try_from(number(at, 2)).map_err(|_| wrong());
    let civil = civil::DateTime::new(number(0, 4), small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).map_err(|_| wrong())?;
    let zone = if utc { TimeZone::UTC } else { zone.clone() };
    let seconds = civil.to_zoned(zone).map_err(|_| wrong())?.timestamp().as_second();
    DateTime::from_timestamp(seconds, 0).ok_or_else(wrong)
}

/// Whether a text is in a list of patterns: `*` and `?`, and `!` before a pattern that keeps it out.
fn in_patterns(patterns: &str, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(kept_out) if fits(kept_out, text) => return false,
            Some(_) => {}
            None => found |= fits(pattern, text),
        }
    }
    found
}

/// `*` stands for any text, `?` for any character.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last `*`, and how far what it stands for reaches.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, reach)) => {
                    *reach += 1;
                    (p, t) = (*at + 1, *reach);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ADA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const BEN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA";

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    fn key(text: &str) -> KeyData {
        PublicKey::from_openssh(text).unwrap().key_data().clone()
    }

    fn claim(namespace: &str, principal: Option<&str>, at: &str) -> Claim {
        Claim {
            namespace: namespace.into(),
            message: vec![],
            signature: String::new(),
            principal: principal.map(str::to_owned),
            at: at.parse().unwrap(),
        }
    }

    /// What the list says of Ada's key.
    fn ada(list: &str, namespace: &str, principal: Option<&str>) -> Result<String, Rejected> {
        parse(list, &zone()).accept(&key(ADA), &claim(namespace, principal, "2026-11-20T12:00:00Z"))
    }

    #[test]
    fn names_comments_and_quotes_are_read_as_openssh_writes_them() {
        let list = format!("# people\n\n  ada,ada@example.com {ADA} ada@laptop\n\"ben\"\t{BEN}\n*@example.com,!eve@example.com {ADA}\n");
        assert_eq!(ada(&list, "runbook@gonogo", None), Ok("ada".into()));
        assert_eq!(ada(&list, "runbook@gonogo", Some("ada@example.com")), Ok("ada@example.com".into()));
        assert_eq!(ada(&list, "runbook@gonogo", Some("bob@example.com")), Ok("bob@example.com".into()));
        assert_eq!(ada(&list, "runbook@gonogo", Some("eve@example.com")), Err(Rejected::OtherPerson { who: "ada".into() }));
        assert_eq!(ada(&list, "runbook@gonogo", Some("Ada")), Err(Rejected::OtherPerson { who: "ada".into() }));
        let at = claim("x", Some("ben"), "2026-11-20T12:00:00Z");
        assert_eq!(parse(&list, &zone()).accept(&key(BEN), &at), Ok("ben".into()));
        assert_eq!(ada(&format!("ben {BEN}"), "x", None), Err(Rejected::Unknown));
        assert_eq!(parse(&list, &zone()).passed_over(), None);
    }

    #[test]
    fn a_key_counts_for_its_purposes_and_in_its_time() {
        let of = |options: &str| ada(&format!("ada {options} {ADA}"), "runbook@gonogo", None);
        assert_eq!(of("namespaces=\"file,*@gonogo\""), Ok("ada".into()));
        assert_eq!(of("Namespaces=\"file,git\""), Err(Rejected::NotForThis { who: "ada".into() }));
        assert_eq!(of("namespaces=\"*,!runbook@gonogo\""), Err(Rejected::NotForThis { who: "ada".into() }));
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(of("valid-before=\"20261120Z\""), Err(Rejected::Expired { who: "ada".into(), until: at("2026-11-20T00:00:00Z") }));
        // Both ends belong to it, and a time without a zone is a local one.
        assert_eq!(of("valid-before=\"202611201400\""), Ok("ada".into()));
        assert_eq!(of("valid-before=\"20261120135959\""), Err(Rejected::Expired { who: "ada".into(), until: at("2026-11-20T11:59:59Z") }));
        assert_eq!(of("valid-after=\"202611201200Z\",valid-before=\"20270101\""), Ok("ada".into()));
        assert_eq!(of("valid-after=\"202611201201Z\""), Err(Rejected::NotYet { who: "ada".into(), from: at("2026-11-20T12:01:00Z") }));
    }

    #[test]
    fn one_line_that_accepts_is_enough_and_else_the_nearest_reason_is_told() {
        let expired = format!("ada valid-before=\"20200101Z\" {ADA}");
        let other = format!("ben namespaces=\"git\" {ADA}");
        let until = "2020-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(ada(&format!("{other}\n{expired}"), "x", None), Err(Rejected::Expired { who: "ada".into(), until }));
        assert_eq!(ada(&format!("{expired}\n{other}\nada {ADA}"), "x", Some("ada")), Ok("ada".into()));
    }

    #[test]
    fn a_line_that_cannot_be_used_gives_no_trust_and_is_told() {
        for (line, why) in [
            (format!("* cert-authority {ADA}"), "certificates are not supported, list the keys themselves"),
            (format!("ada namespaces=\"x\",cert-authority {ADA}"), "certificates are not supported, list the keys themselves"),
            (format!("ada namespaces=x {ADA}"), "`namespaces` needs a value in quotes"),
            (format!("ada namespaces=\"x {ADA}"), "`namespaces` needs a value in quotes"),
            (format!("ada valid-before=\"soon\" {ADA}"), "\"soon\" is no time: write YYYYMMDDZ or YYYYMMDDHHMMZ"),
            (format!("ada valid-before=\"20261320\" {ADA}"), "\"20261320\" is no time: write YYYYMMDDZ or YYYYMMDDHHMMZ"),
            (format!("ada valid-after=\"2027Z\" {ADA}"), "\"2027Z\" is no time: write YYYYMMDDZ or YYYYMMDDHHMMZ"),
            (format!("ada valid-after=\"2027010\u{661}\" {ADA}"), "\"2027010\u{661}\" is no time: write YYYYMMDDZ or YYYYMMDDHHMMZ"),
            (format!("ada valid-after=\"20270101\",valid-before=\"20260101\" {ADA}"), "`valid-after` is later than `valid-before`"),
            (format!("ada valid-after=\"20200101\",valid-after=\"20190101\" {ADA}"), "`valid-after` stands there twice"),
            (format!("ada no-touch {ADA}"), "`no-touch` is neither an option nor a key"),
            ("ada".to_owned(), "there is no key"),
            (format!("\"ada {ADA}"), "a quote is never closed"),
            ("ada ssh-ed25519".to_owned(), "`ssh-ed25519` is neither an option nor a key"),
        ] {
            let list = format!("# list\n{line}\n");
            assert_eq!(ada(&list, "x", None), Err(Rejected::Unknown), "{line}");
            assert_eq!(parse(&list, &zone()).passed_over(), Some(format!("line 2 is passed over: {why}")), "{line}");
        }
        let many = "x\n".repeat(5);
        assert!(parse(&many, &zone()).passed_over().unwrap().ends_with("line 3 is passed over: there is no key and 2 more"));
    }

    #[test]
    fn patterns_match_as_openssh_says() {
        for (patterns, text, is) in [
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*@*.org", "a@b.c.org", true),
            ("*@*.org", "a@b.orgx", false),
            ("a*b*c", "aXbXbXc", true),
            ("", "", true),
            ("", "a", false),
            ("!a", "b", false),
            ("!a,*", "a", false),
            ("*,!a", "b", true),
        ] {
            assert_eq!(in_patterns(patterns, text), is, "{patterns} {text}");
        }
        // Not in a time that grows with every star.
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39)));
    }
}
