//! What is told of one check: how long it took by region and day, what each region saw, and by which definitions.

use super::{Block, Cell, Chart, Column, Kind, Table};
use crate::report::basis::VersionBasis;
use crate::report::drawing::latency::{self, Panel};
use crate::report::figures::{self, WHOLE, Zone, exact, percent, slots};
use crate::report::model::{CheckReport, RegionReport, Report, ServiceReport, VersionReport};
use crate::uptime::accounts::ppm;
use crate::uptime::percentile::Percentiles;
use crate::words;

/// How long the check took: a panel a region, then the figures. Nothing where nothing worked.
pub(super) fn latency(check: &CheckReport, service: &ServiceReport, zone: Zone<'_>) -> Vec<Block> {
    let Some(whole) = check.latency_us else { return Vec::new() };
    let mut blocks = vec![Block::Heading(format!("Latency of {}", check.check))];
    let days: Vec<_> = service.days.iter().map(|day| day.from).collect();
    let panels: Vec<Panel<'_>> = check
        .regions
        .iter()
        .filter(|region| region.latency_days_us.len() == days.len())
        .map(|region| Panel { name: &region.name, days: &region.latency_days_us })
        .collect();
    if 1 < days.len() && !panels.is_empty() {
        for drawing in latency::panels(&panels, &days, zone) {
            blocks.push(Block::Chart(Chart { drawing, alt: told(check) }));
        }
    }
    let columns = vec![
        Column::words("Region"),
        Column::figures("p50"),
        Column::figures("p95"),
        Column::figures("p99"),
        Column::figures("Worst day’s p95"),
    ];
    let mut rows: Vec<Vec<Cell>> = check.regions.iter().map(row).collect();
    if 1 < rows.len() {
        let [p50, p95, p99] = three(Some(whole));
        let all = [Cell::strong("All regions"), Cell::strong(p50), Cell::strong(p95), Cell::strong(p99), "".into()];
        rows.push(all.into());
    }
    blocks.push(Block::Table(Table { kind: Kind::Dense, what: format!("Latency of {}", check.check), columns, rows }));
    blocks.push(Block::Soft(
        "Of all planned samples that worked, exactly, never an average: p95 means that 95 of 100 took no longer."
            .to_owned(),
    ));
    blocks
}

fn row(region: &RegionReport) -> Vec<Cell> {
    let [p50, p95, p99] = three(region.latency_us);
    let worst = region.latency_days_us.iter().flatten().map(|day| day.p95).max();
    let worst = worst.map_or_else(|| "–".to_owned(), figures::latency);
    [region.name.clone(), p50, p95, p99, worst].map(Cell::from).into()
}

fn three(latency: Option<Percentiles>) -> [String; 3] {
    latency.map_or_else(|| ["–", "–", "–"].map(str::to_owned), |of| [of.p50, of.p95, of.p99].map(figures::latency))
}

fn told(check: &CheckReport) -> String {
    let each = check.regions.iter().filter_map(|region| {
        let by_day = || region.latency_days_us.iter().flatten().map(|day| day.p95);
        let (least, most) = (by_day().min()?, by_day().max()?);
        Some(format!("{} {} to {}", region.name, figures::latency(least), figures::latency(most)))
    });
    format!("p95 of a day, by region: {}.", each.collect::<Vec<_>>().join("; "))
}

/// What each region saw, and by which definitions.
pub(super) fn seen(check: &CheckReport, report: &Report, zone: Zone<'_>) -> Vec<Block> {
    let accounts = &check.accounts;
    let mut said = format!(
        "{}: {}. Availability {}, coverage {}",
        check.check,
        check.target,
        percent(check.availability_ppm),
        percent(check.coverage_ppm)
    );
    let open = check.coverage_ppm != Some(WHOLE);
    if let Some((worst, best)) = accounts.worst_case_ppm().zip(accounts.best_case_ppm()).filter(|_| open) {
        said += &format!(", at worst {}, at best {}", words::percent(worst), words::percent(best));
    }
    said += &format!(
        "; down {}; {} slots answered.",
        exact(accounts.down_ms),
        slots(check.slots_answered, check.slots_expected)
    );
    vec![Block::Text(said), Block::Table(regions(check)), Block::Table(definitions(check, report, zone))]
}

