//! HTTP/3 against good and hostile targets.

use std::sync::Arc;
use std::time::Duration;

use h3::error::Code;
use h3::server::RequestStream;
use hyper::body::Bytes;
use hyper::{Request, Response};
use nines_shared::check::HttpVersion;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::mpsc;

use super::super::trust::provider;
use super::secrets::Authority;
use super::targets::{self, response_with};
use super::*;

type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// An endpoint that shows a certificate of `ca` for `name` and agrees on `alpn`.
fn listening(ca: &Authority, name: &str, alpn: &str) -> (Endpoint, SocketAddr) {
    let (certificate, key) = ca.sign(name);
    let config = ServerConfig::builder_with_provider(Arc::new(provider()));
    let config = config.with_protocol_versions(&[&rustls::version::TLS13]).unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let config = QuicServerConfig::try_from(config).unwrap();
    let endpoint =
        Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(config)), "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

/// A target that does `serve` with every request over HTTP/3.
fn serving<F, S>(ca: &Authority, serve: S) -> SocketAddr
where
    S: Fn(Request<()>, Stream) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (endpoint, address) = listening(ca, "127.0.0.1", "h3");
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let opened = h3::server::Connection::new(h3_quinn::Connection::new(connection)).await;
                let Ok(mut connection) = opened else { return };
                while let Ok(Some(asked)) = connection.accept().await {
                    let Ok((request, stream)) = asked.resolve_request().await else { return };
                    tokio::spawn(serve(request, stream));
                }
            });
        }
    });
    address
}

/// Sends a head with `headers`, and then `body`.
async fn answer(stream: &mut Stream, status: u16, headers: &[(&str, String)], body: &'static [u8]) {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    let _gone = stream.send_response(response.body(()).unwrap()).await;
    let _gone = stream.send_data(Bytes::from_static(body)).await;
}

fn over_http3(ca: &Authority, target: SocketAddr) -> HttpQuestion {
    let asked = get(&format!("https://{target}/a?b"));
    HttpQuestion { version: HttpVersion::Http3, ca_pem: Some(ca.pem.clone()), ..asked }
}

async fn asked(question: HttpQuestion, timeout_ms: i64) -> Observation {
    prober().run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await
}

#[tokio::test]
async fn http3_is_spoken_and_what_was_seen_is_told() {
    let ca = Authority::new();
    let (tell, mut seen_there) = mpsc::channel(1);
    let target = serving(&ca, move |request, mut stream| {
        let tell = tell.clone();
        async move {
            let mut body = Vec::new();
            while let Ok(Some(data)) = stream.recv_data().await {
                body.extend_from_slice(hyper::body::Buf::chunk(&data));
            }
            answer(&mut stream, 200, &[("content-length", "5".into())], b"hello").await;
            let _gone = stream.finish().await;
            tell.send((request, body)).await.unwrap();
        }
    });
    let mut question = over_http3(&ca, target);
    question.method = "POST".into();
    question.body = Some("what".into());
    question.expect.body_contains = vec!["hello".into()];
    let seen = asked(question, LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let hop = &seen.evidence.hops[0];
    assert_eq!((hop.version.as_deref(), hop.status, hop.address), (Some("HTTP/3"), Some(200), Some(target)));
    for phase in [Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Transfer] {
        assert!(seen.phases_us.get(phase).is_some(), "{phase}: {seen:?}");
    }
    let tls = seen.evidence.tls.unwrap();
    assert_eq!((tls.version.as_deref(), tls.alpn.as_deref(), tls.chain.len()), (Some("TLSv1.3"), Some("h3"), 1));
    let (request, body) = seen_there.recv().await.unwrap();
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", format!("https://{target}/a?b")));
    assert!(request.headers().contains_key("traceparent") && !request.headers().contains_key("host"));
    assert_eq!(body, b"what");
}

#[tokio::test]
async fn http3_every_fault_of_a_handshake_has_its_reason_and_phase() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let keep = |(endpoint, address): (Endpoint, SocketAddr)| {
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move { incoming.await.map(drop) });
            }
        });
        address
    };
    let table = [
        ("silence", silent.local_addr().unwrap(), SHORT_MS, down(Reason::ConnectTimeout, Phase::Connect)),
        (
            "another authority",
            keep(listening(&stranger, "127.0.0.1", "h3")),
            LONG_MS,
            down(Reason::TlsUnknownIssuer, Phase::Tls),
        ),
        ("another name", keep(listening(&ca, "localhost", "h3")), LONG_MS, down(Reason::TlsWrongName, Phase::Tls)),
        ("another protocol", keep(listening(&ca, "127.0.0.1", "dot")), LONG_MS, down(Reason::HttpVersion, Phase::Tls)),
    ];
    for (fault, target, timeout_ms, wanted) in table {
        let seen = asked(over_http3(&ca, target), timeout_ms).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert_eq!(seen.evidence.address, Some(target), "{fault}");
        let shown = seen.evidence.tls.map_or(0, |tls| tls.chain.len());
        assert_eq!(shown == 1, fault.contains("authority") || fault.contains("name"), "{fault}");
    }
}

