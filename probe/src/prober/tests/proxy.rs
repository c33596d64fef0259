//! HTTP checks through a proxy: the tunnel, the absolute form, and whose fault it is.

use nines_shared::check::{BasicAuth, HttpProxy, HttpVersion};
use nines_shared::secret::{Secret, SecretValue};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::secrets::Authority;
use super::targets::{self, response};
use super::*;

fn through(proxy: SocketAddr, url: &str) -> HttpQuestion {
    let url_of_proxy = format!("http://{proxy}").parse().unwrap();
    HttpQuestion { proxy: Some(HttpProxy { url: url_of_proxy, auth: None }), ..get(url) }
}

/// A proxy that says `answer` to everything, and tells what it was asked.
async fn saying(answer: &'static [u8]) -> (SocketAddr, mpsc::Receiver<String>) {
    let (tell, heads) = mpsc::channel(8);
    let proxy = targets::serving(move |mut stream| {
        let tell = tell.clone();
        async move {
            let head = targets::request(&mut stream).await;
            let _gone = stream.write_all(answer).await;
            let _gone = stream.shutdown().await;
            tell.send(head).await.unwrap();
        }
    })
    .await;
    (proxy, heads)
}

/// A proxy that opens a tunnel to `target`, whatever it is asked for.
async fn tunnelling(target: SocketAddr) -> SocketAddr {
    targets::serving(move |mut stream| async move {
        targets::request(&mut stream).await;
        let mut beyond = TcpStream::connect(target).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 p\r\n\r\n").await.unwrap();
        let _ended = tokio::io::copy_bidirectional(&mut stream, &mut beyond).await;
    })
    .await
}

#[tokio::test]
async fn a_plain_target_is_asked_for_in_absolute_form() {
    let (proxy, mut heads) = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut question = through(proxy, "http://shop.example:8080/a?b#c");
    let auth = BasicAuth { user: "me".into(), password: Secret::Env("P".into()) };
    question.proxy.as_mut().unwrap().auth = Some(auth);
    let prober = prober();
    let password = SecretValue::new("hunter2".to_owned());
    prober.know(std::sync::Arc::new([(Secret::Env("P".into()), password)].into_iter().collect()));
    let seen = prober.run(&check(Question::Http(Box::new(question)), LONG_MS), TRACE).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("GET http://shop.example:8080/a?b HTTP/1.1\r\n"), "{head}");
    for line in ["host: shop.example:8080", "proxy-authorization: Basic bWU6aHVudGVyMg=="] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    let hop = &seen.evidence.hops[0];
    assert_eq!((hop.proxy.as_deref(), hop.address), (Some(format!("http://{proxy}").as_str()), Some(proxy)));
    assert_eq!(seen.phases_us.resolve, None, "the name is the proxy's to resolve");
    assert!(!format!("{seen:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_tunnel_leads_to_the_target_and_counts_as_connect() {
    let target = targets::resetting(1, b"").await;
    let seen = ask(through(tunnelling(target).await, "https://shop.example/")).await;
    assert_eq!(verdict(&seen), down(Reason::TlsClosed, Phase::Tls), "{seen:?}");
    assert!(seen.phases_us.connect.is_some());

    let ca = Authority::new();
    let (target, _shown) = ca.door(true, response("200 OK", "")).await;
    let proxy = through(tunnelling(target).await, "http://shop.example/").proxy;
    let (question, _key) = ca.question(target);
    let seen = ask(HttpQuestion { proxy, client_certificate: None, ..question }).await;
    assert_eq!(verdict(&seen), UP, "{seen:?}");
    assert_eq!(seen.evidence.tls.unwrap().chain.len(), 1, "the chain is the target's");

    let (proxy, mut heads) = saying(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    ask(through(proxy, "https://shop.example/secret")).await;
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n"), "{head}");
    assert!(!head.contains("secret") && !head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn what_a_proxy_does_wrong_is_not_the_targets_fault() {
    let (silent, nobody) = (targets::silent().await, targets::nobody().await);
    let proxy_fault = ours(Reason::Proxy, Phase::Connect);
    let table = [
        ("nobody listens", nobody, LONG_MS, proxy_fault.clone()),
        ("silence", silent, SHORT_MS, proxy_fault.clone()),
        ("the end", targets::resetting(1, b"").await, LONG_MS, proxy_fault.clone()),
        ("noise", targets::saying("SSH-2.0-x\r\n\r\n").await, LONG_MS, proxy_fault.clone()),
        ("an endless head", targets::endless(b"HTTP/1.1 200 OK\r\nx: ").await, LONG_MS, proxy_fault.clone()),
        ("a wrong password", targets::saying("HTTP/1.1 407 Who\r\n\r\n").await, LONG_MS, proxy_fault.clone()),
        ("not allowed", targets::saying("HTTP/1.1 403 No\r\n\r\n").await, LONG_MS, proxy_fault.clone()),
        ("words in the tunnel", targets::saying("HTTP/1.1 200 OK\r\n\r\nx").await, LONG_MS, proxy_fault),
        (
            "the target is away",
            targets::saying("HTTP/1.1 503 No such host\r\n\r\n").await,
            LONG_MS,
            down(Reason::ProxyConnect, Phase::Connect),
        ),
    ];
    for (fault, proxy, timeout_ms, wanted) in table {
        let question = through(proxy, "https://shop.example/");
        let seen = prober().run(&check(Question::Http(Box::new(question)), timeout_ms), TRACE).await;
        assert_eq!(verdict(&seen), wanted, "{fault}: {seen:?}");
        assert!(seen.detail.unwrap().contains("proxy"), "{fault}");
    }
    let unknown = through(targets::saying(response("407 Who", "")).await, "http://shop.example/");
    assert_eq!(verdict(&ask(unknown).await), ours(Reason::Proxy, Phase::FirstByte));
    let missing = through(targets::saying(response("404 Not Found", "")).await, "http://shop.example/");
    assert_eq!(verdict(&ask(missing).await), down(Reason::HttpStatus, Phase::FirstByte));
}

#[tokio::test]
async fn inv_10_the_rule_holds_for_the_proxy_and_for_targets_that_are_addresses() {
    let forbidden = ours(Reason::AddressForbidden, Phase::Resolve);
    let elsewhere = through("10.0.0.1:3128".parse().unwrap(), "http://shop.example/");
    assert_eq!(verdict(&ask(elsewhere).await), forbidden);
    let (proxy, mut heads) = saying(b"HTTP/1.1 200 OK\r\n\r\n").await;
    for target in ["http://169.254.169.254/", "https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "http://2852039166/"] {
        assert_eq!(verdict(&ask(through(proxy, target)).await), forbidden, "{target}");
    }
    assert!(heads.try_recv().is_err(), "the proxy was not even asked");
}

#[tokio::test]
async fn every_hop_goes_through_the_proxy_and_http_2_without_tls_does_not() {
    let (proxy, mut heads) =
        saying(b"HTTP/1.1 302 Found\r\nlocation: http://other.example/\r\ncontent-length: 0\r\n\r\n").await;
    let mut question = through(proxy, "http://shop.example/");
    question.redirects = 1;
    let seen = ask(question).await;
    assert_eq!(verdict(&seen), down(Reason::RedirectLimit, Phase::FirstByte));
    heads.recv().await.unwrap();
    assert!(heads.recv().await.unwrap().starts_with("GET http://other.example/ "));
    let mut question = through(proxy, "http://shop.example/");
    question.version = HttpVersion::Http2;
    assert!(Check::new(draft(Question::Http(Box::new(question)), LONG_MS)).is_err());
}
