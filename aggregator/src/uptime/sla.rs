//! The contract: what was promised, what was delivered, what is owed.
//!
//! A contract first says what each verdict is worth to it (`unknown` and `degraded` as its policy says), then
//! joins what is bad into contractual outages and forgives those shorter than `min_outage`, and only then
//! clips: a long outage does not become a short one because maintenance or the month's edge cuts it.
//! Excluded time is maintenance and, where hours are agreed, the time outside them.

use nines_shared::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::region_state::{self, Slots};
use super::{ServiceRecord, Timeline, Verdict, accounts, maintenance};
use crate::definition::{Credit, DegradedIs, Method, Policy, Sla, UnknownIs};

/// What was delivered, in the unit of the contract's method: ms, slices or samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Counted as good.
    pub good: i64,
    /// Counted as bad.
    pub bad: i64,
}

/// How a contract was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What was delivered.
    pub delivered: Delivered,
    /// good / (good + bad), floored; `None` is no data.
    pub measured_ppm: Option<u32>,
    /// The same with unknown time as bad, and as good, where the policy leaves it out; else the measured figure
    /// twice, since then the contract itself says what unknown time is.
    pub cases: Cases<Option<u32>>,
    /// What can be said of the promise.
    pub kept: Kept,
    /// What the customer gets back by the measured figure, in per cent of the fee; `None` is no data.
    pub credit_percent: Option<u32>,
    /// … and by the worst and the best case.
    pub credit_cases: Cases<Option<u32>>,
}

/// What might be, where something is unknown. Where nothing is, both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cases<T> {
    /// All that is unknown was bad.
    pub worst: T,
    /// All that is unknown was good.
    pub best: T,
}

/// What can be said of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Kept, whatever the unknown time was.
    Met,
    /// Broken, whatever the unknown time was.
    Breached,
    /// The unknown time decides, or there is no data at all.
    Undetermined,
}

impl Kept {
    pub(crate) fn of(objective_ppm: u32, cases: Cases<Option<u32>>) -> Self {
        // A floored ratio is at least a whole number exactly if the ratio itself is.
        match (cases.worst, cases.best) {
            (Some(worst), _) if objective_ppm <= worst => Self::Met,
            (_, Some(best)) if best < objective_ppm => Self::Breached,
            (Some(_) | None, Some(_) | None) => Self::Undetermined,
        }
    }
}

/// What a contract is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The service's timeline. Where it reaches past the window by `min_outage` on both sides, an outage that
    /// the window's edge cuts is known in its whole length.
    pub timeline: &'a Timeline,
    /// The window that is judged, clipped to life and present.
    pub window: Span,
    /// Maintenance and the time outside service hours, as a set of spans.
    pub excluded: &'a [Span],
}

/// Judges a contract. `record` and `now` are what the timeline was made from; only [`Method::Occurrences`] looks
/// at them.
pub fn judge(sla: &Sla, evidence: Evidence<'_>, record: &ServiceRecord, now: Timestamp) -> Judgement {
    let count = |policy: &Policy| match policy.method {
        Method::Time => time(policy, evidence),
        Method::Timeslices => slices(policy, evidence),
        Method::Occurrences => occurrences(policy, evidence, record, now),
    };
    let delivered = count(&sla.policy);
    let measured_ppm = delivered.ppm();
    let cases = match sla.policy.unknown {
        UnknownIs::Exclude => {
            let with = |unknown| count(&Policy { unknown, ..sla.policy.clone() }).ppm();
            let (worst, best) = (with(UnknownIs::Down), with(UnknownIs::Up));
            // An unknown span too short to be an outage would be forgiven, and so be better than left out. The
            // contract leaves it out: its own figure is one of the cases.
            Cases { worst: measured_ppm.map_or(worst, |ppm| worst.min(Some(ppm))), best: best.max(measured_ppm) }
        }
        UnknownIs::Down | UnknownIs::Up => Cases { worst: measured_ppm, best: measured_ppm },
    };
    let due = |ppm: Option<u32>| ppm.map(|ppm| credit(&sla.credits, ppm));
    Judgement {
        delivered,
        measured_ppm,
        cases,
        kept: Kept::of(sla.objective_ppm, cases),
        credit_percent: due(measured_ppm),
        credit_cases: Cases { worst: due(cases.worst), best: due(cases.best) },
    }
}

impl Delivered {
    fn ppm(self) -> Option<u32> {
        accounts::ppm(self.good, self.good + self.bad)
    }
}