#[tokio::test]
async fn http3_every_fault_of_a_response_has_its_reason_and_phase() {
    let ca = Authority::new();
    let target = serving(&ca, |request, mut stream| async move {
        let many: Vec<(&str, String)> = (0..200).map(|_| ("x-many", "y".to_owned())).collect();
        match request.uri().path() {
            "/status" => answer(&mut stream, 500, &[], b"oops").await,
            "/many" => answer(&mut stream, 200, &many, b"").await,
            "/huge" => answer(&mut stream, 200, &[("x", "y".repeat(100_000))], b"").await,
            "/short" => answer(&mut stream, 200, &[("content-length", "9".into())], b"hello").await,
            "/headless" => stream.send_data(Bytes::from_static(b"hello")).await.unwrap(),
            "/reset" => return stream.stop_stream(Code::H3_INTERNAL_ERROR),
            "/cut" => {
                answer(&mut stream, 200, &[], b"hello").await;
                // What came before must arrive before the reset overtakes it.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return stream.stop_stream(Code::H3_INTERNAL_ERROR);
            }
            "/silence" => return std::future::pending().await,
            "/drip" => loop {
                answer(&mut stream, 200, &[], b"x").await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            },
            _ => loop {
                answer(&mut stream, 200, &[], b"").await;
                while stream.send_data(Bytes::from_static(&[b'x'; 16_384])).await.is_ok() {}
                return;
            },
        }
        let _gone = stream.finish().await;
    });
    let table = [
        ("/status", LONG_MS, down(Reason::HttpStatus, Phase::FirstByte)),
        ("/many", LONG_MS, down(Reason::HttpHeadersTooLarge, Phase::FirstByte)),
        ("/huge", LONG_MS, down(Reason::HttpHeadersTooLarge, Phase::FirstByte)),
        ("/short", LONG_MS, down(Reason::HttpMalformed, Phase::Transfer)),
        ("/headless", LONG_MS, down(Reason::HttpMalformed, Phase::FirstByte)),
        ("/reset", LONG_MS, down(Reason::HttpClosed, Phase::FirstByte)),
        ("/cut", LONG_MS, down(Reason::HttpClosed, Phase::Transfer)),
        ("/silence", SHORT_MS, down(Reason::HttpTimeout, Phase::FirstByte)),
        ("/drip", SHORT_MS, down(Reason::BodyTimeout, Phase::Transfer)),
        ("/endless", LONG_MS, UP),
    ];
    for (path, timeout_ms, wanted) in table {
        let mut question = over_http3(&ca, target);
        question.url.set_path(path);
        let seen = asked(question, timeout_ms).await;
        assert_eq!(verdict(&seen), wanted, "{path}: {seen:?}");
    }
}

/// A varint of QUIC, eight bytes long (RFC 9000 §16).
fn varint(value: u64) -> [u8; 8] {
    (value | 0xc000_0000_0000_0000).to_be_bytes()
}

#[tokio::test]
async fn http3_a_head_without_an_end_is_not_kept() {
    let ca = Authority::new();
    let (endpoint, target) = listening(&ca, "127.0.0.1", "h3");
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut send, _recv) = connection.accept_bi().await.unwrap();
        // HEADERS, a gigabyte of them.
        let _gone = send.write_all(&[&[1][..], &varint(1 << 30)].concat()).await;
        while send.write_all(&[0; 16_384]).await.is_ok() {}
    });
    let seen = asked(over_http3(&ca, target), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::HttpHeadersTooLarge, Phase::FirstByte), "{seen:?}");
}

#[tokio::test]
async fn http3_inv_10_the_rule_and_the_source_address_hold() {
    let ca = Authority::new();
    let (tell, mut peers) = mpsc::channel(1);
    let (endpoint, target) = listening(&ca, "127.0.0.1", "h3");
    tokio::spawn(async move {
        let incoming = endpoint.accept().await.unwrap();
        tell.send(incoming.remote_address()).await.unwrap();
    });
    let from =
        Prober::new(Vantage { source: Some("127.0.0.11".parse().unwrap()), rule: loopback(), ..Vantage::default() });
    let question = over_http3(&ca, target);
    from.run(&check(Question::Http(Box::new(question.clone())), SHORT_MS), TRACE).await;
    assert_eq!(peers.recv().await.unwrap().ip().to_string(), "127.0.0.11");
    let strict = Prober::new(Vantage::default());
    let seen = strict.run(&check(Question::Http(Box::new(question)), LONG_MS), TRACE).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve), "{seen:?}");
}

#[tokio::test]
async fn http3_does_not_follow_to_where_there_is_no_tls() {
    let ca = Authority::new();
    let plain = targets::saying(response_with("200 OK", "", b"")).await;
    let target = serving(&ca, move |_request, mut stream| async move {
        answer(&mut stream, 302, &[("location", format!("http://{plain}/"))], b"").await;
        let _gone = stream.finish().await;
    });
    assert_eq!(verdict(&asked(over_http3(&ca, target), LONG_MS).await), ours(Reason::Unsupported, Phase::Connect));
}
