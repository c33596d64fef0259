//! `nines status`: how it is now, on one screen: services, regions, open incidents, probes.

mod alerts;

use alerts::Alerts;
use anstyle::{AnsiColor, Style};
use nines_shared::id::{CheckId, CustomerId, ProbeId, RegionId, ServiceId};
use nines_shared::time::{Clock, Timestamp};
use rusqlite::Connection;
use serde::Serialize;

use super::table::{self, Align};
use super::{Failure, Global};
use crate::evaluator::window::{Pace, window};
use crate::incident::common::headline;
use crate::incident::silence::SILENT_AFTER_MS;
use crate::incident::{Incident, IncidentId};
use crate::report::life::{self, Due};
use crate::store::reports::Kept;
use crate::store::{Store, StoreError, definitions, incidents, probes, soundness};
use crate::uptime::service::{ServiceAssessment, assess};
use crate::uptime::{CheckRecord, Verdict};
use crate::words;

/// Show how it is now: services and what each region says, open incidents, probes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines status --config fleet.toml")]
pub struct Args {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// How everything is at one instant.
#[derive(Debug, Serialize)]
struct Status {
    at: Timestamp,
    /// What of the database is damaged, where anybody has found something.
    damage: Option<String>,
    services: Vec<ServiceStatus>,
    incidents: Vec<OpenIncident>,
    /// Frozen reports that something came too late for.
    restatements: Vec<Restatement>,
    alerts: Alerts,
    probes: Vec<ProbeStatus>,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    service: ServiceId,
    verdict: Verdict,
    /// Whether it is inside announced maintenance.
    maintenance: bool,
    checks: Vec<CheckStatus>,
}

#[derive(Debug, Serialize)]
struct CheckStatus {
    check: CheckId,
    verdict: Verdict,
    regions: Vec<RegionStatus>,
}

#[derive(Debug, Serialize)]
struct RegionStatus {
    region: RegionId,
    says: Verdict,
}

#[derive(Debug, Serialize)]
struct OpenIncident {
    incident: IncidentId,
    started_at: Timestamp,
    acknowledged_by: Option<String>,
    summary: String,
}

#[derive(Debug, Serialize)]
struct Restatement {
    customer: CustomerId,
    month: String,
    revision: u32,
    due: String,
}

#[derive(Debug, Serialize)]
struct ProbeStatus {
    probe: ProbeId,
    region: RegionId,
    seen_at: Option<Timestamp>,
    silent: bool,
    spooled: u64,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] where the fleet file is wrong or there is no database.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    let store = Store::open_read_only(&fleet.aggregator.database)?;
    let now = Clock::system().now();
    let mut status = store.read_blocking(|conn| status(conn, now))?;
    let damaged = |why| StoreError::Damaged { path: fleet.aggregator.database.clone(), why }.to_string();
    status.damage = soundness::noted(&fleet.aggregator.database).map(damaged);
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|error| Failure::Io(error.to_string()))?;
        anstream::println!("{text}");
    } else {
        anstream::print!("{}", drawn(&status));
    }
    Ok(())
}

fn status(conn: &Connection, now: Timestamp) -> Result<Status, StoreError> {
    let checks = definitions::checks(conn)?;
    let mut services = Vec::new();
    for service in definitions::services(conn)? {
        let pace = Pace::of(checks.iter().filter(|check| check.service == service.id));
        let window = window(pace, None, now);
        let Some(record) = definitions::service_record(conn, &service.id, window)? else { continue };
        let there = |check: &&CheckRecord| now < check.removed_at;
        let ids: Vec<CheckId> =
            record.checks.iter().filter(there).filter_map(|c| Some(c.versions.first()?.check.id.clone())).collect();
        services.push(of_service(service.id, &ids, &assess(&record, window, now)));
    }
    let of_incident = |incident: Incident| OpenIncident {
        summary: headline(&incident),
        started_at: incident.instants.started_at,
        acknowledged_by: incident.acknowledged_by,
        incident: incident.id,
    };
    let known = probes::list(conn)?.into_iter().filter(|probe| probe.revoked_at.is_none());
    let of_probe = |probe: probes::ProbeRecord| ProbeStatus {
        silent: SILENT_AFTER_MS <= now.since(probe.seen_at.unwrap_or(probe.joined_at)),
        probe: probe.id,
        region: probe.region,
        seen_at: probe.seen_at,
        spooled: probe.health.spooled,
    };
    let of_report = |(kept, due): (Kept, Due)| Restatement {
        customer: kept.customer,
        month: kept.month,
        revision: kept.revision,
        due: nines_shared::sample::detail(&due.to_string()),
    };
    Ok(Status {
        restatements: life::all_due(conn)?.into_iter().map(of_report).collect(),
        alerts: Alerts::read(conn, now)?,
        at: now,
        damage: None,
        services,
        incidents: incidents::open(conn)?.into_iter().map(of_incident).collect(),
        probes: known.map(of_probe).collect(),
    })
}

