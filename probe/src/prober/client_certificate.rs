//! The certificate that a check shows of itself, ready for a handshake.
//!
//! Made anew for each attempt: the key may be another after a reload, and parsing one is nothing beside a handshake.

use std::sync::Arc;

use nines_shared::check::ClientCertificate;
use nines_shared::sample::{Phase, Reason};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::Look;
use super::failure::Failure;
use super::trust;

/// What [`super::handshake::Terms::client`] wants, of `shown`.
///
/// # Errors
/// `secret_missing` where the key can't be had or is none; `unsupported` where certificate and key can't be used.
pub(crate) fn of(look: &Look<'_>, shown: &ClientCertificate) -> Result<Arc<dyn ResolvesClientCert>, Failure> {
    let unsupported = |error: &dyn std::fmt::Display| {
        Failure::ours(Reason::Unsupported, Phase::Tls, format!("the client certificate can't be used: {error}"))
    };
    let chain = CertificateDer::pem_slice_iter(shown.certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unsupported(&error))?;
    // What the parser would say of a key that is none may quote it.
    let key = PrivateKeyDer::from_pem_slice(look.secret(&shown.key)?.as_bytes()).map_err(|_quotes| {
        let detail = format!("the secret in {} is not a private key in PEM", shown.key);
        Failure::ours(Reason::SecretMissing, Phase::Tls, detail)
    })?;
    let certified = CertifiedKey::from_der(chain, key, &trust::provider()).map_err(|error| unsupported(&error))?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}
