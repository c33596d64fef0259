//! Percentiles of latency: exactly, from samples; never an average of percentiles.

use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::Span;
use serde::{Deserialize, Serialize};

use super::Observed;

/// Three percentiles, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half took at most about this.
    pub p50: u32,
    /// 95 of 100.
    pub p95: u32,
    /// 99 of 100.
    pub p99: u32,
}

/// The samples whose latency counts in `window`: planned, scheduled in it, `up` or `degraded`. Those whose duration
/// nobody recorded (imported history) are left out.
pub fn measured(samples: &[Observed], window: Span) -> impl Iterator<Item = &Observed> {
    samples.iter().filter(move |sample| {
        sample.kind == SampleKind::Planned
            && matches!(sample.outcome, Outcome::Up | Outcome::Degraded)
            && window.contains(sample.scheduled_at)
            && sample.duration_us != 0
    })
}

/// How long the [`measured`] samples took, in µs.
pub fn durations(samples: &[Observed], window: Span) -> impl Iterator<Item = u32> + '_ {
    measured(samples, window).map(|sample| sample.duration_us)
}

/// The percentiles of `durations`, whose order is not kept. `None` where there are none.
pub fn percentiles(durations: &mut [u32]) -> Option<Percentiles> {
    Some(Percentiles {
        p50: percentile(durations, 50)?,
        p95: percentile(durations, 95)?,
        p99: percentile(durations, 99)?,
    })
}

/// The value of zero-based rank min(⌊q·n⌋, n−1) in ascending order (ClickHouse's `quantileExact`), for q =
/// `percent` / 100. `None` where there are none.
pub fn percentile(values: &mut [u32], percent: usize) -> Option<u32> {
    let last = values.len().checked_sub(1)?;
    let rank = (values.len() * percent / 100).min(last);
    Some(*values.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_those_of_the_method() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentiles(&mut values), Some(Percentiles { p50: 51, p95: 96, p99: 100 }));
        assert_eq!(percentiles(&mut [7]), Some(Percentiles { p50: 7, p95: 7, p99: 7 }));
        assert_eq!(percentiles(&mut []), None);
    }

    proptest! {
        #[test]
        fn the_order_of_values_changes_nothing(mut values in prop::collection::vec(1_u32..1_000, 1..50), percent in 0_usize..=100) {
            let found = percentile(&mut values.clone(), percent);
            values.sort_unstable();
            prop_assert_eq!(found, Some(values[(values.len() * percent / 100).min(values.len() - 1)]));
        }
    }
}
