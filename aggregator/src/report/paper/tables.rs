//! The tables of a service: its time, its days, its outages, what was set aside.

use nines_shared::id::RegionId;

use super::{Block, Cell, Column, Kind, Table, Tone, policy};
use crate::definition::{Afterwards, Weekly};
use crate::report::figures::{WHOLE, Zone, exact, exact_or_dash, percent, share};
use crate::report::model::{MaintenanceReport, OutageReport, ServiceReport};
use crate::words;

/// The accounts by what they are called.
fn named(service: &ServiceReport) -> [(&'static str, i64); 5] {
    let accounts = &service.accounts;
    [
        ("Up", accounts.up_ms),
        ("Degraded", accounts.degraded_ms),
        ("Down", accounts.down_ms),
        ("Unknown", accounts.unknown_ms),
        ("Excluded", accounts.excluded_ms),
    ]
}

/// [`time`] in one sentence.
pub(super) fn spent(service: &ServiceReport) -> String {
    let told = named(service).map(|(word, ms)| format!("{} {}", word.to_lowercase(), exact(ms)));
    format!("{}.", told.join(", "))
}

/// Where the time went: every millisecond once.
pub(super) fn time(service: &ServiceReport) -> Table {
    let total = service.accounts.total_ms();
    let columns = std::iter::once(Column::words(""))
        .chain(named(service).map(|(word, _)| Column::figures(word)))
        .chain(std::iter::once(Column::figures("Together")));
    let lengths = named(service).map(|(_, ms)| exact(ms).into());
    let shares = named(service).map(|(_, ms)| share(ms, total).into());
    let row = |name: &str, cells: [Cell; 5], sum: Cell| {
        std::iter::once(Cell::from(name)).chain(cells).chain(std::iter::once(sum)).collect()
    };
    Table {
        kind: Kind::Dense,
        what: "Where the time went".to_owned(),
        columns: columns.collect(),
        rows: vec![row("Time", lengths, exact(total).into()), row("Share", shares, share(total, total).into())],
    }
}

/// Every day of the window; they sum up to it.
pub(super) fn days(service: &ServiceReport, zone: Zone<'_>) -> Table {
    let columns = vec![
        Column::words("Day"),
        Column::figures("Availability"),
        Column::figures("Coverage"),
        Column::figures("Up"),
        Column::figures("Degraded"),
        Column::figures("Down"),
        Column::figures("Unknown"),
        Column::figures("Excluded"),
    ];
    let row = |name: String, accounts: &crate::uptime::Accounts| -> Vec<Cell> {
        let lengths =
            [accounts.up_ms, accounts.degraded_ms, accounts.down_ms, accounts.unknown_ms, accounts.excluded_ms];
        let ratios = [percent(accounts.availability_ppm()), percent(accounts.coverage_ppm())];
        std::iter::once(name).chain(ratios).chain(lengths.map(exact_or_dash)).map(Cell::from).collect()
    };
    let mut rows: Vec<Vec<Cell>> =
        service.days.iter().map(|day| row(zone.shown(day.from, "%a\u{a0}%-d\u{a0}%b"), &day.accounts)).collect();
    rows.push(row("Together".to_owned(), &service.accounts).into_iter().map(|cell| Cell::strong(cell.text)).collect());
    Table { kind: Kind::Dense, what: "Day by day, in figures".to_owned(), columns, rows }
}

/// When it was down.
pub(super) fn outages(service: &ServiceReport, zone: Zone<'_>) -> Block {
    if service.outages.is_empty() {
        let whole = service.coverage_ppm == Some(WHOLE);
        let said = if whole { "None." } else { "None was seen; what was not covered is not known." };
        return Block::Soft(said.to_owned());
    }
    let columns = vec![
        Column::words("From"),
        Column::words("To"),
        Column::figures("Measured"),
        Column::figures("At least"),
        Column::figures("At most"),
        Column::words("Seen from"),
        Column::words("Reason"),
    ];
    let row = |outage: &OutageReport| -> Vec<Cell> {
        let regions: Vec<String> = outage.regions.iter().map(|id| region(service, id)).collect();
        let reason = outage.reason.as_ref().map(|reason| words::code(reason.code()));
        let over = outage.to != service.to;
        vec![
            zone.moment(outage.from).into(),
            if over { zone.moment_after(outage.to, outage.from) } else { "not over".to_owned() }.into(),
            Cell::strong(exact(outage.to.since(outage.from))),
            exact(outage.at_least_ms).into(),
            exact(outage.at_most_ms).into(),
            words::list(&regions).into(),
            reason.unwrap_or_else(|| "no reason recorded".to_owned()).into(),
        ]
    };
    let rows = service.outages.iter().map(row).collect();
    Block::Table(Table { kind: Kind::Rows, what: "Outages".to_owned(), columns, rows })
}

/// The region as people call it, where a check of the service still says how.
fn region(service: &ServiceReport, id: &RegionId) -> String {
    let regions = service.checks.iter().flat_map(|check| &check.regions);
    let named = regions.into_iter().find(|region| region.region == *id);
    named.map_or_else(|| id.to_string(), |region| region.name.clone())
}

/// What was set aside, and why. What came by a weekly rule stands under it.
pub(super) fn maintenance(service: &ServiceReport, zone: Zone<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if service.maintenance.is_empty() {
        blocks.push(Block::Soft("Nothing was set aside.".to_owned()));
    } else {
        let columns =
            [Column::words("From"), Column::words("To"), Column::figures("Length"), Column::words("Announced")];
        let columns = columns.into_iter().chain([Column::words("Reason")]).collect();
        let mut rows = Vec::new();
        for (index, set_aside) in service.maintenance.iter().enumerate() {
            let same = |other: &&MaintenanceReport| {
                other.weekly == set_aside.weekly && other.reason == set_aside.reason && other.weekly.is_some()
            };
            match &set_aside.weekly {
                None => rows.push(row(set_aside, (granted(set_aside, zone), &set_aside.reason), zone)),
                Some(_) if service.maintenance[..index].iter().any(|earlier| same(&earlier)) => {}
                Some(weekly) => {
                    let occurrences: Vec<_> = service.maintenance[index..].iter().filter(same).collect();
                    rows.push(rule(weekly, &occurrences));
                    rows.extend(occurrences.iter().map(|of| row(of, ("".into(), ""), zone)));
                }
            }
        }
        let what = "Time that was set aside".to_owned();
        blocks.push(Block::Table(Table { kind: Kind::Rows, what, columns, rows }));
    }
    if service.sla.iter().any(|sla| sla.policy.service_hours.is_some()) {
        let said = "For the contract (SLA), the time outside the agreed service hours is set aside too.";
        blocks.push(Block::Soft(said.to_owned()));
    }
    blocks
}

fn row(set_aside: &MaintenanceReport, (announced, reason): (Cell, &str), zone: Zone<'_>) -> Vec<Cell> {
    vec![
        zone.moment(set_aside.from).into(),
        zone.moment_after(set_aside.to, set_aside.from).into(),
        Cell::strong(exact(set_aside.to.since(set_aside.from))),
        announced,
        reason.into(),
    ]
}

/// A weekly rule, over its occurrences.
fn rule(weekly: &Weekly, occurrences: &[&MaintenanceReport]) -> Vec<Cell> {
    let together = occurrences.iter().map(|of| of.to.since(of.from)).sum();
    let times = match occurrences.len() {
        1 => "once here".to_owned(),
        count => format!("{count} times here"),
    };
    vec![
        Cell::strong("Every week").noted(policy::told_hours(&weekly.hours)),
        times.into(),
        Cell::strong(format!("{} in all", exact(together))),
        "before, as a rule".into(),
        occurrences[0].reason.clone().into(),
    ]
}

/// Whether it was announced in time; of what was granted afterwards, when and by whom.
fn granted(set_aside: &MaintenanceReport, zone: Zone<'_>) -> Cell {
    match &set_aside.afterwards {
        None => "before".into(),
        Some(Afterwards { at, by }) => {
            let granted = format!("excluded afterwards on {} by {by}", zone.shown(*at, "%-d %b %Y %H:%M"));
            Cell::toned(granted, Tone::Unsure)
        }
    }
}
