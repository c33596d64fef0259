//! What came before the verdict: the first failing sample, and the last good one before it.

use nines_shared::sample::Outcome;
use nines_shared::time::Timestamp;

use crate::uptime::service::{CheckAssessment, ServiceAssessment};
use crate::uptime::{CheckRecord, ServiceRecord, Verdict};

use super::signal::current;

/// What led to a failure: `last_good_at ≤ first_failure_at ≤` its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The last good sample before the first failure, from any region of the failing checks.
    pub last_good_at: Option<Timestamp>,
    /// The earliest start of a failure that reached without a break to the failure's start.
    pub first_failure_at: Timestamp,
}

/// What led to the failure that starts at `at`: looked for in the checks of which a region says `fails` then
/// and whose verdict is no better than the service's.
pub fn lead(record: &ServiceRecord, assessment: &ServiceAssessment, (fails, at): (Verdict, Timestamp)) -> Lead {
    let failing: Vec<&CheckAssessment> = failing_checks(assessment, fails, at).collect();
    let starts = failing
        .iter()
        .flat_map(|check| &check.regions)
        .filter_map(|region| region.timeline.span_at(at).filter(|(_, said)| *said == fails).map(|(span, _)| span.from));
    let first_failure_at = starts.min().unwrap_or(at).min(at);
    let records = record
        .checks
        .iter()
        .filter(|check| current(check).is_some_and(|now| failing.iter().any(|found| found.check == now.id)));
    let last_good = |check| last_good(check, fails, first_failure_at);
    Lead { last_good_at: records.filter_map(last_good).max(), first_failure_at }
}

/// The checks that fail at `at`: those with the verdict `fails` where there are any, else those of which a region says
/// so.
pub fn failing_checks(
    assessment: &ServiceAssessment,
    fails: Verdict,
    at: Timestamp,
) -> impl Iterator<Item = &CheckAssessment> {
    let is_down = move |check: &&CheckAssessment| check.timeline.at(at) == Some(fails);
    let some_are = assessment.checks.iter().any(|check| is_down(&check));
    assessment.checks.iter().filter(move |check| {
        if some_are { is_down(check) } else { check.regions.iter().any(|r| r.timeline.at(at) == Some(fails)) }
    })
}

/// The last sample before that was better than what `fails` says.
fn last_good(check: &CheckRecord, fails: Verdict, before: Timestamp) -> Option<Timestamp> {
    let good = |outcome| match outcome {
        Outcome::Up => true,
        Outcome::Degraded => fails != Verdict::Degraded,
        Outcome::Down | Outcome::Inconclusive => false,
    };
    let of_region = check.regions.iter().filter_map(|region| {
        let earlier = region.samples.partition_point(|sample| sample.started_at <= before);
        region.samples[..earlier].iter().rev().find(|sample| good(sample.outcome)).map(|sample| sample.started_at)
    });
    of_region.max()
}
