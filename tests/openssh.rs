//! Signatures against the real OpenSSH: what `ssh-keygen -Y sign` makes is accepted here, what is made here is accepted by
//! `ssh-keygen -Y verify`, and what one refuses the other refuses too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/left_out.rs"]
mod support;

use chrono::{DateTime, Utc};
use gonogo::adapter::ssh::{self, Settings};
use gonogo::domain::signature::{RUNBOOK, Unproven};
use gonogo::port::{Claim, SignError, Signatures as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Kinds of keys: name, `ssh-keygen -t`, `-b`.
const KINDS: [(&str, &str, &str); 4] =
    [("ed25519", "ed25519", "256"), ("nistp256", "ecdsa", "256"), ("nistp384", "ecdsa", "384"), ("rsa", "rsa", "3072")];

const TEXT: &str = "gonogo: 1\nid: checkout\n";

/// A folder with keys, a list of allowed signers, and a file to sign.
struct Place {
    dir: TempDir,
}

impl Place {
    /// `None` where there is no OpenSSH.
    fn new() -> Option<Self> {
        for tool in ["ssh-keygen", "ssh-agent", "ssh-add"] {
            if Command::new(tool).arg("-?").stdin(Stdio::null()).output().is_err() {
                support::left_out("openssh", &format!("no {tool} on the PATH"));
                return None;
            }
        }
        let place = Self { dir: TempDir::new().unwrap() };
        std::fs::write(place.file(), TEXT).unwrap();
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("x.yaml")
    }

    /// Makes a key and gives its public line.
    fn key(&self, name: &str, kind: &str, bits: &str, passphrase: &str) -> String {
        let made = Self::keygen(&["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", name, "-f", &self.shown(name)]);
        assert!(made.status.success(), "{made:?}");
        std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn allow(&self, lines: &str) -> PathBuf {
        let path = self.path("allowed_signers");
        std::fs::write(&path, lines).unwrap();
        path
    }

    fn keygen(args: &[&str]) -> Output {
        Command::new("ssh-keygen").args(args).env_remove("SSH_AUTH_SOCK").env("TZ", "UTC").stdin(Stdio::null()).output().unwrap()
    }

    /// `ssh-keygen -Y sign` by a key file.
    fn theirs(&self, key: &str, namespace: &str) -> String {
        let path = self.path("x.yaml.sig");
        let _ = std::fs::remove_file(&path);
        let made = Self::keygen(&["-Y", "sign", "-n", namespace, "-f", &self.shown(key), &self.file().display().to_string()]);
        assert!(made.status.success(), "{made:?}");
        std::fs::read_to_string(path).unwrap()
    }

    /// Whether `ssh-keygen -Y verify` accepts a signature of `text` by `who` at that time.
    fn they_accept(&self, text: &str, signature: &str, who: &str, namespace: &str, at: &str) -> bool {
        let file = self.path("to-check");
        std::fs::write(&file, text).unwrap();
        let sig = self.path("to-check.sig");
        std::fs::write(&sig, signature).unwrap();
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "verify", "-n", namespace, "-I", who, "-O", &format!("verify-time={at}")]);
        command.arg("-f").arg(self.path("allowed_signers")).arg("-s").arg(sig).env("TZ", "UTC");
        command.stdin(std::fs::File::open(file).unwrap()).output().unwrap().status.success()
    }

    fn settings(&self) -> Settings {
        Settings { allowed_signers: Some(self.path("allowed_signers")), ..Settings::default() }
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn claim(signature: &str) -> Claim {
    let (namespace, message) = (RUNBOOK.to_owned(), TEXT.as_bytes().to_vec());
    Claim { namespace, message, signature: signature.to_owned(), principal: Some("ada".into()), at: moment("2026-11-20T12:00:00Z") }
}

/// A real agent.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(place: &Place) -> Self {
        let socket = place.path("agent");
        // It says its address once it listens.
        let mut child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { child, socket }
    }

    fn add(&self, key: &Path, passphrase: Option<&Path>) {
        let mut command = Command::new("ssh-add");
        command.arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        if let Some(program) = passphrase {
            command.env("SSH_ASKPASS", program).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0");
        }
        let added = command.output().unwrap();
        assert!(added.status.success(), "{added:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn both_accept_what_the_other_signs_by_file_and_by_agent() {
    let Some(place) = Place::new() else { return };
    let agent = Agent::start(&place);
    for (name, kind, bits) in KINDS {
        let public = place.key(name, kind, bits, "");
        place.allow(&format!("# people\nada {public}\n"));
        agent.add(&place.path(name), None);
        let theirs = place.theirs(name, RUNBOOK);
        let verifier = ssh::new(place.settings());
        let signer = verifier.verify(claim(&theirs)).await.unwrap();
        assert_eq!(signer.who, "ada", "{name}");
        let listed = Place::keygen(&["-l", "-f", &place.shown(&format!("{name}.pub"))]);
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&signer.key), "{name}: {} in {listed:?}", signer.key);

        let by_file = Settings { key: Some(place.path(name)), ..place.settings() };
        // The private half is beside it: the agent alone has to do.
        std::fs::copy(place.path(&format!("{name}.pub")), place.path("elsewhere.pub")).unwrap();
        let by_agent = Settings { key: Some(place.path("elsewhere.pub")), agent: Some(agent.socket.clone()), ..place.settings() };
        for settings in [by_file, by_agent] {
            let ours = ssh::new(settings).sign(RUNBOOK, TEXT.as_bytes().to_vec()).await.unwrap();
            assert_eq!(ours.key, signer.key, "{name}");
            let accept = |text: &str, namespace: &str| place.they_accept(text, &ours.armored, "ada", namespace, "20261120");
            assert!(accept(TEXT, RUNBOOK), "{name}");
            assert!(!accept("gonogo: 2\n", RUNBOOK) && !accept(TEXT, "file"), "{name}");
            assert_eq!(verifier.verify(claim(&ours.armored)).await, Ok(signer.clone()), "{name}");
        }
    }
    // Without a name: of the agent's keys the one that is in the list, though it is not the first.
    let chosen = Settings { agent: Some(agent.socket.clone()), ..place.settings() };
    let ours = ssh::new(chosen).sign(RUNBOOK, TEXT.as_bytes().to_vec()).await.unwrap();
    assert!(place.they_accept(TEXT, &ours.armored, "ada", RUNBOOK, "20261120"));
}

