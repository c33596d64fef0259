//! From a record and its assessment to the report of one service. Pure: no store, no clock.

use std::collections::BTreeMap;

use nines_shared::id::RegionId;
use nines_shared::time::{Span, Timestamp};

use super::MAX_DAYS;
use super::evidence::Evidence;
use super::model::{
    CheckReport, DayReport, MaintenanceReport, OutageReport, PolicyReport, RegionReport, ServiceReport, SlaReport,
    SloWindow, Unit, VersionReport,
};
use crate::definition::{Maintenance, Method, Period, Service, Sla, Slo};
use crate::fingerprint;
use crate::uptime::bounds::Bounded;
use crate::uptime::calendar::{self, CalendarError};
use crate::uptime::percentile::Percentiles;
use crate::uptime::sla::Kept;
use crate::uptime::{
    Accounts, CheckAssessment, CheckRecord, Observed, ServiceAssessment, ServiceRecord, maintenance, percentile,
    service, sla, slo,
};

/// What the reports of all services have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'a> {
    /// The report's window.
    pub(super) window: Span,
    /// The first instant of which samples are used.
    pub(super) samples_from: Timestamp,
    /// When it is written.
    pub(super) now: Timestamp,
    /// Names of regions.
    pub(super) names: &'a BTreeMap<RegionId, String>,
    /// Why what failed did.
    pub(super) evidence: &'a Evidence,
}

/// The window that a contract is judged over in a report of `window`.
pub(super) fn contract_window(sla: &Sla, window: Span) -> Span {
    match sla.period {
        Period::Month => window,
        Period::Rolling(ms) => Span::new(window.to.plus_ms(ms.saturating_neg()), window.to),
    }
}

/// The shortest month, in ms: a February in which clocks are set forward.
const SHORTEST_MONTH_MS: i64 = (28 * 24 - 1) * 3_600_000;

/// The rolling window of an objective, where a report of `window` judges it: one that lies within the report's time, or
/// reaches beyond that of a month. Nobody who asks about a day waits for a month's samples. A report that was made of
/// samples from `samples_from` on judges none that needs earlier ones.
fn objective_window(slo: &Slo, window: Span, samples_from: Timestamp) -> Option<Span> {
    let rolling = Span { from: window.to.plus_ms(slo.window_ms.saturating_neg()), to: window.to };
    let affordable = window.from <= rolling.from || SHORTEST_MONTH_MS <= window.length_ms();
    (affordable && samples_from <= rolling.from).then_some(rolling)
}

/// How far a record must reach for a report of `window`: over the contract's window too, and as far beyond its
/// edges as an outage may be forgiven; and over the objective's, where that is judged by samples from `samples_from`
/// on.
pub(super) fn reach(service: &Service, window: Span, samples_from: Timestamp) -> Span {
    let contracted = service.sla.as_ref().map_or(window, |sla| contract_reach(sla, window));
    let objective = service.slo.as_ref().and_then(|slo| objective_window(slo, window, samples_from));
    Span { from: objective.map_or(contracted.from, |rolling| rolling.from.min(contracted.from)), ..contracted }
}

fn contract_reach(sla: &Sla, window: Span) -> Span {
    let contract = contract_window(sla, window);
    let beyond = sla.policy.min_outage_ms;
    Span::new(contract.from.min(window.from).plus_ms(-beyond), window.to.plus_ms(beyond))
}

/// The report of one service. `record` reaches as far as [`reach`] says.
pub(super) fn service_report(record: &ServiceRecord, common: Common<'_>) -> Result<ServiceReport, CalendarError> {
    let assessment = service::assess(record, common.window, common.now);
    let wide = reach(&record.service, common.window, common.samples_from);
    // A second sweep only where the first one does not see far enough.
    let wider = (wide != common.window).then(|| service::assess(record, wide, common.now));
    let wider = wider.as_ref().unwrap_or(&assessment);
    let sla = record.service.sla.as_ref().map(|sla| sla_report(sla, record, common, wider)).transpose()?;
    let slo = record.service.slo.as_ref();
    let accounts = assessment.accounts;
    let mut durations = durations(record.checks.iter().flat_map(samples), assessment.window);
    let latency_us = percentile::percentiles(&mut durations);
    let days = days(record, &assessment)?;
    let checks = assessment.checks.iter().filter_map(|check| check_report(check, record, &assessment, (common, &days)));
    Ok(ServiceReport {
        service: record.service.id.clone(),
        name: record.service.name.clone(),
        from: assessment.window.from,
        to: assessment.window.to,
        accounts,
        availability_ppm: accounts.availability_ppm(),
        coverage_ppm: accounts.coverage_ppm(),
        worst_case_ppm: accounts.worst_case_ppm(),
        best_case_ppm: accounts.best_case_ppm(),
        sla,
        slo: slo.map(|slo| slo::budget(slo, &accounts)),
        slo_window: slo.and_then(|slo| slo_window(slo, common, wider)),
        latency_slo: slo.and_then(|slo| slo::latency(slo, latency_us)),
        latency_us,
        outages: outages(&assessment, common.evidence),
        maintenance: maintenance_reports(record, assessment.window),
        checks: checks.collect(),
        days,
    })
}