fn of_service(service: ServiceId, checks: &[CheckId], assessment: &ServiceAssessment) -> ServiceStatus {
    let at = assessment.window.to.plus_ms(-1);
    let there = assessment.checks.iter().filter(|check| checks.contains(&check.check));
    let of_check = |check: &crate::uptime::CheckAssessment| CheckStatus {
        check: check.check.clone(),
        verdict: check.timeline.at(at).unwrap_or(Verdict::Unknown),
        regions: check
            .regions
            .iter()
            .map(|region| RegionStatus {
                region: region.region.clone(),
                says: region.timeline.at(at).unwrap_or(Verdict::Unknown),
            })
            .collect(),
    };
    ServiceStatus {
        service,
        verdict: assessment.timeline.at(at).unwrap_or(Verdict::Unknown),
        maintenance: assessment.excluded.iter().any(|span| span.contains(at)),
        checks: there.map(of_check).collect(),
    }
}

fn drawn(status: &Status) -> String {
    let mut text = status.damage.iter().map(|damage| format!("{damage}\n\n")).collect::<String>();
    let columns =
        [("SERVICE", Align::Left), ("CHECK", Align::Left), ("VERDICT", Align::Left), ("REGIONS", Align::Left)];
    let rows: Vec<[String; 4]> = status.services.iter().flat_map(service_rows).collect();
    text.push_str(&if rows.is_empty() { "no services\n".to_owned() } else { coloured(&table::drawn(columns, &rows)) });
    text.push('\n');
    if status.incidents.is_empty() {
        text.push_str("no open incidents\n");
    }
    for open in &status.incidents {
        let known =
            open.acknowledged_by.as_deref().map(|by| format!("  acknowledged by {}", nines_shared::sample::detail(by)));
        text.push_str(&format!("{}  {}{}\n", open.incident, open.summary, known.unwrap_or_default()));
    }
    for Restatement { customer, month, due, .. } in &status.restatements {
        text.push_str(&format!("a restatement of {month} for {customer} is due: {due}\n"));
    }
    text.push_str(&status.alerts.drawn());
    text.push('\n');
    let columns = [("PROBE", Align::Left), ("REGION", Align::Left), ("SEEN", Align::Left), ("SPOOLED", Align::Right)];
    let rows: Vec<[String; 4]> = status.probes.iter().map(|probe| probe_row(probe, status.at)).collect();
    text.push_str(&if rows.is_empty() { "no probes\n".to_owned() } else { table::drawn(columns, &rows) });
    text
}

/// A line for the service where it has several checks or none, and one for each check.
fn service_rows(service: &ServiceStatus) -> Vec<[String; 4]> {
    let verdict =
        if service.maintenance { format!("{} (maintenance)", service.verdict) } else { service.verdict.to_string() };
    let of_check = |check: &CheckStatus| {
        let regions: Vec<String> =
            check.regions.iter().map(|region| format!("{} {}", region.region, region.says)).collect();
        (check.check.to_string(), check.verdict.to_string(), regions.join(", "))
    };
    match service.checks.as_slice() {
        [only] => {
            let (check, _, regions) = of_check(only);
            vec![[service.service.to_string(), check, verdict, regions]]
        }
        several => {
            let head = [service.service.to_string(), String::new(), verdict, String::new()];
            let rows = several.iter().map(|check| {
                let (check, verdict, regions) = of_check(check);
                [String::new(), check, verdict, regions]
            });
            std::iter::once(head).chain(rows).collect()
        }
    }
}

fn probe_row(probe: &ProbeStatus, now: Timestamp) -> [String; 4] {
    let seen = probe.seen_at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::duration(now.since(at))));
    let seen = if probe.silent { format!("{seen}, silent") } else { seen };
    [probe.probe.to_string(), probe.region.to_string(), seen, probe.spooled.to_string()]
}

/// The table with its verdicts in colour; ids hold no spaces, so a verdict is a word between two.
fn coloured(table: &str) -> String {
    let colours = [
        (Verdict::Up, AnsiColor::Green),
        (Verdict::Degraded, AnsiColor::Yellow),
        (Verdict::Unknown, AnsiColor::BrightBlack),
        (Verdict::Down, AnsiColor::Red),
    ];
    let mut text = table.to_owned();
    for (verdict, colour) in colours {
        let style = Style::new().fg_color(Some(colour.into()));
        for end in [" ", ",", "\n"] {
            text = text.replace(&format!(" {verdict}{end}"), &format!(" {style}{verdict}{style:#}{end}"));
        }
    }
    text
}
