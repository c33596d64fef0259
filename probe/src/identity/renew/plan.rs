//! PURE: when to renew, and how long to wait between tries.

use std::time::Duration;

use nines_shared::time::Timestamp;

/// The first pause after a try, unless the life is a short one: it doubles with every failure …
const FIRST_PAUSE_MS: i64 = 60_000;
/// … up to this.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// How often a long life is looked at.
const TICK_MS: i64 = 5_000;
/// The shortest time between two looks.
const SHORTEST_MS: i64 = 100;

/// A certificate's life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    length_ms: i64,
    renew_at: Timestamp,
    until: Timestamp,
}

/// What is to be done about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is good and stays.
    Nothing,
    /// It is time for the next one.
    Renew,
    /// It has ended by what we know: asking is in vain, unless our clock is wrong.
    JoinAgain,
}

impl Life {
    /// The life from `issued_at` to `until`; `random` spreads a fleet that joined on one day over a thirtieth of it.
    pub(super) fn new(issued_at: Timestamp, until: Timestamp, random: u64) -> Self {
        let length_ms = until.since(issued_at).max(0);
        let renew_at = issued_at.plus_ms(length_ms / 3 * 2).plus_ms(part(length_ms / 30, random));
        Self { length_ms, renew_at, until }
    }

    /// What is to be done at `now`; `others_vouch` where the aggregator names other authorities than we know.
    pub(super) fn wish(&self, now: Timestamp, others_vouch: bool) -> Wish {
        if self.until <= now {
            Wish::JoinAgain
        } else if others_vouch || self.renew_at <= now {
            Wish::Renew
        } else {
            Wish::Nothing
        }
    }

    /// How long until the next look.
    pub(super) fn tick(&self) -> Duration {
        ms((self.length_ms / 50).clamp(SHORTEST_MS, TICK_MS))
    }

    /// How long after a try the next one may come, when the last `failures` failed: half of it is `random`.
    pub(super) fn pause(&self, failures: u32, random: u64) -> Duration {
        let first = (self.length_ms / 50).clamp(SHORTEST_MS, FIRST_PAUSE_MS);
        let longest = (self.length_ms / 20).clamp(SHORTEST_MS, LONGEST_PAUSE_MS);
        let doubled = first.saturating_mul(1_i64.checked_shl(failures.saturating_sub(1).min(32)).unwrap_or(i64::MAX));
        let whole = doubled.min(longest);
        ms(whole / 2 + part(whole / 2, random))
    }
}

/// From 0 to `most_ms`, as `random` has it.
fn part(most_ms: i64, random: u64) -> i64 {
    let most = most_ms.max(0).unsigned_abs();
    i64::try_from(random % (most + 1)).unwrap_or(0)
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: Timestamp = Timestamp::from_ms(1_790_000_000_000);
    const DAY_MS: i64 = 86_400_000;

    fn month(random: u64) -> Life {
        Life::new(MADE, MADE.plus_ms(30 * DAY_MS), random)
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_a_fleet_of_one_day_within_a_day() {
        let at = |days: i64| MADE.plus_ms(days * DAY_MS);
        for random in [0, u64::MAX / 3, u64::MAX] {
            assert_eq!(month(random).wish(at(20).plus_ms(-1), false), Wish::Nothing);
            assert_eq!(month(random).wish(at(21), false), Wish::Renew);
            assert_eq!(month(random).wish(at(30), false), Wish::JoinAgain);
        }
        assert_eq!(month(0).wish(at(20), false), Wish::Renew);
        assert_eq!(month(DAY_MS as u64).wish(at(20), false), Wish::Nothing);
    }

    #[test]
    fn other_authorities_are_a_reason_at_any_time() {
        assert_eq!(month(0).wish(MADE, true), Wish::Renew);
    }

    #[test]
    fn tries_that_fail_come_ever_more_seldom_and_never_more_often_than_that() {
        let pauses: Vec<u128> = (1..9).map(|failures| month(0).pause(failures, u64::MAX).as_millis()).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        for random in [0, 1, u64::MAX] {
            let (first, last) = (month(0).pause(0, random), month(0).pause(u32::MAX, random));
            assert!((30_000..=60_000).contains(&first.as_millis()), "{first:?}");
            assert!((1_800_000..=3_600_000).contains(&last.as_millis()), "{last:?}");
        }
    }

    #[test]
    fn a_life_of_seconds_is_looked_at_in_time() {
        let short = Life::new(MADE, MADE.plus_ms(10_000), 0);
        assert!(short.tick() <= Duration::from_millis(200));
        assert!(short.pause(9, u64::MAX) <= Duration::from_millis(500));
        let none = Life::new(MADE, MADE.plus_ms(-5), 7);
        assert_eq!(none.wish(MADE, false), Wish::JoinAgain);
        assert!(Duration::from_millis(50) <= none.pause(9, 0), "it does not spin");
    }
}
