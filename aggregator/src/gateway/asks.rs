//! `GET /v1/asks`: what a probe is to look at now, told over a request that waits for it.
//!
//! The shell of [`crate::confirm`]: it tells it the fleet in force, who listens and what is committed, wakes those who
//! wait, and counts. A long poll and not a stream: each answer is whole, has a limit and an end, is told again
//! where it was lost, and an aggregator that knows none of it answers 404.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nines_shared::id::{CheckId, ProbeId};
use nines_shared::sample::Sample;
use nines_shared::wire::Asks;
use serde::Deserialize;
use tokio::sync::watch;

use super::answer::Refused;
use super::peer::Peer;
use super::{Gateway, long_poll};
use crate::confirm::{Came, Confirm};
use crate::counters::Counters;
use crate::definition::Fleet;
use crate::running::Running;

/// The last ask that the probe knows of, and how long it would wait for another.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    have: u64,
    #[serde(default)]
    wait_ms: u64,
}

/// Answers with what the probe is asked, or with 204 once the wait is over and that is nothing.
pub(super) async fn asks(
    State(gateway): State<Arc<Gateway>>,
    peer: Peer,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    peer.stands(&gateway.running).await?;
    let (running, desk) = (&gateway.running, &gateway.desk);
    gateway.listens(&peer);
    let new = || gateway.asked(&peer, asked.have);
    match long_poll::until_new(desk.made.subscribe(), asked.wait_ms, &running.stop, new).await {
        Some(asks) => Ok(Json(asks).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

impl Gateway {
    /// Notes that `peer` waits to be asked.
    pub fn listens(&self, peer: &Peer) {
        self.desk.confirm(&self.running).listens(&peer.probe, &peer.region, self.running.clock.now());
    }

    /// What `peer` is asked now, of what is numbered after `have`; `None` where that is nothing.
    pub fn asked(&self, peer: &Peer, have: u64) -> Option<Asks> {
        let now = self.running.clock.now();
        let asks = self.desk.confirm(&self.running).asked(&peer.probe, have, now);
        (!asks.is_empty()).then_some(Asks { asks, now })
    }
}

/// What is asked, under the fleet in force.
#[derive(Debug)]
pub(super) struct Desk {
    /// Grows with every arrival that made asks.
    made: watch::Sender<u64>,
    confirm: Mutex<(Option<Arc<Fleet>>, Confirm)>,
}

impl Desk {
    pub(super) fn new(running: &Running) -> Self {
        Self { made: watch::Sender::new(0), confirm: Mutex::new((None, Confirm::new(running.clock.now()))) }
    }

    /// Takes note of what `peer` delivered, now that it is committed, and wakes those who are to look too.
    pub(super) fn arrived(&self, running: &Running, peer: &Peer, samples: &[Sample]) {
        let came = self.confirm(running).arrived(&peer.probe, samples, running.clock.now());
        count(&running.counters, came);
        if 0 < came.made {
            tracing::info!(probe = %peer.probe, asks = came.made, "asks.made");
            self.made.send_modify(|arrivals| *arrivals += 1);
        }
        if 0 < came.refused {
            tracing::warn!(probe = %peer.probe, asks = came.refused, "asks.refused");
        }
    }

    /// Takes note of what `probe` looks at, as far as it is known.
    pub(super) fn looks_at(&self, running: &Running, probe: &ProbeId, checks: Option<Arc<[CheckId]>>) {
        self.confirm(running).looks_at(probe, checks);
    }

    fn confirm(&self, running: &Running) -> Known<'_> {
        let mut known = self.confirm.lock().unwrap_or_else(PoisonError::into_inner);
        let fleet = running.fleet.borrow();
        if !known.0.as_ref().is_some_and(|under| Arc::ptr_eq(under, &fleet)) {
            known.1.know(&fleet.checks);
            known.0 = Some(fleet.clone());
        }
        Known(known)
    }
}

/// [`Confirm`], which knows the fleet in force.
struct Known<'a>(MutexGuard<'a, (Option<Arc<Fleet>>, Confirm)>);

impl std::ops::Deref for Known<'_> {
    type Target = Confirm;

    fn deref(&self) -> &Confirm {
        &self.0.1
    }
}

impl std::ops::DerefMut for Known<'_> {
    fn deref_mut(&mut self) -> &mut Confirm {
        &mut self.0.1
    }
}

fn count(counters: &Counters, came: Came) {
    counters.asks_made.add(came.made);
    counters.asks_refused.add(came.refused);
    counters.asks_unheard.add(came.unheard);
    counters.asks_answered.add(came.answered);
    counters.asks_answered_ms.add(came.answered_ms);
    counters.asks_expired.add(came.expired);
}
