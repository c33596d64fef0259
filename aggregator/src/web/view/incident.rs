//! Incidents as people read them.

use std::collections::BTreeMap;

use nines_shared::id::{RegionId, ServiceId};
use nines_shared::sample::Reason;
use nines_shared::time::Timestamp;

use super::sight::{self, SightCard};
use super::{Moment, Names, phase_words, reason_words, sentence};
use crate::definition::{Fleet, Severity};
use crate::incident::common::{Aspect, Finding, Shows};
use crate::incident::evidence::Sight;
use crate::incident::{Incident, Kind, Scene, Subject};
use crate::store::incidents::Note;
use crate::uptime::calendar::local::Zone;
use crate::web::shade::Shade;
use crate::words;

/// How services are called and which zone their customers live in.
#[derive(Clone, Debug)]
pub(in crate::web) struct Subjects {
    services: BTreeMap<ServiceId, (String, Zone)>,
    names: Names,
}

impl Subjects {
    pub(in crate::web) fn of(fleet: &Fleet) -> Self {
        let zone = |service: &crate::definition::Service| {
            let customer = fleet.customers.iter().find(|customer| customer.id == service.customer);
            customer.map_or_else(Zone::utc, |customer| Zone::named(&customer.timezone))
        };
        let services = fleet.services.iter().map(|service| (service.id.clone(), (service.name.clone(), zone(service))));
        Self { services: services.collect(), names: Names::of(&fleet.regions) }
    }

    fn name(&self, subject: &Subject) -> String {
        match subject {
            Subject::Service(service) => {
                self.services.get(service).map_or(service.to_string(), |(name, _)| name.clone())
            }
            Subject::Probe(probe) => format!("Probe {probe}"),
        }
    }

    pub(in crate::web) fn zone(&self, subject: &Subject) -> Zone {
        let known = subject.service().and_then(|service| self.services.get(service));
        known.map_or_else(Zone::utc, |(_, zone)| zone.clone())
    }
}

/// An incident in a few lines.
#[derive(Clone, Debug)]
pub(in crate::web) struct IncidentCard {
    pub(in crate::web) id: String,
    pub(in crate::web) shade: Shade,
    /// Whether it is nothing that customers feel now.
    pub(in crate::web) calm: bool,
    /// "Shop is down", "Probe virginia-1 was silent".
    pub(in crate::web) title: String,
    /// "for 12 min 4 s".
    pub(in crate::web) length: String,
    /// What the failures have in common.
    pub(in crate::web) why: String,
    /// What one failing sample says.
    pub(in crate::web) detail: String,
    pub(in crate::web) since: Moment,
    /// Who sees what, as a sentence.
    pub(in crate::web) regions: String,
}

/// What is said of `incident` in a list, at `now`.
pub(in crate::web) fn card(incident: &Incident, subjects: &Subjects, now: Timestamp) -> IncidentCard {
    let (instants, scene) = (&incident.instants, &incident.scene);
    let zone = subjects.zone(&incident.subject);
    IncidentCard {
        id: incident.id.to_string(),
        shade: shade(incident),
        calm: !incident.is_open() || incident.kind != Kind::Outage,
        title: title(incident, &subjects.name(&incident.subject)),
        length: format!("for {}", words::length(incident.span(now).length_ms())),
        why: scene
            .measured
            .as_ref()
            .map_or_else(|| why(scene, &subjects.names), |measured| sentence(&measured.words())),
        detail: scene.detail.clone().unwrap_or_default(),
        since: Moment::named(instants.started_at, &zone, now),
        regions: regions(incident, &subjects.names),
    }
}

fn shade(incident: &Incident) -> Shade {
    match incident.kind {
        _ if incident.instants.ended_at.is_some() => Shade::Up,
        Kind::Outage => Shade::Down,
        Kind::Degraded | Kind::BurnRate | Kind::Certificate => Shade::Degraded,
        Kind::Suspected | Kind::Coverage | Kind::Probe => Shade::Unknown,
    }
}

