//! HTTP/3 (RFC 9114): one request over a QUIC connection of its own.
//!
//! QUIC makes the connection and shakes hands at once, in one round trip. `connect` ends when so much of the target's
//! flight has come that TLS has agreed on the protocol; what is left of the handshake is `tls`: judging the chain, and
//! that both know each other. Where the flight comes in one piece nearly all of it is `connect`.
//! A port that nobody listens on is silent: `connect_timeout`. Addresses are tried one after the other, each permitted
//! by the vantage. The connection's tasks end some round trips after the attempt, so that the target hears of its end.
//! What a target sends beside the body is bounded by [`MAX_OVERHEAD_BYTES`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "other crates' enums are open; what they add falls to the general reason"
)]

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use h3::client::{RequestStream, SendRequest};
use h3::error::{Code, StreamError};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Buf, Bytes, Frame};
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response, StatusCode};
use nines_shared::check::HttpQuestion;
use nines_shared::sample::{Phase, Reason};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, TransportConfig, TransportErrorCode, VarInt};
use rustls::AlertDescription;
use rustls::client::ResolvesClientCert;
use url::Host;

use super::super::failure::{self, Failure};
use super::super::handshake::{self, Session};
use super::super::record::Record;
use super::super::resolve::{MAX_ADDRESSES, refusal_of};
use super::super::trust::{Alpn, Shown, Witness};
use super::super::{Look, connect, route};
use super::exchange::{Ask, HARD_HEAD_BYTES, Protocol, WINDOW_BYTES, beside};
use super::request::Target;

/// The most bytes that come in, beside twice those of the body: heads, and what QUIC and HTTP/3 need.
const MAX_OVERHEAD_BYTES: u64 = 2 << 20;
/// How many streams of its own a target may open; HTTP/3 needs three.
const MAX_STREAMS: u8 = 8;
/// `H3_NO_ERROR`: the end is meant.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// A QUIC connection, and what it lives on.
pub(super) struct Quic {
    connection: quinn::Connection,
    /// Without it nothing is sent or received.
    _endpoint: Endpoint,
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.connection.close(NO_ERROR, b"");
    }
}

