//! What the dispatch counts for the probe's health.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Nothing has started since the maximum was taken.
const NONE: i64 = i64::MIN;

/// Slots missed since the start, the worst lateness since it was last told, and the turns of the loop.
#[derive(Debug)]
pub struct Tally {
    missed: AtomicU64,
    lateness_max_ms: AtomicI64,
    turns: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { missed: AtomicU64::new(0), lateness_max_ms: AtomicI64::new(NONE), turns: AtomicU64::new(0) }
    }
}

impl Tally {
    /// Counts slots given up as `overrun` or `saturated`.
    pub fn miss(&self, slots: u64) {
        self.missed.fetch_add(slots, Ordering::Relaxed);
    }

    /// Slots given up since the start.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Counts a turn of the loop: it looked at the schedule and began what was due.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Turns of the loop since the start: at least two a second while it gets on, whatever there is to do.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Notes that a slot was started this late, in ms; `None` notes nothing.
    pub fn late(&self, ms: Option<i64>) {
        self.lateness_max_ms.fetch_max(ms.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// The worst lateness since it was taken last; `None` where nothing was started.
    pub fn take_lateness_max(&self) -> Option<i64> {
        Some(self.lateness_max_ms.swap(NONE, Ordering::Relaxed)).filter(|ms| *ms != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_lateness_is_told_once() {
        let tally = Tally::default();
        assert_eq!(tally.take_lateness_max(), None);
        tally.late(Some(3));
        tally.late(Some(7));
        tally.late(None);
        assert_eq!(tally.take_lateness_max(), Some(7));
        assert_eq!(tally.take_lateness_max(), None);
    }
}
