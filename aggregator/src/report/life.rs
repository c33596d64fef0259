//! The life of a month's report: preliminary, then final and frozen, then perhaps restated.
//!
//! A month that is complete is frozen by whoever makes its report first: the very bytes are kept, and from then on
//! they are what is given out (INV-8). What comes too late is noticed by [`due`]; only a restatement, which somebody
//! asks for with a reason, makes a further revision. It takes the same definitions, the samples that are there by
//! then and the exclusions that count by then, and says what it changes. All revisions stay readable.
//!
//! Reading and making happen beside the writer, in a snapshot; [`keep`] is the small part that needs the writer.

use nines_shared::id::{CheckId, CustomerId, ServiceId};
use nines_shared::time::{Span, Timestamp};
use rusqlite::{Connection, Transaction};
use serde_json::Value;

use super::basis::{ServiceBasis, clipped};
use super::model::{Report, Restatement, State};
use super::{COMPLETE_AFTER_MS, Format, Plan, ReportError, ReportRequest, Time, assemble, diff, json};
use crate::definition::look::Look;
use crate::definition::{Customer, Maintenance};
use crate::fingerprint;
use crate::store::definitions::maintenance;
use crate::store::reports::{self, Kept, Restated};
use crate::store::{StoreError, definitions};
use crate::words;

/// What a report says of itself or of its making, and not of the service: no difference between two revisions.
pub(super) const NOT_FIGURES: [&str; 7] =
    ["revision", "state", "restatement", "what_if", "basis", "signed_by", "as_of"];

/// A month of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// The fleet's label.
    pub environment: String,
    /// Whose.
    pub customer: CustomerId,
    /// `2026-10`, in the customer's zone.
    pub month: String,
}

impl Month {
    /// The request for its report.
    pub fn request(&self) -> ReportRequest {
        ReportRequest {
            environment: self.environment.clone(),
            customer: Some(self.customer.clone()),
            service: None,
            time: Time::Month(self.month.clone()),
        }
    }
}

/// What stands at an instant: a frozen report, or one made just now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The report.
    pub report: Report,
    /// Where it is frozen: what is on record, and its bytes.
    pub kept: Option<(Kept, String)>,
    /// What a restatement would take in; only of the last revision.
    pub due: Option<Due>,
}

impl Standing {
    /// The report as JSON: where it is frozen, the very bytes.
    pub fn json(&self) -> String {
        self.kept.as_ref().map_or_else(|| json::render(&self.report), |(_, text)| text.clone())
    }

    /// The report in `format`; JSON of a frozen one is its very bytes.
    pub fn written(&self, format: Format, look: &Look) -> Vec<u8> {
        if format == Format::Json { self.json().into_bytes() } else { super::render(&self.report, format, look) }
    }
}

/// The report that `request` asks for: the last frozen revision of a whole month, or `revision`; else one made now.
///
/// # Errors
/// [`ReportError`].
pub fn standing(
    conn: &Connection,
    request: &ReportRequest,
    revision: Option<u32>,
    now: Timestamp,
) -> Result<Standing, ReportError> {
    let found = match whole_month(conn, request)? {
        None => None,
        Some((customer, month)) => match (reports::find(conn, &customer, month, revision)?, revision) {
            (Some(found), _) => Some(found),
            (None, None) => None,
            (None, Some(revision)) => return Err(no_revision(conn, customer, month, revision)?),
        },
    };
    let Some((kept, text)) = found else {
        let report = super::build(conn, request, now)?;
        return Ok(Standing { report, kept: None, due: None });
    };
    let report = read(&kept, &text)?;
    let last = reports::last_revision(conn, &kept.customer, &kept.month)?;
    let due = if last == Some(kept.revision) { due(conn, &kept, &report.basis)? } else { None };
    Ok(Standing { report, kept: Some((kept, text)), due })
}