/// A QUIC connection to `host` for HTTP/3. What the target showed is in `record`, whether or not it was enough.
pub(super) async fn open(
    look: &Look<'_>,
    question: &HttpQuestion,
    (host, port): (Host<&str>, u16),
    client: Option<&Arc<dyn ResolvesClientCert>>,
    record: &mut Record,
) -> Result<Quic, Failure> {
    let unsupported = |why: String| Failure::ours(Reason::Unsupported, Phase::Tls, why);
    let trust = look.prober.trusts.of(question.ca_pem.as_deref()).map_err(unsupported)?;
    let vantage = &look.prober.vantage;
    let mut failure = None;
    for address in
        connect::addresses(look, &host, port, question.reach.family, record).await?.iter().take(MAX_ADDRESSES)
    {
        let (config, witness) = trust.config(Alpn::Http3, true, client);
        let config = QuicClientConfig::try_from(config).map_err(|error| unsupported(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(Arc::new(transport()));
        let dialled = match refusal_of(vantage, *address) {
            Some(refusal) => Err(refusal),
            None => dial(look, SocketAddr::new(*address, port), config, &host, witness, record).await,
        };
        match dialled {
            Ok(quic) => return Ok(quic),
            Err(next) => failure = Some(Failure::or_worse(next, failure)),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::ours(Reason::Internal, Phase::Connect, "no address to dial")))
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from(0_u8))
        .max_concurrent_uni_streams(VarInt::from(MAX_STREAMS))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(2 * WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None);
    transport
}

async fn dial(
    look: &Look<'_>,
    to: SocketAddr,
    config: quinn::ClientConfig,
    host: &Host<&str>,
    witness: Arc<Witness>,
    record: &mut Record,
) -> Result<Quic, Failure> {
    let vantage = &look.prober.vantage;
    if !route::is_there(to, vantage.source) {
        // Quinn takes a refused datagram for one that got lost, and would wait for an answer to it.
        let detail = format!("{to}: this machine has no way there");
        return Err(Failure::ours(Reason::NoRoute, Phase::Connect, detail));
    }
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let bound = Endpoint::client(SocketAddr::new(vantage.source.unwrap_or(any), 0));
    let endpoint = bound.map_err(|error| match vantage.source {
        Some(source) => failure::of_bind(&error, Phase::Connect, source),
        None => Failure::ours(Reason::Resources, Phase::Connect, error.to_string()),
    })?;
    let name = match host {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        Host::Ipv4(v4) => v4.to_string(),
        Host::Ipv6(v6) => v6.to_string(),
    };
    record.contact(to);
    record.enter(Phase::Connect);
    let begun = endpoint.connect_with(config, to, &name);
    let mut begun = begun.map_err(|error| Failure::ours(Reason::Unsupported, Phase::Connect, error.to_string()))?;
    let ended = match begun.handshake_data().await.map(drop) {
        Ok(()) => {
            record.enter(Phase::Tls);
            begun.await
        }
        Err(error) => Err(error),
    };
    record.leave();
    let now = look.prober.clock.now();
    match ended {
        Ok(connection) => {
            let session = Session::of_quic(true, witness, now);
            let revoked = session.revocation();
            record.session = Some(session);
            revoked.map_or(Ok(Quic { connection, _endpoint: endpoint }), Err)
        }
        Err(error) => {
            let session = record.session.insert(Session::of_quic(false, witness, now));
            let failure = of_handshake(&error, session.shown());
            if failure.reason != Reason::TlsUnknownIssuer {
                return Err(failure);
            }
            record.foregone = Some(failure.clone());
            Err(handshake::explain_missing(look, session, failure).await)
        }
    }
}

/// Why no connection was made; `shown` is what the target had shown by then.
fn of_handshake(error: &ConnectionError, shown: Option<&Shown>) -> Failure {
    let theirs = |reason, phase| Failure::theirs(reason, phase, error.to_string());
    if let Some(distrust) = shown.and_then(|shown| shown.distrust.as_ref()) {
        let (reason, detail) = handshake::of_tls(distrust, shown);
        return Failure::theirs(reason, Phase::Tls, detail);
    }
    if let Some(alert) = alert_in(error) {
        let (reason, detail) = handshake::of_tls(&rustls::Error::AlertReceived(alert), shown);
        return Failure::theirs(reason, Phase::Tls, detail);
    }
    match error {
        ConnectionError::TimedOut => theirs(Reason::ConnectTimeout, Phase::Connect),
        ConnectionError::VersionMismatch => theirs(Reason::HttpVersion, Phase::Connect),
        ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            theirs(Reason::ConnectRefused, Phase::Connect)
        }
        ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) | ConnectionError::Reset => {
            theirs(Reason::TlsClosed, Phase::Tls)
        }
        ConnectionError::TransportError(_) => theirs(Reason::TlsMalformed, Phase::Tls),
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            Failure::ours(Reason::Internal, Phase::Connect, error.to_string())
        }
    }
}

/// The alert that TLS ended a connection with, whoever sent it (RFC 9001 §4.8).
fn alert_in(error: &ConnectionError) -> Option<AlertDescription> {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return None,
    };
    let alert = u64::from(code).checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())?;
    Some(AlertDescription::from(alert))
}

/// Asks over `quic`. `None` where the response was the last and is as expected, else the next hop.
pub(super) async fn over<'q>(ask: Ask<'_, 'q>, quic: Quic) -> Result<Option<Target<'q>>, Failure> {
    // Its pseudo-headers are those of HTTP/2.
    let request = ask.request(Protocol::Http2)?;
    ask.record.enter(Phase::FirstByte);
    let connection = &quic.connection;
    let opened = h3::client::builder()
        .max_field_section_size(u64::from(HARD_HEAD_BYTES))
        .send_grease(false)
        .build(h3_quinn::Connection::new(connection.clone()))
        .await;
    let (mut driver, mut sender) = opened.map_err(|error| of_end(connection, Phase::FirstByte, &error.to_string()))?;
    let delivered = Arc::new(AtomicU64::new(0));
    let work = ask.receive(exchange(&mut sender, request, connection, Arc::clone(&delivered)));
    let bounded = within_bounds(connection, &delivered, work);
    beside(poll_fn(|cx| driver.poll_close(cx)), bounded).await
}

