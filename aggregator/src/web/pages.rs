//! The pages: reads what they need, has the view say it, lets the template lay it out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use nines_shared::id::ServiceId;
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use super::figures::{DAY_MS, Figures, MONTH_MS};
use super::shade::Shade;
use super::view::actions::{Actions, GapLine, SilenceLine};
use super::view::incident::{self, IncidentPage, Subjects};
use super::view::overview::{self, Overview};
use super::view::service::{self, ServicePage};
use super::view::{Moment, Names, probe};
use super::{Web, assets};
use crate::alert::quiet;
use crate::alert::route::Alert;
use crate::definition::Fleet;
use crate::incident::IncidentId;
use crate::store::silences::Silence;
use crate::store::{StoreError, gaps, incidents, probes, silences};
use crate::uptime::calendar;
use crate::uptime::calendar::local::Zone;

/// Open incidents that the first page shows at most, the newest first.
const MAX_OPEN: usize = 50;

/// What every page bears.
pub(super) struct Frame {
    environment: String,
    clock: Moment,
    assets: &'static str,
}

#[derive(Template)]
#[template(path = "index.html", whitespace = "minimize")]
struct Index {
    frame: Frame,
    page: Overview,
    silences: Vec<SilenceLine>,
    gaps: Vec<GapLine>,
}

#[derive(Template)]
#[template(path = "service.html", whitespace = "minimize")]
struct Service {
    frame: Frame,
    page: ServicePage,
}

#[derive(Template)]
#[template(path = "incident.html", whitespace = "minimize")]
struct Incident {
    frame: Frame,
    page: IncidentPage,
    silences: Vec<SilenceLine>,
    actions: Actions,
}

#[derive(Template)]
#[template(path = "sign_in.html", whitespace = "minimize")]
pub(super) struct SignIn {
    pub(super) frame: Frame,
    /// Whether anybody can sign in.
    pub(super) people: bool,
    /// Where to go then.
    pub(super) incident: Option<String>,
    /// Why the last try was refused.
    pub(super) refusal: Option<String>,
}

