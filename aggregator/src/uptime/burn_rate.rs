//! Burn rates: how many times faster than the objective allows its error budget is spent.
//!
//! The four pairs of windows are those of the SRE workbook, chapter 5: the long one says that it matters, the short one
//! that it still goes on. Unknown and excluded time is neither good nor bad in any window. No float decides.

use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::slo::Budget;
use crate::definition::Severity;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Parts per million in the whole.
const MILLION: i128 = 1_000_000;

/// Two windows that must both burn at `factor` or faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The long window, in ms.
    pub long_ms: i64,
    /// The short window, in ms: a twelfth of the long one.
    pub short_ms: i64,
    /// Tenths of the rate at which the budget lasts just as long as its window.
    pub factor_tenths: u64,
    /// How loud it is.
    pub severity: Severity,
}

/// The pairs, the loudest first: 2 % of the budget of 30 days in an hour, 5 % in six hours, 10 % in a day and in three
/// days.
pub const PAIRS: [Pair; 4] = [
    Pair { long_ms: HOUR_MS, short_ms: 5 * MINUTE_MS, factor_tenths: 144, severity: Severity::Page },
    Pair { long_ms: 6 * HOUR_MS, short_ms: 30 * MINUTE_MS, factor_tenths: 60, severity: Severity::Page },
    Pair { long_ms: 24 * HOUR_MS, short_ms: 2 * HOUR_MS, factor_tenths: 30, severity: Severity::Ticket },
    Pair { long_ms: LONGEST_MS, short_ms: LONGEST_SHORT_MS, factor_tenths: 10, severity: Severity::Ticket },
];
/// The longest window, in ms.
pub const LONGEST_MS: i64 = 72 * HOUR_MS;
/// The longest of the short windows, in ms: where nothing was down for that long nothing burns.
pub const LONGEST_SHORT_MS: i64 = 6 * HOUR_MS;

/// What a window holds, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Down.
    pub down_ms: i64,
    /// Neither excluded nor unknown.
    pub observed_ms: i64,
}

impl Spent {
    /// (down / observed) / (1 − objective), in thousandths, floored; `None` where nothing was observed.
    pub fn burn_milli(self, objective_ppm: u32) -> Option<u64> {
        let allowed = MILLION - i128::from(objective_ppm);
        let whole = i128::from(self.observed_ms) * allowed;
        (0 < whole).then(|| u64::try_from(i128::from(self.down_ms) * MILLION * 1_000 / whole).unwrap_or(u64::MAX))
    }
}

/// A pair that burns, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Which.
    pub pair: Pair,
    /// The rate over its long window, in thousandths.
    pub long_milli: u64,
    /// The rate over its short window, in thousandths.
    pub short_milli: u64,
}

/// The loudest pair that burns, where `spent` says what the window of so many ms up to now holds. A long window of
/// which less than its short one's length was observed says nothing yet.
pub fn firing(objective_ppm: u32, spent: impl Fn(i64) -> Spent) -> Option<Firing> {
    PAIRS.into_iter().find_map(|pair| {
        let (long, short) = (spent(pair.long_ms), spent(pair.short_ms));
        let long_milli = long.burn_milli(objective_ppm).filter(|_| pair.short_ms <= long.observed_ms)?;
        let short_milli = short.burn_milli(objective_ppm)?;
        let limit = pair.factor_tenths * 100;
        (limit <= long_milli && limit <= short_milli).then_some(Firing { pair, long_milli, short_milli })
    })
}

/// How fast a budget is spent, how much of it is left, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burn {
    /// The long window of the pair, in ms.
    pub long_ms: i64,
    /// Its short window, in ms.
    pub short_ms: i64,
    /// The rate from which on the pair burns, in tenths.
    pub factor_tenths: u64,
    /// The rate over the long window, in thousandths: 1000 spends the budget in just its window.
    pub long_milli: u64,
    /// The rate over the short window, in thousandths.
    pub short_milli: u64,
    /// The objective's error budget, in ms.
    pub budget_ms: i64,
    /// What is left of it, in ms; negative where more was spent.
    pub remaining_ms: i64,
    /// When nothing is left of it at the long window's rate; `None` where nothing is left already.
    pub ends_at: Option<Timestamp>,
}

