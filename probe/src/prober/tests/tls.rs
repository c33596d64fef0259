//! TLS checks and HTTPS against good and hostile targets, with certificates of every kind.

mod chains;
mod expect;
pub(super) mod fixture;
mod hostile;
mod missing;
mod offers;
mod starttls;

use std::sync::Arc;

use nines_shared::check::{HttpVersion, TlsVersion};
use nines_shared::time::{Clock, Timestamp};
use rcgen::date_time_ymd;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::targets::{request, response, serving};
use super::*;
use fixture::{Authority, ask, leaf, question, secured, server, showing, signed};

#[tokio::test]
async fn every_fault_of_a_handshake_has_its_reason() {
    const PROTOCOL_VERSION: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    const UNRECOGNIZED_NAME: &[u8] = &[0x15, 3, 3, 0, 2, 2, 112];
    let ca = Authority::new("ours");
    let table = [
        ("silence", targets::silent().await, SHORT_MS, Reason::TlsTimeout),
        ("the end", targets::resetting(1, b"").await, LONG_MS, Reason::TlsClosed),
        ("plain HTTP", targets::resetting(1, b"HTTP/1.1 400 Bad Request\r\n\r\n").await, LONG_MS, Reason::TlsMalformed),
        (
            "noise",
            targets::resetting(1, &[0x16, 3, 3, 0, 4, 0xff, 0xff, 0xff, 0xff]).await,
            LONG_MS,
            Reason::TlsMalformed,
        ),
        ("no version in common", targets::resetting(1, PROTOCOL_VERSION).await, LONG_MS, Reason::TlsVersion),
        ("an alert", targets::resetting(1, UNRECOGNIZED_NAME).await, LONG_MS, Reason::TlsAlert),
    ];
    for (fault, target, timeout_ms, reason) in table {
        let seen = ask(question(target, &ca), timeout_ms).await;
        assert_eq!(verdict(&seen), down(reason, Phase::Tls), "{fault}: {seen:?}");
    }
    let nobody = ask(question(targets::nobody().await, &ca), LONG_MS).await;
    assert_eq!(verdict(&nobody), down(Reason::ConnectRefused, Phase::Connect));
}

#[tokio::test]
async fn a_valid_session_is_described_and_the_days_left_count() {
    let ca = Authority::new("ours");
    let target = showing(signed(&leaf(), &ca)).await;
    let seen = ask(question(target, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.tls.is_some() && seen.phases_us.first_byte.is_none());
    let tls = seen.evidence.tls.unwrap();
    assert_eq!(tls.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(tls.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"));
    assert_eq!(tls.chain[0].names, ["localhost", "127.0.0.1"]);
    assert_eq!(tls.chain[0].issuer, "CN=ours");

    let ends = date_time_ymd(2100, 1, 1).unix_timestamp() * 1_000;
    let mut asked = question(target, &ca);
    asked.expect.valid_for_ms = Some(14 * 86_400_000);
    for (days_left, wanted) in [(15, UP), (13, down(Reason::TlsExpiresSoon, Phase::Tls))] {
        let mut prober = prober();
        prober.clock = Clock::manual(Timestamp::from_ms(ends - days_left * 86_400_000));
        let seen = prober.run(&check(Question::Tls(Box::new(asked.clone())), LONG_MS), TRACE).await;
        assert_eq!(verdict(&seen), wanted, "{seen:?}");
    }
}

#[tokio::test]
async fn an_old_protocol_version_fails_only_where_a_newer_one_is_wanted() {
    let ca = Authority::new("ours");
    let target = secured(server(signed(&leaf(), &ca), &[&rustls::version::TLS12], &[])).await;
    let mut asked = question(target, &ca);
    asked.expect.min_version = Some(TlsVersion::Tls12);
    assert_eq!(verdict(&ask(asked.clone(), LONG_MS).await), UP);
    asked.expect.min_version = Some(TlsVersion::Tls13);
    let seen = ask(asked, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsVersion, Phase::Tls));
    assert_eq!(seen.evidence.tls.unwrap().version.as_deref(), Some("TLSv1.2"));
}

#[tokio::test]
async fn roots_that_can_not_be_read_are_our_own_fault() {
    let ca = Authority::new("ours");
    let target = showing(signed(&leaf(), &ca)).await;
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let mut asked = question(target, &ca);
        asked.ca_pem = Some(pem.into());
        assert_eq!(verdict(&ask(asked, LONG_MS).await), ours(Reason::Unsupported, Phase::Tls), "{pem}");
    }
}

#[tokio::test]
async fn the_web_is_trusted_by_mozillas_roots_where_a_check_names_none() {
    let target = showing(signed(&leaf(), &Authority::new("ours"))).await;
    let seen = super::ask(get(&format!("https://{target}/"))).await;
    assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls));
    assert_eq!(seen.evidence.tls.unwrap().chain.len(), 2);
}

fn https(target: SocketAddr, ca: &Authority, version: HttpVersion) -> HttpQuestion {
    let mut question = get(&format!("https://{target}/"));
    question.ca_pem = Some(ca.pem.clone());
    question.version = version;
    question
}

#[tokio::test]
async fn https_speaks_what_the_handshake_agrees_on() {
    let ca = Authority::new("ours");
    let plain = showing(signed(&leaf(), &ca)).await;
    let seen = super::ask(https(plain, &ca, HttpVersion::Any)).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.tls.is_some() && seen.evidence.tls.unwrap().alpn.is_none());

    let wrong = super::ask(https(plain, &ca, HttpVersion::Http2)).await;
    assert_eq!(verdict(&wrong), down(Reason::HttpVersion, Phase::Tls));
    let only_1 = secured(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &["http/1.1"])).await;
    let refused = super::ask(https(only_1, &ca, HttpVersion::Http2)).await;
    assert_eq!(verdict(&refused), down(Reason::HttpVersion, Phase::Tls), "{refused:?}");
}

#[tokio::test]
async fn https_speaks_http_2_where_it_is_offered() {
    let ca = Authority::new("ours");
    let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &["h2", "http/1.1"])));
    let target = serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let service = hyper::service::service_fn(|_request| async {
                Ok::<_, std::convert::Infallible>(hyper::Response::new(String::from("hello")))
            });
            let _ended = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .await;
        }
    })
    .await;
    let seen = super::ask(https(target, &ca, HttpVersion::Any)).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.hops[0].version.as_deref(), Some("HTTP/2"));
    assert_eq!(seen.evidence.tls.unwrap().alpn.as_deref(), Some("h2"));
}

#[tokio::test]
async fn a_redirect_from_https_to_a_plain_target_is_followed_and_both_are_timed() {
    let ca = Authority::new("ours");
    let plain = targets::saying(response("200 OK", "")).await;
    let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &[])));
    let target = serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let bytes = targets::response_with("301 Moved", &format!("location: http://{plain}/\r\n"), b"");
            let _gone = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let seen = super::ask(https(target, &ca, HttpVersion::Any)).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.evidence.hops[0].phases_us.tls.is_some() && seen.evidence.hops[1].phases_us.tls.is_none());
}

#[tokio::test]
async fn a_plain_target_asked_for_https_is_malformed() {
    let target = serving(|mut stream| async move {
        let _head = tokio::time::timeout(Duration::from_millis(50), request(&mut stream)).await;
        let _gone = stream.write_all(&response("400 Bad Request", "")).await;
        let _gone = stream.shutdown().await;
    })
    .await;
    let seen = super::ask(get(&format!("https://{target}/"))).await;
    assert_eq!(verdict(&seen), down(Reason::TlsMalformed, Phase::Tls), "{seen:?}");
}
