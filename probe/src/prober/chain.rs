//! What the certificates of a chain say, valid or not.
//!
//! For people only: no decision about trust is made here. What a hostile certificate may say is bounded
//! in length and cleaned.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

mod algorithm;
mod der;
pub(crate) mod ocsp;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use nines_shared::check::Pin;
use nines_shared::sample::{Certificate, detail};
use nines_shared::time::Timestamp;
use rustls::pki_types::CertificateDer;
use url::Url;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

pub(crate) use algorithm::weakness;

/// The most certificates of a chain that are described.
pub(crate) const MAX_CHAIN: usize = 10;
/// The most names of a certificate that are listed.
pub(crate) const MAX_NAMES: usize = 100;
/// `caIssuers`, RFC 5280 §4.2.2.1.
const CA_ISSUERS: Oid<'static> = oid!(1.3.6.1.5.5.7.48.2);
/// The most names of a certificate that a detail tells.
const TOLD_NAMES: usize = 5;

/// `der` as far as it can be read.
pub(crate) fn parsed<'d>(der: &'d CertificateDer<'_>) -> Option<X509Certificate<'d>> {
    X509Certificate::from_der(der).ok().map(|(_rest, parsed)| parsed)
}

/// Every certificate of `chain` that can be read, in the order sent, at most [`MAX_CHAIN`].
pub(crate) fn describe(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    chain.iter().take(MAX_CHAIN).filter_map(certificate).collect()
}

fn certificate(der: &CertificateDer<'_>) -> Option<Certificate> {
    let parsed = parsed(der)?;
    let validity = parsed.validity();
    Some(Certificate {
        subject: detail(&parsed.subject().to_string()),
        issuer: detail(&parsed.issuer().to_string()),
        names: names(&parsed).take(MAX_NAMES).collect(),
        not_before: Timestamp::from_ms(validity.not_before.timestamp().saturating_mul(1_000)),
        not_after: Timestamp::from_ms(validity.not_after.timestamp().saturating_mul(1_000)),
        sha256: HEXLOWER.encode(digest(&SHA256, der).as_ref()),
        pin: pin(parsed.public_key().raw).to_string(),
        serial: detail(&HEXLOWER.encode(parsed.raw_serial())),
        key: algorithm::key(parsed.public_key()),
        signature: algorithm::signature(&parsed.signature_algorithm),
        is_ca: parsed.is_ca(),
    })
}

/// The digest of a SubjectPublicKeyInfo.
pub(crate) fn pin(key: &[u8]) -> Pin {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, key).as_ref());
    Pin(bytes)
}

/// The names that `parsed` is for, as people write them.
fn names(parsed: &X509Certificate<'_>) -> impl Iterator<Item = String> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    extension.into_iter().flat_map(|extension| &extension.value.general_names).filter_map(name)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(detail(name)),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
            16 => <[u8; 16]>::try_from(*octets).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The names of the certificate `der` in a few words.
pub(crate) fn names_in_words(der: &CertificateDer<'_>) -> String {
    let Some(parsed) = parsed(der) else { return "no name".to_owned() };
    let mut all = names(&parsed);
    let told: Vec<String> = all.by_ref().take(TOLD_NAMES).collect();
    match (told.is_empty(), all.count()) {
        (true, _) => "no name".to_owned(),
        (false, 0) => told.join(", "),
        (false, more) => format!("{} and {more} more", told.join(", ")),
    }
}

/// Which certificate of `chain` is meant: its place in it, and whom it names.
pub(crate) fn place(chain: &[CertificateDer<'_>], index: usize) -> String {
    let subject = chain.get(index).map_or_else(String::new, subject);
    format!("certificate {} of {}, {subject},", index + 1, chain.len())
}

/// Whom `der` names.
pub(crate) fn subject(der: &CertificateDer<'_>) -> String {
    parsed(der).map_or_else(|| "which can't be read".to_owned(), |parsed| in_words(&parsed.subject().to_string()))
}

/// Who signed `der`, by its own word.
pub(crate) fn issuer(der: &CertificateDer<'_>) -> String {
    parsed(der).map_or_else(String::new, |parsed| in_words(&parsed.issuer().to_string()))
}

/// Whom a root names: `name` is a Name in DER without its outer tag.
pub(crate) fn root_in_words(name: &[u8]) -> String {
    // The outer tag, SEQUENCE, and a length in the long form of two bytes.
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
    let der = [&[0x30, 0x82], &length[..], name].concat();
    let named = X509Name::from_der(&der).map(|(_rest, name)| name.to_string());
    named.map_or_else(|_unreadable| "a root without a name".to_owned(), |name| in_words(&name))
}

fn in_words(name: &str) -> String {
    if name.is_empty() { "which names nobody".to_owned() } else { detail(name) }
}

/// Whether the certificate names itself as its issuer.
pub(crate) fn is_self_signed(der: &CertificateDer<'_>) -> bool {
    parsed(der).is_some_and(|parsed| parsed.subject() == parsed.issuer())
}

/// Where the certificate of the one who signed `der` can be had over HTTP, by its own word.
pub(crate) fn issuer_address(der: &CertificateDer<'_>) -> Option<Url> {
    let parsed = parsed(der)?;
    let access = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    })?;
    let mut addresses = access.iter().take(MAX_NAMES).filter_map(|access| match access.access_location {
        GeneralName::URI(address) if access.access_method == CA_ISSUERS => address.parse::<Url>().ok(),
        _ => None,
    });
    addresses.find(|address| address.scheme() == "http" && address.has_host())
}

/// The place of the certificate that `chain` leads to from its first one on, each issued by the next.
pub(crate) fn end(chain: &[CertificateDer<'_>]) -> usize {
    let all: Vec<_> = chain.iter().map(parsed).collect();
    let mut at = 0;
    for _step in 1..chain.len() {
        let Some(Some(here)) = all.get(at) else { break };
        let issued_by =
            |other: &Option<X509Certificate<'_>>| other.as_ref().is_some_and(|other| other.subject() == here.issuer());
        match all.iter().position(issued_by) {
            Some(next) if here.subject() != here.issuer() => at = next,
            Some(_) | None => break,
        }
    }
    at
}