fn sla_report(
    sla: &Sla,
    record: &ServiceRecord,
    common: Common<'_>,
    wider: &ServiceAssessment,
) -> Result<SlaReport, CalendarError> {
    let contract = contract_window(sla, common.window);
    let window = contract.intersection(wider.window).unwrap_or(Span { from: contract.from, to: contract.from });
    let mut excluded = wider.excluded.clone();
    if let Some(hours) = &sla.policy.service_hours {
        excluded.extend(calendar::outside_hours(hours, window, &record.timezone)?);
    }
    let excluded = maintenance::merged(excluded);
    let evidence = sla::Evidence { timeline: &wider.timeline, window, excluded: &excluded };
    let judgement = sla::judge(sla, evidence, record, common.now);
    Ok(SlaReport {
        objective_ppm: sla.objective_ppm,
        measured_ppm: judgement.measured_ppm,
        worst_case_ppm: judgement.cases.worst,
        best_case_ppm: judgement.cases.best,
        verdict: judgement.kept,
        met: match judgement.kept {
            Kept::Met => Some(true),
            Kept::Breached => Some(false),
            Kept::Undetermined => None,
        },
        credit_percent: judgement.credit_percent,
        credit_worst_case_percent: judgement.credit_cases.worst,
        credit_best_case_percent: judgement.credit_cases.best,
        from: window.from,
        to: window.to,
        unit: unit(sla.policy.method),
        good: judgement.delivered.good,
        bad: judgement.delivered.bad,
        policy: policy_report(sla),
    })
}

/// The objective over its own window. `wider` reaches over it.
fn slo_window(slo: &Slo, common: Common<'_>, wider: &ServiceAssessment) -> Option<SloWindow> {
    let window = objective_window(slo, common.window, common.samples_from)?.intersection(wider.window)?;
    let timelines = Bounded { measured: &wider.timeline, at_least: &wider.at_least, at_most: &wider.at_most };
    let accounts = Accounts::of(timelines, &wider.excluded, window);
    let cases = sla::Cases { worst: accounts.worst_case_ppm(), best: accounts.best_case_ppm() };
    Some(SloWindow {
        from: window.from,
        to: window.to,
        accounts,
        availability_ppm: accounts.availability_ppm(),
        coverage_ppm: accounts.coverage_ppm(),
        budget: slo::budget(slo, &accounts),
        verdict: Kept::of(slo.availability_ppm, cases),
    })
}

fn unit(method: Method) -> Unit {
    match method {
        Method::Time => Unit::Ms,
        Method::Timeslices => Unit::Slices,
        Method::Occurrences => Unit::Slots,
    }
}

fn policy_report(sla: &Sla) -> PolicyReport {
    let terms = serde_json::to_vec(sla).expect("a contract has only text keys and is written to memory");
    PolicyReport {
        version: fingerprint::of(&terms),
        period: sla.period,
        method: sla.policy.method,
        slice_ms: (sla.policy.method == Method::Timeslices).then_some(sla.policy.slice_ms),
        unknown: sla.policy.unknown,
        degraded: sla.policy.degraded,
        min_outage_ms: sla.policy.min_outage_ms,
        service_hours: sla.policy.service_hours.clone(),
        credits: sla.credits.clone(),
        exclusions_by: sla.exclusions_by.clone(),
    }
}

fn outages(assessment: &ServiceAssessment, evidence: &Evidence) -> Vec<OutageReport> {
    let report = |outage: &crate::uptime::Outage| {
        let checks = assessment.checks.iter().map(|check| &check.check);
        let (reason, phase) = evidence.cause(checks, &outage.regions, outage.span);
        OutageReport {
            from: outage.span.from,
            to: outage.span.to,
            at_least_ms: outage.at_least_ms,
            at_most_ms: outage.at_most_ms,
            regions: outage.regions.clone(),
            reason,
            phase,
        }
    };
    assessment.outages.iter().map(report).collect()
}

