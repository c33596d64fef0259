//! The accounts of a window: every millisecond once (INV-4), ratios last, floored, never a float.

use nines_shared::time::Span;
use serde::{Deserialize, Serialize};

use super::bounds::Bounded;
use super::maintenance;
use super::{Timeline, Verdict};

/// Parts per million in the whole.
const MILLION: i64 = 1_000_000;

/// How a window was spent, in ms.
///
/// `up + degraded + down + unknown + excluded` is the window's length, exactly; and
/// `down_at_least ≤ down ≤ down_at_most` ([`super::bounds`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// It worked.
    pub up_ms: i64,
    /// It worked, slowly.
    pub degraded_ms: i64,
    /// It failed.
    pub down_ms: i64,
    /// Nobody knows.
    pub unknown_ms: i64,
    /// Announced maintenance: neither good nor bad.
    pub excluded_ms: i64,
    /// The least downtime that the samples allow.
    pub down_at_least_ms: i64,
    /// The most downtime that the samples allow.
    pub down_at_most_ms: i64,
}

impl Accounts {
    /// The accounts of `part` of the timelines' window, with `excluded` (a set of spans) set aside.
    pub fn of(timelines: Bounded<&Timeline>, excluded: &[Span], part: Span) -> Self {
        let mut accounts = Self {
            down_at_least_ms: down_ms(timelines.at_least, excluded, part),
            down_at_most_ms: down_ms(timelines.at_most, excluded, part),
            ..Self::default()
        };
        for (span, verdict) in timelines.measured.within(part) {
            let counted = maintenance::outside_ms(excluded, span);
            accounts.excluded_ms += span.length_ms() - counted;
            *accounts.account_of(verdict) += counted;
        }
        accounts
    }

    fn account_of(&mut self, verdict: Verdict) -> &mut i64 {
        match verdict {
            Verdict::Up => &mut self.up_ms,
            Verdict::Degraded => &mut self.degraded_ms,
            Verdict::Unknown => &mut self.unknown_ms,
            Verdict::Down => &mut self.down_ms,
        }
    }

    /// All of it: the window's length.
    pub fn total_ms(&self) -> i64 {
        self.counted_ms() + self.excluded_ms
    }

    /// What is not excluded.
    pub fn counted_ms(&self) -> i64 {
        self.observed_ms() + self.unknown_ms
    }

    /// What is neither excluded nor unknown.
    pub fn observed_ms(&self) -> i64 {
        self.available_ms() + self.down_ms
    }

    /// Up or degraded.
    pub fn available_ms(&self) -> i64 {
        self.up_ms + self.degraded_ms
    }

    /// (up + degraded) / observed. `None` is *no data*: not a number, and not 100 %.
    pub fn availability_ppm(&self) -> Option<u32> {
        ppm(self.available_ms(), self.observed_ms())
    }

    /// observed / (window − excluded). `None` where all of it is excluded.
    pub fn coverage_ppm(&self) -> Option<u32> {
        ppm(self.observed_ms(), self.counted_ms())
    }

    /// Availability with `unknown` counted as down. `None` where all of it is excluded.
    pub fn worst_case_ppm(&self) -> Option<u32> {
        ppm(self.available_ms(), self.counted_ms())
    }

    /// Availability with `unknown` counted as up. `None` where all of it is excluded.
    pub fn best_case_ppm(&self) -> Option<u32> {
        ppm(self.available_ms() + self.unknown_ms, self.counted_ms())
    }
}

/// `part / whole` in parts per million, floored: a printed figure is never above the true one (INV-8).
/// `None` where the whole is nothing. `0 ≤ part ≤ whole`.
pub fn ppm(part: i64, whole: i64) -> Option<u32> {
    if whole <= 0 {
        return None;
    }
    // i128: ppm of 9 000 years would overflow an i64.
    u32::try_from(i128::from(part) * i128::from(MILLION) / i128::from(whole)).ok()
}

fn down_ms(timeline: &Timeline, excluded: &[Span], part: Span) -> i64 {
    let down = timeline.within(part).filter(|(_, verdict)| *verdict == Verdict::Down);
    down.map(|(span, _)| maintenance::outside_ms(excluded, span)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_observed_time_is_no_data() {
        let accounts = Accounts { unknown_ms: 5, ..Accounts::default() };
        assert_eq!(accounts.availability_ppm(), None);
        assert_eq!(accounts.coverage_ppm(), Some(0));
        assert_eq!((accounts.worst_case_ppm(), accounts.best_case_ppm()), (Some(0), Some(1_000_000)));
    }

    #[test]
    fn inv_8_a_ratio_just_under_the_whole_never_rounds_up_to_it() {
        let accounts = Accounts { up_ms: i64::MAX / 4, down_ms: 1, ..Accounts::default() };
        assert_eq!(accounts.availability_ppm(), Some(999_999));
    }

    #[test]
    fn a_window_that_is_all_maintenance_has_no_ratios() {
        let accounts = Accounts { excluded_ms: 5, ..Accounts::default() };
        assert_eq!((accounts.availability_ppm(), accounts.coverage_ppm()), (None, None));
    }
}
