//! A stand-in for the aggregator in tests: real TLS with a private authority, answers as the test says.

use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nines_shared::seal;
use nines_shared::time::Timestamp;
use nines_shared::wire::{AGGREGATOR_NAME, Ack, Batch, Refusal};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    SigningKey as _,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::identity::{IDENTITY_FILE, Identity};

/// A private authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem();
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), certificate, pem }
    }

    /// The token that would let in whoever knows "secret".
    pub(crate) fn token(&self) -> String {
        format!("secret.{}", HEXLOWER.encode(digest(&SHA256, self.certificate.der()).as_ref()))
    }

    /// `object` with our signature.
    pub(crate) fn seal(&self, object: Vec<u8>) -> Vec<u8> {
        let signature = self.issuer.key().sign(&seal::message(&object)).unwrap();
        seal::seal(object, &signature)
    }

    /// A certificate of the key in `csr` for `probe` in `region`.
    pub(crate) fn sign(&self, csr: &str, probe: &str, region: &str) -> String {
        let public_key = CertificateSigningRequestParams::from_pem(csr).unwrap().public_key;
        let request = CertificateSigningRequestParams { params: named(probe, region), public_key };
        request.signed_by(&self.issuer).unwrap().pem()
    }
}

fn named(probe: &str, region: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, probe);
    params.distinguished_name.push(DnType::OrganizationalUnitName, region);
    params
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    /// Decompressed.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn batch(&self) -> Option<Batch> {
        self.path.starts_with("/v1/batches").then(|| serde_json::from_slice(&self.body).unwrap())
    }
}

/// What to answer.
pub(crate) enum Reply {
    Says(StatusCode, Vec<u8>),
    /// Come again after so many seconds.
    Later(u64),
    /// Hang up without a word.
    Drop,
    /// Never answer.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        Self::Says(StatusCode::from_u16(status).unwrap(), serde_json::to_vec(value).unwrap())
    }

    pub(crate) fn refusal(status: u16, sample: Option<usize>) -> Self {
        Self::json(status, &Refusal { error: "test".into(), message: "no".into(), sample })
    }

    pub(crate) fn ack(batch: &Batch, now: Timestamp) -> Self {
        Self::json(200, &Ack { samples: batch.samples.len(), stored: batch.samples.len(), now })
    }
}

type Script = dyn Fn(&Seen, &Authority) -> Reply + Send + Sync;

/// A server that answers as its script says, until dropped.
pub(crate) struct StandIn {
    pub(crate) url: Url,
    pub(crate) authority: Arc<Authority>,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: tokio::task::AbortHandle,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl StandIn {
    pub(crate) async fn start(script: impl Fn(&Seen, &Authority) -> Reply + Send + Sync + 'static) -> Self {
        let authority = Arc::new(Authority::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tls = TlsAcceptor::from(Arc::new(server_config(&authority)));
        let room = Room { script: Arc::new(script), authority: Arc::clone(&authority), seen: Arc::clone(&seen) };
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(tcp, tls.clone(), room.clone()));
            }
        });
        Self { url, authority, seen, accepting: accepting.abort_handle() }
    }

    /// What has come so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Writes an identity into `state` as joining would, and loads it.
    pub(crate) fn enrol(&self, state: &Path, probe: &str, region: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = named(probe, region).signed_by(&key, &self.authority.issuer).unwrap();
        let all = [key.serialize_pem(), certificate.pem(), self.authority.pem.clone()].concat();
        std::fs::write(state.join(IDENTITY_FILE), all).unwrap();
        Identity::load(state).unwrap()
    }
}

#[derive(Clone)]
struct Room {
    script: Arc<Script>,
    authority: Arc<Authority>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn server_config(authority: &Authority) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new([AGGREGATOR_NAME.to_owned()]).unwrap().signed_by(&key, &authority.issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
        .with_single_cert(
            vec![leaf.der().clone(), authority.certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap()
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, room: Room) {
    let Ok(stream) = tls.accept(tcp).await else { return };
    let service = service_fn(move |request: Request<Incoming>| answer(request, room.clone()));
    // A connection that the script drops ends with an error; that is the test's wish.
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, room: Room) -> Result<Response<Full<Bytes>>, &'static str> {
    let path = request.uri().to_string();
    let compressed = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "zstd");
    let body = request.into_body().collect().await.map_err(|_| "cut short")?.to_bytes();
    let body = if compressed { zstd::stream::decode_all(&body[..]).unwrap() } else { body.to_vec() };
    let seen = Seen { path, body };
    room.seen.lock().unwrap().push(seen.clone());
    match (room.script)(&seen, &room.authority) {
        Reply::Says(status, body) => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            Ok(response)
        }
        Reply::Later(seconds) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert("retry-after", seconds.into());
            Ok(response)
        }
        Reply::Drop => Err("dropped"),
        Reply::Hang => std::future::pending().await,
    }
}
