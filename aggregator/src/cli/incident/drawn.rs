//! Incidents on a terminal: a table of many, one screen of one. Nothing here is a target's word but what was cleaned
//! before.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use nines_shared::id::RegionId;
use nines_shared::sample::detail;
use nines_shared::time::Timestamp;

use super::evidence;
use crate::cli::table::{self, Align};
use crate::definition::{Fleet, Severity};
use crate::incident::common::{Finding, headline, why};
use crate::incident::evidence::Sight;
use crate::incident::{Incident, advice};
use crate::store::incidents::Note;
use crate::store::outbox::{Letter, Settled};
use crate::uptime::calendar;
use crate::words;

/// How instants are shown to people.
const INSTANT: &str = "%Y-%m-%d %H:%M:%S %Z";
/// How wide the words before a line's content are.
const MARGIN: usize = 14;

/// A table of incidents.
pub(super) fn list(fleet: &Fleet, incidents: &[Incident], now: Timestamp) -> String {
    if incidents.is_empty() {
        return "no incidents\n".to_owned();
    }
    let columns = [
        ("INCIDENT", Align::Left),
        ("KIND", Align::Left),
        ("STATE", Align::Left),
        ("SINCE", Align::Left),
        ("LENGTH", Align::Right),
        ("ACK", Align::Left),
        ("WHY", Align::Left),
    ];
    let rows: Vec<[String; 7]> = incidents.iter().map(|incident| row(fleet, incident, now)).collect();
    table::drawn(columns, &rows)
}

fn row(fleet: &Fleet, incident: &Incident, now: Timestamp) -> [String; 7] {
    [
        incident.id.to_string(),
        incident.kind.code().to_owned(),
        state(incident).to_owned(),
        instant(fleet, incident, incident.instants.started_at),
        words::length(incident.span(now).length_ms()),
        incident.acknowledged_by.as_deref().map_or_else(|| "–".to_owned(), detail),
        why(&incident.scene),
    ]
}

/// In one word.
fn state(incident: &Incident) -> &'static str {
    match (incident.withdrawn, incident.is_open(), incident.instants.ended_at) {
        (true, _, _) => "withdrawn",
        (false, true, None) => "open",
        (false, true, Some(_)) => "recovering",
        (false, false, _) => "resolved",
    }
}

/// One screen that answers: what, since when, where from, why, who knows, what next.
pub(super) fn one(
    fleet: &Fleet,
    incident: &Incident,
    (sights, notes, letters): (&[Sight], &[Note], &[(Letter, Settled)]),
    now: Timestamp,
) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    let mut line = |name: &str, content: String| {
        if !content.is_empty() {
            let quiet = Style::new().dimmed();
            writeln!(text, "{quiet}{name:<MARGIN$}{quiet:#}{content}").expect("a String takes text");
        }
    };
    line("incident", format!("{bold}{}{bold:#}  {}", incident.id, tag(incident)));
    line("what", format!("{bold}{}{bold:#}", headline(incident)));
    line("detail", incident.scene.detail.as_deref().map(detail).unwrap_or_default());
    for (name, content) in instants(fleet, incident, now) {
        line(name, content);
    }
    let regions = &incident.scene.regions;
    line("failing", names(&regions.failing));
    line("silent", names(&regions.unknown));
    line("up", names(&regions.up));
    line("checks", incident.scene.checks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let (common, differing): (Vec<&Finding>, Vec<&Finding>) =
        incident.scene.findings.iter().partition(|finding| finding.common().is_some());
    line("in common", common.iter().map(|finding| told(finding)).collect::<Vec<_>>().join(" · "));
    for finding in differing {
        line("differs", told(finding));
    }
    for (name, content) in evidence::lines(sights, |at| instant(fleet, incident, at)) {
        line(&name, content);
    }
    if incident.course.flapping {
        line("flapping", "it comes and goes: told seldom until it has been calm".to_owned());
    }
    if let Some(root) = &incident.course.root {
        let what =
            if incident.course.held { "nobody is told while that explains it" } else { "explained it for a while" };
        line("root", format!("{root}: {what}"));
    }
    for (letter, settled) in letters {
        line("told", delivery(fleet, incident, letter, *settled));
    }
    for note in notes {
        let author = note.author.as_deref().map_or_else(|| "nines".to_owned(), detail);
        line("note", format!("{}  {author}: {}", instant(fleet, incident, note.at), detail(&note.text)));
    }
    if incident.is_open() && incident.acknowledged_by.is_none() {
        line("acknowledge", format!("nines incident ack {}", incident.id));
    }
    line("next", advice::next_step(incident).to_owned());
    text
}