fn title(incident: &Incident, name: &str) -> String {
    let what = incident.words();
    match incident.instants.ended_at {
        _ if incident.withdrawn => format!("{name} was taken for {what}, which late results disprove"),
        Some(_) => format!("{name} was {what}"),
        None => format!("{name} is {what}"),
    }
}

/// "seen from Ireland and Virginia; Mumbai says up".
fn regions(incident: &Incident, names: &Names) -> String {
    let views = &incident.scene.regions;
    let part = |regions: &[RegionId], one: &str, many: &str| match regions {
        [] => None,
        [region] => Some(one.replace('#', &names.region(region))),
        several => Some(many.replace('#', &names.list(several))),
    };
    let failing = match incident.kind {
        Kind::Outage | Kind::Suspected | Kind::Degraded | Kind::BurnRate | Kind::Certificate | Kind::Coverage => {
            part(&views.failing, "seen from #", "seen from #")
        }
        Kind::Probe => part(&views.failing, "in #", "in #"),
    };
    let parts =
        [failing, part(&views.unknown, "# says nothing", "# say nothing"), part(&views.up, "# says up", "# say up")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What the failing samples have in common, as a sentence: "HTTP status 503 while waiting for the first byte, at
/// 192.0.2.10:443"; where they have no reason in common, the reasons.
fn why(scene: &Scene, names: &Names) -> String {
    let find = |aspect| scene.findings.iter().find(|finding| finding.aspect == aspect);
    let common = |aspect| find(aspect).and_then(Finding::common);
    let mut text = match (common(Aspect::Reason), find(Aspect::Reason)) {
        (Some(reason), _) => reason_words(reason),
        (None, Some(differing)) => {
            let each = differing
                .values
                .iter()
                .map(|shows| format!("{} ({})", reason_words(&shows.value), names.list(&shows.regions)));
            words::list(&each.collect::<Vec<_>>())
        }
        (None, None) => String::new(),
    };
    if let Some(status) = common(Aspect::Status) {
        text.push_str(&if text.ends_with("status") { format!(" {status}") } else { format!(", status {status}") });
    }
    if let Some(phase) = common(Aspect::Phase) {
        text.push(' ');
        text.push_str(&phase_words(phase));
    }
    if let Some(address) = common(Aspect::Address) {
        text.push_str(", at ");
        text.push_str(address);
    }
    sentence(text.trim_start_matches([',', ' ']))
}

/// The page of one incident.
#[derive(Clone, Debug)]
pub(in crate::web) struct IncidentPage {
    pub(in crate::web) card: IncidentCard,
    /// The service's page, where it is about one.
    pub(in crate::web) service: Option<String>,
    pub(in crate::web) severity: &'static str,
    /// "Europe/Berlin (CET)".
    pub(in crate::web) zone: String,
    pub(in crate::web) time_to_detect: String,
    pub(in crate::web) story: Vec<Line>,
    pub(in crate::web) findings: Vec<FindingRow>,
    /// What each region saw before and after, check by check.
    pub(in crate::web) sights: Vec<SightCard>,
    /// What is to be known of how it is told, as sentences.
    pub(in crate::web) course: Vec<String>,
}

/// A line of an incident's story.
#[derive(Clone, Debug)]
pub(in crate::web) struct Line {
    pub(in crate::web) at: Moment,
    pub(in crate::web) text: String,
    /// Whether a person wrote it, and who.
    pub(in crate::web) author: Option<String>,
}

/// What failing samples show of one aspect.
#[derive(Clone, Debug)]
pub(in crate::web) struct FindingRow {
    pub(in crate::web) aspect: String,
    /// Whether all show the same.
    pub(in crate::web) common: bool,
    /// Each value with who shows it.
    pub(in crate::web) values: Vec<FindingValue>,
}

/// A value that failing samples show.
#[derive(Clone, Debug)]
pub(in crate::web) struct FindingValue {
    pub(in crate::web) text: String,
    /// What it means, where it is a reason.
    pub(in crate::web) meaning: &'static str,
    /// Who shows it.
    pub(in crate::web) regions: String,
}

/// The page of `incident`, whose log is `notes`, at `now`.
pub(in crate::web) fn page(
    incident: &Incident,
    (sights, notes): (&[Sight], &[Note]),
    subjects: &Subjects,
    now: Timestamp,
) -> IncidentPage {
    let zone = subjects.zone(&incident.subject);
    IncidentPage {
        card: card(incident, subjects, now),
        service: incident.subject.service().map(ToString::to_string),
        severity: match incident.severity {
            Severity::Info => "for the record",
            Severity::Ticket => "for working hours",
            Severity::Page => "paged",
        },
        zone: format!("{} ({})", zone.name(), zone.abbreviation(now)),
        time_to_detect: words::length(incident.instants.time_to_detect_ms()),
        story: story(incident, notes, &zone, now),
        findings: incident.scene.findings.iter().map(|finding| finding_row(finding, &subjects.names)).collect(),
        sights: sight::cards(sights, &subjects.names, &zone, now),
        course: course(incident),
    }
}

fn course(incident: &Incident) -> Vec<String> {
    let course = &incident.course;
    let flapping =
        course.flapping.then(|| "It comes and goes: told seldom, and open until it has been calm.".to_owned());
    let root = course.root.as_ref().map(|root| match course.held {
        true => format!("Nobody is told while {root} explains it."),
        false => format!("{root} explained it for a while."),
    });
    let waits =
        (course.held && course.root.is_none()).then(|| "Told once it is known whether a root explains it.".to_owned());
    flapping.into_iter().chain(root).chain(waits).collect()
}

fn finding_row(finding: &Finding, names: &Names) -> FindingRow {
    FindingRow {
        aspect: sentence(finding.aspect.code()),
        common: finding.common().is_some(),
        values: finding.values.iter().map(|shows| finding_value(finding.aspect, shows, names)).collect(),
    }
}

fn finding_value(aspect: Aspect, shows: &Shows, names: &Names) -> FindingValue {
    let reason = (aspect == Aspect::Reason).then(|| Reason::try_from(shows.value.clone()).ok()).flatten();
    let meaning = reason.and_then(|reason| reason.meaning()).unwrap_or_default();
    FindingValue { text: shows.value.clone(), meaning, regions: names.list(&shows.regions) }
}

/// The instants of an incident and its log, in order of time.
fn story(incident: &Incident, notes: &[Note], zone: &Zone, now: Timestamp) -> Vec<Line> {
    let instants = &incident.instants;
    let by = incident.acknowledged_by.clone();
    let known = [
        (instants.last_good_at, "The last good sample before it", None),
        (Some(instants.first_failure_at), "The first failing sample", None),
        (Some(instants.started_at), "Enough regions agree: the measured start", None),
        (Some(instants.detected_at), "The aggregator knew", None),
        (instants.notified_at, "A channel accepted the notification", None),
        (instants.acknowledged_at, "Acknowledged", by),
        (instants.ended_at, "The measured end", None),
        (instants.resolved_at, "Resolved: it stayed good", None),
    ];
    let mut lines: Vec<(Timestamp, String, Option<String>)> =
        known.into_iter().filter_map(|(at, text, author)| Some((at?, text.to_owned(), author))).collect();
    lines.extend(notes.iter().map(|note| (note.at, note.text.clone(), note.author.clone())));
    // Stable: what happened in the same millisecond stays in the order of cause and effect.
    lines.sort_by_key(|(at, ..)| *at);
    lines.into_iter().map(|(at, text, author)| Line { at: Moment::of(at, zone, now), text, author }).collect()
}
