//! PURE: one account of a quota, a token bucket in thousandths of what it counts.

use std::time::Duration;

use tokio::time::Instant;

/// What is left. It may be overdrawn by what a request turned out to cost; then nothing is let in until it is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// Thousandths: what comes in a second comes as whole ones in a millisecond.
    left: i64,
    per_second: i64,
    at_once: i64,
    /// When `left` was worked out, in steps of whole milliseconds.
    at: Instant,
}

impl Account {
    /// One that has all that may come at once.
    pub(super) fn full(per_second: i64, at_once: i64, now: Instant) -> Self {
        Self { left: at_once.saturating_mul(1_000), per_second, at_once, at: now }
    }

    /// `None` where something is left at `now`, else how long until then.
    pub(super) fn again(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        if 0 < self.left {
            return None;
        }
        let ms = self.left.saturating_neg() / self.per_second + 1;
        Some(Duration::from_millis(ms.unsigned_abs()))
    }

    /// Takes `units`, whether they are there or not.
    pub(super) fn charge(&mut self, units: i64, now: Instant) {
        self.fill(now);
        self.left = self.left.saturating_sub(units.saturating_mul(1_000));
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let ms = i64::try_from(passed).unwrap_or(i64::MAX);
        let more = ms.saturating_mul(self.per_second);
        self.left = self.left.saturating_add(more).min(self.at_once.saturating_mul(1_000));
        self.at += Duration::from_millis(ms.unsigned_abs());
    }
}
