//! The receiver of the quickstart's alerts: what a customer's webhook would be. It checks the signature,
//! as a receiver should, and hands on what it was told.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::QuickstartError;

/// The largest alert that is read, in bytes.
const MAX_ALERT: usize = 64 << 10;
/// How long one delivery may take.
const MAX_DELIVERY: Duration = Duration::from_secs(10);
/// Alerts that may wait to be told; a further one makes its sender wait.
const QUEUE: usize = 64;

/// An alert as the sink got it: the parts of `nines.alert/1` that the story tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Alert {
    /// `opened`, `updated` or `resolved`.
    pub(super) event: String,
    /// `page`, `ticket` or `info`.
    pub(super) severity: String,
    /// `outage`, `suspected`, ….
    pub(super) kind: String,
    /// What, since when, where from, why: one line.
    #[serde(default)]
    pub(super) summary: Option<String>,
    /// Where people read on.
    #[serde(default)]
    pub(super) link: Option<String>,
    /// ms since the epoch.
    #[serde(default)]
    pub(super) first_failure_at: Option<i64>,
    /// ms since the epoch.
    #[serde(default)]
    pub(super) detected_at: Option<i64>,
    /// Whether its signature is the right one.
    #[serde(skip)]
    pub(super) signed: bool,
}

/// A running sink; it ends with `stop`.
#[derive(Debug)]
pub(super) struct Sink {
    /// Where it takes alerts.
    pub(super) address: SocketAddr,
    /// What it got.
    pub(super) alerts: mpsc::Receiver<Alert>,
}

/// Opens a sink on a free port of loopback; `secret` is the key of the signatures.
///
/// # Errors
/// [`QuickstartError::Loopback`] where loopback gives no port.
pub(super) async fn start(secret: &[u8], stop: CancellationToken) -> Result<Sink, QuickstartError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(QuickstartError::Loopback)?;
    let address = listener.local_addr().map_err(QuickstartError::Loopback)?;
    let (sender, alerts) = mpsc::channel(QUEUE);
    tokio::spawn(serve(listener, hmac::Key::new(hmac::HMAC_SHA256, secret), sender, stop));
    Ok(Sink { address, alerts })
}

/// One delivery after the other: there is one sender.
async fn serve(listener: TcpListener, key: hmac::Key, sender: mpsc::Sender<Alert>, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let take = service_fn(|request| take(request, &key, &sender));
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), take);
        // A delivery that breaks is the sender's to repeat.
        let _broken = timeout(MAX_DELIVERY, serving).await;
    }
}

async fn take(
    request: Request<Incoming>,
    key: &hmac::Key,
    sender: &mpsc::Sender<Alert>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let signature =
        request.headers().get("nines-signature").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let status = match Limited::new(request.into_body(), MAX_ALERT).collect().await {
        Ok(body) => heard(&body.to_bytes(), signature.as_deref(), key, sender).await,
        Err(_too_large_or_broken) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

async fn heard(body: &[u8], signature: Option<&str>, key: &hmac::Key, sender: &mpsc::Sender<Alert>) -> StatusCode {
    let Ok(alert) = serde_json::from_slice::<Alert>(body) else { return StatusCode::BAD_REQUEST };
    let signed = signature.is_some_and(|signature| is_genuine(body, signature, key));
    match sender.send(Alert { signed, ..alert }).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_story_is_over) => StatusCode::GONE,
    }
}

/// Whether `signature`, of the form `t=<unix seconds>,v1=<hex>`, is that of `t.body`. A receiver out in the
/// world would also refuse a `t` long ago.
fn is_genuine(body: &[u8], signature: &str, key: &hmac::Key) -> bool {
    let part = |name: &str| signature.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (Some(t), Some(v1)) = (part("t"), part("v1")) else { return false };
    let Ok(tag) = data_encoding::HEXLOWER.decode(v1.as_bytes()) else { return false };
    let signed = [t.as_bytes(), b".", body].concat();
    hmac::verify(key, &signed, &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_body_alone() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let tag = data_encoding::HEXLOWER.encode(hmac::sign(&key, b"1790000000.{}").as_ref());
        let signature = format!("t=1790000000,v1={tag}");
        assert!(is_genuine(b"{}", &signature, &key));
        assert!(!is_genuine(b"{ }", &signature, &key));
        assert!(!is_genuine(b"{}", &signature.replace("1790000000", "1790000001"), &key));
        assert!(!is_genuine(b"{}", "t=1", &key));
    }
}
