//! The body of an alert: `nines.alert/1`. Made once, in the transaction of the change. Webhooks send it as it is at
//! every attempt; the other channels read it back ([`Message`]) and say the same at every attempt.

use nines_shared::id::CheckId;
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::definition::{Fleet, Severity};
use crate::incident::certificate::{CHANGED, Notice};
use crate::incident::common::{Finding, headline};
use crate::incident::measured::Measured;
use crate::incident::transition::Telling;
use crate::incident::{Event, Incident, IncidentId, Kind, RegionViews, Subject, dependence};
use crate::uptime::burn_rate::Burn;
use crate::uptime::calendar;

/// Names the form of the body; another form is another name.
pub const SCHEMA: &str = "nines.alert/1";

/// The most checks that are named as affected.
pub const MAX_AFFECTED: usize = 64;

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
    /// The code that the failures have in common, the first by name where they differ; of a probe its worst sign.
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
    /// It comes and goes: told seldom until it has been calm.
    flapping: bool,
    /// The incident that explained this one, where it is told since that one is over.
    root: Option<&'a str>,
    /// The checks that depend on those that fail, by way of others too; at most [`MAX_AFFECTED`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    affected: Vec<Affected>,
    /// How fast the error budget is spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    burn: Option<&'a Burn>,
    /// How much of the last hour was observed, in parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage_ppm: Option<u32>,
    /// Whole days until the certificate ends, when this was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    /// Which certificate it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a Notice>,
    link: String,
}

/// A body as channels read it back. What it does not know is ignored, and what it lacks is empty: letters about reports
/// have no incident, and those of another version have more or less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// `opened`, `updated`, `resolved`; of reports `final`, `restated`.
    pub event: String,
    /// How loud.
    pub severity: Option<Severity>,
    /// `outage`, `suspected`, `probe`, …; `report`.
    pub kind: String,
    /// The incident's id; `None` for what is none.
    pub incident: Option<String>,
    /// The label of the fleet file.
    pub environment: String,
    /// Whose service or report.
    pub customer: Option<String>,
    /// Which service fails.
    pub service: Option<String>,
    /// Which probe is silent.
    pub probe: Option<String>,
    /// The month that a report is about.
    pub month: Option<String>,
    /// The checks that fail.
    pub checks: Vec<String>,
    /// What each region says.
    pub regions: RegionViews,
    /// The reason's code; of a restated report why.
    pub reason: Option<String>,
    /// What, since when, where from, why: one line.
    pub summary: String,
    /// The words of one failing sample: a stranger's.
    pub detail: Option<String>,
    /// What else is to be said.
    pub note: Option<String>,
    /// The measured start.
    pub started_at: Option<Timestamp>,
    /// The measured end.
    pub ended_at: Option<Timestamp>,
    /// When it was taken for over.
    pub resolved_at: Option<Timestamp>,
    /// When a person said that they know.
    pub acknowledged_at: Option<Timestamp>,
    /// Who that was.
    pub acknowledged_by: Option<String>,
    /// Whose it is.
    pub assigned_to: Option<String>,
    /// Late results show that it did not happen.
    pub withdrawn: bool,
    /// It comes and goes, and is told seldom until it has been calm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
    /// The checks that depend on those that fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
    /// How fast the error budget is spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burn: Option<Burn>,
    /// How much of the last hour was observed, in parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage_ppm: Option<u32>,
    /// Whole days until the certificate ends; negative where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// Where people read on.
    pub link: String,
    /// It is none of a real incident: an operator tries the channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

/// How what a [`Message`] tells of stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It fails, and nobody said that they know.
    Open,
    /// It fails, and somebody knows.
    Acknowledged,
    /// It is over.
    Over,
    /// It did not happen.
    Withdrawn,
    /// It is no incident, and neither opens nor ends.
    Notice,
}

impl Message {
    /// The message that `body` holds.
    ///
    /// # Errors
    /// What is no `nines.alert/1`.
    pub fn read(body: &str) -> Result<Self, serde_json::Error> {
        // An object first: a list would be read as fields in their order.
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body)?;
        serde_json::from_value(fields.into())
    }

    /// How it stands. What was opened again is open, whoever acknowledged it before.
    pub fn standing(&self) -> Standing {
        match self {
            Self { incident: None, .. } => Standing::Notice,
            Self { reason: Some(reason), .. } if reason == CHANGED => Standing::Notice,
            Self { withdrawn: true, .. } => Standing::Withdrawn,
            Self { resolved_at: Some(_), .. } => Standing::Over,
            Self { event, .. } if event == Event::Resolved.code() => Standing::Over,
            Self { acknowledged_at: Some(_), event, .. } if event != Event::Opened.code() => Standing::Acknowledged,
            Self { .. } => Standing::Open,
        }
    }

    /// Whom or what it is about, by id.
    pub fn subject(&self) -> &str {
        let named = self.service.as_deref().or(self.probe.as_deref()).or(self.customer.as_deref());
        named.unwrap_or("nines")
    }
}

/// A check that depends on what fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Affected {
    /// Its service.
    pub service: String,
    /// Which check.
    pub check: String,
}

