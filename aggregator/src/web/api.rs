//! The JSON API: the same figures as the pages, under stable keys in the words of `docs/METHOD.md`.
//!
//! Instants are milliseconds since the epoch, ratios are parts per million, floored, or null where there is no
//! data. Every answer names its schema; a change that breaks one is a new schema.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nines_shared::id::{CheckId, CustomerId, ProbeId, RegionId, ServiceId};
use nines_shared::sample::Sample;
use nines_shared::time::{Span, Timestamp};
use nines_shared::wire::Health;
use serde::{Deserialize, Serialize};

use super::Web;
use super::figures::{CheckFigures, DAY_MS, Figures, MONTH_MS};
use super::pages::PageError;
use super::view::Standing;
use super::view::probe::Life;
use crate::incident::Incident;
use crate::incident::ailment::{Ailment, on_record};
use crate::store::{incidents, probes};
use crate::uptime::percentile::Percentiles;
use crate::uptime::slo::{self, Budget};
use crate::uptime::{Accounts, Outage};

/// Incidents that one answer holds at most, and by default.
const MAX_INCIDENTS: u32 = 500;
const SOME_INCIDENTS: u32 = 100;

#[derive(Serialize)]
struct Services {
    schema: &'static str,
    now: Timestamp,
    environment: String,
    services: Vec<ServiceNow>,
}

#[derive(Serialize)]
struct ServiceNow {
    service: ServiceId,
    name: String,
    customer: CustomerId,
    timezone: String,
    /// Life begins.
    since: Timestamp,
    #[serde(flatten)]
    state: Stand,
    #[serde(flatten)]
    window: Window,
    checks: Vec<CheckNow>,
}

/// What is so now, and since when; `since` is the window's start where it has been so for longer.
#[derive(Serialize)]
struct Stand {
    /// up, degraded, unknown, down, maintenance, or "no data".
    verdict: &'static str,
    verdict_since: Option<Timestamp>,
}

/// A window and its figures. A service's window is clipped to its life.
#[derive(Serialize)]
struct Window {
    from: Timestamp,
    to: Timestamp,
    accounts: Accounts,
    availability_ppm: Option<u32>,
    coverage_ppm: Option<u32>,
    worst_case_ppm: Option<u32>,
    best_case_ppm: Option<u32>,
}

#[derive(Serialize)]
struct CheckNow {
    check: CheckId,
    protocol: &'static str,
    target: String,
    interval_ms: i64,
    quorum: u16,
    #[serde(flatten)]
    state: Stand,
    #[serde(flatten)]
    window: Window,
    slots_expected: i64,
    slots_answered: i64,
    latency_us: Option<Percentiles>,
    regions: Vec<RegionNow>,
}

#[derive(Serialize)]
struct RegionNow {
    region: RegionId,
    #[serde(flatten)]
    state: Stand,
    slots_expected: i64,
    slots_answered: i64,
    latest: Option<Sample>,
}

#[derive(Serialize)]
struct OneService {
    schema: &'static str,
    now: Timestamp,
    environment: String,
    #[serde(flatten)]
    service: ServiceNow,
    month: Month,
    slo: Option<Budget>,
}

#[derive(Serialize)]
struct Month {
    #[serde(flatten)]
    window: Window,
    outages: Vec<OutageRow>,
}

#[derive(Serialize)]
struct OutageRow {
    from: Timestamp,
    to: Timestamp,
    at_least_ms: i64,
    at_most_ms: i64,
    regions: Vec<RegionId>,
}

pub(super) async fn services(State(web): State<Web>) -> Response {
    answer(all_services(&web).await)
}

async fn all_services(web: &Web) -> Result<Services, PageError> {
    let now = web.running.clock.now();
    let fleet = web.running.fleet.borrow().clone();
    let figures = web.day_of_all(&fleet, now).await?;
    Ok(Services {
        schema: "nines.services/1",
        now,
        environment: fleet.environment.clone(),
        services: figures.iter().map(service_now).collect(),
    })
}

pub(super) async fn service(State(web): State<Web>, Path(id): Path<String>) -> Response {
    answer(one_service(&web, &id).await)
}

async fn one_service(web: &Web, id: &str) -> Result<OneService, PageError> {
    let now = web.running.clock.now();
    let (day, month) = (web.figures(id, DAY_MS, now).await?, web.figures(id, MONTH_MS, now).await?);
    let slo = match &day.service.slo {
        Some(slo) => {
            let figures = web.figures(id, slo.window_ms, now).await?;
            Some(slo::budget(slo, &figures.assessment.accounts))
        }
        None => None,
    };
    Ok(OneService {
        schema: "nines.service/1",
        now,
        environment: web.running.fleet.borrow().environment.clone(),
        service: service_now(&day),
        month: Month {
            window: window(month.assessment.window, month.assessment.accounts),
            outages: month.assessment.outages.iter().map(outage_row).collect(),
        },
        slo,
    })
}