fn tag(incident: &Incident) -> String {
    let (severity, colour) = match incident.severity {
        Severity::Page => ("page", AnsiColor::Red),
        Severity::Ticket => ("ticket", AnsiColor::Yellow),
        Severity::Info => ("info", AnsiColor::Blue),
    };
    let colour = if incident.is_open() { colour } else { AnsiColor::Green };
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{}{style:#} · {} · {severity}", state(incident), incident.kind.code())
}

/// Every instant that is known, in their order, with how long it took from the one that it is measured against.
fn instants(fleet: &Fleet, incident: &Incident, now: Timestamp) -> Vec<(&'static str, String)> {
    let known = incident.instants;
    let shown = |at: Timestamp| instant(fleet, incident, at);
    let after = |at: Timestamp, earlier: Timestamp, what: &str| {
        format!("{}  {} after {what}", shown(at), words::length(at.since(earlier)))
    };
    let mut lines = vec![
        ("last good", known.last_good_at.map_or_else(|| "never seen".to_owned(), shown)),
        ("first failure", shown(known.first_failure_at)),
        ("started", format!("{}  {} ago", shown(known.started_at), words::duration(now.since(known.started_at)))),
        ("detected", after(known.detected_at, known.first_failure_at, "the first failure")),
    ];
    lines.push(match known.notified_at {
        Some(at) => ("notified", after(at, known.detected_at, "the detection")),
        None => ("notified", "not yet".to_owned()),
    });
    let by = incident.acknowledged_by.as_deref().map(detail).unwrap_or_default();
    lines.extend(known.acknowledged_at.map(|at| ("acknowledged", format!("{}  by {by}", shown(at)))));
    lines.extend(incident.assigned_to.as_deref().map(|person| ("assigned", format!("to {}", detail(person)))));
    lines.extend(known.ended_at.map(|at| ("ended", after(at, known.started_at, "it started"))));
    lines.extend(known.resolved_at.map(|at| ("resolved", shown(at))));
    lines
}

fn told(finding: &Finding) -> String {
    match finding.common() {
        Some(value) => format!("{} {value}", finding.aspect.code()),
        None => {
            let values = finding.values.iter().map(|shows| format!("{} ({})", shows.value, names(&shows.regions)));
            format!("{} {}", finding.aspect.code(), values.collect::<Vec<_>>().join(", "))
        }
    }
}

fn delivery(fleet: &Fleet, incident: &Incident, letter: &Letter, settled: Settled) -> String {
    let attempts = match letter.attempts {
        0 => String::new(),
        failed => format!(", {} failed", words::count(usize::try_from(failed).unwrap_or(usize::MAX), "attempt")),
    };
    let failure = letter.failure.as_deref().map(|why| format!(": {}", detail(why))).unwrap_or_default();
    let what = match settled {
        Settled::Delivered(at) => format!("accepted {}{attempts}", instant(fleet, incident, at)),
        Settled::Waiting => format!("on its way{attempts}{failure}"),
        Settled::GivenUp(at) => format!("given up {}{attempts}{failure}", instant(fleet, incident, at)),
    };
    format!("{} → {}: {what}", letter.event, letter.channel)
}

fn names(regions: &[RegionId]) -> String {
    regions.iter().map(RegionId::as_str).collect::<Vec<_>>().join(", ")
}

/// `at` on the clocks of the customer whom it is about; UTC for what is our own.
fn instant(fleet: &Fleet, incident: &Incident, at: Timestamp) -> String {
    let service = incident.subject.service().and_then(|id| fleet.services.iter().find(|known| known.id == *id));
    let customer = service.and_then(|known| fleet.customers.iter().find(|other| other.id == known.customer));
    let zone = customer.map_or("UTC", |customer| customer.timezone.as_str());
    calendar::shown(at, zone, INSTANT).unwrap_or_else(|_no_zone| calendar::utc(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::common::{Aspect, Shows};
    use crate::incident::{IncidentId, Instants, Kind, Outage, RegionViews, Scene, Subject};

    const START: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn fleet() -> Fleet {
        let text = r#"
            [[region]]
            id = "eu-west"
            [[customer]]
            id = "acme"
            timezone = "Europe/Berlin"
            [[service]]
            id = "shop"
            customer = "acme"
            [[check]]
            id = "shop-home"
            service = "shop"
            regions = ["eu-west"]
            http = { url = "https://shop.example/" }
        "#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nines.toml");
        std::fs::write(&path, text).unwrap();
        crate::fleet_file::load(&path).unwrap().0
    }

    fn incident() -> Incident {
        let regions: Vec<RegionId> = vec!["eu-west".parse().unwrap(), "us-east".parse().unwrap()];
        let shows = |value: &str, regions: &[RegionId]| Shows { value: value.into(), regions: regions.to_vec() };
        let subject = Subject::Service("shop".parse().unwrap());
        Incident {
            id: IncidentId::of(Kind::Outage, &subject, START),
            kind: Kind::Outage,
            subject,
            severity: Severity::Page,
            instants: Instants {
                last_good_at: Some(START.plus_ms(-40_000)),
                first_failure_at: START.plus_ms(-10_000),
                started_at: START,
                detected_at: START.plus_ms(2_000),
                notified_at: None,
                acknowledged_at: None,
                ended_at: None,
                resolved_at: None,
            },
            outages: vec![Outage { from: START, to: None }],
            withdrawn: false,
            revision: 1,
            scene: Scene {
                checks: vec!["shop-home".parse().unwrap()],
                findings: vec![
                    Finding {
                        aspect: Aspect::Reason,
                        values: vec![shows("connect_refused", &regions)],
                        everywhere: true,
                    },
                    Finding { aspect: Aspect::Phase, values: vec![shows("connect", &regions)], everywhere: true },
                    Finding {
                        aspect: Aspect::Address,
                        values: vec![shows("192.0.2.1:443", &regions[..1]), shows("192.0.2.2:443", &regions[1..])],
                        everywhere: true,
                    },
                ],
                regions: RegionViews { failing: regions, unknown: Vec::new(), up: vec!["ap-south".parse().unwrap()] },
                detail: Some("port 443".into()),
                measured: None,
            },
            acknowledged_by: None,
            assigned_to: None,
            course: crate::incident::course::Course::default(),
        }
    }

    #[test]
    fn one_screen_says_what_since_when_where_from_why_and_what_next() {
        let incident = incident();
        let letter = Letter {
            no: 1,
            about: incident.id.to_string(),
            revision: 1,
            step: 0,
            event: "opened".into(),
            channel: "oncall".parse().unwrap(),
            body: String::new(),
            written_at: START,
            attempts: 2,
            due_at: START,
            failure: Some("answered 500".into()),
        };
        let note = Note { at: START, author: Some("ann".into()), text: "looking\nat it".into() };
        let text = one(&fleet(), &incident, (&[], &[note], &[(letter, Settled::Waiting)]), START.plus_ms(250_000));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.lines().count() <= 24, "one screen: {plain}");
        for part in [
            "shop is down since 2026-09-21T14:13:20Z, seen from eu-west, us-east: connect_refused in connect",
            "2026-09-21 16:13:20 CEST",
            "in common     reason connect_refused · phase connect",
            "differs       address 192.0.2.1:443 (eu-west), 192.0.2.2:443 (us-east)",
            "up            ap-south",
            "opened → oncall: on its way, 2 attempts failed: answered 500",
            "ann: looking at it",
            "nines incident ack shop-20260921T141320Z",
            "nothing listens there",
            "notified      not yet",
        ] {
            assert!(plain.contains(part), "{part} is missing in\n{plain}");
        }
    }

    #[test]
    fn a_list_has_a_line_for_each_and_says_where_there_is_none() {
        let text = list(&fleet(), &[incident()], START.plus_ms(250_000));
        let plain = anstream::adapter::strip_str(&text).to_string();
        let line = plain.lines().nth(1).unwrap();
        assert!(line.starts_with("shop-20260921T141320Z  outage  open"), "{line}");
        assert!(line.ends_with("connect_refused in connect"), "{line}");
        assert_eq!(list(&fleet(), &[], START), "no incidents\n");
    }
}
