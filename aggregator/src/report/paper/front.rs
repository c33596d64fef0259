//! The first page: whose report, of when, what was promised, what was delivered, what is due. Read in a minute.

use super::{Block, Cell, Chart, Column, Fact, Front, Kind, Table, Tone};
use crate::report::drawing::strip;
use crate::report::figures::{self, WHOLE, Zone, percent, percent_beside};
use crate::report::model::{Report, Restatement, ServiceReport, SlaReport, State, WhatIf};
use crate::uptime::sla::Kept;
use crate::words;

/// Services in one drawing of the month; more go on in another.
const GLANCE: usize = 12;

pub(super) fn page(report: &Report, zone: Zone<'_>, period: &str) -> Front {
    let (headline, tone) = headline(&report.services);
    let headline = if report.what_if.is_some() { format!("What if: {headline}") } else { headline };
    let mut blocks: Vec<Block> = report.what_if.iter().map(|what_if| Block::Text(otherwise(what_if))).collect();
    blocks.extend(report.restatement.iter().map(|restated| Block::Text(replaces(restated, zone))));
    blocks.extend([
        Block::Table(promises(report)),
        Block::Soft(
            "Delivered is what the contract counts (SLA). Coverage says how much of the time was observed; at worst \
             and at best count what was not observed as down and as up. Percentages are rounded down."
                .to_owned(),
        ),
    ]);
    blocks.extend(glance(report, zone, period));
    Front { headline, tone, facts: facts(report, zone), blocks }
}

/// Whether the report can still change, in words.
pub(super) fn state(report: &Report) -> (&'static str, Tone) {
    match report.state {
        _ if report.what_if.is_some() => ("WHAT IF: not what the contract says", Tone::Unsure),
        State::Final if report.restatement.is_some() => ("Final: restated", Tone::Unsure),
        State::Final => ("Final", Tone::Plain),
        State::Preliminary if report.complete => ("Preliminary: complete, not frozen", Tone::Plain),
        State::Preliminary => ("Preliminary: late results may still change it", Tone::Unsure),
    }
}

/// That this is no contract's figure, and what the contract's are.
fn otherwise(what_if: &WhatIf) -> String {
    let said: Vec<String> =
        what_if.contract.iter().map(|said| format!("{} {}", said.service, percent(said.availability_ppm))).collect();
    format!(
        "WHAT IF {}: the same samples under another policy. This is not what the contract says. By the contract, \
         availability is: {}.",
        what_if.policy.join(", "),
        said.join(", ")
    )
}

/// Why there is another revision, in one sentence.
fn replaces(restated: &Restatement, zone: Zone<'_>) -> String {
    let Restatement { of, at, by, reason, .. } = restated;
    format!(
        "This revision replaces revision {of}, which stays readable. {by} asked for it on {}, because: {reason}. What it \
         changes is told at the end.",
        zone.moment(*at)
    )
}

fn facts(report: &Report, zone: Zone<'_>) -> Vec<Fact> {
    let fact = |label, text: &str, tone| Fact { label, text: text.to_owned(), tone };
    let (state, tone) = state(report);
    let window = format!("{} – {}", zone.named(report.from), zone.named(report.to));
    let mut facts = vec![
        fact("Customer", &report.customer_name, Tone::Plain),
        fact("Window", &window, Tone::Plain),
        fact("Time zone", &report.timezone, Tone::Plain),
        fact("Revision", &report.revision.to_string(), Tone::Plain),
        fact("State", state, tone),
    ];
    if !report.environment.is_empty() {
        facts.push(fact("Environment", &report.environment, Tone::Plain));
    }
    facts
}

/// The one sentence, and whether it is good news.
fn headline(services: &[ServiceReport]) -> (String, Tone) {
    let promises: Vec<&SlaReport> = services.iter().flat_map(|service| &service.sla).collect();
    let broken = promises.iter().filter(|sla| sla.verdict == Kept::Breached).count();
    let unknown = promises.iter().filter(|sla| sla.verdict == Kept::Undetermined).count();
    let (text, tone) = match (promises.len(), broken, unknown) {
        (0, _, _) => ("No promise was made for this time.", Tone::Unsure),
        (1, 0, 0) => ("The promise was kept.", Tone::Good),
        (1, 1, _) => ("The promise was not kept.", Tone::Bad),
        (_, 0, 0) => ("Every promise was kept.", Tone::Good),
        (_, 0, _) if promises.iter().all(|sla| sla.measured_ppm.is_none()) => {
            ("There is no data to judge by.", Tone::Unsure)
        }
        (all, 0, none) if all == none => ("What is unknown decides whether it was kept.", Tone::Unsure),
        (_, 0, _) => ("What could be judged was kept; for the rest, what is unknown decides.", Tone::Unsure),
        (all, 1, _) => return (format!("1 of {all} promises was not kept."), Tone::Bad),
        (all, broken, _) => return (format!("{broken} of {all} promises were not kept."), Tone::Bad),
    };
    (text.to_owned(), tone)
}

