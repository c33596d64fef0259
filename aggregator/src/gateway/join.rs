//! `POST /v1/join`: a one-time secret for a certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use nines_shared::id::ProbeId;
use nines_shared::time::Timestamp;
use nines_shared::wire::{JoinRequest, JoinResponse};
use rusqlite::Transaction;
use tokio::time::Instant;

use super::Gateway;
use super::answer::Refused;
use super::authority::{self, AuthorityError, Circle};
use super::body::{self, Encoding};
use super::limits::MAX_JOIN_BYTES;
use crate::store::StoreError;
use crate::store::probes::{self, InvitationRow, NewProbe};

/// Lets in whoever knows the secret of an open invitation, once.
pub(super) async fn join(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Json<JoinResponse>, Refused> {
    let body = body::whole(request.into_body(), MAX_JOIN_BYTES, gateway.limits.body).await?;
    let joined = let_in(&gateway, body::decoded(&body, Encoding::Plain)?).await;
    match &joined {
        Ok(joined) => tracing::info!(probe = %joined.probe, region = %joined.region, "probe.joined"),
        Err(refused) => {
            let error = &refused.refusal.error;
            if let Some(untold) = gateway.not_let_in.again(error.clone(), Instant::now()) {
                tracing::warn!(error, untold, "probe.join_refused");
            }
        }
    }
    joined.map(Json)
}

/// Anybody may ask this: whoever knows no secret costs a look into the table of invitations, and nothing else.
async fn let_in(gateway: &Gateway, asked: JoinRequest) -> Result<JoinResponse, Refused> {
    let _place = gateway.joins.acquire().await.expect("the semaphore is never closed");
    let (circle, now) = (gateway.authority.circle(), gateway.running.clock.now());
    let secret = authority::sha256(asked.token.as_bytes());
    known(gateway.running.store.read(move |conn| probes::invitation(conn, &secret)).await?, now)?;
    let request = authority::Request::read(&asked.csr_pem)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))?;
    let life_ms = gateway.running.fleet.borrow().aggregator.probe_certificates_ms;
    let joining = Joining { secret, key: request.key_sha256(), was: asked.probe, now, life_ms };
    let joined = gateway.running.store.write(move |tx| enrol(tx, &circle, request, &joining)).await??;
    // Whoever had the name waits in vain from now on.
    gateway.leases.forget(&joined.probe);
    if let Err(error) = gateway.authority.refresh(&gateway.running.store).await {
        tracing::error!(%error, "authority.not_read");
    }
    Ok(joined)
}

/// One who wants to join.
struct Joining {
    /// SHA-256 of the secret that it knows.
    secret: [u8; 32],
    /// SHA-256 of the key that it wants a certificate for.
    key: [u8; 32],
    /// Whom it has been so far.
    was: Option<ProbeId>,
    now: Timestamp,
    /// How long its certificate will be good.
    life_ms: i64,
}

/// In one transaction: the invitation is good, it is used up, and its probe has a certificate. Where the answer was
/// lost, whoever asks again with the same key gets one again, as long as the invitation would be good.
fn enrol(
    tx: &Transaction<'_>,
    circle: &Circle,
    request: authority::Request,
    joining: &Joining,
) -> Result<Result<JoinResponse, Refused>, StoreError> {
    let Joining { secret, key, now, life_ms, .. } = joining;
    let invitation = match known(probes::invitation(tx, secret)?, *now) {
        Ok(invitation) => invitation,
        Err(refused) => return Ok(Err(refused)),
    };
    if invitation.used_at.is_some() && !probes::was_not_told(tx, &invitation, key)? {
        return Ok(Err(used()));
    }
    let (id, region) = (invitation.probe, invitation.region);
    if let Some(was) = joining.was.as_ref().filter(|was| **was != id) {
        let message = format!(
            "the invitation is for {id} and this machine is {was}: invite {was} again, or have {id} join with a state \
             directory of its own; the invitation is still good"
        );
        return Ok(Err(Refused::new(StatusCode::CONFLICT, "other_probe", message)));
    }
    let issued = match circle.sign(request, (&id, &region), *now, *life_ms) {
        Ok(issued) => issued,
        Err(error) => return Ok(Err(unsigned(&error))),
    };
    let probe = NewProbe { id: id.clone(), region: region.clone(), certificate: issued.row };
    probes::join(tx, secret, &probe, *now)?;
    probes::joined_with(tx, secret, key)?;
    let ca_pem = circle.bundle_pem().to_owned();
    Ok(Ok(JoinResponse { probe: id, region, certificate_pem: issued.certificate_pem, ca_pem }))
}

/// The invitation, where whoever has its key may be let in by it; it may have been used.
fn known(found: Option<InvitationRow>, now: Timestamp) -> Result<InvitationRow, Refused> {
    match found {
        None => Err(no_entry("token_unknown", "there is no such invitation; ask for one with `nines probe invite`")),
        Some(invitation) if now < invitation.expires_at => Ok(invitation),
        Some(InvitationRow { used_at: Some(_), .. }) => Err(used()),
        Some(_) => Err(no_entry("token_expired", "the invitation has expired; it is good for a day, ask for another")),
    }
}

fn used() -> Refused {
    no_entry("token_used", "the invitation was used already; it is good once, ask for another")
}

fn no_entry(code: &str, message: &str) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, code, message)
}

pub(super) fn unsigned(error: &AuthorityError) -> Refused {
    tracing::error!(%error, "authority.failed");
    Refused::later("authority", "the aggregator can't sign a certificate at the moment")
}