#[tokio::test]
async fn what_is_spoilt_is_refused_by_both_and_each_has_its_reason_here() {
    let Some(place) = Place::new() else { return };
    let ada = place.key("ada", "ed25519", "256", "");
    let ben = place.key("ben", "ed25519", "256", "");
    let verifier = ssh::new(place.settings());
    let signature = place.theirs("ada", RUNBOOK);
    let said = async |claim: Claim| verifier.verify(claim).await.unwrap_err();

    place.allow(&format!("ada {ada}\nben {ben}\n"));
    assert!(matches!(said(claim(&place.theirs("ada", "file"))).await, Unproven::OtherPurpose { found, .. } if found == "file"));
    let changed = said(Claim { message: b"gonogo: 1\nid: checkouT\n".to_vec(), ..claim(&signature) }).await;
    assert!(matches!(changed, Unproven::Changed { who: Some(who), .. } if who == "ada"));
    let by_ben = place.theirs("ben", RUNBOOK);
    assert!(!place.they_accept(TEXT, &by_ben, "ada", RUNBOOK, "20261120"));
    assert!(matches!(said(claim(&by_ben)).await, Unproven::OtherPerson { signer, .. } if signer.who == "ben"));

    place.allow(&format!("ben {ben}\n"));
    assert!(!place.they_accept(TEXT, &signature, "ada", RUNBOOK, "20261120"));
    assert!(matches!(said(claim(&signature)).await, Unproven::UnknownKey { .. }));

    place.allow(&format!("ada valid-before=\"20261119\" {ada}\n"));
    assert!(!place.they_accept(TEXT, &signature, "ada", RUNBOOK, "20261120"));
    assert!(place.they_accept(TEXT, &signature, "ada", RUNBOOK, "20261118"));
    assert!(matches!(said(claim(&signature)).await, Unproven::Expired { signer, .. } if signer.who == "ada"));

    // Kinds that are not read here are told by name, not as damage.
    let old = place.key("old", "ecdsa", "521", "");
    place.allow(&format!("ada {old}\n"));
    assert!(
        matches!(said(claim(&place.theirs("old", RUNBOOK))).await, Unproven::Unsupported { kind, .. } if kind == "ecdsa-sha2-nistp521")
    );
}

