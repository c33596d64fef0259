//! The door for people: accepts connections, limits each of them, and closes in order.
//!
//! Whoever connects is a stranger. A connection that is slow to ask, slow to read or too many is ended
//! by a limit with a name (INV-9); none of them can hold up the probes, who have a door of their own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::sign_in::Peer;
use crate::places::{Place, Places};
use crate::running::Running;

/// Connections at one time; further ones wait in the kernel's queue.
pub(super) const MAX_CONNECTIONS: usize = 1_024;
/// Connections at one time from one address, or one /64 of IPv6; further ones are closed at once. More than the live
/// pages that there may be, so that all may come through one proxy, and not all, so that one address keeps nobody out.
pub(super) const MAX_CONNECTIONS_OF_ONE: usize = 640;
/// How long a connection may take to send a request's head, idle time between requests included.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may refuse to take what we write.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most header fields of a request.
pub(super) const MAX_HEADERS: usize = 64;
/// How long open connections may finish what they are at when the process stops.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system can't accept, for instance because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `app` on `listener` until `running.stop`, then lets open requests finish within [`GRACE`].
pub(super) async fn serve(listener: TcpListener, app: Router, places: &Places, running: &Running) {
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer, place)) = next(&listener, places, running).await {
        let inner = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            inner.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "web.connection_ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("web.grace_over");
    }
}

/// The next connection with its place among [`MAX_CONNECTIONS`], or `None` when it is time to stop.
async fn next(listener: &TcpListener, places: &Places, running: &Running) -> Option<(TcpStream, Peer, Place)> {
    loop {
        let accepted = async {
            let free = places.free().await;
            listener.accept().await.map(|(stream, from)| (stream, from.ip(), places.take(free, from.ip())))
        };
        let error = tokio::select! {
            () = running.stop.cancelled() => return None,
            accepted = accepted => match accepted {
                Ok((stream, ip, Some(place))) => return Some((stream, Peer(ip), place)),
                Ok((_turned_away, _ip, None)) => {
                    running.counters.people_turned_away.add(1);
                    continue;
                }
                Err(error) => error,
            },
        };
        tracing::warn!(%error, "web.accept_failed");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// A connection that gives up when its peer does not take what is written within [`STALL_TIMEOUT`].
struct Patient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL_TIMEOUT)));
        stalled.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
