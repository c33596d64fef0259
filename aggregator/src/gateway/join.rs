//! `POST /v1/join`: a one-time secret for a certificate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use nines_shared::time::Timestamp;
use nines_shared::wire::{JoinRequest, JoinResponse};
use rusqlite::Transaction;

use super::Gateway;
use super::answer::Refused;
use super::authority::{self, Authority, AuthorityError};
use super::body::{self, Encoding};
use super::limits::MAX_JOIN_BYTES;
use crate::store::StoreError;
use crate::store::probes::{self, InvitationRow, NewProbe};

/// Lets in whoever knows the secret of an open invitation, once.
pub(super) async fn join(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Json<JoinResponse>, Refused> {
    let body = body::whole(request.into_body(), MAX_JOIN_BYTES, gateway.limits.body).await?;
    let asked: JoinRequest = body::decoded(&body, Encoding::Plain)?;
    let request = authority::Request::read(&asked.csr_pem)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))?;
    let secret = authority::sha256(asked.token.as_bytes());
    let (authority, now) = (gateway.authority.clone(), gateway.running.clock.now());
    let joining = gateway.running.store.write(move |tx| enrol(tx, &authority, request, &secret, now));
    let joined = joining.await?;
    match &joined {
        Ok(joined) => tracing::info!(probe = %joined.probe, region = %joined.region, "probe.joined"),
        Err(refused) => tracing::warn!(error = refused.refusal.error, "probe.join_refused"),
    }
    joined.map(Json)
}

/// In one transaction: the invitation is good, it is used up, and its probe has a certificate.
fn enrol(
    tx: &Transaction<'_>,
    authority: &Authority,
    request: authority::Request,
    secret: &[u8; 32],
    now: Timestamp,
) -> Result<Result<JoinResponse, Refused>, StoreError> {
    let invitation = match usable(probes::invitation(tx, secret)?, now) {
        Ok(invitation) => invitation,
        Err(refused) => return Ok(Err(refused)),
    };
    let (id, region) = (invitation.probe, invitation.region);
    let issued = match authority.sign(request, &id, &region, now) {
        Ok(issued) => issued,
        Err(error) => return Ok(Err(unsigned(&error))),
    };
    let certificate = (issued.sha256, issued.until);
    let probe = NewProbe {
        id: id.clone(),
        region: region.clone(),
        certificate_sha256: certificate.0,
        certificate_until: certificate.1,
    };
    probes::join(tx, secret, &probe, now)?;
    Ok(Ok(JoinResponse {
        probe: id,
        region,
        certificate_pem: issued.certificate_pem,
        ca_pem: authority.certificate_pem().to_owned(),
    }))
}

fn usable(found: Option<InvitationRow>, now: Timestamp) -> Result<InvitationRow, Refused> {
    let refused = |code, message| Err(Refused::new(StatusCode::FORBIDDEN, code, message));
    match found {
        None => refused("token_unknown", "there is no such invitation; ask for one with `nines probe invite`"),
        Some(InvitationRow { used_at: Some(_), .. }) => {
            refused("token_used", "the invitation was used already; it is good once, ask for another")
        }
        Some(InvitationRow { expires_at, .. }) if expires_at <= now => {
            refused("token_expired", "the invitation has expired; it is good for a day, ask for another")
        }
        Some(invitation) => Ok(invitation),
    }
}

fn unsigned(error: &AuthorityError) -> Refused {
    tracing::error!(%error, "authority.failed");
    Refused::later("authority", "the aggregator can't sign a certificate at the moment")
}
