//! How long to wait before trying again: exponential with full jitter, so that a fleet that lost its
//! aggregator at one instant does not come back at one instant.

use std::time::Duration;

/// The ceiling of the first wait, in ms.
const FIRST_MS: u64 = 250;
/// The ceiling of all waits, in ms.
const MAX_MS: u64 = 30_000;

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
        let ceiling = ceiling_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        let mut bytes = [0; 8];
        // Without randomness the whole ceiling is still a fair wait.
        let drawn = aws_lc_rs::rand::fill(&mut bytes).map_or(ceiling, |()| u64::from_ne_bytes(bytes) % (ceiling + 1));
        Duration::from_millis(drawn)
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
