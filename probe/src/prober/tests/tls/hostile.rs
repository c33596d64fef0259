//! Targets that break TLS in every way: each fault ends in its outcome, phase and reason, long before the deadline,
//! and whatever a target sends, only so much of it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, SanType};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::super::*;
use super::fixture::{Authority, Shown, ask, leaf, question, secured, showing, signed};
use crate::prober::chain::{MAX_CHAIN, MAX_NAMES};
use crate::prober::trust::provider;

/// A record of `kind` with `fragment`.
fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(fragment.len()).unwrap().to_be_bytes(), fragment].concat()
}

/// A handshake message whose header says that it has `length` bytes.
fn message(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind], &length.to_be_bytes()[1..], body].concat()
}

/// A ServerHello of TLS 1.2 with ECDHE_ECDSA_WITH_AES_128_GCM_SHA256.
fn server_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2b, 0]].concat();
    message(2, u32::try_from(body.len()).unwrap(), &body)
}

/// A ServerHello and then a Certificate message of these bytes.
fn with_certificate(body: &[u8]) -> Vec<u8> {
    let certificate = message(11, u32::try_from(body.len()).unwrap(), body);
    record(22, &[server_hello(), certificate].concat())
}

/// A target that answers the first hello with `bytes`, over and over where `endless`; and how much it sent.
async fn answering(bytes: Vec<u8>, endless: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let target = targets::serving(move |mut stream| {
        let (bytes, sent) = (bytes.clone(), Arc::clone(&count));
        async move {
            let _hello = stream.read(&mut [0; 4_096]).await;
            while stream.write_all(&bytes).await.is_ok() {
                sent.fetch_add(bytes.len(), Ordering::SeqCst);
                if !endless {
                    let _gone = stream.shutdown().await;
                    return;
                }
            }
        }
    })
    .await;
    (target, sent)
}

#[tokio::test]
async fn every_breach_of_tls_has_its_reason_and_none_is_waited_for() {
    /// More than this in flight would not be a bound.
    const MAX_SENT: usize = 16 << 20;
    let ca = Authority::new("ours");
    let mebibyte = message(2, 1 << 20, &[0; 16_000]);
    let table = [
        ("noise", vec![0xff; 4_096], false, Reason::TlsMalformed),
        ("noise without end", vec![0xff; 4_096], true, Reason::TlsMalformed),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), false, Reason::TlsMalformed),
        ("SMTP", b"220 mail.example ESMTP\r\n".to_vec(), false, Reason::TlsMalformed),
        ("the end at once", Vec::new(), false, Reason::TlsClosed),
        ("the end within a record", vec![22, 3, 3, 0, 99, 2], false, Reason::TlsClosed),
        ("the end after the ServerHello", record(22, &server_hello()), false, Reason::TlsClosed),
        ("a fatal alert at once", record(21, &[2, 80]), false, Reason::TlsAlert),
        ("a farewell at once", record(21, &[1, 0]), false, Reason::TlsClosed),
        (
            "a fatal alert after the ServerHello",
            [record(22, &server_hello()), record(21, &[2, 80])].concat(),
            false,
            Reason::TlsAlert,
        ),
        ("an alert that says no certificate will do", record(21, &[2, 42]), false, Reason::TlsClientCertificate),
        ("warnings without end", record(21, &[1, 90]), true, Reason::TlsMalformed),
        ("empty records without end", record(22, &[]), true, Reason::TlsMalformed),
        (
            "a record larger than TLS allows",
            [&[22, 3, 3, 0xff, 0xff][..], &[0; 65_535]].concat(),
            true,
            Reason::TlsMalformed,
        ),
        ("a ServerHello of 1 MiB", record(22, &mebibyte), true, Reason::TlsMalformed),
        ("messages without end", record(22, &message(0, 0, &[])), true, Reason::TlsMalformed),
        ("data before the handshake", record(23, &[0; 64]), false, Reason::TlsMalformed),
        ("a certificate list that lies", with_certificate(&[0, 0, 9, 0, 0, 9, 1]), false, Reason::TlsMalformed),
        (
            "a certificate that is longer than its list",
            with_certificate(&[0, 0, 4, 0, 1, 0, 0]),
            false,
            Reason::TlsMalformed,
        ),
        ("no certificate, and another ServerHello", with_certificate(&[0, 0, 0]), true, Reason::TlsMalformed),
    ];
    for (fault, bytes, endless, reason) in table {
        let (target, sent) = answering(bytes, endless).await;
        let seen = ask(question(target, &ca), LONG_MS).await;
        assert_eq!(verdict(&seen), down(reason, Phase::Tls), "{fault}: {seen:?}");
        assert!(seen.duration_us < 10_000_000, "{fault}");
        assert!(sent.load(Ordering::SeqCst) < MAX_SENT, "{fault}");
    }
}

#[tokio::test]
async fn a_handshake_in_single_bytes_is_a_handshake() {
    let ca = Authority::new("ours");
    let behind = showing(signed(&leaf(), &ca)).await;
    let target = targets::serving(move |stream| async move {
        let there = tokio::net::TcpStream::connect(behind).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let (mut back, mut forth) = there.into_split();
        let forwards = tokio::spawn(async move { tokio::io::copy(&mut from, &mut forth).await });
        let mut byte = [0];
        while back.read_exact(&mut byte).await.is_ok() && to.write_all(&byte).await.is_ok() {
            // What is written alone is not sent alone unless it is let go first.
            tokio::task::yield_now().await;
        }
        forwards.abort();
    })
    .await;
    assert_eq!(verdict(&ask(question(target, &ca), LONG_MS).await), UP);
}