#[tokio::test]
async fn lists_of_signers_mean_to_both_the_same() {
    let Some(place) = Place::new() else { return };
    let ada = place.key("ada", "ed25519", "256", "");
    let signature = place.theirs("ada", RUNBOOK);
    let verifier = ssh::new(place.settings());
    let mut accepted = 0;
    let lines = [
        "ada KEY comment with blanks",
        "ada\tKEY",
        "  ada KEY",
        "# ada KEY",
        "ada,ben KEY",
        "ben,ada KEY",
        "ben KEY",
        "a?a KEY",
        "a* KEY",
        "*,!ada KEY",
        "!ada,* KEY",
        "!ben KEY",
        "Ada KEY",
        "\"ada\" KEY",
        "\"ben,ada\" KEY",
        "ada namespaces=\"runbook@gonogo\" KEY",
        "ada NAMESPACES=\"file,runbook@*\" KEY",
        "ada namespaces=\"file\" KEY",
        "ada namespaces=\"*,!runbook@gonogo\" KEY",
        "ada namespaces=runbook@gonogo KEY",
        "ada valid-after=\"20261120\" KEY",
        "ada valid-after=\"202611201200Z\" KEY",
        "ada valid-after=\"20261120120001Z\" KEY",
        "ada valid-before=\"20261120115959Z\" KEY",
        "ada valid-before=\"202611201200Z\" KEY",
        "ada valid-after=\"20260101\",valid-before=\"20270101\" KEY",
        "ada valid-after=\"20270101\",valid-before=\"20260101\" KEY",
        "ada valid-before=\"tomorrow\" KEY",
        "ada cert-authority KEY",
        "ada something KEY",
        "ben KEY\nada KEY",
        "ada valid-before=\"20200101\" KEY\nada KEY",
    ];
    for line in lines {
        place.allow(&format!("{}\n", line.replace("KEY", &ada)));
        let theirs = place.they_accept(TEXT, &signature, "ada", RUNBOOK, "20261120120000Z");
        let ours = verifier.verify(claim(&signature)).await;
        assert_eq!(ours.is_ok(), theirs, "{line}: {ours:?}");
        accepted += usize::from(theirs);
    }
    assert!(accepted > 10 && accepted < lines.len() - 10, "{accepted} were accepted");
}

#[tokio::test]
async fn a_key_with_a_passphrase_signs_through_the_agent_and_is_never_asked_for_here() {
    let Some(place) = Place::new() else { return };
    let ada = place.key("ada", "ed25519", "256", "correct horse");
    place.allow(&format!("ada {ada}\n"));
    let settings = Settings { key: Some(place.path("ada")), ..place.settings() };
    let refused = ssh::new(settings.clone()).sign(RUNBOOK, TEXT.into()).await;
    assert_eq!(refused, Err(SignError::Passphrase { file: place.shown("ada") }));

    let agent = Agent::start(&place);
    let settings = Settings { agent: Some(agent.socket.clone()), ..settings };
    let refused = ssh::new(settings.clone()).sign(RUNBOOK, TEXT.into()).await;
    assert_eq!(refused, Err(SignError::Passphrase { file: place.shown("ada") }), "the agent does not hold it yet");
    let askpass = place.path("askpass");
    std::fs::write(&askpass, "#!/bin/sh\necho correct horse\n").unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    agent.add(&place.path("ada"), Some(&askpass));
    let ours = ssh::new(settings).sign(RUNBOOK, TEXT.into()).await.unwrap();
    assert!(place.they_accept(TEXT, &ours.armored, "ada", RUNBOOK, "20261120"));
}

const RUNBOOK_FILE: &str = r#"gonogo: 1
kind: runbook
id: look
version: "1"
title: Look once
target: { platform: prod-eu, service: checkout, environment: production }
steps:
  - id: seen
    title: Somebody looked
    manual: { mode: read-do, items: [ { challenge: "What do you see", answer: { type: text } } ] }
"#;

/// The program itself, on a configuration that wants signed runbooks in production.
struct Program<'a>(&'a Place);

impl<'a> Program<'a> {
    fn new(place: &'a Place, more: &str) -> Self {
        std::fs::write(place.file(), RUNBOOK_FILE).unwrap();
        let config = format!(
            r#"version = 1
[identity]
as = "ada"
key = "ada"
{more}
[[platform]]
name = "prod-eu"
kind = "kubernetes"
environment = "production"
[[metrics]]
name = "prom"
kind = "prometheus"
url = "http://127.0.0.1:9"
[[service]]
name = "checkout"
platform = "prod-eu"
namespace = "shop"
metrics = "prom"
canary = {{ deployment = "checkout" }}
requests = 'sum(increase(http_requests_total[${{window}}]))'
[environment.production]
require_signed = true
"#
        );
        std::fs::write(place.path("config.toml"), config).unwrap();
        Self(place)
    }

