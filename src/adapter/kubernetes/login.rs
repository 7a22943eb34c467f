//! Credentials made ready for requests: token files read, exec plugins run without ever touching the screen.

use crate::domain::text::clean_bounded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use kube::config::{AuthInfo, ExecConfig};
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// An exec plugin that takes longer waits for a person, who cannot see it.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// What is kept of a plugin's answer, and of its complaints.
const PLUGIN_ANSWER: usize = 1 << 20;
const PLUGIN_COMPLAINT: usize = 8 << 10;

/// Credentials that can be sent as they are.
pub(super) struct Login {
    /// Holds a token, a certificate, or name and password; no file to read and nothing to run.
    pub(super) auth: AuthInfo,
    /// When they end, if their source told.
    pub(super) expires: Option<DateTime<Utc>>,
}

/// Makes the credentials of a kubeconfig's user ready. The error says what failed; [`how_to_log_in`] says what to do.
pub(super) async fn log_in(written: &AuthInfo) -> Result<Login, String> {
    let mut auth = written.clone();
    let mut expires = None;
    if let Some(provider) = auth.auth_provider.take() {
        let id_token = provider.config.get("id-token").filter(|token| !token.is_empty());
        let Some(token) = id_token else {
            let name = clean_bounded(&provider.name, 40);
            return Err(format!("the built-in auth provider `{name}` is gone from Kubernetes; use its exec plugin instead"));
        };
        auth.token = Some(SecretString::from(token.clone()));
    }
    if let Some(file) = auth.token_file.take() {
        match read_token(Path::new(&file)) {
            Ok(token) => auth.token = Some(token),
            Err(why) if auth.token.is_none() => return Err(why),
            Err(_) => {}
        }
    }
    let plugin = auth.exec.take();
    let without =
        auth.token.is_none() && auth.username.is_none() && auth.client_certificate.is_none() && auth.client_certificate_data.is_none();
    if let Some(plugin) = plugin.filter(|_| without) {
        expires = run_plugin(&plugin).await?.put_into(&mut auth)?;
    }
    Ok(Login { auth, expires })
}

/// What a person does when the login is refused: which command, which file.
pub(super) fn how_to_log_in(written: &AuthInfo, user: &str, origin: &str) -> String {
    let user = clean_bounded(user, 60);
    if let Some(file) = &written.token_file {
        return format!("renew the token in {}", clean_bounded(file, 200));
    }
    if written.token.is_some() || written.auth_provider.is_some() {
        return format!("renew the token of user `{user}` in {origin}");
    }
    if let Some(file) = &written.client_certificate {
        return format!("renew the client certificate {}", clean_bounded(file, 200));
    }
    if written.client_certificate_data.is_some() {
        return format!("renew the client certificate of user `{user}` in {origin}");
    }
    if let Some(plugin) = &written.exec {
        let hint = plugin.install_hint.as_deref().map(|hint| format!(" ({})", clean_bounded(hint, 200))).unwrap_or_default();
        return format!("log in for `{}` in another terminal{hint}", plugin_name(plugin));
    }
    if written.username.is_some() {
        return format!("correct name and password of user `{user}` in {origin}");
    }
    format!("{origin} has no credentials for user `{user}`: log in with your provider's tool")
}

/// Command and leading words of a plugin; never its options, which may carry secrets.
fn plugin_name(plugin: &ExecConfig) -> String {
    let command = plugin.command.as_deref().unwrap_or("(no command)");
    let words = plugin.args.iter().flatten().take_while(|arg| !arg.starts_with('-')).take(3);
    let mut name = clean_bounded(command, 120);
    for word in words {
        name.push(' ');
        name.push_str(&clean_bounded(word, 40));
    }
    name
}

fn read_token(file: &Path) -> Result<SecretString, String> {
    let shown = clean_bounded(&file.display().to_string(), 200);
    let text = std::fs::read_to_string(file).map_err(|why| format!("cannot read the token file {shown}: {why}"))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("the token file {shown} is empty"));
    }
    Ok(SecretString::from(token.to_owned()))
}

#[derive(Deserialize)]
struct Answer {
    status: Option<Issued>,
}

/// `status` of an `ExecCredential`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    expiration_timestamp: Option<DateTime<Utc>>,
    token: Option<SecretText>,
    client_certificate_data: Option<SecretText>,
    client_key_data: Option<SecretText>,
}

struct SecretText(String);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl Issued {
    fn put_into(self, auth: &mut AuthInfo) -> Result<Option<DateTime<Utc>>, String> {
        if self.token.is_none() && self.client_certificate_data.is_none() {
            return Err("the exec plugin's answer has neither a token nor a certificate".to_owned());
        }
        if let Some(token) = self.token {
            auth.token = Some(SecretString::from(token.0));
        }
        if let (Some(certificate), Some(key)) = (self.client_certificate_data, self.client_key_data) {
            auth.client_certificate_data = Some(STANDARD.encode(certificate.0));
            auth.client_key_data = Some(SecretString::from(STANDARD.encode(key.0)));
        }
        Ok(self.expiration_timestamp)
    }
}

