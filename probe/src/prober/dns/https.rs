//! DNS over HTTPS (RFC 8484): a POST over one connection, HTTP/2 or HTTP/1.1 as ALPN agreed.
//!
//! Follows no redirect and decodes no encoding: a server of DNS answers 200 with a message, and anything else
//! is not one. Limits: the head's of the HTTP prober, [`MAX_BODY`].

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::TokioIo;
use nines_shared::sample::{Outcome, Phase, Reason};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use url::Url;

use super::super::failure::Failure;
use super::super::http::{AbortOnDrop, MAX_HEAD_BYTES, MAX_HEADERS, Tasks, beside, of_http};

/// The media type of a DNS message.
const MESSAGE: &str = "application/dns-message";
/// The most bytes of a body: no message is longer.
const MAX_BODY: usize = 65_535;
/// Beyond this an HTTP/2 head is not taken in.
const MAX_H2_HEAD_BYTES: u32 = 64 << 10;

/// What `url` answers to `question` over `stream`, asked by `agent`.
pub(super) async fn post(
    stream: TlsStream<TcpStream>,
    url: &Url,
    agent: &HeaderValue,
    question: &[u8],
) -> Result<Vec<u8>, Failure> {
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let request = request(url, agent, question, two)?;
    let io = TokioIo::new(stream);
    if two {
        let tasks = Tasks::default();
        let opened = http2::Builder::new(tasks.clone()).max_header_list_size(MAX_H2_HEAD_BYTES).handshake(io).await;
        let _ends_with_us = AbortOnDrop(tasks);
        let (mut sender, connection) = opened.map_err(|error| of_exchange(&error))?;
        return beside(connection, receive(sender.send_request(request))).await;
    }
    let opened = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(2 * MAX_HEAD_BYTES)
        .handshake(io)
        .await;
    let (mut sender, connection) = opened.map_err(|error| of_exchange(&error))?;
    beside(connection, receive(sender.send_request(request))).await
}

fn request(url: &Url, agent: &HeaderValue, question: &[u8], two: bool) -> Result<Request<Full<Bytes>>, Failure> {
    let authority = url.authority();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let message = HeaderValue::from_static(MESSAGE);
    let builder = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, &message)
        .header(ACCEPT, &message)
        .header(USER_AGENT, agent);
    let builder = if two {
        builder.version(Version::HTTP_2).uri(format!("https://{authority}{target}"))
    } else {
        builder.uri(target).header(HOST, authority)
    };
    builder
        .body(Full::new(Bytes::copy_from_slice(question)))
        .map_err(|error| Failure::ours(Reason::Unsupported, Phase::Resolve, format!("{url} can't be asked: {error}")))
}

async fn receive(response: impl Future<Output = hyper::Result<Response<Incoming>>>) -> Result<Vec<u8>, Failure> {
    let (head, mut body) = response.await.map_err(|error| of_exchange(&error))?.into_parts();
    judge_head(head.status.as_u16(), &head.headers)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| of_exchange(&error))?;
        take(&mut bytes, frame.data_ref().map_or(&[], |data| &data[..]))?;
    }
    Ok(bytes)
}

fn take(bytes: &mut Vec<u8>, more: &[u8]) -> Result<(), Failure> {
    if MAX_BODY < bytes.len() + more.len() {
        return Err(of_http_answer(format!("the body is longer than {MAX_BODY} bytes, which no DNS message is")));
    }
    bytes.extend_from_slice(more);
    Ok(())
}

/// Whether a response's head is one of DNS over HTTPS.
fn judge_head(status: u16, headers: &HeaderMap) -> Result<(), Failure> {
    if status != 200 {
        return Err(of_http_answer(format!("the HTTP status is {status}; 200 is expected")));
    }
    let shown = headers.get(CONTENT_TYPE).map_or("nothing".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    let media = shown.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case(MESSAGE) {
        return Err(of_http_answer(format!("the content-type is {shown:?}; {MESSAGE} is expected")));
    }
    Ok(())
}

fn of_http_answer(detail: String) -> Failure {
    Failure::theirs(Reason::DnsHttp, Phase::Resolve, detail)
}

/// Why there was no HTTP answer: what broke HTTP is the server's, and TLS and our own faults keep their reasons.
fn of_exchange(error: &hyper::Error) -> Failure {
    let failure = of_http(error, Phase::Resolve);
    let http = [Reason::HttpClosed, Reason::HttpMalformed, Reason::HttpHeadersTooLarge, Reason::HttpVersion];
    if failure.outcome == Outcome::Down && http.contains(&failure.reason) {
        return Failure { reason: Reason::DnsHttp, ..failure };
    }
    if failure.reason == Reason::HttpTimeout { Failure { reason: Reason::DnsTimeout, ..failure } } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_with_a_message_is_an_answer() {
        for (status, media, right) in [
            (200, Some(MESSAGE), true),
            (200, Some("Application/DNS-Message; charset=x"), true),
            (200, Some("text/html"), false),
            (200, None, false),
            (204, Some(MESSAGE), false),
            (404, Some(MESSAGE), false),
        ] {
            let headers = media.map(|media| (CONTENT_TYPE, HeaderValue::from_static(media))).into_iter().collect();
            let judged = judge_head(status, &headers).map_err(|failure| failure.reason);
            assert_eq!(judged, if right { Ok(()) } else { Err(Reason::DnsHttp) }, "{status} {media:?}");
        }
    }

    #[test]
    fn the_request_names_the_host_as_its_version_does() {
        const AGENT: HeaderValue = HeaderValue::from_static("me");
        let url: Url = "https://dns.example:8443/dns-query?a=b".parse().unwrap();
        let one = request(&url, &AGENT, b"q", false).unwrap();
        assert_eq!(one.uri().to_string(), "/dns-query?a=b");
        assert_eq!(
            (&one.headers()[HOST], &one.headers()[USER_AGENT]),
            (&HeaderValue::from_static("dns.example:8443"), &AGENT)
        );
        let two = request(&url, &AGENT, b"q", true).unwrap();
        assert_eq!(two.uri().to_string(), "https://dns.example:8443/dns-query?a=b");
        assert!(!two.headers().contains_key(HOST));
    }

    /// However a response is made and cut into pieces: what is kept is its body within the limit, or it is
    /// refused as no answer.
    #[test]
    fn fuzz_a_response_is_taken_whole_or_refused() {
        bolero::check!().with_type::<(u16, Vec<u8>, Vec<Vec<u8>>, u8)>().for_each(|(status, media, pieces, times)| {
            let media = HeaderValue::from_bytes(media).ok().map(|value| (CONTENT_TYPE, value));
            if let Err(failure) = judge_head(*status, &media.into_iter().collect()) {
                assert_eq!((failure.outcome, failure.reason), (Outcome::Down, Reason::DnsHttp));
            } else {
                assert_eq!(*status, 200);
            }
            let all: Vec<&[u8]> = (0..=*times).flat_map(|_| pieces.iter().map(Vec::as_slice)).collect();
            let whole = all.concat();
            let mut bytes = Vec::new();
            let taken = all.into_iter().try_for_each(|piece| take(&mut bytes, piece));
            assert_eq!(taken.is_ok(), whole.len() <= MAX_BODY);
            assert!(bytes.len() <= MAX_BODY && whole.starts_with(&bytes));
        });
    }
}
