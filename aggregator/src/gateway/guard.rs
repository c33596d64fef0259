//! What stands before every path: whoever shows a certificate is a probe of the fleet, and the only process that is
//! that probe; and where that changes while it waits for an answer, the wait ends.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use nines_shared::wire::{AUTHORITIES_HEADER, BOOT_HEADER, MAX_BOOT_LEN};

use super::Gateway;
use super::answer::Refused;
use super::authority::Circle;
use super::lease::{Came, Seat};
use super::peer::Peer;
use crate::store::probes;

/// What is known of one connection's peer.
#[derive(Debug, Default)]
pub(super) struct Known {
    seat: Seat,
    /// Under whom it was found to be a probe of the fleet. Whoever shuts a probe out has them read anew.
    admitted: Mutex<Option<Arc<Circle>>>,
}

impl Known {
    /// What it was found to be may be wrong by now: it is looked up again before its next request.
    fn forget(&self) {
        *self.admitted.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Lets `request` through where its sender may ask anything at all, and calls it back where it may not any more.
pub(super) async fn guard(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (Some(peer), Some(known)) = (extensions.get::<Peer>().cloned(), extensions.get::<Arc<Known>>().cloned()) else {
        return next.run(request).await;
    };
    let mut changes = gateway.authority.changes();
    if let Err(refused) = admit(&gateway, &peer, &known, boot(&request)).await {
        gateway.knocks(&peer, &refused).await;
        return told(&gateway, refused.into_response());
    }
    let mut answering = std::pin::pin!(next.run(request));
    loop {
        tokio::select! {
            response = answering.as_mut() => {
                if response.status() == StatusCode::FORBIDDEN {
                    known.forget();
                }
                return told(&gateway, response);
            }
            Ok(()) = changes.changed() => {
                if let Err(refused) = stands(&gateway, &peer, &known).await {
                    gateway.knocks(&peer, &refused).await;
                    return told(&gateway, refused.into_response());
                }
            }
        }
    }
}

/// `POST /v1/leave`: the process ends in order, and the next one need not wait.
pub(super) async fn leave(State(gateway): State<Arc<Gateway>>, peer: Peer, request: Request) -> StatusCode {
    if let Some(boot) = boot(&request) {
        gateway.leases.leaves(&peer.probe, &boot);
        gateway.assignments.left(&peer.probe, gateway.running.clock.now());
    }
    StatusCode::NO_CONTENT
}

/// What was drawn when the asking process began; a probe of an earlier version does not say. What can't be such a thing
/// is nothing.
pub(super) fn boot(request: &Request) -> Option<String> {
    let value = request.headers().get(BOOT_HEADER)?.to_str().ok()?;
    (1..=MAX_BOOT_LEN).contains(&value.len()).then(|| value.to_owned())
}

async fn admit(gateway: &Gateway, peer: &Peer, known: &Known, boot: Option<String>) -> Result<(), Refused> {
    peer.in_time(gateway.running.clock.now())?;
    stands(gateway, peer, known).await?;
    gateway.quotas.request(&peer.probe, &gateway.running.counters.limited)?;
    if !gateway.leases.know(&peer.probe) {
        let probe = peer.probe.clone();
        let heard = gateway.running.store.read(move |conn| probes::last_heard(conn, &probe)).await?;
        if let Some((boot, heard)) = heard {
            gateway.leases.learn(&peer.probe, boot, heard, gateway.began);
        }
    }
    let now = gateway.running.clock.now();
    match gateway.leases.comes(&peer.probe, boot.as_deref(), &known.seat, now) {
        Came::Alone => Ok(()),
        Came::BesideAnother => {
            tracing::error!(probe = %peer.probe, "probe.cloned");
            let probe = peer.probe.clone();
            gateway.running.store.write(move |tx| probes::cloned(tx, &probe, now)).await?;
            Ok(())
        }
        Came::Second => {
            tracing::warn!(probe = %peer.probe, "probe.second_refused");
            let message = format!(
                "another process is {} at the moment. Where this machine was cloned, move its state away and have it \
                 join under a name of its own; where the other one has just died, this one is let in within half a minute",
                peer.probe
            );
            Err(Refused::new(StatusCode::CONFLICT, "cloned", message))
        }
    }
}

/// Whether `peer` is a probe of the fleet: looked up once a connection, and again when that may have changed.
async fn stands(gateway: &Gateway, peer: &Peer, known: &Known) -> Result<(), Refused> {
    let circle = gateway.authority.circle();
    let is_same = |under: &Arc<Circle>| Arc::ptr_eq(under, &circle);
    if known.admitted.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(is_same) {
        return Ok(());
    }
    peer.stands(&gateway.running).await?;
    *known.admitted.lock().unwrap_or_else(PoisonError::into_inner) = Some(circle);
    Ok(())
}

/// The answer with who vouches for the fleet.
fn told(gateway: &Gateway, mut response: Response) -> Response {
    if let Ok(digest) = HeaderValue::from_str(gateway.authority.circle().digest()) {
        response.headers_mut().insert(HeaderName::from_static(AUTHORITIES_HEADER), digest);
    }
    response
}
