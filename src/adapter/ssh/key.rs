//! The operator's key: named, or the agent's, or the usual file.

use super::{Settings, agent, arithmetic, read};
use crate::port::SignError;
use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::public::KeyData;
use ssh_key::{PrivateKey, PublicKey, Signature};
use std::path::{Path, PathBuf};

/// A key that can sign.
pub(super) enum Key {
    /// Read from a file.
    File { path: PathBuf, key: Box<PrivateKey> },
    /// In the agent.
    Agent { socket: PathBuf, key: KeyData },
}

impl Key {
    pub(super) fn public(&self) -> &KeyData {
        match self {
            Self::File { key, .. } => key.public_key().key_data(),
            Self::Agent { key, .. } => key,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        match self {
            Self::File { path, key } => {
                arithmetic::sign(key.key_data(), message).map_err(|why| SignError::Key { file: path.display().to_string(), why })
            }
            Self::Agent { socket, key } => agent::sign(socket, key, message).map_err(|why| SignError::Agent { why }),
        }
    }
}

/// The key to sign with. Of the agent's keys one that is `listed` goes first.
pub(super) fn choose(settings: &Settings, listed: impl Fn(&KeyData) -> bool) -> Result<Key, SignError> {
    if let Some(path) = &settings.key {
        return named(path, settings.agent.as_deref());
    }
    let mut tried = Vec::new();
    match &settings.agent {
        None => tried.push("no ssh-agent runs: SSH_AUTH_SOCK is not set".to_owned()),
        Some(socket) => match agent::keys(socket) {
            Ok(keys) => {
                let usable: Vec<KeyData> = keys.into_iter().filter(arithmetic::knows).collect();
                let first = usable.iter().find(|key| listed(key)).or(usable.first());
                if let Some(key) = first {
                    return Ok(Key::Agent { socket: socket.clone(), key: key.clone() });
                }
                tried.push("the ssh-agent has no key that can be used".to_owned());
            }
            Err(why) => tried.push(format!("the ssh-agent: {why}")),
        },
    }
    match &settings.usual_key {
        Some(path) if path.exists() => named(path, None),
        Some(path) => {
            tried.push(format!("{} does not exist", path.display()));
            Err(SignError::NoKey { tried: tried.join("; ") })
        }
        None => Err(SignError::NoKey { tried: tried.join("; ") }),
    }
}

/// The key of a file: a private one, or a public one whose private half is in the agent or in the file beside it.
fn named(path: &Path, socket: Option<&Path>) -> Result<Key, SignError> {
    let file = path.display().to_string();
    let wrong = |why: String| SignError::Key { file: file.clone(), why };
    let text = SecretString::from(read(path).map_err(wrong)?);
    if let Ok(public) = PublicKey::from_openssh(text.expose_secret().trim()) {
        let in_agent = in_agent(socket, public.key_data());
        let private = path.with_extension("");
        return match in_agent {
            Ok(key) => Ok(key),
            Err(_) if path.extension().is_some_and(|e| e == "pub") && private.exists() => named(&private, socket),
            Err(why) => Err(wrong(format!("it is a public key, and {why}: load its private half with ssh-add"))),
        };
    }
    if !text.expose_secret().contains("BEGIN OPENSSH PRIVATE KEY") {
        let why = if text.expose_secret().contains("PRIVATE KEY-----") {
            format!("it is not in OpenSSH's own format: convert it with ssh-keygen -p -f {file}")
        } else {
            "it is no key".to_owned()
        };
        return Err(wrong(why));
    }
    let key = PrivateKey::from_openssh(text.expose_secret()).map_err(|e| wrong(e.to_string()))?;
    if key.is_encrypted() {
        return in_agent(socket, key.public_key().key_data()).map_err(|_| SignError::Passphrase { file });
    }
    private_to_its_owner(path).map_err(wrong)?;
    Ok(Key::File { path: path.to_owned(), key: Box::new(key) })
}

fn in_agent(socket: Option<&Path>, key: &KeyData) -> Result<Key, String> {
    let socket = socket.ok_or("no ssh-agent runs")?;
    if agent::keys(socket).map_err(|why| format!("the ssh-agent: {why}"))?.contains(key) {
        Ok(Key::Agent { socket: socket.to_owned(), key: key.clone() })
    } else {
        Err("the ssh-agent does not hold it".into())
    }
}

/// As OpenSSH: a key that others can read is nobody's own.
#[cfg(unix)]
fn private_to_its_owner(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_err(|e| e.to_string())?.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others > 0 {
        return Err(format!("others can read it (mode {mode:03o}): chmod 600 {}", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_to_its_owner(_path: &Path) -> Result<(), String> {
    Ok(())
}
