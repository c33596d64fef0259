//! The notice that a report was frozen or restated: `nines.alert/1` of kind `report`, by the same routes and outbox as
//! alerts. One letter a revision and channel, written in the transaction that keeps the revision.

use nines_shared::id::{ChannelId, CustomerId};
use nines_shared::time::Timestamp;
use rusqlite::Transaction;
use serde::Serialize;

use super::life::Draft;
use super::model::Report;
use crate::alert::{message, route};
use crate::definition::{Fleet, Severity};
use crate::store::{StoreError, outbox};
use crate::words;

/// What a channel is told. Fields may be added, never changed.
#[derive(Debug, Serialize)]
struct Body<'a> {
    schema: &'static str,
    /// `final` or `restated`.
    event: &'static str,
    severity: Severity,
    kind: &'static str,
    environment: &'a str,
    customer: &'a CustomerId,
    month: &'a str,
    revision: u32,
    /// SHA-256 of the report as JSON.
    digest: &'a str,
    from: Timestamp,
    to: Timestamp,
    services: Vec<Service<'a>>,
    reason: Option<&'a str>,
    summary: String,
    link: String,
}

#[derive(Debug, Serialize)]
struct Service<'a> {
    service: &'a str,
    availability_ppm: Option<u32>,
    coverage_ppm: Option<u32>,
}

/// Writes the letters that tell of `draft`, which was just kept.
///
/// # Errors
/// What SQLite says.
pub fn write(tx: &Transaction<'_>, fleet: &Fleet, draft: &Draft, now: Timestamp) -> Result<(), StoreError> {
    let severity = Severity::Info;
    let alert = route::Alert { customer: Some(draft.kept.customer.clone()), ..route::Alert::of_fleet(fleet, severity) };
    let body = body(fleet, draft);
    let letters: Vec<(ChannelId, String)> = route::channels_sooner_or_later(&fleet.routes, &alert, now)
        .into_iter()
        .map(|channel| (channel, body.clone()))
        .collect();
    let about = format!("report-{}-{}", draft.kept.customer, draft.kept.month);
    outbox::write_notice(tx, (&about, draft.kept.revision, event(&draft.report)), &letters, now)
}

fn event(report: &Report) -> &'static str {
    if report.restatement.is_some() { "restated" } else { "final" }
}

fn body(fleet: &Fleet, draft: &Draft) -> String {
    let Draft { report, kept, .. } = draft;
    let service = |service: &'_ super::model::ServiceReport| -> String {
        let figure = service.availability_ppm.map_or_else(|| "no data".to_owned(), words::percent);
        format!("{} {figure}", service.service)
    };
    let figures: Vec<String> = report.services.iter().map(service).collect();
    let what = match &report.restatement {
        None => "is final".to_owned(),
        Some(restatement) => format!("was restated as revision {}: {}", report.revision, restatement.reason),
    };
    let body = Body {
        schema: message::SCHEMA,
        event: event(report),
        severity: Severity::Info,
        kind: "report",
        environment: &fleet.environment,
        customer: &kept.customer,
        month: &kept.month,
        revision: kept.revision,
        digest: &kept.digest,
        from: report.from,
        to: report.to,
        services: report
            .services
            .iter()
            .map(|service| Service {
                service: service.service.as_str(),
                availability_ppm: service.availability_ppm,
                coverage_ppm: service.coverage_ppm,
            })
            .collect(),
        reason: report.restatement.as_ref().map(|restatement| restatement.reason.as_str()),
        summary: format!("the report of {} for {} {what}; {}", kept.customer, kept.month, figures.join(", ")),
        link: format!("{}/report/{}/{}", message::base(fleet), kept.customer, kept.month),
    };
    serde_json::to_string(&body).expect("plain data with text keys, written to memory")
}
