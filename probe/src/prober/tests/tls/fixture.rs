//! Authorities, certificates and the targets that show them.

use std::net::SocketAddr;
use std::sync::Arc;

use nines_shared::check::{HostPort, Question, TlsQuestion};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::super::targets::{response, serving};
use super::super::{Observation, TRACE, check, prober};
use crate::prober::trust::provider;

/// An authority for the tests.
pub(in crate::prober::tests) struct Authority {
    pub(in crate::prober::tests) pem: String,
    pub(super) der: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(in crate::prober::tests) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// An authority between `by` and whom it signs, valid until the first day of the year `until`.
    pub(super) fn between(name: &str, by: &Self, until: i32) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &by.issuer).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }
}

/// What a target shows.
pub(in crate::prober::tests) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

pub(in crate::prober::tests) fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shop");
    params.serial_number = Some(SerialNumber::from(7));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}

pub(in crate::prober::tests) fn signed(params: &CertificateParams, by: &Authority) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &by.issuer).unwrap();
    let chain = vec![certificate.der().clone(), by.der.clone()];
    Shown { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
}

pub(super) fn self_signed(params: &CertificateParams) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Shown { chain: vec![certificate.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
}

pub(in crate::prober::tests) fn server(
    shown: Shown,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A target that shakes hands with `config` and answers one HTTP/1.1 request.
pub(super) async fn secured(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut asked = [0; 1];
            if tokio::io::AsyncReadExt::read_exact(&mut stream, &mut asked).await.is_ok() {
                let _gone = stream.write_all(&response("200 OK", "hello")).await;
                let _gone = stream.shutdown().await;
            }
        }
    })
    .await
}

/// Shows `shown` with an OCSP response.
pub(super) fn stapling(shown: Shown, staple: Vec<u8>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert_with_ocsp(shown.chain, shown.key, staple)
        .unwrap()
}

pub(super) async fn showing(shown: Shown) -> SocketAddr {
    secured(server(shown, rustls::ALL_VERSIONS, &[])).await
}

pub(super) fn question(target: SocketAddr, ca: &Authority) -> TlsQuestion {
    let address = HostPort { host: url::Host::Ipv4("127.0.0.1".parse().unwrap()), port: target.port() };
    TlsQuestion { server_name: Some("localhost".into()), ca_pem: Some(ca.pem.clone()), ..TlsQuestion::at(address) }
}

pub(super) async fn ask(question: TlsQuestion, timeout_ms: i64) -> Observation {
    prober().run(&check(Question::Tls(Box::new(question)), timeout_ms), TRACE).await
}