/// The credit of the lowest tier that `ppm` is under; 0 where it is under none.
pub(crate) fn credit(tiers: &[Credit], ppm: u32) -> u32 {
    let due = tiers.iter().filter(|tier| ppm < tier.below_ppm);
    due.min_by_key(|tier| (tier.below_ppm, std::cmp::Reverse(tier.percent))).map_or(0, |tier| tier.percent)
}

/// What time is worth to a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Good,
    Bad,
    Neither,
}

fn worth(policy: &Policy, verdict: Verdict) -> Worth {
    match (verdict, policy.degraded, policy.unknown) {
        (Verdict::Up, _, _) | (Verdict::Degraded, DegradedIs::Up, _) | (Verdict::Unknown, _, UnknownIs::Up) => {
            Worth::Good
        }
        (Verdict::Down, _, _) | (Verdict::Degraded, DegradedIs::Down, _) | (Verdict::Unknown, _, UnknownIs::Down) => {
            Worth::Bad
        }
        (Verdict::Unknown, _, UnknownIs::Exclude) => Worth::Neither,
    }
}

/// The contract's view of the timeline: maximal spans of one worth, short outages forgiven.
fn contractual(policy: &Policy, timeline: &Timeline) -> Vec<(Span, Worth)> {
    let mut spans: Vec<(Span, Worth)> = Vec::new();
    for (span, verdict) in timeline.spans() {
        let worth = worth(policy, verdict);
        match spans.last_mut() {
            Some((last, same)) if *same == worth => last.to = span.to,
            Some(_) | None => spans.push((span, worth)),
        }
    }
    for (span, worth) in &mut spans {
        if *worth == Worth::Bad && span.length_ms() < policy.min_outage_ms {
            *worth = Worth::Good;
        }
    }
    spans
}

/// What counts in `window`: the contract's spans, clipped by it and by what is excluded.
fn counted<'a>(
    spans: &'a [(Span, Worth)],
    evidence: Evidence<'a>,
    window: Span,
) -> impl Iterator<Item = (i64, Worth)> + 'a {
    let first = spans.partition_point(|(span, _)| span.to <= window.from);
    let inside = spans[first..].iter().take_while(move |(span, _)| span.from < window.to);
    inside.filter_map(move |(span, worth)| {
        let span = span.intersection(window)?;
        Some((maintenance::outside_ms(evidence.excluded, span), *worth))
    })
}

fn sums(counted: impl Iterator<Item = (i64, Worth)>) -> Delivered {
    counted.fold(Delivered { good: 0, bad: 0 }, |mut sum, (ms, worth)| {
        match worth {
            Worth::Good => sum.good += ms,
            Worth::Bad => sum.bad += ms,
            Worth::Neither => {}
        }
        sum
    })
}

fn time(policy: &Policy, evidence: Evidence<'_>) -> Delivered {
    sums(counted(&contractual(policy, evidence.timeline), evidence, evidence.window))
}

/// Slices begin at the window's start; the last one may be shorter. A slice is bad if more than half of its
/// counted time is; one without any is neither.
fn slices(policy: &Policy, evidence: Evidence<'_>) -> Delivered {
    let spans = contractual(policy, evidence.timeline);
    let mut delivered = Delivered { good: 0, bad: 0 };
    let mut from = evidence.window.from;
    while from < evidence.window.to {
        let slice = Span::new(from, from.plus_ms(policy.slice_ms.max(1)).min(evidence.window.to));
        let inside = sums(counted(&spans, evidence, slice));
        if inside.good < inside.bad {
            delivered.bad += 1;
        } else if 0 < inside.good {
            delivered.good += 1;
        }
        from = slice.to;
    }
    delivered
}

