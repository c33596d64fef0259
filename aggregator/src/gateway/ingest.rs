//! `POST /v1/batches`: taken apart, checked, committed, and only then acknowledged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use nines_shared::sample::{Sample, TraceId};
use nines_shared::wire::{Ack, Batch, Health, MAX_BATCH_BYTES};
use tokio::time::timeout;

use super::answer::Refused;
use super::body::{self, Encoding};
use super::peer::Peer;
use super::quota::Cost;
use super::{Gateway, admission};
use crate::store::certificates::{self, Standing};
use crate::store::probes;
use crate::store::samples::{self, Inserted};
use crate::store::shown;

/// Answers a batch.
pub(super) async fn batches(
    State(gateway): State<Arc<Gateway>>,
    peer: Peer,
    request: Request,
) -> Result<Json<Ack>, Refused> {
    let answered = take(&gateway, &peer, request).await;
    match &answered {
        Ok(_ack) => {}
        // Counted and told where it was decided.
        Err(refused) if refused.status == StatusCode::TOO_MANY_REQUESTS => {}
        Err(refused) if refused.status.is_client_error() => {
            gateway.running.counters.batches_refused.add(1);
            let (error, message) = (&refused.refusal.error, &refused.refusal.message);
            tracing::warn!(probe = %peer.probe, error, message, sample = refused.refusal.sample, "batch.refused");
        }
        Err(refused) => tracing::warn!(probe = %peer.probe, error = refused.refusal.error, "batch.not_taken"),
    }
    answered
}

async fn take(gateway: &Arc<Gateway>, peer: &Peer, request: Request) -> Result<Json<Ack>, Refused> {
    let encoding = Encoding::of(request.headers())?;
    let mut at_work = gateway.quotas.batch(&peer.probe, &gateway.running.counters.limited)?;
    let body = body::whole(request.into_body(), MAX_BATCH_BYTES, gateway.limits.body).await?;
    // Whoever waits longer than this comes again; what is committed after all is then there already.
    at_work.cost = Cost::UNREADABLE;
    match timeout(gateway.limits.commit, store(gateway, peer, (body, encoding), &mut at_work.cost)).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(Refused::later("busy", "the aggregator has more to store than it can at the moment")),
    }
}

async fn store(
    gateway: &Arc<Gateway>,
    peer: &Peer,
    (body, encoding): (hyper::body::Bytes, Encoding),
    cost: &mut Cost,
) -> Result<Json<Ack>, Refused> {
    let at_work = gateway.at_work.acquire().await.expect("the semaphore is never closed");
    let decoding = tokio::task::spawn_blocking(move || {
        let plain = body::plain(&body, encoding)?;
        Ok::<_, Refused>((plain.len(), body::parsed::<Batch>(&plain)?))
    });
    let decoded = decoding.await.map_err(|_panicked| Refused::later("internal", "the batch could not be read"))?;
    let (bytes, batch) = decoded?;
    *cost = Cost { samples: batch.samples.len(), bytes };
    drop(at_work);
    let place = gateway.deliveries.clone().acquire_owned().await.expect("the semaphore is never closed");
    // It goes on where nobody waits for it any more: what is committed after all is to be known to all whom it
    // concerns.
    let (gateway, peer) = (gateway.clone(), peer.clone());
    let delivering = tokio::spawn(async move {
        let _place = place;
        gateway.deliver(&peer, batch).await
    });
    let delivered =
        delivering.await.map_err(|_panicked| Refused::later("internal", "the batch could not be stored"))?;
    Ok(Json(delivered?))
}

impl Gateway {
    /// Takes in what `peer` sent. Once it answers, all of it is committed and synced, or none of it counts (INV-2).
    ///
    /// # Errors
    /// Why it is not taken: a 4xx where it never will be as it is, a 5xx where the sender is to come again.
    pub async fn deliver(&self, peer: &Peer, batch: Batch) -> Result<Ack, Refused> {
        let rules = self.known.rules(&self.running).await?;
        let now = self.running.clock.now();
        let (samples, health) = admission::admit(batch, (&peer.probe, &peer.region), &rules, now)?;
        let count = samples.len();
        let inserted = commit(self, peer, samples, health).await?;
        count_in(self, inserted);
        Ok(Ack { samples: count, stored: inserted.stored, now: self.running.clock.now() })
    }
}

/// One commit: the samples, how the probe is, and that it still is a probe of the fleet.
async fn commit(gateway: &Gateway, peer: &Peer, samples: Vec<Sample>, health: Health) -> Result<Inserted, Refused> {
    let now = gateway.running.clock.now();
    let (sender, told) = (peer.clone(), health.clone());
    let job = gateway.running.store.write(move |tx| {
        let standing = certificates::shown(tx, &sender.probe, &sender.sha256, now)?;
        if standing != Standing::Good {
            return Ok((standing, Inserted::default(), samples));
        }
        let inserted = samples::insert(tx, &samples, now)?;
        shown::note(tx, &samples)?;
        probes::seen(tx, &sender.probe, &health, now)?;
        Ok((standing, inserted, samples))
    });
    let (standing, inserted, samples) = job.await?;
    peer.admitted(standing)?;
    gateway.assignments.told(peer, &told, now);
    // At once and not at the evaluator's next tick: whoever is to look too should see the same as the one who did.
    gateway.desk.arrived(&gateway.running, peer, &samples);
    tell(&samples);
    Ok(inserted)
}

fn count_in(gateway: &Gateway, inserted: Inserted) {
    let counters = &gateway.running.counters;
    counters.samples_stored.add(u64::try_from(inserted.stored).unwrap_or(u64::MAX));
    counters.samples_duplicate.add(u64::try_from(inserted.same).unwrap_or(u64::MAX));
    if 0 < inserted.stored {
        gateway.running.arrivals.send_modify(|arrivals| *arrivals += 1);
    }
}

/// One line a sample, where someone follows them.
fn tell(samples: &[Sample]) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for sample in samples {
        let derived = || TraceId::of(&sample.check, &sample.region, sample.kind, sample.scheduled_at);
        let trace_id = sample.trace_id.unwrap_or_else(derived);
        tracing::debug!(
            %trace_id, check = %sample.check, region = %sample.region, scheduled_at = %sample.scheduled_at,
            outcome = %sample.outcome, "sample.received"
        );
    }
}