/// Who is affected where `incident` is: by the file's dependences, those that fail themselves apart.
fn affected(fleet: &Fleet, incident: &Incident) -> Vec<Affected> {
    let failing = &incident.scene.checks;
    let mut ids: Vec<&CheckId> =
        failing.iter().flat_map(|check| dependence::affected(&fleet.watch.depends_on, check)).collect();
    ids.sort_unstable();
    ids.dedup();
    let others = ids.into_iter().filter(|id| !failing.contains(id));
    let defined = others.filter_map(|id| fleet.checks.iter().find(|check| check.id == *id));
    let named = defined.map(|check| Affected { service: check.service.to_string(), check: check.id.to_string() });
    named.take(MAX_AFFECTED).collect()
}

/// The body that tells of `incident` as it is now.
pub fn body(fleet: &Fleet, incident: &Incident, telling: Telling, note: Option<&str>) -> String {
    let (service, probe) = match &incident.subject {
        Subject::Service(service) => (Some(service), None),
        Subject::Probe(probe) => (None, Some(probe)),
    };
    let customer = fleet.services.iter().find(|known| Some(&known.id) == service).map(|known| known.customer.as_str());
    let (scene, instants) = (&incident.scene, incident.instants);
    let (burn, coverage_ppm) = match &scene.measured {
        Some(Measured::Burn(burn)) => (Some(burn), None),
        Some(Measured::Coverage { ppm, .. }) => (None, Some(*ppm)),
        Some(Measured::Probe(_) | Measured::Certificate(_)) | None => (None, None),
    };
    let certificate = match &scene.measured {
        Some(Measured::Certificate(notice)) => Some(notice),
        Some(Measured::Burn(_) | Measured::Coverage { .. } | Measured::Probe(_)) | None => None,
    };
    // The letter is written when it is told.
    let written_at = incident.course.told_at.unwrap_or(instants.detected_at);
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
        reason: incident.reason(),
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
        flapping: incident.course.flapping,
        root: incident.course.root.as_ref().map(IncidentId::as_str),
        affected: affected(fleet, incident),
        burn,
        coverage_ppm,
        days_left: certificate.map(|notice| notice.days_left(written_at)),
        certificate,
        link: link(fleet, incident),
    };
    serde_json::to_string(&body).expect("plain data with text keys, written to memory")
}

/// The body of a trial called `about` that began at `began_at`: marked as a test, about no service that there is.
pub fn of_trial(
    fleet: &Fleet,
    about: &str,
    (event, severity): (Event, Severity),
    (began_at, now): (Timestamp, Timestamp),
) -> String {
    let over = (event == Event::Resolved).then_some(now);
    let summary = match over {
        None => format!("nines-test is down since {}: an operator tries this channel", calendar::utc(began_at)),
        Some(_) => format!("nines-test was down from {}: an operator tries this channel", calendar::utc(began_at)),
    };
    let message = Message {
        event: event.code().to_owned(),
        severity: Some(severity),
        kind: Kind::Outage.code().to_owned(),
        incident: Some(about.to_owned()),
        environment: fleet.environment.clone(),
        service: Some("nines-test".to_owned()),
        summary,
        started_at: Some(began_at),
        ended_at: over,
        resolved_at: over,
        link: format!("{}/", base(fleet)),
        test: true,
        ..Message::default()
    };
    /// As any other body, with the name of its form.
    #[derive(Serialize)]
    struct Named<'a> {
        schema: &'static str,
        #[serde(flatten)]
        message: &'a Message,
    }
    serde_json::to_string(&Named { schema: SCHEMA, message: &message }).expect("plain data with text keys")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_another_version_is_read_for_what_it_says() {
        let later = r#"{"schema":"nines.alert/1","event":"updated","kind":"burn_rate","incident":"shop-1","severity":"page",
            "unheard":{"of":1},"acknowledged_at":1790000000000,"acknowledged_by":"ann"}"#;
        let message = Message::read(later).unwrap();
        assert_eq!((message.kind.as_str(), message.standing()), ("burn_rate", Standing::Acknowledged));
        assert!(Message::read("[]").is_err());
    }

    #[test]
    fn how_it_stands_is_told_by_the_body_alone() {
        let standing = |more: &str| Message::read(&format!(r#"{{"incident":"a",{more}}}"#)).unwrap().standing();
        assert_eq!(standing(r#""event":"opened""#), Standing::Open);
        assert_eq!(standing(r#""event":"opened","acknowledged_at":1"#), Standing::Open, "opened again");
        assert_eq!(standing(r#""event":"updated","acknowledged_at":1"#), Standing::Acknowledged);
        assert_eq!(standing(r#""event":"updated","acknowledged_at":1,"resolved_at":2"#), Standing::Over);
        assert_eq!(standing(r#""event":"resolved""#), Standing::Over);
        let changed = r#""event":"updated","reason":"chain_changed","resolved_at":2"#;
        assert_eq!(standing(changed), Standing::Notice, "nothing was wrong");
        assert_eq!(standing(r#""event":"resolved","withdrawn":true"#), Standing::Withdrawn);
        assert_eq!(Message::read(r#"{"event":"final","kind":"report"}"#).unwrap().standing(), Standing::Notice);
    }
}
