//! The assessment of one service in one window: everything that a page, an incident or a report says of it.

use nines_shared::id::{CheckId, RegionId};
use nines_shared::time::{Span, Timestamp};

use super::bounds::Bounded;
use super::region_state::{self, RegionState};
use super::timeline::Builder;
use super::{Accounts, CheckRecord, Outage, ServiceRecord, Timeline, Verdict, maintenance, outage, verdict};

/// What one region saw of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionAssessment {
    /// Which region.
    pub region: RegionId,
    /// What it said; `unknown` where it was silent or not asked.
    pub timeline: Timeline,
    /// Slots due, those that are pending apart.
    pub slots_expected: i64,
    /// Those with a conclusive planned sample; the others are missing or inconclusive.
    pub slots_answered: i64,
}

/// What the fleet saw of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckAssessment {
    /// Which check.
    pub check: CheckId,
    /// Its verdict, over the service's window up to its removal.
    pub timeline: Timeline,
    /// How that time was spent.
    pub accounts: Accounts,
    /// When it was down.
    pub outages: Vec<Outage>,
    /// Over all regions.
    pub slots_expected: i64,
    /// Over all regions.
    pub slots_answered: i64,
    /// Every region that is asked in the window, sorted.
    pub regions: Vec<RegionAssessment>,
}

/// What the fleet saw of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAssessment {
    /// The time that was judged: as asked for, clipped to the service's life and to the present.
    pub window: Span,
    /// Its verdict, maintenance or not.
    pub timeline: Timeline,
    /// The same by the rule that gives the least downtime.
    pub at_least: Timeline,
    /// The same by the rule that gives the most downtime.
    pub at_most: Timeline,
    /// Maintenance in the window, as a set of spans.
    pub excluded: Vec<Span>,
    /// How the window was spent (INV-4).
    pub accounts: Accounts,
    /// When it was down, clipped by maintenance.
    pub outages: Vec<Outage>,
    /// Its checks, in the record's order; those removed before the window apart.
    pub checks: Vec<CheckAssessment>,
}

/// Judges a service in `window`, as known at `now`.
///
/// The record must reach as far as [`CheckRecord::regions`] says. What is not yet (after `now`), not in the
/// service's life or not in a check's life is no part of any account.
pub fn assess(record: &ServiceRecord, window: Span, now: Timestamp) -> ServiceAssessment {
    let asked_for = Span::new(window.from, window.to.min(now));
    let window = asked_for.intersection(record.life).unwrap_or(Span { from: window.from, to: window.from });
    let excluded = maintenance::excluded(&record.maintenance, &record.service.id, window);
    let mut checks = Vec::new();
    let mut voices = Vec::new();
    for check in &record.checks {
        let Some(span) = window.intersection(Span { from: Timestamp::MIN, to: check.removed_at }) else { continue };
        let (assessment, timelines) = assess_check(check, span, now, &excluded);
        checks.push(assessment);
        voices.push(timelines);
    }
    let timelines = Bounded::each(|pick| {
        let rule = record.service.rule;
        verdict::sweep(window, voices.iter().map(pick), |checks| verdict::of_service(checks, rule))
    });
    let outages = outage::outages(&timelines, &excluded, &checks.iter().collect::<Vec<_>>());
    let accounts = Accounts::of(timelines.as_ref(), &excluded, window);
    let Bounded { measured: timeline, at_least, at_most } = timelines;
    ServiceAssessment { window, timeline, at_least, at_most, excluded, accounts, outages, checks }
}

fn assess_check(
    check: &CheckRecord,
    window: Span,
    now: Timestamp,
    excluded: &[Span],
) -> (CheckAssessment, Bounded<Timeline>) {
    let asked = regions_asked(check, window);
    let regions: Vec<(&RegionId, RegionState)> =
        asked.into_iter().map(|region| (region, region_state::of_region(check, region, window, now))).collect();
    let timelines = Bounded::each(|pick| check_timeline(check, window, &regions, pick));
    let accounts = Accounts::of(timelines.as_ref(), excluded, window);
    let slots_expected = regions.iter().map(|(_, state)| state.slots.expected()).sum();
    let slots_answered = regions.iter().map(|(_, state)| state.slots.answered()).sum();
    let regions = regions.into_iter().map(|(region, state)| RegionAssessment {
        region: region.clone(),
        timeline: state.says.measured,
        slots_expected: state.slots.expected(),
        slots_answered: state.slots.answered(),
    });
    let mut assessment = CheckAssessment {
        check: check.versions[0].check.id.clone(),
        timeline: timelines.measured.clone(),
        accounts,
        outages: Vec::new(),
        slots_expected,
        slots_answered,
        regions: regions.collect(),
    };
    assessment.outages = outage::outages(&timelines, excluded, &[&assessment]);
    (assessment, timelines)
}

/// Every region that some version in force in `window` asks, sorted.
fn regions_asked(check: &CheckRecord, window: Span) -> Vec<&RegionId> {
    let in_window = check.in_force().filter(|(span, _)| span.intersection(window).is_some());
    let mut regions: Vec<&RegionId> = in_window.flat_map(|(_, version)| &version.regions).collect();
    regions.sort_unstable();
    regions.dedup();
    regions
}

/// The check's verdict: in each version's time, its quorum of its regions.
fn check_timeline(
    check: &CheckRecord,
    window: Span,
    regions: &[(&RegionId, RegionState)],
    pick: fn(&Bounded<Timeline>) -> &Timeline,
) -> Timeline {
    let mut builder = Builder::new(window, Verdict::Unknown);
    for (span, version) in check.in_force() {
        let Some(span) = span.intersection(window) else { continue };
        let asked = regions.iter().filter(|(region, _)| version.region_index(region).is_some());
        let voices = asked.map(|(_, state)| pick(&state.says));
        let timeline = verdict::sweep(span, voices, |regions| verdict::of_check(regions, version.quorum));
        for (span, verdict) in timeline.spans() {
            builder.push(span.from, verdict);
        }
    }
    builder.build()
}
