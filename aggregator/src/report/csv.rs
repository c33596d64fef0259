//! The report as CSV (RFC 4180): one table a file, for spreadsheets and programs.
//!
//! Every table has a header row. Instants are RFC 3339 with the offset of the customer's zone, lengths are whole
//! milliseconds, ratios stand both as parts per million and in per cent, floored. A text that a spreadsheet would
//! take for a formula is led by an apostrophe.

use nines_shared::time::Timestamp;

use super::figures::{Zone, percent};
use super::model::{CheckReport, RegionReport, Report, ServiceReport};
use crate::definition::Weekly;
use crate::uptime::Accounts;
use crate::uptime::accounts::ppm;
use crate::uptime::sla::Kept;

/// Which table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    /// A row a service.
    #[default]
    Services,
    /// A row an outage.
    Outages,
    /// A row a service and day.
    Days,
    /// A row a check and region: slots due and answered, latency.
    Slots,
    /// A row a check, region and day.
    Latency,
    /// A row a span that was set aside.
    Maintenance,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Services, Self::Outages, Self::Days, Self::Slots, Self::Latency, Self::Maintenance];

    /// What it is called, on the command line and in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Outages => "outages",
            Self::Days => "days",
            Self::Slots => "slots",
            Self::Latency => "latency",
            Self::Maintenance => "maintenance",
        }
    }
}

/// One table of the report.
pub fn render(report: &Report, table: Table) -> String {
    let zone = Zone(&report.timezone);
    let rows = match table {
        Table::Services => services(report, zone),
        Table::Outages => outages(report, zone),
        Table::Days => days(report, zone),
        Table::Slots => slots(report),
        Table::Latency => latency(report, zone),
        Table::Maintenance => maintenance(report, zone),
    };
    rows.into_iter().fold(String::new(), |mut file, row| {
        file.push_str(&row.into_iter().map(|cell| quoted(&cell)).collect::<Vec<_>>().join(","));
        file.push_str("\r\n");
        file
    })
}

type Row = Vec<String>;

fn head(columns: &[&str]) -> Vec<Row> {
    vec![columns.iter().map(|column| (*column).to_owned()).collect()]
}

const ACCOUNTS: [&str; 7] =
    ["up_ms", "degraded_ms", "down_ms", "unknown_ms", "excluded_ms", "down_at_least_ms", "down_at_most_ms"];

fn accounts(of: &Accounts) -> [String; 7] {
    let lengths =
        [of.up_ms, of.degraded_ms, of.down_ms, of.unknown_ms, of.excluded_ms, of.down_at_least_ms, of.down_at_most_ms];
    lengths.map(|ms| ms.to_string())
}

/// In parts per million, and in per cent.
fn ratio(of: Option<u32>) -> [String; 2] {
    [number(of), of.map(|of| plain(percent(Some(of)))).unwrap_or_default()]
}

fn number(of: Option<impl ToString>) -> String {
    of.map(|of| of.to_string()).unwrap_or_default()
}

/// With the spaces that every program knows.
fn plain(text: String) -> String {
    text.replace('\u{202f}', " ")
}

fn instant(at: Timestamp, zone: Zone<'_>) -> String {
    zone.shown(at, "%Y-%m-%dT%H:%M:%S%.f%:z")
}

fn services(report: &Report, zone: Zone<'_>) -> Vec<Row> {
    let columns = ["customer", "service", "name", "from", "to", "state", "revision"];
    let ratios = ["availability", "coverage", "worst_case", "best_case"].map(|of| [format!("{of}_ppm"), of.to_owned()]);
    let sla = [
        "sla_objective_ppm",
        "sla_measured_ppm",
        "sla_measured",
        "sla_worst_case_ppm",
        "sla_best_case_ppm",
        "sla_verdict",
        "sla_credit_percent",
        "sla_credit_worst_case_percent",
        "sla_credit_best_case_percent",
        "sla_terms",
    ];
    let slo = ["slo_objective_ppm", "slo_budget_ms", "slo_spent_ms", "slo_remaining_ms"];
    let window = ["from", "to", "availability_ppm", "coverage_ppm", "budget_ms", "spent_ms", "remaining_ms", "verdict"];
    let window = window.map(|of| format!("slo_window_{of}"));
    let quick = ["slo_latency_p95_objective_us", "slo_latency_p95_us", "slo_latency_verdict"];
    let mut rows = head(&columns);
    rows[0].extend(ratios.into_iter().flatten());
    rows[0].extend(ACCOUNTS.into_iter().chain(sla).chain(slo).map(str::to_owned));
    rows[0].extend(window.into_iter().chain(quick.map(str::to_owned)));
    for service in &report.services {
        rows.push(service_row(report, service, zone));
    }
    rows
}

