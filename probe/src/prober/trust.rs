//! Whom a TLS handshake believes, and the client configurations made from that.
//!
//! One [`Trust`] for each distinct set of roots (Mozilla's, or a check's own `ca_pem`), made once.
//! Sessions are never resumed: each sample is a full handshake, or the certificate would go unseen.
//! `witness` is the verifier: it keeps what was shown, whatever the verdict.

mod path;
mod witness;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub(crate) use path::Path;
pub(crate) use witness::{Shown, Witness};

/// The most distinct `ca_pem` whose configurations are kept; beyond it the cache starts anew.
const MAX_TRUSTS: usize = 256;

/// Which protocols are offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// None: a TLS check does not say what it would speak.
    None,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/2, else HTTP/1.1.
    Any,
    /// HTTP/3.
    Http3,
}

impl Alpn {
    const ALL: [Self; 5] = [Self::None, Self::Http1, Self::Http2, Self::Any, Self::Http3];

    fn offer(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::None => &[],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Any => &[b"h2", b"http/1.1"],
            Self::Http3 => &[b"h3"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// Every trust made so far.
#[derive(Debug, Default)]
pub(crate) struct Trusts {
    mozilla: OnceLock<Arc<Trust>>,
    own: Mutex<HashMap<Box<str>, Arc<Trust>>>,
}

impl Trusts {
    /// Makes the first handshake as quick as those after it: the roots are read, and the crypto library is
    /// through its start (random numbers, curves), which takes some milliseconds, here instead of in a phase
    /// of somebody's first sample.
    pub(crate) fn warmed() -> Self {
        let trusts = Self::default();
        // Mozilla's roots can always be read; the key shares are thrown away.
        let _roots = trusts.of(None);
        for group in provider().kx_groups {
            let _share = group.start();
        }
        trusts
    }

    /// The trust in the roots of `ca_pem`, or in Mozilla's.
    ///
    /// # Errors
    /// What is wrong with `ca_pem`, for people.
    pub(crate) fn of(&self, ca_pem: Option<&str>) -> Result<Arc<Trust>, String> {
        let Some(pem) = ca_pem else {
            return Ok(Arc::clone(
                self.mozilla.get_or_init(|| Arc::new(Trust::new(mozilla()).expect("Mozilla has roots"))),
            ));
        };
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trust) = own.get(pem) {
            return Ok(Arc::clone(trust));
        }
        let trust = Arc::new(Trust::new(roots_of(pem)?)?);
        if MAX_TRUSTS <= own.len() {
            own.clear();
        }
        own.insert(pem.into(), Arc::clone(&trust));
        Ok(trust)
    }
}

fn mozilla() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn roots_of(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("ca_pem can't be read as PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca_pem holds a certificate that can't be a root: {error}"))?;
    }
    Ok(roots)
}

/// The crypto of every probe handshake. Classic key exchange only: offering ML-KEM first costs 23–33 µs a
/// handshake and a second packet that some middleboxes drop, and listing it without a key share makes some
/// servers ask for one, a round trip that no browser sees.
pub(crate) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups =
        vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::SECP384R1];
    provider
}

/// One set of roots, ready for handshakes.
#[derive(Debug)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    verifier: Arc<WebPkiServerVerifier>,
    configs: [ClientConfig; Alpn::ALL.len()],
}

impl Trust {
    fn new(roots: RootCertStore) -> Result<Self, String> {
        let (provider, roots) = (Arc::new(provider()), Arc::new(roots));
        let algorithms = provider.signature_verification_algorithms;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| format!("ca_pem can't be used: {error}"))?;
        let mut base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_webpki_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        base.resumption = Resumption::disabled();
        let configs = Alpn::ALL.map(|alpn| {
            let mut config = base.clone();
            config.alpn_protocols = alpn.offer();
            config
        });
        Ok(Self { roots, algorithms, verifier, configs })
    }

    /// A configuration for one handshake, and the [`Witness`] of what it will be shown. Where not `verify`, any
    /// chain is accepted, and the witness knows why it should not have been.
    /// `client` is what is shown where the target wants a certificate of ours.
    pub(crate) fn config(
        self: &Arc<Self>,
        alpn: Alpn,
        verify: bool,
        client: Option<&Arc<dyn ResolvesClientCert>>,
    ) -> (ClientConfig, Arc<Witness>) {
        let witness = Arc::new(Witness::new(Arc::clone(self), verify, client.cloned()));
        let mut config = self.configs[alpn as usize].clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>);
        config.client_auth_cert_resolver = Arc::clone(&witness) as Arc<dyn ResolvesClientCert>;
        (config, witness)
    }
}
