//! `GET /v1/assignment`: what a probe is to do, at once where it is new to it, else when it changes.
//!
//! The shell of [`crate::sharing`]: it tells it which probes there are, how each is and what each has, and wakes those
//! who wait when that makes other work.

mod given;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nines_shared::time::Timestamp;
use nines_shared::wire::{Assignment, MAX_ANSWER_BYTES};
use serde::Deserialize;
use tokio::time::sleep;

use super::answer::Refused;
use super::join::unsigned;
use super::peer::Peer;
use super::{Gateway, long_poll};
use crate::definition::Fleet;
use crate::sharing::Known;
use crate::store::{StoreError, probes};

pub(super) use given::Assignments;
use given::Work;

/// How often it is decided anew who shares.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the probe has, and how long it would wait for something else.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    have: String,
    #[serde(default)]
    wait_ms: u64,
}

/// Answers with the probe's assignment, or with 304 once the wait is over and it is the one that the probe has.
pub(super) async fn assignment(
    State(gateway): State<Arc<Gateway>>,
    peer: Peer,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    peer.stands(&gateway.running).await?;
    gateway.has(&peer, &asked.have);
    let (planned, stop) = (gateway.assignments.planned(), &gateway.running.stop);
    match long_poll::until_new(planned, asked.wait_ms, stop, || gateway.other(&peer, &asked.have)).await {
        Some(work) => {
            // Whoever was shut out meanwhile is told so, and not that it has nothing to do.
            peer.stands(&gateway.running).await?;
            answer(&gateway, &peer, &work)
        }
        None => Ok(StatusCode::NOT_MODIFIED.into_response()),
    }
}

impl Gateway {
    /// `peer` has the work called `have`, and is heard: what it is to do from now on, where that is something else. Its
    /// `now` means nothing.
    pub fn assigned(&self, peer: &Peer, have: &str) -> Option<Assignment> {
        self.has(peer, have);
        let work = self.other(peer, have)?;
        self.assignments.sent(&peer.probe, &work);
        Some(work.assignment.clone())
    }

    /// Learns which probes there are.
    ///
    /// # Errors
    /// What the store says; then those known before stay.
    pub async fn learn(&self) -> Result<(), StoreError> {
        let listed = self.running.store.read(probes::list).await?;
        let there = listed.into_iter().filter(|probe| probe.revoked_at.is_none());
        let known = there.map(|probe| Known { probe: probe.id, region: probe.region, heard: probe.seen_at });
        self.assignments.know(known.collect(), self.running.clock.now());
        Ok(())
    }

    fn has(&self, peer: &Peer, have: &str) {
        if let Some(held) = self.assignments.has(peer, have, self.in_force()) {
            self.desk.looks_at(&self.running, &peer.probe, held);
        }
    }

    fn other(&self, peer: &Peer, have: &str) -> Option<Arc<Work>> {
        let work = self.assignments.of(peer, self.in_force());
        (work.assignment.digest != have).then_some(work)
    }

    fn in_force(&self) -> (Arc<Fleet>, Timestamp) {
        (self.running.fleet.borrow().clone(), self.running.clock.now())
    }
}

fn answer(gateway: &Gateway, peer: &Peer, work: &Arc<Work>) -> Result<Response, Refused> {
    let assignment = Assignment { now: gateway.running.clock.now(), ..work.assignment.clone() };
    let object = serde_json::to_vec(&assignment).expect("an assignment has only text keys and writes to memory");
    let body = gateway.authority.circle().seal(object).map_err(|error| unsigned(&error))?;
    if MAX_ANSWER_BYTES < body.len() {
        tracing::error!(region = %assignment.region, bytes = body.len(), "assignment.too_large");
        return Err(Refused::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "assignment_too_large",
            "the assignment is larger than a probe would read",
        ));
    }
    gateway.assignments.sent(&peer.probe, work);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Has those who wait for work look again when the fleet file changes, or those who share, until `running.stop`.
pub(super) async fn mind(gateway: &Gateway) {
    let (mut fleet, mut admitted) = (gateway.running.fleet.clone(), gateway.authority.changes());
    let mut unread = false;
    loop {
        tokio::select! {
            () = gateway.running.stop.cancelled() => return,
            Ok(()) = fleet.changed() => gateway.assignments.wake(),
            // Somebody joined, or was shut out.
            Ok(()) = admitted.changed() => unread = true,
            () = sleep(LOOK_EVERY) => {}
        }
        if unread {
            unread = gateway.learn().await.inspect_err(|error| tracing::error!(%error, "sharing.not_read")).is_err();
        }
        let now = gateway.running.clock.now();
        gateway.assignments.hung_up(&gateway.leases.hung_up(now));
        gateway.assignments.look(now);
    }
}
