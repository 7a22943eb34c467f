//! References to secrets. The file never holds a secret.

use super::reading::{Source, Table, Text};
use std::fmt;
use std::path::PathBuf;

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`
    File(PathBuf),
    /// `cmd:PROGRAM ARGUMENT…`, run without a shell.
    Cmd(Vec<String>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            // Arguments may be telling; the program's name is enough to find it.
            Self::Cmd(argv) => write!(f, "cmd:{}", argv.first().map_or("", String::as_str)),
        }
    }
}

/// How a connection proves who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthRef {
    /// `auth = { bearer = "env:TOKEN" }`
    Bearer(SecretRef),
    /// `auth = { basic = { username = "me", password = "file:pw" } }`
    Basic {
        /// The name; not secret.
        username: String,
        /// The password.
        password: SecretRef,
    },
    /// `auth = { header = { name = "X-Scope-OrgID", value = "env:TENANT" } }`
    Header {
        /// Name of the header.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

/// Reads `auth` of a connection.
pub(super) fn auth(connection: &Table<'_, '_>) -> Option<AuthRef> {
    let table = connection.table("auth", "auth")?;
    let kinds = ["bearer", "basic", "header"].into_iter().filter(|kind| table.has(kind)).count();
    let auth = if kinds == 1 {
        bearer(&table).or_else(|| basic(&table)).or_else(|| header(&table))
    } else {
        table.source().report("auth", table.span(), "auth has exactly one of `bearer`, `basic`, `header`".into(), None);
        None
    };
    table.finish();
    auth
}

fn bearer(auth: &Table<'_, '_>) -> Option<AuthRef> {
    auth.has("bearer").then(|| reference(auth, "bearer")).flatten().map(AuthRef::Bearer)
}

fn basic(auth: &Table<'_, '_>) -> Option<AuthRef> {
    let table = auth.has("basic").then(|| auth.table("basic", "basic")).flatten()?;
    let (username, password) = (table.required_text("username"), reference(&table, "password"));
    table.finish();
    Some(AuthRef::Basic { username: username?.value, password: password? })
}

fn header(auth: &Table<'_, '_>) -> Option<AuthRef> {
    let table = auth.has("header").then(|| auth.table("header", "header")).flatten()?;
    let (name, value) = (table.required_text("name"), reference(&table, "value"));
    table.finish();
    let name = name?;
    if http::HeaderName::try_from(name.value.as_str()).is_err() {
        auth.source().report("value", name.span, "`name` is no name of an http header".into(), None);
        return None;
    }
    Some(AuthRef::Header { name: name.value, value: value? })
}

/// A reference. What looks like the secret itself is refused without being repeated.
fn reference(table: &Table<'_, '_>, key: &'static str) -> Option<SecretRef> {
    let text = table.required_text(key)?;
    let parsed = parse(table.source(), &text);
    if parsed.is_none() {
        let help = Some("write env:NAME, file:PATH or cmd:PROGRAM ARGUMENT…");
        table.source().report("secret", text.span, format!("`{key}` is no reference to a secret"), help);
    }
    parsed
}

fn parse(source: &Source<'_>, text: &Text) -> Option<SecretRef> {
    let (kind, rest) = text.value.split_once(':')?;
    let rest = rest.trim();
    match kind {
        _ if rest.is_empty() => None,
        "env" => rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| SecretRef::Env(rest.to_owned())),
        "file" => Some(SecretRef::File(source.path(rest))),
        "cmd" => words(rest).filter(|argv| !argv.is_empty()).map(SecretRef::Cmd),
        _ => None,
    }
}

/// Words separated by blanks; quotes, single or double, keep blanks together. No other character means anything: there is no shell.
/// `None` when a quote is never closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            Some(_) | None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_without_a_shell() {
        for (text, expected) in [
            ("pass show prom", Some(vec!["pass", "show", "prom"])),
            ("vault read -field='a b' \"c  d\"", Some(vec!["vault", "read", "-field=a b", "c  d"])),
            ("echo $HOME; rm *", Some(vec!["echo", "$HOME;", "rm", "*"])),
            ("x ''", Some(vec!["x", ""])),
            ("x 'never closed", None),
        ] {
            assert_eq!(words(text), expected.map(|w| w.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }
}
