//! TLS that begins in the middle of another protocol, with good servers and with scripted bad ones.

use std::sync::Arc;

use nines_shared::check::{StartTls, TlsVersion};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::super::*;
use super::fixture::{Authority, ask, leaf, question, server, signed};

/// What is said at first, and then in answer to each line.
type Script = &'static [&'static str];

const SMTP: Script = &["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n"];
const IMAP: Script = &["* OK mail\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\na OK\r\n", "b OK go\r\n"];
const POP3: Script = &["+OK mail\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go\r\n"];

/// A target that follows `script` and then begins TLS.
async fn speaking(script: Script, ca: &Authority) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), ca), rustls::ALL_VERSIONS, &[])));
    targets::serving(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            for (turn, words) in script.iter().enumerate() {
                if 0 < turn && !heard_line(&mut stream).await {
                    return;
                }
                let _gone = stream.write_all(words.as_bytes()).await;
            }
            let _ended = acceptor.accept(stream).await;
        }
    })
    .await
}

async fn heard_line(stream: &mut TcpStream) -> bool {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line).await.is_ok_and(|read| 0 < read)
}

async fn begin(script: Script, protocol: StartTls) -> Observation {
    let ca = Authority::new("ours");
    let mut asked = question(speaking(script, &ca).await, &ca);
    asked.starttls = Some(protocol);
    // One question of ours beside: it has to say the same words first.
    asked.expect.refuses = vec![TlsVersion::Tls10];
    ask(asked, LONG_MS).await
}

#[tokio::test]
async fn tls_is_begun_after_the_go_ahead_of_each_protocol() {
    for (protocol, script) in [(StartTls::Smtp, SMTP), (StartTls::Imap, IMAP), (StartTls::Pop3, POP3)] {
        let seen = begin(script, protocol).await;
        assert_eq!(verdict(&seen), UP, "{protocol:?}: {seen:?}");
        assert_eq!(seen.evidence.tls.unwrap().path, ["CN=shop", "CN=ours"]);
    }
}

#[tokio::test]
async fn each_fault_before_tls_has_its_reason() {
    let refused = down(Reason::StarttlsRefused, Phase::Tls);
    let malformed = down(Reason::StarttlsMalformed, Phase::Tls);
    let table: [(&str, StartTls, Script, _); 8] = [
        ("not offered", StartTls::Smtp, &["220 mail\r\n", "250 HELP\r\n"], refused.clone()),
        ("busy", StartTls::Smtp, &["421 later\r\n"], refused.clone()),
        ("refused", StartTls::Smtp, &["220 mail\r\n", "250 STARTTLS\r\n", "454 no\r\n"], refused.clone()),
        ("logged in", StartTls::Imap, &["* PREAUTH mail\r\n"], refused.clone()),
        ("an error", StartTls::Pop3, &["-ERR\r\n"], refused),
        ("HTTP", StartTls::Smtp, &["HTTP/1.1 400 Bad Request\r\n\r\n"], malformed.clone()),
        (
            "words behind",
            StartTls::Smtp,
            &["220 mail\r\n", "250 STARTTLS\r\n", "220 go\r\n250 x\r\n"],
            malformed.clone(),
        ),
        ("TLS at once", StartTls::Imap, &["\u{16}\u{3}\u{1}\r\n"], malformed),
    ];
    for (fault, protocol, script, wanted) in table {
        let seen = begin(script, protocol).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
    }
}

#[tokio::test]
async fn postgres_is_asked_in_its_own_way() {
    let ca = Authority::new("ours");
    let acceptor = TlsAcceptor::from(Arc::new(server(signed(&leaf(), &ca), rustls::ALL_VERSIONS, &[])));
    for (answer, wanted) in [
        (&b"S"[..], UP),
        (b"N", down(Reason::StarttlsRefused, Phase::Tls)),
        (b"E", down(Reason::StarttlsRefused, Phase::Tls)),
        (b"Sx", down(Reason::StarttlsMalformed, Phase::Tls)),
        (b"?", down(Reason::StarttlsMalformed, Phase::Tls)),
        (b"", down(Reason::TlsClosed, Phase::Tls)),
    ] {
        let acceptor = acceptor.clone();
        let target = targets::serving(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut request = [0; 8];
                if stream.read_exact(&mut request).await.is_err() || request != [0, 0, 0, 8, 4, 210, 22, 47] {
                    return;
                }
                let _gone = stream.write_all(answer).await;
                if answer == b"S" {
                    let _ended = acceptor.accept(stream).await;
                }
            }
        })
        .await;
        let mut asked = question(target, &ca);
        asked.starttls = Some(StartTls::Postgres);
        let seen = ask(asked, LONG_MS).await;
        assert_eq!(verdict(&seen), wanted, "{answer:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_before_tls_times_out_in_the_handshake() {
    let ca = Authority::new("ours");
    let mut asked = question(targets::silent().await, &ca);
    asked.starttls = Some(StartTls::Smtp);
    assert_eq!(verdict(&ask(asked, SHORT_MS).await), down(Reason::TlsTimeout, Phase::Tls));
}
