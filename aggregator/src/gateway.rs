//! The probes' door: mutual TLS, enrolment, ingest, assignments, asks.
//!
//! Who a probe is comes from its certificate and from nowhere else, and is looked up before anything that it asks
//! counts; one process at a time is a probe.
//! A batch is taken whole or refused whole; it is acknowledged only after its samples are committed and
//! synced, and every other answer means *not delivered* (INV-2). What is wrong with the batch is a 4xx,
//! what is wrong with us is a 5xx, never the other way round: a probe sets aside what a 4xx names.

mod admission;
mod answer;
mod asks;
mod assignment;
pub mod authority;
mod body;
mod door;
mod guard;
mod ingest;
mod join;
mod knocking;
mod known;
mod lease;
pub mod limits;
mod long_poll;
mod peer;
pub mod quota;
mod renew;
mod seldom;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use nines_shared::id::ProbeId;
use nines_shared::time::Timestamp;
use nines_shared::wire::{ASKS_PATH, ASSIGNMENT_PATH, BATCHES_PATH, JOIN_PATH, LEAVE_PATH, RENEW_PATH};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::running::Running;
pub use answer::Refused;
use asks::Desk;
use assignment::Assignments;
use authority::{Authority, AuthorityError};
use known::Known;
use lease::Leases;
pub use limits::Limits;
pub use peer::Peer;
use quota::Quotas;
use seldom::Seldom;
use tls::Tls;

/// What every request shares: the door without its sockets, which knows who asks.
#[derive(Debug)]
pub struct Gateway {
    running: Running,
    authority: Arc<Authority>,
    limits: Limits,
    known: Known,
    assignments: Assignments,
    desk: Desk,
    leases: Leases,
    quotas: Quotas,
    /// Whom it was told of that they are shut out and come all the same, and why they are.
    shut_out: Seldom<(ProbeId, &'static str)>,
    /// When it opened.
    began: Timestamp,
    /// Places for batches being taken apart.
    at_work: Semaphore,
    /// Places for batches that wait for their commit.
    deliveries: Arc<Semaphore>,
    /// Places for those who want to join.
    joins: Semaphore,
    /// Why it was told that somebody could not join.
    not_let_in: Seldom<String>,
}

/// Lets probes in on `listener` until `running.stop`, then lets open requests finish.
///
/// # Errors
/// [`AuthorityError`] where the gateway can't be given a certificate.
pub async fn run(
    listener: TcpListener,
    running: Running,
    authority: Arc<Authority>,
    limits: Limits,
) -> Result<(), AuthorityError> {
    let tls = Tls::new(authority.clone(), running.clock.clone())?;
    let gateway = Arc::new(Gateway::new(running, authority, limits));
    // Before anybody asks: whoever shared a region before we were away shares it now.
    if let Err(error) = gateway.learn().await {
        tracing::error!(%error, "sharing.not_read");
    }
    let serving = door::serve(listener, tls, router(gateway.clone()), &gateway.limits, &gateway.running);
    tokio::join!(serving, assignment::mind(&gateway));
    Ok(())
}

impl Gateway {
    /// One that has heard nobody yet.
    pub fn new(running: Running, authority: Arc<Authority>, limits: Limits) -> Self {
        Self {
            authority,
            known: Known::default(),
            assignments: Assignments::default(),
            desk: Desk::new(&running),
            leases: Leases::default(),
            quotas: Quotas::default(),
            shut_out: Seldom::default(),
            began: running.clock.now(),
            at_work: Semaphore::new(limits.batches_at_work),
            deliveries: Arc::new(Semaphore::new(limits.deliveries_at_work)),
            joins: Semaphore::new(limits::JOINS_AT_WORK),
            not_let_in: Seldom::default(),
            limits,
            running,
        }
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route(JOIN_PATH, post(join::join))
        .route(RENEW_PATH, post(renew::renew))
        .route(LEAVE_PATH, post(guard::leave))
        .route(ASSIGNMENT_PATH, get(assignment::assignment))
        .route(ASKS_PATH, get(asks::asks))
        .route(BATCHES_PATH, post(ingest::batches))
        .fallback(async || Refused::new(StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this path is asked with another method")
        })
        .layer(axum::middleware::from_fn_with_state(gateway.clone(), guard::guard))
        .with_state(gateway)
}
