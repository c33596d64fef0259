//! The algorithms of certificates: their names, and which are too weak.

use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// Fewer bits than this can be factored by those who care.
const MIN_RSA_BITS: usize = 2_048;

/// Signature algorithms: OID, name, and whether the digest can still be trusted.
const SIGNATURES: [(&str, &str, bool); 14] = [
    ("1.2.840.113549.1.1.2", "RSA-MD2", false),
    ("1.2.840.113549.1.1.4", "RSA-MD5", false),
    ("1.2.840.113549.1.1.5", "RSA-SHA1", false),
    ("1.3.14.3.2.29", "RSA-SHA1", false),
    ("1.2.840.10045.4.1", "ECDSA-SHA1", false),
    ("1.2.840.10040.4.3", "DSA-SHA1", false),
    ("1.2.840.113549.1.1.11", "RSA-SHA256", true),
    ("1.2.840.113549.1.1.12", "RSA-SHA384", true),
    ("1.2.840.113549.1.1.13", "RSA-SHA512", true),
    ("1.2.840.113549.1.1.10", "RSA-PSS", true),
    ("1.2.840.10045.4.3.2", "ECDSA-SHA256", true),
    ("1.2.840.10045.4.3.3", "ECDSA-SHA384", true),
    ("1.2.840.10045.4.3.4", "ECDSA-SHA512", true),
    ("1.3.101.112", "Ed25519", true),
];

/// Kinds of keys, and curves: OID and name.
const KEYS: [(&str, &str); 8] = [
    ("1.2.840.10045.3.1.7", "EC P-256"),
    ("1.3.132.0.34", "EC P-384"),
    ("1.3.132.0.35", "EC P-521"),
    ("1.3.132.0.10", "EC secp256k1"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10045.2.1", "EC"),
];

/// The longest OID that is told as it is.
const MAX_OID: usize = 64;

/// The kind and size of `key`.
pub(super) fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    if let Some(bits) = rsa_bits(key) {
        return format!("RSA {bits}");
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let kind = key.algorithm.algorithm.to_id_string();
    let named = |oid: &str| KEYS.iter().find(|(known, _)| *known == oid).map(|(_, name)| (*name).to_owned());
    let curve = curve.and_then(|oid| named(&oid.to_id_string()));
    curve.or_else(|| named(&kind)).unwrap_or_else(|| kind.chars().take(MAX_OID).collect())
}

/// The bits of the modulus, where `key` is an RSA key.
fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else { return None };
    let modulus = rsa.modulus.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
    let first = modulus.first()?;
    let unused = usize::try_from(first.leading_zeros()).unwrap_or_default();
    Some((modulus.len() * 8).saturating_sub(unused))
}

/// How a certificate is signed.
pub(super) fn signature(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = algorithm.algorithm.to_id_string();
    match SIGNATURES.iter().find(|(known, ..)| *known == oid) {
        Some((_, name, _)) => (*name).to_owned(),
        None => oid.chars().take(MAX_OID).collect(),
    }
}

/// What is too weak about `certificate`, if something is: the digest under its signature, or its key.
pub(crate) fn weakness(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Option<String> {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    let weak = SIGNATURES.iter().find(|(known, _, good)| *known == oid && !good);
    if let Some((_, name, _)) = weak {
        return Some(format!("is signed by {name}"));
    }
    let bits = rsa_bits(certificate.public_key()).filter(|bits| *bits < MIN_RSA_BITS)?;
    Some(format!("has an RSA key of {bits} bits"))
}
