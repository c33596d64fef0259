//! The HTTP client of channels: one request on one connection, under one deadline, to addresses that the fleet
//! file allows.
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
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
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
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { rule: AddressRule::new(allow.to_vec(), Vec::new()), tls: Arc::new(config) }
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
            "https" => {
                let named = |why: String| ClientError::Tls { host: host.to_string(), why };
                let name = match &host {
                    Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|why| named(why.to_string()))?,
                    Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
                    Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
                };
                let connector = TlsConnector::from(Arc::clone(&self.tls));
                talk(connector.connect(name, stream).await.map_err(|why| named(why.to_string()))?, request).await
            }
            _ => Err(unusable()),
        }
    }

    /// Connects to the first address of `host` that answers; every one that is tried has passed the rule.
    async fn connect(&self, host: &Host, port: u16) -> Result<TcpStream, ClientError> {
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
