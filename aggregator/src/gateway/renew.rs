//! `POST /v1/renew`: the certificate that follows a probe's own, over the one that it has.
//!
//! The one before stays good until the new one is shown, so nothing that breaks in between shuts a probe out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use nines_shared::time::Timestamp;
use nines_shared::wire::{BOOT_HEADER, RenewRequest, RenewResponse};
use rusqlite::Transaction;

use super::Gateway;
use super::answer::Refused;
use super::authority::{self, Circle};
use super::body::{self, Encoding};
use super::guard;
use super::join::unsigned;
use super::limits::MAX_JOIN_BYTES;
use super::peer::Peer;
use crate::store::StoreError;
use crate::store::certificates::{self, CertificateRow};

/// Certificates for one probe are made at least this far apart, in ms, whatever it asks …
const PACE_MS: i64 = 60_000;
/// … or this part of a certificate's life, where that is shorter.
const PACE_PARTS: i64 = 100;

/// Gives a probe its next certificate, where it is time for one.
pub(super) async fn renew(
    State(gateway): State<Arc<Gateway>>,
    peer: Peer,
    request: Request,
) -> Result<Json<RenewResponse>, Refused> {
    // What lets one process at a time be a probe must not be left out by who wants to be it for another month.
    if guard::boot(&request).is_none() {
        let message = format!("a request to renew says with {BOOT_HEADER} which process asks");
        return Err(Refused::new(StatusCode::BAD_REQUEST, "no_boot", message));
    }
    let body = body::whole(request.into_body(), MAX_JOIN_BYTES, gateway.limits.body).await?;
    let asked: RenewRequest = body::decoded(&body, Encoding::Plain)?;
    let request = authority::Request::read(&asked.csr_pem)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))?;
    let (circle, now) = (gateway.authority.circle(), gateway.running.clock.now());
    let life_ms = gateway.running.fleet.borrow().aggregator.probe_certificates_ms;
    let asking = peer.clone();
    let renewing = gateway.running.store.write(move |tx| give(tx, &asking, request, &circle, (now, life_ms)));
    let renewed = renewing.await?;
    match &renewed {
        Ok(_) => tracing::info!(probe = %peer.probe, "probe.renewed"),
        Err(refused) => tracing::warn!(probe = %peer.probe, error = refused.refusal.error, "probe.not_renewed"),
    }
    renewed.map(Json)
}

/// In one transaction: it is a probe of the fleet, it is time, and the next certificate lies beside the one that it
/// has.
fn give(
    tx: &Transaction<'_>,
    peer: &Peer,
    request: authority::Request,
    circle: &Circle,
    (now, life_ms): (Timestamp, i64),
) -> Result<Result<RenewResponse, Refused>, StoreError> {
    let standing = certificates::shown(tx, &peer.probe, &peer.sha256, now)?;
    if let Err(refused) = peer.admitted(standing) {
        return Ok(Err(refused));
    }
    let newest = certificates::newest(tx, &peer.probe)?;
    if let Some(from) = newest.map(|newest| due(&newest, circle)).filter(|from| now < *from) {
        let message =
            format!("it is not time for another certificate; come again in {} s", from.since(now) / 1_000 + 1);
        return Ok(Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_soon", message)));
    }
    let issued = match circle.sign(request, (&peer.probe, &peer.region), now, life_ms) {
        Ok(issued) => issued,
        Err(error) => return Ok(Err(unsigned(&error))),
    };
    certificates::put_beside(tx, &peer.probe, &issued.row)?;
    let ca_pem = circle.bundle_pem().to_owned();
    Ok(Ok(RenewResponse { certificate_pem: issued.certificate_pem, ca_pem }))
}

/// From when on the probe whose newest certificate this is may have another. Half of its life must have gone: a probe
/// whose clock is wrong asks at any time. Where other authorities vouch than it was told of, or the one that was made
/// for it never arrived, only the pace counts.
fn due(newest: &CertificateRow, circle: &Circle) -> Timestamp {
    let life_ms = newest.until.since(newest.issued_at);
    let is_whole = newest.shown_at.is_some() && newest.told == circle.digest();
    let wait_ms = if is_whole { life_ms / 2 } else { PACE_MS.min(life_ms / PACE_PARTS) };
    newest.issued_at.plus_ms(wait_ms)
}