/// `work`, unless the target sends much that is no body: the library would keep all of it.
async fn within_bounds<T>(
    connection: &quinn::Connection,
    delivered: &AtomicU64,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let body = delivered.load(Ordering::Relaxed);
        if body.saturating_mul(2).saturating_add(MAX_OVERHEAD_BYTES) < connection.stats().udp_rx.bytes {
            let (reason, phase) = match body {
                0 => (Reason::HttpHeadersTooLarge, Phase::FirstByte),
                _ => (Reason::HttpMalformed, Phase::Transfer),
            };
            let detail = format!("more than {MAX_OVERHEAD_BYTES} bytes came that are no body");
            return Poll::Ready(Err(Failure::theirs(reason, phase, detail)));
        }
        work.as_mut().poll(cx)
    })
    .await
}

async fn exchange(
    sender: &mut SendRequest<h3_quinn::OpenStreams, Bytes>,
    request: Request<Full<Bytes>>,
    connection: &quinn::Connection,
    delivered: Arc<AtomicU64>,
) -> Result<Response<Incoming>, Failure> {
    let broken = |error: StreamError| of_stream(&error, connection, Phase::FirstByte);
    let (head, body) = request.into_parts();
    let has_body = head.method != Method::HEAD;
    let body = body.collect().await.map_or_else(|never| match never {}, |body| body.to_bytes());
    let mut stream = sender.send_request(Request::from_parts(head, ())).await.map_err(broken)?;
    if !body.is_empty() {
        stream.send_data(body).await.map_err(broken)?;
    }
    stream.finish().await.map_err(broken)?;
    let response = stream.recv_response().await.map_err(broken)?;
    let has_body = has_body && !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = response.headers().get(CONTENT_LENGTH).filter(|_| has_body);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(response.map(|()| Incoming { stream, connection: connection.clone(), length, delivered }))
}

/// A response's body as it comes.
pub(super) struct Incoming {
    stream: RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>,
    connection: quinn::Connection,
    /// How long the head says that it is.
    length: Option<u64>,
    delivered: Arc<AtomicU64>,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let next = ready!(self.stream.poll_recv_data(cx)).map(|data| {
            data.map(|mut data| {
                let length = data.remaining();
                data.copy_to_bytes(length)
            })
        });
        Poll::Ready(match next {
            Ok(Some(data)) => {
                self.delivered.fetch_add(data.len() as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(data)))
            }
            Ok(None) => {
                let came = self.delivered.load(Ordering::Relaxed);
                // RFC 9114 §4.1.2.
                self.length.filter(|length| *length != came).map(|length| {
                    let detail = format!("the body has {came} bytes, and the head says {length}");
                    Err(Failure::theirs(Reason::HttpMalformed, Phase::Transfer, detail))
                })
            }
            Err(error) => Some(Err(of_stream(&error, &self.connection, Phase::Transfer))),
        })
    }
}

/// Why an exchange failed in `phase`.
fn of_stream(error: &StreamError, connection: &quinn::Connection, phase: Phase) -> Failure {
    let theirs = |reason| Failure::theirs(reason, phase, error.to_string());
    match error {
        StreamError::HeaderTooBig { .. } => theirs(Reason::HttpHeadersTooLarge),
        StreamError::RemoteTerminate { code, .. } if *code == Code::H3_VERSION_FALLBACK => theirs(Reason::HttpVersion),
        StreamError::StreamError { .. } => theirs(Reason::HttpMalformed),
        StreamError::ConnectionError { .. } => of_end(connection, phase, &error.to_string()),
        _ => theirs(Reason::HttpClosed),
    }
}

/// Why `connection` ended in `phase`; it says itself whose doing it was. Where it has not ended yet the library is
/// about to end it, since the target broke the rules.
fn of_end(connection: &quinn::Connection, phase: Phase, detail: &str) -> Failure {
    let theirs = |reason| Failure::theirs(reason, phase, detail);
    let Some(end) = connection.close_reason() else { return theirs(Reason::HttpMalformed) };
    if let Some(alert) = alert_in(&end) {
        let alert = rustls::Error::AlertReceived(alert);
        return Failure::theirs(handshake::reason_of(&alert), phase, alert.to_string());
    }
    match end {
        ConnectionError::TimedOut if phase == Phase::Transfer => theirs(Reason::BodyTimeout),
        ConnectionError::TimedOut => theirs(Reason::HttpTimeout),
        // What the target sent made us close it.
        ConnectionError::TransportError(_) | ConnectionError::LocallyClosed => theirs(Reason::HttpMalformed),
        ConnectionError::CidsExhausted => Failure::ours(Reason::Internal, phase, detail),
        _ => theirs(Reason::HttpClosed),
    }
}