impl Burn {
    /// What `firing` means for `budget`, where the pair's long window holds `long`.
    pub fn of(firing: Firing, budget: Budget, long: Spent, now: Timestamp) -> Self {
        let Firing { pair, long_milli, short_milli } = firing;
        let lasts_ms = (0 < budget.remaining_ms && 0 < long.down_ms).then(|| {
            let ms = i128::from(budget.remaining_ms) * i128::from(long.observed_ms) / i128::from(long.down_ms);
            i64::try_from(ms).unwrap_or(i64::MAX)
        });
        Self {
            long_ms: pair.long_ms,
            short_ms: pair.short_ms,
            factor_tenths: pair.factor_tenths,
            long_milli,
            short_milli,
            budget_ms: budget.budget_ms,
            remaining_ms: budget.remaining_ms,
            ends_at: lasts_ms.map(|ms| now.plus_ms(ms)),
        }
    }

    /// How loud it is: as its pair.
    pub fn severity(&self) -> Severity {
        PAIRS.into_iter().find(|pair| pair.long_ms == self.long_ms).map_or(Severity::Ticket, |pair| pair.severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All windows wholly observed, with this many ms down in those up to so long.
    fn fires(objective_ppm: u32, down: impl Fn(i64) -> i64) -> Option<(u64, Severity)> {
        let found = firing(objective_ppm, |ms| Spent { down_ms: down(ms), observed_ms: ms });
        found.map(|found| (found.pair.factor_tenths, found.pair.severity))
    }

    #[test]
    fn each_pair_burns_from_its_factor_on_and_not_a_millisecond_below() {
        // An objective of 99.9 % allows a thousandth of each window.
        for (pair, others) in PAIRS.into_iter().zip([&PAIRS[1..], &PAIRS[2..], &PAIRS[3..], &[]]) {
            let limit = |ms: i64| ms * i64::try_from(pair.factor_tenths).unwrap() / 10_000;
            let only = |ms: i64| if ms == pair.long_ms || ms == pair.short_ms { limit(ms) } else { 0 };
            let expected = Some((pair.factor_tenths, pair.severity));
            assert_eq!(fires(999_000, only), expected);
            assert_eq!(fires(999_000, |ms| (only(ms) - 1).max(0)), None);
            assert_eq!(fires(999_000, |ms| if ms == pair.long_ms { limit(ms) } else { 0 }), None, "it is over");
            assert!(others.iter().all(|other| other.factor_tenths < pair.factor_tenths));
        }
    }

    #[test]
    fn the_loudest_pair_that_burns_is_told() {
        assert_eq!(fires(999_000, |ms| ms / 10), Some((144, Severity::Page)));
        assert_eq!(fires(999_000, |ms| ms / 1_000), Some((10, Severity::Ticket)));
    }

    #[test]
    fn unknown_time_is_neither_good_nor_bad_and_too_little_of_it_says_nothing() {
        let half = firing(999_000, |ms| Spent { down_ms: ms / 100, observed_ms: ms / 2 });
        assert_eq!(half.map(|found| found.long_milli), Some(20_000));
        assert_eq!(firing(999_000, |ms| Spent { down_ms: ms / 100, observed_ms: ms / 13 }), None);
        assert_eq!(firing(999_000, |_| Spent::default()), None, "no data is no rate");
    }

    #[test]
    fn a_budget_ends_when_the_rate_has_eaten_what_is_left() {
        let firing = Firing { pair: PAIRS[0], long_milli: 20_000, short_milli: 20_000 };
        let budget = Budget { objective_ppm: 999_000, budget_ms: 1_000, spent_ms: 400, remaining_ms: 600 };
        let long = Spent { down_ms: 72_000, observed_ms: 3_600_000 };
        let now = Timestamp::from_ms(0);
        assert_eq!(Burn::of(firing, budget, long, now).ends_at, Some(Timestamp::from_ms(30_000)));
        assert_eq!(Burn::of(firing, Budget { remaining_ms: -1, ..budget }, long, now).ends_at, None);
    }

    proptest! {
        #[test]
        fn more_downtime_never_burns_slower(
            down in 0_i64..300_000, more in 0_i64..300_000, observed in 600_000_i64..4_000_000, objective in 1_u32..1_000_000,
        ) {
            let rate = |down_ms| Spent { down_ms, observed_ms: observed }.burn_milli(objective).unwrap();
            prop_assert!(rate(down) <= rate(down + more));
            let unknown = Spent { down_ms: down, observed_ms: observed - 1 };
            prop_assert!(rate(down) <= unknown.burn_milli(objective).unwrap());
        }
    }
}
