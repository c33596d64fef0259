//! TCP checks: connections, and targets that speak, or do not, or not as they should.

use std::sync::Arc;

use nines_shared::check::{TcpExpect, TcpQuestion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::tls::fixture::{Authority, leaf, server, signed};
use super::*;

fn question(target: SocketAddr) -> TcpQuestion {
    serde_json::from_value(serde_json::json!({ "address": target.to_string() })).unwrap()
}

fn expecting(target: SocketAddr, starts: &str) -> TcpQuestion {
    let expect = TcpExpect { banner_starts: Some(starts.to_owned()), ..TcpExpect::default() };
    TcpQuestion { expect, ..question(target) }
}

async fn ask_tcp(question: TcpQuestion, timeout_ms: i64) -> Observation {
    prober().run(&check(Question::Tcp(Box::new(question)), timeout_ms), TRACE).await
}

/// Says `words` to whoever connects, and then does `then`.
async fn greeting<F>(words: &'static [u8], then: fn(TcpStream) -> F) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    targets::serving(move |mut stream| async move {
        let _gone = stream.write_all(words).await;
        then(stream).await;
    })
    .await
}

async fn stays(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

async fn leaves(mut stream: TcpStream) {
    let _gone = stream.shutdown().await;
}

async fn resets(stream: TcpStream) {
    // What came before must arrive before the reset overtakes it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn every_fault_of_a_banner_has_its_reason_and_its_phase() {
    let (full, _listener, _queued) = targets::full_at("127.0.0.1:0").await;
    let endless = targets::serving(|mut stream| async move { while stream.write_all(&[b'2'; 999]).await.is_ok() {} });
    let at = Phase::FirstByte;
    let table = [
        ("nobody listens", targets::nobody().await, "220", LONG_MS, down(Reason::ConnectRefused, Phase::Connect)),
        ("the queue is full", full, "220", SHORT_MS, down(Reason::ConnectTimeout, Phase::Connect)),
        ("silence", targets::silent().await, "220", SHORT_MS, down(Reason::TcpTimeout, at)),
        ("too little", greeting(b"22", stays).await, "220", SHORT_MS, down(Reason::TcpTimeout, at)),
        ("the end at once", greeting(b"", leaves).await, "220", LONG_MS, down(Reason::TcpClosed, at)),
        ("a reset", greeting(b"22", resets).await, "220", LONG_MS, down(Reason::TcpClosed, at)),
        ("the end too early", greeting(b"22", leaves).await, "220", LONG_MS, down(Reason::TcpBanner, at)),
        ("another greeting", greeting(b"554 no\r\n", stays).await, "220", LONG_MS, down(Reason::TcpBanner, at)),
        ("no end", endless.await, "2\r", LONG_MS, down(Reason::TcpBanner, at)),
        ("all is well", greeting(b"220 mail\r\n", stays).await, "220", LONG_MS, UP),
    ];
    for (fault, target, starts, timeout_ms, wanted) in table {
        let seen = ask_tcp(expecting(target, starts), timeout_ms).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert_eq!(seen.evidence.address, Some(target), "{fault}");
        let said = seen.detail.unwrap_or_default();
        assert!(!["too little", "a reset", "the end too early"].contains(&fault) || said.contains("\"22\""), "{said}");
    }
}

#[tokio::test]
async fn words_that_never_hold_end_at_the_limit() {
    let endless = targets::serving(|mut stream| async move { while stream.write_all(&[b'x'; 999]).await.is_ok() {} });
    let mut asked = question(endless.await);
    asked.expect.banner_contains = Some("220".to_owned());
    let seen = ask_tcp(asked, LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TcpBanner, Phase::FirstByte));
    assert!(seen.detail.unwrap().contains("not in the first 4096 bytes"));
}

#[tokio::test]
async fn a_connection_is_enough_where_nothing_is_expected() {
    let seen = ask_tcp(question(targets::silent().await), LONG_MS).await;
    assert_eq!((verdict(&seen), seen.phases_us.first_byte), (UP, None), "{seen:?}");
    assert!(seen.phases_us.connect.is_some());
}

#[tokio::test]
async fn what_is_to_be_sent_goes_first_and_the_answer_is_judged() {
    let echo = targets::serving(|mut stream| async move {
        let mut words = [0; 6];
        if stream.read_exact(&mut words).await.is_ok() {
            let _gone = stream.write_all(&[b"+PONG ".as_slice(), &words].concat()).await;
        }
        stays(stream).await;
    })
    .await;
    let mut asked = question(echo);
    asked.send = Some("PING\r\n".to_owned());
    asked.expect.banner_matches = Some(r"^\+PONG PING\r\n$".parse().unwrap());
    let seen = ask_tcp(asked.clone(), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.first_byte.is_some());
    asked.send = None;
    assert_eq!(verdict(&ask_tcp(asked, SHORT_MS).await), down(Reason::TcpTimeout, Phase::FirstByte));
}

#[tokio::test]
async fn words_over_tls_are_judged_after_the_handshake() {
    let ca = Authority::new("ours");
    let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &[])));
    let target = targets::serving(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _gone = stream.write_all(b"* OK IMAP4rev1\r\n").await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut asked = TcpQuestion { tls: true, ca_pem: Some(ca.pem.clone()), ..expecting(target, "* OK") };
    let seen = ask_tcp(asked.clone(), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert!(seen.phases_us.tls.is_some());
    asked.ca_pem = None;
    assert_eq!(verdict(&ask_tcp(asked, LONG_MS).await), down(Reason::TlsUnknownIssuer, Phase::Tls));
    let plain = greeting(b"* OK\r\n", stays).await;
    let asked = TcpQuestion { tls: true, ..expecting(plain, "* OK") };
    assert_eq!(verdict(&ask_tcp(asked, LONG_MS).await), down(Reason::TlsMalformed, Phase::Tls));
}
