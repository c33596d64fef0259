//! The page of one service: what every region of every check sees, how long it took, when it was down and what
//! is left of the budget.

use nines_shared::sample::{Phase, Sample};
use nines_shared::time::Timestamp;

use super::overview::{Card, card, why};
use super::strip::{self, StripView};
use super::{Availability, Moment, Names, Standing};
use crate::uptime::percentile::Percentiles;
use crate::uptime::{Outage, slo};
use crate::web::figures::{CheckFigures, Figures};
use crate::web::latency::{Latency, PARTS};
use crate::web::shade::Shade;
use crate::words;

/// Outages that the page lists at most; the report has all of them.
const MAX_OUTAGES: usize = 50;
/// The height of a latency curve, in units of its picture; its width is one unit a part.
const CURVE_HEIGHT: u64 = 100;

/// The page of one service.
#[derive(Clone, Debug)]
pub(in crate::web) struct ServicePage {
    pub(in crate::web) card: Card,
    pub(in crate::web) zone: String,
    pub(in crate::web) month: Month,
    pub(in crate::web) budget: Option<Budget>,
    pub(in crate::web) checks: Vec<CheckPanel>,
}

/// The last thirty days.
#[derive(Clone, Debug)]
pub(in crate::web) struct Month {
    pub(in crate::web) window: String,
    pub(in crate::web) availability: Availability,
    /// Downtime with its bounds.
    pub(in crate::web) down: Measured,
    pub(in crate::web) outages: Vec<OutageRow>,
    /// Outages that are not listed, older than those that are.
    pub(in crate::web) more: usize,
}

/// A length that was sampled, and the bounds within which the true one lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Measured {
    pub(in crate::web) length: String,
    /// "between 20 s and 1 min".
    pub(in crate::web) bounds: String,
}

impl Measured {
    fn of(length_ms: i64, at_least_ms: i64, at_most_ms: i64) -> Self {
        let bounds = if at_least_ms == at_most_ms {
            String::new()
        } else {
            format!("between {} and {}", words::length(at_least_ms), words::length(at_most_ms))
        };
        Self { length: words::length(length_ms), bounds }
    }
}

/// One outage.
#[derive(Clone, Debug)]
pub(in crate::web) struct OutageRow {
    pub(in crate::web) from: Moment,
    /// `None` while it goes on.
    pub(in crate::web) to: Option<Moment>,
    pub(in crate::web) length: Measured,
    pub(in crate::web) regions: String,
}

/// What the SLO leaves.
#[derive(Clone, Debug)]
pub(in crate::web) struct Budget {
    pub(in crate::web) objective: String,
    pub(in crate::web) window: String,
    pub(in crate::web) total: String,
    pub(in crate::web) spent: String,
    /// What is left, or what is overdrawn.
    pub(in crate::web) remaining: String,
    pub(in crate::web) overdrawn: bool,
    /// Per cent of the budget that is spent, at most 100, for the gauge.
    pub(in crate::web) spent_percent: u32,
}

/// One check.
#[derive(Clone, Debug)]
pub(in crate::web) struct CheckPanel {
    pub(in crate::web) id: String,
    pub(in crate::web) target: String,
    /// "every 30 s, down when 2 of 3 regions agree".
    pub(in crate::web) rule: String,
    pub(in crate::web) standing: Standing,
    pub(in crate::web) availability: Availability,
    /// "8628 of 8640 slots answered, 12 without an answer".
    pub(in crate::web) slots: String,
    pub(in crate::web) strip: StripView,
    pub(in crate::web) regions: Vec<RegionPanel>,
    pub(in crate::web) latency: Option<Curve>,
}

/// What one region sees of a check.
#[derive(Clone, Debug)]
pub(in crate::web) struct RegionPanel {
    pub(in crate::web) name: String,
    pub(in crate::web) standing: Standing,
    pub(in crate::web) strip: StripView,
    pub(in crate::web) latest: Option<LatestSample>,
}

