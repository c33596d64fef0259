//! The report: one model, and its renderings.
//!
//! [`build`] reads what a report depends on in one snapshot of the store, judges it by [`crate::uptime`] and
//! gives the model; [`render`] writes it. The same samples, definitions and window give the same bytes: `now`
//! only clips what is not over yet and decides whether the report is final (INV-7).

mod assemble;
mod evidence;
pub mod html;
pub mod json;
pub mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use nines_shared::id::{CheckId, CustomerId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

pub use model::Report;

use crate::definition::Customer;
use crate::store::{StoreError, definitions, samples};
use crate::uptime::ServiceRecord;
use crate::uptime::calendar::{self, CalendarError};
use model::State;

/// So long after a window's end a report of it is complete, whoever has not reported.
pub const COMPLETE_AFTER_MS: i64 = 72 * 3_600_000;
/// The most days that a report lists one by one.
pub const MAX_DAYS: i64 = 400;

/// What is to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    /// The fleet's label.
    pub environment: String,
    /// Whose report; may be left out where a service is named or there is one customer only.
    pub customer: Option<CustomerId>,
    /// Only this service.
    pub service: Option<ServiceId>,
    /// Of which time.
    pub time: Time,
}

/// Of which time a report is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Time {
    /// A calendar month in the customer's zone, such as `2026-10`.
    Month(String),
    /// Any window.
    Window(Span),
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For programs.
    #[default]
    Json,
    /// For people: one file, no network.
    Html,
}

impl Format {
    /// The format that the ending of a file's name says, where it says one.
    pub fn of_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        <Self as clap::ValueEnum>::from_str(ending, true).ok()
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The month or the zone makes no sense.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// A customer that was never defined.
    #[error("there is no customer {asked}; {}", those("customers", known))]
    UnknownCustomer {
        /// As asked for.
        asked: CustomerId,
        /// Those there are.
        known: Vec<String>,
    },
    /// A service that was never defined, or is another customer's.
    #[error("there is no service {asked}; {}", those("services", known))]
    UnknownService {
        /// As asked for.
        asked: ServiceId,
        /// Those there are.
        known: Vec<String>,
    },
    /// Nobody said whose report.
    #[error("a report is one customer's; say which with --customer or --service; {}", those("customers", known))]
    WhoseReport {
        /// Those there are.
        known: Vec<String>,
    },
    /// No service lived in the window.
    #[error("customer {0} has no service that lived in this window")]
    NoService(CustomerId),
    /// The window ends before it begins.
    #[error("the window ends before it begins")]
    EmptyWindow,
}

fn those(what: &str, known: &[String]) -> String {
    if known.is_empty() { format!("there are no {what} yet") } else { format!("{what}: {}", known.join(", ")) }
}

/// The report that `request` asks for, as known at `now`. `conn` must see one snapshot throughout.
///
/// # Errors
/// [`ReportError`].
pub fn build(conn: &Connection, request: &ReportRequest, now: Timestamp) -> Result<Report, ReportError> {
    let customer = customer(conn, request)?;
    let window = match &request.time {
        Time::Month(month) => calendar::month(month, &customer.timezone)?,
        Time::Window(window) => *window,
    };
    if window.is_empty() {
        return Err(ReportError::EmptyWindow);
    }
    let services = services(conn, &customer.id, request.service.as_ref(), window)?;
    let mut outlines = Vec::with_capacity(services.len());
    for service in &services {
        outlines.extend(outline(conn, service, &customer, window)?);
    }
    let used = samples_used(&outlines, window);
    let evidence = evidence::gather(conn, &checks(&outlines), used)?;
    let regions = definitions::regions(conn)?;
    let names: BTreeMap<_, _> = regions.into_iter().map(|region| (region.id, region.name)).collect();
    let common = assemble::Common { window, now, names: &names, evidence: &evidence };
    let mut heard = true;
    let mut reports = Vec::with_capacity(outlines.len());
    for mut record in outlines {
        fill(conn, &mut record, window)?;
        heard &= reported_past(&record, window.to);
        reports.push(assemble::service_report(&record, common)?);
    }
    let complete = window.to <= now && (heard || window.to.plus_ms(COMPLETE_AFTER_MS) <= now);
    Ok(Report {
        schema: model::SCHEMA.to_owned(),
        revision: 1,
        // Final is what is frozen and can only be restated (INV-8). Nothing is frozen yet, so nothing is final.
        state: State::Preliminary,
        complete,
        from: window.from,
        to: window.to,
        timezone: customer.timezone,
        environment: request.environment.clone(),
        customer: customer.id,
        customer_name: customer.name,
        services: reports,
        definitions: definitions::digest(conn, &services, window)?,
        samples: evidence.digest,
        samples_from: used.from,
        samples_to: used.to,
    })
}

