//! The OCSP response that a target staples to its handshake (RFC 6960): what it says of the target's certificate,
//! and whether that can be believed. No responder is ever asked.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use nines_shared::time::Timestamp;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::der::{Der, ENUMERATED, INTEGER, OCTETS, OID, SEQUENCE, Value};

/// The largest response that is read, in bytes. Real ones have one or two thousand.
const MAX_STAPLE: usize = 64 << 10;
/// The most certificates of one response that are looked at: an answer is about one.
const MAX_SINGLES: usize = 64;
/// The most certificates of signers that are looked at.
const MAX_SIGNERS: usize = 4;
/// How far ahead of ours a responder's clock may be.
const SKEW_MS: i64 = 300_000;

const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
const OID_SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
const OID_SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// What an authority says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Revoked,
    /// The authority does not know it.
    Unknown,
}

/// What a response says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stapled {
    pub(crate) status: Status,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
    /// Why it can't be believed, where it can't.
    pub(crate) doubt: Option<String>,
}

/// By whom responses about a certificate may be signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuer<'i> {
    /// The issuer's SubjectPublicKeyInfo, where it is known for certain.
    pub(crate) key: Option<&'i [u8]>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

/// A response that is about the certificate asked for.
pub(crate) struct Said<'d> {
    basic: Basic<'d>,
    stapled: Stapled,
}

impl Said<'_> {
    /// Whether it says that the certificate was revoked.
    pub(crate) fn is_revoked(&self) -> bool {
        self.stapled.status == Status::Revoked
    }

    /// What it says, and whether that can be believed at `now`.
    pub(crate) fn believed(self, issuer: Issuer<'_>, now: Timestamp) -> Stapled {
        let doubt = in_date(&self.stapled, now).or_else(|| self.basic.unsigned(issuer, now));
        Stapled { doubt, ..self.stapled }
    }
}

/// What `staple` says of the certificate `own`.
///
/// # Errors
/// Why it says nothing of it.
pub(crate) fn of<'d>(staple: &'d [u8], own: &CertificateDer<'_>, issuer: Issuer<'_>) -> Result<Said<'d>, String> {
    let own = super::parsed(own).ok_or("the certificate can't be read")?;
    read(staple, &own, issuer.key)
}

fn read<'d>(staple: &'d [u8], own: &X509Certificate<'_>, issuer_key: Option<&[u8]>) -> Result<Said<'d>, String> {
    const BROKEN: &str = "the stapled OCSP response can't be read";
    if MAX_STAPLE < staple.len() {
        return Err("the stapled OCSP response is larger than any".to_owned());
    }
    let mut response = Der(staple).inside(SEQUENCE).ok_or(BROKEN)?;
    match response.one(ENUMERATED).ok_or(BROKEN)?.inside {
        [0] => {}
        [code] => return Err(format!("the stapled OCSP response is an error, number {code}")),
        _ => return Err(BROKEN.to_owned()),
    }
    let basic = basic(response).ok_or(BROKEN)?;
    let single = basic.singles().find_map(|single| about(single, own, issuer_key));
    let stapled = single.ok_or("the stapled OCSP response is about another certificate")?;
    Ok(Said { basic, stapled })
}

/// A BasicOCSPResponse in its parts.
struct Basic<'d> {
    /// What is signed.
    data: &'d [u8],
    responses: Der<'d>,
    /// The AlgorithmIdentifier, without its tag.
    algorithm: &'d [u8],
    signature: &'d [u8],
    signers: Der<'d>,
}

