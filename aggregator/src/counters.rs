//! Counts of what the running aggregator did, for /metrics. They start at nought with the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// One count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Every count of the process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Samples that were new and are committed.
    pub samples_stored: Counter,
    /// Samples that were there already.
    pub samples_duplicate: Counter,
    /// Batches refused with a 4xx.
    pub batches_refused: Counter,
    /// Ticks of the evaluator that went well: it lives while they grow.
    pub ticks: Counter,
    /// Evaluations done.
    pub evaluations: Counter,
    /// Notifications that a channel accepted.
    pub notifications_sent: Counter,
    /// Tries to notify that failed.
    pub notifications_failed: Counter,
    /// Looks at what is due of open incidents.
    pub follow_rounds: Counter,
}
