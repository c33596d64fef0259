//! What all channels dial with: connections to addresses that the fleet file allows, and over them one HTTP request
//! under one deadline.
//!
//! The name is resolved once and the address that was judged is the address that is connected to, so a name that
//! changes its mind in between gains nothing. It follows no redirect, reads no more of an answer than
//! [`MAX_ANSWER_BYTES`], and keeps no connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use nines_shared::address::{AddressRule, Forbidden};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

/// How long one attempt may take in all: resolve, connect, handshake, answer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes of an answer's body that are read; what is beyond does not matter to us.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;
/// The most bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a web address.
    #[error("{0} is not an address that alerts can be sent to; write https://host/…")]
    Url(String),
    /// The name has no address.
    #[error("{host} can't be resolved: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        why: String,
    },
    /// The address is not one that may be contacted.
    #[error("{0} is not a public address; allow it in the fleet file: [aggregator] webhook_allow = [\"{0}\"]")]
    Forbidden(IpAddr),
    /// No connection.
    #[error("can't connect to {address}: {why}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        why: std::io::Error,
    },
    /// No TLS session.
    #[error("no TLS with {host}: {why}")]
    Tls {
        /// With whom.
        host: String,
        /// Why.
        why: String,
    },
    /// The exchange broke off.
    #[error("{0}")]
    Exchange(#[from] hyper::Error),
    /// The request can't be written down.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// It took too long.
    #[error("no answer within {}s", DEADLINE.as_secs())]
    Deadline,
}

/// Sends requests. Cheap to clone; clones share the roots.
#[derive(Clone, Debug)]
pub struct Client {
    rule: AddressRule,
    tls: Arc<ClientConfig>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: &'a Url,
    /// Beside host, length and user agent.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Roots to trust in the place of the client's own, as PEM.
    pub ca_pem: Option<&'a str>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body, at most [`MAX_ANSWER_BYTES`]; empty where that was too much.
    pub body: Vec<u8>,
}

impl Client {
    /// A client that trusts Mozilla's roots and contacts public addresses and those in `allow`.
    pub fn new(allow: &[ipnet::IpNet]) -> Self {
        Self::trusting(allow, RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()))
    }

    /// [`Client::new`] with other roots.
    pub fn trusting(allow: &[ipnet::IpNet], roots: RootCertStore) -> Self {
        Self { rule: AddressRule::new(allow.to_vec(), Vec::new()), tls: Arc::new(config(roots)) }
    }

    /// Sends `request` and reads the answer, within [`DEADLINE`].
    ///
    /// # Errors
    /// [`ClientError`], where there is no answer. Whether it was acted upon is then not known.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, ClientError> {
        timeout(DEADLINE, self.exchange(request)).await.unwrap_or(Err(ClientError::Deadline))
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Answer, ClientError> {
        let url = request.url;
        let unusable = || ClientError::Url(nines_shared::check::shown_url(url));
        let host = url.host().ok_or_else(unusable)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        let stream = self.connect(&host, port).await?;
        match url.scheme() {
            "http" => talk(stream, request).await,
            "https" => talk(self.secure(&host, stream, request.ca_pem).await?, request).await,
            _ => Err(unusable()),
        }
    }

    /// TLS with `host` over `stream`: its certificate leads to the roots in `ca_pem`, or else to the client's own.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub async fn secure(
        &self,
        host: &Host,
        stream: TcpStream,
        ca_pem: Option<&str>,
    ) -> Result<TlsStream<TcpStream>, ClientError> {
        let named = |why: String| ClientError::Tls { host: host.to_string(), why };
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|why| named(why.to_string()))?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        let config = match ca_pem {
            Some(pem) => Arc::new(config(roots(pem).map_err(named)?)),
            None => Arc::clone(&self.tls),
        };
        TlsConnector::from(config).connect(name, stream).await.map_err(|why| named(why.to_string()))
    }

    /// Connects to the first address of `host` that answers; every one that is tried has passed the rule.
    ///
    /// # Errors
    /// [`ClientError`], where there is no connection.
    pub async fn connect(&self, host: &Host, port: u16) -> Result<TcpStream, ClientError> {
        let mut failure = ClientError::Resolve { host: host.to_string(), why: "it has no address".to_owned() };
        for address in addresses(host, port).await?.into_iter().take(MAX_ADDRESSES) {
            if let Err(Forbidden::NotPublic { address, .. } | Forbidden::Denied { address, .. }) =
                self.rule.check(address.ip())
            {
                failure = ClientError::Forbidden(address);
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) => failure = ClientError::Connect { address, why },
            }
        }
        Err(failure)
    }
}

fn config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|why| format!("the ca's file is not PEM: {why}"))?;
        roots.add(certificate).map_err(|why| format!("the ca's file holds no root: {why}"))?;
    }
    Ok(roots)
}

async fn addresses(host: &Host, port: u16) -> Result<Vec<SocketAddr>, ClientError> {
    match host {
        Host::Ipv4(address) => Ok(vec![SocketAddr::from((*address, port))]),
        Host::Ipv6(address) => Ok(vec![SocketAddr::from((*address, port))]),
        Host::Domain(name) => {
            let found = lookup_host((name.as_str(), port)).await;
            let found = found.map_err(|why| ClientError::Resolve { host: name.clone(), why: why.to_string() })?;
            Ok(found.collect())
        }
    }
}

/// One exchange over `stream`, which is closed after it.
async fn talk<S>(stream: S, request: Request<'_>) -> Result<Answer, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(written(request)?).await?;
        let (head, body) = answer.into_parts();
        // A body that is too long or breaks off takes nothing from the status, which is all that decides.
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_or_else(|_cut| Vec::new(), |body| body.to_bytes().to_vec());
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(why) => Err(why.into()),
        },
    }
}

fn written(request: Request<'_>) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    let url = request.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut builder = hyper::Request::builder()
        .method(request.method)
        .uri(target.parse::<Uri>()?)
        .header(HOST, authority)
        .header(CONNECTION, "close")
        .header(USER_AGENT, concat!("nines/", env!("CARGO_PKG_VERSION")));
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(request.body)))
}
