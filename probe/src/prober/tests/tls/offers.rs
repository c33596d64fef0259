//! What a target takes beside the handshake, asked with hellos of our own; and what is old and nothing else.

use nines_shared::check::{CipherSuite, TlsVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::*;
use super::fixture::{Authority, ask, leaf, question, secured, server, signed};

const GCM: CipherSuite = CipherSuite(0xc02b);
const TRIPLE_DES: CipherSuite = CipherSuite(0x000a);

#[tokio::test]
async fn what_a_target_takes_and_refuses_is_asked_one_by_one() {
    use TlsVersion::{Tls10, Tls11, Tls12, Tls13};
    let ca = Authority::new("ours");
    let target = secured(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &[])).await;
    let mut asked = question(target, &ca);
    asked.expect.versions = vec![Tls12, Tls13];
    asked.expect.refuses = vec![Tls10, Tls11];
    asked.expect.ciphers = vec![GCM, CipherSuite(0x1301)];
    asked.expect.refuses_ciphers = vec![TRIPLE_DES];
    let seen = ask(asked.clone(), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let offers = seen.evidence.tls.unwrap().offers;
    let taken: Vec<bool> = offers.iter().map(|offer| offer.taken).collect();
    assert_eq!(taken, [true, true, false, false, true, true, false], "{offers:?}");
    assert_eq!(offers[4].answer, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");

    (asked.expect.versions, asked.expect.refuses) = (vec![Tls11], vec![Tls13]);
    asked.expect.ciphers.push(TRIPLE_DES);
    asked.expect.refuses_ciphers = Vec::new();
    let seen = ask(asked, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsOffers, Phase::Tls));
    let detail = seen.detail.unwrap();
    assert!(detail.contains("refuses TLSv1.1, takes TLSv1.3, refuses TLS_RSA_WITH_3DES_EDE_CBC_SHA"), "{detail}");
}

#[tokio::test]
async fn a_silent_answer_to_an_offer_is_a_timeout_that_says_what_was_asked() {
    let ca = Authority::new("ours");
    let acceptor =
        tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &[])));
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let target = targets::serving(move |stream| {
        let (acceptor, turn) = (acceptor.clone(), std::sync::Arc::clone(&turn));
        async move {
            if turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                let _ended = acceptor.accept(stream).await;
            } else {
                std::future::pending::<()>().await;
                drop(stream);
            }
        }
    })
    .await;
    let mut asked = question(target, &ca);
    asked.expect.refuses = vec![TlsVersion::Tls10];
    let seen = ask(asked, 2_000).await;
    assert_eq!(verdict(&seen), down(Reason::TlsTimeout, Phase::Tls));
    assert!(seen.detail.unwrap().contains("TLSv1.0 was being asked for"));
}

/// A target that refuses every hello but those without TLS 1.2 GCM, which it answers with `answer`.
async fn answering(first: &'static [u8], then: &'static [u8]) -> SocketAddr {
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    targets::serving(move |mut stream| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let _hello = stream.read(&mut [0; 4_096]).await;
            let _gone = stream.write_all(if turn == 0 { first } else { then }).await;
            let _gone = stream.shutdown().await;
        }
    })
    .await
}

const PROTOCOL_VERSION: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// A ServerHello of `version` with `cipher`.
fn server_hello(version: u8, cipher: u16) -> &'static [u8] {
    let [high, low] = cipher.to_be_bytes();
    let body = [&[3, version][..], &[9; 32], &[0, high, low, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, version, 0, length + 4, 2, 0, 0, length][..], &body].concat().leak()
}

#[tokio::test]
async fn a_target_that_speaks_only_what_we_do_not_is_not_accused_and_one_that_takes_nothing_is() {
    let ca = Authority::new("ours");
    let legacy = ours(Reason::TlsLegacy, Phase::Tls);
    let nothing = down(Reason::TlsVersion, Phase::Tls);
    let table = [
        ("TLS 1.0", PROTOCOL_VERSION, server_hello(1, 0x002f), legacy.clone(), "TLSv1.0 with TLS_RSA_WITH_AES_128"),
        ("3DES", HANDSHAKE_FAILURE, server_hello(3, 0x000a), legacy.clone(), "TLSv1.2 with TLS_RSA_WITH_3DES"),
        ("SSL 3", PROTOCOL_VERSION, server_hello(0, 0x0005), legacy.clone(), "SSLv3 with TLS_RSA_WITH_RC4"),
        ("an old answer", server_hello(1, 0x002f), server_hello(1, 0x002f), legacy, "neither do browsers"),
        ("nothing", PROTOCOL_VERSION, PROTOCOL_VERSION, nothing.clone(), ""),
        ("what we speak", HANDSHAKE_FAILURE, server_hello(3, 0xc02f), nothing.clone(), ""),
        ("noise", HANDSHAKE_FAILURE, b"\xff\xff\xff\xff\xff\xff", nothing, ""),
    ];
    for (fault, first, then, wanted, words) in table {
        let seen = ask(question(answering(first, then).await, &ca), LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert!(seen.detail.unwrap().contains(words), "{fault}");
    }
}

#[tokio::test]
async fn a_deadline_that_strikes_while_the_cause_is_looked_for_changes_nothing() {
    let ca = Authority::new("ours");
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let target = targets::serving(move |mut stream| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let _hello = stream.read(&mut [0; 4_096]).await;
            if turn == 0 {
                let _gone = stream.write_all(PROTOCOL_VERSION).await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    })
    .await;
    let seen = ask(question(target, &ca), 1_000).await;
    assert_eq!(verdict(&seen), down(Reason::TlsVersion, Phase::Tls), "{seen:?}");
}
