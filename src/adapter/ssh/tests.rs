//! Signatures by keys that are made here, checked and spoilt in every way. What OpenSSH itself says is in `tests/openssh.rs`.

use super::*;
use crate::domain::decision::Decision;
use chrono::{DateTime, Utc};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::{Ed25519PublicKey, SkEd25519};
use ssh_key::{Algorithm, PrivateKey, PublicKey, Signature};
use tempfile::TempDir;

const SPACE: &str = "runbook@gonogo";
const TEXT: &str = "gonogo: 1\n";

fn at() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn ring_pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> Ed25519PublicKey {
    Ed25519PublicKey(ring_pair(seed).public_key().as_ref().try_into().unwrap())
}

/// A folder with two people's keys and a list that has Ada's.
struct Place {
    dir: TempDir,
    list: String,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for (name, seed) in [("ada", 1), ("ben", 2)] {
            let pair = Ed25519Keypair { public: public(seed), private: Ed25519PrivateKey::from_bytes(&[seed; 32]) };
            let key = PrivateKey::new(KeypairData::Ed25519(pair), name).unwrap();
            let path = dir.path().join(name);
            std::fs::write(&path, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
            std::fs::write(path.with_extension("pub"), key.public_key().to_openssh().unwrap()).unwrap();
            mode(&path, 0o600);
        }
        let list = format!("ada {}\n", PublicKey::from(KeyData::Ed25519(public(1))).to_openssh().unwrap());
        Self { dir, list }
    }

    fn settings(&self, key: &str) -> Settings {
        let list = self.dir.path().join("allowed_signers");
        std::fs::write(&list, &self.list).unwrap();
        Settings { allowed_signers: Some(list), key: Some(self.dir.path().join(key)), ..Settings::default() }
    }

    fn signed(&self, key: &str) -> String {
        new(self.settings(key)).sign_now(SPACE, TEXT.as_bytes()).unwrap().armored
    }

