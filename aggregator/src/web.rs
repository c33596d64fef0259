//! People's side of the aggregator: pages, API, badges, metrics, live updates.
//!
//! Everything is read from the store and judged by `uptime`; nothing here writes. Pages are complete
//! without JavaScript, load nothing from elsewhere and have nothing inline. What a stranger can ask for is
//! limited in size, time and number.

mod assets;
mod door;
mod headers;
mod live;
mod shade;
mod strip;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::running::Running;
use crate::words;

/// The most bytes of a request's body; nothing here wants one.
const MAX_BODY_BYTES: usize = 1 << 10;

/// What every request shares.
#[derive(Clone, Debug)]
struct Web {
    running: Running,
    /// Places for live pages.
    streams: Arc<Semaphore>,
}

/// Serves pages, API and metrics on `listener` until `running.stop`, then lets open requests finish.
///
/// # Errors
/// None today; a door that can't serve may have one.
pub async fn run(listener: TcpListener, running: Running) -> io::Result<()> {
    let stop = running.stop.clone();
    let web = Web { running, streams: Arc::new(Semaphore::new(live::MAX_STREAMS)) };
    door::serve(listener, router(web), stop).await;
    Ok(())
}

fn router(web: Web) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/live", get(live::live))
        .route("/style.css", get(assets::style))
        .route("/live.js", get(assets::script))
        .route("/favicon.svg", get(assets::icon))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(headers::strict))
        .with_state(web)
}
