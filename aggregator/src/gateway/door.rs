//! Accepts connections, limits each of them in time and size, and closes in order.
//!
//! ALPN decides between HTTP/2 and HTTP/1.1 before HTTP begins; nothing is guessed from first bytes, which
//! could be withheld. Every connection ends: a stranger's soon, a probe's after a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::guard::Known;
use super::limits::{Limits, MAX_HEAD_BYTES, MAX_HEADERS, MAX_STREAMS};
use super::peer::Peer;
use super::tls::Tls;
use crate::places::{Place, Places};
use crate::running::Running;

/// How long to wait when the system can't accept, for instance because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `app` on `listener` until `stop`, then waits for open connections to close.
pub(super) async fn serve(listener: TcpListener, tls: Tls, app: Router, limits: &Limits, running: &Running) {
    let places = Places::new(limits.connections, limits.connections_of_one);
    let strangers = Arc::new(Semaphore::new(limits.strangers));
    let open = TaskTracker::new();
    while let Some((stream, place)) = next(&listener, &places, running).await {
        let connection = Connection {
            acceptor: TlsAcceptor::from(tls.config()),
            app: app.clone(),
            limits: limits.clone(),
            strangers: strangers.clone(),
            running: running.clone(),
            _place: place,
        };
        open.spawn(connection.serve(stream));
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// The next connection with its place, or `None` when it is time to stop.
async fn next(listener: &TcpListener, places: &Places, running: &Running) -> Option<(TcpStream, Place)> {
    loop {
        if places.is_full() {
            tracing::warn!("gateway.full");
        }
        let accepted = async {
            let free = places.free().await;
            listener.accept().await.map(|(stream, from)| (stream, places.take(free, from.ip())))
        };
        let error = tokio::select! {
            () = running.stop.cancelled() => return None,
            accepted = accepted => match accepted {
                Ok((stream, Some(place))) => return Some((stream, place)),
                Ok((_turned_away, None)) => {
                    running.counters.probes_turned_away.add(1);
                    continue;
                }
                Err(error) => error,
            },
        };
        tracing::warn!(%error, "gateway.accept_failed");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// What one connection needs.
struct Connection {
    acceptor: TlsAcceptor,
    app: Router,
    limits: Limits,
    /// Places for those without a certificate.
    strangers: Arc<Semaphore>,
    running: Running,
    _place: Place,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        // Acknowledgements are small and waited for.
        let _not_vital = stream.set_nodelay(true);
        let handshake = timeout(self.limits.handshake, self.acceptor.accept(stream));
        let stream = tokio::select! {
            () = self.running.stop.cancelled() => return,
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%error, "gateway.handshake_failed"),
                Err(_elapsed) => return tracing::debug!("gateway.handshake_timeout"),
            },
        };
        self.speak(stream).await;
    }

    async fn speak(self, stream: TlsStream<TcpStream>) {
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| Peer::of(chain.first()?));
        let place = if peer.is_some() { None } else { self.strangers.try_acquire().ok() };
        if peer.is_none() && place.is_none() {
            return self.running.counters.probes_turned_away.add(1);
        }
        let lifetime = if peer.is_some() { self.limits.connection } else { self.limits.stranger };
        let http = self.http(stream.get_ref().1.alpn_protocol() == Some(b"h2"));
        let (app, known) = (self.app.clone(), Arc::new(Known::default()));
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(known.clone());
            }
            app.clone().oneshot(request.map(Body::new))
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return told(ended),
            () = tokio::time::sleep(lifetime) => {}
            () = self.running.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        match timeout(self.limits.closing, connection).await {
            Ok(ended) => told(ended),
            Err(_elapsed) => tracing::debug!("gateway.closing_timeout"),
        }
    }

    fn http(&self, version_2: bool) -> auto::Builder<TokioExecutor> {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.head)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
        if version_2 { http.http2_only() } else { http.http1_only() }
    }
}

fn told(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "gateway.connection_ended");
    }
}
