//! A certificate authority of our own and one certificate for loopback.

use super::options::SimError;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// What a TLS listener needs, and the authority that clients must trust.
pub(crate) struct Identity {
    /// The server's side.
    pub(crate) server: Arc<ServerConfig>,
    /// The authority, PEM.
    pub(crate) ca_pem: String,
}

pub(crate) fn identity() -> Result<Identity, SimError> {
    let certificate = |e: rcgen::Error| SimError::Certificate(e.to_string());
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(certificate)?;
    ca.distinguished_name.push(DnType::CommonName, "gonogo simulator");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate().map_err(certificate)?;
    let ca_certificate = ca.self_signed(&ca_key).map_err(certificate)?;
    let issuer = Issuer::new(ca, ca_key);

    let names = ["localhost", "kubernetes", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).map_err(certificate)?;
    leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate().map_err(certificate)?;
    let leaf_certificate = leaf.signed_by(&leaf_key, &issuer).map_err(certificate)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let mut server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![leaf_certificate.der().clone()], key))
        .map_err(|e| SimError::Certificate(e.to_string()))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { server: Arc::new(server), ca_pem: ca_certificate.pem() })
}
