//! `/live`: tells open pages that there is something new; the page then fetches itself.
//!
//! Server-sent events carry no content, so what a reader sees has one source, the page. A burst of
//! arrivals is one event; a slow reader misses nothing, since the next fetch shows everything.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::Web;
use crate::running::Running;

/// Open streams at one time; whoever comes after polls.
pub(super) const MAX_STREAMS: usize = 512;
/// The least time between two events of a stream.
pub(super) const MIN_GAP: Duration = Duration::from_secs(1);
/// A stream that has nothing to say still shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What is written and not yet taken by a reader, in events.
const QUEUED: usize = 2;

pub(super) async fn live(State(web): State<Web>) -> Response {
    let Ok(place) = web.streams.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "too many live pages\n").into_response();
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(QUEUED);
    tokio::spawn(tell(web.running, sender, place));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Reverse proxies that buffer would hold every event back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::new(body)).into_response()
}

/// Writes events until the reader is gone or the process stops.
async fn tell(running: Running, mut sender: Sender<Bytes, Infallible>, place: OwnedSemaphorePermit) {
    let mut news = running.news.subscribe();
    let mut arrivals = running.arrivals.subscribe();
    let mut line = "retry: 2000\n\n";
    while sender.send_data(Bytes::from_static(line.as_bytes())).await.is_ok() {
        line = tokio::select! {
            () = running.stop.cancelled() => break,
            Ok(()) = news.changed() => "event: change\ndata: news\n\n",
            Ok(()) = arrivals.changed() => "event: change\ndata: arrivals\n\n",
            () = sleep(HEARTBEAT) => ": still here\n\n",
        };
        tokio::select! {
            () = running.stop.cancelled() => break,
            () = sleep(MIN_GAP) => {}
        }
        // What came in during the pause is part of this event: the reader fetches after it.
        news.borrow_and_update();
        arrivals.borrow_and_update();
    }
    drop(place);
}