/// A revision that is on record.
///
/// # Errors
/// What the store says.
pub fn revision(conn: &Connection, kept: &Kept) -> Result<Standing, StoreError> {
    let found = reports::find(conn, &kept.customer, &kept.month, Some(kept.revision))?;
    let (kept, text) = found.ok_or_else(|| StoreError::Unreadable {
        what: format!("report {} {} revision {}", kept.customer, kept.month, kept.revision),
        why: "it is gone".to_owned(),
    })?;
    Ok(Standing { report: read(&kept, &text)?, kept: Some((kept, text)), due: None })
}

/// Whose month `request` asks for, where that is complete and nobody froze it yet. Reads no samples but the last of
/// each region.
///
/// # Errors
/// [`ReportError`].
pub fn to_be_frozen(
    conn: &Connection,
    request: &ReportRequest,
    now: Timestamp,
) -> Result<Option<CustomerId>, ReportError> {
    let Some((customer, month)) = whole_month(conn, request)? else { return Ok(None) };
    if reports::last_revision(conn, &customer, month)?.is_some() {
        return Ok(None);
    }
    let of = Month { environment: request.environment.clone(), customer, month: month.to_owned() };
    Ok(is_complete(conn, &of, now)?.then_some(of.customer))
}

/// Every report whose last revision is to be restated, and why. Reads neither texts of reports nor samples.
///
/// # Errors
/// What the store says.
pub fn all_due(conn: &Connection) -> Result<Vec<(Kept, Due)>, StoreError> {
    let mut all = Vec::new();
    for (kept, basis) in reports::last_bases(conn)? {
        let basis: Vec<ServiceBasis> = serde_json::from_str(&basis).map_err(|why| unreadable(&kept, &why))?;
        all.extend(due(conn, &kept, &basis)?.map(|due| (kept, due)));
    }
    Ok(all)
}

/// Whose month it is, where it is one and all of it.
fn whole_month<'r>(
    conn: &Connection,
    request: &'r ReportRequest,
) -> Result<Option<(CustomerId, &'r str)>, ReportError> {
    let (Time::Month(month), None) = (&request.time, &request.service) else { return Ok(None) };
    let customer = match &request.customer {
        Some(customer) => customer.clone(),
        None => super::customer(conn, request)?.id,
    };
    Ok(Some((customer, month)))
}

fn no_revision(conn: &Connection, customer: CustomerId, month: &str, revision: u32) -> Result<ReportError, StoreError> {
    let theirs = reports::list(conn, Some(&customer))?.into_iter().filter(|kept| kept.month == month);
    let known = theirs.map(|kept| kept.revision.to_string()).collect();
    Ok(ReportError::NoRevision { customer, month: month.to_owned(), revision, known })
}

/// A frozen text as the model. Texts of earlier versions of the program have what they had.
fn read(kept: &Kept, text: &str) -> Result<Report, StoreError> {
    json::read(text.as_bytes()).map_err(|why| unreadable(kept, &why))
}

fn unreadable(kept: &Kept, why: &impl std::fmt::Display) -> StoreError {
    let what = format!("report {} {} revision {}", kept.customer, kept.month, kept.revision);
    StoreError::Unreadable { what, why: why.to_string() }
}

/// What came after a report was frozen and belongs to its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Samples.
    pub late_samples: u64,
    /// Exclusions that were granted.
    pub granted: Vec<Maintenance>,
    /// Exclusions that were taken back.
    pub taken_back: Vec<Maintenance>,
}

impl std::fmt::Display for Due {
    /// `3 samples arrived late; time of shop was excluded afterwards by ann: agreed by phone`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.late_samples != 0 {
            let count = usize::try_from(self.late_samples).unwrap_or(usize::MAX);
            parts.push(format!("{} arrived late", words::count(count, "sample")));
        }
        for Maintenance { service, reason, afterwards, .. } in &self.granted {
            let by = afterwards.as_ref().map(|grant| format!(" by {}", grant.by)).unwrap_or_default();
            parts.push(format!("time of {service} was excluded afterwards{by}: {reason}"));
        }
        for Maintenance { service, reason, .. } in &self.taken_back {
            parts.push(format!("an exclusion of {service} was taken back: {reason}"));
        }
        f.write_str(&parts.join("; "))
    }
}

