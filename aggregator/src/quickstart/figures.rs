//! The figures of a story, beside what really happened.

use nines_shared::time::{Span, Timestamp};

use super::story::seconds;
use super::terminal::clock;
use crate::definition::Service;
use crate::uptime::Outage;
use crate::uptime::service::ServiceAssessment;
use crate::words;

/// The lines about `service` in what was assessed since `start`; `truth` is when it really failed.
pub(super) fn of(
    service: &Service,
    assessed: &ServiceAssessment,
    start: Timestamp,
    truth: Option<Span>,
) -> Vec<String> {
    let bold = anstyle::Style::new().bold();
    let accounts = &assessed.accounts;
    let length = clock(assessed.window.length_ms());
    let mut lines = vec![format!("\n  {bold}{}, the figures of these {length}{bold:#}", service.name)];
    let figure = |ppm: Option<u32>| ppm.map_or_else(|| "no data".to_owned(), words::percent);
    let mut line = |label: &str, text: String| lines.push(format!("    {label:<14}{text}"));
    line(
        "availability",
        format!("{}, coverage {}", figure(accounts.availability_ppm()), figure(accounts.coverage_ppm())),
    );
    if accounts.unknown_ms > 0 {
        let bounds = (figure(accounts.worst_case_ppm()), figure(accounts.best_case_ppm()));
        line("bounds", format!("{} if all that is unknown was down, {} if it was up", bounds.0, bounds.1));
    }
    for outage in &assessed.outages {
        line("outage", outage_text(outage, start));
    }
    if let Some(truth) = truth {
        line("truth", truth_text(&assessed.outages, truth, start));
    }
    lines
}

fn outage_text(outage: &Outage, start: Timestamp) -> String {
    let span = (clock(outage.span.from.since(start)), clock(outage.span.to.since(start)));
    let bounds = (seconds(outage.at_least_ms), seconds(outage.at_most_ms));
    let measured = seconds(outage.span.length_ms());
    format!("{} to {}: measured {measured}, at least {}, at most {}", span.0, span.1, bounds.0, bounds.1)
}

/// What really happened, and whether the bounds hold it.
fn truth_text(outages: &[Outage], truth: Span, start: Timestamp) -> String {
    let span = (clock(truth.from.since(start)), clock(truth.to.since(start)));
    let really = truth.length_ms();
    let told = outages.iter().find(|outage| outage.span.intersection(truth).is_some());
    let held = match told {
        Some(outage) if (outage.at_least_ms..=outage.at_most_ms).contains(&really) => ", within the bounds",
        Some(_) => ", outside the bounds",
        None => ", and nobody saw it",
    };
    format!("{} to {}: the demo failed for {}{held}", span.0, span.1, seconds(really))
}
