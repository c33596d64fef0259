//! Latency of a check in a window, from its samples: percentiles of all of them, and of each part of the window.

use nines_shared::sample::{Outcome, SampleKind};
use nines_shared::time::{Span, Timestamp};

use crate::uptime::CheckRecord;

/// Parts of a window: twenty minutes each over a day.
pub(super) const PARTS: usize = 72;

/// What the planned `up` and `degraded` samples of a window took, in µs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    /// Of the whole window; `None` where nothing worked in it.
    pub(super) whole: Option<Percentiles>,
    /// Of each of [`PARTS`] equal parts.
    pub(super) parts: Vec<Option<Percentiles>>,
}

/// Two percentiles, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percentiles {
    pub(super) p50: u32,
    pub(super) p95: u32,
}

impl Percentiles {
    /// Of `durations`, which it sorts; `None` where there are none. The one of zero-based rank
    /// min(⌊q·n⌋, n−1) in ascending order, as `docs/METHOD.md` says.
    fn of(durations: &mut [u32]) -> Option<Self> {
        durations.sort_unstable();
        let last = durations.len().checked_sub(1)?;
        let rank = |percent: usize| durations[(durations.len() * percent / 100).min(last)];
        Some(Self { p50: rank(50), p95: rank(95) })
    }
}

/// The latency of `check` in `window`, all regions together.
pub(super) fn latency(check: &CheckRecord, window: Span) -> Latency {
    let mut parts = vec![Vec::new(); PARTS];
    for sample in check.regions.iter().flat_map(|region| &region.samples) {
        let works = matches!(sample.outcome, Outcome::Up | Outcome::Degraded);
        if works && sample.kind == SampleKind::Planned && window.contains(sample.scheduled_at) {
            parts[part_of(window, sample.scheduled_at)].push(sample.duration_us);
        }
    }
    let mut all = parts.concat();
    Latency { whole: Percentiles::of(&mut all), parts: parts.iter_mut().map(|part| Percentiles::of(part)).collect() }
}

/// The part in which `at` lies; it must lie in `window`.
fn part_of(window: Span, at: Timestamp) -> usize {
    let part = i128::from(at.since(window.from)) * PARTS as i128 / i128::from(window.length_ms());
    usize::try_from(part).map_or(0, |part| part.min(PARTS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_rank_that_the_method_says() {
        let mut hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(Percentiles::of(&mut hundred), Some(Percentiles { p50: 51, p95: 96 }));
        assert_eq!(Percentiles::of(&mut [7]), Some(Percentiles { p50: 7, p95: 7 }));
        assert_eq!(Percentiles::of(&mut []), None);
    }
}
