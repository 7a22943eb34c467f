//! Credentials by reference, resolved when they are needed.

use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

/// Largest secret that is read, in bytes.
const LONGEST_SECRET: u64 = 64 * 1024;
/// How long a command may take to print a secret.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a secret is found. The secret itself is never part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, read anew for every request; trailing line breaks do not count.
    File(PathBuf),
    /// Program and arguments, run without a shell; its output is kept until a server refuses it.
    Cmd(Vec<String>),
}

/// How a request proves who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// `Authorization: Basic …`
    Basic {
        /// The name; not secret.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A header of its own, such as `X-Scope-OrgID`.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

impl Auth {
    fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(secret) | Self::Basic { password: secret, .. } | Self::Header { value: secret, .. } => secret,
        }
    }

    fn headers(&self, secret: &SecretString) -> Result<HeaderMap, String> {
        let text = secret.expose_secret();
        let (name, value) = match self {
            Self::Bearer(_) => (AUTHORIZATION, format!("Bearer {text}")),
            Self::Basic { username, .. } => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{text}"));
                (AUTHORIZATION, format!("Basic {pair}"))
            }
            Self::Header { name, .. } => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
                (name, text.to_owned())
            }
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| format!("{}: it cannot stand in a header", self.secret().describe()))?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(name, value)]))
    }
}

impl Secret {
    /// Where it comes from, for messages.
    fn describe(&self) -> String {
        match self {
            Self::Env(name) => format!("the secret in the environment variable {name}"),
            Self::File(path) => format!("the secret in the file {}", path.display()),
            Self::Cmd(argv) => format!("the secret printed by the command {}", argv.first().map_or("(none)", String::as_str)),
        }
    }

    async fn resolve(&self) -> Result<SecretString, String> {
        let text = match self {
            Self::Env(name) => from_env(name),
            Self::File(path) => from_file(path).await,
            Self::Cmd(argv) => from_command(argv, COMMAND_TIMEOUT).await,
        };
        let text = text.map_err(|why| format!("{}: {why}", self.describe()))?;
        let trimmed = text.trim_end_matches(['\r', '\n']);
        if trimmed.is_empty() {
            return Err(format!("{}: it is empty", self.describe()));
        }
        Ok(SecretString::from(trimmed.to_owned()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a reference to a secret is resolved where it is used, so that it is held nowhere else")]
fn from_env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| match e {
        std::env::VarError::NotPresent => "it is not set".into(),
        std::env::VarError::NotUnicode(_) => "it is no text".into(),
    })
}

async fn from_file(path: &PathBuf) -> Result<String, String> {
    let file = tokio::fs::File::open(path).await.map_err(|e| e.to_string())?;
    bounded_text(file).await
}

/// Reads text of at most [`LONGEST_SECRET`] bytes.
async fn bounded_text(from: impl tokio::io::AsyncRead + Unpin) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(LONGEST_SECRET + 1).read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LONGEST_SECRET {
        return Err(format!("it is longer than {LONGEST_SECRET} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text".into())
}

/// The command's standard error is thrown away: it would write over the screen, and may hold anything.
async fn from_command(argv: &[String], timeout: Duration) -> Result<String, String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("there is no command".into()) };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("it cannot be started: {e}"))?;
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".into()) };
    let run = async {
        let text = bounded_text(stdout).await?;
        let status = child.wait().await.map_err(|e| e.to_string())?;
        if status.success() { Ok(text) } else { Err(format!("it ended with {status}; run it by hand to see why")) }
    };
    tokio::time::timeout(timeout, run).await.map_err(|_| format!("it took longer than {}s", timeout.as_secs()))?
}

/// A credential in use.
#[derive(Debug)]
pub(super) struct Credential {
    auth: Auth,
    /// Output of a command, until it is refused.
    kept: Mutex<Option<SecretString>>,
}

impl Credential {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, kept: Mutex::new(None) }
    }

    /// The headers that carry it now. The error names the reference, never the secret.
    pub(super) async fn headers(&self) -> Result<HeaderMap, String> {
        let secret = self.auth.secret();
        if !matches!(secret, Secret::Cmd(_)) {
            return self.auth.headers(&secret.resolve().await?);
        }
        let mut kept = self.kept.lock().await;
        let value = match kept.take() {
            Some(value) => value,
            None => secret.resolve().await?,
        };
        let headers = self.auth.headers(&value);
        *kept = Some(value);
        headers
    }

    /// The server refused `used`: forgets what was kept and tells whether there is another one now.
    pub(super) async fn renewed(&self, used: Option<&HeaderMap>) -> bool {
        {
            let mut kept = self.kept.lock().await;
            // Another request may have fetched a new one already; it must not be thrown away.
            let is_used = kept.as_ref().is_some_and(|value| self.auth.headers(value).ok().as_ref() == used);
            if is_used {
                *kept = None;
            }
        }
        self.headers().await.is_ok_and(|now| Some(&now) != used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_command_is_bounded_in_time_output_and_words() {
        assert_eq!(from_command(&argv(&["printf", "tok en"]), COMMAND_TIMEOUT).await, Ok("tok en".into()));
        let long = from_command(&argv(&["head", "-c", "70000", "/dev/zero"]), COMMAND_TIMEOUT).await;
        assert_eq!(long, Err("it is longer than 65536 bytes".into()));
        let slow = from_command(&argv(&["sleep", "60"]), Duration::from_millis(20)).await;
        assert_eq!(slow, Err("it took longer than 0s".into()));
        let failed = from_command(&argv(&["sh", "-c", "echo hush >&2; exit 3"]), COMMAND_TIMEOUT).await;
        assert_eq!(failed, Err("it ended with exit status: 3; run it by hand to see why".into()));
        assert!(from_command(&argv(&["/nonexistent/gonogo"]), COMMAND_TIMEOUT).await.unwrap_err().starts_with("it cannot be started"));
    }

    #[tokio::test]
    async fn a_secret_that_is_missing_empty_or_unfit_is_named_by_its_reference_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "canary\u{7f}secret").unwrap();
        let unfit = Credential::new(Auth::Bearer(Secret::File(path.clone()))).headers().await.unwrap_err();
        assert_eq!(unfit, format!("the secret in the file {}: it cannot stand in a header", path.display()));
        std::fs::write(&path, "\n").unwrap();
        assert!(Credential::new(Auth::Bearer(Secret::File(path))).headers().await.unwrap_err().ends_with("it is empty"));
        let env = Credential::new(Auth::Bearer(Secret::Env("GONOGO_NOBODY_SETS_THIS".into()))).headers().await;
        assert_eq!(env.unwrap_err(), "the secret in the environment variable GONOGO_NOBODY_SETS_THIS: it is not set");
    }

    #[tokio::test]
    async fn nothing_that_can_be_printed_holds_the_secret() {
        let credential = Credential::new(Auth::Basic { username: "me".into(), password: Secret::Cmd(argv(&["printf", "canary"])) });
        let headers = credential.headers().await.unwrap();
        assert_eq!(headers[AUTHORIZATION], "Basic bWU6Y2FuYXJ5");
        let printed = format!("{credential:?} {headers:?}");
        assert!(!printed.contains("bWU6") && !printed.contains("SecretBox(canary"), "{printed}");
        // The argument of this test's command is the secret itself; what was read from it is not printed.
        assert_eq!(printed.matches("canary").count(), 1, "{printed}");
    }
}