fn promises(report: &Report) -> Table {
    let columns = vec![
        Column::words("Service"),
        Column::figures("Promised"),
        Column::figures("Delivered"),
        Column::words("Promise"),
        Column::figures("Credit due"),
    ];
    let mut rows = Vec::new();
    for service in &report.services {
        let name = Cell { link: Some(service.service.to_string()), ..Cell::strong(&service.name) };
        let coverage = format!("coverage {}", percent(service.coverage_ppm));
        let Some(sla) = &service.sla else {
            let notes = std::iter::once(coverage).chain(told(cases(service))).collect();
            let delivered = Cell::strong(percent(service.availability_ppm)).noted(notes);
            rows.push(vec![name, "–".into(), delivered, "none made".into(), "–".into()]);
            continue;
        };
        let (verdict, tone) = verdict(sla);
        let notes = std::iter::once(coverage).chain(told(cases_of(sla))).collect();
        let delivered = Cell::toned(delivered(sla), tone).noted(notes);
        let promised = words::objective(sla.objective_ppm);
        rows.push(vec![name, promised.into(), delivered, Cell::toned(verdict, tone), credit(sla)]);
    }
    Table { kind: Kind::Promises, what: "What was promised and what was delivered".to_owned(), columns, rows }
}

/// What was delivered, as the contract counts.
pub(super) fn delivered(sla: &SlaReport) -> String {
    percent_beside(sla.measured_ppm, sla.objective_ppm)
}

/// Whether a promise was kept.
pub(super) fn verdict(sla: &SlaReport) -> (&'static str, Tone) {
    match (sla.verdict, sla.measured_ppm) {
        (Kept::Met, _) => ("Kept", Tone::Good),
        (Kept::Breached, _) => ("Not kept", Tone::Bad),
        (Kept::Undetermined, Some(_)) => ("Undetermined", Tone::Unsure),
        (Kept::Undetermined, None) => ("No data", Tone::Unsure),
    }
}

/// What the contract would count if all that is unknown was down, and if it was up, where that differs.
pub(super) fn cases_of(sla: &SlaReport) -> Option<(String, String)> {
    let case = |ppm| percent_beside(ppm, sla.objective_ppm);
    (sla.worst_case_ppm != sla.best_case_ppm).then(|| (case(sla.worst_case_ppm), case(sla.best_case_ppm)))
}

/// What the credit would be if all that is unknown was down, and if it was up, where that differs.
pub(super) fn credits_of(sla: &SlaReport) -> Option<String> {
    let (worst, best) = (sla.credit_worst_case_percent?, sla.credit_best_case_percent?);
    (worst != best).then(|| format!("between {best} and {worst}\u{202f}%"))
}

fn credit(sla: &SlaReport) -> Cell {
    let cell = match sla.credit_percent {
        None => "–".into(),
        Some(0) => "none".into(),
        Some(percent) => Cell::strong(format!("{percent}\u{202f}% of the fee")),
    };
    cell.noted(credits_of(sla).into_iter().collect())
}

/// A worst and a best case as one says it.
pub(super) fn told(cases: Option<(String, String)>) -> Option<String> {
    cases.map(|(worst, best)| format!("at worst {worst}, at best {best}"))
}

/// What the service's SLI would be if all that is unknown was down, and if it was up, where coverage is not whole.
pub(super) fn cases(service: &ServiceReport) -> Option<(String, String)> {
    let open = service.coverage_ppm != Some(WHOLE);
    let (worst, best) = service.worst_case_ppm.zip(service.best_case_ppm)?;
    open.then(|| (words::percent(worst), words::percent(best)))
}

fn glance(report: &Report, zone: Zone<'_>, period: &str) -> Vec<Block> {
    let shown: Vec<&ServiceReport> = report.services.iter().filter(|service| !service.days.is_empty()).collect();
    let charts = shown.chunks(GLANCE).map(|services| {
        let rows: Vec<_> = services.iter().map(|service| (service.name.as_str(), &service.days[..])).collect();
        let told = services.iter().map(|service| {
            let down = service.days.iter().filter(|day| day.accounts.down_ms != 0).count();
            let down = if down == 0 { "no day".to_owned() } else { words::count(down, "day") };
            format!("{}: {down} with downtime, {} down in all.", service.name, figures::exact(service.accounts.down_ms))
        });
        let alt = format!("{period} day by day. {}", told.collect::<Vec<_>>().join(" "));
        Block::Chart(Chart { drawing: strip::glance(&rows, zone), alt })
    });
    let charts: Vec<Block> = charts.collect();
    if charts.is_empty() {
        return charts;
    }
    std::iter::once(Block::Heading("Day by day".to_owned())).chain(charts).collect()
}
