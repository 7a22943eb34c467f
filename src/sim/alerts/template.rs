//! Texts of labels and annotations: a small part of Go's templates.

use crate::domain::Labels;

/// Replaces every `{{ … }}`. What is not understood becomes the text that Prometheus shows for a template that fails.
pub(super) fn expand(text: &str, labels: &Labels, value: f64) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open..].find("}}") else {
            return failed("unclosed action");
        };
        let inner = rest[open + 2..open + close].trim();
        match evaluate(inner, labels, value) {
            Some(text) => out.push_str(&text),
            None => return failed(&format!("{inner:?} is not simulated")),
        }
        rest = &rest[open + close + 2..];
    }
    out.push_str(rest);
    out
}

fn failed(why: &str) -> String {
    format!("<error expanding template: {why}>")
}

fn evaluate(inner: &str, labels: &Labels, value: f64) -> Option<String> {
    let mut parts = inner.split('|').map(str::trim);
    let head = parts.next()?;
    if let Some(name) = head.strip_prefix("$labels.").or_else(|| head.strip_prefix(".Labels.")) {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return (plain && parts.next().is_none()).then(|| labels.get(name).cloned().unwrap_or_default());
    }
    if head != "$value" && head != ".Value" {
        return None;
    }
    let text = match parts.next() {
        None => shortest(value),
        Some("humanize") => humanize(value),
        Some("humanizePercentage") => format!("{}%", digits4(value * 100.0)),
        Some("humanizeDuration") => duration(value),
        Some(_) => return None,
    };
    parts.next().is_none().then_some(text)
}

/// Go's `%v` of a float.
fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) { value.to_string() } else { scientific(value) }
}

/// `4.12e-01`: Go's `%e` with as many digits as it takes.
pub(super) fn scientific(value: f64) -> String {
    if !value.is_finite() {
        return shortest(value);
    }
    two_digit_exponent(&format!("{value:e}"))
}

fn two_digit_exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Go's `%.4g`.
fn digits4(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return shortest(value);
    }
    let rounded = format!("{value:.3e}");
    let exponent: i32 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: &str| if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() };
    if (-4..4).contains(&exponent) {
        let places = usize::try_from(3 - exponent).unwrap_or(0);
        return trim(&format!("{value:.places$}"));
    }
    let (digits, exponent) = rounded.split_once('e').unwrap_or((rounded.as_str(), "0"));
    two_digit_exponent(&format!("{}e{exponent}", trim(digits)))
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return digits4(value);
    }
    let (mut value, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for p in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            (value, prefix) = (value / 1000.0, p);
        }
    } else {
        for p in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            (value, prefix) = (value * 1000.0, p);
        }
    }
    format!("{}{prefix}", digits4(value))
}

fn duration(value: f64) -> String {
    if !value.is_finite() {
        return digits4(value);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        return format!("{}s", humanize(value));
    }
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    let whole = size as u64;
    let (d, h, m, s) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", digits4(size)),
        (0, 0, m) => format!("{sign}{m}m {s}s"),
        (0, h, m) => format!("{sign}{h}h {m}m {s}s"),
        (d, h, m) => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, value: f64) -> String {
        let labels = Labels::from([("pod".to_owned(), "a-1".to_owned())]);
        expand(text, &labels, value)
    }

    #[test]
    fn values_look_as_prometheus_shows_them() {
        for (text, value, shown) in [
            ("p99 {{ $value | humanizeDuration }} > 400ms", 0.4123, "p99 412.3ms > 400ms"),
            ("{{$value|humanizePercentage}} of requests", 0.023_14, "2.314% of requests"),
            ("{{ $value }}", 0.4125, "0.4125"),
            ("{{ $value }}", 1e-5, "1e-05"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ $value | humanizeDuration }}", 75.0, "1m 15s"),
            ("{{ $labels.pod }} restarted {{ .Value }}x", 1.0, "a-1 restarted 1x"),
            ("{{ $labels.none }}!", 1.0, "!"),
        ] {
            assert_eq!(of(text, value), shown, "{text}");
        }
        assert_eq!(scientific(1.0), "1e+00");
        assert_eq!(scientific(0.4125), "4.125e-01");
    }

    #[test]
    fn what_is_not_simulated_says_so() {
        assert!(of("{{ query \"up\" }}", 1.0).starts_with("<error expanding template: "));
        assert!(of("{{ $value", 1.0).starts_with("<error"));
        assert!(of("{{ $value | printf }}", 1.0).starts_with("<error"));
    }
}
