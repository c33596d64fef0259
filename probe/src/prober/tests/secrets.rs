//! What a check shows of who it is: where its secrets go, where they never go, and what is kept of them.

use std::sync::Arc;

use nines_shared::check::{BasicAuth, ClientCertificate, HttpAuth, SecretHeader, TlsQuestion};
use nines_shared::secret::{Secret, SecretValue};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::super::trust::provider;
use super::*;
use targets::{response, response_with};

fn named(name: &str) -> Secret {
    Secret::Env(name.to_owned())
}

/// A prober that knows `secrets`.
fn knowing(secrets: &[(&str, &str)]) -> Prober {
    let prober = prober();
    let value = |text: &str| SecretValue::new(text.to_owned());
    prober.know(Arc::new(secrets.iter().map(|(name, text)| (named(name), value(text))).collect()));
    prober
}

async fn asking(prober: &Prober, question: HttpQuestion) -> Observation {
    prober.run(&check(Question::Http(Box::new(question)), LONG_MS), TRACE).await
}

/// A target that answers with `answer` and tells the heads of what it was asked.
async fn listening(answer: Vec<u8>) -> (SocketAddr, mpsc::Receiver<String>) {
    let (tell, heads) = mpsc::channel(8);
    let target = targets::serving(move |mut stream| {
        let (tell, answer) = (tell.clone(), answer.clone());
        async move {
            let head = targets::request(&mut stream).await;
            let _gone = stream.write_all(&answer).await;
            let _gone = stream.shutdown().await;
            tell.send(head).await.unwrap();
        }
    })
    .await;
    (target, heads)
}

fn with_header(target: SocketAddr, prefix: &str) -> HttpQuestion {
    let mut question = get_from(target);
    let header = SecretHeader { name: "X-Token".into(), prefix: prefix.into(), secret: named("TOKEN") };
    question.secret_headers.push(header);
    question
}

fn with_auth(target: SocketAddr, auth: HttpAuth) -> HttpQuestion {
    HttpQuestion { auth: Some(auth), ..get_from(target) }
}

