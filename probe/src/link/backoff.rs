//! How long to wait before trying again: exponential with full jitter, so that a fleet that lost its
//! aggregator at one instant does not come back at one instant.

use std::time::Duration;

/// The ceiling of the first wait, in ms.
const FIRST_MS: u64 = 250;
/// The ceiling of all waits, in ms.
const MAX_MS: u64 = 30_000;

/// The longest that we leave an aggregator alone because it says so, beside our own wait: it misses a probe after as
/// long.
pub const MAX_TOLD: Duration = Duration::from_secs(30);

/// How often in a row it has failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked: the next wait is a short one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: wait this long.
    pub fn after_failure(&mut self) -> Duration {
        let mut bytes = [0; 8];
        // Without randomness the whole ceiling is still a fair wait.
        self.after_failure_drawn(aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| u64::from_ne_bytes(bytes)))
    }

    /// PURE: [`Backoff::after_failure`] for what was drawn.
    pub fn after_failure_drawn(&mut self, drawn: Option<u64>) -> Duration {
        let ceiling = ceiling_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(drawn.map_or(ceiling, |drawn| drawn % (ceiling + 1)))
    }

    /// It failed, and whoever answered asked to be left alone for `told`: wait so long, and as after any failure beside
    /// it. All who were told the same come back spread.
    pub fn after_refusal(&mut self, told: Option<Duration>) -> Duration {
        told.unwrap_or_default().min(MAX_TOLD) + self.after_failure()
    }
}

fn ceiling_ms(failures: u32) -> u64 {
    FIRST_MS.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX)).min(MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_half_a_minute_and_never_overflows() {
        let ceilings: Vec<u64> = (0..9).map(ceiling_ms).collect();
        assert_eq!(ceilings, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(ceiling_ms(u32::MAX), MAX_MS);
    }

    #[test]
    fn who_is_told_to_come_later_does_and_not_all_at_once_and_nobody_is_sent_away_for_long() {
        let told = |told| {
            let waits: Vec<Duration> = (0..200).map(|_| Backoff { failures: 3 }.after_refusal(told)).collect();
            (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
        };
        let (least, most) = told(Some(Duration::from_secs(7)));
        assert!(Duration::from_secs(7) <= least && most <= Duration::from_secs(9));
        assert!(Duration::from_secs(1) < most - least, "{least:?} to {most:?}");
        assert!(told(Some(Duration::from_secs(86_400))).1 <= MAX_TOLD + Duration::from_secs(2));
        assert!(told(None).1 <= Duration::from_secs(2));
    }

    #[test]
    fn waits_are_spread_over_the_whole_range_and_short_again_after_success() {
        let mut backoff = Backoff { failures: 40 };
        let waits: Vec<Duration> = (0..200).map(|_| backoff.after_failure()).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(MAX_MS)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(MAX_MS / 4)));
        assert!(waits.iter().any(|wait| Duration::from_millis(3 * MAX_MS / 4) < *wait));
        backoff.reset();
        assert!(backoff.after_failure() <= Duration::from_millis(FIRST_MS));
    }
}