/// What a restatement of the report by `basis` that is frozen as `kept` would take in. Reads no samples.
///
/// # Errors
/// What the store says.
pub fn due(conn: &Connection, kept: &Kept, basis: &[ServiceBasis]) -> Result<Option<Due>, StoreError> {
    let checks: Vec<CheckId> = super::checks(basis).cloned().collect();
    let mut due =
        Due { late_samples: reports::late(conn, &checks, kept.samples_span, kept.arrival)?, ..Due::default() };
    for basis in basis {
        let now = maintenance_now(conn, basis, (kept.window, kept.samples_span))?;
        due.granted.extend(now.iter().filter(|window| !basis.maintenance.contains(window)).cloned());
        due.taken_back.extend(basis.maintenance.iter().filter(|window| !now.contains(window)).cloned());
    }
    Ok((due != Due::default()).then_some(due))
}

/// The maintenance of a report's service as it counts by now.
fn maintenance_now(
    conn: &Connection,
    basis: &ServiceBasis,
    (window, used): (Span, Span),
) -> Result<Vec<Maintenance>, StoreError> {
    let looked_at = Span { from: assemble::reach(&basis.service, window, used.from).from, ..window };
    let service: &ServiceId = &basis.service.id;
    Ok(clipped(&maintenance::of_service(conn, service, looked_at)?, used))
}

/// What is wanted of a month's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Freeze it, once it is complete.
    Freeze,
    /// Freeze it once [`COMPLETE_AFTER_MS`] have gone by, though no probe bears that out: somebody does.
    FreezeByHand,
    /// Make a further revision.
    Restate(Restated),
}

/// What came of a [`Wish`].
#[derive(Clone, Debug)]
pub enum Drafted {
    /// A revision that is ready to be kept.
    Ready(Box<Draft>),
    /// It is frozen already.
    Already(Kept),
    /// It is not complete.
    NotComplete,
    /// Nothing is frozen that could be restated.
    NotFrozen,
    /// A restatement would say the same as this revision.
    Unchanged(Kept),
}

/// A revision that is not kept yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The report.
    pub report: Report,
    /// What goes on record.
    pub kept: Kept,
    /// Its bytes.
    pub text: String,
}

/// Makes what `wish` wants of `month`. `signed_by` is the public key that its files are signed with. `conn` must see
/// one snapshot throughout.
///
/// # Errors
/// [`ReportError`].
pub fn draft(
    conn: &Connection,
    month: &Month,
    wish: &Wish,
    signed_by: Option<&str>,
    now: Timestamp,
) -> Result<Drafted, ReportError> {
    let found = reports::find(conn, &month.customer, &month.month, None)?;
    let (report, restated) = match (wish, found) {
        (Wish::Freeze | Wish::FreezeByHand, Some((kept, _))) => return Ok(Drafted::Already(kept)),
        (Wish::Restate(_), None) => return Ok(Drafted::NotFrozen),
        (Wish::Freeze | Wish::FreezeByHand, None) => {
            let Some(plan) = complete(conn, month, *wish == Wish::FreezeByHand, now)? else {
                return Ok(Drafted::NotComplete);
            };
            (plan.carried_out(conn)?, None)
        }
        (Wish::Restate(restated), Some((kept, text))) => match restatement(conn, (&kept, &text), restated, now)? {
            None => return Ok(Drafted::Unchanged(kept)),
            Some(report) => (report, Some(restated.clone())),
        },
    };
    let report = Report { state: State::Final, signed_by: signed_by.map(str::to_owned), ..report };
    let text = json::render(&report);
    let kept = Kept {
        customer: report.customer.clone(),
        month: month.month.clone(),
        revision: report.revision,
        window: Span { from: report.from, to: report.to },
        samples_span: Span { from: report.samples_from, to: report.samples_to },
        arrival: reports::arrival(conn)?,
        made_at: now,
        restated,
        definitions: report.definitions.clone(),
        samples: report.samples.clone(),
        digest: fingerprint::of(text.as_bytes()),
    };
    Ok(Drafted::Ready(Box::new(Draft { report, kept, text })))
}