/// The report in one of its formats.
pub fn render(report: &Report, format: Format) -> String {
    match format {
        Format::Json => json::render(report),
        Format::Html => html::render(report),
    }
}

fn customer(conn: &Connection, request: &ReportRequest) -> Result<Customer, ReportError> {
    let mut customers = definitions::customers(conn)?;
    let known = || customers.iter().map(|customer| customer.id.to_string()).collect();
    let ever = Span { from: Timestamp::MIN, to: Timestamp::MAX };
    let of_service = match &request.service {
        None => None,
        Some(service) => match definitions::outline(conn, service, ever)? {
            Some(record) => Some(record.service.customer),
            None => return Err(ReportError::UnknownService { asked: service.clone(), known: all_services(conn)? }),
        },
    };
    let asked = match (&request.customer, of_service, customers.as_slice()) {
        (Some(asked), _, _) => asked.clone(),
        (None, Some(of_service), _) => of_service,
        (None, None, [only]) => only.id.clone(),
        (None, None, _) => return Err(ReportError::WhoseReport { known: known() }),
    };
    match customers.iter().position(|customer| customer.id == asked) {
        Some(index) => Ok(customers.swap_remove(index)),
        None => Err(ReportError::UnknownCustomer { known: known(), asked }),
    }
}

fn all_services(conn: &Connection) -> Result<Vec<String>, StoreError> {
    Ok(definitions::services(conn)?.into_iter().map(|service| service.id.to_string()).collect())
}

/// The services of the report, sorted by id.
fn services(
    conn: &Connection,
    customer: &CustomerId,
    only: Option<&ServiceId>,
    window: Span,
) -> Result<Vec<ServiceId>, ReportError> {
    let mut services = definitions::services_of(conn, customer, window)?;
    if let Some(only) = only {
        if !services.contains(only) {
            let known = services.iter().map(ServiceId::to_string).collect();
            return Err(ReportError::UnknownService { asked: only.clone(), known });
        }
        services.retain(|service| service == only);
    }
    if services.is_empty() { Err(ReportError::NoService(customer.clone())) } else { Ok(services) }
}

/// The service's definitions in force by the window's end, as `customer` sees them, and its maintenance as far
/// back as the contract looks; samples come later, one service at a time.
fn outline(
    conn: &Connection,
    service: &ServiceId,
    customer: &Customer,
    window: Span,
) -> Result<Option<ServiceRecord>, StoreError> {
    let theirs = |window| Ok(definitions::outline(conn, service, window)?.map(|record| record.seen_by(customer)));
    let Some(record) = theirs(window)? else { return Ok(None) };
    let reach = assemble::reach(record.service.sla.as_ref(), window);
    if reach.from == window.from { Ok(Some(record)) } else { theirs(Span { from: reach.from, ..window }) }
}

fn checks(outlines: &[ServiceRecord]) -> Vec<CheckId> {
    let checks = outlines.iter().flat_map(|record| &record.checks);
    checks.filter_map(|check| check.versions.first()).map(|version| version.check.id.clone()).collect()
}

/// When the samples that the report uses were scheduled: as far as each contract reaches, and two intervals
/// beyond on either side.
fn samples_used(outlines: &[ServiceRecord], window: Span) -> Span {
    outlines.iter().fold(window, |used, record| {
        let versions = record.checks.iter().flat_map(|check| &check.versions);
        let longest = versions.map(|version| version.check.interval_ms).max().unwrap_or(0);
        let reach = assemble::reach(record.service.sla.as_ref(), window);
        let (from, to) = (reach.from.plus_ms(-2 * longest), reach.to.plus_ms(2 * longest));
        Span::new(used.from.min(from), used.to.max(to))
    })
}

fn fill(conn: &Connection, record: &mut ServiceRecord, window: Span) -> Result<(), StoreError> {
    let reach = assemble::reach(record.service.sla.as_ref(), window);
    for check in &mut record.checks {
        let id = &check.versions.first().expect("a check has a version").check.id;
        check.regions = samples::record_of(conn, id, reach)?;
    }
    Ok(())
}

/// Whether every region that is asked at `end` has a sample from then on. Probes deliver in order, so what
/// they took before has come.
fn reported_past(record: &ServiceRecord, end: Timestamp) -> bool {
    let alive = record.checks.iter().filter(|_| end < record.life.to);
    let asked = alive.flat_map(|check| {
        let version = check.in_force().find(|(span, _)| span.contains(end));
        version.into_iter().flat_map(move |(_, version)| version.regions.iter().map(move |region| (check, region)))
    });
    asked.into_iter().all(|(check, region)| {
        let theirs = check.regions.iter().filter(|samples| samples.region == *region);
        theirs.flat_map(|samples| &samples.samples).any(|sample| end <= sample.scheduled_at)
    })
}