fn maintenance_reports(record: &ServiceRecord, window: Span) -> Vec<MaintenanceReport> {
    let theirs = record.maintenance.iter().filter(|announced| announced.service == record.service.id);
    let clipped = theirs.filter_map(|announced| {
        let span = announced.span.intersection(window)?;
        let Maintenance { reason, afterwards, weekly, .. } = announced.clone();
        Some(MaintenanceReport { from: span.from, to: span.to, reason, afterwards, weekly })
    });
    clipped.collect()
}

fn days(record: &ServiceRecord, assessment: &ServiceAssessment) -> Result<Vec<DayReport>, CalendarError> {
    const LONGEST_DAY_MS: i64 = 26 * 3_600_000;
    if LONGEST_DAY_MS.saturating_mul(MAX_DAYS) < assessment.window.length_ms() {
        return Ok(Vec::new());
    }
    let timelines =
        Bounded { measured: &assessment.timeline, at_least: &assessment.at_least, at_most: &assessment.at_most };
    let day = |day: Span| {
        let accounts = Accounts::of(timelines, &assessment.excluded, day);
        DayReport { from: day.from, to: day.to, accounts }
    };
    Ok(calendar::days(assessment.window, &record.timezone)?.into_iter().map(day).collect())
}

/// `None` for a check without a definition in the window, which has nothing to tell.
fn check_report(
    check: &CheckAssessment,
    record: &ServiceRecord,
    assessment: &ServiceAssessment,
    (common, days): (Common<'_>, &[DayReport]),
) -> Option<CheckReport> {
    let found = record.checks.iter().find(|of| of.versions.iter().any(|version| version.check.id == check.check))?;
    let window = check.timeline.window();
    let in_force: Vec<_> =
        found.in_force().filter_map(|(span, version)| Some((span.intersection(window)?, version))).collect();
    let (_, last) = in_force.last()?;
    Some(CheckReport {
        check: check.check.clone(),
        target: last.question.target(),
        accounts: check.accounts,
        availability_ppm: check.accounts.availability_ppm(),
        coverage_ppm: check.accounts.coverage_ppm(),
        slots_expected: check.slots_expected,
        slots_answered: check.slots_answered,
        latency_us: percentile::percentiles(&mut durations(samples(found), window)),
        versions: in_force
            .iter()
            .map(|(span, version)| VersionReport {
                from: span.from,
                interval_ms: version.interval_ms,
                timeout_ms: version.timeout_ms,
                quorum: version.quorum,
                regions: version.regions.len(),
            })
            .collect(),
        regions: check.regions.iter().map(|region| region_report(region, found, assessment, (common, days))).collect(),
    })
}

fn region_report(
    region: &crate::uptime::RegionAssessment,
    record: &CheckRecord,
    assessment: &ServiceAssessment,
    (common, days): (Common<'_>, &[DayReport]),
) -> RegionReport {
    let window = region.timeline.window();
    let says = &region.timeline;
    let timelines = Bounded { measured: says, at_least: says, at_most: says };
    let accounts = Accounts::of(timelines, &assessment.excluded, window);
    let own = record.regions.iter().find(|samples| samples.region == region.region);
    let own = own.map_or(&[][..], |own| &own.samples[..]);
    RegionReport {
        name: common.names.get(&region.region).cloned().unwrap_or_else(|| region.region.to_string()),
        region: region.region.clone(),
        up_ms: accounts.up_ms,
        degraded_ms: accounts.degraded_ms,
        down_ms: accounts.down_ms,
        unknown_ms: accounts.unknown_ms,
        excluded_ms: accounts.excluded_ms,
        slots_expected: region.slots_expected,
        slots_answered: region.slots_answered,
        latency_us: percentile::percentiles(&mut durations(std::iter::once(own), window)),
        latency_days_us: latency_by_day(own, window, days),
        samples: Some(common.evidence.series(&record.versions[0].check.id, &region.region)),
    }
}

/// The percentiles of each day by itself: never an average of percentiles.
fn latency_by_day(samples: &[Observed], window: Span, days: &[DayReport]) -> Vec<Option<Percentiles>> {
    let mut by_day = vec![Vec::new(); days.len()];
    for sample in percentile::measured(samples, window) {
        let day = days.partition_point(|day| day.to <= sample.scheduled_at);
        if let Some(day) = by_day.get_mut(day) {
            day.push(sample.duration_us);
        }
    }
    by_day.iter_mut().map(|day| percentile::percentiles(day)).collect()
}

fn samples(check: &CheckRecord) -> impl Iterator<Item = &[Observed]> {
    check.regions.iter().map(|region| &region.samples[..])
}

fn durations<'a>(samples: impl Iterator<Item = &'a [Observed]>, window: Span) -> Vec<u32> {
    samples.flat_map(|samples| percentile::durations(samples, window)).collect()
}
