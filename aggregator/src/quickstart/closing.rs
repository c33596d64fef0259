//! The end of a story: the report of it, and its figures beside what really happened.

use std::fs;
use std::path::PathBuf;

use nines_shared::time::{Span, Timestamp};

use super::stage::Stage;
use super::story::seconds;
use super::terminal::clock;
use super::{QuickstartError, Running};
use crate::definition::look::Look;
use crate::report::model::{OutageReport, Report, ServiceReport};
use crate::report::{self, Format, ReportRequest, Time};
use crate::store::StoreError;
use crate::uptime::sla::Kept;
use crate::words;

/// The report of `window`, from one snapshot of the store.
///
/// # Errors
/// [`QuickstartError::Store`], [`QuickstartError::Report`].
pub(super) async fn report(running: &Running, window: Span) -> Result<Report, QuickstartError> {
    let environment = running.fleet.borrow().environment.clone();
    let request = ReportRequest { environment, customer: None, service: None, time: Time::Window(window) };
    let now = running.clock.now();
    // The store's reader gives StoreError alone; what else can go wrong is handed through it.
    let built = running.store.read(move |conn| Ok::<_, StoreError>(report::build(conn, &request, now)));
    Ok(built.await?.map_err(Box::new)?)
}

/// Writes `report` for people and for programs; gives where.
///
/// # Errors
/// [`QuickstartError::Directory`].
pub(super) fn write(report: &Report, stage: &Stage) -> Result<[PathBuf; 2], QuickstartError> {
    let paths = [stage.report("html"), stage.report("json")];
    for (path, format) in paths.iter().zip([Format::Html, Format::Json]) {
        let written = fs::write(path, report::render(report, format, &Look::default()));
        written.map_err(|source| QuickstartError::Directory { path: path.clone(), source })?;
    }
    Ok(paths)
}

/// The lines about `service`; `truth` is when it really failed.
pub(super) fn figures(service: &ServiceReport, truth: Option<Span>) -> Vec<String> {
    let bold = anstyle::Style::new().bold();
    let start = service.from;
    let length = clock(service.to.since(start));
    let mut lines = vec![format!("\n  {bold}{}, the figures of these {length}{bold:#}", service.name)];
    let mut line = |label: &str, text: String| lines.push(format!("    {label:<14}{text}"));
    line("availability", format!("{}, coverage {}", figure(service.availability_ppm), figure(service.coverage_ppm)));
    if service.accounts.unknown_ms > 0 {
        let bounds = (figure(service.worst_case_ppm), figure(service.best_case_ppm));
        line("bounds", format!("{} if all that is unknown was down, {} if it was up", bounds.0, bounds.1));
    }
    if let Some(sla) = &service.sla {
        let met = match (sla.verdict, sla.measured_ppm, sla.credit_percent) {
            (Kept::Met, _, _) => "met".to_owned(),
            (Kept::Breached, _, Some(credit)) if 0 < credit => format!("broken, and {credit} % of the fee goes back"),
            (Kept::Breached, _, _) => "broken".to_owned(),
            (Kept::Undetermined, Some(_), _) => "undetermined, what is unknown decides it".to_owned(),
            (Kept::Undetermined, None, _) => "no data, so nobody can say".to_owned(),
        };
        line("SLA", format!("{} was promised: {met}", words::objective(sla.objective_ppm)));
    }
    for outage in &service.outages {
        line("outage", outage_text(outage, start));
    }
    if let Some(truth) = truth {
        line("truth", truth_text(&service.outages, truth, start));
    }
    lines
}

fn figure(ppm: Option<u32>) -> String {
    ppm.map_or_else(|| "no data".to_owned(), words::percent)
}

fn outage_text(outage: &OutageReport, start: Timestamp) -> String {
    let span = (clock(outage.from.since(start)), clock(outage.to.since(start)));
    let measured = seconds(outage.to.since(outage.from));
    let bounds = (seconds(outage.at_least_ms), seconds(outage.at_most_ms));
    format!("{} to {}: measured {measured}, at least {}, at most {}", span.0, span.1, bounds.0, bounds.1)
}

/// What really happened, and whether the bounds hold it.
fn truth_text(outages: &[OutageReport], truth: Span, start: Timestamp) -> String {
    let span = (clock(truth.from.since(start)), clock(truth.to.since(start)));
    let really = truth.length_ms();
    let told = outages.iter().find(|outage| Span::new(outage.from, outage.to).intersection(truth).is_some());
    let held = match told {
        Some(outage) if (outage.at_least_ms..=outage.at_most_ms).contains(&really) => ", within the bounds",
        Some(_) => ", outside the bounds",
        None => ", and nobody saw it",
    };
    format!("{} to {}: the demo failed for {}{held}", span.0, span.1, seconds(really))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(from: i64, to: i64) -> OutageReport {
        let (from, to) = (Timestamp::from_ms(from), Timestamp::from_ms(to));
        OutageReport {
            from,
            to,
            at_least_ms: 22_500,
            at_most_ms: 25_600,
            regions: Vec::new(),
            reason: None,
            phase: None,
        }
    }

    #[test]
    fn the_truth_stands_beside_what_was_measured() {
        let (start, truth) =
            (Timestamp::from_ms(0), |ms: i64| Span::new(Timestamp::from_ms(64_000), Timestamp::from_ms(64_000 + ms)));
        let outages = [outage(64_400, 88_000)];
        assert_eq!(
            outage_text(&outages[0], start),
            "01:04 to 01:28: measured 23.6\u{202f}s, at least 22.5\u{202f}s, at most 25.6\u{202f}s"
        );
        assert!(truth_text(&outages, truth(23_900), start).ends_with("failed for 23.9\u{202f}s, within the bounds"));
        assert!(truth_text(&outages, truth(26_000), start).ends_with("outside the bounds"));
        assert!(truth_text(&[], truth(26_000), start).ends_with("nobody saw it"));
    }
}
