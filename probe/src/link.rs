//! One kept-alive HTTPS connection to the aggregator: a request out, its whole answer in, within limits.
//!
//! Owns dialling, the TLS session and the connection's life. Knows nothing of what is said over it, never
//! retries, and takes the aggregator for what it claims only where the private authority signed it for
//! [`AGGREGATOR_NAME`], whatever host was dialled. Cutting a request short is safe: the connection is given up.

pub mod backoff;
mod retry_after;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nines_shared::wire::{AGGREGATOR_NAME, AUTHORITIES_HEADER, BOOT_HEADER, MAX_WAIT_MS};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::identity::Credentials;

/// How long the way to a usable connection may take: name, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The port of an `https` address that names none.
const HTTPS_PORT: u16 = 443;

/// A connection to the aggregator, made when first needed and made anew when it breaks.
#[derive(Debug)]
pub struct Link {
    host: String,
    port: u16,
    credentials: Arc<Credentials>,
    open: Option<Open>,
}

/// An open connection.
#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// What it was made with.
    tls: Arc<ClientConfig>,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Query {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path, with its query string.
    pub path: String,
    /// The `content-encoding` of the body, where it has one.
    pub encoding: Option<&'static str>,
    /// The body, JSON; empty for `GET`.
    pub body: Bytes,
    /// How long the whole answer may take once there is a connection.
    pub patience: Duration,
    /// The most bytes of the answer's body.
    pub max_answer: usize,
}

/// How long an answer to a long poll may take beyond the wait itself.
const POLL_MARGIN: Duration = Duration::from_secs(10);
/// Polls that bring nothing new are at least this far apart, whatever the aggregator answers.
pub const MIN_POLL_PACE: Duration = Duration::from_secs(1);

impl Query {
    /// A long poll at `path`: what is there beside what we `have`, as soon as there is something.
    pub fn poll(path: &str, have: &str, max_answer: usize) -> Self {
        let have: String = url::form_urlencoded::byte_serialize(have.as_bytes()).collect();
        Self {
            method: Method::GET,
            path: format!("{path}?have={have}&wait_ms={MAX_WAIT_MS}"),
            encoding: None,
            body: Bytes::new(),
            patience: Duration::from_millis(MAX_WAIT_MS) + POLL_MARGIN,
            max_answer,
        }
    }
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
    /// How long the aggregator asks to be left alone, where it does.
    pub retry_after: Option<Duration>,
    /// When the request was sent, on the connection that was ready by then.
    pub sent: Instant,
}

/// Why there is no answer. Each of them means: not delivered.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The host has no address, or none of them takes a connection.
    #[error("can't connect to {host}:{port}: {source}")]
    Connect {
        /// As dialled.
        host: String,
        /// As dialled.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// The handshake failed: not our aggregator, or it does not want us.
    #[error("no TLS with {host}:{port}: {source}")]
    Tls {
        /// As dialled.
        host: String,
        /// As dialled.
        port: u16,
        /// What rustls says.
        source: std::io::Error,
    },
    /// Nothing usable within the time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer's body could not be read.
    #[error("the answer could not be read: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Link {
    /// A link to the aggregator at `url` that shows `credentials`, as they are when it asks.
    pub fn new(url: &Url, credentials: Arc<Credentials>) -> Self {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Self { host, port: url.port().unwrap_or(HTTPS_PORT), credentials, open: None }
    }

    /// Sends `query` and reads the whole answer.
    ///
    /// # Errors
    /// [`LinkError`]; the connection is made anew next time.
    pub async fn ask(&mut self, query: Query) -> Result<Answer, LinkError> {
        let mut open = self.ready().await?;
        let patience = query.patience;
        let answer = timeout(patience, exchange(&mut open.sender, query, &self.credentials)).await;
        let answer = answer.unwrap_or(Err(LinkError::Timeout(patience)))?;
        self.open = Some(open);
        Ok(answer)
    }

    /// A connection that takes a request now: the one before, where it still stands and shows what we have, or a new
    /// one.
    async fn ready(&mut self) -> Result<Open, LinkError> {
        let tls = self.credentials.tls();
        if let Some(mut open) = self.open.take_if(|open| Arc::ptr_eq(&open.tls, &tls))
            && poll_fn(|context| open.sender.poll_ready(context)).await.is_ok()
        {
            return Ok(open);
        }
        self.open = None;
        timeout(CONNECT_TIMEOUT, self.connect(tls)).await.unwrap_or(Err(LinkError::Timeout(CONNECT_TIMEOUT)))
    }

    async fn connect(&self, config: Arc<ClientConfig>) -> Result<Open, LinkError> {
        let (host, port) = (self.host.clone(), self.port);
        let dialled = TcpStream::connect((host.as_str(), port)).await.and_then(|tcp| {
            tcp.set_nodelay(true)?;
            Ok(tcp)
        });
        let tcp = dialled.map_err(|source| LinkError::Connect { host: host.clone(), port, source })?;
        let name = ServerName::try_from(AGGREGATOR_NAME).expect("the constant is a DNS name");
        let tls = TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await;
        let tls = tls.map_err(|source| LinkError::Tls { host, port, source })?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(tls)).await?;
        // Ends when the sender is dropped or the peer hangs up; whoever waits for an answer gets the error.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "link.ended");
            }
        });
        Ok(Open { sender, tls: config })
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    query: Query,
    credentials: &Credentials,
) -> Result<Answer, LinkError> {
    let mut request = Request::builder()
        .method(query.method)
        .uri(query.path)
        .header(HOST, AGGREGATOR_NAME)
        .header(ACCEPT, "application/json")
        .header(BOOT_HEADER, credentials.boot_id());
    if !query.body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(encoding) = query.encoding {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    let request = request.body(Full::new(query.body)).expect("our own paths and headers are well-formed");
    let sent = Instant::now();
    let (head, body) = sender.send_request(request).await?.into_parts();
    if let Some(authorities) = head.headers.get(AUTHORITIES_HEADER).and_then(|value| value.to_str().ok()) {
        credentials.told(authorities);
    }
    let retry_after = retry_after::of(&head.headers);
    let body = Limited::new(body, query.max_answer).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { LinkError::TooLarge(query.max_answer) } else { LinkError::Body(error) }
    })?;
    Ok(Answer { status: head.status, body: body.to_bytes(), retry_after, sent })
}
