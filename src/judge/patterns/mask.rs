//! What differs from line to line of one kind: numbers, identities, addresses. Masked before lines are compared.

/// Longest token that is looked at, in bytes; the rest of a longer one is all alike.
const TOKEN: usize = 80;
/// Tokens of a line that tell its kind.
pub(super) const TOKENS: usize = 24;

/// What stands for anything.
pub(super) const ANY: &str = "<*>";

/// The tokens of a line with everything masked that names a single event.
pub(super) fn tokens(text: &str) -> Vec<String> {
    text.split_whitespace().take(TOKENS).map(token).collect()
}

fn token(raw: &str) -> String {
    if is_uuid(raw.trim_matches(|c: char| !c.is_ascii_alphanumeric())) {
        return raw.replace(raw.trim_matches(|c: char| !c.is_ascii_alphanumeric()), "<id>");
    }
    let end = raw.char_indices().map(|(at, _)| at).take_while(|at| *at <= TOKEN).last().unwrap_or(0);
    let raw = if raw.len() > TOKEN { &raw[..end] } else { raw };
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while !rest.is_empty() {
        let run = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if run > 0 {
            out.push_str(mask(&rest[..run]));
        }
        let after = &rest[run..];
        let gap = after.find(char::is_alphanumeric).unwrap_or(after.len());
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    // 10.0.3.7, 12.5, 03:07:40, 2026-03-14 and the like are one thing each.
    while let Some(at) = ["<n>.<n>", "<n>:<n>", "<n>-<n>", "<n>,<n>", "<id>-<id>", "<n>-<id>", "<id>-<n>", "<n>.<id>"]
        .iter()
        .find_map(|p| Some((out.find(p)?, p.len())))
    {
        let one = if out[at.0..at.0 + at.1].contains("id") { "<id>" } else { "<n>" };
        out.replace_range(at.0..at.0 + at.1, one);
    }
    out
}

/// A run of letters and digits: kept when it is a word, masked when it counts or names.
fn mask(run: &str) -> &str {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        // A hash without a digit looks like a word; long ones that are all hex are no words.
        return if run.len() >= 16 && run.bytes().all(|b| b.is_ascii_hexdigit()) { "<id>" } else { run };
    }
    let leading = run.bytes().take_while(u8::is_ascii_digit).count();
    if leading > 0 && run.len() - leading <= 3 && run[leading..].bytes().all(|b| b.is_ascii_alphabetic()) {
        // 212ms, 40MiB, 7.
        return "<n>";
    }
    if leading > 0 || run.len() >= 5 { "<id>" } else { run }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_one_event_is_masked_and_words_are_kept() {
        for (raw, masked) in [
            ("waited 212ms for connection (max 100ms)", "waited <n> for connection (max <n>)"),
            ("GET /v1/cart 200 31ms", "GET /v1/cart <n> <n>"),
            ("order=8f1d77bc user=42", "order=<id> user=<n>"),
            ("from 10.0.3.7:8080 at 03:07:40", "from <n> at <n>"),
            ("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8, done", "id <id>, done"),
            ("p99 of s3 in eu-west-1", "p99 of s3 in eu-west-<n>"),
            ("sha deadbeefdeadbeefdead", "sha <id>"),
        ] {
            assert_eq!(tokens(raw).join(" "), masked);
        }
    }
}