#[tokio::test]
async fn what_is_described_of_a_chain_is_bounded_and_so_is_what_is_read() {
    let ca = Authority::new("ours");
    let names = |count: usize| {
        let mut params = leaf();
        let name = |index| SanType::DnsName(format!("n{index}.example").try_into().unwrap());
        params.subject_alt_names.extend((0..count).map(name));
        params
    };
    let seen = ask(question(showing(signed(&names(1_000), &ca)).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "a thousand names");
    assert_eq!(seen.evidence.tls.unwrap().chain[0].names.len(), MAX_NAMES);
    let seen = ask(question(unchecked(signed(&names(10_000), &ca)).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsMalformed, Phase::Tls), "ten thousand names are too much: {seen:?}");

    let mut shown = signed(&leaf(), &ca);
    shown.chain.extend((0..99).map(|index| Authority::new(&format!("stray {index}")).der));
    let seen = ask(question(showing(shown).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), UP, "a chain of a hundred: {seen:?}");
    assert_eq!(seen.evidence.tls.unwrap().chain.len(), MAX_CHAIN);

    let mut by = Authority::between("between 0", &ca, 2100);
    let mut between = vec![by.der.clone()];
    for index in 1..20 {
        by = Authority::between(&format!("between {index}"), &by, 2100);
        between.insert(0, by.der.clone());
    }
    let mut shown = signed(&leaf(), &by);
    shown.chain.splice(1.., between);
    let seen = ask(question(showing(shown).await, &ca), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsBadCertificate, Phase::Tls), "twenty between: {seen:?}");
}

/// Shows a chain without looking at it.
#[derive(Debug)]
struct Unchecked(Arc<CertifiedKey>);

impl ResolvesServerCert for Unchecked {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

async fn unchecked(shown: Shown) -> SocketAddr {
    let key = provider().key_provider.load_private_key(shown.key).unwrap();
    let certified = Arc::new(CertifiedKey::new(shown.chain, key));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Unchecked(certified)));
    secured(config).await
}

#[tokio::test]
async fn a_certificate_that_can_not_be_read_is_told_by_its_place() {
    let ca = Authority::new("ours");
    for noise in [0, 1] {
        let mut shown = signed(&leaf(), &Authority::between("between", &ca, 2100));
        shown.chain[noise] = CertificateDer::from(vec![0x30, 3, 1, 2, 3]);
        let seen = ask(question(unchecked(shown).await, &ca), LONG_MS).await;
        assert_eq!(verdict(&seen), down(Reason::TlsBadCertificate, Phase::Tls), "{seen:?}");
        let wanted = format!("certificate {} of 2, which can't be read, is not well formed", noise + 1);
        assert_eq!(seen.detail, Some(wanted));
    }
}

/// A server that wants a certificate that `by` has signed.
fn wanting(
    shown: Shown,
    by: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(by.der.clone()).unwrap();
    let provider = Arc::new(provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(shown.chain, shown.key)
        .unwrap()
}

#[tokio::test]
async fn a_target_that_wants_our_certificate_gets_it_or_is_told_from_one_that_is_broken() {
    use nines_shared::check::ClientCertificate;
    use nines_shared::secret::{Secret, SecretValue, Secrets};
    let (ca, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let missing = down(Reason::TlsClientCertificate, Phase::Tls);
    for version in rustls::ALL_VERSIONS {
        let acceptor = TlsAcceptor::from(Arc::new(wanting(signed(&leaf(), &ca), &ca, &[*version])));
        let target = targets::serving(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ended = stream.read(&mut [0; 16]).await;
                    let _gone = stream.shutdown().await;
                }
            }
        })
        .await;
        assert_eq!(verdict(&ask(question(target, &ca), LONG_MS).await), missing, "{version:?}: none");
        for (by, wanted) in [(&ca, UP), (&stranger, missing.clone())] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, "probe");
            let certificate_pem = params.signed_by(&key, &by.issuer).unwrap().pem();
            let name = Secret::Env("CLIENT_KEY".to_owned());
            let mut asked = question(target, &ca);
            asked.client_certificate = Some(ClientCertificate { certificate_pem, key: name.clone() });
            let prober = prober();
            let value = SecretValue::new(key.serialize_pem());
            prober.know(Arc::new([(name, value)].into_iter().collect::<Secrets>()));
            let seen = prober.run(&check(Question::Tls(Box::new(asked)), LONG_MS), TRACE).await;
            assert_eq!(verdict(&seen), wanted, "{version:?}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn each_port_is_asked_on_its_own_and_the_worst_decides() {
    let ca = Authority::new("ours");
    let good = showing(signed(&leaf(), &ca)).await;
    let bad = showing(signed(&leaf(), &Authority::new("stranger"))).await;
    let mut asked = question(good, &ca);
    asked.ports = vec![good.port(), bad.port()];
    let seen = ask(asked.clone(), LONG_MS).await;
    assert_eq!(verdict(&seen), down(Reason::TlsUnknownIssuer, Phase::Tls), "{seen:?}");
    let parts: Vec<_> = seen.evidence.parts.iter().map(|part| (part.what.clone(), part.outcome)).collect();
    let at = |target: SocketAddr| format!("127.0.0.1:{}", target.port());
    assert_eq!(parts, [(at(good), Outcome::Up), (at(bad), Outcome::Down)]);
    asked.ports.pop();
    assert_eq!(verdict(&ask(asked, LONG_MS).await), UP);
}
