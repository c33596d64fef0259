//! Who this probe is: its key, its certificate, and how it got them.
//!
//! Owns `key.pem` (mode 0600, never leaves the machine), `cert.pem` and `ca.pem` in the state directory. The
//! certificate's CN is the probe's id and its OU the region; nothing else says who we are. The only
//! authority is the private one that the join token pinned.

mod files;
mod join;
mod pin;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nines_shared::id::{ProbeId, RegionId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

pub use files::write_atomically;
pub use join::{JoinError, Joined, join};

/// The key's file in the state directory.
pub const KEY_FILE: &str = "key.pem";
/// The certificate's file in the state directory.
pub const CERTIFICATE_FILE: &str = "cert.pem";
/// The authority's file in the state directory.
pub const AUTHORITY_FILE: &str = "ca.pem";

/// Who this probe is, and the TLS that proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub probe: ProbeId,
    /// The region that it looks from.
    pub region: RegionId,
    /// TLS towards the aggregator: our certificate, the private authority, nothing else.
    pub tls: Arc<ClientConfig>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The state directory holds none.
    #[error(
        "{0} is not there: this machine has not joined; ask for the line with `nines probe invite --region REGION` and run it here"
    )]
    Missing(PathBuf),
    /// A file is there and can't be read.
    #[error("can't read {path}: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Key, certificate and authority do not belong together.
    #[error("the identity in {path} can't be used: {source}; move it away and join again")]
    Unusable {
        /// The state directory.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The certificate does not say which probe of which region it is for.
    #[error("{0} names no probe and region; move it away and join again")]
    Nameless(PathBuf),
}

impl Identity {
    /// The identity in the state directory.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(state: &Path) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::from_pem_slice(&read(state, KEY_FILE)?);
        let key = key.map_err(|error| unreadable(state, KEY_FILE, &error))?;
        let chain = certificates(state, CERTIFICATE_FILE)?;
        let authority = certificates(state, AUTHORITY_FILE)?;
        let named = chain.first().and_then(|certificate| names(certificate));
        let (probe, region) = named.ok_or_else(|| IdentityError::Nameless(state.join(CERTIFICATE_FILE)))?;
        let tls = client_config(chain, key, &authority)
            .map_err(|source| IdentityError::Unusable { path: state.to_owned(), source })?;
        Ok(Self { probe, region, tls: Arc::new(tls) })
    }
}

fn client_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in authority {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    config.with_root_certificates(roots).with_client_auth_cert(chain, key)
}

fn read(state: &Path, file: &str) -> Result<Vec<u8>, IdentityError> {
    let path = state.join(file);
    std::fs::read(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            IdentityError::Missing(path)
        } else {
            IdentityError::Unreadable { path, message: error.to_string() }
        }
    })
}

fn certificates(state: &Path, file: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem = read(state, file)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unreadable(state, file, &error))
}

fn unreadable(state: &Path, file: &str, error: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Unreadable { path: state.join(file), message: error.to_string() }
}

/// The probe (CN) and region (OU) that `certificate` is for; `None` where it does not name exactly one of each.
fn names(certificate: &CertificateDer<'_>) -> Option<(ProbeId, RegionId)> {
    let (_rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    let probe = only(parsed.subject().iter_common_name())?.parse().ok()?;
    let region = only(parsed.subject().iter_organizational_unit())?.parse().ok()?;
    Some((probe, region))
}

fn only<'a>(mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Option<&'a str> {
    let value = values.next()?.as_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
