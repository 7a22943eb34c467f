//! The ssh-agent: which keys it holds, and signatures by them (draft-ietf-sshm-ssh-agent).

use ssh_key::public::KeyData;
use ssh_key::{PublicKey, Signature};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// SHA-512 for rsa keys; other keys do not mind.
const RSA_SHA2_512: u32 = 4;

/// Longest answer that is read, in bytes: OpenSSH's own limit.
const LARGEST_ANSWER: u32 = 256 * 1024;
/// An agent that lists its keys answers at once.
const LISTING: Duration = Duration::from_secs(5);
/// A signature may wait for somebody who touches a security key or confirms.
const SIGNING: Duration = Duration::from_secs(60);

/// The keys of the agent at this socket. Those of a kind that is not known here are left out.
pub(super) fn keys(socket: &Path) -> Result<Vec<KeyData>, String> {
    let answer = ask(socket, &[REQUEST_IDENTITIES], LISTING)?;
    let Some((&IDENTITIES, mut rest)) = answer.split_first() else {
        return Err("it does not list its keys; is it locked?".into());
    };
    let broken = || "its list of keys is broken off".to_owned();
    let count = u32::from_be_bytes(*take(&mut rest).ok_or_else(broken)?);
    let mut keys = Vec::new();
    for _ in 0..count {
        let blob = string(&mut rest).ok_or_else(broken)?;
        string(&mut rest).ok_or_else(broken)?;
        if let Ok(key) = PublicKey::from_bytes(blob) {
            keys.push(key.key_data().clone());
        }
    }
    Ok(keys)
}

/// A signature of `message` by one of its keys.
pub(super) fn sign(socket: &Path, key: &KeyData, message: &[u8]) -> Result<Signature, String> {
    let blob = PublicKey::from(key.clone()).to_bytes().map_err(|e| e.to_string())?;
    let mut request = vec![SIGN_REQUEST];
    for part in [&blob[..], message] {
        request.extend(u32::try_from(part.len()).map_err(|_| "the message is too long")?.to_be_bytes());
        request.extend(part);
    }
    request.extend(RSA_SHA2_512.to_be_bytes());
    let answer = ask(socket, &request, SIGNING)?;
    let mut rest = match answer.split_first() {
        Some((&SIGN_RESPONSE, rest)) => rest,
        Some((&FAILURE, _)) => return Err("it refused to sign: the key was removed, or nobody confirmed".into()),
        _ => return Err("its answer is not understood".into()),
    };
    let signature = string(&mut rest).ok_or("its answer is broken off")?;
    Signature::try_from(signature).map_err(|e| format!("its signature is not understood: {e}"))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(taken)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(*take(rest)?)).ok()?;
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// One question and its answer.
fn ask(socket: &Path, request: &[u8], patience: Duration) -> Result<Vec<u8>, String> {
    let mut stream = connect(socket, patience)?;
    converse(&mut stream, request).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => format!("it did not answer within {} s", patience.as_secs()),
        _ => e.to_string(),
    })
}

fn converse(stream: &mut (impl Read + Write), request: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), request].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length == 0 || length > LARGEST_ANSWER {
        return Err(std::io::Error::other(format!("its answer has {length} bytes, at most {LARGEST_ANSWER} are read")));
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(unix)]
fn connect(socket: &Path, patience: Duration) -> Result<std::os::unix::net::UnixStream, String> {
    let stream = std::os::unix::net::UnixStream::connect(socket).map_err(|e| format!("nothing listens at {}: {e}", socket.display()))?;
    let set = stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(LISTING)));
    set.map_err(|e| e.to_string())?;
    Ok(stream)
}

#[cfg(not(unix))]
fn connect(socket: &Path, _patience: Duration) -> Result<std::fs::File, String> {
    Err(format!("it is not asked on this system ({}); name a key file without a passphrase", socket.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// Answers with fixed bytes, whatever is asked.
    struct Parrot(Cursor<Vec<u8>>);

    impl Read for Parrot {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Parrot {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_are_bounded_and_never_trusted_in_their_lengths() {
        let answered = |bytes: &[u8]| converse(&mut Parrot(Cursor::new(bytes.to_vec())), &[11]).map_err(|e| e.to_string());
        assert_eq!(answered(&[0, 0, 0, 2, 12, 7]), Ok(vec![12, 7]));
        assert_eq!(answered(&[0xff; 8]).unwrap_err(), "its answer has 4294967295 bytes, at most 262144 are read");
        assert_eq!(answered(&[0, 0, 0, 0]).unwrap_err(), "its answer has 0 bytes, at most 262144 are read");
        assert!(answered(&[0, 0, 0, 9, 1]).is_err());
        let mut rest = &[0, 0, 0, 9, 1][..];
        assert_eq!(string(&mut rest), None);
    }
}
