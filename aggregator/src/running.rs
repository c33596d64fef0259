//! What every long-lived part of a running aggregator holds.

use std::sync::Arc;

use nines_shared::time::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::definition::Fleet;
use crate::store::Store;

/// Handles to the running aggregator; clones share everything.
#[derive(Clone, Debug)]
pub struct Running {
    /// The database.
    pub store: Store,
    /// The fleet file in force; changes when it is reloaded.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// What time it is.
    pub clock: Clock,
    /// Grows after each commit of samples: the evaluator wakes.
    pub arrivals: Arc<watch::Sender<u64>>,
    /// Grows after each evaluation that changed what people see: pages refresh.
    pub news: Arc<watch::Sender<u64>>,
    /// For /metrics.
    pub counters: Arc<Counters>,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
}
