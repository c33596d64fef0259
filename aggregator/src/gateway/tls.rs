//! The TLS of the probes' door: our authority and no other, a certificate asked for and, where one is
//! shown, verified before a byte of HTTP is read.

use std::sync::Arc;
use std::time::Duration;

use nines_shared::time::Clock;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};

use super::authority::{Authority, AuthorityError};

/// The configuration of the door: a fresh certificate, clients verified against `authority`.
///
/// Sessions are never resumed: a resumed one would not look at the certificate again.
pub(super) fn server_config(authority: &Authority, clock: Clock) -> Result<Arc<ServerConfig>, AuthorityError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(unusable)?;
    let (chain, key) = authority.gateway(clock.now())?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(Watch(clock)))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn unusable(error: VerifierBuilderError) -> AuthorityError {
    AuthorityError::Tls(rustls::Error::General(error.to_string()))
}

/// The product's clock, as TLS asks for it.
#[derive(Debug)]
struct Watch(Clock);

impl TimeProvider for Watch {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(self.0.now().as_ms()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}
