//! Signing with the operator's own key, and telling who signed.

use crate::domain::decision::Decision;
use crate::domain::signature::{ANSWER, Signer, Unproven};
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// A signature that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its text form, as it stands in a `.sig` file.
    pub armored: String,
    /// Fingerprint of the key: `SHA256:…`.
    pub key: String,
}

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No key anywhere.
    #[error("there is no key to sign with ({tried}): load one with ssh-add, or name one with `key` of [identity]")]
    NoKey {
        /// Where one was looked for.
        tried: String,
    },
    /// The key's file needs a passphrase, and the agent does not hold the key.
    #[error("{file} is protected by a passphrase, which is never asked for here: load the key with ssh-add {file}")]
    Passphrase {
        /// The file.
        file: String,
    },
    /// The key cannot be used.
    #[error("the key {file}: {why}")]
    Key {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// The agent did not do it.
    #[error("the ssh-agent: {why}")]
    Agent {
        /// Why.
        why: String,
    },
    /// There is nothing that could be signed.
    #[error("nothing to sign: {why}")]
    Message {
        /// Why.
        why: String,
    },
}

/// A signature that says something, to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What it is for.
    pub namespace: String,
    /// What is said to be signed.
    pub message: Vec<u8>,
    /// The signature in its text form.
    pub signature: String,
    /// Who is said to have signed; anybody who is allowed to, when absent.
    pub principal: Option<String>,
    /// The moment at which the key has to be accepted: now for a file, the entry's store time for a journaled answer.
    pub at: DateTime<Utc>,
}

/// Makes and checks signatures in OpenSSH's format.
pub trait Signatures: Send + Sync {
    /// Signs with the operator's key. May take as long as a touch of a security key takes.
    fn sign(&self, namespace: &str, message: Vec<u8>) -> BoxFuture<'_, Result<Signed, SignError>>;

    /// Who made a signature. The list of allowed signers is read anew each time: who was removed does not count any more.
    fn verify(&self, claim: Claim) -> BoxFuture<'_, Result<Signer, Unproven>>;

    /// Signs a decision. Gives what belongs beside it into the journal.
    fn sign_decision(&self, decision: &Decision) -> BoxFuture<'_, Result<Signed, SignError>> {
        match decision.message() {
            Ok(message) => self.sign(ANSWER, message),
            Err(e) => futures::future::ready(Err(SignError::Message { why: e.to_string() })).boxed(),
        }
    }

    /// Whether a journaled decision was signed by the person in whose name it stands.
    ///
    /// * `who`: the actor's id.
    /// * `at`: the entry's store time.
    fn verify_decision(
        &self,
        decision: &Decision,
        signature: &str,
        who: &str,
        at: DateTime<Utc>,
    ) -> BoxFuture<'_, Result<Signer, Unproven>> {
        match decision.message() {
            Ok(message) => {
                let (namespace, signature, principal) = (ANSWER.to_owned(), signature.to_owned(), Some(who.to_owned()));
                self.verify(Claim { namespace, message, signature, principal, at })
            }
            Err(e) => futures::future::ready(Err(Unproven::Damaged { why: e.to_string() })).boxed(),
        }
    }
}
