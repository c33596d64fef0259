//! What the certificates of a chain say, valid or not.
//!
//! For people only: no decision about trust is made here. What a hostile certificate may say is bounded
//! in length and cleaned.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use nines_shared::sample::{Certificate, detail};
use nines_shared::time::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The most certificates of a chain that are described.
pub(crate) const MAX_CHAIN: usize = 10;
/// The most names of a certificate that are listed.
pub(crate) const MAX_NAMES: usize = 100;

/// Every certificate of `chain` that can be read, in the order sent, at most [`MAX_CHAIN`].
pub(crate) fn describe(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    chain.iter().take(MAX_CHAIN).filter_map(certificate).collect()
}

fn certificate(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_rest, parsed) = X509Certificate::from_der(der).ok()?;
    let validity = parsed.validity();
    Some(Certificate {
        subject: detail(&parsed.subject().to_string()),
        issuer: detail(&parsed.issuer().to_string()),
        names: names(&parsed),
        not_before: Timestamp::from_ms(validity.not_before.timestamp().saturating_mul(1_000)),
        not_after: Timestamp::from_ms(validity.not_after.timestamp().saturating_mul(1_000)),
        sha256: HEXLOWER.encode(digest::digest(&digest::SHA256, der).as_ref()),
    })
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(name).take(MAX_NAMES).collect()
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

/// Whether the first certificate of `chain` names itself as its issuer.
pub(crate) fn is_self_signed(chain: &[CertificateDer<'_>]) -> bool {
    let Some(leaf) = chain.first() else { return false };
    X509Certificate::from_der(leaf).is_ok_and(|(_rest, leaf)| leaf.subject() == leaf.issuer())
}
