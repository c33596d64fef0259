//! The verifier of one handshake, which remembers what it was shown, and whether something of ours was wanted.
//!
//! Everything shown is kept before it is judged, so that an invalid certificate is still described. The verdict
//! is that of rustls' own verifier; only where the path is known and the name fits is that one spared, since it
//! would do the same again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::{Path, Trust};

/// What a target showed in a handshake, and what became of it.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The chain as it was sent. Not empty.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The way to a trusted root, where there is one.
    pub(crate) path: Option<Path>,
    /// The OCSP response that came with it; empty where none did.
    pub(crate) staple: Vec<u8>,
    /// Why the chain is not valid for the name, where it is not.
    pub(crate) distrust: Option<Error>,
}

/// The verifier of one handshake.
#[derive(Debug)]
pub(crate) struct Witness {
    /// Whom it believes.
    pub(crate) trust: Arc<Trust>,
    verify: bool,
    shown: OnceLock<Shown>,
    client: Option<Arc<dyn ResolvesClientCert>>,
    asked_for_ours: AtomicBool,
}

impl Witness {
    pub(super) fn new(trust: Arc<Trust>, verify: bool, client: Option<Arc<dyn ResolvesClientCert>>) -> Self {
        Self { trust, verify, shown: OnceLock::new(), client, asked_for_ours: AtomicBool::new(false) }
    }

    /// Whether the target asked for a certificate of ours.
    pub(crate) fn asked_for_ours(&self) -> bool {
        self.asked_for_ours.load(Ordering::Relaxed)
    }

    /// What was shown, where the handshake came so far.
    pub(crate) fn shown(&self) -> Option<&Shown> {
        self.shown.get()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked_for_ours.store(true, Ordering::Relaxed);
        self.client.as_ref()?.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        self.client.is_some()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let sent = std::iter::once(end_entity).chain(intermediates);
        let chain: Vec<_> = sent.map(|certificate| certificate.clone().into_owned()).collect();
        let path = self.trust.path(&chain, now).ok();
        let named = ParsedCertificate::try_from(end_entity).and_then(|own| verify_server_name(&own, server_name));
        let verdict = if path.is_some() && named.is_ok() {
            Ok(ServerCertVerified::assertion())
        } else {
            let verifier = &self.trust.verifier;
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let distrust = verdict.as_ref().err().cloned();
        // Set once: a handshake shows one chain.
        let _shown_before = self.shown.set(Shown { chain, path, staple: ocsp_response.to_vec(), distrust });
        if self.verify { verdict } else { Ok(ServerCertVerified::assertion()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.verifier.supported_verify_schemes()
    }
}
