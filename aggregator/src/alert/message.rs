//! The body of an alert: `nines.alert/1`. Made once, in the transaction of the change, and sent as it is at every attempt.

use nines_shared::id::CheckId;
use nines_shared::time::Timestamp;
use serde::Serialize;

use crate::definition::{Fleet, Severity};
use crate::incident::common::{Aspect, Finding, headline};
use crate::incident::transition::Telling;
use crate::incident::{Event, Incident, Kind, RegionViews, Subject};

/// Names the form of the body; another form is another name.
pub const SCHEMA: &str = "nines.alert/1";

/// What a channel is told. Fields may be added, never changed.
#[derive(Debug, Serialize)]
struct Body<'a> {
    schema: &'static str,
    event: Event,
    severity: Severity,
    kind: Kind,
    incident: &'a str,
    revision: u32,
    environment: &'a str,
    customer: Option<&'a str>,
    service: Option<&'a str>,
    probe: Option<&'a str>,
    checks: &'a [CheckId],
    regions: &'a RegionViews,
    /// The code that the failures have in common; the first by name where they differ.
    reason: Option<&'a str>,
    /// What, since when, where from, why: one line.
    summary: String,
    detail: Option<&'a str>,
    findings: &'a [Finding],
    note: Option<&'a str>,
    last_good_at: Option<Timestamp>,
    first_failure_at: Timestamp,
    started_at: Timestamp,
    detected_at: Timestamp,
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<&'a str>,
    assigned_to: Option<&'a str>,
    ended_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    withdrawn: bool,
    link: String,
}

/// The body that tells of `incident` as it is now.
pub fn body(fleet: &Fleet, incident: &Incident, telling: Telling, note: Option<&str>) -> String {
    let (service, probe) = match &incident.subject {
        Subject::Service(service) => (Some(service), None),
        Subject::Probe(probe) => (None, Some(probe)),
    };
    let customer = fleet.services.iter().find(|known| Some(&known.id) == service).map(|known| known.customer.as_str());
    let (scene, instants) = (&incident.scene, incident.instants);
    let reasons = scene.findings.iter().find(|finding| finding.aspect == Aspect::Reason);
    let body = Body {
        schema: SCHEMA,
        event: telling.event,
        severity: telling.severity,
        kind: incident.kind,
        incident: incident.id.as_str(),
        revision: incident.revision,
        environment: &fleet.environment,
        customer,
        service: service.map(|id| id.as_str()),
        probe: probe.map(|id| id.as_str()),
        checks: &scene.checks,
        regions: &scene.regions,
        reason: reasons.and_then(|finding| finding.values.first()).map(|shows| shows.value.as_str()),
        summary: headline(incident),
        detail: scene.detail.as_deref(),
        findings: &scene.findings,
        note,
        last_good_at: instants.last_good_at,
        first_failure_at: instants.first_failure_at,
        started_at: instants.started_at,
        detected_at: instants.detected_at,
        acknowledged_at: instants.acknowledged_at,
        acknowledged_by: incident.acknowledged_by.as_deref(),
        assigned_to: incident.assigned_to.as_deref(),
        ended_at: instants.ended_at,
        resolved_at: instants.resolved_at,
        withdrawn: incident.withdrawn,
        link: link(fleet, incident),
    };
    serde_json::to_string(&body).expect("plain data with text keys, written to memory")
}

/// Where people read on.
pub fn link(fleet: &Fleet, incident: &Incident) -> String {
    format!("{}/incident/{}", base(fleet), incident.id)
}

/// Where the pages are, without a slash at the end.
pub fn base(fleet: &Fleet) -> String {
    let settings = &fleet.aggregator;
    let base = settings.public_url.as_ref().map_or_else(|| format!("http://{}/", settings.web), ToString::to_string);
    base.trim_end_matches('/').to_owned()
}