#[tokio::test]
async fn a_secret_goes_out_as_its_check_says() {
    let (target, mut heads) = listening(response("200 OK", "")).await;
    let basic = HttpAuth::Basic(BasicAuth { user: "me".into(), password: named("TOKEN") });
    let table = [
        (with_header(target, ""), "x-token: p:w"),
        (with_header(target, "Token "), "x-token: Token p:w"),
        (with_auth(target, HttpAuth::Bearer(named("TOKEN"))), "authorization: Bearer p:w"),
        (with_auth(target, basic), "authorization: Basic bWU6cDp3"),
    ];
    for (question, line) in table {
        assert_eq!(verdict(&asking(&knowing(&[("TOKEN", "p:w")]), question).await), UP);
        let head = heads.recv().await.unwrap();
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
}

#[tokio::test]
async fn no_secret_follows_a_redirect_to_another_origin() {
    let (away, mut heads) = listening(response("200 OK", "")).await;
    let (home, mut first) = listening(response_with("307 Moved", &format!("location: http://{away}/\r\n"), b"")).await;
    let mut question = with_auth(home, HttpAuth::Bearer(named("TOKEN")));
    question.secret_headers = with_header(home, "").secret_headers;
    question.headers = vec![("Cookie".into(), "hunter2".into())];
    assert_eq!(verdict(&asking(&knowing(&[("TOKEN", "hunter2")]), question).await), UP);
    assert_eq!(first.recv().await.unwrap().matches("hunter2").count(), 3);
    let head = heads.recv().await.unwrap();
    assert!(!head.contains("hunter2") && !head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_secret_that_can_not_be_had_or_sent_is_our_own_fault_and_nobody_is_asked() {
    let missing = ours(Reason::SecretMissing, Phase::Resolve);
    let nobody = targets::nobody().await;
    for secrets in [&[][..], &[("OTHER", "x")], &[("TOKEN", "hunter2\r\nx-smuggled: 1")]] {
        for question in [with_header(nobody, ""), with_auth(nobody, HttpAuth::Bearer(named("TOKEN")))] {
            let seen = asking(&knowing(secrets), question).await;
            assert_eq!(verdict(&seen), missing, "{secrets:?}: {seen:?}");
            let detail = seen.detail.unwrap();
            assert!(detail.contains("env TOKEN") && !detail.contains("hunter2"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_new_secret_counts_from_the_next_run_on() {
    let (target, mut heads) = listening(response("200 OK", "")).await;
    let prober = knowing(&[("TOKEN", "old")]);
    asking(&prober, with_header(target, "")).await;
    prober.know(Arc::new([(named("TOKEN"), SecretValue::new("new".to_owned()))].into_iter().collect()));
    asking(&prober, with_header(target, "")).await;
    assert!(heads.recv().await.unwrap().contains("x-token: old\r\n"));
    assert!(heads.recv().await.unwrap().contains("x-token: new\r\n"));
}

#[tokio::test]
async fn what_a_target_sends_back_of_a_secret_is_kept_nowhere() {
    let echo = format!("location: /?token=hunter2hunter2\r\nx-echo: {}\r\n", "Basic bWU6aHVudGVyMmh1bnRlcjI=");
    let (target, _heads) = listening(response_with("302 Found", &echo, b"hunter2hunter2")).await;
    let auth = HttpAuth::Basic(BasicAuth { user: "me".into(), password: named("TOKEN") });
    let mut quoting = with_auth(target, auth.clone());
    quoting.expect.body_contains = vec!["Cart".into()];
    quoting.expect.status = vec!["302".parse().unwrap()];
    quoting.redirects = 0;
    for question in [with_auth(target, auth), quoting] {
        let seen = asking(&knowing(&[("TOKEN", "hunter2hunter2")]), question).await;
        let kept = format!("{seen:?}");
        assert_eq!(seen.outcome, Outcome::Down, "{kept}");
        assert!(kept.contains("[secret]") && !kept.contains("hunter2") && !kept.contains("aHVudGVy"), "{kept}");
    }
}

/// An authority, and a certificate of it for a client with its key.
pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two of the same name, or their certificates would be taken for each other's, badly signed.
        params.distinguished_name.push(DnType::CommonName, format!("ours {:02x?}", &key.public_key_raw()[..16]));
        let root = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        Self { pem: root.pem(), issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }

    pub(super) fn sign(&self, name: &str) -> (Certificate, KeyPair) {
        let (params, key) = (CertificateParams::new(vec![name.to_owned()]).unwrap(), KeyPair::generate().unwrap());
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A target that asks for a certificate, lets in who has one (or anybody, where `lax`), answers with `answer`
    /// and tells whether one was shown.
    pub(super) async fn door(&self, lax: bool, answer: Vec<u8>) -> (SocketAddr, mpsc::Receiver<bool>) {
        let (certificate, key) = self.sign("127.0.0.1");
        let provider = Arc::new(provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&provider));
        let verifier = if lax { verifier.allow_unauthenticated() } else { verifier };
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let (tell, shown) = mpsc::channel(8);
        let target = targets::serving(move |stream| {
            let (acceptor, answer, tell) = (acceptor.clone(), answer.clone(), tell.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 1];
                let _read = stream.read_exact(&mut asked).await;
                let _gone = stream.write_all(&answer).await;
                let _gone = stream.shutdown().await;
                tell.send(stream.get_ref().1.peer_certificates().is_some()).await.unwrap();
            }
        })
        .await;
        (target, shown)
    }

    /// A question to `target` that shows a certificate, and the certificate's key.
    pub(super) fn question(&self, target: SocketAddr) -> (HttpQuestion, String) {
        let (certificate, key) = self.sign("nines");
        let shown = ClientCertificate { certificate_pem: certificate.pem(), key: named("KEY") };
        let asked = get(&format!("https://{target}/"));
        let question = HttpQuestion { ca_pem: Some(self.pem.clone()), client_certificate: Some(shown), ..asked };
        (question, key.serialize_pem())
    }
}

#[tokio::test]
async fn a_client_certificate_opens_the_door_that_is_shut_without_it() {
    let ca = Authority::new();
    let (target, _shown) = ca.door(false, response("200 OK", "")).await;
    let (question, key) = ca.question(target);
    assert_eq!(verdict(&asking(&knowing(&[("KEY", &key)]), question.clone()).await), UP);
    let without = HttpQuestion { client_certificate: None, ..question.clone() };
    let seen = asking(&prober(), without).await;
    assert_eq!(seen.outcome, Outcome::Down, "{seen:?}");

    let missing = ours(Reason::SecretMissing, Phase::Resolve);
    assert_eq!(verdict(&asking(&prober(), question.clone()).await), missing);
    let seen = asking(&knowing(&[("KEY", "hunter2")]), question.clone()).await;
    assert_eq!(verdict(&seen), ours(Reason::SecretMissing, Phase::Tls));
    assert!(!format!("{seen:?}").contains("hunter2"));
    let of_another = KeyPair::generate().unwrap().serialize_pem();
    let seen = asking(&knowing(&[("KEY", &of_another)]), question).await;
    assert_eq!(verdict(&seen), ours(Reason::Unsupported, Phase::Tls), "{seen:?}");
}

#[tokio::test]
async fn a_tls_check_shows_its_certificate_too() {
    let ca = Authority::new();
    let (target, mut shown) = ca.door(true, Vec::new()).await;
    let (of_http, key) = ca.question(target);
    let address = format!("{target}").parse().unwrap();
    let question = TlsQuestion {
        ca_pem: of_http.ca_pem,
        client_certificate: of_http.client_certificate,
        ..TlsQuestion::at(address)
    };
    let check = check(Question::Tls(Box::new(question)), LONG_MS);
    assert_eq!(verdict(&knowing(&[("KEY", &key)]).run(&check, TRACE).await), UP);
    assert_eq!(shown.recv().await, Some(true));
    assert_eq!(verdict(&prober().run(&check, TRACE).await), ours(Reason::SecretMissing, Phase::Resolve));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_own_origin_alone() {
    let ca = Authority::new();
    let (away, mut shown_away) = ca.door(true, response("200 OK", "")).await;
    let redirect = response_with("302 Found", &format!("location: https://{away}/\r\n"), b"");
    let (home, mut shown_at_home) = ca.door(true, redirect).await;
    let (question, key) = ca.question(home);
    assert_eq!(verdict(&asking(&knowing(&[("KEY", &key)]), question).await), UP);
    assert_eq!((shown_at_home.recv().await, shown_away.recv().await), (Some(true), Some(false)));
}