/// Runs the plugin away from the terminal: no input, its output and complaints caught, in a process group of its own.
async fn run_plugin(plugin: &ExecConfig) -> Result<Issued, String> {
    let name = plugin_name(plugin);
    let Some(command) = &plugin.command else { return Err("the kubeconfig's exec entry has no command".to_owned()) };
    let mut process = tokio::process::Command::new(command);
    process.args(plugin.args.iter().flatten()).envs(plugin.env.iter().flatten().filter_map(variable));
    process.env("KUBERNETES_EXEC_INFO", exec_info(plugin)).kill_on_drop(true);
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    process.process_group(0);
    let mut child = process.spawn().map_err(|why| format!("cannot run the exec plugin `{name}`: {why}"))?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(format!("the exec plugin `{name}` has no output"));
    };
    let work = async { tokio::join!(child.wait(), keep(out, PLUGIN_ANSWER), keep(err, PLUGIN_COMPLAINT)) };
    let Ok((status, answer, complaint)) = tokio::time::timeout(PLUGIN_TIMEOUT, work).await else {
        return Err(format!("the exec plugin `{name}` did not answer within {} s", PLUGIN_TIMEOUT.as_secs()));
    };
    let status = status.map_err(|why| format!("the exec plugin `{name}` was lost: {why}"))?;
    if !status.success() {
        let complaint = clean_bounded(String::from_utf8_lossy(&complaint).trim(), 300);
        return Err(format!("the exec plugin `{name}` failed ({status}): {complaint}"));
    }
    // Plugins may answer in YAML, of which JSON is a part. The parser's own words would quote the answer: a secret.
    let answer: Answer =
        serde_saphyr::from_slice(&answer).map_err(|_| format!("the exec plugin `{name}` did not answer an ExecCredential"))?;
    answer.status.ok_or_else(|| format!("the exec plugin `{name}` answered without a status"))
}

fn variable(entry: &HashMap<String, String>) -> Option<(&String, &String)> {
    Some((entry.get("name")?, entry.get("value")?))
}

/// What a plugin is told: that nobody sits in front of it, and the cluster if it asked for that.
fn exec_info(plugin: &ExecConfig) -> String {
    let mut spec = serde_json::json!({ "interactive": false });
    if let Some(cluster) = plugin.cluster.as_ref().filter(|_| plugin.provide_cluster_info) {
        spec["cluster"] = serde_json::to_value(cluster).unwrap_or_default();
    }
    let version = plugin.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    serde_json::json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec }).to_string()
}

/// Reads to the end, so that the writer never blocks, and keeps the first `most` bytes.
async fn keep(mut from: impl AsyncRead + Unpin, most: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0_u8; 4096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let room = most.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&chunk[..room]);
    }
    kept
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn plugin(script: &str) -> AuthInfo {
        let exec = ExecConfig {
            command: Some("sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script.to_owned()]),
            api_version: Some("client.authentication.k8s.io/v1".to_owned()),
            ..ExecConfig::default()
        };
        AuthInfo { exec: Some(exec), ..AuthInfo::default() }
    }

    #[tokio::test]
    async fn a_plugin_gets_no_input_and_is_told_that_nobody_is_there() {
        let script = r#"read line && exit 3; case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*) ;; *) exit 4;; esac
            echo '{"kind":"ExecCredential","status":{"token":"t0k","expirationTimestamp":"2030-01-01T00:00:00Z"}}'"#;
        let login = log_in(&plugin(script)).await.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(login.auth.token.unwrap().expose_secret(), "t0k");
        assert!(login.expires.is_some());
        assert!(login.auth.exec.is_none(), "nothing is left for the client library to run");
    }

    #[tokio::test]
    async fn a_failing_plugin_shows_its_complaint_cleaned_and_never_its_output() {
        let why = log_in(&plugin(r"echo s3cr3t; printf 'token expired: \033[31mrun sso login\n' >&2; exit 1")).await.err().unwrap();
        assert!(why.contains("token expired: run sso login") && !why.contains("s3cr3t") && !why.contains('\u{1b}'), "{why}");
        let nonsense = log_in(&plugin("echo s3cr3t")).await.err().unwrap();
        assert!(!nonsense.contains("s3cr3t"), "{nonsense}");
    }

    #[tokio::test]
    async fn a_chatty_plugin_neither_blocks_nor_fills_memory() {
        let why = log_in(&plugin("head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2; exit 1")).await.err().unwrap();
        assert!(why.len() < 600, "{}", why.len());
    }

    #[test]
    fn the_hint_names_what_to_renew_but_no_options() {
        let mut auth = plugin("x");
        if let Some(exec) = &mut auth.exec {
            exec.command = Some("aws".to_owned());
            exec.args = Some(["eks", "get-token", "--password", "s3cr3t"].map(str::to_owned).to_vec());
        }
        assert_eq!(how_to_log_in(&auth, "u", "f"), "log in for `aws eks get-token` in another terminal");
        let file = AuthInfo { token_file: Some("/run/token".to_owned()), ..AuthInfo::default() };
        assert_eq!(how_to_log_in(&file, "u", "f"), "renew the token in /run/token");
    }
}
