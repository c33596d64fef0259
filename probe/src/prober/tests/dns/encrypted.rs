//! Servers of DNS over TLS and over HTTPS, good and hostile.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::prober::trust::provider;

/// A certificate that signed itself, for `dns.test`, and a server that shows it.
fn server(alpn: &[&str]) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(vec!["dns.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

fn asked(server: &str, ca_pem: &str) -> DnsQuestion {
    let mut question = DnsQuestion::new("shop.example", RecordType::A, Some(server.parse().unwrap()));
    question.ca_pem = Some(ca_pem.to_owned());
    question
}

#[tokio::test]
async fn dns_over_tls_is_asked_once_the_certificate_is_verified() {
    let (ca, acceptor) = server(&[]);
    let target = targets::serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let length = stream.read_u16().await.unwrap();
            let mut bytes = vec![0; usize::from(length)];
            stream.read_exact(&mut bytes).await.unwrap();
            let answer = good(&Message::from_vec(&bytes).unwrap());
            // In pieces, as TCP may bring it.
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            for piece in answer.chunks(7) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    })
    .await;
    let seen = ask(asked(&format!("tls://{target}#dns.test"), &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.dns.unwrap().transport, "tls");
    assert!(seen.evidence.tls.is_some() && seen.phases_us.connect.is_some() && seen.phases_us.resolve.is_some());
    // By its address, for which the certificate is too.
    assert_eq!(verdict(&ask(asked(&format!("tls://{target}"), &ca), LONG_MS).await), UP);

    let wrong = ask(asked(&format!("tls://{target}#other.test"), &ca), LONG_MS).await;
    assert_eq!(verdict(&wrong), down(Reason::TlsWrongName, Phase::Tls));
    let mut stranger = asked(&format!("tls://{target}#dns.test"), &ca);
    stranger.ca_pem = None;
    assert_eq!(verdict(&ask(stranger, LONG_MS).await), down(Reason::TlsSelfSigned, Phase::Tls));
    let nobody = ask(asked(&format!("tls://{}", targets::nobody().await), &ca), LONG_MS).await;
    assert_eq!(verdict(&nobody), down(Reason::ConnectRefused, Phase::Connect));
    let silent = ask(asked(&format!("tls://{}", targets::silent().await), &ca), SHORT_MS).await;
    assert_eq!(verdict(&silent), down(Reason::TlsTimeout, Phase::Tls));
}

/// A server of DNS over HTTPS that answers by path.
async fn https(alpn: &'static [&'static str]) -> (String, SocketAddr) {
    let (ca, acceptor) = server(alpn);
    let target = targets::serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let _ended = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        }
    })
    .await;
    (ca, target)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let question = Message::from_vec(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((head.method.as_str(), head.headers["content-type"].to_str().unwrap()), ("POST", MESSAGE));
    let (status, media, body) = match head.uri.path() {
        "/gone" => (404, MESSAGE, good(&question)),
        "/moved" => (307, MESSAGE, Vec::new()),
        "/page" => (200, "text/html", b"<p>hello".to_vec()),
        "/long" => (200, MESSAGE, vec![0; 70_000]),
        "/half" => (200, MESSAGE, good(&question)[..20].to_vec()),
        "/other" => (200, MESSAGE, [&[!good(&question)[0]], &good(&question)[1..]].concat()),
        _ => (200, MESSAGE, good(&question)),
    };
    let response = Response::builder().status(status).header("content-type", media).header("location", "/dns-query");
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

const MESSAGE: &str = "application/dns-message";

#[tokio::test]
async fn dns_over_https_is_spoken_in_either_version_and_its_faults_have_their_reasons() {
    for alpn in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        let (ca, target) = https(alpn).await;
        for (path, wanted) in [
            ("dns-query", UP),
            ("gone", down(Reason::DnsHttp, Phase::Resolve)),
            ("moved", down(Reason::DnsHttp, Phase::Resolve)),
            ("page", down(Reason::DnsHttp, Phase::Resolve)),
            ("long", down(Reason::DnsHttp, Phase::Resolve)),
            ("half", down(Reason::DnsMalformed, Phase::Resolve)),
            ("other", down(Reason::DnsMalformed, Phase::Resolve)),
        ] {
            let seen = ask(asked(&format!("https://{target}/{path}"), &ca), LONG_MS).await;
            assert_eq!(verdict(&seen), wanted, "{path} {alpn:?}: {seen:?}");
            if path == "dns-query" {
                assert_eq!(seen.evidence.dns.unwrap().transport, "https");
                assert_eq!(seen.evidence.tls.unwrap().alpn.as_deref(), alpn.first().copied());
            }
        }
    }
}

#[tokio::test]
async fn a_server_of_dns_over_https_is_held_against_the_rule_like_any_host() {
    let strict = Prober::new(Vantage::default());
    let question = asked("https://127.0.0.1/dns-query", "");
    let seen = strict.run(&check(Question::Dns(Box::new(question)), SHORT_MS), TRACE).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve));
    let question = asked("tls://127.0.0.1", "");
    let seen = strict.run(&check(Question::Dns(Box::new(question)), SHORT_MS), TRACE).await;
    assert_eq!(verdict(&seen), ours(Reason::AddressForbidden, Phase::Resolve));
}