fn service_row(report: &Report, service: &ServiceReport, zone: Zone<'_>) -> Row {
    let state = match report.state {
        super::model::State::Preliminary => "preliminary",
        super::model::State::Final => "final",
    };
    let mut row: Row = vec![
        report.customer.to_string(),
        service.service.to_string(),
        service.name.clone(),
        instant(service.from, zone),
        instant(service.to, zone),
        state.to_owned(),
        report.revision.to_string(),
    ];
    let ratios = [service.availability_ppm, service.coverage_ppm, service.worst_case_ppm, service.best_case_ppm];
    row.extend(ratios.into_iter().flat_map(ratio));
    row.extend(accounts(&service.accounts));
    row.extend(match &service.sla {
        None => [const { String::new() }; 10],
        Some(sla) => [
            sla.objective_ppm.to_string(),
            number(sla.measured_ppm),
            sla.measured_ppm.map(|_| plain(super::paper::delivered(sla))).unwrap_or_default(),
            number(sla.worst_case_ppm),
            number(sla.best_case_ppm),
            super::paper::verdict(sla).to_lowercase(),
            number(sla.credit_percent),
            number(sla.credit_worst_case_percent),
            number(sla.credit_best_case_percent),
            sla.policy.version.clone(),
        ],
    });
    row.extend(match &service.slo {
        None => [const { String::new() }; 4],
        Some(slo) => {
            let budget = [slo.budget_ms, slo.spent_ms, slo.remaining_ms].map(|ms| ms.to_string());
            let [whole, spent, left] = budget;
            [slo.objective_ppm.to_string(), whole, spent, left]
        }
    });
    row.extend(objectives(service, zone));
    row
}

/// The objective over its own window, and the one for latency.
fn objectives(service: &ServiceReport, zone: Zone<'_>) -> Row {
    let mut cells: Row = match &service.slo_window {
        None => vec![String::new(); 8],
        Some(rolling) => vec![
            instant(rolling.from, zone),
            instant(rolling.to, zone),
            number(rolling.availability_ppm),
            number(rolling.coverage_ppm),
            rolling.budget.budget_ms.to_string(),
            rolling.budget.spent_ms.to_string(),
            rolling.budget.remaining_ms.to_string(),
            match rolling.verdict {
                Kept::Met => "met",
                Kept::Breached => "not met",
                Kept::Undetermined => "undetermined",
            }
            .to_owned(),
        ],
    };
    cells.extend(match &service.latency_slo {
        None => [const { String::new() }; 3],
        Some(latency) => {
            let verdict = latency.met.map_or("no data", |met| if met { "met" } else { "not met" });
            [latency.p95_objective_us.to_string(), number(latency.p95_us), verdict.to_owned()]
        }
    });
    cells
}

fn outages(report: &Report, zone: Zone<'_>) -> Vec<Row> {
    let columns = ["service", "from", "to", "measured_ms", "at_least_ms", "at_most_ms", "regions", "reason", "phase"];
    let mut rows = head(&columns);
    for service in &report.services {
        for outage in &service.outages {
            let regions: Vec<String> = outage.regions.iter().map(ToString::to_string).collect();
            rows.push(vec![
                service.service.to_string(),
                instant(outage.from, zone),
                instant(outage.to, zone),
                outage.to.since(outage.from).to_string(),
                outage.at_least_ms.to_string(),
                outage.at_most_ms.to_string(),
                regions.join(" "),
                outage.reason.as_ref().map(|reason| reason.code().to_owned()).unwrap_or_default(),
                outage.phase.map(|phase| phase.code().to_owned()).unwrap_or_default(),
            ]);
        }
    }
    rows
}