fn service_now(figures: &Arc<Figures>) -> ServiceNow {
    let assessment = &figures.assessment;
    ServiceNow {
        service: figures.service.id.clone(),
        name: figures.service.name.clone(),
        customer: figures.service.customer.clone(),
        timezone: figures.zone.name().to_owned(),
        since: figures.life.from,
        state: state(&Standing::of(&assessment.timeline, &assessment.excluded, figures.life)),
        window: window(assessment.window, assessment.accounts),
        checks: figures.checks.iter().map(|check| check_now(check, figures)).collect(),
    }
}

fn check_now(figures: &CheckFigures, service: &Figures) -> CheckNow {
    let (check, assessment) = (&figures.check, &figures.assessment);
    let regions = assessment.regions.iter().map(|region| RegionNow {
        region: region.region.clone(),
        state: state(&Standing::of(&region.timeline, &[], service.life)),
        slots_expected: region.slots_expected,
        slots_answered: region.slots_answered,
        latest: figures.latest.iter().find(|sample| sample.region == region.region).cloned(),
    });
    CheckNow {
        check: check.id.clone(),
        protocol: check.question.protocol(),
        target: check.question.target(),
        interval_ms: check.interval_ms,
        quorum: check.quorum,
        state: state(&Standing::of(&assessment.timeline, &[], service.life)),
        window: window(assessment.timeline.window(), assessment.accounts),
        slots_expected: assessment.slots_expected,
        slots_answered: assessment.slots_answered,
        latency_us: figures.latency.whole,
        regions: regions.collect(),
    }
}

fn state(standing: &Standing) -> Stand {
    Stand { verdict: standing.shade.word(), verdict_since: standing.from }
}

fn window(span: Span, accounts: Accounts) -> Window {
    Window {
        from: span.from,
        to: span.to,
        accounts,
        availability_ppm: accounts.availability_ppm(),
        coverage_ppm: accounts.coverage_ppm(),
        worst_case_ppm: accounts.worst_case_ppm(),
        best_case_ppm: accounts.best_case_ppm(),
    }
}

fn outage_row(outage: &Outage) -> OutageRow {
    OutageRow {
        from: outage.span.from,
        to: outage.span.to,
        at_least_ms: outage.at_least_ms,
        at_most_ms: outage.at_most_ms,
        regions: outage.regions.clone(),
    }
}

#[derive(Serialize)]
struct Incidents {
    schema: &'static str,
    now: Timestamp,
    incidents: Vec<Incident>,
}

/// What may be asked of the incidents.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// Only those that are open.
    #[serde(default)]
    open: bool,
    /// Only those about this service.
    service: Option<ServiceId>,
    /// At most so many, the newest; 100 unless told, 500 at most.
    limit: Option<u32>,
}

pub(super) async fn incidents(State(web): State<Web>, Query(asked): Query<Asked>) -> Response {
    let filter = incidents::Filter { open_only: asked.open, service: asked.service, span: None };
    let limit = asked.limit.unwrap_or(SOME_INCIDENTS).min(MAX_INCIDENTS);
    let found = web.running.store.read(move |conn| incidents::list(conn, &filter, limit)).await;
    let now = web.running.clock.now();
    answer(found.map(|incidents| Incidents { schema: "nines.incidents/1", now, incidents }).map_err(PageError::from))
}

#[derive(Serialize)]
struct Probes {
    schema: &'static str,
    now: Timestamp,
    probes: Vec<ProbeNow>,
}

#[derive(Serialize)]
struct ProbeNow {
    probe: ProbeId,
    region: RegionId,
    /// alive, silent, never_heard or revoked.
    state: &'static str,
    seen_at: Option<Timestamp>,
    joined_at: Timestamp,
    certificate_until: Timestamp,
    /// What the open incident about it says.
    ailments: Vec<Ailment>,
    health: Health,
}

pub(super) async fn probes(State(web): State<Web>) -> Response {
    let now = web.running.clock.now();
    let read = |conn: &rusqlite::Connection| Ok((probes::list(conn)?, incidents::open(conn)?));
    let found = web.running.store.read(read).await.map_err(PageError::from);
    let probe = |probe: probes::ProbeRecord, open: &[Incident]| ProbeNow {
        state: Life::of(&probe, now).code(),
        ailments: on_record(open, &probe.id).to_vec(),
        probe: probe.id,
        region: probe.region,
        seen_at: probe.seen_at,
        joined_at: probe.joined_at,
        certificate_until: probe.certificate_until,
        health: probe.health,
    };
    answer(found.map(|(all, open)| {
        let probes = all.into_iter().map(|one| probe(one, &open)).collect();
        Probes { schema: "nines.probes/1", now, probes }
    }))
}

/// Why there is no answer.
#[derive(Serialize)]
struct Refused {
    error: &'static str,
    message: String,
}

pub(super) fn answer<T: Serialize>(result: Result<T, PageError>) -> Response {
    let error = match result {
        Ok(body) => return Json(body).into_response(),
        Err(error) => error,
    };
    let (status, code, message) = match &error {
        PageError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown", error.to_string()),
        PageError::Store(_) | PageError::Template(_) => {
            tracing::error!(%error, "web.api_failed");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the log of the aggregator says why".to_owned())
        }
    };
    refused(status, code, message)
}

/// An answer that says why there is no other.
pub(super) fn refused(status: StatusCode, code: &'static str, message: String) -> Response {
    (status, Json(Refused { error: code, message })).into_response()
}