    fn gonogo(&self, args: &[&str]) -> (Option<i32>, String) {
        let place = self.0;
        let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
        command.args(args).arg("--config").arg(place.path("config.toml")).current_dir(place.dir.path());
        command.env_clear().env("HOME", place.path("home")).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        let done = command.stdin(Stdio::null()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    }

    /// `run` on something that is no terminal: 2 when nothing else stands in the way.
    fn run(&self) -> (Option<i32>, String) {
        self.gonogo(&["run", "x.yaml"])
    }
}

#[test]
fn a_runbook_runs_where_its_signature_counts_and_fails_closed_everywhere_else() {
    let Some(place) = Place::new() else { return };
    let ada = place.key("ada", "ed25519", "256", "");
    let ben = place.key("ben", "ed25519", "256", "");
    let program = Program::new(&place, "allowed_signers = \"allowed_signers\"");
    place.allow(&format!("ada {ada}\n"));
    let refused = |part: &str, advice: &str| {
        let (code, said) = program.run();
        assert_eq!(code, Some(9), "{said}");
        assert!(
            said.contains("gonogo: refused: x.yaml: ") && said.contains(part) && said.contains(advice),
            "{part:?}, {advice:?} in {said}"
        );
        assert!(said.contains("checkout in production runs signed runbooks only"), "{said}");
        // Lint tells the same, and still lets pass what is well written.
        let (code, said) = program.gonogo(&["lint", "x.yaml"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(part) && said.contains(advice), "{part:?}, {advice:?} in {said}");
    };
    refused("it is not signed", "gonogo sign x.yaml");

    let (code, said) = program.gonogo(&["sign", "x.yaml"]);
    assert_eq!((code, said.contains("x.yaml.sig: signed by ada (SHA256:")), (Some(0), true), "{said}");
    let passes = || {
        let (code, said) = program.run();
        assert_eq!((code, said.contains("the cockpit needs a terminal")), (Some(2), true), "{said}");
        let (code, said) = program.gonogo(&["lint", "x.yaml"]);
        assert_eq!((code, said.contains("x.yaml: signed by ada (SHA256:")), (Some(0), true), "{said}");
    };
    passes();
    let by_gonogo = std::fs::read_to_string(place.path("x.yaml.sig")).unwrap();
    assert!(place.they_accept(RUNBOOK_FILE, &by_gonogo, "ada", RUNBOOK, "20261120"));
    let by_keygen = place.theirs("ada", RUNBOOK);
    passes();

    std::fs::write(place.file(), RUNBOOK_FILE.replace("Look once", "Look twice")).unwrap();
    refused("it is not what was signed by ada (SHA256:", "read what changed, then have it signed again");
    std::fs::write(place.file(), RUNBOOK_FILE).unwrap();
    place.theirs("ben", RUNBOOK);
    refused("it is signed by a key that belongs to nobody", "add the key there once you know whose it is");
    place.theirs("ada", "file");
    refused("its signature was made for \"file\"", "have it signed again");
    std::fs::write(place.path("x.yaml.sig"), &by_keygen[..100]).unwrap();
    refused("its signature is damaged", "have it signed again");
    std::fs::write(place.path("x.yaml.sig"), &by_keygen).unwrap();
    place.allow(&format!("ada valid-before=\"20200101Z\" {ada}\nben {ben}\n"));
    refused("was accepted until 2020-01-01T00:00:00Z", "have it signed by a key that");
    std::fs::remove_file(place.path("allowed_signers")).unwrap();
    refused("cannot be read: No such file", "make it readable");
    // Its owner forgot to say whose keys count.
    Program::new(&place, "");
    let (code, said) = program.run();
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("nothing says whose keys count") && said.contains("allowed_signers under [identity]"), "{said}");
}

#[test]
fn signing_tells_what_is_missing_and_writes_nothing_then() {
    let Some(place) = Place::new() else { return };
    let program = Program::new(&place, "");
    let (code, said) = program.gonogo(&["sign", "x.yaml"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("x.yaml is not signed: the key ") && said.contains("No such file"), "{said}");
    place.key("ada", "ed25519", "256", "secret");
    let (code, said) = program.gonogo(&["sign", "x.yaml"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("protected by a passphrase") && said.contains("ssh-add "), "{said}");
    let (code, said) = program.gonogo(&["sign", "x.yaml", "--read-only"]);
    assert_eq!((code, said.contains("nothing is signed")), (Some(9), true), "{said}");
    assert!(!place.path("x.yaml.sig").exists());

    let ben = place.key("ben", "rsa", "3072", "");
    let (code, said) = program.gonogo(&["sign", "x.yaml", "--key", &place.shown("ben"), "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let told: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(told["schema"], "gonogo.sign/v1");
    assert_eq!(told["signed"][0]["standing"]["state"], "unchecked");
    place.allow(&format!("ben {ben}\n"));
    let signature = std::fs::read_to_string(place.path("x.yaml.sig")).unwrap();
    assert!(place.they_accept(RUNBOOK_FILE, &signature, "ben", RUNBOOK, "20261120"));
    let left: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok()).collect();
    assert!(left.iter().all(|name| !name.contains(".sig.")), "{left:?}");
}
