//! What proves who a probe is, as it lies in the state directory.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Timestamp;
use nines_shared::wire::{BACKDATED_MS, MAX_AUTHORITIES};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

use super::{IDENTITY_FILE, IdentityError, files};

/// Where earlier versions kept key, certificate and authority. They are read until the identity is written anew.
const SEPARATE_FILES: [&str; 3] = ["key.pem", "cert.pem", "ca.pem"];

/// A certificate with its key, and who vouches for the fleet.
#[derive(Clone, Debug)]
pub struct Papers {
    /// Whom it names.
    pub probe: ProbeId,
    /// The region that it names.
    pub region: RegionId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) tls: Arc<ClientConfig>,
}

impl Papers {
    /// What the state directory holds.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn read(state: &Path) -> Result<Self, IdentityError> {
        match std::fs::read(state.join(IDENTITY_FILE)) {
            Ok(pem) => Self::of(state, IDENTITY_FILE, &pem),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::read_separate(state),
            Err(error) => Err(unreadable(state, IDENTITY_FILE, &error)),
        }
    }

    fn read_separate(state: &Path) -> Result<Self, IdentityError> {
        let mut all = Vec::new();
        for file in SEPARATE_FILES {
            match std::fs::read(state.join(file)) {
                Ok(pem) => all.extend_from_slice(&pem),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(IdentityError::Missing(state.join(IDENTITY_FILE)));
                }
                Err(error) => return Err(unreadable(state, file, &error)),
            }
            all.push(b'\n');
        }
        Self::of(state, SEPARATE_FILES[1], &all)
    }

    /// What `pem` holds: a key, its certificate, and the authorities behind it.
    fn of(state: &Path, file: &str, pem: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| unreadable(state, file, &error))?;
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let mut certificates = certificates.map_err(|error| unreadable(state, file, &error))?.into_iter();
        let nameless = || IdentityError::Nameless(state.join(file));
        let certificate = certificates.next().ok_or_else(nameless)?;
        let (probe, region) = names(&certificate).ok_or_else(nameless)?;
        let (issued_at, until) = life(&certificate).ok_or_else(nameless)?;
        let authorities: Vec<_> = certificates.collect();
        let tls = client_config(certificate.clone(), key, &authorities)
            .map_err(|source| IdentityError::Unusable { path: state.to_owned(), source })?;
        Ok(Self { probe, region, issued_at, until, certificate, authorities, tls: Arc::new(tls) })
    }

    /// Names the authorities, as [`authorities_digest`] does.
    pub(super) fn authorities_digest(&self) -> String {
        authorities_digest(&self.authorities)
    }
}

/// Names those who vouch for a fleet, on both sides: SHA-256 of their certificates one after the other, in hex.
pub fn authorities_digest(authorities: &[CertificateDer<'_>]) -> String {
    let all: Vec<u8> = authorities.iter().flat_map(|one| one.iter().copied()).collect();
    HEXLOWER.encode(digest(&SHA256, &all).as_ref())
}

/// Puts a key, its certificate and the authorities into the state directory: all of them or none.
pub(super) fn write(state: &Path, key: &KeyPair, certificate_pem: &str, ca_pem: &str) -> std::io::Result<()> {
    let all = [&key.serialize_pem(), certificate_pem, ca_pem].map(str::trim_end).join("\n") + "\n";
    files::write_atomically(&state.join(IDENTITY_FILE), all.as_bytes())?;
    for file in SEPARATE_FILES {
        match std::fs::remove_file(state.join(file)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a certificate that was sent is for `key`, and for the probe of that name in that region; what is wrong with
/// it where it is not.
pub(super) fn check(pem: &str, key: &KeyPair, probe: &ProbeId, region: &RegionId) -> Result<(), &'static str> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| "its certificate is no PEM")?;
    let ours = X509Certificate::from_der(&certificate)
        .is_ok_and(|(_rest, parsed)| *parsed.public_key().subject_public_key.data == *key.public_key_raw());
    if !ours {
        return Err("its certificate is for another key");
    }
    if names(&certificate) != Some((probe.clone(), region.clone())) {
        return Err("its certificate names another probe");
    }
    Ok(())
}

/// The authorities that were sent; what is wrong with them where they are of no use.
pub(super) fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match all {
        Ok(all) if (1..=MAX_AUTHORITIES).contains(&all.len()) => Ok(all),
        Ok(_) => Err("it names no authority, or more than there may be"),
        Err(_) => Err("its authorities are no PEM"),
    }
}

fn client_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    authorities: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    config.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key)
}

fn unreadable(state: &Path, file: &str, error: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Unreadable { path: state.join(file), message: error.to_string() }
}

/// When `certificate` was made, and until when it is good.
fn life(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_ms(time.timestamp().saturating_mul(1_000));
    let validity = parsed.validity();
    Some((at(validity.not_before).plus_ms(BACKDATED_MS), at(validity.not_after)))
}

/// The probe (CN) and region (OU) that `certificate` is for, as both sides read it; `None` where it does not name
/// exactly one of each.
pub fn names(certificate: &CertificateDer<'_>) -> Option<(ProbeId, RegionId)> {
    let (_rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    let probe = only(parsed.subject().iter_common_name())?.parse().ok()?;
    let region = only(parsed.subject().iter_organizational_unit())?.parse().ok()?;
    Some((probe, region))
}

fn only<'a>(mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Option<&'a str> {
    let value = values.next()?.as_str().ok()?;
    values.next().is_none().then_some(value)
}
