//! Counts of what the running aggregator did, for /metrics. They start at nought with the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nines_shared::id::ProbeId;

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

/// Counts of each probe, by what is counted.
#[derive(Debug, Default)]
pub struct ByProbe(Mutex<BTreeMap<(ProbeId, &'static str), u64>>);

impl ByProbe {
    /// One more of `probe` and `what`.
    pub fn add(&self, probe: &ProbeId, what: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((probe.clone(), what)).or_default() += 1;
    }

    /// Every count so far that is not nought.
    pub fn all(&self) -> Vec<(ProbeId, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((probe, what), count)| (probe.clone(), *what, *count)).collect()
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
    /// Requests that were refused because their probe has had its share, by limit.
    pub limited: ByProbe,
    /// Requests under certificates that are not good any more, by why not.
    pub shut_out: ByProbe,
    /// Connections of probes, or of who claims to be one, closed because their address has its share.
    pub probes_turned_away: Counter,
    /// Connections of people, likewise.
    pub people_turned_away: Counter,
    /// Asks made: another region was to confirm what one saw.
    pub asks_made: Counter,
    /// Asks not made because the target or the probe that accuses has had its share.
    pub asks_refused: Counter,
    /// Asks not made because no probe of the region listens.
    pub asks_unheard: Counter,
    /// Asks answered by a sample.
    pub asks_answered: Counter,
    /// How long those answers took together, from ask to sample stored, in ms.
    pub asks_answered_ms: Counter,
    /// Asks that no sample answered in time.
    pub asks_expired: Counter,
    /// Ticks of the evaluator that went well: it lives while they grow.
    pub ticks: Counter,
    /// Rounds of the evaluator, however they went: the service manager's watchdog is fed while they grow.
    pub rounds: Counter,
    /// Evaluations done.
    pub evaluations: Counter,
    /// Notifications that a channel accepted.
    pub notifications_sent: Counter,
    /// Tries to notify that failed.
    pub notifications_failed: Counter,
    /// Notifications that were given up.
    pub notifications_given_up: Counter,
    /// Looks at what is due to be delivered.
    pub outbox_rounds: Counter,
    /// Looks at what is due of open incidents.
    pub follow_rounds: Counter,
}
