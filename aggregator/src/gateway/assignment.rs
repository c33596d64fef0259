//! `GET /v1/assignment`: what a probe is to do, at once where it is new to it, else when it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::HEXLOWER;
use nines_shared::check::Check;
use nines_shared::id::RegionId;
use nines_shared::secret::Secrets;
use nines_shared::time::Timestamp;
use nines_shared::wire::{Assignment, MAX_ANSWER_BYTES};
use serde::Deserialize;

use super::answer::Refused;
use super::peer::Peer;
use super::{Gateway, long_poll};
use crate::definition::Fleet;
use crate::fingerprint;

/// What the probe has, and how long it would wait for something else.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    have: String,
    #[serde(default)]
    wait_ms: u64,
}

/// Answers with the assignment of the probe's region, or with 304 once the wait is over and it is the one
/// that the probe has.
pub(super) async fn assignment(
    State(gateway): State<Arc<Gateway>>,
    peer: Peer,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    peer.stands(&gateway.running).await?;
    let running = &gateway.running;
    let new = || {
        let work = gateway.assignments.of(&running.fleet.borrow().clone(), &peer.region);
        (work.digest != asked.have).then_some(work)
    };
    match long_poll::until_new(running.fleet.clone(), asked.wait_ms, &running.stop, new).await {
        Some(work) => answer(&gateway, &work),
        None => Ok(StatusCode::NOT_MODIFIED.into_response()),
    }
}

fn answer(gateway: &Gateway, work: &Assignment) -> Result<Response, Refused> {
    let assignment = Assignment { now: gateway.running.clock.now(), ..work.clone() };
    let body = serde_json::to_vec(&assignment).expect("an assignment has only text keys and writes to memory");
    if MAX_ANSWER_BYTES < body.len() {
        tracing::error!(region = %work.region, bytes = body.len(), "assignment.too_large");
        return Err(Refused::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "assignment_too_large",
            "the assignment is larger than a probe would read",
        ));
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// What each region is to do under the fleet in force; computed when first asked for.
#[derive(Debug)]
pub(super) struct Assignments {
    /// Drawn at the start and known to nobody else: a digest made with it does not let anyone try out secrets.
    key: hmac::Key,
    prepared: Mutex<Option<Prepared>>,
}

#[derive(Debug)]
struct Prepared {
    fleet: Arc<Fleet>,
    by_region: BTreeMap<RegionId, Arc<Assignment>>,
}

impl Default for Assignments {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has random numbers");
        Self { key, prepared: Mutex::default() }
    }
}

impl Assignments {
    /// What `region` is to do under `fleet`. Its `now` means nothing.
    fn of(&self, fleet: &Arc<Fleet>, region: &RegionId) -> Arc<Assignment> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match &mut *prepared {
            Some(current) if Arc::ptr_eq(&current.fleet, fleet) => current,
            stale => stale.insert(Prepared { fleet: fleet.clone(), by_region: BTreeMap::new() }),
        };
        let work = current.by_region.entry(region.clone());
        work.or_insert_with(|| Arc::new(assigned(fleet, region, &self.key))).clone()
    }
}

fn assigned(fleet: &Fleet, region: &RegionId, key: &hmac::Key) -> Assignment {
    let mut checks: Vec<Check> =
        fleet.checks.iter().filter(|check| check.region_index(region).is_some()).cloned().collect();
    checks.sort_by(|a, b| a.id.cmp(&b.id));
    let named = checks.iter().flat_map(|check| check.question.secrets());
    let had = named.filter_map(|name| Some((name.clone(), fleet.secrets.get(name)?.clone())));
    let secrets: Secrets = had.collect();
    let digest = digest_of(region, &checks, &secrets, key);
    Assignment { digest, region: region.clone(), checks, secrets, now: Timestamp::from_ms(0) }
}

/// Equal for equal work. Where secrets are a part of it, only until the aggregator's next start.
fn digest_of(region: &RegionId, checks: &[Check], secrets: &Secrets, key: &hmac::Key) -> String {
    let written = "checks have only text keys and write to memory";
    if secrets.is_empty() {
        let said = serde_json::to_vec(&(region, checks)).expect(written);
        return fingerprint::of(&said);
    }
    let said = serde_json::to_vec(&(region, checks, secrets)).expect(written);
    format!("hmac:{}", HEXLOWER.encode(hmac::sign(key, &said).as_ref()))
}
