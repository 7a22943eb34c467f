//! What single words mean: numbers, durations, and words that YAML readers disagree on.

use std::time::Duration;

/// Longest duration that makes sense in a release.
const MOST_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// A whole number as YAML 1.2 and 1.1 both read it.
pub(super) fn whole_number(text: &str) -> Option<f64> {
    (!text.contains(['.', 'e', 'E'])).then(|| number(text)).flatten()
}

/// A decimal number as YAML 1.2 and 1.1 both read it: no leading zeros, no underscores, no hexadecimal, no infinity.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let well_formed = all_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(|e| all_digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    if !well_formed || text.len() > 40 {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.abs() <= 1e15)
}

/// A duration such as `450ms`, `30s`, `1h30m`: whole numbers with the units d, h, m, s, ms, the greatest first.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let wrong = || format!("`{text}` is no duration");
    let (mut rest, mut total, mut smallest) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = tail.split_at(letters);
        if unit.is_empty() && after.is_empty() && !count.is_empty() {
            return Err(format!("`{text}` has no unit"));
        }
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if *millis >= smallest {
            return Err(wrong());
        }
        smallest = *millis;
        total = count.checked_mul(*millis).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    let value = Duration::from_millis(total);
    match (text.is_empty(), value > MOST_DURATION) {
        (true, _) => Err(wrong()),
        (_, true) => Err(format!("`{text}` is longer than 30 days")),
        _ => Ok(value),
    }
}

/// What other readers take an unquoted word for, when it is not simply text to all of them.
pub(super) fn ambiguous(text: &str) -> Option<&'static str> {
    if matches!(text, "~" | "null" | "Null" | "NULL") {
        return Some("nothing");
    }
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n") {
        return Some("true or false");
    }
    if matches!(lower.trim_start_matches(['-', '+']), ".inf" | ".nan") || text == "=" || text == "<<" {
        return Some("a special value");
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let of =
        |allowed: &str| unsigned.chars().all(|c| c.is_ascii_digit() || allowed.contains(c)) && unsigned.chars().any(|c| c.is_ascii_digit());
    let based = ["0x", "0o", "0b"].iter().any(|base| {
        lower
            .trim_start_matches(['-', '+'])
            .strip_prefix(base)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit() || c == '_'))
    });
    let float = {
        let (mantissa, exponent) = lower.split_once('e').map_or((lower.as_str(), None), |(m, e)| (m, Some(e)));
        let plain = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
        mantissa.trim_start_matches(['-', '+']).matches('.').count() <= 1
            && mantissa.trim_start_matches(['-', '+']).split('.').all(plain)
            && exponent.is_none_or(|e| plain(e.trim_start_matches(['-', '+'])) && e.contains(|c: char| c.is_ascii_digit()))
            && mantissa.contains(|c: char| c.is_ascii_digit())
    };
    if based || float {
        return Some("a number");
    }
    if of(":._") && unsigned.contains(':') {
        return Some("a number to the base 60");
    }
    let date = unsigned.len() >= 8 && unsigned.as_bytes().get(4) == Some(&b'-') && of("-:TtZz+. ");
    date.then_some("a date")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_fall() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("450ms"), Ok(Duration::from_millis(450)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["", "5", "5 m", "m", "5x", "30s1m", "1m1m", "1.5s", "-5s", "99999999999999999999s", "9999999d", "5M"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_numbers_that_all_readers_agree_on_are_numbers() {
        for (text, value) in [("0", 0.0), ("20", 20.0), ("0.005", 0.005), ("-3", -3.0), ("1e3", 1000.0)] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for wrong in ["", "010", "0x10", "1_000", ".5", "5.", "+1", ".inf", "NaN", "1e", "inf", "1e99", "5m"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn words_that_readers_disagree_on_are_found() {
        for text in [
            "yes",
            "NO",
            "On",
            "off",
            "y",
            "N",
            "true",
            "null",
            "~",
            "010",
            "0x1F",
            "0o17",
            "1_000",
            "1.5",
            "1e3",
            ".5",
            "12:30",
            "12:30:45.5",
            "2026-01-31",
            "2026-01-31T10:00:00Z",
            ".inf",
            "-.inf",
            ".nan",
            "+5",
            "=",
        ] {
            assert!(ambiguous(text).is_some(), "{text}");
        }
        for text in [
            "v1",
            "5m",
            "450ms",
            "1.0.0",
            "10.0.0.1",
            "done",
            "yesterday",
            "on-call",
            "-",
            "a:b",
            "5 %",
            "checkout",
            "1a",
            "0xyz",
            "1-2",
            "...",
            "e5",
        ] {
            assert_eq!(ambiguous(text), None, "{text}");
        }
    }
}
