//! Signatures of runbook files: `gonogo sign`, and how a file stands.

use super::args::{Global, Sign};
use super::exit::{Exit, Failed, Outcome};
use super::wire;
use crate::config::Config;
use crate::domain::signature::{LARGEST_SIGNATURE, RUNBOOK, Signer, Standing, Unproven};
use crate::domain::{Clock as _, ServiceSpec, Strength};
use crate::port::{Claim, Signatures};
use crate::runbook::{Runbook, StepKind};
use crate::runtime::clock::SystemClock;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What stands beside a signed file, as `ssh-keygen -Y sign` names it.
fn signature_path(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(".sig");
    path.into()
}

/// Who signed a file whose content is `text`. That very text is what has to be run: the file may change at any moment.
pub(super) async fn check(signatures: &dyn Signatures, file: &Path, text: &str) -> Result<Signer, Unproven> {
    let path = signature_path(file);
    let unreadable = |e: std::io::Error| Unproven::Unreadable { what: path.display().to_string(), why: e.to_string() };
    let signature = match std::fs::File::open(&path) {
        Ok(found) => {
            let mut bytes = Vec::new();
            found.take(LARGEST_SIGNATURE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            String::from_utf8(bytes).map_err(|_| Unproven::Damaged { why: "it is no text".into() })?
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Unproven::Unsigned),
        Err(e) => return Err(unreadable(e)),
    };
    // Times in the list of signers are those of the world, also where the rest is simulated.
    let at = SystemClock::new().now().wall;
    let (namespace, message) = (RUNBOOK.to_owned(), text.as_bytes().to_vec());
    signatures.verify(Claim { namespace, message, signature, principal: None, at }).await
}

/// Answers at gates are not signed yet: where only signed ones would count, nobody could give one, and taking others would be a lie.
pub(super) fn answerable(spec: &ServiceSpec, runbook: &Runbook) -> Result<(), Failed> {
    let gate = runbook.steps.iter().find(|step| matches!(step.kind, StepKind::Approve(_) | StepKind::Poll(_)));
    match gate.filter(|_| spec.policy.need_identity > Strength::Asserted) {
        None => Ok(()),
        Some(gate) => Err(Failed::new(
            Exit::Refused,
            format!(
                "refused: at step {} people answer, {} in {} counts signed answers only (need_identity), and answers cannot be signed yet",
                gate.id, spec.name, spec.environment
            ),
        )),
    }
}

/// How a file stands, for a service that may ask for signed runbooks only.
pub(super) async fn standing(config: &Config, spec: &ServiceSpec, file: &Path, text: &str) -> (Standing, Option<Failed>) {
    let found = check(&*wire::signatures(Some(config), None), file, text).await;
    let refused = found.as_ref().err().filter(|_| spec.policy.require_signed).map(|why| {
        let (file, environment) = (file.display(), &spec.environment);
        let advice = advice(why, &file.to_string(), Some(config));
        Failed::new(Exit::Refused, format!("refused: {file}: {why}; {} in {environment} runs signed runbooks only: {advice}", spec.name))
    });
    (Standing::of(&found), refused)
}

/// What to do about a file whose signature does not count.
pub(super) fn advice(why: &Unproven, file: &str, config: Option<&Config>) -> String {
    let list = config.and_then(|config| config.identity.allowed_signers.as_ref());
    let list = list.map_or_else(|| "the list of allowed signers".to_owned(), |path| path.display().to_string());
    match why {
        Unproven::Unsigned => format!("have it signed: gonogo sign {file}"),
        Unproven::NobodyListed { .. } => "name the list of keys that count: allowed_signers under [identity]".into(),
        Unproven::Unreadable { what, .. } => format!("make it readable: {what}"),
        Unproven::Damaged { .. } | Unproven::OtherPurpose { .. } => format!("have it signed again: gonogo sign {file}"),
        Unproven::Changed { .. } => format!("read what changed, then have it signed again: gonogo sign {file}"),
        Unproven::UnknownKey { .. } | Unproven::OtherPerson { .. } => {
            format!("have it signed by somebody of {list}, or add the key there once you know whose it is")
        }
        Unproven::NotForThis { namespace, .. } => format!("have it signed by another key, or add {namespace} to its namespaces in {list}"),
        Unproven::Expired { .. } | Unproven::NotYet { .. } => format!("have it signed by a key that {list} accepts now"),
        Unproven::Unsupported { .. } => "have it signed by a key of another kind".into(),
    }
}

/// How files stand, for `gonogo lint`. Says nothing of unsigned files where nobody asks for signatures.
pub(super) async fn lines(config: Option<&Config>, files: &[(PathBuf, String)]) -> Vec<(PathBuf, Standing, Option<String>)> {
    let asked = config.is_some_and(|c| c.identity.allowed_signers.is_some() || c.services.iter().any(|s| s.policy.require_signed));
    let signatures = wire::signatures(config, None);
    let mut lines = Vec::new();
    for (file, text) in files {
        let found = check(&*signatures, file, text).await;
        if found == Err(Unproven::Unsigned) && !asked {
            continue;
        }
        let advice = found.as_ref().err().map(|why| advice(why, &file.display().to_string(), config));
        lines.push((file.clone(), Standing::of(&found), advice));
    }
    lines
}

/// `gonogo sign FILE...`
pub(super) async fn sign(global: &Global, args: &Sign) -> Outcome {
    if global.read_only || global.spectator {
        return Err(Failed::new(Exit::Refused, "refused: with --read-only and --spectator nothing is signed"));
    }
    let config = wire::config_if_any(global)?;
    let signatures = wire::signatures(config.as_ref(), args.key.clone());
    let mut signed = Vec::new();
    for file in &args.files {
        let text = super::runbook::text(file)?;
        let made = signatures.sign(RUNBOOK, text.clone().into_bytes()).await;
        let made = made.map_err(|e| Failed::new(Exit::Credentials, format!("{} is not signed: {e}", file.display())))?;
        let path = signature_path(file);
        let unwritten = |e: std::io::Error| Failed::new(Exit::Internal, format!("{} is not written: {e}", path.display()));
        replace(&path, &made.armored).map_err(unwritten)?;
        let found = check(&*signatures, file, &text).await;
        if !global.json {
            super::print(&format!("{}: {}", path.display(), Standing::of(&found)));
            if let Err(why) = &found {
                super::say(&format!("nobody will accept it yet: {}", advice(why, &file.display().to_string(), config.as_ref())));
            }
        }
        signed.push(serde_json::json!({ "file": file, "signature": path, "key": made.key, "standing": Standing::of(&found) }));
    }
    if global.json {
        super::print(&serde_json::json!({ "schema": "gonogo.sign/v1", "signed": signed }).to_string());
    }
    Ok(Exit::Done)
}

/// A reader sees the old signature or the new one, never half of one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = std::fs::File::create(&beside).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    let done = written.and_then(|()| std::fs::rename(&beside, path));
    if done.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    done
}