/// The newest sample of a region.
#[derive(Clone, Debug)]
pub(in crate::web) struct LatestSample {
    pub(in crate::web) shade: Shade,
    pub(in crate::web) at: Moment,
    /// Why it is not up, or how long it took.
    pub(in crate::web) why: String,
    /// What the target said.
    pub(in crate::web) detail: String,
    /// "resolve 2 ms · connect 11 ms".
    pub(in crate::web) phases: String,
}

/// Latency as a curve: the median, and a band up to the 95th percentile.
#[derive(Clone, Debug)]
pub(in crate::web) struct Curve {
    pub(in crate::web) p50: String,
    pub(in crate::web) p95: String,
    /// What the picture's top stands for.
    pub(in crate::web) top: String,
    pub(in crate::web) view_box: String,
    /// SVG paths, in the units of the view box.
    pub(in crate::web) median: String,
    pub(in crate::web) band: String,
}

/// `day` and `month` end at about the same instant; `slo` is over the SLO's window, where there is one.
pub(in crate::web) fn page(day: &Figures, month: &Figures, slo: Option<&Figures>, names: &Names) -> ServicePage {
    let mut checks: Vec<CheckPanel> = day.checks.iter().map(|check| panel(check, day, names)).collect();
    // Whoever comes here because something is wrong finds it first; the sort is stable.
    checks.sort_by_key(|check| std::cmp::Reverse(check.standing.shade));
    ServicePage {
        card: card(day, names),
        zone: format!("{} ({})", day.zone.name(), day.zone.abbreviation(day.now())),
        month: month_of(month, names),
        budget: slo.and_then(budget),
        checks,
    }
}

fn month_of(figures: &Figures, names: &Names) -> Month {
    let assessment = &figures.assessment;
    let accounts = &assessment.accounts;
    let newest = assessment.outages.iter().rev();
    Month {
        window: super::window_words(figures.window, assessment.window),
        availability: Availability::of(accounts),
        down: Measured::of(accounts.down_ms, accounts.down_at_least_ms, accounts.down_at_most_ms),
        outages: newest.take(MAX_OUTAGES).map(|outage| outage_row(outage, figures, names)).collect(),
        more: assessment.outages.len().saturating_sub(MAX_OUTAGES),
    }
}

fn outage_row(outage: &Outage, figures: &Figures, names: &Names) -> OutageRow {
    let moment = |at: Timestamp| Moment::of(at, &figures.zone, figures.now());
    OutageRow {
        from: moment(outage.span.from),
        to: (outage.span.to < figures.now()).then(|| moment(outage.span.to)),
        length: Measured::of(outage.span.length_ms(), outage.at_least_ms, outage.at_most_ms),
        regions: names.list(&outage.regions),
    }
}

fn budget(figures: &Figures) -> Option<Budget> {
    let slo::Budget { budget_ms, spent_ms, remaining_ms, .. } =
        slo::budget(figures.service.slo.as_ref()?, &figures.assessment.accounts);
    let percent = if budget_ms > 0 { (i128::from(spent_ms) * 100).div_euclid(i128::from(budget_ms)) } else { 100 };
    Some(Budget {
        objective: words::objective(figures.service.slo.as_ref()?.availability_ppm),
        window: super::window_words(figures.window, figures.assessment.window),
        total: words::duration(budget_ms),
        spent: words::duration(spent_ms),
        remaining: words::duration(remaining_ms.saturating_abs()),
        overdrawn: remaining_ms < 0,
        spent_percent: u32::try_from(percent.min(100)).unwrap_or(0),
    })
}

fn panel(figures: &CheckFigures, day: &Figures, names: &Names) -> CheckPanel {
    let (check, assessment) = (&figures.check, &figures.assessment);
    let drawn = strip::window(day.life.from, day.now());
    let excluded = &day.assessment.excluded;
    let asked = assessment.regions.iter().filter(|region| check.regions.contains(&region.region));
    let regions = asked.map(|region| RegionPanel {
        name: names.region(&region.region),
        standing: Standing::of(&region.timeline, &[], day.life),
        strip: strip::view(drawn, &region.timeline, &[], &day.zone),
        latest: figures.latest.iter().find(|sample| sample.region == region.region).map(|last| latest(last, day)),
    });
    CheckPanel {
        id: check.id.to_string(),
        target: check.question.target(),
        rule: rule(check.interval_ms, usize::from(check.quorum), check.regions.len()),
        standing: Standing::of(&assessment.timeline, &[], day.life),
        availability: Availability::of(&assessment.accounts),
        slots: slots(assessment.slots_expected, assessment.slots_answered),
        strip: strip::view(drawn, &assessment.timeline, excluded, &day.zone),
        regions: regions.collect(),
        latency: curve(&figures.latency),
    }
}