#[derive(Template)]
#[template(path = "plain.html", whitespace = "minimize")]
struct Plain {
    frame: Frame,
    headline: &'static str,
    lead: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// There is nothing of that name.
    #[error("there is no {0}")]
    Unknown(String),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The template failed, which only a lack of memory explains.
    #[error("the page can't be laid out: {0}")]
    Template(#[from] askama::Error),
}

pub(super) async fn index(State(web): State<Web>, headers: HeaderMap) -> Response {
    answer(&web, index_page(&web, &headers).await)
}

async fn index_page(web: &Web, headers: &HeaderMap) -> Result<String, PageError> {
    let now = web.running.clock.now();
    let fleet = web.running.fleet.borrow().clone();
    let names = Names::of(&fleet.regions);
    let services = web.day_of_all(&fleet, now).await?;
    let groups = overview::groups(&fleet.customers, &services, &names);
    let regions: Vec<String> = fleet.regions.iter().map(|region| region.name.clone()).collect();
    let (shade, headline, lead) = overview::headline(&groups, &regions);
    let (open, probes) = web.running.store.read(|conn| Ok((incidents::open(conn)?, probes::list(conn)?))).await?;
    let subjects = Subjects::of(&fleet);
    let incidents = open.iter().rev().take(MAX_OPEN).map(|open| incident::card(open, &subjects, now)).collect();
    let probes = probe::rows(&probes, &open, &names, now);
    let page = Overview { shade, headline, lead, incidents, groups, probes };
    let silences = web.silences(&fleet, headers, now).await?;
    let silences = silences.iter().map(|(silence, may)| SilenceLine::of(silence, &Zone::utc(), *may, now)).collect();
    let day = Span::new(now.plus_ms(-DAY_MS), now);
    let gaps = web.running.store.read(move |conn| gaps::within(conn, day)).await?;
    let gaps = gaps.iter().map(|gap| GapLine::of(gap, &Zone::utc(), now)).collect();
    Ok(Index { frame: frame(&fleet, now), page, silences, gaps }.render()?)
}

pub(super) async fn service(State(web): State<Web>, Path(id): Path<String>) -> Response {
    answer(&web, service_page(&web, &id).await)
}

async fn service_page(web: &Web, id: &str) -> Result<String, PageError> {
    let now = web.running.clock.now();
    let fleet = web.running.fleet.borrow().clone();
    let names = Names::of(&fleet.regions);
    let (day, month) = (web.figures(id, DAY_MS, now).await?, web.figures(id, MONTH_MS, now).await?);
    let slo = match &day.service.slo {
        Some(slo) => Some(web.figures(id, slo.window_ms, now).await?),
        None => None,
    };
    let page = service::page(&day, &month, slo.as_deref(), &names);
    Ok(Service { frame: frame(&fleet, now), page }.render()?)
}

pub(super) async fn incident(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    answer(&web, incident_page(&web, &id, &headers).await)
}

async fn incident_page(web: &Web, id: &str, headers: &HeaderMap) -> Result<String, PageError> {
    let unknown = || PageError::Unknown(format!("incident {id:?}"));
    let wanted: IncidentId = id.parse().map_err(|_not_an_id| unknown())?;
    let read = move |conn: &Connection| {
        Ok((incidents::get(conn, &wanted)?, incidents::sights(conn, &wanted)?, incidents::notes(conn, &wanted)?))
    };
    let (found, sights, notes) = web.running.store.read(read).await?;
    let found = found.ok_or_else(unknown)?;
    let now = web.running.clock.now();
    let fleet = web.running.fleet.borrow().clone();
    let subjects = Subjects::of(&fleet);
    let page = incident::page(&found, (&sights, &notes), &subjects, now);
    let holding = web.silences(&fleet, headers, now).await?;
    let alert = Alert::of(&fleet, &found, found.severity);
    let zone = subjects.zone(&found.subject);
    let withholding = holding.iter().filter(|(silence, _)| {
        found.is_open() && quiet::withheld(std::slice::from_ref(silence), &found, &alert).is_some()
    });
    let silences: Vec<SilenceLine> =
        withholding.map(|(silence, may)| SilenceLine::of(silence, &zone, *may, now)).collect();
    let person = web.doorkeeper.signed_in(&fleet, headers);
    let actions = Actions::of(&fleet, &found, person.as_ref(), !silences.is_empty());
    Ok(Incident { frame: frame(&fleet, now), page, silences, actions }.render()?)
}

pub(super) async fn missing(State(web): State<Web>) -> Response {
    answer(&web, Err(PageError::Unknown("such page".to_owned())))
}

impl Web {
    /// The silences that hold, each with whether whoever asks may end it.
    async fn silences(
        &self,
        fleet: &Fleet,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Vec<(Silence, bool)>, StoreError> {
        let may_end = self.doorkeeper.signed_in(fleet, headers).is_some();
        let found = self.running.store.read(move |conn| silences::holding(conn, now)).await?;
        Ok(found.into_iter().map(|silence| (silence, may_end)).collect())
    }

    /// The figures of the service called `id` over the `window_ms` before now.
    ///
    /// # Errors
    /// [`PageError::Unknown`] where there is none, [`PageError::Store`].
    pub(super) async fn figures(&self, id: &str, window_ms: i64, now: Timestamp) -> Result<Arc<Figures>, PageError> {
        let unknown = || PageError::Unknown(format!("service {id:?}"));
        let service: ServiceId = id.parse().map_err(|_not_an_id| unknown())?;
        self.cache.figures(&self.running.store, &service, window_ms, now).await?.ok_or_else(unknown)
    }

    /// The figures of the last day of every service, in the file's order.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn day_of_all(&self, fleet: &Fleet, now: Timestamp) -> Result<Vec<Arc<Figures>>, StoreError> {
        let mut all = Vec::with_capacity(fleet.services.len());
        for service in &fleet.services {
            all.extend(self.cache.figures(&self.running.store, &service.id, DAY_MS, now).await?);
        }
        Ok(all)
    }
}

fn answer(web: &Web, page: Result<String, PageError>) -> Response {
    match page {
        Ok(html) => Html(html).into_response(),
        Err(error) => refusal(web, &error),
    }
}

/// A page that says why there is none. What strangers learn of our faults is that there was one.
pub(super) fn refusal(web: &Web, error: &PageError) -> Response {
    let (status, headline, lead) = match error {
        PageError::Unknown(_) => (StatusCode::NOT_FOUND, "There is no such page.", format!("We looked: {error}.")),
        PageError::Store(_) | PageError::Template(_) => {
            tracing::error!(%error, "web.page_failed");
            let lead = "The log of the aggregator says why. The checks go on.".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "This page can't be shown now.", lead)
        }
    };
    (status, Html(plain(web, headline, lead))).into_response()
}

/// A page with nothing but words on it.
pub(super) fn plain(web: &Web, headline: &'static str, lead: String) -> String {
    let fleet = web.running.fleet.borrow().clone();
    let plain = Plain { frame: frame(&fleet, web.running.clock.now()), headline, lead };
    plain.render().unwrap_or_else(|_error| headline.to_owned())
}

/// The clock shows the customers' zone where they share one, else UTC.
pub(super) fn frame(fleet: &Fleet, now: Timestamp) -> Frame {
    let mut zones: Vec<&str> = fleet.customers.iter().map(|customer| customer.timezone.as_str()).collect();
    zones.dedup();
    let zone = match zones.as_slice() {
        [one] => Zone::named(one),
        _several => Zone::utc(),
    };
    Frame {
        environment: fleet.environment.clone(),
        clock: Moment { words: zone.full(now), iso: calendar::utc(now) },
        assets: assets::VERSION.as_str(),
    }
}
