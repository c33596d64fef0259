//! The probes' door as a hostile or clumsy probe would use it: real mutual TLS, any bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nines_shared::wire::{AGGREGATOR_NAME, BATCHES_PATH};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A way in with the identity of one enrolled probe.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    runtime: tokio::runtime::Runtime,
}

impl Door {
    /// The door at `address` with the key and the certificate that lie in a probe's `state`.
    pub fn with_identity(address: SocketAddr, state: &Path) -> Self {
        let identity = state.join("identity.pem");
        let key = PrivateKeyDer::from_pem_file(&identity).expect("a probe has a key");
        let mut certificates = CertificateDer::pem_file_iter(&identity).expect("a probe has a certificate");
        let own = certificates.next().expect("its own comes first").expect("PEM");
        let mut roots = RootCertStore::empty();
        for ca in certificates {
            roots.add(ca.expect("PEM")).expect("the authority can be trusted");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own], key)
            .expect("key and certificate belong together");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        Self { address, config: Arc::new(config), runtime }
    }

    /// Delivers `batch` as a probe would: JSON, zstd.
    pub fn deliver(&self, batch: &serde_json::Value) -> (StatusCode, serde_json::Value) {
        let json = serde_json::to_vec(batch).expect("JSON can be written");
        self.post(zstd::encode_all(json.as_slice(), 1).expect("memory can be compressed"))
    }

    /// Posts `bytes` as a compressed batch.
    pub fn post(&self, bytes: Vec<u8>) -> (StatusCode, serde_json::Value) {
        self.runtime.block_on(self.exchange(bytes))
    }

    async fn exchange(&self, bytes: Vec<u8>) -> (StatusCode, serde_json::Value) {
        let tcp = TcpStream::connect(self.address).await.expect("the door is open");
        let name = ServerName::try_from(AGGREGATOR_NAME).expect("the aggregator's name is a name");
        let tls = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await.expect("the probe is let in");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.expect("HTTP/1.1 is spoken");
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(BATCHES_PATH)
            .header("host", AGGREGATOR_NAME)
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(Full::new(Bytes::from(bytes)))
            .expect("the request is well-formed");
        let response = sender.send_request(request).await.expect("the aggregator answers");
        let status = response.status();
        let body = response.into_body().collect().await.expect("the answer is whole").to_bytes();
        driver.abort();
        (status, serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null))
    }
}
