//! The report: one model, and its renderings.
//!
//! [`build`] reads what a report depends on in one snapshot of the store, judges it by [`crate::uptime`] and
//! gives the model; [`render`] writes it. The same samples, definitions and window give the same bytes: `now`
//! only clips what is not over yet and decides whether the report is final (INV-7).

mod assemble;
pub mod basis;
mod completeness;
pub mod csv;
pub mod diff;
mod drawing;
mod evidence;
mod figures;
pub mod files;
mod html;
pub mod json;
pub mod life;
mod markdown;
pub mod model;
pub mod notice;
mod paper;
mod pdf;
pub mod sign;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod what_if;

use std::collections::BTreeMap;
use std::path::Path;

use nines_shared::id::{CheckId, CustomerId, RegionId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::Connection;

use basis::{BasisError, ServiceBasis};
pub use completeness::COMPLETE_AFTER_MS;
use evidence::Evidence;
pub use html::{Aside, Line, Place};
pub use model::Report;

use crate::definition::Customer;
use crate::definition::look::Look;
use crate::store::samples::days::Form;
use crate::store::samples::sweep::{self, Swept};
use crate::store::{StoreError, definitions, samples};
use crate::uptime::ServiceRecord;
use crate::uptime::calendar::{self, CalendarError};
use model::State;
use paper::Paper;

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
    /// For paper, and for whoever keeps it.
    Pdf,
    /// For spreadsheets: one table, see [`csv::Table`].
    Csv,
    /// For tickets, wikis and mail.
    Md,
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
    /// The definitions of a frozen report make no sense.
    #[error(transparent)]
    Basis(#[from] BasisError),
    /// Another policy that makes no sense.
    #[error("--policy {0}")]
    Otherwise(String),
    /// A revision that was never made.
    #[error("customer {customer} has no revision {revision} of {month}; {}", those("revisions", known))]
    NoRevision {
        /// Whose.
        customer: CustomerId,
        /// Of when.
        month: String,
        /// As asked for.
        revision: u32,
        /// Those there are.
        known: Vec<String>,
    },
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
    Plan::of(conn, request, customer, window, now)?.carried_out(conn)
}

/// What a report is to say, before a sample is looked at.
#[derive(Debug)]
struct Plan {
    environment: String,
    customer: Customer,
    window: Span,
    /// When the samples that it uses are scheduled.
    used: Span,
    basis: Vec<ServiceBasis>,
    names: BTreeMap<RegionId, String>,
    /// When it was known; `None` where it is complete.
    as_of: Option<Timestamp>,
    /// How its samples are digested.
    form: Form,
}

impl Plan {
    fn of(
        conn: &Connection,
        request: &ReportRequest,
        customer: Customer,
        window: Span,
        now: Timestamp,
    ) -> Result<Self, ReportError> {
        let services = services(conn, &customer.id, request.service.as_ref(), window)?;
        let mut outlines = Vec::with_capacity(services.len());
        for service in &services {
            outlines.extend(outline(conn, service, &customer, window)?);
        }
        let used = samples_used(&outlines, window);
        let basis = outlines.iter().filter_map(|record| ServiceBasis::of(record, &customer.id, (window, used)));
        let basis: Vec<_> = basis.collect();
        if basis.is_empty() {
            return Err(ReportError::NoService(customer.id));
        }
        let names = definitions::regions(conn)?.into_iter().map(|region| (region.id, region.name)).collect();
        let complete = completeness::is_complete(conn, &basis, (window, used), now)?;
        let (environment, as_of) = (request.environment.clone(), (!complete).then_some(now));
        Ok(Self { environment, customer, window, used, basis, names, as_of, form: Form::Days })
    }

    /// The report by the samples of the store: those of one service at a time.
    fn carried_out(self, conn: &Connection) -> Result<Report, ReportError> {
        let (form, used) = (self.form, self.used);
        let lines = match form {
            Form::Days => None,
            Form::Lines => {
                let checks: Vec<CheckId> = checks(&self.basis).cloned().collect();
                Some(samples::digest(conn, Some(&checks), used)?)
            }
        };
        self.made(lines, |check| Ok(sweep::sweep(conn, check, used, form)?))
    }

    /// The report, where `swept` gives what it uses of each check, and `lines` is the digest of all of it where that is
    /// of [`Form::Lines`]. The same plan and samples give the same report.
    fn made(
        self,
        lines: Option<String>,
        mut swept: impl FnMut(&CheckId) -> Result<Vec<Swept>, ReportError>,
    ) -> Result<Report, ReportError> {
        let Self { environment, customer, window, used, basis, names, as_of, form } = self;
        let mut evidence = Evidence::new(form);
        let mut services = Vec::with_capacity(basis.len());
        for basis in &basis {
            let mut record: ServiceRecord = basis.record()?;
            evidence.begin_service();
            for check in &mut record.checks {
                let id = &check.versions.first().expect("a check has a version").check.id;
                check.regions = evidence.take(id, swept(id)?);
            }
            let now = as_of.unwrap_or(Timestamp::MAX);
            let common = assemble::Common { window, samples_from: used.from, now, names: &names, evidence: &evidence };
            let mut service = assemble::service_report(&record, common)?;
            for check in &mut service.checks {
                check.target = basis.target(&check.check, window).unwrap_or_default().to_owned();
            }
            services.push(service);
        }
        Ok(Report {
            schema: model::SCHEMA.to_owned(),
            revision: 1,
            // Final is what is frozen, which is not decided here.
            state: State::Preliminary,
            complete: as_of.is_none(),
            as_of,
            restatement: None,
            what_if: None,
            from: window.from,
            to: window.to,
            timezone: customer.timezone,
            environment,
            customer: customer.id,
            customer_name: customer.name,
            services,
            definitions: basis::digest(&basis),
            basis,
            samples: lines.unwrap_or_else(|| evidence.digest()),
            samples_form: form,
            samples_from: used.from,
            samples_to: used.to,
            signed_by: None,
        })
    }
}

fn checks(basis: &[ServiceBasis]) -> impl Iterator<Item = &CheckId> {
    basis.iter().flat_map(|service| &service.checks).map(|check| &check.check)
}

/// The report in one of its formats; of CSV the first table. The same report and look give the same bytes.
pub fn render(report: &Report, format: Format, look: &Look) -> Vec<u8> {
    match format {
        Format::Json => json::render(report).into_bytes(),
        Format::Csv => csv::render(report, csv::Table::default()).into_bytes(),
        Format::Html => page(report, look, &Aside::default()),
        Format::Md => markdown::render(&Paper::of(report)).into_bytes(),
        Format::Pdf => pdf::render(&Paper::of(report), report, look),
    }
}

/// The report as HTML, with what stands beside it where it is shown.
pub fn page(report: &Report, look: &Look, aside: &Aside) -> Vec<u8> {
    html::render(&Paper::of(report), look, aside).into_bytes()
}

fn customer(conn: &Connection, request: &ReportRequest) -> Result<Customer, ReportError> {
    let mut customers = definitions::customers(conn)?;
    let known = || customers.iter().map(|customer| customer.id.to_string()).collect();
    let of_service = match &request.service {
        None => None,
        Some(service) => match definitions::owner(conn, service)? {
            Some(owner) => Some(owner),
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
/// back as contract and objective look; samples come later, one service at a time.
fn outline(
    conn: &Connection,
    service: &ServiceId,
    customer: &Customer,
    window: Span,
) -> Result<Option<ServiceRecord>, StoreError> {
    let theirs = |window| Ok(definitions::outline(conn, service, window)?.map(|record| record.seen_by(customer)));
    let Some(record) = theirs(window)? else { return Ok(None) };
    let reach = assemble::reach(&record.service, window, Timestamp::MIN);
    if reach.from == window.from { Ok(Some(record)) } else { theirs(Span { from: reach.from, ..window }) }
}

/// When the samples that the report uses were scheduled: as far as each contract and objective reaches, and two
/// intervals beyond on either side.
fn samples_used(outlines: &[ServiceRecord], window: Span) -> Span {
    outlines.iter().fold(window, |used, record| {
        let reach = assemble::reach(&record.service, window, Timestamp::MIN);
        // A later definition may be slower; it is no part of this time.
        let in_force = record.checks.iter().flat_map(|check| check.in_force()).filter(|(span, _)| span.from < reach.to);
        let longest = in_force.map(|(_, check)| check.interval_ms).max().unwrap_or(0);
        let (from, to) = (reach.from.plus_ms(-2 * longest), reach.to.plus_ms(2 * longest));
        Span::new(used.from.min(from), used.to.max(to))
    })
}
