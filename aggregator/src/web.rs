//! People's side of the aggregator: pages, API, badges, metrics, live updates.
//!
//! Everything is read from the store and judged by `uptime`; what people do goes through `control`. Pages are complete
//! without JavaScript, load nothing from elsewhere and have nothing inline. What a stranger can ask for is
//! limited in size, time and number.

mod actions;
mod api;
mod assets;
mod badge;
mod door;
mod figures;
mod headers;
mod health;
mod latency;
mod live;

mod metrics;
mod pages;
mod reports;
mod shade;
mod sign_in;
mod strip;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::places::Places;
use crate::running::Running;

/// The most bytes of a request's body where nothing wants one.
const MAX_BODY_BYTES: usize = 1 << 10;

/// What every request shares.
#[derive(Clone, Debug)]
struct Web {
    running: Running,
    /// Places for live pages.
    streams: Arc<Semaphore>,
    /// What was read and judged a moment ago.
    cache: Arc<figures::Cache>,
    /// Turns for building reports.
    builds: Arc<Semaphore>,
    /// Who may act.
    doorkeeper: Arc<sign_in::Doorkeeper>,
    /// Whether the evaluator lives.
    pulse: health::Pulse,
}

/// Serves pages, API and metrics on `listener` until `running.stop`, then lets open requests finish.
///
/// # Errors
/// None today; a door that can't serve may have one.
pub async fn run(listener: TcpListener, running: Running) -> io::Result<()> {
    let pulse = health::Pulse::default();
    tokio::spawn(pulse.clone().watch(running.clone()));
    let streams = Arc::new(Semaphore::new(live::MAX_STREAMS));
    let builds = Arc::new(Semaphore::new(reports::MAX_BUILDS));
    let web =
        Web { running: running.clone(), streams, cache: Arc::default(), builds, doorkeeper: Arc::default(), pulse };
    let places = Places::new(door::MAX_CONNECTIONS, door::MAX_CONNECTIONS_OF_ONE);
    door::serve(listener, router(web), &places, &running).await;
    Ok(())
}

fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/service/{id}", get(pages::service))
        .route("/incident/{id}", get(pages::incident))
        .route("/badge/{file}", get(badge::badge))
        .route("/api/v1/services", get(api::services))
        .route("/api/v1/services/{id}", get(api::service))
        .route("/api/v1/incidents", get(api::incidents))
        .route("/api/v1/probes", get(api::probes))
        .route("/report/{customer}/{month}", get(reports::month))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/live", get(live::live))
        .route("/style.css", get(assets::style))
        .route("/live.js", get(assets::script))
        .route("/favicon.svg", get(assets::icon))
        .merge(acts())
        .fallback(pages::missing)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(headers::strict))
        .with_state(web)
}

/// What does something, for people who may.
fn acts() -> Router<Web> {
    Router::new()
        .route("/sign-in", get(actions::sign_in_page).post(actions::sign_in))
        .route("/sign-out", post(actions::sign_out))
        .route("/incident/{id}/act", post(actions::on_incident))
        .route("/silence/{no}/end", post(actions::end_silence))
        .route("/api/v1/incidents/{id}/ack", post(actions::api_ack))
        .route("/api/v1/incidents/{id}/note", post(actions::api_note))
        .route("/api/v1/incidents/{id}/assign", post(actions::api_assign))
        .route("/api/v1/silences", get(actions::api_silences).post(actions::api_silence))
        .route("/api/v1/silences/{no}/end", post(actions::api_end_silence))
        .layer(DefaultBodyLimit::max(actions::MAX_BODY_BYTES))
}
