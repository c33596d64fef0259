//! The TLS of the probes' door: our authorities and no others, a certificate asked for and, where one is
//! shown, verified before a byte of HTTP is read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nines_shared::time::Clock;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};

use super::authority::{Authority, AuthorityError, Circle};

/// The configuration of the door, made anew when other authorities vouch.
#[derive(Debug)]
pub(super) struct Tls {
    authority: Arc<Authority>,
    clock: Clock,
    /// With the digest of the authorities that it was made for.
    made: Mutex<(String, Arc<ServerConfig>)>,
}

impl Tls {
    /// # Errors
    /// [`AuthorityError`] where no certificate can be made.
    pub(super) fn new(authority: Arc<Authority>, clock: Clock) -> Result<Self, AuthorityError> {
        let circle = authority.circle();
        let made = Mutex::new((circle.digest().to_owned(), server_config(&circle, clock.clone())?));
        Ok(Self { authority, clock, made })
    }

    /// The configuration for a connection that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let circle = self.authority.circle();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 != circle.digest() {
            match server_config(&circle, self.clock.clone()) {
                Ok(config) => *made = (circle.digest().to_owned(), config),
                Err(error) => tracing::error!(%error, "gateway.tls_not_renewed"),
            }
        }
        made.1.clone()
    }
}

/// A fresh certificate, clients verified against `circle`.
///
/// Sessions are never resumed: a resumed one would not look at the certificate again.
fn server_config(circle: &Circle, clock: Clock) -> Result<Arc<ServerConfig>, AuthorityError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in circle.certificates() {
        roots.add(certificate.clone())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(unusable)?;
    let (chain, key) = circle.gateway(clock.now())?;
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