fn rule(interval_ms: i64, quorum: usize, regions: usize) -> String {
    let every = format!("every {}", words::duration(interval_ms));
    match (quorum, regions) {
        (_, 1) => format!("{every} from one region"),
        (1, _) => format!("{every}; one region that fails makes it down"),
        (_, _) => format!("{every}; down when {quorum} of {regions} regions agree"),
    }
}

fn slots(expected: i64, answered: i64) -> String {
    match expected - answered {
        0 => format!("All {expected} slots answered"),
        silent => format!("{answered} of {expected} slots answered, {silent} without an answer"),
    }
}

fn latest(sample: &Sample, day: &Figures) -> LatestSample {
    let phases = Phase::ALL.into_iter().filter_map(|phase| {
        let us = sample.phases_us.get(phase)?;
        Some(format!("{} {}", words::code(phase.code()), words::latency(us)))
    });
    LatestSample {
        shade: Shade::from(sample.outcome),
        at: Moment::of(sample.started_at, &day.zone, day.now()),
        why: why(sample),
        detail: sample.detail.clone().unwrap_or_default(),
        phases: phases.collect::<Vec<_>>().join(" · "),
    }
}

/// The curve of a latency that has any parts. The picture's top is the largest 95th percentile.
fn curve(latency: &Latency) -> Option<Curve> {
    let whole = latency.whole?;
    let top = latency.parts.iter().flatten().map(|part| part.p95).max()?.max(1);
    let height = |us: u32| CURVE_HEIGHT - u64::from(us) * CURVE_HEIGHT / u64::from(top);
    let (mut median, mut band) = (String::new(), String::new());
    for run in runs(&latency.parts) {
        let point = |(x, us): (usize, u32)| format!("{}.5,{}", x, height(us));
        let path = |points: Vec<String>| points.join(" L");
        let p50: Vec<(usize, u32)> = run.iter().map(|(x, part)| (*x, part.p50)).collect();
        let p95: Vec<(usize, u32)> = run.iter().map(|(x, part)| (*x, part.p95)).collect();
        // A run of one part is a point, which has no length: it is drawn as a short line.
        let stub = if run.len() == 1 { "h.01" } else { "" };
        median.push_str(&format!("M{}{stub}", path(p50.iter().copied().map(point).collect())));
        let outline = p95.iter().copied().chain(p50.iter().rev().copied()).map(point).collect();
        band.push_str(&format!("M{}Z", path(outline)));
    }
    Some(Curve {
        p50: words::latency(whole.p50.into()),
        p95: words::latency(whole.p95.into()),
        top: words::latency(top.into()),
        view_box: format!("0 0 {PARTS} {CURVE_HEIGHT}"),
        median,
        band,
    })
}

/// Runs of neighbouring parts that have data: a gap is a gap in the line.
fn runs(parts: &[Option<Percentiles>]) -> Vec<Vec<(usize, Percentiles)>> {
    let mut runs: Vec<Vec<(usize, Percentiles)>> = Vec::new();
    let mut before = None;
    for (index, part) in parts.iter().enumerate() {
        let Some(part) = part else { continue };
        if before.is_none_or(|before: usize| before + 1 < index) {
            runs.push(Vec::new());
        }
        if let Some(run) = runs.last_mut() {
            run.push((index, *part));
        }
        before = Some(index);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(p50: u32, p95: u32) -> Option<Percentiles> {
        Some(Percentiles { p50, p95, p99: p95 })
    }

    #[test]
    fn a_gap_in_the_samples_is_a_gap_in_the_curve() {
        let runs = runs(&[part(1, 2), None, part(3, 4), part(5, 6)]);
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }
}