fn days(report: &Report, zone: Zone<'_>) -> Vec<Row> {
    let mut rows =
        head(&["service", "day", "from", "to", "availability_ppm", "availability", "coverage_ppm", "coverage"]);
    rows[0].extend(ACCOUNTS.map(str::to_owned));
    for service in &report.services {
        for day in &service.days {
            let mut row = vec![
                service.service.to_string(),
                zone.shown(day.from, "%Y-%m-%d"),
                instant(day.from, zone),
                instant(day.to, zone),
            ];
            row.extend(ratio(day.accounts.availability_ppm()));
            row.extend(ratio(day.accounts.coverage_ppm()));
            row.extend(accounts(&day.accounts));
            rows.push(row);
        }
    }
    rows
}

fn each_region(report: &Report) -> impl Iterator<Item = (&ServiceReport, &CheckReport, &RegionReport)> {
    report.services.iter().flat_map(|service| {
        service.checks.iter().flat_map(move |check| check.regions.iter().map(move |region| (service, check, region)))
    })
}

fn slots(report: &Report) -> Vec<Row> {
    let columns = [
        "service",
        "check",
        "region",
        "slots_expected",
        "slots_answered",
        "slots_missing",
        "availability_ppm",
        "up_ms",
        "degraded_ms",
        "down_ms",
        "unknown_ms",
        "excluded_ms",
        "p50_us",
        "p95_us",
        "p99_us",
    ];
    let mut rows = head(&columns);
    for (service, check, region) in each_region(report) {
        let available = region.up_ms + region.degraded_ms;
        let lengths = [region.up_ms, region.degraded_ms, region.down_ms, region.unknown_ms, region.excluded_ms];
        let mut row = vec![service.service.to_string(), check.check.to_string(), region.region.to_string()];
        let missing = region.slots_expected - region.slots_answered;
        row.extend([region.slots_expected, region.slots_answered, missing].map(|slots| slots.to_string()));
        row.push(number(ppm(available, available + region.down_ms)));
        row.extend(lengths.map(|ms| ms.to_string()));
        let latency = region.latency_us;
        row.extend([
            number(latency.map(|of| of.p50)),
            number(latency.map(|of| of.p95)),
            number(latency.map(|of| of.p99)),
        ]);
        rows.push(row);
    }
    rows
}

fn latency(report: &Report, zone: Zone<'_>) -> Vec<Row> {
    let mut rows = head(&["service", "check", "region", "day", "p50_us", "p95_us", "p99_us"]);
    for (service, check, region) in each_region(report) {
        for (day, of) in service.days.iter().zip(&region.latency_days_us) {
            let mut row = vec![
                service.service.to_string(),
                check.check.to_string(),
                region.region.to_string(),
                zone.shown(day.from, "%Y-%m-%d"),
            ];
            row.extend([number(of.map(|of| of.p50)), number(of.map(|of| of.p95)), number(of.map(|of| of.p99))]);
            rows.push(row);
        }
    }
    rows
}

fn maintenance(report: &Report, zone: Zone<'_>) -> Vec<Row> {
    let granted = ["excluded_afterwards_at", "excluded_afterwards_by"];
    let mut rows = head(&["service", "from", "to", "length_ms", granted[0], granted[1], "reason", "weekly"]);
    for service in &report.services {
        for announced in &service.maintenance {
            rows.push(vec![
                service.service.to_string(),
                instant(announced.from, zone),
                instant(announced.to, zone),
                announced.to.since(announced.from).to_string(),
                announced.afterwards.as_ref().map(|granted| instant(granted.at, zone)).unwrap_or_default(),
                announced.afterwards.as_ref().map(|granted| granted.by.clone()).unwrap_or_default(),
                announced.reason.clone(),
                announced.weekly.as_ref().map(hours).unwrap_or_default(),
            ]);
        }
    }
    rows
}

/// As the fleet file says them.
fn hours(weekly: &Weekly) -> String {
    weekly.hours.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// As RFC 4180 wants it; what a spreadsheet would compute stays text. Whole numbers, which may be negative, stay
/// numbers.
fn quoted(cell: &str) -> String {
    let guarded = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && cell.parse::<i64>().is_err();
    let cell = if guarded { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n', '\'']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_stays_text_and_numbers_stay_numbers() {
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(quoted("\tx"), "\"'\tx\"");
        assert_eq!(quoted("-2+3"), "\"'-2+3\"");
        assert_eq!(quoted("-296700"), "-296700");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("plain"), "plain");
    }

    #[test]
    fn every_table_is_called_as_it_is_on_the_command_line() {
        for table in Table::ALL {
            assert_eq!(<Table as clap::ValueEnum>::from_str(table.name(), false), Ok(table));
        }
    }
}
