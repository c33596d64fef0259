//! The demo service: a small shop on loopback that speaks HTTP over TLS and a name server that knows it.
//! It behaves as its [`Mood`] says, and tells who looks by the address that they look from.
//!
//! It serves nobody but this machine, keeps nothing, and lets no visitor wait longer than its limits.

mod dns;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::QuickstartError;
use super::script::Mood;

/// The name that the demo's name server knows.
pub(super) const NAME: &str = "shop.example";
/// The address that it answers with: one for documentation, since nobody goes there.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// How long the shop thinks while it is slow.
const SLOWNESS: Duration = Duration::from_millis(700);
/// The most visitors at once; further ones wait at the door.
const MAX_VISITORS: usize = 64;
/// How long a visitor may take for everything.
const MAX_VISIT: Duration = Duration::from_secs(10);
/// The largest question that the name server reads; RFC 1035 has none longer over UDP.
const MAX_QUESTION: usize = 512;

/// A running demo; it ends with `stop`.
#[derive(Debug)]
pub(super) struct Demo {
    /// Where the shop is: HTTP over TLS.
    pub(super) shop: SocketAddr,
    /// Where the name server is.
    pub(super) dns: SocketAddr,
    /// The authority that vouches for the shop, PEM.
    pub(super) ca_pem: String,
    /// How it behaves; send to change it.
    pub(super) mood: watch::Sender<Mood>,
}

/// Opens the demo on free ports of loopback.
///
/// # Errors
/// [`QuickstartError::Loopback`] where loopback gives no port.
pub(super) async fn start(stop: CancellationToken) -> Result<Demo, QuickstartError> {
    let (acceptor, ca_pem) = acceptor();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(QuickstartError::Loopback)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(QuickstartError::Loopback)?;
    let shop = listener.local_addr().map_err(QuickstartError::Loopback)?;
    let dns = socket.local_addr().map_err(QuickstartError::Loopback)?;
    let (mood, moods) = watch::channel(Mood::Well);
    tokio::spawn(serve_shop(listener, acceptor, moods, stop.clone()));
    tokio::spawn(serve_names(socket, stop));
    Ok(Demo { shop, dns, ca_pem, mood })
}

/// The shop's certificate, signed by an authority of its own that nobody else trusts.
fn acceptor() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Nines demo authority");
    let ca_key = KeyPair::generate().expect("the provider makes P-256 keys");
    let ca = CertifiedIssuer::self_signed(params, ca_key).expect("these parameters can be signed");
    let key = KeyPair::generate().expect("the provider makes P-256 keys");
    let names = vec![NAME.to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let leaf = CertificateParams::new(names).expect("a name and an address are names");
    let leaf = leaf.signed_by(&key, &ca).expect("these parameters can be signed");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), ca.pem())
}

async fn serve_shop(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    moods: watch::Receiver<Mood>,
    stop: CancellationToken,
) {
    let visitors = Arc::new(Semaphore::new(MAX_VISITORS));
    let mut visits = JoinSet::new();
    loop {
        while visits.try_join_next().is_some() {}
        let free = Arc::clone(&visitors).acquire_owned();
        let Some(Ok(permit)) = stop.run_until_cancelled(free).await else { return };
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        let Ok((stream, from)) = accepted else { continue };
        let visit = visit(stream, from, acceptor.clone(), moods.clone());
        visits.spawn(async move {
            // However a visit ends, the demo goes on.
            let _ended = timeout(MAX_VISIT, visit).await;
            drop(permit);
        });
    }
}

/// One connection. While it fails for everyone the shop hangs up before the handshake.
async fn visit(stream: TcpStream, from: SocketAddr, acceptor: TlsAcceptor, moods: watch::Receiver<Mood>) {
    if *moods.borrow() == Mood::FailsForAll {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = service_fn(move |request| answer(request, from.ip(), moods.clone()));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // A visitor who leaves in the middle of a page does no harm.
    let _left_early = serving.await;
}

async fn answer(
    _request: Request<Incoming>,
    from: IpAddr,
    moods: watch::Receiver<Mood>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mood = *moods.borrow();
    if mood == Mood::Slow {
        sleep(SLOWNESS).await;
    }
    let refused = matches!(from, IpAddr::V4(address) if mood.refuses(address));
    let (status, page) = if refused {
        (StatusCode::SERVICE_UNAVAILABLE, "<h1>Acme Shop</h1><p>Out of order. Please come back later.</p>\n")
    } else {
        (StatusCode::OK, "<h1>Acme Shop</h1><p>Everything you need.</p><a href=\"/cart\">Cart</a>\n")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(page.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "text/html; charset=utf-8".parse().expect("it is a header value"));
    Ok(response)
}

async fn serve_names(socket: UdpSocket, stop: CancellationToken) {
    let mut question = [0; MAX_QUESTION];
    while let Some(received) = stop.run_until_cancelled(socket.recv_from(&mut question)).await {
        let Ok((length, from)) = received else { continue };
        if let Some(answer) = dns::answer(&question[..length], NAME, ADDRESS) {
            // Who asked over UDP asks again where the answer is lost.
            let _lost = socket.send_to(&answer, from).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    async fn page(demo: &Demo, from: [u8; 4]) -> std::io::Result<String> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::from(from), 0).into())?;
        let stream = socket.connect(demo.shop).await?;
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::pem::PemObject;
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(demo.ca_pem.as_bytes()).unwrap()).unwrap();
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    #[tokio::test]
    async fn the_shop_tells_regions_apart_by_the_address_they_look_from() {
        let demo = start(CancellationToken::new()).await.unwrap();
        demo.mood.send_replace(Mood::FailsForOne);
        let [ireland, mumbai] =
            [page(&demo, [127, 0, 0, 11]).await.unwrap(), page(&demo, [127, 0, 0, 13]).await.unwrap()];
        assert!(ireland.starts_with("HTTP/1.1 200") && ireland.contains("Cart"), "{ireland}");
        assert!(mumbai.starts_with("HTTP/1.1 503"), "{mumbai}");
    }

    #[tokio::test]
    async fn while_it_fails_for_everyone_the_shop_hangs_up() {
        let demo = start(CancellationToken::new()).await.unwrap();
        demo.mood.send_replace(Mood::FailsForAll);
        assert!(page(&demo, [127, 0, 0, 11]).await.is_err());
        demo.mood.send_replace(Mood::Well);
        assert!(page(&demo, [127, 0, 0, 11]).await.is_ok());
    }
}