fn regions(check: &CheckReport) -> Table {
    let columns = vec![
        Column::words("Region, by itself"),
        Column::figures("Availability"),
        Column::figures("Coverage"),
        Column::figures("Down"),
        Column::figures("Slots answered"),
    ];
    let row = |region: &RegionReport| {
        let available = region.up_ms + region.degraded_ms;
        let observed = available + region.down_ms;
        let cells = [
            region.name.clone(),
            percent(ppm(available, observed)),
            percent(ppm(observed, observed + region.unknown_ms)),
            exact(region.down_ms),
            slots(region.slots_answered, region.slots_expected),
        ];
        cells.map(Cell::from).into()
    };
    let rows = check.regions.iter().map(row).collect();
    Table { kind: Kind::Dense, what: format!("What each region saw of {}", check.check), columns, rows }
}

/// The definitions in force, and what changed from one to the next.
fn definitions(check: &CheckReport, report: &Report, zone: Zone<'_>) -> Table {
    let columns = vec![
        Column::words("Definition in force from"),
        Column::figures("Every"),
        Column::figures("Timeout"),
        Column::figures("Quorum"),
        Column::words("Changed"),
    ];
    let basis = report.basis.iter().flat_map(|service| &service.checks).find(|basis| basis.check == check.check);
    let mut before: Option<(&VersionReport, Option<&VersionBasis>)> = None;
    let mut rows = Vec::new();
    for version in &check.versions {
        // The basis reaches further back than the window: its version may have begun before.
        let begun = |basis: &&VersionBasis| basis.from <= version.from;
        let now = (version, basis.and_then(|basis| basis.versions.iter().rfind(begun)));
        let changed = before.replace(now).map_or_else(|| "–".to_owned(), |before| changes(before, now));
        let cells = [
            zone.moment(version.from),
            words::duration(version.interval_ms),
            words::duration(version.timeout_ms),
            format!("{} of {}", version.quorum, version.regions),
            changed,
        ];
        rows.push(cells.map(Cell::from).into());
    }
    Table { kind: Kind::Dense, what: format!("Definitions of {}", check.check), columns, rows }
}

/// What `now` has that `before` had not.
fn changes(before: (&VersionReport, Option<&VersionBasis>), now: (&VersionReport, Option<&VersionBasis>)) -> String {
    let differs = |of: fn(&VersionBasis) -> &str| before.1.zip(now.1).is_some_and(|(one, other)| of(one) != of(other));
    let changed = [
        ("interval", before.0.interval_ms != now.0.interval_ms),
        ("timeout", before.0.timeout_ms != now.0.timeout_ms),
        ("quorum", before.0.quorum != now.0.quorum),
        ("regions", before.1.zip(now.1).is_some_and(|(one, other)| one.regions != other.regions)),
        ("target", differs(|basis| &basis.target)),
    ];
    let named: Vec<String> =
        changed.into_iter().filter(|(_, changed)| *changed).map(|(what, _)| what.to_owned()).collect();
    match named.is_empty() {
        false => words::list(&named),
        true if differs(|basis| &basis.definition) => "what is asked or expected".to_owned(),
        true => "nothing that counts".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;

    #[test]
    fn a_definition_says_what_changed_even_if_no_column_shows_it() {
        let from = Timestamp::from_ms(0);
        let told = VersionReport { from, interval_ms: 60_000, timeout_ms: 10_000, quorum: 2, regions: 3 };
        let basis = VersionBasis {
            from,
            interval_ms: 60_000,
            timeout_ms: 10_000,
            quorum: 2,
            regions: Vec::new(),
            target: "https://shop.example/".to_owned(),
            definition: "sha256:1".to_owned(),
        };
        let first = (&told, Some(&basis));
        let quicker = VersionReport { interval_ms: 30_000, quorum: 1, ..told.clone() };
        assert_eq!(changes(first, (&quicker, Some(&basis))), "interval and quorum");
        let stricter = VersionBasis { definition: "sha256:2".to_owned(), ..basis.clone() };
        assert_eq!(changes(first, (&told, Some(&stricter))), "what is asked or expected");
        let moved = VersionBasis { target: "https://other.example/".to_owned(), ..stricter };
        assert_eq!(changes(first, (&told, Some(&moved))), "target");
        assert_eq!(changes(first, first), "nothing that counts");
    }
}