/// Slots, whatever the quorum says: planned samples of every region and check. A slot without a conclusive one
/// is unknown. `min_outage` has no meaning here, since a sample lasts no time.
fn occurrences(policy: &Policy, evidence: Evidence<'_>, record: &ServiceRecord, now: Timestamp) -> Delivered {
    let spans: Vec<Span> = maintenance::outside(evidence.excluded, evidence.window).collect();
    let mut slots = Slots::default();
    for check in &record.checks {
        let mut regions: Vec<_> = check.in_force().flat_map(|(_, version)| &version.regions).collect();
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            slots += region_state::slots_of(check, region, &spans, now);
        }
    }
    let says = [
        (slots.up, Verdict::Up),
        (slots.degraded, Verdict::Degraded),
        (slots.silent, Verdict::Unknown),
        (slots.down, Verdict::Down),
    ];
    sums(says.into_iter().map(|(slots, verdict)| (slots, worth(policy, verdict))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Period;
    use crate::uptime::Accounts;
    use crate::uptime::bounds::Bounded;
    use crate::uptime::timeline::Builder;
    use Verdict::{Degraded, Down, Unknown, Up};
    use proptest::prelude::*;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to))
    }

    fn timeline(window: Span, steps: &[(i64, Verdict)]) -> Timeline {
        let mut builder = Builder::new(window, Up);
        for (ms, verdict) in steps {
            builder.push(Timestamp::from_ms(*ms), *verdict);
        }
        builder.build()
    }

    fn sla(policy: Policy) -> Sla {
        let credits = vec![Credit { below_ppm: 999_000, percent: 10 }, Credit { below_ppm: 990_000, percent: 25 }];
        Sla { objective_ppm: 999_000, period: Period::Month, policy, credits, exclusions_by: None }
    }

    fn judged(policy: Policy, timeline: &Timeline, window: Span, excluded: &[Span]) -> Judgement {
        let record = crate::uptime::cases::shop(Vec::new());
        judge(&sla(policy), Evidence { timeline, window, excluded }, &record, Timestamp::MAX)
    }

    /// 1,000 ms: 10 degraded, 100 unknown, 2 + 20 down.
    fn mixed() -> Timeline {
        let steps =
            [(100, Degraded), (110, Up), (200, Unknown), (300, Up), (400, Down), (402, Up), (500, Down), (520, Up)];
        timeline(span(0, 1_000), &steps)
    }

    fn delivered(policy: Policy) -> (i64, i64) {
        let Delivered { good, bad } = judged(policy, &mixed(), span(0, 1_000), &[]).delivered;
        (good, bad)
    }

    #[test]
    fn the_policy_says_what_each_verdict_is_worth() {
        let plain = Policy::default();
        assert_eq!(delivered(plain.clone()), (878, 22));
        assert_eq!(delivered(Policy { unknown: UnknownIs::Down, ..plain.clone() }), (878, 122));
        assert_eq!(delivered(Policy { unknown: UnknownIs::Up, ..plain.clone() }), (978, 22));
        assert_eq!(delivered(Policy { degraded: DegradedIs::Down, ..plain.clone() }), (868, 32));
        assert_eq!(delivered(Policy { min_outage_ms: 20, ..plain.clone() }), (880, 20));
        assert_eq!(delivered(Policy { min_outage_ms: 21, ..plain }), (900, 0));
    }

    #[test]
    fn maintenance_clips_an_outage_and_does_not_make_it_a_short_one() {
        let policy = Policy { min_outage_ms: 20, ..Policy::default() };
        let judgement = judged(policy, &mixed(), span(0, 1_000), &[span(490, 515)]);
        assert_eq!(judgement.delivered.bad, 5);
    }

    #[test]
    fn an_outage_that_the_window_cuts_keeps_its_whole_length() {
        let policy = Policy { min_outage_ms: 20, ..Policy::default() };
        assert_eq!(judged(policy.clone(), &mixed(), span(510, 1_000), &[]).delivered.bad, 10);
        assert_eq!(judged(policy, &mixed(), span(0, 510), &[]).delivered.bad, 10);
    }

    #[test]
    fn a_slice_is_bad_if_more_than_half_of_its_counted_time_is() {
        let policy = Policy { method: Method::Timeslices, slice_ms: 100, ..Policy::default() };
        let steps = [(100, Down), (150, Up), (200, Down), (251, Up), (300, Unknown), (400, Unknown), (480, Down)];
        let timeline = timeline(span(0, 550), &steps);
        // Good: the first, and the one that is half down. Bad: 51 of 100; 20 of 20 known; the short one at the end.
        let judgement = judged(policy, &timeline, span(0, 550), &[]);
        assert_eq!(judgement.delivered, Delivered { good: 2, bad: 3 });
    }

    #[test]
    fn credits_are_those_of_the_lowest_tier_that_the_figure_is_under() {
        let tiers = sla(Policy::default()).credits;
        assert_eq!(
            [1_000_000, 999_000, 998_999, 990_000, 989_999, 0].map(|ppm| credit(&tiers, ppm)),
            [0, 0, 10, 10, 25, 25]
        );
    }

    #[test]
    fn no_data_is_neither_kept_nor_broken() {
        let silent = Timeline::constant(span(0, 10), Unknown);
        let judgement = judged(Policy::default(), &silent, span(0, 10), &[]);
        assert_eq!((judgement.measured_ppm, judgement.credit_percent), (None, None));
        assert_eq!(judgement.kept, Kept::Undetermined);
    }

    #[test]
    fn a_promise_that_unknown_time_could_break_or_save_is_undetermined() {
        let window = span(0, 1_000_000);
        let of = |steps: &[(i64, Verdict)], policy| judged(policy, &timeline(window, steps), window, &[]);
        let by_default = |steps: &[(i64, Verdict)]| of(steps, Policy::default());
        // The promise allows 1,000 ms of 1,000,000.
        assert_eq!(by_default(&[(0, Unknown), (1_000, Up)]).kept, Kept::Met);
        assert_eq!(by_default(&[(0, Unknown), (1_001, Up)]).kept, Kept::Undetermined);
        assert_eq!(by_default(&[(0, Down), (1_001, Up), (2_000, Unknown), (9_000, Up)]).kept, Kept::Breached);
        // Measured it is broken: 1,000 of 500,000. Had all that nobody saw been good, it would be kept.
        let half = by_default(&[(0, Down), (1_000, Up), (500_000, Unknown)]);
        assert_eq!((half.measured_ppm, half.kept), (Some(998_000), Kept::Undetermined));
        assert_eq!((half.cases.worst, half.cases.best), (Some(499_000), Some(999_000)));
        assert_eq!((half.credit_percent, half.credit_cases), (Some(10), Cases { worst: Some(25), best: Some(0) }));
        // Where the contract says what unknown time is, nothing is open.
        for (unknown, kept) in [(UnknownIs::Down, Kept::Breached), (UnknownIs::Up, Kept::Met)] {
            let policy = Policy { unknown, ..Policy::default() };
            assert_eq!(of(&[(0, Unknown), (1_001, Up)], policy).kept, kept);
        }
    }

    #[test]
    fn a_promise_met_to_the_millisecond_is_met_and_a_millisecond_less_is_not() {
        let kept = timeline(span(0, 1_000_000), &[(0, Down), (1_000, Up)]);
        assert_eq!(judged(Policy::default(), &kept, span(0, 1_000_000), &[]).kept, Kept::Met);
        let broken = timeline(span(0, 1_000_000), &[(0, Down), (1_001, Up)]);
        assert_eq!(judged(Policy::default(), &broken, span(0, 1_000_000), &[]).kept, Kept::Breached);
    }

    proptest! {
        #[test]
        fn by_time_the_default_policy_is_the_availability(
            steps in prop::collection::vec((0_i64..1_000, 0_usize..4), 0..20), hole in (0_i64..1_000, 0_i64..500),
        ) {
            let mut steps: Vec<(i64, Verdict)> = steps.into_iter().map(|(ms, verdict)| (ms, Verdict::ALL[verdict])).collect();
            steps.sort_by_key(|step| step.0);
            let timeline = timeline(span(0, 1_000), &steps);
            let excluded = maintenance::merged(vec![span(hole.0, (hole.0 + hole.1).min(1_000))]);
            let accounts = Accounts::of(Bounded { measured: &timeline, at_least: &timeline, at_most: &timeline }, &excluded, span(0, 1_000));
            let judgement = judged(Policy::default(), &timeline, span(0, 1_000), &excluded);
            prop_assert_eq!(judgement.measured_ppm, accounts.availability_ppm());
            prop_assert_eq!(judgement.delivered.bad, accounts.down_ms);
            prop_assert_eq!(judgement.cases.worst, accounts.worst_case_ppm());
            prop_assert_eq!(judgement.cases.best, accounts.best_case_ppm());
            for method in [Method::Time, Method::Timeslices] {
                for min_outage_ms in [0, 70] {
                    let policy = Policy { method, min_outage_ms, slice_ms: 90, ..Policy::default() };
                    let judgement = judged(policy, &timeline, span(0, 1_000), &excluded);
                    prop_assert!(judgement.measured_ppm.is_none() || judgement.cases.worst <= judgement.measured_ppm);
                    prop_assert_eq!(judgement.kept == Kept::Met, judgement.cases.worst.is_some_and(|ppm| 999_000 <= ppm));
                    prop_assert!(judgement.measured_ppm <= judgement.cases.best);
                }
            }
            // A slice of one ms is as good as time.
            let policy = Policy { method: Method::Timeslices, slice_ms: 1, ..Policy::default() };
            prop_assert_eq!(judged(policy, &timeline, span(0, 1_000), &excluded).delivered, judgement.delivered);
        }
    }
}
