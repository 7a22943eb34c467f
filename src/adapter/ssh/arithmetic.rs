//! Making and checking the signatures themselves, with *ring*.

use ring::rand::SystemRandom;
use ring::signature::{self as alg, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, HashAlg, Mpint, Signature};

/// Why a signature is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// This kind of key or signature cannot be checked.
    Kind,
    /// It is not this key's signature of this message.
    Signature,
}

/// Flags and counter that a security key adds.
const TOUCHES: usize = 5;

/// Whether signatures of this key can be made and checked.
pub(super) fn knows(key: &KeyData) -> bool {
    matches!(
        key,
        KeyData::Ed25519(_)
            | KeyData::SkEd25519(_)
            | KeyData::Rsa(_)
            | KeyData::Ecdsa(EcdsaPublicKey::NistP256(_) | EcdsaPublicKey::NistP384(_))
    )
}

/// Checks a signature of `message` by `key`.
pub(super) fn verify(key: &KeyData, message: &[u8], signature: &Signature) -> Result<(), Bad> {
    let bytes = signature.as_bytes();
    match (key, signature.algorithm()) {
        (KeyData::Ed25519(key), Algorithm::Ed25519) => check(&alg::ED25519, key.as_ref(), message, bytes),
        (KeyData::Ecdsa(EcdsaPublicKey::NistP521(_)), _) => Err(Bad::Kind),
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if curve == key.curve() => ecdsa(key, message, bytes),
        (KeyData::Rsa(key), Algorithm::Rsa { hash }) => {
            let parameters = match hash {
                Some(HashAlg::Sha256) => &alg::RSA_PKCS1_2048_8192_SHA256,
                Some(HashAlg::Sha512) => &alg::RSA_PKCS1_2048_8192_SHA512,
                _ => return Err(Bad::Kind),
            };
            let n = key.n.as_positive_bytes().ok_or(Bad::Signature)?;
            let e = key.e.as_positive_bytes().ok_or(Bad::Signature)?;
            // Leading zeros may have been left out.
            let missing = n.len().checked_sub(bytes.len()).ok_or(Bad::Signature)?;
            let padded = [&vec![0; missing], bytes].concat();
            RsaPublicKeyComponents { n, e }.verify(parameters, message, &padded).map_err(|_| Bad::Signature)
        }
        (KeyData::SkEd25519(key), Algorithm::SkEd25519) => {
            let (bytes, touches) = bytes.split_at(bytes.len().checked_sub(TOUCHES).ok_or(Bad::Signature)?);
            let message = touched(key.application(), touches, message);
            check(&alg::ED25519, key.public_key().as_ref(), &message, bytes)
        }
        (KeyData::SkEcdsaSha2NistP256(key), Algorithm::SkEcdsaSha2NistP256) => {
            let (bytes, touches) = bytes.split_at(bytes.len().checked_sub(TOUCHES).ok_or(Bad::Signature)?);
            let message = touched(key.application(), touches, message);
            ecdsa(&EcdsaPublicKey::NistP256(*key.ec_point()), &message, bytes)
        }
        (KeyData::Dsa(_) | KeyData::Other(_), _) => Err(Bad::Kind),
        // A signature of one kind by a key of another.
        _ => Err(Bad::Signature),
    }
}

fn check(algorithm: &'static dyn alg::VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Bad> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| Bad::Signature)
}

/// What a security key signs in place of the message.
fn touched(application: &str, touches: &[u8], message: &[u8]) -> Vec<u8> {
    [&Sha256::digest(application)[..], touches, &Sha256::digest(message)[..]].concat()
}

fn ecdsa(key: &EcdsaPublicKey, message: &[u8], signature: &[u8]) -> Result<(), Bad> {
    let (algorithm, size): (&'static dyn alg::VerificationAlgorithm, usize) = match key {
        EcdsaPublicKey::NistP256(_) => (&alg::ECDSA_P256_SHA256_FIXED, 32),
        EcdsaPublicKey::NistP384(_) => (&alg::ECDSA_P384_SHA384_FIXED, 48),
        EcdsaPublicKey::NistP521(_) => return Err(Bad::Kind),
    };
    let (r, rest) = number(signature, size).ok_or(Bad::Signature)?;
    let (s, rest) = number(rest, size).ok_or(Bad::Signature)?;
    if !rest.is_empty() {
        return Err(Bad::Signature);
    }
    check(algorithm, key.as_sec1_bytes(), message, &[r, s].concat())
}

/// A number of the wire format, as so many bytes; and what follows it.
fn number(wire: &[u8], size: usize) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = wire.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (number, rest) = rest.split_at_checked(length)?;
    let number = Mpint::from_bytes(number).ok()?;
    let digits = number.as_positive_bytes()?;
    let missing = size.checked_sub(digits.len())?;
    Some(([&vec![0; missing], digits].concat(), rest))
}

/// Signs with a private key. Errors never contain any of it.
pub(super) fn sign(key: &KeypairData, message: &[u8]) -> Result<Signature, String> {
    let broken = |e: &dyn std::fmt::Display| format!("it cannot be used: {e}");
    match key {
        KeypairData::Ed25519(pair) => {
            let seed = Zeroizing::new(pair.private.to_bytes());
            let pair = Ed25519KeyPair::from_seed_and_public_key(&*seed, pair.public.as_ref()).map_err(|e| broken(&e))?;
            Signature::new(Algorithm::Ed25519, pair.sign(message).as_ref()).map_err(|e| broken(&e))
        }
        KeypairData::Ecdsa(pair) => sign_ecdsa(pair, message),
        KeypairData::Rsa(pair) => sign_rsa(pair, message),
        KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) => {
            Err("its private half is in a security key: load it with ssh-add, then the agent signs with it".into())
        }
        _ => Err("keys of this kind are not used; ed25519, ecdsa nistp256 and nistp384, and rsa are".into()),
    }
}