fn basic(mut response: Der<'_>) -> Option<Basic<'_>> {
    let mut bytes = response.inside(0xa0)?.inside(SEQUENCE)?;
    if bytes.one(OID)?.inside != BASIC {
        return None;
    }
    let mut basic = Der(bytes.one(OCTETS)?.inside).inside(SEQUENCE)?;
    let data = basic.one(SEQUENCE)?;
    let algorithm = basic.one(SEQUENCE)?.inside;
    let signature = basic.bits()?;
    let signers = basic.inside(0xa0).and_then(|mut list| list.inside(SEQUENCE)).unwrap_or(Der(&[]));
    let mut fields = Der(data.inside);
    let _version = fields.one(0xa0);
    let (_responder, _produced_at) = (fields.any()?, fields.any()?);
    let responses = fields.inside(SEQUENCE)?;
    Some(Basic { data: data.whole, responses, algorithm, signature, signers })
}

impl<'d> Basic<'d> {
    fn singles(&self) -> impl Iterator<Item = Der<'d>> + use<'d> {
        let mut responses = self.responses;
        std::iter::from_fn(move || responses.inside(SEQUENCE)).take(MAX_SINGLES)
    }

    /// Why it is not signed by the issuer, or by whom the issuer lets sign; `None` where it is.
    fn unsigned(&self, issuer: Issuer<'_>, now: Timestamp) -> Option<String> {
        let Some(key) = issuer.key else { return Some("its issuer is not known for certain".to_owned()) };
        if verifies(issuer.algorithms, key, self.data, self.algorithm, self.signature) {
            return None;
        }
        let mut signers = self.signers;
        let mut signers = std::iter::from_fn(move || signers.one(SEQUENCE)).take(MAX_SIGNERS);
        let signed = signers.any(|der| {
            delegate(der, key, issuer.algorithms, now).is_some_and(|signer| {
                let key = signer.public_key().raw;
                verifies(issuer.algorithms, key, self.data, self.algorithm, self.signature)
            })
        });
        (!signed).then(|| "its signature is not of the certificate's issuer".to_owned())
    }
}

/// The certificate `der`, where the issuer, whose key is `key`, signed it for signing such responses.
fn delegate<'d>(
    der: Value<'d>,
    key: &[u8],
    algorithms: WebPkiSupportedAlgorithms,
    now: Timestamp,
) -> Option<X509Certificate<'d>> {
    let (_rest, signer) = X509Certificate::from_der(der.whole).ok()?;
    let validity = signer.validity();
    let valid = at(validity.not_before) <= now && now <= at(validity.not_after);
    let may_sign = signer.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
    let mut parts = Der(der.inside);
    let (data, algorithm) = (parts.one(SEQUENCE)?.whole, parts.one(SEQUENCE)?.inside);
    (valid && may_sign && verifies(algorithms, key, data, algorithm, parts.bits()?)).then_some(signer)
}

/// Whether `key` signed `data`.
fn verifies(
    algorithms: WebPkiSupportedAlgorithms,
    key: &[u8],
    data: &[u8],
    algorithm: &[u8],
    signature: &[u8],
) -> bool {
    let parts = || {
        let mut key = Der(key).inside(SEQUENCE)?;
        Some((key.one(SEQUENCE)?.inside, key.bits()?))
    };
    let Some((kind, key)) = parts() else { return false };
    algorithms.all.iter().any(|known| {
        known.signature_alg_id().as_ref() == algorithm
            && known.public_key_alg_id().as_ref() == kind
            && known.verify_signature(key, data, signature).is_ok()
    })
}

/// What `single` says, where it is about `own`. Where the issuer's key is known it must be that one's, too.
fn about(mut single: Der<'_>, own: &X509Certificate<'_>, issuer_key: Option<&[u8]>) -> Option<Stapled> {
    let mut id = single.inside(SEQUENCE)?;
    let algorithm = match id.inside(SEQUENCE)?.one(OID)?.inside {
        OID_SHA1 => &SHA1_FOR_LEGACY_USE_ONLY,
        OID_SHA256 => &SHA256,
        _ => return None,
    };
    let (name, key, serial) = (id.one(OCTETS)?.inside, id.one(OCTETS)?.inside, id.one(INTEGER)?.inside);
    let key_fits = |issuer: &[u8]| {
        let mut parts = Der(issuer).inside(SEQUENCE)?;
        let _kind = parts.one(SEQUENCE)?;
        Some(digest(algorithm, parts.bits()?).as_ref() == key)
    };
    let fits = serial == own.raw_serial()
        && digest(algorithm, own.issuer().as_raw()).as_ref() == name
        && issuer_key.is_none_or(|issuer| key_fits(issuer) == Some(true));
    if !fits {
        return None;
    }
    let status = match single.any()?.tag & !0x20 {
        0x80 => Status::Good,
        0x81 => Status::Revoked,
        0x82 => Status::Unknown,
        _ => return None,
    };
    let this_update = time(single.any()?.whole)?;
    let next_update = match single.inside(0xa0) {
        Some(mut next) => Some(time(next.any()?.whole)?),
        None => None,
    };
    Some(Stapled { status, this_update, next_update, doubt: None })
}

fn time(der: &[u8]) -> Option<Timestamp> {
    ASN1Time::from_der(der).ok().map(|(_rest, time)| at(time))
}

fn at(time: ASN1Time) -> Timestamp {
    Timestamp::from_ms(time.timestamp().saturating_mul(1_000))
}

/// Why `stapled` does not hold at `now`, where it does not.
fn in_date(stapled: &Stapled, now: Timestamp) -> Option<String> {
    if now.plus_ms(SKEW_MS) < stapled.this_update {
        return Some("it is from the future".to_owned());
    }
    stapled.next_update.is_some_and(|next| next < now).then(|| "it is out of date".to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