/// Whether a month's report is complete at `now`. Reads no samples but the last of each region.
///
/// # Errors
/// [`ReportError`].
pub fn is_complete(conn: &Connection, month: &Month, now: Timestamp) -> Result<bool, ReportError> {
    Ok(complete(conn, month, false, now)?.is_some())
}

/// The plan of a month's report where that is complete at `now`, be it `by_hand`.
fn complete(conn: &Connection, month: &Month, by_hand: bool, now: Timestamp) -> Result<Option<Plan>, ReportError> {
    let request = month.request();
    let customer = super::customer(conn, &request)?;
    let window = crate::uptime::calendar::month(&month.month, &customer.timezone)?;
    if now < window.to {
        return Ok(None);
    }
    let plan = Plan::of(conn, &request, customer, window, now)?;
    if by_hand && window.to.plus_ms(COMPLETE_AFTER_MS) <= now {
        return Ok(Some(Plan { as_of: None, ..plan }));
    }
    Ok(plan.as_of.is_none().then_some(plan))
}

/// The revision after `kept`; `None` where it would say the same.
fn restatement(
    conn: &Connection,
    (kept, text): (&Kept, &str),
    restated: &Restated,
    now: Timestamp,
) -> Result<Option<Report>, ReportError> {
    let before = read(kept, text)?;
    let mut plan = plan_of(&before);
    for basis in &mut plan.basis {
        basis.maintenance = maintenance_now(conn, basis, (plan.window, plan.used))?;
    }
    for region in definitions::regions(conn)? {
        plan.names.entry(region.id).or_insert(region.name);
    }
    let after = plan.carried_out(conn)?;
    let difference = diff::between(&value(text)?, &value(&json::render(&after))?, &NOT_FIGURES);
    if difference.is_empty() {
        return Ok(None);
    }
    let restatement = Restatement {
        of: kept.revision,
        of_digest: kept.digest.clone(),
        at: now,
        by: restated.by.clone(),
        reason: restated.reason.clone(),
        changes: difference.changes,
        further_changes: difference.further,
    };
    Ok(Some(Report { revision: kept.revision + 1, restatement: Some(restatement), ..after }))
}

/// The plan that `report` was made by: its own basis, so that what was defined since has no say.
pub(super) fn plan_of(report: &Report) -> Plan {
    let checks = report.services.iter().flat_map(|service| &service.checks);
    let regions = checks.flat_map(|check| &check.regions);
    Plan {
        environment: report.environment.clone(),
        customer: Customer {
            id: report.customer.clone(),
            name: report.customer_name.clone(),
            timezone: report.timezone.clone(),
        },
        window: Span { from: report.from, to: report.to },
        used: Span { from: report.samples_from, to: report.samples_to },
        basis: report.basis.clone(),
        names: regions.map(|region| (region.region.clone(), region.name.clone())).collect(),
        as_of: report.as_of,
        // A restatement is held against what it restates, digest by digest.
        form: report.samples_form,
    }
}

fn value(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|why| StoreError::Unreadable { what: "a report".to_owned(), why: why.to_string() })
}

/// Keeps `draft` for ever. Where somebody else kept that revision meanwhile, theirs stands; says which is on record,
/// and whether it is this one.
///
/// # Errors
/// What SQLite says.
pub fn keep(tx: &Transaction<'_>, draft: &Draft) -> Result<(Kept, bool), StoreError> {
    let Draft { kept, text, .. } = draft;
    if let Some((there, _)) = reports::find(tx, &kept.customer, &kept.month, Some(kept.revision))? {
        return Ok((there, false));
    }
    reports::keep(tx, kept, text)?;
    tracing::info!(
        customer = %kept.customer, month = kept.month, revision = kept.revision, digest = kept.digest, "report.frozen"
    );
    Ok((kept.clone(), true))
}

#[cfg(test)]
mod tests;