fn sign_ecdsa(pair: &EcdsaKeypair, message: &[u8]) -> Result<Signature, String> {
    let algorithm = match pair {
        EcdsaKeypair::NistP256 { .. } => &alg::ECDSA_P256_SHA256_FIXED_SIGNING,
        EcdsaKeypair::NistP384 { .. } => &alg::ECDSA_P384_SHA384_FIXED_SIGNING,
        EcdsaKeypair::NistP521 { .. } => return Err("ecdsa keys on nistp521 are not used; those on nistp256 and nistp384 are".into()),
    };
    let random = SystemRandom::new();
    let broken = |e: &dyn std::fmt::Display| format!("it cannot be used: {e}");
    let key = EcdsaKeyPair::from_private_key_and_public_key(algorithm, pair.private_key_bytes(), pair.public_key_bytes(), &random)
        .map_err(|e| broken(&e))?;
    let signed = key.sign(&random, message).map_err(|_| broken(&"there are no random numbers"))?;
    let (r, s) = signed.as_ref().split_at(signed.as_ref().len() / 2);
    let mut wire = Vec::new();
    for part in [r, s] {
        let number = Mpint::from_positive_bytes(part).map_err(|e| broken(&e))?;
        wire.extend(u32::try_from(number.as_bytes().len()).unwrap_or(u32::MAX).to_be_bytes());
        wire.extend(number.as_bytes());
    }
    Signature::new(Algorithm::Ecdsa { curve: pair.curve() }, wire).map_err(|e| broken(&e))
}

fn sign_rsa(pair: &RsaKeypair, message: &[u8]) -> Result<Signature, String> {
    let broken = |e: &dyn std::fmt::Display| format!("it cannot be used: {e}");
    let part =
        |number: &Mpint| number.as_positive_bytes().map(|b| Zeroizing::new(b.to_vec())).ok_or_else(|| broken(&"a number is negative"));
    let (private, public) = (&pair.private, &pair.public);
    let (d, p, q) = (part(&private.d)?, part(&private.p)?, part(&private.q)?);
    // OpenSSH keeps d alone, ring wants it reduced for each prime.
    let key = RsaKeyPair::from_components(&ring::rsa::KeyPairComponents {
        public_key: RsaPublicKeyComponents { n: part(&public.n)?, e: part(&public.e)? },
        dP: exponent(&d, &p),
        dQ: exponent(&d, &q),
        qInv: part(&private.iqmp)?,
        d,
        p,
        q,
    })
    .map_err(|e| match e.to_string().as_str() {
        "TooSmall" | "TooLarge" => "rsa keys of 2048 to 4096 bits are used, this one is of another size".to_owned(),
        why => broken(&why),
    })?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&alg::RSA_PKCS1_SHA512, &SystemRandom::new(), message, &mut signature).map_err(|_| broken(&"it does not sign"))?;
    Signature::new(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, signature).map_err(|e| broken(&e))
}

/// `d mod (prime - 1)`, big endian, without leading zeros. Long division, bit by bit: it is done once for a signature.
fn exponent(d: &[u8], prime: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut modulus = Zeroizing::new(prime.to_vec());
    // A prime is odd.
    if let Some(last) = modulus.last_mut() {
        *last &= !1;
    }
    // One byte more than the modulus, for the bit that is shifted out before it is reduced.
    let mut rest = Zeroizing::new(vec![0_u8; modulus.len() + 1]);
    for bit in d.iter().flat_map(|byte| (0..8).rev().map(move |n| (byte >> n) & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = ((*byte << 1) | carry, *byte >> 7);
        }
        if rest[0] > 0 || rest[1..] >= modulus[..] {
            let mut borrow = false;
            for (byte, less) in rest.iter_mut().rev().zip(modulus.iter().rev().chain(std::iter::once(&0))) {
                let (once, a) = byte.overflowing_sub(*less);
                let (twice, b) = once.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (twice, a || b);
            }
        }
    }
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    Zeroizing::new(rest[zeros..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_for_a_prime_is_what_division_leaves() {
        for (d, prime) in
            [(2753_u64, 61_u64), (2753, 53), (65537, 65537), (0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffc5), (1, 3), (1_000_003, 257)]
        {
            let strip = |n: u64| n.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect::<Vec<_>>();
            assert_eq!(*exponent(&strip(d), &strip(prime)), strip(d % (prime - 1)), "{d} {prime}");
        }
    }

    #[test]
    fn numbers_of_the_wire_are_bounded() {
        let wire = [&[0, 0, 0, 2, 0, 0x80][..], &[9]].concat();
        assert_eq!(number(&wire, 3), Some((vec![0, 0, 0x80], &[9][..])));
        for bad in [&[0, 0, 0, 1, 0x80][..], &[0, 0, 0, 9, 1], &[0xff, 0xff, 0xff, 0xff, 1], &[0, 0], &[0, 0, 0, 4, 1, 1, 1, 1]] {
            assert_eq!(number(bad, 3), None, "{bad:?}");
        }
    }
}
