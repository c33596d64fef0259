//! The HTTP check: one request, its redirects, and what is expected of the last response.
//!
//! Every hop is a new connection, resolved and held against the address rule anew. Nothing is pooled and
//! nothing is kept from sample to sample. Limits: [`MAX_HEADERS`], [`MAX_HEAD_BYTES`], the check's
//! `redirects` and `max_body_bytes`.

mod body;
mod credentials;
mod evidence;
mod exchange;
#[cfg(feature = "http3")]
mod http3;
mod proxy;
mod redirect;
mod request;

#[cfg(feature = "http3")]
use std::sync::Arc;

use hyper::header::LOCATION;
use nines_shared::check::{HttpQuestion, HttpVersion, shown_url};
use nines_shared::sample::{Phase, Reason};
#[cfg(feature = "http3")]
use rustls::client::ResolvesClientCert;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::failure::Failure;
use super::handshake::{self, Terms};
use super::record::Record;
use super::trust::Alpn;
use super::{Look, client_certificate, connect, expect};
pub(super) use evidence::gather;
use exchange::Protocol;
pub(super) use exchange::{AbortOnDrop, HARD_HEAD_BYTES, Tasks, beside, of_http, within_limits};
use proxy::Via;
use request::Target;

/// The most header fields of a response.
pub(crate) const MAX_HEADERS: usize = 100;
/// The most bytes of a response's head.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;

/// Asks `question` once.
pub(crate) async fn ask(look: &Look<'_>, question: &HttpQuestion, record: &mut Record) -> Result<(), Failure> {
    let credentials = credentials::headers(look, question)?;
    let via = question.proxy.as_ref().map(|proxy| Via::new(look, proxy)).transpose()?;
    let mut target = Target::first(question, &credentials, &look.prober.agent, via.as_ref());
    let mut followed = 0;
    loop {
        record.hop(shown_url(&target.url));
        let Some(next) = hop(look, question, &target, record).await? else { return judge(look, question, record) };
        if followed == question.redirects {
            let detail = format!("redirected more than {followed} times; the next would be {}", shown_url(&next.url));
            return Err(Failure::theirs(Reason::RedirectLimit, Phase::FirstByte, detail));
        }
        followed += 1;
        target = next;
    }
}

/// Judges the last response by what its head did not decide.
fn judge(look: &Look<'_>, question: &HttpQuestion, record: &Record) -> Result<(), Failure> {
    evidence::seen(look, record).map_or(Ok(()), |seen| expect::judge_rest(&question.expect, seen))
}

/// One request. `None` where its response was the last, its head is as expected, and its body was read.
async fn hop<'q>(
    look: &Look<'_>,
    question: &'q HttpQuestion,
    target: &Target<'q>,
    record: &mut Record,
) -> Result<Option<Target<'q>>, Failure> {
    let (host, port) = host_port(&target.url)?;
    // Before anybody is contacted: a missing secret says nothing about the target.
    let client = match &question.client_certificate {
        Some(shown) if target.is_home() => Some(client_certificate::of(look, shown)?),
        Some(_) | None => None,
    };
    let secure = target.url.scheme() == "https";
    if question.version == HttpVersion::Http3 {
        #[cfg(feature = "http3")]
        if secure {
            return over_quic(look, question, target, client.as_ref(), record).await;
        }
        return Err(no_http3(secure));
    }
    let tcp = match target.via {
        None => connect::open(look, &host, port, question.reach, record).await?,
        Some(via) if secure => via.tunnel(look, &host, port, record).await?,
        Some(via) => via.open(look, &host, record).await?,
    };
    let ask = exchange::Ask { question, target, trace: look.trace, record };
    if !secure {
        let protocol = plain(question.version, target.via.is_some())?;
        let ended = ask.over(tcp, protocol).await;
        return if target.via.is_some() { proxy::unless_refused(ended, record) } else { ended };
    }
    let (ca_pem, alpn) = (question.ca_pem.as_deref(), alpn(question.version));
    let tunnelled = target.via.is_some();
    let terms = Terms { ca_pem, alpn, tunnelled, client: client.as_ref(), ..Terms::with(&host) };
    let tls = handshake::secure(look, tcp, terms, ask.record).await?;
    let protocol = agreed(&tls, question.version)?;
    ask.over(tls, protocol).await
}

/// One request over HTTP/3.
#[cfg(feature = "http3")]
async fn over_quic<'q>(
    look: &Look<'_>,
    question: &'q HttpQuestion,
    target: &Target<'q>,
    client: Option<&Arc<dyn ResolvesClientCert>>,
    record: &mut Record,
) -> Result<Option<Target<'q>>, Failure> {
    let quic = http3::open(look, question, host_port(&target.url)?, client, record).await?;
    http3::over(exchange::Ask { question, target, trace: look.trace, record }, quic).await
}

/// The protocol to speak without TLS; nobody agrees on one there.
fn plain(version: HttpVersion, through_proxy: bool) -> Result<Protocol, Failure> {
    match version {
        HttpVersion::Any | HttpVersion::Http1 => Ok(Protocol::Http1),
        HttpVersion::Http2 if through_proxy => {
            let detail = "HTTP/2 without TLS, where the check was redirected to, does not go through a proxy";
            Err(Failure::ours(Reason::Unsupported, Phase::FirstByte, detail))
        }
        HttpVersion::Http2 => Ok(Protocol::Http2),
        HttpVersion::Http3 => Err(no_http3(false)),
    }
}

/// Why HTTP/3 is not spoken here.
fn no_http3(secure: bool) -> Failure {
    let detail = match secure {
        true => "this probe was built without HTTP/3; build it with the cargo feature http3",
        false => "HTTP/3 is spoken over TLS only, and the check was redirected to where there is none",
    };
    Failure::ours(Reason::Unsupported, Phase::Connect, detail)
}

fn host_port(url: &Url) -> Result<(Host<&str>, u16), Failure> {
    match (url.host(), url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok((host, port)),
        (Some(_), None) | (None, Some(_) | None) => {
            let detail = format!("{} names no host", shown_url(url));
            Err(Failure::ours(Reason::Unsupported, Phase::Resolve, detail))
        }
    }
}

const fn alpn(version: HttpVersion) -> Alpn {
    match version {
        HttpVersion::Any => Alpn::Any,
        HttpVersion::Http1 => Alpn::Http1,
        HttpVersion::Http2 => Alpn::Http2,
        HttpVersion::Http3 => Alpn::Http3,
    }
}

/// The protocol that the handshake agreed on, which must be one that `wanted` allows.
fn agreed(tls: &TlsStream<TcpStream>, wanted: HttpVersion) -> Result<Protocol, Failure> {
    match (tls.get_ref().1.alpn_protocol(), wanted) {
        (Some(b"h2"), HttpVersion::Any | HttpVersion::Http2) => Ok(Protocol::Http2),
        (_, HttpVersion::Any | HttpVersion::Http1) => Ok(Protocol::Http1),
        (_, HttpVersion::Http2 | HttpVersion::Http3) => {
            let detail = "the target does not agree on HTTP/2 (ALPN h2)";
            Err(Failure::theirs(Reason::HttpVersion, Phase::Tls, detail))
        }
    }
}
