//! What came back: bounded, readable, classified.

use crate::domain::{Failure, text};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, DATE, LOCATION};
use std::error::Error;
use std::time::Duration;

/// As much of a refusal's body as is worth reading.
const ENOUGH_OF_AN_ERROR: usize = 64 * 1024;

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type, lower-case, without parameters; empty when absent.
    pub content_type: String,
    /// The server's clock by its Date header; whole seconds.
    pub date: Option<DateTime<Utc>>,
    /// The body, decompressed. Of an error only the beginning.
    pub body: Bytes,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `status 502, text/html: Bad Gateway nginx`: for messages about an answer that is not what was asked for.
    pub fn describe(&self) -> String {
        let kind = if self.content_type.is_empty() { String::new() } else { format!(", {}", text::clean_bounded(&self.content_type, 40)) };
        let words = words(&self.body);
        let words = if words.is_empty() { "empty body".to_owned() } else { words };
        format!("status {}{kind}: {words}", self.status)
    }
}

/// The address without credentials and query, for messages.
pub fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    text::clean_bounded(url.as_str(), 160)
}

/// The first words of a body for people: markup, scripts and control characters removed, at most 120 characters.
pub fn words(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(8 * 1024)]);
    let plain = if head.trim_start().starts_with('<') { without_markup(&head) } else { head.into_owned() };
    let joined = plain.split_whitespace().take(40).collect::<Vec<_>>().join(" ");
    text::clean_bounded(&joined, 120)
}

fn without_markup(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = &rest[open..];
        let lower = rest.get(..8).unwrap_or(rest).to_ascii_lowercase();
        let end = ["script", "style"].iter().find(|tag| lower[1..].starts_with(**tag)).map(|tag| format!("</{tag}>"));
        let skipped = match end {
            Some(end) => rest.to_ascii_lowercase().find(&end).map(|at| at + end.len()),
            None => rest.find('>').map(|at| at + 1),
        };
        rest = skipped.map_or("", |at| &rest[at..]);
    }
    out.push_str(rest);
    out
}

/// The last cause in the chain of an error: the one that says something (`Connection refused`, `invalid peer certificate`).
pub(super) fn deepest_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    text::clean_bounded(&cause.to_string(), 200)
}

/// Whether anything left this machine decides between `NotSent` and `Unknown`.
pub(super) fn classify(operation: &str, target: &str, timeout: Duration, error: &reqwest::Error) -> Failure {
    let cause = deepest_cause(error);
    if error.is_builder() {
        Failure::NotSent { why: format!("{operation} at {target}: {cause}") }
    } else if error.is_connect() {
        let hint = if cause.contains("certificate") { "; if the authority is your own, name its file as ca_file" } else { "" };
        Failure::NotSent { why: format!("{operation}: cannot connect to {target}: {cause}{hint}") }
    } else if error.is_timeout() {
        Failure::Unknown { why: format!("{operation} at {target}: no complete answer within {}", text::span(timeout)) }
    } else {
        Failure::Unknown { why: format!("{operation} at {target}: the answer was lost: {cause}") }
    }
}

/// A redirect that was not followed is an answer of somebody else: a login page, or the same server under its real address.
pub(super) fn refuse_redirect(operation: &str, target: &str, response: &reqwest::Response) -> Result<(), Failure> {
    if !response.status().is_redirection() {
        return Ok(());
    }
    let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
    let to = to.and_then(|to| response.url().join(to).ok()).map_or_else(|| "nowhere".to_owned(), |url| shown_url(&url));
    let code = response.status().as_u16();
    let why = format!(
        "{operation} at {target}: redirected ({code}) to {to}, which is not followed; configure the address that answers itself, or log in"
    );
    Err(Failure::Unreadable { why })
}

/// Reads the body up to the limit. A success that is larger is unreadable; of an error the beginning is enough.
pub(super) async fn read_body(
    operation: &str,
    target: &str,
    timeout: Duration,
    limit: usize,
    response: reqwest::Response,
) -> Result<Reply, Failure> {
    let status = response.status().as_u16();
    let success = response.status().is_success();
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let content_type = header(CONTENT_TYPE).and_then(|v| v.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let date = header(DATE).and_then(|v| DateTime::parse_from_rfc2822(v).ok()).map(|d| d.to_utc());
    let most = if success { limit } else { ENOUGH_OF_AN_ERROR };
    let too_large = || Failure::Unreadable {
        why: format!(
            "{operation} at {target}: the answer is larger than {} MB; ask for less, or for something else",
            limit / (1024 * 1024)
        ),
    };
    if success && response.content_length().is_some_and(|n| n > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| classify(operation, target, timeout, &e))?;
        if success && body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk[..chunk.len().min(most.saturating_sub(body.len()))]);
        if body.len() >= most && !success {
            break;
        }
    }
    Ok(Reply { status, content_type, date, body: body.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_page_only_its_words_are_shown() {
        for (body, shown) in [
            (
                "<!doctype html><html><head><title>502 Bad Gateway</title><style>a{b:c}</style><script>alert(1)</script></head><body>nginx</body>",
                "502 Bad Gateway nginx",
            ),
            ("plain\n  text\u{1b}[31m red", "plain text red"),
            ("<script>never closed", ""),
            ("< é", ""),
            ("", ""),
        ] {
            assert_eq!(words(body.as_bytes()), shown);
        }
        assert_eq!(words(&[0xff, 0xfe, b'x']), "\u{fffd}\u{fffd}x");
        assert_eq!(words("x".repeat(500).as_bytes()).chars().count(), 120);
    }

    #[test]
    fn an_address_is_shown_without_credentials_and_query() {
        let url = Url::parse("https://user:canary@host:9090/api/v1/query?token=canary#canary").unwrap();
        assert_eq!(shown_url(&url), "https://host:9090/api/v1/query");
    }
}