    fn verify(&self, claim: &Claim) -> Result<String, String> {
        new(self.settings("ada")).verify_now(claim).map(|signer| signer.who).map_err(|why| why.to_string())
    }
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn claim(signature: &str) -> Claim {
    Claim { namespace: SPACE.into(), message: TEXT.into(), signature: signature.into(), principal: None, at: at() }
}

#[test]
fn a_signature_says_who_and_everything_else_has_its_own_reason() {
    let mut place = Place::new();
    let (ada, ben) = (place.signed("ada"), place.signed("ben"));
    let key = |seed| fingerprint(&KeyData::Ed25519(public(seed)));
    assert_eq!(place.verify(&claim(&ada)), Ok("ada".into()));
    assert_eq!(place.verify(&claim(&ada.replace('\n', "\r\n"))), Ok("ada".into()), "line ends of another system");
    let said = |place: &Place, claim: Claim| place.verify(&claim).unwrap_err();
    assert_eq!(
        said(&place, Claim { message: b"gonogo: 2\n".into(), ..claim(&ada) }),
        format!("it is not what was signed by ada ({}): it was changed since, or the signature is of something else", key(1))
    );
    let unknown = format!("it is signed by a key that belongs to nobody who is allowed to sign ({})", key(2));
    assert_eq!(said(&place, claim(&ben)), unknown);
    assert_eq!(
        said(&place, Claim { namespace: "answer@gonogo".into(), ..claim(&ada) }),
        "its signature was made for \"runbook@gonogo\" and not for \"answer@gonogo\""
    );
    let other = format!("it is signed by ada ({}) and not by ben", key(1));
    assert_eq!(said(&place, Claim { principal: Some("ben".into()), ..claim(&ada) }), other);
    assert!(said(&place, claim("")).starts_with("its signature is damaged: "));
    assert!(said(&place, claim(&ada[..60])).starts_with("its signature is damaged: "));
    let long = "x".repeat(LARGEST_SIGNATURE + 1);
    assert_eq!(said(&place, claim(&long)), "its signature is damaged: it has 65537 bytes, at most 65536 are read");
    place.list = place.list.replace("ada ", "ada valid-before=\"20260101Z\" ");
    assert_eq!(said(&place, claim(&ada)), format!("the key of ada ({}) was accepted until 2026-01-01T00:00:00Z", key(1)));
    place.list = "* cert-authority ssh-ed25519 AAAA\n".into();
    let passed_over =
        format!("{}; line 1 is passed over: certificates are not supported, list the keys themselves", unknown.replace(&key(2), &key(1)));
    assert_eq!(said(&place, claim(&ada)), passed_over);
}

#[test]
fn without_a_list_or_with_one_that_cannot_be_read_nobody_counts() {
    let place = Place::new();
    let signature = place.signed("ada");
    let of = |allowed_signers| new(Settings { allowed_signers, ..Settings::default() }).verify_now(&claim(&signature)).unwrap_err();
    assert!(matches!(of(None), Unproven::NobodyListed { .. }));
    let missing = of(Some(place.dir.path().join("nowhere"))).to_string();
    assert!(
        missing.starts_with("the list of allowed signers ") && missing.ends_with("cannot be read: No such file or directory (os error 2)")
    );
}

#[test]
fn no_changed_byte_of_a_signature_is_ever_accepted() {
    let place = Place::new();
    let armored = place.signed("ada");
    let blob = ssh_blob(&armored);
    let ssh = new(place.settings("ada"));
    assert!(ssh.verify_now(&claim(&armor(&blob))).is_ok());
    for at in 0..blob.len() {
        for bit in [0x01, 0x80] {
            let mut spoilt = blob.clone();
            spoilt[at] ^= bit;
            assert!(ssh.verify_now(&claim(&armor(&spoilt))).is_err(), "byte {at} ^ {bit:#x}");
        }
    }
    for longer in [[&blob[..], &[0]].concat(), [&blob[..], &blob[..]].concat()] {
        assert!(ssh.verify_now(&claim(&armor(&longer))).is_err(), "bytes after the end");
    }
}

fn ssh_blob(armored: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = armored.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

fn armor(blob: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(blob);
    let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

#[test]
fn a_security_key_signs_with_its_touches_counted() {
    // What such a key does, done by hand: it signs hashes of its application and of the message, with flags and a counter between.
    let key = KeyData::SkEd25519(SkEd25519::new(public(3), "ssh:"));
    let data = SshSig::signed_data(SPACE, HashAlg::Sha512, TEXT.as_bytes()).unwrap();
    let touches = [1, 0, 0, 0, 7];
    let signed = [&Sha256::digest("ssh:")[..], &touches, &Sha256::digest(&data)[..]].concat();
    let raw = ring_pair(3).sign(&signed);
    let of = |touches: &[u8]| Signature::new(Algorithm::SkEd25519, [raw.as_ref(), touches].concat()).unwrap();
    assert_eq!(arithmetic::verify(&key, &data, &of(&touches)), Ok(()));
    assert_eq!(arithmetic::verify(&key, &data, &of(&[1, 0, 0, 0, 8])), Err(arithmetic::Bad::Signature));
    let elsewhere = KeyData::SkEd25519(SkEd25519::new(public(3), "ssh:other"));
    assert_eq!(arithmetic::verify(&elsewhere, &data, &of(&touches)), Err(arithmetic::Bad::Signature));
    let armored = SshSig::new(key.clone(), SPACE, HashAlg::Sha512, of(&touches)).unwrap().to_pem(LineEnding::LF).unwrap();
    let mut place = Place::new();
    place.list = format!("ada {}\n", PublicKey::from(key).to_openssh().unwrap());
    assert_eq!(place.verify(&claim(&armored)), Ok("ada".into()));
}

#[test]
fn a_key_that_cannot_sign_says_what_to_do() {
    let place = Place::new();
    let path = |name: &str| place.dir.path().join(name);
    let said = |settings: Settings| new(settings).sign_now(SPACE, b"x").unwrap_err().to_string();
    let shown = path("ada").display().to_string();
    mode(&path("ada"), 0o640);
    let open = said(place.settings("ada"));
    assert_eq!(open, format!("the key {shown}: others can read it (mode 640): chmod 600 {shown}"));
    std::fs::write(path("pem"), "-----BEGIN RSA PRIVATE KEY-----\nsecret-part\n").unwrap();
    let pem = said(place.settings("pem"));
    assert!(
        pem.ends_with(&format!("it is not in OpenSSH's own format: convert it with ssh-keygen -p -f {}", path("pem").display())),
        "{pem}"
    );
    std::fs::write(path("broken"), "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret-part\n-----END OPENSSH PRIVATE KEY-----\n").unwrap();
    let broken = said(place.settings("broken"));
    assert!(!broken.contains("secret-part") && broken.starts_with("the key "), "{broken}");
    std::fs::remove_file(path("ben")).unwrap();
    let public = said(place.settings("ben.pub"));
    assert!(public.ends_with("it is a public key, and no ssh-agent runs: load its private half with ssh-add"), "{public}");
    let none = said(Settings { agent: Some(path("no-socket")), usual_key: Some(path("id_ed25519")), ..Settings::default() });
    assert!(
        none.starts_with("there is no key to sign with (the ssh-agent: nothing listens at ") && none.contains("id_ed25519 does not exist")
    );
    assert!(said(Settings::default()).contains("SSH_AUTH_SOCK is not set"));
    // The usual file, and the private half beside a public one.
    assert!(new(Settings { usual_key: Some(path("id")), ..Settings::default() }).sign_now(SPACE, b"x").is_err());
    mode(&path("ada"), 0o600);
    assert!(new(Settings { usual_key: Some(path("ada")), ..Settings::default() }).sign_now(SPACE, b"x").is_ok());
    assert!(new(place.settings("ada.pub")).sign_now(SPACE, b"x").is_ok());
}

#[tokio::test]
async fn a_decision_is_signed_by_the_person_in_whose_name_it_stands() {
    let place = Place::new();
    let signatures: Box<dyn Signatures> = Box::new(new(place.settings("ada")));
    let decision = Decision { run: "r-1".into(), step: "go".into(), plan_hash: "3f".into(), decision: "go as sre".into(), time: at() };
    let signed = signatures.sign_decision(&decision).await.unwrap();
    let signer = signatures.verify_decision(&decision, &signed.armored, "ada", at()).await;
    assert_eq!(signer, Ok(Signer { who: "ada".into(), key: signed.key }));
    let other = Decision { decision: "no-go as sre".into(), ..decision.clone() };
    let moved = signatures.verify_decision(&other, &signed.armored, "ada", at()).await;
    assert!(matches!(moved, Err(Unproven::Changed { who: Some(who), .. }) if who == "ada"));
    let borrowed = signatures.verify_decision(&decision, &signed.armored, "ben", at()).await;
    assert!(matches!(borrowed, Err(Unproven::OtherPerson { wanted, .. }) if wanted == "ben"));
    // A signed file is no signed decision, whatever it contains.
    let file = signatures.sign(SPACE, decision.message().unwrap()).await.unwrap();
    let file = signatures.verify_decision(&decision, &file.armored, "ada", at()).await;
    assert!(matches!(file, Err(Unproven::OtherPurpose { .. })));
}
