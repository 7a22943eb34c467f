//! SSH keys: signatures in OpenSSH's format (`ssh-keygen -Y`), made with the operator's own key or by their ssh-agent, and checked
//! against OpenSSH's list of allowed signers.
//!
//! The formats are read and written by `ssh-key`; the arithmetic is *ring*'s, as it is for TLS.

mod agent;
mod allowed;
mod arithmetic;
mod key;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use crate::domain::signature::{LARGEST_SIGNATURE, Signer, Unproven};
use crate::domain::text::clean_bounded;
use crate::port::{Claim, SignError, Signatures, Signed};
use allowed::{Allowed, Rejected};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, LineEnding, SshSig};
use std::path::{Path, PathBuf};

/// Largest list of allowed signers and largest key file that are read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Where keys and signers are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The list of allowed signers.
    pub allowed_signers: Option<PathBuf>,
    /// The key to sign with: a private key, or a public one whose private half is in the agent.
    pub key: Option<PathBuf>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The key's file where none is named and the agent has none.
    pub usual_key: Option<PathBuf>,
}

/// Signs and checks.
#[derive(Debug, Clone)]
pub struct Ssh {
    settings: Settings,
    /// In which times without a zone are meant.
    zone: TimeZone,
}

/// Nothing is read before the first use.
#[must_use]
pub fn new(settings: Settings) -> Ssh {
    Ssh { settings, zone: TimeZone::system() }
}

impl Signatures for Ssh {
    fn sign(&self, namespace: &str, message: Vec<u8>) -> BoxFuture<'_, Result<Signed, SignError>> {
        let (ssh, namespace) = (self.clone(), namespace.to_owned());
        let task = tokio::task::spawn_blocking(move || ssh.sign_now(&namespace, &message));
        task.map(|done| done.unwrap_or_else(|e| Err(SignError::Agent { why: format!("signing broke off: {e}") }))).boxed()
    }

    fn verify(&self, claim: Claim) -> BoxFuture<'_, Result<Signer, Unproven>> {
        let ssh = self.clone();
        let task = tokio::task::spawn_blocking(move || ssh.verify_now(&claim));
        let broken = |e| Unproven::Unreadable { what: "the signature".into(), why: format!("checking broke off: {e}") };
        task.map(move |done| done.unwrap_or_else(|e| Err(broken(e)))).boxed()
    }
}

impl Ssh {
    fn sign_now(&self, namespace: &str, message: &[u8]) -> Result<Signed, SignError> {
        let nothing = |e: ssh_key::Error| SignError::Message { why: e.to_string() };
        // A list that cannot be read is said when a signature is checked; here it only helps to choose.
        let allowed = self.allowed().ok().flatten().unwrap_or_default();
        let key = key::choose(&self.settings, |key| allowed.lists(key))?;
        let data = SshSig::signed_data(namespace, HashAlg::Sha512, message).map_err(nothing)?;
        let signature = key.sign(&data)?;
        let public = key.public();
        let fingerprint = fingerprint(public);
        // A signature that nobody will accept is not handed out.
        arithmetic::verify(public, &data, &signature)
            .map_err(|_| SignError::Agent { why: format!("what it gave for {fingerprint} is no signature by that key") })?;
        let signature = SshSig::new(public.clone(), namespace, HashAlg::Sha512, signature).map_err(nothing)?;
        Ok(Signed { armored: signature.to_pem(LineEnding::LF).map_err(nothing)?, key: fingerprint })
    }

    fn verify_now(&self, claim: &Claim) -> Result<Signer, Unproven> {
        if claim.signature.len() > LARGEST_SIGNATURE {
            return Err(Unproven::Damaged { why: format!("it has {} bytes, at most {LARGEST_SIGNATURE} are read", claim.signature.len()) });
        }
        let damaged = |e: ssh_key::Error| Unproven::Damaged { why: e.to_string() };
        let signature = SshSig::from_pem(claim.signature.trim_end()).map_err(damaged)?;
        // Neither is covered by the signature itself.
        if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
            return Err(Unproven::Damaged { why: format!("it is of version {}, not {}", signature.version(), SshSig::VERSION) });
        }
        // Nor are the lengths of its parts. (Of this one kind `ssh-key` 0.6 reads what it cannot write.)
        if !matches!(signature.public_key(), KeyData::SkEcdsaSha2NistP256(_)) {
            let written = signature.to_pem(LineEnding::LF).map_err(damaged)?;
            if written.trim_end() != claim.signature.trim_end().replace("\r\n", "\n") {
                return Err(Unproven::Damaged { why: "its parts do not have the lengths that it says".into() });
            }
        }
        if signature.namespace() != claim.namespace {
            let (found, wanted) = (clean_bounded(signature.namespace(), 64), claim.namespace.clone());
            return Err(Unproven::OtherPurpose { found, wanted });
        }
        let allowed = self.allowed()?;
        let (public, key) = (signature.public_key(), fingerprint(signature.public_key()));
        let data = SshSig::signed_data(&claim.namespace, signature.hash_alg(), &claim.message).map_err(damaged)?;
        arithmetic::verify(public, &data, signature.signature()).map_err(|bad| match bad {
            arithmetic::Bad::Kind => {
                Unproven::Unsupported { key: key.clone(), kind: clean_bounded(&kind(public, signature.signature()), 64) }
            }
            arithmetic::Bad::Signature => {
                Unproven::Changed { key: key.clone(), who: allowed.as_ref().and_then(|allowed| allowed.owner(public)) }
            }
        })?;
        let Some(allowed) = allowed else { return Err(Unproven::NobodyListed { key }) };
        match allowed.accept(public, claim) {
            Ok(who) => Ok(Signer { who, key }),
            Err(Rejected::Unknown) => Err(Unproven::UnknownKey { key, passed_over: allowed.passed_over() }),
            Err(Rejected::NotForThis { who }) => {
                Err(Unproven::NotForThis { signer: Signer { who, key }, namespace: claim.namespace.clone() })
            }
            Err(Rejected::Expired { who, until }) => Err(Unproven::Expired { signer: Signer { who, key }, until }),
            Err(Rejected::NotYet { who, from }) => Err(Unproven::NotYet { signer: Signer { who, key }, from }),
            Err(Rejected::OtherPerson { who }) => {
                let wanted = claim.principal.clone().unwrap_or_default();
                Err(Unproven::OtherPerson { signer: Signer { who, key }, wanted })
            }
        }
    }

    /// The list of allowed signers; `None` where none is configured.
    fn allowed(&self) -> Result<Option<Allowed>, Unproven> {
        let Some(path) = &self.settings.allowed_signers else { return Ok(None) };
        let unreadable = |why| Unproven::Unreadable { what: format!("the list of allowed signers {}", path.display()), why };
        let text = read(path).map_err(unreadable)?;
        Ok(Some(allowed::parse(&text, &self.zone)))
    }

    /// Lines of the list of allowed signers that could not be used, for people.
    pub fn passed_over(&self) -> Result<Option<String>, Unproven> {
        Ok(self.allowed()?.and_then(|allowed| allowed.passed_over()))
    }
}

/// A bounded text file.
fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > LARGEST_FILE {
        return Err(format!("it has {size} bytes, at most {LARGEST_FILE} are read"));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// What cannot be checked: the kind of key, or of signature where the key alone would be fine.
fn kind(key: &KeyData, signature: &ssh_key::Signature) -> String {
    match key {
        KeyData::Rsa(_) => signature.algorithm().as_str().to_owned(),
        _ => key.algorithm().as_str().to_owned(),
    }
}
