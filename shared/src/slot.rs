//! The stagger: when region *i* of a check is due. Probe and aggregator both compute it, so silence
//! is computable and nobody has to ask.
//!
//! ```text
//! phase(i)  = ( fnv1a64(check_id) mod interval + ⌊i·interval/n⌋ ) mod interval, rounded down to a multiple of g
//! due(k, i) = k·interval + phase(i)                                             [ms since the epoch]
//! ```
//!
//! with g = 100 ms where the interval is a multiple of 100 ms, else 1 ms: checks that fall due
//! together share a wake-up.

use crate::hash::fnv1a64;
use crate::id::CheckId;
use crate::time::{Span, Timestamp};

/// The grid that phases lie on, where the interval does too.
const GRID_MS: i64 = 100;

/// When one check is due in one region: every `interval` at `phase`, for all time, aligned to the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval_ms: i64,
    phase_ms: i64,
}

impl Cadence {
    /// The cadence of region number `region` (0-based, in the check's sorted list) of `regions`.
    ///
    /// `interval_ms` must be positive and `region < regions`, which [`crate::check::Check`] holds;
    /// nonsense is clamped to the nearest sense rather than allowed to divide by nought.
    pub fn new(check: &CheckId, interval_ms: i64, region: usize, regions: usize) -> Self {
        let interval = interval_ms.max(1);
        let grid = if interval % GRID_MS == 0 { GRID_MS } else { 1 };
        let hashed = i64::try_from(fnv1a64(check.as_str().as_bytes()) % interval.unsigned_abs()).unwrap_or(0);
        let stagger = i128::from(interval) * region as i128 / (regions.max(1)) as i128;
        let stagger = i64::try_from(stagger).unwrap_or(0);
        let phase = (hashed + stagger) % interval;
        Self { interval_ms: interval, phase_ms: phase - phase % grid }
    }

    /// Milliseconds between two slots.
    pub fn interval_ms(self) -> i64 {
        self.interval_ms
    }

    /// Milliseconds from a multiple of the interval to the slot in it; `0 ≤ phase < interval`.
    pub fn phase_ms(self) -> i64 {
        self.phase_ms
    }

    /// `due(k)`: the instant of slot number `k`.
    pub fn due(self, k: i64) -> Timestamp {
        Timestamp::from_ms(k.saturating_mul(self.interval_ms).saturating_add(self.phase_ms))
    }

    /// The first slot due at or after `at`.
    pub fn at_or_after(self, at: Timestamp) -> Timestamp {
        let past = at.as_ms().saturating_sub(self.phase_ms);
        let k = past.div_euclid(self.interval_ms) + i64::from(past.rem_euclid(self.interval_ms) != 0);
        self.due(k)
    }

    /// The first slot due after `at`.
    pub fn after(self, at: Timestamp) -> Timestamp {
        self.at_or_after(at.plus_ms(1))
    }

    /// The last slot due at or before `at`.
    pub fn at_or_before(self, at: Timestamp) -> Timestamp {
        self.due(at.as_ms().saturating_sub(self.phase_ms).div_euclid(self.interval_ms))
    }

    /// Whether a slot is due exactly at `at`.
    pub fn is_due(self, at: Timestamp) -> bool {
        self.at_or_after(at) == at
    }

    /// The slots due in `[from, to)`, in order.
    pub fn slots_in(self, span: Span) -> impl Iterator<Item = Timestamp> {
        let first = self.at_or_after(span.from);
        (0..self.count_in(span)).map(move |n| first.plus_ms(n * self.interval_ms))
    }

    /// How many slots are due in `[from, to)`.
    pub fn count_in(self, span: Span) -> i64 {
        let first = self.at_or_after(span.from);
        if span.to <= first { 0 } else { (span.to.since(first) - 1) / self.interval_ms + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cadence(interval_ms: i64, region: usize, regions: usize) -> Cadence {
        Cadence::new(&"shop-home".parse().unwrap(), interval_ms, region, regions)
    }

    #[test]
    fn the_worked_cases_of_the_semantics_have_these_phases() {
        // shared/design/cases: region-a and region-b of two, then of three, at 60 s.
        assert!(cadence(60_000, 0, 2).is_due(Timestamp::from_ms(1_789_999_971_600)));
        assert!(cadence(60_000, 1, 2).is_due(Timestamp::from_ms(1_789_999_941_600)));
        assert!(cadence(60_000, 0, 3).is_due(Timestamp::from_ms(1_790_000_031_600)));
    }

    #[test]
    fn regions_are_evenly_staggered() {
        let phases: Vec<i64> = (0..5).map(|i| cadence(60_000, i, 5).phase_ms()).collect();
        for pair in phases.windows(2) {
            assert_eq!((pair[1] - pair[0]).rem_euclid(60_000), 12_000);
        }
    }

    #[test]
    fn phases_lie_on_the_grid_only_where_the_interval_does() {
        assert_eq!(cadence(30_000, 1, 3).phase_ms() % 100, 0);
        let odd: Vec<i64> = (0..7).map(|i| cadence(30_001, i, 7).phase_ms() % 100).collect();
        assert!(odd.iter().any(|rest| *rest != 0), "{odd:?}");
    }

    proptest! {
        #[test]
        fn slots_are_counted_exactly_as_they_are_listed(
            interval in 1_i64..100_000, region in 0_usize..7, from in -1_000_000_i64..1_000_000, length in 0_i64..1_000_000,
        ) {
            let cadence = cadence(interval, region, 7);
            let length = length.min(interval * 200);
            let span = Span::new(Timestamp::from_ms(from), Timestamp::from_ms(from + length));
            let slots: Vec<Timestamp> = cadence.slots_in(span).collect();
            prop_assert_eq!(slots.len() as i64, cadence.count_in(span));
            prop_assert!(slots.iter().all(|slot| span.contains(*slot) && cadence.is_due(*slot)));
            prop_assert!(slots.windows(2).all(|pair| pair[1].since(pair[0]) == interval));
        }

        #[test]
        fn every_instant_lies_between_its_neighbouring_slots(interval in 1_i64..100_000, at in -1_000_000_i64..1_000_000) {
            let (cadence, at) = (cadence(interval, 2, 3), Timestamp::from_ms(at));
            prop_assert!(cadence.at_or_before(at) <= at && at < cadence.after(at));
            prop_assert_eq!(cadence.after(at).since(cadence.at_or_before(at)), interval);
        }
    }
}
